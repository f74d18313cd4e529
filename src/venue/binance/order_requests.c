/* Requests about orders, and their replies as evidence (orders.c). */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"
#include "venue/names/names.h"

enum {
    CODE_USE_ALGO = -4120,
    CODE_NO_PATH = -5000,
    CODE_ABSENT = -2013,
    CODE_CANCEL_UNKNOWN = -2011,
    CODE_DUPLICATE = -4116,
    CODE_SECOND_OF_WHOLE = -4130,
    CODE_NO_CHANGE_MARGIN = -4046,
    CANCEL_TRIES_MAX = 8,
};
/* The matching engine looks at the window once more; clocks of its machines need not agree to the millisecond. */
#define WINDOW_MARGIN_NS (500 * NS_PER_MS)
#define TRADES_AGAIN_NS  (700 * NS_PER_MS)
#define ASK_AGAIN_NS     (250 * NS_PER_MS) /* of an answer that did not come */
/* A refusal that doubts the rules is told no later, whatever became of asking for them: a stop may hang on it. */
#define RULES_WAIT_NS  (400 * NS_PER_MS)
#define AGAIN_EVERY_NS (2 * NS_PER_SECOND)
enum { PLACES_MAX = 4 };

static const char order_path[] = "/fapi/v1/order", algo_path[] = "/fapi/v1/algoOrder";

uint64_t binance_order_ref(const struct binance *b, const struct order *o) {
    return (uint64_t)o->serial << 32 | binance_order_slot(&b->orders, o);
}

struct order *binance_order_of(struct binance *b, uint64_t ref) {
    struct order *o = &b->orders.slots[(uint32_t)ref];
    return o->serial == (uint32_t)(ref >> 32) ? o : NULL;
}

/* Doing it twice is doing it once: an order that can only end what is held, under one id, of which one may be open. */
static bool is_placed_again(const struct order *o) {
    return o->lane == LANE_PROTECTION && o->conditional && (o->close_position || o->reduce_only);
}

static int64_t venue_ts(const struct binance *b) {
    return b->clock.known ? binance_clock_now(&b->clock, binance_monotonic(b)) : 0;
}

/* A time the venue's clock has certainly reached; 0 unknown. */
static int64_t venue_at_least(const struct binance *b, int64_t now_ns) {
    if (!b->clock.trusted) return 0;
    return binance_clock_now(&b->clock, now_ns) - binance_clock_error(&b->clock, now_ns);
}

static const char *symbol_of(const struct binance *b, const struct order *o) {
    return b->instruments[o->instrument].symbol;
}

/* ---- placing ---- */

static void done_place(void *context, const struct request *r, const struct answer *a);

static void place_params(struct request *r, const struct order *o, const char *symbol) {
    bool limit = o->type == ORDER_LIMIT || o->type == ORDER_STOP || o->type == ORDER_TAKE_PROFIT;
    if (o->on_algo) binance_param(r, "algoType", "CONDITIONAL");
    binance_param(r, "symbol", symbol);
    binance_param(r, "side", side_text((enum side)o->side));
    binance_param(r, "type", order_type_text((enum order_type)o->type));
    if (o->order_qty.e8 > 0) binance_param_e8(r, "quantity", o->order_qty.e8);
    if (limit) {
        binance_param_e8(r, "price", o->limit_px.e8);
        binance_param(r, "timeInForce", time_in_force_text((enum time_in_force)o->time_in_force));
    } else if (o->conditional && o->time_in_force == TIF_GTE_GTC) {
        binance_param(r, "timeInForce", "GTE_GTC");
    }
    if (o->conditional) {
        binance_param_e8(r, o->on_algo ? "triggerPrice" : "stopPrice", o->stop_px.e8);
        binance_param(r, "workingType", venue_working_type_text(o->working_type));
    }
    if (o->close_position)
        binance_param(r, "closePosition", "true");
    else if (o->reduce_only)
        binance_param(r, "reduceOnly", "true");
    binance_param(r, o->on_algo ? "clientAlgoId" : "newClientOrderId", o->client_id);
    /* RESULT: the reply of a market order says how much was done, so a silent user stream is noticed. */
    if (!o->conditional) binance_param(r, "newOrderRespType", "RESULT");
}

