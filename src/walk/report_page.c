/* The report as one HTML page: style and pictures are in it, nothing is fetched. The words are the Markdown's tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "chart/chart.h"
#include "walk/report.h"

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--ink:#1f2328;--soft:#57606a;--line:#d8dee4;--ground:#f6f8fa;"
    "--card:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;"
    "--ground:#0d1117;--card:#14181d}}\n"
    "body{margin:0 auto;padding:24px 18px 60px;max-width:1180px;background:var(--ground);"
    "color:var(--ink);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:26px;margin:0 0 8px}h2{font-size:20px;margin:32px 0 8px}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;margin:8px 0;background:var(--card);"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{border:1px solid var(--line);padding:4px 9px;text-align:right;white-space:nowrap}"
    "th{color:var(--soft);font-weight:600}\n"
    "th:first-child,td:first-child{text-align:left}\n"
    "svg{display:block;max-width:100%;height:auto;margin:12px 0}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);padding:8px 12px;"
    "border:1px solid var(--line)}\n"
    "</style>\n";

/* ---- Markdown's lines as HTML: titles, tables, lists, code, words; what this program writes, no more ---- */

static void inline_words(struct text *t, const char *s, size_t n) {
    bool code = false, strong = false;
    for (size_t i = 0; i < n;) {
        size_t k = i;
        while (k < n && s[k] != '`' && !(s[k] == '*' && k + 1 < n && s[k + 1] == '*')) k++;
        char part[1024];
        snprintf(part, sizeof part, "%.*s", (int)(k - i), s + i);
        text_add_escaped(t, part, SIZE_MAX);
        if (k < n && s[k] == '`') {
            text_add(t, code ? "</code>" : "<code>");
            code = !code;
            k++;
        } else if (k < n) {
            text_add(t, strong ? "</strong>" : "<strong>");
            strong = !strong;
            k += 2;
        }
        i = k;
    }
    if (code) text_add(t, "</code>");
    if (strong) text_add(t, "</strong>");
}

static void table_row(struct text *t, const char *s, size_t n, bool head) {
    text_add(t, "<tr>");
    for (size_t i = 1; i < n;) { /* behind the first bar */
        size_t k = i;
        while (k < n && s[k] != '|') k++;
        size_t a = i, b = k;
        while (a < b && s[a] == ' ') a++;
        while (b > a && s[b - 1] == ' ') b--;
        if (k < n) {
            text_add(t, head ? "<th>" : "<td>");
            inline_words(t, s + a, b - a);
            text_add(t, head ? "</th>" : "</td>");
        }
        i = k + 1;
    }
    text_add(t, "</tr>\n");
}

enum block { BLOCK_NONE, BLOCK_TABLE, BLOCK_LIST, BLOCK_CODE };

static enum block block_of(const char *s, size_t n) {
    if (n && s[0] == '|') return BLOCK_TABLE;
    if (n > 1 && s[0] == '*' && s[1] == ' ') return BLOCK_LIST;
    return n > 4 && memcmp(s, "    ", 4) == 0 ? BLOCK_CODE : BLOCK_NONE;
}

static void block_change(struct text *t, enum block from, enum block to) {
    static const char *const ends[] = {"", "</table></div>\n", "</ul>\n", "</pre>\n"};
    static const char *const begins[] = {"", "<div class=\"wide\"><table>\n", "<ul>\n", "<pre>"};
    text_add(t, "%s%s", ends[from], begins[to]);
}

static void write_line(struct text *t, enum block block, const char *s, size_t n, bool first) {
    switch (block) {
    case BLOCK_TABLE:
        if (n > 1 && s[1] != '-') table_row(t, s, n, first);
        return;
    case BLOCK_LIST:
        text_add(t, "<li>");
        inline_words(t, s + 2, n - 2);
        text_add(t, "</li>\n");
        return;
    case BLOCK_CODE:
        inline_words(t, s + 4, n - 4);
        text_add(t, "\n");
        return;
    case BLOCK_NONE:
        break;
    }
    if (n == 0) return;
    int level = s[0] == '#' ? n > 1 && s[1] == '#' ? 2 : 1 : 0;
    text_add(t, level == 1 ? "<h1>" : level == 2 ? "<h2>" : "<p>");
    inline_words(t, s + level + (level > 0), n - (size_t)level - (level > 0));
    text_add(t, level == 1 ? "</h1>\n" : level == 2 ? "</h2>\n" : "</p>\n");
}

