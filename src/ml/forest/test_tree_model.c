/* The plain reading of tree models, against rules written out by hand: what libraries do with each kind
 * of split and value. That whole models agree with them is shown in ml/model_io (test_model_ref.c). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ml/forest/tree_model.h"

enum { SPLITS_MAX = 4, COLUMNS = 3 };

/* A tree with room in arrays of its own. */
struct made {
    struct tree tree;
    int32_t feature[SPLITS_MAX], left[SPLITS_MAX], right[SPLITS_MAX];
    double threshold[SPLITS_MAX], split_value[SPLITS_MAX], split_weight[SPLITS_MAX];
    uint8_t decision[SPLITS_MAX];
    float gain[SPLITS_MAX];
    int64_t split_rows[SPLITS_MAX], leaf_rows[SPLITS_MAX + 1];
    double leaf_value[SPLITS_MAX + 1], leaf_weight[SPLITS_MAX + 1];
    uint32_t set_begin[4], set_words[8];
    double leaf_const[SPLITS_MAX + 1], linear_coefficient[8];
    uint32_t linear_begin[SPLITS_MAX + 2];
    int32_t linear_feature[8];
};

/* A chain: split i goes left to leaf i, right to split i + 1, the last to leaf n. Leaf l is worth l + 1. */
static struct tree *made_init(struct made *t, uint32_t splits) {
    memset(t, 0, sizeof *t);
    t->tree = (struct tree){.split_count = splits,
                            .feature = t->feature,
                            .threshold = t->threshold,
                            .decision = t->decision,
                            .left = t->left,
                            .right = t->right,
                            .gain = t->gain,
                            .split_value = t->split_value,
                            .split_weight = t->split_weight,
                            .split_rows = t->split_rows,
                            .leaf_value = t->leaf_value,
                            .leaf_weight = t->leaf_weight,
                            .leaf_rows = t->leaf_rows,
                            .set_begin = t->set_begin,
                            .set_words = t->set_words,
                            .leaf_const = t->leaf_const,
                            .linear_begin = t->linear_begin,
                            .linear_feature = t->linear_feature,
                            .linear_coefficient = t->linear_coefficient,
                            .shrinkage = 1,
                            .weight = 1};
    for (uint32_t i = 0; i < splits; i++) {
        t->left[i] = ~(int32_t)i;
        t->right[i] = i + 1 < splits ? (int32_t)i + 1 : ~(int32_t)(i + 1);
    }
    for (uint32_t l = 0; l <= splits; l++) t->leaf_value[l] = (double)l + 1;
    return &t->tree;
}

static double zero_margins[4];

static struct tree_model model_of(enum tree_dialect dialect, struct tree *trees, uint32_t count) {
    return (struct tree_model){.dialect = dialect,
                               .sigmoid = 1,
                               .outputs = 1,
                               .columns = COLUMNS,
                               .trees_per_iteration = 1,
                               .tree_count = count,
                               .trees = trees,
                               .base_margin = zero_margins};
}

static bool goes_left(const struct tree_model *m, double value) {
    const double row[COLUMNS] = {value, 0, 0};
    return tree_walk_ref(m, &m->trees[0], row) == 0;
}

/* ---- splits ---- */

static void test_xgboost_compares_floats(void **state) {
    (void)state;
    struct made t;
    made_init(&t, 1);
    struct tree_model m = model_of(TREES_XGBOOST, &t.tree, 1);
    float threshold = 0.1f;
    t.threshold[0] = (double)threshold;
    assert_false(goes_left(&m, (double)threshold));
    assert_true(goes_left(&m, (double)nextafterf(threshold, 0)));
    /* A double below the threshold that rounds to it is not below it. */
    assert_false(goes_left(&m, nextafter((double)threshold, 0)));
    assert_false(goes_left(&m, NAN));
    t.decision[0] = DECISION_DEFAULT_LEFT;
    assert_true(goes_left(&m, NAN));
    assert_true(goes_left(&m, -INFINITY));
    assert_false(goes_left(&m, 1e300));
}

