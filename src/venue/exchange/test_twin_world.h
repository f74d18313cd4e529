/* A naive twin of the exchange: state, money and margin. Lists that are searched from end to end, every sum
 * made anew at each look, quotients by long-hand 128-bit division. Slow on purpose, and sharing nothing with
 * the exchange but the types of its header. */
#ifndef VENUE_EXCHANGE_TEST_TWIN_WORLD_H
#define VENUE_EXCHANGE_TEST_TWIN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/exchange/exchange.h"

__extension__ typedef __int128 tw_wide;

enum {
    TW_ACCOUNTS_MAX = 8,
    TW_SYMBOLS_MAX = 3,
    TW_OPEN_MAX = 600, /* open orders, and conditional orders, of all */
    TW_QUOTES_MAX = 200,
    TW_CHANGED_MAX = 4000, /* by one input */
};

/* Index of position: 0 BOTH or LONG, 1 SHORT. */
struct tw_position {
    int64_t qty, cost, wallet, realized, fees, update_ns;
};

struct tw_account {
    int64_t wallet, realized, fees, funding, deposits, insurance;
    int64_t fee_maker, fee_taker;
    bool fees_set, hedge;
    struct tw_position position[TW_SYMBOLS_MAX][2];
    uint32_t leverage[TW_SYMBOLS_MAX];
    bool isolated[TW_SYMBOLS_MAX];
    int64_t countdown[TW_SYMBOLS_MAX];
    bool called, called_leg[TW_SYMBOLS_MAX][2]; /* margin calls */
    uint64_t held[TW_SYMBOLS_MAX]; /* rank by which it came to hold something; 0: flat */
    int64_t update_ns;
};

struct tw_market {
    int64_t mark, index, last, funding_last;
    uint64_t trade_id;
};

struct tw_order {
    struct exchange_order o;
    int64_t assumed; /* price margin is reserved at */
    uint64_t rank;   /* time priority; 0: not in the book */
    bool has_parent; /* rests as the child of a conditional order, which finishes when it ends */
    struct exchange_algo parent;
};

struct tw_quote {
    uint32_t s;
    uint8_t side;
    int64_t px, qty;
    uint64_t rank;
};

/* Open conditional orders. Once fired they leave this list; a child order that rests remembers its own in
 * `parent`. */
struct tw_algo {
    struct exchange_algo a;
    bool classic; /* of the ordinary endpoint: actual_order_id is its id from the start */
    uint64_t fired, activated; /* order in which they did; 0: not */
};

struct tw_trade {
    uint32_t s;
    uint8_t taker_side;
    int64_t px, qty;
    uint64_t id;
};

struct tw {
    struct exchange_config config;
    struct instrument in[TW_SYMBOLS_MAX];
    uint32_t symbols, accounts;
    struct tw_account account[TW_ACCOUNTS_MAX];
    struct tw_market market[TW_SYMBOLS_MAX];
    struct tw_order order[TW_OPEN_MAX]; /* by age */
    int order_count;
    struct tw_quote quote[TW_QUOTES_MAX];
    int quote_count;
    struct tw_algo algo[TW_OPEN_MAX]; /* by age */
    int algo_count;
    uint64_t next_order_id, next_algo_id, next_rank, next_fired; /* of ids and of ranks */
    int64_t now, fees, insurance, funding_pool, deposits;
    /* Accounts' contracts whose margin must be looked at, in the order they came up. */
    struct tw_doubt {
        uint32_t account, s;
    } doubt[TW_ACCOUNTS_MAX * TW_SYMBOLS_MAX];
    int doubt_count;
    struct tw_log *log; /* NULL: a copy that only tries something out */
};

/* What one input led to. */
struct tw_log {
    struct exchange_order changed[TW_CHANGED_MAX];
    struct exchange_algo changed_algo[TW_CHANGED_MAX];
    struct tw_trade trade[TW_CHANGED_MAX];
    int changed_count, changed_algo_count, trade_count;
    int calls;                          /* margin calls */
    int64_t income[TW_ACCOUNTS_MAX][8]; /* sums by enum exchange_income */
    uint64_t kinds[64];                 /* of all inputs: what happened how often, enum tw_kind */
};

