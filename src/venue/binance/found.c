/* Orders of our form that nobody here has named, and entries that may have been asked for before.
 *
 * A journal may have lost its last records (a bit that turned over, an older backup): the venue then has orders of ours that the
 * caller knows nothing of. Those still open are found by a reconciliation, and told behind the positions, for what an order
 * protects has to be known before it is judged. Those that were executed meanwhile are not open any more: a wish that the caller
 * has once more is looked for among the contract's orders before it is sent. */
#include <string.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

/* A wish lives for a bar; and then some, for both clocks and the way. */
#define LOOK_MARGIN_NS   NS_PER_MINUTE
#define LOOK_SPAN_NS_MAX (6 * NS_PER_DAY) /* the venue takes less than seven */
enum { LOOK_ROWS = 1000, LOOK_WEIGHT = 5 };

/* ---- open orders ---- */

static enum binance_whose whose(const struct binance *b, const char *client_id) {
    const struct binance_handlers *h = &b->options.handlers;
    return h->whose ? h->whose(h->context, client_id) : BINANCE_FOREIGN;
}

static struct found_row *note(struct binance *b, const char *symbol, const char *client_id) {
    struct found *f = &b->found;
    int at = binance_symbol_find(b, symbol);
    if (at < 0 || f->count == FOUND_MAX || whose(b, client_id) == BINANCE_FOREIGN) return NULL;
    struct found_row *row = &f->rows[f->count++];
    row->instrument = (uint32_t)at;
    return row;
}

void binance_found_order(struct binance *b, const struct rest_order *order) {
    struct found_row *row = note(b, order->symbol, order->client_id);
    if (!row) return;
    row->is_algo = false;
    row->order = *order;
}

void binance_found_algo(struct binance *b, const struct rest_algo *algo) {
    struct found_row *row = note(b, algo->symbol, algo->client_id);
    if (!row) return;
    row->is_algo = true;
    row->algo = *algo;
}

static struct venue_event event_of(const struct binance *b, const struct found_row *row) {
    const struct rest_order *o = &row->order;
    const struct rest_algo *a = &row->algo;
    bool algo = row->is_algo;
    int64_t cum = algo ? a->filled_qty.e8 : o->cum_qty.e8;
    int64_t qty = algo ? a->order_qty.e8 : o->order_qty.e8;
    struct venue_event e = {.kind = VENUE_ORDER_FOUND,
                            .side = algo ? a->side : o->side,
                            .order_type = algo ? a->type : o->type,
                            .instrument_index = row->instrument,
                            .ts_event_ns = algo ? a->update_ns : o->update_ns,
                            .venue_order_id = algo ? a->algo_id : o->order_id,
                            .cum_qty = {cum},
                            .leaves_qty = {qty > cum ? qty - cum : 0},
                            .stop_px = algo ? a->trigger_px : o->stop_price,
                            .wallet = b->orders.wallet};
    memcpy(e.client_order_id, algo ? a->client_id : o->client_id, CLIENT_ORDER_ID_SIZE);
    return e;
}

/* From now on like one that this life sent. What it filled is booked: positions agree. */
static bool follow(struct binance *b, const struct found_row *row, const struct venue_event *e,
                   int64_t now_ns) {
    struct order *old = binance_orders_find(&b->orders, e->client_order_id);
    if (old && old->phase != PHASE_ENDED) return false;
    struct order *o = binance_orders_add(&b->orders, e->client_order_id, row->instrument);
    if (!o) return false;
    o->known_before = o->told_accepted = true;
    o->lane = LANE_EXIT;
    o->side = e->side;
    o->type = e->order_type;
    o->conditional = e->order_type != ORDER_MARKET && e->order_type != ORDER_LIMIT;
    o->on_algo = row->is_algo;
    o->reduce_only = row->is_algo ? row->algo.reduce_only : row->order.reduce_only;
    o->close_position = row->is_algo ? row->algo.close_position : row->order.close_position;
    o->stop_px = e->stop_px;
    o->order_qty.e8 = e->cum_qty.e8 + e->leaves_qty.e8;
    o->cum_qty = o->venue_qty = e->cum_qty;
    if (row->is_algo)
        binance_order_algo_row(&b->orders, o, &row->algo, now_ns);
    else
        binance_order_row(&b->orders, o, &row->order, now_ns);
    return true;
}

