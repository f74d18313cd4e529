#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "ml/xgboost/xgb_internal.h"

enum { ROWS = 3000, VALID = 1000, COLUMNS = 6, CLASSES = 3 };

static float features[(ROWS + VALID) * COLUMNS], labels[ROWS + VALID], weights[ROWS + VALID];
static const struct xgb_matrix train = {features, labels, weights, ROWS, COLUMNS};
static const struct xgb_matrix valid = {features + ROWS * COLUMNS, labels + ROWS, NULL, VALID,
                                        COLUMNS};
static char path[256], other_path[256];

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
    for (size_t i = 0; i < ROWS + VALID; i++) {
        float *row = features + i * COLUMNS;
        for (int k = 0; k < COLUMNS; k++) row[k] = (float)rng_normal(&r);
        double score = (double)row[0] + 0.5 * (double)row[1] + 0.5 * rng_normal(&r);
        labels[i] = score < -0.5 ? 0 : score > 0.5 ? 2 : 1;
        if (rng_below(&r, labels[i] == 1 ? 2 : 6) == 0) row[2] = NAN;
        weights[i] = (float)(0.5 + rng_f64(&r));
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/quantum-xgb-%ld.json", tmp ? tmp : "/tmp", (long)getpid());
    snprintf(other_path, sizeof other_path, "%s.other", path);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    unlink(other_path);
    return 0;
}

struct watch {
    uint32_t calls, stop_at, best_round;
    double best, last;
};

static bool watch_round(void *context, uint32_t round, uint32_t rounds_max, double train_logloss,
                        double valid_logloss) {
    struct watch *w = context;
    assert_int_equal(round, ++w->calls);
    assert_true(round <= rounds_max && isfinite(train_logloss));
    if (w->best_round == 0 || valid_logloss < w->best) {
        w->best = valid_logloss;
        w->best_round = round;
    }
    w->last = valid_logloss;
    return round != w->stop_at;
}

static struct xgb_params quick(void) {
    struct xgb_params p = xgb_params_defaults();
    p.rounds_max = 60;
    p.early_stop_rounds = 5;
    p.eta = 0.3;
    return p;
}

static struct xgb_model *trained(struct watch *w) {
    struct xgb_params p = quick();
    struct xgb_model *m = NULL;
    struct err err = {0};
    if (xgb_train_softmax(&m, &p, CLASSES, &train, &valid, w ? watch_round : NULL, w, &err) !=
        ST_OK)
        fail_msg("%s", err.text);
    return m;
}

