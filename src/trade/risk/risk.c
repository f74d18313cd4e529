#include "trade/risk/risk.h"

#include <math.h>

#include "base/assert.h"

const char *risk_reason_text(enum risk_reason reason) {
    switch (reason) {
#define RISK_REASON_TEXT(name, text)                                                               \
    case name:                                                                                     \
        return text;
        RISK_REASON_TABLE(RISK_REASON_TEXT)
#undef RISK_REASON_TEXT
    case RISK_REASON_COUNT:
        break;
    }
    return "?";
}

struct risk_limits risk_limits_defaults(void) {
    return (struct risk_limits){
        .positions_max = 10,
        .leverage_max = 3,
        .confidence_min = 0.40,
        .risk_per_trade = 0.01,
        .notional_symbol_max = {1000 * FX_ONE},
        .exposure_total_max = 1.0,
        .price_deviation_max = 0.01,
        .edge_cost_multiple = 1.25,
        .stop_cost_multiple = 2.0,
        .slippage = 0.0001,
        .cooldown_ns = INT64_C(300) * 1000000000,
        .market_age_ns_max = INT64_C(2) * 3600 * 1000000000,
        .cost_gate = true,
    };
}

static uint32_t lower_u32(uint32_t *value, uint32_t ceiling) {
    if (*value <= ceiling) return 0;
    *value = ceiling;
    return 1;
}

static uint32_t lower_f64(double *value, double ceiling) {
    if (*value <= ceiling) return 0;
    *value = ceiling;
    return 1;
}

uint32_t risk_limits_clamp(struct risk_limits *limits) {
    return lower_u32(&limits->positions_max, RISK_POSITIONS_CEILING) +
           lower_u32(&limits->leverage_max, RISK_LEVERAGE_CEILING) +
           lower_f64(&limits->risk_per_trade, RISK_FRACTION_CEILING) +
           lower_f64(&limits->exposure_total_max, RISK_EXPOSURE_CEILING);
}

double risk_round_trip_cost(const struct risk_state *state, const struct risk_limits *limits,
                            const struct instrument *instrument,
                            const struct trade_intent *intent) {
    double fee = fx_to_f64(instrument->fee_taker.e8), spread = fx_to_f64(state->half_spread.e8);
    double cost = 2.0 * (fee + spread + limits->slippage);
    double paid = fx_to_f64(state->funding_rate.e8) * (double)side_sign((enum side)intent->side);
    if (paid > 0 && intent->horizon_bars > 0) {
        double held = (double)intent->horizon_bars * (double)state->interval_ns;
        cost += paid * held / (double)instrument->funding_interval_ns;
    }
    return cost;
}

static bool is_distance(double d) {
    return d >= 0 && d < 5; /* false for NaN */
}

/* Targets one behind the other, each part with a target behind it that takes the rest, and a stop that
 * may follow. */
static bool plan_is_valid(const struct trade_intent *t) {
    if (!is_distance(t->take_distance) || !is_distance(t->take_distance_2) ||
        !is_distance(t->take_distance_3) || !is_distance(t->break_even_distance) ||
        !is_distance(t->trail_from_distance) || !is_distance(t->trail_distance))
        return false;
    if (t->take_distance_2 > 0 && !(t->take_distance > 0 && t->take_distance_2 > t->take_distance))
        return false;
    if (t->take_distance_3 > 0 &&
        !(t->take_distance_2 > 0 && t->take_distance_3 > t->take_distance_2))
        return false;
    if (!(t->take_part_1 >= 0 && t->take_part_2 >= 0 && t->take_part_1 + t->take_part_2 <= 1))
        return false;
    if (t->take_part_1 > 0 && !(t->take_distance_2 > 0)) return false;
    if (t->take_part_2 > 0 && !(t->take_part_1 > 0 && t->take_distance_3 > 0)) return false;
    return t->arm <= ARM_NONE;
}

