/* The naive twin: orders that are placed, matched, amended and ended, one comparison at a time. */
#ifndef VENUE_EXCHANGE_TEST_TWIN_MATCH_H
#define VENUE_EXCHANGE_TEST_TWIN_MATCH_H

#include "venue/exchange/test_twin_admit.h"

static void tw_algo_price(struct tw *w, uint32_t s, uint8_t working_type, int64_t px);
static void tw_algo_finish(struct tw *w, const struct exchange_algo *a,
                           const struct exchange_order *child);
static void tw_algo_position_gone(struct tw *w, uint32_t account, uint32_t s, int leg);

/* Who takes: an order of a user, the house (order_id 0), a forced close (account's, without an order). */
struct tw_taker {
    uint64_t order_id;
    uint32_t account, s;
    int leg;
    uint8_t side, stp;
    bool reduces, forced;
    int64_t left, limit; /* limit 0: any price */
    uint8_t status, expiry;
    struct exchange_order *forced_order;
    int64_t bankruptcy_px;
};

/* ---- money of a fill ---- */

struct tw_booked {
    int64_t cost, realized, fee;
};

/* What a fill does to a position and its account. `forced`: no commission, and an isolated position's
 * result stays in its own wallet. */
static inline struct tw_booked tw_book_fill(struct tw *w, uint32_t account, uint32_t s, int leg,
                                            uint8_t side, int64_t px, int64_t qty, int64_t rate,
                                            bool forced) {
    struct tw_account *a = &w->account[account];
    struct tw_position *p = &a->position[s][leg];
    int64_t before = p->qty, held = tw_abs(before), sign = tw_sign(side);
    int64_t closing = tw_min(qty, tw_reducible(p, side)), opening = qty - closing;
    struct tw_booked out = {.cost = tw_even(px, qty, FX_ONE)};
    int64_t close_cost = 0;
    out.fee = rate && !forced ? tw_up(out.cost, rate, FX_ONE) : 0;
    if (closing) {
        bool all = closing == held;
        close_cost = opening ? tw_even(px, closing, FX_ONE) : out.cost;
        int64_t share = all ? p->cost : tw_even(p->cost, closing, held);
        int64_t freed = all ? p->wallet : tw_even(p->wallet, closing, held);
        out.realized = -sign * close_cost - share;
        p->cost -= share;
        p->fees -= all ? p->fees : tw_even(p->fees, closing, held);
        if (forced && a->isolated[s])
            p->wallet += out.realized;
        else if (a->isolated[s])
            p->wallet -= freed;
    }
    a->wallet += out.realized - out.fee;
    if (opening) {
        int64_t cost = out.cost - close_cost;
        p->cost += sign * cost;
        p->fees += tw_even(out.fee, opening, qty);
        if (a->isolated[s]) {
            int64_t want = tw_up(cost, 1, tw_leverage(w, account, s)),
                    there = tw_max(0, tw_cross_wallet(w, account));
            p->wallet += tw_min(want, there);
            if (there < want) tw_count(w, TW_MARGIN_SHORT);
        }
        if (a->isolated[s] && account) tw_count(w, TW_ISOLATED_FILLS);
    }
    p->qty += sign * qty;
    p->realized += out.realized;
    a->realized += out.realized;
    a->fees += out.fee;
    w->fees += out.fee;
    p->update_ns = a->update_ns = w->now;
    bool flat = !a->position[s][0].qty && !a->position[s][1].qty;
    if (flat)
        a->held[s] = 0;
    else if (!a->held[s])
        a->held[s] = ++w->next_rank;
    bool turned = (before > 0 && p->qty < 0) || (before < 0 && p->qty > 0);
    if (turned && account) tw_count(w, TW_TURNED);
    if (turned || p->qty == 0) {
        a->called_leg[s][leg] = false;
        tw_algo_position_gone(w, account, s, leg);
    }
    return out;
}

static inline int64_t tw_fee_rate(const struct tw *w, uint32_t account, uint32_t s, bool maker) {
    const struct tw_account *a = &w->account[account];
    if (account == EXCHANGE_HOUSE) return 0;
    if (a->fees_set) return maker ? a->fee_maker : a->fee_taker;
    return maker ? w->in[s].fee_maker.e8 : w->in[s].fee_taker.e8;
}

