/* How far a Sharpe ratio may be off, for returns that depend on one another: the stationary bootstrap.
 *
 * Blocks of geometric length, mean `block`, are drawn with replacement from the series laid in a circle; the
 * ratio of each such series is one draw; the interval is between their 2.5 % and 97.5 % points.
 *
 * The mean length is chosen by the rule of Politis and White as corrected in 2009: autocovariances up to 2 m with a
 * flat-top window, m the first lag behind which max(5, sqrt(log10 n)) autocorrelations in a row are within 2
 * sqrt(log10 n / n), 2 m at most sqrt n + 5; length = (2 G^2 / D)^(1/3) n^(1/3) with D = 2 g(0)^2, between 1 and min(3 sqrt n, n / 3).
 *
 * Source  Politis, Romano, "The stationary bootstrap", JASA 89 (1994); Politis, White, "Automatic block-length
 *         selection for the dependent bootstrap", Econometric Reviews 23 (2004); Patton, Politis, White, the same 28 (2009).
 * Tests   test_bootstrap.c. Pure but for scratch memory; the same seed gives the same bits. */
#ifndef WALK_BOOTSTRAP_H
#define WALK_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* 1 for n < 10 or a series that does not vary. */
double walk_block_length(const double *x, size_t n);

struct walk_bootstrap {
    double value, low, high; /* annual */
    double block;            /* mean length used, periods */
    double not_positive;     /* share of the draws at or below 0 */
    uint32_t draws;          /* that had a ratio */
    uint32_t reserved;
};
/* returns (n) per period; block >= 1, or 0: by the rule. draws >= 100. Figures NaN, draws 0: n < 10, or nothing varies.
 * ST_INVALID: a return that is not finite. */
enum status walk_bootstrap_sharpe(struct walk_bootstrap *out, const double *returns, size_t n,
                                  double periods_per_year, double block, uint32_t draws,
                                  uint64_t seed, struct err *err);

#endif
