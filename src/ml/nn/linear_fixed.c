#include "ml/nn/kernels.h"

size_t nn_linear_pack_size(size_t in, size_t out) {
    return (out + NN_PANEL - 1) / NN_PANEL * NN_PANEL * (in + 1);
}

void nn_linear_pack(nn_real *packed, const nn_real *w, const nn_real *b, size_t in, size_t out) {
    for (size_t from = 0; from < out; from += NN_PANEL)
        for (size_t i = 0; i <= in; i++)
            for (size_t o = from; o < from + NN_PANEL; o++)
                *packed++ = o >= out ? 0 : i < in ? w[o * in + i] : b ? b[o] : 0;
}

void nn_linear_packed(nn_real *y, const nn_real *x, const nn_real *packed, size_t n, size_t in,
                      size_t out) {
    nn_kernels()->linear_packed(y, x, packed, n, in, out);
}

/* A panel's block of weights is turned on the stack and serves all rows; y holds the sum of the
 * blocks so far. */
void nn_linear_fixed(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                     size_t in, size_t out) {
    nn_real tile[NN_FIXED_BLOCK * NN_PANEL];
    for (size_t o = 0; o < out; o += NN_PANEL)
        for (size_t from = 0; from < in || from == 0; from += NN_FIXED_BLOCK) {
            size_t size = in - from < NN_FIXED_BLOCK ? in - from : NN_FIXED_BLOCK;
            size_t outputs = out - o < NN_PANEL ? out - o : NN_PANEL;
            for (size_t i = 0; i < size; i++)
                for (size_t p = 0; p < NN_PANEL; p++)
                    tile[i * NN_PANEL + p] = p < outputs ? w[(o + p) * in + from + i] : 0;
            for (size_t r = 0; r < n; r++) {
                nn_real sums[NN_PANEL] = {0};
                for (size_t i = 0; i < size; i++) {
                    nn_real value = x[r * in + from + i];
                    for (size_t p = 0; p < NN_PANEL; p++) sums[p] += value * tile[i * NN_PANEL + p];
                }
                for (size_t p = 0; p < outputs; p++) {
                    nn_real *at = &y[r * out + o + p];
                    nn_real total = (from ? *at : 0) + sums[p];
                    *at = b && from + size == in ? total + b[o + p] : total;
                }
            }
        }
}
