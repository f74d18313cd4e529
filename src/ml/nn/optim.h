/* Adam, learning-rate schedules, early stopping. */
#ifndef ML_NN_OPTIM_H
#define ML_NN_OPTIM_H

#include "ml/nn/params.h"

struct nn_adam {
    double lr, beta1, beta2, eps; /* 1e-3 0.9 0.999 1e-8 */
    double weight_decay;          /* decoupled (AdamW) */
    double clip_norm;             /* of all gradients together; 0: none */
    uint64_t step;
};
struct nn_adam nn_adam_defaults(void);
/* One step on p->grad with lr and betas as they stand; counts step. The numbers of
 * torch.optim.Adam (1.13: the denominator is sqrt(v) / sqrt(1 - beta2^step) + eps) and, with
 * weight_decay, of AdamW, within rounding. p->grad stays as it is. Returns the gradient's norm
 * before clipping; NaN if it is not a finite number: nothing was changed then. */
double nn_adam_step(struct nn_adam *a, struct nn_params *p, struct workers *workers);

enum nn_schedule_kind {
    NN_SCHEDULE_CONSTANT = 0,
    NN_SCHEDULE_STEP,   /* lr * gamma^(step / period) */
    NN_SCHEDULE_COSINE, /* to zero over total steps */
    NN_SCHEDULE_ONECYCLE, /* PyTorch's: lr/25 up to lr over pct_start, down to lr/250000; beta1 0.95 -> 0.85 -> 0.95 */
    NN_SCHEDULE_TYPE3, /* the PatchTST scripts': epoch 1 at lr/25, 2-4 at lr, then * 0.9 each; beta1 0.95 */
    NN_SCHEDULE_SCRIPT_CONSTANT /* the same scripts': epoch 1 at lr/25, then lr; beta1 0.95 */
};
struct nn_schedule {
    enum nn_schedule_kind kind;
    double lr, gamma, pct_start;
    uint64_t period, total_steps, steps_per_epoch;
};
/* lr and beta1 for the step with this number, 0 the first. */
void nn_schedule_apply(struct nn_adam *a, const struct nn_schedule *s, uint64_t step);

/* ---- early stopping: no better for `patience` rounds ---- */

struct nn_stopping {
    uint32_t patience; /* 0: never stops */
    uint32_t rounds, best_round, bad_rounds;
    double best; /* of the rounds so far, INFINITY before the first */
};
struct nn_stopping nn_stopping_init(uint32_t patience);
/* True if the loss is the best so far (an equal one counts as better, as in the PatchTST scripts;
 * NaN never is). */
bool nn_stopping_improves(struct nn_stopping *s, double loss);
bool nn_stopping_is_over(const struct nn_stopping *s);

#endif
