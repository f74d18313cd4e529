/* The contracts of a plain exchange, and those of them that are known against the venue's own
 * table. */
#include "venue/market/test_market.h"

enum { N = MARKET_SYMBOLS_MAX };

static void contracts_are_usable(void **state) {
    (void)state;
    static struct instrument in[N];
    static px_t px[N];
    market_symbols_default(in, px, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(instrument_check_px(&in[i], px[i]), FILTER_OK);
        assert_int_equal(instrument_check_qty(&in[i], in[i].qty_max, false), FILTER_OK);
        assert_int_equal(instrument_check_qty(&in[i], in[i].market_qty_max, true), FILTER_OK);
        assert_true(in[i].market_qty_max.e8 <= in[i].qty_max.e8);
        assert_true(in[i].bracket_count >= 8 && in[i].brackets[0].notional_floor.e8 == 0);
        for (uint32_t k = 1; k < in[i].bracket_count; k++) {
            const struct bracket *b = &in[i].brackets[k];
            assert_int_equal(b->notional_floor.e8, b[-1].notional_cap.e8);
            assert_true(b->leverage_max < b[-1].leverage_max);
            money_t below = {b->notional_floor.e8 - 1};
            int64_t jump = instrument_maint_margin(&in[i], b->notional_floor).e8 -
                           instrument_maint_margin(&in[i], below).e8;
            assert_true(jump >= 0 && jump <= 1);
        }
        for (int k = 0; k < i; k++) assert_string_not_equal(in[i].symbol, in[k].symbol);
        if (i < 10) continue;
        assert_true(px[i].e8 >= FX_ONE / 101 && px[i].e8 <= 5001 * FX_ONE);
        int64_t ticks = px[i].e8 / in[i].tick_size.e8;
        assert_true(ticks >= 9999 && ticks <= 100001);
        assert_true(in[i].flags & INSTRUMENT_SYNTHETIC);
        assert_int_equal(in[i].notional_min.e8, 5 * FX_ONE);
        /* A step is worth a tenth of a quote unit up to one, as far as whole units go. */
        double unit = px_to_f64(px[i]) * qty_to_f64(in[i].step_size);
        assert_true(unit <= 1.0 && (unit > 0.099 || in[i].step_size.e8 == FX_ONE));
    }
    assert_string_equal(in[9].symbol, "AVAXUSDT");
    assert_string_equal(in[10].symbol, "SYN011USDT");
    assert_string_equal(in[399].symbol, "SYN400USDT");
    /* A prefix is the same contracts. */
    static struct instrument few[20];
    static px_t few_px[20];
    market_symbols_default(few, few_px, 20);
    assert_memory_equal(few, in, sizeof few);
    assert_memory_equal(few_px, px, sizeof few_px);
}

/* binance-usdm §3.2 and §9.6. */
static void btcusdt_is_the_venues(void **state) {
    (void)state;
    struct instrument in;
    px_t px;
    market_symbols_default(&in, &px, 1);
    assert_string_equal(in.symbol, "BTCUSDT");
    assert_int_equal(in.tick_size.e8, 10000000);
    assert_int_equal(in.px_min.e8, 55680000000);
    assert_int_equal(in.px_max.e8, 452976400000000);
    assert_int_equal(in.step_size.e8, 100000);
    assert_int_equal(in.qty_min.e8, 100000);
    assert_int_equal(in.qty_max.e8, 1000 * FX_ONE);
    assert_int_equal(in.market_qty_max.e8, 120 * FX_ONE);
    assert_int_equal(in.notional_min.e8, 50 * FX_ONE);
    assert_int_equal(in.multiplier_up.e8, 105000000);
    assert_int_equal(in.multiplier_down.e8, 95000000);
    assert_int_equal(in.market_take_bound.e8, 5000000);
    assert_int_equal(in.liquidation_fee.e8, 1250000);
    assert_int_equal(in.orders_max, 200);
    assert_int_equal(in.onboard_ts_ns, INT64_C(1567965300000) * NS_PER_MS);
    const int64_t row[4][5] = {{0, 300000, 150, 400000, 0},
                               {300000, 800000, 100, 500000, 300},
                               {800000, 3000000, 75, 650000, 1500},
                               {3000000, 12000000, 50, 1000000, 12000}};
    for (int k = 0; k < 4; k++) {
        assert_int_equal(in.brackets[k].notional_floor.e8, row[k][0] * FX_ONE);
        assert_int_equal(in.brackets[k].notional_cap.e8, row[k][1] * FX_ONE);
        assert_int_equal(in.brackets[k].leverage_max, row[k][2]);
        assert_int_equal(in.brackets[k].maint_margin_rate.e8, row[k][3]);
        assert_int_equal(in.brackets[k].maint_amount.e8, row[k][4] * FX_ONE);
    }
}

/* Last row of the venue's table of late 2025: leverage 1, 50 %, and the cum that all rows before it
 * lead to. */
static void cums_add_up_to_the_venues(void **state) {
    (void)state;
    static const int64_t cum[10] = {421482000, 280507000, 66731475, 25024810, 16683735,
                                    33366280,  16681300,  13345100, 13347050, 13345325};
    struct instrument in[10];
    px_t px[10];
    market_symbols_default(in, px, 10);
    for (int i = 0; i < 10; i++) {
        const struct bracket *b = &in[i].brackets[in[i].bracket_count - 1];
        assert_int_equal(b->leverage_max, 1);
        assert_int_equal(b->maint_margin_rate.e8, FX_ONE / 2);
        assert_int_equal(b->maint_amount.e8, cum[i] * FX_ONE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contracts_are_usable),
        cmocka_unit_test(btcusdt_is_the_venues),
        cmocka_unit_test(cums_add_up_to_the_venues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
