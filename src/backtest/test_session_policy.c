/* Commands of the bus: once per trace id over kills, bad ones dead letters with their reason, none of it in a verification.
 * The embedded bus stands for any: bus_conformance.h says that both do the same. */
#include "backtest/test_run.h"

#include "kernel/command_body.h"
#include "kernel/journal.h"

#define TYPE    "policy.command"
#define SERVICE "risk"

static char bus_url[TAPE_PATH_SIZE + 64];

static struct bus *bus_of(const char *dir) {
    struct bus_options o = bus_options_defaults();
    struct bus *b = NULL;
    struct err err = {0};
    snprintf(bus_url, sizeof bus_url, "embedded:%s-bus", dir);
    o.url = bus_url;
    tape_ok(bus_open(&b, &o, &err), &err);
    return b;
}

static void say(const char *dir, const char *trace_id, uint32_t schema, const char *payload) {
    static struct bus_entry e;
    struct err err = {0};
    struct bus *b = bus_of(dir);
    memset(&e, 0, sizeof e);
    snprintf(e.event_type, sizeof e.event_type, TYPE);
    snprintf(e.trace_id, sizeof e.trace_id, "%s", trace_id);
    snprintf(e.source, sizeof e.source, "ops");
    e.ts_ns = 1;
    e.schema = schema;
    e.payload_size = (uint32_t)strlen(payload);
    snprintf(e.payload, sizeof e.payload, "%s", payload);
    tape_ok(bus_publish(b, &e, &err), &err);
    tape_ok(bus_flush(b, &err), &err);
    bus_close(b);
}

static uint64_t pending_of(const char *dir) {
    struct err err = {0};
    uint64_t length, pending;
    int64_t age;
    struct bus *b = bus_of(dir);
    tape_ok(bus_group(b, TYPE, SERVICE, &err), &err);
    tape_ok(bus_info(b, TYPE, SERVICE, &length, &pending, &age, &err), &err);
    bus_close(b);
    return pending;
}

static struct session_options momentum(struct feed *feed, const char *dir) {
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.strategy = STRATEGY_MOMENTUM;
    o.run_dir = dir;
    o.bus_url = bus_url;
    return o;
}

/* Commands on record; the last of them to *last. */
static uint32_t commands_of(struct operator_command *last, const char *dir) {
    char path[TAPE_PATH_SIZE + 64];
    struct journal_reader *reader = NULL;
    struct journal_record r;
    struct err err = {0};
    uint32_t n = 0;
    snprintf(path, sizeof path, "%s/journal", dir);
    tape_ok(journal_reader_open(&reader, path, 1, &err), &err);
    while (journal_next(reader, &r, &err) == ST_OK) {
        if (r.type != EVENT_OPERATOR_COMMAND) continue;
        memcpy(last, r.payload, sizeof *last);
        n++;
    }
    journal_reader_close(reader);
    return n;
}

static void a_command_of_the_bus_is_obeyed_once_per_trace_id(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct operator_command c = {0};
    struct feed *feed = open_tape();
    new_dir(dir);
    say(dir, "ops-1", 1, "{\"key\":\"positions_max\",\"value\":2,\"by\":\"desk\"}");
    say(dir, "ops-1", 1, "{\"key\":\"positions_max\",\"value\":2,\"by\":\"desk\"}");
    struct session_options o = momentum(feed, dir);
    o.step_limit = 2500;
    struct session_result before = run(&o);
    assert_int_equal(commands_of(&c, dir), 1);
    assert_string_equal(c.given_by, "desk");
    assert_int_equal(c.command_id, command_id_of("ops-1", 5));
    assert_int_equal(pending_of(dir), 0);
    say(dir, "ops-1", 1, "{\"key\":\"positions_max\",\"value\":2,\"by\":\"desk\"}");
    say(dir, "ops-2", 1, "{\"key\":\"trading:emergency_stop\",\"value\":true}");
    o.step_limit = 500;
    struct session_result stopped = run(&o);
    assert_int_equal(commands_of(&c, dir), 2);
    assert_string_equal(c.key, "trading:emergency_stop");
    assert_true(before.totals.intents > 0);
    assert_int_equal(stopped.totals.intents, before.totals.intents);
    assert_int_equal(pending_of(dir), 0);
    verify(&o, dir, ST_OK, &err);
    feed_close(feed);
}

