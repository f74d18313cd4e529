/* What the checker (check.h) is told: the exchange's events, the trader's requests, commands, words, beliefs, and what was
 * done to it. Contracts have the exchange's numbers everywhere. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "sim/sim_internal.h"

#define BELIEF_EVERY_NS (5 * NS_PER_SECOND)
enum { LIVE_MAX = 512 };

/* ---- numbers ---- */

/* The run numbers its contracts as the client does, by symbol. */
void sim_check_numbers(struct sim *s) {
    for (uint32_t i = 0; i < s->contract_count; i++) {
        const char *symbol = s->contracts[i].symbol;
        int at = world_find(s->venue.world, symbol, strlen(symbol));
        ASSERT(at >= 0);
        s->of_venue[i] = (uint32_t)at;
    }
}

static uint32_t number_of(const struct sim *s, uint32_t of_run) {
    return of_run < s->contract_count ? s->of_venue[of_run] : CHECK_ALL;
}

/* ---- requests ---- */

static bool path_is(const struct sim_request *r, const char *path) {
    size_t n = strlen(path);
    return r->size > n && memcmp(r->target, path, n) == 0 && r->target[n] == '?';
}

static bool parameter(char *out, size_t size, const struct sim_request *r, const char *name) {
    size_t n = strlen(name);
    for (const char *p = strchr(r->target, '?'); p; p = strchr(p + 1, '&')) {
        if (strncmp(p + 1, name, n) != 0 || p[1 + n] != '=') continue;
        size_t length = strcspn(p + 2 + n, "&");
        if (length >= size) return false;
        memcpy(out, p + 2 + n, length);
        out[length] = '\0';
        return true;
    }
    return false;
}

void sim_check_request(struct sim *s, const struct sim_request *r, const struct sim_done *done,
                       int64_t told_ns) {
    char symbol[SYMBOL_SIZE];
    struct check_request q = {
        .code = done->code, .left_ns = r->left_ns, .now_ns = s->clock.now_ns, .told_ns = told_ns};
    bool order = path_is(r, "/fapi/v1/order"), algo = path_is(r, "/fapi/v1/algoOrder");
    if (!done->executed || r->method == HTTP_GET) return;
    /* A refusal that never reaches the trader, or as a 503 alone, tells him of no change: the next one does. */
    bool is_heard = told_ns != INT64_MAX && done->answer.status > 0 && done->answer.status < 500;
    if (done->code != 0 && !is_heard) return;
    if (order || algo)
        q.kind = r->method == HTTP_POST ? REQUEST_PLACE : REQUEST_CANCEL;
    else
        q.kind = path_is(r, "/fapi/v1/leverage") ? REQUEST_LEVERAGE : REQUEST_OTHER;
    if (!parameter(symbol, sizeof symbol, r, "symbol")) {
        if (q.kind != REQUEST_CANCEL) return;
        symbol[0] = '\0';
    }
    int at = world_find(s->venue.world, symbol, strlen(symbol));
    q.instrument = at >= 0 ? (uint32_t)at : CHECK_ALL;
    const char *const names[] = {"newClientOrderId", "origClientOrderId", "clientAlgoId",
                                 "clientalgoid"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !q.client_order_id[0]; i++)
        (void)parameter(q.client_order_id, sizeof q.client_order_id, r, names[i]);
    check_request(s->check, &q);
}

/* ---- the trader ---- */

void sim_check_command(struct sim *s, const struct venue_command *c) {
    struct venue_command m = *c;
    m.instrument_index = number_of(s, c->instrument_index);
    check_command(s->check, &m, s->clock.now_ns);
}

void sim_check_told(struct sim *s, const struct venue_event *e) {
    struct venue_event m = *e;
    m.instrument_index = number_of(s, e->instrument_index);
    check_told(s->check, &m, s->clock.now_ns);
}

static void happened(void *context, const struct event *e) {
    struct sim *s = context;
    if (s->dead || e->type != EVENT_POSITION_ALARM) return;
    const char *symbol = e->u.position_alarm.symbol;
    int at = world_find(s->venue.world, symbol, strnlen(symbol, SYMBOL_SIZE));
    if (at >= 0) check_alarm(s->check, (uint32_t)at, s->clock.now_ns);
}

/* What keeps every entry away and is no verdict on the trading: the link, or a breaker that failures opened. */
static const char *blocked_by(const struct sim *s, const struct kernel *k) {
    const struct breaker *b = kernel_breaker(k);
    const char *why = NULL;
    for (uint32_t i = 0; i < s->contract_count; i++) {
        enum risk_reason word = breaker_word(b, i);
        if (word == RISK_VENUE_DOWN)
            why = "the venue is believed to be down";
        else if (word == RISK_BREAKER_OPEN && b->all.cause == BREAKER_FAILURES)
            why = "the common breaker is open";
        else if (word != RISK_BREAKER_SYMBOL)
            return NULL;
    }
    return why;
}

