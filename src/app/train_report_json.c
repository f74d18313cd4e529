/* The report as one JSON object. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/train_report_internal.h"
#include "base/json.h"
#include "base/tstamp.h"

static void write_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}

static void write_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void write_f64(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static void write_bool(struct json_writer *w, const char *key, bool value) {
    json_write_key(w, key);
    json_write_bool(w, value);
}

static void write_time(struct json_writer *w, const char *key, int64_t ns) {
    char text[TSTAMP_TEXT_SIZE];
    write_text(w, key, tstamp_format(text, ns));
}

static void object_begin(struct json_writer *w, const char *key) {
    json_write_key(w, key);
    json_write_object_begin(w);
}

static void write_array(struct json_writer *w, const char *key, const double *values, size_t n) {
    json_write_key(w, key);
    json_write_array_begin(w);
    for (size_t i = 0; i < n; i++) json_write_f64(w, values[i]);
    json_write_array_end(w);
}

/* ---- training's own ---- */

static void write_shares(struct json_writer *w, const char *key, const double *share) {
    object_begin(w, key);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) write_f64(w, label_text((enum label)l), share[l]);
    json_write_object_end(w);
}

static void write_window(struct json_writer *w, const char *key, int64_t from_ns, int64_t to_ns,
                         size_t rows) {
    object_begin(w, key);
    write_time(w, "from", from_ns);
    write_time(w, "to", to_ns);
    write_u64(w, "rows", rows);
    json_write_object_end(w);
}

static void write_training(struct json_writer *w, const struct learn_report *r) {
    write_window(w, "train", r->train_from_ns, r->train_to_ns, r->rows_train);
    write_window(w, "valid", r->valid_from_ns, r->valid_to_ns, r->rows_valid);
    write_window(w, "test", r->test_from_ns, r->test_to_ns, r->rows_test);
    write_text(w, "params", r->params);
    write_u64(w, "symbols", r->symbols);
    write_u64(w, "rounds", r->rounds);
    write_shares(w, "labels_train", r->share);
    write_shares(w, "answers_test", r->predicted_share);
    write_f64(w, "logloss_test", r->logloss_test);
    write_f64(w, "logloss_prior", r->logloss_prior);
    write_f64(w, "skill_t", r->skill_t);
    write_f64(w, "side_t", r->side_t);
    write_f64(w, "accuracy", r->accuracy);
    write_f64(w, "balanced_accuracy", r->balanced_accuracy);
    write_f64(w, "ece", r->ece);
    if (!isnan(r->mse_path)) {
        write_f64(w, "mse_path", r->mse_path);
        write_f64(w, "mse_persistence", r->mse_persistence);
        write_f64(w, "mse_dlinear", r->mse_dlinear);
    }
    write_bool(w, "shuffled", r->shuffled);
    write_bool(w, "has_skill", r->has_skill);
    write_bool(w, "votes", r->has_skill && !r->shuffled);
    write_text(w, "verdict", r->verdict);
}

/* ---- measured ---- */

