/* sim_rate: how much faster than time one core simulates the whole system: 8 contracts, minute bars of four prices and more, the
 * checker on; with a rule, and with four trained voters and the learner at its 4-hour period. */
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "bench/bench.h"
#include "bench/bench_folder.h"
#include "sim/sim.h"

enum { ROUNDS = 3, RULE_HOURS = 24, MODEL_HOURS = 9, PATH_SIZE = 512 };

/* Of this process, which has one thread here: on a machine with other work the clock would measure that work. */
static double busy_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum status once(double *rate, const struct sim_options *o, struct err *err) {
    static struct sim_result r;
    double begin = busy_s();
    enum status st = sim_run(&r, o, err);
    double seconds = busy_s() - begin;
    if (st != ST_OK) return st;
    if (r.violations > 0) return err_set(err, ST_CORRUPT, "simulation: %s", r.violation);
    *rate = r.hours * 3600 / seconds;
    return ST_OK;
}

static enum status figure(const char *name, const struct sim_options *o, struct err *err) {
    double rates[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        enum status st = once(&rates[i], o, err);
        if (st != ST_OK) return st;
    }
    const struct bench_figure f = {.name = name,
                                   .value = bench_median(rates, ROUNDS),
                                   .unit = "x",
                                   .n = (uint64_t)(o->hours * 3600),
                                   .peer = ""};
    bench_emit(&f);
    return ST_OK;
}

enum status bench_sim_rate(struct err *err) {
    char dir[PATH_SIZE];
    struct sim_options o = sim_options_defaults();
    log_level_set(LOG_ERROR);
    o.hours = RULE_HOURS;
    o.verify = false;
    enum status st = figure("sim_rate", &o, err);
    if (st == ST_OK) st = bench_folder_make(dir, sizeof dir, err);
    if (st != ST_OK) return st;
    o.strategy = STRATEGY_ENSEMBLE;
    o.hours = MODEL_HOURS;
    o.models = dir;
    double trained; /* the voters are trained by the first run of all, which counts for nothing */
    struct sim_options first = o;
    first.hours = 0.02;
    st = once(&trained, &first, err);
    if (st == ST_OK) st = figure("sim_rate.model", &o, err);
    bench_folder_remove(dir);
    return st;
}
