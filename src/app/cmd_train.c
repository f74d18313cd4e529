/* quantum train: candles of the store to model files, with a report of what they know about later bars. */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "app/train_report.h"
#include "base/tstamp.h"
#include "learn/learn.h"
#include "store/candles.h"
#include "store/fs.h"

static const char usage[] =
    "usage: quantum train [options]\n"
    "Trains voters on USD-M candles and reports, on later bars they never saw, whether they know\n"
    "anything. A model without skill is written too, but will not vote.\n"
    "  --kind A,B         which voters (default: all four). xgboost: the library, level by level;\n"
    "                     lightgbm: leaf-wise, its own sampling, in LightGBM's text format; "
    "nhits,\n"
    "                     patchtst: networks on the last 128 bars, in safetensors\n"
    "  --store DIR        candle store (default: STATE/store)\n"
    "  --interval I       1m 5m 15m 1h 4h 1d (default: 1h)\n"
    "  --symbols A,B      default: every symbol the store has at that interval\n"
    "  --from T, --to T   decision times used, [from, to): 2024-10-28 or 2024-10-28T07:00:00Z\n"
    "  --out-dir DIR      folder of KIND-INTERVAL.json, .txt, .safetensors, made if missing\n"
    "                     (default: STATE/models)\n"
    "  --out FILE         the model file, of one kind\n"
    "  --report FILE      the HTML page: calibration, importance, learning curves, equity after\n"
    "                     costs beside baselines (default: beside the models,\n"
    "                     train-INTERVAL.html; of --out FILE: FILE.html)\n"
    "  --no-report        only train\n"
    "  --seed N           default: 1\n"
    "  --epochs N         of a network, at most (default: the voter's own)\n"
    "  --threads N        of a network; the file is the same for any (default: one a processor)\n"
    "  --warm-start FILE  one network goes on from this one's weights\n"
    "  --shuffle-labels   leakage test: must end without skill; such a model never votes\n"
    "  --state DIR        default: $QUANTUM_STATE, else the XDG data folder\n"
    "  --json             figures as JSON, those of the page\n"
    "example: quantum train --interval 1h --to 2024-07-01 --json | jq '.models[] | {kind, "
    "skill_t}'\n";

enum { PATH_SIZE = 4096, SYMBOLS_MAX = 1024 };
enum { EPOCHS_MAX = 1000, THREADS_MAX = 64 };

struct options {
    char store[PATH_SIZE], folder[PATH_SIZE], out[PATH_SIZE], report[PATH_SIZE];
    const char *symbols; /* NULL: all */
    const char *state;
    struct learn_config config;
    bool kinds[MODEL_COUNT];
    uint32_t kind_count;
    bool json, no_report;
};

struct inputs {
    struct candles candles[SYMBOLS_MAX];
    struct learn_series series[SYMBOLS_MAX];
    size_t count;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* ---- options ---- */

enum {
    OPT_KIND = 1,
    OPT_STORE,
    OPT_INTERVAL,
    OPT_SYMBOLS,
    OPT_FROM,
    OPT_TO,
    OPT_OUT_DIR,
    OPT_OUT,
    OPT_REPORT,
    OPT_NO_REPORT,
    OPT_SEED,
    OPT_EPOCHS,
    OPT_THREADS,
    OPT_WARM_START,
    OPT_SHUFFLE,
    OPT_STATE,
    OPT_JSON
};

static const struct option long_options[] = {
    {"kind", required_argument, NULL, OPT_KIND},
    {"store", required_argument, NULL, OPT_STORE},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"symbols", required_argument, NULL, OPT_SYMBOLS},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"out-dir", required_argument, NULL, OPT_OUT_DIR},
    {"out", required_argument, NULL, OPT_OUT},
    {"report", required_argument, NULL, OPT_REPORT},
    {"no-report", no_argument, NULL, OPT_NO_REPORT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"warm-start", required_argument, NULL, OPT_WARM_START},
    {"shuffle-labels", no_argument, NULL, OPT_SHUFFLE},
    {"state", required_argument, NULL, OPT_STATE},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0}};

static bool copy_path(char *out, const char *text) {
    return (size_t)snprintf(out, PATH_SIZE, "%s", text) < PATH_SIZE && *text;
}

