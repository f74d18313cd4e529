/* Orders that a venue refuses because the contract's rules are not what they were, or because somebody else's order
 * is in the way: what is asked for instead, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/tstamp.h"
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

/* Nobody has told the new rules: coarser ones are supposed, so that nothing is asked for again as it was refused. */
static void a_target_the_rules_told_do_not_refuse_is_asked_for_by_coarser_ones(void **state) {
    (void)state;
    struct life l;
    protect(&l);
    take_ended(&l, 0, -4014);
    expect(&l, "take1 102.1 0.5");
    take_ended(&l, 0, -4014);
    expect(&l, "");
    assert_int_equal(l.state.targets[0].state, TARGET_LOST); /* 0.5 is less than a step of 1 */
    protect(&l);
    take_ended(&l, 2, -4014);
    expect(&l, "take3 105.1*");
    take_ended(&l, 2, -4014);
    expect(&l, "take3 106*");
    take_ended(&l, 2, -4014);
    expect(&l, "");
    assert_int_equal(l.state.targets[2].state, TARGET_LOST); /* three are enough */
    /* At a bar's end a minute later those told are taken for those of now; or when others are told. */
    assert_int_equal(l.state.coarser, 3);
    l.now.now_ns += 59 * NS_PER_SECOND;
    exits_bar(&l.asked, &l.state, &l.now);
    assert_int_equal(l.state.coarser, 3);
    l.now.now_ns += NS_PER_SECOND;
    exits_bar(&l.asked, &l.state, &l.now);
    assert_int_equal(l.state.coarser, 0);
    protect(&l);
    take_ended(&l, 2, -4014);
    assert_int_equal(l.state.coarser, 1);
    exits_rules_told(&l.state);
    assert_int_equal(l.state.coarser, 0);
}

static void stop_ended(struct life *l, int32_t code) {
    exits_stop_ended(&l->asked, &l->state, &l->now, l->state.stop.attempt, code);
}

/* The stop was refused and nobody could tell the new rules in time: not the same again, but one that coarser rules
 * take, too; and by those told as soon as they explain it. */
static void a_stop_is_never_refused_twice_for_the_same_reason(void **state) {
    (void)state;
    struct life l;
    begin(&l);
    stop_ended(&l, -1111);
    expect(&l, "stop 98.1*");
    stop_ended(&l, -1111);
    expect(&l, "stop 99*");
    begin(&l);
    coarser(&l, 0.1, 0.01);
    stop_ended(&l, -4014);
    expect(&l, "stop 98.1*");
    assert_int_equal(l.state.coarser, 0);
    /* Rules changed once more, and were told. */
    coarser(&l, 0.5, 0.01);
    stop_ended(&l, -4014);
    expect(&l, "stop 98.5*");
    assert_int_equal(l.state.coarser, 0);
    /* What is asked for behind it obeys them, too. */
    begin(&l);
    stop_ended(&l, -1111);
    confirm(&l);
    expect(&l, "protected, take1 102.1 0.5, take2 103.1 0.3, take3 105.1*");
    /* Another refusal says nothing of the rules. */
    begin(&l);
    stop_ended(&l, -1001);
    expect(&l, "stop 98.09*");
}

static void close_ended(struct life *l, int32_t code) {
    exits_close_ended(&l->asked, &l->state, &l->now, l->state.close_attempts - 1, code);
}

static void close_of(struct life *l, double qty) {
    begin(l);
    confirm(l);
    l->state.position_qty.e8 = e8(qty);
    exits_close(&l->asked, &l->state, &l->now, EXIT_OPERATOR);
}

static void a_close_refused_by_the_rules_is_asked_for_at_once_by_others(void **state) {
    (void)state;
    struct life l;
    close_of(&l, 0.42);
    expect(&l, "? 0.42");
    close_ended(&l, -1111);
    expect(&l, "? 0.5"); /* of a step of 0.1, though nobody has told it */
    close_ended(&l, -1111);
    expect(&l, "? 1");
    close_ended(&l, -4131); /* not of the rules: at the deadline */
    expect(&l, "");
    close_of(&l, 0.42);
    coarser(&l, 0.01, 0.2);
    close_ended(&l, -4023);
    expect(&l, "? 0.6");
    assert_int_equal(l.state.coarser, 0);
    /* No coarser rules explain it: no flood. */
    close_of(&l, 1000);
    expect(&l, "? 1000");
    close_ended(&l, -1111);
    expect(&l, "");
}