void binance_place(struct binance *b, struct order *o) {
    struct request *r = binance_request(b, (enum binance_lane)o->lane, HTTP_POST, AUTH_SIGNED,
                                        o->on_algo ? algo_path : order_path, 0, done_place,
                                        binance_order_ref(b, o));
    if (!r) {
        binance_order_refused(&b->orders, o, BINANCE_NOT_SENT, venue_ts(b), binance_monotonic(b));
        return;
    }
    r->orders = 1;
    o->places_flying++;
    if (o->places < UINT8_MAX) o->places++;
    struct rules_hold *hold = &b->rules.holds[o->instrument];
    if (hold->until_ns > r->queued_ns) {
        o->doubted_code = hold->code;
    } else if (hold->untold && o->places == 1) {
        o->doubted_code = hold->untold;
        hold->untold = 0;
    }
    if (o->lane == LANE_PROTECTION || o->lane == LANE_EXIT)
        r->window_ms = b->options.protection_window_ms;
    if (o->lane == LANE_ENTRY) r->patience_ns = r->queued_ns + b->options.entry_patience_ns;
    if (o->lane == LANE_DATA) r->tries_max = 5;
    place_params(r, o, symbol_of(b, o));
}

void binance_order_left(struct binance *b, const struct request *r) {
    struct order *o = binance_order_of(b, r->ref);
    if (o) o->placed_ns = r->sent_ns;
}

/* What became of it is known: copies that wait for another try are not sent. */
static void withdraw(struct binance *b, struct order *o) {
    if (o->places <= 1 || o->places_flying == 0) return;
    uint32_t n = binance_requests_withdraw(&b->requests, (enum binance_lane)o->lane,
                                           binance_order_ref(b, o));
    o->places_flying = (uint8_t)(o->places_flying - n);
}

/* True if the order goes out again, to the other service. */
static bool switch_service(struct binance *b, struct order *o, int32_t code) {
    bool other = code == CODE_USE_ALGO && !o->on_algo;
    if (code == CODE_NO_PATH && o->on_algo) other = true;
    if (!other || !o->conditional || o->switched) return false;
    o->switched = true;
    o->places = 0; /* that it was refused there is certain */
    o->on_algo = !o->on_algo;
    if (b->algo_service != o->on_algo) b->stats.service_switches++;
    b->algo_service = o->on_algo;
    binance_place(b, o);
    return true;
}

/* Also where it is known to stand: a copy of it may still arrive until then. */
static void unknown(struct order *o, const struct answer *a) {
    int64_t end_ns = (a->timestamp_ms + a->window_ms) * NS_PER_MS + WINDOW_MARGIN_NS;
    if (end_ns > o->window_end_ns) o->window_end_ns = end_ns;
    binance_order_unknown(o, end_ns, a->received_ns);
}

/* The reply of the service the order went to, as evidence; false if it is not one. */
static bool take_row(struct binance *b, struct order *o, bool algo, const struct answer *a) {
    struct rest_order row;
    struct rest_algo algo_row;
    if (algo) {
        if (binance_rest_algo(&algo_row, a->body, a->size) != ST_OK ||
            strcmp(algo_row.client_id, o->client_id) != 0)
            return false;
        binance_order_algo_row(&b->orders, o, &algo_row, a->received_ns);
        return true;
    }
    /* A child of a conditional order may have an id of its own. */
    if (binance_rest_order(&row, a->body, a->size) != ST_OK ||
        (strcmp(row.client_id, o->client_id) != 0 && row.order_id != o->order_id))
        return false;
    if (b->clock.known) binance_clock_not_before(&b->clock, a->received_ns, row.update_ns);
    binance_order_row(&b->orders, o, &row, a->received_ns);
    return true;
}

/* Refusals that right books would have spared us. */
static bool doubts_books(int32_t code) {
    switch (code) {
    case -2018: /* balance */
    case -2019: /* margin */
    case -2022: /* nothing to reduce */
    case -4118:
    case -4130: /* a closePosition order of that direction waits already */
        return true;
    default:
        return false;
    }
}

