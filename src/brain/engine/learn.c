/* Bars in, outcomes out: what each part learns when a horizon is over. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/engine/engine.h"
#include "brain/engine/engine_internal.h"
#include "feature/feature.h"

/* A barrier hit counts half after 69 closes; the market's share of BUY is told from 20 on. */
static const double label_fade = 0.99, label_count_min = 20;

/* One symbol of each close, in turn: rows of one time are alike, and a window of them would be two bars. */
static bool inputs_are_looked_at(const struct engine *e, uint32_t symbol, int64_t bar) {
    uint64_t n = e->symbol_count, rows = e->config.input_rows_per_close;
    uint64_t first = (uint64_t)bar % n * (rows % n) % n;
    return (symbol + n - first) % n < rows;
}

bool engine_bar(struct engine *e, uint32_t symbol, const struct bar *bar, const float *row,
                const struct engine_market *market) {
    ASSERT(symbol < e->symbol_count);
    struct engine_symbol *s = &engine_symbols(e)[symbol];
    const int64_t interval = e->config.interval_ns;
    if (!bar_is_possible(bar) || bar->open_ts_ns < 0 || bar->open_ts_ns <= s->bar.open_ts_ns ||
        bar->open_ts_ns > INT64_MAX - interval || bar->open_ts_ns + interval <= e->close_ts_ns) {
        e->bars_refused++;
        return false;
    }
    s->bar = *bar;
    s->is_decided = 0;
    s->market = market ? *market : (struct engine_market){NAN, NAN, NAN, NAN, NAN};
    struct regime_input input;
    regime_input_from_row(&input, row);
    input.volume_24h = s->market.volume_24h;
    input.depth = s->market.depth;
    input.spread_bps = s->market.spread_bps;
    regime_step(&s->reading, &s->regime, &e->config.regime, &input);
    s->adx = input.adx;
    s->trend = input.trend_strength;
    s->atr = input.atr_fraction;
    s->volatility_ratio = (double)row[FEATURE_VOLATILITY_RATIO];
    int64_t number = bar->open_ts_ns / interval;
    (void)portfolio_observe(&engine_series(e)[symbol], number, bar->close);
    e->outcomes_lost += s->has_due; /* engine_close was not called between two bars */
    s->has_due = forecasts_bar(&s->forecasts, &s->due, bar);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (e->features[k] > 0 && inputs_are_looked_at(e, symbol, number))
            (void)drift_row(&e->drift[k], row);
    e->bars++;
    return true;
}

static const struct engine_note *note_of(const struct engine *e, const struct engine_symbol *s) {
    int64_t at = s->due.decided_ts_ns / e->config.interval_ns % FORECASTS_HORIZON_MAX;
    const struct engine_note *note = &s->notes[at];
    return note->decided_ts_ns == s->due.decided_ts_ns ? note : NULL;
}

/* What the ensemble said against what came: reliability, the pool's calibration, the memory's row of forecasts, the
 * market's side. */
static void judge_ensemble(struct engine *e, struct engine_scratch *w, uint32_t *judged,
                           const struct engine_symbol *s, int64_t ts_ns) {
    const struct forecast *due = &s->due;
    e->label_buys += due->outcome.label == LABEL_BUY;
    e->label_sells += due->outcome.label == LABEL_SELL;
    const struct engine_note *note = note_of(e, s);
    if (!note || !(note->p[0] + note->p[1] + note->p[2] > 0)) return; /* nobody had answered */
    memcpy(w->pooled[*judged], note->pooled, sizeof note->pooled);
    w->labels[(*judged)++] = due->outcome.label;
    enum label best = ensemble_best_label(note->p);
    reliability_push(&e->reliability, note->p[best], due->outcome.label == (uint32_t)best);
    if (note->action == LABEL_HOLD) return;
    double sign = note->action == LABEL_BUY ? 1 : -1;
    struct memory_outcome outcome = {
        .symbol = s->name,
        .regime = note->regime,
        .row = MEMORY_FORECASTS,
        .net_r = (sign * due->outcome.realised_return - e->config.cost) / due->distance,
        .confidence = note->confidence,
        .ts_ns = ts_ns};
    (void)memory_learn(&e->memory, &outcome); /* refusals are counted there */
}

