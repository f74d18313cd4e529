/* What the tests of feed and session share: a scratch folder with a candle store of made-up bars. */
#ifndef BACKTEST_TEST_TAPE_H
#define BACKTEST_TEST_TAPE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backtest/feed.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "store/rules.h"
#include "venue/simex/synth.h"

enum { TAPE_PATH_SIZE = 256, TAPE_SYMBOLS = 6, TAPE_BARS = 4000 };

/* 2024-01-01 00:00 UTC */
#define TAPE_START_NS (INT64_C(1704067200) * NS_PER_SECOND)

static inline int tape_remove_one(const char *path, const struct stat *info, int type,
                                  struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static inline void tape_remove(const char *path) {
    nftw(path, tape_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void tape_folder(char out[TAPE_PATH_SIZE]) {
    const char *base = getenv("TMPDIR");
    snprintf(out, TAPE_PATH_SIZE, "%s/quantum-backtest-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(out));
}

static inline uint64_t tape_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260802;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static inline void tape_ok(enum status st, const struct err *err) {
    if (st != ST_OK) fail_msg("%s: %s", status_name(st), err->text);
}

static inline struct synth_config tape_synth(uint64_t seed) {
    struct synth_config c = synth_config_defaults();
    c.seed = seed;
    c.symbol_count = TAPE_SYMBOLS;
    c.interval_ns = NS_PER_MINUTE;
    c.start_ts_ns = TAPE_START_NS;
    return c;
}

/* (TAPE_SYMBOLS, TAPE_BARS) to free, and the contracts (TAPE_SYMBOLS). */
static inline struct bar *tape_bars(uint64_t seed, struct instrument *instruments) {
    struct synth_config c = tape_synth(seed);
    struct bar *bars = calloc((size_t)TAPE_SYMBOLS * TAPE_BARS, sizeof *bars), step[TAPE_SYMBOLS];
    struct synth *synth = aligned_alloc(64, (synth_size(&c) + 63) & ~(size_t)63);
    assert_non_null(bars);
    assert_non_null(synth);
    synth_init(synth, &c);
    synth_instruments(&c, instruments);
    for (size_t t = 0; t < TAPE_BARS; t++) {
        synth_next(synth, step);
        for (size_t i = 0; i < TAPE_SYMBOLS; i++) bars[i * TAPE_BARS + t] = step[i];
    }
    free(synth);
    return bars;
}

/* Bars [first, end) of one symbol into the store under `dir`. */
static inline void tape_put(const char *dir, const char *symbol, const struct bar *bars,
                            size_t first, size_t end) {
    struct candles_merge merged;
    struct err err = {0};
    tape_ok(candles_merge(&merged, dir, "um", NS_PER_MINUTE, symbol, INSTRUMENT_SYNTHETIC,
                          bars + first, end - first, &err),
            &err);
    assert_int_equal(merged.added, end - first);
}

/* The whole market: every symbol, every bar, the contracts' rules. */
static inline void tape_write(const char *dir, uint64_t seed) {
    struct instrument instruments[TAPE_SYMBOLS];
    struct rules rules[TAPE_SYMBOLS];
    struct err err = {0};
    struct bar *bars = tape_bars(seed, instruments);
    memset(rules, 0, sizeof rules);
    for (size_t i = 0; i < TAPE_SYMBOLS; i++) {
        tape_put(dir, instruments[i].symbol, bars + i * TAPE_BARS, 0, TAPE_BARS);
        rules[i].sources = RULES_FILTERS | RULES_BRACKETS | RULES_FUNDING;
        rules[i].instrument = instruments[i];
    }
    tape_ok(rules_merge(dir, rules, TAPE_SYMBOLS, &err), &err);
    free(bars);
}

static inline struct feed_tape_options tape_options(const char *dir) {
    return (struct feed_tape_options){.store = dir, .market = "um", .interval_ns = NS_PER_MINUTE};
}

#endif
