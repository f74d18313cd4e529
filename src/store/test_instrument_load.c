/* Contracts: out of the exchange's JSON, into the store, and fitted to bars of another year. */
#include "store/test_store.h"

#include "store/contracts.h"

static char dir[SCRATCH_SIZE];
static struct err err;
static char problems[2048];

static int setup(void **state) {
    (void)state;
    scratch_make(dir);
    problems[0] = '\0';
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(dir);
    return 0;
}

static void on_problem(void *context, uint64_t line, const char *text) {
    (void)context;
    size_t n = strlen(problems);
    snprintf(problems + n, sizeof problems - n, "%llu:%s;", (unsigned long long)line, text);
}

static enum status import(const char *json) {
    struct rules_list list = {0};
    enum status st = contracts_parse(&list, json, strlen(json), on_problem, NULL, &err);
    if (st == ST_OK) st = rules_merge(dir, list.rows, list.count, &err);
    rules_list_free(&list);
    return st;
}

/* As served for BTCUSDT in September 2026, shortened; the order of keys in filters varies there. */
static const char exchange_info[] =
    "{\"timezone\":\"UTC\",\"rateLimits\":[{\"limit\":2400}],\"symbols\":[\n"
    "{\"symbol\":\"TESTUSDT\",\"contractType\":\"PERPETUAL\",\"deliveryDate\":4133404800000,"
    "\"onboardDate\":1567965300000,\"status\":\"TRADING\",\"liquidationFee\":\"0.012500\","
    "\"marketTakeBound\":\"0.05\",\"filters\":["
    "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"56.80\",\"maxPrice\":\"452\",\"tickSize\":"
    "\"0.10\"},"
    "{\"maxQty\":\"1000\",\"stepSize\":\"0.001\",\"minQty\":\"0.002\",\"filterType\":\"LOT_SIZE\"},"
    "{\"filterType\":\"MARKET_LOT_SIZE\",\"minQty\":\"0.001\",\"maxQty\":\"120\",\"stepSize\":"
    "\"0.001\"},"
    "{\"filterType\":\"MAX_NUM_ORDERS\",\"limit\":200},"
    "{\"filterType\":\"MIN_NOTIONAL\",\"notional\":\"50\"},"
    "{\"filterType\":\"PERCENT_PRICE\",\"multiplierUp\":\"1.0600\",\"multiplierDown\":\"0.9400\","
    "\"multiplierDecimal\":\"4\"}]},\n"
    "{\"symbol\":\"NOTICKUSDT\",\"contractType\":\"PERPETUAL\",\"filters\":[]},\n"
    "{\"symbol\":\"SPOTUSDT\",\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"1\"}]},"
    "\n{\"symbol\":\"DEADUSDT\",\"contractType\":\"PERPETUAL\",\"status\":\"SETTLING\","
    "\"deliveryDate\":1900000000000,\"filters\":["
    "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"0\",\"maxPrice\":\"0\",\"tickSize\":\"0.01\"},"
    "{\"filterType\":\"LOT_SIZE\",\"minQty\":\"1\",\"maxQty\":\"99999999999999\",\"stepSize\":"
    "\"1\"}"
    "]}]}";

static const char brackets[] =
    "[{\"symbol\":\"TESTUSDT\",\"notionalCoef\":1.5,\"brackets\":["
    "{\"bracket\":1,\"initialLeverage\":125,\"notionalCap\":50000,\"notionalFloor\":0,"
    "\"maintMarginRatio\":0.004,\"cum\":0.0},"
    "{\"bracket\":2,\"initialLeverage\":100,\"notionalCap\":600000,\"notionalFloor\":50000,"
    "\"maintMarginRatio\":0.005,\"cum\":50.0}]},"
    "{\"symbol\":\"HOLEUSDT\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":125,"
    "\"notionalCap\":50000,\"notionalFloor\":1,\"maintMarginRatio\":0.004,\"cum\":0.0}]}]";

