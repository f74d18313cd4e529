/* What we asked of the venue and what became of it. Pure: evidence comes in (replies, stream events, rows of a
 * reconciliation, in any order, any number of times), venue_events go out, each once and in order.
 *
 * Evidence is only ever added: an old row cannot take back what a newer one said. Fills are held against the order's
 * cumulative quantity: one that does not join on waits for those before it, or for userTrades; an end waits for the
 * fills it counts. What is missing is asked for by flags (want_*) that order_requests.c works off.
 *
 * Tests    test_orders.c: true histories, shuffled and doubled, lead to the same venue_events; the table of unknown
 *          outcomes. */
#ifndef VENUE_BINANCE_ORDERS_H
#define VENUE_BINANCE_ORDERS_H

#include "base/tstamp.h"
#include "domain/fills.h"
#include "venue/binance/binance.h"
#include "venue/binance/codec.h"

/* A stream is given this long to tell what a reply has already implied, before REST is asked. */
#define ORDER_GRACE_NS (200 * NS_PER_MS)
enum { ORDERS_MAX = 2048, ORDER_HELD_MAX = 8, ORDER_ORPHANS_MAX = 64 };

enum order_phase {
    PHASE_FREE = 0,
    PHASE_ASKED,   /* the request waits or is on its way */
    PHASE_UNKNOWN, /* nobody can say: asked after until evidence comes */
    PHASE_LIVE,    /* the venue has it */
    PHASE_ENDED,   /* and everything is told */
};
enum order_end { END_NONE = 0, END_FILLED, END_CANCELED, END_EXPIRED };
enum cancel_phase { CANCEL_NONE = 0, CANCEL_WANTED, CANCEL_SENT };

struct order_fill {
    uint64_t trade_id;
    qty_t cum_qty, qty;
    px_t px;
    money_t commission, realized_pnl;
    int64_t ts_ns;
    uint8_t side, is_maker, liquidation, reserved[5];
};

struct order {
    char client_id[CLIENT_ORDER_ID_SIZE];
    uint32_t instrument;
    uint32_t next_client1, next_id1; /* hash chains */
    uint32_t active_at;              /* place in orders.active */
    uint32_t serial;                 /* never the same for two uses of a slot */
    uint8_t phase, side, type, time_in_force;
    uint8_t working_type, reduce_only, close_position, lane;
    bool conditional, on_algo; /* on_algo: it lives (or would live) at the algo service */
    bool known_before;         /* from an earlier life of this process */
    bool switched;             /* sent to the other service once already */
    bool told_accepted, told_triggered;
    bool ask_other;   /* the next query goes to the other service */
    bool stream_seen; /* the user stream has told of it */
    bool
        told_elsewhere; /* fills of it were told as somebody else's, before it was known to be ours */
    uint8_t cancel, cancel_tries, cancel_lane;
    uint8_t end, held_count, absent_count;
    uint8_t queries_flying, trades_flying, places_flying; /* such requests on their way */
    uint8_t places; /* how often it went out, under the same id */
    uint8_t passed_count,
        near_count; /* questions because its trigger is passed, by its price or by the other */
    int32_t end_code;
    px_t limit_px, stop_px;
    qty_t order_qty, cum_qty; /* cum: told */
    money_t cum_cost;         /* told */
    qty_t end_qty;            /* cumulative at the end */
    qty_t venue_qty;          /* highest the venue has claimed */
    uint64_t order_id,
        algo_id; /* order_id: of the ordinary order, or of the child of a conditional one */
    int64_t end_ts_ns, venue_ts_ns;     /* latest evidence, venue time */
    int64_t evidence_ns;                /* monotonic, of the latest evidence */
    int64_t window_end_ns;              /* venue time from which "does not exist" means something */
    int64_t absent_since_ns, absent_ns; /* monotonic, first and last of those that count */
    int64_t query_at_ns, trades_at_ns;  /* monotonic, 0: not wanted */
    int64_t queried_ns, trades_asked_ns, placed_ns; /* monotonic, when the last of them left */
    int64_t passed_ns;   /* monotonic: its trigger is passed, to be asked after then; 0 no */
    int64_t again_ns;    /* monotonic: it was alive after its end, and cancelled; 0 never */
    uint32_t seen_stamp; /* the last list that had it */
    int32_t
        refused_code; /* refused by rules we may not know yet: told when they are, or at refused_until_ns */
    int64_t refused_until_ns; /* monotonic */
    int32_t
        doubted_code; /* another of its contract was refused so, by rules nobody could tell in time: not sent */
    int64_t acked_ns; /* monotonic: a reply said so and the stream has not yet; 0 otherwise */
    struct order_fill held[ORDER_HELD_MAX];
};

/* What is held of one contract, as told. */
struct order_symbol {
    qty_t booked;            /* signed */
    struct fills_seen fills; /* told in this life */
    /* Fills of other orders than ours count behind both of these only: ids the caller had seen before, and the venue's
     * time up to which what they did is part of the balance, or of a position, that was told as a whole. */
    uint64_t from_trade_id;
    int64_t counted_ns;
    int64_t
        whole_ns; /* venue time of the last position that was told as a whole: whoever's fills before are in it */
    bool is_foreign; /* it is held, and somebody else opened it */
    int64_t last_funding_ns;
    rate_t funding_rate;
};

