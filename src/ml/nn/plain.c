#include <math.h>
#include <string.h>

#include "ml/nn/nn_ref.h"

void nn_linear_fixed(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                     size_t in, size_t out) {
    nn_linear_fixed_ref(y, x, w, b, n, in, out);
}
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
    for (size_t r = 0; r < n; r++)
        for (size_t o = 0; o < out; o++) {
            const nn_real *w = packed + o / NN_PANEL * NN_PANEL * (in + 1) + o % NN_PANEL;
            nn_real total = 0;
            for (size_t from = 0; from < in; from += NN_FIXED_BLOCK) {
                size_t to = from + NN_FIXED_BLOCK < in ? from + NN_FIXED_BLOCK : in;
                nn_real sum = 0;
                for (size_t i = from; i < to; i++) sum += x[r * in + i] * w[i * NN_PANEL];
                total += sum;
            }
            y[r * out + o] = total + w[in * NN_PANEL];
        }
}
void nn_gelu_forward(nn_real *y, const nn_real *x, size_t n) {
    nn_gelu_forward_ref(y, x, n);
}
void nn_gelu_backward(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n) {
    nn_gelu_backward_ref(dx, dy, x, n);
}
void nn_softmax_forward(nn_real *y, const nn_real *x, size_t rows, size_t columns) {
    nn_softmax_forward_ref(y, x, rows, columns);
}
void nn_softmax_backward(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                         size_t columns) {
    nn_softmax_backward_ref(dx, dy, y, rows, columns);
}
void nn_dropout(nn_real *y, const nn_real *x, size_t n, nn_real p, uint64_t seed,
                uint64_t first_index) {
    nn_dropout_ref(y, x, n, p, seed, first_index);
}
void nn_batchnorm_train(nn_real *y, nn_real *mean, nn_real *inv_std, nn_real *running_mean,
                        nn_real *running_var, const nn_real *x, const nn_real *scale,
                        const nn_real *shift, size_t n, size_t d, nn_real *scratch,
                        struct workers *workers) {
    (void)scratch;
    (void)workers;
    nn_batchnorm_train_ref(y, mean, inv_std, running_mean, running_var, x, scale, shift, n, d);
}
void nn_batchnorm_infer(nn_real *y, const nn_real *x, const nn_real *scale, const nn_real *shift,
                        const nn_real *running_mean, const nn_real *running_var, size_t n,
                        size_t d) {
    for (size_t c = 0; c < d; c++) {
        nn_real factor = scale[c] / (nn_real)sqrt((double)running_var[c] + NN_NORM_EPS);
        for (size_t r = 0; r < n; r++)
            y[r * d + c] = (x[r * d + c] - running_mean[c]) * factor + shift[c];
    }
}
void nn_batchnorm_backward(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                           const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                           const nn_real *scale, size_t n, size_t d, nn_real *scratch,
                           struct workers *workers) {
    (void)scratch;
    (void)workers;
    nn_batchnorm_backward_ref(dx, dscale, dshift, dy, x, mean, inv_std, scale, n, d);
}
size_t nn_batchnorm_scratch(size_t n, size_t d) {
    return ((n + 511) / 512) * 2 * d;
}
void nn_attention_forward(nn_real *y, nn_real *scores, nn_real *p, const nn_real *q,
                          const nn_real *k, const nn_real *v, const nn_real *previous,
                          nn_real scale, size_t tokens, size_t heads, size_t dk) {
    nn_attention_forward_ref(y, scores, p, q, k, v, previous, scale, tokens, heads, dk);
}
void nn_attention_backward(nn_real *dq, nn_real *dk_out, nn_real *dv, nn_real *dscores_out,
                           const nn_real *dy, const nn_real *dscores, const nn_real *q,
                           const nn_real *k, const nn_real *v, const nn_real *p, nn_real scale,
                           size_t tokens, size_t heads, size_t dk, nn_real *scratch) {
    (void)scratch;
    nn_attention_backward_ref(dq, dk_out, dv, dscores_out, dy, dscores, q, k, v, p, scale, tokens,
                              heads, dk);
}
size_t nn_attention_scratch(size_t tokens) {
    return 4 * tokens * tokens;
}
