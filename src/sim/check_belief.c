/* What the kernel believes at quiet moments, against the exchange; liveness. */
#include "sim/check_internal.h"

/* Whether the trader can be asked to know everything that happened up to since_ns. */
static bool is_due(const struct check *c, int64_t since_ns) {
    if (!c->running || check_within(c, c->edge_ns, c->config.reconcile_ns)) return false;
    if (check_within(c, c->call_fault_ns, c->config.struck_ns)) return false;
    return !check_within(c, since_ns, c->config.reconcile_ns);
}

static bool position_agrees(struct check *c, uint32_t i, qty_t believed, bool *all_due) {
    struct check_symbol *s = &c->symbols[i];
    bool due = is_due(c, s->touched_ns);
    *all_due &= due;
    if (s->qty == believed.e8) {
        s->differs_told = false;
        return true;
    }
    if (due && !s->differs_told) {
        s->differs_told = true;
        check_fail(c, CHECK_AGREEMENT, i, "the kernel believes in %.8f, the exchange holds %.8f",
                   (double)believed.e8 * 1e-8, (double)s->qty * 1e-8);
    }
    return false;
}

/* ---- orders ---- */

static const struct kernel_live_order *believed_of(const struct check_belief *b,
                                                   uint32_t instrument, const char *id) {
    for (uint32_t j = 0; j < b->live_count; j++)
        if (b->live[j].instrument_index == instrument &&
            strncmp(b->live[j].client_order_id, id, CLIENT_ORDER_ID_SIZE) == 0)
            return &b->live[j];
    return NULL;
}

static bool is_open(const struct check_order *o) {
    return o && (o->life == LIFE_WAITING || o->life == LIFE_WORKING);
}

/* Each order the kernel says the exchange has. */
static bool believed_orders(struct check *c, const struct check_belief *b) {
    bool agree = true;
    for (uint32_t j = 0; j < b->live_count; j++) {
        const struct kernel_live_order *l = &b->live[j];
        if (l->instrument_index >= c->config.instrument_count) continue;
        struct check_symbol *s = &c->symbols[l->instrument_index];
        struct check_order *o = check_order_find(s, l->client_order_id);
        if (o && l->state == ORDER_UNKNOWN && o->state == ORDER_PENDING_NEW)
            check_order_shown(c, o, OE_TIMEOUT); /* nothing told it but the time */
        bool says_open = l->state == ORDER_NEW || l->state == ORDER_PARTIALLY_FILLED;
        if (!says_open || is_open(o)) continue;
        agree = false;
        if (!is_due(c, s->touched_ns) || (o && (o->told || !is_due(c, o->changed_ns)))) continue;
        if (o) o->told = 1;
        check_fail(c, CHECK_AGREEMENT, l->instrument_index,
                   "the kernel believes in order %s (%s), the exchange has none",
                   l->client_order_id, order_state_text((enum order_state)l->state));
    }
    return agree;
}

/* Each order of ours that the exchange has. */
static bool held_orders(struct check *c, const struct check_belief *b, uint32_t i) {
    struct check_symbol *s = &c->symbols[i];
    bool agree = true;
    for (uint32_t j = 0; j < CHECK_ORDERS; j++) {
        struct check_order *o = &s->orders[j];
        if (!s->ids[j] || !o->ours || !is_open(o) || believed_of(b, i, o->id)) continue;
        agree = false;
        if (o->told || !is_due(c, s->touched_ns) || !is_due(c, o->changed_ns)) continue;
        o->told = 1;
        check_fail(c, CHECK_AGREEMENT, i,
                   "the exchange has order %s, the kernel knows nothing of it", o->id);
    }
    return agree;
}

/* ---- money and counts ---- */

static bool money_agrees(struct check *c, const struct check_belief *b) {
    const struct kernel_totals *t = b->totals;
    bool due = is_due(c, c->money_ns);
    if (due && !c->wallet_told && t->wallet.e8 != c->wallet) {
        c->wallet_told = true;
        check_fail(c, CHECK_AGREEMENT, CHECK_ALL,
                   "the kernel's wallet is %.8f, the exchange's %.8f", (double)t->wallet.e8 * 1e-8,
                   (double)c->wallet * 1e-8);
    }
    /* What nobody told of, the fund's money and transfers are in `unexplained`: there is no more in it than fills of a
     * hand have moved, or any fills where a position had to be corrected as a whole; without either it is exact. */
    int64_t sum =
        t->wallet_start.e8 + t->realized_pnl.e8 - t->fees.e8 + t->funding.e8 + t->unexplained.e8;
    int64_t untold = check_abs(t->unexplained.e8 - c->insurance - c->transfers);
    int64_t untold_max = t->positions_corrected ? c->money_moved : c->money_moved_foreign;
    bool adds_up = sum == t->wallet.e8 && untold <= untold_max;
    if (due && !c->wallet_told && !adds_up) {
        c->wallet_told = true;
        check_fail(
            c, CHECK_MONEY, CHECK_ALL,
            "the kernel's wallet is %.8f, its start and its sums make %.8f, %.8f unexplained",
            (double)t->wallet.e8 * 1e-8, (double)sum * 1e-8, (double)t->unexplained.e8 * 1e-8);
    }
    if (t->wallet.e8 == c->wallet && adds_up) c->wallet_told = false;
    return due && t->wallet.e8 == c->wallet;
}

