/* Orders, what we ask of a venue, and what a venue tells us.
 *
 * Names follow the market: see docs/GLOSSARY.md for FIX tags and Binance fields. */
#ifndef DOMAIN_ORDER_H
#define DOMAIN_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fx.h"

enum { CLIENT_ORDER_ID_SIZE = 40 }; /* venue limit 36 characters, plus the end */

enum side { SIDE_NONE = 0, SIDE_BUY = 1, SIDE_SELL = 2 };
static inline enum side side_opposite(enum side s) {
    return s == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}
static inline int side_sign(enum side s) {
    return s == SIDE_BUY ? 1 : s == SIDE_SELL ? -1 : 0;
}

enum order_type {
    ORDER_MARKET = 0,
    ORDER_LIMIT,
    ORDER_STOP_MARKET,
    ORDER_TAKE_PROFIT_MARKET,
    ORDER_STOP,        /* stop-limit */
    ORDER_TAKE_PROFIT, /* take-profit-limit */
    ORDER_TRAILING_STOP_MARKET,
};

enum time_in_force {
    TIF_GTC = 0,
    TIF_IOC,
    TIF_FOK,
    TIF_GTX,
    TIF_GTD,
    TIF_GTE_GTC, /* conditional orders: expires when the position it belongs to is gone */
};
enum working_type { WORKING_CONTRACT_PRICE = 0, WORKING_MARK_PRICE };

/* X(state, text, terminal) */
#define ORDER_STATE_TABLE(X)                                                                       \
    X(ORDER_NONE, "NONE", false)                                                                   \
    X(ORDER_PENDING_NEW, "PENDING_NEW", false) /* asked for, venue has not answered */             \
    X(ORDER_UNKNOWN, "UNKNOWN", false)         /* no answer in time: neither yes nor no */         \
    X(ORDER_NEW, "NEW", false)                                                                     \
    X(ORDER_PARTIALLY_FILLED, "PARTIALLY_FILLED", false)                                           \
    X(ORDER_PENDING_CANCEL, "PENDING_CANCEL", false)                                               \
    X(ORDER_FILLED, "FILLED", true)                                                                \
    X(ORDER_CANCELED, "CANCELED", true)                                                            \
    X(ORDER_REJECTED, "REJECTED", true)                                                            \
    X(ORDER_EXPIRED, "EXPIRED", true)

enum order_state {
#define ORDER_STATE_ENUM(name, text, terminal) name,
    ORDER_STATE_TABLE(ORDER_STATE_ENUM)
#undef ORDER_STATE_ENUM
        ORDER_STATE_COUNT
};

/* X(event, text): everything that can happen to an order. */
#define ORDER_EVENT_TABLE(X)                                                                       \
    X(OE_SUBMIT, "submit")     /* we ask */                                                        \
    X(OE_ACCEPTED, "accepted") /* venue: NEW */                                                    \
    X(OE_REJECTED, "rejected") /* venue: no */                                                     \
    X(OE_TIMEOUT, "timeout")   /* no answer in time */                                             \
    X(OE_FILL_PARTIAL, "fill_partial")                                                             \
    X(OE_FILL_LAST, "fill_last")                                                                   \
    X(OE_CANCEL_REQUEST, "cancel_request")   /* we ask */                                          \
    X(OE_CANCEL_REJECTED, "cancel_rejected") /* venue: nothing to cancel */                        \
    X(OE_CANCELED, "canceled")                                                                     \
    X(OE_EXPIRED, "expired")

enum order_event {
#define ORDER_EVENT_ENUM(name, text) name,
    ORDER_EVENT_TABLE(ORDER_EVENT_ENUM)
#undef ORDER_EVENT_ENUM
        ORDER_EVENT_COUNT
};

/* The one (state, event) table. Returns the next state, or -1 if the pair is illegal: the caller
 * counts it and keeps the state (evidence that contradicts is never silently applied). */
