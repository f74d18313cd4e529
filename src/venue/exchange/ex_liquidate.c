/* Positions the venue ends: liquidation when margin is short (binance-usdm 9.6), settlement of a delisted
 * contract. */
#include <string.h>

#include "venue/exchange/exchange_internal.h"

/* The order by which the venue closes a leg. */
static void forced_order(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg,
                         enum exchange_forced forced, int64_t px, struct exchange_order *o) {
    const struct ex_leg *l = &ex_cell(ex, account, s)->leg[leg];
    bool hedge = ex_account(ex, account)->hedge != 0;
    memset(o, 0, sizeof *o);
    o->order_id = ex->order_id_next++;
    o->account = account;
    o->instrument = s;
    o->side = l->qty > 0 ? SIDE_SELL : SIDE_BUY;
    o->type = o->orig_type = ORDER_LIMIT;
    o->time_in_force = TIF_IOC;
    o->position_side = (uint8_t)(!hedge     ? POSITION_BOTH
                                 : leg == 0 ? POSITION_LONG
                                            : POSITION_SHORT);
    o->reduce_only = 1;
    o->forced = (uint8_t)forced;
    o->price = px_e8(px);
    o->orig_qty = qty_e8(ex_abs(l->qty));
    o->time_ns = o->update_ns = ex->clock_ns;
    ex_client_id_make(o->client_order_id,
                      forced == FORCED_LIQUIDATION ? "autoclose-" : "settlement_autoclose-",
                      o->order_id);
}

/* ---- liquidation ---- */

/* What else a leg may lose: its isolated wallet, or the account's cross equity without it. */
static int64_t leg_backing(const struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg) {
    const struct ex_account *a = ex_account(ex, account);
    const struct ex_cell *c = ex_cell(ex, account, s);
    if (c->isolated) return c->leg[leg].wallet;
    int64_t own = c->leg[leg].qty ? ex_leg_upnl(ex, &c->leg[leg], s) : 0;
    return ex_cross_wallet(a) + a->cross_upnl - own;
}

/* Price at which closing the leg leaves nothing of its backing: qty * px = entry cost - backing. On tick,
 * rounded to where something is left. */
static int64_t bankruptcy_px(const struct exchange *ex, uint32_t account, uint32_t s,
                             uint32_t leg) {
    const struct ex_symbol *y = ex_symbol(ex, s);
    const struct ex_leg *l = &ex_cell(ex, account, s)->leg[leg];
    bool is_long = l->qty > 0;
    ex_i128 value = (ex_i128)l->entry_cost - leg_backing(ex, account, s, leg);
    ex_i128 up = is_long ? value : -value, qty = ex_abs(l->qty);
    ASSERT(qty > 0);
    if (up <= 0) return ex_px_of(y, 1);
    ex_i128 px = is_long ? (up * FX_ONE + qty - 1) / qty : up * FX_ONE / qty;
    ex_i128 ticks = is_long ? (px - y->base + y->tick - 1) / y->tick : (px - y->base) / y->tick;
    if (ticks < 1) ticks = 1;
    if (ticks > UINT32_MAX) ticks = UINT32_MAX;
    return ex_px_of(y, (uint32_t)ticks);
}

/* The fund pays in (amount > 0) or is paid by an account. */
static void fund_pays(struct exchange *ex, struct ex_account *a, int64_t amount) {
    a->wallet += amount;
    a->insurance += amount;
    ex->insurance -= amount;
}

