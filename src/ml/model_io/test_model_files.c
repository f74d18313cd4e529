/* Files on disk, attributes, models made in memory, and what a format cannot say. */
#include <unistd.h>

#include "ml/model_io/test_model_made.h"

/* ---- files, attributes, what cannot be said ---- */

static void test_other_bytes(void **state) {
    (void)state;
    refused("", 0, ST_CORRUPT, "byte 0", "neither");
    refused("a,b,c\n1,2,3\n", 12, ST_CORRUPT, "byte 0", "neither");
    refused("binf\0\0", 6, ST_UNSUPPORTED, "byte 0", "old binary format");
    struct tree_model *m;
    struct err err = {0};
    assert_int_equal(model_read(&m, "/nonexistent/model.json", &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/model.json"));
}

static void test_files_round_trip(void **state) {
    (void)state;
    static const char *const names[] = {"m.json", "m.json.gz", "m.ubj", "m.ubj.zst", "m.model"};
    static const char starts[] = "{\x1f{\x28{";
    char folder[] = "/tmp/quantum-model-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    struct tree_model *m = parse(xgb_text);
    for (size_t i = 0; i < 5; i++) {
        struct err err = {0};
        struct tree_model *back;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        /* Twice: an existing file is replaced. */
        for (int k = 0; k < 2; k++)
            if (model_write(m, path, MODEL_FORMAT_AUTO, &err) != ST_OK) fail_msg("%s", err.text);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        assert_int_equal(fgetc(f), (unsigned char)starts[i]);
        assert_true(strstr(names[i], "ubj.zst") || (fgetc(f) == 'L') == (i == 2));
        fclose(f);
        if (model_read(&back, path, &err) != ST_OK) fail_msg("%s", err.text);
        check_base(back);
        tree_model_destroy(back);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
    struct err err = {0};
    assert_int_equal(model_write(m, "/nonexistent/m.json", MODEL_FORMAT_AUTO, &err), ST_IO);
    assert_non_null(strstr(err.text, "/nonexistent/m.json"));
    tree_model_destroy(m);
}

static void test_attributes(void **state) {
    (void)state;
    struct err err = {0};
    size_t size;
    struct tree_model *m = parse(lgbm_text);
    assert_int_equal(tree_model_attribute_set(m, "quantum.hash", "a b", &err), ST_OK);
    assert_int_equal(tree_model_attribute_set(m, "boosting", "dart", &err), ST_OK);
    assert_int_equal(tree_model_attribute_set(m, "two\nlines", "x", &err), ST_INVALID);
    assert_int_equal(tree_model_attribute_set(m, "k", "two\nlines", &err), ST_INVALID);
    assert_int_equal(tree_model_attribute_set(m, "a:b", "x", &err), ST_INVALID);
    assert_int_equal(tree_model_attribute_set(m, "", "x", &err), ST_INVALID);
    char *text = print(m, MODEL_FORMAT_AUTO, &size);
    assert_non_null(
        strstr(text, "\nparameters:\n[boosting: dart]\n[data: ]\n[quantum.hash: a b]\n\nend of"));
    struct tree_model *back = parse(text);
    assert_string_equal(tree_model_attribute(back, "quantum.hash"), "a b");
    free(text);
    tree_model_destroy(back);
    tree_model_destroy(m);
    m = parse(xgb_text);
    assert_int_equal(tree_model_attribute_set(m, "q:\"1\"", "\\", &err), ST_OK);
    text = print(m, MODEL_FORMAT_AUTO, &size);
    back = parse(text);
    assert_string_equal(tree_model_attribute(back, "q:\"1\""), "\\");
    free(text);
    tree_model_destroy(back);
    tree_model_destroy(m);
}

static void cannot_say(const struct tree_model *m, enum model_format format, const char *words) {
    struct err err = {0};
    char *text = NULL;
    size_t size;
    assert_int_equal(model_print(&text, &size, m, format, &err), ST_UNSUPPORTED);
    if (!strstr(err.text, words)) fail_msg("\"%s\", wanted \"%s\"", err.text, words);
    assert_null(text);
}

static void test_what_cannot_be_said(void **state) {
    (void)state;
    struct tree_model *l = parse(lgbm_text);
    cannot_say(l, MODEL_XGBOOST_JSON, "doubles");
    cannot_say(l, MODEL_XGBOOST_UBJ, "doubles");
    tree_model_destroy(l);
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"reg:squarederror", "survival:cox", "no counterpart"},
        {"[0.5,-1,4,1,2]", "[1e-36,-1,4,1,2]", "takes for 0"},
        {"[0.5,-1,4,1,2]", "[Infinity,-1,4,1,2]", "infinite"},
        {"\"feature_names\":[]", "\"feature_names\":[\"a b\",\"c\"]", "not one word"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tree_model *m = parse(with(xgb_text, cases[i].from, cases[i].to));
        cannot_say(m, MODEL_LIGHTGBM_TEXT, cases[i].words);
        tree_model_destroy(m);
    }
}

/* A model made in memory, as trainers make it: no ids, no names. */
static void test_built_model(void **state) {
    (void)state;
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, 1, 2);
    assert_non_null(m);
    const struct tree_shape shape = {.split_count = 1, .set_count = 1, .set_words = 2};
    for (uint32_t i = 0; i < 40; i++) {
        struct tree *t = tree_model_add(m, &shape);
        assert_non_null(t);
        assert_true(t->weight == 1 && t->shrinkage == 1 && t->leaf_value[1] == 0);
        t->decision[0] = DECISION_CATEGORICAL;
        t->set_begin[1] = 2;
        t->set_words[1] = 1;
        t->left[0] = ~0;
        t->right[0] = ~1;
        t->leaf_value[0] = (double)i;
        t->gain[0] = 1;
    }
    tree_model_truncate(m, 30);
    assert_int_equal(m->tree_count, 30);
    assert_true(margin(m, 32, 0) == 435 && margin(m, 31, 0) == 0);
    size_t size;
    char *text = print(m, MODEL_FORMAT_AUTO, &size);
    struct tree_model *back = parse(text);
    assert_true(margin(back, 32, 0) == 435);
    assert_string_equal(back->feature_names[1], "Column_1");
    assert_string_equal(back->version, "v4");
    free(text);
    tree_model_destroy(back);
    tree_model_destroy(m);
    tree_model_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_bytes), cmocka_unit_test(test_files_round_trip),
        cmocka_unit_test(test_attributes),  cmocka_unit_test(test_what_cannot_be_said),
        cmocka_unit_test(test_built_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
