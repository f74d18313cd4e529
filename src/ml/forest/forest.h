/* Fast prediction by tree models: a tree_model compiled into one flat block.
 *
 * The block is position-independent memory of the caller; prediction allocates nothing, takes no lock
 * and may run in any number of threads on one block. Every kernel gives the same bits as
 * tree_margin_ref: leaves are found exactly and summed in the order of the trees. */
#ifndef ML_FOREST_FOREST_H
#define ML_FOREST_FOREST_H

#include "base/status.h"
#include "ml/forest/tree_model.h"

struct forest;

enum forest_kernel {
    FOREST_KERNEL_BEST = 0, /* the best this processor has */
    FOREST_KERNEL_REF,      /* the plain walk: each condition from the row, no ranks */
    FOREST_KERNEL_SCALAR,   /* ranks, then eight trees at a time; no blocks of rows */
    FOREST_KERNEL_AVX2,
    FOREST_KERNEL_AVX512, /* F, BW, DQ, VL */
    FOREST_KERNEL_COUNT
};
const char *forest_kernel_text(enum forest_kernel kernel);
/* Whether this processor and this build can run it. */
bool forest_kernel_available(enum forest_kernel kernel);

struct forest_options {
    uint32_t first_iteration, last_iteration; /* [first, last); last 0: best_iterations, or all */
    enum forest_kernel kernel;
};

/* Bytes forest_build needs; 0: the model is too large or the range of iterations is not in it. */
size_t forest_size(const struct tree_model *m, const struct forest_options *options);
/* memory: forest_size bytes, aligned to 64. The model is not needed afterwards. It must have passed
 * tree_model_problem. ST_UNSUPPORTED: kernel not available here. */
enum status forest_build(struct forest **out, void *memory, size_t size, const struct tree_model *m,
                         const struct forest_options *options);

uint32_t forest_columns(const struct forest *f);
uint32_t forest_outputs(const struct forest *f);
uint32_t forest_prediction_columns(const struct forest *f);
uint32_t forest_tree_count(const struct forest *f); /* of the range */
/* What was asked for or found best; REF if the model has more than 32768 columns of ranks. */
enum forest_kernel forest_kernel_used(const struct forest *f);

/* Margins. Takes up to 120 KB of stack. rows: count rows, stride values apart, stride >= forest_columns (asserted); NaN = missing.
 * out (count, outputs) row-major. float rows are taken as the doubles they equal. */
void forest_margin_f32(double *out, const struct forest *f, const float *rows, size_t count,
                       size_t stride);
void forest_margin_f64(double *out, const struct forest *f, const double *rows, size_t count,
                       size_t stride);
/* Leaves. out (count, forest_tree_count): XGBoost the node's number in its file, LightGBM the leaf. */
void forest_leaf_f32(int32_t *out, const struct forest *f, const float *rows, size_t count,
                     size_t stride);
void forest_leaf_f64(int32_t *out, const struct forest *f, const double *rows, size_t count,
                     size_t stride);
/* Margins to predictions. margin (count, outputs), out (count, forest_prediction_columns); may be the
 * same memory. */
void forest_transform(double *out, const struct forest *f, const double *margin, size_t count);

#endif