/* Whether what is held of the contract is known to the caller by now. */
static bool is_settled(const struct binance *b, uint32_t i) {
    const struct watch_symbol *s = &b->watch.symbols[i];
    return b->watch.looked_ns >= b->reconcile.started_ns &&
           b->orders.symbols[i].booked.e8 == s->venue.e8 && !s->differs_ns && !s->doubt_ns &&
           !binance_fills_are_due(b, i);
}

bool binance_found_tell(struct binance *b, int64_t now_ns) {
    bool waits = false;
    for (uint32_t n = 0; n < b->found.count; n++) {
        const struct found_row *row = &b->found.rows[n];
        if (!is_settled(b, row->instrument)) {
            waits = true;
            continue;
        }
        const struct venue_event e = event_of(b, row);
        bool ours = whose(b, e.client_order_id) == BINANCE_OF_RUN;
        if (ours && binance_orders_find(&b->orders, e.client_order_id))
            continue; /* named meanwhile */
        if (ours)
            log_warn("venue", "order of ours that was forgotten", "symbol=%s client_order_id=%s",
                     b->instruments[row->instrument].symbol, e.client_order_id);
        b->orders.tell(b->orders.context, &e);
        if (ours && !follow(b, row, &e, now_ns)) waits = true;
    }
    return waits;
}

/* ---- entries ---- */

void binance_found_start(struct binance *b) {
    int64_t now = binance_now_ns(b), before = b->interval_ns + LOOK_MARGIN_NS;
    if (before > LOOK_SPAN_NS_MAX) before = LOOK_SPAN_NS_MAX;
    b->found.look_until_ns = binance_monotonic(b) + b->interval_ns + LOOK_MARGIN_NS;
    b->found.look_from_ns = now - before;
}

bool binance_look_is_due(const struct binance *b, const struct order *o) {
    return b->options.handlers.whose && !o->reduce_only && !o->close_position &&
           binance_monotonic(b) < b->found.look_until_ns;
}

/* -1: the rows cannot be read. */
static int is_among(const struct answer *a, const char *client_id) {
    struct json_reader reader;
    struct rest_order row;
    size_t wish = strcspn(client_id, "-") + 1;
    bool found = false;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_order(&reader, &row)) return -1;
        found |= strncmp(row.client_id, client_id, wish) == 0;
    }
    return found;
}

static void done_look(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct order *o = binance_order_of(b, r->ref);
    if (!o || o->phase != PHASE_ASKED) return;
    int found = -1;
    if (a->outcome == OUTCOME_DONE && binance_rest_is_whole(a->body, a->size))
        found = is_among(a, o->client_id);
    if (found == 0) {
        binance_place(b, o);
        return;
    }
    if (found == 1)
        log_warn("venue", "entry was asked for before", "client_order_id=%s", o->client_id);
    binance_order_refused(&b->orders, o, found == 1 ? BINANCE_ASKED_BEFORE : BINANCE_NOT_SENT,
                          binance_now_ns(b), a->received_ns);
}

void binance_look(struct binance *b, struct order *o) {
    struct request *r =
        binance_request(b, (enum binance_lane)o->lane, HTTP_GET, AUTH_SIGNED, "/fapi/v1/allOrders",
                        LOOK_WEIGHT, done_look, binance_order_ref(b, o));
    if (!r) {
        binance_order_refused(&b->orders, o, BINANCE_NOT_SENT, binance_now_ns(b),
                              binance_monotonic(b));
        return;
    }
    r->repeatable = true;
    r->patience_ns = r->queued_ns + b->options.entry_patience_ns;
    binance_param(r, "symbol", b->instruments[o->instrument].symbol);
    binance_param_i64(r, "startTime", b->found.look_from_ns / NS_PER_MS);
    binance_param_i64(r, "limit", LOOK_ROWS);
}
