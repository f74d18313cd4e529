/* Objectives: starting margins, gradients and hessians, leaf values of those that have none of their own.
 *
 * Per row, before weights (m margin, y label):
 *   regression      m - y, 1
 *   regression_l1   sign(m - y), 1            hessians of L1, huber and quantile are LightGBM's constant 1, not the
 *   huber           clip(m - y, +-alpha), 1   second derivative (which is 0 almost everywhere)
 *   quantile        (m >= y) - alpha, 1
 *   binary          s = +-1, z = sigmoid s m: -s sigmoid / (1 + e^z); |g| (sigmoid - |g|)
 *   multiclass      p_k - [y = k], K / (K - 1) p_k (1 - p_k): the factor is LightGBM's, after Friedman (2001), sec. 4.6
 *   lambdarank      rank.c */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/loss_internal.h"
#include "num/elementary.h"
#include "num/exp_n.h"

/* LightGBM's kEpsilon: probabilities are kept this far from 0 and 1. */
static const double epsilon = 1e-15;

void lgbm_loss_run(struct lgbm_loss *l, void (*task)(void *context, uint32_t part), size_t parts) {
    if (l->threads) {
        workers_run(l->threads, task, l, (uint32_t)parts);
        return;
    }
    for (size_t part = 0; part < parts; part++) task(l, (uint32_t)part);
}

uint32_t lgbm_loss_outputs(const struct lgbm_loss *l) {
    return l->outputs;
}
bool lgbm_loss_trainable(const struct lgbm_loss *l, uint32_t output) {
    return l->trainable[output];
}
double lgbm_loss_start(const struct lgbm_loss *l, uint32_t output) {
    return l->start[output];
}

bool lgbm_loss_constant_hessian(const struct lgbm_loss *l) {
    enum lgbm_objective o = l->params->objective;
    return !l->weights && (o == LGBM_REGRESSION || o == LGBM_REGRESSION_L1 || o == LGBM_HUBER ||
                           o == LGBM_QUANTILE);
}

/* ---- what a set must be ---- */

static enum status check_label(const struct lgbm_loss *l, size_t row, double y, struct err *err) {
    const struct lgbm_params *p = l->params;
    enum lgbm_metric metric = lgbm_params_metric(p);
    bool integer = y >= 0 && y <= 65535 && !(y < floor(y) || y > floor(y));
    if (!(fabs(y) <= 1e30))
        return err_set(err, ST_INVALID, "row %zu: label %g is not a number from -1e30 to 1e30", row,
                       y);
    if (p->objective == LGBM_BINARY || metric == LGBM_METRIC_BINARY_LOGLOSS ||
        metric == LGBM_METRIC_BINARY_ERROR || metric == LGBM_METRIC_AUC) {
        if (!integer || y > 1)
            return err_set(err, ST_INVALID, "row %zu: label %.10g is not 0 or 1", row, y);
    } else if (p->objective == LGBM_MULTICLASS || metric == LGBM_METRIC_MULTI_LOGLOSS ||
               metric == LGBM_METRIC_MULTI_ERROR) {
        if (!integer || y >= p->num_class)
            return err_set(err, ST_INVALID, "row %zu: label %.10g is not a class from 0 to %u", row,
                           y, p->num_class - 1);
    } else if (p->objective == LGBM_LAMBDARANK || metric == LGBM_METRIC_NDCG) {
        if (!integer || y >= LGBM_LABEL_GAIN_MAX || p->label_gain[(size_t)y] < 0)
            return err_set(err, ST_INVALID, "row %zu: label %.10g is not a grade with a label_gain",
                           row, y);
    }
    return ST_OK;
}

static enum status check_set(const struct lgbm_loss *l, const struct train_set *set,
                             struct err *err) {
    if (set->rows == 0 || !set->labels)
        return err_set(err, ST_INVALID, "a set needs rows and labels");
    for (size_t i = 0; i < set->rows; i++) {
        enum status st = check_label(l, i, set->labels[i], err);
        if (st != ST_OK) return st;
        if (set->weights && !(set->weights[i] > 0 && set->weights[i] <= 1e30))
            return err_set(err, ST_INVALID, "row %zu: weight %g is not a number above 0, to 1e30",
                           i, set->weights[i]);
    }
    if (!set->init_margin) return ST_OK;
    for (size_t i = 0; i < set->rows * l->outputs; i++)
        if (!(fabs(set->init_margin[i]) <= 1e30))
            return err_set(err, ST_INVALID,
                           "row %zu: starting margin %g is not a number from -1e30 to 1e30",
                           i / l->outputs, set->init_margin[i]);
    return ST_OK;
}

/* ---- starting margins ---- */

