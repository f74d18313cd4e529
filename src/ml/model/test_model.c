#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xgboost/c_api.h>

#include "base/rng.h"
#include "ml/model/model.h"
#include "ml/model_io/model_io.h"
#include "ml/xgboost/xgb.h"

enum { ROWS = 2000, VALID = 800, ALL = ROWS + VALID, COLUMNS = 6, CLASSES = 3 };

static float x[ALL * COLUMNS];
static double labels[ALL];
static char folder[64], path[128];
static struct train_set train, valid;

static const char *const params_of[BOOSTER_COUNT] = {
    "objective=multi:softprob,num_class=3,tree_method=hist,eta=0.3,max_depth=4,num_boost_round=60,"
    "early_stopping_rounds=5",
    "objective=multiclass,num_class=3,learning_rate=0.3,num_leaves=15,num_iterations=60,"
    "early_stopping_round=5"};

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 7;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Class by columns 0 and 1 with noise; column 2 is often missing and says something by it. */
static int setup(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (size_t i = 0; i < ALL; i++) {
        float *row = x + i * COLUMNS;
        for (int k = 0; k < COLUMNS; k++) row[k] = (float)rng_normal(&r);
        double score = (double)row[0] + 0.5 * (double)row[1] + 0.5 * rng_normal(&r);
        labels[i] = score < -0.5 ? 0 : score > 0.5 ? 2 : 1;
        if (rng_below(&r, labels[i] == 1 ? 2 : 6) == 0) row[2] = NAN;
    }
    train = (struct train_set){.x32 = x, .rows = ROWS, .columns = COLUMNS, .labels = labels};
    valid = (struct train_set){.x32 = x + (size_t)ROWS * COLUMNS,
                               .rows = VALID,
                               .columns = COLUMNS,
                               .labels = labels + ROWS};
    snprintf(folder, sizeof folder, "/tmp/quantum-model-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *file(const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static struct model *trained(enum booster booster) {
    struct model *m = NULL;
    struct err err = {0};
    if (model_train(&m, booster, params_of[booster], &train, &valid, NULL, NULL, &err) != ST_OK)
        fail_msg("%s: %s", booster_text(booster), err.text);
    return m;
}

static double *predicted(const struct model *m) {
    double *p = malloc(VALID * CLASSES * sizeof *p);
    model_predict(p, m, valid.x32, VALID, COLUMNS);
    return p;
}

static char *slurp(const char *name, size_t *size) {
    FILE *f = fopen(name, "rb");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, f) != *size) abort();
    bytes[*size] = 0;
    fclose(f);
    return bytes;
}

static void both_learn(void **state) {
    (void)state;
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        struct model *m = trained((enum booster)b);
        double *p = predicted(m), loss = 0;
        for (size_t i = 0; i < VALID; i++) {
            const double *q = p + i * CLASSES;
            assert_true(fabs(q[0] + q[1] + q[2] - 1) < 1e-6);
            loss -= log(q[(size_t)valid.labels[i]]) / VALID;
        }
        print_message("%s: %u trees, log-loss %.4f\n", booster_text((enum booster)b),
                      model_trees(m)->tree_count, loss);
        assert_true(loss < 0.8);                                /* ln 3 is 1.0986 */
        assert_true(model_trees(m)->tree_count < 60 * CLASSES); /* stopped early */
        assert_int_equal(forest_columns(model_forest(m)), COLUMNS);
        free(p);
        model_destroy(m);
    }
}

/* In every format its booster has: the same predictions to the last bit, row by row and all at once. */
static void saved_is_what_was_trained(void **state) {
    (void)state;
    static const char *const names[BOOSTER_COUNT][4] = {{"a.json", "a.ubj", "a.json.gz", "a.zst"},
                                                        {"a.txt", "a.txt.gz", "a.zst", "a"}};
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        struct model *m = trained((enum booster)b);
        double *p = predicted(m), one[CLASSES];
        for (size_t i = 0; i < VALID; i += 37) {
            model_predict(one, m, valid.x32 + i * COLUMNS, 1, COLUMNS);
            assert_memory_equal(one, p + i * CLASSES, sizeof one);
        }
        for (int with_attribute = 0; with_attribute < 2; with_attribute++) {
            struct err err = {0};
            if (with_attribute)
                assert_int_equal(tree_model_attribute_set(model_trees_mutable(m), "quantum.text",
                                                          "a=1,b: [x] \"y\"", &err),
                                 ST_OK);
            for (int k = 0; k < 4; k++) {
                struct model *loaded = NULL;
                const char *name = file(names[b][k]);
                if (model_save(m, name, &err) != ST_OK || model_load(&loaded, name, &err) != ST_OK)
                    fail_msg("%s: %s", name, err.text);
                double *q = predicted(loaded);
                assert_memory_equal(p, q, VALID * CLASSES * sizeof *p);
                const char *text = tree_model_attribute(model_trees(loaded), "quantum.text");
                if (with_attribute)
                    assert_string_equal(text, "a=1,b: [x] \"y\"");
                else
                    assert_null(text);
                free(q);
                model_destroy(loaded);
                unlink(name);
            }
        }
        free(p);
        model_destroy(m);
    }
}

