/* The search for the best split of a node, one quad of its histogram at a time.
 *
 * Formulas: gain of a leaf T(G)^2 / (H + lambda_l2), its value -T(G) / (H + lambda_l2), T the soft
 * threshold at lambda_l1; value limited by max_delta_step, drawn to its parent's by path_smooth,
 * and held in the bounds that monotone splits above leave (method "basic"). Categories: one against
 * the rest while they are few, else the best of a prefix in order of G / (H + cat_smooth), from
 * either end. The rows of a side are estimated from hessians as in lanes.c.
 * Sources  Chen, Guestrin, XGBoost (2016), eq. 6, 7; Fisher, On Grouping for Maximum Homogeneity
 *          (1958); LightGBM's documentation: Features.rst (categorical), Parameters.rst. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_grow_internal.h"

/* Keeps a node without hessian from dividing by nothing: LightGBM's kEpsilon. */
static const double epsilon = 1e-15;

static double over_l1(double g, double l1) {
    double x = fabs(g) - l1;
    return x > 0 ? copysign(x, g) : 0;
}

/* Real sums of a side. */
struct side {
    double g, h, count;
};

static struct side side_of(const struct lgbm_rule *r, const struct lgbm_sums *s, double count) {
    return (struct side){over_l1((double)s->gradient * r->gradient_unit, r->p->lambda_l1),
                         (double)s->hessian * r->hessian_unit, count};
}

static double side_value(const struct lgbm_rule *r, const struct side *s, double l2,
                         const struct lgbm_node *n) {
    double x = -s->g / (s->h + l2), step = r->p->max_delta_step, smooth = r->p->path_smooth;
    if (step > 0 && fabs(x) > step) x = copysign(step, x);
    if (smooth > 0) {
        double weight = s->count / smooth;
        x = (x * weight + n->parent_value) / (weight + 1);
    }
    return fmin(fmax(x, n->low), n->high);
}

double lgbm_node_value(const struct lgbm_rule *r, const struct lgbm_node *n,
                       const struct lgbm_sums *s, double count, double l2_extra) {
    struct side side = side_of(r, s, count);
    return side_value(r, &side, r->p->lambda_l2 + l2_extra + epsilon, n);
}

static double gain_given_value(const struct side *s, double l2, double value) {
    return -(2 * s->g * value + (s->h + l2) * value * value);
}

/* Rows per unit of hessian, and what it makes of a whole hessian. */
static double count_factor(const struct lgbm_rule *r, const struct lgbm_node *n) {
    return n->count / ((double)n->sums.hessian * r->hessian_unit + 2 * epsilon) * r->hessian_unit;
}

static double count_estimate(double hessian, double factor) {
    return floor(hessian * factor + 0.5);
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
    double factor;       /* count_factor */
    double best;
    struct lgbm_sums left;
    double left_count;
    uint32_t threshold; /* or length of a prefix of categories */
    bool default_left, found;
    int direction;
};

/* A side that grows bin by bin. */
struct growing {
    struct lgbm_sums sums;
    double count;
};

static void growing_add(struct growing *g, const struct search *s, lgbm_pair entry) {
    g->sums.gradient += (int64_t)entry[0];
    g->sums.hessian += (int64_t)entry[1];
    g->count += count_estimate((double)(int64_t)entry[1], s->factor);
}

static struct growing growing_rest(const struct search *s, const struct growing *g) {
    const struct lgbm_node *n = s->n;
    return (struct growing){
        {n->sums.gradient - g->sums.gradient, n->sums.hessian - g->sums.hessian},
        n->count - g->count};
}

static bool is_allowed(const struct search *s, const struct growing *g) {
    return g->count >= s->r->p->min_data_in_leaf && g->sums.hessian >= s->r->hessian_min;
}

static double side_gain(const struct search *s, const struct side *side, double value) {
    if (s->r->plain) return side->g * side->g / (side->h + s->l2);
    return gain_given_value(side, s->l2, value);
}

static double candidate_gain(const struct search *s, const struct growing *left,
                             const struct growing *right) {
    struct side a = side_of(s->r, &left->sums, left->count);
    struct side b = side_of(s->r, &right->sums, right->count);
    double x = 0, y = 0;
    if (!s->r->plain) {
        x = side_value(s->r, &a, s->l2, s->n);
        y = side_value(s->r, &b, s->l2, s->n);
        if ((s->monotone > 0 && x > y) || (s->monotone < 0 && x < y)) return 0;
    }
    return side_gain(s, &a, x) + side_gain(s, &b, y);
}

