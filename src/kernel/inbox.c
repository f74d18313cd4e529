#include "kernel/inbox.h"

#include <stdlib.h>

#include "base/ring.h"

struct inbox {
    struct ring ring;
    uint64_t put; /* the putting thread's own */
    struct operator_command records[INBOX_MAX];
};

struct inbox *inbox_create(void) {
    struct inbox *inbox = aligned_alloc(64, (sizeof *inbox + 63) & ~(size_t)63);
    if (!inbox) return NULL;
    inbox->put = 0;
    ring_init(&inbox->ring, inbox->records, sizeof inbox->records[0], INBOX_MAX);
    return inbox;
}

void inbox_destroy(struct inbox *inbox) {
    free(inbox);
}

bool inbox_put(struct inbox *inbox, uint64_t *number, const struct operator_command *command) {
    if (!ring_push(&inbox->ring, command)) return false;
    *number = ++inbox->put;
    return true;
}

bool inbox_take(struct operator_command *out, struct inbox *inbox) {
    return ring_pop(out, &inbox->ring);
}