static void what_is_no_command_is_a_dead_letter_with_the_reason(void **state) {
    (void)state;
    static const struct {
        const char *payload, *why;
        uint32_t schema;
    } rows[] = {
        {"{\"key\":\"positions_max\"}", "value is missing", 1},
        {"{\"key\":\"no_such\",\"value\":1}", "there is no policy 'no_such'", 1},
        {"{\"key\":\"positions_max\",\"value\":-1}", "positions_max cannot be -1", 1},
        {"{\"key\":\"positions_max\",\"value\":1,\"symbol\":\"BTCUSDT\"}", "no single contract", 1},
        {"{\"key\":\"breaker:reset\",\"symbol\":\"NOSUCHUSDT\"}", "not of this run", 1},
        {"{\"key\":\"positions:close_all\",\"value\":0}", "is 1, or left out", 1},
        {"[]", "must be an object", 1},
        {"{\"key\":\"positions_max\",\"value\":1}", "schema", 2},
    };
    enum { COUNT = sizeof rows / sizeof *rows };
    char dir[TAPE_PATH_SIZE + 32], at[BUS_ID_SIZE] = "", trace[32];
    struct err err = {0};
    struct operator_command c;
    struct feed *feed = open_tape();
    new_dir(dir);
    for (int i = 0; i < COUNT; i++) {
        snprintf(trace, sizeof trace, "bad-%d", i);
        say(dir, trace, rows[i].schema, rows[i].payload);
    }
    say(dir, "good", 1, "{\"key\":\"breaker:reset\"}");
    struct session_options o = momentum(feed, dir);
    o.step_limit = 100;
    run(&o);
    assert_int_equal(commands_of(&c, dir), 1);
    assert_string_equal(c.key, "breaker:reset");
    struct bus *b = bus_of(dir);
    static struct bus_dead_letter d;
    for (int i = 0; i < COUNT; i++) {
        tape_ok(bus_dead_letter_next(b, &d, TYPE, at, &err), &err);
        memcpy(at, d.entry.id, sizeof at);
        snprintf(trace, sizeof trace, "bad-%d", i);
        assert_string_equal(d.entry.trace_id, trace);
        assert_string_equal(d.service, SERVICE);
        if (!strstr(d.reason, rows[i].why)) fail_msg("'%s', not '%s'", d.reason, rows[i].why);
    }
    assert_int_equal(bus_dead_letter_next(b, &d, TYPE, at, &err), ST_END);
    bus_close(b);
    assert_int_equal(pending_of(dir), 0);
    feed_close(feed);
}

/* Dies at the n-th moment of the journal's writer from the command's record on. */
struct death {
    uint32_t after, seen;
    bool begun;
};

static void on_append(void *context, bool after, uint16_t type, uint64_t seq) {
    struct death *d = context;
    (void)seq;
    d->begun |= !after && type == EVENT_OPERATOR_COMMAND;
    if (d->begun && d->seen++ == d->after) (void)kill(getpid(), SIGKILL);
}

static void kills_between_record_and_acknowledgement_do_not_repeat_it(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct operator_command c;
    struct feed *feed = open_tape();
    uint32_t kills = 0;
    for (uint32_t after = 0; after < 6; after++) {
        new_dir(dir);
        say(dir, "ops-1", 1, "{\"key\":\"positions:close_all\",\"by\":\"desk\"}");
        struct session_options o = momentum(feed, dir), dying = o;
        struct death d = {.after = after};
        const struct journal_probe probe = {.context = &d, .append = on_append};
        struct journal_options jo = journal_options_defaults();
        jo.probe = &probe;
        dying.journal_options = &jo;
        kills += killed_child(&dying, 600 * NS_PER_SECOND);
        o.step_limit = 500;
        run(&o);
        assert_int_equal(commands_of(&c, dir), 1);
        assert_int_equal(pending_of(dir), 0);
        verify(&o, dir, ST_OK, &err);
    }
    assert_true(kills >= 3);
    feed_close(feed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_of_the_bus_is_obeyed_once_per_trace_id),
        cmocka_unit_test(what_is_no_command_is_a_dead_letter_with_the_reason),
        cmocka_unit_test(kills_between_record_and_acknowledgement_do_not_repeat_it),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