static void test_lightgbm_compares_doubles(void **state) {
    (void)state;
    struct made t;
    made_init(&t, 1);
    struct tree_model m = model_of(TREES_LIGHTGBM, &t.tree, 1);
    t.threshold[0] = 0.1;
    assert_true(goes_left(&m, 0.1));
    assert_false(goes_left(&m, nextafter(0.1, 1)));
    /* Tiny values are zeros: left of -1e-36 they would be if compared as they are. */
    t.threshold[0] = -1e-36;
    assert_false(goes_left(&m, -1e-35));
    assert_false(goes_left(&m, -(double)1e-35f));
    assert_true(goes_left(&m, -1.1e-35));
}

static void test_lightgbm_missing_types(void **state) {
    (void)state;
    struct made t;
    made_init(&t, 1);
    struct tree_model m = model_of(TREES_LIGHTGBM, &t.tree, 1);
    static const struct {
        double threshold, value;
        enum missing_type missing;
        bool default_left, left;
    } cases[] = {
        {-1, NAN, MISSING_NONE, true, false}, /* NaN is 0 */
        {1, NAN, MISSING_NONE, false, true},   {-1, NAN, MISSING_ZERO, true, true},
        {-1, 0, MISSING_ZERO, true, true},     {-1, 1e-36, MISSING_ZERO, true, true},
        {1, -0.0, MISSING_ZERO, false, false}, {1, 0.5, MISSING_ZERO, false, true},
        {-1, NAN, MISSING_NAN, true, true},    {1, NAN, MISSING_NAN, false, false},
        {1, 0, MISSING_NAN, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.threshold[0] = cases[i].threshold;
        t.decision[0] = (uint8_t)(cases[i].missing << DECISION_MISSING_SHIFT |
                                  (cases[i].default_left ? DECISION_DEFAULT_LEFT : 0));
        if (goes_left(&m, cases[i].value) != cases[i].left) fail_msg("case %zu", i);
    }
}

/* Set {0, 3, 33} of two words. */
static void categorical(struct made *t) {
    made_init(t, 1);
    t->decision[0] = DECISION_CATEGORICAL;
    t->tree.set_count = 1;
    t->set_begin[1] = 2;
    t->set_words[0] = 1u << 0 | 1u << 3;
    t->set_words[1] = 1u << 1;
}

static void test_lightgbm_categories(void **state) {
    (void)state;
    struct made t;
    categorical(&t);
    struct tree_model m = model_of(TREES_LIGHTGBM, &t.tree, 1);
    static const double in[] = {0, 3, 33, 3.9, -0.9, 1e-36, 33.999};
    static const double out[] = {1,  2,         32,  64,   4e9,      1e300,
                                 -1, -INFINITY, NAN, -3.5, INFINITY, 2147483647};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) assert_true(goes_left(&m, in[i]));
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) assert_false(goes_left(&m, out[i]));
}

static void test_xgboost_categories_go_right(void **state) {
    (void)state;
    struct made t;
    categorical(&t);
    struct tree_model m = model_of(TREES_XGBOOST, &t.tree, 1);
    static const double right[] = {0, 3, 33, 3.9, -0.0, 0.5};
    static const double left[] = {1, 2, 32, 64, 16777216, 3e38, -0.5, -1, -INFINITY, INFINITY};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) assert_false(goes_left(&m, right[i]));
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) assert_true(goes_left(&m, left[i]));
    assert_false(goes_left(&m, NAN));
    t.decision[0] |= DECISION_DEFAULT_LEFT;
    assert_true(goes_left(&m, NAN));
    assert_false(goes_left(&m, 3));
}

/* ---- sums ---- */

static void test_margin_is_summed_as_the_dialect_does(void **state) {
    (void)state;
    enum { TREES = 3 };
    static const double values[TREES] = {16777216, 1, 1};
    struct made t[TREES];
    struct tree trees[TREES];
    double base[1] = {0.5}, out = 0;
    const double row[COLUMNS] = {0};
    for (int i = 0; i < TREES; i++) {
        trees[i] = *made_init(&t[i], 0);
        t[i].leaf_value[0] = values[i];
        trees[i].leaf_value = t[i].leaf_value;
    }
    struct tree_model m = model_of(TREES_XGBOOST, trees, TREES);
    m.base_margin = base;
    tree_margin_ref(&out, &m, 0, TREES, row);
    assert_true(out == 16777216.0); /* 2^24 + 1 is no float */
    tree_margin_ref(&out, &m, 1, TREES, row);
    assert_true(out == 2.5);
    m.dialect = TREES_LIGHTGBM;
    tree_margin_ref(&out, &m, 0, TREES, row);
    assert_true(out == 16777218.5);
    tree_margin_ref(&out, &m, 2, 2, row);
    assert_true(out == 0.5);
}

