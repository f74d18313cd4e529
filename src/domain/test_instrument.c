#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "domain/bar.h"
#include "domain/instrument.h"

static uint64_t seed;

static int64_t e8(const char *text) {
    int64_t value;
    assert_int_equal(fx_parse(&value, text, strlen(text)), ST_OK);
    return value;
}

/* BTCUSDT as served by the venue on 2026-09-15, with the leverage brackets of 2021. */
static struct instrument btcusdt(void) {
    struct instrument in;
    instrument_defaults(&in, "BTCUSDT");
    in.tick_size.e8 = e8("0.10");
    in.px_min.e8 = e8("556.80");
    in.px_max.e8 = e8("4529764");
    in.step_size.e8 = in.market_step_size.e8 = in.qty_min.e8 = in.market_qty_min.e8 = e8("0.001");
    in.qty_max.e8 = e8("1000");
    in.market_qty_max.e8 = e8("120");
    in.notional_min.e8 = e8("50");
    static const struct {
        int64_t floor, cap;
        const char *rate;
        int64_t amount;
        uint32_t leverage;
    } rows[] = {{0, 50000, "0.004", 0, 125},
                {50000, 250000, "0.005", 50, 100},
                {250000, 1000000, "0.01", 1300, 50},
                {1000000, 10000000, "0.025", 16300, 20},
                {10000000, 20000000, "0.05", 266300, 10},
                {20000000, 50000000, "0.1", 1266300, 5}};
    in.bracket_count = sizeof rows / sizeof *rows;
    for (uint32_t i = 0; i < in.bracket_count; i++)
        in.brackets[i] = (struct bracket){.notional_floor = {rows[i].floor * FX_ONE},
                                          .notional_cap = {rows[i].cap * FX_ONE},
                                          .maint_margin_rate = {e8(rows[i].rate)},
                                          .maint_amount = {rows[i].amount * FX_ONE},
                                          .leverage_max = rows[i].leverage};
    return in;
}

/* ---- margin ---- */

static void test_maint_margin_rows(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    static const struct {
        const char *notional, *margin;
        uint32_t leverage;
    } rows[] = {/* notional * rate - amount, by hand */
                {"0", "0", 125},
                {"50", "0.2", 125},
                {"49999.99", "199.99996", 125},
                {"50000", "200", 100},
                {"100000", "450", 100},
                {"250000", "1200", 50},
                {"300000", "1700", 50},
                {"1000000", "8700", 20},
                {"9999999", "233699.975", 20},
                {"10000000", "233700", 10},
                {"20000000", "733700", 5},
                {"49999999.99", "3733699.999", 5},
                {"0.00000001", "0.00000001", 125}}; /* against us: rounded up */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        money_t notional = money_e8(e8(rows[i].notional));
        if (instrument_maint_margin(&in, notional).e8 != e8(rows[i].margin))
            fail_msg("%s: %lld", rows[i].notional,
                     (long long)instrument_maint_margin(&in, notional).e8);
        assert_int_equal(instrument_leverage_max(&in, notional), rows[i].leverage);
    }
    /* Beyond the table: no new position, but one that grew there is still margined by the last row. */
    assert_int_equal(instrument_leverage_max(&in, money_e8(50000000 * FX_ONE)), 0);
    assert_int_equal(instrument_maint_margin(&in, money_e8(60000000 * FX_ONE)).e8,
                     4733700 * FX_ONE);
}

/* The venue's published example: isolated long of 1 BTC at 50000 with wallet 2500 is liquidated at
 * (2500 - 50000) / (0.004 - 1) = 47690.763; there, wallet plus loss equals the maintenance margin. */
static void test_liquidation_example(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    int64_t px = e8("47690.76305221");
    int64_t equity = e8("2500") + px - e8("50000"),
            margin = instrument_maint_margin(&in, money_e8(px)).e8;
    assert_true(llabs(equity - margin) <= 1);
}

static void test_amounts_follow_from_rates(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    int64_t amount = 0;
    for (uint32_t i = 1; i < in.bracket_count; i++) {
        const struct bracket *b = &in.brackets[i];
        amount += fx_mul_floor(b->notional_floor.e8,
                               b->maint_margin_rate.e8 - b[-1].maint_margin_rate.e8);
        assert_int_equal(b->maint_amount.e8, amount);
        assert_int_equal(b->notional_floor.e8, b[-1].notional_cap.e8);
    }
}

