/* The naive twin: liquidation, the insurance fund, margin calls (binance-usdm §9.6). */
#ifndef VENUE_EXCHANGE_TEST_TWIN_FORCED_H
#define VENUE_EXCHANGE_TEST_TWIN_FORCED_H

#include "venue/exchange/test_twin_algo.h"

static inline struct exchange_order tw_forced_order(struct tw *w, uint32_t account, uint32_t s,
                                                    int leg, uint8_t forced, int64_t px) {
    const struct tw_position *p = &w->account[account].position[s][leg];
    bool hedge = w->account[account].hedge;
    struct exchange_order o = {.order_id = w->next_order_id++,
                               .account = account,
                               .instrument = s,
                               .side = p->qty > 0 ? SIDE_SELL : SIDE_BUY,
                               .type = ORDER_LIMIT,
                               .orig_type = ORDER_LIMIT,
                               .time_in_force = TIF_IOC,
                               .position_side = !hedge ? POSITION_BOTH
                                                : leg  ? POSITION_SHORT
                                                       : POSITION_LONG,
                               .reduce_only = 1,
                               .forced = forced,
                               .price = {px},
                               .orig_qty = {tw_abs(p->qty)},
                               .time_ns = w->now,
                               .update_ns = w->now};
    snprintf(o.client_order_id, sizeof o.client_order_id, "%s%llu",
             forced == FORCED_LIQUIDATION ? "autoclose-" : "settlement_autoclose-",
             (unsigned long long)o.order_id);
    return o;
}

static inline void tw_forced_count(struct tw *w, struct exchange_order *o, int64_t qty,
                                   int64_t cost) {
    o->cum_qty.e8 += qty;
    o->cum_quote.e8 += cost;
    o->status = tw_left(o) ? EXO_PARTIALLY_FILLED : EXO_FILLED;
    o->update_ns = w->now;
    tw_tell(w, o);
}

/* What the position can lose: its isolated wallet, or all cross equity besides its own result. */
static inline int64_t tw_backing(const struct tw *w, uint32_t account, uint32_t s, int leg) {
    const struct tw_position *p = &w->account[account].position[s][leg];
    if (w->account[account].isolated[s]) return p->wallet;
    struct exchange_account look;
    tw_look(w, account, &look);
    return look.cross_wallet.e8 + look.cross_unrealized.e8 - tw_unrealized(w, s, p);
}

static inline void tw_fund_pays(struct tw *w, uint32_t account, int64_t amount, bool income) {
    w->account[account].wallet += amount;
    w->account[account].insurance += amount;
    w->insurance -= amount;
    if (income) tw_income(w, account, INCOME_INSURANCE_CLEAR, amount);
}

static void tw_forced_fill(struct tw *w, struct tw_taker *t, int64_t px, int64_t qty) {
    struct tw_position *p = &w->account[t->account].position[t->s][t->leg];
    bool isolated = w->account[t->account].isolated[t->s];
    struct tw_booked b = tw_book_fill(w, t->account, t->s, t->leg, t->side, px, qty, 0, true);
    tw_income(w, t->account, INCOME_REALIZED_PNL, b.realized);
    if (isolated && p->wallet < 0) {
        int64_t paid = -p->wallet;
        p->wallet = 0;
        tw_fund_pays(w, t->account, paid, true);
        tw_count(w, TW_INSURED);
    }
    /* No fee out of what the rest needs to be closed at the bankruptcy price. */
    int64_t spare = tw_backing(w, t->account, t->s, t->leg) +
                    tw_even(p->qty, t->bankruptcy_px, FX_ONE) - p->cost;
    int64_t fee = tw_up(b.cost, w->in[t->s].liquidation_fee.e8, FX_ONE);
    fee = tw_max(0, tw_min(fee, spare));
    if (isolated) p->wallet -= fee;
    if (isolated && p->qty == 0) p->wallet = 0; /* free again: part of the cross wallet */
    tw_fund_pays(w, t->account, -fee, true);
    tw_forced_count(w, t->forced_order, qty, b.cost);
}

/* Where closing leaves nothing: side * qty * px = side * (entry cost - backing); on tick, on the safe side. */
static inline int64_t tw_bankruptcy_px(const struct tw *w, uint32_t account, uint32_t s, int leg) {
    const struct tw_position *p = &w->account[account].position[s][leg];
    int64_t sign = p->qty > 0 ? 1 : -1, tick = w->in[s].tick_size.e8, base = w->in[s].px_min.e8;
    int64_t value = sign * (p->cost - tw_backing(w, account, s, leg));
    base = base % tick ? base % tick - tick : 0; /* the grid's zero */
    if (value <= 0) return base + tick;
    int64_t px =
        sign > 0 ? tw_up(value, FX_ONE, tw_abs(p->qty)) : tw_down(value, FX_ONE, tw_abs(p->qty));
    int64_t ticks = sign > 0 ? tw_up(px - base, 1, tick) : tw_down(px - base, 1, tick);
    return base + tw_max(1, ticks) * tick;
}