/* What a run must have seen to be worth anything; from TW_INSURED on, a long one. */
#define TW_KINDS(X)                                                                                \
    X(TW_TRADES)                                                                                   \
    X(TW_SELF_TRADES)                                                                              \
    X(TW_STP_TAKER)                                                                                \
    X(TW_STP_MAKER)                                                                                \
    X(TW_STP_BOTH)                                                                                 \
    X(TW_REDUCE_EXPIRED)                                                                           \
    X(TW_IOC_EXPIRED)                                                                              \
    X(TW_MARKET_EXPIRED)                                                                           \
    X(TW_FOK_FILLED)                                                                               \
    X(TW_GTX_RESTED)                                                                               \
    X(TW_GTD_EXPIRED)                                                                              \
    X(TW_AMENDED)                                                                                  \
    X(TW_AMEND_CANCELED)                                                                           \
    X(TW_CANCELED)                                                                                 \
    X(TW_COUNTDOWNS)                                                                               \
    X(TW_FIRED)                                                                                    \
    X(TW_FIRED_TRAILING)                                                                           \
    X(TW_FIRED_CLOSE_POSITION)                                                                     \
    X(TW_FIRED_LIMIT)                                                                              \
    X(TW_FIRED_CLASSIC)                                                                            \
    X(TW_ALGO_FINISHED)                                                                            \
    X(TW_ALGO_REJECTED)                                                                            \
    X(TW_ALGO_EXPIRED)                                                                             \
    X(TW_ALGO_GTE_EXPIRED)                                                                         \
    X(TW_LIQUIDATIONS_CROSS)                                                                       \
    X(TW_LIQUIDATIONS_ISOLATED)                                                                    \
    X(TW_TAKEN_OVER)                                                                               \
    X(TW_FUNDINGS)                                                                                 \
    X(TW_SETTLED)                                                                                  \
    X(TW_TURNED)                                                                                   \
    X(TW_MARGIN_TYPES)                                                                             \
    X(TW_POSITION_MODES)                                                                           \
    X(TW_HOUSE_TAKES)                                                                              \
    X(TW_PRICE_MATCHED)                                                                            \
    X(TW_HEDGE_FILLS)                                                                              \
    X(TW_ISOLATED_FILLS)                                                                           \
    X(TW_INSURED)                                                                                  \
    X(TW_MARGIN_SHORT)

enum tw_kind {
#define TW_KIND_NAME(name) name,
    TW_KINDS(TW_KIND_NAME)
#undef TW_KIND_NAME
        TW_KIND_COUNT
};
static const char *const tw_kind_text[] = {
#define TW_KIND_TEXT(name) #name,
    TW_KINDS(TW_KIND_TEXT)
#undef TW_KIND_TEXT
};

/* ---- arithmetic ---- */

/* a * b / c, rounded down. */
static inline int64_t tw_down(int64_t a, int64_t b, int64_t c) {
    tw_wide n = (tw_wide)a * b, q = n / c;
    if (n % c != 0 && n < 0) q--;
    assert_true(q >= INT64_MIN && q <= INT64_MAX);
    return (int64_t)q;
}
static inline int64_t tw_up(int64_t a, int64_t b, int64_t c) {
    return -tw_down(-a, b, c);
}
/* To the nearest, ties to the even neighbour. */
static inline int64_t tw_even(int64_t a, int64_t b, int64_t c) {
    int64_t q = tw_down(a, b, c);
    tw_wide twice = ((tw_wide)a * b - (tw_wide)q * c) * 2;
    return q + (twice > c || (twice == c && q % 2 != 0));
}
static inline int64_t tw_abs(int64_t x) {
    return x < 0 ? -x : x;
}
static inline int64_t tw_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t tw_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---- orders ---- */

