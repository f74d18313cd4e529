#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/sizing/sizing.h"

enum {
    NEUTRAL_SIZE = 3, /* 0.50 */
    SAFE_SIZE = 2,    /* 0.25: the action that 0.3 is credited to */
    CELL_MIN = 5,     /* outcomes of a pair before it may be chosen by its average */
    REGIME_TIMES = 5  /* a whole regime decides for a state at this many times trained_min */
};
static const double SAFE_MULTIPLIER = 0.3 * 1 / 5;
static const double SIZES[SIZING_SIZES] = {10.0 / 8000, 0.10, 0.25, 0.50, 1.0};

const char *sizing_pair_text(enum sizing_pair pair) {
    static const char *const text[SIZING_PAIRS] = {"conservative", "balanced", "aggressive"};
    return (uint32_t)pair < SIZING_PAIRS ? text[pair] : "?";
}

const char *sizing_why_text(enum sizing_why why) {
    static const char *const text[SIZING_WHY_COUNT] = {"unknown_state", "safe",    "neutral",
                                                       "regime",        "learned", "explored"};
    return (uint32_t)why < SIZING_WHY_COUNT ? text[why] : "?";
}

static uint32_t action_index(uint32_t size, uint32_t leverage, uint32_t pair) {
    return (size * SIZING_LEVERAGES + leverage - 1) * SIZING_PAIRS + pair;
}

struct sizing_action sizing_action_get(uint32_t action) {
    ASSERT(action < SIZING_ACTIONS);
    static const double take[SIZING_PAIRS] = {0.025, 0.03, 0.04};
    static const double stop[SIZING_PAIRS] = {0.01, 0.015, 0.02};
    uint32_t pair = action % SIZING_PAIRS, leverage = action / SIZING_PAIRS % SIZING_LEVERAGES + 1;
    double size = SIZES[action / (SIZING_PAIRS * SIZING_LEVERAGES)];
    return (struct sizing_action){.size = size,
                                  .multiplier = size * leverage / SIZING_LEVERAGES,
                                  .take_distance = take[pair],
                                  .stop_distance = stop[pair],
                                  .leverage = leverage,
                                  .pair = pair};
}

/* ---- state ---- */

static enum sizing_regime regime_of(const struct sizing_context *c) {
    bool trending;
    if (c->adx >= 0 && c->adx <= 100)
        trending = c->adx > 25;
    else if (c->trend >= -1 && c->trend <= 1)
        trending = fabs(c->trend) > 0.5;
    else
        return SIZING_CHOPPY;
    if (c->atr > 0.03) return trending ? SIZING_HIGH_VOL_TREND : SIZING_HIGH_VOL_RANGE;
    return trending ? SIZING_LOW_VOL_TREND : SIZING_LOW_VOL_RANGE;
}

uint32_t sizing_state(const struct sizing_context *c, double win_rate) {
    if (!(c->atr > 0 && c->atr < 0.5) || !(c->confidence >= 0 && c->confidence <= 1) ||
        !(c->exposure >= 0) || !(win_rate >= 0 && win_rate <= 1))
        return SIZING_STATE_NONE;
    double p = c->confidence, x = c->exposure;
    uint32_t confidence = p >= .85 ? 0 : p >= .70 ? 1 : p >= .55 ? 2 : p >= .45 ? 3 : 4;
    uint32_t exposure = x < .30 ? 0 : x < .60 ? 1 : x < .80 ? 2 : 3;
    uint32_t record = win_rate >= .60 ? 0 : win_rate >= .45 ? 1 : 2;
    return (((uint32_t)regime_of(c) * 5 + confidence) * 4 + exposure) * 3 + record;
}

enum sizing_regime sizing_state_regime(uint32_t state) {
    ASSERT(state < SIZING_STATES);
    return (enum sizing_regime)(state / 60);
}

/* ---- reward ---- */

double sizing_reward(const struct sizing_reward_config *c, const struct sizing_outcome *o,
                     double fraction) {
    double r = o->result * fraction, d = o->drawdown * fraction;
    double days = (double)o->held_ns / 86400e9, worst = fmax(fabs(r), d);
    return r - c->hold_per_day * days - c->drawdown * d + (r > 0 ? c->win : 0) -
           c->risk_aversion / 2 * worst * worst;
}

