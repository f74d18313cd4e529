#include "forecast/chart.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "chart/chart.h"
#include "ml/nn/file.h"

static enum status save(const char *path, const struct chart *chart, struct err *err) {
    char *svg;
    size_t size;
    enum status st = chart_svg(&svg, &size, chart, err);
    if (st != ST_OK) return err_wrap(err, st, "%s", path);
    st = nn_file_replace(path, &(struct nn_file_part){svg, size}, 1, err);
    free(svg);
    return st;
}

/* One column of looks, and whether any of it is a number. */
static bool looks_column(double *out, const struct trainer_look *looks, uint32_t count,
                         double (*field)(const struct trainer_look *look)) {
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = field(&looks[i]);
        any |= isfinite(out[i]) && out[i] > 0;
    }
    return any;
}

static double look_epoch(const struct trainer_look *look) {
    return look->epoch;
}
static double look_step(const struct trainer_look *look) {
    return (double)look->step;
}
static double look_train(const struct trainer_look *look) {
    return look->train_loss;
}
static double look_valid(const struct trainer_look *look) {
    return look->valid_loss;
}

/* True if each look ended another epoch. */
static bool looks_are_epochs(const struct trainer_look *looks, uint32_t count) {
    for (uint32_t i = 1; i < count; i++)
        if (looks[i].epoch <= looks[i - 1].epoch) return false;
    return true;
}

static enum status save_losses(const char *path, const char *title, const char *loss_label,
                               const struct trainer_look *looks, uint32_t count, uint32_t best,
                               double *columns, struct err *err) {
    double *x = columns, *train = x + count, *valid = train + count;
    bool epochs = looks_are_epochs(looks, count);
    looks_column(x, looks, count, epochs ? look_epoch : look_step);
    bool has_train = looks_column(train, looks, count, look_train);
    bool has_valid = looks_column(valid, looks, count, look_valid);

    char name[96], subtitle[96];
    double best_loss = has_valid ? valid[best] : train[best];
    snprintf(name, sizeof name, "best look: %s %.0f, %.4f", epochs ? "epoch" : "step", x[best],
             best_loss);
    snprintf(subtitle, sizeof subtitle, "%" PRIu32 " looks, %" PRIu64 " steps", count,
             looks[count - 1].step);
    struct chart_series series[3];
    uint32_t n = 0;
    if (has_train)
        series[n++] =
            (struct chart_series){"training", CHART_LINE, CHART_BLUE, x, train, NULL, count};
    if (has_valid)
        series[n++] =
            (struct chart_series){"validation", CHART_LINE, CHART_ORANGE, x, valid, NULL, count};
    if (isfinite(best_loss) && best_loss > 0)
        series[n++] = (struct chart_series){name,
                                            CHART_POINTS,
                                            has_valid ? CHART_ORANGE : CHART_BLUE,
                                            x + best,
                                            has_valid ? valid + best : train + best,
                                            NULL,
                                            1};
    struct chart_panel panel = chart_panel_defaults();
    panel.x.label = epochs ? "epoch" : "step";
    panel.x.whole = true;
    panel.y.label = loss_label;
    panel.y.log = true;
    panel.series = series;
    panel.series_count = n;
    struct chart chart = {.title = title, .subtitle = subtitle, .panels = &panel, .panel_count = 1};
    return save(path, &chart, err);
}

enum status forecast_chart_losses(const char *path, const char *title, const char *loss_label,
                                  const struct trainer_look *looks, uint32_t count, uint32_t best,
                                  struct err *err) {
    if (!count || best >= count)
        return err_set(err, ST_RANGE, "%s: look %" PRIu32 " of %" PRIu32, path, best, count);
    double *columns = calloc(count, 3 * sizeof *columns);
    if (!columns) return err_set(err, ST_NO_MEMORY, "%s: %" PRIu32 " looks", path, count);
    enum status st = save_losses(path, title, loss_label, looks, count, best, columns, err);
    free(columns);
    return st;
}

enum { WINDOW_SERIES = 5 };

