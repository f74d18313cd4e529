/* One JSON object. Keys in docs/walk-forward.md. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/tstamp.h"
#include "walk/report.h"

static void text(struct json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_string(w, value);
}

static void count(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void real(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value); /* null if it is no number */
}

static void hash(struct json_writer *w, const char *key, uint64_t value) {
    char out[20];
    snprintf(out, sizeof out, "%016" PRIx64, value);
    text(w, key, out);
}

static void utc(struct json_writer *w, const char *key, int64_t ns) {
    char out[TSTAMP_TEXT_SIZE];
    tstamp_format(out, ns);
    memcpy(out + strlen("2024-10-28T07:00:00"), "Z", 2);
    text(w, key, out);
}

static void begin(struct json_writer *w, const char *key) {
    json_write_key(w, key);
    json_write_object_begin(w);
}

/* ---- answers ---- */

static void write_mean(struct json_writer *w, const char *key, const struct walk_mean *m) {
    begin(w, key);
    real(w, "mean", m->value);
    real(w, "se", m->se);
    real(w, "t", m->t);
    count(w, "closes", m->n);
    json_write_object_end(w);
}

static void write_interval(struct json_writer *w, const char *key, const struct interval *i) {
    begin(w, key);
    real(w, "value", i->value);
    real(w, "low", i->low);
    real(w, "high", i->high);
    json_write_object_end(w);
}

static void write_measures(struct json_writer *w, const char *key, const struct walk_measures *m) {
    begin(w, key);
    count(w, "rows", m->rows);
    count(w, "closes", m->closes);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        char name[16];
        snprintf(name, sizeof name, "auc_%s", label_text((enum label)l));
        for (char *c = name; *c; c++)
            if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
        real(w, name, m->auc[l]);
    }
    real(w, "auc_side", m->auc_side);
    real(w, "log_loss", m->log_loss);
    real(w, "log_loss_constant", m->log_loss_constant);
    write_mean(w, "gain", &m->gain);
    real(w, "brier", m->brier);
    real(w, "brier_constant", m->brier_constant);
    real(w, "ece", m->ece);
    real(w, "ece_chance", m->ece_chance);
    write_mean(w, "ic", &m->ic);
    count(w, "sided", m->sided);
    write_interval(w, "hit", &m->hit);
    write_interval(w, "hit_side", &m->hit_side);
    json_write_key(w, "reliability");
    json_write_array_begin(w);
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
        struct reliability_row row = reliability_row(&m->reliability, b);
        if (row.count == 0) continue;
        json_write_object_begin(w);
        count(w, "count", row.count);
        real(w, "p", row.p_mean);
        real(w, "came", row.hit_share);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_coverage(struct json_writer *w, const char *key, const struct walk_coverage *c) {
    begin(w, key);
    count(w, "given", c->given);
    count(w, "inside", c->inside);
    real(w, "share", c->given ? (double)c->inside / (double)c->given : (double)NAN);
    real(w, "share_of_horizon_return",
         c->given ? (double)c->inside_horizon / (double)c->given : (double)NAN);
    real(w, "width", c->width);
    json_write_object_end(w);
}

