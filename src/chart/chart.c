#include "chart/chart.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chart/chart_internal.h"

/* Pixels. Widths of text are reckoned, not measured: the viewer's font is not known here. */
enum {
    MARGIN = CHART_MARGIN,
    TITLE_HEIGHT = CHART_TITLE_HEIGHT,
    LINE_HEIGHT = CHART_LINE_HEIGHT, /* subtitle, a row of the legend */
    LEGEND_SWATCH = 22,
    LEGEND_GAP = 20,
    PANEL_GAP = 26,
    PANEL_HEAD = 20, /* the panel's title; the value axis's label */
    PANEL_AIR = 14,  /* between the head and the box */
    PANEL_FOOT = 36, /* tick labels and the axis's label */
    LETTER_WIDTH_TENTHS = 70,
    TITLE_LETTER_TENTHS = 92,
    TICK_WIDTH = 64,
    TICK_DATE_WIDTH = 104,
    TICK_HEIGHT = 34
};
static const double VALUE_MAX = 1e100; /* spans and steps stay far from overflow */

static const char STYLE[] =
    "<style>"
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu "
    "Sans',sans-serif;fill:#57606a}"
    ".h{font-size:16px;font-weight:600;fill:#1f2328}.n{font-weight:600;fill:#1f2328}"
    ".b,.p{fill:#fff}.g{stroke:#e4e8ec}.x{stroke:#8c959f}.r{stroke:#8c959f;stroke-dasharray:2 3}"
    ".l{fill:none;stroke-width:1.7;stroke-linejoin:round;stroke-linecap:round}.d{stroke-dasharray:"
    "5 4}"
    ".p{stroke-width:2}.q{opacity:.2}.w{fill:none;stroke-width:1.3}.o{opacity:.75}"
    ".s0{stroke:#0072b2}.s1{stroke:#d55e00}.s2{stroke:#009e73}.s3{stroke:#a3558f}.s4{stroke:#"
    "8c5a2b}"
    ".s5{stroke:#3aa0d8}.s6{stroke:#24292f}.s7{stroke:#8c959f}"
    ".f0{fill:#0072b2}.f1{fill:#d55e00}.f2{fill:#009e73}.f3{fill:#a3558f}.f4{fill:#8c5a2b}"
    ".f5{fill:#3aa0d8}.f6{fill:#24292f}.f7{fill:#8c959f}"
    "@media(prefers-color-scheme:dark){text{fill:#9aa4af}.h,.n{fill:#e6edf3}.b,.p{fill:#14181d}"
    ".g{stroke:#262c33}.x,.r{stroke:#59636e}"
    ".s0{stroke:#56b4e9}.s1{stroke:#ff8c42}.s2{stroke:#34c99b}.s3{stroke:#d78bc4}.s4{stroke:#"
    "c99a6b}"
    ".s5{stroke:#8fd3ff}.s6{stroke:#e6edf3}.s7{stroke:#7d8792}"
    ".f0{fill:#56b4e9}.f1{fill:#ff8c42}.f2{fill:#34c99b}.f3{fill:#d78bc4}.f4{fill:#c99a6b}"
    ".f5{fill:#8fd3ff}.f6{fill:#e6edf3}.f7{fill:#7d8792}}"
    "</style>\n";

struct box {
    double left, top, right, bottom;
};

/* One panel, placed. */
struct plot {
    const struct chart_panel *panel;
    struct scale x, y;
    struct ticks x_ticks, y_ticks;
    struct box box;
};

struct chart_panel chart_panel_defaults(void) {
    return (struct chart_panel){
        .x = {.low = NAN, .high = NAN}, .y = {.low = NAN, .high = NAN}, .rule_x = NAN};
}

static double series_x(const struct chart_series *s, size_t i) {
    return s->x ? s->x[i] : (double)i;
}

static bool has_two_ends(const struct chart_series *s) {
    return s->kind == CHART_BAND || s->kind == CHART_SPANS;
}

