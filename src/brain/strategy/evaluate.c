/* What another policy would have earned, from what this one did: doubly robust, in order of
 * time. */
#include <math.h>
#include <string.h>

#include "brain/strategy/strategy_internal.h"

enum { ROWS_MIN = 200, PROMISE_ROWS_MIN = 100, LAGS_MAX = 8 };
static const double effective_min = 50;
/* Above it one lucky row would be the result. What it cuts off is a bias, so it is shown and
 * limited. */
static const double weight_max = 20, clipped_max = 0.05;
static const double level_all = 0.05, pi = 3.14159265358979323846, z_95 = 1.959963984540054;

/* Mean and error of a series; lagged[l]: sum of x_t x_(t-l). */
struct moments {
    double n, mean, square, lagged[LAGS_MAX + 1], last[LAGS_MAX + 1];
};

static void moments_add(struct moments *m, double x) {
    uint64_t t = (uint64_t)m->n;
    m->last[t % (LAGS_MAX + 1)] = x;
    for (uint64_t l = 0; l <= LAGS_MAX && l <= t; l++)
        m->lagged[l] += x * m->last[(t - l) % (LAGS_MAX + 1)];
    double d = x - m->mean;
    m->n += 1;
    m->mean += d / m->n;
    m->square += d * (x - m->mean);
}

static double moments_error(const struct moments *m) {
    if (m->n < 2) return NAN;
    uint32_t lags = (uint32_t)(4 * pow(m->n / 100, 2.0 / 9));
    double plain = m->square / (m->n - 1), along = plain;
    for (uint32_t l = 1; l <= lags && l <= LAGS_MAX && l < m->n; l++)
        along += 2 * (1 - l / (lags + 1.0)) * (m->lagged[l] / m->n - m->mean * m->mean);
    return sqrt(fmax(plain, along) / m->n);
}

static double value_of(const struct strategy_row *r, uint32_t policy, double weight) {
    return (double)r->direct[policy] + weight * (double)(r->net_r - r->expected[r->arm]);
}

void strategy_evaluate(struct strategy_evaluation *out, const struct strategy_state *state,
                       enum strategy_policy_id policy) {
    struct moments value = {0}, gain = {0};
    double weight = 0, weight_square = 0, clipped = 0, logged = 0;
    uint64_t first = state->log_total > STRATEGY_LOG_MAX ? state->log_total - STRATEGY_LOG_MAX : 0;
    for (uint64_t i = first; i < state->log_total; i++) {
        const struct strategy_row *r = &state->log[i % STRATEGY_LOG_MAX];
        if (r->ts_ns < state->acting_since_ns) continue; /* its predecessor's choice */
        double w = (double)r->weight[policy];
        clipped += w > weight_max;
        w = fmin(w, weight_max);
        double v = value_of(r, (uint32_t)policy, w);
        weight += w;
        weight_square += w * w;
        logged += (double)r->net_r;
        moments_add(&value, v);
        moments_add(&gain, v - value_of(r, state->acting, 1));
    }
    double error = moments_error(&value), gain_error = moments_error(&gain), n = value.n;
    bool enough = n >= 2;
    *out = (struct strategy_evaluation){
        .rows = (uint64_t)n,
        .value = enough ? value.mean : NAN,
        .value_low = value.mean - z_95 * error,
        .value_high = value.mean + z_95 * error,
        .logged = enough ? logged / n : NAN,
        .gain = enough ? gain.mean : NAN,
        .gain_low = gain.mean - z_95 * gain_error,
        .gain_high = gain.mean + z_95 * gain_error,
        .p_value = enough ? 0.5 * erfc(gain.mean / fmax(gain_error, 1e-9) / sqrt(2.0)) : NAN,
        .level = NAN,
        .effective = weight_square > 0 ? weight * weight / weight_square : 0,
        .clipped = enough ? clipped / n : NAN};
}

static enum strategy_verdict judge(const struct strategy_evaluation *e) {
    if (e->rows < ROWS_MIN) return STRATEGY_TOO_FEW;
    if (!(e->effective >= effective_min) || !(e->clipped <= clipped_max))
        return STRATEGY_NO_OVERLAP;
    return e->p_value <= e->level ? STRATEGY_ALLOWED : STRATEGY_NOT_BETTER;
}

/* The level of each candidate at the next look. */
static double next_level(struct strategy_state *state) {
    if (state->looks == 0 || state->log_total - state->looks_began_at >= STRATEGY_LOG_MAX) {
        state->looks = 0;
        state->looks_began_at = state->log_total;
    }
    double look = ++state->looks;
    return level_all * 6 / (pi * pi * look * look) / (STRATEGY_POLICIES - 1);
}

/* The allowed one of the largest gain; the one that acts if there is none. */
static uint32_t judge_all(struct strategy_state *state, double level) {
    uint32_t best = state->acting;
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++) {
        struct strategy_evaluation *e = &state->newest[k];
        if (k == state->acting) continue;
        e->level = level;
        e->verdict = (uint32_t)judge(e);
        state->verdicts[e->verdict]++;
        if (e->verdict != STRATEGY_ALLOWED) continue;
        if (best == state->acting || e->gain > state->newest[best].gain) best = k;
    }
    return best;
}

/* The whole market may earn less than it did: that is no fault of the policy before it loses. */
static bool promise_is_broken(const struct strategy_state *state) {
    const struct strategy_evaluation *e = &state->newest[state->acting];
    return state->acting != STRATEGY_POLICY_OWN && e->rows >= PROMISE_ROWS_MIN &&
           e->value_high < fmin(state->promised, 0);
}

static void change(struct strategy_review *out, struct strategy_state *state, uint32_t to,
                   enum strategy_why why, int64_t now_ns) {
    bool better = why == STRATEGY_BETTER;
    *out = (struct strategy_review){.ts_ns = now_ns,
                                    .from = state->acting,
                                    .to = to,
                                    .why = (uint32_t)why,
                                    .look = better ? state->looks : 0,
                                    .review = state->reviews,
                                    .promised = better ? NAN : state->promised,
                                    .before = state->newest[state->acting],
                                    .judged = state->newest[better ? to : state->acting]};
    state->promised = to == STRATEGY_POLICY_OWN ? NAN : state->newest[to].value_low;
    state->acting = to;
    state->acting_since_ns = now_ns;
}

bool strategy_review(struct strategy_review *out, struct strategy_state *state, int64_t now_ns) {
    uint32_t every = state->policies[STRATEGY_POLICY_OWN].config.review_trades;
    if (every == 0 || state->settled - state->reviewed_at < every) return false;
    state->reviewed_at = state->settled;
    state->reviews++;
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++)
        strategy_evaluate(&state->newest[k], state, (enum strategy_policy_id)k);
    if (promise_is_broken(state)) {
        change(out, state, STRATEGY_POLICY_OWN, STRATEGY_PROMISE_BROKEN, now_ns);
        state->returned++;
        return true;
    }
    bool enough = state->newest[state->acting].rows >= ROWS_MIN;
    uint32_t best = judge_all(state, enough ? next_level(state) : NAN);
    if (best == state->acting) return false;
    change(out, state, best, STRATEGY_BETTER, now_ns);
    state->adopted++;
    return true;
}
