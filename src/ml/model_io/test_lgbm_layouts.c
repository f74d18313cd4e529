/* LightGBM text made by hand: what may be in a file beside the usual, and damage of every kind. */
#include "ml/model_io/test_model_made.h"

/* ---- LightGBM ---- */

static void test_lgbm_model(void **state) {
    (void)state;
    struct tree_model *m = parse(lgbm_text);
    /* category 0 or 2 goes on to the split of a; then leaves 0 (linear), 1 (constant), 2 (linear) */
    assert_true(margin(m, -2, 0) == -2 && margin(m, -3, 2) == 1);
    assert_true(margin(m, 1, 2) == 0.5 && margin(m, 1, 1) == 3.25 && margin(m, 1, NAN) == 4);
    assert_string_equal(m->feature_names[1], "b");
    assert_string_equal(m->feature_infos[1], "0:1:2");
    assert_string_equal(tree_model_attribute(m, "boosting"), "gbdt");
    assert_string_equal(tree_model_attribute(m, "data"), "");
    assert_string_equal(m->pandas_categorical, "null");
    size_t size;
    char *again = print(m, MODEL_FORMAT_AUTO, &size);
    assert_string_equal(again, lgbm_text);
    free(again);
    tree_model_destroy(m);
}

/* What may be in a file beside the usual, and comes back as it was. */
static void test_lgbm_layouts(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } same[] = {
        {"version=v4", "version=v3"},
        {"objective=binary sigmoid:1\n", ""},
        {"objective=binary sigmoid:1\n", "objective=regression sqrt\naverage_output\n"},
        {"feature_infos", "monotone_constraints=1 -1\nfeature_infos"},
        {"label_index=0", "label_index=12"},
        {"[data: ]\n", "[data: a: [b]]\n"},
        {"\nparameters:\n[boosting: gbdt]\n[data: ]\n\nend of parameters\n", ""},
        {"\npandas_categorical:null\n", ""},
        {"threshold=0 -1", "threshold=0 inf"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char text[TEXT_SIZE];
        strcpy(text, with(lgbm_text, same[i].from, same[i].to));
        /* Sizes follow the tree's. */
        char made[TEXT_SIZE];
        int size = 390 + (strstr(text, "inf\n") ? 1 : 0);
        char sizes[32];
        snprintf(sizes, sizeof sizes, "tree_sizes=%d", size);
        strcpy(made, with(text, "tree_sizes=390", sizes));
        struct tree_model *m = parse(made);
        size_t printed;
        char *again = print(m, MODEL_FORMAT_AUTO, &printed);
        assert_string_equal(again, made);
        free(again);
        tree_model_destroy(m);
    }
}

/* What is read but need not come back the same. */
static void test_lgbm_tolerance(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"tree_sizes=390", "tree_sizes=7"}, /* the library's way to parse in parallel, not ours */
        {"tree_sizes=390\n", ""},
        {"num_tree_per_iteration=1\n", ""},
        {"objective", "another_key=1\nobjective"},
        {"split_gain=10 5\n", ""},
        {"leaf_weight=2 4 3\n", ""},
        {"internal_count=9 6\n", ""},
        {"shrinkage=0.1\n", ""},
    };
    struct tree_model *want = parse(lgbm_text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tree_model *m = parse(with(lgbm_text, cases[i].from, cases[i].to));
        for (int c = 0; c < 4; c++) assert_true(margin(m, 1, c) == margin(want, 1, c));
        tree_model_destroy(m);
    }
    char crlf[TEXT_SIZE], *out = crlf;
    for (const char *p = lgbm_text; *p; p++) {
        if (*p == '\n') *out++ = '\r';
        *out++ = *p;
    }
    *out = '\0';
    struct tree_model *m = parse(crlf);
    size_t size;
    char *again = print(m, MODEL_FORMAT_AUTO, &size);
    assert_string_equal(again, lgbm_text);
    free(again);
    tree_model_destroy(m);
    tree_model_destroy(want);
}

