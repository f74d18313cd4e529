/* The search for the best split of a node, one quad of its histogram at a time.
 *
 * Formulas: gain of a leaf T(G)^2 / (H + lambda_l2), its value -T(G) / (H + lambda_l2), T the soft
 * threshold at lambda_l1; value limited by max_delta_step, drawn to its parent's by path_smooth, and held in
 * the bounds that monotone splits above leave (method "basic"). Categories: one against the rest while they
 * are few, else the best of a prefix in order of G / (H + cat_smooth), from either end.
 * Sources  Chen, Guestrin, XGBoost (2016), eq. 6, 7; Fisher, On Grouping for Maximum Homogeneity (1958);
 *          LightGBM's documentation: Features.rst (categorical), Parameters.rst. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_grow_internal.h"

/* Keeps a node without hessian from dividing by nothing: LightGBM's kEpsilon. */
static const double epsilon = 1e-15;

static uint64_t hessian_of(const struct lgbm_rule *r, uint64_t packed) {
    return packed & ((UINT64_C(1) << r->hessian_bits) - 1);
}

static uint32_t count_of(const struct lgbm_rule *r, uint64_t packed) {
    return (uint32_t)(packed >> r->hessian_bits);
}

static double over_l1(double g, double l1) {
    double x = fabs(g) - l1;
    return x > 0 ? copysign(x, g) : 0;
}

/* Real sums of a side. */
struct side {
    double g, h;
    uint32_t count;
};

static struct side side_of(const struct lgbm_rule *r, const struct lgbm_sums *s) {
    return (struct side){over_l1((double)s->gradient * r->gradient_unit, r->p->lambda_l1),
                         (double)hessian_of(r, s->packed) * r->hessian_unit,
                         count_of(r, s->packed)};
}

static double side_value(const struct lgbm_rule *r, const struct side *s, double l2,
                         double parent_value, double low, double high) {
    double x = -s->g / (s->h + l2), step = r->p->max_delta_step, smooth = r->p->path_smooth;
    if (step > 0 && fabs(x) > step) x = copysign(step, x);
    if (smooth > 0) {
        double weight = s->count / smooth;
        x = (x * weight + parent_value) / (weight + 1);
    }
    return fmin(fmax(x, low), high);
}

double lgbm_node_value(const struct lgbm_rule *r, const struct lgbm_sums *s, double l2_extra,
                       double parent_value, double low, double high) {
    struct side side = side_of(r, s);
    return side_value(r, &side, r->p->lambda_l2 + l2_extra + epsilon, parent_value, low, high);
}

static double gain_given_value(const struct side *s, double l2, double value) {
    return -(2 * s->g * value + (s->h + l2) * value * value);
}

/* ---- one candidate ---- */

/* A feature under search in a node. */
struct search {
    const struct lgbm_rule *r;
    const struct lgbm_node *n;
    uint32_t feature;
    int monotone;
    double l2_extra, l2; /* cat_l2 where it counts; with lambda_l2 and epsilon */
    double floor;        /* what a gain must exceed */
    double best;
    struct lgbm_sums left;
    uint32_t threshold; /* or length of a prefix of categories */
    bool default_left, found;
    int direction;
};

static bool sums_allowed(const struct lgbm_rule *r, const struct lgbm_sums *s) {
    return count_of(r, s->packed) >= r->count_min && hessian_of(r, s->packed) >= r->hessian_min;
}

static struct lgbm_sums sums_less(const struct lgbm_sums *a, const struct lgbm_sums *b) {
    return (struct lgbm_sums){a->gradient - b->gradient, a->packed - b->packed};
}

static double side_gain(const struct search *s, const struct side *side, double value) {
    if (s->r->plain) return side->g * side->g / (side->h + s->l2);
    return gain_given_value(side, s->l2, value);
}

