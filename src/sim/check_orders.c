/* The checker's own books, from the exchange's events alone: orders, what is held, what covers it. */
#include "base/hash.h"
#include "sim/check_internal.h"

enum { INTENT_CHARACTERS = 14 }; /* "q" and the intent's digits: oms_client_order_id */
#define ASKED_FORGOTTEN_NS (INT64_C(600) * 1000000000)

/* ---- orders ---- */

static uint64_t key_of(const char *id) {
    uint64_t key = hash64(id, strnlen(id, CLIENT_ORDER_ID_SIZE));
    return key ? key : 1;
}

struct check_order *check_order_find(struct check_symbol *s, const char *id) {
    uint64_t key = key_of(id);
    for (uint32_t j = 0; j < CHECK_ORDERS; j++)
        if (s->ids[j] == key) return &s->orders[j];
    return NULL;
}

/* The letter of an id is the leg's: asked of the module that writes it. */
static uint8_t leg_of(const char *id) {
    char made[CLIENT_ORDER_ID_SIZE];
    for (int leg = 0; leg < LEG_COUNT; leg++) {
        oms_client_order_id(made, 0, (enum oms_leg)leg, 0);
        if (made[15] == id[15]) return (uint8_t)leg;
    }
    return LEG_COUNT;
}

bool check_is_of_other_run(const struct check *c, const char *id) {
    return c->other_run && oms_run_of(id) == c->other_run;
}

bool check_is_live(const struct check_order *o) {
    if (o->life == LIFE_ENDED) return false;
    return o->life != LIFE_ASKED || !order_state_is_terminal((enum order_state)o->state);
}

static bool is_spent(const struct check *c, const struct check_order *o) {
    return !check_is_live(o) ||
           (o->life == LIFE_ASKED && c->now_ns - o->asked_ns > ASKED_FORGOTTEN_NS);
}

struct check_order *check_order_take(struct check *c, uint32_t instrument, const char *id) {
    struct check_symbol *s = &c->symbols[instrument];
    uint32_t best = CHECK_ORDERS;
    for (uint32_t j = 0; j < CHECK_ORDERS; j++) {
        if (s->ids[j] && !is_spent(c, &s->orders[j])) continue;
        if (best == CHECK_ORDERS || !s->ids[j] ||
            (s->ids[best] && s->orders[j].serial < s->orders[best].serial))
            best = j;
        if (!s->ids[j]) break;
    }
    if (best == CHECK_ORDERS) {
        check_fail(c, CHECK_CAPACITY, instrument, "more than %d orders live at once", CHECK_ORDERS);
        return NULL;
    }
    struct check_order *o = &s->orders[best];
    memset(o, 0, sizeof *o);
    memcpy(o->id, id, strnlen(id, CLIENT_ORDER_ID_SIZE - 1));
    s->ids[best] = key_of(id);
    o->serial = ++c->serial;
    o->ours = oms_is_ours(o->id) && !check_is_of_other_run(c, o->id);
    o->leg = o->ours ? leg_of(o->id) : (uint8_t)LEG_COUNT;
    o->intent_id = o->ours ? hash64(o->id, INTENT_CHARACTERS) : 0;
    o->asked_ns = o->changed_ns = c->now_ns;
    return o;
}

/* As trade/oms does: the second refusal of a cancel is an end. */
void check_order_shown(struct check *c, struct check_order *o, enum order_event event) {
    enum order_state from = (enum order_state)o->state;
    if (event == OE_CANCEL_REJECTED && from == ORDER_PENDING_CANCEL && o->rejected_cancels++ > 0)
        from = ORDER_UNKNOWN;
    c->coverage.pairs[from] |= (uint16_t)(1u << event);
    int next = order_state_next(from, event);
    if (next >= 0) o->state = (uint8_t)next;
}

/* ---- cover ---- */

static bool is_stop(const struct check_order *o) {
    return o->type == ORDER_STOP_MARKET ||
           (o->type == ORDER_TRAILING_STOP_MARKET && (o->activated || o->life == LIFE_WORKING));
}

/* One that has fired and is being executed still covers: it ends within the same step of the exchange. */
bool check_is_cover(const struct check_symbol *s, const struct check_order *o) {
    if (o->life != LIFE_WAITING && o->life != LIFE_WORKING) return false;
    if (!is_stop(o) || !(o->close_position || o->reduce_only) || s->qty == 0) return false;
    return o->side == (s->qty > 0 ? SIDE_SELL : SIDE_BUY);
}

