/* retrain_networks: both networks go on from the running models over the newest 60 days of 50 symbols' hours, every window once,
 * and are validated: seconds from the bars of a year in memory to the two files. The 60 days are the training part, the 5 + 5
 * days behind them validate and test; fewer than 70,000 windows would be an error. Then one epoch over the whole year for each.
 *
 * retrain_50: the same and both forests, cold, on every row of the year: seconds to the four files, one after the other as the
 * retrainer trains them; processor time of all threads (.cpu) and the most memory the process held meanwhile (.memory).
 * Candles: seeded walks whose drift the takers know. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_folder.h"
#include "learn/learn.h"

enum {
    SYMBOLS = 50,
    HOURS = 365 * 24,
    DAYS = 70,
    WINDOWS_MIN = 70000,
    COLD_ROWS = 30000,
    STEPS = 4
};
static const int64_t start_ns = INT64_C(1704067200) * NS_PER_SECOND; /* 2024-01-01 */
static const double held_out = 0.07; /* of 70 days, for each of validation and test */
static const enum model_kind networks[] = {MODEL_NHITS, MODEL_PATCHTST};
static const enum model_kind forests[] = {MODEL_XGBOOST, MODEL_LIGHTGBM};
enum { KINDS = 2 }; /* of each */

struct year {
    struct learn_series series[SYMBOLS];
    char names[SYMBOLS][16];
    struct bar *bars;                                        /* (SYMBOLS, HOURS) */
    char folder[200], running[MODEL_COUNT][256], fresh[256]; /* running: of the networks */
    uint32_t threads;
};

/* ---- candles ---- */

static struct bar make_bar(struct rng *r, double *price, int64_t ts, double drift, double sigma) {
    double open = *price, high = open, low = open, p = open;
    for (int k = 0; k < STEPS; k++) {
        p *= 1 + drift / STEPS + sigma * 0.5 * rng_normal(r); /* 1 / sqrt(STEPS) */
        high = fmax(high, p);
        low = fmin(low, p);
    }
    *price = p;
    return (struct bar){.open_ts_ns = ts,
                        .open = px_e8((int64_t)open),
                        .high = px_e8((int64_t)high),
                        .low = px_e8((int64_t)low),
                        .close = px_e8((int64_t)p),
                        .volume = 1000 * (0.5 + rng_f64(r)),
                        .quote_volume = (double)NAN,
                        .taker_buy_ratio = (float)(0.3 + 0.4 * rng_f64(r)),
                        .trade_count = 500 + (uint32_t)rng_below(r, 500)};
}

static enum status year_make(struct year *y, struct err *err) {
    struct rng root = rng_init(1);
    y->bars = malloc((size_t)SYMBOLS * HOURS * sizeof *y->bars);
    if (!y->bars) return err_set(err, ST_NO_MEMORY, "a year of %d symbols", SYMBOLS);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct rng r = rng_split(&root, s);
        struct bar *bars = y->bars + (size_t)s * HOURS;
        double price = 1e10 * (1 + rng_f64(&r)), sigma = 0.006;
        int phase = 0;
        for (size_t i = 0; i < HOURS; i++) {
            if (rng_below(&r, 30) == 0) phase = (int)rng_below(&r, 3) - 1;
            bars[i] = make_bar(&r, &price, start_ns + (int64_t)i * NS_PER_HOUR, 0.1 * phase * sigma,
                               sigma);
            bars[i].taker_buy_ratio += (float)(0.1 * phase);
        }
        snprintf(y->names[s], sizeof y->names[s], "COIN%02uUSDT", s);
        y->series[s] = (struct learn_series){y->names[s], bars, HOURS};
    }
    return ST_OK;
}

/* ---- trainings ---- */

/* When a training's first and its last step were over. */
struct watch {
    int64_t first_ns, last_ns;
    uint32_t steps;
};

