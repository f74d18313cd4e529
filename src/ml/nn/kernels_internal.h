/* The sets of kernels by processor. */
#ifndef ML_NN_KERNELS_INTERNAL_H
#define ML_NN_KERNELS_INTERNAL_H

#include "ml/nn/kernels.h"

extern const struct nn_kernels nn_kernels_base;
#if defined(__x86_64__)
extern const struct nn_kernels nn_kernels_avx2, nn_kernels_avx512;
#endif

#endif
