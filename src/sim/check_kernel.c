/* The checker asks a kernel what it believes, and reads its events. */
#include "sim/check_internal.h"
#include "trade/breaker/breaker.h"

enum { LIVE_MAX = 512 };

/* Why no entry is possible anywhere, where it is nobody's wish and no loss that says so; NULL otherwise. */
static const char *blocked(const struct breaker *b) {
    if (b->is_down) return "the link to the venue is down";
    if (b->tripped & (1u << BREAKER_MARKET_STALE)) return "market data are overdue";
    bool open = b->all.state == BREAKER_OPEN &&
                (b->all.cause == BREAKER_FAILURES || b->all.cause == BREAKER_CONTRACT);
    return open ? "the common circuit is open" : NULL;
}

void check_kernel(struct check *c, const struct kernel *kernel, uint32_t queued, int64_t now_ns) {
    qty_t positions[INSTRUMENTS_MAX];
    struct kernel_live_order live[LIVE_MAX];
    uint32_t n = c->config.instrument_count;
    for (uint32_t i = 0; i < n && i < INSTRUMENTS_MAX; i++)
        positions[i] = kernel_position_qty(kernel, i);
    uint32_t count = kernel_live_orders(kernel, live, LIVE_MAX);
    if (count > LIVE_MAX) {
        check_fail(c, CHECK_CAPACITY, CHECK_ALL, "the kernel has %u live orders", count);
        count = LIVE_MAX;
    }
    const struct check_belief b = {.now_ns = now_ns,
                                   .positions = positions,
                                   .live = live,
                                   .live_count = count,
                                   .totals = kernel_totals(kernel),
                                   .queued = queued,
                                   .entries_blocked = blocked(kernel_breaker(kernel))};
    check_belief(c, &b);
}

void check_happened(struct check *c, const struct event *event, int64_t now_ns) {
    if (event->type != EVENT_POSITION_ALARM) return;
    uint32_t i = 0;
    while (i < c->config.instrument_count &&
           strncmp(c->symbols[i].name, event->u.position_alarm.symbol, SYMBOL_SIZE) != 0)
        i++;
    check_alarm(c, i < c->config.instrument_count ? i : CHECK_ALL, now_ns);
}
