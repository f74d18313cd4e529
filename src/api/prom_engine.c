/* The AI engine in Prometheus' form. Labels are the same words as in the JSON documents; what has not been measured has
 * no line. */
#include <math.h>

#include "api/api_internal.h"

static const char *model(int m) {
    return model_kind_text((enum model_kind)m);
}

static void per_model(struct api_page *p, const struct view *v) {
    api_prom_head(p, "gauge", "quantum_model_weight",
                  "Effective weight of the model's vote; sums to 1 over those that may vote.");
    for (int m = 0; m < MODEL_COUNT; m++)
        api_prom_line(p, "quantum_model_weight{model=\"%s\"} %.9g\n", model(m),
                      api_seat_weight(v, m));
    api_prom_head(p, "gauge", "quantum_supervisor_level",
                  "0 ok, 1 down-weighted, 2 excluded, 3 excluded and a new model wanted.");
    for (int m = 0; m < MODEL_COUNT; m++)
        api_prom_line(p, "quantum_supervisor_level{model=\"%s\"} %u\n", model(m),
                      v->engine.levels[m]);
    api_prom_head(p, "gauge", "quantum_supervisor_reason",
                  "1 while the supervisor has this against the model.");
    for (int m = 0; m < MODEL_COUNT; m++)
        for (uint32_t bit = 0; bit < SUPERVISOR_REASON_COUNT; bit++)
            api_prom_line(p, "quantum_supervisor_reason{model=\"%s\",reason=\"%s\"} %u\n", model(m),
                          supervisor_reason_text(1u << bit), v->engine.reasons[m] >> bit & 1);
    api_prom_head(p, "counter", "quantum_supervisor_alarms_total",
                  "Alarms of the sequential tests of the model's errors and inputs.");
    for (int m = 0; m < MODEL_COUNT; m++) {
        api_prom_line(p, "quantum_supervisor_alarms_total{model=\"%s\",of=\"error\"} %llu\n",
                      model(m), (unsigned long long)v->learned.supervisor[m].error_alarms);
        api_prom_line(p, "quantum_supervisor_alarms_total{model=\"%s\",of=\"input\"} %llu\n",
                      model(m), (unsigned long long)v->learned.supervisor[m].input_alarms);
    }
    api_prom_head(p, "gauge", "quantum_model_loss",
                  "Mean log-loss of the model's newest outcomes, nats; 0 before any.");
    for (int m = 0; m < MODEL_COUNT; m++)
        api_prom_line(p, "quantum_model_loss{model=\"%s\"} %.9g\n", model(m), v->engine.losses[m]);
    api_prom_head(p, "counter", "quantum_model_agreements_total",
                  "Votes of the model, by whether its best label was the ensemble's.");
    for (int m = 0; m < MODEL_COUNT; m++) {
        const struct view_model_counts *c = &v->counts.models[m];
        api_prom_line(p, "quantum_model_agreements_total{model=\"%s\",agreed=\"yes\"} %llu\n",
                      model(m), (unsigned long long)c->agreed);
        api_prom_line(p, "quantum_model_agreements_total{model=\"%s\",agreed=\"no\"} %llu\n",
                      model(m), (unsigned long long)(c->voted - c->agreed));
    }
}

static void decisions(struct api_page *p, const struct view_counts *c) {
    api_prom_head(p, "counter", "quantum_engine_decisions_total",
                  "Answers of the engine by the first reason that kept it from an entry.");
    for (int r = 0; r < ENGINE_REASON_COUNT; r++)
        api_prom_line(p, "quantum_engine_decisions_total{reason=\"%s\"} %llu\n",
                      engine_reason_text((enum engine_reason)r), (unsigned long long)c->reasons[r]);
    api_prom_head(p, "counter", "quantum_strategy_chosen_total", "Strategies chosen, by arm.");
    for (int a = 0; a < STRATEGY_ARMS; a++)
        api_prom_line(p, "quantum_strategy_chosen_total{arm=\"%s\"} %llu\n",
                      strategy_name((enum strategy_id)a), (unsigned long long)c->arms[a]);
    api_prom_head(p, "histogram", "quantum_signal_confidence",
                  "Confidence of the answers with at least one voter.");
    uint64_t below = 0;
    for (int b = 0; b < VIEW_CONFIDENCE_BINS; b++) {
        below += c->confidence[b];
        api_prom_line(p, "quantum_signal_confidence_bucket{le=\"%.9g\"} %llu\n",
                      (double)(b + 1) / VIEW_CONFIDENCE_BINS, (unsigned long long)below);
    }
    api_prom_line(p, "quantum_signal_confidence_bucket{le=\"+Inf\"} %llu\n",
                  (unsigned long long)below);
    api_prom_line(p, "quantum_signal_confidence_sum %.17g\n", c->confidence_sum);
    api_prom_line(p, "quantum_signal_confidence_count %llu\n", (unsigned long long)below);
}

