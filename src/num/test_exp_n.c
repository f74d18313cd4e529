/* Exponential and logistic over arrays: against libm in long double, and the bits against a fixed hash. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "num/exp_n.h"

enum { N = 4097 };

static void fill(double *x, struct rng *r, double span) {
    for (size_t i = 0; i < N; i++) x[i] = (rng_f64(r) - 0.5) * span;
}

static void test_exp_within_one_and_a_half_ulp(void **state) {
    (void)state;
    static double x[N], y[N];
    struct rng r = rng_init(1);
    const double spans[] = {1e-6, 0.5, 2, 20, 1416};
    double worst = 0;
    for (int round = 0; round < 100; round++) {
        fill(x, &r, spans[round % 5]);
        num_exp_n(y, x, N);
        for (size_t i = 0; i < N; i++) {
            long double want = expl((long double)x[i]);
            double ulp = nextafter((double)want, INFINITY) - (double)want;
            double error = fabs((double)(y[i] - want)) / ulp;
            if (error > worst) worst = error;
            if (!(error <= 1.5)) fail_msg("exp(%a) = %a: %g ulp", x[i], y[i], error);
        }
    }
    print_message("worst %.2f ulp\n", worst);
}

static void test_logistic_within_three_ulp(void **state) {
    (void)state;
    static double x[N], y[N];
    struct rng r = rng_init(2);
    for (int round = 0; round < 60; round++) {
        fill(x, &r, round % 2 ? 2 : 80);
        num_logistic_n(y, x, N);
        for (size_t i = 0; i < N; i++) {
            long double want = 1 / (1 + expl(-(long double)x[i]));
            double ulp = nextafter((double)want, INFINITY) - (double)want;
            if (!(fabs((double)(y[i] - want)) <= 3 * ulp))
                fail_msg("logistic(%a) = %a", x[i], y[i]);
        }
    }
}

static void test_softplus_is_close(void **state) {
    (void)state;
    static double x[N], y[N];
    struct rng r = rng_init(5);
    for (int round = 0; round < 60; round++) {
        fill(x, &r, round % 3 == 0 ? 0.01 : round % 3 == 1 ? 6 : 80);
        num_softplus_n(y, x, N);
        for (size_t i = 0; i < N; i++) {
            long double want = log1pl(expl((long double)x[i]));
            long double error = fabsl(y[i] - want);
            if (!(error <= 4e-16L * (1 + fabsl(want)) && error <= 1e-15L * want))
                fail_msg("softplus(%a) = %a", x[i], y[i]);
        }
    }
    double ends[3] = {-1e6, 1e6, NAN};
    num_softplus_n(ends, ends, 3);
    assert_true(ends[0] > 0 && ends[0] < 1e-300 && ends[1] >= 1e6 && ends[1] <= 1e6);
    assert_true(isnan(ends[2]));
}

static void test_ends_are_finite_and_nan_stays(void **state) {
    (void)state;
    double x[7] = {-INFINITY, -1e9, 1e9, INFINITY, NAN, 0.0, -0.0}, y[7];
    num_exp_n(y, x, 7);
    assert_true(y[0] > 0 && y[0] < 1e-307 && y[1] > 0);
    assert_true(isfinite(y[2]) && y[2] > 1e307 && isfinite(y[3]));
    assert_true(isnan(y[4]));
    assert_true(y[5] >= 1 && y[5] <= 1 && y[6] >= 1 && y[6] <= 1);
    num_logistic_n(y, x, 7);
    assert_true(y[0] > 0 && y[3] <= 1 && y[3] > 0.999 && isnan(y[4]));
    assert_true(y[5] >= 0.5 && y[5] <= 0.5);
}

/* One lane or two, in place or not: a value's result is its own. */
static void test_place_does_not_matter(void **state) {
    (void)state;
    static double x[N], y[N], z[N];
    struct rng r = rng_init(3);
    fill(x, &r, 100);
    num_exp_n(y, x, N);
    for (size_t i = 0; i < N; i++) num_exp_n(&z[i], &x[i], 1);
    assert_memory_equal(y, z, sizeof y);
    num_exp_n(x, x, N);
    assert_memory_equal(y, x, sizeof y);
}

static void test_bits_are_the_same_everywhere(void **state) {
    (void)state;
    static double x[N], y[N];
    struct rng r = rng_init(4);
    uint64_t hash = 0;
    for (int round = 0; round < 50; round++) {
        fill(x, &r, round % 2 ? 4 : 200);
        num_exp_n(y, x, N);
        hash = hash_chain(hash, y, sizeof y);
        num_logistic_n(y, x, N);
        hash = hash_chain(hash, y, sizeof y);
        num_softplus_n(y, x, N);
        hash = hash_chain(hash, y, sizeof y);
    }
    if (hash != UINT64_C(0x865b8883d03d029e)) fail_msg("hash %016llx", (unsigned long long)hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_within_one_and_a_half_ulp),
        cmocka_unit_test(test_logistic_within_three_ulp),
        cmocka_unit_test(test_softplus_is_close),
        cmocka_unit_test(test_ends_are_finite_and_nan_stays),
        cmocka_unit_test(test_place_does_not_matter),
        cmocka_unit_test(test_bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