bool check_is_covered(const struct check_symbol *s, bool kept) {
    int64_t sum = 0, held = check_abs(s->qty);
    for (uint32_t j = 0; j < CHECK_ORDERS && sum < held; j++) {
        const struct check_order *o = &s->orders[j];
        if (!s->ids[j] || !check_is_cover(s, o) || (kept && o->cancel_asked)) continue;
        sum += o->close_position ? held : o->qty - o->cum_qty;
    }
    return sum >= held;
}

bool check_is_closing(const struct check_symbol *s) {
    for (uint32_t j = 0; j < CHECK_ORDERS; j++)
        if (s->ids[j] && s->orders[j].ours && s->orders[j].leg == LEG_CLOSE &&
            check_is_live(&s->orders[j]))
            return true;
    return false;
}

enum exits_phase check_phase(const struct check_symbol *s) {
    bool entry = false, close = false, any = false;
    for (uint32_t j = 0; j < CHECK_ORDERS; j++) {
        const struct check_order *o = &s->orders[j];
        if (!s->ids[j] || !o->ours || !check_is_live(o)) continue;
        any = true;
        entry |= o->leg == LEG_ENTRY;
        close |= o->leg == LEG_CLOSE;
    }
    if (s->qty == 0) return entry ? EXITS_ENTERING : any ? EXITS_CLEANUP : EXITS_FLAT;
    if (close) return EXITS_CLOSING;
    return s->span.naked ? EXITS_UNPROTECTED : EXITS_PROTECTED;
}

uint32_t check_phase_find(const struct check *c, enum exits_phase phase) {
    for (uint32_t i = 0; i < c->config.instrument_count; i++)
        if (check_phase(&c->symbols[i]) == phase) return i;
    return CHECK_ALL;
}

/* ---- what reaches the exchange ---- */

static void foreign_reached(struct check *c, uint32_t instrument, const char *id) {
    struct check_symbol *s = &c->symbols[instrument];
    s->foreign_ns = c->foreign_any_ns = c->now_ns;
    if (s->human_orders)
        s->human_orders--;
    else if (c->human_orders)
        c->human_orders--;
    else
        check_fail(c, CHECK_ENTRY_ONCE, instrument, "order %s of nobody", id);
}

static bool is_conditional(uint8_t type) {
    return type != ORDER_MARKET && type != ORDER_LIMIT;
}

/* The order in the books, or a new row of one that nobody asked for. NULL: no room. */
static struct check_order *order_of(struct check *c, uint32_t instrument, const char *id,
                                    bool is_new) {
    struct check_order *o = check_order_find(&c->symbols[instrument], id);
    if (!o) {
        o = check_order_take(c, instrument, id);
        if (!o) return NULL;
        if (o->ours && is_new)
            check_fail(c, CHECK_ENTRY_ONCE, instrument, "order %s without a command", id);
    }
    o->changed_ns = c->now_ns;
    return o;
}

static void ordinary_new(struct check *c, uint32_t instrument, struct check_order *o,
                         const struct exchange_order *from) {
    bool again = o->life == LIFE_ENDED; /* an id of the same name, once more */
    o->side = from->side;
    o->type = from->type;
    o->qty = from->orig_qty.e8;
    o->cum_qty = 0;
    o->close_position = from->close_position;
    o->reduce_only = from->reduce_only;
    o->life = LIFE_WORKING;
    if (again) o->cancel_asked = 0;
    if (!o->ours)
        foreign_reached(c, instrument, o->id);
    else if (o->leg == LEG_ENTRY || !(from->reduce_only || from->close_position))
        check_entry_reached(c, instrument, o);
}

static void conditional_new(struct check *c, uint32_t instrument, struct check_order *o) {
    o->life = LIFE_WAITING;
    if (!o->ours)
        foreign_reached(c, instrument, o->id);
    else if (!(o->reduce_only || o->close_position))
        check_entry_reached(c, instrument, o);
}

/* ---- executions ---- */

static enum check_cause cause_of_fill(const struct check_order *o, bool forced) {
    if (forced) return CAUSE_LOST;
    return o && o->ours ? CAUSE_FILL : CAUSE_FOREIGN;
}

