/* Positions, isolated margin and money. Every change of the wallet happens in this file, each with
 * its counterpart among realized_pnl, fees, funding, liquidation_fees and insurance. */
#include "base/assert.h"
#include "venue/simex/simex_internal.h"

static int64_t free_balance(const struct simex *sx) {
    return sx->wallet - sx->isolated_total;
}

int64_t simex_available(const struct simex *sx) {
    return simex_max(0, free_balance(sx) - sx->order_margin_total);
}

int64_t simex_reducible(const struct simex *sx, uint32_t s, enum side side) {
    int64_t qty = simex_symbol(sx, s)->qty;
    if (side == SIDE_SELL) return qty > 0 ? qty : 0;
    return qty < 0 ? -qty : 0;
}

/* Is the isolated margin at this mark no more than the maintenance margin? */
static bool is_short_of_margin(const struct simex *sx, uint32_t s, int64_t mark) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    int64_t value = fx_mul_half_even(y->qty, mark);
    money_t maint = instrument_maint_margin(simex_instrument(sx, s), money_e8(simex_abs(value)));
    return (simex_i128)y->isolated_wallet + value - y->entry_cost <= maint.e8;
}

/* The formula of binance-usdm 9.6 in the bracket it falls into, within a few 1e-8; high / 2 when it
 * falls into none. */
static int64_t liquidation_guess(const struct simex *sx, uint32_t s, int64_t high) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    const struct instrument *in = simex_instrument(sx, s);
    ASSERT(y->qty != 0);
    int sign = y->qty > 0 ? 1 : -1;
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        const struct bracket *b = &in->brackets[i];
        simex_i128 base = (simex_i128)simex_abs(y->entry_cost) -
                          sign * ((simex_i128)y->isolated_wallet + b->maint_amount.e8);
        int64_t divisor = FX_ONE - sign * b->maint_margin_rate.e8;
        if (divisor <= 0) continue;
        simex_i128 notional = base * FX_ONE / divisor;
        if (notional < b->notional_floor.e8 || notional >= b->notional_cap.e8) continue;
        simex_i128 px = notional * FX_ONE / simex_abs(y->qty);
        if (px >= 1 && px <= high) return (int64_t)px;
    }
    return high / 2;
}

/* Beyond every price there is at the latest, and never past int64. */
static int64_t wider(int64_t step) {
    return step < INT64_MAX / 8 ? step * 8 : step;
}

/* The mark at which the position is liquidated: the highest for a long, the lowest for a short; 0
 * when there is none. Searched on the very condition, so it is exact in 1e-8 whatever the brackets
 * are, and the path can be searched for it like for any trigger. */
static int64_t liquidation_px(const struct simex *sx, uint32_t s) {
    int64_t qty = simex_symbol(sx, s)->qty;
    if (qty == 0) return 0;
    const int64_t value_max = INT64_C(4000000000000000000);
    simex_i128 top = (simex_i128)value_max * FX_ONE / simex_abs(qty);
    int64_t high_max = top > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)top;
    bool is_long = qty > 0; /* then the margin is short at low prices, else at high ones */
    if (!is_short_of_margin(sx, s, is_long ? 1 : high_max)) return 0;
    int64_t low = liquidation_guess(sx, s, high_max), high = low;
    for (int64_t step = 4; low > 1 && is_short_of_margin(sx, s, low) != is_long; step = wider(step))
        low = step < low ? low - step : 1;
    for (int64_t step = 4; high < high_max && is_short_of_margin(sx, s, high) == is_long;
         step = wider(step))
        high = step < high_max - high ? high + step : high_max;
    while (high - low > 1) {
        int64_t mid = low + (high - low) / 2;
        if (is_short_of_margin(sx, s, mid) == is_long)
            low = mid;
        else
            high = mid;
    }
    return is_long ? low : high;
}

bool simex_fill_plan(const struct simex *sx, uint32_t s, enum side side, int64_t qty, int64_t px,
                     int64_t fee_rate, struct sx_fill *out) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    int64_t held = simex_abs(y->qty);
    struct sx_fill f = {.qty = qty, .px = px, .cost = fx_mul_half_even(px, qty)};
    f.close_qty = simex_min(qty, simex_reducible(sx, s, side));
    f.open_qty = qty - f.close_qty;
    int64_t close_cost = f.open_qty ? fx_mul_half_even(px, f.close_qty) : f.cost;
    if (f.close_qty) {
        bool all = f.close_qty == held;
        f.entry_share = all ? y->entry_cost : fx_muldiv_half_even(y->entry_cost, f.close_qty, held);
        f.release =
            all ? y->isolated_wallet : fx_muldiv_half_even(y->isolated_wallet, f.close_qty, held);
        /* entry_share carries the position's sign, so this is one formula for both directions */
        f.realized = -f.entry_share - side_sign(side) * close_cost;
    } else {
        close_cost = 0;
    }
    f.fee = fx_mul_ceil(f.cost, fee_rate);
    f.margin = f.open_qty ? fx_muldiv_ceil(f.cost - close_cost, 1, (int64_t)y->leverage) : 0;
    *out = f;
    return f.open_qty == 0 || free_balance(sx) + f.release + f.realized - f.fee >= f.margin;
}

