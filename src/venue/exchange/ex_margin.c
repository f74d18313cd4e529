/* Positions and margin: what a fill does to an account, what its positions and orders need. Every change of
 * a wallet goes through here with its counterpart (realized, fees, funding, deposits, insurance). */
#include "venue/exchange/exchange_internal.h"

int64_t ex_mark(const struct exchange *ex, uint32_t s) {
    return ex_symbol(ex, s)->mark;
}

uint32_t ex_leverage(const struct exchange *ex, uint32_t account, uint32_t s) {
    uint32_t set = ex_cell(ex, account, s)->leverage;
    if (set != 0) return set;
    uint32_t most = ex_instrument(ex, s)->brackets[0].leverage_max;
    return ex->config.leverage_default < most ? ex->config.leverage_default : most;
}

int64_t ex_notional_max(const struct instrument *in, uint32_t leverage) {
    int64_t most = 0;
    for (uint32_t i = 0; i < in->bracket_count; i++)
        if (in->brackets[i].leverage_max >= leverage)
            most = ex_max(most, in->brackets[i].notional_cap.e8);
    return most;
}

int64_t ex_fee_rate(const struct exchange *ex, uint32_t account, uint32_t s, bool is_maker) {
    const struct ex_account *a = ex_account(ex, account);
    if (account == EXCHANGE_HOUSE) return 0;
    if (a->fees_set) return is_maker ? a->fee_maker : a->fee_taker;
    const struct instrument *in = ex_instrument(ex, s);
    return is_maker ? in->fee_maker.e8 : in->fee_taker.e8;
}

int64_t ex_reducible(const struct ex_leg *leg, uint8_t side) {
    if (side == SIDE_SELL) return leg->qty > 0 ? leg->qty : 0;
    return leg->qty < 0 ? -leg->qty : 0;
}

int64_t ex_leg_value(const struct exchange *ex, const struct ex_leg *leg, uint32_t s) {
    return fx_mul_half_even(leg->qty, ex_mark(ex, s));
}

int64_t ex_leg_upnl(const struct exchange *ex, const struct ex_leg *leg, uint32_t s) {
    return ex_leg_value(ex, leg, s) - leg->entry_cost;
}

int64_t ex_leg_im(const struct exchange *ex, uint32_t account, uint32_t s,
                  const struct ex_leg *leg) {
    return fx_muldiv_ceil(ex_abs(ex_leg_value(ex, leg, s)), 1,
                          (int64_t)ex_leverage(ex, account, s));
}

int64_t ex_leg_mm(const struct exchange *ex, const struct ex_leg *leg, uint32_t s) {
    int64_t notional = ex_abs(ex_leg_value(ex, leg, s));
    return notional ? instrument_maint_margin(ex_instrument(ex, s), money_e8(notional)).e8 : 0;
}

static int64_t saturate(ex_i128 x) {
    const int64_t limit = INT64_C(4000000000000000000);
    return x > limit ? limit : (int64_t)x;
}

int64_t ex_order_margin(const struct exchange *ex, uint32_t account, uint32_t s, uint32_t leverage,
                        uint32_t leg, uint8_t side, int64_t extra) {
    const struct ex_cell *c = ex_cell(ex, account, s);
    if (ex_account(ex, account)->hedge) {
        /* Each side by itself: buys of LONG, sells of SHORT. */
        ex_i128 bids = (ex_i128)c->leg[0].bid_notional, asks = (ex_i128)c->leg[1].ask_notional;
        if (leg == 0 && side == SIDE_BUY) bids += extra;
        if (leg == 1 && side == SIDE_SELL) asks += extra;
        return fx_muldiv_ceil(saturate(bids), 1, (int64_t)leverage) +
               fx_muldiv_ceil(saturate(asks), 1, (int64_t)leverage);
    }
    int64_t value = ex_leg_value(ex, &c->leg[0], s);
    ex_i128 bids = (ex_i128)value + c->leg[0].bid_notional + (side == SIDE_BUY ? extra : 0);
    ex_i128 asks = (ex_i128)value - c->leg[0].ask_notional - (side == SIDE_SELL ? extra : 0);
    if (bids < 0) bids = -bids;
    if (asks < 0) asks = -asks;
    ex_i128 present = bids > asks ? bids : asks;
    int64_t beyond = saturate(present - ex_abs(value));
    return beyond <= 0 ? 0 : fx_muldiv_ceil(beyond, 1, (int64_t)leverage);
}

