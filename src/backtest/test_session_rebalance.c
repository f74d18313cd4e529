/* A limit that is lowered while something is held, in a whole run: what is held is less soon, once, the same again after a
 * restart at any step, and in a verification. */
#include "backtest/test_run.h"

#include "kernel/journal.h"

static void command(struct inbox *inbox, const char *key, double value) {
    struct operator_command c = {.value = value};
    uint64_t number;
    snprintf(c.key, sizeof c.key, "%s", key);
    snprintf(c.target, sizeof c.target, "all");
    snprintf(c.given_by, sizeof c.given_by, "test");
    assert_true(inbox_put(inbox, &number, &c));
}

struct told {
    uint32_t reductions, of_all;
    char reason[TEXT_FIELD_SIZE];
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
        if (r.type != EVENT_POSITION_REDUCED) continue;
        struct position_reduced p;
        memcpy(&p, r.payload, sizeof p);
        assert_true(p.before > p.after && p.quantity.e8 > 0);
        memcpy(t.reason, p.reason, sizeof t.reason);
        t.reductions++;
        t.of_all += p.whole;
    }
    journal_reader_close(reader);
    return t;
}

/* A run in pieces of `piece` steps (0: whole) after the command; returns its last word. */
static struct session_result lowered(const char *dir, uint64_t piece, struct told *told) {
    struct err err;
    struct feed *feed = open_tape();
    struct inbox *inbox = inbox_create();
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.strategy = STRATEGY_MOMENTUM;
    o.run_dir = dir;
    o.inbox = inbox;
    o.step_limit = 2500;
    struct session_result r = run(&o);
    o.step_limit = 1;
    for (int n = 0; r.totals.exposure.e8 < 100 * FX_ONE; n++) {
        assert_true(n < 500);
        r = run(&o);
    }
    assert_int_equal(r.totals.reductions, 0);
    double half = 0.5 * fx_to_f64(r.totals.exposure.e8) / fx_to_f64(r.totals.equity.e8);
    command(inbox, "exposure_total_max", half);
    command(inbox, KERNEL_EMERGENCY_STOP, 1); /* bars what is opened, not this */
    o.step_limit = piece ? piece : 60;
    for (uint64_t steps = 0; steps < 60; steps += o.step_limit) r = run(&o);
    assert_true(r.totals.reductions > 0);
    assert_true(fx_to_f64(r.totals.exposure.e8) <= half * 1.05 * fx_to_f64(r.totals.equity.e8));
    assert_int_equal(r.totals.unprotected_ever, 0);
    *told = journal_of(dir);
    assert_int_equal(told->reductions, r.totals.reductions);
    verify(&o, dir, ST_OK, &err);
    inbox_destroy(inbox);
    feed_close(feed);
    return r;
}

static void a_lowered_limit_is_obeyed_the_same_in_one_run_and_in_many(void **state) {
    (void)state;
    char dirs[2][TAPE_PATH_SIZE + 32];
    struct told told[2];
    struct session_result whole = lowered(new_dir(dirs[0]), 0, &told[0]);
    struct session_result pieces = lowered(new_dir(dirs[1]), 1, &told[1]);
    print_message("%u reductions, %u of all, the last for %s\n", told[0].reductions, told[0].of_all,
                  told[0].reason);
    assert_string_equal(told[0].reason, "total_cap");
    assert_memory_equal(&told[0], &told[1], sizeof told[0]);
    assert_int_equal(whole.totals.wallet.e8, pieces.totals.wallet.e8);
    assert_int_equal(whole.totals.orders, pieces.totals.orders);
    assert_int_equal(whole.totals.fees.e8, pieces.totals.fees.e8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lowered_limit_is_obeyed_the_same_in_one_run_and_in_many),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
