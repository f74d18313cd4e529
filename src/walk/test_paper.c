/* Markets made by hand, where every gain can be added up on paper; dice that are fair. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "walk/paper.h"

enum { BARS = 96 };
static struct bar bars[2][BARS];
static struct learn_series series[2] = {{"A", bars[0], BARS}, {"B", bars[1], BARS}};
static struct walk_decision records[BARS * 2];
static struct walk_close closes[BARS];

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.17g is not %.17g", a, b);
}

static int64_t close_of(int i) {
    return (int64_t)(i + 1) * NS_PER_HOUR;
}

static struct bar flat_bar(int i, double px) {
    px_t p = px_e8((int64_t)llround(px * 1e8));
    return (struct bar){.open_ts_ns = i * NS_PER_HOUR, .open = p, .high = p, .low = p, .close = p};
}

/* A rises by 1 % an hour, B stands still. */
static void market(void) {
    for (int i = 0; i < BARS; i++) {
        bars[0][i] = flat_bar(i, 100 * pow(1.01, i));
        bars[1][i] = flat_bar(i, 50);
    }
}

static struct walk_decisions decide(int first, int end) {
    struct walk_decisions d = {.interval_ns = NS_PER_HOUR, .symbol_count = 2, .closes = closes};
    memset(records, 0, sizeof records);
    for (int i = first; i < end; i++) {
        closes[d.close_count++] =
            (struct walk_close){close_of(i), &records[d.count], 2, 0, d.count};
        records[d.count].symbol = 0;
        records[d.count + 1].symbol = 1;
        d.count += 2;
    }
    return d;
}

static void days_take_what_ends_in_them(void **state) {
    (void)state;
    struct walk_days d;
    assert_int_equal(walk_days_create(&d, 5 * NS_PER_HOUR, 48 * NS_PER_HOUR, NULL), ST_OK);
    assert_int_equal(d.count, 2);
    walk_days_add(&d, 24 * NS_PER_HOUR, 1); /* midnight ends the first */
    walk_days_add(&d, 24 * NS_PER_HOUR + 1, 2);
    walk_days_add(&d, 48 * NS_PER_HOUR, 4);
    walk_days_add(&d, 48 * NS_PER_HOUR + 1, 8);
    walk_days_add(&d, 0, 16);
    assert_true(d.returns[0] == 1 && d.returns[1] == 6);
    walk_days_free(&d);
}

/* The ensemble wants A at one close: bought there, held twelve hours, sold; a half of the capital each. */
static void one_trade_under_the_rule(void **state) {
    (void)state;
    struct promotion_config config = promotion_config_defaults();
    struct walk_days days;
    struct walk_rule_totals t;
    market();
    struct walk_decisions d = decide(10, 90);
    records[2 * 5].p[LABEL_BUY] = 1; /* at close 15, about A */
    records[2 * 5].expected = 0.01f;
    records[2 * 5 + 1].p[LABEL_BUY] = 1; /* B, less than it would cost */
    records[2 * 5 + 1].expected = 0.0012f;
    assert_int_equal(walk_days_create(&days, close_of(10), close_of(89), NULL), ST_OK);
    assert_int_equal(walk_rule(&days, &t, &d, series, WALK_ENSEMBLE, &config, NULL), ST_OK);
    assert_int_equal(t.changes, 2);
    near(t.cost, 0.0007, 1e-15);
    near(t.net, (12 * 0.01 - 2 * 0.0007) / 2, 1e-8);
    near(t.exposure, 0.5 * 12 / 80, 1e-12);
    near(days.returns[0], ((23 - 15) * 0.01 - 0.0007) / 2, 1e-8); /* to midnight, the entry paid */
    near(days.returns[0] + days.returns[1], t.net, 1e-12);
    walk_days_free(&days);
}

