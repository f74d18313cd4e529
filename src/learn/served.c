#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "learn/learn_internal.h"

/* Rows predicted at once; more come in several calls. */
enum { BATCH_ROWS = 256 };

struct served_model {
    struct model *model;
    struct model_meta meta;
};

void served_model_destroy(struct served_model *m) {
    if (!m) return;
    model_destroy(m->model);
    free(m);
}

static enum status load(struct served_model *m, const char *path, struct err *err) {
    enum status st = model_load(&m->model, path, err);
    if (st != ST_OK) return st;
    st = model_meta_read(&m->meta, model_trees(m->model), err);
    return st == ST_OK ? st : err_wrap(err, st, "model %s", path);
}

enum status served_model_load(struct served_model **out, const char *path, struct err *err) {
    struct served_model *m = calloc(1, sizeof *m);
    if (!m) return err_set(err, ST_NO_MEMORY, "model %s", path);
    enum status st = load(m, path, err);
    if (st != ST_OK) {
        served_model_destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

bool served_model_reads_history(const struct served_model *m) {
    enum model_kind kind = served_model_kind(m);
    return kind == MODEL_NHITS || kind == MODEL_PATCHTST;
}

static bool row_is_warm(const struct served_model *m, const float *row) {
    if (!isfinite(feature_atr_fraction(row))) return false;
    uint32_t columns = feature_count();
    for (uint32_t k = 0; k < columns; k++)
        if (m->meta.required[k] && isnan(row[k])) return false;
    return true;
}

static void vote_of_row(struct model_vote *out, const struct served_model *m, const float *row,
                        const double *p) {
    memset(out, 0, sizeof *out);
    out->state = VOTE_WARMING;
    if (!row_is_warm(m, row)) return;
    const struct learn_report *r = &m->meta.report;
    out->state = r->has_skill && !r->shuffled ? VOTE_PRESENT : VOTE_NO_SKILL;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out->p[l] = p[m->meta.label_column[l]];
    calibration_apply(out->p, m->meta.calibration);
    out->move = label_barrier(&m->meta.labels, (double)feature_atr_fraction(row));
}

enum status served_model_vote(struct model_vote *out, struct served_model *m, const float *features,
                              const struct net_history *const *histories, size_t rows,
                              uint32_t stride, struct err *err) {
    (void)histories; /* forests read rows */
    uint32_t columns = feature_count();
    if (stride < columns)
        return err_set(err, ST_INVALID, "rows of %u columns, %u are needed", stride, columns);
    double p[BATCH_ROWS * LABEL_COUNT];
    for (size_t done = 0; done < rows;) {
        size_t count = rows - done < BATCH_ROWS ? rows - done : BATCH_ROWS;
        const float *batch = features + done * stride;
        model_predict(p, m->model, batch, count, stride);
        for (size_t i = 0; i < count; i++)
            vote_of_row(&out[done + i], m, batch + i * stride, p + i * LABEL_COUNT);
        done += count;
    }
    return ST_OK;
}

const struct learn_report *served_model_report(const struct served_model *m) {
    return &m->meta.report;
}
const struct label_spec *served_model_labels(const struct served_model *m) {
    return &m->meta.labels;
}
uint64_t served_model_hash(const struct served_model *m) {
    return model_trees(m->model)->file_hash;
}
int64_t served_model_data_end_ns(const struct served_model *m) {
    return m->meta.data_end_ns;
}
int64_t served_model_interval_ns(const struct served_model *m) {
    return m->meta.interval_ns;
}
enum model_kind served_model_kind(const struct served_model *m) {
    return model_trees(m->model)->dialect == TREES_LIGHTGBM ? MODEL_LIGHTGBM : MODEL_XGBOOST;
}
