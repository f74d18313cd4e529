/* The table of LightGBM's parameters: what this trainer makes of each. */
#ifndef ML_LIGHTGBM_PARAMS_INTERNAL_H
#define ML_LIGHTGBM_PARAMS_INTERNAL_H

#include "ml/lightgbm/lgbm.h"

enum param_kind {
    /* Fields of lgbm_params. */
    PARAM_U32,
    PARAM_I32,
    PARAM_F64,
    PARAM_BOOL,
    /* With parsers of their own. */
    PARAM_OBJECTIVE,
    PARAM_METRIC,
    PARAM_BOOSTING,
    PARAM_STRATEGY,
    PARAM_SEED,
    PARAM_DERIVED_SEED,
    PARAM_STOPPING,
    PARAM_CATEGORICAL,
    PARAM_MONOTONE,
    PARAM_CLASS_WEIGHT,
    PARAM_LABEL_GAIN,
    PARAM_EVAL_AT,
    PARAM_THREADS,
    /* LightGBM has it and this trainer works as if it had the stated value: another one is refused. */
    PARAM_FIXED,
    /* Cannot change a result here, whatever its value. */
    PARAM_FREE
};

struct param {
    const char *name;
    const char *aliases; /* separated by one space; NULL: none */
    enum param_kind kind;
    uint16_t offset;       /* of the field; PARAM_DERIVED_SEED: which */
    bool low_open, hidden; /* low itself is not in the range; not in a model's parameter section */
    double low, high;      /* of numbers */
    const char *text;      /* FIXED, FREE: the value as LightGBM prints it */
};

/* In the order of a LightGBM model's parameter section, then what is not in it. */
extern const struct param lgbm_param_table[];
extern const size_t lgbm_param_count;

/* Number in the field of a numeric kind. */
double lgbm_param_number(const struct lgbm_params *p, const struct param *param);
const char *lgbm_metric_name(enum lgbm_metric metric);

#endif
