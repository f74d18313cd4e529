/* The table of calls and what its handlers share. Of this module only. */
#ifndef VENUE_SERVER_REST_INTERNAL_H
#define VENUE_SERVER_REST_INTERNAL_H

#include "base/tstamp.h"
#include "venue/server/limits.h"
#include "venue/server/render.h"
#include "venue/server/rest.h"
#include "venue/server/streams.h"

/* What one call works on. A handler writes its JSON to out and returns 0, or returns the venue's code
 * (what it wrote is then taken back); `argument` fills the %s of the code's text, or of its other text if `alt`. */
struct rest_call {
    struct rest *rest;
    struct exchange *exchange;
    const struct wire_params *params;
    const struct key_row *key; /* NULL: public call */
    uint32_t account;          /* 0: public call */
    int64_t now_ns;            /* exchange time */
    struct json_writer *out;
    bool json_numbers; /* parameters came as JSON: 1e-7 is a number there */
    bool alt;
    char argument[96];
};
typedef int32_t rest_handler(struct rest_call *c);

enum rest_security { SECURITY_NONE = 0, SECURITY_KEY, SECURITY_USER, SECURITY_TRADE };
enum rest_weigh { WEIGH_FIXED = 0, WEIGH_KLINES, WEIGH_DEPTH };

struct rest_row {
    uint8_t method;               /* enum net_method, 0: WebSocket API only */
    const char *path, *ws_method; /* NULL: not there */
    uint8_t security, weigh;
    uint8_t weight, weight_all; /* weight_all: without a symbol */
    uint8_t orders_10s, orders_1m, pool;
    rest_handler *handler;
};
extern const struct rest_row rest_table[];
extern const uint32_t rest_table_count;
/* NULL if there is no such call. */
const struct rest_row *rest_row_find(const struct rest *r, enum net_method method,
                                     struct net_text path);
const struct rest_row *rest_row_find_ws(const struct rest *r, const char *method, size_t size);
void rest_routes_init(struct rest_private *p);
enum rest_class rest_class_of_row(const struct rest_row *row);
uint32_t rest_row_weight(const struct rest_row *row, const struct wire_params *params);

enum {
    REST_TEXT_BYTES = 2 << 20,   /* decoded parameters, signed text: twice net's largest body */
    REST_REPLY_BYTES = 64 << 20, /* the open orders of 512 contracts, 200 each, are 61 MB */
    REST_ROWS_BYTES = 32 << 20,  /* the same as structs */
    REST_ROUTE_SLOTS = 512,      /* > 2 * calls */
    REST_BATCH_BYTES = 8 << 10,  /* decoded parameters of one element of a batch */
};
struct rest_private {
    char *params, *params2, *signed_text, *reply; /* params2: one element of a batch */
    void *rows;
    uint16_t routes[REST_ROUTE_SLOTS], ws_routes[REST_ROUTE_SLOTS]; /* row + 1, by hash */
};

/* ---- rest.c ---- */

/* Sets the argument of the code's text and returns the code. */
int32_t rest_refuse(struct rest_call *c, int32_t code, const char *argument);
/* The same for the code's other text (venue_error_text_alt). */
int32_t rest_refuse_alt(struct rest_call *c, int32_t code, const char *argument);
/* {"code":…,"msg":…} of a refusal. */
void rest_write_error(const struct rest_call *c, int32_t code, struct json_writer *w);
/* Weight, then orders; 0 or HTTP 429 / 418 with *code, retry_ms set. Counted always, refused only where enforced. */
int rest_charge(struct rest_call *c, const struct rest_row *row, const char *peer, int32_t *code,
                int64_t *retry_ms);
int rest_charge_orders(struct rest_call *c, const struct rest_row *row, int32_t *code,
                       int64_t *retry_ms);
/* timestamp and recvWindow. */
int32_t rest_check_time(struct rest_call *c);
/* Unknown key or one without the right: -2015. */
int32_t rest_check_key(struct rest_call *c, const struct rest_row *row, const char *api_key,
                       size_t size);
/* One input through world_do; the refusal with its argument. */
int32_t rest_do(struct rest_call *c, const struct exchange_input *in, struct exchange_reply *reply);

/* ---- rest_params.c: each returns 0 or the venue's code ---- */

enum { ALL_INSTRUMENTS = UINT32_MAX };
int32_t rest_missing(struct rest_call *c, const char *name); /* -1102 */
/* Its text, NULL if absent; -1105 if it is there and empty. */
int32_t rest_text(struct rest_call *c, const char *name, const char **out);
int32_t rest_text_required(struct rest_call *c, const char *name, const char **out);
int32_t rest_symbol(struct rest_call *c, uint32_t *instrument);
int32_t rest_symbol_optional(struct rest_call *c, uint32_t *instrument); /* ALL_INSTRUMENTS */
/* Out of the range of a query for one or all: [begin, end). */
void rest_symbol_range(const struct rest_call *c, uint32_t instrument, uint32_t *begin,
                       uint32_t *end);
/* Non-negative decimal; *present false and *out 0 if absent. More than `decimals` digits that matter: -1111;
 * beyond int64: range_code. */
int32_t rest_decimal(struct rest_call *c, const char *name, int decimals, int32_t range_code,
                     bool *present, int64_t *out_e8);
int32_t rest_integer(struct rest_call *c, const char *name, bool *present, int64_t *out);
int32_t rest_integer_required(struct rest_call *c, const char *name, int64_t *out);
int32_t rest_bool(struct rest_call *c, const char *name, bool *present, bool *out);
/* An enumeration: `absent` if it is not there; find's -1 is refused with the code (its %s the value). */
int32_t rest_enum(struct rest_call *c, const char *name, int (*find)(const char *), int32_t code,
                  int absent, uint8_t *out);
