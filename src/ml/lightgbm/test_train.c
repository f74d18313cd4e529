/* Training as a whole: what the model predicts is what training saw, its text comes back, threads do not matter; early
 * stopping, cancelling, starts, leaves, weights; errors. */
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/model_io/model_io.h"
#include "num/exp_n.h"

enum { ROWS = 1200, COLUMNS = 7, ROUNDS_MAX = 64, CLASSES = 3, GROUPS = 60 };

struct rounds {
    uint32_t count, stop_after;
    double train[ROUNDS_MAX], valid[ROUNDS_MAX];
};

struct fixture {
    struct lgbm_params params;
    float x[2][ROWS * COLUMNS];
    double y[2][ROWS], weights[ROWS], init[2][ROWS * CLASSES];
    uint32_t groups[GROUPS];
    struct train_set set, valid;
    struct tree_model *model;
    struct rounds rounds;
    struct err err;
};

/* Columns of uniform values, some missing, some of few levels; the label by an additive rule of them and noise. */
static void fill(struct fixture *f, int which, uint64_t seed) {
    struct rng r = rng_init(seed);
    for (size_t i = 0; i < ROWS; i++) {
        float *x = f->x[which] + i * COLUMNS;
        for (size_t j = 0; j < COLUMNS; j++) x[j] = (float)(rng_f64(&r) * 2 - 1);
        x[3] = floorf(x[3] * 4);
        double z =
            2 * (double)x[0] + (x[1] > 0.2f ? 1.5 : -0.5) * (double)x[2] + 0.3 * (double)x[3];
        if (rng_f64(&r) < 0.1) x[4] = NAN;
        f->y[which][i] = z + 0.5 * (rng_f64(&r) + rng_f64(&r) - 1);
    }
}

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    lgbm_params_init(&f->params);
    fill(f, 0, 1);
    fill(f, 1, 2);
    f->set =
        (struct train_set){.x32 = f->x[0], .rows = ROWS, .columns = COLUMNS, .labels = f->y[0]};
    f->valid = f->set;
    f->valid.x32 = f->x[1];
    f->valid.labels = f->y[1];
    for (size_t g = 0; g < GROUPS; g++) f->groups[g] = ROWS / GROUPS;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    tree_model_destroy(f->model);
    lgbm_params_free(&f->params);
    free(f);
    return 0;
}

/* Labels for the objective, from the real ones. */
static void shape_labels(struct fixture *f) {
    uint64_t levels = f->params.objective == LGBM_BINARY ? 2 : f->params.num_class;
    if (f->params.objective == LGBM_LAMBDARANK) levels = 4;
    if (levels == 1) return;
    for (int which = 0; which < 2; which++)
        for (size_t i = 0; i < ROWS; i++) {
            double level = floor((f->y[which][i] + 2) / 4 * (double)levels);
            f->y[which][i] = fmin(fmax(level, 0), (double)levels - 1);
        }
    f->set.group_rows = f->valid.group_rows = f->groups;
    f->set.groups = f->valid.groups = GROUPS;
}

static void parse(struct fixture *f, const char *params) {
    if (lgbm_params_parse(&f->params, params, COLUMNS, NULL, &f->err) != ST_OK)
        fail_msg("%s", f->err.text);
}

static bool note(void *context, uint32_t round, uint32_t rounds_max, double train, double valid) {
    struct rounds *r = context;
    (void)rounds_max;
    assert_int_equal(round, r->count + 1);
    r->train[r->count] = train;
    r->valid[r->count++] = valid;
    return r->count != r->stop_after;
}

static enum status train(struct fixture *f, const struct train_set *valid) {
    tree_model_destroy(f->model);
    f->model = NULL;
    f->rounds.count = 0;
    return lgbm_train(&f->model, &f->params, &f->set, valid, note, &f->rounds, &f->err);
}

static void train_ok(struct fixture *f, const struct train_set *valid) {
    if (train(f, valid) != ST_OK) fail_msg("%s", f->err.text);
}

