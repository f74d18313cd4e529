/* Which rows and columns a tree sees: bagging, GOSS, feature_fraction.
 *
 * Source   Ke et al. (2017), algorithm 2 (GOSS): rows by the size of their gradient, the largest kept, a sample of the
 *          rest scaled up by (1 - a) / b. Knuth, TAOCP 2, 3.4.2, algorithm S: exactly k of n, in order. */
#include <math.h>
#include <stdlib.h>

#include "ml/lightgbm/loss_internal.h"

struct lgbm_sampler {
    const struct lgbm_params *params;
    const double *labels; /* borrowed: balanced bagging tells the classes by them */
    size_t rows;
    uint32_t outputs, columns;
    uint32_t *drawn; /* (rows) */
    uint32_t drawn_count;
    double *size, *order; /* (rows), GOSS */
    uint32_t *usable;     /* (usable_count) columns that can split */
    uint32_t usable_count;
    bool *picked; /* (columns) */
};

static bool balanced(const struct lgbm_params *p) {
    return p->objective == LGBM_BINARY &&
           (p->pos_bagging_fraction < 1 || p->neg_bagging_fraction < 1);
}

static bool bags(const struct lgbm_params *p) {
    return !p->goss && p->bagging_freq > 0 && (p->bagging_fraction < 1 || balanced(p));
}

enum status lgbm_sampler_create(struct lgbm_sampler **out, const struct lgbm_params *params,
                                const struct train_set *set, uint32_t outputs, const bool *usable,
                                struct err *err) {
    struct lgbm_sampler *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "sampling");
    *s = (struct lgbm_sampler){.params = params,
                               .labels = set->labels,
                               .rows = set->rows,
                               .outputs = outputs,
                               .columns = set->columns};
    bool ok = true;
    if (bags(params) || params->goss) ok = (s->drawn = malloc(set->rows * sizeof *s->drawn));
    if (params->goss) {
        ok = (s->size = malloc(set->rows * sizeof *s->size)) && ok;
        ok = (s->order = malloc(set->rows * sizeof *s->order)) && ok;
    }
    ok = (s->usable = malloc(set->columns * sizeof *s->usable)) && ok;
    ok = (s->picked = calloc(set->columns, sizeof *s->picked)) && ok;
    if (!ok) {
        lgbm_sampler_destroy(s);
        return err_set(err, ST_NO_MEMORY, "sampling of %zu rows", set->rows);
    }
    for (uint32_t i = 0; i < set->columns; i++)
        if (usable[i]) s->usable[s->usable_count++] = i;
    *out = s;
    return ST_OK;
}

void lgbm_sampler_destroy(struct lgbm_sampler *s) {
    if (!s) return;
    free(s->drawn);
    free(s->size);
    free(s->order);
    free(s->usable);
    free(s->picked);
    free(s);
}

static struct rng stream(const struct lgbm_params *p, enum lgbm_seed which, uint64_t number) {
    struct rng r = rng_init(lgbm_params_seed(p, which));
    return rng_split(&r, number);
}

/* floor(fraction of count), at least one if there is any. */
static size_t share(double fraction, size_t count) {
    size_t n = (size_t)(fraction * (double)count);
    return n == 0 && count > 0 ? 1 : n;
}

static void bag(struct lgbm_sampler *s, uint32_t iteration) {
    const struct lgbm_params *p = s->params;
    struct rng r = stream(p, LGBM_SEED_BAGGING, iteration);
    /* left and wanted of class 0 and 1; without balance all rows are of class 0 */
    size_t left[2] = {s->rows, 0}, wanted[2];
    bool by_class = balanced(p);
    if (by_class) {
        for (size_t i = 0; i < s->rows; i++) left[1] += s->labels[i] > 0;
        left[0] -= left[1];
    }
    wanted[0] = share(by_class ? p->neg_bagging_fraction : p->bagging_fraction, left[0]);
    wanted[1] = share(p->pos_bagging_fraction, left[1]);
    s->drawn_count = 0;
    for (size_t i = 0; i < s->rows; i++) {
        size_t class = by_class && s->labels[i] > 0;
        if (rng_below(&r, left[class]--) >= wanted[class]) continue;
        wanted[class]--;
        s->drawn[s->drawn_count++] = (uint32_t)i;
    }
}

static bool warm(const struct lgbm_params *p, uint32_t iteration) {
    return (double)iteration >= floor(1.0 / p->learning_rate);
}

bool lgbm_sampler_scales(const struct lgbm_sampler *s, uint32_t iteration) {
    return s->params->goss && warm(s->params, iteration);
}

static void scale_row(const struct lgbm_sampler *s, size_t row, float factor, float *gradient,
                      float *hessian) {
    for (uint32_t k = 0; k < s->outputs; k++) {
        gradient[k * s->rows + row] *= factor;
        hessian[k * s->rows + row] *= factor;
    }
}

static void goss(struct lgbm_sampler *s, uint32_t iteration, float *gradient, float *hessian) {
    const struct lgbm_params *p = s->params;
    struct rng r = stream(p, LGBM_SEED_BAGGING, iteration);
    for (size_t i = 0; i < s->rows; i++) {
        s->size[i] = 0;
        for (uint32_t k = 0; k < s->outputs; k++)
            s->size[i] += fabs((double)gradient[k * s->rows + i]);
        s->order[i] = s->size[i];
    }
    size_t top = share(p->top_rate, s->rows), above = 0;
    double edge = lgbm_select(s->order, s->rows, s->rows - top);
    for (size_t i = 0; i < s->rows; i++) above += s->size[i] > edge;
    size_t ties = top - above, left = s->rows - top, wanted = share(p->other_rate, s->rows);
    if (wanted > left) wanted = left;
    float factor = wanted > 0 ? (float)((double)left / (double)wanted) : 1.0f;
    s->drawn_count = 0;
    for (size_t i = 0; i < s->rows; i++) {
        /* Of rows exactly at the edge the first ones are taken. */
        bool tied = !(s->size[i] < edge) && !(s->size[i] > edge) && ties > 0;
        if (s->size[i] > edge || tied) {
            ties -= tied;
        } else {
            if (rng_below(&r, left--) >= wanted) continue;
            wanted--;
            scale_row(s, i, factor, gradient, hessian);
        }
        s->drawn[s->drawn_count++] = (uint32_t)i;
    }
}

const uint32_t *lgbm_sampler_rows(struct lgbm_sampler *s, uint32_t iteration, float *gradient,
                                  float *hessian, uint32_t *count) {
    *count = (uint32_t)s->rows;
    if (lgbm_sampler_scales(s, iteration))
        goss(s, iteration, gradient, hessian);
    else if (!bags(s->params))
        return NULL;
    else if (iteration % s->params->bagging_freq == 0)
        bag(s, iteration);
    *count = s->drawn_count;
    return s->drawn;
}

const bool *lgbm_sampler_columns(struct lgbm_sampler *s, uint64_t number) {
    if (!(s->params->feature_fraction < 1)) return NULL;
    struct rng r = stream(s->params, LGBM_SEED_FEATURE, number);
    uint32_t left = s->usable_count,
             wanted = (uint32_t)(s->params->feature_fraction * s->usable_count + 0.5);
    if (wanted == 0 && left > 0) wanted = 1;
    for (uint32_t i = 0; i < s->columns; i++) s->picked[i] = false;
    for (uint32_t i = 0; i < s->usable_count; i++) {
        if (rng_below(&r, left--) >= wanted) continue;
        wanted--;
        s->picked[s->usable[i]] = true;
    }
    return s->picked;
}
