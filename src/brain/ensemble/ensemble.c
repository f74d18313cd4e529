#include "brain/ensemble/ensemble.h"
#include "brain/ensemble/recalibration.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* A voter that is certain would veto every other one in a product of probabilities; this floor is
 * the most it can say (odds of one in a million, beyond anything calibrated on bars can support). */
static const double probability_min = 1e-6;
/* How far a triple's sum may be from 1: float rounding of three numbers, with room. */
static const double sum_tolerance = 1e-5;
/* Sums of normalised weights that differ by less are equal: a few roundings of numbers below 1. */
static const double tie_tolerance = 1e-12;
static const double classic_confidence_max = 0.95;

static const char *const kind_texts[MODEL_COUNT] = {"xgboost", "lightgbm", "nhits", "patchtst"};
static const char *const label_texts[LABEL_COUNT] = {"SELL", "HOLD", "BUY"};
static const char *const state_texts[] = {"absent",    "present",  "warming", "stale",
                                          "collapsed", "no_skill", "excluded"};
static const char *const rule_texts[ENSEMBLE_RULE_COUNT] = {"pool", "classic"};
enum { STATE_COUNT = sizeof state_texts / sizeof state_texts[0] };

const char *model_kind_text(enum model_kind kind) {
    return (uint32_t)kind < MODEL_COUNT ? kind_texts[kind] : "?";
}

bool model_kind_parse(enum model_kind *out, const char *text, size_t size) {
    for (int k = 0; k < MODEL_COUNT; k++)
        if (strlen(kind_texts[k]) == size && memcmp(kind_texts[k], text, size) == 0) {
            *out = (enum model_kind)k;
            return true;
        }
    return false;
}

const char *label_text(enum label label) {
    return (uint32_t)label < LABEL_COUNT ? label_texts[label] : "?";
}

const char *vote_state_text(enum vote_state state) {
    return (uint32_t)state < STATE_COUNT ? state_texts[state] : "?";
}

const char *ensemble_rule_text(enum ensemble_rule rule) {
    return (uint32_t)rule < ENSEMBLE_RULE_COUNT ? rule_texts[rule] : "?";
}

struct ensemble_config ensemble_config_defaults(void) {
    struct ensemble_config c = {.confidence_min = 0.40};
    for (uint32_t k = 0; k < MODEL_COUNT; k++) c.weights[k] = 1.0;
    return c;
}

bool ensemble_answer_is_usable(const double *p, double move) {
    double sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        if (!(p[l] >= 0 && p[l] <= 1 + sum_tolerance)) return false;
        sum += p[l];
    }
    return fabs(sum - 1) <= sum_tolerance && isfinite(move) && move >= 0;
}

static bool vote_is_usable(const struct model_vote *v) {
    return v->state == VOTE_PRESENT && ensemble_answer_is_usable(v->p, v->move);
}

/* Adds smallest first, so that the same voters in another order give the same last bit. */
static double sum_sorted(double *terms, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        double t = terms[i];
        uint32_t j = i;
        for (; j > 0 && terms[j - 1] > t; j--) terms[j] = terms[j - 1];
        terms[j] = t;
    }
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += terms[i];
    return sum;
}

void ensemble_reported_weights(double out[MODEL_COUNT]) {
    out[MODEL_XGBOOST] = 1.0 / 3;
    out[MODEL_LIGHTGBM] = 1.0 / 4;
    out[MODEL_NHITS] = 1.0 / 2;
    out[MODEL_PATCHTST] = 1;
}

bool ensemble_normalise(double out[MODEL_COUNT], const double weights[MODEL_COUNT]) {
    double terms[MODEL_COUNT];
    double largest = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        out[k] = isfinite(weights[k]) && weights[k] > 0 ? weights[k] : 0;
        if (out[k] > largest) largest = out[k];
    }
    if (!(largest > 0)) return false;
    /* Divided by the largest first: a sum of huge weights would overflow. */
    for (uint32_t k = 0; k < MODEL_COUNT; k++) terms[k] = out[k] /= largest;
    double sum = sum_sorted(terms, MODEL_COUNT);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) out[k] /= sum;
    return true;
}

/* Fills out->weights (sum 1 over the voters) and out->voters. */
static void weigh(struct ensemble_signal *out, const struct ensemble_config *config,
                  const struct model_vote *votes) {
    double weights[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        weights[k] = vote_is_usable(&votes[k]) ? config->weights[k] : 0;
    ensemble_normalise(out->weights, weights);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) out->voters += out->weights[k] > 0;
}

/* Log-opinion pool: p_l proportional to the product over voters of p_(voter, l) ^ weight. */
static void pool(struct ensemble_signal *out, const struct model_vote *votes) {
    double log_p[LABEL_COUNT];
    double largest = -INFINITY;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        double terms[MODEL_COUNT];
        uint32_t count = 0;
        for (uint32_t k = 0; k < MODEL_COUNT; k++)
            if (out->weights[k] > 0)
                terms[count++] = out->weights[k] * log(fmax(votes[k].p[l], probability_min));
        log_p[l] = sum_sorted(terms, count);
        if (log_p[l] > largest) largest = log_p[l];
    }
    double sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += out->p[l] = exp(log_p[l] - largest);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out->p[l] /= sum;
}

enum label ensemble_best_label(const double *p) {
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        if (p[l] > p[(l + 1) % LABEL_COUNT] && p[l] > p[(l + 2) % LABEL_COUNT])
            return (enum label)l;
    return LABEL_HOLD;
}

