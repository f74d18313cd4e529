/* From an intent to the end of its trade: gates, orders, fills, exits, timers. */
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

/* Of a placement: the venue knows no such order, and whoever tells it has made sure that none is still coming. */
#define NEVER_PLACED (-2013)

void kernel_command_out(struct kernel *k, struct kernel_out *out,
                        const struct venue_command *command) {
    struct event *e = kernel_emit(k, out, EVENT_ORDER_PLACED);
    e->u.venue_command = *command;
    if (command->kind == COMMAND_ORDER_SUBMIT) k->totals.orders++;
    kernel_seal(k, e);
}

/* ---- life of a position ---- */

void kernel_open_add(struct kernel *k, uint32_t i) {
    ASSERT(k->open_count < OPEN_MAX);
    k->open[k->open_count++] = i;
}

static void open_remove(struct kernel *k, uint32_t i) {
    uint32_t j = 0;
    while (j < k->open_count && k->open[j] != i) j++;
    ASSERT(j < k->open_count);
    for (; j + 1 < k->open_count; j++) k->open[j] = k->open[j + 1]; /* order of opening is kept */
    k->open_count--;
}

void kernel_submit(struct kernel *k, struct kernel_out *out, uint32_t i,
                   const struct oms_request *request) {
    struct venue_command command;
    struct oms_request marked = *request;
    if (k->life) {
        marked.run = k->run;
        marked.life = k->life;
    }
    /* Full only when the venue has stopped answering: one live order per leg is the rule. More of the
     * same would tell it nothing new, and the exits ask again at their deadline. */
    if (oms_submit(&command, &cold_of(k, i)->book, &marked, i, k->now_ns))
        kernel_command_out(k, out, &command);
    else
        k->totals.orders_not_sent++;
}

static void await_answer(const struct kernel *k, struct cold *c) {
    c->asked_ts_ns = k->now_ns;
    c->answer_ns = k->now_ns + k->config.exits.entry_answer_ns_max;
}

static void submit_entry(struct kernel *k, struct kernel_out *out, uint32_t i, uint32_t attempt) {
    struct cold *c = cold_of(k, i);
    const struct oms_request request = {.leg = LEG_ENTRY,
                                        .side = (enum side)c->exits.intent.side,
                                        .order_type = ORDER_MARKET,
                                        .intent_id = c->exits.intent.intent_id,
                                        .attempt = attempt,
                                        .order_qty = c->entry_qty};
    kernel_submit(k, out, i, &request);
    await_answer(k, c);
}

static void ask_leverage(struct kernel *k, struct kernel_out *out, uint32_t i) {
    const struct venue_command command = {.kind = COMMAND_LEVERAGE_SET,
                                          .instrument_index = i,
                                          .leverage = cold_of(k, i)->exits.leverage,
                                          .ts_ns = k->now_ns};
    kernel_command_out(k, out, &command);
}

static void cancel_orders(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    for (uint32_t o = 0; o < OMS_ORDERS_MAX; o++) {
        struct oms_order *order = &c->book.orders[o];
        struct venue_command command;
        if (order->used && !order_state_is_terminal((enum order_state)order->state) &&
            oms_cancel(&command, order, i, k->now_ns))
            kernel_command_out(k, out, &command);
    }
}

static void tell_closed(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    struct event *e = kernel_emit(k, out, EVENT_TRADE_CLOSED);
    exits_trade(&e->u.trade_closed, &c->exits, ++k->next_trade_id);
    kernel_seal(k, e);
    k->totals.trades++;
    if (c->exits.protected_ts_ns == 0) k->totals.unprotected_ever++;
    c->last_close_ts_ns = k->now_ns;
    hot_of(k, i)->cooling = 1;
    kernel_engine_closed(k, &e->u.trade_closed);
    kernel_risk_closed(k, out, &e->u.trade_closed);
    k->recent[k->recent_next] = e->u.trade_closed;
    k->recent_next = (k->recent_next + 1) % RECENT_MAX;
    if (k->recent_count < RECENT_MAX) k->recent_count++;
}

/* A stop that is lost and stands again is told again; the trade's span is counted once. */
static void count_span(struct kernel *k, struct cold *c, int64_t span_ns) {
    if (c->span & SPAN_COUNTED) return;
    c->span |= SPAN_COUNTED;
    if (c->span & SPAN_INTERRUPTED) {
        hist_add(&k->totals.protected_interrupted, span_ns);
        return;
    }
    hist_add(&k->totals.time_to_protected, span_ns);
    uint32_t edge = 0;
    while (edge < VIEW_PROTECTED_EDGES && span_ns > view_protected_edges_ns[edge]) edge++;
    k->totals.protected_counts[edge]++;
}

