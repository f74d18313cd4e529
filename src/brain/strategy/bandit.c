/* The two learners: Thompson sampling, and the original's epsilon-greedy Q. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/strategy/strategy_internal.h"
#include "num/elementary.h"

enum { Q_SAMPLES_MIN = 5 };

/* Normals come in pairs; the second is kept for the next call. */
struct normals {
    struct rng *rng;
    double spare;
    bool has_spare;
};

static double next_normal(struct normals *n) {
    if (n->has_spare) {
        n->has_spare = false;
        return n->spare;
    }
    double pair[2], u = rng_f64(n->rng);
    num_normal_pair(pair, u, rng_f64(n->rng));
    n->spare = pair[1];
    n->has_spare = true;
    return pair[0];
}

/* Gamma(shape >= 1, 1). */
static double next_gamma(struct normals *n, double shape) {
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = next_normal(n), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = 1 - rng_f64(n->rng), x2 = x * x;
        if (u < 1 - 0.0331 * x2 * x2) return d * v;
        if (num_log(u) < 0.5 * x2 + d * (1 - v + num_log(v))) return d * v;
    }
}

/* Normal-inverse-gamma posterior of an arm's net R. */
struct posterior {
    double mean, weight, shape, scale;
};

static struct posterior posterior_of(const struct strategy_config *c,
                                     const struct strategy_arm *a) {
    double d = a->mean - c->prior_mean, weight = c->prior_weight + a->weight;
    return (struct posterior){.mean =
                                  (c->prior_weight * c->prior_mean + a->weight * a->mean) / weight,
                              .weight = weight,
                              .shape = c->prior_shape + 0.5 * a->weight,
                              .scale = c->prior_scale + 0.5 * a->square +
                                       0.5 * c->prior_weight * a->weight * d * d / weight};
}

static double mean_of(const struct strategy_config *config, const struct strategy_arm *arm) {
    return posterior_of(config, arm).mean;
}

static uint32_t count_of(uint32_t mask) {
    uint32_t n = 0;
    for (; mask; mask &= mask - 1) n++;
    return n;
}

static void answer_thompson(struct answer *out, const struct strategy_policy *policy,
                            struct rng *rng, const struct question *q) {
    const struct strategy_config *c = &policy->config;
    const struct strategy_arm *arms = policy->arms[q->regime][q->tier];
    struct posterior p[STRATEGY_ARMS];
    struct normals normals = {.rng = rng};
    uint32_t best_count[STRATEGY_ARMS] = {0}, n = count_of(q->eligible);
    out->greedy = STRATEGY_NONE;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        p[a] = posterior_of(c, &arms[a]);
        p[a].mean += q->shift[a];
        out->expected[a] = p[a].mean;
        if (!(q->eligible >> a & 1)) continue;
        if (out->greedy == STRATEGY_NONE || p[a].mean > p[out->greedy].mean) out->greedy = a;
    }
    for (uint32_t i = 0; i < c->draws; i++) {
        uint32_t best = STRATEGY_NONE;
        double highest = 0;
        for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
            if (!(q->eligible >> a & 1)) continue;
            double variance = p[a].scale / next_gamma(&normals, p[a].shape);
            double mean =
                p[a].mean + c->width * next_normal(&normals) * sqrt(variance / p[a].weight);
            if (best == STRATEGY_NONE || mean > highest) best = a, highest = mean;
        }
        best_count[best]++;
    }
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        if (!(q->eligible >> a & 1)) continue;
        out->best_share[a] = (double)best_count[a] / c->draws;
        out->probability[a] = (1 - c->floor) * out->best_share[a] + c->floor / n;
    }
    out->how = STRATEGY_BY_POSTERIOR;
}

/* The original's guess while little is known: reward to risk, the bold ones favoured after wins. */
static uint32_t heuristic(const struct question *q) {
    uint32_t best = STRATEGY_NONE;
    double highest = 0;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        if (!(q->eligible >> a & 1)) continue;
        const struct strategy_profile *p = strategy_profile((enum strategy_id)a);
        double score = p->reward_to_risk;
        if (p->aggressiveness >= STRATEGY_HIGH && (q->hints & HINT_WINNING)) score *= 1.2;
        if (p->aggressiveness >= STRATEGY_HIGH && (q->hints & HINT_LOSING)) score *= 0.7;
        if (p->aggressiveness >= STRATEGY_VERY_HIGH && (q->hints & HINT_WIDE)) score *= 0.8;
        if (best == STRATEGY_NONE || score > highest) best = a, highest = score;
    }
    return best;
}

static void answer_classic(struct answer *out, const struct strategy_policy *policy,
                           const struct question *q) {
    const struct strategy_config *c = &policy->config;
    const struct strategy_arm *arms = policy->arms[q->regime][q->tier];
    uint32_t n = count_of(q->eligible);
    uint64_t samples = 0;
    out->greedy = STRATEGY_NONE;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        out->expected[a] = arms[a].q;
        if (!(q->eligible >> a & 1)) continue;
        samples += arms[a].count;
        if (out->greedy == STRATEGY_NONE || arms[a].q > arms[out->greedy].q) out->greedy = a;
    }
    out->how = STRATEGY_BY_Q;
    if (samples < Q_SAMPLES_MIN || arms[out->greedy].q < c->q_least) {
        out->greedy = heuristic(q);
        out->how = STRATEGY_BY_HEURISTIC;
    }
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++)
        if (q->eligible >> a & 1)
            out->probability[a] = c->epsilon / n + (a == out->greedy ? 1 - c->epsilon : 0);
}

