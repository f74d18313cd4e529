#include "domain/order.h"

#include <string.h>

#include "base/assert.h"
#include "domain/trade.h"

/* Rows are states, columns events in the order of ORDER_EVENT_TABLE. x is an illegal pair.
 *
 * Three rules are easy to get wrong. UNKNOWN takes any evidence, because the venue may have done anything
 * with the order. PENDING_CANCEL takes fills, because the cancel may lose the race. And an ended order still
 * takes fills: they are told out of order, and an end that was only concluded (nothing to cancel, twice) may
 * have been a fill; it stays ended, and the fill is booked. */
enum { x = -1 };
/* A table is read by columns. */
/* clang-format off */
static const int8_t next_state[ORDER_STATE_COUNT][ORDER_EVENT_COUNT] = {
    /*                          submit             accepted            rejected            timeout          fill_partial            fill_last     cancel_request         cancel_rejected   canceled          expired */
    [ORDER_NONE] = {ORDER_PENDING_NEW, x, x, x, x, x, x, x, x, x},
    [ORDER_PENDING_NEW] = {x, ORDER_NEW, ORDER_REJECTED, ORDER_UNKNOWN, ORDER_PARTIALLY_FILLED,
                           ORDER_FILLED, ORDER_PENDING_CANCEL, x, ORDER_CANCELED, ORDER_EXPIRED},
    [ORDER_UNKNOWN] = {x, ORDER_NEW, ORDER_REJECTED, ORDER_UNKNOWN, ORDER_PARTIALLY_FILLED,
                       ORDER_FILLED, ORDER_PENDING_CANCEL, ORDER_REJECTED, ORDER_CANCELED,
                       ORDER_EXPIRED},
    [ORDER_NEW] = {x, ORDER_NEW, x, x, ORDER_PARTIALLY_FILLED, ORDER_FILLED, ORDER_PENDING_CANCEL,
                   x, ORDER_CANCELED, ORDER_EXPIRED},
    [ORDER_PARTIALLY_FILLED] = {x, x, x, x, ORDER_PARTIALLY_FILLED, ORDER_FILLED,
                                ORDER_PENDING_CANCEL, x, ORDER_CANCELED, ORDER_EXPIRED},
    [ORDER_PENDING_CANCEL] = {x, ORDER_PENDING_CANCEL, ORDER_REJECTED, ORDER_PENDING_CANCEL,
                              ORDER_PENDING_CANCEL, ORDER_FILLED, x, ORDER_UNKNOWN, ORDER_CANCELED,
                              ORDER_EXPIRED},
    [ORDER_FILLED] = {x, x, x, x, ORDER_FILLED, ORDER_FILLED, x, ORDER_FILLED, x, x},
    [ORDER_CANCELED] = {x, x, x, x, ORDER_CANCELED, ORDER_CANCELED, x, ORDER_CANCELED, x, x},
    [ORDER_REJECTED] = {x, x, x, x, ORDER_REJECTED, ORDER_REJECTED, x, ORDER_REJECTED, x, x},
    [ORDER_EXPIRED] = {x, x, x, x, ORDER_EXPIRED, ORDER_EXPIRED, x, ORDER_EXPIRED, x, x},
};
/* clang-format on */

int order_state_next(enum order_state state, enum order_event event) {
    ASSERT((unsigned)state < ORDER_STATE_COUNT && (unsigned)event < ORDER_EVENT_COUNT);
    return next_state[state][event];
}

const char *order_refusal_text(enum order_state state, enum order_event event) {
    if (order_state_next(state, event) >= 0) return NULL;
    if (state == ORDER_NONE) return "nothing was asked for";
    if (event == OE_SUBMIT) return "asked for already: a retry is another order";
    if (order_state_is_terminal(state)) return "it has ended, and only fills come after that";
    switch (event) {
    case OE_ACCEPTED:
        return "its fills have said so already";
    case OE_REJECTED:
        return "the venue has accepted it";
    case OE_TIMEOUT:
        return "it was answered";
    case OE_CANCEL_REQUEST:
        return "a cancel is on its way";
    case OE_CANCEL_REJECTED:
        return "no cancel was asked for";
    case OE_SUBMIT:
    case OE_FILL_PARTIAL:
    case OE_FILL_LAST:
    case OE_CANCELED:
    case OE_EXPIRED:
    case ORDER_EVENT_COUNT:
        break; /* legal wherever an order lives, which the test of every pair shows */
    }
    return "?";
}

