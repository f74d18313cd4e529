/* TreeSHAP: how much each column moved a row's margin away from the model's expectation.
 *
 * Path-dependent: what each node saw in training (XGBoost: sums of hessians, LightGBM: rows) weighs its
 * branches, as XGBoost's pred_contribs and LightGBM's predict_contrib do. In double; agrees with both
 * libraries within their own rounding (XGBoost's is float32).
 *
 * Source  Lundberg, Erion, Lee, Consistent Individualized Feature Attribution for Tree Ensembles
 *         (2018), sections 2-3: which game is played. Owen, Multilinear Extensions of Games (1972):
 *         the Shapley value as an integral, which is how it is computed (shap.c). */
#ifndef ML_FOREST_SHAP_H
#define ML_FOREST_SHAP_H

#include <stddef.h>

#include "base/status.h"
#include "ml/forest/tree_model.h"

/* Bytes of scratch that shap_contributions needs, aligned to 8. */
size_t shap_scratch_size(const struct tree_model *m);
/* out (outputs, columns + 1): per output one contribution a column, last the expectation; they sum to
 * the output's margin over the iterations [first, last), summed in double: what XGBoost's float32
 * margin is up to its rounding. row (columns). The model has passed tree_model_problem.
 * ST_UNSUPPORTED: linear leaves; ST_INVALID: nodes without cover that
 * the row or a coalition reaches. */
enum status shap_contributions(double *out, const struct tree_model *m, uint32_t first,
                               uint32_t last, const double *row, void *scratch);

#endif
