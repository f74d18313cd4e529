/* Layers of neural networks: forward and backward passes, written out.
 *
 * Arrays are row-major; shapes stand beside every argument, slowest first. A backward pass ADDS to
 * the gradients of parameters and WRITES those of inputs (NULL: not wanted). Nothing is allocated:
 * what backward needs from forward is an output argument of forward, and scratch is an argument.
 *
 * nn_real is float; the tests build the same sources once more with double (NN_DOUBLE) to compare
 * every gradient with finite differences. Each fast kernel has its plain twin, NAME_ref.
 *
 * Work is cut into parts of fixed size (never by the number of threads) and partial sums are added
 * in the order of the parts: one thread and many give the same bits. */
#ifndef ML_NN_NN_H
#define ML_NN_NN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/workers.h"

#ifdef NN_DOUBLE
typedef double nn_real;
#else
typedef float nn_real;
#endif

/* Added to a variance under the root, and the share of a batch in the running statistics:
 * PyTorch's defaults. */
#define NN_NORM_EPS           1e-5
#define NN_BATCHNORM_MOMENTUM 0.1

/* ---- linear: y = x w^T + b.  x (n, in)  w (out, in), as PyTorch stores it  b (out) or NULL  y (n, out) ---- */

/* Training: by nn_gemm, in its fixed order of additions (gemm.h). */
void nn_linear_forward(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                       size_t in, size_t out, struct workers *workers);
/* dy (n, out) -> dx (n, in), dw (out, in), db (out). scratch: nn_linear_scratch values. */
void nn_linear_backward(nn_real *dx, nn_real *dw, nn_real *db, const nn_real *dy, const nn_real *x,
                        const nn_real *w, size_t n, size_t in, size_t out, nn_real *scratch,
                        struct workers *workers);
size_t nn_linear_scratch(size_t n, size_t in, size_t out);
/* In a fixed order of additions: the same bits on every processor and compiler, for a row alone or
 * among others (inference). Inputs in blocks of NN_FIXED_BLOCK, each block summed in order, blocks
 * added in order, then the bias; products are rounded (no fused multiply-add): that any processor
 * can do at full speed. */
enum { NN_FIXED_BLOCK = 256 };
void nn_linear_fixed(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                     size_t in, size_t out);
/* The same from weights laid out once: panels of NN_PANEL outputs, input by input, then their
 * biases (zeros behind out and for b NULL). packed: nn_linear_pack_size values, best aligned to 64
 * bytes. Same bits as nn_linear_fixed, and much faster. */
enum { NN_PANEL = 16 };
size_t nn_linear_pack_size(size_t in, size_t out);
void nn_linear_pack(nn_real *packed, const nn_real *w, const nn_real *b, size_t in, size_t out);
void nn_linear_packed(nn_real *y, const nn_real *x, const nn_real *packed, size_t n, size_t in,
                      size_t out);
void nn_linear_fixed_ref(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                         size_t in, size_t out);

/* ---- activations, n values ---- */

/* Exact: x * Phi(x), by an erf of our own (error stated there), not the tanh approximation. */
void nn_gelu_forward(nn_real *y, const nn_real *x, size_t n);
void nn_gelu_backward(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n);
enum nn_activation {
    NN_IDENTITY = 0,
    NN_RELU,
    NN_SOFTPLUS,
    NN_TANH,
    NN_SELU,
    NN_LEAKY_RELU, /* slope 0.01 */
    NN_PRELU,      /* slope a parameter */
    NN_SIGMOID,
    NN_GELU
};
void nn_activation_forward(nn_real *y, const nn_real *x, size_t n, enum nn_activation kind,
                           nn_real slope);
/* dslope: added to, may be NULL */
void nn_activation_backward(nn_real *dx, nn_real *dslope, const nn_real *dy, const nn_real *x,
                            size_t n, enum nn_activation kind, nn_real slope);
void nn_softmax_forward(nn_real *y, const nn_real *x, size_t rows, size_t columns);
void nn_softmax_backward(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                         size_t columns);

/* ---- dropout: keeps each value with probability 1-p and scales it by 1/(1-p) ---- */

/* The mask is a function of (seed, index) alone, so that backward makes it again instead of
 * storing it, and parts may be done in any order. p 0 copies. y may be x. */
void nn_dropout(nn_real *y, const nn_real *x, size_t n, nn_real p, uint64_t seed,
                uint64_t first_index);

/* ---- normalisation ---- */

/* BatchNorm over rows: x (n, d), statistics per column over n. mean, inv_std (d) are kept for
 * backward; running_* are updated (momentum 0.1, unbiased variance) when training. eps 1e-5. */
