/* XGBoost files made by hand: layouts that the linked library does not write (1.0, and 2.x and 3.x after
 * their documentation), and damage of every kind, each of which must be refused with its place. */
#include "ml/model_io/test_model_made.h"

/* ---- XGBoost ---- */

static void test_xgb_model(void **state) {
    (void)state;
    struct tree_model *m = parse(xgb_text);
    check_base(m);
    assert_string_equal(m->version, "1.7.4");
    assert_string_equal(tree_model_attribute(m, "k"), "v");
    assert_null(tree_model_attribute(m, "other"));
    assert_null(m->feature_names);
    assert_int_equal(m->best_iterations, 0);
    assert_true(m->base_score == 0.5 && m->columns == 2);
    const struct tree *t = &m->trees[0];
    assert_true(t->split_weight[0] == 9 && t->gain[1] == 5 && t->split_rows[0] == -1);
    tree_model_destroy(m);
}

/* What other versions write: each change of the text must leave the model's predictions as they are. */
static void test_xgb_layouts(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } layouts[] = {
        /* 1.0: flags as booleans; no parents' check, no split types, no categories */
        {"\"default_left\":[0,1,0,0,0]", "\"default_left\":[false,true,false,false,false]"},
        {"\"split_type\":[0,0,0,0,0],", ""},
        {"\"categories\":[],\"categories_nodes\":[],\"categories_segments\":[],\"categories_"
         "sizes\":[],",
         ""},
        {"\"num_parallel_tree\":\"1\",", ""},
        {",\"num_target\":\"1\"", ""},
        /* 2.x */
        {"\"tree_info\":[0]", "\"iteration_indptr\":[0,1],\"tree_info\":[0]"},
        {",\"size_leaf_vector\":\"0\"},\n\"tree_info", "},\n\"tree_info"},
        {"\"num_nodes\":\"5\",\"size_leaf_vector\":\"0\"",
         "\"num_nodes\":\"5\",\"size_leaf_vector\":\"1\""},
        {"\"version\":[1,7,4]", "\"version\":[2,1,0]"},
        /* 3.x */
        {"\"base_score\":\"5E-1\"", "\"base_score\":\"[5E-1]\""},
        {"\"trees\":[",
         "\"cats\":{\"enc\":[],\"feature_segments\":[],\"sorted_idx\":[]},\"trees\":["},
        {"\"version\":[1,7,4]", "\"version\":[3,1,0]"},
        /* other writers: numbers for strings, white space, unknown keys with anything in them */
        {"\"num_nodes\":\"5\"", "\"num_nodes\": 5"},
        {"\"base_score\":\"5E-1\"", "\"base_score\":0.5"},
        {"\"base_score\":\"5E-1\"", "\"base_score\":[0.5]"},
        {"\"id\":0", "\"note\":[NaN,{\"a\":[-Infinity,Infinity]},null,true],\"id\":0"},
        {"\"loss_changes\":[10,5,0,0,0],", ""},
        {"\"sum_hessian\":[9,6,3,2,4]", "\"sum_hessian\":[9,NaN,3,2,4]"},
        {"\"learner\"", "\"lear\\u006eer\""},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct tree_model *m = parse(with(xgb_text, layouts[i].from, layouts[i].to));
        check_base(m);
        tree_model_destroy(m);
    }
}

static void test_xgb_base_scores(void **state) {
    (void)state;
    static const struct {
        const char *objective, *score, *version;
        double margin;
    } cases[] = {
        {"binary:logistic", "2E-1", "[1,7,4]", -1.38629436},
        {"binary:logistic", "[2E-1]", "[3,1,0]", -1.38629436},
        {"binary:logistic", "[1E0]", "[3,1,0]", 13.8}, /* held inside (0, 1) by 1e-6 */
        {"reg:logistic", "2E-1", "[1,7,4]", -1.38629436},
        {"binary:logitraw", "2E-1", "[1,7,4]", 0.2},
        {"count:poisson", "2E0", "[1,7,4]", 0.693147181},
        {"reg:gamma", "2E0", "[2,0,0]", 0.693147181},
        {"reg:tweedie", "2E0", "[2,0,0]", 0.693147181},
        {"survival:aft", "2E0", "[1,7,4]", 0.693147181},
        {"reg:quantileerror", "[2E0]", "[3,1,0]", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TEXT_SIZE], score[64];
        snprintf(score, sizeof score, "\"base_score\":\"%s\"", cases[i].score);
        strcpy(text, with(xgb_text, "reg:squarederror", cases[i].objective));
        strcpy(text, with(text, "\"base_score\":\"5E-1\"", score));
        struct tree_model *m = parse(with(text, "[1,7,4]", cases[i].version));
        if (!(fabs(m->base_margin[0] - cases[i].margin) < 0.02 * fabs(cases[i].margin)))
            fail_msg("%s: %g", cases[i].objective, m->base_margin[0]);
        tree_model_destroy(m);
    }
}

