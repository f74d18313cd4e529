/* Calibrates the pool itself while it serves. Each voter may be calibrated and the pool is not: one whose weights
 * sum to 1 is too modest where voters know different things, and as good as its best voter at most.
 *
 * Three logits of one slope, and a bias of HOLD,
 *     p'_l proportional to exp(slope * log p_l + (l is HOLD ? bias : 0)),
 * learned from what the pool said and what came, by Newton steps on the log-loss with fading memory: each round
 *     H = f H + (1 - f) H0 + mean Hessian,  theta -= H^-1 (mean gradient + (1 - f) H0 (theta - theta0)).
 * Means, not sums: what comes of one moment's statements comes together, so a round of forty symbols is not forty
 * observations. And no bias of BUY or SELL: which way the market went lately is not which way it goes, while how much
 * it moves lasts. What is learned fades by f a round, and with nothing to learn from it goes back to the identity. The loss is
 * convex in theta.
 *
 * Pure; plain numbers without pointers.
 * Source  Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017 (temperature, vector
 *         scaling); Hazan, Agarwal, Kale, "Logarithmic regret algorithms for online convex optimization", Machine
 *         Learning 69 (2007) (online Newton steps). Pools of one less sum are too modest: Ranjan, Gneiting, "Combining
 *         probability forecasts", J. R. Stat. Soc. B 72 (2010).
 * Tests   test_recalibration.c */
#ifndef BRAIN_ENSEMBLE_RECALIBRATION_H
#define BRAIN_ENSEMBLE_RECALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brain/ensemble/ensemble.h"

enum { RECALIBRATION_SIZE = 2 };

struct recalibration_config {
    double fade;  /* f: 0.999 a round, half after 693 */
    double prior; /* diagonal of H0: 5 rounds, the weight of the identity */
};
struct recalibration_config recalibration_config_defaults(void);

struct recalibration {
    struct recalibration_config config;
    double theta[RECALIBRATION_SIZE]; /* slope, bias of HOLD */
    double hessian[RECALIBRATION_SIZE][RECALIBRATION_SIZE];
    uint64_t rounds, outcomes;
    double loss_raw, loss_served; /* sums over the outcomes: of p and of p' as it was served then */
};

/* 0 < fade < 1, prior > 0 (asserted). */
void recalibration_init(struct recalibration *r, const struct recalibration_config *config);
/* out (LABEL_COUNT) = p calibrated; the same to the last bit before the first round. out may be p. */
void recalibration_apply(double out[LABEL_COUNT], const struct recalibration *r,
                         const double p[LABEL_COUNT]);
/* What came of one time's statements: p (n, LABEL_COUNT) as pooled, not yet calibrated, labels (n). A p that is no
 * probability triple, or a label that is none, is left out. */
void recalibration_round(struct recalibration *r, const double (*p)[LABEL_COUNT],
                         const uint32_t *labels, size_t n);
/* Whether each number is one, slope and bias within their bounds (0.25..4, -2..2). */
bool recalibration_is_sound(const struct recalibration *r);

#endif