static void state(struct api_page *p, const struct view *v) {
    api_prom_head(p, "gauge", "quantum_regime_symbols", "Symbols in each regime.");
    for (int r = 0; r < REGIME_COUNT; r++)
        api_prom_line(p, "quantum_regime_symbols{regime=\"%s\"} %u\n", regime_text((enum regime)r),
                      v->engine.regimes[r]);
    api_prom_gauge(p, "quantum_ensemble_trust",
                   "Share of the weights whose models stand by their votes.", v->engine.trust);
    api_prom_head(p, "gauge", "quantum_bias_block", "1 if entries of this side are blocked.");
    for (int l = 0; l < LABEL_COUNT; l++)
        if (l != LABEL_HOLD)
            api_prom_line(p, "quantum_bias_block{side=\"%s\"} %d\n", label_text((enum label)l),
                          v->engine.bias_blocked == (uint32_t)l);
    if (v->learned.reliability_count) {
        api_prom_gauge(p, "quantum_ensemble_ece",
                       "Expected calibration error of the answers whose horizon is over.",
                       v->engine.ece);
        api_prom_gauge(p, "quantum_ensemble_ece_by_chance",
                       "What a perfectly calibrated forecaster would show by chance.",
                       v->engine.ece_chance);
    }
    if (v->learned.interval_rounds)
        api_prom_gauge(p, "quantum_interval_coverage",
                       "Share of the outcomes within their conformal interval.",
                       v->engine.coverage);
    api_prom_gauge(p, "quantum_interval_nominal", "Share that is aimed at.",
                   1 - v->learned.interval_alpha);
    api_prom_counter(p, "quantum_engine_outcomes_total", "Forecasts judged by what came.",
                     v->learned.outcomes);
    api_prom_counter(p, "quantum_engine_trades_credited_total",
                     "Closed trades that strategy, sizing and memory learned from.",
                     v->learned.credited);
    api_prom_counter(p, "quantum_governance_changes_total", "Changes of the effective weights.",
                     v->learned.governance.changes);
}

static void seats(struct api_page *p, const struct view_retrain *r) {
    static const struct {
        const char *event;
        size_t offset;
    } events[] = {{"admitted", offsetof(struct promotion_seat, admitted)},
                  {"shadowed", offsetof(struct promotion_seat, shadowed)},
                  {"rejected", offsetof(struct promotion_seat, rejected)},
                  {"promoted", offsetof(struct promotion_seat, promoted)},
                  {"demoted", offsetof(struct promotion_seat, demoted)},
                  {"rolled_back", offsetof(struct promotion_seat, rolled_back)}};
    api_prom_head(p, "counter", "quantum_seat_events_total", "What happened to models of a seat.");
    for (int m = 0; m < MODEL_COUNT; m++)
        for (size_t e = 0; e < sizeof events / sizeof events[0]; e++)
            api_prom_line(p, "quantum_seat_events_total{model=\"%s\",event=\"%s\"} %llu\n",
                          model(m), events[e].event,
                          (unsigned long long)*(const uint64_t *)((const char *)&r->seats[m] +
                                                                  events[e].offset));
    api_prom_head(p, "gauge", "quantum_seat_challenger",
                  "1 while a model of this kind is tried against the served one.");
    for (int m = 0; m < MODEL_COUNT; m++)
        api_prom_line(p, "quantum_seat_challenger{model=\"%s\"} %d\n", model(m),
                      r->seats[m].challenger != 0);
}

static void retraining(struct api_page *p, const struct view_retrain *r) {
    api_prom_gauge(p, "quantum_retrain_running", "1 while models are trained.", r->running != 0);
    api_prom_gauge(p, "quantum_retrain_period_seconds", "Between two retrainings.",
                   (double)r->period_ns / 1e9);
    api_prom_gauge(p, "quantum_retrain_next_timestamp_seconds", "When the next one is due.",
                   (double)r->next_ns / 1e9);
    api_prom_head(p, "counter", "quantum_retrain_runs_total", "Retrainings by how they ended.");
    api_prom_line(p, "quantum_retrain_runs_total{result=\"succeeded\"} %llu\n",
                  (unsigned long long)r->succeeded);
    api_prom_line(p, "quantum_retrain_runs_total{result=\"failed\"} %llu\n",
                  (unsigned long long)r->failed);
    api_prom_line(p, "quantum_retrain_runs_total{result=\"missed\"} %llu\n",
                  (unsigned long long)r->missed);
    seats(p, r);
}

void api_prom_engine(struct api_page *p, const struct view *v) {
    if (v->has_engine) {
        per_model(p, v);
        decisions(p, &v->counts);
        state(p, v);
    }
    if (v->retrain.enabled) retraining(p, &v->retrain);
}
