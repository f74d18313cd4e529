/* The house in the book: a ladder of quotes around the path, and its trades with whoever rests
 * there. */
#include <string.h>

#include "num/elementary.h"
#include "venue/market/market_internal.h"

/* A level's notional in quote units: the middle, the deviation of its logarithm, drawn within two
 * of them. */
static const double LEVEL_SPREAD = 0.6;
/* What the house takes at once from an order that the path has passed, in quote units. */
static const double SWEEP_NOTIONAL = 500000.0;
/* Prices of users' orders swept in one move. */
enum { SWEEPS = 8 };
/* One in this many trades at a price that house and users share is with the users. */
enum { SHARED_ONE_IN = 4 };

enum { BID = 0, ASK = 1 };

static double clamp(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

static int64_t cell_px(const struct market_slot *s, int64_t cell) {
    return s->base + cell * s->spacing;
}

static int64_t cell_below(const struct market_slot *s, int64_t px) {
    return market_max(px - s->base, 0) / s->spacing;
}

/* What the house last quoted at a cell of a side. A side has as many cells in a row as there are
 * levels. */
static int64_t *own_of(struct market *m, uint32_t i, int side, int64_t cell) {
    return market_own(m, i) + (size_t)side * m->levels + (size_t)(cell % (int64_t)m->levels);
}

static void quote_send(const struct market_call *c, uint32_t i, int side, int64_t px, int64_t qty) {
    const struct exchange_input in = {.kind = EXI_QUOTE,
                                      .side = side == BID ? SIDE_BUY : SIDE_SELL,
                                      .account = EXCHANGE_HOUSE,
                                      .instrument = i,
                                      .price = {px},
                                      .qty = {qty}};
    market_input(c, &in);
}

static void level_clear(struct market *m, uint32_t i, const struct market_call *c, int side,
                        int64_t cell) {
    int64_t *own = own_of(m, i, side, cell);
    if (*own == 0) return;
    *own = 0;
    quote_send(c, i, side, cell_px(&m->slots[i], cell), 0);
}

/* Nearest quantity below that LOT_SIZE allows, at least the smallest. */
static int64_t lots_below(const struct instrument *in, int64_t qty) {
    if (in->qty_max.e8 > 0) qty = market_min(qty, in->qty_max.e8);
    qty = market_max(qty, in->qty_min.e8);
    qty -= (qty - in->qty_min.e8) % in->step_size.e8;
    return qty > 0 ? qty : in->step_size.e8;
}

static bool cell_is_allowed(const struct instrument *in, const struct market_slot *s,
                            int64_t cell) {
    return cell > 0 && instrument_check_px(in, px_e8(cell_px(s, cell))) == FILTER_OK;
}

/* A new quantity at a cell. */
static void level_draw(struct market *m, uint32_t i, const struct market_call *c, int side,
                       int64_t cell) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = exchange_instrument(c->ex, i);
    if (!cell_is_allowed(in, s, cell)) return;
    double z[2], u = rng_f64(&s->flow_rng), turn = rng_f64(&s->flow_rng);
    num_normal_pair(z, u, turn);
    double notional = m->level_notional * num_exp(LEVEL_SPREAD * clamp(z[0], -2.0, 2.0));
    double qty = clamp(notional * 1e16 / (double)cell_px(s, cell), 1, 4e18);
    int64_t lots = lots_below(in, (int64_t)qty), *own = own_of(m, i, side, cell);
    if (*own == lots) return;
    *own = lots;
    quote_send(c, i, side, cell_px(s, cell), lots);
}

/* ---- moving the ladder ---- */

static void ladder_clear(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    for (int64_t k = 0; s->placed && k < m->levels; k++) {
        if (s->cell - k > 0) level_clear(m, i, c, BID, s->cell - k);
        level_clear(m, i, c, ASK, s->cell + 1 + k);
    }
    s->placed = false;
}

/* Levels lie a spread apart: the spread is twice half_spread of the price, in whole ticks, at least
 * one. */
