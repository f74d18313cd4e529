/* The Redis bus over a real redis-server: the conformance suite, and what only it can meet: a broker
 * that is killed, comes back with its data or without, and entries of foreign make. */
#include "kernel/bus_conformance.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>

static char dir[200], socket_path[256];
static pid_t server;

/* Starts the server on the test's socket and waits until it answers. */
static void server_start(void) {
    fflush(NULL);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        execl("/usr/bin/redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
              "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
              "--maxmemory-policy", "noeviction", (char *)NULL);
        fprintf(stderr, "cannot run /usr/bin/redis-server (Debian package redis-server)\n");
        _exit(127);
    }
    for (int tries = 0;; tries++) {
        redisContext *c = redisConnectUnix(socket_path);
        redisReply *reply = c && !c->err ? redisCommand(c, "PING") : NULL;
        bool up = reply && reply->type == REDIS_REPLY_STATUS;
        if (reply) freeReplyObject(reply);
        if (c) redisFree(c);
        if (up) return;
        int status;
        if (waitpid(server, &status, WNOHANG) == server)
            fail_msg("redis-server ended (%d)", status);
        if (tries > 5000) fail_msg("redis-server does not answer");
        usleep(2000); /* polling a foreign process' start, not timing anything */
    }
}

static void server_kill(void) {
    int status;
    if (server <= 0) return;
    kill(server, SIGKILL);
    waitpid(server, &status, 0);
    server = 0;
}

