/* What every backend of the bus must do, as one suite: included by test_bus_embedded.c and
 * test_bus_redis.c, which give conformance_url and conformance_reset (empties the backend). */
#ifndef KERNEL_BUS_CONFORMANCE_H
#define KERNEL_BUS_CONFORMANCE_H

#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "kernel/bus_internal.h"

static char conformance_url[300];
static int conformance_reset(void **state);

enum { EVENTS_MAX = 4000 };
static const char TYPE[] = "trade.intent";
/* When redelivery is what is tested: longer than any pause of a loaded machine inside a test. */
static const int64_t IDLE_NS = 300 * NS_PER_MS;
static const int64_t WAIT_NS = 20 * NS_PER_SECOND; /* bound on waiting for it; never used up */

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw) {
    (void)sb, (void)flag, (void)ftw;
    return remove(path);
}

static struct bus_options options_idle(int64_t idle_ns) {
    struct bus_options o = bus_options_defaults();
    o.url = conformance_url;
    o.idle_ns = idle_ns;
    return o;
}

static struct bus *open_bus(const struct bus_options *o) {
    struct bus *b;
    struct err err = {0};
    if (bus_open(&b, o, &err) != ST_OK) fail_msg("%s", err.text);
    return b;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct err err_ = {0}, *err = &err_;                                                       \
        enum status st_ = (call);                                                                  \
        if (st_ != ST_OK) fail_msg(#call ": %s: %s", status_name(st_), err_.text);                 \
    } while (0)

/* Entry number n; everything in it follows from n. */
static void make_entry(struct bus_entry *e, uint32_t n) {
    memset(e, 0, sizeof *e);
    snprintf(e->event_type, sizeof e->event_type, "%s", TYPE);
    snprintf(e->trace_id, sizeof e->trace_id, "trace-%" PRIu32, n);
    snprintf(e->source, sizeof e->source, "role%" PRIu32, n % 3);
    e->ts_ns = 1730098800123456789 + (int64_t)n;
    e->schema = n % 4 + 1;
    int size = snprintf(e->payload, sizeof e->payload,
                        "{\"n\":%" PRIu32 ",\"text\":\"\xc3\xa9 \\\"q\\\"\r\n\",\"pad\":\"%.*s\"}",
                        n, (int)(n % 50), "..................................................");
    e->payload_size = (uint32_t)size;
}

static uint32_t entry_number(const struct bus_entry *e) {
    return (uint32_t)strtoul(e->trace_id + 6, NULL, 10);
}

static void check_entry(const struct bus_entry *e, uint32_t n) {
    struct bus_entry expected;
    make_entry(&expected, n);
    assert_string_equal(e->trace_id, expected.trace_id);
    assert_string_equal(e->event_type, expected.event_type);
    assert_string_equal(e->source, expected.source);
    assert_int_equal(e->ts_ns, expected.ts_ns);
    assert_int_equal(e->schema, expected.schema);
    assert_int_equal(e->payload_size, expected.payload_size);
    assert_memory_equal(e->payload, expected.payload, e->payload_size + 1);
    assert_true(e->id[0] != '\0');
}

static void publish(struct bus *b, uint32_t from, uint32_t to) {
    struct bus_entry e;
    for (uint32_t n = from; n <= to; n++) {
        make_entry(&e, n);
        OK(bus_publish(b, &e, err));
    }
    OK(bus_flush(b, err));
}

/* Next entry or ST_END, without waiting. */
static enum status take(struct bus *b, struct bus_entry *e, const char *service,
                        const char *consumer) {
    struct err err = {0};
    enum status st = bus_read(b, e, TYPE, service, consumer, 0, &err);
    if (st != ST_OK && st != ST_END) fail_msg("%s", err.text);
    return st;
}

static void take_all(struct bus *b, const char *service, uint32_t from, uint32_t to) {
    struct bus_entry e;
    for (uint32_t n = from; n <= to; n++) {
        assert_int_equal(take(b, &e, service, "c-1"), ST_OK);
        check_entry(&e, n);
        assert_int_equal(e.attempts, 1);
        OK(bus_ack(b, &e, service, err));
    }
    assert_int_equal(take(b, &e, service, "c-1"), ST_END);
}

static struct bus_stats stats_of(const struct bus *b) {
    struct bus_stats s;
    bus_stats_get(b, &s);
    return s;
}

static void info(struct bus *b, const char *service, uint64_t *length, uint64_t *pending,
                 int64_t *age) {
    OK(bus_flush(b, err)); /* acknowledgements reach the backend */
    OK(bus_info(b, TYPE, service, length, pending, age, err));
}

/* --- the suite ----------------------------------------------------------------------------------- */

static void order_and_fields(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    OK(bus_group(b, TYPE, "executor", err)); /* making it twice does nothing */
    publish(b, 1, 700);
    take_all(b, "executor", 1, 700);
    publish(b, 701, 702);
    take_all(b, "executor", 701, 702);
    struct bus_stats s = stats_of(b);
    OK(bus_flush(b, err));
    s = stats_of(b);
    assert_int_equal(s.published, 702);
    assert_int_equal(s.delivered, 702);
    assert_int_equal(s.acknowledged, 702);
    assert_int_equal(s.redelivered + s.dead_lettered + s.rejected + s.resyncs + s.lost + s.outbox,
                     0);
    bus_close(b);
}

static void groups_are_independent(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    publish(b, 1, 20);
    OK(bus_group(b, TYPE, "early", err));
    OK(bus_group(b, TYPE, "other", err));
    take_all(b, "early", 1, 20); /* a group begins at the stream's start */
    publish(b, 21, 30);
    OK(bus_group(b, TYPE, "late", err));
    take_all(b, "late", 1, 30);
    take_all(b, "other", 1, 30);
    take_all(b, "early", 21, 30);
    struct bus_entry e;
    struct err err = {0};
    assert_int_equal(bus_read(b, &e, TYPE, "unheard", "c-1", 0, &err), ST_NOT_FOUND);
    bus_close(b);
}

static void consumers_share_a_group(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    static bool seen[EVENTS_MAX];
    memset(seen, 0, sizeof seen);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 900);
    struct bus_entry e;
    uint32_t count = 0;
    for (int empty = 0, turn = 0; empty < 2; turn++) {
        if (take(b, &e, "executor", turn % 2 ? "c-1" : "c-2") == ST_END) {
            empty++;
            continue;
        }
        empty = 0;
        assert_false(seen[entry_number(&e)]);
        seen[entry_number(&e)] = true;
        OK(bus_ack(b, &e, "executor", err));
        count++;
    }
    assert_int_equal(count, 900);
    bus_close(b);
}

