/* Breaker, policies and commands from outside: what the kernel tells trade/breaker, what it asks, what it tells of it. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

const struct breaker *kernel_breaker(const struct kernel *k) {
    return breaker_of(k);
}

void kernel_risk_init(struct kernel *k, const struct kernel_config *config) {
    breaker_init(breaker_of(k), &config->breaker, k->n);
    for (uint32_t i = 0; i < k->n; i++)
        if (hot_of(k, i)->trading != INSTRUMENT_TRADING) kernel_risk_contract(k, i, false);
}

/* ---- limits ---- */

struct risk_limits kernel_limits(const struct kernel *k) {
    struct risk_limits limits = k->config.limits;
    breaker_limits(&limits, breaker_of(k));
    return limits;
}

/* The engine sizes by limits of its own: they go down with the gates', so that it does not wish for what they refuse. */
static void limits_follow(struct kernel *k) {
    if (!has_engine(k)) return;
    struct risk_limits l = kernel_limits(k);
    engine_limits_lower(engine_of(k), &(struct engine_limits){.stop_risk = l.risk_per_trade,
                                                              .total_max = l.exposure_total_max,
                                                              .leverage_max = l.leverage_max,
                                                              .positions_max = l.positions_max});
}

/* ---- what has changed ---- */

static void text_copy(char out[TEXT_FIELD_SIZE], const char *text) {
    memcpy(out, text, strnlen(text, TEXT_FIELD_SIZE - 1)); /* the rest is zero */
}

static void tell(struct kernel *k, struct kernel_out *out, const struct breaker_changes *changes) {
    bool mode = false;
    for (uint32_t j = 0; j < changes->count; j++) {
        const struct breaker_change *from = &changes->items[j];
        struct event *e = kernel_emit(k, out, EVENT_RISK_CHANGED);
        struct risk_changed *c = &e->u.risk_changed;
        c->ts = k->now_ns;
        text_copy(c->part, breaker_part_text((enum breaker_part)from->part));
        text_copy(c->scope,
                  from->symbol == BREAKER_ALL ? "all" : instrument_of(k, from->symbol)->symbol);
        text_copy(c->before, from->before);
        text_copy(c->after, from->after);
        text_copy(c->cause, from->cause);
        c->figure = from->figure;
        c->limit = from->limit;
        c->until = from->until_ns;
        kernel_seal(k, e);
        mode |= from->part == BREAKER_PART_MODE;
    }
    if (mode) limits_follow(k);
}

/* ---- evidence ---- */

/* A link, a wallet, a market: everything of one moment. */
void kernel_risk_look(struct kernel *k, struct kernel_out *out) {
    struct breaker_changes changes = {0};
    struct breaker *b = breaker_of(k);
    money_t equity, exposure, margin;
    kernel_sum_up(k, &equity, &exposure, &margin);
    breaker_equity(&changes, b, equity, k->now_ns);
    breaker_market(&changes, b, k->newest_ts_ns + k->config.interval_ns, k->now_ns);
    if (k->other_run_ns && kernel_other_run_is_gone(k)) {
        k->other_run_ns = 0;
        breaker_other_run(&changes, b, false);
    }
    breaker_time(&changes, b, k->now_ns);
    tell(k, out, &changes);
}

bool kernel_risk_other_run(struct kernel *k, struct kernel_out *out, bool is_there) {
    struct breaker_changes changes = {0};
    breaker_other_run(&changes, breaker_of(k), is_there);
    tell(k, out, &changes);
    return changes.count > 0;
}

int64_t kernel_risk_deadline(const struct kernel *k) {
    /* Before the first close at which it may trade there is nothing to be late for. */
    if (k->totals.bars_trading == 0) return INT64_MAX;
    return breaker_deadline(breaker_of(k), k->newest_ts_ns + k->config.interval_ns);
}

static const struct oms_order *order_named(const struct kernel *k, uint32_t i, const char *id) {
    const struct oms_book *book = &cold_of(k, i)->book;
    for (uint32_t o = 0; id[0] && o < OMS_ORDERS_MAX; o++) {
        const struct oms_order *order = &book->orders[o];
        if (order->used && strncmp(order->client_order_id, id, CLIENT_ORDER_ID_SIZE) == 0)
            return order_state_is_terminal((enum order_state)order->state) ? NULL : order;
    }
    return NULL;
}

