#include "forecast/use.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "forecast/model_file.h"

enum { BATCH = 64 };

/* ---- evaluation ---- */

static enum status evaluate_part(struct forecast_evaluation *out, const struct forecast_model *m,
                                 struct network *net, const struct forecast_dataset *d,
                                 bool (*go_on)(void *), void *context, struct err *err) {
    struct forecast_span spans[FORECAST_PARTS];
    enum status st = forecast_split_apply(spans, &out->split, d, m->input, m->horizon, err);
    if (st != ST_OK) return st;
    struct forecast_span span = spans[out->part];
    st = forecast_dataset_whole(d, span.begin, span.end, err);
    if (st != ST_OK) return st;
    nn_real *series = malloc((span.end - span.begin) * m->channels * sizeof *series);
    if (!series) return err_set(err, ST_NO_MEMORY, "no memory for %zu rows", span.end - span.begin);
    forecast_scale_apply(series, d, span.begin, span.end, m->mean, m->deviation);
    span.end -= span.begin;
    span.begin = 0;
    struct forecast_cuts cuts;
    st = forecast_cuts_init(&cuts, series, m->channels, &span, m->input, m->horizon,
                            forecast_config_by_channel(&m->config), BATCH, err);
    if (st == ST_OK && m->config.scaler == FORECAST_SCALER_STANDARD)
        st = forecast_cuts_scale(&cuts, BATCH, NN_MSE, err);
    if (st == ST_OK) {
        st = forecast_score_network(&out->network, net, &cuts, go_on, context, err);
        out->repeat = forecast_score_repeat(&cuts);
        forecast_cuts_free(&cuts);
    }
    free(series);
    return st;
}

enum status forecast_evaluate(struct forecast_evaluation *out, const char *model, const char *csv,
                              const struct forecast_split *split, enum forecast_part part,
                              uint32_t threads, bool (*go_on)(void *context), void *context,
                              struct err *err) {
    struct forecast_model m;
    struct forecast_dataset d = {0};
    struct network *net = NULL;
    struct workers *workers = NULL;
    enum status st = threads != 1 ? workers_create(&workers, threads, err) : ST_OK;
    if (st != ST_OK) return st;
    st = forecast_model_load(&m, &net, BATCH, workers, model, err);
    if (st == ST_OK) {
        *out = (struct forecast_evaluation){.kind = m.config.kind,
                                            .csv = csv,
                                            .split = split ? *split : m.split,
                                            .part = part,
                                            .input = m.input,
                                            .horizon = m.horizon,
                                            .channels = m.channels};
        st = forecast_dataset_read(&d, csv, (const char *const *)m.names, m.channels, err);
        out->same_data = st == ST_OK && d.hash == m.data_hash;
        if (st == ST_OK) st = evaluate_part(out, &m, net, &d, go_on, context, err);
        forecast_dataset_free(&d);
        forecast_model_free(&m);
    }
    if (net) net->class_of->destroy(net);
    workers_destroy(workers);
    return st;
}

/* ---- what comes next ---- */

/* Dates behind the last row, if the window's rows are equally far apart. */
static enum status date_steps(struct forecast_outlook *f, const struct forecast_dataset *d,
                              size_t begin, struct err *err) {
    if (!d->dates || d->rows < 2) return ST_OK;
    double last = d->dates[d->rows - 1], step = last - d->dates[d->rows - 2];
    if (!(step > 0)) return ST_OK;
    for (size_t i = begin + 1; i < d->rows; i++)
        if (d->dates[i] - d->dates[i - 1] != step) return ST_OK;
    f->dates = calloc(f->horizon, sizeof *f->dates);
    if (!f->dates) return err_set(err, ST_NO_MEMORY, "no memory for dates");
    for (uint32_t i = 0; i < f->horizon; i++) f->dates[i] = last + step * (i + 1);
    return ST_OK;
}

