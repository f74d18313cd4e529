#include "forecast/cuts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- windows ---- */

static void batch_all(const struct forecast_cuts *w, const uint32_t *windows, size_t n) {
    size_t c = w->channels;
    for (size_t i = 0; i < n; i++) {
        const nn_real *from = w->series + windows[i] * c;
        memcpy(w->x + i * w->input * c, from, w->input * c * sizeof *from);
        memcpy(w->y + i * w->horizon * c, from + w->input * c, w->horizon * c * sizeof *from);
    }
}

static void batch_by_channel(const struct forecast_cuts *w, const uint32_t *windows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t channel = windows[i] / w->windows, row = windows[i] % w->windows;
        const nn_real *from = w->series + row * w->channels + channel;
        for (size_t t = 0; t < w->input; t++) w->x[i * w->input + t] = from[t * w->channels];
        from += w->input * w->channels;
        for (size_t t = 0; t < w->horizon; t++) w->y[i * w->horizon + t] = from[t * w->channels];
    }
}

void forecast_window_scale(double *level, double *spread, const nn_real *x, size_t n) {
    double sum = 0, squares = 0;
    for (size_t t = 0; t < n; t++) sum += (double)x[t];
    *level = sum / (double)n;
    for (size_t t = 0; t < n; t++) squares += ((double)x[t] - *level) * ((double)x[t] - *level);
    *spread = sqrt(squares / (double)n + 1e-5);
}

static void scale_batch(const struct forecast_cuts *w, size_t n) {
    for (size_t i = 0; i < n; i++) {
        nn_real *x = w->x + i * w->input, *y = w->y + i * w->horizon;
        forecast_window_scale(&w->level[i], &w->spread[i], x, w->input);
        double level = w->level[i], spread = w->spread[i];
        for (size_t t = 0; t < w->input; t++) x[t] = (nn_real)(((double)x[t] - level) / spread);
        for (size_t t = 0; t < w->horizon; t++) y[t] = (nn_real)(((double)y[t] - level) / spread);
        w->weights[i] = (nn_real)(w->loss == NN_MSE ? spread * spread : spread);
    }
}

static void batch(void *context, struct nn_batch *out, const uint32_t *windows, size_t n) {
    const struct forecast_cuts *w = context;
    if (w->by_channel)
        batch_by_channel(w, windows, n);
    else
        batch_all(w, windows, n);
    if (w->spread) scale_batch(w, n);
    *out = (struct nn_batch){.n = n, .x = w->x, .target = w->y, .weights = w->weights};
}

enum status forecast_cuts_init(struct forecast_cuts *w, const nn_real *series, size_t channels,
                               const struct forecast_span *span, size_t input, size_t horizon,
                               bool by_channel, size_t batch_max, struct err *err) {
    *w = (struct forecast_cuts){.series = series + span->begin * channels,
                                .channels = channels,
                                .input = input,
                                .horizon = horizon,
                                .windows = span->windows,
                                .by_channel = by_channel};
    size_t read = by_channel ? 1 : channels, count = span->windows * (by_channel ? channels : 1);
    if (count > UINT32_MAX)
        return err_set(err, ST_RANGE, "%zu windows; at most %u are numbered", count, UINT32_MAX);
    w->x = malloc(batch_max * input * read * sizeof *w->x);
    w->y = malloc(batch_max * horizon * read * sizeof *w->y);
    if (!w->x || !w->y) {
        forecast_cuts_free(w);
        return err_set(err, ST_NO_MEMORY, "no memory for batches of %zu windows", batch_max);
    }
    w->source = (struct window_source){.count = count, .batch = batch, .context = w};
    return ST_OK;
}

enum status forecast_cuts_scale(struct forecast_cuts *w, size_t batch_max, enum nn_loss loss,
                                struct err *err) {
    w->loss = loss;
    w->level = malloc(batch_max * sizeof *w->level);
    w->spread = malloc(batch_max * sizeof *w->spread);
    w->weights = malloc(batch_max * sizeof *w->weights);
    if (w->level && w->spread && w->weights) return ST_OK;
    forecast_cuts_free(w);
    return err_set(err, ST_NO_MEMORY, "no memory for batches of %zu windows", batch_max);
}

void forecast_cuts_free(struct forecast_cuts *w) {
    free(w->x);
    free(w->y);
    free(w->level);
    free(w->spread);
    free(w->weights);
    *w = (struct forecast_cuts){0};
}

/* ---- scores ---- */

/* Sums of a window first: sums of sums of like size lose little. */
static void add_window(double sums[2], const nn_real *y, const nn_real *target, size_t values,
                       double spread) {
    double squares = 0, sizes = 0;
    for (size_t i = 0; i < values; i++) {
        double d = ((double)y[i] - (double)target[i]) * spread;
        squares += d * d;
        sizes += fabs(d);
    }
    sums[0] += squares;
    sums[1] += sizes;
}

static struct forecast_score score_of(const double sums[2], const struct forecast_cuts *w) {
    double values = (double)w->windows * (double)w->channels * (double)w->horizon;
    return (struct forecast_score){sums[0] / values, sums[1] / values, w->windows};
}

enum status forecast_score_network(struct forecast_score *out, struct network *net,
                                   const struct forecast_cuts *w, bool (*go_on)(void *context),
                                   void *context, struct err *err) {
    size_t values = net->horizon * net->outputs, most = net->batch_max;
    nn_real *y = malloc(most * values * sizeof *y);
    uint32_t *windows = malloc(most * sizeof *windows);
    enum status st = y && windows ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory for forecasts");
    double sums[2] = {0, 0};
    for (size_t done = 0; done < w->source.count && st == ST_OK;) {
        size_t n = w->source.count - done < most ? w->source.count - done : most;
        for (size_t i = 0; i < n; i++) windows[i] = (uint32_t)(done + i);
        struct nn_batch b = {0};
        w->source.batch(w->source.context, &b, windows, n);
        net->class_of->predict(net, y, &b);
        for (size_t i = 0; i < n; i++)
            add_window(sums, y + i * values, b.target + i * values, values,
                       w->spread ? w->spread[i] : 1);
        done += n;
        if (go_on && !go_on(context)) st = err_set(err, ST_INTERRUPTED, "interrupted");
    }
    if (st == ST_OK && !(isfinite(sums[0]) && isfinite(sums[1])))
        st = err_set(err, ST_RANGE, "a forecast is no finite number");
    if (st == ST_OK) *out = score_of(sums, w);
    free(y);
    free(windows);
    return st;
}

struct forecast_score forecast_score_repeat(const struct forecast_cuts *w) {
    double sums[2] = {0, 0};
    size_t c = w->channels;
    for (size_t i = 0; i < w->windows; i++) {
        const nn_real *last = w->series + (i + w->input - 1) * c, *target = last + c;
        double squares = 0, sizes = 0;
        for (size_t t = 0; t < w->horizon * c; t++) {
            double d = (double)last[t % c] - (double)target[t];
            squares += d * d;
            sizes += fabs(d);
        }
        sums[0] += squares;
        sums[1] += sizes;
    }
    return score_of(sums, w);
}