static double candidate_gain(const struct search *s, const struct lgbm_sums *left,
                             const struct lgbm_sums *right) {
    struct side a = side_of(s->r, left), b = side_of(s->r, right);
    double x = 0, y = 0;
    if (!s->r->plain) {
        x = side_value(s->r, &a, s->l2, s->n->parent_value, s->n->low, s->n->high);
        y = side_value(s->r, &b, s->l2, s->n->parent_value, s->n->low, s->n->high);
        if ((s->monotone > 0 && x > y) || (s->monotone < 0 && x < y)) return 0;
    }
    return side_gain(s, &a, x) + side_gain(s, &b, y);
}

/* Takes left against the rest if it is allowed and better; ties go to the later one if keep_last. */
static void candidate(struct search *s, const struct lgbm_sums *left, uint32_t threshold,
                      bool default_left, bool keep_last) {
    struct lgbm_sums right = sums_less(&s->n->sums, left);
    if (!sums_allowed(s->r, left) || !sums_allowed(s->r, &right)) return;
    double gain = candidate_gain(s, left, &right);
    if (!(gain > s->floor) || (keep_last ? gain < s->best : gain <= s->best)) return;
    s->best = gain;
    s->left = *left;
    s->threshold = threshold;
    s->default_left = default_left;
    s->found = true;
}

/* What a split of this node must exceed. */
static double node_floor(const struct lgbm_rule *r, const struct lgbm_node *n) {
    struct side side = side_of(r, &n->sums);
    double l2 = r->p->lambda_l2 + epsilon, gain;
    if (r->p->max_delta_step > 0 || r->p->path_smooth > 0) {
        double value =
            side_value(r, &side, l2, n->parent_value, -(double)INFINITY, (double)INFINITY);
        gain = gain_given_value(&side, l2, value);
    } else {
        gain = side.g * side.g / (side.h + l2);
    }
    return gain + r->p->min_gain_to_split;
}

static struct rng feature_draws(const struct search *s) {
    struct rng r = rng_init(s->r->seed);
    r = rng_split(&r, s->n->number);
    return rng_split(&r, s->feature);
}

static struct search search_init(const struct lgbm_rule *r, const struct lgbm_node *n,
                                 uint32_t feature, double l2_extra) {
    uint32_t column = r->d->feature_column[feature];
    bool limited = r->constrained && !r->d->bins[column].categorical;
    double floor = node_floor(r, n);
    return (struct search){.r = r,
                           .n = n,
                           .feature = feature,
                           .monotone = limited ? r->p->monotone_constraints[column] : 0,
                           .l2_extra = l2_extra,
                           .l2 = r->p->lambda_l2 + l2_extra + epsilon,
                           .floor = floor,
                           .best = floor};
}

bool lgbm_split_better(const struct lgbm_split *a, const struct lgbm_split *b) {
    return a->gain > 0 && (a->gain > b->gain || (a->gain == b->gain && a->feature < b->feature));
}

void lgbm_split_copy(struct lgbm_split *to, const struct lgbm_split *from) {
    uint16_t *categories = to->categories;
    if (from->category_count > 0)
        memcpy(categories, from->categories, from->category_count * sizeof *categories);
    *to = *from;
    to->categories = categories;
}

/* Makes s the best split if it is better. order: bins of a categorical split, from its left end. */
static void search_offer(struct lgbm_split *best, const struct search *s, const uint32_t *order,
                         uint32_t order_count) {
    struct lgbm_split split = {.gain = s->best - s->floor,
                               .feature = s->feature,
                               .threshold = s->threshold,
                               .default_left = s->default_left,
                               .left = s->left,
                               .categories = best->categories};
    if (!s->found || !lgbm_split_better(&split, best)) return;
    struct lgbm_sums right = sums_less(&s->n->sums, &s->left);
    const struct lgbm_node *n = s->n;
    split.left_value =
        lgbm_node_value(s->r, &s->left, s->l2_extra, n->parent_value, n->low, n->high);
    split.right_value =
        lgbm_node_value(s->r, &right, s->l2_extra, n->parent_value, n->low, n->high);
    split.category_count = order_count;
    for (uint32_t i = 0; i < order_count; i++) split.categories[i] = (uint16_t)order[i];
    *best = split;
}

