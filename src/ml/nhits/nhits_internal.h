/* Inside of the network: its blocks, their memory, what training and inference share. */
#ifndef ML_NHITS_NHITS_INTERNAL_H
#define ML_NHITS_NHITS_INTERNAL_H

#include "ml/nhits/nhits.h"

/* Work is cut into parts by these alone, never by the number of threads. */
enum {
    PART_ROWS = 128,   /* windows that go through a training pass together */
    PREDICT_ROWS = 32, /* windows of a part of inference */
    PART_OUT = 256     /* rows of a weight's gradient that are one product */
};

/* What the window's backcast reads in one Linear and what may stand behind it. Arrays (batch_max,
 * out - skip). */
struct layer {
    struct nn_tensor *w, *b;
    size_t in, out;
    size_t skip;    /* leading outputs that nobody asks for: the last block's backcast */
    bool activated; /* then dropout, too */
    enum nn_activation activation;
    struct nn_tensor *slope;                                /* PReLU's */
    struct nn_tensor *scale, *shift, *mean, *var, *batches; /* BatchNorm's, or NULL */
    uint64_t site;                                          /* its dropout's own masks */
    nn_real *pre; /* before the activation; NULL where that can be told from act */
    nn_real *act; /* behind it */
    nn_real *y;   /* handed on: act itself if there is no BatchNorm */
    nn_real *dy;  /* gradient of what Linear gave */
    nn_real *batch_mean, *batch_inv; /* (out) */
    nn_real *packed;                 /* inference */
};

struct block {
    size_t pool, windows, knots;
    size_t width, exog_at, stat_at; /* inputs of the MLP: pooled residual | exogenous | statics */
    size_t layer_count;
    struct layer layers[NHITS_LAYERS_MAX + 2];
    bool last, encoded;
    struct layer encoder; /* of the statics (NHITS_PAPER) */
    nn_real *x;           /* (batch_max, width) */
    uint32_t *arg;        /* (batch_max, windows): where the largest stood */
    nn_real *stat;        /* (batch_max, stat_exog): statics as the encoder saw them */
};

/* Scratch of one part of inference, for PREDICT_ROWS windows. */
struct predict_part {
    nn_real *residual, *x, *stat, *a, *b, *knots, *forecast;
};

/* One product of the gradient's last phase. */
struct share {
    const struct layer *layer;
    const nn_real *x;
    size_t block, first, count; /* of the outputs in use */
};

struct nhits {
    struct network network;
    struct nhits_config config;
    size_t length, horizon, outputs, block_count, knots_max, width_max, hidden_max, theta_max;
    bool training;
    struct block *blocks;
    size_t share_count, parts_max, predict_parts;
    struct share *shares;
    nn_real *residual;         /* (batch_max, length), then its gradient */
    nn_real *dx;               /* (batch_max, width_max) */
    nn_real *knots, *forecast; /* (batch_max, outputs * knots_max) (batch_max, outputs * h) */
    nn_real *y, *dy, *weights; /* (batch_max, h, outputs) */
    nn_real *slopes;           /* (blocks, parts): gradients of PReLU's slope */
    struct predict_part *parts;
    bool is_packed;
    uint64_t packed_changes;
    void *memory;
};

/* ---- inputs.c: what a block reads and what it says ---- */

/* residual (length) = x reversed */
void nhits_reverse(nn_real *residual, const nn_real *x, size_t length);
/* x: the MLP's inputs of one window but for encoded statics. arg: NULL, or (windows) for the way
 * back */
void nhits_inputs(const struct nhits *n, const struct block *b, nn_real *x, uint32_t *arg,
                  const nn_real *residual, const struct nn_batch *batch, size_t window);
/* dresidual += gradient of the pooled residual */
void nhits_pool_back(const struct nhits *n, const struct block *b, nn_real *dresidual,
                     const nn_real *dx, const uint32_t *arg);
/* residual = (residual - backcast) * mask; mask (length) in the order of time, NULL: ones */
void nhits_subtract(nn_real *residual, const nn_real *backcast, const nn_real *mask, size_t length);
/* y (rows, h, outputs) += interpolated knots; theta (rows, stride), knots at its end. knots,
 * forecast: scratch */
void nhits_add_forecast(const struct nhits *n, const struct block *b, nn_real *y,
                        const nn_real *theta, size_t rows, nn_real *knots, nn_real *forecast);

/* Outputs of a layer that are computed. */
static inline size_t nhits_used(const struct layer *l) {
    return l->out - l->skip;
}
static inline const struct layer *nhits_output_layer(const struct block *b) {
    return &b->layers[b->layer_count - 1];
}
static inline const nn_real *nhits_weight(const struct layer *l) {
    return l->w->value + l->skip * l->in;
}
static inline const nn_real *nhits_bias(const struct layer *l) {
    return l->b->value + l->skip;
}

/* ---- memory.c ---- */

enum status nhits_make_memory(struct nhits *n, struct err *err);

double nhits_step(struct network *net, nn_real *y, const struct nn_batch *batch,
                  const struct nn_loss_choice *loss, uint64_t seed);
void nhits_predict(struct network *net, nn_real *y, const struct nn_batch *batch);

#endif
