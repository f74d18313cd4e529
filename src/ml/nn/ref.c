#include <math.h>
#include <string.h>

#include "ml/nn/dropout.h"
#include "ml/nn/nn_ref.h"

void nn_linear_forward_ref(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b,
                           size_t n, size_t in, size_t out) {
    for (size_t r = 0; r < n; r++)
        for (size_t o = 0; o < out; o++) {
            double sum = b ? (double)b[o] : 0;
            for (size_t i = 0; i < in; i++) sum += (double)x[r * in + i] * (double)w[o * in + i];
            y[r * out + o] = (nn_real)sum;
        }
}

void nn_linear_backward_ref(nn_real *dx, nn_real *dw, nn_real *db, const nn_real *dy,
                            const nn_real *x, const nn_real *w, size_t n, size_t in, size_t out) {
    for (size_t o = 0; o < out; o++) {
        double sum = 0;
        for (size_t r = 0; r < n; r++) sum += (double)dy[r * out + o];
        if (db) db[o] += (nn_real)sum;
    }
    for (size_t o = 0; o < out && dw; o++)
        for (size_t i = 0; i < in; i++) {
            double sum = 0;
            for (size_t r = 0; r < n; r++) sum += (double)dy[r * out + o] * (double)x[r * in + i];
            dw[o * in + i] += (nn_real)sum;
        }
    for (size_t r = 0; r < n && dx; r++)
        for (size_t i = 0; i < in; i++) {
            double sum = 0;
            for (size_t o = 0; o < out; o++) sum += (double)dy[r * out + o] * (double)w[o * in + i];
            dx[r * in + i] = (nn_real)sum;
        }
}

/* The contract's order: blocks of NN_FIXED_BLOCK inputs, each summed from its first product on,
 * then the blocks, then the bias. */
void nn_linear_fixed_ref(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                         size_t in, size_t out) {
    for (size_t r = 0; r < n; r++)
        for (size_t o = 0; o < out; o++) {
            nn_real total = 0;
            for (size_t from = 0; from < in; from += NN_FIXED_BLOCK) {
                size_t to = from + NN_FIXED_BLOCK < in ? from + NN_FIXED_BLOCK : in;
                nn_real sum = 0;
                for (size_t i = from; i < to; i++) sum += x[r * in + i] * w[o * in + i];
                total += sum;
            }
            y[r * out + o] = b ? total + b[o] : total;
        }
}

static double cdf(double x) {
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

void nn_gelu_forward_ref(nn_real *y, const nn_real *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = (nn_real)((double)x[i] * cdf((double)x[i]));
}

void nn_gelu_backward_ref(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i], density = 0.39894228040143267794 * exp(-0.5 * v * v);
        dx[i] = (nn_real)((double)dy[i] * (cdf(v) + v * density));
    }
}

void nn_softmax_forward_ref(nn_real *y, const nn_real *x, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        double top = (double)x[0], sum = 0;
        for (size_t c = 1; c < columns; c++) top = fmax(top, (double)x[c]);
        for (size_t c = 0; c < columns; c++) sum += exp((double)x[c] - top);
        for (size_t c = 0; c < columns; c++) y[c] = (nn_real)(exp((double)x[c] - top) / sum);
    }
}

void nn_softmax_backward_ref(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                             size_t columns) {
    for (size_t r = 0; r < rows; r++, dx += columns, dy += columns, y += columns) {
        double dot = 0;
        for (size_t c = 0; c < columns; c++) dot += (double)dy[c] * (double)y[c];
        for (size_t c = 0; c < columns; c++)
            dx[c] = (nn_real)((double)y[c] * ((double)dy[c] - dot));
    }
}

void nn_dropout_ref(nn_real *y, const nn_real *x, size_t n, nn_real p, uint64_t seed,
                    uint64_t first_index) {
    struct dropout_law law = dropout_law(p, seed);
    for (size_t i = 0; i < n; i++)
        y[i] = dropout_keeps(&law, first_index + i) ? x[i] * law.scale : 0;
}