static void fill(struct check *c, const struct exchange_event *e, struct check_order *o) {
    struct check_symbol *s = &c->symbols[e->instrument];
    bool forced = e->u.order.forced != FORCED_NO, ours = o && o->ours && !forced;
    int64_t before = s->qty, sign = side_sign((enum side)e->side);
    s->qty += sign * e->qty.e8;
    c->report.fills++;
    int64_t money = e->realized.e8 - e->commission.e8;
    c->by_fills += money;
    c->money_moved += check_abs(money);
    if (!ours) c->money_moved_foreign += check_abs(money);
    if (o) o->cum_qty += e->qty.e8;
    if (!ours && !forced) {
        s->foreign_ns = c->foreign_any_ns = c->now_ns;
        c->report.foreign_fills++;
        check_change(c, e->instrument);
    }
    bool turned = (before > 0 && s->qty < 0) || (before < 0 && s->qty > 0);
    if (turned && ours && !check_foreign_lately(c, s))
        check_fail(c, CHECK_DIRECTION, e->instrument, "order %s turned the position around", o->id);
    if (s->qty == 0) s->close_wanted = false;
    if (ours && check_abs(s->qty) > check_abs(before)) check_exposure(c, e->instrument);
}

/* An order of ours was cancelled. */
static enum check_cause cause_of_cancel(struct check *c, uint32_t instrument,
                                        const struct check_order *o) {
    struct check_symbol *s = &c->symbols[instrument];
    if (o->cancel_asked) return CAUSE_LOST;
    s->foreign_ns = c->foreign_any_ns = c->now_ns;
    if (s->human_cancels)
        s->human_cancels--;
    else if (c->human_cancels)
        c->human_cancels--;
    else
        check_fail(c, CHECK_RATCHET, instrument, "order %s cancelled by nobody", o->id);
    return CAUSE_FOREIGN;
}

/* An order of another run was cancelled: only a hand may have done it. */
static void other_cancelled(struct check *c, uint32_t instrument, const struct check_order *o) {
    struct check_symbol *s = &c->symbols[instrument];
    if (!check_is_of_other_run(c, o->id)) return;
    if (s->human_cancels)
        s->human_cancels--;
    else if (c->human_cancels)
        c->human_cancels--;
    else
        check_fail(c, CHECK_DIRECTION, instrument, "order %s of another run cancelled", o->id);
}

/* An order is over. was_cover: it covered what is held until now. */
static void ended(struct check *c, uint32_t instrument, struct check_order *o, bool canceled) {
    struct check_symbol *s = &c->symbols[instrument];
    bool was_cover = check_is_cover(s, o), stop = o->ours && o->leg == LEG_STOP;
    enum check_cause cause = CAUSE_LOST;
    o->life = LIFE_ENDED;
    if (o->ours && canceled) cause = cause_of_cancel(c, instrument, o);
    if (!o->ours && canceled) other_cancelled(c, instrument, o);
    if (was_cover && stop && canceled && o->cancel_asked && !o->told && !s->span.naked &&
        !check_foreign_lately(c, s) && !check_is_covered(s, false)) {
        check_fail(c, CHECK_RATCHET, instrument, "stop %s cancelled, nothing else covers", o->id);
        o->told = 1;
    }
    check_reassess(c, instrument, cause);
}

static void on_order(struct check *c, const struct exchange_event *e) {
    const struct exchange_order *from = &e->u.order;
    if (from->forced != FORCED_NO) { /* the venue's own: it has no life of its own */
        fill(c, e, NULL);
        check_reassess(c, e->instrument, CAUSE_LOST);
        return;
    }
    bool is_new = e->exec == EXEC_NEW, child = from->algo_id != 0 || from->orig_type != from->type;
    struct check_order *o = order_of(c, e->instrument, from->client_order_id, is_new && !child);
    if (!o) return;
    switch ((enum exchange_exec)e->exec) {
    case EXEC_NEW:
        if (is_conditional(from->type)) {
            o->side = from->side;
            o->type = from->type;
            o->qty = from->orig_qty.e8;
            o->close_position = from->close_position;
            o->reduce_only = from->reduce_only;
            o->stop_px = from->stop_price.e8;
            conditional_new(c, e->instrument, o);
            check_reassess(c, e->instrument, CAUSE_LOST);
            check_stop_reached(c, e->instrument, o);
        } else if (child) {
            o->life = LIFE_WORKING;
        } else {
            ordinary_new(c, e->instrument, o, from);
        }
        return;
    case EXEC_TRADE:
    case EXEC_CALCULATED:
        fill(c, e, o);
        if (from->status == EXO_FILLED) o->life = LIFE_ENDED;
        check_reassess(c, e->instrument, cause_of_fill(o, false));
        return;
    case EXEC_CANCELED:
    case EXEC_EXPIRED:
        ended(c, e->instrument, o, e->exec == EXEC_CANCELED);
        return;
    case EXEC_AMENDMENT:
        o->qty = from->orig_qty.e8;
        return;
    }
}

