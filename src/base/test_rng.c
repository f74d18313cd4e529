#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>

#include "base/rng.h"

static void test_mix_is_splitmix64(void **state) {
    (void)state;
    /* First outputs of SplitMix64 from state 0 and 1234567, as published with java.util.SplittableRandom's
     * algorithm (Vigna's splitmix64.c prints the same): mix(seed + k * golden gamma). */
    assert_true(rng_mix(UINT64_C(0x9E3779B97F4A7C15)) == UINT64_C(0xE220A8397B1DCDAF));
    assert_true(rng_mix(UINT64_C(0x9E3779B97F4A7C15) * 2) == UINT64_C(0x6E789E6AA1B965F4));
    assert_true(rng_mix(UINT64_C(0x9E3779B97F4A7C15) * 3) == UINT64_C(0x06C45D188009454F));
    assert_true(rng_mix(UINT64_C(1234567) + UINT64_C(0x9E3779B97F4A7C15)) ==
                UINT64_C(6457827717110365317));
    assert_true(rng_mix(UINT64_C(1234567) + UINT64_C(0x9E3779B97F4A7C15) * 2) ==
                UINT64_C(3203168211198807973));
}

/* Journals and fingerprints rest on these: they may never change. Computed by an independent
 * transcription of rng.h's definition in Python 3 integers. */
static void test_stream_is_fixed(void **state) {
    (void)state;
    static const uint64_t want[] = {UINT64_C(0x05054191EDD97663), UINT64_C(0xFFD34508758359AC),
                                    UINT64_C(0x2539150499799E9F), UINT64_C(0xF029FE1AB97F468D)};
    static const uint64_t want_split[] = {
        UINT64_C(0x678F8A8304D0F9C5), UINT64_C(0xB1C9B67EC60343D4), UINT64_C(0xF54B4E2162D6CF31),
        UINT64_C(0x044394ED409DB3E0)};
    struct rng rng = rng_init(42), child = rng_split(&rng, 7);
    for (int i = 0; i < 4; i++) assert_true(rng_u64(&rng) == want[i]);
    for (int i = 0; i < 4; i++) assert_true(rng_u64(&child) == want_split[i]);
}

static void test_split_leaves_the_parent(void **state) {
    (void)state;
    struct rng a = rng_init(1), b = rng_init(1);
    rng_split(&a, 1);
    rng_split(&a, 2);
    for (int i = 0; i < 100; i++) assert_true(rng_u64(&a) == rng_u64(&b));
    /* and a split does not depend on how far the parent has run */
    struct rng early = rng_split(&(struct rng){a.key, 0}, 3), late = rng_split(&a, 3);
    assert_true(rng_u64(&early) == rng_u64(&late));
}

/* Neighbouring streams: half the bits differ, and no linear correlation. With n = 1e5 both statistics
 * are normal; 5 standard deviations. */
static void test_splits_are_unlike(void **state) {
    (void)state;
    struct rng root = rng_init(99);
    enum { DRAWS = 100000 };
    for (uint64_t stream = 0; stream < 8; stream++) {
        struct rng a = rng_split(&root, stream), b = rng_split(&root, stream + 1);
        uint64_t differing = 0;
        double product = 0;
        for (int i = 0; i < DRAWS; i++) {
            uint64_t x = rng_u64(&a), y = rng_u64(&b);
            differing += (uint64_t)__builtin_popcountll(x ^ y);
            product += ((double)(x >> 11) * 0x1p-53 - 0.5) * ((double)(y >> 11) * 0x1p-53 - 0.5);
        }
        double bits = ((double)differing - 32.0 * DRAWS) / sqrt(16.0 * DRAWS);
        double correlation = product * 12 / sqrt(DRAWS);
        if (fabs(bits) > 5 || fabs(correlation) > 5)
            fail_msg("stream %d: %g %g", (int)stream, bits, correlation);
    }
}

/* Chi-square with n-1 degrees of freedom; bounds are the 1e-6 and 1-1e-6 quantiles (Wilson-Hilferty,
 * 4.75 standard deviations). A fixed seed, so this never fails by chance again once it has passed. */
static void test_below_is_uniform(void **state) {
    (void)state;
    static const uint64_t sizes[] = {2, 3, 6, 10, 100, 1000};
    static uint32_t counts[1000];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t n = sizes[s];
        struct rng rng = rng_split(&(struct rng){5, 0}, n);
        enum { DRAWS = 200000 };
        for (uint64_t i = 0; i < n; i++) counts[i] = 0;
        for (int i = 0; i < DRAWS; i++) {
            uint64_t x = rng_below(&rng, n);
            assert_true(x < n);
            counts[x]++;
        }
        double expected = (double)DRAWS / (double)n, chi2 = 0, k = (double)(n - 1);
        for (uint64_t i = 0; i < n; i++) chi2 += pow((double)counts[i] - expected, 2) / expected;
        double z = (cbrt(chi2 / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));
        if (fabs(z) > 4.75) fail_msg("n=%d chi2=%g z=%g", (int)n, chi2, z);
    }
    struct rng rng = rng_init(3);
    for (int i = 0; i < 100; i++) assert_true(rng_below(&rng, 1) == 0);
}

static void test_f64_and_normal_moments(void **state) {
    (void)state;
    struct rng rng = rng_init(8);
    enum { DRAWS = 200000 };
    double sum = 0, low = 1, high = 0, normal[5] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_f64(&rng), z = rng_normal(&rng);
        assert_true(x >= 0 && x < 1 && isfinite(z));
        sum += x;
        low = fmin(low, x);
        high = fmax(high, x);
        for (int k = 1; k < 5; k++) normal[k] += pow(z, k) / DRAWS;
    }
    double error = 1 / sqrt(DRAWS);
    assert_true(fabs(sum / DRAWS - 0.5) < 5 * error * sqrt(1.0 / 12));
    assert_true(low < 1e-4 && high > 1 - 1e-4);
    assert_true(fabs(normal[1]) < 5 * error);
    assert_true(fabs(normal[2] - 1) < 5 * error * sqrt(2));
    assert_true(fabs(normal[3]) < 5 * error * sqrt(15));
    assert_true(fabs(normal[4] - 3) < 5 * error * sqrt(96));
}

/* A stream rebuilt from its two integers goes on where it stood. */
static void test_state_is_two_integers(void **state) {
    (void)state;
    struct rng rng = rng_init(77);
    for (int i = 0; i < 1000; i++) rng_u64(&rng);
    struct rng copy = {.key = rng.key, .counter = rng.counter};
    for (int i = 0; i < 100; i++) assert_true(rng_u64(&rng) == rng_u64(&copy));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mix_is_splitmix64),
        cmocka_unit_test(test_stream_is_fixed),
        cmocka_unit_test(test_split_leaves_the_parent),
        cmocka_unit_test(test_splits_are_unlike),
        cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_f64_and_normal_moments),
        cmocka_unit_test(test_state_is_two_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
