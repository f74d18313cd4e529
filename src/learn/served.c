#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "learn/net_internal.h"

/* Rows predicted at once; more come in several calls. */
enum { BATCH_ROWS = 256, NET_ROWS = 64 };

struct served_model {
    struct model *model; /* a forest, or NULL */
    struct net *net;     /* a network, or NULL */
    uint64_t hash;
    struct model_meta meta;
    struct served_evidence evidence;
    double importance[FEATURE_COUNT_MAX]; /* of a forest */
};

void served_model_destroy(struct served_model *m) {
    if (!m) return;
    model_destroy(m->model);
    net_destroy(m->net);
    free(m);
}

/* Each column's share of what the splits gained: from the trees themselves, so it cannot be another's. */
static enum status weigh_columns(struct served_model *m, struct err *err) {
    const struct tree_model *trees = model_trees(m->model);
    uint64_t splits[FEATURE_COUNT_MAX], all = 0;
    double sum = 0;
    tree_importance(m->importance, splits, trees);
    for (uint32_t k = 0; k < trees->columns; k++) {
        m->importance[k] = fmax(m->importance[k], 0);
        sum += m->importance[k];
        all += splits[k];
    }
    if (all > 0 && !(sum > 0 && isfinite(sum)))
        return err_set(err, ST_CORRUPT, "its splits do not say what they gained");
    for (uint32_t k = 0; k < trees->columns && all > 0; k++) m->importance[k] /= sum;
    return ST_OK;
}

static void show_evidence(struct served_model *m) {
    const struct model_evidence *e = &m->meta.evidence;
    m->evidence = (struct served_evidence){.test = e->test,
                                           .inputs = e->inputs,
                                           .importance = m->net ? NULL : m->importance,
                                           .features = feature_count(),
                                           .residuals = e->residuals,
                                           .reliability = e->reliability};
}

static enum status load(struct served_model *m, const char *path, struct err *err) {
    bool is_network;
    enum status st = net_file_is(&is_network, path, err);
    if (st != ST_OK) return st;
    if (is_network) return net_load(&m->net, &m->meta, &m->hash, path, NET_ROWS, false, NULL, err);
    st = model_load(&m->model, path, err);
    if (st != ST_OK) return st;
    m->hash = model_trees(m->model)->file_hash;
    st = model_meta_read(&m->meta, model_trees(m->model), err);
    if (st == ST_OK) st = weigh_columns(m, err);
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
    show_evidence(m);
    *out = m;
    return ST_OK;
}

bool served_model_reads_history(const struct served_model *m) {
    return m->net != NULL;
}

static bool row_is_warm(const struct served_model *m, const float *row) {
    if (!isfinite(feature_atr_fraction(row))) return false;
    uint32_t columns = feature_count();
    for (uint32_t k = 0; k < columns; k++)
        if (m->meta.required[k] && isnan(row[k])) return false;
    return true;
}

/* p: of the model, in its file's order of labels. */
static void vote_of_row(struct model_vote *out, const struct served_model *m, const float *row,
                        const double *p) {
    const struct learn_report *r = &m->meta.report;
    out->state = r->has_skill && !r->shuffled ? VOTE_PRESENT : VOTE_NO_SKILL;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out->p[l] = p[m->meta.label_column[l]];
    calibration_apply(out->p, m->meta.calibration);
    out->move = label_barrier(&m->meta.labels, (double)feature_atr_fraction(row));
}

static void forest_votes(struct model_vote *out, struct served_model *m, const float *features,
                         size_t rows, uint32_t stride) {
    double p[BATCH_ROWS * LABEL_COUNT];
    for (size_t done = 0; done < rows;) {
        size_t count = rows - done < BATCH_ROWS ? rows - done : BATCH_ROWS;
        const float *batch = features + done * stride;
        model_predict(p, m->model, batch, count, stride);
        for (size_t i = 0; i < count; i++)
            if (row_is_warm(m, batch + i * stride))
                vote_of_row(&out[done + i], m, batch + i * stride, p + i * LABEL_COUNT);
        done += count;
    }
}

/* ---- networks ---- */

static bool history_is_warm(const struct served_model *m, const struct net_history *h) {
    return h && net_history_is_full(h) && h->interval_ns == m->meta.interval_ns && isfinite(h->atr);
}

