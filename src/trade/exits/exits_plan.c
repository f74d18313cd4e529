/* Prices and quantities of the plan: stop, targets, break-even, trailing. */
#include "trade/exits/exits_internal.h"

/* px moved by +-distance, rounded outward, at least one tick away. */
static px_t away_px(const struct instrument *in, px_t px, double distance, bool up) {
    int64_t step = fx_from_f64(px_to_f64(px) * distance);
    if (step < in->tick_size.e8) step = in->tick_size.e8;
    return instrument_round_px(in, px_e8(up ? px.e8 + step : px.e8 - step), up);
}

px_t exits_stop_px(const struct instrument *instrument, enum side side, px_t px, double distance) {
    return away_px(instrument, px, distance, side == SIDE_SELL);
}

px_t exits_take_px(const struct instrument *instrument, enum side side, px_t px, double distance) {
    return away_px(instrument, px, distance, side == SIDE_BUY);
}

/* How many targets the intent names. */
static uint32_t targets_named(const struct trade_intent *t) {
    if (!(t->take_distance > 0)) return 0;
    if (!(t->take_part_1 > 0) || !(t->take_distance_2 > 0)) return 1;
    return t->take_part_2 > 0 && t->take_distance_3 > 0 ? 3 : 2;
}

bool exits_is_exitable(const struct instrument *in, qty_t qty, px_t px) {
    return instrument_check_qty(in, qty, true) == FILTER_OK &&
           instrument_check_notional(in, px, qty) == FILTER_OK;
}

uint32_t exits_targets(struct exits_target out[EXITS_TARGETS_MAX],
                       const struct instrument *instrument, const struct trade_intent *intent,
                       px_t px, qty_t entered) {
    const double distance[EXITS_TARGETS_MAX] = {intent->take_distance, intent->take_distance_2,
                                                intent->take_distance_3};
    const double part[EXITS_TARGETS_MAX] = {intent->take_part_1, intent->take_part_2, 0};
    uint32_t named = targets_named(intent), wanted = 0;
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++) {
        out[j] = (struct exits_target){.state = j < named ? TARGET_LATER : TARGET_NONE};
        if (j < named)
            out[j].px = exits_take_px(instrument, (enum side)intent->side, px, distance[j]);
    }
    /* Parts in e8: 0.3 of 10 is 3, not the double below it. */
    int64_t rest = entered.e8, due = 0;
    for (uint32_t j = 0; j + 1 < named; j++) {
        due += fx_mul_floor(entered.e8, fx_from_f64(part[j]));
        qty_t qty = instrument_round_qty(instrument, qty_e8(due < rest ? due : rest), true);
        if (exits_is_exitable(instrument, qty, out[j].px)) {
            out[j].qty = qty;
            rest -= qty.e8;
            due -= qty.e8;
        } else {
            out[j].state = TARGET_NONE;
        }
    }
    /* From the last but one down: what leaves an unsellable rest is drawn into it. A rest of nothing
     * makes the one before it the last. */
    for (uint32_t j = named; j-- > 1;) {
        struct exits_target *before = &out[j - 1], *last = &out[named - 1];
        if (before->state == TARGET_NONE || exits_is_exitable(instrument, qty_e8(rest), last->px))
            continue;
        if (rest == 0) {
            last->state = TARGET_NONE;
            before->qty = qty_e8(0);
            break;
        }
        rest += before->qty.e8;
        *before = (struct exits_target){.px = before->px, .state = TARGET_NONE};
    }
    for (uint32_t j = 0; j < named; j++) wanted += out[j].state == TARGET_LATER;
    return wanted;
}

px_t exits_wanted_stop_px(const struct instrument *instrument, const struct trade_intent *intent,
                          px_t entry, double cost, px_t best, px_t stop_px) {
    enum side side = (enum side)intent->side;
    bool buy = side == SIDE_BUY;
    double gain = (double)exits_gain(side, best, entry), unit = (double)entry.e8;
    px_t wanted = stop_px;
    if (intent->break_even_distance > 0 && gain >= intent->break_even_distance * unit) {
        /* Rounded towards gain: the costs are to be covered. */
        int64_t step = fx_from_f64(px_to_f64(entry) * cost);
        px_t px =
            instrument_round_px(instrument, px_e8(buy ? entry.e8 + step : entry.e8 - step), buy);
        if (exits_gain(side, px, wanted) > 0) wanted = px;
    }
    if (intent->trail_distance > 0 && gain >= intent->trail_from_distance * unit) {
        int64_t step = fx_from_f64(px_to_f64(entry) * intent->trail_distance);
        px_t px =
            instrument_round_px(instrument, px_e8(buy ? best.e8 - step : best.e8 + step), !buy);
        if (exits_gain(side, px, wanted) > 0) wanted = px;
    }
    return wanted;
}
