/* What the breaker's tests share. */
#ifndef TRADE_BREAKER_TEST_BREAKER_H
#define TRADE_BREAKER_TEST_BREAKER_H

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "trade/breaker/breaker.h"

static const int64_t S = INT64_C(1000000000);
static const int64_t HOUR = INT64_C(3600000000000);
static const int64_t DAY = INT64_C(86400000000000);
static const int64_t T0 = INT64_C(1727740800000000000); /* 2024-10-01, the first moment of a day */

static inline struct breaker *breaker_new(const struct breaker_config *config, uint32_t symbols) {
    struct breaker *b = malloc(breaker_size(symbols));
    assert_non_null(b);
    breaker_init(b, config, symbols);
    return b;
}

static inline money_t usdt(double x) {
    return money_e8(fx_from_f64(x));
}

/* The one change of a call: what, and from where to where. */
static inline void assert_change(const struct breaker_changes *c, enum breaker_part part,
                                 uint32_t symbol, const char *before, const char *after) {
    assert_int_equal(c->count, 1);
    assert_int_equal(c->items[0].part, part);
    assert_int_equal(c->items[0].symbol, symbol);
    assert_string_equal(c->items[0].before, before);
    assert_string_equal(c->items[0].after, after);
}

static inline struct rng test_rng(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return rng_init(seed);
}

#endif