static void test_dart_weights_floats(void **state) {
    (void)state;
    struct made t;
    made_init(&t, 0);
    struct tree_model m = model_of(TREES_XGBOOST, &t.tree, 1);
    const double row[COLUMNS] = {0};
    double out;
    t.leaf_value[0] = (double)0.1f;
    t.tree.weight = 0.3f;
    tree_margin_ref(&out, &m, 0, 1, row);
    assert_true(out == (double)0.1f); /* only DART's weights count */
    m.is_dart = true;
    tree_margin_ref(&out, &m, 0, 1, row);
    assert_true(out == (double)(0.3f * 0.1f));
}

static void test_outputs_take_their_own_trees(void **state) {
    (void)state;
    enum { TREES = 4 };
    struct made t[TREES];
    struct tree trees[TREES];
    double out[2];
    const double row[COLUMNS] = {0};
    for (uint32_t i = 0; i < TREES; i++) {
        trees[i] = *made_init(&t[i], 0);
        t[i].leaf_value[0] = (double)(1u << i);
        trees[i].class_index = i / 2; /* parallel trees stand together */
    }
    struct tree_model m = model_of(TREES_XGBOOST, trees, TREES);
    m.outputs = 2;
    m.trees_per_iteration = TREES;
    tree_margin_ref(out, &m, 0, 1, row);
    assert_true(out[0] == 3 && out[1] == 12);
}

static void test_linear_leaf(void **state) {
    (void)state;
    struct made t;
    made_init(&t, 1);
    struct tree_model m = model_of(TREES_LIGHTGBM, &t.tree, 1);
    t.tree.is_linear = true;
    t.leaf_const[0] = 10;
    t.leaf_const[1] = 20;
    t.linear_begin[1] = 2;
    t.linear_begin[2] = 2;
    t.linear_feature[0] = 1;
    t.linear_feature[1] = 2;
    t.linear_coefficient[0] = 2;
    t.linear_coefficient[1] = 1e40;
    double out;
    const double left[COLUMNS] = {-1, 3, 0.5e-35}, lacking[COLUMNS] = {-1, NAN, 0},
                 right[COLUMNS] = {1, NAN, NAN};
    tree_margin_ref(&out, &m, 0, 1, left);
    assert_true(out == 16); /* the tiny value is zero here, too */
    tree_margin_ref(&out, &m, 0, 1, lacking);
    assert_true(out == 1);
    tree_margin_ref(&out, &m, 0, 1, right);
    assert_true(out == 20);
}

/* ---- transforms ---- */

static void transform_is(struct tree_model *m, enum tree_transform transform, double margin,
                         double want, double tolerance) {
    double out;
    m->transform = transform;
    tree_transform(&out, m, 1, &margin);
    if (!(fabs(out - want) <= tolerance)) fail_msg("%d of %g: %.17g", transform, margin, out);
}

static void test_transforms(void **state) {
    (void)state;
    struct tree_model x = model_of(TREES_XGBOOST, NULL, 0), l = model_of(TREES_LIGHTGBM, NULL, 0);
    transform_is(&x, TRANSFORM_NONE, 1.5, 1.5, 0);
    transform_is(&x, TRANSFORM_SIGMOID, 0, 0.5, 0);
    transform_is(&x, TRANSFORM_SIGMOID, 2, 0.88079707797788243, 6e-8);
    transform_is(&x, TRANSFORM_SIGMOID, -200, 0,
                 1e-38); /* held where its float is still a number */
    transform_is(&x, TRANSFORM_EXP, 1, 2.7182818284590452, 3e-7);
    transform_is(&x, TRANSFORM_HINGE, 0, 0, 0);
    transform_is(&x, TRANSFORM_HINGE, 1e-9, 1, 0);
    transform_is(&l, TRANSFORM_SIGMOID, 2, 0.88079707797788243, 2e-16);
    transform_is(&l, TRANSFORM_EXP, 1, 2.7182818284590452, 1e-15);
    transform_is(&l, TRANSFORM_SQUARE, -3, -9, 0);
    transform_is(&l, TRANSFORM_SQUARE, 3, 9, 0);
    transform_is(&l, TRANSFORM_LOG1P_EXP, 0, 0.69314718055994531, 2e-16);
    l.sigmoid = 2;
    transform_is(&l, TRANSFORM_SIGMOID, 1, 0.88079707797788243, 2e-16);
}

