/* Metrics under LightGBM's names and formulas: means over rows, by weight. */
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "ml/lightgbm/loss_internal.h"
#include "num/elementary.h"
#include "num/exp_n.h"

/* -log of LightGBM's smallest probability, 1e-15. */
static const double logloss_max = 34.538776394910684;

static double regression_loss(const struct lgbm_params *p, enum lgbm_metric metric, double label,
                              double margin) {
    double prediction = p->reg_sqrt ? copysign(margin * margin, margin) : margin;
    double residual = prediction - label, size = fabs(residual);
    if (metric == LGBM_METRIC_L1) return size;
    if (metric == LGBM_METRIC_HUBER)
        return size <= p->alpha ? 0.5 * size * size : p->alpha * (size - 0.5 * p->alpha);
    if (metric == LGBM_METRIC_QUANTILE)
        return residual > 0 ? (1 - p->alpha) * residual : -p->alpha * residual;
    return residual * residual;
}

static void regression_part(const struct lgbm_loss *l, size_t first, size_t last, double *sum) {
    enum lgbm_metric metric = lgbm_params_metric(l->params);
    for (size_t i = first; i < last; i++)
        *sum += regression_loss(l->params, metric, l->labels[i], l->margin[i]) *
                (l->weights ? l->weights[i] : 1);
}

static void logloss_part(const struct lgbm_loss *l, size_t first, size_t last, double *sum) {
    double block[LOSS_BLOCK];
    for (size_t begin = first; begin < last; begin += LOSS_BLOCK) {
        size_t count = last - begin < LOSS_BLOCK ? last - begin : LOSS_BLOCK;
        /* log(1 + e^-z) of the label's side */
        for (size_t i = 0; i < count; i++)
            block[i] = (1 - 2 * l->labels[begin + i]) * (l->params->sigmoid * l->margin[begin + i]);
        num_softplus_n(block, block, count);
        for (size_t i = 0; i < count; i++) {
            double loss = block[i] < logloss_max ? block[i] : logloss_max;
            *sum += loss * (l->weights ? l->weights[begin + i] : 1);
        }
    }
}

static void binary_error_part(const struct lgbm_loss *l, size_t first, size_t last, double *sum) {
    for (size_t i = first; i < last; i++)
        if ((l->margin[i] > 0) != (l->labels[i] > 0)) *sum += l->weights ? l->weights[i] : 1;
}

/* -log of the label's softmax share. */
static void multi_logloss_part(const struct lgbm_loss *l, size_t first, size_t last, double *sum) {
    size_t step = LOSS_BLOCK / l->outputs;
    double block[LOSS_BLOCK];
    for (size_t begin = first; begin < last; begin += step) {
        size_t count = last - begin < step ? last - begin : step;
        lgbm_softmax_terms(block, l->margin + begin * l->outputs, count, l->outputs);
        for (size_t i = 0; i < count; i++) {
            const double *e = block + i * l->outputs;
            double all = 0, own = e[(size_t)l->labels[begin + i]];
            for (uint32_t k = 0; k < l->outputs; k++) all += e[k];
            double loss = own > 1e-15 * all ? num_log(all / own) : logloss_max;
            *sum += loss * (l->weights ? l->weights[begin + i] : 1);
        }
    }
}

/* Whether another class is at least as high as the label's. */
static void multi_error_part(const struct lgbm_loss *l, size_t first, size_t last, double *sum) {
    for (size_t i = first; i < last; i++) {
        const double *margin = l->margin + i * l->outputs;
        uint32_t above = 0;
        for (uint32_t k = 0; k < l->outputs; k++)
            above += margin[k] >= margin[(size_t)l->labels[i]];
        if (above > 1) *sum += l->weights ? l->weights[i] : 1;
    }
}

static void metric_part(void *context, uint32_t part) {
    struct lgbm_loss *l = context;
    size_t first, last;
    double sum = 0, total = 0;
    lgbm_loss_part(l, part, &first, &last);
    switch (lgbm_params_metric(l->params)) {
    case LGBM_METRIC_L2:
    case LGBM_METRIC_RMSE:
    case LGBM_METRIC_L1:
    case LGBM_METRIC_HUBER:
    case LGBM_METRIC_QUANTILE:
        regression_part(l, first, last, &sum);
        break;
    case LGBM_METRIC_BINARY_LOGLOSS:
        logloss_part(l, first, last, &sum);
        break;
    case LGBM_METRIC_BINARY_ERROR:
        binary_error_part(l, first, last, &sum);
        break;
    case LGBM_METRIC_MULTI_LOGLOSS:
        multi_logloss_part(l, first, last, &sum);
        break;
    case LGBM_METRIC_MULTI_ERROR:
        multi_error_part(l, first, last, &sum);
        break;
    case LGBM_METRIC_AUTO:
    case LGBM_METRIC_AUC:
    case LGBM_METRIC_NDCG:
    case LGBM_METRIC_NONE:
    case LGBM_METRIC_COUNT:
        ASSERT(false);
    }
    for (size_t i = first; i < last; i++) total += l->weights ? l->weights[i] : 1;
    l->partial[2 * part] = sum;
    l->partial[2 * part + 1] = total;
}

static int by_margin(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->margin < y->margin || x->margin > y->margin) return x->margin < y->margin ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Share of the pairs of a positive and a negative that are in order; a tie is half of one. One class alone: 1. */
static double auc(struct lgbm_loss *l, const double *margin) {
    for (size_t i = 0; i < l->rows; i++) l->ranked[i] = (struct ranked){margin[i], (uint32_t)i};
    qsort(l->ranked, l->rows, sizeof *l->ranked, by_margin);
    double negative = 0, positive = 0, area = 0;
    for (size_t i = 0; i < l->rows;) {
        double at = l->ranked[i].margin, tied_positive = 0, tied_negative = 0;
        for (; i < l->rows && !(l->ranked[i].margin > at); i++) {
            size_t row = l->ranked[i].row;
            double weight = l->weights ? l->weights[row] : 1;
            *(l->labels[row] > 0 ? &tied_positive : &tied_negative) += weight;
        }
        area += tied_positive * (negative + 0.5 * tied_negative);
        positive += tied_positive;
        negative += tied_negative;
    }
    return positive > 0 && negative > 0 ? area / (positive * negative) : 1;
}

double lgbm_loss_metric(struct lgbm_loss *l, const double *margin) {
    enum lgbm_metric metric = lgbm_params_metric(l->params);
    if (metric == LGBM_METRIC_NONE) return NAN;
    if (metric == LGBM_METRIC_NDCG) return lgbm_rank_ndcg(l, margin);
    if (metric == LGBM_METRIC_AUC) return auc(l, margin);
    l->margin = margin;
    lgbm_loss_run(l, metric_part, l->parts);
    double sum = 0, total = 0;
    for (size_t part = 0; part < l->parts; part++) {
        sum += l->partial[2 * part];
        total += l->partial[2 * part + 1];
    }
    return metric == LGBM_METRIC_RMSE ? sqrt(sum / total) : sum / total;
}
