/* The whole set; the file that includes this says for which processor (NN_KERNELS,
 * NN_KERNELS_NAME, NN_KERNELS_CAN_RUN). */
#include "ml/nn/kernel_attention.h"
#include "ml/nn/kernel_columns.h"
#include "ml/nn/kernel_linear.h"
#include "ml/nn/kernel_pointwise.h"
#include "ml/nn/kernels_internal.h"

static bool can_run(void) {
    return NN_KERNELS_CAN_RUN;
}

const struct nn_kernels NN_KERNELS = {
    .name = NN_KERNELS_NAME,
    .can_run = can_run,
    .square_sum = square_sum,
    .adam = adam,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
    .softmax_forward = softmax_forward,
    .softmax_backward = softmax_backward,
    .dropout = dropout,
    .linear_packed = linear_packed,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .column_moments = column_moments,
    .column_affine = column_affine,
    .column_sums = column_sums,
    .column_backward = column_backward,
};
