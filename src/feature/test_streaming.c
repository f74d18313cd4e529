/* One code path, one result: restarts, repeats, compilers. And no bar after t in a row at t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "feature/test_series.h"

enum { BARS = 600, SYMBOLS = 4, ROW = FEATURE_COUNT };

static void test_memcpy_of_the_state_is_a_checkpoint(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float whole[BARS * ROW], row[ROW];
    test_walk(bars, BARS, 21, TEST_START_NS, 0.01);
    test_rows(whole, bars, BARS);
    for (size_t cut = 1; cut < BARS; cut += 37) {
        struct feature_series *first = test_series_new(), *second = test_series_new();
        for (size_t i = 0; i < cut; i++) feature_step(row, first, &bars[i]);
        memcpy(second, first, feature_series_size());
        memset(first, 0xA5, feature_series_size()); /* nothing may still look here */
        for (size_t i = cut; i < BARS; i++) {
            feature_step(row, second, &bars[i]);
            assert_memory_equal(row, whole + i * ROW, sizeof row);
        }
        free(first);
        free(second);
    }
}

static void test_two_passes_are_equal(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float one[BARS * ROW], two[BARS * ROW];
    test_walk(bars, BARS, 22, TEST_START_NS, 0.05);
    test_rows(one, bars, BARS);
    test_rows(two, bars, BARS);
    assert_memory_equal(one, two, sizeof one);
}

/* EXACT: the same bits wherever the series began, once known. EPSILON: the same but for rounding.
 * CONVERGING: the same but for rounding when both began long ago, as 0.93^(600 / 16) is not. */
static void test_tolerance_class_says_how_much_the_start_matters(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float early[BARS * ROW], late[BARS * ROW];
    enum { LATER = 101 };
    test_walk(bars, BARS, 23, TEST_START_NS, 0.02);
    test_rows(early, bars, BARS);
    test_rows(late, bars + LATER, BARS - LATER);
    bool moved = false;
    for (size_t i = LATER; i < BARS; i++)
        for (uint32_t c = 0; c < FEATURE_OWN_COUNT; c++) {
            const float *a = early + i * ROW + c, *b = late + (i - LATER) * ROW + c;
            const struct feature_desc *d = feature_at(c);
            if (isnan(*b)) continue;
            if (d->tolerance == FEATURE_EXACT && memcmp(a, b, sizeof *a) != 0)
                fail_msg("%s at bar %zu: %.9g, begun later %.9g", d->name, i, (double)*a,
                         (double)*b);
            if (d->tolerance == FEATURE_EPSILON && !(fabsf(*a - *b) <= 2e-6F * (1 + fabsf(*a))))
                fail_msg("%s at bar %zu: %.9g, begun later %.9g", d->name, i, (double)*a,
                         (double)*b);
            moved |= d->tolerance == FEATURE_CONVERGING && memcmp(a, b, sizeof *a) != 0;
        }
    assert_true(moved);
}

/* A world: SYMBOLS series side by side. rows (n, SYMBOLS, ROW) from the first n bars of each. */
typedef void (*world_fn)(float *rows, const struct bar *bars, size_t n);

static void world_rows(float *rows, const struct bar *bars, size_t n) {
    struct feature_series *series[SYMBOLS];
    for (size_t s = 0; s < SYMBOLS; s++) series[s] = test_series_new();
    for (size_t t = 0; t < n; t++) {
        for (size_t s = 0; s < SYMBOLS; s++)
            feature_step(rows + (t * SYMBOLS + s) * ROW, series[s], &bars[s * BARS + t]);
        feature_cross(rows + t * SYMBOLS * ROW, SYMBOLS, ROW);
    }
    for (size_t s = 0; s < SYMBOLS; s++) free(series[s]);
}

/* The same with one column that looks a bar ahead, as a centred average does. */
static void leaking_rows(float *rows, const struct bar *bars, size_t n) {
    world_rows(rows, bars, n);
    for (size_t t = 0; t < n; t++)
        for (size_t s = 0; s < SYMBOLS; s++) {
            const struct bar *now = &bars[s * BARS + t], *next = t + 1 < n ? now + 1 : now;
            rows[(t * SYMBOLS + s) * ROW + FEATURE_SMA_20_DISTANCE] =
                (float)((double)now->close.e8 / (double)next->close.e8 - 1);
        }
}

struct leak {
    size_t bars_seen, at, column;
};

/* Takes away every bar after t, for every t, and looks whether any row up to t changes. */
static bool leak_find(struct leak *out, world_fn make, const struct bar *bars) {
    const size_t world = (size_t)SYMBOLS * ROW;
    float *whole = malloc(BARS * world * sizeof *whole), *cut = malloc(BARS * world * sizeof *cut);
    assert_true(whole && cut);
    bool found = false;
    make(whole, bars, BARS);
    for (size_t n = 1; n < BARS && !found; n++) {
        make(cut, bars, n);
        if (memcmp(whole, cut, n * world * sizeof *cut) == 0) continue;
        size_t i = 0;
        while (memcmp(&whole[i], &cut[i], sizeof *cut) == 0) i++;
        *out = (struct leak){n, i / world, i % ROW};
        found = true;
    }
    free(whole);
    free(cut);
    return found;
}

static struct bar world_bars[SYMBOLS * BARS];

static int world_make(void **state) {
    (void)state;
    for (size_t s = 0; s < SYMBOLS; s++)
        test_walk(world_bars + s * BARS, BARS, 30 + s, TEST_START_NS, 0.01);
    /* One symbol has a hole of five bars. */
    for (size_t t = 300; t < BARS; t++) world_bars[2 * BARS + t].open_ts_ns += 5 * TEST_INTERVAL_NS;
    return 0;
}

static void test_no_row_changes_when_later_bars_are_taken_away(void **state) {
    (void)state;
    struct leak leak = {0};
    if (leak_find(&leak, world_rows, world_bars))
        fail_msg("%s at bar %zu changes when bars from %zu on are taken away",
                 feature_at((uint32_t)leak.column)->name, leak.at, leak.bars_seen);
}

static void test_the_leak_finder_finds_a_leak(void **state) {
    (void)state;
    struct leak leak = {0};
    assert_true(leak_find(&leak, leaking_rows, world_bars));
    assert_int_equal(leak.column, FEATURE_SMA_20_DISTANCE);
    assert_int_equal(leak.bars_seen, leak.at + 1);
}

/* The bits of every row of the world. Equal for gcc and clang, -O0 and -O2; changes only when a
 * formula does, and then together with that row's version in the registry. */
static void test_fingerprint(void **state) {
    (void)state;
    static float rows[BARS * SYMBOLS * ROW];
    world_rows(rows, world_bars, BARS);
    uint64_t hash = hash64(rows, sizeof rows);
    print_message("fingerprint %016llx\n", (unsigned long long)hash);
    assert_int_equal(hash, UINT64_C(0x289eae1af51fc489));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy_of_the_state_is_a_checkpoint),
        cmocka_unit_test(test_two_passes_are_equal),
        cmocka_unit_test(test_tolerance_class_says_how_much_the_start_matters),
        cmocka_unit_test(test_no_row_changes_when_later_bars_are_taken_away),
        cmocka_unit_test(test_the_leak_finder_finds_a_leak),
        cmocka_unit_test(test_fingerprint),
    };
    return cmocka_run_group_tests(tests, world_make, NULL);
}
