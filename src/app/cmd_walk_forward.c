/* quantum walk-forward: models trained before the window, one run through it with retraining inside, and the report of
 * what the answers and the trades were worth. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/command.h"
#include "app/run.h"
#include "base/hash.h"
#include "base/tstamp.h"
#include "registry/registry.h"
#include "store/fs.h"
#include "walk/log.h"
#include "walk/report.h"

static const char usage[] =
    "usage: quantum walk-forward --from D [options]\n"
    "Trains on bars before --from, then goes through [from, to) once, on the embedded exchange: "
    "decides, trades with\n"
    "costs, learns from what came, retrains, tries and promotes. Nothing is ever fitted to bars "
    "that lie ahead.\n"
    "  --data DIR         candle store, or a folder of archive files (default STATE/store)\n"
    "  --from D, --to D   UTC, --to exclusive: 2023-01-01 (default --to: the end of the data)\n"
    "  --interval I       1m 5m 15m 1h 4h (default: the one the store has)\n"
    "  --symbols A,B      default every symbol with bars in the window\n"
    "  --voters A,B       default xgboost,lightgbm,nhits,patchtst\n" RUN_ENGINE_HELP
    "  --model FILE       a first model that has not seen the window, once for each voter\n"
    "  --retrain-every D  4h 14d ..., off (default 14d); drift asks for more\n"
    "  --window D         bars that are trained on, up to the moment (default 365d)\n"
    "  --train-before D   bars before --from for the first training (default: --window)\n"
    "  --seed N           of trainings, random entries and the draws of the report (1)\n"
    "  --draws N          of bootstrap and dice (2000)\n"
    "  --report FILE      also there: .html .md .json; up to three times\n"
    "  --json             the report as one JSON object (default: Markdown)\n"
    "  --resume           only go on with a run that was stopped or killed; without it one is "
    "begun\n"
    "                     where there is none\n"
    "  --fresh            start over; the earlier run of the same options is kept beside\n"
    "  --state DIR        everything a run keeps (default $QUANTUM_STATE, else the XDG data "
    "folder)\n"
    "  --quiet\n"
    "Ctrl-C ends it cleanly; the same command goes on. The report is kept in the run's folder.\n"
    "example: quantum walk-forward --data candles/ --from 2023-01-01 --to 2024-01-01 "
    "--retrain-every 14d\n";

enum { REPORTS_MAX = 3, DRAWS = 2000, DRAWS_MAX = 1000000 };
#define PERIOD_DEFAULT_NS (14 * NS_PER_DAY)
#define WINDOW_DEFAULT_NS (365 * NS_PER_DAY)
#define DURATION_MAX_NS   (3660 * NS_PER_DAY)

static volatile sig_atomic_t stop_requested;

static void on_signal(int number) {
    (void)number;
    stop_requested = 1;
}

static void catch_signals(void) {
    /* SA_RESETHAND: a second Ctrl-C ends a training that would take minutes. */
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

/* ---- options ---- */

enum {
    OPT_DATA = 1,
    OPT_FROM,
    OPT_TO,
    OPT_INTERVAL,
    OPT_SYMBOLS,
    OPT_VOTERS,
    OPT_RULE,
    OPT_WEIGHTS,
    OPT_CONFIDENCE,
    OPT_EXIT_BRAIN,
    OPT_MODEL,
    OPT_RETRAIN_EVERY,
    OPT_WINDOW,
    OPT_TRAIN_BEFORE,
    OPT_SEED,
    OPT_DRAWS,
    OPT_REPORT,
    OPT_JSON,
    OPT_RESUME,
    OPT_FRESH,
    OPT_STATE,
    OPT_QUIET
};

static const struct option table[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"symbols", required_argument, NULL, OPT_SYMBOLS},
    {"voters", required_argument, NULL, OPT_VOTERS},
    {"ensemble-rule", required_argument, NULL, OPT_RULE},
    {"ensemble-weights", required_argument, NULL, OPT_WEIGHTS},
    {"strategy-confidence", required_argument, NULL, OPT_CONFIDENCE},
    {"exit-brain", required_argument, NULL, OPT_EXIT_BRAIN},
    {"model", required_argument, NULL, OPT_MODEL},
    {"retrain-every", required_argument, NULL, OPT_RETRAIN_EVERY},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"train-before", required_argument, NULL, OPT_TRAIN_BEFORE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"draws", required_argument, NULL, OPT_DRAWS},
    {"report", required_argument, NULL, OPT_REPORT},
    {"json", no_argument, NULL, OPT_JSON},
    {"resume", no_argument, NULL, OPT_RESUME},
    {"fresh", no_argument, NULL, OPT_FRESH},
    {"state", required_argument, NULL, OPT_STATE},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0}};

