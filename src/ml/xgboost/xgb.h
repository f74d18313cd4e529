/* The real XGBoost through libxgboost's C API: training and batch prediction.
 *
 * One thread (spinning OpenMP barriers collapse on a busy machine) and fixed parameters, so the same
 * data give the same model file. A model file is XGBoost's own JSON; what must travel with it sits in
 * its attributes under "quantum.*" (feature hash, label map, windows, calibration, metrics), so any
 * XGBoost can read the file and nothing can be separated from it. */
#ifndef ML_XGBOOST_XGB_H
#define ML_XGBOOST_XGB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ml/table/train_set.h"

/* What training gives: the model in the library's own JSON, NUL behind it. */
struct xgb_trained {
    char *bytes;
    size_t size;
    uint32_t rounds; /* that the model has */
};

/* Trains with parameters "k=v,k=v" in XGBoost's names (1.7, aliases included; lists in brackets or quotes).
 * Beside them num_boost_round (n_estimators, num_round; 10), early_stopping_rounds, maximize, feature_types,
 * nthread (n_jobs; 1, 0 = processors). Every objective and metric of the library over trees; eval_metric may
 * stand more than once, the last one drives progress and early stopping, which keeps the rounds up to the best.
 * A name XGBoost does not document is an error; one that has no effect with the others given is logged.
 *
 * One seed, one thread count: the same bytes. With more than one thread OpenMP's barriers spin unless the
 * environment says OMP_WAIT_POLICY=passive before the program starts.
 * valid may be NULL. ST_NOT_FOUND: no such parameter; ST_INVALID: what does not fit, with set and row;
 * ST_MISMATCH: columns of the two sets; ST_UNSUPPORTED: not trees; ST_INTERRUPTED; ST_EXTERNAL: the library's
 * own words; ST_NO_MEMORY. */
enum status xgb_train(struct xgb_trained *out, const char *params, const struct train_set *train,
                      const struct train_set *valid, train_progress_fn progress, void *context,
                      struct err *err);
void xgb_trained_free(struct xgb_trained *t);
/* About what training takes beside the given sets, in bytes (tree_method hist or approx; exact less). */
enum status xgb_memory(size_t *out, const char *params, size_t rows, uint32_t columns,
                       struct err *err);

struct xgb_model;

struct xgb_params {
    uint32_t rounds_max, early_stop_rounds, depth_max, seed, bins_max;
    double eta, subsample, colsample, min_child_weight, lambda, gamma;
};
struct xgb_params xgb_params_defaults(void);

/* features (rows, columns) row-major, NaN = missing; labels 0..class_count-1; weights may be NULL. */
struct xgb_matrix {
    const float *features;
    const float *labels;
    const float *weights;
    size_t rows;
    uint32_t columns;
};

/* Called after every round; return false to cancel (ST_INTERRUPTED). */
typedef bool (*xgb_progress_fn)(void *context, uint32_t round, uint32_t rounds_max,
                                double train_logloss, double valid_logloss);

/* Softmax over class_count classes; stops early on valid's log-loss and keeps the best round. */
enum status xgb_train_softmax(struct xgb_model **out, const struct xgb_params *params,
                              uint32_t class_count, const struct xgb_matrix *train,
                              const struct xgb_matrix *valid, xgb_progress_fn progress,
                              void *context, struct err *err);
/* Reads XGBoost's JSON; multi:softprob over trees only. The file's structure (lengths, node indices,
 * cycles, columns) is checked before the library sees it, as the library itself trusts its input.
 * ST_NOT_FOUND, ST_CORRUPT (with line), ST_UNSUPPORTED (another kind of model), ST_EXTERNAL. */
enum status xgb_load(struct xgb_model **out, const char *path, struct err *err);
/* The same from memory; bytes are not kept. */
enum status xgb_load_buffer(struct xgb_model **out, const void *bytes, size_t size,
                            struct err *err);
enum status xgb_save(struct xgb_model *m, const char *path,
                     struct err *err); /* atomic: temp file + rename */
void xgb_destroy(struct xgb_model *m);

/* Class probabilities, uncalibrated. out (rows, class_count) */
enum status xgb_predict(double *out, struct xgb_model *m, const float *features, size_t rows,
                        uint32_t columns, struct err *err);

enum status xgb_attr_set(struct xgb_model *m, const char *key, const char *value, struct err *err);
/* Borrowed until the model changes; NULL if absent. */
const char *xgb_attr_get(struct xgb_model *m, const char *key);
/* "xgboost 1.7.4": of the library linked. */
enum { XGB_VERSION_SIZE = 32 };
const char *xgb_version(char out[XGB_VERSION_SIZE]);
/* Of the bytes the model was loaded from; 0 for one just trained. */
uint64_t xgb_file_hash(const struct xgb_model *m);
uint32_t xgb_round_count(const struct xgb_model *m);
uint32_t xgb_class_count(const struct xgb_model *m);
uint32_t xgb_column_count(const struct xgb_model *m);

#endif
