/* TreeSHAP: how much each column moved a row's margin away from the model's expectation.
 *
 * Path-dependent: the rows each node saw in training (XGBoost: sums of hessians) weigh its branches.
 * Source  Lundberg, Erion, Lee, Consistent Individualized Feature Attribution for Tree Ensembles
 *         (2018), algorithm 2. */
#ifndef ML_FOREST_SHAP_H
#define ML_FOREST_SHAP_H

#include "base/status.h"
#include "ml/forest/tree_model.h"

/* Bytes of scratch that shap_contributions needs. */
size_t shap_scratch_size(const struct tree_model *m);
/* out (outputs, columns + 1): per output one contribution a column, last the expectation; they sum to
 * the output's margin over the iterations [first, last). row (columns).
 * ST_UNSUPPORTED: linear leaves; ST_INVALID: nodes without cover. */
enum status shap_contributions(double *out, const struct tree_model *m, uint32_t first,
                               uint32_t last, const double *row, void *scratch);

#endif
