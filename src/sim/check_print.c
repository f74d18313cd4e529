/* Sums over seeds, coverage, and the last facts in words. */
#include <stdarg.h>
#include <stdio.h>

#include "sim/check_internal.h"

/* ---- sums ---- */

static void most(int64_t *into, int64_t from) {
    if (from > *into) *into = from;
}

void check_report_merge(struct check_report *into, const struct check_report *from) {
    into->facts += from->facts;
    into->exchange_events += from->exchange_events;
    into->commands += from->commands;
    into->requests += from->requests;
    into->fills += from->fills;
    into->entries += from->entries;
    into->stops += from->stops;
    into->beliefs += from->beliefs;
    into->agreements += from->agreements;
    into->foreign_fills += from->foreign_fills;
    into->first_refusals_followed += from->first_refusals_followed;
    for (int i = 0; i < CAUSE_COUNT; i++)
        hist_merge(&into->time_to_protected[i], &from->time_to_protected[i]);
    hist_merge(&into->resumed, &from->resumed);
    into->naked += from->naked;
    into->naked_closed += from->naked_closed;
    into->naked_interrupted += from->naked_interrupted;
    most(&into->longest_interrupted_ns, from->longest_interrupted_ns);
    most(&into->longest_hidden_ns, from->longest_hidden_ns);
    for (int i = 0; i < CHECK_COUNT; i++) into->by_number[i] += from->by_number[i];
    for (int i = 0; i < CHECK_CODES; i++) {
        into->codes[i].code = from->codes[i].code;
        into->codes[i].never = from->codes[i].never;
        into->codes[i].first += from->codes[i].first;
        into->codes[i].flight += from->codes[i].flight;
        into->codes[i].wrong += from->codes[i].wrong;
    }
}

/* ---- coverage ---- */

void check_coverage(const struct check *c, struct check_coverage *out) {
    *out = c->coverage;
}

void check_coverage_merge(struct check_coverage *into, const struct check_coverage *from) {
    for (int i = 0; i < ORDER_STATE_COUNT; i++) into->pairs[i] |= from->pairs[i];
    for (int i = 0; i < INJECT_COUNT; i++) into->phases[i] |= from->phases[i];
}

struct check_coverage_counts check_coverage_count(const struct check_coverage *coverage) {
    struct check_coverage_counts n = {.phases_all = INJECT_COUNT * EXITS_PHASE_COUNT};
    for (int state = 0; state < ORDER_STATE_COUNT; state++)
        for (int event = 0; event < ORDER_EVENT_COUNT; event++) {
            bool legal = order_state_next((enum order_state)state, (enum order_event)event) >= 0;
            bool seen = (coverage->pairs[state] >> event) & 1;
            n.legal_all += legal;
            n.legal += legal && seen;
            n.illegal += !legal && seen;
        }
    for (int kind = 0; kind < INJECT_COUNT; kind++)
        for (int phase = 0; phase < EXITS_PHASE_COUNT; phase++)
            n.phases += (coverage->phases[kind] >> phase) & 1;
    return n;
}

/* ---- words ---- */

struct page {
    char *out;
    size_t size, at;
};

static void put(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct page *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t left = p->at < p->size ? p->size - p->at : 0;
    int n = vsnprintf(left ? p->out + p->at : NULL, left, format, args);
    va_end(args);
    if (n > 0) p->at += (size_t)n;
}

static const char *exec_text(int exec) {
    static const char *const text[] = {"?",       "new",   "canceled", "calculated",
                                       "expired", "trade", "amended"};
    return exec >= 0 && exec < (int)(sizeof text / sizeof *text) ? text[exec] : "?";
}

static const char *algo_text(int status) {
    static const char *const text[] = {"new",      "triggering", "triggered", "finished",
                                       "canceled", "expired",    "rejected"};
    return status >= 0 && status < (int)(sizeof text / sizeof *text) ? text[status] : "?";
}

static const char *told_text(int kind) {
    static const char *const text[] = {"?",        "accepted", "rejected",    "triggered",
                                       "trade",    "canceled", "expired",     "cancel_rejected",
                                       "leverage", "funding",  "liquidation", "position"};
    return kind >= 0 && kind < (int)(sizeof text / sizeof *text) ? text[kind] : "?";
}

static const char *request_text(int kind) {
    static const char *const text[] = {"?", "place", "cancel", "leverage", "other"};
    return kind >= 0 && kind < (int)(sizeof text / sizeof *text) ? text[kind] : "?";
}

static void put_name(struct page *p, const struct check *c, uint32_t instrument) {
    if (instrument >= c->config.instrument_count) return;
    if (c->symbols[instrument].name[0])
        put(p, "%s ", c->symbols[instrument].name);
    else
        put(p, "[%u] ", instrument);
}

