#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "learn/learn_internal.h"
#include "learn/test_market.h"
#include "ml/model_io/model_io.h"

enum { SYMBOLS = 4, BARS = 2500 };

static struct market market;
static struct learn_config config;
static struct learn_report trained;
static struct learn_rows rows;
static char model_path[256], scratch_path[256];
static enum model_kind kind; /* of this round of the tests */

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    print_message("%s\n", model_kind_text(kind));
    market_make(&market, SYMBOLS, BARS, 42, 0.7);
    config = learn_config_defaults();
    config.kind = kind;
    market_path(model_path, sizeof model_path, "served.json");
    market_path(scratch_path, sizeof scratch_path, "changed.json");
    if (learn_train(&trained, model_path, market.series, SYMBOLS, &config, NULL, NULL, &err) ||
        learn_rows_build(&rows, market.series, SYMBOLS, &config, NULL, NULL, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    print_message("%s\n", trained.verdict);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    learn_rows_free(&rows);
    market_free(&market);
    unlink(model_path);
    unlink(scratch_path);
    return 0;
}

static struct served_model *load(const char *path) {
    struct served_model *m = NULL;
    struct err err = {0};
    if (served_model_load(&m, path, &err) != ST_OK) fail_msg("%s", err.text);
    return m;
}

/* Rewrites one attribute of the trained file. NULL key: left as is. */
static void change(const char *key, const char *value) {
    struct tree_model *m = NULL;
    struct err err = {0};
    assert_int_equal(model_read(&m, model_path, &err), ST_OK);
    if (key) assert_int_equal(tree_model_attribute_set(m, key, value, &err), ST_OK);
    assert_int_equal(model_write(m, scratch_path, MODEL_FORMAT_AUTO, &err), ST_OK);
    tree_model_destroy(m);
}

static void what_was_trained_is_what_is_served(void **state) {
    (void)state;
    assert_true(trained.has_skill);
    struct served_model *m = load(model_path);
    assert_int_equal(served_model_kind(m), kind);
    assert_string_equal(served_model_report(m)->params, trained.params);
    assert_true(strlen(trained.params) > 50);
    const struct learn_report *r = served_model_report(m);
    assert_true(r->skill_t == trained.skill_t && r->logloss_test == trained.logloss_test);
    assert_true(r->rows_train == trained.rows_train && r->rounds == trained.rounds);
    assert_true(r->ece == trained.ece && r->side_t == trained.side_t);
    assert_string_equal(r->verdict, trained.verdict);
    assert_int_equal(served_model_interval_ns(m), NS_PER_HOUR);
    assert_int_equal(served_model_labels(m)->horizon_bars, config.labels.horizon_bars);
    assert_true(served_model_labels(m)->cost_round_trip == config.labels.cost_round_trip);
    /* Exclusive end: the last bar that a test label looked at closes then. */
    int64_t end = MARKET_START_NS + (int64_t)BARS * NS_PER_HOUR;
    assert_int_equal(served_model_data_end_ns(m), end);
    size_t size;
    char *bytes = market_slurp(model_path, &size);
    assert_true(served_model_hash(m) == hash64(bytes, size));
    free(bytes);
    served_model_destroy(m);
}

/* The log-loss of the votes over the report's test window, with the labels as they truly are. */
static double loss_of_votes(struct served_model *m, const struct learn_report *r, uint32_t state) {
    struct model_vote *votes = malloc(rows.count * sizeof *votes);
    double *p = malloc(rows.count * LABEL_COUNT * sizeof *p);
    float *labels = malloc(rows.count * sizeof *labels);
    struct err err;
    assert_int_equal(
        served_model_vote(votes, m, rows.features, NULL, rows.count, rows.columns, &err), ST_OK);
    size_t n = 0;
    for (size_t i = 0; i < rows.count; i++) {
        assert_int_equal(votes[i].state, state);
        float atr = feature_atr_fraction(rows.features + i * rows.columns);
        assert_true(votes[i].move == label_barrier(&config.labels, (double)atr));
        assert_true(fabs(votes[i].p[0] + votes[i].p[1] + votes[i].p[2] - 1) < 1e-12);
        if (rows.decision_ns[i] < r->test_from_ns) continue;
        memcpy(p + n * LABEL_COUNT, votes[i].p, sizeof votes[i].p);
        labels[n++] = rows.labels[i];
    }
    assert_int_equal(n, r->rows_test);
    double loss = learn_logloss(p, labels, n);
    free(p);
    free(labels);
    free(votes);
    return loss;
}

/* The reported loss to the last bit: the served model is the validated one, calibration, label order
 * and all. */
static void votes_repeat_the_reported_loss(void **state) {
    (void)state;
    struct served_model *m = load(model_path);
    assert_true(loss_of_votes(m, &trained, VOTE_PRESENT) == trained.logloss_test);
    served_model_destroy(m);
}

/* Shuffling touches the rows learned from, never those it is judged by. */
static void shuffled_model_is_judged_by_true_labels(void **state) {
    (void)state;
    struct learn_config c = config;
    struct learn_report r;
    struct err err;
    c.shuffle_labels = true;
    assert_int_equal(learn_train(&r, scratch_path, market.series, SYMBOLS, &c, NULL, NULL, &err),
                     ST_OK);
    struct served_model *m = load(scratch_path);
    assert_true(served_model_report(m)->shuffled);
    assert_true(loss_of_votes(m, &r, VOTE_NO_SKILL) == r.logloss_test);
    served_model_destroy(m);
}

/* One row, many rows, a wider stride: the same votes. */
static void batch_and_stride_do_not_matter(void **state) {
    (void)state;
    enum { N = 1100, WIDER = 7 };
    struct served_model *m = load(model_path);
    uint32_t columns = rows.columns, stride = columns + WIDER;
    float *wide = malloc(N * stride * sizeof *wide);
    struct model_vote *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), one;
    struct err err;
    for (size_t i = 0; i < N; i++) {
        memcpy(wide + i * stride, rows.features + i * columns, columns * sizeof *wide);
        for (size_t k = columns; k < stride; k++) wide[i * stride + k] = NAN;
    }
    assert_int_equal(served_model_vote(a, m, rows.features, NULL, N, columns, &err), ST_OK);
    assert_int_equal(served_model_vote(b, m, wide, NULL, N, stride, &err), ST_OK);
    assert_memory_equal(a, b, N * sizeof *a);
    for (size_t i = 0; i < N; i += 97) {
        assert_int_equal(
            served_model_vote(&one, m, rows.features + i * columns, NULL, 1, columns, &err), ST_OK);
        assert_memory_equal(&one, &a[i], sizeof one);
    }
    assert_int_equal(served_model_vote(a, m, wide, NULL, 1, columns - 1, &err), ST_INVALID);
    free(wide);
    free(a);
    free(b);
    served_model_destroy(m);
}

