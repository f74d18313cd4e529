/* What the tests of whole runs share: a made-up market in a store, runs over it, what came of them. */
#ifndef BACKTEST_TEST_RUN_H
#define BACKTEST_TEST_RUN_H

#include "backtest/test_tape.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "backtest/session.h"

static char root[TAPE_PATH_SIZE], store[TAPE_PATH_SIZE + 16], model_path[TAPE_PATH_SIZE + 16];
static uint32_t dirs_made;

static inline int setup_group(void **state) {
    (void)state;
    tape_folder(root);
    snprintf(store, sizeof store, "%s/store", root);
    snprintf(model_path, sizeof model_path, "%s/model.json", root);
    tape_write(store, 5);
    return 0;
}

static inline int teardown_group(void **state) {
    (void)state;
    tape_remove(root);
    return 0;
}

static inline const char *new_dir(char out[TAPE_PATH_SIZE + 32]) {
    snprintf(out, TAPE_PATH_SIZE + 32, "%s/run-%u", root, dirs_made++);
    return out;
}

static inline struct feed *open_tape(void) {
    struct feed_tape_options o = tape_options(store);
    struct feed *feed = NULL;
    struct err err = {0};
    tape_ok(feed_open_tape(&feed, &o, &err), &err);
    return feed;
}

static inline struct session_result run(const struct session_options *o) {
    struct session_result result;
    struct err err = {0};
    tape_ok(session_run(&result, o, &err), &err);
    return result;
}

/* What a run came to, in one text: the journal of trades as the report tells it, and its own hash. */
static inline char *outcome(const char *run_dir) {
    char path[TAPE_PATH_SIZE + 64], *text = NULL;
    size_t size = 0;
    struct err err = {0};
    struct tradedb *db = NULL;
    struct report r;
    uint64_t hash;
    snprintf(path, sizeof path, "%s/trades.sqlite", run_dir);
    tape_ok(tradedb_open(&db, path, true, &err), &err);
    tape_ok(report_load(&r, db, &err), &err);
    tape_ok(report_from_db(&r, db, &err), &err);
    tape_ok(report_trades_hash(&hash, db, &err), &err);
    tradedb_close(db);
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    report_print_json(f, &r);
    fprintf(f, "trades %016" PRIx64 "\n", hash);
    fclose(f);
    return text;
}

static inline void assert_same_run(const struct session_result *a, const struct session_result *b) {
    assert_true(a->complete && b->complete);
    assert_int_equal(a->steps, b->steps);
    assert_int_equal(a->totals.trades, b->totals.trades);
    assert_int_equal(a->trade_hash, b->trade_hash);
    assert_int_equal(a->fingerprint, b->fingerprint);
    assert_int_equal(a->state_hash, b->state_hash);
}

/* A child that runs the session and dies by its own alarm clock after so many ns. */
static inline bool killed_child(const struct session_options *o, int64_t after_ns) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
        struct itimerspec when = {.it_value = {after_ns / NS_PER_SECOND, after_ns % NS_PER_SECOND}};
        struct session_result result;
        struct err err = {0};
        timer_t timer;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
            timer_settime(timer, 0, &when, NULL) != 0)
            _exit(3);
        enum status st = session_run(&result, o, &err);
        if (st != ST_OK) fprintf(stderr, "%s: %s\n", status_name(st), err.text);
        _exit(st == ST_OK ? 0 : 2);
    }
    int how = 0;
    while (waitpid(pid, &how, 0) < 0) assert_int_equal(errno, EINTR);
    if (WIFSIGNALED(how)) {
        assert_int_equal(WTERMSIG(how), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(how), 0);
    return false;
}

static inline struct session_result verify(const struct session_options *options, const char *dir,
                                           enum status expected, struct err *err) {
    struct session_options o = *options;
    struct session_result result;
    o.run_dir = dir;
    o.verify = true;
    o.step_limit = 0;
    memset(err, 0, sizeof *err);
    enum status st = session_run(&result, &o, err);
    if (st != expected)
        fail_msg("%s, not %s: %s", status_name(st), status_name(expected), err->text);
    return result;
}

/* Of the market's first 3000 bars. */
static inline void train_model(enum model_kind kind, const char *path) {
    struct instrument instruments[TAPE_SYMBOLS];
    struct learn_series series[TAPE_SYMBOLS];
    struct learn_report report;
    struct err err = {0};
    struct bar *bars = tape_bars(5, instruments);
    for (size_t i = 0; i < TAPE_SYMBOLS; i++)
        series[i] = (struct learn_series){
            .symbol = instruments[i].symbol, .bars = bars + i * TAPE_BARS, .count = TAPE_BARS};
    struct learn_config config = learn_config_defaults();
    config.kind = kind;
    if (kind == MODEL_NHITS || kind == MODEL_PATCHTST) { /* how well it knows is not asked here */
        config.rows_max = 2500;
        config.epochs = 1;
    }
    config.interval_ns = NS_PER_MINUTE;
    config.from_ns = TAPE_START_NS;
    config.to_ns = TAPE_START_NS + 3000 * NS_PER_MINUTE;
    tape_ok(learn_train(&report, path, series, TAPE_SYMBOLS, &config, NULL, NULL, &err), &err);
    print_message("%s\n", report.verdict);
    free(bars);
}

#endif