static char *text_of(const struct tree_model *m) {
    char *text;
    size_t size;
    struct err err = {0};
    if (model_print(&text, &size, m, MODEL_LIGHTGBM_TEXT, &err) != ST_OK) fail_msg("%s", err.text);
    return text;
}

static void margin_of(double *out, const struct tree_model *m, const float *x,
                      uint32_t iterations) {
    double row[COLUMNS];
    for (size_t j = 0; j < COLUMNS; j++) row[j] = (double)x[j];
    tree_margin_ref(out, m, 0, iterations, row);
}

static uint32_t iterations_of(const struct tree_model *m) {
    return m->tree_count / m->trees_per_iteration;
}

static const char *const every_objective[] = {
    "objective=regression",
    "objective=regression,reg_sqrt=true",
    "objective=regression_l1",
    "objective=huber,alpha=0.5",
    "objective=quantile,alpha=0.7",
    "objective=binary,sigmoid=1.5",
    "objective=multiclass,num_class=3",
    "objective=lambdarank",
};
enum { OBJECTIVES = sizeof every_objective / sizeof *every_objective };

/* The valid metric of a round, from the margins training kept, equals the metric of the margins that the model gives by the
 * reference walk: the same leaves and the same sums, bit for bit. */
static void test_model_is_what_training_saw(void **state) {
    for (size_t o = 0; o < OBJECTIVES; o++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        parse(f, every_objective[o]);
        parse(f, "num_iterations=12,num_leaves=9,bagging_freq=1,bagging_fraction=0.7");
        shape_labels(f);
        train_ok(f, &f->valid);
        assert_int_equal(f->rounds.count, 12);
        struct lgbm_loss *loss;
        assert_int_equal(lgbm_loss_create(&loss, &f->params, &f->valid, NULL, &f->err), ST_OK);
        uint32_t outputs = f->params.num_class;
        double *margin = calloc(ROWS * outputs, sizeof *margin);
        for (uint32_t n = 1; n <= 12; n++) {
            for (size_t i = 0; i < ROWS; i++)
                margin_of(margin + i * outputs, f->model, f->x[1] + i * COLUMNS, n);
            double want = lgbm_loss_metric(loss, margin), have = f->rounds.valid[n - 1];
            if (!(have >= want && have <= want))
                fail_msg("%s, round %u: %.17g, want %.17g", every_objective[o], n, have, want);
        }
        free(margin);
        lgbm_loss_destroy(loss);
    }
}

static void test_every_objective_learns(void **state) {
    for (size_t o = 0; o < OBJECTIVES; o++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        parse(f, every_objective[o]);
        parse(f, "num_iterations=30");
        shape_labels(f);
        train_ok(f, &f->valid);
        bool more;
        lgbm_metric_text(&f->params, &more);
        double first = f->rounds.valid[0], last = f->rounds.valid[29];
        if (more ? !(1 - last < 0.7 * (1 - first)) : !(last < 0.6 * first))
            fail_msg("%s: %g to %g", every_objective[o], first, last);
        /* On its own rows each round is no worse. */
        for (uint32_t i = 1; i < 30 && !more; i++)
            assert_true(f->rounds.train[i] <= f->rounds.train[i - 1]);
    }
}

