/* The naive twin: what refuses an order, one rule after the other (docs/exchange.md, binance-usdm §3.2,
 * §3.3, §8, §9). */
#ifndef VENUE_EXCHANGE_TEST_TWIN_ADMIT_H
#define VENUE_EXCHANGE_TEST_TWIN_ADMIT_H

#include "venue/exchange/test_twin_world.h"

/* Larger orders are refused as beyond every bracket. */
static const int64_t tw_notional_max = INT64_C(10000000000) * FX_ONE;

static inline int32_t tw_admit_account(const struct tw *w, uint32_t account, uint32_t s) {
    if (account == EXCHANGE_HOUSE || account >= w->accounts) return -1109;
    return s >= w->symbols ? -1121 : 0;
}

static inline int32_t tw_admit_enums(const struct exchange_input *in) {
    if (in->side != SIDE_BUY && in->side != SIDE_SELL) return -1117;
    if (in->type > ORDER_TRAILING_STOP_MARKET) return -1116;
    if (in->time_in_force > TIF_GTE_GTC) return -1115;
    if (in->working_type > WORKING_MARK_PRICE) return -4031;
    if (in->position_side > POSITION_SHORT) return -4060;
    if (in->stp > STP_EXPIRE_BOTH) return -5039;
    if (in->price_match > PRICE_MATCH_QUEUE_20) return -5037;
    return 0;
}

static inline bool tw_client_id_is_good(const char *id) {
    size_t n = strlen(id);
    return n <= 36 && strspn(id, ".ABCDEFGHIJKLMNOPQRSTUVWXYZ:/abcdefghijklmnopqrstuvwxyz0123456789"
                                 "_-") == n;
}

/* Used by an open order, or by a classic conditional one, which is an order too. */
static inline bool tw_client_id_is_used(const struct tw *w, uint32_t account, const char *id) {
    for (int i = 0; i < w->order_count; i++)
        if (w->order[i].o.account == account && strcmp(w->order[i].o.client_order_id, id) == 0)
            return true;
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].classic && w->algo[i].a.status == EXA_NEW &&
            w->algo[i].a.account == account && strcmp(w->algo[i].a.client_algo_id, id) == 0)
            return true;
    return false;
}

static inline int32_t tw_admit_status(const struct tw *w, const struct exchange_order *o) {
    uint32_t status = w->in[o->instrument].status;
    if (status == INSTRUMENT_CLOSED) return -4141;
    if (status == INSTRUMENT_SETTLING && !tw_reduces(o)) return -4140;
    return w->market[o->instrument].mark == 0 ? -2016 : 0;
}

static inline int32_t tw_admit_good_till(const struct tw *w, uint8_t tif, int64_t *until) {
    if (tif != TIF_GTD) {
        *until = 0;
        return 0;
    }
    *until = *until / NS_PER_SECOND * NS_PER_SECOND;
    return *until > w->now + 600 * NS_PER_SECOND ? 0 : -5040;
}

/* The n-th price of the side a price match speaks of. */
static inline int32_t tw_match_price(const struct tw *w, uint32_t s, uint8_t side, uint8_t mode,
                                     int64_t *px) {
    int n = 0;
    switch ((enum venue_price_match)mode) {
    case PRICE_MATCH_NONE:
        return 0;
    case PRICE_MATCH_OPPONENT:
    case PRICE_MATCH_QUEUE:
        n = 1;
        break;
    case PRICE_MATCH_OPPONENT_5:
    case PRICE_MATCH_QUEUE_5:
        n = 5;
        break;
    case PRICE_MATCH_OPPONENT_10:
    case PRICE_MATCH_QUEUE_10:
        n = 10;
        break;
    case PRICE_MATCH_OPPONENT_20:
    case PRICE_MATCH_QUEUE_20:
        n = 20;
        break;
    }
    uint8_t of = mode >= PRICE_MATCH_QUEUE ? side : tw_other(side);
    int64_t at = 0;
    for (int i = 0; i < n; i++)
        if (!(at = tw_worse(w, s, of, at))) return -5041;
    *px = at;
    return 0;
}

