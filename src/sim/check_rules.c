/* Rules of single acts: one entry an intent, one direction, ceilings, the ratchet of the stop, codes of refusals. */
#include "sim/check_internal.h"
#include "trade/risk/risk.h"

/* ---- entries ---- */

/* Whether the intent is new; it is remembered. Half a table of the newest and half of those before. */
static bool remember(struct check *c, uint64_t intent) {
    uint64_t id = intent ? intent : 1;
    for (uint32_t g = 0; g < 2; g++)
        for (uint32_t at = (uint32_t)id % CHECK_INTENTS; c->intents[g][at];
             at = (at + 1) % CHECK_INTENTS)
            if (c->intents[g][at] == id) return false;
    if (c->intent_count == CHECK_INTENTS / 2) {
        c->intent_now ^= 1;
        memset(c->intents[c->intent_now], 0, sizeof c->intents[0]);
        c->intent_count = 0;
    }
    uint32_t at = (uint32_t)id % CHECK_INTENTS;
    while (c->intents[c->intent_now][at]) at = (at + 1) % CHECK_INTENTS;
    c->intents[c->intent_now][at] = id;
    c->intent_count++;
    return true;
}

static void check_other_side(struct check *c, uint32_t instrument, const struct check_order *o) {
    const struct check_symbol *s = &c->symbols[instrument];
    if (check_foreign_lately(c, s)) return; /* it cannot know yet */
    if (s->qty != 0 && (s->qty > 0) != (o->side == SIDE_BUY))
        check_fail(c, CHECK_DIRECTION, instrument, "entry %s %s against %.8f held", o->id,
                   side_text((enum side)o->side), (double)s->qty * 1e-8);
    for (uint32_t j = 0; j < CHECK_ORDERS; j++) {
        const struct check_order *other = &s->orders[j];
        if (!s->ids[j] || other == o || !other->ours || other->leg != LEG_ENTRY) continue;
        if ((other->life == LIFE_WORKING || other->life == LIFE_WAITING) && other->side != o->side)
            check_fail(c, CHECK_DIRECTION, instrument, "entries %s and %s of both sides", o->id,
                       other->id);
    }
}

void check_entry_reached(struct check *c, uint32_t instrument, const struct check_order *o) {
    const struct check_symbol *s = &c->symbols[instrument];
    c->report.entries++;
    if (o->leg != LEG_ENTRY)
        check_fail(c, CHECK_DIRECTION, instrument, "%s could open a position: not reduce-only",
                   o->id);
    else if (!remember(c, o->intent_id))
        check_fail(c, CHECK_ENTRY_ONCE, instrument, "second entry of one intent: %s", o->id);
    check_other_side(c, instrument, o);
    if (c->other_there && !check_within(c, c->other_ns, c->config.reconcile_ns) &&
        !check_within(c, c->edge_ns, c->config.reconcile_ns) &&
        !check_within(c, c->call_fault_ns, c->config.reconcile_ns))
        check_fail(c, CHECK_DIRECTION, instrument, "entry %s while another run trades the account",
                   o->id);
    if (s->leverage > RISK_LEVERAGE_CEILING &&
        !check_within(c, s->leverage_ns, c->config.reconcile_ns))
        check_fail(c, CHECK_DIRECTION, instrument, "entry %s at leverage %u, the ceiling is %d",
                   o->id, s->leverage, RISK_LEVERAGE_CEILING);
}

void check_exposure(struct check *c, uint32_t instrument) {
    if (check_within(c, c->foreign_any_ns, c->config.reconcile_ns)) return;
    double exposure = 0, equity = (double)c->by_fills;
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        const struct check_symbol *s = &c->symbols[i];
        if (s->qty == 0 || s->mark == 0) continue;
        double value = (double)s->qty * 1e-8 * (double)s->mark;
        exposure += value < 0 ? -value : value;
        /* The cost of this very fill is in the account's next word: its own gain is about none. */
        if (i != instrument) equity += value - (double)s->entry_cost;
    }
    double most = RISK_EXPOSURE_CEILING * (1 + c->config.exposure_slack);
    if (exposure > most * equity)
        check_fail(c, CHECK_DIRECTION, instrument,
                   "exposure %.2f of equity %.2f, the ceiling is %g", exposure * 1e-8,
                   equity * 1e-8, RISK_EXPOSURE_CEILING);
}

/* ---- the ratchet ---- */

/* The tightest price among stops of the intent that are alive and not being cancelled; false: none. */
static bool tightest(const struct check_symbol *s, uint64_t intent, int64_t *px) {
    bool any = false;
    for (uint32_t j = 0; j < CHECK_ORDERS; j++) {
        const struct check_order *o = &s->orders[j];
        if (!s->ids[j] || o->intent_id != intent || o->leg != LEG_STOP || o->cancel_asked ||
            o->life != LIFE_WAITING || !check_is_cover(s, o))
            continue;
        if (!any || (o->side == SIDE_SELL ? o->stop_px > *px : o->stop_px < *px)) *px = o->stop_px;
        any = true;
    }
    return any;
}

