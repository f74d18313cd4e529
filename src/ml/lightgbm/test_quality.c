/* How well the trainer learns, beside what it must not fall behind: LightGBM's own figures on the synthetic set (4.6,
 * measured once with the parameters here), and libxgboost trained in the same run, leaf-wise with as many leaves.
 *
 * By itself a short form that takes seconds. TEST_OPS=5 is the whole: 5 seeds, 100,000 rows, all rounds. The example sets
 * are in QUANTUM_REFERENCE. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/lightgbm/test_data.h"
#include "ml/model_io/model_io.h"
#include "ml/table/table.h"
#include "ml/xgboost/xgb.h"

enum { SEEDS_MAX = 5, CLASSES_MAX = 8 };

static uint32_t seeds_wanted(void) {
    const char *text = getenv("TEST_OPS");
    return text ? (uint32_t)fmin(fmax(strtod(text, NULL), 1), SEEDS_MAX) : 0;
}

/* ---- one training and what it is worth ---- */

static void margins(double *out, const struct tree_model *m, const struct train_set *set) {
    double *row = malloc(set->columns * sizeof *row);
    for (size_t i = 0; i < set->rows; i++) {
        for (uint32_t j = 0; j < set->columns; j++)
            row[j] =
                set->x64 ? set->x64[i * set->columns + j] : (double)set->x32[i * set->columns + j];
        tree_margin_ref(out + i * m->outputs, m, 0, m->tree_count / m->trees_per_iteration, row);
        /* Given margins take base_score's place. */
        for (uint32_t k = 0; k < m->outputs && set->init_margin; k++)
            out[i * m->outputs + k] += set->init_margin[i * m->outputs + k] - m->base_margin[k];
    }
    free(row);
}

/* A metric of margins on a set, by the trainer's own formulas (which test_loss.c checks). */
static double metric_of(const char *params, const struct train_set *set, const double *margin) {
    struct lgbm_params p;
    struct lgbm_loss *loss;
    struct err err = {0};
    lgbm_params_init(&p);
    assert_int_equal(lgbm_params_parse(&p, params, set->columns, NULL, &err), ST_OK);
    if (lgbm_loss_create(&loss, &p, set, NULL, &err) != ST_OK) fail_msg("%s", err.text);
    double value = lgbm_loss_metric(loss, margin);
    lgbm_loss_destroy(loss);
    lgbm_params_free(&p);
    return value;
}

static double value_of(struct tree_model *m, const char *metric, const struct train_set *test) {
    double *margin = malloc(test->rows * m->outputs * sizeof *margin);
    margins(margin, m, test);
    double value = metric_of(metric, test, margin);
    free(margin);
    return value;
}

