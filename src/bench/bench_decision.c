/* decision_1, decision_100: from a candle's close to everything it led to, in the session that `quantum up` runs: features of
 * each symbol, the cross-section, four voters asked, ensemble to intents, orders, the records of all that in the journal and
 * on the bus. One thread. Then the same while a network is trained beside it, as the retrainer does it: in a thread of its own,
 * lower in priority, on one core.
 *
 * A session's times are kept in a histogram of 16 steps a power of two: a quantile is up to 1/16 too high, never too low.
 *
 * .cpu, .cpu_p99: processor time of the session's thread a close, the made-up exchange's step between two closes included: what
 * the work costs, whoever else wants the processor. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_voters.h"

enum { CLOSES_100 = 1600, CLOSES_1 = 8000, PATH_SIZE = 256, NICE = 10, PAUSE_MS = 2 };

struct tally {
    uint64_t answers, voting[MODEL_COUNT], warming;
    int64_t cpu_ns; /* of this thread at the last close */
    uint32_t closes;
    double *ns; /* (closes - 1) processor time from one close's decisions to the next one's */
};

/* ---- the training beside it ---- */

struct trainer {
    const struct bench_voters *voters;
    pthread_t thread;
    atomic_bool stop, ended;
    atomic_uint steps; /* of the network's weights */
    enum status st;
    struct err err;
};

static bool note_step(void *context, const char *stage, uint32_t done, uint32_t total,
                      double train_loss, double valid_loss) {
    struct trainer *t = context;
    (void)done, (void)total, (void)train_loss, (void)valid_loss;
    if (strcmp(stage, "train") == 0) atomic_fetch_add(&t->steps, 1);
    return !atomic_load(&t->stop);
}

/* One after the other until told to stop. */
static void *train(void *context) {
    struct trainer *t = context;
    struct learn_report report;
    char path[PATH_SIZE];
    struct learn_config c = bench_voters_config(t->voters, MODEL_PATCHTST);
    c.threads = 1;
    snprintf(path, sizeof path, "%s/beside", t->voters->folder);
    if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
        t->st = err_errno(&t->err, ST_IO, "priority of the training");
    while (t->st == ST_OK && !atomic_load(&t->stop))
        t->st = learn_train(&report, path, t->voters->series, BENCH_VOTERS_TRAIN_SYMBOLS, &c,
                            note_step, t, &t->err);
    atomic_store(&t->ended, true);
    return NULL;
}

static enum status trainer_start(struct trainer *t, const struct bench_voters *v, struct err *err) {
    *t = (struct trainer){.voters = v};
    if (pthread_create(&t->thread, NULL, train, t) != 0)
        return err_set(err, ST_NO_MEMORY, "cannot start a thread");
    /* Candles are made rows first; what is to be measured is beside the steps. */
    const struct timespec pause = {.tv_nsec = PAUSE_MS * NS_PER_MS};
    while (atomic_load(&t->steps) == 0 && !atomic_load(&t->ended)) nanosleep(&pause, NULL);
    return ST_OK;
}

static enum status trainer_end(struct trainer *t, struct err *err) {
    atomic_store(&t->stop, true);
    pthread_join(t->thread, NULL);
    if (t->st == ST_OK || t->st == ST_INTERRUPTED) return ST_OK;
    return err_set(err, t->st, "training beside the session: %s", t->err.text);
}

/* ---- the session ---- */