/* ---- numeric ---- */

static struct lgbm_sums sums_of(lgbm_pair entry) {
    return (struct lgbm_sums){(int64_t)entry[0], entry[1]};
}

static void sums_add(struct lgbm_sums *s, lgbm_pair entry) {
    s->gradient += (int64_t)entry[0];
    s->packed += entry[1];
}

static void search_number(struct search *s, const struct lgbm_bins *b, const lgbm_pair *entries) {
    uint32_t missing = lgbm_bins_missing(b), only = UINT32_MAX;
    if (s->r->p->extra_trees) {
        struct rng draws = feature_draws(s);
        only = (uint32_t)rng_below(&draws, b->count - 1);
    }
    struct search right = *s;
    struct lgbm_sums left = {0, 0};
    struct lgbm_sums miss = missing == UINT32_MAX ? left : sums_of(entries[missing]);
    for (uint32_t t = 0; t + 1 < b->count; t++) {
        if (t != missing) sums_add(&left, entries[t]);
        if (only != UINT32_MAX && t != only) continue;
        struct lgbm_sums with = {left.gradient + miss.gradient, left.packed + miss.packed};
        candidate(s, &with, t, true, true);
        if (missing != UINT32_MAX) candidate(&right, &left, t, false, false);
    }
    if (right.found && right.best > s->best) *s = right;
}

/* ---- categorical ---- */

static void search_one_category(struct lgbm_split *best, struct search *s,
                                const struct lgbm_bins *b, const lgbm_pair *entries) {
    uint32_t only = UINT32_MAX;
    if (s->r->p->extra_trees) {
        struct rng draws = feature_draws(s);
        only = 1 + (uint32_t)rng_below(&draws, b->count - 1);
    }
    for (uint32_t t = 1; t < b->count; t++) {
        if (only != UINT32_MAX && t != only) continue;
        struct lgbm_sums left = sums_of(entries[t]);
        candidate(s, &left, t, false, false);
    }
    uint32_t bin = s->threshold;
    s->threshold = 0;
    search_offer(best, s, &bin, 1);
}

/* Stable: equal keys stay in order of bins. At most some hundred categories: insertion would do, but a
 * column may have 65,535. */
static void sort_by_key(uint32_t *order, uint32_t *other, const double *key, uint32_t n) {
    uint32_t *from = order, *to = other;
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t start = 0; start < n; start += 2 * width) {
            uint32_t mid = start + width < n ? start + width : n;
            uint32_t end = mid + width < n ? mid + width : n, i = start, j = mid;
            for (uint32_t k = start; k < end; k++)
                to[k] =
                    j >= end || (i < mid && !(key[from[j]] < key[from[i]])) ? from[i++] : from[j++];
        }
        uint32_t *t = from;
        from = to;
        to = t;
    }
    if (from != order) memcpy(order, from, n * sizeof *order);
}

/* Prefixes of the order, from its front or its back, at most max categories long. */
static void search_prefixes(struct search *s, const lgbm_pair *entries, const uint32_t *order,
                            uint32_t n, uint32_t max, int direction, uint32_t only) {
    struct lgbm_sums left = {0, 0};
    uint32_t group = 0;
    for (uint32_t i = 0; i < max; i++) {
        lgbm_pair entry = entries[order[direction > 0 ? i : n - 1 - i]];
        sums_add(&left, entry);
        group += count_of(s->r, entry[1]);
        if (!sums_allowed(s->r, &left)) continue;
        struct lgbm_sums right = sums_less(&s->n->sums, &left);
        if (!sums_allowed(s->r, &right) ||
            count_of(s->r, right.packed) < s->r->p->min_data_per_group)
            break;
        if (group < s->r->p->min_data_per_group) continue;
        group = 0;
        if (only != UINT32_MAX && i != only) continue;
        double before = s->best;
        candidate(s, &left, i + 1, false, false);
        if (s->best > before) s->direction = direction;
    }
}

