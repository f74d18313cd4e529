/* The training pass. Parts of the batch go through the whole network forwards, then backwards; the
 * gradients of weights are sums over the whole batch and come last, cut by outputs. */
#include <string.h>

#include "base/assert.h"
#include "ml/nhits/nhits_internal.h"
#include "ml/nhits/rows.h"
#include "ml/nn/gemm.h"

/* One call of step. */
struct pass {
    struct nhits *n;
    const struct nn_batch *batch;
    size_t rows_a_part;
    uint32_t parts;
    uint64_t seed;
    size_t block; /* whose weights are next, of shared ones */
};

static double dropout_of(const struct nhits *n) {
    return n->config.dropout_off ? 0 : n->config.dropout;
}

static uint64_t seed_at(const struct pass *p, const struct layer *l) {
    return rng_mix(p->seed ^ rng_mix(l->site + 1));
}

/* ---- one layer ---- */

static void layer_forward(const struct pass *p, const struct layer *l, const nn_real *x,
                          size_t from, size_t rows) {
    size_t out = nhits_used(l), at = from * out;
    bool is_relu = l->activated && l->activation == NN_RELU;
    nn_real *z = (l->pre ? l->pre : l->act) + at, *act = l->act + at, *y = l->y + at;
    nn_gemm(z, out, nn_rows(x, l->in), nn_transposed(nhits_weight(l), l->in), rows, out, l->in,
            false);
    add_bias(z, nhits_bias(l), rows, out, is_relu);
    if (!l->activated) return;
    if (!is_relu)
        nn_activation_forward(act, z, rows * out, l->activation, l->slope ? l->slope->value[0] : 0);
    if (l->scale) {
        nn_batchnorm_train(y, l->batch_mean, l->batch_inv, l->mean->value, l->var->value, act,
                           l->scale->value, l->shift->value, rows, out, p->n->dx, NULL);
        l->batches->value[0] += 1;
    }
    if (dropout_of(p->n) > 0)
        nn_dropout(y, y, rows * out, (nn_real)dropout_of(p->n), seed_at(p, l), at);
}

/* dy: gradient of what the layer handed on in, of what its Linear gave out. */
static void layer_back(const struct pass *p, const struct layer *l, size_t from, size_t rows,
                       nn_real *dslope) {
    size_t out = nhits_used(l), at = from * out, count = rows * out;
    nn_real *dy = l->dy + at;
    if (!l->activated) return;
    if (dropout_of(p->n) > 0)
        nn_dropout(dy, dy, count, (nn_real)dropout_of(p->n), seed_at(p, l), at);
    if (l->scale)
        nn_batchnorm_backward(dy, l->scale->grad, l->shift->grad, dy, l->act + at, l->batch_mean,
                              l->batch_inv, l->scale->value, rows, out, p->n->dx, NULL);
    if (l->activation == NN_RELU)
        relu_back(dy, l->act + at, count);
    else
        nn_activation_backward(dy, dslope, dy, l->pre + at, count, l->activation,
                               l->slope ? l->slope->value[0] : 0);
}

/* dx (rows, stride): columns first .. first + count - 1 of the inputs' gradient */
static void input_back(nn_real *dx, size_t stride, const struct layer *l, size_t from, size_t rows,
                       size_t first, size_t count) {
    size_t out = nhits_used(l);
    nn_gemm(dx + first, stride, nn_rows(l->dy + from * out, out),
            nn_rows(nhits_weight(l) + first, l->in), rows, count, out, false);
}

/* ---- one block ---- */

static void encode(const struct pass *p, const struct block *b, size_t from, size_t rows) {
    size_t count = p->n->config.stat_exog, hidden = p->n->config.stat_hidden;
    nn_real drop =
        (nn_real)(p->n->config.dropout_off ? 0
                                           : 0.5); /* the authors' own, not dropout_prob_theta */
    nn_dropout(b->stat + from * count, p->batch->stat_exog + from * count, rows * count, drop,
               rng_mix(p->seed ^ rng_mix(b->encoder.site + 1)), from * count);
    const struct layer *l = &b->encoder;
    nn_real *y = l->y + from * hidden;
    nn_gemm(y, hidden, nn_rows(b->stat + from * count, count), nn_transposed(l->w->value, count),
            rows, hidden, count, false);
    add_bias(y, l->b->value, rows, hidden, true);
    for (size_t r = 0; r < rows; r++)
        memcpy(b->x + (from + r) * b->width + b->stat_at, y + r * hidden, hidden * sizeof *y);
}

