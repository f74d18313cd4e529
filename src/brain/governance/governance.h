/* Weights of the four models, learned from what their own logged forecasts were worth.
 *
 * A round is one decision time whose horizon is over: for each symbol what each model forecast then, and
 * what happened. A model is credited by its own calibrated triple against the label that came true, never by a trade's
 * profit; one that made no forecast is not credited. Rule `hedge` is exponentiated gradient on those
 * losses with fixed share (the best model may change) inside bounds; rule `classic` is the formula of the system this
 * program follows, with bounds and with real errors. What is served moves towards what is learned in steps,
 * and each step leaves a record. State is plain memory without pointers. */
#ifndef BRAIN_GOVERNANCE_GOVERNANCE_H
#define BRAIN_GOVERNANCE_GOVERNANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brain/ensemble/ensemble.h"

enum governance_rule { GOVERNANCE_HEDGE = 0, GOVERNANCE_CLASSIC, GOVERNANCE_RULE_COUNT };
const char *governance_rule_text(enum governance_rule rule); /* "hedge" "classic" */

/* How a triple is judged; both in [0, 1]. */
enum governance_score {
    GOVERNANCE_LOG_LOSS = 0, /* min(-ln p(label), 3) / 3: below 5 % all is equally wrong */
    GOVERNANCE_BRIER,        /* sum over labels of (p - happened)^2 / 2 */
    GOVERNANCE_SCORE_COUNT
};
const char *governance_score_text(enum governance_score score); /* "log_loss" "brier" */
/* p (LABEL_COUNT), a usable triple. */
double governance_loss(enum governance_score score, const double *p, enum label label);

struct governance_config {
    uint32_t rule, score;
    uint32_t
        publish_rounds; /* served weights move at every such round, >= 1; classic steps there, too */
    uint32_t reserved;
    double priors[MODEL_COUNT]; /* relative, > 0 */
    double
        learning_rate; /* per round and unit of loss, > 0. Over T rounds sqrt(8 ln 4 / T) is best */
    double share;      /* of each round's weight that returns to the priors, 0 <= share < 1 */
    double floor, cap; /* of a learned weight; 0 <= floor <= 1/4 <= cap <= 1 */
    double smoothing;  /* part of the way served weights go at once, 0 < s <= 1; hedge only */
    double change_min; /* a step that moves no weight further is not taken */
    double classic_score_max; /* bound of the classic ratio, >= 0.01 */
    double classic_cost;      /* round trip, fraction, taken off each side's return */
};
/* hedge, log-loss, every 24 rounds, equal priors, rate 0.1, share 0.001, bounds 0.05 and 0.70, smoothing
 * 0.3, change_min 0.002, classic_score_max 1, classic_cost 0.0014. */
struct governance_config governance_config_defaults(void);

struct governance_outcome {
    uint32_t forecast_mask; /* bit 1 << kind: its triple was logged (voting or not) */
    uint32_t voter_mask;    /* those that voted */
    uint32_t label;         /* what came true */
    uint32_t reserved;
    double p[MODEL_COUNT][LABEL_COUNT];
    double move[MODEL_COUNT];
    double realised_return; /* of the price until the label was decided, fraction; classic only */
};

enum governance_reason {
    GOVERNANCE_LEARNED = 1,
    GOVERNANCE_DOWN_WEIGHTED, /* the supervisor's factor fell, and is above 0 */
    GOVERNANCE_EXCLUDED,      /* it became 0 */
    GOVERNANCE_RESTORED,      /* it rose */
    GOVERNANCE_REPLACED, /* another model file took the seat: history forgotten, weight to its prior */
    GOVERNANCE_PRIORS, /* configured anew */
    GOVERNANCE_REASON_END
};
const char *governance_reason_text(enum governance_reason reason);

/* One change of the effective weights. Losses are means of -ln p(label) of the pooled triple, nats. */
struct governance_change {
    int64_t ts_ns;
    uint64_t sequence, round;
    uint32_t reason;                                /* enum governance_reason */
    uint32_t model;                                 /* whom it is about; MODEL_COUNT: all */
    double before[MODEL_COUNT], after[MODEL_COUNT]; /* sum 1, or all 0 if every model is excluded */
    double model_loss[MODEL_COUNT]; /* each one's own mean loss since the last change, 0..1 */
    uint64_t model_forecasts[MODEL_COUNT]; /* of how many forecasts */
    /* In hindsight: both sets of weights on the newest outcomes kept. */
    uint64_t hindsight_outcomes;
    double hindsight_before, hindsight_after;
    /* Out of sample: how the change before this one has done since it was made: its weights, and those it replaced. */
    uint64_t held_outcomes;
    double held_replaced, held_served;
};

enum { GOVERNANCE_WINDOW = 256, GOVERNANCE_ROUND_KEEPS = 8, GOVERNANCE_CLASSIC_WINDOW = 10 };

