#include <math.h>

#include "ml/nn/nn.h"
#include "num/elementary.h"

struct point {
    double loss, slope; /* by y */
};

static struct point loss_at(double y, double target, enum nn_loss kind, double delta) {
    double d = y - target;
    switch (kind) {
    case NN_MSE:
        return (struct point){d * d, 2 * d};
    case NN_MAE:
        return (struct point){fabs(d), d > 0 ? 1 : d < 0 ? -1 : d};
    case NN_HUBER:
        if (fabs(d) > delta)
            return (struct point){delta * (fabs(d) - delta / 2), d > 0 ? delta : -delta};
        return (struct point){d * d / 2, d};
    case NN_QUANTILE: /* Koenker and Bassett (1978): delta above, 1 - delta below */
        if (d > 0) return (struct point){(1 - delta) * d, 1 - delta};
        return (struct point){-delta * d, d < 0 ? -delta : d};
    }
    return (struct point){NAN, NAN};
}

static double weight_sum(const nn_real *weights, size_t n) {
    if (!weights) return (double)n;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)weights[i];
    return sum;
}

double nn_loss_values(nn_real *dy, const nn_real *y, const nn_real *target, const nn_real *weights,
                      size_t n, enum nn_loss kind, nn_real delta) {
    double total = weight_sum(weights, n), sum = 0;
    for (size_t i = 0; i < n; i++) {
        struct point p = loss_at((double)y[i], (double)target[i], kind, (double)delta);
        double share = total > 0 ? (weights ? (double)weights[i] : 1) / total : 0;
        sum += share * p.loss;
        if (dy) dy[i] = (nn_real)(share * p.slope);
    }
    return sum;
}

/* log of the sum of e^logit. */
static double log_sum(const nn_real *logits, size_t classes, double *top) {
    double sum = 0;
    *top = (double)logits[0];
    for (size_t c = 1; c < classes; c++)
        if ((double)logits[c] > *top) *top = (double)logits[c];
    for (size_t c = 0; c < classes; c++) {
        double below = (double)logits[c] - *top;
        if (!(below < -690)) sum += num_exp(below);
    }
    return *top + num_log(sum);
}

double nn_cross_entropy(nn_real *dlogits, const nn_real *logits, const uint8_t *labels,
                        const nn_real *weights, size_t n, size_t classes) {
    double total = weight_sum(weights, n), sum = 0;
    for (size_t i = 0; i < n; i++, logits += classes) {
        double top, whole = log_sum(logits, classes, &top);
        double share = total > 0 ? (weights ? (double)weights[i] : 1) / total : 0;
        sum += share * (whole - (double)logits[labels[i]]);
        for (size_t c = 0; c < classes && dlogits; c++) {
            double below = (double)logits[c] - whole, p = below < -690 ? 0 : num_exp(below);
            dlogits[i * classes + c] = (nn_real)(share * (p - (labels[i] == c)));
        }
    }
    return sum;
}