/* From a fresh start the votes are WARMING until the warm-up is over, and say nothing. */
static void warming_rows_do_not_vote(void **state) {
    (void)state;
    struct served_model *m = load(model_path);
    struct feature_series *s = aligned_alloc(64, (feature_series_size() + 63) / 64 * 64);
    float row[FEATURE_COUNT_MAX];
    struct err err;
    feature_series_init(s, NS_PER_HOUR);
    uint32_t warmup = feature_warmup_bars();
    for (uint32_t i = 0; i < warmup + 50; i++) {
        struct model_vote vote;
        feature_step(row, s, &market.bars[0][i]);
        feature_cross(row, 1, feature_count());
        assert_int_equal(served_model_vote(&vote, m, row, NULL, 1, feature_count(), &err), ST_OK);
        if (i >= warmup) assert_int_equal(vote.state, VOTE_PRESENT);
        if (i < 200) assert_int_equal(vote.state, VOTE_WARMING);
        if (vote.state == VOTE_WARMING)
            assert_true(vote.p[0] == 0 && vote.p[1] == 0 && vote.p[2] == 0 && vote.move == 0);
    }
    free(s);
    served_model_destroy(m);
}

/* One model for all symbols, on features that know no symbol's scale: a contract that training never saw is
 * answered like the others, and not at random. */