/* The intent by itself: sizes and prices that make sense, stop on the losing side. */
static bool intent_is_valid(const struct trade_intent *t) {
    if (t->side != SIDE_BUY && t->side != SIDE_SELL) return false;
    if (!(t->stop_distance > 0 && t->stop_distance < 0.5) || !plan_is_valid(t)) return false;
    if (!(t->confidence >= 0 && t->confidence <= 1) || t->position_size_usd.e8 <= 0 ||
        t->leverage == 0)
        return false;
    if (t->entry_price.e8 <= 0 || t->stop_loss.e8 <= 0) return false;
    bool buy = t->side == SIDE_BUY;
    if (buy ? t->stop_loss.e8 >= t->entry_price.e8 : t->stop_loss.e8 <= t->entry_price.e8)
        return false;
    if (t->take_profit.e8 == 0) return true;
    return buy ? t->take_profit.e8 > t->entry_price.e8 : t->take_profit.e8 < t->entry_price.e8;
}

/* Gates about the moment: may anything be opened on this symbol now? */
static enum risk_reason check_situation(const struct risk_state *s, const struct risk_limits *l,
                                        const struct instrument *in, const struct trade_intent *t) {
    if (s->emergency_stop) return RISK_EMERGENCY_STOP;
    if (s->closing) return RISK_CLOSING;
    if (s->breaker != RISK_ALLOW) return s->breaker;
    if (s->now_ns >= t->expires) return RISK_STALE_INTENT;
    if (!intent_is_valid(t)) return RISK_INTENT_INVALID;
    if (in->status != INSTRUMENT_TRADING) return RISK_SYMBOL_NOT_TRADING;
    if (s->last_px.e8 <= 0 || s->now_ns - s->last_px_ts_ns > l->market_age_ns_max)
        return RISK_MARKET_STALE;
    if (s->flash_crash) return RISK_FLASH_CRASH;
    if (s->position_qty.e8 != 0)
        return (s->position_qty.e8 > 0) == (t->side == SIDE_BUY) ? RISK_POSITION_OPEN
                                                                 : RISK_POSITION_OPPOSITE;
    if (s->orders_working) return RISK_ORDERS_WORKING;
    if (s->last_close_ts_ns != 0 && s->now_ns - s->last_close_ts_ns < l->cooldown_ns)
        return RISK_COOLDOWN;
    if (s->positions_open >= l->positions_max) return RISK_SLOTS_FULL;
    if (t->confidence < l->confidence_min) return RISK_CONFIDENCE_LOW;
    double deviation = fabs(px_to_f64(t->entry_price) / px_to_f64(s->last_px) - 1.0);
    if (deviation > l->price_deviation_max) return RISK_PRICE_DEVIATION;
    return RISK_ALLOW;
}

static void take_least(double *notional, enum risk_reason *bound_by, double limit,
                       enum risk_reason reason) {
    /* Once there is no room at all, the first limit without any keeps the blame. */
    if (limit<*notional && * notional> 0) {
        *notional = limit;
        *bound_by = reason;
    }
}

/* The least of all limits, as a notional. */
static double size_notional(enum risk_reason *bound_by, const struct risk_state *s,
                            const struct risk_limits *l, const struct trade_intent *t, double cost,
                            uint32_t leverage) {
    double notional = money_to_f64(t->position_size_usd), equity = money_to_f64(s->equity);
    *bound_by = RISK_ALLOW;
    take_least(&notional, bound_by, equity * l->risk_per_trade / (t->stop_distance + cost),
               RISK_PER_TRADE);
    take_least(&notional, bound_by, money_to_f64(l->notional_symbol_max), RISK_EXPOSURE_SYMBOL);
    take_least(&notional, bound_by,
               equity * l->exposure_total_max - money_to_f64(s->exposure_total),
               RISK_EXPOSURE_TOTAL);
    /* Initial margin, the open loss a market order is charged with, and both fees must be there. */
    take_least(&notional, bound_by,
               money_to_f64(s->available) / (1.0 / (double)leverage + 2.0 * cost), RISK_MARGIN);
    return notional;
}

