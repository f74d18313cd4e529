/* Training from sets and parameters. Golden: the same sequence of C API calls written out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xgboost/c_api.h>

#include "base/rng.h"
#include "ml/xgboost/xgb_internal.h"

enum {
    ROWS = 1200,
    VALID = 600,
    ALL = ROWS + VALID,
    COLUMNS = 6,
    GROUP = 30,
    STRIDE = COLUMNS + 3
};

static double x64[ALL * COLUMNS], wide[ALL * STRIDE], y_real[ALL], y_two[ALL], y_three[ALL],
    y_count[ALL], weights[ALL], margin[ALL * 3];
static float x32[ALL * COLUMNS];
static uint32_t groups[ALL / GROUP];

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 11;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static int setup(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (size_t i = 0; i < ALL; i++) {
        double *row = x64 + i * COLUMNS;
        for (size_t k = 0; k < COLUMNS; k++) {
            row[k] = (double)(float)rng_normal(&r);
            if (k == 3 && rng_below(&r, 5) == 0) row[k] = (double)NAN;
            if (k == 5) row[k] = (double)rng_below(&r, 4);
            x32[i * COLUMNS + k] = (float)row[k];
            wide[i * STRIDE + k] = row[k];
        }
        for (size_t k = COLUMNS; k < STRIDE; k++) wide[i * STRIDE + k] = 1e9;
        double z = row[0] + 0.7 * row[1] * row[1] + 0.4 * rng_normal(&r);
        y_real[i] = z;
        y_two[i] = z > 0.5;
        y_three[i] = z < -0.3 ? 0 : z < 0.8 ? 1 : 2;
        y_count[i] = floor(exp(fmin(z, 3))) + 1;
        weights[i] = 0.5 + rng_f64(&r);
        for (size_t k = 0; k < 3; k++) margin[i * 3 + k] = 0.1 * rng_normal(&r);
    }
    for (size_t g = 0; g < ALL / GROUP; g++) groups[g] = GROUP;
    return 0;
}

static struct train_set set_of(const double *labels, bool is_valid) {
    size_t from = is_valid ? ROWS : 0;
    return (struct train_set){.x64 = x64 + from * COLUMNS,
                              .rows = is_valid ? VALID : ROWS,
                              .columns = COLUMNS,
                              .labels = labels + from};
}

struct watch {
    uint32_t calls, stop_at, rounds_max;
    double first_train, train, valid, best_valid;
    uint32_t best_round;
    bool up;
};

static bool watch_round(void *context, uint32_t round, uint32_t rounds_max, double train,
                        double valid) {
    struct watch *w = context;
    assert_int_equal(round, ++w->calls);
    w->rounds_max = rounds_max;
    if (round == 1) w->first_train = train;
    w->train = train;
    w->valid = valid;
    if (w->best_round == 0 || (w->up ? valid > w->best_valid : valid < w->best_valid)) {
        w->best_valid = valid;
        w->best_round = round;
    }
    return round != w->stop_at;
}

static struct xgb_trained train_ok(const char *params, const struct train_set *train,
                                   const struct train_set *valid, struct watch *w) {
    struct xgb_trained t;
    struct err err = {0};
    if (xgb_train(&t, params, train, valid, w ? watch_round : NULL, w, &err) != ST_OK)
        fail_msg("%s: %s", params, err.text);
    assert_int_equal(t.size, strlen(t.bytes));
    return t;
}

static void refused(enum status expected, const char *needle, const char *params,
                    const struct train_set *train, const struct train_set *valid) {
    struct xgb_trained t;
    struct err err = {0};
    enum status st = xgb_train(&t, params, train, valid, NULL, NULL, &err);
    if (st != expected || !strstr(err.text, needle))
        fail_msg("%s: %s: %s", params, status_name(st), err.text);
    assert_null(t.bytes);
}

static void same_model(const char *what, struct xgb_trained *a, struct xgb_trained *b, bool same) {
    bool equal = a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
    if (equal != same) fail_msg("%s: the models are %s", what, equal ? "the same" : "different");
    xgb_trained_free(a);
    xgb_trained_free(b);
}

#define API(call) assert_int_equal((call), 0)

/* What xgb_train should come to, in the library's plainest calls. keys: pairs, ended by NULL. */
static struct xgb_trained by_hand(const char *const *keys, int rounds, const float *labels,
                                  const float *set_weights, const float *set_margin,
                                  size_t outputs) {
    DMatrixHandle m;
    BoosterHandle b;
    bst_ulong size;
    const char *bytes;
    API(XGDMatrixCreateFromMat(x32, ROWS, COLUMNS, NAN, &m));
    API(XGDMatrixSetFloatInfo(m, "label", labels, ROWS));
    if (set_weights) API(XGDMatrixSetFloatInfo(m, "weight", set_weights, ROWS));
    if (set_margin) API(XGDMatrixSetFloatInfo(m, "base_margin", set_margin, ROWS * outputs));
    API(XGBoosterCreate(&m, 1, &b));
    API(XGBoosterSetParam(b, "nthread", "1"));
    for (size_t i = 0; keys[i]; i += 2) API(XGBoosterSetParam(b, keys[i], keys[i + 1]));
    for (int i = 0; i < rounds; i++) API(XGBoosterUpdateOneIter(b, i, m));
    API(XGBoosterSaveModelToBuffer(b, "{\"format\":\"json\"}", &size, &bytes));
    struct xgb_trained t = {malloc((size_t)size + 1), size, (uint32_t)rounds};
    memcpy(t.bytes, bytes, size);
    t.bytes[size] = 0;
    XGBoosterFree(b);
    XGDMatrixFree(m);
    return t;
}

