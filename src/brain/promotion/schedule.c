#include "brain/promotion/schedule.h"

#include <string.h>

#include "base/assert.h"

struct promotion_schedule_config promotion_schedule_config_defaults(void) {
    const int64_t second_ns = 1000000000;
    return (struct promotion_schedule_config){
        .period_ns = 14400 * second_ns, .drift_gap_ns = 3600 * second_ns, .backoff_periods_max = 6};
}

const char *promotion_trigger_text(enum promotion_trigger trigger) {
    static const char *const texts[] = {"none", "period", "drift", "hand"};
    return (unsigned)trigger <= PROMOTION_HAND ? texts[trigger] : "?";
}

static int64_t advance(struct promotion_schedule *s, int64_t now_ns) {
    if (now_ns > s->now_ns) s->now_ns = now_ns;
    return s->now_ns;
}

void promotion_schedule_init(struct promotion_schedule *s,
                             const struct promotion_schedule_config *config, int64_t now_ns) {
    ASSERT(config->period_ns > 0 && config->backoff_periods_max >= 1);
    memset(s, 0, sizeof *s);
    s->start_ns = s->now_ns = now_ns;
    s->next_ns = now_ns + config->period_ns;
    s->last_retrain_ns = s->last_end_ns = INT64_MIN;
}

void promotion_schedule_drift(struct promotion_schedule *s) {
    s->drift_waiting = 1;
}

/* Backing off: a grid point alone may start the next run. */
static bool drift_is_due(const struct promotion_schedule *s,
                         const struct promotion_schedule_config *config, int64_t now_ns) {
    bool rested = s->last_end_ns == INT64_MIN || now_ns - s->last_end_ns >= config->drift_gap_ns;
    return s->drift_waiting && s->failures == 0 && rested;
}

enum promotion_trigger promotion_schedule_due(struct promotion_schedule *s,
                                              const struct promotion_schedule_config *config,
                                              int64_t now_ns) {
    int64_t now = advance(s, now_ns);
    if (s->running != PROMOTION_NOT_DUE) return PROMOTION_NOT_DUE;
    if (now >= s->next_ns) return PROMOTION_PERIOD;
    return drift_is_due(s, config, now) ? PROMOTION_DRIFT : PROMOTION_NOT_DUE;
}

/* The first grid point after t. */
static int64_t grid_after(const struct promotion_schedule *s,
                          const struct promotion_schedule_config *config, int64_t t) {
    return s->start_ns + ((t - s->start_ns) / config->period_ns + 1) * config->period_ns;
}

void promotion_schedule_begin(struct promotion_schedule *s,
                              const struct promotion_schedule_config *config, int64_t now_ns) {
    enum promotion_trigger trigger = promotion_schedule_due(s, config, now_ns);
    ASSERT(trigger != PROMOTION_NOT_DUE);
    s->running = (uint32_t)trigger;
    s->runs++;
    s->runs_drift += trigger == PROMOTION_DRIFT;
    s->drift_waiting = 0; /* what is trained now has seen the drift, whichever asked for it */
    if (trigger != PROMOTION_PERIOD) return;
    int64_t next = grid_after(s, config, s->now_ns);
    s->missed += (uint64_t)((next - s->next_ns) / config->period_ns - 1);
    s->next_ns = next;
}

void promotion_schedule_begin_by_hand(struct promotion_schedule *s, int64_t now_ns) {
    ASSERT(s->running == PROMOTION_NOT_DUE);
    (void)advance(s, now_ns);
    s->running = PROMOTION_HAND;
    s->runs++;
    s->drift_waiting = 0;
}

void promotion_schedule_end(struct promotion_schedule *s,
                            const struct promotion_schedule_config *config, int64_t now_ns,
                            bool succeeded) {
    ASSERT(s->running != PROMOTION_NOT_DUE);
    int64_t now = advance(s, now_ns);
    s->running = PROMOTION_NOT_DUE;
    s->last_end_ns = now;
    if (succeeded) {
        s->last_retrain_ns = now;
        s->failures = 0;
        s->succeeded++;
    } else {
        uint64_t periods = 1;
        for (uint32_t i = 0; i < s->failures && periods < config->backoff_periods_max; i++)
            periods *= 2;
        if (periods > config->backoff_periods_max) periods = config->backoff_periods_max;
        if (s->failures < UINT32_MAX) s->failures++;
        s->failed++;
        s->next_ns = grid_after(s, config, now) + (int64_t)(periods - 1) * config->period_ns;
        return;
    }
    /* It ran over grid points: they are gone. */
    if (s->next_ns <= now) {
        int64_t next = grid_after(s, config, now);
        s->missed += (uint64_t)((next - s->next_ns) / config->period_ns);
        s->next_ns = next;
    }
}

int64_t promotion_schedule_until_next(const struct promotion_schedule *s,
                                      const struct promotion_schedule_config *config,
                                      int64_t now_ns) {
    int64_t now = now_ns > s->now_ns ? now_ns : s->now_ns, next = s->next_ns;
    if (s->running == PROMOTION_NOT_DUE && s->drift_waiting && s->failures == 0) {
        int64_t drift = s->last_end_ns == INT64_MIN ? now : s->last_end_ns + config->drift_gap_ns;
        if (drift < next) next = drift;
    }
    return next > now ? next - now : 0;
}
