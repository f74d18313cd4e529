/* The models of a run: given, found, or trained before the user's eyes. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/run.h"
#include "base/hash.h"
#include "base/tstamp.h"
#include "feature/feature.h"

/* A newcomer waits for this, and most of it is PatchTST's: two epochs instead of its own six. */
static const struct {
    uint32_t rows_max, epochs; /* epochs 0: the voter's own */
} trainings[MODEL_COUNT] = {[MODEL_XGBOOST] = {150000, 0},
                            [MODEL_LIGHTGBM] = {150000, 0},
                            [MODEL_NHITS] = {60000, 0},
                            [MODEL_PATCHTST] = {60000, 2}};

/* ---- training before the user's eyes ---- */

struct train_watch {
    const volatile sig_atomic_t *stop;
    const char *kind;
    int64_t began_ns, shown_ns;
    bool tty;
};

static bool train_progress(void *context, const char *stage, uint32_t done, uint32_t total,
                           double train_loss, double valid_loss) {
    struct train_watch *w = context;
    int64_t now = tstamp_monotonic_ns();
    if (w->tty && (now - w->shown_ns > 100 * NS_PER_MS || done == total)) {
        char bar[31] = "..............................";
        uint32_t full = total ? (uint32_t)((uint64_t)done * 30 / total) : 0;
        memset(bar, '#', full > 30 ? 30 : full);
        fprintf(stderr, "\r\033[Ktraining %s  %-9s [%s] %u/%u", w->kind, stage, bar, done, total);
        if (!isnan(train_loss)) fprintf(stderr, "  loss train %.4f", train_loss);
        if (!isnan(valid_loss)) fprintf(stderr, " valid %.4f", valid_loss);
        w->shown_ns = now;
    }
    return !(w->stop && *w->stop);
}

static enum status train(const struct run *run, enum model_kind kind, const char *path,
                         const struct learn_series *series, size_t count, int64_t from, int64_t to,
                         const volatile sig_atomic_t *stop, struct err *err) {
    struct learn_config lc = learn_config_defaults();
    struct learn_report report;
    lc.kind = kind;
    lc.interval_ns = run->options.interval_ns;
    lc.from_ns = from;
    lc.to_ns = to;
    lc.rows_max = trainings[kind].rows_max;
    lc.epochs = trainings[kind].epochs;
    lc.seed = run->options.seed;
    struct train_watch watch = {.stop = stop,
                                .kind = model_kind_text(kind),
                                .began_ns = tstamp_monotonic_ns(),
                                .tty = isatty(2) != 0};
    char a[TSTAMP_TEXT_SIZE], b[TSTAMP_TEXT_SIZE];
    fprintf(stderr, "no fitting model: training %s on %zu symbols, %.16s to %.16s\n", watch.kind,
            count, tstamp_format(a, from), tstamp_format(b, to));
    enum status st = learn_train(&report, path, series, count, &lc, train_progress, &watch, err);
    if (watch.tty) fprintf(stderr, "\n");
    if (st != ST_OK) return st;
    fprintf(stderr, "trained in %.1f s on %zu rows: %s\n",
            (double)(tstamp_monotonic_ns() - watch.began_ns) / 1e9, report.rows_train,
            report.verdict);
    return ST_OK;
}

/* ---- seats ---- */

enum status run_model_option(struct run_options *o, const char *path, struct err *err) {
    if (o->model_count == MODEL_COUNT)
        return err_set(err, ST_FULL, "more than %d models", MODEL_COUNT);
    char *out = o->models[o->model_count];
    if (!*path || (size_t)snprintf(out, RUN_PATH_SIZE, "%s", path) >= RUN_PATH_SIZE)
        return err_set(err, ST_INVALID, "--model '%.80s' is no path", path);
    o->model_count++;
    return ST_OK;
}

enum status run_voters_option(struct run_options *o, const char *names, struct err *err) {
    uint32_t voters = 0;
    for (const char *at = names;; at++) {
        size_t size = strcspn(at, ",");
        enum model_kind kind;
        if (!model_kind_parse(&kind, at, size))
            return err_set(err, ST_INVALID, "'%.*s' is no voter", (int)(size < 80 ? size : 80), at);
        if (voters & 1U << kind)
            return err_set(err, ST_INVALID, "%s is named twice", model_kind_text(kind));
        voters |= 1U << kind;
        at += size;
        if (!*at) break;
    }
    o->voters = voters;
    return ST_OK;
}

/* The exits of a trade are the barriers of its labels, so all voters of a run must have learned the same ones. */
static enum status labels_adopt(struct run *run, const struct served_model *m, struct err *err) {
    const struct label_spec *labels = served_model_labels(m);
    if (run->session.labels && !label_spec_equal(run->session.labels, labels))
        return err_set(err, ST_MISMATCH,
                       "was trained on other barriers than the model beside it: horizon %u and %u "
                       "bars, %g and %g ATR",
                       labels->horizon_bars, run->labels.horizon_bars, labels->barrier_atr,
                       run->labels.barrier_atr);
    run->labels = *labels;
    run->session.labels = &run->labels;
    return ST_OK;
}

