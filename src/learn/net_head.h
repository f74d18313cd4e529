/* The head of a network that votes: what the network forecasts, as quantiles of the price's path and as class probabilities.
 *
 * A network gives (horizon, outputs) values a window; the head is one linear layer on them and on the window's context:
 *   path    (horizon, 3)  quantiles 0.1, 0.5, 0.9 of the log return to bar t + k, in units of sigma sqrt(k), k = 1 .. horizon
 *   logits  (3)           of the labels SELL, HOLD, BUY
 * The median is an output, its neighbours stand softplus(.) away from it: quantiles cannot cross. */
#ifndef LEARN_NET_HEAD_H
#define LEARN_NET_HEAD_H

#include "ml/nn/network.h"

enum { NET_QUANTILES = 3, NET_CLASSES = 3, NET_CONTEXT = 1, NET_HORIZON_MAX = 64 };

struct net_head {
    struct nn_params params; /* head.weight (outputs of it, inputs), head.bias */
    size_t horizon, values;  /* values: of the network a window, horizon * outputs */
    size_t inputs, outputs;  /* of the linear layer */
    double label_weight;     /* of the labels' cross-entropy beside the mean pinball loss */
    /* scratch of a training step (batch_max rows); NULL without training */
    nn_real *rows, *z, *dz, *drows, *scratch;
    double *losses;
    size_t batch_max;
    struct workers *workers;
};

/* What a batch's `target` holds for this head, a window: the path (horizon), the label (1), the context (NET_CONTEXT). */
static inline size_t net_target_stride(size_t horizon) {
    return horizon + 1 + NET_CONTEXT;
}

/* Starts as the forecast of a random walk: median 0, quantiles of a standard normal, labels by weights near zero. */
enum status net_head_init(struct net_head *head, size_t horizon, size_t values, size_t batch_max,
                          bool training, uint64_t seed, struct workers *workers, struct err *err);
void net_head_free(struct net_head *head);

/* An nn_loss_fn; context is the net_head. Weighted mean over windows of: mean pinball loss of the path + label_weight *
 * cross-entropy. With dy, the head's own gradients are ADDED to its params.
 * Source  Koenker, Bassett, "Regression Quantiles", Econometrica 46 (1978) */
double net_head_loss(void *head, nn_real *dy, const nn_real *y, const struct nn_batch *batch);

/* One window's outputs z (outputs), spread out. path (horizon, 3) or NULL; p (3) softmax or NULL. NaN where z is. */
void net_head_spread(double *path, double *p, const struct net_head *head, const nn_real *z);

#endif