static void test_softmax_and_argmax(void **state) {
    (void)state;
    static const double margin[3] = {1, 3, 2};
    static const double want[3] = {0.090030573170380462, 0.66524095577482178, 0.24472847105479767};
    for (int dialect = TREES_XGBOOST; dialect <= TREES_LIGHTGBM; dialect++) {
        struct tree_model m = model_of((enum tree_dialect)dialect, NULL, 0);
        double out[3] = {0};
        m.outputs = 3;
        m.transform = TRANSFORM_SOFTMAX;
        assert_int_equal(tree_prediction_columns(&m), 3);
        tree_transform(out, &m, 1, margin);
        for (int k = 0; k < 3; k++)
            assert_true(fabs(out[k] - want[k]) < (dialect == TREES_XGBOOST ? 1e-7 : 1e-15));
        m.transform = TRANSFORM_ARGMAX;
        assert_int_equal(tree_prediction_columns(&m), 1);
        tree_transform(out, &m, 1, margin);
        assert_true(out[0] == 1);
    }
}

static void test_average_belongs_to_the_transform(void **state) {
    (void)state;
    struct tree_model m = model_of(TREES_LIGHTGBM, NULL, 0);
    double x = 8;
    m.average_output = true;
    m.transform = TRANSFORM_SQUARE;
    tree_transform(&x, &m, 4, &x);
    assert_true(x == 4);
}

static void test_importance(void **state) {
    (void)state;
    struct made t;
    made_init(&t, 3);
    struct tree_model m = model_of(TREES_LIGHTGBM, &t.tree, 1);
    double gain[COLUMNS];
    uint64_t splits[COLUMNS];
    t.feature[0] = 2;
    t.feature[1] = 2;
    t.feature[2] = 1;
    t.gain[0] = 5;
    t.gain[1] = 2.5f;
    t.gain[2] = -1; /* a forced split that gained nothing */
    tree_importance(gain, splits, &m);
    assert_true(gain[0] == 0 && gain[1] == 0 && gain[2] == 7.5);
    assert_true(splits[0] == 0 && splits[1] == 0 && splits[2] == 2);
    m.dialect = TREES_XGBOOST;
    tree_importance(gain, splits, &m);
    assert_true(gain[1] == -1 && splits[1] == 1);
}

/* ---- problems ---- */

static const char *problem_of(const struct tree_model *m, uint32_t *tree) {
    uint8_t visited[SPLITS_MAX + 1];
    return tree_model_problem(m, visited, tree);
}

/* A sound model of two trees, one thing of the second or of the model broken. */
struct broken {
    struct made made[2];
    struct tree trees[2];
    double base[4];
    struct tree_model model;
};

static const char *break_splits(struct tree_model *m, struct made *b, size_t what) {
    (void)b;
    switch (what) {
    case 0:
        b->feature[1] = COLUMNS;
        return "a split uses a column beyond the model's";
    case 1:
        b->feature[1] = -1;
        return "a split uses a column beyond the model's";
    case 2:
        b->decision[2] = 16;
        return "a split's decision type has unknown bits";
    case 3:
        b->decision[2] = 12;
        return "a split's missing type is unknown";
    case 4:
        b->threshold[0] = NAN;
        return "a threshold is not a number";
    case 5:
        b->decision[0] = DECISION_CATEGORICAL;
        b->threshold[0] = 2;
        return "a categorical split has no set";
    case 6:
        b->decision[0] = DECISION_CATEGORICAL;
        b->threshold[0] = 0.5;
        return "a categorical split has no set";
    case 7:
        m->dialect = TREES_XGBOOST;
        b->threshold[0] = 0.1;
        return "a threshold is not a float";
    case 8:
        b->left[0] = 3;
        return "a child is outside the tree";
    case 9:
        b->left[0] = ~4;
        return "a child is outside the tree";
    case 10:
        b->left[1] = 1;
        return "a child is not above its parent";
    case 11:
        b->left[0] = ~1;
        return "a node has two parents";
    case 12:
        b->right[0] = 2;
        return "a split has no parent";
    default:
        return NULL;
    }
}