static void a_symbol_never_seen_has_a_vote(void **state) {
    (void)state;
    struct market other;
    struct learn_rows strange;
    struct learn_config c = config;
    struct err err;
    market_make(&other, 2, 2000, 4711, 0.7);
    other.series[0].symbol = "LISTEDYESTERDAYUSDT";
    other.series[1].symbol = "LISTEDTODAYUSDT";
    assert_int_equal(learn_rows_build(&strange, other.series, other.count, &c, NULL, NULL, &err),
                     ST_OK);
    struct served_model *m = load(model_path);
    struct model_vote *votes = malloc(strange.count * sizeof *votes);
    assert_int_equal(
        served_model_vote(votes, m, strange.features, NULL, strange.count, strange.columns, &err),
        ST_OK);
    double loss = 0, prior = 0, shares[LABEL_COUNT];
    learn_class_shares(shares, strange.labels, strange.count, 1);
    for (size_t i = 0; i < strange.count; i++) {
        assert_int_equal(votes[i].state, VOTE_PRESENT);
        loss -= log(votes[i].p[(size_t)strange.labels[i]]) / (double)strange.count;
        prior -= log(shares[(size_t)strange.labels[i]]) / (double)strange.count;
    }
    print_message("never seen: log-loss %.4f, its own shares %.4f\n", loss, prior);
    assert_true(loss < prior - 0.05);
    free(votes);
    served_model_destroy(m);
    learn_rows_free(&strange);
    market_free(&other);
}

static void no_skill_does_not_vote(void **state) {
    (void)state;
    static const char *const changes[][2] = {{"quantum.has_skill", "false"},
                                             {"quantum.shuffled", "true"}};
    for (size_t i = 0; i < 2; i++) {
        change(changes[i][0], changes[i][1]);
        struct served_model *m = load(scratch_path);
        struct model_vote vote;
        struct err err;
        assert_int_equal(served_model_vote(&vote, m, rows.features, NULL, 1, rows.columns, &err),
                         ST_OK);
        assert_int_equal(vote.state, VOTE_NO_SKILL);
        assert_true(fabs(vote.p[0] + vote.p[1] + vote.p[2] - 1) < 1e-12);
        served_model_destroy(m);
    }
}

/* The file's own label map decides which class is which. */
static void label_map_is_obeyed(void **state) {
    (void)state;
    struct served_model *m = load(model_path);
    change("quantum.label_map", "BUY,HOLD,SELL");
    /* Calibration goes with the label: make both alike first. */
    struct tree_model *x = NULL;
    struct err err;
    assert_int_equal(model_read(&x, scratch_path, &err), ST_OK);
    char *sell = strdup(tree_model_attribute(x, "quantum.calibration.SELL"));
    char *buy = strdup(tree_model_attribute(x, "quantum.calibration.BUY"));
    assert_int_equal(tree_model_attribute_set(x, "quantum.calibration.SELL", buy, &err), ST_OK);
    assert_int_equal(tree_model_attribute_set(x, "quantum.calibration.BUY", sell, &err), ST_OK);
    assert_int_equal(model_write(x, scratch_path, MODEL_FORMAT_AUTO, &err), ST_OK);
    tree_model_destroy(x);
    free(sell);
    free(buy);
    struct served_model *turned = load(scratch_path);
    struct model_vote a, b;
    for (size_t i = 0; i < rows.count; i += 211) {
        const float *row = rows.features + i * rows.columns;
        assert_int_equal(served_model_vote(&a, m, row, NULL, 1, rows.columns, &err), ST_OK);
        assert_int_equal(served_model_vote(&b, turned, row, NULL, 1, rows.columns, &err), ST_OK);
        assert_true(fabs(a.p[LABEL_SELL] - b.p[LABEL_BUY]) < 1e-12);
        assert_true(fabs(a.p[LABEL_BUY] - b.p[LABEL_SELL]) < 1e-12);
        assert_true(fabs(a.p[LABEL_HOLD] - b.p[LABEL_HOLD]) < 1e-12);
    }
    served_model_destroy(m);
    served_model_destroy(turned);
}