/* y (horizon, channels) standardised: of all channels at once, or of one after the other. */
static enum status outlook_standardised(nn_real *y, const struct forecast_model *m,
                                        struct network *net, const nn_real *x, struct err *err) {
    bool by_channel = forecast_config_by_channel(&m->config);
    struct nn_batch batch = {.n = 1, .x = x};
    if (!by_channel) {
        net->class_of->predict(net, y, &batch);
        return ST_OK;
    }
    nn_real *one = malloc(((size_t)m->input + m->horizon) * sizeof *one);
    if (!one) return err_set(err, ST_NO_MEMORY, "no memory for a window");
    for (uint32_t c = 0; c < m->channels; c++) {
        double level = 0, spread = 1;
        for (uint32_t i = 0; i < m->input; i++) one[i] = x[i * m->channels + c];
        if (m->config.scaler == FORECAST_SCALER_STANDARD)
            forecast_window_scale(&level, &spread, one, m->input);
        for (uint32_t i = 0; i < m->input; i++)
            one[i] = (nn_real)(((double)one[i] - level) / spread);
        batch.x = one;
        net->class_of->predict(net, one + m->input, &batch);
        for (uint32_t i = 0; i < m->horizon; i++)
            y[i * m->channels + c] = (nn_real)((double)one[m->input + i] * spread + level);
    }
    free(one);
    return ST_OK;
}

static enum status outlook(struct forecast_outlook *f, const struct forecast_model *m,
                           struct network *net, const struct forecast_dataset *d, struct err *err) {
    if (d->rows < m->input)
        return err_set(err, ST_RANGE, "no forecast: %s has %zu rows, the network reads %u", d->path,
                       d->rows, m->input);
    size_t begin = d->rows - m->input, values = (size_t)m->horizon * m->channels, i = 0;
    enum status st = forecast_dataset_whole(d, begin, d->rows, err);
    if (st != ST_OK) return err_wrap(err, st, "no forecast");
    nn_real *x = malloc(((size_t)m->input * m->channels + values) * sizeof *x);
    f->values = calloc(values, sizeof *f->values);
    st = x && f->values ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory for a window");
    nn_real *y = x ? x + (size_t)m->input * m->channels : NULL;
    if (st == ST_OK) {
        forecast_scale_apply(x, d, begin, d->rows, m->mean, m->deviation);
        st = outlook_standardised(y, m, net, x, err);
    }
    for (uint32_t step = 0; step < m->horizon && st == ST_OK; step++)
        for (uint32_t c = 0; c < m->channels && st == ST_OK; c++, i++) {
            f->values[i] = (double)y[i] * m->deviation[c] + m->mean[c];
            if (!isfinite(f->values[i]))
                st = err_set(err, ST_RANGE, "no forecast: that of column '%s' is no finite number",
                             m->names[c]);
        }
    free(x);
    return st == ST_OK ? date_steps(f, d, begin, err) : st;
}

enum status forecast_predict(struct forecast_outlook *out, const char *model, const char *csv,
                             struct err *err) {
    struct forecast_model m;
    struct forecast_dataset d = {0};
    struct network *net = NULL;
    enum status st = forecast_model_load(&m, &net, 1, NULL, model, err);
    if (st != ST_OK) return st;
    struct forecast_outlook f = {.horizon = m.horizon, .channels = m.channels};
    st = forecast_dataset_read(&d, csv, (const char *const *)m.names, m.channels, err);
    if (st == ST_OK) st = outlook(&f, &m, net, &d, err);
    if (st == ST_OK) {
        f.names = m.names; /* they go with the outlook */
        m.names = NULL;
        *out = f;
    } else {
        forecast_outlook_free(&f);
    }
    forecast_dataset_free(&d);
    forecast_model_free(&m);
    net->class_of->destroy(net);
    return st;
}

void forecast_outlook_free(struct forecast_outlook *f) {
    for (uint32_t i = 0; f->names && i < f->channels; i++) free(f->names[i]);
    free(f->names);
    free(f->values);
    free(f->dates);
    *f = (struct forecast_outlook){0};
}
