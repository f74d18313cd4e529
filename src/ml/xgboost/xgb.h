/* The real XGBoost through libxgboost's C API: training. What it makes is read and served by ml/model. */
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

/* "xgboost 1.7.4": of the library linked. */
enum { XGB_VERSION_SIZE = 32 };
const char *xgb_version(char out[XGB_VERSION_SIZE]);

#endif