/* Refused for what an earlier sending of it may have done. */
static bool is_refused_by_itself(struct binance *b, struct order *o, const struct answer *a) {
    if (a->code == CODE_DUPLICATE && is_placed_again(o)) {
        binance_order_stands(&b->orders, o, venue_ts(b), a->received_ns);
        if (o->phase == PHASE_LIVE) o->query_at_ns = a->received_ns;
        return true;
    }
    if (a->code != CODE_DUPLICATE && !(a->code == CODE_SECOND_OF_WHOLE && o->places > 1))
        return false;
    unknown(o, a);
    return true;
}

/* Refused by rules that we may not know: until they are told, or cannot be in time, nothing of the contract is sent, and
 * what was made by the old ones is not sent as it is. */
static bool doubts_rules(struct binance *b, const struct order *o, const struct answer *a) {
    if (a->outcome != OUTCOME_REFUSED || !binance_rules_doubt(b, a->code, a->received_ns))
        return false;
    b->rules.holds[o->instrument] =
        (struct rules_hold){.until_ns = a->received_ns + RULES_WAIT_NS, .code = a->code};
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        struct order *other = &b->orders.slots[b->orders.active[i]];
        if (other == o || (other->instrument == o->instrument && other->phase == PHASE_ASKED))
            other->doubted_code = a->code;
    }
    return true;
}

static void done_place(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct order *o = binance_order_of(b, r->ref);
    if (a->sent_ns && a->http) hist_add(&b->stats.round_trip_ns, a->received_ns - a->sent_ns);
    if (!o) return;
    if (o->places_flying) o->places_flying--;
    bool in_doubt = doubts_rules(b, o, a);
    if (a->outcome == OUTCOME_DONE || a->outcome == OUTCOME_REFUSED) withdraw(b, o);
    if (o->phase == PHASE_ENDED) {
        if (a->outcome == OUTCOME_DONE && o->places > 1) binance_order_again(b, o, a->sent_ns);
        return;
    }
    switch (a->outcome) {
    case OUTCOME_DONE:
        if (!take_row(b, o, r->path == algo_path, a))
            unknown(o, a);
        else if (!o->stream_seen && o->phase == PHASE_LIVE)
            o->acked_ns = a->received_ns;
        return;
    case OUTCOME_REFUSED:
        if (is_refused_by_itself(b, o, a)) return;
        if (o->phase == PHASE_UNKNOWN) { /* an earlier sending's fate is still asked for */
            if (in_doubt) b->rules.holds[o->instrument].untold = a->code;
            return;
        }
        if (o->phase != PHASE_ASKED) {
            b->orders.stats.contradictions++; /* the stream told of it: it stands */
            return;
        }
        if (in_doubt) {
            o->refused_code = a->code;
            o->refused_until_ns = a->received_ns + RULES_WAIT_NS;
            return;
        }
        if (doubts_books(a->code)) binance_reconcile(b);
        if (switch_service(b, o, a->code)) return;
        binance_order_refused(&b->orders, o, a->code, venue_ts(b), a->received_ns);
        return;
    case OUTCOME_UNKNOWN:
        b->stats.unknown_outcomes++;
        unknown(o, a);
        if (o->phase != PHASE_UNKNOWN || !is_placed_again(o) || o->places_flying ||
            o->places >= PLACES_MAX)
            return;
        b->stats.places_repeated++; /* it is that one which stands, or this one */
        binance_place(b, o);
        return;
    case OUTCOME_NOT_EXECUTED:
        if (o->phase == PHASE_ASKED && o->places_flying == 0)
            binance_order_refused(&b->orders, o, a->code ? a->code : BINANCE_NOT_SENT, venue_ts(b),
                                  a->received_ns);
        return;
    }
}

/* ---- asking ---- */

