/* The dropout mask: the plain twin's, whatever the cut; and random: share, neighbours, seeds,
 * bits. Seeds are fixed, so that the bounds (five standard errors) hold or do not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nn/nn_ref.h"

enum { N = 1 << 18 };

static nn_real ones[N], a[N], b[N];

static void test_equals_its_twin_in_any_cut(void **state) {
    (void)state;
    struct rng r = rng_init(8);
    for (size_t i = 0; i < N; i++) ones[i] = (nn_real)rng_normal(&r);
    for (int round = 0; round < 200; round++) {
        size_t n = (size_t)rng_below(&r, 300);
        uint64_t first = rng_u64(&r) >> (round % 60), seed = rng_u64(&r);
        nn_real p = (nn_real)rng_f64(&r);
        nn_dropout(a, ones, n, p, seed, first);
        nn_dropout_ref(b, ones, n, p, seed, first);
        assert_memory_equal(a, b, n * sizeof *a);
        size_t cut = n ? (size_t)rng_below(&r, n) : 0;
        memcpy(b, ones, n * sizeof *b);
        nn_dropout(b + cut, b + cut, n - cut, p, seed, first + cut); /* in place, the end first */
        nn_dropout(b, b, cut, p, seed, first);
        assert_memory_equal(a, b, n * sizeof *a);
    }
    nn_dropout(a, ones, N, 0, 1, 2);
    assert_memory_equal(a, ones, sizeof a);
}

static void mask(nn_real *out, nn_real p, uint64_t seed, uint64_t first) {
    for (size_t i = 0; i < N; i++) ones[i] = 1;
    nn_dropout(out, ones, N, p, seed, first);
    for (size_t i = 0; i < N; i++) out[i] = out[i] > 0;
}

/* Correlation of x[i] with y[i + lag], in standard errors. */
static double correlation(const nn_real *x, const nn_real *y, size_t lag, double keep) {
    double sum = 0;
    for (size_t i = 0; i + lag < N; i++) sum += ((double)x[i] - keep) * ((double)y[i + lag] - keep);
    return sum / (keep * (1 - keep)) / sqrt((double)(N - lag));
}

static void test_share_and_scale(void **state) {
    (void)state;
    static const double shares[] = {0.05, 0.1, 0.2, 0.3, 0.5, 0.9};
    for (size_t i = 0; i < 6; i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            for (size_t k = 0; k < N; k++) ones[k] = 1;
            nn_dropout(a, ones, N, (nn_real)shares[i], seed, seed << 40);
            double kept = 0, mean = 0;
            for (size_t k = 0; k < N; k++) kept += a[k] > 0, mean += (double)a[k] / N;
            double error = sqrt(shares[i] * (1 - shares[i]) / N);
            assert_true(fabs(kept / N - (1 - shares[i])) < 5 * error + 1.0 / 65536);
            assert_true(fabs(mean - 1) < 5 * error / (1 - shares[i]));
        }
}

/* Counts of kept ones in rows of 64 vary as coin tosses do: not less, not more. */
static void test_variance_of_counts(void **state) {
    (void)state;
    enum { ROW = 64, ROWS = N / ROW };
    for (uint64_t seed = 0; seed < 20; seed++) {
        mask(a, (nn_real)0.5, seed, 0);
        double square = 0;
        for (size_t r = 0; r < ROWS; r++) {
            double count = 0;
            for (size_t i = 0; i < ROW; i++) count += (double)a[r * ROW + i];
            square += (count - ROW / 2) * (count - ROW / 2) / (ROW / 4.0);
        }
        assert_true(fabs(square / ROWS - 1) < 5 * sqrt(2.0 / ROWS));
    }
}

static void test_neighbours_are_independent(void **state) {
    (void)state;
    static const size_t lags[] = {1,  2,  3,  4,   7,   8,   9,    15,   16,
                                  17, 32, 42, 128, 256, 336, 1024, 65536};
    for (uint64_t seed = 0; seed < 6; seed++) {
        mask(a, (nn_real)0.3, seed, 0);
        for (size_t i = 0; i < sizeof lags / sizeof lags[0]; i++) {
            double off = correlation(a, a, lags[i], 0.7);
            if (!(fabs(off) < 5)) fail_msg("lag %zu: %g standard errors", lags[i], off);
        }
    }
}

/* Seeds beside each other, seeds that differ in one bit, and the same seed further on. */
static void test_seeds_are_independent(void **state) {
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        mask(a, (nn_real)0.5, 1000, 0);
        mask(b, (nn_real)0.5, 1000 ^ (UINT64_C(1) << bit), 0);
        for (size_t lag = 0; lag < 20; lag++)
            if (!(fabs(correlation(a, b, lag, 0.5)) < 5)) fail_msg("bit %d, lag %zu", bit, lag);
    }
    for (uint64_t i = 1; i < 40; i++) {
        mask(b, (nn_real)0.5, 1000 + i, 0);
        assert_true(fabs(correlation(a, b, 0, 0.5)) < 5);
        mask(b, (nn_real)0.5, 1000, (UINT64_C(1) << 18) * i);
        assert_true(fabs(correlation(a, b, 0, 0.5)) < 5);
        mask(b, (nn_real)0.5, 1000, (UINT64_C(1) << 32) * i);
        assert_true(fabs(correlation(a, b, 0, 0.5)) < 5);
    }
}

/* Three values together: every pattern as often as its probability says. */
static void test_triples(void **state) {
    (void)state;
    static const size_t offsets[][2] = {{1, 2}, {8, 16}, {1, 8}, {16, 128}};
    for (size_t o = 0; o < 4; o++) {
        double counts[8] = {0}, chi = 0;
        mask(a, (nn_real)0.5, 4 + o, 0);
        size_t n = N - 128;
        for (size_t i = 0; i < n; i++)
            counts[(int)a[i] + 2 * (int)a[i + offsets[o][0]] + 4 * (int)a[i + offsets[o][1]]]++;
        for (int i = 0; i < 8; i++) {
            double want = (double)n / 8;
            chi += (counts[i] - want) * (counts[i] - want) / want;
        }
        if (!(chi < 60)) fail_msg("chi-square %g of 7 degrees (overlapping)", chi);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_its_twin_in_any_cut),
        cmocka_unit_test(test_share_and_scale),
        cmocka_unit_test(test_variance_of_counts),
        cmocka_unit_test(test_neighbours_are_independent),
        cmocka_unit_test(test_seeds_are_independent),
        cmocka_unit_test(test_triples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
