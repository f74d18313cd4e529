/* What the AI engine is, does and learns, as JSON: for the page, /health, /api/ai/metrics/… and /api/ai/retrain. A figure
 * that nothing was counted for is null, never 0. */
#include <math.h>

#include "api/api_internal.h"
#include "api/put.h"

static double share(uint64_t part, uint64_t of) {
    return of ? (double)part / (double)of : (double)NAN;
}
static double mean(double sum, uint64_t n) {
    return n ? sum / (double)n : (double)NAN;
}

/* ---- governance and supervisor ---- */

double api_seat_weight(const struct view *v, int model) {
    double sum = 0;
    for (int m = 0; m < MODEL_COUNT; m++)
        if (v->models[m].loaded) sum += v->engine.weights[m];
    return v->models[model].loaded && sum > 0 ? v->engine.weights[model] / sum : 0;
}

static void put_reasons(struct json_writer *w, uint32_t reasons) {
    put_array(w, "reasons");
    for (uint32_t bit = 0; bit < SUPERVISOR_REASON_COUNT; bit++)
        if (reasons >> bit & 1) json_write_string(w, supervisor_reason_text(1u << bit));
    json_write_array_end(w);
}

/* Percentage error of the horizon forecast in service, persistence's being 1; before a retrainer measures it, the mean
 * of governance's last ten rounds. */
static double mape_of(const struct view *v, int m) {
    if (v->retrain.enabled && v->retrain.seats[m].served_error.count > 0)
        return promotion_error_mape(&v->retrain.seats[m].served_error);
    if (v->learned.governance.models[m].samples == 0) return (double)NAN;
    return v->learned.governance.models[m].mape;
}

static void put_governed(struct json_writer *w, const struct view *v, int m) {
    uint64_t samples = v->learned.governance.models[m].samples;
    put_object(w, model_kind_text((enum model_kind)m));
    put_f64(w, "weight", api_seat_weight(v, m));
    put_f64(w, "learned_weight", v->learned.governance.models[m].learned);
    put_f64(w, "factor", v->learned.governance.models[m].factor);
    put_f64(w, "last_mape", mape_of(v, m));
    put_f64(w, "avg_pnl", samples ? v->learned.governance.models[m].pnl : (double)NAN);
    put_u64(w, "drift_count",
            v->learned.supervisor[m].error_alarms + v->learned.supervisor[m].input_alarms);
    put_u64(w, "retrain_count", v->retrain.seats[m].admitted);
    put_u64(w, "samples", samples);
    put_text(w, "level", supervisor_level_text((enum supervisor_level)v->engine.levels[m]));
    put_reasons(w, v->engine.reasons[m]);
    put_f64(w, "loss", v->engine.losses[m] > 0 ? v->engine.losses[m] : (double)NAN);
    double limit = v->learned.supervisor[m].loss_limit;
    put_f64(w, "loss_limit", limit > 0 ? limit : (double)NAN);
    put_bool(w, "retrain_wanted", v->learned.supervisor[m].want_retrain != 0);
    json_write_object_end(w);
}

void api_put_governance(struct json_writer *w, const struct view *v) {
    put_text(w, "rule", governance_rule_text((enum governance_rule)v->learned.governance.rule));
    put_u64(w, "rounds", v->learned.governance.rounds);
    put_u64(w, "outcomes", v->learned.governance.outcomes);
    put_u64(w, "weight_changes", v->learned.governance.changes);
    put_object(w, "models");
    for (int m = 0; m < MODEL_COUNT; m++) put_governed(w, v, m);
    json_write_object_end(w);
}

/* ---- seats ---- */

void api_put_verdict(struct json_writer *w, const struct promotion_verdict *d) {
    put_text(w, "outcome", promotion_outcome_text((enum promotion_outcome)d->outcome));
    put_text(w, "reason", promotion_reason_text((enum promotion_reason)d->reason));
    put_f64(w, "mape_old", d->mape_old);
    put_f64(w, "mape_new", d->mape_new);
    put_f64(w, "sharpe_old", d->sharpe_old);
    put_f64(w, "sharpe_new", d->sharpe_new);
    put_f64(w, "wealth", d->wealth);
    put_f64(w, "p", d->p);
    put_u64(w, "pairs", d->pairs);
    put_u64(w, "bars", d->bars);
    put_u64(w, "samples", d->samples);
}

static void put_model_hash(struct json_writer *w, const char *key, uint64_t hash) {
    if (hash)
        put_hash(w, key, hash);
    else
        put_null(w, key);
}

