#include "brain/governance/governance.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/governance/forecasts.h"
#include "brain/governance/governance_internal.h"

static const char *const rule_texts[GOVERNANCE_RULE_COUNT] = {"hedge", "classic"};
static const char *const score_texts[GOVERNANCE_SCORE_COUNT] = {"log_loss", "brier"};
static const char *const reason_texts[GOVERNANCE_REASON_END] = {
    "none", "learned", "down_weighted", "excluded", "restored", "replaced", "priors"};

const char *governance_rule_text(enum governance_rule rule) {
    return (uint32_t)rule < GOVERNANCE_RULE_COUNT ? rule_texts[rule] : "?";
}

const char *governance_score_text(enum governance_score score) {
    return (uint32_t)score < GOVERNANCE_SCORE_COUNT ? score_texts[score] : "?";
}

const char *governance_reason_text(enum governance_reason reason) {
    return (uint32_t)reason < GOVERNANCE_REASON_END ? reason_texts[reason] : "?";
}

struct governance_config governance_config_defaults(void) {
    struct governance_config c = {.rule = GOVERNANCE_HEDGE,
                                  .score = GOVERNANCE_LOG_LOSS,
                                  .publish_rounds = 24,
                                  .learning_rate = 0.1,
                                  .share = 0.001,
                                  .floor = 0.05,
                                  .cap = 0.70,
                                  .smoothing = 0.3,
                                  .change_min = 0.002,
                                  .classic_score_max = 1,
                                  .classic_cost = 0.0014};
    for (uint32_t k = 0; k < MODEL_COUNT; k++) c.priors[k] = 1;
    return c;
}

void governance_set_priors(struct governance *g, const double priors[MODEL_COUNT]) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) ASSERT(isfinite(priors[k]) && priors[k] > 0);
    memcpy(g->config.priors, priors, sizeof g->config.priors);
    ASSERT(ensemble_normalise(g->prior, priors));
    governance_project(g->prior, g->config.floor, g->config.cap);
}

void governance_init(struct governance *g, const struct governance_config *config) {
    const struct governance_config *c = config;
    ASSERT(c->rule < GOVERNANCE_RULE_COUNT && c->score < GOVERNANCE_SCORE_COUNT);
    ASSERT(c->publish_rounds >= 1 && c->learning_rate > 0 && isfinite(c->learning_rate));
    ASSERT(c->share >= 0 && c->share < 1 && c->smoothing > 0 && c->smoothing <= 1);
    ASSERT(c->change_min >= 0 && c->classic_score_max >= 0.01 && isfinite(c->classic_cost));
    memset(g, 0, sizeof *g);
    g->config = *c;
    governance_set_priors(g, c->priors);
    memcpy(g->learned, g->prior, sizeof g->learned);
    memcpy(g->served, g->prior, sizeof g->served);
    memcpy(g->start, g->learned, sizeof g->start);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) g->factor[k] = 1;
    governance_weights(g->replaced, g);
}

static bool is_distribution(const double *w, double floor, double cap) {
    double sum = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!(w[k] >= floor - 1e-9 && w[k] <= cap + 1e-9)) return false;
        sum += w[k];
    }
    return fabs(sum - 1) < 1e-6;
}

bool governance_is_sound(const struct governance *g) {
    const struct governance_config *c = &g->config;
    bool config_ok = c->rule < GOVERNANCE_RULE_COUNT && c->score < GOVERNANCE_SCORE_COUNT &&
                     c->publish_rounds >= 1 && c->learning_rate > 0 && isfinite(c->learning_rate) &&
                     c->share >= 0 && c->share < 1 && c->smoothing > 0 && c->smoothing <= 1 &&
                     c->floor >= 0 && c->floor * MODEL_COUNT <= 1 && c->cap <= 1 &&
                     c->cap * MODEL_COUNT >= 1 && c->change_min >= 0 &&
                     c->classic_score_max >= 0.01 && isfinite(c->classic_cost);
    if (!config_ok) return false;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!(g->factor[k] >= 0 && g->factor[k] <= 1)) return false;
        if (!isfinite(g->learner_loss[k]) || !isfinite(g->model_loss[k])) return false;
    }
    return is_distribution(g->prior, c->floor, c->cap) &&
           is_distribution(g->learned, c->floor, c->cap) && is_distribution(g->served, 0, 1);
}

uint32_t governance_awake(const struct governance_outcome *o) {
    if (o->label >= LABEL_COUNT || !(o->realised_return > -1) || !isfinite(o->realised_return))
        return 0;
    uint32_t awake = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (o->forecast_mask >> k & 1 && ensemble_answer_is_usable(o->p[k], o->move[k]))
            awake |= 1u << k;
    return awake;
}

