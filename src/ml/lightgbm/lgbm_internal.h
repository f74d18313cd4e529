/* Between the trainer's halves: one grows a tree from gradients (bins, histograms, splits), the other decides the
 * gradients, the rows and columns of each tree, and when to stop. */
#ifndef ML_LIGHTGBM_LGBM_INTERNAL_H
#define ML_LIGHTGBM_LGBM_INTERNAL_H

#include "base/rng.h"
#include "base/workers.h"
#include "ml/lightgbm/lgbm.h"

/* ---- grow side ---- */

/* A set in bins. */
struct lgbm_dataset;
/* like: NULL, or the training set whose bins a validation set must share. */
enum status lgbm_dataset_create(struct lgbm_dataset **out, const struct train_set *set,
                                const struct lgbm_params *params, const struct lgbm_dataset *like,
                                struct workers *threads, struct err *err);
void lgbm_dataset_destroy(struct lgbm_dataset *d);
/* LightGBM's feature_infos text of a column: "[min:max]", "0:1:2" or "none"; copied into the model. */
const char *lgbm_dataset_info(const struct lgbm_dataset *d, uint32_t column, struct tree_model *m);
/* Columns that can split at all (not constant, enough rows). usable (columns) */
uint32_t lgbm_dataset_usable(const struct lgbm_dataset *d, bool *usable);

struct lgbm_grower;
enum status lgbm_grower_create(struct lgbm_grower **out, const struct lgbm_dataset *d,
                               const struct lgbm_params *params, struct workers *threads,
                               struct err *err);
void lgbm_grower_destroy(struct lgbm_grower *g);

struct lgbm_tree_input {
    const float *gradient, *hessian; /* (rows) of this output */
    const uint32_t *rows;            /* (row_count) ascending; NULL: all */
    uint32_t row_count;
    const bool *columns;   /* (columns) that may split; NULL: all */
    bool constant_hessian; /* every hessian is hessian[0] */
    uint64_t seed;         /* of extra_trees and feature_fraction_bynode in this tree */
};
/* Grows one tree of unshrunken leaf values, added to m; split_count 0 if no split pays. All statistics filled. */
enum status lgbm_grow(struct lgbm_grower *g, struct tree **out, struct tree_model *m,
                      const struct lgbm_tree_input *in, struct err *err);
/* Of the tree just grown: the rows in a leaf, borrowed until the next tree. */
void lgbm_grown_leaf(const struct lgbm_grower *g, uint32_t leaf, const uint32_t **rows,
                     uint32_t *count);
/* Adds leaf_value[leaf of row] of a tree of this grower's dataset to margin[row * stride], every row, also those left out
 * of its sample. Uses bins, so it is the walk. like-datasets are allowed. */
void lgbm_add_tree(double *margin, size_t stride, const struct tree *t,
                   const struct lgbm_dataset *d, struct workers *threads);

/* ---- gradient side ---- */

/* Ranges of all parameters and what must fit together. has_valid: early stopping is possible. ST_INVALID. */
enum status lgbm_params_check(const struct lgbm_params *p, bool has_valid, struct err *err);
/* Adds LightGBM's parameter section, "[key: value]" in the library's order. */
enum status lgbm_params_print(struct tree_model *m, const struct lgbm_params *p, struct err *err);
enum lgbm_metric lgbm_params_metric(const struct lgbm_params *p);

struct lgbm_loss; /* objective with its set's labels, weights, groups */
enum status lgbm_loss_create(struct lgbm_loss **out, const struct lgbm_params *params,
                             const struct train_set *set, struct workers *threads, struct err *err);
void lgbm_loss_destroy(struct lgbm_loss *l);
uint32_t lgbm_loss_outputs(const struct lgbm_loss *l);
/* Whether an output can learn: false if its class is in no row or in all. */
bool lgbm_loss_trainable(const struct lgbm_loss *l, uint32_t output);
bool lgbm_loss_constant_hessian(const struct lgbm_loss *l);
/* Starting margin of an output (boost_from_average); 0 if there is none. */
double lgbm_loss_start(const struct lgbm_loss *l, uint32_t output);
/* margin (rows, outputs) -> gradient, hessian (outputs, rows): one output after the other. Weights are in. */
void lgbm_loss_gradients(struct lgbm_loss *l, const double *margin, float *gradient,
                         float *hessian);
/* Leaves whose best value is not -G/H (L1, quantile, huber as LightGBM): the value for the rows of a leaf. False: keep. */
bool lgbm_loss_renew(struct lgbm_loss *l, double *value, const double *margin, uint32_t output,
                     const uint32_t *rows, uint32_t count);
/* margin (rows, outputs). NaN: no metric. */
double lgbm_loss_metric(struct lgbm_loss *l, const double *margin);

/* Rows and columns of each tree. */
struct lgbm_sampler;
/* usable (columns): lgbm_dataset_usable's. */
enum status lgbm_sampler_create(struct lgbm_sampler **out, const struct lgbm_params *params,
                                const struct train_set *set, uint32_t outputs, const bool *usable,
                                struct err *err);
void lgbm_sampler_destroy(struct lgbm_sampler *s);
/* Rows of an iteration, ascending, borrowed until the next call; NULL: all. GOSS scales gradient and hessian
 * (outputs, rows) of the rows it drew. */
const uint32_t *lgbm_sampler_rows(struct lgbm_sampler *s, uint32_t iteration, float *gradient,
                                  float *hessian, uint32_t *count);
/* Whether iteration's hessians were scaled. */
bool lgbm_sampler_scales(const struct lgbm_sampler *s, uint32_t iteration);
/* Columns of the number-th tree (columns), borrowed until the next call; NULL: all. */
const bool *lgbm_sampler_columns(struct lgbm_sampler *s, uint64_t number);

#endif
