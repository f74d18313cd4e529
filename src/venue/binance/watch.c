/* What the account really holds and which protective orders really rest, asked every second or so, whatever the streams
 * say: beside reconciliation, in a lane of its own. A question whose answer is late is asked again beside itself, and the
 * first answer counts. An answer counts against what was told before its question left; older ones say nothing. What
 * differs starts the questions that exist: of each order of the contract, then of its trades. */
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

/* What is held rests under its orders, and a trigger that is passed is asked after by itself. */
#define CALM_EVERY_NS   (3 * NS_PER_SECOND)
#define IDLE_EVERY_NS   (5 * NS_PER_SECOND) /* nothing held, nothing asked for */
#define ORDERS_EVERY_NS (15 * NS_PER_SECOND)
#define CLOSE_EVERY_NS  (1 * NS_PER_SECOND)
#define CLOSE_FOR_NS    (20 * NS_PER_SECOND)
#define CLOSE_GRACE_NS  (50 * NS_PER_MS)
#define HEDGE_NS        (350 * NS_PER_MS)
#define OVERTAKEN_NS    (50 * NS_PER_MS)
/* Own fills that are being asked for are waited for so long before the contract's trades are looked through. */
#define OWN_FIRST_NS (1500 * NS_PER_MS)
/* Two looks so far apart that find the same difference: nothing on its way explains it. */
#define SAME_AGAIN_NS (2 * NS_PER_SECOND)
/* A trigger that the price has passed: the stream is given so long, doubled with every question in vain. */
#define PASSED_NS (400 * NS_PER_MS)
enum { PASSED_DOUBLINGS = 4, WORKING_MARK = 1 };
enum {
    POSITIONS_WEIGHT = 5,
    ALL_WEIGHT = 40,
    SHARE = 3 /* of the weight limit, 1/SHARE is ours */
};
enum { ALL_AT_ONCE = 3 /* contracts */ };

static const char position_path[] = "/fapi/v3/positionRisk",
                  algos_path[] = "/fapi/v1/openAlgoOrders", orders_path[] = "/fapi/v1/openOrders";

static struct request *ask(struct binance *b, const char *path, uint32_t weight, request_done *done,
                           uint64_t ref) {
    struct request *r =
        binance_request(b, LANE_WATCH, HTTP_GET, AUTH_SIGNED, path, weight, done, ref);
    if (!r) return NULL;
    r->repeatable = true;
    r->tries_max = 1; /* it is asked again beside itself */
    b->stats.watch_questions++;
    return r;
}

static void sooner(int64_t *at_ns, int64_t ts_ns) {
    if (ts_ns < *at_ns) *at_ns = ts_ns;
}

static bool is_close(const struct binance *b, int64_t now_ns) {
    return now_ns < b->watch.close_until_ns;
}

void binance_watch_closely(struct binance *b, int64_t now_ns) {
    struct account_watch *w = &b->watch;
    if (!is_close(b, now_ns)) w->orders_next_ns = now_ns;
    w->close_until_ns = now_ns + CLOSE_FOR_NS;
    b->orders.grace_ns = CLOSE_GRACE_NS;
    sooner(&w->next_ns, now_ns);
}

void binance_watch_now(struct binance *b, int64_t now_ns) {
    sooner(&b->watch.next_ns, now_ns);
}

void binance_watch_booked(struct binance *b, uint32_t instrument) {
    b->watch.symbols[instrument].booked_ns = binance_monotonic(b);
}

/* ---- positions ---- */

/* Named in the log once, until others are held. */
struct outside {
    uint64_t hash;
    uint32_t count;
    char names[128];
};

static void note_outside(struct outside *o, const char *symbol) {
    size_t at = strlen(o->names), size = strlen(symbol);
    o->hash = hash_chain(o->hash, symbol, size);
    o->count++;
    if (at + size + 2 > sizeof o->names) return;
    if (at) o->names[at++] = ',';
    memcpy(o->names + at, symbol, size + 1);
}

static void tell_outside(struct binance *b, const struct outside *o) {
    b->watch.outside_count = o->count;
    if (o->hash == b->watch.outside_hash) return;
    b->watch.outside_hash = o->hash;
    if (o->names[0])
        log_warn("venue", "positions on contracts that are none of the run's are left alone",
                 "symbols=%s", o->names);
}

