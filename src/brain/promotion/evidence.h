/* Is one forecaster better than another? Evidence that may be looked at after every observation.
 *
 * Both forecast the same thing: the return over the horizon, as a fraction of the price at decision time. Their
 * losses are absolute errors. With a, b the two forecasts and r what came, the gain of b over a,
 *     |a - r| - |b - r|,   lies in [-|a - b|, |a - b|],
 * a bound known before r is: so gains divided by it can be bet on without clipping anything.
 *
 * One observation is one decision time: over its symbols (which move together) sum of gains / sum of bounds, in
 * [-1, 1]. Decision times nearer than the horizon to the last one used are left out, since their outcomes overlap
 * and the later bet would be placed on a coin already half seen.
 *
 * Null hypothesis: at each decision, given the past, b is expected to be no better than a. Under it the wealth of
 * betting any fixed share of itself on b never grows on average; so does the mean over several shares. Hence (Ville)
 *     P(the wealth EVER reaches 1/alpha) <= alpha,
 * whenever one looks, and however often.
 *
 * The watch asks the same of a model in service without an end: has it become worse than what stands against it? It
 * begins anew at each observation and adds up (Shiryaev-Roberts), so that years of good service buy no patience. From
 * a start at which the null holds, the mean number of observations to a false alarm is at least its threshold.
 *
 * Plain structs without pointers: copied, they are snapshots. A pair with a number that is no return is counted and
 * not used. Pure; O(bets) a pair.
 * Source  Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024):
 *         test supermartingales, bets spread over a grid; Henzi, Ziegel, "Valid sequential inference on probability
 *         forecast performance", Biometrika 109 (2022): forecasts, lags; Ville, Etude critique de la notion de
 *         collectif (1939); Shin, Ramdas, Rinaldo, "E-detectors", NEJSDS 2 (2024): the watch.
 * Tests   test_evidence.c */
#ifndef BRAIN_PROMOTION_EVIDENCE_H
#define BRAIN_PROMOTION_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Shares of the wealth that are bet. */
enum { PROMOTION_BETS = 8 };

/* Finite, and below a million: a fraction of a price that anything could have moved by. */
bool promotion_is_return(double x);

/* Pairs gathered to observations. */
struct promotion_pairs {
    int64_t decision_ns;         /* of the observation being gathered */
    int64_t used_ns;             /* of the last one used */
    double gain, bound;          /* its sums */
    uint32_t open, is_used;      /* 0 or 1 */
    uint64_t pairs;              /* used */
    uint64_t overlapped;         /* left out: nearer than the horizon to the last one used */
    uint64_t late;               /* left out: of a decision time already closed */
    uint64_t missing;            /* left out: promotion_is_return says no */
    uint64_t observations, same; /* closed; of these with equal forecasts, which tell nothing */
};

struct promotion_evidence {
    struct promotion_pairs pairs;
    double better[PROMOTION_BETS], worse[PROMOTION_BETS]; /* wealth on b, and on a */
    double better_max, worse_max;                         /* greatest mean wealth so far */
};

void promotion_evidence_init(struct promotion_evidence *e);
/* a: of the served one, b: of the challenger; outcome: the return that came. Decision times ascend. An observation is
 * closed by the first pair of a later time, or by hand when all of its symbols are in. */
void promotion_evidence_add(struct promotion_evidence *e, int64_t decision_ns, int64_t horizon_ns,
                            double a, double b, double outcome);
void promotion_evidence_close(struct promotion_evidence *e);
/* Mean wealth now: below 1 the money was lost. */
double promotion_evidence_better(const struct promotion_evidence *e);
double promotion_evidence_worse(const struct promotion_evidence *e);
/* Anytime-valid p of "b is no better": min(1, 1 / greatest wealth). */
double promotion_evidence_p(const struct promotion_evidence *e);

struct promotion_watch {
    struct promotion_pairs pairs;
    double sum[PROMOTION_BETS]; /* Shiryaev-Roberts sums, on "the served one is worse" */
};
void promotion_watch_init(struct promotion_watch *w);
/* served, other: forecasts; other 0 is persistence. */
void promotion_watch_add(struct promotion_watch *w, int64_t decision_ns, int64_t horizon_ns,
                         double served, double other, double outcome);
void promotion_watch_close(struct promotion_watch *w);
/* Alarm when it reaches the number of observations one wants between false alarms. */
double promotion_watch_level(const struct promotion_watch *w);

#endif