/* What is known of an order, to see whether an answer brought news that the stream should have. */
struct known {
    uint8_t phase, end;
    bool triggered;
    int64_t cum_e8;
};
static struct known known_of(const struct order *o) {
    return (struct known){o->phase, o->end, o->told_triggered, o->cum_qty.e8};
}
static bool is_news(const struct known *before, const struct order *o) {
    return before->phase == PHASE_LIVE &&
           (before->end != o->end || before->triggered != o->told_triggered ||
            before->cum_e8 != o->cum_qty.e8);
}

static void done_query(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct order *o = binance_order_of(b, r->ref);
    if (!o) return;
    if (o->queries_flying) o->queries_flying--;
    if (o->phase == PHASE_ENDED) return;
    bool algo = r->path == algo_path;
    bool was_unknown = o->phase == PHASE_UNKNOWN;
    const struct known before = known_of(o);
    if (a->outcome == OUTCOME_DONE) {
        o->ask_other = false;
        if (!take_row(b, o, algo, a)) o->query_at_ns = a->received_ns + TRADES_AGAIN_NS;
        if (was_unknown && o->phase != PHASE_UNKNOWN) b->stats.resolved_by_query++;
        /* The row of a fired conditional order names its child: that one says how it ended. */
        if (algo && o->phase != PHASE_ENDED && o->told_triggered && o->order_id)
            o->query_at_ns = a->received_ns;
        if (algo && !o->told_triggered) o->query_at_ns = 0;
        if (is_news(&before, o)) binance_watch_closely(b, a->received_ns);
    } else if (o->phase == PHASE_ASKED) {
        return; /* it may be on its way: that it is not there yet says nothing */
    } else if (a->outcome == OUTCOME_REFUSED &&
               (a->code == CODE_ABSENT || a->code == CODE_CANCEL_UNKNOWN ||
                (a->code == CODE_NO_PATH && algo))) {
        if (o->queries_flying > 0)
            return;                 /* asked twice at once it is one answer: the last one counts */
        if (o->places_flying > 0) { /* another sending of it may be on its way */
            o->query_at_ns = a->received_ns + REQUESTS_BESIDE_NS;
            return;
        }
        binance_order_absent(&b->orders, o, venue_at_least(b, r->sent_ns), a->received_ns);
        if (was_unknown && o->phase == PHASE_ENDED) b->stats.resolved_by_query++;
    } else {
        o->query_at_ns = a->received_ns + ASK_AGAIN_NS;
    }
}

static void name_order(const struct binance *b, struct request *r, const struct order *o,
                       bool algo) {
    if (algo) {
        binance_param(r, "clientAlgoId", o->client_id);
    } else {
        binance_param(r, "symbol", symbol_of(b, o));
        if (o->order_id)
            binance_param_i64(r, "orderId", (int64_t)o->order_id);
        else
            binance_param(r, "origClientOrderId", o->client_id);
    }
}

static void query(struct binance *b, struct order *o) {
    /* Before it fired a conditional order lives at its service, afterwards its child at the ordinary one. */
    bool algo = o->conditional && o->on_algo && o->order_id == 0;
    if (o->conditional && o->ask_other && o->order_id == 0) algo = !algo;
    struct request *r =
        binance_request(b, LANE_PROTECTION, HTTP_GET, AUTH_SIGNED, algo ? algo_path : order_path, 1,
                        done_query, binance_order_ref(b, o));
    if (!r) return;
    r->repeatable = true;
    r->tries_max = 1; /* it is asked again beside itself */
    name_order(b, r, o, algo);
    o->queries_flying++;
    o->queried_ns = binance_monotonic(b);
    o->query_at_ns = 0;
}

enum { TRADES_PAGE = 1000 };

