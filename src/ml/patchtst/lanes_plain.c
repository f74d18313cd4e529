/* Kernels for any processor. */
#include "ml/patchtst/lanes_products.h"

#include "ml/patchtst/lanes_elementwise.h"

const struct lanes_kernels patchtst_kernels_plain = LANES_KERNELS;

const struct lanes_kernels *patchtst_kernels(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &patchtst_kernels_avx2;
#endif
    return &patchtst_kernels_plain;
}
