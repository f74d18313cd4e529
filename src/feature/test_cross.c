/* Cross-section columns: by hand, and ranks against counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feature/test_series.h"

enum { ROW = FEATURE_COUNT };

static float rows[FEATURE_ROWS_MAX * ROW];

static void rows_blank(uint32_t count) {
    for (uint32_t i = 0; i < count * ROW; i++) rows[i] = NAN;
}

static void test_four_rows_by_hand(void **state) {
    (void)state;
    static const float change[] = {0.02F, -0.01F, 0.02F, NAN, 0.0F};
    rows_blank(5);
    for (int i = 0; i < 5; i++) rows[i * ROW + FEATURE_PRICE_CHANGE] = change[i];
    feature_cross(rows, 5, ROW);
    static const float rank[] = {2.5F / 3, 0, 2.5F / 3, 0, 1.0F / 3};
    const double mean = 0.03 / 4, dispersion = sqrt((0.0004 * 2 + 0.0001) / 4 - mean * mean);
    for (int i = 0; i < 5; i++) {
        const float *row = rows + i * ROW;
        assert_float_equal(row[FEATURE_MARKET_RETURN_1], (float)mean, 1e-8F);
        assert_float_equal(row[FEATURE_MARKET_DISPERSION_1], (float)dispersion, 1e-8F);
        assert_float_equal(row[FEATURE_MARKET_BREADTH_1], 2.5F / 4, 1e-7F);
        assert_int_equal(isnan(row[FEATURE_RANK_RETURN_1]), i == 3);
        assert_int_equal(isnan(row[FEATURE_RELATIVE_STRENGTH_1]), i == 3);
        assert_true(isnan(row[FEATURE_RANK_RETURN_24]) && isnan(row[FEATURE_MARKET_RETURN_24]));
        if (i == 3) continue;
        assert_float_equal(row[FEATURE_RANK_RETURN_1], rank[i], 1e-7F);
        assert_true(fabs((double)row[FEATURE_RELATIVE_STRENGTH_1] - ((double)change[i] - mean)) <=
                    1e-8);
    }
}

static void test_one_known_row_is_no_cross_section(void **state) {
    (void)state;
    rows_blank(3);
    rows[FEATURE_PRICE_CHANGE] = 0.5F;
    feature_cross(rows, 3, ROW);
    for (uint32_t c = FEATURE_OWN_COUNT; c < FEATURE_COUNT; c++) assert_true(isnan(rows[c]));
    feature_cross(rows, 0, ROW); /* nothing to do is fine */
}

static void test_minus_zero_ties_with_zero(void **state) {
    (void)state;
    rows_blank(2);
    rows[FEATURE_RETURN_24] = -0.0F;
    rows[ROW + FEATURE_RETURN_24] = 0.0F;
    feature_cross(rows, 2, ROW);
    assert_float_equal(rows[FEATURE_RANK_RETURN_24], 0.5F, 0);
    assert_float_equal(rows[ROW + FEATURE_RANK_RETURN_24], 0.5F, 0);
}

/* Average rank by definition: smaller ones, and half of the other equal ones. */
static void test_ranks_equal_counting(void **state) {
    (void)state;
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 7;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct rng r = rng_init(seed);
    for (int round = 0; round < 300; round++) {
        uint32_t count = 2 + (uint32_t)rng_below(&r, round % 10 ? 60 : FEATURE_ROWS_MAX - 1);
        uint64_t kinds = round % 3 ? 1000000 : 5; /* few kinds: many ties */
        const uint64_t middle = kinds / 2;
        rows_blank(count);
        for (uint32_t i = 0; i < count; i++)
            if (i < 2 || rng_below(&r, 8))
                rows[i * ROW + FEATURE_RETURN_24] =
                    ((float)rng_below(&r, kinds) - (float)middle) * 1e-5F;
        feature_cross(rows, count, ROW);
        for (uint32_t i = 0; i < count; i++) {
            float x = rows[i * ROW + FEATURE_RETURN_24];
            double below = 0, equal = 0, known = 0;
            for (uint32_t j = 0; j < count; j++) {
                float y = rows[j * ROW + FEATURE_RETURN_24];
                known += !isnan(y);
                below += y < x;
                equal += y <= x && y >= x;
            }
            float rank = rows[i * ROW + FEATURE_RANK_RETURN_24];
            if (isnan(x)) {
                assert_true(isnan(rank));
                continue;
            }
            double want = (below + (equal - 1) / 2) / (known - 1);
            assert_true(fabs((double)rank - want) <= 1e-6);
        }
    }
}

/* One row at the top of its range among many at the bottom, and the reverse. */
static void test_extreme_returns_stay_in_range(void **state) {
    (void)state;
    for (int reverse = 0; reverse < 2; reverse++) {
        rows_blank(FEATURE_ROWS_MAX);
        for (uint32_t i = 0; i < FEATURE_ROWS_MAX; i++) {
            const struct feature_desc *d1 = feature_at(FEATURE_PRICE_CHANGE),
                                      *d24 = feature_at(FEATURE_RETURN_24);
            bool high = (i == 7) != reverse;
            rows[i * ROW + FEATURE_PRICE_CHANGE] = high ? d1->hi : d1->lo;
            rows[i * ROW + FEATURE_RETURN_24] = high ? d24->hi : d24->lo;
        }
        feature_cross(rows, FEATURE_ROWS_MAX, ROW);
        for (uint32_t i = 0; i < FEATURE_ROWS_MAX; i++)
            for (uint32_t c = FEATURE_OWN_COUNT; c < FEATURE_COUNT; c++) {
                float x = rows[i * ROW + c];
                if (!(x >= feature_at(c)->lo && x <= feature_at(c)->hi))
                    fail_msg("%s = %g", feature_at(c)->name, (double)x);
            }
    }
}

static void test_own_columns_and_wider_strides_are_left_alone(void **state) {
    (void)state;
    enum { STRIDE = ROW + 3 };
    float wide[2 * STRIDE];
    for (int i = 0; i < 2 * STRIDE; i++) wide[i] = (float)i * 1e-3F;
    feature_cross(wide, 2, STRIDE);
    for (int i = 0; i < 2 * STRIDE; i++)
        if (i % STRIDE < (int)FEATURE_OWN_COUNT || i % STRIDE >= ROW)
            assert_float_equal(wide[i], (float)i * 1e-3F, 0);
    assert_float_equal(wide[STRIDE + FEATURE_RANK_RETURN_1], 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_rows_by_hand),
        cmocka_unit_test(test_one_known_row_is_no_cross_section),
        cmocka_unit_test(test_minus_zero_ties_with_zero),
        cmocka_unit_test(test_ranks_equal_counting),
        cmocka_unit_test(test_extreme_returns_stay_in_range),
        cmocka_unit_test(test_own_columns_and_wider_strides_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
