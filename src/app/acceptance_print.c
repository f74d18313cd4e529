/* Rows 55, 57 and 63 as text for people, and as one line of JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/acceptance.h"
#include "base/json.h"
#include "base/tstamp.h"

enum { OUT_SIZE = 64 * 1024 };

const char *acceptance_time(char out[ACCEPTANCE_TIME_SIZE], int64_t ms) {
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, ACCEPTANCE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

/* The original's word for what runs; ours has evidence behind it. */
const char *acceptance_mark(const struct acceptance_component *c) {
    return strcmp(c->state, "loaded") == 0 ? "LIVE" : c->state;
}

/* Stale is a part that has not worked for longer than it may; one that works on demand has nothing to do. */
bool acceptance_role_is_live(const struct acceptance_role *r) {
    return strcmp(r->state, "OK") == 0 && r->age_ms >= 0;
}

bool acceptance_is_ok(const char *state) {
    return strcmp(state, "OK") == 0;
}

/* ---- text ---- */

static void head(const struct acceptance *a, int row, const char *what) {
    const char *fault = acceptance_fault(a, row);
    printf("\nRow %d: %s: %s%s\n", row, what, fault ? "not yet: " : "shown", fault ? fault : "");
}

static void print_tests(const struct acceptance *a) {
    char when[ACCEPTANCE_TIME_SIZE];
    printf("  Test 1, health: %s, up %.0f s, process %" PRId64 ", version %s (%s); %" PRId64
           " of %u components loaded\n   ",
           a->status, a->uptime_seconds, a->pid, a->version, a->commit, a->models_loaded,
           a->component_count);
    for (int i = 0; i < ACCEPTANCE_ENDPOINTS; i++)
        printf(" %s %d in %" PRId64 " ms%s", a->endpoints[i].what, a->endpoints[i].code,
               a->endpoints[i].took_ms, i + 1 < ACCEPTANCE_ENDPOINTS ? "," : "\n");
    printf("  Test 2, signals\n");
    for (uint32_t i = 0; i < a->signal_count; i++)
        printf("    %-14s %-5s confidence %.4f, %" PRId64 " voter(s), reason %s\n",
               a->asked[i].symbol, a->asked[i].action, a->asked[i].confidence, a->asked[i].voters,
               a->asked[i].reason);
    if (isfinite(a->confidence_half))
        printf("    average confidence %.4f, n = %u, 95 %% interval ± %.4f\n", a->confidence,
               a->signal_count, a->confidence_half);
    else
        printf("    average confidence: not yet (n = %u)\n", a->signal_count);
    printf("  Test 3, flow: %" PRId64 " signals, %" PRId64 " intents, %" PRId64
           " denied by the gates, %" PRId64 " waiting on the bus\n",
           a->signals, a->intents, a->denied, a->lag);
    printf("  Test 4, execution: %" PRId64 " orders, %" PRId64 " fills, %" PRId64
           " refused by the venue, %" PRId64 " position(s), %" PRId64 " without a stop\n",
           a->orders, a->fills, a->rejects, a->positions, a->unprotected);
    for (uint32_t i = 0; i < a->order_count; i++) {
        const struct acceptance_order *o = &a->newest[i];
        printf("    %s %-14s %-4s %s at %s, %" PRId64 "x: %s", acceptance_time(when, o->entry_ms),
               o->symbol, o->side, o->qty, o->entry_px, o->leverage, o->outcome);
        if (o->protected_ms >= 0) printf(", stop after %" PRId64 " ms", o->protected_ms);
        printf("\n");
    }
}

static void print_win_rate(const struct acceptance *a) {
    const struct report *r = &a->report;
    if (a->no_report[0]) return;
    if (r->trades < ACCEPTANCE_TRADES) {
        printf("  %" PRIu64 " of %d closed trades\n", r->trades, ACCEPTANCE_TRADES);
        return;
    }
    printf("  win rate %.4f, n = %" PRIu64 ", 95 %% interval %.4f to %.4f (Wilson)\n"
           "  expectancy %.4f USDT a trade, 95 %% interval %.4f to %.4f; profit factor %.3f\n"
           "  from fills, net of fees and funding; wallet less their sum: %" PRId64 "e-8\n",
           r->win_rate, r->trades, r->win_rate_low, r->win_rate_high, r->expectancy,
           r->expectancy_low, r->expectancy_high, r->profit_factor, r->identity_error.e8);
}

void acceptance_print(const struct acceptance *a) {
    char when[ACCEPTANCE_TIME_SIZE];
    printf("Acceptance rows from live state, %s\n", acceptance_time(when, a->checked_ms));
    if (!a->dead[0])
        printf("%s run, strategy %s%s; the view asked is %" PRId64 " ms old\n", a->mode,
               a->strategy, a->synthetic ? ", SYNTHETIC prices" : "", a->age_ms);
    head(a, 55, "tests 1 to 4");
    if (!a->dead[0]) print_tests(a);
    head(a, 57, "win rate after 50 trades");
    print_win_rate(a);
    head(a, 63, "status report");
    for (uint32_t i = 0; !a->dead[0] && i < a->component_count; i++)
        printf("  %-18s %-8s %s  %s\n", a->components[i].name, acceptance_mark(&a->components[i]),
               when, a->components[i].evidence);
    for (uint32_t i = 0; !a->dead[0] && i < a->role_count; i++) {
        const struct acceptance_role *r = &a->roles[i];
        printf("  %-18s %-8s %s  %" PRId64 " pieces of work, last %" PRId64 " ms before\n", r->name,
               acceptance_role_is_live(r) ? "LIVE" : r->state, when, r->work, r->age_ms);
    }
    for (uint32_t i = 0; !a->dead[0] && i < a->dependency_count; i++)
        printf("  %-18s %-8s %s\n", a->dependencies[i].name,
               acceptance_is_ok(a->dependencies[i].state) ? "LIVE" : a->dependencies[i].state,
               when);
}

