/* A market and a real exchange core around it, with an eye on every input that passes. */
#ifndef VENUE_MARKET_TEST_MARKET_H
#define VENUE_MARKET_TEST_MARKET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/market/market.h"

/* 2026-03-02 06:10:00 UTC, a Monday: not on an hour, so that first candles are short. */
#define TEST_START (INT64_C(1772431800) * NS_PER_SECOND)

struct fixture {
    struct market_config config;
    struct exchange *ex;
    struct market *market;
    struct ticks *ticks; /* NULL: not kept */
    struct exchange_config core;
    int64_t now_ns;
    uint64_t hash; /* of all inputs of the market and their times */
    uint64_t inputs, kinds[32], refused, trades;
    void (*look)(struct fixture *f, const struct exchange_input *in, int64_t ts_ns);
    void (*hear)(struct fixture *f, const struct exchange_event *e);
    void *context;
    struct exchange_reply reply;
    struct instrument instruments[MARKET_SYMBOLS_MAX];
    px_t start_px[MARKET_SYMBOLS_MAX];
};

static inline uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260302;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static inline void fixture_step(struct fixture *f, const struct exchange_input *in, int64_t ts_ns) {
    const struct exchange_event *e;
    if (ts_ns > f->now_ns) f->now_ns = ts_ns;
    exchange_step(f->ex, in, f->now_ns, &f->reply);
    while ((e = exchange_event_next(f->ex)) != NULL) {
        if (e->kind == EXE_TRADE) f->trades++;
        if (f->ticks) ticks_event(f->ticks, e);
        if (f->hear) f->hear(f, e);
    }
}

static inline void fixture_act(void *context, const struct exchange_input *in, int64_t ts_ns) {
    struct fixture *f = context;
    f->hash = hash_chain(f->hash, in, sizeof *in);
    f->hash = hash_chain(f->hash, &ts_ns, sizeof ts_ns);
    f->inputs++;
    f->kinds[in->kind]++;
    assert_true(ts_ns >= f->now_ns);
    assert_int_equal(in->account, EXCHANGE_HOUSE);
    if (f->look) f->look(f, in, ts_ns);
    fixture_step(f, in, ts_ns);
    if (f->reply.code != 0) f->refused++;
}

static inline void fixture_advance(struct fixture *f, int64_t now_ns) {
    static const struct exchange_input time = {.kind = EXI_TIME};
    market_advance(f->market, f->ex, now_ns, fixture_act, f);
    fixture_step(f, &time, now_ns);
    if (f->ticks) ticks_time(f->ticks, now_ns);
}

/* In steps of at most half a minute: nothing is jumped. */
static inline void fixture_run(struct fixture *f, int64_t until_ns) {
    while (f->now_ns < until_ns) {
        int64_t next = f->now_ns + 30 * NS_PER_SECOND;
        fixture_advance(f, next < until_ns ? next : until_ns);
    }
}

static inline void *test_block(size_t size) {
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p) abort();
    return memset(p, 0, (size + 63) / 64 * 64);
}

/* count default contracts; change f->config before fixture_open. */
static inline struct fixture *fixture_new(uint32_t count, uint64_t seed) {
    struct fixture *f = test_block(sizeof *f);
    market_symbols_default(f->instruments, f->start_px, count);
    f->config = market_config_defaults();
    f->config.seed = seed;
    f->config.instrument_count = count;
    f->config.instruments = f->instruments;
    f->config.start_px = f->start_px;
    f->config.start_ns = TEST_START;
    return f;
}

static inline void fixture_open(struct fixture *f, const struct ticks_limits *ticks) {
    f->core = exchange_config_defaults();
    f->core.instrument_count = f->config.instrument_count;
    f->core.instruments = f->instruments;
    f->core.accounts_max = 4;
    f->core.orders_max = f->core.algos_max = 2048;
    f->core.book_orders_max = 512;
    f->core.book_levels_max = 256;
    f->ex = exchange_init(test_block(exchange_size(&f->core)), &f->core);
    f->market = market_init(test_block(market_size(&f->config)), &f->config);
    if (ticks) f->ticks = ticks_init(test_block(ticks_size(ticks)), ticks);
    f->now_ns = f->config.start_ns;
}

static inline void fixture_free(struct fixture *f) {
    free(f->ex);
    free(f->market);
    free(f->ticks);
    free(f);
}

static inline uint32_t account_open(struct fixture *f, int64_t usdt) {
    struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = {usdt * FX_ONE}};
    fixture_step(f, &in, f->now_ns);
    assert_int_equal(f->reply.code, 0);
    return f->reply.account;
}

/* Id of the order; the reply's code must be 0. */
static inline uint64_t order_place(struct fixture *f, uint32_t account, uint32_t i, enum side side,
                                   enum order_type type, enum time_in_force tif, int64_t px,
                                   int64_t qty) {
    struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                .account = account,
                                .instrument = i,
                                .side = (uint8_t)side,
                                .type = (uint8_t)type,
                                .time_in_force = (uint8_t)tif,
                                .price = {px},
                                .qty = {qty}};
    fixture_step(f, &in, f->now_ns);
    if (f->reply.code != 0) fail_msg("order refused: %d", f->reply.code);
    return f->reply.order.order_id;
}

static inline void order_cancel_all(struct fixture *f, uint32_t account, uint32_t i) {
    struct exchange_input in = {.kind = EXI_CANCEL_ALL, .account = account, .instrument = i};
    fixture_step(f, &in, f->now_ns);
    assert_int_equal(f->reply.code, 0);
}

static inline struct exchange_prices prices_of(const struct fixture *f, uint32_t i) {
    struct exchange_prices p;
    exchange_prices_get(f->ex, i, &p);
    return p;
}

static inline void assert_conserved(const struct fixture *f) {
    struct exchange_totals totals;
    exchange_totals_get(f->ex, &totals);
    assert_int_equal(totals.error.e8, 0);
}

/* About a notional, in lots. */
static inline int64_t lots_of(const struct fixture *f, uint32_t i, int64_t px, int64_t usdt) {
    int64_t step = f->instruments[i].step_size.e8;
    return step + fx_snap_down((int64_t)((double)usdt * 1e16 / (double)px), step);
}

#endif