struct walk_options {
    struct run_options run;
    const char *state, *reports[REPORTS_MAX];
    uint32_t report_count, draws;
    bool json, resume;
    char command[WALK_TEXT_SIZE];
};

static bool copy(char *out, size_t size, const char *text) {
    return *text && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool duration(int64_t *out, const char *text) {
    return tstamp_interval_parse(out, text) == ST_OK && *out <= DURATION_MAX_NS;
}

static const char *suffix_of(const char *path) {
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot : "";
}

static bool report_file(struct walk_options *o, const char *path) {
    const char *suffix = suffix_of(path);
    if (o->report_count == REPORTS_MAX) return false;
    if (strcmp(suffix, ".html") != 0 && strcmp(suffix, ".md") != 0 && strcmp(suffix, ".json") != 0)
        return false;
    o->reports[o->report_count++] = path;
    return true;
}

static bool apply_window(struct walk_options *o, int option) {
    struct run_options *r = &o->run;
    switch (option) {
    case OPT_FROM:
        return tstamp_parse(&r->from_ns, optarg) == ST_OK;
    case OPT_TO:
        return tstamp_parse(&r->to_ns, optarg) == ST_OK;
    case OPT_INTERVAL:
        return tstamp_interval_parse(&r->interval_ns, optarg) == ST_OK;
    case OPT_RETRAIN_EVERY:
        r->retrain_ns = 0;
        return strcmp(optarg, "off") == 0 || duration(&r->retrain_ns, optarg);
    case OPT_WINDOW:
        return duration(&r->window_ns, optarg);
    case OPT_TRAIN_BEFORE:
        return duration(&r->first_window_ns, optarg);
    default:
        return false;
    }
}

static bool apply(void *context, int option) {
    struct walk_options *o = context;
    struct run_options *r = &o->run;
    switch (option) {
    case OPT_DATA:
        return copy(r->data, sizeof r->data, optarg);
    case OPT_SYMBOLS:
        return copy(r->symbols, sizeof r->symbols, optarg);
    case OPT_VOTERS:
        return run_voters_option(r, optarg, NULL) == ST_OK;
    case OPT_RULE:
        return run_rule_option(r, optarg) == ST_OK;
    case OPT_WEIGHTS:
        return run_weights_option(r, optarg) == ST_OK;
    case OPT_CONFIDENCE:
        return run_confidence_option(r, optarg) == ST_OK;
    case OPT_EXIT_BRAIN:
        return run_exit_brain_option(r, optarg) == ST_OK;
    case OPT_MODEL:
        return run_model_option(r, optarg, NULL) == ST_OK;
    case OPT_SEED:
        return command_u64_parse(&r->seed, optarg, 0, INT64_MAX);
    case OPT_DRAWS:
        return command_u32_parse(&o->draws, optarg, 100, DRAWS_MAX);
    case OPT_REPORT:
        return report_file(o, optarg);
    case OPT_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPT_JSON:
        return o->json = true;
    case OPT_RESUME:
        return o->resume = true;
    case OPT_FRESH:
        return r->fresh = true;
    case OPT_QUIET:
        return r->quiet = true;
    default:
        return apply_window(o, option);
    }
}

static void keep_command(struct walk_options *o, int argc, char **argv) {
    size_t at = (size_t)snprintf(o->command, sizeof o->command, "quantum %s", argv[0]);
    for (int i = 1; i < argc && at < sizeof o->command; i++)
        at += (size_t)snprintf(o->command + at, sizeof o->command - at, " %s", argv[i]);
}

/* -1: go on; else the exit code. */
static int options_read(struct walk_options *o, int argc, char **argv) {
    static const struct command_options line = {"walk-forward", usage, table, apply};
    o->run = run_options_defaults();
    o->run.mode = MODE_REPLAY;
    o->run.strategy = STRATEGY_ENSEMBLE;
    o->run.retrain_ns = PERIOD_DEFAULT_NS;
    o->run.window_ns = WINDOW_DEFAULT_NS;
    o->run.speed = 0;
    o->run.no_api = true;
    o->draws = DRAWS;
    keep_command(o, argc, argv);
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind < argc)
        return command_usage_error("walk-forward", usage, "'%s' is not an option", argv[optind]);
    if (!o->run.from_ns)
        return command_usage_error("walk-forward", usage,
                                   "--from is missing: where training ends and the test begins");
    if (o->resume && o->run.fresh)
        return command_usage_error("walk-forward", usage,
                                   "--resume and --fresh exclude each other");
    if (!o->run.first_window_ns) o->run.first_window_ns = o->run.window_ns;
    return state_dir(o->run.state, sizeof o->run.state, o->state) == 0 ? -1 : EXIT_FAILED;
}

