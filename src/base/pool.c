#include "base/pool.h"

#include <string.h>

#include "base/assert.h"

struct pool_entry {
    uint32_t generation; /* never zero once used */
    uint32_t next_free1; /* index1 of the next free slot, 0 at the end */
    bool taken;
};

static size_t round_up(size_t size) {
    return (size + 15) & ~(size_t)15;
}

size_t pool_size_bytes(size_t slot_size, uint32_t capacity) {
    return round_up(slot_size) * capacity + sizeof(struct pool_entry) * capacity;
}

void pool_init(struct pool *pool, void *memory, size_t slot_size, uint32_t capacity) {
    ASSERT(memory && ((uintptr_t)memory & 15) == 0);
    ASSERT(slot_size > 0 && capacity > 0 && capacity < UINT32_MAX);
    memset(memory, 0, pool_size_bytes(slot_size, capacity));
    *pool = (struct pool){.slots = memory, .slot_size = round_up(slot_size), .capacity = capacity};
    /* Behind the slots: a multiple of 16 bytes in, so aligned for an entry. */
    pool->entries = (struct pool_entry *)(void *)(pool->slots + pool->slot_size * capacity);
}

void *pool_acquire(struct pool *pool, struct pool_id *out_id) {
    uint32_t index;
    *out_id = (struct pool_id){0};
    if (pool->free1 != 0) {
        index = pool->free1 - 1;
        pool->free1 = pool->entries[index].next_free1;
    } else if (pool->fresh < pool->capacity) {
        index = pool->fresh++;
        pool->entries[index].generation = 1;
    } else {
        return NULL;
    }
    struct pool_entry *entry = &pool->entries[index];
    ASSERT(!entry->taken);
    entry->taken = true;
    pool->count++;
    *out_id = (struct pool_id){index + 1, entry->generation};
    return memset(pool->slots + pool->slot_size * index, 0, pool->slot_size);
}

void *pool_get(const struct pool *pool, struct pool_id id) {
    if (id.index1 == 0 || id.index1 > pool->capacity) return NULL;
    const struct pool_entry *entry = &pool->entries[id.index1 - 1];
    if (!entry->taken || entry->generation != id.generation) return NULL;
    return pool->slots + pool->slot_size * (id.index1 - 1);
}

bool pool_release(struct pool *pool, struct pool_id id) {
    if (!pool_get(pool, id)) return false;
    struct pool_entry *entry = &pool->entries[id.index1 - 1];
    entry->taken = false;
    if (++entry->generation == 0) entry->generation = 1;
    entry->next_free1 = pool->free1;
    pool->free1 = id.index1;
    pool->count--;
    return true;
}

bool pool_next(const struct pool *pool, struct pool_id *inout_id) {
    for (uint32_t index = inout_id->index1; index < pool->fresh; index++)
        if (pool->entries[index].taken) {
            *inout_id = (struct pool_id){index + 1, pool->entries[index].generation};
            return true;
        }
    *inout_id = (struct pool_id){0};
    return false;
}
