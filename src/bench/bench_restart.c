/* restart_10m: a trader on a venue somewhere else is killed in its ten millionth journal record, as far behind its last
 * snapshot as one can be, and begins again: seconds until it has gone over its journal and is reconciled. What it then knows
 * must be what the one before it knew. The venue is the bar exchange in this process. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backtest/session.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_folder.h"
#include "sim/disk.h"
#include "venue/simex/simex.h"
#include "venue/simex/synth.h"

enum {
    SYMBOLS = 50,
    RECORDS = 10000000,
    ROW_RECORDS =
        300000, /* with features a record takes longer to make; a restart is as long after any number */
    SNAPSHOT_BARS = 1 << 16, /* of a run with a port (backtest/session_live.c) */
    ROUNDS = 5,
    PATH_SIZE = 512
};
#define START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01 */

struct world {
    struct venue_sink sink;
    struct synth *synth;
    struct simex *simex;
    struct bar bars[SYMBOLS];
    struct instrument instruments[SYMBOLS];
    int64_t now_ns;
    uint64_t steps, steps_end;
    volatile sig_atomic_t stop;
    char root[PATH_SIZE], run[PATH_SIZE + 16], image[PATH_SIZE + 16], life[PATH_SIZE + 16];
    int64_t ready_ns; /* when the run first waited for news */
    enum status image_st;
    struct err *err;
};

static void w_attach(void *context, const struct venue_sink *sink) {
    ((struct world *)context)->sink = *sink;
}

/* Whatever closed has been told. */
static enum status w_bars(void *context, uint32_t i, int64_t from_ns, int64_t to_ns,
                          struct bar *out, size_t max, size_t *count, struct err *err) {
    (void)context, (void)i, (void)from_ns, (void)to_ns, (void)out, (void)max, (void)err;
    *count = 0;
    return ST_OK;
}

static enum status w_start(void *context, const struct kernel_live_order *live, uint32_t live_count,
                           const struct kernel_held *held, uint32_t held_count, struct err *err) {
    (void)context, (void)live, (void)live_count, (void)held, (void)held_count, (void)err;
    return ST_OK;
}

static enum status w_submit(void *context, const struct venue_command *c, enum venue_lane lane,
                            struct err *err) {
    struct world *w = context;
    struct venue_command mine = *c;
    (void)lane;
    mine.ts_ns = w->now_ns;
    enum status st = simex_submit(w->simex, &mine);
    return st == ST_OK ? ST_OK : err_set(err, st, "exchange: command queue");
}

/* A minute, its events, its bars. */
static void minute(struct world *w) {
    struct venue_event e;
    synth_next(w->synth, w->bars);
    for (uint32_t i = 0; i < SYMBOLS; i++) simex_bar_begin(w->simex, i, &w->bars[i], NULL);
    w->now_ns += NS_PER_MINUTE;
    while (simex_next(w->simex, w->now_ns, &e)) w->sink.venue(w->sink.context, &e);
    for (uint32_t i = 0; i < SYMBOLS; i++) w->sink.bar(w->sink.context, i, &w->bars[i]);
    w->steps++;
}

static enum status w_poll(void *context, int64_t until_ns, struct err *err) {
    struct world *w = context;
    (void)until_ns, (void)err;
    if (w->ready_ns == 0) w->ready_ns = tstamp_machine_ns();
    if (w->steps < w->steps_end) {
        minute(w);
        return ST_OK;
    }
    if (w->image[0]) w->image_st = sim_disk_image(w->life, w->image, w->err);
    w->stop = 1;
    return ST_OK;
}

static int64_t w_now(void *context) {
    return ((struct world *)context)->now_ns;
}

static enum status world_make(struct world *w, struct err *err) {
    struct synth_config s = synth_config_defaults();
    struct simex_config x = simex_config_defaults();
    memset(w, 0, sizeof *w);
    w->err = err;
    s.seed = 7;
    s.symbol_count = SYMBOLS;
    s.interval_ns = NS_PER_MINUTE;
    s.start_ts_ns = w->now_ns = START_NS;
    synth_instruments(&s, w->instruments);
    x.instrument_count = SYMBOLS;
    x.instruments = w->instruments;
    x.interval_ns = NS_PER_MINUTE;
    x.wallet_start.e8 = 10000 * FX_ONE;
    w->synth = aligned_alloc(64, (synth_size(&s) + 63) & ~(size_t)63);
    w->simex = aligned_alloc(64, (simex_size(&x) + 63) & ~(size_t)63);
    if (!w->synth || !w->simex) return err_set(err, ST_NO_MEMORY, "restart_10m");
    synth_init(w->synth, &s);
    simex_init(w->simex, &x);
    return bench_folder_make(w->root, sizeof w->root, err);
}

