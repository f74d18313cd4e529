#include <math.h>

#include "ml/nn/nn.h"

size_t nn_pool_size(size_t length, size_t k) {
    return (length + k - 1) / k;
}

static size_t window_end(size_t w, size_t k, size_t length) {
    return (w + 1) * k < length ? (w + 1) * k : length;
}

void nn_maxpool_forward(nn_real *y, uint32_t *arg, const nn_real *x, size_t n, size_t length,
                        size_t k) {
    size_t windows = nn_pool_size(length, k);
    for (size_t r = 0; r < n; r++, x += length, y += windows, arg = arg ? arg + windows : NULL)
        for (size_t w = 0; w < windows; w++) {
            size_t best = w * k;
            /* As in PyTorch the first of equals wins, and a NaN wins over all. */
            for (size_t i = best + 1; i < window_end(w, k, length); i++)
                if (x[i] > x[best] || isnan(x[i])) best = i;
            y[w] = x[best];
            if (arg) arg[w] = (uint32_t)best;
        }
}

void nn_maxpool_backward(nn_real *dx, const nn_real *dy, const uint32_t *arg, size_t n,
                         size_t length, size_t k) {
    size_t windows = nn_pool_size(length, k);
    for (size_t r = 0; r < n; r++, dx += length, dy += windows, arg += windows) {
        for (size_t i = 0; i < length; i++) dx[i] = 0;
        for (size_t w = 0; w < windows; w++) dx[arg[w]] = dy[w];
    }
}

void nn_avgpool_forward(nn_real *y, const nn_real *x, size_t n, size_t length, size_t k) {
    size_t windows = nn_pool_size(length, k);
    for (size_t r = 0; r < n; r++, x += length, y += windows)
        for (size_t w = 0; w < windows; w++) {
            size_t from = w * k, to = window_end(w, k, length);
            nn_real sum = 0;
            for (size_t i = from; i < to; i++) sum += x[i];
            y[w] = sum / (nn_real)(to - from);
        }
}

void nn_avgpool_backward(nn_real *dx, const nn_real *dy, size_t n, size_t length, size_t k) {
    size_t windows = nn_pool_size(length, k);
    for (size_t r = 0; r < n; r++, dx += length, dy += windows)
        for (size_t w = 0; w < windows; w++) {
            size_t from = w * k, to = window_end(w, k, length);
            for (size_t i = from; i < to; i++) dx[i] = dy[w] / (nn_real)(to - from);
        }
}