static void write_subjects(struct json_writer *w, const struct walk_report *r) {
    begin(w, "subjects");
    for (uint32_t k = 0; k < WALK_SUBJECT_COUNT; k++) {
        const struct walk_subject_report *s = &r->subjects[k];
        begin(w, walk_subject_text((enum walk_subject)k));
        if (k < MODEL_COUNT) {
            begin(w, "states");
            for (uint32_t i = 0; i < WALK_STATES; i++)
                count(w, vote_state_text((enum vote_state)i), s->states[i]);
            json_write_object_end(w);
        }
        write_measures(w, "all", &s->all);
        if (k != WALK_POOL_ALL) write_measures(w, "voted", &s->voted);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

/* ---- money ---- */

static void write_variant(struct json_writer *w, const struct walk_variant *v) {
    begin(w, v->name);
    text(w, "what", v->what);
    count(w, "trades", v->trades);
    real(w, "total_return", v->total_return);
    real(w, "sharpe", v->sharpe.value);
    real(w, "sharpe_low", v->sharpe.low);
    real(w, "sharpe_high", v->sharpe.high);
    begin(w, "bootstrap");
    real(w, "low", v->blocks.low);
    real(w, "high", v->blocks.high);
    real(w, "block_days", v->blocks.block);
    count(w, "draws", v->blocks.draws);
    real(w, "not_positive", v->blocks.not_positive);
    json_write_object_end(w);
    real(w, "deflated", v->deflated.probability);
    real(w, "deflated_by_chance_alone", v->deflated.chance);
    real(w, "max_drawdown", v->max_drawdown);
    real(w, "win_rate", v->win_rate);
    real(w, "win_rate_low", v->win_low);
    real(w, "win_rate_high", v->win_high);
    real(w, "exposure", v->exposure);
    json_write_object_end(w);
}

static void write_chance(struct json_writer *w, const struct walk_report *r) {
    begin(w, "deflated_sharpe");
    count(w, "trials", r->trials.count);
    for (int k = 0; k < WALK_TRIAL_KINDS; k++) {
        char key[32];
        snprintf(key, sizeof key, "trials_%s", walk_trial_kind_text((enum walk_trial_kind)k));
        count(w, key, r->trials.by_kind[k]);
    }
    count(w, "trials_with_ratio", r->trials.known);
    real(w, "variance", r->deflated.variance);
    real(w, "expected_max_daily", r->deflated.expected_max);
    real(w, "sharpe_daily", r->moments.sharpe);
    real(w, "skew", r->moments.skew);
    real(w, "kurtosis", r->moments.kurtosis);
    real(w, "probability", r->deflated.probability);
    real(w, "probability_by_chance_alone", r->deflated.chance);
    real(w, "probability_single", r->deflated.single);
    json_write_object_end(w);
    begin(w, "overfitting");
    real(w, "pbo", r->pbo.pbo);
    count(w, "variants", r->pbo.variants);
    count(w, "parts", r->pbo.parts);
    count(w, "choices", r->pbo.choices);
    real(w, "logit_median", r->pbo.logit_median);
    real(w, "loss_after_choice", r->pbo.loss);
    real(w, "slope", r->pbo.slope);
    json_write_object_end(w);
    begin(w, "dice");
    count(w, "draws", r->dice.draws);
    real(w, "own", r->dice.own);
    real(w, "mean", r->dice.mean);
    real(w, "low", r->dice.low);
    real(w, "high", r->dice.high);
    real(w, "p", r->dice.at_least_own);
    json_write_object_end(w);
}

static void write_capacity(struct json_writer *w, const struct walk_report *r) {
    begin(w, "capacity");
    text(w, "model", "impact = sigma_day sqrt(notional / volume_day)");
    count(w, "orders", r->capacity.orders);
    count(w, "left_out", r->capacity.left_out);
    real(w, "impact_bps", r->capacity.impact_bps);
    real(w, "participation", r->capacity.participation);
    json_write_key(w, "levels");
    json_write_array_begin(w);
    for (int i = 0; i < WALK_CAPACITY_LEVELS; i++) {
        json_write_object_begin(w);
        real(w, "bps", walk_capacity_bps[i]);
        real(w, "capital", r->capacity.capital[i]);
        real(w, "participation", r->capacity.participation_at[i]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
    real(w, "turnover_per_year", r->turnover);
}

/* ---- models, months ---- */

static void write_seats(struct json_writer *w, const struct walk_report *r) {
    begin(w, "retraining");
    count(w, "rounds", r->retrain.rounds);
    count(w, "succeeded", r->retrain.succeeded);
    count(w, "failed", r->retrain.failed);
    count(w, "missed", r->retrain.missed);
    begin(w, "seats");
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        const struct walk_seat *s = &r->seats[k];
        begin(w, model_kind_text((enum model_kind)k));
        count(w, "trained", s->trained);
        count(w, "no_skill", s->no_skill);
        count(w, "shadows", s->shadows);
        count(w, "promoted", s->promoted);
        count(w, "rejected", s->rejected);
        count(w, "demoted", s->demoted);
        count(w, "rolled_back", s->rolled_back);
        json_write_object_end(w);
    }
    json_write_object_end(w);
    json_write_key(w, "changes");
    json_write_array_begin(w);
    for (size_t i = 0; i < r->change_count; i++) {
        const struct walk_change *c = &r->changes[i];
        json_write_object_begin(w);
        utc(w, "at", c->ts_ns);
        text(w, "kind", model_kind_text(c->kind));
        hash(w, "model", c->hash);
        text(w, "event", c->event);
        text(w, "from", c->from);
        text(w, "to", c->to);
        text(w, "reason", c->reason);
        text(w, "figures", c->figures);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_months(struct json_writer *w, const struct walk_report *r) {
    json_write_key(w, "months");
    json_write_array_begin(w);
    for (uint32_t m = 0; m < r->month_count; m++) {
        const struct walk_month *x = &r->months[m];
        json_write_object_begin(w);
        utc(w, "from", x->from_ns);
        real(w, "net", x->net);
        write_coverage(w, "coverage", &x->coverage);
        begin(w, "weights");
        for (uint32_t k = 0; k < MODEL_COUNT; k++)
            real(w, model_kind_text((enum model_kind)k), x->weights[k]);
        json_write_object_end(w);
        begin(w, "subjects");
        for (uint32_t k = 0; k < WALK_SUBJECT_COUNT; k++) {
            begin(w, walk_subject_text((enum walk_subject)k));
            count(w, "rows", x->of[k].rows);
            real(w, "ic", x->of[k].ic);
            real(w, "auc_side", x->of[k].auc_side);
            real(w, "gain", x->of[k].gain);
            json_write_object_end(w);
        }
        json_write_object_end(w);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_head(struct json_writer *w, const struct walk_report *r) {
    char interval[16];
    text(w, "command", r->command);
    text(w, "data", r->data);
    text(w, "training", r->training);
    utc(w, "from", r->from_ns);
    utc(w, "to", r->to_ns);
    text(w, "interval", tstamp_interval_format(interval, r->interval_ns));
    real(w, "window_days", (double)r->window_ns / (double)NS_PER_DAY);
    real(w, "retrain_days", (double)r->retrain_ns / (double)NS_PER_DAY);
    count(w, "symbols", r->symbols);
    count(w, "horizon_bars", r->horizon);
    count(w, "seed", r->seed);
    hash(w, "fingerprint", r->fingerprint);
    real(w, "wall_seconds", r->wall_seconds);
    count(w, "closes", r->closes);
    count(w, "closes_missing", r->closes_missing);
    count(w, "decisions", r->decisions);
    count(w, "outcomes", r->outcomes);
}

void walk_report_json(struct json_writer *w, const struct walk_report *r) {
    json_write_object_begin(w);
    write_head(w, r);
    write_subjects(w, r);
    write_coverage(w, "interval_coverage", &r->coverage);
    real(w, "interval_nominal", 1 - r->alpha);
    begin(w, "variants");
    for (uint32_t i = 0; i < r->variant_count; i++) write_variant(w, &r->variants[i]);
    json_write_object_end(w);
    write_chance(w, r);
    write_capacity(w, r);
    write_seats(w, r);
    write_months(w, r);
    json_write_key(w, "run");
    report_write_json(w, &r->run);
    json_write_object_end(w);
}
