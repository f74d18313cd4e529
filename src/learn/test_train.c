#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/learn_internal.h"
#include "learn/test_market.h"

static enum model_kind kind; /* of this round of the tests */

static struct learn_config defaults(void) {
    struct learn_config c = learn_config_defaults();
    c.kind = kind;
    return c;
}

static void print_report(const struct learn_report *r) {
    print_message("%s\n  rows %zu/%zu/%zu rounds %u share %.3f %.3f %.3f said %.3f %.3f %.3f acc "
                  "%.3f bal %.3f ece %.3f\n",
                  r->verdict, r->rows_train, r->rows_valid, r->rows_test, r->rounds, r->share[0],
                  r->share[1], r->share[2], r->predicted_share[0], r->predicted_share[1],
                  r->predicted_share[2], r->accuracy, r->balanced_accuracy, r->ece);
}

static enum status train(struct learn_report *out, const char *path, const struct market *m,
                         const struct learn_config *config, struct err *err) {
    enum status st = learn_train(out, path, m->series, m->count, config, NULL, NULL, err);
    if (st == ST_OK)
        print_report(out);
    else
        print_message("%s\n", err->text);
    return st;
}

static void learns_what_is_there(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 6, 3000, market_seed(), 0.5);
    struct learn_config c = defaults();
    struct learn_report r;
    struct err err;
    char path[256];
    assert_int_equal(train(&r, market_path(path, sizeof path, "skill.json"), &m, &c, &err), ST_OK);
    assert_true(r.has_skill);
    assert_true(r.logloss_test < r.logloss_prior - 0.01);
    assert_true(r.skill_t > 3 && r.side_t > 3);
    assert_true(r.balanced_accuracy > 1.0 / 3 + 0.02);
    assert_true(r.ece < 0.1);
    assert_non_null(strstr(r.verdict, "skill: log-loss"));

    /* Each part is later than the one before by the label's horizon and the embargo. */
    int64_t gap = (int64_t)(c.labels.horizon_bars + c.embargo_bars) * c.interval_ns;
    assert_true(r.valid_from_ns - (r.train_to_ns - 1) >= gap);
    assert_true(r.test_from_ns - (r.valid_to_ns - 1) >= gap);
    unlink(path);
    market_free(&m);
}

static void finds_nothing_in_a_random_walk(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 6, 2500, market_seed(), 0);
    struct learn_config c = defaults();
    struct learn_report r;
    struct err err;
    char path[256];
    assert_int_equal(train(&r, market_path(path, sizeof path, "walk.json"), &m, &c, &err), ST_OK);
    assert_false(r.has_skill);
    assert_true(r.skill_t < 3);
    assert_true(fabs(r.logloss_test - r.logloss_prior) < 0.05);
    assert_non_null(strstr(r.verdict, "this model will not vote"));
    unlink(path);
    market_free(&m);
}

/* The market of learns_what_is_there with the link from features to labels cut: whatever skill is
 * left would have leaked. */
static void shuffled_labels_score_at_chance(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 6, 3000, market_seed(), 0.5);
    struct learn_config c = defaults();
    c.shuffle_labels = true;
    struct learn_report r;
    struct err err;
    char path[256];
    assert_int_equal(train(&r, market_path(path, sizeof path, "shuffled.json"), &m, &c, &err),
                     ST_OK);
    assert_true(r.shuffled);
    assert_false(r.has_skill);
    assert_true(r.skill_t < 3);
    assert_true(r.logloss_test > r.logloss_prior - 0.02);
    assert_true(r.balanced_accuracy < 1.0 / 3 + 0.04);
    assert_non_null(strstr(r.verdict, "at chance on shuffled labels"));
    unlink(path);
    market_free(&m);
}

