#include "app/run.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/command.h"
#include "backtest/live_candles.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "feature/feature.h"

/* The made-up market's calendar: fixed, so that a restart meets the same one. */
#define SYNTH_EPOCH_NS  (INT64_C(1735689600) * NS_PER_SECOND) /* 2025-01-01 */
#define SYNTH_INTERVAL  NS_PER_MINUTE
#define FIRST_WINDOW_NS (730 * NS_PER_DAY) /* two years are enough, and markets change */
enum { WARMUP_MARGIN_BARS = 32 };

static int fail(const struct err *err) {
    fprintf(stderr, "quantum: %s\n", err->text);
    return err->st == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
}

/* ---- replay ---- */

static bool has_entry(const char *dir, const char *name) {
    char path[RUN_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, R_OK) == 0;
}

/* --data may name a folder of archive files: imported once into a store of its own. */
static int resolve_data(struct run_options *o) {
    if (!o->data[0]) {
        snprintf(o->data, sizeof o->data, "%.4000s/store", o->state);
        if (has_entry(o->data, "candles")) return EXIT_DONE;
        fprintf(stderr,
                "quantum: the candle store %s is empty: `quantum data import FOLDER`, or name one "
                "with --data\n",
                o->data);
        return EXIT_FAILED;
    }
    struct stat sb;
    char real[RUN_PATH_SIZE];
    if (!realpath(o->data, real) || stat(real, &sb) != 0) {
        fprintf(stderr, "quantum: --data %s: %s\n", o->data, strerror(errno));
        return EXIT_FAILED;
    }
    snprintf(o->data, sizeof o->data, "%s", real);
    if (has_entry(real, "candles")) return EXIT_DONE;
    char store[RUN_PATH_SIZE];
    snprintf(store, sizeof store, "%.4000s/imported/%016" PRIx64, o->state,
             hash64(real, strlen(real)));
    char parent[RUN_PATH_SIZE];
    snprintf(parent, sizeof parent, "%.4000s/imported", o->state);
    mkdir(parent, 0755);
    fprintf(stderr,
            "%s is not a candle store: importing its files (once; again: `quantum data import`)\n",
            real);
    if (!has_entry(store, "candles")) {
        char *argv[] = {"data", "import", "--store", store, real, NULL};
        int code = cmd_data(5, argv);
        if (!has_entry(store, "candles")) {
            fprintf(stderr, "quantum: %s holds no candles that could be read\n", real);
            return code ? code : EXIT_FAILED;
        }
        /* Files that could not be read were named; what was read is used. */
    }
    snprintf(o->data, sizeof o->data, "%s", store);
    return EXIT_DONE;
}

/* The interval nobody asked for is the only one there is; between several the choice is the user's. */
static enum status resolve_interval(struct run_options *o, struct err *err) {
    static struct candles_series series[CANDLES_SERIES_MAX];
    size_t count, um = 0;
    if (o->interval_ns) return ST_OK;
    enum status st = candles_series_list(series, &count, o->data, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(series[i].market, "um") != 0) continue;
        o->interval_ns = series[i].interval_ns;
        um++;
    }
    if (um == 0) return err_set(err, ST_NOT_FOUND, "%s has no USD-M candles", o->data);
    return um == 1 ? ST_OK
                   : err_set(err, ST_INVALID,
                             "the store has several intervals: choose one with --interval");
}

struct span {
    int64_t first, last;
    size_t symbols;
};