void governance_weights(double out[MODEL_COUNT], const struct governance *g) {
    double w[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) w[k] = g->served[k] * g->factor[k];
    ensemble_normalise(out, w);
}

/* -ln of what the pool of the voters gave the label, under these weights; false without a voter. */
static bool pooled_loss(double *out, const double *weights, const struct governance_outcome *o) {
    struct ensemble_config config = {.rule = ENSEMBLE_POOL};
    struct model_vote votes[MODEL_COUNT];
    uint32_t voters = governance_awake(o) & o->voter_mask;
    memset(votes, 0, sizeof votes);
    memcpy(config.weights, weights, sizeof config.weights);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!(voters >> k & 1)) continue;
        votes[k].state = VOTE_PRESENT;
        votes[k].move = o->move[k];
        memcpy(votes[k].p, o->p[k], sizeof votes[k].p);
    }
    struct ensemble_signal signal;
    ensemble_step(&signal, &config, votes);
    if (signal.voters == 0) return false;
    *out = forecast_log_loss(signal.p, (enum label)o->label);
    return true;
}

/* The change before this one on an outcome that came after it: with it, and without. */
static void judge_last_change(struct governance *g, const double *effective,
                              const struct governance_outcome *o) {
    double served, replaced;
    if (!pooled_loss(&served, effective, o) || !pooled_loss(&replaced, g->replaced, o)) return;
    g->since_served += served;
    g->since_replaced += replaced;
    g->since_outcomes++;
}

static void hindsight(struct governance_change *out, const struct governance *g) {
    uint64_t n = g->kept < GOVERNANCE_WINDOW ? g->kept : GOVERNANCE_WINDOW;
    double before_sum = 0, after_sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        double before, after;
        if (!pooled_loss(&before, out->before, &g->window[i]) ||
            !pooled_loss(&after, out->after, &g->window[i]))
            continue;
        before_sum += before;
        after_sum += after;
        out->hindsight_outcomes++;
    }
    if (out->hindsight_outcomes == 0) return;
    out->hindsight_before = before_sum / (double)out->hindsight_outcomes;
    out->hindsight_after = after_sum / (double)out->hindsight_outcomes;
}

/* The record of a change from `before` to what is served now; what is counted since the last one begins anew. */
static bool record(struct governance *g, struct governance_change *out, const double *before,
                   enum governance_reason reason, uint32_t model, int64_t ts_ns) {
    double after[MODEL_COUNT];
    governance_weights(after, g);
    memset(out, 0, sizeof *out);
    if (memcmp(before, after, sizeof after) == 0) return false;
    *out = (struct governance_change){.ts_ns = ts_ns,
                                      .sequence = ++g->sequence,
                                      .round = g->rounds,
                                      .reason = (uint32_t)reason,
                                      .model = model,
                                      .held_outcomes = g->since_outcomes};
    memcpy(out->before, before, sizeof out->before);
    memcpy(out->after, after, sizeof out->after);
    if (g->since_outcomes > 0) {
        out->held_served = g->since_served / (double)g->since_outcomes;
        out->held_replaced = g->since_replaced / (double)g->since_outcomes;
    }
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        out->model_forecasts[k] = g->since_forecasts[k];
        if (g->since_forecasts[k] > 0)
            out->model_loss[k] = g->since_loss[k] / (double)g->since_forecasts[k];
    }
    hindsight(out, g);
    memcpy(g->replaced, before, sizeof g->replaced);
    memset(g->since_loss, 0, sizeof g->since_loss);
    memset(g->since_forecasts, 0, sizeof g->since_forecasts);
    g->since_served = g->since_replaced = 0;
    g->since_outcomes = 0;
    return true;
}