/* Asked for again while nobody answered; then the first is refused: the last is as it was, and does not wait for its own
 * refusal. */
static void a_late_refusal_of_a_close_speaks_for_the_same_asked_for_since(void **state) {
    (void)state;
    struct life l;
    close_of(&l, 0.42);
    uint32_t first = l.state.close_attempts - 1;
    for (uint32_t n = 0; n < 2; n++) {
        l.now.now_ns = l.state.deadline_ns;
        exits_time(&l.asked, &l.state, &l.now);
        expect(&l, "? 0.42");
    }
    exits_close_ended(&l.asked, &l.state, &l.now, first, -1111);
    expect(&l, "? 0.5");
    for (uint32_t n = 1; n < 3; n++) { /* of what is asked for no more */
        exits_close_ended(&l.asked, &l.state, &l.now, first + n, -1111);
        expect(&l, "");
    }
    close_ended(&l, -1111);
    expect(&l, "? 1");
}

/* A stop of a quantity says all of what is held: rounded up, where the step has become coarser than that. */
static void a_replacement_covers_all_under_a_coarser_step(void **state) {
    (void)state;
    struct life l;
    begin(&l);
    confirm(&l);
    l.state.intent.trail_distance = 0.01;
    l.state.position_qty.e8 = e8(1.64);
    coarser(&l, 0.01, 0.1);
    l.now.last_px.e8 = e8(101);
    exits_price(&l.asked, &l.state, &l.now, l.now.last_px, l.now.last_px, T0 + 1);
    expect(&l, "stop 99.99 1.7");
    const struct exits_stop next = l.state.next;
    exits_stop_confirmed(&l.asked, &l.state, &l.now, &next);
    /* The rules are as they were: it says no more than the venue cuts, but is refitted to them, as a whole. */
    exits_stop_ended(&l.asked, &l.state, &l.now, l.state.old_attempt, 0);
    expect(&l, "");
    coarser(&l, 0.01, 0.01);
    exits_price(&l.asked, &l.state, &l.now, l.now.last_px, l.now.last_px, T0 + 1);
    expect(&l, "stop 99.99*");
    /* One that says what is held stands when the step becomes coarser. */
    begin(&l);
    confirm(&l);
    l.state.stop.qty.e8 = e8(1);
    coarser(&l, 0.01, 0.3);
    exits_price(&l.asked, &l.state, &l.now, l.now.last_px, l.now.last_px, T0 + 1);
    expect(&l, "");
}

/* The grid has become so coarse that a nearer stop would lie beyond the market: the one that stands does. */
static void a_stop_is_not_moved_beyond_the_market_by_the_grid(void **state) {
    (void)state;
    struct life l;
    begin(&l);
    confirm(&l);
    l.state.intent.trail_distance = 0.01;
    l.state.coarser = 2;
    l.now.last_px.e8 = e8(99.995);
    exits_price(&l.asked, &l.state, &l.now, l.now.last_px, px_e8(e8(101)), T0 + 1);
    expect(&l, ""); /* 99.99 is 100 */
    l.now.last_px.e8 = e8(100.5);
    exits_price(&l.asked, &l.state, &l.now, l.now.last_px, l.now.last_px, T0 + 2);
    expect(&l, "stop 100 1");
}

/* Its part is less than a step by now: not at market with a quantity the venue does not take. */
static void a_target_passed_that_is_too_small_by_now_stays_under_the_stop(void **state) {
    (void)state;
    struct life l;
    protect(&l);
    coarser(&l, 0.01, 0.4);
    take_ended(&l, 0, -2021);
    expect(&l, "take1 0.4");
    take_ended(&l, 1, -2021);
    expect(&l, "");
    assert_int_equal(l.state.targets[1].state, TARGET_LOST);
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
        cmocka_unit_test(a_target_the_rules_told_do_not_refuse_is_asked_for_by_coarser_ones),
        cmocka_unit_test(a_stop_is_never_refused_twice_for_the_same_reason),
        cmocka_unit_test(a_close_refused_by_the_rules_is_asked_for_at_once_by_others),
        cmocka_unit_test(a_late_refusal_of_a_close_speaks_for_the_same_asked_for_since),
        cmocka_unit_test(a_replacement_covers_all_under_a_coarser_step),
        cmocka_unit_test(a_stop_is_not_moved_beyond_the_market_by_the_grid),
        cmocka_unit_test(a_target_passed_that_is_too_small_by_now_stays_under_the_stop),
        cmocka_unit_test(a_last_target_beside_a_foreign_one_is_asked_for_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
