/* What a seed draws, side by side and alone, found and shrunk, and the figures that are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/sim_faults.h"
#include "sim/swarm.h"

static struct swarm_result result;

static struct sim_options base(void) {
    struct sim_options o = sim_options_defaults();
    o.hours = 0.1;
    o.symbols = 2;
    o.strategy = STRATEGY_RANDOM;
    o.faults = "none";
    return o;
}

static void a_seed_draws_the_same_again_and_others_draw_others(void **state) {
    (void)state;
    static char a[SWARM_FAULTS_SIZE], b[SWARM_FAULTS_SIZE];
    struct sim_options o = base();
    uint32_t all = 0, different = 0;
    o.faults = "all";
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_faults own;
        struct faults venue;
        struct err err = {0};
        struct sim_options x = swarm_vary(&o, seed, a), y = swarm_vary(&o, seed, b);
        assert_string_equal(a, b);
        assert_int_equal(x.symbols, y.symbols);
        assert_int_equal(x.strategy, y.strategy);
        assert_int_equal(x.seed, seed);
        /* Whatever is drawn is a list that a user could have written. */
        assert_int_equal(sim_faults_parse(&own, &venue, a, seed, &err), ST_OK);
        all += strcmp(a, "all") == 0;
        swarm_vary(&o, seed + 1, b);
        different += strcmp(a, b) != 0;
    }
    assert_in_range(all, 40, 100); /* a third */
    assert_true(different > 120);
    /* Faults that were asked for by name stay as they are. */
    o.faults = "drop=0.5";
    swarm_vary(&o, 7, a);
    assert_string_equal(a, "drop=0.5");
}

static void run(struct swarm_options *o) {
    struct err err = {0};
    if (swarm_run(&result, o, &err) != ST_OK) fail_msg("%s", err.text);
}

static void jobs_change_nothing(void **state) {
    (void)state;
    struct swarm_options o = {.base = base(), .seeds = 4, .jobs = 1, .vary = true};
    run(&o);
    uint64_t trace = result.trace_hash, events = result.events;
    assert_int_equal(result.seeds, 4);
    assert_int_equal(result.failed, 0);
    assert_true(events > 0 && result.hours > 0.39);
    o.jobs = 3;
    run(&o);
    assert_true(result.trace_hash == trace);
    assert_int_equal(result.events, events);
}

static void a_planted_bug_is_found_and_shrunk(void **state) {
    (void)state;
    struct swarm_options o = {.base = base(), .seeds = 20, .vary = true, .shrink = true};
    o.base.hours = 1;
    o.base.symbols = 4;
    o.base.canary = CANARY_DOUBLE_ORDER;
    run(&o);
    assert_true(result.has_wrong && result.violations > 0);
    assert_int_equal(result.wrong_number, canary_invariant(CANARY_DOUBLE_ORDER));
    assert_non_null(strstr(result.wrong_command, "--canary double_order"));
    assert_non_null(strstr(result.shrunk_command, "quantum sim --seed "));
    print_message("%s\n%s\n", result.wrong_command, result.shrunk_command);
}

static void figures_are_kept_and_add_up(void **state) {
    (void)state;
    char path[] = "/tmp/quantum-swarm-XXXXXX";
    struct err err = {0};
    double hours;
    uint64_t seeds, violations;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct swarm_options o = {
        .base = base(), .seeds = 2, .csv = path, .commit = "abc", .vary = true};
    run(&o);
    run(&o);
    assert_int_equal(swarm_csv_total(&hours, &seeds, &violations, path, &err), ST_OK);
    assert_int_equal(seeds, 4);
    assert_true(hours > 0.39 && hours < 0.41);
    assert_int_equal(violations, 0);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs("what is this\n", f);
    fclose(f);
    assert_int_equal(swarm_csv_total(&hours, &seeds, &violations, path, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "line 4"));
    remove(path);
}

static void a_stop_ends_it_cleanly(void **state) {
    (void)state;
    static volatile sig_atomic_t stop = 1;
    struct swarm_options o = {.base = base(), .seeds = 1000, .vary = true};
    o.base.stop = &stop;
    run(&o);
    assert_true(result.stopped);
    assert_int_equal(result.seeds, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_draws_the_same_again_and_others_draw_others),
        cmocka_unit_test(jobs_change_nothing), cmocka_unit_test(a_planted_bug_is_found_and_shrunk),
        cmocka_unit_test(figures_are_kept_and_add_up), cmocka_unit_test(a_stop_ends_it_cleanly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
