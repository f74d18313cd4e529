#include "base/ring.h"

#include <string.h>

#include "base/assert.h"

void ring_init(struct ring *ring, void *memory, size_t record_size, uint32_t capacity) {
    ASSERT(memory && record_size > 0);
    ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    *ring = (struct ring){.records = memory, .record_size = record_size, .mask = capacity - 1};
}

bool ring_push(struct ring *ring, const void *record) {
    uint64_t at = atomic_load_explicit(&ring->pushed, memory_order_relaxed);
    if (at - ring->popped_seen > ring->mask) {
        ring->popped_seen = atomic_load_explicit(&ring->popped, memory_order_acquire);
        if (at - ring->popped_seen > ring->mask) return false;
    }
    memcpy(ring->records + (at & ring->mask) * ring->record_size, record, ring->record_size);
    atomic_store_explicit(&ring->pushed, at + 1, memory_order_release);
    return true;
}

bool ring_pop(void *out, struct ring *ring) {
    uint64_t at = atomic_load_explicit(&ring->popped, memory_order_relaxed);
    if (at == ring->pushed_seen) {
        ring->pushed_seen = atomic_load_explicit(&ring->pushed, memory_order_acquire);
        if (at == ring->pushed_seen) return false;
    }
    memcpy(out, ring->records + (at & ring->mask) * ring->record_size, ring->record_size);
    atomic_store_explicit(&ring->popped, at + 1, memory_order_release);
    return true;
}

uint64_t ring_count(const struct ring *ring) {
    /* popped first: pushed can only have grown since, so the difference is never negative. */
    uint64_t popped = atomic_load_explicit(&ring->popped, memory_order_acquire);
    return atomic_load_explicit(&ring->pushed, memory_order_acquire) - popped;
}
