/* What the rest of the process may see. */
#include <string.h>

#include "kernel/kernel_internal.h"

/* A voter without skill has answered all the same: the symbol is warm. */
static bool has_answer(const struct model_vote *votes) {
    for (uint32_t m = 0; m < MODEL_COUNT; m++)
        if (votes[m].state == VOTE_NO_SKILL) return true;
    return false;
}

/* Stop and targets as they would be at the last price; the size alone where it was allowed. */
static void view_decision_fill(struct view_symbol *v, const struct engine_decision *d, px_t last_px,
                               money_t equity) {
    v->decision = (struct view_decision){.reason = d->reason,
                                         .portfolio_reason = d->verdict.reason,
                                         .sizing_reason = d->sizing.reason,
                                         .action = d->action,
                                         .leverage = d->leverage,
                                         .arm = d->strategy.arm,
                                         .has_interval = d->has_interval,
                                         .was_decided = d->ts_ns != 0,
                                         .regime = d->regime,
                                         .fraction = d->fraction,
                                         .trust = d->trust,
                                         .expected_return = d->expected_return,
                                         .interval_low = d->interval.low,
                                         .interval_high = d->interval.high,
                                         .cost = d->cost,
                                         .edge_gross = d->edge_gross,
                                         .edge_net = d->edge_net,
                                         .edge_se = d->edge_se,
                                         .stop_distance = d->stop_distance,
                                         .multiplier = d->choice.multiplier};
    memcpy(v->decision.states, d->states, sizeof v->decision.states);
    memcpy(v->decision.take_distance, d->take_distance, sizeof v->decision.take_distance);
    v->leverage = d->leverage;
    v->position_size = money_e8(fx_from_f64(fx_to_f64(equity.e8) * d->fraction));
    if (!(d->stop_distance > 0) || last_px.e8 <= 0) return;
    double sign = d->signal.action == LABEL_BUY ? 1 : -1, px = px_to_f64(last_px);
    v->stop_loss = px_e8(fx_from_f64(px * (1 - sign * d->stop_distance)));
    v->take_profit = px_e8(fx_from_f64(px * (1 + sign * d->take_distance[0])));
}

/* A rule's answer is made on demand, from the same function the bot asks. */
static void view_rule_fill(const struct kernel *k, struct view_symbol *v, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    struct bot_input input = kernel_bot_input(k, i);
    enum side side = h->next_open_ts_ns ? bot_rule_side(&k->config.bot, &input) : SIDE_NONE;
    v->warm = h->next_open_ts_ns != 0 &&
              (k->config.bot.strategy != STRATEGY_SMA_CROSS || h->ring_count >= SMA_SLOW) &&
              (k->config.bot.strategy != STRATEGY_MOMENTUM || h->day_ago_px.e8 > 0);
    v->signal.action = side == SIDE_BUY ? LABEL_BUY : side == SIDE_SELL ? LABEL_SELL : LABEL_HOLD;
    v->signal_ts_ns = h->next_open_ts_ns;
    v->signal_expires_ns = h->next_open_ts_ns + k->config.bot.intent_ttl_ns;
    struct trade_intent intent;
    if (v->warm && bot_decide(&intent, &k->config.bot, &input, instrument_of(k, i)) == BOT_INTENT) {
        v->signal.confidence = intent.confidence;
        v->stop_loss = intent.stop_loss;
        v->take_profit = intent.take_profit;
        v->position_size = intent.position_size_usd;
        if (!v->signal_id) v->signal_id = intent.intent_id;
    }
}

static void view_symbol_fill(const struct kernel *k, struct view_symbol *v, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    const struct cold *c = cold_of(k, i);
    memset(v, 0, sizeof *v);
    memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    v->last_px = v->mark_px = h->last_px;
    v->bar_ts_ns = h->next_open_ts_ns;
    v->status = h->trading;
    v->circuit = breaker_of(k)->symbols[i].state;
    v->circuit_cause = breaker_of(k)->symbols[i].cause;
    v->circuit_until_ns = breaker_of(k)->symbols[i].until_ns;
    v->strategy = k->config.bot.strategy;
    v->leverage = k->config.bot.leverage;
    v->signal = c->signal;
    memcpy(v->votes, c->votes, sizeof v->votes);
    v->signal_id = c->signal_id;
    v->signal_ts_ns = c->signal_ts_ns;
    v->signal_expires_ns = c->signal_ts_ns + k->config.bot.intent_ttl_ns;
    v->decision.action = LABEL_HOLD;
    v->decision.arm = STRATEGY_NONE;
    if (has_engine(k)) {
        v->warm = c->signal.voters > 0 || has_answer(c->votes);
        view_decision_fill(v, decision_of(k, i), h->last_px, k->totals.equity);
        memcpy(v->row, row_of(k, i), sizeof v->row);
    } else {
        view_rule_fill(k, v, i);
    }
}