static void test_text_comes_back(void **state) {
    for (size_t o = 0; o < OBJECTIVES; o++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        parse(f, every_objective[o]);
        parse(f, "num_iterations=5");
        shape_labels(f);
        train_ok(f, NULL);
        assert_true(isnan(f->rounds.valid[0]) && isfinite(f->rounds.train[0]));
        char *text = text_of(f->model);
        struct tree_model *again = NULL;
        if (model_parse(&again, text, strlen(text), "text", &f->err) != ST_OK)
            fail_msg("%s", f->err.text);
        char *second = text_of(again);
        assert_string_equal(text, second);
        assert_int_equal(again->transform, f->model->transform);
        assert_int_equal(again->tree_count, f->model->tree_count);
        assert_string_equal(again->objective, f->model->objective);
        assert_string_equal(again->feature_names[6], "Column_6");
        assert_string_equal(tree_model_attribute(again, "num_iterations"), "5");
        for (size_t i = 0; i < ROWS; i++) {
            double a[CLASSES], b[CLASSES];
            margin_of(a, f->model, f->x[0] + i * COLUMNS, 5);
            margin_of(b, again, f->x[0] + i * COLUMNS, 5);
            assert_memory_equal(a, b, f->params.num_class * sizeof *a);
        }
        free(text);
        free(second);
        tree_model_destroy(again);
    }
}

static void test_threads_do_not_matter(void **state) {
    static const char *const params[] = {
        "bagging_freq=2,bagging_fraction=0.6,feature_fraction=0.6,extra_trees=true",
        "objective=multiclass,num_class=3,boosting=goss,learning_rate=0.5",
        "objective=lambdarank,feature_fraction_bynode=0.5",
        "objective=regression_l1,max_bin=15",
    };
    for (size_t i = 0; i < 4; i++) {
        char *text[3];
        for (int threads = 0; threads < 3; threads++) {
            tear_down(state);
            set_up(state);
            struct fixture *f = *state;
            parse(f, "objective=binary,num_iterations=8,seed=5");
            parse(f, params[i]);
            f->params.num_threads = (uint32_t)threads + 1;
            shape_labels(f);
            train_ok(f, &f->valid);
            text[threads] = text_of(f->model);
        }
        assert_string_equal(text[0], text[1]);
        assert_string_equal(text[0], text[2]);
        for (int t = 0; t < 3; t++) free(text[t]);
    }
}

static void test_seed_matters_where_there_is_chance(void **state) {
    struct fixture *f = *state;
    parse(f, "num_iterations=4,bagging_freq=1,bagging_fraction=0.5,seed=1");
    train_ok(f, NULL);
    char *one = text_of(f->model);
    f->params.seed = 2;
    train_ok(f, NULL);
    char *two = text_of(f->model);
    assert_string_not_equal(strstr(one, "Tree=0"), strstr(two, "Tree=0"));
    free(one);
    free(two);
}

/* One text for every compiler, optimisation level and processor. The number changes only when what is learnt does, which
 * the change must say. */
static void test_text_is_the_same_everywhere(void **state) {
    uint64_t hash = 0;
    for (size_t o = 0; o < OBJECTIVES; o++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        parse(f, every_objective[o]);
        parse(f,
              "num_iterations=10,bagging_freq=1,bagging_fraction=0.8,feature_fraction=0.9,seed=3");
        shape_labels(f);
        if (o % 2) {
            for (size_t i = 0; i < ROWS; i++) f->weights[i] = 0.5 + (double)(i % 7);
            f->set.weights = f->weights;
        }
        train_ok(f, &f->valid);
        char *text = text_of(f->model);
        hash = hash_chain(hash, text, strlen(text));
        hash = hash_chain(hash, &f->rounds.train, sizeof f->rounds.train);
        free(text);
    }
    if (hash != UINT64_C(0xd35a70da6982121c)) fail_msg("%016llx", (unsigned long long)hash);
}

/* ---- stopping ---- */

/* The rounds an early stop keeps, by its rule applied to the curve of a training without one. */
static uint32_t expected_best(const struct rounds *r, uint32_t patience, double min_delta) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < r->count; i++) {
        if (r->valid[best] - r->valid[i] > min_delta)
            best = i;
        else if (i - best == patience)
            break;
    }
    return best + 1;
}

