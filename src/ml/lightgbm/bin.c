/* How the values of a column become bins, as LightGBM finds them.
 *
 * Numeric: zero has a bin of its own; the values below and above it share the other bins by their
 * number of rows. Where there are no more distinct values than bins, neighbours are joined until a
 * bin has min_data_in_bin rows; else bins are filled to the mean, and a value that alone reaches it
 * gets its own. A bound is the double above the middle of the two values it parts. Categorical: by
 * count, downwards, until 99 % of the rows are named; the rest is bin 0.
 * Sources  LightGBM's documentation: Features.rst (optimal partitions, missing values),
 *          Parameters.rst (max_bin, min_data_in_bin, use_missing, zero_as_missing,
 *          feature_pre_filter). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_grow_internal.h"

/* ---- sorting ---- */

enum { DIGIT_BITS = 11, DIGITS = 6, DIGIT_VALUES = 1 << DIGIT_BITS };
enum { BINS_AT_ONCE = 64 };

/* Doubles as whole numbers of the same order. */
static uint64_t key_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double value_of(uint64_t key) {
    uint64_t bits = key >> 63 ? key ^ UINT64_C(1) << 63 : ~key;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Sorts n keys by their digits, lowest first; digits that all share are passed over. Returns where
 * they ended up, keys or other. */
static uint64_t *radix_sort(uint64_t *keys, uint64_t *other, uint32_t *counts, size_t n) {
    memset(counts, 0, sizeof *counts * DIGITS * DIGIT_VALUES);
    for (size_t i = 0; i < n; i++)
        for (uint32_t d = 0; d < DIGITS; d++)
            counts[d * DIGIT_VALUES + (keys[i] >> (d * DIGIT_BITS) & (DIGIT_VALUES - 1))]++;
    for (uint32_t d = 0; d < DIGITS; d++) {
        uint32_t *c = counts + d * DIGIT_VALUES, sum = 0;
        if (n == 0 || c[keys[0] >> (d * DIGIT_BITS) & (DIGIT_VALUES - 1)] == n) continue;
        for (uint32_t v = 0; v < DIGIT_VALUES; v++) {
            uint32_t count = c[v];
            c[v] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            other[c[keys[i] >> (d * DIGIT_BITS) & (DIGIT_VALUES - 1)]++] = keys[i];
        uint64_t *t = keys;
        keys = other;
        other = t;
    }
    return keys;
}

/* Distinct values and the rows they have, in the scratch of one column. */
struct distinct {
    double *values;
    uint32_t *counts;
    size_t n;
};

size_t lgbm_bins_scratch(size_t count) {
    /* One more distinct value: zero, which may stand there without rows. */
    size_t n = count + 2;
    return n * 2 * sizeof(uint64_t) + n * (sizeof(double) + sizeof(uint32_t)) +
           sizeof(uint32_t) * DIGITS * DIGIT_VALUES + 64;
}

static void distinct_add(struct distinct *d, double value, uint32_t count) {
    d->values[d->n] = value;
    d->counts[d->n++] = count;
}

/* keys: n sorted values, none of them zero; zero_count rows are. Neighbouring doubles count as
 * one. */
static void distinct_fill(struct distinct *d, const uint64_t *keys, size_t n, uint32_t zero_count) {
    d->n = 0;
    if (n == 0 || (value_of(keys[0]) > 0 && zero_count > 0)) distinct_add(d, 0, zero_count);
    for (size_t i = 0; i < n; i++) {
        double x = value_of(keys[i]);
        if (i > 0) {
            double last = value_of(keys[i - 1]);
            if (last < 0 && x > 0) {
                distinct_add(d, 0, zero_count);
            } else if (keys[i] - keys[i - 1] <= 1) {
                d->values[d->n - 1] = x;
                d->counts[d->n - 1]++;
                continue;
            }
        }
        distinct_add(d, x, 1);
    }
    if (n > 0 && value_of(keys[n - 1]) < 0 && zero_count > 0) distinct_add(d, 0, zero_count);
}

/* ---- numeric bounds ---- */

struct bounds {
    double *at;
    uint32_t n;
};

static void bound_between(struct bounds *b, uint32_t first, double low, double high) {
    double x = nextafter((low + high) / 2, (double)INFINITY);
    x = fmin(fmax(x, -LGBM_THRESHOLD_MAX), LGBM_THRESHOLD_MAX);
    /* Not a bin of nothing: the bound must lie beyond the last one. */
    if (b->n == first || x > nextafter(b->at[b->n - 1], (double)INFINITY)) b->at[b->n++] = x;
}

static void bounds_few(struct bounds *b, const struct distinct *d, uint32_t min_data) {
    uint32_t first = b->n, count = 0;
    for (size_t i = 0; i + 1 < d->n; i++) {
        count += d->counts[i];
        if (count < min_data) continue;
        uint32_t before = b->n;
        bound_between(b, first, d->values[i], d->values[i + 1]);
        if (b->n > before) count = 0;
    }
}

static void bounds_many(struct bounds *b, const struct distinct *d, uint32_t max_bin,
                        uint32_t total, uint32_t min_data) {
    if (min_data > 0) {
        uint32_t most = total / min_data;
        max_bin = max_bin < most ? max_bin : most;
        if (max_bin == 0) max_bin = 1;
    }
    const double large = (double)total / max_bin;
    int64_t rest = total, bins_left = max_bin;
    for (size_t i = 0; i < d->n; i++) {
        if (d->counts[i] < large) continue;
        bins_left--;
        rest -= d->counts[i];
    }
    double mean = (double)rest / (double)bins_left;
    uint32_t first = b->n, bins = 0;
    int64_t count = 0;
    for (size_t i = 0; i + 1 < d->n; i++) {
        bool is_large = d->counts[i] >= large;
        if (!is_large) rest -= d->counts[i];
        count += d->counts[i];
        bool ends = is_large || (double)count >= mean ||
                    (d->counts[i + 1] >= large && (double)count >= fmax(1, mean * 0.5));
        if (!ends) continue;
        bound_between(b, first, d->values[i], d->values[i + 1]);
        if (++bins >= max_bin - 1) break;
        count = 0;
        if (!is_large) {
            bins_left--;
            mean = (double)rest / (double)bins_left;
        }
    }
}

/* Bounds between the values of d, at most max_bin - 1 of them; the last bin has none here. */
static void bounds_greedy(struct bounds *b, const struct distinct *d, uint32_t max_bin,
                          uint32_t total, uint32_t min_data) {
    if (d->n <= max_bin)
        bounds_few(b, d, min_data);
    else if (max_bin > 1)
        bounds_many(b, d, max_bin, total, min_data);
}

/* Bins of the values below zero, of zero, and of those above. */
static void bounds_around_zero(struct bounds *b, const struct distinct *d, uint32_t max_bin,
                               uint32_t min_data) {
    struct distinct below = *d, above = *d;
    uint32_t below_rows = 0, above_rows = 0;
    size_t i = 0;
    for (; i < d->n && d->values[i] <= -LGBM_ZERO; i++) below_rows += d->counts[i];
    below.n = i;
    for (; i < d->n && d->values[i] <= LGBM_ZERO; i++) continue;
    above.values += i;
    above.counts += i;
    above.n = d->n - i;
    for (; i < d->n; i++) above_rows += d->counts[i];

    b->n = 0;
    if (below.n > 0 && max_bin > 1) {
        double share = (double)below_rows / ((double)below_rows + (double)above_rows);
        uint32_t bins = (uint32_t)(share * (max_bin - 1));
        bounds_greedy(b, &below, bins > 0 ? bins : 1, below_rows, min_data);
        b->at[b->n++] = -LGBM_ZERO;
    }
    if (above.n > 0 && max_bin > b->n + 1) {
        uint32_t bins = max_bin - 1 - b->n;
        b->at[b->n++] = LGBM_ZERO;
        bounds_greedy(b, &above, bins, above_rows, min_data);
    }
    b->at[b->n++] = (double)INFINITY;
}

static uint32_t bin_of_number(const struct lgbm_bins *b, double x) {
    uint32_t n = b->count - (b->missing == MISSING_NAN), from = 0;
    /* The first bound not below x; every step halves what is left, without a branch. */
    while (n > 1) {
        uint32_t half = n / 2;
        from += half & -(uint32_t)(b->bounds[from + half - 1] < x);
        n -= half;
    }
    return from;
}

/* The same for many at once: what one value waits for, the others use. */
static void bins_of_numbers(uint32_t *out, const struct lgbm_bins *b, const double *x,
                            uint32_t count) {
    uint32_t n = b->count - (b->missing == MISSING_NAN);
    memset(out, 0, count * sizeof *out);
    while (n > 1) {
        uint32_t half = n / 2;
        const double *middle = b->bounds + half - 1;
        for (uint32_t i = 0; i < count; i++) out[i] += half & -(uint32_t)(middle[out[i]] < x[i]);
        n -= half;
    }
}

/* ---- what the bins hold ---- */

/* Whether no split leaves filter_count rows of the sample on either side. */
static bool is_filtered(const uint32_t *rows, uint32_t bins, uint32_t total, uint32_t filter,
                        bool categorical) {
    if (categorical && bins > 2) return false;
    uint32_t left = 0;
    for (uint32_t i = 0; i + 1 < bins; i++) {
        left = categorical ? rows[i] : left + rows[i];
        if (left >= filter && total - left >= filter) return false;
    }
    return true;
}

static void bins_judge(struct lgbm_bins *b, const uint32_t *rows, const struct lgbm_bin_rule *r) {
    b->usable = b->count > 1;
    for (uint32_t i = 0; i < b->count; i++) {
        if (rows[i] <= b->frequent_count) continue;
        b->frequent_bin = i;
        b->frequent_count = rows[i];
    }
    if (b->usable && r->pre_filter)
        b->usable = !is_filtered(rows, b->count, b->sample_count, r->filter_count, b->categorical);
}

static enum status number_bins(struct lgbm_bins *b, const struct distinct *d, uint32_t nan_count,
                               const struct lgbm_bin_rule *r, struct err *err) {
    uint32_t max_bin = r->max_bin - (b->missing == MISSING_NAN);
    if (max_bin < 1) max_bin = 1;
    /* A side with one bin more than its share, zero, infinity, NaN. */
    struct bounds bounds = {.at = calloc((size_t)max_bin + 4, sizeof *bounds.at)};
    b->bounds = bounds.at;
    if (!bounds.at) return err_set(err, ST_NO_MEMORY, "bins");
    bounds_around_zero(&bounds, d, max_bin, r->min_data_in_bin);
    if (b->missing == MISSING_ZERO && bounds.n <= 2) b->missing = MISSING_NONE;
    if (b->missing == MISSING_NAN) bounds.at[bounds.n++] = (double)NAN;
    b->count = bounds.n;
    b->min = d->values[0];
    b->max = d->values[d->n - 1];
    b->zero_bin = bin_of_number(b, 0);

    uint32_t *rows = calloc(b->count, sizeof *rows);
    if (!rows) return err_set(err, ST_NO_MEMORY, "bins");
    uint32_t bin = 0;
    for (size_t i = 0; i < d->n; i++) {
        while (d->values[i] > b->bounds[bin]) bin++;
        rows[bin] += d->counts[i];
    }
    if (b->missing == MISSING_NAN) rows[b->count - 1] = nan_count;
    bins_judge(b, rows, r);
    free(rows);
    return ST_OK;
}

/* ---- categories ---- */

struct category {
    int32_t value;
    uint32_t count;
};

static int by_count(const void *a, const void *b) {
    const struct category *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The n most frequent become bins 1 .. n. */
static enum status category_bins(struct lgbm_bins *b, const struct category *c, uint32_t n,
                                 const struct lgbm_bin_rule *r, struct err *err) {
    b->count = n + 1;
    b->categories = calloc(b->count, sizeof *b->categories);
    b->sorted = calloc((size_t)b->count * 2, sizeof *b->sorted);
    uint32_t *rows = calloc(b->count, sizeof *rows);
    if (!b->categories || !b->sorted || !rows) {
        free(rows);
        return err_set(err, ST_NO_MEMORY, "bins");
    }
    b->categories[0] = -1;
    rows[0] = b->sample_count;
    for (uint32_t i = 0; i < n; i++) {
        b->categories[i + 1] = c[i].value;
        rows[i + 1] = c[i].count;
        rows[0] -= c[i].count;
        b->sorted[2 * i] = c[i].value;
        b->sorted[2 * i + 1] = (int32_t)i + 1;
    }
    qsort(b->sorted, n, 2 * sizeof *b->sorted, by_value);
    b->missing = MISSING_NAN;
    bins_judge(b, rows, r);
    free(rows);
    return ST_OK;
}

/* d: distinct values, ascending, above -1. other_count rows have none that is a category. */
static enum status categories_find(struct lgbm_bins *b, const struct distinct *d,
                                   uint32_t other_count, const struct lgbm_bin_rule *r,
                                   struct err *err) {
    struct category *c = calloc(d->n ? d->n : 1, sizeof *c);
    if (!c) return err_set(err, ST_NO_MEMORY, "bins");
    uint32_t n = 0, total = b->sample_count - other_count;
    for (size_t i = 0; i < d->n; i++) {
        if (d->counts[i] == 0) continue;
        int32_t value = (int32_t)d->values[i];
        if (n == 0 || c[n - 1].value != value) c[n++].value = value;
        c[n - 1].count += d->counts[i];
    }
    if (n > 0 && c[n - 1].value >= LGBM_CATEGORY_MAX) {
        int32_t value = c[n - 1].value;
        free(c);
        return err_set(err, ST_RANGE, "category %d; the largest is %d", value,
                       LGBM_CATEGORY_MAX - 1);
    }
    qsort(c, n, sizeof *c, by_count);
    uint32_t cut = (uint32_t)lrintf((float)total * 0.99f), used = 0, bins = 0;
    uint32_t max_bin = n + (other_count > 0);
    max_bin = max_bin < r->max_bin ? max_bin : r->max_bin;
    while (bins < n && bins + 1 < LGBM_BINS_MAX && (used < cut || bins + 1 < max_bin)) {
        if (c[bins].count < r->min_data_in_bin && bins > 1) break;
        used += c[bins++].count;
    }
    enum status st = bins > 0 ? category_bins(b, c, bins, r, err) : ST_OK;
    if (bins == n && other_count == 0) b->missing = MISSING_NONE;
    free(c);
    return st;
}

static uint32_t bin_of_category(const struct lgbm_bins *b, double x) {
    if (!(x > -1 && x < 2147483648.0)) return 0;
    int32_t value = (int32_t)x;
    uint32_t from = 0, n = b->count - 1;
    while (n > 1) {
        uint32_t half = n / 2;
        from += b->sorted[2 * (from + half)] <= value ? half : 0;
        n -= half;
    }
    return n == 1 && b->sorted[2 * from] == value ? (uint32_t)b->sorted[2 * from + 1] : 0;
}

/* ---- contract ---- */

uint32_t lgbm_bins_of(const struct lgbm_bins *b, double x) {
    if (fabs(x) <= LGBM_ZERO) x = 0;
    if (b->categorical) return bin_of_category(b, x);
    if (isnan(x)) {
        if (b->missing == MISSING_NAN) return b->count - 1;
        x = 0;
    }
    return bin_of_number(b, x);
}

void lgbm_bins_of_rows(uint32_t *out, const struct lgbm_bins *b, const double *x, uint32_t count) {
    if (b->categorical) {
        for (uint32_t i = 0; i < count; i++) out[i] = lgbm_bins_of(b, x[i]);
        return;
    }
    double values[BINS_AT_ONCE];
    for (uint32_t at = 0; at < count; at += BINS_AT_ONCE) {
        uint32_t n = count - at < BINS_AT_ONCE ? count - at : BINS_AT_ONCE;
        for (uint32_t i = 0; i < n; i++) /* NaN too is not above. */
            values[i] = fabs(x[at + i]) > LGBM_ZERO ? x[at + i] : 0;
        bins_of_numbers(out + at, b, values, n);
        if (b->missing != MISSING_NAN) continue;
        for (uint32_t i = 0; i < n; i++)
            if (isnan(x[at + i])) out[at + i] = b->count - 1;
    }
}

uint32_t lgbm_bins_missing(const struct lgbm_bins *b) {
    if (b->categorical || b->missing == MISSING_NONE) return UINT32_MAX;
    return b->missing == MISSING_NAN ? b->count - 1 : b->zero_bin;
}

enum status lgbm_bins_find(struct lgbm_bins *out, const double *sample, size_t count,
                           const struct lgbm_bin_rule *rule, void *scratch, struct err *err) {
    ASSERT(count > 0 && count < UINT32_MAX);
    uint64_t *keys = scratch, *other = keys + count + 2;
    struct distinct d = {.values = (double *)(void *)(other + count + 2)};
    d.counts = (uint32_t *)(void *)(d.values + count + 2);
    uint32_t *digits = d.counts + count + 2;

    size_t n = 0;
    uint32_t zero_count = 0, nan_count = 0, other_count = 0;
    for (size_t i = 0; i < count; i++) {
        double x = sample[i];
        if (isnan(x)) {
            nan_count++;
        } else if (rule->categorical && !(x > -1 && x < 2147483648.0)) {
            other_count++;
        } else if (fabs(x) <= LGBM_ZERO || (rule->categorical && x < 1)) {
            zero_count++;
        } else {
            keys[n++] = key_of(x);
        }
    }
    *out = (struct lgbm_bins){.categorical = rule->categorical, .sample_count = (uint32_t)count};
    bool has_nan = rule->use_missing && !rule->zero_as_missing && nan_count > 0;
    if (!rule->categorical && !has_nan) zero_count += nan_count;
    distinct_fill(&d, radix_sort(keys, other, digits, n), n, zero_count);
    enum status st;
    if (rule->categorical) {
        st = categories_find(out, &d, nan_count + other_count, rule, err);
    } else {
        out->missing = has_nan                                      ? MISSING_NAN
                       : rule->use_missing && rule->zero_as_missing ? MISSING_ZERO
                                                                    : MISSING_NONE;
        st = number_bins(out, &d, nan_count, rule, err);
    }
    if (st != ST_OK) lgbm_bins_free(out);
    return st;
}

void lgbm_bins_free(struct lgbm_bins *b) {
    free(b->bounds);
    free(b->categories);
    free(b->sorted);
    *b = (struct lgbm_bins){0};
}
