/* Compiled with -mavx2 -mfma -mavx512f (CMakeLists.txt). */
#define GEMM_KERNEL nn_gemm_avx512
#define GEMM_NAME   "avx512"
#define GEMM_CAN_RUN                                                                               \
    (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&                  \
     __builtin_cpu_supports("avx512f") != 0)
#if defined(__x86_64__)
#include "ml/nn/gemm_body.h"
#endif