static void put_fact(struct page *p, const struct check *c, const struct check_fact *f) {
    put(p, "%llu %lld.%09lld ", (unsigned long long)f->number, (long long)(f->ts_ns / 1000000000),
        (long long)(f->ts_ns % 1000000000));
    put_name(p, c, f->instrument);
    double px = (double)f->px * 1e-8, qty = (double)f->qty * 1e-8;
    const char *side = side_text((enum side)f->side);
    switch ((enum check_what)f->what) {
    case FACT_ORDER:
        put(p, "exchange: order %s %s %s %s qty %.8g px %.8g", f->id, exec_text(f->a), side,
            order_type_text((enum order_type)f->code), qty, px);
        break;
    case FACT_ALGO:
        put(p, "exchange: conditional %s %s %s %s qty %.8g px %.8g", f->id, algo_text(f->a), side,
            order_type_text((enum order_type)f->code), qty, px);
        break;
    case FACT_ACCOUNT:
        put(p, "exchange: wallet %.8f, held %.8g", px, qty);
        break;
    case FACT_LEVERAGE:
        put(p, "exchange: leverage %d", f->code);
        break;
    case FACT_RULES:
        put(p, "exchange: other rules");
        break;
    case FACT_REQUEST:
        put(p, "request: %s %s: %d", request_text(f->a), f->id, f->code);
        break;
    case FACT_COMMAND:
        if (f->a == COMMAND_LEVERAGE_SET)
            put(p, "command: leverage %d", f->code);
        else
            put(p, "command: %s %s %s %s qty %.8g px %.8g",
                f->a == COMMAND_ORDER_SUBMIT ? "submit" : "cancel", f->id, side,
                order_type_text((enum order_type)f->code), qty, px);
        break;
    case FACT_TOLD:
        put(p, "told: %s %s %s qty %.8g px %.8g code %d", told_text(f->a), f->id, side, qty, px,
            f->code);
        break;
    case FACT_ALARM:
        put(p, "kernel: alarm");
        break;
    case FACT_ALIVE:
        put(p, f->a ? "process lives" : "process dies");
        break;
    case FACT_OPEN:
        put(p, f->a ? "venue answers" : "venue is shut");
        break;
    case FACT_INJECTED:
        put(p, "injected: %s", check_injection_name((uint32_t)f->code));
        break;
    case FACT_CLOSE_WANTED:
        put(p, "operator: close");
        break;
    case FACT_STOPPED:
        put(p, f->a ? "operator: stop" : "operator: resume");
        break;
    case FACT_CALM:
        put(p, "faults are over");
        break;
    case FACT_VIOLATION:
        put(p, "VIOLATION of %d %s", f->a, check_name((enum check_number)f->a));
        break;
    }
    put(p, "\n");
}

static const char *life_text(int life) {
    static const char *const text[] = {"asked", "waiting", "working", "ended"};
    return text[life];
}

static void put_symbol(struct page *p, const struct check *c, uint32_t i) {
    const struct check_symbol *s = &c->symbols[i];
    put_name(p, c, i);
    put(p, "%s, held %.8g, leverage %u%s\n", exits_phase_text(check_phase(s)),
        (double)s->qty * 1e-8, s->leverage, s->span.naked ? ", NAKED" : "");
    for (uint32_t j = 0; j < CHECK_ORDERS; j++) {
        const struct check_order *o = &s->orders[j];
        if (!s->ids[j] || !check_is_live(o)) continue;
        put(p, "    %s %s %s qty %.8g px %.8g%s%s, %s, kernel %s%s\n", o->id,
            side_text((enum side)o->side), order_type_text((enum order_type)o->type),
            (double)o->qty * 1e-8, (double)o->stop_px * 1e-8,
            o->close_position ? " closePosition" : "", o->reduce_only ? " reduceOnly" : "",
            life_text(o->life), order_state_text((enum order_state)o->state),
            o->cancel_asked ? ", cancel asked" : "");
    }
}

size_t check_explain(const struct check *c, char *out, size_t size) {
    struct page p = {out, size, 0};
    if (size) out[0] = '\0';
    for (uint32_t i = 0; i < c->violation_count; i++) {
        const struct check_violation *v = &c->violations[i];
        put(&p, "%d %s at event %llu: ", (int)v->number, check_name(v->number),
            (unsigned long long)v->event);
        put_name(&p, c, v->instrument);
        put(&p, "%s\n", v->text);
    }
    uint64_t first = c->ring_count > CHECK_RING ? c->ring_count - CHECK_RING : 0;
    for (uint64_t i = first; i < c->ring_count; i++) put_fact(&p, c, &c->ring[i % CHECK_RING]);
    for (uint32_t i = 0; i < c->config.instrument_count; i++)
        if (check_phase(&c->symbols[i]) != EXITS_FLAT) put_symbol(&p, c, i);
    return p.at;
}
