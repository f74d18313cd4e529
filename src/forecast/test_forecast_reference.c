/* Published figures on the published data, read from $QUANTUM_REFERENCE/data/forecasting.
 *
 * Source   LTSF-Linear (Zeng et al., AAAI 2023), tables of "Repeat" and DLinear; means and deviations as the official loader of
 *          PatchTST computes them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "forecast/protocol.h"

enum { PATH = 512 };

static const char *folder;

static void data_path(char out[PATH], const char *name) {
    snprintf(out, PATH, "%s/data/forecasting/%s", folder, name);
}

struct loaded {
    struct forecast_dataset d;
    struct forecast_span spans[FORECAST_PARTS];
    double mean[FORECAST_CHANNELS_MAX], deviation[FORECAST_CHANNELS_MAX];
    nn_real *series;
};

static void load(struct loaded *l, const char *name, const char *split_text, size_t input,
                 size_t horizon) {
    char path[PATH];
    struct forecast_split split;
    struct err err = {0};
    data_path(path, name);
    if (forecast_dataset_read(&l->d, path, NULL, 0, &err) != ST_OK) fail_msg("%s", err.text);
    assert_true(forecast_split_parse(&split, split_text));
    if (forecast_split_apply(l->spans, &split, &l->d, input, horizon, &err) != ST_OK)
        fail_msg("%s", err.text);
    forecast_scale_measure(l->mean, l->deviation, &l->d, 0, l->spans[FORECAST_TRAIN].end);
    l->series = malloc(l->d.rows * l->d.channels * sizeof *l->series);
    assert_non_null(l->series);
    forecast_scale_apply(l->series, &l->d, 0, l->d.rows, l->mean, l->deviation);
}

static void unload(struct loaded *l) {
    free(l->series);
    forecast_dataset_free(&l->d);
}

/* Shapes of all files that have dates or none, headers or none. */
static void test_files(void **state) {
    (void)state;
    static const struct {
        const char *name, *first, *last;
        size_t rows;
        uint32_t channels;
        double step;
    } expected[] = {{"ETTh1.csv.zst", "HUFL", "OT", 17420, 7, 3600},
                    {"ETTm2.csv.zst", "HUFL", "OT", 69680, 7, 900},
                    {"exchange_rate.txt.zst", "0", "7", 7588, 8, 0},
                    {"national_illness.csv.zst", "% WEIGHTED ILI", "OT", 966, 7, 604800},
                    {"weather.csv.zst", "p (mbar)", "OT", 52696, 21, 600}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char path[PATH];
        struct forecast_dataset d;
        struct err err = {0};
        data_path(path, expected[i].name);
        if (forecast_dataset_read(&d, path, NULL, 0, &err) != ST_OK) fail_msg("%s", err.text);
        assert_int_equal(d.rows, expected[i].rows);
        assert_int_equal(d.channels, expected[i].channels);
        assert_string_equal(d.names[0], expected[i].first);
        assert_string_equal(d.names[d.channels - 1], expected[i].last);
        assert_true(d.step_seconds == expected[i].step);
        forecast_dataset_free(&d);
    }
}

static void test_scale(void **state) {
    (void)state;
    static const double mean[] = {7.937742, 2.021039, 5.079771, 0.746186,
                                  2.781762, 0.788453, 17.128262};
    static const double deviation[] = {5.812749, 2.090105, 5.518794, 1.926379,
                                       1.023523, 0.630237, 9.176491};
    static struct loaded l;
    load(&l, "ETTh1.csv.zst", "ett", 336, 96);
    for (int c = 0; c < 7; c++) {
        assert_true(fabs(l.mean[c] - mean[c]) <= 5e-7);
        assert_true(fabs(l.deviation[c] - deviation[c]) <= 5e-7);
    }
    unload(&l);
}

/* The published figures have three decimals. They leave the last incomplete batch of 32 windows out: 30 of 1,182 in the
 * last row, without which it is 0.3054 and 0.3963. */
static void test_repeat(void **state) {
    (void)state;
    static const struct {
        const char *name, *split;
        size_t horizon, windows;
        double mse, mae;
    } published[] = {{"ETTh1.csv.zst", "ett", 96, 2785, 1.295, 0.713},
                     {"ETTh1.csv.zst", "ett", 720, 2161, 1.335, 0.755},
                     {"ETTh2.csv.zst", "ett", 96, 2785, 0.432, 0.422},
                     {"ETTm2.csv.zst", "ett", 96, 11425, 0.266, 0.328},
                     {"exchange_rate.txt.zst", "0.7,0.1,0.2", 96, 1422, 0.081, 0.196},
                     {"exchange_rate.txt.zst", "0.7,0.1,0.2", 336, 1182, 0.305, 0.396}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        static struct loaded l;
        struct forecast_cuts w;
        load(&l, published[i].name, published[i].split, 96, published[i].horizon);
        assert_int_equal(forecast_cuts_init(&w, l.series, l.d.channels, &l.spans[FORECAST_TEST], 96,
                                            published[i].horizon, false, 1, NULL),
                         ST_OK);
        struct forecast_score s = forecast_score_repeat(&w);
        printf("%s %zu: MSE %.4f, published %.3f; MAE %.4f, published %.3f\n", published[i].name,
               published[i].horizon, s.mse, published[i].mse, s.mae, published[i].mae);
        assert_int_equal(s.windows, published[i].windows);
        double bound = 1e-3 + (double)(s.windows % 32) / (double)s.windows * 0.05;
        assert_true(fabs(s.mse - published[i].mse) <= bound);
        assert_true(fabs(s.mae - published[i].mae) <= bound);
        forecast_cuts_free(&w);
        unload(&l);
    }
}

/* DLinear, published 0.375 and 0.399: a third of the epochs comes near. */
static void test_dlinear(void **state) {
    (void)state;
    char path[PATH], dir[] = "dlinear_reference_XXXXXX", command[64];
    struct forecast_options o = forecast_options_defaults(FORECAST_DLINEAR);
    struct forecast_report r;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    data_path(path, "ETTh1.csv.zst");
    o.csv = path;
    o.dir = dir;
    o.trainer.epochs = 3;
    enum status st = forecast_run(&r, &o, NULL, NULL, &err);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    if (st != ST_OK) fail_msg("%s", err.text);
    const struct forecast_score *s = &r.scores[FORECAST_MODEL][FORECAST_TEST];
    printf("DLinear after %u epochs: MSE %.4f, MAE %.4f\n", r.training.epochs, s->mse, s->mae);
    assert_int_equal(s->windows, 2785);
    assert_true(s->mse > 0.36 && s->mse < 0.39);
    assert_true(s->mae > 0.38 && s->mae < 0.41);
    forecast_report_free(&r);
}

int main(void) {
    folder = getenv("QUANTUM_REFERENCE");
    if (!folder || !*folder) {
        fprintf(stderr, "QUANTUM_REFERENCE is not set: nothing to compare with\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_scale),
                                       cmocka_unit_test(test_repeat),
                                       cmocka_unit_test(test_dlinear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
