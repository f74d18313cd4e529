#include "learn/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/learn_internal.h"
#include "ml/forest/shap.h"

/* Rows asked at once on the way to a flip. */
enum { FLIP_ROWS = 64 };

/* XGBoost sums its margins in float32: over some hundred trees that is the last digits. */
#define SUM_TOLERANCE 1e-4

struct work {
    struct served_model *served;
    const struct model *model;
    const struct tree_model *trees;
    uint32_t columns; /* of a row and of the forest */
    float row[FEATURE_COUNT_MAX];
    double *contributions; /* (outputs, columns + 1) */
    void *scratch;
    float *thresholds; /* of one column, ascending */
    float *rows;       /* (FLIP_ROWS, columns) */
};

static void work_free(struct work *w) {
    free(w->contributions);
    free(w->scratch);
    free(w->thresholds);
    free(w->rows);
}

static size_t splits_of(const struct tree_model *t) {
    size_t n = 0;
    for (uint32_t i = 0; i < t->tree_count; i++) n += t->trees[i].split_count;
    return n;
}

static enum status work_open(struct work *w, struct served_model *m, struct err *err) {
    const struct tree_model *t = w->trees;
    size_t values = (size_t)t->outputs * (t->columns + 1);
    w->served = m;
    w->contributions = malloc(values * sizeof *w->contributions);
    w->scratch = aligned_alloc(64, (shap_scratch_size(t) + 63) / 64 * 64);
    w->thresholds = malloc((splits_of(t) + 1) * sizeof *w->thresholds);
    w->rows = malloc((size_t)FLIP_ROWS * w->columns * sizeof *w->rows);
    if (w->contributions && w->scratch && w->thresholds && w->rows) return ST_OK;
    return err_set(err, ST_NO_MEMORY, "explanation");
}

/* ---- contributions ---- */

static uint32_t iterations_of(const struct tree_model *t) {
    return t->best_iterations ? t->best_iterations : t->tree_count / t->trees_per_iteration;
}

static enum status contribute(struct work *w, struct err *err) {
    double row[FEATURE_COUNT_MAX];
    for (uint32_t k = 0; k < w->columns; k++) row[k] = (double)w->row[k];
    enum status st =
        shap_contributions(w->contributions, w->trees, 0, iterations_of(w->trees), row, w->scratch);
    return st == ST_OK ? st : err_set(err, st, "the trees do not say what their branches weigh");
}

/* The columns by magnitude; sums are checked against what the serving code computes. */
static enum status features_take(struct model_explanation *out, const struct work *w,
                                 uint32_t output, struct err *err) {
    const double *c = w->contributions + (size_t)output * (w->columns + 1);
    double margins[LABEL_COUNT], sum = c[w->columns], scale = 1;
    bool taken[FEATURE_COUNT_MAX] = {false};
    for (uint32_t k = 0; k < w->columns; k++) {
        sum += c[k];
        scale += fabs(c[k]);
    }
    forest_margin_f32(margins, model_forest(w->model), w->row, 1, w->columns);
    if (!(fabs(sum - margins[output]) <= SUM_TOLERANCE * scale))
        return err_set(err, ST_CORRUPT, "contributions sum to %.9g, the margin is %.9g", sum,
                       margins[output]);
    out->expectation = c[w->columns];
    out->margin = sum;
    out->rest = sum - c[w->columns];
    while (out->feature_count < EXPLAIN_FEATURES) {
        uint32_t best = w->columns;
        for (uint32_t k = 0; k < w->columns; k++)
            if (!taken[k] && c[k] != 0 && (best == w->columns || fabs(c[k]) > fabs(c[best])))
                best = k;
        if (best == w->columns) break;
        taken[best] = true;
        out->rest -= c[best];
        out->features[out->feature_count++] =
            (struct explain_feature){.index = best, .value = w->row[best], .contribution = c[best]};
    }
    return ST_OK;
}

/* ---- flips ---- */

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The greatest value that goes left at the threshold; its successor goes right. */
static float last_left(enum tree_dialect dialect, double threshold) {
    float t = (float)threshold;
    if (dialect == TREES_XGBOOST) return nextafterf(t, -INFINITY);
    return (double)t > threshold ? nextafterf(t, -INFINITY) : t;
}

/* Where the forest changes along a column: ascending, without repetition. */
static size_t thresholds_take(struct work *w, uint32_t column) {
    const struct tree_model *t = w->trees;
    uint32_t used = iterations_of(t) * t->trees_per_iteration;
    size_t n = 0, kept = 0;
    for (uint32_t i = 0; i < used; i++)
        for (uint32_t s = 0; s < t->trees[i].split_count; s++)
            if (t->trees[i].feature[s] == (int32_t)column &&
                !(t->trees[i].decision[s] & DECISION_CATEGORICAL))
                w->thresholds[n++] = last_left(t->dialect, t->trees[i].threshold[s]);
    qsort(w->thresholds, n, sizeof *w->thresholds, ascending);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || w->thresholds[i] > w->thresholds[kept - 1])
            w->thresholds[kept++] = w->thresholds[i];
    return kept;
}