static enum status data_span(struct span *out, const struct run_options *o, struct err *err) {
    struct candles_list list;
    enum status st = candles_list(&list, o->data, "um", o->interval_ns, err);
    *out = (struct span){.first = INT64_MAX};
    for (size_t i = 0; st == ST_OK && i < list.count; i++) {
        struct candles c;
        st = candles_open(&c, o->data, "um", o->interval_ns, list.symbols[i], err);
        if (st != ST_OK) break;
        if (c.count) {
            if (c.bars[0].open_ts_ns < out->first) out->first = c.bars[0].open_ts_ns;
            if (c.bars[c.count - 1].open_ts_ns > out->last)
                out->last = c.bars[c.count - 1].open_ts_ns;
            out->symbols++;
        }
        candles_close(&c);
    }
    if (st == ST_OK || list.symbols) candles_list_free(&list);
    if (st == ST_OK && out->symbols == 0)
        st = err_set(err, ST_NOT_FOUND, "%s has no bars of that interval", o->data);
    return st;
}

/* Where the ensemble starts if nobody says: its model needs bars before. Last half year, or last 40 %. */
static int64_t default_from(const struct span *span) {
    int64_t half_year = 182 * NS_PER_DAY, length = span->last - span->first;
    int64_t from = length > 3 * half_year ? span->last - half_year : span->first + length * 6 / 10;
    return from / NS_PER_DAY * NS_PER_DAY + NS_PER_DAY;
}

static enum status train_on_store(struct run *run, const struct span *span,
                                  const volatile sig_atomic_t *stop, struct err *err) {
    const struct run_options *o = &run->options;
    struct candles_list list;
    enum status st = candles_list(&list, o->data, "um", o->interval_ns, err);
    if (st != ST_OK) return st;
    struct candles *open = calloc(list.count ? list.count : 1, sizeof *open);
    struct learn_series *series = calloc(list.count ? list.count : 1, sizeof *series);
    size_t count = 0;
    uint64_t h = 0;
    int64_t window = o->first_window_ns ? o->first_window_ns : FIRST_WINDOW_NS;
    int64_t train_from = o->from_ns - window;
    if (train_from < span->first) train_from = span->first;
    if (!open || !series) st = err_set(err, ST_NO_MEMORY, "out of memory");
    for (size_t i = 0; st == ST_OK && i < list.count; i++) {
        st = candles_open(&open[count], o->data, "um", o->interval_ns, list.symbols[i], err);
        if (st != ST_OK) break;
        struct candles *c = &open[count];
        size_t a = 0, b = c->count;
        while (a < b && c->bars[a].open_ts_ns < train_from - 500 * o->interval_ns) a++;
        while (b > a && c->bars[b - 1].open_ts_ns + o->interval_ns > o->from_ns) b--;
        if (b - a < 500) {
            candles_close(c);
            continue;
        }
        series[count] =
            (struct learn_series){.symbol = list.symbols[i], .bars = c->bars + a, .count = b - a};
        h = hash_chain(h, c->symbol, SYMBOL_SIZE);
        h = hash_chain(h, c->bars + a, (b - a) * sizeof *c->bars);
        count++;
    }
    if (st == ST_OK && count == 0) {
        char a[TSTAMP_TEXT_SIZE];
        st = err_set(err, ST_NOT_FOUND,
                     "no bars before %.16s to train on: start later (--from), give --model FILE, "
                     "or use --strategy momentum",
                     tstamp_format(a, o->from_ns));
    }
    if (st == ST_OK) st = run_fit_models(run, series, count, h, train_from, o->from_ns, stop, err);
    for (size_t i = 0; i < count; i++) candles_close(&open[i]);
    free(open);
    free(series);
    candles_list_free(&list);
    return st;
}

enum status run_open_replay_feed(struct feed **out, const struct run_options *o, struct err *err) {
    int64_t day_bars = NS_PER_DAY / o->interval_ns;
    struct feed_tape_options fo = {.store = o->data,
                                   .market = "um",
                                   .interval_ns = o->interval_ns,
                                   .symbols = o->symbols[0] ? o->symbols : NULL,
                                   .from_ns = o->from_ns,
                                   .to_ns = o->to_ns,
                                   .warmup_bars = day_bars > 128 ? (uint32_t)day_bars : 128};
    if (o->strategy == STRATEGY_ENSEMBLE)
        fo.warmup_bars = feature_warmup_bars() + net_history_bars() + WARMUP_MARGIN_BARS;
    return feed_open_tape(out, &fo, err);
}