static void tell_protected(struct kernel *k, struct kernel_out *out, uint32_t i) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    struct event *e = kernel_emit(k, out, EVENT_POSITION_PROTECTED);
    e->u.position_protected.intent_id = x->intent.intent_id;
    memcpy(e->u.position_protected.symbol, x->intent.symbol, SYMBOL_SIZE);
    e->u.position_protected.ts = k->now_ns;
    e->u.position_protected.time_to_protected = x->protected_ts_ns - x->entry_ts_ns;
    e->u.position_protected.stop_loss = x->stop_px;
    kernel_seal(k, e);
    count_span(k, cold_of(k, i), x->protected_ts_ns - x->entry_ts_ns);
}

void kernel_tell_alarm(struct kernel *k, struct kernel_out *out, uint32_t i, const char *reason,
                       int32_t code) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    struct event *e = kernel_emit(k, out, EVENT_POSITION_ALARM);
    e->u.position_alarm.intent_id = x->intent.intent_id;
    memcpy(e->u.position_alarm.symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    e->u.position_alarm.ts = k->now_ns;
    memcpy(e->u.position_alarm.reason, reason, strnlen(reason, TEXT_FIELD_SIZE - 1));
    e->u.position_alarm.code = code;
    kernel_seal(k, e);
    k->totals.alarms++;
}

/* Of the conditional orders a venue allows an account (-4045), two for every position there may be are kept for stops
 * and their replacements. */
enum { CONDITIONALS_MAX = 200, TARGETS_ALIVE_MAX = CONDITIONALS_MAX - 2 * OPEN_MAX };
enum { CODE_CONDITIONALS_MAX = -4045 };

static bool may_ask_target(const struct kernel *k) {
    uint32_t alive = 0;
    for (uint32_t j = 0; j < k->open_count; j++) {
        const struct oms_book *book = &cold_of(k, k->open[j])->book;
        for (uint32_t o = 0; o < OMS_ORDERS_MAX; o++)
            alive += book->orders[o].used &&
                     book->orders[o].order_type == ORDER_TAKE_PROFIT_MARKET &&
                     !order_state_is_terminal((enum order_state)book->orders[o].state);
    }
    return alive < TARGETS_ALIVE_MAX;
}

/* Not asked for: its part stays under the stop. */
static void target_not_sent(struct kernel *k, struct kernel_out *out, uint32_t i, uint32_t target) {
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    k->totals.targets_not_sent++;
    exits_take_ended(&actions, &cold_of(k, i)->exits, &context, target, false,
                     CODE_CONDITIONALS_MAX);
    kernel_act(k, out, i, &actions, 0);
}

/* closePosition where the exits name no quantity. */
static void submit_protective(struct kernel *k, struct kernel_out *out, uint32_t i,
                              const struct exits_action *action, struct oms_request *request) {
    bool stop = action->kind == EXITS_SUBMIT_STOP, market = action->px.e8 == 0;
    if (!stop && !market && !may_ask_target(k)) {
        target_not_sent(k, out, i, action->target);
        return;
    }
    request->leg = stop ? LEG_STOP : oms_target_leg(action->target);
    request->order_type = stop     ? ORDER_STOP_MARKET
                          : market ? ORDER_MARKET
                                   : ORDER_TAKE_PROFIT_MARKET;
    request->close_position = action->qty.e8 == 0;
    request->reduce_only = action->qty.e8 != 0;
    request->order_qty = action->qty;
    request->stop_px = action->px;
    kernel_submit(k, out, i, request);
}

static void cancel_stop(struct kernel *k, struct kernel_out *out, uint32_t i, uint32_t attempt) {
    struct cold *c = cold_of(k, i);
    struct oms_order *order =
        oms_live_attempt(&c->book, c->exits.intent.intent_id, LEG_STOP, attempt);
    struct venue_command command;
    if (order) {
        if (oms_cancel(&command, order, i, k->now_ns)) kernel_command_out(k, out, &command);
        return;
    }
    /* It was never sent, for want of a slot, or has ended already. */
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    exits_stop_ended(&actions, &c->exits, &context, attempt, 0);
    kernel_act(k, out, i, &actions, 0);
}

