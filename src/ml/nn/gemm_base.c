/* For processors of which nothing is known. Where they have no fused multiply-add, the C library
 * computes it: slow, the same bits. */
#define GEMM_KERNEL  nn_gemm_base
#define GEMM_NAME    "base"
#define GEMM_CAN_RUN true
#include "ml/nn/gemm_body.h"
