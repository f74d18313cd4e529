/* Contributions against Shapley's formula itself, over all subsets of columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "ml/forest/shap.h"
#include "ml/model_io/model_io.h"

static uint64_t seed;

enum { COLUMNS_MAX = 9, OUTPUTS_MAX = 3 };

/* ---- random models ---- */

static double any_value(struct rng *rng) {
    static const double special[] = {NAN, 0, -0.0, 1, 3, 1e-36, -1, 40, 1e30};
    uint64_t kind = rng_below(rng, 20);
    if (kind < 9) return special[kind];
    return kind < 14 ? (double)rng_below(rng, 8) : rng_normal(rng);
}

static void random_split(struct tree *t, uint32_t i, const struct tree_model *m, struct rng *rng) {
    t->feature[i] = (int32_t)rng_below(rng, m->columns);
    t->threshold[i] = (double)(float)rng_normal(rng);
    t->decision[i] = (uint8_t)(rng_below(rng, 2) * DECISION_DEFAULT_LEFT);
    if (m->dialect == TREES_LIGHTGBM)
        t->decision[i] |= (uint8_t)(rng_below(rng, 3) << DECISION_MISSING_SHIFT);
    if (rng_below(rng, 4) == 0) {
        t->decision[i] |= DECISION_CATEGORICAL;
        t->threshold[i] = (double)rng_below(rng, t->set_count);
    }
}

/* The next split hangs on a random leaf; children are numbered above their parents. */
static void random_shape(struct tree *t, struct rng *rng) {
    int32_t **open = malloc(sizeof(int32_t *) * (t->split_count + 2));
    assert_non_null(open);
    int32_t root = -1;
    size_t count = 0;
    open[count++] = &root;
    for (uint32_t i = 0; i < t->split_count; i++) {
        size_t at = rng_below(rng, count);
        *open[at] = (int32_t)i;
        open[at] = &t->left[i];
        open[count++] = &t->right[i];
    }
    for (size_t leaf = 0; leaf < count; leaf++) *open[leaf] = ~(int32_t)leaf;
    free(open);
}

/* Sums of hessians that do not quite add up, as those of files; rows that do, some leaves empty. */
static void random_cover(struct tree *t, struct rng *rng) {
    for (uint32_t leaf = 0; leaf <= t->split_count; leaf++) {
        t->leaf_rows[leaf] = (int64_t)rng_below(rng, 50);
        t->leaf_weight[leaf] = (double)t->leaf_rows[leaf] * rng_f64(rng);
    }
    for (uint32_t i = t->split_count; i-- > 0;) {
        const int32_t children[] = {t->left[i], t->right[i]};
        for (int c = 0; c < 2; c++) {
            int32_t child = children[c];
            t->split_rows[i] += child < 0 ? t->leaf_rows[~child] : t->split_rows[child];
            t->split_weight[i] += child < 0 ? t->leaf_weight[~child] : t->split_weight[child];
        }
        if (t->split_rows[i] == 0) {
            t->split_rows[i] = 1;
            t->split_weight[i] = 1;
        }
        t->split_weight[i] *= 1 + 1e-3 * rng_f64(rng);
    }
}

static struct tree_model *random_model(struct rng *rng, enum tree_dialect dialect, uint32_t columns,
                                       uint32_t iterations, uint32_t splits_max) {
    uint32_t outputs = 1 + (uint32_t)rng_below(rng, OUTPUTS_MAX);
    struct tree_model *m = tree_model_create(dialect, outputs, columns);
    assert_non_null(m);
    m->is_dart = dialect == TREES_XGBOOST && rng_below(rng, 2);
    for (uint32_t k = 0; k < outputs; k++) m->base_margin[k] = rng_normal(rng);
    for (uint32_t i = 0; i < iterations * outputs; i++) {
        struct tree_shape shape = {.split_count = (uint32_t)rng_below(rng, splits_max + 1),
                                   .set_count = 2,
                                   .set_words = 3};
        struct tree *t = tree_model_add(m, &shape);
        assert_non_null(t);
        t->class_index = i % outputs;
        t->weight = m->is_dart ? (float)rng_f64(rng) : 1;
        t->set_begin[1] = 1;
        t->set_begin[2] = 3;
        for (int w = 0; w < 3; w++) t->set_words[w] = (uint32_t)rng_u64(rng);
        random_shape(t, rng);
        for (uint32_t s = 0; s < t->split_count; s++) random_split(t, s, m, rng);
        for (uint32_t leaf = 0; leaf <= t->split_count; leaf++)
            t->leaf_value[leaf] = (double)(float)rng_normal(rng);
        random_cover(t, rng);
    }
    uint8_t visited[256];
    uint32_t tree;
    const char *problem = tree_model_problem(m, visited, &tree);
    if (problem) fail_msg("tree %u: %s", tree, problem);
    return m;
}

