#include "base/arena.h"

#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

enum status arena_create(struct arena *arena, size_t size_bytes) {
    void *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return ST_NO_MEMORY;
    *arena = (struct arena){.base = base, .size = size_bytes};
    return ST_OK;
}

void arena_destroy(struct arena *arena) {
    if (arena->base) munmap(arena->base, arena->size);
    *arena = (struct arena){0};
}

void *arena_alloc(struct arena *arena, size_t size_bytes) {
    ASSERT(!arena->sealed);
    size_t start = (arena->used + 63) & ~(size_t)63;
    if (size_bytes > arena->size || start > arena->size - size_bytes) return NULL;
    /* Memory below the high-water mark was used before a reset and must be cleared again. */
    size_t dirty_end =
        start + size_bytes < arena->high_water ? start + size_bytes : arena->high_water;
    if (start < dirty_end) memset(arena->base + start, 0, dirty_end - start);
    arena->used = start + size_bytes;
    if (arena->used > arena->high_water) arena->high_water = arena->used;
    return arena->base + start;
}

void arena_reset(struct arena *arena) {
    arena->used = 0;
}

void arena_seal(struct arena *arena) {
    arena->sealed = true;
}