static void rules_come_from_the_exchange(void **state) {
    (void)state;
    struct instrument in;
    assert_int_equal(import(exchange_info), ST_OK);
    assert_non_null(strstr(problems, "3:NOTICKUSDT left out: no PRICE_FILTER"));
    assert_non_null(strstr(problems, "4:SPOTUSDT left out: no contractType"));
    assert_int_equal(import(brackets), ST_OK);
    assert_non_null(strstr(problems, "HOLEUSDT left out: brackets do not begin at 0"));
    assert_int_equal(import("[{\"symbol\":\"TESTUSDT\",\"fundingIntervalHours\":4}]"), ST_OK);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", NULL, &err), ST_OK);
    assert_string_equal(in.symbol, "TESTUSDT");
    assert_int_equal(in.flags, INSTRUMENT_FUNDING_ASSUMED);
    assert_int_equal(in.tick_size.e8, 10000000);
    assert_int_equal(in.px_min.e8, INT64_C(5680000000));
    assert_int_equal(in.px_max.e8, INT64_C(45200000000));
    assert_int_equal(in.step_size.e8, 100000);
    assert_int_equal(in.qty_min.e8, 200000);
    assert_int_equal(in.qty_max.e8, 1000 * FX_ONE);
    assert_int_equal(in.market_qty_max.e8, 120 * FX_ONE);
    assert_int_equal(in.notional_min.e8, 50 * FX_ONE);
    assert_int_equal(in.multiplier_up.e8, 106000000);
    assert_int_equal(in.multiplier_down.e8, 94000000);
    assert_int_equal(in.liquidation_fee.e8, 1250000);
    assert_int_equal(in.onboard_ts_ns, INT64_C(1567965300) * NS_PER_SECOND);
    assert_int_equal(in.funding_interval_ns, 4 * NS_PER_HOUR);
    assert_int_equal(in.bracket_count, 2);
    assert_int_equal(in.brackets[1].maint_amount.e8, 50 * FX_ONE);
    assert_int_equal(instrument_leverage_max(&in, money_e8(60000 * FX_ONE)), 100);
    /* Limits beyond e8's range are none. */
    assert_int_equal(instrument_load(&in, dir, "DEADUSDT", NULL, &err), ST_OK);
    assert_true(in.qty_max.e8 > INT64_C(100000000) * FX_ONE);
    assert_int_equal(in.market_qty_min.e8, FX_ONE);
    assert_int_equal(in.status, INSTRUMENT_SETTLING);
}

/* A later import replaces what it speaks of and leaves the rest. */
static void imports_complete_each_other(void **state) {
    (void)state;
    struct instrument in;
    assert_int_equal(import(brackets), ST_OK);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", NULL, &err), ST_OK);
    assert_true(in.flags & INSTRUMENT_INFERRED); /* brackets are no filters */
    assert_int_equal(in.bracket_count, 2);
    assert_int_equal(import(exchange_info), ST_OK);
    assert_int_equal(import("{\"symbol\":\"TESTUSDT\",\"brackets\":[{\"initialLeverage\":20,"
                            "\"notionalCap\":\"1000\",\"notionalFloor\":0,\"maintMarginRatio\":"
                            "0.025,\"cum\":0}]}"),
                     ST_OK);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", NULL, &err), ST_OK);
    assert_int_equal(in.bracket_count, 1);
    assert_int_equal(in.tick_size.e8, 10000000);
    assert_false(in.flags & INSTRUMENT_INFERRED);
}

static struct candles bars_at(struct bar *out, size_t count, double px, int64_t tick_e8) {
    for (size_t i = 0; i < count; i++) {
        int64_t e8 = fx_from_f64(px) + (int64_t)i * tick_e8;
        out[i] = (struct bar){.open_ts_ns = (int64_t)(400000 + i) * NS_PER_HOUR,
                              .open = {e8},
                              .high = {e8},
                              .low = {e8},
                              .close = {e8},
                              .volume = 12.25};
    }
    return (struct candles){
        .bars = out, .count = count, .interval_ns = NS_PER_HOUR, .market = "um"};
}

static void rules_are_fitted_to_older_bars(void **state) {
    (void)state;
    struct bar bars[12];
    struct instrument in;
    assert_int_equal(import(exchange_info), ST_OK);
    /* Cents where the tick is 0.10 now: every price of the bars is a legal one. */
    struct candles c = bars_at(bars, 12, 200.0, 1000000);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", &c, &err), ST_OK);
    assert_int_equal(in.tick_size.e8, 1000000);
    for (int i = 0; i < 12; i++)
        assert_int_equal(instrument_check_px(&in, bars[i].close), FILTER_OK);
    assert_int_equal(in.px_min.e8, INT64_C(5680000000));
    /* Coarser bars leave the tick. */
    c = bars_at(bars, 12, 200.0, FX_ONE);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", &c, &err), ST_OK);
    assert_int_equal(in.tick_size.e8, 10000000);
    /* Below and above the snapshot's range. */
    static const double prices[] = {3.5, 60.0, 440.0, 9000.0};
    for (int k = 0; k < 4; k++) {
        c = bars_at(bars, 12, prices[k], 10000000);
        assert_int_equal(instrument_load(&in, dir, "TESTUSDT", &c, &err), ST_OK);
        for (int i = 0; i < 12; i++) {
            px_t px = bars[i].close;
            assert_int_equal(instrument_check_px(&in, px), FILTER_OK);
            px.e8 = fx_snap_nearest(px.e8 * 6 / 10, in.tick_size.e8); /* a far stop */
            assert_int_equal(instrument_check_px(&in, px), FILTER_OK);
            px.e8 = fx_snap_nearest(bars[i].close.e8 * 19 / 10, in.tick_size.e8);
            assert_int_equal(instrument_check_px(&in, px), FILTER_OK);
        }
    }
}