static inline void tw_fill_order(struct tw *w, struct tw_order *r, int64_t px, int64_t qty,
                                 bool maker) {
    struct exchange_order *o = &r->o;
    struct tw_booked b =
        tw_book_fill(w, o->account, o->instrument, tw_leg(o->position_side), o->side, px, qty,
                     tw_fee_rate(w, o->account, o->instrument, maker), false);
    o->cum_qty.e8 += qty;
    o->cum_quote.e8 += b.cost;
    o->status = tw_left(o) ? EXO_PARTIALLY_FILLED : EXO_FILLED;
    o->update_ns = w->now;
    tw_income(w, o->account, INCOME_REALIZED_PNL, b.realized);
    tw_income(w, o->account, INCOME_COMMISSION, -b.fee);
    if (o->position_side != POSITION_BOTH) tw_count(w, TW_HEDGE_FILLS);
    tw_doubt(w, o->account, o->instrument);
    tw_tell(w, o);
}

/* ---- ends ---- */

static inline void tw_end(struct tw *w, struct tw_order *r, uint8_t status, uint8_t expiry) {
    struct tw_order gone = *r;
    struct exchange_order o = r->o;
    o.status = status;
    o.expiry = expiry;
    o.update_ns = w->now;
    int i = (int)(r - w->order);
    memmove(r, r + 1, (size_t)(w->order_count - i - 1) * sizeof *r);
    w->order_count--;
    tw_tell(w, &o);
    if (gone.has_parent) tw_algo_finish(w, &gone.parent, &o);
}

/* ---- matching ---- */

static inline int64_t tw_market_bound(const struct tw *w, uint32_t s, uint8_t side) {
    const struct instrument *in = &w->in[s];
    int64_t mark = w->market[s].mark, bound = 0;
    if (side == SIDE_BUY) {
        if (in->market_take_bound.e8)
            bound = tw_down(mark, FX_ONE + in->market_take_bound.e8, FX_ONE);
        int64_t up = in->multiplier_up.e8 ? tw_down(mark, in->multiplier_up.e8, FX_ONE) : 0;
        return up && (!bound || up < bound) ? up : bound;
    }
    if (in->market_take_bound.e8) bound = tw_up(mark, FX_ONE - in->market_take_bound.e8, FX_ONE);
    return tw_max(bound, tw_up(mark, in->multiplier_down.e8, FX_ONE));
}

static void tw_forced_fill(struct tw *w, struct tw_taker *t, int64_t px, int64_t qty);

static inline void tw_trade_between(struct tw *w, struct tw_taker *t, const struct tw_line *line,
                                    int64_t qty) {
    struct tw_market *m = &w->market[t->s];
    int64_t px = line->px;
    m->trade_id++;
    m->last = px;
    if (w->log)
        w->log->trade[w->log->trade_count++] =
            (struct tw_trade){t->s, t->side, px, qty, m->trade_id};
    tw_count(w, TW_TRADES);
    if (t->account == EXCHANGE_HOUSE) tw_count(w, TW_HOUSE_TAKES);
    if (line->quote) {
        line->quote->qty -= qty;
        if (!line->quote->qty) tw_quote_drop(w, line->quote);
        (void)tw_book_fill(w, EXCHANGE_HOUSE, t->s, 0, tw_other(t->side), px, qty, 0, false);
    } else {
        if (line->order->o.account == t->account) tw_count(w, TW_SELF_TRADES);
        tw_fill_order(w, line->order, px, qty, true);
        if (!tw_left(&line->order->o)) tw_end(w, line->order, EXO_FILLED, EXPIRY_NONE);
    }
    t->left -= qty;
    if (t->forced)
        tw_forced_fill(w, t, px, qty);
    else if (t->order_id)
        tw_fill_order(w, tw_order_find(w, t->order_id), px, qty, false);
    else
        (void)tw_book_fill(w, EXCHANGE_HOUSE, t->s, 0, t->side, px, qty, 0, false);
    tw_algo_price(w, t->s, WORKING_CONTRACT_PRICE, px);
}

