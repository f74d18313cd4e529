/* Pictures of a training run: what is in them, what is left out, files whole or untouched. */
#include "forecast/chart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "chart/chart.h"
#include "chart/test_svg.h"
#include "ml/nn/file.h"

static char folder[] = "/tmp/quantum-chart-XXXXXX";
static char path[sizeof folder + 16];

static int setup(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.svg", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static char *picture(void) {
    void *bytes;
    size_t size;
    assert_int_equal(nn_file_read(&bytes, &size, path, NULL), ST_OK);
    char *text = realloc(bytes, size + 1);
    assert_non_null(text);
    text[size] = '\0';
    svg_check(text);
    return text;
}

static char *losses(const struct trainer_look *looks, uint32_t count, uint32_t best) {
    struct err err = {0};
    if (forecast_chart_losses(path, "N-HiTS", "MSE", looks, count, best, &err) != ST_OK)
        fail_msg("%s", err.text);
    return picture();
}

static void test_losses(void **state) {
    (void)state;
    struct trainer_look looks[] = {
        {1, 50, 0.9, 0.7}, {2, 100, 0.5, 0.52}, {3, 150, NAN, 0.51}, {4, 200, 0.4, 0.55}};
    char *svg = losses(looks, 4, 2);
    assert_int_equal(svg_count(svg, ">training<"), 1);
    assert_int_equal(svg_count(svg, ">validation<"), 1);
    assert_int_equal(svg_count(svg, ">best look: epoch 3, 0.5100<"), 1);
    assert_int_equal(svg_count(svg, ">epoch<"), 1);
    assert_int_equal(svg_count(svg, ">4 looks, 200 steps<"), 1);
    free(svg);

    for (int i = 0; i < 4; i++) looks[i].epoch = 1; /* several looks an epoch */
    svg = losses(looks, 4, 2);
    assert_int_equal(svg_count(svg, ">step<"), 1);
    assert_int_equal(svg_count(svg, ">best look: step 150, 0.5100<"), 1);
    free(svg);

    for (int i = 0; i < 4; i++) looks[i].valid_loss = NAN; /* none was looked at */
    svg = losses(looks, 4, 3);
    assert_int_equal(svg_count(svg, ">validation<"), 0);
    assert_int_equal(svg_count(svg, ">best look: step 200, 0.4000<"), 1);
    free(svg);
    svg = losses(looks, 1, 0);
    free(svg);
}

static struct forecast_windows example(struct forecast_window *windows, uint32_t count) {
    static const double history[] = {1, 2, 3, 4, 5, 6, 7, 8}, truth[] = {9, 8},
                        said[] = {8.5, 8.25}, low[] = {8, 7}, high[] = {9, 9};
    for (uint32_t i = 0; i < count; i++)
        windows[i] = (struct forecast_window){.title = "2018-02-21 00:00",
                                              .history = history,
                                              .history_count = 8,
                                              .truth = truth,
                                              .forecast = said,
                                              .low = low,
                                              .high = high,
                                              .horizon = 2};
    return (struct forecast_windows){.title = "PatchTST",
                                     .value_label = "OT, °C",
                                     .step_label = "hours from now",
                                     .windows = windows,
                                     .count = count};
}

static char *windows_picture(const struct forecast_windows *w) {
    struct err err = {0};
    if (forecast_chart_windows(path, w, &err) != ST_OK) fail_msg("%s", err.text);
    return picture();
}

static void test_windows(void **state) {
    (void)state;
    struct forecast_window windows[4];
    struct forecast_windows w = example(windows, 4);
    char *svg = windows_picture(&w);
    static const char *const once[] = {">history<", ">truth<", ">forecast<", ">persistence<"};
    for (size_t i = 0; i < 4; i++) assert_int_equal(svg_count(svg, once[i]), 1);
    assert_int_equal(svg_count(svg, ">OT, °C<"), 4);
    assert_int_equal(svg_count(svg, ">-3<"), 4); /* twice the horizon of history is shown */
    assert_int_equal(svg_count(svg, ">-4<"), 0);
    assert_int_equal(svg_count(svg, "class=\"q "), 0);
    free(svg);

    w.band_name = "10 % to 90 %";
    w.history_shown = 100; /* more than there is */
    windows[1].truth = NULL;
    windows[2].low = NULL;
    svg = windows_picture(&w);
    assert_int_equal(svg_count(svg, "Z"), 3);
    assert_int_equal(svg_count(svg, ">-6<"), 4);
    assert_int_equal(svg_count(svg, "class=\"l s6\""), 3 + 1); /* truth, and in the legend */
    free(svg);
}

static void test_refusals_leave_the_file(void **state) {
    (void)state;
    struct trainer_look look = {1, 50, 0.9, 0.7}, nothing = {1, 50, NAN, NAN};
    struct err err = {0};
    char *before = losses(&look, 1, 0);
    assert_int_equal(forecast_chart_losses(path, "t", "l", &look, 0, 0, &err), ST_RANGE);
    assert_int_equal(forecast_chart_losses(path, "t", "l", &look, 1, 1, &err), ST_RANGE);
    assert_int_equal(forecast_chart_losses(path, "t", "l", &nothing, 1, 0, &err), ST_RANGE);
    assert_non_null(strstr(err.text, path));

    struct forecast_window windows[1];
    struct forecast_windows w = example(windows, 1);
    w.count = 0;
    assert_int_equal(forecast_chart_windows(path, &w, &err), ST_RANGE);
    w = example(windows, 1);
    windows[0].history_count = 0;
    assert_int_equal(forecast_chart_windows(path, &w, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "history"));
    w = example(windows, 1);
    windows[0].horizon = 0;
    assert_int_equal(forecast_chart_windows(path, &w, &err), ST_RANGE);
    w = example(windows, 1);
    static const double unknown[] = {NAN, NAN};
    windows[0].forecast = unknown;
    assert_int_equal(forecast_chart_windows(path, &w, &err), ST_RANGE);
    assert_non_null(strstr(err.text, "forecast"));
    w = example(windows, 1);
    assert_int_equal(forecast_chart_windows("/nonexistent/a.svg", &w, &err), ST_IO);

    char *after = picture();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_refusals_leave_the_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
