#include "brain/ensemble/calibration_beta.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "num/elementary.h"

enum { PARAMETERS = 3, STEPS_MAX = 100, HALVINGS_MAX = 40 };
static const double probability_min = 1e-6;
/* Beyond it the likelihood has no maximum worth the name: p separates the outcomes. */
static const double parameter_max = 1e4;
/* A mean of logarithms near 1 is not known better; Newton's last steps fall below it at once. */
static const double loss_rounding = 1e-14;

static double clip(double p) {
    return fmin(fmax(p, probability_min), 1 - probability_min);
}

static void terms_of(double x[PARAMETERS], double p) {
    p = clip(p);
    x[0] = num_log(p);
    x[1] = -num_log(1 - p);
    x[2] = 1;
}

static double logistic(double z) {
    z = fmin(fmax(z, -600), 600);
    return 1 / (1 + num_exp(-z));
}

static double dot(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Mean of -ln likelihood; with derivatives if asked. */
static double loss(double *gradient, double hessian[PARAMETERS][PARAMETERS],
                   const double theta[PARAMETERS], const double *p, const bool *hit, size_t rows) {
    double sum = 0;
    if (gradient) {
        memset(gradient, 0, PARAMETERS * sizeof *gradient);
        memset(hessian, 0, PARAMETERS * sizeof *hessian);
    }
    for (size_t i = 0; i < rows; i++) {
        double x[PARAMETERS];
        terms_of(x, p[i]);
        double z = dot(theta, x), q = logistic(z);
        double at = hit[i] ? z : -z; /* -ln logistic(at) = ln(1 + e^-at) */
        double e = num_exp(-fmin(fabs(at), 600));
        sum += num_log(1 + e) + (at < 0 ? -at : 0);
        if (!gradient) continue;
        for (int j = 0; j < PARAMETERS; j++) {
            gradient[j] += (q - (hit[i] ? 1 : 0)) * x[j] / (double)rows;
            for (int k = 0; k < PARAMETERS; k++)
                hessian[j][k] += q * (1 - q) * x[j] * x[k] / (double)rows;
        }
    }
    return sum / (double)rows;
}

/* h d = g by Gaussian elimination over the free parameters; h is symmetric, positive and damped. */
static void solve(double d[PARAMETERS], double h[PARAMETERS][PARAMETERS], double g[PARAMETERS],
                  const bool is_free[PARAMETERS]) {
    for (int j = 0; j < PARAMETERS; j++) {
        h[j][j] += 1e-9;
        if (is_free[j]) continue;
        for (int k = 0; k < PARAMETERS; k++) h[j][k] = h[k][j] = 0;
        h[j][j] = 1;
        g[j] = 0;
    }
    for (int j = 0; j < PARAMETERS; j++)
        for (int r = j + 1; r < PARAMETERS; r++) {
            double f = h[r][j] / h[j][j];
            for (int k = j; k < PARAMETERS; k++) h[r][k] -= f * h[j][k];
            g[r] -= f * g[j];
        }
    for (int j = PARAMETERS - 1; j >= 0; j--) {
        d[j] = g[j];
        for (int k = j + 1; k < PARAMETERS; k++) d[j] -= h[j][k] * d[k];
        d[j] /= h[j][j];
    }
}

static bool descend(double theta[PARAMETERS], const bool is_free[PARAMETERS], const double *p,
                    const bool *hit, size_t rows) {
    double g[PARAMETERS], h[PARAMETERS][PARAMETERS], d[PARAMETERS];
    for (int step = 0; step < STEPS_MAX; step++) {
        double before = loss(g, h, theta, p, hit, rows);
        solve(d, h, g, is_free);
        double share = 1, trial[PARAMETERS], after = INFINITY;
        for (int n = 0; n < HALVINGS_MAX && !(after <= before); n++, share /= 2) {
            for (int j = 0; j < PARAMETERS; j++) trial[j] = theta[j] - share * d[j];
            after = loss(NULL, NULL, trial, p, hit, rows);
        }
        if (!(after <= before)) return true; /* nothing lower to the last bit */
        memcpy(theta, trial, sizeof trial);
        if (before - after <= loss_rounding) return true;
        for (int j = 0; j < PARAMETERS; j++)
            if (!(fabs(theta[j]) < parameter_max)) return false;
    }
    return false;
}

bool calibration_beta_fit(struct calibration_beta *out, const double *p, const bool *hit,
                          size_t rows) {
    *out = (struct calibration_beta){.a = 1, .b = 1, .p_max = 1};
    size_t hits = 0;
    double lowest = INFINITY, highest = -INFINITY;
    for (size_t i = 0; i < rows; i++) {
        if (!(p[i] >= 0 && p[i] <= 1)) return false;
        hits += hit[i];
        lowest = fmin(lowest, p[i]);
        highest = fmax(highest, p[i]);
    }
    if (hits == 0 || hits == rows) return false;
    double theta[PARAMETERS] = {1, 1, 0};
    bool is_free[PARAMETERS] = {true, true, true};
    for (int round = 0; round < PARAMETERS; round++) {
        if (!descend(theta, is_free, p, hit, rows)) return false;
        int worst = theta[0] <= theta[1] ? 0 : 1;
        if (theta[worst] >= 0) break;
        theta[worst] = 0;
        is_free[worst] = false;
    }
    *out = (struct calibration_beta){theta[0], theta[1], theta[2], lowest, highest};
    return true;
}

double calibration_beta_value(const struct calibration_beta *beta, double p) {
    double x[PARAMETERS];
    terms_of(x, p);
    return logistic(beta->a * x[0] + beta->b * x[1] + beta->c);
}

void calibration_beta_knots(struct calibration *out, const struct calibration_beta *beta) {
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < CALIBRATION_KNOTS_MAX; i++) {
        double sine, cosine;
        num_circle(&sine, &cosine, 0.5 * i / (CALIBRATION_KNOTS_MAX - 1));
        double x = beta->p_min + (beta->p_max - beta->p_min) * (1 - cosine) / 2;
        double y = calibration_beta_value(beta, x);
        uint32_t n = out->knot_count;
        if (n > 0 && !(x > out->x[n - 1])) continue; /* a range of a few roundings */
        out->x[n] = x;
        out->y[n] = n > 0 ? fmax(y, out->y[n - 1]) : y;
        out->knot_count++;
    }
}
