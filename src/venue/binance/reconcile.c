/* Reconciliation: what the venue has, against what we told. Orders and conditional orders that are gone are asked for one
 * by one; a position that differs leads to the contract's trades, whoever's they are; one that none of them explains is
 * told as it is once two looks have found the same. Funding comes from the income history. Orders that are not ours, and
 * what is held of contracts that are none of the run's, are counted and left alone. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

#define RETRY_NS (2 * NS_PER_SECOND)
/* A question by time may reach over seven days, and should not stop short of now. */
#define TRADES_SPAN_NS (7 * NS_PER_DAY - NS_PER_HOUR)
enum { ROWS_MAX = 1000, INCOME_WEIGHT = 30 };

static struct request *ask(struct binance *b, const char *path, uint32_t weight,
                           request_done *done) {
    struct request *r = binance_request(b, LANE_DATA, HTTP_GET, AUTH_SIGNED, path, weight, done, 0);
    if (!r) {
        b->reconcile.failed = true;
        return NULL;
    }
    r->repeatable = true;
    r->tries_max = 4;
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
        struct order *o = binance_orders_find(&b->orders, row.client_id);
        if (!o) o = binance_orders_find_id(&b->orders, row.order_id);
        b->reconcile.result.orders++;
        if (!o) {
            b->reconcile.result.foreign_orders++;
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
            continue;
        }
        see(b, o);
        if (o->phase == PHASE_UNKNOWN) b->reconcile.result.repaired++;
        binance_order_algo_row(&b->orders, o, &row, a->received_ns);
    }
}

/* Named in the log once, until others are held. */
struct outside {
    uint64_t hash;
    char names[128];
};

static void note_outside(struct outside *o, const char *symbol) {
    size_t at = strlen(o->names), size = strlen(symbol);
    o->hash = hash_chain(o->hash, symbol, size);
    if (at + size + 2 > sizeof o->names) return;
    if (at) o->names[at++] = ',';
    memcpy(o->names + at, symbol, size + 1);
}

static void tell_outside(struct binance *b, const struct outside *o) {
    if (o->hash == b->reconcile.outside_hash) return;
    b->reconcile.outside_hash = o->hash;
    if (o->names[0])
        log_warn("venue", "positions on contracts that are none of the run's are left alone",
                 "symbols=%s", o->names);
}

static void done_positions(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct json_reader reader;
    struct rest_position row;
    struct outside outside = {0};
    int64_t ts_ns = binance_clock_now(&b->clock, r->sent_ns);
    if (!arrived(b, a)) return;
    memset(b->reconcile.positions, 0, sizeof b->reconcile.positions);
    for (uint32_t i = 0; i < b->instrument_count; i++) b->reconcile.position_ns[i] = ts_ns;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_position(&reader, &row)) {
            b->reconcile.failed = true;
            return;
        }
        b->reconcile.result.positions += row.qty.e8 != 0;
        int at = binance_symbol_find(b, row.symbol);
        if (at < 0) {
            b->reconcile.result.foreign_positions += row.qty.e8 != 0;
            if (row.qty.e8 != 0) note_outside(&outside, row.symbol);
            continue;
        }
        b->reconcile.positions[at].e8 += row.qty.e8;
        if (row.qty.e8 != 0 && row.update_ns) b->reconcile.position_ns[at] = row.update_ns;
        if (ts_ns < b->position_ns[at]) continue;
        b->positions[at].entry_px = row.entry_px;
        b->positions[at].isolated_wallet = row.isolated_wallet;
        if (row.leverage) binance_leverage_seen(b, (uint32_t)at, row.leverage);
    }
    for (uint32_t i = 0; i < b->instrument_count; i++)
        if (ts_ns >= b->position_ns[i]) {
            b->position_ns[i] = ts_ns;
            b->positions[i].qty = b->reconcile.positions[i];
        }
    tell_outside(b, &outside);
}

