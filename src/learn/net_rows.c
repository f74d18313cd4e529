/* Rows of the dataset as windows: what the training loop reads, and forecasts of whole parts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/net_internal.h"

enum { PART_WINDOWS = 32 };

static const float *window_values(const struct learn_rows *rows, size_t row) {
    size_t bar = rows->first[rows->series[row]] + rows->bar[row];
    return rows->values + (bar + 1 - NET_WINDOW) * NET_CHANNELS;
}

void net_row_path(float *out, const struct learn_rows *rows, size_t row, double sigma,
                  size_t horizon) {
    size_t bar = rows->first[rows->series[row]] + rows->bar[row];
    double sum = 0;
    for (size_t k = 1; k <= horizon; k++) {
        sum += (double)rows->values[(bar + k) * NET_CHANNELS + NET_TARGET_CHANNEL];
        double scaled = sum / (sigma * sqrt((double)k));
        out[k - 1] = (float)fmin(fmax(scaled, -NET_PATH_MAX), NET_PATH_MAX);
    }
}

double net_row_sigma(const struct learn_rows *rows, size_t row) {
    float window[NET_WINDOW * NET_CHANNELS];
    return net_window(window, window_values(rows, row));
}

static float row_context(const struct learn_rows *rows, size_t row, const struct label_spec *labels,
                         double sigma) {
    double barrier = label_barrier(labels, (double)rows->atr[row]);
    return net_context(barrier, sigma, labels->horizon_bars);
}

/* ---- source ---- */

void net_source_free(struct net_source *s) {
    net_input_free(&s->in);
    free(s->target);
    free(s->batch_weights);
    s->target = s->batch_weights = NULL;
}

static size_t target_stride(const struct net_source *s) {
    size_t horizon = s->labels->horizon_bars;
    return s->paths_only ? horizon : net_target_stride(horizon);
}

enum status net_source_init(struct net_source *s, size_t channels, bool exog, size_t batch_max,
                            struct err *err) {
    s->target = malloc(batch_max * target_stride(s) * sizeof *s->target);
    s->batch_weights = malloc(batch_max * sizeof *s->batch_weights);
    enum status st = net_input_init(&s->in, channels, exog, batch_max, err);
    if (st == ST_OK && (!s->target || !s->batch_weights))
        st = err_set(err, ST_NO_MEMORY, "a batch of %zu windows", batch_max);
    if (st != ST_OK) net_source_free(s);
    return st;
}

struct fill {
    struct net_source *source;
    const uint32_t *windows;
    size_t n;
};

static void fill_part(void *context, uint32_t part) {
    const struct fill *f = context;
    struct net_source *s = f->source;
    size_t horizon = s->labels->horizon_bars, from = (size_t)part * PART_WINDOWS;
    float window[NET_WINDOW * NET_CHANNELS];
    for (size_t i = from; i < f->n && i < from + PART_WINDOWS; i++) {
        size_t row = s->range.begin + f->windows[i];
        double sigma = net_window(window, window_values(s->rows, row));
        float *target = s->target + i * target_stride(s);
        net_input_set(&s->in, i, window);
        net_row_path(target, s->rows, row, sigma, horizon);
        if (!s->paths_only) {
            target[horizon] = s->rows->labels[row];
            target[horizon + 1] = row_context(s->rows, row, s->labels, sigma);
        }
        if (s->weights) s->batch_weights[i] = s->weights[f->windows[i]];
    }
}
static_assert(NET_CONTEXT == 1, "one value behind the label");

void net_source_batch(void *source, struct nn_batch *out, const uint32_t *windows, size_t n) {
    struct net_source *s = source;
    struct fill fill = {s, windows, n};
    workers_run(s->workers, fill_part, &fill, (uint32_t)((n + PART_WINDOWS - 1) / PART_WINDOWS));
    *out = (struct nn_batch){.n = n,
                             .x = s->in.x,
                             .hist_exog = s->in.exog,
                             .target = s->target,
                             .weights = s->weights ? s->batch_weights : NULL};
}

/* ---- forecasts ---- */

void net_rows_predict(double *p, double *medians, struct net *net, const struct learn_rows *rows,
                      struct learn_range range, const struct label_spec *labels) {
    float window[NET_WINDOW * NET_CHANNELS];
    size_t at_once = net->batch_max;
    size_t stride = net->horizon * NET_QUANTILES, median = stride - NET_QUANTILES + 1;
    for (size_t done = 0; done < range.count;) {
        size_t n = range.count - done < at_once ? range.count - done : at_once;
        for (size_t i = 0; i < n; i++) {
            size_t row = range.begin + done + i;
            double sigma = net_window(window, window_values(rows, row));
            net_input_set(&net->input, i, window);
            net->context[i * NET_CONTEXT] = row_context(rows, row, labels, sigma);
        }
        net_predict(p ? p + done * NET_CLASSES : NULL, medians ? net->path : NULL, net, n);
        for (size_t i = 0; medians && i < n; i++)
            medians[done + i] = net->path[i * stride + median];
        done += n;
    }
}
