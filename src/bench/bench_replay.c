/* replay_rule and replay_model: the session that `quantum up --mode replay` runs, on a made-up tape in a
 * store of its own, journal on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backtest/session.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_folder.h"
#include "bench/bench_synth.h"
#include "feature/feature.h"
#include "learn/learn.h"
#include "store/candles.h"

enum {
    RULE_SYMBOLS = 50,
    RULE_BARS = 40000,
    SMA_BARS = 1000000,
    SMA_DEPTH = 1024, /* the peers of that figure fill any order whole, at one price */
    MODEL_SYMBOLS = 20,
    MODEL_TRAIN_BARS = 5000,
    MODEL_BARS = 5000,
    ROUNDS = 5,
    PATH_SIZE = 512
};
#define START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01 */

/* A store with `bars` one-minute bars of each symbol, traded `depth` times as much as the generator
 * says. */
static enum status make_store(const char *dir, uint32_t symbols, size_t bars, double pattern,
                              double depth, struct err *err) {
    struct synth_config c = synth_config_defaults();
    c.seed = 7;
    c.symbol_count = symbols;
    c.interval_ns = NS_PER_MINUTE;
    c.start_ts_ns = START_NS;
    c.pattern = pattern;
    struct bench_synth made;
    enum status st = bench_synth_make(&made, &c, bars, err);
    for (size_t k = 0; k < symbols * bars && st == ST_OK; k++) {
        made.bars[k].volume *= depth;
        made.bars[k].quote_volume *= depth;
    }
    struct candles_merge merge;
    for (uint32_t i = 0; i < symbols && st == ST_OK; i++)
        st = candles_merge(&merge, dir, "um", c.interval_ns, made.instruments[i].symbol,
                           INSTRUMENT_SYNTHETIC, made.bars + i * bars, bars, err);
    bench_synth_free(&made);
    return st;
}

struct job {
    char root[PATH_SIZE], store[PATH_SIZE], run[PATH_SIZE];
    struct session_options options;
    struct session_result result;
    bool bare;
};

static enum status job_make(struct job *j, uint32_t symbols, size_t bars, double pattern,
                            double depth, struct err *err) {
    memset(j, 0, sizeof *j);
    enum status st = bench_folder_make(j->root, sizeof j->root, err);
    if (st != ST_OK) return st;
    snprintf(j->store, sizeof j->store, "%.400s/store", j->root);
    snprintf(j->run, sizeof j->run, "%.400s/run", j->root);
    j->options = session_options_defaults();
    return make_store(j->store, symbols, bars, pattern, depth, err);
}

static void job_free(struct job *j) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) served_model_destroy(j->options.models[k]);
    feed_close(j->options.feed);
    bench_folder_remove(j->root);
}

/* One run from nothing; bars per second. */
static enum status job_run(double *rate, struct job *j, struct err *err) {
    bench_folder_remove(j->run);
    j->options.run_dir = j->bare ? NULL : j->run;
    int64_t begin = tstamp_monotonic_ns();
    enum status st = session_run(&j->result, &j->options, err);
    double seconds = (double)(tstamp_monotonic_ns() - begin) / 1e9;
    *rate = (double)j->result.totals.bars / seconds;
    return st;
}

static enum status job_rounds(double *rate, struct job *j, struct err *err) {
    double rates[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        enum status st = job_run(&rates[i], j, err);
        if (st != ST_OK) return st;
    }
    *rate = bench_median(rates, ROUNDS);
    return ST_OK;
}