/* Told twice, and told of orders that have ended, counts for nothing. */
void kernel_risk_evidence(struct kernel *k, struct kernel_out *out,
                          const struct venue_event *event) {
    uint32_t i = event->instrument_index;
    const struct cold *c = cold_of(k, i);
    const struct oms_order *order = order_named(k, i, event->client_order_id);
    uint64_t entry = order && order->leg == LEG_ENTRY ? order->intent_id : 0;
    bool is_leverage = c->waiting_leverage && event->client_order_id[0] == '\0';
    bool worked = false, failed = false;
    switch ((enum venue_event_kind)event->kind) {
    case VENUE_ORDER_ACCEPTED:
    case VENUE_ORDER_TRADE:
        worked = order != NULL;
        break;
    case VENUE_ORDER_TRIGGERED:
    case VENUE_ORDER_CANCELED:
        worked = order != NULL;
        entry = 0; /* that an entry was cancelled proves nothing of entries */
        break;
    case VENUE_LEVERAGE_SET:
        worked = c->waiting_leverage && event->code == 0;
        failed = c->waiting_leverage && event->code != 0;
        entry = failed ? c->exits.intent.intent_id : 0;
        break;
    case VENUE_ORDER_REJECTED:
        failed = order != NULL || is_leverage;
        if (is_leverage) entry = c->exits.intent.intent_id;
        break;
    case VENUE_CANCEL_REJECTED:
        failed = order != NULL;
        entry = 0;
        break;
    case VENUE_ORDER_EXPIRED:
    case VENUE_FUNDING:
    case VENUE_LIQUIDATION:
    case VENUE_POSITION:
    case VENUE_BALANCE:
    case VENUE_ORDER_FOUND:
        break;
    }
    struct breaker_changes changes = {0};
    if (worked) breaker_worked(&changes, breaker_of(k), i, entry, k->now_ns);
    if (failed)
        breaker_failed(&changes, breaker_of(k), i, breaker_fault_of(event->code), entry, k->now_ns);
    tell(k, out, &changes);
}

void kernel_risk_unanswered(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct breaker_changes changes = {0};
    breaker_failed(&changes, breaker_of(k), i, breaker_fault_of(BREAKER_NO_ANSWER), 0, k->now_ns);
    tell(k, out, &changes);
}

void kernel_risk_entered(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct breaker_changes changes = {0};
    breaker_entered(&changes, breaker_of(k), i, cold_of(k, i)->exits.intent.intent_id, k->now_ns);
    tell(k, out, &changes);
}

void kernel_risk_lost(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct breaker_changes changes = {0};
    breaker_entry_lost(&changes, breaker_of(k), i, cold_of(k, i)->exits.intent.intent_id,
                       k->now_ns);
    tell(k, out, &changes);
}

void kernel_risk_closed(struct kernel *k, struct kernel_out *out, const struct trade_closed *t) {
    struct breaker_changes changes = {0};
    breaker_trade(&changes, breaker_of(k), t->instrument_index, t->intent_id, t->net_pnl,
                  t->exit_reason == EXIT_STOP, k->now_ns);
    tell(k, out, &changes);
}

void kernel_risk_contract(struct kernel *k, uint32_t i, bool is_trading) {
    /* Not told: what led to it (instrument.changed, the tape's end) says it already. */
    struct breaker_changes changes = {0};
    breaker_contract(&changes, breaker_of(k), i, is_trading, k->now_ns);
}

void kernel_link(struct kernel *k, struct kernel_out *out, bool is_up, int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    struct breaker_changes changes = {0};
    for (uint32_t j = 0; !is_up && j < k->open_count; j++)
        cold_of(k, k->open[j])->span |= SPAN_INTERRUPTED;
    breaker_link(&changes, breaker_of(k), is_up, k->now_ns);
    tell(k, out, &changes);
}

/* ---- the guard against crashes ---- */

bool kernel_is_crash(const struct kernel *k, uint32_t i) {
    const struct breaker_config *c = &breaker_of(k)->config;
    const struct hot *h = hot_of(k, i);
    uint32_t need = breaker_crash_closes(c), cap = k->ring_capacity;
    if (need == 0 || need > BREAKER_CRASH_CLOSES_MAX || h->ring_count < need) return false;
    const int64_t *ring = ring_of(k, i);
    int64_t closes[BREAKER_CRASH_CLOSES_MAX];
    uint32_t at = h->ring_next >= need ? h->ring_next - need : h->ring_next + cap - need;
    for (uint32_t j = 0; j < need; j++) {
        closes[j] = ring[at];
        at = at + 1 == cap ? 0 : at + 1;
    }
    return breaker_is_crash(c, closes, need);
}

