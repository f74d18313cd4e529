/* Matching: a taker walking the opposite side of the book, the house's quotes, the tape. */
#include "venue/exchange/exchange_internal.h"

uint32_t ex_market_bound(const struct exchange *ex, uint32_t s, uint8_t side) {
    const struct instrument *in = ex_instrument(ex, s);
    const struct ex_symbol *y = ex_symbol(ex, s);
    int64_t mark = ex_mark(ex, s), bound = 0;
    int64_t take = in->market_take_bound.e8;
    if (side == SIDE_BUY) {
        if (take) bound = fx_mul_floor(mark, FX_ONE + take);
        int64_t up = in->multiplier_up.e8 ? fx_mul_floor(mark, in->multiplier_up.e8) : 0;
        if (up && (bound == 0 || up < bound)) bound = up;
        if (bound == 0) return 0;
        int64_t tick = (bound - y->base) / y->tick;
        return tick >= UINT32_MAX ? 0 : (uint32_t)ex_max(tick, 1);
    }
    if (take) bound = fx_mul_ceil(mark, FX_ONE - take);
    bound = ex_max(bound, in->multiplier_down.e8 ? fx_mul_ceil(mark, in->multiplier_down.e8) : 0);
    int64_t tick = (bound - y->base + y->tick - 1) / y->tick;
    return tick <= 1 ? 0 : tick >= UINT32_MAX ? UINT32_MAX : (uint32_t)tick;
}

static bool is_beyond(uint8_t side, uint32_t tick, uint32_t limit) {
    if (limit == 0) return false;
    return side == SIDE_BUY ? tick > limit : tick < limit;
}

static struct ex_order *maker_order(const struct exchange *ex, uint64_t tag) {
    return tag & EX_TAG_HOUSE ? NULL : &ex_orders(ex)[tag - 1];
}

/* ---- what a FOK order would get ---- */

/* The walk's own copy of a maker's position, as the fills before left it. */
static int64_t *walk_qty(struct exchange *ex, const struct exchange_order *o) {
    struct ex_cell *c = ex_cell(ex, o->account, o->instrument);
    if (c->walk != ex->walk) {
        c->walk = ex->walk;
        c->walk_qty[0] = c->leg[0].qty;
        c->walk_qty[1] = c->leg[1].qty;
    }
    return &c->walk_qty[ex_leg_of(o->position_side)];
}

static int64_t walk_cap(struct exchange *ex, const struct exchange_order *o, int64_t qty) {
    struct ex_leg as_if = {.qty = *walk_qty(ex, o)};
    return ex_reduces(o) ? ex_min(qty, ex_reducible(&as_if, o->side)) : qty;
}

int64_t ex_fillable(struct exchange *ex, const struct exchange_order *o, uint32_t limit,
                    int64_t enough) {
    const struct match *book = ex_book(ex, o->instrument);
    enum match_side other = ex_other_side(o->side);
    ex->walk++;
    int64_t found = 0, most = walk_cap(ex, o, enough);
    for (uint32_t tick = match_best(book, other); tick && !is_beyond(o->side, tick, limit);
         tick = match_worse(book, other, tick)) {
        for (match_handle h = match_front_at(book, other, tick); h && found < enough;
             h = match_after(book, h)) {
            struct match_order m;
            bool is_there = match_get(book, h, &m);
            ASSERT(is_there);
            const struct ex_order *maker = maker_order(ex, m.tag);
            bool own = maker && maker->o.account == o->account;
            if (own && o->stp == STP_EXPIRE_MAKER) continue;
            if (own && o->stp != STP_NONE) return found;
            int64_t qty = walk_cap(ex, o, ex_min(m.qty, most - found));
            if (qty == 0) return found; /* nothing left to reduce */
            if (maker) qty = walk_cap(ex, &maker->o, qty);
            if (maker) *walk_qty(ex, &maker->o) += side_sign((enum side)maker->o.side) * qty;
            *walk_qty(ex, o) += side_sign((enum side)o->side) * qty;
            found += qty;
        }
        if (found >= enough) break;
    }
    return found;
}