static void search_categories(struct lgbm_split *best, struct search *s, const struct lgbm_bins *b,
                              struct lgbm_split_scratch *scratch) {
    const struct lgbm_params *p = s->r->p;
    const lgbm_pair *entries = scratch->entries;
    uint32_t *order = scratch->order, n = 0;
    for (uint32_t t = 1; t < b->count; t++) {
        struct lgbm_sums sums = sums_of(entries[t]);
        uint32_t count = count_of(s->r, sums.packed);
        if ((double)count < p->cat_smooth || count == 0) continue;
        double g = (double)sums.gradient * s->r->gradient_unit;
        double h = (double)hessian_of(s->r, sums.packed) * s->r->hessian_unit;
        scratch->key[t] = g / (h + p->cat_smooth + epsilon);
        order[n++] = t;
    }
    sort_by_key(order, order + b->count, scratch->key, n);
    uint32_t max = (n + 1) / 2 < p->max_cat_threshold ? (n + 1) / 2 : p->max_cat_threshold;
    uint32_t only = UINT32_MAX;
    if (p->extra_trees && max > 0) {
        struct rng draws = feature_draws(s);
        only = (uint32_t)rng_below(&draws, max);
    }
    search_prefixes(s, entries, order, n, max, 1, only);
    search_prefixes(s, entries, order, n, max, -1, only);
    if (!s->found) return;
    uint32_t length = s->threshold;
    s->threshold = 0;
    if (s->direction < 0) {
        for (uint32_t i = 0; i < length; i++) order[b->count + i] = order[n - 1 - i];
        order += b->count;
    }
    search_offer(best, s, order, length);
}

/* ---- a feature, a quad ---- */

/* The bins of a member of a lane, one after the other; in a bundle the elided bin has all other rows. */
static void entries_get(lgbm_pair *out, const struct lgbm_rule *r, const struct lgbm_node *n,
                        const struct lgbm_lane *lane, const struct lgbm_member *m,
                        const lgbm_pair *hist) {
    uint32_t bins = r->d->bins[r->d->feature_column[m->feature]].count;
    if (lane->count == 1) {
        for (uint32_t t = 0; t < bins; t++) out[t] = hist[(size_t)t * LGBM_LANES];
        return;
    }
    lgbm_pair rest = {(uint64_t)n->sums.gradient, n->sums.packed};
    for (uint32_t t = 0, code = m->base; t < bins; t++) {
        if (t == m->elided) continue;
        out[t] = hist[(size_t)code++ * LGBM_LANES];
        rest -= out[t];
    }
    out[m->elided] = rest;
}

static void lane_search(struct lgbm_split *best, const struct lgbm_rule *r,
                        const struct lgbm_node *n, const struct lgbm_lane *lane,
                        const lgbm_pair *hist, struct lgbm_split_scratch *scratch) {
    for (uint32_t i = 0; i < lane->count; i++) {
        const struct lgbm_member *m = &r->d->members[lane->first + i];
        if (!n->features[m->feature]) continue;
        const struct lgbm_bins *b = &r->d->bins[r->d->feature_column[m->feature]];
        bool sorted = b->categorical && b->count > r->p->max_cat_to_onehot;
        struct search s = search_init(r, n, m->feature, sorted ? r->p->cat_l2 : 0);
        entries_get(scratch->entries, r, n, lane, m, hist);
        if (sorted) {
            search_categories(best, &s, b, scratch);
        } else if (b->categorical) {
            search_one_category(best, &s, b, scratch->entries);
        } else {
            search_number(&s, b, scratch->entries);
            search_offer(best, &s, NULL, 0);
        }
    }
}

