/* One training: candles, file, model, trial. Knows no seat; runs in the thread of trainings or at once. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "retrain/retrain_internal.h"
#include "store/fs.h"

static bool go_on(void *context, const char *stage, uint32_t done, uint32_t total,
                  double train_loss, double valid_loss) {
    (void)stage;
    (void)done;
    (void)total;
    (void)train_loss;
    (void)valid_loss;
    return !training_cancelled(context);
}

static bool is_network(enum model_kind kind) {
    return kind == MODEL_NHITS || kind == MODEL_PATCHTST;
}

static struct learn_config configure(const struct retrain *r, enum model_kind kind,
                                     const struct training_order *order, const char *warm_start) {
    const struct retrain_config *c = &r->config;
    struct learn_config l = learn_config_defaults();
    l.kind = kind;
    l.interval_ns = c->interval_ns;
    l.to_ns = order->to_ns;
    l.from_ns = order->to_ns - (warm_start ? c->window_warm_ns : c->window_ns);
    l.labels = c->labels;
    l.valid_share = c->valid_share;
    l.test_share = c->test_share;
    l.embargo_bars = c->embargo_bars;
    l.rows_max = c->rows_max;
    l.seed = c->seed;
    l.threads = c->threads;
    l.epochs = c->epochs;
    l.warm_start = warm_start;
    return l;
}

static enum status train(struct training *t, const struct retrain *r, enum model_kind kind,
                         const struct training_order *order, const struct learn_series *series,
                         size_t count, const char *warm_start,
                         const struct training_cancel *cancel) {
    const struct learn_config l = configure(r, kind, order, warm_start);
    return r->hooks->train(&t->report, t->path, series, count, &l, go_on, (void *)cancel, &t->err);
}

/* Warm where that is wanted and allowed: a network that has seen what the new one would be judged by (or is of another
 * make) is no start, and the new one begins from random weights, which its record and its card say. */
static enum status train_warm_or_fresh(struct training *t, const struct retrain *r,
                                       enum model_kind kind, const struct training_order *order,
                                       const struct learn_series *series, size_t count,
                                       const struct training_cancel *cancel) {
    const char *served = order->served_path[kind];
    if (r->config.warm_networks && is_network(kind) && *served) {
        enum status st = train(t, r, kind, order, series, count, served, cancel);
        t->is_warm = st == ST_OK;
        if (t->is_warm) t->parent = order->against[kind];
        if (st != ST_REFUSED && st != ST_MISMATCH) return st;
        char text[ERR_TEXT_SIZE];
        log_warn("retrain", "trained from random weights", "kind=%s cause=%s",
                 model_kind_text(kind), log_quote(text, sizeof text, t->err.text));
    }
    return train(t, r, kind, order, series, count, NULL, cancel);
}

/* On copies of its own: who serves is being asked by another thread meanwhile. */
static enum status try_it(struct training *t, const struct retrain *r, enum model_kind kind,
                          const struct training_order *order, const struct learn_series *series,
                          size_t count, const struct training_cancel *cancel) {
    struct served_model *old = NULL;
    enum status st = ST_OK;
    if (order->against[kind]) st = retrain_load(&old, r, kind, order->served_path[kind], &t->err);
    if (st == ST_OK)
        st = trial_run(&t->trial, r, old, t->model, series, count, order->to_ns, cancel, &t->err);
    t->has_trial = st == ST_OK;
    if (old) r->hooks->destroy(old);
    return st;
}

void training_run(struct training *out, const struct retrain *r, enum model_kind kind,
                  const struct training_order *order, const struct learn_series *series,
                  size_t count, const struct training_cancel *cancel) {
    memset(out, 0, sizeof *out);
    enum status st = fs_path(out->path, &out->err, "%s/new-%s%s", r->config.work_dir,
                             model_kind_text(kind), learn_file_suffix(kind));
    if (st == ST_OK) st = train_warm_or_fresh(out, r, kind, order, series, count, cancel);
    if (st == ST_OK) st = retrain_load(&out->model, r, kind, out->path, &out->err);
    if (st == ST_OK && out->report.has_skill && !out->report.shuffled)
        st = try_it(out, r, kind, order, series, count, cancel);
    out->st = st;
    if (st == ST_OK) return;
    struct err err = out->err;
    training_drop(out, r);
    out->st = st;
    out->err = err;
}

void training_run_all(struct training out[MODEL_COUNT], const struct retrain *r,
                      const struct training_order *order, const struct training_cancel *cancel,
                      void (*done)(void *context, enum model_kind kind), void *context) {
    const struct retrain_source *source = &r->config.source;
    int64_t window = r->config.window_ns;
    struct learn_series *series = NULL;
    struct err err = {0};
    size_t count = 0;
    if (window < r->config.window_warm_ns) window = r->config.window_warm_ns;
    enum status st =
        source->open(source->context, &series, &count, order->to_ns - window, order->to_ns, &err);
    bool is_open = st == ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!(order->kinds >> k & 1)) continue;
        if (st == ST_OK && training_cancelled(cancel))
            st = err_set(&err, ST_INTERRUPTED, "stopped before a training");
        if (st == ST_OK)
            training_run(&out[k], r, (enum model_kind)k, order, series, count, cancel);
        else
            out[k] = (struct training){.st = st, .err = err};
        if (done) done(context, (enum model_kind)k);
    }
    if (is_open) source->close(source->context, series, count);
}

void training_drop(struct training *t, const struct retrain *r) {
    if (t->model) r->hooks->destroy(t->model);
    if (*t->path) (void)unlink(t->path); /* may never have been written */
    memset(t, 0, sizeof *t);
}