/* ---- the tape ---- */

/* A trade of the tape: number, last price, and what it triggers. */
static uint64_t print(struct exchange *ex, uint32_t s, uint8_t taker_side, int64_t px,
                      int64_t qty) {
    struct ex_symbol *y = ex_symbol(ex, s);
    y->trade_id++;
    y->last = px;
    y->last_ns = ex->clock_ns;
    struct exchange_event *e = ex_event(ex, EXE_TRADE, 0, s);
    e->side = taker_side;
    e->trade_id = y->trade_id;
    e->sequence = ex->taker_id;
    e->px = px_e8(px);
    e->qty = qty_e8(qty);
    return y->trade_id;
}

int32_t ex_market_print(struct exchange *ex, const struct exchange_input *in) {
    if (in->instrument >= ex->config.instrument_count) return CODE_SYMBOL;
    if (in->side != SIDE_BUY && in->side != SIDE_SELL) return CODE_SIDE;
    if (in->price.e8 <= 0) return FILTER_PX_LE_ZERO;
    if (in->qty.e8 <= 0) return FILTER_QTY_LE_ZERO;
    ex->taker_id++;
    (void)print(ex, in->instrument, in->side, in->price.e8, in->qty.e8);
    ex_algo_price(ex, in->instrument, FEED_LAST, in->price.e8);
    return 0;
}

void ex_tell_fill(struct exchange *ex, const struct ex_fill *f, const struct exchange_order *o,
                  enum exchange_exec exec, uint64_t trade_id, bool is_maker) {
    ex_event_account(ex, f->account, f->s, f->leg, REASON_ORDER, 0);
    ex_event_order(ex, exec, o);
    struct exchange_event *e = ex_last_event(ex);
    e->is_maker = is_maker;
    e->trade_id = trade_id;
    e->px = px_e8(f->px);
    e->qty = qty_e8(f->qty);
    e->commission = money_e8(f->fee);
    e->realized = money_e8(f->realized);
    if (f->realized)
        ex_event_income(ex, f->account, f->s, INCOME_REALIZED_PNL, f->realized, trade_id);
    if (f->fee) ex_event_income(ex, f->account, f->s, INCOME_COMMISSION, -f->fee, trade_id);
}

/* ---- fills ---- */

void ex_order_count(struct exchange *ex, struct exchange_order *o, const struct ex_fill *f) {
    o->cum_qty.e8 += f->qty;
    o->cum_quote.e8 += f->cost;
    o->status = ex_leaves(o) == 0 ? EXO_FILLED : EXO_PARTIALLY_FILLED;
    o->update_ns = ex->clock_ns;
}

static void maker_fill(struct exchange *ex, struct ex_order *maker, const struct ex_taker *t,
                       int64_t px, int64_t qty, uint64_t trade_id) {
    struct ex_fill f = {.account = maker ? maker->o.account : EXCHANGE_HOUSE,
                        .s = t->s,
                        .leg = maker ? ex_leg_of(maker->o.position_side) : 0,
                        .side = (uint8_t)side_opposite((enum side)t->side),
                        .px = px,
                        .qty = qty};
    ex_fill_apply(ex, &f, ex_fee_rate(ex, f.account, t->s, true));
    if (!maker) return;
    ex_order_count(ex, &maker->o, &f);
    ex_order_hold(ex, maker);
    ex_cell_dirty(ex, f.account, f.s);
    ex_tell_fill(ex, &f, &maker->o, EXEC_TRADE, trade_id, true);
}

