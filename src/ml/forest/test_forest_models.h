/* Random tree models and rows for tests of what reads them: every rule of tree_model.h comes up. */
#ifndef ML_FOREST_TEST_FOREST_MODELS_H
#define ML_FOREST_TEST_FOREST_MODELS_H

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "ml/forest/tree_model.h"
#include "ml/model_io/model_io.h"

enum growth { GROW_COMPLETE, GROW_LEAVES, GROW_CHAIN, GROW_MIXED, GROWTH_COUNT };

struct model_recipe {
    enum tree_dialect dialect;
    enum growth growth;
    uint32_t outputs, columns, iterations;
    uint32_t depth_max, splits_max;
    double categorical, linear; /* shares of splits, of trees */
    bool is_dart, average_output;
};

/* A value that comparisons get wrong first. */
static inline double value_special(struct rng *r) {
    static const double pool[] = {0.0,
                                  -0.0,
                                  1e-35,
                                  (double)1e-35f,
                                  -(double)1e-35f,
                                  1.0000000180025096e-35,
                                  1e-36,
                                  -1e-36,
                                  1e-40,
                                  -1e-45,
                                  5e-324,
                                  -5e-324,
                                  (double)FLT_MAX,
                                  -(double)FLT_MAX,
                                  (double)FLT_MIN,
                                  DBL_MAX,
                                  -DBL_MAX,
                                  1e300,
                                  1e30,
                                  -1e30,
                                  1,
                                  -1,
                                  0.5,
                                  (double)INFINITY,
                                  -(double)INFINITY,
                                  2147483647,
                                  2147483648.0,
                                  16777216.0};
    return pool[rng_below(r, sizeof pool / sizeof *pool)];
}

static inline double threshold_random(struct rng *r, const struct model_recipe *k) {
    uint64_t what = rng_below(r, 8);
    double t = what == 0   ? value_special(r)
               : what == 1 ? (double)(int64_t)rng_below(r, 5) - 2
                           : rng_normal(r);
    return k->dialect == TREES_XGBOOST ? (double)(float)t : t;
}

static inline void split_random(struct tree *t, uint32_t i, struct rng *r,
                                const struct model_recipe *k) {
    t->feature[i] = (int32_t)rng_below(r, k->columns);
    t->threshold[i] = threshold_random(r, k);
    if (rng_below(r, 2)) t->decision[i] |= DECISION_DEFAULT_LEFT;
    if (k->dialect == TREES_LIGHTGBM)
        t->decision[i] |= (uint8_t)(rng_below(r, 3) << DECISION_MISSING_SHIFT);
    if (rng_f64(r) < k->categorical && t->set_count) {
        t->decision[i] |= DECISION_CATEGORICAL;
        t->threshold[i] = (double)rng_below(r, t->set_count);
    }
}

/* Which leaf is split next, by the recipe's growth. depth (leaves) */
static inline uint32_t leaf_next(struct rng *r, enum growth growth, uint32_t leaves,
                                 const uint32_t *depth) {
    if (growth == GROW_CHAIN) return rng_below(r, 8) ? leaves - 1 : (uint32_t)rng_below(r, leaves);
    uint32_t pick = (uint32_t)rng_below(r, leaves);
    if (growth == GROW_COMPLETE)
        for (uint32_t i = 0; i < leaves; i++)
            if (depth[i] < depth[pick]) pick = i;
    return pick;
}

