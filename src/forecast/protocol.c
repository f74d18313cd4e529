#include "forecast/protocol.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/tstamp.h"
#include "forecast/protocol_internal.h"

enum { EPOCHS_NO_BOUND = 1 << 20 };

/* ---- options ---- */

static struct trainer_config trainer_defaults(enum forecast_kind kind) {
    struct trainer_config t = trainer_config_defaults();
    switch (kind) {
    case FORECAST_PATCHTST:
        t.epochs = 100;
        t.batch = 128;
        t.drop_last = true;
        t.patience = 100;
        t.schedule = (struct nn_schedule){.kind = NN_SCHEDULE_TYPE3, .lr = 1e-4};
        break;
    case FORECAST_NHITS:
        t.epochs = EPOCHS_NO_BOUND;
        t.steps_max = 1000;
        t.valid_every = 100;
        t.batch = 256;
        t.schedule = (struct nn_schedule){.kind = NN_SCHEDULE_STEP, .lr = 1e-3};
        t.loss.kind = t.valid_loss.kind = NN_MAE;
        break;
    case FORECAST_DLINEAR:
    case FORECAST_KINDS:
        t.epochs = 10;
        t.batch = 32;
        t.patience = 3;
        t.schedule = (struct nn_schedule){.kind = NN_SCHEDULE_STEP, .lr = 5e-3};
        break;
    }
    t.schedule.gamma = 0.5;
    t.schedule.pct_start = 0.3;
    return t;
}

struct forecast_options forecast_options_defaults(enum forecast_kind kind) {
    return (struct forecast_options){.target = "all",
                                     .config = forecast_config_defaults(kind),
                                     .input = 336,
                                     .horizon = 96,
                                     .split = {.kind = FORECAST_SPLIT_ETT},
                                     .trainer = trainer_defaults(kind),
                                     .baseline = kind != FORECAST_DLINEAR,
                                     .threads = 1};
}

/* Hash of all that decides the outcome. The trainer's own fields are hashed as they stand. */
static enum status identity_of(uint64_t *out, const struct run *r, struct err *err) {
    const struct forecast_options *o = r->o;
    const struct trainer_config *t = &o->trainer;
    char params[FORECAST_CONFIG_TEXT_SIZE], split[FORECAST_SPLIT_TEXT_SIZE];
    if (forecast_config_text(params, &r->model.config) != ST_OK)
        return err_set(err, ST_RANGE, "the network's options are too long");
    forecast_split_text(split, &o->split);
    const uint64_t words[] = {(uint64_t)r->model.config.kind,
                              o->input,
                              o->horizon,
                              r->data.hash,
                              t->epochs,
                              t->steps_max,
                              t->valid_every,
                              t->batch,
                              t->drop_last,
                              t->patience,
                              t->seed,
                              (uint64_t)t->loss.kind,
                              (uint64_t)t->valid_loss.kind,
                              (uint64_t)t->schedule.kind,
                              t->schedule.period};
    const double reals[] = {
        (double)t->loss.delta, (double)t->valid_loss.delta, t->schedule.lr,    t->schedule.gamma,
        t->schedule.pct_start, t->adam.weight_decay,        t->adam.clip_norm, t->adam.beta1,
        t->adam.beta2};
    uint64_t h = hash64(words, sizeof words);
    h = hash_chain(h, reals, sizeof reals);
    h = hash_chain(h, params, strlen(params));
    *out = hash_chain(h, split, strlen(split));
    return ST_OK;
}

/* ---- progress ---- */

bool run_go_on(void *context) {
    struct run *r = context;
    const struct forecast_progress p = {.phase = FORECAST_SCORING};
    return !r->progress || r->progress(r->context, &p);
}

static double seconds_since(int64_t begin_ns) {
    return (double)(tstamp_monotonic_ns() - begin_ns) / (double)NS_PER_SECOND;
}

