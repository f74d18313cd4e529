/* Explanations of served forests. Golden: the plain walk of the trees, softmax by hand, and voting on changed rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/explain.h"
#include "learn/learn_internal.h"
#include "learn/test_market.h"

enum { SYMBOLS = 3, BARS = 1800, ROWS = 40, PROBES = 150 };

static struct market market;
static struct learn_config config;
static struct learn_rows rows;
static char model_path[256];
static struct served_model *served;
static struct rng rng;
static enum model_kind kind; /* of this round of the tests */
static int flips_found;      /* by all rounds: a weak model of one may have none */

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    struct learn_report trained;
    uint64_t seed = market_seed();
    print_message("%s, TEST_SEED=%llu\n", model_kind_text(kind), (unsigned long long)seed);
    rng = rng_init(seed);
    market_make(&market, SYMBOLS, BARS, seed, 0.7);
    config = learn_config_defaults();
    config.kind = kind;
    market_path(model_path, sizeof model_path, "explained.json");
    if (learn_train(&trained, model_path, market.series, SYMBOLS, &config, NULL, NULL, &err) ||
        learn_rows_build(&rows, market.series, SYMBOLS, &config, NULL, NULL, &err) ||
        served_model_load(&served, model_path, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    served_model_destroy(served);
    learn_rows_free(&rows);
    market_free(&market);
    unlink(model_path);
    return 0;
}

static const float *a_row(void) {
    return rows.features + rng_below(&rng, rows.count) * rows.columns;
}

static enum label answer(const float *row) {
    struct model_vote vote;
    struct err err;
    assert_int_equal(served_model_vote(&vote, served, row, NULL, 1, rows.columns, &err), ST_OK);
    assert_int_not_equal(vote.state, VOTE_WARMING);
    return ensemble_best_label(vote.p);
}

static struct model_explanation explained(enum label label, const float *row) {
    struct model_explanation e;
    struct err err;
    if (served_model_explain(&e, served, label, row, &err) != ST_OK) fail_msg("%s", err.text);
    return e;
}

/* Of the plain walk; which output is a label's, the module is asked by softmax below. */
static void margins_of(double *out, const float *row) {
    const uint8_t *label_column;
    const struct tree_model *t = model_trees(served_model_forest(served, &label_column));
    double wide[FEATURE_COUNT_MAX];
    for (uint32_t k = 0; k < rows.columns; k++) wide[k] = (double)row[k];
    uint32_t last =
        t->best_iterations ? t->best_iterations : t->tree_count / t->trees_per_iteration;
    tree_margin_ref(out, t, 0, last, wide);
}

static void contributions_sum_to_the_margin(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        const float *row = a_row();
        double margins[LABEL_COUNT];
        margins_of(margins, row);
        enum label best = answer(row);
        for (int l = 0; l < LABEL_COUNT; l++) {
            struct model_explanation e = explained((enum label)l, row);
            assert_int_equal(e.label, l);
            assert_int_equal(e.best, best);
            assert_true(e.feature_count > 0);
            double sum = e.expectation + e.rest;
            for (uint32_t k = 0; k < e.feature_count; k++) {
                sum += e.features[k].contribution;
                assert_true(e.features[k].contribution != 0);
                assert_true(k == 0 || fabs(e.features[k].contribution) <=
                                          fabs(e.features[k - 1].contribution));
                float value = row[e.features[k].index];
                assert_true(e.features[k].value == value ||
                            (isnan(value) && isnan(e.features[k].value)));
            }
            assert_true(fabs(sum - e.margin) < 1e-9);
            assert_true(fabs(e.margin - margins[l]) < 1e-4); /* files keep the order of labels */
        }
    }
}

/* A label's margin is that label's: softmax of the three gives what the forest predicts of it. */
static void margins_are_of_their_label(void **state) {
    (void)state;
    struct model *m;
    struct err err;
    assert_int_equal(model_load(&m, model_path, &err), ST_OK);
    for (int i = 0; i < ROWS; i++) {
        const float *row = a_row();
        double p[LABEL_COUNT], e[LABEL_COUNT], sum = 0;
        model_predict(p, m, row, 1, rows.columns);
        for (int l = 0; l < LABEL_COUNT; l++) {
            e[l] = exp(explained((enum label)l, row).margin);
            sum += e[l];
        }
        for (int l = 0; l < LABEL_COUNT; l++) assert_true(fabs(e[l] / sum - p[l]) < 1e-4);
    }
    model_destroy(m);
}

