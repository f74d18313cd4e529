#include "app/reporter.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/report_page.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "store/fs.h"

enum { AGAIN_SECONDS = 60 };

struct reporter {
    char run_dir[STORE_PATH_SIZE];
    enum status (*write_status)(void *context, const char *path, struct err *err);
    void *context;
    struct session_reports session;
    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows, held for no longer than it takes to copy */
    pthread_cond_t wake;
    uint64_t trades; /* closed and committed */
    bool stop, has_news;
    struct report_written news;
    uint64_t done; /* the thread's: reports written, from the first on */
};

enum status reporter_path(char *out, size_t size, const char *run_dir, const char *kind,
                          uint64_t trades, struct err *err) {
    int n = snprintf(out, size, "%s/reports/%s-%06" PRIu64 ".html", run_dir, kind, trades);
    return n > 0 && (size_t)n < size ? ST_OK : err_set(err, ST_RANGE, "%s: too long", run_dir);
}

/* ---- the session's side ---- */

static void committed(void *context, uint64_t trades) {
    struct reporter *r = context;
    pthread_mutex_lock(&r->mutex);
    bool is_due = trades / REPORTER_EVERY > r->trades / REPORTER_EVERY;
    if (trades > r->trades) r->trades = trades;
    if (is_due) pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
}

static bool written(void *context, struct report_written *out) {
    struct reporter *r = context;
    pthread_mutex_lock(&r->mutex);
    bool is_new = r->has_news;
    if (is_new) *out = r->news;
    r->has_news = false;
    pthread_mutex_unlock(&r->mutex);
    return is_new;
}

/* ---- the thread ---- */

static void tell(struct reporter *r, const struct report *p, const char *path) {
    struct report_written w = {.trades = p->trades,
                               .win_rate = p->win_rate,
                               .win_rate_low = p->win_rate_low,
                               .win_rate_high = p->win_rate_high,
                               .expectancy = p->expectancy,
                               .expectancy_low = p->expectancy_low,
                               .expectancy_high = p->expectancy_high};
    snprintf(w.file, sizeof w.file, "%s", strrchr(path, '/') + 1);
    pthread_mutex_lock(&r->mutex);
    r->news = w;
    r->has_news = true;
    pthread_mutex_unlock(&r->mutex);
}

/* The report of that many trades, and the two files; told once they are there. */
static enum status write_pair(struct reporter *r, uint64_t trades, struct err *err) {
    static _Thread_local struct report report;
    char path[STORE_PATH_SIZE], status_path[STORE_PATH_SIZE];
    enum status st = reporter_path(path, sizeof path, r->run_dir, "trades", trades, err);
    if (st == ST_OK)
        st = reporter_path(status_path, sizeof status_path, r->run_dir, "status", trades, err);
    if (st == ST_OK) st = report_page_load(&report, r->run_dir, trades, err);
    if (st == ST_OK && report.trades != trades)
        st = err_set(err, ST_CORRUPT, "%s: %" PRIu64 " trades are in the journal, not %" PRIu64,
                     r->run_dir, report.trades, trades);
    if (st == ST_OK && r->write_status) st = r->write_status(r->context, status_path, err);
    if (st == ST_OK) st = report_page_save(path, &report, tstamp_wall_ns() / NS_PER_MS, err);
    if (st != ST_OK) return st;
    log_info("report", "written",
             "trades=%" PRIu64 " win_rate=%.4f low=%.4f high=%.4f expectancy=%.4f file=%s", trades,
             report.win_rate, report.win_rate_low, report.win_rate_high, report.expectancy, path);
    tell(r, &report, path);
    return ST_OK;
}

/* What an earlier process wrote; the newest of it is told again. */
static void look_back(struct reporter *r) {
    static _Thread_local struct report report;
    char path[STORE_PATH_SIZE];
    struct err err = {0};
    for (;; r->done++) {
        uint64_t next = (r->done + 1) * REPORTER_EVERY;
        if (reporter_path(path, sizeof path, r->run_dir, "trades", next, &err) != ST_OK ||
            access(path, F_OK) != 0)
            break;
    }
    if (r->done == 0) return;
    uint64_t trades = r->done * REPORTER_EVERY;
    if (reporter_path(path, sizeof path, r->run_dir, "trades", trades, &err) == ST_OK &&
        report_page_load(&report, r->run_dir, trades, &err) == ST_OK)
        tell(r, &report, path);
    else
        log_warn("report", "an earlier report cannot be told again", "error=\"%s\"", err.text);
}

/* Waits for the next that is due, or, after a failure, a minute; 0: it is time to end. */
static uint64_t due_wait(struct reporter *r, bool failed) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AGAIN_SECONDS;
    pthread_mutex_lock(&r->mutex);
    while (failed && !r->stop && pthread_cond_timedwait(&r->wake, &r->mutex, &until) == 0) continue;
    while (!r->stop && r->trades / REPORTER_EVERY <= r->done)
        pthread_cond_wait(&r->wake, &r->mutex);
    bool is_due = r->trades / REPORTER_EVERY > r->done && !(failed && r->stop);
    pthread_mutex_unlock(&r->mutex);
    return is_due ? (r->done + 1) * REPORTER_EVERY : 0;
}

static void *run(void *context) {
    struct reporter *r = context;
    bool failed = false;
    uint64_t trades;
    look_back(r);
    while ((trades = due_wait(r, failed)) > 0) {
        struct err err = {0};
        failed = write_pair(r, trades, &err) != ST_OK;
        if (failed)
            log_error("report", "not written", "trades=%" PRIu64 " error=\"%s\"", trades, err.text);
        else
            r->done++;
    }
    return NULL;
}

/* ---- its life ---- */

enum status reporter_start(struct reporter **out, const struct reporter_options *o,
                           struct err *err) {
    char dir[STORE_PATH_SIZE];
    struct reporter *r = calloc(1, sizeof *r);
    if (!r) return err_set(err, ST_NO_MEMORY, "reports: out of memory");
    r->write_status = o->write_status;
    r->context = o->context;
    r->session = (struct session_reports){r, committed, written};
    enum status st = fs_path(r->run_dir, err, "%s", o->run_dir);
    if (st == ST_OK) st = fs_path(dir, err, "%s/reports", o->run_dir);
    if (st == ST_OK) st = fs_make_dirs(dir, err);
    if (st == ST_OK && pthread_mutex_init(&r->mutex, NULL) != 0)
        st = err_set(err, ST_NO_MEMORY, "reports: out of memory");
    if (st != ST_OK) {
        free(r);
        return st;
    }
    if (pthread_cond_init(&r->wake, NULL) != 0) {
        pthread_mutex_destroy(&r->mutex);
        free(r);
        return err_set(err, ST_NO_MEMORY, "reports: out of memory");
    }
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        pthread_cond_destroy(&r->wake);
        pthread_mutex_destroy(&r->mutex);
        free(r);
        return err_set(err, ST_NO_MEMORY, "cannot start the thread of reports");
    }
    *out = r;
    return ST_OK;
}

const struct session_reports *reporter_session(struct reporter *r) {
    return &r->session;
}

void reporter_stop(struct reporter *r) {
    if (!r) return;
    pthread_mutex_lock(&r->mutex);
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}
