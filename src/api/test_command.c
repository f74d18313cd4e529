/* Requests that change something: what is handed on, what is refused and how, and what /api/risk and /metrics say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/test_http.h"
#include "kernel/command_body.h"
#include "kernel/inbox.h"
#include "kernel/kernel.h"
#include "trade/breaker/breaker.h"

#define TYPE "Content-Type: application/json\r\n"

static struct reply send_to(const struct world *w, const char *path, const char *body) {
    return post_to(w->port, path, TYPE, body, strlen(body));
}

static void open_with(struct world *w, struct inbox *inbox, const char *token) {
    struct api_config c = {.inbox = inbox, .token = token};
    world_open(w, &c);
    publish(w);
}

static void each_command_is_handed_on_as_it_was_given(void **state) {
    (void)state;
    struct world w;
    struct inbox *inbox = inbox_create();
    struct operator_command got;
    open_with(&w, inbox, NULL);
    static const struct {
        const char *path, *body, *key, *target, *by;
        double value;
    } rows[] = {
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":3,\"by\":\"alice\"}", "positions_max",
         "all", "alice", 3},
        {"/api/policy", "{\"value\":0.25,\"key\":\"exposure_total_max\"}", "exposure_total_max",
         "all", "api", 0.25},
        {"/api/policy", "{\"key\":\"trading:emergency_stop\",\"value\":true}",
         KERNEL_EMERGENCY_STOP, "all", "api", 1},
        {"/api/emergency_stop", "{\"value\":1,\"by\":\"bob\"}", KERNEL_EMERGENCY_STOP, "all", "bob",
         1},
        {"/api/emergency_stop", "{\"value\":false}", KERNEL_EMERGENCY_STOP, "all", "api", 0},
        {"/api/positions/close", "{}", KERNEL_CLOSE_ALL, "all", "api", 1},
        {"/api/positions/close", "", KERNEL_CLOSE_ALL, "all", "api", 1},
        {"/api/breaker/reset", "{\"by\":\"carol\"}", KERNEL_BREAKER_RESET, "all", "carol", 1},
        {"/api/breaker/reset", "{\"symbol\":\"ETHUSDT\"}", KERNEL_BREAKER_RESET, "ETHUSDT", "api",
         1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reply r = send_to(&w, rows[i].path, rows[i].body);
        assert_int_equal(r.code, 202);
        json_t *root = parsed(&r);
        assert_string_equal(text_at(root, "status"), "accepted");
        assert_int_equal((int)number_at(root, "number"), (int)i + 1);
        json_decref(root);
        reply_free(&r);
        assert_true(inbox_take(&got, inbox));
        assert_string_equal(got.key, rows[i].key);
        assert_string_equal(got.target, rows[i].target);
        assert_string_equal(got.given_by, rows[i].by);
        assert_true(got.value == rows[i].value);
        assert_int_equal(got.command_id, 0);
        assert_false(inbox_take(&got, inbox));
    }
    struct operator_command named[2];
    for (int i = 0; i < 2; i++) { /* the same id is the same number, whatever else is said */
        struct reply r = send_to(&w, i ? "/api/emergency_stop" : "/api/policy",
                                 i ? "{\"id\":\"a-1\",\"value\":1}"
                                   : "{\"id\":\"a-1\",\"key\":\"positions_max\",\"value\":3}");
        assert_int_equal(r.code, 202);
        reply_free(&r);
        assert_true(inbox_take(&named[i], inbox));
    }
    assert_int_equal(named[0].command_id, command_id_of("a-1", 3));
    assert_int_equal(named[1].command_id, named[0].command_id);
    world_close(&w);
    inbox_destroy(inbox);
}

