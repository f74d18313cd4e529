#include <math.h>
#include <stddef.h>

#include "base/tstamp.h"
#include "brain/engine/engine.h"

struct engine_config engine_config_defaults(int64_t interval_ns, uint32_t horizon) {
    struct engine_config c = {.interval_ns = interval_ns,
                              .horizon = horizon,
                              .input_rows_per_close = 1,
                              .barrier_atr = 2.0,
                              .barrier_min = 0.0042,
                              .cost = 0.0014,
                              .stop_cost_multiple = 2.0,
                              .conformal_alpha = 0.10,
                              .conformal_step = 0.02,
                              .reliability_min = 200,
                              .seed = 1,
                              .ensemble = ensemble_config_defaults(),
                              .recalibration = recalibration_config_defaults(),
                              .governance = governance_config_defaults(),
                              .supervisor = supervisor_config_defaults(),
                              .drift = drift_config_defaults(),
                              .regime = regime_config_defaults(),
                              .memory = memory_config_defaults(),
                              .strategy = strategy_config_defaults(),
                              .sizing = sizing_config_defaults(),
                              .sizing_learner = sizing_learner_defaults(),
                              .portfolio = portfolio_config_defaults()};
    c.supervisor.error_block = horizon;
    c.portfolio.bars_per_day = (double)NS_PER_DAY / (double)interval_ns;
    return c;
}

struct fault_row {
    bool is_good;
    const char *text;
};

static const char *first_of(const struct fault_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!rows[i].is_good) return rows[i].text;
    return NULL;
}

static const char *own_fault(const struct engine_config *c) {
    const struct fault_row rows[] = {
        {c->interval_ns > 0 && c->interval_ns <= 31 * NS_PER_DAY, "interval_ns"},
        {c->horizon >= 1 && c->horizon <= FORECASTS_HORIZON_MAX, "horizon"},
        {c->barrier_atr > 0 && c->barrier_atr <= 100, "barrier_atr"},
        {c->barrier_min > 0 && c->barrier_min < 0.5, "barrier_min"},
        {c->cost >= 0 && c->cost <= 0.5, "cost"},
        {c->stop_cost_multiple >= 0 && c->stop_cost_multiple <= 100, "stop_cost_multiple"},
        {c->conformal_alpha > 0 && c->conformal_alpha < 1, "conformal_alpha"},
        {c->conformal_step > 0 && c->conformal_step < 1, "conformal_step"},
        {c->recalibration.fade > 0 && c->recalibration.fade < 1, "recalibration.fade"},
        {c->recalibration.prior > 0 && isfinite(c->recalibration.prior), "recalibration.prior"},
        {c->ensemble.rule < ENSEMBLE_RULE_COUNT, "ensemble.rule"},
        {c->ensemble.confidence_min >= 0 && c->ensemble.confidence_min < 1,
         "ensemble.confidence_min"},
    };
    return first_of(rows, sizeof rows / sizeof *rows);
}

static const char *governance_fault(const struct governance_config *g) {
    const struct fault_row rows[] = {
        {g->rule < GOVERNANCE_RULE_COUNT, "governance.rule"},
        {g->score < GOVERNANCE_SCORE_COUNT, "governance.score"},
        {g->publish_rounds >= 1, "governance.publish_rounds"},
        {g->learning_rate > 0 && isfinite(g->learning_rate), "governance.learning_rate"},
        {g->share >= 0 && g->share < 1, "governance.share"},
        {g->floor >= 0 && g->floor * MODEL_COUNT <= 1 && g->cap * MODEL_COUNT >= 1 && g->cap <= 1,
         "governance.floor and governance.cap: no four weights lie between them and sum to 1"},
        {g->smoothing > 0 && g->smoothing <= 1, "governance.smoothing"},
        {g->change_min >= 0 && g->change_min < 1, "governance.change_min"},
        {g->classic_score_max >= 0.01 && isfinite(g->classic_score_max),
         "governance.classic_score_max"},
    };
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (!(g->priors[k] > 0 && isfinite(g->priors[k]))) return "governance.priors";
    return first_of(rows, sizeof rows / sizeof *rows);
}

