/* Compiled with -mavx2 (CMakeLists.txt). */
#define NN_KERNELS         nn_kernels_avx2
#define NN_KERNELS_NAME    "avx2"
#define NN_KERNELS_CAN_RUN (__builtin_cpu_supports("avx2") != 0)
#if defined(__x86_64__)
#include "ml/nn/kernels_body.h"
#endif