/* Lines of [from, to). */
static void write_words(struct text *t, const char *from, const char *to) {
    enum block block = BLOCK_NONE;
    for (const char *at = from; at < to;) {
        const char *end = memchr(at, '\n', (size_t)(to - at));
        size_t n = (size_t)((end ? end : to) - at);
        enum block next = block_of(at, n);
        bool first = next != block;
        if (first) block_change(t, block, next);
        block = next;
        write_line(t, block, at, n, first);
        at += n + 1;
    }
    block_change(t, block, BLOCK_NONE);
}

/* ---- pictures ---- */

static enum status draw(struct text *t, const struct chart *chart, struct err *err) {
    char *svg;
    size_t size;
    enum status st = chart_svg(&svg, &size, chart, err);
    if (st == ST_RANGE) return ST_OK; /* nothing there to be drawn */
    if (st != ST_OK) return st;
    text_add_raw(t, svg, size);
    free(svg);
    return ST_OK;
}

static const enum chart_colour colours[] = {CHART_BLUE,   CHART_ORANGE, CHART_GREEN, CHART_GREY,
                                            CHART_PURPLE, CHART_BROWN,  CHART_CYAN,  CHART_INK};

static enum status draw_money(struct text *t, const struct walk_report *r, struct err *err) {
    struct chart_series s[WALK_VARIANTS_MAX];
    size_t days = r->variants[0].days.count;
    double *y = calloc((days + 1) * WALK_VARIANTS_MAX, sizeof *y);
    if (!y) return err_set(err, ST_NO_MEMORY, "%zu days: no memory", days);
    for (uint32_t i = 0; i < r->variant_count; i++) {
        const struct walk_variant *v = &r->variants[i];
        double *line = y + i * (days + 1);
        for (size_t k = 0; k < days; k++) line[k + 1] = line[k] + 100 * v->days.returns[k];
        s[i] =
            (struct chart_series){.name = v->name,
                                  .kind = strncmp(v->name, "rule:", 5) ? CHART_LINE : CHART_DASHED,
                                  .colour = colours[i % (sizeof colours / sizeof *colours)],
                                  .y = line,
                                  .count = days + 1};
    }
    struct chart_panel panel = chart_panel_defaults();
    char from[TSTAMP_TEXT_SIZE], label[96];
    snprintf(label, sizeof label, "days since %.10s", tstamp_format(from, r->from_ns));
    panel.series = s;
    panel.series_count = r->variant_count;
    panel.x.label = label;
    panel.y.label = "net, % (daily returns added)";
    const struct chart chart = {
        .title = "What it earned, beside the others", .panels = &panel, .panel_count = 1};
    enum status st = draw(t, &chart, err);
    free(y);
    return st;
}

static enum status draw_reliability(struct text *t, const struct walk_report *r, struct err *err) {
    static const double diagonal[] = {0, 1};
    struct chart_panel panels[WALK_SUBJECT_COUNT];
    struct chart_series s[WALK_SUBJECT_COUNT][2]; /* of each panel */
    double x[WALK_SUBJECT_COUNT][RELIABILITY_BINS], y[WALK_SUBJECT_COUNT][RELIABILITY_BINS];
    uint32_t n = 0;
    for (uint32_t k = 0; k < WALK_SUBJECT_COUNT; k++) {
        size_t points = 0;
        for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
            struct reliability_row row = reliability_row(&r->subjects[k].all.reliability, b);
            if (row.count < 20) continue; /* too few to be a frequency */
            x[k][points] = row.p_mean;
            y[k][points++] = row.hit_share;
        }
        if (points == 0) continue;
        s[k][0] = (struct chart_series){.name = "perfect",
                                        .kind = CHART_DASHED,
                                        .colour = CHART_GREY,
                                        .x = diagonal,
                                        .y = diagonal,
                                        .count = 2};
        s[k][1] = (struct chart_series){.name = "best label",
                                        .kind = CHART_POINTS,
                                        .colour = CHART_BLUE,
                                        .x = x[k],
                                        .y = y[k],
                                        .count = points};
        panels[n] = chart_panel_defaults();
        panels[n].title = walk_subject_text((enum walk_subject)k);
        panels[n].series = s[k];
        panels[n].series_count = 2;
        panels[n].x.label = "probability said";
        panels[n].y.label = "share that came";
        n++;
    }
    if (n == 0) return ST_OK;
    const struct chart chart = {
        .title = "Said and come true", .panels = panels, .panel_count = n, .columns = 3};
    return draw(t, &chart, err);
}

