#include <math.h>

#include "ml/nn/kernels.h"
#include "ml/nn/optim.h"

/* Values of a part: half of the first cache for its four arrays. */
enum { PART = 16384, PARTS_MAX = 4096 };

struct nn_adam nn_adam_defaults(void) {
    return (struct nn_adam){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
}

struct job {
    struct nn_params *p;
    struct adam_step step;
    size_t part;            /* values in one */
    double sums[PARTS_MAX]; /* of squares */
};

static size_t size_of(const struct job *j, uint32_t part, size_t *from) {
    *from = part * j->part;
    size_t left = j->p->trainable_size - *from;
    return left < j->part ? left : j->part;
}

static void square_part(void *context, uint32_t part) {
    struct job *j = context;
    size_t from, size = size_of(j, part, &from);
    j->sums[part] = nn_kernels()->square_sum(j->p->grad + from, size);
}

static void adam_part(void *context, uint32_t part) {
    struct job *j = context;
    struct nn_params *p = j->p;
    size_t from, size = size_of(j, part, &from);
    nn_kernels()->adam(p->value + from, p->m + from, p->v + from, p->grad + from, size, &j->step);
}

/* By squaring, so that it is the same everywhere. */
static double power(double base, uint64_t exponent) {
    double result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

double nn_adam_step(struct nn_adam *a, struct nn_params *p, struct workers *workers) {
    struct job j = {.p = p, .part = PART};
    while (p->trainable_size > j.part * PARTS_MAX) j.part *= 2;
    uint32_t parts = (uint32_t)((p->trainable_size + j.part - 1) / j.part);
    workers_run(workers, square_part, &j, parts);
    double sum = 0;
    for (uint32_t i = 0; i < parts; i++) sum += j.sums[i];
    double norm = sqrt(sum);
    if (!isfinite(norm)) return NAN;

    a->step++;
    j.step = (struct adam_step){
        .beta1 = (nn_real)a->beta1,
        .beta2 = (nn_real)a->beta2,
        .one_less_beta1 = (nn_real)(1 - a->beta1),
        .one_less_beta2 = (nn_real)(1 - a->beta2),
        .step_size = (nn_real)(a->lr / (1 - power(a->beta1, a->step))),
        .root_bias2 = (nn_real)sqrt(1 - power(a->beta2, a->step)),
        .eps = (nn_real)a->eps,
        .decay = (nn_real)(1 - a->lr * a->weight_decay),
        .clip = 1,
    };
    /* As torch's clip_grad_norm_, its 1e-6 included. */
    if (a->clip_norm > 0 && norm + 1e-6 > a->clip_norm)
        j.step.clip = (nn_real)(a->clip_norm / (norm + 1e-6));
    workers_run(workers, adam_part, &j, parts);
    p->changes++;
    return norm;
}
