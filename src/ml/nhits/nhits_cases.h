/* Small networks that between them use every option, and windows for them. For the tests of this
 * module. */
#ifndef ML_NHITS_NHITS_CASES_H
#define ML_NHITS_NHITS_CASES_H

#include <stdlib.h>

#include "ml/nhits/nhits.h"

struct nhits_case {
    const char *name;
    struct nhits_config config;
    bool masked, weighted;
};

#define NHITS_CASE_LIBRARY(outputs_, interpolation_, activation_)                                  \
    .impl = NHITS_NEURALFORECAST, .input_size = 11, .h = 6, .outputs = outputs_, .stack_count = 3, \
    .stacks = {{.blocks = 1, .pool = 3, .downsample = 4},                                          \
               {.blocks = 2, .pool = 2, .downsample = 2},                                          \
               {.blocks = 1, .pool = 1, .downsample = 1}},                                         \
    .mlp_count = 2, .mlp_units = {{5, 7}, {7, 9}}, .interpolation = interpolation_,                \
    .activation = activation_
#define NHITS_CASE_PAPER(interpolation_, activation_)                                              \
    .impl = NHITS_PAPER, .input_size = 10, .h = 5, .outputs = 1, .stack_count = 2,                 \
    .stacks = {{.blocks = 2, .pool = 4, .downsample = 2, .layers = 2, .hidden = {6, 8}},           \
               {.blocks = 2, .pool = 1, .downsample = 9, .layers = 1, .hidden = {7}}},             \
    .interpolation = interpolation_, .activation = activation_

static const struct nhits_case nhits_cases[] = {
    {"library", {NHITS_CASE_LIBRARY(1, NN_LINEAR, NN_RELU)}, false, false},
    {"library, masked, weighted", {NHITS_CASE_LIBRARY(1, NN_LINEAR, NN_RELU)}, true, true},
    {"library, average, nearest, tanh",
     {NHITS_CASE_LIBRARY(1, NN_NEAREST, NN_TANH), .pooling = NHITS_AVERAGE_POOLING},
     true,
     false},
    {"library, cubic, softplus, history and statics",
     {NHITS_CASE_LIBRARY(1, NN_CUBIC, NN_SOFTPLUS), .hist_exog = 2, .stat_exog = 3},
     false,
     false},
    {"library, future, average, SELU, dropout",
     {NHITS_CASE_LIBRARY(1, NN_LINEAR, NN_SELU), .pooling = NHITS_AVERAGE_POOLING, .futr_exog = 2,
      .dropout = 0.3},
     true,
     false},
    {"library, three outputs, all exogenous, PReLU",
     {NHITS_CASE_LIBRARY(3, NN_LINEAR, NN_PRELU), .hist_exog = 1, .futr_exog = 2, .stat_exog = 1},
     true,
     true},
    {"library, two outputs, nearest, LeakyReLU, dropout",
     {NHITS_CASE_LIBRARY(2, NN_NEAREST, NN_LEAKY_RELU), .dropout = 0.5},
     false,
     false},
    {"paper", {NHITS_CASE_PAPER(NN_LINEAR, NN_RELU)}, false, false},
    {"paper, exogenous, encoded statics, dropout",
     {NHITS_CASE_PAPER(NN_LINEAR, NN_RELU), .futr_exog = 2, .stat_exog = 3, .stat_hidden = 4,
      .dropout = 0.2},
     true,
     false},
    {"paper, statics without an encoder",
     {NHITS_CASE_PAPER(NN_LINEAR, NN_RELU), .stat_exog = 2},
     false,
     false},
    {"paper, shared weights, sigmoid, statics",
     {NHITS_CASE_PAPER(NN_LINEAR, NN_SIGMOID), .shared_weights = true, .stat_exog = 2,
      .stat_hidden = 3, .pooling = NHITS_AVERAGE_POOLING},
     true,
     true},
    {"paper, batch normalisation, cubic",
     {NHITS_CASE_PAPER(NN_CUBIC, NN_RELU), .batch_normalization = true, .futr_exog = 1},
     true,
     false},
    {"paper, batch normalisation, shared weights, PReLU, dropout",
     {NHITS_CASE_PAPER(NN_LINEAR, NN_PRELU), .batch_normalization = true, .shared_weights = true,
      .dropout = 0.3},
     false,
     true},
};
enum { NHITS_CASES = sizeof nhits_cases / sizeof *nhits_cases };

/* Windows of normal values for a network; masks have the left padding of 0 to 3 steps. */
static inline void nhits_case_batch(struct nn_batch *b, const struct nhits_case *k, size_t n,
                                    uint64_t seed) {
    const struct nhits_config *c = &k->config;
    struct rng rng = rng_init(seed);
    size_t length = c->input_size, whole = length + c->h;
    size_t sizes[] = {length, length * c->hist_exog, whole * c->futr_exog, c->stat_exog,
                      c->h * (size_t)c->outputs};
    nn_real *all[5];
    for (int i = 0; i < 5; i++) {
        all[i] = malloc((n * sizes[i] + 1) * sizeof **all);
        for (size_t j = 0; j < n * sizes[i]; j++) all[i][j] = (nn_real)rng_normal(&rng);
    }
    nn_real *mask = malloc(n * length * sizeof *mask), *weights = malloc(n * sizeof *weights);
    for (size_t r = 0; r < n; r++) {
        weights[r] = (nn_real)(0.5 + rng_f64(&rng));
        for (size_t t = 0; t < length; t++) mask[r * length + t] = t >= r % 4;
    }
    *b = (struct nn_batch){n, all[0], mask, all[1], all[2], all[3], all[4], weights};
}

static inline void nhits_case_free(struct nn_batch *b) {
    free((void *)b->x);
    free((void *)b->mask);
    free((void *)b->hist_exog);
    free((void *)b->futr_exog);
    free((void *)b->stat_exog);
    free((void *)b->target);
    free((void *)b->weights);
}

/* What the case leaves out of it. */
static inline struct nn_batch nhits_case_view(const struct nn_batch *b,
                                              const struct nhits_case *k) {
    struct nn_batch view = *b;
    if (!k->masked) view.mask = NULL;
    if (!k->weighted) view.weights = NULL;
    if (!k->config.hist_exog) view.hist_exog = NULL;
    if (!k->config.futr_exog) view.futr_exog = NULL;
    if (!k->config.stat_exog) view.stat_exog = NULL;
    return view;
}

/* No parameter stays where it would not matter: scales, shifts, running statistics, slopes. */
static inline void nhits_case_shake(struct network *net, uint64_t seed) {
    struct rng rng = rng_init(seed);
    for (uint32_t i = 0; i < net->params.count; i++) {
        struct nn_tensor *t = &net->params.tensors[i];
        if (t->is_integer || t->is_tied || (t->trainable && t->rank == 2)) continue;
        for (size_t j = 0; j < t->count; j++) t->value[j] += (nn_real)(0.5 * rng_f64(&rng));
    }
    net->params.changes++;
}

#endif
