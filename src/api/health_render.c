/* /health: the eight fields of the original service, its contract's further ones, and what is behind them. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "api/put.h"

static void put_roles(struct json_writer *w, const struct api_health *h) {
    json_write_key(w, "roles");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < h->role_count; i++) {
        const struct api_role *r = &h->roles[i];
        json_write_object_begin(w);
        put_text(w, "name", r->name);
        put_text(w, "state", api_role_state_text(r->state));
        put_span_ms(w, "age_ms", r->age_ns);
        json_write_key(w, "max_age_ms");
        if (r->max_age_ns > 0)
            json_write_i64(w, r->max_age_ns / NS_PER_MS);
        else
            json_write_null(w);
        put_u64(w, "work_count", r->work_count);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_model(struct json_writer *w, const struct view_model *m) {
    json_write_object_begin(w);
    put_text(w, "state", api_model_state_text(m));
    if (m->loaded) {
        put_text(w, "vote_state", vote_state_text((enum vote_state)m->state));
        put_text(w, "path", m->path);
        put_hash(w, "hash", m->hash);
        put_ms(w, "trained", m->trained_wall_ns);
        put_ms(w, "train_from", m->train_from_ns);
        put_ms(w, "train_to", m->train_to_ns);
        put_ms(w, "data_end", m->data_end_ns);
        put_f64(w, "logloss_test", m->logloss_test);
        put_f64(w, "logloss_prior", m->logloss_prior);
        put_f64(w, "skill_t", m->skill_t);
        put_f64(w, "side_t", m->side_t);
        put_f64(w, "balanced_accuracy", m->balanced_accuracy);
        put_f64(w, "ece", m->ece);
        put_text(w, "params", m->params);
        put_u64(w, "rounds", m->rounds);
        put_count(w, "weights", m->weights);
        put_f64(w, "mse_path", m->mse_path);
        put_f64(w, "mse_persistence", m->mse_persistence);
        put_f64(w, "mse_dlinear", m->mse_dlinear);
        put_u64(w, "votes", m->votes);
        put_count(w, "predict_ns_p50", m->predict_ns_p50);
        put_count(w, "predict_ns_p99", m->predict_ns_p99);
    }
    json_write_object_end(w);
}

static void put_models(struct json_writer *w, const struct api_shot *shot) {
    json_write_key(w, "models");
    json_write_object_begin(w);
    for (int i = 0; i < MODEL_COUNT; i++) {
        static const struct view_model absent;
        json_write_key(w, model_kind_text((enum model_kind)i));
        put_model(w, shot->published ? &shot->view->models[i] : &absent);
    }
    json_write_object_end(w);
}

/* How often and how far the voters that answer are apart. */
static void put_disagreement(struct json_writer *w, const struct api_shot *shot) {
    static const struct view_disagreement none = {.distance = (double)NAN};
    const struct view_disagreement *d = shot->published ? &shot->view->disagreement : &none;
    json_write_key(w, "disagreement");
    json_write_object_begin(w);
    put_u64(w, "decisions", d->decisions);
    put_u64(w, "differ", d->differ);
    put_f64(w, "differ_share",
            d->decisions ? (double)d->differ / (double)d->decisions : (double)NAN);
    put_f64(w, "p_distance", d->distance);
    json_write_object_end(w);
}