static void test_maint_margin_is_continuous_and_rising(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    for (uint32_t i = 1; i < in.bracket_count; i++) {
        int64_t edge = in.brackets[i].notional_floor.e8;
        int64_t below = instrument_maint_margin(&in, money_e8(edge - 1)).e8,
                at = instrument_maint_margin(&in, money_e8(edge)).e8;
        if (at - below < 0 || at - below > 1)
            fail_msg("bracket %u: %lld to %lld", i, (long long)below, (long long)at);
    }
    struct rng rng = rng_init(seed);
    for (int i = 0; i < 100000; i++) {
        int64_t a = (int64_t)rng_below(&rng, (uint64_t)(50000000 * FX_ONE)),
                b = (int64_t)rng_below(&rng, (uint64_t)(50000000 * FX_ONE));
        if (a > b) continue;
        int64_t ma = instrument_maint_margin(&in, money_e8(a)).e8,
                mb = instrument_maint_margin(&in, money_e8(b)).e8;
        assert_true(ma <= mb && mb <= b);
        /* convex: never steeper than the last rate */
        assert_true(mb - ma <= fx_mul_ceil(b - a, FX_ONE / 10) + 1);
    }
}

/* ---- filters against decimals done by hand ---- */

/* Digits of the e8 value as text, so that the twin works on decimals as a person would: strip the point,
 * compare and take remainders digit by digit. */
static int64_t naive_remainder(const char *value, int64_t step_e8) {
    int64_t rest = 0;
    int decimals = -1;
    for (const char *p = value; *p; p++) {
        if (*p == '.') {
            decimals = 0;
            continue;
        }
        if (decimals >= 0) decimals++;
        rest = (rest * 10 + (*p - '0')) % step_e8;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 8; i++) rest = rest * 10 % step_e8;
    return rest;
}

static void random_decimal(char *out, size_t size, struct rng *rng, uint64_t whole_max) {
    int decimals = (int)rng_below(rng, 9);
    uint64_t whole = rng_below(rng, whole_max);
    if (decimals == 0) {
        snprintf(out, size, "%llu", (unsigned long long)whole);
        return;
    }
    uint64_t unit = 1;
    for (int i = 0; i < decimals; i++) unit *= 10;
    snprintf(out, size, "%llu.%0*llu", (unsigned long long)whole, decimals,
             (unsigned long long)rng_below(rng, unit));
}

static void test_px_filter_against_twin(void **state) {
    (void)state;
    struct rng rng = rng_init(seed + 1);
    int ok = 0, off_tick = 0;
    for (int i = 0; i < 100000; i++) {
        struct instrument in = btcusdt();
        static const char *const ticks[] = {"0.1", "0.01", "0.5", "0.00000001", "25", "0.00003"};
        in.tick_size.e8 = e8(ticks[rng_below(&rng, 6)]);
        in.px_min.e8 =
            in.tick_size.e8 * (int64_t)rng_below(&rng, 1000); /* as venues have it: on the grid */
        char text[40];
        random_decimal(text, sizeof text, &rng, i % 2 ? 5000000 : 600);
        int64_t px = e8(text);
        enum filter_code want = FILTER_OK;
        if (px == 0)
            want = FILTER_PX_LE_ZERO;
        else if (px > in.px_max.e8)
            want = FILTER_PX_HIGH;
        else if (px < in.px_min.e8)
            want = FILTER_PX_LOW;
        else if (naive_remainder(text, in.tick_size.e8) != 0)
            want = FILTER_TICK;
        if (instrument_check_px(&in, px_e8(px)) != want)
            fail_msg("%s: %d not %d", text, instrument_check_px(&in, px_e8(px)), want);
        ok += want == FILTER_OK;
        off_tick += want == FILTER_TICK;
    }
    assert_true(ok > 1000 && off_tick > 1000);
}

