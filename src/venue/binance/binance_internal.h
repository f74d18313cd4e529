/* The client without its sockets: what tests drive under a clock of their own, and what binance.c, rest.c and streams.c
 * put onto libuv. Replies and frames come in through binance_on_*, everything that is to leave goes through ports. */
#ifndef VENUE_BINANCE_BINANCE_INTERNAL_H
#define VENUE_BINANCE_BINANCE_INTERNAL_H

#include "venue/binance/binance.h"
#include "venue/binance/orders.h"
#include "venue/binance/requests.h"
#include "venue/binance/tape.h"
#include "venue/wire/wire.h"

struct binance_send {
    uint32_t id;
    enum http_method method;
    enum request_host host;
    const char *target; /* path?query, signed; borrowed until send returns */
    bool with_key;      /* X-MBX-APIKEY */
    int64_t within_ns;
};
struct binance_ports {
    void *context;
    int64_t (*now)(void *context); /* monotonic */
    /* Lets time pass and input come in, until something came or until_ns. */
    void (*wait)(void *context, struct binance *b, int64_t until_ns);
    void (*send)(void *context, const struct binance_send *s); /* answers with binance_on_reply */
    void (*abort)(void *context, uint32_t id);                 /* no reply to it any more */
    void (*socket_open)(void *context, uint32_t socket, const char *path);
    void (*socket_send)(void *context, uint32_t socket, const char *text, size_t size);
    void (*socket_close)(void *context,
                         uint32_t socket); /* binance_on_socket_down does not follow */
    void (*destroy)(void *context);
};

/* ---- sockets ---- */

/* Feed 0 is user data; the others are market data of FEED_SYMBOLS contracts each. Two sockets a feed, so that one can
 * take over from the other. */
enum {
    FEED_SYMBOLS = 256,
    FEEDS_MAX = 1 + INSTRUMENTS_MAX / FEED_SYMBOLS,
    SOCKETS_MAX = 2 * FEEDS_MAX
};
enum socket_phase { SOCKET_NONE = 0, SOCKET_CONNECTING, SOCKET_OPEN };
struct feed {
    struct {
        enum socket_phase phase;
        int64_t since_ns, text_ns; /* of the phase; of the last frame */
        int64_t close_at_ns;       /* replaced: closes then; 0 no */
    } sockets[2];
    uint32_t current; /* the other one is spare */
    uint32_t failures;
    int64_t retry_at_ns;
    bool was_up;
};
struct session {
    struct feed feeds[FEEDS_MAX];
    uint32_t feed_count; /* 0: streams are off */
    char listen_key[LISTEN_KEY_TEXT_SIZE];
    int64_t key_ns, key_renew_at_ns;
    bool key_busy;
    bool user_gap; /* user events may have been missed since the last reconciliation */
    enum binance_link told_rest, told_market, told_user;
    int64_t rest_silent_since_ns; /* 0: the last request was answered */
};

/* ---- market ---- */

enum { BARS_HELD_MAX = 4 };
struct market_symbol {
    int64_t last_open_ns; /* of the last bar told; 0 none */
    int64_t ask_at_ns;    /* monotonic: REST is asked for what is missing; 0 no */
    bool asking;
    uint8_t held_count, misses;
    struct bar held[BARS_HELD_MAX]; /* later than the gap */
    uint64_t last_tick_id;
    int64_t mark_ns;
};

/* ---- reconciliation ---- */

struct reconcile {
    bool running, wanted, failed, compared;
    bool report;        /* finished: to be told behind its events */
    bool income_wanted; /* funding history too */
    bool income_asked;  /* in this look */
    uint8_t failures;   /* cycles in a row */
    uint32_t pending;   /* replies */
    int64_t started_ns, next_ns, income_from_ns;
    uint64_t fills_before;
    bool has_wallet;
    struct rest_wallet wallet;
    int64_t wallet_ns; /* venue time of the question, at the least */
    struct binance_reconciliation result;
    bool seen[ORDERS_MAX];        /* by slot */
    uint32_t serials[ORDERS_MAX]; /* the slot's order when it was seen */
};

/* ---- watch ---- */

struct watch_list { /* open orders of a contract at one service */
    int64_t asked_ns,
        looked_ns; /* monotonic: the last question; the question of the newest answer */
    uint8_t flying;
};
struct watch_symbol {
    qty_t venue;    /* of the newest answer */
    int64_t row_ns; /* venue time of its last change; where nothing is held, of the question */
    int64_t booked_ns, differs_ns,
        looked_up_ns;               /* monotonic: last told; differing since, 0 agrees; trades
                                                    looked through as they were then */
    int64_t doubt_ns, doubt_row_ns; /* a difference that no trade explains, found then; 0 none */
    qty_t doubt_venue, doubt_booked;
    struct watch_list lists[2]; /* classic service, algo service */
    uint8_t rests;              /* a bit each: a conditional order rests there */
};
struct watch_row {
    qty_t qty;
    px_t entry_px;
    money_t isolated_wallet;
    uint32_t leverage;
    int64_t ts_ns;
};
struct account_watch {
    int64_t next_ns, orders_next_ns; /* monotonic: positions, lists are asked for */
    int64_t looked_ns;      /* the question of the newest answer about positions left then */
    int64_t close_until_ns; /* something was missed: looked at closely until then */
    uint8_t flying;
    bool overtaken; /* by what was told meanwhile: to be asked again soon */
    uint32_t stamp, outside_count;
    uint64_t
        outside_hash; /* of the contracts held that are none of the run's: told when it changes */
    struct watch_list all[2];
    struct watch_symbol symbols[INSTRUMENTS_MAX];
    struct watch_row rows[INSTRUMENTS_MAX]; /* of one answer */
};