bool order_state_is_terminal(enum order_state state) {
    static const bool terminal[ORDER_STATE_COUNT] = {
#define ORDER_STATE_TERMINAL(name, text, is_terminal) [name] = is_terminal,
        ORDER_STATE_TABLE(ORDER_STATE_TERMINAL)
#undef ORDER_STATE_TERMINAL
    };
    return (unsigned)state < ORDER_STATE_COUNT && terminal[state];
}

const char *order_state_text(enum order_state state) {
    switch (state) {
#define ORDER_STATE_TEXT(name, text, terminal)                                                     \
    case name:                                                                                     \
        return text;
        ORDER_STATE_TABLE(ORDER_STATE_TEXT)
#undef ORDER_STATE_TEXT
    case ORDER_STATE_COUNT:
        break;
    }
    return "?";
}

const char *order_event_text(enum order_event event) {
    switch (event) {
#define ORDER_EVENT_TEXT(name, text)                                                               \
    case name:                                                                                     \
        return text;
        ORDER_EVENT_TABLE(ORDER_EVENT_TEXT)
#undef ORDER_EVENT_TEXT
    case ORDER_EVENT_COUNT:
        break;
    }
    return "?";
}

const char *side_text(enum side side) {
    switch (side) {
    case SIDE_NONE:
        return "NONE";
    case SIDE_BUY:
        return "BUY";
    case SIDE_SELL:
        return "SELL";
    }
    return "?";
}

const char *order_type_text(enum order_type type) {
    switch (type) {
    case ORDER_MARKET:
        return "MARKET";
    case ORDER_LIMIT:
        return "LIMIT";
    case ORDER_STOP_MARKET:
        return "STOP_MARKET";
    case ORDER_TAKE_PROFIT_MARKET:
        return "TAKE_PROFIT_MARKET";
    case ORDER_STOP:
        return "STOP";
    case ORDER_TAKE_PROFIT:
        return "TAKE_PROFIT";
    case ORDER_TRAILING_STOP_MARKET:
        return "TRAILING_STOP_MARKET";
    }
    return "?";
}

const char *time_in_force_text(enum time_in_force tif) {
    switch (tif) {
    case TIF_GTC:
        return "GTC";
    case TIF_IOC:
        return "IOC";
    case TIF_FOK:
        return "FOK";
    case TIF_GTX:
        return "GTX";
    case TIF_GTD:
        return "GTD";
    case TIF_GTE_GTC:
        return "GTE_GTC";
    }
    return "?";
}

const char *exit_reason_text(enum exit_reason reason) {
    switch (reason) {
#define EXIT_REASON_TEXT(name, text)                                                               \
    case name:                                                                                     \
        return text;
        EXIT_REASON_TABLE(EXIT_REASON_TEXT)
#undef EXIT_REASON_TEXT
    case EXIT_REASON_COUNT:
        break;
    }
    return "?";
}

const char *strategy_text(enum strategy_kind kind) {
    switch (kind) {
    case STRATEGY_ENSEMBLE:
        return "ensemble";
    case STRATEGY_MOMENTUM:
        return "momentum";
    case STRATEGY_RANDOM:
        return "random";
    case STRATEGY_SMA_CROSS:
        return "sma_cross";
    case STRATEGY_COUNT:
        break;
    }
    return "?";
}

bool strategy_find(enum strategy_kind *out, const char *text) {
    for (int k = 0; k < STRATEGY_COUNT; k++)
        if (strcmp(text, strategy_text((enum strategy_kind)k)) == 0) {
            *out = (enum strategy_kind)k;
            return true;
        }
    return false;
}