static void data_remove(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/appendonlydir", dir);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* One command straight to the server; the caller frees. */
static redisReply *raw(const char *format, ...) {
    redisContext *c = redisConnectUnix(socket_path);
    assert_true(c && !c->err);
    va_list ap;
    va_start(ap, format);
    redisReply *reply = redisvCommand(c, format, ap);
    va_end(ap);
    redisFree(c);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s", reply->str);
    return reply;
}

static int conformance_reset(void **state) {
    (void)state;
    if (!server) server_start();
    freeReplyObject(raw("FLUSHALL"));
    return 0;
}

static int suite_make(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/busr-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(socket_path, sizeof socket_path, "%s/s", dir);
    snprintf(conformance_url, sizeof conformance_url, "redis+unix:%s", socket_path);
    return 0;
}

static int suite_drop(void **state) {
    (void)state;
    server_kill();
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* --- tests --------------------------------------------------------------------------------------- */

static void names_as_documented(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 5, 5);
    redisReply *reply = raw("XRANGE quantum:stream:trade.intent - +");
    assert_int_equal(reply->elements, 1);
    redisReply *fields = reply->element[0]->element[1];
    assert_int_equal(fields->elements, 12);
    static const char *const names[] = {"event_type", "payload", "trace_id",
                                        "timestamp",  "source",  "schema"};
    for (size_t i = 0; i < 6; i++) assert_string_equal(fields->element[2 * i]->str, names[i]);
    assert_string_equal(fields->element[1]->str, "trade.intent");
    assert_string_equal(fields->element[5]->str, "trace-5");
    assert_string_equal(fields->element[7]->str, "2024-10-28T07:00:00.123456794Z");
    assert_string_equal(fields->element[9]->str, "role2");
    assert_string_equal(fields->element[11]->str, "2");
    freeReplyObject(reply);
    reply = raw("XINFO GROUPS quantum:stream:trade.intent");
    assert_string_equal(reply->element[0]->element[1]->str, "quantum:group:executor:trade.intent");
    freeReplyObject(reply);
    bus_close(b);
}

static void foreign_entries_are_rejected(void **state) {
    (void)state;
    static const char *const bad[] = {
        "event_type trade.intent payload {} trace_id t timestamp 2024-10-28T07:00:00Z source s",
        "event_type trade.intent payload {} trace_id t timestamp 2024-10-28T07:00:00Z source s "
        "schema 1 "
        "data {}",
        "event_type trade.intent payload {} trace_id t timestamp yesterday source s schema 1",
        "event_type trade.intent payload {} trace_id t timestamp 2024-10-28T07:00:00Z source s "
        "schema x",
        "event_type trade.closed payload {} trace_id t timestamp 2024-10-28T07:00:00Z source s "
        "schema 1",
        "event_type trade.intent data {} trace_id t timestamp 2024-10-28T07:00:00Z source s schema "
        "1",
        "event_type trade.intent payload {} payload {} trace_id t timestamp 2024-10-28T07:00:00Z "
        "source s schema 1",
    };
    static const char *const why[] = {
        "'schema' missing",         "unknown field 'data'",      "malformed field 'timestamp'",
        "malformed field 'schema'", "event_type 'trade.closed'", "unknown field 'data'",
        "'payload' twice"};
    enum { BAD = sizeof bad / sizeof *bad };
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    for (size_t i = 0; i < BAD; i++) {
        char command[600];
        snprintf(command, sizeof command, "XADD quantum:stream:trade.intent * %s", bad[i]);
        freeReplyObject(raw(command));
    }
    publish(b, 1, 1);
    struct bus_entry e;
    struct bus_dead_letter d = {0};
    for (size_t i = 0; i < BAD; i++) {
        struct err told = {0};
        assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-1", 0, &told), ST_INVALID);
        if (!strstr(told.text, why[i])) fail_msg("'%s' lacks '%s'", told.text, why[i]);
        OK(bus_dead_letter_next(b, &d, TYPE, d.entry.id, err));
        assert_non_null(strstr(d.reason, why[i]));
    }
    take_all(b, "executor", 1, 1); /* and the good one behind them arrives */
    assert_int_equal(stats_of(b).rejected, BAD);
    assert_int_equal(stats_of(b).dead_lettered, BAD);
    bus_close(b);
}

/* Takes everything there is, remembering trace ids, until `count` different ones were seen. */
static void take_until(struct bus *b, bool *seen, uint32_t *distinct, uint32_t count) {
    struct bus_entry e;
    uint32_t last = 0;
    while (*distinct < count) {
        OK(bus_read(b, &e, TYPE, "executor", "c-1", WAIT_NS, err));
        uint32_t n = entry_number(&e);
        check_entry(&e, n);
        if (!seen[n]) { /* first deliveries are in order */
            assert_true(n > last);
            last = n;
            seen[n] = true;
            ++*distinct;
        }
        OK(bus_ack(b, &e, "executor", err));
    }
}

/* kill -9 of the broker in the middle of a pipeline, back with its data: nothing lost, and doubles
 * carry the trace id that tells them. */
static void broker_killed_and_back(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    o.attempts_max = 1000;
    struct bus *b = open_bus(&o);
    static bool seen[EVENTS_MAX];
    uint32_t distinct = 0;
    struct bus_entry e;
    memset(seen, 0, sizeof seen);
    OK(bus_group(b, TYPE, "executor", err));
    uint32_t n = 1;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 300; i++, n++) {
            make_entry(&e, n);
            OK(bus_publish(b, &e, err));
            if (i == 150 + 20 * round) server_kill();
        }
        struct err told = {0};
        assert_int_equal(bus_flush(b, &told), ST_DISCONNECTED);
        assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-1", 0, &told), ST_DISCONNECTED);
        assert_true(stats_of(b).outbox > 0);
        server_start();
        OK(bus_flush(b, err));
        assert_int_equal(stats_of(b).outbox, 0);
        take_until(b, seen, &distinct, n - 1);
    }
    assert_true(stats_of(b).reconnects >= 4);
    OK(bus_flush(b, err));
    bus_close(b);
}

static void publishing_while_the_broker_is_away(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    o.outbox_max = 500;
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 10);
    server_kill();
    struct bus_entry e;
    for (uint32_t n = 11; n <= 510; n++) {
        make_entry(&e, n);
        OK(bus_publish(b, &e, err));
    }
    struct err told = {0};
    make_entry(&e, 511);
    assert_int_equal(bus_publish(b, &e, &told), ST_FULL);
    assert_non_null(strstr(told.text, "500"));
    assert_int_equal(stats_of(b).outbox, 500);
    server_start();
    OK(bus_flush(b, err));
    take_all(b, "executor", 1, 510);
    assert_int_equal(stats_of(b).published, 510);
    bus_close(b);
}

/* Back with nothing: the group is made anew and told, and what was never confirmed arrives. */
static void broker_back_empty(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 50);
    take_all(b, "executor", 1, 50);
    OK(bus_flush(b, err));
    server_kill();
    data_remove();
    struct bus_entry e;
    for (uint32_t n = 51; n <= 80; n++) {
        make_entry(&e, n);
        OK(bus_publish(b, &e, err));
    }
    server_start();
    OK(bus_flush(b, err));
    take_all(b, "executor", 51, 80);
    struct bus_stats s = stats_of(b);
    assert_int_equal(s.resyncs, 1);
    assert_int_equal(s.outbox, 0);
    bus_close(b);
}

