/* Pictures of numbers as SVG text: lines, points, bands and bars over a horizontal axis, one or several panels under one title and
 * one legend; and named values as a ranking. No library, no files: the caller writes the text where it wants it.
 *
 *     double valid[3] = {0.41, 0.39, 0.40};
 *     struct chart_series lines[] = {{.name = "validation", .kind = CHART_LINE, .y = valid, .count = 3}};
 *     struct chart_panel panel = chart_panel_defaults();
 *     panel.series = lines, panel.series_count = 1;
 *     panel.y.label = "MSE", panel.y.log = true;
 *     struct chart chart = {.title = "Losses", .panels = &panel, .panel_count = 1};
 *     char *svg; size_t size;
 *     enum status st = chart_svg(&svg, &size, &chart, &err);      then write it, free(svg)
 *
 * The picture brings its own background and changes to dark colours where the viewer asks for them; colours keep apart for the
 * colour-blind. Any text is escaped. The same chart gives the same bytes.
 *
 * Tests    test_chart.c: well-formed, inside the view box, gaps, ticks, logarithms, escapes, refusals. */
#ifndef CHART_CHART_H
#define CHART_CHART_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum chart_kind {
    CHART_LINE, /* through the points in the order given */
    CHART_DASHED,
    CHART_POINTS, /* rings */
    CHART_BAND,   /* between y and y_high */
    CHART_SPANS,  /* an upright stroke from y to y_high at each point: intervals */
    CHART_BARS    /* from zero to y, as wide as the least step between two points */
};
/* CHART_GREY for what is only a measure (persistence, a diagonal). */
enum chart_colour {
    CHART_BLUE,
    CHART_ORANGE,
    CHART_GREEN,
    CHART_PURPLE,
    CHART_BROWN,
    CHART_CYAN,
    CHART_INK,
    CHART_GREY,
    CHART_COLOURS
};

/* A point with a value that is no finite number (on a logarithmic axis: or not above zero) is a gap: the line breaks there. */
struct chart_series {
    const char *name; /* in the legend, once for equal names in several panels; NULL: not there */
    enum chart_kind kind;
    enum chart_colour colour;
    const double *x;      /* (count); NULL: 0, 1, 2, … */
    const double *y;      /* (count) */
    const double *y_high; /* (count) of a band or of spans; else NULL */
    size_t count;
};

struct chart_axis {
    const char *label; /* with the unit: "price, USDT"; NULL: none */
    bool log;          /* base 10 */
    bool whole;        /* ticks at whole numbers only */
    bool time;         /* values are seconds since 1970, UTC: ticks at dates */
    double low, high;  /* the axis reaches at least there; NaN: as far as the data */
};

struct chart_panel {
    const char *title; /* NULL: none */
    struct chart_axis x, y;
    const struct chart_series *series; /* drawn in this order */
    uint32_t series_count;
    double rule_x; /* an upright line there, within the data; NaN: none */
};
/* No title, linear axes as far as the data, no series. */
struct chart_panel chart_panel_defaults(void);

enum { CHART_PANELS_MAX = 64, CHART_SERIES_MAX = 32 /* of a panel */ };
struct chart {
    const char *title;
    const char *subtitle; /* NULL: none */
    const struct chart_panel *panels;
    uint32_t panel_count;
    uint32_t columns; /* panels side by side; 0: one panel alone, else two */
};

/* The chart as an SVG document, NUL ended; free(*out). Length in proportion to the points.
 * Returns  ST_OK; ST_RANGE (no panel, no series, a series without a point that can be drawn, too many, a value beyond 1e100:
 *          named in err); ST_NO_MEMORY. *out is NULL then. */
enum status chart_svg(char **out, size_t *size, const struct chart *chart, struct err *err);

/* Named values as lying bars, one below the other in the order given. */
struct chart_ranking {
    const char *title;
    const char *subtitle;     /* NULL: none */
    const char *const *names; /* (count) */
    const double *values;     /* (count) finite; below zero they go to the left */
    const char *const
        *texts; /* (count) each value as it is to be read, behind its bar; NULL: none */
    uint32_t count;
    enum chart_colour colour;
};
enum { CHART_RANKS_MAX = 256 };
/* Returns as chart_svg; ST_RANGE: no value, too many, one that is not finite or beyond 1e100. */
enum status chart_ranking_svg(char **out, size_t *size, const struct chart_ranking *ranking,
                              struct err *err);

#endif
