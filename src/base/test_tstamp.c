#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/tstamp.h"

static uint64_t seed;

static void test_parse_rows(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"1970-01-01", 0},
        {"2024-10-28", INT64_C(1730073600) * NS_PER_SECOND},
        {"2024-10-28T07:00:00Z", INT64_C(1730098800) * NS_PER_SECOND},
        {"2024-10-28 07:00", INT64_C(1730098800) * NS_PER_SECOND},
        {"2024-02-29T23:59:59", INT64_C(1709251199) * NS_PER_SECOND},
        {"2000-02-29", INT64_C(951782400) * NS_PER_SECOND},
        {"2024-10-28T07:00:00.5Z", INT64_C(1730098800) * NS_PER_SECOND + 500 * NS_PER_MS},
        {"2024-10-28T07:00:00.000000001Z", INT64_C(1730098800) * NS_PER_SECOND + 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns = -1;
        if (tstamp_parse(&ns, rows[i].text) != ST_OK || ns != rows[i].ns)
            fail_msg("%s gave %lld", rows[i].text, (long long)ns);
    }
}

static void test_parse_refuses(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "2024",
                                      "2024-10",
                                      "2024-1-1",
                                      "2024-10-8",
                                      "24-10-28",
                                      "2024/10/28",
                                      "2023-02-29",
                                      "2100-02-29",
                                      "2024-00-10",
                                      "2024-13-10",
                                      "2024-10-00",
                                      "2024-10-32",
                                      "2024-04-31",
                                      "1969-12-31",
                                      "2201-01-01",
                                      "2024-10-28T",
                                      "2024-10-28T07",
                                      "2024-10-28T24:00",
                                      "2024-10-28T07:60",
                                      "2024-10-28T07:00:60",
                                      "2024-10-28T07:00:00.Z",
                                      "2024-10-28T07:00:00.1234567890Z",
                                      "2024-10-28T07:00:00ZZ",
                                      "2024-10-28T07:00:00+02:00",
                                      "2024-10-28Z",
                                      " 2024-10-28",
                                      "2024-10-28 ",
                                      "2024-10--1",
                                      "2024-+1-01",
                                      "2024-10-28T-1:00",
                                      "2024-10-28T07:00.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 42;
        if (tstamp_parse(&ns, bad[i]) != ST_INVALID || ns != 42) fail_msg("accepted: %s", bad[i]);
    }
}

/* Against the C library's calendar, and back to the millisecond. */
static void test_round_trip(void **state) {
    (void)state;
    struct rng rng = rng_init(seed);
    for (int i = 0; i < 100000; i++) {
        int64_t seconds = (int64_t)rng_below(&rng, 7258118400), ms = (int64_t)rng_below(&rng, 1000),
                back;
        int64_t ns = seconds * NS_PER_SECOND + ms * NS_PER_MS;
        char text[TSTAMP_TEXT_SIZE], want[64];
        time_t t = (time_t)seconds;
        struct tm tm;
        gmtime_r(&t, &tm);
        size_t n = strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(want + n, sizeof want - n, ".%03dZ", (int)ms);
        assert_string_equal(tstamp_format(text, ns + (int64_t)rng_below(&rng, NS_PER_MS)), want);
        assert_int_equal(tstamp_parse(&back, text), ST_OK);
        assert_int_equal(back, ns);
    }
}

static void test_format_before_1970(void **state) {
    (void)state;
    char text[TSTAMP_TEXT_SIZE];
    assert_string_equal(tstamp_format(text, -1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(tstamp_format(text, -NS_PER_DAY), "1969-12-31T00:00:00.000Z");
    assert_string_equal(tstamp_format(text, INT64_MIN), "1677-09-21T00:12:43.145Z");
    assert_string_equal(tstamp_format(text, INT64_MAX), "2262-04-11T23:47:16.854Z");
}

static void test_intervals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"1m", NS_PER_MINUTE},           {"5m", 5 * NS_PER_MINUTE}, {"1h", NS_PER_HOUR},
        {"4h", 4 * NS_PER_HOUR},         {"1d", NS_PER_DAY},        {"30s", 30 * NS_PER_SECOND},
        {"100000d", 100000 * NS_PER_DAY}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns;
        char text[16];
        assert_int_equal(tstamp_interval_parse(&ns, rows[i].text), ST_OK);
        assert_int_equal(ns, rows[i].ns);
        assert_string_equal(tstamp_interval_format(text, ns), rows[i].text);
    }
    static const char *const bad[] = {"",    "h",   "1",  "0h", "-1h",     "+1h",
                                      " 1h", "1hh", "1w", "1H", "100001d", "99999999999999999999h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 42;
        if (tstamp_interval_parse(&ns, bad[i]) != ST_INVALID || ns != 42)
            fail_msg("accepted: %s", bad[i]);
    }
    int64_t ns;
    char text[16];
    assert_int_equal(tstamp_interval_parse(&ns, "60m"), ST_OK);
    assert_string_equal(tstamp_interval_format(text, ns),
                        "1h"); /* in the largest unit that divides */
    assert_string_equal(tstamp_interval_format(text, 1500 * NS_PER_MS), "1500000000ns");
}

static void test_clocks_run(void **state) {
    (void)state;
    int64_t a = tstamp_monotonic_ns(), b = tstamp_monotonic_ns();
    assert_true(b >= a);
    assert_true(tstamp_wall_ns() > INT64_C(1577836800) * NS_PER_SECOND); /* after 2020 */
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20260404;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_rows), cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_format_before_1970),
        cmocka_unit_test(test_intervals),  cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