static bool note_steps(void *context, const char *stage, uint32_t done, uint32_t total,
                       double train_loss, double valid_loss) {
    struct watch *w = context;
    (void)total;
    (void)train_loss;
    (void)valid_loss;
    if (strcmp(stage, "train") != 0) return true;
    w->last_ns = tstamp_monotonic_ns();
    if (w->first_ns == 0) w->first_ns = w->last_ns;
    w->steps = done;
    return true;
}

static enum status train(struct learn_report *report, struct watch *watch, const struct year *y,
                         const char *path, const struct learn_config *c, struct err *err) {
    struct watch unused = {0};
    return learn_train(report, path, y->series, SYMBOLS, c, note_steps, watch ? watch : &unused,
                       err);
}

static struct learn_config configure(const struct year *y, enum model_kind kind) {
    struct learn_config c = learn_config_defaults();
    c.kind = kind;
    c.epochs = 1;
    c.rows_max = 0;
    c.threads = y->threads;
    return c;
}

/* What runs when the retraining begins: trained on a part of the months before. */
static enum status running_models(struct year *y, struct err *err) {
    enum status st = ST_OK;
    struct learn_report report;
    for (int k = 0; k < KINDS && st == ST_OK; k++) {
        struct learn_config c = configure(y, networks[k]);
        c.rows_max = COLD_ROWS;
        c.to_ns = start_ns + (int64_t)(HOURS - DAYS * 24) * NS_PER_HOUR;
        st = train(&report, NULL, y, y->running[networks[k]], &c, err);
    }
    return st;
}

static enum status retrain(double *seconds, uint64_t *rows, const struct year *y,
                           const struct learn_config *c, struct err *err) {
    struct learn_report report;
    int64_t from = tstamp_monotonic_ns();
    enum status st = train(&report, NULL, y, y->fresh, c, err);
    if (st != ST_OK) return st;
    *seconds = (double)(tstamp_monotonic_ns() - from) * 1e-9;
    *rows = report.rows_train;
    fprintf(stderr, "%s: %zu rows, %u rounds, %s\n", model_kind_text(c->kind), report.rows_train,
            report.rounds, report.verdict);
    return ST_OK;
}

static enum status retrain_network(double *seconds, uint64_t *windows, const struct year *y,
                                   enum model_kind kind, struct err *err) {
    struct learn_config c = configure(y, kind);
    c.from_ns = start_ns + (int64_t)(HOURS - DAYS * 24) * NS_PER_HOUR;
    c.valid_share = c.test_share = held_out;
    c.warm_start = y->running[kind];
    enum status st = retrain(seconds, windows, y, &c, err);
    if (st == ST_OK && *windows < WINDOWS_MIN)
        return err_set(err, ST_RANGE, "%" PRIu64 " windows, %d are meant", *windows, WINDOWS_MIN);
    return st;
}

static enum status emit_networks(const struct year *y, struct err *err) {
    static const char *const names[KINDS] = {"retrain_networks.nhits", "retrain_networks.patchtst"};
    double seconds[KINDS] = {0};
    uint64_t windows[KINDS] = {0};
    for (int k = 0; k < KINDS; k++) {
        enum status st = retrain_network(&seconds[k], &windows[k], y, networks[k], err);
        if (st != ST_OK) return st;
    }
    bench_emit(&(struct bench_figure){"retrain_networks", seconds[0] + seconds[1], "s",
                                      windows[0] + windows[1], "", 0});
    for (int k = 0; k < KINDS; k++)
        bench_emit(&(struct bench_figure){names[k], seconds[k], "s", windows[k], "", 0});
    return ST_OK;
}

/* An epoch over the year's training part: from the first step to the last. */
static enum status emit_epochs(const struct year *y, struct err *err) {
    static const char *const names[KINDS] = {"retrain_networks.epoch_nhits",
                                             "retrain_networks.epoch_patchtst"};
    enum status st = ST_OK;
    for (int k = 0; k < KINDS && st == ST_OK; k++) {
        struct learn_config c = configure(y, networks[k]);
        struct learn_report report;
        struct watch watch = {0};
        st = train(&report, &watch, y, y->fresh, &c, err);
        if (st != ST_OK) break;
        double steps = (double)(watch.last_ns - watch.first_ns) * 1e-9;
        bench_emit(&(struct bench_figure){names[k], steps * watch.steps / (watch.steps - 1), "s",
                                          report.rows_train, "", 0});
    }
    return st;
}

