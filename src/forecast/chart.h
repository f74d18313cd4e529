/* Pictures of a training run, SVG files beside the weights: how the losses went, and what the network says about windows it has not
 * seen. Written whole or not at all; an older picture at the path is replaced.
 *
 *     forecast_chart_losses("run/losses.svg", "PatchTST, ETTh1, horizon 96", "MSE, standardised", report.looks,
 *                           report.look_count, report.best_look, &err);
 *
 *     struct forecast_window shown[4] = {{.title = "2018-02-21 00:00", .history = h, .history_count = 336, .truth = t,
 *                                         .forecast = f, .horizon = 96}, …};
 *     forecast_chart_windows("run/windows.svg", &(struct forecast_windows){.title = "PatchTST, ETTh1, test windows",
 *                            .value_label = "OT, °C", .step_label = "hours from now", .windows = shown, .count = 4}, &err);
 *
 * Tests    test_chart.c */
#ifndef FORECAST_CHART_H
#define FORECAST_CHART_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ml/trainer/trainer.h"

/* Training and validation loss at each look, the best one (an index into looks) marked; by epoch if each look ended another
 * one, else by step. The loss axis is logarithmic. A validation loss that is NaN at every look is left out (trained without); a
 * loss that is NaN somewhere breaks its line there.
 * Returns  ST_OK; ST_RANGE (count 0, best >= count, no finite loss); ST_IO; ST_NO_MEMORY */
enum status forecast_chart_losses(const char *path, const char *title, const char *loss_label,
                                  const struct trainer_look *looks, uint32_t count, uint32_t best,
                                  struct err *err);

/* One channel of one window in its own unit (standardisation undone). NaN: not known, a gap. */
struct forecast_window {
    const char *title;     /* which window: its time, its number */
    const double *history; /* (history_count) oldest first, the input */
    size_t history_count;
    const double *truth;      /* (horizon) what came; NULL: not known yet */
    const double *forecast;   /* (horizon) */
    const double *low, *high; /* (horizon) quantiles around it; NULL: none */
    size_t horizon;
};

struct forecast_windows {
    const char *title, *subtitle; /* subtitle NULL: none */
    const char *value_label;      /* channel and unit */
    const char *step_label; /* unit of a step; 0 is the last value seen, 1 the first forecast */
    const char *band_name;  /* "10 % to 90 %"; NULL: no band anywhere */
    const struct forecast_window *windows;
    uint32_t count;       /* 1 to CHART_PANELS_MAX panels */
    size_t history_shown; /* newest steps of the history; 0: twice the horizon */
};
/* A panel a window: history, truth, forecast, and persistence (the last value seen, repeated).
 * Returns  as above; ST_RANGE: a window without history or horizon, or with no finite value in a line */
enum status forecast_chart_windows(const char *path, const struct forecast_windows *windows,
                                   struct err *err);

#endif