/* A panel's lines: history behind it, 0 the last value seen, the horizon in front. */
struct lines {
    struct chart_series series[WINDOW_SERIES];
    uint32_t count;
    double *x;           /* (shown + horizon) */
    double *persistence; /* (1 + horizon) */
};

static void add_lines(struct lines *l, const struct forecast_windows *w,
                      const struct forecast_window *window, size_t shown) {
    size_t horizon = window->horizon, length = shown + horizon;
    const double *history = window->history + (window->history_count - shown);
    for (size_t i = 0; i < length; i++) l->x[i] = (double)i - (double)(shown - 1);
    for (size_t i = 0; i <= horizon; i++) l->persistence[i] = history[shown - 1];
    const double *ahead = l->x + shown;
    uint32_t n = 0;
    if (w->band_name && window->low && window->high)
        l->series[n++] = (struct chart_series){w->band_name, CHART_BAND,   CHART_ORANGE, ahead,
                                               window->low,  window->high, horizon};
    l->series[n++] =
        (struct chart_series){"history", CHART_LINE, CHART_BLUE, l->x, history, NULL, shown};
    l->series[n++] = (struct chart_series){"persistence",  CHART_DASHED, CHART_GREY, ahead - 1,
                                           l->persistence, NULL,         horizon + 1};
    if (window->truth)
        l->series[n++] = (struct chart_series){"truth",       CHART_LINE, CHART_INK, ahead,
                                               window->truth, NULL,       horizon};
    l->series[n++] = (struct chart_series){"forecast",       CHART_LINE, CHART_ORANGE, ahead,
                                           window->forecast, NULL,       horizon};
    l->count = n;
}

static size_t history_shown(const struct forecast_windows *w,
                            const struct forecast_window *window) {
    size_t most = w->history_shown ? w->history_shown : 2 * window->horizon;
    return most < window->history_count ? most : window->history_count;
}

static enum status windows_check(const char *path, const struct forecast_windows *w,
                                 size_t *numbers, struct err *err) {
    *numbers = 0;
    if (!w->count || w->count > CHART_PANELS_MAX)
        return err_set(err, ST_RANGE, "%s: %" PRIu32 " windows, 1 to %d", path, w->count,
                       CHART_PANELS_MAX);
    for (uint32_t i = 0; i < w->count; i++) {
        const struct forecast_window *window = &w->windows[i];
        if (!window->history || !window->history_count || !window->forecast || !window->horizon)
            return err_set(err, ST_RANGE, "%s: window %" PRIu32 " has no %s", path, i,
                           window->history_count && window->history ? "horizon" : "history");
        *numbers += history_shown(w, window) + 2 * window->horizon + 1;
    }
    return ST_OK;
}

enum status forecast_chart_windows(const char *path, const struct forecast_windows *windows,
                                   struct err *err) {
    size_t numbers;
    enum status st = windows_check(path, windows, &numbers, err);
    if (st != ST_OK) return st;
    double *memory = calloc(numbers, sizeof *memory), *next = memory;
    struct lines *lines = calloc(windows->count, sizeof *lines);
    struct chart_panel *panels = calloc(windows->count, sizeof *panels);
    if (memory && lines && panels) {
        for (uint32_t i = 0; i < windows->count; i++) {
            const struct forecast_window *window = &windows->windows[i];
            size_t shown = history_shown(windows, window);
            lines[i].x = next;
            lines[i].persistence = next + shown + window->horizon;
            next = lines[i].persistence + window->horizon + 1;
            add_lines(&lines[i], windows, window, shown);
            panels[i] = chart_panel_defaults();
            panels[i].title = window->title;
            panels[i].x.label = windows->step_label;
            panels[i].x.whole = true;
            panels[i].y.label = windows->value_label;
            panels[i].rule_x = 0;
            panels[i].series = lines[i].series;
            panels[i].series_count = lines[i].count;
        }
        st = save(path,
                  &(struct chart){.title = windows->title,
                                  .subtitle = windows->subtitle,
                                  .panels = panels,
                                  .panel_count = windows->count},
                  err);
    } else {
        st = err_set(err, ST_NO_MEMORY, "%s: %" PRIu32 " windows", path, windows->count);
    }
    free(memory);
    free(lines);
    free(panels);
    return st;
}