static bool point_drawn(const struct chart_panel *p, const struct chart_series *s, size_t i) {
    return scale_takes(&p->x, series_x(s, i)) && scale_takes(&p->y, s->y[i]) &&
           (!has_two_ends(s) || scale_takes(&p->y, s->y_high[i]));
}

/* Half of what a bar may take: of the least step between two points; of 1 for a bar alone. */
static double bar_half(const struct chart_series *s) {
    double least = INFINITY;
    for (size_t i = 1; i < s->count; i++) {
        double step = fabs(series_x(s, i) - series_x(s, i - 1));
        if (step > 0 && step < least) least = step;
    }
    return isfinite(least) ? least / 2 : 0.5;
}

struct range {
    double low, high;
};

static void range_take(struct range *r, double value) {
    if (!(value >= r->low)) r->low = value;
    if (!(value <= r->high)) r->high = value;
}

/* What point i of a series takes of both axes. */
static void ranges_take(struct range *x, struct range *y, const struct chart_series *s, size_t i,
                        double half) {
    range_take(x, series_x(s, i) - half);
    range_take(x, series_x(s, i) + half);
    range_take(y, s->y[i]);
    if (has_two_ends(s)) range_take(y, s->y_high[i]);
    if (s->kind == CHART_BARS) range_take(y, 0);
}

/* The span of what is drawn, and whether all of it can be. */
static enum status panel_ranges(struct range *x, struct range *y, const struct chart_panel *p,
                                uint32_t index, struct err *err) {
    if (!p->series || !p->series_count || p->series_count > CHART_SERIES_MAX)
        return err_set(err, ST_RANGE, "chart: panel %" PRIu32 " has %" PRIu32 " series, 1 to %d",
                       index, p->series_count, CHART_SERIES_MAX);
    *x = *y = (struct range){NAN, NAN};
    for (uint32_t k = 0; k < p->series_count; k++) {
        const struct chart_series *s = &p->series[k];
        size_t drawn = 0;
        bool is_bars = s->kind == CHART_BARS;
        if (!s->y || (unsigned)s->colour >= CHART_COLOURS || (has_two_ends(s) && !s->y_high) ||
            (is_bars && (p->x.log || p->y.log)))
            return err_set(err, ST_RANGE, "chart: panel %" PRIu32 ", series %" PRIu32 ": a field",
                           index, k);
        double half = is_bars ? bar_half(s) : 0;
        for (size_t i = 0; i < s->count; i++) {
            if (!point_drawn(p, s, i)) continue;
            drawn++;
            ranges_take(x, y, s, i, half);
        }
        if (!drawn)
            return err_set(err, ST_RANGE,
                           "chart: panel %" PRIu32 ", series %" PRIu32
                           " (%.60s): none of %zu points can be drawn",
                           index, k, s->name ? s->name : "unnamed", s->count);
    }
    const struct chart_axis *axes[2] = {&p->x, &p->y};
    struct range *ranges[2] = {x, y};
    for (int i = 0; i < 2; i++) {
        if (scale_takes(axes[i], axes[i]->low)) range_take(ranges[i], axes[i]->low);
        if (scale_takes(axes[i], axes[i]->high)) range_take(ranges[i], axes[i]->high);
        if (fmax(fabs(ranges[i]->low), fabs(ranges[i]->high)) > VALUE_MAX)
            return err_set(err, ST_RANGE, "chart: panel %" PRIu32 ": %s beyond %.0e", index,
                           i ? "a value" : "an x", VALUE_MAX);
    }
    return ST_OK;
}

static enum status plot_scale(struct plot *out, const struct chart_panel *p, uint32_t index,
                              struct err *err) {
    struct range x, y;
    enum status st = panel_ranges(&x, &y, p, index, err);
    if (st != ST_OK) return st;
    out->panel = p;
    out->x = scale_over(&p->x, x.low, x.high, 0, 0);
    bool stands = false; /* bars stand on zero */
    for (uint32_t k = 0; k < p->series_count; k++) stands |= p->series[k].kind == CHART_BARS;
    /* Air above and below, but for an end the caller set. */
    out->y =
        scale_over(&p->y, y.low, y.high, y.low == p->y.low || (stands && y.low == 0) ? 0 : 0.04,
                   y.high == p->y.high ? 0 : 0.04);
    return ST_OK;
}

