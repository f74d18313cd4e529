#include "ml/trainer/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ml/nn/checkpoint.h"

enum { SETS = 2 }; /* of parameters: the network's and the head's */

struct run {
    const struct trainer_config *config;
    struct network *net;
    const struct window_source *train, *valid;
    struct nn_params *sets[SETS]; /* the second may be NULL */
    struct nn_adam adam[SETS];
    struct nn_schedule schedule;
    struct nn_stopping stopping;
    nn_real *best[SETS]; /* values of the best look */
    uint32_t *order;     /* (train->count) of the epoch at hand */
    uint64_t ordered_epoch;
    uint64_t step, steps, steps_per_epoch;
    uint64_t windows; /* in this process */
    double loss_sum;  /* since the last look */
    uint64_t loss_count;
    struct trainer_report *report;
    trainer_progress_fn progress;
    void *context;
};

struct trainer_config trainer_config_defaults(void) {
    return (struct trainer_config){
        .epochs = 10,
        .batch = 128,
        .adam = nn_adam_defaults(),
        .schedule = {.kind = NN_SCHEDULE_CONSTANT, .lr = 1e-3},
        .loss = {.kind = NN_MSE},
        .valid_loss = {.kind = NN_MSE},
        .seed = 1,
    };
}

void trainer_report_free(struct trainer_report *r) {
    free(r->looks);
    *r = (struct trainer_report){0};
}

/* ---- evaluation ---- */

static double weight_of(const struct nn_batch *batch) {
    if (!batch->weights) return (double)batch->n;
    double sum = 0;
    for (size_t i = 0; i < batch->n; i++) sum += (double)batch->weights[i];
    return sum;
}

static double loss_over(struct network *net, const struct window_source *source,
                        const struct nn_loss_choice *choice, uint32_t batch_size, nn_real *y,
                        nn_real *weights, uint32_t *windows) {
    double sum = 0, total = 0;
    for (size_t done = 0; done < source->count;) {
        size_t n = source->count - done < batch_size ? source->count - done : batch_size;
        for (size_t i = 0; i < n; i++) windows[i] = (uint32_t)(done + i);
        struct nn_batch batch = {0};
        source->batch(source->context, &batch, windows, n);
        net->class_of->predict(net, y, &batch);
        double weight = weight_of(&batch);
        if (weight > 0) sum += weight * network_loss(net, NULL, y, &batch, choice, weights);
        total += weight;
        done += n;
    }
    return total > 0 ? sum / total : (double)NAN;
}

enum status trainer_evaluate(double *loss, struct network *net, const struct window_source *source,
                             const struct nn_loss_choice *choice, uint32_t batch, struct err *err) {
    if (source->count == 0 || batch == 0 || batch > net->batch_max)
        return err_set(err, ST_RANGE, "evaluation: %zu windows in batches of %u (at most %zu)",
                       source->count, batch, net->batch_max);
    size_t values = (size_t)batch * net->horizon * net->outputs;
    nn_real *y = malloc(2 * values * sizeof *y);
    uint32_t *windows = malloc(batch * sizeof *windows);
    if (y && windows) *loss = loss_over(net, source, choice, batch, y, y + values, windows);
    enum status st =
        y && windows ? ST_OK : err_set(err, ST_NO_MEMORY, "evaluation: %zu values", 2 * values);
    free(y);
    free(windows);
    return st;
}

/* ---- checkpoints ---- */

/* In the caller's bytes of a checkpoint, then the looks, then the best values. */
struct saved {
    uint64_t identity;
    struct nn_stopping stopping;
    double loss_sum;
    uint64_t loss_count, look_count, best_look, values;
};

static uint64_t identity_of(const struct run *r) {
    const struct trainer_config *c = r->config;
    const uint64_t words[] = {c->identity,
                              c->epochs,
                              c->steps_max,
                              c->valid_every,
                              c->batch,
                              c->drop_last,
                              c->patience,
                              c->seed,
                              (uint64_t)c->loss.kind,
                              (uint64_t)c->valid_loss.kind,
                              (uint64_t)c->schedule.kind,
                              c->schedule.period,
                              r->train->count,
                              r->valid ? r->valid->count : 0};
    const double reals[] = {(double)c->loss.delta,
                            (double)c->valid_loss.delta,
                            c->schedule.lr,
                            c->schedule.gamma,
                            c->schedule.pct_start,
                            c->adam.beta1,
                            c->adam.beta2,
                            c->adam.eps,
                            c->adam.lr,
                            c->adam.weight_decay,
                            c->adam.clip_norm};
    return hash_chain(hash64(words, sizeof words), reals, sizeof reals);
}