static void sums_add(struct ex_account *a, const struct ex_cell *c, int sign) {
    if (c->isolated) {
        a->isolated_upnl += sign * c->upnl;
        a->isolated_im += sign * c->im;
        a->isolated_om += sign * c->om;
        a->isolated_mm += sign * c->mm;
    } else {
        a->cross_upnl += sign * c->upnl;
        a->cross_im += sign * c->im;
        a->cross_om += sign * c->om;
        a->cross_mm += sign * c->mm;
    }
}

void ex_cell_refresh(struct exchange *ex, uint32_t account, uint32_t s) {
    if (account == EXCHANGE_HOUSE) return;
    struct ex_account *a = ex_account(ex, account);
    struct ex_cell *c = ex_cell(ex, account, s);
    sums_add(a, c, -1);
    c->upnl = c->im = c->mm = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const struct ex_leg *leg = &c->leg[i];
        if (leg->qty == 0) continue;
        c->upnl += ex_leg_upnl(ex, leg, s);
        c->im += ex_leg_im(ex, account, s, leg);
        c->mm += ex_leg_mm(ex, leg, s);
    }
    c->om = ex_order_margin(ex, account, s, ex_leverage(ex, account, s), 0, SIDE_NONE, 0);
    sums_add(a, c, +1);
}

void ex_cell_dirty(struct exchange *ex, uint32_t account, uint32_t s) {
    if (account == EXCHANGE_HOUSE) return;
    struct ex_cell *c = ex_cell(ex, account, s);
    if (c->dirty) return;
    uint32_t index1 = ex_cell_index(ex, account, s) + 1;
    c->dirty = 1;
    c->dirty_next1 = 0;
    if (ex->dirty_last1)
        ex_cells(ex)[ex->dirty_last1 - 1].dirty_next1 = index1;
    else
        ex->dirty_first1 = index1;
    ex->dirty_last1 = index1;
}

int64_t ex_available(const struct ex_account *a) {
    return ex_max(0,
                  ex_cross_wallet(a) + a->cross_upnl - a->cross_im - a->cross_om - a->isolated_om);
}

int64_t ex_max_withdraw(const struct ex_account *a) {
    int64_t cross = ex_cross_wallet(a);
    int64_t by_wallet = cross - a->isolated_om - a->cross_mm;
    int64_t by_equity = cross + a->cross_upnl - a->cross_im - a->cross_om - a->isolated_om;
    return ex_max(0, ex_min(by_wallet, by_equity));
}

/* Brings the lists of held cells, the counts of legs and the open interest to a leg's new quantity. */
static void leg_changed(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg_index,
                        int64_t before) {
    struct ex_account *a = ex_account(ex, account);
    struct ex_cell *c = ex_cell(ex, account, s);
    struct ex_symbol *y = ex_symbol(ex, s);
    struct ex_leg *leg = &c->leg[leg_index];
    y->open_interest += ex_max(leg->qty, 0) - ex_max(before, 0);
    leg->update_ns = a->update_ns = ex->clock_ns;
    int change = (leg->qty != 0) - (before != 0);
    a->held_legs += (uint32_t)change;
    if (!c->isolated) a->cross_legs += (uint32_t)change;
    if (leg->qty == 0) {
        ASSERT(leg->entry_cost == 0);
        leg->fees = 0;
    }
    bool held = c->leg[0].qty != 0 || c->leg[1].qty != 0;
    if (held != (c->held != 0)) {
        uint32_t index1 = ex_cell_index(ex, account, s) + 1;
        struct ex_cell *cells = ex_cells(ex);
        c->held = held;
        if (held) {
            ex_list_append(&a->cell_ends, EX_LINKS(cells, of_account), index1);
            ex_list_append(&y->cell_ends, EX_LINKS(cells, of_symbol), index1);
        } else {
            ex_list_remove(&a->cell_ends, EX_LINKS(cells, of_account), index1);
            ex_list_remove(&y->cell_ends, EX_LINKS(cells, of_symbol), index1);
        }
    }
    bool turned = (before > 0 && leg->qty < 0) || (before < 0 && leg->qty > 0);
    if (turned || leg->qty == 0) {
        c->called[leg_index] = 0;
        ex_algo_position_gone(ex, account, s, leg_index);
    }
}

