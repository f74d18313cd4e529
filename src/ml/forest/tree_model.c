/* The plain reading of a tree model: every rule once, no layout, no cleverness. */
#include "ml/forest/tree_model.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

/* LightGBM's kZeroThreshold, the float 1e-35: what its dense API takes for absent, so zero. */
static const double zero_threshold = 1e-35f;

/* ---- what a walk relies on ---- */

static const char *split_problem(const struct tree_model *m, const struct tree *t, uint32_t i) {
    if (t->feature[i] < 0 || (uint32_t)t->feature[i] >= m->columns)
        return "a split uses a column beyond the model's";
    if (t->decision[i] >> 4) return "a split's decision type has unknown bits";
    if ((t->decision[i] & DECISION_MISSING_MASK) >> DECISION_MISSING_SHIFT > MISSING_NAN)
        return "a split's missing type is unknown";
    double threshold = t->threshold[i];
    if (isnan(threshold)) return "a threshold is not a number";
    if (t->decision[i] & DECISION_CATEGORICAL) {
        if (!(threshold >= 0 && threshold < (double)t->set_count) || threshold != floor(threshold))
            return "a categorical split has no set";
    } else if (m->dialect == TREES_XGBOOST && (double)(float)threshold != threshold) {
        return "a threshold is not a float";
    }
    return NULL;
}

enum { VISITED_SPLIT = 1, VISITED_LEAF = 2 };

static const char *child_problem(const struct tree *t, uint32_t parent, int32_t child,
                                 uint8_t *visited) {
    bool is_leaf = child < 0;
    uint32_t index = (uint32_t)(is_leaf ? ~child : child);
    if (index >= t->split_count + (is_leaf ? 1 : 0)) return "a child is outside the tree";
    if (!is_leaf && index <= parent) return "a child is not above its parent";
    uint8_t bit = is_leaf ? VISITED_LEAF : VISITED_SPLIT;
    if (visited[index] & bit) return "a node has two parents";
    visited[index] |= bit;
    return NULL;
}

static const char *leaf_problem(const struct tree_model *m, const struct tree *t, uint32_t leaf) {
    if (!isfinite(t->leaf_value[leaf])) return "a leaf's value is not finite";
    if (m->dialect == TREES_XGBOOST && (double)(float)t->leaf_value[leaf] != t->leaf_value[leaf])
        return "a leaf's value is not a float";
    if (!t->is_linear) return NULL;
    if (!isfinite(t->leaf_const[leaf])) return "a linear leaf's constant is not finite";
    if (t->linear_begin[leaf + 1] < t->linear_begin[leaf]) return "a linear leaf's terms run back";
    for (uint32_t k = t->linear_begin[leaf]; k < t->linear_begin[leaf + 1]; k++) {
        if (t->linear_feature[k] < 0 || (uint32_t)t->linear_feature[k] >= m->columns)
            return "a linear leaf uses a column beyond the model's";
        if (!isfinite(t->linear_coefficient[k])) return "a linear coefficient is not finite";
    }
    return NULL;
}

static const char *tree_problem(const struct tree_model *m, const struct tree *t,
                                uint8_t *visited) {
    if (t->class_index >= m->outputs) return "a tree belongs to no output";
    if (!isfinite(t->weight)) return "a tree's weight is not finite";
    if (t->is_linear && m->dialect == TREES_XGBOOST) return "XGBoost has no linear leaves";
    if (t->set_begin[0] != 0) return "the first set does not begin at 0";
    for (uint32_t s = 0; s < t->set_count; s++)
        if (t->set_begin[s + 1] < t->set_begin[s]) return "a set ends before it begins";
    if (t->is_linear && t->linear_begin[0] != 0) return "the first linear leaf does not begin at 0";

    memset(visited, 0, (size_t)t->split_count + 1);
    const char *problem = NULL;
    for (uint32_t i = 0; i < t->split_count && !problem; i++) {
        /* Parents come first: a split that nobody has named by now is reached by nobody. */
        if (i > 0 && !(visited[i] & VISITED_SPLIT)) return "a split has no parent";
        problem = split_problem(m, t, i);
        if (!problem) problem = child_problem(t, i, t->left[i], visited);
        if (!problem) problem = child_problem(t, i, t->right[i], visited);
    }
    /* n splits have 2n children, all different: n - 1 splits and so all of the n + 1 leaves. */
    for (uint32_t leaf = 0; leaf <= t->split_count && !problem; leaf++)
        problem = leaf_problem(m, t, leaf);
    return problem;
}

