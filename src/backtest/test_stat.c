/* Known answers come from a separate computation in other words: Lo's variance as the 2 x 2
 * Newey-West matrix of (r - mean, (r - mean)^2 - s^2) between gradient vectors, summed over lags
 * -m..m, in Python 3.11; Wilson's bounds as the roots of (p - x)^2 = z^2 x (1 - x) / n; the Sharpe
 * ratio of A once more with awk. */
#include "backtest/stat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

static void assert_near(double got, double want, double relative) {
    if (!(fabs(got - want) <= relative * fmax(1, fabs(want))))
        fail_msg("got %.17g, want %.17g", got, want);
}

static const double A[] = {0.01,  -0.005, 0.003, 0.007,  -0.002, 0.0,
                           0.004, -0.006, 0.012, -0.001, 0.002,  0.005};

static void sharpe_known_answers(void **state) {
    (void)state;
    struct sharpe s = stat_sharpe(A, 12, 365); /* m = 2 lags */
    assert_near(s.value, 8.269233015328954, 1e-12);
    assert_near(s.low, 3.0587337018604934, 1e-11);
    assert_near(s.high, 13.479732328797414, 1e-11);
    assert_int_equal(s.n, 12);

    double b[150]; /* m = 4 lags */
    for (int i = 0; i < 150; i++) b[i] = ((i * 37) % 101 - 48) / 4000.0;
    s = stat_sharpe(b, 150, 365);
    assert_near(s.value, 1.1099362613705162, 1e-12);
    assert_near(s.low, -0.7048862807594696, 1e-11);
    assert_near(s.high, 2.924758803500502, 1e-11);
    s = stat_sharpe(b, 150, 1);
    assert_near(s.low, -0.036895434205514825, 1e-12);
    assert_near(s.high, 0.15308887255584927, 1e-12);

    const double two[] = {0.1, -0.05};
    s = stat_sharpe(two, 2, 1);
    assert_near(s.value, 0.23570226039551584, 1e-14);
    assert_near(s.low, -0.7442797318745111, 1e-12);
}

/* For independent normal returns the interval must become Lo's simple one: se^2 = (1 + sr^2/2) / n. */
static void sharpe_of_independent_returns(void **state) {
    (void)state;
    enum { N = 40000 };
    static double r[N];
    struct rng rng = rng_init(20020701);
    for (int i = 0; i < N; i++) r[i] = 0.5 + rng_normal(&rng);
    struct sharpe s = stat_sharpe(r, N, 1);
    assert_near(s.value, 0.5, 0.02);
    double se = (s.high - s.low) / (2 * 1.959964);
    assert_near(se / sqrt((1 + 0.125) / N), 1, 0.05);
}

/* Returns that come in runs say less than their number: the interval must widen. */
static void sharpe_interval_widens_with_autocorrelation(void **state) {
    (void)state;
    enum { N = 5000 };
    static double r[N], runs[N];
    struct rng rng = rng_init(3);
    double x = 0;
    for (int i = 0; i < N; i++) {
        double shock = rng_normal(&rng);
        x = 0.6 * x + 0.8 * shock; /* same variance as the shocks */
        r[i] = 0.1 + shock;
        runs[i] = 0.1 + x;
    }
    struct sharpe a = stat_sharpe(r, N, 1), b = stat_sharpe(runs, N, 1);
    assert_true(b.high - b.low > 1.5 * (a.high - a.low));
}

static void sharpe_without_an_answer(void **state) {
    (void)state;
    const double same[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1}; /* the mean is rounded */
    const double zero[] = {0, 0, 0};
    const double broken[] = {0.1, NAN, 0.2};
    const double ruined[] = {0.1, -INFINITY, 0.2};
    assert_true(isnan(stat_sharpe(NULL, 0, 365).value));
    assert_true(isnan(stat_sharpe(A, 1, 365).value));
    assert_true(isnan(stat_sharpe(same, 6, 365).value) && isnan(stat_sharpe(same, 6, 365).low));
    assert_true(isnan(stat_sharpe(zero, 3, 365).value));
    assert_true(isnan(stat_sharpe(broken, 3, 365).value));
    assert_true(isnan(stat_sharpe(ruined, 3, 365).high));
    assert_int_equal(stat_sharpe(zero, 3, 365).n, 3);
}

