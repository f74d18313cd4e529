/* Statistics of a run. Each function states its formula and is tested against vectors computed by
 * other means (test_stat.c says how). NaN means "no answer", never "zero". */
#ifndef BACKTEST_STAT_H
#define BACKTEST_STAT_H

#include <stddef.h>
#include <stdint.h>

/* An estimate with its 95 % interval. */
struct interval {
    double value, low, high;
};

/* Sharpe ratio of a series of simple returns per period, against a risk-free rate of zero:
 *     value = mean / sd * sqrt(periods_per_year),      sd with n - 1.
 * The interval is value +- 1.959964 * se * sqrt(periods_per_year), with se from Lo (2002), "The
 * Statistics of Sharpe Ratios", GMM case: the influence of return t on the ratio is
 *     h_t = (r_t - mean) / s - sr / (2 s^2) * ((r_t - mean)^2 - s^2),   s with n, sr = mean / s,
 * and se^2 is its long-run variance / n by Newey and West (1987): Bartlett weights over
 * m = floor(4 (n / 100)^(2/9)) lags. Annualising by sqrt(periods) takes returns as uncorrelated.
 * NaN if n < 2, a return is not finite, or all returns are the same. */
struct sharpe {
    double value, low, high;
    size_t n;
};
struct sharpe stat_sharpe(const double *returns, size_t n, double periods_per_year);

/* Largest fall from a running peak, as a fraction of the peak (0..1). The peak starts with the first
 * value; a fall below zero counts as 1. NaN if n is 0 or a value is not finite. */
double stat_drawdown(const double *equity, size_t n);

/* k successes of n with Wilson's (1927) score interval; NaN if n is 0. */
struct interval stat_rate(uint64_t k, uint64_t n);

/* Mean with mean +- 1.959964 sd / sqrt(n), sd with n - 1; interval NaN if n < 2, all NaN if n is 0.
 * Values are e8, the answer is in units. */
struct interval stat_mean_e8(const int64_t *values_e8, size_t n);

/* Sum of gains / sum of losses; NaN without losses (also without trades). */
double stat_profit_factor(const int64_t *values_e8, size_t n);

/* Quantile by nearest rank: the smallest value with at least q n values not above it; always a value
 * that occurred. sorted ascending, n > 0 and 0 <= q <= 1 (asserted). */
int64_t stat_quantile(const int64_t *sorted, size_t n, double q);

#endif