static void test_px_filter_edges(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    assert_int_equal(instrument_check_px(&in, px_e8(e8("556.80"))), FILTER_OK);
    assert_int_equal(instrument_check_px(&in, px_e8(e8("556.70"))), FILTER_PX_LOW);
    assert_int_equal(instrument_check_px(&in, px_e8(e8("556.85"))), FILTER_TICK);
    assert_int_equal(instrument_check_px(&in, px_e8(e8("4529764"))), FILTER_OK);
    assert_int_equal(instrument_check_px(&in, px_e8(e8("4529764.1"))), FILTER_PX_HIGH);
    assert_int_equal(instrument_check_px(&in, px_e8(0)), FILTER_PX_LE_ZERO);
    assert_int_equal(instrument_check_px(&in, px_e8(-1)), FILTER_PX_LE_ZERO);
    in.px_min.e8 = in.px_max.e8 = in.tick_size.e8 = 0; /* 0 disables a rule */
    assert_int_equal(instrument_check_px(&in, px_e8(1)), FILTER_OK);
    assert_int_equal(instrument_check_px(&in, px_e8(INT64_MAX)), FILTER_OK);
}

static void test_qty_filter(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    static const struct {
        const char *qty;
        enum filter_code limit, market;
    } rows[] = {{"0", FILTER_QTY_LE_ZERO, FILTER_QTY_LE_ZERO},
                {"-1", FILTER_QTY_LE_ZERO, FILTER_QTY_LE_ZERO},
                {"0.0009", FILTER_QTY_LOW, FILTER_QTY_LOW},
                {"0.001", FILTER_OK, FILTER_OK},
                {"0.0015", FILTER_STEP, FILTER_STEP},
                {"120", FILTER_OK, FILTER_OK},
                {"120.001", FILTER_OK, FILTER_QTY_HIGH},
                {"1000", FILTER_OK, FILTER_QTY_HIGH},
                {"1000.001", FILTER_QTY_HIGH, FILTER_QTY_HIGH},
                {"119.99999999", FILTER_STEP, FILTER_STEP}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(instrument_check_qty(&in, qty_e8(e8(rows[i].qty)), false), rows[i].limit);
        assert_int_equal(instrument_check_qty(&in, qty_e8(e8(rows[i].qty)), true), rows[i].market);
    }
    struct rng rng = rng_init(seed + 2);
    for (int i = 0; i < 100000; i++) {
        char text[40];
        random_decimal(text, sizeof text, &rng, 1100);
        int64_t qty = e8(text);
        enum filter_code want = FILTER_OK;
        if (qty == 0)
            want = FILTER_QTY_LE_ZERO;
        else if (qty < 100000)
            want = FILTER_QTY_LOW;
        else if (qty > 1000 * FX_ONE)
            want = FILTER_QTY_HIGH;
        else if (naive_remainder(text, 100000) != 0)
            want = FILTER_STEP;
        assert_int_equal(instrument_check_qty(&in, qty_e8(qty), false), want);
    }
}

static void test_notional_filter(void **state) {
    (void)state;
    struct instrument in = btcusdt();
    assert_int_equal(instrument_check_notional(&in, px_e8(e8("50000")), qty_e8(e8("0.001"))),
                     FILTER_OK);
    assert_int_equal(instrument_check_notional(&in, px_e8(e8("49999.9")), qty_e8(e8("0.001"))),
                     FILTER_NOTIONAL);
    /* 7e-8 times these is 49.9999999999999996 and 50.0000000000000003. */
    assert_int_equal(instrument_check_notional(&in, px_e8(7), qty_e8(71428571428571428)),
                     FILTER_NOTIONAL);
    assert_int_equal(instrument_check_notional(&in, px_e8(7), qty_e8(71428571428571429)),
                     FILTER_OK);
    /* Numbers whose product passes int64: not checked yet when they come here. */
    assert_int_equal(instrument_check_notional(&in, px_e8(INT64_MAX), qty_e8(INT64_MAX)),
                     FILTER_OK);
    struct rng rng = rng_init(seed + 3);
    for (int i = 0; i < 100000; i++) {
        int64_t px = 1 + (int64_t)rng_below(&rng, 100000 * (uint64_t)FX_ONE),
                qty = (int64_t)rng_below(&rng, (uint64_t)FX_ONE / 100);
        long double exact =
            (long double)px * (long double)qty / 1e16L; /* 64 bits of mantissa; ties left out */
        if (fabsl(exact - 50) < 1e-9L) continue;
        assert_int_equal(instrument_check_notional(&in, px_e8(px), qty_e8(qty)),
                         exact < 50 ? FILTER_NOTIONAL : FILTER_OK);
    }
}

