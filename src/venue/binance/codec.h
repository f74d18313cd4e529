/* What the venue sends, as structs. Borrowed bytes in, no allocation, no sockets.
 *
 * A text that is not JSON, or whose fields that we act on are missing or of another kind, is ST_INVALID and out is not
 * to be used; unknown fields are skipped, key order is free. Symbols that do not fit are "" (none of ours).
 *
 * Source   Binance USD-M documentation; shapes in docs/venue.md.
 * Tests    test_codec_rest.c, test_codec_stream.c; fuzz_rest_reply.c, fuzz_market_stream.c, fuzz_user_stream.c.
 *          Bench: parse_trade, parse_depth20. */
#ifndef VENUE_BINANCE_CODEC_H
#define VENUE_BINANCE_CODEC_H

#include "base/json.h"
#include "domain/bar.h"
#include "domain/instrument.h"
#include "domain/order.h"

enum venue_status { /* of an order */
                    STATUS_NONE = 0,
                    STATUS_NEW,
                    STATUS_PARTIALLY_FILLED,
                    STATUS_FILLED,
                    STATUS_CANCELED,
                    STATUS_REJECTED,
                    STATUS_EXPIRED, /* EXPIRED_IN_MATCH too */
};
enum algo_status {
    ALGO_NONE = 0,
    ALGO_NEW,
    ALGO_TRIGGERING,
    ALGO_TRIGGERED,
    ALGO_FINISHED,
    ALGO_CANCELED,
    ALGO_EXPIRED,
    ALGO_REJECTED,
};

/* ---- streams ---- */

enum stream_kind {
    STREAM_OTHER = 0,
    STREAM_TRADE, /* aggTrade, trade */
    STREAM_KLINE,
    STREAM_MARK,
    STREAM_BOOK_TICKER,
    STREAM_DEPTH,
    STREAM_CONTRACT, /* contractInfo */
    STREAM_ORDER,    /* ORDER_TRADE_UPDATE */
    STREAM_ALGO,     /* ALGO_UPDATE */
    STREAM_ACCOUNT,  /* ACCOUNT_UPDATE */
    STREAM_TRADE_LITE,
    STREAM_CONFIG, /* ACCOUNT_CONFIG_UPDATE */
    STREAM_MARGIN_CALL,
    STREAM_KEY_EXPIRED,
    STREAM_REPLY, /* to SUBSCRIBE and the like */
};

enum exec_type {
    EXEC_TYPE_NONE = 0,
    EXEC_TYPE_NEW,
    EXEC_TYPE_CANCELED,
    EXEC_TYPE_CALCULATED,
    EXEC_TYPE_EXPIRED,
    EXEC_TYPE_TRADE,
    EXEC_TYPE_AMENDMENT,
};

struct stream_order {
    uint8_t side, type, orig_type, status; /* enum side, order_type, order_type, venue_status */
    uint8_t exec, is_maker, reduce_only, close_position;
    int32_t expiry; /* "er" */
    uint32_t reserved;
    uint64_t order_id, trade_id;
    qty_t order_qty, last_qty, cum_qty;
    px_t last_px, avg_px;
    money_t commission, realized_pnl;
    int64_t trade_ns;
    char client_id[CLIENT_ORDER_ID_SIZE];
};
struct stream_algo {
    uint8_t side, type, status, close_position; /* enum side, order_type, algo_status */
    uint64_t algo_id, child_id;                 /* child: 0 before it fired */
    qty_t order_qty, filled_qty;
    px_t avg_px;
    char client_id[CLIENT_ORDER_ID_SIZE];
    char reason[64]; /* "rm" */
};

enum { STREAM_POSITIONS_MAX = 16, STREAM_LEVELS_MAX = 20 };
struct stream_account {
    char reason[32];
    bool has_wallet; /* a USDT row */
    bool cut;        /* more positions than fit: ask by REST */
    uint32_t count;
    money_t wallet, change;
    struct {
        char symbol[SYMBOL_SIZE];
        bool one_way; /* ps BOTH */
        qty_t qty;
        px_t entry_px;
        money_t isolated_wallet;
    } positions[STREAM_POSITIONS_MAX];
};
struct stream_level {
    px_t px;
    qty_t qty;
};

struct stream_event {
    enum stream_kind kind;
    int64_t event_ns; /* "E", 0 if absent */
    int64_t ts_ns;    /* "T" of what has one */
    char symbol[SYMBOL_SIZE];
    union {
        struct {
            uint64_t id;
            px_t px;
            qty_t qty;
            bool buyer_is_maker;
        } trade;
        struct {
            struct bar bar;
            bool closed;
            char interval[8];
        } kline;
        struct {
            px_t mark, index;
            rate_t funding;
            int64_t next_funding_ns;
        } mark;
        struct {
            uint64_t update_id;
            struct stream_level bid, ask;
        } book;
        struct { /* best levels first; cut: a side had more than STREAM_LEVELS_MAX */
            uint64_t first_id, last_id, previous_id;
            uint32_t bid_count, ask_count;
            bool cut;
            struct stream_level bids[STREAM_LEVELS_MAX], asks[STREAM_LEVELS_MAX];
        } depth;
        struct {
            uint32_t status; /* enum instrument_status */
            int64_t delivery_ns;
        } contract;
        struct stream_order order;
        struct stream_algo algo;
        struct stream_account account;
        struct {
            uint64_t order_id, trade_id;
            px_t last_px;
            qty_t last_qty;
            char client_id[CLIENT_ORDER_ID_SIZE];
        } lite;
        struct {
            uint32_t leverage; /* 0: another setting changed */
        } config;
        struct {
            bool failed;
            int64_t id, code;
        } reply;
    } u;
};
/* One frame, bare or combined. Kinds we do not use are STREAM_OTHER. */
enum status binance_stream_decode(struct stream_event *out, const char *text, size_t size);

