#include "brain/promotion/evidence.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* From "hardly better in a noise of one" to "nearly always better". The best share for gains of mean m and mean
 * square s is about m / s; the grid costs at most log 8 against having known it. */
static const double shares[PROMOTION_BETS] = {0.01, 0.03, 0.07, 0.15, 0.30, 0.50, 0.70, 0.90};

/* A price that a million-folds within a horizon is a broken input, and would drown all others in a sum. */
static const double return_max = 1e6;

/* Lowering wealth never makes a test less valid; this keeps products finite. */
static const double wealth_max = 1e200;

bool promotion_is_return(double x) {
    return fabs(x) <= return_max;
}

static double mean(const double values[PROMOTION_BETS]) {
    double sum = 0;
    for (uint32_t i = 0; i < PROMOTION_BETS; i++) sum += values[i];
    return sum / PROMOTION_BETS;
}

/* True if an observation was finished: x in [-1, 1]. */
static bool pairs_close(double *x, struct promotion_pairs *p) {
    if (!p->open) return false;
    p->open = 0;
    p->is_used = 1;
    p->used_ns = p->decision_ns;
    p->observations++;
    if (!(p->bound > 0)) {
        p->same++;
        return false;
    }
    *x = fmax(-1, fmin(1, p->gain / p->bound)); /* rounding alone can pass 1 */
    return true;
}

/* As pairs_close, of the observation before this pair's. */
static bool pairs_add(double *x, struct promotion_pairs *p, int64_t decision_ns, int64_t horizon_ns,
                      double a, double b, double outcome) {
    if (!promotion_is_return(a) || !promotion_is_return(b) || !promotion_is_return(outcome)) {
        p->missing++;
        return false;
    }
    bool closed = p->open && decision_ns > p->decision_ns && pairs_close(x, p);
    if (p->open ? decision_ns < p->decision_ns : p->is_used && decision_ns <= p->used_ns) {
        p->late++;
    } else if (!p->open && p->is_used && decision_ns - p->used_ns < horizon_ns) {
        p->overlapped++;
    } else {
        if (!p->open) p->gain = p->bound = 0;
        p->open = 1;
        p->decision_ns = decision_ns;
        p->gain += fabs(a - outcome) - fabs(b - outcome);
        p->bound += fabs(a - b);
        p->pairs++;
    }
    return closed;
}

void promotion_evidence_init(struct promotion_evidence *e) {
    memset(e, 0, sizeof *e);
    for (uint32_t i = 0; i < PROMOTION_BETS; i++) e->better[i] = e->worse[i] = 1;
    e->better_max = e->worse_max = 1;
}

static void bet(struct promotion_evidence *e, double x) {
    for (uint32_t i = 0; i < PROMOTION_BETS; i++) {
        e->better[i] = fmin(wealth_max, e->better[i] * (1 + shares[i] * x));
        e->worse[i] = fmin(wealth_max, e->worse[i] * (1 - shares[i] * x));
    }
    e->better_max = fmax(e->better_max, mean(e->better));
    e->worse_max = fmax(e->worse_max, mean(e->worse));
}

void promotion_evidence_add(struct promotion_evidence *e, int64_t decision_ns, int64_t horizon_ns,
                            double a, double b, double outcome) {
    double x;
    if (pairs_add(&x, &e->pairs, decision_ns, horizon_ns, a, b, outcome)) bet(e, x);
}

void promotion_evidence_close(struct promotion_evidence *e) {
    double x;
    if (pairs_close(&x, &e->pairs)) bet(e, x);
}

double promotion_evidence_better(const struct promotion_evidence *e) {
    return mean(e->better);
}

double promotion_evidence_worse(const struct promotion_evidence *e) {
    return mean(e->worse);
}

double promotion_evidence_p(const struct promotion_evidence *e) {
    return fmin(1, 1 / e->better_max);
}

void promotion_watch_init(struct promotion_watch *w) {
    memset(w, 0, sizeof *w);
}

static void watch(struct promotion_watch *w, double x) {
    for (uint32_t i = 0; i < PROMOTION_BETS; i++)
        w->sum[i] = fmin(wealth_max, (w->sum[i] + 1) * (1 + shares[i] * x));
}

void promotion_watch_add(struct promotion_watch *w, int64_t decision_ns, int64_t horizon_ns,
                         double served, double other, double outcome) {
    double x;
    if (pairs_add(&x, &w->pairs, decision_ns, horizon_ns, served, other, outcome)) watch(w, x);
}

void promotion_watch_close(struct promotion_watch *w) {
    double x;
    if (pairs_close(&x, &w->pairs)) watch(w, x);
}

double promotion_watch_level(const struct promotion_watch *w) {
    return mean(w->sum);
}