int order_state_next(enum order_state state, enum order_event event);
/* Why the pair is illegal, in words; NULL if it is legal. */
const char *order_refusal_text(enum order_state state, enum order_event event);
bool order_state_is_terminal(enum order_state state);
const char *order_state_text(enum order_state state);
const char *order_event_text(enum order_event event);
const char *side_text(enum side side);             /* "BUY", "SELL", "NONE" */
const char *order_type_text(enum order_type type); /* "STOP_MARKET" */
const char *time_in_force_text(enum time_in_force tif);

/* A command: what we want of the venue. Zero what does not apply. */
enum command_kind { COMMAND_ORDER_SUBMIT = 1, COMMAND_ORDER_CANCEL, COMMAND_LEVERAGE_SET };

struct venue_command {
    uint8_t kind;       /* enum command_kind */
    uint8_t side;       /* enum side */
    uint8_t order_type; /* enum order_type */
    uint8_t time_in_force;
    uint8_t working_type;
    uint8_t reduce_only;
    uint8_t close_position; /* whole position at trigger, order_qty 0 */
    uint8_t reserved;
    uint32_t instrument_index;
    uint32_t leverage; /* COMMAND_LEVERAGE_SET */
    int64_t ts_ns;     /* when it left us */
    px_t limit_px, stop_px;
    qty_t order_qty;
    char client_order_id[CLIENT_ORDER_ID_SIZE];
};

enum venue_event_kind {
    VENUE_ORDER_ACCEPTED = 1, /* acknowledged, status NEW: carries no fill price */
    VENUE_ORDER_REJECTED,     /* code says why */
    VENUE_ORDER_TRIGGERED,    /* a conditional order became a market or limit order */
    VENUE_ORDER_TRADE,        /* one fill */
    VENUE_ORDER_CANCELED,
    VENUE_ORDER_EXPIRED,
    VENUE_CANCEL_REJECTED,
    VENUE_LEVERAGE_SET, /* leverage as the venue has it now */
    VENUE_FUNDING,      /* amount in funding, rate in funding_rate */
    VENUE_LIQUIDATION,  /* one fill of a liquidation; no client order id of ours */
    /* What the account holds of a contract, where the fills told do not explain it: side and last_qty (NONE and 0:
     * nothing), last_px its average entry, 0 unknown. No money moves with it. */
    VENUE_POSITION,
    /* The wallet as the venue says it, where what was told does not add up to it: a deposit, a rebate, a fee of a fill
     * that nobody told of; and what of it is free for new margin (available). Of no contract: instrument_index is 0. */
    VENUE_BALANCE,
    /* An open order of the form of our ids that nobody here has named: of a life that the journal forgot, or of another
     * run on the account. Told when all positions have been. Its trigger in stop_px, what is open of it in leaves_qty. */
    VENUE_ORDER_FOUND,
};

/* Streams and the income history stamp one settlement a few milliseconds apart; two of a contract are an hour apart at least. */
#define FUNDING_SAME_NS INT64_C(10000000000)

struct venue_event {
    uint8_t kind; /* enum venue_event_kind */
    uint8_t side, order_type, is_maker;
    int32_t code; /* venue's code on a rejection or an expiry (Binance numbers) */
    uint32_t instrument_index;
    uint32_t leverage;
    int64_t ts_event_ns; /* venue's time */
    uint64_t venue_order_id, trade_id;
    px_t last_px; /* of this fill */
    qty_t last_qty, cum_qty, leaves_qty;
    money_t avg_cost;     /* cumulative px * qty of the order's fills, 0 on an acknowledgement */
    money_t commission;   /* of this fill, > 0 is paid */
    money_t realized_pnl; /* of this fill, price difference only */
    money_t funding;      /* > 0 is received */
    rate_t funding_rate;
    money_t wallet;    /* wallet balance after the event */
    money_t available; /* VENUE_BALANCE: for new margin, as the venue says it; else 0 */
    px_t mark_px;
    px_t stop_px; /* VENUE_ORDER_FOUND: trigger; else 0 */
    char client_order_id[CLIENT_ORDER_ID_SIZE];
};

#endif