static void taker_fill(struct exchange *ex, struct ex_taker *t, int64_t px, int64_t qty,
                       uint64_t trade_id) {
    struct ex_fill f = {
        .account = t->account, .s = t->s, .leg = t->leg, .side = t->side, .px = px, .qty = qty};
    t->leaves -= qty;
    if (t->is_forced) {
        ex_forced_fill(ex, t, &f, trade_id);
        return;
    }
    ex_fill_apply(ex, &f, ex_fee_rate(ex, t->account, t->s, false));
    if (!t->o) return;
    ex_order_count(ex, t->o, &f);
    ex_cell_refresh(ex, f.account, f.s);
    ex_cell_dirty(ex, f.account, f.s);
    ex_tell_fill(ex, &f, t->o, EXEC_TRADE, trade_id, false);
}

/* One trade between the taker and the order first in line. */
static void trade(struct exchange *ex, struct ex_taker *t, match_handle h,
                  const struct match_order *m, int64_t qty) {
    struct ex_order *maker = maker_order(ex, m->tag);
    int64_t px = ex_px_of(ex_symbol(ex, t->s), m->px);
    enum match_side other = (enum match_side)m->side;
    bool is_done = qty == m->qty;
    uint64_t trade_id = print(ex, t->s, t->side, px, qty);
    match_fill(ex_book(ex, t->s), h, qty);
    ex_event_level(ex, t->s, other, m->px);
    if (is_done && maker) maker->handle = 0;
    if (is_done && !maker) ex_quote_remove(ex, &ex_quotes(ex)[(m->tag & ~EX_TAG_HOUSE) - 1]);
    maker_fill(ex, maker, t, px, qty, trade_id);
    if (is_done && maker) ex_order_end(ex, maker, EXO_FILLED, EXPIRY_NONE, EXEC_TRADE);
    taker_fill(ex, t, px, qty, trade_id);
    ex_algo_price(ex, t->s, FEED_LAST, px);
}

/* Two orders of one account meet. True: matching goes on. */
static bool self_trade(struct exchange *ex, struct ex_taker *t, struct ex_order *maker) {
    bool kills_taker = t->stp == STP_EXPIRE_TAKER || t->stp == STP_EXPIRE_BOTH;
    if (t->stp == STP_EXPIRE_MAKER || t->stp == STP_EXPIRE_BOTH)
        ex_order_end(ex, maker, EXO_EXPIRED_IN_MATCH, EXPIRY_STP, EXEC_EXPIRED);
    if (!kills_taker) return true;
    t->status = EXO_EXPIRED_IN_MATCH;
    t->expiry = t->o->time_in_force == TIF_IOC ? EXPIRY_IOC_STP : EXPIRY_STP;
    return false;
}

void ex_quote_drop(struct exchange *ex, uint32_t s, match_handle h, const struct match_order *m) {
    (void)match_remove(ex_book(ex, s), h);
    ex_quote_remove(ex, &ex_quotes(ex)[(m->tag & ~EX_TAG_HOUSE) - 1]);
    ex_event_level(ex, s, (enum match_side)m->side, m->px);
}

void ex_match(struct exchange *ex, struct ex_taker *t) {
    struct match *book = ex_book(ex, t->s);
    enum match_side other = ex_other_side(t->side);
    const struct ex_leg *leg = &ex_cell(ex, t->account, t->s)->leg[t->leg];
    /* What there was to reduce at the start: own orders it trades with may add to the position as fast as it
     * reduces, and it would go on a position's worth at a time. */
    int64_t least = t->reduces ? t->leaves - ex_min(t->leaves, ex_reducible(leg, t->side)) : 0;
    ex->taker_id++;
    while (t->leaves > 0) {
        struct match_order m;
        match_handle h = match_front(book, other);
        if (!h || !match_get(book, h, &m) || is_beyond(t->side, m.px, t->limit)) return;
        struct ex_order *maker = maker_order(ex, m.tag);
        if (!maker && t->account == EXCHANGE_HOUSE) {
            ex_quote_drop(ex, t->s, h, &m); /* its new quote stands */
            continue;
        }
        if (maker && maker->o.account == t->account && t->stp != STP_NONE) {
            if (!self_trade(ex, t, maker)) return;
            continue;
        }
        int64_t qty = ex_min(t->leaves, m.qty);
        if (t->reduces) {
            qty = ex_min(qty, ex_min(ex_reducible(leg, t->side), t->leaves - least));
            if (qty == 0) {
                t->status = EXO_EXPIRED;
                t->expiry = EXPIRY_REDUCE;
                return;
            }
        }
        int64_t maker_cap = m.qty;
        if (maker && ex_reduces(&maker->o)) {
            const struct ex_cell *c = ex_cell(ex, maker->o.account, t->s);
            maker_cap = ex_reducible(&c->leg[ex_leg_of(maker->o.position_side)], maker->o.side);
            qty = ex_min(qty, maker_cap);
        }
        if (qty > 0) trade(ex, t, h, &m, qty);
        /* A reducing maker that reduced all there was: its rest is knocked out. */
        if (maker_cap == qty && qty < m.qty)
            ex_order_end(ex, maker, EXO_EXPIRED, EXPIRY_REDUCE, EXEC_EXPIRED);
    }
}

