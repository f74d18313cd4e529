/* A network as a voter: weights, schedule, warm start; and what its path is worth beside two plain forecasts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "learn/net_internal.h"
#include "ml/dlinear/dlinear.h"
#include "ml/trainer/trainer.h"
#include "num/elementary.h"

/* The baseline is to be as good as it can be: small sets are gone through often enough. */
enum {
    BASELINE_BATCH = 256,
    BASELINE_STEPS = 1000,
    BASELINE_STEPS_MAX = 6000,
    BASELINE_PATIENCE = 8
};

/* ---- weights of rows ---- */

/* Uniqueness times recency, mean 1: a row half_life_days before the newest one counts half. */
static void weigh_recency(float *weights, const struct learn_rows *rows, struct learn_range range,
                          double half_life_days) {
    int64_t newest = rows->decision_ns[range.begin + range.count - 1];
    double sum = 0, per_ns = num_log(2) / (half_life_days * (double)NS_PER_DAY);
    for (size_t i = 0; i < range.count; i++) {
        double age = (double)(newest - rows->decision_ns[range.begin + i]);
        double weight = (double)weights[i] * num_exp(-fmin(age * per_ns, 600));
        weights[i] = (float)weight;
        sum += weight;
    }
    for (size_t i = 0; i < range.count; i++)
        weights[i] = (float)((double)weights[i] * (double)range.count / sum);
}

static int64_t valid_from(const struct net_job *j) {
    return j->rows->decision_ns[j->parts[PART_VALID].begin];
}

/* ---- warm start ---- */

static enum status warm_check(const struct model_meta *warm, const struct net *net,
                              const struct net_job *j, struct err *err) {
    const struct learn_config *c = j->config;
    if (net->kind != c->kind)
        return err_set(err, ST_MISMATCH, "is %s, not %s", model_kind_text(net->kind),
                       model_kind_text(c->kind));
    if (warm->interval_ns != c->interval_ns || !label_spec_equal(&warm->labels, &c->labels))
        return err_set(err, ST_MISMATCH, "was trained on another interval or other labels");
    if (warm->weights_to_ns <= valid_from(j)) return ST_OK;
    char seen[TSTAMP_TEXT_SIZE], from[TSTAMP_TEXT_SIZE];
    return err_set(err, ST_REFUSED,
                   "has learned from rows up to %.16s, behind the start of validation %.16s",
                   tstamp_format(seen, warm->weights_to_ns), tstamp_format(from, valid_from(j)));
}

static enum status warm_load(struct net **out, struct model_meta *warm, const struct net_job *j,
                             uint32_t batch, struct err *err) {
    const char *path = j->config->warm_start;
    enum status st = net_load(out, warm, NULL, path, batch, true, j->workers, err);
    if (st != ST_OK) return st;
    st = warm_check(warm, *out, j, err);
    if (st == ST_OK) return st;
    net_destroy(*out);
    *out = NULL;
    return err_wrap(err, st, "warm start: model %s", path);
}

/* ---- fit ---- */

static bool forward_progress(void *context, const struct trainer_state *s) {
    const struct net_job *j = context;
    return !j->progress || j->progress(j->context, "train", (uint32_t)s->step, (uint32_t)s->steps,
                                       s->train_loss, s->valid_loss);
}

static struct trainer_config trainer_of(const struct learn_schedule *s, uint64_t seed) {
    struct trainer_config t = trainer_config_defaults();
    t.epochs = s->epochs;
    t.patience = s->patience;
    t.batch = s->batch;
    t.seed = seed;
    t.adam.weight_decay = s->weight_decay;
    t.adam.clip_norm = s->clip_norm;
    t.schedule = (struct nn_schedule){.kind = NN_SCHEDULE_ONECYCLE, .lr = s->lr, .pct_start = 0.3};
    return t;
}

