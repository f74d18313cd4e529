/* The profiles' plans, and the word of the monitor: each rule alone, at its edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/tstamp.h"
#include "trade/exitbrain/exitbrain.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

static const struct exit_plan own = {.stop = 0.02,
                                     .take = {0.03, 0.05, 0.08},
                                     .part = {0.5, 0.3},
                                     .break_even = 0.02,
                                     .trail_from = 0.05,
                                     .trail = 0.016,
                                     .horizon_bars = 12};

static void the_table_in_r(void **state) {
    (void)state;
    struct exit_plan p;
    exitbrain_plan(&p, PROFILE_TREND, &own, 0.01, NS_PER_HOUR);
    assert_near(p.stop, 0.02, 0);
    assert_near(p.take[0], 0.01, 1e-15);
    assert_near(p.take[1], 0.02, 1e-15);
    assert_near(p.take[2], 0.04, 1e-15);
    assert_near(p.part[0], 0.15, 0);
    assert_near(p.part[1], 0.20, 0);
    assert_near(p.trail_from, 0.03, 1e-15);
    assert_near(p.trail, 0.02, 0);
    assert_int_equal(p.horizon_bars, 12);
    exitbrain_plan(&p, PROFILE_RANGE, &own, 0.01, NS_PER_HOUR);
    assert_near(p.trail, 0, 0);
    exitbrain_plan(&p, PROFILE_RUNNER, &own, 0.01, NS_PER_HOUR);
    assert_near(p.trail, 0.02, 1e-15); /* 2 ATR */
    assert_int_equal(p.horizon_bars, 2);
    exitbrain_plan(&p, PROFILE_RUNNER, &own, 0.01, 7 * NS_PER_MINUTE);
    assert_int_equal(p.horizon_bars, 18); /* rounded up: 7,200 s are 17.1 of them */
}

static void what_needs_the_atr_is_own_without_it(void **state) {
    (void)state;
    const double none[] = {NAN, 0, -1, INFINITY};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct exit_plan p;
        exitbrain_plan(&p, PROFILE_RUNNER, &own, none[i], NS_PER_HOUR);
        assert_memory_equal(&p, &own, sizeof p);
        exitbrain_plan(&p, PROFILE_CHOP, &own, none[i], NS_PER_HOUR);
        assert_near(p.take[0], 0.003, 1e-15);
    }
}

static void every_plan_can_be_an_intent(void **state) {
    (void)state;
    for (int p = 0; p < PROFILE_COUNT; p++) {
        struct exit_plan plan;
        exitbrain_plan(&plan, (enum exit_profile)p, &own, 0.01, NS_PER_MINUTE);
        double last = 0, parts = 0;
        for (int t = 0; t < 3 && plan.take[t] > 0; t++) {
            assert_true(plan.take[t] > last);
            last = plan.take[t];
        }
        for (int t = 0; t < 2; t++) parts += plan.part[t];
        assert_true(last > 0 && parts >= 0 && parts < 1);
        assert_string_not_equal(exitbrain_profile_text((enum exit_profile)p), "?");
    }
}

/* A venue need not take a target beyond half the price, and below nothing there is none. */
static void no_target_is_out_of_this_world(void **state) {
    (void)state;
    struct exit_plan wide = own, p;
    wide.stop = 0.3;
    exitbrain_plan(&p, PROFILE_RUNNER, &wide, 0.01, NS_PER_HOUR);
    assert_near(p.take[0], 0.3, 1e-15);
    assert_near(p.take[1], EXITBRAIN_STOP_END, 0);
    exitbrain_plan(&p, PROFILE_TREND, &wide, 0.01, NS_PER_HOUR);
    assert_near(p.take[1], 0.3, 1e-15);
    assert_near(p.take[2], EXITBRAIN_STOP_END, 0);
}

/* ---- the monitor ---- */

static const struct exit_look calm = {.side = SIDE_BUY,
                                      .leverage = 3,
                                      .gain = -0.005,
                                      .stop_gain = -0.02,
                                      .held_ns = NS_PER_HOUR,
                                      .has_answer = true,
                                      .p_side = 0.4,
                                      .p_other = 0.3,
                                      .is_suited = true};

static struct exit_word ask(struct exit_monitor *m, const struct exit_look *look) {
    const struct exit_monitor_config c = exit_monitor_config_defaults();
    struct exit_word w;
    exitbrain_monitor(&w, m, &c, look);
    return w;
}