enum lookup_step { LOOKUP_IDLE = 0, LOOKUP_TRADES, LOOKUP_WHOSE };
struct lookup {
    enum lookup_step step;
    uint32_t instrument, serial; /* serial: of the present question */
    uint32_t asked, flying;
    int64_t begun_ns, asked_ns;
    uint64_t order_id;
    struct rest_trade *rows; /* trades that were not told */
    size_t row_count, row_at;
};

/* Open orders of our form that nobody here has named, of the reconciliation under way; more of them come at the next. */
enum { FOUND_MAX = 64 };
struct found {
    uint32_t count;
    struct found_row {
        uint32_t instrument;
        bool is_algo;
        struct rest_order order;
        struct rest_algo algo;
    } rows[FOUND_MAX];
    int64_t
        look_until_ns; /* monotonic: entries asked for before may be of wishes of a life before this one */
    int64_t look_from_ns; /* venue time: when the oldest of those wishes may have been made */
};

struct binance {
    struct binance_options options;
    char *texts; /* copies of the options' strings, secrets wiped at the end */
    size_t texts_size;
    struct wire_key *key;
    struct binance_ports ports;
    struct binance_clock clock;
    struct requests requests;
    struct orders orders;
    struct session session;
    struct reconcile reconcile;
    struct account_watch watch;
    struct lookup lookup;
    struct found found;
    struct market_symbol market[INSTRUMENTS_MAX];
    struct binance_position positions[INSTRUMENTS_MAX];
    int64_t position_ns[INSTRUMENTS_MAX]; /* venue time of the row */
    bool isolated[INSTRUMENTS_MAX];
    uint32_t leverage_asked[INSTRUMENTS_MAX]; /* on its way, 0 none */
    struct instrument *instruments;
    uint32_t instrument_count;
    uint32_t *symbol_map1; /* hash table, SYMBOL_MAP_SIZE */
    int64_t interval_ns;
    struct rest_limits limits;
    struct {
        int64_t next_ns, asked_ns; /* monotonic; 0 not yet */
        int64_t doubt_ns;          /* the last refusal that doubts them; 0 none open */
        struct rules_hold {
            int64_t until_ns; /* orders of the contract wait until then, or until they are known */
            int32_t code;
            int32_t
                untold; /* of an order whose fate is not known: told of the contract's next one */
        } holds[INSTRUMENTS_MAX];
        bool busy;
    } rules;
    int64_t wallet_ns; /* venue time of the question that binance_load read the balance by */
    bool algo_service, loaded, started;
    bool may_withdraw_known, may_withdraw;
    uint32_t probes_flying;
    int64_t probe_at_ns, probed_ns;
    struct venue_event *queue; /* to be told at the end of the step */
    size_t queue_count, queue_at, queue_capacity;
    bool told;      /* a handler was called since the last poll began */
    bool stirred;   /* something came, or was asked for, that the last round did not know of */
    int64_t due_ns; /* monotonic: without that, the next round */
    bool broken;    /* memory ran out: nothing is sent any more */
    struct binance_tape *tape;
    struct rng rng;
    struct binance_stats stats;
};

/* The client on given ports (which it then owns). */
enum status binance_create_on(struct binance **out, const struct binance_options *options,
                              const struct binance_ports *ports, struct err *err);

/* ---- input from the ports ---- */
void binance_on_reply(struct binance *b, uint32_t id, const struct reply *reply);
void binance_on_socket_up(struct binance *b, uint32_t socket);
void binance_on_socket_text(struct binance *b, uint32_t socket, const char *text, size_t size);
void binance_on_socket_down(struct binance *b, uint32_t socket);

/* ---- shared among the files of the client ---- */

/* One round: timers, what is wanted, sending, telling. Returns when it wants to be called again, monotonic. */
int64_t binance_step(struct binance *b);
static inline int64_t binance_monotonic(const struct binance *b) {
    return b->ports.now(b->ports.context);
}
/* Contract number, -1 none. */
int binance_symbol_find(const struct binance *b, const char *symbol);
void binance_symbols_index(struct binance *b); /* after the contracts changed */
/* A request ready to be filled in; NULL only when REQUESTS_MAX wait. */
struct request *binance_request(struct binance *b, enum binance_lane lane, enum http_method method,
                                enum request_auth auth, const char *path, uint32_t weight,
                                request_done *done, uint64_t ref);