/* Trains net on the training rows; the report's rounds are the epochs behind the weights that stay. */
static enum status train(struct net *net, struct learn_report *report, struct net_job *j,
                         const struct learn_schedule *s, struct err *err) {
    struct net_source sources[2];
    size_t channels = net->network->channels;
    bool exog = net->kind == MODEL_NHITS;
    for (int k = 0; k < 2; k++)
        sources[k] = (struct net_source){.rows = j->rows,
                                         .range = j->parts[k ? PART_VALID : PART_TRAIN],
                                         .weights = k ? NULL : j->weights,
                                         .labels = &j->config->labels,
                                         .workers = j->workers};
    enum status st = net_source_init(&sources[0], channels, exog, s->batch, err);
    if (st == ST_OK) st = net_source_init(&sources[1], channels, exog, s->batch, err);
    net->head.label_weight = s->label_weight;
    struct trainer_config t = trainer_of(s, j->config->seed);
    t.loss = t.valid_loss = (struct nn_loss_choice){.own = net_head_loss, .context = &net->head};
    const struct window_source windows[2] = {
        {sources[0].range.count, net_source_batch, &sources[0]},
        {sources[1].range.count, net_source_batch, &sources[1]}};
    struct trainer_report trained = {0};
    if (st == ST_OK)
        st = trainer_run(&trained, net->network, &net->head.params, &windows[0], &windows[1], &t,
                         forward_progress, j, err);
    if (st == ST_OK) report->rounds = trained.looks[trained.best_look].epoch;
    trainer_report_free(&trained);
    net_source_free(&sources[0]);
    net_source_free(&sources[1]);
    return st;
}

/* The same weights in a net for inference: what is validated is what will be served. */
static enum status served_of(struct net **out, struct net *net, struct net_job *j,
                             struct err *err) {
    struct nn_params joined;
    enum status st = net_params_join(&joined, net, err);
    if (st != ST_OK) return st;
    st = net_create(out, net->kind, net->horizon, NET_BATCH, false, 1, j->workers, err);
    if (st == ST_OK) net_params_take(*out, &joined);
    nn_params_free(&joined);
    return st;
}

enum status net_fit(struct net **out, struct model_meta *meta, struct net_job *j, struct err *err) {
    const struct learn_config *c = j->config;
    struct learn_schedule s = learn_schedule_of(c->kind);
    struct model_meta warm = {.weights_to_ns = INT64_MIN};
    struct net *net = NULL;
    size_t horizon = c->labels.horizon_bars;
    if (c->epochs) s.epochs = c->epochs;
    *out = NULL;
    enum status st = workers_create(&j->workers, c->threads, err);
    if (st == ST_OK)
        st = c->warm_start
                 ? warm_load(&net, &warm, j, s.batch, err)
                 : net_create(&net, c->kind, horizon, s.batch, true, c->seed, j->workers, err);
    if (st != ST_OK) return st;
    learn_schedule_text(meta->report.params, c->kind, horizon, &s, c->seed);
    weigh_recency(j->weights, j->rows, j->parts[PART_TRAIN], s.half_life_days);
    meta->weights_to_ns = meta->report.train_to_ns;
    if (warm.weights_to_ns > meta->weights_to_ns) meta->weights_to_ns = warm.weights_to_ns;
    st = train(net, &meta->report, j, &s, err);
    if (st == ST_OK) st = served_of(out, net, j, err);
    net_destroy(net);
    return st;
}

void net_job_free(struct net_job *j) {
    workers_destroy(j->workers);
    j->workers = NULL;
}

/* ---- the path beside plain forecasts ---- */

static bool baseline_progress(void *context, const struct trainer_state *s) {
    const struct net_job *j = context;
    return !j->progress ||
           j->progress(j->context, "baseline", (uint32_t)s->step, (uint32_t)s->steps, NAN, NAN);
}