/* false: it is asked after already. */
static bool ask_after(struct order *o, int64_t now_ns) {
    if (o->queries_flying || o->absent_count) return false;
    if (o->query_at_ns == 0 || o->query_at_ns > now_ns) o->query_at_ns = now_ns;
    return true;
}

/* Everything that may know of a fill of the contract that was not told. */
static void ask_orders_of(struct binance *b, uint32_t instrument, int64_t now_ns) {
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->instrument == instrument) (void)ask_after(o, now_ns);
    }
}

/* What is left when all trades have been told. A difference counts when another look, later, finds the same one: nothing
 * was told in between and the row has not changed. */
static void doubt(struct binance *b, uint32_t i, int64_t now_ns) {
    struct watch_symbol *s = &b->watch.symbols[i];
    qty_t booked = b->orders.symbols[i].booked;
    if (s->looked_up_ns < s->differs_ns || binance_fills_are_due(b, i)) return;
    bool same = s->doubt_ns && s->doubt_booked.e8 == booked.e8 &&
                s->doubt_venue.e8 == s->venue.e8 &&
                (s->venue.e8 == 0 || s->doubt_row_ns == s->row_ns);
    if (!same) {
        s->doubt_ns = now_ns;
        s->doubt_booked = booked;
        s->doubt_venue = s->venue;
        s->doubt_row_ns = s->row_ns;
        return;
    }
    if (now_ns - s->doubt_ns < SAME_AGAIN_NS) return;
    s->doubt_ns = s->differs_ns = 0;
    b->reconcile.result.repaired++;
    log_warn("venue", "position corrected", "symbol=%s booked_e8=%lld venue_e8=%lld",
             b->instruments[i].symbol, (long long)booked.e8, (long long)s->venue.e8);
    binance_orders_position(&b->orders, i, s->venue, b->positions[i].entry_px, s->row_ns);
}

/* What was told since the question left may or may not be in the answer. */
static void compare(struct binance *b, uint32_t i, int64_t asked_ns, int64_t now_ns) {
    struct watch_symbol *s = &b->watch.symbols[i];
    if (b->orders.symbols[i].booked.e8 == s->venue.e8) {
        s->differs_ns = s->doubt_ns = 0;
        return;
    }
    if (s->booked_ns >= asked_ns) {
        b->watch.overtaken = true;
        return;
    }
    if (s->differs_ns == 0) {
        s->differs_ns = now_ns;
        b->stats.watch_differences++;
    }
    binance_watch_closely(b, now_ns);
    doubt(b, i, now_ns); /* before they are asked: a question on its way may explain everything */
    ask_orders_of(b, i, now_ns);
}

static bool read_rows(struct binance *b, const struct answer *a, struct outside *outside,
                      int64_t ts_ns) {
    struct account_watch *w = &b->watch;
    struct json_reader reader;
    struct rest_position row;
    for (uint32_t i = 0; i < b->instrument_count; i++)
        w->rows[i] = (struct watch_row){.ts_ns = ts_ns};
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_position(&reader, &row)) return false;
        int at = binance_symbol_find(b, row.symbol);
        if (at < 0) {
            if (row.qty.e8 != 0) note_outside(outside, row.symbol);
            continue;
        }
        struct watch_row *to = &w->rows[at];
        to->qty.e8 += row.qty.e8;
        to->entry_px = row.entry_px;
        to->isolated_wallet = row.isolated_wallet;
        to->leverage = row.leverage;
        if (row.qty.e8 != 0 && row.update_ns) to->ts_ns = row.update_ns;
    }
    return json_finish(&reader) == ST_OK;
}

static void take_row(struct binance *b, uint32_t i, int64_t ts_ns) {
    const struct watch_row *row = &b->watch.rows[i];
    struct watch_symbol *s = &b->watch.symbols[i];
    s->venue = row->qty;
    s->row_ns = row->ts_ns;
    if (ts_ns < b->position_ns[i]) return; /* the stream has told of something later */
    b->position_ns[i] = ts_ns;
    b->positions[i].qty = row->qty;
    b->positions[i].entry_px = row->entry_px;
    b->positions[i].isolated_wallet = row->isolated_wallet;
    if (row->leverage) binance_leverage_seen(b, i, row->leverage);
}