/* ---- JSON ---- */

static void put_text(struct json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_string(w, value);
}
static void put_whole(struct json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}
static void put_real(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static void row_begin(struct json_writer *w, const struct acceptance *a, int row) {
    char key[8];
    const char *fault = acceptance_fault(a, row);
    snprintf(key, sizeof key, "%d", row);
    json_write_key(w, key);
    json_write_object_begin(w);
    put_text(w, "state", fault ? "not yet" : "shown");
    put_text(w, "why", fault ? fault : "");
}

static void json_tests(struct json_writer *w, const struct acceptance *a) {
    row_begin(w, a, 55);
    put_text(w, "status", a->status);
    put_real(w, "uptime_seconds", a->uptime_seconds);
    put_whole(w, "models_loaded", a->models_loaded);
    json_write_key(w, "signals");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < a->signal_count; i++) {
        json_write_object_begin(w);
        put_text(w, "symbol", a->asked[i].symbol);
        put_text(w, "action", a->asked[i].action);
        put_real(w, "confidence", a->asked[i].confidence);
        put_whole(w, "voters", a->asked[i].voters);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    put_real(w, "confidence", a->confidence);
    put_real(w, "confidence_half", a->confidence_half);
    put_whole(w, "signals_total", a->signals);
    put_whole(w, "intents", a->intents);
    put_whole(w, "denied", a->denied);
    put_whole(w, "bus_lag", a->lag);
    put_whole(w, "orders", a->orders);
    put_whole(w, "fills", a->fills);
    put_whole(w, "rejects", a->rejects);
    put_whole(w, "unprotected", a->unprotected);
    json_write_key(w, "entries");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < a->order_count; i++) {
        const struct acceptance_order *o = &a->newest[i];
        json_write_object_begin(w);
        put_text(w, "symbol", o->symbol);
        put_text(w, "side", o->side);
        put_text(w, "qty", o->qty);
        put_text(w, "entry_px", o->entry_px);
        put_whole(w, "leverage", o->leverage);
        put_whole(w, "entry_time", o->entry_ms);
        put_text(w, "outcome", o->outcome);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void json_win_rate(struct json_writer *w, const struct acceptance *a) {
    const struct report *r = &a->report;
    bool is_shown = acceptance_fault(a, 57) == NULL;
    row_begin(w, a, 57);
    put_whole(w, "trades", (int64_t)r->trades);
    put_real(w, "win_rate", is_shown ? r->win_rate : NAN);
    put_real(w, "win_rate_low", is_shown ? r->win_rate_low : NAN);
    put_real(w, "win_rate_high", is_shown ? r->win_rate_high : NAN);
    put_real(w, "expectancy", is_shown ? r->expectancy : NAN);
    put_real(w, "expectancy_low", is_shown ? r->expectancy_low : NAN);
    put_real(w, "expectancy_high", is_shown ? r->expectancy_high : NAN);
    put_whole(w, "identity_error_e8", r->identity_error.e8);
    json_write_object_end(w);
}

static void json_status(struct json_writer *w, const struct acceptance *a) {
    row_begin(w, a, 63);
    json_write_key(w, "components");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < a->component_count; i++) {
        json_write_object_begin(w);
        put_text(w, "name", a->components[i].name);
        put_text(w, "mark", acceptance_mark(&a->components[i]));
        put_whole(w, "checked", a->checked_ms);
        put_text(w, "evidence", a->components[i].evidence);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_key(w, "roles");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < a->role_count; i++) {
        const struct acceptance_role *r = &a->roles[i];
        json_write_object_begin(w);
        put_text(w, "name", r->name);
        put_text(w, "mark", acceptance_role_is_live(r) ? "LIVE" : r->state);
        put_whole(w, "checked", a->checked_ms);
        put_whole(w, "age_ms", r->age_ms);
        put_whole(w, "work", r->work);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_key(w, "dependencies");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < a->dependency_count; i++) {
        const char *state = a->dependencies[i].state;
        json_write_object_begin(w);
        put_text(w, "name", a->dependencies[i].name);
        put_text(w, "mark", acceptance_is_ok(state) ? "LIVE" : state);
        put_whole(w, "checked", a->checked_ms);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

enum status acceptance_print_json(const struct acceptance *a, struct err *err) {
    static char out[OUT_SIZE];
    struct json_writer w;
    json_writer_init(&w, out, sizeof out);
    json_write_object_begin(&w);
    put_whole(&w, "checked", a->checked_ms);
    put_text(&w, "mode", a->mode);
    put_text(&w, "strategy", a->strategy);
    json_tests(&w, a);
    json_win_rate(&w, a);
    json_status(&w, a);
    json_write_object_end(&w);
    if (w.overflow) return err_set(err, ST_FULL, "the answer is longer than %d bytes", OUT_SIZE);
    printf("%.*s\n", (int)w.size, out);
    return ST_OK;
}
