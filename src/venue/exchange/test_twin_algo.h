/* The naive twin: conditional orders, each looked at for each price (binance-usdm §4). */
#ifndef VENUE_EXCHANGE_TEST_TWIN_ALGO_H
#define VENUE_EXCHANGE_TEST_TWIN_ALGO_H

#include "venue/exchange/test_twin_match.h"

static inline bool tw_algo_has_limit(const struct exchange_algo *a) {
    return a->type == ORDER_STOP || a->type == ORDER_TAKE_PROFIT;
}

static inline bool tw_algo_is_trailing(const struct exchange_algo *a) {
    return a->type == ORDER_TRAILING_STOP_MARKET;
}

/* §4.4: condition of a trigger, or of a trailing order's activation. */
static inline bool tw_algo_acts_above(const struct exchange_algo *a) {
    bool stop = a->type == ORDER_STOP || a->type == ORDER_STOP_MARKET;
    return stop == (a->side == SIDE_BUY);
}
static inline int64_t tw_algo_level(const struct exchange_algo *a) {
    return tw_algo_is_trailing(a) ? a->activate_price.e8 : a->trigger_price.e8;
}
static inline bool tw_algo_is_reached(const struct exchange_algo *a, int64_t px) {
    return tw_algo_acts_above(a) ? px >= tw_algo_level(a) : px <= tw_algo_level(a);
}

static inline int64_t tw_working_px(const struct tw *w, uint32_t s, uint8_t working_type) {
    const struct tw_market *m = &w->market[s];
    return working_type == WORKING_CONTRACT_PRICE && m->last ? m->last : m->mark;
}

static inline struct exchange_order tw_algo_as_order(const struct exchange_algo *a) {
    struct exchange_order o = {.order_id = a->actual_order_id,
                               .account = a->account,
                               .instrument = a->instrument,
                               .side = a->side,
                               .type = a->type,
                               .orig_type = a->type,
                               .time_in_force = a->time_in_force,
                               .position_side = a->position_side,
                               .working_type = a->working_type,
                               .stp = a->stp,
                               .price_match = a->price_match,
                               .reduce_only = a->reduce_only,
                               .close_position = a->close_position,
                               .price_protect = a->price_protect,
                               .price = a->price,
                               .stop_price = {tw_algo_level(a)},
                               .orig_qty = a->qty,
                               .good_till_ns = a->good_till_ns,
                               .time_ns = a->create_ns,
                               .update_ns = a->update_ns};
    memcpy(o.client_order_id, a->client_algo_id, sizeof o.client_order_id);
    return o;
}

/* ---- placing ---- */

static inline int32_t tw_admit_algo_form(struct tw *w, const struct exchange_input *in) {
    bool limit = in->type == ORDER_STOP || in->type == ORDER_TAKE_PROFIT;
    bool trailing = in->type == ORDER_TRAILING_STOP_MARKET, hedge = w->account[in->account].hedge;
    if (in->reduce_only && hedge) return -1106;
    if (!limit && in->price_match) return -5038;
    if (!limit && in->time_in_force != TIF_GTC && in->time_in_force != TIF_GTE_GTC) return -1106;
    if (!limit && in->price.e8) return -1106;
    if (in->price_match && in->price.e8) return -1106;
    if (in->close_position) {
        if (limit || trailing || in->reduce_only) return -1106;
        if (in->qty.e8) return -4137;
        if (hedge && in->position_side && !tw_closes(in->position_side, in->side)) return -4061;
    }
    if (trailing && (in->rate.e8 < FX_ONE / 1000 || in->rate.e8 > FX_ONE / 5)) return -1130;
    return 0;
}

static inline int32_t tw_admit_stop_px(const struct instrument *in, int64_t px) {
    int32_t code = tw_admit_px(in, px);
    return code == -4001 ? -4006 : code == -4002 ? -4007 : code;
}

static inline int32_t tw_admit_algo_filters(struct tw *w, const struct exchange_input *in) {
    const struct instrument *rules = &w->in[in->instrument];
    bool limit = in->type == ORDER_STOP || in->type == ORDER_TAKE_PROFIT;
    bool trailing = in->type == ORDER_TRAILING_STOP_MARKET, priced = limit && !in->price_match;
    int32_t code = priced ? tw_admit_px(rules, in->price.e8) : 0;
    if (!code && (!trailing || in->price2.e8)) code = tw_admit_stop_px(rules, in->price2.e8);
    if (code || in->close_position) return code;
    if ((code = tw_admit_qty(rules, in->qty.e8, !limit)) != 0) return code;
    tw_wide px = in->price.e8, stop = in->price2.e8;
    if (priced && in->side == SIDE_BUY && rules->multiplier_up.e8 &&
        px * FX_ONE > stop * rules->multiplier_up.e8)
        return -4183;
    if (priced && in->side == SIDE_SELL && px * FX_ONE < stop * rules->multiplier_down.e8)
        return -4184;
    int64_t worth_at = trailing ? w->market[in->instrument].mark
                       : priced ? in->price.e8
                                : in->price2.e8;
    if (tw_is_too_large(worth_at, in->qty.e8)) return -2027;
    if (in->reduce_only || tw_is_worth(worth_at, in->qty.e8, rules->notional_min.e8)) return 0;
    return -4164;
}