/* "xgboost,nhits": each known, none twice. */
static bool kinds_parse(struct options *o, const char *names) {
    memset(o->kinds, 0, sizeof o->kinds);
    o->kind_count = 0;
    for (const char *at = names;; at++) {
        enum model_kind kind;
        size_t size = strcspn(at, ",");
        if (!model_kind_parse(&kind, at, size) || o->kinds[kind]) return false;
        o->kinds[kind] = true;
        o->kind_count++;
        at += size;
        if (!*at) return true;
    }
}

/* Which bars. */
static bool data_apply(struct options *o, int option) {
    switch (option) {
    case OPT_STORE:
        return copy_path(o->store, optarg);
    case OPT_INTERVAL:
        return tstamp_interval_parse(&o->config.interval_ns, optarg) == ST_OK;
    case OPT_SYMBOLS:
        o->symbols = optarg;
        return *optarg != 0;
    case OPT_FROM:
        return tstamp_parse(&o->config.from_ns, optarg) == ST_OK;
    case OPT_TO:
        return tstamp_parse(&o->config.to_ns, optarg) == ST_OK;
    default:
        return false;
    }
}

static bool option_apply(void *options, int option) {
    struct options *o = options;
    switch (option) {
    case OPT_KIND:
        return kinds_parse(o, optarg);
    case OPT_OUT_DIR:
        return copy_path(o->folder, optarg);
    case OPT_OUT:
        return copy_path(o->out, optarg);
    case OPT_REPORT:
        return copy_path(o->report, optarg);
    case OPT_NO_REPORT:
        o->no_report = true;
        return true;
    case OPT_SEED:
        return command_u64_parse(&o->config.seed, optarg, 0, UINT64_MAX);
    case OPT_EPOCHS:
        return command_u32_parse(&o->config.epochs, optarg, 1, EPOCHS_MAX);
    case OPT_THREADS:
        return command_u32_parse(&o->config.threads, optarg, 1, THREADS_MAX);
    case OPT_WARM_START:
        o->config.warm_start = optarg;
        return *optarg != 0;
    case OPT_SHUFFLE:
        o->config.shuffle_labels = true;
        return true;
    case OPT_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPT_JSON:
        o->json = true;
        return true;
    default:
        return data_apply(o, option);
    }
}

static const char *options_wrong(const struct options *o) {
    if (o->config.from_ns >= o->config.to_ns) return "--from is not before --to";
    if (o->out[0] && o->kind_count != 1)
        return "--out is one kind's file; --out-dir takes those of several";
    if (o->out[0] && o->folder[0]) return "--out and --out-dir exclude each other";
    if (o->config.warm_start && o->kind_count != 1)
        return "--warm-start is one network's: --kind nhits or --kind patchtst";
    if (o->report[0] && o->no_report) return "--report and --no-report exclude each other";
    return NULL;
}

/* Paths not given lie in the state directory, which is only made when one of them is needed. */
static int default_paths(struct options *o) {
    char state[PATH_SIZE - 64], interval[16];
    int n = 0;
    bool needs_folder = !o->out[0] && !o->folder[0];
    if (!o->store[0] || needs_folder) {
        if (state_dir(state, sizeof state, o->state) != 0) return EXIT_FAILED;
        if (!o->store[0]) snprintf(o->store, PATH_SIZE, "%s/store", state);
        if (needs_folder) snprintf(o->folder, PATH_SIZE, "%s/models", state);
    }
    tstamp_interval_format(interval, o->config.interval_ns);
    if (!o->report[0] && o->out[0]) n = snprintf(o->report, PATH_SIZE, "%s.html", o->out);
    if (!o->report[0]) n = snprintf(o->report, PATH_SIZE, "%s/train-%s.html", o->folder, interval);
    if (n < PATH_SIZE) return EXIT_DONE;
    fprintf(stderr, "train: the report's path is too long\n");
    return EXIT_FAILED;
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv) {
    memset(o, 0, sizeof *o);
    o->config = learn_config_defaults();
    for (int k = 0; k < MODEL_COUNT; k++) o->kinds[k] = true;
    o->kind_count = MODEL_COUNT;
    const struct command_options line = {"train", usage, long_options, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind < argc) return command_usage_error("train", usage, "unexpected '%s'", argv[optind]);
    const char *wrong = options_wrong(o);
    if (wrong) return command_usage_error("train", usage, "%s", wrong);
    code = default_paths(o);
    return code == EXIT_DONE ? -1 : code;
}

/* ---- candles ---- */

static void inputs_close(struct inputs *in) {
    for (size_t i = 0; i < in->count; i++) candles_close(&in->candles[i]);
}