/* The history's window as number i of the next forecasts; returns its sigma. */
static double ask(struct served_model *m, size_t i, const struct net_history *h) {
    float values[NET_WINDOW * NET_CHANNELS], window[NET_WINDOW * NET_CHANNELS];
    const struct label_spec *labels = &m->meta.labels;
    net_history_values(values, h);
    double sigma = net_window(window, values);
    net_input_set(&m->net->input, i, window);
    m->net->context[i * NET_CONTEXT] =
        net_context(label_barrier(labels, (double)h->atr), sigma, labels->horizon_bars);
    return sigma;
}

static void answer(struct model_vote *out, struct served_model *m, const float *features,
                   uint32_t stride, const size_t *asked, size_t count) {
    double p[NET_ROWS * LABEL_COUNT];
    if (count == 0) return;
    net_predict(p, NULL, m->net, count);
    for (size_t i = 0; i < count; i++)
        if (isfinite(p[i * LABEL_COUNT])) /* NaN throughout or nowhere */
            vote_of_row(&out[asked[i]], m, features + asked[i] * stride, p + i * LABEL_COUNT);
}

static void network_votes(struct model_vote *out, struct served_model *m, const float *features,
                          const struct net_history *const *histories, size_t rows,
                          uint32_t stride) {
    size_t asked[NET_ROWS], count = 0;
    for (size_t i = 0; i < rows; i++) {
        const float *row = features + i * stride;
        if (!row_is_warm(m, row) || !history_is_warm(m, histories[i])) continue;
        ask(m, count, histories[i]);
        asked[count++] = i;
        if (count < NET_ROWS) continue;
        answer(out, m, features, stride, asked, count);
        count = 0;
    }
    answer(out, m, features, stride, asked, count);
}

enum status served_model_vote(struct model_vote *out, struct served_model *m, const float *features,
                              const struct net_history *const *histories, size_t rows,
                              uint32_t stride, struct err *err) {
    uint32_t columns = feature_count();
    if (stride < columns)
        return err_set(err, ST_INVALID, "rows of %u columns, %u are needed", stride, columns);
    if (m->net && !histories && rows > 0)
        return err_set(err, ST_INVALID, "%s votes on histories, and was given none",
                       model_kind_text(m->net->kind));
    for (size_t i = 0; i < rows; i++) out[i] = (struct model_vote){.state = VOTE_WARMING};
    if (m->net)
        network_votes(out, m, features, histories, rows, stride);
    else
        forest_votes(out, m, features, rows, stride);
    return ST_OK;
}

enum status served_model_path(double *out, struct served_model *m,
                              const struct net_history *history) {
    if (!m->net) return ST_UNSUPPORTED;
    size_t horizon = m->net->horizon, values = horizon * NET_QUANTILES;
    for (size_t i = 0; i < values; i++) out[i] = (double)NAN;
    if (!history_is_warm(m, history)) return ST_AGAIN;
    double sigma = ask(m, 0, history);
    net_predict(NULL, out, m->net, 1);
    for (size_t i = 0; i < values; i++) {
        size_t step = i / NET_QUANTILES + 1;
        out[i] *= sigma * sqrt((double)step);
    }
    return isfinite(out[0]) ? ST_OK : ST_AGAIN;
}

const struct learn_report *served_model_report(const struct served_model *m) {
    return &m->meta.report;
}
const struct served_evidence *served_model_evidence(const struct served_model *m) {
    return &m->evidence;
}
const struct label_spec *served_model_labels(const struct served_model *m) {
    return &m->meta.labels;
}
uint64_t served_model_hash(const struct served_model *m) {
    return m->hash;
}
int64_t served_model_data_end_ns(const struct served_model *m) {
    return m->meta.data_end_ns;
}
int64_t served_model_interval_ns(const struct served_model *m) {
    return m->meta.interval_ns;
}
const struct model *served_model_forest(const struct served_model *m,
                                        const uint8_t **label_column) {
    *label_column = m->meta.label_column;
    return m->model;
}
enum model_kind served_model_kind(const struct served_model *m) {
    if (m->net) return m->net->kind;
    return model_trees(m->model)->dialect == TREES_LIGHTGBM ? MODEL_LIGHTGBM : MODEL_XGBOOST;
}
uint64_t served_model_weights(const struct served_model *m) {
    if (!m->net) return 0;
    const struct nn_params *parts[] = {&m->net->network->params, &m->net->head.params};
    uint64_t weights = 0;
    for (size_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < parts[k]->count; i++) {
            const struct nn_tensor *t = &parts[k]->tensors[i];
            if (t->trainable && !t->is_tied) weights += t->count;
        }
    return weights;
}
