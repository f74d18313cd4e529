/* Reconciliation: what the venue has, against what we told. Orders and conditional orders that are gone are asked for one
 * by one; positions are looked at by the watch (watch.c), and what differed there is waited for. Funding comes from the
 * income history. Orders that are not ours, and what is held of contracts that are none of the run's, are counted and
 * left alone. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

/* A cycle that failed begins again behind so much, doubled with each that fails behind it. */
#define RETRY_NS        (2 * NS_PER_SECOND)
#define RETRY_DOUBLINGS 2
enum { ROWS_MAX = 1000, INCOME_WEIGHT = 30 };

static struct request *ask(struct binance *b, const char *path, uint32_t weight,
                           request_done *done) {
    /* Before candles and rules: what of a minute's weight those may not use is left for it. */
    struct request *r =
        binance_request(b, LANE_ENTRY, HTTP_GET, AUTH_SIGNED, path, weight, done, 0);
    if (!r) {
        b->reconcile.failed = true;
        return NULL;
    }
    r->repeatable = true;
    r->tries_max = 2; /* the cycle is repeated as a whole, ever later */
    b->reconcile.pending++;
    return r;
}

/* True if the reply's rows may be acted on. */
static bool arrived(struct binance *b, const struct answer *a) {
    b->reconcile.pending--;
    if (a->outcome == OUTCOME_DONE && binance_rest_is_whole(a->body, a->size)) return true;
    b->reconcile.failed = true;
    return false;
}

static void see(struct binance *b, struct order *o) {
    uint32_t slot = binance_order_slot(&b->orders, o);
    b->reconcile.seen[slot] = true;
    b->reconcile.serials[slot] = o->serial;
}

static void done_orders(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct json_reader reader;
    struct rest_order row;
    (void)r;
    if (!arrived(b, a)) return;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_order(&reader, &row)) {
            b->reconcile.failed = true;
            return;
        }
        struct order *o = binance_orders_find_row(&b->orders, &row);
        b->reconcile.result.orders++;
        if (!o) {
            b->reconcile.result.foreign_orders++;
            binance_found_order(b, &row);
            continue;
        }
        see(b, o);
        if (o->phase == PHASE_UNKNOWN) b->reconcile.result.repaired++;
        binance_order_row(&b->orders, o, &row, a->received_ns);
    }
}

static void done_algos(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct json_reader reader;
    struct rest_algo row;
    (void)r;
    if (!arrived(b, a)) return;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_algo(&reader, &row)) {
            b->reconcile.failed = true;
            return;
        }
        struct order *o = binance_orders_find(&b->orders, row.client_id);
        b->reconcile.result.algos++;
        if (!o) {
            b->reconcile.result.foreign_orders++;
            binance_found_algo(b, &row);
            continue;
        }
        see(b, o);
        if (o->phase == PHASE_UNKNOWN) b->reconcile.result.repaired++;
        binance_order_algo_row(&b->orders, o, &row, a->received_ns);
    }
}

static void done_wallet(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    (void)r;
    if (!arrived(b, a)) return;
    struct rest_wallet *w = &b->reconcile.wallet;
    enum status st = binance_rest_wallet(w, a->body, a->size);
    if (w->update_ns > b->reconcile.wallet_ns)
        b->reconcile.wallet_ns = w->update_ns; /* it changed while it was asked for */
    /* An account without USDT has none. */
    b->reconcile.has_wallet = st == ST_OK || st == ST_NOT_FOUND;
    if (!b->reconcile.has_wallet) b->reconcile.failed = true;
}

static void done_symbols(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct json_reader reader;
    struct rest_symbol_config row;
    (void)r;
    if (!arrived(b, a)) return;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_symbol_config(&reader, &row)) {
            b->reconcile.failed = true;
            return;
        }
        int at = binance_symbol_find(b, row.symbol);
        if (at < 0) continue;
        b->isolated[at] = row.isolated;
        if (row.leverage) binance_leverage_seen(b, (uint32_t)at, row.leverage);
    }
}

