/* Contributions against libxgboost's own (pred_contribs), on models it trains here. Its arithmetic is
 * float32 along whole paths, ours double: they agree within its rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "base/rng.h"
#include "ml/forest/shap.h"
#include "ml/model_io/model_io.h"

enum { ROWS = 600, COLUMNS = 7, ROUNDS = 12, OUTPUTS_MAX = 3, CATEGORIES = 12 };

struct recipe {
    const char *name;
    uint32_t outputs;
    bool categorical;
    const char *params[20];
};
static const struct recipe recipes[] = {
    {"squared error", 1, false, {"objective", "reg:squarederror", "max_depth", "6"}},
    {"logistic, base score",
     1,
     false,
     {"objective", "binary:logistic", "base_score", "0.3", "max_depth", "4"}},
    {"leaf-wise, deep",
     1,
     false,
     {"objective", "reg:squarederror", "tree_method", "hist", "grow_policy", "lossguide",
      "max_leaves", "60", "max_depth", "0", "min_child_weight", "0"}},
    {"three classes",
     3,
     false,
     {"objective", "multi:softprob", "num_class", "3", "max_depth", "3"}},
    {"parallel trees",
     1,
     false,
     {"objective", "binary:logistic", "num_parallel_tree", "3", "subsample", "0.6"}},
    {"dart",
     1,
     false,
     {"objective", "reg:squarederror", "booster", "dart", "rate_drop", "0.4", "max_depth", "4"}},
    {"categories",
     1,
     true,
     {"objective", "reg:squarederror", "tree_method", "hist", "max_cat_to_onehot", "1"}},
    {"categories, one against the rest",
     1,
     true,
     {"objective", "reg:squarederror", "tree_method", "hist", "max_cat_to_onehot", "50"}},
};

static uint64_t seed;

static void must(int result) {
    if (result != 0) fail_msg("%s", XGBGetLastError());
}

static void make_rows(float *x, float *y, const struct recipe *recipe, struct rng *rng) {
    for (size_t i = 0; i < ROWS; i++) {
        float *row = x + i * COLUMNS;
        for (int c = 0; c < COLUMNS; c++)
            row[c] = rng_below(rng, 9) == 0 ? NAN : (float)rng_normal(rng);
        if (recipe->categorical) row[0] = (float)rng_below(rng, CATEGORIES);
        double a = isnan(row[0]) ? 0.3 : (double)row[0], b = isnan(row[1]) ? -1 : (double)row[1];
        double c = isnan(row[2]) ? 1 : (double)row[2];
        if (recipe->categorical) a = sin(5 * a);
        double score = a * b + c + 0.5 * rng_normal(rng);
        bool regression = strncmp(recipe->params[1], "reg", 3) == 0;
        y[i] = regression             ? (float)score
               : recipe->outputs == 3 ? (float)((score > -0.5) + (score > 0.5))
                                      : (float)(score > 0);
    }
}

static DMatrixHandle matrix_make(const float *x, const float *y, bool categorical) {
    DMatrixHandle d;
    must(XGDMatrixCreateFromMat(x, ROWS, COLUMNS, NAN, &d));
    must(XGDMatrixSetFloatInfo(d, "label", y, ROWS));
    const char *types[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) types[c] = categorical && c == 0 ? "c" : "float";
    must(XGDMatrixSetStrFeatureInfo(d, "feature_type", types, COLUMNS));
    return d;
}

static BoosterHandle train(DMatrixHandle d, const struct recipe *recipe) {
    BoosterHandle b;
    must(XGBoosterCreate(&d, 1, &b));
    must(XGBoosterSetParam(b, "nthread", "1"));
    must(XGBoosterSetParam(b, "eta", "0.4"));
    for (int i = 0; recipe->params[i]; i += 2)
        must(XGBoosterSetParam(b, recipe->params[i], recipe->params[i + 1]));
    for (int round = 0; round < ROUNDS; round++) must(XGBoosterUpdateOneIter(b, round, d));
    return b;
}

static const float *library_contributions(BoosterHandle b, DMatrixHandle d, uint32_t last,
                                          uint32_t outputs) {
    char config[160];
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *out;
    snprintf(config, sizeof config,
             "{\"type\": 2, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": %u, "
             "\"strict_shape\": true}",
             last);
    must(XGBoosterPredictFromDMatrix(b, d, config, &shape, &dimensions, &out));
    assert_int_equal(dimensions, 3);
    assert_int_equal(shape[0], ROWS);
    assert_int_equal(shape[1], outputs);
    assert_int_equal(shape[2], COLUMNS + 1);
    return out;
}

static void compare(const struct tree_model *m, const float *x, const float *expected,
                    uint32_t first, uint32_t last, const char *name) {
    void *scratch = malloc(shap_scratch_size(m));
    assert_non_null(scratch);
    double got[OUTPUTS_MAX * (COLUMNS + 1)], row[COLUMNS], worst = 0;
    for (size_t i = 0; i < ROWS; i++) {
        for (int c = 0; c < COLUMNS; c++) row[c] = (double)x[i * COLUMNS + (size_t)c];
        assert_int_equal(shap_contributions(got, m, first, last, row, scratch), ST_OK);
        size_t width = m->outputs * (COLUMNS + 1);
        for (size_t k = 0; k < width; k++) {
            double want = (double)expected[i * width + k], error = fabs(got[k] - want);
            if (!(error <= 5e-6 * (1 + fabs(want))))
                fail_msg("%s, row %zu, [%zu]: %.9g, the library %.9g", name, i, k, got[k], want);
            worst = fmax(worst, error);
        }
    }
    printf("%s, iterations %u to %u: at most %.2g apart\n", name, first, last, worst);
    free(scratch);
}

static void check_recipe(const struct recipe *recipe) {
    static float x[ROWS * COLUMNS], y[ROWS];
    struct rng rng = rng_init(seed);
    make_rows(x, y, recipe, &rng);
    DMatrixHandle d = matrix_make(x, y, recipe->categorical);
    BoosterHandle b = train(d, recipe);
    bst_ulong size;
    const char *bytes;
    must(XGBoosterSaveModelToBuffer(b, "{\"format\": \"ubj\"}", &size, &bytes));
    struct tree_model *m;
    struct err err = {0};
    if (model_parse(&m, bytes, size, recipe->name, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(m->outputs, recipe->outputs);
    static const uint32_t lasts[] = {ROUNDS, 1, 5};
    for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++)
        compare(m, x, library_contributions(b, d, lasts[i], recipe->outputs), 0, lasts[i],
                recipe->name);
    /* A range that does not begin at the first iteration the library knows only as a slice. */
    BoosterHandle slice;
    must(XGBoosterSlice(b, 3, 8, 1, &slice));
    compare(m, x, library_contributions(slice, d, 0, recipe->outputs), 3, 8, recipe->name);
    must(XGBoosterFree(slice));
    tree_model_destroy(m);
    must(XGBoosterFree(b));
    must(XGDMatrixFree(d));
}

static void test_as_the_library(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) check_recipe(&recipes[i]);
}

int main(void) {
    const char *text_seed = getenv("TEST_SEED");
    seed = text_seed ? strtoull(text_seed, NULL, 10) : 20261122;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_the_library)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