static enum status baseline_train(struct network *net, struct net_source *sources,
                                  struct net_job *j, struct err *err) {
    size_t batches = (sources[0].range.count + BASELINE_BATCH - 1) / BASELINE_BATCH;
    struct trainer_config t = trainer_config_defaults();
    struct trainer_report trained = {0};
    t.epochs = (uint32_t)((BASELINE_STEPS + batches - 1) / batches);
    if (t.epochs < 4) t.epochs = 4;
    t.steps_max = BASELINE_STEPS_MAX;
    t.batch = BASELINE_BATCH;
    t.patience = BASELINE_PATIENCE;
    t.seed = j->config->seed;
    t.schedule = (struct nn_schedule){.kind = NN_SCHEDULE_ONECYCLE, .lr = 2e-3, .pct_start = 0.3};
    const struct window_source windows[2] = {
        {sources[0].range.count, net_source_batch, &sources[0]},
        {sources[1].range.count, net_source_batch, &sources[1]}};
    enum status st =
        trainer_run(&trained, net, NULL, &windows[0], &windows[1], &t, baseline_progress, j, err);
    trainer_report_free(&trained);
    return st;
}

/* Mean squares over the test rows at the path's end: of DLinear's error and of the path itself. */
static void baseline_errors(double *dlinear, double *persistence, struct network *net,
                            struct net_source *test, float *y) {
    size_t horizon = net->horizon, count = test->range.count;
    uint32_t windows[BASELINE_BATCH];
    double errors = 0, moves = 0;
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BASELINE_BATCH ? count - done : BASELINE_BATCH;
        for (size_t i = 0; i < n; i++) windows[i] = (uint32_t)(done + i);
        struct nn_batch batch;
        net_source_batch(test, &batch, windows, n);
        net->class_of->predict(net, y, &batch);
        for (size_t i = 0; i < n; i++) {
            double move = (double)batch.target[i * horizon + horizon - 1];
            double gap = move - (double)y[i * horizon + horizon - 1];
            errors += gap * gap;
            moves += move * move;
        }
        done += n;
    }
    *dlinear = errors / (double)count;
    *persistence = moves / (double)count;
}

enum status net_baseline_measure(struct learn_report *report, struct net_job *j, struct err *err) {
    struct dlinear_config c = dlinear_config_defaults();
    struct net_source sources[3];
    struct network *net = NULL;
    c.seq_len = NET_WINDOW;
    c.pred_len = j->config->labels.horizon_bars;
    c.channels = 1;
    static const enum learn_part parts[3] = {PART_TRAIN, PART_VALID, PART_TEST};
    for (int k = 0; k < 3; k++)
        sources[k] = (struct net_source){.rows = j->rows,
                                         .range = j->parts[parts[k]],
                                         .weights = k ? NULL : j->weights,
                                         .labels = &j->config->labels,
                                         .workers = j->workers,
                                         .paths_only = true};
    enum status st =
        dlinear_create(&net, &c, BASELINE_BATCH, true, j->config->seed, j->workers, err);
    for (int k = 0; k < 3 && st == ST_OK; k++)
        st = net_source_init(&sources[k], 1, false, BASELINE_BATCH, err);
    float *y = malloc((size_t)BASELINE_BATCH * c.pred_len * sizeof *y);
    if (st == ST_OK && !y) st = err_set(err, ST_NO_MEMORY, "baseline");
    if (st == ST_OK) st = baseline_train(net, sources, j, err);
    if (st == ST_OK)
        baseline_errors(&report->mse_dlinear, &report->mse_persistence, net, &sources[2], y);
    free(y);
    for (int k = 0; k < 3; k++) net_source_free(&sources[k]);
    if (net) net->class_of->destroy(net);
    return st;
}

double net_path_error(const struct net_job *j, const double *medians) {
    struct learn_range test = j->parts[PART_TEST];
    size_t horizon = j->config->labels.horizon_bars;
    float path[NET_HORIZON_MAX];
    double errors = 0;
    for (size_t i = 0; i < test.count; i++) {
        double sigma = net_row_sigma(j->rows, test.begin + i);
        net_row_path(path, j->rows, test.begin + i, sigma, horizon);
        double gap = (double)path[horizon - 1] - medians[i];
        errors += gap * gap;
    }
    return errors / (double)test.count;
}