/* Straight from training the file is XGBoost's own, byte for byte. */
static void xgboosts_bytes_are_kept(void **state) {
    (void)state;
    struct model *m = trained(BOOSTER_XGBOOST);
    struct xgb_trained own;
    struct err err = {0};
    size_t size;
    assert_int_equal(xgb_train(&own, params_of[BOOSTER_XGBOOST], &train, &valid, NULL, NULL, &err),
                     ST_OK);
    assert_int_equal(model_save(m, file("own.json"), &err), ST_OK);
    char *bytes = slurp(path, &size);
    assert_int_equal(size, own.size);
    assert_memory_equal(bytes, own.bytes, size);
    free(bytes);
    xgb_trained_free(&own);
    unlink(path);
    model_destroy(m);
}

/* With our attributes in it, it is still a file the library reads, and answers the same from. */
static void the_library_reads_our_file(void **state) {
    (void)state;
    static const char config[] = "{\"type\":0,\"training\":false,\"iteration_begin\":0,"
                                 "\"iteration_end\":0,\"strict_shape\":true,\"missing\":NaN,"
                                 "\"cache_id\":0}";
    struct model *m = trained(BOOSTER_XGBOOST);
    struct err err = {0};
    assert_int_equal(tree_model_attribute_set(model_trees_mutable(m), "quantum.x", "1:2 3:4", &err),
                     ST_OK);
    assert_int_equal(model_save(m, file("ours.json"), &err), ST_OK);
    BoosterHandle booster;
    const char *value;
    int found;
    char array[160];
    const bst_ulong *shape;
    bst_ulong dim;
    const float *q;
    assert_int_equal(XGBoosterCreate(NULL, 0, &booster), 0);
    assert_int_equal(XGBoosterSetParam(booster, "nthread", "1"), 0);
    assert_int_equal(XGBoosterLoadModel(booster, path), 0);
    assert_int_equal(XGBoosterGetAttr(booster, "quantum.x", &value, &found), 0);
    assert_true(found);
    assert_string_equal(value, "1:2 3:4");
    snprintf(array, sizeof array,
             "{\"data\":[%zu,true],\"shape\":[%d,%d],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)valid.x32, VALID, COLUMNS);
    assert_int_equal(XGBoosterPredictFromDense(booster, array, config, NULL, &shape, &dim, &q), 0);
    double *p = predicted(m);
    for (size_t i = 0; i < VALID * CLASSES; i++) assert_true(fabs(p[i] - (double)q[i]) < 2e-7);
    XGBoosterFree(booster);
    free(p);
    unlink(path);
    model_destroy(m);
}

static void same_data_same_file(void **state) {
    (void)state;
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        char *bytes[2];
        size_t size[2];
        for (int k = 0; k < 2; k++) {
            struct err err;
            struct model *m = trained((enum booster)b);
            assert_int_equal(model_save(m, file("same"), &err), ST_OK);
            bytes[k] = slurp(path, &size[k]);
            unlink(path);
            model_destroy(m);
        }
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(bytes[0], bytes[1], size[0]);
        free(bytes[0]);
        free(bytes[1]);
    }
}

static size_t thread_count(void) {
    size_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir) abort();
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A team of OpenMP's, once made, stays and spins; ours end with the training. */
static void no_thread_stays(void **state) {
    (void)state;
    size_t before = thread_count();
    struct err err;
    for (int b = 0; b < BOOSTER_COUNT; b++) model_destroy(trained((enum booster)b));
    struct model *m = NULL;
    assert_int_equal(model_train(&m, BOOSTER_LIGHTGBM, "num_threads=2,objective=regression", &train,
                                 NULL, NULL, NULL, &err),
                     ST_OK);
    model_destroy(m);
    assert_int_equal(thread_count(), before);
}

struct watch {
    uint32_t calls, stop_at;
};

static bool watch_round(void *context, uint32_t round, uint32_t rounds_max, double train_metric,
                        double valid_metric) {
    struct watch *w = context;
    assert_int_equal(round, ++w->calls);
    assert_true(round <= rounds_max && isfinite(train_metric) && isfinite(valid_metric));
    return round != w->stop_at;
}

static void cancel_gives_no_model(void **state) {
    (void)state;
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        struct watch w = {.stop_at = 3};
        struct model *m = NULL;
        struct err err;
        assert_int_equal(
            model_train(&m, (enum booster)b, params_of[b], &train, &valid, watch_round, &w, &err),
            ST_INTERRUPTED);
        assert_int_equal(w.calls, 3);
        assert_null(m);
    }
}