/* One base score a class, as 3.1 estimates them; written back as a list. */
static void test_xgb_vector_of_base_scores(void **state) {
    (void)state;
    char text[TEXT_SIZE];
    size_t size;
    strcpy(text, with(xgb_text, "reg:squarederror", "multi:softprob"));
    strcpy(text, with(text, "\"5E-1\"", "\"[5E-1,-2.5E-1]\""));
    strcpy(text, with(text, "\"num_class\":\"0\"", "\"num_class\":\"2\""));
    strcpy(text, with(text, "\"num_trees\":\"1\"", "\"num_trees\":\"0\""));
    strcpy(text, with(text, "\"tree_info\":[0]", "\"tree_info\":[]"));
    char *tree = strstr(text, "\"trees\":[") + 9, *end = strstr(tree, "}}]") + 2;
    memmove(tree, end, strlen(end) + 1);
    struct tree_model *m = parse(text);
    assert_true(m->base_margin[0] == 0.5 && m->base_margin[1] == -0.25);
    assert_int_equal(m->transform, TRANSFORM_SOFTMAX);
    char *again = print(m, MODEL_FORMAT_AUTO, &size);
    assert_non_null(strstr(again, "\"base_score\":\"[5E-1,-2.5E-1]\""));
    struct tree_model *back = parse(again);
    assert_true(back->base_margin[1] == -0.25);
    free(again);
    tree_model_destroy(back);
    tree_model_destroy(m);
}

