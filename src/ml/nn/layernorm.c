#include <math.h>

#include "ml/nn/nn.h"

/* Sums in double: rows are short, and the variance of a row far from zero must not cancel. */
void nn_layernorm_forward(nn_real *y, nn_real *mean, nn_real *inv_std, const nn_real *x,
                          const nn_real *scale, const nn_real *shift, size_t n, size_t d) {
    for (size_t r = 0; r < n; r++, x += d, y += d) {
        double sum = 0, square = 0;
        for (size_t c = 0; c < d; c++) sum += (double)x[c];
        double centre = sum / (double)d;
        for (size_t c = 0; c < d; c++) square += ((double)x[c] - centre) * ((double)x[c] - centre);
        double factor = 1 / sqrt(square / (double)d + NN_NORM_EPS);
        mean[r] = (nn_real)centre;
        inv_std[r] = (nn_real)factor;
        for (size_t c = 0; c < d; c++)
            y[c] = (nn_real)(((double)x[c] - centre) * factor) * scale[c] + shift[c];
    }
}

void nn_layernorm_backward(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                           const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                           const nn_real *scale, size_t n, size_t d) {
    for (size_t r = 0; r < n; r++, x += d, dy += d) {
        double sum = 0, dot = 0;
        for (size_t c = 0; c < d; c++) {
            nn_real hat = (x[c] - mean[r]) * inv_std[r];
            sum += (double)(dy[c] * scale[c]);
            dot += (double)(dy[c] * scale[c]) * (double)hat;
            dscale[c] += dy[c] * hat;
            dshift[c] += dy[c];
        }
        for (size_t c = 0; c < d && dx; c++) {
            double hat = (double)((x[c] - mean[r]) * inv_std[r]);
            dx[r * d + c] = (nn_real)((double)inv_std[r] *
                                      ((double)(dy[c] * scale[c]) - (sum + hat * dot) / (double)d));
        }
    }
}