static void done_trades(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct order *o = binance_order_of(b, r->ref);
    if (!o) return;
    if (o->trades_flying) o->trades_flying--;
    if (o->phase == PHASE_ENDED) return;
    o->trades_at_ns = a->received_ns + ASK_AGAIN_NS;
    if (a->outcome != OUTCOME_DONE || !binance_rest_is_whole(a->body, a->size)) return;
    o->trades_at_ns = a->received_ns + TRADES_AGAIN_NS; /* until the fills are complete */
    struct json_reader reader;
    struct rest_trade row;
    int64_t cum = 0;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader)) {
        if (!binance_read_trade(&reader, &row)) break;
        if (row.order_id != o->order_id) continue;
        cum += row.qty.e8;
        const struct order_fill fill = {.trade_id = row.trade_id,
                                        .cum_qty = {cum},
                                        .qty = row.qty,
                                        .px = row.px,
                                        .commission = row.commission,
                                        .realized_pnl = row.realized_pnl,
                                        .ts_ns = row.ts_ns,
                                        .side = row.side,
                                        .is_maker = row.is_maker};
        binance_order_fill(&b->orders, o, &fill, a->received_ns);
    }
}

static void ask_trades(struct binance *b, struct order *o) {
    struct request *r =
        binance_request(b, LANE_PROTECTION, HTTP_GET, AUTH_SIGNED, "/fapi/v1/userTrades", 5,
                        done_trades, binance_order_ref(b, o));
    if (!r) return;
    r->repeatable = true;
    r->tries_max = 1;
    binance_param(r, "symbol", symbol_of(b, o));
    binance_param_i64(r, "orderId", (int64_t)o->order_id);
    binance_param_i64(r, "limit", TRADES_PAGE);
    o->trades_flying++;
    o->trades_asked_ns = binance_monotonic(b);
    o->trades_at_ns = 0;
}

/* ---- cancelling ---- */

static void done_cancel(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct order *o = binance_order_of(b, r->ref);
    if (!o || o->phase == PHASE_ENDED) return;
    bool algo = r->path == algo_path;
    int64_t now = a->received_ns;
    switch (a->outcome) {
    case OUTCOME_DONE:
        if (algo)
            binance_order_ended(&b->orders, o, END_CANCELED, 0, o->cum_qty, venue_ts(b), now);
        else if (!take_row(b, o, false, a))
            o->query_at_ns = now;
        return;
    case OUTCOME_REFUSED:
    case OUTCOME_UNKNOWN:
    case OUTCOME_NOT_EXECUTED:
        break;
    }
    if (o->cancel == CANCEL_NONE) return;
    if (o->cancel_tries >= CANCEL_TRIES_MAX) {
        binance_order_cancel_failed(&b->orders, o, a->code ? a->code : CODE_CANCEL_UNKNOWN, now);
        return;
    }
    /* Gone, fired, or never seen: its state says what to do. It is asked for before trying again. */
    o->cancel = CANCEL_WANTED;
    o->query_at_ns = now;
}

static void send_cancel(struct binance *b, struct order *o) {
    bool algo = o->conditional && o->on_algo && o->order_id == 0;
    struct request *r =
        binance_request(b, (enum binance_lane)o->cancel_lane, HTTP_DELETE, AUTH_SIGNED,
                        algo ? algo_path : order_path, 1, done_cancel, binance_order_ref(b, o));
    if (!r) return;
    r->repeatable = true;
    name_order(b, r, o, algo);
    o->cancel = CANCEL_SENT;
    o->cancel_tries++;
}

static void done_again(void *context, const struct request *r, const struct answer *a) {
    (void)context, (void)r, (void)a; /* a list that still has it leads to the next one */
}

void binance_order_again(struct binance *b, struct order *o, int64_t seen_ns) {
    int64_t now = binance_monotonic(b);
    if (o->phase != PHASE_ENDED || o->evidence_ns >= seen_ns ||
        (o->again_ns && now - o->again_ns < AGAIN_EVERY_NS))
        return;
    bool algo = o->conditional && o->on_algo && o->order_id == 0;
    struct request *r = binance_request(b, LANE_EXIT, HTTP_DELETE, AUTH_SIGNED,
                                        algo ? algo_path : order_path, 1, done_again, 0);
    if (!r) return;
    r->repeatable = true;
    r->tries_max = 2;
    name_order(b, r, o, algo);
    o->again_ns = now;
    b->stats.cancelled_again++;
    log_warn("venue", "an order came alive after its end, cancelled", "client_order_id=%s",
             o->client_id);
}

/* ---- work ---- */

