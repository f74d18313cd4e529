#ifndef ML_LIGHTGBM_TRAIN_INTERNAL_H
#define ML_LIGHTGBM_TRAIN_INTERNAL_H

#include "ml/lightgbm/lgbm_internal.h"

/* A model without trees that says what LightGBM's text says of a training: objective, names, ranges of values,
 * parameters. ST_INVALID: names LightGBM cannot have. */
enum status lgbm_model_create(struct tree_model **out, const struct lgbm_params *params,
                              const struct train_set *set, const struct lgbm_dataset *data,
                              struct err *err);

#endif