static void view_position_fill(const struct kernel *k, struct view *out, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    for (uint32_t o = 0; o < OMS_ORDERS_MAX && out->order_count < VIEW_ORDERS_MAX; o++) {
        const struct oms_order *order = &c->book.orders[o];
        if (!order->used || order_state_is_terminal((enum order_state)order->state)) continue;
        struct view_order *v = &out->open_orders[out->order_count++];
        *v = (struct view_order){.side = order->side,
                                 .order_type = order->order_type,
                                 .state = order->state,
                                 .reduce_only =
                                     (uint32_t)(order->reduce_only || order->close_position),
                                 .limit_px = order->limit_px,
                                 .stop_px = order->stop_px,
                                 .order_qty = order->order_qty,
                                 .cum_qty = order->cum_qty,
                                 .ts_ns = order->submitted_ts_ns};
        memcpy(v->client_order_id, order->client_order_id, CLIENT_ORDER_ID_SIZE);
        memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    }
    if (c->exits.position_qty.e8 == 0 || out->position_count == VIEW_POSITIONS_MAX) return;
    struct view_position *v = &out->positions[out->position_count++];
    *v = (struct view_position){.instrument_index = i,
                                .side = c->exits.side,
                                .leverage = c->exits.leverage,
                                .protected_ = c->exits.phase == EXITS_PROTECTED,
                                .qty = c->exits.position_qty,
                                .entry_px = {fx_muldiv_half_even(c->exits.entered_cost.e8, FX_ONE,
                                                                 c->exits.entered_qty.e8)},
                                .mark_px = hot_of(k, i)->last_px,
                                .stop_px = c->exits.stop_px,
                                .take_profit_px = c->exits.take_px,
                                .unrealized_pnl = kernel_unrealized(k, i),
                                .fees = c->exits.fees,
                                .funding = c->exits.funding,
                                .entry_ts_ns = c->exits.entry_ts_ns};
    memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    kernel_exits_view(k, v, i);
}

static void view_reason_add(struct view *out, const char *text, uint64_t count) {
    if (count == 0 || out->reason_count == VIEW_REASONS_MAX) return;
    struct view_reason *v = &out->reasons[out->reason_count++];
    memset(v, 0, sizeof *v);
    memcpy(v->reason, text, strnlen(text, VIEW_REASON_SIZE - 1));
    v->count = count;
}

static void view_totals_fill(const struct kernel_totals *t, struct view *out) {
    out->bars = t->bars;
    out->signals = t->signals;
    out->intents = t->intents;
    out->orders = t->orders;
    out->fills = t->fills;
    out->trades = t->trades;
    out->intents_denied = t->denied;
    out->reductions = t->reductions;
    out->venue_rejects = 0;
    static_assert(VIEW_REJECTS_MAX * sizeof *t->rejects == sizeof t->rejects, "as many codes");
    out->reject_count = t->reject_codes;
    for (uint32_t j = 0; j < t->reject_codes; j++) {
        out->rejects[j] =
            (struct view_reject){.code = t->rejects[j].code, .count = t->rejects[j].count};
        out->venue_rejects += t->rejects[j].count;
    }
#define VIEW_INCIDENT_COPY(member, name) out->incidents.member = t->member;
    VIEW_INCIDENT_TABLE(VIEW_INCIDENT_COPY)
#undef VIEW_INCIDENT_COPY
    out->wallet_start = t->wallet_start;
    out->wallet = t->wallet;
    out->equity = t->equity;
    out->realized_pnl = t->realized_pnl;
    out->fees = t->fees;
    out->funding = t->funding;
    out->drawdown_max = t->drawdown_money_max;
    out->positions_unprotected_ever = t->unprotected_ever;
    out->time_to_protected_ns_p50 = hist_quantile(&t->time_to_protected, 0.50);
    out->time_to_protected_ns_p99 = hist_quantile(&t->time_to_protected, 0.99);
    out->time_to_protected_ns_max = t->time_to_protected.count ? t->time_to_protected.max : 0;
    memcpy(out->protected_counts, t->protected_counts, sizeof out->protected_counts);
    out->protected_ns_sum = t->time_to_protected.sum;
    out->protected_interrupted = t->protected_interrupted.count;
    out->protected_interrupted_ns_max = t->protected_interrupted.max;
    out->reason_count = 0;
    for (uint32_t r = 1; r < RISK_REASON_COUNT; r++)
        view_reason_add(out, risk_reason_text((enum risk_reason)r), t->refusals[r]);
    /* Of the engine those that kept a signal from becoming an intent; what it may not enter stands above by its cause. */
    for (uint32_t r = ENGINE_ATR_UNKNOWN; r < ENGINE_REASON_COUNT; r++)
        if (r != ENGINE_ENTRY_BARRED)
            view_reason_add(out, engine_reason_text((enum engine_reason)r), t->decisions[r]);
}