struct sizing_learner_config sizing_learner_defaults(void) {
    return (struct sizing_learner_config){
        .reward = {.risk_aversion = 4},
        .epsilon = 0.10,
        .alpha = 0.02,
        .caution = 1,
        .trained_min = 10,
        .average_first = true,
        .credit_all_sizes = true,
    };
}

struct sizing_learner_config sizing_learner_original(void) {
    return (struct sizing_learner_config){
        .reward = {.hold_per_day = 0.01, .drawdown = 0.5, .win = 0.1},
        .epsilon = 0.10,
        .alpha = 0.20,
        .untrained_mean = 0.05,
        .trained_min = 1,
    };
}

/* ---- choice ---- */

void sizing_learner_init(struct sizing_learner *l, uint64_t seed) {
    memset(l, 0, sizeof *l);
    l->version = SIZING_LEARNER_VERSION;
    l->rows = SIZING_ROWS;
    l->rng = rng_init(seed);
}

double sizing_win_rate(const struct sizing_learner *l) {
    if (l->record_count < SIZING_RECORD / 2) return 0.5;
    uint32_t won = 0;
    for (uint32_t k = 0; k < l->record_count; k++) won += l->record >> k & 1;
    return (double)won / l->record_count;
}

static bool row_trained(const struct sizing_learner *l, const struct sizing_learner_config *c,
                        uint32_t row, uint32_t times) {
    uint32_t count = l->row_count[row];
    if (count == 0 || count / times < c->trained_min) return false;
    if (!(c->untrained_mean > 0)) return true;
    double sum = 0, tried = 0;
    for (uint32_t a = 0; a < SIZING_ACTIONS; a++)
        if (l->cells[row][a].count > 0) {
            sum += l->cells[row][a].q;
            tried++;
        }
    return fabs(sum / tried) >= c->untrained_mean;
}

/* Steps of size alpha remember about (2 - alpha) / alpha rewards. */
static double cell_se(const struct sizing_cell *cell, const struct sizing_learner_config *c) {
    double n = cell->count, most = (2 - c->alpha) / c->alpha;
    if (!(n > 0)) return 0;
    return sqrt(cell->variance / (n < most ? n : most));
}

/* Best action of a row, or SIZING_ACTIONS if none is known well enough.
 *
 * Sizes of a pair are paid by the same trades, so the doubt about the difference of two is the
 * difference of their standard errors. That much is asked of every step away from the neutral size,
 * up or down. Of equals the smaller position, then the lower leverage. */
static uint32_t best_action(const struct sizing_learner *l, const struct sizing_learner_config *c,
                            uint32_t row) {
    uint32_t best = SIZING_ACTIONS;
    double best_score = 0;
    struct sizing_action of = {0};
    for (uint32_t a = 0; a < SIZING_ACTIONS; a++) {
        const struct sizing_cell *cell = &l->cells[row][a];
        if (c->credit_all_sizes && cell->count < CELL_MIN) continue;
        struct sizing_action action = sizing_action_get(a);
        double score = cell->q;
        if (c->caution > 0)
            score -= c->caution *
                     fabs(cell_se(cell, c) -
                          cell_se(&l->cells[row][action_index(NEUTRAL_SIZE, 1, action.pair)], c));
        bool smaller = action.multiplier < of.multiplier ||
                       (action.multiplier == of.multiplier && action.leverage < of.leverage);
        if (best == SIZING_ACTIONS || score > best_score || (score == best_score && smaller)) {
            best = a;
            best_score = score;
            of = action;
        }
    }
    return best;
}

static void take_action(struct sizing_choice *out, const struct sizing_learner *l,
                        const struct sizing_learner_config *c, uint32_t row, uint32_t action) {
    struct sizing_action a = sizing_action_get(action);
    out->action = action;
    out->leverage = a.leverage;
    out->pair = a.pair;
    out->multiplier = a.multiplier;
    out->take_distance = a.take_distance;
    out->stop_distance = a.stop_distance;
    out->expected = out->expected_se = NAN;
    if (row >= SIZING_ROWS) return;
    out->samples = l->row_count[row];
    const struct sizing_cell *cell = &l->cells[row][action];
    if (cell->count == 0) return;
    out->expected = cell->q;
    out->expected_se = cell_se(cell, c);
}

