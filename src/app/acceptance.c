/* Rows 55, 57 and 63: asked of the running system, and of the run's folder. */
#include "app/acceptance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/ask.h"
#include "app/run.h"
#include "base/json.h"
#include "base/tstamp.h"

enum { REPLY_SIZE = 4 << 20 };

/* ---- values by their place ---- */

/* The raw value at "a.b.c"; false: not there. Texts are looked at by type, so raw keeps the quotes out of its way. */
static bool at(struct json_reader *out, struct json_text text, const char *path) {
    struct json_reader r;
    struct json_text key;
    char name[ACCEPTANCE_NAME_SIZE];
    size_t n = strcspn(path, ".");
    snprintf(name, sizeof name, "%.*s", (int)n, path);
    json_reader_init(&r, text.data, text.size);
    if (json_peek(&r) != JSON_OBJECT) return false;
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (!json_text_is(&key, name)) {
            json_skip(&r);
            continue;
        }
        struct json_text value = json_raw(&r);
        if (path[n] == '.') return at(out, value, path + n + 1);
        json_reader_init(out, value.data, value.size);
        return json_peek(out) != JSON_NULL;
    }
    return false;
}

static int64_t whole(struct json_text body, const char *path) {
    struct json_reader r;
    return at(&r, body, path) ? json_i64(&r) : 0;
}

static double real(struct json_text body, const char *path) {
    struct json_reader r;
    return at(&r, body, path) ? json_f64(&r) : NAN;
}

static bool truth(struct json_text body, const char *path) {
    struct json_reader r;
    return at(&r, body, path) && json_bool(&r);
}

static void text(char *out, size_t size, struct json_text body, const char *path) {
    struct json_reader r;
    snprintf(out, size, "-");
    if (!at(&r, body, path) || json_peek(&r) != JSON_STRING) return;
    struct json_text value = json_string(&r);
    if (json_text_copy(out, size, NULL, &value) != ST_OK) /* too long: its beginning */
        snprintf(out, size, "%.*s", (int)value.size, value.data);
}
#define TEXT(field, body, path) text(field, sizeof(field), body, path)

/* ---- asking ---- */

struct asker {
    struct acceptance *a;
    char *reply;
    uint16_t port;
};

/* The body of a 200; size 0 otherwise. */
static struct json_text get(struct asker *k, struct acceptance_endpoint *e, const char *path,
                            const char *json) {
    struct err err = {0};
    char *body, why[256];
    int64_t begin = tstamp_monotonic_ns();
    int code = ask_quietly(k->reply, REPLY_SIZE, &body, &err, k->port, path, json);
    if (e) {
        e->code = code;
        e->took_ms = (tstamp_monotonic_ns() - begin) / NS_PER_MS;
    }
    if (code == 200) return (struct json_text){.data = body, .size = strlen(body)};
    if (code != 0) ask_error(why, sizeof why, body);
    if (!k->a->dead[0])
        snprintf(k->a->dead, sizeof k->a->dead, "%s: %s", path, code ? why : err.text);
    return (struct json_text){.data = "", .size = 0};
}

static void components(struct acceptance *a, struct json_text health) {
    struct json_reader r;
    struct json_text key;
    if (!at(&r, health, "components")) return;
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        struct json_text value = json_raw(&r);
        if (a->component_count == ACCEPTANCE_COMPONENTS_MAX) continue;
        struct acceptance_component *c = &a->components[a->component_count++];
        (void)json_text_copy(c->name, sizeof c->name, NULL, &key);
        TEXT(c->state, value, "state");
        TEXT(c->evidence, value, "evidence");
    }
}

static void roles(struct acceptance *a, struct json_text health) {
    struct json_reader r;
    if (!at(&r, health, "roles")) return;
    json_array_begin(&r);
    while (json_array_next(&r)) {
        struct json_text row = json_raw(&r);
        struct json_reader age;
        if (a->role_count == ACCEPTANCE_ROLES_MAX) continue;
        struct acceptance_role *to = &a->roles[a->role_count++];
        TEXT(to->name, row, "name");
        TEXT(to->state, row, "state");
        to->age_ms = at(&age, row, "age_ms") ? json_i64(&age) : -1;
        to->work = whole(row, "work_count");
    }
}