static inline bool tw_algo_client_id_is_used(const struct tw *w, uint32_t account, const char *id) {
    for (int i = 0; i < w->algo_count; i++)
        if (!w->algo[i].classic && w->algo[i].a.account == account &&
            strcmp(w->algo[i].a.client_algo_id, id) == 0)
            return true;
    return false;
}

static inline int32_t tw_admit_algo(struct tw *w, const struct exchange_input *in, bool classic,
                                    int64_t *until) {
    struct exchange_order as_if = {.instrument = in->instrument,
                                   .side = in->side,
                                   .position_side = in->position_side,
                                   .reduce_only = in->reduce_only,
                                   .close_position = in->close_position};
    int32_t code = tw_admit_status(w, &as_if);
    if (!code) code = tw_admit_algo_form(w, in);
    if (!code) code = tw_admit_good_till(w, in->time_in_force, until);
    if (!code && !tw_client_id_is_good(in->client_id)) code = -4015;
    if (!code && in->client_id[0] &&
        (classic ? tw_client_id_is_used(w, in->account, in->client_id)
                 : tw_algo_client_id_is_used(w, in->account, in->client_id)))
        code = -4116;
    if (!code) code = tw_admit_algo_filters(w, in);
    if (!code && w->account[in->account].hedge == (in->position_side == POSITION_BOTH))
        code = -4061;
    return code;
}

static inline bool tw_whole_is_taken(const struct tw *w, const struct exchange_input *in) {
    for (int i = 0; in->close_position && i < w->algo_count; i++) {
        const struct exchange_algo *a = &w->algo[i].a;
        if (a->account == in->account && a->instrument == in->instrument && a->close_position &&
            a->status == EXA_NEW && a->side == in->side && a->type == in->type &&
            a->position_side == in->position_side)
            return true;
    }
    return false;
}

static inline void tw_algo_place(struct tw *w, const struct exchange_input *in, bool classic,
                                 struct exchange_reply *reply) {
    int64_t until = in->until_ns;
    if (!tw_is_conditional(in->type)) reply->code = -1116;
    if (!reply->code) reply->code = tw_admit_algo(w, in, classic, &until);
    if (reply->code) return;
    bool trailing = in->type == ORDER_TRAILING_STOP_MARKET;
    struct tw_algo x = {.classic = classic,
                        .a = {.account = in->account,
                              .instrument = in->instrument,
                              .side = in->side,
                              .type = in->type,
                              .time_in_force = in->time_in_force,
                              .position_side = in->position_side,
                              .working_type = in->working_type,
                              .stp = in->stp,
                              .price_match = in->price_match,
                              .reduce_only = in->reduce_only,
                              .close_position = in->close_position,
                              .price_protect = in->price_protect,
                              .trigger_price = {trailing ? 0 : in->price2.e8},
                              .activate_price = {trailing ? in->price2.e8 : 0},
                              .callback_rate = {trailing ? in->rate.e8 : 0},
                              .price = in->price,
                              .qty = in->qty,
                              .good_till_ns = until,
                              .create_ns = w->now,
                              .update_ns = w->now}};
    memcpy(x.a.client_algo_id, in->client_id, CLIENT_ORDER_ID_SIZE - 1);
    int64_t px = tw_working_px(w, in->instrument, in->working_type);
    bool at_once = trailing && !in->price2.e8;
    int count = 0;
    for (int i = 0; i < w->algo_count; i++) count += w->algo[i].a.account == in->account;
    if (!at_once && tw_algo_is_reached(&x.a, px))
        reply->code = -2021;
    else if (tw_whole_is_taken(w, in))
        reply->code = -4130;
    else if (count >= 200 || w->algo_count >= (int)w->config.algos_max)
        reply->code = -4045;
    if (reply->code) return;
    reply->has_order = classic;
    if (in->kind == EXI_ORDER_TEST) {
        reply->accepted = reply->order = tw_algo_as_order(&x.a);
        return;
    }
    uint64_t id = classic ? w->next_order_id++ : w->next_algo_id++;
    *(classic ? &x.a.actual_order_id : &x.a.algo_id) = id;
    if (!x.a.client_algo_id[0])
        snprintf(x.a.client_algo_id, sizeof x.a.client_algo_id, "auto-%llu",
                 (unsigned long long)id);
    if (at_once) {
        x.a.activate_price.e8 = x.a.extreme_price.e8 = px;
        x.a.activated = 1;
        x.activated = ++w->next_fired;
    }
    assert_true(w->algo_count < TW_OPEN_MAX);
    w->algo[w->algo_count++] = x;
    if (classic) {
        reply->accepted = reply->order = tw_algo_as_order(&x.a);
        tw_tell(w, &reply->order);
        return;
    }
    reply->has_algo = true;
    reply->algo = x.a;
    tw_tell_algo(w, &x.a);
}