/* Two orders of one account meet; true: the taker goes on. */
static inline bool tw_meets_itself(struct tw *w, struct tw_taker *t, struct tw_order *maker) {
    if (t->stp == STP_EXPIRE_MAKER || t->stp == STP_EXPIRE_BOTH)
        tw_end(w, maker, EXO_EXPIRED_IN_MATCH, EXPIRY_STP);
    tw_count(w, t->stp == STP_EXPIRE_MAKER   ? TW_STP_MAKER
                : t->stp == STP_EXPIRE_TAKER ? TW_STP_TAKER
                                             : TW_STP_BOTH);
    if (t->stp == STP_EXPIRE_MAKER) return true;
    t->status = EXO_EXPIRED_IN_MATCH;
    bool ioc = tw_order_find(w, t->order_id)->o.time_in_force == TIF_IOC;
    t->expiry = ioc ? EXPIRY_IOC_STP : EXPIRY_STP;
    return false;
}

static inline void tw_match(struct tw *w, struct tw_taker *t) {
    struct tw_line line;
    /* No more than the position it found, even if own orders it meets add to it. */
    int64_t whole = t->left;
    int64_t may = tw_reducible(&w->account[t->account].position[t->s][t->leg], t->side);
    while (t->left > 0 && tw_first(w, t->s, tw_other(t->side), &line)) {
        if (t->limit && (line.px - t->limit) * tw_sign(t->side) > 0) return;
        if (line.quote && t->account == EXCHANGE_HOUSE) {
            tw_quote_drop(w, line.quote); /* the house takes its own quote out of its way */
            continue;
        }
        struct exchange_order *maker = line.order ? &line.order->o : NULL;
        if (maker && maker->account == t->account && t->stp != STP_NONE) {
            if (!tw_meets_itself(w, t, line.order)) return;
            continue;
        }
        int64_t qty = tw_min(t->left, line.qty);
        if (t->reduces) {
            const struct tw_position *p = &w->account[t->account].position[t->s][t->leg];
            qty = tw_min(qty, tw_min(tw_reducible(p, t->side), may - (whole - t->left)));
        }
        if (qty == 0) {
            t->status = EXO_EXPIRED;
            t->expiry = EXPIRY_REDUCE;
            tw_count(w, TW_REDUCE_EXPIRED);
            return;
        }
        bool maker_spent = false;
        if (maker && tw_reduces(maker)) {
            int64_t can = tw_reducible(tw_position_of(w, maker), maker->side);
            qty = tw_min(qty, can);
            maker_spent = qty == can && can < line.qty;
        }
        uint64_t maker_id = maker ? maker->order_id : 0;
        if (qty > 0) tw_trade_between(w, t, &line, qty);
        if (maker_spent) {
            tw_count(w, TW_REDUCE_EXPIRED);
            tw_end(w, tw_order_find(w, maker_id), EXO_EXPIRED, EXPIRY_REDUCE);
        }
    }
}

/* ---- an order's way ---- */

/* Matches an open order, then rests or ends it; *out as it stands then. */
static inline void tw_work(struct tw *w, uint64_t id, struct exchange_order *out) {
    struct exchange_order o = tw_order_find(w, id)->o;
    bool market = o.type == ORDER_MARKET;
    struct tw_taker t = {.order_id = id,
                         .account = o.account,
                         .s = o.instrument,
                         .leg = tw_leg(o.position_side),
                         .side = o.side,
                         .stp = o.stp,
                         .reduces = tw_reduces(&o),
                         .left = tw_left(&o),
                         .limit = market ? tw_market_bound(w, o.instrument, o.side) : o.price.e8};
    tw_match(w, &t);
    struct tw_order *r = tw_order_find(w, id);
    bool ioc = o.time_in_force == TIF_IOC || o.time_in_force == TIF_FOK;
    if (t.left > 0 && !t.status && !market && !ioc) {
        r->rank = ++w->next_rank;
        *out = r->o;
        if (o.time_in_force == TIF_GTX) tw_count(w, TW_GTX_RESTED);
        return;
    }
    uint8_t status = t.left == 0 ? EXO_FILLED : t.status ? t.status : EXO_EXPIRED;
    uint8_t expiry = t.left == 0 ? EXPIRY_NONE
                     : t.status  ? t.expiry
                     : market    ? EXPIRY_MARKET
                                 : EXPIRY_IOC;
    if (expiry == EXPIRY_MARKET) tw_count(w, TW_MARKET_EXPIRED);
    if (expiry == EXPIRY_IOC) tw_count(w, TW_IOC_EXPIRED);
    if (status == EXO_FILLED && o.time_in_force == TIF_FOK) tw_count(w, TW_FOK_FILLED);
    *out = r->o;
    out->status = status;
    out->expiry = expiry;
    out->update_ns = w->now;
    tw_end(w, r, status, expiry);
}

