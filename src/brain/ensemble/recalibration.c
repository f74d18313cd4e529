#include "brain/ensemble/recalibration.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

static const double slope_min = 0.25, slope_max = 4, bias_max = 2, probability_min = 1e-6;

struct recalibration_config recalibration_config_defaults(void) {
    return (struct recalibration_config){.fade = 0.999, .prior = 5};
}

void recalibration_init(struct recalibration *r, const struct recalibration_config *config) {
    ASSERT(config->fade > 0 && config->fade < 1 && config->prior > 0);
    memset(r, 0, sizeof *r);
    r->config = *config;
    r->theta[0] = 1;
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++) r->hessian[i][i] = config->prior;
}

static double log_of(double p) {
    return log(fmax(p, probability_min));
}

static void softmax(double out[LABEL_COUNT], const double *theta, const double p[LABEL_COUNT]) {
    double z[LABEL_COUNT], largest = -INFINITY, sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        z[l] = theta[0] * log_of(p[l]) + (l == LABEL_HOLD ? theta[1] : 0);
        largest = fmax(largest, z[l]);
    }
    for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += z[l] = exp(z[l] - largest);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out[l] = z[l] / sum;
}

void recalibration_apply(double out[LABEL_COUNT], const struct recalibration *r,
                         const double p[LABEL_COUNT]) {
    if (r->outcomes == 0)
        memmove(out, p, LABEL_COUNT * sizeof *out);
    else
        softmax(out, r->theta, p);
}

/* d z_l / d theta: log p_l for the slope, 1 for the bias of HOLD. */
static double slope_of(const double *log_p, uint32_t l, uint32_t i) {
    return i == 0 ? log_p[l] : l == LABEL_HOLD ? 1 : 0;
}

/* Adds one outcome's gradient and Hessian of -log p'_label. */
static void add(double *gradient, double (*hessian)[RECALIBRATION_SIZE], const double *p,
                const double *q, uint32_t label) {
    double log_p[LABEL_COUNT], mean[RECALIBRATION_SIZE] = {0};
    for (uint32_t l = 0; l < LABEL_COUNT; l++) log_p[l] = log_of(p[l]);
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++) {
        for (uint32_t l = 0; l < LABEL_COUNT; l++) mean[i] += q[l] * slope_of(log_p, l, i);
        gradient[i] += mean[i] - slope_of(log_p, label, i);
    }
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++)
        for (uint32_t j = 0; j < RECALIBRATION_SIZE; j++) {
            double second = 0;
            for (uint32_t l = 0; l < LABEL_COUNT; l++)
                second += q[l] * slope_of(log_p, l, i) * slope_of(log_p, l, j);
            hessian[i][j] += second - mean[i] * mean[j];
        }
}

/* x = a^-1 b by Cholesky; a is positive definite, since a share of H0 is in it. */
static void solve(double *x, const double (*a)[RECALIBRATION_SIZE], const double *b) {
    double l[RECALIBRATION_SIZE][RECALIBRATION_SIZE] = {{0}};
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++)
        for (uint32_t j = 0; j <= i; j++) {
            double sum = a[i][j];
            for (uint32_t k = 0; k < j; k++) sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
        }
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++) {
        double sum = b[i];
        for (uint32_t k = 0; k < i; k++) sum -= l[i][k] * x[k];
        x[i] = sum / l[i][i];
    }
    for (uint32_t i = RECALIBRATION_SIZE; i-- > 0;) {
        double sum = x[i];
        for (uint32_t k = i + 1; k < RECALIBRATION_SIZE; k++) sum -= l[k][i] * x[k];
        x[i] = sum / l[i][i];
    }
}

static void step(struct recalibration *r, const double *gradient,
                 const double (*hessian)[RECALIBRATION_SIZE]) {
    double pull = (1 - r->config.fade) * r->config.prior;
    double g[RECALIBRATION_SIZE], move[RECALIBRATION_SIZE];
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++) {
        g[i] = gradient[i] + pull * (r->theta[i] - (i == 0 ? 1 : 0));
        for (uint32_t j = 0; j < RECALIBRATION_SIZE; j++)
            r->hessian[i][j] =
                r->config.fade * r->hessian[i][j] + hessian[i][j] + (i == j ? pull : 0);
    }
    solve(move, (const double(*)[RECALIBRATION_SIZE])r->hessian, g);
    r->theta[0] = fmin(fmax(r->theta[0] - move[0], slope_min), slope_max);
    for (uint32_t i = 1; i < RECALIBRATION_SIZE; i++)
        r->theta[i] = fmin(fmax(r->theta[i] - move[i], -bias_max), bias_max);
}

void recalibration_round(struct recalibration *r, const double (*p)[LABEL_COUNT],
                         const uint32_t *labels, size_t n) {
    double gradient[RECALIBRATION_SIZE] = {0};
    double hessian[RECALIBRATION_SIZE][RECALIBRATION_SIZE] = {{0}};
    uint64_t before = r->outcomes, used = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] >= LABEL_COUNT || !ensemble_answer_is_usable(p[i], 0)) continue;
        double q[LABEL_COUNT];
        softmax(q, r->theta, p[i]);
        add(gradient, hessian, p[i], q, labels[i]);
        r->loss_raw -= log_of(p[i][labels[i]]);
        r->loss_served -= log_of(before ? q[labels[i]] : p[i][labels[i]]);
        used++;
    }
    if (used == 0) return;
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++) {
        gradient[i] /= (double)used;
        for (uint32_t j = 0; j < RECALIBRATION_SIZE; j++) hessian[i][j] /= (double)used;
    }
    r->outcomes += used;
    r->rounds++;
    step(r, gradient, (const double(*)[RECALIBRATION_SIZE])hessian);
}

bool recalibration_is_sound(const struct recalibration *r) {
    bool sound = r->theta[0] >= slope_min && r->theta[0] <= slope_max && isfinite(r->loss_raw) &&
                 isfinite(r->loss_served);
    for (uint32_t i = 1; i < RECALIBRATION_SIZE; i++) sound &= fabs(r->theta[i]) <= bias_max;
    for (uint32_t i = 0; i < RECALIBRATION_SIZE; i++) {
        sound &= r->hessian[i][i] > 0;
        for (uint32_t j = 0; j < RECALIBRATION_SIZE; j++) sound &= isfinite(r->hessian[i][j]);
    }
    return sound;
}