static int64_t period(const struct binance *b, int64_t now_ns) {
    if (is_close(b, now_ns)) return CLOSE_EVERY_NS;
    if (b->orders.active_count) return CALM_EVERY_NS;
    for (uint32_t i = 0; i < b->instrument_count; i++)
        if (b->orders.symbols[i].booked.e8 != 0 || b->watch.symbols[i].venue.e8 != 0)
            return CLOSE_EVERY_NS; /* and nothing of ours protects it */
    return IDLE_EVERY_NS;
}

static void done_positions(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct account_watch *w = &b->watch;
    struct outside outside = {0};
    if (w->flying) w->flying--;
    if (a->outcome != OUTCOME_DONE || r->sent_ns <= w->looked_ns) return;
    int64_t ts_ns = binance_clock_now(&b->clock, r->sent_ns);
    if (!read_rows(b, a, &outside, ts_ns)) return;
    w->looked_ns = r->sent_ns;
    for (uint32_t i = 0; i < b->instrument_count; i++) take_row(b, i, ts_ns);
    for (uint32_t i = 0; i < b->instrument_count; i++) compare(b, i, r->sent_ns, a->received_ns);
    w->next_ns = r->sent_ns + period(b, a->received_ns);
    if (w->overtaken) w->next_ns = a->received_ns + OVERTAKEN_NS;
    w->overtaken = false;
    tell_outside(b, &outside);
}

static void ask_positions(struct binance *b, int64_t now_ns) {
    struct account_watch *w = &b->watch;
    w->next_ns = now_ns + HEDGE_NS;
    if (!binance_requests_may_ask(&b->requests, w->flying, now_ns)) return;
    if (ask(b, position_path, POSITIONS_WEIGHT, done_positions, 0)) w->flying++;
}

/* ---- protective orders ---- */

static bool is_resting(const struct order *o, bool algo) {
    return o->phase == PHASE_LIVE && o->end == END_NONE && o->conditional && o->on_algo == algo &&
           !o->told_triggered;
}

enum { EVERY_CONTRACT = 0xffffffff };
static bool is_of(const struct order *o, uint32_t instrument) {
    return instrument == EVERY_CONTRACT || o->instrument == instrument;
}

/* Those that the list should have and has not. */
static void missed(struct binance *b, uint32_t instrument, bool algo, int64_t asked_ns,
                   int64_t now_ns) {
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        struct order *o = &b->orders.slots[b->orders.active[i]];
        if (!is_of(o, instrument) || !is_resting(o, algo) || o->seen_stamp == b->watch.stamp ||
            o->evidence_ns >= asked_ns)
            continue;
        b->stats.watch_gone++;
        if (ask_after(o, now_ns)) binance_watch_now(b, now_ns);
    }
}

static bool read_algos(struct binance *b, const struct request *r, const struct answer *a) {
    struct json_reader reader;
    struct rest_algo row;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_algo(&reader, &row)) return false;
        struct order *o = binance_orders_find(&b->orders, row.client_id);
        if (!o) continue; /* reconciliation counts them */
        o->seen_stamp = b->watch.stamp;
        if (o->phase == PHASE_ENDED)
            binance_order_again(b, o, r->sent_ns);
        else
            binance_order_algo_row(&b->orders, o, &row, a->received_ns);
    }
    return json_finish(&reader) == ST_OK;
}

static bool read_orders(struct binance *b, const struct answer *a) {
    struct json_reader reader;
    struct rest_order row;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_order(&reader, &row)) return false;
        struct order *o = binance_orders_find_row(&b->orders, &row);
        if (!o) continue;
        o->seen_stamp = b->watch.stamp;
        binance_order_row(&b->orders, o, &row, a->received_ns);
    }
    return json_finish(&reader) == ST_OK;
}

