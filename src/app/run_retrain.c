/* The retrainer of a run: its registry lies in the run's folder, its candles come from where the run's own do, or, on a
 * venue, from the store that the run keeps beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/run.h"
#include "backtest/live_candles.h"
#include "base/hash.h"
#include "base/tstamp.h"
#include "store/candles.h"
#include "venue/simex/synth.h"

/* Of a made-up market's minutes: what a first training has, and what an epoch of the networks may cost. */
enum { PAPER_ROWS_MAX = 60000, REPLAY_ROWS_MAX = 400000, EPOCHS = 1, WINDOW_DAYS = 365 };
#define PERIOD_NS (14400 * NS_PER_SECOND)
/* On a venue: a week of minutes. */
enum { VENUE_WINDOW_BARS = 10000 };
/* Of files of rejected models; a replay keeps all of them. */
#define REJECTED_ROOM (UINT64_C(512) << 20)

static bool on_venue(const struct run *run) {
    return run->options.venue_url[0] != 0;
}

static bool on_synth(const struct run *run) {
    return run->options.mode == MODE_PAPER && !on_venue(run);
}

bool run_retrains(struct run *run) {
    struct run_options *o = &run->options;
    bool can = o->strategy == STRATEGY_ENSEMBLE;
    /* On a venue nobody trains first models: with none there is nothing to hold a new one against. */
    bool by_default = on_venue(run) ? o->model_count > 0 : o->mode == MODE_PAPER;
    if (o->retrain_ns < 0) o->retrain_ns = can && by_default ? PERIOD_NS : 0;
    return can && o->retrain_ns > 0;
}

/* ---- candles of a store ---- */

/* The block that begins with the series holds the mapped files behind them. */
static enum status store_open(void *context, struct learn_series **out, size_t *count,
                              int64_t from_ns, int64_t to_ns, struct err *err) {
    const struct run *run = context;
    const struct run_options *o = &run->options;
    const char *dir = on_venue(run) ? run->candles_dir : o->data;
    const struct instrument *contracts = feed_instruments(run->session.feed);
    uint32_t n = feed_symbol_count(run->session.feed);
    char *block = calloc(n, sizeof(struct learn_series) + sizeof(struct candles));
    if (!block) return err_set(err, ST_NO_MEMORY, "candles of %u symbols: out of memory", n);
    struct learn_series *series = (struct learn_series *)(void *)block;
    struct candles *open = (struct candles *)(void *)(series + n);
    enum status st = ST_OK;
    size_t got = 0;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        struct candles *c = &open[got];
        st = candles_open(c, dir, "um", o->interval_ns, contracts[i].symbol, err);
        if (st != ST_OK) break;
        size_t a = 0, b = c->count;
        while (a < b && c->bars[a].open_ts_ns < from_ns) a++;
        while (b > a && c->bars[b - 1].open_ts_ns + o->interval_ns > to_ns) b--;
        series[got++] = (struct learn_series){
            .symbol = contracts[i].symbol, .bars = c->bars + a, .count = b - a};
    }
    *out = series;
    *count = got;
    if (st == ST_OK) return ST_OK;
    run->retrain_config.source.close(context, series, got);
    return st;
}

static void store_close(void *context, struct learn_series *series, size_t count) {
    const struct run *run = context;
    uint32_t n = feed_symbol_count(run->session.feed);
    struct candles *open = (struct candles *)(void *)(series + n);
    for (size_t i = 0; i < count; i++) candles_close(&open[i]);
    free(series);
}

/* ---- candles of a made-up market, made again ---- */

static void synth_close(void *context, struct learn_series *series, size_t count) {
    (void)context;
    if (count > 0) free((void *)series[0].bars);
    free(series);
}