/* One panel of lines over the months; those without a value anywhere are left out. */
struct month_lines {
    struct chart_series series[WALK_SUBJECT_COUNT];
    double y[WALK_SUBJECT_COUNT][WALK_MONTHS_MAX];
    uint32_t count, drawn;
};

static double *line_begin(struct month_lines *l, const char *name, enum chart_kind kind,
                          enum chart_colour colour, uint32_t months) {
    l->series[l->drawn] = (struct chart_series){
        .name = name, .kind = kind, .colour = colour, .y = l->y[l->drawn], .count = months};
    l->count = months;
    return l->y[l->drawn];
}

static void line_end(struct month_lines *l) {
    bool any = false;
    for (uint32_t m = 0; m < l->count; m++) any = any || isfinite(l->y[l->drawn][m]);
    l->drawn += any;
}

static enum status lines_draw(struct text *t, const struct month_lines *l, const char *title,
                              const char *label, struct err *err) {
    struct chart_panel panel = chart_panel_defaults();
    panel.series = l->series;
    panel.series_count = l->drawn;
    panel.x.label = "month of the window";
    panel.x.whole = true;
    panel.y.label = label;
    const struct chart chart = {.title = title, .panels = &panel, .panel_count = 1};
    return l->drawn ? draw(t, &chart, err) : ST_OK;
}

static enum status draw_months(struct text *t, const struct walk_report *r, struct err *err) {
    struct month_lines ic = {0}, weights = {0}, coverage = {0};
    for (uint32_t k = 0; k < WALK_SUBJECT_COUNT; k++) {
        double *y = line_begin(&ic, walk_subject_text((enum walk_subject)k), CHART_LINE, colours[k],
                               r->month_count);
        for (uint32_t m = 0; m < r->month_count; m++) y[m] = r->months[m].of[k].ic;
        line_end(&ic);
        if (k >= MODEL_COUNT) continue;
        y = line_begin(&weights, walk_subject_text((enum walk_subject)k), CHART_LINE, colours[k],
                       r->month_count);
        for (uint32_t m = 0; m < r->month_count; m++) y[m] = r->months[m].weights[k];
        line_end(&weights);
    }
    double *held = line_begin(&coverage, "held", CHART_LINE, CHART_INK, r->month_count);
    for (uint32_t m = 0; m < r->month_count; m++) {
        const struct walk_coverage *c = &r->months[m].coverage;
        held[m] = c->given ? 100 * (double)c->inside / (double)c->given : (double)NAN;
    }
    line_end(&coverage);
    double *nominal = line_begin(&coverage, "nominal", CHART_DASHED, CHART_GREY, r->month_count);
    for (uint32_t m = 0; m < r->month_count; m++) nominal[m] = 100 * (1 - r->alpha);
    line_end(&coverage);
    enum status st =
        lines_draw(t, &ic, "Rank correlation", "IC, mean over the month's closes", err);
    if (st == ST_OK) st = lines_draw(t, &weights, "Weights", "mean weight of a vote", err);
    if (st == ST_OK) st = lines_draw(t, &coverage, "Interval", "% of returns inside", err);
    return st;
}

/* ---- the page ---- */

/* Where the section with that title begins; the end of the text if there is none. */
static const char *section(const struct text *t, const char *title) {
    const char *at = strstr(t->data, title);
    return at ? at : t->data + t->size;
}

enum status walk_report_page(struct text *out, const struct walk_report *r, struct err *err) {
    struct text words = {0};
    walk_report_markdown(&words, r);
    if (words.failed) {
        free(words.data);
        return err_set(err, ST_NO_MEMORY, "report: out of memory");
    }
    const char *chance = section(&words, "\n## How much of it"),
               *models = section(&words, "\n## Models"),
               *last = section(&words, "\nEvery figure is explained");
    text_add(out,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
             "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>Walk-forward</title>\n%s</head>\n<body>\n",
             style);
    write_words(out, words.data, chance);
    enum status st = draw_money(out, r, err);
    write_words(out, chance, models);
    if (st == ST_OK) st = draw_reliability(out, r, err);
    if (st == ST_OK) st = draw_months(out, r, err);
    write_words(out, models, last);
    text_add(out, "</body>\n</html>\n");
    free(words.data);
    if (st == ST_OK && out->failed) st = err_set(err, ST_NO_MEMORY, "report: out of memory");
    return st;
}
