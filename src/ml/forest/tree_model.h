/* A boosted tree model as its file states it: the form that readers, writers, trainers, explanations
 * and the prediction engine share. Nothing is lost between a LightGBM text or an XGBoost file and this
 * (but for base_weights of XGBoost's leaves and of nodes pruned away, which nothing uses).
 *
 * A tree's splits are numbered 0 .. split_count-1, its leaves 0 .. split_count. left/right >= 0 is a
 * split, < 0 the leaf ~value; a child's number is above its parent's. A tree without a split is the
 * one leaf 0.
 *
 * Walk, XGBoost: values are rounded to float32 first; numeric splits go left iff x < threshold in
 * float32, NaN follows default_left. LightGBM: |x| <= 1e-35f becomes 0 first; numeric splits go left
 * iff x <= threshold in double; NaN becomes 0 unless the split's missing type is NaN; type zero sends
 * zero and NaN the default way, type NaN sends NaN the default way. Categorical, LightGBM: truncated to
 * int, left iff its bit is set; NaN, -1 and below, or beyond the set goes right. Categorical, XGBoost:
 * NaN follows default_left; else truncated to int, RIGHT iff its bit is set; below 0, from 2^24 on, or
 * beyond the set goes left. (In both, category c is bit c % 32 of its set's word c / 32.)
 *
 * Margin of class k: base_margin[k], then the leaf values of the trees of that class, in order, summed
 * in float32 (XGBoost; DART: float32 weight * value) or double (LightGBM). A LightGBM random forest
 * (average_output) states its raw score as the sum, too: the division by the iterations summed belongs
 * to the transform.
 * Sources: XGBoost doc/model.schema and "Introduction to Model IO"; LightGBM's model text. */
#ifndef ML_FOREST_TREE_MODEL_H
#define ML_FOREST_TREE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_dialect { TREES_XGBOOST = 0, TREES_LIGHTGBM };

enum tree_transform {
    TRANSFORM_NONE = 0,
    TRANSFORM_SIGMOID,   /* 1 / (1 + exp(-sigmoid x)), each output by itself */
    TRANSFORM_SOFTMAX,   /* over the outputs */
    TRANSFORM_ARGMAX,    /* multi:softmax: one column, the best class */
    TRANSFORM_EXP,       /* poisson, gamma, tweedie, survival:aft, cox */
    TRANSFORM_SQUARE,    /* LightGBM "regression sqrt": sign(x) x^2 */
    TRANSFORM_HINGE,     /* binary:hinge: x > 0 */
    TRANSFORM_LOG1P_EXP, /* cross_entropy_lambda */
};

/* Bits of tree.decision, as in LightGBM's decision_type. */
enum {
    DECISION_CATEGORICAL = 1,
    DECISION_DEFAULT_LEFT = 2,
    DECISION_MISSING_SHIFT = 2, /* two bits */
    DECISION_MISSING_MASK = 3 << 2
};
enum missing_type { MISSING_NONE = 0, MISSING_ZERO = 1, MISSING_NAN = 2 };

struct tree {
    uint32_t split_count;
    uint32_t class_index; /* output it belongs to */
    /* (split_count) */
    int32_t *feature;
    double *threshold; /* of a categorical split: number of its set, below set_count */
    uint8_t *decision;
    int32_t *left, *right;
    /* (split_count), statistics; zero where the file has none. gain: XGBoost loss_changes. split_weight:
     * sum of hessians. split_value: the value the node would have as a leaf (LightGBM: with shrinkage). */
    float *gain;
    double *split_value, *split_weight;
    int64_t *split_rows; /* -1 unknown (XGBoost) */
    /* (split_count + 1) */
    double *leaf_value; /* shrinkage is in it */
    double *leaf_weight;
    int64_t *leaf_rows;
    /* Node numbers in the file's arrays, what XGBoost calls the leaf's id; NULL for LightGBM. */
    int32_t *split_id, *leaf_id;
    /* Sets of categories: set s has the words set_words[set_begin[s] .. set_begin[s+1]). */
    uint32_t set_count;
    uint32_t *set_begin; /* (set_count + 1) */
    uint32_t *set_words;
    /* Linear leaves (LightGBM): const + sum of coefficient * value; a NaN among a leaf's features gives
     * leaf_value. NULL unless is_linear. Leaf l has the terms linear_begin[l] .. linear_begin[l+1]. */
    bool is_linear;
    double *leaf_const;
    uint32_t *linear_begin; /* (split_count + 2) */
    int32_t *linear_feature;
    double *linear_coefficient;
    double shrinkage; /* as stated; already in the leaves */
    float weight;     /* DART (XGBoost), else 1 */
};

