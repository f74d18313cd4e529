#include "brain/ensemble/reliability.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

void reliability_push(struct reliability *r, double p, bool hit) {
    if (!(p >= 0 && p <= 1)) {
        r->refused++;
        return;
    }
    size_t b = (size_t)(p * RELIABILITY_BINS);
    if (b >= RELIABILITY_BINS) b = RELIABILITY_BINS - 1;
    r->bins[b].count++;
    r->bins[b].p_sum += p;
    r->bins[b].hits += hit;
    r->count++;
}

void reliability_table(struct reliability *out, const double *p, const bool *hit, size_t n) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n; i++) reliability_push(out, p[i], hit[i]);
}

struct reliability_row reliability_row(const struct reliability *r, uint32_t bin) {
    ASSERT(bin < RELIABILITY_BINS);
    struct reliability_row row = {.count = r->bins[bin].count};
    if (row.count == 0) return row;
    double n = (double)row.count;
    row.p_mean = r->bins[bin].p_sum / n;
    row.hit_share = (double)r->bins[bin].hits / n;
    const double z = 1.959963984540054; /* two-sided 95 % of the normal */
    double middle = (row.hit_share + z * z / (2 * n)) / (1 + z * z / n);
    double half =
        z / (1 + z * z / n) * sqrt(row.hit_share * (1 - row.hit_share) / n + z * z / (4 * n * n));
    row.hit_low = fmax(middle - half, 0);
    row.hit_high = fmin(middle + half, 1);
    return row;
}

static double gap(const struct reliability *r, uint32_t bin) {
    return fabs((double)r->bins[bin].hits - r->bins[bin].p_sum);
}

double reliability_ece(const struct reliability *r) {
    double sum = 0;
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) sum += gap(r, b);
    return r->count ? sum / (double)r->count : 0;
}

double reliability_ece_chance(const struct reliability *r) {
    const double mean_abs_normal = 0.7978845608028654; /* sqrt(2 / pi) */
    double sum = 0;
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
        if (r->bins[b].count == 0) continue;
        double p = r->bins[b].p_sum / (double)r->bins[b].count;
        sum += mean_abs_normal * sqrt((double)r->bins[b].count * p * (1 - p));
    }
    return r->count ? sum / (double)r->count : 0;
}

double reliability_mce(const struct reliability *r, uint64_t count_min) {
    double largest = 0;
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++)
        if (r->bins[b].count >= count_min && r->bins[b].count > 0)
            largest = fmax(largest, gap(r, b) / (double)r->bins[b].count);
    return largest;
}
