/* Readers and writers of XGBoost's files against the linked library: models of every objective, booster
 * and kind of split are trained, read here and walked; what is written here, the library must read and
 * predict the same by. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xgboost/c_api.h>

#include "base/rng.h"
#include "ml/model_io/model_io.h"

enum { ROWS = 400, COLUMNS = 5, ROUNDS = 3, OUTPUTS_MAX = 8 };

/* What is trained: labels by name, then pairs of parameters. */
struct recipe {
    const char *objective, *labels;
    const char *params[16];
};
static const struct recipe recipes[] = {
    {"reg:squarederror", "real", {"max_depth", "4"}},
    {"reg:squarederror", "real", {"base_score", "-3.25", "tree_method", "hist"}},
    {"reg:squarederror", "two", {"max_depth", "3"}},
    {"reg:squarederror",
     "real",
     {"grow_policy", "lossguide", "max_leaves", "9", "max_depth", "0", "tree_method", "hist"}},
    {"reg:squarederror", "real", {"tree_method", "exact", "gamma", "20", "max_depth", "5"}},
    {"reg:squaredlogerror", "positive", {NULL}},
    {"reg:logistic", "binary", {"base_score", "0.2"}},
    {"reg:pseudohubererror", "real", {"huber_slope", "2"}},
    {"reg:absoluteerror", "real", {NULL}},
    {"binary:logistic", "binary", {"scale_pos_weight", "3"}},
    {"binary:logistic", "binary", {"base_score", "0.37", "booster", "dart", "rate_drop", "0.5"}},
    {"binary:logistic", "binary", {"num_parallel_tree", "3", "subsample", "0.5"}},
    {"binary:logistic",
     "binary",
     {"tree_method", "hist", "max_cat_to_onehot", "4", "categories", ""}},
    {"binary:logitraw", "binary", {"base_score", "0.3"}},
    {"binary:hinge", "binary", {NULL}},
    {"count:poisson", "positive", {"base_score", "2.5"}},
    {"survival:cox", "positive", {NULL}},
    {"survival:aft", "aft", {"aft_loss_distribution", "logistic"}},
    {"multi:softmax", "classes", {"num_class", "3"}},
    {"multi:softprob", "classes", {"num_class", "3", "base_score", "0.1"}},
    {"multi:softprob",
     "classes",
     {"num_class", "3", "num_parallel_tree", "2", "booster", "dart", "rate_drop", "0.5",
      "subsample", "0.5"}},
    {"multi:softprob",
     "classes",
     {"num_class", "3", "tree_method", "approx", "categories", "", "max_cat_to_onehot", "1"}},
    {"rank:pairwise", "group", {NULL}},
    {"rank:ndcg", "group", {NULL}},
    {"rank:map", "binary group", {NULL}},
    {"reg:gamma", "positive", {NULL}},
    {"reg:tweedie", "positive", {"tweedie_variance_power", "1.3"}},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static uint64_t seed;

static void must(int result) {
    if (result != 0) fail_msg("%s", XGBGetLastError());
}

static double draw(struct rng *r) {
    return rng_f64(r) * 4 - 2;
}

/* Columns 0 and 1 hold categories (40 and 3), the rest reals; one value in eight is missing. */
static void make_rows(float *x, struct rng *r) {
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        size_t column = i % COLUMNS;
        if (rng_f64(r) < 0.125)
            x[i] = NAN;
        else if (column < 2)
            x[i] = floorf((float)(rng_f64(r) * (column == 0 ? 40 : 3)));
        else
            x[i] = (float)draw(r);
    }
}

static double signal(const float *row) {
    double a = isnan(row[2]) ? 0.3 : (double)row[2], b = isnan(row[3]) ? -0.5 : (double)row[3];
    double c = isnan(row[0]) ? 0 : (double)((int)row[0] * 7 % 11) / 5 - 1;
    return a + a * b + c + (row[1] == 1 ? 0.5 : 0);
}

static void set_info(DMatrixHandle d, const char *field, const float *values) {
    must(XGDMatrixSetFloatInfo(d, field, values, ROWS));
}