static double pooled_move(const struct ensemble_signal *signal, const struct model_vote *votes) {
    double terms[MODEL_COUNT];
    uint32_t count = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (signal->weights[k] > 0) terms[count++] = signal->weights[k] * votes[k].move;
    return sum_sorted(terms, count);
}

/* The largest of the three sums of weights; those within the rounding of a sum are a tie. */
static enum label counted_label(const struct ensemble_signal *signal,
                                const struct model_vote *votes) {
    double sums[LABEL_COUNT];
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        double terms[MODEL_COUNT] = {0};
        for (uint32_t k = 0; k < MODEL_COUNT; k++)
            if (signal->weights[k] > 0 && (uint32_t)ensemble_best_label(votes[k].p) == l)
                terms[k] = signal->weights[k];
        sums[l] = sum_sorted(terms, MODEL_COUNT);
    }
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        if (sums[l] > sums[(l + 1) % LABEL_COUNT] + tie_tolerance &&
            sums[l] > sums[(l + 2) % LABEL_COUNT] + tie_tolerance)
            return (enum label)l;
    return LABEL_COUNT;
}

/* The classic rule: a count of weights, and the winners' mean confidence by how many they are. */
static enum label count_votes(double *out_confidence, const struct ensemble_signal *signal,
                              const struct model_vote *votes) {
    static const double multiplier[MODEL_COUNT + 1] = {0, 0.6, 1.0, 1.1, 1.2};
    enum label winner = counted_label(signal, votes);
    *out_confidence = signal->p[LABEL_HOLD];
    if (winner == LABEL_COUNT) return LABEL_HOLD;
    double terms[MODEL_COUNT];
    uint32_t count = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (signal->weights[k] > 0 && ensemble_best_label(votes[k].p) == winner)
            terms[count++] = votes[k].p[winner];
    double mean = sum_sorted(terms, count) / count;
    *out_confidence = fmin(mean * multiplier[count], classic_confidence_max);
    return winner;
}

/* Weights and pooled p; false: nobody votes. */
static bool begin(struct ensemble_signal *out, const struct ensemble_config *config,
                  const struct model_vote *votes) {
    memset(out, 0, sizeof *out);
    out->action = LABEL_HOLD;
    weigh(out, config, votes);
    if (out->voters == 0) return false;
    if (out->voters > 1) {
        pool(out, votes);
        return true;
    }
    /* Its own answer to the last bit: logs and back would round it. */
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (out->weights[k] > 0) memcpy(out->p, votes[k].p, sizeof out->p);
    return true;
}

/* What follows from p. */
static void conclude(struct ensemble_signal *out, const struct ensemble_config *config,
                     const struct model_vote *votes) {
    double confidence;
    enum label best;
    if (config->rule == ENSEMBLE_CLASSIC) {
        best = count_votes(&confidence, out, votes);
    } else {
        best = ensemble_best_label(out->p);
        confidence = out->p[best];
    }
    /* Negated, so that a NaN limit holds. */
    if (!(confidence >= config->confidence_min) && best != LABEL_HOLD) {
        best = LABEL_HOLD;
        confidence = out->p[best];
    }
    out->action = (uint32_t)best;
    out->confidence = fmin(confidence, 1.0);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        out->consensus += out->weights[k] > 0 && ensemble_best_label(votes[k].p) == best;
    out->move = pooled_move(out, votes);
    if (best == LABEL_HOLD) return;
    double other = out->p[best == LABEL_BUY ? LABEL_SELL : LABEL_BUY];
    out->edge = out->move * (out->p[best] - other);
}

void ensemble_step(struct ensemble_signal *out, const struct ensemble_config *config,
                   const struct model_vote *votes) {
    if (begin(out, config, votes)) conclude(out, config, votes);
}

void ensemble_step_recalibrated(struct ensemble_signal *out, double raw[LABEL_COUNT],
                                const struct ensemble_config *config,
                                const struct model_vote *votes, const struct recalibration *r) {
    bool any = begin(out, config, votes);
    memcpy(raw, out->p, LABEL_COUNT * sizeof *raw);
    if (!any) return;
    /* Where the voters are undecided at the top, a bias learned of other moments does not decide for them. */
    double top = fmax(fmax(raw[0], raw[1]), raw[2]);
    uint32_t at_top = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) at_top += raw[l] == top;
    if (at_top == 1) recalibration_apply(out->p, r, raw);
    conclude(out, config, votes);
}

double ensemble_expected_return(const struct ensemble_signal *signal) {
    return signal->move * (signal->p[LABEL_BUY] - signal->p[LABEL_SELL]);
}

void ensemble_spread(struct vote_spread *out, const struct model_vote *votes) {
    memset(out, 0, sizeof *out);
    const struct model_vote *answers[MODEL_COUNT];
    uint32_t count = 0;
    double sum = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        const struct model_vote *v = &votes[k];
        bool answered = v->state == VOTE_PRESENT || v->state == VOTE_NO_SKILL;
        if (!answered || !ensemble_answer_is_usable(v->p, v->move)) continue;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += fabs(v->p[l] - answers[i]->p[l]);
        if (count > 0 && ensemble_best_label(v->p) != ensemble_best_label(answers[0]->p))
            out->differ = true;
        answers[count++] = v;
    }
    out->answers = count;
    uint32_t pairs = count * (count - 1) / 2;
    if (pairs > 0) out->distance = sum / (double)(pairs * LABEL_COUNT);
}
