/* A process that dies at every call that changes a file, SQLite's included: a reader meanwhile, and whoever opens the
 * registry next, finds the old state or the new one, whole; no file that was served is lost.
 *
 * This program's own versions of those calls stand in for libc's. A child makes one change with a budget of calls; with
 * the budget spent it is gone, the last write half done. */
#include <sys/syscall.h>

#include "registry/test_registry_fixture.h"

static long budget = -1; /* -1: no limit */

/* Calls of the one that records: 'w' a write, 'y' a sync, 'r' a rename, 'u' an unlink. */
static char trace[256];
static size_t trace_size;
static bool tracing;

static void note(char what) {
    if (!tracing || trace_size + 1 >= sizeof trace) return;
    if (trace_size > 0 && trace[trace_size - 1] == what) return; /* several in a row are one */
    trace[trace_size++] = what;
    trace[trace_size] = '\0';
}

static void spend_one(void) {
    if (budget == 0) _exit(0);
    if (budget > 0) budget--;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    size_t n = budget == 0 ? size / 2 : size;
    ssize_t written = syscall(SYS_pwrite64, fd, data, n, offset);
    note('w');
    spend_one();
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return pwrite(fd, data, size, offset);
}

ssize_t write(int fd, const void *data, size_t size) {
    if (fd <= 2) return syscall(SYS_write, fd, data, size);
    size_t n = budget == 0 ? size / 2 : size;
    ssize_t written = syscall(SYS_write, fd, data, n);
    note('w');
    spend_one();
    return written;
}

/* A process that dies loses nothing it wrote, so nothing need really reach a disk here. */
int fdatasync(int fd) {
    (void)fd;
    spend_one();
    note('y');
    return 0;
}

int fsync(int fd) {
    (void)fd;
    spend_one();
    note('y');
    return 0;
}

int rename(const char *from, const char *to) {
    spend_one();
    note('r');
    return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path) {
    spend_one();
    note('u');
    return (int)syscall(SYS_unlink, path);
}

int ftruncate(int fd, off_t size) {
    spend_one();
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size) {
    return ftruncate(fd, size);
}

int mkdir(const char *path, mode_t mode) {
    spend_one();
    return (int)syscall(SYS_mkdir, path, mode);
}

/* ---- one change at a time ---- */

enum { MODELS = 4 };
static struct registry_entry models[MODELS];

/* #1 retired, #2 serving after it, #3 accepted, #4 rejected. */
static void prepare(void) {
    scratch_empty();
    reopen(false);
    for (uint64_t i = 0; i < MODELS; i++) models[i] = add(MODEL_XGBOOST, i);
    assert_ok(promote(1, PROMOTION_INSTALL));
    assert_ok(promote(2, PROMOTION_INSTALL));
    assert_ok(event(3, PROMOTION_SHADOW_BEGIN));
    assert_ok(event(3, PROMOTION_ACCEPT));
    assert_ok(event(4, PROMOTION_REJECT));
    registry_close(reg);
    reg = NULL;
}

static enum status change_promote(void) {
    return promote(3, PROMOTION_PROMOTE);
}

static enum status change_roll_back(void) {
    struct registry_entry out;
    struct registry_change change = change_make("by hand");
    return registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_ROLL_BACK, &change, &err);
}

static enum status change_add(void) {
    struct registry_entry out;
    return add_text(&out, MODEL_XGBOOST, "a new model", 0);
}

static enum status change_remove(void) {
    struct registry_change change = change_make("tidy");
    return registry_remove(reg, 4, &change, &err);
}

static enum status change_reject(void) {
    return event(3, PROMOTION_REJECT);
}

/* True if the child finished; false if it died on the way. */
static bool change_in_child(enum status (*change)(void), long limit) {
    int status;
    file_write(in_scratch("new.model"), "a new model", 11); /* not the registry's */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (registry_open(&reg, in_scratch("models"), false, &err) != ST_OK) _exit(43);
        budget = limit;
        enum status st = change();
        if (st == ST_OK) registry_close(reg); /* the checkpoint at closing is part of it */
        budget = -1;
        _exit(st == ST_OK ? 42 : 44);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 42)
        print_error("limit %ld: status %x\n", limit, status);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
    return WEXITSTATUS(status) == 42;
}

struct found {
    size_t others;
};

/* An object without a row may be left of an add, whole or half. */
static void tolerate_objects(void *context, const char *text) {
    struct found *found = context;
    if (strstr(text, "no model has this file")) return;
    print_error("problem: %s\n", text);
    found->others++;
}

