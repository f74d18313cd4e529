/* One kind's seat: who serves, who served before, who wants to. Says what should happen next; the caller does it (files,
 * registry, hot swap) and tells what was done. So a swap that failed has not happened here either.
 *
 *     admit ► CANDIDATE ──rule──► SHADOW ──rule and test──► ACCEPTED ──swap──► SERVING ──watch──► DEMOTED
 *                  └────────────────┴──────────────────────────┴► REJECTED
 *
 * Plain state without pointers; a copy is a snapshot. Models are named by their file's hash, 0 is nobody. An empty seat
 * is held by persistence. Time comes from the caller.
 * Tests   test_seat.c */
#ifndef BRAIN_PROMOTION_SEAT_H
#define BRAIN_PROMOTION_SEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "brain/promotion/lifecycle.h"
#include "brain/promotion/validator.h"

struct promotion_seat {
    uint64_t served, predecessor, challenger;
    uint32_t challenger_state; /* enum promotion_state, while there is a challenger */
    uint32_t reserved;
    int64_t served_ns, challenger_ns; /* since when */
    uint64_t samples_before_shadow;
    struct promotion_trial trial;         /* served against challenger */
    struct promotion_watch watch;         /* served against predecessor, else persistence */
    struct promotion_error served_error;  /* in service, and */
    struct promotion_error against_error; /* what stands against it */
    uint64_t admitted, shadowed, rejected, promoted, demoted, rolled_back; /* counts */
};

void promotion_seat_init(struct promotion_seat *s, uint64_t served, uint64_t predecessor,
                         int64_t now_ns);

/* A new candidate asks to be tried. PASS: it is the challenger now; *displaced (may be NULL) is the one it took the
 * place of, 0 if none: reject that one as displaced_by_newer. A challenger gives way only while its test speaks against
 * it (wealth below 1), or before its shadow began. Else NO_SKILL, SAME_MODEL or BUSY: reject the new one. */
enum promotion_reason promotion_seat_admit(struct promotion_seat *s, uint64_t *displaced,
                                           uint64_t model, bool has_skill, int64_t now_ns);

/* Forecasts of one decision and what came; each NaN if that model gave none. An empty seat's forecast is taken as 0.
 * While the challenger is a candidate only those of the trial count: the bars held out in training; from then on, the
 * logged ones. Decision times ascend in each phase. */
void promotion_seat_trial(struct promotion_seat *s, const struct promotion_config *config,
                          int64_t decision_ns, double served, double challenger, double outcome);
void promotion_seat_bar(struct promotion_seat *s, double net_served, double net_challenger);
/* What the served one forecast in service, and its predecessor beside it (not used without one). */
void promotion_seat_service(struct promotion_seat *s, const struct promotion_config *config,
                            int64_t decision_ns, double served, double predecessor, double outcome);

struct promotion_step {
    bool has_event;
    enum promotion_event event; /* SHADOW_BEGIN, ACCEPT, REJECT, PROMOTE or DEMOTE */
    uint64_t model;             /* that it happens to */
    uint64_t next;              /* DEMOTE: who serves then, 0 nobody */
    struct promotion_verdict
        verdict; /* of the challenger; DEMOTE: the service, old = what stood against it */
};
/* What should happen now, the seat's own safety first. Nothing changes. */
void promotion_seat_next(struct promotion_step *out, const struct promotion_seat *s,
                         const struct promotion_config *config, int64_t now_ns);
/* It was done. Events of promotion_seat_next, and by hand ROLL_BACK (predecessor serves), INSTALL and RESTORE (model
 * serves, who served is the predecessor). False, and nothing changed, if the table or the seat does not allow it. */
bool promotion_seat_apply(struct promotion_seat *s, enum promotion_event event, uint64_t model,
                          int64_t now_ns);

#endif
