/* One block of memory carved from the front; freed as a whole.
 *
 * Sizes follow from configuration: what must exist is asked for at start, then arena_seal() makes
 * any further allocation an ASSERT. A scratch arena is reset instead and never sealed. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct arena {
    unsigned char *base;
    size_t size, used, high_water;
    bool sealed;
};

/* Maps size bytes of zeroed pages; ST_NO_MEMORY if the system says no. */
enum status arena_create(struct arena *arena, size_t size_bytes);
void arena_destroy(struct arena *arena);

/* Zeroed, aligned to 64; NULL if it does not fit. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
void arena_reset(struct arena *arena);
void arena_seal(struct arena *arena);

#endif