/* The command a user types, on the same store: its fingerprint must be that of the run measured here. */
static enum status check_against_command(const struct job *j, const char *strategy,
                                         struct err *err) {
    char state[PATH_SIZE + 16], self[PATH_SIZE], line[8192], want[64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return err_errno(err, ST_IO, "/proc/self/exe");
    self[n] = '\0';
    snprintf(state, sizeof state, "%s/state", j->root);
    int fds[2];
    if (pipe(fds) != 0) return err_errno(err, ST_IO, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        execl(self, "quantum", "up", "--mode", "replay", "--speed", "max", "--strategy", strategy,
              "--data", j->store, "--state", state, "--no-api", "--no-baselines", "--quiet",
              "--json", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    size_t size = 0;
    for (ssize_t got;
         size < sizeof line - 1 && (got = read(fds[0], line + size, sizeof line - 1 - size)) > 0;)
        size += (size_t)got;
    line[size] = '\0';
    close(fds[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0)
        return err_set(err, ST_EXTERNAL,
                       "`quantum up --mode replay --strategy %s` ended with status %d", strategy,
                       status);
    snprintf(want, sizeof want, "%016" PRIx64, j->result.fingerprint);
    return strstr(line, want) ? ST_OK
                              : err_set(err, ST_MISMATCH,
                                        "the bench's trades are not those of `quantum up`: "
                                        "fingerprint %s not in its report",
                                        want);
}

/* bare: the engine alone, nothing kept, as the peers of this figure run; its trades must still be those
 * of the command, which keeps everything. */
static enum status measure_rule(const char *figure, enum strategy_kind strategy, uint32_t symbols,
                                size_t bars, bool bare, struct err *err) {
    static struct job j;
    double rate = 0;
    enum status st = job_make(&j, symbols, bars, 0, bare ? SMA_DEPTH : 1, err);
    const struct feed_tape_options fo = {.store = j.store,
                                         .market = "um",
                                         .interval_ns = NS_PER_MINUTE,
                                         .from_ns = START_NS,
                                         .warmup_bars = 1440};
    if (st == ST_OK) st = feed_open_tape(&j.options.feed, &fo, err);
    j.options.strategy = strategy;
    j.bare = bare;
    if (st == ST_OK) st = job_rounds(&rate, &j, err);
    if (st == ST_OK) st = check_against_command(&j, strategy_text(strategy), err);
    if (st == ST_OK) {
        const struct bench_figure f = {
            .name = figure, .value = rate, .unit = "1/s", .n = j.result.totals.bars, .peer = ""};
        bench_emit(&f);
        char name[64];
        snprintf(name, sizeof name, "%s.trades", figure);
        const struct bench_figure trades = {
            .name = name, .value = (double)j.result.totals.trades, .unit = "1", .n = 1, .peer = ""};
        bench_emit(&trades);
    }
    job_free(&j);
    return st;
}

enum status bench_replay_rule(struct err *err) {
    enum status st =
        measure_rule("replay_rule", STRATEGY_MOMENTUM, RULE_SYMBOLS, RULE_BARS, false, err);
    if (st == ST_OK)
        st = measure_rule("replay_rule.sma_cross", STRATEGY_SMA_CROSS, 1, SMA_BARS, true, err);
    return st == ST_OK ? measure_rule("replay_rule.sma_cross_kept", STRATEGY_SMA_CROSS, 1, SMA_BARS,
                                      false, err)
                       : st;
}

/* The voters of `quantum up`. */
static const enum model_kind model_kinds[] = {MODEL_XGBOOST, MODEL_LIGHTGBM};
enum { MODEL_KINDS = sizeof model_kinds / sizeof model_kinds[0] };

static enum status train_models(struct job *j, struct err *err) {
    struct candles_list list;
    struct candles open[MODEL_SYMBOLS];
    struct learn_series series[MODEL_SYMBOLS];
    struct learn_report report;
    struct learn_config lc = learn_config_defaults();
    char path[PATH_SIZE + 16];
    enum status st = candles_list(&list, j->store, "um", NS_PER_MINUTE, err);
    size_t n = 0;
    for (; st == ST_OK && n < list.count && n < MODEL_SYMBOLS; n++) {
        st = candles_open(&open[n], j->store, "um", NS_PER_MINUTE, list.symbols[n], err);
        if (st != ST_OK) break;
        series[n] = (struct learn_series){
            .symbol = list.symbols[n], .bars = open[n].bars, .count = MODEL_TRAIN_BARS};
    }
    lc.interval_ns = NS_PER_MINUTE;
    lc.from_ns = START_NS;
    lc.to_ns = START_NS + MODEL_TRAIN_BARS * NS_PER_MINUTE;
    for (uint32_t k = 0; k < MODEL_KINDS && st == ST_OK; k++) {
        lc.kind = model_kinds[k];
        snprintf(path, sizeof path, "%s/model-%u", j->root, k);
        st = learn_train(&report, path, series, n, &lc, NULL, NULL, err);
        if (st == ST_OK) st = served_model_load(&j->options.models[lc.kind], path, err);
    }
    for (size_t i = 0; i < n; i++) candles_close(&open[i]);
    candles_list_free(&list);
    return st;
}

enum status bench_replay_model(struct err *err) {
    static struct job j;
    double rate = 0;
    enum status st = job_make(&j, MODEL_SYMBOLS, MODEL_TRAIN_BARS + MODEL_BARS, 1.0, 1, err);
    if (st == ST_OK) st = train_models(&j, err);
    const struct feed_tape_options fo = {.store = j.store,
                                         .market = "um",
                                         .interval_ns = NS_PER_MINUTE,
                                         .from_ns = START_NS + MODEL_TRAIN_BARS * NS_PER_MINUTE,
                                         .warmup_bars = feature_warmup_bars()};
    if (st == ST_OK) st = feed_open_tape(&j.options.feed, &fo, err);
    if (st == ST_OK) j.options.labels = served_model_labels(j.options.models[MODEL_XGBOOST]);
    if (st == ST_OK) st = job_rounds(&rate, &j, err);
    if (st == ST_OK) {
        const struct bench_figure f = {.name = "replay_model",
                                       .value = rate,
                                       .unit = "1/s",
                                       .n = j.result.totals.bars,
                                       .peer = ""};
        bench_emit(&f);
        for (uint32_t k = 0; k < MODEL_KINDS; k++) {
            char name[48];
            snprintf(name, sizeof name, "replay_model.predict_row.%s",
                     model_kind_text(model_kinds[k]));
            const struct bench_figure row = {.name = name,
                                             .value =
                                                 (double)j.result.predict_ns_p50[model_kinds[k]],
                                             .unit = "ns",
                                             .n = j.result.predict_rows / MODEL_KINDS,
                                             .peer = ""};
            bench_emit(&row);
        }
        const struct bench_figure trades = {.name = "replay_model.trades",
                                            .value = (double)j.result.totals.trades,
                                            .unit = "1",
                                            .n = 1,
                                            .peer = ""};
        bench_emit(&trades);
    }
    job_free(&j);
    return st;
}
