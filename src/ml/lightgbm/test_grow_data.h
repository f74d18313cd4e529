/* Random sets for the tests of the grow side: columns of every kind, seed printed, TEST_SEED
 * repeats it. */
#ifndef ML_LIGHTGBM_TEST_GROW_DATA_H
#define ML_LIGHTGBM_TEST_GROW_DATA_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ml/lightgbm/lgbm_grow_internal.h"

enum data_kind {
    KIND_NORMAL = 0, /* all different */
    KIND_STEPS,      /* whole numbers from -5 to 5, many rows alike */
    KIND_NAN,        /* normal, every fifth row missing */
    KIND_SPARSE,     /* mostly zero, some missing */
    KIND_HOT,        /* one of a row's four HOT columns is 1: they exclude each other */
    KIND_CATEGORY,   /* few, some missing and some negative */
    KIND_CATEGORIES, /* forty, uneven */
    KIND_EXTREME,    /* infinities, denormals, neighbours of 1e-35f, huge */
    KIND_CONSTANT,
    KIND_COUNT
};

struct data {
    struct train_set set;
    double *x;
    float *gradient, *hessian;
    bool *is_categorical;
    enum data_kind *kinds;
};

static uint64_t data_seed(uint64_t usual) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : usual;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static double data_extreme(struct rng *r) {
    static const double values[] = {(double)INFINITY,
                                    -(double)INFINITY,
                                    1e301,
                                    -1e301,
                                    1e-36,
                                    -1e-36,
                                    5e-324,
                                    -5e-324,
                                    1e30,
                                    -1e30,
                                    1e-34,
                                    -1e-34,
                                    0,
                                    -0.0};
    uint64_t i = rng_below(r, 2 * sizeof values / sizeof *values);
    if (i < sizeof values / sizeof *values) return values[i];
    /* Right at the border of what counts as zero. */
    if (i == 2 * sizeof values / sizeof *values - 1) return rng_below(r, 2) ? 1e-35f : -1e-35f;
    return rng_normal(r);
}

static double data_value(enum data_kind kind, uint32_t column, uint64_t hot, struct rng *r) {
    double u = rng_f64(r), x = rng_normal(r);
    switch (kind) {
    case KIND_NORMAL:
        return x;
    case KIND_STEPS:
        return (double)rng_below(r, 11) - 5;
    case KIND_NAN:
        return u < 0.2 ? (double)NAN : x;
    case KIND_SPARSE:
        return u < 0.85 ? 0 : u < 0.9 ? (double)NAN : floor(3 * x);
    case KIND_HOT:
        return hot == column % 4 ? 1 : 0;
    case KIND_CATEGORY:
        return u < 0.05  ? (double)NAN
               : u < 0.1 ? -3
                         : (double)rng_below(r, 3) + (u < 0.2 ? 0.5 : 0);
    case KIND_CATEGORIES:
        return floor(40 * u * u);
    case KIND_EXTREME:
        return data_extreme(r);
    case KIND_CONSTANT:
    case KIND_COUNT:
        break;
    }
    return 7;
}

/* Gradients depend on some columns, so that splits pay; hessians from 0.1 to 1.1. */
static struct data data_make(struct rng *r, size_t rows, uint32_t columns,
                             const enum data_kind *kinds) {
    struct data d = {0};
    d.x = calloc(rows * columns, sizeof *d.x);
    d.gradient = calloc(rows, sizeof *d.gradient);
    d.hessian = calloc(rows, sizeof *d.hessian);
    d.is_categorical = calloc(columns, sizeof *d.is_categorical);
    d.kinds = calloc(columns, sizeof *d.kinds);
    for (uint32_t c = 0; c < columns; c++) {
        d.kinds[c] = kinds ? kinds[c] : (enum data_kind)rng_below(r, KIND_COUNT);
        d.is_categorical[c] = d.kinds[c] == KIND_CATEGORY || d.kinds[c] == KIND_CATEGORIES;
    }
    for (size_t i = 0; i < rows; i++) {
        double sum = rng_normal(r);
        uint64_t hot = rng_below(r, 5);
        for (uint32_t c = 0; c < columns; c++) {
            double x = data_value(d.kinds[c], c, hot, r);
            d.x[i * columns + c] = x;
            if (!isnan(x) && fabs(x) < 100)
                sum += d.is_categorical[c] ? ((int)x % 3 == 1 ? 1 : -0.5) : 0.3 * x;
            else
                sum += 0.2;
        }
        d.gradient[i] = (float)sum;
        d.hessian[i] = (float)(0.1 + rng_f64(r));
    }
    d.set = (struct train_set){.x64 = d.x, .rows = rows, .columns = columns};
    return d;
}

static void data_free(struct data *d) {
    free(d->x);
    free(d->gradient);
    free(d->hessian);
    free(d->is_categorical);
    free(d->kinds);
}

static struct lgbm_params data_params(const struct data *d) {
    struct lgbm_params p;
    lgbm_params_init(&p);
    p.is_categorical = d->is_categorical;
    p.columns_given = d->set.columns;
    p.min_data_in_leaf = 5;
    p.min_data_per_group = 10;
    p.num_leaves = 8;
    return p;
}

#endif