/* Against what stood. A cancel says which stop the trader relies on; until then a nearer one is no more than asked for. */
static void ratchet(struct check *c, uint32_t instrument, struct check_order *o, bool relies) {
    struct check_symbol *s = &c->symbols[instrument];
    int64_t px = 0;
    if (s->qty == 0 || !tightest(s, o->intent_id, &px)) return;
    if (s->ratchet_intent != o->intent_id) {
        s->ratchet_intent = o->intent_id;
        s->ratchet_px = px;
        return;
    }
    bool looser = s->qty > 0 ? px < s->ratchet_px : px > s->ratchet_px;
    if (looser && !o->told) {
        o->told = 1;
        check_fail(c, CHECK_RATCHET, instrument, "stop at %.8f stood, now the nearest is %.8f (%s)",
                   (double)s->ratchet_px * 1e-8, (double)px * 1e-8, o->id);
    }
    if (!looser && relies) s->ratchet_px = px;
}

void check_stop_reached(struct check *c, uint32_t instrument, struct check_order *o) {
    if (!o->ours || o->leg != LEG_STOP) return;
    c->report.stops++;
    ratchet(c, instrument, o, false);
}

void check_stop_cancel_asked(struct check *c, uint32_t instrument, struct check_order *o) {
    struct check_symbol *s = &c->symbols[instrument];
    if (o->leg != LEG_STOP || !check_is_cover(s, o) || check_foreign_lately(c, s)) return;
    if (!check_is_covered(s, true) && !s->span.naked) {
        o->told = 1;
        check_fail(c, CHECK_RATCHET, instrument,
                   "cancel of stop %s before another covers %.8f held", o->id,
                   (double)s->qty * 1e-8);
        return;
    }
    ratchet(c, instrument, o, true);
}

/* ---- refusals ---- */

void check_codes_init(struct check_report *r) {
    static const int32_t never[] = {-4006, -4045, -4001, -4003};
    static const int32_t first[] = {-1111, -4014, -4164, -2019, -4002, -4004,
                                    -4005, -4013, -4016, -4023, -4024};
    _Static_assert(sizeof never / sizeof *never + sizeof first / sizeof *first == CHECK_CODES,
                   "a row of the report for each code");
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        r->codes[n++] = (struct check_code){.code = never[i], .never = true};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        r->codes[n++] = (struct check_code){.code = first[i]};
}

void check_change(struct check *c, uint32_t instrument) {
    c->symbols[instrument].change_open = c->change_any = true;
}

static struct check_code *code_row(struct check *c, int32_t code) {
    for (uint32_t i = 0; i < CHECK_CODES; i++)
        if (c->report.codes[i].code == code) return &c->report.codes[i];
    return NULL;
}

/* Margin is the account's: a change of any symbol may use it up. */
enum { CODE_MARGIN = -2019 };

static void refused(struct check *c, const struct check_request *r, struct check_code *row) {
    struct check_symbol *s = &c->symbols[r->instrument];
    int64_t left = r->left_ns ? r->left_ns : c->now_ns;
    int64_t told = r->told_ns > c->now_ns ? r->told_ns : c->now_ns;
    bool margin = row->code == CODE_MARGIN;
    bool open = margin ? c->change_any : s->change_open;
    int64_t flight = margin ? c->flight_any_ns : s->flight_until_ns;
    if (!row->never && open) {
        row->first++;
        s->owed = true;
        if (margin) {
            c->change_any = false;
            c->flight_any_ns = told;
        } else {
            s->change_open = false;
            s->flight_until_ns = told;
        }
    } else if (!row->never && left < flight) { /* at the same moment it was known */
        row->flight++;
    } else {
        row->wrong++;
        check_fail(c, CHECK_VALID, r->instrument, "%d to %s%s", row->code,
                   r->client_order_id[0] ? r->client_order_id : "a request",
                   row->never ? "" : ", and nothing had changed");
    }
}

void check_request(struct check *c, const struct check_request *r) {
    check_advance(c, r->now_ns);
    check_money_settle(c);
    c->report.requests++;
    struct check_fact *f = check_record(c, FACT_REQUEST, r->instrument);
    f->a = (uint8_t)r->kind;
    f->code = r->code;
    memcpy(f->id, r->client_order_id, strnlen(r->client_order_id, sizeof f->id - 1));
    if (r->instrument >= c->config.instrument_count) return;
    bool ours = !r->client_order_id[0] ||
                (oms_is_ours(r->client_order_id) && !check_is_of_other_run(c, r->client_order_id));
    if (!ours || (r->kind != REQUEST_PLACE && r->kind != REQUEST_LEVERAGE)) return;
    struct check_symbol *s = &c->symbols[r->instrument];
    struct check_code *row = code_row(c, r->code);
    if (row) {
        refused(c, r, row);
    } else if (r->code == 0 && r->kind == REQUEST_PLACE && s->owed) {
        s->owed = false;
        c->report.first_refusals_followed++;
    }
}