static double weight_of(const struct lgbm_loss *l, size_t row) {
    return l->weights ? l->weights[row] : 1.0;
}

static double weighted_mean(const struct lgbm_loss *l, const double *values) {
    double sum = 0, total = 0;
    for (size_t i = 0; i < l->rows; i++) {
        sum += values[i] * weight_of(l, i);
        total += weight_of(l, i);
    }
    return sum / total;
}

static double percentile_of(struct lgbm_loss *l, double alpha) {
    if (l->weights) {
        for (size_t i = 0; i < l->rows; i++)
            l->leaf[i] = (struct weighted_value){l->target[i], l->weights[i]};
        return lgbm_percentile_weighted(l->leaf, l->rows, alpha);
    }
    ASSERT(l->leaf_values); /* there for every objective that has percentiles */
    memcpy(l->leaf_values, l->target, l->rows * sizeof *l->target);
    return lgbm_percentile(l->leaf_values, l->rows, alpha);
}

static void class_starts(struct lgbm_loss *l) {
    double total = 0;
    for (size_t i = 0; i < l->rows; i++) {
        l->start[(size_t)l->labels[i]] += weight_of(l, i);
        total += weight_of(l, i);
    }
    for (uint32_t k = 0; k < l->outputs; k++) {
        double share = l->start[k] / total;
        l->trainable[k] = share > epsilon && share < 1 - epsilon;
        l->start[k] = num_log(share > epsilon ? share : epsilon);
    }
}

static void binary_start(struct lgbm_loss *l) {
    size_t positive = 0;
    for (size_t i = 0; i < l->rows; i++) positive += l->labels[i] > 0;
    size_t negative = l->rows - positive;
    double share = weighted_mean(l, l->labels);
    if (share < epsilon) share = epsilon;
    if (share > 1 - epsilon) share = 1 - epsilon;
    l->start[0] = num_log(share / (1 - share)) / l->params->sigmoid;
    l->trainable[0] = positive > 0 && negative > 0;
    l->class_factor[0] = l->class_factor[1] = 1;
    if (l->params->is_unbalance && l->trainable[0]) {
        if (positive > negative)
            l->class_factor[0] = (double)positive / (double)negative;
        else
            l->class_factor[1] = (double)negative / (double)positive;
    }
    l->class_factor[1] *= l->params->scale_pos_weight;
}

static void set_starts(struct lgbm_loss *l) {
    for (uint32_t k = 0; k < l->outputs; k++) l->trainable[k] = true;
    switch (l->params->objective) {
    case LGBM_REGRESSION:
    case LGBM_HUBER:
        l->start[0] = weighted_mean(l, l->target);
        break;
    case LGBM_REGRESSION_L1:
        l->start[0] = percentile_of(l, 0.5);
        break;
    case LGBM_QUANTILE:
        l->start[0] = percentile_of(l, l->params->alpha);
        break;
    case LGBM_BINARY:
        binary_start(l);
        break;
    case LGBM_MULTICLASS:
        class_starts(l);
        break;
    case LGBM_LAMBDARANK:
    case LGBM_CUSTOM:
    case LGBM_OBJECTIVE_COUNT:
        break;
    }
}

/* ---- making ---- */

static bool has_renewal(const struct lgbm_params *p) {
    return p->objective == LGBM_REGRESSION_L1 || p->objective == LGBM_QUANTILE;
}

static enum status set_weights(struct lgbm_loss *l, const struct train_set *set, struct err *err) {
    l->weights = set->weights;
    if (!l->params->class_weight) return ST_OK;
    l->owned_weights = malloc(set->rows * sizeof *l->owned_weights);
    if (!l->owned_weights) return err_set(err, ST_NO_MEMORY, "weights of %zu rows", set->rows);
    for (size_t i = 0; i < set->rows; i++)
        l->owned_weights[i] = l->params->class_weight[(size_t)set->labels[i]] *
                              (set->weights ? set->weights[i] : 1.0);
    l->weights = l->owned_weights;
    return ST_OK;
}

