/* Less of a position while its stop stands: each end of the order, and what else happens meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trade/exits/exits.h"

static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t S = INT64_C(1000000000);
static const int64_t PX = 100 * FX_ONE, UNIT = FX_ONE / 100; /* 0.01: the market step */

struct life {
    struct instrument instrument;
    struct exits_config config;
    struct exits_context now;
    struct exits_state state;
    struct exits_actions asked;
};

static void expect(const struct life *l, enum exits_phase phase, const char *actions) {
    static const char *const names[EXITS_ACTION_COUNT] = {
        [EXITS_SUBMIT_STOP] = "stop",         [EXITS_SUBMIT_TAKE] = "take",
        [EXITS_SUBMIT_CLOSE] = "close",       [EXITS_SUBMIT_REDUCE] = "reduce",
        [EXITS_ASK_REDUCE] = "ask",           [EXITS_CANCEL_STOP] = "unstop",
        [EXITS_CANCEL_TAKE] = "untake",       [EXITS_CANCEL_ORDERS] = "cancel",
        [EXITS_TELL_PROTECTED] = "protected", [EXITS_TELL_CLOSED] = "closed",
        [EXITS_TELL_FAILED] = "failed",       [EXITS_ALARM] = "alarm"};
    char text[128] = "";
    for (uint32_t i = 0; i < l->asked.count; i++) {
        if (i > 0) strcat(text, " ");
        strcat(text, names[l->asked.items[i].kind]);
    }
    assert_string_equal(text, actions);
    assert_string_equal(exits_phase_text((enum exits_phase)l->state.phase),
                        exits_phase_text(phase));
}

static void fill(struct life *l, enum side side, int64_t qty, enum exit_reason reason) {
    exits_fill(&l->asked, &l->state, &l->now, side, l->now.last_px, qty_e8(qty), money_e8(1),
               money_e8(0), reason);
}

/* Bought at 100, stop at 98, targets at 104 (0.5), 106 (0.3), 110 (the rest). Worth less than 5 is nothing. */
static void begin(struct life *l, int64_t qty) {
    memset(l, 0, sizeof *l);
    instrument_defaults(&l->instrument, "BTCUSDT");
    l->instrument.tick_size.e8 = l->instrument.px_min.e8 = FX_ONE / 10;
    l->instrument.step_size.e8 = l->instrument.qty_min.e8 = UNIT;
    l->instrument.market_step_size.e8 = l->instrument.market_qty_min.e8 = UNIT;
    l->config = exits_config_defaults();
    l->now = (struct exits_context){T0, {PX}, &l->instrument, &l->config};
    l->state.deadline_ns = INT64_MAX;
    const struct trade_intent intent = {.intent_id = 9,
                                        .symbol = "BTCUSDT",
                                        .side = SIDE_BUY,
                                        .stop_distance = 0.02,
                                        .take_distance = 0.04,
                                        .take_distance_2 = 0.06,
                                        .take_distance_3 = 0.10,
                                        .take_part_1 = 0.5,
                                        .take_part_2 = 0.3};
    exits_enter(&l->state, &intent, 3, 0.0015);
    fill(l, SIDE_BUY, qty, EXIT_NONE);
}

static void stop_stands(struct life *l) {
    const struct exits_stop stop = l->state.stop;
    exits_stop_confirmed(&l->asked, &l->state, &l->now, &stop);
}

static void begin_protected(struct life *l, int64_t qty) {
    begin(l, qty);
    exits_entry_ended(&l->asked, &l->state, &l->now);
    stop_stands(l);
    expect(l, EXITS_PROTECTED, "protected take take take");
}

static bool reduce(struct life *l, int64_t qty) {
    return exits_reduce(&l->asked, &l->state, &l->now, qty_e8(qty));
}
static void sold(struct life *l, int64_t qty) {
    fill(l, SIDE_SELL, qty, EXIT_REBALANCE);
}
static void reduce_ended(struct life *l, uint32_t attempt) {
    exits_close_ended(&l->asked, &l->state, &l->now, attempt, 0);
}
static void passes(struct life *l, int64_t ns) {
    l->now.now_ns += ns;
    exits_time(&l->asked, &l->state, &l->now);
}