/* Closing part: shares of entry cost and fees are released half-even, the last close releases all. */
static int64_t fill_plan(struct ex_fill *f, const struct ex_leg *leg) {
    int64_t held = ex_abs(leg->qty);
    f->close_qty = ex_min(f->qty, ex_reducible(leg, f->side));
    f->cost = fx_mul_half_even(f->px, f->qty);
    f->entry_share = f->realized = 0;
    if (f->close_qty == 0) return 0;
    int64_t close_cost = f->close_qty == f->qty ? f->cost : fx_mul_half_even(f->px, f->close_qty);
    f->entry_share = f->close_qty == held
                         ? leg->entry_cost
                         : fx_muldiv_half_even(leg->entry_cost, f->close_qty, held);
    /* entry_share carries the position's sign: one formula for both directions */
    f->realized = -f->entry_share - side_sign((enum side)f->side) * close_cost;
    return close_cost;
}

/* Fees of what is held now: a close takes its share along, an opening brings its own. */
static void fees_carry(struct ex_leg *leg, const struct ex_fill *f, int64_t held) {
    if (f->close_qty)
        leg->fees -=
            f->close_qty == held ? leg->fees : fx_muldiv_half_even(leg->fees, f->close_qty, held);
    if (f->qty > f->close_qty)
        leg->fees += fx_muldiv_half_even(f->fee, f->qty - f->close_qty, f->qty);
}

void ex_fill_apply(struct exchange *ex, struct ex_fill *f, int64_t fee_rate) {
    struct ex_account *a = ex_account(ex, f->account);
    struct ex_cell *c = ex_cell(ex, f->account, f->s);
    struct ex_leg *leg = &c->leg[f->leg];
    int64_t before = leg->qty, held = ex_abs(before), sign = side_sign((enum side)f->side);
    int64_t close_cost = fill_plan(f, leg);
    f->fee = fee_rate == 0 ? 0 : fx_mul_ceil(f->cost, fee_rate);
    int64_t release = 0, margin = 0;
    if (c->isolated && f->close_qty)
        release = f->close_qty == held ? leg->wallet
                                       : fx_muldiv_half_even(leg->wallet, f->close_qty, held);
    a->isolated -= release;
    a->wallet += f->realized - f->fee;
    if (c->isolated && f->qty > f->close_qty) {
        int64_t want =
            fx_muldiv_ceil(f->cost - close_cost, 1, (int64_t)ex_leverage(ex, f->account, f->s));
        margin = ex_max(0, ex_min(want, ex_cross_wallet(a)));
    }
    a->isolated += margin;
    leg->wallet += margin - release;
    leg->qty += sign * f->qty;
    leg->entry_cost += sign * (f->cost - close_cost) - f->entry_share;
    leg->realized += f->realized;
    fees_carry(leg, f, held);
    a->realized += f->realized;
    a->fees += f->fee;
    ex->fees += f->fee;
    leg_changed(ex, f->account, f->s, f->leg, before);
}

void ex_fill_apply_forced(struct exchange *ex, struct ex_fill *f) {
    struct ex_account *a = ex_account(ex, f->account);
    struct ex_cell *c = ex_cell(ex, f->account, f->s);
    struct ex_leg *leg = &c->leg[f->leg];
    int64_t before = leg->qty;
    (void)fill_plan(f, leg);
    ASSERT(f->close_qty == f->qty);
    f->fee = 0;
    a->wallet += f->realized;
    if (c->isolated) {
        leg->wallet += f->realized;
        a->isolated += f->realized;
    }
    leg->qty += side_sign((enum side)f->side) * f->qty;
    leg->entry_cost -= f->entry_share;
    leg->realized += f->realized;
    fees_carry(leg, f, ex_abs(before));
    a->realized += f->realized;
    leg_changed(ex, f->account, f->s, f->leg, before);
}