/* ---- ends ---- */

static inline void tw_algo_drop(struct tw *w, struct tw_algo *x) {
    int i = (int)(x - w->algo);
    memmove(x, x + 1, (size_t)(w->algo_count - i - 1) * sizeof *x);
    w->algo_count--;
}

static inline void tw_algo_state(struct tw *w, struct tw_algo *x, uint8_t status) {
    x->a.status = status;
    x->a.update_ns = w->now;
    if (!x->classic) tw_tell_algo(w, &x->a);
}

/* One that waits ends without a child. */
static inline void tw_algo_end(struct tw *w, struct tw_algo *x, uint8_t status, uint8_t expiry) {
    struct tw_algo gone = *x;
    tw_algo_drop(w, x);
    tw_algo_state(w, &gone, status);
    if (!gone.classic) return;
    struct exchange_order o = tw_algo_as_order(&gone.a);
    o.status = status == EXA_CANCELED ? EXO_CANCELED : EXO_EXPIRED;
    o.expiry = expiry;
    tw_tell(w, &o);
}

static void tw_algo_finish(struct tw *w, const struct exchange_algo *a,
                           const struct exchange_order *child) {
    struct tw_algo x = {.a = *a};
    x.a.actual_qty = child->cum_qty;
    x.a.actual_quote = child->cum_quote;
    tw_count(w, TW_ALGO_FINISHED);
    tw_algo_state(w, &x, EXA_FINISHED);
}

/* GTE_GTC: bound to a position that is gone. */
static void tw_algo_position_gone(struct tw *w, uint32_t account, uint32_t s, int leg) {
    for (int i = 0; i < w->algo_count; i++) {
        struct exchange_algo *a = &w->algo[i].a;
        if (a->account != account || a->instrument != s || a->time_in_force != TIF_GTE_GTC ||
            tw_leg(a->position_side) != leg)
            continue;
        tw_count(w, TW_ALGO_GTE_EXPIRED);
        tw_algo_end(w, &w->algo[i--], EXA_EXPIRED, EXPIRY_GTE);
    }
}

/* ---- prices ---- */

static inline bool tw_algo_is_protected(const struct tw *w, const struct exchange_algo *a) {
    const struct tw_market *m = &w->market[a->instrument];
    if (m->last == 0) return false; /* no trade yet: nothing is apart */
    return a->price_protect && (tw_wide)tw_abs(m->mark - m->last) * FX_ONE >=
                                   (tw_wide)m->mark * w->config.trigger_protect.e8;
}

static inline void tw_algo_fire(struct tw *w, struct tw_algo *x) {
    x->fired = ++w->next_fired;
    x->a.trigger_ns = w->now;
    tw_count(w, TW_FIRED);
    if (tw_algo_is_trailing(&x->a)) tw_count(w, TW_FIRED_TRAILING);
    if (tw_algo_has_limit(&x->a)) tw_count(w, TW_FIRED_LIMIT);
    if (x->classic) tw_count(w, TW_FIRED_CLASSIC);
    if (x->a.close_position) tw_count(w, TW_FIRED_CLOSE_POSITION);
    tw_algo_state(w, x, EXA_TRIGGERING);
}

/* At one price: those acting above by rising level, those acting below by falling level, then age. */
static inline bool tw_algo_precedes(const struct tw_algo *x, const struct tw_algo *y) {
    bool above = tw_algo_acts_above(&x->a);
    if (above != tw_algo_acts_above(&y->a)) return above;
    int64_t a = tw_algo_level(&x->a), b = tw_algo_level(&y->a);
    if (a != b) return above ? a < b : a > b;
    uint64_t i = x->classic ? x->a.actual_order_id : x->a.algo_id,
             k = y->classic ? y->a.actual_order_id : y->a.algo_id;
    return i < k;
}

