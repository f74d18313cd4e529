/* How good probabilities and expected returns were, once it is known what came.
 *
 * A sample is one answer for one symbol at one close, with the label and the return over the horizon that
 * followed. Samples stand in order of time; those of one close stand together.
 *
 * NaN means "no answer", never "zero". Pure but for scratch memory; the same to the last bit on every run.
 *
 * Source  Hanley, McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982);
 *         Brier, Monthly Weather Review 78 (1950); Newey, West, Econometrica 55 (1987).
 * Tests   test_measure.c: figures worked out by hand, naive twins. */
#ifndef WALK_MEASURE_H
#define WALK_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "backtest/stat.h"
#include "base/err.h"
#include "brain/ensemble/ensemble.h"
#include "brain/ensemble/reliability.h"

struct walk_sample {
    float p[LABEL_COUNT]; /* of an answer: usable, sum 1 */
    float expected,
        came;       /* return over the horizon, fractions; expected: move * (p_buy - p_sell) */
    uint32_t close; /* which close; ascending */
    uint32_t label; /* enum label */
};

/* A mean of observations that overlap in time: standard error by Newey and West, Bartlett weights over `lag`
 * neighbours. se and t NaN with fewer than two, or where nothing varies. */
struct walk_mean {
    double value, se, t;
    uint64_t n;
};
struct walk_mean walk_mean_of(const double *x, size_t n, size_t lag);

/* Area under the ROC curve: the chance that a positive's score is above a negative's, a tie counts half.
 * score, positive (n). NaN without both kinds. */
enum status walk_auc(double *out, const double *score, const uint8_t *positive, size_t n,
                     struct err *err);

/* Spearman's rank correlation, ties at their mean rank. NaN if n < 3 or one side does not vary.
 * scratch (4 n). Source  Spearman, Am. J. Psychology 15 (1904). */
double walk_spearman(const double *x, const double *y, size_t n, double *scratch);

enum { WALK_IC_SYMBOLS_MIN = 5 }; /* of a close, before its ranks say anything */

struct walk_measures {
    uint64_t rows, closes;
    double share[LABEL_COUNT]; /* of the labels that came */
    double auc[LABEL_COUNT];   /* each label against the other two, by its probability */
    double auc_side; /* BUY against SELL, by p_buy / (p_buy + p_sell), where a barrier was hit */
    /* Mean -ln p of what came (p at least 1e-15), and of the best constant there is in hindsight; the gain over
     * it, one observation a close. Mean of squares over the labels (0..2), and of that constant. */
    double log_loss, log_loss_constant, brier, brier_constant;
    struct walk_mean gain;
    /* Of the best label's probability; chance: what a perfect forecaster would show. */
    double ece, ece_chance;
    struct reliability reliability;
    /* Rank correlation of expected and came over the symbols of a close; one observation a close. */
    struct walk_mean ic;
    /* Of the rows whose best label is a side: that many, those whose label it is, Wilson's interval for independent
     * rows (these overlap: too narrow). hit_side: the same where a barrier was hit. */
    uint64_t sided;
    struct interval hit, hit_side;
};
/* lag: bars of the horizon. ST_NO_MEMORY; ST_INVALID: a label or probability that is none, closes that do not
 * ascend. No rows: counts 0, the rest NaN. */
enum status walk_measure(struct walk_measures *out, const struct walk_sample *samples, size_t n,
                         uint32_t lag, struct err *err);

#endif
