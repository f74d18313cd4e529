/* The AI engine's place in the kernel: what it is shown, what it is asked, what it is told of the outcome. */
#include <math.h>
#include <string.h>

#include "kernel/kernel_internal.h"

void kernel_engine_init(struct kernel *k, const struct kernel_config *config) {
    char names[INSTRUMENTS_MAX][SYMBOL_SIZE];
    for (uint32_t i = 0; i < k->n; i++) {
        memcpy(names[i], config->instruments[i].symbol, SYMBOL_SIZE);
        decision_of(k, i)->reason = ENGINE_NO_BAR;
        decision_of(k, i)->action = decision_of(k, i)->signal.action = LABEL_HOLD;
        decision_of(k, i)->strategy.arm = STRATEGY_NONE;
    }
    struct err err = {0};
    enum status st = engine_init(engine_of(k), &config->engine, (const char(*)[SYMBOL_SIZE])names,
                                 k->n, config->residuals, &err);
    ASSERT(st == ST_OK);
}

const struct engine *kernel_engine(const struct kernel *k) {
    return has_engine(k) ? engine_of(k) : NULL;
}

/* ---- what has changed ---- */

static void copy_text(char out[TEXT_FIELD_SIZE], const char *text) {
    memset(out, 0, TEXT_FIELD_SIZE);
    memcpy(out, text, strnlen(text, TEXT_FIELD_SIZE - 1));
}

static void fill_weights(struct engine_changed *c, const struct governance_change *g,
                         const struct engine *e) {
    double weights[MODEL_COUNT];
    governance_weights(weights, &e->governance);
    copy_text(c->reason, governance_reason_text((enum governance_reason)g->reason));
    bool one = g->model < MODEL_COUNT;
    c->before = one ? g->before[g->model] : (double)NAN;
    c->after = one ? g->after[g->model] : (double)NAN;
    c->weight_xgboost = weights[MODEL_XGBOOST];
    c->weight_lightgbm = weights[MODEL_LIGHTGBM];
    c->weight_nhits = weights[MODEL_NHITS];
    c->weight_patchtst = weights[MODEL_PATCHTST];
    c->score_before = g->hindsight_outcomes ? g->hindsight_before : (double)NAN;
    c->score_after = g->hindsight_outcomes ? g->hindsight_after : (double)NAN;
}

static void fill_level(struct engine_changed *c, const struct supervisor_event *s) {
    /* The lowest new reason, else the lowest that is gone. */
    uint32_t fresh = s->reasons & ~s->reasons_before, bits = fresh ? fresh : s->reasons;
    copy_text(c->reason, bits ? supervisor_reason_text(bits & (~bits + 1)) : "recovered");
    c->before = supervisor_factor((enum supervisor_level)s->from);
    c->after = supervisor_factor((enum supervisor_level)s->to);
    c->weight_xgboost = c->weight_lightgbm = c->weight_nhits = c->weight_patchtst = (double)NAN;
    c->score_before = s->loss_limit;
    c->score_after = s->loss_recent;
}

static void tell_policy(struct kernel *k, struct kernel_out *out, const struct strategy_review *r) {
    struct event *e = kernel_emit(k, out, EVENT_STRATEGY_CHANGED);
    struct strategy_changed *c = &e->u.strategy_changed;
    const struct strategy_evaluation *j = &r->judged;
    bool better = r->why == STRATEGY_BETTER;
    c->ts = r->ts_ns;
    copy_text(c->before, strategy_policy_text((enum strategy_policy_id)r->from));
    copy_text(c->after, strategy_policy_text((enum strategy_policy_id)r->to));
    copy_text(c->reason, strategy_why_text((enum strategy_why)r->why));
    c->worth_before = r->before.value;
    c->worth_after = better ? j->value : (double)NAN;
    c->gain = better ? j->gain : (double)NAN;
    c->gain_low = better ? j->gain_low : (double)NAN;
    c->gain_high = better ? j->gain_high : (double)NAN;
    c->p_value = better ? j->p_value : (double)NAN;
    c->level = better ? j->level : (double)NAN;
    c->effective = j->effective;
    c->promised = r->promised;
    c->rows = j->rows;
    c->review = r->review;
    kernel_seal(k, e);
}