void ex_forced_fill(struct exchange *ex, struct ex_taker *t, struct ex_fill *f, uint64_t trade_id) {
    struct ex_account *a = ex_account(ex, t->account);
    struct ex_cell *c = ex_cell(ex, t->account, t->s);
    struct ex_leg *leg = &c->leg[t->leg];
    int64_t paid = 0;
    ex_fill_apply_forced(ex, f);
    if (c->isolated && leg->wallet < 0) {
        paid = -leg->wallet;
        fund_pays(ex, a, paid);
        a->isolated += paid;
        leg->wallet = 0;
    }
    ex_cell_refresh(ex, t->account, t->s);
    /* The fee takes no more than what would be left if the rest went at the bankruptcy price, so that it
     * never makes a loss for the fund. */
    int64_t left = leg_backing(ex, t->account, t->s, t->leg) +
                   fx_mul_half_even(leg->qty, t->bankruptcy_px) - leg->entry_cost;
    int64_t fee = fx_mul_ceil(f->cost, ex_instrument(ex, t->s)->liquidation_fee.e8);
    fee = ex_max(0, ex_min(fee, left));
    fund_pays(ex, a, -fee);
    if (c->isolated) {
        leg->wallet -= fee;
        a->isolated -= fee;
        if (leg->qty == 0) { /* what is left at the end is free again */
            a->isolated -= leg->wallet;
            leg->wallet = 0;
        }
    }
    ex_order_count(ex, t->o, f);
    ex_tell_fill(ex, f, t->o, EXEC_CALCULATED, trade_id, false);
    if (paid) ex_event_income(ex, t->account, t->s, INCOME_INSURANCE_CLEAR, paid, trade_id);
    if (fee) ex_event_income(ex, t->account, t->s, INCOME_INSURANCE_CLEAR, -fee, trade_id);
    struct exchange_event *e = ex_event(ex, EXE_FORCED, t->account, t->s);
    e->side = t->side;
    e->trade_id = trade_id;
    e->px = px_e8(f->px);
    e->qty = qty_e8(f->qty);
    e->u.order = *t->o;
}

/* The fund takes the rest over at the bankruptcy price and hands it to the house at mark, so that it keeps the
 * difference and no position. Its trade has a number but is not on the tape. */
static void take_over(struct exchange *ex, struct ex_taker *t) {
    struct ex_fill f = {.account = t->account,
                        .s = t->s,
                        .leg = t->leg,
                        .side = t->side,
                        .px = t->bankruptcy_px,
                        .qty = t->leaves};
    struct ex_fill house = {.account = EXCHANGE_HOUSE,
                            .s = t->s,
                            .side = (uint8_t)side_opposite((enum side)t->side),
                            .px = ex_mark(ex, t->s),
                            .qty = t->leaves};
    t->leaves = 0;
    ex_forced_fill(ex, t, &f, ++ex_symbol(ex, t->s)->trade_id);
    ex_fill_apply(ex, &house, 0);
    ex->insurance += side_sign((enum side)t->side) * (f.cost - house.cost);
}

static void liquidate_leg(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg) {
    int64_t px = bankruptcy_px(ex, account, s, leg);
    struct exchange_order o;
    forced_order(ex, account, s, leg, FORCED_LIQUIDATION, px, &o);
    struct ex_taker t = {.o = &o,
                         .account = account,
                         .s = s,
                         .leg = leg,
                         .side = o.side,
                         .is_forced = true,
                         .reduces = true,
                         .limit = ex_tick_of(ex_symbol(ex, s), px),
                         .leaves = o.orig_qty.e8,
                         .stp = STP_NONE,
                         .bankruptcy_px = px};
    ex_match(ex, &t);
    if (t.leaves > 0) take_over(ex, &t);
}

/* Open orders go first: those of the contract, or (s UINT32_MAX) of all contracts in cross margin. */
static void expire_orders(struct exchange *ex, uint32_t account, uint32_t s) {
    const struct ex_account *a = ex_account(ex, account);
    uint32_t at1 = a->order_ends.first1;
    while (at1) {
        struct ex_order *o = &ex_orders(ex)[at1 - 1];
        at1 = o->of_account.next1;
        if (s == UINT32_MAX ? !ex_cell(ex, account, o->o.instrument)->isolated
                            : o->o.instrument == s)
            ex_order_end(ex, o, EXO_EXPIRED, EXPIRY_LIQUIDATION, EXEC_EXPIRED);
    }
    at1 = a->algo_ends.first1;
    while (at1) {
        struct ex_algo *algo = &ex_algos(ex)[at1 - 1];
        at1 = algo->of_account.next1;
        if (s == UINT32_MAX ? !ex_cell(ex, account, algo->a.instrument)->isolated
                            : algo->a.instrument == s)
            ex_algo_end(ex, algo, EXA_EXPIRED, 0, EXPIRY_LIQUIDATION);
    }
}

