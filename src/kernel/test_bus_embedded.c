/* The embedded bus: the conformance suite, and what only it has: its own journal. */
#include "kernel/bus_conformance.h"

#include "kernel/journal.h"

static char dir[256];

static int conformance_reset(void **state) {
    (void)state;
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static int suite_make(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/bus-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(conformance_url, sizeof conformance_url, "embedded:%s", dir);
    return 0;
}

static void one_owner(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o), *second;
    assert_int_equal(bus_open(&second, &o, NULL), ST_EXISTS);
    bus_close(b);
}

/* Nothing flushed, killed at once: entries, place and attempts are all there afterwards. */
static void killed_without_flush(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    pid_t pid = fork();
    if (pid == 0) {
        struct bus *b;
        struct bus_entry e;
        if (bus_open(&b, &o, NULL) != ST_OK || bus_group(b, TYPE, "executor", NULL) != ST_OK)
            _exit(1);
        for (uint32_t n = 1; n <= 2000; n++) {
            make_entry(&e, n);
            if (bus_publish(b, &e, NULL) != ST_OK) _exit(2);
        }
        for (uint32_t n = 1; n <= 1000; n++) {
            if (bus_read(b, &e, TYPE, "executor", "c-1", 0, NULL) != ST_OK) _exit(3);
            if (n != 500 && bus_ack(b, &e, "executor", NULL) != ST_OK) _exit(4);
        }
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    assert_int_equal(take(b, &e, "executor", "c-2"), ST_OK);
    check_entry(&e, 500);
    assert_int_equal(e.attempts, 2);
    OK(bus_ack(b, &e, "executor", err));
    take_all(b, "executor", 1001, 2000);
    bus_close(b);
}

/* Enough traffic for checkpoints: old segments go, and what is alive does not. */
static void checkpoints_bound_the_journal(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    o.length_max = 50;
    struct bus *b = open_bus(&o);
    struct bus_entry e, got;
    struct bus_dead_letter d;
    OK(bus_group(b, TYPE, "executor", err));
    OK(bus_group(b, TYPE, "slow", err));
    o.attempts_max = 5;
    make_entry(&e, 7);
    memset(e.payload, 'p', sizeof e.payload);
    e.payload_size = 4000;
    for (uint32_t n = 1; n <= 60000; n++) { /* 240 MB */
        OK(bus_publish(b, &e, err));
        assert_int_equal(take(b, &got, "executor", "c-1"), ST_OK);
        if (n != 59990) OK(bus_ack(b, &got, "executor", err));
    }
    assert_int_equal(take(b, &got, "slow", "c-9"), ST_OK);
    char slow_id[BUS_ID_SIZE];
    memcpy(slow_id, got.id, sizeof slow_id);
    OK(bus_flush(b, err));
    bus_close(b);
    struct journal_reader *r;
    assert_int_equal(journal_reader_open(&r, dir, 1, NULL), ST_NOT_FOUND); /* the start is gone */
    b = open_bus(&o);
    uint64_t length, pending;
    int64_t age;
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(length, 50);
    assert_int_equal(pending, 1);
    assert_int_equal(take(b, &got, "executor", "c-1"), ST_OK);
    assert_int_equal(got.attempts, 2);
    assert_int_equal(take(b, &got, "executor", "c-1"), ST_END);
    assert_int_equal(take(b, &got, "slow", "c-9"), ST_OK);
    assert_string_equal(got.id, slow_id);
    assert_int_equal(bus_dead_letter_next(b, &d, TYPE, "", NULL), ST_END);
    bus_close(b);
}

/* A checkpoint cut short by a crash is ignored, and so is nothing that was written after it. */
static void incomplete_checkpoint(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 30);
    bus_close(b);
    struct journal *j;
    struct journal_options jo = journal_options_defaults();
    assert_int_equal(journal_open(&j, NULL, dir, &jo, NULL), ST_OK);
    journal_append(j, 7 /* checkpoint begins */, 1, 0, NULL, 0);
    assert_int_equal(journal_close(j, NULL), ST_OK);
    for (int life = 0; life < 2; life++) {
        b = open_bus(&o);
        struct bus_entry e;
        for (uint32_t n = 1; n <= 10; n++) {
            assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
            check_entry(&e, (uint32_t)life * 10 + n);
            OK(bus_ack(b, &e, "executor", err));
        }
        bus_close(b);
    }
}

static void foreign_records_are_refused(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    publish(b, 1, 3);
    bus_close(b);
    struct journal *j;
    struct journal_options jo = journal_options_defaults();
    struct err err = {0};
    assert_int_equal(journal_open(&j, NULL, dir, &jo, NULL), ST_OK);
    journal_append(j, 2, 9, 0, "from the future", 15);
    assert_int_equal(journal_close(j, NULL), ST_OK);
    assert_int_equal(bus_open(&b, &o, &err), ST_VERSION);
    assert_non_null(strstr(err.text, "version 9"));
}

static void smaller_length_on_reopening(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 100);
    for (int i = 0; i < 20; i++) assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
    bus_close(b);
    o.length_max = 10;
    b = open_bus(&o);
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
    check_entry(&e, 91);
    struct bus_stats s = stats_of(b);
    assert_int_equal(s.resyncs, 1);
    assert_int_equal(s.lost, 70);
    bus_close(b);
}

static void urls(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",           "embedded:",       "kafka://x",   "redis://host",
        "redis://:1", "redis://h:65536", "redis+unix:", "redis://h:1x"};
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.url = bad[i];
        assert_int_equal(bus_open(&b, &o, NULL), ST_INVALID);
        assert_null(b);
    }
}

static void time_text(void **state) {
    (void)state;
    struct bus_time_cache cache = {0};
    char text[BUS_TIME_SIZE];
    int64_t ns;
    bus_time_format(text, 1730098800123456789, &cache); /* date -u -d @1730098800 */
    assert_string_equal(text, "2024-10-28T07:00:00.123456789Z");
    struct rng rng = rng_init(3);
    for (int i = 0; i < 2000; i++) {
        int64_t t = (int64_t)rng_below(&rng, 4000000000000000000u);
        if (i % 2) t = 1730098800000000000 + i; /* the cached second */
        bus_time_format(text, t, &cache);
        assert_int_equal(bus_time_parse(&ns, text, strlen(text)), ST_OK);
        assert_int_equal(ns, t);
    }
    assert_int_equal(bus_time_parse(&ns, "2024-10-28T07:00:00Z", 20), ST_OK);
    assert_int_equal(ns, 1730098800000000000);
    static const char *const bad[] = {"2024-10-28 07:00:00.1Z",
                                      "2024-10-28T07:00:00.Z",
                                      "2024-10-28T07:00:00",
                                      "2024-13-28T07:00:00Z",
                                      "2024-10-28T07:00:00.1",
                                      "2024-1a-28T07:00:00Z",
                                      ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(bus_time_parse(&ns, bad[i], strlen(bad[i])), ST_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CONFORMANCE_TESTS,
        C(one_owner),
        C(killed_without_flush),
        C(checkpoints_bound_the_journal),
        C(incomplete_checkpoint),
        C(foreign_records_are_refused),
        C(smaller_length_on_reopening),
        C(urls),
        C(time_text),
    };
    int failures = cmocka_run_group_tests(tests, suite_make, conformance_reset);
    return failures;
}
