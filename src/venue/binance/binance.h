/* A Binance USD-M account as a venue: what the kernel asks for goes out as signed requests, what the venue says comes
 * back as venue_event, bars and ticks. The same client trades on `quantum exchange`, the demo environment and live; they
 * differ in URLs and keys only.
 *
 * One thread: everything happens inside binance_poll and the calls that say they block (libuv: libcurl's multi interface
 * for REST, libwebsockets for streams). Nothing here decides what to trade; everything here is about knowing what became
 * of it. Handlers are called from those calls only, and may call binance_submit and binance_reconcile.
 *
 * What the kernel may rely on:
 *   - one answer a command: ACCEPTED or REJECTED; CANCELED or CANCEL_REJECTED; LEVERAGE_SET (code != 0: refused, leverage
 *     says what stands, 0 if that is not known). An order nobody answered for is told as what it turns out to be, or as
 *     REJECTED with BINANCE_NEVER_PLACED once the venue has said so twice after its window closed; never by guess.
 *   - each fill once, in order of the order's cumulative quantity: last_qty of all VENUE_ORDER_TRADE of an order add up to
 *     cum_qty. TRIGGERED comes before the fills, the end (CANCELED, EXPIRED) after all of them. A cancel that came too
 *     late is answered CANCEL_REJECTED behind the end that overtook it.
 *   - every fill of other orders, once, whatever it does to the position: VENUE_LIQUIDATION, VENUE_ORDER_TRADE without a client
 *     order id (settlement) or with the one that somebody else gave it. Neither of the first two is of more than is held.
 *   - VENUE_ORDER_FOUND: an open order of whose name `whose` says that it is ours, and that nobody here has named, behind
 *     everything that is held of its contract. One of this run is followed from then on like any other; one of another run is
 *     told again with every reconciliation while it is open.
 *   - VENUE_POSITION: what the account holds of a contract, where the fills told do not explain it and none that is still to be
 *     told can (two looks found the same): it was there before, or its trades are not to be had.
 *   - EXPIRED: code > 0 the venue's expiry reason, < 0 why a conditional order was refused when it fired.
 *   - wallet of every event is the wallet balance as the client has booked it up to that event. */
#ifndef VENUE_BINANCE_BINANCE_H
#define VENUE_BINANCE_BINANCE_H

#include <signal.h>

#include "base/err.h"
#include "base/hist.h"
#include "domain/bar.h"
#include "domain/instrument.h"
#include "domain/order.h"

struct binance;

/* Requests wait in lanes; a lane is served only while the ones before it have nothing to send, and each keeps a reserve
 * of the weight and order budget for those before it. */
enum binance_lane {
    LANE_PROTECTION = 0,
    LANE_EXIT,
    LANE_WATCH, /* what is held and what protects it: asked by the client itself (watch.c) */
    LANE_ENTRY,
    LANE_DATA,
    LANE_COUNT
};

enum binance_link { LINK_DOWN = 0, LINK_CONNECTING, LINK_UP, LINK_STALE };

/* Code of a VENUE_ORDER_REJECTED for an order that the venue does not know, asked after its window had passed. */
enum { BINANCE_NEVER_PLACED = -2013 };
/* Code of a VENUE_ORDER_REJECTED for an order we did not send: it waited too long for its turn (entries only). */
enum { BINANCE_NOT_SENT = -1015 };
/* Likewise: an entry on a symbol where somebody else holds something. No code of the venue's. */
enum { BINANCE_POSITION_FOREIGN = -90001 };
/* Likewise: an entry whose wish (its id up to the first dash) the venue has had an order of before this life. */
enum { BINANCE_ASKED_BEFORE = -90002 };

struct binance_reconciliation {
    int64_t ts_ns;
    uint32_t orders, algos, positions; /* the venue's */
    uint32_t repaired;                 /* differences that were told through on_venue */
    uint32_t foreign_orders;           /* not ours: left alone */
    uint32_t
        foreign_positions; /* not ours: of the run's contracts told through on_venue, others left alone */
    money_t wallet;
};

/* Whose an order is that this client has not sent, by its client id. */
enum binance_whose { BINANCE_FOREIGN = 0, BINANCE_OF_RUN, BINANCE_OF_OTHER_RUN };