static void test_early_stopping(void **state) {
    struct fixture *f = *state;
    parse(f, "objective=binary,num_iterations=60,num_leaves=31,learning_rate=0.4");
    shape_labels(f);
    train_ok(f, &f->valid);
    struct rounds whole = f->rounds;
    char *all = text_of(f->model);
    static const struct {
        uint32_t patience;
        double min_delta;
    } cases[] = {{1, 0}, {5, 0}, {5, 0.005}};
    uint32_t kept[3];
    for (size_t i = 0; i < 3; i++) {
        f->params.early_stopping_round = cases[i].patience;
        f->params.early_stopping_min_delta = cases[i].min_delta;
        train_ok(f, &f->valid);
        uint32_t best = expected_best(&whole, cases[i].patience, cases[i].min_delta);
        kept[i] = iterations_of(f->model);
        assert_int_equal(kept[i], best);
        assert_int_equal(f->rounds.count, best + cases[i].patience);
        assert_true(f->rounds.count < 60);
        /* What is kept is the beginning of the whole. */
        char *text = text_of(f->model), *end = strstr(text, "end of trees");
        const char *begin = strstr(text, "Tree=0");
        assert_memory_equal(begin, strstr(all, "Tree=0"), (size_t)(end - begin));
        free(text);
    }
    assert_true(kept[2] <= kept[1] && kept[2] > 1);
    free(all);
}

/* A metric that is better when larger. */
static void test_early_stopping_of_auc(void **state) {
    struct fixture *f = *state;
    parse(f, "objective=binary,metric=auc,num_iterations=60,early_stopping_round=5");
    shape_labels(f);
    train_ok(f, &f->valid);
    uint32_t best = iterations_of(f->model);
    for (uint32_t i = 0; i < f->rounds.count; i++)
        assert_true(f->rounds.valid[i] <= f->rounds.valid[best - 1]);
    assert_true(best > 1);
}

static void test_cancel(void **state) {
    struct fixture *f = *state;
    f->rounds.stop_after = 3;
    assert_int_equal(train(f, NULL), ST_INTERRUPTED);
    assert_int_equal(f->rounds.count, 3);
    assert_null(f->model);
    assert_non_null(strstr(f->err.text, "3"));
}

/* Nothing to split: one tree of one leaf, which is the start. */
static void test_nothing_splits(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < ROWS; i++) f->y[0][i] = 2.5;
    for (int from_average = 0; from_average < 2; from_average++) {
        f->params.boost_from_average = from_average;
        f->params.min_data_in_leaf = from_average ? 20 : ROWS;
        train_ok(f, NULL);
        assert_int_equal(f->model->tree_count, 1);
        assert_int_equal(f->rounds.count, 1);
        assert_true(f->rounds.train[0] <= 0);
        double margin;
        margin_of(&margin, f->model, f->x[0], 1);
        assert_true(margin >= 2.5 && margin <= 2.5);
        free(text_of(f->model));
    }
}

/* Splits cease after some rounds: their trees stay, the empty round does not. */
static void test_splits_cease(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < ROWS; i++) f->y[0][i] = f->x[0][i * COLUMNS] > 0;
    parse(f, "learning_rate=1,num_iterations=50,min_data_in_leaf=1");
    train_ok(f, NULL);
    assert_true(f->model->tree_count < 50 && f->model->tree_count > 0);
    assert_int_equal(f->rounds.count, f->model->tree_count);
    assert_true(f->model->trees[f->model->tree_count - 1].split_count > 0);
}

/* A class nobody has learns nothing and spoils nothing. */
static void test_class_that_is_absent(void **state) {
    struct fixture *f = *state;
    parse(f, "objective=multiclass,num_class=4,num_iterations=6");
    for (size_t i = 0; i < ROWS; i++) f->y[0][i] = f->y[0][i] > 0.5 ? 3 : f->y[0][i] > -0.5;
    train_ok(f, NULL);
    assert_int_equal(f->model->tree_count, 24);
    for (uint32_t t = 0; t < 24; t++) {
        const struct tree *tree = &f->model->trees[t];
        assert_int_equal(tree->class_index, t % 4);
        assert_int_equal(tree->split_count > 0, t % 4 != 2);
        if (t % 4 == 2)
            assert_true(t == 2 ? tree->leaf_value[0] < -30 : fabs(tree->leaf_value[0]) <= 0);
    }
}