const char *tree_model_problem(const struct tree_model *m, uint8_t *visited, uint32_t *tree) {
    *tree = 0;
    if (m->outputs == 0) return "no outputs";
    if (m->columns == 0) return "no columns";
    if (m->trees_per_iteration == 0 || m->trees_per_iteration % m->outputs != 0)
        return "trees per iteration are not a multiple of the outputs";
    if (m->tree_count % m->trees_per_iteration != 0) return "the last iteration lacks trees";
    for (uint32_t k = 0; k < m->outputs; k++)
        if (!isfinite(m->base_margin[k])) return "a base margin is not finite";
    if (!(m->sigmoid > 0) || !isfinite(m->sigmoid)) return "the sigmoid's slope is not above 0";
    for (uint32_t i = 0; i < m->tree_count; i++) {
        *tree = i;
        const char *problem = tree_problem(m, &m->trees[i], visited);
        if (problem) return problem;
    }
    *tree = 0;
    return NULL;
}

/* ---- walk ---- */

static bool in_set(const struct tree *t, uint32_t split, uint32_t category) {
    uint32_t set = (uint32_t)t->threshold[split];
    uint32_t words = t->set_begin[set + 1] - t->set_begin[set];
    if (category / 32 >= words) return false;
    return t->set_words[t->set_begin[set] + category / 32] >> (category % 32) & 1;
}

static bool goes_left_xgboost(const struct tree *t, uint32_t i, float x) {
    bool default_left = t->decision[i] & DECISION_DEFAULT_LEFT;
    if (isnan(x)) return default_left;
    if (!(t->decision[i] & DECISION_CATEGORICAL)) return x < (float)t->threshold[i];
    /* The set holds the categories that go right; what can be no category is in none. */
    if (x < 0 || x >= 16777216.0f) return true;
    return !in_set(t, i, (uint32_t)x);
}

static bool goes_left_lightgbm(const struct tree *t, uint32_t i, double x) {
    if (fabs(x) <= zero_threshold) x = 0;
    if (t->decision[i] & DECISION_CATEGORICAL)
        return x > -1 && x < 2147483648.0 && in_set(t, i, (uint32_t)(int32_t)x);
    bool default_left = t->decision[i] & DECISION_DEFAULT_LEFT;
    int missing = (t->decision[i] & DECISION_MISSING_MASK) >> DECISION_MISSING_SHIFT;
    if (isnan(x)) {
        if (missing == MISSING_NAN) return default_left;
        x = 0;
    }
    if (missing == MISSING_ZERO && x == 0) return default_left;
    return x <= t->threshold[i];
}

bool tree_goes_left(const struct tree_model *m, const struct tree *t, uint32_t split,
                    const double *row) {
    double x = row[t->feature[split]];
    return m->dialect == TREES_XGBOOST ? goes_left_xgboost(t, split, (float)x)
                                       : goes_left_lightgbm(t, split, x);
}

uint32_t tree_walk_ref(const struct tree_model *m, const struct tree *t, const double *row) {
    if (t->split_count == 0) return 0;
    int32_t node = 0;
    while (node >= 0) {
        uint32_t i = (uint32_t)node;
        node = tree_goes_left(m, t, i, row) ? t->left[i] : t->right[i];
    }
    return (uint32_t)~node;
}

double tree_output_ref(const struct tree_model *m, const struct tree *t, uint32_t leaf,
                       const double *row) {
    if (m->dialect == TREES_XGBOOST)
        return m->is_dart ? (double)(t->weight * (float)t->leaf_value[leaf]) : t->leaf_value[leaf];
    if (!t->is_linear) return t->leaf_value[leaf];
    double sum = t->leaf_const[leaf];
    for (uint32_t k = t->linear_begin[leaf]; k < t->linear_begin[leaf + 1]; k++) {
        double x = row[t->linear_feature[k]];
        if (isnan(x)) return t->leaf_value[leaf];
        if (fabs(x) <= zero_threshold) x = 0;
        sum += t->linear_coefficient[k] * x;
    }
    return sum;
}

