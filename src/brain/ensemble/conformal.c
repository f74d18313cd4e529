#include "brain/ensemble/conformal.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

/* Ranks come from products like 201 * 0.9; a rounding above an integer must not cost a rank. */
static const double rank_slack = 1e-9;

bool conformal_table_fit(struct conformal_table *out, const double *residuals, size_t rows) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < rows; i++)
        if (!(residuals[i] >= (i ? residuals[i - 1] : 0) && isfinite(residuals[i]))) return false;
    if (rows == 0) return false;
    for (size_t i = 0; i < CONFORMAL_LEVELS; i++) {
        /* ceil of (rows + 1) (i + 1) / (levels + 1) in integers */
        size_t rank = ((rows + 1) * (i + 1) + CONFORMAL_LEVELS) / (CONFORMAL_LEVELS + 1);
        out->quantile[i] = residuals[(rank < rows ? rank : rows) - 1];
    }
    out->rows = rows;
    return true;
}

/* Of `count` ascending residuals the one of rank ceil((count + 1) (1 - alpha)), from 1; may be beyond them. */
static double rank_of(uint32_t count, double alpha) {
    return ceil((double)(count + 1) * (1 - alpha) - rank_slack);
}

double conformal_table_width(const struct conformal_table *table, double alpha) {
    ASSERT(alpha > 0 && alpha < 1);
    if (table->rows == 0) return INFINITY;
    double rank = fmin(fmax(rank_of(CONFORMAL_LEVELS, alpha), 1), CONFORMAL_LEVELS);
    return table->quantile[(size_t)rank - 1];
}

void conformal_init(struct conformal *c, double alpha, double step,
                    const struct conformal_table *table) {
    ASSERT(alpha > 0 && alpha < 1 && step > 0 && step < 1);
    memset(c, 0, sizeof *c);
    c->alpha = c->alpha_now = alpha;
    c->step = step;
    if (!table || table->rows == 0) return;
    memcpy(c->ring, table->quantile, sizeof table->quantile);
    memcpy(c->sorted, table->quantile, sizeof table->quantile);
    c->count = c->head = CONFORMAL_LEVELS;
}

void conformal_init_default(struct conformal *c, const struct conformal_table *table) {
    conformal_init(c, 0.10, 0.02, table);
}

/* The half width in scales for the level now; count > 0. */
static double width_now(const struct conformal *c) {
    double rank = rank_of(c->count, c->alpha_now);
    if (rank < 1) return 0;
    if (rank <= c->count) return c->sorted[(size_t)rank - 1];
    double lowest = 1.0 / (c->count + 1); /* the last level the residuals answer */
    return c->sorted[c->count - 1] * (1 + (lowest - c->alpha_now) / c->alpha);
}

bool conformal_interval(struct conformal_interval *out, const struct conformal *c, double center,
                        double scale) {
    memset(out, 0, sizeof *out);
    bool known = c->count > 0 && (double)(c->count + 1) * c->alpha >= 1 - rank_slack;
    if (!known || !isfinite(center) || !(scale > 0) || !isfinite(scale)) return false;
    double width = width_now(c), half = width * scale;
    if (!isfinite(center - half) || !isfinite(center + half)) return false;
    *out = (struct conformal_interval){center - half, center + half, width};
    return true;
}

/* First place in sorted (count) whose value is >= x. */
static uint32_t lower_bound(const double *sorted, uint32_t count, double x) {
    uint32_t lo = 0, hi = count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (sorted[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The ring forgets its oldest for x, and the sorted copy with it. */
static void remember(struct conformal *c, double x) {
    if (c->count == CONFORMAL_WINDOW) {
        uint32_t at = lower_bound(c->sorted, c->count, c->ring[c->head]);
        ASSERT(at < c->count);
        memmove(c->sorted + at, c->sorted + at + 1, (c->count - at - 1) * sizeof *c->sorted);
        c->count--;
    }
    uint32_t at = lower_bound(c->sorted, c->count, x);
    memmove(c->sorted + at + 1, c->sorted + at, (c->count - at) * sizeof *c->sorted);
    c->sorted[at] = x;
    c->ring[c->head] = x;
    c->head = (c->head + 1) % CONFORMAL_WINDOW;
    c->count++;
}

static bool is_length(double x) {
    return x >= 0 && isfinite(x);
}

void conformal_round(struct conformal *c, const double *residuals, const double *widths, size_t n) {
    size_t used = 0, missed = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_length(residuals[i])) continue;
        /* Before there are intervals there are residuals to make them of. */
        if (is_length(widths[i])) {
            used++;
            missed += residuals[i] > widths[i];
        }
        remember(c, residuals[i]);
    }
    if (used == 0) return;
    double share = (double)missed / (double)used;
    c->rounds++;
    c->outcomes += used;
    c->misses += missed;
    c->miss_share_sum += share;
    c->alpha_now = fmin(c->alpha_now + c->step * (c->alpha - share), 1);
}

double conformal_coverage(const struct conformal *c) {
    return c->outcomes ? 1 - (double)c->misses / (double)c->outcomes : 0;
}
