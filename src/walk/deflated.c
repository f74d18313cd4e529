#include "walk/deflated.h"

#include <math.h>

#include "base/assert.h"

static const double euler = 0.57721566490153286, e = 2.7182818284590452;

double walk_normal(double x) {
    return 0.5 * erfc(-x * 0.70710678118654752);
}

double walk_normal_quantile(double p) {
    ASSERT(p > 0 && p < 1);
    /* In the lower half erfc keeps its digits; a handful of calls a report, so halving will do. */
    if (p > 0.5) return -walk_normal_quantile(1 - p);
    double low = -40, high = 0;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (walk_normal(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

struct walk_moments walk_moments_of(const double *returns, size_t n) {
    struct walk_moments m = {n, NAN, NAN, NAN, NAN, NAN};
    double mean = 0, m2 = 0, m3 = 0, m4 = 0;
    if (n < 4) return m;
    for (size_t i = 0; i < n; i++) mean += returns[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = returns[i] - mean;
        m2 += d * d / (double)n;
        m3 += d * d * d / (double)n;
        m4 += d * d * d * d / (double)n;
    }
    if (!(m2 > 1e-28 * mean * mean) || !isfinite(m4)) return m;
    m.mean = mean;
    m.sd = sqrt(m2 * (double)n / (double)(n - 1));
    m.sharpe = mean / m.sd;
    m.skew = m3 / (m2 * sqrt(m2));
    m.kurtosis = m4 / (m2 * m2);
    return m;
}

double walk_sharpe_expected_max(double variance, uint64_t trials) {
    ASSERT(variance >= 0 && trials >= 1);
    if (trials == 1) return 0;
    double n = (double)trials;
    return sqrt(variance) * ((1 - euler) * walk_normal_quantile(1 - 1 / n) +
                             euler * walk_normal_quantile(1 - 1 / (n * e)));
}

double walk_sharpe_probabilistic(const struct walk_moments *m, double sharpe_min) {
    double spread = 1 - m->skew * m->sharpe + (m->kurtosis - 1) / 4 * m->sharpe * m->sharpe;
    if (!(spread > 0)) return NAN;
    return walk_normal((m->sharpe - sharpe_min) * sqrt((double)m->n - 1) / sqrt(spread));
}

struct walk_deflated walk_sharpe_deflated(const struct walk_moments *m, double variance,
                                          uint64_t trials) {
    struct walk_deflated out = {trials, NAN, NAN, NAN, NAN, NAN};
    if (m->n < 4) return out;
    double chance = 1 / ((double)m->n - 1);
    out.variance = variance > chance ? variance : chance; /* NaN too */
    out.expected_max = walk_sharpe_expected_max(out.variance, trials);
    out.probability = walk_sharpe_probabilistic(m, out.expected_max);
    out.chance = walk_sharpe_probabilistic(m, walk_sharpe_expected_max(chance, trials));
    out.single = walk_sharpe_probabilistic(m, 0);
    return out;
}