static void drawdown_known_answers(void **state) {
    (void)state;
    const double a[] = {100, 120, 90, 130, 65, 140, 139}; /* 130 -> 65 */
    const double rising[] = {1, 2, 3};
    const double first[] = {100, 80, 90}; /* the peak may be the first value */
    const double ruined[] = {100, -20, 50};
    assert_near(stat_drawdown(a, 7), 0.5, 1e-15);
    assert_near(stat_drawdown(a, 4), 0.25, 1e-15); /* 120 -> 90 */
    assert_true(stat_drawdown(rising, 3) == 0);
    assert_near(stat_drawdown(first, 3), 0.2, 1e-15);
    assert_true(stat_drawdown(ruined, 3) == 1);
    assert_true(isnan(stat_drawdown(a, 0)));
    const double broken[] = {1, NAN};
    assert_true(isnan(stat_drawdown(broken, 2)));
}

static void drawdown_equals_the_slow_definition(void **state) {
    (void)state;
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 77;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct rng rng = rng_init(seed);
    for (int round = 0; round < 200; round++) {
        double equity[40], worst = 0;
        size_t n = 1 + (size_t)rng_below(&rng, 40);
        for (size_t i = 0; i < n; i++) equity[i] = 1 + 100 * rng_f64(&rng);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++) worst = fmax(worst, (equity[i] - equity[j]) / equity[i]);
        assert_near(stat_drawdown(equity, n), worst, 1e-15);
    }
}

static void win_rate_known_answers(void **state) {
    (void)state;
    struct interval r = stat_rate(28, 394); /* the exchange's account of 2026-02-18 */
    assert_near(r.value, 28.0 / 394, 1e-15);
    assert_near(r.low, 0.049622831684380794, 1e-12);
    assert_near(r.high, 0.10079250963796361, 1e-12);
    r = stat_rate(8, 11); /* its own ledger on the same day: the intervals do not even touch */
    assert_near(r.low, 0.43435469882387084, 1e-12);
    assert_near(r.high, 0.9025394070997512, 1e-12);
    r = stat_rate(0, 10);
    assert_true(r.low == 0);
    assert_near(r.high, 0.2775327998628892, 1e-12);
    r = stat_rate(10, 10);
    assert_near(r.low, 0.7224672001371114, 1e-12);
    assert_true(r.high <= 1);
    assert_true(isnan(stat_rate(0, 0).value) && isnan(stat_rate(0, 0).low));
}

static void expectancy_and_profit_factor_known_answers(void **state) {
    (void)state;
    const int64_t net[] = {150000000, -50000000, 200000000, -100000000, 25000000};
    struct interval e = stat_mean_e8(net, 5);
    assert_near(e.value, 0.45, 1e-15);
    assert_near(e.low, -0.671640657152426, 1e-12);
    assert_near(e.high, 1.571640657152426, 1e-12);
    assert_near(stat_profit_factor(net, 5), 2.5, 1e-15); /* 3.75 / 1.5 */
    assert_true(isnan(stat_profit_factor(net, 1)));      /* nothing lost: no ratio */
    assert_true(stat_profit_factor(net + 1, 1) == 0);
    assert_true(isnan(stat_profit_factor(net, 0)) && isnan(stat_mean_e8(net, 0).value));
    assert_true(isnan(stat_mean_e8(net, 1).low) && stat_mean_e8(net, 1).value == 1.5);
}

static void quantiles_are_values_that_occurred(void **state) {
    (void)state;
    const int64_t x[] = {10, 20, 30, 40, 50};
    assert_int_equal(stat_quantile(x, 5, 0), 10);
    assert_int_equal(stat_quantile(x, 5, 0.2), 10);
    assert_int_equal(stat_quantile(x, 5, 0.21), 20);
    assert_int_equal(stat_quantile(x, 5, 0.5), 30);
    assert_int_equal(stat_quantile(x, 4, 0.5), 20);
    assert_int_equal(stat_quantile(x, 5, 0.99), 50);
    assert_int_equal(stat_quantile(x, 5, 1), 50);
    assert_int_equal(stat_quantile(x, 1, 0.5), 10);
    int64_t hundred[200];
    for (int i = 0; i < 200; i++) hundred[i] = i + 1;
    assert_int_equal(stat_quantile(hundred, 200, 0.99), 198);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharpe_known_answers),
        cmocka_unit_test(sharpe_of_independent_returns),
        cmocka_unit_test(sharpe_interval_widens_with_autocorrelation),
        cmocka_unit_test(sharpe_without_an_answer),
        cmocka_unit_test(drawdown_known_answers),
        cmocka_unit_test(drawdown_equals_the_slow_definition),
        cmocka_unit_test(win_rate_known_answers),
        cmocka_unit_test(expectancy_and_profit_factor_known_answers),
        cmocka_unit_test(quantiles_are_values_that_occurred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
