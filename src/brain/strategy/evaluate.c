/* What another policy would have earned, from what this one did: doubly robust, in order of
 * time. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/strategy/strategy_internal.h"

enum { ROWS_MIN = 100, LAGS_MAX = 8 };
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

/* A learner that sees the log go by: learns what had closed, then says what it would do. */
struct replay {
    const struct strategy_state *log; /* rows in order of closing */
    uint64_t next;                    /* of log_total: the first not yet learned */
    struct strategy_state *learner;
};

static void replay_policy(double *out, void *context, const struct strategy_row *row) {
    struct replay *replay = context;
    for (; replay->next < replay->log->log_total; replay->next++) {
        const struct strategy_row *r = &replay->log->log[replay->next % STRATEGY_LOG_MAX];
        /* at the same moment: not known yet, nor is its own */
        if (r->closed_ns >= row->ts_ns) break;
        bandit_learn(replay->learner, r->regime, r->tier, r->arm, (double)r->net_r);
    }
    struct question q = {
        .regime = row->regime, .tier = row->tier, .eligible = row->eligible, .hints = row->hints};
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) q.shift[a] = (double)row->shift[a];
    struct answer answer;
    bandit_answer(&answer, replay->learner, &q);
    memcpy(out, answer.probability, sizeof answer.probability);
}

/* rows (count) of the log into order of choice; equal times stay as they closed. Insertion:
 * trades close nearly in the order they were opened, and the log is short. */
static size_t copy_by_choice(struct strategy_row *rows, const struct strategy_state *state) {
    uint64_t first = state->log_total > STRATEGY_LOG_MAX ? state->log_total - STRATEGY_LOG_MAX : 0;
    size_t count = 0;
    for (uint64_t k = first; k < state->log_total; k++) {
        const struct strategy_row *row = &state->log[k % STRATEGY_LOG_MAX];
        size_t i = count++;
        for (; i > 0 && rows[i - 1].ts_ns > row->ts_ns; i--) rows[i] = rows[i - 1];
        rows[i] = *row;
    }
    return count;
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

    /* The scratch's learner learns; its log holds the rows in order of choice. */
    strategy_init(scratch, state->rng.key ^ state->log_total, candidate);
    size_t count = copy_by_choice(scratch->log, state), half = count / 2;
    struct replay replay = {.log = state, .next = state->log_total - count, .learner = scratch};
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
