#include <math.h>

#include "ml/nn/nn.h"

enum { TAPS = 4, CHUNK = 64 };

/* What output column i takes from which knots; unused taps weigh nothing. */
struct taps {
    size_t at[TAPS];
    nn_real weight[TAPS];
};

static size_t clamped(double at, size_t k) {
    return at < 0 ? 0 : at > (double)(k - 1) ? k - 1 : (size_t)at;
}

/* Keys (1981), cubic convolution, with PyTorch's a. */
static double cubic_near(double x) {
    const double a = -0.75;
    return ((a + 2) * x - (a + 3)) * x * x + 1;
}
static double cubic_far(double x) {
    const double a = -0.75;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static unsigned taps_of(struct taps *t, size_t i, size_t k, size_t h, enum nn_interpolation kind) {
    double at = ((double)i + 0.5) * ((double)k / (double)h) - 0.5;
    switch (kind) {
    case NN_NEAREST: {
        /* PyTorch takes the product in single precision: 49 / 49 may come out below 1. */
        float position = (float)i * ((float)k / (float)h);
        t->at[0] = clamped((double)floorf(position), k);
        t->weight[0] = 1;
        return 1;
    }
    case NN_LINEAR: {
        if (at < 0) at = 0;
        double low = floor(at);
        t->at[0] = clamped(low, k);
        t->at[1] = clamped(low + 1, k);
        t->weight[0] = (nn_real)(1 - (at - low));
        t->weight[1] = (nn_real)(at - low);
        return 2;
    }
    case NN_CUBIC: {
        double low = floor(at), f = at - low;
        const double weights[TAPS] = {cubic_far(f + 1), cubic_near(f), cubic_near(1 - f),
                                      cubic_far(2 - f)};
        for (int tap = 0; tap < TAPS; tap++) {
            t->at[tap] = clamped(low - 1 + tap, k);
            t->weight[tap] = (nn_real)weights[tap];
        }
        return TAPS;
    }
    }
    return 0;
}

void nn_interpolate_forward(nn_real *y, const nn_real *knots, size_t n, size_t k, size_t h,
                            enum nn_interpolation kind) {
    for (size_t from = 0; from < h; from += CHUNK) {
        struct taps taps[CHUNK];
        size_t count = h - from < CHUNK ? h - from : CHUNK;
        unsigned used = 0;
        for (size_t i = 0; i < count; i++) used = taps_of(&taps[i], from + i, k, h, kind);
        for (size_t r = 0; r < n; r++)
            for (size_t i = 0; i < count; i++) {
                const nn_real *row = knots + r * k;
                nn_real sum = taps[i].weight[0] * row[taps[i].at[0]];
                for (unsigned t = 1; t < used; t++) sum += taps[i].weight[t] * row[taps[i].at[t]];
                y[r * h + from + i] = sum;
            }
    }
}

void nn_interpolate_backward(nn_real *dknots, const nn_real *dy, size_t n, size_t k, size_t h,
                             enum nn_interpolation kind) {
    for (size_t i = 0; i < n * k; i++) dknots[i] = 0;
    for (size_t from = 0; from < h; from += CHUNK) {
        struct taps taps[CHUNK];
        size_t count = h - from < CHUNK ? h - from : CHUNK;
        unsigned used = 0;
        for (size_t i = 0; i < count; i++) used = taps_of(&taps[i], from + i, k, h, kind);
        for (size_t r = 0; r < n; r++)
            for (size_t i = 0; i < count; i++)
                for (unsigned t = 0; t < used; t++)
                    dknots[r * k + taps[i].at[t]] += taps[i].weight[t] * dy[r * h + from + i];
    }
}