/* One step of a trailing order that is active. */
static inline void tw_algo_trail(struct tw *w, struct tw_algo *x, int64_t px) {
    bool sell = x->a.side == SIDE_SELL;
    int64_t extreme = x->a.extreme_price.e8, back = x->a.callback_rate.e8;
    if (sell ? px > extreme : px < extreme) {
        x->a.extreme_price.e8 = px;
        return;
    }
    /* p <= highest * (1 - callback), p >= lowest * (1 + callback), compared exactly */
    tw_wide left = (tw_wide)px * FX_ONE;
    tw_wide right = (tw_wide)extreme * (sell ? FX_ONE - back : FX_ONE + back);
    if (sell ? left > right : left < right) return;
    if (!tw_algo_is_protected(w, &x->a)) tw_algo_fire(w, x);
}

static void tw_algo_price(struct tw *w, uint32_t s, uint8_t working_type, int64_t px) {
    static bool seen_by_world[2][TW_OPEN_MAX];
    bool *seen = seen_by_world[w->log == NULL];
    memset(seen, 0, sizeof seen_by_world[0]);
    for (;;) {
        int best = -1;
        for (int i = 0; i < w->algo_count; i++) {
            const struct tw_algo *x = &w->algo[i];
            if (x->a.instrument != s || x->a.working_type != working_type || x->fired ||
                x->activated || seen[i] || !tw_algo_is_reached(&x->a, px))
                continue;
            if (best < 0 || tw_algo_precedes(x, &w->algo[best])) best = i;
        }
        if (best < 0) break;
        struct tw_algo *x = &w->algo[best];
        seen[best] = true;
        if (tw_algo_is_trailing(&x->a)) {
            x->activated = ++w->next_fired;
            x->a.activated = 1;
            x->a.extreme_price.e8 = px;
        } else if (!tw_algo_is_protected(w, &x->a)) {
            tw_algo_fire(w, x);
        }
    }
    for (int sell = 0; sell < 2; sell++)
        for (uint64_t after = 0;;) {
            struct tw_algo *x = NULL; /* active ones in the order they became so */
            for (int i = 0; i < w->algo_count; i++) {
                struct tw_algo *y = &w->algo[i];
                if (y->a.instrument == s && y->a.working_type == working_type && !y->fired &&
                    y->activated > after && (y->a.side == SIDE_SELL) == sell &&
                    (!x || y->activated < x->activated))
                    x = y;
            }
            if (!x) break;
            after = x->activated;
            tw_algo_trail(w, x, px);
        }
}

/* ---- execution ---- */

/* The order a fired one becomes; 0 or why it cannot. */
static inline int32_t tw_algo_child(struct tw *w, const struct exchange_algo *a,
                                    struct exchange_order *o) {
    *o = tw_algo_as_order(a);
    o->type = tw_algo_has_limit(a) ? ORDER_LIMIT : ORDER_MARKET;
    if (o->time_in_force == TIF_GTE_GTC) o->time_in_force = TIF_GTC;
    o->algo_id = a->algo_id;
    if (a->close_position) {
        o->orig_qty.e8 = tw_reducible(tw_position_of(w, o), o->side);
        o->reduce_only = o->position_side == POSITION_BOTH;
    }
    if (!o->price_match) return 0;
    int32_t code = tw_match_price(w, o->instrument, o->side, o->price_match, &o->price.e8);
    return code ? code : tw_admit_px(&w->in[o->instrument], o->price.e8);
}

/* The one that fired first meets the book. */
static inline void tw_algo_execute(struct tw *w) {
    struct tw_algo *first = NULL;
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].fired && (!first || w->algo[i].fired < first->fired)) first = &w->algo[i];
    struct tw_algo x = *first;
    tw_algo_drop(w, first);
    struct exchange_order o, after;
    int32_t code = tw_algo_child(w, &x.a, &o);
    if (!code) code = tw_admit_rest(w, &o, true);
    if (code) {
        bool flat = x.a.close_position && !o.orig_qty.e8;
        x.a.reject_code = flat ? 0 : code;
        tw_count(w, flat ? TW_ALGO_EXPIRED : TW_ALGO_REJECTED);
        tw_algo_state(w, &x, flat ? EXA_EXPIRED : EXA_REJECTED);
        if (!x.classic) return;
        o.status = EXO_EXPIRED;
        o.expiry = flat ? EXPIRY_GTE : EXPIRY_STOPPED;
        o.update_ns = w->now;
        tw_tell(w, &o);
        return;
    }
    uint64_t id = tw_create(w, &o)->o.order_id;
    x.a.actual_order_id = id;
    tw_work(w, id, &after);
    if (x.classic) return;
    tw_algo_state(w, &x, EXA_TRIGGERED);
    struct tw_order *child = tw_order_find(w, id);
    if (!child) {
        tw_algo_finish(w, &x.a, &after);
        return;
    }
    child->has_parent = true;
    child->parent = x.a;
}

static inline bool tw_algo_any_fired(const struct tw *w) {
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].fired) return true;
    return false;
}

#endif
