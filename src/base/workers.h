/* A few threads for work that is cut into parts beforehand.
 *
 * What a part computes must not depend on who computes it: results are then the same for any number of
 * threads. Idle threads spin for some microseconds, then block: a busy machine is not made busier. */
#ifndef BASE_WORKERS_H
#define BASE_WORKERS_H

#include <stdint.h>

#include "base/err.h"

struct workers;

enum { WORKERS_MAX = 64 };

/* count threads, the caller's included; 0: as many as there are processors. ST_RANGE, ST_NO_MEMORY. */
enum status workers_create(struct workers **out, uint32_t count, struct err *err);
void workers_destroy(struct workers *w);
/* 1 for NULL. */
uint32_t workers_count(const struct workers *w);
/* task(context, part) for each part 0 .. parts-1, once, on any thread; returns when all are done, and what
 * they wrote is then visible. One caller at a time, not from inside a task. w NULL: all by the caller. */
void workers_run(struct workers *w, void (*task)(void *context, uint32_t part), void *context,
                 uint32_t parts);

#endif