/* running.json: for who looks, and the seconds for the run that goes on. */
static void note_running(const struct run *r, const struct trainer_state *s) {
    char text[512];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    json_write_object_begin(&w);
    json_write_key(&w, "seconds");
    json_write_f64(&w, r->seconds_before + seconds_since(r->begin_ns));
    json_write_key(&w, "epoch");
    json_write_u64(&w, s->epoch);
    json_write_key(&w, "step");
    json_write_u64(&w, s->step);
    json_write_key(&w, "steps");
    json_write_u64(&w, s->steps);
    json_write_key(&w, "train_loss");
    json_write_f64(&w, s->train_loss);
    json_write_key(&w, "valid_loss");
    json_write_f64(&w, s->valid_loss);
    json_write_key(&w, "best_valid_loss");
    json_write_f64(&w, s->best_valid_loss);
    json_write_object_end(&w);
    /* A note that cannot be written costs the run nothing: the checkpoint beside it would have failed before. */
    if (json_writer_finish(&w) == ST_OK)
        (void)run_folder_write(&r->folder, "running.json", text, NULL);
}

bool run_show(void *context, const struct trainer_state *s) {
    struct run *r = context;
    if (r->first_step == 0) r->first_step = s->step;
    double elapsed = seconds_since(r->begin_ns);
    uint64_t done = s->step - r->first_step + 1;
    struct forecast_progress p = {
        .phase = r->phase,
        .state = s,
        .look = s->step % r->look_every == 0 || s->step == s->steps,
        .windows_per_second = elapsed > 0 ? (double)s->windows / elapsed : 0,
        .eta_seconds = elapsed / (double)done * (double)(s->steps - s->step)};
    bool go_on = !r->progress || r->progress(r->context, &p);
    if (r->phase == FORECAST_TRAINING && (p.look || !go_on)) note_running(r, s);
    return go_on;
}

static double seconds_noted(const struct run_folder *f) {
    char *text;
    if (run_folder_read(&text, f, "running.json", NULL) != ST_OK) return 0;
    struct json_reader r;
    struct json_text key;
    double seconds = 0;
    json_reader_init(&r, text, strlen(text));
    json_object_begin(&r);
    while (json_object_next(&r, &key))
        if (json_text_is(&key, "seconds"))
            seconds = json_f64(&r);
        else
            json_skip(&r);
    bool good = json_finish(&r) == ST_OK && seconds >= 0;
    free(text);
    return good ? seconds : 0;
}

/* ---- preparing ---- */

void forecast_dataset_name(char out[256], const char *path) {
    const char *slash = strrchr(path, '/');
    snprintf(out, 256, "%.255s", slash ? slash + 1 : path);
    static const char *const endings[] = {".zst", ".gz", ".csv", ".txt", ".tsv"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(out), tail = strlen(endings[i]);
        if (size > tail && strcmp(out + size - tail, endings[i]) == 0) out[size - tail] = 0;
    }
}

static enum status read_data(struct run *r, struct err *err) {
    const struct forecast_options *o = r->o;
    struct forecast_report *out = r->report;
    bool all = strcmp(o->target, "all") == 0;
    enum status st = forecast_dataset_read(&r->data, o->csv, &o->target, all ? 0 : 1, err);
    if (st != ST_OK) return st;
    forecast_dataset_name(out->dataset, o->csv);
    out->rows = r->data.rows;
    out->channels = r->data.channels;
    st = forecast_split_apply(out->spans, &o->split, &r->data, o->input, o->horizon, err);
    size_t end = out->spans[FORECAST_TEST].end;
    if (st == ST_OK) st = forecast_dataset_whole(&r->data, 0, end, err);
    if (st == ST_OK) st = forecast_model_init(&r->model, &r->data, err);
    if (st != ST_OK) return st;
    struct forecast_model *m = &r->model;
    m->config = o->config;
    forecast_config_shape(&m->config, o->input, o->horizon, m->channels);
    m->input = o->input;
    m->horizon = o->horizon;
    m->split = o->split;
    m->seed = o->trainer.seed;
    m->data_hash = r->data.hash;
    forecast_scale_measure(m->mean, m->deviation, &r->data, 0, out->spans[FORECAST_TRAIN].end);
    r->series = malloc(end * m->channels * sizeof *r->series);
    if (!r->series) return err_set(err, ST_NO_MEMORY, "no memory for %zu rows", end);
    forecast_scale_apply(r->series, &r->data, 0, end, m->mean, m->deviation);
    return identity_of(&m->identity, r, err);
}