/* All that is over, by symbol: outcomes (return), residuals and widths of the interval. */
static uint32_t collect(struct engine *e, struct engine_scratch *w, int64_t ts_ns) {
    uint32_t n = 0, judged = 0;
    e->label_buys *= label_fade;
    e->label_sells *= label_fade;
    for (uint32_t i = 0; i < e->symbol_count; i++) {
        struct engine_symbol *s = &engine_symbols(e)[i];
        if (!s->has_due) continue;
        const struct forecast *due = &s->due;
        w->outcomes[n] = due->outcome;
        w->residuals[n] =
            due->scale > 0 ? fabs(due->outcome.realised_return - due->expected_return) / due->scale
                           : NAN;
        w->widths[n] = due->width;
        n++;
        judge_ensemble(e, w, &judged, s, ts_ns);
        s->has_due = 0;
    }
    recalibration_round(&e->recalibration, (const double(*)[LABEL_COUNT])w->pooled, w->labels,
                        judged);
    return n;
}

static struct engine_event *push(struct engine_events *out, int64_t ts_ns,
                                 enum engine_event_kind kind, uint32_t model) {
    ASSERT(out->count < ENGINE_EVENTS_MAX);
    struct engine_event *event = &out->items[out->count++];
    memset(event, 0, sizeof *event);
    event->ts_ns = ts_ns;
    event->kind = (uint32_t)kind;
    event->model = model;
    return event;
}

/* Mean loss of this model over the outcomes it had forecast; false without any. */
static bool mean_loss(double *out, const struct engine_scratch *w, uint32_t n, uint32_t model) {
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!(w->outcomes[i].forecast_mask >> model & 1)) continue;
        sum += forecast_log_loss(w->outcomes[i].p[model], (enum label)w->outcomes[i].label);
        count++;
    }
    *out = count ? sum / count : 0;
    return count > 0;
}

static void supervise(struct engine *e, struct engine_events *out, const struct engine_scratch *w,
                      uint32_t n, uint32_t model, int64_t ts_ns) {
    struct supervisor *s = &e->supervisor[model];
    double loss;
    if (mean_loss(&loss, w, n, model)) (void)supervisor_error(s, loss);
    struct drift_summary inputs;
    bool is_watched = e->features[model] > 0;
    if (is_watched) drift_summarise(&inputs, &e->drift[model], e->importance[model]);
    bool wanted = s->want_retrain;
    struct supervisor_event level;
    if (!supervisor_step(s, &level, is_watched ? &inputs : NULL, ts_ns)) return;
    double before = supervisor_factor((enum supervisor_level)level.from),
           after = supervisor_factor((enum supervisor_level)level.to);
    enum engine_event_kind kind = before > 0 && after == 0   ? ENGINE_EXCLUDED
                                  : before == 0 && after > 0 ? ENGINE_RESTORED
                                                             : ENGINE_LEVEL;
    push(out, ts_ns, kind, model)->level = level;
    if (level.want_retrain && !wanted)
        push(out, ts_ns, ENGINE_RETRAIN_WANTED, model)->level = level;
    struct governance_change change;
    if (governance_limit(&e->governance, &change, (enum model_kind)model, after, ts_ns))
        push(out, ts_ns, ENGINE_WEIGHTS, model)->weights = change;
}

bool engine_close(struct engine *e, struct engine_events *out, struct engine_scratch *w,
                  int64_t close_ts_ns) {
    out->count = 0;
    if (close_ts_ns <= e->close_ts_ns) return false;
    uint32_t n = collect(e, w, close_ts_ns);
    struct governance_change change;
    if (n > 0 && governance_round(&e->governance, &change, w->outcomes, n, close_ts_ns))
        push(out, close_ts_ns, ENGINE_WEIGHTS, MODEL_COUNT)->weights = change;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (e->seated[k]) supervise(e, out, w, n, k, close_ts_ns);
    conformal_round(&e->conformal, w->residuals, w->widths, n);
    double hits = e->label_buys + e->label_sells;
    if (hits >= label_count_min) bias_market(&e->bias, e->label_buys / hits);
    struct strategy_review review;
    if (strategy_review(&review, &e->strategy, close_ts_ns))
        push(out, close_ts_ns, ENGINE_POLICY, MODEL_COUNT)->policy = review;
    e->close_ts_ns = close_ts_ns;
    e->outcomes += n;
    e->closes++;
    return true;
}