static void done_wallet(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    (void)r;
    if (!arrived(b, a)) return;
    int64_t update_ns = 0;
    enum status st = binance_rest_wallet(&b->reconcile.wallet, &update_ns, a->body, a->size);
    if (update_ns > b->reconcile.wallet_ns)
        b->reconcile.wallet_ns = update_ns;             /* it changed while it was asked for */
    if (st == ST_NOT_FOUND) b->reconcile.wallet.e8 = 0; /* an account without USDT */
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

/* ---- a contract's trades, when its position is not what was told ---- */

static void repair_rows(struct binance *b);

static void end_repair(struct binance *b) {
    struct reconcile *c = &b->reconcile;
    free(c->rows);
    c->rows = NULL;
    c->row_count = c->row_at = 0;
    c->repair_at = INSTRUMENTS_MAX;
}

static void tell_rows_of(struct binance *b, uint64_t order_id, const char *client_id) {
    struct reconcile *c = &b->reconcile;
    for (size_t i = c->row_at; i < c->row_count; i++) {
        const struct rest_trade *t = &c->rows[i];
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
        (void)binance_orders_foreign_fill(&b->orders, c->repair_at, &fill, order_id, client_id);
        c->result.repaired += b->orders.stats.fills != fills;
        c->row_at = i + 1;
    }
}

static void done_whose(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct rest_order row;
    if (!arrived(b, a) || binance_rest_order(&row, a->body, a->size) != ST_OK) {
        b->reconcile.failed = true;
        end_repair(b);
        return;
    }
    tell_rows_of(b, r->ref, row.client_id);
    repair_rows(b);
}

/* Goes through the rows; stops where the venue must be asked whose order it was. */
static void repair_rows(struct binance *b) {
    struct reconcile *c = &b->reconcile;
    while (c->row_at < c->row_count) {
        const struct rest_trade *t = &c->rows[c->row_at];
        struct order *o = binance_orders_find_id(&b->orders, t->order_id);
        if (o) { /* its own way: with its other fills, in order */
            int64_t now = binance_monotonic(b);
            if (o->phase != PHASE_ENDED && (o->trades_at_ns == 0 || o->trades_at_ns > now))
                o->trades_at_ns = now;
            c->row_at++;
            continue;
        }
        struct request *r = ask(b, "/fapi/v1/order", 1, done_whose);
        if (!r) break;
        r->ref = t->order_id;
        binance_param(r, "symbol", b->instruments[c->repair_at].symbol);
        binance_param_i64(r, "orderId", (int64_t)t->order_id);
        return;
    }
    end_repair(b);
}

static void done_repair(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct reconcile *c = &b->reconcile;
    struct json_reader reader;
    (void)r;
    if (a->outcome == OUTCOME_REFUSED && b->instruments[c->repair_at].status == INSTRUMENT_CLOSED) {
        /* The venue has forgotten the contract: what is held of it is told as a whole. */
        c->pending--;
        end_repair(b);
        return;
    }
    if (!arrived(b, a)) {
        end_repair(b);
        return;
    }
    c->rows = calloc(ROWS_MAX, sizeof *c->rows);
    if (!c->rows) {
        c->failed = true;
        end_repair(b);
        return;
    }
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader) && c->row_count < ROWS_MAX) {
        if (!binance_read_trade(&reader, &c->rows[c->row_count])) {
            c->failed = true;
            break;
        }
        const struct order_symbol *s = &b->orders.symbols[c->repair_at];
        const struct rest_trade *t = &c->rows[c->row_count];
        if (fills_is_new(&s->fills, t->trade_id) && t->trade_id > s->from_trade_id &&
            t->ts_ns > s->counted_ns)
            c->row_count++;
    }
    if (c->row_count == ROWS_MAX) c->wanted = true;
    repair_rows(b);
}

/* From the first id that may not have been told; where none is known, from the time since when it would have been. */
static void start_repair(struct binance *b, uint32_t instrument) {
    struct reconcile *c = &b->reconcile;
    const struct order_symbol *s = &b->orders.symbols[instrument];
    struct request *r = ask(b, "/fapi/v1/userTrades", 5, done_repair);
    c->repair[instrument] = false;
    if (!r) return;
    c->repair_at = instrument;
    binance_param(r, "symbol", b->instruments[instrument].symbol);
    uint64_t id = s->fills.floor > s->from_trade_id ? s->fills.floor : s->from_trade_id;
    if (id) {
        binance_param_i64(r, "fromId", (int64_t)id + 1);
    } else {
        int64_t since_ns = binance_clock_now(&b->clock, c->started_ns) - TRADES_SPAN_NS;
        if (s->counted_ns > since_ns) since_ns = s->counted_ns;
        binance_param_i64(r, "startTime", since_ns / NS_PER_MS + 1);
    }
    binance_param_i64(r, "limit", ROWS_MAX);
}

