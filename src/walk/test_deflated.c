/* Against the figures Bailey and Lopez de Prado work out in their two papers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "walk/deflated.h"

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.17g is not %.17g", a, b);
}

static void quantiles_are_the_tables(void **state) {
    (void)state;
    near(walk_normal_quantile(0.975), 1.959963984540054, 1e-12);
    near(walk_normal_quantile(0.5), 0, 1e-12);
    near(walk_normal_quantile(0.01), -2.3263478740408408, 1e-12);
    near(walk_normal_quantile(1e-9), -5.9978070150076869, 1e-10);
    for (double p = 0.001; p < 1; p += 0.0137) near(walk_normal(walk_normal_quantile(p)), p, 1e-13);
}

/* "The deflated Sharpe ratio" (2014), the numerical example: daily for five years, annual ratio 2.5, skewness -3,
 * kurtosis 10, best of 100 whose annual ratios vary by 1/2. */
static void the_papers_example(void **state) {
    (void)state;
    struct walk_moments m = {1250, 0, 0, 2.5 / sqrt(250), -3, 10};
    double variance = 0.5 / 250;
    struct walk_deflated d = walk_sharpe_deflated(&m, variance, 100);
    near(d.expected_max, 0.1132, 5e-5);
    near(d.probability, 0.9004, 5e-5);
    near(walk_sharpe_deflated(&m, variance, 46).probability, 0.9505, 5e-5);
    m.skew = 0, m.kurtosis = 3; /* had they been normal, 88 tries would have been as good */
    near(walk_sharpe_deflated(&m, variance, 88).probability, 0.9505, 5e-4);
    assert_true(d.single > d.chance && d.chance > d.probability);
}

/* "The Sharpe ratio efficient frontier" (2012): two years of months, annual ratio 1.5883, skewness -2.448, kurtosis
 * 10.164: P(true > 0) = 0.913. Were it normal: 0.982. */
static void the_other_papers_example(void **state) {
    (void)state;
    struct walk_moments m = {24, 0, 0, 0.458, -2.448, 10.164};
    near(walk_sharpe_probabilistic(&m, 0), 0.913, 5e-4);
    m.skew = 0, m.kurtosis = 3;
    near(walk_sharpe_probabilistic(&m, 0), 0.982, 5e-4);
}

static void moments_of_few_numbers(void **state) {
    (void)state;
    /* Mean 2, deviations -2 -1 0 3: squares 14, cubes 18, fourths 98. */
    struct walk_moments m = walk_moments_of((const double[]){0, 1, 2, 5}, 4);
    near(m.mean, 2, 1e-15);
    near(m.sd, sqrt(14.0 / 3), 1e-15);
    near(m.skew, 18.0 / 4 / pow(14.0 / 4, 1.5), 1e-14);
    near(m.kurtosis, 98.0 / 4 / (3.5 * 3.5), 1e-14);
    assert_true(isnan(walk_moments_of((const double[]){1, 1, 1, 1}, 4).sharpe));
    assert_true(isnan(walk_moments_of((const double[]){1, 2, 3}, 3).sharpe));
}

static void more_trials_never_help(void **state) {
    (void)state;
    struct walk_moments m = {365, 0, 0, 0.1, 0, 3};
    double before = 1;
    for (uint64_t n = 1; n < 100000; n *= 3) {
        struct walk_deflated d = walk_sharpe_deflated(&m, NAN, n);
        assert_true(d.probability <= before);
        near(d.variance, 1.0 / 364, 0); /* nothing known of the others: what chance gives */
        before = d.probability;
    }
    assert_true(before < 0.05);
    near(walk_sharpe_deflated(&m, 1e-9, 50).variance, 1.0 / 364, 0);
    near(walk_sharpe_deflated(&m, 0.3, 50).variance, 0.3, 0);
    near(walk_sharpe_expected_max(1, 1), 0, 0);
}

/* Expected largest of N independent normals, tabulated: 10: 1.53875, 100: 2.50759, 1000: 3.24144. The formula is an
 * approximation for large N, from above. */
static void largest_of_many(void **state) {
    (void)state;
    near(walk_sharpe_expected_max(1, 10), 1.53875, 0.04);
    near(walk_sharpe_expected_max(1, 100), 2.50759, 0.03);
    near(walk_sharpe_expected_max(1, 1000), 3.24144, 0.02);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_the_tables), cmocka_unit_test(the_papers_example),
        cmocka_unit_test(the_other_papers_example), cmocka_unit_test(moments_of_few_numbers),
        cmocka_unit_test(more_trials_never_help),   cmocka_unit_test(largest_of_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