static void a_part_is_sold_and_the_stop_stands_all_the_time(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, FX_ONE + UNIT / 2));
    expect(&l, EXITS_PROTECTED, "reduce");
    assert_int_equal(l.asked.items[0].qty.e8, FX_ONE); /* floored to the step */
    assert_int_equal(l.asked.items[0].attempt, 0);
    assert_int_equal(exits_remaining(&l.state).e8, 9 * FX_ONE);
    assert_false(reduce(&l, FX_ONE)); /* one at a time */
    expect(&l, EXITS_PROTECTED, "");
    sold(&l, FX_ONE / 4);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(exits_remaining(&l.state).e8, 9 * FX_ONE);
    sold(&l, FX_ONE * 3 / 4);
    expect(&l, EXITS_PROTECTED, ""); /* 5 + 3 of 9 leave one: the plan stands */
    reduce_ended(&l, 0);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(exits_remaining(&l.state).e8, 9 * FX_ONE);
    assert_int_equal(exits_deadline(&l.state), INT64_MAX);
    assert_true(reduce(&l, FX_ONE));
    assert_int_equal(l.asked.items[0].attempt, 1); /* another name */
    sold(&l, FX_ONE);
    reduce_ended(&l, 1);
    exits_close(&l.asked, &l.state, &l.now, EXIT_OPERATOR);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.asked.items[0].attempt, 2);
    assert_int_equal(l.asked.items[0].qty.e8, 8 * FX_ONE);
    fill(&l, SIDE_SELL, 8 * FX_ONE, EXIT_OPERATOR);
    expect(&l, EXITS_CLEANUP, "closed cancel"); /* once, at flat */
    struct trade_closed t;
    exits_trade(&t, &l.state, 1);
    assert_int_equal(t.qty.e8, 10 * FX_ONE);
    assert_int_equal(t.exit_px.e8, PX);
    assert_int_equal(t.fees.e8, 5);
    assert_int_equal(t.exit_reason, EXIT_OPERATOR);
    assert_int_equal(l.state.exited_qty.e8, 10 * FX_ONE);
}

static void targets_that_no_longer_fit_are_dropped_from_the_last_part_down(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, 2 * FX_ONE));
    sold(&l, 2 * FX_ONE);
    expect(&l, EXITS_PROTECTED, ""); /* 5 + 3 are all there is: nothing is left for the third */
    reduce_ended(&l, 0);
    assert_true(reduce(&l, 10 * UNIT));
    sold(&l, 10 * UNIT);
    expect(&l, EXITS_PROTECTED, "untake");
    assert_int_equal(l.state.targets[1].state, TARGET_DROPPED);
    assert_int_equal(l.asked.items[0].target, 1);
}

