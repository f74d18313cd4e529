#include "brain/promotion/seat.h"

#include <math.h>
#include <string.h>

static void service_begin(struct promotion_seat *s, uint64_t served, uint64_t predecessor,
                          int64_t now_ns) {
    s->served = served;
    s->predecessor = predecessor;
    s->served_ns = now_ns;
    promotion_watch_init(&s->watch);
    memset(&s->served_error, 0, sizeof s->served_error);
    memset(&s->against_error, 0, sizeof s->against_error);
}

static void challenger_leave(struct promotion_seat *s) {
    s->challenger = 0;
    s->challenger_state = PROMOTION_CANDIDATE;
    s->challenger_ns = 0;
    s->samples_before_shadow = 0;
    promotion_trial_init(&s->trial);
}

/* Whom it was measured against is gone: the trial begins anew, and a shadow is one from now on. */
static void challenger_restart(struct promotion_seat *s, int64_t now_ns) {
    if (s->challenger == 0) return;
    if (s->challenger_state == PROMOTION_ACCEPTED) s->challenger_state = PROMOTION_SHADOW;
    s->challenger_ns = now_ns;
    s->samples_before_shadow = 0;
    promotion_trial_init(&s->trial);
}

void promotion_seat_init(struct promotion_seat *s, uint64_t served, uint64_t predecessor,
                         int64_t now_ns) {
    memset(s, 0, sizeof *s);
    service_begin(s, served, predecessor, now_ns);
    challenger_leave(s);
}

enum promotion_reason promotion_seat_admit(struct promotion_seat *s, uint64_t *displaced,
                                           uint64_t model, bool has_skill, int64_t now_ns) {
    if (displaced) *displaced = 0;
    if (!has_skill) return PROMOTION_NO_SKILL;
    if (model == s->served || model == s->challenger) return PROMOTION_SAME_MODEL;
    if (s->challenger != 0) {
        bool busy = s->challenger_state == PROMOTION_ACCEPTED ||
                    (s->challenger_state == PROMOTION_SHADOW &&
                     promotion_evidence_better(&s->trial.evidence) >= 1);
        if (busy) return PROMOTION_BUSY;
        if (displaced) *displaced = s->challenger;
        s->rejected++;
    }
    challenger_leave(s);
    s->challenger = model;
    s->challenger_ns = now_ns;
    s->admitted++;
    return PROMOTION_PASS;
}

void promotion_seat_trial(struct promotion_seat *s, const struct promotion_config *config,
                          int64_t decision_ns, double served, double challenger, double outcome) {
    if (s->challenger == 0) return;
    promotion_trial_forecast(&s->trial, config, decision_ns, s->served ? served : 0, challenger,
                             outcome);
}

void promotion_seat_bar(struct promotion_seat *s, double net_served, double net_challenger) {
    if (s->challenger == 0) return;
    promotion_trial_bar(&s->trial, s->served ? net_served : 0, net_challenger);
}

void promotion_seat_service(struct promotion_seat *s, const struct promotion_config *config,
                            int64_t decision_ns, double served, double predecessor,
                            double outcome) {
    if (s->served == 0) return;
    double against = s->predecessor ? predecessor : 0;
    promotion_watch_add(&s->watch, decision_ns, config->horizon_ns, served, against, outcome);
    if (!promotion_is_return(served) || !promotion_is_return(against)) return;
    promotion_error_add(&s->served_error, served, outcome);
    promotion_error_add(&s->against_error, against, outcome);
}

/* ---- what next ---- */

static void propose(struct promotion_step *out, enum promotion_event event, uint64_t model) {
    out->has_event = true;
    out->event = event;
    out->model = model;
}

/* In service there is no trade of the other one to compare with: no Sharpe. */
static void service_verdict(struct promotion_verdict *out, const struct promotion_seat *s) {
    *out = (struct promotion_verdict){.outcome = PROMOTION_REJECTS,
                                      .reason = PROMOTION_WORSE_IN_SERVICE,
                                      .mape_old = promotion_error_mape(&s->against_error),
                                      .mape_new = promotion_error_mape(&s->served_error),
                                      .sharpe_old = NAN,
                                      .sharpe_new = NAN,
                                      .wealth = promotion_watch_level(&s->watch),
                                      .p = NAN,
                                      .pairs = s->served_error.count,
                                      .samples = s->watch.pairs.observations};
}

