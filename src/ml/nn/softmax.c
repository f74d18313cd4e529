#include "ml/nn/kernels.h"

void nn_softmax_forward(nn_real *y, const nn_real *x, size_t rows, size_t columns) {
    nn_kernels()->softmax_forward(y, x, rows, columns);
}

void nn_softmax_backward(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                         size_t columns) {
    nn_kernels()->softmax_backward(dx, dy, y, rows, columns);
}