static enum status checkpoint_write(const struct run *r, struct err *err) {
    const struct trainer_report *out = r->report;
    struct saved head = {.identity = identity_of(r),
                         .stopping = r->stopping,
                         .loss_sum = r->loss_sum,
                         .loss_count = r->loss_count,
                         .look_count = out->look_count,
                         .best_look = out->best_look,
                         .values = out->look_count ? r->sets[0]->size : 0};
    size_t looks = out->look_count * sizeof *out->looks, best = head.values * sizeof(nn_real);
    char *blob = calloc(1, sizeof head + looks + best);
    if (!blob) return err_set(err, ST_NO_MEMORY, "checkpoint %s", r->config->checkpoint);
    memcpy(blob, &head, sizeof head);
    if (looks) memcpy(blob + sizeof head, out->looks, looks);
    if (best) memcpy(blob + sizeof head + looks, r->best[0], best);
    const struct nn_checkpoint c = {.step = r->step,
                                    .epoch = r->step / r->steps_per_epoch,
                                    .seed = r->config->seed,
                                    .best_loss = r->stopping.best,
                                    .blob = blob,
                                    .blob_size = sizeof head + looks + best};
    enum status st = nn_checkpoint_save(r->config->checkpoint, r->sets[0], &r->adam[0], &c, err);
    free(blob);
    return st;
}

static enum status blob_take(struct run *r, const struct nn_checkpoint *c, struct err *err) {
    const char *path = r->config->checkpoint, *blob = c->blob;
    struct saved head;
    if (c->blob_size < sizeof head) return err_set(err, ST_CORRUPT, "%s: no training state", path);
    memcpy(&head, blob, sizeof head);
    if (head.identity != identity_of(r))
        return err_set(err, ST_MISMATCH, "%s is of a run with other data or options", path);
    struct trainer_report *out = r->report;
    size_t looks = head.look_count * sizeof *out->looks;
    bool fits = head.look_count <= TRAINER_LOOKS_MAX && head.best_look <= head.look_count &&
                head.values == (head.look_count ? r->sets[0]->size : 0) && c->step <= r->steps &&
                c->blob_size == sizeof head + looks + head.values * sizeof(nn_real);
    if (!fits) return err_set(err, ST_CORRUPT, "%s: training state does not fit", path);
    if (looks) memcpy(out->looks, blob + sizeof head, looks);
    if (head.values) memcpy(r->best[0], blob + sizeof head + looks, head.values * sizeof(nn_real));
    out->look_count = (uint32_t)head.look_count;
    out->best_look = (uint32_t)head.best_look;
    out->resumed = true;
    r->stopping = head.stopping;
    r->loss_sum = head.loss_sum;
    r->loss_count = head.loss_count;
    r->step = c->step;
    return ST_OK;
}

static enum status resume(struct run *r, struct err *err) {
    struct nn_checkpoint c = {0};
    enum status st = nn_checkpoint_load(r->config->checkpoint, r->sets[0], &r->adam[0], &c, err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st != ST_OK) return st;
    st = blob_take(r, &c, err);
    nn_checkpoint_free(&c);
    return st;
}

/* ---- looks ---- */

static void keep_best(struct run *r) {
    for (int s = 0; s < SETS; s++)
        if (r->sets[s]) memcpy(r->best[s], r->sets[s]->value, r->sets[s]->size * sizeof(nn_real));
}

static void take_best(struct run *r) {
    for (int s = 0; s < SETS; s++)
        if (r->sets[s]) {
            memcpy(r->sets[s]->value, r->best[s], r->sets[s]->size * sizeof(nn_real));
            r->sets[s]->changes++;
        }
}

