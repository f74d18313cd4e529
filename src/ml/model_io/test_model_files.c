/* Hand-made files: layouts that the linked library does not write (XGBoost 1.0, and 2.x and 3.x after
 * their documentation; UBJSON's other forms), LightGBM's corners, and damage of every kind, each of which
 * must be refused with the place it is at. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "ml/model_io/model_io.h"

enum { TEXT_SIZE = 8192 };

/* One tree: x1 < 0.5 ? (x0 < -1 ? 1 : 2) : 4, missing goes right, left, in that order. */
static const char xgb_text[] =
    "{\"learner\":{\"attributes\":{\"k\":\"v\"},\n"
    "\"feature_names\":[],\"feature_types\":[],\n"
    "\"gradient_booster\":{\"model\":{\n"
    "\"gbtree_model_param\":{\"num_parallel_tree\":\"1\",\"num_trees\":\"1\",\"size_leaf_vector\":"
    "\"0\"},\n"
    "\"tree_info\":[0],\n"
    "\"trees\":[{\"base_weights\":[0,0,4,1,2],\n"
    "\"categories\":[],\"categories_nodes\":[],\"categories_segments\":[],\"categories_sizes\":[],"
    "\n"
    "\"default_left\":[0,1,0,0,0],\n"
    "\"id\":0,\n"
    "\"left_children\":[1,3,-1,-1,-1],\n"
    "\"loss_changes\":[10,5,0,0,0],\n"
    "\"parents\":[2147483647,0,0,1,1],\n"
    "\"right_children\":[2,4,-1,-1,-1],\n"
    "\"split_conditions\":[0.5,-1,4,1,2],\n"
    "\"split_indices\":[1,0,0,0,0],\n"
    "\"split_type\":[0,0,0,0,0],\n"
    "\"sum_hessian\":[9,6,3,2,4],\n"
    "\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"2\",\"num_nodes\":\"5\",\"size_leaf_"
    "vector\":\"0\"}}]},\n"
    "\"name\":\"gbtree\"},\n"
    "\"learner_model_param\":{\"base_score\":\"5E-1\",\"boost_from_average\":\"1\",\"num_class\":"
    "\"0\",\"num_feature\":\"2\",\"num_target\":\"1\"},\n"
    "\"objective\":{\"name\":\"reg:squarederror\",\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}}}"
    ",\n"
    "\"version\":[1,7,4]}";

static const char lgbm_text[] = "tree\n"
                                "version=v4\n"
                                "num_class=1\n"
                                "num_tree_per_iteration=1\n"
                                "label_index=0\n"
                                "max_feature_idx=1\n"
                                "objective=binary sigmoid:1\n"
                                "feature_names=a b\n"
                                "feature_infos=[0:1] 0:1:2\n"
                                "tree_sizes=390\n"
                                "\n"
                                "Tree=0\n"
                                "num_leaves=3\n"
                                "num_cat=1\n"
                                "split_feature=1 0\n"
                                "split_gain=10 5\n"
                                "threshold=0 -1\n"
                                "decision_type=1 2\n"
                                "left_child=1 -1\n"
                                "right_child=-3 -2\n"
                                "leaf_value=1 2 4\n"
                                "leaf_weight=2 4 3\n"
                                "leaf_count=2 4 3\n"
                                "internal_value=0 0\n"
                                "internal_weight=9 6\n"
                                "internal_count=9 6\n"
                                "cat_boundaries=0 1\n"
                                "cat_threshold=5\n"
                                "is_linear=1\n"
                                "leaf_const=0 0.5 0.25\n"
                                "num_features=2 0 1\n"
                                "leaf_features=0 1   1  \n"
                                "leaf_coeff=1 2   3  \n"
                                "shrinkage=0.1\n"
                                "\n"
                                "\n"
                                "end of trees\n"
                                "\n"
                                "feature_importances:\n"
                                "a=1\n"
                                "b=1\n"
                                "\n"
                                "parameters:\n"
                                "[boosting: gbdt]\n"
                                "[data: ]\n"
                                "\n"
                                "end of parameters\n"
                                "\n"
                                "pandas_categorical:null\n";

