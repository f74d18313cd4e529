/* Beta calibration: three parameters where isotonic regression has a staircase. For few rows: it cannot
 * follow noise. Its map is handed on as the knots of struct calibration, so files and service need not
 * know which of the two was fitted.
 *
 *     odds(q) = e^c p^a / (1 - p)^b,  a, b >= 0:  rises with p; a = b = 1, c = 0 is the identity
 *
 * Source  Kull, Silva Filho, Flach, "Beyond sigmoids: how to obtain well-calibrated probabilities from binary
 *         classifiers with beta calibration", Electronic J. Statistics 11 (2017). */
#ifndef BRAIN_ENSEMBLE_CALIBRATION_BETA_H
#define BRAIN_ENSEMBLE_CALIBRATION_BETA_H

#include <stdbool.h>
#include <stddef.h>

#include "brain/ensemble/ensemble.h"

struct calibration_beta {
    double a, b, c;
    double p_min, p_max; /* of the rows it was fitted on */
};

/* Maximum likelihood (a logistic regression on ln p and -ln(1 - p), Newton's method); a negative a or b
 * is held at 0 and the rest fitted again. p (rows) in [0, 1], taken as at least 1e-6 away from both
 * ends. False: no rows, a p outside, only one outcome, or no finite solution (outcomes separated by p); out is
 * then the identity. Time O(rows) a step, at most 100 steps. */
bool calibration_beta_fit(struct calibration_beta *out, const double *p, const bool *hit,
                          size_t rows);
double calibration_beta_value(const struct calibration_beta *beta, double p);
/* The same map as knots over [p_min, p_max], denser towards the ends; within 0.002 of it there for a, b in
 * 0.2 .. 5. One knot if p_min = p_max. */
void calibration_beta_knots(struct calibration *out, const struct calibration_beta *beta);

#endif