static void same_input_same_bytes(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 4, 1800, market_seed(), 0.5);
    struct learn_config c = defaults();
    struct learn_report r;
    struct err err;
    char a[256], b[256];
    assert_int_equal(train(&r, market_path(a, sizeof a, "a.json"), &m, &c, &err), ST_OK);
    /* The order in which symbols are given is not input. */
    struct learn_series first = m.series[0];
    m.series[0] = m.series[2];
    m.series[2] = first;
    assert_int_equal(train(&r, market_path(b, sizeof b, "b.json"), &m, &c, &err), ST_OK);
    size_t a_size, b_size;
    char *a_bytes = market_slurp(a, &a_size), *b_bytes = market_slurp(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_bytes, b_bytes, a_size);
    free(b_bytes);

    c.seed = 2;
    assert_int_equal(train(&r, b, &m, &c, &err), ST_OK);
    b_bytes = market_slurp(b, &b_size);
    assert_true(a_size != b_size || memcmp(a_bytes, b_bytes, a_size) != 0);
    free(a_bytes);
    free(b_bytes);
    unlink(a);
    unlink(b);
    market_free(&m);
}

static void refuses_what_it_cannot_learn(void **state) {
    (void)state;
    struct market m;
    struct learn_config c = defaults();
    struct learn_report r;
    struct err err;
    char path[256];
    market_path(path, sizeof path, "none.json");

    assert_int_equal(train(&r, path, &(struct market){0}, &c, &err), ST_INVALID);

    /* Shorter than the warm-up. */
    market_make(&m, 2, 100, 1, 0);
    assert_int_equal(train(&r, path, &m, &c, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "cannot train"));
    market_free(&m);

    /* Enough to warm up, too little to split. */
    market_make(&m, 1, 600, 1, 0);
    assert_int_equal(train(&r, path, &m, &c, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "are needed"));
    market_free(&m);

    /* Prices that never move: one label only. */
    market_make(&m, 2, 2000, 1, 0);
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < 2000; i++)
            m.bars[s][i].open = m.bars[s][i].high = m.bars[s][i].low = m.bars[s][i].close =
                px_e8(INT64_C(100) * 100000000);
    assert_int_equal(train(&r, path, &m, &c, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "every label is HOLD"));
    market_free(&m);

    /* Bars out of order, and one that cannot be. */
    market_make(&m, 1, 2000, 1, 0);
    m.bars[0][700].open_ts_ns = m.bars[0][699].open_ts_ns;
    assert_int_equal(train(&r, path, &m, &c, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "bar 700"));
    m.bars[0][700].open_ts_ns += NS_PER_HOUR;
    m.bars[0][900].low = px_e8(0);
    assert_int_equal(train(&r, path, &m, &c, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "bar 900"));
    market_free(&m);
    assert_int_not_equal(access(path, F_OK), 0);

    c.warm_start = "running.json";
    market_make(&m, 2, 2000, 1, 0.5);
    assert_int_equal(train(&r, path, &m, &c, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no warm start"));
    market_free(&m);
}

struct stopper {
    const char *stage;
    int calls;
};

static bool stop_in(void *context, const char *stage, uint32_t done, uint32_t total,
                    double train_loss, double valid_loss) {
    struct stopper *s = context;
    s->calls++;
    assert_true(done <= total);
    assert_true(strcmp(stage, "train") != 0 || (train_loss > 0 && valid_loss > 0));
    return strcmp(stage, s->stage) != 0;
}

static void cancel_leaves_no_file(void **state) {
    (void)state;
    static const char *const stages[] = {"features", "train", "validate"};
    struct market m;
    market_make(&m, 4, 1800, 5, 0.5);
    struct learn_config c = defaults();
    char path[256];
    market_path(path, sizeof path, "cancel.json");
    for (size_t i = 0; i < 3; i++) {
        struct stopper stopper = {stages[i], 0};
        struct learn_report r;
        struct err err;
        assert_int_equal(learn_train(&r, path, m.series, m.count, &c, stop_in, &stopper, &err),
                         ST_INTERRUPTED);
        assert_true(stopper.calls >= 1);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    market_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_what_is_there),
        cmocka_unit_test(finds_nothing_in_a_random_walk),
        cmocka_unit_test(shuffled_labels_score_at_chance),
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(refuses_what_it_cannot_learn),
        cmocka_unit_test(cancel_leaves_no_file),
    };
    kind = MODEL_XGBOOST;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kind = MODEL_LIGHTGBM;
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
