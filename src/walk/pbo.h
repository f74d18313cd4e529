/* Probability of backtest overfitting: how often the variant that was best in one half of the time is below the middle
 * in the other.
 *
 * The periods are cut into `parts` of equal length (what is left over is dropped from the front); every choice of half
 * of the parts is a sample to choose in, the other half the one to be judged in; the measure is the Sharpe ratio. With the
 * chosen one's rank r among N in the other half (1 worst, ties at their mean), w = r / (N + 1) and l = ln(w / (1 - w)):
 *     PBO = share of choices with l <= 0.
 * A variant that does not vary has the ratio 0.
 *
 * Source  Bailey, Borwein, Lopez de Prado, Zhu, "The probability of backtest overfitting", J. of Computational Finance 20
 *         (2017): combinatorially symmetric cross-validation.
 * Tests   test_pbo.c: twin that forms every series, planted cases. Pure but for scratch memory. */
#ifndef WALK_PBO_H
#define WALK_PBO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { WALK_PBO_PARTS = 16, WALK_PBO_VARIANTS_MAX = 64 };

struct walk_pbo {
    uint32_t variants, parts;
    uint64_t periods, choices;
    double pbo;          /* NaN: fewer than two variants, or two periods a part */
    double logit_median; /* … */
    double loss;         /* share of choices whose chosen one lost money in the other half */
    double slope;        /* of its ratio there on its ratio where it was chosen, least squares */
};
/* returns (periods, variants). parts even, 2..16 (asserted); variants <= WALK_PBO_VARIANTS_MAX, else ST_RANGE.
 * ST_INVALID: a return that is not finite. */
enum status walk_pbo(struct walk_pbo *out, const double *returns, size_t periods, uint32_t variants,
                     uint32_t parts, struct err *err);

#endif
