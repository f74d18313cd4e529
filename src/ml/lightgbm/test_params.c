/* Parameters: LightGBM's names, aliases, defaults and ranges (its documentation, Parameters), and its model text's section
 * (golden: a file of the library, where QUANTUM_REFERENCE is set). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/lightgbm/lgbm_internal.h"
#include "ml/lightgbm/params_internal.h"
#include "ml/model_io/model_io.h"
#include "ml/table/unpack.h"

static struct lgbm_params made;
static struct err error;

static int set_up(void **state) {
    (void)state;
    lgbm_params_init(&made);
    error = (struct err){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    lgbm_params_free(&made);
    return 0;
}

static enum status set(const char *key, const char *value) {
    static const char *const names[] = {"open", "close", "symbol", "volume"};
    return lgbm_params_set(&made, key, value, 4, names, &error);
}

static void assert_near(double have, double want) {
    if (!(have >= want && have <= want)) fail_msg("%.17g, want %.17g", have, want);
}

static void test_aliases_set_the_parameter(void **state) {
    (void)state;
    assert_int_equal(set("num_leaf", "7"), ST_OK);
    assert_int_equal(set("n_estimators", "12"), ST_OK);
    assert_int_equal(set("eta", "0.25"), ST_OK);
    assert_int_equal(set("min_child_samples", "3"), ST_OK);
    assert_int_equal(set("reg_lambda", "1.5"), ST_OK);
    assert_int_equal(set("sub_feature", "0.5"), ST_OK);
    assert_int_equal(set("early_stopping", "9"), ST_OK);
    assert_int_equal(made.num_leaves, 7);
    assert_int_equal(made.num_iterations, 12);
    assert_near(made.learning_rate, 0.25);
    assert_int_equal(made.min_data_in_leaf, 3);
    assert_near(made.lambda_l2, 1.5);
    assert_near(made.feature_fraction, 0.5);
    assert_int_equal(made.early_stopping_round, 9);
}

/* No name stands for two parameters. */
static void test_names_are_unique(void **state) {
    (void)state;
    for (size_t i = 0; i < lgbm_param_count; i++) {
        char all[512];
        snprintf(all, sizeof all, "%s %s", lgbm_param_table[i].name,
                 lgbm_param_table[i].aliases ? lgbm_param_table[i].aliases : "");
        for (char *save = NULL, *name = strtok_r(all, " ", &save); name;
             name = strtok_r(NULL, " ", &save)) {
            int owners = 0;
            for (size_t j = 0; j < lgbm_param_count; j++) {
                char text[512], want[128];
                snprintf(text, sizeof text, " %s %s ", lgbm_param_table[j].name,
                         lgbm_param_table[j].aliases ? lgbm_param_table[j].aliases : "");
                snprintf(want, sizeof want, " %s ", name);
                owners += strstr(text, want) != NULL;
            }
            if (owners != 1) fail_msg("%s: %d owners", name, owners);
        }
    }
}