static void ladder_place(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = exchange_instrument(c->ex, i);
    int64_t spread = fx_mul_half_even(s->index_e8, 2 * m->half_spread.e8);
    s->tick = in->tick_size.e8;
    s->base = in->px_min.e8 % s->tick; /* the filter counts ticks from the lowest price */
    s->step = in->step_size.e8;
    s->spacing = market_max(s->tick, fx_snap_nearest(spread, s->tick));
    s->spacing_index = s->index_e8;
    s->cell = cell_below(s, s->index_e8);
    s->placed = true;
    memset(market_own(m, i), 0, 2 * m->levels * sizeof(int64_t));
    for (int64_t k = 0; k < m->levels; k++) {
        if (s->cell - k > 0) level_draw(m, i, c, BID, s->cell - k);
        level_draw(m, i, c, ASK, s->cell + 1 + k);
    }
}

/* The order matters: what the new quotes would cross goes first, then what falls out at the far end
 * (it shares slots with what comes), then the new quotes, which trade with users' orders they meet. */
static void ladder_up(struct market *m, uint32_t i, const struct market_call *c, int64_t to) {
    struct market_slot *s = &m->slots[i];
    int64_t from = s->cell, levels = m->levels;
    for (int64_t k = from + 1; k <= market_min(to, from + levels); k++)
        level_clear(m, i, c, ASK, k);
    for (int64_t k = market_max(from - levels + 1, 1); k <= market_min(to - levels, from); k++)
        level_clear(m, i, c, BID, k);
    s->cell = to;
    for (int64_t k = market_max(from + 1, to - levels + 1); k <= to; k++)
        level_draw(m, i, c, BID, k);
    for (int64_t k = market_max(from + levels, to) + 1; k <= to + levels; k++)
        level_draw(m, i, c, ASK, k);
}

static void ladder_down(struct market *m, uint32_t i, const struct market_call *c, int64_t to) {
    struct market_slot *s = &m->slots[i];
    int64_t from = s->cell, levels = m->levels;
    for (int64_t k = from; k > market_max(market_max(to, from - levels), 0); k--)
        level_clear(m, i, c, BID, k);
    for (int64_t k = from + levels; k > market_max(to + levels, from); k--)
        level_clear(m, i, c, ASK, k);
    s->cell = to;
    for (int64_t k = market_min(from, to + levels); k > to; k--) level_draw(m, i, c, ASK, k);
    for (int64_t k = market_min(from - levels, to); k > market_max(to - levels, 0); k--)
        level_draw(m, i, c, BID, k);
}

/* ---- meeting users ---- */

/* What the house itself has at a price of a side, as far as it knows. */
static int64_t own_at(struct market *m, uint32_t i, int side, int64_t px) {
    const struct market_slot *s = &m->slots[i];
    if (!s->placed || px <= s->base || (px - s->base) % s->spacing != 0) return 0;
    int64_t cell = cell_below(s, px), low = side == BID ? s->cell - m->levels + 1 : s->cell + 1;
    if (cell < low || cell >= low + m->levels) return 0;
    return *own_of(m, i, side, cell);
}

/* The house takes qty at px from those who rest on `side` there: its own quote steps aside, what it
 * does not get does not stay, and its own quote comes back behind the others. */
static void take(struct market *m, uint32_t i, const struct market_call *c, int side, int64_t px,
                 int64_t qty) {
    int64_t own = own_at(m, i, side, px);
    qty = lots_below(exchange_instrument(c->ex, i), qty);
    if (own > 0) quote_send(c, i, side, px, 0);
    quote_send(c, i, !side, px, qty);
    quote_send(c, i, !side, px, 0);
    if (own > 0) quote_send(c, i, side, px, own);
}

/* Users' orders at the path or beyond it are taken, at their prices. */
static void sweep(struct market *m, uint32_t i, const struct market_call *c, int side) {
    int64_t index = m->slots[i].index_e8;
    for (int n = 0; n < SWEEPS; n++) {
        struct exchange_prices p;
        exchange_prices_get(c->ex, i, &p);
        int64_t px = side == BID ? p.bid.e8 : p.ask.e8;
        if (px == 0 || (side == BID ? px < index : px > index)) return;
        int64_t theirs = (side == BID ? p.bid_qty.e8 : p.ask_qty.e8) - own_at(m, i, side, px);
        if (theirs <= 0) return;
        int64_t most = (int64_t)clamp(SWEEP_NOTIONAL * 1e16 / (double)px, 1, 4e18);
        take(m, i, c, side, px, market_min(theirs, most));
    }
}

