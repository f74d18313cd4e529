/* The report's pictures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/train_report_internal.h"
#include "chart/chart.h"
#include "chart/text.h"

enum { SUBTITLE_SIZE = 200, RANKS_SHOWN = 20, VALUE_SIZE = 24 };

static const enum chart_colour colours[TRAIN_ENTRIES] = {CHART_BLUE,   CHART_ORANGE, CHART_GREEN,
                                                         CHART_PURPLE, CHART_INK,    CHART_INK,
                                                         CHART_GREY,   CHART_BROWN};

static enum status picture_add(struct text *t, const struct chart *chart, struct err *err) {
    char *svg;
    size_t size;
    enum status st = chart_svg(&svg, &size, chart, err);
    if (st == ST_OK) text_add_raw(t, svg, size);
    free(svg);
    return st;
}

/* ---- reliability ---- */

struct table {
    double said[RELIABILITY_BINS], came[RELIABILITY_BINS];
    double low[RELIABILITY_BINS], high[RELIABILITY_BINS];
    char title[64];
};

static void table_fill(struct table *out, const struct reliability *from, const char *name) {
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
        struct reliability_row row = reliability_row(from, b);
        bool known = row.count > 0;
        out->said[b] = known ? row.p_mean : (double)NAN;
        out->came[b] = known ? row.hit_share : (double)NAN;
        out->low[b] = known ? row.hit_low : (double)NAN;
        out->high[b] = known ? row.hit_high : (double)NAN;
    }
    snprintf(out->title, sizeof out->title, "%s: ECE %.2f %%, by chance %.2f %%", name,
             100 * reliability_ece(from), 100 * reliability_ece_chance(from));
}

enum status train_picture_reliability(struct text *t, const struct train_scores *s,
                                      const char *title, struct err *err) {
    enum { PANELS = 1 + LABEL_COUNT, SERIES = 3 };
    static const double diagonal[] = {0, 1};
    struct table tables[PANELS];
    struct chart_series series[PANELS][SERIES];
    struct chart_panel panels[PANELS];
    table_fill(&tables[0], &s->best, "best label");
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        table_fill(&tables[l + 1], &s->label[l], label_text((enum label)l));
    for (int k = 0; k < PANELS; k++) {
        struct table *p = &tables[k];
        series[k][0] = (struct chart_series){.name = "said = came",
                                             .kind = CHART_DASHED,
                                             .colour = CHART_GREY,
                                             .x = diagonal,
                                             .y = diagonal,
                                             .count = 2};
        series[k][1] = (struct chart_series){.name = "95 % interval (Wilson)",
                                             .kind = CHART_SPANS,
                                             .colour = CHART_BLUE,
                                             .x = p->said,
                                             .y = p->low,
                                             .y_high = p->high,
                                             .count = RELIABILITY_BINS};
        series[k][2] = (struct chart_series){.name = "share that came true",
                                             .kind = CHART_POINTS,
                                             .colour = CHART_BLUE,
                                             .x = p->said,
                                             .y = p->came,
                                             .count = RELIABILITY_BINS};
        panels[k] = chart_panel_defaults();
        panels[k].title = p->title;
        panels[k].x.label = "probability said";
        panels[k].y.label = "share that came true";
        panels[k].y.low = 0;
        panels[k].y.high = 1;
        panels[k].series = series[k];
        panels[k].series_count = SERIES;
    }
    return picture_add(t, &(struct chart){.title = title, .panels = panels, .panel_count = PANELS},
                       err);
}

/* ---- confidences ---- */

enum status train_picture_confidences(struct text *t, const struct train_scores *s,
                                      const char *title, struct err *err) {
    double x[TRAIN_BINS], y[TRAIN_BINS];
    char subtitle[SUBTITLE_SIZE];
    static const double least = 1.0 / LABEL_COUNT;
    for (int b = 0; b < TRAIN_BINS; b++) {
        x[b] = least + (1 - least) * (b + 0.5) / TRAIN_BINS;
        y[b] = 100 * (double)s->histogram[b] / (double)s->rows;
    }
    snprintf(subtitle, sizeof subtitle,
             "%llu different values in %llu rows, %.3f to %.3f, mean %.3f, deviation %.4f",
             (unsigned long long)s->distinct, (unsigned long long)s->rows, s->p_min, s->p_max,
             s->p_mean, s->p_deviation);
    struct chart_series bars = {.kind = CHART_BARS, .x = x, .y = y, .count = TRAIN_BINS};
    struct chart_panel panel = chart_panel_defaults();
    panel.x.label = "probability of the best label";
    panel.y.label = "rows, %";
    panel.series = &bars;
    panel.series_count = 1;
    return picture_add(
        t,
        &(struct chart){.title = title, .subtitle = subtitle, .panels = &panel, .panel_count = 1},
        err);
}

/* ---- learning curve ---- */