static void mark_prices_do_not_set_a_tick(void **state) {
    (void)state;
    struct bar bars[12];
    struct instrument in;
    assert_int_equal(import(exchange_info), ST_OK);
    struct candles c = bars_at(bars, 12, 200.0, 1);
    strcpy(c.market, "mark");
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", &c, &err), ST_OK);
    assert_int_equal(in.tick_size.e8, 10000000);
    /* And a spot pair of the same name is not the perpetual. */
    strcpy(c.market, "spot");
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", &c, &err), ST_OK);
    assert_true(in.flags & INSTRUMENT_INFERRED);
}

static void a_contract_traded_before_it_ended(void **state) {
    (void)state;
    struct bar bars[12];
    struct instrument in;
    assert_int_equal(import(exchange_info), ST_OK);
    struct candles c = bars_at(bars, 12, 2.0, 1000000);
    assert_int_equal(instrument_load(&in, dir, "DEADUSDT", &c, &err), ST_OK);
    assert_int_equal(in.status, INSTRUMENT_TRADING);
    bars[11].open_ts_ns = INT64_C(1900008000) * NS_PER_SECOND; /* behind its delivery */
    assert_int_equal(instrument_load(&in, dir, "DEADUSDT", &c, &err), ST_OK);
    assert_int_equal(in.status, INSTRUMENT_SETTLING);
}

static void without_rules_the_bars_tell(void **state) {
    (void)state;
    struct bar bars[12];
    struct instrument in;
    struct candles c = bars_at(bars, 12, 0.5, 10000);
    assert_int_equal(instrument_load(&in, dir, "NEWUSDT", &c, &err), ST_OK);
    assert_int_equal(in.flags, INSTRUMENT_INFERRED | INSTRUMENT_FUNDING_ASSUMED);
    assert_int_equal(in.tick_size.e8, 10000);
    assert_int_equal(in.step_size.e8, 1000000); /* 12.25 */
    assert_int_equal(in.notional_min.e8, 5 * FX_ONE);
    for (int i = 0; i < 12; i++) bars[i].volume = 3e11; /* beyond int64 in e8 */
    assert_int_equal(instrument_load(&in, dir, "NEWUSDT", &c, &err), ST_OK);
    assert_int_equal(in.step_size.e8, FX_ONE);
    assert_int_equal(instrument_load(&in, dir, "NEWUSDT", NULL, &err), ST_OK);
    assert_int_equal(in.tick_size.e8, 1);
}

static void funding_rows_end_the_assumption(void **state) {
    (void)state;
    struct instrument in;
    struct candles_merge m;
    struct funding_rate rows[] = {
        {8 * NS_PER_HOUR, {1}}, {16 * NS_PER_HOUR, {1}}, {20 * NS_PER_HOUR, {1}}};
    assert_int_equal(funding_merge(&m, dir, "TESTUSDT", rows, 3, &err), ST_OK);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", NULL, &err), ST_OK);
    assert_false(in.flags & INSTRUMENT_FUNDING_ASSUMED);
    assert_int_equal(in.funding_interval_ns, 4 * NS_PER_HOUR);
}

static void text_that_is_nothing_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "[1,2]",
                                        "{\"symbols\":[}",
                                        "{\"symbols\":[\n\n{\"symbol\":5}]}",
                                        "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}",
                                        "[{\"symbol\":\"X\"}] x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(import(texts[i]), ST_INVALID);
        assert_non_null(strstr(err.text, "line "));
    }
    import("{\"symbols\":[\n\n{\"symbol\":5}]}");
    assert_non_null(strstr(err.text, "line 3"));
}

static void a_damaged_rules_file_is_told(void **state) {
    (void)state;
    char path[512];
    struct instrument in;
    assert_int_equal(import(exchange_info), ST_OK);
    snprintf(path, sizeof path, "%s/instruments.qin", dir);
    FILE *f = fopen(path, "r+b");
    fseek(f, 200, SEEK_SET);
    fputc('x', f);
    fclose(f);
    assert_int_equal(instrument_load(&in, dir, "TESTUSDT", NULL, &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "instruments.qin"));
    assert_int_equal(import(brackets), ST_CORRUPT); /* and not overwritten */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rules_come_from_the_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(imports_complete_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_are_fitted_to_older_bars, setup, teardown),
        cmocka_unit_test_setup_teardown(mark_prices_do_not_set_a_tick, setup, teardown),
        cmocka_unit_test_setup_teardown(a_contract_traded_before_it_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(without_rules_the_bars_tell, setup, teardown),
        cmocka_unit_test_setup_teardown(funding_rows_end_the_assumption, setup, teardown),
        cmocka_unit_test_setup_teardown(text_that_is_nothing_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_rules_file_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