/* Takes left against right if that is allowed and better. */
static bool candidate(struct search *s, const struct growing *left, const struct growing *right,
                      uint32_t threshold, bool default_left) {
    if (!is_allowed(s, left) || !is_allowed(s, right)) return false;
    double gain = candidate_gain(s, left, right);
    if (!(gain > s->best)) return false;
    s->best = gain;
    s->left = left->sums;
    s->left_count = left->count;
    s->threshold = threshold;
    s->default_left = default_left;
    s->found = true;
    return true;
}

/* What a split of this node must exceed. */
static double node_floor(const struct lgbm_rule *r, const struct lgbm_node *n) {
    struct side side = side_of(r, &n->sums, n->count);
    double l2 = r->p->lambda_l2 + epsilon, gain;
    if (r->p->max_delta_step > 0 || r->p->path_smooth > 0) {
        struct lgbm_node free_node = *n;
        free_node.low = -(double)INFINITY;
        free_node.high = (double)INFINITY;
        gain = gain_given_value(&side, l2, side_value(r, &side, l2, &free_node));
    } else {
        gain = side.g * side.g / (side.h + l2);
    }
    return gain + r->p->min_gain_to_split;
}

/* Gains are found in whole units: a power of two, which loses no bit. */
static double gain_unit(const struct lgbm_rule *r) {
    return r->gradient_unit * r->gradient_unit / r->hessian_unit;
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
                           .factor = count_factor(r, n),
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
    struct growing left = {s->left, s->left_count}, right = growing_rest(s, &left);
    split.left_value = lgbm_node_value(s->r, s->n, &left.sums, left.count, s->l2_extra);
    split.right_value = lgbm_node_value(s->r, s->n, &right.sums, right.count, s->l2_extra);
    split.category_count = order_count;
    for (uint32_t i = 0; i < order_count; i++) split.categories[i] = (uint16_t)order[i];
    *best = split;
}

/* ---- numeric ---- */

/* From the highest threshold downwards with missing rows on the left, then upwards with them on the
 * right. */
static void search_number(struct search *s, const struct lgbm_bins *b, const lgbm_pair *entries) {
    uint32_t missing = lgbm_bins_missing(b), only = UINT32_MAX;
    if (s->r->p->extra_trees) {
        struct rng draws = feature_draws(s);
        only = (uint32_t)rng_below(&draws, b->count - 1);
    }
    struct growing right = {{0, 0}, 0}, left = {{0, 0}, 0}, rest;
    for (uint32_t t = b->count - 1; t > 0; t--) {
        if (t == missing) continue;
        growing_add(&right, s, entries[t]);
        if (only != UINT32_MAX && t - 1 != only) continue;
        rest = growing_rest(s, &right);
        candidate(s, &rest, &right, t - 1, true);
    }
    if (missing == UINT32_MAX || (entries[missing][0] == 0 && entries[missing][1] == 0)) return;
    for (uint32_t t = 0; t + 1 < b->count; t++) {
        if (t == missing) continue;
        growing_add(&left, s, entries[t]);
        if (only != UINT32_MAX && t != only) continue;
        rest = growing_rest(s, &left);
        candidate(s, &left, &rest, t, false);
    }
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
        struct growing left = {{0, 0}, 0};
        growing_add(&left, s, entries[t]);
        struct growing right = growing_rest(s, &left);
        candidate(s, &left, &right, t, false);
    }
    uint32_t bin = s->threshold;
    s->threshold = 0;
    search_offer(best, s, &bin, 1);
}

/* Stable: equal keys stay in order of bins. At most some hundred categories: insertion would do,
 * but a column may have 65,535. */
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
    struct growing left = {{0, 0}, 0};
    double group = 0;
    for (uint32_t i = 0; i < max; i++) {
        double before = left.count;
        growing_add(&left, s, entries[order[direction > 0 ? i : n - 1 - i]]);
        group += left.count - before;
        if (!is_allowed(s, &left)) continue;
        struct growing right = growing_rest(s, &left);
        if (!is_allowed(s, &right) || right.count < s->r->p->min_data_per_group) break;
        if (group < s->r->p->min_data_per_group) continue;
        group = 0;
        if (only != UINT32_MAX && i != only) continue;
        if (candidate(s, &left, &right, i + 1, false)) s->direction = direction;
    }
}

