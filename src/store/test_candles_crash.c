/* A writer that dies at every byte it writes, and at every sync and rename: the old end or the new
 * one is seen, whole and verified, and the next merge goes on from there.
 *
 * This program's own pwrite, fdatasync and rename stand in for libc's. A child process merges with a
 * budget: a byte written costs one, so does a sync or a rename; with the budget spent it is gone. */
#include "store/test_store.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "store/candles_format.h"

static char dir[SCRATCH_SIZE];
static long budget = -1; /* -1: no limit */
static char trace[256];  /* 'd' data, 's' header slot, 'y' sync, 'r' rename, in order */
static size_t trace_size;

static void note(char what) {
    if (trace_size + 1 < sizeof trace) trace[trace_size++] = what;
    trace[trace_size] = '\0';
}

static void spend_one(void) {
    if (budget == 0) _exit(0);
    if (budget > 0) budget--;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    if (budget == 0) _exit(0);
    size_t n = budget > 0 && (long)size > budget ? (size_t)budget : size;
    note(offset < CANDLES_TABLE_OFFSET ? 's' : 'd');
    ssize_t written = syscall(SYS_pwrite64, fd, data, n, offset);
    if (budget > 0) budget -= (long)n;
    if (n < size) _exit(0);
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
    return 0;
}

int rename(const char *from, const char *to) {
    spend_one();
    note('r');
    return (int)syscall(SYS_rename, from, to);
}

static enum status merge(uint64_t first, size_t count) {
    struct candles_merge m;
    struct bar *bars = malloc(count * sizeof *bars);
    test_bars(bars, first, count);
    enum status st = candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, count, NULL);
    free(bars);
    return st;
}

/* True if the child finished; false if it died on the way. */
static bool merge_in_child(uint64_t first, size_t count, long limit) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        budget = limit;
        _exit(merge(first, count) == ST_OK ? 42 : 43);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 43);
    return WEXITSTATUS(status) == 42;
}

static size_t count_verified(uint64_t first) {
    struct candles c;
    struct err err;
    enum status st = candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err);
    if (st == ST_NOT_FOUND) return 0;
    if (st != ST_OK) print_error("%s\n", err.text);
    assert_int_equal(st, ST_OK);
    assert_int_equal(candles_verify(&c, &err), ST_OK);
    size_t n = c.count;
    assert_bars(&c, first, n);
    candles_close(&c);
    return n;
}

static void start_over(void) {
    scratch_remove(dir);
    assert_int_equal(mkdir(dir, 0700), 0);
}

/* Dies after every `step`-th unit of an append of `added` bars to `before`. */
static void crash_appends(size_t before, size_t added, long step) {
    long limit = 0;
    size_t died = 0;
    for (bool done = false; !done; limit += step) {
        start_over();
        assert_int_equal(merge(0, before), ST_OK);
        done = merge_in_child(before, added, limit);
        size_t seen = count_verified(0);
        if (done) {
            assert_int_equal(seen, before + added);
        } else {
            died++;
            /* The new end may be seen from the last byte of its slot on. */
            assert_true(seen == before || seen == before + added);
        }
        /* And life goes on. */
        assert_int_equal(merge(before, added + 3), ST_OK);
        assert_int_equal(count_verified(0), before + added + 3);
    }
    assert_true(died >= (size_t)(added * 64) / (size_t)step);
}

static void append_of_a_few_bars(void **state) {
    (void)state;
    crash_appends(7, 2, 1); /* every byte */
}

static void append_over_a_block_edge(void **state) {
    (void)state;
    crash_appends(1020, 8, 5);
    crash_appends(2048, 1, 3);
}

/* First write and rewrite go beside the file and are renamed. */
static void rewrite_leaves_old_or_new(void **state) {
    (void)state;
    long limit = 0;
    for (bool done = false; !done; limit += 97) {
        start_over();
        assert_int_equal(merge(50, 20), ST_OK);
        done = merge_in_child(40, 30, limit); /* ten bars before the start */
        size_t seen = count_verified(done ? 40 : 50);
        assert_int_equal(seen, done ? 30 : 20);
        assert_int_equal(merge(40, 31), ST_OK);
        assert_int_equal(count_verified(40), 31);
    }
}

static void first_write_is_there_or_not(void **state) {
    (void)state;
    long limit = 0;
    for (bool done = false; !done; limit += 97) {
        start_over();
        done = merge_in_child(0, 20, limit);
        assert_int_equal(count_verified(0), done ? 20 : 0);
        assert_int_equal(merge(0, 20), ST_OK);
        assert_int_equal(count_verified(0), 20);
    }
}

/* What a power cut needs and a killed process cannot show: data are synced before the slot that
 * speaks of them is written, and a new file before its name. */
static void syncs_are_where_they_must_be(void **state) {
    (void)state;
    start_over();
    trace_size = 0;
    assert_int_equal(merge(0, 1020), ST_OK);
    assert_string_equal(trace, "sddyr");
    trace_size = 0;
    assert_int_equal(merge(1020, 8), ST_OK);
    assert_string_equal(trace, "ddysy");
    trace_size = 0;
    assert_int_equal(merge(1028, 1), ST_OK);
    assert_string_equal(trace, "dysy");
}

int main(void) {
    scratch_make(dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_of_a_few_bars),
        cmocka_unit_test(append_over_a_block_edge),
        cmocka_unit_test(rewrite_leaves_old_or_new),
        cmocka_unit_test(first_write_is_there_or_not),
        cmocka_unit_test(syncs_are_where_they_must_be),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(dir);
    return failed;
}