static inline int32_t tw_admit_combination(const struct tw *w, const struct exchange_order *o) {
    if (o->close_position) return -1106;
    if (o->reduce_only && w->account[o->account].hedge) return -1106;
    if (o->time_in_force == TIF_GTE_GTC) return -1115;
    if (o->type == ORDER_MARKET) {
        if (o->price_match) return -5038;
        return o->time_in_force != TIF_GTC || o->price.e8 ? -1106 : 0;
    }
    return o->price_match && o->price.e8 ? -1106 : 0;
}

static inline int32_t tw_admit_px(const struct instrument *in, int64_t px) {
    if (px <= 0) return -4001;
    if (in->px_max.e8 && px > in->px_max.e8) return -4002;
    if (px < in->px_min.e8) return -4013;
    return in->tick_size.e8 && (px - in->px_min.e8) % in->tick_size.e8 ? -4014 : 0;
}

static inline int32_t tw_admit_qty(const struct instrument *in, int64_t qty, bool market) {
    int64_t lo = market ? in->market_qty_min.e8 : in->qty_min.e8,
            hi = market ? in->market_qty_max.e8 : in->qty_max.e8,
            step = market ? in->market_step_size.e8 : in->step_size.e8;
    if (qty <= 0) return -4003;
    if (qty < lo) return -4004;
    if (qty > hi) return -4005;
    return step && (qty - lo) % step ? -4023 : 0;
}

/* Worth at least / more than some money, without rounding. */
static inline bool tw_is_worth(int64_t px, int64_t qty, int64_t money) {
    return (tw_wide)px * qty >= (tw_wide)money * FX_ONE;
}
static inline bool tw_is_too_large(int64_t px, int64_t qty) {
    return (tw_wide)px * qty / FX_ONE > tw_notional_max;
}

/* PERCENT_PRICE. */
static inline int32_t tw_admit_band(struct tw *w, const struct exchange_order *o) {
    const struct instrument *in = &w->in[o->instrument];
    bool buy = o->side == SIDE_BUY, market = o->type == ORDER_MARKET;
    int64_t px = market ? tw_best(w, o->instrument, tw_other(o->side)) : o->price.e8;
    tw_wide mark = w->market[o->instrument].mark, hundred = FX_ONE;
    if (px == 0) return 0;
    bool high = buy && in->multiplier_up.e8 && px * hundred > mark * in->multiplier_up.e8;
    bool low = !buy && px * hundred < mark * in->multiplier_down.e8;
    if (!high && !low) return 0;
    return market ? -4131 : high ? -4016 : -4024;
}

static inline int32_t tw_admit_filters(struct tw *w, const struct exchange_order *o,
                                       int32_t notional_code) {
    const struct instrument *in = &w->in[o->instrument];
    bool market = o->type == ORDER_MARKET;
    int32_t code = market ? 0 : tw_admit_px(in, o->price.e8);
    if (!code) code = tw_admit_qty(in, o->orig_qty.e8, market);
    if (!code) code = tw_admit_band(w, o);
    if (code) return code;
    int64_t px = market ? w->market[o->instrument].mark : o->price.e8;
    if (tw_is_too_large(px, o->orig_qty.e8)) return -2027;
    if (o->reduce_only || tw_is_worth(px, o->orig_qty.e8, in->notional_min.e8)) return 0;
    return notional_code;
}

static inline int32_t tw_admit_form(struct tw *w, struct exchange_order *o) {
    int32_t code = tw_admit_status(w, o);
    if (!code) code = tw_admit_combination(w, o);
    if (!code) code = tw_admit_good_till(w, o->time_in_force, &o->good_till_ns);
    if (!code && !tw_client_id_is_good(o->client_order_id)) code = -4015;
    if (!code && o->client_order_id[0] && tw_client_id_is_used(w, o->account, o->client_order_id))
        code = -4116;
    if (!code) code = tw_match_price(w, o->instrument, o->side, o->price_match, &o->price.e8);
    return code ? code : tw_admit_filters(w, o, -4164);
}

