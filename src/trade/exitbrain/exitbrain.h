/* The Exit Brain: how a trade is to be ended, and when it has lost its reason.
 *
 * Three things, each pure:
 *   profiles   ladders, break-even, trailing and time stop in units of R (the distance of the first stop) or ATR
 *   replay     every entry is also lived through under every profile, bar by bar, on paper. What a profile would have
 *              earned is known for all of them, for the market does not care which one was taken: so nothing need be
 *              explored, and they are compared entry by entry, net of costs
 *   monitor    what a held position shows at a close: leave, bring the stop nearer, or stay
 *
 * A profile other than the trade's own plan is taken only while its advantage over that plan is shown: the lower end of a
 * confidence sequence (valid whenever it is looked at) of the mean difference in R lies above 0.
 *
 * Units. Distances: fractions of the entry price, > 0. Results: R, net of the round trip's cost. Times: ns UTC.
 * Memory: one block without pointers, no allocation.
 *
 * Source   profiles: the original's table of R-levels. Confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas,
 *          "Time-uniform central limit theory and asymptotic confidence sequences" (2021), eq. of the Robbins mixture.
 * docs/exit-brain.md. Tests: test_profile.c, test_replay.c; in the loop: kernel/test_exits.c */
#ifndef TRADE_EXITBRAIN_EXITBRAIN_H
#define TRADE_EXITBRAIN_EXITBRAIN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/trade.h"

/* ---- profiles ---- */

/* X(id, text, targets 1..3 in R, parts closed at them, break-even from (R), trailing from (R), distance of the trail as a
 * fraction of price, in ATR (one of the two, 0 none), time stop in seconds (0: the trade's own)).
 * The original tightens some trails further on; here the first stage holds, for an order at the venue has one distance. */
#define EXIT_PROFILE_TABLE(X)                                                                      \
    X(PROFILE_OWN, "own", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)                                         \
    X(PROFILE_TREND, "trend", 0.5, 1.0, 2.0, 0.15, 0.20, 0.65, 0.5, 1.5, 0.02, 0, 0)               \
    X(PROFILE_RANGE, "range", 0.2, 0.4, 0.7, 0.35, 0.35, 0.30, 0.2, 0, 0, 0, 0)                    \
    X(PROFILE_VOLATILE, "volatile", 0.4, 0.8, 1.5, 0.25, 0.35, 0.40, 0.4, 0.8, 0.025, 0, 0)        \
    X(PROFILE_CHOP, "chop", 0.15, 0.35, 0.6, 0.40, 0.40, 0.20, 0.15, 0, 0, 0, 0)                   \
    X(PROFILE_NORMAL, "normal", 0.5, 1.0, 2.0, 0.25, 0.25, 0.50, 0.5, 1.0, 0.015, 0, 0)            \
    X(PROFILE_RUNNER, "runner", 1.0, 20.0, 0, 0.30, 0, 0, 1.0, 1.0, 0, 2.0, 7200)

enum exit_profile {
#define EXIT_PROFILE_ENUM(id, ...) id,
    EXIT_PROFILE_TABLE(EXIT_PROFILE_ENUM)
#undef EXIT_PROFILE_ENUM
        PROFILE_COUNT
};
const char *exitbrain_profile_text(enum exit_profile profile);

/* Everything an intent says of its end. */
struct exit_plan {
    double stop;    /* of the first stop: one R */
    double take[3]; /* ascending; 0 none */
    double part
        [2]; /* of the entered quantity, at the first and second target; 0: that one takes all */
    double break_even, trail_from, trail; /* gains from which …; trail 0: never */
    uint32_t horizon_bars, reserved;      /* time stop; 0 none */
};
/* own: the trade's own plan (0 < own->stop < EXITBRAIN_STOP_END). atr: fraction of price, <= 0 or NaN where it is not
 * known: then a profile that needs it is as own. No target lies beyond EXITBRAIN_STOP_END: a venue may not take it, and
 * below nothing there is none. A runner's last target is out of reach: it ends by trail, stop or time. */
#define EXITBRAIN_STOP_END 0.5
void exitbrain_plan(struct exit_plan *out, enum exit_profile profile, const struct exit_plan *own,
                    double atr, int64_t interval_ns);

/* ---- replay ---- */

enum {
    EXITBRAIN_GROUPS = 8,      /* regimes, by their number; the last row is all together */
    EXITBRAIN_SHADOWS = 256,   /* entries lived through at once; more are counted and left out */
    EXITBRAIN_MOMENTS = 256,   /* closes at which they began */
    EXITBRAIN_ENTRIES_MIN = 30 /* moments of which the result is known before anything is chosen */
};
#define EXITBRAIN_ALPHA                                                                            \
    0.05 /* that any profile which is not better is ever taken, over all profiles of one group */