struct binance_handlers {
    void *context;
    /* NULL: everything is foreign. Where it is given, entries of a life's first bar and minute are looked for at the venue
     * before they are sent: their wish may be one that an earlier life had executed and its journal forgot. */
    enum binance_whose (*whose)(void *context, const char *client_order_id);
    /* Order evidence, funding, liquidations, leverage: in the order the client is sure of. ts_event_ns is the venue's. */
    void (*on_venue)(void *context, const struct venue_event *event);
    /* A closed candle of a followed symbol (once each, in order, gaps filled by REST before a later one). */
    void (*on_bar)(void *context, uint32_t instrument, const struct bar *bar);
    void (*on_tick)(void *context, uint32_t instrument, int64_t ts_ns, uint64_t trade_id, px_t px,
                    qty_t qty);
    void (*on_mark)(void *context, uint32_t instrument, int64_t ts_ns, px_t mark, rate_t funding,
                    int64_t next_funding_ns);
    /* A contract's rules or status changed. */
    void (*on_instrument)(void *context, uint32_t instrument, const struct instrument *in);
    /* Streams or REST went down, came up, or have been silent too long. */
    void (*on_link)(void *context, enum binance_link rest, enum binance_link market,
                    enum binance_link user);
    /* A reconciliation ended; what differed was told through on_venue before. */
    void (*on_reconciled)(void *context, const struct binance_reconciliation *what);
};

struct binance_options {
    const char *rest_url;             /* "http://127.0.0.1:8100", "https://demo-fapi.binance.com" */
    const char *stream_url;           /* "ws://127.0.0.1:8100"; NULL: as fits rest_url */
    const char *api_key, *api_secret; /* secret: HMAC secret or Ed25519 private key in PEM */
    const char *ca_file;              /* of a self-signed exchange; NULL: the system's */
    /* Where GET /sapi/v1/account/apiRestrictions tells what the key may do. NULL: https://api.binance.com when
     * rest_url is the live venue, else nobody is asked. Once asked, a key that may withdraw, and no answer, refuse. */
    const char *restrictions_url;
    const char *tape_file; /* everything received is recorded there (secrets removed); NULL none */
    const char *symbols;   /* "BTCUSDT,ETHUSDT"; NULL: every trading perpetual quoted in USDT */
    uint32_t symbols_max;
    /* Of a run that goes on: exactly these, whatever their state; one the venue does not list any more stays, closed,
     * by the rules given here, for something may be held there. symbols and symbols_max are not looked at. NULL: none.
     * Borrowed until binance_load has returned. */
    const struct instrument *contracts;
    uint32_t contract_count;
    const char *interval;   /* of the bars: "1m" */
    int64_t recv_window_ms; /* 5000: how long after its timestamp a request may still take effect */
    /* 2000, of orders in LANE_PROTECTION and LANE_EXIT: doubt about a stop, or a close, must be short */
    int64_t protection_window_ms;
    int64_t reconcile_every_ns; /* 30 s */
    int64_t answer_within_ns;   /* 5 s: then the outcome is unknown */
    int64_t
        entry_patience_ns; /* 5 s: an entry that could not be sent by then is refused, not sent late */
    uint64_t seed;         /* of the jitter of back-offs */
    /* Not 0: binance_load and binance_start wait no longer (ST_INTERRUPTED). Borrowed for life; NULL none. */
    const volatile sig_atomic_t *stop;
    int (*wall_clock_offset_ms)(void); /* tests only: what the wall clock is wrong by; NULL 0 */
    struct binance_handlers handlers;
};
struct binance_options binance_options_defaults(void);

/* Opens nothing yet. */
enum status binance_create(struct binance **out, const struct binance_options *options,
                           struct err *err);
void binance_destroy(struct binance *b);

/* Clock, rules, brackets, modes, capabilities, account; blocks at most so long. Contracts are known from here on, in the
 * order of their symbols, and keep their numbers. ST_REFUSED: keys that may withdraw, hedge mode that cannot be left. */
enum status binance_load(struct binance *b, int64_t within_ns, struct err *err);
uint32_t binance_instrument_count(const struct binance *b);
const struct instrument *binance_instruments(const struct binance *b);

/* Closed bars that start in [from_ns, to_ns), oldest first; blocks. Returns through *count; out has room for max. */
enum status binance_bars(struct binance *b, uint32_t instrument, int64_t from_ns, int64_t to_ns,
                         struct bar *out, size_t max, size_t *count, struct err *err);

