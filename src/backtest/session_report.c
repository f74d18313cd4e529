/* What a run knows of itself, for its report. */
#include <stdio.h>
#include <string.h>

#include "backtest/session_internal.h"
#include "base/tstamp.h"

static void fill_run(const struct session *s, struct report *r) {
    const struct kernel_totals *t = kernel_totals(s->kernel);
    snprintf(r->mode, sizeof r->mode, "%s", run_mode_text(s->o.mode));
    snprintf(r->strategy, sizeof r->strategy, "%s", strategy_text(s->o.strategy));
    r->synthetic = feed_is_synthetic(s->o.feed);
    r->from_ns = feed_from_ns(s->o.feed);
    r->to_ns = feed_to_ns(s->o.feed) ? feed_to_ns(s->o.feed) : s->state->last_ts_ns;
    r->interval_ns = feed_interval_ns(s->o.feed);
    r->bars = t->bars_trading;
    r->symbols = feed_symbol_count(s->o.feed);
    r->signals = t->signals;
    r->intents = t->intents;
    r->orders = t->orders;
    r->fills = t->fills;
    r->seed = s->o.seed;
    r->instruments_inferred = feed_inferred(s->o.feed);
    r->funding_assumed = feed_funding_assumed(s->o.feed);
    r->wallet_start = s->o.wallet_start;
    r->unprotected_at_end = kernel_unprotected_count(s->kernel);
    r->protected_whole = t->time_to_protected.count;
    r->protected_p99_ns = hist_quantile(&t->time_to_protected, 0.99);
    r->protected_max_ns = t->time_to_protected.max;
    r->protected_interrupted = t->protected_interrupted.count;
    r->interrupted_max_ns = t->protected_interrupted.max;
    r->breaker_loss_max = s->kernel_config.breaker.loss_max;
    r->breaker_daily_loss_max = s->kernel_config.breaker.daily_loss_max;
    r->breaker_drawdown_max = s->kernel_config.breaker.drawdown_max;
    if (r->symbols == 1)
        snprintf(r->symbols_text, sizeof r->symbols_text, "%.15s",
                 feed_instruments(s->o.feed)[0].symbol);
    snprintf(r->cost_model, sizeof r->cost_model,
             "taker fee %.3f %%, half spread %.3f %%, depth %.1f %% of bar volume a level, latency "
             "%d ms each way",
             100 * fx_to_f64(feed_instruments(s->o.feed)[0].fee_taker.e8),
             100 * fx_to_f64(s->simex_config.half_spread.e8),
             100 * fx_to_f64(s->simex_config.depth_share.e8),
             (int)(s->simex_config.latency_ns / NS_PER_MS));
}

static void fill_model(struct report_model *out, enum model_kind kind,
                       const struct served_model *m) {
    const struct learn_report *l = served_model_report(m);
    *out = (struct report_model){.rounds = l->rounds,
                                 .logloss_test = l->logloss_test,
                                 .logloss_prior = l->logloss_prior,
                                 .skill_t = l->skill_t,
                                 .side_t = l->side_t,
                                 .balanced_accuracy = l->balanced_accuracy,
                                 .ece = l->ece,
                                 .weights = served_model_weights(m),
                                 .mse_path = l->mse_path,
                                 .mse_persistence = l->mse_persistence,
                                 .mse_dlinear = l->mse_dlinear};
    enum vote_state state = l->has_skill && !l->shuffled ? VOTE_PRESENT : VOTE_NO_SKILL;
    snprintf(out->kind, sizeof out->kind, "%s", model_kind_text(kind));
    snprintf(out->state, sizeof out->state, "%s", vote_state_text(state));
    snprintf(out->params, sizeof out->params, "%s", l->params);
}

/* "xgboost 2022-07-01T00:00 to 2024-07-01T00:00, skilled; lightgbm …" */
static void fill_models(const struct session *s, struct report *r) {
    char a[TSTAMP_TEXT_SIZE], b[TSTAMP_TEXT_SIZE];
    size_t used = 0;
    for (uint32_t k = 0; k < MODEL_COUNT && s->o.strategy == STRATEGY_ENSEMBLE; k++) {
        const struct served_model *m = s->o.models[k];
        if (!m) continue;
        struct report_model *out = &r->models[r->model_count++];
        fill_model(out, (enum model_kind)k, m);
        used += (size_t)snprintf(
            r->model_window + used, sizeof r->model_window - used, "%s%s %.16s to %.16s, %s",
            used ? "; " : "", out->kind, tstamp_format(a, served_model_report(m)->train_from_ns),
            tstamp_format(b, served_model_data_end_ns(m)),
            strcmp(out->state, vote_state_text(VOTE_PRESENT)) == 0 ? "skilled"
                                                                   : "no skill: does not vote");
        if (used >= sizeof r->model_window) break;
    }
    if (r->model_count == 0) snprintf(r->model_window, sizeof r->model_window, "none");
    r->disagreement = (struct report_disagreement){.decisions = s->state->compared,
                                                   .differ = s->state->differing,
                                                   .distance = session_distance(s)};
}

void session_report(const struct session *s, struct report *r) {
    const struct kernel_totals *t = kernel_totals(s->kernel);
    memset(r, 0, sizeof *r);
    fill_run(s, r);
    fill_models(s, r);
    for (uint32_t j = 0; j < t->reject_codes; j++) {
        char key[REPORT_KEY_SIZE];
        snprintf(key, sizeof key, "%d", t->rejects[j].code);
        report_count_add(r->rejects, &r->reject_count, key, t->rejects[j].count);
    }
    for (uint32_t j = 1; j < RISK_REASON_COUNT; j++)
        if (t->refusals[j])
            report_count_add(r->refusals, &r->refusal_count, risk_reason_text((enum risk_reason)j),
                             t->refusals[j]);
    /* Rules are not held back by the cost gate; what it would have said is counted all the same. */
    if (t->cost_gate_would_deny)
        report_count_add(r->refusals, &r->refusal_count, "edge_below_cost_not_applied",
                         t->cost_gate_would_deny);
}
