/* What we may still send: request weight a minute, orders in 10 s and a minute. Pure.
 *
 * Our own use is counted over sliding windows, which are never looser than the venue's, whether its windows slide or
 * stand on the clock. What others on the same address use comes from the X-MBX headers. Every lane leaves a share of
 * each limit to the lanes before it, so that a stop is not starved by entries, nor anything by candles.
 *
 * Tests    test_requests.c: under random load no window of a venue, sliding or standing, is exceeded. */
#ifndef VENUE_BINANCE_BUDGET_H
#define VENUE_BINANCE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "venue/binance/binance.h"

enum { BUDGET_SENT_MAX = 8192 };

struct binance_limits {
    uint32_t weight_1m, orders_10s, orders_1m;
};

enum binance_budget_wait {
    BUDGET_GO = 0,
    BUDGET_WAIT_WEIGHT,
    BUDGET_WAIT_ORDERS,
    BUDGET_WAIT_ALL, /* the venue told us to stop */
};

struct binance_budget {
    struct binance_limits limits;
    struct {
        int64_t ts_ns;
        uint32_t weight, orders;
    } sent[BUDGET_SENT_MAX];
    uint32_t head, tail_1m, tail_10s; /* count up; slots are modulo BUDGET_SENT_MAX */
    uint32_t weight_1m, orders_1m, orders_10s;
    /* Of others, as the newest header implied, and until when that is believed. */
    uint32_t foreign_weight, foreign_orders_1m, foreign_orders_10s;
    int64_t foreign_weight_until_ns, foreign_orders_1m_until_ns, foreign_orders_10s_until_ns;
    int64_t blocked_until_ns, orders_blocked_until_ns;
};

void binance_budget_init(struct binance_budget *b, const struct binance_limits *limits);
/* Whether this may be sent now from that lane. All times monotonic. */
enum binance_budget_wait binance_budget_ask(struct binance_budget *b, enum binance_lane lane,
                                            uint32_t weight, uint32_t orders, int64_t now_ns);
void binance_budget_charge(struct binance_budget *b, uint32_t weight, uint32_t orders,
                           int64_t now_ns);
/* Headers of a reply, -1 where absent. minute_start_ns: monotonic time at which the venue's minute began (now - 60 s
 * if its clock is not known). */
void binance_budget_headers(struct binance_budget *b, int64_t weight_1m, int64_t orders_10s,
                            int64_t orders_1m, int64_t minute_start_ns, int64_t now_ns);
/* 429 or 418: nothing (orders_only: no order) leaves before until_ns. */
void binance_budget_block(struct binance_budget *b, bool orders_only, int64_t until_ns);
/* Earliest time at which an answer of binance_budget_ask may change for the better. */
int64_t binance_budget_deadline(const struct binance_budget *b, int64_t now_ns);

#endif
