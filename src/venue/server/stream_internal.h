/* Private to streams*.c and stream_*.c. */
#ifndef VENUE_SERVER_STREAM_INTERNAL_H
#define VENUE_SERVER_STREAM_INTERNAL_H

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/server/streams.h"

/* ---- which streams there are ---- */

/* How often a stream is looked at; those of CADENCE_EVENT say everything at once. */
enum stream_cadence {
    CADENCE_EVENT = 0,
    CADENCE_100MS,
    CADENCE_250MS,
    CADENCE_500MS,
    CADENCE_1S,
    CADENCE_2S,
    CADENCE_3S,
    CADENCE_COUNT
};

/* Streams of one contract. Names that mean the same speed (depth, depth@250ms) are streams of their own, since a
 * combined frame repeats the name that was asked for. */
enum { DEPTH_SPEEDS = 4, DEPTH_COUNT = DEPTH_SPEEDS + 1, TOP_COUNT = 3 * DEPTH_SPEEDS };
enum stream_slot {
    SLOT_TRADE = 0,
    SLOT_AGG,
    SLOT_BOOK,
    SLOT_MARK_1S,
    SLOT_MARK_3S,
    SLOT_MINI,
    SLOT_TICKER,
    SLOT_FORCE,
    SLOT_DEPTH, /* default, 100, 250, 500 ms; the fifth is rpiDepth@500ms */
    SLOT_TOP = SLOT_DEPTH + DEPTH_COUNT, /* 5, 10, 20 levels, each default, 100, 250, 500 ms */
    SLOT_KLINE = SLOT_TOP + TOP_COUNT,
    SLOT_CONTINUOUS = SLOT_KLINE + VENUE_INTERVALS,
    SLOT_COUNT = SLOT_CONTINUOUS + VENUE_INTERVALS
};
_Static_assert(SLOT_COUNT <= 64, "a contract's active streams are one word");
#define SLOT_BIT(slot)        (UINT64_C(1) << (slot))
#define SLOT_BITS(from, many) (((UINT64_C(1) << (many)) - 1) << (from))
#define DEPTH_BITS            SLOT_BITS(SLOT_DEPTH, DEPTH_COUNT)
#define TOP_BITS              SLOT_BITS(SLOT_TOP, TOP_COUNT)
#define KLINE_BITS            SLOT_BITS(SLOT_KLINE, 2 * VENUE_INTERVALS)

/* Streams of all contracts together. */
enum stream_global {
    GLOBAL_BOOK = 0,
    GLOBAL_MARK_1S,
    GLOBAL_MARK_3S,
    GLOBAL_MINI,
    GLOBAL_TICKER,
    GLOBAL_FORCE,
    GLOBAL_CONTRACT,
    GLOBAL_COUNT
};

/* Numbers: contract * SLOT_COUNT + slot; then the global ones; then one an account. */
#define STREAM_MUTE UINT32_MAX /* acknowledged, and nothing ever comes */

enum { STREAM_NAME_SIZE = 72 }; /* a listen key has 64, the longest contract stream 61 */

/* Slot and cadence of the text behind '@' of a contract's stream; -1 unknown. */
int stream_suffix_find(const char *suffix, size_t size);
/* The text behind '@', 24 bytes with its end at most; returns its length. */
size_t stream_suffix(char *out, int slot);
int stream_global_find(const char *name, size_t size);
const char *stream_global_name(int global);
enum stream_cadence stream_slot_cadence(int slot);
enum stream_cadence stream_global_cadence(int global);
enum stream_route stream_slot_route(int slot);
enum stream_route stream_global_route(int global);
/* Slots of a cadence, as bits. */
uint64_t stream_cadence_slots(enum stream_cadence cadence);
int64_t stream_cadence_ns(enum stream_cadence cadence);
/* Printable and free of what JSON would escape, 1..STREAM_NAME_SIZE-1 bytes. */
bool stream_name_is_plain(const char *name, size_t size);

/* ---- user data ---- */

enum user_event {
    USER_ORDER = 1,
    USER_ACCOUNT = 2,
    USER_TRADE_LITE = 4,
    USER_ALGO = 8,
    USER_MARGIN_CALL = 16,
    USER_CONFIG = 32,
    USER_KEY = 64, /* listenKeyExpired: always told */
    USER_ALL = 127
};
/* Bits of a list like ORDER_TRADE_UPDATE/ACCOUNT_UPDATE; unknown names are nothing. USER_KEY is in it. */
uint32_t stream_user_events(const char *list, size_t size);

/* ---- state ---- */

struct subscriber {
    struct stream_client *client;
    uint32_t events; /* of user data */
};
struct stream {
    struct subscriber *items;
    uint32_t count, capacity;
};

struct subscription {
    uint32_t stream, hash, size;
    char name[STREAM_NAME_SIZE];
};
struct stream_client {
    struct streams_sink sink;
    struct stream_client *next, *prev;
    struct subscription *subscriptions;
    uint32_t count, capacity;
    enum stream_route route;
    bool combined;
    bool gone;   /* its sink took no more */
    bool doomed; /* closed while a message was going out */
    char *held;  /* fault: this frame goes behind the next */
    size_t held_size;
    int64_t held_ns;
};

struct level_change {
    uint64_t sequence;
    px_t px;
    qty_t qty;
    uint32_t side, order; /* order: of its happening, for sorting */
};
struct depth_chain {
    uint64_t last_u;
    uint32_t from; /* first change not told yet */
};
struct kline_mark {
    int64_t open_ns; /* candle told last, INT64_MIN none */
    uint64_t last_id;
    uint32_t count;
};