struct exit_shadow_leg {
    double stop;            /* as a gain: -plan.stop at first */
    double left, gain;      /* share still held; of what was closed */
    uint32_t next, is_over; /* target waited for */
};
struct exit_shadow {
    uint32_t side, group, moment, bars;
    double entry, cost, funding;
    double best, last; /* gains: the best seen, at the last close */
    struct exit_plan plans[PROFILE_COUNT];
    struct exit_shadow_leg legs[PROFILE_COUNT];
};
/* Entries of one close and group are one observation: they live through the same market. */
struct exit_moment {
    uint32_t is_used, group, open, count;
    int64_t close_ns;
    double own, difference[PROFILE_COUNT]; /* sums, R */
};
struct exit_tally {
    uint64_t count;
    double own_mean;
    double mean[PROFILE_COUNT],
        square[PROFILE_COUNT]; /* of the difference: mean, sum of squared deviations */
};
struct exitbrain {
    uint64_t entries, left_out, moments_done;
    struct exit_tally tallies[EXITBRAIN_GROUPS + 1]; /* the last: all together */
    uint32_t owners[EXITBRAIN_SHADOWS];              /* of the shadows: 1 + symbol, 0 free */
    struct exit_shadow shadows[EXITBRAIN_SHADOWS];
    struct exit_moment moments[EXITBRAIN_MOMENTS];
};
void exitbrain_init(struct exitbrain *b);

/* An entry at a close, whether or not it is executed. side: SIDE_BUY or SIDE_SELL; group < EXITBRAIN_GROUPS (asserted);
 * cost: of the round trip without funding, fraction; funding: what this side pays a bar, fraction >= 0, for what it holds
 * then. False, and counted: no room, or figures that cannot be. */
struct exit_entry {
    int64_t close_ns, interval_ns;
    uint32_t symbol, group;
    enum side side;
    double px, atr, cost, funding;
};
bool exitbrain_entered(struct exitbrain *b, const struct exit_entry *entry,
                       const struct exit_plan *own);
/* One closed bar of a symbol, the one after the entry's close first. Inside a bar the stop is met before a target. A stop
 * moved by a bar stands from its end on; if the close has passed it, the position ends there. */
void exitbrain_bar(struct exitbrain *b, uint32_t symbol, double open, double high, double low,
                   double close);

/* No bar of it will come: what its entries still hold ends where its last bar closed. */
void exitbrain_gone(struct exitbrain *b, uint32_t symbol);

struct exit_choice {
    uint32_t profile;       /* enum exit_profile */
    uint32_t group;         /* whose figures decided: EXITBRAIN_GROUPS all together */
    uint64_t count;         /* observations behind it */
    double own_mean;        /* R net, of the trades' own plans */
    double mean, low, high; /* R gained over them by `profile`; 0 for PROFILE_OWN */
};
void exitbrain_choose(struct exit_choice *out, const struct exitbrain *b, uint32_t group);
/* The same figures of any profile of a group (EXITBRAIN_GROUPS: all), for who wants to see them; false: none yet. */
bool exitbrain_look(struct exit_choice *out, const struct exitbrain *b, uint32_t group,
                    enum exit_profile profile);

/* The best of the others by the same figures and its lower end, PROFILE_OWN (0 R gained) among them; false: none yet. */
bool exitbrain_second(struct exit_choice *out, const struct exitbrain *b,
                      const struct exit_choice *chosen);

/* ---- monitor ---- */

struct exit_monitor_config {
    double stop_leverage; /* 0.10: the stop is never farther than this / leverage … */
    double stop_least;    /* 0.002: … and where that is nearer than this, the position is ended */
    double loss_of_margin;   /* 0.125: a loss of this share of the margin ends it */
    double stale_loss;       /* 0.02: … */
    int64_t stale_ns;        /* … held longer than 48 h with that loss: ended */
    double against;          /* 0.10: p of the other side less p of its own … */
    uint32_t against_closes; /* … at 2 closes in a row: the edge is gone */
    uint32_t
        unsuited_closes; /* 3 in a row in a regime its way of trading does not suit, and in loss */
};
struct exit_monitor_config exit_monitor_config_defaults(void);

/* Of one position, between closes; zero at its entry. */
struct exit_monitor {
    uint32_t against, unsuited; /* closes in a row */
};
struct exit_look {
    enum side side;
    uint32_t leverage;
    double gain;      /* of the price, in the position's direction, now */
    double stop_gain; /* where the stop stands, likewise (negative: a loss) */
    int64_t held_ns;
    bool has_answer;        /* the models were asked at this close */
    double p_side, p_other; /* what they say of its direction and of the other */
    bool has_high;          /* high: upper end of the interval of the return in its direction */
    double high;
    bool is_suited; /* the regime suits how it is traded */
};
struct exit_word {
    enum exit_reason leave; /* EXIT_NONE: stay */
    double stop_gain;       /* bring the stop here if it stands farther; NaN: as it is */
};
void exitbrain_monitor(struct exit_word *out, struct exit_monitor *state,
                       const struct exit_monitor_config *config, const struct exit_look *look);
/* The farthest a first stop may be at this leverage; 0: no trade at this leverage. */
double exitbrain_stop_max(const struct exit_monitor_config *config, uint32_t leverage);

#endif
