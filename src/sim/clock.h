/* Simulated time. `now_ns` is what time it really is; the trader's machine has a clock of its own, which drifts and is set
 * wrong now and then, and the exchange keeps the right time. */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include <stdint.h>

#include "base/tstamp.h"

struct sim_clock {
    int64_t now_ns; /* UTC; never goes back */
    /* The machine's monotonic clock: mono_ns at anchor_ns, from there on faster by drift_ppb. */
    int64_t anchor_ns, mono_ns, drift_ppb;
    int64_t wall_offset_ns; /* of the machine's wall clock */
    /* What a process that is dead and does not know it believes has passed since: nothing outside hears of it. */
    int64_t ghost_ns;
};

void sim_clock_start(struct sim_clock *c, int64_t now_ns, int64_t mono_ns);
int64_t sim_clock_monotonic(const struct sim_clock *c);
int64_t sim_clock_wall(const struct sim_clock *c);
/* When the monotonic clock will have reached mono_ns (not before). */
int64_t sim_clock_when(const struct sim_clock *c, int64_t mono_ns);
/* From now on the monotonic clock is faster by so many parts in 1e9. */
void sim_clock_drift(struct sim_clock *c, int64_t drift_ppb);
/* The process's clock (base/tstamp) is c's; NULL: the machine's again. */
void sim_clock_install(struct sim_clock *c);

#endif
