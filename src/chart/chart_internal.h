/* What the chart's files share: growing text, and an axis's scale with its ticks. */
#ifndef CHART_INTERNAL_H
#define CHART_INTERNAL_H

#include "chart/chart.h"

/* Text that grows; a failed allocation sticks. */
struct text {
    char *data;
    size_t size, capacity;
    bool failed;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As XML text: escaped, what XML 1.0 cannot hold (and what is no UTF-8) as U+FFFD; behind `letters_max` letters an ellipsis. */
void text_add_escaped(struct text *t, const char *s, size_t letters_max);
/* Letters, for widths. */
size_t text_letters(const char *s);

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
/* Round values within the scale, about `wanted` of them and at least one; whole: of whole numbers only. */
void ticks_over(struct ticks *out, const struct scale *s, uint32_t wanted, bool whole);

#endif