static void the_last_positions_are_closed(void **state) {
    (void)state;
    struct promotion_config config = promotion_config_defaults();
    struct walk_days days;
    struct walk_rule_totals t;
    market();
    struct walk_decisions d = decide(10, 20);
    records[2 * 6].p[LABEL_SELL] = 1;
    records[2 * 6].expected = -0.01f; /* short what rises */
    assert_int_equal(walk_days_create(&days, close_of(10), close_of(19), NULL), ST_OK);
    assert_int_equal(walk_rule(&days, &t, &d, series, WALK_ENSEMBLE, &config, NULL), ST_OK);
    assert_int_equal(t.changes, 2);
    near(t.net, (-3 * 0.01 - 2 * 0.0007) / 2, 1e-8);
    walk_days_free(&days);
}

static void a_holder_holds(void **state) {
    (void)state;
    struct walk_days days;
    double sum = 0;
    market();
    assert_int_equal(walk_days_create(&days, close_of(10), close_of(60), NULL), ST_OK);
    walk_hold(&days, series, 2, close_of(10), close_of(60), NS_PER_HOUR, 0.001);
    for (size_t i = 0; i < days.count; i++) sum += days.returns[i];
    double grown = pow(1.01, 49); /* from close 11, the first behind the start, to 60 */
    near(sum, 0.5 * (0.999 * 0.999 * grown - 1) + 0.5 * (0.999 * 0.999 - 1), 1e-7);
    walk_days_free(&days);
}

/* Market without a direction: the dice lose their costs, and nothing else. */
static void dice_pay_their_costs(void **state) {
    (void)state;
    struct rng r = rng_init(3);
    double px = 100;
    static struct bar long_bars[3000];
    for (int i = 0; i < 3000; i++) {
        px *= 1 + 0.005 * rng_normal(&r);
        long_bars[i] = flat_bar(i, px);
    }
    struct learn_series s = {"A", long_bars, 3000};
    struct walk_trade trades[40];
    for (int i = 0; i < 40; i++)
        trades[i] =
            (struct walk_trade){close_of(100 + 50 * i), close_of(106 + 50 * i), 0.5, 0.02, 0.001};
    struct walk_dice a, b;
    assert_int_equal(
        walk_dice(&a, trades, 40, &s, 1, 0, close_of(3000), NS_PER_HOUR, 2000, 7, NULL), ST_OK);
    near(a.own, 0.8, 1e-12);
    /* One trade's deviation 0.5 * .005 * sqrt(6), of forty .039; of the mean of 2,000 draws .0009. */
    near(a.mean, -40 * 0.5 * 0.001, 0.004);
    assert_true(a.low > -0.02 - 3 * 0.039 && a.high < -0.02 + 3 * 0.039 && a.low < a.high);
    near(a.at_least_own, 1.0 / 2001, 1e-12); /* none did */
    for (int i = 0; i < 40; i++) trades[i].net = -0.0005;
    assert_int_equal(
        walk_dice(&b, trades, 40, &s, 1, 0, close_of(3000), NS_PER_HOUR, 2000, 7, NULL), ST_OK);
    near(b.mean, a.mean, 0);
    assert_true(b.at_least_own > 0.4 && b.at_least_own < 0.6);
}

static void dice_stay_inside(void **state) {
    (void)state;
    market();
    struct walk_trade t = {close_of(0), close_of(200), 1, 0, 0};
    struct walk_dice d;
    assert_int_equal(walk_dice(&d, &t, 1, series, 2, 0, close_of(90), NS_PER_HOUR, 100, 1, NULL),
                     ST_OK);
    assert_true(isnan(d.mean) && d.draws == 0); /* longer than the bars */
    t.exit_ns = close_of(1);
    /* Closes of the window are 11 and 12 alone: one place, either side. */
    assert_int_equal(
        walk_dice(&d, &t, 1, series, 1, close_of(10), close_of(12), NS_PER_HOUR, 100, 1, NULL),
        ST_OK);
    near(d.high, 0.01, 1e-8);
    near(d.low, -0.01, 1e-8);
    assert_int_equal(walk_dice(&d, NULL, 0, series, 2, 0, 1, NS_PER_HOUR, 100, 1, NULL), ST_OK);
    assert_true(isnan(d.own));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_take_what_ends_in_them),   cmocka_unit_test(one_trade_under_the_rule),
        cmocka_unit_test(the_last_positions_are_closed), cmocka_unit_test(a_holder_holds),
        cmocka_unit_test(dice_pay_their_costs),          cmocka_unit_test(dice_stay_inside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