static inline struct tw_order *tw_create(struct tw *w, const struct exchange_order *shape) {
    assert_true(w->order_count < TW_OPEN_MAX);
    struct tw_order *r = &w->order[w->order_count];
    *r = (struct tw_order){.o = *shape, .assumed = tw_assumed_px(w, shape)};
    w->order_count++;
    if (!r->o.order_id) r->o.order_id = w->next_order_id++;
    r->o.time_ns = r->o.update_ns = w->now;
    r->o.status = EXO_NEW;
    if (!r->o.client_order_id[0])
        snprintf(r->o.client_order_id, sizeof r->o.client_order_id, "auto-%llu",
                 (unsigned long long)r->o.order_id);
    tw_tell(w, &r->o);
    return r;
}

/* Would an order find its whole quantity? Tried out on a copy of the world. */
static inline bool tw_fills_wholly(const struct tw *w, const struct exchange_order *o) {
    static struct tw copy;
    copy = *w;
    copy.log = NULL;
    struct exchange_order shape = *o, after;
    shape.time_in_force = TIF_IOC;
    tw_work(&copy, tw_create(&copy, &shape)->o.order_id, &after);
    return after.status == EXO_FILLED;
}

/* triggered: by a conditional order; then the contract's status is looked at again. */
static inline int32_t tw_admit_rest(struct tw *w, const struct exchange_order *o, bool triggered) {
    int32_t code = triggered ? tw_admit_status(w, o) : 0;
    if (!code) code = tw_admit_position(w, o);
    if (!code) code = tw_admit_room(w, o);
    if (!code && !tw_reduces(o)) code = tw_admit_bracket(w, o, tw_left(o), 0);
    if (!code && !tw_reduces(o)) code = tw_admit_margin(w, o, tw_left(o), 0);
    if (!code && o->time_in_force == TIF_GTX && tw_crosses(w, o)) code = -5022;
    if (!code && o->time_in_force == TIF_FOK && !tw_fills_wholly(w, o)) code = -5021;
    return code;
}

static inline void tw_order_place(struct tw *w, const struct exchange_input *in,
                                  struct exchange_reply *reply) {
    struct exchange_order o = {.account = in->account,
                               .instrument = in->instrument,
                               .side = in->side,
                               .type = in->type,
                               .orig_type = in->type,
                               .time_in_force = in->time_in_force,
                               .position_side = in->position_side,
                               .working_type = in->working_type,
                               .stp = in->stp,
                               .price_match = in->price_match,
                               .reduce_only = in->reduce_only,
                               .close_position = in->close_position,
                               .price = in->price,
                               .orig_qty = in->qty,
                               .good_till_ns = in->until_ns};
    memcpy(o.client_order_id, in->client_id, CLIENT_ORDER_ID_SIZE - 1);
    reply->code = tw_admit_form(w, &o);
    if (!reply->code) reply->code = tw_admit_rest(w, &o, false);
    if (reply->code) return;
    reply->has_order = true;
    if (in->kind == EXI_ORDER_TEST) {
        o.time_ns = o.update_ns = w->now;
        reply->accepted = reply->order = o;
        return;
    }
    if (o.price_match) tw_count(w, TW_PRICE_MATCHED);
    reply->accepted = tw_create(w, &o)->o;
    tw_work(w, reply->accepted.order_id, &reply->order);
}

static inline struct tw_order *tw_order_named(struct tw *w, uint32_t account, uint32_t s,
                                              uint64_t id, const char *client_id) {
    for (int i = w->order_count - 1; i >= 0; i--) { /* of two with one name the newest */
        struct exchange_order *o = &w->order[i].o;
        if (o->account == account && o->instrument == s &&
            (id ? o->order_id == id : strcmp(o->client_order_id, client_id) == 0))
            return &w->order[i];
    }
    return NULL;
}