static int64_t thread_cpu_ns(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static void count_votes(void *context, int64_t close_ns, const struct engine_decision *decisions,
                        const struct model_vote *votes, uint32_t count) {
    struct tally *t = context;
    (void)close_ns, (void)decisions;
    int64_t cpu_ns = thread_cpu_ns();
    if (t->closes > 0) t->ns[t->closes - 1] = (double)(cpu_ns - t->cpu_ns);
    t->cpu_ns = cpu_ns;
    t->closes++;
    t->answers += count;
    for (uint32_t j = 0; j < count; j++)
        for (uint32_t k = 0; k < MODEL_COUNT; k++) {
            uint32_t state = votes[(size_t)j * MODEL_COUNT + k].state;
            t->voting[k] += state == VOTE_PRESENT;
            t->warming += state == VOTE_WARMING;
        }
}

/* Whether it was the work that is meant: every voter answered at every close, none of them warming up. */
static enum status check(const struct session_result *r, const struct tally *t, uint32_t symbols,
                         uint64_t closes, struct err *err) {
    uint64_t rows = (uint64_t)symbols * closes;
    if (r->decision_steps != closes || t->answers != rows || r->predict_rows != MODEL_COUNT * rows)
        return err_set(err, ST_RANGE,
                       "%" PRIu64 " closes, %" PRIu64 " decisions, %" PRIu64 " votes",
                       r->decision_steps, t->answers, r->predict_rows);
    if (t->warming > 0)
        return err_set(err, ST_RANGE, "%" PRIu64 " votes of voters that warm up", t->warming);
    fprintf(stderr, "%" PRIu64 " decisions, %" PRIu64 " intents, %" PRIu64 " trades; votes:", rows,
            r->totals.intents, r->totals.trades);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        fprintf(stderr, " %s %.0f %% (%" PRId64 " ns a row)", model_kind_text((enum model_kind)k),
                100 * (double)t->voting[k] / (double)rows, r->predict_ns_p50[k]);
    fprintf(stderr, "; slowest close %.2f ms\n", (double)r->decision_ns_max * 1e-6);
    return ST_OK;
}

static enum status decide(struct session_result *r, double *cpu_ns, const struct bench_voters *v,
                          uint32_t symbols, uint32_t closes, struct err *err) {
    struct session_options o;
    struct tally tally = {.ns = cpu_ns};
    const struct session_observer observer = {count_votes, &tally};
    char run_dir[PATH_SIZE];
    enum status st = bench_voters_session(&o, run_dir, v, symbols, err);
    o.observer = &observer;
    o.step_limit = BENCH_VOTERS_TRAIN_BARS + closes;
    if (st == ST_OK) st = session_run(r, &o, err);
    feed_close(o.feed);
    return st == ST_OK ? check(r, &tally, symbols, closes, err) : st;
}

static void emit(const char *name, const char *qualifier, int64_t ns, uint64_t n) {
    char text[64];
    snprintf(text, sizeof text, "%s%s", name, qualifier);
    bench_emit(&(struct bench_figure){text, (double)ns, "ns", n, "", 0});
}

static enum status alone(const char *name, double *cpu_ns, const struct bench_voters *v,
                         uint32_t symbols, uint32_t closes, struct err *err) {
    struct session_result r;
    enum status st = decide(&r, cpu_ns, v, symbols, closes, err);
    if (st != ST_OK) return st;
    emit(name, "", r.decision_ns_p50, closes);
    emit(name, ".p99", r.decision_ns_p99, closes);
    bench_sort(cpu_ns, closes - 1);
    emit(name, ".cpu", (int64_t)cpu_ns[closes / 2], closes - 1);
    emit(name, ".cpu_p99", (int64_t)cpu_ns[(closes - 1) * 99 / 100], closes - 1);
    return ST_OK;
}

static enum status while_training(const char *name, double *cpu_ns, const struct bench_voters *v,
                                  uint32_t symbols, uint32_t closes, struct err *err) {
    struct session_result r;
    struct trainer t;
    enum status st = trainer_start(&t, v, err);
    if (st != ST_OK) return st;
    uint32_t steps = atomic_load(&t.steps);
    st = decide(&r, cpu_ns, v, symbols, closes, err);
    steps = atomic_load(&t.steps) - steps;
    enum status ended = trainer_end(&t, st == ST_OK ? err : NULL);
    if (st == ST_OK) st = ended;
    if (st == ST_OK && steps == 0)
        st = err_set(err, ST_RANGE, "nothing was trained beside the session");
    if (st != ST_OK) return st;
    fprintf(stderr, "beside it %" PRIu32 " steps of a training\n", steps);
    emit(name, ".retraining", r.decision_ns_p50, closes);
    emit(name, ".retraining_p99", r.decision_ns_p99, closes);
    return ST_OK;
}

static enum status bench(const char *name, uint32_t symbols, uint32_t closes, struct err *err) {
    struct bench_voters v;
    double *cpu_ns = calloc(closes, sizeof *cpu_ns);
    if (!cpu_ns) return err_set(err, ST_NO_MEMORY, "times");
    enum status st = bench_voters_make(&v, err);
    if (st == ST_OK) st = alone(name, cpu_ns, &v, symbols, closes, err);
    if (st == ST_OK) st = while_training(name, cpu_ns, &v, symbols, closes, err);
    bench_voters_free(&v);
    free(cpu_ns);
    return st;
}

enum status bench_decision_1(struct err *err) {
    return bench("decision_1", 1, CLOSES_1, err);
}

enum status bench_decision_100(struct err *err) {
    return bench("decision_100", 100, CLOSES_100, err);
}