static enum status best_labels(enum label *out, struct work *w, size_t count, struct err *err) {
    struct model_vote votes[FLIP_ROWS];
    enum status st = served_model_vote(votes, w->served, w->rows, NULL, count, w->columns, err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        out[i] = votes[i].state == VOTE_WARMING ? LABEL_COUNT : ensemble_best_label(votes[i].p);
    return st;
}

/* One way: values (count) in the order of distance; the first that gives another label. *found: count, none. */
static enum status flip_seek(size_t *found, enum label *label, struct work *w, uint32_t column,
                             enum label best, size_t first, size_t count, bool upward,
                             struct err *err) {
    enum label labels[FLIP_ROWS];
    *found = count;
    for (size_t done = 0; done < count; done += FLIP_ROWS) {
        size_t n = count - done < FLIP_ROWS ? count - done : FLIP_ROWS;
        for (size_t i = 0; i < n; i++) {
            float *row = w->rows + i * w->columns;
            size_t at = upward ? first + done + i : first - done - i;
            memcpy(row, w->row, w->columns * sizeof *row);
            row[column] = upward ? nextafterf(w->thresholds[at], INFINITY) : w->thresholds[at];
        }
        enum status st = best_labels(labels, w, n, err);
        if (st != ST_OK) return st;
        for (size_t i = 0; i < n; i++)
            if (labels[i] != best && labels[i] != LABEL_COUNT) {
                *found = done + i;
                *label = labels[i];
                return ST_OK;
            }
    }
    return ST_OK;
}

/* Between two thresholds the forest is constant: the smallest change ends right behind one. */
static enum status flip_find(struct explain_flip *out, bool *is_found, struct work *w,
                             uint32_t column, enum label best, struct err *err) {
    float value = w->row[column];
    size_t n = thresholds_take(w, column), below = 0;
    *is_found = false;
    if (isnan(value) || n == 0) return ST_OK;
    while (below < n && w->thresholds[below] < value) below++; /* thresholds left of the value */
    size_t up, down;
    enum label up_label = best, down_label = best;
    enum status st = flip_seek(&up, &up_label, w, column, best, below, n - below, true, err);
    if (st == ST_OK && below > 0)
        st = flip_seek(&down, &down_label, w, column, best, below - 1, below, false, err);
    else
        down = below;
    if (st != ST_OK || (up == n - below && down == below)) return st;
    float to_up = up < n - below ? nextafterf(w->thresholds[below + up], INFINITY) : INFINITY;
    float to_down = down < below ? w->thresholds[below - 1 - down] : -INFINITY;
    bool upward = (double)to_up - (double)value <= (double)value - (double)to_down;
    float to = upward ? to_up : to_down;
    double span = (double)w->thresholds[n - 1] - (double)w->thresholds[0];
    double change = fabs((double)to - (double)value);
    *out = (struct explain_flip){.index = column,
                                 .label = upward ? up_label : down_label,
                                 .value = value,
                                 .to = to,
                                 .share = span > 0 ? change / span : (double)NAN};
    *is_found = true;
    return ST_OK;
}

static bool is_nearer(const struct explain_flip *a, const struct explain_flip *b) {
    return isnan(b->share) ? !isnan(a->share) : a->share < b->share;
}

static enum status flips_take(struct model_explanation *out, struct work *w, struct err *err) {
    out->flips_tried = out->feature_count < EXPLAIN_FLIPS ? out->feature_count : EXPLAIN_FLIPS;
    for (uint32_t i = 0; i < out->flips_tried; i++) {
        struct explain_flip flip;
        bool is_found;
        enum status st =
            flip_find(&flip, &is_found, w, out->features[i].index, (enum label)out->best, err);
        if (st != ST_OK) return st;
        if (!is_found) continue;
        uint32_t at = out->flip_count++;
        for (; at > 0 && is_nearer(&flip, &out->flips[at - 1]); at--)
            out->flips[at] = out->flips[at - 1];
        out->flips[at] = flip;
    }
    return ST_OK;
}

/* ---- one row ---- */

static enum status explain(struct model_explanation *out, struct work *w, uint32_t output,
                           struct err *err) {
    enum label best;
    memcpy(w->rows, w->row, w->columns * sizeof *w->row);
    enum status st = best_labels(&best, w, 1, err);
    if (st != ST_OK) return st;
    if (best == LABEL_COUNT) return err_set(err, ST_AGAIN, "the model does not answer on this row");
    out->best = best;
    st = contribute(w, err);
    if (st == ST_OK) st = features_take(out, w, output, err);
    if (st == ST_OK) st = flips_take(out, w, err);
    return st;
}

enum status served_model_explain(struct model_explanation *out, struct served_model *m,
                                 enum label label, const float *row, struct err *err) {
    const uint8_t *label_column;
    const struct model *model = served_model_forest(m, &label_column);
    if (!model)
        return err_set(err, ST_UNSUPPORTED, "%s is a network: there are no contributions of one",
                       model_kind_text(served_model_kind(m)));
    struct work w = {.model = model, .trees = model_trees(model), .columns = feature_count()};
    if (w.trees->columns != w.columns || w.trees->outputs != LABEL_COUNT)
        return err_set(err, ST_MISMATCH, "%u columns and %u outputs, not %u and %d",
                       w.trees->columns, w.trees->outputs, w.columns, LABEL_COUNT);
    memset(out, 0, sizeof *out);
    memcpy(w.row, row, w.columns * sizeof *row);
    out->label = label;
    enum status st = work_open(&w, m, err);
    if (st == ST_OK) st = explain(out, &w, label_column[label], err);
    work_free(&w);
    return st;
}
