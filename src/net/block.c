/* Blocks of bytes, a few kept for the next use: a connection has one only while there is something in
 * it, so an idle connection holds none. */
#include <stdlib.h>

#include "net/net_internal.h"

static struct block *block_make(size_t capacity) {
    struct block *b = malloc(sizeof *b + capacity);
    if (!b) return NULL;
    b->size = 0;
    b->capacity = capacity;
    return b;
}

/* Behind what is there, with the capacity doubled as often as needed. */
static char *block_grow(struct block **b, size_t size) {
    if (!*b) return NULL;
    size_t need = (*b)->size + size;
    if (need > (*b)->capacity) {
        size_t capacity = (*b)->capacity * 2 > need ? (*b)->capacity * 2 : need;
        struct block *larger = realloc(*b, sizeof *larger + capacity);
        if (!larger) return NULL;
        larger->capacity = capacity;
        *b = larger;
    }
    return (*b)->data + (*b)->size;
}

char *block_room(struct net *n, struct block **b, size_t size) {
    if (!*b && n->kept && n->kept->capacity >= size) {
        *b = n->kept;
        n->kept = (*b)->next;
        n->kept_count--;
        (*b)->size = 0;
    } else if (!*b) {
        *b = block_make(size > BLOCK_SIZE ? size : BLOCK_SIZE);
    }
    return block_grow(b, size);
}

char *block_room_tight(struct block **b, size_t size) {
    enum { STEP = 512 };
    if (!*b) *b = block_make((size / STEP + 1) * STEP);
    return block_grow(b, size);
}

void block_drop(struct net *n, struct block **b) {
    struct block *old = *b;
    *b = NULL;
    if (!old) return;
    if (n->kept_count == BLOCKS_KEPT || old->capacity > BLOCK_KEEP_SIZE ||
        old->capacity < BLOCK_SIZE) {
        free(old);
        return;
    }
    old->next = n->kept;
    n->kept = old;
    n->kept_count++;
}

void blocks_free(struct net *n) {
    while (n->kept) {
        struct block *next = n->kept->next;
        free(n->kept);
        n->kept = next;
    }
    n->kept_count = 0;
}