struct tree_attribute {
    const char *key, *value;
};

struct tree_model {
    enum tree_dialect dialect;
    enum tree_transform transform;
    double sigmoid;               /* slope of TRANSFORM_SIGMOID; 1 */
    uint32_t outputs;             /* margins a row has: classes, or 1 */
    uint32_t columns;             /* width of a row */
    uint32_t trees_per_iteration; /* outputs * parallel trees */
    uint32_t tree_count;
    struct tree *trees;  /* in the order of the file */
    double *base_margin; /* (outputs): on the margin's scale */
    double base_score;   /* as the file states it (XGBoost) */
    bool average_output; /* LightGBM random forest */
    bool is_dart;
    uint32_t best_iterations; /* iterations to use if nothing is asked; 0: all (early stopping) */
    const char *objective;    /* as the file states it: "binary sigmoid:1", "multi:softprob" */
    const char *version;      /* of the format: "v4", "1.7.4" */
    const char *const *feature_names; /* (columns), NULL if the file has none */
    const char *const *feature_infos; /* (columns), LightGBM, else NULL */
    const char *const *feature_types; /* (columns), XGBoost "q" "float" "int" "i" "c", else NULL */
    /* LightGBM header lines that must come back as they were. */
    const char *label_index, *monotone_constraints;
    bool has_linear_lines; /* trees say is_linear, as since 3.2; true for a new model */
    bool has_parameters;   /* a parameter section, be it empty; true once there is an attribute */
    const char *pandas_categorical; /* what follows "pandas_categorical:", else NULL */
    /* XGBoost: what its objective states beside the name, as a JSON object ({"reg_loss_param":
     * {"scale_pos_weight":"1"}}); NULL: defaults. */
    const char *objective_config;
    /* Free text pairs that travel with the file: XGBoost's attributes; for LightGBM the lines
     * "[key: value]" of its parameter section, parameters included, in order. */
    uint32_t attribute_count;
    struct tree_attribute *attributes;
    uint64_t file_hash; /* XXH3 of the bytes it was read from (decompressed); 0: not from a file */
};

/* Whether what a walk relies on holds: children in range and above their parent, every split and leaf
 * reached once, columns and sets in range, thresholds that are numbers. Tells the first problem as
 * text and the tree it is in, else NULL. Pure; visited is scratch of (split_count + 1) bytes or more
 * of the largest tree. */
const char *tree_model_problem(const struct tree_model *m, uint8_t *visited, uint32_t *tree);

/* Whether a split sends the row left, by the rules above. row (columns) */
bool tree_goes_left(const struct tree_model *m, const struct tree *t, uint32_t split,
                    const double *row);

/* Reference walk of one tree, as plain as the rules above: what every kernel is compared with.
 * Returns the leaf. row (columns) */
uint32_t tree_walk_ref(const struct tree_model *m, const struct tree *t, const double *row);
/* What the tree adds to its output in that leaf, before the summation's rounding. */
double tree_output_ref(const struct tree_model *m, const struct tree *t, uint32_t leaf,
                       const double *row);

/* Margins of one row by the reference walk over the iterations [first, last). out (outputs) */
void tree_margin_ref(double *out, const struct tree_model *m, uint32_t first, uint32_t last,
                     const double *row);

/* Margins to predictions, in place where the counts agree: in (outputs), out
 * (tree_prediction_columns(m)). XGBoost's in float32, LightGBM's in double. iterations: those the margin
 * was summed over; average_output divides by them. */
uint32_t tree_prediction_columns(const struct tree_model *m);
void tree_transform(double *out, const struct tree_model *m, uint32_t iterations,
                    const double *margin);

/* Importance of each column: splits that use it, and their summed gain. out (columns) */
void tree_importance(double *out_gain, uint64_t *out_splits, const struct tree_model *m);

#endif
