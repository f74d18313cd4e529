#include <math.h>

#include "base/assert.h"
#include "ml/nn/optim.h"
#include "num/elementary.h"

/* PyTorch's OneCycleLR as the scripts build it: div_factor 25, final_div_factor 1e4, momentum
 * between 0.85 and 0.95. */
static const double start_share = 1.0 / 25, final_share = 1e-4;
static const double momentum_low = 0.85, momentum_high = 0.95;

/* From `from` down or up to `to` along half a cosine; done 0 .. 1. */
static double cosine(double from, double to, double done) {
    double s, c;
    num_circle(&s, &c, done / 2);
    return to + (from - to) / 2 * (1 + c);
}

static void one_cycle(struct nn_adam *a, const struct nn_schedule *s, uint64_t step) {
    double last = (double)s->total_steps - 1, top = s->pct_start * (double)s->total_steps - 1;
    double at = (double)step < last ? (double)step : last;
    double start = s->lr * start_share;
    if (at <= top) {
        double done = top > 0 ? at / top : 1;
        a->lr = cosine(start, s->lr, done);
        a->beta1 = cosine(momentum_high, momentum_low, done);
    } else {
        double done = (at - top) / (last - top);
        a->lr = cosine(s->lr, start * final_share, done);
        a->beta1 = cosine(momentum_low, momentum_high, done);
    }
}

static double repeated(double factor, uint64_t times) {
    double product = 1;
    for (; times; times >>= 1, factor *= factor)
        if (times & 1) product *= factor;
    return product;
}

void nn_schedule_apply(struct nn_adam *a, const struct nn_schedule *s, uint64_t step) {
    uint64_t epoch = s->steps_per_epoch ? step / s->steps_per_epoch : 0;
    switch (s->kind) {
    case NN_SCHEDULE_CONSTANT:
        a->lr = s->lr;
        break;
    case NN_SCHEDULE_STEP:
        ASSERT(s->period > 0);
        a->lr = s->lr * repeated(s->gamma, step / s->period);
        break;
    case NN_SCHEDULE_COSINE:
        ASSERT(s->total_steps > 0);
        a->lr = step < s->total_steps ? cosine(s->lr, 0, (double)step / (double)s->total_steps) : 0;
        break;
    case NN_SCHEDULE_ONECYCLE:
        ASSERT(s->total_steps > 0);
        one_cycle(a, s, step);
        break;
    case NN_SCHEDULE_TYPE3:
    case NN_SCHEDULE_SCRIPT_CONSTANT:
        ASSERT(s->steps_per_epoch > 0);
        a->lr = epoch == 0 ? s->lr * start_share : s->lr;
        if (s->kind == NN_SCHEDULE_TYPE3 && epoch > 3) a->lr *= repeated(0.9, epoch - 3);
        a->beta1 = momentum_high;
        break;
    }
}

struct nn_stopping nn_stopping_init(uint32_t patience) {
    return (struct nn_stopping){.patience = patience, .best = INFINITY};
}

bool nn_stopping_improves(struct nn_stopping *s, double loss) {
    bool better = loss <= s->best;
    if (better) {
        s->best = loss;
        s->best_round = s->rounds;
    }
    s->bad_rounds = better ? 0 : s->bad_rounds + 1;
    s->rounds++;
    return better;
}

bool nn_stopping_is_over(const struct nn_stopping *s) {
    return s->patience > 0 && s->bad_rounds >= s->patience;
}