static void tell_changes(struct kernel *k, struct kernel_out *out,
                         const struct engine_events *events) {
    for (uint32_t j = 0; j < events->count; j++) {
        const struct engine_event *from = &events->items[j];
        if (from->kind == ENGINE_POLICY) {
            tell_policy(k, out, &from->policy);
            continue;
        }
        struct event *e = kernel_emit(k, out, EVENT_ENGINE_CHANGED);
        struct engine_changed *c = &e->u.engine_changed;
        c->ts = from->ts_ns;
        copy_text(c->change, engine_event_text((enum engine_event_kind)from->kind));
        copy_text(c->model, from->model < MODEL_COUNT
                                ? model_kind_text((enum model_kind)from->model)
                                : "all");
        if (from->kind == ENGINE_WEIGHTS)
            fill_weights(c, &from->weights, engine_of(k));
        else
            fill_level(c, &from->level);
        kernel_seal(k, e);
    }
}

enum status kernel_model(struct kernel *k, struct kernel_out *out, enum model_kind kind,
                         const struct engine_model *model, int64_t now_ns, struct err *err) {
    ASSERT(has_engine(k));
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    if (!model) {
        engine_model_removed(engine_of(k), kind);
        return ST_OK;
    }
    struct engine_events events = {0};
    enum status st = engine_model_replaced(engine_of(k), &events, kind, model, k->now_ns, err);
    if (st == ST_OK) tell_changes(k, out, &events);
    return st;
}

/* ---- what it is shown ---- */

/* Bars without a quote volume count as if traded at their close. */
void kernel_engine_volume(struct kernel *k, uint32_t i, const struct bar *bar) {
    double quote =
        isfinite(bar->quote_volume) ? bar->quote_volume : bar->volume * px_to_f64(bar->close);
    uint32_t at = (uint32_t)(bar->open_ts_ns / k->config.interval_ns % k->day_bars);
    volumes_of(k, i)[at] = quote;
}

/* Sum over the places of one day. After a hole in the bars NaN: the places hold what is older. */
static double volume_24h(const struct kernel *k, uint32_t i) {
    if (hot_of(k, i)->ring_count < k->day_bars) return (double)NAN;
    const double *v = volumes_of(k, i);
    double sum = 0;
    for (uint32_t j = 0; j < k->day_bars; j++) sum += v[j];
    return sum;
}

static void show_bars(struct kernel *k, const struct kernel_close_input *in) {
    for (uint32_t s = 0; s < k->stepped_count; s++) {
        uint32_t i = k->stepped[s];
        const float *row = in->rows + (size_t)s * in->stride;
        const struct cold *c = cold_of(k, i);
        struct engine_market market = {
            .volume_24h = volume_24h(k, i),
            .depth = (double)NAN,
            .spread_bps = 2e4 * fx_to_f64(k->config.half_spread.e8),
            .funding_rate = c->last_funding_ts_ns ? fx_to_f64(c->funding_rate.e8) : (double)NAN,
            .divergence = 0, /* one venue is all there is: nothing it could differ from */
        };
        memcpy(row_of(k, i), row, sizeof(float) * feature_count());
        (void)engine_bar(engine_of(k), i, stepped_bar(k, s), row, &market);
    }
}

/* ---- what it is asked ---- */

/* A round trip at either side's worst: which side it will be is what is being asked. */
static double cost_of(const struct kernel *k, uint32_t i, const struct risk_state *state) {
    const struct instrument *in = instrument_of(k, i);
    struct trade_intent t = {.horizon_bars = k->config.bot.horizon_bars, .side = SIDE_BUY};
    double buy = risk_round_trip_cost(state, &k->config.limits, in, &t);
    t.side = SIDE_SELL;
    return fmax(buy, risk_round_trip_cost(state, &k->config.limits, in, &t));
}

static double fraction_min_of(const struct kernel *k, uint32_t i, double equity) {
    const struct instrument *in = instrument_of(k, i);
    double quantity = fx_to_f64(in->market_qty_min.e8) * px_to_f64(hot_of(k, i)->last_px);
    return fmax(fx_to_f64(in->notional_min.e8), quantity) / equity;
}