static const char *supervisor_fault(const struct engine_config *c) {
    const struct supervisor_config *s = &c->supervisor;
    const struct drift_config *d = &c->drift;
    const struct fault_row rows[] = {
        {s->samples_per_alarm >= 1 && isfinite(s->samples_per_alarm),
         "supervisor.samples_per_alarm"},
        {s->loss_tolerance >= 0 && isfinite(s->loss_tolerance), "supervisor.loss_tolerance"},
        {s->error_block >= c->horizon,
         "supervisor.error_block is shorter than the horizon: one loss would count many times"},
        {s->recover_ratio > 0, "supervisor.recover_ratio"},
        {s->spread_min >= 0 && s->spread_min < 0.5, "supervisor.spread_min"},
        {s->top_share_max > 0 && s->top_share_max <= 1, "supervisor.top_share_max"},
        {s->entropy_min >= 0 && s->entropy_min < s->entropy_max && s->entropy_max <= 1,
         "supervisor.entropy_min is not below entropy_max: every model would be excluded"},
        {s->severe_share > 0 && s->severe_share <= 1, "supervisor.severe_share"},
        {d->psi_watch > 0 && d->psi_watch <= d->psi_warn && d->psi_warn <= d->psi_severe,
         "drift.psi_watch, psi_warn, psi_severe do not rise"},
        {d->ks_p > 0 && d->ks_p < 1, "drift.ks_p"},
        {d->rows_per_alarm >= 1 && isfinite(d->rows_per_alarm), "drift.rows_per_alarm"},
    };
    return first_of(rows, sizeof rows / sizeof *rows);
}

static const char *regime_fault(const struct regime_config *r) {
    const struct fault_row rows[] = {
        {r->adx_trend > 0 && r->adx_trend < 100, "regime.adx_trend"},
        {r->strength_trend > 0 && r->strength_trend < 1, "regime.strength_trend"},
        {r->atr_range_high > 0 && r->atr_range_high <= r->atr_extreme && r->atr_extreme < 0.5,
         "regime.atr_range_high is above atr_extreme: a range of high volatility could not be"},
        {r->margin >= 0 && r->margin < 1, "regime.margin"},
        {r->confirm_bars >= 1, "regime.confirm_bars"},
    };
    return first_of(rows, sizeof rows / sizeof *rows);
}

/* Limits that stand in two modules, and thresholds of one that make another's unreachable. */
static const char *contradiction(const struct engine_config *c) {
    double priors[MODEL_COUNT], weights[MODEL_COUNT];
    (void)ensemble_normalise(priors, c->governance.priors);
    bool same = ensemble_normalise(weights, c->ensemble.weights);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) same &= fabs(priors[k] - weights[k]) <= 1e-12;
    struct sizing_config clamped = c->sizing;
    struct portfolio_caps caps;
    portfolio_caps_derive(&caps, &c->portfolio);
    double day = (double)NS_PER_DAY / (double)c->interval_ns;
    const struct fault_row rows[] = {
        {same, "ensemble.weights are not governance.priors"},
        {fabs(c->governance.classic_cost - c->cost) <= 1e-12,
         "governance.classic_cost is not cost: one round trip has one price"},
        {sizing_config_clamp(&clamped) == 0, "sizing: a value beyond its ceiling"},
        {c->sizing.symbol_max == caps.symbol,
         "sizing.symbol_max is not the portfolio's cap of a symbol"},
        {c->sizing.total_max == caps.total, "sizing.total_max is not the portfolio's total cap"},
        {c->sizing.unproven_max <= c->sizing.symbol_max,
         "sizing.unproven_max is above sizing.symbol_max"},
        {c->portfolio.fraction_min <= c->sizing.unproven_max,
         "portfolio.fraction_min is above sizing.unproven_max: nothing could ever begin"},
        {c->portfolio.cluster_at <= c->portfolio.refuse_at,
         "portfolio.cluster_at is above refuse_at: refused would not be alike"},
        {fabs(c->portfolio.bars_per_day - day) <= 1e-9 * day,
         "portfolio.bars_per_day is not a day of interval_ns"},
        {c->sizing.portfolio_volatility >= c->sizing.volatility_target,
         "sizing.portfolio_volatility is below volatility_target: one position would not fit"},
    };
    return first_of(rows, sizeof rows / sizeof *rows);
}

const char *engine_config_fault(const struct engine_config *c) {
    const char *fault = own_fault(c);
    if (!fault) fault = governance_fault(&c->governance);
    if (!fault) fault = supervisor_fault(c);
    if (!fault) fault = regime_fault(&c->regime);
    if (!fault && !(c->memory.half_life_ns > 0 && c->memory.prior_samples >= 0)) fault = "memory";
    if (!fault && !strategy_config_check(&c->strategy)) fault = "strategy";
    if (!fault) fault = portfolio_config_fault(&c->portfolio);
    return fault ? fault : contradiction(c);
}