/* ---- policies ---- */

/* Where a policy's value stands; only one of the two pointers is not NULL. */
struct policy_place {
    uint32_t *whole;
    double *real;
};

static bool policy_find(struct policy_place *out, struct kernel *k, const char *key) {
    struct risk_limits *l = &k->config.limits;
    const struct {
        const char *key;
        struct policy_place place;
    } rows[] = {{KERNEL_EMERGENCY_STOP, {&k->emergency_stop, NULL}},
                {"positions_max", {&l->positions_max, NULL}},
                {"leverage_max", {&l->leverage_max, NULL}},
                {"confidence_min", {NULL, &l->confidence_min}},
                {"risk_per_trade", {NULL, &l->risk_per_trade}},
                {"exposure_total_max", {NULL, &l->exposure_total_max}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(key, rows[i].key) == 0) {
            *out = rows[i].place;
            return true;
        }
    return false;
}

static double policy_value(const struct policy_place *p) {
    return p->whole ? (double)*p->whole : *p->real;
}

enum status kernel_policy(struct kernel *k, struct kernel_out *out, const char *key, double value,
                          const char *by, int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    struct policy_place place;
    if (!isfinite(value) || value < 0) return ST_RANGE;
    if (!policy_find(&place, k, key)) return ST_NOT_FOUND;
    double old = policy_value(&place);
    if (place.whole == &k->emergency_stop)
        *place.whole = value != 0;
    else if (place.whole)
        *place.whole = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    else
        *place.real = value;
    risk_limits_clamp(&k->config.limits);
    limits_follow(k);
    struct event *e = kernel_emit(k, out, EVENT_POLICY_UPDATED);
    e->u.policy_updated.ts = k->now_ns;
    e->u.policy_updated.old_value = old;
    e->u.policy_updated.new_value = policy_value(&place); /* a ceiling may have lowered it */
    text_copy(e->u.policy_updated.key, key);
    text_copy(e->u.policy_updated.updated_by, by);
    kernel_seal(k, e);
    return ST_OK;
}

/* ---- commands ---- */

enum status kernel_command_check(const char *key, double value) {
    static const char *const keys[] = {
        KERNEL_EMERGENCY_STOP, KERNEL_CLOSE_ALL, KERNEL_BREAKER_RESET, "positions_max",
        "leverage_max",        "confidence_min", "risk_per_trade",     "exposure_total_max"};
    size_t i = 0;
    while (i < sizeof keys / sizeof *keys && strcmp(key, keys[i]) != 0) i++;
    if (i == sizeof keys / sizeof *keys) return ST_NOT_FOUND;
    return isfinite(value) && value >= 0 ? ST_OK : ST_RANGE;
}

/* The symbol, BREAKER_ALL; UINT32_MAX no such target. */
static uint32_t target_find(const struct kernel *k, const char *target) {
    if (strcmp(target, "all") == 0 || target[0] == '\0') return BREAKER_ALL;
    for (uint32_t i = 0; i < k->n; i++)
        if (strcmp(instrument_of(k, i)->symbol, target) == 0) return i;
    return UINT32_MAX;
}

enum status kernel_command(struct kernel *k, struct kernel_out *out,
                           const struct operator_command *command, int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    k->trace_hash = hash_chain(k->trace_hash, command, sizeof *command);
    enum status st = kernel_command_check(command->key, command->value);
    if (st != ST_OK) return st;
    if (strcmp(command->key, KERNEL_BREAKER_RESET) == 0) {
        uint32_t symbol = target_find(k, command->target);
        if (symbol == UINT32_MAX) return ST_NOT_FOUND;
        struct breaker_changes changes = {0};
        breaker_reset(&changes, breaker_of(k), symbol, k->now_ns);
        tell(k, out, &changes);
        return ST_OK;
    }
    if (strcmp(command->key, KERNEL_CLOSE_ALL) != 0)
        return kernel_policy(k, out, command->key, command->value, command->given_by, now_ns);
    /* No entry may come in while the exits go out; whoever wants entries again says so. */
    st = kernel_policy(k, out, KERNEL_EMERGENCY_STOP, 1, command->given_by, now_ns);
    k->close_all_ns = k->now_ns;
    kernel_close_all(k, out, EXIT_OPERATOR);
    return st;
}
