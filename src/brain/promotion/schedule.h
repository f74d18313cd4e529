/* When to retrain: every period on a fixed grid, on drift, and never at once after a failure.
 *
 * The clock is the caller's; one that steps back stands still here. Due times lie on the grid start + k * period, so
 * a long run or a late look shifts nothing, and periods slept through are counted as missed, not made up for. A run
 * that failed counts as the attempt of its period: the next one is at the next grid point, after a second failure in
 * a row at the one after that, then the fourth, and so on doubling up to backoff_periods_max. Drift asks for a
 * run at once, but neither during a back-off nor within drift_gap_ns of the last attempt's end: it then waits.
 * Plain state, no pointers.   Tests  test_schedule.c */
#ifndef BRAIN_PROMOTION_SCHEDULE_H
#define BRAIN_PROMOTION_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct promotion_schedule_config {
    int64_t period_ns;            /* 14,400 s */
    int64_t drift_gap_ns;         /* 3,600 s */
    uint32_t backoff_periods_max; /* 6: a day; at least 1 */
    uint32_t reserved;
};
struct promotion_schedule_config promotion_schedule_config_defaults(void);

enum promotion_trigger { PROMOTION_NOT_DUE = 0, PROMOTION_PERIOD, PROMOTION_DRIFT, PROMOTION_HAND };
/* "none" "period" "drift" "hand" */
const char *promotion_trigger_text(enum promotion_trigger trigger);

struct promotion_schedule {
    int64_t start_ns, next_ns; /* grid, and its next due point */
    int64_t now_ns;            /* the latest that was told */
    int64_t last_retrain_ns;   /* end of the last run that succeeded; INT64_MIN: none yet */
    int64_t last_end_ns;       /* of the last run, however it went; INT64_MIN: none yet */
    uint32_t running;          /* enum promotion_trigger of the run under way */
    uint32_t drift_waiting;    /* 0 or 1 */
    uint32_t failures;         /* in a row */
    uint32_t reserved;
    uint64_t runs, runs_drift, succeeded, failed, missed;
};

/* The first run is due one period after now_ns. */
void promotion_schedule_init(struct promotion_schedule *s,
                             const struct promotion_schedule_config *config, int64_t now_ns);
/* The supervisor saw drift. */
void promotion_schedule_drift(struct promotion_schedule *s);
/* What is due now; NOT_DUE while a run is under way. The period goes first; HAND is never due. */
enum promotion_trigger promotion_schedule_due(struct promotion_schedule *s,
                                              const struct promotion_schedule_config *config,
                                              int64_t now_ns);
/* A run starts, for what promotion_schedule_due has just said (asserted: something, and none under way). */
void promotion_schedule_begin(struct promotion_schedule *s,
                              const struct promotion_schedule_config *config, int64_t now_ns);
/* Somebody wants a run now, due or not, backing off or not (asserted: none under way). The grid stays. */
void promotion_schedule_begin_by_hand(struct promotion_schedule *s, int64_t now_ns);
/* It ended. A run lost in a restart is one that failed: call this before anything else then. */
void promotion_schedule_end(struct promotion_schedule *s,
                            const struct promotion_schedule_config *config, int64_t now_ns,
                            bool succeeded);
/* Until something is due, at least 0; while a run is under way, until the next grid point. */
int64_t promotion_schedule_until_next(const struct promotion_schedule *s,
                                      const struct promotion_schedule_config *config,
                                      int64_t now_ns);

#endif
