#include "walk/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/rng.h"

enum { OBSERVATIONS_MIN = 10 };

/* ---- length ---- */

static double mean_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static double autocovariance(const double *x, size_t n, double mean, size_t lag) {
    double sum = 0;
    for (size_t i = lag; i < n; i++) sum += (x[i] - mean) * (x[i - lag] - mean);
    return sum / (double)n;
}

/* 1 up to a half, then down to 0 at 1. */
static double flat_top(double x) {
    x = fabs(x);
    return x <= 0.5 ? 1 : x <= 1 ? 2 * (1 - x) : 0;
}

/* Lag behind which so many in a row cannot be told from 0; lag_max without one: the largest that can. */
static size_t last_lag_that_counts(const double *x, size_t n, double mean, size_t lag_max) {
    double log_n = log10((double)n), own = autocovariance(x, n, mean, 0);
    double bound = 2 * sqrt(log_n / (double)n);
    size_t quiet = (size_t)fmax(5, ceil(sqrt(log_n))), run = 0, last = 0;
    for (size_t k = 1; k <= lag_max + quiet && k < n; k++) {
        if (fabs(autocovariance(x, n, mean, k) / own) >= bound) {
            if (k <= lag_max) last = k;
            run = 0;
        } else if (++run == quiet) {
            return k - quiet;
        }
    }
    return last;
}

double walk_block_length(const double *x, size_t n) {
    if (n < OBSERVATIONS_MIN) return 1;
    double mean = mean_of(x, n), own = autocovariance(x, n, mean, 0);
    if (!(own > 1e-28 * mean * mean)) return 1;
    size_t lag_max = (size_t)ceil(sqrt((double)n)) + 5;
    if (lag_max >= n) lag_max = n - 1;
    size_t m = last_lag_that_counts(x, n, mean, lag_max), window = 2 * (m ? m : 1);
    if (window > lag_max) window = lag_max;
    double g = 0, spectrum = own;
    for (size_t k = 1; k <= window; k++) {
        double r = flat_top((double)k / (double)window) * autocovariance(x, n, mean, k);
        g += 2 * (double)k * r;
        spectrum += 2 * r;
    }
    double longest = fmin(ceil(3 * sqrt((double)n)), ceil((double)n / 3));
    if (!(fabs(spectrum) > 0)) return longest;
    double length = cbrt(g * g / (spectrum * spectrum) * (double)n);
    return fmin(fmax(length, 1), longest);
}

/* ---- draws ---- */

/* Mean over deviation (n - 1) of one drawn series; NaN if nothing varies. */
static double draw_ratio(struct rng *r, const double *x, size_t n, double block) {
    double mean = 0, squares = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || rng_f64(r) * block < 1;
        at = begins ? (size_t)rng_below(r, n) : at + 1 < n ? at + 1 : 0;
        double d = x[at] - mean;
        mean += d / (double)(i + 1);
        squares += d * (x[at] - mean);
    }
    double sd = sqrt(squares / (double)(n - 1));
    return sd > 1e-14 * fabs(mean) ? mean / sd : (double)NAN;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double ratio_of(const double *x, size_t n) {
    double mean = mean_of(x, n);
    double sd = sqrt(autocovariance(x, n, mean, 0) * (double)n / (double)(n - 1));
    return sd > 1e-14 * fabs(mean) ? mean / sd : (double)NAN;
}

/* Nearest rank. */
static double point(const double *sorted, size_t n, double q) {
    double rank = ceil(q * (double)n);
    return sorted[rank < 1 ? 0 : (size_t)rank - 1];
}

enum status walk_bootstrap_sharpe(struct walk_bootstrap *out, const double *returns, size_t n,
                                  double periods_per_year, double block, uint32_t draws,
                                  uint64_t seed, struct err *err) {
    ASSERT(draws >= 100 && (block == 0 || block >= 1));
    *out = (struct walk_bootstrap){
        .value = NAN, .low = NAN, .high = NAN, .block = NAN, .not_positive = NAN};
    for (size_t i = 0; i < n; i++)
        if (!isfinite(returns[i])) return err_set(err, ST_INVALID, "return %zu is no number", i);
    if (n < OBSERVATIONS_MIN || isnan(ratio_of(returns, n))) return ST_OK;
    double *ratios = calloc(draws, sizeof *ratios), scale = sqrt(periods_per_year);
    if (!ratios) return err_set(err, ST_NO_MEMORY, "%u draws: out of memory", draws);
    struct rng root = rng_init(seed);
    size_t kept = 0, below = 0;
    out->value = ratio_of(returns, n) * scale;
    out->block = block > 0 ? block : walk_block_length(returns, n);
    for (uint32_t i = 0; i < draws; i++) {
        struct rng r = rng_split(&root, i);
        double v = draw_ratio(&r, returns, n, out->block);
        if (isnan(v)) continue;
        ratios[kept++] = v * scale;
        below += v <= 0;
    }
    qsort(ratios, kept, sizeof *ratios, by_value);
    if (kept) {
        out->low = point(ratios, kept, 0.025);
        out->high = point(ratios, kept, 0.975);
        out->not_positive = (double)below / (double)kept;
    }
    out->draws = (uint32_t)kept;
    free(ratios);
    return ST_OK;
}