static inline void tree_random(struct tree_model *m, struct rng *r, const struct model_recipe *k) {
    enum growth growth =
        k->growth == GROW_MIXED ? (enum growth)rng_below(r, GROW_MIXED) : k->growth;
    uint32_t splits =
        rng_below(r, 4) == 0 ? (uint32_t)rng_below(r, k->splits_max + 1) : k->splits_max;
    if (rng_below(r, 16) == 0) splits = 0;
    struct tree_shape shape = {.split_count = splits,
                               .set_count = 3,
                               .set_words = 8,
                               .linear_terms = 3 * (splits + 1),
                               .is_linear = rng_f64(r) < k->linear,
                               .has_ids = k->dialect == TREES_XGBOOST};
    if (!shape.is_linear) shape.linear_terms = 0;
    struct tree *t = tree_model_add(m, &shape);
    ASSERT(t);
    uint32_t *parent = calloc(splits + 1, sizeof *parent), *depth = calloc(splits + 1, 4);
    t->set_begin[1] = 1; /* sets of 1, 5 and 2 words */
    t->set_begin[2] = 6;
    t->set_begin[3] = 8;
    for (uint32_t i = 0; i < 8; i++) t->set_words[i] = (uint32_t)rng_u64(r);
    for (uint32_t i = 0; i < splits; i++) {
        uint32_t leaf = i == 0 ? 0 : leaf_next(r, growth, i + 1, depth);
        if (depth[leaf] >= k->depth_max)
            for (leaf = 0; depth[leaf] >= k->depth_max;) leaf++;
        if (i > 0) {
            int32_t *side = t->left[parent[leaf]] == ~(int32_t)leaf ? t->left : t->right;
            side[parent[leaf]] = (int32_t)i;
        }
        bool swap = rng_below(r, 2);
        t->left[i] = swap ? ~(int32_t)(i + 1) : ~(int32_t)leaf;
        t->right[i] = swap ? ~(int32_t)leaf : ~(int32_t)(i + 1);
        parent[leaf] = parent[i + 1] = i;
        depth[i + 1] = ++depth[leaf];
        split_random(t, i, r, k);
    }
    for (uint32_t l = 0; l <= splits; l++) {
        t->leaf_value[l] = (double)(float)rng_normal(r);
        if (k->dialect == TREES_LIGHTGBM) t->leaf_value[l] = rng_normal(r);
        if (t->leaf_id) t->leaf_id[l] = (int32_t)rng_below(r, 1000000);
        if (!t->is_linear) continue;
        t->leaf_const[l] = rng_normal(r);
        uint32_t terms = (uint32_t)rng_below(r, 4), begin = t->linear_begin[l];
        t->linear_begin[l + 1] = begin + terms;
        for (uint32_t i = begin; i < begin + terms; i++) {
            t->linear_feature[i] = (int32_t)rng_below(r, k->columns);
            t->linear_coefficient[i] = rng_normal(r);
        }
    }
    t->class_index = (m->tree_count - 1) % m->outputs;
    if (k->is_dart) t->weight = (float)rng_f64(r);
    free(parent);
    free(depth);
}

/* The caller destroys it. */
static inline struct tree_model *model_random(struct rng *r, const struct model_recipe *k) {
    struct tree_model *m = tree_model_create(k->dialect, k->outputs, k->columns);
    ASSERT(m && (k->depth_max >= 31 || k->splits_max < 1u << k->depth_max));
    m->is_dart = k->is_dart;
    m->average_output = k->average_output;
    for (uint32_t i = 0; i < k->outputs; i++)
        m->base_margin[i] = k->dialect == TREES_XGBOOST ? (double)(float)rng_normal(r) : 0;
    for (uint32_t i = 0; i < k->iterations * k->outputs; i++) tree_random(m, r, k);
    return m;
}

/* A value as rows have them, often at a threshold of the model or next to it. */
static inline double value_random(struct rng *r, const struct tree_model *m) {
    uint64_t what = rng_below(r, 10);
    if (what == 0) return (double)NAN;
    if (what == 1) return value_special(r);
    if (what == 2) return (double)(int64_t)rng_below(r, 300) - 10 + 0.5 * (double)rng_below(r, 2);
    if (what < 7 && m->tree_count) {
        const struct tree *t = &m->trees[rng_below(r, m->tree_count)];
        if (t->split_count) {
            double x = t->threshold[rng_below(r, t->split_count)];
            uint64_t step = rng_below(r, 5);
            if (step == 1) return nextafter(x, (double)INFINITY);
            if (step == 2) return nextafter(x, -(double)INFINITY);
            if (step == 3) return (double)nextafterf((float)x, INFINITY);
            if (step == 4) return (double)nextafterf((float)x, -INFINITY);
            return x;
        }
    }
    return rng_normal(r);
}

#endif
