/* The gates between an intent and an order. Gates only lower; each refusal has one permanent reason. */
#ifndef TRADE_RISK_RISK_H
#define TRADE_RISK_RISK_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/instrument.h"
#include "domain/intent.h"

/* X(reason, text), in order of precedence: the first that applies is the one reported. */
#define RISK_REASON_TABLE(X)                                                                       \
    X(RISK_ALLOW, "allow")                                                                         \
    X(RISK_EMERGENCY_STOP, "emergency_stop")                                                       \
    X(RISK_CLOSING, "closing_down")                                                                \
    X(RISK_ESS_TRIPPED, "ess_tripped")       /* a trigger of trade/breaker */                      \
    X(RISK_VENUE_DOWN, "venue_down")         /* no link to it */                                   \
    X(RISK_BREAKER_OPEN, "breaker_open")     /* the common circuit */                              \
    X(RISK_BREAKER_SYMBOL, "breaker_symbol") /* the contract's own */                              \
    X(RISK_STALE_INTENT, "stale_intent")                                                           \
    X(RISK_DUPLICATE_INTENT, "duplicate_intent")                                                   \
    X(RISK_LEDGER_FULL, "ledger_full")                                                             \
    X(RISK_INTENT_INVALID, "intent_invalid") /* stop on the wrong side, NaN, zero size */          \
    X(RISK_SYMBOL_NOT_TRADING, "symbol_not_trading")                                               \
    X(RISK_MARKET_STALE, "market_stale")   /* last price too old */                                \
    X(RISK_FLASH_CRASH, "flash_crash")     /* the price has just moved beyond all custom */        \
    X(RISK_POSITION_OPEN, "position_open") /* same side: no scale-in */                            \
    X(RISK_POSITION_OPPOSITE, "position_opposite")                                                 \
    X(RISK_ORDERS_WORKING, "orders_working") /* leftovers of the last trade */                     \
    X(RISK_COOLDOWN, "cooldown")                                                                   \
    X(RISK_SLOTS_FULL, "slots_full")                                                               \
    X(RISK_CONFIDENCE_LOW, "confidence_low")                                                       \
    X(RISK_PRICE_DEVIATION, "price_deviation") /* intent's price against the live one */           \
    X(RISK_EDGE_BELOW_COST, "edge_below_cost")                                                     \
    X(RISK_STOP_TOO_TIGHT, "stop_too_tight") /* nearer than costs and tick allow */                \
    X(RISK_PER_TRADE, "risk_per_trade")      /* nothing may be lost at the stop */                 \
    X(RISK_EXPOSURE_SYMBOL, "exposure_symbol")                                                     \
    X(RISK_EXPOSURE_TOTAL, "exposure_total")                                                       \
    X(RISK_MARGIN, "margin_insufficient")                                                          \
    X(RISK_LEVERAGE, "leverage_not_allowed")                                                       \
    X(RISK_QTY_MIN, "quantity_below_minimum")                                                      \
    X(RISK_NOTIONAL_MIN, "notional_below_minimum")

enum risk_reason {
#define RISK_REASON_ENUM(name, text) name,
    RISK_REASON_TABLE(RISK_REASON_ENUM)
#undef RISK_REASON_ENUM
        RISK_REASON_COUNT
};
const char *risk_reason_text(enum risk_reason reason);

/* Ceilings no configuration can pass (architecture: hard limits are compiled in). */
enum { RISK_LEVERAGE_CEILING = 10, RISK_POSITIONS_CEILING = 50 };
#define RISK_FRACTION_CEILING 0.05 /* of equity lost at one stop */
#define RISK_EXPOSURE_CEILING 3.0  /* total notional / equity */
/* Of the way to the liquidation, 1 / leverage less the maintenance margin: how far away a stop may lie. The rest is for
 * costs and for the way from its trigger to its fill. */
#define RISK_STOP_SHARE 0.8

struct risk_limits {
    uint32_t
        positions_max; /* 10: the lowest of the original's contradicting figures (system facts §12) */
    uint32_t leverage_max;       /* 3 */
    double confidence_min;       /* 0.40 */
    double risk_per_trade;       /* fraction of equity lost at the stop: 0.01 */
    money_t notional_symbol_max; /* 1000 USDT */
    double exposure_total_max;   /* total notional / equity: 1.0 */
    double price_deviation_max;  /* 0.01 */
    double edge_cost_multiple;   /* edge must exceed cost * this: 1.25 */
    double stop_cost_multiple;   /* stop distance must be at least cost * this: 2.0 */
    double slippage;             /* fraction per side beyond the spread: 0.0001 */
    int64_t cooldown_ns;         /* after a close on the symbol: 300 s */
    int64_t market_age_ns_max;   /* last price older than this: stale */
    bool cost_gate;              /* false: counted, not applied (momentum and random) */
};
struct risk_limits risk_limits_defaults(void);
/* Lowers whatever passes a compiled ceiling; returns how many values it lowered. */
uint32_t risk_limits_clamp(struct risk_limits *limits);

/* What is known when the intent arrives. */
struct risk_state {
    int64_t now_ns, last_px_ts_ns,
        last_close_ts_ns; /* last_close: end of the symbol's last trade, 0 never */
    bool emergency_stop, closing, orders_working, flash_crash;
    enum risk_reason breaker;  /* its word: RISK_ALLOW, or what is to be said */
    uint32_t positions_open;   /* open or being opened, all symbols */
    qty_t position_qty;        /* of this symbol, signed */
    money_t equity, available; /* quote */
    money_t exposure_total;    /* sum of |notional| over all symbols, incl. orders on the way */
    px_t last_px;
    rate_t half_spread;  /* of the venue */
    rate_t funding_rate; /* next settlement */
    int64_t interval_ns; /* of a bar, for the horizon */
};

struct risk_verdict {
    enum risk_reason reason; /* RISK_ALLOW or the first gate that said no */
    enum risk_reason
        bound_by; /* if allowed: the limit that set the size, RISK_ALLOW if the wish itself */
    bool cost_gate_would_deny; /* the cost gate said no but is not applied */
    qty_t qty;                 /* floored to the market step */
    uint32_t leverage;
    double cost; /* round trip, fraction */
};

/* Leverage is lowered until the stop lies well before the liquidation.
 *
 * All gates but those of the ledger (duplicate, stale: oms_intake). The size is the least of the wish,
 * the risk per trade at the stop, the symbol's and the total exposure and the margin.
 * Returns nothing: "no" is a value. Pure, O(1). */
void risk_check(struct risk_verdict *out, const struct risk_state *state,
                const struct risk_limits *limits, const struct instrument *instrument,
                const struct trade_intent *intent);

/* Fees both ways, spread both ways, slippage both ways, and funding over the horizon if it is paid. */
double risk_round_trip_cost(const struct risk_state *state, const struct risk_limits *limits,
                            const struct instrument *instrument, const struct trade_intent *intent);

#endif