static void cancel_take(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct exits_action *action) {
    struct cold *c = cold_of(k, i);
    struct oms_order *order = oms_live_attempt(&c->book, c->exits.intent.intent_id,
                                               oms_target_leg(action->target), action->attempt);
    struct venue_command command;
    if (order && oms_cancel(&command, order, i, k->now_ns)) kernel_command_out(k, out, &command);
}

/* Asked after by asking to cancel it: whatever the venue says to that is evidence. */
static void ask_after_reduction(struct kernel *k, struct kernel_out *out, uint32_t i,
                                uint32_t attempt) {
    struct cold *c = cold_of(k, i);
    struct oms_order *order =
        oms_live_attempt(&c->book, c->exits.intent.intent_id, LEG_CLOSE, attempt);
    struct venue_command command;
    if (!order) { /* it was never sent, for want of a slot */
        struct exits_actions none;
        struct exits_context context = kernel_exits_context(k, i);
        exits_close_ended(&none, &c->exits, &context, attempt, 0);
        return;
    }
    if (order->state != ORDER_NEW && order->state != ORDER_PARTIALLY_FILLED)
        kernel_risk_unanswered(k, out, i);
    if (oms_ask(&command, order, i, k->now_ns)) kernel_command_out(k, out, &command);
}

void kernel_act(struct kernel *k, struct kernel_out *out, uint32_t i,
                const struct exits_actions *actions, int32_t code) {
    struct cold *c = cold_of(k, i);
    enum side exit_side = side_opposite((enum side)c->exits.side);
    for (uint32_t a = 0; a < actions->count; a++) {
        const struct exits_action *action = &actions->items[a];
        struct oms_request request = {
            .side = exit_side, .intent_id = c->exits.intent.intent_id, .attempt = action->attempt};
        switch (action->kind) {
        case EXITS_SUBMIT_STOP:
        case EXITS_SUBMIT_TAKE:
            submit_protective(k, out, i, action, &request);
            break;
        case EXITS_CANCEL_STOP:
            cancel_stop(k, out, i, action->attempt);
            break;
        case EXITS_CANCEL_TAKE:
            cancel_take(k, out, i, action);
            break;
        case EXITS_ASK_REDUCE:
            ask_after_reduction(k, out, i, action->attempt);
            break;
        case EXITS_SUBMIT_CLOSE:
        case EXITS_SUBMIT_REDUCE:
            request.leg = LEG_CLOSE;
            request.order_type = ORDER_MARKET;
            request.reduce_only = true;
            request.order_qty = action->qty;
            kernel_submit(k, out, i, &request);
            break;
        case EXITS_CANCEL_ORDERS:
            cancel_orders(k, out, i);
            break;
        case EXITS_TELL_PROTECTED:
            tell_protected(k, out, i);
            break;
        case EXITS_TELL_CLOSED:
            tell_closed(k, out, i);
            break;
        case EXITS_TELL_FAILED:
            /* The refusal is in the journal as the venue's own event. */
            kernel_engine_dropped(k, c->exits.intent.intent_id);
            kernel_risk_lost(k, out, i);
            break;
        case EXITS_ALARM:
            kernel_tell_alarm(k, out, i, "stop not confirmed", code);
            break;
        case EXITS_ACTION_COUNT:
            break;
        }
    }
}

struct exits_context kernel_exits_context(const struct kernel *k, uint32_t i) {
    return (struct exits_context){.now_ns = k->now_ns,
                                  .last_px = hot_of(k, i)->last_px,
                                  .instrument = instrument_of(k, i),
                                  .config = &k->config.exits};
}

static void free_slot(struct kernel *k, uint32_t i) {
    struct cold *c = cold_of(k, i);
    exits_orders_gone(&c->exits);
    c->waiting_leverage = 0;
    hot_of(k, i)->busy = 0;
    open_remove(k, i);
}

/* CLEANUP ends when no order of the symbol is live. */
static void finish_cleanup(struct kernel *k, uint32_t i) {
    struct cold *c = cold_of(k, i);
    if (c->exits.phase == EXITS_CLEANUP && !oms_has_live(&c->book)) free_slot(k, i);
}

/* ---- intents ---- */

static void deny(struct kernel *k, struct kernel_out *out, const struct trade_intent *intent,
                 enum risk_reason reason, double cost) {
    kernel_refuse(k, reason);
    k->totals.denied++;
    struct event *e = kernel_emit(k, out, EVENT_INTENT_DENIED);
    struct intent_denied *d = &e->u.intent_denied;
    d->intent_id = intent->intent_id;
    memcpy(d->symbol, intent->symbol, SYMBOL_SIZE);
    d->ts = k->now_ns;
    const char *text = risk_reason_text(reason);
    memcpy(d->reason, text, strnlen(text, TEXT_FIELD_SIZE - 1));
    d->edge = intent->edge;
    d->cost = cost;
    kernel_seal(k, e);
}

