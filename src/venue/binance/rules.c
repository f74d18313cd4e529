/* The contracts' rules while we trade: asked for again now and then, and when a refusal says that they have changed. */
#include <string.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "store/contracts.h"
#include "venue/binance/binance_internal.h"

#define RULES_EVERY_NS (30 * NS_PER_MINUTE)
/* Where refusals doubt them: a weight of 1 each, and a stop may be waiting for the answer. */
#define RULES_LEAST_NS  (250 * NS_PER_MS)
#define RULES_FAILED_NS (5 * NS_PER_SECOND)

/* Refusals that right rules would have spared us. */
bool binance_rules_doubt(struct binance *b, int32_t code, int64_t now_ns) {
    switch (code) {
    case -1111: /* precision */
    case -4002:
    case -4004:
    case -4005:
    case -4013:
    case -4014: /* tick */
    case -4023: /* step */
    case -4140: /* status */
    case -4141:
    case -4164: /* notional */
    case -1121:
    case -1122:
        break;
    default:
        return false;
    }
    if (!b->started) return false;
    b->rules.doubt_ns = now_ns;
    int64_t at = b->rules.asked_ns + RULES_LEAST_NS;
    if (b->rules.next_ns > at || b->rules.next_ns == 0) b->rules.next_ns = at;
    return true;
}

static bool filters_differ(const struct instrument *a, const struct instrument *b) {
    return a->tick_size.e8 != b->tick_size.e8 || a->px_min.e8 != b->px_min.e8 ||
           a->px_max.e8 != b->px_max.e8 || a->step_size.e8 != b->step_size.e8 ||
           a->qty_min.e8 != b->qty_min.e8 || a->qty_max.e8 != b->qty_max.e8 ||
           a->market_step_size.e8 != b->market_step_size.e8 ||
           a->market_qty_min.e8 != b->market_qty_min.e8 ||
           a->market_qty_max.e8 != b->market_qty_max.e8 ||
           a->notional_min.e8 != b->notional_min.e8 || a->multiplier_up.e8 != b->multiplier_up.e8 ||
           a->multiplier_down.e8 != b->multiplier_down.e8 ||
           a->market_take_bound.e8 != b->market_take_bound.e8 || a->status != b->status ||
           a->delivery_ts_ns != b->delivery_ts_ns || a->orders_max != b->orders_max;
}

void binance_instrument_changed(struct binance *b, uint32_t i) {
    if (!b->options.handlers.on_instrument) return;
    b->told = true;
    b->options.handlers.on_instrument(b->options.handlers.context, i, &b->instruments[i]);
}

static void take(struct binance *b, uint32_t i, const struct instrument *now) {
    struct instrument *in = &b->instruments[i];
    if (!filters_differ(in, now)) return;
    struct instrument next = *now;
    /* Not part of exchangeInfo. */
    next.bracket_count = in->bracket_count;
    memcpy(next.brackets, in->brackets, sizeof next.brackets);
    next.funding_interval_ns = in->funding_interval_ns;
    next.fee_maker = in->fee_maker;
    next.fee_taker = in->fee_taker;
    *in = next;
    log_info("venue", "rules of a contract changed", "symbol=%s status=%u", in->symbol, in->status);
    binance_instrument_changed(b, i);
}

static void done_rules(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct rules_list list = {0};
    struct err err = {0};
    (void)r;
    b->rules.busy = false;
    b->rules.asked_ns = a->received_ns;
    b->rules.next_ns =
        a->received_ns + (a->outcome == OUTCOME_DONE ? RULES_EVERY_NS : RULES_FAILED_NS);
    if (a->outcome != OUTCOME_DONE) return;
    if (contracts_parse(&list, a->body, a->size, NULL, NULL, &err) != ST_OK)
        log_warn("venue", "rules are not readable, the old ones stay", "error=\"%s\"", err.text);
    for (size_t i = 0; i < list.count; i++) {
        int at = binance_symbol_find(b, list.rows[i].instrument.symbol);
        if (at >= 0 && (list.rows[i].sources & RULES_FILTERS))
            take(b, (uint32_t)at, &list.rows[i].instrument);
    }
    rules_list_free(&list);
    if (a->sent_ns < b->rules.doubt_ns) {
        b->rules.next_ns =
            a->received_ns; /* asked before the refusal: they may be those of before */
        return;
    }
    b->rules.doubt_ns = 0;
    binance_orders_rules_known(b, a->received_ns);
}

int64_t binance_rules_time(struct binance *b, int64_t now_ns) {
    if (!b->started || b->rules.busy) return INT64_MAX;
    if (b->rules.next_ns == 0) b->rules.next_ns = now_ns + RULES_EVERY_NS;
    if (now_ns < b->rules.next_ns) return b->rules.next_ns;
    enum binance_lane lane = b->rules.doubt_ns ? LANE_PROTECTION : LANE_DATA;
    struct request *r =
        binance_request(b, lane, HTTP_GET, AUTH_NONE, "/fapi/v1/exchangeInfo", 1, done_rules, 0);
    if (!r) return INT64_MAX;
    r->repeatable = true;
    r->tries_max = 3;
    b->rules.busy = true;
    return INT64_MAX;
}