static enum status allocate(struct lgbm_loss *l, const struct train_set *set, struct err *err) {
    const struct lgbm_params *p = l->params;
    bool regression =
        has_renewal(p) || p->objective == LGBM_REGRESSION || p->objective == LGBM_HUBER;
    bool auc = lgbm_params_metric(p) == LGBM_METRIC_AUC;
    l->parts = (set->rows + LOSS_PART_ROWS - 1) / LOSS_PART_ROWS;
    l->trainable = calloc(l->outputs, sizeof *l->trainable);
    l->start = calloc(l->outputs, sizeof *l->start);
    l->partial = calloc(l->parts, 2 * sizeof *l->partial);
    bool ok = l->trainable && l->start && l->partial;
    if (regression) ok = (l->target = malloc(set->rows * sizeof *l->target)) && ok;
    if (has_renewal(p) && l->weights) ok = (l->leaf = malloc(set->rows * sizeof *l->leaf)) && ok;
    if (has_renewal(p) && !l->weights)
        ok = (l->leaf_values = malloc(set->rows * sizeof *l->leaf_values)) && ok;
    if (auc) ok = (l->ranked = malloc(set->rows * sizeof *l->ranked)) && ok;
    if (p->objective == LGBM_CUSTOM) {
        size_t size = set->rows * l->outputs * sizeof(float);
        ok = (l->custom_gradient = malloc(size)) && ok;
        ok = (l->custom_hessian = malloc(size)) && ok;
    }
    if (!ok) return err_set(err, ST_NO_MEMORY, "objective of %zu rows", set->rows);
    for (size_t i = 0; regression && i < set->rows; i++)
        l->target[i] =
            p->reg_sqrt ? copysign(sqrt(fabs(set->labels[i])), set->labels[i]) : set->labels[i];
    return ST_OK;
}

enum status lgbm_loss_create(struct lgbm_loss **out, const struct lgbm_params *params,
                             const struct train_set *set, struct workers *threads,
                             struct err *err) {
    struct lgbm_loss *l = calloc(1, sizeof *l);
    if (!l) return err_set(err, ST_NO_MEMORY, "objective");
    *l = (struct lgbm_loss){.params = params,
                            .threads = threads,
                            .rows = set->rows,
                            .labels = set->labels,
                            .outputs = params->num_class};
    enum status st = check_set(l, set, err);
    if (st == ST_OK) st = set_weights(l, set, err);
    if (st == ST_OK) st = allocate(l, set, err);
    if (st == ST_OK &&
        (params->objective == LGBM_LAMBDARANK || lgbm_params_metric(params) == LGBM_METRIC_NDCG))
        st = lgbm_rank_create(l, set, err);
    if (st != ST_OK) {
        lgbm_loss_destroy(l);
        return st;
    }
    set_starts(l);
    *out = l;
    return ST_OK;
}

void lgbm_loss_destroy(struct lgbm_loss *l) {
    if (!l) return;
    void *const owned[] = {l->target,  l->owned_weights,   l->trainable,      l->start,
                           l->ideal,   l->group_begin,     l->discount,       l->ranked,
                           l->pair,    l->lambda,          l->curvature,      l->leaf,
                           l->partial, l->custom_gradient, l->custom_hessian, l->leaf_values};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    free(l);
}

/* ---- gradients ---- */

void lgbm_softmax_terms(double *out, const double *margin, size_t count, uint32_t outputs) {
    for (size_t i = 0; i < count; i++) {
        const double *row = margin + i * outputs;
        double best = row[0];
        for (uint32_t k = 1; k < outputs; k++) best = row[k] > best ? row[k] : best;
        for (uint32_t k = 0; k < outputs; k++) out[i * outputs + k] = row[k] - best;
    }
    num_exp_n(out, out, count * outputs);
}

static double residual_gradient(const struct lgbm_params *p, double residual) {
    switch (p->objective) {
    case LGBM_REGRESSION:
        return residual;
    case LGBM_REGRESSION_L1:
        return (residual > 0) - (residual < 0);
    case LGBM_HUBER:
        return residual > p->alpha ? p->alpha : residual < -p->alpha ? -p->alpha : residual;
    case LGBM_QUANTILE:
        return residual >= 0 ? 1 - p->alpha : -p->alpha;
    case LGBM_BINARY:
    case LGBM_MULTICLASS:
    case LGBM_LAMBDARANK:
    case LGBM_CUSTOM:
    case LGBM_OBJECTIVE_COUNT:
        break;
    }
    ASSERT(false);
    return 0;
}

static void regression_part(void *context, uint32_t part) {
    struct lgbm_loss *l = context;
    size_t first, last;
    lgbm_loss_part(l, part, &first, &last);
    for (size_t i = first; i < last; i++) {
        double weight = weight_of(l, i);
        double g = residual_gradient(l->params, l->margin[i] - l->target[i]);
        l->gradient[i] = (float)(g * weight);
        l->hessian[i] = (float)weight;
    }
}

