/* Somebody wants the stop nearer than the plan: it is moved as by trailing, tried again, and never taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trade/exits/exits.h"

static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t S = INT64_C(1000000000);

struct life {
    struct instrument instrument;
    struct exits_config config;
    struct exits_context now;
    struct exits_state state;
    struct exits_actions asked;
};

static int64_t e8(double x) {
    return fx_from_f64(x);
}

/* 1 entered at 100, its stop 2 % away and confirmed. Neither break-even nor trailing. */
static void begin(struct life *l, enum side side) {
    memset(l, 0, sizeof *l);
    instrument_defaults(&l->instrument, "BTCUSDT");
    l->instrument.tick_size.e8 = l->instrument.px_min.e8 = e8(0.01);
    l->instrument.market_step_size.e8 = l->instrument.market_qty_min.e8 = e8(0.01);
    l->config = exits_config_defaults();
    l->now = (struct exits_context){T0, {e8(100)}, &l->instrument, &l->config};
    l->state.deadline_ns = INT64_MAX;
    const struct trade_intent t = {
        .intent_id = 5, .symbol = "BTCUSDT", .side = side, .stop_distance = 0.02};
    exits_enter(&l->state, &t, 3, 0.0015);
    exits_fill(&l->asked, &l->state, &l->now, side, px_e8(e8(100)), qty_e8(FX_ONE), money_e8(0),
               money_e8(0), EXIT_NONE);
    exits_entry_ended(&l->asked, &l->state, &l->now);
    const struct exits_stop stop = l->state.stop;
    exits_stop_confirmed(&l->asked, &l->state, &l->now, &stop);
    assert_int_equal(l->state.phase, EXITS_PROTECTED);
}

static bool nearer(struct life *l, double px) {
    return exits_nearer(&l->asked, &l->state, &l->now, px_e8(e8(px)));
}

static void assert_asked(const struct life *l, enum exits_action_kind kind, double px) {
    assert_int_equal(l->asked.count, 1);
    assert_int_equal(l->asked.items[0].kind, kind);
    assert_int_equal(l->asked.items[0].px.e8, e8(px));
}

static void it_is_confirmed_before_the_old_one_goes(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    assert_true(nearer(&l, 99.001)); /* off the grid: towards the market */
    assert_asked(&l, EXITS_SUBMIT_STOP, 99.01);
    assert_int_equal(l.state.stop_px.e8, e8(98));
    const struct exits_stop next = l.state.next;
    exits_stop_confirmed(&l.asked, &l.state, &l.now, &next);
    assert_int_equal(l.asked.count, 1);
    assert_int_equal(l.asked.items[0].kind, EXITS_CANCEL_STOP);
    assert_int_equal(l.state.stop_px.e8, e8(99.01));
}

static void a_short_is_the_mirror(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_SELL);
    assert_true(nearer(&l, 100.999));
    assert_asked(&l, EXITS_SUBMIT_STOP, 100.99);
    assert_false(nearer(&l, 101.5));
}

static void it_never_loosens(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    assert_false(nearer(&l, 97));
    assert_false(nearer(&l, 98));
    assert_int_equal(l.asked.count, 0);
    assert_true(nearer(&l, 99));
    assert_false(nearer(&l, 99)); /* asked for already */
    assert_false(nearer(&l, 98.5));
    assert_int_equal(l.asked.count, 0);
    assert_true(nearer(&l, 99.5)); /* kept: one move is on its way */
    assert_int_equal(l.asked.count, 0);
    const struct exits_stop next = l.state.next;
    exits_stop_confirmed(&l.asked, &l.state, &l.now, &next);
    exits_stop_ended(&l.asked, &l.state, &l.now, 0, 0); /* the old one is gone: on with it */
    assert_asked(&l, EXITS_SUBMIT_STOP, 99.5);
}

static void a_refusal_leaves_the_old_one_and_is_tried_again(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    assert_true(nearer(&l, 99));
    exits_stop_ended(&l.asked, &l.state, &l.now, l.state.next.attempt, -1001);
    assert_int_equal(l.state.phase, EXITS_PROTECTED);
    assert_int_equal(l.state.stop_px.e8, e8(98));
    l.now.now_ns += l.config.stop_retry_ns + S;
    assert_true(exits_deadline(&l.state) <= l.now.now_ns);
    exits_time(&l.asked, &l.state, &l.now);
    assert_asked(&l, EXITS_SUBMIT_STOP, 99);
}

static void what_the_market_has_passed_ends_it_as_a_stop(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    l.now.last_px.e8 = e8(98.5);
    assert_true(nearer(&l, 99));
    assert_int_equal(l.asked.count, 1);
    assert_int_equal(l.asked.items[0].kind, EXITS_SUBMIT_CLOSE);
    assert_int_equal(l.state.exit_reason, EXIT_STOP);
    assert_false(nearer(&l, 99.5)); /* it is on its way out */
}

static void it_waits_for_the_first_stop(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    exits_stop_ended(&l.asked, &l.state, &l.now, l.state.stop.attempt, 0); /* lost */
    assert_int_equal(l.state.phase, EXITS_UNPROTECTED);
    assert_true(nearer(&l, 99));
    assert_int_equal(l.asked.count, 0);
    const struct exits_stop stop = l.state.stop;
    exits_stop_confirmed(&l.asked, &l.state, &l.now, &stop);
    assert_int_equal(l.state.next.px.e8, e8(99));
    assert_int_equal(l.asked.items[l.asked.count - 1].kind, EXITS_SUBMIT_STOP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_confirmed_before_the_old_one_goes),
        cmocka_unit_test(a_short_is_the_mirror),
        cmocka_unit_test(it_never_loosens),
        cmocka_unit_test(a_refusal_leaves_the_old_one_and_is_tried_again),
        cmocka_unit_test(what_the_market_has_passed_ends_it_as_a_stop),
        cmocka_unit_test(it_waits_for_the_first_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
