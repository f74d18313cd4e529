/* Commands from outside, from the thread that hears them to the one that trades: a queue between exactly two threads.
 *
 * Whoever puts one gets its number, counted from 1 in this process; it has been obeyed or refused, and is on record, once
 * view_risk.commands_taken has reached that number. At most INBOX_MAX wait: what comes then is not taken, and whoever asks
 * is told so.
 * Tests    test_inbox.c: two threads, limits. */
#ifndef KERNEL_INBOX_H
#define KERNEL_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/events.h"

enum { INBOX_MAX = 64 };

struct inbox;
struct inbox *inbox_create(void); /* NULL: no memory */
void inbox_destroy(struct inbox *inbox);
/* False: full. step and part are the taker's to fill in. */
bool inbox_put(struct inbox *inbox, uint64_t *number, const struct operator_command *command);
/* False: empty. */
bool inbox_take(struct operator_command *out, struct inbox *inbox);

#endif
