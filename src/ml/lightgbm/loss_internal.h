/* An objective bound to a set, shared by its gradients, its ranking part and its metrics. */
#ifndef ML_LIGHTGBM_LOSS_INTERNAL_H
#define ML_LIGHTGBM_LOSS_INTERNAL_H

#include "ml/lightgbm/lgbm_internal.h"

/* Rows one task works on: fixed, so that partial sums do not depend on the number of threads. */
enum { LOSS_PART_ROWS = 8192, LOSS_BLOCK = LGBM_CLASSES_MAX };

struct ranked {
    double margin;
    uint32_t row; /* within its group */
};

struct lgbm_loss {
    const struct lgbm_params *params;
    struct workers *threads; /* NULL: the caller's alone */
    size_t rows;
    uint32_t outputs;
    const double *labels;  /* as given */
    double *target;        /* what a regression fits: labels, or their signed roots */
    const double *weights; /* NULL: all 1; class weights are in */
    double *owned_weights;
    double class_factor[2]; /* binary: is_unbalance, scale_pos_weight */
    bool *trainable;        /* (outputs) */
    double *start;          /* (outputs) */
    /* Ranking. begin (groups + 1); ideal (groups): 1 / best DCG within the truncation level, 0 if nothing is relevant;
     * discount (longest group) */
    size_t groups;
    size_t *group_begin;
    double *ideal, *discount;
    /* Scratch: (rows) each where used; partial (2, parts). */
    struct ranked *ranked;
    double *pair, *lambda, *curvature;
    float *custom_gradient, *custom_hessian; /* (rows, outputs) */
    struct weighted_value *leaf;
    double *leaf_values, *partial;
    size_t parts;
    /* of the call under way */
    const double *margin;
    float *gradient, *hessian;
};

/* Runs task for each part, on the loss's threads. */
void lgbm_loss_run(struct lgbm_loss *l, void (*task)(void *context, uint32_t part), size_t parts);
/* Rows of a part. */
static inline void lgbm_loss_part(const struct lgbm_loss *l, uint32_t part, size_t *first,
                                  size_t *last) {
    *first = (size_t)part * LOSS_PART_ROWS;
    *last = *first + LOSS_PART_ROWS < l->rows ? *first + LOSS_PART_ROWS : l->rows;
}

/* e^(margin - the row's largest), of which a row's softmax is the share. out, margin (count, outputs) */
void lgbm_softmax_terms(double *out, const double *margin, size_t count, uint32_t outputs);

/* ---- percentiles ---- */

struct weighted_value {
    double value, weight;
};

/* Linear between order statistics: at (count - 1) alpha from the smallest. values are moved about. count >= 1 */
double lgbm_percentile(double *values, size_t count, double alpha);
/* The same with weights: value k stands at (weight before it) + (its weight) k / (count - 1) of the total. Equal
 * weights give lgbm_percentile. Sorts. */
double lgbm_percentile_weighted(struct weighted_value *values, size_t count, double alpha);
/* The k-th smallest, k < count; values are moved about. */
double lgbm_select(double *values, size_t count, size_t k);

/* ---- ranking ---- */

enum status lgbm_rank_create(struct lgbm_loss *l, const struct train_set *set, struct err *err);
void lgbm_rank_gradients(struct lgbm_loss *l);
double lgbm_rank_ndcg(struct lgbm_loss *l, const double *margin);

#endif