static void test_xgb_refusals(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *place, *words;
        enum status st;
    } cases[] = {
        {"\"gbtree\"", "\"gblinear\"", "line 19", "gblinear", ST_UNSUPPORTED},
        {"\"gbtree\"", "\"other\"", "line 19", "neither gbtree nor dart", ST_UNSUPPORTED},
        {"reg:squarederror", "reg:unheard", "line 22", "reg:unheard", ST_UNSUPPORTED},
        {"\"num_nodes\":\"5\",\"size_leaf_vector\":\"0\"",
         "\"num_nodes\":\"5\",\"size_leaf_vector\":\"3\"", "line 18", "vector leaves",
         ST_UNSUPPORTED},
        {"\"tree_info\":[0]", "\"tree_info\":[0],\"iteration_indptr\":[0,2]", "line 22",
         "iterations", ST_UNSUPPORTED},
        {"\"learner\"", "\"lerner\"", "line 22", "no learner", ST_CORRUPT},
        {"[1,3,-1,-1,-1]", "[1,3,-1,-1]", "line 18", "left_children has 4 values for 5",
         ST_CORRUPT},
        {"[1,3,-1,-1,-1]", "[1,9,-1,-1,-1]", "line 18", "child 9 is outside", ST_CORRUPT},
        {"[1,3,-1,-1,-1]", "[1,2,-1,-1,-1]", "line 18", "two parents", ST_CORRUPT},
        {"[1,3,-1,-1,-1]", "[1,-1,-1,-1,-1]", "line 18", "one child", ST_CORRUPT},
        {"[1,3,-1,-1,-1]", "[1,-2,-1,-1,-1]", "line 10", "out of range", ST_CORRUPT},
        {"[1,3,-1,-1,-1]", "[1,3e9,-1,-1,-1]", "line 10", "expected an integer", ST_CORRUPT},
        {"[2147483647,0,0,1,1]", "[2147483647,0,0,1,0]", "line 18", "another parent", ST_CORRUPT},
        {"\"split_indices\":[1,0", "\"split_indices\":[2,0", "tree 0", "column", ST_CORRUPT},
        {"[0.5,-1,4,1,2]", "[NaN,-1,4,1,2]", "tree 0", "threshold is not a number", ST_CORRUPT},
        {"[0.5,-1,4,1,2]", "[0.5,-1,Infinity,1,2]", "tree 0", "not finite", ST_CORRUPT},
        {"[0.5,-1,4,1,2]", "[0.5,-1,4e99,1,2]", "line 14", "beyond a float", ST_CORRUPT},
        {"[0.5,-1,4,1,2]", "[0.5,-1,\"x\",1,2]", "line 14", "expected a number", ST_CORRUPT},
        {"[0.5,-1,4,1,2]", "[0.5,-1,4,,2]", "line 14", "expected a number", ST_CORRUPT},
        {"\"id\":0", "\"id\":1", "line 9", "numbered in order", ST_CORRUPT},
        {"\"id\":0", "\"tree_param\":{}", "line 9", "num_nodes", ST_CORRUPT},
        {"\"id\":0", "\"parents\":[0,0,0,0,0]", "line 12", "parents is given twice", ST_CORRUPT},
        {"\"split_conditions\"", "\"conditions\"", "line 18", "tree 0 lacks split_conditions",
         ST_CORRUPT},
        {"\"num_trees\":\"1\"", "\"num_trees\":\"2\"", "line 22", "num_trees 2", ST_CORRUPT},
        {"\"tree_info\":[0]", "\"tree_info\":[0,0]", "line 22", "2 in tree_info", ST_CORRUPT},
        {"\"tree_info\":[0]", "\"tree_info\":[1]", "tree 0", "no output", ST_CORRUPT},
        {"\"num_deleted\":\"0\"", "\"num_deleted\":\"1\"", "line 18", "num_deleted is 1",
         ST_CORRUPT},
        {"\"num_class\":\"0\",\"num_feature\":\"2\"", "\"num_class\":\"0\",\"num_feature\":\"3\"",
         "line 22", "num_feature differs", ST_CORRUPT},
        {"\"num_class\":\"0\"", "\"num_class\":\"2\"", "line 22", "no multiple", ST_CORRUPT},
        {"\"num_class\":\"0\"", "\"num_class\":\"999999999\"", "line 20", "num_class", ST_CORRUPT},
        {"\"num_parallel_tree\":\"1\"", "\"num_parallel_tree\":\"7\"", "line 22", "no multiple",
         ST_CORRUPT},
        {"\"5E-1\"", "\"[5E-1,1E0]\"", "line 22", "2 base scores", ST_CORRUPT},
        {"\"5E-1\"", "\"[5E-1\"", "line 20", "neither a number nor a list", ST_CORRUPT},
        {"\"feature_names\":[]", "\"feature_names\":[\"a\"]", "line 22", "1 feature_names",
         ST_CORRUPT},
        {"\"feature_types\":[]", "\"feature_types\":[\"q\",\"q\",\"q\"]", "line 22",
         "3 feature_types", ST_CORRUPT},
        {"\"k\":\"v\"", "\"k\":1", "line 1", "expected a string", ST_CORRUPT},
        {"\"k\":\"v\"", "\"k\":\"\\u0000\"", "line 1", "NUL", ST_CORRUPT},
        {"\"version\":[1,7,4]", "\"version\":[1,7]", "line 22", "version", ST_CORRUPT},
        {"\"split_type\":[0,0", "\"split_type\":[1,0", "line 18", "node 0 has no categories",
         ST_CORRUPT},
        {"[1,7,4]}", "[1,7,4]} x", "line 22", "text behind", ST_CORRUPT},
        {"[1,7,4]}", "[1,7,4]", "line 22", "not closed", ST_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = with(xgb_text, cases[i].from, cases[i].to);
        refused(text, strlen(text), cases[i].st, cases[i].place, cases[i].words);
    }
}

static void test_xgb_logit_of_one(void **state) {
    (void)state;
    char text[TEXT_SIZE];
    strcpy(text, with(xgb_text, "reg:squarederror", "binary:logistic"));
    const char *made = with(text, "\"5E-1\"", "\"1E0\"");
    refused(made, strlen(made), ST_CORRUPT, "line 22", "base_score 1 is none for binary:logistic");
}

