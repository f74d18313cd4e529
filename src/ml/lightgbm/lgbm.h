/* A trainer of LightGBM's kind, ours: histograms, leaf-wise growth, LightGBM's parameters under its names, aliases
 * and defaults, models in its own text format (ml/model_io).
 *
 * Deterministic: the same data, parameters and seed give the same model, bit for bit, with any number of threads.
 * Random draws are this project's generator, so sampled rows and columns differ from the library's.
 * Sources  Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree (NIPS 2017); LightGBM's
 *          documentation, Parameters.rst; Friedman, Greedy Function Approximation (2001); Burges, From RankNet to
 *          LambdaRank to LambdaMART (2010). */
#ifndef ML_LIGHTGBM_LGBM_H
#define ML_LIGHTGBM_LGBM_H

#include "base/err.h"
#include "ml/forest/tree_model.h"
#include "ml/table/train_set.h"

enum lgbm_objective {
    LGBM_REGRESSION = 0,
    LGBM_REGRESSION_L1,
    LGBM_HUBER,
    LGBM_QUANTILE,
    LGBM_BINARY,
    LGBM_MULTICLASS,
    LGBM_LAMBDARANK,
    LGBM_CUSTOM,
    LGBM_OBJECTIVE_COUNT
};

/* What early stopping and progress look at. */
enum lgbm_metric {
    LGBM_METRIC_AUTO = 0, /* the objective's own, as LightGBM chooses it */
    LGBM_METRIC_L2,
    LGBM_METRIC_RMSE,
    LGBM_METRIC_L1,
    LGBM_METRIC_HUBER,
    LGBM_METRIC_QUANTILE,
    LGBM_METRIC_BINARY_LOGLOSS,
    LGBM_METRIC_BINARY_ERROR,
    LGBM_METRIC_AUC,
    LGBM_METRIC_MULTI_LOGLOSS,
    LGBM_METRIC_MULTI_ERROR,
    LGBM_METRIC_NDCG, /* at the last of eval_at, the one LightGBM's early stopping uses */
    LGBM_METRIC_NONE,
    LGBM_METRIC_COUNT
};

enum lgbm_seed {
    LGBM_SEED_DATA = 0,
    LGBM_SEED_FEATURE,
    LGBM_SEED_BAGGING,
    LGBM_SEED_EXTRA,
    LGBM_SEED_COUNT
};

/* Gradients of a loss of one's own: margin (rows, outputs) -> gradient, hessian (rows, outputs), before weights. */
typedef void (*lgbm_custom_fn)(void *context, const double *margin, float *gradient, float *hessian,
                               size_t rows, uint32_t outputs);

enum {
    LGBM_COLUMNS_MAX = 1 << 16,
    LGBM_CLASSES_MAX = 512,
    LGBM_LABEL_GAIN_MAX = 31,
    LGBM_NDCG_AT_MAX = 8
};