static void limits_of_an_entry(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e, got;
    OK(bus_group(b, TYPE, "executor", err));
    make_entry(&e, 1);
    memset(e.payload, 'x', sizeof e.payload);
    e.payload_size = BUS_PAYLOAD_MAX - 1;
    OK(bus_publish(b, &e, err));
    e.payload_size = BUS_PAYLOAD_MAX;
    assert_int_equal(bus_publish(b, &e, NULL), ST_RANGE);
    e.payload_size = 0;
    OK(bus_publish(b, &e, err));
    OK(bus_flush(b, err));
    assert_int_equal(take(b, &got, "executor", "c-1"), ST_OK);
    assert_int_equal(got.payload_size, BUS_PAYLOAD_MAX - 1);
    assert_memory_equal(got.payload, e.payload, BUS_PAYLOAD_MAX - 1);
    assert_int_equal(got.payload[BUS_PAYLOAD_MAX - 1], 0);
    assert_int_equal(take(b, &got, "executor", "c-1"), ST_OK);
    assert_int_equal(got.payload_size, 0);

    struct err err = {0};
    make_entry(&e, 1);
    e.trace_id[0] = '\0';
    assert_int_equal(bus_publish(b, &e, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "trace_id"));
    make_entry(&e, 1);
    memset(e.event_type, 'a', sizeof e.event_type);
    assert_int_equal(bus_publish(b, &e, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "event_type"));
    make_entry(&e, 1);
    e.source[1] = ' ';
    assert_int_equal(bus_publish(b, &e, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "source"));
    assert_int_equal(bus_group(b, "trade intent", "executor", &err), ST_INVALID);
    assert_int_equal(bus_group(b, TYPE, "", &err), ST_INVALID);
    assert_int_equal(bus_read(b, &got, TYPE, "executor", "\xc3\xa9", 0, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "consumer"));
    assert_int_equal(stats_of(b).published, 2);
    bus_close(b);
}

