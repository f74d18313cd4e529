/* What the chart's files share: an axis's scale with its ticks. */
#ifndef CHART_INTERNAL_H
#define CHART_INTERNAL_H

#include "chart/chart.h"
#include "chart/text.h"

/* A value's place: straight between `from` at low and `to` at high, in logarithms if log. */
struct scale {
    double low, high; /* values */
    double from, to;  /* pixels */
    bool log;
};
/* True if a value has a place on the axis; false is a gap. */
bool scale_takes(const struct chart_axis *axis, double value);
/* Over values from low to high (those the axis takes), widened so that they differ; room: the share of the span left free at
 * an end. */
struct scale scale_over(const struct chart_axis *axis, double low, double high, double room_low,
                        double room_high);
double scale_at(const struct scale *s, double value);

enum { TICKS_MAX = 24, TICK_SIZE = 24 };
struct ticks {
    uint32_t count;
    double values[TICKS_MAX];
    char labels[TICKS_MAX][TICK_SIZE];
};
/* Round values within the scale, about `wanted` of them and at least one: of whole numbers only, or the beginnings of minutes, hours,
 * days, months, where the axis says so. */
void ticks_over(struct ticks *out, const struct scale *s, uint32_t wanted,
                const struct chart_axis *axis);

/* ---- what pictures are made of: chart.c ---- */

enum { CHART_MARGIN = 18, CHART_TITLE_HEIGHT = 24, CHART_LINE_HEIGHT = 18 };
/* Pixels a text takes, reckoned: the viewer's font is not known here. */
double chart_text_width(const char *s);
size_t chart_letters_in(double width);
void chart_add_text(struct text *t, double x, double y, const char *attributes, const char *s,
                    size_t letters_max);
/* The document's start: size, style, ground, title and subtitle (each may be NULL). */
void chart_open(struct text *t, double width, double height, const char *title,
                const char *subtitle);

#endif