/* ---- made instruments ---- */

static void test_defaults_are_usable(void **state) {
    (void)state;
    struct instrument in;
    instrument_defaults(&in, "1000PEPEUSDT");
    assert_string_equal(in.symbol, "1000PEPEUSDT");
    assert_int_equal(in.flags, INSTRUMENT_INFERRED | INSTRUMENT_FUNDING_ASSUMED);
    assert_int_equal(in.funding_interval_ns, INT64_C(28800000000000));
    assert_int_equal(instrument_check_px(&in, px_e8(1)), FILTER_OK);
    assert_int_equal(instrument_check_qty(&in, qty_e8(1), true), FILTER_OK);
    assert_int_equal(instrument_leverage_max(&in, money_e8(1000 * FX_ONE)), 20);
    assert_int_equal(instrument_maint_margin(&in, money_e8(1000 * FX_ONE)).e8, 25 * FX_ONE);
    assert_int_equal(instrument_check_notional(&in, px_e8(FX_ONE), qty_e8(5 * FX_ONE)), FILTER_OK);
    assert_int_equal(instrument_check_notional(&in, px_e8(FX_ONE), qty_e8(5 * FX_ONE - 1)),
                     FILTER_NOTIONAL);
    instrument_defaults(&in, "ASYMBOLTHATISLONGERTHANTHEFIELD");
    assert_string_equal(in.symbol, "ASYMBOLTHATISLONGERTHAN");
}

static void test_infer_sets_the_grid(void **state) {
    (void)state;
    struct instrument in;
    instrument_defaults(&in, "X");
    instrument_infer(&in, 10000, 100000000);
    assert_int_equal(in.tick_size.e8, 10000);
    assert_int_equal(instrument_check_px(&in, px_e8(123450000)), FILTER_OK);
    assert_int_equal(instrument_check_px(&in, px_e8(123455000)), FILTER_TICK);
    assert_int_equal(instrument_check_px(&in, px_e8(5000)), FILTER_PX_LOW);
    assert_int_equal(instrument_check_qty(&in, qty_e8(3 * FX_ONE), true), FILTER_OK);
    assert_int_equal(instrument_check_qty(&in, qty_e8(3 * FX_ONE + 1), false), FILTER_STEP);
}

static void test_bar_possible(void **state) {
    (void)state;
    struct bar good = {.open = {10}, .high = {12}, .low = {9}, .close = {11}, .volume = 5};
    assert_true(bar_is_possible(&good));
    struct bar b = good;
    b.high.e8 = 10;
    assert_false(bar_is_possible(&b));
    b = good, b.low.e8 = 11;
    assert_false(bar_is_possible(&b));
    b = good, b.low.e8 = 0;
    assert_false(bar_is_possible(&b));
    b = good, b.volume = -1;
    assert_false(bar_is_possible(&b));
    b = good, b.volume = (double)NAN;
    assert_false(bar_is_possible(&b));
    b = good, b.open.e8 = 13;
    assert_false(bar_is_possible(&b));
    b = (struct bar){.open = {7}, .high = {7}, .low = {7}, .close = {7}};
    assert_true(bar_is_possible(&b));
}

/* ---- rounding ---- */

/* A contract with an awkward grid: minimum, step and tick that share no factor. */
static struct instrument awkward(struct rng *g) {
    struct instrument in = btcusdt();
    in.tick_size.e8 = 1 + (int64_t)rng_below(g, 40);
    in.px_min.e8 = (int64_t)rng_below(g, 60);
    in.px_max.e8 = rng_below(g, 4) ? 100 + (int64_t)rng_below(g, 400) : 0;
    in.multiplier_up.e8 = rng_below(g, 4) ? e8("1.05") + (int64_t)rng_below(g, FX_ONE) : 0;
    in.multiplier_down.e8 = rng_below(g, 4) ? (int64_t)rng_below(g, 99 * FX_ONE / 100) : 0;
    in.step_size.e8 = in.market_step_size.e8 = 1 + (int64_t)rng_below(g, 20);
    in.qty_min.e8 = in.market_qty_min.e8 = (int64_t)rng_below(g, 30);
    in.qty_max.e8 = in.market_qty_max.e8 = in.qty_min.e8 + (int64_t)rng_below(g, 300);
    return in;
}