static inline int tw_leg(uint8_t position_side) {
    return position_side == POSITION_SHORT ? 1 : 0;
}
static inline int tw_sign(uint8_t side) {
    return side == SIDE_BUY ? 1 : -1;
}
static inline int64_t tw_left(const struct exchange_order *o) {
    return o->orig_qty.e8 - o->cum_qty.e8;
}
/* In hedge mode, the side that closes. */
static inline bool tw_closes(uint8_t position_side, uint8_t side) {
    return (position_side == POSITION_LONG && side == SIDE_SELL) ||
           (position_side == POSITION_SHORT && side == SIDE_BUY);
}
static inline bool tw_reduces(const struct exchange_order *o) {
    return o->reduce_only || o->close_position || tw_closes(o->position_side, o->side);
}
static inline bool tw_is_conditional(uint8_t type) {
    return type != ORDER_MARKET && type != ORDER_LIMIT;
}
static inline struct tw_position *tw_position_of(struct tw *w, const struct exchange_order *o) {
    return &w->account[o->account].position[o->instrument][tw_leg(o->position_side)];
}
/* How much of the position an order of this side would close. */
static inline int64_t tw_reducible(const struct tw_position *p, uint8_t side) {
    return tw_max(0, -tw_sign(side) * p->qty);
}
static inline struct tw_order *tw_order_find(struct tw *w, uint64_t id) {
    for (int i = 0; i < w->order_count; i++)
        if (w->order[i].o.order_id == id) return &w->order[i];
    return NULL;
}

static inline void tw_tell(struct tw *w, const struct exchange_order *o) {
    if (!w->log) return;
    assert_true(w->log->changed_count < TW_CHANGED_MAX);
    w->log->changed[w->log->changed_count++] = *o;
}
static inline void tw_tell_algo(struct tw *w, const struct exchange_algo *a) {
    if (!w->log) return;
    assert_true(w->log->changed_algo_count < TW_CHANGED_MAX);
    w->log->changed_algo[w->log->changed_algo_count++] = *a;
}
static inline void tw_count(struct tw *w, enum tw_kind kind) {
    if (w->log) w->log->kinds[kind]++;
}
static inline void tw_income(struct tw *w, uint32_t account, enum exchange_income type,
                             int64_t amount) {
    if (w->log && account != EXCHANGE_HOUSE) w->log->income[account][type] += amount;
}

/* ---- margin, by the formulas of the venue's support pages ---- */

static inline uint32_t tw_leverage(const struct tw *w, uint32_t account, uint32_t s) {
    uint32_t set = w->account[account].leverage[s], most = w->in[s].brackets[0].leverage_max;
    if (set) return set;
    return w->config.leverage_default < most ? w->config.leverage_default : most;
}

static inline int64_t tw_value(const struct tw *w, uint32_t s, int64_t qty) {
    return tw_even(qty, w->market[s].mark, FX_ONE);
}

static inline int64_t tw_unrealized(const struct tw *w, uint32_t s, const struct tw_position *p) {
    return p->qty ? tw_value(w, s, p->qty) - p->cost : 0;
}

static inline int64_t tw_position_margin(const struct tw *w, uint32_t account, uint32_t s,
                                         const struct tw_position *p) {
    return tw_up(tw_abs(tw_value(w, s, p->qty)), 1, tw_leverage(w, account, s));
}

static inline int64_t tw_maintenance(const struct tw *w, uint32_t s, const struct tw_position *p) {
    int64_t notional = tw_abs(tw_value(w, s, p->qty));
    if (notional == 0) return 0;
    const struct instrument *in = &w->in[s];
    uint32_t i = 0;
    while (i + 1 < in->bracket_count && notional >= in->brackets[i].notional_cap.e8) i++;
    return tw_up(notional, in->brackets[i].maint_margin_rate.e8, FX_ONE) -
           in->brackets[i].maint_amount.e8;
}

/* Resting orders of a side that may open, at their assumed prices (money) or as they are (quantity). */
static inline int64_t tw_resting(const struct tw *w, uint32_t account, uint32_t s, int leg,
                                 uint8_t side, bool money, uint64_t but) {
    int64_t sum = 0;
    for (int i = 0; i < w->order_count; i++) {
        const struct tw_order *r = &w->order[i];
        if (r->o.account != account || r->o.instrument != s || r->o.side != side) continue;
        if (tw_leg(r->o.position_side) != leg || tw_reduces(&r->o) || !r->rank) continue;
        if (r->o.order_id == but) continue;
        sum += money ? tw_even(r->assumed, tw_left(&r->o), FX_ONE) : tw_left(&r->o);
    }
    return sum;
}