enum status train_picture_curve(struct text *t, const struct train_report *r, uint32_t kind,
                                struct err *err) {
    const struct train_model *m = &r->models[kind];
    const struct train_curve *c = &m->curve;
    bool is_network = served_model_reads_history(m->model);
    uint32_t best = served_model_report(m->model)->rounds;
    struct chart_series lines[] = {{.name = "training", .y = c->train, .colour = CHART_BLUE},
                                   {.name = "validation", .y = c->valid, .colour = CHART_ORANGE}};
    for (int k = 0; k < 2; k++) {
        lines[k].kind = CHART_LINE;
        lines[k].x = c->at;
        lines[k].count = c->count;
    }
    char subtitle[SUBTITLE_SIZE];
    snprintf(subtitle, sizeof subtitle, "%s; the %s that stay end at the upright line",
             is_network ? "pinball loss of the path + half the labels' cross-entropy"
                        : "log-loss of the labels",
             is_network ? "weights" : "trees");
    struct chart_panel panel = chart_panel_defaults();
    panel.x.label = is_network ? "step" : "round";
    panel.y.label = "loss";
    panel.series = lines;
    panel.series_count = 2;
    if (best > 0 && best <= c->count) panel.rule_x = c->at[best - 1];
    return picture_add(
        t,
        &(struct chart){
            .title = "Learning curve", .subtitle = subtitle, .panels = &panel, .panel_count = 1},
        err);
}

/* ---- importance ---- */

enum status train_picture_importance(struct text *t, const struct train_report *r, uint32_t kind,
                                     struct err *err) {
    const struct train_importance *imp = &r->models[kind].importance;
    uint32_t shown = imp->count < RANKS_SHOWN ? imp->count : RANKS_SHOWN;
    const char *names[RANKS_SHOWN], *texts[RANKS_SHOWN];
    char values[RANKS_SHOWN][VALUE_SIZE], subtitle[SUBTITLE_SIZE];
    for (uint32_t i = 0; i < shown; i++) {
        names[i] = feature_at(imp->columns[i])->name;
        if (imp->by_gain)
            snprintf(values[i], VALUE_SIZE, "%.2f %%", 100 * imp->values[i]);
        else
            snprintf(values[i], VALUE_SIZE, "%+.5f", imp->values[i]);
        texts[i] = values[i];
    }
    if (imp->by_gain)
        snprintf(subtitle, sizeof subtitle, "share of the splits' gain; %u of %u columns in use",
                 imp->count, feature_count());
    else
        snprintf(subtitle, sizeof subtitle,
                 "rise of the log-loss when a column's windows go to other rows; %u test rows",
                 imp->rows);
    char *svg;
    size_t size;
    struct chart_ranking ranking = {.title = "Feature importance",
                                    .subtitle = subtitle,
                                    .names = names,
                                    .values = imp->values,
                                    .texts = texts,
                                    .count = shown,
                                    .colour = colours[kind]};
    enum status st = chart_ranking_svg(&svg, &size, &ranking, err);
    if (st == ST_OK) text_add_raw(t, svg, size);
    free(svg);
    return st;
}

/* ---- equity ---- */

static struct chart_series equity_line(const struct train_report *r, uint32_t entry) {
    return (struct chart_series){.name = train_entry_title(entry),
                                 .kind = entry < TRAIN_POOL_ALL ? CHART_LINE : CHART_DASHED,
                                 .colour = colours[entry],
                                 .x = r->seconds,
                                 .y = r->trading[entry].equity,
                                 .count = r->points};
}

enum status train_picture_equity(struct text *t, const struct train_report *r, uint32_t entry,
                                 struct err *err) {
    struct chart_series lines[TRAIN_ENTRIES + 2];
    char subtitle[SUBTITLE_SIZE];
    uint32_t count = 0;
    const struct train_trading *own = entry < TRAIN_ENTRIES ? &r->trading[entry] : NULL;
    if (own && own->shifts) {
        lines[count] = equity_line(r, entry);
        lines[count].name = "random entries at equal exposure, 5 to 95 %";
        lines[count].kind = CHART_BAND;
        lines[count].colour = CHART_GREY;
        lines[count].y = own->low;
        lines[count++].y_high = own->high;
    }
    for (uint32_t e = 0; e < TRAIN_ENTRIES; e++)
        if (r->trading[e].is_traded && (!own || e == entry || e >= TRAIN_MOMENTUM))
            lines[count++] = equity_line(r, e);
    snprintf(subtitle, sizeof subtitle,
             "test part, net of %.3f %% a side; sides held %u bars from their last confirmation",
             100 * r->cost_side, r->horizon_bars);
    struct chart_panel panel = chart_panel_defaults();
    panel.x.time = true;
    panel.y.label = "equity";
    panel.series = lines;
    panel.series_count = count;
    return picture_add(
        t,
        &(struct chart){.title = own ? "Out-of-time equity" : "Out-of-time equity of all",
                        .subtitle = subtitle,
                        .panels = &panel,
                        .panel_count = 1},
        err);
}