void nn_batchnorm_train(nn_real *y, nn_real *mean, nn_real *inv_std, nn_real *running_mean,
                        nn_real *running_var, const nn_real *x, const nn_real *scale,
                        const nn_real *shift, size_t n, size_t d, nn_real *scratch,
                        struct workers *workers);
void nn_batchnorm_infer(nn_real *y, const nn_real *x, const nn_real *scale, const nn_real *shift,
                        const nn_real *running_mean, const nn_real *running_var, size_t n,
                        size_t d);
void nn_batchnorm_backward(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                           const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                           const nn_real *scale, size_t n, size_t d, nn_real *scratch,
                           struct workers *workers);
size_t nn_batchnorm_scratch(size_t n, size_t d);
/* Over the columns of each row; mean, inv_std (n). */
void nn_layernorm_forward(nn_real *y, nn_real *mean, nn_real *inv_std, const nn_real *x,
                          const nn_real *scale, const nn_real *shift, size_t n, size_t d);
void nn_layernorm_backward(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                           const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                           const nn_real *scale, size_t n, size_t d);

/* ---- attention with residual scores (RealFormer), one sequence ----
 * q k v (tokens, heads * dk): head h owns the columns h*dk .. (h+1)*dk. scores (heads, tokens, tokens): scale * q.k, plus
 * `previous` (same shape, NULL: none); handed on to the next layer. p (heads, tokens, tokens): softmax of scores.
 * y (tokens, heads * dk): p v, heads side by side. */
void nn_attention_forward(nn_real *y, nn_real *scores, nn_real *p, const nn_real *q,
                          const nn_real *k, const nn_real *v, const nn_real *previous,
                          nn_real scale, size_t tokens, size_t heads, size_t dk);
/* dscores in: gradient that the next layer's `previous` sent back (NULL: none); dscores_out: what
 * goes to this layer's `previous` (may be the same memory). */
void nn_attention_backward(nn_real *dq, nn_real *dk_out, nn_real *dv, nn_real *dscores_out,
                           const nn_real *dy, const nn_real *dscores, const nn_real *q,
                           const nn_real *k, const nn_real *v, const nn_real *p, nn_real scale,
                           size_t tokens, size_t heads, size_t dk, nn_real *scratch);
size_t nn_attention_scratch(size_t tokens);

/* ---- pooling along a row: kernel = stride = k, ceil mode; an incomplete last window holds what is left ---- */

size_t nn_pool_size(size_t length, size_t k);
/* x (n, length) -> y (n, nn_pool_size); arg (n, nn_pool_size): where the largest stood */
void nn_maxpool_forward(nn_real *y, uint32_t *arg, const nn_real *x, size_t n, size_t length,
                        size_t k);
void nn_maxpool_backward(nn_real *dx, const nn_real *dy, const uint32_t *arg, size_t n,
                         size_t length, size_t k);
void nn_avgpool_forward(nn_real *y, const nn_real *x, size_t n, size_t length, size_t k);
void nn_avgpool_backward(nn_real *dx, const nn_real *dy, size_t n, size_t length, size_t k);

/* ---- interpolation along a row, PyTorch's conventions without align_corners ---- */

enum nn_interpolation { NN_NEAREST = 0, NN_LINEAR, NN_CUBIC /* a = -0.75 */ };
/* knots (n, k) -> y (n, h) */
void nn_interpolate_forward(nn_real *y, const nn_real *knots, size_t n, size_t k, size_t h,
                            enum nn_interpolation kind);
void nn_interpolate_backward(nn_real *dknots, const nn_real *dy, size_t n, size_t k, size_t h,
                             enum nn_interpolation kind);

/* ---- losses: mean over n values (weights NULL, else weighted mean, 0 if their sum is 0); dy gradient of that mean, NULL: not
 * wanted. Values may be NaN: so is the loss then ---- */

enum nn_loss { NN_MSE = 0, NN_MAE, NN_HUBER, NN_QUANTILE };
/* delta: Huber's threshold or the quantile */
double nn_loss_values(nn_real *dy, const nn_real *y, const nn_real *target, const nn_real *weights,
                      size_t n, enum nn_loss kind, nn_real delta);
/* logits (n, classes), labels (n) */
double nn_cross_entropy(nn_real *dlogits, const nn_real *logits, const uint8_t *labels,
                        const nn_real *weights, size_t n, size_t classes);

/* ---- initialisation, equal in law to PyTorch's Linear: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) ---- */

void nn_init_uniform(nn_real *w, size_t n, double bound, struct rng *rng);

#endif