static void put_seat(struct json_writer *w, const struct view_retrain *r, int m) {
    const struct promotion_seat *s = &r->seats[m];
    put_object(w, model_kind_text((enum model_kind)m));
    put_model_hash(w, "served", s->served);
    put_ms(w, "served_since", s->served ? s->served_ns : 0);
    put_model_hash(w, "predecessor", s->predecessor);
    put_model_hash(w, "challenger", s->challenger);
    if (s->challenger) {
        put_text(w, "challenger_state",
                 promotion_state_text((enum promotion_state)s->challenger_state));
        put_ms(w, "challenger_since", s->challenger_ns);
    }
    put_f64(w, "mape_in_service", promotion_error_mape(&s->served_error));
    put_f64(w, "mape_against", promotion_error_mape(&s->against_error));
    put_u64(w, "admitted", s->admitted);
    put_u64(w, "shadowed", s->shadowed);
    put_u64(w, "rejected", s->rejected);
    put_u64(w, "promoted", s->promoted);
    put_u64(w, "demoted", s->demoted);
    put_u64(w, "rolled_back", s->rolled_back);
    put_object(w, "verdict");
    api_put_verdict(w, &r->verdicts[m]);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void put_retrain(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    const struct view_retrain *r = &v->retrain;
    put_bool(w, "enabled", r->enabled != 0);
    put_bool(w, "can_be_requested", shot->can_retrain);
    put_bool(w, "requested", shot->retrain_requested);
    if (!r->enabled) return;
    put_text(w, "training", promotion_trigger_text((enum promotion_trigger)r->running));
    put_f64(w, "period_seconds", (double)r->period_ns / 1e9);
    put_ms(w, "last", r->last_ns > 0 ? r->last_ns : 0);
    put_ms(w, "next", r->next_ns);
    put_f64(w, "next_in_seconds", (double)(r->next_ns - v->market_ts_ns) / 1e9);
    put_u64(w, "runs", r->runs);
    put_u64(w, "succeeded", r->succeeded);
    put_u64(w, "failed", r->failed);
    put_u64(w, "missed", r->missed);
    put_object(w, "seats");
    for (int m = 0; m < MODEL_COUNT; m++) put_seat(w, r, m);
    json_write_object_end(w);
}

void api_render_retrain(struct json_writer *w, const struct api_shot *shot) {
    json_write_object_begin(w);
    if (shot->published) put_retrain(w, shot);
    api_put_stamp(w, shot);
    json_write_object_end(w);
}

/* ---- decisions ---- */

/* Only what happened: {"hold":812,"portfolio":3}. */
#define PUT_COUNTS(w, key, counts, n, text, kind)                                                  \
    do {                                                                                           \
        put_object(w, key);                                                                        \
        for (int i_ = 0; i_ < (n); i_++)                                                           \
            if ((counts)[i_]) put_u64(w, text((kind)i_), (counts)[i_]);                            \
        json_write_object_end(w);                                                                  \
    } while (0)

static void put_decisions(struct json_writer *w, const struct view_counts *c) {
    put_u64(w, "decisions", c->asked);
    PUT_COUNTS(w, "by_reason", c->reasons, ENGINE_REASON_COUNT, engine_reason_text,
               enum engine_reason);
    PUT_COUNTS(w, "by_portfolio_reason", c->portfolio, PORTFOLIO_REASON_COUNT,
               portfolio_reason_text, enum portfolio_reason);
    PUT_COUNTS(w, "by_sizing_reason", c->sizing, SIZING_REASON_COUNT, sizing_reason_text,
               enum sizing_reason);
}

void api_put_engine(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    json_write_key(w, "engine");
    if (!v->has_engine) {
        json_write_null(w);
    } else {
        json_write_object_begin(w);
        api_put_governance(w, v);
        PUT_COUNTS(w, "regimes", v->engine.regimes, REGIME_COUNT, regime_text, enum regime);
        put_text(w, "bias_block", label_text((enum label)v->engine.bias_blocked));
        put_f64(w, "bias_buy_share", v->engine.bias_buy_share);
        put_f64(w, "trust", v->engine.trust);
        put_u64(w, "open", v->engine.open);
        put_f64(w, "ece", v->learned.reliability_count ? v->engine.ece : (double)NAN);
        put_f64(w, "coverage", v->learned.interval_rounds ? v->engine.coverage : (double)NAN);
        put_f64(w, "coverage_wanted", 1 - v->learned.interval_alpha);
        put_f64(w, "win_rate", v->engine.win_rate);
        put_decisions(w, &v->counts);
        json_write_object_end(w);
    }
    put_object(w, "retrain");
    put_retrain(w, shot);
    json_write_object_end(w);
}

/* ---- /api/ai/metrics/… ---- */

/* Linear within its bin. */
static double confidence_quantile(const struct view_counts *c, double q) {
    double wanted = q * (double)c->voted, below = 0;
    for (int b = 0; b < VIEW_CONFIDENCE_BINS; b++) {
        double in = (double)c->confidence[b];
        if (in > 0 && below + in >= wanted)
            return (b + (wanted - below) / in) / VIEW_CONFIDENCE_BINS;
        below += in;
    }
    return (double)NAN;
}

static void put_confidence(struct json_writer *w, const struct view_counts *c) {
    double average = mean(c->confidence_sum, c->voted);
    double variance = mean(c->confidence_squares, c->voted) - average * average;
    put_f64(w, "average_confidence", average);
    put_object(w, "confidence");
    put_u64(w, "count", c->voted);
    put_f64(w, "mean", average);
    put_f64(w, "sd", sqrt(variance > 0 || isnan(variance) ? variance : 0));
    put_f64(w, "p10", confidence_quantile(c, 0.1));
    put_f64(w, "p50", confidence_quantile(c, 0.5));
    put_f64(w, "p90", confidence_quantile(c, 0.9));
    put_array(w, "histogram");
    for (int b = 0; b < VIEW_CONFIDENCE_BINS; b++) {
        json_write_object_begin(w);
        put_f64(w, "from", (double)b / VIEW_CONFIDENCE_BINS);
        put_f64(w, "to", (double)(b + 1) / VIEW_CONFIDENCE_BINS);
        put_u64(w, "count", c->confidence[b]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void put_agreement(struct json_writer *w, const struct view *v) {
    put_object(w, "models");
    for (int m = 0; m < MODEL_COUNT; m++) {
        const struct view_model_counts *c = &v->counts.models[m];
        put_object(w, model_kind_text((enum model_kind)m));
        put_u64(w, "answered", c->answered);
        put_u64(w, "voted", c->voted);
        put_f64(w, "agreement", share(c->agreed, c->voted));
        put_f64(w, "weight", api_seat_weight(v, m));
        PUT_COUNTS(w, "labels", c->labels, LABEL_COUNT, label_text, enum label);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

void api_render_ensemble(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    if (shot->published) {
        const struct view_counts *c = &v->counts;
        put_bool(w, "enabled", v->has_engine != 0);
        put_f64(w, "consensus_rate", share(c->unanimous, c->several));
        put_u64(w, "several_voted", c->several);
        put_confidence(w, c);
        put_agreement(w, v);
        PUT_COUNTS(w, "actions", c->actions, LABEL_COUNT, label_text, enum label);
        put_decisions(w, c);
        put_u64(w, "statements_judged", v->learned.reliability_count);
        put_f64(w, "ece", v->learned.reliability_count ? v->engine.ece : (double)NAN);
        put_f64(w, "ece_by_chance",
                v->learned.reliability_count ? v->engine.ece_chance : (double)NAN);
        put_f64(w, "interval_coverage",
                v->learned.interval_rounds ? v->engine.coverage : (double)NAN);
        put_f64(w, "interval_nominal", v->has_engine ? 1 - v->learned.interval_alpha : (double)NAN);
        put_u64(w, "pairs_compared", v->disagreement.decisions);
        put_f64(w, "disagreement", share(v->disagreement.differ, v->disagreement.decisions));
        put_f64(w, "p_distance", v->disagreement.distance);
    }
    json_write_object_end(w);
}

/* Who chooses the strategies, and what the others would have earned at the last review. */
static void put_policies(struct json_writer *w, const struct view_learned *l) {
    put_text(w, "policy", strategy_policy_text((enum strategy_policy_id)l->strategy.acting));
    put_ms(w, "policy_since", l->strategy.acting_since_ns);
    put_u64(w, "policy_reviews", l->strategy.reviews);
    put_u64(w, "policies_adopted", l->strategy.adopted);
    put_u64(w, "policies_returned", l->strategy.returned);
    PUT_COUNTS(w, "policy_verdicts", l->strategy.verdicts, STRATEGY_VERDICTS, strategy_verdict_text,
               enum strategy_verdict);
    put_object(w, "policies");
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++) {
        const struct strategy_evaluation *e = &l->strategy.policies[k];
        if (e->rows == 0) continue;
        put_object(w, strategy_policy_text((enum strategy_policy_id)k));
        put_u64(w, "trades", e->rows);
        put_f64(w, "mean_r", e->value);
        put_f64(w, "mean_r_low", e->value_low);
        put_f64(w, "mean_r_high", e->value_high);
        put_f64(w, "gain", e->gain);
        put_f64(w, "gain_low", e->gain_low);
        put_f64(w, "gain_high", e->gain_high);
        put_f64(w, "p_value", e->p_value);
        put_f64(w, "level", e->level);
        put_f64(w, "effective", e->effective);
        if (isfinite(e->level)) /* not judged: it acts, or there was too little */
            put_text(w, "verdict", strategy_verdict_text((enum strategy_verdict)e->verdict));
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

void api_render_meta_strategy(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    if (shot->published) {
        const struct view_learned *l = &v->learned;
        uint64_t chosen = 0;
        for (int a = 0; a < STRATEGY_ARMS; a++) chosen += v->counts.arms[a];
        put_bool(w, "enabled", v->has_engine != 0);
        put_text(w, "algorithm",
                 l->strategy.algorithm == STRATEGY_THOMPSON ? "thompson" : "classic");
        put_u64(w, "choices", l->strategy.decisions);
        put_f64(w, "exploration_rate", share(v->counts.explored, chosen));
        put_f64(w, "exploration_least",
                l->strategy.algorithm == STRATEGY_THOMPSON ? l->strategy.floor
                                                           : l->strategy.epsilon);
        put_u64(w, "rewarded", l->strategy.settled);
        put_u64(w, "dropped", l->strategy.dropped);
        put_u64(w, "pending", l->strategy.pending);
        put_u64(w, "refused", l->strategy.refused);
        put_object(w, "strategies");
        for (int a = 0; a < STRATEGY_ARMS; a++) {
            put_object(w, strategy_name((enum strategy_id)a));
            put_u64(w, "chosen", v->counts.arms[a]);
            put_f64(w, "share", share(v->counts.arms[a], chosen));
            put_u64(w, "trades", l->strategy.arms[a].trades);
            put_f64(w, "win_rate", share(l->strategy.arms[a].wins, l->strategy.arms[a].trades));
            put_f64(w, "mean_r", l->strategy.arms[a].mean_r);
            put_f64(w, "total_r", l->strategy.arms[a].total_r);
            put_f64(w, "q", l->strategy.arms[a].q);
            json_write_object_end(w);
        }
        json_write_object_end(w);
        put_policies(w, l);
        PUT_COUNTS(w, "decisions_by_regime", v->counts.regimes, REGIME_COUNT, regime_text,
                   enum regime);
    }
    json_write_object_end(w);
}

void api_render_rl_sizing(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    if (shot->published) {
        const struct view_counts *c = &v->counts;
        const struct view_learned *l = &v->learned;
        double size = mean(c->fraction_sum, c->sized);
        put_bool(w, "enabled", v->has_engine != 0);
        put_u64(w, "sized", c->sized);
        put_f64(w, "average_fraction", size);
        put_f64(w, "average_size_usd", size * money_to_f64(v->equity)); /* at today's equity */
        put_f64(w, "average_leverage", mean(c->leverage_sum, c->sized));
        put_f64(w, "average_risk", mean(c->stop_loss_sum, c->sized)); /* of equity, at the stop */
        put_f64(w, "average_multiplier", mean(c->multiplier_sum, c->sized));
        put_array(w, "leverage");
        for (uint32_t i = 0; i <= LEVERAGE_CEILING; i++) json_write_u64(w, c->leverage[i]);
        json_write_array_end(w);
        PUT_COUNTS(w, "chosen_by", c->why, SIZING_WHY_COUNT, sizing_why_text, enum sizing_why);
        PUT_COUNTS(w, "bound_by", c->bound_by, SIZING_LIMIT_COUNT, sizing_limit_text,
                   enum sizing_limit);
        PUT_COUNTS(w, "refused_by", c->sizing, SIZING_REASON_COUNT, sizing_reason_text,
                   enum sizing_reason);
        put_f64(w, "exploration_rate", l->sizing.epsilon);
        put_u64(w, "opened", l->sizing.opened);
        put_u64(w, "rewarded", l->sizing.credited);
        put_u64(w, "evicted", l->sizing.evicted);
        put_u64(w, "refused", l->sizing.refused);
        put_u64(w, "rows_trained", l->sizing.rows_trained);
        put_u64(w, "rows", l->sizing.rows);
        put_f64(w, "win_rate", l->sizing.win_rate);
    }
    json_write_object_end(w);
}
