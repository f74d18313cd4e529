/* A contract's trades, when its position is not what was told: those that were not told are told, whoever's they are. One
 * contract at a time; every question is asked again beside itself when its answer is late, and the first answer counts. */
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

/* A question by time may reach over seven days, and should not stop short of now. */
#define TRADES_SPAN_NS (7 * NS_PER_DAY - NS_PER_HOUR)
enum { ROWS_MAX = 1000, TRADES_WEIGHT = 5, ASKED_MAX = 12 };

static void ask(struct binance *b);
static void go_on(struct binance *b);

static void begin_step(struct binance *b, enum lookup_step step, uint64_t order_id) {
    struct lookup *l = &b->lookup;
    l->step = step;
    l->order_id = order_id;
    l->serial++;
    l->asked = l->flying = 0;
    ask(b);
}

static void end(struct binance *b, bool looked) {
    struct lookup *l = &b->lookup;
    if (looked) b->watch.symbols[l->instrument].looked_up_ns = l->begun_ns;
    l->step = LOOKUP_IDLE;
    l->serial++;
    l->row_count = l->row_at = 0;
}

/* True: it is the first answer to the present question, and it may be acted on. */
static bool arrived(struct binance *b, const struct request *r, const struct answer *a) {
    struct lookup *l = &b->lookup;
    if (r->ref != l->serial) return false; /* answered already, or given up */
    l->flying--;
    if (a->outcome == OUTCOME_DONE && binance_rest_is_whole(a->body, a->size)) return true;
    if (l->flying == 0 && l->asked >= ASKED_MAX) end(b, false);
    return false;
}

static void tell_rows_of(struct binance *b, uint64_t order_id, const char *client_id) {
    struct lookup *l = &b->lookup;
    for (size_t i = l->row_at; i < l->row_count; i++) {
        const struct rest_trade *t = &l->rows[i];
        if (t->order_id != order_id) break; /* in order of their ids */
        const struct order_fill fill = {.trade_id = t->trade_id,
                                        .cum_qty = t->qty,
                                        .qty = t->qty,
                                        .px = t->px,
                                        .commission = t->commission,
                                        .realized_pnl = t->realized_pnl,
                                        .ts_ns = t->ts_ns,
                                        .side = t->side,
                                        .is_maker = t->is_maker};
        uint64_t fills = b->orders.stats.fills;
        (void)binance_orders_foreign_fill(&b->orders, l->instrument, &fill, order_id, client_id);
        b->reconcile.result.repaired += b->orders.stats.fills != fills;
        l->row_at = i + 1;
    }
}

static void done_whose(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct lookup *l = &b->lookup;
    struct rest_order row;
    if (!arrived(b, r, a)) return;
    if (binance_rest_order(&row, a->body, a->size) != ST_OK) {
        end(b, false);
        return;
    }
    struct order *o = binance_orders_find(&b->orders, row.client_id);
    if (o && o->instrument == l->instrument && o->phase != PHASE_ENDED)
        binance_order_row(&b->orders, o, &row, a->received_ns); /* ours, and now its id is known */
    else
        tell_rows_of(b, l->order_id, row.client_id);
    go_on(b);
}

/* Goes through the rows; stops where the venue must be asked whose order it was. */
static void go_on(struct binance *b) {
    struct lookup *l = &b->lookup;
    int64_t now = binance_monotonic(b);
    while (l->row_at < l->row_count) {
        const struct rest_trade *t = &l->rows[l->row_at];
        struct order *o = binance_orders_find_id(&b->orders, t->order_id);
        if (!o) {
            begin_step(b, LOOKUP_WHOSE, t->order_id);
            return;
        }
        /* Its own way: with its other fills, in order. One that is over is told as the rest are. */
        if (o->phase == PHASE_ENDED) {
            tell_rows_of(b, t->order_id, o->client_id);
            continue;
        }
        if (o->trades_at_ns == 0 || o->trades_at_ns > now) o->trades_at_ns = now;
        l->row_at++;
    }
    end(b, true);
}

