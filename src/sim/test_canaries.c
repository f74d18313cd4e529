/* Each planted bug is seen by the checker in the whole system, and by the right invariant: seeds are tried in turn until it
 * is, all faults on, as `quantum sim --canary NAME --swarm K` runs them. What is counted is how many seeds that took.
 *
 * TEST_SEED=n the first seed; TEST_OPS=n from so many starting seeds (3; long: 100). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/canary.h"
#include "sim/check.h"
#include "sim/swarm.h"

enum { SEEDS_MAX = 100, STARTS_DEFAULT = 3 };

static struct swarm_result result;

/* The seed's own mix of faults, symbols and rule; a swarm of one, for a run that ends by a signal is a finding, too. */
static bool is_caught(enum canary_kind kind, uint64_t seed) {
    struct err err = {0};
    struct swarm_options o = {.base = sim_options_defaults(), .seeds = 1, .jobs = 1, .vary = true};
    o.base.seed = seed;
    o.base.hours = 1;
    o.base.faults = "all";
    o.base.canary = kind;
    if (swarm_run(&result, &o, &err) != ST_OK) fail_msg("%s", err.text);
    return result.has_wrong && result.wrong_number == canary_invariant(kind);
}

static uint32_t seeds_to_catch(enum canary_kind kind, uint64_t first) {
    for (uint32_t n = 0; n < SEEDS_MAX; n++)
        if (is_caught(kind, first + n)) return n + 1;
    fail_msg("%s: not seen in %d seeds from %llu", canary_name(kind), SEEDS_MAX,
             (unsigned long long)first);
    return 0;
}

static void each_planted_bug_is_caught(void **state) {
    (void)state;
    const char *seed = getenv("TEST_SEED"), *ops = getenv("TEST_OPS");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 20261123;
    uint32_t starts = ops ? (uint32_t)strtoul(ops, NULL, 10) : STARTS_DEFAULT;
    print_message("TEST_SEED=%llu\n", (unsigned long long)first);
    for (int k = CANARY_NONE + 1; k < CANARY_COUNT; k++) {
        enum canary_kind kind = (enum canary_kind)k;
        uint32_t most = 0, sum = 0;
        for (uint32_t s = 0; s < starts; s++) {
            uint32_t n = seeds_to_catch(kind, first + (uint64_t)s * 1000);
            most = n > most ? n : most;
            sum += n;
        }
        print_message("%s: seen by '%s' after %.2f seeds, at most %u, from %u starting seeds\n",
                      canary_name(kind), check_name((enum check_number)canary_invariant(kind)),
                      (double)sum / starts, most, starts);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_planted_bug_is_caught)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
