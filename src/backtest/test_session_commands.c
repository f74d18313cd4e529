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

static void command(struct inbox *inbox, const char *key, double value) {
    struct operator_command c = {.value = value};
    uint64_t number;
    snprintf(c.key, sizeof c.key, "%s", key);
    snprintf(c.target, sizeof c.target, "all");
    snprintf(c.given_by, sizeof c.given_by, "test");
    assert_true(inbox_put(inbox, &number, &c));
}

/* What a journal says: commands, and what was opened after the last of them. */
struct told {
    uint32_t commands, policies, intents_since, entries_since, parts[5];
    double value; /* of the last command */
};

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
        t.entries_since += r.type == EVENT_TRADE_OPENED;
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

/* The command is put before each child begins, so it is obeyed at the step that child got to; whatever kill comes
 * then, it is on record from its first effect on. */
static void kills_neither_lose_nor_repeat_a_command(void **state) {
    (void)state;
    if (!getenv("TEST_OPS"))
        skip(); /* its kills come by the clock: on a busy machine one may miss its step */
    char dir[TAPE_PATH_SIZE + 32];
    struct err err;
    struct rng rng = rng_init(tape_seed());
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir), NULL);
    int64_t begin = tstamp_monotonic_ns();
    run(&o);
    int64_t took = tstamp_monotonic_ns() - begin;
    int kills = 0, survived = 0;
    for (int round = 0; round < 12; round++) {
        struct inbox *inbox = inbox_create();
        o = momentum(feed, new_dir(dir), NULL);
        o.step_limit = 1500 + rng_below(&rng, 1500);
        run(&o);
        o.step_limit = 0;
        o.inbox = inbox;
        command(inbox, KERNEL_EMERGENCY_STOP, 1);
        /* The inbox is the child's own copy: a killed one takes its command with it, or left it on record. */
        for (int streak = 0; journal_of(dir).commands == 0; streak++)
            kills += killed_child(
                &o, 1000 + (int64_t)rng_below(&rng, (uint64_t)(took + streak * took / 4)));
        struct told t = journal_of(dir);
        assert_int_equal(t.commands, 1);
        o.inbox = NULL;
        for (int n = 0; n < 3; n++)
            kills += killed_child(&o, 1000 + (int64_t)rng_below(&rng, (uint64_t)took / 4));
        struct session_result r = run(&o);
        assert_true(r.complete);
        t = journal_of(dir);
        assert_int_equal(t.commands, 1);
        assert_int_equal(t.intents_since, 0);
        assert_int_equal(t.entries_since, 0);
        struct session_result v = verify(&o, dir, ST_OK, &err);
        assert_int_equal(v.state_hash, r.state_hash);
        survived += r.totals.trades > 0;
        inbox_destroy(inbox);
    }
    assert_true(kills > 12 && survived > 0);
    print_message("%d kills\n", kills);
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
        cmocka_unit_test(the_same_command_at_the_same_step_is_the_same_run),
        cmocka_unit_test(commands_inside_bars_are_obeyed_there_again),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
