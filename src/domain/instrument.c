#include "domain/instrument.h"

#include <string.h>

#include "base/assert.h"

__extension__ typedef __int128 i128;

void instrument_defaults(struct instrument *out, const char *symbol) {
    *out = (struct instrument){
        .tick_size = {1},
        .px_max = {INT64_MAX / 100},
        .step_size = {1},
        .qty_min = {1},
        .qty_max = {INT64_MAX / 100},
        .market_step_size = {1},
        .market_qty_min = {1},
        .market_qty_max = {INT64_MAX / 100},
        .notional_min = {5 * FX_ONE},
        .multiplier_up = {FX_ONE + FX_ONE / 20},
        .multiplier_down = {FX_ONE - FX_ONE / 20},
        .market_take_bound = {FX_ONE / 20},
        .liquidation_fee = {FX_ONE / 80},
        .fee_taker = {50000},
        .fee_maker = {20000},
        .funding_interval_ns = INT64_C(8) * 3600 * 1000000000,
        .flags = INSTRUMENT_INFERRED | INSTRUMENT_FUNDING_ASSUMED,
        .orders_max = 200,
        .bracket_count = 1,
    };
    out->brackets[0] = (struct bracket){.notional_cap = {INT64_C(1000000000) * FX_ONE},
                                        .maint_margin_rate = {2500000},
                                        .leverage_max = 20};
    size_t n = strnlen(symbol, SYMBOL_SIZE - 1);
    memcpy(out->symbol, symbol, n);
}

void instrument_infer(struct instrument *inout, int64_t price_lcd_e8, int64_t qty_lcd_e8) {
    ASSERT(price_lcd_e8 >= 1 && qty_lcd_e8 >= 1);
    inout->tick_size.e8 = price_lcd_e8;
    inout->px_min.e8 = price_lcd_e8;
    inout->step_size.e8 = inout->market_step_size.e8 = qty_lcd_e8;
    inout->qty_min.e8 = inout->market_qty_min.e8 = qty_lcd_e8;
    inout->flags |= INSTRUMENT_INFERRED;
}

static const struct bracket *bracket_of(const struct instrument *in, money_t notional) {
    for (uint32_t i = 0; i < in->bracket_count; i++)
        if (notional.e8 < in->brackets[i].notional_cap.e8) return &in->brackets[i];
    return NULL;
}

money_t instrument_maint_margin(const struct instrument *in, money_t notional) {
    ASSERT(notional.e8 >= 0 && in->bracket_count > 0);
    const struct bracket *b = bracket_of(in, notional);
    if (!b) b = &in->brackets[in->bracket_count - 1];
    return money_e8(fx_mul_ceil(notional.e8, b->maint_margin_rate.e8) - b->maint_amount.e8);
}

uint32_t instrument_leverage_max(const struct instrument *in, money_t notional) {
    const struct bracket *b = bracket_of(in, notional);
    return b ? b->leverage_max : 0;
}

enum filter_code instrument_check_px(const struct instrument *in, px_t px) {
    if (px.e8 <= 0) return FILTER_PX_LE_ZERO;
    if (in->px_max.e8 > 0 && px.e8 > in->px_max.e8) return FILTER_PX_HIGH;
    if (px.e8 < in->px_min.e8) return FILTER_PX_LOW;
    /* The venue writes a tick of 0 for "no such rule". */
    if (in->tick_size.e8 > 0 && (px.e8 - in->px_min.e8) % in->tick_size.e8 != 0) return FILTER_TICK;
    return FILTER_OK;
}

enum filter_code instrument_check_qty(const struct instrument *in, qty_t qty, bool market) {
    qty_t lo = market ? in->market_qty_min : in->qty_min;
    qty_t hi = market ? in->market_qty_max : in->qty_max;
    qty_t step = market ? in->market_step_size : in->step_size;
    if (qty.e8 <= 0) return FILTER_QTY_LE_ZERO;
    if (qty.e8 < lo.e8) return FILTER_QTY_LOW;
    if (qty.e8 > hi.e8) return FILTER_QTY_HIGH;
    if (step.e8 > 0 && (qty.e8 - lo.e8) % step.e8 != 0) return FILTER_STEP;
    return FILTER_OK;
}