/* Held, being entered, or wanted by an intent that is on its way. */
static uint32_t holdings_fill(const struct kernel *k, struct portfolio_holding *out,
                              double equity) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < k->n && count < PORTFOLIO_POSITIONS_CEILING; i++) {
        if (!hot_of(k, i)->busy) continue;
        const struct cold *c = cold_of(k, i);
        bool waits = c->exits.phase == EXITS_FLAT && c->intent_pending;
        int64_t qty = c->exits.position_qty.e8;
        if (qty == 0 && c->exits.phase == EXITS_ENTERING) qty = c->entry_qty.e8;
        double notional = waits
                              ? fx_to_f64(c->pending_size.e8)
                              : fx_to_f64(qty < 0 ? -qty : qty) * px_to_f64(hot_of(k, i)->last_px);
        if (!(notional > 0)) continue; /* flat, its leftovers being cancelled */
        out[count++] = (struct portfolio_holding){.instrument_index = i,
                                                  .side = waits ? c->pending_side : c->exits.side,
                                                  .fraction = notional / equity};
    }
    return count;
}

static uint32_t asks_fill(struct kernel *k, struct kernel_scratch *w,
                          const struct kernel_close_input *in, double equity, uint32_t slots) {
    for (uint32_t s = 0; s < k->stepped_count; s++) {
        uint32_t i = k->stepped[s];
        struct risk_state state = kernel_risk_state(k, i);
        struct engine_ask *ask = &w->asks[s];
        ask->symbol = i;
        ask->may_enter =
            equity > 0 && !hot_of(k, i)->busy && kernel_entry_word(k, i, slots) == RISK_ALLOW;
        memcpy(ask->votes, in->votes + (size_t)s * MODEL_COUNT, sizeof ask->votes);
        ask->cost = cost_of(k, i, &state);
        ask->fraction_min = equity > 0 ? fraction_min_of(k, i, equity) : 0;
    }
    return k->stepped_count;
}

bool kernel_engine_decide(struct kernel *k, struct kernel_out *out,
                          const struct kernel_close_input *in, bool trading) {
    struct kernel_scratch *w = in->scratch;
    ASSERT(w && in->rows && in->stride >= feature_count());
    w->count = 0;
    show_bars(k, in);
    if (!engine_close(engine_of(k), &w->events, &w->engine, in->close_ts_ns)) return false;
    tell_changes(k, out, &w->events);
    if (!trading || !in->votes) return false;
    money_t exposure, margin;
    kernel_sum_up(k, &w->equity, &exposure, &margin);
    double equity = fx_to_f64(w->equity.e8);
    struct portfolio_holding holdings[PORTFOLIO_POSITIONS_CEILING];
    struct engine_account account = {.holdings = holdings};
    if (equity > 0) {
        account.holding_count = holdings_fill(k, holdings, equity);
        account.margin_available = fmax(fx_to_f64(k->totals.wallet.e8 - margin.e8) / equity, 0);
        account.margin_used = fmin(fx_to_f64(margin.e8) / equity, 1);
    }
    w->count = asks_fill(k, w, in, equity, kernel_slots(k));
    engine_decide(w->decisions, engine_of(k), &w->engine, w->asks, w->count, &account);
    return true;
}

/* ---- what it is told ---- */

void kernel_engine_opened(struct kernel *k, uint64_t intent_id, const struct engine_decision *d) {
    /* What it does not take it does not learn from; its counters say so. */
    (void)engine_opened(engine_of(k), intent_id, d);
}

void kernel_engine_dropped(struct kernel *k, uint64_t intent_id) {
    if (has_engine(k)) (void)engine_dropped(engine_of(k), intent_id);
}

void kernel_engine_closed(struct kernel *k, const struct trade_closed *t) {
    if (!has_engine(k)) return;
    double notional = px_to_f64(t->entry_px) * fabs(fx_to_f64(t->qty.e8));
    double net = fx_to_f64(t->net_pnl.e8), risk = fx_to_f64(t->risk.e8);
    if (!(notional > 0) || !(risk > 0)) {
        (void)engine_dropped(engine_of(k), t->intent_id);
        return;
    }
    struct engine_outcome o = {.net_r = fmin(fmax(net / risk, -100), 100),
                               .result = net / notional,
                               .drawdown = fmin(fmax(fmax(t->drawdown_max, -net / notional), 0), 1),
                               .held_ns = t->exit_ts_ns - t->entry_ts_ns,
                               .ts_ns = t->exit_ts_ns};
    (void)engine_closed(engine_of(k), t->intent_id, &o);
}
