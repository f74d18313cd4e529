/* What every processor of the architecture can run. */
#define NN_KERNELS         nn_kernels_base
#define NN_KERNELS_NAME    "base"
#define NN_KERNELS_CAN_RUN true
#include "ml/nn/kernels_body.h"
