/* A trader on a disk that fails again and again: each time the process ends with an error that names file and cause, no
 * command leaves without its record (sim_crash_command), and the next life goes on from what is there: no violation. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "sim/sim.h"

enum status __real_session_run(struct session_result *out, const struct session_options *options,
                               struct err *err);
enum status __wrap_session_run(struct session_result *out, const struct session_options *options,
                               struct err *err);

static struct { uint32_t lives, failed, no_space, no_sync; } seen;

/* Whatever made a run end: only the disk may, and it says where and why. */
enum status __wrap_session_run(struct session_result *out, const struct session_options *options,
                               struct err *err) {
    enum status st = __real_session_run(out, options, err);
    seen.lives++;
    if (st == ST_OK) return st;
    seen.failed++;
    bool no_space = strstr(err->text, "No space left") != NULL;
    bool no_sync = strstr(err->text, "Input/output error") != NULL;
    seen.no_space += no_space;
    seen.no_sync += no_sync;
    if (st != ST_IO || !(no_space || no_sync) || !strstr(err->text, "/journal"))
        fail_msg("%s: %s", status_name(st), err->text);
    return st;
}

static void a_disk_that_fails_ends_the_process_and_nothing_else(void **state) {
    static struct sim_result r;
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct sim_options o = sim_options_defaults();
        struct err err = {0};
        o.seed = seed;
        o.symbols = 8;
        o.hours = 6;
        o.strategy = STRATEGY_RANDOM;
        o.faults = "disk_bad=0.05";
        if (sim_run(&r, &o, &err) != ST_OK) fail_msg("seed %" PRIu64 ": %s", seed, err.text);
        if (r.violations > 0) fail_msg("seed %" PRIu64 ": %s\n%s", seed, r.violation, r.explained);
        assert_true(r.commands > 0);
    }
    print_message("%u lives, %u ended by the disk: %u no space, %u no sync\n", seen.lives,
                  seen.failed, seen.no_space, seen.no_sync);
    assert_true(seen.no_space >= 3 && seen.no_sync >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_fails_ends_the_process_and_nothing_else),
    };
    log_level_set(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