static void unacknowledged_comes_back(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 3);
    for (uint32_t n = 1; n <= 3; n++) {
        assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
        if (n == 2) continue; /* forgotten */
        OK(bus_ack(b, &e, "executor", err));
        OK(bus_ack(b, &e, "executor", err)); /* twice does nothing */
    }
    OK(bus_flush(b, err));
    OK(bus_read(b, &e, TYPE, "executor", "c-2", WAIT_NS, err));
    check_entry(&e, 2);
    assert_int_equal(e.attempts, 2);
    OK(bus_ack(b, &e, "executor", err));
    OK(bus_flush(b, err));
    assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-2", 2 * IDLE_NS, NULL), ST_END);
    struct bus_stats s = stats_of(b);
    assert_int_equal(s.acknowledged, 3);
    assert_int_equal(s.redelivered, 1);
    assert_int_equal(s.delivered, 4);
    bus_close(b);
}

static void pending_goes_before_new(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 1);
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
    bus_close(b); /* a reader with nothing more in hand */
    b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 2, 2);
    OK(bus_read(b, &e, TYPE, "executor", "c-1", 0, err));
    check_entry(&e, 1);
    assert_int_equal(e.attempts, 2);
    OK(bus_read(b, &e, TYPE, "executor", "c-1", 0, err));
    check_entry(&e, 2);
    bus_close(b);
}

static void failures_end_as_dead_letter(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    o.attempts_max = 3;
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    struct bus_dead_letter d;
    char origin[BUS_ID_SIZE] = "";
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 1);
    assert_int_equal(bus_dead_letter_next(b, &d, TYPE, "", NULL), ST_END);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        OK(bus_read(b, &e, TYPE, "executor", "c-1", WAIT_NS, err));
        check_entry(&e, 1);
        assert_int_equal(e.attempts, attempt);
        memcpy(origin, e.id, sizeof origin);
        OK(bus_nack(b, &e, "executor", "margin is insufficient", err));
    }
    assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-1", 2 * IDLE_NS, NULL), ST_END);
    OK(bus_dead_letter_next(b, &d, TYPE, "", err));
    check_entry(&d.entry, 1);
    assert_int_equal(d.entry.attempts, 3);
    assert_string_equal(d.reason, "margin is insufficient");
    assert_string_equal(d.service, "executor");
    assert_string_equal(d.origin_id, origin);
    char id[BUS_ID_SIZE];
    memcpy(id, d.entry.id, sizeof id);
    assert_int_equal(bus_dead_letter_next(b, &d, TYPE, id, NULL), ST_END);
    struct bus_stats s = stats_of(b);
    assert_int_equal(s.failed, 3);
    assert_int_equal(s.dead_lettered, 1);
    assert_int_equal(s.acknowledged, 0);
    uint64_t length, pending;
    int64_t age;
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(pending, 0);
    bus_close(b);
}

static void rejected_is_dead_at_once(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    struct bus_dead_letter d;
    uint64_t length, pending;
    int64_t age;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 2);
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
    check_entry(&e, 1);
    OK(bus_reject(b, &e, "executor", "of no use to anybody", err));
    OK(bus_dead_letter_next(b, &d, TYPE, "", err));
    check_entry(&d.entry, 1);
    assert_int_equal(d.entry.attempts, 1);
    assert_string_equal(d.reason, "of no use to anybody");
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
    check_entry(&e, 2);
    OK(bus_ack(b, &e, "executor", err));
    OK(bus_flush(b, err));
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(pending, 0);
    bus_close(b);
}