static void write_reliability(struct json_writer *w, const char *key,
                              const struct reliability *table) {
    object_begin(w, key);
    write_f64(w, "ece", reliability_ece(table));
    write_f64(w, "ece_chance", reliability_ece_chance(table));
    json_write_key(w, "bins");
    json_write_array_begin(w);
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
        struct reliability_row row = reliability_row(table, b);
        if (row.count == 0) continue;
        json_write_object_begin(w);
        write_u64(w, "rows", row.count);
        write_f64(w, "said", row.p_mean);
        write_f64(w, "came", row.hit_share);
        write_f64(w, "low", row.hit_low);
        write_f64(w, "high", row.hit_high);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_scores(struct json_writer *w, const char *key, const struct train_scores *s) {
    object_begin(w, key);
    write_u64(w, "rows", s->rows);
    write_f64(w, "logloss", s->logloss);
    write_f64(w, "brier", s->brier);
    write_f64(w, "accuracy", s->accuracy);
    write_reliability(w, "best", &s->best);
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        write_reliability(w, label_text((enum label)l), &s->label[l]);
    object_begin(w, "confidence");
    write_f64(w, "min", s->p_min);
    write_f64(w, "mean", s->p_mean);
    write_f64(w, "max", s->p_max);
    write_f64(w, "deviation", s->p_deviation);
    write_u64(w, "distinct", s->distinct);
    json_write_key(w, "histogram");
    json_write_array_begin(w);
    for (int b = 0; b < TRAIN_BINS; b++) json_write_u64(w, s->histogram[b]);
    json_write_array_end(w);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void write_trading(struct json_writer *w, const struct train_trading *t, size_t points) {
    object_begin(w, "trading");
    write_f64(w, "return", t->total);
    write_f64(w, "sharpe", t->sharpe.value);
    write_f64(w, "sharpe_low", t->sharpe.low);
    write_f64(w, "sharpe_high", t->sharpe.high);
    write_f64(w, "drawdown", t->drawdown);
    write_u64(w, "trades", t->trades);
    write_f64(w, "costs", t->costs);
    write_f64(w, "long_share", t->longs);
    write_f64(w, "short_share", t->shorts);
    write_array(w, "equity", t->equity, points);
    if (t->shifts) {
        object_begin(w, "random");
        write_u64(w, "shifts", t->shifts);
        write_f64(w, "return", t->random_total);
        write_f64(w, "p", t->p_random);
        write_array(w, "low", t->low, points);
        write_array(w, "middle", t->middle, points);
        write_array(w, "high", t->high, points);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void write_importance(struct json_writer *w, const struct train_importance *imp) {
    object_begin(w, "importance");
    write_text(w, "by", imp->by_gain ? "gain" : "permutation");
    if (!imp->by_gain) write_u64(w, "rows", imp->rows);
    json_write_key(w, "columns");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < imp->count; i++) {
        json_write_object_begin(w);
        write_text(w, "name", feature_at(imp->columns[i])->name);
        write_f64(w, "value", imp->values[i]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_curve(struct json_writer *w, const struct train_curve *c) {
    object_begin(w, "curve");
    write_array(w, "at", c->at, c->count);
    write_array(w, "train", c->train, c->count);
    write_array(w, "valid", c->valid, c->count);
    json_write_object_end(w);
}

/* ---- the whole ---- */

static void write_model(struct json_writer *w, const struct train_report *r, uint32_t kind) {
    const struct train_model *m = &r->models[kind];
    json_write_object_begin(w);
    write_text(w, "model", m->path);
    write_text(w, "kind", model_kind_text((enum model_kind)kind));
    write_training(w, served_model_report(m->model));
    write_curve(w, &m->curve);
    if (r->is_measured) {
        write_scores(w, "scores", &m->scores);
        write_importance(w, &m->importance);
        write_scores(w, "common", &r->common[kind]);
        write_trading(w, &r->trading[kind], r->points);
    }
    json_write_object_end(w);
}

static void write_measured(struct json_writer *w, const struct train_report *r) {
    object_begin(w, "common");
    write_time(w, "from", r->from_ns);
    write_time(w, "to", r->to_ns);
    write_u64(w, "bars", r->bars);
    json_write_object_end(w);
    write_f64(w, "cost_side", r->cost_side);
    write_u64(w, "horizon_bars", r->horizon_bars);
    for (uint32_t e = MODEL_COUNT; e < TRAIN_ENTRIES; e++) {
        if (!r->trading[e].is_traded) continue;
        object_begin(w, train_entry_name(e));
        if (r->common[e].rows) write_scores(w, "common", &r->common[e]);
        write_trading(w, &r->trading[e], r->points);
        json_write_object_end(w);
    }
    write_array(w, "seconds", r->seconds, r->points);
}

static void write_report(struct json_writer *w, const struct train_report *r) {
    char interval[16];
    json_write_object_begin(w);
    write_text(w, "interval", tstamp_interval_format(interval, r->config->interval_ns));
    write_u64(w, "symbols", r->series_count);
    write_u64(w, "seed", r->config->seed);
    json_write_key(w, "models");
    json_write_array_begin(w);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (r->models[k].model) write_model(w, r, k);
    json_write_array_end(w);
    if (r->is_measured) write_measured(w, r);
    json_write_object_end(w);
}

enum status train_report_json(char **out, size_t *size, const struct train_report *r,
                              struct err *err) {
    *out = NULL;
    *size = 0;
    for (size_t capacity = 1 << 16; capacity <= (size_t)1 << 28; capacity *= 2) {
        char *text = malloc(capacity);
        if (!text) break;
        struct json_writer w;
        json_writer_init(&w, text, capacity);
        write_report(&w, r);
        if (json_writer_finish(&w) == ST_OK) {
            *out = text;
            *size = w.size;
            return ST_OK;
        }
        free(text);
    }
    return err_set(err, ST_NO_MEMORY, "no memory for the report");
}