/* Adds &name=value, percent-encoded. */
void binance_param(struct request *r, const char *name, const char *value);
void binance_param_i64(struct request *r, const char *name, int64_t value);
void binance_param_e8(struct request *r, const char *name, int64_t e8);

/* order_requests.c */
void binance_place(struct binance *b, struct order *o);
/* A request for an order is on its way. */
void binance_order_left(struct binance *b, const struct request *r);
/* What a request is about, to be found again by its reply; NULL if the slot is another order's by now. */
uint64_t binance_order_ref(const struct binance *b, const struct order *o);
struct order *binance_order_of(struct binance *b, uint64_t ref);
int64_t binance_orders_work(struct binance *b, int64_t now_ns);
void binance_leverage(struct binance *b, const struct venue_command *c, enum binance_lane lane);
/* The venue says what leverage stands; told if it is news, whoever set it. */
void binance_leverage_seen(struct binance *b, uint32_t instrument, uint32_t leverage);
/* An order of ours that the venue has, as a question that left at seen_ns told, though its end was told before: cancelled. */
void binance_order_again(struct binance *b, struct order *o, int64_t seen_ns);
/* watch.c */
/* A price of the contract: stops whose trigger it has passed are asked after if nothing is told of them soon. */
void binance_orders_price(struct binance *b, uint32_t instrument, px_t px, bool is_mark);
int64_t binance_watch_time(struct binance *b, int64_t now_ns);
void binance_watch_now(struct binance *b, int64_t now_ns);
/* The streams have missed something, or may have: more often for a while. */
void binance_watch_closely(struct binance *b, int64_t now_ns);
void binance_watch_booked(struct binance *b, uint32_t instrument);
/* Positions were looked at since then, and what differed has had its trades looked through. */
bool binance_watch_is_settled(const struct binance *b, int64_t since_ns);
/* lookup.c */
enum status binance_lookup_open(struct binance *b, struct err *err);
void binance_lookup_start(struct binance *b, uint32_t instrument, int64_t now_ns);
int64_t binance_lookup_time(struct binance *b, int64_t now_ns);
/* session.c */
void binance_session_start(struct binance *b);
int64_t binance_session_time(struct binance *b, int64_t now_ns);
void binance_session_rest(struct binance *b, bool answered);
void binance_session_stop(struct binance *b);
/* market.c */
void binance_market_start(struct binance *b);
int64_t binance_market_time(struct binance *b, int64_t now_ns);
void binance_market_event(struct binance *b, const struct stream_event *e);
/* rules.c */
int64_t binance_rules_time(struct binance *b, int64_t now_ns);
/* A refusal that right rules would have spared us: they are asked for at once. true: it is to be told only behind them,
 * so that whoever asks again asks rightly. */
bool binance_rules_doubt(struct binance *b, int32_t code, int64_t now_ns);
/* The rules are as the venue has them now, or will not be known soon. */
void binance_orders_rules_known(struct binance *b, int64_t now_ns);
/* requests.may_order: an order that waited to be sent while its contract's rules changed is not sent as it is, nor
 * while they are being asked for; it is told as refused by them. */
bool binance_may_order(void *context, struct request *r, int64_t now_ns);
void binance_instrument_changed(struct binance *b, uint32_t instrument);
/* user.c */
void binance_user_event(struct binance *b, const struct stream_event *e);
/* reconcile.c */
/* Fills of ours that are on their way, or orders that nobody can speak of, may explain a difference of positions. */
bool binance_fills_are_due(const struct binance *b, uint32_t instrument);
/* Somebody else holds it: as told, or as the venue says and no fill of ours that is due explains. */
bool binance_is_foreign(const struct binance *b, uint32_t instrument);
int64_t binance_reconcile_time(struct binance *b, int64_t now_ns);
/* found.c */
void binance_found_start(struct binance *b);
void binance_found_order(struct binance *b, const struct rest_order *row);
void binance_found_algo(struct binance *b, const struct rest_algo *row);
/* Behind the positions. true: some of it has to wait for another look. */
bool binance_found_tell(struct binance *b, int64_t now_ns);
/* Whether the venue is to be asked first if it was asked for that entry before; and asking. */
bool binance_look_is_due(const struct binance *b, const struct order *o);
void binance_look(struct binance *b, struct order *o);
/* load.c: asks and waits. body is malloced, the caller's. */
struct ask {
    bool done;
    enum outcome outcome;
    int http;
    int32_t code;
    char message[ANSWER_MESSAGE_SIZE];
    char *body;
    size_t size;
};
enum status binance_ask(struct binance *b, struct request *r, struct ask *out, int64_t until_ns,
                        struct err *err);
void binance_ask_free(struct ask *a);

#endif
