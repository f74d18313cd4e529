/* Fixed number of equal slots, named by ids that go stale when the slot is released.
 *
 * An id is {index1, generation}; all zero is "none". A slot's generation moves on at every release, so
 * an id kept too long is noticed (pool_get gives NULL) and never reaches the slot's next owner. (After
 * 2^32 - 1 releases of one slot its generations repeat.) The limit is `capacity` slots: pool_acquire
 * then gives NULL and changes nothing. Memory is the caller's, pool_size_bytes() of it, aligned to 16.
 * Deterministic: the slot released last is given out first, fresh slots in order of their index. One
 * thread. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_id {
    uint32_t index1; /* slot index plus one */
    uint32_t generation;
};

static inline bool pool_id_is_null(struct pool_id id) {
    return id.index1 == 0;
}

struct pool {
    unsigned char *slots;
    struct pool_entry *entries;
    size_t slot_size; /* rounded up to 16 */
    uint32_t capacity, count, fresh, free1;
};

size_t pool_size_bytes(size_t slot_size, uint32_t capacity);
void pool_init(struct pool *pool, void *memory, size_t slot_size, uint32_t capacity);

/* A zeroed slot and its id; NULL (id zero) when all are taken. */
void *pool_acquire(struct pool *pool, struct pool_id *out_id);

/* The slot, NULL if the id is null or stale. Valid until its release. */
void *pool_get(const struct pool *pool, struct pool_id id);

/* False if the id is null or stale (nothing changes). */
bool pool_release(struct pool *pool, struct pool_id id);

/* Ids of the taken slots in order of index: start from a null id; false at the end. Releasing the slot
 * one stands on is allowed. */
bool pool_next(const struct pool *pool, struct pool_id *inout_id);

#endif