static enum status cuts_open(struct forecast_cuts cuts[FORECAST_PARTS], const struct run *r,
                             bool by_channel, size_t batch_max, struct err *err) {
    const struct forecast_options *o = r->o;
    bool scaled = by_channel && o->config.scaler == FORECAST_SCALER_STANDARD;
    enum status st = ST_OK;
    for (int i = 0; i < FORECAST_PARTS && st == ST_OK; i++) {
        st = forecast_cuts_init(&cuts[i], r->series, r->model.channels, &r->report->spans[i],
                                o->input, o->horizon, by_channel, batch_max, err);
        const struct nn_loss_choice *loss =
            i == FORECAST_TRAIN ? &o->trainer.loss : &o->trainer.valid_loss;
        if (st == ST_OK && scaled) st = forecast_cuts_scale(&cuts[i], batch_max, loss->kind, err);
    }
    return st;
}

static void cuts_close(struct forecast_cuts cuts[FORECAST_PARTS]) {
    for (int i = 0; i < FORECAST_PARTS; i++) forecast_cuts_free(&cuts[i]);
}

/* What follows from the number of windows. */
static enum status steps_plan(struct trainer_config *t, uint64_t *steps_per_epoch, size_t windows,
                              bool by_epoch, struct err *err) {
    uint64_t per_epoch = t->drop_last ? windows / t->batch : (windows + t->batch - 1) / t->batch;
    if (per_epoch == 0)
        return err_set(err, ST_RANGE, "%zu windows to train on are less than a batch of %u",
                       windows, t->batch);
    uint64_t steps = per_epoch * t->epochs, every = t->valid_every ? t->valid_every : per_epoch;
    if (t->steps_max && t->steps_max < steps) steps = t->steps_max;
    if (steps / every + 1 > TRAINER_LOOKS_MAX)
        return err_set(err, ST_RANGE,
                       "%" PRIu64
                       " steps with a look at the validation windows behind each %" PRIu64
                       " are more than %d looks",
                       steps, every, TRAINER_LOOKS_MAX);
    if (t->schedule.kind == NN_SCHEDULE_STEP && t->schedule.period == 0)
        t->schedule.period = by_epoch ? per_epoch : steps > 3 ? steps / 3 : 1;
    *steps_per_epoch = per_epoch;
    return ST_OK;
}

/* ---- what the folder holds already ---- */

static enum status take_finished(const struct run *r, struct err *err) {
    char path[FORECAST_PATH_SIZE];
    struct forecast_model m;
    enum status st = run_folder_path(path, &r->folder, "model.safetensors", err);
    if (st == ST_OK) st = forecast_model_load(&m, NULL, 0, NULL, path, err);
    if (st != ST_OK) return st;
    bool same = m.identity == r->model.identity;
    forecast_model_free(&m);
    if (!same)
        return err_set(err, ST_MISMATCH, "%s holds a run with other data or options", r->o->dir);
    st = run_folder_read(&r->report->finished, &r->folder, "report.txt", err);
    if (st == ST_OK)
        st = run_folder_read(&r->report->finished_json, &r->folder, "report.json", err);
    return st;
}