static void it_is_the_librarys_model(void **state) {
    (void)state;
    float y[ROWS], w[ROWS], base[ROWS * 3];
    for (size_t i = 0; i < ROWS * 3; i++) base[i] = (float)margin[i];
    for (size_t i = 0; i < ROWS; i++) {
        y[i] = (float)y_three[i];
        w[i] = (float)weights[i];
    }
    struct train_set s = set_of(y_three, false);
    s.weights = weights;
    s.init_margin = margin;
    static const char *const three[] = {
        "objective", "multi:softprob", "num_class", "3", "eta", "0.3", "max_depth",
        "3",         "tree_method",    "hist",      NULL};
    struct xgb_trained a = train_ok("objective=multi:softprob,num_class=3,eta=0.3,max_depth=3,"
                                    "tree_method=hist,num_boost_round=7",
                                    &s, NULL, NULL);
    struct xgb_trained b = by_hand(three, 7, y, w, base, 3);
    assert_int_equal(a.rounds, 7);
    same_model("weights and margins", &a, &b, true);

    for (size_t i = 0; i < ROWS; i++) y[i] = (float)y_real[i];
    s = set_of(y_real, false);
    static const char *const real[] = {"monotone_constraints",
                                       "(1,0,0,0,0,0)",
                                       "interaction_constraints",
                                       "[[0,1],[2,3,4]]",
                                       "grow_policy",
                                       "lossguide",
                                       "max_leaves",
                                       "9",
                                       "max_depth",
                                       "0",
                                       "tree_method",
                                       "hist",
                                       NULL};
    a = train_ok("monotone_constraints=(1,0,0,0,0,0), interaction_constraints=[[0,1],[2,3,4]],"
                 "grow_policy=lossguide,max_leaves=9,max_depth=0,tree_method=hist,n_estimators=5",
                 &s, NULL, NULL);
    b = by_hand(real, 5, y, NULL, NULL, 1);
    same_model("constraints", &a, &b, true);
    /* Ten rounds unless told otherwise, as xgboost.train. */
    static const char *const nothing[] = {NULL};
    a = train_ok("", &s, NULL, NULL);
    b = by_hand(nothing, 10, y, NULL, NULL, 1);
    same_model("defaults", &a, &b, true);
}