/* ---- the run ---- */

static void start(struct binance *b, int64_t now_ns) {
    struct reconcile *c = &b->reconcile;
    c->running = true;
    c->wanted = c->failed = c->compared = c->has_wallet = false;
    c->pending = 0;
    c->started_ns = now_ns;
    c->fills_before = b->orders.stats.fills;
    c->repair_at = INSTRUMENTS_MAX;
    memset(&c->result, 0, sizeof c->result);
    memset(c->seen, 0, sizeof c->seen);
    memset(c->repair, 0, sizeof c->repair);
    (void)ask(b, "/fapi/v1/openOrders", 40, done_orders);
    if (b->algo_service) (void)ask(b, "/fapi/v1/openAlgoOrders", 40, done_algos);
    (void)ask(b, "/fapi/v3/positionRisk", 5, done_positions);
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
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        if (b->orders.symbols[i].booked.e8 != c->positions[i].e8) c->repair[i] = true;
    }
}

/* What is left when all trades have been told. A reply may be older than a fill and a fill older than its news, so a
 * difference counts when the next look finds the same one: nothing was told in between and the row has not changed. True:
 * it is to be looked at again. */
static bool doubt_position(struct binance *b, uint32_t i) {
    struct reconcile *c = &b->reconcile;
    struct doubt *d = &c->doubts[i];
    qty_t booked = b->orders.symbols[i].booked, venue = c->positions[i];
    if (booked.e8 == venue.e8 || binance_fills_are_due(b, i)) {
        d->is_set = false;
        return false;
    }
    bool same = d->is_set && d->booked.e8 == booked.e8 && d->venue.e8 == venue.e8 &&
                (venue.e8 == 0 || d->ts_ns == c->position_ns[i]);
    if (!same) {
        *d = (struct doubt){venue, booked, c->position_ns[i], true};
        return true;
    }
    d->is_set = false;
    c->result.repaired++;
    log_warn("venue", "position corrected", "symbol=%s booked_e8=%lld venue_e8=%lld",
             b->instruments[i].symbol, (long long)booked.e8, (long long)venue.e8);
    binance_orders_position(&b->orders, i, venue, b->positions[i].entry_px, d->ts_ns);
    return false;
}

static bool doubt_positions(struct binance *b) {
    bool again = false;
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        again |= doubt_position(b, i);
        b->reconcile.result.foreign_positions += binance_is_foreign(b, i);
    }
    return again;
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
    c->next_ns = now_ns + (c->failed ? RETRY_NS : b->options.reconcile_every_ns);
    if (c->failed) {
        c->wanted = c->income_wanted = true;
        return;
    }
    if (doubt_positions(b) && c->next_ns > now_ns + RETRY_NS) c->next_ns = now_ns + RETRY_NS;
    /* A fill told meanwhile may or may not be in the balance: the next one will tell. Another balance than what was told
     * makes is one of the venue's own after the history of funding has been asked: a stream may have kept it back. */
    if (c->has_wallet && b->orders.balance_told && !c->income_asked &&
        c->wallet.e8 != b->orders.wallet.e8)
        c->wanted = c->income_wanted = true;
    else if (c->has_wallet && c->fills_before == b->orders.stats.fills)
        binance_orders_balance(&b->orders, c->wallet, c->wallet_ns,
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
        end_repair(b);
        finish(b, now_ns);
        return;
    }
    if (!c->compared) {
        c->compared = true;
        compare(b, now_ns);
    }
    if (!orders_are_settled(b)) return;
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        if (!c->repair[i]) continue;
        if (b->orders.symbols[i].booked.e8 == c->positions[i].e8) {
            c->repair[i] = false; /* its orders' fills were the difference */
            continue;
        }
        if (binance_fills_are_due(b, i)) return;
        start_repair(b, i);
        return;
    }
    finish(b, now_ns);
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