static inline int32_t tw_admit_position(struct tw *w, const struct exchange_order *o) {
    bool hedge = w->account[o->account].hedge;
    if (hedge == (o->position_side == POSITION_BOTH)) return -4061;
    int64_t reducible = tw_reducible(tw_position_of(w, o), o->side);
    if ((o->reduce_only || o->close_position) && reducible == 0) return -2022;
    if (hedge && tw_closes(o->position_side, o->side) && tw_left(o) > reducible) return -2022;
    return 0;
}

static inline int32_t tw_admit_room(const struct tw *w, const struct exchange_order *o) {
    uint32_t count = 0;
    if (w->order_count >= (int)w->config.orders_max) return -2025;
    if (o->type != ORDER_LIMIT || o->time_in_force == TIF_IOC || o->time_in_force == TIF_FOK)
        return 0;
    for (int i = 0; i < w->order_count; i++)
        count += w->order[i].o.account == o->account && w->order[i].o.instrument == o->instrument;
    return count >= w->in[o->instrument].orders_max ? -2025 : 0;
}

/* §9.5, order assumed price. */
static inline int64_t tw_assumed_px(struct tw *w, const struct exchange_order *o) {
    int64_t mark = w->market[o->instrument].mark;
    if (o->side == SIDE_BUY) {
        if (o->type == ORDER_LIMIT) return o->price.e8;
        int64_t ask = tw_best(w, o->instrument, SIDE_SELL);
        return tw_up(ask ? ask : mark, 10005, 10000);
    }
    int64_t px = tw_max(tw_best(w, o->instrument, SIDE_BUY), mark);
    return o->type == ORDER_LIMIT ? tw_max(px, o->price.e8) : px;
}

/* Notional the position could reach; `but`: as if that order did not rest. */
static inline int32_t tw_admit_bracket(struct tw *w, const struct exchange_order *o, int64_t qty,
                                       uint64_t but) {
    int64_t held =
        tw_sign(o->side) * tw_position_of(w, o)->qty + qty +
        tw_resting(w, o->account, o->instrument, tw_leg(o->position_side), o->side, false, but);
    const struct instrument *in = &w->in[o->instrument];
    int64_t most = 0;
    for (uint32_t i = 0; i < in->bracket_count; i++)
        if (in->brackets[i].leverage_max >= tw_leverage(w, o->account, o->instrument))
            most = tw_max(most, in->brackets[i].notional_cap.e8);
    most = tw_min(most, tw_notional_max);
    return (tw_wide)held * w->market[o->instrument].mark / FX_ONE > most ? -2027 : 0;
}

/* Cost = margin it adds + open loss + taker fee, of the part that opens, against what is available. */
static inline int32_t tw_admit_margin(struct tw *w, const struct exchange_order *o, int64_t qty,
                                      uint64_t but) {
    uint32_t s = o->instrument;
    int64_t px = tw_assumed_px(w, o), mark = w->market[s].mark;
    if (tw_is_too_large(px, qty)) return -2027;
    int64_t opening = tw_max(0, qty - tw_reducible(tw_position_of(w, o), o->side));
    int64_t margin = tw_order_margin(w, o->account, s, tw_leg(o->position_side), o->side,
                                     tw_even(px, qty, FX_ONE), but) -
                     tw_order_margin(w, o->account, s, 0, SIDE_NONE, 0, 0);
    /* |min(0, direction * (mark - order price))|: a limit order's own price, not the assumed one */
    int64_t order_px = o->type == ORDER_LIMIT ? o->price.e8 : px;
    int64_t loss = tw_up(tw_max(0, tw_sign(o->side) * (order_px - mark)), opening, FX_ONE);
    const struct tw_account *a = &w->account[o->account];
    int64_t rate = a->fees_set ? a->fee_taker : w->in[s].fee_taker.e8;
    int64_t fee = tw_max(0, tw_up(tw_even(px, opening, FX_ONE), rate, FX_ONE));
    return tw_max(0, margin) + loss + fee > tw_available(w, o->account) ? -2019 : 0;
}

static inline bool tw_crosses(struct tw *w, const struct exchange_order *o) {
    int64_t best = tw_best(w, o->instrument, tw_other(o->side));
    return best && (o->price.e8 - best) * tw_sign(o->side) >= 0;
}

#endif