static struct tree_model *train_ours(const char *params, uint32_t seed,
                                     const struct train_set *train, const struct train_set *valid) {
    struct lgbm_params p;
    struct tree_model *m = NULL;
    struct err err = {0};
    lgbm_params_init(&p);
    enum status st = lgbm_params_parse(&p, params, train->columns, NULL, &err);
    p.seed = seed;
    if (st == ST_OK) st = lgbm_train(&m, &p, train, valid, NULL, NULL, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    lgbm_params_free(&p);
    return m;
}

static struct tree_model *train_xgboost(const char *params, uint32_t seed,
                                        const struct train_set *train,
                                        const struct train_set *valid) {
    char text[512];
    struct xgb_trained own;
    struct tree_model *m = NULL;
    struct err err = {0};
    snprintf(text, sizeof text, "%s,seed=%u", params, seed);
    enum status st = xgb_train(&own, text, train, valid, NULL, NULL, &err);
    if (st == ST_OK) st = model_parse(&m, own.bytes, own.size, "XGBoost's model", &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    xgb_trained_free(&own);
    return m;
}

static struct train_set set_of(const struct test_data *d) {
    return (struct train_set){.x32 = d->x, .rows = d->rows, .columns = d->columns, .labels = d->y};
}

/* ---- the synthetic set ---- */

/* LightGBM's figures, and 0.2 % beside them. */
static void check_figures(size_t rows, uint32_t columns, const char *params, double auc,
                          double logloss) {
    struct test_data d[2] = {test_data_make(rows, columns, 1), test_data_make(20000, columns, 2)};
    struct train_set train = set_of(&d[0]), test = set_of(&d[1]);
    struct tree_model *m = train_ours(params, 0, &train, NULL);
    double have_auc = value_of(m, "objective=binary,metric=auc", &test);
    double have_loss = value_of(m, "objective=binary", &test);
    print_message("%zu x %u: auc %.5f (LightGBM %.5f, %+.3f %%), log-loss %.5f (%.5f, %+.3f %%)\n",
                  rows, columns, have_auc, auc, 100 * (have_auc / auc - 1), have_loss, logloss,
                  100 * (have_loss / logloss - 1));
    assert_true(have_auc >= auc * 0.998);
    assert_true(have_loss <= logloss * 1.002);
    tree_model_destroy(m);
    for (int i = 0; i < 2; i++) test_data_free(&d[i]);
}

static void test_lightgbm_figures(void **state) {
    (void)state;
    check_figures(10000, 60, "objective=binary,num_iterations=300", 0.74095, 0.60522);
    if (seeds_wanted() > 0)
        check_figures(100000, 50, "objective=binary,num_iterations=200", 0.77898, 0.56801);
}

struct pair {
    double ours[SEEDS_MAX], xgboost[SEEDS_MAX];
    uint32_t count;
};

static double mean(const double *x, uint32_t n) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += x[i] / n;
    return sum;
}

static double variance(const double *x, uint32_t n) {
    double sum = 0, m = mean(x, n);
    for (uint32_t i = 0; i < n && n > 1; i++) sum += (x[i] - m) * (x[i] - m) / (n - 1);
    return sum;
}

static void compare_on_synthetic(size_t rows, uint32_t columns, uint32_t trees, uint32_t seeds) {
    struct pair p = {.count = seeds};
    char ours[128], xgboost[256];
    snprintf(ours, sizeof ours, "objective=binary,num_iterations=%u", trees);
    snprintf(xgboost, sizeof xgboost,
             "objective=binary:logistic,tree_method=hist,grow_policy=lossguide,max_leaves=31,"
             "max_depth=0,eta=0.1,num_boost_round=%u",
             trees);
    for (uint32_t s = 0; s < seeds; s++) {
        struct test_data d[2] = {test_data_make(rows, columns, 1 + 2 * s),
                                 test_data_make(20000, columns, 2 + 2 * s)};
        struct train_set train = set_of(&d[0]), test = set_of(&d[1]);
        struct tree_model *a = train_ours(ours, s, &train, NULL);
        struct tree_model *b = train_xgboost(xgboost, s, &train, NULL);
        p.ours[s] = value_of(a, "objective=binary", &test);
        p.xgboost[s] = value_of(b, "objective=binary", &test);
        tree_model_destroy(a);
        tree_model_destroy(b);
        for (int i = 0; i < 2; i++) test_data_free(&d[i]);
    }
    double a = mean(p.ours, seeds), b = mean(p.xgboost, seeds);
    print_message("%zu x %u x %u, %u seeds: log-loss %.5f, XGBoost %.5f (%+.3f %%)\n", rows,
                  columns, trees, seeds, a, b, 100 * (a / b - 1));
    assert_true(a <= 1.01 * b);
}

static void test_beside_xgboost(void **state) {
    (void)state;
    uint32_t seeds = seeds_wanted();
    if (seeds == 0) {
        compare_on_synthetic(4000, 12, 50, 3);
        return;
    }
    compare_on_synthetic(10000, 60, 300, seeds);
    compare_on_synthetic(100000, 50, 200, seeds);
}

/* ---- the example sets ---- */

struct example {
    const char *name, *file;    /* folder, and what its files begin with */
    const char *ours, *xgboost; /* as in its train.conf, and what is nearest to that */
    const char *metric;
    bool more_is_better;
};

static const struct example examples[] = {
    {"regression", "regression",
     "objective=regression,learning_rate=0.05,num_leaves=31,feature_fraction=0.9,bagging_freq=5,"
     "bagging_fraction=0.8,min_data_in_leaf=100,min_sum_hessian_in_leaf=5",
     "objective=reg:squarederror,eta=0.05,max_leaves=31,colsample_bytree=0.9,subsample=0.8,"
     "min_child_weight=100",
     "objective=regression", false},
    {"binary_classification", "binary",
     "objective=binary,learning_rate=0.1,num_leaves=63,feature_fraction=0.8,bagging_freq=5,"
     "bagging_fraction=0.8,min_data_in_leaf=50,min_sum_hessian_in_leaf=5",
     "objective=binary:logistic,eta=0.1,max_leaves=63,colsample_bytree=0.8,subsample=0.8,"
     "min_child_weight=5",
     "objective=binary", false},
    {"multiclass_classification", "multiclass",
     "objective=multiclass,num_class=5,learning_rate=0.05,num_leaves=31",
     "objective=multi:softprob,num_class=5,eta=0.05,max_leaves=31",
     "objective=multiclass,num_class=5", false},
    {"lambdarank", "rank",
     "objective=lambdarank,learning_rate=0.1,num_leaves=31,bagging_freq=1,bagging_fraction=0.9,"
     "min_data_in_leaf=50,min_sum_hessian_in_leaf=5",
     "objective=rank:ndcg,eta=0.1,max_leaves=31,subsample=0.9,min_child_weight=5",
     "objective=lambdarank,eval_at=5", true},
};

/* A set of a file and those beside it; label first. */
struct loaded {
    struct table table;
    double *x, *y, *weights, *init;
    uint32_t *groups;
    struct train_set set;
};

static double *numbers(const char *path, size_t *count) {
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    double *out = calloc(20000, sizeof *out), value;
    for (*count = 0; *count < 20000 && fscanf(f, "%lf", &value) == 1; (*count)++)
        out[*count] = value;
    fclose(f);
    return out;
}

static void load(struct loaded *l, const struct example *e, const char *which, uint32_t features) {
    char base[700], path[800];
    size_t count = 0;
    struct err err = {0};
    *l = (struct loaded){0};
    snprintf(base, sizeof base, "%s/data/tabular/lightgbm/%s/%s.%s", getenv("QUANTUM_REFERENCE"),
             e->name, e->file, which);
    snprintf(path, sizeof path, "%s.zst", base);
    struct table_options options = {.header = TABLE_HEADER_NO, .libsvm_features = features};
    if (table_read(&l->table, path, &options, NULL, NULL, &err) != ST_OK) fail_msg("%s", err.text);
    uint32_t columns = l->table.columns - 1;
    l->x = malloc(l->table.rows * columns * sizeof *l->x);
    l->y = malloc(l->table.rows * sizeof *l->y);
    for (size_t i = 0; i < l->table.rows; i++) {
        const double *row = l->table.values + i * l->table.columns;
        l->y[i] = row[0];
        memcpy(l->x + i * columns, row + 1, columns * sizeof *row);
    }
    snprintf(path, sizeof path, "%s.weight", base);
    l->weights = numbers(path, &count);
    snprintf(path, sizeof path, "%s.init", base);
    l->init = numbers(path, &count);
    snprintf(path, sizeof path, "%s.query", base);
    double *query = numbers(path, &count);
    if (query && count > 0) {
        l->groups = malloc(count * sizeof *l->groups);
        for (size_t i = 0; i < count; i++) l->groups[i] = (uint32_t)query[i];
    }
    l->set = (struct train_set){.x64 = l->x,
                                .rows = l->table.rows,
                                .columns = columns,
                                .labels = l->y,
                                .weights = l->weights,
                                .init_margin = l->init,
                                .group_rows = l->groups,
                                .groups = query ? count : 0};
    free(query);
}

static void unload(struct loaded *l) {
    table_free(&l->table);
    free(l->x);
    free(l->y);
    free(l->weights);
    free(l->init);
    free(l->groups);
}

/* Nine in ten of the rows, or queries, drawn by the seed: what makes seeds differ where nothing else is random. */
static void draw(struct loaded *out, const struct loaded *from, uint32_t seed) {
    struct rng r = rng_init(seed);
    const struct train_set *s = &from->set;
    size_t pieces = s->groups ? s->groups : s->rows, row = 0;
    *out = (struct loaded){.x = malloc(s->rows * s->columns * sizeof(double)),
                           .y = malloc(s->rows * sizeof(double)),
                           .weights = s->weights ? malloc(s->rows * sizeof(double)) : NULL,
                           .init = s->init_margin ? malloc(s->rows * sizeof(double)) : NULL,
                           .groups = s->groups ? malloc(s->groups * sizeof(uint32_t)) : NULL};
    out->set = *s;
    out->set.rows = out->set.groups = 0;
    for (size_t p = 0; p < pieces; p++) {
        size_t count = s->groups ? s->group_rows[p] : 1, to = out->set.rows;
        if (rng_f64(&r) < 0.9) {
            memcpy(out->x + to * s->columns, s->x64 + row * s->columns,
                   count * s->columns * sizeof(double));
            memcpy(out->y + to, s->labels + row, count * sizeof(double));
            if (s->weights) memcpy(out->weights + to, s->weights + row, count * sizeof(double));
            if (s->init_margin)
                memcpy(out->init + to, s->init_margin + row, count * sizeof(double));
            if (s->groups) out->groups[out->set.groups++] = (uint32_t)count;
            out->set.rows += count;
        }
        row += count;
    }
    out->set.x64 = out->x;
    out->set.labels = out->y;
    out->set.weights = out->weights;
    out->set.init_margin = out->init;
    out->set.group_rows = out->groups;
}

static void compare_on_example(const struct example *e, uint32_t rounds, uint32_t seeds,
                               double tolerance) {
    struct loaded train, test;
    struct pair p = {.count = seeds};
    char ours[400], xgboost[400];
    load(&train, e, "train", 0);
    load(&test, e, "test", train.set.columns);
    snprintf(ours, sizeof ours, "%s,num_iterations=%u", e->ours, rounds);
    snprintf(xgboost, sizeof xgboost,
             "%s,tree_method=hist,grow_policy=lossguide,max_depth=0,num_boost_round=%u", e->xgboost,
             rounds);
    for (uint32_t s = 0; s < seeds; s++) {
        struct loaded part;
        draw(&part, &train, s + 1);
        struct tree_model *a = train_ours(ours, s + 1, &part.set, NULL);
        struct tree_model *b = train_xgboost(xgboost, s + 1, &part.set, NULL);
        p.ours[s] = value_of(a, e->metric, &test.set);
        p.xgboost[s] = value_of(b, e->metric, &test.set);
        tree_model_destroy(a);
        tree_model_destroy(b);
        unload(&part);
    }
    double a = mean(p.ours, seeds), b = mean(p.xgboost, seeds);
    double standard_error = sqrt((variance(p.ours, seeds) + variance(p.xgboost, seeds)) / seeds);
    double worse = e->more_is_better ? b - a : a - b;
    print_message("%s, %u seeds: %.5f, XGBoost %.5f; worse by %+.2f standard errors of %.5f\n",
                  e->name, seeds, a, b, worse / standard_error, standard_error);
    assert_true(worse <= standard_error + tolerance * fabs(b));
    unload(&train);
    unload(&test);
}

static void test_example_sets(void **state) {
    (void)state;
    if (!getenv("QUANTUM_REFERENCE")) {
        print_message("QUANTUM_REFERENCE is not set: no example sets\n");
        skip();
    }
    uint32_t seeds = seeds_wanted();
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        compare_on_example(&examples[i], seeds ? 100 : 25, seeds ? seeds : 2, seeds ? 0 : 0.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lightgbm_figures),
        cmocka_unit_test(test_beside_xgboost),
        cmocka_unit_test(test_example_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
