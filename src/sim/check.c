/* The checker's frame: facts come in, violations and the ring of the last facts go out. */
#include "sim/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/check_internal.h"
#include "trade/risk/risk.h"

static const char *const names[CHECK_COUNT] = {[CHECK_NONE] = "none",
#define NAME(id, name, text) [id] = name,
                                               CHECK_TABLE(NAME)
#undef NAME
};
static const char *const texts[CHECK_COUNT] = {[CHECK_NONE] = "",
#define TEXT(id, name, text) [id] = text,
                                               CHECK_TABLE(TEXT)
#undef TEXT
};

const char *check_name(enum check_number number) {
    return (unsigned)number < CHECK_COUNT ? names[number] : "?";
}

const char *check_text(enum check_number number) {
    return (unsigned)number < CHECK_COUNT ? texts[number] : "?";
}

const char *check_injection_name(uint32_t kind) {
    if (kind < FAULT_COUNT) return fault_name((enum fault)kind);
    return kind < INJECT_COUNT ? sim_fault_name((enum sim_fault)(kind - FAULT_COUNT)) : "?";
}

/* A rule or a price of the symbol is another afterwards: the next refusal may be one of the conditional ones. */
static bool changes_rules(uint32_t kind) {
    return kind == FAULT_FILTERS || kind == FAULT_DELISTING || kind == CHECK_SIM(SIM_CRASH) ||
           kind == CHECK_SIM(SIM_GAP) || kind == CHECK_SIM(SIM_HALT) ||
           kind == CHECK_SIM(SIM_HUMAN_CLOSE) || kind == CHECK_SIM(SIM_HUMAN_CANCEL) ||
           kind == CHECK_SIM(SIM_HUMAN_OPEN) || kind == CHECK_SIM(SIM_HUMAN_LEVERAGE) ||
           kind == CHECK_SIM(SIM_OTHER_RUN);
}

struct check_config check_config_defaults(void) {
    const int64_t second = INT64_C(1000000000);
    return (struct check_config){.account = 1,
                                 .leverage_default = 20,
                                 .strategy = STRATEGY_MOMENTUM,
                                 .protect_ns_max = 3 * second,
                                 .close_ask_ns = second,
                                 .close_ns_max = 30 * second,
                                 .foreign_ns_max = 40 * second,
                                 .reconcile_ns = 40 * second,
                                 .struck_ns = 10 * second,
                                 .liveness_ns = 600 * second,
                                 .exposure_slack = 0.02};
}

struct check *check_create(const struct check_config *config) {
    size_t symbols = config->instrument_count * sizeof(struct check_symbol);
    struct check *c = calloc(1, sizeof *c + symbols);
    if (!c) return NULL;
    c->config = *config;
    c->open = true;
    c->deadline_ns = INT64_MAX;
    c->wallet = c->by_fills = c->by_income = config->wallet_start.e8;
    c->edge_ns = c->money_ns = c->foreign_any_ns = c->call_fault_ns = INT64_MIN;
    c->flight_any_ns = INT64_MIN;
    check_codes_init(&c->report);
    for (uint32_t i = 0; i < config->instrument_count; i++) {
        struct check_symbol *s = &c->symbols[i];
        s->leverage = config->leverage_default;
        if (config->instruments) memcpy(s->name, config->instruments[i].symbol, sizeof s->name);
        s->touched_ns = s->foreign_ns = s->leverage_ns = s->flight_until_ns = INT64_MIN;
    }
    return c;
}

void check_destroy(struct check *c) {
    free(c);
}

void check_fail(struct check *c, enum check_number number, uint32_t instrument, const char *format,
                ...) {
    struct check_fact *f = check_record(c, FACT_VIOLATION, instrument);
    f->a = (uint8_t)number;
    c->report.by_number[number]++;
    if (c->violation_count == CHECK_VIOLATIONS_MAX) return;
    struct check_violation *v = &c->violations[c->violation_count++];
    *v = (struct check_violation){
        .number = number, .instrument = instrument, .ts_ns = c->now_ns, .event = c->report.facts};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
}

uint64_t check_violations(const struct check *c) {
    uint64_t sum = 0;
    for (int i = 0; i < CHECK_COUNT; i++) sum += c->report.by_number[i];
    return sum;
}