static void silence_ends_as_dead_letter(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    o.attempts_max = 2;
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    struct bus_dead_letter d;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 1);
    OK(bus_read(b, &e, TYPE, "executor", "c-1", 0, err));
    OK(bus_read(b, &e, TYPE, "executor", "c-1", WAIT_NS, err));
    assert_int_equal(e.attempts, 2);
    assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-1", 3 * IDLE_NS, NULL), ST_END);
    OK(bus_dead_letter_next(b, &d, TYPE, "", err));
    check_entry(&d.entry, 1);
    assert_non_null(strstr(d.reason, "no acknowledgement after 2"));
    bus_close(b);
}

/* A process that dies by SIGKILL between reading and acknowledging entry `number`. */
static void die_handling(const struct bus_options *o, const char *consumer, uint32_t number) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct bus *b;
        struct bus_entry e;
        if (bus_open(&b, o, NULL) != ST_OK || bus_group(b, TYPE, "executor", NULL) != ST_OK)
            _exit(1);
        while (bus_read(b, &e, TYPE, "executor", consumer, WAIT_NS, NULL) == ST_OK) {
            if (entry_number(&e) == number) kill(getpid(), SIGKILL);
            if (bus_ack(b, &e, "executor", NULL) != ST_OK) _exit(2);
            if (bus_flush(b, NULL) != ST_OK) _exit(3);
        }
        _exit(4);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) fail_msg("child ended with %d", WEXITSTATUS(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void killed_consumer(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 40);
    bus_close(b);
    die_handling(&o, "c-1", 17);
    b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    bool seen[41] = {false};
    struct bus_entry e;
    for (uint32_t i = 17; i <= 40; i++) {
        OK(bus_read(b, &e, TYPE, "executor", "c-2", WAIT_NS, err));
        uint32_t n = entry_number(&e);
        check_entry(&e, n);
        assert_true(n >= 17 && n <= 40 && !seen[n]);
        seen[n] = true;
        if (n == 17) assert_int_equal(e.attempts, 2);
        OK(bus_ack(b, &e, "executor", err));
        OK(bus_flush(b, err));
    }
    assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-2", 2 * IDLE_NS, NULL), ST_END);
    assert_int_equal(stats_of(b).dead_lettered, 0);
    bus_close(b);
}

/* An entry whose handling kills the process must not kill it for ever. */
static void poison_entry(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 2);
    bus_close(b);
    for (int i = 0; i < 5; i++)
        die_handling(&o, "c-1", 1); /* the same name: no waiting for idle_ns */
    b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    struct bus_entry e;
    struct bus_dead_letter d;
    OK(bus_read(b, &e, TYPE, "executor", "c-1", WAIT_NS, err));
    check_entry(&e, 2);
    OK(bus_dead_letter_next(b, &d, TYPE, "", err));
    check_entry(&d.entry, 1);
    assert_int_equal(d.entry.attempts, 5);
    bus_close(b);
}

static void reopening_keeps_the_place(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 10);
    for (uint32_t n = 1; n <= 5; n++) {
        assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
        if (n != 3) OK(bus_ack(b, &e, "executor", err));
    }
    OK(bus_flush(b, err));
    bus_close(b);
    b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    bool seen[11] = {true, true, true, false, true, true};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
        uint32_t n = entry_number(&e);
        assert_false(seen[n]);
        seen[n] = true;
        if (i == 0) assert_int_equal(n, 3);
        if (n == 3) assert_int_equal(e.attempts, 2);
        OK(bus_ack(b, &e, "executor", err));
    }
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_END);
    bus_close(b);
}

