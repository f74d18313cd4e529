#ifndef ML_XGBOOST_XGB_INTERNAL_H
#define ML_XGBOOST_XGB_INTERNAL_H

#include "ml/xgboost/xgb.h"

enum { XGB_PARAMS_MAX = 128 };

struct xgb_pair {
    const char *key, *value;
};

/* Parameters taken apart. Strings point into text. */
struct xgb_config {
    char *text;
    struct xgb_pair pairs[XGB_PARAMS_MAX]; /* the library's, in order: eval_metric may come twice */
    size_t pair_count;
    uint32_t rounds, early_stopping_rounds; /* 10 as in xgboost.train; 0 no early stopping */
    uint32_t threads, class_count;
    bool maximize_given, maximize;
    const char *objective;
    char *feature_types; /* as given; NULL none */
};

/* ST_NOT_FOUND: not a parameter XGBoost documents for trees; ST_INVALID; ST_UNSUPPORTED. Owns until
 * xgb_config_free. */
enum status xgb_config_parse(struct xgb_config *out, const char *params, struct err *err);
void xgb_config_free(struct xgb_config *c);

#endif