static void refuse(struct binance *b, struct order *o, int64_t now_ns) {
    int32_t code = o->refused_code;
    o->refused_code = 0;
    if (o->phase == PHASE_ASKED) binance_order_refused(&b->orders, o, code, venue_ts(b), now_ns);
}

static int32_t refused_by_rules(const struct binance *b, const struct order *o) {
    const struct instrument *in = &b->instruments[o->instrument];
    bool limit = o->type == ORDER_LIMIT || o->type == ORDER_STOP || o->type == ORDER_TAKE_PROFIT;
    int32_t code = o->conditional ? (int32_t)instrument_check_px(in, o->stop_px) : 0;
    if (code == 0 && limit) code = (int32_t)instrument_check_px(in, o->limit_px);
    if (code == 0 && !o->close_position)
        code = (int32_t)instrument_check_qty(in, o->order_qty, !limit);
    return code;
}

bool binance_may_order(void *context, struct request *r, int64_t now_ns) {
    struct binance *b = context;
    const struct order *o = binance_order_of(b, r->ref);
    if (!o) return true;
    if (r->end_code != 0) return false; /* about to be ended */
    const struct rules_hold *hold = &b->rules.holds[o->instrument];
    if (hold->until_ns > now_ns) { /* they are being asked for */
        r->not_before_ns = hold->until_ns;
        r->is_held = true;
        return false;
    }
    r->end_code = o->phase == PHASE_ENDED ? BINANCE_NOT_SENT /* one more sending of it */
                  : o->doubted_code       ? o->doubted_code
                                          : refused_by_rules(b, o);
    if (r->end_code == 0) return true;
    r->patience_ns = now_ns;
    b->stats.orders_withheld++;
    return false;
}

void binance_orders_rules_known(struct binance *b, int64_t now_ns) {
    memset(b->rules.holds, 0, sizeof b->rules.holds);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct request *r = &b->requests.pool[i];
        if (r->is_held) r->not_before_ns = 0;
        r->is_held = false;
    }
    for (uint32_t i = b->orders.active_count; i-- > 0;) { /* one that is over leaves the list */
        struct order *o = &b->orders.slots[b->orders.active[i]];
        o->doubted_code = 0; /* the rules themselves say it */
        if (o->refused_code) refuse(b, o, now_ns);
    }
}

static void earlier(int64_t *deadline, int64_t ts_ns) {
    if (ts_ns && ts_ns < *deadline) *deadline = ts_ns;
}

/* A stop may hang on what the answer says of a fill, and of an order. */
static bool may_ask(const struct binance *b, uint8_t flying, int64_t asked_ns, int64_t now_ns) {
    return (flying == 0 || now_ns >= asked_ns + REQUESTS_BESIDE_NS) &&
           binance_requests_may_ask(&b->requests, flying, now_ns);
}

/* When another may go out beside them; 0: none. */
static int64_t hedge_at(uint8_t flying, int64_t asked_ns, int64_t now_ns) {
    int64_t at = asked_ns + REQUESTS_BESIDE_NS;
    return flying < REQUESTS_BESIDE_MAX && at > now_ns ? at : 0;
}

/* No answer yet. What may go out twice does, under the same id; of anything else it is asked whether it is there. */
static void hurry(struct binance *b, struct order *o, int64_t now_ns) {
    if (o->refused_code || o->places_flying == 0 || o->placed_ns == 0 ||
        binance_requests_are_quiet(&b->requests, now_ns))
        return;
    if (is_placed_again(o) && o->places < PLACES_MAX) {
        if (now_ns < o->placed_ns + REQUESTS_BESIDE_NS ||
            binance_requests_waits(&b->requests, (enum binance_lane)o->lane,
                                   binance_order_ref(b, o)))
            return;
        b->stats.places_repeated++;
        binance_place(b, o);
    } else if (now_ns >= o->placed_ns + REQUESTS_BESIDE_NS && o->query_at_ns == 0) {
        o->query_at_ns = o->queried_ns > o->placed_ns ? o->queried_ns + TRADES_AGAIN_NS : now_ns;
    }
}