double chart_text_width(const char *s) {
    return (double)text_letters(s) * LETTER_WIDTH_TENTHS / 10;
}

static size_t letters_of(double width, int letter_tenths) {
    return width > 0 ? (size_t)(width * 10 / letter_tenths) : 0;
}

size_t chart_letters_in(double width) {
    return letters_of(width, LETTER_WIDTH_TENTHS);
}

void chart_add_text(struct text *t, double x, double y, const char *attributes, const char *s,
                    size_t letters_max) {
    text_add(t, "<text x=\"%.2f\" y=\"%.2f\"%s>", x, y, attributes);
    text_add_escaped(t, s, letters_max);
    text_add(t, "</text>\n");
}

static void add_swatch(struct text *t, const struct chart_series *s, double x, double y) {
    double middle = x + LEGEND_SWATCH / 2.0;
    switch (s->kind) {
    case CHART_BAND:
    case CHART_BARS:
        text_add(t, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%d\" height=\"10\" class=\"%s f%d\"/>\n",
                 x, y - 9, LEGEND_SWATCH, s->kind == CHART_BAND ? "q" : "o", (int)s->colour);
        return;
    case CHART_SPANS:
        text_add(t, "<path d=\"M%.2f %.2fv12M%.2f %.2fh6M%.2f %.2fh6\" class=\"w s%d\"/>\n", middle,
                 y - 10, middle - 3, y - 10, middle - 3, y + 2, (int)s->colour);
        return;
    case CHART_POINTS:
        text_add(t, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"4\" class=\"p s%d\"/>\n", middle, y - 4,
                 (int)s->colour);
        return;
    case CHART_LINE:
    case CHART_DASHED:
        text_add(t, "<path d=\"M%.2f %.2fh%d\" class=\"l%s s%d\"/>\n", x, y - 4, LEGEND_SWATCH,
                 s->kind == CHART_DASHED ? " d" : "", (int)s->colour);
        return;
    }
}

/* True if an earlier series of the chart has the name already. */
static bool name_seen(const struct chart *c, uint32_t panel, uint32_t series) {
    const char *name = c->panels[panel].series[series].name;
    for (uint32_t p = 0; p <= panel; p++) {
        uint32_t end = p == panel ? series : c->panels[p].series_count;
        for (uint32_t k = 0; k < end; k++) {
            const char *other = c->panels[p].series[k].name;
            if (other && strcmp(other, name) == 0) return true;
        }
    }
    return false;
}

/* Rows of names from y down; t NULL: measured only. Returns where it ends. */
static double add_legend(struct text *t, const struct chart *c, double y, double width) {
    double x = MARGIN;
    bool any = false;
    for (uint32_t p = 0; p < c->panel_count; p++) {
        for (uint32_t k = 0; k < c->panels[p].series_count; k++) {
            const struct chart_series *s = &c->panels[p].series[k];
            if (!s->name || name_seen(c, p, k)) continue;
            double room = width - 2 * MARGIN - LEGEND_SWATCH - 6;
            double entry = LEGEND_SWATCH + 6 + fmin(chart_text_width(s->name), room);
            if (any && x + entry > width - MARGIN) {
                x = MARGIN;
                y += LINE_HEIGHT;
            }
            if (t) {
                add_swatch(t, s, x, y + 12);
                chart_add_text(t, x + LEGEND_SWATCH + 6, y + 12, "", s->name,
                               chart_letters_in(room));
            }
            x += entry + LEGEND_GAP;
            any = true;
        }
    }
    return any ? y + LINE_HEIGHT : y;
}