/* Categories that would take far more memory than file. */
static void test_xgb_categories(void **state) {
    (void)state;
    char text[TEXT_SIZE];
    strcpy(text, with(xgb_text, "\"split_type\":[0", "\"split_type\":[1"));
    strcpy(text, with(text, "\"categories_segments\":[],\"categories_sizes\":[]",
                      "\"categories_segments\":[0],\"categories_sizes\":[2]"));
    strcpy(text, with(text, "\"categories_nodes\":[]", "\"categories_nodes\":[0]"));
    static const struct {
        const char *list, *words;
    } bad[] = {
        {"[1]", "beyond the array"}, {"[1,16777216]", "out of range"}, {"[1,-1]", "out of range"}};
    for (size_t i = 0; i < 3; i++) {
        char list[64];
        snprintf(list, sizeof list, "\"categories\":%s", bad[i].list);
        const char *made = with(text, "\"categories\":[]", list);
        refused(made, strlen(made), ST_CORRUPT, "line ", bad[i].words);
    }
    struct tree_model *m = parse(with(text, "\"categories\":[]", "\"categories\":[33,1]"));
    assert_int_equal(m->trees[0].set_begin[1], 2);
    assert_true(margin(m, 0, 1) == 4.5 && margin(m, 0, 33) == 4.5 && margin(m, 0, 2) == 2.5);
    size_t size;
    char *again = print(m, MODEL_FORMAT_AUTO, &size);
    assert_non_null(strstr(again, "\"categories\":[1,33]"));
    assert_non_null(strstr(again, "\"split_conditions\":[NaN,-1E0,4E0,1E0,2E0]"));
    free(again);
    tree_model_destroy(m);
}

static void test_xgb_large_sets_are_bounded(void **state) {
    (void)state;
    /* 40 splits, a chain, each with one category near the limit: 2 MiB of bits a split. */
    enum { SPLITS = 40, NODES = 2 * SPLITS + 1, SIZE = 1 << 15 };
    static char text[SIZE], lists[10][SIZE / 16];
    char *out[10];
    for (int i = 0; i < 10; i++) out[i] = lists[i];
    for (int i = 0; i < NODES; i++) {
        bool split = i % 2 == 0 && i < NODES - 1;
        const char *comma = i ? "," : "";
        out[0] += sprintf(out[0], "%s%d", comma, split ? i + 1 : -1);
        out[1] += sprintf(out[1], "%s%d", comma, split ? i + 2 : -1);
        out[2] += sprintf(out[2], "%s0", comma);
        out[3] += sprintf(out[3], "%s%d", comma, split);
        if (!split) continue;
        out[4] += sprintf(out[4], "%s16777215", comma);
        out[5] += sprintf(out[5], "%s%d", comma, i);
        out[6] += sprintf(out[6], "%s%d", comma, i / 2);
        out[7] += sprintf(out[7], "%s1", comma);
    }
    snprintf(
        text, sizeof text,
        "{\"learner\":{\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{\"num_trees\":"
        "\"1\"},"
        "\"tree_info\":[0],\"trees\":[{\"left_children\":[%s],\"right_children\":[%s],"
        "\"split_indices\":[%s],\"split_conditions\":[%s],\"default_left\":[%s],\"split_type\":[%s]"
        ","
        "\"categories\":[%s],\"categories_nodes\":[%s],\"categories_segments\":[%s],"
        "\"categories_sizes\":[%s],\"tree_param\":{\"num_nodes\":\"%d\"}}]},\"name\":\"gbtree\"}}}",
        lists[0], lists[1], lists[2], lists[2], lists[2], lists[3], lists[4], lists[5], lists[6],
        lists[7], NODES);
    refused(text, strlen(text), ST_RANGE, "byte ", "categories too large for the file's size");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgb_model),       cmocka_unit_test(test_xgb_layouts),
        cmocka_unit_test(test_xgb_base_scores), cmocka_unit_test(test_xgb_vector_of_base_scores),
        cmocka_unit_test(test_xgb_refusals),    cmocka_unit_test(test_xgb_logit_of_one),
        cmocka_unit_test(test_xgb_categories),  cmocka_unit_test(test_xgb_large_sets_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