static void assert_refused(enum status expected, const char *needle) {
    struct served_model *m = NULL;
    struct err err = {0};
    enum status st = served_model_load(&m, scratch_path, &err);
    if (st != expected || !strstr(err.text, needle)) fail_msg("%s: %s", status_name(st), err.text);
    assert_null(m);
}

static void another_feature_list_is_refused(void **state) {
    (void)state;
    char ours[32];
    snprintf(ours, sizeof ours, "%016llx", (unsigned long long)feature_list_hash());
    change("quantum.feature_hash", "00000000deadbeef");
    assert_refused(ST_MISMATCH, "00000000deadbeef");
    assert_refused(ST_MISMATCH, ours);
}

static void broken_attributes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
    } bad[] = {{"quantum.feature_hash", "xyz"},
               {"quantum.label_map", "SELL,SELL,BUY"},
               {"quantum.label_map", "SELL,HOLD,BUY,"},
               {"quantum.label_map", "WIN,LOSS,HOLD"},
               {"quantum.columns_required", "101"},
               {"quantum.interval_ns", "1h"},
               {"quantum.interval_ns", "0"},
               {"quantum.label.horizon_bars", "-3"},
               {"quantum.label.horizon_bars", "99999999999"},
               {"quantum.label.barrier_atr", "nan"},
               {"quantum.label.barrier_atr", "-1"},
               {"quantum.test.skill_t", "12 "},
               {"quantum.has_skill", "yes"},
               {"quantum.calibration.BUY", "0.2:0.3 0.1:0.4"},
               {"quantum.calibration.BUY", "0.2:0.3 0.3:0.1"},
               {"quantum.calibration.BUY", "0.2:1.3"},
               {"quantum.calibration.BUY", "0.2"},
               {"quantum.calibration.SELL", "0.2:0.3x"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        change(bad[i].key, bad[i].value);
        const char *needle =
            strncmp(bad[i].key, "quantum.label.", 14) ? bad[i].key : "quantum.label.";
        assert_refused(ST_CORRUPT, needle);
    }
    change("quantum.format", "1");
    assert_refused(ST_VERSION, "format 1");
}

/* Each attribute, taken out in turn: the error names it. */
static void missing_attributes_are_named(void **state) {
    (void)state;
    change(NULL, NULL);
    size_t size, tried = 0;
    char *text = market_slurp(scratch_path, &size);
    /* "quantum.key" of JSON, [quantum.key: value] of LightGBM's text. */
    const char *head = kind == MODEL_XGBOOST ? "\"quantum." : "[quantum.";
    for (char *at = strstr(text, head); at; at = strstr(at + 1, head)) {
        char key[64] = {0};
        size_t length = strcspn(at + 1, "\":");
        memcpy(key, at + 1, length);
        if (!strcmp(key, "quantum.library")) continue;
        at[9] = '_'; /* "quantum._..." */
        FILE *f = fopen(scratch_path, "wb");
        if (!f) abort();
        fwrite(text, 1, size, f);
        fclose(f);
        at[9] = key[8];
        assert_refused(ST_CORRUPT, key);
        tried++;
    }
    free(text);
    assert_true(tried > 35);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_trained_is_what_is_served),
        cmocka_unit_test(votes_repeat_the_reported_loss),
        cmocka_unit_test(shuffled_model_is_judged_by_true_labels),
        cmocka_unit_test(batch_and_stride_do_not_matter),
        cmocka_unit_test(warming_rows_do_not_vote),
        cmocka_unit_test(a_symbol_never_seen_has_a_vote),
        cmocka_unit_test(no_skill_does_not_vote),
        cmocka_unit_test(label_map_is_obeyed),
        cmocka_unit_test(another_feature_list_is_refused),
        cmocka_unit_test(broken_attributes_are_named),
        cmocka_unit_test(missing_attributes_are_named),
    };
    kind = MODEL_XGBOOST;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    kind = MODEL_LIGHTGBM;
    return failed + cmocka_run_group_tests(tests, setup, teardown);
}