static const char *break_leaves(struct tree_model *m, struct made *b, size_t what) {
    (void)b;
    switch (what) {
    case 0:
        b->leaf_value[3] = INFINITY;
        return "a leaf's value is not finite";
    case 1:
        m->dialect = TREES_XGBOOST;
        b->leaf_value[3] = 0.1;
        return "a leaf's value is not a float";
    case 2:
        m->trees[1].class_index = 1;
        return "a tree belongs to no output";
    case 3:
        m->trees[1].weight = NAN;
        return "a tree's weight is not finite";
    case 4:
        b->set_begin[0] = 1;
        return "the first set does not begin at 0";
    case 5:
        b->set_begin[2] = 0;
        return "a set ends before it begins";
    case 6:
        m->dialect = TREES_XGBOOST;
        m->trees[1].is_linear = true;
        return "XGBoost has no linear leaves";
    case 7:
        m->trees[1].is_linear = true;
        b->leaf_const[2] = NAN;
        return "a linear leaf's constant is not finite";
    case 8:
        m->trees[1].is_linear = true;
        b->linear_begin[0] = 1;
        return "the first linear leaf does not begin at 0";
    case 9:
        m->trees[1].is_linear = true;
        b->linear_begin[1] = 2;
        return "a linear leaf's terms run back";
    case 10:
        m->trees[1].is_linear = true;
        b->linear_begin[4] = 1;
        b->linear_feature[0] = COLUMNS;
        return "a linear leaf uses a column beyond the model's";
    case 11:
        m->trees[1].is_linear = true;
        b->linear_begin[4] = 1;
        b->linear_coefficient[0] = NAN;
        return "a linear coefficient is not finite";
    default:
        return NULL;
    }
}

static const char *break_model(struct tree_model *m, struct made *b, size_t what) {
    (void)b;
    switch (what) {
    case 0:
        m->outputs = m->trees_per_iteration = 4;
        return "the last iteration lacks trees";
    case 1:
        m->base_margin[0] = NAN;
        return "a base margin is not finite";
    case 2:
        m->columns = 0;
        return "no columns";
    case 3:
        m->outputs = 0;
        return "no outputs";
    case 4:
        m->outputs = 2;
        return "trees per iteration are not a multiple of the outputs";
    case 5:
        m->sigmoid = 0;
        return "the sigmoid's slope is not above 0";
    default:
        return NULL;
    }
}

typedef const char *(*break_fn)(struct tree_model *m, struct made *b, size_t what);

static size_t check_breaks(break_fn breaks, bool is_of_model) {
    for (size_t what = 0;; what++) {
        struct broken x = {0};
        uint32_t tree = 99;
        for (int k = 0; k < 2; k++) x.trees[k] = *made_init(&x.made[k], 3);
        x.model = model_of(TREES_LIGHTGBM, x.trees, 2);
        x.model.base_margin = x.base;
        x.trees[1].set_count = 2;
        x.made[1].set_begin[1] = x.made[1].set_begin[2] = 1;
        assert_null(problem_of(&x.model, &tree));
        const char *want = breaks(&x.model, &x.made[1], what);
        if (!want) return what;
        const char *problem = problem_of(&x.model, &tree);
        if (!problem || strcmp(problem, want) != 0)
            fail_msg("%zu: %s, not %s", what, problem ? problem : "none", want);
        assert_int_equal(tree, is_of_model ? 0 : 1);
    }
}

static void test_problems(void **state) {
    (void)state;
    assert_int_equal(check_breaks(break_splits, false), 13);
    assert_int_equal(check_breaks(break_leaves, false), 12);
    assert_int_equal(check_breaks(break_model, true), 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgboost_compares_floats),
        cmocka_unit_test(test_lightgbm_compares_doubles),
        cmocka_unit_test(test_lightgbm_missing_types),
        cmocka_unit_test(test_lightgbm_categories),
        cmocka_unit_test(test_xgboost_categories_go_right),
        cmocka_unit_test(test_margin_is_summed_as_the_dialect_does),
        cmocka_unit_test(test_dart_weights_floats),
        cmocka_unit_test(test_outputs_take_their_own_trees),
        cmocka_unit_test(test_linear_leaf),
        cmocka_unit_test(test_transforms),
        cmocka_unit_test(test_softmax_and_argmax),
        cmocka_unit_test(test_average_belongs_to_the_transform),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
