/* The server over real sockets: every endpoint, every refusal, and clients that misbehave. */
#include <arpa/inet.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/test_http.h"
#include "store/tradedb.h"

enum { CONCURRENT = 100 };

/* ---- health ---- */

static void health_shows_the_eight_fields_and_the_rest(void **state) {
    struct world *w = *state;
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "service"), "ai-engine-service");
    assert_string_equal(text_at(h, "status"), "OK");
    assert_true(number_at(h, "uptime_seconds") >= 0);
    assert_int_equal((int)number_at(h, "models_loaded"), 1);
    assert_true(json_is_true(at(h, "ensemble_enabled")));
    assert_true(json_is_false(at(h, "meta_strategy_enabled")));
    assert_true(json_is_false(at(h, "rl_sizing_enabled")));
    assert_true(json_is_false(at(h, "governance_active")));
    /* and in this order, first */
    static const char *const first[] = {"service",           "status",
                                        "uptime_seconds",    "models_loaded",
                                        "ensemble_enabled",  "meta_strategy_enabled",
                                        "rl_sizing_enabled", "governance_active"};
    void *field = json_object_iter(h);
    for (int i = 0; i < 8; i++, field = json_object_iter_next(h, field))
        assert_string_equal(json_object_iter_key(field), first[i]);

    assert_string_equal(text_at(h, "version"), "0.1.0");
    assert_string_equal(text_at(h, "commit"), "0123456789ab");
    assert_int_equal((int)number_at(h, "pid"), getpid());
    assert_int_equal(json_array_size(at(h, "reasons")), 0);
    assert_int_equal(json_array_size(at(h, "roles")), 8);
    assert_string_equal(text_at(at(at(h, "models"), "xgboost"), "state"), "loaded");
    assert_string_equal(text_at(at(at(h, "models"), "patchtst"), "state"), "absent");
    assert_int_equal((int)number_at(at(at(h, "models"), "xgboost"), "rounds"), 87);
    assert_string_equal(text_at(at(at(h, "models"), "xgboost"), "params"),
                        "objective=multi:softprob,num_class=3");
    json_t *apart = at(h, "disagreement");
    assert_int_equal((int)number_at(apart, "decisions"), 800);
    assert_int_equal((int)number_at(apart, "differ"), 96);
    assert_true(number_at(apart, "differ_share") == 0.12);
    assert_true(number_at(apart, "p_distance") == 0.03125);
    json_t *components = at(h, "components");
    int loaded = 0;
    const char *key;
    json_t *value;
    json_object_foreach(components, key, value) {
        loaded += strcmp(text_at(value, "state"), "loaded") == 0;
        assert_true(strlen(text_at(value, "evidence")) > 5);
    }
    assert_int_equal(json_object_size(components), 12);
    assert_int_equal(loaded, (int)number_at(h, "models_loaded"));
    assert_string_equal(text_at(at(at(h, "dependencies"), "eventbus"), "status"), "OK");
    assert_string_equal(text_at(at(at(h, "dependencies"), "trade_journal"), "status"), "ABSENT");
    json_decref(h);
}

static void health_follows_the_evidence(void **state) {
    struct world *w = *state;
    int64_t now = tstamp_wall_ns();
    static const char *const roles[] = {"feed", "engine", "bot", "executor", "monitor", "exchange"};
    for (int i = 0; i < 6; i++) { /* each of them stopped, alone */
        struct view *v = view_begin(w->box);
        fixture_fill(v, now);
        v->roles[i].last_work_wall_ns = now - 3600 * NS_PER_SECOND;
        view_publish(w->box);
        json_t *h = get_json(w->port, "/health", 200);
        assert_string_equal(text_at(h, "status"), "DEGRADED");
        assert_int_equal(json_array_size(at(h, "reasons")), 1);
        assert_non_null(strstr(json_string_value(json_array_get(at(h, "reasons"), 0)), roles[i]));
        json_t *role = json_array_get(at(h, "roles"), (size_t)i);
        assert_string_equal(text_at(role, "name"), roles[i]);
        assert_string_equal(text_at(role, "state"), "STALE");
        assert_true(number_at(role, "age_ms") >= 3600e3);
        json_decref(h);
        json_decref(get_json(w->port, "/health/ready", 503));
    }
    publish(w);
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "OK");
    assert_string_equal(text_at(json_array_get(at(h, "roles"), 6), "state"), "ON_DEMAND");
    json_decref(h);
    json_decref(get_json(w->port, "/health/ready", 200));
}

/* What a forest has not, and what nobody has measured yet, is null, and no line in the metrics. */
static void a_network_has_figures_a_forest_has_not(void **state) {
    struct world *w = *state;
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_network(&v->models[MODEL_NHITS]);
    view_publish(w->box);
    json_t *h = get_json(w->port, "/health", 200);
    json_t *forest = at(at(h, "models"), "xgboost"), *network = at(at(h, "models"), "nhits");
    static const char *const only[] = {"weights", "mse_path", "mse_persistence", "mse_dlinear"};
    static const double figures[] = {123456, 0.75, 1.25, 1.125};
    for (int i = 0; i < 4; i++) {
        assert_true(json_is_null(at(forest, only[i])));
        assert_true(number_at(network, only[i]) == figures[i]);
    }
    assert_true(number_at(forest, "predict_ns_p99") == 41000);
    assert_true(json_is_null(at(network, "predict_ns_p50")));
    assert_true(json_is_null(at(network, "predict_ns_p99")));
    assert_int_equal((int)number_at(h, "models_loaded"), 2);
    json_decref(h);
    struct reply r = get(w->port, "/metrics");
    assert_non_null(strstr(r.body, "quantum_model_loaded{model=\"nhits\"} 1"));
    assert_non_null(strstr(r.body, "quantum_model_loaded{model=\"patchtst\"} 0"));
    assert_non_null(strstr(r.body, "quantum_model_skilled{model=\"nhits\"} 1"));
    assert_non_null(strstr(
        r.body, "quantum_model_predict_seconds{model=\"xgboost\",quantile=\"0.99\"} 4.1e-05"));
    assert_null(strstr(r.body, "quantum_model_predict_seconds{model=\"nhits\""));
    reply_free(&r);
}