static bool is_cross_short(const struct ex_account *a) {
    return a->cross_legs > 0 && ex_cross_wallet(a) + a->cross_upnl <= a->cross_mm;
}

/* The cross leg with the greatest maintenance margin; of equals the first contract's. */
static bool cross_leg_largest(const struct exchange *ex, uint32_t account, uint32_t *out_s,
                              uint32_t *out_leg) {
    int64_t most = -1;
    uint32_t at1 = ex_account(ex, account)->cell_ends.first1;
    for (; at1; at1 = ex_cells(ex)[at1 - 1].of_account.next1) {
        const struct ex_cell *c = &ex_cells(ex)[at1 - 1];
        uint32_t s = (at1 - 1) % ex->config.instrument_count;
        if (c->isolated) continue;
        for (uint32_t i = 0; i < 2; i++) {
            if (c->leg[i].qty == 0) continue;
            int64_t mm = ex_leg_mm(ex, &c->leg[i], s);
            if (mm < most || (mm == most && s >= *out_s)) continue;
            most = mm;
            *out_s = s;
            *out_leg = i;
        }
    }
    return most >= 0;
}

static void liquidate_cross(struct exchange *ex, uint32_t account) {
    const struct ex_account *a = ex_account(ex, account);
    uint32_t s = 0, leg = 0;
    expire_orders(ex, account, UINT32_MAX);
    /* One position at a time, until what is left is covered again. */
    while (is_cross_short(a) && cross_leg_largest(ex, account, &s, &leg)) {
        if (ex_is_busy(ex)) { /* the rest of them with the next input */
            ex_cell_dirty(ex, account, s);
            return;
        }
        liquidate_leg(ex, account, s, leg);
    }
}

/* Nobody owes the venue: without a cross position left the fund refills a negative cross wallet. */
static void refill(struct exchange *ex, uint32_t account) {
    struct ex_account *a = ex_account(ex, account);
    int64_t missing = -ex_cross_wallet(a);
    if (a->cross_legs > 0 || missing <= 0) return;
    fund_pays(ex, a, missing);
    ex_event_account(ex, account, UINT32_MAX, 0, REASON_INSURANCE_CLEAR, missing);
    ex_event_income(ex, account, UINT32_MAX, INCOME_INSURANCE_CLEAR, missing, 0);
}

/* ---- margin call: maintenance margin at 80 % of the margin balance ---- */

static bool is_called(int64_t maint, int64_t balance) {
    return maint > 0 && (ex_i128)maint * 10 >= (ex_i128)balance * 8;
}

static void call_event(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg) {
    const struct ex_cell *c = ex_cell(ex, account, s);
    struct exchange_event *e = ex_event(ex, EXE_MARGIN_CALL, account, s);
    bool hedge = ex_account(ex, account)->hedge != 0;
    e->isolated = c->isolated;
    e->position_side = (uint8_t)(!hedge     ? POSITION_BOTH
                                 : leg == 0 ? POSITION_LONG
                                            : POSITION_SHORT);
    e->px = px_e8(ex_mark(ex, s));
    e->wallet = money_e8(ex_account(ex, account)->wallet);
    e->cross_wallet = money_e8(ex_cross_wallet(ex_account(ex, account)));
    e->has_position = true;
    ex_position_fill(ex, account, s, leg, false, &e->position);
}

