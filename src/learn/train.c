#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "learn/net_internal.h"

/* A part smaller than this cannot say anything. */
enum { TRAIN_ROWS_MIN = 500, CHECK_ROWS_MIN = 200 };

struct learn_config learn_config_defaults(void) {
    return (struct learn_config){.interval_ns = NS_PER_HOUR,
                                 .from_ns = INT64_MIN / 2,
                                 .to_ns = INT64_MAX / 2,
                                 .labels = label_spec_defaults(),
                                 .valid_share = 0.15,
                                 .test_share = 0.15,
                                 .embargo_bars = 24,
                                 .rows_max = 400000,
                                 .seed = 1};
}

struct job {
    const struct learn_config *config;
    learn_progress_fn progress;
    void *context;
    struct learn_rows rows;
    struct learn_range parts[PART_COUNT];
    float *weights;
    double *targets[PART_COUNT], *target_weights; /* of the sets trained on */
    double *p;              /* (count of the larger of valid and test, LABEL_COUNT) */
    double *medians;        /* (test rows) of a network's path */
    struct model *model;    /* a forest */
    struct net *net;        /* a network */
    struct net_job net_job; /* its training; owns the threads the network borrows */
    struct model_meta meta;
};

static void job_free(struct job *j) {
    learn_rows_free(&j->rows);
    free(j->weights);
    for (int k = 0; k < PART_COUNT; k++) free(j->targets[k]);
    free(j->target_weights);
    free(j->p);
    free(j->medians);
    model_destroy(j->model);
    net_destroy(j->net);
    net_job_free(&j->net_job);
}

/* Rows are in time order, so each part is one stretch of them. */
static enum status find_parts(struct job *j, struct err *err) {
    const struct learn_rows *r = &j->rows;
    if (r->count == 0)
        return err_set(err, ST_RANGE, "cannot train: no bar with a known label behind the warm-up");
    struct learn_split split;
    enum status st =
        learn_split_init(&split, r->decision_ns[0], r->decision_ns[r->count - 1], j->config, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < r->count; i++) {
        struct learn_range *part = &j->parts[learn_split_part(&split, r->decision_ns[i])];
        if (part->count++ == 0) part->begin = i;
    }
    static const char *const names[PART_COUNT] = {"", "training", "validation", "test"};
    for (int k = PART_TRAIN; k < PART_COUNT; k++) {
        size_t least = k == PART_TRAIN ? TRAIN_ROWS_MIN : CHECK_ROWS_MIN;
        if (j->parts[k].count < least)
            return err_set(err, ST_RANGE,
                           "cannot train: %zu rows for %s, at least %zu are needed (more bars or "
                           "symbols, or a longer range)",
                           j->parts[k].count, names[k], least);
    }
    return ST_OK;
}

static const float *part_labels(const struct job *j, enum learn_part part) {
    return j->rows.labels + j->parts[part].begin;
}

static const float *part_features(const struct job *j, enum learn_part part) {
    return j->rows.features + j->parts[part].begin * j->rows.columns;
}

static void part_times(const struct job *j, enum learn_part part, int64_t *from, int64_t *to) {
    *from = j->rows.decision_ns[j->parts[part].begin];
    *to = j->rows.decision_ns[j->parts[part].begin + j->parts[part].count - 1] + 1;
}

static enum status report_begin(struct job *j, struct err *err) {
    struct learn_report *r = &j->meta.report;
    part_times(j, PART_TRAIN, &r->train_from_ns, &r->train_to_ns);
    part_times(j, PART_VALID, &r->valid_from_ns, &r->valid_to_ns);
    part_times(j, PART_TEST, &r->test_from_ns, &r->test_to_ns);
    r->rows_train = j->parts[PART_TRAIN].count;
    r->rows_valid = j->parts[PART_VALID].count;
    r->rows_test = j->parts[PART_TEST].count;
    r->symbols = j->rows.series_count;
    r->shuffled = j->config->shuffle_labels;
    learn_class_shares(r->share, part_labels(j, PART_TRAIN), r->rows_train, 0);
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        if (r->share[l] == 1)
            return err_set(err, ST_RANGE, "cannot train: every label is %s (prices do not move?)",
                           label_text((enum label)l));
    /* Exclusive end of the last bar a label of the three parts looked at. */
    j->meta.data_end_ns =
        r->test_to_ns - 1 + (int64_t)j->config->labels.horizon_bars * j->config->interval_ns;
    return ST_OK;
}

static void shuffle(float *labels, size_t n, struct rng *r) {
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rng_below(r, i);
        float t = labels[i - 1];
        labels[i - 1] = labels[k];
        labels[k] = t;
    }
}

/* The test rows keep their true labels: that is what the broken link must fail on. */
static void shuffle_labels(struct job *j) {
    struct rng root = rng_init(j->config->seed);
    struct rng r = rng_split(&root, 2);
    for (int k = PART_TRAIN; k <= PART_VALID; k++)
        shuffle(j->rows.labels + j->parts[k].begin, j->parts[k].count, &r);
}

