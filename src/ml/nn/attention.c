#include "ml/nn/kernels.h"

void nn_attention_forward(nn_real *y, nn_real *scores, nn_real *p, const nn_real *q,
                          const nn_real *k, const nn_real *v, const nn_real *previous,
                          nn_real scale, size_t tokens, size_t heads, size_t dk) {
    const struct nn_kernels *kernels = nn_kernels();
    for (size_t i = 0; i < heads; i++) {
        size_t column = i * dk, square = i * tokens * tokens;
        struct attention_head h = {.y = y + column,
                                   .scores = scores + square,
                                   .p = p + square,
                                   .q = q + column,
                                   .k = k + column,
                                   .v = v + column,
                                   .previous = previous ? previous + square : NULL,
                                   .tokens = tokens,
                                   .stride = heads * dk,
                                   .dk = dk,
                                   .scale = scale};
        kernels->attention_forward(&h);
    }
}

size_t nn_attention_scratch(size_t tokens) {
    return tokens;
}

void nn_attention_backward(nn_real *dq, nn_real *dk_out, nn_real *dv, nn_real *dscores_out,
                           const nn_real *dy, const nn_real *dscores, const nn_real *q,
                           const nn_real *k, const nn_real *v, const nn_real *p, nn_real scale,
                           size_t tokens, size_t heads, size_t dk, nn_real *scratch) {
    const struct nn_kernels *kernels = nn_kernels();
    for (size_t i = 0; i < heads; i++) {
        size_t column = i * dk, square = i * tokens * tokens;
        struct attention_head h = {.q = q + column,
                                   .k = k + column,
                                   .v = v + column,
                                   .dq = dq + column,
                                   .dk_out = dk_out + column,
                                   .dv = dv + column,
                                   .dscores_out = dscores_out + square,
                                   .dy = dy + column,
                                   .dscores = dscores ? dscores + square : NULL,
                                   .p_kept = p + square,
                                   .scratch = scratch,
                                   .tokens = tokens,
                                   .stride = heads * dk,
                                   .dk = dk,
                                   .scale = scale};
        kernels->attention_backward(&h);
    }
}
