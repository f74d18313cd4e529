/* Exponentiated gradient with sleeping models, fixed share and bounds. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/governance/governance_internal.h"
#include "num/elementary.h"

static const double loss_max_nats = 3.0;
static const double probability_min = 0.049787068367863944; /* e^-3 */
/* A weight that reached 0 could never rise again. */
static const double weight_min = 1e-300;

double governance_loss(enum governance_score score, const double *p, enum label label) {
    if (score == GOVERNANCE_BRIER) {
        double sum = 0;
        for (uint32_t l = 0; l < LABEL_COUNT; l++) {
            double d = p[l] - (l == (uint32_t)label ? 1 : 0);
            sum += d * d;
        }
        return fmin(sum / 2, 1);
    }
    double q = fmin(fmax(p[label], probability_min), 1);
    return fmin(-num_log(q) / loss_max_nats, 1);
}

static bool is_in(uint32_t mask, uint32_t model) {
    return mask >> model & 1;
}

/* Weight of the models in mask; exactly 1 if that is all of them, so that roundings never add up. */
static double mass_of(const double *w, uint32_t mask) {
    double others = 0, in = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) *(is_in(mask, k) ? &in : &others) += w[k];
    return others > 0 ? in : 1;
}

/* The awake share their weight anew, sleepers keep theirs to the last bit: then the potential of each sleeper is
 * untouched and the bound counts only the rounds a model forecast in. */
void governance_hedge_outcome(struct governance *g, const struct governance_outcome *o,
                              uint32_t awake, size_t n) {
    double loss[MODEL_COUNT] = {0}, next[MODEL_COUNT] = {0}, sum = 0, learner = 0;
    double mass = mass_of(g->learned, awake), awake_sum = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!is_in(awake, k)) continue;
        loss[k] =
            governance_loss((enum governance_score)g->config.score, o->p[k], (enum label)o->label);
        learner += g->learned[k] * loss[k];
        awake_sum += g->learned[k];
        next[k] = g->learned[k] * num_exp(-g->config.learning_rate / (double)n * loss[k]);
        sum += next[k];
    }
    learner /= awake_sum;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!is_in(awake, k)) continue;
        g->learner_loss[k] += learner / (double)n;
        g->model_loss[k] += loss[k] / (double)n;
        g->since_loss[k] += loss[k];
        g->since_forecasts[k]++;
        if (g->config.rule == GOVERNANCE_HEDGE)
            g->learned[k] = fmax(next[k] * (mass / sum), weight_min);
    }
}

void governance_hedge_round(struct governance *g, uint32_t awake) {
    if (awake == 0) return;
    double share = g->config.share, mass = mass_of(g->learned, awake);
    double prior_mass = mass_of(g->prior, awake);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (is_in(awake, k) && share > 0)
            g->learned[k] = (1 - share) * g->learned[k] + share * mass * (g->prior[k] / prior_mass);
    governance_project(g->learned, g->config.floor, g->config.cap);
}

static double clamped_sum(const double *w, double scale, double floor, double cap) {
    double sum = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) sum += fmin(fmax(w[k] * scale, floor), cap);
    return sum;
}

void governance_project(double w[MODEL_COUNT], double floor, double cap) {
    ASSERT(floor >= 0 && floor * MODEL_COUNT <= 1 && cap <= 1 && cap * MODEL_COUNT >= 1);
    bool is_within = true;
    double sum = 0, points[2 * MODEL_COUNT + 1] = {0};
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!(w[k] >= floor && w[k] <= cap)) is_within = false;
        sum += w[k];
    }
    if (is_within && fabs(sum - 1) < 1e-12) return;
    /* The sum of clamped w * scale rises with scale and is linear between the scales at which one
     * weight meets a bound: walk these in order to where it reaches 1. */
    uint32_t count = 1;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        w[k] = fmax(w[k], weight_min);
        points[count++] = floor / w[k];
        points[count++] = cap / w[k];
    }
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = i; j > 0 && points[j - 1] > points[j]; j--) {
            double t = points[j];
            points[j] = points[j - 1];
            points[j - 1] = t;
        }
    double low = 0, low_sum = clamped_sum(w, 0, floor, cap), scale = points[count - 1];
    for (uint32_t i = 1; i < count; i++) {
        double high_sum = clamped_sum(w, points[i], floor, cap);
        if (high_sum >= 1 && high_sum > low_sum) {
            scale = low + (1 - low_sum) / (high_sum - low_sum) * (points[i] - low);
            break;
        }
        low = points[i];
        low_sum = high_sum;
    }
    for (uint32_t k = 0; k < MODEL_COUNT; k++) w[k] = fmin(fmax(w[k] * scale, floor), cap);
}

double governance_regret(const struct governance *g, const double u[MODEL_COUNT]) {
    double sum = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        sum += u[k] * (g->learner_loss[k] - g->model_loss[k]);
    return sum;
}

double governance_regret_bound(const struct governance *g, const double u[MODEL_COUNT]) {
    double divergence = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (u[k] > 0) divergence += u[k] * num_log(u[k] / g->start[k]);
    double rate = g->config.learning_rate;
    double per_round = rate / 8 - (g->config.share > 0 ? num_log(1 - g->config.share) / rate : 0);
    return divergence / rate + (double)g->regret_rounds * per_round;
}
