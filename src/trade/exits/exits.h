/* The life of one position: entry fill, stop, target, end. One owner per position, one table of phases.
 *
 *   FLAT -> ENTERING -> UNPROTECTED -> PROTECTED -> CLOSING -> CLEANUP -> FLAT
 *
 * The stop is asked for before anything else, from the price of a verified fill; the target only
 * once the venue has confirmed the stop. A wish to leave that comes before the first fill is kept and
 * done as soon as the stop stands. Both are closePosition orders, so they cover whatever the
 * position is when they trigger, partial fills included. A stop that cannot be confirmed in time ends
 * in a reduce-only market order and an alarm. Protective orders are cancelled only when the position
 * is flat. Pure: actions come out, evidence goes in. */
#ifndef TRADE_EXITS_EXITS_H
#define TRADE_EXITS_EXITS_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/instrument.h"
#include "domain/intent.h"
#include "domain/order.h"
#include "domain/trade.h"

#define EXITS_PHASE_TABLE(X)                                                                       \
    X(EXITS_FLAT, "flat")                                                                          \
    X(EXITS_ENTERING, "entering")       /* entry asked for, nothing filled */                      \
    X(EXITS_UNPROTECTED, "unprotected") /* filled, stop not confirmed */                           \
    X(EXITS_PROTECTED, "protected")                                                                \
    X(EXITS_CLOSING, "closing") /* reduce-only market order on the way */                          \
    X(EXITS_CLEANUP, "cleanup") /* flat, leftovers being cancelled */

enum exits_phase {
#define EXITS_PHASE_ENUM(name, text) name,
    EXITS_PHASE_TABLE(EXITS_PHASE_ENUM)
#undef EXITS_PHASE_ENUM
        EXITS_PHASE_COUNT
};
const char *exits_phase_text(enum exits_phase phase);

struct exits_config {
    int64_t stop_answer_ns_max; /* no answer to a stop by then: ask again. 1 s */
    int64_t unprotected_ns_max; /* fill to confirmed stop; beyond it the position is closed. 3 s */
    int64_t
        close_answer_ns_max; /* no end of a closing order by then, or an end without a fill: ask again. 2 s */
    uint32_t stop_attempts_max; /* 3 */
};
struct exits_config exits_config_defaults(void);

struct exits_state {
    uint32_t phase;       /* enum exits_phase */
    uint32_t side;        /* of the entry */
    uint32_t exit_reason; /* why it is being or was ended */
    uint32_t stop_attempts, take_attempts, close_attempts;
    uint32_t bars_held, alarms;
    uint32_t close_wanted,
        fill_reason; /* enum exit_reason: asked for while entering; of the last exit fill */
    struct trade_intent intent;
    uint32_t leverage, entry_done;
    qty_t position_qty; /* signed, from fills */
    qty_t entered_qty, exited_qty;
    money_t entered_cost, exited_cost; /* sums of px * qty */
    money_t realized_pnl, fees, funding, risk;
    int64_t entry_ts_ns, exit_ts_ns, protected_ts_ns; /* 0 not yet */
    int64_t deadline_ns; /* next moment exits_time has something to do; INT64_MAX none */
    qty_t closing_qty;   /* what the last closing order was asked to close */
    px_t stop_px, take_px;
};

#define EXITS_ACTION_TABLE(X)                                                                      \
    X(EXITS_SUBMIT_STOP)   /* px: trigger */                                                       \
    X(EXITS_SUBMIT_TAKE)   /* px: trigger */                                                       \
    X(EXITS_SUBMIT_CLOSE)  /* qty: to close, reduce-only market */                                 \
    X(EXITS_CANCEL_ORDERS) /* every live protective order of the symbol */                         \
    X(EXITS_TELL_PROTECTED)                                                                        \
    X(EXITS_TELL_CLOSED) /* the trade is over: take it with exits_trade, before the next input */  \
    X(EXITS_TELL_FAILED) /* the entry came to nothing */                                           \
    X(EXITS_ALARM)       /* a position is being closed because it could not be protected */

enum exits_action_kind {
#define EXITS_ACTION_ENUM(name) name,
    EXITS_ACTION_TABLE(EXITS_ACTION_ENUM)
#undef EXITS_ACTION_ENUM
        EXITS_ACTION_COUNT
};

enum { EXITS_ACTIONS_MAX = 6 };
struct exits_action {
    enum exits_action_kind kind;
    px_t px;
    qty_t qty;
    uint8_t attempt;
};
struct exits_actions {
    uint32_t count;
    struct exits_action items[EXITS_ACTIONS_MAX];
};

/* The moment an input arrives and what the market says. */
struct exits_context {
    int64_t now_ns;
    px_t last_px;
    const struct instrument *instrument;
    const struct exits_config *config;
};

/* The entry order was asked for. state must be FLAT. */
void exits_enter(struct exits_state *state, const struct trade_intent *intent, uint32_t leverage);

/* One fill on the symbol: of an order of ours, a liquidation, or a settlement by the venue. */
void exits_fill(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context, enum side side, px_t px, qty_t qty,
                money_t commission, money_t realized_pnl, enum exit_reason reason);
/* Funding booked on the open position. */
void exits_funding(struct exits_state *state, money_t amount);

/* What became of our orders.
 *
 * A stop that ended (code 0: filled) without the position being flat is asked for again. A closing
 * order that ended with something left is followed by another at once if it closed anything, else at
 * the deadline: a venue that refuses is not flooded. */
void exits_entry_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context);
void exits_stop_confirmed(struct exits_actions *out, struct exits_state *state,
                          const struct exits_context *context);
void exits_stop_failed(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, int32_t code);
void exits_take_failed(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, int32_t code);
void exits_close_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context);
/* No order of the symbol is live any more: CLEANUP ends. */
void exits_orders_gone(struct exits_state *state);

/* Time passed (call when now >= deadline_ns), a bar closed, somebody wants out. */
void exits_time(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context);
void exits_bar(struct exits_actions *out, struct exits_state *state,
               const struct exits_context *context);
void exits_close(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, enum exit_reason reason);

/* The closed trade, valid at EXITS_TELL_CLOSED. trade_id is the caller's. */
void exits_trade(struct trade_closed *out, const struct exits_state *state, uint64_t trade_id);

/* Stop and target for a fill at px: snapped to tick away from rounding in our favour (stop outward,
 * target outward), > 0, at least one tick from px, on the right side. */
px_t exits_stop_px(const struct instrument *instrument, enum side side, px_t px, double distance);
px_t exits_take_px(const struct instrument *instrument, enum side side, px_t px, double distance);

#endif