/* ---- leaves ---- */

/* Every leaf of the first tree: the start, and the rate's share of the best step for its rows. */
static void test_first_leaves(void **state) {
    struct fixture *f = *state;
    parse(f, "num_iterations=1,learning_rate=0.3,num_leaves=6");
    train_ok(f, NULL);
    const struct tree *t = &f->model->trees[0];
    assert_int_equal(t->split_count, 5);
    double mean = 0, sum[6] = {0}, count[6] = {0};
    for (size_t i = 0; i < ROWS; i++) mean += f->y[0][i] / ROWS;
    for (size_t i = 0; i < ROWS; i++) {
        double row[COLUMNS];
        for (size_t j = 0; j < COLUMNS; j++) row[j] = (double)f->x[0][i * COLUMNS + j];
        uint32_t leaf = tree_walk_ref(f->model, t, row);
        sum[leaf] += f->y[0][i] - mean;
        count[leaf]++;
    }
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(t->leaf_rows[i], (int64_t)count[i]);
        assert_true(fabs(t->leaf_value[i] - (mean + 0.3 * sum[i] / count[i])) < 1e-6);
    }
    assert_true(t->shrinkage >= 1 && t->shrinkage <= 1); /* the start is not shrunken */
    assert_true(fabs(t->split_value[0] - mean) < 1e-6);
}

/* Residuals of a quantile objective's leaves: the share alpha of each leaf's rows is below its value. */
static void test_renewed_leaves(void **state) {
    struct fixture *f = *state;
    parse(f, "objective=quantile,alpha=0.8,num_iterations=1,learning_rate=1,num_leaves=5");
    train_ok(f, NULL);
    double below[5] = {0}, count[5] = {0};
    for (size_t i = 0; i < ROWS; i++) {
        double row[COLUMNS], margin;
        for (size_t j = 0; j < COLUMNS; j++) row[j] = (double)f->x[0][i * COLUMNS + j];
        uint32_t leaf = tree_walk_ref(f->model, &f->model->trees[0], row);
        margin_of(&margin, f->model, f->x[0] + i * COLUMNS, 1);
        below[leaf] += f->y[0][i] < margin;
        count[leaf]++;
    }
    for (size_t i = 0; i < 5; i++) assert_true(fabs(below[i] - 0.8 * count[i]) <= 1.5);
}

/* ---- weights, margins, custom ---- */

/* A row of weight 2 is a row that stands there twice, where every value has a bin of its own. */
static void test_weights_are_repetitions(void **state) {
    struct fixture *f = *state;
    static float x[2 * ROWS * COLUMNS];
    static double y[2 * ROWS];
    size_t rows = 0;
    for (size_t i = 0; i < ROWS; i++) {
        float *from = f->x[0] + i * COLUMNS;
        for (size_t j = 0; j < COLUMNS; j++) from[j] = floorf(from[j] * 10);
        f->weights[i] = i % 3 == 0 ? 2 : 1;
        for (int n = 0; n < (int)f->weights[i]; n++, rows++) {
            memcpy(x + rows * COLUMNS, from, COLUMNS * sizeof *x);
            y[rows] = f->y[0][i];
        }
    }
    parse(f, "num_iterations=6,min_data_in_leaf=1,min_data_in_bin=1,num_leaves=8");
    f->set.weights = f->weights;
    train_ok(f, NULL);
    struct tree_model *weighted = f->model;
    f->model = NULL;
    f->set = (struct train_set){.x32 = x, .rows = rows, .columns = COLUMNS, .labels = y};
    train_ok(f, NULL);
    for (size_t i = 0; i < rows; i++) {
        double a, b;
        margin_of(&a, weighted, x + i * COLUMNS, 6);
        margin_of(&b, f->model, x + i * COLUMNS, 6);
        assert_true(fabs(a - b) < 1e-6);
    }
    tree_model_destroy(weighted);
}