static void on_algo(struct check *c, const struct exchange_event *e) {
    const struct exchange_algo *from = &e->u.algo;
    bool is_new = from->status == EXA_NEW;
    struct check_order *o = order_of(c, e->instrument, from->client_algo_id, is_new);
    if (!o) return;
    o->activated = from->activated;
    switch ((enum exchange_algo_status)from->status) {
    case EXA_NEW:
        o->side = from->side;
        o->type = from->type;
        o->qty = from->qty.e8;
        o->close_position = from->close_position;
        o->reduce_only = from->reduce_only;
        o->stop_px = from->trigger_price.e8;
        conditional_new(c, e->instrument, o);
        check_reassess(c, e->instrument, CAUSE_LOST);
        check_stop_reached(c, e->instrument, o);
        return;
    case EXA_TRIGGERING:
    case EXA_TRIGGERED:
        if (o->life == LIFE_WAITING) o->life = LIFE_WORKING;
        return;
    case EXA_FINISHED:
    case EXA_CANCELED:
    case EXA_EXPIRED:
    case EXA_REJECTED:
        if (o->life != LIFE_ENDED) ended(c, e->instrument, o, from->status == EXA_CANCELED);
        return;
    }
}

/* ---- the exchange speaks ---- */

static void record(struct check *c, const struct exchange_event *e) {
    bool algo = e->kind == EXE_ALGO;
    struct check_fact *f = check_record(c, algo ? FACT_ALGO : FACT_ORDER, e->instrument);
    const char *id = algo ? e->u.algo.client_algo_id : e->u.order.client_order_id;
    f->a = algo ? e->u.algo.status : e->exec;
    f->side = e->side;
    f->code = algo ? e->u.algo.type : e->u.order.type;
    bool traded = !algo && (e->exec == EXEC_TRADE || e->exec == EXEC_CALCULATED);
    f->px = algo ? e->u.algo.trigger_price.e8 : traded ? e->px.e8 : e->u.order.stop_price.e8;
    f->qty = algo ? e->u.algo.qty.e8 : traded ? e->qty.e8 : e->u.order.orig_qty.e8;
    memcpy(f->id, id, strnlen(id, sizeof f->id - 1));
}

static void on_leverage(struct check *c, const struct exchange_event *e) {
    struct check_symbol *s = &c->symbols[e->instrument];
    struct check_fact *f = check_record(c, FACT_LEVERAGE, e->instrument);
    f->code = (int32_t)e->leverage;
    s->leverage = e->leverage;
    s->touched_ns = c->now_ns;
}

static void on_own(struct check *c, const struct exchange_event *e) {
    if (e->instrument < c->config.instrument_count)
        c->symbols[e->instrument].touched_ns = c->now_ns;
    else if (e->kind != EXE_ACCOUNT && e->kind != EXE_INCOME)
        return;
    if (e->kind == EXE_ORDER) {
        record(c, e);
        on_order(c, e);
    } else if (e->kind == EXE_ALGO) {
        record(c, e);
        on_algo(c, e);
    } else if (e->kind == EXE_ACCOUNT) {
        check_money_account(c, e);
    } else if (e->kind == EXE_INCOME) {
        check_money_income(c, e);
    } else if (e->kind == EXE_LEVERAGE) {
        on_leverage(c, e);
    }
}

void check_exchange_event(struct check *c, const struct exchange_event *e) {
    check_advance(c, e->ts_ns);
    c->report.exchange_events++;
    switch ((enum exchange_event_kind)e->kind) {
    case EXE_ORDER:
    case EXE_ALGO:
    case EXE_ACCOUNT:
    case EXE_INCOME:
    case EXE_LEVERAGE:
        if (e->account == c->config.account) on_own(c, e);
        return;
    case EXE_MARK:
        if (e->instrument < c->config.instrument_count) c->symbols[e->instrument].mark = e->px.e8;
        return;
    case EXE_FILTERS:
    case EXE_STATUS:
        (void)check_record(c, FACT_RULES, e->instrument);
        if (e->instrument < c->config.instrument_count) check_change(c, e->instrument);
        return;
    case EXE_MARGIN_CALL:
    case EXE_AMENDED:
    case EXE_TRADE:
    case EXE_LEVEL:
    case EXE_FORCED:
        return;
    }
}
