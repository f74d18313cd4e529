/* A contract and the venue's rules for it.
 *
 * Source   Binance USD-M exchangeInfo (filters) and leverageBracket. A symbol nobody gave filters
 *          for carries INSTRUMENT_INFERRED: tick and step from the finest decimals of its own bars. */
#ifndef DOMAIN_INSTRUMENT_H
#define DOMAIN_INSTRUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fx.h"

enum { SYMBOL_SIZE = 24, BRACKETS_MAX = 16, INSTRUMENTS_MAX = 512 };

enum instrument_flag {
    INSTRUMENT_INFERRED = 1,        /* filters come from its own bars */
    INSTRUMENT_FUNDING_ASSUMED = 2, /* no funding history: 0.01 % per 8 h */
    INSTRUMENT_SYNTHETIC = 4,       /* made by the generator, not by a market */
};

enum instrument_status {
    INSTRUMENT_TRADING = 0,
    INSTRUMENT_SETTLING, /* delisting: only reducing orders */
    INSTRUMENT_CLOSED,
};

/* One row of leverageBracket: for notional in [floor, cap). */
struct bracket {
    money_t notional_floor, notional_cap;
    rate_t maint_margin_rate;
    money_t maint_amount; /* cum: keeps the maintenance curve continuous */
    uint32_t leverage_max;
    uint32_t reserved;
};

struct instrument {
    char symbol[SYMBOL_SIZE];
    px_t tick_size, px_min, px_max;                         /* PRICE_FILTER */
    qty_t step_size, qty_min, qty_max;                      /* LOT_SIZE */
    qty_t market_step_size, market_qty_min, market_qty_max; /* MARKET_LOT_SIZE */
    money_t notional_min;                                   /* MIN_NOTIONAL */
    rate_t multiplier_up, multiplier_down;                  /* PERCENT_PRICE: 1.05, 0.95 */
    rate_t market_take_bound; /* how far from mark a market order may trade: 0.05 */
    rate_t liquidation_fee;
    rate_t fee_taker, fee_maker;           /* regular tier: 0.0005, 0.0002 */
    int64_t onboard_ts_ns, delivery_ts_ns; /* 0 when not known */
    int64_t funding_interval_ns;           /* 8 h unless told */
    uint32_t status;                       /* enum instrument_status */
    uint32_t flags;                        /* enum instrument_flag */
    uint32_t orders_max;                   /* MAX_NUM_ORDERS */
    uint32_t bracket_count;
    struct bracket brackets[BRACKETS_MAX];
};

/* A usable contract when nothing but the symbol is known: tick 1e-8, step 1e-8, 5 USDT minimum, one
 * bracket of 20x / 2.5 %, flagged INFERRED and FUNDING_ASSUMED. */
void instrument_defaults(struct instrument *out, const char *symbol);

/* Sets tick and step from e8 values seen in bars: the greatest power of ten that divides them all.
 * price_lcd_e8, qty_lcd_e8: that power, in e8 (>= 1). */
void instrument_infer(struct instrument *inout, int64_t price_lcd_e8, int64_t qty_lcd_e8);

/* Maintenance margin of a position of this notional (>= 0): notional * rate - amount of its bracket. */
money_t instrument_maint_margin(const struct instrument *in, money_t notional);

/* Highest leverage allowed for the notional; 0 if it is beyond the last bracket. */
uint32_t instrument_leverage_max(const struct instrument *in, money_t notional);

/* Why an order's numbers are not acceptable; 0 is "acceptable". The values are the venue's codes. */
enum filter_code {
    FILTER_OK = 0,
    FILTER_PRECISION = -1111,
    FILTER_PX_LE_ZERO = -4001,
    FILTER_PX_HIGH = -4002,
    FILTER_QTY_LE_ZERO = -4003,
    FILTER_QTY_LOW = -4004,
    FILTER_QTY_HIGH = -4005,
    FILTER_STOP_LE_ZERO = -4006,
    FILTER_PX_LOW = -4013,
    FILTER_TICK = -4014,
    FILTER_STEP = -4023,
    FILTER_BAND_HIGH = -4016,
    FILTER_BAND_LOW = -4024,
    FILTER_NOTIONAL = -4164,
};

/* PRICE_FILTER on a limit or trigger price. */
enum filter_code instrument_check_px(const struct instrument *in, px_t px);
/* LOT_SIZE or, for market orders, MARKET_LOT_SIZE. */
enum filter_code instrument_check_qty(const struct instrument *in, qty_t qty, bool market);
/* MIN_NOTIONAL (not for reduce-only or closePosition). */
enum filter_code instrument_check_notional(const struct instrument *in, px_t px, qty_t qty);

/* ---- rounding: numbers these checks accept ---- */

/* The grid of px_min: the highest price not above px, or with `up` the lowest not below it. Never below
 * the lowest price there is; px_max is not looked at (instrument_check_px is for what came out). */
px_t instrument_round_px(const struct instrument *in, px_t px, bool up);
/* A limit price as near to px as PRICE_FILTER and PERCENT_PRICE at this mark (> 0) let it be, rounded
 * in the order's favour (buys down, sells up); 0 if no price is acceptable. */
px_t instrument_round_limit_px(const struct instrument *in, px_t px, bool buy, px_t mark);
/* The largest acceptable quantity not above qty; 0 if there is none. */
qty_t instrument_round_qty(const struct instrument *in, qty_t qty, bool market);
/* The smallest acceptable quantity worth notional_min at px (> 0); 0 if even the largest is not. */
qty_t instrument_least_qty(const struct instrument *in, px_t px, bool market);

#endif