static enum status input_add(struct inputs *in, const struct options *o, const char *symbol,
                             struct err *err) {
    if (in->count == SYMBOLS_MAX) return err_set(err, ST_FULL, "more than %d symbols", SYMBOLS_MAX);
    struct candles *c = &in->candles[in->count];
    enum status st = candles_open(c, o->store, "um", o->config.interval_ns, symbol, err);
    if (st != ST_OK) return st;
    in->series[in->count++] = (struct learn_series){c->symbol, c->bars, c->count};
    return ST_OK;
}

static enum status inputs_named(struct inputs *in, const struct options *o, struct err *err) {
    const char *at = o->symbols;
    while (*at) {
        char symbol[SYMBOL_SIZE];
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof symbol)
            return err_set(err, ST_INVALID, "--symbols '%s': not a list of symbols", o->symbols);
        memcpy(symbol, at, length);
        symbol[length] = 0;
        enum status st = input_add(in, o, symbol, err);
        if (st != ST_OK) return st;
        at += length;
        if (*at == ',') at++;
    }
    return ST_OK;
}

static enum status inputs_all(struct inputs *in, const struct options *o, struct err *err) {
    struct candles_list list = {0};
    enum status st = candles_list(&list, o->store, "um", o->config.interval_ns, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < list.count && st == ST_OK; i++)
        st = input_add(in, o, list.symbols[i], err);
    candles_list_free(&list);
    if (st == ST_OK && in->count == 0) {
        char interval[16];
        st = err_set(err, ST_NOT_FOUND, "store %s has no %s candles: quantum data import", o->store,
                     tstamp_interval_format(interval, o->config.interval_ns));
    }
    return st;
}

/* ---- progress ---- */

struct progress {
    bool is_terminal, is_network;
    const char *kind; /* NULL: all have been trained */
    struct train_curve *curve;
    char stage[24];
};

static void progress_begin(struct progress *p, const char *kind, struct train_curve *curve) {
    if (p->is_terminal && p->stage[0]) fputc('\n', stderr);
    p->stage[0] = 0;
    p->kind = kind;
    p->curve = curve;
}

static bool show_progress(void *context, const char *stage, uint32_t done, uint32_t total,
                          double train_loss, double valid_loss) {
    enum { WIDTH = 30 };
    struct progress *p = context;
    const char *kind = p->kind ? p->kind : "report";
    if (p->curve && strcmp(stage, "train") == 0)
        train_curve_add(p->curve, p->is_network, done, train_loss, valid_loss);
    bool is_new = strcmp(p->stage, stage) != 0;
    if (is_new) {
        if (p->is_terminal && p->stage[0]) fputc('\n', stderr);
        snprintf(p->stage, sizeof p->stage, "%s", stage);
    }
    if (!p->is_terminal) {
        if (is_new) fprintf(stderr, "train: %s: stage %s\n", kind, stage);
        return !interrupted;
    }
    uint32_t filled = total ? (uint32_t)((uint64_t)done * WIDTH / total) : 0;
    fprintf(stderr, "\r%-8s %-9s [%.*s%*s] %u/%u", kind, stage, (int)filled,
            "##############################", (int)(WIDTH - filled), "", done, total);
    if (!isnan(valid_loss)) fprintf(stderr, "  loss %.4f, later %.4f", train_loss, valid_loss);
    fputs("   ", stderr);
    fflush(stderr);
    return !interrupted;
}

/* ---- training ---- */

/* Hours later is too late to learn that a file cannot be written. */
static enum status folder_check(const char *path, struct err *err) {
    char copy[PATH_SIZE];
    snprintf(copy, sizeof copy, "%s", path);
    const char *folder = dirname(copy);
    struct stat info;
    if (stat(folder, &info) != 0) return err_errno(err, ST_IO, "%s", folder);
    if (!S_ISDIR(info.st_mode)) return err_set(err, ST_IO, "%s is no folder", folder);
    if (access(folder, W_OK) != 0) return err_errno(err, ST_IO, "%s", folder);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return err_set(err, ST_IO, "%s is a folder", path);
    return ST_OK;
}

struct job {
    const struct options *o;
    struct inputs in;
    struct learn_config config;
    char paths[MODEL_COUNT][PATH_SIZE];
    struct progress progress;
    struct train_report report;
};