/* A consumer that waits lives through the broker's absence. */
static void reader_survives_the_broker(void **state) {
    (void)state;
    struct bus_options o = options_idle(IDLE_NS);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 3);
    OK(bus_read(b, &e, TYPE, "executor", "c-1", 0, err));
    OK(bus_ack(b, &e, "executor", err)); /* not sent yet */
    server_kill();
    assert_int_equal(bus_flush(b, NULL), ST_DISCONNECTED);
    server_start();
    bool seen[4] = {false, true, false, false};
    for (int i = 0; i < 2; i++) {
        OK(bus_read(b, &e, TYPE, "executor", "c-1", WAIT_NS, err));
        uint32_t n = entry_number(&e);
        assert_false(seen[n]); /* the acknowledgement was kept and sent again */
        seen[n] = true;
        OK(bus_ack(b, &e, "executor", err));
    }
    assert_int_equal(bus_read(b, &e, TYPE, "executor", "c-1", 2 * IDLE_NS, NULL), ST_END);
    assert_int_equal(stats_of(b).acknowledged, 3);
    bus_close(b);
}

/* Two processes' worth of consumers: what one holds the other gets only after idle_ns. */
static void two_handles_share_a_group(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *a = open_bus(&o), *b = open_bus(&o);
    struct bus_entry e;
    OK(bus_group(a, TYPE, "executor", err));
    OK(bus_group(b, TYPE, "executor", err));
    publish(a, 1, 2);
    assert_int_equal(take(a, &e, "executor", "c-1"), ST_OK);
    assert_int_equal(take(b, &e, "executor", "c-2"), ST_END);
    publish(b, 3, 3);
    assert_int_equal(take(b, &e, "executor", "c-2"), ST_OK);
    check_entry(&e, 3);
    bus_close(a);
    bus_close(b);
}

static void refused_publishing_is_loud(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    struct bus_entry e;
    freeReplyObject(raw("SET quantum:stream:trade.intent text"));
    make_entry(&e, 1);
    OK(bus_publish(b, &e, err));
    struct err told = {0};
    assert_int_equal(bus_flush(b, &told), ST_EXTERNAL);
    assert_non_null(strstr(told.text, "WRONGTYPE"));
    assert_int_equal(stats_of(b).outbox, 1);
    freeReplyObject(raw("DEL quantum:stream:trade.intent"));
    OK(bus_flush(b, err));
    OK(bus_group(b, TYPE, "executor", err));
    take_all(b, "executor", 1, 1);
    bus_close(b);
}

static void no_broker_at_start(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    o.url = "redis+unix:/nonexistent/socket";
    struct bus *b;
    struct err told = {0};
    assert_int_equal(bus_open(&b, &o, &told), ST_DISCONNECTED);
    assert_non_null(strstr(told.text, "/nonexistent/socket"));
    assert_null(b);
}

/* An operator deleted entries: the group's counter in the server is void, the group goes on. */
static void deleted_entries(void **state) {
    (void)state;
    struct bus_options o = options_idle(NS_PER_HOUR);
    struct bus *b = open_bus(&o);
    OK(bus_group(b, TYPE, "executor", err));
    publish(b, 1, 5);
    redisReply *reply = raw("XRANGE quantum:stream:trade.intent - +");
    freeReplyObject(raw("XDEL quantum:stream:trade.intent %s", reply->element[2]->element[0]->str));
    freeReplyObject(reply);
    struct bus_entry e;
    static const uint32_t left[] = {1, 2, 4, 5};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(take(b, &e, "executor", "c-1"), ST_OK);
        check_entry(&e, left[i]);
        OK(bus_ack(b, &e, "executor", err));
    }
    assert_int_equal(take(b, &e, "executor", "c-1"), ST_END);
    bus_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CONFORMANCE_TESTS,
        C(names_as_documented),
        C(foreign_entries_are_rejected),
        C(broker_killed_and_back),
        C(publishing_while_the_broker_is_away),
        C(broker_back_empty),
        C(reader_survives_the_broker),
        C(two_handles_share_a_group),
        C(refused_publishing_is_loud),
        C(no_broker_at_start),
        C(deleted_entries),
    };
    return cmocka_run_group_tests(tests, suite_make, suite_drop);
}