static void world_free(struct world *w) {
    free(w->synth);
    free(w->simex);
    bench_folder_remove(w->root);
}

/* One life of the trader, until the market stands still. */
static enum status live(struct session_result *out, struct world *w, bool rows, struct err *err) {
    struct session_options o = session_options_defaults();
    const struct venue_port port = {.context = w,
                                    .attach = w_attach,
                                    .bars = w_bars,
                                    .start = w_start,
                                    .submit = w_submit,
                                    .poll = w_poll,
                                    .now_ns = w_now};
    w->stop = 0;
    w->ready_ns = 0;
    o.port = &port;
    o.mode = MODE_PAPER;
    o.strategy = STRATEGY_RANDOM;
    o.barrier_exits = rows; /* exits by ATR: every row of features is computed */
    o.run_dir = w->life;
    o.stop = &w->stop;
    enum status st =
        feed_open_live(&o.feed, w->instruments, SYMBOLS, NS_PER_MINUTE, START_NS, 1, err);
    if (st == ST_OK) st = session_run(out, &o, err);
    feed_close(o.feed);
    return st == ST_OK ? w->image_st : st;
}

static bool is_same(const struct kernel_totals *a, const struct kernel_totals *b) {
    return a->bars == b->bars && a->intents == b->intents && a->orders == b->orders &&
           a->fills == b->fills && a->trades == b->trades && a->wallet.e8 == b->wallet.e8 &&
           a->realized_pnl.e8 == b->realized_pnl.e8 && a->fees.e8 == b->fees.e8 &&
           a->funding.e8 == b->funding.e8;
}

/* Seconds of one restart from a copy of the image. That the run was taken up is on record and so in the state's hash: every
 * restart must come to the same (*hash, 0 before the first), and all sums are those of the life that was killed. */
static enum status restart(double *seconds, struct world *w, bool rows,
                           const struct kernel_totals *want, uint64_t *hash, struct err *err) {
    static struct session_result r;
    snprintf(w->life, sizeof w->life, "%s/again", w->root);
    sim_disk_remove(w->life);
    enum status st = sim_disk_image(w->run, w->life, err);
    if (st != ST_OK) return st;
    int64_t begin = tstamp_machine_ns();
    st = live(&r, w, rows, err);
    *seconds = (double)(w->ready_ns - begin) / 1e9;
    bool same = is_same(&r.totals, want) && (*hash == 0 || *hash == r.state_hash);
    *hash = r.state_hash;
    if (st == ST_OK && !same)
        return err_set(err, ST_MISMATCH, "restart_10m: the restarted run is in another state");
    return st;
}

static enum status measure(const char *name, uint64_t records, bool rows, struct err *err) {
    static struct world w;
    static struct session_result r;
    double seconds[ROUNDS];
    enum status st = world_make(&w, err);
    if (st != ST_OK) return st;
    /* The last step before the next snapshot would be taken. */
    uint64_t period = (SNAPSHOT_BARS + SYMBOLS - 1) / SYMBOLS, steps = records / (SYMBOLS + 1);
    w.steps_end = (steps / period + 1) * period - 1;
    snprintf(w.life, sizeof w.life, "%s/first", w.root);
    snprintf(w.run, sizeof w.run, "%s/killed", w.root);
    memcpy(w.image, w.run, sizeof w.image);
    st = live(&r, &w, rows, err);
    w.image[0] = '\0';
    uint64_t hash = 0;
    if (st == ST_OK && r.journal_last_seq < records)
        st = err_set(err, ST_RANGE, "restart_10m: %llu records",
                     (unsigned long long)r.journal_last_seq);
    for (int i = 0; i < ROUNDS && st == ST_OK; i++)
        st = restart(&seconds[i], &w, rows, &r.totals, &hash, err);
    world_free(&w);
    if (st != ST_OK) return st;
    const struct bench_figure f = {.name = name,
                                   .value = bench_median(seconds, ROUNDS),
                                   .unit = "s",
                                   .n = r.journal_last_seq,
                                   .peer = ""};
    bench_emit(&f);
    return ST_OK;
}

enum status bench_restart_10m(struct err *err) {
    log_level_set(LOG_ERROR);
    enum status st = measure("restart_10m", RECORDS, false, err);
    return st == ST_OK ? measure("restart_10m.rows", ROW_RECORDS, true, err) : st;
}