static void test_out_of_range_tells_the_range(void **state) {
    (void)state;
    static const char *const bad[][3] = {
        {"num_leaves", "1", "2 to 131072"},
        {"num_leaves", "131073", "2 to 131072"},
        {"num_leaves", "7.5", "2 to 131072"},
        {"num_leaves", "", "2 to 131072"},
        {"num_leaves", "99999999999999999999", "2 to 131072"},
        {"learning_rate", "0", "above 0"},
        {"learning_rate", "nan", "above 0"},
        {"learning_rate", "inf", "above 0"},
        {"bagging_fraction", "1.01", "above 0 to 1"},
        {"feature_fraction", "0", "above 0 to 1"},
        {"max_bin", "1", "2 to 65535"},
        {"lambda_l1", "-1", "from 0"},
        {"extra_trees", "maybe", "true or false"},
        {"objective", "regresion", "regression_l1"},
        {"metric", "logloss", "binary_logloss"},
        {"monotone_constraints", "1,2,0,0", "-1, 0 or 1"},
        {"monotone_constraints", "1,0", "4 columns"},
        {"categorical_feature", "4", "0 to 3"},
        {"categorical_feature", "name:high", "high"},
        {"class_weight", "1,0", "class 1"},
        {"label_gain", "0,x", "grade 1"},
        {"eval_at", "0", "from 1"},
        {"seed", "-1", "0 to 2147483647"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lgbm_params before = made;
        assert_int_equal(set(bad[i][0], bad[i][1]), ST_INVALID);
        if (!strstr(error.text, bad[i][0]) || !strstr(error.text, bad[i][2]))
            fail_msg("%s=%s: \"%s\"", bad[i][0], bad[i][1], error.text);
        before.columns_given = made.columns_given;
        assert_memory_equal(&before, &made, sizeof made);
    }
}

static void test_what_is_not_here_is_refused(void **state) {
    (void)state;
    static const char *const not_here[][2] = {
        {"boosting", "dart"},
        {"boosting", "rf"},
        {"objective", "poisson"},
        {"objective", "cross_entropy"},
        {"objective", "rank_xendcg"},
        {"metric", "map"},
        {"metric", "auc,binary_logloss"},
        {"linear_tree", "true"},
        {"monotone_constraints_method", "advanced"},
        {"use_quantized_grad", "true"},
        {"tree_learner", "voting"},
        {"device_type", "gpu"},
        {"interaction_constraints", "[0,1],[2,3]"},
        {"forcedsplits_filename", "a.json"},
        {"bagging_by_query", "true"},
        {"cegb_penalty_split", "0.1"},
        {"data", "train.csv"},
        {"label_column", "0"},
        {"num_machines", "2"},
        {"max_bin_by_feature", "3,4"},
    };
    for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++) {
        if (set(not_here[i][0], not_here[i][1]) != ST_UNSUPPORTED)
            fail_msg("%s=%s: %s", not_here[i][0], not_here[i][1], status_name(error.st));
        assert_non_null(strstr(error.text, not_here[i][0]));
    }
    assert_int_equal(set("num_leafs", "3"), ST_NOT_FOUND);
    assert_non_null(strstr(error.text, "num_leafs"));
}

static void test_what_changes_nothing_is_taken(void **state) {
    (void)state;
    struct lgbm_params before = made;
    static const char *const harmless[][2] = {
        {"verbosity", "-1"},
        {"verbose", "2"},
        {"force_col_wise", "true"},
        {"deterministic", "1"},
        {"device", "cpu"},
        {"tree_learner", "serial"},
        {"linear_tree", "0"},
        {"linear_tree", "false"},
        {"two_round", "true"},
        {"is_sparse", "true"},
        {"monotone_penalty", "0.0"},
        {"cegb_tradeoff", "1.0"},
        {"is_training_metric", "true"},
        {"metric_freq", "5"},
        {"num_machines", "1"},
    };
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (set(harmless[i][0], harmless[i][1]) != ST_OK)
            fail_msg("%s=%s: %s", harmless[i][0], harmless[i][1], error.text);
    assert_memory_equal(&before, &made, sizeof made);
}

static void test_objectives_choose_metrics(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"regression", "l2"},
        {"mse", "l2"},
        {"rmse", "rmse"},
        {"mae", "l1"},
        {"huber", "huber"},
        {"quantile", "quantile"},
        {"binary", "binary_logloss"},
        {"softmax", "multi_logloss"},
        {"lambdarank", "ndcg"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        bool more;
        assert_int_equal(set("objective", pairs[i][0]), ST_OK);
        assert_string_equal(lgbm_metric_text(&made, &more), pairs[i][1]);
        assert_int_equal(more, strcmp(pairs[i][1], "ndcg") == 0);
    }
    assert_int_equal(set("objective", "binary"), ST_OK);
    assert_int_equal(set("metric", "auc"), ST_OK);
    bool more;
    assert_string_equal(lgbm_metric_text(&made, &more), "auc");
    assert_true(more);
}

