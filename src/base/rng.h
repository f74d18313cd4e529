/* Counter-based random numbers: every draw is a hash of (key, counter), so a stream can be split by
 * name, copied, journaled as two integers and rebuilt at any point. Not for secrets.
 *
 * Source   Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014): the
 *          SplitMix64 finaliser, applied twice with the key mixed in between. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t key;
    uint64_t counter;
};

static inline uint64_t rng_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline struct rng rng_init(uint64_t seed) {
    return (struct rng){rng_mix(seed + 0x9E3779B97F4A7C15u), 0};
}

/* An independent stream named by `stream`; the parent is not advanced. */
static inline struct rng rng_split(const struct rng *r, uint64_t stream) {
    return (struct rng){rng_mix(r->key ^ rng_mix(stream + 0xD1B54A32D192ED03u)), 0};
}

static inline uint64_t rng_u64(struct rng *r) {
    r->counter += 0x9E3779B97F4A7C15u;
    return rng_mix(rng_mix(r->counter) ^ r->key);
}

/* Uniform in [0, 1), 53 bits. */
static inline double rng_f64(struct rng *r) {
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

/* Uniform in [0, n); n > 0. The bias of the multiply method is below n / 2^64. */
static inline uint64_t rng_below(struct rng *r, uint64_t n) {
    __extension__ typedef unsigned __int128 u128;
    return (uint64_t)(((u128)rng_u64(r) * n) >> 64);
}

/* Standard normal (Box-Muller, one of the pair). */
double rng_normal(struct rng *r);

#endif