static void done_income(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct json_reader reader;
    struct rest_income row;
    int64_t latest_ns = 0;
    uint32_t rows = 0;
    (void)r;
    if (!arrived(b, a)) return;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_income(&reader, &row)) {
            b->reconcile.failed = true;
            return;
        }
        rows++;
        if (row.ts_ns > latest_ns) latest_ns = row.ts_ns;
        int at = binance_symbol_find(b, row.symbol);
        if (at < 0 || !row.is_funding || row.ts_ns < b->reconcile.income_from_ns) continue;
        const struct order_symbol *s = &b->orders.symbols[at];
        /* Positions nobody told us of pay their own way. */
        if (s->booked.e8 == 0 && s->fills.highest == 0 && s->from_trade_id == 0) continue;
        binance_orders_funding(&b->orders, (uint32_t)at, row.ts_ns, row.amount);
    }
    if (rows == ROWS_MAX) b->reconcile.wanted = true; /* there is more */
    if (latest_ns > b->reconcile.income_from_ns) b->reconcile.income_from_ns = latest_ns;
}

/* ---- the run ---- */

static void start(struct binance *b, int64_t now_ns) {
    struct reconcile *c = &b->reconcile;
    c->running = true;
    c->wanted = c->failed = c->compared = c->has_wallet = false;
    c->pending = 0;
    c->started_ns = now_ns;
    c->fills_before = b->orders.stats.fills;
    memset(&c->result, 0, sizeof c->result);
    memset(c->seen, 0, sizeof c->seen);
    b->found.count = 0;
    (void)ask(b, "/fapi/v1/openOrders", 40, done_orders);
    if (b->algo_service) (void)ask(b, "/fapi/v1/openAlgoOrders", 40, done_algos);
    binance_watch_now(b, now_ns);
    c->wallet_ns = binance_clock_least(&b->clock, now_ns);
    (void)ask(b, "/fapi/v3/balance", 5, done_wallet);
    /* A leverage set by somebody else is told by the stream, if it is told. */
    (void)ask(b, "/fapi/v1/symbolConfig", 5, done_symbols);
    struct request *r = b->session.user_gap || c->income_wanted || c->income_from_ns == 0
                            ? ask(b, "/fapi/v1/income", INCOME_WEIGHT, done_income)
                            : NULL;
    c->income_asked = r != NULL;
    if (!r) return;
    c->income_wanted = false;
    if (c->income_from_ns == 0) c->income_from_ns = binance_clock_now(&b->clock, now_ns);
    binance_param(r, "incomeType", "FUNDING_FEE");
    binance_param_i64(r, "startTime", c->income_from_ns / NS_PER_MS);
    binance_param_i64(r, "limit", ROWS_MAX);
}

static bool is_ours_and_gone(const struct binance *b, const struct order *o) {
    uint32_t slot = binance_order_slot(&b->orders, o);
    const struct reconcile *c = &b->reconcile;
    if (o->phase != PHASE_LIVE || o->end != END_NONE || o->evidence_ns >= c->started_ns)
        return false;
    return !(c->seen[slot] && c->serials[slot] == o->serial);
}

/* Fills of a live order that are still on their way explain a difference. */
bool binance_fills_are_due(const struct binance *b, uint32_t instrument) {
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        const struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->instrument != instrument) continue;
        if (o->trades_at_ns || o->query_at_ns || o->queries_flying || o->trades_flying ||
            o->venue_qty.e8 > o->cum_qty.e8 || o->phase == PHASE_ASKED || o->phase == PHASE_UNKNOWN)
            return true;
    }
    return false;
}