static void all_that_was_served_verifies(void) {
    for (int64_t id = 1; id <= MODELS; id++)
        if (get(id).served_ns != 0) {
            struct registry_entry entry = get(id);
            assert_ok(registry_verify(reg, &entry, &err));
        }
}

/* Dies after every number of calls there is; returns how many deaths that were. */
static size_t die_everywhere(enum status (*change)(void), int64_t seat_before, int64_t seat_after) {
    size_t died = 0, after = 0;
    for (long limit = 0;; limit++) {
        prepare();
        bool done = change_in_child(change, limit);
        uint64_t seen = pointed(MODEL_XGBOOST); /* by a reader, before anything is repaired */
        assert_true(seen == models[seat_before - 1].hash || seen == models[seat_after - 1].hash);
        reopen(false);
        int64_t seat = served(MODEL_XGBOOST);
        assert_true(seat == seat_before || seat == seat_after);
        if (done) assert_int_equal(seat, seat_after);
        assert_int_equal(pointed(MODEL_XGBOOST), models[seat - 1].hash);
        struct found found = {0};
        problems(tolerate_objects, &found);
        assert_int_equal(found.others, 0);
        int64_t rows;
        assert_ok(registry_generation(reg, &rows, &err));
        assert_int_equal(log_lines(), rows);
        all_that_was_served_verifies();
        if (done) break;
        died++;
        after += seat_before != seat_after && seat == seat_after;
        /* And life goes on. */
        if (seat == seat_before) {
            enum status st = change();
            assert_true(st == ST_OK || st == ST_EXISTS || st == ST_REFUSED);
        }
        assert_int_equal(served(MODEL_XGBOOST), seat_after);
        problems(tolerate_objects, &found);
        assert_int_equal(found.others, 0);
        assert_int_equal(problems(NULL, NULL), 0); /* what was left has been taken up */
    }
    print_message("died at %zu calls, %zu of them behind the commit\n", died, after);
    assert_true(died >= 6);
    if (seat_before != seat_after) assert_true(after >= 2 && after < died);
    return died;
}

static void dying_while_promoting(void **state) {
    (void)state;
    die_everywhere(change_promote, 2, 3);
}

static void dying_while_rolling_back(void **state) {
    (void)state;
    die_everywhere(change_roll_back, 2, 1);
}

static void dying_while_adding(void **state) {
    (void)state;
    die_everywhere(change_add, 2, 2);
}

static void dying_while_removing(void **state) {
    (void)state;
    die_everywhere(change_remove, 2, 2);
}

static void dying_while_rejecting(void **state) {
    (void)state;
    die_everywhere(change_reject, 2, 2);
}

/* The very first opening: folders, schema. */
static void dying_while_creating(void **state) {
    (void)state;
    bool done = false;
    for (long limit = 0; !done; limit++) {
        int status;
        scratch_empty();
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            budget = limit;
            enum status st = registry_open(&reg, in_scratch("models"), false, &err);
            budget = -1;
            _exit(st == ST_OK ? 42 : 43);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 43);
        done = WEXITSTATUS(status) == 42;
        reopen(false);
        assert_int_equal(add(MODEL_XGBOOST, 1).id, 1);
        assert_int_equal(problems(tell, NULL), 0);
    }
}

/* What a power cut needs and a killed process cannot show: the log of the database is synced before the pointer is
 * written, the pointer before its name and the name before the line that says all is done; an object before its row,
 * and a row before an object goes. */
static void syncs_are_where_they_must_be(void **state) {
    (void)state;
    prepare();
    reopen(false);
    add(MODEL_LIGHTGBM, 1); /* the write-ahead log has its head */
    tracing = true;
    assert_ok(change_promote());
    assert_string_equal(trace, "wy" /* database */ "wyry" /* pointer, folder */ "wy" /* line */);
    tracing = false;
    file_write(in_scratch("new.model"), "a new model", 11);
    trace_size = 0;
    tracing = true;
    assert_ok(change_add());
    tracing = false;
    /* In front the file handed in, which is the test's. */
    assert_string_equal(strchr(trace, 'y') - 1, "wyry" /* object */ "wy" /* row */ "wy");
    trace_size = 0;
    tracing = true;
    assert_ok(change_remove());
    tracing = false;
    assert_string_equal(trace, "wy" /* row */ "u"
                               "wy" /* line */);
}

int main(void) {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(dying_while_promoting),        IN_SCRATCH(dying_while_rolling_back),
        IN_SCRATCH(dying_while_adding),           IN_SCRATCH(dying_while_removing),
        IN_SCRATCH(dying_while_rejecting),        IN_SCRATCH(dying_while_creating),
        IN_SCRATCH(syncs_are_where_they_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