/* ---- the oracle ---- */

static double cover_of(const struct tree_model *m, const struct tree *t, int32_t node) {
    bool xgboost = m->dialect == TREES_XGBOOST;
    if (node < 0) return xgboost ? t->leaf_weight[~node] : (double)t->leaf_rows[~node];
    return xgboost ? t->split_weight[node] : (double)t->split_rows[node];
}

/* What a tree gives when only the columns in the set are known: the others' branches are weighed. */
static double game(const struct tree_model *m, const struct tree *t, int32_t node,
                   const double *row, uint32_t set) {
    if (node < 0) return tree_output_ref(m, t, (uint32_t)~node, row);
    if (set >> t->feature[node] & 1)
        return game(m, t,
                    tree_goes_left(m, t, (uint32_t)node, row) ? t->left[node] : t->right[node], row,
                    set);
    double all = cover_of(m, t, node);
    return cover_of(m, t, t->left[node]) / all * game(m, t, t->left[node], row, set) +
           cover_of(m, t, t->right[node]) / all * game(m, t, t->right[node], row, set);
}

static double factorial(uint32_t n) {
    double product = 1;
    for (uint32_t i = 2; i <= n; i++) product *= i;
    return product;
}

static void oracle(double *out, const struct tree_model *m, uint32_t first, uint32_t last,
                   const double *row) {
    uint32_t n = m->columns, width = n + 1;
    double v[1 << COLUMNS_MAX] = {0};
    memset(out, 0, m->outputs * width * sizeof *out);
    for (uint32_t k = 0; k < m->outputs; k++) {
        for (uint32_t set = 0; set < 1u << n; set++) {
            v[set] = m->base_margin[k];
            for (uint32_t i = first * m->trees_per_iteration; i < last * m->trees_per_iteration;
                 i++) {
                const struct tree *t = &m->trees[i];
                if (t->class_index != k) continue;
                v[set] += game(m, t, t->split_count ? 0 : -1, row, set);
            }
        }
        for (uint32_t j = 0; j < n; j++)
            for (uint32_t set = 0; set < 1u << n; set++) {
                if (set >> j & 1) continue;
                uint32_t size = (uint32_t)__builtin_popcount(set);
                out[k * width + j] += factorial(size) * factorial(n - size - 1) / factorial(n) *
                                      (v[set | 1u << j] - v[set]);
            }
        out[k * width + n] = v[0];
    }
}

static void test_shapley(void **state) {
    (void)state;
    struct rng rng = rng_init(seed);
    for (int round = 0; round < 120; round++) {
        enum tree_dialect dialect = round % 2 ? TREES_LIGHTGBM : TREES_XGBOOST;
        uint32_t columns = 1 + (uint32_t)rng_below(&rng, round % 6 == 0 ? COLUMNS_MAX : 5);
        struct tree_model *m = random_model(&rng, dialect, columns, 4, 20);
        void *scratch = malloc(shap_scratch_size(m));
        assert_non_null(scratch);
        double got[OUTPUTS_MAX * (COLUMNS_MAX + 1)], expected[OUTPUTS_MAX * (COLUMNS_MAX + 1)];
        for (int r = 0; r < 5; r++) {
            double row[COLUMNS_MAX];
            for (uint32_t c = 0; c < columns; c++) row[c] = any_value(&rng);
            uint32_t first = (uint32_t)rng_below(&rng, 5),
                     last = first + (uint32_t)rng_below(&rng, 5 - first);
            assert_int_equal(shap_contributions(got, m, first, last, row, scratch), ST_OK);
            oracle(expected, m, first, last, row);
            for (uint32_t i = 0; i < m->outputs * (columns + 1); i++)
                if (!(fabs(got[i] - expected[i]) <= 1e-12 * (1 + fabs(expected[i]))))
                    fail_msg("round %d: [%u] %.17g, not %.17g", round, i, got[i], expected[i]);
        }
        free(scratch);
        tree_model_destroy(m);
    }
}