static void a_model_that_goes_is_seen(void **state) {
    struct world *w = *state;
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    memset(&v->models[MODEL_XGBOOST], 0, sizeof v->models[0]);
    view_publish(w->box);
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "DEGRADED");
    assert_int_equal((int)number_at(h, "models_loaded"), 0);
    assert_string_equal(text_at(at(at(h, "models"), "xgboost"), "state"), "absent");
    json_decref(h);

    v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    v->models[MODEL_XGBOOST].has_skill = 0;
    v->models[MODEL_NHITS] = v->models[MODEL_XGBOOST];
    view_publish(w->box);
    h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "DEGRADED"); /* two loaded, none may vote */
    assert_int_equal((int)number_at(h, "models_loaded"), 2);
    assert_string_equal(text_at(at(at(h, "models"), "nhits"), "state"), "no_skill");
    json_decref(h);
}

static void silence_and_the_end_are_degraded(void **state) {
    struct world *w = *state;
    fixture_fill(view_begin(w->box), tstamp_wall_ns() - 30 * NS_PER_SECOND);
    view_publish(w->box);
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "DEGRADED");
    json_decref(h);
    expect_error(post(w->port, "{\"symbol\":\"BTCUSDT\"}"), 503, "silent");
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    v->running = 0;
    view_publish(w->box);
    json_decref(get_json(w->port, "/health/ready", 503));
    expect_error(post(w->port, "{\"symbol\":\"BTCUSDT\"}"), 503, "ended");
}

static void before_the_first_publication(void **state) {
    struct world *w = *state;
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "DEGRADED");
    assert_int_equal((int)number_at(h, "models_loaded"), 0);
    assert_true(json_is_false(at(h, "ensemble_enabled")));
    json_decref(h);
    json_decref(get_json(w->port, "/health/live", 200));
    json_t *ready = get_json(w->port, "/health/ready", 503);
    assert_string_equal(text_at(ready, "status"), "not ready");
    json_decref(ready);
    static const char *const lists[] = {"/api/positions", "/api/orders", "/api/signals",
                                        "/api/trades", "/api/equity"};
    for (int i = 0; i < 5; i++) {
        struct reply list = get(w->port, lists[i]);
        assert_non_null(strcasestr(list.head, "\r\nretry-after:"));
        expect_error(list, 503, "nothing published");
    }
    expect_error(get(w->port, "/api/state"), 503, "nothing published");
    struct reply r = post(w->port, "{\"symbol\":\"BTCUSDT\"}");
    assert_non_null(strcasestr(r.head, "\r\nretry-after:"));
    expect_error(r, 503, "nothing published");
}

/* ---- reports ---- */

