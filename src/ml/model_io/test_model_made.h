/* Hand-made models and what the tests of model files do with them. */
#ifndef ML_MODEL_IO_TEST_MODEL_MADE_H
#define ML_MODEL_IO_TEST_MODEL_MADE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "base/status.h"
#include "ml/model_io/model_io.h"

enum { TEXT_SIZE = 8192 };

/* One tree: x1 < 0.5 ? (x0 < -1 ? 1 : 2) : 4, missing goes right, left, in that order. */
__attribute__((unused)) static const char xgb_text[] =
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

__attribute__((unused)) static const char lgbm_text[] = "tree\n"
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
static inline char *with(const char *text, const char *from, const char *to) {
    static char out[TEXT_SIZE];
    const char *at = strstr(text, from);
    if (!at) fail_msg("the text has no %s", from);
    int size = snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(size > 0 && (size_t)size < sizeof out);
    return out;
}

static inline struct tree_model *parse(const char *text) {
    struct tree_model *m = NULL;
    struct err err = {0};
    if (model_parse(&m, text, strlen(text), "made", &err) != ST_OK) fail_msg("%s", err.text);
    return m;
}

static inline void refused(const char *text, size_t size, enum status want, const char *place,
                           const char *words) {
    struct tree_model *m = NULL;
    struct err err = {0};
    enum status st = model_parse(&m, text, size, "made", &err);
    assert_null(m);
    if (st != want || strncmp(err.text, "made: ", 6) != 0 || !strstr(err.text, place) ||
        !strstr(err.text, words))
        fail_msg("%s: \"%s\", wanted \"%s\" and \"%s\"", status_name(st), err.text, place, words);
}

static inline double margin(const struct tree_model *m, double a, double b) {
    const double row[2] = {a, b};
    double out[8];
    assert_true(m->outputs <= 8);
    tree_margin_ref(out, m, 0, m->tree_count / m->trees_per_iteration, row);
    return out[0];
}

static inline char *print(const struct tree_model *m, enum model_format format, size_t *size) {
    char *out = NULL;
    struct err err = {0};
    if (model_print(&out, size, m, format, &err) != ST_OK) fail_msg("%s", err.text);
    return out;
}

/* Predictions of xgb_text. */
static inline void check_base(const struct tree_model *m) {
    assert_true(margin(m, -2, 0) == 1.5 && margin(m, 0, 0) == 2.5 && margin(m, 0, 0.5) == 4.5);
    assert_true(margin(m, NAN, 0) == 1.5 && margin(m, 0, NAN) == 4.5);
}

#endif