struct orders_stats {
    uint64_t duplicates, fills, late_fills, foreign_fills, contradictions, positions;
};

struct orders {
    struct order slots[ORDERS_MAX];
    uint32_t by_client1[ORDERS_MAX], by_id1[ORDERS_MAX];
    uint32_t active[ORDERS_MAX], active_count;
    uint32_t ended[ORDERS_MAX], ended_head, ended_count; /* ring: reused oldest first */
    uint32_t fresh, serial_next;
    struct order_symbol symbols[INSTRUMENTS_MAX];
    money_t wallet, available; /* available: as told last */
    bool balance_told;         /* since this life began */
    int64_t wallet_ns;         /* venue time: what happened until then is in it, told or not */
    struct {
        int64_t until_ns;
        uint32_t instrument;
        int64_t event_ns;
        struct stream_order event;
    } orphans[ORDER_ORPHANS_MAX];
    uint32_t orphan_count;
    bool doubt; /* something was heard that the books do not explain: to be reconciled */
    int64_t
        grace_ns; /* a stream is given so long to tell what a reply has implied, before REST is asked */
    struct orders_stats stats;
    void (*tell)(void *context, const struct venue_event *event);
    void *context;
};

void binance_orders_init(struct orders *os,
                         void (*tell)(void *context, const struct venue_event *event),
                         void *context);

/* An entry for a command or a known order, PHASE_ASKED; NULL: none free. The client id must not be live. */
struct order *binance_orders_add(struct orders *os, const char *client_id, uint32_t instrument);
/* NULL if there is none; ended ones are found until their slot is used again. */
struct order *binance_orders_find(struct orders *os, const char *client_id);
struct order *binance_orders_find_id(struct orders *os, uint64_t order_id);
/* What a row of the venue names: by our id, else by its own. NULL: nobody here. */
struct order *binance_orders_find_row(struct orders *os, const struct rest_order *row);
static inline uint32_t binance_order_slot(const struct orders *os, const struct order *o) {
    return (uint32_t)(o - os->slots);
}

/* ---- evidence; now_ns is monotonic, times inside events are the venue's ---- */

/* The wallet as the venue has it, everything up to wallet_ns in it, and what of it is available; told if what was told
 * makes another one, or something else was available. */
void binance_orders_balance(struct orders *os, money_t wallet, money_t available, int64_t wallet_ns,
                            int64_t ts_ns);
/* The venue refused it for good. */
void binance_order_refused(struct orders *os, struct order *o, int32_t code, int64_t ts_ns,
                           int64_t now_ns);
/* Refused because an order of its id stands: it is that one. */
void binance_order_stands(struct orders *os, struct order *o, int64_t ts_ns, int64_t now_ns);
/* Nobody knows. From window_end_ns (venue time) on it cannot take effect any more. */
void binance_order_unknown(struct order *o, int64_t window_end_ns, int64_t now_ns);
/* A row of the ordinary service: reply to a placement, cancel, query, or one of openOrders. */
void binance_order_row(struct orders *os, struct order *o, const struct rest_order *row,
                       int64_t now_ns);
/* A row of the algo service. */
void binance_order_algo_row(struct orders *os, struct order *o, const struct rest_algo *row,
                            int64_t now_ns);
/* The service that was asked does not know it. venue_now_ns: no later than the venue's clock; 0 if that is not known. */
void binance_order_absent(struct orders *os, struct order *o, int64_t venue_now_ns, int64_t now_ns);
/* All trades of its order id, oldest first, cum_qty filled in. */
void binance_order_fill(struct orders *os, struct order *o, const struct order_fill *fill,
                        int64_t now_ns);
/* It ended, with so much filled. */
void binance_order_ended(struct orders *os, struct order *o, enum order_end end, int32_t code,
                         qty_t cum_qty, int64_t ts_ns, int64_t now_ns);
/* The cancel was refused although the order seems to live: no more tries. */
void binance_order_cancel_failed(struct orders *os, struct order *o, int32_t code, int64_t now_ns);

/* ---- streams ---- */

void binance_orders_stream(struct orders *os, uint32_t instrument, const struct stream_order *e,
                           int64_t event_ns, int64_t now_ns);
void binance_orders_stream_algo(struct orders *os, uint32_t instrument, const struct stream_algo *e,
                                int64_t event_ns, int64_t now_ns);
/* Orphans whose order never became known are told as what they are. Returns the next deadline. */
int64_t binance_orders_time(struct orders *os, int64_t now_ns);

/* A fill of an order that is not ours, told once whatever it does to the position, under the client id its order has
 * at the venue. Not told: what a liquidation or settlement closes beyond what is booked, and any fill that realises a
 * result where nothing is booked: it closes what nobody has told of (false; a reconciliation will). */
bool binance_orders_foreign_fill(struct orders *os, uint32_t instrument,
                                 const struct order_fill *fill, uint64_t order_id,
                                 const char *client_id);
/* The account holds this much, and no fill that may still be told explains it. ts_ns: venue time it is about. */
void binance_orders_position(struct orders *os, uint32_t instrument, qty_t qty, px_t entry_px,
                             int64_t ts_ns);
void binance_orders_funding(struct orders *os, uint32_t instrument, int64_t ts_ns, money_t amount);
/* 'l', 's' or 0 by the client id the venue gives to what it does by itself. */
char binance_forced_kind(const char *client_id);

#endif