/* Names and defaults are LightGBM's. Arrays are borrowed or live in the struct. */
struct lgbm_params {
    enum lgbm_objective objective;
    enum lgbm_metric metric;
    bool l2_root;                       /* objective=rmse: metric AUTO is rmse */
    uint32_t num_class;                 /* 1 */
    uint32_t num_iterations;            /* 100 */
    uint32_t num_leaves;                /* 31 */
    int32_t max_depth;                  /* -1 */
    double learning_rate;               /* 0.1 */
    uint32_t min_data_in_leaf;          /* 20 */
    double min_sum_hessian_in_leaf;     /* 1e-3 */
    double lambda_l1, lambda_l2;        /* 0 */
    double min_gain_to_split;           /* 0 */
    double max_delta_step, path_smooth; /* 0 */
    uint32_t max_bin;                   /* 255; to 65535 */
    uint32_t min_data_in_bin;           /* 3 */
    uint32_t bin_construct_sample_cnt;  /* 200000 */
    double bagging_fraction, pos_bagging_fraction, neg_bagging_fraction; /* 1 */
    uint32_t bagging_freq;                                               /* 0 */
    double feature_fraction, feature_fraction_bynode;                    /* 1 */
    bool goss;                   /* data_sample_strategy=goss */
    double top_rate, other_rate; /* 0.2 0.1 */
    bool extra_trees;
    bool use_missing, zero_as_missing;                          /* true false */
    bool enable_bundle, feature_pre_filter, boost_from_average; /* true */
    /* early stopping on the validation set; 0: none */
    uint32_t early_stopping_round;
    double early_stopping_min_delta;
    /* categorical columns */
    bool *is_categorical; /* (columns) or NULL; owned by lgbm_params_free */
    uint32_t min_data_per_group, max_cat_threshold, max_cat_to_onehot; /* 100 32 4 */
    double cat_l2, cat_smooth;                                         /* 10 10 */
    int8_t *monotone_constraints; /* (columns) -1 0 1, or NULL; owned as above. Method "basic" */
    uint32_t columns_given;       /* length of the two */
    /* objectives */
    double sigmoid, alpha; /* 1 0.9 (huber, quantile) */
    bool is_unbalance, reg_sqrt;
    double scale_pos_weight; /* 1 */
    double *class_weight;    /* (num_class) or NULL; ours: LightGBM has it in its Python part */
    uint32_t class_weight_count;
    uint32_t lambdarank_truncation_level;              /* 30 */
    bool lambdarank_norm;                              /* true */
    double label_gain[LGBM_LABEL_GAIN_MAX];            /* 2^i - 1 */
    uint32_t eval_at[LGBM_NDCG_AT_MAX], eval_at_count; /* 1 2 3 4 5 */
    uint64_t seed; /* the others derive from it, unless given; 0: LightGBM's defaults of them */
    int64_t seeds[LGBM_SEED_COUNT]; /* given ones, else -1 */
    uint32_t num_threads;           /* 1 here; 0: processors */
    lgbm_custom_fn custom;          /* LGBM_CUSTOM */
    void *custom_context;
};

/* The seed of one use: as given, or derived; 0 .. 2^31-1. */
uint64_t lgbm_params_seed(const struct lgbm_params *p, enum lgbm_seed which);
void lgbm_params_init(struct lgbm_params *p);
void lgbm_params_free(struct lgbm_params *p);
/* One parameter by LightGBM's name or alias. columns and names (or NULL) resolve categorical_feature and
 * monotone_constraints. ST_INVALID: value out of range, with the range; ST_NOT_FOUND: no such parameter;
 * ST_UNSUPPORTED: LightGBM has it, this trainer does not: never ignored. */
enum status lgbm_params_set(struct lgbm_params *p, const char *key, const char *value,
                            uint32_t columns, const char *const *names, struct err *err);
/* "k=v,k=v"; a value with commas in it stands in "…" or after the last '=' as LightGBM writes lists: k=1:2:3. */
enum status lgbm_params_parse(struct lgbm_params *p, const char *text, uint32_t columns,
                              const char *const *names, struct err *err);
const char *lgbm_objective_text(enum lgbm_objective objective);

/* valid may be NULL. *out (tree_model_destroy) holds the rounds up to the best one if early stopping is on.
 * ST_INVALID: labels or weights the objective cannot take (which row), sets that do not match; ST_RANGE: too large;
 * ST_NO_MEMORY; ST_INTERRUPTED. */
enum status lgbm_train(struct tree_model **out, const struct lgbm_params *params,
                       const struct train_set *train, const struct train_set *valid,
                       train_progress_fn progress, void *context, struct err *err);
/* Upper bound of what training takes beside the given sets, in bytes. rows: of both sets. Categories
 * above 1023 make a larger model than it counts. */
size_t lgbm_memory(const struct lgbm_params *params, size_t rows, uint32_t columns);
/* Metric that early stopping and progress use: name, and whether more is better. */
const char *lgbm_metric_text(const struct lgbm_params *params, bool *more_is_better);

#endif