const struct check_violation *check_violation(const struct check *c, uint32_t i) {
    return i < c->violation_count ? &c->violations[i] : NULL;
}

struct check_fact *check_record(struct check *c, enum check_what what, uint32_t instrument) {
    struct check_fact *f = &c->ring[c->ring_count++ % CHECK_RING];
    *f = (struct check_fact){.number = c->report.facts,
                             .ts_ns = c->now_ns,
                             .instrument = instrument,
                             .what = (uint8_t)what};
    return f;
}

static void put_id(struct check_fact *f, const char *id) {
    memcpy(f->id, id, strnlen(id, sizeof f->id - 1)); /* the rest is zero */
}

/* A fact of this time: what was due before it comes first. */
void check_advance(struct check *c, int64_t now_ns) {
    if (now_ns > c->now_ns) c->now_ns = now_ns;
    c->report.facts++;
    if (c->now_ns >= c->deadline_ns) check_deadlines(c);
}

static bool is_symbol(const struct check *c, uint32_t instrument) {
    return instrument < c->config.instrument_count;
}

/* ---- what leaves the kernel ---- */

static void on_submit(struct check *c, const struct venue_command *m) {
    struct check_symbol *s = &c->symbols[m->instrument_index];
    struct check_order *o = check_order_find(s, m->client_order_id);
    if (!o) {
        o = check_order_take(c, m->instrument_index, m->client_order_id);
        if (!o) return;
        o->side = m->side;
        o->type = m->order_type;
        o->close_position = m->close_position;
        o->reduce_only = m->reduce_only;
        o->stop_px = m->stop_px.e8;
        o->qty = m->order_qty.e8;
        check_order_shown(c, o, OE_SUBMIT);
    }
    o->asked_ns = c->now_ns;
    bool reduces = m->reduce_only || m->close_position;
    if (m->order_type == ORDER_STOP_MARKET && reduces) s->span.stops_asked++;
    if (m->order_type != ORDER_MARKET || !reduces) return;
    s->span.close_asked = true;
    s->close_wanted = false;
    check_deadline_find(c);
}

static void on_cancel(struct check *c, const struct venue_command *m) {
    struct check_order *o = check_order_find(&c->symbols[m->instrument_index], m->client_order_id);
    if (!o) return; /* of long ago: the venue will say so */
    if (o->state != ORDER_PENDING_CANCEL) check_order_shown(c, o, OE_CANCEL_REQUEST);
    bool first = !o->cancel_asked;
    o->cancel_asked = 1;
    if (first) o->cancel_asked_ns = c->now_ns;
    if (first) check_stop_cancel_asked(c, m->instrument_index, o);
}

void check_command(struct check *c, const struct venue_command *m, int64_t now_ns) {
    check_advance(c, now_ns);
    check_money_settle(c);
    c->report.commands++;
    struct check_fact *f = check_record(c, FACT_COMMAND, m->instrument_index);
    f->a = m->kind;
    f->side = m->side;
    f->code = (int32_t)(m->kind == COMMAND_LEVERAGE_SET ? m->leverage : m->order_type);
    f->px = m->stop_px.e8 ? m->stop_px.e8 : m->limit_px.e8;
    f->qty = m->order_qty.e8;
    put_id(f, m->client_order_id);
    if (!is_symbol(c, m->instrument_index)) {
        check_fail(c, CHECK_VALID, CHECK_ALL, "a command for symbol %u of %u", m->instrument_index,
                   c->config.instrument_count);
        return;
    }
    switch ((enum command_kind)m->kind) {
    case COMMAND_ORDER_SUBMIT:
        on_submit(c, m);
        break;
    case COMMAND_ORDER_CANCEL:
        on_cancel(c, m);
        break;
    case COMMAND_LEVERAGE_SET:
        if (m->leverage > RISK_LEVERAGE_CEILING)
            check_fail(c, CHECK_DIRECTION, m->instrument_index,
                       "leverage %u asked for, the ceiling is %d", m->leverage,
                       RISK_LEVERAGE_CEILING);
        break;
    }
}

/* ---- what reaches it ---- */

