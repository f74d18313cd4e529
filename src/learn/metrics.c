#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/learn_internal.h"

enum { TIMES_MIN = 30, ECE_BINS = 15 };
static const double predicted_share_min = 0.01;
static const double probability_min = 1e-15;

static double loss(const double *p, float label) {
    return -log(fmax(p[(size_t)label], probability_min));
}

void learn_class_shares(double *share, const float *labels, size_t n, double smooth) {
    for (uint32_t l = 0; l < LABEL_COUNT; l++) share[l] = smooth;
    for (size_t i = 0; i < n; i++) share[(size_t)labels[i]] += 1;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) share[l] /= (double)n + LABEL_COUNT * smooth;
}

double learn_logloss(const double *p, const float *labels, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += loss(p + i * LABEL_COUNT, labels[i]);
    return n ? sum / (double)n : NAN;
}

double learn_newey_west_t(const double *x, size_t n, size_t lag) {
    if (n < TIMES_MIN) return 0;
    double mean = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
    double variance = 0; /* long-run */
    for (size_t k = 0; k <= lag && k < n; k++) {
        double sum = 0;
        for (size_t i = k; i < n; i++) sum += (x[i] - mean) * (x[i - k] - mean);
        double weight = k == 0 ? 1 : 2 * (1 - (double)k / (double)(lag + 1));
        variance += weight * sum / (double)n;
    }
    if (!(variance > 0)) return 0;
    return mean / sqrt(variance / (double)n);
}

static uint32_t best_of(const double *p) {
    uint32_t best = 0;
    for (uint32_t l = 1; l < LABEL_COUNT; l++)
        if (p[l] > p[best]) best = l;
    return best;
}

/* Accuracy, balanced accuracy (mean recall of the labels that occur) and predicted shares. */
static void measure_answers(struct learn_report *out, const double *p, const float *labels,
                            size_t n) {
    double total[LABEL_COUNT] = {0}, right[LABEL_COUNT] = {0}, said[LABEL_COUNT] = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t best = best_of(p + i * LABEL_COUNT), label = (uint32_t)labels[i];
        total[label] += 1;
        said[best] += 1;
        right[label] += best == label;
    }
    double recall = 0, present = 0, all_right = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        out->predicted_share[l] = said[l] / (double)n;
        all_right += right[l];
        if (total[l] == 0) continue;
        recall += right[l] / total[l];
        present += 1;
    }
    out->accuracy = all_right / (double)n;
    out->balanced_accuracy = recall / present;
}

/* Expected calibration error of the best label's probability, equal-width bins.
 * Source: Guo et al., On Calibration of Modern Neural Networks (2017). */
static double measure_ece(const double *p, const float *labels, size_t n) {
    double gap[ECE_BINS] = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t best = best_of(p + i * LABEL_COUNT);
        double confidence = p[i * LABEL_COUNT + best];
        size_t b = (size_t)fmin(confidence * ECE_BINS, ECE_BINS - 1);
        gap[b] += (best == (uint32_t)labels[i] ? 1.0 : 0.0) - confidence;
    }
    double sum = 0;
    for (size_t b = 0; b < ECE_BINS; b++) sum += fabs(gap[b]);
    return sum / (double)n;
}

static double gain_whole(const double *p, const double *prior, float label) {
    return loss(prior, label) - loss(p, label);
}

/* Of BUY against SELL alone; NaN where neither came true. */
static double gain_side(const double *p, const double *prior, float label) {
    if ((uint32_t)label == LABEL_HOLD) return NAN;
    double p_sides = p[LABEL_SELL] + p[LABEL_BUY];
    double prior_sides = prior[LABEL_SELL] + prior[LABEL_BUY];
    if (!(p_sides > 0) || !(prior_sides > 0)) return NAN;
    size_t l = (size_t)label;
    return log(fmax(p[l] / p_sides, probability_min)) -
           log(fmax(prior[l] / prior_sides, probability_min));
}

/* Rows of one time are one observation: their mean gain. Labels overlap in time: hence the lag. */
static double gain_t(double *means, double (*gain)(const double *, const double *, float),
                     const double *p, const float *labels, const int64_t *decision_ns, size_t n,
                     const double *prior, size_t lag) {
    size_t times = 0;
    for (size_t i = 0; i < n;) {
        double sum = 0, rows = 0;
        int64_t t = decision_ns[i];
        for (; i < n && decision_ns[i] == t; i++) {
            double g = gain(p + i * LABEL_COUNT, prior, labels[i]);
            if (isnan(g)) continue;
            sum += g;
            rows += 1;
        }
        if (rows > 0) means[times++] = sum / rows;
    }
    return learn_newey_west_t(means, times, lag);
}

static uint32_t labels_predicted(const struct learn_report *r) {
    uint32_t count = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        count += r->predicted_share[l] >= predicted_share_min;
    return count;
}

enum status learn_measure(struct learn_report *out, const double *p, const float *labels,
                          const int64_t *decision_ns, size_t n, const double *prior, size_t lag,
                          struct err *err) {
    double *means = malloc((n ? n : 1) * sizeof *means);
    if (!means) return err_set(err, ST_NO_MEMORY, "metrics");
    out->rows_test = n;
    out->logloss_test = learn_logloss(p, labels, n);
    out->logloss_prior = 0;
    for (size_t i = 0; i < n; i++) out->logloss_prior += loss(prior, labels[i]) / (double)n;
    measure_answers(out, p, labels, n);
    out->ece = measure_ece(p, labels, n);
    double shares[LABEL_COUNT];
    learn_class_shares(shares, labels, n, 1);
    out->skill_t = gain_t(means, gain_whole, p, labels, decision_ns, n, shares, lag);
    out->side_t = gain_t(means, gain_side, p, labels, decision_ns, n, shares, lag);
    free(means);
    out->has_skill = out->skill_t > LEARN_T_MIN && out->side_t > LEARN_T_MIN &&
                     out->logloss_test < out->logloss_prior && labels_predicted(out) >= 2;
    return ST_OK;
}
