/* The client against the real exchange core, under a clock of the test's own. */
#include "venue/binance/test_venue.h"

#define QTY(x) ((int64_t)((x)*1e8 + 0.5))

static px_t mark_of(const struct test_venue *v, uint32_t i) {
    struct exchange_prices p;
    exchange_prices_get(v->world->exchange, i, &p);
    return p.mark;
}

/* A price so much (per mille) off mark, on the contract's grid. */
static int64_t px_off(const struct test_venue *v, uint32_t i, int per_mille) {
    int64_t mark = mark_of(v, i).e8;
    return fx_snap_nearest(mark + mark / 1000 * per_mille, v->contracts[i].tick_size.e8);
}

static void test_load_and_start(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(1, MARKET_SYNTHETIC);
    assert_int_equal(binance_instrument_count(v->b), VENUE_CONTRACTS);
    const struct instrument *in = &binance_instruments(v->b)[tv_instrument(v, 0)];
    assert_string_equal(in->symbol, v->contracts[0].symbol);
    assert_int_equal(in->tick_size.e8, v->contracts[0].tick_size.e8);
    assert_int_equal(in->bracket_count, v->contracts[0].bracket_count);
    assert_int_equal(binance_wallet(v->b).e8, QTY(100000));
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_int_equal(s.rest, LINK_UP);
    assert_int_equal(s.market, LINK_UP);
    assert_int_equal(s.user, LINK_UP);
    assert_true(s.clock_error_ns < 20 * NS_PER_MS);
    assert_true(llabs(binance_now_ns(v->b) - tv_venue_ns(v)) < 5 * NS_PER_MS);
    assert_true(v->reconciled >= 1);
    tv_run(v, 5 * NS_PER_MINUTE);
    assert_true(v->bars >= 4 * VENUE_CONTRACTS);
    assert_false(v->bar_gap);
    assert_true(v->marks > 200 * VENUE_CONTRACTS);
    assert_true(v->ticks > 100);
    tv_close_venue(v);
}

static void test_market_order(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(2, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "m-1", VENUE_ORDER_ACCEPTED), 1);
    assert_true(tv_count(v, "m-1", VENUE_ORDER_TRADE) >= 1);
    const struct venue_event *e = tv_last(v, "m-1");
    assert_int_equal(e->kind, VENUE_ORDER_TRADE);
    assert_int_equal(e->cum_qty.e8, QTY(0.05));
    assert_int_equal(e->leaves_qty.e8, 0);
    assert_true(e->commission.e8 > 0 && e->last_px.e8 > 0);
    struct exchange_account account;
    exchange_account_get(v->world->exchange, 1, &account);
    assert_int_equal(e->wallet.e8, account.wallet.e8);
    struct binance_position p;
    binance_position_get(v->b, i, &p);
    assert_int_equal(p.qty.e8, QTY(0.05));
    tv_close_venue(v);
}

static void test_rejected_with_code(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(3, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("r-1", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
    c.reduce_only = 1;
    tv_submit(v, &c, LANE_EXIT);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told_count, 1);
    assert_int_equal(v->told[0].kind, VENUE_ORDER_REJECTED);
    assert_int_equal(v->told[0].code, -2022);
    tv_close_venue(v);
}

static void test_leverage(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(4, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 1);
    struct venue_command c = {.kind = COMMAND_LEVERAGE_SET, .instrument_index = i, .leverage = 7};
    tv_submit(v, &c, LANE_ENTRY);
    assert_int_equal(binance_submit(v->b, &c, LANE_ENTRY), ST_EXISTS);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told_count, 1);
    assert_int_equal(v->told[0].kind, VENUE_LEVERAGE_SET);
    assert_int_equal(v->told[0].leverage, 7);
    assert_int_equal(v->told[0].code, 0);
    struct exchange_symbol_config config;
    exchange_symbol_config_get(v->world->exchange, 1, 1, &config);
    assert_true(config.isolated);
    assert_int_equal(config.leverage, 7);
    c.leverage = 999;
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told[1].code, -4028);
    assert_int_equal(v->told[1].leverage, 7);
    tv_close_venue(v);
}

static void test_stop_life(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(5, MARKET_PURE);
    uint32_t i = tv_instrument(v, 0);
    /* The book is the test's: the other account quotes. */
    struct exchange_input quote = {.kind = EXI_QUOTE, .account = EXCHANGE_HOUSE};
    struct exchange_reply reply;
    for (int k = 0; k < 2; k++) {
        quote.side = k ? SIDE_SELL : SIDE_BUY;
        quote.price.e8 = px_off(v, 0, k ? 1 : -1);
        quote.qty.e8 = QTY(5);
        world_do(v->world, &quote, tv_venue_ns(v), &reply);
        assert_int_equal(reply.code, 0);
    }
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    c = tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, 0, px_off(v, 0, -20));
    c.close_position = 1;
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
    struct exchange_input print = {.kind = EXI_PRINT, .side = SIDE_SELL};
    print.price.e8 = px_off(v, 0, -21);
    print.qty.e8 = QTY(0.01);
    world_do(v->world, &print, tv_venue_ns(v), &reply);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_TRIGGERED), 1);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_TRADE), 1);
    const struct venue_event *e = tv_last(v, "s-1");
    assert_int_equal(e->cum_qty.e8, QTY(0.1));
    assert_int_equal(e->leaves_qty.e8, 0);
    tv_cancel(v, "s-1", i, ORDER_STOP_MARKET);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_CANCEL_REJECTED), 1);
    tv_close_venue(v);
}