/* The lists are complete: what is missing in them, and what differs. */
static void compare(struct binance *b, int64_t now_ns) {
    struct reconcile *c = &b->reconcile;
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        struct order *o = &b->orders.slots[b->orders.active[i]];
        if (!is_ours_and_gone(b, o)) continue;
        c->result.repaired++;
        if (o->query_at_ns == 0) o->query_at_ns = now_ns;
    }
}

bool binance_is_foreign(const struct binance *b, uint32_t instrument) {
    const struct order_symbol *s = &b->orders.symbols[instrument];
    if (s->booked.e8 != 0) return s->is_foreign;
    return b->positions[instrument].qty.e8 != 0 && !binance_fills_are_due(b, instrument);
}

static bool orders_are_settled(const struct binance *b) {
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        const struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->evidence_ns >= b->reconcile.started_ns && !o->known_before) continue;
        if (o->query_at_ns || o->queries_flying || o->trades_at_ns || o->trades_flying)
            return false;
    }
    return true;
}

static void finish(struct binance *b, int64_t now_ns) {
    struct reconcile *c = &b->reconcile;
    c->running = false;
    c->next_ns = now_ns + (c->failed ? RETRY_NS << c->failures : b->options.reconcile_every_ns);
    if (c->failed) {
        if (c->failures < RETRY_DOUBLINGS) c->failures++;
        c->wanted = c->income_wanted = true;
        return;
    }
    c->failures = 0;
    c->result.foreign_positions = c->result.positions = b->watch.outside_count;
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        c->result.foreign_positions += binance_is_foreign(b, i);
        c->result.positions += b->watch.symbols[i].venue.e8 != 0;
    }
    if (binance_found_tell(b, now_ns) && c->next_ns > now_ns + RETRY_NS)
        c->next_ns = now_ns + RETRY_NS;
    /* A fill told meanwhile may or may not be in the balance: the next one will tell. Another balance than what was told
     * makes is one of the venue's own after the history of funding has been asked: a stream may have kept it back. */
    if (c->has_wallet && b->orders.balance_told && !c->income_asked &&
        c->wallet.balance.e8 != b->orders.wallet.e8)
        c->wanted = c->income_wanted = true;
    else if (c->has_wallet && c->fills_before == b->orders.stats.fills)
        binance_orders_balance(&b->orders, c->wallet.balance, c->wallet.available, c->wallet_ns,
                               binance_clock_now(&b->clock, now_ns));
    b->session.user_gap =
        b->session.feed_count == 0 ||
        b->session.feeds[0].sockets[b->session.feeds[0].current].phase != SOCKET_OPEN ||
        b->session.feeds[0].sockets[b->session.feeds[0].current].since_ns > c->started_ns;
    c->result.ts_ns = binance_clock_now(&b->clock, now_ns);
    c->result.wallet = b->orders.wallet;
    c->report = true;
    b->stats.reconciliations++;
    b->stats.repaired += c->result.repaired;
}

static void go_on(struct binance *b, int64_t now_ns) {
    struct reconcile *c = &b->reconcile;
    if (c->failed) {
        finish(b, now_ns);
        return;
    }
    if (!c->compared) {
        c->compared = true;
        compare(b, now_ns);
    }
    if (!orders_are_settled(b)) return;
    if (binance_watch_is_settled(b, c->started_ns)) finish(b, now_ns);
}

int64_t binance_reconcile_time(struct binance *b, int64_t now_ns) {
    struct reconcile *c = &b->reconcile;
    if (!b->loaded || !b->session.feed_count || !b->clock.known) return INT64_MAX;
    c->wanted |= b->orders.doubt;
    b->orders.doubt = false;
    if (!c->running) {
        if (!c->wanted && now_ns < c->next_ns) return c->next_ns;
        if (c->failed && now_ns < c->next_ns) return c->next_ns; /* not too often */
        start(b, now_ns);
        return INT64_MAX;
    }
    if (c->pending == 0) go_on(b, now_ns);
    return c->running ? now_ns + 50 * NS_PER_MS : c->next_ns;
}
