/* State of one reading of an XGBoost file, shared by its learner half and its tree half. */
#ifndef ML_MODEL_IO_XGB_READ_H
#define ML_MODEL_IO_XGB_READ_H

#include "ml/model_io/model_io_internal.h"

struct xgb_ints {
    int32_t *v;
    size_t count, capacity;
};
struct xgb_floats {
    float *v;
    size_t count, capacity;
};

enum { XGB_TREE_INTS = 10, XGB_TREE_FLOATS = 4 };
enum xgb_tree_array {
    XGB_LEFT = 0,
    XGB_RIGHT,
    XGB_PARENTS,
    XGB_COLUMNS,
    XGB_DEFAULT_LEFT,
    XGB_SPLIT_TYPE,
    XGB_CATEGORIES,
    XGB_CATEGORY_NODES,
    XGB_CATEGORY_SEGMENTS,
    XGB_CATEGORY_SIZES
};
enum { XGB_CONDITIONS = 0, XGB_WEIGHTS, XGB_LOSS_CHANGES, XGB_HESSIANS };

struct xgb_read {
    struct model_doc d;
    struct tree_model *m;
    size_t set_words_left; /* what categories may still take, see xgb_tree.c */
    /* the tree being read */
    struct xgb_ints ints[XGB_TREE_INTS];
    struct xgb_floats floats[XGB_TREE_FLOATS];
    struct xgb_ints queue, place; /* breadth-first order; split or ~leaf of each node */
    int64_t node_count, deleted_count, tree_columns;
    /* the learner */
    struct xgb_ints tree_info, iteration_begin;
    struct xgb_floats weight_drop, base_scores;
    int64_t class_count, target_count, column_count, parallel_count, tree_count;
    int64_t tree_columns_min, tree_columns_max;
    bool has_parallel_count, has_weight_drop;
    int32_t version[3];
    uint32_t name_count, type_count;
};

/* Next key as one of keys (ended by NULL), its index in *which, -1 for one that is not read. A known key
 * twice is refused. */
bool xgb_next_key(struct xgb_read *x, const char *const *keys, uint32_t *seen, int *which);
bool xgb_all_seen(struct xgb_read *x, uint32_t seen, uint32_t required, const char *what);
/* Array of integers (or booleans) within [lo, hi]. */
void xgb_ints_read(struct xgb_read *x, struct xgb_ints *a, int64_t lo, int64_t hi);
void xgb_floats_read(struct xgb_read *x, struct xgb_floats *a);
int64_t xgb_int_read(struct xgb_read *x, int64_t lo, int64_t hi, const char *what);
bool xgb_int_push(struct xgb_read *x, struct xgb_ints *a, int32_t v);
bool xgb_float_push(struct xgb_read *x, struct xgb_floats *a, float v);

/* One element of "trees". */
void xgb_tree_read(struct xgb_read *x);

#endif