static void search_categories(struct lgbm_split *best, struct search *s, const struct lgbm_bins *b,
                              struct lgbm_split_scratch *scratch) {
    const struct lgbm_params *p = s->r->p;
    const lgbm_pair *entries = scratch->entries;
    uint32_t *order = scratch->order, n = 0;
    for (uint32_t t = 1; t < b->count; t++) {
        double h = (double)(int64_t)entries[t][1], count = count_estimate(h, s->factor);
        if (count < p->cat_smooth || count < 1) continue;
        double g = (double)(int64_t)entries[t][0] * s->r->gradient_unit;
        h *= s->r->hessian_unit;
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

/* The bins of a member of a lane, one after the other; in a bundle the elided bin has all other
 * rows. */
static void entries_get(lgbm_pair *out, const struct lgbm_rule *r, const struct lgbm_node *n,
                        const struct lgbm_lane *lane, const struct lgbm_member *m,
                        const lgbm_pair *hist) {
    uint32_t bins = r->d->bins[r->d->feature_column[m->feature]].count;
    if (lane->count == 1) {
        for (uint32_t t = 0; t < bins; t++) out[t] = hist[(size_t)t * LGBM_LANES];
        return;
    }
    lgbm_pair rest = {(uint64_t)n->sums.gradient, (uint64_t)n->sums.hessian};
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
                       bool has_missing) {
    uint32_t way = has_missing && found->gain[1][k] > found->gain[0][k];
    if (found->threshold[way][k] < 0) return;
    struct search s = search_init(r, n, feature, 0);
    s.best = found->gain[way][k] * gain_unit(r);
    s.threshold = (uint32_t)found->threshold[way][k];
    s.default_left = way == 0;
    s.found = true;
    if (s.best - s.floor < best->gain) return;
    struct growing side = {{0, 0}, 0};
    if (way == 0) {
        for (uint32_t t = (uint32_t)q->last[k]; t > s.threshold; t--)
            growing_add(&side, &s, q->hist[(size_t)t * LGBM_LANES + k]);
        side = growing_rest(&s, &side);
    } else {
        for (uint32_t t = 0; t <= s.threshold; t++)
            growing_add(&side, &s, q->hist[(size_t)t * LGBM_LANES + k]);
    }
    s.left = side.sums;
    s.left_count = side.count;
    search_offer(best, &s, NULL, 0);
}

static struct lgbm_lane_query quad_query(const struct lgbm_rule *r, const struct lgbm_node *n,
                                         const struct lgbm_quad *quad, const lgbm_pair *hist) {
    return (struct lgbm_lane_query){.hist = hist,
                                    .bins = quad->bins,
                                    .last = {-1, -1, -1, -1},
                                    .gradient = (double)n->sums.gradient,
                                    .hessian = (double)n->sums.hessian,
                                    .count = n->count,
                                    .count_factor = count_factor(r, n),
                                    .count_min = r->p->min_data_in_leaf,
                                    .hessian_min = (double)r->hessian_min,
                                    .l1 = r->p->lambda_l1 / r->gradient_unit,
                                    .l2 = (r->p->lambda_l2 + epsilon) / r->hessian_unit,
                                    .floor = node_floor(r, n) / gain_unit(r)};
}

static void quad_search(struct lgbm_split *best, const struct lgbm_rule *r,
                        const struct lgbm_node *n, const struct lgbm_quad *quad,
                        const lgbm_pair *hist) {
    struct lgbm_lane_query q = quad_query(r, n, quad, hist);
    bool any = false, has_missing[LGBM_LANES] = {false};
    for (uint32_t k = 0; k < LGBM_LANES; k++) {
        const struct lgbm_lane *lane = &quad->lanes[k];
        uint32_t feature = r->d->members[lane->first].feature;
        if (lane->count == 0 || !n->features[feature]) continue;
        const struct lgbm_bins *b = &r->d->bins[r->d->feature_column[feature]];
        any = true;
        q.last[k] = (int64_t)b->count - 1 - (b->missing == MISSING_NAN);
        lgbm_pair miss = hist[(size_t)(b->count - 1) * LGBM_LANES + k];
        has_missing[k] = b->missing == MISSING_NAN && (miss[0] != 0 || miss[1] != 0);
        /* A NaN bin without rows in this node needs no second look, yet is no value. */
        q.has_missing = q.has_missing || has_missing[k];
    }
    if (!any) return;
    struct lgbm_lane_best found;
    if (r->vector)
        lgbm_lanes_scan_avx2(&found, &q);
    else
        lgbm_lanes_scan(&found, &q);
    for (uint32_t k = 0; k < LGBM_LANES; k++)
        if (q.last[k] >= 0)
            lane_offer(best, r, n, &q, &found, k, r->d->members[quad->lanes[k].first].feature,
                       has_missing[k]);
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