/* Streams on, first reconciliation done: blocks at most so long. `known` are the orders the caller believes to be live
 * (client order ids): what became of each is told through on_venue before this returns. `held` are the positions it
 * believes to hold: fills it has not seen (a liquidation while it was away) are told likewise.
 * Bars: the first one told is the one after the last that binance_bars returned for the symbol, or, without such a
 * call, the one that is open now. */
struct binance_known {
    char client_order_id[CLIENT_ORDER_ID_SIZE];
    uint32_t instrument;
    uint8_t order_type, reserved[3];
    qty_t cum_qty;          /* fills the caller has seen */
    uint64_t last_trade_id; /* of the symbol, highest the caller has seen */
};
struct binance_held {
    uint32_t instrument, reserved;
    qty_t qty;               /* signed, not 0 */
    uint64_t last_trade_id;  /* of the symbol, highest the caller has seen */
    int64_t last_funding_ns; /* of the symbol, latest the caller has seen; 0 none */
    int64_t
        opened_ns; /* what is held has been held since then, 0 unknown: funding is asked for from there */
    int64_t
        told_ns; /* of the latest VENUE_POSITION the caller has seen: fills until then are in it; 0 none */
};
enum status binance_start(struct binance *b, const struct binance_known *known, size_t known_count,
                          const struct binance_held *held, size_t held_count, int64_t within_ns,
                          struct err *err);

/* Queues a command (sent by the next poll). Its outcome comes through on_venue: see above. lane: how urgent; a cancel of
 * an order whose outcome is not known yet waits for it. ST_FULL: too many orders live or asked for; ST_EXISTS: an order
 * of this client id is live, or another leverage is on its way (the same one again is answered once). ST_INVALID: instrument, client id. Nothing was queued then. */
enum status binance_submit(struct binance *b, const struct venue_command *command,
                           enum binance_lane lane);
/* Runs the loop until something was told to a handler, or until_ns (monotonic). */
void binance_poll(struct binance *b, int64_t until_ns);
/* Ask for a full reconciliation now. */
void binance_reconcile(struct binance *b);

/* The venue's time as the client knows it, ns, and how sure it is. */
int64_t binance_now_ns(const struct binance *b);

/* The wallet balance (USDT) as the client has booked it so far; known once binance_load succeeded. */
money_t binance_wallet(const struct binance *b);

struct binance_position {
    qty_t qty;
    px_t entry_px;
    money_t isolated_wallet;
    uint32_t leverage; /* 0: not known */
};
/* As the venue said last (stream or reconciliation). */
void binance_position_get(const struct binance *b, uint32_t instrument,
                          struct binance_position *out);

struct binance_stats {
    enum binance_link rest, market, user;
    uint64_t requests, replies, unknown_outcomes, resolved_by_query, retries;
    uint64_t rejects_429, rejects_418, throttled_by_us, clock_rejects;
    uint64_t stream_messages, stream_rejected, stream_gaps, reconnects, gap_fills, key_renewals,
        duplicates_dropped;
    uint32_t weight_used_1m, orders_10s, orders_1m;
    bool algo_service; /* conditional orders go to the algo endpoint */
    int64_t clock_offset_ns, clock_error_ns;
    uint64_t orders_withheld; /* the contract's rules, known by now, would have refused them */
    uint64_t orders_sent, fills, late_fills, reconciliations, repaired, service_switches;
    uint64_t foreign_untold,
        positions_told; /* fills that close what nobody told of; VENUE_POSITION */
    uint64_t watch_questions, watch_differences,
        watch_gone;                          /* watch.c: asked; positions that differed,
                                                                conditional orders missed in a list */
    uint64_t prices_passed, places_repeated; /* stops whose trigger the price has passed in silence;
                                                protective orders asked for once more, by the same id */
    uint64_t cancelled_again;  /* orders that came alive at the venue after their end was told */
    struct hist round_trip_ns; /* of orders: sent to answered */
};
void binance_stats_get(const struct binance *b, struct binance_stats *out);

/* For `quantum doctor`: each check as one line, through print; returns how many failed. */
/* Needs binance_load to have been tried (its failure is one of the lines). */
uint32_t binance_doctor(struct binance *b, void (*print)(void *context, bool ok, const char *text),
                        void *context);
#endif