/* multi:softmax: several margins, one column. */
static void best_class_is_one_column(void **state) {
    (void)state;
    struct model *soft = NULL, *hard = NULL;
    struct err err;
    assert_int_equal(model_train(&soft, BOOSTER_XGBOOST,
                                 "objective=multi:softprob,num_class=3,num_boost_round=5", &train,
                                 NULL, NULL, NULL, &err),
                     ST_OK);
    assert_int_equal(model_train(&hard, BOOSTER_XGBOOST,
                                 "objective=multi:softmax,num_class=3,num_boost_round=5", &train,
                                 NULL, NULL, NULL, &err),
                     ST_OK);
    assert_int_equal(forest_prediction_columns(model_forest(hard)), 1);
    double *p = predicted(soft), best[VALID];
    model_predict(best, hard, valid.x32, VALID, COLUMNS);
    for (size_t i = 0; i < VALID; i++) {
        size_t top = 0;
        for (size_t c = 1; c < CLASSES; c++)
            if (p[i * CLASSES + c] > p[i * CLASSES + top]) top = c;
        assert_true(best[i] == (double)top);
    }
    free(p);
    model_destroy(soft);
    model_destroy(hard);
}

static void memory_is_told(void **state) {
    (void)state;
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        size_t small = 0, large = 0;
        struct err err;
        assert_int_equal(
            model_train_memory(&small, (enum booster)b, params_of[b], 1000, 10, NULL, &err), ST_OK);
        assert_int_equal(
            model_train_memory(&large, (enum booster)b, params_of[b], 100000, 10, NULL, &err),
            ST_OK);
        assert_true(small > 0 && large > small);
        assert_int_equal(
            model_train_memory(&small, (enum booster)b, "nonsense=1", 1000, 10, NULL, &err),
            ST_NOT_FOUND);
    }
}

static void bad_input_is_named(void **state) {
    (void)state;
    struct model *m = NULL;
    struct err err;
    enum booster booster;
    assert_int_equal(booster_parse(&booster, "lightgbm", &err), ST_OK);
    assert_int_equal(booster, BOOSTER_LIGHTGBM);
    assert_int_equal(booster_parse(&booster, "catboost", &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "catboost"));
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        assert_int_equal(
            model_train(&m, (enum booster)b, "nonsense=1", &train, NULL, NULL, NULL, &err),
            ST_NOT_FOUND);
        assert_non_null(strstr(err.text, "nonsense"));
        assert_null(m);
    }
    assert_int_equal(model_load(&m, "/nonexistent/m.json", &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/m.json"));
    m = trained(BOOSTER_XGBOOST);
    assert_int_equal(model_save(m, "/nonexistent/folder/m.json", &err), ST_IO);
    model_destroy(m);
}

/* Bytes changed here and there: refused with a reason, or a model that answers. */
static void mutated_files_do_no_harm(void **state) {
    (void)state;
    static const char palette[] = "0123456789-.eE,:[]{}\"\\ ntfal=";
    enum { TRIES = 3000, COLUMNS_MAX = 64, CLASSES_MAX = 64 };
    struct rng r = rng_init(test_seed());
    for (int b = 0; b < BOOSTER_COUNT; b++) {
        struct model *m = NULL;
        struct err err = {0};
        size_t size, loads = 0;
        assert_int_equal(model_train(&m, (enum booster)b,
                                     b == BOOSTER_XGBOOST
                                         ? "objective=multi:softprob,num_class=3,num_boost_round=2"
                                         : "objective=multiclass,num_class=3,num_iterations=2",
                                     &train, NULL, NULL, NULL, &err),
                         ST_OK);
        assert_int_equal(model_save(m, file("mutated"), &err), ST_OK);
        model_destroy(m);
        char *bytes = slurp(path, &size);
        unlink(path);
        for (int i = 0; i < TRIES; i++) {
            /* An exact copy, so that the sanitizer sees one byte too far. */
            char *copy = malloc(size);
            memcpy(copy, bytes, size);
            for (uint64_t n = 1 + rng_below(&r, 4); n > 0; n--)
                copy[rng_below(&r, size)] = palette[rng_below(&r, sizeof palette - 1)];
            enum status st = model_load_buffer(&m, copy, size, "mutated", &err);
            free(copy);
            if (st != ST_OK) {
                assert_true(err.text[0] != 0);
                assert_null(m);
                continue;
            }
            static double p[CLASSES_MAX];
            static float row[COLUMNS_MAX];
            const struct forest *f = model_forest(m);
            if (forest_columns(f) <= COLUMNS_MAX && forest_outputs(f) <= CLASSES_MAX)
                model_predict(p, m, row, 1, COLUMNS_MAX);
            model_destroy(m);
            m = NULL;
            loads++;
        }
        print_message("%s: %zu of %d still load\n", booster_text((enum booster)b), loads, TRIES);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_thread_stays), /* first: a team of threads stays */
        cmocka_unit_test(both_learn),
        cmocka_unit_test(saved_is_what_was_trained),
        cmocka_unit_test(xgboosts_bytes_are_kept),
        cmocka_unit_test(the_library_reads_our_file),
        cmocka_unit_test(same_data_same_file),
        cmocka_unit_test(cancel_gives_no_model),
        cmocka_unit_test(best_class_is_one_column),
        cmocka_unit_test(memory_is_told),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(mutated_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
