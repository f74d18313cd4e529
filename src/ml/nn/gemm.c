#include "ml/nn/gemm.h"

static const struct nn_gemm_kernel *const kernels[] = {
    &nn_gemm_base,
#if defined(__x86_64__)
    &nn_gemm_fma,
    &nn_gemm_avx512,
#endif
};
enum { KERNEL_COUNT = sizeof kernels / sizeof kernels[0] };

const struct nn_gemm_kernel *nn_gemm_kernel_at(size_t index) {
    return index < KERNEL_COUNT ? kernels[index] : NULL;
}

void nn_gemm(nn_real *c, size_t c_step, struct nn_matrix a, struct nn_matrix b, size_t m, size_t n,
             size_t k, bool add) {
    size_t best = KERNEL_COUNT - 1;
    while (best > 0 && !kernels[best]->can_run()) best--;
    kernels[best]->gemm(c, c_step, a, b, m, n, k, add);
}