static bool round_done(void *context, uint32_t round, uint32_t rounds_max, double train_logloss,
                       double valid_logloss) {
    const struct job *j = context;
    return !j->progress ||
           j->progress(j->context, "train", round, rounds_max, train_logloss, valid_logloss);
}

static double *doubles(const float *values, size_t count) {
    double *out = malloc((count ? count : 1) * sizeof *out);
    for (size_t i = 0; out && i < count; i++) out[i] = (double)values[i];
    return out;
}

static enum status weigh(struct job *j, struct err *err) {
    const struct learn_rows *r = &j->rows;
    const struct learn_range *train = &j->parts[PART_TRAIN];
    j->weights = malloc(train->count * sizeof *j->weights);
    if (!j->weights) return err_set(err, ST_NO_MEMORY, "sample weights");
    return learn_uniqueness(j->weights, r->series + train->begin, r->bar + train->begin,
                            r->end + train->begin, train->count, r->bar_counts, r->series_count,
                            err);
}

static enum status fit_network(struct job *j, struct err *err) {
    enum status st = weigh(j, err);
    j->net_job = (struct net_job){.config = j->config,
                                  .rows = &j->rows,
                                  .parts = j->parts,
                                  .weights = j->weights,
                                  .progress = j->progress,
                                  .context = j->context};
    return st == ST_OK ? net_fit(&j->net, &j->meta, &j->net_job, err) : st;
}

static enum status fit_forest(struct job *j, struct err *err) {
    const char *names[FEATURE_COUNT_MAX];
    struct train_set sets[PART_COUNT];
    struct learn_report *report = &j->meta.report;
    enum booster booster;
    enum status st = learn_voter(&booster, report->params, j->config->kind, j->config->seed, err);
    if (st == ST_OK) st = weigh(j, err);
    if (st != ST_OK) return st;
    for (uint32_t k = 0; k < j->rows.columns; k++) names[k] = feature_at(k)->name;
    for (int k = PART_TRAIN; k <= PART_VALID; k++) {
        j->targets[k] = doubles(part_labels(j, (enum learn_part)k), j->parts[k].count);
        sets[k] = (struct train_set){.x32 = part_features(j, (enum learn_part)k),
                                     .rows = j->parts[k].count,
                                     .columns = j->rows.columns,
                                     .labels = j->targets[k],
                                     .names = names};
    }
    sets[PART_TRAIN].weights = j->target_weights = doubles(j->weights, j->parts[PART_TRAIN].count);
    if (!j->targets[PART_TRAIN] || !j->targets[PART_VALID] || !j->target_weights)
        return err_set(err, ST_NO_MEMORY, "labels");
    st = model_train(&j->model, booster, report->params, &sets[PART_TRAIN], &sets[PART_VALID],
                     round_done, j, err);
    if (st != ST_OK) return st;
    const struct tree_model *trees = model_trees(j->model);
    report->rounds = trees->tree_count / trees->trees_per_iteration;
    return ST_OK;
}

/* medians: of a network's path, or NULL. */
static void predict(struct job *j, enum learn_part part, double *medians) {
    if (j->net)
        net_rows_predict(j->p, medians, j->net, &j->rows, j->parts[part], &j->config->labels);
    else
        model_predict(j->p, j->model, part_features(j, part), j->parts[part].count,
                      j->rows.columns);
}

static void verdict_write(struct learn_report *r) {
    const char *answer = r->has_skill ? "skill" : "no skill, this model will not vote";
    if (!r->has_skill && r->skill_t > LEARN_T_MIN && r->side_t <= LEARN_T_MIN)
        answer = "no skill in direction, this model will not vote";
    if (r->shuffled)
        answer = r->has_skill ? "LEAK: shuffled labels score" : "at chance on shuffled labels";
    int used = snprintf(
        r->verdict, sizeof r->verdict,
        "%s: log-loss %.4f against %.4f of the prior, t %.1f (direction %.1f), %zu test rows",
        answer, r->logloss_test, r->logloss_prior, r->skill_t, r->side_t, r->rows_test);
    if (isnan(r->mse_path)) return;
    snprintf(r->verdict + used, sizeof r->verdict - (size_t)used,
             "; path error %.4f, no change %.4f, DLinear %.4f", r->mse_path, r->mse_persistence,
             r->mse_dlinear);
}