/* ---- replies ---- */

struct rest_error {
    int32_t code;
    char message[160];
};
/* {"code":-N,"msg":"…"}; ST_INVALID if it is not that. */
enum status binance_rest_error(struct rest_error *out, const char *text, size_t size);

/* Whether the whole text is one JSON value: asked before rows are acted on one by one. */
bool binance_rest_is_whole(const char *text, size_t size);

struct rest_order {
    char symbol[SYMBOL_SIZE], client_id[CLIENT_ORDER_ID_SIZE];
    uint64_t order_id;
    uint8_t side, type, orig_type, status; /* enum side, order_type, order_type, venue_status */
    bool reduce_only, close_position;
    px_t price, stop_price;
    qty_t order_qty, cum_qty;
    int64_t update_ns;
};
struct rest_algo {
    char symbol[SYMBOL_SIZE], client_id[CLIENT_ORDER_ID_SIZE];
    uint64_t algo_id, child_id;
    uint8_t side, type, status, reserved; /* enum side, order_type, algo_status */
    bool reduce_only, close_position;
    px_t trigger_px;
    qty_t order_qty, filled_qty;
    int64_t update_ns;
};
struct rest_trade { /* row of userTrades */
    char symbol[SYMBOL_SIZE];
    uint64_t trade_id, order_id;
    uint8_t side;
    bool is_maker;
    px_t px;
    qty_t qty;
    money_t commission, realized_pnl;
    int64_t ts_ns;
};
struct rest_position { /* row of positionRisk, v2 or v3 */
    char symbol[SYMBOL_SIZE];
    bool one_way;
    qty_t qty;
    px_t entry_px;
    money_t isolated_wallet;
    uint32_t leverage; /* 0: not told (v3) */
    int64_t update_ns;
};
struct rest_income {
    char symbol[SYMBOL_SIZE];
    bool is_funding;
    money_t amount;
    int64_t ts_ns;
};
struct rest_symbol_config {
    char symbol[SYMBOL_SIZE];
    bool isolated;
    uint32_t leverage;
};
/* Readers of one value, for rows of an array; the reader keeps errors. False: a field we need is missing. */
bool binance_read_order(struct json_reader *r, struct rest_order *out);
bool binance_read_algo(struct json_reader *r, struct rest_algo *out);
bool binance_read_trade(struct json_reader *r, struct rest_trade *out);
bool binance_read_position(struct json_reader *r, struct rest_position *out);
bool binance_read_income(struct json_reader *r, struct rest_income *out);
bool binance_read_symbol_config(struct json_reader *r, struct rest_symbol_config *out);
bool binance_read_kline(struct json_reader *r, struct bar *out);

/* Whole replies of one object. */
enum status binance_rest_order(struct rest_order *out, const char *text, size_t size);
enum status binance_rest_algo(struct rest_algo *out, const char *text, size_t size);
enum status binance_rest_time(int64_t *server_ns, const char *text, size_t size);
enum status binance_rest_leverage(uint32_t *leverage, const char *text, size_t size);
enum { LISTEN_KEY_TEXT_SIZE = 129 };
enum status binance_rest_listen_key(char out[LISTEN_KEY_TEXT_SIZE], const char *text, size_t size);
struct rest_wallet { /* the USDT row of /balance */
    money_t balance, available;
    int64_t update_ns; /* when it changed last, 0 not said */
};
/* ST_NOT_FOUND: there is none, and out is zero. */
enum status binance_rest_wallet(struct rest_wallet *out, const char *text, size_t size);
enum status binance_rest_fees(rate_t *maker, rate_t *taker, const char *text, size_t size);
/* A field of an object that is true or false, or a string of that. ST_NOT_FOUND: no such field. */
enum status binance_rest_flag(bool *out, const char *field, const char *text, size_t size);

/* From exchangeInfo: what the symbols are, beside their filters (store/contracts.h reads those). */
struct rest_listing {
    char symbol[SYMBOL_SIZE];
    bool perpetual, quoted_usdt, trading;
};
struct rest_limits { /* 0: not told */
    uint32_t weight_1m, orders_10s, orders_1m;
};
/* Calls each for every symbol. */
enum status binance_rest_listings(struct rest_limits *limits, const char *text, size_t size,
                                  void (*each)(void *context, const struct rest_listing *l),
                                  void *context);

#endif