/* Starting margins take the start's place, and the model is what is added to them. */
static void test_init_margins(void **state) {
    struct fixture *f = *state;
    parse(f, "num_iterations=10");
    for (size_t i = 0; i < ROWS; i++) {
        f->init[0][i] = 2 * (double)f->x[0][i * COLUMNS];
        f->init[1][i] = 2 * (double)f->x[1][i * COLUMNS];
    }
    f->set.init_margin = f->init[0];
    f->valid.init_margin = f->init[1];
    train_ok(f, &f->valid);
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double margin;
        margin_of(&margin, f->model, f->x[1] + i * COLUMNS, 10);
        double error = f->init[1][i] + margin - f->y[1][i];
        sum += error * error / ROWS;
    }
    assert_true(fabs(sum - f->rounds.valid[9]) < 1e-9);
    assert_true(f->model->trees[0].shrinkage < 1); /* no start in it */
    f->valid.init_margin = NULL;
    assert_int_equal(train(f, &f->valid), ST_INVALID);
}

struct kept {
    const double *labels;
    double margin[ROWS];
    uint32_t calls;
};

static void own_binary(void *context, const double *margin, float *gradient, float *hessian,
                       size_t rows, uint32_t outputs) {
    struct kept *k = context;
    double p[ROWS];
    assert_int_equal(rows * outputs, ROWS);
    memcpy(k->margin, margin, sizeof k->margin);
    k->calls++;
    for (size_t i = 0; i < ROWS; i++) p[i] = k->labels[i] > 0 ? -margin[i] : margin[i];
    num_logistic_n(p, p, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        gradient[i] = (float)(k->labels[i] > 0 ? -p[i] : p[i]);
        hessian[i] = (float)(p[i] * (1 - p[i]));
    }
}

/* Binary written as a custom objective grows the same trees; and it sees, bit for bit, the margins of the model so far. */
static void test_custom_is_as_good(void **state) {
    struct fixture *f = *state;
    parse(f, "objective=binary,boost_from_average=false,num_iterations=9");
    shape_labels(f);
    train_ok(f, NULL);
    char *binary = text_of(f->model);
    struct kept *k = calloc(1, sizeof *k);
    k->labels = f->y[0];
    f->params.objective = LGBM_CUSTOM;
    f->params.custom = own_binary;
    f->params.custom_context = k;
    train_ok(f, NULL);
    assert_int_equal(k->calls, 9);
    assert_true(isnan(f->rounds.train[0])); /* no metric was named */
    char *custom = text_of(f->model), *end = strstr(custom, "end of trees");
    assert_memory_equal(strstr(custom, "Tree=0"), strstr(binary, "Tree=0"),
                        (size_t)(end - strstr(custom, "Tree=0")));
    assert_null(strstr(custom, "objective=custom"));
    for (size_t i = 0; i < ROWS; i++) {
        double margin;
        margin_of(&margin, f->model, f->x[0] + i * COLUMNS, 8);
        assert_memory_equal(&margin, &k->margin[i], sizeof margin);
    }
    free(binary);
    free(custom);
    free(k);
}

/* ---- the model's head ---- */

static void test_head(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"open", "high low", "c", "d", "e", "f", "g"};
    static const char *const objectives[OBJECTIVES] = {
        "regression", "regression sqrt",    "regression_l1",          "huber",
        "quantile",   "binary sigmoid:1.5", "multiclass num_class:3", "lambdarank"};
    f->set.names = names;
    for (size_t o = 0; o < OBJECTIVES; o++) {
        lgbm_params_init(&f->params);
        parse(f, every_objective[o]);
        parse(f, "num_iterations=1,num_threads=2");
        fill(f, 0, 1);
        shape_labels(f);
        train_ok(f, NULL);
        assert_string_equal(f->model->objective, objectives[o]);
        assert_string_equal(f->model->version, "v4");
        assert_string_equal(f->model->feature_names[1], "high_low");
        assert_string_equal(f->model->feature_infos[3], "[-4:3]");
        assert_string_equal(tree_model_attribute(f->model, "num_threads"), "0");
    }
}