enum filter_code instrument_check_notional(const struct instrument *in, px_t px, qty_t qty) {
    /* Not money_mul_floor: the numbers are not checked yet and their product may not fit. */
    return (i128)px.e8 * qty.e8 < (i128)in->notional_min.e8 * FX_ONE ? FILTER_NOTIONAL : FILTER_OK;
}

px_t instrument_round_px(const struct instrument *in, px_t px, bool up) {
    int64_t tick = in->tick_size.e8 > 0 ? in->tick_size.e8 : 1, rest = px.e8 - in->px_min.e8;
    int64_t snapped = in->px_min.e8 + (up ? fx_snap_up(rest, tick) : fx_snap_down(rest, tick));
    int64_t lowest = in->px_min.e8 > 0 ? in->px_min.e8 : tick;
    return px_e8(snapped < lowest ? lowest : snapped);
}

/* PERCENT_PRICE binds buys from above and sells from below; a multiplier of 0 is no rule. */
px_t instrument_round_limit_px(const struct instrument *in, px_t px, bool buy, px_t mark) {
    ASSERT(mark.e8 > 0);
    if (in->px_max.e8 > 0 && px.e8 > in->px_max.e8) px = in->px_max;
    if (buy && in->multiplier_up.e8 > 0) {
        int64_t cap = fx_mul_floor(mark.e8, in->multiplier_up.e8);
        if (px.e8 > cap) px.e8 = cap;
    } else if (!buy) {
        int64_t floor = fx_mul_ceil(mark.e8, in->multiplier_down.e8);
        if (px.e8 < floor) px.e8 = floor;
    }
    px_t out = instrument_round_px(in, px, !buy);
    if (in->px_max.e8 > 0 && out.e8 > in->px_max.e8) {
        out = instrument_round_px(in, in->px_max, false); /* the grid may end below px_max */
        if (!buy && out.e8 < fx_mul_ceil(mark.e8, in->multiplier_down.e8)) return px_e8(0);
    }
    bool fits =
        instrument_check_px(in, out) == FILTER_OK &&
        !(buy && in->multiplier_up.e8 > 0 && out.e8 > fx_mul_floor(mark.e8, in->multiplier_up.e8));
    return fits ? out : px_e8(0);
}

qty_t instrument_round_qty(const struct instrument *in, qty_t qty, bool market) {
    qty_t lo = market ? in->market_qty_min : in->qty_min;
    qty_t hi = market ? in->market_qty_max : in->qty_max;
    qty_t step = market ? in->market_step_size : in->step_size;
    if (qty.e8 > hi.e8) qty = hi;
    if (qty.e8 < lo.e8 || qty.e8 <= 0) return qty_e8(0);
    if (step.e8 > 0) qty.e8 -= (qty.e8 - lo.e8) % step.e8;
    return qty.e8 > 0 ? qty : qty_e8(0);
}

qty_t instrument_least_qty(const struct instrument *in, px_t px, bool market) {
    ASSERT(px.e8 > 0);
    qty_t lo = market ? in->market_qty_min : in->qty_min;
    qty_t hi = market ? in->market_qty_max : in->qty_max;
    qty_t step = market ? in->market_step_size : in->step_size;
    int64_t unit = step.e8 > 0 ? step.e8 : 1;
    i128 worth = ((i128)in->notional_min.e8 * FX_ONE + px.e8 - 1) / px.e8; /* rounded up */
    i128 qty = lo.e8 > 0 ? lo.e8 : unit;
    if (worth > qty) qty += (worth - qty + unit - 1) / unit * unit;
    return qty > hi.e8 ? qty_e8(0) : qty_e8((int64_t)qty);
}