static void nothing_is_done_without_a_reason(void **state) {
    (void)state;
    struct exit_monitor m = {0};
    for (int i = 0; i < 1000; i++) {
        struct exit_word w = ask(&m, &calm);
        assert_int_equal(w.leave, EXIT_NONE);
        assert_true(isnan(w.stop_gain));
    }
}

static void the_loss_guard_is_of_the_margin(void **state) {
    (void)state;
    struct exit_monitor m = {0};
    struct exit_look look = calm;
    look.gain = -0.0416; /* x 3: 12.48 % */
    look.stop_gain = -0.02;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    look.gain = -0.0417;
    assert_int_equal(ask(&m, &look).leave, EXIT_LOSS_GUARD);
    look.leverage = 1;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
}

static void the_risk_floor_brings_a_far_stop_nearer(void **state) {
    (void)state;
    const struct exit_monitor_config c = exit_monitor_config_defaults();
    struct exit_monitor m = {0};
    struct exit_look look = calm;
    look.leverage = 10;
    look.stop_gain = -0.011;
    assert_near(ask(&m, &look).stop_gain, -0.01, 1e-15);
    look.stop_gain = -0.009;
    assert_true(isnan(ask(&m, &look).stop_gain));
    assert_near(exitbrain_stop_max(&c, 50), 0.002, 1e-15);
    assert_near(exitbrain_stop_max(&c, 51), 0, 0); /* no room for a stop: no trade */
    look.leverage = 51;
    assert_int_equal(ask(&m, &look).leave, EXIT_LOSS_GUARD);
}

static void the_edge_is_gone_twice_in_a_row_or_once_for_sure(void **state) {
    (void)state;
    struct exit_monitor m = {0};
    struct exit_look look = calm, silent = calm;
    look.p_side = 0.3;
    look.p_other = 0.41;
    silent.has_answer = false;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    assert_int_equal(ask(&m, &calm).leave, EXIT_NONE); /* breaks the row */
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    assert_int_equal(ask(&m, &silent).leave, EXIT_NONE);
    assert_int_equal(ask(&m, &look).leave, EXIT_EDGE_GONE);
    m = (struct exit_monitor){0};
    look.has_high = true;
    look.high = 0.001;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    m = (struct exit_monitor){0};
    look.high = -0.001;
    assert_int_equal(ask(&m, &look).leave, EXIT_EDGE_GONE);
    m = (struct exit_monitor){0};
    look.p_other = 0.39; /* its own side is not far behind: the interval alone is no reason */
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
}

static void a_regime_that_does_not_suit_ends_what_is_in_loss(void **state) {
    (void)state;
    struct exit_monitor m = {0};
    struct exit_look look = calm;
    look.is_suited = false;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    assert_int_equal(ask(&m, &look).leave, EXIT_REGIME);
    look.gain = 0.001;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    look.gain = -0.001;
    assert_int_equal(ask(&m, &look).leave, EXIT_REGIME);
    assert_int_equal(ask(&m, &calm).leave, EXIT_NONE);
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
}

static void what_is_old_and_in_loss_is_ended(void **state) {
    (void)state;
    struct exit_monitor m = {0};
    struct exit_look look = calm;
    look.held_ns = 48 * NS_PER_HOUR;
    look.gain = -0.021;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
    look.held_ns++;
    assert_int_equal(ask(&m, &look).leave, EXIT_STALE);
    look.gain = -0.019;
    assert_int_equal(ask(&m, &look).leave, EXIT_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_in_r),
        cmocka_unit_test(what_needs_the_atr_is_own_without_it),
        cmocka_unit_test(every_plan_can_be_an_intent),
        cmocka_unit_test(no_target_is_out_of_this_world),
        cmocka_unit_test(nothing_is_done_without_a_reason),
        cmocka_unit_test(the_loss_guard_is_of_the_margin),
        cmocka_unit_test(the_risk_floor_brings_a_far_stop_nearer),
        cmocka_unit_test(the_edge_is_gone_twice_in_a_row_or_once_for_sure),
        cmocka_unit_test(a_regime_that_does_not_suit_ends_what_is_in_loss),
        cmocka_unit_test(what_is_old_and_in_loss_is_ended)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