static_assert(sizeof((struct view_risk *)0)->trips == sizeof((struct breaker *)0)->trips,
              "a place for each trigger");

static void view_risk_fill(const struct kernel *k, struct view_risk *out) {
    const struct breaker *b = breaker_of(k);
    const struct risk_limits limits = kernel_limits(k);
    *out = (struct view_risk){.emergency_stop = k->emergency_stop,
                              .closing = k->closing,
                              .mode = b->mode,
                              .tripped = b->tripped,
                              .circuit = b->all.state,
                              .cause = b->all.cause,
                              .failures = b->all.failures,
                              .is_down = b->is_down,
                              .symbols_open = b->not_closed,
                              .positions_max = limits.positions_max,
                              .leverage_max = limits.leverage_max,
                              .until_ns = b->all.until_ns,
                              .opened = b->all.opened,
                              .downs = b->downs,
                              .live_orders = kernel_live_orders(k, NULL, 0),
                              .day_result = breaker_day_result(b),
                              .fall = breaker_fall(b),
                              .confidence_min = limits.confidence_min,
                              .risk_per_trade = limits.risk_per_trade,
                              .exposure_total_max = limits.exposure_total_max,
                              .notional_symbol_max = limits.notional_symbol_max};
    memcpy(out->trips, b->trips, sizeof out->trips);
    for (uint32_t i = 0; i < k->n; i++) {
        out->symbols_opened += b->symbols[i].opened;
        out->symbols_halted += b->symbols[i].state == BREAKER_HALTED;
    }
}

static void view_exit_brain_fill(const struct kernel *k, struct view_exit_brain *out) {
    *out = (struct view_exit_brain){.is_on = has_exit_brain(k)};
    if (!out->is_on) return;
    const struct exitbrain *b = exitbrain_of(k);
    out->entries = b->entries;
    out->left_out = b->left_out;
    out->moments = b->moments_done;
    memcpy(out->chosen, k->totals.exit_profiles, sizeof out->chosen);
    memcpy(out->advice, k->totals.exit_advice, sizeof out->advice);
    out->stops_nearer = k->totals.exit_stops_nearer;
    for (uint32_t p = 0; p < PROFILE_COUNT; p++)
        (void)exitbrain_look(&out->profiles[p], b, EXITBRAIN_GROUPS, (enum exit_profile)p);
}

void kernel_view(const struct kernel *k, struct view *out) {
    out->mode = (uint32_t)k->config.mode;
    out->strategy = k->config.bot.strategy;
    out->synthetic = k->config.synthetic;
    out->market_ts_ns = k->now_ns;
    out->symbol_count = k->n;
    out->position_count = out->order_count = out->trade_count = out->warming = 0;
    out->positions_unprotected_now = kernel_unprotected_count(k);
    for (uint32_t i = 0; i < k->n; i++) {
        view_symbol_fill(k, &out->symbols[i], i);
        out->warming += !out->symbols[i].warm;
    }
    for (uint32_t j = 0; j < k->open_count; j++) view_position_fill(k, out, k->open[j]);
    for (uint32_t j = 0; j < k->recent_count; j++)
        out->recent[out->trade_count++] =
            k->recent[(k->recent_next + RECENT_MAX - k->recent_count + j) % RECENT_MAX];
    out->equity_count = k->curve_count;
    memcpy(out->equity_curve, k->curve, sizeof(struct view_equity) * k->curve_count);
    view_totals_fill(&k->totals, out);
    view_risk_fill(k, &out->risk);
    view_exit_brain_fill(k, &out->exit_brain);
    out->has_engine = has_engine(k);
    memset(&out->engine, 0, sizeof out->engine);
    memset(&out->memory, 0, sizeof out->memory);
    memset(&out->retrain, 0, sizeof out->retrain); /* whoever retrains fills it */
    memset(&out->counts, 0, sizeof out->counts); /* whoever asks the engine has seen its answers */
    memset(&out->learned, 0, sizeof out->learned);
    if (!has_engine(k)) return;
    engine_view_get(&out->engine, engine_of(k));
    engine_feedback(&out->memory, engine_of(k), k->now_ns);
    view_learned_get(&out->learned, engine_of(k));
}
