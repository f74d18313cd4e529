/* Four voters, one answer. Absent or excluded voters are visible, never simulated.
 *
 * A vote is a calibrated probability triple in label order SELL, HOLD, BUY with the model's own
 * estimate of the net return if its side is taken. The ensemble pools the present voters' log
 * probabilities with the effective weights (re-normalised over the present ones), so with one voter
 * its answer is that voter's. A tie is HOLD. */
#ifndef BRAIN_ENSEMBLE_ENSEMBLE_H
#define BRAIN_ENSEMBLE_ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum model_kind { MODEL_XGBOOST = 0, MODEL_LIGHTGBM, MODEL_NHITS, MODEL_PATCHTST, MODEL_COUNT };
const char *model_kind_text(enum model_kind kind); /* "xgboost" "lightgbm" "nhits" "patchtst" */
/* text (size), without a NUL; false: no such kind, *out untouched. */
bool model_kind_parse(enum model_kind *out, const char *text, size_t size);

/* Label order, everywhere: in training, in model files, in votes. */
enum label { LABEL_SELL = 0, LABEL_HOLD = 1, LABEL_BUY = 2, LABEL_COUNT = 3 };
const char *label_text(enum label label);

enum vote_state {
    VOTE_ABSENT = 0,
    VOTE_PRESENT,
    VOTE_WARMING,
    VOTE_STALE,
    VOTE_COLLAPSED,
    VOTE_NO_SKILL,
    VOTE_EXCLUDED /* by the supervisor, for its errors */
};
const char *vote_state_text(enum vote_state state);

struct model_vote {
    uint32_t state; /* enum vote_state; only VOTE_PRESENT votes */
    uint32_t reserved;
    double p[LABEL_COUNT]; /* calibrated, >= 0, sum 1 */
    double
        move; /* expected absolute move over the decision horizon when a barrier is hit, fraction */
};

enum ensemble_rule {
    ENSEMBLE_POOL = 0, /* log-opinion pool of the probabilities */
    ENSEMBLE_CLASSIC,  /* the counted vote of the system this program follows */
    ENSEMBLE_RULE_COUNT
};
const char *ensemble_rule_text(enum ensemble_rule rule); /* "pool" "classic" */

struct ensemble_config {
    double weights[MODEL_COUNT]; /* relative, >= 0; any scale */
    double confidence_min;       /* below it the answer is HOLD */
    uint32_t rule;               /* enum ensemble_rule */
    uint32_t reserved;
};
struct ensemble_config ensemble_config_defaults(void); /* equal weights, 0.40, pool */

/* The relative weights once reported of the four, 1/3, 1/4, 1/2 and 1 by kind: good for nothing but
 * priors. Normalised they are 0.16, 0.12, 0.24 and 0.48. */
void ensemble_reported_weights(double out[MODEL_COUNT]);
/* out (MODEL_COUNT) = weights divided by their sum, the same to the last bit in any order; a weight that
 * is not finite and > 0 becomes 0. False, and out all 0, if none is left. out may be weights. */
bool ensemble_normalise(double out[MODEL_COUNT], const double weights[MODEL_COUNT]);

/* p (LABEL_COUNT) finite, >= 0, sum 1 within 1e-5 (float rounding, with room), move finite and >= 0: what
 * is not that is no vote; it would poison the pool. */
bool ensemble_answer_is_usable(const double *p, double move);
/* The label above both others; a tie at the top is HOLD. */
enum label ensemble_best_label(const double *p);

struct ensemble_signal {
    uint32_t action;    /* enum label */
    uint32_t consensus; /* voters whose own best label is the action */
    uint32_t voters;    /* present voters */
    uint32_t reserved;
    double p[LABEL_COUNT];
    double confidence; /* 0..1; pool: probability of the action; classic: see ensemble_step */
    double edge; /* expected gross return of taking the side, fraction: move * (p_side - p_other) */
    double move; /* the present voters' moves, weighted; 0 without a voter */
    double weights[MODEL_COUNT]; /* effective, sum 1 over present voters, 0 for the others */
};

/* One answer of the present voters, the same to the last bit whatever order they stand in.
 *
 * p, move and the weights are the same under either rule: p is the log-opinion pool (product of the
 * voters' probabilities to the power of their weights); one voter's answer is copied. Under
 *   pool     the action is the best label of p, the confidence its probability;
 *   classic  each voter gives its weight to its own best label; the largest sum wins, sums within 1e-12
 *            are a tie and HOLD; confidence = min(0.95, mean confidence of the winners * m), m by their
 *            number 4: 1.2, 3: 1.1, 2: 1.0, 1: 0.6. A tie's confidence is p of HOLD. This confidence is
 *            a score, no probability; its edge is negative where p prefers the other side.
 *
 * A vote that is no probability triple (NaN, negative, sum not 1; a move that is not finite and >= 0)
 * or a voter of weight 0 does not count as present: its effective weight is 0. No present voter:
 * HOLD, confidence 0, voters 0, p all 0. Equal best labels, or a best one below confidence_min: HOLD,
 * with the probability of HOLD as confidence and edge 0. Nothing that leaves is NaN.
 * In      votes (MODEL_COUNT) by kind.   Pure, O(1).
 * Source  Genest, Zidek, Combining Probability Distributions, Statistical Science 1 (1986), log pool. */
void ensemble_step(struct ensemble_signal *out, const struct ensemble_config *config,
                   const struct model_vote *votes);

struct recalibration;
/* The same, with the pool's p calibrated (recalibration.h) before anything is taken from it; a tie at its top stays one,
 * and HOLD. raw (LABEL_COUNT): p as pooled, all 0 without a voter. */
void ensemble_step_recalibrated(struct ensemble_signal *out, double raw[LABEL_COUNT],
                                const struct ensemble_config *config,
                                const struct model_vote *votes, const struct recalibration *r);

/* What the ensemble expects the price to return until a barrier is met, or the horizon ends without, fraction,
 * signed: move * (p_buy - p_sell).
 * The centre of the conformal interval (conformal.h). */
double ensemble_expected_return(const struct ensemble_signal *signal);

/* How far the voters are apart. A voter without skill has answered, too: it counts here, though it does not
 * vote. Fewer than two answers: differ false, distance 0. */
struct vote_spread {
    uint32_t answers; /* PRESENT or NO_SKILL, with usable probabilities */
    bool differ;      /* their best labels are not all the same (a tie is HOLD) */
    double distance;  /* mean over pairs and labels of |p - p'|, 0 .. 2/3 */
};
/* votes (MODEL_COUNT) by kind. Pure, O(1), the same to the last bit in any order of two. */
void ensemble_spread(struct vote_spread *out, const struct model_vote *votes);

/* Isotonic calibration of one class probability: piecewise linear on at most 64 knots. */
enum { CALIBRATION_KNOTS_MAX = 64 };
struct calibration {
    uint32_t knot_count; /* 0: identity */
    uint32_t reserved;
    double x[CALIBRATION_KNOTS_MAX], y[CALIBRATION_KNOTS_MAX];
};
/* p (LABEL_COUNT) calibrated per class and re-normalised, in place; outside the knots the end value
 * holds. Knots: x strictly ascending, y ascending in 0..1. If all come out 0, p stays as it was. */
void calibration_apply(double *p, const struct calibration per_label[LABEL_COUNT]);

#endif
