/* The layers once more, as plainly as they can be said: what the fast kernels of nn.h are tested
 * against. The same arguments and contracts, except that there are no threads and no scratch. */
#ifndef ML_NN_NN_REF_H
#define ML_NN_NN_REF_H

#include "ml/nn/nn.h"

void nn_linear_forward_ref(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b,
                           size_t n, size_t in, size_t out);
void nn_linear_backward_ref(nn_real *dx, nn_real *dw, nn_real *db, const nn_real *dy,
                            const nn_real *x, const nn_real *w, size_t n, size_t in, size_t out);
void nn_gelu_forward_ref(nn_real *y, const nn_real *x, size_t n);
void nn_gelu_backward_ref(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n);
void nn_softmax_forward_ref(nn_real *y, const nn_real *x, size_t rows, size_t columns);
void nn_softmax_backward_ref(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                             size_t columns);
void nn_dropout_ref(nn_real *y, const nn_real *x, size_t n, nn_real p, uint64_t seed,
                    uint64_t first_index);
void nn_batchnorm_train_ref(nn_real *y, nn_real *mean, nn_real *inv_std, nn_real *running_mean,
                            nn_real *running_var, const nn_real *x, const nn_real *scale,
                            const nn_real *shift, size_t n, size_t d);
void nn_batchnorm_backward_ref(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                               const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                               const nn_real *scale, size_t n, size_t d);
void nn_attention_forward_ref(nn_real *y, nn_real *scores, nn_real *p, const nn_real *q,
                              const nn_real *k, const nn_real *v, const nn_real *previous,
                              nn_real scale, size_t tokens, size_t heads, size_t dk);
void nn_attention_backward_ref(nn_real *dq, nn_real *dk_out, nn_real *dv, nn_real *dscores_out,
                               const nn_real *dy, const nn_real *dscores, const nn_real *q,
                               const nn_real *k, const nn_real *v, const nn_real *p, nn_real scale,
                               size_t tokens, size_t heads, size_t dk);

#endif
