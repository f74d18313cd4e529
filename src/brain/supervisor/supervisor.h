/* One model in service, watched: its inputs, its answers, its errors; and what follows, by degrees.
 *
 *     OK -> DOWN_WEIGHT (half its weight) -> EXCLUDE (no vote, still asked) -> RETRAIN (no vote, a new one wanted)
 *
 * Errors climb one step an alarm of a sequential test and come down one step after a long quiet time. Answers that
 * are constant or collapsed exclude at once: they carry nothing. Inputs alone never take the vote away: a
 * market that has changed is not yet a model that is wrong; they halve the weight, and ask for a retraining if it
 * stays so. The level is the highest of the three. Nothing here decides for all models at once.
 * State is plain memory without pointers. */
#ifndef BRAIN_SUPERVISOR_SUPERVISOR_H
#define BRAIN_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brain/ensemble/ensemble.h"
#include "brain/supervisor/bias.h"
#include "brain/supervisor/detect.h"
#include "brain/supervisor/drift.h"
#include "brain/supervisor/outputs.h"

enum supervisor_level {
    SUPERVISOR_OK = 0,
    SUPERVISOR_DOWN_WEIGHT,
    SUPERVISOR_EXCLUDE,
    SUPERVISOR_RETRAIN,
    SUPERVISOR_LEVEL_COUNT
};
const char *supervisor_level_text(enum supervisor_level level); /* "ok" "down_weight" ... */
/* What governance_limit is told: 1, 0.5, 0, 0. */
double supervisor_factor(enum supervisor_level level);

/* Reasons are bits; permanent. */
enum supervisor_reason {
    SUPERVISOR_ERROR_RISE =
        1u << 0, /* the sequential test alarmed, and it has not been quiet since */
    SUPERVISOR_CONSTANT = 1u << 1,  /* one answer to everything */
    SUPERVISOR_COLLAPSED = 1u << 2, /* one label to everything */
    SUPERVISOR_FLAT = 1u << 3,      /* answers are uniform: it knows nothing */
    SUPERVISOR_CERTAIN = 1u << 4,   /* answers are all but certain */
    SUPERVISOR_CLASS_SHIFT =
        1u << 5, /* labels' shares are not those of its test; shown, no action */
    SUPERVISOR_INPUT_DRIFT = 1u << 6, /* important inputs are far from what it was trained on */
    SUPERVISOR_INPUT_SHIFT = 1u << 7, /* an input's sequential test alarmed; shown, no action */
    SUPERVISOR_INPUT_DRIFT_STAYS = 1u
                                   << 8, /* inputs have been far off for long: retraining wanted */
};
enum { SUPERVISOR_REASON_COUNT = 9 };
/* Of one bit: "error_rise" ...; "?" for anything else. */
const char *supervisor_reason_text(uint32_t reason);
/* The sentence of one bit, for people. */
const char *supervisor_reason_sentence(uint32_t reason);

struct supervisor_config {
    double samples_per_alarm; /* of the error's test: 100,000 */
    double loss_tolerance;    /* a rise of the mean loss by this share is no alarm's matter: 0.02 */
    uint32_t
        error_block; /* samples averaged to one observation, so that overlapping horizons do not count
                               * twice: the label horizon where each bar gives a sample. 1 */
    uint32_t recover_observations;  /* quiet ones for one step down: 300 */
    double recover_ratio;           /* and their mean loss at most this times the limit: 1.0 */
    uint32_t outputs_min;           /* answers before one is judged: 50; collapsed: twice as many */
    uint32_t outputs_retrain_steps; /* an unhealthy model is to be retrained after so many: 200 */
    uint32_t outputs_recover_steps; /* healthy ones before it votes again: 20 */
    uint32_t reserved;
    double spread_min;    /* constant below: 0.002 */
    double top_share_max; /* collapsed at or above: 0.98, if its test's share was below 0.90 */
    double entropy_max, entropy_min; /* flat above 0.9995, certain below 0.02 */
    double class_psi;                /* 0.25 */
    double
        severe_share; /* of inputs' importance: 0.10 halves the weight, half of that gives it back */
    uint32_t input_retrain_steps; /* 500 */
    uint32_t reserved2;
};
struct supervisor_config supervisor_config_defaults(void);

/* What the model did on its out-of-time rows. */
struct supervisor_reference {
    double loss_mean;                /* of the loss that will be told, > 0 */
    double label_share[LABEL_COUNT]; /* of best labels, sum 1 */
};

enum { SUPERVISOR_LOSSES = 128 };

/* 4,688 bytes, without the inputs' struct drift. */
struct supervisor {
    struct supervisor_config config;
    struct supervisor_reference reference;
    uint32_t level, error_level, output_level, input_level;
    uint32_t reasons, want_retrain;
    struct detect error;
    double block_sum;
    uint32_t block_count, quiet; /* observations since the last alarm or step down */
    double quiet_sum;
    double losses[SUPERVISOR_LOSSES]; /* newest observations, for the figure shown */
    uint64_t observations;
    struct outputs outputs;
    uint32_t unhealthy_steps, healthy_steps, drifting_steps, reserved;
    uint64_t steps, changes;
};
_Static_assert(sizeof(struct supervisor) == 4688, "documented size");

/* A change of level or reasons. */
struct supervisor_event {
    int64_t ts_ns;
    uint32_t from, to; /* enum supervisor_level */
    uint32_t reasons, reasons_before;
    uint32_t want_retrain, reserved;
    double loss_recent, loss_limit; /* mean of the newest observations; limit of the test */
    uint64_t error_alarms, observations;
    struct outputs_figures outputs;
    struct drift_summary inputs; /* zero if none was given */
};

void supervisor_init(struct supervisor *s, const struct supervisor_config *config,
                     const struct supervisor_reference *reference);

/* At a decision time: the model's answers (n). */
void supervisor_outputs(struct supervisor *s, const double (*p)[LABEL_COUNT], size_t n);
/* When horizons are over: the mean of the model's losses at one decision time, >= 0; in the units of
 * reference.loss_mean. True if the test alarmed. */
bool supervisor_error(struct supervisor *s, double loss);
/* Once per decision time, after the above: sets the level. inputs: NULL if not looked at. True, and *out
 * filled, if level, reasons or want_retrain changed. */
bool supervisor_step(struct supervisor *s, struct supervisor_event *out,
                     const struct drift_summary *inputs, int64_t ts_ns);

/* Mean of the newest observations, 0 if none. */
double supervisor_loss_recent(const struct supervisor *s);
/* Share of the weights that still stands by its vote, 0..1: what sizing multiplies with, since halving every
 * model's weight changes no vote. weights (MODEL_COUNT) served, levels (MODEL_COUNT). */
double supervisor_trust(const uint32_t levels[MODEL_COUNT], const double weights[MODEL_COUNT]);

#endif
