/* Shapley values of one row, leaf by leaf.
 *
 * On the way to a leaf stand d different columns. Column j lets a coalition pass with weight one_j if
 * it is in it (1 if the row goes that way at each of its splits, else 0), else with zero_j (the
 * product of the children's shares of the cover). Its Shapley value of the game "leaf value times all
 * weights" is, by Owen's integral,
 *     value (one_j - zero_j) integral over t of 0..1 of  prod over i != j of (one_i t + zero_i (1 - t)).
 * The integrand is a polynomial of degree d - 1, which Gauss and Legendre's rule of (d + 1) / 2 points
 * integrates exactly; every term is positive, so nothing cancels, however deep the tree is: the usual
 * way (extend and unwind the polynomial's coefficients) divides by small shares and subtracts. */
#include "ml/forest/shap.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

static const double pi = 3.14159265358979323846;

enum {
    /* Rules of 1 .. RULE_SMALL points are kept side by side; a larger one is made when it is needed, its size
     * rounded up so that leaves of about the same depth share it. */
    RULE_SMALL = 16,
    RULE_STEP = 16,
    RULE_POINTS = RULE_SMALL * (RULE_SMALL + 1) / 2
};

struct rule {
    uint32_t count;
    const double *point, *weight; /* (count), of 0..1 */
};

/* A column on the way. */
struct element {
    int32_t feature;
    double one, zero;
};

struct frame {
    uint32_t split;
    uint32_t stage; /* children entered so far */
    /* The element the last child changed, as it was before; is_new: it was not there. */
    uint32_t slot;
    bool is_new;
    double one, zero;
};

struct scratch {
    uint32_t small_ready; /* bit n - 1: the rule of n points */
    uint32_t large_count; /* 0: none */
    double small_point[RULE_POINTS], small_weight[RULE_POINTS];
    double *large_point, *large_weight;
    double *product;         /* (points) */
    struct element *element; /* (columns on one way) */
    struct frame *frame;     /* (splits on one way) */
};

/* Elements on one way, at most; a way has as many splits as the tree at most. */
static size_t way_max(const struct tree_model *m, size_t *splits) {
    *splits = 1;
    for (uint32_t i = 0; i < m->tree_count; i++)
        if (m->trees[i].split_count > *splits) *splits = m->trees[i].split_count;
    return *splits < m->columns ? *splits : m->columns;
}

static size_t points_max(size_t elements) {
    size_t points = (elements + 1) / 2;
    return points <= RULE_SMALL ? RULE_SMALL : (points + RULE_STEP - 1) / RULE_STEP * RULE_STEP;
}

size_t shap_scratch_size(const struct tree_model *m) {
    size_t splits, elements = way_max(m, &splits);
    return sizeof(struct scratch) + 3 * points_max(elements) * sizeof(double) +
           elements * sizeof(struct element) + splits * sizeof(struct frame);
}

static struct scratch *scratch_init(void *memory, const struct tree_model *m) {
    ASSERT((uintptr_t)memory % _Alignof(struct scratch) == 0);
    size_t splits, elements = way_max(m, &splits), points = points_max(elements);
    struct scratch *s = memory;
    s->small_ready = s->large_count = 0;
    s->large_point = (double *)(s + 1);
    s->large_weight = s->large_point + points;
    s->product = s->large_weight + points;
    s->element = (struct element *)(s->product + points);
    s->frame = (struct frame *)(s->element + elements);
    return s;
}

/* ---- the rule ---- */

/* Zeros of the Legendre polynomial of degree n by Newton's steps from the usual first guess; two a step of the
 * loop, as they lie symmetrically. */
static void rule_make(double *point, double *weight, uint32_t n) {
    enum { STEPS_MAX = 12 };
    for (uint32_t i = 0; i < (n + 1) / 2; i++) {
        double x = cos(pi * (i + 0.75) / (n + 0.5)), slope = 1;
        for (int step = 0; step < STEPS_MAX; step++) {
            double p = 1, before = 0;
            for (uint32_t k = 1; k <= n; k++) {
                double next = ((2.0 * k - 1) * x * p - (k - 1.0) * before) / k;
                before = p;
                p = next;
            }
            slope = n * (x * p - before) / (x * x - 1);
            double change = p / slope;
            x -= change;
            if (fabs(change) < 1e-16) break;
        }
        point[i] = (1 - x) / 2;
        point[n - 1 - i] = (1 + x) / 2;
        weight[i] = weight[n - 1 - i] = 1 / ((1 - x * x) * slope * slope);
    }
}

static struct rule rule_for(struct scratch *s, uint32_t elements) {
    uint32_t n = (elements + 1) / 2;
    if (n <= RULE_SMALL) {
        double *point = s->small_point + n * (n - 1) / 2,
               *weight = s->small_weight + n * (n - 1) / 2;
        if (!(s->small_ready >> (n - 1) & 1)) rule_make(point, weight, n);
        s->small_ready |= 1u << (n - 1);
        return (struct rule){n, point, weight};
    }
    n = (n + RULE_STEP - 1) / RULE_STEP * RULE_STEP;
    if (s->large_count != n) rule_make(s->large_point, s->large_weight, n);
    s->large_count = n;
    return (struct rule){n, s->large_point, s->large_weight};
}