static void test_cancel(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(6, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c =
        tv_order("l-1", SIDE_BUY, ORDER_LIMIT, i, QTY(0.05), px_off(v, 0, -30));
    tv_submit(v, &c, LANE_ENTRY);
    tv_cancel(v, "l-1", i, ORDER_LIMIT); /* before it is even sent */
    c = tv_order("t-1", SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, i, QTY(0.05), px_off(v, 0, 30));
    tv_submit(v, &c, LANE_EXIT);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "l-1", VENUE_ORDER_ACCEPTED), 1);
    assert_int_equal(tv_count(v, "l-1", VENUE_ORDER_CANCELED), 1);
    assert_int_equal(tv_count(v, "l-1", VENUE_CANCEL_REJECTED), 0);
    tv_cancel(v, "t-1", i, ORDER_TAKE_PROFIT_MARKET);
    tv_cancel(v, "nobody", i, ORDER_LIMIT);
    tv_run(v, 10 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "t-1", VENUE_ORDER_CANCELED), 1);
    assert_int_equal(tv_count(v, "nobody", VENUE_CANCEL_REJECTED), 1);
    tv_close_venue(v);
}

/* The switch of 2025-12-09, in the middle of a session and in both directions. */
static void test_service_switch(void **state) {
    (void)state;
    struct test_venue *v = tv_open_venue(7, true, MARKET_SYNTHETIC);
    tv_client(v);
    tv_load(v);
    tv_start(v);
    uint32_t i = tv_instrument(v, 0);
    v->b->algo_service = false; /* as a venue without the service would have been found */
    struct venue_command c =
        tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, QTY(0.05), px_off(v, 0, -30));
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
    world_classic_set(v->world, false, tv_venue_ns(v));
    v->rest.options.classic_conditional = false;
    c = tv_order("s-2", SIDE_SELL, ORDER_STOP_MARKET, i, QTY(0.05), px_off(v, 0, -40));
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_ACCEPTED), 1);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_REJECTED), 0);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_true(s.algo_service);
    assert_int_equal(s.service_switches, 1);
    tv_cancel(v, "s-1", i, ORDER_STOP_MARKET);
    tv_cancel(v, "s-2", i, ORDER_STOP_MARKET);
    tv_run(v, 20 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_CANCELED), 1);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_CANCELED), 1);
    tv_close_venue(v);
}

static void test_silent_user_stream(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(8, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    v->user_silent = true;
    struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 3 * NS_PER_SECOND);
    /* The reply said it is filled: the trades are fetched. */
    assert_int_equal(tv_last(v, "m-1")->cum_qty.e8, QTY(0.05));
    /* A resting order is acknowledged by the reply, and the stream is missed: connected anew. */
    c = tv_order("l-1", SIDE_BUY, ORDER_LIMIT, i, QTY(0.05), px_off(v, 0, -1));
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 6 * NS_PER_SECOND);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_true(s.reconnects >= 1);
    assert_int_equal(tv_count(v, "l-1", VENUE_ORDER_ACCEPTED), 1);
    tv_close_venue(v);
}

static void test_clock_an_hour_off(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct test_venue *v = tv_ready(9, MARKET_SYNTHETIC);
        uint32_t i = tv_instrument(v, 0);
        struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
        tv_submit(v, &c, LANE_ENTRY);
        tv_run(v, NS_PER_SECOND);
        assert_int_equal(tv_last(v, "m-1")->cum_qty.e8, QTY(0.05));
        /* The venue's clock is set forward in the middle of the session (backwards: ours was ahead). */
        if (sign > 0) {
            v->offset_ns += NS_PER_HOUR;
        } else {
            binance_clock_reset(&v->b->clock);
            binance_clock_sample(&v->b->clock, v->now_ns, v->now_ns, tv_venue_ns(v) + NS_PER_HOUR,
                                 NS_PER_MS);
        }
        c = tv_order("m-2", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
        c.reduce_only = 1;
        tv_submit(v, &c, LANE_EXIT);
        tv_run(v, 5 * NS_PER_SECOND);
        assert_int_equal(tv_count(v, "m-2", VENUE_ORDER_REJECTED), 0);
        assert_int_equal(tv_last(v, "m-2")->cum_qty.e8, QTY(0.05));
        struct binance_stats s;
        binance_stats_get(v->b, &s);
        assert_true(s.clock_rejects >= 1);
        tv_close_venue(v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_and_start),     cmocka_unit_test(test_market_order),
        cmocka_unit_test(test_rejected_with_code), cmocka_unit_test(test_leverage),
        cmocka_unit_test(test_stop_life),          cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_service_switch),     cmocka_unit_test(test_silent_user_stream),
        cmocka_unit_test(test_clock_an_hour_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
