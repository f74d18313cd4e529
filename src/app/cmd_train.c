/* quantum train: candles of the store to a model file, with a report that says whether it may vote. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "base/json.h"
#include "base/tstamp.h"
#include "learn/learn.h"
#include "store/candles.h"

static const char usage[] =
    "usage: quantum train [options]\n"
    "Trains a voter on USD-M candles and reports, on later bars it never saw, whether it knows\n"
    "anything. A model without skill is written too, but will not vote.\n"
    "  --kind K           xgboost (default): the library, level by level; lightgbm: leaf-wise, its "
    "own\n"
    "                     sampling, in LightGBM's text format; nhits, patchtst: networks on the "
    "last\n"
    "                     128 bars, in safetensors\n"
    "  --store DIR        candle store (default: STATE/store)\n"
    "  --interval I       1m 5m 15m 1h 4h 1d (default: 1h)\n"
    "  --symbols A,B      default: every symbol the store has at that interval\n"
    "  --from T, --to T   decision times used, [from, to): 2024-10-28 or 2024-10-28T07:00:00Z\n"
    "  --out FILE         model file (default: STATE/models/KIND-INTERVAL.json, .txt, "
    ".safetensors)\n"
    "  --seed N           default: 1\n"
    "  --epochs N         of a network, at most (default: the voter's own)\n"
    "  --threads N        of a network; the file is the same for any (default: one a processor)\n"
    "  --warm-start FILE  a network goes on from this one's weights\n"
    "  --shuffle-labels   leakage test: must end without skill; such a model never votes\n"
    "  --state DIR        default: $QUANTUM_STATE, else the XDG data folder\n"
    "  --json             report as JSON\n"
    "example: quantum train --interval 1h --to 2024-07-01 --json | jq .skill_t\n";

enum { PATH_SIZE = 4096, SYMBOLS_MAX = 1024, REPORT_JSON_SIZE = 8192 };
enum { EPOCHS_MAX = 1000, THREADS_MAX = 64 };

struct options {
    char store[PATH_SIZE], out[PATH_SIZE], state[PATH_SIZE];
    const char *symbols; /* NULL: all */
    struct learn_config config;
    bool json;
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
    OPT_OUT,
    OPT_SEED,
    OPT_EPOCHS,
    OPT_THREADS,
    OPT_WARM_START,
    OPT_SHUFFLE,
    OPT_STATE,
    OPT_JSON,
    OPT_HELP
};

static const struct option long_options[] = {
    {"kind", required_argument, NULL, OPT_KIND},
    {"store", required_argument, NULL, OPT_STORE},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"symbols", required_argument, NULL, OPT_SYMBOLS},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"out", required_argument, NULL, OPT_OUT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"warm-start", required_argument, NULL, OPT_WARM_START},
    {"shuffle-labels", no_argument, NULL, OPT_SHUFFLE},
    {"state", required_argument, NULL, OPT_STATE},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

static bool copy_path(char *out, const char *text) {
    return (size_t)snprintf(out, PATH_SIZE, "%s", text) < PATH_SIZE && *text;
}

static bool seed_parse(uint64_t *out, const char *text) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == 0 && *text >= '0' && *text <= '9';
}

static bool count_parse(uint32_t *out, const char *text, uint32_t most) {
    uint64_t value;
    if (!seed_parse(&value, text) || value == 0 || value > most) return false;
    *out = (uint32_t)value;
    return true;
}