static void test_lists_in_one_line(void **state) {
    (void)state;
    static const char *const names[] = {"open", "close", "symbol", "volume"};
    assert_int_equal(
        lgbm_params_parse(
            &made,
            "objective=lambdarank, eval_at=1,3,10,num_leaves=15,label_gain=0:1:5,"
            "monotone_constraints=\"1,0,-1,0\", categorical_feature=name:symbol,volume,"
            "boosting=goss , seed = 3",
            4, names, &error),
        ST_OK);
    assert_int_equal(made.objective, LGBM_LAMBDARANK);
    assert_int_equal(made.eval_at_count, 3);
    assert_int_equal(made.eval_at[2], 10);
    assert_int_equal(made.num_leaves, 15);
    assert_near(made.label_gain[2], 5);
    assert_near(made.label_gain[3], -1);
    assert_int_equal(made.monotone_constraints[0], 1);
    assert_int_equal(made.monotone_constraints[2], -1);
    assert_false(made.is_categorical[0] || made.is_categorical[1]);
    assert_true(made.is_categorical[2] && made.is_categorical[3]);
    assert_true(made.goss);
    assert_int_equal(made.seed, 3);
    assert_int_equal(lgbm_params_parse(&made, "", 4, names, &error), ST_OK);
    assert_int_equal(lgbm_params_parse(&made, "num_leaves", 4, names, &error), ST_INVALID);
    assert_int_equal(lgbm_params_parse(&made, "num_leaves=3,4", 4, names, &error), ST_INVALID);
}

static void test_seeds_derive(void **state) {
    (void)state;
    assert_int_equal(lgbm_params_seed(&made, LGBM_SEED_DATA), 1);
    assert_int_equal(lgbm_params_seed(&made, LGBM_SEED_BAGGING), 3);
    assert_int_equal(set("seed", "7"), ST_OK);
    uint64_t derived = lgbm_params_seed(&made, LGBM_SEED_BAGGING);
    assert_true(derived != 3 && derived < (UINT64_C(1) << 31));
    assert_true(derived != lgbm_params_seed(&made, LGBM_SEED_EXTRA));
    assert_int_equal(set("bagging_seed", "5"), ST_OK);
    assert_int_equal(lgbm_params_seed(&made, LGBM_SEED_BAGGING), 5);
}

static void assert_refused(const char *text, const char *why) {
    lgbm_params_free(&made);
    lgbm_params_init(&made);
    assert_int_equal(lgbm_params_parse(&made, text, 4, NULL, &error), ST_OK);
    assert_int_equal(lgbm_params_check(&made, false, &error), ST_INVALID);
    if (!strstr(error.text, why)) fail_msg("%s: \"%s\"", text, error.text);
}

static void test_what_does_not_go_together(void **state) {
    (void)state;
    assert_int_equal(lgbm_params_check(&made, false, &error), ST_OK);
    assert_refused("objective=multiclass", "num_class");
    assert_refused("num_class=3", "num_class");
    assert_refused("objective=binary,is_unbalance=true,scale_pos_weight=2", "is_unbalance");
    assert_refused("objective=quantile,alpha=1", "alpha");
    assert_refused("objective=custom", "function");
    assert_refused("boosting=goss,top_rate=0.8,other_rate=0.3", "top_rate");
    assert_refused("boosting=goss,bagging_freq=1,bagging_fraction=0.5", "goss");
    assert_refused("pos_bagging_fraction=0.5,bagging_freq=1", "binary");
    assert_refused("objective=binary,metric=l2", "metric");
    assert_refused("objective=huber,reg_sqrt=true", "reg_sqrt");
    assert_refused("path_smooth=1,min_data_in_leaf=1", "path_smooth");
    assert_refused("early_stopping_round=5", "validation");
    assert_refused("objective=binary,class_weight=1:2:3", "class_weight");
    assert_refused("objective=quantile,monotone_constraints=1:0:0:0", "monotone_constraints");
    made.num_leaves = 1; /* not by way of its text */
    assert_int_equal(lgbm_params_check(&made, false, &error), ST_INVALID);
    assert_non_null(strstr(error.text, "num_leaves"));
}

