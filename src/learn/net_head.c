#include "learn/net_head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "num/elementary.h"

static const double quantiles[NET_QUANTILES] = {0.1, 0.5, 0.9};
/* The standard normal's quantile 0.9, and softplus' inverse of it. */
static const double normal_q90 = 1.2815515655446004;

/* ---- numbers ---- */

static double sigmoid(double x) {
    double e = num_exp(-fmin(fabs(x), 690));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double softplus(double x) {
    return fmax(x, 0) + num_log(1 + num_exp(-fmin(fabs(x), 690)));
}

/* p (3); logits are finite */
static void softmax(double *p, const nn_real *logits) {
    double top = (double)logits[0], sum = 0;
    for (int l = 1; l < NET_CLASSES; l++) top = fmax(top, (double)logits[l]);
    for (int l = 0; l < NET_CLASSES; l++)
        sum += p[l] = num_exp(fmax((double)logits[l] - top, -690));
    for (int l = 0; l < NET_CLASSES; l++) p[l] /= sum;
}

/* ---- creation ---- */

void net_head_free(struct net_head *h) {
    nn_params_free(&h->params);
    free(h->rows);
    free(h->z);
    free(h->dz);
    free(h->drows);
    free(h->scratch);
    free(h->losses);
    *h = (struct net_head){0};
}

static enum status training_memory(struct net_head *h, struct err *err) {
    size_t n = h->batch_max;
    h->rows = malloc(n * h->inputs * sizeof *h->rows);
    h->z = malloc(n * h->outputs * sizeof *h->z);
    h->dz = malloc(n * h->outputs * sizeof *h->dz);
    h->drows = malloc(n * h->inputs * sizeof *h->drows);
    h->scratch = malloc((nn_linear_scratch(n, h->inputs, h->outputs) + 1) * sizeof *h->scratch);
    h->losses = malloc(n * sizeof *h->losses);
    if (!h->losses || !h->rows || !h->z || !h->dz || !h->drows || !h->scratch)
        return err_set(err, ST_NO_MEMORY, "a head for %zu windows", n);
    return ST_OK;
}

static enum status parameters(struct net_head *h, bool training, struct err *err) {
    enum status st = nn_params_init(&h->params, 2, err);
    if (st != ST_OK) return st;
    const size_t shape[2] = {h->outputs, h->inputs};
    st = nn_params_add(&h->params, "head.weight", true, 2, shape);
    if (st == ST_OK) st = nn_params_add(&h->params, "head.bias", true, 1, shape);
    if (st != ST_OK) return err_set(err, st, "a head of %zu by %zu", h->outputs, h->inputs);
    return nn_params_place(&h->params, training, err);
}

enum status net_head_init(struct net_head *h, size_t horizon, size_t values, size_t batch_max,
                          bool training, uint64_t seed, struct workers *workers, struct err *err) {
    *h = (struct net_head){.horizon = horizon,
                           .values = values,
                           .inputs = values + NET_CONTEXT,
                           .outputs = horizon * NET_QUANTILES + NET_CLASSES,
                           .label_weight = 1,
                           .batch_max = batch_max,
                           .workers = workers};
    enum status st = parameters(h, training, err);
    if (st == ST_OK && training) st = training_memory(h, err);
    if (st != ST_OK) {
        net_head_free(h);
        return st;
    }
    struct rng root = rng_init(seed), rng = rng_split(&root, 11);
    struct nn_tensor *bias = nn_params_find(&h->params, "head.bias");
    nn_init_uniform(nn_params_find(&h->params, "head.weight")->value, h->outputs * h->inputs,
                    1 / sqrt((double)h->inputs), &rng);
    for (size_t k = 0; k < horizon; k++)
        for (size_t q = 1; q < NET_QUANTILES; q++)
            bias->value[k * NET_QUANTILES + q] = (nn_real)num_log(num_exp(normal_q90) - 1);
    return ST_OK;
}

/* ---- outputs ---- */

/* Quantiles of one step, z (3): median, then the distances' raw values. */
static void spread_step(double *f, const nn_real *z) {
    f[1] = (double)z[0];
    f[0] = f[1] - softplus((double)z[1]);
    f[2] = f[1] + softplus((double)z[2]);
}

void net_head_spread(double *path, double *p, const struct net_head *h, const nn_real *z) {
    bool finite = true;
    for (size_t i = 0; i < h->outputs; i++) finite = finite && isfinite(z[i]);
    for (size_t k = 0; path && k < h->horizon; k++)
        if (finite)
            spread_step(path + k * NET_QUANTILES, z + k * NET_QUANTILES);
        else
            for (int q = 0; q < NET_QUANTILES; q++) path[k * NET_QUANTILES + (size_t)q] = NAN;
    if (p && finite) softmax(p, z + h->horizon * NET_QUANTILES);
    if (p && !finite)
        for (int l = 0; l < NET_CLASSES; l++) p[l] = NAN;
}

/* ---- loss ---- */

/* Pinball losses of one step, summed over quantiles; dz (3) += scale * gradient. */
static double step_loss(nn_real *dz, const nn_real *z, double target, double scale) {
    double f[NET_QUANTILES], df[NET_QUANTILES], sum = 0;
    spread_step(f, z);
    for (int q = 0; q < NET_QUANTILES; q++) {
        double gap = target - f[q];
        sum += gap > 0 ? quantiles[q] * gap : (quantiles[q] - 1) * gap;
        df[q] = scale * (gap > 0 ? -quantiles[q] : 1 - quantiles[q]);
    }
    if (dz) {
        dz[0] = (nn_real)(df[0] + df[1] + df[2]);
        dz[1] = (nn_real)(-df[0] * sigmoid((double)z[1]));
        dz[2] = (nn_real)(df[2] * sigmoid((double)z[2]));
    }
    return sum;
}

/* One window's loss; dz (outputs) = share * gradient, or NULL. target: net_target_stride values. */
static double window_loss(nn_real *dz, const struct net_head *h, const nn_real *z,
                          const nn_real *target, double share) {
    size_t paths = h->horizon * NET_QUANTILES;
    double pinball = 0, each = 1 / (double)paths, p[NET_CLASSES];
    for (size_t k = 0; k < h->horizon; k++) {
        size_t at = k * NET_QUANTILES;
        pinball += step_loss(dz ? dz + at : NULL, z + at, (double)target[k], share * each);
    }
    size_t label = (size_t)target[h->horizon];
    ASSERT(label < NET_CLASSES);
    softmax(p, z + paths);
    for (size_t l = 0; dz && l < NET_CLASSES; l++)
        dz[paths + l] = (nn_real)(share * h->label_weight * (p[l] - (l == label)));
    return pinball * each - h->label_weight * num_log(fmax(p[label], 1e-300));
}

/* rows (n, inputs): the network's values, then the context. */
static void rows_fill(nn_real *rows, const struct net_head *h, const nn_real *y,
                      const struct nn_batch *batch) {
    size_t stride = net_target_stride(h->horizon);
    for (size_t i = 0; i < batch->n; i++) {
        memcpy(rows + i * h->inputs, y + i * h->values, h->values * sizeof *rows);
        memcpy(rows + i * h->inputs + h->values, batch->target + i * stride + h->horizon + 1,
               NET_CONTEXT * sizeof *rows);
    }
}

/* The loss of a batch, window by window: parts of fixed size, added up in their order. */
enum { PART_WINDOWS = 32 };
struct pass {
    struct net_head *head;
    const struct nn_batch *batch;
    double weights; /* sum */
    bool backward;
};

static double weight_of(const struct nn_batch *batch, size_t i) {
    return batch->weights ? (double)batch->weights[i] : 1;
}

static void loss_part(void *context, uint32_t part) {
    const struct pass *pass = context;
    const struct net_head *h = pass->head;
    size_t stride = net_target_stride(h->horizon), from = (size_t)part * PART_WINDOWS;
    for (size_t i = from; i < pass->batch->n && i < from + PART_WINDOWS; i++) {
        double share = weight_of(pass->batch, i) / pass->weights;
        nn_real *dz = pass->backward ? h->dz + i * h->outputs : NULL;
        h->losses[i] = share * window_loss(dz, h, h->z + i * h->outputs,
                                           pass->batch->target + i * stride, share);
    }
}

static bool all_finite(const nn_real *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite = finite && isfinite(x[i]);
    return finite;
}

double net_head_loss(void *context, nn_real *dy, const nn_real *y, const struct nn_batch *batch) {
    struct net_head *h = context;
    struct nn_tensor *w = nn_params_find(&h->params, "head.weight");
    struct nn_tensor *b = nn_params_find(&h->params, "head.bias");
    size_t n = batch->n;
    ASSERT(h->rows && n <= h->batch_max && batch->target);
    rows_fill(h->rows, h, y, batch);
    nn_linear_forward(h->z, h->rows, w->value, b->value, n, h->inputs, h->outputs, h->workers);
    struct pass pass = {.head = h, .batch = batch, .backward = dy != NULL};
    for (size_t i = 0; i < n; i++) pass.weights += weight_of(batch, i);
    if (!(pass.weights > 0) || !all_finite(h->z, n * h->outputs)) {
        if (dy) memset(dy, 0, n * h->values * sizeof *dy);
        return NAN; /* the training loop says at which step */
    }
    workers_run(h->workers, loss_part, &pass, (uint32_t)((n + PART_WINDOWS - 1) / PART_WINDOWS));
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += h->losses[i];
    if (!dy) return sum;
    nn_linear_backward(h->drows, w->grad, b->grad, h->dz, h->rows, w->value, n, h->inputs,
                       h->outputs, h->scratch, h->workers);
    for (size_t i = 0; i < n; i++)
        memcpy(dy + i * h->values, h->drows + i * h->inputs, h->values * sizeof *dy);
    return sum;
}