/* One path through all drawn points, begun anew behind each gap. */
static void add_line(struct text *t, const struct plot *p, const struct chart_series *s) {
    text_add(t, "<path class=\"l%s s%d\" d=\"", s->kind == CHART_DASHED ? " d" : "",
             (int)s->colour);
    bool drawing = false;
    size_t run = 0;
    for (size_t i = 0; i <= s->count; i++) {
        bool drawn = i < s->count && point_drawn(p->panel, s, i);
        if (drawn) {
            text_add(t, "%s%.2f %.2f", drawing ? "L" : "M", scale_at(&p->x, series_x(s, i)),
                     scale_at(&p->y, s->y[i]));
            run++;
        } else {
            if (run == 1) text_add(t, "h0"); /* a point alone is a dot */
            run = 0;
        }
        drawing = drawn;
    }
    text_add(t, "\"/>\n");
}

/* The run [from, to) of drawn points: along the upper edge, back along the lower. */
static void add_band_run(struct text *t, const struct plot *p, const struct chart_series *s,
                         size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        text_add(t, "%s%.2f %.2f", i == from ? "M" : "L", scale_at(&p->x, series_x(s, i)),
                 scale_at(&p->y, s->y_high[i]));
    for (size_t i = to; i > from; i--)
        text_add(t, "L%.2f %.2f", scale_at(&p->x, series_x(s, i - 1)),
                 scale_at(&p->y, s->y[i - 1]));
    text_add(t, "Z");
}

static void add_band(struct text *t, const struct plot *p, const struct chart_series *s) {
    text_add(t, "<path class=\"q f%d\" d=\"", (int)s->colour);
    for (size_t from = 0, to; from < s->count; from = to + 1) {
        for (to = from; to < s->count && point_drawn(p->panel, s, to);) to++;
        if (to > from) add_band_run(t, p, s, from, to);
    }
    text_add(t, "\"/>\n");
}

static void add_points(struct text *t, const struct plot *p, const struct chart_series *s) {
    for (size_t i = 0; i < s->count; i++)
        if (point_drawn(p->panel, s, i))
            text_add(t, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"4\" class=\"p s%d\"/>\n",
                     scale_at(&p->x, series_x(s, i)), scale_at(&p->y, s->y[i]), (int)s->colour);
}

static void add_spans(struct text *t, const struct plot *p, const struct chart_series *s) {
    enum { CAP = 6 };
    text_add(t, "<path class=\"w s%d\" d=\"", (int)s->colour);
    for (size_t i = 0; i < s->count; i++) {
        if (!point_drawn(p->panel, s, i)) continue;
        double x = scale_at(&p->x, series_x(s, i)), low = scale_at(&p->y, s->y[i]);
        double high = scale_at(&p->y, s->y_high[i]);
        double left = fmax(x - CAP / 2.0, p->box.left), right = fmin(x + CAP / 2.0, p->box.right);
        text_add(t, "M%.2f %.2fV%.2fM%.2f %.2fH%.2fM%.2f %.2fH%.2f", x, low, high, left, low, right,
                 left, high, right);
    }
    text_add(t, "\"/>\n");
}

static void add_bars(struct text *t, const struct plot *p, const struct chart_series *s) {
    static const double share = 0.9; /* of the step */
    double half = bar_half(s) * share;
    text_add(t, "<path class=\"o f%d\" d=\"", (int)s->colour);
    for (size_t i = 0; i < s->count; i++) {
        if (!point_drawn(p->panel, s, i)) continue;
        double x = series_x(s, i);
        text_add(t, "M%.2f %.2fH%.2fV%.2fH%.2fZ", scale_at(&p->x, x - half), scale_at(&p->y, 0),
                 scale_at(&p->x, x + half), scale_at(&p->y, s->y[i]), scale_at(&p->x, x - half));
    }
    text_add(t, "\"/>\n");
}

