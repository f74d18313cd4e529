/* Commands from outside: in force at once, on record, and the same again after kills and in a verification. */
#include "backtest/test_run.h"

#include <pthread.h>
#include <sched.h>

#include "kernel/journal.h"

static struct session_options momentum(struct feed *feed, const char *run_dir,
                                       struct inbox *inbox) {
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.strategy = STRATEGY_MOMENTUM;
    o.run_dir = run_dir;
    o.inbox = inbox;
    return o;
}

static void command_under(struct inbox *inbox, const char *key, double value, uint64_t command_id) {
    struct operator_command c = {.value = value, .command_id = command_id};
    uint64_t number;
    snprintf(c.key, sizeof c.key, "%s", key);
    snprintf(c.target, sizeof c.target, "all");
    snprintf(c.given_by, sizeof c.given_by, "test");
    assert_true(inbox_put(inbox, &number, &c));
}

static void command(struct inbox *inbox, const char *key, double value) {
    command_under(inbox, key, value, 0);
}

/* What a journal says: commands, and what was asked for after the last of them. What the venue had by then may still be
 * filled: an entry is what leaves us. */
struct told {
    uint32_t commands, policies, intents_since, entries_since, parts[5];
    double value; /* of the last command */
};

static bool is_entry(const struct journal_record *r) {
    struct venue_command c;
    if (r->type != EVENT_ORDER_PLACED) return false;
    memcpy(&c, r->payload, sizeof c);
    return c.kind == COMMAND_LEVERAGE_SET ||
           (c.kind == COMMAND_ORDER_SUBMIT && !c.reduce_only && !c.close_position);
}

static struct told journal_of(const char *dir) {
    char path[TAPE_PATH_SIZE + 64];
    struct journal_reader *reader = NULL;
    struct journal_record r;
    struct err err = {0};
    struct told t = {0};
    snprintf(path, sizeof path, "%s/journal", dir);
    tape_ok(journal_reader_open(&reader, path, 1, &err), &err);
    while (journal_next(reader, &r, &err) == ST_OK) {
        if (r.type == EVENT_OPERATOR_COMMAND) {
            struct operator_command c;
            memcpy(&c, r.payload, sizeof c);
            assert_true(c.part < 5);
            t.parts[c.part]++;
            t.value = c.value;
            t.commands++;
            t.intents_since = t.entries_since = 0;
        }
        t.policies += r.type == EVENT_POLICY_UPDATED;
        t.intents_since += r.type == EVENT_TRADE_INTENT;
        t.entries_since += is_entry(&r);
    }
    journal_reader_close(reader);
    return t;
}

static void a_stop_holds_from_the_next_step_on_and_over_restarts(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct feed *feed = open_tape();
    struct inbox *inbox = inbox_create();
    struct session_options o = momentum(feed, new_dir(dir), inbox);
    o.step_limit = 2500;
    struct session_result before = run(&o);
    command(inbox, KERNEL_EMERGENCY_STOP, 1);
    o.step_limit = 300;
    struct session_result stopped = run(&o);
    assert_true(before.totals.intents > 0);
    assert_int_equal(stopped.totals.intents, before.totals.intents);
    o.inbox = NULL; /* another process, which knows of it by what is kept alone */
    stopped = run(&o);
    assert_int_equal(stopped.totals.intents, before.totals.intents);
    struct told t = journal_of(dir);
    assert_int_equal(t.commands, 1);
    assert_int_equal(t.policies, 1);
    assert_int_equal(t.intents_since, 0);
    verify(&o, dir, ST_OK, &err);
    o.inbox = inbox;
    command(inbox, KERNEL_EMERGENCY_STOP, 0);
    o.step_limit = 0;
    struct session_result end = run(&o);
    assert_true(end.complete);
    assert_true(end.totals.intents > before.totals.intents);
    verify(&o, dir, ST_OK, &err);
    inbox_destroy(inbox);
    feed_close(feed);
}

static void close_all_leaves_nothing_open(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct feed *feed = open_tape();
    struct inbox *inbox = inbox_create();
    struct session_options o = momentum(feed, new_dir(dir), inbox);
    o.step_limit = 2500;
    struct session_result r = run(&o);
    o.step_limit = 1;
    for (int n = 0; r.totals.positions == r.totals.trades; n++) {
        assert_true(n < 500);
        r = run(&o);
    }
    command(inbox, KERNEL_CLOSE_ALL, 1);
    r = run(&o); /* one minute: orders leave, are filled, leftovers are cancelled */
    assert_int_equal(r.totals.positions, r.totals.trades);
    assert_int_equal(journal_of(dir).entries_since, 0);
    verify(&o, dir, ST_OK, &err);
    inbox_destroy(inbox);
    feed_close(feed);
}

