/* The clock: what it says is true within what it says of itself, whatever the network does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/binance/clock.h"

static int64_t distance(int64_t a, int64_t b) {
    return a > b ? a - b : b - a;
}

static void test_one_reading(void **state) {
    struct binance_clock c = {0};
    (void)state;
    assert_int_equal(binance_clock_error(&c, 0), INT64_MAX);
    /* Sent at 100 ms, received at 140 ms: the venue read 5000 ms somewhere in between. */
    binance_clock_sample(&c, 100 * NS_PER_MS, 140 * NS_PER_MS, 5000 * NS_PER_MS, NS_PER_MS);
    assert_int_equal(binance_clock_error(&c, 140 * NS_PER_MS), 41 * NS_PER_MS / 2);
    assert_int_equal(binance_clock_now(&c, 140 * NS_PER_MS), 5020 * NS_PER_MS + NS_PER_MS / 2);
    /* A quicker one decides; a slower one does not spoil it. */
    binance_clock_sample(&c, 200 * NS_PER_MS, 202 * NS_PER_MS, 5081 * NS_PER_MS, NS_PER_MS);
    assert_true(binance_clock_error(&c, 202 * NS_PER_MS) <= 2 * NS_PER_MS);
    binance_clock_sample(&c, 300 * NS_PER_MS, 900 * NS_PER_MS, 5400 * NS_PER_MS, NS_PER_MS);
    assert_true(binance_clock_error(&c, 900 * NS_PER_MS) <= 3 * NS_PER_MS);
    assert_int_equal(c.resets, 0);
}

static void test_clock_set_by_an_hour(void **state) {
    struct binance_clock c = {0};
    (void)state;
    binance_clock_sample(&c, 0, 2 * NS_PER_MS, NS_PER_HOUR, NS_PER_MS);
    binance_clock_sample(&c, NS_PER_SECOND, NS_PER_SECOND + 2 * NS_PER_MS, 3 * NS_PER_HOUR,
                         NS_PER_MS);
    assert_int_equal(c.resets, 1);
    assert_true(distance(binance_clock_now(&c, NS_PER_SECOND), 3 * NS_PER_HOUR) < 5 * NS_PER_MS);
    /* A stamp beyond what can be only raises doubt; one within narrows. */
    binance_clock_not_before(&c, 2 * NS_PER_SECOND, 9 * NS_PER_HOUR);
    assert_true(c.doubtful);
    assert_true(distance(binance_clock_now(&c, NS_PER_SECOND), 3 * NS_PER_HOUR) < 5 * NS_PER_MS);
    binance_clock_reset(&c);
    assert_false(c.trusted);
    assert_true(c.known);
    assert_int_equal(binance_clock_error(&c, NS_PER_SECOND), INT64_MAX);
    binance_clock_sample(&c, 3 * NS_PER_SECOND, 3 * NS_PER_SECOND, 1, NS_PER_MS);
    assert_true(c.trusted && !c.doubtful);
}

/* Delays of every asymmetry, 100 ppm of drift, stamps of milliseconds: the truth is always inside. */
static void test_truth_is_inside(void **state) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    (void)state;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t run = 0; run < 200; run++) {
        struct rng rng = rng_init(seed + run);
        struct binance_clock c = {0};
        int64_t mono = (int64_t)rng_below(&rng, 1u << 30) * 1000;
        int64_t offset = (int64_t)rng_below(&rng, 1u << 30) * NS_PER_MS;
        int64_t ppm = (int64_t)rng_below(&rng, 200) - 100, start = mono;
        for (int i = 0; i < 200; i++) {
            mono += (int64_t)rng_below(&rng, 60) * NS_PER_SECOND;
            int64_t up = (int64_t)rng_below(&rng, 300 * NS_PER_MS);
            int64_t down = (int64_t)rng_below(&rng, 300 * NS_PER_MS);
            int64_t sent = mono, read = mono + up;
            int64_t venue = read + offset + (read - start) / 1000000 * ppm;
            mono = read + down;
            if (rng_below(&rng, 3))
                binance_clock_sample(&c, sent, mono, venue / NS_PER_MS * NS_PER_MS, NS_PER_MS);
            else
                binance_clock_not_before(&c, mono, venue / NS_PER_MS * NS_PER_MS);
            if (!c.known) continue;
            int64_t truth = mono + offset + (mono - start) / 1000000 * ppm;
            assert_true(distance(binance_clock_now(&c, mono), truth) <=
                        binance_clock_error(&c, mono));
            assert_true(
                distance(binance_clock_to_monotonic(&c, binance_clock_now(&c, mono)), mono) <= 1);
        }
        assert_int_equal(c.resets, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_reading),
                                       cmocka_unit_test(test_clock_set_by_an_hour),
                                       cmocka_unit_test(test_truth_is_inside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