static void take_safe(struct sizing_choice *out, const struct sizing_learner *l,
                      const struct sizing_learner_config *c, enum sizing_why why) {
    take_action(out, l, c, out->state == SIZING_STATE_NONE ? SIZING_ROWS : out->state,
                action_index(SAFE_SIZE, 1, SIZING_CONSERVATIVE));
    out->why = why;
    out->multiplier = SAFE_MULTIPLIER;
}

void sizing_choose(struct sizing_choice *out, struct sizing_learner *l,
                   const struct sizing_learner_config *c, const struct sizing_context *context) {
    *out = (struct sizing_choice){.state = sizing_state(context, sizing_win_rate(l))};
    if (out->state == SIZING_STATE_NONE) {
        take_safe(out, l, c, SIZING_WHY_UNKNOWN_STATE);
        return;
    }
    enum sizing_regime regime = sizing_state_regime(out->state);
    bool calm = regime == SIZING_LOW_VOL_TREND || regime == SIZING_LOW_VOL_RANGE;
    uint32_t row = out->state;
    bool trained = row_trained(l, c, row, 1);
    if (!trained && !calm) {
        take_safe(out, l, c, SIZING_WHY_SAFE);
        return;
    }
    out->why = SIZING_WHY_LEARNED;
    if (!trained && row_trained(l, c, SIZING_STATES + regime, REGIME_TIMES)) {
        row = SIZING_STATES + regime;
        trained = true;
        out->why = SIZING_WHY_REGIME;
    }
    uint32_t action = trained ? best_action(l, c, row) : SIZING_ACTIONS;
    if (action == SIZING_ACTIONS) {
        action = action_index(NEUTRAL_SIZE, 1, SIZING_BALANCED);
        out->why = SIZING_WHY_NEUTRAL;
    }
    if (rng_f64(&l->rng) < c->epsilon) {
        /* With every size credited only the pair is left to find out, at no more than neutral
         * size. */
        action = c->credit_all_sizes
                     ? action_index(NEUTRAL_SIZE, 1, (uint32_t)rng_below(&l->rng, SIZING_PAIRS))
                     : (uint32_t)rng_below(&l->rng, SIZING_ACTIONS);
        out->why = SIZING_WHY_EXPLORED;
    }
    take_action(out, l, c, row, action);
}

/* ---- attribution ---- */

static struct sizing_pending *pending_find(struct sizing_learner *l, uint64_t trade_id) {
    for (uint32_t k = 0; k < SIZING_PENDING_MAX; k++)
        if (l->pending[k].trade_id == trade_id) return &l->pending[k];
    return NULL;
}

static bool was_credited(const struct sizing_learner *l, uint64_t trade_id) {
    for (uint32_t k = 0; k < SIZING_DONE_MAX; k++)
        if (l->done[k] == trade_id) return true;
    return false;
}

enum status sizing_learner_open(struct sizing_learner *l, uint64_t trade_id,
                                const struct sizing_choice *choice,
                                const struct sizing_decision *decision) {
    ASSERT(trade_id > 0);
    if (choice->state >= SIZING_STATES) return ST_REFUSED;
    if (pending_find(l, trade_id) || was_credited(l, trade_id)) return ST_EXISTS;
    struct sizing_pending *slot = pending_find(l, 0);
    if (!slot) {
        slot = &l->pending[0];
        for (uint32_t k = 1; k < SIZING_PENDING_MAX; k++)
            if (l->pending[k].sequence < slot->sequence) slot = &l->pending[k];
        l->evicted++;
    }
    *slot = (struct sizing_pending){.trade_id = trade_id,
                                    .sequence = ++l->opened,
                                    .soft = decision->soft,
                                    .hard = decision->hard,
                                    .multiplier = choice->multiplier,
                                    .state = choice->state,
                                    .action = choice->action};
    return ST_OK;
}

bool sizing_learner_forget(struct sizing_learner *l, uint64_t trade_id) {
    struct sizing_pending *p = trade_id ? pending_find(l, trade_id) : NULL;
    if (!p) return false;
    *p = (struct sizing_pending){0};
    return true;
}