static void a_rest_not_worth_an_order_draws_targets_in(void **state) {
    (void)state;
    static const struct {
        int64_t less; /* in units of 0.01 of 10 */
        const char *actions;
        uint32_t states[3];
    } rows[] = {
        {195, "", {TARGET_ASKED, TARGET_ASKED, TARGET_ASKED}},         /* 0.05: worth 5.3 */
        {196, "untake", {TARGET_ASKED, TARGET_DROPPED, TARGET_ASKED}}, /* worth 4.24 */
        {300,
         "untake",
         {TARGET_ASKED, TARGET_DROPPED, TARGET_ASKED}}, /* 5 of 7, the rest is the third's */
        {500, "untake", {TARGET_ASKED, TARGET_DROPPED, TARGET_ASKED}}, /* 5 of 5 */
        {501, "untake untake", {TARGET_DROPPED, TARGET_DROPPED, TARGET_ASKED}},
        {900, "untake untake", {TARGET_DROPPED, TARGET_DROPPED, TARGET_ASKED}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct life l;
        begin_protected(&l, 10 * FX_ONE);
        assert_true(reduce(&l, rows[i].less * UNIT));
        sold(&l, rows[i].less * UNIT);
        expect(&l, EXITS_PROTECTED, rows[i].actions);
        for (int j = 0; j < 3; j++) assert_int_equal(l.state.targets[j].state, rows[i].states[j]);
        assert_int_equal(l.state.take_px.e8, (rows[i].less > 500 ? 110 : 104) * FX_ONE);
        /* The cancel and the target cross: either is the end of it. */
        bool filled = i % 2;
        exits_take_ended(&l.asked, &l.state, &l.now, 1, filled, 0);
        expect(&l, EXITS_PROTECTED, "");
        if (rows[i].states[1] != TARGET_DROPPED) continue;
        assert_int_equal(l.state.targets[1].state, filled ? TARGET_REACHED : TARGET_NONE);
        assert_int_equal(l.state.targets_reached, filled);
    }
}

static void a_rest_that_could_not_be_sold_goes_too(void **state) {
    (void)state;
    static const struct {
        int64_t held, less;
        bool asked, closes;
    } rows[] = {
        {1000, 4, false, false},  /* worth 4 */
        {1000, 5, true, false},   /* worth 5 */
        {1000, 994, true, false}, /* 0.06 is left */
        {1000, 996, true, true},  /* 0.04 */
        {1000, 1000, true, true}, /* all */
        {1000, 2000, true, true}, /* more than all */
        {8, 4, false, false},     /* neither */
        {8, 5, true, true},       {3, 2, false, false},
        {3, 3, true, true}, /* whatever it is worth, it is wanted gone */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct life l;
        begin(&l, rows[i].held * UNIT);
        exits_entry_ended(&l.asked, &l.state, &l.now);
        stop_stands(&l);
        assert_int_equal(reduce(&l, rows[i].less * UNIT), rows[i].asked);
        expect(&l, rows[i].closes ? EXITS_CLOSING : EXITS_PROTECTED,
               rows[i].closes  ? "close"
               : rows[i].asked ? "reduce"
                               : "");
        if (!rows[i].closes) continue;
        assert_int_equal(l.asked.items[0].qty.e8, rows[i].held * UNIT);
        assert_int_equal(exits_remaining(&l.state).e8, 0);
        sold(&l, rows[i].held * UNIT);
        expect(&l, EXITS_CLEANUP, "closed cancel");
        assert_int_equal(l.state.exit_reason, EXIT_REBALANCE);
    }
}

static void more_than_one_order_may_take_is_sold_in_several(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    l.instrument.market_qty_max.e8 = 2 * FX_ONE;
    assert_true(reduce(&l, 5 * FX_ONE));
    expect(&l, EXITS_PROTECTED, "reduce");
    assert_int_equal(l.asked.items[0].qty.e8, 2 * FX_ONE);
}

static void nothing_is_asked_for_without_a_stop_or_beside_another_exit(void **state) {
    (void)state;
    struct life l;
    begin(&l, 10 * FX_ONE);
    assert_false(reduce(&l, FX_ONE)); /* no stop */
    stop_stands(&l);
    assert_false(reduce(&l, FX_ONE)); /* the entry goes on */
    exits_entry_ended(&l.asked, &l.state, &l.now);
    exits_stop_ended(&l.asked, &l.state, &l.now, l.state.stop.attempt, 0);
    assert_false(reduce(&l, FX_ONE)); /* the stop was lost */
    expect(&l, EXITS_UNPROTECTED, "");
    stop_stands(&l);
    l.instrument.status = INSTRUMENT_CLOSED;
    assert_false(reduce(&l, FX_ONE)); /* the venue settles it */
    l.instrument.status = INSTRUMENT_SETTLING;
    exits_take_ended(&l.asked, &l.state, &l.now, 0, false, -2021);
    expect(&l, EXITS_PROTECTED, "take"); /* the market has passed it: at market */
    assert_false(reduce(&l, FX_ONE));
    assert_int_equal(exits_remaining(&l.state).e8, 5 * FX_ONE);
    exits_take_ended(&l.asked, &l.state, &l.now, 0, false, -2022);
    assert_true(reduce(&l, FX_ONE));
    exits_close(&l.asked, &l.state, &l.now, EXIT_OPERATOR);
    assert_false(reduce(&l, FX_ONE));
    expect(&l, EXITS_CLOSING, "");
}

static void a_refused_one_leaves_everything_as_it_was(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, FX_ONE));
    reduce_ended(&l, 0);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(exits_remaining(&l.state).e8, 10 * FX_ONE);
    passes(&l, 100 * S);
    expect(&l, EXITS_PROTECTED, ""); /* not of its own accord */
    assert_true(reduce(&l, FX_ONE));
}

