/* What the store's tests share: a scratch folder and made-up bars. */
#ifndef STORE_TEST_STORE_H
#define STORE_TEST_STORE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "store/candles.h"

enum { SCRATCH_SIZE = 256 };

static inline int scratch_remove_one(const char *path, const struct stat *info, int type,
                                     struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static inline void scratch_make(char out[SCRATCH_SIZE]) {
    const char *base = getenv("TMPDIR");
    snprintf(out, SCRATCH_SIZE, "%s/qtest_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(out));
}

static inline void scratch_remove(const char *path) {
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260802;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Bar number `index` of a 1m series: the same number, the same bar, whatever else was asked for. */
static inline struct bar test_bar(uint64_t index) {
    struct rng r = rng_init(index);
    int64_t low = 100 * FX_ONE + (int64_t)rng_below(&r, 5000) * 1000000;
    struct bar b = {
        .open_ts_ns = (int64_t)(28000000 + index) * NS_PER_MINUTE,
        .open = {low + (int64_t)rng_below(&r, 50) * 1000000},
        .low = {low},
        .high = {low + 50 * 1000000},
        .close = {low + (int64_t)rng_below(&r, 50) * 1000000},
        .volume = (double)rng_below(&r, 1000000) / 1000,
        .quote_volume = index % 3 ? (double)index : (double)NAN,
        .taker_buy_ratio = index % 3 ? 0.25f : NAN,
        .trade_count = index % 3 ? 17 : BAR_COUNT_UNKNOWN,
    };
    return b;
}

static inline void test_bars(struct bar *out, uint64_t first, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = test_bar(first + i);
}

/* The bits, so that NaN equals NaN. */
static inline void assert_bars(const struct candles *c, uint64_t first, size_t count) {
    assert_int_equal(c->count, count);
    for (size_t i = 0; i < count; i++) {
        struct bar expected = test_bar(first + i);
        assert_memory_equal(&c->bars[i], &expected, sizeof expected);
    }
}

#endif