static enum status synth_open(void *context, struct learn_series **out, size_t *count,
                              int64_t from_ns, int64_t to_ns, struct err *err) {
    const struct run *run = context;
    struct synth_config c = run_synth_config(&run->options);
    int64_t begin = from_ns > c.start_ts_ns ? from_ns : c.start_ts_ns;
    size_t n = c.symbol_count,
           steps = to_ns > c.start_ts_ns ? (size_t)((to_ns - c.start_ts_ns) / c.interval_ns) : 0;
    size_t skip = (size_t)((begin - c.start_ts_ns + c.interval_ns - 1) / c.interval_ns);
    size_t kept = steps > skip ? steps - skip : 0;
    struct bar *bars = calloc(n * kept + 1, sizeof *bars), *step = calloc(n, sizeof *step);
    struct learn_series *series = calloc(n, sizeof *series);
    struct synth *synth = aligned_alloc(64, (synth_size(&c) + 63) & ~(size_t)63);
    bool ok = bars && step && series && synth;
    if (ok) {
        synth_init(synth, &c);
        for (size_t t = 0; t < steps; t++) {
            synth_next(synth, step);
            for (size_t i = 0; t >= skip && i < n; i++) bars[i * kept + t - skip] = step[i];
        }
        const struct instrument *contracts = feed_instruments(run->session.feed);
        for (size_t i = 0; i < n; i++)
            series[i] = (struct learn_series){
                .symbol = contracts[i].symbol, .bars = bars + i * kept, .count = kept};
        *out = series;
        *count = n;
    } else {
        free(bars);
        free(series);
    }
    free(step);
    free(synth);
    return ok ? ST_OK : err_set(err, ST_NO_MEMORY, "candles of %zu symbols: out of memory", n);
}

/* ---- the run's retrainer ---- */

void run_retrain_configure(struct run *run) {
    const struct run_options *o = &run->options;
    bool synth = on_synth(run), replay = o->mode == MODE_REPLAY;
    struct retrain_config *c = &run->retrain_config;
    if (!run->session.labels) run->labels = label_spec_defaults(); /* no first models */
    *c = retrain_config_defaults(o->interval_ns, &run->labels);
    c->kinds = o->voters;
    c->symbol_count = feed_symbol_count(run->session.feed);
    c->window_ns = synth           ? RUN_SYNTH_HISTORY_BARS * o->interval_ns
                   : o->window_ns  ? o->window_ns
                   : on_venue(run) ? VENUE_WINDOW_BARS * o->interval_ns
                                   : WINDOW_DAYS * NS_PER_DAY;
    if (c->window_warm_ns > c->window_ns) c->window_warm_ns = c->window_ns;
    c->epochs = EPOCHS;
    c->rows_max = replay ? REPLAY_ROWS_MAX : PAPER_ROWS_MAX;
    c->seed = o->seed;
    c->warm_networks = true;
    c->threaded = !replay; /* a replay waits: it shall come out the same every time */
    c->stop = run->session.stop;
    c->schedule.period_ns = o->retrain_ns;
    /* So that the run can be executed again: a replay from its first record. A verification removes nothing. */
    c->keep_rejected_bytes = replay || run->session.verify ? UINT64_MAX : REJECTED_ROOM;
    c->source = (struct retrain_source){.context = run,
                                        .open = synth ? synth_open : store_open,
                                        .close = synth ? synth_close : store_close};
    const uint64_t words[] = {session_models_hash(&run->session),
                              (uint64_t)o->retrain_ns,
                              c->kinds,
                              (uint64_t)c->window_ns,
                              c->epochs,
                              c->rows_max,
                              c->seed,
                              1};
    run->session.retrain_hash = hash64(words, sizeof words) | 1;
}

enum status run_retrain_open(struct run *run, struct err *err) {
    const char *paths[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        paths[k] = run->model_paths[k][0] ? run->model_paths[k] : NULL;
    if (snprintf(run->registry_dir, sizeof run->registry_dir, "%.4000s/models", run->run_dir) < 0 ||
        snprintf(run->candles_dir, sizeof run->candles_dir, "%.4000s/store", run->run_dir) < 0 ||
        snprintf(run->retrain_work_dir, sizeof run->retrain_work_dir, "%.4000s/training",
                 run->run_dir) < 0)
        return err_set(err, ST_RANGE, "state path is too long");
    run->retrain_config.registry_dir = run->registry_dir;
    run->retrain_config.work_dir = run->retrain_work_dir;
    const struct feed *feed = run->session.feed;
    run->retrain_config.symbol_count = feed_symbol_count(feed);
    enum status st = ST_OK;
    if (on_venue(run) && !run->session.verify) {
        st = live_candles_open(&run->candles, run->candles_dir, feed_instruments(feed),
                               feed_symbol_count(feed), feed_interval_ns(feed), err);
        if (st != ST_OK) return st;
        run->retrain_config.source = live_candles_source(run->candles);
        run->session.candles = run->candles;
    }
    st = retrain_create(&run->session.retrain, &run->retrain_config, paths,
                        feed_from_ns(run->session.feed), err);
    if (st != ST_OK) return err_wrap(err, st, "retrainer");
    run->session.retrain_request = &run->retrain_request;
    return ST_OK;
}