/* Served weights go towards the learned ones, unless that is too small a step to speak of. */
static bool publish(struct governance *g, struct governance_change *out, int64_t ts_ns) {
    double before[MODEL_COUNT], next[MODEL_COUNT], largest = 0;
    governance_weights(before, g);
    if (g->config.rule == GOVERNANCE_CLASSIC) {
        double mape[MODEL_COUNT], pnl[MODEL_COUNT];
        uint64_t samples[MODEL_COUNT];
        for (uint32_t k = 0; k < MODEL_COUNT; k++) {
            mape[k] = governance_classic_mape(g, (enum model_kind)k);
            pnl[k] = governance_classic_pnl(g, (enum model_kind)k);
            samples[k] = g->classic[k].samples;
        }
        governance_classic_step(g->learned, mape, pnl, samples, g->config.classic_score_max);
        governance_project(g->learned, g->config.floor, g->config.cap);
    }
    /* The classic formula is its own smoothing: 0.7 of the old weight. */
    double s = g->config.rule == GOVERNANCE_CLASSIC ? 1 : g->config.smoothing;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        next[k] = s < 1 ? g->served[k] + s * (g->learned[k] - g->served[k]) : g->learned[k];
        largest = fmax(largest, fabs(next[k] - g->served[k]));
    }
    if (!(largest > g->config.change_min)) return false;
    memcpy(g->served, next, sizeof g->served);
    return record(g, out, before, GOVERNANCE_LEARNED, MODEL_COUNT, ts_ns);
}

/* Some of each round's outcomes, another part of the symbols each time. */
static void keep(struct governance *g, const struct governance_outcome *outcomes, size_t n) {
    size_t keeps = n < GOVERNANCE_ROUND_KEEPS ? n : GOVERNANCE_ROUND_KEEPS;
    for (size_t i = 0; i < keeps; i++) {
        const struct governance_outcome *o =
            &outcomes[(size_t)((g->rounds * GOVERNANCE_ROUND_KEEPS + i) % n)];
        if (governance_awake(o) == 0) continue;
        g->window[g->kept++ % GOVERNANCE_WINDOW] = *o;
    }
}

bool governance_round(struct governance *g, struct governance_change *out,
                      const struct governance_outcome *outcomes, size_t n, int64_t ts_ns) {
    memset(out, 0, sizeof *out);
    uint32_t awake_ever = 0;
    double effective[MODEL_COUNT];
    governance_weights(effective, g);
    for (size_t i = 0; i < n; i++) {
        uint32_t awake = governance_awake(&outcomes[i]);
        g->refused += awake == 0;
        g->outcomes += awake != 0;
        if (awake == 0) continue;
        awake_ever |= awake;
        governance_hedge_outcome(g, &outcomes[i], awake, n);
        judge_last_change(g, effective, &outcomes[i]);
    }
    if (awake_ever == 0) return false;
    if (g->config.rule == GOVERNANCE_HEDGE) governance_hedge_round(g, awake_ever);
    governance_classic_note(g, outcomes, n);
    keep(g, outcomes, n);
    g->rounds++;
    g->regret_rounds++;
    return g->rounds % g->config.publish_rounds == 0 && publish(g, out, ts_ns);
}

bool governance_limit(struct governance *g, struct governance_change *out, enum model_kind model,
                      double factor, int64_t ts_ns) {
    ASSERT((uint32_t)model < MODEL_COUNT && factor >= 0 && factor <= 1);
    memset(out, 0, sizeof *out);
    double before[MODEL_COUNT], old = g->factor[model];
    if (factor == old) return false;
    governance_weights(before, g);
    g->factor[model] = factor;
    enum governance_reason reason = factor > old    ? GOVERNANCE_RESTORED
                                    : factor == 0.0 ? GOVERNANCE_EXCLUDED
                                                    : GOVERNANCE_DOWN_WEIGHTED;
    return record(g, out, before, reason, (uint32_t)model, ts_ns);
}

/* w[model] becomes `weight`, the others what is left, in their proportions. */
static void seat(double w[MODEL_COUNT], uint32_t model, double weight) {
    double others = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (k != model) others += w[k];
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (k != model)
            w[k] = others > 0 ? w[k] * ((1 - weight) / others) : (1 - weight) / (MODEL_COUNT - 1);
    w[model] = weight;
}

bool governance_replace(struct governance *g, struct governance_change *out, enum model_kind model,
                        int64_t ts_ns) {
    ASSERT((uint32_t)model < MODEL_COUNT);
    double before[MODEL_COUNT];
    governance_weights(before, g);
    seat(g->learned, model, g->prior[model]);
    governance_project(g->learned, g->config.floor, g->config.cap);
    seat(g->served, model, g->learned[model]);
    g->factor[model] = 1;
    memset(&g->classic[model], 0, sizeof g->classic[model]);
    /* The bound is one of unbroken rounds: it is counted from here, where the weights are now. */
    memcpy(g->start, g->learned, sizeof g->start);
    memset(g->learner_loss, 0, sizeof g->learner_loss);
    memset(g->model_loss, 0, sizeof g->model_loss);
    g->regret_rounds = 0;
    return record(g, out, before, GOVERNANCE_REPLACED, model, ts_ns);
}