struct risk_state kernel_risk_state(const struct kernel *k, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    const struct cold *c = cold_of(k, i);
    money_t equity, exposure, margin;
    kernel_sum_up(k, &equity, &exposure, &margin);
    return (struct risk_state){
        .now_ns = k->now_ns,
        .last_px_ts_ns = h->last_ts_ns,
        .last_close_ts_ns = c->last_close_ts_ns,
        .emergency_stop = k->emergency_stop != 0,
        .closing = k->closing != 0,
        .breaker = breaker_word(breaker_of(k), i),
        .orders_working = oms_has_live(&c->book) || c->exits.phase != EXITS_FLAT,
        .positions_open = k->open_count,
        .position_qty = kernel_position_qty(k, i),
        .equity = equity,
        .available = {k->totals.wallet.e8 - margin.e8 - k->bound_elsewhere.e8},
        .exposure_total = exposure,
        .last_px = h->last_px,
        .half_spread = k->config.half_spread,
        .funding_rate = c->funding_rate,
        .interval_ns = k->config.interval_ns,
    };
}

static enum risk_reason intake_reason(enum oms_intake intake) {
    switch (intake) {
    case OMS_TAKEN:
        return RISK_ALLOW;
    case OMS_DUPLICATE:
        return RISK_DUPLICATE_INTENT;
    case OMS_STALE:
        return RISK_STALE_INTENT;
    case OMS_LEDGER_FULL:
        return RISK_LEDGER_FULL;
    }
    return RISK_INTENT_INVALID;
}

void kernel_intent(struct kernel *k, struct kernel_out *out, const struct trade_intent *intent,
                   int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    uint32_t i = intent->instrument_index;
    k->totals.delivered++;
    k->trace_hash = hash_chain(k->trace_hash, intent, sizeof *intent);
    if (i >= k->n || memcmp(intent->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE) != 0) {
        deny(k, out, intent, RISK_INTENT_INVALID, 0);
        return;
    }
    struct cold *c = cold_of(k, i);
    if (c->intent_pending && c->pending_id == intent->intent_id) kernel_intent_arrived(k, i);
    /* Told again of a trade under way, and denied for whatever reason, it says nothing of that trade. */
    bool is_known = c->exits.phase != EXITS_FLAT && c->exits.intent.intent_id == intent->intent_id;
    enum risk_reason reason = intake_reason(oms_intake(&c->book, intent, k->now_ns));
    is_known |= reason == RISK_DUPLICATE_INTENT;
    /* The ledger is asked in any case, so that what is denied now is not executed when it comes again. */
    if (k->emergency_stop)
        reason = RISK_EMERGENCY_STOP;
    else if (k->closing)
        reason = RISK_CLOSING;
    else if (breaker_word(breaker_of(k), i) != RISK_ALLOW)
        reason = breaker_word(breaker_of(k), i);
    struct risk_verdict verdict = {.reason = reason};
    if (reason == RISK_ALLOW) {
        struct risk_state state = kernel_risk_state(k, i);
        const struct risk_limits limits = kernel_limits(k);
        state.flash_crash = kernel_is_crash(k, i);
        risk_check(&verdict, &state, &limits, instrument_of(k, i), intent);
    }
    if (verdict.reason != RISK_ALLOW) {
        if (!is_known) kernel_engine_dropped(k, intent->intent_id);
        deny(k, out, intent, verdict.reason, verdict.cost);
        return;
    }
    k->totals.cost_gate_would_deny += verdict.cost_gate_would_deny;
    exits_enter(&c->exits, intent, verdict.leverage, verdict.cost);
    c->entry_qty = verdict.qty;
    hot_of(k, i)->busy = 1;
    kernel_open_add(k, i);
    kernel_risk_entered(k, out, i);
    if (c->leverage == verdict.leverage) {
        submit_entry(k, out, i, 0);
        return;
    }
    /* Leverage is read back from the venue before anything is bought with it. */
    c->waiting_leverage = 1;
    await_answer(k, c);
    ask_leverage(k, out, i);
}

/* ---- venue ---- */