/* Greatest leverage at which the stop lies before the liquidation; 0 there is none. */
static uint32_t leverage_for_stop(const struct instrument *instrument, const struct risk_limits *l,
                                  const struct trade_intent *t) {
    /* Of the largest position this may become: maintenance only falls with less. */
    money_t notional = t->position_size_usd.e8 < l->notional_symbol_max.e8 ? t->position_size_usd
                                                                           : l->notional_symbol_max;
    if (notional.e8 <= 0) return RISK_LEVERAGE_CEILING; /* sized to nothing, with its own reason */
    double maint =
        money_to_f64(instrument_maint_margin(instrument, notional)) / money_to_f64(notional);
    double most = 1.0 / (t->stop_distance / RISK_STOP_SHARE + maint);
    return most < RISK_LEVERAGE_CEILING ? (uint32_t)most : RISK_LEVERAGE_CEILING;
}

/* Floored to the step; never more than the venue takes at once, nor than an int64 of e8 holds. */
static qty_t market_qty(const struct instrument *instrument, double qty) {
    const double max = 9e10;
    if (qty > max) qty = max;
    int64_t e8 = fx_from_f64(qty);
    /* To the nearest may be up; what is up by rounding of doubles alone (0.3 - 1e-17) may stay. */
    if ((double)e8 > qty * 1e8 * (1 + 1e-12)) e8--;
    return instrument_round_qty(instrument, qty_e8(e8), true);
}

void risk_check(struct risk_verdict *out, const struct risk_state *state,
                const struct risk_limits *limits, const struct instrument *instrument,
                const struct trade_intent *intent) {
    *out = (struct risk_verdict){.reason = check_situation(state, limits, instrument, intent)};
    if (out->reason != RISK_ALLOW) return;
    out->cost = risk_round_trip_cost(state, limits, instrument, intent);
    bool edge_ok = intent->edge > out->cost * limits->edge_cost_multiple; /* false for NaN */
    if (!edge_ok && limits->cost_gate) {
        out->reason = RISK_EDGE_BELOW_COST;
        return;
    }
    out->cost_gate_would_deny = !edge_ok;
    if (intent->stop_distance < out->cost * limits->stop_cost_multiple ||
        intent->stop_distance * (double)state->last_px.e8 <
            2.0 * (double)instrument->tick_size.e8) {
        out->reason = RISK_STOP_TOO_TIGHT;
        return;
    }
    out->leverage =
        intent->leverage < limits->leverage_max ? intent->leverage : limits->leverage_max;
    uint32_t safe = leverage_for_stop(instrument, limits, intent);
    if (safe < out->leverage) out->leverage = safe;
    if (safe == 0) {
        out->reason = RISK_LEVERAGE;
        return;
    }
    double notional =
        size_notional(&out->bound_by, state, limits, intent, out->cost, out->leverage);
    if (notional <= 0) {
        out->reason = out->bound_by;
        return;
    }
    qty_t qty = market_qty(instrument, notional / px_to_f64(state->last_px));
    if (instrument_leverage_max(instrument, money_mul_floor(state->last_px, qty)) < out->leverage) {
        out->reason = RISK_LEVERAGE;
        return;
    }
    if (qty.e8 == 0) { /* none that the venue takes */
        out->reason = RISK_QTY_MIN;
        return;
    }
    /* Sized at the last price, filled at the next: 1 % of room keeps a small dip from making the
     * notional too small at the venue. */
    px_t low = {state->last_px.e8 - state->last_px.e8 / 100};
    if (instrument_check_notional(instrument, low, qty) != FILTER_OK) {
        out->reason = RISK_NOTIONAL_MIN;
        return;
    }
    out->qty = qty;
}
