/* The client on real sockets against a running exchange: `quantum exchange`, started by the test, plain and TLS. Skipped
 * (77) unless QUANTUM_BINARY names the program. TEST_SECONDS, TEST_FAULTS and TEST_SEED make it a longer run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/binance/binance.h"
#include "venue/binance/tape.h"

enum { SEEN_MAX = 1 << 16 };

struct live {
    pid_t pid;
    char dir[64], url[64], key[128], secret[128], ca[96];
    struct binance *b;
    struct venue_event seen[SEEN_MAX];
    uint32_t count, bars, ticks, marks, reconciled, btc;
    struct binance_reconciliation what;
};

static void on_venue(void *context, const struct venue_event *e) {
    struct live *l = context;
    assert_true(l->count < SEEN_MAX);
    l->seen[l->count++] = *e;
}
static void on_bar(void *context, uint32_t i, const struct bar *bar) {
    (void)i, (void)bar;
    ((struct live *)context)->bars++;
}
static void on_tick(void *context, uint32_t i, int64_t ts, uint64_t id, px_t px, qty_t qty) {
    (void)i, (void)ts, (void)id, (void)px, (void)qty;
    ((struct live *)context)->ticks++;
}
static void on_mark(void *context, uint32_t i, int64_t ts, px_t mark, rate_t rate, int64_t next) {
    (void)i, (void)ts, (void)mark, (void)rate, (void)next;
    ((struct live *)context)->marks++;
}
static void on_reconciled(void *context, const struct binance_reconciliation *what) {
    struct live *l = context;
    l->what = *what;
    l->reconciled++;
}

static void text_field(const char *json, const char *name, char *out, size_t size) {
    struct json_reader r;
    struct json_text key;
    out[0] = '\0';
    json_reader_init(&r, json, strlen(json));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, name)) {
            struct json_text t = json_string(&r);
            assert_int_equal(json_text_copy(out, size, NULL, &t), ST_OK);
        } else {
            json_skip(&r);
        }
    }
}

static struct live *live_open(bool tls, const char *faults) {
    struct live *l = calloc(1, sizeof *l);
    char line[1024];
    int ends[2];
    assert_non_null(l);
    snprintf(l->dir, sizeof l->dir, "/tmp/client_live.XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    assert_int_equal(pipe(ends), 0);
    l->pid = fork();
    assert_true(l->pid >= 0);
    if (l->pid == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        const char *binary = getenv("QUANTUM_BINARY");
        const char *args[16] = {binary,    "exchange", "--port",         "0", "--print-ready",
                                "--state", l->dir,     "--history-days", "1", "--faults",
                                faults};
        int n = 11;
        if (tls) args[n++] = "--tls";
        if (binary) execv(binary, (char *const *)args);
        _exit(127);
    }
    close(ends[1]);
    FILE *f = fdopen(ends[0], "r");
    assert_non_null(f);
    if (!fgets(line, sizeof line, f)) fail_msg("the exchange did not say that it serves");
    fclose(f);
    text_field(line, "url", l->url, sizeof l->url);
    text_field(line, "api_key", l->key, sizeof l->key);
    text_field(line, "api_secret", l->secret, sizeof l->secret);
    text_field(line, "ca_file", l->ca, sizeof l->ca);
    return l;
}

static void live_close(struct live *l) {
    int status;
    char command[128];
    binance_destroy(l->b);
    kill(l->pid, SIGINT);
    assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(command, sizeof command, "rm -rf '%s'", l->dir);
    assert_int_equal(system(command), 0);
    free(l);
}

static void live_client(struct live *l, const char *tape) {
    struct binance_options o = binance_options_defaults();
    struct err err = {0};
    o.rest_url = l->url;
    o.api_key = l->key;
    o.api_secret = l->secret;
    o.ca_file = l->ca[0] ? l->ca : NULL;
    o.tape_file = tape;
    o.handlers = (struct binance_handlers){.context = l,
                                           .on_venue = on_venue,
                                           .on_bar = on_bar,
                                           .on_tick = on_tick,
                                           .on_mark = on_mark,
                                           .on_reconciled = on_reconciled};
    if (binance_create(&l->b, &o, &err) != ST_OK) fail_msg("%s", err.text);
    if (binance_load(l->b, 30 * NS_PER_SECOND, &err) != ST_OK) fail_msg("load: %s", err.text);
    if (binance_start(l->b, NULL, 0, NULL, 0, 30 * NS_PER_SECOND, &err) != ST_OK)
        fail_msg("start: %s", err.text);
    while (strcmp(binance_instruments(l->b)[l->btc].symbol, "BTCUSDT") != 0) l->btc++;
}

static void live_run(struct live *l, int64_t ns) {
    int64_t until = tstamp_monotonic_ns() + ns;
    while (tstamp_monotonic_ns() < until) binance_poll(l->b, until);
}

/* Until so many events of that kind were told of the id, at most 20 s. */
static void live_wait(struct live *l, const char *id, enum venue_event_kind kind) {
    int64_t until = tstamp_monotonic_ns() + 20 * NS_PER_SECOND;
    for (;;) {
        for (uint32_t i = 0; i < l->count; i++)
            if (l->seen[i].kind == kind && strcmp(l->seen[i].client_order_id, id) == 0) return;
        if (tstamp_monotonic_ns() >= until) fail_msg("%s: event %d did not come", id, kind);
        binance_poll(l->b, until);
    }
}