static void count_reject(struct kernel *k, int32_t code) {
    struct kernel_totals *t = &k->totals;
    uint32_t j = 0;
    while (j < t->reject_codes && t->rejects[j].code != code) j++;
    if (j == t->reject_codes) {
        if (j == sizeof t->rejects / sizeof *t->rejects) return;
        t->rejects[t->reject_codes++].code = code;
    }
    t->rejects[j].count++;
}

void kernel_tell_opened(struct kernel *k, struct kernel_out *out, uint32_t i, px_t px, qty_t qty) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    struct event *e = kernel_emit(k, out, EVENT_TRADE_OPENED);
    struct trade_opened *t = &e->u.trade_opened;
    t->intent_id = x->intent.intent_id;
    memcpy(t->symbol, x->intent.symbol, SYMBOL_SIZE);
    t->ts = k->now_ns;
    t->side = x->side;
    t->leverage = x->leverage;
    t->entry_price = px;
    t->quantity = qty;
    t->stop_loss = x->stop_px;
    t->take_profit = x->take_px;
    kernel_seal(k, e);
    k->totals.positions++;
    cold_of(k, i)->span = breaker_of(k)->is_down ? SPAN_INTERRUPTED : 0;
}

static enum exit_reason reason_of_leg(const struct exits_state *x, enum oms_leg leg) {
    if (leg == LEG_STOP) return EXIT_STOP;
    if (oms_leg_target(leg) < OMS_TARGETS) return EXIT_TAKE_PROFIT;
    if (leg == LEG_CLOSE && x->exit_reason == EXIT_NONE) return EXIT_REBALANCE; /* of a part */
    return (enum exit_reason)x->exit_reason;
}

/* One fill, or a part of one, into the life of the symbol's position. */
void kernel_fold_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                      const struct venue_event *event, qty_t qty, bool money,
                      enum exit_reason reason) {
    struct cold *c = cold_of(k, i);
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    bool opening = c->exits.phase == EXITS_ENTERING;
    exits_fill(&actions, &c->exits, &context, (enum side)event->side, event->last_px, qty,
               money ? event->commission : money_e8(0), money ? event->realized_pnl : money_e8(0),
               reason);
    if (opening && c->exits.phase == EXITS_UNPROTECTED)
        kernel_tell_opened(k, out, i, event->last_px, qty);
    kernel_act(k, out, i, &actions, 0);
}

/* Whatever the trade under way still waits for, it is over: nothing of it is held. */
void kernel_end_life(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    c->waiting_leverage = 0;
    exits_entry_ended(&actions, &c->exits, &context);
    kernel_act(k, out, i, &actions, 0);
    cancel_orders(k, out, i);
}

/* An order of ours reached an end without filling the rest. */
static void on_ended(struct kernel *k, struct kernel_out *out, uint32_t i, enum oms_leg leg,
                     uint32_t attempt, int32_t code) {
    struct cold *c = cold_of(k, i);
    struct exits_actions actions = {0};
    struct exits_context context = kernel_exits_context(k, i);
    switch (leg) {
    case LEG_ENTRY:
        exits_entry_ended(&actions, &c->exits, &context);
        break;
    case LEG_STOP:
        exits_stop_ended(&actions, &c->exits, &context, attempt, code);
        break;
    case LEG_TAKE_PROFIT:
    case LEG_TAKE_PROFIT_2:
    case LEG_TAKE_PROFIT_3:
        exits_take_ended(&actions, &c->exits, &context, oms_leg_target(leg), false, code);
        break;
    case LEG_CLOSE:
        exits_close_ended(&actions, &c->exits, &context, attempt, code);
        break;
    case LEG_COUNT:
        break;
    }
    kernel_act(k, out, i, &actions, code);
}

/* Every gate was passed, and then the leverage was asked for: what has been said since holds for what is not sent. */
static enum risk_reason still_allowed(const struct kernel *k, uint32_t i, uint32_t leverage) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    if (k->emergency_stop) return RISK_EMERGENCY_STOP;
    if (k->closing || x->close_wanted != EXIT_NONE) return RISK_CLOSING;
    enum risk_reason word = breaker_word_still(breaker_of(k), i, x->intent.intent_id);
    return word != RISK_ALLOW                            ? word
           : leverage != x->leverage                     ? RISK_LEVERAGE
           : k->now_ns >= x->intent.expires              ? RISK_STALE_INTENT
           : hot_of(k, i)->trading != INSTRUMENT_TRADING ? RISK_SYMBOL_NOT_TRADING
                                                         : RISK_ALLOW;
}