static enum status folder_prepare(struct run *r, struct err *err) {
    static const char *const files[] = {"report.json",  "report.txt",        "checkpoint",
                                        "running.json", "model.safetensors", "history.json"};
    enum status st = run_folder_open(&r->folder, r->o->dir, err);
    if (st != ST_OK) return st;
    bool finished = run_folder_has(&r->folder, "report.json");
    bool begun = run_folder_has(&r->folder, "checkpoint");
    if (r->o->restart) {
        for (size_t i = 0; i < sizeof files / sizeof *files && st == ST_OK; i++)
            st = run_folder_remove(&r->folder, files[i], err);
        return st;
    }
    if (r->o->resume) return finished ? take_finished(r, err) : ST_OK;
    if (finished || begun)
        return err_set(err, ST_EXISTS,
                       "%s holds a run that is %s; --resume %s, --restart removes it", r->o->dir,
                       finished ? "finished" : "not finished",
                       finished ? "shows it" : "goes on with it");
    return ST_OK;
}

/* ---- training and measuring ---- */

static void begin_phase(struct run *r, enum forecast_phase phase, const struct trainer_config *t,
                        uint64_t steps_per_epoch) {
    r->phase = phase;
    r->look_every = t->valid_every ? t->valid_every : steps_per_epoch;
    r->first_step = 0;
    r->begin_ns = tstamp_monotonic_ns();
}

/* run_show counts windows and time; this keeps the last rate. */
static bool show_and_keep(void *context, const struct trainer_state *s) {
    struct run *r = context;
    double elapsed = seconds_since(r->begin_ns);
    if (elapsed > 0) r->report->windows_per_second = (double)s->windows / elapsed;
    return run_show(context, s);
}

/* Network, windows and plan: what can be wrong with the options is said before there is a folder. */
static enum status prepare(struct run *r, struct trainer_config *t, struct err *err) {
    const struct forecast_options *o = r->o;
    struct forecast_report *out = r->report;
    enum status st = o->threads != 1 ? workers_create(&r->workers, o->threads, err) : ST_OK;
    if (st == ST_OK)
        st = forecast_config_create(&r->net, &r->model.config, t->batch, true, t->seed, r->workers,
                                    err);
    if (st == ST_OK)
        st = cuts_open(r->cuts, r, forecast_config_by_channel(&r->model.config), t->batch, err);
    if (st == ST_OK)
        st = steps_plan(t, &out->steps_per_epoch, r->cuts[FORECAST_TRAIN].source.count,
                        o->config.kind == FORECAST_DLINEAR, err);
    if (st != ST_OK) return st;
    for (uint32_t i = 0; i < r->net->params.count; i++)
        if (r->net->params.tensors[i].trainable && !r->net->params.tensors[i].is_tied)
            out->parameters += r->net->params.tensors[i].count;
    return ST_OK;
}

static enum status train(struct run *r, struct trainer_config *t, struct err *err) {
    struct forecast_report *out = r->report;
    char checkpoint[FORECAST_PATH_SIZE], path[FORECAST_PATH_SIZE];
    enum status st = run_folder_path(checkpoint, &r->folder, "checkpoint", err);
    if (st != ST_OK) return st;
    t->checkpoint = checkpoint;
    t->resume = r->o->resume;
    t->identity = r->model.identity;
    r->seconds_before = r->o->resume ? seconds_noted(&r->folder) : 0;
    begin_phase(r, FORECAST_TRAINING, t, out->steps_per_epoch);
    st = trainer_run(&out->training, r->net, NULL, &r->cuts[FORECAST_TRAIN].source,
                     &r->cuts[FORECAST_VALID].source, t, show_and_keep, r, err);
    out->seconds = r->seconds_before + seconds_since(r->begin_ns);
    if (st == ST_OK) st = run_folder_path(path, &r->folder, "model.safetensors", err);
    return st == ST_OK ? forecast_model_save(&r->model, r->net, path, err) : st;
}

static enum status score(struct run *r, enum forecast_contender who, struct network *net,
                         const struct forecast_cuts *cuts, struct err *err) {
    enum status st = ST_OK;
    for (int part = FORECAST_VALID; part <= FORECAST_TEST && st == ST_OK; part++) {
        struct forecast_score *to = &r->report->scores[who][part];
        if (net)
            st = forecast_score_network(to, net, &cuts[part], run_go_on, r, err);
        else
            *to = forecast_score_repeat(&cuts[part]);
    }
    r->report->scored[who] = st == ST_OK;
    return st;
}