static enum order_event event_of(const struct venue_event *e) {
    static const uint8_t events[] = {
        [VENUE_ORDER_ACCEPTED] = 1 + OE_ACCEPTED,        [VENUE_ORDER_TRIGGERED] = 1 + OE_ACCEPTED,
        [VENUE_ORDER_REJECTED] = 1 + OE_REJECTED,        [VENUE_ORDER_TRADE] = 1 + OE_FILL_LAST,
        [VENUE_ORDER_CANCELED] = 1 + OE_CANCELED,        [VENUE_ORDER_EXPIRED] = 1 + OE_EXPIRED,
        [VENUE_CANCEL_REJECTED] = 1 + OE_CANCEL_REJECTED};
    if (e->kind >= sizeof events || events[e->kind] == 0) return ORDER_EVENT_COUNT;
    if (e->kind == VENUE_ORDER_TRADE && e->leaves_qty.e8 > 0) return OE_FILL_PARTIAL;
    return (enum order_event)(events[e->kind] - 1);
}

/* Does it tell of what is held, or of an order's end? */
static bool is_news(const struct venue_event *e) {
    return e->kind != VENUE_ORDER_ACCEPTED && e->kind != VENUE_ORDER_REJECTED &&
           e->kind != VENUE_ORDER_TRIGGERED && e->kind != VENUE_CANCEL_REJECTED &&
           e->kind != VENUE_LEVERAGE_SET && e->kind != VENUE_FUNDING;
}

void check_told(struct check *c, const struct venue_event *event, int64_t now_ns) {
    check_advance(c, now_ns);
    check_money_settle(c);
    struct check_fact *f = check_record(c, FACT_TOLD, event->instrument_index);
    f->a = event->kind;
    f->side = event->side;
    f->code = event->code;
    f->px = event->last_px.e8;
    f->qty = event->last_qty.e8;
    put_id(f, event->client_order_id);
    if (!is_symbol(c, event->instrument_index)) return;
    enum order_event what = event_of(event);
    struct check_order *o =
        check_order_find(&c->symbols[event->instrument_index], event->client_order_id);
    if (o && o->ours && what != ORDER_EVENT_COUNT) check_order_shown(c, o, what);
    if (is_news(event)) check_word(c, event->instrument_index);
}

void check_alarm(struct check *c, uint32_t instrument, int64_t now_ns) {
    check_advance(c, now_ns);
    (void)check_record(c, FACT_ALARM, instrument);
    c->alarms_are_told = true;
    if (is_symbol(c, instrument)) c->symbols[instrument].span.alarmed = true;
}

/* ---- process, venue, operator ---- */

static void clock_changes(struct check *c, bool of_venue) {
    bool running = c->alive && c->open;
    if (running == c->running) return;
    c->running = running;
    c->edge_ns = c->now_ns;
    check_clock_edge(c, of_venue);
}

void check_alive(struct check *c, bool alive, int64_t now_ns) {
    check_advance(c, now_ns);
    check_money_settle(c);
    check_record(c, FACT_ALIVE, CHECK_ALL)->a = alive;
    if (c->alive == alive) return;
    c->alive = alive;
    c->edge_ns = c->now_ns;
    /* A wish told to a process dies with it; whoever wished sees that it did. */
    for (uint32_t i = 0; !alive && i < c->config.instrument_count; i++)
        c->symbols[i].close_wanted = false;
    clock_changes(c, false);
}

void check_venue_open(struct check *c, bool open, int64_t now_ns) {
    check_advance(c, now_ns);
    if (c->open == open) return;
    check_record(c, FACT_OPEN, CHECK_ALL)->a = open;
    c->open = open;
    clock_changes(c, true);
}

/* It strikes a call or its answer, so that a cycle of reconciliation may come to nothing. */
static bool strikes_calls(uint32_t kind) {
    return kind <= FAULT_LATE_ACK || kind == FAULT_MAINTENANCE || kind == FAULT_ALGO_HIDDEN ||
           kind == FAULT_CONDITIONAL || kind == CHECK_SIM(SIM_REQUEST_LOST) ||
           kind == CHECK_SIM(SIM_REQUEST_LATE) || kind == CHECK_SIM(SIM_REPLY_LOST) ||
           kind == CHECK_SIM(SIM_REPLY_LATE) || kind == CHECK_SIM(SIM_CUT) ||
           kind == CHECK_SIM(SIM_OUTAGE) || kind == CHECK_SIM(SIM_CLOCK_STEP);
}