static void credit_cell(struct sizing_cell *cell, const struct sizing_learner_config *c,
                        double reward) {
    cell->count++;
    double step = c->alpha;
    if (c->average_first && step * cell->count < 1) step = 1.0 / cell->count;
    double error = reward - cell->q;
    cell->q = (float)(cell->q + step * error);
    cell->variance = (float)((1 - step) * (cell->variance + step * error * error));
}

static void credit_row(struct sizing_learner *l, const struct sizing_learner_config *c,
                       uint32_t row, const struct sizing_pending *p,
                       const struct sizing_outcome *outcome) {
    l->row_count[row]++;
    if (!c->credit_all_sizes) {
        double fraction = fmin(p->multiplier * p->soft, p->hard);
        credit_cell(&l->cells[row][p->action], c, sizing_reward(&c->reward, outcome, fraction));
        return;
    }
    for (uint32_t a = p->action % SIZING_PAIRS; a < SIZING_ACTIONS; a += SIZING_PAIRS) {
        double fraction = fmin(sizing_action_get(a).multiplier * p->soft, p->hard);
        credit_cell(&l->cells[row][a], c, sizing_reward(&c->reward, outcome, fraction));
    }
}

enum status sizing_learner_close(struct sizing_learner *l, const struct sizing_learner_config *c,
                                 uint64_t trade_id, const struct sizing_outcome *outcome) {
    struct sizing_pending *p = trade_id ? pending_find(l, trade_id) : NULL;
    bool possible = outcome->result > -1 && outcome->result <= 10 && outcome->drawdown >= 0 &&
                    outcome->drawdown <= 1 && outcome->held_ns >= 0;
    if (!p || !possible) {
        l->refused++;
        if (p) return ST_INVALID;
        return trade_id && was_credited(l, trade_id) ? ST_EXISTS : ST_NOT_FOUND;
    }
    credit_row(l, c, p->state, p, outcome);
    credit_row(l, c, SIZING_STATES + sizing_state_regime(p->state), p, outcome);
    l->record = (l->record << 1 | (outcome->result > 0)) & ((1u << SIZING_RECORD) - 1);
    if (l->record_count < SIZING_RECORD) l->record_count++;
    l->done[l->credited++ % SIZING_DONE_MAX] = trade_id;
    *p = (struct sizing_pending){0};
    return ST_OK;
}

enum status sizing_learner_check(const struct sizing_learner *l) {
    if (l->version != SIZING_LEARNER_VERSION || l->rows != SIZING_ROWS) return ST_VERSION;
    if (l->record_count > SIZING_RECORD || l->record >> SIZING_RECORD) return ST_CORRUPT;
    uint64_t regimes[SIZING_REGIME_COUNT] = {0};
    for (uint32_t row = 0; row < SIZING_ROWS; row++) {
        if (row < SIZING_STATES) regimes[sizing_state_regime(row)] += l->row_count[row];
        for (uint32_t a = 0; a < SIZING_ACTIONS; a++) {
            const struct sizing_cell *cell = &l->cells[row][a];
            if (cell->count > l->row_count[row] || !isfinite(cell->q) || !(cell->variance >= 0))
                return ST_CORRUPT;
            if (cell->count == 0 && (cell->q != 0 || cell->variance != 0)) return ST_CORRUPT;
        }
    }
    uint64_t sum = 0;
    for (uint32_t k = 0; k < SIZING_REGIME_COUNT; k++) {
        if (regimes[k] != l->row_count[SIZING_STATES + k]) return ST_CORRUPT;
        sum += regimes[k];
    }
    if (sum != l->credited) return ST_CORRUPT;
    for (uint32_t k = 0; k < SIZING_PENDING_MAX; k++) {
        const struct sizing_pending *p = &l->pending[k];
        if (p->trade_id == 0) continue;
        if (p->state >= SIZING_STATES || p->action >= SIZING_ACTIONS || !(p->soft >= 0) ||
            !(p->hard >= 0) || !(p->multiplier >= 0 && p->multiplier <= 1))
            return ST_CORRUPT;
    }
    return ST_OK;
}
