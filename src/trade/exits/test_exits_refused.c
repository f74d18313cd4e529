/* Orders that a venue refuses because the contract's rules are not what they were, or because somebody else's order
 * is in the way: what is asked for instead, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trade/exits/exits.h"

static const int64_t T0 = INT64_C(1727740800000000000);

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

/* What was asked for, in the form "stop 98.1*", "take3 105 0.2". */
static void expect(const struct life *l, const char *expected) {
    char text[256] = "";
    for (uint32_t i = 0; i < l->asked.count; i++) {
        const struct exits_action *a = &l->asked.items[i];
        char one[64], qty[24] = "*", name[16] = "?";
        if (a->qty.e8) snprintf(qty, sizeof qty, " %g", fx_to_f64(a->qty.e8));
        if (a->kind == EXITS_SUBMIT_TAKE) snprintf(name, sizeof name, "take%u", a->target + 1);
        if (a->kind == EXITS_SUBMIT_STOP) snprintf(name, sizeof name, "stop");
        if (a->kind == EXITS_TELL_PROTECTED) snprintf(name, sizeof name, "protected");
        if (a->px.e8)
            snprintf(one, sizeof one, "%s %g%s", name, px_to_f64(a->px), qty);
        else
            snprintf(one, sizeof one, "%s%s", name, a->qty.e8 ? qty : "");
        snprintf(text + strlen(text), sizeof text - strlen(text), i ? ", %s" : "%s", one);
    }
    assert_string_equal(text, expected);
}

/* 1 bought at 100.03: stop 1.93 % below, targets 2, 3 and 5 % above, on a tick of 0.01. */
static void begin(struct life *l) {
    memset(l, 0, sizeof *l);
    instrument_defaults(&l->instrument, "BTCUSDT");
    l->instrument.tick_size.e8 = l->instrument.px_min.e8 = e8(0.01);
    l->instrument.step_size.e8 = l->instrument.qty_min.e8 = e8(0.01);
    l->instrument.market_step_size.e8 = l->instrument.market_qty_min.e8 = e8(0.01);
    l->config = exits_config_defaults();
    l->now = (struct exits_context){T0, {e8(100.03)}, &l->instrument, &l->config};
    l->state.deadline_ns = INT64_MAX;
    const struct trade_intent t = {.intent_id = 5,
                                   .symbol = "BTCUSDT",
                                   .side = SIDE_BUY,
                                   .stop_distance = 0.0193,
                                   .take_distance = 0.02,
                                   .take_part_1 = 0.5,
                                   .take_distance_2 = 0.03,
                                   .take_part_2 = 0.3,
                                   .take_distance_3 = 0.05};
    exits_enter(&l->state, &t, 3, 0.0015);
    exits_fill(&l->asked, &l->state, &l->now, SIDE_BUY, px_e8(e8(100.03)), qty_e8(FX_ONE),
               money_e8(0), money_e8(0), EXIT_NONE);
    expect(l, "stop 98.09*");
    exits_entry_ended(&l->asked, &l->state, &l->now);
}

static void take_ended(struct life *l, uint32_t target, int32_t code) {
    exits_take_ended(&l->asked, &l->state, &l->now, target, false, code);
}

static void confirm(struct life *l) {
    const struct exits_stop stop = l->state.stop;
    exits_stop_confirmed(&l->asked, &l->state, &l->now, &stop);
}

static void protect(struct life *l) {
    begin(l);
    confirm(l);
    expect(l, "protected, take1 102.04 0.5, take2 103.04 0.3, take3 105.04*");
}

static void coarser(struct life *l, double tick, double step) {
    l->instrument.tick_size.e8 = l->instrument.px_min.e8 = e8(tick);
    l->instrument.market_step_size.e8 = l->instrument.market_qty_min.e8 = e8(step);
}

static void targets_refused_by_the_rules_are_asked_for_by_those_of_now(void **state) {
    (void)state;
    static const int32_t codes[] = {-1111, -4002, -4013, -4014, -4023};
    static const char *const asked[] = {"take1 102.1 0.4", "take2 103.1 0.2", "take3 105.1*"};
    for (size_t n = 0; n < sizeof codes / sizeof *codes; n++) {
        struct life l;
        protect(&l);
        coarser(&l, 0.1, 0.2);
        for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++) {
            take_ended(&l, j, codes[n]);
            expect(&l, asked[j]);
            assert_int_equal(l.asked.items[0].attempt, 1); /* another id */
        }
        assert_int_equal(l.state.take_px.e8, e8(102.1));
    }
}

static void a_target_that_is_too_small_by_now_is_the_last_ones(void **state) {
    (void)state;
    struct life l;
    protect(&l);
    l.instrument.notional_min.e8 = 40 * FX_ONE;
    take_ended(&l, 1, -4164);
    expect(&l, ""); /* 0.3 are worth 31 */
    assert_int_equal(l.state.targets[1].state, TARGET_LOST);
}

static void a_target_refused_by_the_same_rules_is_tried_thrice(void **state) {
    (void)state;
    struct life l;
    protect(&l);
    for (int n = 0; n < 2; n++) {
        take_ended(&l, 0, -4014);
        expect(&l, "take1 102.04 0.5");
    }
    take_ended(&l, 0, -4014);
    expect(&l, "");
    assert_int_equal(l.state.targets[0].state, TARGET_LOST);
}

/* Somebody else's closePosition order of the direction is there: ours takes what the others leave, by quantity. */
static void a_last_target_beside_a_foreign_one_is_asked_for_in_part(void **state) {
    (void)state;
    struct life l;
    protect(&l);
    take_ended(&l, 2, -4130);
    expect(&l, "take3 105.04 0.2");
    take_ended(&l, 2, -4130); /* that of a quantity, too: enough */
    expect(&l, "");
    assert_int_equal(l.state.targets[2].state, TARGET_LOST);
    /* Only one target, and part of the position is gone. */
    protect(&l);
    for (uint32_t j = 0; j < 2; j++) l.state.targets[j].state = TARGET_NONE;
    exits_fill(&l.asked, &l.state, &l.now, SIDE_SELL, px_e8(e8(101)), qty_e8(e8(0.25)), money_e8(0),
               money_e8(0), EXIT_OPERATOR);
    take_ended(&l, 2, -4130);
    expect(&l, "take3 105.04 0.75");
    /* Nothing is left that could be sold. */
    protect(&l);
    l.instrument.notional_min.e8 = 30 * FX_ONE;
    take_ended(&l, 2, -4130);
    expect(&l, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_refused_by_the_rules_are_asked_for_by_those_of_now),
        cmocka_unit_test(a_target_that_is_too_small_by_now_is_the_last_ones),
        cmocka_unit_test(a_target_refused_by_the_same_rules_is_tried_thrice),
        cmocka_unit_test(a_last_target_beside_a_foreign_one_is_asked_for_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