static bool option_apply(struct options *o, const char **state, int option) {
    switch (option) {
    case OPT_KIND:
        return model_kind_parse(&o->config.kind, optarg, strlen(optarg));
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
    case OPT_OUT:
        return copy_path(o->out, optarg);
    case OPT_SEED:
        return seed_parse(&o->config.seed, optarg);
    case OPT_EPOCHS:
        return count_parse(&o->config.epochs, optarg, EPOCHS_MAX);
    case OPT_THREADS:
        return count_parse(&o->config.threads, optarg, THREADS_MAX);
    case OPT_WARM_START:
        o->config.warm_start = optarg;
        return *optarg != 0;
    case OPT_SHUFFLE:
        o->config.shuffle_labels = true;
        return true;
    case OPT_STATE:
        *state = optarg;
        return *optarg != 0;
    case OPT_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

/* Paths not given lie in the state directory, which is only made when one of them is needed. */
static int default_paths(struct options *o, const char *state) {
    if (o->store[0] && o->out[0]) return EXIT_DONE;
    if (state_dir(o->state, sizeof o->state, state) != 0) return EXIT_FAILED;
    int n = 0;
    if (!o->store[0]) n = snprintf(o->store, PATH_SIZE, "%s/store", o->state);
    if (n < PATH_SIZE && !o->out[0]) {
        char interval[16], folder[PATH_SIZE + 8];
        snprintf(folder, sizeof folder, "%s/models", o->state);
        if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
            fprintf(stderr, "train: %s: %s\n", folder, strerror(errno));
            return EXIT_FAILED;
        }
        tstamp_interval_format(interval, o->config.interval_ns);
        n = snprintf(o->out, PATH_SIZE, "%s/%s-%s%s", folder, model_kind_text(o->config.kind),
                     interval, learn_file_suffix(o->config.kind));
    }
    if (n >= PATH_SIZE) {
        fprintf(stderr, "train: state path is too long\n");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv) {
    memset(o, 0, sizeof *o);
    o->config = learn_config_defaults();
    const char *state = NULL;
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPT_HELP) {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option_apply(o, &state, option)) continue;
        if (option != '?') fprintf(stderr, "train: '%s' is not valid here\n", optarg);
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (optind < argc || o->config.from_ns >= o->config.to_ns) {
        fprintf(stderr,
                optind < argc ? "train: unexpected '%s'\n" : "train: --from is not before --to\n",
                argv[optind < argc ? optind : 0]);
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    int code = default_paths(o, state);
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
    bool is_terminal;
    char stage[24];
};

static bool show_progress(void *context, const char *stage, uint32_t done, uint32_t total,
                          double train_loss, double valid_loss) {
    enum { WIDTH = 30 };
    struct progress *p = context;
    bool is_new = strcmp(p->stage, stage) != 0;
    if (is_new) {
        if (p->is_terminal && p->stage[0]) fputc('\n', stderr);
        snprintf(p->stage, sizeof p->stage, "%s", stage);
    }
    if (!p->is_terminal) {
        if (is_new) fprintf(stderr, "train: stage %s\n", stage);
        return !interrupted;
    }
    uint32_t filled = total ? (uint32_t)((uint64_t)done * WIDTH / total) : 0;
    fprintf(stderr, "\r%-9s [%.*s%*s] %u/%u", stage, (int)filled, "##############################",
            (int)(WIDTH - filled), "", done, total);
    if (!isnan(valid_loss)) fprintf(stderr, "  loss %.4f, later %.4f", train_loss, valid_loss);
    fputs("   ", stderr);
    fflush(stderr);
    return !interrupted;
}

/* ---- report ---- */

static void print_window(const char *name, int64_t from_ns, int64_t to_ns, size_t rows) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
    printf("  %-11s %.16s .. %.16s  %zu rows\n", name, tstamp_format(from, from_ns),
           tstamp_format(to, to_ns), rows);
}

static void print_text(const struct learn_report *r, const char *path) {
    printf("model %s\n", path);
    print_window("training", r->train_from_ns, r->train_to_ns, r->rows_train);
    print_window("validation", r->valid_from_ns, r->valid_to_ns, r->rows_valid);
    print_window("test", r->test_from_ns, r->test_to_ns, r->rows_test);
    printf("  symbols     %zu, rounds %u\n", r->symbols, r->rounds);
    printf("  parameters  %s\n", r->params);
    printf("  labels      SELL %.1f %%, HOLD %.1f %%, BUY %.1f %%\n", 100 * r->share[LABEL_SELL],
           100 * r->share[LABEL_HOLD], 100 * r->share[LABEL_BUY]);
    printf("  answers     SELL %.1f %%, HOLD %.1f %%, BUY %.1f %% (test)\n",
           100 * r->predicted_share[LABEL_SELL], 100 * r->predicted_share[LABEL_HOLD],
           100 * r->predicted_share[LABEL_BUY]);
    printf("  log-loss    %.5f, prior %.5f (test)\n", r->logloss_test, r->logloss_prior);
    printf("  skill       t %.2f overall, t %.2f in direction; both must pass 3\n", r->skill_t,
           r->side_t);
    printf("  accuracy    %.1f %%, balanced %.1f %%, calibration error %.1f %%\n",
           100 * r->accuracy, 100 * r->balanced_accuracy, 100 * r->ece);
    if (!isnan(r->mse_path))
        printf("  path        mean square error %.5f at the horizon, in volatilities; no change "
               "%.5f, DLinear %.5f\n",
               r->mse_path, r->mse_persistence, r->mse_dlinear);
    printf("%s\n", r->verdict);
    if (r->shuffled) printf("labels were shuffled: this model will not vote\n");
}

static void write_shares(struct json_writer *w, const char *key, const double *share) {
    json_write_key(w, key);
    json_write_object_begin(w);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        json_write_key(w, label_text((enum label)l));
        json_write_f64(w, share[l]);
    }
    json_write_object_end(w);
}