void bandit_answer(struct answer *out, const struct strategy_policy *policy, struct rng *rng,
                   const struct question *q) {
    ASSERT(q->eligible != 0 && q->eligible < 1U << STRATEGY_ARMS);
    memset(out, 0, sizeof *out);
    if (policy->config.algorithm == STRATEGY_CLASSIC)
        answer_classic(out, policy, q);
    else
        answer_thompson(out, policy, rng, q);
}

static void learn(struct strategy_policy *policy, uint32_t regime, uint32_t tier, uint32_t arm,
                  double net_r) {
    const struct strategy_config *c = &policy->config;
    struct strategy_arm *arms = policy->arms[regime][tier], *chosen = &arms[arm];
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        arms[a].weight *= c->forget;
        arms[a].square *= c->forget;
    }
    double d = net_r - chosen->mean;
    chosen->weight += 1;
    chosen->mean += d / chosen->weight;
    chosen->square += d * (net_r - chosen->mean);
    chosen->q = chosen->count == 0 ? net_r : (1 - c->alpha) * chosen->q + c->alpha * net_r;
    chosen->count++;
    chosen->wins += net_r > 0;
    chosen->total_r += net_r;
}

void bandit_learn(struct strategy_state *state, uint32_t regime, uint32_t tier, uint32_t arm,
                  double net_r) {
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++)
        learn(&state->policies[k], regime, tier, arm, net_r);
}

/* ---- Choosing ---- */

void bandit_question(struct question *out, const struct strategy_policy *policy,
                     const struct strategy_context *context, uint32_t eligible,
                     const struct strategy_prior *priors) {
    const struct strategy_config *c = &policy->config;
    *out = (struct question){.regime = context->regime,
                             .tier = context->tier,
                             .eligible = eligible,
                             .hints = (context->win_rate > 0.55 ? HINT_WINNING : 0U) |
                                      (context->win_rate < 0.45 ? HINT_LOSING : 0U) |
                                      (context->spread_bps > 5 ? HINT_WIDE : 0U)};
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        if (!(priors[a].samples > 0) || !isfinite(priors[a].mean_r)) continue;
        double share = priors[a].samples / (priors[a].samples + c->symbol_samples);
        const struct strategy_arm *arm = &policy->arms[context->regime][context->tier][a];
        out->shift[a] = share * (priors[a].mean_r - mean_of(c, arm));
    }
}

/* The chosen arm of chances p by u in [0, 1); rounding left over falls to the last one that can
 * be. */
static uint32_t drawn(const double *p, double u) {
    uint32_t last = STRATEGY_NONE;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        if (!(p[a] > 0)) continue;
        last = a;
        if (u < p[a]) break;
        u -= p[a];
    }
    return last;
}

static void pick_thompson(struct strategy_decision *out, struct strategy_state *state,
                          const struct answer *a) {
    out->arm = drawn(a->probability, rng_f64(&state->rng));
    out->how = a->how;
    out->explored = out->arm != a->greedy;
    out->confidence = a->best_share[out->arm];
}

static void pick_classic(struct strategy_decision *out, struct strategy_state *state,
                         const struct answer *a) {
    const struct strategy_config *c = &strategy_acting(state)->config;
    out->explored = rng_f64(&state->rng) < c->epsilon;
    if (out->explored) {
        uint64_t left = rng_below(&state->rng, count_of(out->eligible));
        for (uint32_t i = 0; i < STRATEGY_ARMS; i++) {
            if (!(out->eligible >> i & 1)) continue;
            if (left-- == 0) out->arm = i;
        }
        out->how = STRATEGY_BY_CHANCE;
        out->confidence = 0.50;
        return;
    }
    out->arm = a->greedy;
    out->how = a->how;
    out->confidence = 0.60;
    if (a->how == STRATEGY_BY_Q)
        out->confidence = fmin(0.95, 0.60 + 0.5 * (a->expected[a->greedy] - c->q_least));
}

void strategy_choose(struct strategy_decision *out, struct strategy_state *state,
                     const struct strategy_context *context, const struct strategy_prior *priors) {
    ASSERT(context->regime < REGIME_COUNT && context->tier < STRATEGY_TIERS);
    const struct strategy_policy *policy = strategy_acting(state);
    memset(out, 0, sizeof *out);
    out->context = *context;
    out->arm = STRATEGY_NONE;
    out->how = STRATEGY_BY_NOTHING;
    out->eligible = strategy_suitable(context, policy->config.use_confidence != 0);
    state->decisions++;
    if (out->eligible == 0) return;

    if (priors) memcpy(out->priors, priors, sizeof out->priors);
    struct question q;
    struct answer answer;
    bandit_question(&q, policy, context, out->eligible, out->priors);
    bandit_answer(&answer, policy, &state->rng, &q);
    if (policy->config.algorithm == STRATEGY_CLASSIC)
        pick_classic(out, state, &answer);
    else
        pick_thompson(out, state, &answer);
    memcpy(out->probability, answer.probability, sizeof out->probability);
    memcpy(out->expected_r, answer.expected, sizeof out->expected_r);
    memcpy(out->shift, q.shift, sizeof out->shift);
    out->propensity = out->probability[out->arm];
    state->explorations += out->explored;
}