void nn_batchnorm_train_ref(nn_real *y, nn_real *mean, nn_real *inv_std, nn_real *running_mean,
                            nn_real *running_var, const nn_real *x, const nn_real *scale,
                            const nn_real *shift, size_t n, size_t d) {
    for (size_t c = 0; c < d; c++) {
        double sum = 0, square = 0;
        for (size_t r = 0; r < n; r++) sum += (double)x[r * d + c];
        double centre = sum / (double)n;
        for (size_t r = 0; r < n; r++)
            square += ((double)x[r * d + c] - centre) * ((double)x[r * d + c] - centre);
        double var = square / (double)n, factor = 1 / sqrt(var + NN_NORM_EPS);
        for (size_t r = 0; r < n; r++)
            y[r * d + c] = (nn_real)(((double)x[r * d + c] - centre) * factor * (double)scale[c] +
                                     (double)shift[c]);
        mean[c] = (nn_real)centre;
        inv_std[c] = (nn_real)factor;
        double unbiased = n > 1 ? square / (double)(n - 1) : var;
        running_mean[c] = (nn_real)((1 - NN_BATCHNORM_MOMENTUM) * (double)running_mean[c] +
                                    NN_BATCHNORM_MOMENTUM * centre);
        running_var[c] = (nn_real)((1 - NN_BATCHNORM_MOMENTUM) * (double)running_var[c] +
                                   NN_BATCHNORM_MOMENTUM * unbiased);
    }
}

void nn_batchnorm_backward_ref(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                               const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                               const nn_real *scale, size_t n, size_t d) {
    for (size_t c = 0; c < d; c++) {
        double sum = 0, dot = 0;
        for (size_t r = 0; r < n; r++) {
            double hat = ((double)x[r * d + c] - (double)mean[c]) * (double)inv_std[c];
            sum += (double)dy[r * d + c];
            dot += (double)dy[r * d + c] * hat;
        }
        for (size_t r = 0; r < n && dx; r++) {
            double hat = ((double)x[r * d + c] - (double)mean[c]) * (double)inv_std[c];
            dx[r * d + c] =
                (nn_real)((double)scale[c] * (double)inv_std[c] *
                          ((double)dy[r * d + c] - sum / (double)n - hat * dot / (double)n));
        }
        dscale[c] += (nn_real)dot;
        dshift[c] += (nn_real)sum;
    }
}

void nn_attention_forward_ref(nn_real *y, nn_real *scores, nn_real *p, const nn_real *q,
                              const nn_real *k, const nn_real *v, const nn_real *previous,
                              nn_real scale, size_t tokens, size_t heads, size_t dk) {
    size_t width = heads * dk;
    for (size_t h = 0; h < heads; h++)
        for (size_t i = 0; i < tokens; i++) {
            size_t row = (h * tokens + i) * tokens;
            for (size_t j = 0; j < tokens; j++) {
                double dot = 0;
                for (size_t c = h * dk; c < (h + 1) * dk; c++)
                    dot += (double)q[i * width + c] * (double)k[j * width + c];
                dot = dot * (double)scale + (previous ? (double)previous[row + j] : 0);
                scores[row + j] = (nn_real)dot;
            }
            nn_softmax_forward_ref(p + row, scores + row, 1, tokens);
            for (size_t c = h * dk; c < (h + 1) * dk; c++) {
                double sum = 0;
                for (size_t j = 0; j < tokens; j++)
                    sum += (double)p[row + j] * (double)v[j * width + c];
                y[i * width + c] = (nn_real)sum;
            }
        }
}

void nn_attention_backward_ref(nn_real *dq, nn_real *dk_out, nn_real *dv, nn_real *dscores_out,
                               const nn_real *dy, const nn_real *dscores, const nn_real *q,
                               const nn_real *k, const nn_real *v, const nn_real *p, nn_real scale,
                               size_t tokens, size_t heads, size_t dk) {
    size_t width = heads * dk;
    for (size_t i = 0; i < tokens * width; i++) dq[i] = dk_out[i] = dv[i] = 0;
    for (size_t h = 0; h < heads; h++)
        for (size_t i = 0; i < tokens; i++) {
            size_t row = (h * tokens + i) * tokens;
            double dot = 0;
            for (size_t pass = 0; pass < 2; pass++)
                for (size_t j = 0; j < tokens; j++) {
                    double dp = 0;
                    for (size_t c = h * dk; c < (h + 1) * dk; c++)
                        dp += (double)dy[i * width + c] * (double)v[j * width + c];
                    if (pass == 0) {
                        dot += dp * (double)p[row + j];
                        continue;
                    }
                    double ds =
                        (double)p[row + j] * (dp - dot) + (dscores ? (double)dscores[row + j] : 0);
                    dscores_out[row + j] = (nn_real)ds;
                    for (size_t c = h * dk; c < (h + 1) * dk; c++) {
                        dq[i * width + c] +=
                            (nn_real)(ds * (double)scale * (double)k[j * width + c]);
                        dk_out[j * width + c] +=
                            (nn_real)(ds * (double)scale * (double)q[i * width + c]);
                        dv[j * width + c] += p[row + j] * dy[i * width + c];
                    }
                }
        }
}
