/* What an account may ask about its past: orders, conditional orders, trades, income, amendments.
 *
 * Fed with every event of the exchange, in order. One block of memory without pointers (a snapshot is a
 * memcpy of history_size bytes). Pure. Rows of an account come ascending: by id, which is by time.
 *
 * An order has one row, renewed by each of its reports. When there is no row left, the one that finished
 * first goes; open ones stay. So rows must exceed what may be open at once (asserted when none is
 * finished): orders_max the exchange's orders_max + algos_max (classic conditional orders are orders),
 * algos_max the same sum (a conditional order whose child rests is open).
 *
 * Looking up an id costs a hash. A query costs the rows it looks at: of the account, of the account's
 * contract where one is named, of one order where that is; from the newest back, or from the nearer end
 * of them up to from_id or to_ns. */
#ifndef VENUE_EXCHANGE_HISTORY_H
#define VENUE_EXCHANGE_HISTORY_H

#include "venue/exchange/exchange.h"

struct history;
struct history_limits {
    uint32_t orders_max, algos_max, trades_max, incomes_max, amendments_max; /* rows, > 0 */
};
struct history_limits history_limits_defaults(void);
size_t history_size(const struct history_limits *limits);
struct history *history_init(void *memory, const struct history_limits *limits);
void history_event(struct history *h, const struct exchange_event *event);

struct history_trade {
    uint64_t trade_id, order_id;
    uint32_t account, instrument;
    uint8_t side, position_side, is_maker, reserved[5];
    px_t px;
    qty_t qty;
    money_t quote_qty, commission, realized;
    int64_t ts_ns;
};
struct history_income {
    uint64_t tran_id, trade_id;
    uint32_t account, instrument; /* instrument UINT32_MAX: none (transfer) */
    uint32_t type, reserved;      /* enum exchange_income */
    money_t amount;
    int64_t ts_ns;
};
struct history_amendment {
    uint64_t amendment_id, order_id;
    uint32_t account, instrument, count, reserved;
    px_t price_before, price_after;
    qty_t qty_before, qty_after;
    int64_t ts_ns;
    char client_order_id[CLIENT_ORDER_ID_SIZE];
};

/* The newest order with that id, or with that client id (id 0); NULL if there is none any more. Retention
 * as on the venue, counted from its creation: 3 days if cancelled or expired without a fill, otherwise
 * 90 days before now_ns (0: for ever), open ones always. Borrowed until the next event. */
const struct exchange_order *history_order(const struct history *h, uint32_t account,
                                           uint32_t instrument, uint64_t order_id,
                                           const char *client_order_id, int64_t now_ns);
const struct exchange_algo *history_algo(const struct history *h, uint32_t account,
                                         uint64_t algo_id, const char *client_algo_id,
                                         int64_t now_ns);

/* Which rows: 0 = does not matter. from_id: ids >= it (ascending from there); otherwise the newest
 * `limit` in [from_ns, to_ns], ascending. instrument UINT32_MAX: all. Ids are those of the rows: order,
 * algo, trade (ascending a contract), transaction, amendment; times those of creation. Rows past their
 * retention (above; 90 days for trades, incomes, amendments) are left out. `max` of the call bounds too. */
struct history_query {
    uint32_t account, instrument, limit, type; /* type: income */
    uint64_t from_id, order_id;                /* order_id: trades, amendments of one order */
    int64_t from_ns, to_ns, now_ns;
    uint32_t page; /* 2: the newest but `limit`, and so on; 0 is 1. Not with from_id. */
};
uint32_t history_orders(const struct history *h, const struct history_query *q,
                        struct exchange_order *out, uint32_t max);
uint32_t history_algos(const struct history *h, const struct history_query *q,
                       struct exchange_algo *out, uint32_t max);
uint32_t history_trades(const struct history *h, const struct history_query *q,
                        struct history_trade *out, uint32_t max);
uint32_t history_incomes(const struct history *h, const struct history_query *q,
                         struct history_income *out, uint32_t max);
uint32_t history_amendments(const struct history *h, const struct history_query *q,
                            struct history_amendment *out, uint32_t max);
#endif
