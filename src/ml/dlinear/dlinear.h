/* DLinear (Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023), the
 * linear baseline: a window is cut into a moving average and the rest, and each is mapped to the
 * horizon by one matrix; the two are added.
 *
 * Both passes add in a fixed order (network.h). NaN or infinity in a channel of a window makes NaN
 * of that channel's forecast in inference, and of no other.
 *
 * Source   the paper; github.com/cure-lab/LTSF-Linear for names and shapes (docs/nhits.md)
 * Tests    test_dlinear.c, test_fd_dlinear.c (a plain twin, finite differences) */
#ifndef ML_DLINEAR_DLINEAR_H
#define ML_DLINEAR_DLINEAR_H

#include "ml/nn/network.h"

struct dlinear_config {
    uint32_t seq_len, pred_len, channels;
    /* Of the moving average, odd: ends are repeated (kernel_size - 1) / 2 times. */
    uint32_t kernel_size;
    bool individual; /* a pair of matrices per channel, else one for all */
};

/* 336 -> 96, 7 channels, kernel 25, one pair of matrices. */
struct dlinear_config dlinear_config_defaults(void);

/* A network with parameters drawn from `seed` by PyTorch's Linear law (the paper's code has the
 * constant 1 / seq_len as a comment only). Windows (n, seq_len, channels), forecasts (n, pred_len,
 * channels); batch n at most batch_max, more is an ASSERT. training false: no gradients, step is an
 * ASSERT. Names: Linear_Seasonal.weight (pred_len, seq_len), .bias, Linear_Trend.…; individual:
 * Linear_Seasonal.<channel>.weight …
 *
 * Returns  ST_OK; ST_RANGE (field), ST_NO_MEMORY (bytes wanted)
 * Out      out      to be destroyed by class_of->destroy
 * In       workers  borrowed for as long as the network lives; may be NULL */
enum status dlinear_create(struct network **out, const struct dlinear_config *config,
                           size_t batch_max, bool training, uint64_t seed, struct workers *workers,
                           struct err *err);
const struct dlinear_config *dlinear_config_of(const struct network *net);

#endif