static void assert_fails(struct fixture *f, enum status st, const char *why) {
    enum status have = train(f, &f->valid);
    if (have != st || !strstr(f->err.text, why))
        fail_msg("%s: \"%s\"", status_name(have), f->err.text);
    assert_null(f->model);
}

static void test_errors(void **state) {
    struct fixture *f = *state;
    static const char *const twice[] = {"a", "b", "c", "d", "e", "f", "a"};
    static const char *const json[] = {"a", "b", "c", "d", "e", "f", "g:h"};
    f->valid.columns = COLUMNS - 1;
    assert_fails(f, ST_INVALID, "validation set: 6 columns");
    f->valid.columns = COLUMNS;
    f->y[1][7] = NAN;
    assert_fails(f, ST_INVALID, "validation set: row 7");
    f->y[1][7] = 0;
    f->set.names = twice;
    assert_fails(f, ST_INVALID, "two columns");
    f->set.names = json;
    assert_fails(f, ST_INVALID, "g:h");
    f->set.names = NULL;
    f->set.rows = 0;
    assert_fails(f, ST_RANGE, "0 rows");
    f->set.rows = ROWS;
    parse(f, "monotone_constraints=0:0:0:0:0:0:0");
    f->set.columns = f->valid.columns = 6;
    assert_fails(f, ST_INVALID, "7 columns");
}

/* ---- memory ---- */

struct peak {
    size_t before, most;
};

static size_t in_use(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static bool note_memory(void *context, uint32_t round, uint32_t rounds_max, double a, double b) {
    struct peak *p = context;
    size_t used = in_use();
    (void)round, (void)rounds_max, (void)a, (void)b;
    if (used > p->most) p->most = used;
    return true;
}

static void test_memory_is_bounded(void **state) {
    static const char *const params[] = {
        "objective=regression", "objective=binary,num_leaves=255,min_data_in_leaf=1,max_bin=1000",
        "objective=multiclass,num_class=3,boosting=goss,learning_rate=1",
        "objective=lambdarank,categorical_feature=3"};
    for (size_t i = 0; i < 4; i++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        parse(f, params[i]);
        parse(f, "num_iterations=10,max_bin=255");
        shape_labels(f);
        for (size_t j = 0; j < ROWS; j++) f->x[0][j * COLUMNS + 3] = (float)(j % 9);
        struct peak p = {.before = in_use()};
        assert_int_equal(
            lgbm_train(&f->model, &f->params, &f->set, &f->valid, note_memory, &p, &f->err), ST_OK);
        size_t bound = lgbm_memory(&f->params, 2 * ROWS, COLUMNS), used = p.most - p.before;
        print_message("%s: %zu of %zu bytes\n", params[i], used, bound);
        /* Nothing in use: a sanitizer's malloc, which does not say. */
        if (p.most > 0) assert_true(used <= bound && used > 0);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_model_is_what_training_saw),
        TEST(test_every_objective_learns),
        TEST(test_text_comes_back),
        TEST(test_threads_do_not_matter),
        TEST(test_seed_matters_where_there_is_chance),
        TEST(test_text_is_the_same_everywhere),
        TEST(test_early_stopping),
        TEST(test_early_stopping_of_auc),
        TEST(test_cancel),
        TEST(test_nothing_splits),
        TEST(test_splits_cease),
        TEST(test_class_that_is_absent),
        TEST(test_first_leaves),
        TEST(test_renewed_leaves),
        TEST(test_weights_are_repetitions),
        TEST(test_init_margins),
        TEST(test_custom_is_as_good),
        TEST(test_head),
        TEST(test_errors),
        TEST(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