static void write_window(struct json_writer *w, const char *key, int64_t from_ns, int64_t to_ns,
                         size_t rows) {
    char text[TSTAMP_TEXT_SIZE];
    json_write_key(w, key);
    json_write_object_begin(w);
    json_write_key(w, "from");
    json_write_string(w, tstamp_format(text, from_ns));
    json_write_key(w, "to");
    json_write_string(w, tstamp_format(text, to_ns));
    json_write_key(w, "rows");
    json_write_u64(w, rows);
    json_write_object_end(w);
}

static void write_f64(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static enum status print_json(const struct learn_report *r, enum model_kind kind,
                              const char *path) {
    char text[REPORT_JSON_SIZE];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    json_write_object_begin(&w);
    json_write_key(&w, "model");
    json_write_string(&w, path);
    json_write_key(&w, "kind");
    json_write_string(&w, model_kind_text(kind));
    write_window(&w, "train", r->train_from_ns, r->train_to_ns, r->rows_train);
    write_window(&w, "valid", r->valid_from_ns, r->valid_to_ns, r->rows_valid);
    write_window(&w, "test", r->test_from_ns, r->test_to_ns, r->rows_test);
    json_write_key(&w, "params");
    json_write_string(&w, r->params);
    json_write_key(&w, "symbols");
    json_write_u64(&w, r->symbols);
    json_write_key(&w, "rounds");
    json_write_u64(&w, r->rounds);
    write_shares(&w, "labels_train", r->share);
    write_shares(&w, "answers_test", r->predicted_share);
    write_f64(&w, "logloss_test", r->logloss_test);
    write_f64(&w, "logloss_prior", r->logloss_prior);
    write_f64(&w, "skill_t", r->skill_t);
    write_f64(&w, "side_t", r->side_t);
    write_f64(&w, "accuracy", r->accuracy);
    write_f64(&w, "balanced_accuracy", r->balanced_accuracy);
    write_f64(&w, "ece", r->ece);
    if (!isnan(r->mse_path)) {
        write_f64(&w, "mse_path", r->mse_path);
        write_f64(&w, "mse_persistence", r->mse_persistence);
        write_f64(&w, "mse_dlinear", r->mse_dlinear);
    }
    json_write_key(&w, "shuffled");
    json_write_bool(&w, r->shuffled);
    json_write_key(&w, "has_skill");
    json_write_bool(&w, r->has_skill);
    json_write_key(&w, "votes");
    json_write_bool(&w, r->has_skill && !r->shuffled);
    json_write_key(&w, "verdict");
    json_write_string(&w, r->verdict);
    json_write_object_end(&w);
    enum status st = json_writer_finish(&w);
    if (st == ST_OK) puts(text);
    return st;
}

static enum status train(const struct options *o, struct inputs *in, struct err *err) {
    enum status st = o->symbols ? inputs_named(in, o, err) : inputs_all(in, o, err);
    if (st != ST_OK) return st;
    struct progress progress = {.is_terminal = isatty(STDERR_FILENO)};
    struct learn_report report;
    st = learn_train(&report, o->out, in->series, in->count, &o->config, show_progress, &progress,
                     err);
    if (progress.is_terminal && progress.stage[0]) fputc('\n', stderr);
    if (st != ST_OK) return st;
    if (o->json) {
        st = print_json(&report, o->config.kind, o->out);
        return st == ST_OK ? st : err_set(err, st, "report does not fit");
    }
    print_text(&report, o->out);
    return ST_OK;
}

int cmd_train(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv);
    if (code >= 0) return code;
    struct inputs *in = calloc(1, sizeof *in);
    if (!in) {
        fputs("train: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    interrupted = 0;
    sigaction(SIGINT, &action, &before);
    struct err err = {0};
    enum status st = train(&o, in, &err);
    sigaction(SIGINT, &before, NULL);
    inputs_close(in);
    free(in);
    if (st == ST_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = err_errno(&err, ST_IO, "standard output");
    if (st == ST_OK) return EXIT_DONE;
    fprintf(stderr, "train: %s\n", err.text);
    return EXIT_FAILED;
}