static void add_series(struct text *t, const struct plot *p, const struct chart_series *s) {
    switch (s->kind) {
    case CHART_LINE:
    case CHART_DASHED:
        add_line(t, p, s);
        return;
    case CHART_POINTS:
        add_points(t, p, s);
        return;
    case CHART_BAND:
        add_band(t, p, s);
        return;
    case CHART_SPANS:
        add_spans(t, p, s);
        return;
    case CHART_BARS:
        add_bars(t, p, s);
        return;
    }
}

static void add_axes(struct text *t, const struct plot *p) {
    const struct box *b = &p->box;
    for (uint32_t i = 0; i < p->y_ticks.count; i++) {
        double y = scale_at(&p->y, p->y_ticks.values[i]);
        text_add(t, "<path class=\"g\" d=\"M%.2f %.2fH%.2f\"/>\n", b->left, y, b->right);
        chart_add_text(t, b->left - 6, y + 4, " text-anchor=\"end\"", p->y_ticks.labels[i],
                       TICK_SIZE);
    }
    for (uint32_t i = 0; i < p->x_ticks.count; i++) {
        double x = scale_at(&p->x, p->x_ticks.values[i]);
        text_add(t, "<path class=\"x\" d=\"M%.2f %.2fv4\"/>\n", x, b->bottom);
        chart_add_text(t, x, b->bottom + 16, " text-anchor=\"middle\"", p->x_ticks.labels[i],
                       TICK_SIZE);
    }
    text_add(t, "<path class=\"x\" d=\"M%.2f %.2fH%.2f\"/>\n", b->left, b->bottom, b->right);
    if (p->panel->x.label)
        chart_add_text(t, b->right, b->bottom + 31, " text-anchor=\"end\"", p->panel->x.label,
                       chart_letters_in(b->right - b->left));
}

static void add_plot(struct text *t, const struct plot *p, double left) {
    const struct chart_panel *panel = p->panel;
    const struct box *b = &p->box;
    size_t letters = chart_letters_in(b->right - left);
    double y = b->top - PANEL_AIR;
    if (panel->y.label) {
        chart_add_text(t, left, y, "", panel->y.label, letters);
        y -= PANEL_HEAD;
    }
    if (panel->title) chart_add_text(t, left, y, " class=\"n\"", panel->title, letters * 9 / 10);
    add_axes(t, p);
    if (scale_takes(&panel->x, panel->rule_x) && panel->rule_x >= p->x.low &&
        panel->rule_x <= p->x.high)
        text_add(t, "<path class=\"r\" d=\"M%.2f %.2fV%.2f\"/>\n", scale_at(&p->x, panel->rule_x),
                 b->top, b->bottom);
    for (uint32_t k = 0; k < panel->series_count; k++) add_series(t, p, &panel->series[k]);
}

struct layout {
    double width, height; /* of all */
    double panel_width, panel_height;
    double top, head, gutter; /* above the panels; above a panel's box; left of it */
    uint32_t columns;
};

static struct layout lay_out(const struct chart *c, const struct plot *plots) {
    struct layout l = {.columns = c->columns ? c->columns : c->panel_count == 1 ? 1 : 2};
    if (l.columns > c->panel_count) l.columns = c->panel_count;
    l.panel_width = l.columns == 1 ? 780 : l.columns == 2 ? 480 : 380;
    l.panel_height = c->panel_count == 1 ? 400 : 270;
    bool titled = false, labelled = false;
    for (uint32_t i = 0; i < c->panel_count; i++) {
        titled |= c->panels[i].title != NULL;
        labelled |= c->panels[i].y.label != NULL;
        for (uint32_t k = 0; k < plots[i].y_ticks.count; k++)
            l.gutter = fmax(l.gutter, chart_text_width(plots[i].y_ticks.labels[k]) + 10);
    }
    l.head = PANEL_HEAD * (titled + labelled) + PANEL_AIR;
    uint32_t rows = (c->panel_count + l.columns - 1) / l.columns;
    l.width = 2 * MARGIN + l.columns * l.panel_width + (l.columns - 1) * PANEL_GAP;
    l.top = MARGIN + (c->title ? TITLE_HEIGHT : 0) + (c->subtitle ? LINE_HEIGHT : 0);
    l.top = add_legend(NULL, c, l.top, l.width) + 4;
    l.height = l.top + rows * l.panel_height + (rows - 1) * 8 + MARGIN / 2.0;
    return l;
}

