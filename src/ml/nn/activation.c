#include <math.h>

#include "ml/nn/kernels.h"
#include "num/elementary.h"

/* Klambauer et al., "Self-normalizing neural networks" (2017), as PyTorch writes them out. */
static const double selu_scale = 1.0507009873554804934193349852946;
static const double selu_alpha = 1.6732632423543772848170429916717;
static const double leaky_slope = 0.01;

/* e^x, 0 where it is too small to matter. */
static double exp_of(double x) {
    return x < -690 ? 0 : num_exp(x > 690 ? 690 : x);
}

static double tanh_of(double x) {
    double e = exp_of(-2 * fabs(x)), t = (1 - e) / (1 + e);
    return x < 0 ? -t : t;
}

static double value_of(double x, enum nn_activation kind, double slope) {
    switch (kind) {
    case NN_IDENTITY:
    case NN_GELU:
        return x;
    case NN_RELU:
        return x > 0 ? x : x != x ? x : 0;
    case NN_SOFTPLUS: /* PyTorch's threshold: above 20 the identity */
        return x > 20 ? x : (x > 0 ? x : 0) + num_log(1 + exp_of(-fabs(x)));
    case NN_TANH:
        return tanh_of(x);
    case NN_SELU:
        return selu_scale * (x > 0 ? x : selu_alpha * (exp_of(x) - 1));
    case NN_LEAKY_RELU:
        return x > 0 ? x : leaky_slope * x;
    case NN_PRELU:
        return x > 0 ? x : slope * x;
    case NN_SIGMOID:
        return 1 / (1 + exp_of(-x));
    }
    return NAN;
}

static double slope_of(double x, enum nn_activation kind, double slope) {
    switch (kind) {
    case NN_IDENTITY:
    case NN_GELU:
        return 1;
    case NN_RELU:
        return x > 0;
    case NN_SOFTPLUS:
        return x > 20 ? 1 : 1 / (1 + exp_of(-x));
    case NN_TANH:
        return 1 - tanh_of(x) * tanh_of(x);
    case NN_SELU:
        return selu_scale * (x > 0 ? 1 : selu_alpha * exp_of(x));
    case NN_LEAKY_RELU:
        return x > 0 ? 1 : leaky_slope;
    case NN_PRELU:
        return x > 0 ? 1 : slope;
    case NN_SIGMOID: {
        double s = 1 / (1 + exp_of(-x));
        return s * (1 - s);
    }
    }
    return NAN;
}

void nn_gelu_forward(nn_real *y, const nn_real *x, size_t n) {
    nn_kernels()->gelu_forward(y, x, n);
}

void nn_gelu_backward(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n) {
    nn_kernels()->gelu_backward(dx, dy, x, n);
}

void nn_activation_forward(nn_real *y, const nn_real *x, size_t n, enum nn_activation kind,
                           nn_real slope) {
    if (kind == NN_GELU) {
        nn_gelu_forward(y, x, n);
    } else if (kind == NN_RELU) { /* the one that is everywhere; a NaN stays one */
        for (size_t i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];
    } else {
        for (size_t i = 0; i < n; i++) y[i] = (nn_real)value_of((double)x[i], kind, (double)slope);
    }
}

void nn_activation_backward(nn_real *dx, nn_real *dslope, const nn_real *dy, const nn_real *x,
                            size_t n, enum nn_activation kind, nn_real slope) {
    if (kind == NN_PRELU && dslope) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            if (!(x[i] > 0)) sum += (double)dy[i] * (double)x[i];
        *dslope += (nn_real)sum;
    }
    if (kind == NN_GELU) {
        nn_gelu_backward(dx, dy, x, n);
    } else if (kind == NN_RELU) {
        for (size_t i = 0; i < n; i++) dx[i] = x[i] > 0 ? dy[i] : 0;
    } else {
        for (size_t i = 0; i < n; i++)
            dx[i] = (nn_real)((double)dy[i] * slope_of((double)x[i], kind, (double)slope));
    }
}