static void what_cannot_hold_is_refused_with_the_field(void **state) {
    (void)state;
    struct world w;
    struct inbox *inbox = inbox_create();
    struct operator_command got;
    open_with(&w, inbox, NULL);
    static const struct {
        const char *path, *body, *part;
        int code;
    } rows[] = {
        {"/api/policy", "{\"value\":3}", "key is missing", 422},
        {"/api/policy", "{\"key\":\"positions_max\"}", "value is missing", 422},
        {"/api/policy", "", "key is missing", 422},
        {"/api/policy", "{\"key\":\"no_such\",\"value\":3}", "no policy 'no_such'", 422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":-1}", "cannot be -1", 422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":2.5}", "whole number", 422},
        {"/api/policy", "{\"key\":\"confidence_min\",\"value\":40}", "at most 1", 422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":\"3\"}", "value must be", 422},
        {"/api/policy", "{\"key\":7,\"value\":3}", "key must be a text", 422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":3,\"for\":\"all\"}", "not known",
         422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":3,\"value\":4}", "twice", 422},
        {"/api/policy", "{\"key\":\"positions:close_all\",\"value\":1}", "path of its own", 422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":3,\"by\":\"a\\nb\"}", "printable",
         422},
        {"/api/policy",
         "{\"key\":\"positions_max\",\"value\":3,\"by\":\"0123456789012345678901234567890123\"}",
         "longer", 422},
        {"/api/policy", "[1]", "must be an object", 422},
        {"/api/policy", "{\"key\":\"positions_max\",\"value\":3,\"id\":7}", "id must be", 422},
        {"/api/policy", "{\"key\":", "not JSON", 400},
        {"/api/emergency_stop", "{}", "value is missing", 422},
        {"/api/emergency_stop", "{\"value\":2}", "0 or 1", 422},
        {"/api/emergency_stop", "{\"value\":1,\"symbol\":\"BTCUSDT\"}", "not known", 422},
        {"/api/positions/close", "{\"value\":0}", "not known", 422},
        {"/api/breaker/reset", "{\"symbol\":\"NOSUCHUSDT\"}", "not of this run", 404},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(send_to(&w, rows[i].path, rows[i].body), rows[i].code, rows[i].part);
    assert_false(inbox_take(&got, inbox)); /* nothing of it was handed on */
    world_close(&w);
    inbox_destroy(inbox);
}

static void who_may_not_ask_is_told_so(void **state) {
    (void)state;
    static const char body[] = "{\"value\":1}", path[] = "/api/emergency_stop";
    struct world w;
    struct inbox *inbox = inbox_create();
    struct operator_command got;
    open_with(&w, inbox, "secret");
    expect_error(send_to(&w, path, body), 401, "token");
    expect_error(post_to(w.port, path, TYPE "Origin: http://evil.example\r\n", body, strlen(body)),
                 403, "origin");
    expect_error(post_to(w.port, path,
                         "Authorization: Bearer secret\r\nContent-Type: text/html\r\n", body,
                         strlen(body)),
                 415, "json");
    expect_error(ask(w.port, "GET", path, "Authorization: Bearer secret\r\n"), 405, "POST");
    assert_false(inbox_take(&got, inbox));
    struct reply r =
        post_to(w.port, path, TYPE "Authorization: Bearer secret\r\n", body, strlen(body));
    assert_int_equal(r.code, 202);
    reply_free(&r);
    assert_true(inbox_take(&got, inbox));
    world_close(&w);
    inbox_destroy(inbox);
}

static void where_nobody_obeys_it_is_409_and_where_too_many_wait_503(void **state) {
    (void)state;
    struct world w;
    open_with(&w, NULL, NULL);
    expect_error(send_to(&w, "/api/positions/close", "{}"), 409, "nobody");
    world_close(&w);
    struct inbox *inbox = inbox_create();
    struct api_config c = {.inbox = inbox};
    world_open(&w, &c);
    expect_error(send_to(&w, "/api/positions/close", "{}"), 503, "nothing published");
    publish(&w);
    for (int i = 0; i <= INBOX_MAX; i++) {
        struct reply r = send_to(&w, "/api/positions/close", "{}");
        if (i < INBOX_MAX) assert_int_equal(r.code, 202);
        if (i == INBOX_MAX) {
            assert_non_null(strstr(r.head, "Retry-After: 1"));
            expect_error(r, 503, "too many");
        } else {
            reply_free(&r);
        }
    }
    struct view *v = view_begin(w.box);
    fixture_fill(v, tstamp_wall_ns());
    v->running = 0;
    view_publish(w.box);
    expect_error(send_to(&w, "/api/positions/close", "{}"), 409, "ended");
    world_close(&w);
    inbox_destroy(inbox);
}

static void the_state_is_shown_as_it_is(void **state) {
    (void)state;
    struct world w;
    open_with(&w, NULL, NULL);
    struct view *v = view_begin(w.box);
    fixture_fill(v, tstamp_wall_ns());
    v->risk = (struct view_risk){.emergency_stop = 1,
                                 .mode = BREAKER_PROTECTIVE,
                                 .tripped = 1 << BREAKER_STOP_HITS | 1 << BREAKER_MARKET_STALE,
                                 .circuit = BREAKER_OPEN,
                                 .cause = BREAKER_LOSS,
                                 .failures = 2,
                                 .is_down = 1,
                                 .symbols_open = 1,
                                 .positions_max = 7,
                                 .leverage_max = 5,
                                 .until_ns = FIXTURE_MARKET_NS,
                                 .opened = 3,
                                 .commands_taken = 9,
                                 .live_orders = 4,
                                 .day_result = -0.05,
                                 .fall = 0.07,
                                 .confidence_min = 0.75,
                                 .notional_symbol_max = {100 * FX_ONE}};
    v->risk.trips[BREAKER_STOP_HITS] = 2;
    v->symbols[1].circuit = BREAKER_HALF_OPEN;
    v->symbols[1].circuit_cause = BREAKER_FAILURES;
    view_publish(w.box);
    json_t *root = get_json(w.port, "/api/risk", 200);
    assert_true(json_is_true(at(root, "emergency_stop")));
    assert_string_equal(text_at(root, "ess_mode"), "protective");
    assert_int_equal(json_array_size(at(root, "tripped")), 2);
    assert_string_equal(json_string_value(json_array_get(at(root, "tripped"), 0)), "stop_hits");
    assert_int_equal((int)number_at(at(root, "trips"), "stop_hits"), 2);
    json_t *breaker = at(root, "breaker");
    assert_string_equal(text_at(breaker, "state"), "open");
    assert_string_equal(text_at(breaker, "cause"), "drawdown");
    assert_true(number_at(breaker, "until") == (double)(FIXTURE_MARKET_NS / NS_PER_MS));
    assert_int_equal(json_array_size(at(root, "symbols")), 1);
    json_t *symbol = json_array_get(at(root, "symbols"), 0);
    assert_string_equal(text_at(symbol, "symbol"), "ETHUSDT");
    assert_string_equal(text_at(symbol, "state"), "half_open");
    assert_true(json_is_null(at(symbol, "until")));
    assert_string_equal(text_at(root, "venue_link"), "down");
    assert_int_equal((int)number_at(at(root, "limits"), "positions_max"), 7);
    assert_string_equal(text_at(at(root, "limits"), "notional_symbol_max"), "100");
    assert_int_equal((int)number_at(root, "live_orders"), 4);
    assert_int_equal((int)number_at(root, "commands_taken"), 9);
    json_decref(root);
    struct reply r = get(w.port, "/metrics");
    static const char *const lines[] = {"\nquantum_emergency_stop 1\n",
                                        "\nquantum_breaker_state{state=\"open\"} 1\n",
                                        "\nquantum_breaker_state{state=\"closed\"} 0\n",
                                        "\nquantum_breaker_symbols{state=\"half_open\"} 1\n",
                                        "\nquantum_breaker_symbols{state=\"closed\"} 2\n",
                                        "\nquantum_breaker_opened_total{scope=\"all\"} 3\n",
                                        "\nquantum_ess_mode{mode=\"protective\"} 1\n",
                                        "\nquantum_ess_tripped{trigger=\"stop_hits\"} 1\n",
                                        "\nquantum_ess_tripped{trigger=\"daily_loss\"} 0\n",
                                        "\nquantum_ess_trips_total{trigger=\"stop_hits\"} 2\n",
                                        "\nquantum_venue_link_up 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(r.body, lines[i])) fail_msg("no line %s", lines[i] + 1);
    reply_free(&r);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_is_handed_on_as_it_was_given),
        cmocka_unit_test(what_cannot_hold_is_refused_with_the_field),
        cmocka_unit_test(who_may_not_ask_is_told_so),
        cmocka_unit_test(where_nobody_obeys_it_is_409_and_where_too_many_wait_503),
        cmocka_unit_test(the_state_is_shown_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
