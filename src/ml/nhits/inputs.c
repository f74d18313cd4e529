/* What a block reads of a window, and how its knots become a forecast. */
#include <math.h>
#include <string.h>

#include "ml/nhits/nhits_internal.h"
#include "ml/nhits/rows.h"

void nhits_reverse(nn_real *residual, const nn_real *x, size_t length) {
    for (size_t i = 0; i < length; i++) residual[i] = x[length - 1 - i];
}

/* x (steps, channels) -> y (windows, channels), each channel pooled along time; as
 * nn_maxpool_forward and nn_avgpool_forward do it, but with channels side by side. */
static void pool_channels(nn_real *y, const nn_real *x, size_t steps, size_t channels, size_t k,
                          enum nhits_pooling pooling) {
    if (k == 1) {
        memcpy(y, x, steps * channels * sizeof *y);
        return;
    }
    const nn_real *x_end = x + steps * channels, *y_end = y + nn_pool_size(steps, k) * channels;
    for (size_t from = 0; from < steps; from += k, y += channels) {
        size_t to = from + k < steps ? from + k : steps,
               whole = (channels + LANES - 1) / LANES * LANES;
        const nn_real *first = x + from * channels, *last = x + (to - 1) * channels;
        /* What vectors write behind this window is the next one's, which comes later. */
        if (pooling == NHITS_MAX_POOLING && (size_t)(x_end - last) >= whole &&
            (size_t)(y_end - y) >= whole) {
            largest_of(y, first, last, channels, channels);
            continue;
        }
        memcpy(y, first, channels * sizeof *y);
        for (const nn_real *at = first + channels; at <= last; at += channels)
            for (size_t c = 0; c < channels; c++) {
                if (pooling == NHITS_AVERAGE_POOLING)
                    y[c] += at[c];
                else
                    y[c] = at[c] > y[c] || isnan(at[c]) ? at[c] : y[c];
            }
        if (pooling == NHITS_AVERAGE_POOLING)
            for (size_t c = 0; c < channels; c++) y[c] /= (nn_real)(to - from);
    }
}

/* neuralforecast: history, future, statics. */
static void pooled_exogenous(const struct nhits *n, const struct block *b, nn_real *x,
                             const struct nn_batch *batch, size_t window) {
    const struct nhits_config *c = &n->config;
    size_t whole = n->length + n->horizon;
    if (c->hist_exog) {
        pool_channels(x, batch->hist_exog + window * n->length * c->hist_exog, n->length,
                      c->hist_exog, b->pool, c->pooling);
        x += b->windows * c->hist_exog;
    }
    if (c->futr_exog) {
        pool_channels(x, batch->futr_exog + window * whole * c->futr_exog, whole, c->futr_exog,
                      b->pool, c->pooling);
        x += nn_pool_size(whole, b->pool) * c->futr_exog;
    }
    if (c->stat_exog) memcpy(x, batch->stat_exog + window * c->stat_exog, c->stat_exog * sizeof *x);
}

/* The paper's repository: each channel's past reversed in time, then each channel's future. */
static void turned_exogenous(const struct nhits *n, nn_real *x, const struct nn_batch *batch,
                             size_t window) {
    size_t channels = n->config.futr_exog, length = n->length, h = n->horizon;
    const nn_real *from = batch->futr_exog + window * (length + h) * channels;
    for (size_t c = 0; c < channels; c++)
        for (size_t t = 0; t < length; t++) *x++ = from[(length - 1 - t) * channels + c];
    for (size_t c = 0; c < channels; c++)
        for (size_t t = 0; t < h; t++) *x++ = from[(length + t) * channels + c];
}

void nhits_inputs(const struct nhits *n, const struct block *b, nn_real *x, uint32_t *arg,
                  const nn_real *residual, const struct nn_batch *batch, size_t window) {
    if (n->config.pooling == NHITS_AVERAGE_POOLING)
        nn_avgpool_forward(x, residual, 1, n->length, b->pool);
    else
        nn_maxpool_forward(x, arg, residual, 1, n->length, b->pool);
    if (n->config.impl == NHITS_NEURALFORECAST)
        pooled_exogenous(n, b, x + b->exog_at, batch, window);
    else if (n->config.futr_exog)
        turned_exogenous(n, x + b->exog_at, batch, window);
}

void nhits_pool_back(const struct nhits *n, const struct block *b, nn_real *dresidual,
                     const nn_real *dx, const uint32_t *arg) {
    if (n->config.pooling == NHITS_MAX_POOLING) {
        for (size_t w = 0; w < b->windows; w++) dresidual[arg[w]] += dx[w];
        return;
    }
    for (size_t w = 0; w < b->windows; w++) {
        size_t from = w * b->pool, to = from + b->pool < n->length ? from + b->pool : n->length;
        nn_real share = dx[w] / (nn_real)(to - from);
        for (size_t i = from; i < to; i++) dresidual[i] += share;
    }
}

void nhits_subtract(nn_real *residual, const nn_real *backcast, const nn_real *mask,
                    size_t length) {
    for (size_t i = 0; i < length; i++) residual[i] -= backcast[i];
    if (mask)
        for (size_t i = 0; i < length; i++) residual[i] *= mask[length - 1 - i];
}

void nhits_add_forecast(const struct nhits *n, const struct block *b, nn_real *y,
                        const nn_real *theta, size_t rows, nn_real *knots, nn_real *forecast) {
    size_t q = n->outputs, h = n->horizon, stride = nhits_used(nhits_output_layer(b));
    size_t count = q * b->knots, at = stride - count;
    const nn_real *from = knots;
    for (size_t r = 0; r < rows; r++)
        memcpy(knots + r * count, theta + r * stride + at, count * sizeof *knots);
    if (b->knots != h) { /* as many knots as steps are the forecast, in all three ways */
        nn_interpolate_forward(forecast, knots, rows * q, b->knots, h, n->config.interpolation);
        from = forecast;
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < q; o++, from += h)
            for (size_t t = 0; t < h; t++) y[(r * h + t) * q + o] += from[t];
}