/* Margins in double, which XGBoost's are not. */
static void margins(double *out, const struct tree_model *m, uint32_t last, const double *row) {
    memcpy(out, m->base_margin, m->outputs * sizeof *out);
    for (uint32_t i = 0; i < last * m->trees_per_iteration; i++) {
        const struct tree *t = &m->trees[i];
        out[t->class_index] += tree_output_ref(m, t, tree_walk_ref(m, t, row), row);
    }
}

static void check_sum(const struct tree_model *m, uint32_t iterations, const double *row,
                      void *scratch, double *got) {
    double margin[OUTPUTS_MAX];
    assert_int_equal(shap_contributions(got, m, 0, iterations, row, scratch), ST_OK);
    margins(margin, m, iterations, row);
    for (uint32_t k = 0; k < m->outputs; k++) {
        double sum = 0;
        for (uint32_t c = 0; c <= m->columns; c++) sum += got[k * (m->columns + 1) + c];
        if (!(fabs(sum - margin[k]) <= 1e-9)) fail_msg("sum %.17g, margin %.17g", sum, margin[k]);
    }
}

/* Larger forests: the contributions of a row sum to its margin. */
static void test_sums(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 1);
    enum { COLUMNS = 40, ITERATIONS = 60 };
    static double got[OUTPUTS_MAX * (COLUMNS + 1)];
    for (int round = 0; round < 4; round++) {
        struct tree_model *m = random_model(&rng, round % 2 ? TREES_LIGHTGBM : TREES_XGBOOST,
                                            COLUMNS, ITERATIONS, 120);
        void *scratch = malloc(shap_scratch_size(m));
        assert_non_null(scratch);
        for (int r = 0; r < 30; r++) {
            double row[COLUMNS];
            for (uint32_t c = 0; c < COLUMNS; c++) row[c] = any_value(&rng);
            check_sum(m, ITERATIONS, row, scratch, got);
        }
        free(scratch);
        tree_model_destroy(m);
    }
}

/* ---- a chain, as deep as its columns are many ---- */

enum { CHAIN = 300 };

static struct tree_model *chain_model(struct rng *rng) {
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, 1, CHAIN);
    assert_non_null(m);
    struct tree *t = tree_model_add(m, &(struct tree_shape){.split_count = CHAIN});
    assert_non_null(t);
    int64_t rows = 10;
    for (uint32_t i = CHAIN; i-- > 0;) {
        t->feature[i] = (int32_t)i;
        t->left[i] = ~(int32_t)i;
        t->right[i] = i + 1 < CHAIN ? (int32_t)i + 1 : ~CHAIN;
        if (i + 1 == CHAIN) t->leaf_rows[CHAIN] = rows;
        /* Small and large shares by turns. */
        t->leaf_rows[i] = 1 + (int64_t)rng_below(rng, i % 3 ? 3 : 40);
        rows += t->leaf_rows[i];
        t->split_rows[i] = rows;
        t->leaf_value[i] = rng_normal(rng);
    }
    t->leaf_value[CHAIN] = 3;
    return m;
}

/* One leaf's share for element j by the coefficients of the product of the others: sums of positive
 * terms in long double. */
