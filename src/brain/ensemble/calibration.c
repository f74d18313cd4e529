#include "brain/ensemble/ensemble.h"

/* Linear between the knots, flat outside them. */
static double calibrate_one(const struct calibration *c, double x) {
    uint32_t n = c->knot_count;
    if (x <= c->x[0]) return c->y[0];
    if (x >= c->x[n - 1]) return c->y[n - 1];
    uint32_t lo = 0, hi = n - 1;
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (c->x[mid] <= x)
            lo = mid;
        else
            hi = mid;
    }
    double share = (x - c->x[lo]) / (c->x[hi] - c->x[lo]);
    return c->y[lo] + share * (c->y[hi] - c->y[lo]);
}

void calibration_apply(double *p, const struct calibration per_label[LABEL_COUNT]) {
    double q[LABEL_COUNT], sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        q[l] = per_label[l].knot_count ? calibrate_one(&per_label[l], p[l]) : p[l];
        sum += q[l];
    }
    if (!(sum > 0)) return;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) p[l] = q[l] / sum;
}