static inline void tw_liquidate(struct tw *w, uint32_t account, uint32_t s, int leg) {
    int64_t px = tw_bankruptcy_px(w, account, s, leg);
    struct exchange_order o = tw_forced_order(w, account, s, leg, FORCED_LIQUIDATION, px);
    struct tw_taker t = {.account = account,
                         .s = s,
                         .leg = leg,
                         .side = o.side,
                         .stp = STP_NONE,
                         .reduces = true,
                         .forced = true,
                         .left = o.orig_qty.e8,
                         .limit = px,
                         .forced_order = &o,
                         .bankruptcy_px = px};
    tw_count(w, w->account[account].isolated[s] ? TW_LIQUIDATIONS_ISOLATED : TW_LIQUIDATIONS_CROSS);
    tw_match(w, &t);
    if (!t.left) return;
    /* The fund takes the rest at the bankruptcy price and passes it to the house at mark. */
    int64_t rest = t.left, mark = w->market[s].mark;
    t.left = 0;
    w->market[s].trade_id++;
    tw_forced_fill(w, &t, px, rest);
    struct tw_booked b =
        tw_book_fill(w, EXCHANGE_HOUSE, s, 0, tw_other(t.side), mark, rest, 0, false);
    w->insurance += tw_sign(t.side) * (tw_even(px, rest, FX_ONE) - b.cost);
    tw_count(w, TW_TAKEN_OVER);
}

/* Open orders of the contract, or (s == symbols) of all contracts in cross margin. */
static inline void tw_expire_orders(struct tw *w, uint32_t account, uint32_t s) {
    for (int i = 0; i < w->order_count; i++) {
        const struct exchange_order *o = &w->order[i].o;
        if (o->account != account) continue;
        if (s < w->symbols ? o->instrument != s : w->account[account].isolated[o->instrument])
            continue;
        tw_end(w, &w->order[i], EXO_EXPIRED, EXPIRY_LIQUIDATION);
        i = -1;
    }
    for (int i = 0; i < w->algo_count; i++) {
        const struct exchange_algo *a = &w->algo[i].a;
        if (a->account != account) continue;
        if (s < w->symbols ? a->instrument != s : w->account[account].isolated[a->instrument])
            continue;
        tw_algo_end(w, &w->algo[i], EXA_EXPIRED, EXPIRY_LIQUIDATION);
        i = -1;
    }
}

struct tw_cross {
    int64_t equity, maintenance;
    int positions;
    uint32_t s;
    int leg; /* of the largest maintenance margin */
};

static inline struct tw_cross tw_cross_of(const struct tw *w, uint32_t account) {
    struct tw_cross out = {.equity = tw_cross_wallet(w, account)};
    int64_t most = -1;
    for (uint32_t s = 0; s < w->symbols; s++)
        for (int leg = 0; leg < 2 && !w->account[account].isolated[s]; leg++) {
            const struct tw_position *p = &w->account[account].position[s][leg];
            if (!p->qty) continue;
            int64_t mm = tw_maintenance(w, s, p);
            out.positions++;
            out.equity += tw_unrealized(w, s, p);
            out.maintenance += mm;
            if (mm <= most) continue;
            most = mm;
            out.s = s;
            out.leg = leg;
        }
    return out;
}

static inline bool tw_is_called(int64_t maintenance, int64_t balance) {
    return maintenance > 0 && (tw_wide)maintenance * 10 >= (tw_wide)balance * 8;
}

static inline void tw_margin_calls(struct tw *w, uint32_t account, uint32_t s) {
    struct tw_account *a = &w->account[account];
    for (int leg = 0; leg < 2 && a->isolated[s]; leg++) {
        const struct tw_position *p = &a->position[s][leg];
        bool called =
            p->qty && tw_is_called(tw_maintenance(w, s, p), p->wallet + tw_unrealized(w, s, p));
        if (called && !a->called_leg[s][leg]) w->log->calls++;
        a->called_leg[s][leg] = called;
    }
    struct tw_cross c = tw_cross_of(w, account);
    bool called = c.positions > 0 && tw_is_called(c.maintenance, c.equity);
    if (called && !a->called) w->log->calls += c.positions;
    a->called = called;
}

/* One account's contract after something touched it. */
static inline void tw_check(struct tw *w, uint32_t account, uint32_t s) {
    struct tw_account *a = &w->account[account];
    for (int leg = 0; leg < 2 && a->isolated[s]; leg++) {
        const struct tw_position *p = &a->position[s][leg];
        if (!p->qty || p->wallet + tw_unrealized(w, s, p) > tw_maintenance(w, s, p)) continue;
        tw_expire_orders(w, account, s);
        tw_liquidate(w, account, s, leg);
    }
    struct tw_cross c = tw_cross_of(w, account);
    if (c.positions && c.equity <= c.maintenance) {
        tw_expire_orders(w, account, w->symbols);
        for (c = tw_cross_of(w, account); c.positions && c.equity <= c.maintenance;
             c = tw_cross_of(w, account))
            tw_liquidate(w, account, c.s, c.leg);
    }
    int64_t missing = -tw_cross_wallet(w, account);
    if (!c.positions && missing > 0) { /* nobody owes the venue */
        tw_fund_pays(w, account, missing, true);
        tw_count(w, TW_INSURED);
    }
    tw_margin_calls(w, account, s);
}

#endif
