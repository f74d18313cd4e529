/* A small exchange for tests: two contracts, a house, and every input checked for conserved money.
 *
 * Contract 0 is BTCUSDT-like (tick 0.1, step 0.001, brackets of 2021, binance-usdm 9.6), contract 1 ETHUSDT-like
 * (tick 0.01). Numbers are written in whole units and become e8. */
#ifndef VENUE_EXCHANGE_TEST_EXCHANGE_H
#define VENUE_EXCHANGE_TEST_EXCHANGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "venue/exchange/exchange.h"

enum { TX_EVENTS = 4096, BTC = 0, ETH = 1 };

struct tx {
    struct exchange *ex;
    void *memory;
    int64_t now;
    struct exchange_reply r;
    struct exchange_event event[TX_EVENTS]; /* of the last input */
    uint32_t events;
};

#define E8(x) ((int64_t)((x)*1e8 + ((x) < 0 ? -0.5 : 0.5)))
#define PX(x)                                                                                      \
    { E8(x) }
#define QTY(x)                                                                                     \
    { E8(x) }
#define USDT(x)                                                                                    \
    { E8(x) }
#define SECOND     INT64_C(1000000000)
#define TX(w, ...) tx_do((w), &(struct exchange_input){__VA_ARGS__})

static inline struct instrument tx_instrument(const char *symbol, double tick) {
    struct instrument in;
    instrument_defaults(&in, symbol);
    in.tick_size.e8 = in.px_min.e8 = E8(tick);
    in.px_max.e8 = E8(1000000);
    in.step_size.e8 = in.qty_min.e8 = in.market_step_size.e8 = in.market_qty_min.e8 = E8(0.001);
    in.qty_max.e8 = E8(1000);
    in.market_qty_max.e8 = E8(120);
    in.bracket_count = 5;
    in.brackets[0] = (struct bracket){USDT(0), USDT(50000), {400000}, USDT(0), 125, 0};
    in.brackets[1] = (struct bracket){USDT(50000), USDT(250000), {500000}, USDT(50), 100, 0};
    in.brackets[2] = (struct bracket){USDT(250000), USDT(1000000), {1000000}, USDT(1300), 50, 0};
    in.brackets[3] = (struct bracket){USDT(1000000), USDT(10000000), {2500000}, USDT(16300), 20, 0};
    in.brackets[4] =
        (struct bracket){USDT(10000000), USDT(20000000), {5000000}, USDT(266300), 10, 0};
    return in;
}

static inline void tx_do(struct tx *w, const struct exchange_input *in) {
    const struct exchange_event *e;
    struct exchange_totals t;
    w->now += 1000000;
    exchange_step(w->ex, in, w->now, &w->r);
    w->events = 0;
    while ((e = exchange_event_next(w->ex)) != NULL) {
        assert_true(w->events < TX_EVENTS);
        assert_int_equal(e->ts_ns, w->now);
        w->event[w->events++] = *e;
    }
    exchange_totals_get(w->ex, &t);
    assert_int_equal(t.error.e8, 0);
}

static inline void tx_mark(struct tx *w, uint32_t s, double px) {
    TX(w, .kind = EXI_MARK, .instrument = s, .price = PX(px), .price2 = PX(px));
    assert_int_equal(w->r.code, 0);
}

static inline void tx_quote(struct tx *w, uint32_t s, enum side side, double px, double qty) {
    TX(w, .kind = EXI_QUOTE, .instrument = s, .side = (uint8_t)side, .price = PX(px),
       .qty = QTY(qty));
    assert_int_equal(w->r.code, 0);
}

static inline uint32_t tx_account(struct tx *w, double deposit) {
    TX(w, .kind = EXI_ACCOUNT_OPEN, .amount = USDT(deposit));
    assert_int_equal(w->r.code, 0);
    return w->r.account;
}

static inline struct tx *tx_open(const struct exchange_config *change) {
    struct instrument in[2] = {tx_instrument("BTCUSDT", 0.1), tx_instrument("ETHUSDT", 0.01)};
    struct exchange_config c = change ? *change : exchange_config_defaults();
    c.instruments = in;
    c.instrument_count = 2;
    c.accounts_max = 8;
    c.orders_max = 1024;
    c.algos_max = 1024;
    c.book_orders_max = 1024;
    c.book_levels_max = 256;
    c.first_order_id = 1001;
    c.first_algo_id = 5001;
    struct tx *w = calloc(1, sizeof *w);
    w->memory = malloc(exchange_size(&c));
    assert_non_null(w->memory);
    w->ex = exchange_init(w->memory, &c);
    w->now = INT64_C(1700000000) * SECOND;
    tx_mark(w, BTC, 50000);
    tx_mark(w, ETH, 2000);
    return w;
}

static inline void tx_close(struct tx *w) {
    free(w->memory);
    free(w);
}

/* 49999.9 x 10 bid, 50000.1 x 10 asked. */
static inline struct tx *tx_market(void) {
    struct tx *w = tx_open(NULL);
    tx_quote(w, BTC, SIDE_BUY, 49999.9, 10);
    tx_quote(w, BTC, SIDE_SELL, 50000.1, 10);
    return w;
}

static inline int32_t tx_limit(struct tx *w, uint32_t account, enum side side, double px,
                               double qty) {
    TX(w, .kind = EXI_ORDER_PLACE, .account = account, .side = (uint8_t)side, .type = ORDER_LIMIT,
       .price = PX(px), .qty = QTY(qty));
    return w->r.code;
}

static inline int32_t tx_market_order(struct tx *w, uint32_t account, enum side side, double qty) {
    TX(w, .kind = EXI_ORDER_PLACE, .account = account, .side = (uint8_t)side, .type = ORDER_MARKET,
       .qty = QTY(qty));
    return w->r.code;
}

static inline struct exchange_account tx_account_of(const struct tx *w, uint32_t account) {
    struct exchange_account a;
    exchange_account_get(w->ex, account, &a);
    return a;
}

static inline struct exchange_position tx_position_of(const struct tx *w, uint32_t account,
                                                      enum venue_position_side side) {
    struct exchange_position p;
    exchange_position_get(w->ex, account, BTC, side, &p);
    return p;
}

/* The n-th event of a kind (and, where >= 0, exec) of the last input; NULL if there are fewer. */
static inline const struct exchange_event *tx_event(const struct tx *w, int kind, int exec, int n) {
    for (uint32_t i = 0; i < w->events; i++)
        if (w->event[i].kind == kind && (exec < 0 || w->event[i].exec == exec) && n-- == 0)
            return &w->event[i];
    return NULL;
}

static inline int tx_event_count(const struct tx *w, int kind, int exec) {
    int n = 0;
    while (tx_event(w, kind, exec, n)) n++;
    return n;
}

static inline double tx_best(const struct tx *w, enum side side) {
    struct exchange_prices p;
    exchange_prices_get(w->ex, BTC, &p);
    return (double)(side == SIDE_BUY ? p.bid.e8 : p.ask.e8) / 1e8;
}

static inline int64_t tx_level_qty(const struct tx *w, enum side side, double px) {
    struct exchange_level l[64];
    uint32_t n = exchange_depth(w->ex, BTC, side, l, 64, NULL);
    for (uint32_t i = 0; i < n; i++)
        if (l[i].px.e8 == E8(px)) return l[i].qty.e8;
    return 0;
}

#endif