static enum status look(struct run *r, struct err *err) {
    struct trainer_report *out = r->report;
    if (out->look_count == TRAINER_LOOKS_MAX)
        return err_set(err, ST_RANGE, "more than %d looks at the validation windows",
                       TRAINER_LOOKS_MAX);
    struct trainer_look now = {.epoch = (uint32_t)((r->step - 1) / r->steps_per_epoch) + 1,
                               .step = r->step,
                               .train_loss = r->loss_sum / (double)r->loss_count,
                               .valid_loss = NAN};
    now.valid_loss = now.train_loss;
    if (r->valid) {
        enum status st = trainer_evaluate(&now.valid_loss, r->net, r->valid, &r->config->valid_loss,
                                          r->config->batch, err);
        if (st != ST_OK) return st;
        if (!isfinite(now.valid_loss))
            return err_set(err, ST_RANGE,
                           "training diverged: validation loss at step %" PRIu64
                           " is no finite number",
                           r->step);
    }
    bool improves = nn_stopping_improves(&r->stopping, now.valid_loss);
    if (improves || !r->valid) {
        keep_best(r);
        out->best_look = out->look_count;
        out->best_valid_loss = now.valid_loss;
    }
    out->looks[out->look_count++] = now;
    r->loss_sum = 0;
    r->loss_count = 0;
    return r->config->checkpoint ? checkpoint_write(r, err) : ST_OK;
}

/* ---- steps ---- */

static void order_epoch(struct run *r, uint64_t epoch) {
    if (epoch == r->ordered_epoch) return;
    struct rng root = rng_init(r->config->seed), rng = rng_split(&root, epoch + 1);
    size_t n = r->train->count;
    for (size_t i = 0; i < n; i++) r->order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rng_below(&rng, i);
        uint32_t t = r->order[i - 1];
        r->order[i - 1] = r->order[k];
        r->order[k] = t;
    }
    r->ordered_epoch = epoch;
}

static enum status step(struct run *r, struct err *err) {
    const struct trainer_config *c = r->config;
    order_epoch(r, r->step / r->steps_per_epoch);
    size_t from = (size_t)(r->step % r->steps_per_epoch) * c->batch;
    size_t n = r->train->count - from < c->batch ? r->train->count - from : c->batch;
    struct nn_batch batch = {0};
    r->train->batch(r->train->context, &batch, r->order + from, n);
    for (int s = 0; s < SETS; s++) {
        struct nn_params *p = r->sets[s];
        if (!p) continue;
        memset(p->grad, 0, p->trainable_size * sizeof *p->grad);
        nn_schedule_apply(&r->adam[s], &r->schedule, r->step);
    }
    double loss = r->net->class_of->step(r->net, NULL, &batch, &c->loss,
                                         rng_mix(c->seed + 0x9E3779B97F4A7C15u * (r->step + 1)));
    bool finite = isfinite(loss);
    for (int s = 0; s < SETS && finite; s++)
        if (r->sets[s]) finite = isfinite(nn_adam_step(&r->adam[s], r->sets[s], r->net->workers));
    if (!finite)
        return err_set(err, ST_RANGE,
                       "training diverged: loss or gradient of step %" PRIu64 " (epoch %" PRIu64
                       ") is no finite number",
                       r->step + 1, r->step / r->steps_per_epoch + 1);
    r->step++;
    r->windows += n;
    r->loss_sum += loss;
    r->loss_count++;
    return ST_OK;
}

static bool go_on(const struct run *r) {
    if (!r->progress) return true;
    const struct trainer_report *out = r->report;
    uint32_t looks = out->look_count;
    uint64_t epoch = r->step ? (r->step - 1) / r->steps_per_epoch + 1 : 1;
    struct trainer_state state = {
        .epoch = (uint32_t)epoch,
        .epochs = (uint32_t)((r->steps + r->steps_per_epoch - 1) / r->steps_per_epoch),
        .step = r->step,
        .steps = r->steps,
        .windows = r->windows,
        .train_loss = r->loss_count ? r->loss_sum / (double)r->loss_count
                      : looks       ? out->looks[looks - 1].train_loss
                                    : (double)NAN,
        .valid_loss = looks ? out->looks[looks - 1].valid_loss : (double)NAN,
        .best_valid_loss = looks ? out->looks[out->best_look].valid_loss : (double)NAN,
    };
    return r->progress(r->context, &state);
}