static void length_is_bounded(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    o.length_max = 300;
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 3000);
    uint64_t length, pending;
    int64_t age;
    info(b, "executor", &length, &pending, &age);
    assert_true(length >= 300 && length <= 400); /* Redis trims whole nodes of 100 */
    bus_close(b);
}

static void trimmed_group_is_resynchronised(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    o.length_max = 300;
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 100);
    take_all(b, "executor", 1, 100);
    bus_close(b); /* gone for a while; no reader holds anything */
    b = open_bus(&o);
    publish(b, 101, 2500);
    OK(bus_group(b, TYPE, "executor", err));
    uint32_t count = 0, last = 100;
    while (take(b, &e, "executor", "c-1") == ST_OK) {
        uint32_t n = entry_number(&e);
        check_entry(&e, n);
        assert_true(count == 0 ? n > 101 : n == last + 1);
        last = n;
        count++;
        OK(bus_ack(b, &e, "executor", err));
    }
    assert_int_equal(last, 2500);
    struct bus_stats s = stats_of(b);
    assert_int_equal(s.resyncs, 1);
    assert_int_equal(s.lost, 2400 - count);
    publish(b, 2501, 2510);
    take_all(b, "executor", 2501, 2510);
    assert_int_equal(stats_of(b).resyncs, 1);
    bus_close(b);
}

static void trimmed_while_pending_is_told(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    o.length_max = 100;
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 1);
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
    for (uint32_t n = 2; n <= 1000; n++) { /* nobody falls behind but the one pending entry */
        publish(b, n, n);
        OK(bus_read(b, &e, TYPE, "executor", "c-1", WAIT_NS, err));
        if (entry_number(&e) == 1) { /* redelivered before it was trimmed: still not acknowledged */
            n--;
            continue;
        }
        OK(bus_ack(b, &e, "executor", err));
    }
    while (bus_read(b, &e, TYPE, "executor", "c-1", 3 * IDLE_NS, NULL) == ST_OK)
        OK(bus_ack(b, &e, "executor", err));
    struct bus_stats s = stats_of(b);
    uint64_t length, pending;
    int64_t age;
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(pending, 0);
    assert_int_equal(s.lost + s.dead_lettered, 1);
    assert_int_equal(s.resyncs, 0);
    bus_close(b);
}

static void info_tells_lag(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e[4];
    uint64_t length, pending;
    int64_t age;
    OK(bus_group(b, TYPE, "executor", err));
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(length, 0);
    assert_int_equal(pending, 0);
    assert_int_equal(age, 0);
    publish(b, 1, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(take(b, &e[i], "executor", "c-1"), ST_OK);
    struct bus_entry none;
    assert_int_equal(bus_read(b, &none, TYPE, "executor", "c-1", 5 * NS_PER_MS, NULL), ST_END);
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(length, 4);
    assert_int_equal(pending, 4);
    assert_true(age >= 4 * NS_PER_MS); /* ids count whole milliseconds */
    for (int i = 0; i < 4; i++) OK(bus_ack(b, &e[i], "executor", err));
    info(b, "executor", &length, &pending, &age);
    assert_int_equal(length, 4);
    assert_int_equal(pending, 0);
    assert_int_equal(age, 0);
    bus_close(b);
}

static void silent_consumers_are_deleted(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    o.consumer_stale_ns = 20 * NS_PER_MS;
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    uint32_t count = 0;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 2);
    assert_int_equal(take(b, &e, "executor", "holds-one"), ST_OK); /* and never acknowledges it */
    publish(b, 3, 3);
    char name[32];
    for (int i = 0; i < 34; i++) { /* as many as the original's zombies */
        snprintf(name, sizeof name, "zombie-%d", i);
        take(b, &e, "executor", name);
        OK(bus_ack(b, &e, "executor", err));
    }
    OK(bus_flush(b, err));
    bus_close(b);
    b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    for (int i = 0; i < 40; i++) {
        assert_int_not_equal(bus_read(b, &e, TYPE, "executor", "alive", 5 * NS_PER_MS, NULL),
                             ST_DISCONNECTED);
        OK(bus_consumers(b, TYPE, "executor", &count, err));
    }
    assert_true(count >= 1 && count <= 2);
    bus_close(b);
}

