/* A small exchange with a synthetic market, and random inputs that depend on a seed and their number alone, so that
 * two worlds can be given the same ones without knowing each other. For tests. */
#ifndef VENUE_SERVER_TEST_WORLD_H
#define VENUE_SERVER_TEST_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/server/world.h"

enum { TEST_CONTRACTS = 3, TEST_ACCOUNTS = 3 };
#define TEST_START_NS (INT64_C(1700000000) * NS_PER_SECOND + 123 * NS_PER_MS)

static inline void test_account_open(struct world *w, money_t deposit) {
    struct exchange_reply reply;
    struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = deposit};
    world_do(w, &in, w->now_ns, &reply);
}

static inline void test_prepare(void *context, struct world *w) {
    (void)context;
    for (int i = 0; i < TEST_ACCOUNTS; i++) test_account_open(w, money_e8(10000000 * FX_ONE));
}

struct test_setup {
    struct instrument instruments[TEST_CONTRACTS];
    px_t start_px[TEST_CONTRACTS];
    struct world_options options;
};

static inline void test_setup(struct test_setup *s, const char *state_dir) {
    memset(s, 0, sizeof *s);
    market_symbols_default(s->instruments, s->start_px, TEST_CONTRACTS);
    struct world_options *o = &s->options;
    o->exchange = exchange_config_defaults();
    o->exchange.instrument_count = TEST_CONTRACTS;
    o->exchange.instruments = s->instruments;
    o->exchange.accounts_max = 16;
    o->exchange.orders_max = 512;
    o->exchange.algos_max = 128;
    o->exchange.book_orders_max = 1024;
    o->exchange.book_levels_max = 1024;
    o->exchange.events_max = 4096;
    o->market = market_config_defaults();
    o->market.instrument_count = TEST_CONTRACTS;
    o->market.instruments = s->instruments;
    o->market.start_px = s->start_px;
    o->market.start_ns = TEST_START_NS;
    o->history = history_limits_defaults();
    o->history.orders_max = 4096;
    o->history.algos_max = 1024;
    o->history.trades_max = 4096;
    o->history.incomes_max = 4096;
    o->history.amendments_max = 256;
    o->ticks = (struct ticks_limits){
        .instrument_count = TEST_CONTRACTS, .bars = 240, .trades = 500, .fundings = 20};
    o->state_dir = state_dir;
    o->start_ns = TEST_START_NS;
    o->prepare = test_prepare;
}

/* One input of a random load. */
struct test_op {
    bool is_advance;
    struct exchange_input in;
    int64_t now_ns;
};

static inline struct rng test_op_rng(uint64_t seed, uint64_t number) {
    struct rng root = rng_init(seed);
    return rng_split(&root, number);
}

static inline void test_op_order(struct exchange_input *in, struct rng *r,
                                 const struct test_setup *s) {
    const struct instrument *x = &s->instruments[in->instrument];
    int64_t px = s->start_px[in->instrument].e8;
    int64_t lots = (int64_t)rng_below(r, 50) + 1;
    in->side = rng_below(r, 2) ? SIDE_BUY : SIDE_SELL;
    in->type = rng_below(r, 3) ? ORDER_LIMIT : ORDER_MARKET;
    in->stp = STP_EXPIRE_MAKER;
    in->qty.e8 = fx_snap_up(fx_muldiv_ceil(x->notional_min.e8, FX_ONE, px), x->step_size.e8) +
                 lots * x->step_size.e8;
    if (in->type == ORDER_LIMIT) {
        int64_t away = (int64_t)rng_below(r, 400) - 200; /* in 1e-4 of the price */
        in->price.e8 = fx_snap_nearest(px + fx_muldiv_floor(px, away, 10000), x->tick_size.e8);
        in->time_in_force = rng_below(r, 8) == 0 ? TIF_IOC : TIF_GTC;
    }
}

/* The number-th op of a seed; times ascend by up to a quarter of a second an op. */
static inline void test_op(struct test_op *out, const struct test_setup *s, uint64_t seed,
                           uint64_t number) {
    struct rng r = test_op_rng(seed, number);
    memset(out, 0, sizeof *out);
    out->now_ns = TEST_START_NS + (int64_t)number * 250 * NS_PER_MS +
                  (int64_t)rng_below(&r, 250 * (uint64_t)NS_PER_MS);
    out->is_advance = rng_below(&r, 3) == 0;
    struct exchange_input *in = &out->in;
    in->account = 1 + (uint32_t)rng_below(&r, TEST_ACCOUNTS);
    in->instrument = (uint32_t)rng_below(&r, TEST_CONTRACTS);
    switch (rng_below(&r, 12)) {
    case 0:
        in->kind = EXI_CANCEL_ALL;
        break;
    case 1:
        in->kind = EXI_LEVERAGE;
        in->leverage = 1 + (uint32_t)rng_below(&r, 50);
        break;
    case 2:
        in->kind = EXI_COUNTDOWN;
        in->until_ns = out->now_ns + (int64_t)rng_below(&r, 5) * NS_PER_SECOND;
        break;
    case 3:
        in->kind = EXI_ALGO_PLACE;
        test_op_order(in, &r, s);
        in->type = ORDER_STOP_MARKET;
        in->price = px_e8(0);
        in->time_in_force = TIF_GTC;
        in->price2.e8 = fx_snap_nearest(s->start_px[in->instrument].e8 / 1000 *
                                            (in->side == SIDE_BUY ? 1003 : 997),
                                        s->instruments[in->instrument].tick_size.e8);
        break;
    default:
        in->kind = EXI_ORDER_PLACE;
        test_op_order(in, &r, s);
    }
}

/* Applies it; returns the reply's code. */
static inline int32_t test_op_run(struct world *w, const struct test_op *op) {
    struct exchange_reply reply = {0};
    if (op->is_advance)
        world_advance(w, op->now_ns);
    else
        world_do(w, &op->in, op->now_ns, &reply);
    return reply.code;
}

/* A new folder under TMPDIR or /tmp; removed by test_dir_remove. */
static inline void test_dir(char *out, size_t size) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out, size, "%s/quantum-world-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(out)) abort();
}
static inline void test_dir_remove(const char *dir) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command)) abort();
}

static inline uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed =
        text ? strtoull(text, NULL, 10) : (uint64_t)tstamp_wall_ns() % UINT64_C(1000000007);
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}
#endif