/* ---- all four ---- */

/* The most memory the process held, from here on. */
static enum status peak_reset(struct err *err) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    bool done = f && fputs("5", f) >= 0;
    if (f && fclose(f) != 0) done = false;
    return done ? ST_OK : err_errno(err, ST_IO, "/proc/self/clear_refs");
}

static enum status peak_read(double *bytes, struct err *err) {
    char line[256];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lu kB", &kib) == 1) break;
    if (f) fclose(f);
    *bytes = 1024.0 * (double)kib;
    return kib ? ST_OK : err_set(err, ST_NOT_FOUND, "/proc/self/status has no VmHWM");
}

/* Of all threads. */
static double process_cpu_s(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static enum status emit_all(const struct year *y, struct err *err) {
    double seconds[2 * KINDS] = {0}, whole = 0, bytes = 0;
    enum model_kind kinds[2 * KINDS];
    uint64_t rows[2 * KINDS] = {0}, sum = 0;
    enum status st = peak_reset(err);
    double cpu = process_cpu_s();
    for (int k = 0; k < 2 * KINDS && st == ST_OK; k++) {
        kinds[k] = k < KINDS ? forests[k] : networks[k - KINDS];
        const struct learn_config cold = configure(y, kinds[k]);
        st = k < KINDS ? retrain(&seconds[k], &rows[k], y, &cold, err)
                       : retrain_network(&seconds[k], &rows[k], y, kinds[k], err);
        whole += seconds[k];
        sum += rows[k];
    }
    cpu = process_cpu_s() - cpu;
    if (st == ST_OK) st = peak_read(&bytes, err);
    if (st != ST_OK) return st;
    bench_emit(&(struct bench_figure){"retrain_50", whole, "s", sum, "", 0});
    for (int k = 0; k < 2 * KINDS; k++) {
        char name[48];
        snprintf(name, sizeof name, "retrain_50.%s", model_kind_text(kinds[k]));
        bench_emit(&(struct bench_figure){name, seconds[k], "s", rows[k], "", 0});
    }
    bench_emit(&(struct bench_figure){"retrain_50.cpu", cpu, "s", sum, "", 0});
    bench_emit(&(struct bench_figure){"retrain_50.memory", bytes, "B", 1, "", 0});
    return ST_OK;
}

/* ---- both benches ---- */

static enum status on_a_year(const struct bench_parameters *p,
                             enum status (*emit)(const struct year *y, struct err *err),
                             struct err *err) {
    struct year *y = calloc(1, sizeof *y);
    if (!y) return err_set(err, ST_NO_MEMORY, "bench");
    y->threads = p->threads ? p->threads : 2;
    enum status st = bench_folder_make(y->folder, sizeof y->folder, err);
    for (int k = 0; k < KINDS; k++)
        snprintf(y->running[networks[k]], sizeof y->running[0], "%s/running-%d", y->folder, k);
    snprintf(y->fresh, sizeof y->fresh, "%s/fresh", y->folder);
    if (st == ST_OK) st = year_make(y, err);
    if (st == ST_OK) st = running_models(y, err);
    if (st == ST_OK) st = emit(y, err);
    bench_folder_remove(y->folder);
    free(y->bars);
    free(y);
    return st;
}

static enum status emit_networks_and_epochs(const struct year *y, struct err *err) {
    enum status st = emit_networks(y, err);
    return st == ST_OK ? emit_epochs(y, err) : st;
}

enum status bench_retrain_networks(const struct bench_parameters *p, struct err *err) {
    return on_a_year(p, emit_networks_and_epochs, err);
}

enum status bench_retrain_50(const struct bench_parameters *p, struct err *err) {
    return on_a_year(p, emit_all, err);
}
