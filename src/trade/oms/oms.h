/* Order management of one symbol: identities, the order-state table applied to venue evidence, and
 * the ledger of intents already taken.
 *
 * Nothing here decides; it remembers exactly, and refuses what contradicts. */
#ifndef TRADE_OMS_OMS_H
#define TRADE_OMS_OMS_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/fills.h"
#include "domain/intent.h"
#include "domain/order.h"

enum oms_leg {
    LEG_ENTRY = 0,
    LEG_STOP,
    LEG_TAKE_PROFIT,
    LEG_CLOSE,
    LEG_TAKE_PROFIT_2,
    LEG_TAKE_PROFIT_3,
    LEG_COUNT
};
enum { OMS_TARGETS = 3 };
const char *oms_leg_text(enum oms_leg leg);
/* Leg of target 0..OMS_TARGETS - 1, and back: OMS_TARGETS for a leg that is none. */
enum oms_leg oms_target_leg(uint32_t target);
uint32_t oms_leg_target(enum oms_leg leg);

/* Slots for orders of one symbol: one live order per leg, two while a stop is replaced; 16 leaves room for
 * what is not answered, and for those of a life that the journal forgot. */
enum { OMS_ORDERS_MAX = 16, OMS_LEDGER_MAX = 16 };

struct oms_order {
    char client_order_id[CLIENT_ORDER_ID_SIZE];
    uint64_t intent_id, venue_order_id;   /* intent 0: found, of a trade nobody remembers */
    uint8_t leg, side, order_type, state; /* enum oms_leg, side, order_type, order_state */
    uint8_t reduce_only, close_position, used;
    uint8_t cancels_rejected; /* times the venue said there is nothing to cancel */
    uint32_t attempt;
    int32_t code; /* the venue's, when it said no */
    px_t limit_px, stop_px;
    qty_t order_qty, cum_qty;
    money_t cum_cost; /* sum of px * qty of its fills */
    int64_t submitted_ts_ns, answered_ts_ns;
};

struct oms_book {
    struct oms_order orders[OMS_ORDERS_MAX];
    struct fills_seen fills;             /* of this symbol */
    uint64_t ledger_ids[OMS_LEDGER_MAX]; /* intents taken, ring */
    int64_t ledger_expires_ns[OMS_LEDGER_MAX];
    uint32_t ledger_next, illegal_events, unknown_orders, duplicate_fills;
};

/* Why an intent is not taken. */
enum oms_intake { OMS_TAKEN = 0, OMS_DUPLICATE, OMS_STALE, OMS_LEDGER_FULL };

/* Enters the intent in the ledger. A duplicate of any intent that has not expired is recognised; an
 * expired one is stale whether it was seen or not; so forgetting expired ids is safe. LEDGER_FULL: the
 * oldest of OMS_LEDGER_MAX remembered intents has not expired yet (nothing is forgotten early). */
enum oms_intake oms_intake(struct oms_book *book, const struct trade_intent *intent,
                           int64_t now_ns);

/* What an order should be; the rest (id, state) is oms_submit's. */
struct oms_request {
    enum oms_leg leg;
    enum side side;
    enum order_type order_type;
    uint64_t intent_id;
    uint32_t attempt; /* 0.. : part of the id, so that a retry is another order */
    bool reduce_only, close_position;
    px_t limit_px, stop_px;
    qty_t order_qty;
    uint32_t run, life; /* marks of its name (oms_order_name); run 0: none */
};

/* Makes the order (state PENDING_NEW) and the command that asks for it. NULL if no slot is free
 * (a terminal order's slot is reused). Order borrowed until the slot is reused. */
struct oms_order *oms_submit(struct venue_command *out, struct oms_book *book,
                             const struct oms_request *request, uint32_t instrument_index,
                             int64_t now_ns);

/* Asks to cancel a live order; false if it is terminal or a cancel is already on the way. */
bool oms_cancel(struct venue_command *out, struct oms_order *order, uint32_t instrument_index,
                int64_t now_ns);
/* Asks after a live order that was not answered in time, by asking to cancel it: whatever the venue says to that is
 * evidence. Again if that was not answered either. False if it is terminal. */
bool oms_ask(struct venue_command *out, struct oms_order *order, uint32_t instrument_index,
             int64_t now_ns);

/* The live (not terminal) order of a trade's leg, or NULL. Orders of the trade before may still be alive. */
struct oms_order *oms_live(struct oms_book *book, uint64_t intent_id, enum oms_leg leg);
/* That attempt of it, or NULL. */
struct oms_order *oms_live_attempt(struct oms_book *book, uint64_t intent_id, enum oms_leg leg,
                                   uint32_t attempt);
bool oms_has_live(const struct oms_book *book);
/* The order of that id. */
bool oms_is_live(const struct oms_book *book, const char *client_order_id);

struct oms_update {
    struct oms_order *order; /* NULL: not an order of ours */
    enum order_state before, after;
    bool applied; /* false: duplicate or illegal; nothing changed */
};

/* Takes in an order that is open at the venue and that the book does not have, or takes for ended (VENUE_ORDER_FOUND of this
 * run; not alive, asserted): NEW, and of no trade, so that nothing of a trade's is mistaken for it. NULL: no slot is free. */
struct oms_order *oms_found(struct oms_book *book, const struct venue_event *event);
/* Alive, and taken in so. */
bool oms_is_found(const struct oms_order *order);

/* Applies venue evidence to the book. Fills seen before (trade_id, in any order), pairs the table does not allow
 * and fills of nothing or of more than was ordered change nothing and are counted. A fill of an order that has
 * ended is applied, and the order stays ended.
 *
 * A cancel the venue rejects leaves the order UNKNOWN: its end may be on the way. A second one says
 * that it is gone (REJECTED): a venue that goes on saying no must not be asked for ever. */
void oms_apply(struct oms_update *out, struct oms_book *book, const struct venue_event *event);

/* No answer within the limit: the order becomes UNKNOWN. */
bool oms_timeout(struct oms_order *order);

/* A fill of an order the book does not have (liquidation, settlement, somebody else's, one of ours that was
 * forgotten): true the first time. */
bool oms_foreign_fill(struct oms_book *book, uint64_t trade_id);

/* Whether the id is of the form oms_client_order_id gives: an order of ours, remembered or not. */
bool oms_is_ours(const char client_order_id[CLIENT_ORDER_ID_SIZE]);

/* An id, and behind it which run of the program on this account asked (1..OMS_RUN_MAX; 0: no marks, the id as it is) and in
 * which of its lives (0..OMS_LIFE_MAX): "-", 3 and 4 base-32 digits, at most 31 characters in all. A life whose end the
 * journal forgot may have used any attempt of an intent: the next one's orders have other names. */
enum { OMS_RUN_MAX = (1 << 15) - 1, OMS_LIFE_MAX = (1 << 20) - 1 };
void oms_order_name(char out[CLIENT_ORDER_ID_SIZE], const struct oms_request *request);
/* The run in an id of ours; 0: it does not say. */
uint32_t oms_run_of(const char client_order_id[CLIENT_ORDER_ID_SIZE]);
/* The leg of an id of ours. */
enum oms_leg oms_leg_of(const char client_order_id[CLIENT_ORDER_ID_SIZE]);

/* "q" + 13 base-32 digits of the intent id + "-" + leg letter + the attempt in base 32: 17 characters of
 * the venue's pattern for the first 32 attempts, at most 23: no two orders of a trade share an id. */
void oms_client_order_id(char out[CLIENT_ORDER_ID_SIZE], uint64_t intent_id, enum oms_leg leg,
                         uint32_t attempt);

#endif
