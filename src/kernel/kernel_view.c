/* What the rest of the process may see. */
#include <string.h>

#include "kernel/kernel_internal.h"

/* A voter without skill has answered all the same: the symbol is warm. */
static bool has_answer(const struct model_vote *votes) {
    for (uint32_t m = 0; m < MODEL_COUNT; m++)
        if (votes[m].state == VOTE_NO_SKILL) return true;
    return false;
}

static void view_symbol_fill(const struct kernel *k, struct view_symbol *v, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    const struct cold *c = cold_of(k, i);
    memset(v, 0, sizeof *v);
    memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    v->last_px = v->mark_px = h->last_px;
    v->bar_ts_ns = h->next_open_ts_ns;
    v->status = h->trading;
    v->strategy = k->config.bot.strategy;
    v->leverage = k->config.bot.leverage;
    v->signal = c->signal;
    memcpy(v->votes, c->votes, sizeof v->votes);
    v->signal_id = c->signal_id;
    v->signal_ts_ns = c->signal_ts_ns;
    v->signal_expires_ns = c->signal_ts_ns + k->config.bot.intent_ttl_ns;
    struct bot_input input = kernel_bot_input(k, i);
    if (k->config.bot.strategy == STRATEGY_ENSEMBLE) {
        v->warm = c->signal.voters > 0 || has_answer(c->votes);
    } else {
        /* A rule's answer is made on demand, from the same function the bot asks. */
        enum side side = h->next_open_ts_ns ? bot_rule_side(&k->config.bot, &input) : SIDE_NONE;
        v->warm = h->next_open_ts_ns != 0 &&
                  (k->config.bot.strategy != STRATEGY_SMA_CROSS || h->ring_count >= SMA_SLOW) &&
                  (k->config.bot.strategy != STRATEGY_MOMENTUM || h->day_ago_px.e8 > 0);
        v->signal.action = side == SIDE_BUY    ? LABEL_BUY
                           : side == SIDE_SELL ? LABEL_SELL
                                               : LABEL_HOLD;
        v->signal_ts_ns = h->next_open_ts_ns;
        v->signal_expires_ns = h->next_open_ts_ns + k->config.bot.intent_ttl_ns;
    }
    struct trade_intent intent;
    if (v->warm && bot_decide(&intent, &k->config.bot, &input, instrument_of(k, i)) == BOT_INTENT) {
        v->signal.confidence = intent.confidence;
        v->stop_loss = intent.stop_loss;
        v->take_profit = intent.take_profit;
        v->position_size = intent.position_size_usd;
        if (!v->signal_id) v->signal_id = intent.intent_id;
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
}

static void view_totals_fill(const struct kernel_totals *t, struct view *out) {
    out->bars = t->bars;
    out->signals = t->signals;
    out->intents = t->intents;
    out->orders = t->orders;
    out->fills = t->fills;
    out->trades = t->trades;
    out->intents_denied = t->denied;
    out->venue_rejects = 0;
    for (uint32_t j = 0; j < t->reject_codes; j++) out->venue_rejects += t->rejects[j].count;
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
    out->reason_count = 0;
    for (uint32_t r = 1; r < RISK_REASON_COUNT && out->reason_count < VIEW_REASONS_MAX; r++) {
        if (!t->refusals[r]) continue;
        struct view_reason *v = &out->reasons[out->reason_count++];
        memset(v, 0, sizeof *v);
        const char *text = risk_reason_text((enum risk_reason)r);
        memcpy(v->reason, text, strnlen(text, VIEW_REASON_SIZE - 1));
        v->count = t->refusals[r];
    }
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
}