static enum status seat_check(const struct run *run, const struct served_model *m, int64_t from_ns,
                              struct err *err) {
    if (served_model_data_end_ns(m) > from_ns) {
        char a[TSTAMP_TEXT_SIZE], b[TSTAMP_TEXT_SIZE];
        return err_set(err, ST_REFUSED,
                       "has seen bars up to %.16s, after the start %.16s: it would be judged on "
                       "what it learned from",
                       tstamp_format(a, served_model_data_end_ns(m)), tstamp_format(b, from_ns));
    }
    if (served_model_interval_ns(m) != run->options.interval_ns)
        return err_set(err, ST_MISMATCH, "was trained on another bar interval");
    enum model_kind kind = served_model_kind(m);
    if (!(run->options.voters >> kind & 1))
        return err_set(err, ST_REFUSED, "is a %s, which --voters leaves out",
                       model_kind_text(kind));
    if (run->session.models[kind])
        return err_set(err, ST_EXISTS, "is a second %s: each kind has one seat",
                       model_kind_text(kind));
    return ST_OK;
}

static enum status load_model(struct run *run, const char *path, int64_t from_ns, struct err *err) {
    struct served_model *m = NULL;
    enum status st = served_model_load(&m, path, err);
    if (st != ST_OK) return st;
    st = seat_check(run, m, from_ns, err);
    if (st == ST_OK) st = labels_adopt(run, m, err);
    if (st != ST_OK) {
        served_model_destroy(m);
        return err_wrap(err, st, "model %s", path);
    }
    enum model_kind kind = served_model_kind(m);
    run->session.models[kind] = m;
    snprintf(run->model_paths[kind], RUN_PATH_SIZE, "%s", path);
    session_view_model(&run->view_models[kind], m, path);
    run->session.view_models = run->view_models;
    return ST_OK;
}

enum status run_load_models(struct run *run, int64_t from_ns, struct err *err) {
    enum status st = ST_OK;
    for (uint32_t i = 0; i < run->options.model_count && st == ST_OK; i++)
        st = load_model(run, run->options.models[i], from_ns, err);
    return st;
}

/* ---- fitting ones ---- */

/* Name of the model that fits: everything its training depends on. */
static enum status auto_model_path(char out[RUN_PATH_SIZE], const struct run *run,
                                   enum model_kind kind, uint64_t data_hash, int64_t from,
                                   int64_t to, struct err *err) {
    char folder[RUN_PATH_SIZE], interval[16];
    if (snprintf(folder, sizeof folder, "%.4000s/models", run->options.state) >= (int)sizeof folder)
        return err_set(err, ST_RANGE, "state path is too long");
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) return err_errno(err, ST_IO, "%s", folder);
    const uint64_t words[] = {data_hash,
                              (uint64_t)from,
                              (uint64_t)to,
                              feature_list_hash(),
                              run->options.seed,
                              (uint64_t)run->options.interval_ns,
                              learn_voter_hash(kind),
                              trainings[kind].rows_max,
                              trainings[kind].epochs};
    snprintf(out, RUN_PATH_SIZE, "%.4000s/%s-%s-%016" PRIx64 "%s", folder, model_kind_text(kind),
             tstamp_interval_format(interval, run->options.interval_ns),
             hash64(words, sizeof words), learn_file_suffix(kind));
    return ST_OK;
}

/* A model of an older program (other features, other format) is trained again; any other trouble is told. */
static bool is_outdated(enum status st) {
    return st == ST_NOT_FOUND || st == ST_MISMATCH || st == ST_VERSION;
}

enum status run_fit_models(struct run *run, const struct learn_series *series, size_t count,
                           uint64_t data_hash, int64_t from_ns, int64_t to_ns,
                           const volatile sig_atomic_t *stop, struct err *err) {
    char path[RUN_PATH_SIZE];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        enum model_kind kind = (enum model_kind)k;
        if (!(run->options.voters >> k & 1)) continue;
        enum status st = auto_model_path(path, run, kind, data_hash, from_ns, to_ns, err);
        if (st != ST_OK) return st;
        st = access(path, R_OK) == 0 ? load_model(run, path, to_ns, err) : ST_NOT_FOUND;
        if (st == ST_OK)
            fprintf(stderr, "model %s: %s\n", run->view_models[kind].path,
                    served_model_report(run->session.models[kind])->verdict);
        if (is_outdated(st)) {
            st = train(run, kind, path, series, count, from_ns, to_ns, stop, err);
            if (st == ST_OK) st = load_model(run, path, to_ns, err);
        }
        if (st != ST_OK) return st;
    }
    return ST_OK;
}