/* ---- the house ---- */

/* What is left of a quote takes its place in the book. */
static int32_t quote_rest(struct exchange *ex, uint32_t s, enum match_side side, uint32_t tick,
                          int64_t qty) {
    struct match *book = ex_book(ex, s);
    if (match_level_qty(book, side, tick) > EX_LEVEL_QTY_MAX - qty) return CODE_ORDERS_MAX;
    struct ex_quote *q = ex_quote_add(ex, s, side, tick);
    if (!q) return CODE_ORDERS_MAX;
    struct match_order m = {.px = tick, .side = (uint32_t)side, .qty = qty};
    m.tag = EX_TAG_HOUSE | (uint64_t)(q - ex_quotes(ex) + 1);
    q->handle = match_add(book, &m);
    if (!q->handle) {
        ex_quote_remove(ex, q);
        return CODE_ORDERS_MAX;
    }
    ex_event_level(ex, s, side, tick);
    return 0;
}

int32_t ex_house_quote(struct exchange *ex, uint32_t s, uint8_t side, int64_t px, int64_t qty) {
    if (s >= ex->config.instrument_count) return CODE_SYMBOL;
    if (side != SIDE_BUY && side != SIDE_SELL) return CODE_SIDE;
    if (px <= 0) return FILTER_PX_LE_ZERO;
    if (qty < 0 || qty > EX_LEVEL_QTY_MAX) return FILTER_QTY_LE_ZERO;
    const struct ex_symbol *y = ex_symbol(ex, s);
    if ((px - y->base) % y->tick != 0) return FILTER_TICK;
    uint32_t tick = ex_tick_of(y, px);
    if (tick == 0) return FILTER_PX_HIGH;
    if (qty > 0 && ex_instrument(ex, s)->status == INSTRUMENT_CLOSED) return CODE_STATUS_CLOSED;
    enum match_side book_side = ex_book_side(side);
    struct match *book = ex_book(ex, s);
    struct ex_quote *q = ex_quote_find(ex, s, book_side, tick);
    if (q) {
        struct match_order m;
        bool is_there = match_get(book, q->handle, &m);
        ASSERT(is_there);
        if (m.qty == qty) return 0;
        if (qty > 0 && qty < m.qty) { /* less keeps its place */
            match_fill(book, q->handle, m.qty - qty);
            ex_event_level(ex, s, book_side, tick);
            return 0;
        }
        (void)match_remove(book, q->handle);
        ex_quote_remove(ex, q);
        if (qty == 0) ex_event_level(ex, s, book_side, tick);
    }
    if (qty == 0) return 0;
    struct ex_taker t = {
        .account = EXCHANGE_HOUSE, .s = s, .side = side, .limit = tick, .leaves = qty};
    ex_match(ex, &t);
    return t.leaves > 0 ? quote_rest(ex, s, book_side, tick, t.leaves) : 0;
}