static void file_put(const struct world *w, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void file_drop(const struct world *w, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    assert_int_equal(unlink(path), 0);
}

static void reports_are_listed_and_served(void **state) {
    struct world *w = *state;
    static const char *const names[] = {"trades-000050.html", "trades-000100.html",
                                        "status-000100.html", "trades-000150.html.tmp",
                                        "trades-50.html",     "secret.html"};
    json_t *list = get_json(w->port, "/api/reports", 200);
    assert_int_equal(json_array_size(at(list, "data")), 0);
    json_decref(list);
    for (int i = 0; i < 6; i++) file_put(w, names[i], names[i]);
    list = get_json(w->port, "/api/reports", 200);
    json_t *data = at(list, "data");
    assert_int_equal(json_array_size(data), 2);
    json_t *newest = json_array_get(data, 0), *oldest = json_array_get(data, 1);
    assert_int_equal((int)number_at(newest, "trades"), 100);
    assert_string_equal(text_at(newest, "report"), "/reports/trades-000100.html");
    assert_string_equal(text_at(newest, "status"), "/reports/status-000100.html");
    assert_true(number_at(newest, "written") > 1.7e12);
    assert_int_equal((int)number_at(oldest, "trades"), 50);
    assert_true(json_is_null(at(oldest, "status")));
    json_decref(list);
    struct reply r = get(w->port, "/reports/trades-000050.html");
    assert_int_equal(r.code, 200);
    assert_string_equal(r.body, "trades-000050.html");
    assert_non_null(strcasestr(r.head, "text/html"));
    assert_non_null(strcasestr(r.head, "style-src 'unsafe-inline'"));
    assert_null(strcasestr(r.head, "script-src"));
    reply_free(&r);
    static const char *const refused[] = {"/reports/",
                                          "/reports/trades-000200.html",
                                          "/reports/trades-50.html",
                                          "/reports/secret.html",
                                          "/reports/trades-000150.html.tmp",
                                          "/reports/../trades.sqlite",
                                          "/reports/trades-/../secret.html",
                                          "/reports/trades-000050.html/..",
                                          "/reports/%74rades-000050.html"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        r = get(w->port, refused[i]);
        if (r.code != 404 && r.code != 400) fail_msg("%s: %d", refused[i], r.code);
        reply_free(&r);
    }
    for (int i = 0; i < 6; i++) file_drop(w, names[i]);
}

/* ---- signals ---- */

static void a_buy_is_answered_in_full(void **state) {
    struct world *w = *state;
    struct reply r = post(w->port, "{\"symbol\":\"BTCUSDT\",\"price\":82789.0,\"volume\":12,"
                                   "\"timeframe\":\"1h\",\"include_reasoning\":true}");
    assert_int_equal(r.code, 200);
    json_t *s = parsed(&r);
    assert_string_equal(text_at(s, "symbol"), "BTCUSDT");
    assert_string_equal(text_at(s, "action"), "BUY");
    assert_true(number_at(s, "confidence") == 0.55);
    assert_true(number_at(s, "ensemble_confidence") == 0.55);
    assert_string_equal(text_at(s, "strategy"), "ensemble");
    assert_string_equal(text_at(s, "regime"), "unknown");
    assert_string_equal(text_at(s, "regime_reason"), "a rule trades");
    assert_true(number_at(s, "position_size_usd") == 413.945);
    assert_true(number_at(s, "leverage") == 3);
    assert_true(number_at(s, "stop_loss") == 81133.22);
    assert_true(number_at(s, "take_profit") == 85272.67);
    assert_string_equal(text_at(s, "signal_id"), "9007199254740993");
    const int64_t market_ms = FIXTURE_MARKET_NS / NS_PER_MS;
    const int64_t expires_ms = market_ms + NS_PER_HOUR / NS_PER_MS;
    assert_true(number_at(s, "timestamp") == (double)market_ms);
    assert_true(number_at(s, "expires") == (double)expires_ms);
    assert_true(json_is_true(at(s, "synthetic")));
    json_t *votes = at(s, "model_votes");
    assert_string_equal(text_at(at(votes, "xgboost"), "state"), "present");
    assert_string_equal(text_at(at(votes, "xgboost"), "action"), "BUY");
    assert_string_equal(text_at(at(votes, "lightgbm"), "state"), "no_skill");
    assert_null(json_object_get(at(votes, "nhits"), "p"));
    assert_true(number_at(at(s, "weights"), "xgboost") == 1.0);
    assert_int_equal(json_array_size(at(s, "ignored")),
                     2); /* price, volume; 1h is the engine's own */
    assert_non_null(strstr(text_at(s, "reasoning"), "xgboost votes BUY (SELL 0.200"));
    assert_non_null(strstr(text_at(s, "reasoning"), "+0.4200 %"));
    json_decref(s);
    reply_free(&r);
}

static void hold_is_an_answer(void **state) {
    struct world *w = *state;
    struct reply r = post(w->port, "{\"symbol\":\"ETHUSDT\"}");
    assert_int_equal(r.code, 200);
    json_t *s = parsed(&r);
    assert_string_equal(text_at(s, "action"), "HOLD");
    assert_true(json_is_null(at(s, "stop_loss")));
    assert_true(json_is_null(at(s, "take_profit")));
    assert_true(number_at(s, "position_size_usd") == 0);
    assert_null(json_object_get(s, "reasoning"));
    json_decref(s);
    reply_free(&r);
}

static void an_expired_signal_proposes_nothing(void **state) {
    struct world *w = *state;
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    v->market_ts_ns = v->symbols[0].signal_expires_ns;
    view_publish(w->box);
    struct reply r = post(w->port, "{\"symbol\":\"BTCUSDT\",\"include_reasoning\":true}");
    assert_int_equal(r.code, 200);
    json_t *s = parsed(&r);
    assert_string_equal(text_at(s, "action"), "HOLD");
    assert_string_equal(text_at(s, "expired_action"), "BUY");
    assert_true(json_is_true(at(s, "expired")));
    assert_true(json_is_null(at(s, "stop_loss")));
    assert_non_null(strstr(text_at(s, "reasoning"), "expired"));
    json_decref(s);
    reply_free(&r);
}

static void bad_bodies_are_named(void **state) {
    struct world *w = *state;
    static const struct {
        const char *body;
        int code;
        const char *part;
    } rows[] = {
        {"", 400, "not JSON"},
        {"{", 400, "not JSON"},
        {"{\"symbol\":\"BTCUSDT\",}", 400, "not JSON"},
        {"{\"symbol\":\"BTCUSDT\"} x", 400, "not JSON"},
        {"{\"symbol\":\"BTC\xff\"}", 400, "not JSON"},
        {"{\"symbol\":\"A\",\"price\":01}", 400, "not JSON"},
        {"[]", 422, "the body must be an object"},
        {"null", 422, "the body must be an object"},
        {"{}", 422, "symbol is missing"},
        {"{\"symbol\":null}", 422, "symbol must be a string, not null"},
        {"{\"symbol\":5}", 422, "symbol must be a string, not a number"},
        {"{\"symbol\":\"\"}", 422, "symbol is empty"},
        {"{\"symbol\":\"btcusdt\"}", 422, "character 1"},
        {"{\"symbol\":\"BTCUSDTBTCUSDTBTCUSDTBTCUSDT\"}", 422, "longer than 23"},
        {"{\"symbol\":\"A\",\"symbol\":\"B\"}", 422, "twice"},
        {"{\"symbol\":\"A\",\"price\":\"1\"}", 422, "price must be a number, not a string"},
        {"{\"symbol\":\"A\",\"price\":0}", 422, "price must be > 0"},
        {"{\"symbol\":\"A\",\"price\":1e999}", 422, "price"},
        {"{\"symbol\":\"A\",\"volume\":-1}", 422, "volume must be >= 0"},
        {"{\"symbol\":\"A\",\"timeframe\":\"soon\"}", 422, "timeframe"},
        {"{\"symbol\":\"A\",\"include_reasoning\":1}", 422, "include_reasoning"},
        {"{\"symbol\":\"DOGEUSDT\"}", 404, "unknown symbol DOGEUSDT"},
        {"{\"symbol\":\"SOLUSDT\"}", 503, "12 more bars"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_error(post(w->port, rows[i].body), rows[i].code, rows[i].part);

    struct reply r = post(w->port, "{\n\"symbol\": oops}");
    json_t *error = parsed(&r);
    assert_int_equal((int)number_at(error, "line"), 2);
    assert_int_equal((int)number_at(error, "offset"), 12);
    json_decref(error);
    reply_free(&r);

    r = post(w->port, "{\"symbol\":\"SOLUSDT\"}");
    /* 12 bars of an hour at 60 market seconds a second */
    assert_non_null(strcasestr(r.head, "\r\nretry-after: 720\r\n"));
    reply_free(&r);
}

static const char CHUNKED[] = "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n"
                              "a\r\n{\"symbol\":\r\na\r\n\"BTCUSDT\"}\r\n0\r\n\r\n";

static void bodies_have_a_limit_and_a_type(void **state) {
    struct world *w = *state;
    char big[16384 + 1];
    memset(big, ' ', sizeof big);
    memcpy(big, "{\"symbol\":\"BTCUSDT\"}", 20);
    struct reply r = post_as(w->port, "", big, 16384); /* the limit itself is fine, as is no type */
    assert_int_equal(r.code, 200);
    reply_free(&r);
    expect_error(post_as(w->port, "", big, 16385), 413, "16384");
    expect_error(post_as(w->port, "Content-Type: text/plain\r\n", big, 20), 415,
                 "application/json");
    r = post_as(w->port, "Content-Type: application/json; charset=utf-8\r\n", big, 20);
    assert_int_equal(r.code, 200);
    reply_free(&r);
    r = post_as(w->port, "Content-Type: application/x-www-form-urlencoded\r\n", big, 20);
    assert_int_equal(r.code, 200);
    reply_free(&r);
    expect_error(ask(w->port, "POST", "/api/ai/signal", ""), 411, "Content-Length");
    r = ask_raw(w->port, CHUNKED, sizeof CHUNKED - 1, false);
    assert_int_equal(r.code, 200);
    reply_free(&r);
    /* What is no HTTP, or far too long, is refused by the server below us, in a plain line. */
    r = ask(w->port, "POST", "/api/ai/signal", "Content-Length: -5\r\n");
    assert_int_equal(r.code, 400);
    reply_free(&r);
    r = ask(w->port, "POST", "/api/ai/signal", "Content-Length: 999999999999999999\r\n");
    assert_int_equal(r.code, 413);
    reply_free(&r);
}

/* ---- lists ---- */

static void lists_carry_their_stamp(void **state) {
    struct world *w = *state;
    static const struct {
        const char *path;
        size_t rows;
    } lists[] = {{"/api/positions", 2}, {"/api/orders", 3}, {"/api/signals", 3}};
    for (int i = 0; i < 3; i++) {
        json_t *list = get_json(w->port, lists[i].path, 200);
        assert_true(json_is_integer(at(list, "as_of")));
        assert_true(json_is_true(at(list, "synthetic")));
        assert_string_equal(text_at(list, "mode"), "paper");
        assert_true(number_at(list, "speed") == 60);
        assert_int_equal(json_array_size(at(list, "data")), lists[i].rows);
        json_decref(list);
    }
    json_t *list = get_json(w->port, "/api/positions", 200);
    json_t *p = json_array_get(at(list, "data"), 0);
    assert_string_equal(text_at(p, "symbol"), "BTCUSDT");
    assert_string_equal(text_at(p, "side"), "BUY");
    assert_string_equal(text_at(p, "qty"), "0.005");
    assert_string_equal(text_at(p, "entry_px"), "82000");
    assert_string_equal(text_at(p, "stop_px"), "80360");
    assert_string_equal(text_at(p, "unrealized_pnl"), "3.945");
    assert_true(json_is_true(at(p, "protected")));
    json_t *exits = at(p, "exit_brain");
    assert_string_equal(text_at(exits, "profile"), "trend");
    assert_string_equal(text_at(exits, "word"), "stay");
    assert_true(number_at(exits, "p_side") == 0.3125 && number_at(exits, "p_other") == 0.4375);
    assert_true(number_at(exits, "against_closes") == 1);
    assert_true(number_at(exits, "unsuited_closes") == 2);
    assert_true(json_is_null(at(json_array_get(at(list, "data"), 1), "exit_brain")));
    json_decref(list);
    list = get_json(w->port, "/api/orders", 200);
    json_t *o = json_array_get(at(list, "data"), 1);
    assert_string_equal(text_at(o, "order_type"), "STOP_MARKET");
    assert_string_equal(text_at(o, "order_status"), "NEW");
    assert_true(json_is_null(at(o, "limit_px")));
    json_decref(list);
}

static void history_comes_from_the_trade_journal(void **state) {
    struct world *w = *state;
    json_t *list = get_json(w->port, "/api/trades", 200); /* nothing written yet */
    assert_int_equal(json_array_size(at(list, "data")), 0);
    json_decref(list);

    struct err err = {ST_OK, ""};
    struct tradedb *db;
    if (tradedb_open(&db, w->trades, false, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(tradedb_begin(db, &err), ST_OK);
    for (uint64_t id = 1; id <= 30; id++) {
        struct trade_closed t;
        fixture_trade(&t, id);
        assert_int_equal(tradedb_trade_put(db, &t, &err), ST_OK);
        assert_int_equal(
            tradedb_equity_put(db, t.exit_ts_ns, money_e8(1), money_e8(2), money_e8(3), &err),
            ST_OK);
    }
    assert_int_equal(tradedb_commit(db, &err), ST_OK);

    list = get_json(w->port, "/api/trades?limit=10", 200);
    json_t *data = at(list, "data");
    assert_int_equal(json_array_size(data), 10);
    assert_string_equal(text_at(json_array_get(data, 0), "trade_id"), "21");
    json_t *last = json_array_get(data, 9);
    assert_string_equal(text_at(last, "trade_id"), "30");
    assert_string_equal(text_at(last, "net_pnl"), "11.8818"); /* 12.3 - 0.41 - 0.0082 */
    assert_string_equal(text_at(last, "exit_reason"), "take_profit");
    assert_string_equal(text_at(last, "arm"), "scalp");
    assert_int_equal(json_integer_value(at(last, "targets")), 2);
    assert_true(json_number_value(at(last, "drawdown_max")) == 0.0125);
    json_decref(list);
    list = get_json(w->port, "/api/equity?limit=1000", 200);
    assert_int_equal(json_array_size(at(list, "data")), 30);
    assert_string_equal(text_at(json_array_get(at(list, "data"), 29), "equity"), "0.00000002");
    json_decref(list);
    tradedb_close(db);

    expect_error(get(w->port, "/api/trades?limit=0"), 400, "from 1 to 1000");
    expect_error(get(w->port, "/api/trades?limit=1001"), 400, "from 1 to 1000");
    expect_error(get(w->port, "/api/trades?limit=-1"), 400, "from 1");
    expect_error(get(w->port, "/api/equity?limit=ten"), 400, "from 1 to 10000");
}

static void state_is_one_snapshot(void **state) {
    struct world *w = *state;
    json_t *s = get_json(w->port, "/api/state", 200);
    assert_int_equal(json_array_size(at(s, "positions")), 2);
    assert_int_equal(json_array_size(at(s, "orders")), 3);
    assert_int_equal(json_array_size(at(s, "signals")), 3);
    assert_int_equal(json_array_size(at(s, "trades")), 5);
    assert_int_equal(json_array_size(at(s, "equity_curve")), 300);
    assert_int_equal(json_array_size(at(s, "refusals")), 2);
    assert_string_equal(text_at(at(s, "health"), "status"), "OK");
    json_t *summary = at(s, "recent_summary");
    assert_int_equal((int)number_at(summary, "n"), 5);
    assert_int_equal((int)number_at(summary, "wins"), 2);
    /* Wilson interval of 2 of 5, from the formula by hand: centre .4565, half width .3393 */
    assert_true(number_at(summary, "win_rate_low") > 0.1176 &&
                number_at(summary, "win_rate_low") < 0.1177);
    assert_true(number_at(summary, "win_rate_high") > 0.7692 &&
                number_at(summary, "win_rate_high") < 0.7693);
    json_decref(s);
}

/* ---- metrics ---- */

static void metrics_please_promtool(void **state) {
    struct world *w = *state;
    struct reply r = post(w->port, "{\"symbol\":\"BTCUSDT\"}");
    reply_free(&r);
    expect_error(post(w->port, "{"), 400, "JSON");
    r = get(w->port, "/metrics");
    assert_int_equal(r.code, 200);
    assert_non_null(strcasestr(r.head, "\r\ncontent-type: text/plain; version=0.0.4"));
    static const char *const lines[] = {
        "http_requests_total{method=\"POST\",path=\"/api/ai/signal\",code=\"200\"} 1\n",
        "http_requests_total{method=\"POST\",path=\"/api/ai/signal\",code=\"400\"} 1\n",
        "http_request_duration_seconds_count{path=\"/api/ai/signal\"} 2\n",
        "http_requests_in_progress 1\n", /* this one */
        "eventbus_messages_published_total 640\n",
        "eventbus_messages_consumed_total 639\n",
        "eventbus_queue_lag 1\n",
        "trades_executed_total 5\n",
        "positions_open 2\n",
        "portfolio_value_usd 9989.5432",
        "signals_generated_total{model=\"ensemble\"} 600\n",
        "quantum_ensemble_decisions_total{agreed=\"no\"} 96\n",
        "quantum_ensemble_distance 0.03125\n",
        "risk_gate_decisions_total{decision=\"allow\",reason=\"none\"} 17\n",
        "risk_gate_decisions_total{decision=\"deny\",reason=\"EDGE_BELOW_COST\"} 20\n",
        "errors_total{component=\"http\"} 0\n",
        "service_health_status{role=\"engine\"} 1\n",
        "dependency_health_status{dependency=\"kernel\"} 1\n",
        "quantum_time_to_protected_seconds_bucket{le=\"0.05\"} 0\n",
        "quantum_time_to_protected_seconds_bucket{le=\"0.1\"} 5\n",
        "quantum_time_to_protected_seconds_bucket{le=\"0.3\"} 7\n",
        "quantum_time_to_protected_seconds_bucket{le=\"60\"} 7\n",
        "quantum_time_to_protected_seconds_bucket{le=\"+Inf\"} 8\n",
        "quantum_time_to_protected_seconds_sum 91\n",
        "quantum_time_to_protected_seconds_count 8\n",
        "quantum_time_to_protected_p99_seconds 0.24\n",
        "quantum_protection_interrupted_total 3\n",
        "quantum_protection_interrupted_max_seconds 42\n",
        "quantum_positions_unprotected 0\n",
        "quantum_journal_sequence 12345\n",
        "quantum_market_timestamp_seconds 1766268060\n",
        "quantum_bars_total 900\n",
        "venue_rejects_total 1\n",
        "positions_reduced_total 2\n",
        "quantum_exit_profiles_total{profile=\"trend\"} 7\n",
        "quantum_exit_advice_total{advice=\"edge_gone\"} 3\n",
        "quantum_exit_advice_total{advice=\"stop_nearer\"} 4\n",
        "quantum_venue_rejects_total{code=\"-4014\"} 1\n",
        "quantum_position_incidents_total{what=\"taken_in\"} 3\n",
        "quantum_position_incidents_total{what=\"no_room\"} 0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(r.body, lines[i])) fail_msg("no line %s in\n%s", lines[i], r.body);

    FILE *tool =
        popen("promtool check metrics 2>&1 >&2", "w"); /* missing promtool: 127, a failure */
    assert_non_null(tool);
    assert_int_equal(fwrite(r.body, 1, r.body_size, tool), r.body_size);
    int status = pclose(tool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    reply_free(&r);
}

/* ---- the page, and the rules of the house ---- */

static void the_page_is_in_the_binary(void **state) {
    struct world *w = *state;
    static const struct {
        const char *path, *type, *part;
    } files[] = {{"/", "text/html", "<script src=\"/app.js\" defer></script>"},
                 {"/app.js", "text/javascript", "/api/state"},
                 {"/style.css", "text/css", "prefers-color-scheme"},
                 {"/icon.svg", "image/svg+xml", "<svg"}};
    for (int i = 0; i < 4; i++) {
        struct reply r = get(w->port, files[i].path);
        assert_int_equal(r.code, 200);
        assert_non_null(strstr(r.head, files[i].type));
        if (!strstr(r.body, files[i].part)) fail_msg("%s lacks %s", files[i].path, files[i].part);
        assert_non_null(strcasestr(r.head, "content-security-policy: default-src 'none'"));
        assert_non_null(strcasestr(r.head, "x-content-type-options: nosniff"));
        assert_null(strcasestr(r.head, "\r\nserver:"));
        reply_free(&r);
    }
    struct reply r = get(w->port, "/"); /* nothing the policy would block */
    assert_null(strstr(r.body, "onclick="));
    assert_null(strstr(r.body, "style="));
    assert_null(strstr(r.body, "http://"));
    assert_null(strstr(r.body, "https://"));
    reply_free(&r);
}

static void paths_and_methods_are_checked(void **state) {
    struct world *w = *state;
    expect_error(get(w->port, "/nothing"), 404, "no such path");
    expect_error(get(w->port, "/health/"), 404, "no such path");
    expect_error(get(w->port, "/../../etc/passwd"), 404, "no such path");
    expect_error(get(w->port, "/%2e%2e/etc/passwd"), 404, "no such path");
    expect_error(get(w->port, "/api/ai/signal"), 405, "POST");
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    for (int i = 0; i < 5; i++) {
        struct reply r = ask(w->port, methods[i], "/health", "Content-Length: 0\r\n");
        assert_non_null(strcasestr(r.head, "\r\nallow: GET, HEAD\r\n"));
        expect_error(r, 405, "GET, HEAD");
    }
    struct reply r = ask(w->port, "PUT", "/api/ai/signal", "Content-Length: 0\r\n");
    assert_non_null(strcasestr(r.head, "\r\nallow: POST\r\n"));
    expect_error(r, 405, "POST");
}

static bool ended(int fd) {
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

static void head_is_get_without_a_body(void **state) {
    struct world *w = *state;
    static const char *const paths[] = {"/", "/health", "/metrics", "/api/state"};
    for (int i = 0; i < 4; i++) {
        int fd = dial(w->port);
        char request[128];
        int n = snprintf(request, sizeof request,
                         "HEAD %s HTTP/1.1\r\nHost: localhost\r\nConnection: "
                         "close\r\n\r\n",
                         paths[i]);
        put(fd, request, (size_t)n);
        struct reply head = take(fd, true);
        assert_int_equal(head.code, 200);
        const char *length = strcasestr(head.head, "\r\ncontent-length:");
        assert_non_null(length);
        assert_true(strtoul(length + 17, NULL, 10) > 10);
        assert_true(ended(fd)); /* and nothing behind the headers */
        reply_free(&head);
        close(fd);
    }
}

static void hosts_are_checked(void **state) {
    struct world *w = *state;
    static const struct {
        const char *host;
        int code;
    } rows[] = {{"Host: 127.0.0.1:8001", 200},
                {"Host: localhost", 200},
                {"Host: LOCALHOST:1", 200},
                {"Host: [::1]:8001", 200},
                {"Host: evil.example", 403},
                {"Host: evil.example:8001", 403},
                {"Host: 127.0.0.1.evil.example", 403},
                {"Host: localhost:80x", 403},
                {"Host: 192.168.1.1", 403},
                {"Host: [::1", 403},
                {"X-None: 1", 400}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char request[256];
        int n =
            snprintf(request, sizeof request, "GET /health HTTP/1.1\r\n%s\r\n\r\n", rows[i].host);
        struct reply r = ask_raw(w->port, request, (size_t)n, false);
        if (r.code != rows[i].code) fail_msg("%s: %d", rows[i].host, r.code);
        reply_free(&r);
    }
}

static void a_token_opens_everything_but_the_page(void **state) {
    (void)state;
    struct world w;
    world_open(&w, &(struct api_config){.token = "s3cret"});
    publish(&w);
    expect_error(get(w.port, "/health"), 401, "bearer");
    expect_error(get(w.port, "/metrics"), 401, "bearer");
    expect_error(post(w.port, "{\"symbol\":\"BTCUSDT\"}"), 401, "bearer");
    expect_error(ask(w.port, "GET", "/api/state", "Authorization: Bearer s3cre\r\n"), 401,
                 "bearer");
    expect_error(ask(w.port, "GET", "/api/state", "Authorization: Bearer s3crets3cret\r\n"), 401,
                 "bearer");
    expect_error(ask(w.port, "GET", "/api/state", "Authorization: Basic s3cret\r\n"), 401,
                 "bearer");
    struct reply r = ask(w.port, "GET", "/api/state", "Authorization: Bearer s3cret\r\n");
    assert_int_equal(r.code, 200);
    reply_free(&r);
    static const char *const open_paths[] = {"/", "/app.js", "/style.css", "/health/live"};
    for (int i = 0; i < 4; i++) {
        r = get(w.port, open_paths[i]);
        assert_int_equal(r.code, 200);
        reply_free(&r);
    }
    world_close(&w);
}

/* ---- starting ---- */

static void a_port_in_use_is_named(void **state) {
    struct world *w = *state;
    struct api_config c = config_of(w);
    c.port = w->port;
    struct err err = {ST_OK, ""};
    struct api *second = NULL;
    assert_int_equal(api_start(&second, &c, &err), ST_EXISTS);
    assert_null(second);
    char number[8];
    snprintf(number, sizeof number, "%u", w->port);
    assert_non_null(strstr(err.text, number));
    assert_non_null(strstr(err.text, "in use"));
    c.port = 0;
    c.bind = "not-an-address";
    assert_int_equal(api_start(&second, &c, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "not-an-address"));
    c.bind = "192.0.2.1"; /* TEST-NET: no machine has it */
    assert_int_equal(api_start(&second, &c, &err), ST_INVALID);
    assert_null(second);
    json_decref(get_json(w->port, "/health", 200)); /* the first one is untouched */
}

/* ---- clients that misbehave ---- */

static void a_request_may_come_in_pieces(void **state) {
    struct world *w = *state;
    const char *request = "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n"
                          "{\"symbol\":\"BTCUSDT\"}";
    size_t size = strlen(request);
    int fd = dial(w->port);
    for (size_t i = 0; i < size; i++) { /* byte by byte; every 16 bytes somebody else is served */
        put(fd, request + i, 1);
        if (i % 16 == 0) json_decref(get_json(w->port, "/health/live", 200));
    }
    struct reply r = take(fd, false);
    assert_int_equal(r.code, 200);
    reply_free(&r);
    close(fd);
}

/* A connection is kept, and what comes ahead is answered in its order. */
static void what_is_pipelined_is_answered_in_order(void **state) {
    struct world *w = *state;
    static const char *const get_text = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char *const post_text =
        "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"
        "{\"symbol\":\"BTCUSDT\"}";
    for (int kind = 0; kind < 8; kind++) {
        char three[1024] = "";
        for (int k = 0; k < 3; k++) strcat(three, kind >> k & 1 ? post_text : get_text);
        int fd = dial(w->port);
        put(fd, three, strlen(three));
        for (int k = 0; k < 3; k++) {
            struct reply r = take(fd, false);
            assert_int_equal(r.code, 200);
            assert_non_null(strcasestr(r.head, "\r\nconnection: keep-alive\r\n"));
            assert_non_null(strstr(r.body, kind >> k & 1 ? "\"BUY\"" : "ai-engine-service"));
            reply_free(&r);
        }
        close(fd);
    }
    json_decref(get_json(w->port, "/health", 200));
}

static void full_view(struct world *w) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    v->symbol_count = INSTRUMENTS_MAX;
    for (uint32_t i = 0; i < INSTRUMENTS_MAX; i++) {
        if (i) v->symbols[i] = v->symbols[0];
        snprintf(v->symbols[i].symbol, SYMBOL_SIZE, "SYMBOL%uUSDTUSDTUSDT", 100 + i);
        for (int k = 0; k < MODEL_COUNT; k++) {
            v->symbols[i].votes[k].state = VOTE_PRESENT;
            for (int l = 0; l < LABEL_COUNT; l++)
                v->symbols[i].votes[k].p[l] = 1.0 / 3.0 + 1e-9 * i;
        }
    }
    v->position_count = VIEW_POSITIONS_MAX;
    for (uint32_t i = 2; i < VIEW_POSITIONS_MAX; i++) v->positions[i] = v->positions[0];
    v->order_count = VIEW_ORDERS_MAX;
    for (uint32_t i = 3; i < VIEW_ORDERS_MAX; i++) v->open_orders[i] = v->open_orders[1];
    v->trade_count = VIEW_TRADES_MAX;
    for (uint32_t i = 5; i < VIEW_TRADES_MAX; i++) v->recent[i] = v->recent[0];
    v->equity_count = VIEW_EQUITY_MAX;
    for (uint32_t i = 300; i < VIEW_EQUITY_MAX; i++) v->equity_curve[i] = v->equity_curve[0];
    view_publish(w->box);
}

/* Twenty clients ask for the largest answer, pipeline more, and do not read. Others are served, and
 * in the end each of the twenty gets its answer whole. */
static void slow_readers_hold_nobody_up(void **state) {
    enum { SLOW = 20 };
    struct world *w = *state;
    int fds[SLOW];
    full_view(w);
    for (int i = 0; i < SLOW; i++) {
        fds[i] = dial_small(w->port);
        for (int k = 0; k < 3; k++)
            put_text(fds[i], "GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for (int i = 0; i < 50; i++) json_decref(get_json(w->port, "/health", 200));
    for (int i = 0; i < SLOW; i++) {
        struct reply r = take(fds[i], false);
        assert_int_equal(r.code, 200);
        json_t *s = parsed(&r);
        assert_int_equal(json_array_size(at(s, "signals")), INSTRUMENTS_MAX);
        json_decref(s);
        reply_free(&r);
        close(fds[i]);
    }
}

static void junk_does_not_hurt(void **state) {
    struct world *w = *state;
    char big[70000];
    memset(big, 'A', sizeof big);
    memcpy(big, "GET /health HTTP/1.1\r\nX: ", 25);
    static const char *const junk[] = {
        "\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* a TLS hello */
        "BREW /coffee HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
        "h2c\r\n"
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{}{}{}{}{}{}",
        "GET /%00%ff%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /?limit=%00&&&=== HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
            int fd = dial(w->port);
            put(fd, junk[i], strlen(junk[i]));
            shutdown(fd, SHUT_WR);
            struct reply r = take(fd, false); /* an answer or an end, but no hang */
            assert_true(r.code != 101);
            reply_free(&r);
            close(fd);
        }
        int fd = dial(w->port);
        put(fd, big, sizeof big);
        shutdown(fd, SHUT_WR);
        struct reply r = take(fd, false);
        assert_true(r.code == 0 || r.code >= 400);
        reply_free(&r);
        close(fd);
        fd = dial(w->port); /* leaves in the middle of its body */
        put_text(fd,
                 "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{");
        close(fd);
        fd = dial(w->port); /* leaves without taking its answer */
        put_text(fd, "GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n");
        close(fd);
    }
    for (int i = 0; i < 500; i++) expect_error(post(w->port, "{\"symbol\":"), 400, "JSON");
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "OK");
    json_decref(h);
    struct reply r = get(w->port, "/metrics"); /* all of them are over */
    assert_non_null(strstr(r.body, "\nhttp_requests_in_progress 1\n"));
    reply_free(&r);
}

static void a_hundred_at_once(void **state) {
    struct world *w = *state;
    int fds[CONCURRENT];
    const char *first = "GET /api/state HTTP/1.1\r\n", *rest = "Host: localhost\r\n\r\n";
    for (int i = 0; i < CONCURRENT; i++) fds[i] = dial(w->port);
    for (int i = 0; i < CONCURRENT; i++) put(fds[i], first, strlen(first));
    for (int i = CONCURRENT - 1; i >= 0; i--) put(fds[i], rest, strlen(rest));
    for (int i = 0; i < CONCURRENT; i++) {
        struct reply r = take(fds[i], false);
        assert_int_equal(r.code, 200);
        assert_int_equal(r.body[r.body_size - 1], '}');
        reply_free(&r);
    }
    for (int i = 0; i < CONCURRENT; i++) close(fds[i]);
    json_decref(get_json(w->port, "/health", 200));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(health_shows_the_eight_fields_and_the_rest),
        TEST(health_follows_the_evidence),
        TEST(a_network_has_figures_a_forest_has_not),
        TEST(a_model_that_goes_is_seen),
        TEST(silence_and_the_end_are_degraded),
        cmocka_unit_test_setup_teardown(before_the_first_publication, setup_unpublished, teardown),
        TEST(a_buy_is_answered_in_full),
        TEST(hold_is_an_answer),
        TEST(an_expired_signal_proposes_nothing),
        TEST(bad_bodies_are_named),
        TEST(bodies_have_a_limit_and_a_type),
        TEST(lists_carry_their_stamp),
        TEST(history_comes_from_the_trade_journal),
        TEST(state_is_one_snapshot),
        TEST(metrics_please_promtool),
        TEST(the_page_is_in_the_binary),
        TEST(paths_and_methods_are_checked),
        TEST(head_is_get_without_a_body),
        TEST(reports_are_listed_and_served),
        TEST(hosts_are_checked),
        cmocka_unit_test(a_token_opens_everything_but_the_page),
        TEST(a_port_in_use_is_named),
        TEST(a_request_may_come_in_pieces),
        TEST(what_is_pipelined_is_answered_in_order),
        TEST(slow_readers_hold_nobody_up),
        TEST(junk_does_not_hurt),
        TEST(a_hundred_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
