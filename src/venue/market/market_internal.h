/* Inside the liquidity source. One block: struct market with its slots, then the house's quotes,
 * the queues of bars or trades to be replayed, and the tree that knows which contract is due next. */
#ifndef VENUE_MARKET_MARKET_INTERNAL_H
#define VENUE_MARKET_MARKET_INTERNAL_H

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/market/market.h"

__extension__ typedef __int128 market_i128;

#define MARKET_NEVER INT64_MAX

enum {
    BARS_QUEUED = 4,     /* to be replayed, a contract; the one being replayed not counted */
    TRADES_QUEUED = 256, /* the same for recorded trades */
    BASIS_SAMPLES = 30,  /* one a second: the mean of mid - index in the mark price */
};

/* A contract. */
struct market_slot {
    /* when it has something to do, and the earliest of these */
    int64_t quote_ns, mark_ns, funding_ns, flow_ns, next_ns;

    /* the path */
    struct rng path_rng, flow_rng;
    double level;     /* synthetic: the index price before it is rounded */
    double slow;      /* synthetic: mean of the last moves, for the side of the flow */
    int64_t index_e8; /* where the path stands; 0: nothing known yet */
    int64_t path_ns;  /* at this time */

    /* the ladder: own quotes at base + multiples of spacing; bids in cells cell, cell - 1 …, asks
     * above */
    int64_t tick, step, base, spacing, spacing_index, cell;
    bool placed, stale;

    /* mark, index, funding */
    int64_t mark_e8;
    int64_t basis[BASIS_SAMPLES];
    uint32_t basis_count, mark_count;
    int64_t funding_interval_ns;
    int64_t premium_sum; /* sum of weight times premium index */
    int64_t premium_count;
    rate_t funding_cap;

    /* replay */
    struct bar bar;
    int64_t bar_lots, fed_ns; /* fed: open of the newest bar or time of the newest trade taken */
    uint32_t print_at, print_count;
    uint32_t queue_first, queue_count;
    int32_t
        taker_error; /* share of taker buys asked for so far less that given, in 1e-6 of a print */
    bool has_bar;
};

struct market {
    enum market_source source;
    uint32_t count, levels, leaves;
    double level_notional;
    uint32_t funding_count_max, lead_ppm;
    int64_t start_ns, now_ns, interval_ns, quote_every_ns;
    rate_t half_spread;
    double volatility_day, trades_per_s;
    struct rng factor_root;
    uint64_t factor_key;
    double factor; /* the draw all contracts share at factor_key */
    size_t own_at, queue_at, tree_at;
    struct market_slot slots[];
};

/* What an input needs to be made. */
struct market_call {
    const struct exchange *ex;
    market_do *act;
    void *context;
    int64_t ts_ns;
};

static inline int64_t *market_own(struct market *m, uint32_t i) {
    return (int64_t *)(void *)((char *)m + m->own_at) + (size_t)i * 2 * m->levels;
}
static inline struct bar *market_bar_queue(struct market *m, uint32_t i) {
    return (struct bar *)(void *)((char *)m + m->queue_at) + (size_t)i * BARS_QUEUED;
}
static inline struct market_trade *market_trade_queue(struct market *m, uint32_t i) {
    return (struct market_trade *)(void *)((char *)m + m->queue_at) + (size_t)i * TRADES_QUEUED;
}

static inline void market_input(const struct market_call *c, const struct exchange_input *in) {
    c->act(c->context, in, c->ts_ns);
}

/* ---- market_path.c ---- */

/* The index of a contract that never traded: from the configuration. */
void market_path_start(struct market *m, uint32_t i, px_t start);
/* Moves the path to c->ts_ns. jumped: over a gap, for all contracts at once. */
void market_path_shock(struct market *m, uint32_t i, const struct instrument *in, int32_t move_ppm);
void market_path_step(struct market *m, uint32_t i, const struct market_call *c, bool jumped);
/* When the next print or bar of a replay, or the next trade of others, is due after now. */
void market_flow_schedule(struct market *m, uint32_t i, int64_t now_ns);
/* The next trade of others: of the replay or of chance. */
void market_flow(struct market *m, uint32_t i, const struct market_call *c);

/* ---- market_quote.c ---- */

/* Moves the house's quotes to where the path stands. */
void market_quote(struct market *m, uint32_t i, const struct market_call *c);
/* A trade of somebody at px, or as near to it as the book allows; in lots of the contract. */
void market_trade_at(struct market *m, uint32_t i, const struct market_call *c, enum side taker,
                     px_t px, int64_t qty_e8);

/* ---- market_mark.c ---- */

void market_mark(struct market *m, uint32_t i, const struct market_call *c);
void market_mark_forget(struct market_slot *s);
void market_funding(struct market *m, uint32_t i, const struct market_call *c);
rate_t market_rate_now(const struct market_slot *s);

/* Nearest price that the contract's price filter allows, as far as its tick goes. */
static inline int64_t market_snap_px(const struct instrument *in, int64_t px) {
    int64_t base = in->px_min.e8 % in->tick_size.e8;
    return base + fx_snap_nearest(px - base, in->tick_size.e8);
}

static inline int64_t market_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t market_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

#endif