static void binary_part(void *context, uint32_t part) {
    struct lgbm_loss *l = context;
    const double sigmoid = l->params->sigmoid;
    double block[LOSS_BLOCK];
    size_t first, last;
    lgbm_loss_part(l, part, &first, &last);
    for (size_t begin = first; begin < last; begin += LOSS_BLOCK) {
        size_t count = last - begin < LOSS_BLOCK ? last - begin : LOSS_BLOCK;
        const double *label = l->labels + begin, *margin = l->margin + begin;
        /* 1 / (1 + e^z) of the label's own side: the other side's probability. No branch on the label: it is
         * as good as random, and a mistaken guess costs more than the sum. */
        for (size_t i = 0; i < count; i++) block[i] = (1 - 2 * label[i]) * (sigmoid * margin[i]);
        num_logistic_n(block, block, count);
        for (size_t i = 0; i < count; i++) {
            double size = sigmoid * block[i];
            double weight = l->class_factor[(size_t)label[i]];
            if (l->weights) weight *= l->weights[begin + i];
            l->gradient[begin + i] = (float)((1 - 2 * label[i]) * size * weight);
            l->hessian[begin + i] = (float)(size * (sigmoid - size) * weight);
        }
    }
}

static void softmax_gradients(struct lgbm_loss *l, const double *e, size_t begin, size_t count) {
    const double factor = (double)l->outputs / (l->outputs - 1.0);
    for (size_t i = 0; i < count; i++, e += l->outputs) {
        size_t row = begin + i, label = (size_t)l->labels[row];
        double weight = weight_of(l, row), sum = 0;
        for (uint32_t k = 0; k < l->outputs; k++) sum += e[k];
        double scale = 1 / sum;
        for (uint32_t k = 0; k < l->outputs; k++) {
            double share = e[k] * scale;
            l->gradient[k * l->rows + row] = (float)(share * weight);
            l->hessian[k * l->rows + row] = (float)(factor * share * (1 - share) * weight);
        }
        l->gradient[label * l->rows + row] = (float)((e[label] * scale - 1) * weight);
    }
}

static void multiclass_part(void *context, uint32_t part) {
    struct lgbm_loss *l = context;
    size_t first, last, step = LOSS_BLOCK / l->outputs;
    lgbm_loss_part(l, part, &first, &last);
    double e[LOSS_BLOCK];
    for (size_t begin = first; begin < last; begin += step) {
        size_t count = last - begin < step ? last - begin : step;
        lgbm_softmax_terms(e, l->margin + begin * l->outputs, count, l->outputs);
        softmax_gradients(l, e, begin, count);
    }
}

static void custom_part(void *context, uint32_t part) {
    struct lgbm_loss *l = context;
    size_t first, last;
    lgbm_loss_part(l, part, &first, &last);
    for (size_t i = first; i < last; i++) {
        double weight = weight_of(l, i);
        for (uint32_t k = 0; k < l->outputs; k++) {
            size_t from = i * l->outputs + k, to = k * l->rows + i;
            l->gradient[to] = (float)(l->custom_gradient[from] * weight);
            l->hessian[to] = (float)(l->custom_hessian[from] * weight);
        }
    }
}

void lgbm_loss_gradients(struct lgbm_loss *l, const double *margin, float *gradient,
                         float *hessian) {
    l->margin = margin;
    l->gradient = gradient;
    l->hessian = hessian;
    switch (l->params->objective) {
    case LGBM_REGRESSION:
    case LGBM_REGRESSION_L1:
    case LGBM_HUBER:
    case LGBM_QUANTILE:
        lgbm_loss_run(l, regression_part, l->parts);
        return;
    case LGBM_BINARY:
        lgbm_loss_run(l, binary_part, l->parts);
        return;
    case LGBM_MULTICLASS:
        lgbm_loss_run(l, multiclass_part, l->parts);
        return;
    case LGBM_LAMBDARANK:
        lgbm_rank_gradients(l);
        return;
    case LGBM_CUSTOM:
        l->params->custom(l->params->custom_context, margin, l->custom_gradient, l->custom_hessian,
                          l->rows, l->outputs);
        lgbm_loss_run(l, custom_part, l->parts);
        return;
    case LGBM_OBJECTIVE_COUNT:
        break;
    }
    ASSERT(false);
}

/* The leaf's value that its loss is smallest at: a percentile of the residuals. Friedman (2001), algorithm 3. */
bool lgbm_loss_renew(struct lgbm_loss *l, double *value, const double *margin, uint32_t output,
                     const uint32_t *rows, uint32_t count) {
    if (!has_renewal(l->params) || count == 0) return false;
    double alpha = l->params->objective == LGBM_QUANTILE ? l->params->alpha : 0.5;
    for (uint32_t i = 0; i < count; i++) {
        size_t row = rows[i];
        double residual = l->target[row] - margin[row * l->outputs + output];
        if (l->weights)
            l->leaf[i] = (struct weighted_value){residual, l->weights[row]};
        else
            l->leaf_values[i] = residual;
    }
    *value = l->weights ? lgbm_percentile_weighted(l->leaf, count, alpha)
                        : lgbm_percentile(l->leaf_values, count, alpha);
    return true;
}
