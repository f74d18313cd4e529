/* An XGBoost model in LightGBM's terms.
 *
 * Which leaf a row reaches is the same for every row of numbers that are 0 or larger than 1e-35 in size
 * (LightGBM takes smaller ones for 0), NaN and infinities included: a threshold t is said as the largest
 * double that rounds to a float below t. The sums differ: XGBoost rounds to float after every tree,
 * LightGBM to double, so a margin moves by at most (trees + 1) * 2^-24 * (|base| + sum of the largest
 * |leaf| of each tree). That is refused to nobody; what could not be bounded is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/lgbm_format.h"

static const struct {
    const char *xgboost, *lightgbm;
} names[] = {
    {"reg:squarederror", "regression"},
    {"reg:linear", "regression"},
    {"reg:pseudohubererror", "regression"},
    {"reg:absoluteerror", "regression_l1"},
    {"reg:logistic", "cross_entropy"},
    {"binary:logistic", "binary sigmoid:1"},
    {"count:poisson", "poisson"},
    {"reg:gamma", "gamma"},
    {"reg:tweedie", "tweedie"},
    {"multi:softprob", "multiclass num_class:"}, /* the number follows */
    {"rank:pairwise", "lambdarank"},
    {"rank:ndcg", "lambdarank"},
    {"rank:map", "lambdarank"},
};

/* Largest double x with (float)x < t; t is finite. */
static double threshold_below(float t) {
    float below = nextafterf(t, -INFINITY);
    /* Where rounding turns from below to t; beyond the last float it turns as if the next one existed. */
    double turn = isinf(below) ? -(double)3.4028235677973366e38 : ((double)below + (double)t) / 2;
    return (float)turn < t ? turn : nextafter(turn, -INFINITY);
}

static enum status convert_tree(struct tree_model *out, const struct tree_model *m,
                                const struct tree *from, uint32_t index, struct err *err) {
    struct tree_shape shape = {.split_count = from->split_count};
    struct tree *t = tree_model_add(out, &shape);
    if (!t) return err_set(err, ST_NO_MEMORY, "no memory");
    t->class_index = from->class_index;
    for (uint32_t i = 0; i < t->split_count; i++) {
        float threshold = (float)from->threshold[i];
        if (from->decision[i] & DECISION_CATEGORICAL)
            return err_set(err, ST_UNSUPPORTED,
                           "tree %u: categorical splits send missing values elsewhere", index);
        if (isinf(threshold))
            return err_set(err, ST_UNSUPPORTED, "tree %u: a threshold is infinite", index);
        if (threshold != 0 && fabsf(threshold) <= 1e-35f)
            return err_set(err, ST_UNSUPPORTED,
                           "tree %u: a threshold is smaller than what LightGBM takes for 0", index);
        t->feature[i] = from->feature[i];
        t->threshold[i] = threshold_below(threshold);
        t->decision[i] = (uint8_t)((from->decision[i] & DECISION_DEFAULT_LEFT) |
                                   MISSING_NAN << DECISION_MISSING_SHIFT);
        t->left[i] = from->left[i];
        t->right[i] = from->right[i];
        t->gain[i] = from->gain[i];
        t->split_value[i] = from->split_value[i];
        t->split_weight[i] = from->split_weight[i];
    }
    for (uint32_t i = 0; i <= t->split_count; i++) {
        float value = (float)from->leaf_value[i];
        t->leaf_value[i] = (double)(m->is_dart ? from->weight * value : value);
        if (!isfinite(t->leaf_value[i]))
            return err_set(err, ST_UNSUPPORTED, "tree %u: a leaf's weighted value is not finite",
                           index);
        t->leaf_weight[i] = from->leaf_weight[i];
    }
    return ST_OK;
}

/* A base margin has no place of its own: it goes into the leaves of the first tree. */
static enum status add_bases(struct tree_model *out, const struct tree_model *m, struct err *err) {
    for (uint32_t k = 0; k < m->outputs; k++) {
        if (m->tree_count == 0) {
            const struct tree_shape stump = {0};
            struct tree *t = tree_model_add(out, &stump);
            if (!t) return err_set(err, ST_NO_MEMORY, "no memory");
            t->class_index = k;
        }
        struct tree *t = &out->trees[k];
        for (uint32_t i = 0; i <= t->split_count; i++) t->leaf_value[i] += m->base_margin[k];
        for (uint32_t i = 0; i < t->split_count; i++) t->split_value[i] += m->base_margin[k];
    }
    return ST_OK;
}

/* Trees in turn, one an output, whatever their order was (parallel trees stand beside each other). */
static enum status convert_trees(struct tree_model *out, const struct tree_model *m,
                                 struct err *err) {
    uint32_t *next = calloc(m->outputs, sizeof *next);
    enum status st = next ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory");
    for (uint32_t i = 0; i < m->tree_count && st == ST_OK; i++) {
        uint32_t k = i % m->outputs;
        while (next[k] < m->tree_count && m->trees[next[k]].class_index != k) next[k]++;
        if (next[k] == m->tree_count)
            st = err_set(err, ST_UNSUPPORTED, "outputs have different numbers of trees");
        else
            st = convert_tree(out, m, &m->trees[next[k]], next[k], err);
        next[k]++;
    }
    free(next);
    return st;
}

static enum status convert_objective(struct tree_model *out, const struct tree_model *m,
                                     struct err *err) {
    const char *name = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].xgboost, m->objective) == 0) name = names[i].lightgbm;
    if (!name)
        return err_set(err, ST_UNSUPPORTED, "objective %.64s has no counterpart", m->objective);
    if (m->outputs > 1 && m->transform != TRANSFORM_SOFTMAX)
        return err_set(err, ST_UNSUPPORTED, "several targets");
    char text[64];
    struct model_out o = {.data = text, .capacity = sizeof text};
    model_out_text(&o, name);
    if (m->transform == TRANSFORM_SOFTMAX) model_out_format(&o, "%u", m->outputs);
    out->objective = tree_model_string(out, text, o.size);
    if (!out->objective) return err_set(err, ST_NO_MEMORY, "no memory");
    return model_lgbm_objective(&out->transform, &out->sigmoid, out->objective, err);
}

/* LightGBM's names are words: those that are none get its own, all of them. */
static enum status convert_names(struct tree_model *out, const struct tree_model *m,
                                 struct err *err) {
    if (!m->feature_names) return ST_OK;
    const char **kept = tree_model_alloc(out, m->columns * sizeof *kept);
    if (!kept) return err_set(err, ST_NO_MEMORY, "no memory");
    for (uint32_t c = 0; c < m->columns; c++) {
        const char *name = m->feature_names[c];
        if (!*name || strpbrk(name, " \t\r\n"))
            return err_set(err, ST_UNSUPPORTED, "the name of column %u is not one word", c);
        kept[c] = tree_model_string(out, name, strlen(name));
        if (!kept[c]) return err_set(err, ST_NO_MEMORY, "no memory");
    }
    out->feature_names = kept;
    return ST_OK;
}

enum status model_to_lgbm(struct tree_model **out, const struct tree_model *m, struct err *err) {
    struct tree_model *made = tree_model_create(TREES_LIGHTGBM, m->outputs, m->columns);
    if (!made) return err_set(err, ST_NO_MEMORY, "no memory");
    made->version = "v4";
    enum status st = convert_objective(made, m, err);
    if (st == ST_OK) st = convert_names(made, m, err);
    if (st == ST_OK) st = convert_trees(made, m, err);
    if (st == ST_OK) st = add_bases(made, m, err);
    if (st == ST_OK)
        *out = made;
    else
        tree_model_destroy(made);
    return st;
}
