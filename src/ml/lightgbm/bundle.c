/* Exclusive feature bundling: sparse features that are never set in the same row share a lane.
 *
 * LightGBM allows a few conflicts; here there is none in the training rows, so a histogram of a
 * bundle holds exactly those of its members.
 * Source  Ke et al. (2017), section 4; features in order of the rows they need, first bundle that
 *         fits. */
#include <stdlib.h>
#include <string.h>

#include "ml/lightgbm/lgbm_grow_internal.h"

/* Bundles looked at for each feature, and what they may hold: a lane of 8 bits. */
enum { SEARCH_MAX = 64, BUNDLE_BINS_MAX = 256 };

struct bundle {
    uint64_t *rows; /* bit set: a member is not in its elided bin */
    uint32_t bins, count;
    size_t used;
};

struct candidate {
    uint32_t feature, elided;
    size_t used; /* estimated from the sample */
    uint32_t bundle;
};

static int by_used(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->used != y->used) return x->used < y->used ? 1 : -1;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

static uint32_t candidates_find(struct candidate *out, const struct lgbm_dataset *d) {
    uint32_t n = 0;
    for (uint32_t f = 0; f < d->feature_count; f++) {
        const struct lgbm_bins *b = &d->bins[d->feature_column[f]];
        /* Two features that exclude each other leave one of them unset in half of the rows. */
        if (b->count > BUNDLE_BINS_MAX || 2 * (uint64_t)b->frequent_count < b->sample_count)
            continue;
        double share = 1 - (double)b->frequent_count / b->sample_count;
        out[n++] = (struct candidate){f, b->frequent_bin, (size_t)(share * (double)d->rows), 0};
    }
    qsort(out, n, sizeof *out, by_used);
    return n;
}

/* Rows in which the feature is set. */
static size_t rows_set(uint32_t *out, const struct lgbm_dataset *d, const struct candidate *c) {
    const struct lgbm_store *s = &d->stores[c->feature];
    size_t n = 0;
    for (size_t r = 0; r < d->rows; r++) {
        out[n] = (uint32_t)r;
        n += lgbm_store_get(s, r) != c->elided;
    }
    return n;
}

static bool fits(const struct bundle *b, const struct lgbm_dataset *d, uint32_t bins,
                 const uint32_t *rows, size_t n) {
    if (b->bins + bins > BUNDLE_BINS_MAX || b->used + n > d->rows) return false;
    for (size_t i = 0; i < n; i++)
        if (b->rows[rows[i] / 64] >> (rows[i] % 64) & 1) return false;
    return true;
}

static void take(struct bundle *b, uint32_t bins, const uint32_t *rows, size_t n) {
    for (size_t i = 0; i < n; i++) b->rows[rows[i] / 64] |= UINT64_C(1) << (rows[i] % 64);
    b->bins += bins;
    b->used += n;
    b->count++;
}

/* Gives each candidate its bundle, UINT32_MAX: alone. Returns the bundles' number. */
static uint32_t candidates_bundle(struct candidate *c, uint32_t n, struct bundle *bundles,
                                  const struct lgbm_dataset *d, uint32_t *rows) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bins = d->bins[d->feature_column[c[i].feature]].count - 1;
        size_t used = rows_set(rows, d, &c[i]);
        uint32_t k = 0;
        while (k < count && !fits(&bundles[k], d, bins, rows, used)) k++;
        if (k == count && count < SEARCH_MAX) {
            bundles[k].rows = calloc(d->rows / 64 + 1, sizeof *bundles[k].rows);
            if (!bundles[k].rows)
                k = SEARCH_MAX;
            else
                bundles[count++].bins = 1;
        }
        c[i].bundle = k < count ? k : UINT32_MAX;
        if (k < count) take(&bundles[k], bins, rows, used);
    }
    return count;
}

static int by_bundle(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->bundle != y->bundle) return x->bundle > y->bundle ? 1 : -1;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

struct filling {
    struct lgbm_lane *lanes;
    struct lgbm_member *members;
    const struct lgbm_dataset *d;
    uint32_t lane_count, member_count;
};

static void lane_single(struct filling *f, uint32_t feature) {
    uint32_t bins = f->d->bins[f->d->feature_column[feature]].count;
    f->lanes[f->lane_count++] = (struct lgbm_lane){f->member_count, 1, bins};
    f->members[f->member_count++] = (struct lgbm_member){.feature = feature};
}

static void lane_bundle(struct filling *f, const struct candidate *c, uint32_t n) {
    struct lgbm_lane lane = {f->member_count, n, 1};
    for (uint32_t i = 0; i < n; i++) {
        f->members[f->member_count++] = (struct lgbm_member){c[i].feature, lane.bins, c[i].elided};
        lane.bins += f->d->bins[f->d->feature_column[c[i].feature]].count - 1;
    }
    f->lanes[f->lane_count++] = lane;
}

/* Lanes in order of features, bundles behind. */
static void lanes_fill(struct filling *f, struct candidate *c, uint32_t n,
                       const struct bundle *bundles, bool *bundled) {
    qsort(c, n, sizeof *c, by_bundle);
    for (uint32_t i = 0; i < n; i++)
        bundled[c[i].feature] = c[i].bundle != UINT32_MAX && bundles[c[i].bundle].count > 1;
    for (uint32_t feature = 0; feature < f->d->feature_count; feature++)
        if (!bundled[feature]) lane_single(f, feature);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && c[end].bundle == c[i].bundle;) end++;
        if (bundled[c[i].feature]) lane_bundle(f, c + i, end - i);
    }
}

uint32_t lgbm_bundle(struct lgbm_lane *lanes, struct lgbm_member *members,
                     const struct lgbm_dataset *d, bool enable) {
    struct filling f = {lanes, members, d, 0, 0};
    struct bundle bundles[SEARCH_MAX] = {0};
    struct candidate *c = calloc((size_t)d->feature_count + 1, sizeof *c);
    bool *bundled = calloc((size_t)d->feature_count + 1, sizeof *bundled);
    uint32_t *rows = calloc(d->rows + 1, sizeof *rows);
    if (c && bundled && rows) {
        uint32_t n = enable ? candidates_find(c, d) : 0;
        uint32_t count = n > 1 ? candidates_bundle(c, n, bundles, d, rows) : 0;
        lanes_fill(&f, c, count > 0 ? n : 0, bundles, bundled);
    }
    for (uint32_t k = 0; k < SEARCH_MAX; k++) free(bundles[k].rows);
    free(c);
    free(bundled);
    free(rows);
    return f.lane_count;
}