static void dependencies(struct acceptance *a, struct json_text health) {
    struct json_reader r;
    struct json_text key;
    if (!at(&r, health, "dependencies")) return;
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        struct json_text value = json_raw(&r);
        if (a->dependency_count == ACCEPTANCE_ROLES_MAX) continue;
        struct acceptance_component *c = &a->dependencies[a->dependency_count++];
        (void)json_text_copy(c->name, sizeof c->name, NULL, &key);
        TEXT(c->state, value, "status");
    }
}

static void ask_health(struct asker *k) {
    struct acceptance *a = k->a;
    struct json_text h = get(k, &a->endpoints[0], "/health", NULL);
    if (h.size == 0) return;
    TEXT(a->status, h, "status");
    TEXT(a->version, h, "version");
    TEXT(a->commit, h, "commit");
    a->uptime_seconds = real(h, "uptime_seconds");
    a->pid = whole(h, "pid");
    a->models_loaded = whole(h, "models_loaded");
    a->signals = whole(h, "metrics.signals_generated_total");
    a->intents = whole(h, "metrics.intents_total");
    a->denied = whole(h, "metrics.intents_denied_total");
    a->orders = whole(h, "metrics.orders_total");
    a->fills = whole(h, "metrics.fills_total");
    a->trades = whole(h, "metrics.trades_total");
    a->rejects = whole(h, "metrics.venue_rejects_total");
    a->positions = whole(h, "metrics.positions_open");
    a->unprotected = whole(h, "metrics.positions_unprotected");
    a->lag = whole(h, "dependencies.eventbus.lag");
    components(a, h);
    roles(a, h);
    dependencies(a, h);
}