/* It never reached the venue: the process died between the record and the wire, or the wire broke. Once more, while it is
 * wanted as it was: as another order, should anything of the first still come. */
static bool enter_again(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct oms_order *order, enum order_state before,
                        const struct venue_event *event) {
    const struct cold *c = cold_of(k, i);
    if (order->leg != LEG_ENTRY || order->attempt > 0 || c->exits.phase != EXITS_ENTERING)
        return false;
    if (event->code != NEVER_PLACED || (before != ORDER_PENDING_NEW && before != ORDER_UNKNOWN))
        return false;
    if (k->now_ns >= c->asked_ts_ns + k->config.exits.entry_unknown_ns_max) return false;
    if (still_allowed(k, i, c->leverage) != RISK_ALLOW) return false;
    submit_entry(k, out, i, order->attempt + 1);
    return true;
}

/* What an order of the trade under way tells its exits. */
static void on_order_of_trade(struct kernel *k, struct kernel_out *out, uint32_t i,
                              const struct venue_event *event, const struct oms_order *order,
                              const struct oms_update *update) {
    struct cold *c = cold_of(k, i);
    enum oms_leg leg = (enum oms_leg)order->leg;
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    if (update->after == ORDER_FILLED &&
        oms_leg_target(leg) < OMS_TARGETS) /* before the last fill ends it */
        exits_take_ended(&actions, &c->exits, &context, oms_leg_target(leg), true, 0);
    if (event->kind == VENUE_ORDER_TRADE)
        kernel_fill(k, out, i, event, reason_of_leg(&c->exits, leg), FILL_OF_TRADE);
    if (c->exits.intent.intent_id != order->intent_id) return; /* its fill began another life */
    if (event->kind == VENUE_ORDER_ACCEPTED && leg == LEG_STOP &&
        update->after != ORDER_PENDING_CANCEL) {
        const struct exits_stop stop = {
            .px = order->stop_px, .qty = order->order_qty, .attempt = order->attempt};
        exits_stop_confirmed(&actions, &c->exits, &context, &stop);
        kernel_act(k, out, i, &actions, 0);
    }
    if (order_state_is_terminal(update->after) && !order_state_is_terminal(update->before) &&
        !enter_again(k, out, i, order, update->before, event))
        on_ended(k, out, i, leg, order->attempt, update->after == ORDER_FILLED ? 0 : event->code);
}

static void on_order(struct kernel *k, struct kernel_out *out, uint32_t i,
                     const struct venue_event *event) {
    struct cold *c = cold_of(k, i);
    struct oms_update update;
    bool fill = event->kind == VENUE_ORDER_TRADE;
    if (event->client_order_id[0] == '\0') {
        /* Without an id of ours it is the venue's own doing: settlement of a dead contract. */
        if (fill) kernel_strange_fill(k, out, i, event, EXIT_END_OF_DATA, FILL_OF_VENUE);
        return;
    }
    const struct oms_book before = {.illegal_events = c->book.illegal_events,
                                    .unknown_orders = c->book.unknown_orders,
                                    .duplicate_fills = c->book.duplicate_fills};
    oms_apply(&update, &c->book, event);
    k->totals.illegal_events += c->book.illegal_events - before.illegal_events;
    k->totals.unknown_orders += c->book.unknown_orders - before.unknown_orders;
    k->totals.duplicate_fills += c->book.duplicate_fills - before.duplicate_fills;
    if (!update.order) {
        enum kernel_owner owner = kernel_order_owner(k, event->client_order_id);
        if (fill)
            kernel_strange_fill(k, out, i, event, EXIT_OPERATOR,
                                owner == KERNEL_OWNER_RUN ? FILL_OURS_LATE : FILL_FOREIGN);
        if (fill && owner == KERNEL_OWNER_OTHER_RUN)
            kernel_other_run(k, out, i, event->client_order_id);
        return;
    }
    if (!update.applied) return;
    /* Slots are used again as soon as what is done about this asks for more. */
    const struct oms_order order = *update.order;
    if (order.intent_id != 0 && order.intent_id == c->exits.intent.intent_id)
        on_order_of_trade(k, out, i, event, &order, &update);
    else if (fill)
        kernel_fill(k, out, i, event, reason_of_leg(&c->exits, (enum oms_leg)order.leg),
                    FILL_OURS_LATE);
    if (event->kind == VENUE_CANCEL_REJECTED && update.after == ORDER_UNKNOWN) {
        /* Nothing to cancel, yet no word of its end: asking once more turns the answer into evidence. */
        struct venue_command command;
        if (oms_cancel(&command, update.order, i, k->now_ns)) kernel_command_out(k, out, &command);
    }
}