/* When an order that nobody has answered for is looked at; 0 never. */
static int64_t hurry_at(const struct order *o, int64_t now_ns) {
    int64_t at = o->placed_ns + REQUESTS_BESIDE_NS;
    return o->phase == PHASE_ASKED && o->placed_ns && o->places_flying && at > now_ns ? at : 0;
}

/* An order at market does not rest: one that stands without its fills has been told only in part, and is asked after at that
 * time; 0: it is not. */
static int64_t fills_due_at(const struct order *o) {
    if (o->phase != PHASE_LIVE || o->type != ORDER_MARKET || o->end != END_NONE ||
        o->cum_qty.e8 >= o->order_qty.e8 || o->placed_ns == 0 || o->query_at_ns ||
        o->queries_flying || o->trades_at_ns || o->trades_flying)
        return 0;
    return o->queried_ns > o->placed_ns ? o->queried_ns + TRADES_AGAIN_NS
                                        : o->placed_ns + REQUESTS_BESIDE_NS;
}

/* Every copy that may still arrive has, or its window is over. */
static bool is_placed_for_good(const struct binance *b, const struct order *o, int64_t now_ns) {
    if (o->places <= 1) return true;
    return o->places_flying == 0 && venue_at_least(b, now_ns) > o->window_end_ns;
}

static void work(struct binance *b, struct order *o, int64_t now_ns) {
    int64_t claimed = o->venue_qty.e8 > o->end_qty.e8 ? o->venue_qty.e8 : o->end_qty.e8;
    if (o->trades_at_ns && o->cum_qty.e8 >= claimed && o->held_count == 0) o->trades_at_ns = 0;
    bool is_late = o->trades_flying && o->cum_qty.e8 < claimed;
    bool is_due = o->trades_flying ? is_late : o->trades_at_ns && o->trades_at_ns <= now_ns;
    if (is_due && may_ask(b, o->trades_flying, o->trades_asked_ns, now_ns)) {
        if (o->order_id) {
            ask_trades(b, o);
        } else {
            /* Fills without an order id to ask for: its row names the child. */
            o->trades_at_ns = now_ns + TRADES_AGAIN_NS;
            o->query_at_ns = now_ns;
        }
    }
    if (o->phase == PHASE_ASKED) hurry(b, o, now_ns);
    int64_t due_ns = fills_due_at(o);
    if (due_ns && due_ns <= now_ns) o->query_at_ns = now_ns;
    if (o->passed_ns && o->passed_ns <= now_ns) {
        o->passed_ns = 0; /* set anew by the next price that is beyond */
        if (o->phase == PHASE_LIVE && !o->told_triggered && o->query_at_ns == 0)
            o->query_at_ns = now_ns;
    }
    is_due = o->queries_flying || (o->query_at_ns && o->query_at_ns <= now_ns);
    if (is_due && may_ask(b, o->queries_flying, o->queried_ns, now_ns)) query(b, o);
    if (o->cancel == CANCEL_WANTED && o->phase == PHASE_LIVE && !o->queries_flying &&
        o->query_at_ns == 0 && o->end == END_NONE && is_placed_for_good(b, o, now_ns))
        send_cancel(b, o);
}

int64_t binance_orders_work(struct binance *b, int64_t now_ns) {
    int64_t deadline = binance_orders_time(&b->orders, now_ns);
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->refused_code && now_ns >= o->refused_until_ns) {
            refuse(b, o, now_ns);
            return now_ns; /* the list is another now */
        }
        if (o->refused_code) earlier(&deadline, o->refused_until_ns);
        work(b, o, now_ns);
        bool query = o->queries_flying > 0, trades = o->trades_flying > 0;
        earlier(&deadline,
                query ? hedge_at(o->queries_flying, o->queried_ns, now_ns) : o->query_at_ns);
        earlier(&deadline,
                trades ? hedge_at(o->trades_flying, o->trades_asked_ns, now_ns) : o->trades_at_ns);
        earlier(&deadline, o->passed_ns);
        earlier(&deadline, hurry_at(o, now_ns));
        earlier(&deadline, fills_due_at(o));
        if (o->cancel == CANCEL_WANTED && o->phase == PHASE_LIVE && o->places > 1)
            earlier(&deadline, now_ns + REQUESTS_BESIDE_NS);
    }
    return deadline;
}

