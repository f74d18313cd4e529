#include "brain/supervisor/supervisor.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

/* A label that was the answer to nearly everything in the model's own test may be so in service. */
static const double collapse_reference_max = 0.90;
/* Where the flag of an unhealthy answer was set it is taken back only well clear of its limit. */
static const double spread_release = 1.5, share_release = 0.03, entropy_release = 0.0005;
static const uint32_t output_faults =
    SUPERVISOR_CONSTANT | SUPERVISOR_COLLAPSED | SUPERVISOR_FLAT | SUPERVISOR_CERTAIN;

static const char *const level_texts[SUPERVISOR_LEVEL_COUNT] = {"ok", "down_weight", "exclude",
                                                                "retrain"};
static const char *const reason_texts[SUPERVISOR_REASON_COUNT] = {
    "error_rise",  "constant",    "collapsed",        "flat", "certain", "class_shift",
    "input_drift", "input_shift", "input_drift_stays"};
static const char *const reason_sentences[SUPERVISOR_REASON_COUNT] = {
    "its errors have risen above those of its test",
    "it gives one answer to everything",
    "it gives one label to everything",
    "its answers are uniform",
    "its answers are all but certain",
    "the shares of its labels are not those of its test",
    "important inputs are far from those it was trained on",
    "an input has shifted",
    "its inputs have been far off for long"};

const char *supervisor_level_text(enum supervisor_level level) {
    return (uint32_t)level < SUPERVISOR_LEVEL_COUNT ? level_texts[level] : "?";
}

double supervisor_factor(enum supervisor_level level) {
    return level == SUPERVISOR_OK ? 1 : level == SUPERVISOR_DOWN_WEIGHT ? 0.5 : 0;
}

static const char *text_of(const char *const *texts, uint32_t reason) {
    for (uint32_t i = 0; i < SUPERVISOR_REASON_COUNT; i++)
        if (reason == 1u << i) return texts[i];
    return "?";
}

const char *supervisor_reason_text(uint32_t reason) {
    return text_of(reason_texts, reason);
}

const char *supervisor_reason_sentence(uint32_t reason) {
    return text_of(reason_sentences, reason);
}

struct supervisor_config supervisor_config_defaults(void) {
    return (struct supervisor_config){.samples_per_alarm = 100000,
                                      .loss_tolerance = 0.02,
                                      .error_block = 1,
                                      .recover_observations = 300,
                                      .recover_ratio = 1.0,
                                      .outputs_min = 50,
                                      .outputs_retrain_steps = 200,
                                      .outputs_recover_steps = 20,
                                      .spread_min = 0.002,
                                      .top_share_max = 0.98,
                                      .entropy_max = 0.9995,
                                      .entropy_min = 0.02,
                                      .class_psi = 0.25,
                                      .severe_share = 0.10,
                                      .input_retrain_steps = 500};
}

void supervisor_init(struct supervisor *s, const struct supervisor_config *config,
                     const struct supervisor_reference *reference) {
    ASSERT(config->error_block >= 1 && config->loss_tolerance >= 0);
    memset(s, 0, sizeof *s);
    s->config = *config;
    s->reference = *reference;
    detect_init(&s->error, reference->loss_mean * (1 + config->loss_tolerance),
                config->samples_per_alarm);
}

void supervisor_outputs(struct supervisor *s, const double (*p)[LABEL_COUNT], size_t n) {
    outputs_step(&s->outputs, p, n);
}

/* Quiet, and no worse than the test allows on average: one step down. */
static void recover(struct supervisor *s, double loss) {
    s->quiet++;
    s->quiet_sum += loss;
    if (s->error_level == 0 || s->quiet < s->config.recover_observations) return;
    bool is_good = s->quiet_sum / s->quiet <= s->config.recover_ratio * s->error.limit;
    if (is_good) s->error_level--;
    s->quiet = 0;
    s->quiet_sum = 0;
}

bool supervisor_error(struct supervisor *s, double loss) {
    if (!(loss >= 0 && isfinite(loss))) {
        s->error.refused++;
        return false;
    }
    s->block_sum += loss;
    if (++s->block_count < s->config.error_block) return false;
    double mean = s->block_sum / s->block_count;
    s->block_sum = 0;
    s->block_count = 0;
    s->losses[s->observations++ % SUPERVISOR_LOSSES] = mean;
    if (!detect_push(&s->error, mean)) {
        recover(s, mean);
        return false;
    }
    if (s->error_level < SUPERVISOR_RETRAIN) s->error_level++;
    s->quiet = 0;
    s->quiet_sum = 0;
    return true;
}

double supervisor_loss_recent(const struct supervisor *s) {
    uint64_t n = s->observations < SUPERVISOR_LOSSES ? s->observations : SUPERVISOR_LOSSES;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += s->losses[i];
    return n ? sum / (double)n : 0;
}