static void on_leverage(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct venue_event *event) {
    struct cold *c = cold_of(k, i);
    c->leverage = event->leverage;
    if (!c->waiting_leverage) return;
    /* What stood before, or somebody else's wish: ours is still under way, and asked for again if it is not. */
    if (event->code == 0 && event->leverage != c->exits.leverage) return;
    c->waiting_leverage = 0;
    enum risk_reason reason = still_allowed(k, i, event->leverage);
    if (reason == RISK_ALLOW) {
        submit_entry(k, out, i, 0);
        return;
    }
    const struct trade_intent intent = c->exits.intent;
    on_ended(k, out, i, LEG_ENTRY, 0, 0);
    deny(k, out, &intent, reason, 0);
}

void kernel_venue(struct kernel *k, struct kernel_out *out, const struct venue_event *event,
                  int64_t recv_ts_ns) {
    uint32_t i = event->instrument_index;
    ASSERT(i < k->n);
    if (recv_ts_ns > k->now_ns) k->now_ns = recv_ts_ns;
    k->trace_hash = hash_chain(k->trace_hash, event, sizeof *event);
    struct cold *c = cold_of(k, i);
    bool was_flat = kernel_position_qty(k, i).e8 == 0;
    kernel_risk_evidence(k, out, event);
    switch ((enum venue_event_kind)event->kind) {
    case VENUE_LEVERAGE_SET:
        on_leverage(k, out, i, event);
        break;
    case VENUE_FUNDING:
        if (event->ts_event_ns <= c->last_funding_ts_ns + FUNDING_SAME_NS)
            break; /* booked already */
        c->last_funding_ts_ns = event->ts_event_ns;
        kernel_book_money(k, event);
        c->funding_rate = event->funding_rate;
        exits_funding(&c->exits, event->funding);
        break;
    case VENUE_LIQUIDATION:
        kernel_strange_fill(k, out, i, event, EXIT_LIQUIDATION, FILL_OF_VENUE);
        break;
    case VENUE_ORDER_REJECTED:
        count_reject(k, event->code);
        if (c->waiting_leverage && event->client_order_id[0] == '\0') {
            c->waiting_leverage = 0;
            on_ended(k, out, i, LEG_ENTRY, 0, event->code);
            break;
        }
        on_order(k, out, i, event);
        break;
    case VENUE_ORDER_ACCEPTED:
    case VENUE_ORDER_TRIGGERED:
    case VENUE_ORDER_TRADE:
    case VENUE_ORDER_CANCELED:
    case VENUE_ORDER_EXPIRED:
    case VENUE_CANCEL_REJECTED:
        on_order(k, out, i, event);
        break;
    case VENUE_POSITION:
        c->position_told_ns = event->ts_event_ns;
        kernel_position_told(k, out, i, event);
        break;
    case VENUE_BALANCE:
        kernel_book_money(k, event);
        kernel_balance_told(k, event);
        break;
    case VENUE_ORDER_FOUND: {
        struct venue_event accepted = *event;
        accepted.kind = VENUE_ORDER_ACCEPTED;
        if (!kernel_order_found(k, out, i, event)) on_order(k, out, i, &accepted);
        break;
    }
    }
    if (was_flat && kernel_position_qty(k, i).e8 != 0) c->opened_ts_ns = event->ts_event_ns;
    if (c->has_found) kernel_found_settle(k, out, i);
    finish_cleanup(k, i);
    kernel_take_waiting(k, out);
}

/* ---- prices, time and orders from above ---- */

void kernel_extreme(struct kernel *k, struct kernel_out *out, uint32_t i, px_t low, px_t high,
                    int64_t since_ns, int64_t now_ns) {
    ASSERT(i < k->n);
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    struct cold *c = cold_of(k, i);
    if (c->exits.position_qty.e8 == 0) return;
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    exits_price(&actions, &c->exits, &context, low, high, since_ns);
    kernel_act(k, out, i, &actions, 0);
}

static int64_t deadline_of(const struct cold *c) {
    if (c->exits.phase == EXITS_ENTERING && c->answer_ns) return c->answer_ns;
    return exits_deadline(&c->exits);
}

int64_t kernel_deadline(const struct kernel *k) {
    int64_t deadline = kernel_risk_deadline(k);
    for (uint32_t j = 0; j < k->open_count; j++) {
        int64_t d = deadline_of(cold_of(k, k->open[j]));
        if (d < deadline) deadline = d;
    }
    return deadline;
}

