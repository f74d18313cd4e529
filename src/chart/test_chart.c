/* Charts: documents that any XML reader takes, everything inside the picture, gaps, scales, refusals. */
#include "chart/chart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "base/rng.h"
#include "chart/chart_internal.h"
#include "chart/test_svg.h"

static char *draw_panels(const struct chart_panel *panels, uint32_t count, const char *title) {
    char *svg = NULL;
    size_t size = 0;
    struct err err = {0};
    struct chart chart = {.title = title, .panels = panels, .panel_count = count};
    enum status st = chart_svg(&svg, &size, &chart, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(strlen(svg), size);
    svg_check(svg);
    return svg;
}

static char *draw(const struct chart_series *series, uint32_t count, bool log) {
    struct chart_panel panel = chart_panel_defaults();
    panel.series = series;
    panel.series_count = count;
    panel.y.log = log;
    return draw_panels(&panel, 1, "t");
}

static void refused(const struct chart_panel *panel, uint32_t panels, const char *words) {
    char *svg;
    size_t size;
    struct err err = {0};
    struct chart chart = {.panels = panel, .panel_count = panels};
    assert_int_equal(chart_svg(&svg, &size, &chart, &err), ST_RANGE);
    assert_null(svg);
    if (!strstr(err.text, words)) fail_msg("\"%s\" says nothing of %s", err.text, words);
}

/* The checker itself refuses what is no document. */
static void test_checker_bites(void **state) {
    (void)state;
    assert_null(svg_problem("<svg viewBox=\"0 0 9 9\"><g x=\"1\">a &amp; b</g></svg>\n"));
    static const char *const bad[] = {
        "",
        "<svg viewBox=\"0 0 9 9\">",
        "<svg viewBox=\"0 0 9 9\"></g>",
        "<svg viewBox=\"0 0 9 9\"/><svg/>",
        "<svg viewBox=\"0 0 9 9\">&</svg>",
        "<svg viewBox=\"0 0 9 9\">&nbsp;</svg>",
        "<svg viewBox=\"0 0 9 9\">\x01</svg>",
        "<svg viewBox=\"0 0 9 9\">\xC3</svg>",
        "<svg viewBox=\"0 0 9 9\"><a x=1/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a x=\"<\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a x=\"1\" x=\"1\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a x=\"10\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a cy=\"-1\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a x=\"nan\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a d=\"M1 1L2 10\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a d=\"M1 1v9\"/></svg>",
        "<svg viewBox=\"0 0 9 9\"><a d=\"L1 1\"/></svg>",
        "<svg><a/></svg>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!svg_problem(bad[i])) fail_msg("taken: %s", bad[i]);
}

static void test_all_kinds(void **state) {
    (void)state;
    double y[] = {1, 3, 2, 5}, high[] = {2, 4, 4, 6}, x[] = {0, 10, 15, 30};
    struct chart_series series[] = {
        {"band", CHART_BAND, CHART_GREY, x, y, high, 4},
        {"line", CHART_LINE, CHART_BLUE, x, y, NULL, 4},
        {"dashes", CHART_DASHED, CHART_GREEN, x, high, NULL, 4},
        {"rings", CHART_POINTS, CHART_ORANGE, x, y, NULL, 4},
        {NULL, CHART_LINE, CHART_INK, x, high, NULL, 4},
    };
    char *svg = draw(series, 5, false);
    assert_int_equal(svg_count(svg, "<circle"), 4 + 1); /* and one in the legend */
    assert_int_equal(svg_count(svg, "class=\"l d s2\""), 2);
    assert_int_equal(svg_count(svg, "Z\""), 1);
    assert_int_equal(svg_count(svg, ">band<"), 1);
    char *again = draw(series, 5, false);
    assert_string_equal(svg, again);
    free(again);
    free(svg);
}

/* The line of the only series: its first path behind the legend's. */
static void line_of(const char *svg, char *out, size_t size) {
    const char *p = strstr(svg, "class=\"l s0\" d=\"M");
    assert_non_null(p);
    p += strlen("class=\"l s0\" d=\"");
    size_t n = strcspn(p, "\"");
    assert_true(n < size);
    memcpy(out, p, n);
    out[n] = '\0';
}

static void test_gaps_break_lines(void **state) {
    (void)state;
    char line[512];
    double y[] = {NAN, 1, 2, NAN, 3, INFINITY, -INFINITY, 2, 4};
    struct chart_series s = {.y = y, .count = 9, .name = NULL};
    char *svg = draw(&s, 1, false);
    line_of(svg, line, sizeof line);
    assert_int_equal(svg_count(line, "M"), 3);
    assert_int_equal(svg_count(line, "L"), 2);
    assert_int_equal(svg_count(line, "h0"), 1); /* the 3 alone */
    free(svg);

    /* Logarithms know nothing at or below zero. */
    double losses[] = {1, 0.1, 0, 0.01, -1, 0.001, 1e-200};
    s.y = losses;
    s.count = 7;
    svg = draw(&s, 1, true);
    line_of(svg, line, sizeof line);
    assert_int_equal(svg_count(line, "M"), 3);
    assert_int_equal(svg_count(line, "L"), 1);
    free(svg);

    /* A band ends where either edge does. */
    double low[] = {0, 0, NAN, 0, 0, 0}, high[] = {1, 1, 1, 1, NAN, 1};
    struct chart_series band = {.kind = CHART_BAND, .y = low, .y_high = high, .count = 6};
    svg = draw(&band, 1, false);
    assert_int_equal(svg_count(svg, "Z"), 3);
    free(svg);
}

static void test_log_axis_places_by_ratio(void **state) {
    (void)state;
    struct chart_axis axis = {.log = true, .low = NAN, .high = NAN};
    struct scale s = scale_over(&axis, 0.01, 100, 0, 0);
    s.from = 0;
    s.to = 400;
    assert_true(fabs(scale_at(&s, 0.1) - 100) < 1e-9);
    assert_true(fabs(scale_at(&s, 1) - 200) < 1e-9);
    struct ticks t;
    ticks_over(&t, &s, 4, &(struct chart_axis){0});
    assert_int_equal(t.count, 5);
    static const char *const labels[] = {"0.01", "0.1", "1", "10", "100"};
    for (uint32_t i = 0; i < 5; i++) assert_string_equal(t.labels[i], labels[i]);
    ticks_over(&t, &s, 13, &(struct chart_axis){0}); /* room for 2 and 5 between them */
    assert_int_equal(t.count, 13);
    assert_string_equal(t.labels[1], "0.02");
    s = scale_over(&axis, 1e-60, 1e60, 0, 0);
    ticks_over(&t, &s, 6, &(struct chart_axis){0});
    assert_true(t.count >= 5 && t.count <= 7);
    assert_string_equal(t.labels[0], "1e-60");
    assert_false(scale_takes(&axis, 0));
}

static void test_ticks_are_round(void **state) {
    (void)state;
    static const struct {
        double low, high;
        uint32_t wanted;
        bool whole;
        const char *first, *last;
        uint32_t count;
    } cases[] = {
        {0, 1, 5, false, "0.0", "1.0", 6},
        {-0.3, 0.3, 6, false, "-0.3", "0.3", 7},
        {0.371, 0.3885, 4, false, "0.375", "0.385", 3},
        {1, 30, 6, true, "5", "30", 6},
        {1, 3, 9, true, "1", "3", 3},
        {-192, 96, 7, true, "-150", "50", 5},
        {0, 6e7, 6, false, "0", "6e7", 7},
        {0, 2.5e8, 5, false, "0", "2.5e8", 6},
        {1e-9, 5e-9, 4, false, "1e-9", "5e-9", 5},
        {43210, 43290, 4, false, "43220", "43280", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scale s = {.low = cases[i].low, .high = cases[i].high, .to = 100};
        struct ticks t;
        ticks_over(&t, &s, cases[i].wanted, &(struct chart_axis){.whole = cases[i].whole});
        print_message("%s … %s (%u)\n", t.labels[0], t.labels[t.count - 1], t.count);
        assert_string_equal(t.labels[0], cases[i].first);
        assert_string_equal(t.labels[t.count - 1], cases[i].last);
        assert_int_equal(t.count, cases[i].count);
    }
}

/* Any scale: ticks rise, lie within, and their labels read back as their values. */
static void test_ticks_property(void **state) {
    (void)state;
    const char *env = getenv("TEST_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : 20171;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct rng rng = rng_init(seed);
    for (int i = 0; i < 20000; i++) {
        struct chart_axis axis = {.log = rng_below(&rng, 2), .low = NAN, .high = NAN};
        double low = pow(10, 30 * (rng_f64(&rng) - 0.5));
        double high = low * (1 + pow(10, 20 * (rng_f64(&rng) - 0.6)));
        if (!axis.log && rng_below(&rng, 2)) low = -low;
        struct scale s = scale_over(&axis, low, high, 0.04, 0.04);
        s.to = 500;
        struct ticks t;
        uint32_t wanted = 2 + (uint32_t)rng_below(&rng, 12);
        ticks_over(&t, &s, wanted, &(struct chart_axis){.whole = rng_below(&rng, 2)});
        assert_true(t.count >= 1 && t.count <= TICKS_MAX);
        double step = t.count > 1 ? t.values[1] - t.values[0] : s.high - s.low;
        for (uint32_t k = 0; k < t.count; k++) {
            assert_true(k == 0 || t.values[k] > t.values[k - 1]);
            double said = strtod(t.labels[k], NULL);
            if (!(fabs(said - t.values[k]) <= 1e-3 * step + 1e-11 * fabs(t.values[k])))
                fail_msg("%s for %.17g, step %g in %.17g %.17g", t.labels[k], t.values[k], step,
                         s.low, s.high);
            double at = scale_at(&s, t.values[k]);
            if (!(at > -0.001 && at < 500.001))
                fail_msg("%s at %.9g, %.17g to %.17g, log %d", t.labels[k], at, s.low, s.high,
                         s.log);
        }
    }
}

static void test_flat_and_single(void **state) {
    (void)state;
    static const double heights[] = {0, 5, -3e-50, 1e100, -1e100};
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
        double y[] = {heights[i], heights[i]};
        struct chart_series s = {.y = y, .count = 2};
        free(draw(&s, 1, false));
        s.count = 1;
        free(draw(&s, 1, heights[i] > 0));
    }
}

static void test_text_is_escaped(void **state) {
    (void)state;
    double y[] = {1, 2};
    struct chart_series s = {.name = "a<b>&\"'\x01\xFF\xC3\xA9\xEF\xBF\xBF", .y = y, .count = 2};
    struct chart_panel panel = chart_panel_defaults();
    panel.series = &s;
    panel.series_count = 1;
    panel.title = "</text>";
    panel.x.label = "]]>";
    panel.y.label = "<script>";
    char *svg = draw_panels(&panel, 1, "line\nbreak & more");
    assert_int_equal(svg_count(svg, "a&lt;b&gt;&amp;&quot;'\xEF\xBF\xBD\xEF\xBF\xBD\xC3\xA9"
                                    "\xEF\xBF\xBD<"),
                     1);
    assert_int_equal(svg_count(svg, "<script"), 0);
    assert_int_equal(svg_count(svg, ">line break &amp; more<"), 2); /* the title and its text */
    free(svg);

    char endless[4000];
    memset(endless, 'W', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    panel.title = panel.x.label = panel.y.label = s.name = endless;
    svg = draw_panels(&panel, 1, endless);
    assert_true(svg_count(svg, "W\xE2\x80\xA6<") == 5);
    free(svg);
}

static void test_many_panels_share_a_legend(void **state) {
    (void)state;
    double y[] = {1, 2, 3};
    struct chart_series s[2] = {{.name = "truth", .y = y, .count = 3},
                                {.name = "forecast", .y = y, .count = 3, .colour = CHART_ORANGE}};
    struct chart_panel panels[CHART_PANELS_MAX];
    for (uint32_t i = 0; i < CHART_PANELS_MAX; i++) {
        panels[i] = chart_panel_defaults();
        panels[i].series = s;
        panels[i].series_count = 2;
        panels[i].title = "window";
        panels[i].rule_x = 1;
    }
    for (uint32_t n = 1; n <= CHART_PANELS_MAX; n++) {
        char *svg = draw_panels(panels, n, NULL);
        assert_int_equal(svg_count(svg, ">truth<"), 1);
        assert_int_equal(svg_count(svg, ">window<"), n);
        assert_int_equal(svg_count(svg, "class=\"r\""), n);
        free(svg);
    }
    panels[0].rule_x = 7; /* not within the data */
    char *svg = draw_panels(panels, 1, NULL);
    assert_int_equal(svg_count(svg, "class=\"r\""), 0);
    free(svg);
}

static void test_axis_reaches(void **state) {
    (void)state;
    double y[] = {0.4, 0.6};
    struct chart_series s = {.y = y, .count = 2};
    struct chart_panel panel = chart_panel_defaults();
    panel.series = &s;
    panel.series_count = 1;
    char *svg = draw_panels(&panel, 1, NULL);
    assert_int_equal(svg_count(svg, ">0.0<"), 1); /* on the lower axis */
    assert_int_equal(svg_count(svg, ">1.0<"), 1);
    free(svg);
    panel.y.low = 0;
    panel.y.high = 1;
    svg = draw_panels(&panel, 1, NULL);
    assert_int_equal(svg_count(svg, ">0.0<"), 2);
    assert_int_equal(svg_count(svg, ">1.0<"), 2);
    free(svg);
}

static void test_refusals(void **state) {
    (void)state;
    double y[] = {1, NAN}, none[] = {NAN, INFINITY}, much[] = {1, 2e100};
    struct chart_series s = {.name = "loss", .y = y, .count = 2};
    struct chart_panel panel = chart_panel_defaults();
    refused(&panel, 1, "0 series");
    panel.series = &s;
    panel.series_count = 1;
    refused(&panel, 0, "0 panels");
    refused(&panel, CHART_PANELS_MAX + 1, "65 panels");
    panel.series_count = CHART_SERIES_MAX + 1;
    refused(&panel, 1, "33 series");
    panel.series_count = 1;
    s.count = 0;
    refused(&panel, 1, "(loss)");
    s.count = 2;
    s.y = none;
    refused(&panel, 1, "(loss)");
    s.y = much;
    refused(&panel, 1, "beyond");
    s.y = NULL;
    refused(&panel, 1, "series 0");
    s.y = y;
    s.kind = CHART_BAND;
    refused(&panel, 1, "series 0");
    s.kind = CHART_LINE;
    s.colour = CHART_COLOURS;
    refused(&panel, 1, "series 0");
    s.colour = CHART_BLUE;
    y[0] = -1;
    panel.y.log = true;
    refused(&panel, 1, "(loss)");
}

/* The path of the first element of a class. */
static void path_of(const char *svg, const char *class_name, char *out, size_t size) {
    char begin[64];
    snprintf(begin, sizeof begin, "class=\"%s\" d=\"", class_name);
    const char *p = strstr(svg, begin);
    assert_non_null(p);
    p += strlen(begin);
    size_t n = strcspn(p, "\"");
    assert_true(n < size);
    memcpy(out, p, n);
    out[n] = '\0';
}

/* Bars stand on zero, which the axis reaches then; side by side, none on another; gaps are left out. */
static void test_bars_stand_on_zero(void **state) {
    (void)state;
    char path[512];
    double x[] = {0.1, 0.2, 0.3, 0.5}, y[] = {10, 30, NAN, -5};
    struct chart_series s = {.kind = CHART_BARS, .x = x, .y = y, .count = 4};
    char *svg = draw(&s, 1, false);
    path_of(svg, "o f0", path, sizeof path);
    assert_int_equal(svg_count(path, "M"), 3);
    double right = 0, ground = 0;
    const char *p = path;
    for (int i = 0; i < 3; i++, p++) {
        double left, base, edge, top, back;
        assert_int_equal(sscanf(p, "M%lf %lfH%lfV%lfH%lf", &left, &base, &edge, &top, &back), 5);
        assert_true(left >= right && edge > left && back == left);
        if (i) assert_true(base == ground);
        assert_true(i < 2 ? top < base : top > base);
        right = edge;
        ground = base;
        p = strchr(p, 'Z');
        assert_non_null(p);
    }
    assert_int_equal(svg_count(svg, ">0<"), 1);
    free(svg);
    struct chart_panel panel = chart_panel_defaults();
    panel.series = &s;
    panel.series_count = 1;
    panel.y.log = true;
    refused(&panel, 1, "series 0"); /* no zero to stand on */
}

static void test_spans_reach_from_low_to_high(void **state) {
    (void)state;
    char path[512];
    double y[] = {1, 2, 3}, high[] = {2, NAN, 5};
    struct chart_series s = {.kind = CHART_SPANS, .y = y, .y_high = high, .count = 3};
    char *svg = draw(&s, 1, false);
    path_of(svg, "w s0", path, sizeof path);
    assert_int_equal(svg_count(path, "V"), 2); /* one without an end is a gap */
    assert_int_equal(svg_count(path, "H"), 4);
    double x, low, top;
    assert_int_equal(sscanf(path, "M%lf %lfV%lf", &x, &low, &top), 3);
    assert_true(low > top);
    free(svg);
}

static void ticks_of(struct ticks *t, double low, double high, uint32_t wanted) {
    struct scale s = {.low = low, .high = high, .to = 500};
    ticks_over(t, &s, wanted, &(struct chart_axis){.time = true});
}

/* Beginnings of days, months, hours; never 1e5 seconds. */
static void test_ticks_of_time(void **state) {
    (void)state;
    struct ticks t;
    const double day = 86400, y2024 = 1704067200; /* 2024-01-01 */
    ticks_of(&t, y2024 + 3 * 3600, y2024 + 5.5 * day, 6);
    assert_int_equal(t.count, 5);
    assert_string_equal(t.labels[0], "2024-01-02");
    assert_true(t.values[4] == y2024 + 5 * day);
    ticks_of(&t, y2024 - 20 * day, y2024 + 100 * day, 6);
    assert_int_equal(t.count, 4);
    assert_string_equal(t.labels[0], "2024-01-01");
    assert_string_equal(t.labels[2], "2024-03-01");
    assert_true(t.values[2] == y2024 + 60 * day); /* a leap year */
    ticks_of(&t, y2024 + 600, y2024 + 3.2 * 3600, 5);
    assert_int_equal(t.count, 3);
    assert_string_equal(t.labels[1], "01-01 02:00");
    ticks_of(&t, y2024, y2024 + 1500 * day, 5);
    assert_string_equal(t.labels[1], "2025-01-01");
    assert_true(t.count >= 3 && t.count <= 6);
    ticks_of(&t, -1e15, 1e15, 5); /* no dates there: numbers */
    assert_true(t.count >= 1 && !strchr(t.labels[0], ':'));
    ticks_of(&t, y2024, y2024 + 2, 5);
    assert_true(t.count >= 1);
}

static void test_ranking(void **state) {
    (void)state;
    const char *names[] = {"volume <z>", "atr", "rank"}, *texts[] = {"50 %", "-25 %", "0 %"};
    double values[] = {0.5, -0.25, 0};
    struct chart_ranking r = {.title = "Importance & more",
                              .names = names,
                              .values = values,
                              .texts = texts,
                              .count = 3,
                              .colour = CHART_GREEN};
    char *svg;
    size_t size;
    struct err err = {0};
    assert_int_equal(chart_ranking_svg(&svg, &size, &r, &err), ST_OK);
    assert_int_equal(strlen(svg), size);
    svg_check(svg);
    assert_int_equal(svg_count(svg, "volume &lt;z&gt;"), 1);
    assert_int_equal(svg_count(svg, ">-25 %<"), 1);
    double x[3], width[3];
    const char *p = svg;
    for (int i = 0; i < 3; i++) {
        while (sscanf(p, "<rect x=\"%lf\" y=\"%*f\" width=\"%lf\"", &x[i], &width[i]) != 2) p++;
        p++;
    }
    assert_true(fabs(width[0] - 2 * width[1]) < 0.02 && width[2] == 0);
    assert_true(fabs(x[1] + width[1] - x[0]) < 0.02); /* to the left of zero, up to it */
    free(svg);
    values[1] = NAN;
    assert_int_equal(chart_ranking_svg(&svg, &size, &r, &err), ST_RANGE);
    assert_null(svg);
    assert_non_null(strstr(err.text, "value 1 (atr)"));
    r.count = 0;
    assert_int_equal(chart_ranking_svg(&svg, &size, &r, &err), ST_RANGE);
}

/* Any numbers: a document with everything inside it. */
static void test_any_numbers(void **state) {
    (void)state;
    const char *env = getenv("TEST_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : 4711;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct rng rng = rng_init(seed);
    for (int i = 0; i < 300; i++) {
        enum { POINTS = 40 };
        double x[POINTS], y[POINTS], high[POINTS];
        double size = pow(10, 60 * (rng_f64(&rng) - 0.5));
        for (int k = 0; k < POINTS; k++) {
            x[k] = 1 + 1000 * rng_f64(&rng);
            y[k] = rng_below(&rng, 5) ? size * (rng_f64(&rng) - 0.2) : NAN;
            high[k] = y[k] + size * rng_f64(&rng);
        }
        y[0] = high[0] = size;
        struct chart_series s = {.name = "any",
                                 .kind = (enum chart_kind)rng_below(&rng, CHART_BARS + 1),
                                 .x = rng_below(&rng, 2) ? x : NULL,
                                 .y = y,
                                 .y_high = high,
                                 .count = POINTS};
        struct chart_panel panel = chart_panel_defaults();
        panel.series = &s;
        panel.series_count = 1;
        panel.y.log = s.kind != CHART_BARS && rng_below(&rng, 2);
        panel.x.log = s.kind != CHART_BARS && s.x && rng_below(&rng, 2);
        panel.y.label = "size";
        free(draw_panels(&panel, 1, "any"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_bites),
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_gaps_break_lines),
        cmocka_unit_test(test_log_axis_places_by_ratio),
        cmocka_unit_test(test_ticks_are_round),
        cmocka_unit_test(test_ticks_property),
        cmocka_unit_test(test_flat_and_single),
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_many_panels_share_a_legend),
        cmocka_unit_test(test_axis_reaches),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bars_stand_on_zero),
        cmocka_unit_test(test_spans_reach_from_low_to_high),
        cmocka_unit_test(test_ticks_of_time),
        cmocka_unit_test(test_ranking),
        cmocka_unit_test(test_any_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
