/* Against strtod of the C library, which rounds correctly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "ml/table/table_internal.h"

static uint64_t seed;

static void check(const char *text) {
    char line[1200];
    double expected = strtod(text, NULL), got = 0;
    snprintf(line, sizeof line, "%s,", text);
    const char *end = table_number(&got, line);
    if (!end || *end != ',' || memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("'%s' gives %.17g, not %.17g", text, got, expected);
}

static void test_by_hand(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "+0",
        "0.0",
        "-0.000e5",
        "1",
        "+1",
        "-1",
        ".5",
        "5.",
        "-.5e1",
        "1e0",
        "1E+2",
        "00012.500",
        "9007199254740992",
        "9007199254740993",
        "9007199254740995",
        "9007199254740993.00000000000000000000001",
        "0.1",
        "0.30000000000000004",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890",
        "9999999999999999999",
        "9999999999999999999e27",
        "9999999999999999999e-27",
        "18446744073709551615",
        "18446744073709551616",
        "1e22",
        "1e23",
        "1e27",
        "1e28",
        "1e-22",
        "1e-23",
        "1e-27",
        "1e-28",
        "3e-27",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e309",
        "2.2250738585072012e-308",
        "4.9e-324",
        "2e-324",
        "1e-400",
        "1e99999999999999999999",
        "0e99999999999999999999",
        "1e-99999999999999999999",
        "1.0000000180025095e-35",
        "3.4028234663852886e+38",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000001e81"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check(texts[i]);
    char zeros[1100] = "1";
    memset(zeros + 1, '0', 400);
    check(zeros);
    strcpy(zeros + 300, ".00000000000000000000000000000000001");
    check(zeros);
}

static void test_words(void **state) {
    (void)state;
    double x = 0;
    static const char *const missing[] = {"nan", "NaN", "NAN", "-nan", "NA", "na", "null", "NULL"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        x = 0;
        const char *end = table_number(&x, missing[i]);
        assert_true(end && *end == 0 && isnan(x));
    }
    static const char *const infinite[] = {"inf", "Inf", "INFINITY", "+inf"};
    for (size_t i = 0; i < sizeof infinite / sizeof *infinite; i++) {
        const char *end = table_number(&x, infinite[i]);
        assert_true(end && *end == 0 && isinf(x) && x > 0);
    }
    const char *end = table_number(&x, "-Infinity;");
    assert_true(end && *end == ';' && isinf(x) && x < 0);
    static const char *const none[] = {"",  "-",   "+",   ".",  "-.",    "e5", ".e5",
                                       "x", "--1", "+-1", "\n", "\"1\"", "i",  "n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_null(table_number(&x, none[i]));
    /* What is no part of the number is left. */
    static const struct {
        const char *text, *left;
    } parts[] = {{"1e", "e"},   {"1e+", "e+"}, {"1.2.3", ".3"}, {"0x10", "x10"},
                 {"1-2", "-2"}, {"nano", "o"}, {"1 2", " 2"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_string_equal(table_number(&x, parts[i].text), parts[i].left);
}

static void test_random(void **state) {
    (void)state;
    struct rng rng = rng_init(seed);
    char text[128];
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = rng_u64(&rng);
        double any;
        memcpy(&any, &bits, sizeof any);
        if (isfinite(any)) {
            snprintf(text, sizeof text, "%.*g", 1 + (int)rng_below(&rng, 19), any);
            check(text);
        }
        double near_one = (rng_f64(&rng) - 0.5) * pow(10, (double)rng_below(&rng, 40) - 20);
        snprintf(text, sizeof text, "%.17g", near_one);
        check(text);
        snprintf(text, sizeof text, "%.*f", (int)rng_below(&rng, 30), near_one);
        check(text);
        snprintf(text, sizeof text, "%llue%d",
                 (unsigned long long)(rng_u64(&rng) >> rng_below(&rng, 64)),
                 (int)rng_below(&rng, 60) - 30);
        check(text);
    }
}

/* Just between two doubles, and one unit of the last digit beside: where rounding can go wrong. */
static void test_halfway(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 1);
    char text[128];
    for (int i = 0; i < 200000; i++) {
        uint64_t odd = (UINT64_C(1) << 53 | (rng_u64(&rng) >> 11)) * 2 + 1; /* 55 bits: a tie */
        int shift = (int)rng_below(&rng, 10);
        snprintf(text, sizeof text, "%llu",
                 (unsigned long long)(odd << shift) + rng_below(&rng, 3) - 1);
        check(text);
        /* The same divided by a power of two, in exact decimals. */
        __extension__ unsigned __int128 scaled = odd;
        int halvings = (int)rng_below(&rng, 5);
        for (int k = 0; k < halvings; k++) scaled *= 5;
        if (scaled >> 64) continue;
        snprintf(text, sizeof text, "%llue-%d", (unsigned long long)scaled + rng_below(&rng, 3) - 1,
                 halvings);
        check(text);
    }
}

int main(void) {
    const char *text_seed = getenv("TEST_SEED");
    seed = text_seed ? strtoull(text_seed, NULL, 10) : 20261122;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_halfway)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