static void one_filled_in_part_and_expired_is_over(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, 4 * FX_ONE));
    sold(&l, 3 * FX_ONE);
    expect(&l, EXITS_PROTECTED, "untake");
    reduce_ended(&l, 0);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(exits_remaining(&l.state).e8, 7 * FX_ONE);
    assert_true(reduce(&l, FX_ONE));
}

static void one_that_is_not_answered_is_asked_after_and_given_up(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, FX_ONE));
    uint32_t asked = 0;
    for (int64_t now = T0; l.state.reduction.qty.e8 != 0; now = l.now.now_ns) {
        assert_int_equal(l.state.deadline_ns, INT64_MAX);
        assert_true(exits_deadline(&l.state) > now);
        assert_false(reduce(&l, FX_ONE));
        passes(&l, exits_deadline(&l.state) - now);
        if (l.state.reduction.qty.e8 == 0) break;
        expect(&l, EXITS_PROTECTED, "ask");
        assert_int_equal(l.asked.items[0].attempt, 0);
        asked++;
    }
    assert_int_equal(asked, 5); /* 2, 4, 8, 16, 32 s */
    assert_int_equal(l.now.now_ns, T0 + 60 * S);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(exits_deadline(&l.state), INT64_MAX);
    assert_true(reduce(&l, FX_ONE));
    sold(&l, FX_ONE); /* of the first one, after all */
    reduce_ended(&l, 0);
    assert_false(reduce(&l, FX_ONE)); /* the second is still on its way */
    sold(&l, FX_ONE);
    reduce_ended(&l, 1);
    assert_int_equal(exits_remaining(&l.state).e8, 8 * FX_ONE);
    assert_int_equal(l.state.position_qty.e8, 8 * FX_ONE);
}

static void the_stop_fires_meanwhile(void **state) {
    (void)state;
    for (int order_first = 0; order_first < 2; order_first++) {
        struct life l;
        begin_protected(&l, 10 * FX_ONE);
        assert_true(reduce(&l, FX_ONE));
        l.now.last_px.e8 = 98 * FX_ONE;
        if (order_first) sold(&l, FX_ONE);
        fill(&l, SIDE_SELL, (order_first ? 9 : 10) * FX_ONE, EXIT_STOP);
        expect(&l, EXITS_CLEANUP, "closed cancel");
        assert_int_equal(l.state.exit_reason, EXIT_STOP);
        assert_int_equal(exits_deadline(&l.state), INT64_MAX);
        reduce_ended(&l, 0); /* -2022: nothing to reduce */
        expect(&l, EXITS_CLEANUP, "");
        passes(&l, 100 * S);
        expect(&l, EXITS_CLEANUP, "");
        exits_orders_gone(&l.state);
        expect(&l, EXITS_FLAT, "");
    }
}

/* A stop that filled in part, and the part on its way was all that was left. */
static void the_last_of_it_goes_with_the_reduction(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, FX_ONE));
    fill(&l, SIDE_SELL, 9 * FX_ONE, EXIT_STOP);
    expect(&l, EXITS_PROTECTED, "");
    sold(&l, FX_ONE);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    assert_int_equal(l.state.exit_reason, EXIT_REBALANCE);
}

static void a_target_fills_meanwhile(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, 3 * FX_ONE));
    l.now.last_px.e8 = 104 * FX_ONE;
    exits_take_ended(&l.asked, &l.state, &l.now, 0, true, 0);
    fill(&l, SIDE_SELL, 5 * FX_ONE, EXIT_TAKE_PROFIT);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(exits_remaining(&l.state).e8, 2 * FX_ONE);
    sold(&l, 3 * FX_ONE);
    expect(&l, EXITS_PROTECTED, "untake"); /* 3 of the 2 that are left */
    assert_int_equal(l.state.targets[1].state, TARGET_DROPPED);
    assert_int_equal(l.state.targets_reached, 1);
    reduce_ended(&l, 0);
    l.now.last_px.e8 = 110 * FX_ONE;
    exits_take_ended(&l.asked, &l.state, &l.now, 2, true, 0);
    fill(&l, SIDE_SELL, 2 * FX_ONE, EXIT_TAKE_PROFIT);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    assert_int_equal(l.state.targets_reached, 2);
}