static void test_lgbm_refusals(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *place, *words;
        enum status st;
    } cases[] = {
        {"tree\n", "tree!\n", "line 1", "first line", ST_CORRUPT},
        {"version=v4", "version=v2", "line 2", "v3 nor v4", ST_UNSUPPORTED},
        {"num_class=1", "num_class=0", "line 3", "num_class", ST_CORRUPT},
        {"num_class=1", "num_class=2000000000", "line 3", "num_class", ST_CORRUPT},
        {"num_tree_per_iteration=1", "num_tree_per_iteration=2", "line 4", "differs",
         ST_UNSUPPORTED},
        {"label_index=0\n", "", "line 11", "label_index", ST_CORRUPT},
        {"max_feature_idx=1", "max_feature_idx=x", "line 6", "max_feature_idx", ST_CORRUPT},
        {"max_feature_idx=1", "max_feature_idx=2", "line 8", "feature_names", ST_CORRUPT},
        {"max_feature_idx=1", "max_feature_idx=2000000000", "line 6", "max_feature_idx",
         ST_CORRUPT},
        {"binary sigmoid:1", "unheard of", "line 7", "unheard", ST_UNSUPPORTED},
        {"sigmoid:1", "sigmoid:-1", "line 7", "sigmoid", ST_CORRUPT},
        {"feature_infos=[0:1] 0:1:2", "feature_infos=[0:1]", "line 9", "feature_infos", ST_CORRUPT},
        {"tree_sizes=390", "tree_sizes=390 390", "line 10", "tree_sizes", ST_CORRUPT},
        {"label_index=0", "num_class=1", "line 5", "given twice", ST_CORRUPT},
        {"Tree=0", "Tree=1", "line 12", "next tree", ST_CORRUPT},
        {"num_leaves=3", "num_leaves=0", "line 13", "num_leaves", ST_CORRUPT},
        {"num_leaves=3", "num_leaves=4", "line 21", "leaf_value: wrong number", ST_CORRUPT},
        {"num_leaves=3", "num_leaves=2147483647", "line 21", "leaf_value", ST_CORRUPT},
        {"num_leaves=3\n", "", "line 12", "lacks num_leaves", ST_CORRUPT},
        {"num_cat=1", "num_cat=2147483647", "line 27", "cat_boundaries", ST_CORRUPT},
        {"split_feature=1 0", "split_feature=1", "line 15", "split_feature", ST_CORRUPT},
        {"split_feature=1 0", "split_feature=1 a", "line 15", "not an integer", ST_CORRUPT},
        {"split_feature=1 0", "split_feature=1 2", "tree 0", "column", ST_CORRUPT},
        {"split_gain=10 5", "split_gain=10 x", "line 16", "not a number", ST_CORRUPT},
        {"threshold=0 -1", "threshold=0 0x1p3", "line 17", "not a number", ST_CORRUPT},
        {"threshold=0 -1", "threshold=0 nan", "tree 0", "not a number", ST_CORRUPT},
        {"threshold=0 -1", "threshold=1 -1", "tree 0", "no set", ST_CORRUPT},
        {"decision_type=1 2", "decision_type=1 12", "line 18", "out of range", ST_CORRUPT},
        {"left_child=1 -1", "left_child=0 -1", "tree 0", "not above its parent", ST_CORRUPT},
        {"left_child=1 -1\n", "", "line 12", "lacks left_child", ST_CORRUPT},
        {"right_child=-3 -2", "right_child=-3 -3", "tree 0", "two parents", ST_CORRUPT},
        {"right_child=-3 -2", "right_child=-3 -9", "tree 0", "outside", ST_CORRUPT},
        {"leaf_value=1 2 4", "leaf_value=1 2 inf", "tree 0", "not finite", ST_CORRUPT},
        {"leaf_count=2 4 3", "leaf_count=2 4 99999999999", "line 23", "not an integer", ST_CORRUPT},
        {"cat_boundaries=0 1", "cat_boundaries=0 2", "line 27", "do not ascend", ST_CORRUPT},
        {"cat_boundaries=0 1", "cat_boundaries=0 0", "line 28", "more words", ST_CORRUPT},
        {"cat_threshold=5", "cat_threshold=4294967296", "line 28", "32 bits", ST_CORRUPT},
        {"is_linear=1", "is_linear=2", "line 29", "out of range", ST_CORRUPT},
        {"is_linear=1", "is_wrong=1", "line 29", "not a line of a tree", ST_CORRUPT},
        {"is_linear=1", "num_cat=1", "line 29", "given twice", ST_CORRUPT},
        {"leaf_const=0 0.5 0.25\n", "", "line 12", "lacks leaf_const", ST_CORRUPT},
        {"num_features=2 0 1", "num_features=2 0 2", "line 31", "exceed", ST_CORRUPT},
        {"num_features=2 0 1", "num_features=2 0 0", "line 32", "more than", ST_CORRUPT},
        {"leaf_coeff=1 2   3  ", "leaf_coeff=1 2", "line 33", "wrong number", ST_CORRUPT},
        {"leaf_features=0 1   1", "leaf_features=0 1   5", "tree 0", "column", ST_CORRUPT},
        {"end of trees", "end", "line 37", "next tree", ST_CORRUPT},
        {"[data: ]", "[data]", "line 45", "parameter", ST_CORRUPT},
        {"[data: ]", "data", "line 45", "parameter", ST_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = with(lgbm_text, cases[i].from, cases[i].to);
        refused(text, strlen(text), cases[i].st, cases[i].place, cases[i].words);
    }
}

/* Any cut before the end of the trees is noticed. */
static void test_lgbm_cuts(void **state) {
    (void)state;
    size_t whole = (size_t)(strstr(lgbm_text, "end of trees") - lgbm_text) + 12;
    for (size_t cut = 1; cut < whole; cut++) {
        char *exact = malloc(cut);
        assert_non_null(exact);
        memcpy(exact, lgbm_text, cut);
        refused(exact, cut, ST_CORRUPT, cut < 4 ? "byte 0" : "line ", ": ");
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lgbm_model),     cmocka_unit_test(test_lgbm_layouts),
        cmocka_unit_test(test_lgbm_tolerance), cmocka_unit_test(test_lgbm_refusals),
        cmocka_unit_test(test_lgbm_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
