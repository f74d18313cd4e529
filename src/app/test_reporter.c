/* Reports nobody asks for: once each, whole, over kills at every file operation and over restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/page.h"
#include "app/report_page.h"
#include "app/reporter.h"
#include "base/log.h"
#include "base/tstamp.h"

enum { TRADES = 130, PATH = 256, PAGE = 64 * 1024 };
static const int64_t START = INT64_C(1730073600000000000);

/* ---- a process that dies before its n-th operation on a file ---- */

static int die_at = -1; /* operations left; -1 never */

static void operation(void) {
    if (die_at == 0) _exit(9);
    if (die_at > 0) die_at--;
}

int fdatasync(int fd) {
    operation();
    return fd < 0;
}

int rename(const char *from, const char *to) {
    operation();
    long failed = syscall(SYS_renameat2, -100, from, -100, to, 0); /* AT_FDCWD */
    operation();
    return failed ? -1 : 0;
}

/* ---- a run's folder ---- */

static char dir[64];
static struct err err;

static void ok(enum status st) {
    if (st != ST_OK) fail_msg("%s", err.text);
}

static money_t usdt(double x) {
    return money_e8(fx_from_f64(x));
}

static void put_trades(struct tradedb *db, uint64_t from, uint64_t to) {
    for (uint64_t id = from; id <= to; id++) {
        struct trade_closed t = {.trade_id = id,
                                 .intent_id = id,
                                 .symbol = "BTCUSDT",
                                 .side = SIDE_BUY,
                                 .exit_reason = EXIT_STOP,
                                 .strategy = STRATEGY_MOMENTUM,
                                 .leverage = 3,
                                 .arm = ARM_NONE,
                                 .time_to_protected_ns = NS_PER_MS,
                                 .drawdown_max = (double)NAN};
        t.entry_ts_ns = START + (int64_t)id * NS_PER_HOUR;
        t.exit_ts_ns = t.entry_ts_ns + NS_PER_MINUTE;
        t.realized_pnl = t.net_pnl = usdt(id % 3 == 0 ? 4 : -1);
        t.risk = usdt(1);
        ok(tradedb_trade_put(db, &t, &err));
    }
}

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/reporter-test-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    char path[PATH];
    struct tradedb *db;
    static struct report r = {.mode = "paper", .strategy = "momentum", .synthetic = true};
    snprintf(path, sizeof path, "%s/trades.sqlite", dir);
    ok(tradedb_open(&db, path, false, &err));
    ok(tradedb_begin(db, &err));
    ok(tradedb_equity_put(db, START, usdt(1000), usdt(1000), usdt(0), &err));
    put_trades(db, 1, TRADES);
    ok(report_save(&r, db, &err));
    ok(tradedb_commit(db, &err));
    tradedb_close(db);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[PATH];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static void page_path(char out[PATH], const char *kind, uint64_t trades) {
    ok(reporter_path(out, PATH, dir, kind, trades, &err));
}

static bool page_read(char out[PAGE], const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(out, 1, PAGE - 1, f);
    out[n] = '\0';
    fclose(f);
    return true;
}

/* Of the files that are reports by their names; what was begun beside them is none. */
static uint32_t whole_pages(void) {
    char folder[PATH], path[2 * PATH];
    static char text[PAGE];
    uint32_t count = 0;
    snprintf(folder, sizeof folder, "%s/reports", dir);
    DIR *d = opendir(folder);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".html") != 0) continue;
        snprintf(path, sizeof path, "%s/%.200s", folder, e->d_name);
        assert_true(page_read(text, path));
        size_t n = strlen(text);
        if (n < 8 || strcmp(text + n - 8, "</html>\n") != 0) fail_msg("%s is a half page", path);
        count++;
    }
    closedir(d);
    return count;
}

static enum status write_status(void *context, const char *path, struct err *e) {
    struct page p;
    uint32_t *calls = context;
    ++*calls;
    page_begin(&p, PAGE_HTML, "Status");
    return page_save(&p, path, e);
}

static struct reporter *begin(uint32_t *calls) {
    struct reporter *r = NULL;
    const struct reporter_options o = {
        .run_dir = dir, .write_status = write_status, .context = calls};
    ok(reporter_start(&r, &o, &err));
    return r;
}

static void commit(struct reporter *r, uint64_t trades) {
    reporter_session(r)->committed(reporter_session(r)->context, trades);
}

/* ---- tests ---- */

static void every_fiftieth_trade_brings_a_pair(void **state) {
    (void)state;
    uint32_t calls = 0;
    static char text[PAGE];
    char path[PATH];
    struct reporter *r = begin(&calls);
    commit(r, 49);
    commit(r, 49);
    reporter_stop(r);
    assert_int_equal(whole_pages(), 0);
    r = begin(&calls);
    commit(r, TRADES); /* two are due at once */
    reporter_stop(r);
    assert_int_equal(calls, 2);
    assert_int_equal(whole_pages(), 4);
    /* Its own sample: 16 of the first 50 won, 33 of the first 100. */
    page_path(path, "trades", 50);
    assert_true(page_read(text, path));
    assert_non_null(strstr(text, "50, of which 16 won"));
    assert_non_null(strstr(text, "32.0000 %"));
    assert_non_null(strstr(text, "20.7582 to 45.8103 %")); /* Wilson, 16 of 50, by its formula */
    assert_non_null(strstr(text, "SYNTHETIC"));
    page_path(path, "trades", 100);
    assert_true(page_read(text, path));
    assert_non_null(strstr(text, "100, of which 33 won"));
}