/* ---- one tree ---- */

static void add_leaf(double *out, struct scratch *s, uint32_t elements, double value,
                     double *expectation) {
    const struct rule r = rule_for(s, elements);
    for (uint32_t q = 0; q < r.count; q++) s->product[q] = value * r.weight[q];
    double reached = value;
    for (uint32_t j = 0; j < elements; j++) {
        const struct element e = s->element[j];
        reached *= e.zero;
        for (uint32_t q = 0; q < r.count; q++)
            s->product[q] *= e.zero + (e.one - e.zero) * r.point[q];
    }
    *expectation += reached;
    for (uint32_t j = 0; j < elements; j++) {
        const struct element e = s->element[j];
        double sum = 0;
        for (uint32_t q = 0; q < r.count; q++)
            sum += s->product[q] / (e.zero + (e.one - e.zero) * r.point[q]);
        out[e.feature] += (e.one - e.zero) * sum;
    }
}

static double cover_of(const struct tree_model *m, const struct tree *t, int32_t child) {
    uint32_t i = (uint32_t)(child < 0 ? ~child : child);
    if (m->dialect == TREES_XGBOOST) return child < 0 ? t->leaf_weight[i] : t->split_weight[i];
    return (double)(child < 0 ? t->leaf_rows[i] : t->split_rows[i]);
}

/* Goes from the frame's split to its next child; the element of the split's column changes. False: nobody passes
 * there, in or out of a coalition. */
static bool enter(struct scratch *s, uint32_t *elements, struct frame *f, const struct tree *t,
                  double share, bool hot) {
    uint32_t slot = 0;
    while (slot < *elements && s->element[slot].feature != t->feature[f->split]) slot++;
    struct element *e = &s->element[slot];
    f->is_new = slot == *elements;
    if (f->is_new) {
        *e = (struct element){t->feature[f->split], 1, 1};
        ++*elements;
    }
    f->slot = slot;
    f->one = e->one;
    f->zero = e->zero;
    if (!hot) e->one = 0;
    e->zero *= share;
    return e->one > 0 || e->zero > 0;
}

static void leave(struct scratch *s, uint32_t *elements, const struct frame *f) {
    if (f->is_new) {
        --*elements;
        return;
    }
    s->element[f->slot].one = f->one;
    s->element[f->slot].zero = f->zero;
}

/* Contributions of a tree's leaves, one way after the other; no recursion, as a tree may be a chain. */
static enum status add_tree(double *out, struct scratch *s, const struct tree_model *m,
                            const struct tree *t, const double *row) {
    double *expectation = &out[m->columns];
    if (t->split_count == 0) {
        *expectation += tree_output_ref(m, t, 0, row);
        return ST_OK;
    }
    uint32_t elements = 0;
    size_t depth = 1;
    s->frame[0] = (struct frame){0};
    while (depth > 0) {
        struct frame *f = &s->frame[depth - 1];
        if (f->stage > 0) leave(s, &elements, f);
        if (f->stage == 2) {
            depth--;
            continue;
        }
        bool left = f->stage++ == 0;
        int32_t child = left ? t->left[f->split] : t->right[f->split];
        double cover = cover_of(m, t, (int32_t)f->split), part = cover_of(m, t, child);
        if (!(cover > 0) || !(part >= 0) || !isfinite(cover) || !isfinite(part)) return ST_INVALID;
        bool hot = tree_goes_left(m, t, f->split, row) == left;
        if (!enter(s, &elements, f, t, part / cover, hot)) continue;
        if (child < 0)
            add_leaf(out, s, elements, tree_output_ref(m, t, (uint32_t)~child, row), expectation);
        else
            s->frame[depth++] = (struct frame){.split = (uint32_t)child};
    }
    return ST_OK;
}

enum status shap_contributions(double *out, const struct tree_model *m, uint32_t first,
                               uint32_t last, const double *row, void *scratch) {
    ASSERT(first <= last && (uint64_t)last * m->trees_per_iteration <= m->tree_count);
    struct scratch *s = scratch_init(scratch, m);
    size_t width = (size_t)m->columns + 1;
    memset(out, 0, m->outputs * width * sizeof *out);
    for (uint32_t k = 0; k < m->outputs; k++) out[k * width + m->columns] = m->base_margin[k];
    for (uint32_t i = first * m->trees_per_iteration; i < last * m->trees_per_iteration; i++) {
        const struct tree *t = &m->trees[i];
        if (t->is_linear) return ST_UNSUPPORTED;
        enum status st = add_tree(out + t->class_index * width, s, m, t, row);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}