/* DLinear with its own defaults on the same windows. */
static enum status baseline(struct run *r, struct err *err) {
    const struct forecast_options *o = r->o;
    struct trainer_config t = trainer_defaults(FORECAST_DLINEAR);
    struct forecast_config config = forecast_config_defaults(FORECAST_DLINEAR);
    struct forecast_cuts cuts[FORECAST_PARTS] = {0};
    struct trainer_report training = {0};
    struct network *net = NULL;
    uint64_t steps_per_epoch = 0;
    forecast_config_shape(&config, o->input, o->horizon, r->model.channels);
    t.seed = o->trainer.seed;
    enum status st = forecast_config_create(&net, &config, t.batch, true, t.seed, r->workers, err);
    if (st == ST_OK) st = cuts_open(cuts, r, false, t.batch, err);
    if (st == ST_OK)
        st = steps_plan(&t, &steps_per_epoch, cuts[FORECAST_TRAIN].source.count, true, err);
    if (st == ST_OK) {
        begin_phase(r, FORECAST_BASELINE, &t, steps_per_epoch);
        st = trainer_run(&training, net, NULL, &cuts[FORECAST_TRAIN].source,
                         &cuts[FORECAST_VALID].source, &t, run_show, r, err);
    }
    if (st == ST_OK) st = score(r, FORECAST_LINEAR, net, cuts, err);
    r->report->baseline_seconds = seconds_since(r->begin_ns);
    trainer_report_free(&training);
    if (net) net->class_of->destroy(net);
    cuts_close(cuts);
    return st == ST_OK ? st : err_wrap(err, st, "baseline (DLinear)");
}

static enum status finish(struct run *r, struct err *err) {
    int64_t begin = tstamp_monotonic_ns();
    enum status st = score(r, FORECAST_MODEL, r->net, r->cuts, err);
    if (st == ST_OK) st = score(r, FORECAST_REPEAT, NULL, r->cuts, err);
    r->report->score_seconds = seconds_since(begin);
    if (st == ST_OK && r->o->baseline) st = baseline(r, err);
    if (st == ST_OK) st = run_history_write(r, err);
    if (st == ST_OK) st = run_pictures(r, err);
    if (st == ST_OK) st = run_report_write(r, err);
    if (st == ST_OK) st = run_folder_remove(&r->folder, "checkpoint", err);
    if (st == ST_OK) st = run_folder_remove(&r->folder, "running.json", err);
    return st;
}

static void run_close(struct run *r) {
    if (r->net) r->net->class_of->destroy(r->net);
    cuts_close(r->cuts);
    workers_destroy(r->workers);
    free(r->series);
    forecast_model_free(&r->model);
    forecast_dataset_free(&r->data);
    run_folder_close(&r->folder);
}

enum status forecast_run(struct forecast_report *out, const struct forecast_options *o,
                         forecast_progress_fn progress, void *context, struct err *err) {
    *out = (struct forecast_report){.options = o};
    struct run r = {
        .o = o, .report = out, .progress = progress, .context = context, .folder = {.lock = -1}};
    struct trainer_config t = o->trainer;
    enum status st = read_data(&r, err);
    if (st == ST_OK) st = prepare(&r, &t, err);
    if (st == ST_OK) st = folder_prepare(&r, err);
    if (st == ST_OK && !out->finished) {
        st = train(&r, &t, err);
        if (st == ST_OK) st = finish(&r, err);
    }
    run_close(&r);
    if (st != ST_OK) forecast_report_free(out);
    return st;
}

void forecast_report_free(struct forecast_report *r) {
    trainer_report_free(&r->training);
    free(r->finished);
    free(r->finished_json);
    r->finished = r->finished_json = NULL;
}