/* 40,088 bytes. */
struct governance {
    struct governance_config config;
    double prior[MODEL_COUNT];    /* within the bounds, sum 1 */
    double learned[MODEL_COUNT];  /* within the bounds, sum 1 */
    double served[MODEL_COUNT];   /* sum 1 */
    double factor[MODEL_COUNT];   /* the supervisor's, 0..1 */
    double replaced[MODEL_COUNT]; /* effective weights before the last change */
    uint64_t rounds, sequence, outcomes, refused;
    /* Regret: what the learner and the model lost on what the model forecast, means per round summed, and the learned
     * weights it is counted from: those at the start, or at the last replacement. */
    uint64_t regret_rounds;
    double start[MODEL_COUNT];
    double learner_loss[MODEL_COUNT], model_loss[MODEL_COUNT];
    /* Since the last change. */
    double since_loss[MODEL_COUNT];
    uint64_t since_forecasts[MODEL_COUNT];
    double since_served, since_replaced;
    uint64_t since_outcomes;
    struct governance_classic {
        uint64_t samples; /* rounds it was credited in */
        double mape[GOVERNANCE_CLASSIC_WINDOW], pnl[GOVERNANCE_CLASSIC_WINDOW];
    } classic[MODEL_COUNT];
    uint64_t kept;
    struct governance_outcome window[GOVERNANCE_WINDOW];
};
_Static_assert(sizeof(struct governance) == 40088, "documented size");

/* config's ranges are asserted. Learned and served weights begin at the priors, brought within the bounds. */
void governance_init(struct governance *g, const struct governance_config *config);
/* Whether a state read from elsewhere keeps its invariants. */
bool governance_is_sound(const struct governance *g);

/* One round of n outcomes. An outcome with a label out of range or a return not above -1 is refused and counted;
 * a triple that is none counts as not forecast. True, and *out filled, if the effective weights changed.
 * The order of outcomes matters in the last bits only. Time O(n). */
bool governance_round(struct governance *g, struct governance_change *out,
                      const struct governance_outcome *outcomes, size_t n, int64_t ts_ns);

/* What ensemble_config.weights shall be: served times factor, sum 1; all 0 if every model is excluded. */
void governance_weights(double out[MODEL_COUNT], const struct governance *g);
/* The supervisor's word on one model, 0..1. True, and *out filled, if the effective weights changed. */
bool governance_limit(struct governance *g, struct governance_change *out, enum model_kind model,
                      double factor, int64_t ts_ns);
/* Another model has taken the seat: its weight is its prior again, factor 1, its own history gone; the
 * others keep their proportions. */
bool governance_replace(struct governance *g, struct governance_change *out, enum model_kind model,
                        int64_t ts_ns);
/* New relative priors, > 0. What was learned stays; served weights go there by and by, as the fixed share returns
 * to them: with share 0 they only matter for models to come. */
void governance_set_priors(struct governance *g, const double priors[MODEL_COUNT]);

/* Regret of the learned weights against a fixed mixture u (sum 1), in losses of 0..1 per round, each model on
 * the rounds it forecast in: sum over rounds of u_k (learner's loss - loss of k).
 *
 * Bound, for u within [floor, cap], all sequences, adversaries that see the weights included (hedge):
 *     regret(u) <= KL(u || start) / rate + rounds (rate / 8 - ln(1 - share) / rate)
 * For floor 0, cap 1, share 0 and u one model of four equal priors that is ln 4 / rate + rounds rate / 8.
 * With m changes of u add, for each, (KL(u || prior) - ln share) / rate.
 * Smoothing and the supervisor's factors come after: the bound is that of the learned weights.
 * Source  Freund, Schapire (1997), Hedge; Cesa-Bianchi, Lugosi, Prediction, Learning, and Games (2006), thm 2.2 and
 *         5.2; Herbster, Warmuth (1998), fixed share, and (2001), projection; Freund, Schapire, Singer, Warmuth
 *         (1997), specialists that sleep. */
double governance_regret(const struct governance *g, const double u[MODEL_COUNT]);
double governance_regret_bound(const struct governance *g, const double u[MODEL_COUNT]);

/* w becomes the distribution nearest to it in relative entropy with each weight in [floor, cap]:
 * those within are scaled by one number. Left as it is, to the last bit, if it is within already.
 * w >= 0, sum > 0; 0 <= floor <= 1/4 <= cap <= 1. */
void governance_project(double w[MODEL_COUNT], double floor, double cap);

/* The classic formula on its own: score = max(0.01, pnl / (mape + 1e-8)), at most score_max;
 * w' = max(0.01, 0.3 score + 0.7 w), divided by the sum. A model of fewer than 2 samples keeps its share of
 * w's sum, and none changes before one has 2. With score_max INFINITY it is the original's: one lucky
 * model takes all. */
void governance_classic_step(double w[MODEL_COUNT], const double mape[MODEL_COUNT],
                             const double pnl[MODEL_COUNT], const uint64_t samples[MODEL_COUNT],
                             double score_max);
/* Means of a model's last ten, 0 if it has none: what the formula is fed with. */
double governance_classic_mape(const struct governance *g, enum model_kind model);
double governance_classic_pnl(const struct governance *g, enum model_kind model);

#endif
