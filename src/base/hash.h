/* xxHash3-64, the one checksum and fingerprint of the project (not for secrets). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *data, size_t size);
uint64_t hash64_seed(const void *data, size_t size, uint64_t seed);

/* Order-dependent chaining: running = hash_chain(running, data, size). */
static inline uint64_t hash_chain(uint64_t running, const void *data, size_t size) {
    return hash64_seed(data, size, running);
}

#endif