static void block_forward(const struct pass *p, const struct block *b, size_t from, size_t rows) {
    const struct nhits *n = p->n;
    for (size_t r = from; r < from + rows; r++)
        nhits_inputs(n, b, b->x + r * b->width, b->arg + r * b->windows,
                     n->residual + r * n->length, p->batch, r);
    if (b->encoded) encode(p, b, from, rows);
    const nn_real *x = b->x + from * b->width;
    for (size_t i = 0; i < b->layer_count; i++) {
        const struct layer *l = &b->layers[i];
        layer_forward(p, l, x, from, rows);
        x = l->y + from * nhits_used(l);
    }
    nhits_add_forecast(n, b, n->y + from * n->horizon * n->outputs, x, rows,
                       n->knots + from * n->outputs * n->knots_max,
                       n->forecast + from * n->outputs * n->horizon);
    if (b->last) return;
    size_t stride = nhits_used(nhits_output_layer(b));
    for (size_t r = 0; r < rows; r++)
        nhits_subtract(n->residual + (from + r) * n->length, x + r * stride,
                       p->batch->mask ? p->batch->mask + (from + r) * n->length : NULL, n->length);
}

/* Gradient of the knots, into the end of theta's. */
static void knots_back(const struct nhits *n, const struct block *b, nn_real *dtheta, size_t from,
                       size_t rows) {
    size_t q = n->outputs, h = n->horizon, stride = nhits_used(nhits_output_layer(b));
    size_t count = q * b->knots;
    nn_real *dforecast = n->forecast + from * q * h, *dknots = n->knots + from * q * n->knots_max;
    const nn_real *dy = n->dy + from * h * q, *found = dforecast;
    if (q == 1)
        found = dy;
    else
        for (size_t r = 0; r < rows; r++)
            for (size_t o = 0; o < q; o++)
                for (size_t t = 0; t < h; t++)
                    dforecast[(r * q + o) * h + t] = dy[(r * h + t) * q + o];
    if (b->knots != h) {
        nn_interpolate_backward(dknots, found, rows * q, b->knots, h, n->config.interpolation);
        found = dknots;
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(dtheta + r * stride + stride - count, found + r * count, count * sizeof *dtheta);
}

/* Gradient of the backcast: of the residual behind it, masked, with the other sign. The residual's
 * own is the masked one. */
static void backcast_back(const struct pass *p, const struct block *b, nn_real *dtheta, size_t from,
                          size_t rows) {
    const struct nhits *n = p->n;
    size_t stride = nhits_used(nhits_output_layer(b)), length = n->length;
    for (size_t r = 0; r < rows; r++) {
        nn_real *d = n->residual + (from + r) * length, *to = dtheta + r * stride;
        const nn_real *mask = p->batch->mask ? p->batch->mask + (from + r) * length : NULL;
        if (mask)
            for (size_t i = 0; i < length; i++) d[i] *= mask[length - 1 - i];
        for (size_t i = 0; i < length; i++) to[i] = -d[i];
    }
}

static void inputs_back(const struct pass *p, size_t index, size_t from, size_t rows) {
    const struct nhits *n = p->n;
    const struct block *b = &n->blocks[index];
    const struct layer *first = &b->layers[0], *e = &b->encoder;
    nn_real *dx = n->dx + from * n->width_max;
    if (b->encoded) {
        size_t hidden = n->config.stat_hidden;
        nn_real *de = e->dy + from * hidden;
        input_back(dx, b->width, first, from, rows, b->stat_at, hidden);
        for (size_t r = 0; r < rows; r++)
            memcpy(de + r * hidden, dx + r * b->width + b->stat_at, hidden * sizeof *de);
        relu_back(de, e->y + from * hidden, rows * hidden);
    }
    if (index == 0) return; /* the window itself needs no gradient */
    input_back(dx, b->width, first, from, rows, 0, b->windows);
    for (size_t r = 0; r < rows; r++)
        nhits_pool_back(n, b, n->residual + (from + r) * n->length, dx + r * b->width,
                        b->arg + (from + r) * b->windows);
}

static void block_back(const struct pass *p, size_t index, size_t from, size_t rows,
                       nn_real *dslope) {
    const struct nhits *n = p->n;
    const struct block *b = &n->blocks[index];
    const struct layer *top = nhits_output_layer(b);
    nn_real *dtheta = top->dy + from * nhits_used(top);
    knots_back(n, b, dtheta, from, rows);
    if (b->last)
        memset(n->residual + from * n->length, 0, rows * n->length * sizeof *n->residual);
    else
        backcast_back(p, b, dtheta, from, rows);
    for (size_t i = b->layer_count - 1; i > 0; i--) {
        const struct layer *below = &b->layers[i - 1];
        input_back(below->dy + from * below->out, below->out, &b->layers[i], from, rows, 0,
                   below->out);
        layer_back(p, below, from, rows, dslope);
    }
    inputs_back(p, index, from, rows);
}

/* ---- the parts ---- */

static size_t part_rows(const struct pass *p, uint32_t part, size_t *from) {
    *from = part * p->rows_a_part;
    size_t left = p->batch->n - *from;
    return left < p->rows_a_part ? left : p->rows_a_part;
}

static void forward_part(void *context, uint32_t part) {
    const struct pass *p = context;
    const struct nhits *n = p->n;
    size_t from, rows = part_rows(p, part, &from), steps = n->horizon * n->outputs;
    for (size_t r = from; r < from + rows; r++) {
        const nn_real *x = p->batch->x + r * n->length;
        nhits_reverse(n->residual + r * n->length, x, n->length);
        for (size_t i = 0; i < steps; i++) n->y[r * steps + i] = x[n->length - 1];
    }
    for (size_t b = 0; b < n->block_count; b++) block_forward(p, &n->blocks[b], from, rows);
}

static void backward_part(void *context, uint32_t part) {
    const struct pass *p = context;
    const struct nhits *n = p->n;
    size_t from, rows = part_rows(p, part, &from);
    for (size_t b = n->block_count; b-- > 0;) {
        nn_real *dslope = &n->slopes[b * n->parts_max + part];
        *dslope = 0;
        block_back(p, b, from, rows, dslope);
    }
}

static void share_of(const struct pass *p, const struct share *s) {
    const struct layer *l = s->layer;
    size_t out = nhits_used(l), first = l->skip + s->first;
    nn_gemm(l->w->grad + first * l->in, l->in, nn_transposed(l->dy + s->first, out),
            nn_rows(s->x, l->in), s->count, l->in, p->batch->n, true);
    add_columns(l->b->grad + first, l->dy + s->first, p->batch->n, out, s->count);
}

static void share_part(void *context, uint32_t part) {
    const struct pass *p = context;
    share_of(p, &p->n->shares[part]);
}

/* Shares of one block: the same weights may be others' too. */
static void block_share_part(void *context, uint32_t part) {
    const struct pass *p = context;
    const struct share *s = p->n->shares;
    while (s->block != p->block) s++;
    share_of(p, s + part);
}

static uint32_t shares_of(const struct nhits *n, size_t block) {
    uint32_t count = 0;
    for (size_t i = 0; i < n->share_count; i++) count += n->shares[i].block == block;
    return count;
}

static void weight_gradients(struct pass *p) {
    struct nhits *n = p->n;
    struct workers *workers = n->network.workers;
    if (!n->config.shared_weights) {
        workers_run(workers, share_part, p, (uint32_t)n->share_count);
    } else {
        for (p->block = 0; p->block < n->block_count; p->block++)
            workers_run(workers, block_share_part, p, shares_of(n, p->block));
    }
    if (n->config.activation != NN_PRELU) return;
    for (size_t b = 0; b < n->block_count; b++)
        for (uint32_t part = 0; part < p->parts; part++)
            for (size_t i = 0; i < n->blocks[b].layer_count; i++)
                if (n->blocks[b].layers[i].slope) { /* one slope a block, for all its layers */
                    n->blocks[b].layers[i].slope->grad[0] += n->slopes[b * n->parts_max + part];
                    break;
                }
}

/* ---- the step ---- */

double nhits_step(struct network *net, nn_real *y, const struct nn_batch *batch,
                  const struct nn_loss_choice *loss, uint64_t seed) {
    struct nhits *n = (struct nhits *)net;
    const struct nhits_config *c = &n->config;
    ASSERT(n->training && batch->n > 0 && batch->n <= net->batch_max &&
           (batch->target || loss->own));
    ASSERT((!c->hist_exog || batch->hist_exog) && (!c->futr_exog || batch->futr_exog) &&
           (!c->stat_exog || batch->stat_exog));
    struct pass pass = {.n = n, .batch = batch, .seed = seed};
    /* BatchNorm looks at all windows at once. */
    pass.rows_a_part = c->batch_normalization ? batch->n : PART_ROWS;
    pass.parts = (uint32_t)((batch->n + pass.rows_a_part - 1) / pass.rows_a_part);
    workers_run(net->workers, forward_part, &pass, pass.parts);
    double value = network_loss(net, n->dy, n->y, batch, loss, n->weights);
    if (y) memcpy(y, n->y, batch->n * n->horizon * n->outputs * sizeof *y);
    workers_run(net->workers, backward_part, &pass, pass.parts);
    weight_gradients(&pass);
    return value;
}