/* ---- kills, each at its place ---- */

/* Dies at the n-th moment the journal's writer reaches from a certain record on, or from its opening: before and after each
 * record, before each write, sync, allocation. */
struct death {
    uint16_t from_type; /* 0: from the opening */
    uint32_t after;
    uint32_t seen;
};

static void at_moment(struct death *d) {
    if (d->seen++ == d->after) (void)kill(getpid(), SIGKILL);
}

static void on_append(void *context, bool after, uint16_t type, uint64_t seq) {
    struct death *d = context;
    (void)seq;
    if (!after && type == d->from_type) d->from_type = 0;
    if (d->from_type == 0) at_moment(d);
}

static int on_io(void *context, enum journal_io what, size_t *size) {
    struct death *d = context;
    (void)what;
    (void)size;
    if (d->from_type == 0) at_moment(d);
    return 0;
}

/* False: it came to its end before. */
static bool dies(const struct session_options *options, struct death d) {
    const struct journal_probe probe = {.context = &d, .append = on_append, .io = on_io};
    struct journal_options jo = journal_options_defaults();
    struct session_options o = *options;
    jo.probe = &probe;
    o.journal_options = &jo;
    return killed_child(&o, 600 * NS_PER_SECOND);
}

/* Where a kill may come: a step at which something is under way, what is asked for, and whether it is asked for again. */
struct cell {
    const char *key;
    uint64_t step;
    bool durable, again;
};

static struct session_options of_cell(struct feed *feed, char dir[TAPE_PATH_SIZE + 32],
                                      const struct cell *c) {
    struct session_options o = momentum(feed, new_dir(dir), NULL);
    o.durable = c->durable;
    o.step_end = c->step;
    run(&o);
    o.step_end = 0;
    return o;
}

enum { COMMAND_ID = 77 };

/* Killed at each moment from the command's record on, and once more at each third of the next life; then to the end. */
static uint32_t kill_at_each_moment(struct feed *feed, const struct cell *c) {
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct session_options o = of_cell(feed, dir, c);
    o.inbox = inbox_create();
    command_under(o.inbox, c->key, 1, COMMAND_ID);
    const struct session_result want = run(&o);
    assert_true(want.complete);
    inbox_destroy(o.inbox);
    uint32_t kills = 0;
    bool died = true;
    for (uint32_t after = 0; died && after < 14; after++) {
        o = of_cell(feed, dir, c);
        o.inbox = inbox_create();
        command_under(o.inbox, c->key, 1, COMMAND_ID);
        died = dies(&o, (struct death){.from_type = EVENT_OPERATOR_COMMAND, .after = after});
        /* Whoever asked has no answer. The inbox is each process's own: only what is on record outlives it. */
        if (!c->again && after > 0) {
            inbox_destroy(o.inbox);
            o.inbox = NULL;
        }
        kills += died;
        kills += dies(&o, (struct death){.after = after / 3});
        const struct session_result r = run(&o);
        assert_same_run(&r, &want);
        const struct told t = journal_of(dir);
        assert_int_equal(t.commands, 1);
        assert_int_equal(t.policies, 1);
        assert_int_equal(t.intents_since, 0);
        assert_int_equal(t.entries_since, 0);
        const struct session_result v = verify(&o, dir, ST_OK, &err);
        assert_int_equal(v.state_hash, want.state_hash);
        if (o.inbox) inbox_destroy(o.inbox);
    }
    return kills;
}

static void kills_neither_lose_nor_repeat_a_command(void **state) {
    (void)state;
    static const struct cell cells[] = {{KERNEL_EMERGENCY_STOP, 1500, false, true},
                                        {KERNEL_CLOSE_ALL, 2500, false, false},
                                        {KERNEL_CLOSE_ALL, 1800, true, true}};
    struct feed *feed = open_tape();
    uint32_t kills = 0;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        kills += kill_at_each_moment(feed, &cells[i]);
    print_message("%u kills\n", kills);
    assert_true(kills > 60);
    feed_close(feed);
}

