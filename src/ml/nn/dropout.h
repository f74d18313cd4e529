/* Which values dropout keeps. Used by this module only. */
#ifndef ML_NN_DROPOUT_H
#define ML_NN_DROPOUT_H

#include "ml/nn/nn.h"

/* A value's 16 random bits are half of a 32-bit hash of its pair's number: 16 values share eight
 * hashes, lane j giving its low half to value j and its high half to value j + 8, which is how
 * vectors of eight lanes want it. */
struct dropout_law {
    uint32_t key0, key1, threshold; /* dropped if the bits are below */
    nn_real scale;                  /* 1 / (1 - threshold / 65536): exactly unbiased */
};

/* p is rounded to a 65536th. */
static inline struct dropout_law dropout_law(nn_real p, uint64_t seed) {
    uint64_t mixed = rng_mix(seed + 0x9E3779B97F4A7C15u);
    struct dropout_law law = {(uint32_t)mixed, (uint32_t)(mixed >> 32), 0, 1};
    law.threshold = (uint32_t)((double)p * 65536 + 0.5);
    if (law.threshold > 65535) law.threshold = 65535;
    law.scale = (nn_real)(65536.0 / (65536 - law.threshold));
    return law;
}

/* Two multiplications between shifts (the finaliser of a 32-bit hash), the second key in between:
 * other seeds give other orders, not the same one shifted. */
static inline uint32_t dropout_hash(uint32_t x, uint32_t key0, uint32_t key1) {
    x ^= key0;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x += key1;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

/* Number of the first hash of a group of 16 values. */
static inline uint32_t dropout_counter(uint64_t group) {
    return (uint32_t)(group * 8);
}

/* The law for that group: where the counter has gone round, both keys are others. */
static inline struct dropout_law dropout_law_at(const struct dropout_law *law, uint64_t group) {
    uint64_t round = rng_mix(group >> 29); /* 0 for 0 */
    struct dropout_law at = *law;
    at.key0 ^= (uint32_t)round;
    at.key1 ^= (uint32_t)(round >> 32);
    return at;
}

static inline bool dropout_keeps(const struct dropout_law *law, uint64_t index) {
    uint64_t group = index / 16;
    uint32_t at = (uint32_t)(index % 16);
    struct dropout_law here = dropout_law_at(law, group);
    uint32_t h = dropout_hash(dropout_counter(group) + at % 8, here.key0, here.key1);
    return (at < 8 ? h & 0xFFFFu : h >> 16) >= law->threshold;
}

#endif