static void done_list(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct account_watch *w = &b->watch;
    uint32_t instrument = (uint32_t)r->ref;
    bool algo = r->path == algos_path;
    struct watch_list *l =
        instrument == EVERY_CONTRACT ? &w->all[algo] : &w->symbols[instrument].lists[algo];
    if (l->flying) l->flying--;
    if (a->outcome != OUTCOME_DONE || r->sent_ns <= l->looked_ns) return;
    w->stamp++;
    bool whole = algo ? read_algos(b, r, a) : read_orders(b, a);
    if (!whole) return;
    l->looked_ns = r->sent_ns;
    missed(b, instrument, algo, r->sent_ns, a->received_ns);
}

static void ask_list(struct binance *b, uint32_t instrument, bool algo, int64_t now_ns) {
    struct account_watch *w = &b->watch;
    bool every = instrument == EVERY_CONTRACT;
    struct watch_list *l = every ? &w->all[algo] : &w->symbols[instrument].lists[algo];
    if (!binance_requests_may_ask(&b->requests, l->flying, now_ns)) return;
    struct request *r =
        ask(b, algo ? algos_path : orders_path, every ? ALL_WEIGHT : 1, done_list, instrument);
    if (!r) return;
    if (!every) binance_param(r, "symbol", b->instruments[instrument].symbol);
    l->asked_ns = now_ns;
    l->flying++;
}

/* How often a list is asked for: every_ns; beside itself, or again, while no answer comes: hedge_ns. */
struct pace {
    int64_t every_ns, hedge_ns;
};

/* Answered since it was asked last: due a period later. Not answered: due beside itself. */
static int64_t due_of(const struct watch_list *l, const struct pace *pace) {
    return l->asked_ns + (l->looked_ns >= l->asked_ns ? pace->every_ns : pace->hedge_ns);
}

/* How many lists a round takes, so that all rounds of a minute together stay in their share. */
static int64_t stretched(const struct binance *b, int64_t every_ns, uint32_t weight) {
    int64_t share = b->requests.budget.limits.weight_1m / SHARE;
    int64_t left = share - POSITIONS_WEIGHT * (NS_PER_MINUTE / CLOSE_EVERY_NS);
    if (left < share / 4) left = share / 4 > 0 ? share / 4 : 1;
    int64_t least_ns = (int64_t)weight * NS_PER_MINUTE / left;
    return every_ns > least_ns ? every_ns : least_ns;
}

/* Which contracts have a conditional order resting, at which service. */
static void count_lists(struct binance *b, uint32_t counts[2]) {
    counts[0] = counts[1] = 0;
    for (uint32_t i = 0; i < b->instrument_count; i++) b->watch.symbols[i].rests = 0;
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        const struct order *o = &b->orders.slots[b->orders.active[i]];
        uint8_t *rests = &b->watch.symbols[o->instrument].rests;
        for (int algo = 0; algo < 2; algo++) {
            uint8_t bit = (uint8_t)(1 << algo);
            if (!is_resting(o, algo) || (*rests & bit)) continue;
            *rests |= bit;
            counts[algo]++;
        }
    }
}

static void list(struct binance *b, uint32_t instrument, bool algo, const struct pace *pace,
                 int64_t now_ns, int64_t *next_ns) {
    struct account_watch *w = &b->watch;
    struct watch_list *l =
        instrument == EVERY_CONTRACT ? &w->all[algo] : &w->symbols[instrument].lists[algo];
    if (due_of(l, pace) <= now_ns) ask_list(b, instrument, algo, now_ns);
    int64_t at = due_of(l, pace);
    sooner(next_ns, at > now_ns ? at : now_ns + HEDGE_NS);
}