/* The leverage may be in force or not: it is asked for again before the next entry. */
static void give_up_leverage(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    const struct trade_intent intent = c->exits.intent;
    c->leverage = 0;
    kernel_end_life(k, out, i);
    deny(k, out, &intent, RISK_LEVERAGE, 0);
    finish_cleanup(k, i);
}

/* Nobody can say whether it was placed. Its wish is over and its slot free; the order stays in the book, so that no
 * other is entered beside it, and a fill of it would be known, booked and closed. */
static void quarantine_entry(struct kernel *k, struct kernel_out *out, uint32_t i) {
    k->totals.entries_quarantined++;
    kernel_tell_alarm(k, out, i, "entry not answered", 0);
    kernel_end_life(k, out, i);
    free_slot(k, i);
}

/* ENTERING, and what was asked for has not been answered in time. */
static void ask_after_entry(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    int64_t give_up = c->asked_ts_ns + k->config.exits.entry_unknown_ns_max;
    int64_t again = k->now_ns + (k->now_ns - c->asked_ts_ns); /* ever more seldom */
    bool over = k->now_ns >= give_up;
    c->answer_ns = again < give_up ? again : give_up;
    if (c->waiting_leverage) {
        kernel_risk_unanswered(k, out, i);
        if (over || k->now_ns >= c->exits.intent.expires)
            give_up_leverage(k, out, i);
        else
            ask_leverage(k, out, i);
        return;
    }
    struct oms_order *order = oms_live(&c->book, c->exits.intent.intent_id, LEG_ENTRY);
    struct venue_command command;
    if (order && order->state != ORDER_NEW) kernel_risk_unanswered(k, out, i);
    if (!order) { /* it was never sent, for want of a slot */
        kernel_end_life(k, out, i);
        finish_cleanup(k, i);
    } else if (order->state == ORDER_NEW) {
        c->answer_ns = 0; /* the venue has it, and will say what becomes of it */
    } else if (over) {
        quarantine_entry(k, out, i);
    } else if (oms_ask(&command, order, i, k->now_ns)) {
        kernel_command_out(k, out, &command);
    }
}

/* What the exits' deadline is about, NULL none. */
static struct oms_order *awaited(struct cold *c) {
    const struct exits_state *x = &c->exits;
    if (exits_awaits_stop(x))
        return oms_live_attempt(&c->book, x->intent.intent_id, LEG_STOP, exits_awaited_stop(x));
    if (x->phase != EXITS_CLOSING) return NULL;
    struct oms_order *order = oms_live(&c->book, x->intent.intent_id, LEG_CLOSE);
    bool is_part = order && x->reduction.qty.e8 != 0 && order->attempt == x->reduction.attempt;
    return is_part
               ? oms_live_attempt(&c->book, x->intent.intent_id, LEG_CLOSE, x->close_attempts - 1)
               : order;
}

void kernel_time(struct kernel *k, struct kernel_out *out, int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    for (uint32_t j = 0; j < k->open_count; j++) {
        uint32_t i = k->open[j];
        struct cold *c = cold_of(k, i);
        if (deadline_of(c) > k->now_ns) continue;
        if (c->exits.phase == EXITS_ENTERING) {
            uint32_t count = k->open_count;
            ask_after_entry(k, out, i);
            j -= count - k->open_count; /* the next one has moved up */
            continue;
        }
        struct oms_order *waiting = c->exits.deadline_ns <= k->now_ns ? awaited(c) : NULL;
        if (waiting && oms_timeout(waiting)) kernel_risk_unanswered(k, out, i);
        struct exits_actions actions;
        struct exits_context context = kernel_exits_context(k, i);
        exits_time(&actions, &c->exits, &context);
        kernel_act(k, out, i, &actions, 0);
    }
    kernel_risk_look(k, out);
}

void kernel_close_all(struct kernel *k, struct kernel_out *out, enum exit_reason reason) {
    for (uint32_t j = 0; j < k->open_count; j++) {
        uint32_t i = k->open[j];
        struct exits_actions actions;
        struct exits_context context = kernel_exits_context(k, i);
        exits_close(&actions, &cold_of(k, i)->exits, &context, reason);
        kernel_act(k, out, i, &actions, 0);
    }
}

void kernel_flatten(struct kernel *k, struct kernel_out *out, enum exit_reason reason,
                    int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    k->closing = 1;
    kernel_close_all(k, out, reason);
}