/* Margin of the open orders beyond the position's, as if `extra` more rested on one side. */
static inline int64_t tw_order_margin(const struct tw *w, uint32_t account, uint32_t s, int leg,
                                      uint8_t side, int64_t extra, uint64_t but) {
    uint32_t leverage = tw_leverage(w, account, s);
    int64_t bids = tw_resting(w, account, s, 0, SIDE_BUY, true, but),
            asks = tw_resting(w, account, s, w->account[account].hedge, SIDE_SELL, true, but);
    if (w->account[account].hedge) {
        if (leg == 0 && side == SIDE_BUY) bids += extra;
        if (leg == 1 && side == SIDE_SELL) asks += extra;
        return tw_up(bids, 1, leverage) + tw_up(asks, 1, leverage);
    }
    if (side == SIDE_BUY) bids += extra;
    if (side == SIDE_SELL) asks += extra;
    int64_t held = tw_value(w, s, w->account[account].position[s][0].qty);
    int64_t present = tw_max(tw_abs(held + bids), tw_abs(held - asks));
    return tw_up(tw_max(0, present - tw_abs(held)), 1, leverage);
}

static inline void tw_look(const struct tw *w, uint32_t account, struct exchange_account *out) {
    const struct tw_account *a = &w->account[account];
    int64_t isolated = 0, cross_im = 0, cross_om = 0, isolated_om = 0, cross_mm = 0;
    *out = (struct exchange_account){.wallet = {a->wallet},
                                     .realized_pnl = {a->realized},
                                     .fees = {a->fees},
                                     .funding = {a->funding},
                                     .deposits = {a->deposits},
                                     .insurance = {a->insurance},
                                     .hedge = a->hedge};
    for (uint32_t s = 0; s < w->symbols; s++) {
        for (int leg = 0; leg < 2; leg++) {
            const struct tw_position *p = &a->position[s][leg];
            int64_t upnl = tw_unrealized(w, s, p), im = tw_position_margin(w, account, s, p),
                    mm = tw_maintenance(w, s, p);
            isolated += p->wallet;
            out->unrealized.e8 += upnl;
            out->position_margin.e8 += im;
            out->maint_margin.e8 += mm;
            if (a->isolated[s]) continue;
            out->cross_unrealized.e8 += upnl;
            cross_im += im;
            cross_mm += mm;
        }
        int64_t om = tw_order_margin(w, account, s, 0, SIDE_NONE, 0, 0);
        out->order_margin.e8 += om;
        *(a->isolated[s] ? &isolated_om : &cross_om) += om;
    }
    out->cross_wallet.e8 = a->wallet - isolated;
    out->initial_margin.e8 = out->position_margin.e8 + out->order_margin.e8;
    int64_t free_equity =
        out->cross_wallet.e8 + out->cross_unrealized.e8 - cross_im - cross_om - isolated_om;
    out->available.e8 = tw_max(0, free_equity);
    out->max_withdraw.e8 =
        tw_max(0, tw_min(out->cross_wallet.e8 - isolated_om - cross_mm, free_equity));
    for (int i = 0; i < w->order_count; i++) out->open_orders += w->order[i].o.account == account;
    for (int i = 0; i < w->algo_count; i++) out->open_algos += w->algo[i].a.account == account;
}

static inline int64_t tw_available(const struct tw *w, uint32_t account) {
    struct exchange_account a;
    tw_look(w, account, &a);
    return a.available.e8;
}

static inline int64_t tw_cross_wallet(const struct tw *w, uint32_t account) {
    const struct tw_account *a = &w->account[account];
    int64_t out = a->wallet;
    for (uint32_t s = 0; s < w->symbols; s++)
        out -= a->position[s][0].wallet + a->position[s][1].wallet;
    return out;
}