static double loss_of(struct xgb_model *m, const struct xgb_matrix *set) {
    double *p = malloc(set->rows * CLASSES * sizeof *p), sum = 0;
    struct err err;
    assert_int_equal(xgb_predict(p, m, set->features, set->rows, COLUMNS, &err), ST_OK);
    for (size_t i = 0; i < set->rows; i++) sum -= log(p[i * CLASSES + (size_t)set->labels[i]]);
    free(p);
    return sum / (double)set->rows;
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

static void keeps_the_best_round(void **state) {
    (void)state;
    struct watch w = {0};
    struct xgb_model *m = trained(&w);
    assert_true(w.best_round > 5 && w.calls == w.best_round + 5);
    assert_int_equal(xgb_round_count(m), w.best_round);
    assert_int_equal(xgb_class_count(m), CLASSES);
    assert_int_equal(xgb_column_count(m), COLUMNS);
    assert_true(w.last > w.best);
    /* Not the last round's trees: the loss of the model is the smallest that was seen. */
    assert_true(fabs(loss_of(m, &valid) - w.best) < 1e-6);
    assert_true(w.best < 0.8); /* ln 3 is 1.0986 */
    xgb_destroy(m);
}

static void save_load_predict_is_bit_equal(void **state) {
    (void)state;
    struct xgb_model *m = trained(NULL), *loaded = NULL;
    struct err err = {0};
    assert_int_equal(xgb_attr_set(m, "quantum.text", "a \"b\"\n\\ \xc3\xa9", &err), ST_OK);
    assert_int_equal(xgb_attr_set(m, "quantum.x", "1", &err), ST_OK);
    assert_int_equal(xgb_attr_set(m, "quantum.x", "2", &err), ST_OK);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    if (xgb_load(&loaded, path, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(xgb_round_count(loaded), xgb_round_count(m));
    assert_string_equal(xgb_attr_get(loaded, "quantum.text"), "a \"b\"\n\\ \xc3\xa9");
    assert_string_equal(xgb_attr_get(loaded, "quantum.x"), "2");
    assert_null(xgb_attr_get(loaded, "quantum.y"));
    double *a = malloc(VALID * CLASSES * sizeof *a), *b = malloc(VALID * CLASSES * sizeof *b);
    assert_int_equal(xgb_predict(a, m, valid.features, VALID, COLUMNS, &err), ST_OK);
    assert_int_equal(xgb_predict(b, loaded, valid.features, VALID, COLUMNS, &err), ST_OK);
    assert_memory_equal(a, b, VALID * CLASSES * sizeof *a);
    for (size_t i = 0; i < VALID; i += 37) {
        assert_int_equal(xgb_predict(b, loaded, valid.features + i * COLUMNS, 1, COLUMNS, &err),
                         ST_OK);
        assert_memory_equal(b, a + i * CLASSES, CLASSES * sizeof *b);
    }
    size_t size, again_size;
    char *bytes = slurp(path, &size);
    assert_true(xgb_file_hash(loaded) == hash64(bytes, size));
    assert_int_equal(xgb_save(loaded, other_path, &err), ST_OK);
    char *again = slurp(other_path, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    free(a);
    free(b);
    xgb_destroy(m);
    xgb_destroy(loaded);
}

static void same_data_same_file(void **state) {
    (void)state;
    struct err err;
    size_t a_size, b_size;
    struct xgb_model *m = trained(NULL);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    xgb_destroy(m);
    m = trained(NULL);
    assert_int_equal(xgb_save(m, other_path, &err), ST_OK);
    xgb_destroy(m);
    char *a = slurp(path, &a_size), *b = slurp(other_path, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
}

/* The file's trees walked by plain code give the library's probabilities: missing goes the default
 * way, value < condition left, leaves sum per class over base_score, then softmax. */
static double leaf_of(json_t *tree, const float *row) {
    json_t *left = json_object_get(tree, "left_children"),
           *right = json_object_get(tree, "right_children");
    json_t *columns = json_object_get(tree, "split_indices");
    json_t *conditions = json_object_get(tree, "split_conditions");
    json_t *by_default = json_object_get(tree, "default_left");
    size_t node = 0;
    for (;;) {
        json_int_t l = json_integer_value(json_array_get(left, node));
        double condition = json_number_value(json_array_get(conditions, node));
        if (l < 0) return (double)(float)condition;
        float x = row[json_integer_value(json_array_get(columns, node))];
        bool go_left = isnan(x) ? json_number_value(json_array_get(by_default, node)) != 0
                                : x < (float)condition;
        node = (size_t)(go_left ? l : json_integer_value(json_array_get(right, node)));
    }
}

static void trees_of_the_file_give_the_predictions(void **state) {
    (void)state;
    struct err err;
    struct xgb_model *m = trained(NULL);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    json_error_t json_err;
    json_t *root = json_load_file(path, 0, &json_err);
    assert_non_null(root);
    json_t *learner = json_object_get(root, "learner");
    json_t *model = json_object_get(json_object_get(learner, "gradient_booster"), "model");
    json_t *trees = json_object_get(model, "trees"), *info = json_object_get(model, "tree_info");
    double *p = malloc(VALID * CLASSES * sizeof *p);
    assert_int_equal(xgb_predict(p, m, valid.features, VALID, COLUMNS, &err), ST_OK);
    for (size_t i = 0; i < VALID; i++) {
        double margin[CLASSES] = {0.5, 0.5, 0.5}, sum = 0;
        for (size_t t = 0; t < json_array_size(trees); t++)
            margin[json_integer_value(json_array_get(info, t))] +=
                leaf_of(json_array_get(trees, t), valid.features + i * COLUMNS);
        for (int c = 0; c < CLASSES; c++) sum += exp(margin[c]);
        for (int c = 0; c < CLASSES; c++)
            assert_true(fabs(exp(margin[c]) / sum - p[i * CLASSES + (size_t)c]) < 1e-5);
    }
    free(p);
    json_decref(root);
    xgb_destroy(m);
}

static size_t thread_count(void) {
    size_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir) return 1;
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void one_thread_is_enough(void **state) {
    (void)state;
    size_t before = thread_count();
    struct err err;
    double p[CLASSES * 64];
    struct xgb_model *m = trained(NULL);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    xgb_destroy(m);
    assert_int_equal(xgb_load(&m, path, &err), ST_OK);
    assert_int_equal(xgb_predict(p, m, features, 64, COLUMNS, &err), ST_OK);
    xgb_destroy(m);
    assert_int_equal(thread_count(), before);
}

static void cancel_gives_no_model(void **state) {
    (void)state;
    struct watch w = {.stop_at = 3};
    struct xgb_params p = quick();
    struct xgb_model *m = NULL;
    struct err err;
    assert_int_equal(xgb_train_softmax(&m, &p, CLASSES, &train, &valid, watch_round, &w, &err),
                     ST_INTERRUPTED);
    assert_int_equal(w.calls, 3);
    assert_null(m);
}

static void bad_input_is_named(void **state) {
    (void)state;
    struct xgb_params p = quick();
    struct xgb_model *m = NULL;
    struct err err;
    struct xgb_matrix narrow = valid, empty = train;
    narrow.columns = COLUMNS - 1;
    assert_int_equal(xgb_train_softmax(&m, &p, CLASSES, &train, &narrow, NULL, NULL, &err),
                     ST_MISMATCH);
    empty.rows = 0;
    assert_int_equal(xgb_train_softmax(&m, &p, CLASSES, &empty, &valid, NULL, NULL, &err),
                     ST_INVALID);
    assert_int_equal(xgb_train_softmax(&m, &p, 2, &train, &valid, NULL, NULL, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "label 2"));
    float kept = features[5];
    features[5] = INFINITY;
    assert_int_equal(xgb_train_softmax(&m, &p, CLASSES, &train, &valid, NULL, NULL, &err),
                     ST_EXTERNAL);
    assert_non_null(strstr(err.text, "xgboost: training rows"));
    features[5] = kept;
    p.eta = -4;
    assert_int_equal(xgb_train_softmax(&m, &p, CLASSES, &train, &valid, NULL, NULL, &err),
                     ST_EXTERNAL);
    assert_null(m);

    m = trained(NULL);
    double out[CLASSES];
    assert_int_equal(xgb_predict(out, m, features, 1, COLUMNS + 1, &err), ST_MISMATCH);
    assert_string_equal(err.text, "7 columns given, the model has 6");
    assert_int_equal(xgb_save(m, "/nonexistent/folder/m.json", &err), ST_IO);
    xgb_destroy(m);
    assert_int_equal(xgb_load(&m, "/nonexistent/m.json", &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/m.json"));
    assert_int_equal(xgb_load(&m, "/tmp", &err), ST_INVALID);
}

/* Loads and, where that works, predicts: finite, no crash. Returns whether it loaded. */
static bool try_bytes(const char *bytes, size_t size) {
    struct xgb_model *m = NULL;
    struct err err = {0};
    /* An exact copy, so that the sanitizer sees one byte too far. */
    char *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    enum status st = xgb_load_buffer(&m, copy, size, &err);
    free(copy);
    if (st != ST_OK) {
        assert_true(err.text[0] != 0);
        assert_null(m);
        return false;
    }
    double p[8 * 1024];
    uint32_t columns = xgb_column_count(m), classes = xgb_class_count(m);
    if (columns <= COLUMNS * 4 && classes <= 1024)
        assert_int_equal(xgb_predict(p, m, features, 8, columns, &err), ST_OK);
    xgb_destroy(m);
    return true;
}

static void truncated_files_are_refused(void **state) {
    (void)state;
    struct err err;
    struct xgb_model *m = trained(NULL);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    xgb_destroy(m);
    size_t size;
    char *bytes = slurp(path, &size);
    assert_true(try_bytes(bytes, size));
    for (size_t cut = 0; cut < size; cut += cut < 400 || cut + 400 > size ? 1 : 997)
        assert_false(try_bytes(bytes, cut));
    free(bytes);
}

static void mutated_files_do_no_harm(void **state) {
    (void)state;
    struct err err;
    struct xgb_params p = quick();
    p.rounds_max = 2;
    struct xgb_model *m = NULL;
    assert_int_equal(xgb_train_softmax(&m, &p, CLASSES, &train, &valid, NULL, NULL, &err), ST_OK);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    xgb_destroy(m);
    static const char palette[] = "0123456789-.eE,:[]{}\"\\ ntfal";
    size_t size, loaded = 0;
    char *bytes = slurp(path, &size);
    struct rng r = rng_init(test_seed());
    for (int i = 0; i < 6000; i++) {
        size_t at[4];
        char kept[4];
        int n = 1 + (int)rng_below(&r, 4);
        for (int k = 0; k < n; k++) {
            at[k] = (size_t)rng_below(&r, size);
            kept[k] = bytes[at[k]];
            bytes[at[k]] = palette[rng_below(&r, sizeof palette - 1)];
        }
        loaded += try_bytes(bytes, size);
        for (int k = n; k-- > 0;) bytes[at[k]] = kept[k];
    }
    print_message("%zu of 6000 still load\n", loaded);
    free(bytes);
}

/* First `from` in text replaced by `to`, at or after `behind`. */
static bool loads_with(const char *text, const char *behind, const char *from, const char *to,
                       struct err *err) {
    const char *start = strstr(text, behind);
    assert_non_null(start);
    const char *at = strstr(start, from);
    assert_non_null(at);
    size_t head = (size_t)(at - text), size = strlen(text) - strlen(from) + strlen(to);
    char *changed = malloc(size + 1);
    memcpy(changed, text, head);
    strcpy(changed + head, to);
    strcat(changed, at + strlen(from));
    struct xgb_model *m = NULL;
    enum status st = xgb_load_buffer(&m, changed, size, err);
    xgb_destroy(m);
    free(changed);
    return st == ST_OK;
}

/* Files the library would load and then walk out of its arrays, or that mean something else. */
static void hostile_structure_is_refused(void **state) {
    (void)state;
    struct err err = {0};
    struct xgb_model *m = trained(NULL);
    assert_int_equal(xgb_save(m, path, &err), ST_OK);
    xgb_destroy(m);
    size_t size;
    char *text = slurp(path, &size);
    static const struct {
        const char *behind, *from, *to;
    } changes[] = {{"left_children", "[1,", "[999999,"},
                   {"left_children", "[1,", "[0,"},
                   {"left_children", "[1,", "[2,"},
                   {"right_children", "[2,", "[-7,"},
                   {"right_children", "[2,", "[1,"},
                   {"parents", "[2147483647,0,", "[2147483647,99999,"},
                   {"split_indices", "[", "[7,"},
                   {"split_conditions", "[", "[1E0,"},
                   {"split_conditions", "[", "[1E99,"},
                   {"split_type", "[0", "[1"},
                   {"\"categories\"", "[", "[5"},
                   {"num_nodes", "num_nodes", "num_nodez"},
                   {"num_nodes", ":\"", ":\"9"},
                   {"num_trees", ":\"", ":\"9"},
                   {"tree_info", "[0,1,2", "[0,1,0"},
                   {"num_class", ":\"3", ":\"4"},
                   {"num_feature", ":\"6", ":\"0"},
                   {"\"name\":\"gbtree", "gbtree", "dart"},
                   {"multi:softprob", "multi:softprob", "reg:squarederror"},
                   {"num_parallel_tree", ":\"1", ":\"2"},
                   {"\"trees\"", "trees", "tr\\u0065es"},
                   {"\"trees\"", "\"trees\"", "\"trees\":[],\"trees\""},
                   {"num_target", ":\"1", ":\"2"},
                   {"\"id\"", ":0", ":1"},
                   {"\"id\"", ":1", ":9"},
                   {"\"id\"", ":0", ":-1"},

                   {"learner", "learner", "lerner"}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (loads_with(text, changes[i].behind, changes[i].from, changes[i].to, &err))
            fail_msg("loads with %s for %s behind %s", changes[i].to, changes[i].from,
                     changes[i].behind);
        print_message("%-60.60s  %s\n", err.text, changes[i].to);
    }
    /* A column of a split beyond num_feature. */
    assert_true(loads_with(text, "\"attributes\"", "{}", "{\"a\":\"b\"}", &err));
    free(text);
    assert_false(try_bytes("", 0));
    assert_false(try_bytes("{}", 2));
    assert_false(try_bytes("[]", 2));
    assert_false(try_bytes("{\"learner\":{}}", 14));
    assert_false(try_bytes("binf\0\0\0\0\0\0\0\0", 12));
    assert_false(try_bytes("{L\x06learner", 10)); /* the binary JSON of newer versions */
}

static void version_is_the_librarys(void **state) {
    (void)state;
    char text[XGB_VERSION_SIZE];
    assert_true(!strncmp(xgb_version(text), "xgboost ", 8) && strchr(text, '.'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_is_enough), /* first: a team of threads stays */
        cmocka_unit_test(keeps_the_best_round),
        cmocka_unit_test(save_load_predict_is_bit_equal),
        cmocka_unit_test(same_data_same_file),
        cmocka_unit_test(trees_of_the_file_give_the_predictions),
        cmocka_unit_test(cancel_gives_no_model),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(mutated_files_do_no_harm),
        cmocka_unit_test(hostile_structure_is_refused),
        cmocka_unit_test(version_is_the_librarys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