/* text with the first `from` made `to`. */
static char *with(const char *text, const char *from, const char *to) {
    static char out[TEXT_SIZE];
    const char *at = strstr(text, from);
    if (!at) fail_msg("the text has no %s", from);
    int size = snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(size > 0 && (size_t)size < sizeof out);
    return out;
}

static struct tree_model *parse(const char *text) {
    struct tree_model *m = NULL;
    struct err err = {0};
    if (model_parse(&m, text, strlen(text), "made", &err) != ST_OK) fail_msg("%s", err.text);
    return m;
}

static void refused(const char *text, size_t size, enum status want, const char *place,
                    const char *words) {
    struct tree_model *m = NULL;
    struct err err = {0};
    enum status st = model_parse(&m, text, size, "made", &err);
    assert_null(m);
    if (st != want || strncmp(err.text, "made: ", 6) != 0 || !strstr(err.text, place) ||
        !strstr(err.text, words))
        fail_msg("%s: \"%s\", wanted \"%s\" and \"%s\"", status_name(st), err.text, place, words);
}

static double margin(const struct tree_model *m, double a, double b) {
    const double row[2] = {a, b};
    double out[8];
    assert_true(m->outputs <= 8);
    tree_margin_ref(out, m, 0, m->tree_count / m->trees_per_iteration, row);
    return out[0];
}

static char *print(const struct tree_model *m, enum model_format format, size_t *size) {
    char *out = NULL;
    struct err err = {0};
    if (model_print(&out, size, m, format, &err) != ST_OK) fail_msg("%s", err.text);
    return out;
}

/* ---- XGBoost ---- */

static void check_base(const struct tree_model *m) {
    assert_true(margin(m, -2, 0) == 1.5 && margin(m, 0, 0) == 2.5 && margin(m, 0, 0.5) == 4.5);
    assert_true(margin(m, NAN, 0) == 1.5 && margin(m, 0, NAN) == 4.5);
}

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

/* ---- UBJSON's other forms ---- */

struct bytes {
    unsigned char data[TEXT_SIZE];
    size_t size;
};

static void put(struct bytes *b, int byte) {
    assert_true(b->size < sizeof b->data);
    b->data[b->size++] = (unsigned char)byte;
}

static void put_big_endian(struct bytes *b, uint64_t bits, int width) {
    for (int i = width - 1; i >= 0; i--) put(b, (int)(bits >> (8 * i) & 0xFF));
}

/* A length in whichever type is next in turn. */
static void put_length(struct bytes *b, size_t size) {
    static const char types[] = "iUIlL";
    static const int widths[] = {1, 1, 2, 4, 8};
    size_t turn = b->size % 5;
    put(b, types[turn]);
    put_big_endian(b, size, widths[turn]);
}

static void put_text(struct bytes *b, const struct json_text *text) {
    for (size_t i = 0; i < text->size; i++) put(b, text->data[i]);
}

static void put_number(struct bytes *b, const struct json_text *text) {
    double value = strtod(text->data, NULL);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != floor(value)) {
        put(b, 'D');
        put_big_endian(b, bits, 8);
    } else if (value >= -128 && value <= 127) {
        put(b, 'i');
        put(b, (int)value & 0xFF);
    } else {
        put(b, 'l');
        put_big_endian(b, (uint64_t)(int64_t)value, 4);
    }
}

/* JSON as UBJSON without counts or types, no-ops in between. */
static void put_value(struct bytes *b, struct json_reader *r) {
    struct json_text text;
    put(b, 'N');
    switch (json_peek(r)) {
    case JSON_OBJECT:
        put(b, '{');
        json_object_begin(r);
        while (json_object_next(r, &text)) {
            put_length(b, text.size);
            put_text(b, &text);
            put_value(b, r);
        }
        put(b, '}');
        break;
    case JSON_ARRAY:
        put(b, '[');
        json_array_begin(r);
        while (json_array_next(r)) put_value(b, r);
        put(b, ']');
        break;
    case JSON_STRING:
        text = json_string(r);
        put(b, text.size == 1 ? 'C' : 'S');
        if (text.size != 1) put_length(b, text.size);
        put_text(b, &text);
        break;
    default:
        text = json_number(r);
        put_number(b, &text);
    }
}