static void set_two_targets(DMatrixHandle d, const float *values) {
    char text[160];
    snprintf(text, sizeof text,
             "{\"data\":[%zu,false],\"shape\":[%d,2],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)values, ROWS);
    must(XGDMatrixSetInfoFromInterface(d, "label", text));
}

static void set_labels(DMatrixHandle d, const float *x, const char *kind, struct rng *r) {
    static float y[2 * ROWS], upper[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        double z = signal(x + i * COLUMNS) + draw(r) / 4;
        if (strstr(kind, "binary"))
            y[i] = z > 0 ? 1 : 0;
        else if (strcmp(kind, "classes") == 0 || strcmp(kind, "group") == 0)
            y[i] = z < -0.5 ? 0 : z < 0.7 ? 1 : 2;
        else if (strcmp(kind, "positive") == 0 || strcmp(kind, "aft") == 0)
            y[i] = (float)exp(z / 2);
        else
            y[i] = (float)(10 * z);
        upper[i] = y[i] * 1.5F;
        if (strcmp(kind, "two") == 0) continue;
    }
    if (strcmp(kind, "two") == 0) {
        for (size_t i = ROWS; i < (size_t)2 * ROWS; i++) y[i] = (float)draw(r);
        set_two_targets(d, y);
        return;
    }
    set_info(d, "label", y);
    if (strcmp(kind, "aft") == 0) {
        set_info(d, "label_lower_bound", y);
        set_info(d, "label_upper_bound", upper);
    }
    static const unsigned groups[ROWS / 20] = {20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
                                               20, 20, 20, 20, 20, 20, 20, 20, 20, 20};
    if (strstr(kind, "group")) must(XGDMatrixSetUIntInfo(d, "group", groups, ROWS / 20));
}

struct trained {
    BoosterHandle booster;
    DMatrixHandle probes;
    float x[ROWS * COLUMNS]; /* of the probes */
};

static bool has_categories(const struct recipe *recipe) {
    for (int i = 0; recipe->params[i]; i += 2)
        if (strcmp(recipe->params[i], "categories") == 0) return true;
    return false;
}

/* Rows the model has not seen: others, zeros, huge, tiny, and numbers that are no categories. */
static void make_probes(struct trained *t, bool categories, struct rng *r) {
    static const float odd[] = {0,  -0.0F, 1e30F, -1e30F, 1e-40F, 16777216, 3e9F,
                                -1, -0.5F, 1.7F,  64,     41,     39.99F,   NAN};
    enum { ODD = sizeof odd / sizeof *odd };
    make_rows(t->x, r);
    for (size_t i = 0; i < (size_t)ODD * 4; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            if (i % 4 != 3 || c < 2) t->x[i * COLUMNS + c] = odd[(i / 4 + c * (i % 4)) % ODD];
    must(XGDMatrixCreateFromMat(t->x, ROWS, COLUMNS, NAN, &t->probes));
    if (!categories) return;
    const char *types[COLUMNS] = {"c", "c", "q", "q", "q"};
    must(XGDMatrixSetStrFeatureInfo(t->probes, "feature_type", types, COLUMNS));
}

static void train(struct trained *t, const struct recipe *recipe, struct rng *r) {
    static float x[ROWS * COLUMNS];
    DMatrixHandle d;
    make_rows(x, r);
    must(XGDMatrixCreateFromMat(x, ROWS, COLUMNS, NAN, &d));
    set_labels(d, x, recipe->labels, r);
    if (has_categories(recipe)) {
        const char *types[COLUMNS] = {"c", "c", "q", "q", "q"};
        must(XGDMatrixSetStrFeatureInfo(d, "feature_type", types, COLUMNS));
    }
    must(XGBoosterCreate(&d, 1, &t->booster));
    must(XGBoosterSetParam(t->booster, "objective", recipe->objective));
    must(XGBoosterSetParam(t->booster, "nthread", "1"));
    must(XGBoosterSetParam(t->booster, "verbosity", "0"));
    for (int i = 0; recipe->params[i]; i += 2)
        if (strcmp(recipe->params[i], "categories") != 0)
            must(XGBoosterSetParam(t->booster, recipe->params[i], recipe->params[i + 1]));
    for (int round = 0; round < ROUNDS; round++) must(XGBoosterUpdateOneIter(t->booster, round, d));
    must(XGBoosterSetAttr(t->booster, "note", "quoted \"text\"\nof two lines"));
    must(XGDMatrixFree(d));
    make_probes(t, has_categories(recipe), r);
}

static void trained_free(struct trained *t) {
    must(XGDMatrixFree(t->probes));
    must(XGBoosterFree(t->booster));
}

/* type 0: predictions, 1: margins, 6: leaves; over the iterations [first, last). */
static const float *library_predict(BoosterHandle b, DMatrixHandle d, int type, uint32_t first,
                                    uint32_t last, size_t *width) {
    char config[160];
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *out;
    snprintf(config, sizeof config,
             "{\"type\":%d,\"training\":false,\"iteration_begin\":%u,\"iteration_end\":%u,"
             "\"strict_shape\":false}",
             type, first, last);
    must(XGBoosterPredictFromDMatrix(b, d, config, &shape, &dimensions, &out));
    size_t total = 1;
    for (bst_ulong i = 0; i < dimensions; i++) total *= (size_t)shape[i];
    *width = total / ROWS;
    return out;
}

static char *library_save(BoosterHandle b, const char *config, size_t *size) {
    bst_ulong length;
    char const *bytes;
    must(XGBoosterSaveModelToBuffer(b, config, &length, &bytes));
    char *copy = malloc((size_t)length + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, (size_t)length);
    copy[length] = '\0';
    *size = (size_t)length;
    return copy;
}

static struct tree_model *read_saved(BoosterHandle b, const char *config) {
    size_t size;
    struct tree_model *m;
    struct err err = {0};
    char *bytes = library_save(b, config, &size);
    if (model_parse(&m, bytes, size, config, &err) != ST_OK) fail_msg("%s", err.text);
    free(bytes);
    return m;
}

static void row_of(double out[COLUMNS], const struct trained *t, size_t row) {
    for (size_t c = 0; c < COLUMNS; c++) out[c] = (double)t->x[row * COLUMNS + c];
}

static void margins_agree(const struct trained *t, const struct tree_model *m, uint32_t first,
                          uint32_t last) {
    size_t width;
    const float *want = library_predict(t->booster, t->probes, 1, first, last, &width);
    assert_int_equal(width, m->outputs);
    for (size_t row = 0; row < ROWS; row++) {
        double x[COLUMNS], out[OUTPUTS_MAX];
        row_of(x, t, row);
        tree_margin_ref(out, m, first, last, x);
        for (size_t k = 0; k < width; k++)
            if (out[k] != (double)want[row * width + k])
                fail_msg("%s row %zu: %.9g, not %.9g", m->objective, row, out[k],
                         (double)want[row * width + k]);
    }
}

static void predictions_agree(const struct trained *t, const struct tree_model *m) {
    size_t width;
    const float *want = library_predict(t->booster, t->probes, 0, 0, 0, &width);
    assert_int_equal(width, tree_prediction_columns(m));
    for (size_t row = 0; row < ROWS; row++) {
        double x[COLUMNS], out[OUTPUTS_MAX];
        row_of(x, t, row);
        tree_margin_ref(out, m, 0, ROUNDS, x);
        tree_transform(out, m, ROUNDS, out);
        for (size_t k = 0; k < width; k++) {
            double w = (double)want[row * width + k];
            if (!(fabs(out[k] - w) <= 2e-7 * fmax(1, fabs(w))))
                fail_msg("%s row %zu: %.9g, not %.9g", m->objective, row, out[k], w);
        }
    }
}

static void leaves_agree(const struct trained *t, const struct tree_model *m) {
    size_t width;
    const float *want = library_predict(t->booster, t->probes, 6, 0, 0, &width);
    assert_int_equal(width, m->tree_count);
    for (size_t row = 0; row < ROWS; row++) {
        double x[COLUMNS];
        row_of(x, t, row);
        for (uint32_t i = 0; i < m->tree_count; i++)
            assert_int_equal(m->trees[i].leaf_id[tree_walk_ref(m, &m->trees[i], x)],
                             (int32_t)want[row * width + i]);
    }
}

static void test_walks_as_the_library(void **state) {
    (void)state;
    for (size_t i = 0; i < RECIPES; i++) {
        struct rng r = rng_init(seed + i);
        struct trained t;
        train(&t, &recipes[i], &r);
        struct tree_model *m = read_saved(t.booster, "{\"format\":\"json\"}");
        assert_string_equal(m->objective, recipes[i].objective);
        assert_string_equal(tree_model_attribute(m, "note"), "quoted \"text\"\nof two lines");
        assert_int_equal(m->tree_count, ROUNDS * m->trees_per_iteration);
        margins_agree(&t, m, 0, ROUNDS);
        margins_agree(&t, m, 1, 2);
        predictions_agree(&t, m);
        leaves_agree(&t, m);
        tree_model_destroy(m);
        trained_free(&t);
    }
}

/* The flag says whether training may still estimate a base score; ours is settled. */
static void settle_flag(char *json) {
    char *flag = strstr(json, "\"boost_from_average\":\"1\"");
    if (flag) flag[strlen("\"boost_from_average\":\"")] = '0';
}

/* Weights of leaves before the learning rate, which some updaters state, are not kept: nothing uses them. */
static void drop_weights(char *json) {
    static const char key[] = "\"base_weights\":[";
    for (char *p = json; (p = strstr(p, key));) {
        p += sizeof key - 1;
        char *end = strchr(p, ']');
        assert_non_null(end);
        memmove(p, end, strlen(end) + 1);
    }
}

static void same_text(const char *a, const char *b) {
    size_t same = 0;
    while (a[same] && a[same] == b[same]) same++;
    size_t from = same > 60 ? same - 60 : 0;
    if (a[same] != b[same]) fail_msg("byte %zu: %.120s, not %.120s", same, a + from, b + from);
}

/* Nodes pruned away lose what they were: the library keeps their numbers, we write blanks. */
static bool has_pruned(const char *json) {
    for (const char *p = json; (p = strstr(p, "\"num_deleted\":\"")); p++)
        if (p[strlen("\"num_deleted\":\"")] != '0') return true;
    return false;
}

static void loads_and_predicts(const struct trained *t, const char *bytes, size_t size) {
    BoosterHandle b;
    size_t width, again_width;
    must(XGBoosterCreate(NULL, 0, &b));
    must(XGBoosterLoadModelFromBuffer(b, bytes, size));
    static float want[ROWS * 64];
    for (int type = 0; type <= 6; type += type == 0 ? 1 : 5) {
        const float *p = library_predict(t->booster, t->probes, type, 0, 0, &width);
        assert_true(width <= 64);
        memcpy(want, p, ROWS * width * sizeof *want);
        p = library_predict(b, t->probes, type, 0, 0, &again_width);
        assert_int_equal(again_width, width);
        assert_memory_equal(p, want, ROWS * width * sizeof *want);
    }
    must(XGBoosterFree(b));
}

static void test_library_reads_what_is_written(void **state) {
    (void)state;
    for (size_t i = 0; i < RECIPES; i++) {
        struct rng r = rng_init(seed + i);
        struct trained t;
        struct err err = {0};
        size_t json_size, own_size = 0, ubj_size, own_ubj_size = 0;
        char *own_json = NULL, *own_ubj = NULL;
        train(&t, &recipes[i], &r);
        struct tree_model *m = read_saved(t.booster, "{\"format\":\"ubj\"}");
        char *json = library_save(t.booster, "{\"format\":\"json\"}", &json_size);
        char *ubj = library_save(t.booster, "{\"format\":\"ubj\"}", &ubj_size);
        if (model_print(&own_json, &own_size, m, MODEL_FORMAT_AUTO, &err) != ST_OK ||
            model_print(&own_ubj, &own_ubj_size, m, MODEL_XGBOOST_UBJ, &err) != ST_OK)
            fail_msg("%s", err.text);
        settle_flag(json);
        if (!has_pruned(json)) assert_int_equal(own_ubj_size, ubj_size);
        loads_and_predicts(&t, own_json, own_size);
        loads_and_predicts(&t, own_ubj, own_ubj_size);
        drop_weights(json);
        drop_weights(own_json);
        if (!has_pruned(json)) same_text(own_json, json);
        free(own_json);
        free(own_ubj);
        free(json);
        free(ubj);
        tree_model_destroy(m);
        trained_free(&t);
    }
}

static void test_linear_booster_is_refused(void **state) {
    (void)state;
    static const struct recipe linear = {"reg:squarederror", "real", {"booster", "gblinear"}};
    static const char *const formats[] = {"{\"format\":\"json\"}", "{\"format\":\"ubj\"}"};
    struct rng r = rng_init(seed);
    struct trained t;
    train(&t, &linear, &r);
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        struct tree_model *m;
        struct err err = {0};
        char *bytes = library_save(t.booster, formats[i], &size);
        assert_int_equal(model_parse(&m, bytes, size, "linear", &err), ST_UNSUPPORTED);
        assert_non_null(strstr(err.text, "gblinear"));
        assert_null(m);
        free(bytes);
    }
    trained_free(&t);
}

/* ---- said as LightGBM text ---- */

/* Values around every threshold of a column: the floats beside it and the doubles around their middle. */
static size_t edges(double *out, size_t max, const struct tree_model *m, int32_t column) {
    size_t count = 0;
    for (uint32_t i = 0; i < m->tree_count; i++)
        for (uint32_t s = 0; s < m->trees[i].split_count && count + 7 <= max; s++) {
            if (m->trees[i].feature[s] != column) continue;
            float t = (float)m->trees[i].threshold[s], below = nextafterf(t, -INFINITY);
            double middle = ((double)t + (double)below) / 2;
            const double near[] = {(double)t,
                                   (double)below,
                                   middle,
                                   nextafter(middle, INFINITY),
                                   nextafter(middle, -INFINITY),
                                   nextafter((double)t, -INFINITY),
                                   nextafter((double)t, INFINITY)};
            for (size_t k = 0; k < 7; k++) out[count++] = near[k];
        }
    return count;
}

static void converts(const struct tree_model *m) {
    struct tree_model *l;
    struct err err = {0};
    char *text = NULL;
    size_t size = 0;
    if (model_print(&text, &size, m, MODEL_LIGHTGBM_TEXT, &err) != ST_OK ||
        model_parse(&l, text, size, "converted", &err) != ST_OK)
        fail_msg("%s: %s", m->objective, err.text);
    double bound = 0;
    for (uint32_t i = 0; i < m->tree_count; i++) {
        double most = 0;
        for (uint32_t k = 0; k <= m->trees[i].split_count; k++)
            most = fmax(most, fabs(m->trees[i].leaf_value[k]));
        bound += most;
    }
    bound = (bound + fabs(m->base_margin[0])) * (m->tree_count + 1) * 0x1p-24;
    static double near[COLUMNS][512];
    size_t counts[COLUMNS];
    for (int32_t c = 0; c < COLUMNS; c++) {
        counts[c] = edges(near[c], 510, m, c);
        near[c][counts[c]++] = NAN;
        near[c][counts[c]++] = 0;
    }
    struct rng r = rng_init(seed);
    uint32_t iterations = m->tree_count / m->trees_per_iteration;
    for (int row = 0; row < 3000; row++) {
        double x[COLUMNS], a[OUTPUTS_MAX], b[OUTPUTS_MAX];
        for (int c = 0; c < COLUMNS; c++) x[c] = near[c][(size_t)(rng_f64(&r) * (double)counts[c])];
        if (m->outputs == m->trees_per_iteration)
            for (uint32_t i = 0; i < m->tree_count; i++)
                assert_int_equal(tree_walk_ref(m, &m->trees[i], x),
                                 tree_walk_ref(l, &l->trees[i], x));
        tree_margin_ref(a, m, 0, iterations, x);
        tree_margin_ref(b, l, 0, l->tree_count / l->trees_per_iteration, x);
        for (uint32_t k = 0; k < m->outputs; k++) assert_true(fabs(a[k] - b[k]) <= bound);
        tree_transform(a, m, iterations, a);
        tree_transform(b, l, iterations, b);
        for (uint32_t k = 0; k < m->outputs; k++)
            assert_true(fabs(a[k] - b[k]) <= (bound + 2e-7) * fmax(1, fabs(a[k])));
    }
    free(text);
    tree_model_destroy(l);
}

static void test_conversion_to_lightgbm(void **state) {
    (void)state;
    size_t converted = 0;
    for (size_t i = 0; i < RECIPES; i++) {
        struct rng r = rng_init(seed + i);
        struct trained t;
        struct err err = {0};
        char *text;
        size_t size;
        train(&t, &recipes[i], &r);
        struct tree_model *m = read_saved(t.booster, "{\"format\":\"json\"}");
        enum status st = model_print(&text, &size, m, MODEL_LIGHTGBM_TEXT, &err);
        if (st == ST_OK) {
            free(text);
            converts(m);
            converted++;
        } else {
            assert_int_equal(st, ST_UNSUPPORTED);
            assert_true(strlen(err.text) > 20);
        }
        if (has_categories(&recipes[i])) assert_int_equal(st, ST_UNSUPPORTED);
        tree_model_destroy(m);
        trained_free(&t);
    }
    assert_true(converted >= 15);
}

int main(void) {
    const char *given = getenv("TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : 20240611;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks_as_the_library),
        cmocka_unit_test(test_library_reads_what_is_written),
        cmocka_unit_test(test_linear_booster_is_refused),
        cmocka_unit_test(test_conversion_to_lightgbm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