static inline void tw_doubt(struct tw *w, uint32_t account, uint32_t s) {
    if (account == EXCHANGE_HOUSE) return;
    for (int i = 0; i < w->doubt_count; i++)
        if (w->doubt[i].account == account && w->doubt[i].s == s) return;
    w->doubt[w->doubt_count++] = (struct tw_doubt){account, s};
}

/* When the next order, conditional order or countdown runs out. */
static inline int64_t tw_deadline(const struct tw *w) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < w->order_count; i++)
        if (w->order[i].rank && w->order[i].o.good_till_ns)
            best = tw_min(best, w->order[i].o.good_till_ns);
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].a.good_till_ns) best = tw_min(best, w->algo[i].a.good_till_ns);
    for (uint32_t a = 1; a < w->accounts; a++)
        for (uint32_t s = 0; s < w->symbols; s++)
            if (w->account[a].countdown[s]) best = tw_min(best, w->account[a].countdown[s]);
    return best;
}

/* ---- book ---- */

/* One line of the book: an order of a user or a quantity of the house. */
struct tw_line {
    struct tw_order *order;
    struct tw_quote *quote;
    int64_t px, qty;
    uint64_t rank;
};

/* First in line on a side: best price, then age. False: the side is empty. */
static inline bool tw_first(struct tw *w, uint32_t s, uint8_t side, struct tw_line *out) {
    *out = (struct tw_line){0};
    for (int i = 0; i < w->order_count + w->quote_count; i++) {
        struct tw_line line = {0};
        if (i < w->order_count) {
            struct tw_order *r = &w->order[i];
            if (!r->rank || r->o.instrument != s || r->o.side != side) continue;
            line = (struct tw_line){r, NULL, r->o.price.e8, tw_left(&r->o), r->rank};
        } else {
            struct tw_quote *q = &w->quote[i - w->order_count];
            if (q->s != s || q->side != side) continue;
            line = (struct tw_line){NULL, q, q->px, q->qty, q->rank};
        }
        int64_t better = (line.px - out->px) * tw_sign(side);
        if (!out->rank || better > 0 || (better == 0 && line.rank < out->rank)) *out = line;
    }
    return out->rank != 0;
}

static inline int64_t tw_best(struct tw *w, uint32_t s, uint8_t side) {
    struct tw_line line;
    return tw_first(w, s, side, &line) ? line.px : 0;
}

static inline int64_t tw_level(const struct tw *w, uint32_t s, uint8_t side, int64_t px) {
    int64_t sum = 0;
    for (int i = 0; i < w->order_count; i++) {
        const struct tw_order *r = &w->order[i];
        if (r->rank && r->o.instrument == s && r->o.side == side && r->o.price.e8 == px)
            sum += tw_left(&r->o);
    }
    for (int i = 0; i < w->quote_count; i++)
        if (w->quote[i].s == s && w->quote[i].side == side && w->quote[i].px == px)
            sum += w->quote[i].qty;
    return sum;
}

/* The next price of a side worse than px (0: the best); 0 if there is none. */
static inline int64_t tw_worse(const struct tw *w, uint32_t s, uint8_t side, int64_t px) {
    int64_t best = 0;
    for (int i = 0; i < w->order_count + w->quote_count; i++) {
        bool is_order = i < w->order_count;
        const struct tw_order *r = &w->order[is_order ? i : 0];
        const struct tw_quote *q = &w->quote[is_order ? 0 : i - w->order_count];
        if (is_order && !r->rank) continue;
        if ((is_order ? r->o.instrument : q->s) != s || (is_order ? r->o.side : q->side) != side)
            continue;
        int64_t p = is_order ? r->o.price.e8 : q->px;
        if (px && (px - p) * tw_sign(side) <= 0) continue;
        if (!best || (p - best) * tw_sign(side) > 0) best = p;
    }
    return best;
}

static inline uint8_t tw_other(uint8_t side) {
    return side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}

static inline void tw_quote_drop(struct tw *w, struct tw_quote *q) {
    int i = (int)(q - w->quote);
    memmove(q, q + 1, (size_t)(w->quote_count - i - 1) * sizeof *q);
    w->quote_count--;
}

#endif
