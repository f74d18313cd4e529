/* A venue that is somewhere else: what a run asks of it, and how it answers. The embedded exchange needs no
 * port, for it is stepped in the same call; a port's answers come when they come.
 *
 * One thread: everything a port tells its sink it tells from inside start, bars or poll. */
#ifndef KERNEL_VENUE_PORT_H
#define KERNEL_VENUE_PORT_H

#include "base/err.h"
#include "domain/bar.h"
#include "kernel/events.h"
#include "kernel/kernel.h"

/* How soon a command must leave, most urgent first. */
enum venue_lane { VENUE_PROTECTION = 0, VENUE_EXIT, VENUE_ENTRY };

struct venue_sink {
    void *context;
    void (*venue)(void *context, const struct venue_event *event);
    void (*bar)(void *context, uint32_t instrument_index, const struct bar *bar); /* closed ones */
    void (*tick)(void *context, uint32_t instrument_index, const struct tick *tick);
    void (*instrument)(void *context, const struct instrument_changed *change);
    /* Whose an order is that the port was not asked for, by its name. NULL: nobody's here. */
    enum kernel_owner (*whose)(void *context, const char *client_order_id);
};

struct venue_port {
    void *context;
    void (*attach)(void *context, const struct venue_sink *sink);
    /* Closed bars that start in [from_ns, to_ns), oldest first. */
    enum status (*bars)(void *context, uint32_t instrument_index, int64_t from_ns, int64_t to_ns,
                        struct bar *out, size_t max, size_t *count, struct err *err);
    /* Connects; tells what became of the orders and positions the run believes in before it returns. */
    enum status (*start)(void *context, const struct kernel_live_order *live, uint32_t live_count,
                         const struct kernel_held *held, uint32_t held_count, struct err *err);
    /* Takes a command; its outcome comes through the sink. */
    enum status (*submit)(void *context, const struct venue_command *command, enum venue_lane lane,
                          struct err *err);
    /* Waits for something to tell, at most until the monotonic time given. ST_OK, or why it cannot go on. */
    enum status (*poll)(void *context, int64_t until_ns, struct err *err);
    int64_t (*now_ns)(void *context); /* the venue's time */
    /* Whether orders can be given and their fate is told. NULL: it always can. */
    bool (*is_up)(void *context);
};

#endif
