/* Compiled with -mavx2 -mfma (CMakeLists.txt). */
#define GEMM_KERNEL  nn_gemm_fma
#define GEMM_NAME    "fma"
#define GEMM_CAN_RUN (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
#if defined(__x86_64__)
#include "ml/nn/gemm_body.h"
#endif
