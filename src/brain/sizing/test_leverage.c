/* Leverage: the published vectors to the digits they give, and what must hold for any input.
 *
 * TEST_SEED=n repeats the random cases. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "brain/sizing/leverage.h"

static struct rng dice(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20251220;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return rng_init(seed);
}

/* Within half a unit of the last digit printed. */
static void printed(double value, double expected, double unit) {
    if (!(fabs(value - expected) <= 0.5000001 * unit))
        fail_msg("%.9g is not %.9g to %g", value, expected, unit);
}

static void levels_have_the_published_values(void **state) {
    (void)state;
    /* percent, volatility 0 and 1 */
    static const struct {
        double leverage, lsf, take[3][2], stop[2], limit;
        bool valid;
    } rows[] = {
        {1, .5906, {{1.191, 1.667}, {1.495, 2.093}, {1.948, 2.727}}, {.664, .797}, 80, true},
        {3, .4191, {{1.019, 1.427}, {1.410, 1.973}, {1.905, 2.667}}, {.732, .879}, 26.67, true},
        {5, .3582, {{.958, 1.341}, {1.379, 1.931}, {1.890, 2.645}}, {.757, .908}, 16, true},
        {10, .2943, {{.894, 1.252}, {1.347, 1.886}, {1.874, 2.623}}, {.782, .939}, 8, true},
        {20, .2472, {{.847, 1.186}, {1.324, 1.853}, {1.862, 2.607}}, {.801, .961}, 4, true},
        {50, .2028, {{.803, 1.124}, {1.301, 1.822}, {1.851, 2.591}}, {.819, .983}, 1.6, true},
        {80, .1854, {{.785, 1.100}, {1.293, 1.810}, {1.846, 2.585}}, {.826, .991}, 1.0, true},
        {100, .1781, {{.778, 1.089}, {1.289, 1.805}, {1.845, 2.582}}, {.829, .995}, 0.8, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int v = 0; v < 2; v++) {
            struct leverage_levels out;
            leverage_levels(&out, rows[i].leverage, v);
            printed(out.lsf, rows[i].lsf, 1e-4);
            for (int k = 0; k < 3; k++) printed(100 * out.take[k], rows[i].take[k][v], 1e-3);
            printed(100 * out.stop, rows[i].stop[v], 1e-3);
            printed(100 * out.stop_max, rows[i].limit, 1e-2);
            assert_int_equal(out.valid, rows[i].valid);
        }
}

static void harvest_shares_follow_leverage(void **state) {
    (void)state;
    static const struct {
        double leverage, share[3];
    } rows[] = {{1, {.3, .3, .4}},  {10, {.3, .3, .4}}, {11, {.4, .4, .2}},
                {30, {.4, .4, .2}}, {31, {.5, .3, .2}}, {125, {.5, .3, .2}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct leverage_levels out;
        leverage_levels(&out, rows[i].leverage, 1);
        for (int k = 0; k < 3; k++) assert_true(out.harvest[k] == rows[i].share[k]);
    }
}

static void levels_fail_closed(void **state) {
    (void)state;
    static const double bad[][2] = {{NAN, 1},      {0.99, 1}, {126, 1},     {INFINITY, 1},
                                    {-3, 1},       {3, NAN},  {3, -0.1},    {3, 5.1},
                                    {3, INFINITY}, {0, 0},    {3, 96000000}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct leverage_levels out = {.valid = true, .stop = 1};
        leverage_levels(&out, bad[i][0], bad[i][1]);
        assert_false(out.valid);
        assert_true(out.stop == 0 && out.take[0] == 0 && out.stop_max == 0);
    }
}

static void levels_keep_their_order_at_any_input(void **state) {
    (void)state;
    struct rng r = dice();
    for (int n = 0; n < 200000; n++) {
        double leverage = 1 + 124 * rng_f64(&r), volatility = 5 * rng_f64(&r);
        struct leverage_levels out, wider, more;
        leverage_levels(&out, leverage, volatility);
        assert_true(0 < out.take[0] && out.take[0] < out.take[1] && out.take[1] < out.take[2]);
        assert_true(out.stop >= 0.001 && out.stop <= 0.02 && out.take[2] < 0.1);
        assert_true(fabs(out.harvest[0] + out.harvest[1] + out.harvest[2] - 1) < 1e-15);
        assert_int_equal(out.valid, out.stop * leverage <= 0.8 * (1 + 1e-15));
        leverage_levels(&wider, leverage, fmin(5, volatility + rng_f64(&r)));
        leverage_levels(&more, fmin(125, leverage + 10 * rng_f64(&r)), volatility);
        assert_true(wider.stop >= out.stop && wider.take[0] >= out.take[0]);
        assert_true(more.stop >= out.stop && more.take[0] <= out.take[0]);
        assert_true(more.stop_max <= out.stop_max);
        if (!out.valid) assert_false(more.valid); /* more leverage never makes it valid */
    }
}

static void feedback_has_its_steps(void **state) {
    (void)state;
    assert_true(leverage_feedback(0.1, 0.6) == 1);
    assert_true(fabs(leverage_feedback(-0.1, 0.6) - 0.90) < 1e-15);
    assert_true(fabs(leverage_feedback(0.4, 0.6) - 1.10) < 1e-15);
    assert_true(fabs(leverage_feedback(-0.1, 0.4) - 0.85) < 1e-15);
    assert_true(fabs(leverage_feedback(NAN, NAN) - 0.95) < 1e-15); /* unknown never widens */
}

static void a_stop_bounds_the_leverage(void **state) {
    (void)state;
    assert_int_equal(leverage_max_for_stop(0.02), LEVERAGE_CEILING);
    assert_int_equal(leverage_max_for_stop(0.08), 10);
    assert_int_equal(leverage_max_for_stop(0.0801), 9);
    assert_int_equal(leverage_max_for_stop(0.25), 3);
    assert_int_equal(leverage_max_for_stop(0.8), 1);
    assert_int_equal(leverage_max_for_stop(0.81), 0);
    assert_int_equal(leverage_max_for_stop(0), 0);
    assert_int_equal(leverage_max_for_stop(-1), 0);
    assert_int_equal(leverage_max_for_stop(NAN), 0);
    assert_int_equal(leverage_max_for_stop(INFINITY), 0);
}

static void the_second_formula_has_the_published_values(void **state) {
    (void)state;
    const struct leverage_inputs plain = {.7, 1, 0, 1, 0, 0, 0}, best = {.9, .5, 1, 1, 0, 0, 0},
                                 poor = {.68, 1.2, .1, 1.2, .4, .1, .001},
                                 worst = {.3, 2, -1, 1.5, .9, .5, .05};
    printed(leverage_formula(&plain), 25.875, 1e-3);
    printed(leverage_formula(&best), 81.56, 1e-2);
    printed(leverage_formula(&poor), 6.904, 1e-3);
    printed(leverage_formula(&worst), 0.186, 1e-3);
    printed(leverage_original(&plain), 25.875, 1e-3);
    assert_true(leverage_original(&best) == 80);
    assert_true(leverage_original(&worst) == 5);
    /* and ours: no floor, one cap */
    assert_int_equal(leverage_intelligent(&worst, 3), 0);
    assert_int_equal(leverage_intelligent(&poor, 10), 6);
    assert_int_equal(leverage_intelligent(&plain, 3), 3);
    assert_int_equal(leverage_intelligent(&best, 80), LEVERAGE_CEILING);
    assert_int_equal(leverage_intelligent(&best, 0), 0);
}

static double wild(struct rng *r, double low, double high) {
    return low - (high - low) + 3 * (high - low) * rng_f64(r); /* also beyond both ends */
}

static void leverage_is_monotone_in_each_input(void **state) {
    (void)state;
    struct rng r = dice();
    static const double range[7][2] = {{0, 1}, {0, 3}, {-1, 1},      {0.5, 1.5},
                                       {0, 1}, {0, 1}, {-0.05, 0.05}};
    for (int n = 0; n < 100000; n++) {
        double x[7];
        for (int k = 0; k < 7; k++) x[k] = wild(&r, range[k][0], range[k][1]);
        uint32_t cap = (uint32_t)rng_below(&r, 20);
        struct leverage_inputs in = {x[0], x[1], x[2], x[3], x[4], x[5], x[6]};
        double formula = leverage_formula(&in);
        uint32_t whole = leverage_intelligent(&in, cap);
        assert_true(formula > 0 && formula <= 80 * 1.5 * 1.25 / 0.5 * 0.9);
        assert_true(whole <= cap && whole <= LEVERAGE_CEILING && whole <= formula);
        int k = (int)rng_below(&r, 7);
        double up = (range[k][1] - range[k][0]) * rng_f64(&r);
        x[k] = k == 6 ? x[k] + copysign(up / 10, x[k]) : x[k] + up; /* funding: its size */
        struct leverage_inputs moved = {x[0], x[1], x[2], x[3], x[4], x[5], x[6]};
        bool rises = k == 0 || k == 2;
        double other = leverage_formula(&moved);
        uint32_t other_whole = leverage_intelligent(&moved, cap);
        if (rises ? other < formula : other > formula)
            fail_msg("case %d, input %d: %.17g then %.17g", n, k, formula, other);
        assert_true(rises ? other_whole >= whole : other_whole <= whole);
    }
}

static void an_unknown_input_is_no_trade(void **state) {
    (void)state;
    for (int k = 0; k < 7; k++) {
        double x[7] = {.9, .5, 1, 1, 0, 0, 0};
        x[k] = NAN;
        struct leverage_inputs in = {x[0], x[1], x[2], x[3], x[4], x[5], x[6]};
        assert_true(isnan(leverage_formula(&in)));
        assert_int_equal(leverage_intelligent(&in, 10), 0);
    }
}

/* Six published orders: confidence, balance as recovered, notional, quantity, and its decimals. */
static void the_executor_has_its_published_orders(void **state) {
    (void)state;
    static const struct {
        double confidence, balance, notional, qty, px;
        int decimals;
    } rows[] = {
        {.78, 9729.476, 413.945, 0.005, 82789.0, 3}, {.65, 9729.303, 344.948, 0.116, 2973.69, 3},
        {.72, 9729.144, 382.090, 3.0, 127.36, 0},    {.68, 9729.015, 360.858, 0.42, 859.19, 2},
        {.61, 9728.869, 323.706, 167.5, 1.9326, 1},  {.66, 9728.722, 350.234, 933, 0.3754, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double notional = leverage_executor_notional(rows[i].balance, rows[i].confidence, 3);
        printed(notional, rows[i].notional, 1e-3);
        double scale = pow(10, rows[i].decimals);
        assert_true(fabs(round(notional / rows[i].px * scale) / scale - rows[i].qty) < 1e-12);
    }
    /* rounding to nearest passes the target, the floor of the gates does not */
    assert_true(round(413.945 / 88111 * 1000) / 1000 * 88111 > 1.06 * 413.945);
    assert_true(floor(413.945 / 88111 * 1000) / 1000 * 88111 <= 413.945);
}

static void the_executor_is_capped_and_fails_closed(void **state) {
    (void)state;
    assert_true(leverage_executor_notional(1e6, 0.9, 3) == 1000);
    assert_true(leverage_executor_notional(1000, 0.99, 3) == 45); /* 1.5 at most */
    assert_true(leverage_executor_notional(1000, 0.549, 3) == 0);
    assert_true(leverage_executor_notional(NAN, 0.9, 3) == 0);
    assert_true(leverage_executor_notional(1000, NAN, 3) == 0);
    assert_true(leverage_executor_notional(1000, 0.9, NAN) == 0);
    assert_true(leverage_executor_notional(-1, 0.9, 3) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_have_the_published_values),
        cmocka_unit_test(harvest_shares_follow_leverage),
        cmocka_unit_test(levels_fail_closed),
        cmocka_unit_test(levels_keep_their_order_at_any_input),
        cmocka_unit_test(feedback_has_its_steps),
        cmocka_unit_test(a_stop_bounds_the_leverage),
        cmocka_unit_test(the_second_formula_has_the_published_values),
        cmocka_unit_test(leverage_is_monotone_in_each_input),
        cmocka_unit_test(an_unknown_input_is_no_trade),
        cmocka_unit_test(the_executor_has_its_published_orders),
        cmocka_unit_test(the_executor_is_capped_and_fails_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
