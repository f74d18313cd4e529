#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "venue/server/faults.h"

static void test_grammar(void **state) {
    (void)state;
    struct faults f;
    struct err err;
    faults_init(&f, 1);
    assert_false(faults_are_on(&f));
    assert_int_equal(faults_parse(&f, "all", &err), ST_OK);
    for (int k = 0; k < FAULT_COUNT; k++) assert_true(f.rows[k].rate > 0);
    assert_int_equal(faults_parse(&f, "lost_ack=0.25,stream_drop=1:42", &err), ST_OK);
    assert_true(f.rows[FAULT_LOST_ACK].rate == 0.25 && f.rows[FAULT_DROP].rate == 1);
    assert_true(f.rows[FAULT_SWAP].rate == 0); /* what is not named is off */
    assert_int_equal(f.seed, 42);
    assert_int_equal(faults_parse(&f, "all,lost_ack=0", &err), ST_OK);
    assert_true(f.rows[FAULT_LOST_ACK].rate == 0 && f.rows[FAULT_DROP].rate > 0);
    assert_int_equal(f.seed, 42);
    assert_int_equal(faults_parse(&f, "lost_ack=0.5,all", &err), ST_OK);
    assert_true(f.rows[FAULT_LOST_ACK].rate < 0.5);
    assert_int_equal(faults_parse(&f, "none:3", &err), ST_OK);
    assert_false(faults_are_on(&f));
    assert_int_equal(f.seed, 3);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      ",",
                                      "all,",
                                      ":1",
                                      "all:",
                                      "all:x",
                                      "all:-1",
                                      "all:1:2",
                                      "all:99999999999999999999",
                                      "lost_ack",
                                      "lost_ack=",
                                      "lost_ack=1.5",
                                      "lost_ack=-0.1",
                                      "lost_ack=nan",
                                      "lost_ack=0x1",
                                      "lost_ack= 0.1",
                                      "lost_ack=0.1x",
                                      "no_such=0.1",
                                      "none,all",
                                      "=0.1"};
    struct faults f, before;
    faults_init(&f, 9);
    fault_set(&f, FAULT_BAN, 0.5, NULL);
    before = f;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        if (faults_parse(&f, bad[i], &err) != ST_INVALID) fail_msg("'%s' was accepted", bad[i]);
        assert_true(err.text[0]);
        assert_memory_equal(&f, &before, sizeof f);
    }
    struct err err = {0};
    faults_parse(&f, "lost_ack=0.1,tea=0.1", &err);
    assert_non_null(strstr(err.text, "tea"));
}

static void test_names(void **state) {
    (void)state;
    for (int k = 0; k < FAULT_COUNT; k++) {
        assert_int_equal(fault_find(fault_name((enum fault)k)), k);
        assert_true(strlen(fault_about((enum fault)k)) > 5);
    }
    assert_int_equal(fault_find("all"), -1);
}

/* Each kind happens about as often as it should: within five standard deviations of a million draws. */
static void test_rates(void **state) {
    (void)state;
    enum { DRAWS = 1000000 };
    static const double rates[] = {0, 0.001, 0.02, 0.5, 1};
    struct faults f;
    faults_init(&f, 7);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        double p = rates[i];
        fault_set(&f, FAULT_LATE_ACK, p, NULL);
        uint64_t before = f.rows[FAULT_LATE_ACK].fired;
        for (int n = 0; n < DRAWS; n++) fault_ask(&f, FAULT_LATE_ACK);
        double fired = (double)(f.rows[FAULT_LATE_ACK].fired - before);
        assert_true(fabs(fired - DRAWS * p) <= 5 * sqrt(DRAWS * p * (1 - p)));
    }
    assert_int_equal(f.rows[FAULT_LATE_ACK].asked, 5 * DRAWS);
}

/* One seed, one sequence; other kinds and switches on the way do not move it; another seed is another. */
static void test_determinism(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    static bool first[DRAWS], again[DRAWS], other[DRAWS];
    struct faults f;
    struct err err;
    faults_init(&f, 0);
    assert_int_equal(faults_parse(&f, "lost_ack=0.3:11", &err), ST_OK);
    for (int i = 0; i < DRAWS; i++) first[i] = fault_ask(&f, FAULT_LOST_ACK);
    assert_int_equal(faults_parse(&f, "all,lost_ack=0.3:11", &err), ST_OK);
    for (int i = 0; i < DRAWS; i++) {
        fault_ask(&f, FAULT_DROP);
        if (i == 1000) fault_set(&f, FAULT_LOST_ACK, 0, NULL);
        if (i == 2000) fault_set(&f, FAULT_LOST_ACK, 0.3, NULL);
        again[i] = fault_ask(&f, FAULT_LOST_ACK);
    }
    assert_memory_equal(first, again, 1000);
    assert_memory_equal(first + 2000, again + 2000, DRAWS - 2000);
    for (int i = 1000; i < 2000; i++) assert_false(again[i]);
    assert_int_equal(faults_parse(&f, "lost_ack=0.3:12", &err), ST_OK);
    for (int i = 0; i < DRAWS; i++) other[i] = fault_ask(&f, FAULT_LOST_ACK);
    assert_memory_not_equal(first, other, sizeof first);
    uint64_t seed = 11;
    fault_set(&f, FAULT_LOST_ACK, 0.3, &seed);
    for (int i = 0; i < DRAWS; i++) assert_int_equal(fault_ask(&f, FAULT_LOST_ACK), first[i]);
}

static void test_force(void **state) {
    (void)state;
    struct faults f;
    faults_init(&f, 1);
    fault_force(&f, FAULT_BAN);
    fault_force(&f, FAULT_BAN);
    assert_true(faults_are_on(&f));
    assert_false(fault_ask(&f, FAULT_LIMIT));
    assert_true(fault_ask(&f, FAULT_BAN));
    assert_true(fault_ask(&f, FAULT_BAN));
    assert_false(fault_ask(&f, FAULT_BAN));
    assert_false(faults_are_on(&f));
    for (int i = 0; i < 1000; i++) assert_in_range(fault_draw(&f, FAULT_BAN, 5, 8), 5, 8);
    assert_int_equal(fault_draw(&f, FAULT_BAN, 3, 3), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_rates),
        cmocka_unit_test(test_determinism), cmocka_unit_test(test_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
