/* What another policy would have earned, from what this one did: doubly robust, in order of time. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/strategy/strategy_internal.h"

enum { ROWS_MIN = 100 };
static const double effective_min = 50;
/* Above it one lucky row would be the result. What it cuts off is a bias, so it is shown and limited. */
static const double weight_max = 20, clipped_max = 0.05;
static const double level_all = 0.05, pi = 3.14159265358979323846, z_95 = 1.959963984540054;

struct moments {
    double n, mean, square;
};

static void moments_add(struct moments *m, double x) {
    double d = x - m->mean;
    m->n += 1;
    m->mean += d / m->n;
    m->square += d * (x - m->mean);
}

static double moments_error(const struct moments *m) {
    return m->n < 2 ? NAN : sqrt(m->square / (m->n - 1) / m->n);
}

void strategy_evaluate(struct strategy_evaluation *out, const struct strategy_row *rows,
                       size_t count, strategy_policy_fn policy, void *context) {
    struct moments value = {0}, gain = {0}, logged = {0};
    double weight = 0, weight_square = 0, clipped = 0;
    for (size_t i = 0; i < count; i++) {
        const struct strategy_row *r = &rows[i];
        double p[STRATEGY_ARMS], v = 0;
        policy(p, context, r);
        for (uint32_t a = 0; a < STRATEGY_ARMS; a++) v += p[a] * (double)r->expected[a];
        double w = p[r->arm] / (double)r->propensity;
        clipped += w > weight_max;
        w = fmin(w, weight_max);
        v += w * (double)(r->net_r - r->expected[r->arm]);
        weight += w;
        weight_square += w * w;
        moments_add(&value, v);
        moments_add(&logged, (double)r->net_r);
        moments_add(&gain, v - (double)r->net_r);
    }
    double error = moments_error(&value), gain_error = moments_error(&gain);
    bool enough = count >= 2;
    *out = (struct strategy_evaluation){
        .rows = count,
        .value = enough ? value.mean : NAN,
        .value_low = value.mean - z_95 * error,
        .value_high = value.mean + z_95 * error,
        .logged = enough ? logged.mean : NAN,
        .gain = enough ? gain.mean : NAN,
        .gain_low = gain.mean - z_95 * gain_error,
        .gain_high = gain.mean + z_95 * gain_error,
        .p_value = enough ? 0.5 * erfc(gain.mean / fmax(gain_error, 1e-9) / sqrt(2.0)) : NAN,
        .effective = weight_square > 0 ? weight * weight / weight_square : 0,
        .clipped = enough ? clipped / (double)count : NAN};
}

/* A learner that sees the log go by: says what it would do, then learns the row. */
struct replay {
    struct strategy_state *learner;
    const struct strategy_row *last; /* not yet learned */
};

static void replay_learn(struct replay *replay) {
    const struct strategy_row *r = replay->last;
    if (r) bandit_learn(replay->learner, r->regime, r->tier, r->arm, (double)r->net_r);
    replay->last = NULL;
}

static void replay_policy(double *out, void *context, const struct strategy_row *row) {
    struct replay *replay = context;
    replay_learn(replay);
    struct question q = {
        .regime = row->regime, .tier = row->tier, .eligible = row->eligible, .hints = row->hints};
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) q.shift[a] = (double)row->shift[a];
    struct answer answer;
    bandit_answer(&answer, replay->learner, &q);
    memcpy(out, answer.probability, sizeof answer.probability);
    replay->last = row;
}

static enum strategy_verdict judge(const struct strategy_evaluation *e) {
    if (e->rows < ROWS_MIN) return STRATEGY_TOO_FEW;
    if (!(e->effective >= effective_min) || !(e->clipped <= clipped_max))
        return STRATEGY_NO_OVERLAP;
    return e->p_value <= e->level ? STRATEGY_ALLOWED : STRATEGY_NOT_BETTER;
}

bool strategy_policy_allowed(struct strategy_evaluation *out, struct strategy_state *state,
                             struct strategy_state *scratch,
                             const struct strategy_config *candidate) {
    ASSERT(state != scratch);
    if (state->trials == 0 || state->log_total - state->trials_began_at >= STRATEGY_LOG_MAX) {
        state->trials = 0;
        state->trials_began_at = state->log_total;
    }
    state->trials++;

    /* The log in order of time lies in the scratch's own rows: its learner is what is used of it. */
    strategy_init(scratch, state->rng.key ^ state->log_total, candidate);
    size_t count =
        state->log_total < STRATEGY_LOG_MAX ? (size_t)state->log_total : STRATEGY_LOG_MAX;
    for (size_t i = 0; i < count; i++)
        scratch->log[i] = state->log[(state->log_total - count + i) % STRATEGY_LOG_MAX];
    struct replay replay = {.learner = scratch};
    size_t half = count / 2;
    for (size_t i = 0; i < half; i++) {
        replay_learn(&replay);
        replay.last = &scratch->log[i];
    }
    strategy_evaluate(out, scratch->log + half, count - half, replay_policy, &replay);
    out->trial = state->trials;
    out->level = level_all * 6 / (pi * pi * (double)state->trials * (double)state->trials);
    out->verdict = (uint32_t)judge(out);
    return out->verdict == STRATEGY_ALLOWED;
}

bool strategy_adopt(struct strategy_evaluation *out, struct strategy_state *state,
                    struct strategy_state *scratch, const struct strategy_config *candidate) {
    if (!strategy_policy_allowed(out, state, scratch, candidate)) return false;
    state->config = *candidate;
    return true;
}