/* Every price there is, looked at one by one. */
static bool limit_px_fits(const struct instrument *in, int64_t px, bool buy, int64_t mark) {
    if (instrument_check_px(in, px_e8(px)) != FILTER_OK) return false;
    if (buy) return in->multiplier_up.e8 == 0 || px * FX_ONE <= mark * in->multiplier_up.e8;
    return px * FX_ONE >= mark * in->multiplier_down.e8;
}

static void test_round_limit_px_finds_the_nearest(void **state) {
    (void)state;
    struct rng g = rng_init(seed + 4);
    int none = 0, moved = 0;
    for (int i = 0; i < 20000; i++) {
        struct instrument in = awkward(&g);
        bool buy = rng_below(&g, 2);
        int64_t px = 1 + (int64_t)rng_below(&g, 600), mark = 1 + (int64_t)rng_below(&g, 600);
        int64_t got = instrument_round_limit_px(&in, px_e8(px), buy, px_e8(mark)).e8, best = 0;
        /* in the order's favour if anything fits there, else the nearest on the other side */
        for (int64_t p = px; p > 0 && p <= 2000 && !best; p += buy ? -1 : 1)
            if (limit_px_fits(&in, p, buy, mark)) best = p;
        for (int64_t p = px; p > 0 && p <= 2000 && !best; p += buy ? 1 : -1)
            if (limit_px_fits(&in, p, buy, mark)) best = p;
        if (got != best)
            fail_msg("px %lld mark %lld buy %d: %lld not %lld", (long long)px, (long long)mark, buy,
                     (long long)got, (long long)best);
        none += best == 0;
        moved += best != 0 && best != px;
    }
    assert_true(none > 100 && moved > 1000);
}

static void test_round_qty_finds_the_largest(void **state) {
    (void)state;
    struct rng g = rng_init(seed + 5);
    int none = 0;
    for (int i = 0; i < 20000; i++) {
        struct instrument in = awkward(&g);
        int64_t qty = (int64_t)rng_below(&g, 500), best = 0;
        for (int64_t q = 1; q <= qty; q++)
            if (instrument_check_qty(&in, qty_e8(q), false) == FILTER_OK) best = q;
        assert_int_equal(instrument_round_qty(&in, qty_e8(qty), false).e8, best);
        assert_int_equal(instrument_round_qty(&in, qty_e8(qty), true).e8, best);
        none += best == 0;
    }
    assert_true(none > 100);
}

static void test_least_qty_is_the_smallest_worth_it(void **state) {
    (void)state;
    struct rng g = rng_init(seed + 6);
    int none = 0;
    for (int i = 0; i < 20000; i++) {
        struct instrument in = awkward(&g);
        in.notional_min.e8 = (int64_t)rng_below(&g, 300);
        int64_t px = 1 + (int64_t)rng_below(&g, 3 * FX_ONE), best = 0;
        for (int64_t q = in.qty_max.e8; q > 0; q--)
            if (instrument_check_qty(&in, qty_e8(q), true) == FILTER_OK &&
                instrument_check_notional(&in, px_e8(px), qty_e8(q)) == FILTER_OK)
                best = q;
        assert_int_equal(instrument_least_qty(&in, px_e8(px), true).e8, best);
        none += best == 0;
    }
    assert_true(none > 100);
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20260406;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maint_margin_rows),
        cmocka_unit_test(test_liquidation_example),
        cmocka_unit_test(test_amounts_follow_from_rates),
        cmocka_unit_test(test_maint_margin_is_continuous_and_rising),
        cmocka_unit_test(test_px_filter_against_twin),
        cmocka_unit_test(test_px_filter_edges),
        cmocka_unit_test(test_qty_filter),
        cmocka_unit_test(test_notional_filter),
        cmocka_unit_test(test_round_limit_px_finds_the_nearest),
        cmocka_unit_test(test_round_qty_finds_the_largest),
        cmocka_unit_test(test_least_qty_is_the_smallest_worth_it),
        cmocka_unit_test(test_defaults_are_usable),
        cmocka_unit_test(test_infer_sets_the_grid),
        cmocka_unit_test(test_bar_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