static void place(struct plot *p, const struct layout *l, double left, double top) {
    p->box = (struct box){left + l->gutter, top + l->head, left + l->panel_width,
                          top + l->panel_height - PANEL_FOOT};
    p->x.from = p->box.left;
    p->x.to = p->box.right;
    p->y.from = p->box.bottom;
    p->y.to = p->box.top;
}

void chart_open(struct text *t, double width, double height, const char *title,
                const char *subtitle) {
    double y = MARGIN, inner = width - 2 * MARGIN;
    text_add(t,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
             "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n",
             width, height, width, height);
    if (title) {
        text_add(t, "<title>");
        text_add_escaped(t, title, SIZE_MAX);
        text_add(t, "</title>\n");
    }
    text_add(t, "%s<rect class=\"b\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"/>\n", STYLE, width,
             height);
    if (title) {
        chart_add_text(t, MARGIN, y + 14, " class=\"h\"", title,
                       letters_of(inner, TITLE_LETTER_TENTHS));
        y += TITLE_HEIGHT;
    }
    if (subtitle) chart_add_text(t, MARGIN, y + 11, "", subtitle, chart_letters_in(inner));
}

static void add_chart(struct text *t, const struct chart *c, struct plot *plots) {
    /* Value ticks first: how wide their labels are decides where a panel begins. */
    uint32_t down = (c->panel_count == 1 ? 300 : 180) / TICK_HEIGHT;
    for (uint32_t i = 0; i < c->panel_count; i++)
        ticks_over(&plots[i].y_ticks, &plots[i].y, down, &c->panels[i].y);
    struct layout l = lay_out(c, plots);
    chart_open(t, l.width, l.height, c->title, c->subtitle);
    double y = MARGIN + (c->title ? TITLE_HEIGHT : 0) + (c->subtitle ? LINE_HEIGHT : 0);
    add_legend(t, c, y, l.width);
    for (uint32_t i = 0; i < c->panel_count; i++) {
        uint32_t row = i / l.columns, column = i % l.columns;
        double left = MARGIN + column * (l.panel_width + PANEL_GAP);
        double top = l.top + row * (l.panel_height + 8);
        place(&plots[i], &l, left, top);
        uint32_t each = c->panels[i].x.time ? TICK_DATE_WIDTH : TICK_WIDTH;
        ticks_over(&plots[i].x_ticks, &plots[i].x, (uint32_t)(l.panel_width - l.gutter) / each,
                   &c->panels[i].x);
        add_plot(t, &plots[i], left);
    }
    text_add(t, "</svg>\n");
}

enum status chart_svg(char **out, size_t *size, const struct chart *chart, struct err *err) {
    *out = NULL;
    *size = 0;
    if (!chart->panels || !chart->panel_count || chart->panel_count > CHART_PANELS_MAX)
        return err_set(err, ST_RANGE, "chart: %" PRIu32 " panels, 1 to %d", chart->panel_count,
                       CHART_PANELS_MAX);
    struct plot *plots = calloc(chart->panel_count, sizeof *plots);
    if (!plots) return err_set(err, ST_NO_MEMORY, "chart: %" PRIu32 " panels", chart->panel_count);
    enum status st = ST_OK;
    for (uint32_t i = 0; i < chart->panel_count && st == ST_OK; i++)
        st = plot_scale(&plots[i], &chart->panels[i], i, err);
    struct text t = {0};
    if (st == ST_OK) {
        add_chart(&t, chart, plots);
        if (t.failed) st = err_set(err, ST_NO_MEMORY, "chart: %zu bytes", t.capacity * 2);
    }
    free(plots);
    if (st != ST_OK) {
        free(t.data);
        return st;
    }
    *out = t.data;
    *size = t.size;
    return ST_OK;
}