/* A column the trees never ask says nothing. */
static void the_expectation_is_of_no_row(void **state) {
    (void)state;
    double before = explained(LABEL_BUY, a_row()).expectation;
    for (int i = 0; i < ROWS; i++)
        assert_true(fabs(explained(LABEL_BUY, a_row()).expectation - before) < 1e-9);
}

static void changed(float *out, const float *row, uint32_t column, float to) {
    memcpy(out, row, rows.columns * sizeof *out);
    out[column] = to;
}

/* The change does it, and nothing smaller on either side does. */
static void flip_is_the_nearest(const float *row, const struct model_explanation *e,
                                const struct explain_flip *f) {
    float other[FEATURE_COUNT_MAX];
    assert_true(f->value == row[f->index] && f->to != f->value);
    changed(other, row, f->index, f->to);
    assert_int_equal(answer(other), f->label);
    assert_int_not_equal(f->label, e->best);
    changed(other, row, f->index, nextafterf(f->to, f->value));
    assert_int_equal(answer(other), e->best);
    double change = fabs((double)f->to - (double)f->value);
    for (int i = 0; i < PROBES; i++) {
        double share = (2 * rng_f64(&rng) - 1) * 0.999999;
        changed(other, row, f->index, (float)((double)f->value + share * change));
        assert_int_equal(answer(other), e->best);
    }
}

static void flips_are_the_smallest_changes(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        const float *row = a_row();
        struct model_explanation e = explained(LABEL_HOLD, row);
        assert_true(e.flip_count <= e.flips_tried && e.flips_tried <= EXPLAIN_FLIPS);
        for (uint32_t k = 0; k < e.flip_count; k++) {
            flip_is_the_nearest(row, &e, &e.flips[k]);
            assert_true(k == 0 || !(e.flips[k].share < e.flips[k - 1].share));
            flips_found++;
        }
        /* Of a column that was tried and has none, no value at all changes the answer. */
        for (uint32_t k = 0; k < e.flips_tried; k++) {
            bool has_flip = false;
            for (uint32_t j = 0; j < e.flip_count; j++)
                has_flip |= e.flips[j].index == e.features[k].index;
            const struct feature_desc *d = feature_at(e.features[k].index);
            for (int n = 0; !has_flip && n < PROBES && !isnan(e.features[k].value); n++) {
                float other[FEATURE_COUNT_MAX], value = e.features[k].value;
                float to = n % 2 ? value * (float)(4 * rng_f64(&rng) - 2)
                                 : d->lo + (d->hi - d->lo) * (float)rng_f64(&rng);
                changed(other, row, e.features[k].index, to);
                assert_int_equal(answer(other), e.best);
            }
        }
    }
}

static void a_row_it_would_not_answer_is_not_explained(void **state) {
    (void)state;
    float row[FEATURE_COUNT_MAX];
    changed(row, a_row(), FEATURE_ATR_FRACTION, NAN);
    struct model_explanation e;
    struct err err;
    assert_int_equal(served_model_explain(&e, served, LABEL_BUY, row, &err), ST_AGAIN);
}

static void some_flips_were_there_to_check(void **state) {
    (void)state;
    print_message("%d flips\n", flips_found);
    assert_true(flips_found > 0);
}

static void a_network_says_that_there_is_none(void **state) {
    (void)state;
    struct market small;
    struct learn_config c = learn_config_defaults();
    struct learn_report report;
    struct served_model *network = NULL;
    struct model_explanation e;
    struct err err = {0};
    char path[256];
    market_make(&small, 2, 1500, 3, 0.7);
    c.kind = MODEL_NHITS;
    c.epochs = 1;
    market_path(path, sizeof path, "explained.safetensors");
    if (learn_train(&report, path, small.series, 2, &c, NULL, NULL, &err) != ST_OK ||
        served_model_load(&network, path, &err) != ST_OK)
        fail_msg("%s", err.text);
    float row[FEATURE_COUNT_MAX] = {0};
    assert_int_equal(served_model_explain(&e, network, LABEL_BUY, row, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.text, "nhits is a network"));
    served_model_destroy(network);
    unlink(path);
    market_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contributions_sum_to_the_margin),
        cmocka_unit_test(margins_are_of_their_label),
        cmocka_unit_test(the_expectation_is_of_no_row),
        cmocka_unit_test(flips_are_the_smallest_changes),
        cmocka_unit_test(a_row_it_would_not_answer_is_not_explained),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(some_flips_were_there_to_check),
        cmocka_unit_test(a_network_says_that_there_is_none),
    };
    kind = MODEL_XGBOOST;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    kind = MODEL_LIGHTGBM;
    failed += cmocka_run_group_tests(tests, setup, teardown);
    return failed + cmocka_run_group_tests(once, NULL, NULL);
}