static int prepare_replay(struct run *run, const volatile sig_atomic_t *stop) {
    struct run_options *o = &run->options;
    struct err err = {0};
    int code = resolve_data(o);
    if (code != EXIT_DONE) return code;
    struct span span;
    enum status st = resolve_interval(o, &err);
    if (st == ST_OK) st = data_span(&span, o, &err);
    if (st != ST_OK) return fail(&err);
    bool ensemble = o->strategy == STRATEGY_ENSEMBLE;
    if (!o->from_ns) o->from_ns = ensemble ? default_from(&span) : span.first;
    if (o->to_ns && o->to_ns <= o->from_ns) {
        fprintf(stderr, "quantum: --to is not after --from\n");
        return EXIT_USAGE;
    }
    st = run_open_replay_feed(&run->session.feed, o, &err);
    if (st == ST_OK && ensemble) {
        st = o->model_count ? run_load_models(run, feed_from_ns(run->session.feed), &err)
                            : train_on_store(run, &span, stop, &err);
    }
    return st == ST_OK ? EXIT_DONE : fail(&err);
}

/* ---- paper ---- */

struct synth_config run_synth_config(const struct run_options *o) {
    struct synth_config c = synth_config_defaults();
    c.seed = o->seed;
    c.symbol_count = o->synth_symbols;
    c.interval_ns = SYNTH_INTERVAL;
    c.start_ts_ns = SYNTH_EPOCH_NS;
    c.pattern = o->synth_pattern;
    return c;
}

static int64_t synth_trade_from(const struct synth_config *c) {
    return c->start_ts_ns + RUN_SYNTH_HISTORY_BARS * c->interval_ns;
}

enum status run_open_paper_feed(struct feed **out, const struct run_options *o, struct err *err) {
    struct synth_config c = run_synth_config(o);
    return feed_open_synth(out, &c, synth_trade_from(&c), err);
}

static enum status train_on_synth(struct run *run, const struct synth_config *c,
                                  const volatile sig_atomic_t *stop, struct err *err) {
    size_t n = c->symbol_count;
    struct bar *bars = calloc(n * RUN_SYNTH_HISTORY_BARS, sizeof *bars),
               *step = calloc(n, sizeof *step);
    struct instrument *instruments = calloc(n, sizeof *instruments);
    struct learn_series *series = calloc(n, sizeof *series);
    struct synth *synth = aligned_alloc(64, (synth_size(c) + 63) & ~(size_t)63);
    enum status st = ST_OK;
    if (bars && step && instruments && series && synth) {
        synth_init(synth, c);
        synth_instruments(c, instruments);
        for (size_t t = 0; t < RUN_SYNTH_HISTORY_BARS; t++) {
            synth_next(synth, step);
            for (size_t i = 0; i < n; i++) bars[i * RUN_SYNTH_HISTORY_BARS + t] = step[i];
        }
        for (size_t i = 0; i < n; i++)
            series[i] = (struct learn_series){.symbol = instruments[i].symbol,
                                              .bars = bars + i * RUN_SYNTH_HISTORY_BARS,
                                              .count = RUN_SYNTH_HISTORY_BARS};
        st = run_fit_models(run, series, n, hash64(bars, n * RUN_SYNTH_HISTORY_BARS * sizeof *bars),
                            c->start_ts_ns, synth_trade_from(c), stop, err);
    } else
        st = err_set(err, ST_NO_MEMORY, "out of memory");
    free(bars);
    free(step);
    free(instruments);
    free(series);
    free(synth);
    return st;
}