/* One question for all contracts has the weight of forty, and is one: in calm it is the cheaper for both sides. */
static void ask_lists(struct binance *b, int64_t now_ns) {
    bool close = is_close(b, now_ns);
    int64_t every_ns = close ? CLOSE_EVERY_NS : ORDERS_EVERY_NS;
    int64_t next_ns = now_ns + (close ? NS_PER_SECOND : every_ns); /* orders come and go */
    uint32_t counts[2];
    count_lists(b, counts);
    for (int algo = 0; algo < 2; algo++) {
        bool every = counts[algo] > (close ? ALL_WEIGHT : ALL_AT_ONCE);
        uint32_t weight = every ? ALL_WEIGHT : counts[algo];
        /* Refused or unanswered questions cost their weight too. */
        const struct pace pace = {stretched(b, every_ns, weight), stretched(b, HEDGE_NS, weight)};
        if (every) list(b, EVERY_CONTRACT, algo, &pace, now_ns, &next_ns);
        for (uint32_t i = 0; i < b->instrument_count && !every && counts[algo]; i++)
            if (b->watch.symbols[i].rests & (1 << algo)) list(b, i, algo, &pace, now_ns, &next_ns);
    }
    b->watch.orders_next_ns = next_ns;
}

/* ---- triggers that the price has passed ---- */

static bool is_reached(const struct order *o, px_t px) {
    bool stop = o->type == ORDER_STOP || o->type == ORDER_STOP_MARKET;
    bool above = stop == (o->side == SIDE_BUY);
    return above ? px.e8 >= o->stop_px.e8 : px.e8 <= o->stop_px.e8;
}

void binance_orders_price(struct binance *b, uint32_t instrument, px_t px, bool is_mark) {
    if (px.e8 <= 0 || b->orders.active_count == 0) return;
    int64_t now = binance_monotonic(b);
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->instrument != instrument || !o->conditional || o->stop_px.e8 <= 0 ||
            o->phase != PHASE_LIVE || o->end != END_NONE || o->told_triggered)
            continue;
        /* By the price it works by it has fired; by the other one it may. */
        bool fires = is_mark == (o->working_type == WORKING_MARK);
        uint8_t *count = fires ? &o->passed_count : &o->near_count;
        if (!is_reached(o, px)) {
            if (o->passed_ns == 0) *count = 0; /* it was there: a price that is back says nothing */
            continue;
        }
        int64_t at = now + (PASSED_NS << *count);
        if (o->passed_ns && o->passed_ns <= at) continue;
        o->passed_ns = at;
        b->stirred = true;
        if (*count == 0) b->stats.prices_passed++;
        if (*count < PASSED_DOUBLINGS) ++*count;
    }
}

/* ---- what differs ---- */

static void look_up(struct binance *b, int64_t now_ns, int64_t *deadline) {
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        struct watch_symbol *s = &b->watch.symbols[i];
        if (s->differs_ns == 0) continue;
        if (b->orders.symbols[i].booked.e8 == s->venue.e8) {
            s->differs_ns = s->doubt_ns = 0; /* its orders' fills were the difference */
            continue;
        }
        /* Once an answer: what is left then is looked at again by the next one. */
        if (s->looked_up_ns >= b->watch.looked_ns || b->lookup.step != LOOKUP_IDLE) continue;
        if (binance_fills_are_due(b, i) && now_ns < s->differs_ns + OWN_FIRST_NS) {
            sooner(deadline, s->differs_ns + OWN_FIRST_NS);
            continue;
        }
        binance_lookup_start(b, i, now_ns);
    }
}

bool binance_watch_is_settled(const struct binance *b, int64_t since_ns) {
    if (b->watch.looked_ns < since_ns || b->lookup.step != LOOKUP_IDLE) return false;
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        const struct watch_symbol *s = &b->watch.symbols[i];
        if (s->differs_ns && s->looked_up_ns < since_ns) return false;
    }
    return true;
}

int64_t binance_watch_time(struct binance *b, int64_t now_ns) {
    struct account_watch *w = &b->watch;
    if (!b->loaded || !b->session.feed_count || !b->clock.known) return INT64_MAX;
    int64_t deadline = binance_lookup_time(b, now_ns);
    look_up(b, now_ns, &deadline);
    if (now_ns < b->requests.budget.blocked_until_ns) return deadline;
    if (now_ns >= w->close_until_ns) b->orders.grace_ns = ORDER_GRACE_NS;
    if (now_ns >= w->next_ns) ask_positions(b, now_ns);
    if (now_ns >= w->orders_next_ns) ask_lists(b, now_ns);
    sooner(&deadline, w->next_ns);
    sooner(&deadline, w->orders_next_ns);
    return deadline;
}