/* What the kernel found in lane k, as a search that found it. */
static void lane_offer(struct lgbm_split *best, const struct lgbm_rule *r,
                       const struct lgbm_node *n, const struct lgbm_lane_query *q,
                       const struct lgbm_lane_best *found, uint32_t k, uint32_t feature,
                       double unit) {
    uint32_t side = q->has_missing && found->gain[1][k] > found->gain[0][k];
    if (found->threshold[side][k] < 0) return;
    double floor = node_floor(r, n);
    struct search s = {.r = r,
                       .n = n,
                       .feature = feature,
                       .l2 = r->p->lambda_l2 + epsilon,
                       .floor = floor,
                       .best = found->gain[side][k] * unit,
                       .threshold = (uint32_t)found->threshold[side][k],
                       .default_left = side == 0,
                       .found = true};
    if (s.best - floor < best->gain) return;
    if (side == 0) s.left = q->miss[k];
    for (uint32_t t = 0; t <= s.threshold; t++)
        sums_add(&s.left, q->hist[(size_t)t * LGBM_LANES + k]);
    search_offer(best, &s, NULL, 0);
}

static void quad_search(struct lgbm_split *best, const struct lgbm_rule *r,
                        const struct lgbm_node *n, const struct lgbm_quad *quad,
                        const lgbm_pair *hist) {
    double l2 = r->p->lambda_l2 + epsilon;
    /* Gains are in units of a power of two, which loses no bit. */
    double unit = r->gradient_unit * r->gradient_unit / r->hessian_unit;
    struct lgbm_lane_query q = {.hist = hist,
                                .bins = quad->bins,
                                .total = n->sums,
                                .hessian_bits = r->hessian_bits,
                                .packed_min =
                                    (int64_t)((uint64_t)r->count_min << r->hessian_bits) - 1,
                                .hessian_min = (int64_t)r->hessian_min - 1,
                                .l1 = r->p->lambda_l1 / r->gradient_unit,
                                .l2 = l2 / r->hessian_unit};
    q.floor = nextafter(node_floor(r, n) / unit, (double)INFINITY);
    bool any = false;
    for (uint32_t k = 0; k < LGBM_LANES; k++) {
        const struct lgbm_lane *lane = &quad->lanes[k];
        uint32_t feature = r->d->members[lane->first].feature;
        q.limit[k] = -1;
        if (lane->count == 0 || !n->features[feature]) continue;
        const struct lgbm_bins *b = &r->d->bins[r->d->feature_column[feature]];
        any = true;
        q.limit[k] = (int64_t)b->count - 2;
        if (b->missing != MISSING_NAN) continue;
        q.miss[k] = sums_of(hist[(size_t)(b->count - 1) * LGBM_LANES + k]);
        q.has_missing = q.has_missing || q.miss[k].packed != 0;
    }
    if (!any) return;
    struct lgbm_lane_best found;
    if (r->vector)
        lgbm_lanes_scan_avx2(&found, &q);
    else
        lgbm_lanes_scan(&found, &q);
    for (uint32_t k = 0; k < LGBM_LANES; k++)
        if (q.limit[k] >= 0)
            lane_offer(best, r, n, &q, &found, k, r->d->members[quad->lanes[k].first].feature,
                       unit);
}

void lgbm_split_search(struct lgbm_split *best, const struct lgbm_rule *r,
                       const struct lgbm_node *n, const struct lgbm_quad *q, const lgbm_pair *hist,
                       struct lgbm_split_scratch *scratch) {
    if (q->is_plain && r->plain && !r->p->extra_trees) {
        quad_search(best, r, n, q, hist);
        return;
    }
    for (uint32_t k = 0; k < LGBM_LANES; k++)
        lane_search(best, r, n, &q->lanes[k], hist + k, scratch);
}