static int prepare_paper(struct run *run, const volatile sig_atomic_t *stop) {
    struct run_options *o = &run->options;
    struct err err = {0};
    o->interval_ns = SYNTH_INTERVAL;
    struct synth_config c = run_synth_config(o);
    int64_t from = synth_trade_from(&c);
    enum status st = run_open_paper_feed(&run->session.feed, o, &err);
    if (st == ST_OK && o->strategy == STRATEGY_ENSEMBLE) {
        st =
            o->model_count ? run_load_models(run, from, &err) : train_on_synth(run, &c, stop, &err);
    }
    return st == ST_OK ? EXIT_DONE : fail(&err);
}

/* ---- both ---- */

int run_make_dir(struct run *run) {
    char runs[RUN_PATH_SIZE], path[RUN_PATH_SIZE + 64], name[64];
    const struct run_options *o = &run->options;
    snprintf(runs, sizeof runs, "%.4000s/runs", o->state);
    if (mkdir(runs, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "quantum: %s: %s\n", runs, strerror(errno));
        return EXIT_FAILED;
    }
    snprintf(name, sizeof name, "%s-%s-%016" PRIx64, run_mode_text(o->mode),
             strategy_text(o->strategy), session_identity(&run->session));
    snprintf(run->run_dir, sizeof run->run_dir, "%.4000s/%s", runs, name);
    bool is_there = access(run->run_dir, F_OK) == 0;
    int code = EXIT_DONE;
    if (is_there && (code = run_own(run)) != EXIT_DONE) return code;
    if (is_there && o->fresh) {
        snprintf(path, sizeof path, "%s.old-%" PRId64, run->run_dir, tstamp_wall_ns());
        if (rename(run->run_dir, path) != 0) {
            fprintf(stderr, "quantum: %s: %s\n", run->run_dir, strerror(errno));
            return EXIT_FAILED;
        }
        fprintf(stderr, "the earlier run was kept as %s\n", path);
        lease_close(run->lease); /* it went with the folder */
        run->lease = NULL;
    }
    if (!run->lease) {
        if (mkdir(run->run_dir, 0755) != 0 && errno != EEXIST) {
            fprintf(stderr, "quantum: %s: %s\n", run->run_dir, strerror(errno));
            return EXIT_FAILED;
        }
        if ((code = run_own(run)) != EXIT_DONE) return code;
    }
    run->session.run_dir = run->run_dir;
    run->session.lease = run->lease;
    return EXIT_DONE;
}