/* Random publishing, reading, failing, dying and reopening: in the end every entry was either
 * acknowledged or is a dead letter, and none both or neither. */
static void property_nothing_is_lost(void **state) {
    (void)state;
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20250102;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    struct rng rng = rng_init(seed);
    static uint8_t done[EVENTS_MAX];
    memset(done, 0, sizeof done);
    struct bus_options o = options_idle(2 * NS_PER_MS);
    o.attempts_max = 3;
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    uint32_t published = 0, acknowledged = 0;
    OK(bus_group(b, TYPE, "executor", err));
    for (int step = 0; step < 1500 || take(b, &e, "executor", "c-1") == ST_OK; step++) {
        bool draining = step >= 1500;
        uint64_t what = draining ? 9 : rng_below(&rng, 10);
        if (what < 4 && published + 8 < EVENTS_MAX) {
            uint32_t more = 1 + (uint32_t)rng_below(&rng, 4);
            publish(b, published + 1, published + more);
            published += more;
        } else if (what == 4 && rng_below(&rng, 10) == 0) {
            bus_close(b);
            b = open_bus(&o);
            OK(bus_group(b, TYPE, "executor", err));
        } else {
            enum status st = draining ? ST_OK : take(b, &e, "executor", what % 2 ? "c-1" : "c-2");
            if (st != ST_OK) continue;
            check_entry(&e, entry_number(&e));
            assert_true(e.attempts <= 3);
            uint64_t fate = draining ? 0 : rng_below(&rng, 4);
            if (fate == 3) continue; /* forgotten */
            if (fate == 2) {
                OK(bus_nack(b, &e, "executor", "random", err));
                continue;
            }
            OK(bus_ack(b, &e, "executor", err));
            OK(bus_flush(b, err));
            done[entry_number(&e)] |= 1;
            acknowledged++;
        }
    }
    /* A read that found nothing may have looked just before the last ones were old enough to come again. */
    uint64_t length, pending = 1;
    int64_t age;
    for (int empty = 0; pending > 0 && empty < 200;) {
        if (bus_read(b, &e, TYPE, "executor", "c-1", 20 * NS_PER_MS, NULL) != ST_OK) {
            info(b, "executor", &length, &pending, &age);
            empty++;
            continue;
        }
        OK(bus_ack(b, &e, "executor", err));
        OK(bus_flush(b, err));
        done[entry_number(&e)] |= 1;
        acknowledged++;
    }
    struct bus_dead_letter d = {0};
    uint32_t dead = 0;
    while (bus_dead_letter_next(b, &d, TYPE, d.entry.id, NULL) == ST_OK) {
        check_entry(&d.entry, entry_number(&d.entry));
        done[entry_number(&d.entry)] |= 2;
        dead++;
    }
    for (uint32_t n = 1; n <= published; n++)
        if (done[n] != 1 && done[n] != 2) fail_msg("entry %u ended as %u", n, done[n]);
    assert_true(dead > 0 && acknowledged > 0);
    assert_int_equal(dead + acknowledged, published);
    bus_close(b);
}

#define C(f) cmocka_unit_test_setup(f, conformance_reset)
#define CONFORMANCE_TESTS                                                                          \
    C(order_and_fields), C(groups_are_independent), C(consumers_share_a_group),                    \
        C(limits_of_an_entry), C(unacknowledged_comes_back), C(pending_goes_before_new),           \
        C(failures_end_as_dead_letter), C(rejected_is_dead_at_once),                               \
        C(silence_ends_as_dead_letter), C(killed_consumer), C(poison_entry),                       \
        C(reopening_keeps_the_place), C(length_is_bounded), C(trimmed_group_is_resynchronised),    \
        C(trimmed_while_pending_is_told), C(info_tells_lag), C(silent_consumers_are_deleted),      \
        C(property_nothing_is_lost)

#endif
