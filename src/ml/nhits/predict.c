/* Inference: a few windows through all blocks, by ml/nn's kernels of fixed order. */
#include <string.h>

#include "base/assert.h"
#include "ml/nhits/nhits_internal.h"
#include "ml/nhits/rows.h"

static void pack(struct layer *l) {
    nn_linear_pack(l->packed, nhits_weight(l), nhits_bias(l), l->in, nhits_used(l));
}

static void pack_all(struct nhits *n) {
    if (!n->training && n->is_packed && n->packed_changes == n->network.params.changes) return;
    for (size_t i = 0; i < n->block_count; i++) {
        struct block *b = &n->blocks[i];
        for (size_t l = 0; l < b->layer_count; l++) pack(&b->layers[l]);
        if (b->encoded) pack(&b->encoder);
    }
    n->is_packed = true;
    n->packed_changes = n->network.params.changes;
}

static void layer_infer(const struct layer *l, nn_real *y, const nn_real *x, size_t rows) {
    size_t out = nhits_used(l);
    nn_linear_packed(y, x, l->packed, rows, l->in, out);
    if (l->activated && l->activation == NN_RELU)
        relu(y, rows * out);
    else if (l->activated)
        nn_activation_forward(y, y, rows * out, l->activation, l->slope ? l->slope->value[0] : 0);
    if (l->scale)
        nn_batchnorm_infer(y, y, l->scale->value, l->shift->value, l->mean->value, l->var->value,
                           rows, out);
}

/* Where the MLP's inputs of some windows stand. */
static void encode(const struct nhits *n, const struct block *b, const struct predict_part *s,
                   const nn_real *stat, size_t rows) {
    layer_infer(&b->encoder, s->a, stat, rows);
    for (size_t r = 0; r < rows; r++)
        memcpy(s->x + r * b->width + b->stat_at, s->a + r * n->config.stat_hidden,
               n->config.stat_hidden * sizeof *s->x);
}

static void block_infer(const struct nhits *n, const struct block *b, const struct predict_part *s,
                        nn_real *y, const struct nn_batch *batch, size_t first, size_t rows) {
    for (size_t r = 0; r < rows; r++)
        nhits_inputs(n, b, s->x + r * b->width, NULL, s->residual + r * n->length, batch,
                     first + r);
    if (b->encoded) encode(n, b, s, batch->stat_exog + first * n->config.stat_exog, rows);
    const nn_real *x = s->x;
    nn_real *to = s->a, *other = s->b;
    for (size_t l = 0; l < b->layer_count; l++) {
        layer_infer(&b->layers[l], to, x, rows);
        nn_real *given = to;
        to = other;
        other = given;
        x = given;
    }
    nhits_add_forecast(n, b, y, x, rows, s->knots, s->forecast);
    if (b->last) return;
    size_t stride = nhits_used(nhits_output_layer(b));
    for (size_t r = 0; r < rows; r++)
        nhits_subtract(s->residual + r * n->length, x + r * stride,
                       batch->mask ? batch->mask + (first + r) * n->length : NULL, n->length);
}

/* 0, or NaN if there is a NaN or an infinity among the values. */
static nn_real taint(const nn_real *x, size_t count) {
    enum { SUMS = 8 };
    nn_real sums[SUMS] = {0}, sum = 0;
    size_t i = 0;
    for (; i + SUMS <= count; i += SUMS)
        for (size_t s = 0; s < SUMS; s++) sums[s] += x[i + s] * 0;
    for (; i < count; i++) sum += x[i] * 0;
    for (size_t s = 0; s < SUMS; s++) sum += sums[s];
    return sum;
}

static nn_real window_taint(const struct nhits *n, const struct nn_batch *batch, size_t window) {
    const struct nhits_config *c = &n->config;
    size_t length = n->length, futr = (length + n->horizon) * c->futr_exog;
    nn_real sum = taint(batch->x + window * length, length);
    if (batch->mask) sum += taint(batch->mask + window * length, length);
    if (c->hist_exog)
        sum += taint(batch->hist_exog + window * length * c->hist_exog, length * c->hist_exog);
    if (c->futr_exog) sum += taint(batch->futr_exog + window * futr, futr);
    if (c->stat_exog) sum += taint(batch->stat_exog + window * c->stat_exog, c->stat_exog);
    return sum;
}

struct job {
    struct nhits *n;
    nn_real *y;
    const struct nn_batch *batch;
};

static void predict_part(void *context, uint32_t part) {
    const struct job *j = context;
    const struct nhits *n = j->n;
    const struct predict_part *s = &n->parts[part];
    size_t first = (size_t)part * PREDICT_ROWS, left = j->batch->n - first;
    size_t rows = left < PREDICT_ROWS ? left : PREDICT_ROWS, steps = n->horizon * n->outputs;
    nn_real *y = j->y + first * steps;
    for (size_t r = 0; r < rows; r++) {
        const nn_real *x = j->batch->x + (first + r) * n->length;
        nn_real level = x[n->length - 1] + window_taint(n, j->batch, first + r);
        nhits_reverse(s->residual + r * n->length, x, n->length);
        for (size_t i = 0; i < steps; i++) y[r * steps + i] = level;
    }
    for (size_t b = 0; b < n->block_count; b++)
        block_infer(n, &n->blocks[b], s, y, j->batch, first, rows);
}

void nhits_predict(struct network *net, nn_real *y, const struct nn_batch *batch) {
    struct nhits *n = (struct nhits *)net;
    const struct nhits_config *c = &n->config;
    ASSERT(batch->n > 0 && batch->n <= net->batch_max);
    ASSERT((!c->hist_exog || batch->hist_exog) && (!c->futr_exog || batch->futr_exog) &&
           (!c->stat_exog || batch->stat_exog));
    pack_all(n);
    struct job j = {n, y, batch};
    workers_run(net->workers, predict_part, &j,
                (uint32_t)((batch->n + PREDICT_ROWS - 1) / PREDICT_ROWS));
}