static void an_id_is_obeyed_once_however_often_it_comes(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct feed *feed = open_tape();
    struct inbox *inbox = inbox_create();
    struct session_options o = momentum(feed, new_dir(dir), inbox);
    for (int life = 0; life < 3; life++) {
        for (uint64_t id = 1; id <= 5; id++) {
            command_under(inbox, "positions_max", (double)(10 - id), id);
            command_under(inbox, "positions_max", 50, id); /* whatever it says the second time */
        }
        o.step_limit = 600;
        run(&o);
    }
    struct told t = journal_of(dir);
    assert_int_equal(t.commands, 5);
    assert_true(t.value == 5);
    command(inbox, "positions_max", 4); /* those without an id are each their own */
    command(inbox, "positions_max", 4);
    run(&o);
    assert_int_equal(journal_of(dir).commands, 7);
    verify(&o, dir, ST_OK, &err);
    inbox_destroy(inbox);
    feed_close(feed);
}

static void the_same_command_at_the_same_step_is_the_same_run(void **state) {
    (void)state;
    char dirs[2][TAPE_PATH_SIZE + 32];
    struct session_result r[2];
    struct feed *feed = open_tape();
    for (int i = 0; i < 2; i++) {
        struct inbox *inbox = inbox_create();
        struct session_options o = momentum(feed, new_dir(dirs[i]), inbox);
        for (uint64_t step = i ? 500 : 2000; step <= 2000; step += 500) {
            o.step_end = step;
            run(&o);
        }
        command(inbox, "positions_max", 1);
        command(inbox, "exposure_total_max", 0.05);
        o.step_end = i ? 2100 : 0;
        r[i] = run(&o);
        o.step_end = 0;
        if (!r[i].complete) r[i] = run(&o);
        inbox_destroy(inbox);
    }
    assert_same_run(&r[0], &r[1]);
    char *a = outcome(dirs[0]), *b = outcome(dirs[1]);
    assert_string_equal(a, b);
    free(a);
    free(b);
    feed_close(feed);
}

/* ---- a paced market: commands come in the middle of bars ---- */

struct giver {
    struct inbox *inbox;
    struct view_box *box;
    _Atomic uint32_t over;
};

/* Each command waits until the one before is shown as taken. */
static void *give(void *argument) {
    struct giver *g = argument;
    struct view *v = calloc(1, sizeof *v);
    uint64_t given = 0;
    while (v && !g->over) {
        if (!view_read(g->box, v) || v->risk.commands_taken < given) {
            sched_yield();
            continue;
        }
        assert_int_equal(v->risk.emergency_stop, given % 2); /* in force as soon as it is shown */
        command(g->inbox, KERNEL_EMERGENCY_STOP, (double)(++given % 2));
    }
    free(v);
    return NULL;
}

static void commands_inside_bars_are_obeyed_there_again(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct feed *feed = open_tape();
    struct giver g = {.inbox = inbox_create(), .box = view_box_create()};
    struct session_options o = momentum(feed, new_dir(dir), g.inbox);
    o.mode = MODE_PAPER;
    o.speed = 60.0 * 2000; /* half a millisecond a bar */
    o.view_box = g.box;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, give, &g), 0);
    struct session_result r = run(&o);
    g.over = 1;
    pthread_join(thread, NULL);
    struct told t = journal_of(dir);
    print_message("%u commands: %u %u %u %u %u\n", t.commands, t.parts[0], t.parts[1], t.parts[2],
                  t.parts[3], t.parts[4]);
    assert_true(t.commands > 50 && t.parts[1] > 0 && t.parts[2] > 0 && t.parts[3] > 0);
    struct session_result v = verify(&o, dir, ST_OK, &err);
    assert_int_equal(v.state_hash, r.state_hash);
    inbox_destroy(g.inbox);
    view_box_destroy(g.box);
    feed_close(feed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_holds_from_the_next_step_on_and_over_restarts),
        cmocka_unit_test(close_all_leaves_nothing_open),
        cmocka_unit_test(kills_neither_lose_nor_repeat_a_command),
        cmocka_unit_test(an_id_is_obeyed_once_however_often_it_comes),
        cmocka_unit_test(the_same_command_at_the_same_step_is_the_same_run),
        cmocka_unit_test(commands_inside_bars_are_obeyed_there_again),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
