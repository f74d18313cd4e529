/* Logarithm, exponential and circle against libm in long double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "num/elementary.h"

static void test_log_is_within_two_ulp(void **state) {
    (void)state;
    struct rng r = rng_init(1);
    assert_true(num_log(1.0) >= 0 && num_log(1.0) <= 0);
    for (int i = 0; i < 1000000; i++) {
        /* Near 1 in half of the draws: that is where returns are, and where logs cancel. */
        double x = i % 2 ? 1 + (rng_f64(&r) - 0.5) * 0.1
                         : ldexp(1 + rng_f64(&r), (int)rng_below(&r, 2000) - 1000);
        double want = (double)logl((long double)x), have = num_log(x);
        double ulp = fabs(want) * 0x1p-52;
        if (!(fabs(have - want) <= 2 * ulp)) fail_msg("log(%a) = %a, want %a", x, have, want);
    }
}

static void test_circle_is_close(void **state) {
    (void)state;
    for (int i = 0; i <= 1 << 20; i++) {
        double turn = i * 0x1p-20, s, c;
        num_circle(&s, &c, turn);
        long double angle = 6.283185307179586476925L * (long double)turn;
        if (!(fabs(s - (double)sinl(angle)) <= 4e-16 && fabs(c - (double)cosl(angle)) <= 4e-16))
            fail_msg("turn %a: %a %a", turn, s, c);
    }
}

static void test_exp_is_close(void **state) {
    (void)state;
    struct rng r = rng_init(3);
    for (int i = 0; i < 200000; i++) {
        double x = (rng_f64(&r) - 0.5) * (i % 2 ? 0.01 : 1390);
        long double want = expl((long double)x);
        if (!(fabsl(num_exp(x) - want) <= 1e-15L * (1 + fabsl((long double)x)) * want))
            fail_msg("exp(%a) = %a", x, num_exp(x));
    }
}

static void test_normal_pair_has_the_moments(void **state) {
    (void)state;
    enum { N = 200000 };
    struct rng r = rng_init(4);
    double mean = 0, square = 0, product = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        double z[2], u = rng_f64(&r), turn = rng_f64(&r);
        num_normal_pair(z, u, turn);
        mean += (z[0] + z[1]) / (2.0 * N);
        square += (z[0] * z[0] + z[1] * z[1]) / (2.0 * N);
        fourth += z[0] * z[0] * z[0] * z[0] / N;
        product += z[0] * z[1] / N;
    }
    /* Five standard errors: 1, 1.41, 1 and 9.8 over the root of the draws. */
    assert_true(fabs(mean) < 5 / sqrt(2.0 * N));
    assert_true(fabs(square - 1) < 5 * 1.4143 / sqrt(2.0 * N));
    assert_true(fabs(product) < 5 / sqrt(N));
    assert_true(fabs(fourth - 3) < 5 * 9.8 / sqrt(N));
}

/* The bits themselves, which no processor and no compiler may change. */
static void test_bits_are_golden(void **state) {
    (void)state;
    struct rng r = rng_init(2);
    uint64_t hash = 0;
    for (int i = 0; i < 10000; i++) {
        double out[3] = {num_log(0.5 + rng_f64(&r) * 2)};
        num_circle(&out[1], &out[2], rng_f64(&r));
        hash = hash_chain(hash, out, sizeof out);
    }
    print_message("bits %016llx\n", (unsigned long long)hash);
    assert_int_equal(hash, UINT64_C(0x446847a8d1d54971));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_is_within_two_ulp),
        cmocka_unit_test(test_circle_is_close),
        cmocka_unit_test(test_exp_is_close),
        cmocka_unit_test(test_normal_pair_has_the_moments),
        cmocka_unit_test(test_bits_are_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
