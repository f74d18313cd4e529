#ifndef ML_XGBOOST_XGB_INTERNAL_H
#define ML_XGBOOST_XGB_INTERNAL_H

#include "ml/xgboost/xgb.h"

struct xgb_shape {
    uint32_t class_count, column_count, tree_count;
};

/* Whether text is a model that the library can load and walk without leaving its arrays. */
enum status xgb_check(struct xgb_shape *out, const char *text, size_t size, struct err *err);

#endif