/* The first symbols of the run, each asked about as any client asks. */
static void ask_signals(struct asker *k) {
    struct acceptance *a = k->a;
    char symbols[ACCEPTANCE_SIGNALS][ACCEPTANCE_NAME_SIZE], body[96];
    uint32_t count = 0;
    struct json_text list = get(k, NULL, "/api/signals", NULL);
    struct json_reader r;
    if (list.size == 0) return;
    TEXT(a->mode, list, "mode");
    TEXT(a->strategy, list, "strategy");
    a->synthetic = truth(list, "synthetic");
    a->age_ms = whole(list, "age_ms");
    if (at(&r, list, "data")) {
        json_array_begin(&r);
        while (json_array_next(&r)) {
            struct json_text row = json_raw(&r);
            if (count < ACCEPTANCE_SIGNALS) TEXT(symbols[count++], row, "symbol");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        snprintf(body, sizeof body, "{\"symbol\":\"%s\"}", symbols[i]);
        struct json_text s = get(k, &a->endpoints[1], "/api/ai/signal", body);
        if (s.size == 0) return;
        struct acceptance_signal *to = &a->asked[a->signal_count++];
        TEXT(to->symbol, s, "symbol");
        TEXT(to->action, s, "action");
        TEXT(to->reason, s, "reason");
        to->confidence = real(s, "confidence");
        to->voters = whole(s, "voters");
    }
}

static void order_read(struct acceptance_order *o, struct json_text row, bool is_held) {
    TEXT(o->symbol, row, "symbol");
    TEXT(o->side, row, "side");
    TEXT(o->qty, row, "qty");
    TEXT(o->entry_px, row, "entry_px");
    o->leverage = whole(row, "leverage");
    o->entry_ms = whole(row, "entry_time");
    o->protected_ms = is_held ? -1 : whole(row, "time_to_protected_ms");
    if (is_held)
        snprintf(o->outcome, sizeof o->outcome, "%s",
                 truth(row, "protected") ? "held, protected" : "held, NAKED");
    else
        TEXT(o->outcome, row, "exit_reason");
}

/* The newest entries: held ones, and closed ones behind them. */
static void ask_orders(struct asker *k) {
    static const char *const paths[] = {"/api/trades?limit=6", "/api/positions"};
    struct acceptance *a = k->a;
    struct acceptance_order all[ACCEPTANCE_ORDERS];
    uint64_t seen = 0;
    for (int i = 0; i < 2; i++) {
        struct json_reader r;
        struct json_text list = get(k, NULL, paths[i], NULL);
        if (list.size == 0 || !at(&r, list, "data")) continue;
        json_array_begin(&r);
        while (json_array_next(&r))
            order_read(&all[seen++ % ACCEPTANCE_ORDERS], json_raw(&r), i == 1);
    }
    a->order_count = seen < ACCEPTANCE_ORDERS ? (uint32_t)seen : ACCEPTANCE_ORDERS;
    for (uint32_t i = 0; i < a->order_count; i++)
        a->newest[i] = all[(seen - a->order_count + i) % ACCEPTANCE_ORDERS];
}

/* Mean and half of its interval by Student's t: three answers are few. */
static void average(struct acceptance *a) {
    static const double t975[ACCEPTANCE_SIGNALS] = {NAN, 12.706, 4.303}; /* by degrees of freedom */
    double sum = 0, squares = 0, n = a->signal_count;
    for (uint32_t i = 0; i < a->signal_count; i++) sum += a->asked[i].confidence;
    a->confidence = n > 0 ? sum / n : NAN;
    for (uint32_t i = 0; i < a->signal_count; i++)
        squares += pow(a->asked[i].confidence - a->confidence, 2);
    a->confidence_half = n > 1 ? t975[a->signal_count - 1] * sqrt(squares / (n - 1) / n) : NAN;
}

static void read_report(struct acceptance *a, const char *run_dir) {
    char path[RUN_PATH_SIZE + 32];
    struct err err = {0};
    struct tradedb *db = NULL;
    snprintf(path, sizeof path, "%s/trades.sqlite", run_dir);
    enum status st = tradedb_open(&db, path, true, &err);
    if (st == ST_OK) st = report_load(&a->report, db, &err);
    if (st == ST_OK) st = report_from_db(&a->report, db, &err);
    if (db) tradedb_close(db);
    if (st != ST_OK) snprintf(a->no_report, sizeof a->no_report, "%s", err.text);
}

void acceptance_collect(struct acceptance *out, const char *run_dir, uint16_t port) {
    memset(out, 0, sizeof *out);
    out->endpoints[0].what = "GET /health";
    out->endpoints[1].what = "POST /api/ai/signal";
    out->endpoints[2].what = "GET /metrics";
    out->checked_ms = tstamp_wall_ns() / NS_PER_MS;
    struct asker k = {.a = out, .reply = malloc(REPLY_SIZE), .port = port};
    if (port == 0) {
        snprintf(out->dead, sizeof out->dead, "the run has no API to ask (--no-api)");
    } else if (k.reply) {
        ask_health(&k);
        if (!out->dead[0]) ask_signals(&k);
        if (!out->dead[0]) (void)get(&k, &out->endpoints[2], "/metrics", NULL);
        if (!out->dead[0]) ask_orders(&k);
    } else {
        snprintf(out->dead, sizeof out->dead, "out of memory");
    }
    free(k.reply);
    average(out);
    read_report(out, run_dir);
}

const char *acceptance_fault(const struct acceptance *a, int row) {
    if (row == 57) {
        if (a->no_report[0]) return a->no_report;
        return a->report.trades < ACCEPTANCE_TRADES ? "fewer than 50 closed trades" : NULL;
    }
    if (a->dead[0]) return a->dead;
    if (row == 63) return a->component_count == 0 ? "no component is told" : NULL;
    if (a->signal_count < ACCEPTANCE_SIGNALS) return "fewer than three symbols to ask about";
    return a->order_count < ACCEPTANCE_ORDERS ? "fewer than six entries were filled" : NULL;
}