static void reasons(struct check *c, const struct kernel_totals *t) {
    uint64_t refused = 0, engine = 0;
    for (uint32_t i = 0; i < RISK_REASON_COUNT; i++) refused += t->refusals[i];
    for (uint32_t i = ENGINE_ALLOW + 1; i < ENGINE_REASON_COUNT; i++) engine += t->decisions[i];
    bool ensemble = c->config.strategy == STRATEGY_ENSEMBLE;
    /* A refusal is of a signal, at the close, or of an intent that was delivered. */
    uint64_t known = t->intents + (refused - t->denied);
    uint64_t most = known + (ensemble ? engine : t->warming);
    bool exact = !ensemble;
    bool adds_up = refused >= t->denied && t->signals <= most && t->signals >= known &&
                   (!exact || t->signals == most) && t->refusals[RISK_ALLOW] == 0;
    if (!adds_up)
        check_fail(c, CHECK_REASONS, CHECK_ALL,
                   "%llu signals, %llu intents, %llu refusals of which %llu of intents",
                   (unsigned long long)t->signals, (unsigned long long)t->intents,
                   (unsigned long long)refused, (unsigned long long)t->denied);
    if (t->denied > t->delivered)
        check_fail(c, CHECK_REASONS, CHECK_ALL, "%llu intents denied of %llu delivered",
                   (unsigned long long)t->denied, (unsigned long long)t->delivered);
}

/* ---- liveness ---- */

static void liveness(struct check *c, const struct check_belief *b) {
    if (!c->calm || !c->running || check_within(c, c->calm_ns, c->config.liveness_ns)) return;
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        const struct check_span *p = &c->symbols[i].span;
        if (p->naked && c->now_ns - p->since_ns > c->config.protect_ns_max + c->config.close_ns_max)
            check_fail(c, CHECK_LIVENESS, i, "%.8f still naked", (double)c->symbols[i].qty * 1e-8);
    }
    for (uint32_t j = 0; j < b->live_count; j++) {
        const struct kernel_live_order *l = &b->live[j];
        bool limbo = l->state == ORDER_PENDING_NEW || l->state == ORDER_UNKNOWN ||
                     l->state == ORDER_PENDING_CANCEL;
        if (!limbo || l->instrument_index >= c->config.instrument_count) continue;
        const struct check_order *o =
            check_order_find(&c->symbols[l->instrument_index], l->client_order_id);
        int64_t since_ns = o && o->cancel_asked ? o->cancel_asked_ns : o ? o->asked_ns : 0;
        if (c->now_ns - since_ns > c->config.liveness_ns)
            check_fail(c, CHECK_LIVENESS, l->instrument_index, "order %s is still %s",
                       l->client_order_id, order_state_text((enum order_state)l->state));
    }
    if (b->queued) check_fail(c, CHECK_LIVENESS, CHECK_ALL, "%u still queued", b->queued);
    if (b->entries_blocked && !c->stopped)
        check_fail(c, CHECK_LIVENESS, CHECK_ALL, "no entry is possible: %s", b->entries_blocked);
}

void check_belief(struct check *c, const struct check_belief *b) {
    check_advance(c, b->now_ns);
    check_money_settle(c);
    c->report.beliefs++;
    bool agree = true, due = true;
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        agree &= position_agrees(c, i, b->positions[i], &due);
        agree &= held_orders(c, b, i);
    }
    agree &= believed_orders(c, b);
    bool money = money_agrees(c, b);
    c->report.agreements += due && agree && money;
    reasons(c, b->totals);
    if (!c->alarms_are_told && b->totals->alarms < c->late_closed) {
        check_fail(c, CHECK_PROTECTED, CHECK_ALL,
                   "%llu positions were naked too long, and %llu alarms raised",
                   (unsigned long long)c->late_closed, (unsigned long long)b->totals->alarms);
        c->late_closed = b->totals->alarms;
    }
    liveness(c, b);
}