static void the_stop_is_lost_meanwhile(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, FX_ONE));
    l.now.now_ns += S;
    exits_stop_ended(&l.asked, &l.state, &l.now, l.state.stop.attempt, 0);
    expect(&l, EXITS_UNPROTECTED, "stop");
    assert_int_equal(exits_deadline(&l.state), T0 + 2 * S); /* both are due then */
    passes(&l, S);
    expect(&l, EXITS_UNPROTECTED, "ask stop");
    sold(&l, FX_ONE);
    reduce_ended(&l, 0);
    stop_stands(&l);
    assert_int_equal(l.state.phase, EXITS_PROTECTED);
    assert_int_equal(exits_remaining(&l.state).e8, 9 * FX_ONE);
}

/* A stop of a fixed quantity says more than there is when a part has gone: replaced, the new one first. */
static void a_stop_of_a_quantity_is_replaced_after_the_fill(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    l.state.intent.break_even_distance = 0.01;
    l.now.last_px.e8 = 102 * FX_ONE;
    exits_price(&l.asked, &l.state, &l.now, l.now.last_px, l.now.last_px, l.now.now_ns);
    expect(&l, EXITS_PROTECTED, "stop");
    assert_int_equal(l.asked.items[0].qty.e8, 10 * FX_ONE);
    uint32_t old = l.state.stop.attempt;
    const struct exits_stop next = l.state.next;
    exits_stop_confirmed(&l.asked, &l.state, &l.now, &next);
    expect(&l, EXITS_PROTECTED, "unstop");
    exits_stop_ended(&l.asked, &l.state, &l.now, old, 0);
    assert_true(reduce(&l, FX_ONE));
    sold(&l, FX_ONE);
    expect(&l, EXITS_PROTECTED, "stop");
    assert_int_equal(l.asked.items[0].qty.e8, 0); /* closePosition: none is alive */
    assert_int_equal(l.state.stop.attempt, next.attempt);
    const struct exits_stop whole = l.state.next;
    exits_stop_confirmed(&l.asked, &l.state, &l.now, &whole);
    expect(&l, EXITS_PROTECTED, "unstop"); /* only now */
    assert_int_equal(l.asked.items[0].attempt, next.attempt);
}

/* The close names all that is held; of the part nothing is asked after, and its end is not the close's. */
static void a_close_overtakes_it(void **state) {
    (void)state;
    struct life l;
    begin_protected(&l, 10 * FX_ONE);
    assert_true(reduce(&l, 4 * FX_ONE));
    exits_close(&l.asked, &l.state, &l.now, EXIT_TIME);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.asked.items[0].attempt, 1);
    sold(&l, 4 * FX_ONE);
    reduce_ended(&l, 0);
    expect(&l, EXITS_CLOSING, ""); /* the close is on its way */
    passes(&l, S);
    expect(&l, EXITS_CLOSING, "");
    fill(&l, SIDE_SELL, 6 * FX_ONE, EXIT_TIME);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    assert_int_equal(l.state.exit_reason, EXIT_TIME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_sold_and_the_stop_stands_all_the_time),
        cmocka_unit_test(targets_that_no_longer_fit_are_dropped_from_the_last_part_down),
        cmocka_unit_test(a_rest_not_worth_an_order_draws_targets_in),
        cmocka_unit_test(a_rest_that_could_not_be_sold_goes_too),
        cmocka_unit_test(more_than_one_order_may_take_is_sold_in_several),
        cmocka_unit_test(nothing_is_asked_for_without_a_stop_or_beside_another_exit),
        cmocka_unit_test(a_refused_one_leaves_everything_as_it_was),
        cmocka_unit_test(one_filled_in_part_and_expired_is_over),
        cmocka_unit_test(one_that_is_not_answered_is_asked_after_and_given_up),
        cmocka_unit_test(the_stop_fires_meanwhile),
        cmocka_unit_test(the_last_of_it_goes_with_the_reduction),
        cmocka_unit_test(a_target_fills_meanwhile),
        cmocka_unit_test(the_stop_is_lost_meanwhile),
        cmocka_unit_test(a_stop_of_a_quantity_is_replaced_after_the_fill),
        cmocka_unit_test(a_close_overtakes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
