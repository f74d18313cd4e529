#include "ml/nn/kernels.h"

#include "ml/nn/kernels_internal.h"

static const struct nn_kernels *const sets[] = {
    &nn_kernels_base,
#if defined(__x86_64__)
    &nn_kernels_avx2,
    &nn_kernels_avx512,
#endif
};
enum { SET_COUNT = sizeof sets / sizeof sets[0] };

const struct nn_kernels *nn_kernels(void) {
    size_t best = SET_COUNT - 1;
    while (best > 0 && !sets[best]->can_run()) best--;
    return sets[best];
}

const struct nn_kernels *nn_kernels_at(size_t index) {
    return index < SET_COUNT ? sets[index] : NULL;
}