static long double leaf_share(const double *one, const double *zero, uint32_t d, uint32_t j) {
    static long double coefficient[CHAIN + 1];
    memset(coefficient, 0, sizeof coefficient);
    coefficient[0] = 1;
    uint32_t degree = 0;
    for (uint32_t i = 0; i < d; i++) {
        if (i == j) continue;
        degree++;
        for (uint32_t k = degree + 1; k-- > 0;)
            coefficient[k] = coefficient[k] * (long double)zero[i] +
                             (k ? coefficient[k - 1] * (long double)one[i] : 0);
    }
    /* k! (d - 1 - k)! / d! */
    long double weight = 1.0L / d, sum = 0;
    for (uint32_t k = 0; k < d; k++) {
        sum += weight * coefficient[k];
        if (k + 1 < d) weight = weight * (k + 1) / (d - 1 - k);
    }
    return sum * ((long double)one[j] - (long double)zero[j]);
}

static void test_chain(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 2);
    struct tree_model *m = chain_model(&rng);
    const struct tree *t = m->trees;
    void *scratch = malloc(shap_scratch_size(m));
    assert_non_null(scratch);
    double row[CHAIN], got[CHAIN + 1], one[CHAIN], zero[CHAIN];
    long double expected[CHAIN] = {0};
    for (uint32_t c = 0; c < CHAIN; c++) row[c] = c % 97 == 96 ? -1 : 1; /* mostly right */
    for (uint32_t leaf = 0; leaf <= CHAIN; leaf += 20) {
        memset(expected, 0, sizeof expected);
        uint32_t d = leaf == CHAIN ? CHAIN : leaf + 1;
        for (uint32_t i = 0; i < d; i++) {
            double left = (double)t->leaf_rows[i] / (double)t->split_rows[i];
            bool goes_left = row[i] <= 0, wants_left = i == leaf;
            int32_t child = wants_left ? t->left[i] : t->right[i];
            int64_t part = child < 0 ? t->leaf_rows[~child] : t->split_rows[child];
            one[i] = goes_left == wants_left;
            zero[i] = wants_left ? left : (double)part / (double)t->split_rows[i];
        }
        /* Only this leaf has a value. */
        for (uint32_t i = 0; i <= CHAIN; i++) t->leaf_value[i] = i == leaf ? 1000 : 0;
        check_sum(m, 1, row, scratch, got);
        for (uint32_t j = 0; j < d; j++) {
            expected[j] = 1000 * leaf_share(one, zero, d, j);
            double error = fabs(got[j] - (double)expected[j]);
            if (!(error <= 1e-11 * (1e-6 + fabs(got[j]))))
                fail_msg("leaf %u, column %u: %.17g, not %.17Lg", leaf, j, got[j], expected[j]);
        }
    }
    free(scratch);
    tree_model_destroy(m);
}

static void test_refused(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 3);
    struct tree_model *m = chain_model(&rng);
    void *scratch = malloc(shap_scratch_size(m));
    assert_non_null(scratch);
    double row[CHAIN], got[CHAIN + 1];
    for (uint32_t c = 0; c < CHAIN; c++) row[c] = 1;
    assert_int_equal(shap_contributions(got, m, 0, 0, row, scratch), ST_OK);
    assert_true(got[0] == 0 && got[CHAIN] == 0);
    int64_t before = m->trees[0].split_rows[5];
    m->trees[0].split_rows[5] = 0;
    assert_int_equal(shap_contributions(got, m, 0, 1, row, scratch), ST_INVALID);
    m->trees[0].split_rows[5] = before;
    assert_int_equal(shap_contributions(got, m, 0, 1, row, scratch), ST_OK);
    m->trees[0].is_linear = true;
    assert_int_equal(shap_contributions(got, m, 0, 1, row, scratch), ST_UNSUPPORTED);
    free(scratch);
    tree_model_destroy(m);
}

int main(void) {
    const char *text_seed = getenv("TEST_SEED");
    seed = text_seed ? strtoull(text_seed, NULL, 10) : 20261122;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapley), cmocka_unit_test(test_sums),
                                       cmocka_unit_test(test_chain),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
