#include "sim/clock.h"

#include "base/assert.h"

void sim_clock_start(struct sim_clock *c, int64_t now_ns, int64_t mono_ns) {
    *c = (struct sim_clock){.now_ns = now_ns, .anchor_ns = now_ns, .mono_ns = mono_ns};
}

/* Of a span as the machine counts it. */
static int64_t counted(const struct sim_clock *c, int64_t span_ns) {
    return span_ns + (int64_t)((__int128)span_ns * c->drift_ppb / NS_PER_SECOND);
}

int64_t sim_clock_monotonic(const struct sim_clock *c) {
    return c->mono_ns + counted(c, c->now_ns - c->anchor_ns) + c->ghost_ns;
}

int64_t sim_clock_wall(const struct sim_clock *c) {
    return c->now_ns + c->wall_offset_ns + c->ghost_ns;
}

int64_t sim_clock_when(const struct sim_clock *c, int64_t mono_ns) {
    int64_t span = mono_ns - c->ghost_ns - c->mono_ns;
    if (span <= c->now_ns - c->anchor_ns && counted(c, c->now_ns - c->anchor_ns) >= span)
        return c->now_ns;
    if (c->drift_ppb == 0) return c->anchor_ns + span;
    int64_t real = (int64_t)((__int128)span * NS_PER_SECOND / (NS_PER_SECOND + c->drift_ppb)) + 2;
    ASSERT(counted(c, real) >= span);
    return c->anchor_ns + real;
}

void sim_clock_drift(struct sim_clock *c, int64_t drift_ppb) {
    c->mono_ns += counted(c, c->now_ns - c->anchor_ns);
    c->anchor_ns = c->now_ns;
    c->drift_ppb = drift_ppb;
}

static int64_t virtual_now(void *context, enum tstamp_clock which) {
    const struct sim_clock *c = context;
    return which == TSTAMP_WALL ? sim_clock_wall(c) : sim_clock_monotonic(c);
}

void sim_clock_install(struct sim_clock *c) {
    tstamp_virtual_set(c ? virtual_now : NULL, c);
}
