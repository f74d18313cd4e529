/* Configurations for the tests: small networks with every combination of options. */
#ifndef ML_PATCHTST_PATCHTST_CASES_H
#define ML_PATCHTST_PATCHTST_CASES_H

#include <stdio.h>
#include <stdlib.h>

#include "ml/patchtst/patchtst.h"

/* norm, pre_norm, four ways of scaling, decomposition, individual, res_attention, padding, activation */
enum { CASES = 2 * 2 * 4 * 2 * 2 * 2 * 2 * 2 };

static inline uint32_t case_digit(uint32_t *code, uint32_t base) {
    uint32_t digit = *code % base;
    *code /= base;
    return digit;
}

static inline struct patchtst_config case_config(uint32_t code, struct rng *rng) {
    struct patchtst_config c = {.c_in = 3,
                                .seq_len = 11,
                                .pred_len = 3,
                                .patch_len = 4,
                                .stride = 2,
                                .d_model = 6,
                                .e_layers = 2,
                                .d_ff = 5,
                                .kernel_size = 5};
    c.norm = (enum patchtst_norm)case_digit(&code, 2);
    c.pre_norm = case_digit(&code, 2) == 1;
    uint32_t scaling = case_digit(&code, 4); /* none; plain; affine; affine about the last value */
    c.revin = scaling > 0;
    c.affine = scaling > 1;
    c.subtract_last = scaling > 2;
    c.decomposition = case_digit(&code, 2) == 1;
    c.individual = case_digit(&code, 2) == 1;
    c.res_attention = case_digit(&code, 2) == 1;
    c.padding_patch = case_digit(&code, 2) == 1;
    c.activation = (enum patchtst_activation)case_digit(&code, 2);
    c.n_heads = 1 + (uint32_t)rng_below(rng, 4); /* 4: heads of 1, and 2 features without a head */
    c.pe = (enum patchtst_pe)rng_below(rng, 6);
    c.learn_pe = rng_below(rng, 2) == 1;
    return c;
}

/* Nothing at 0 or 1, non-trivial running statistics. */
static inline void case_perturb(struct network *net, struct rng *rng) {
    for (uint32_t i = 0; i < net->params.count; i++) {
        struct nn_tensor *t = &net->params.tensors[i];
        for (size_t j = 0; j < t->count; j++)
            t->value[j] +=
                (nn_real)((t->trainable ? 0.5 : 0.2) * (rng_f64(rng) - (t->trainable ? 0.5 : 0)));
    }
}

static inline uint64_t case_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241123;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

#endif