/* The fund pays what nobody else can, so that no balance is ever below zero. */
static void insure(struct simex *sx) {
    int64_t shortfall = -free_balance(sx);
    if (shortfall <= 0) return;
    sx->insurance += shortfall;
    sx->wallet += shortfall;
}

void simex_fill_apply(struct simex *sx, uint32_t s, enum side side, const struct sx_fill *f) {
    struct sx_symbol *y = simex_symbol(sx, s);
    int sign = side_sign(side);
    int64_t close_cost = f->close_qty ? -sign * (f->realized + f->entry_share) : 0;
    y->qty += sign * f->qty;
    y->entry_cost += sign * (f->cost - close_cost) - f->entry_share;
    y->isolated_wallet += f->margin - f->release;
    sx->isolated_total += f->margin - f->release;
    sx->wallet += f->realized - f->fee;
    sx->realized_pnl += f->realized;
    sx->fees += f->fee;
    insure(sx);
    y->liquidation_px = liquidation_px(sx, s);
    ASSERT(y->qty != 0 || (y->entry_cost == 0 && y->isolated_wallet == 0));
}

void simex_fill_liquidate(struct simex *sx, uint32_t s, int64_t qty, int64_t px,
                          struct sx_fill *out) {
    struct sx_symbol *y = simex_symbol(sx, s);
    enum side side = y->qty > 0 ? SIDE_SELL : SIDE_BUY;
    (void)simex_fill_plan(sx, s, side, qty, px, 0, out);
    ASSERT(out->open_qty == 0);
    int64_t wallet = y->isolated_wallet + out->realized, insured = 0;
    if (wallet < 0) {
        insured = -wallet;
        wallet = 0;
    }
    int64_t fee_rate = simex_instrument(sx, s)->liquidation_fee.e8;
    out->fee = simex_min(wallet, fx_mul_ceil(out->cost, fee_rate));
    wallet -= out->fee;
    sx->wallet += out->realized + insured - out->fee;
    sx->realized_pnl += out->realized;
    sx->insurance += insured;
    sx->liquidation_fees += out->fee;
    y->qty += side_sign(side) * qty;
    y->entry_cost -= out->entry_share;
    int64_t kept = y->qty != 0 ? wallet : 0; /* what is left at the end is free again */
    sx->isolated_total += kept - y->isolated_wallet;
    y->isolated_wallet = kept;
    y->liquidation_px = liquidation_px(sx, s);
    ASSERT(free_balance(sx) >= 0);
}

int64_t simex_bankruptcy_px(const struct simex *sx, uint32_t s) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    int64_t tick = simex_instrument(sx, s)->tick_size.e8;
    /* long: px * qty = cost - wallet; short: px * |qty| = |cost| + wallet */
    if (y->qty > 0) {
        int64_t px =
            fx_muldiv_ceil(simex_max(0, y->entry_cost - y->isolated_wallet), FX_ONE, y->qty);
        return simex_max(tick, fx_snap_up(px, tick));
    }
    return fx_snap_down(fx_muldiv_floor(y->isolated_wallet - y->entry_cost, FX_ONE, -y->qty), tick);
}

int64_t simex_funding_apply(struct simex *sx, uint32_t s, int64_t rate) {
    struct sx_symbol *y = simex_symbol(sx, s);
    int64_t notional = fx_mul_half_even(y->qty, simex_mark_now(sx, s));
    int64_t amount = -fx_mul_half_even(notional, rate);
    /* The isolated wallet pays first and the free balance what it lacks. */
    int64_t isolated = simex_max(amount, -y->isolated_wallet);
    y->isolated_wallet += isolated;
    sx->isolated_total += isolated;
    sx->wallet += amount;
    sx->funding += amount;
    insure(sx);
    y->liquidation_px = liquidation_px(sx, s);
    return amount;
}

static int64_t saturate(simex_i128 x) {
    const int64_t limit = INT64_C(4000000000000000000);
    return x > limit ? limit : (int64_t)x;
}

int64_t simex_order_margin(const struct simex *sx, uint32_t s, enum side side,
                           int64_t extra_notional) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    simex_i128 bid = side == SIDE_BUY ? extra_notional : 0;
    simex_i128 ask = side == SIDE_SELL ? extra_notional : 0;
    for (uint64_t mask = y->order_mask; mask; mask &= mask - 1) {
        const struct sx_order *o = simex_order(sx, s, simex_bit(mask));
        if (o->phase == PHASE_WAITING || o->reduce_only || o->close_position) continue;
        int64_t notional = fx_mul_half_even(o->assumed_px, simex_leaves(o));
        if (o->side == SIDE_BUY)
            bid += notional;
        else
            ask += notional;
    }
    simex_i128 with_bids = y->entry_cost + bid, with_asks = y->entry_cost - ask;
    if (with_bids < 0) with_bids = -with_bids;
    if (with_asks < 0) with_asks = -with_asks;
    simex_i128 present = with_bids > with_asks ? with_bids : with_asks;
    int64_t beyond = saturate(present - simex_abs(y->entry_cost));
    return beyond <= 0 ? 0 : fx_muldiv_ceil(beyond, 1, (int64_t)y->leverage);
}