static bool is_look(const struct run *r) {
    uint64_t every = r->config->valid_every ? r->config->valid_every : r->steps_per_epoch;
    return r->step % every == 0 || r->step == r->steps;
}

static enum status loop(struct run *r, struct err *err) {
    while (r->step < r->steps && !nn_stopping_is_over(&r->stopping)) {
        enum status st = step(r, err);
        if (st == ST_OK && is_look(r)) st = look(r, err);
        if (st != ST_OK) return st;
        if (go_on(r)) continue;
        if (r->config->checkpoint && (st = checkpoint_write(r, err)) != ST_OK) return st;
        return err_set(err, ST_INTERRUPTED, "stopped at step %" PRIu64 " of %" PRIu64, r->step,
                       r->steps);
    }
    return ST_OK;
}

/* ---- the run ---- */

static enum status check(const struct run *r, struct err *err) {
    const struct trainer_config *c = r->config;
    if (c->batch == 0 || c->batch > r->net->batch_max)
        return err_set(err, ST_RANGE, "batch %u is not within 1 .. %zu", c->batch,
                       r->net->batch_max);
    if (c->epochs == 0) return err_set(err, ST_RANGE, "epochs is 0");
    if (r->train->count == 0 || r->train->count > UINT32_MAX)
        return err_set(err, ST_RANGE, "%zu training windows", r->train->count);
    if (c->drop_last && r->train->count < c->batch)
        return err_set(err, ST_RANGE, "%zu training windows are less than a batch of %u",
                       r->train->count, c->batch);
    if (r->valid && r->valid->count == 0) return err_set(err, ST_RANGE, "no validation windows");
    if (r->sets[1] && c->checkpoint)
        return err_set(err, ST_UNSUPPORTED, "no checkpoints of a network with a head");
    return ST_OK;
}

static enum status prepare(struct run *r, struct err *err) {
    const struct trainer_config *c = r->config;
    r->steps_per_epoch =
        c->drop_last ? r->train->count / c->batch : (r->train->count + c->batch - 1) / c->batch;
    r->steps = c->epochs * r->steps_per_epoch;
    if (c->steps_max && c->steps_max < r->steps) r->steps = c->steps_max;
    r->schedule = c->schedule;
    r->schedule.total_steps = r->steps;
    r->schedule.steps_per_epoch = r->steps_per_epoch;
    r->stopping = nn_stopping_init(r->valid ? c->patience : 0);
    r->ordered_epoch = UINT64_MAX;
    r->order = malloc(r->train->count * sizeof *r->order);
    r->report->looks = calloc(TRAINER_LOOKS_MAX, sizeof *r->report->looks);
    bool placed = r->order && r->report->looks;
    for (int s = 0; s < SETS; s++) {
        r->adam[s] = c->adam;
        if (!r->sets[s]) continue;
        r->best[s] = malloc(r->sets[s]->size * sizeof(nn_real));
        placed = placed && r->best[s];
    }
    return placed ? ST_OK : err_set(err, ST_NO_MEMORY, "training of %zu windows", r->train->count);
}

enum status trainer_run(struct trainer_report *out, struct network *net, struct nn_params *head,
                        const struct window_source *train, const struct window_source *valid,
                        const struct trainer_config *config, trainer_progress_fn progress,
                        void *context, struct err *err) {
    *out = (struct trainer_report){0};
    struct run r = {.config = config,
                    .net = net,
                    .train = train,
                    .valid = valid,
                    .sets = {&net->params, head},
                    .report = out,
                    .progress = progress,
                    .context = context};
    enum status st = check(&r, err);
    if (st == ST_OK) st = prepare(&r, err);
    if (st == ST_OK && config->checkpoint && config->resume) st = resume(&r, err);
    if (st == ST_OK) st = loop(&r, err);
    if (st == ST_OK) {
        take_best(&r);
        out->best_valid_loss = out->looks[out->best_look].valid_loss;
        out->stopped_early = r.step < r.steps;
    }
    out->steps = r.step;
    out->epochs =
        (uint32_t)((r.step + r.steps_per_epoch - 1) / (r.steps_per_epoch ? r.steps_per_epoch : 1));
    free(r.order);
    for (int s = 0; s < SETS; s++) free(r.best[s]);
    if (st != ST_OK && st != ST_INTERRUPTED) trainer_report_free(out);
    return st;
}