void promotion_seat_next(struct promotion_step *out, const struct promotion_seat *s,
                         const struct promotion_config *config, int64_t now_ns) {
    memset(out, 0, sizeof *out);
    if (s->served != 0 && promotion_watch_level(&s->watch) >= config->watch_length) {
        service_verdict(&out->verdict, s);
        propose(out, PROMOTION_DEMOTE, s->served);
        out->next = s->predecessor;
        return;
    }
    if (s->challenger == 0) return;
    if (s->challenger_state == PROMOTION_CANDIDATE) {
        promotion_screen(&out->verdict, &s->trial, config);
        if (out->verdict.outcome == PROMOTION_ACCEPTS)
            propose(out, PROMOTION_SHADOW_BEGIN, s->challenger);
        if (out->verdict.outcome == PROMOTION_REJECTS)
            propose(out, PROMOTION_REJECT, s->challenger);
        return;
    }
    uint64_t samples = s->trial.evidence.pairs.observations - s->samples_before_shadow;
    promotion_judge(&out->verdict, &s->trial, samples, config);
    if (s->challenger_state == PROMOTION_ACCEPTED) {
        propose(out, PROMOTION_PROMOTE, s->challenger);
        return;
    }
    if (out->verdict.outcome == PROMOTION_UNDECIDED &&
        now_ns - s->challenger_ns >= config->shadow_ns_max) {
        out->verdict.outcome = PROMOTION_REJECTS;
        out->verdict.reason = PROMOTION_EXPIRED;
    }
    if (out->verdict.outcome == PROMOTION_ACCEPTS) propose(out, PROMOTION_ACCEPT, s->challenger);
    if (out->verdict.outcome == PROMOTION_REJECTS) propose(out, PROMOTION_REJECT, s->challenger);
}

/* ---- done ---- */

/* An event of the one who serves. */
static bool apply_served(struct promotion_seat *s, enum promotion_event event, uint64_t model,
                         int64_t now_ns) {
    if (s->served == 0 || model != s->served) return false;
    if (event == PROMOTION_ROLL_BACK && s->predecessor == 0) return false;
    if (event == PROMOTION_DEMOTE)
        s->demoted++;
    else
        s->rolled_back++;
    service_begin(s, s->predecessor, 0, now_ns);
    challenger_restart(s, now_ns);
    return true;
}

/* By hand: the model may be the challenger, or one from the registry. */
static bool apply_by_hand(struct promotion_seat *s, uint64_t model, int64_t now_ns) {
    if (model == 0 || model == s->served) return false;
    bool was_challenger = model == s->challenger;
    service_begin(s, model, s->served, now_ns);
    if (was_challenger)
        challenger_leave(s);
    else
        challenger_restart(s, now_ns);
    return true;
}

static bool apply_challenger(struct promotion_seat *s, enum promotion_event event, uint64_t model,
                             int64_t now_ns) {
    enum promotion_state to;
    if (s->challenger == 0 || model != s->challenger) return false;
    if (!promotion_transition(&to, (enum promotion_state)s->challenger_state, event)) return false;
    s->challenger_state = (uint32_t)to;
    if (to == PROMOTION_SHADOW) {
        s->shadowed++;
        s->challenger_ns = now_ns;
        promotion_evidence_close(&s->trial.evidence); /* the last held-out decision is complete */
        s->samples_before_shadow = s->trial.evidence.pairs.observations;
    } else if (to == PROMOTION_REJECTED) {
        s->rejected++;
        challenger_leave(s);
    } else if (to == PROMOTION_SERVING) {
        s->promoted++;
        service_begin(s, model, s->served, now_ns);
        challenger_leave(s);
    }
    return true;
}

bool promotion_seat_apply(struct promotion_seat *s, enum promotion_event event, uint64_t model,
                          int64_t now_ns) {
    switch (event) {
    case PROMOTION_DEMOTE:
    case PROMOTION_ROLL_BACK:
        return apply_served(s, event, model, now_ns);
    case PROMOTION_INSTALL:
    case PROMOTION_RESTORE:
        return apply_by_hand(s, model, now_ns);
    case PROMOTION_SHADOW_BEGIN:
    case PROMOTION_ACCEPT:
    case PROMOTION_REJECT:
    case PROMOTION_PROMOTE:
        return apply_challenger(s, event, model, now_ns);
    case PROMOTION_RETIRE: /* follows from PROMOTE, INSTALL, RESTORE; not asked for alone */
    case PROMOTION_EVENT_COUNT:
        return false;
    }
    return false;
}