/* What others have taken from the ladder comes back: levels better than the book's best are gone,
 * the best may be in part. Deeper ones cannot have been touched. */
static void repair(struct market *m, uint32_t i, const struct market_call *c, int side) {
    struct market_slot *s = &m->slots[i];
    struct exchange_prices p;
    exchange_prices_get(c->ex, i, &p);
    int64_t best = side == BID ? p.bid.e8 : p.ask.e8;
    int64_t best_qty = side == BID ? p.bid_qty.e8 : p.ask_qty.e8;
    for (int64_t k = 0; k < m->levels; k++) {
        int64_t cell = side == BID ? s->cell - k : s->cell + 1 + k;
        if (cell <= 0) return;
        int64_t px = cell_px(s, cell), own = *own_of(m, i, side, cell);
        bool gone = best == 0 || (side == BID ? best < px : best > px);
        if (own > 0 && (gone || (px == best && best_qty < own))) quote_send(c, i, side, px, own);
        if (!gone) return;
    }
}

/* One level of the ladder changes its size, more often near the touch. */
static void refresh(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    double u = rng_f64(&s->flow_rng);
    int64_t rank = (int64_t)(u * u * (double)m->levels);
    int side = (int)rng_below(&s->flow_rng, 2);
    int64_t cell = side == BID ? s->cell - rank : s->cell + 1 + rank;
    if (cell > 0) level_draw(m, i, c, side, cell);
}

void market_quote(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = exchange_instrument(c->ex, i);
    if (s->index_e8 <= 0 || s->stale) return;
    if (in->status == INSTRUMENT_CLOSED) {
        s->placed = false; /* the exchange has emptied the book */
        return;
    }
    bool other_rules = s->tick != in->tick_size.e8 || s->step != in->step_size.e8;
    bool far = s->index_e8 > s->spacing_index / 2 * 3 || s->index_e8 < s->spacing_index / 3 * 2;
    if (s->placed && (other_rules || far)) ladder_clear(m, i, c);
    if (!s->placed) {
        ladder_place(m, i, c);
    } else {
        int64_t to = cell_below(s, s->index_e8);
        if (to > s->cell) ladder_up(m, i, c, to);
        if (to < s->cell) ladder_down(m, i, c, to);
        repair(m, i, c, BID);
        repair(m, i, c, ASK);
        refresh(m, i, c);
    }
    sweep(m, i, c, BID);
    sweep(m, i, c, ASK);
}

void market_trade_at(struct market *m, uint32_t i, const struct market_call *c, enum side taker,
                     px_t px, int64_t qty_e8) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = exchange_instrument(c->ex, i);
    struct exchange_prices p;
    if (s->stale || in->status == INSTRUMENT_CLOSED) return;
    exchange_prices_get(c->ex, i, &p);
    if (p.bid.e8 > 0 && px.e8 < p.bid.e8) px = p.bid;
    if (p.ask.e8 > 0 && px.e8 > p.ask.e8) px = p.ask;
    int64_t qty = lots_below(in, qty_e8);
    int side = taker == SIDE_SELL ? BID : ASK;
    px_t touch = side == BID ? p.bid : p.ask;
    if (px.e8 == touch.e8) {
        /* Who is there? Users alone are traded with; those who share the price with the house get
         * their turn now and then: the tape does not tell who stood in front. */
        int64_t own = own_at(m, i, side, px.e8);
        int64_t theirs = (side == BID ? p.bid_qty.e8 : p.ask_qty.e8) - own;
        if (theirs > 0 && (own == 0 || rng_below(&s->flow_rng, SHARED_ONE_IN) == 0)) {
            take(m, i, c, side, px.e8, qty);
            return;
        }
    }
    if (px.e8 <= 0) return;
    const struct exchange_input print = {.kind = EXI_PRINT,
                                         .side = (uint8_t)taker,
                                         .account = EXCHANGE_HOUSE,
                                         .instrument = i,
                                         .price = px,
                                         .qty = {qty}};
    market_input(c, &print);
}