/* ---- leverage ---- */

static void tell_leverage(struct binance *b, uint32_t instrument, int32_t code) {
    const struct venue_event e = {.kind = VENUE_LEVERAGE_SET,
                                  .code = code,
                                  .instrument_index = instrument,
                                  .leverage = b->positions[instrument].leverage,
                                  .ts_event_ns = venue_ts(b),
                                  .wallet = b->orders.wallet};
    b->leverage_asked[instrument] = 0;
    b->orders.tell(b->orders.context, &e);
}

void binance_leverage_seen(struct binance *b, uint32_t instrument, uint32_t leverage) {
    bool is_news = b->positions[instrument].leverage != leverage;
    b->positions[instrument].leverage = leverage;
    /* What we asked for is told by its answer. */
    if (is_news && b->started && b->leverage_asked[instrument] == 0)
        tell_leverage(b, instrument, 0);
}

static int32_t code_of(const struct answer *a) {
    if (a->code) return a->code;
    return a->outcome == OUTCOME_UNKNOWN ? -1007 : BINANCE_NOT_SENT;
}

/* ref of both: leverage << 32 | lane << 16 | instrument */
static void done_leverage(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    uint32_t instrument = (uint32_t)r->ref & 0xffff, leverage = 0;
    if (a->outcome == OUTCOME_DONE && binance_rest_leverage(&leverage, a->body, a->size) == ST_OK) {
        b->positions[instrument].leverage = leverage;
        tell_leverage(b, instrument, 0);
        return;
    }
    /* Asked again by doing it again, so what is left is a refusal, or silence: either way it does not stand. */
    tell_leverage(b, instrument, a->outcome == OUTCOME_DONE ? -1007 : code_of(a));
}

static void ask_leverage(struct binance *b, uint64_t ref) {
    uint32_t instrument = (uint32_t)ref & 0xffff;
    struct request *r = binance_request(b, (enum binance_lane)((ref >> 16) & 0xff), HTTP_POST,
                                        AUTH_SIGNED, "/fapi/v1/leverage", 1, done_leverage, ref);
    if (!r) {
        tell_leverage(b, instrument, BINANCE_NOT_SENT);
        return;
    }
    r->repeatable = true;
    r->patience_ns = r->queued_ns + 2 * b->options.entry_patience_ns;
    binance_param(r, "symbol", b->instruments[instrument].symbol);
    binance_param_i64(r, "leverage", (int64_t)(ref >> 32));
}

static void done_margin_type(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    uint32_t instrument = (uint32_t)r->ref & 0xffff;
    if (a->outcome == OUTCOME_DONE ||
        (a->outcome == OUTCOME_REFUSED && a->code == CODE_NO_CHANGE_MARGIN)) {
        b->isolated[instrument] = true;
        ask_leverage(b, r->ref);
        return;
    }
    tell_leverage(b, instrument, code_of(a));
}

void binance_leverage(struct binance *b, const struct venue_command *c, enum binance_lane lane) {
    uint32_t instrument = c->instrument_index;
    uint64_t ref = (uint64_t)c->leverage << 32 | (uint64_t)lane << 16 | instrument;
    b->leverage_asked[instrument] = c->leverage;
    if (b->isolated[instrument]) {
        ask_leverage(b, ref);
        return;
    }
    struct request *r = binance_request(b, lane, HTTP_POST, AUTH_SIGNED, "/fapi/v1/marginType", 1,
                                        done_margin_type, ref);
    if (!r) {
        tell_leverage(b, instrument, BINANCE_NOT_SENT);
        return;
    }
    r->repeatable = true;
    r->patience_ns = r->queued_ns + 2 * b->options.entry_patience_ns;
    binance_param(r, "symbol", b->instruments[instrument].symbol);
    binance_param(r, "marginType", "ISOLATED");
}