int run_keep(const struct run *run) {
    struct err err = {0};
    char path[RUN_PATH_SIZE + 64], temp[RUN_PATH_SIZE + 72];
    const struct run_options *o = &run->options;
    const char *name = strrchr(run->run_dir, '/') + 1;
    struct run_options kept = *o;
    kept.model_count = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (run->session.models[k])
            memcpy(kept.models[kept.model_count++], run->model_paths[k], RUN_PATH_SIZE);
    if (run_options_save(&kept, run->run_dir, &err) != ST_OK) return fail(&err);
    snprintf(path, sizeof path, "%.4000s/current", o->state);
    snprintf(temp, sizeof temp, "%s.tmp", path);
    FILE *f = fopen(temp, "w");
    if (!f || fprintf(f, "%s\n", name) < 0 || fclose(f) != 0 || rename(temp, path) != 0) {
        fprintf(stderr, "quantum: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int run_prepare(struct run *run, const struct run_options *options,
                const volatile sig_atomic_t *stop) {
    memset(run, 0, sizeof *run);
    run->options = *options;
    run->session = session_options_defaults();
    run->session.mode = options->mode;
    run->session.strategy = options->strategy;
    run->session.stray = options->stray;
    run->session.engine = options->engine;
    run->session.seed = options->seed;
    run->session.speed = options->speed;
    run->session.stop = stop;
    run->session.step_limit = options->step_limit;
    run->session.durable = options->mode != MODE_REPLAY;
    run->session.bus_url = run->options.bus[0] ? run->options.bus : NULL;
    if (options->venue_url[0]) {
        struct err err = {0};
        int done = run_prepare_venue(run, &err);
        run->failed = err.st;
        if (done != EXIT_DONE && err.st == ST_INTERRUPTED) return RUN_ENDED;
        if (done != EXIT_DONE && err.st != ST_OK) fprintf(stderr, "quantum: %s\n", err.text);
        return done;
    }
    int code = options->mode == MODE_REPLAY ? prepare_replay(run, stop) : prepare_paper(run, stop);
    if (code != EXIT_DONE) return code;
    bool retrains = run_retrains(run);
    if (retrains) run_retrain_configure(run);
    code = run_make_dir(run);
    struct err err = {0};
    if (code == EXIT_DONE && retrains && run_retrain_open(run, &err) != ST_OK) code = fail(&err);
    return code == EXIT_DONE ? run_keep(run) : code;
}

void run_release(struct run *run) {
    venue_link_close(run->link);
    run->link = NULL;
    retrain_destroy(run->session.retrain);
    run->session.retrain = NULL;
    live_candles_close(run->candles);
    run->candles = NULL;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        served_model_destroy(run->session.models[k]);
        run->session.models[k] = NULL;
    }
    feed_close(run->session.feed);
    run->session.feed = NULL;
    lease_close(run->lease); /* last: until here nobody else may begin */
    run->lease = NULL;
}

/* ---- baselines ---- */

static void add_returns(struct report_baseline *b, const double *equity, size_t n, double periods) {
    double *returns = calloc(n > 1 ? n - 1 : 1, sizeof *returns);
    if (!returns) return;
    for (size_t i = 1; i < n; i++) returns[i - 1] = equity[i] / equity[i - 1] - 1.0;
    struct sharpe s = stat_sharpe(returns, n > 1 ? n - 1 : 0, periods);
    b->sharpe = s.value;
    b->sharpe_low = s.low;
    b->sharpe_high = s.high;
    b->max_drawdown = stat_drawdown(equity, n);
    free(returns);
}

/* Equal parts of the wallet in every symbol at its first traded close, held to its last; taker fee and
 * half spread both ways, no leverage, no funding (a holder of the coins pays none). */
static enum status buy_and_hold(struct report_baseline *b, const struct run *run, uint64_t steps,
                                struct err *err) {
    struct feed *f = run->session.feed;
    uint32_t n = feed_symbol_count(f);
    double *entry = calloc(n, sizeof *entry), *last = calloc(n, sizeof *last),
           *daily = calloc(steps + 2, sizeof *daily);
    if (!entry || !last || !daily) {
        free(entry);
        free(last);
        free(daily);
        return err_set(err, ST_NO_MEMORY, "baseline: out of memory");
    }
    double wallet = money_to_f64(run->session.wallet_start), part = wallet / (double)n;
    double cost =
        fx_to_f64(feed_instruments(f)[0].fee_taker.e8 + simex_config_defaults().half_spread.e8);
    size_t days = 0;
    struct feed_step step;
    daily[days++] = wallet;
    feed_seek(f, 0);
    while (feed_next(f, &step) == ST_OK && step.index < steps) {
        int64_t close = step.open_ts_ns + feed_interval_ns(f);
        for (uint32_t j = 0; j < step.count; j++) {
            double px = px_to_f64(step.bars[j]->close);
            uint32_t i = step.symbols[j];
            if (close > feed_from_ns(f) && entry[i] == 0) entry[i] = px;
            last[i] = px;
        }
        if (close <= feed_from_ns(f) || close % NS_PER_DAY) continue;
        double equity = 0;
        for (uint32_t i = 0; i < n; i++)
            equity += entry[i] > 0 ? part * (1 - cost) * last[i] / entry[i] : part;
        daily[days++] = equity;
    }
    double end = 0;
    uint64_t wins = 0;
    for (uint32_t i = 0; i < n; i++) {
        double value = entry[i] > 0 ? part * (1 - cost) * (1 - cost) * last[i] / entry[i] : part;
        wins += value > part;
        b->trades += entry[i] > 0;
        end += value;
    }
    daily[days - 1] = end;
    snprintf(b->name, sizeof b->name, "buy_and_hold");
    b->net_pnl.e8 = fx_from_f64(end - wallet);
    b->total_return = end / wallet - 1.0;
    b->win_rate = b->trades ? (double)wins / (double)b->trades : (double)NAN;
    add_returns(b, daily, days, 365.0);
    free(entry);
    free(last);
    free(daily);
    return ST_OK;
}

/* The same engine, exits, costs and limits, with entries and sides from the dice. */
static enum status random_entry(struct report_baseline *b, const struct run *run, uint64_t steps,
                                struct err *err) {
    struct session_options o = run->session;
    struct session_result *result = calloc(1, sizeof *result);
    if (!result) return err_set(err, ST_NO_MEMORY, "baseline: out of memory");
    char dir[RUN_PATH_SIZE], path[RUN_PATH_SIZE + 32];
    snprintf(dir, sizeof dir, "%.4000s/baseline-random", run->run_dir);
    o.strategy = STRATEGY_RANDOM;
    o.barrier_exits = run->session.strategy == STRATEGY_ENSEMBLE;
    memset(o.models, 0, sizeof o.models);
    o.view_box = NULL;
    o.bus_url = NULL;
    o.speed = 0;
    o.step_limit = 0;
    o.step_end = steps; /* where an earlier stop's baseline ended, this one goes on */
    o.progress = NULL;
    o.stop =
        NULL; /* the user has asked to end already; this is short, and a second Ctrl-C still ends it */
    o.run_dir = dir;
    o.lease = NULL;
    o.durable = false;
    enum status st = session_run(result, &o, err);
    struct tradedb *db = NULL;
    static struct report r;
    memset(&r, 0, sizeof r);
    snprintf(path, sizeof path, "%s/trades.sqlite", dir);
    if (st == ST_OK) st = tradedb_open(&db, path, true, err);
    if (st == ST_OK) st = report_load(&r, db, err);
    if (st == ST_OK) st = report_from_db(&r, db, err);
    if (db) tradedb_close(db);
    if (st == ST_OK) {
        snprintf(b->name, sizeof b->name, "random_entry");
        b->trades = r.trades;
        b->net_pnl = r.wallet_change;
        b->total_return = money_to_f64(r.wallet_change) / money_to_f64(run->session.wallet_start);
        b->sharpe = r.sharpe.value;
        b->sharpe_low = r.sharpe.low;
        b->sharpe_high = r.sharpe.high;
        b->max_drawdown = r.max_drawdown;
        b->win_rate = r.win_rate;
    }
    free(result);
    return st;
}

enum status run_baselines(struct report *report, const struct run *run, uint64_t steps,
                          struct err *err) {
    memset(report->baselines, 0, sizeof report->baselines);
    report->baseline_count = 0;
    enum status st = buy_and_hold(&report->baselines[0], run, steps, err);
    if (st == ST_OK) st = random_entry(&report->baselines[1], run, steps, err);
    if (st == ST_OK) report->baseline_count = 2;
    return st;
}

int run_report(const char *run_dir, bool json) {
    char path[RUN_PATH_SIZE + 32];
    struct err err = {0};
    struct tradedb *db = NULL;
    static struct report r;
    snprintf(path, sizeof path, "%s/trades.sqlite", run_dir);
    enum status st = tradedb_open(&db, path, true, &err);
    if (st == ST_OK) st = report_load(&r, db, &err);
    if (st == ST_OK) st = report_from_db(&r, db, &err);
    if (db) tradedb_close(db);
    if (st != ST_OK) return fail(&err);
    if (json)
        report_print_json(stdout, &r);
    else
        report_print(stdout, &r);
    return EXIT_DONE;
}