static void submit(struct live *l, const char *id, enum side side, enum order_type type, double qty,
                   double px, enum binance_lane lane) {
    struct venue_command c = {.kind = COMMAND_ORDER_SUBMIT,
                              .side = (uint8_t)side,
                              .order_type = (uint8_t)type,
                              .instrument_index = l->btc,
                              .order_qty = {fx_from_f64(qty)}};
    const struct instrument *in = &binance_instruments(l->b)[l->btc];
    int64_t at = px > 0 ? fx_snap_nearest(fx_from_f64(px), in->tick_size.e8) : 0;
    if (type == ORDER_LIMIT)
        c.limit_px.e8 = at;
    else
        c.stop_px.e8 = at;
    snprintf(c.client_order_id, sizeof c.client_order_id, "%s", id);
    assert_int_equal(binance_submit(l->b, &c, lane), ST_OK);
}

static void cancel(struct live *l, const char *id, enum order_type type) {
    struct venue_command c = {
        .kind = COMMAND_ORDER_CANCEL, .order_type = (uint8_t)type, .instrument_index = l->btc};
    snprintf(c.client_order_id, sizeof c.client_order_id, "%s", id);
    assert_int_equal(binance_submit(l->b, &c, LANE_EXIT), ST_OK);
}

static void trade_once(struct live *l) {
    submit(l, "m-1", SIDE_BUY, ORDER_MARKET, 0.01, 0, LANE_ENTRY);
    live_wait(l, "m-1", VENUE_ORDER_TRADE);
    double px = px_to_f64(l->seen[l->count - 1].last_px);
    submit(l, "s-1", SIDE_SELL, ORDER_STOP_MARKET, 0.01, px * 0.97, LANE_PROTECTION);
    live_wait(l, "s-1", VENUE_ORDER_ACCEPTED);
    submit(l, "l-1", SIDE_SELL, ORDER_LIMIT, 0.01, px * 1.03, LANE_EXIT);
    live_wait(l, "l-1", VENUE_ORDER_ACCEPTED);
    cancel(l, "s-1", ORDER_STOP_MARKET);
    cancel(l, "l-1", ORDER_LIMIT);
    live_wait(l, "s-1", VENUE_ORDER_CANCELED);
    live_wait(l, "l-1", VENUE_ORDER_CANCELED);
    submit(l, "m-2", SIDE_SELL, ORDER_MARKET, 0.01, 0, LANE_EXIT);
    live_wait(l, "m-2", VENUE_ORDER_TRADE);
}

struct tape_seen {
    uint64_t refused, leaked;
    const struct live *live;
};
static bool has(const char *bytes, size_t size, const char *text) {
    return memmem(bytes, size, text, strlen(text)) != NULL;
}
static void tape_frame(void *context, int64_t ts_ns, const char *name, enum status st,
                       const struct stream_event *event, const char *bytes, size_t size) {
    struct tape_seen *t = context;
    (void)ts_ns, (void)name, (void)event;
    t->refused += st != ST_OK;
    t->leaked += has(bytes, size, t->live->secret) || has(bytes, size, t->live->key);
}
static void tape_reply(void *context, int64_t ts_ns, const char *name, int http, enum status st,
                       int32_t code, const char *bytes, size_t size) {
    struct tape_seen *t = context;
    (void)ts_ns, (void)http, (void)code;
    t->refused += st != ST_OK;
    t->leaked += has(bytes, size, t->live->secret) || has(bytes, size, t->live->key) ||
                 strstr(name, "signature") != NULL;
}

