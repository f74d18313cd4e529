/* The simulated world is the same twice, whatever goes wrong in it, and ends when it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "sim/sim.h"

static struct sim_result first, second;

static void run(struct sim_result *out, const struct sim_options *o) {
    struct err err = {0};
    if (sim_run(out, o, &err) != ST_OK)
        fail_msg("seed %llu: %s", (unsigned long long)o->seed, err.text);
}

static void same(const struct sim_options *o) {
    run(&first, o);
    run(&second, o);
    assert_true(first.events > 1000);
    assert_int_equal(first.trace_hash, second.trace_hash);
    assert_int_equal(first.events, second.events);
    assert_int_equal(first.commands, second.commands);
    assert_int_equal(first.violations, second.violations);
    assert_int_equal(first.kills, second.kills);
}

static void test_same_seed_same_trace(void **state) {
    struct sim_options o = sim_options_defaults();
    (void)state;
    same(&o);
    if (first.violations) fail_msg("%s", first.violation);
    assert_true(first.orders > 0 && first.fills > 0);
    assert_true(first.records_verified > 1000);
    assert_true(first.protected_ns.count > 0);
    assert_int_equal(first.lives, 1);
    uint64_t hash = first.trace_hash;
    o.seed = 2;
    run(&second, &o);
    assert_int_not_equal(second.trace_hash, hash);
}

static void test_same_with_everything_wrong(void **state) {
    struct sim_options o = sim_options_defaults();
    (void)state;
    o.faults = "all";
    o.seed = 3;
    same(&o);
    assert_true(first.faults_fired > 50);
}

static void test_killed_again_and_again(void **state) {
    struct sim_options o = sim_options_defaults();
    (void)state;
    o.faults = "process_crash=0.01,power_loss=0.002";
    same(&o);
    if (first.violations) fail_msg("%s", first.violation);
    assert_true(first.kills > 5);
    assert_true(first.lives > first.kills);
}

/* A book of six thin levels: a market order takes what is there, and what of it is filled is protected as ever. */
static void test_thin_books(void **state) {
    struct sim_options o = sim_options_defaults();
    uint32_t partial = 0;
    (void)state;
    o.depth = 300;
    o.hours = 2;
    o.strategy = STRATEGY_RANDOM;
    run(&first, &o);
    if (first.violations) fail_msg("%s", first.violation);
    for (int k = 0; k < ORDER_STATE_COUNT; k++)
        partial += (first.coverage_bits.pairs[k] >> OE_FILL_PARTIAL) & 1;
    assert_true(partial > 0);
}

/* What waits for a phase that lasts milliseconds meets it. */
static void test_aimed(void **state) {
    struct sim_options o = sim_options_defaults();
    (void)state;
    o.faults = "human_leverage=0.02";
    o.hours = 4;
    o.strategy = STRATEGY_RANDOM;
    run(&first, &o);
    if (first.violations) fail_msg("%s", first.violation);
    uint8_t met = first.coverage_bits.phases[CHECK_SIM(SIM_HUMAN_LEVERAGE)];
    assert_true((met >> EXITS_ENTERING) & 1);
    assert_true((met >> EXITS_UNPROTECTED) & 1);
}

/* Another run of the program on the account is seen, left alone, and nothing is entered beside it. */
static void test_other_run(void **state) {
    struct sim_options o = sim_options_defaults();
    (void)state;
    o.strategy = STRATEGY_RANDOM;
    o.hours = 4;
    run(&first, &o);
    uint64_t alone = first.report.entries;
    o.faults = "other_executor=0.003";
    run(&first, &o);
    if (first.violations) fail_msg("%s", first.violation);
    assert_true(first.coverage_bits.phases[CHECK_SIM(SIM_OTHER_RUN)] != 0);
    assert_true(first.report.foreign_fills > 4);
    assert_true(first.report.entries > 0 && first.report.entries < alone);
}

static void test_machine_clock_is_back(void **state) {
    struct sim_options o = sim_options_defaults();
    (void)state;
    o.hours = 0.02;
    int64_t before = tstamp_monotonic_ns();
    run(&first, &o);
    int64_t took = tstamp_monotonic_ns() - before;
    assert_true(took > 0 && took < 600 * NS_PER_SECOND);
    assert_true(first.hours >= 0.02 && first.hours < 0.05);
}

static void test_stopped(void **state) {
    static const volatile sig_atomic_t stop = 1;
    struct sim_options o = sim_options_defaults();
    (void)state;
    o.hours = 1000;
    o.stop = &stop;
    run(&first, &o);
    assert_true(first.stopped);
    assert_true(first.hours < 1);
}

static void test_refuses(void **state) {
    struct sim_options o = sim_options_defaults();
    struct err err = {0};
    (void)state;
    o.symbols = 0;
    assert_int_equal(sim_run(&first, &o, &err), ST_RANGE);
    o = sim_options_defaults();
    o.hours = -1;
    assert_int_equal(sim_run(&first, &o, &err), ST_RANGE);
    o = sim_options_defaults();
    o.faults = "net_cut=0.1,no_such";
    assert_int_equal(sim_run(&first, &o, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "no_such"));
    o.faults = "net_cut=2";
    assert_int_equal(sim_run(&first, &o, &err), ST_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_trace),
        cmocka_unit_test(test_same_with_everything_wrong),
        cmocka_unit_test(test_killed_again_and_again),
        cmocka_unit_test(test_thin_books),
        cmocka_unit_test(test_aimed),
        cmocka_unit_test(test_other_run),
        cmocka_unit_test(test_machine_clock_is_back),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_refuses),
    };
    log_level_set(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
