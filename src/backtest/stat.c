#include "backtest/stat.h"

#include <math.h>
#include <stdbool.h>

#include "base/assert.h"

static const double Z95 = 1.959963984540054; /* two-sided 95 % point of the normal distribution */

static double mean_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

struct moments {
    double mean, s, sr; /* s with n; sr = mean / s */
};

/* Influence of one return on the Sharpe ratio: the delta method's gradient times the moments. */
static double influence(const struct moments *m, double r) {
    double d = r - m->mean;
    return d / m->s - m->sr / (2 * m->s * m->s) * (d * d - m->s * m->s);
}

static double autocovariance(const struct moments *m, const double *r, size_t n, size_t lag) {
    double sum = 0;
    for (size_t t = lag; t < n; t++) sum += influence(m, r[t]) * influence(m, r[t - lag]);
    return sum / (double)n;
}

/* Bartlett weights keep the sum from becoming negative. */
static double long_run_variance(const struct moments *m, const double *r, size_t n) {
    size_t lags = (size_t)floor(4 * pow((double)n / 100, 2.0 / 9));
    double sum = autocovariance(m, r, n, 0);
    for (size_t j = 1; j <= lags && j < n; j++)
        sum += 2 * (1 - (double)j / (double)(lags + 1)) * autocovariance(m, r, n, j);
    return sum > 0 ? sum : 0; /* rounding only */
}

struct sharpe stat_sharpe(const double *returns, size_t n, double periods_per_year) {
    struct sharpe out = {NAN, NAN, NAN, n};
    if (n < 2) return out;
    double mean = mean_of(returns, n), squares = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (returns[i] - mean) * (returns[i] - mean);
        largest = fmax(largest, fabs(returns[i]));
        if (!isfinite(returns[i])) return out;
    }
    double sd = sqrt(squares / (double)(n - 1));
    /* Equal returns whose mean was rounded leave an sd of a few units in the last place. */
    if (!isfinite(sd) || sd <= 1e-14 * largest) return out;
    struct moments m = {mean, sqrt(squares / (double)n), 0};
    m.sr = mean / m.s;
    double se = sqrt(long_run_variance(&m, returns, n) / (double)n);
    double scale = sqrt(periods_per_year);
    out.value = mean / sd * scale;
    out.low = out.value - Z95 * se * scale;
    out.high = out.value + Z95 * se * scale;
    return out;
}

double stat_drawdown(const double *equity, size_t n) {
    if (n == 0) return NAN;
    double peak = equity[0], worst = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(equity[i])) return NAN;
        if (equity[i] > peak) peak = equity[i];
        if (peak > 0) worst = fmax(worst, (peak - equity[i]) / peak);
    }
    return fmin(worst, 1);
}

struct interval stat_rate(uint64_t k, uint64_t n) {
    ASSERT(k <= n);
    if (n == 0) return (struct interval){NAN, NAN, NAN};
    double count = (double)n, p = (double)k / count, z2 = Z95 * Z95;
    double center = (p + z2 / (2 * count)) / (1 + z2 / count);
    double half = Z95 / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count * count));
    return (struct interval){p, fmax(0, center - half), fmin(1, center + half)};
}

struct interval stat_mean_e8(const int64_t *values_e8, size_t n) {
    struct interval out = {NAN, NAN, NAN};
    if (n == 0) return out;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)values_e8[i];
    double mean = sum / (double)n;
    out.value = mean / 1e8;
    if (n < 2) return out;
    for (size_t i = 0; i < n; i++) {
        double d = (double)values_e8[i] - mean;
        squares += d * d;
    }
    double half = Z95 * sqrt(squares / (double)(n - 1) / (double)n) / 1e8;
    out.low = out.value - half;
    out.high = out.value + half;
    return out;
}

double stat_profit_factor(const int64_t *values_e8, size_t n) {
    double gains = 0, losses = 0;
    for (size_t i = 0; i < n; i++) {
        if (values_e8[i] > 0) gains += (double)values_e8[i];
        if (values_e8[i] < 0) losses -= (double)values_e8[i];
    }
    return losses > 0 ? gains / losses : NAN;
}

int64_t stat_quantile(const int64_t *sorted, size_t n, double q) {
    ASSERT(n > 0 && q >= 0 && q <= 1);
    double rank = ceil(q * (double)n); /* 1-based */
    size_t index = rank < 1 ? 0 : (size_t)rank - 1;
    return sorted[index < n ? index : n - 1];
}
