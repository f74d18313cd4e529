/* Request weight per address and order counts per account, in windows fixed to the clock, and bans.
 *
 * Counts what is asked, refused requests too; whether a verdict is obeyed is the caller's choice. Bounded
 * memory: about 5 MB, touched as addresses come; the address unseen for longest is forgotten first.
 * Source: Binance USD-M documentation, general info, limits. Tests: test_limits.c */
#ifndef VENUE_SERVER_LIMITS_H
#define VENUE_SERVER_LIMITS_H

#include <stdint.h>

#include "base/err.h"

struct limiter;
struct limiter_config {
    uint32_t weight_1m, orders_10s, orders_1m; /* 2400, 300, 1200 */
    uint32_t funding_5m, data_5m;              /* 500, 1000 */
    uint32_t ban_after; /* requests in spite of 429 within a minute before 418: 10 */
};
struct limiter_config limiter_config_defaults(void);
enum status limiter_create(struct limiter **out, const struct limiter_config *config,
                           struct err *err);
void limiter_destroy(struct limiter *l);
const struct limiter_config *limiter_config_of(const struct limiter *l);

enum limit_pool { POOL_WEIGHT = 0, POOL_FUNDING, POOL_DATA, POOL_COUNT };
/* Counts; returns 0, 429 or 418; *retry_ms: until the window ends, or the ban does. Bans begin at two
 * minutes and double each time, up to three days. */
int limiter_charge(struct limiter *l, const char *peer, enum limit_pool pool, uint32_t weight,
                   int64_t now_ns, int64_t *retry_ms);
/* 0 or 429 (code -1015). */
int limiter_order(struct limiter *l, uint32_t account, uint32_t orders_10s, uint32_t orders_1m,
                  int64_t now_ns, int64_t *retry_ms);
uint32_t limiter_weight(const struct limiter *l, const char *peer, int64_t now_ns);
void limiter_orders(const struct limiter *l, uint32_t account, int64_t now_ns, uint32_t *in_10s,
                    uint32_t *in_1m);
#endif