/* ---- amendment ---- */

static inline int32_t tw_admit_amendment(struct tw *w, const struct exchange_order *o,
                                         const struct exchange_input *in, int64_t px) {
    struct exchange_order then = *o;
    if (w->in[o->instrument].status != INSTRUMENT_TRADING) return -5024;
    if (in->side != o->side) return -1117;
    if (in->reduce_only && !o->reduce_only) return -5047;
    if (px == o->price.e8 && in->qty.e8 == o->orig_qty.e8) return -5027;
    then.price.e8 = px;
    then.orig_qty = in->qty;
    int32_t code = tw_admit_filters(w, &then, -5029);
    if (code || tw_left(&then) <= 0) return code;
    code = tw_admit_position(w, &then);
    if (code || tw_reduces(&then)) return code;
    code = tw_admit_bracket(w, &then, tw_left(&then), o->order_id);
    return code ? code : tw_admit_margin(w, &then, tw_left(&then), o->order_id);
}

static inline void tw_order_amend(struct tw *w, const struct exchange_input *in,
                                  struct exchange_reply *reply, bool is_classic_algo) {
    struct tw_order *r =
        tw_order_named(w, in->account, in->instrument, in->order_id, in->client_id);
    int64_t px = in->price.e8;
    reply->code = in->price_match && px ? -1106 : !r ? (is_classic_algo ? -5025 : -2013) : 0;
    if (!reply->code && in->price_match)
        reply->code = tw_match_price(w, in->instrument, r->o.side, in->price_match, &px);
    if (!reply->code) reply->code = tw_admit_amendment(w, &r->o, in, px);
    if (reply->code) return;
    struct exchange_order *o = &r->o, then = r->o;
    then.price.e8 = px;
    reply->has_order = true;
    if (in->qty.e8 <= o->cum_qty.e8 || (o->time_in_force == TIF_GTX && tw_crosses(w, &then))) {
        reply->order = *o;
        reply->order.status = EXO_CANCELED;
        reply->order.update_ns = w->now;
        reply->accepted = reply->order;
        tw_count(w, TW_AMEND_CANCELED);
        tw_end(w, r, EXO_CANCELED, EXPIRY_NONE);
        return;
    }
    tw_count(w, TW_AMENDED);
    r->rank = 0; /* to the end of the line, if it comes to rest again */
    o->price.e8 = px;
    o->orig_qty = in->qty;
    o->price_match = in->price_match;
    o->amendments++;
    o->update_ns = w->now;
    r->assumed = tw_assumed_px(w, o);
    tw_tell(w, o);
    reply->accepted = *o;
    tw_work(w, o->order_id, &reply->order);
}

/* ---- the house ---- */

static inline int32_t tw_house_quote(struct tw *w, const struct exchange_input *in) {
    uint32_t s = in->instrument;
    int64_t px = in->price.e8, qty = in->qty.e8;
    if (s >= w->symbols) return -1121;
    if (in->side != SIDE_BUY && in->side != SIDE_SELL) return -1117;
    if (px <= 0) return -4001;
    if (qty < 0) return -4003;
    if ((px - w->in[s].px_min.e8) % w->in[s].tick_size.e8) return -4014;
    if (qty && w->in[s].status == INSTRUMENT_CLOSED) return -4141;
    for (int i = 0; i < w->quote_count; i++) {
        struct tw_quote *q = &w->quote[i];
        if (q->s != s || q->side != in->side || q->px != px) continue;
        if (qty && qty <= q->qty) { /* less keeps its place */
            q->qty = qty;
            return 0;
        }
        tw_quote_drop(w, q);
        break;
    }
    if (!qty) return 0;
    struct tw_taker t = {
        .account = EXCHANGE_HOUSE, .s = s, .side = in->side, .left = qty, .limit = px};
    tw_match(w, &t);
    if (!t.left) return 0;
    assert_true(w->quote_count < TW_QUOTES_MAX);
    w->quote[w->quote_count++] = (struct tw_quote){s, in->side, px, t.left, ++w->next_rank};
    return 0;
}

#endif
