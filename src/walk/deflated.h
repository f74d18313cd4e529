/* A Sharpe ratio after so many tries: what is left of it once it is known that the best of N was chosen.
 *
 * All ratios here are per period, not annual. Kurtosis is 3 for a normal.
 *     expected maximum of N   sqrt(V) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))),   g Euler's constant, Z the normal quantile,
 *                             V the variance of the ratios tried; 0 for N = 1
 *     probabilistic ratio     P(true > sr0) = Phi((sr - sr0) sqrt(n - 1) / sqrt(1 - skew sr + (kurtosis - 1)/4 sr^2))
 *     deflated                the same with sr0 = that maximum
 *
 * Source  Bailey, Lopez de Prado, "The Sharpe ratio efficient frontier", J. of Risk 15 (2012), and "The deflated Sharpe
 *         ratio", J. of Portfolio Management 40 (2014).
 * Tests   test_deflated.c: the example worked out in the paper. Pure. */
#ifndef WALK_DEFLATED_H
#define WALK_DEFLATED_H

#include <stddef.h>
#include <stdint.h>

double walk_normal(double x);          /* distribution function */
double walk_normal_quantile(double p); /* within 1e-12; 0 < p < 1 (asserted) */

struct walk_moments {
    uint64_t n;
    double mean, sd, sharpe; /* sd with n - 1 */
    double skew, kurtosis;   /* of the sample */
};
/* NaN but n where fewer than four, or nothing varies. */
struct walk_moments walk_moments_of(const double *returns, size_t n);

/* variance >= 0, trials >= 1 (asserted). */
double walk_sharpe_expected_max(double variance, uint64_t trials);
/* NaN where the moments are, or the root's argument is not positive. */
double walk_sharpe_probabilistic(const struct walk_moments *m, double sharpe_min);

struct walk_deflated {
    uint64_t trials;
    double variance;     /* of the trials' ratios, as used */
    double expected_max; /* per period */
    double probability;  /* that the true ratio is above 0, after the choice; the deflated ratio */
    double chance;       /* the same with the variance that chance alone gives: 1/(n - 1) */
    double single;       /* the same, had it been the only trial */
};
/* variance: of the ratios tried, as far as they are known; NaN, or less than 1/(n - 1), which is what ratios without
 * any skill vary by chance: that one is used. */
struct walk_deflated walk_sharpe_deflated(const struct walk_moments *m, double variance,
                                          uint64_t trials);

#endif