static void how_values_are_held_does_not_matter(void **state) {
    (void)state;
    static const char params[] = "objective=binary:logistic,tree_method=hist,subsample=0.7,seed=3";
    struct train_set s = set_of(y_two, false);
    for (int i = 0; i < 3; i++) {
        struct xgb_trained a = train_ok(params, &s, NULL, NULL);
        struct train_set other = s;
        if (i == 1) {
            other.x64 = NULL;
            other.x32 = x32;
        } else if (i == 2) {
            other.x64 = wide;
            other.stride = STRIDE;
        }
        struct xgb_trained b = train_ok(params, &other, NULL, NULL);
        same_model("layout", &a, &b, true);
    }
    struct xgb_trained a = train_ok(params, &s, NULL, NULL);
    struct xgb_trained b =
        train_ok("objective=binary:logistic,tree_method=hist,subsample=0.7,seed=4", &s, NULL, NULL);
    same_model("seed", &a, &b, false);
}

/* Each learns: its own metric improves from the first round to the last. */
static void every_objective_trains(void **state) {
    (void)state;
    static const struct {
        const char *params;
        const double *labels;
        bool grouped, up;
    } cases[] = {
        {"objective=reg:squarederror", y_real, false, false},
        {"objective=reg:squaredlogerror", y_count, false, false},
        {"objective=reg:logistic", y_two, false, false},
        {"objective=reg:pseudohubererror", y_real, false, false},
        {"objective=reg:absoluteerror", y_real, false, false},
        {"objective=binary:logistic", y_two, false, false},
        {"objective=binary:logitraw", y_two, false, false},
        {"objective=binary:logistic,eval_metric=logloss,eval_metric=auc", y_two, false, true},
        {"objective=binary:hinge", y_two, false, false},
        {"objective=count:poisson", y_count, false, false},
        {"objective=reg:gamma", y_count, false, false},
        {"objective=reg:tweedie,tweedie_variance_power=1.4", y_count, false, false},
        {"objective=survival:cox", y_count, false, false},
        {"objective=multi:softprob,num_class=3", y_three, false, false},
        {"objective=multi:softmax,num_class=3", y_three, false, false},
        {"objective=rank:pairwise,eval_metric=ndcg@5", y_three, true, true},
        {"objective=rank:ndcg", y_three, true, true},
        {"objective=rank:map", y_two, true, true},
        {"booster=dart,rate_drop=0.1,objective=binary:logistic", y_two, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char params[256];
        struct watch w = {0};
        struct train_set s = set_of(cases[i].labels, false);
        if (cases[i].grouped) {
            s.group_rows = groups;
            s.groups = ROWS / GROUP;
        }
        snprintf(params, sizeof params, "%s,tree_method=hist,max_depth=3,num_boost_round=12",
                 cases[i].params);
        struct xgb_trained t = train_ok(params, &s, NULL, &w);
        print_message("%-62s %g -> %g\n", cases[i].params, w.first_train, w.train);
        assert_int_equal(w.calls, 12);
        assert_true(isnan(w.valid));
        assert_true(cases[i].up ? w.train > w.first_train : w.train < w.first_train);
        xgb_trained_free(&t);
    }
}

/* The rounds that stay are those up to the best one: trained to that number alone, the same model. */
static void early_stopping_keeps_the_best(void **state) {
    (void)state;
    static const struct {
        const char *params;
        bool up;
    } cases[] = {{"objective=binary:logistic,eta=0.5,tree_method=hist", false},
                 {"objective=binary:logistic,eta=0.5,tree_method=hist,eval_metric=auc", true}};
    struct train_set s = set_of(y_two, false), v = set_of(y_two, true);
    for (size_t i = 0; i < 2; i++) {
        char params[256];
        struct watch w = {.up = cases[i].up};
        snprintf(params, sizeof params, "%s,num_boost_round=200,early_stopping_rounds=8",
                 cases[i].params);
        struct xgb_trained a = train_ok(params, &s, &v, &w);
        assert_int_equal(w.rounds_max, 200);
        assert_int_equal(a.rounds, w.best_round);
        assert_int_equal(w.calls, w.best_round + 8);
        snprintf(params, sizeof params, "%s,num_boost_round=%u", cases[i].params, a.rounds);
        struct xgb_trained b = train_ok(params, &s, &v, NULL);
        same_model("cut and short", &a, &b, true);
    }
}

static void ranking_weighs_queries(void **state) {
    (void)state;
    static const char params[] = "objective=rank:pairwise,tree_method=hist";
    static double of_rows[ROWS];
    struct train_set s = set_of(y_three, false);
    s.group_rows = groups;
    s.groups = ROWS / GROUP;
    struct xgb_trained a = train_ok(params, &s, NULL, NULL);
    for (size_t i = 0; i < ROWS; i++) of_rows[i] = i / GROUP % 2 ? 3 : 0.25;
    s.weights = of_rows;
    struct xgb_trained b = train_ok(params, &s, NULL, NULL);
    same_model("weights of queries", &a, &b, false);
    of_rows[GROUP + 1] = 4;
    refused(ST_INVALID, "weights within query 1 differ", params, &s, NULL);
    s.weights = NULL;
    s.groups--;
    refused(ST_INVALID, "groups hold 1170 rows, there are 1200", params, &s, NULL);
    s.groups = 0;
    refused(ST_INVALID, "needs the rows of each query", params, &s, NULL);
}

static void names_and_types_travel(void **state) {
    (void)state;
    static const char *const names[COLUMNS] = {"a", "b", "c", "d", "e", "size"};
    struct train_set s = set_of(y_real, false);
    s.names = names;
    struct xgb_trained t = train_ok(
        "tree_method=hist,feature_types=[q,q,q,q,q,c],max_cat_to_onehot=1", &s, NULL, NULL);
    assert_non_null(strstr(t.bytes, "\"feature_names\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"size\"]"));
    assert_non_null(strstr(t.bytes, "\"feature_types\":[\"q\",\"q\",\"q\",\"q\",\"q\",\"c\"]"));
    xgb_trained_free(&t);
    refused(ST_INVALID, "2 given, there are 6 columns", "feature_types=[q,c]", &s, NULL);
    refused(ST_INVALID, "none of q c float int i", "feature_types=\"q,q,q,q,q,z\"", &s, NULL);
}

static void cancel_gives_no_model(void **state) {
    (void)state;
    struct watch w = {.stop_at = 3};
    struct train_set s = set_of(y_real, false);
    struct xgb_trained t;
    struct err err;
    assert_int_equal(xgb_train(&t, "", &s, NULL, watch_round, &w, &err), ST_INTERRUPTED);
    assert_int_equal(w.calls, 3);
    assert_null(t.bytes);
}

static void bad_parameters_are_named(void **state) {
    (void)state;
    struct train_set s = set_of(y_two, false);
    refused(ST_NOT_FOUND, "max_dept'", "max_dept=3", &s, NULL);
    refused(ST_NOT_FOUND, "device'", "device=cpu", &s, NULL); /* of 2.x */
    refused(ST_NOT_FOUND, "num_leaves'", "num_leaves=31", &s, NULL);
    refused(ST_UNSUPPORTED, "gblinear", "booster=gblinear", &s, NULL);
    refused(ST_INVALID, "not name=value", "eta", &s, NULL);
    refused(ST_INVALID, "not name=value", "eta=0.1,,max_depth=3", &s, NULL);
    refused(ST_INVALID, "not name=value", "eta=", &s, NULL);
    refused(ST_INVALID, "do not close", "monotone_constraints=(1,0", &s, NULL);
    refused(ST_INVALID, "do not close", "monotone_constraints=1)", &s, NULL);
    refused(ST_INVALID, "num_boost_round=0", "num_boost_round=0", &s, NULL);
    refused(ST_INVALID, "num_boost_round=-3", "num_boost_round=-3", &s, NULL);
    refused(ST_INVALID, "num_boost_round=1e3", "num_boost_round=1e3", &s, NULL);
    refused(ST_INVALID, "maximize=maybe", "maximize=maybe", &s, NULL);
    refused(ST_INVALID, "needs a validation set", "early_stopping_rounds=5", &s, NULL);
    refused(ST_INVALID, "needs num_class", "objective=multi:softprob", &s, NULL);
    refused(ST_EXTERNAL, "xgboost: train:", "eta=-4", &s, NULL);
    refused(ST_EXTERNAL, "xgboost: train:", "max_depth=deep", &s, NULL);
    refused(ST_EXTERNAL, "xgboost: train:", "objective=binary:logit", &s, NULL);
    /* Known, without effect here: the library says so in the log, the model is made. */
    struct xgb_trained t = train_ok("rate_drop=0.1,num_boost_round=1", &s, NULL, NULL);
    xgb_trained_free(&t);
}

static void bad_data_is_named(void **state) {
    (void)state;
    struct train_set s = set_of(y_two, false), v = set_of(y_two, true), t;
    v.columns--;
    refused(ST_MISMATCH, "6 columns to train, 5 to validate", "", &s, &v);
    t = s;
    t.rows = 0;
    refused(ST_INVALID, "train: no rows", "", &t, NULL);
    t = set_of(y_three, false);
    refused(ST_INVALID, "label 2 is not a class below 2", "objective=multi:softprob,num_class=2",
            &t, NULL);
    refused(ST_INVALID, "label 2 is not in 0..1", "objective=binary:logistic", &t, NULL);
    double kept = y_two[7];
    y_two[7] = (double)NAN;
    refused(ST_INVALID, "train row 7: the label is not a number", "", &s, NULL);
    y_two[7] = kept;
    t = s;
    t.weights = weights;
    kept = weights[9];
    weights[9] = -1;
    refused(ST_INVALID, "train row 9: weight -1", "", &t, NULL);
    weights[9] = kept;
    kept = x64[5];
    x64[5] = (double)INFINITY;
    refused(ST_EXTERNAL, "train: xgboost: rows", "", &s, NULL);
    x64[5] = kept;
}

static void memory_grows_with_the_set(void **state) {
    (void)state;
    static const char many[] = "objective=multi:softprob,num_class=9";
    size_t base, rows, columns, outputs;
    struct err err;
    assert_int_equal(xgb_memory(&base, "", 1000, 10, &err), ST_OK);
    assert_int_equal(xgb_memory(&rows, "", 2000, 10, &err), ST_OK);
    assert_int_equal(xgb_memory(&columns, "", 1000, 20, &err), ST_OK);
    assert_int_equal(xgb_memory(&outputs, many, 1000, 10, &err), ST_OK);
    assert_true(base > 1000 * 10 * sizeof(float) && base < rows && base < columns);
    assert_true(base < outputs);
    assert_int_equal(xgb_memory(&base, "x=1", 1000, 10, &err), ST_NOT_FOUND);
}

static void version_is_the_librarys(void **state) {
    (void)state;
    char text[XGB_VERSION_SIZE];
    assert_true(!strncmp(xgb_version(text), "xgboost ", 8) && strchr(text, '.'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_librarys_model),
        cmocka_unit_test(how_values_are_held_does_not_matter),
        cmocka_unit_test(every_objective_trains),
        cmocka_unit_test(early_stopping_keeps_the_best),
        cmocka_unit_test(ranking_weighs_queries),
        cmocka_unit_test(names_and_types_travel),
        cmocka_unit_test(cancel_gives_no_model),
        cmocka_unit_test(bad_parameters_are_named),
        cmocka_unit_test(bad_data_is_named),
        cmocka_unit_test(memory_grows_with_the_set),
        cmocka_unit_test(version_is_the_librarys),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