/* The session is trade_once; its tape is read back: everything decodes, no secret is in it. */
static void check_session(bool tls) {
    struct live *l = live_open(tls, "none");
    char tape[128];
    struct err err = {0};
    struct binance_stats s;
    snprintf(tape, sizeof tape, "%s/tape", l->dir);
    live_client(l, tape);
    struct bar bars[64];
    size_t bar_count;
    int64_t now = binance_now_ns(l->b);
    assert_int_equal(
        binance_bars(l->b, l->btc, now - 30 * NS_PER_MINUTE, now, bars, 64, &bar_count, &err),
        ST_OK);
    assert_in_range(bar_count, 29, 30);
    trade_once(l);
    live_run(l, 2 * NS_PER_SECOND);
    binance_stats_get(l->b, &s);
    print_message("order round trip p50 %.0f us, p99 %.0f us, %llu requests\n",
                  (double)hist_quantile(&s.round_trip_ns, 0.5) / 1e3,
                  (double)hist_quantile(&s.round_trip_ns, 0.99) / 1e3,
                  (unsigned long long)s.requests);
    assert_int_equal(s.unknown_outcomes, 0);
    assert_int_equal(s.stream_rejected, 0);
    assert_int_equal(s.reconnects, 0);
    assert_true(l->marks > 0);
    binance_destroy(l->b);
    l->b = NULL;
    struct tape_seen seen = {.live = l};
    struct binance_tape_totals totals;
    const struct binance_tape_handlers handlers = {&seen, tape_frame, tape_reply};
    if (binance_tape_replay(tape, &handlers, &totals, &err) != ST_OK) fail_msg("%s", err.text);
    assert_true(totals.frames > 10 && totals.replies > 15);
    assert_int_equal(seen.refused, 0);
    assert_int_equal(seen.leaked, 0);
    live_close(l);
}

static void test_plain(void **state) {
    (void)state;
    check_session(false);
}

static void test_tls(void **state) {
    (void)state;
    check_session(true);
}

/* Orders all the while under faults; then calm, and nothing is left open on either side. */
static void test_faults(void **state) {
    (void)state;
    const char *faults = getenv("TEST_FAULTS"), *seconds = getenv("TEST_SECONDS"),
               *seed = getenv("TEST_SEED");
    struct rng rng = rng_init(seed ? strtoull(seed, NULL, 10) : 1);
    struct live *l = live_open(false, faults ? faults
                                             : "lost_ack=0.05,reset_after=0.05,"
                                               "reset_before=0.05,unknown_done=0.05,"
                                               "unknown_not_done=0.05,late_ack=0.05,"
                                               "stream_drop=0.01,stream_swap=0.02");
    live_client(l, NULL);
    int64_t until =
        tstamp_monotonic_ns() + (seconds ? strtoll(seconds, NULL, 10) : 8) * NS_PER_SECOND;
    uint32_t n = 0;
    while (tstamp_monotonic_ns() < until) {
        char id[32];
        snprintf(id, sizeof id, "f-%u", n);
        submit(l, id, n % 2 ? SIDE_SELL : SIDE_BUY, ORDER_MARKET, 0.002, 0, LANE_EXIT);
        n++;
        live_run(l, (int64_t)rng_below(&rng, 400) * NS_PER_MS);
    }
    live_run(l, 15 * NS_PER_SECOND);
    uint32_t answers = 0;
    qty_t held = {0};
    for (uint32_t i = 0; i < l->count; i++) {
        const struct venue_event *e = &l->seen[i];
        answers += e->kind == VENUE_ORDER_ACCEPTED || e->kind == VENUE_ORDER_REJECTED;
        if (e->kind == VENUE_ORDER_TRADE) held.e8 += side_sign((enum side)e->side) * e->last_qty.e8;
    }
    struct binance_position p;
    struct binance_stats s;
    binance_stats_get(l->b, &s);
    binance_position_get(l->b, l->btc, &p);
    int status = 0;
    if (waitpid(l->pid, &status, WNOHANG) != 0)
        fail_msg("the exchange is gone: %s %d", WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    print_message(
        "%u orders, %u answers, %llu unknown, %llu by query, %llu retries, %llu reconnects, "
        "%u reconciliations\n",
        n, answers, (unsigned long long)s.unknown_outcomes, (unsigned long long)s.resolved_by_query,
        (unsigned long long)s.retries, (unsigned long long)s.reconnects, l->reconciled);
    assert_int_equal(answers, n);
    assert_int_equal(p.qty.e8, held.e8);
    live_close(l);
}

int main(void) {
    if (!getenv("QUANTUM_BINARY")) {
        puts("QUANTUM_BINARY is not set: nothing to talk to");
        return 77;
    }
    const struct CMUnitTest faults[] = {cmocka_unit_test(test_faults)};
    const struct CMUnitTest sessions[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_tls)};
    int failed = cmocka_run_group_tests(faults, NULL, NULL);
    /* Faults of one's own: only what they are for. */
    if (!getenv("TEST_FAULTS")) failed += cmocka_run_group_tests(sessions, NULL, NULL);
    return failed;
}
