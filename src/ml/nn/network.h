/* What training loops and forecasts know of a network: windows in, forecasts out. */
#ifndef ML_NN_NETWORK_H
#define ML_NN_NETWORK_H

#include "ml/nn/params.h"

/* A batch of windows; arrays are borrowed, time ascending. */
struct nn_batch {
    size_t n;
    const nn_real *x;         /* (n, input, channels) */
    const nn_real *mask;      /* (n, input): 1 known, 0 padding; NULL: all known. N-HiTS only */
    const nn_real *hist_exog; /* (n, input, hist); NULL if the network has none */
    const nn_real *futr_exog; /* (n, input + horizon, futr) */
    const nn_real *stat_exog; /* (n, stat) */
    const nn_real *target;    /* (n, horizon, outputs); NULL for inference */
    const nn_real *weights;   /* (n) of the windows, NULL: all 1 */
};

/* A loss of the caller's own: its value for forecasts y (n, horizon, outputs), and its gradient into dy (the same shape; NULL: not
 * wanted). */
typedef double (*nn_loss_fn)(void *context, nn_real *dy, const nn_real *y,
                             const struct nn_batch *batch);
struct nn_loss_choice {
    enum nn_loss kind;
    nn_real delta;
    nn_loss_fn own; /* instead of kind; the batch's target may then be NULL */
    void *context;
};

struct network;
struct network_class {
    const char *name; /* "patchtst" "nhits" "dlinear" */
    /* Training mode: loss of the batch, gradients ADDED to params.grad; y (n, horizon, outputs) if not NULL. seed: of the
     * dropout masks of this step. batch n at most batch_max. */
    double (*step)(struct network *net, nn_real *y, const struct nn_batch *batch,
                   const struct nn_loss_choice *loss, uint64_t seed);
    /* Evaluation mode. Fixed order of additions: a window's forecast has the same bits alone and in any batch, on every processor and
     * compiler, any number of threads. No allocation. */
    void (*predict)(struct network *net, nn_real *y, const struct nn_batch *batch);
    void (*destroy)(struct network *net);
};

/* First member of every network. */
struct network {
    const struct network_class *class_of;
    struct nn_params params;
    size_t input, horizon, channels, outputs; /* shapes of a window */
    size_t batch_max;
    struct workers *workers; /* borrowed; may be NULL */
};

/* Loss of forecasts y (n, horizon, outputs) for the batch; dy as in nn_loss_fn. weights: scratch (n, horizon, outputs), read
 * only if the batch is weighted. */
double network_loss(const struct network *net, nn_real *dy, const nn_real *y,
                    const struct nn_batch *batch, const struct nn_loss_choice *loss,
                    nn_real *weights);

#endif