static void a_restart_writes_nothing_twice_and_tells_the_newest_again(void **state) {
    (void)state;
    uint32_t calls = 0;
    char path[PATH];
    struct stat before, after;
    struct report_written w;
    struct reporter *r = begin(&calls);
    const struct session_reports *s = reporter_session(r);
    commit(r, TRADES);
    uint64_t last = 0;
    while (last != 100)
        if (s->written(s->context, &w))
            last = w.trades;
        else
            sched_yield();
    assert_false(s->written(s->context, &w)); /* told once */
    reporter_stop(r);
    page_path(path, "trades", 100);
    assert_int_equal(stat(path, &before), 0);
    r = begin(&calls);
    s = reporter_session(r);
    while (!s->written(s->context, &w)) sched_yield();
    assert_int_equal(w.trades, 100);
    assert_string_equal(w.file, "trades-000100.html");
    assert_true(fabs(w.win_rate - 0.33) < 1e-12 && w.win_rate_low < 0.33 && w.win_rate_high > 0.33);
    assert_true(fabs(w.expectancy - 0.65) < 1e-12);
    commit(r, TRADES);
    reporter_stop(r);
    assert_int_equal(calls, 2);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino);
}

/* Killed before each operation in turn: what is there is whole, and the next process makes up for the rest. */
static void a_kill_leaves_no_half_file_and_loses_none(void **state) {
    (void)state;
    int deaths = 0, n = 0;
    for (bool lived = false; !lived; n++) {
        char command[PATH];
        snprintf(command, sizeof command, "rm -rf %s/reports", dir);
        assert_int_equal(system(command), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            uint32_t calls = 0;
            die_at = n;
            struct reporter *r = begin(&calls);
            commit(r, TRADES);
            reporter_stop(r);
            _exit(0);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        lived = WEXITSTATUS(how) == 0;
        deaths += WEXITSTATUS(how) == 9;
        uint32_t left = whole_pages(), calls = 0;
        assert_true(lived ? left == 4 : left <= 4);
        struct reporter *r = begin(&calls);
        commit(r, TRADES);
        reporter_stop(r);
        assert_int_equal(whole_pages(), 4);
        assert_true(calls <= 2);
    }
    assert_int_equal(deaths, n - 1);
    assert_true(deaths >= 12); /* four files: synced, before and behind the rename */
}

static enum status refuse(void *context, const char *path, struct err *e) {
    ++*(uint32_t *)context;
    return err_set(e, ST_IO, "%s: no room", path);
}

static void what_cannot_be_written_is_left_to_later(void **state) {
    (void)state;
    uint32_t calls = 0;
    struct reporter *r = NULL;
    const struct reporter_options o = {.run_dir = dir, .write_status = refuse, .context = &calls};
    ok(reporter_start(&r, &o, &err));
    commit(r, TRADES);
    reporter_stop(r);
    assert_int_equal(calls, 1); /* it ends, however often it could try again */
    assert_int_equal(whole_pages(), 0);
    calls = 0;
    r = begin(&calls);
    commit(r, TRADES);
    reporter_stop(r);
    assert_int_equal(whole_pages(), 4);
}

/* ---- pages ---- */

static void pages_escape_what_is_theirs(void **state) {
    (void)state;
    static char text[PAGE];
    char path[PATH];
    for (int format = PAGE_HTML; format <= PAGE_MARKDOWN; format++) {
        struct page p;
        page_begin(&p, (enum page_format)format, "A <title> | & co");
        page_table(&p, 2, "a", "b");
        page_row(&p, 2, "x|y", "<script>");
        page_table_end(&p);
        page_lines(&p, "1 < 2\n");
        snprintf(path, sizeof path, "%s/page", dir);
        ok(page_save(&p, path, &err));
        assert_true(page_read(text, path));
        if (format == PAGE_HTML) {
            assert_non_null(strstr(text, "<td>&lt;script&gt;</td>"));
        } else {
            assert_non_null(strstr(text, "| x\\|y | \\<script> |"));
        }
    }
    enum page_format format;
    ok(page_format_of(&format, "a/b.md", &err));
    assert_int_equal(format, PAGE_MARKDOWN);
    assert_int_equal(page_format_of(&format, "a/b.txt", &err), ST_INVALID);
    assert_int_equal(page_format_of(&format, "html", &err), ST_INVALID);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_fiftieth_trade_brings_a_pair),
        TEST(a_restart_writes_nothing_twice_and_tells_the_newest_again),
        TEST(a_kill_leaves_no_half_file_and_loses_none),
        TEST(what_cannot_be_written_is_left_to_later),
        TEST(pages_escape_what_is_theirs),
    };
    log_stderr_set(getenv("TEST_LOG") != NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
