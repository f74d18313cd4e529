/* Pictures of a run: how the losses went, some windows of the test part. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "forecast/chart.h"
#include "forecast/protocol_internal.h"

enum { PANELS = 4, TITLE_SIZE = 64 };

struct panel {
    char title[TITLE_SIZE];
    double *values; /* history (input), truth (horizon), forecast (horizon) */
};

static const char *const loss_labels[] = {"MSE", "MAE", "Huber", "quantile"};

static enum status picture_losses(const struct run *r, struct err *err) {
    const struct forecast_options *o = r->o;
    const struct trainer_report *t = &r->report->training;
    char path[FORECAST_PATH_SIZE], title[400], label[64];
    snprintf(title, sizeof title, "%s, %s, %u -> %u", forecast_kind_names[o->config.kind],
             r->report->dataset, o->input, o->horizon);
    snprintf(label, sizeof label, "%s, standardised", loss_labels[o->trainer.loss.kind]);
    enum status st = run_folder_path(path, &r->folder, "losses.svg", err);
    return st == ST_OK ? forecast_chart_losses(path, title, label, t->looks, t->look_count,
                                               t->best_look, err)
                       : st;
}

static void panel_title(char out[TITLE_SIZE], const struct forecast_dataset *d, size_t row) {
    char text[TSTAMP_TEXT_SIZE];
    if (d->dates && isfinite(d->dates[row]))
        snprintf(out, TITLE_SIZE, "%.16s",
                 tstamp_format(text, (int64_t)d->dates[row] * NS_PER_SECOND));
    else
        snprintf(out, TITLE_SIZE, "row %zu", row);
}

/* One channel of a window of the test part, in its own unit. y, index: scratch */
static void panel_fill(struct panel *p, const struct run *r, uint32_t channel, size_t window,
                       nn_real *y) {
    const struct forecast_cuts *cuts = &r->cuts[FORECAST_TEST];
    size_t input = cuts->input, horizon = cuts->horizon;
    size_t first = r->report->spans[FORECAST_TEST].begin + window, c = cuts->channels;
    size_t number = cuts->by_channel ? channel * cuts->windows + window : window;
    const uint32_t index = (uint32_t)number;
    struct nn_batch b = {0};
    cuts->source.batch(cuts->source.context, &b, &index, 1);
    r->net->class_of->predict(r->net, y, &b);
    for (size_t i = 0; i < input + horizon; i++)
        p->values[i] = r->data.values[(first + i) * c + channel];
    for (size_t i = 0; i < horizon; i++) {
        double value = (double)(cuts->by_channel ? y[i] : y[i * c + channel]);
        if (cuts->spread) value = value * cuts->spread[0] + cuts->level[0];
        p->values[input + horizon + i] =
            value * r->model.deviation[channel] + r->model.mean[channel];
    }
    panel_title(p->title, &r->data, first + input);
}

static enum status picture_windows(const struct run *r, struct err *err) {
    const struct forecast_cuts *cuts = &r->cuts[FORECAST_TEST];
    size_t input = cuts->input, horizon = cuts->horizon;
    uint32_t channel = r->model.channels - 1; /* ETT's target, and the others' by custom */
    uint32_t count = cuts->windows < PANELS ? (uint32_t)cuts->windows : PANELS;
    struct panel panels[PANELS];
    struct forecast_window shown[PANELS];
    size_t each = input + 2 * horizon;
    double *values = malloc(count * each * sizeof *values);
    nn_real *y = malloc(horizon * r->net->outputs * sizeof *y);
    char path[FORECAST_PATH_SIZE], title[400];
    enum status st = values && y ? run_folder_path(path, &r->folder, "windows.svg", err)
                                 : err_set(err, ST_NO_MEMORY, "no memory for a picture");
    for (uint32_t i = 0; i < count && st == ST_OK; i++) {
        panels[i].values = values + i * each;
        size_t window = count > 1 ? (cuts->windows - 1) * i / (count - 1) : 0;
        panel_fill(&panels[i], r, channel, window, y);
        shown[i] = (struct forecast_window){.title = panels[i].title,
                                            .history = panels[i].values,
                                            .history_count = input,
                                            .truth = panels[i].values + input,
                                            .forecast = panels[i].values + input + horizon,
                                            .horizon = horizon};
    }
    snprintf(title, sizeof title, "%s, %s, windows of the test part",
             forecast_kind_names[r->o->config.kind], r->report->dataset);
    const struct forecast_windows picture = {.title = title,
                                             .value_label = r->model.names[channel],
                                             .step_label = "steps from the last value",
                                             .windows = shown,
                                             .count = count};
    if (st == ST_OK) st = forecast_chart_windows(path, &picture, err);
    free(values);
    free(y);
    return st;
}

enum status run_pictures(const struct run *r, struct err *err) {
    enum status st = picture_losses(r, err);
    return st == ST_OK ? picture_windows(r, err) : st;
}