/* 1..max, else -1130. */
int32_t rest_limit(struct rest_call *c, uint32_t absent, uint32_t max, uint32_t *out);
/* startTime, endTime in ns, 0 if absent; -1023 if they are crossed. */
int32_t rest_times(struct rest_call *c, int64_t *from_ns, int64_t *to_ns);
/* The same with the venue's window of days: nothing sent is the newest window, one end sent sets the other. */
int32_t rest_times_window(struct rest_call *c, int days, int64_t *from_ns, int64_t *to_ns);
/* Of the lists of all orders: symbol, limit, and the id from which on (id_name) with any times, or
 * none and the newest week. */
int32_t rest_history_query(struct rest_call *c, const char *id_name, struct history_query *q);
/* An end that was not sent, as the market's statistics want it. */
static inline int64_t rest_until(int64_t to_ns) {
    return to_ns ? to_ns : INT64_MAX;
}
/* orderId or origClientOrderId (or the algo names); the id wins. client_id "" if by id. */
int32_t rest_order_id(struct rest_call *c, const char *id_name, const char *client_name,
                      uint64_t *id, char client_id[CLIENT_ORDER_ID_SIZE]);

/* ---- shared between handlers ---- */

static inline const struct instrument *rest_instrument(const struct rest_call *c, uint32_t i) {
    return exchange_instrument(c->exchange, i);
}
static inline int64_t rest_ms(int64_t ns) {
    return ns / NS_PER_MS;
}
/* The object of a cancelled order. */
void rest_write_canceled(struct rest_call *c, const struct exchange_reply *reply);
/* Parameters that both kinds of order know: sides, enumerations, flags, client id. */
int32_t rest_order_common(struct rest_call *c, struct exchange_input *in,
                          const char *client_id_name);
/* What the account and its key may; members of an object. */
void rest_write_account_flags(struct rest_call *c, const struct exchange_account *a);
/* goodTillDate of an order with time in force GTD. */
int32_t rest_good_till(struct rest_call *c, struct exchange_input *in);
/* newOrderRespType. */
int32_t rest_response_type(struct rest_call *c, bool *result);

/* X(handler): every handler of the table. */
#define REST_HANDLERS(X)                                                                           \
    X(ping)                                                                                        \
    X(time)                                                                                        \
    X(exchange_info)                                                                               \
    X(depth)                                                                                       \
    X(rpi_depth)                                                                                   \
    X(trades)                                                                                      \
    X(historical_trades)                                                                           \
    X(agg_trades)                                                                                  \
    X(klines)                                                                                      \
    X(continuous_klines)                                                                           \
    X(index_klines)                                                                                \
    X(mark_klines)                                                                                 \
    X(premium_klines)                                                                              \
    X(premium_index)                                                                               \
    X(funding_rate)                                                                                \
    X(funding_info)                                                                                \
    X(ticker_day)                                                                                  \
    X(ticker_price)                                                                                \
    X(ticker_book)                                                                                 \
    X(open_interest)                                                                               \
    X(constituents)                                                                                \
    X(empty_list)                                                                                  \
    X(empty_symbols)                                                                               \
    X(data_empty)                                                                                  \
    X(data_taker)                                                                                  \
    X(data_basis)                                                                                  \
    X(order_place)                                                                                 \
    X(order_test)                                                                                  \
    X(order_get)                                                                                   \
    X(order_cancel)                                                                                \
    X(order_amend)                                                                                 \
    X(open_order)                                                                                  \
    X(open_orders)                                                                                 \
    X(all_orders)                                                                                  \
    X(cancel_all)                                                                                  \
    X(batch_place)                                                                                 \
    X(batch_amend)                                                                                 \
    X(batch_cancel)                                                                                \
    X(countdown)                                                                                   \
    X(amendments)                                                                                  \
    X(algo_place)                                                                                  \
    X(algo_cancel)                                                                                 \
    X(algo_get)                                                                                    \
    X(algo_open)                                                                                   \
    X(algo_all)                                                                                    \
    X(algo_cancel_all)                                                                             \
    X(leverage)                                                                                    \
    X(margin_type)                                                                                 \
    X(mode_set)                                                                                    \
    X(mode_get)                                                                                    \
    X(multi_set)                                                                                   \
    X(multi_get)                                                                                   \
    X(position_margin)                                                                             \
    X(margin_history)                                                                              \
    X(brackets)                                                                                    \
    X(commission)                                                                                  \
    X(symbol_config)                                                                               \
    X(account_config)                                                                              \
    X(rate_limit_order)                                                                            \
    X(fee_burn_get)                                                                                \
    X(fee_burn_set)                                                                                \
    X(trading_status)                                                                              \
    X(adl)                                                                                         \
    X(balance_v2)                                                                                  \
    X(balance_v3)                                                                                  \
    X(account_v2)                                                                                  \
    X(account_v3)                                                                                  \
    X(position_v2)                                                                                 \
    X(position_v3)                                                                                 \
    X(user_trades)                                                                                 \
    X(income)                                                                                      \
    X(force_orders)                                                                                \
    X(key_start)                                                                                   \
    X(key_ping)                                                                                    \
    X(key_stop)
#define REST_HANDLER_DECLARE(name) int32_t rest_##name(struct rest_call *c);
REST_HANDLERS(REST_HANDLER_DECLARE)
#undef REST_HANDLER_DECLARE
#endif