/* The verdict on the test rows, which nothing has seen, and what service needs of them. */
static enum status judge(struct job *j, struct err *err) {
    struct learn_report *r = &j->meta.report;
    struct learn_range test = j->parts[PART_TEST];
    predict(j, PART_TEST, j->medians);
    if (j->net) r->mse_path = net_path_error(&j->net_job, j->medians);
    for (size_t i = 0; i < test.count; i++)
        calibration_apply(j->p + i * LABEL_COUNT, j->meta.calibration);
    /* One row of each label is added: a share of 0 would make any model look brilliant. */
    double prior[LABEL_COUNT];
    learn_class_shares(prior, part_labels(j, PART_TRAIN), j->parts[PART_TRAIN].count, 1);
    size_t lag = (j->config->labels.horizon_bars + j->rows.stride - 1) / j->rows.stride;
    enum status st = learn_measure(r, j->p, part_labels(j, PART_TEST),
                                   j->rows.decision_ns + test.begin, test.count, prior, lag, err);
    verdict_write(r);
    if (st == ST_OK)
        st = learn_evidence_test(&j->meta.evidence, &j->rows, test, j->p, &j->config->labels, err);
    return st;
}

/* A forest reads the columns that it splits on. */
static enum status watch_inputs(struct job *j, struct err *err) {
    bool reads[FEATURE_COUNT_MAX] = {false};
    double gain[FEATURE_COUNT_MAX];
    uint64_t splits[FEATURE_COUNT_MAX];
    if (j->model) {
        tree_importance(gain, splits, model_trees(j->model));
        for (uint32_t k = 0; k < j->rows.columns; k++) reads[k] = splits[k] > 0;
    }
    return learn_evidence_inputs(&j->meta.evidence, &j->rows, j->parts[PART_TRAIN], reads, err);
}

static enum status validate(struct job *j, struct err *err) {
    size_t larger = j->parts[PART_VALID].count;
    if (j->parts[PART_TEST].count > larger) larger = j->parts[PART_TEST].count;
    j->p = malloc(larger * LABEL_COUNT * sizeof *j->p);
    if (j->net) j->medians = malloc(j->parts[PART_TEST].count * sizeof *j->medians);
    if (!j->p || (j->net && !j->medians)) return err_set(err, ST_NO_MEMORY, "predictions");
    enum status st = ST_OK;
    if (j->net) st = net_baseline_measure(&j->meta.report, &j->net_job, err);
    if (st != ST_OK) return st;
    if (j->progress && !j->progress(j->context, "validate", 0, 1, NAN, NAN))
        return err_set(err, ST_INTERRUPTED, "stopped before validation");
    predict(j, PART_VALID, NULL);
    enum learn_calibration method;
    st = learn_calibrate(j->meta.calibration, &method, j->p, part_labels(j, PART_VALID),
                         j->parts[PART_VALID].count, err);
    if (st != ST_OK) return st;
    j->meta.report.calibration = method;
    st = judge(j, err);
    if (st == ST_OK) st = watch_inputs(j, err);
    if (st == ST_OK && j->progress && !j->progress(j->context, "validate", 1, 1, NAN, NAN))
        st = err_set(err, ST_INTERRUPTED, "stopped after validation");
    return st;
}

static enum status job_run(struct job *j, const struct learn_series *series, size_t series_count,
                           struct err *err) {
    bool is_network = learn_is_network(j->config->kind);
    if (j->config->warm_start && !is_network)
        return err_set(err, ST_UNSUPPORTED, "%s is trained from the start: no warm start",
                       model_kind_text(j->config->kind));
    enum status st =
        learn_rows_build(&j->rows, series, series_count, j->config, j->progress, j->context, err);
    if (st == ST_OK) st = find_parts(j, err);
    if (st == ST_OK) st = report_begin(j, err);
    if (st != ST_OK) return st;
    if (j->config->shuffle_labels) shuffle_labels(j);
    st = is_network ? fit_network(j, err) : fit_forest(j, err);
    if (st != ST_OK) return st;
    return validate(j, err);
}

enum status learn_train(struct learn_report *out, const char *model_path,
                        const struct learn_series *series, size_t series_count,
                        const struct learn_config *config, learn_progress_fn progress,
                        void *context, struct err *err) {
    struct job j = {.config = config, .progress = progress, .context = context};
    struct learn_report *r = &j.meta.report;
    r->mse_path = r->mse_persistence = r->mse_dlinear = (double)NAN;
    j.meta.labels = config->labels;
    j.meta.interval_ns = config->interval_ns;
    j.meta.seed = config->seed;
    enum status st = job_run(&j, series, series_count, err);
    if (st == ST_OK) {
        memcpy(j.meta.required, j.rows.required, sizeof j.meta.required);
        for (uint32_t l = 0; l < LABEL_COUNT; l++) j.meta.label_column[l] = (uint8_t)l;
        if (!j.net) st = model_meta_write(model_trees_mutable(j.model), &j.meta, err);
    }
    if (st == ST_OK)
        st = j.net ? net_save(j.net, &j.meta, model_path, err)
                   : model_save(j.model, model_path, err);
    if (st == ST_OK) *out = j.meta.report;
    job_free(&j);
    return st;
}
