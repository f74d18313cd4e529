/* Named values as lying bars. */
#include <inttypes.h>
#include <stdlib.h>

#include "chart/chart_internal.h"

enum {
    WIDTH = 816, /* of a chart of one panel */
    ROW_HEIGHT = 20,
    BAR_HEIGHT = 13,
    NAMES_WIDTH_MAX = 260,
    NAME_GAP = 8, /* between a name and the bars, a bar and its value */
};
static const double VALUE_MAX = 1e100;

static enum status ranking_check(const struct chart_ranking *r, struct err *err) {
    if (!r->names || !r->values || r->count == 0 || r->count > CHART_RANKS_MAX ||
        (unsigned)r->colour >= CHART_COLOURS)
        return err_set(err, ST_RANGE, "ranking: %" PRIu32 " values, 1 to %d", r->count,
                       CHART_RANKS_MAX);
    for (uint32_t i = 0; i < r->count; i++)
        if (!(fabs(r->values[i]) <= VALUE_MAX))
            return err_set(err, ST_RANGE, "ranking: value %" PRIu32 " (%.60s) cannot be drawn", i,
                           r->names[i]);
    return ST_OK;
}

static double widest(const char *const *texts, uint32_t count) {
    double width = 0;
    for (uint32_t i = 0; texts && i < count; i++) width = fmax(width, chart_text_width(texts[i]));
    return width;
}

static void add_rows(struct text *t, const struct chart_ranking *r, double top) {
    double low = 0, high = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        low = fmin(low, r->values[i]);
        high = fmax(high, r->values[i]);
    }
    double names = fmin(widest(r->names, r->count), NAMES_WIDTH_MAX);
    double left = CHART_MARGIN + names + NAME_GAP;
    double right = WIDTH - CHART_MARGIN - NAME_GAP - widest(r->texts, r->count);
    double span = high > low ? high - low : 1, zero = left + (right - left) * (0 - low) / span;
    for (uint32_t i = 0; i < r->count; i++) {
        double y = top + i * ROW_HEIGHT, value = r->values[i];
        double length = (right - left) * fabs(value) / span;
        chart_add_text(t, left - NAME_GAP, y + 12, " text-anchor=\"end\"", r->names[i],
                       chart_letters_in(names + 1));
        text_add(t, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%d\" class=\"o f%d\"/>\n",
                 value < 0 ? zero - length : zero, y + 1, length, BAR_HEIGHT, (int)r->colour);
        if (r->texts)
            chart_add_text(t, (value > 0 ? zero + length : zero) + NAME_GAP, y + 12, "",
                           r->texts[i], SIZE_MAX);
    }
    text_add(t, "<path class=\"x\" d=\"M%.2f %.2fV%.2f\"/>\n", zero, top - 2,
             top + r->count * ROW_HEIGHT);
}

enum status chart_ranking_svg(char **out, size_t *size, const struct chart_ranking *ranking,
                              struct err *err) {
    *out = NULL;
    *size = 0;
    enum status st = ranking_check(ranking, err);
    if (st != ST_OK) return st;
    double top = CHART_MARGIN + (ranking->title ? CHART_TITLE_HEIGHT : 0) +
                 (ranking->subtitle ? CHART_LINE_HEIGHT : 0) + 6;
    struct text t = {0};
    chart_open(&t, WIDTH, top + ranking->count * ROW_HEIGHT + CHART_MARGIN, ranking->title,
               ranking->subtitle);
    add_rows(&t, ranking, top);
    text_add(&t, "</svg>\n");
    if (t.failed) {
        free(t.data);
        return err_set(err, ST_NO_MEMORY, "ranking: %" PRIu32 " values", ranking->count);
    }
    *out = t.data;
    *size = t.size;
    return ST_OK;
}
