/* Tree models for people and programs: one interface over both boosters.
 *
 * Training is the real XGBoost (ml/xgboost) or ours (ml/lightgbm); prediction is always ml/forest. */
#ifndef ML_MODEL_MODEL_H
#define ML_MODEL_MODEL_H

#include "base/err.h"
#include "ml/forest/forest.h"
#include "ml/table/train_set.h"

enum booster { BOOSTER_XGBOOST = 0, BOOSTER_LIGHTGBM, BOOSTER_COUNT };
const char *booster_text(enum booster booster); /* "xgboost" "lightgbm" */
/* ST_NOT_FOUND. */
enum status booster_parse(enum booster *out, const char *text, struct err *err);

struct model; /* a tree_model and its compiled forest */

/* params "k=v,…" under the booster's own names; unknown ones are errors. valid may be NULL. As xgb_train and
 * lgbm_train; the caller destroys *out. */
enum status model_train(struct model **out, enum booster booster, const char *params,
                        const struct train_set *train, const struct train_set *valid,
                        train_progress_fn progress, void *context, struct err *err);
/* About what model_train takes beside the given sets, in bytes: to refuse in time. names may be NULL. */
enum status model_train_memory(size_t *out, enum booster booster, const char *params, size_t rows,
                               uint32_t columns, const char *const *names, struct err *err);

/* Any file ml/model_io reads. Its statuses, and ST_RANGE: too large to serve; ST_UNSUPPORTED: multi:softmax over
 * more than 4096 classes. */
enum status model_load(struct model **out, const char *path, struct err *err);
enum status model_load_buffer(struct model **out, const void *bytes, size_t size, const char *name,
                              struct err *err);
/* As model_write with MODEL_FORMAT_AUTO: the name says format and compression, atomic. A model XGBoost has just
 * trained is saved as its own bytes, unless attributes were changed or the name asks for another format. */
enum status model_save(const struct model *m, const char *path, struct err *err);
void model_destroy(struct model *m);

const struct tree_model *model_trees(const struct model *m);
struct tree_model *model_trees_mutable(struct model *m); /* attributes only */
const struct forest *model_forest(const struct model *m);
/* Predictions (transformed). out (rows, forest_prediction_columns); rows of columns >= the model's, stride apart.
 * Any number of threads. */
void model_predict(double *out, const struct model *m, const float *rows, size_t count,
                   size_t stride);

#endif