static void margin_calls(struct exchange *ex, uint32_t account, uint32_t s) {
    struct ex_account *a = ex_account(ex, account);
    struct ex_cell *c = ex_cell(ex, account, s);
    for (uint32_t i = 0; c->isolated && i < 2; i++) {
        const struct ex_leg *leg = &c->leg[i];
        bool called =
            leg->qty && is_called(ex_leg_mm(ex, leg, s), leg->wallet + ex_leg_upnl(ex, leg, s));
        if (called && !c->called[i]) call_event(ex, account, s, i);
        c->called[i] = called;
    }
    bool called = a->cross_legs > 0 && is_called(a->cross_mm, ex_cross_wallet(a) + a->cross_upnl);
    if (called && !a->called) {
        uint32_t at1 = a->cell_ends.first1;
        for (; at1; at1 = ex_cells(ex)[at1 - 1].of_account.next1) {
            const struct ex_cell *held = &ex_cells(ex)[at1 - 1];
            for (uint32_t i = 0; !held->isolated && i < 2; i++)
                if (held->leg[i].qty)
                    call_event(ex, account, (at1 - 1) % ex->config.instrument_count, i);
        }
    }
    a->called = called;
}

void ex_check_cell(struct exchange *ex, uint32_t cell1) {
    uint32_t account = (cell1 - 1) / ex->config.instrument_count;
    uint32_t s = (cell1 - 1) % ex->config.instrument_count;
    struct ex_cell *c = &ex_cells(ex)[cell1 - 1];
    for (uint32_t i = 0; c->isolated && i < 2; i++) {
        const struct ex_leg *leg = &c->leg[i];
        if (leg->qty == 0 || leg->wallet + ex_leg_upnl(ex, leg, s) > ex_leg_mm(ex, leg, s))
            continue;
        expire_orders(ex, account, s);
        liquidate_leg(ex, account, s, i);
    }
    if (is_cross_short(ex_account(ex, account))) liquidate_cross(ex, account);
    refill(ex, account);
    margin_calls(ex, account, s);
}

/* ---- settlement ---- */

static void settle_leg(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg) {
    struct exchange_order o;
    forced_order(ex, account, s, leg, FORCED_SETTLEMENT, ex_mark(ex, s), &o);
    struct ex_fill f = {.account = account,
                        .s = s,
                        .leg = leg,
                        .side = o.side,
                        .px = ex_mark(ex, s),
                        .qty = o.orig_qty.e8};
    ex_fill_apply(ex, &f, 0);
    /* Longs and shorts are equal, their rounded values need not be. */
    ex->funding_pool += side_sign((enum side)o.side) * f.cost;
    if (account == EXCHANGE_HOUSE) return;
    ex_order_count(ex, &o, &f);
    ex_cell_refresh(ex, account, s);
    ex_cell_dirty(ex, account, s);
    ex_tell_fill(ex, &f, &o, EXEC_CALCULATED, ++ex_symbol(ex, s)->trade_id, false);
}

void ex_settle_symbol(struct exchange *ex, uint32_t s) {
    struct match *book = ex_book(ex, s);
    for (int side = MATCH_BID; side <= MATCH_ASK; side++) {
        struct match_order m;
        match_handle h;
        while ((h = match_front(book, (enum match_side)side)) != 0 && match_get(book, h, &m)) {
            if (m.tag & EX_TAG_HOUSE)
                ex_quote_drop(ex, s, h, &m);
            else
                ex_order_end(ex, &ex_orders(ex)[m.tag - 1], EXO_EXPIRED, EXPIRY_DELIST,
                             EXEC_EXPIRED);
        }
    }
    ex_algo_expire_symbol(ex, s, EXPIRY_DELIST);
    uint32_t at1;
    while ((at1 = ex_symbol(ex, s)->cell_ends.first1) != 0) {
        uint32_t account = (at1 - 1) / ex->config.instrument_count;
        for (uint32_t i = 0; i < 2; i++)
            if (ex_cells(ex)[at1 - 1].leg[i].qty) settle_leg(ex, account, s, i);
    }
}
