#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "forecast/cuts.h"

static char file[64];

static void put_file(const char *text, size_t size) {
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static enum status read_text(struct forecast_dataset *d, const char *text,
                             const char *const *wanted, uint32_t count, struct err *err) {
    put_file(text, strlen(text));
    return forecast_dataset_read(d, file, wanted, count, err);
}

static void refused(const char *text, const char *const *wanted, uint32_t count, enum status st,
                    const char *expected) {
    struct forecast_dataset d;
    struct err err = {0};
    assert_int_equal(read_text(&d, text, wanted, count, &err), st);
    char full[ERR_TEXT_SIZE];
    snprintf(full, sizeof full, "%s: %s", file, expected);
    assert_string_equal(err.text, full);
}

/* ---- reading ---- */

static void test_columns(void **state) {
    (void)state;
    struct forecast_dataset d;
    static const char text[] = "date,a,b,c\n2016-07-01 00:00:00,1,2,3\n2016-07-01 00:15:00,4,5,6\n";
    assert_int_equal(read_text(&d, text, NULL, 0, NULL), ST_OK);
    assert_int_equal(d.rows, 2);
    assert_int_equal(d.channels, 3);
    static const double expected[] = {1, 2, 3, 4, 5, 6};
    assert_memory_equal(d.values, expected, sizeof expected);
    assert_string_equal(d.names[0], "a");
    assert_string_equal(d.names[2], "c");
    assert_true(d.step_seconds == 900);
    assert_int_equal(d.lines[1], 3);
    uint64_t hash = d.hash;
    forecast_dataset_free(&d);

    /* Some columns, in an order of one's own, by name or number. */
    static const char *const wanted[] = {"3", "a"};
    assert_int_equal(read_text(&d, text, wanted, 2, NULL), ST_OK);
    static const double chosen[] = {3, 1, 6, 4};
    assert_int_equal(d.channels, 2);
    assert_memory_equal(d.values, chosen, sizeof chosen);
    assert_string_equal(d.names[0], "c");
    assert_true(d.hash != hash);
    forecast_dataset_free(&d);

    /* No header; time as a number under its name. */
    assert_int_equal(read_text(&d, "1,2\n3,\n", NULL, 0, NULL), ST_OK);
    assert_string_equal(d.names[1], "1");
    assert_true(isnan(d.values[3]) && d.step_seconds == 0 && !d.dates);
    forecast_dataset_free(&d);
    assert_int_equal(read_text(&d, "Timestamp,a\n10,2\n20,3\n", NULL, 0, NULL), ST_OK);
    assert_int_equal(d.channels, 1);
    assert_string_equal(d.names[0], "a");
    forecast_dataset_free(&d);
}

static void test_names(void **state) {
    (void)state;
    struct forecast_dataset d;
    /* The same name twice, none, and one that is not UTF-8: each can be told from the others, and found again. */
    assert_int_equal(read_text(&d, "a,a,,W/m\xB2\n1,2,3,4\n", NULL, 0, NULL), ST_OK);
    assert_string_equal(d.names[0], "0");
    assert_string_equal(d.names[1], "1");
    assert_string_equal(d.names[2], "2");
    assert_string_equal(d.names[3], "W/m\xEF\xBF\xBD");
    const char *const wanted[] = {d.names[3], d.names[1]};
    struct forecast_dataset again;
    assert_int_equal(forecast_dataset_read(&again, file, wanted, 2, NULL), ST_OK);
    assert_true(again.values[0] == 4 && again.values[1] == 2);
    forecast_dataset_free(&again);
    forecast_dataset_free(&d);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const b[] = {"b"}, *const date[] = {"date"};
    refused("date,a\n2016-07-01,1\n2016-07-02,x\n", NULL, 0, ST_INVALID,
            "line 3, column 1 (a): 'x' is not a number");
    refused("a,c\n1,2\n", b, 1, ST_NOT_FOUND, "no column 'b': there are a, c");
    refused("date,a\n2016-07-01,1\n", date, 1, ST_INVALID, "column 'date' holds dates");
    refused("date\n2016-07-01\n", NULL, 0, ST_INVALID, "there is no column but the one of dates");
    refused("1 1:2 2:3\n", NULL, 0, ST_INVALID, "is LibSVM text, not rows of columns");
    struct forecast_dataset d;
    struct err err = {0};
    assert_int_equal(forecast_dataset_read(&d, "/nonexistent/a.csv", NULL, 0, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/a.csv"));
}

static void test_whole(void **state) {
    (void)state;
    struct forecast_dataset d;
    struct err err = {0};
    char expected[ERR_TEXT_SIZE];
    assert_int_equal(read_text(&d, "a,b\n1,2\n\n3,\n-inf,1\n", NULL, 0, NULL), ST_OK);
    assert_int_equal(forecast_dataset_whole(&d, 0, 1, &err), ST_OK);
    assert_int_equal(forecast_dataset_whole(&d, 0, 3, &err), ST_INVALID);
    snprintf(expected, sizeof expected, "%s: line 4 (row 1), column 'b': no value", file);
    assert_string_equal(err.text, expected);
    assert_int_equal(forecast_dataset_whole(&d, 2, 3, &err), ST_INVALID);
    snprintf(expected, sizeof expected, "%s: line 5 (row 2), column 'a': an infinite value", file);
    assert_string_equal(err.text, expected);
    forecast_dataset_free(&d);
}

/* ---- parts ---- */

static void check_span(const struct forecast_span *s, size_t begin, size_t end, size_t windows) {
    assert_int_equal(s->begin, begin);
    assert_int_equal(s->end, end);
    assert_int_equal(s->windows, windows);
}

static void test_split_text(void **state) {
    (void)state;
    static const char *const good[] = {"ett", "etth", "ettm", "0.7,0.1,0.2", "0.6,0.2,0.2"};
    static const char *const bad[] = {
        "",      "ET",           "0.7",     "0.7,0.1",      "0.7,0.1,0.3", "0.7,0.1,0.2,",
        "1,0,0", "0.7,-0.1,0.4", "nan,0,1", "0.7,0.1,0.2x", "0.7 0.1 0.2"};
    struct forecast_split s;
    char text[FORECAST_SPLIT_TEXT_SIZE];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(forecast_split_parse(&s, good[i]));
        assert_string_equal(forecast_split_text(text, &s), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (forecast_split_parse(&s, bad[i])) fail_msg("'%s' is taken for a split", bad[i]);
}

/* The borders of the official loaders, counted with them for input 336 (ETT) and 96 (exchange). */
static void test_splits(void **state) {
    (void)state;
    struct forecast_span s[FORECAST_PARTS];
    struct forecast_split split;
    struct forecast_dataset d = {.path = file, .rows = 17420, .step_seconds = 3600};
    struct err err = {0};
    static const struct {
        size_t horizon, train, other;
    } counted[] = {{96, 8209, 2785}, {192, 8113, 2689}, {336, 7969, 2545}, {720, 7585, 2161}};
    assert_true(forecast_split_parse(&split, "ett"));
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        assert_int_equal(forecast_split_apply(s, &split, &d, 336, counted[i].horizon, &err), ST_OK);
        check_span(&s[0], 0, 8640, counted[i].train);
        check_span(&s[1], 8640 - 336, 11520, counted[i].other);
        check_span(&s[2], 11520 - 336, 14400, counted[i].other);
    }
    d = (struct forecast_dataset){.path = file, .rows = 69680, .step_seconds = 900};
    assert_int_equal(forecast_split_apply(s, &split, &d, 336, 96, &err), ST_OK);
    check_span(&s[0], 0, 34560, 34129);
    check_span(&s[1], 34560 - 336, 46080, 11425);
    check_span(&s[2], 46080 - 336, 57600, 11425);
    assert_true(forecast_split_parse(&split, "ettm"));
    d.step_seconds = 0;
    assert_int_equal(forecast_split_apply(s, &split, &d, 336, 96, &err), ST_OK);
    check_span(&s[0], 0, 34560, 34129);

    assert_true(forecast_split_parse(&split, "0.7,0.1,0.2"));
    d.rows = 7588;
    assert_int_equal(forecast_split_apply(s, &split, &d, 96, 96, &err), ST_OK);
    check_span(&s[0], 0, 5311, 5120);
    check_span(&s[1], 5311 - 96, 6071, 665);
    check_span(&s[2], 6071 - 96, 7588, 1422);
}

static void test_splits_refused(void **state) {
    (void)state;
    struct forecast_span s[FORECAST_PARTS];
    struct forecast_split split;
    struct forecast_dataset d = {.path = file, .rows = 14399, .step_seconds = 3600};
    struct err err = {0};
    assert_true(forecast_split_parse(&split, "ett"));
    assert_int_equal(forecast_split_apply(s, &split, &d, 336, 96, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "14399 rows; this split needs 14400"));
    d.step_seconds = 60;
    assert_int_equal(forecast_split_apply(s, &split, &d, 336, 96, &err), ST_INVALID);
    d.rows = 14400;
    d.step_seconds = 3600;
    assert_int_equal(forecast_split_apply(s, &split, &d, 336, 2880, &err), ST_OK);
    check_span(&s[2], 11184, 14400, 1);
    assert_int_equal(forecast_split_apply(s, &split, &d, 336, 2881, &err), ST_RANGE);
    assert_int_equal(forecast_split_apply(s, &split, &d, 8640 - 95, 96, &err), ST_RANGE);
    assert_int_equal(forecast_split_apply(s, &split, &d, 8640 - 96, 96, &err), ST_OK);
    assert_int_equal(s[0].windows, 1);
    assert_true(forecast_split_parse(&split, "0.3,0.1,0.6"));
    d.rows = 0;
    assert_int_equal(forecast_split_apply(s, &split, &d, 1, 1, &err), ST_RANGE);
}

/* ---- scale ---- */

static void test_scale(void **state) {
    (void)state;
    struct forecast_dataset d;
    assert_int_equal(read_text(&d, "1,7\n3,7\n5,7\n100,7\n", NULL, 0, NULL), ST_OK);
    double mean[2], deviation[2];
    forecast_scale_measure(mean, deviation, &d, 0, 3);
    assert_true(mean[0] == 3 && mean[1] == 7);
    assert_true(fabs(deviation[0] - sqrt(8.0 / 3)) < 1e-15); /* population, not sample */
    assert_true(deviation[1] == 1);                          /* constant */
    nn_real out[4];
    forecast_scale_apply(out, &d, 2, 4, mean, deviation);
    assert_true(fabs((double)out[0] - 2 / sqrt(8.0 / 3)) < 1e-6);
    assert_true(out[1] == 0 && out[3] == 0);
    forecast_dataset_free(&d);
}

/* ---- windows ---- */

enum { ROWS = 12, CHANNELS = 3, INPUT = 4, HORIZON = 2 };

static nn_real value_at(size_t row, size_t channel) {
    return (nn_real)(row * 10 + channel);
}

static void series_make(nn_real out[ROWS * CHANNELS]) {
    for (size_t i = 0; i < ROWS * CHANNELS; i++) out[i] = value_at(i / CHANNELS, i % CHANNELS);
}

static void test_windows(void **state) {
    (void)state;
    nn_real series[ROWS * CHANNELS];
    series_make(series);
    const struct forecast_span span = {3, ROWS, ROWS - 3 - INPUT - HORIZON + 1};
    struct forecast_cuts w;
    struct nn_batch b;
    assert_int_equal(
        forecast_cuts_init(&w, series, CHANNELS, &span, INPUT, HORIZON, false, 2, NULL), ST_OK);
    assert_int_equal(w.source.count, 4);
    static const uint32_t some[] = {3, 0};
    w.source.batch(w.source.context, &b, some, 2);
    assert_int_equal(b.n, 2);
    for (size_t i = 0; i < 2; i++)
        for (size_t c = 0; c < CHANNELS; c++) {
            for (size_t t = 0; t < INPUT; t++)
                assert_true(b.x[(i * INPUT + t) * CHANNELS + c] == value_at(3 + some[i] + t, c));
            for (size_t t = 0; t < HORIZON; t++)
                assert_true(b.target[(i * HORIZON + t) * CHANNELS + c] ==
                            value_at(3 + some[i] + INPUT + t, c));
        }
    forecast_cuts_free(&w);

    assert_int_equal(forecast_cuts_init(&w, series, CHANNELS, &span, INPUT, HORIZON, true, 2, NULL),
                     ST_OK);
    assert_int_equal(w.source.count, 12);
    static const uint32_t others[] = {11, 5}; /* channel 2's last, channel 1's second */
    w.source.batch(w.source.context, &b, others, 2);
    for (size_t i = 0; i < 2; i++) {
        size_t c = others[i] / 4, row = 3 + others[i] % 4;
        for (size_t t = 0; t < INPUT; t++) assert_true(b.x[i * INPUT + t] == value_at(row + t, c));
        for (size_t t = 0; t < HORIZON; t++)
            assert_true(b.target[i * HORIZON + t] == value_at(row + INPUT + t, c));
    }
    forecast_cuts_free(&w);
}

/* A ramp of 10 a step: repeating the last value is off by 10 and 20, in each channel and window. */
static void test_repeat(void **state) {
    (void)state;
    nn_real series[ROWS * CHANNELS];
    series_make(series);
    const struct forecast_span span = {0, ROWS, ROWS - INPUT - HORIZON + 1};
    for (int by_channel = 0; by_channel < 2; by_channel++) {
        struct forecast_cuts w;
        assert_int_equal(forecast_cuts_init(&w, series, CHANNELS, &span, INPUT, HORIZON,
                                            by_channel == 1, 1, NULL),
                         ST_OK);
        struct forecast_score s = forecast_score_repeat(&w);
        assert_true(s.mse == (100.0 + 400) / 2 && s.mae == 15 && s.windows == 7);
        forecast_cuts_free(&w);
    }
}

static void predict_nothing(struct network *net, nn_real *y, const struct nn_batch *b) {
    memset(y, 0, b->n * net->horizon * sizeof *y);
}

/* On the same ramp, scaled windows are all alike, and 0 is their mean: 25 and 35 below the two targets. */
static void test_scaled_windows(void **state) {
    (void)state;
    nn_real series[ROWS * CHANNELS];
    series_make(series);
    const struct forecast_span span = {0, ROWS, ROWS - INPUT - HORIZON + 1};
    struct forecast_cuts w;
    struct nn_batch b;
    assert_int_equal(forecast_cuts_init(&w, series, CHANNELS, &span, INPUT, HORIZON, true, 2, NULL),
                     ST_OK);
    assert_int_equal(forecast_cuts_scale(&w, 2, NN_MAE, NULL), ST_OK);
    static const uint32_t some[] = {0, 15};
    w.source.batch(w.source.context, &b, some, 2);
    double spread = sqrt(125 + 1e-5);
    for (size_t i = 0; i < 2; i++) {
        assert_true(fabs((double)b.x[i * INPUT] + 15 / spread) < 1e-6);
        assert_true(fabs((double)b.target[i * HORIZON + 1] - 35 / spread) < 1e-6);
        assert_true(fabs((double)b.weights[i] - spread) < 1e-5);
    }
    assert_true(fabs(w.level[1] - 2 - 10 - 15) < 1e-6); /* channel 2, from its second row */
    static const struct network_class nothing = {.name = "nothing", .predict = predict_nothing};
    struct network net = {
        .class_of = &nothing, .input = INPUT, .horizon = HORIZON, .outputs = 1, .batch_max = 2};
    struct forecast_score score;
    assert_int_equal(forecast_score_network(&score, &net, &w, NULL, NULL, NULL), ST_OK);
    assert_true(fabs(score.mse - (625 + 1225) / 2.0) < 1e-3 && fabs(score.mae - 30) < 1e-4);
    forecast_cuts_free(&w);
}

int main(void) {
    snprintf(file, sizeof file, "test_dataset_%ld.csv", (long)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_split_text),     cmocka_unit_test(test_splits),
        cmocka_unit_test(test_splits_refused), cmocka_unit_test(test_scale),
        cmocka_unit_test(test_windows),        cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_scaled_windows)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    return failed;
}