static void injected_at(struct check *c, uint32_t kind, uint32_t i) {
    struct check_symbol *s = &c->symbols[i];
    c->coverage.phases[kind] |= (uint8_t)(1u << check_phase(s));
    if (changes_rules(kind)) check_change(c, i);
    if (kind == CHECK_SIM(SIM_HUMAN_LEVERAGE)) s->leverage_ns = c->now_ns;
    if (kind == CHECK_SIM(SIM_HUMAN_OPEN) || kind == CHECK_SIM(SIM_HUMAN_CLOSE) ||
        kind == CHECK_SIM(SIM_HUMAN_CANCEL) || kind == CHECK_SIM(SIM_OTHER_RUN))
        s->touched_ns = c->now_ns;
}

void check_injected(struct check *c, uint32_t kind, uint32_t instrument, int64_t now_ns) {
    check_advance(c, now_ns);
    check_record(c, FACT_INJECTED, instrument)->code = (int32_t)kind;
    if (kind >= INJECT_COUNT) return;
    if (strikes_calls(kind)) c->call_fault_ns = c->now_ns;
    bool one = is_symbol(c, instrument);
    for (uint32_t i = 0; !one && i < c->config.instrument_count; i++) injected_at(c, kind, i);
    if (one) injected_at(c, kind, instrument);
    uint32_t *orders = one ? &c->symbols[instrument].human_orders : &c->human_orders;
    uint32_t *cancels = one ? &c->symbols[instrument].human_cancels : &c->human_cancels;
    if (kind == CHECK_SIM(SIM_HUMAN_OPEN) || kind == CHECK_SIM(SIM_HUMAN_CLOSE) ||
        kind == CHECK_SIM(SIM_OTHER_RUN))
        ++*orders;
    if (kind == CHECK_SIM(SIM_HUMAN_CANCEL)) ++*cancels;
}

void check_other_run(struct check *c, uint32_t run, bool is_there, int64_t now_ns) {
    check_advance(c, now_ns);
    c->other_run = run;
    if (is_there && !c->other_there) c->other_ns = c->now_ns;
    c->other_there = is_there;
}

static void want_close(struct check *c, uint32_t i) {
    struct check_symbol *s = &c->symbols[i];
    s->close_wanted = s->qty != 0 && !check_is_closing(s);
    s->close_foreign = check_foreign_lately(c, s);
    s->close_from_ns = c->running ? c->now_ns : 0;
}

void check_close_wanted(struct check *c, uint32_t instrument, int64_t now_ns) {
    check_advance(c, now_ns);
    (void)check_record(c, FACT_CLOSE_WANTED, instrument);
    if (is_symbol(c, instrument))
        want_close(c, instrument);
    else
        for (uint32_t i = 0; i < c->config.instrument_count; i++) want_close(c, i);
    check_deadline_find(c);
}

void check_stopped(struct check *c, bool stopped, int64_t now_ns) {
    check_advance(c, now_ns);
    check_record(c, FACT_STOPPED, CHECK_ALL)->a = stopped;
    c->stopped = stopped;
}

void check_calm(struct check *c, int64_t now_ns) {
    check_advance(c, now_ns);
    (void)check_record(c, FACT_CALM, CHECK_ALL);
    c->calm = true;
    c->calm_ns = c->now_ns;
}

void check_time(struct check *c, int64_t now_ns) {
    check_advance(c, now_ns);
    check_money_settle(c);
}

int64_t check_deadline(const struct check *c) {
    return c->deadline_ns;
}

void check_replay(struct check *c, const char *what, uint64_t expected, uint64_t got) {
    if (expected != got)
        check_fail(c, CHECK_REPLAY, CHECK_ALL, "%s: replayed to %016llx, was %016llx", what,
                   (unsigned long long)got, (unsigned long long)expected);
}

void check_end(struct check *c, int64_t now_ns) {
    check_time(c, now_ns);
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        const struct check_span *p = &c->symbols[i].span;
        if (p->naked && p->interrupted &&
            c->now_ns - p->since_ns > c->report.longest_interrupted_ns)
            c->report.longest_interrupted_ns = c->now_ns - p->since_ns;
    }
}

void check_report(const struct check *c, struct check_report *out) {
    *out = c->report;
}