static int fail(const struct err *err) {
    fprintf(stderr, "%squantum: %s\n", isatty(2) ? "\r\033[K" : "", err->text);
    return err->st == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
}

/* ---- the run ---- */

struct walk {
    struct walk_options options;
    struct run run;
    struct session_result result;
    struct session_observer observer;
    char log_path[RUN_PATH_SIZE + 32];
    double seconds; /* of the session */
    bool tty;
};

static void on_progress(void *context, const struct session_progress *p) {
    const struct walk *w = context;
    char bar[31] = "..............................", at[TSTAMP_TEXT_SIZE];
    if (w->options.run.quiet || !w->tty || !p->step_count) return;
    uint64_t full = p->step * 30 / p->step_count;
    memset(bar, '#', full > 30 ? 30 : (size_t)full);
    fprintf(stderr, "\r\033[K%s [%s] %3.0f %%  %.16s  %" PRIu64 " trades",
            p->recovering ? "recovering" : "walk-forward", bar,
            100.0 * (double)p->step / (double)p->step_count, tstamp_format(at, p->market_ts_ns),
            p->trades);
}

static bool exists(const char *dir, const char *name) {
    char path[RUN_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* The run's folder is there, made or found. */
static int check_found(const struct walk *w) {
    bool begun = exists(w->run.run_dir, "journal"), logged = access(w->log_path, F_OK) == 0;
    if (w->options.resume && !(begun && logged)) {
        fprintf(stderr, "quantum: there is no run of these options to go on with; without --resume "
                        "one is begun\n");
        return EXIT_FAILED;
    }
    if (begun && !logged) {
        fprintf(
            stderr,
            "quantum: %s is a run without a log of its decisions; --fresh starts over and keeps "
            "it beside\n",
            w->run.run_dir);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int go_through(struct walk *w) {
    struct err err = {0}, log_err = {0};
    struct walk_log *log = NULL;
    struct session_options *s = &w->run.session;
    enum status st = walk_log_open(&log, w->log_path, session_identity(s),
                                   feed_interval_ns(s->feed), feed_symbol_count(s->feed), &err);
    if (st != ST_OK) return fail(&err);
    w->observer = (struct session_observer){walk_log_decided, log};
    s->observer = &w->observer;
    s->progress = on_progress;
    s->progress_context = w;
    int64_t begin = tstamp_monotonic_ns();
    st = session_run(&w->result, s, &err);
    w->seconds = (double)(tstamp_monotonic_ns() - begin) / 1e9;
    s->observer = NULL;
    enum status logged = walk_log_close(log, &log_err);
    if (st != ST_OK) return fail(&err);
    if (logged != ST_OK) return fail(&log_err);
    if (!w->options.run.quiet)
        fprintf(stderr, "%s%s at %" PRIu64 " bars, %" PRIu64 " trades, %.1f s\n",
                w->tty ? "\r\033[K" : "",
                w->result.complete ? "complete" : "stopped cleanly; the same command goes on",
                w->result.totals.bars, w->result.totals.trades, w->seconds);
    return EXIT_DONE;
}

/* ---- what it is compared with ---- */

/* The same bars, costs, limits and exits, with another rule's entries. Kept, so done once. */
static enum status run_other(const struct walk *w, enum strategy_kind strategy, const char *name,
                             char db[RUN_PATH_SIZE + 64], struct err *err) {
    struct session_options o = w->run.session;
    struct session_result *result = calloc(1, sizeof *result);
    char dir[RUN_PATH_SIZE + 32];
    if (!result) return err_set(err, ST_NO_MEMORY, "baseline: out of memory");
    snprintf(dir, sizeof dir, "%s/baseline-%s", w->run.run_dir, name);
    snprintf(db, RUN_PATH_SIZE + 64, "%s/trades.sqlite", dir);
    o.strategy = strategy;
    o.barrier_exits = true;
    memset(o.models, 0, sizeof o.models);
    o.retrain = NULL;
    o.retrain_hash = 0;
    o.retrain_request = NULL;
    o.observer = NULL;
    o.progress = NULL;
    o.run_dir = dir;
    enum status st = session_run(result, &o, err);
    if (st == ST_OK && !result->complete)
        st = err_set(err, ST_INTERRUPTED, "stopped; the same command goes on");
    free(result);
    return st == ST_OK ? st : err_wrap(err, st, "baseline %s", name);
}

/* ---- trials ---- */

struct trials {
    struct walk_trial *items;
    size_t count, capacity;
};

static enum status add_trial(struct trials *t, enum walk_trial_kind kind, uint64_t id,
                             struct err *err) {
    if (t->count == t->capacity) {
        size_t more = t->capacity ? 2 * t->capacity : 256;
        struct walk_trial *items = realloc(t->items, more * sizeof *items);
        if (!items) return err_set(err, ST_NO_MEMORY, "trials: out of memory");
        t->items = items;
        t->capacity = more;
    }
    t->items[t->count++] = (struct walk_trial){.kind = kind, .id = id, .sharpe = NAN};
    return ST_OK;
}

/* Files of models in a folder, by what is in them: the registry of a run knows the same ones by the same hash. */
static enum status add_files(struct trials *t, const char *dir, struct err *err) {
    DIR *d = opendir(dir);
    enum status st = ST_OK;
    if (!d) return errno == ENOENT ? ST_OK : err_errno(err, ST_IO, "%s", dir);
    for (struct dirent *e; st == ST_OK && (e = readdir(d));) {
        const char *suffix = suffix_of(e->d_name);
        char path[STORE_PATH_SIZE];
        size_t size;
        void *bytes;
        if (strcmp(suffix, ".json") != 0 && strcmp(suffix, ".txt") != 0 &&
            strcmp(suffix, ".safetensors") != 0)
            continue;
        st = fs_path(path, err, "%s/%s", dir, e->d_name);
        if (st == ST_OK) st = fs_map(&bytes, &size, path, err);
        if (st != ST_OK) break;
        st = add_trial(t, WALK_TRIAL_MODEL, hash64(bytes, size), err);
        if (bytes) munmap(bytes, size);
    }
    closedir(d);
    return st;
}

/* Every run of the state directory is a configuration that was tried. */
static enum status add_runs(struct trials *t, const char *state, const char *own, struct err *err) {
    char dir[RUN_PATH_SIZE + 8];
    snprintf(dir, sizeof dir, "%s/runs", state);
    DIR *d = opendir(dir);
    enum status st = ST_OK;
    if (!d) return err_errno(err, ST_IO, "%s", dir);
    for (struct dirent *e; st == ST_OK && (e = readdir(d));)
        if (e->d_name[0] != '.' && !strstr(e->d_name, ".old-") && strcmp(e->d_name, own) != 0)
            st = add_trial(t, WALK_TRIAL_RUN, hash64(e->d_name, strlen(e->d_name)), err);
    closedir(d);
    return st;
}

/* ---- the registry of the run ---- */

struct audit {
    struct trials *trials;
    struct walk_report *report;
    size_t capacity;
    enum status st;
    struct err *err;
};

static bool take_row(void *context, const struct registry_audit_row *row) {
    struct audit *a = context;
    struct walk_report *r = a->report;
    if (strcmp(row->event, "add") == 0)
        a->st = add_trial(a->trials, WALK_TRIAL_MODEL, row->hash, a->err);
    if (a->st == ST_OK && r->change_count == a->capacity) {
        size_t more = a->capacity ? 2 * a->capacity : 256;
        struct walk_change *changes = realloc(r->changes, more * sizeof *changes);
        if (!changes)
            a->st = err_set(a->err, ST_NO_MEMORY, "audit: out of memory");
        else
            r->changes = changes;
        a->capacity = more;
    }
    if (a->st != ST_OK) return false;
    struct walk_change *c = &r->changes[r->change_count++];
    *c = (struct walk_change){.ts_ns = row->ts_ns, .kind = row->kind, .hash = row->hash};
    snprintf(c->event, sizeof c->event, "%s", row->event);
    snprintf(c->from, sizeof c->from, "%s", row->from);
    snprintf(c->to, sizeof c->to, "%s", row->to);
    snprintf(c->reason, sizeof c->reason, "%s", row->reason);
    snprintf(c->figures, sizeof c->figures, "%s", row->figures);
    return true;
}

static enum status read_audit(const struct walk *w, struct walk_report *r, struct trials *t,
                              struct err *err) {
    struct audit a = {.trials = t, .report = r, .st = ST_OK, .err = err};
    struct registry *registry = NULL;
    if (!w->run.session.retrain) return ST_OK;
    enum status st = registry_open(&registry, w->run.registry_dir, true, err);
    if (st == ST_OK) st = registry_audit(registry, 0, 0, take_row, &a, err);
    registry_close(registry);
    return st == ST_OK ? a.st : st;
}

/* ---- the report ---- */

static enum status write_file(const char *path, const char *data, size_t size, struct err *err) {
    const struct fs_part part = {data, size, 0};
    return fs_replace(path, &part, 1, err);
}

/* The text is as long as the audit is. */
static enum status make_json(struct text *out, const struct walk_report *r, struct err *err) {
    for (size_t capacity = 1 << 20; capacity <= (size_t)1 << 30; capacity *= 4) {
        struct json_writer w;
        char *bytes = malloc(capacity);
        if (!bytes) break;
        json_writer_init(&w, bytes, capacity);
        walk_report_json(&w, r);
        bool fits = json_writer_finish(&w) == ST_OK;
        if (fits) text_add_raw(out, bytes, w.size);
        free(bytes);
        if (fits) text_add(out, "\n");
        if (fits) return out->failed ? err_set(err, ST_NO_MEMORY, "report: out of memory") : ST_OK;
    }
    return err_set(err, ST_NO_MEMORY, "report: out of memory");
}

static enum status publish(const struct walk *w, const struct walk_report *r, struct err *err) {
    static const char *const suffixes[] = {".json", ".md", ".html"};
    struct text texts[3] = {0};
    char path[RUN_PATH_SIZE + 32];
    enum status st = make_json(&texts[0], r, err);
    walk_report_markdown(&texts[1], r);
    if (st == ST_OK && texts[1].failed) st = err_set(err, ST_NO_MEMORY, "report: out of memory");
    if (st == ST_OK) st = walk_report_page(&texts[2], r, err);
    for (int i = 0; i < 3 && st == ST_OK; i++) {
        snprintf(path, sizeof path, "%s/walk-forward%s", w->run.run_dir, suffixes[i]);
        st = write_file(path, texts[i].data, texts[i].size, err);
        for (uint32_t k = 0; k < w->options.report_count && st == ST_OK; k++)
            if (strcmp(suffix_of(w->options.reports[k]), suffixes[i]) == 0)
                st = write_file(w->options.reports[k], texts[i].data, texts[i].size, err);
    }
    if (st == ST_OK) {
        const struct text *shown = &texts[w->options.json ? 0 : 1];
        fwrite(shown->data, 1, shown->size, stdout);
        if (!w->options.run.quiet)
            fprintf(stderr, "report: %s/walk-forward.html, .md, .json\n", w->run.run_dir);
    }
    for (int i = 0; i < 3; i++) free(texts[i].data);
    return st;
}

static void fill_head(const struct walk *w, struct walk_report *r) {
    const struct run_options *o = &w->run.options;
    const struct feed *f = w->run.session.feed;
    char voters[128] = "";
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (o->voters >> k & 1)
            snprintf(voters + strlen(voters), sizeof voters - strlen(voters), "%s%s",
                     voters[0] ? ", " : "", model_kind_text((enum model_kind)k));
    snprintf(r->command, sizeof r->command, "%s", w->options.command);
    snprintf(r->data, sizeof r->data, "%u contracts%s, bars %016" PRIx64, feed_symbol_count(f),
             feed_is_synthetic(f) ? " (SYNTHETIC)" : "", feed_hash(f));
    snprintf(r->training, sizeof r->training, "first on %g days before the window; %s",
             (double)o->first_window_ns / (double)NS_PER_DAY, voters);
    r->from_ns = feed_from_ns(f);
    r->to_ns = feed_to_ns(f);
    r->interval_ns = feed_interval_ns(f);
    r->window_ns = o->window_ns;
    r->retrain_ns = o->retrain_ns;
    r->seed = o->seed;
    r->fingerprint = w->result.fingerprint;
    r->symbols = feed_symbol_count(f);
    r->horizon = w->run.labels.horizon_bars;
    r->alpha = engine_config_defaults(r->interval_ns, r->horizon).conformal_alpha;
    r->wall_seconds = w->result.resumed ? (double)NAN : w->seconds;
    r->retrain.rounds = w->result.retrain.runs;
    r->retrain.succeeded = w->result.retrain.succeeded;
    r->retrain.failed = w->result.retrain.failed;
    r->retrain.missed = w->result.retrain.missed;
}

static enum status gather_trials(const struct walk *w, struct walk_report *r, struct trials *t,
                                 struct err *err) {
    char dir[RUN_PATH_SIZE + 32];
    const char *state = w->run.options.state;
    enum status st = read_audit(w, r, t, err);
    snprintf(dir, sizeof dir, "%s/models", state);
    if (st == ST_OK) st = add_files(t, dir, err);
    snprintf(dir, sizeof dir, "%s/models/objects", state);
    if (st == ST_OK) st = add_files(t, dir, err);
    return st == ST_OK ? add_runs(t, state, strrchr(w->run.run_dir, '/') + 1, err) : st;
}

static enum status make_report(const struct walk *w, struct walk_report *r,
                               const struct walk_decisions *d, const struct learn_series *series,
                               struct err *err) {
    struct trials trials = {0};
    struct promotion_config rule = promotion_config_defaults();
    char run_db[RUN_PATH_SIZE + 32], random_db[RUN_PATH_SIZE + 64], momentum_db[RUN_PATH_SIZE + 64],
        trials_path[RUN_PATH_SIZE + 32];
    const char *name = strrchr(w->run.run_dir, '/') + 1;
    fill_head(w, r);
    rule.horizon_bars = w->run.labels.horizon_bars;
    rule.cost_side = r->cost_side = w->run.labels.cost_round_trip / 2;
    snprintf(run_db, sizeof run_db, "%s/trades.sqlite", w->run.run_dir);
    snprintf(trials_path, sizeof trials_path, "%.4000s/trials.jsonl", w->run.options.state);
    enum status st = run_other(w, STRATEGY_MOMENTUM, "momentum", momentum_db, err);
    if (st == ST_OK) st = run_other(w, STRATEGY_RANDOM, "random", random_db, err);
    if (st == ST_OK) st = gather_trials(w, r, &trials, err);
    if (st == ST_OK) {
        const struct walk_inputs in = {
            .decisions = d,
            .series = series,
            .labels = &w->run.labels,
            .rule = &rule,
            .run_db = run_db,
            .baselines = {{"momentum", "the fallback rule's entries, the run's exits and limits",
                           momentum_db},
                          {"random_entry",
                           "entries and sides from dice, the run's exits and limits", random_db}},
            .baseline_count = 2,
            .trials_path = trials_path,
            .trials = trials.items,
            .trial_count = trials.count,
            .run_id = hash64(name, strlen(name)),
            .draws = w->options.draws};
        st = walk_report_make(r, &in, err);
    }
    free(trials.items);
    return st;
}

static int report(const struct walk *w) {
    struct err err = {0};
    const struct feed *f = w->run.session.feed;
    struct walk_decisions d;
    enum status st = walk_decisions_read(&d, w->log_path, &err);
    if (st != ST_OK) return fail(&err);
    struct walk_report *r = calloc(1, sizeof *r);
    struct learn_series *series = calloc(d.symbol_count ? d.symbol_count : 1, sizeof *series);
    if (!r || !series)
        st = err_set(&err, ST_NO_MEMORY, "report: out of memory");
    else if (d.count == 0)
        st = err_set(&err, ST_NOT_FOUND,
                     "no model was asked in the whole window: too few bars "
                     "before it, or holes everywhere");
    for (uint32_t i = 0; st == ST_OK && i < d.symbol_count; i++) {
        series[i].symbol = feed_instruments(f)[i].symbol;
        series[i].bars = feed_bars(f, i, &series[i].count);
    }
    if (st == ST_OK) st = make_report(w, r, &d, series, &err);
    if (st == ST_OK) st = publish(w, r, &err);
    if (r) walk_report_free(r);
    free(r);
    free(series);
    walk_decisions_free(&d);
    return st == ST_OK ? EXIT_DONE : fail(&err);
}

int cmd_walk_forward(int argc, char **argv) {
    static struct walk w;
    int code = options_read(&w.options, argc, argv);
    if (code >= 0) return code;
    w.tty = isatty(2) != 0;
    catch_signals();
    code = run_prepare(&w.run, &w.options.run, &stop_requested);
    if (code == EXIT_DONE) {
        snprintf(w.log_path, sizeof w.log_path, "%s/decisions.walk", w.run.run_dir);
        code = check_found(&w);
    }
    if (code == EXIT_DONE) code = go_through(&w);
    if (code == EXIT_DONE && w.result.complete) code = report(&w);
    run_release(&w.run);
    return code;
}