static void done_trades(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct lookup *l = &b->lookup;
    struct json_reader reader;
    if (r->ref == l->serial && a->outcome == OUTCOME_REFUSED &&
        b->instruments[l->instrument].status == INSTRUMENT_CLOSED) {
        end(b,
            true); /* the venue has forgotten the contract: what is held of it is told as a whole */
        return;
    }
    if (!arrived(b, r, a)) return;
    const struct order_symbol *s = &b->orders.symbols[l->instrument];
    bool ok = true;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader) && l->row_count < ROWS_MAX) {
        struct rest_trade *t = &l->rows[l->row_count];
        ok = binance_read_trade(&reader, t);
        if (!ok) break;
        if (fills_is_new(&s->fills, t->trade_id) && t->trade_id > s->from_trade_id &&
            t->ts_ns > s->counted_ns)
            l->row_count++;
    }
    if (ok)
        go_on(b); /* more than a page: the position still differs, and it is looked at again */
    else
        end(b, false);
}

/* From the first id that may not have been told; where none is known, from the time since when it would have been. */
static void ask_trades(struct binance *b, struct request *r) {
    const struct lookup *l = &b->lookup;
    const struct order_symbol *s = &b->orders.symbols[l->instrument];
    uint64_t id = s->fills.floor > s->from_trade_id ? s->fills.floor : s->from_trade_id;
    binance_param(r, "symbol", b->instruments[l->instrument].symbol);
    if (id) {
        binance_param_i64(r, "fromId", (int64_t)id + 1);
    } else {
        int64_t since_ns = binance_clock_now(&b->clock, l->begun_ns) - TRADES_SPAN_NS;
        if (s->counted_ns > since_ns) since_ns = s->counted_ns;
        binance_param_i64(r, "startTime", since_ns / NS_PER_MS + 1);
    }
    binance_param_i64(r, "limit", ROWS_MAX);
}

static void ask(struct binance *b) {
    struct lookup *l = &b->lookup;
    bool whose = l->step == LOOKUP_WHOSE;
    struct request *r = binance_request(
        b, LANE_PROTECTION, HTTP_GET, AUTH_SIGNED, whose ? "/fapi/v1/order" : "/fapi/v1/userTrades",
        whose ? 1 : TRADES_WEIGHT, whose ? done_whose : done_trades, l->serial);
    l->asked_ns = binance_monotonic(b);
    if (!r) {
        end(b, false);
        return;
    }
    r->repeatable = true;
    r->tries_max = 1; /* it is asked again beside itself */
    l->flying++;
    l->asked++;
    if (!whose) {
        ask_trades(b, r);
        return;
    }
    binance_param(r, "symbol", b->instruments[l->instrument].symbol);
    binance_param_i64(r, "orderId", (int64_t)l->order_id);
}

enum status binance_lookup_open(struct binance *b, struct err *err) {
    b->lookup.rows = calloc(ROWS_MAX, sizeof *b->lookup.rows);
    return b->lookup.rows ? ST_OK : err_set(err, ST_NO_MEMORY, "trades");
}

void binance_lookup_start(struct binance *b, uint32_t instrument, int64_t now_ns) {
    struct lookup *l = &b->lookup;
    l->instrument = instrument;
    l->begun_ns = now_ns;
    l->row_count = l->row_at = 0;
    begin_step(b, LOOKUP_TRADES, 0);
}

int64_t binance_lookup_time(struct binance *b, int64_t now_ns) {
    struct lookup *l = &b->lookup;
    if (l->step == LOOKUP_IDLE) return INT64_MAX;
    if (l->asked >= ASKED_MAX || l->flying >= REQUESTS_BESIDE_MAX)
        return INT64_MAX; /* the answers, or none */
    bool waits = !binance_requests_may_ask(&b->requests, l->flying, now_ns);
    if (now_ns >= l->asked_ns + REQUESTS_BESIDE_NS && !waits) ask(b);
    if (waits) return now_ns + REQUESTS_BESIDE_NS;
    return l->step == LOOKUP_IDLE ? INT64_MAX : l->asked_ns + REQUESTS_BESIDE_NS;
}
