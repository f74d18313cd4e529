/* User frames, one a line, into a book of orders: whatever is said, an order is told at most one answer and one end, and
 * its fills never exceed what they add up to. */
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/orders.h"

static struct {
    uint32_t accepted, ended;
    int64_t cum;
} told;

static void tell(void *context, const struct venue_event *e) {
    (void)context;
    if (strcmp(e->client_order_id, "q1") != 0) return;
    if (e->kind == VENUE_ORDER_ACCEPTED && told.accepted++) abort();
    if (told.ended && e->kind != VENUE_CANCEL_REJECTED) abort();
    if (e->kind == VENUE_ORDER_CANCELED || e->kind == VENUE_ORDER_EXPIRED) told.ended++;
    if (e->kind != VENUE_ORDER_TRADE) return;
    told.cum += e->last_qty.e8;
    if (told.cum != e->cum_qty.e8 || e->last_qty.e8 <= 0) abort();
}

/* Sums of what the account pays and holds must stay in range, as they do on a venue. */
static int is_sane(const struct stream_order *o) {
    const int64_t most = INT64_MAX / 1024;
    return o->last_qty.e8 < 1000 * FX_ONE && o->cum_qty.e8 < 1000 * FX_ONE &&
           o->order_qty.e8 < 1000 * FX_ONE && o->last_px.e8 < 1000000 * FX_ONE &&
           llabs(o->commission.e8) < most && llabs(o->realized_pnl.e8) < most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct orders os;
    static struct stream_event e;
    memset(&told, 0, sizeof told);
    /* Only what the last input used is cleared: the table is large. */
    binance_orders_init(&os, tell, NULL);
    struct order *o = binance_orders_add(&os, "q1", 0);
    o->conditional = o->on_algo = size & 1;
    o->side = SIDE_SELL;
    for (size_t at = 0, lines = 0; at < size && lines < 64; lines++) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t n = end ? (size_t)(end - data) - at : size - at;
        enum status st = binance_stream_decode(&e, (const char *)data + at, n);
        at += n + 1;
        if (st != ST_OK) continue;
        if (e.kind == STREAM_ORDER && is_sane(&e.u.order))
            binance_orders_stream(&os, 0, &e.u.order, e.event_ns, 1);
        if (e.kind == STREAM_ALGO) binance_orders_stream_algo(&os, 0, &e.u.algo, e.event_ns, 1);
    }
    (void)binance_orders_time(&os, 3600 * NS_PER_SECOND);
    return 0;
}
