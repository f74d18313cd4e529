/* Request limits: windows, bans that grow, bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/server/limits.h"

/* The start of a minute that is the start of five, too. */
static const int64_t START = INT64_C(1700000100) * NS_PER_SECOND;

static struct limiter *make(void) {
    struct limiter *l;
    struct limiter_config config = limiter_config_defaults();
    assert_int_equal(limiter_create(&l, &config, NULL), ST_OK);
    return l;
}

static void weight_is_counted_by_the_minute(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t retry;
    assert_int_equal(limiter_weight(l, "a", START), 0);
    assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 2400, START, &retry), 0);
    assert_int_equal(retry, 0);
    assert_int_equal(limiter_weight(l, "a", START), 2400);
    assert_int_equal(limiter_charge(l, "b", POOL_WEIGHT, 1, START, &retry), 0);
    assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, START + 59 * NS_PER_SECOND + 1, &retry),
                     429);
    assert_int_equal(retry, 1000);
    assert_int_equal(limiter_weight(l, "a", START + NS_PER_MINUTE), 0);
    assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, START + NS_PER_MINUTE, &retry), 0);
    assert_int_equal(limiter_weight(l, "a", START + NS_PER_MINUTE), 1);
    limiter_destroy(l);
}

static void pools_do_not_mix(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t retry;
    assert_int_equal(limiter_charge(l, "a", POOL_FUNDING, 500, START, &retry), 0);
    assert_int_equal(limiter_charge(l, "a", POOL_FUNDING, 1, START, &retry), 429);
    assert_int_equal(retry, 300000);
    assert_int_equal(limiter_charge(l, "a", POOL_DATA, 1000, START, &retry), 0);
    assert_int_equal(limiter_charge(l, "a", POOL_DATA, 1, START, &retry), 429);
    assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, START, &retry), 0);
    assert_int_equal(limiter_weight(l, "a", START), 1);
    assert_int_equal(limiter_charge(l, "a", POOL_FUNDING, 1, START + 5 * NS_PER_MINUTE, &retry), 0);
    limiter_destroy(l);
}

/* Eleven refused requests within a minute earn a ban; each ban is twice the last, three days at most. */
static void bans_grow(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t now = START, retry, want = 2 * NS_PER_MINUTE;
    for (int ban = 0; ban < 16; ban++) {
        limiter_charge(l, "a", POOL_WEIGHT, 2400, now, &retry);
        for (int i = 0; i < 10; i++)
            assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, now, &retry), 429);
        assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, now, &retry), 418);
        assert_int_equal(retry, want / NS_PER_MS);
        assert_int_equal(limiter_charge(l, "b", POOL_WEIGHT, 1, now, &retry), 0);
        assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, now + want - 1, &retry), 418);
        assert_int_equal(limiter_charge(l, "a", POOL_FUNDING, 1, now + want - 1, &retry), 418);
        now = (now + want) / NS_PER_MINUTE * NS_PER_MINUTE + NS_PER_MINUTE;
        assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 0, now, &retry), 0);
        want = want * 2 < 3 * NS_PER_DAY ? want * 2 : 3 * NS_PER_DAY;
    }
    assert_int_equal(want, 3 * NS_PER_DAY);
    limiter_destroy(l);
}

static void offences_of_two_minutes_do_not_add_up(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t retry;
    for (int minute = 0; minute < 3; minute++) {
        int64_t now = START + minute * NS_PER_MINUTE;
        limiter_charge(l, "a", POOL_WEIGHT, 2400, now, &retry);
        for (int i = 0; i < 10; i++)
            assert_int_equal(limiter_charge(l, "a", POOL_WEIGHT, 1, now, &retry), 429);
    }
    limiter_destroy(l);
}

static void orders_have_two_windows(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t retry, now = START;
    uint32_t in_10s, in_1m;
    for (int i = 0; i < 4; i++, now += 10 * NS_PER_SECOND) {
        assert_int_equal(limiter_order(l, 7, 300, 300, now, &retry), 0);
        assert_int_equal(limiter_order(l, 7, 1, 0, now, &retry), 429);
        assert_int_equal(retry, 10000);
    }
    limiter_orders(l, 7, now - 1, &in_10s, &in_1m);
    assert_int_equal(in_10s, 301);
    assert_int_equal(in_1m, 1200);
    assert_int_equal(limiter_order(l, 7, 1, 1, now, &retry), 429);
    assert_int_equal(retry, 20000); /* the minute, not the ten seconds */
    assert_int_equal(limiter_order(l, 8, 1, 1, now, &retry), 0);
    limiter_orders(l, 9, now, &in_10s, &in_1m);
    assert_int_equal(in_10s + in_1m, 0);
    limiter_orders(l, 7, START + NS_PER_MINUTE, &in_10s, &in_1m);
    assert_int_equal(in_10s + in_1m, 0);
    assert_int_equal(limiter_order(l, 7, 1, 1, START + NS_PER_MINUTE, &retry), 0);
    limiter_destroy(l);
}

/* More addresses than there is room for: the banned one and the one that keeps coming stay. */
static void crowd_does_not_push_out_the_banned(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t retry;
    char peer[80];
    limiter_charge(l, "bad", POOL_WEIGHT, 2400, START, &retry);
    for (int i = 0; i < 11; i++) limiter_charge(l, "bad", POOL_WEIGHT, 1, START, &retry);
    for (int i = 0; i < 200000; i++) {
        snprintf(peer, sizeof peer, "2001:db8::%x", (unsigned)i);
        assert_int_equal(limiter_charge(l, peer, POOL_WEIGHT, 1, START + 1 + i, &retry), 0);
        if (i % 1000 == 0)
            assert_int_equal(limiter_charge(l, "good", POOL_WEIGHT, 1, START + 1 + i, &retry), 0);
    }
    assert_int_equal(limiter_charge(l, "bad", POOL_WEIGHT, 1, START + 300000, &retry), 418);
    assert_int_equal(limiter_weight(l, "good", START + 300000), 200);
    /* Beyond what is kept of an address, two are one. */
    memset(peer, 'x', sizeof peer - 1);
    peer[sizeof peer - 1] = '\0';
    limiter_charge(l, peer, POOL_WEIGHT, 5, START, &retry);
    assert_int_equal(limiter_weight(l, peer, START), 5);
    assert_int_equal(limiter_charge(l, "", POOL_WEIGHT, 5, START, &retry), 0);
    assert_int_equal(limiter_weight(l, "", START), 5);
    limiter_destroy(l);
}

static void counters_do_not_wrap(void **state) {
    (void)state;
    struct limiter *l = make();
    int64_t retry;
    limiter_charge(l, "a", POOL_WEIGHT, UINT32_MAX, START, &retry);
    limiter_charge(l, "a", POOL_WEIGHT, UINT32_MAX, START, &retry);
    assert_true(limiter_weight(l, "a", START) == UINT32_MAX);
    limiter_destroy(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_is_counted_by_the_minute),
        cmocka_unit_test(pools_do_not_mix),
        cmocka_unit_test(bans_grow),
        cmocka_unit_test(offences_of_two_minutes_do_not_add_up),
        cmocka_unit_test(orders_have_two_windows),
        cmocka_unit_test(crowd_does_not_push_out_the_banned),
        cmocka_unit_test(counters_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