/* ---- against a file of the library ---- */

static char *reference_text(const char *name) {
    const char *folder = getenv("QUANTUM_REFERENCE");
    if (!folder) {
        print_message("QUANTUM_REFERENCE is not set\n");
        return NULL;
    }
    char path[1024], *text;
    size_t size;
    struct unpack *u;
    snprintf(path, sizeof path, "%s/refdata/%s.txt.gz", folder, name);
    assert_int_equal(unpack_open(&u, path, &error), ST_OK);
    assert_int_equal(unpack_all(&text, &size, u, 1 << 26, &error), ST_OK);
    unpack_close(u);
    return text;
}

/* "[key: value]" at *at; false at the section's end. */
static bool next_line(char **at, char *key, char *value) {
    int used = 0;
    value[0] = '\0';
    if (sscanf(*at, "[%127[^:]: %1023[^]]%*c\n%n", key, value, &used) < 1) return false;
    *at = strchr(*at, '\n') + 1;
    return true;
}

/* Its section is taken whole, and comes back the same line by line. */
static void test_section_is_the_librarys(void **state) {
    (void)state;
    char *text = reference_text("lgb_binary_dense_small");
    if (!text) {
        skip();
        return;
    }
    char *section = strstr(text, "\nparameters:\n"), *at, key[128], value[1024];
    assert_non_null(section);
    at = section = strchr(section + 1, '\n') + 1;
    for (; next_line(&at, key, value);)
        if (set(key, value) != ST_OK) fail_msg("%s", error.text);
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, 1, 4);
    assert_int_equal(lgbm_params_print(m, &made, &error), ST_OK);
    /* What does not change a model is not kept. */
    static const char *const free_ones[] = {"verbosity", "num_threads", "drop_seed",
                                            "objective_seed"};
    at = section;
    uint32_t line = 0;
    for (; next_line(&at, key, value); line++) {
        assert_true(line < m->attribute_count);
        assert_string_equal(m->attributes[line].key, key);
        bool is_free = false;
        for (size_t i = 0; i < 4; i++) is_free |= strcmp(free_ones[i], key) == 0;
        if (!is_free && strcmp(m->attributes[line].value, value) != 0)
            fail_msg("%s: have \"%s\", want \"%s\"", key, m->attributes[line].value, value);
    }
    assert_int_equal(line, m->attribute_count);
    assert_true(line > 100);
    tree_model_destroy(m);
    free(text);
}

/* And the defaults are what the library wrote where nothing was said. */
static void test_defaults_are_the_librarys(void **state) {
    (void)state;
    char *text = reference_text("lgb_binary_dense_small");
    if (!text) {
        skip();
        return;
    }
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, 1, 4);
    assert_int_equal(lgbm_params_print(m, &made, &error), ST_OK);
    char *at = strchr(strstr(text, "\nparameters:\n") + 1, '\n') + 1, key[128], value[1024];
    /* given to the training of that file, or harmless */
    static const char given[] =
        " objective metric num_iterations num_leaves num_threads seed bagging_fraction "
        "bagging_freq "
        "feature_fraction verbosity bagging_seed feature_fraction_seed extra_seed data_random_seed "
        "drop_seed objective_seed ";
    while (next_line(&at, key, value)) {
        char want[132];
        snprintf(want, sizeof want, " %s ", key);
        if (strstr(given, want)) continue;
        assert_string_equal(tree_model_attribute(m, key), value);
    }
    tree_model_destroy(m);
    free(text);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_aliases_set_the_parameter),
        TEST(test_names_are_unique),
        TEST(test_out_of_range_tells_the_range),
        TEST(test_what_is_not_here_is_refused),
        TEST(test_what_changes_nothing_is_taken),
        TEST(test_objectives_choose_metrics),
        TEST(test_lists_in_one_line),
        TEST(test_seeds_derive),
        TEST(test_what_does_not_go_together),
        TEST(test_section_is_the_librarys),
        TEST(test_defaults_are_the_librarys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