void tree_margin_ref(double *out, const struct tree_model *m, uint32_t first, uint32_t last,
                     const double *row) {
    ASSERT(first <= last && (uint64_t)last * m->trees_per_iteration <= m->tree_count);
    for (uint32_t k = 0; k < m->outputs; k++) out[k] = m->base_margin[k];
    for (uint32_t i = first * m->trees_per_iteration; i < last * m->trees_per_iteration; i++) {
        const struct tree *t = &m->trees[i];
        double value = tree_output_ref(m, t, tree_walk_ref(m, t, row), row);
        double *sum = &out[t->class_index];
        *sum = m->dialect == TREES_XGBOOST ? (double)((float)*sum + (float)value) : *sum + value;
    }
}

/* ---- margins to predictions ---- */

uint32_t tree_prediction_columns(const struct tree_model *m) {
    return m->transform == TRANSFORM_ARGMAX ? 1 : m->outputs;
}

/* The library's own: the exponent is held below where its float would overflow. */
static float sigmoid_f32(float x) {
    float e = -x < 88.7f ? -x : 88.7f;
    return 1.0f / (expf(e) + 1.0f + 1e-16f);
}

static void softmax_f32(double *x, uint32_t n) {
    float max = (float)x[0];
    for (uint32_t k = 1; k < n; k++) max = fmaxf(max, (float)x[k]);
    double sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        x[k] = (double)expf((float)x[k] - max);
        sum += x[k];
    }
    for (uint32_t k = 0; k < n; k++) x[k] = (double)((float)x[k] / (float)sum);
}

static void softmax_f64(double *x, uint32_t n) {
    double max = x[0], sum = 0;
    for (uint32_t k = 1; k < n; k++) max = x[k] > max ? x[k] : max;
    for (uint32_t k = 0; k < n; k++) {
        x[k] = exp(x[k] - max);
        sum += x[k];
    }
    for (uint32_t k = 0; k < n; k++) x[k] /= sum;
}

static double transform_one(const struct tree_model *m, double x) {
    bool f32 = m->dialect == TREES_XGBOOST;
    switch (m->transform) {
    case TRANSFORM_SIGMOID:
        return f32 ? (double)sigmoid_f32((float)x) : 1 / (1 + exp(-m->sigmoid * x));
    case TRANSFORM_EXP:
        return f32 ? (double)expf((float)x) : exp(x);
    case TRANSFORM_SQUARE:
        return x < 0 ? -x * x : x * x;
    case TRANSFORM_HINGE:
        return x > 0 ? 1 : 0;
    case TRANSFORM_LOG1P_EXP:
        return log1p(exp(x));
    case TRANSFORM_NONE:
    case TRANSFORM_SOFTMAX:
    case TRANSFORM_ARGMAX:
        break;
    }
    return x;
}

void tree_transform(double *out, const struct tree_model *m, uint32_t iterations,
                    const double *margin) {
    uint32_t n = m->outputs;
    if (m->transform == TRANSFORM_ARGMAX) {
        uint32_t best = 0;
        for (uint32_t k = 1; k < n; k++)
            if (margin[k] > margin[best]) best = k;
        out[0] = (double)best;
        return;
    }
    double divisor = m->average_output && iterations ? (double)iterations : 1;
    for (uint32_t k = 0; k < n; k++) out[k] = margin[k] / divisor;
    if (m->transform == TRANSFORM_SOFTMAX) {
        if (m->dialect == TREES_XGBOOST)
            softmax_f32(out, n);
        else
            softmax_f64(out, n);
    } else {
        for (uint32_t k = 0; k < n; k++) out[k] = transform_one(m, out[k]);
    }
}

/* ---- importance ---- */

void tree_importance(double *out_gain, uint64_t *out_splits, const struct tree_model *m) {
    for (uint32_t c = 0; c < m->columns; c++) {
        out_gain[c] = 0;
        out_splits[c] = 0;
    }
    for (uint32_t i = 0; i < m->tree_count; i++) {
        const struct tree *t = &m->trees[i];
        for (uint32_t s = 0; s < t->split_count; s++) {
            /* LightGBM counts a split only if it gained; forced ones may not have. */
            if (m->dialect == TREES_LIGHTGBM && !(t->gain[s] > 0)) continue;
            out_gain[t->feature[s]] += (double)t->gain[s];
            out_splits[t->feature[s]]++;
        }
    }
}