static void plain_ubj(struct bytes *b, const char *json) {
    struct json_reader r;
    json_reader_init(&r, json, strlen(json));
    b->size = 0;
    put_value(b, &r);
    assert_int_equal(json_finish(&r), ST_OK);
    /* The format is told by the first bytes: no no-op there. */
    memmove(b->data, b->data + 1, --b->size);
}

static void test_ubj_plain_forms(void **state) {
    (void)state;
    static struct bytes b;
    struct err err = {0};
    struct tree_model *m;
    size_t size, want_size;
    plain_ubj(&b, xgb_text);
    if (model_parse(&m, b.data, b.size, "plain", &err) != ST_OK) fail_msg("%s", err.text);
    check_base(m);
    char *again = print(m, MODEL_XGBOOST_JSON, &size);
    struct tree_model *j = parse(xgb_text);
    char *want = print(j, MODEL_XGBOOST_JSON, &want_size);
    assert_string_equal(again, want);
    free(again);
    free(want);
    tree_model_destroy(j);
    tree_model_destroy(m);
}

/* Every cut of a file is an error that says where; so is every byte behind it. */
static void test_ubj_cuts(void **state) {
    (void)state;
    struct tree_model *m = parse(xgb_text), *none;
    size_t size;
    struct err err = {0};
    char *ubj = print(m, MODEL_XGBOOST_UBJ, &size);
    for (size_t cut = 2; cut < size; cut++) {
        char *exact = malloc(cut);
        assert_non_null(exact);
        memcpy(exact, ubj, cut);
        refused(exact, cut, ST_CORRUPT, "byte ", ": ");
        free(exact);
    }
    ubj[size] = 'x'; /* over the NUL */
    assert_int_equal(model_parse(&none, ubj, size + 1, "tail", &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "bytes behind the model"));
    free(ubj);
    tree_model_destroy(m);
}

/* Lengths and counts that no bytes are behind. */
static void test_ubj_hostile_counts(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *words;
        size_t size;
    } cases[] = {
        {"{L\x7f\xff\xff\xff\xff\xff\xff\xff", "longer than the file", 10},
        {"{l\xff\xff\xff\xff", "negative", 6},
        {"{U\1x[$Z#l\x7f\xff\xff\xff", "type is not one", 11},
        {"{U\7learner[$d#l\x7f\xff\xff\xff", "expected an object", 17},
        {"{U\1x[$d#l\x7f\xff\xff\xff", "unexpected end", 11},
        {"{U\1x[$[#l\x7f\xff\xff\xff]]]", "unexpected end", 14},
        {"{U\1x[$i]", "no count", 8},
        {"{U\1xq", "expected a number", 5},
        {"{U\1xSd", "not an integer", 6},
        {"{U\3x\0y", "NUL", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].bytes, cases[i].size, ST_CORRUPT, "byte ", cases[i].words);
    char deep[256] = "{U\1x";
    memset(deep + 4, '[', sizeof deep - 4);
    refused(deep, sizeof deep, ST_CORRUPT, "byte ", "nested too deeply");
}

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
        cmocka_unit_test(test_xgb_model),
        cmocka_unit_test(test_xgb_layouts),
        cmocka_unit_test(test_xgb_base_scores),
        cmocka_unit_test(test_xgb_vector_of_base_scores),
        cmocka_unit_test(test_xgb_refusals),
        cmocka_unit_test(test_xgb_logit_of_one),
        cmocka_unit_test(test_xgb_categories),
        cmocka_unit_test(test_xgb_large_sets_are_bounded),
        cmocka_unit_test(test_ubj_plain_forms),
        cmocka_unit_test(test_ubj_cuts),
        cmocka_unit_test(test_ubj_hostile_counts),
        cmocka_unit_test(test_lgbm_model),
        cmocka_unit_test(test_lgbm_layouts),
        cmocka_unit_test(test_lgbm_tolerance),
        cmocka_unit_test(test_lgbm_refusals),
        cmocka_unit_test(test_lgbm_cuts),
        cmocka_unit_test(test_other_bytes),
        cmocka_unit_test(test_files_round_trip),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_what_cannot_be_said),
        cmocka_unit_test(test_built_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