/* What was not told yet since a trade. */
enum {
    DIRTY_AGG = 1,
    DIRTY_KLINE = 2,
    DIRTY_MINI = 4,
    DIRTY_TICKER = 8,
    DIRTY_MINIS = 16,
    DIRTY_TICKERS = 32,
    DIRTY_ALL = 63
};

struct stream_contract {
    uint64_t active; /* slots with subscribers */
    uint8_t dirty, forced_set;
    int px_decimals, qty_decimals, quote_decimals;
    uint32_t lower_size;
    char lower[SYMBOL_SIZE];
    uint64_t agg_next;  /* first aggregate trade not told */
    uint64_t book_seen; /* sequence at which the best prices were looked at */
    px_t bid, ask;      /* told last */
    qty_t bid_qty, ask_qty;
    int64_t level_ns; /* last change of the book */
    uint64_t level_sequence;
    struct level_change *changes;
    uint32_t change_count, change_capacity;
    struct depth_chain depth[DEPTH_COUNT];
    uint64_t top_u[TOP_COUNT];
    struct kline_mark klines[2 * VENUE_INTERVALS];
    struct exchange_event forced; /* largest since it was told */
};

struct stream_user {
    char key[LISTEN_KEY_SIZE]; /* "": none */
    int64_t expires_ns;
};

struct streams {
    struct world *world;
    struct streams_options options;
    uint32_t contract_count, user_count, user_capacity;
    struct stream_contract *contracts;
    struct stream *contract_streams; /* (contract_count * SLOT_COUNT) */
    struct stream globals[GLOBAL_COUNT];
    struct stream *user_streams; /* (user_count) */
    struct stream_user *users;
    struct stream_client *clients;
    int64_t now_ns;
    int64_t next_ns[CADENCE_COUNT];
    uint32_t cadence_subscriptions[CADENCE_COUNT];
    /* Those of them that wait for more than a trade (books); without them and without a trade nothing is due. */
    uint32_t eager_subscriptions[CADENCE_COUNT];
    bool traded[CADENCE_COUNT]; /* since the last tick */
    uint64_t cadence_slots[CADENCE_COUNT];
    int64_t kline_minute; /* full minutes at the last look at candles */
    int64_t keys_deadline_ns;
    char
        *text; /* one message: room for a frame's and a combined message's head, then the payload */
    size_t text_capacity;
    struct level_change *sorted;
    uint32_t sorted_capacity;
    uint32_t sending, doomed, held;
    bool user_silent;
    bool balance_waits; /* an ACCOUNT_UPDATE: the TRADE_LITE of its execution goes in front of it */
    struct exchange_event balance;
    enum stream_fault (*fault)(void *context, bool user_data);
    void *fault_context;
    struct rng rng;
    struct streams_stats stats;
};

/* streams.c */
enum { TEXT_ROOM = 128 };
/* Memory that grows with what is subscribed and with the changes of one interval; never NULL: a process that gets
 * none ends, and stands where it stood when it is started again. */
void *stream_grow(void *memory, uint32_t *capacity, uint32_t needed, size_t item);
/* Where to write a payload of at most `size` bytes. */
char *stream_payload(struct streams *s, size_t size);
/* The payload now ends at `end`: to everyone on that stream. */
void stream_publish(struct streams *s, uint32_t stream, const char *end);
void stream_publish_user(struct streams *s, uint32_t account, uint32_t event, const char *end);
static inline uint32_t stream_number(uint32_t contract, int slot) {
    return contract * SLOT_COUNT + (uint32_t)slot;
}
static inline uint32_t stream_global_number(const struct streams *s, int global) {
    return s->contract_count * SLOT_COUNT + (uint32_t)global;
}
static inline uint32_t stream_user_number(const struct streams *s, uint32_t account) {
    return s->contract_count * SLOT_COUNT + GLOBAL_COUNT + account;
}
static inline bool stream_global_active(const struct streams *s, int global) {
    return s->globals[global].count > 0;
}
/* Account of a live listen key, -1 none. */
int64_t stream_key_find(const struct streams *s, const char *key, size_t size);
/* ST_OK also for a name that never delivers; ST_FULL: the limit; ST_INVALID: not a plain name. */
enum status stream_subscribe(struct streams *s, struct stream_client *c, const char *name,
                             size_t size, uint32_t events);
bool stream_is_subscribed(const struct stream_client *c, const char *name, size_t size);
/* From the contract's rules, which may change. */
void stream_contract_decimals(struct streams *s, uint32_t contract);
void stream_unsubscribe(struct streams *s, struct stream_client *c, const char *name, size_t size);

/* stream_market.c: a stream gets its first subscriber; events; the timed ones. */
void stream_market_begin(struct streams *s, uint32_t contract, int slot);
void stream_market_event(struct streams *s, const struct exchange_event *e);
void stream_market_tick(struct streams *s, enum stream_cadence cadence);
/* stream_book.c */
void stream_book_begin(struct streams *s, uint32_t contract, int slot);
void stream_book_event(struct streams *s, const struct exchange_event *e);
void stream_book_tick(struct streams *s, uint32_t contract, uint64_t slots);
/* stream_user.c */
void stream_user_event(struct streams *s, const struct exchange_event *e);
void stream_user_flush(struct streams *s);
void stream_user_expired(struct streams *s, uint32_t account, const char *key, int64_t now_ns);
/* stream_path.c: reads a handshake's path and subscribes. False: refused. */
bool stream_path_open(struct streams *s, struct stream_client *c, struct net_text path,
                      struct net_text query);

#endif