/* Faults of the answers in the window; one that stood before needs more to go. */
static uint32_t judge_outputs(const struct supervisor *s, const struct outputs_figures *f) {
    const struct supervisor_config *c = &s->config;
    uint32_t had = s->reasons, reasons = 0;
    if (f->count < c->outputs_min) return 0;
    bool was_constant = had & SUPERVISOR_CONSTANT, was_collapsed = had & SUPERVISOR_COLLAPSED;
    if (f->spread < c->spread_min * (was_constant ? spread_release : 1))
        reasons |= SUPERVISOR_CONSTANT;
    if (f->count >= 2 * c->outputs_min &&
        f->share[f->top_label] >= c->top_share_max - (was_collapsed ? share_release : 0) &&
        s->reference.label_share[f->top_label] < collapse_reference_max)
        reasons |= SUPERVISOR_COLLAPSED;
    if (f->entropy > c->entropy_max - (had & SUPERVISOR_FLAT ? entropy_release : 0))
        reasons |= SUPERVISOR_FLAT;
    if (f->entropy < c->entropy_min * (had & SUPERVISOR_CERTAIN ? spread_release : 1))
        reasons |= SUPERVISOR_CERTAIN;
    if (f->count == OUTPUTS_WINDOW && f->psi >= c->class_psi) reasons |= SUPERVISOR_CLASS_SHIFT;
    return reasons;
}

static void step_outputs(struct supervisor *s, uint32_t faults) {
    if (faults) {
        s->unhealthy_steps++;
        s->healthy_steps = 0;
        s->output_level = s->unhealthy_steps >= s->config.outputs_retrain_steps
                              ? SUPERVISOR_RETRAIN
                              : SUPERVISOR_EXCLUDE;
        return;
    }
    s->healthy_steps++;
    if (s->healthy_steps < s->config.outputs_recover_steps) return;
    s->unhealthy_steps = 0;
    s->output_level = SUPERVISOR_OK;
}

static uint32_t step_inputs(struct supervisor *s, const struct drift_summary *d) {
    double limit = s->config.severe_share / (s->input_level ? 2 : 1);
    uint32_t reasons = d->alarmed > 0 ? SUPERVISOR_INPUT_SHIFT : 0;
    bool is_far = d->severe_share > 0 && d->severe_share >= limit;
    s->input_level = is_far ? SUPERVISOR_DOWN_WEIGHT : SUPERVISOR_OK;
    s->drifting_steps = is_far ? s->drifting_steps + 1 : 0;
    if (!is_far) return reasons;
    reasons |= SUPERVISOR_INPUT_DRIFT;
    if (s->drifting_steps >= s->config.input_retrain_steps) reasons |= SUPERVISOR_INPUT_DRIFT_STAYS;
    return reasons;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void fill(struct supervisor_event *out, const struct supervisor *s,
                 const struct outputs_figures *outputs, const struct drift_summary *inputs) {
    out->to = s->level;
    out->reasons = s->reasons;
    out->want_retrain = s->want_retrain;
    out->loss_recent = supervisor_loss_recent(s);
    out->loss_limit = s->error.limit;
    out->error_alarms = s->error.alarms;
    out->observations = s->observations;
    out->outputs = *outputs;
    if (inputs) out->inputs = *inputs;
}

bool supervisor_step(struct supervisor *s, struct supervisor_event *out,
                     const struct drift_summary *inputs, int64_t ts_ns) {
    const uint32_t input_reasons =
        SUPERVISOR_INPUT_DRIFT | SUPERVISOR_INPUT_SHIFT | SUPERVISOR_INPUT_DRIFT_STAYS;
    uint32_t level = s->level, reasons = s->reasons, wanted = s->want_retrain;
    memset(out, 0, sizeof *out);
    out->ts_ns = ts_ns;
    out->from = level;
    out->reasons_before = reasons;

    struct outputs_figures figures;
    outputs_figures(&figures, &s->outputs, s->reference.label_share);
    uint32_t found = judge_outputs(s, &figures);
    step_outputs(s, found & output_faults);
    /* Until it votes again the fault that took its vote is named. */
    if (s->output_level > SUPERVISOR_OK) found |= reasons & output_faults;
    found |= inputs ? step_inputs(s, inputs) : reasons & input_reasons;
    if (s->error_level > SUPERVISOR_OK) found |= SUPERVISOR_ERROR_RISE;

    s->reasons = found;
    s->level = larger(larger(s->error_level, s->output_level), s->input_level);
    s->want_retrain = s->level == SUPERVISOR_RETRAIN || found & SUPERVISOR_INPUT_DRIFT_STAYS;
    s->steps++;
    fill(out, s, &figures, inputs);
    bool changed = s->level != level || s->reasons != reasons || s->want_retrain != wanted;
    s->changes += changed;
    return changed;
}

double supervisor_trust(const uint32_t levels[MODEL_COUNT], const double weights[MODEL_COUNT]) {
    double trusted = 0, total = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        trusted += weights[k] * supervisor_factor((enum supervisor_level)levels[k]);
        total += weights[k];
    }
    return total > 0 ? fmin(trusted / total, 1) : 0;
}
