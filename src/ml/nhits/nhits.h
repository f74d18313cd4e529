/* N-HiTS (Challu et al., "NHITS: Neural Hierarchical Interpolation for Time Series Forecasting",
 * AAAI 2023), in the two layouts its authors' code has: the paper's repository and the library
 * neuralforecast. Windows of one channel in, with exogenous inputs if wanted; a forecast of one or
 * more outputs (a multi-output loss's) per step out.
 *
 * Training and inference add in orders of their own that depend on shapes alone: the same bits on
 * every processor and compiler, for any number of threads (but not the same in training as in
 * inference). A window with a NaN or an infinity in any input has NaN as its whole forecast in
 * inference.
 *
 * Source   the paper; github.com/cchallu/n-hits at d882ee6 and github.com/Nixtla/neuralforecast at
 *          5ffa0d0 for names, shapes and what the paper leaves open (docs/nhits.md)
 * Tests    test_nhits.c (a plain twin), test_fd_nhits.c (finite differences); forecast/golden.h:
 *          the authors' own numbers */
#ifndef ML_NHITS_NHITS_H
#define ML_NHITS_NHITS_H

#include "ml/nn/network.h"

enum nhits_impl {
    /* Linear without activation, then Linear and activation for each of mlp_units. */
    NHITS_NEURALFORECAST = 0,
    NHITS_PAPER /* "n-hits": (Linear, activation) for each of a stack's layers */
};
enum nhits_pooling { NHITS_MAX_POOLING = 0, NHITS_AVERAGE_POOLING };
enum { NHITS_STACKS_MAX = 16, NHITS_LAYERS_MAX = 16 };

struct nhits_stack {
    uint32_t blocks;     /* n_blocks */
    uint32_t pool;       /* n_pool_kernel_size */
    uint32_t downsample; /* n_freq_downsample: max(h / downsample, 1) knots an output */
    uint32_t layers;     /* NHITS_PAPER: n_layers and n_theta_hidden */
    uint32_t hidden[NHITS_LAYERS_MAX];
};

/* Names as the authors' code has them. */
struct nhits_config {
    enum nhits_impl impl;
    uint32_t input_size, h;
    uint32_t outputs; /* of a step: 1, or as many as a multi-output loss wants (neuralforecast; not
                         with cubic) */
    uint32_t stack_count;
    struct nhits_stack stacks[NHITS_STACKS_MAX];
    uint32_t mlp_count; /* NHITS_NEURALFORECAST: mlp_units, all of them for every block; each begins
                           where the one before ends */
    uint32_t mlp_units[NHITS_LAYERS_MAX][2];
    enum nhits_pooling pooling;
    enum nn_interpolation interpolation;
    enum nn_activation activation; /* not NN_IDENTITY, NN_GELU: the authors have neither */
    double dropout;                /* dropout_prob_theta, behind each activation */
    /* Exogenous channels. neuralforecast: pooled, by step then channel, in the order of time.
     * NHITS_PAPER: futr_exog alone; the past reversed in time, then the future, by channel then
     * step, not pooled. */
    uint32_t hist_exog, futr_exog, stat_exog;
    uint32_t stat_hidden; /* NHITS_PAPER: n_s_hidden, statics go through dropout 0.5, Linear, ReLU;
                             0: they are not used */
    bool batch_normalization; /* NHITS_PAPER: in the first block, behind each activation */
    bool shared_weights;      /* NHITS_PAPER: one block's weights for its whole stack */
    /* Training without any dropout, though layers keep the numbers that it gives them: to compare
     * with stored figures. */
    bool dropout_off;
};

/* neuralforecast's class defaults for input 480, horizon 96: 3 stacks of a block, pools 2 2 1,
 * downsampling 4 2 1, MLP 3 * [512, 512]. */
struct nhits_config nhits_config_defaults(void);
/* The paper's layout with one setting of its search: pools 8 4 1, downsampling 24 12 1, two layers
 * of 512. */
struct nhits_config nhits_config_paper(void);

/* A network with parameters drawn from `seed` by PyTorch's laws. Windows x (n, input_size, 1),
 * forecasts (n, h, outputs); batch n at most batch_max, more is an ASSERT, as is an exogenous array
 * that is configured but missing. training false: no gradients, step is an ASSERT. Everything is
 * allocated here.
 *
 * Parameters and buffers carry their state_dict names. A network for inference lays its weights out
 * anew when params.changes has changed: who writes values by hand counts it up (nn_params_load
 * does). One for training does so on every predict.
 *
 * Returns  ST_OK; ST_RANGE (field), ST_UNSUPPORTED (a combination the authors do not have),
 *          ST_NO_MEMORY (bytes wanted)
 * Out      out      to be destroyed by class_of->destroy
 * In       workers  borrowed for as long as the network lives; may be NULL */
enum status nhits_create(struct network **out, const struct nhits_config *config, size_t batch_max,
                         bool training, uint64_t seed, struct workers *workers, struct err *err);
const struct nhits_config *nhits_config_of(const struct network *net);

#endif