/* models_loaded is the number of these that are "loaded". */
static void put_components(struct json_writer *w, const struct api_health *h) {
    put_object(w, "components");
    for (int i = 0; i < API_COMPONENTS; i++) {
        put_object(w, h->components[i].name);
        put_text(w, "state", api_component_state_text(h->components[i].state));
        put_text(w, "evidence", h->components[i].evidence);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static bool ensemble_runs(const struct api_shot *shot) {
    return shot->published && shot->view->running && shot->view->strategy == STRATEGY_ENSEMBLE;
}

static bool is_loaded(const struct api_health *h, const char *name) {
    for (int i = 0; i < API_COMPONENTS; i++)
        if (strcmp(h->components[i].name, name) == 0)
            return h->components[i].state == API_COMPONENT_LOADED;
    return false;
}

/* True means that it works in this run, not that it was asked for. */
static void put_switches(struct json_writer *w, const struct api_shot *shot,
                         const struct api_health *h) {
    put_u64(w, "models_loaded", h->components_loaded);
    put_bool(w, "ensemble_enabled", ensemble_runs(shot));
    put_bool(w, "meta_strategy_enabled", is_loaded(h, "meta_strategy"));
    put_bool(w, "rl_sizing_enabled", is_loaded(h, "rl_sizing"));
    put_bool(w, "governance_active", is_loaded(h, "governance"));
}

static void put_dependencies(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    json_write_key(w, "dependencies");
    json_write_object_begin(w);
    if (shot->published) {
        json_write_key(w, "eventbus");
        json_write_object_begin(w);
        /* 30 s: when an entry nobody acknowledged is handed out again (kernel/bus.h). */
        put_text(w, "status", v->bus_oldest_pending_ns > 30 * NS_PER_SECOND ? "DEGRADED" : "OK");
        put_u64(w, "lag", v->bus_lag);
        put_span_ms(w, "oldest_pending_ms", v->bus_oldest_pending_ns);
        json_write_object_end(w);
        json_write_key(w, "journal");
        json_write_object_begin(w);
        put_text(w, "status", v->journal_durable_seq <= v->journal_seq ? "OK" : "DEGRADED");
        put_u64(w, "sequence", v->journal_seq);
        put_u64(w, "durable_sequence", v->journal_durable_seq);
        json_write_object_end(w);
    }
    json_write_key(w, "trade_journal");
    json_write_object_begin(w);
    bool readable = shot->trades_path && access(shot->trades_path, R_OK) == 0;
    bool nothing_yet = !shot->trades_path || (!readable && errno == ENOENT);
    put_text(w, "status", readable ? "OK" : nothing_yet ? "ABSENT" : "DEGRADED");
    json_write_object_end(w);
    json_write_object_end(w);
}

/* Seconds of the market's time until or since, null where there is no such moment. */
static void put_seconds(struct json_writer *w, const char *key, int64_t from_ns, int64_t to_ns) {
    if (from_ns <= 0 || to_ns <= 0)
        put_null(w, key);
    else
        put_f64(w, key, (double)(to_ns - from_ns) / 1e9);
}

static void put_contract_governance(struct json_writer *w, const struct view *v) {
    const struct view_retrain *r = &v->retrain;
    put_object(w, "governance");
    uint64_t active = 0;
    for (int m = 0; m < MODEL_COUNT; m++) active += api_seat_weight(v, m) > 0;
    put_u64(w, "active_models", active);
    /* Drift is said by sequential tests; the nearest to one threshold is the PSI that halves a weight. */
    put_f64(w, "drift_threshold", drift_config_defaults().psi_severe);
    put_f64(w, "retrain_interval", r->enabled ? (double)r->period_ns / 1e9 : (double)NAN);
    put_ms(w, "last_retrain", r->enabled && r->last_ns > 0 ? r->last_ns : 0);
    api_put_governance(w, v);
    json_write_object_end(w);
}

static void put_contract_retrainer(struct json_writer *w, const struct view *v) {
    const struct view_retrain *r = &v->retrain;
    put_object(w, "adaptive_retrainer");
    put_bool(w, "enabled", r->enabled != 0);
    if (r->enabled) {
        put_f64(w, "retrain_interval_seconds", (double)r->period_ns / 1e9);
        put_u64(w, "retrain_count", r->succeeded);
        put_u64(w, "failed_count", r->failed);
        put_ms(w, "last_retrain", r->last_ns > 0 ? r->last_ns : 0);
        put_seconds(w, "time_since_last_seconds", r->last_ns, v->market_ts_ns);
        put_seconds(w, "time_until_next_seconds", v->market_ts_ns, r->next_ns);
        put_text(w, "running", promotion_trigger_text((enum promotion_trigger)r->running));
    }
    put_object(w, "last_losses");
    for (int m = 0; m < MODEL_COUNT; m++)
        put_f64(w, model_kind_text((enum model_kind)m),
                v->models[m].loaded ? v->models[m].logloss_test : (double)NAN);
    json_write_object_end(w);
    put_object(w, "model_paths");
    for (int m = 0; m < MODEL_COUNT; m++) {
        json_write_key(w, model_kind_text((enum model_kind)m));
        if (v->models[m].loaded)
            json_write_string(w, v->models[m].path);
        else
            json_write_null(w);
    }
    json_write_object_end(w);
    json_write_object_end(w);
}

static void put_contract_validator(struct json_writer *w, const struct view *v) {
    const struct promotion_config c = promotion_config_defaults();
    put_object(w, "model_validator");
    put_bool(w, "enabled", v->retrain.enabled != 0);
    put_object(w, "criteria");
    put_text(w, "rule",
             "MAPE_new < improvement * MAPE_old, MAPE_new < 1, Sharpe_new > Sharpe_old, "
             "and the sequential test");
    put_f64(w, "improvement", c.improvement);
    put_f64(w, "alpha", c.alpha);
    json_write_object_end(w);
    put_array(w, "recent_validations");
    for (int m = 0; v->retrain.enabled && m < MODEL_COUNT; m++) {
        const struct promotion_verdict *d = &v->retrain.verdicts[m];
        if (d->pairs == 0 && d->outcome == PROMOTION_UNDECIDED && d->reason == PROMOTION_PASS)
            continue; /* none yet */
        json_write_object_begin(w);
        put_text(w, "model", model_kind_text((enum model_kind)m));
        api_put_verdict(w, d);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void put_contract_memory(struct json_writer *w, const struct view *v) {
    const struct memory_feedback *m = &v->memory;
    put_object(w, "strategic_memory");
    put_bool(w, "enabled", v->has_engine != 0);
    if (v->has_engine) {
        put_text(w, "preferred_regime", regime_text((enum regime)m->preferred_regime));
        put_text(w, "updated_policy", memory_policy_text((enum memory_policy)m->updated_policy));
        put_f64(w, "confidence_boost", m->confidence_boost);
        put_f64(w, "leverage_hint", m->leverage_hint);
        put_f64(w, "samples", m->samples);
        put_u64(w, "trades", m->count);
        put_f64(w, "mean_r", m->mean_r);
        put_f64(w, "win_rate", m->win_rate);
    }
    json_write_object_end(w);
}

/* What each profile would have earned over the strategies' own plans, in R. */
static void put_exit_brain(struct json_writer *w, const struct view_exit_brain *x) {
    put_object(w, "exit_brain");
    put_bool(w, "enabled", x->is_on != 0);
    for (int p = 0; x->is_on && p < PROFILE_COUNT; p++) {
        const struct exit_choice *c = &x->profiles[p];
        put_object(w, exitbrain_profile_text((enum exit_profile)p));
        put_u64(w, "chosen", x->chosen[p]);
        put_u64(w, "closes", c->count);
        put_f64(w, "gain_r", c->mean);
        put_f64(w, "gain_r_low", c->low);
        put_f64(w, "gain_r_high", c->high);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void put_contract_engine(struct json_writer *w, const struct view *v) {
    put_object(w, "rl_agent");
    put_bool(w, "enabled", v->has_engine != 0);
    if (v->has_engine) {
        put_u64(w, "states", SIZING_STATES);
        put_u64(w, "actions", SIZING_ACTIONS);
        put_u64(w, "rows_trained", v->learned.sizing.rows_trained);
        put_u64(w, "rewarded", v->learned.sizing.credited);
        put_f64(w, "exploration_rate", v->learned.sizing.epsilon);
        put_f64(w, "win_rate", v->learned.sizing.win_rate);
    }
    json_write_object_end(w);
    put_object(w, "meta_regime");
    put_bool(w, "enabled", v->has_engine != 0);
    if (v->has_engine) {
        put_object(w, "symbols");
        for (int r = 0; r < REGIME_COUNT; r++)
            put_u64(w, regime_text((enum regime)r), v->engine.regimes[r]);
        json_write_object_end(w);
    }
    json_write_object_end(w);
    put_contract_governance(w, v);
    put_contract_memory(w, v);
    put_exit_brain(w, &v->exit_brain);
    put_contract_retrainer(w, v);
    put_contract_validator(w, v);
}

static void put_health_metrics(struct json_writer *w, const struct api_shot *shot,
                               const struct api_health *h) {
    const struct view *v = shot->view;
    json_write_key(w, "metrics");
    json_write_object_begin(w);
    put_switches(w, shot, h);
    put_bool(w, "running", shot->published && v->running);
    if (shot->published) {
        put_u64(w, "signals_generated_total", v->signals);
        put_u64(w, "bars_total", v->bars);
        put_u64(w, "events_total", v->events);
        put_u64(w, "intents_total", v->intents);
        put_u64(w, "intents_denied_total", v->intents_denied);
        put_u64(w, "orders_total", v->orders);
        put_u64(w, "fills_total", v->fills);
        put_u64(w, "trades_total", v->trades);
        put_u64(w, "venue_rejects_total", v->venue_rejects);
        put_u64(w, "symbols", v->symbol_count);
        put_u64(w, "symbols_warming", v->warming);
        put_u64(w, "positions_open", v->position_count);
        put_u64(w, "positions_unprotected", v->positions_unprotected_now);
        put_bool(w, "rl_position_sizing", is_loaded(h, "rl_sizing"));
        put_contract_engine(w, v);
    }
    json_write_object_end(w);
}

void api_put_health(struct json_writer *w, const struct api_shot *shot,
                    const struct api_health *h) {
    put_text(w, "service", "ai-engine-service");
    put_text(w, "status", shot->stands_by ? "STANDBY" : h->ok ? "OK" : "DEGRADED");
    put_f64(w, "uptime_seconds", shot->uptime_seconds);
    put_switches(w, shot, h);
    put_text(w, "version", shot->version);
    put_text(w, "commit", shot->commit);
    put_u64(w, "voters_loaded", h->voters_loaded);
    put_u64(w, "pid", (uint64_t)getpid());
    put_ms(w, "timestamp", shot->now_wall_ns);
    json_write_key(w, "reasons");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < h->reason_count; i++) json_write_string(w, h->reasons[i]);
    json_write_array_end(w);
    put_bool(w, "ready", h->ready);
    api_put_lease(w, shot);
    put_roles(w, h);
    put_models(w, shot);
    put_disagreement(w, shot);
    put_components(w, h);
    put_dependencies(w, shot);
    put_health_metrics(w, shot, h);
}

void api_render_health(struct json_writer *w, const struct api_shot *shot) {
    struct api_health health;
    api_health_judge(&health, shot);
    json_write_object_begin(w);
    api_put_health(w, shot, &health);
    api_put_stamp(w, shot);
    json_write_object_end(w);
}