static void quiet(void *context, const struct kernel *k, uint32_t waiting) {
    static struct kernel_live_order live[LIVE_MAX];
    struct sim *s = context;
    if (s->dead || s->clock.now_ns < s->belief_ns) return;
    s->belief_ns = s->clock.now_ns + BELIEF_EVERY_NS;
    qty_t positions[SIM_SYMBOLS_MAX] = {0};
    for (uint32_t i = 0; i < s->contract_count; i++)
        positions[s->of_venue[i]] = kernel_position_qty(k, i);
    uint32_t count = kernel_live_orders(k, live, LIVE_MAX);
    if (count > LIVE_MAX) count = LIVE_MAX;
    for (uint32_t i = 0; i < count; i++)
        live[i].instrument_index = number_of(s, live[i].instrument_index);
    const struct check_belief belief = {.now_ns = s->clock.now_ns,
                                        .positions = positions,
                                        .live = live,
                                        .live_count = count,
                                        .totals = kernel_totals(k),
                                        .queued = waiting,
                                        .entries_blocked = blocked_by(s, k)};
    check_belief(s->check, &belief);
}

void sim_check_observer(struct sim *s) {
    s->observer = (struct session_observer){.context = s, .happened = happened, .quiet = quiet};
}

/* ---- what is done to it ---- */

void sim_injected(struct sim *s, enum sim_fault kind, uint32_t instrument) {
    s->out->faults_fired++;
    check_injected(s->check, FAULT_COUNT + (uint32_t)kind, instrument, s->clock.now_ns);
    if (sim_fault_scope_of(kind) == SIM_PER_SECOND)
        log_info("sim", "happens", "kind=%s", sim_fault_name(kind));
}

/* Rules, book and status of single contracts: begun or over since the last look. */
static bool contracts_changed(struct sim *s, enum fault kind, const int64_t *until, int64_t *seen) {
    bool any = false;
    for (uint32_t i = 0; i < s->o.symbols; i++) {
        if (until[i] == seen[i]) continue;
        seen[i] = until[i];
        any = true;
        check_injected(s->check, (uint32_t)kind, i, s->clock.now_ns);
    }
    return any;
}

void sim_check_venue(struct sim *s) {
    const struct faults *f = &s->venue.act.faults;
    const struct fault_state *state = &s->venue.act.state;
    bool open = sim_venue_is_open(&s->venue, s->clock.now_ns) && s->outage_ns <= s->clock.now_ns;
    bool told[FAULT_COUNT] = {
        [FAULT_FILTERS] = contracts_changed(s, FAULT_FILTERS, state->filters_ns, s->seen_ns[0]),
        [FAULT_DELISTING] = contracts_changed(s, FAULT_DELISTING, state->closing_ns, s->seen_ns[1]),
        [FAULT_STALE] = contracts_changed(s, FAULT_STALE, state->stale_ns, s->seen_ns[2])};
    for (int k = 0; k < FAULT_COUNT; k++) {
        if (f->rows[k].fired == s->venue_fired[k]) continue;
        s->out->faults_fired += f->rows[k].fired - s->venue_fired[k];
        s->venue_fired[k] = f->rows[k].fired;
        if (!told[k]) check_injected(s->check, (uint32_t)k, CHECK_ALL, s->clock.now_ns);
    }
    if (open != s->venue_open) check_venue_open(s->check, open, s->clock.now_ns);
    s->venue_open = open;
}

void sim_alive(struct sim *s, bool alive) {
    if (alive != s->alive) check_alive(s->check, alive, s->clock.now_ns);
    s->alive = alive;
}

/* ---- beginning and end ---- */

enum status sim_check_make(struct sim *s, struct err *err) {
    struct check_config c = check_config_defaults();
    c.account = SIM_TRADER;
    c.instrument_count = s->o.symbols;
    c.instruments = s->venue.listing.instruments;
    c.leverage_default = exchange_config_defaults().leverage_default;
    c.wallet_start = s->venue.keys.rows[0].balance;
    c.strategy = s->o.strategy;
    s->venue_open = true;
    s->check = check_create(&c);
    return s->check ? ST_OK : err_set(err, ST_NO_MEMORY, "checker");
}

void sim_check_explain(struct sim *s) {
    s->explained = true;
    (void)check_explain(s->check, s->out->explained, sizeof s->out->explained);
}

void sim_check_over(struct sim *s) {
    struct sim_result *out = s->out;
    check_end(s->check, s->clock.now_ns);
    check_report(s->check, &out->report);
    check_coverage(s->check, &out->coverage_bits);
    struct check_coverage_counts counts = check_coverage_count(&out->coverage_bits);
    out->coverage = counts.legal + counts.illegal + counts.phases;
    out->protected_ns = out->report.time_to_protected[CAUSE_FILL];
    out->violations = check_violations(s->check) + s->own_violations;
    const struct check_violation *v = check_violation(s->check, 0);
    if (!v) return;
    if (out->violation[0] == '\0') {
        char ts[TSTAMP_TEXT_SIZE];
        (void)snprintf(out->violation, sizeof out->violation,
                       "event %llu at %s: invariant %d (%s): %s%s%s", (unsigned long long)v->event,
                       tstamp_format(ts, v->ts_ns), (int)v->number, check_name(v->number),
                       v->instrument < s->o.symbols
                           ? exchange_instrument(s->venue.world->exchange, v->instrument)->symbol
                           : "",
                       v->instrument < s->o.symbols ? ": " : "", v->text);
    }
    out->violation_number = (int)v->number;
    if (!s->explained) sim_check_explain(s);
}