static enum status paths_make(struct job *j, struct err *err) {
    const struct options *o = j->o;
    char interval[16];
    tstamp_interval_format(interval, o->config.interval_ns);
    enum status st = o->out[0] ? ST_OK : fs_make_dirs(o->folder, err);
    for (int k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        enum model_kind kind = (enum model_kind)k;
        if (!o->kinds[k]) continue;
        if (o->out[0])
            snprintf(j->paths[k], PATH_SIZE, "%s", o->out);
        else if (snprintf(j->paths[k], PATH_SIZE, "%s/%s-%s%s", o->folder, model_kind_text(kind),
                          interval, learn_file_suffix(kind)) >= PATH_SIZE)
            return err_set(err, ST_RANGE, "--out-dir is too long");
        st = folder_check(j->paths[k], err);
    }
    return st == ST_OK && !o->no_report ? folder_check(o->report, err) : st;
}

static enum status train_one(struct job *j, enum model_kind kind, struct err *err) {
    struct train_model *m = &j->report.models[kind];
    struct learn_report trained;
    m->path = j->paths[kind];
    j->config.kind = kind;
    j->progress.is_network = kind == MODEL_NHITS || kind == MODEL_PATCHTST;
    progress_begin(&j->progress, model_kind_text(kind), &m->curve);
    enum status st = learn_train(&trained, m->path, j->in.series, j->in.count, &j->config,
                                 show_progress, &j->progress, err);
    if (st == ST_OK && m->curve.failed) st = err_set(err, ST_NO_MEMORY, "learning curve");
    if (st == ST_OK) st = served_model_load(&m->model, m->path, err);
    return st == ST_OK || j->o->kind_count == 1 ? st
                                                : err_wrap(err, st, "%s", model_kind_text(kind));
}

static enum status train_all(struct job *j, struct err *err) {
    for (int k = 0; k < MODEL_COUNT; k++) {
        if (!j->o->kinds[k]) continue;
        enum status st = train_one(j, (enum model_kind)k, err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

static enum status report_write(const struct job *j, const char *json, struct err *err) {
    char *page;
    size_t size;
    enum status st = train_report_page(&page, &size, &j->report, json, err);
    if (st != ST_OK) return st;
    const struct fs_part part = {page, size, 0};
    st = fs_replace(j->o->report, &part, 1, err);
    free(page);
    return st;
}

static enum status tell(const struct job *j, struct err *err) {
    char *json = NULL;
    size_t size;
    const struct options *o = j->o;
    enum status st = train_report_json(&json, &size, &j->report, err);
    if (st == ST_OK && !o->no_report) st = report_write(j, json, err);
    if (st == ST_OK && o->json) puts(json);
    if (st == ST_OK && !o->json) {
        train_report_text(&j->report);
        if (!o->no_report) printf("report %s\n", o->report);
    }
    free(json);
    return st;
}

static enum status train(struct job *j, struct err *err) {
    const struct options *o = j->o;
    enum status st = paths_make(j, err);
    if (st == ST_OK) st = o->symbols ? inputs_named(&j->in, o, err) : inputs_all(&j->in, o, err);
    if (st != ST_OK) return st;
    j->progress.is_terminal = isatty(STDERR_FILENO);
    j->config = o->config;
    j->report.config = &j->config;
    j->report.series = j->in.series;
    j->report.series_count = j->in.count;
    st = train_all(j, err);
    progress_begin(&j->progress, NULL, NULL);
    if (st == ST_OK && !o->no_report)
        st = train_report_measure(&j->report, show_progress, &j->progress, err);
    progress_begin(&j->progress, NULL, NULL);
    return st == ST_OK ? tell(j, err) : st;
}

/* What a run that ended early leaves: whole files, and no page. */
static void tell_what_is_there(const struct job *j) {
    for (int k = 0; k < MODEL_COUNT; k++)
        if (j->report.models[k].model)
            fprintf(stderr, "train: %s is trained: %s\n", model_kind_text((enum model_kind)k),
                    j->paths[k]);
}

int cmd_train(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv);
    if (code >= 0) return code;
    struct job *j = calloc(1, sizeof *j);
    if (!j) {
        fputs("train: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    j->o = &o;
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    interrupted = 0;
    sigaction(SIGINT, &action, &before);
    struct err err = {0};
    enum status st = train(j, &err);
    sigaction(SIGINT, &before, NULL);
    if (st == ST_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = err_errno(&err, ST_IO, "standard output");
    if (st != ST_OK) tell_what_is_there(j);
    train_report_free(&j->report);
    inputs_close(&j->in);
    free(j);
    if (st == ST_OK) return EXIT_DONE;
    fprintf(stderr, "train: %s\n", err.text);
    return EXIT_FAILED;
}
