/* Queue of fixed-size records between exactly two threads, one that pushes and one that pops.
 *
 * Records are copied in and out, so nothing is shared but the ring itself. The limit is `capacity`
 * records: a push on a full ring returns false and changes nothing, and what then happens is the
 * pusher's decision (wait, drop and count, stop). Memory is the caller's: capacity * record_size bytes.
 * Positions count up for ever; 2^64 records are never reached.
 *
 * Source   Lamport, "Specifying concurrent program modules" (1983); each side keeps the other's last
 *          seen position to itself, so the shared lines move between cores only when it runs out.
 * Tests    test_ring.c: limits, and two threads passing numbers in order. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    unsigned char *records;
    size_t record_size;
    uint64_t mask;
    _Alignas(64) _Atomic uint64_t pushed; /* written by the pusher */
    uint64_t popped_seen;                 /* the pusher's own */
    _Alignas(64) _Atomic uint64_t popped; /* written by the popper */
    uint64_t pushed_seen;                 /* the popper's own */
};

/* capacity must be a power of two (asserted). */
void ring_init(struct ring *ring, void *memory, size_t record_size, uint32_t capacity);

/* False if the ring is full. Pushing thread only. */
bool ring_push(struct ring *ring, const void *record);

/* False if the ring is empty (out untouched). Popping thread only. */
bool ring_pop(void *out, struct ring *ring);

/* Records waiting; exact for either of the two threads as a bound on its own side. */
uint64_t ring_count(const struct ring *ring);

#endif
