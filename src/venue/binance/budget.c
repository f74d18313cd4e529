#include "venue/binance/budget.h"

#include <string.h>

#include "base/tstamp.h"

/* Requests may reach the venue further apart or closer together than they left us: the windows are counted longer by
 * what a request may be late. */
#define SLACK_MINUTE_NS (3 * NS_PER_SECOND)
#define SLACK_TEN_NS    (2 * NS_PER_SECOND)
/* A header of the last minute is believed a little beyond it: then nobody has answered for so long that nothing of ours
 * can be in the venue's present window either. */
#define FOREIGN_BEYOND_NS (5 * NS_PER_SECOND)

/* Share of a limit, in 1/20, that a lane must leave. */
static uint32_t reserve(enum binance_lane lane, uint32_t limit) {
    static const uint8_t twentieths[LANE_COUNT] = {0, 2, 3, 5, 8};
    return (uint32_t)((uint64_t)limit * twentieths[lane] / 20);
}

void binance_budget_init(struct binance_budget *b, const struct binance_limits *limits) {
    memset(b, 0, sizeof *b);
    b->limits = *limits;
}

static void forget(struct binance_budget *b, int64_t now_ns) {
    while (b->tail_10s != b->head && b->sent[b->tail_10s % BUDGET_SENT_MAX].ts_ns <=
                                         now_ns - 10 * NS_PER_SECOND - SLACK_TEN_NS)
        b->orders_10s -= b->sent[b->tail_10s++ % BUDGET_SENT_MAX].orders;
    while (b->tail_1m != b->head && b->sent[b->tail_1m % BUDGET_SENT_MAX].ts_ns <=
                                        now_ns - NS_PER_MINUTE - SLACK_MINUTE_NS) {
        b->weight_1m -= b->sent[b->tail_1m % BUDGET_SENT_MAX].weight;
        b->orders_1m -= b->sent[b->tail_1m++ % BUDGET_SENT_MAX].orders;
    }
    if (now_ns >= b->foreign_weight_until_ns) b->foreign_weight = 0;
    if (now_ns >= b->foreign_orders_1m_until_ns) b->foreign_orders_1m = 0;
    if (now_ns >= b->foreign_orders_10s_until_ns) b->foreign_orders_10s = 0;
}

static bool fits(enum binance_lane lane, uint32_t limit, uint32_t used, uint32_t foreign,
                 uint32_t want) {
    if (want == 0) return true;
    return (uint64_t)used + foreign + want + reserve(lane, limit) <= limit;
}

enum binance_budget_wait binance_budget_ask(struct binance_budget *b, enum binance_lane lane,
                                            uint32_t weight, uint32_t orders, int64_t now_ns) {
    forget(b, now_ns);
    if (now_ns < b->blocked_until_ns) return BUDGET_WAIT_ALL;
    if (orders && now_ns < b->orders_blocked_until_ns) return BUDGET_WAIT_ORDERS;
    if (b->head - b->tail_1m == BUDGET_SENT_MAX) return BUDGET_WAIT_ALL;
    if (!fits(lane, b->limits.orders_10s, b->orders_10s, b->foreign_orders_10s, orders) ||
        !fits(lane, b->limits.orders_1m, b->orders_1m, b->foreign_orders_1m, orders))
        return BUDGET_WAIT_ORDERS;
    if (!fits(lane, b->limits.weight_1m, b->weight_1m, b->foreign_weight, weight))
        return BUDGET_WAIT_WEIGHT;
    return BUDGET_GO;
}

void binance_budget_charge(struct binance_budget *b, uint32_t weight, uint32_t orders,
                           int64_t now_ns) {
    b->sent[b->head % BUDGET_SENT_MAX].ts_ns = now_ns;
    b->sent[b->head % BUDGET_SENT_MAX].weight = weight;
    b->sent[b->head++ % BUDGET_SENT_MAX].orders = orders;
    b->weight_1m += weight;
    b->orders_1m += orders;
    b->orders_10s += orders;
}

struct use {
    uint64_t weight, orders;
};

/* What we sent from a time on. */
static struct use own_since(const struct binance_budget *b, int64_t from_ns) {
    struct use u = {0, 0};
    for (uint32_t i = b->head; i != b->tail_1m; i--) {
        uint32_t at = (i - 1) % BUDGET_SENT_MAX;
        if (b->sent[at].ts_ns < from_ns) break;
        u.weight += b->sent[at].weight;
        u.orders += b->sent[at].orders;
    }
    return u;
}

static uint32_t beyond(int64_t told, uint64_t own) {
    if (told < 0 || (uint64_t)told <= own) return 0;
    uint64_t more = (uint64_t)told - own;
    return more > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)more;
}

void binance_budget_headers(struct binance_budget *b, int64_t weight_1m, int64_t orders_10s,
                            int64_t orders_1m, int64_t minute_start_ns, int64_t now_ns) {
    struct use minute = own_since(b, minute_start_ns);
    if (weight_1m >= 0) {
        b->foreign_weight = beyond(weight_1m, minute.weight);
        b->foreign_weight_until_ns = minute_start_ns + NS_PER_MINUTE + FOREIGN_BEYOND_NS;
    }
    if (orders_1m >= 0) {
        b->foreign_orders_1m = beyond(orders_1m, minute.orders);
        b->foreign_orders_1m_until_ns = minute_start_ns + NS_PER_MINUTE + FOREIGN_BEYOND_NS;
    }
    if (orders_10s >= 0) {
        struct use ten = own_since(b, now_ns - 10 * NS_PER_SECOND - SLACK_TEN_NS);
        b->foreign_orders_10s = beyond(orders_10s, ten.orders);
        b->foreign_orders_10s_until_ns = now_ns + 10 * NS_PER_SECOND;
    }
}

void binance_budget_block(struct binance_budget *b, bool orders_only, int64_t until_ns) {
    int64_t *until = orders_only ? &b->orders_blocked_until_ns : &b->blocked_until_ns;
    if (until_ns > *until) *until = until_ns;
}

static void earlier(int64_t *deadline, int64_t ts_ns, int64_t now_ns) {
    if (ts_ns > now_ns && ts_ns < *deadline) *deadline = ts_ns;
}

int64_t binance_budget_deadline(const struct binance_budget *b, int64_t now_ns) {
    int64_t deadline = INT64_MAX;
    if (now_ns < b->blocked_until_ns) return b->blocked_until_ns;
    earlier(&deadline, b->orders_blocked_until_ns, now_ns);
    if (b->tail_1m != b->head)
        earlier(&deadline,
                b->sent[b->tail_1m % BUDGET_SENT_MAX].ts_ns + NS_PER_MINUTE + SLACK_MINUTE_NS,
                now_ns);
    if (b->tail_10s != b->head)
        earlier(&deadline,
                b->sent[b->tail_10s % BUDGET_SENT_MAX].ts_ns + 10 * NS_PER_SECOND + SLACK_TEN_NS,
                now_ns);
    if (b->foreign_weight) earlier(&deadline, b->foreign_weight_until_ns, now_ns);
    if (b->foreign_orders_1m) earlier(&deadline, b->foreign_orders_1m_until_ns, now_ns);
    if (b->foreign_orders_10s) earlier(&deadline, b->foreign_orders_10s_until_ns, now_ns);
    return deadline;
}
