/* One rule of the simulated exchange a test; the numbers are worked out by hand. */
#include "venue/simex/test_simex.h"

static const int64_t HOUR = NS_PER_HOUR;

/* ---- acknowledgement, fill, path, book ---- */

static void test_ack_carries_no_price_and_fill_comes_later(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, NS_PER_SECOND, SIDE_BUY, 1, "m1");
    assert_int_equal(world_run(&w, NS_PER_SECOND), 1);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_ACCEPTED);
    assert_int_equal(w.ev[0].avg_cost.e8, 0);
    assert_int_equal(w.ev[0].last_px.e8, 0);
    assert_int_equal(w.ev[0].leaves_qty.e8, E8(1));
    assert_int_equal(w.ev[0].ts_event_ns, w.open_ts + NS_PER_SECOND);
    assert_int_equal(world_qty(&w), 0);
    assert_int_equal(world_run(&w, NS_PER_SECOND + w.config.fill_delay_ns), 1);
    const struct venue_event *fill = world_event(&w, VENUE_ORDER_TRADE, "m1", 0);
    assert_non_null(fill);
    assert_int_equal(fill->ts_event_ns, w.open_ts + NS_PER_SECOND + w.config.fill_delay_ns);
    assert_int_equal(fill->last_px.e8, E8(50000.1)); /* half a tick above, on tick */
    assert_int_equal(fill->last_qty.e8, E8(1));
    assert_int_equal(fill->leaves_qty.e8, 0);
    assert_int_equal(fill->avg_cost.e8, E8(50000.1));
    assert_int_equal(fill->commission.e8, E8(25.00005)); /* 5 bp */
    assert_int_equal(fill->wallet.e8, E8(100000) - E8(25.00005));
    world_deinit(&w);
}

static void test_ack_switch_is_readable(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.ack_carries_avg_px = true;
    world_start(&w);
    assert_true(simex_ack_carries_avg_px(w.sx));
    assert_int_equal(simex_state_size(w.sx), simex_size(&w.config));
    world_deinit(&w);
}

static void check_last(struct world *w, int64_t at_ns, double px) {
    struct simex_position p;
    world_run(w, at_ns);
    simex_position_get(w->sx, 0, &p);
    assert_int_equal(p.last_px.e8, E8(px));
    assert_int_equal(p.mark_px.e8, E8(px));
}

static void test_path_visits_low_first_when_rising(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 100, 106, 97, 103);
    check_last(&w, 0, 100);
    check_last(&w, HOUR / 6, 98.5);
    check_last(&w, HOUR / 3, 97);
    check_last(&w, HOUR / 2, 101.5);
    check_last(&w, 2 * HOUR / 3, 106);
    check_last(&w, HOUR - 1, 103);
    world_finish(&w);
    world_bar(&w, 103, 106, 97, 100); /* falling: high first */
    check_last(&w, HOUR / 3, 106);
    check_last(&w, 2 * HOUR / 3, 97);
    check_last(&w, HOUR - 1, 100);
    check_last(&w, 3 * HOUR, 100); /* stands at the close after its last bar */
    world_deinit(&w);
}

static void test_spread_is_at_least_half_a_tick_and_rounds_against_us(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.half_spread.e8 = 10000; /* 1 bp of 50000 is 5 */
    world_start(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 0.5, "b");
    world_market(&w, 2, SIDE_SELL, 0.5, "s");
    world_run(&w, HOUR / 2);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "b", 0)->last_px.e8, E8(50005));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "s", 0)->last_px.e8, E8(49995));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "s", 0)->realized_pnl.e8, E8(-5));
    world_deinit(&w);
}

static void test_half_a_tick_counts_between_ticks(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000.6, 50000, 50000.6); /* up by 0.6 between 1/3 and 2/3 */
    world_market(&w, HOUR / 2 - w.config.fill_delay_ns, SIDE_BUY, 1, "b");
    world_market(&w, HOUR / 3 + HOUR / 45 - w.config.fill_delay_ns, SIDE_SELL, 1, "s");
    world_run(&w, HOUR - 1);
    /* 50000.3 + 0.05 up; 50000.04 - 0.05 = 49999.99 down */
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "b", 0)->last_px.e8, E8(50000.4));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "s", 0)->last_px.e8, E8(49999.9));
    world_limit(&w, HOUR - 1, SIDE_BUY, 1, 50000.6, TIF_GTX, "gtx"); /* half a tick: ask 50000.7 */
    world_run(&w, HOUR - 1);
    assert_int_equal(w.n, 1);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_ACCEPTED);
    world_deinit(&w);
}

static void test_half_a_tick_moves_an_off_tick_path_on(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000.08, 50000.08, 50000.08, 50000.08); /* a feed finer than the tick */
    world_market(&w, 1, SIDE_BUY, 1, "b");
    world_run(&w, HOUR - 1); /* 50000.13, up */
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "b", 0)->last_px.e8, E8(50000.2));
    world_deinit(&w);
}

static void test_commission_rounds_up(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.in[0].fee_taker.e8 = 33333;
    world_start(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 0.001, "b");
    world_run(&w, HOUR - 1); /* 50.0001 * 0.00033333 = 0.016666533333 */
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "b", 0)->commission.e8, 1666654);
    world_deinit(&w);
}

static void test_stop_is_filled_around_its_trigger_to_the_tick(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.half_spread.e8 = 10000;
    world_start(&w);
    world_bar(&w, 49000, 49000, 49000, 49000);
    struct venue_command c = world_order(&w, 1, SIDE_BUY, ORDER_STOP_MARKET, 1, "s");
    c.stop_px.e8 =
        E8(50000); /* * 1.0001 = 50005 exactly: no tick more for being met between two ns */
    world_send(&w, &c);
    world_finish(&w);
    world_bar(&w, 49000.1, 51000.3, 49000.1, 50900.7);
    world_finish(&w);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "s", 0)->last_px.e8, E8(50005));
    world_deinit(&w);
}

static void test_market_walks_levels_up_to_its_bound(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.wallet_start.e8 = E8(1e6);
    w.in[0].market_take_bound.e8 = E8(0.00001); /* 0.5 of 50000 */
    world_start(&w);
    struct bar b = world_bar_make(&w, 50000, 50000, 50000, 50000, 10); /* 1 a level */
    simex_bar_begin(w.sx, 0, &b, NULL);
    world_market(&w, 1, SIDE_BUY, 7.5, "m");
    world_run(&w, HOUR / 2);
    for (int i = 0; i < 5; i++) { /* 50000.1 … 50000.5 */
        const struct venue_event *fill = world_event(&w, VENUE_ORDER_TRADE, "m", i);
        assert_int_equal(fill->last_px.e8, E8(50000.1) + i * E8(0.1));
        assert_int_equal(fill->last_qty.e8, E8(1));
        assert_int_equal(fill->cum_qty.e8, (i + 1) * E8(1));
        assert_int_equal(fill->trade_id,
                         world_event(&w, VENUE_ORDER_TRADE, "m", 0)->trade_id + (uint64_t)i);
    }
    assert_null(world_event(&w, VENUE_ORDER_TRADE, "m", 5));
    const struct venue_event *end = world_event(&w, VENUE_ORDER_EXPIRED, "m", 0);
    assert_int_equal(end->code, 9);
    assert_int_equal(end->leaves_qty.e8, E8(2.5));
    assert_int_equal(end->avg_cost.e8, E8(250001.5));
    assert_false(simex_is_active(w.sx, 1));
    assert_true(simex_is_active(w.sx, 0));
    world_deinit(&w);
}

/* ---- limit orders ---- */

static void test_limit_needs_the_path_to_pass_through(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 1, 49900, TIF_GTC, "l");
    world_finish(&w);
    assert_int_equal(w.n, 1);
    world_bar(&w, 50000, 50100, 49900, 50050); /* touches */
    assert_int_equal(world_finish(&w), 0);
    world_bar(&w, 50000, 50100, 49899.9, 50050); /* passes */
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_TRADE);
    assert_true(w.ev[0].is_maker);
    assert_int_equal(w.ev[0].last_px.e8, E8(49900));
    assert_int_equal(w.ev[0].commission.e8, E8(9.98)); /* 2 bp */
    /* 100 down of 100.1 in a third of an hour, and on by 1e-8 (120 ns) for being through */
    int64_t third = HOUR / 3, at = (int64_t)((long double)third * 100 / 100.1L);
    assert_in_range(w.ev[0].ts_event_ns - (w.open_ts - HOUR), at + 119, at + 122);
    world_deinit(&w);
}

static void test_limit_gap_trades_at_the_open(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 1, 49900, TIF_GTC, "l");
    world_finish(&w);
    world_bar(&w, 49000, 49100, 48900, 49050);
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(w.ev[0].last_px.e8, E8(49000));
    assert_int_equal(w.ev[0].ts_event_ns, w.open_ts - HOUR);
    world_deinit(&w);
}

static void test_limit_fill_is_limited_by_volume(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 15, 49900, TIF_GTC, "l");
    world_limit(&w, 2, SIDE_BUY, 1, 49950, TIF_GTC, "first");
    world_finish(&w);
    world_bar(&w, 50000, 50010, 49800,
              49850); /* 10 in all: 1 to the better price, 9 to the other */
    assert_int_equal(world_finish(&w), 2);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "first", 0)->last_qty.e8, E8(1));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "l", 0)->last_qty.e8, E8(9));
    world_bar(&w, 49700, 49800, 49600,
              49750); /* rest of an order already passed: not at the open */
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(w.ev[0].last_qty.e8, E8(6));
    assert_int_equal(w.ev[0].last_px.e8, E8(49800));
    assert_int_equal(w.ev[0].leaves_qty.e8, 0);
    world_deinit(&w);
}

static void test_limits_at_one_instant_go_by_price_then_age(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 1, 49900, TIF_GTC, "worse");
    world_limit(&w, 2, SIDE_BUY, 1, 49950, TIF_GTC, "better");
    world_limit(&w, 3, SIDE_BUY, 1, 49950, TIF_GTC, "later");
    world_finish(&w);
    world_bar(&w, 49000, 49000, 49000, 49000);
    assert_int_equal(world_finish(&w), 3);
    assert_string_equal(w.ev[0].client_order_id, "better");
    assert_string_equal(w.ev[1].client_order_id, "later");
    assert_string_equal(w.ev[2].client_order_id, "worse");
    world_deinit(&w);
}

static void test_limit_inside_the_spread_waits_for_the_market_to_move(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.half_spread.e8 = 100000; /* 10 bp: bid 49950, ask 50050 */
    world_start(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 1, 50040, TIF_GTC, "in");
    assert_int_equal(world_finish(&w), 1);
    world_bar(&w, 50000, 50020, 50000, 50010); /* never below where it stood */
    assert_int_equal(world_finish(&w), 0);
    world_bar(&w, 50005, 50020, 49999, 50010);
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(w.ev[0].last_px.e8, E8(50040));
    world_deinit(&w);
}

static void test_time_in_force(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000); /* 10 a level: 50000.1, 50000.2, … */
    world_limit(&w, 1, SIDE_BUY, 25, 50000.2, TIF_IOC, "ioc");
    world_run(&w, 1);
    assert_int_equal(w.n, 4);
    assert_int_equal(w.ev[1].last_px.e8, E8(50000.1));
    assert_int_equal(w.ev[2].last_px.e8, E8(50000.2));
    assert_int_equal(w.ev[3].kind, VENUE_ORDER_EXPIRED);
    assert_int_equal(w.ev[3].code, 2);
    assert_int_equal(w.ev[3].leaves_qty.e8, E8(5));
    world_limit(&w, 2, SIDE_SELL, 20.001, 49999.8, TIF_FOK, "fok-no");
    world_limit(&w, 3, SIDE_SELL, 20, 49999.8, TIF_FOK, "fok-yes");
    world_limit(&w, 4, SIDE_BUY, 1, 50000.1, TIF_GTX, "gtx-no");
    world_limit(&w, 5, SIDE_BUY, 1, 50000, TIF_GTX, "gtx-yes");
    world_run(&w, 9);
    assert_int_equal(world_event(&w, VENUE_ORDER_REJECTED, "fok-no", 0)->code, -5021);
    assert_int_equal(world_event(&w, VENUE_ORDER_REJECTED, "fok-no", 0)->venue_order_id, 0);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "fok-yes", 1)->leaves_qty.e8, 0);
    assert_int_equal(world_event(&w, VENUE_ORDER_REJECTED, "gtx-no", 0)->code, -5022);
    assert_non_null(world_event(&w, VENUE_ORDER_ACCEPTED, "gtx-yes", 0));
    assert_null(world_event(&w, VENUE_ORDER_TRADE, "gtx-yes", 0));
    assert_int_equal(world_qty(&w), 0);
    world_deinit(&w);
}

static void test_marketable_limit_takes_then_rests(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 15, 50000.1, TIF_GTC, "l");
    world_finish(&w);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.ev[1].last_qty.e8, E8(10));
    assert_false(w.ev[1].is_maker);
    world_bar(&w, 50000, 50010, 49990, 50000);
    assert_int_equal(world_finish(&w), 1);
    assert_true(w.ev[0].is_maker);
    assert_int_equal(w.ev[0].last_px.e8, E8(50000.1));
    assert_int_equal(w.ev[0].cum_qty.e8, E8(15));
    world_deinit(&w);
}

static void test_self_trade_expires_the_maker(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.half_spread.e8 = 100000;
    world_start(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_SELL, 1, 50020, TIF_GTC, "own");  /* better than the ask of 50050 */
    world_limit(&w, 2, SIDE_SELL, 1, 50060, TIF_GTC, "away"); /* behind it */
    world_market(&w, 3, SIDE_BUY, 1, "m");
    world_run(&w, HOUR / 2);
    const struct venue_event *expired = world_event(&w, VENUE_ORDER_EXPIRED, "own", 0);
    const struct venue_event *fill = world_event(&w, VENUE_ORDER_TRADE, "m", 0);
    assert_int_equal(expired->code, 1);
    assert_true(expired < fill);
    assert_int_equal(fill->last_px.e8, E8(50050));
    assert_null(world_event(&w, VENUE_ORDER_EXPIRED, "away", 0));
    world_deinit(&w);
}

static void test_cancel(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 1, SIDE_BUY, 1, 49900, TIF_GTC, "l");
    struct venue_command c = world_order(&w, 2, SIDE_NONE, 0, 0, "l");
    c.kind = COMMAND_ORDER_CANCEL;
    world_send(&w, &c);
    c.ts_ns++;
    world_send(&w, &c); /* gone by now */
    world_market(&w, 4, SIDE_BUY, 1, "m");
    c = world_order(&w, 5, SIDE_NONE, 0, 0, "m");
    c.kind = COMMAND_ORDER_CANCEL;
    world_send(&w, &c); /* a market order is not to be stopped */
    world_run(&w, HOUR / 2);
    assert_int_equal(world_event(&w, VENUE_ORDER_CANCELED, "l", 0)->leaves_qty.e8, E8(1));
    assert_int_equal(world_event(&w, VENUE_CANCEL_REJECTED, "l", 0)->code, -2011);
    assert_int_equal(world_event(&w, VENUE_CANCEL_REJECTED, "m", 0)->code, -2011);
    assert_non_null(world_event(&w, VENUE_ORDER_TRADE, "m", 0));
    world_deinit(&w);
}

static void test_commands_arrive_by_time_then_in_order(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_limit(&w, 5, SIDE_BUY, 1, 49900, TIF_GTC, "c");
    world_limit(&w, 3, SIDE_BUY, 1, 49900, TIF_GTC, "a");
    world_limit(&w, 5, SIDE_BUY, 1, 49900, TIF_GTC, "d");
    world_limit(&w, 4, SIDE_BUY, 1, 49900, TIF_GTC, "b");
    assert_int_equal(world_run(&w, 10), 4);
    for (int i = 0; i < 4; i++) {
        char id[2] = {(char)('a' + i), 0};
        assert_string_equal(w.ev[i].client_order_id, id);
        assert_int_equal(w.ev[i].venue_order_id, w.ev[0].venue_order_id + (uint64_t)i);
    }
    world_deinit(&w);
}

static void test_queue_of_commands_has_a_limit(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    struct venue_command c = world_order(&w, 5, SIDE_BUY, ORDER_MARKET, 1, "x");
    int taken = 0;
    while (simex_submit(w.sx, &c) == ST_OK) assert_true(++taken < 100000);
    assert_true(taken >= 64);
    assert_int_equal(simex_submit(w.sx, &c), ST_FULL);
    assert_int_equal(world_run(&w, HOUR), taken); /* all refused: no bar yet */
    assert_int_equal(w.ev[0].code, -2016);
    assert_int_equal(simex_submit(w.sx, &c), ST_OK);
    world_deinit(&w);
}

/* ---- conditional orders ---- */

/* Long 1 at 50000.1 by the end of a flat bar. */
static void world_long(struct world *w) {
    world_bar(w, 50000, 50000, 50000, 50000);
    world_market(w, 1, SIDE_BUY, 1, "entry");
    world_exit(w, NS_PER_SECOND, SIDE_SELL, ORDER_STOP_MARKET, 49500, "sl");
    world_exit(w, NS_PER_SECOND, SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, 50500, "tp");
    world_finish(w);
    assert_int_equal(world_qty(w), E8(1));
}

static void test_path_decides_between_stop_and_target(void **state) {
    (void)state;
    for (int rising = 0; rising < 2; rising++) {
        struct world w;
        world_init(&w);
        world_long(&w);
        world_bar(&w, 50000, 51000, 49000, rising ? 50100 : 49900);
        world_finish(&w);
        const char *first = rising ? "sl" : "tp", *second = rising ? "tp" : "sl";
        assert_int_equal(w.ev[0].kind, VENUE_ORDER_TRIGGERED);
        assert_string_equal(w.ev[0].client_order_id, first);
        assert_int_equal(w.ev[1].kind, VENUE_ORDER_TRADE);
        assert_string_equal(w.ev[1].client_order_id, first);
        assert_int_equal(w.ev[1].last_px.e8, rising ? E8(49499.9) : E8(50499.9));
        assert_int_equal(w.ev[1].ts_event_ns, w.ev[0].ts_event_ns);
        /* the other one is met too, later, and finds no position */
        assert_int_equal(w.n, 3);
        assert_int_equal(w.ev[2].kind, VENUE_ORDER_EXPIRED);
        assert_string_equal(w.ev[2].client_order_id, second);
        assert_int_equal(w.ev[2].code, 6);
        assert_int_equal(world_qty(&w), 0);
        assert_false(simex_is_active(w.sx, 0));
        world_deinit(&w);
    }
}

static void test_gap_through_a_stop_fills_at_the_open(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_long(&w);
    world_bar(&w, 49000, 49100, 48900, 49050);
    world_finish(&w);
    const struct venue_event *fill = world_event(&w, VENUE_ORDER_TRADE, "sl", 0);
    assert_int_equal(fill->last_px.e8, E8(48999.9));
    assert_int_equal(fill->ts_event_ns, w.open_ts - HOUR);
    assert_int_equal(fill->realized_pnl.e8, E8(48999.9) - E8(50000.1));
    world_deinit(&w);
}

static void test_close_position_orders_outlive_the_position(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_long(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_SELL, 1, "out");
    world_finish(&w);
    assert_int_equal(world_qty(&w), 0);
    assert_true(simex_is_active(w.sx, 0)); /* both conditionals still rest */
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_NONE, 0, 0, "sl");
    c.kind = COMMAND_ORDER_CANCEL;
    world_send(&w, &c);
    world_finish(&w);
    assert_non_null(world_event(&w, VENUE_ORDER_CANCELED, "sl", 0));
    world_bar(&w, 50000, 50600, 50000, 50500);
    world_finish(&w);
    assert_int_equal(w.n, 1);
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "tp", 0)->code, 6);
    world_deinit(&w);
}

static void test_close_position_takes_the_position_as_it_is_then(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_long(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 2, "more");
    world_finish(&w);
    world_bar(&w, 50000, 50000, 49400, 49450);
    world_finish(&w);
    const struct venue_event *trigger = world_event(&w, VENUE_ORDER_TRIGGERED, "sl", 0);
    assert_int_equal(trigger->leaves_qty.e8, E8(3));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "sl", 0)->last_qty.e8, E8(3));
    world_deinit(&w);
}

/* -4130: a nearer stop cannot be another closePosition order; one of a fixed quantity can. */
static void test_one_close_position_order_of_a_kind_and_direction(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_long(&w); /* with "sl" and "tp" */
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_SELL, ORDER_STOP_MARKET, 0, "sl2");
    c.close_position = 1;
    c.stop_px.e8 = E8(49700);
    assert_int_equal(world_code(&w, c), -4130);
    struct venue_command t = world_order(&w, 1, SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, 0, "tp2");
    t.close_position = 1;
    t.stop_px.e8 = E8(50900);
    assert_int_equal(world_code(&w, t), -4130);
    t = world_order(&w, 1, SIDE_BUY, ORDER_STOP_MARKET, 0, "up"); /* the other direction */
    t.close_position = 1;
    t.stop_px.e8 = E8(50900);
    assert_int_equal(world_code(&w, t), 0);
    t = world_order(&w, 1, SIDE_SELL, ORDER_STOP_MARKET, 1, "sl3");
    t.reduce_only = 1;
    t.stop_px.e8 = E8(49700);
    assert_int_equal(world_code(&w, t), 0);
    t = world_order(&w, 1, SIDE_NONE, 0, 0, "sl");
    t.kind = COMMAND_ORDER_CANCEL;
    assert_int_equal(world_code(&w, t), 0);
    assert_int_equal(world_code(&w, c), 0); /* now there is none */
    world_deinit(&w);
}

/* A ladder: parts of 0.3 and 0.2, the stop takes what the first left, and the second finds nothing. */
static void test_parts_of_a_position_end_by_triggers(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_long(&w); /* 1, stop 49500, target 50500 */
    world_bar(&w, 50000, 50000, 50000, 50000);
    static const struct {
        const char *id;
        double qty, px;
    } parts[] = {{"t1", 0.3, 50200}, {"t2", 0.2, 50400}};
    for (int i = 0; i < 2; i++) {
        struct venue_command c =
            world_order(&w, 1, SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, parts[i].qty, parts[i].id);
        c.reduce_only = 1;
        c.stop_px.e8 = E8(parts[i].px);
        assert_int_equal(world_code(&w, c), 0);
    }
    world_finish(&w);
    world_bar(&w, 50000, 50300, 49400, 49450); /* up, then down through the stop */
    world_finish(&w);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "t1", 0)->last_qty.e8, E8(0.3));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "t1", 0)->leaves_qty.e8, 0);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRIGGERED, "sl", 0)->leaves_qty.e8, E8(0.7));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "sl", 0)->last_qty.e8, E8(0.7));
    assert_int_equal(world_qty(&w), 0);
    world_bar(&w, 49450, 50600, 49450, 50600);
    world_finish(&w);
    assert_null(world_event(&w, VENUE_ORDER_TRADE, "t2", 0));
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "t2", 0)->code, -2022);
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "tp", 0)->code, 6);
    struct simex_account a;
    simex_account_get(w.sx, &a);
    assert_int_equal(a.wallet.e8, a.wallet_start.e8 + a.realized_pnl.e8 - a.fees.e8);
    world_deinit(&w);
}

/* A stop of a fixed quantity that says more than is left: what is left is closed, no more. */
static void test_a_triggered_part_is_capped_to_the_position(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 1, "entry");
    world_run(&w, NS_PER_SECOND);
    struct venue_command c =
        world_order(&w, 2 * NS_PER_SECOND, SIDE_SELL, ORDER_STOP_MARKET, 1, "sl");
    c.reduce_only = 1;
    c.stop_px.e8 = E8(49900);
    world_send(&w, &c);
    c = world_order(&w, 3 * NS_PER_SECOND, SIDE_SELL, ORDER_MARKET, 0.6, "part");
    c.reduce_only = 1;
    world_send(&w, &c);
    world_finish(&w);
    world_bar(&w, 50000, 50000, 49800, 49850);
    world_finish(&w);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "sl", 0)->last_qty.e8, E8(0.4));
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "sl", 0)->code, 4);
    assert_int_equal(world_qty(&w), 0);
    assert_false(simex_is_active(w.sx, 0));
    world_deinit(&w);
}

/* §4.4: which conditions are already true at 50000? */
static void test_would_trigger_immediately(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    static const struct {
        enum side side;
        enum order_type type;
        double stop;
        int code;
    } rows[] = {
        {SIDE_BUY, ORDER_STOP_MARKET, 50000, -2021},
        {SIDE_BUY, ORDER_STOP_MARKET, 50000.1, 0},
        {SIDE_SELL, ORDER_STOP_MARKET, 50000, -2021},
        {SIDE_SELL, ORDER_STOP_MARKET, 49999.9, 0},
        {SIDE_BUY, ORDER_TAKE_PROFIT_MARKET, 50000, -2021},
        {SIDE_BUY, ORDER_TAKE_PROFIT_MARKET, 49999.9, 0},
        {SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, 50000, -2021},
        {SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, 50000.1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char id[8];
        snprintf(id, sizeof id, "c%zu", i);
        struct venue_command c = world_order(&w, 1, rows[i].side, rows[i].type, 1, id);
        c.stop_px.e8 = E8(rows[i].stop);
        assert_int_equal(world_code(&w, c), rows[i].code);
    }
    world_deinit(&w);
}

static void test_working_type_chooses_the_price(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 1, "entry");
    struct venue_command c =
        world_order(&w, NS_PER_SECOND, SIDE_SELL, ORDER_STOP_MARKET, 0, "mark");
    c.close_position = 1;
    c.stop_px.e8 = E8(49800);
    c.working_type = WORKING_MARK_PRICE;
    world_send(&w, &c);
    world_finish(&w);
    /* trades go through the trigger, the mark does not */
    struct bar last = world_bar_make(&w, 50000, 50000, 49700, 49900, 100);
    struct bar mark = world_bar_make(&w, 50000, 50000, 49850, 49900, 0);
    simex_bar_begin(w.sx, 0, &last, &mark);
    assert_int_equal(world_finish(&w), 0);
    last = world_bar_make(&w, 49900, 49950, 49900, 49950, 100);
    mark = world_bar_make(&w, 49900, 49950, 49790, 49940, 0);
    simex_bar_begin(w.sx, 0, &last, &mark);
    world_finish(&w);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_TRIGGERED);
    assert_int_equal(w.ev[0].mark_px.e8 <= E8(49800), 1);
    /* executed where it trades, not at the mark */
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "mark", 0)->last_px.e8, E8(49899.9));
    world_deinit(&w);
}

static void test_stop_limit_becomes_a_limit_order(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_BUY, ORDER_STOP, 15, "sl");
    c.stop_px.e8 = E8(50100);
    c.limit_px.e8 = E8(50100.1);
    world_send(&w, &c);
    c = world_order(&w, 2, SIDE_BUY, ORDER_STOP, 1, "far");
    c.stop_px.e8 = E8(50100);
    c.limit_px.e8 = E8(52605.1); /* more than 5 % above its trigger */
    world_send(&w, &c);
    world_finish(&w);
    assert_int_equal(world_event(&w, VENUE_ORDER_REJECTED, "far", 0)->code, -4183);
    world_bar(&w, 50000, 50200, 49990, 50150);
    world_run(&w, 2 * HOUR / 3);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_TRIGGERED);
    assert_int_equal(w.ev[1].last_px.e8, E8(50100.1));
    assert_int_equal(w.ev[1].last_qty.e8, E8(10));
    assert_false(w.ev[1].is_maker);
    world_finish(&w);
    assert_int_equal(w.n, 0); /* 50150 at the close: the rest waits at 50100.1 */
    world_bar(&w, 50150, 50160, 50000, 50010);
    world_finish(&w);
    assert_int_equal(w.n, 1);
    assert_true(w.ev[0].is_maker);
    assert_int_equal(w.ev[0].cum_qty.e8, E8(15));
    world_deinit(&w);
}

static void test_conditional_without_margin_expires_at_its_trigger(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_BUY, ORDER_STOP_MARKET, 100, "big");
    c.stop_px.e8 = E8(50100); /* 5 M at 20x is 250 k, we have 100 k */
    world_send(&w, &c);
    world_finish(&w);
    assert_non_null(world_event(&w, VENUE_ORDER_ACCEPTED, "big", 0));
    world_bar(&w, 50000, 50200, 50000, 50150);
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_EXPIRED);
    assert_int_equal(w.ev[0].code, -2019);
    world_deinit(&w);
}

/* ---- reduce only, §9.2 ---- */

static void test_reduce_only(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_SELL, ORDER_MARKET, 1, "flat");
    c.reduce_only = 1;
    assert_int_equal(world_code(&w, c), -2022); /* no position */
    world_market(&w, 2, SIDE_BUY, 1, "entry");
    world_run(&w, NS_PER_SECOND);
    c = world_order(&w, 2 * NS_PER_SECOND, SIDE_BUY, ORDER_MARKET, 1, "same");
    c.reduce_only = 1;
    assert_int_equal(world_code(&w, c), -2022); /* same direction */
    c = world_order(&w, 3 * NS_PER_SECOND, SIDE_SELL, ORDER_MARKET, 1.5, "trim");
    c.reduce_only = 1;
    world_send(&w, &c);
    world_run(&w, 4 * NS_PER_SECOND);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "trim", 0)->last_qty.e8, E8(1));
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "trim", 0)->code, 4);
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "trim", 0)->leaves_qty.e8, E8(0.5));
    assert_int_equal(world_qty(&w), 0);
    world_deinit(&w);
}

static void test_reduce_only_is_free_of_the_least_notional(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.in[0].notional_min.e8 = E8(100);
    world_start(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 1, "entry");
    world_run(&w, NS_PER_SECOND);
    struct venue_command c =
        world_order(&w, 2 * NS_PER_SECOND, SIDE_SELL, ORDER_MARKET, 0.001, "x");
    assert_int_equal(world_code(&w, c), -4164);
    c.reduce_only = 1;
    assert_int_equal(world_code(&w, c), 0);
    world_deinit(&w);
}

static void test_resting_reduce_only_is_knocked_out(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 1, "entry");
    world_run(&w, NS_PER_SECOND);
    for (int i = 0; i < 2; i++) { /* together more than the position */
        struct venue_command c =
            world_order(&w, 2 * NS_PER_SECOND, SIDE_SELL, ORDER_LIMIT, 0.8, i ? "ro2" : "ro1");
        c.reduce_only = 1;
        c.limit_px.e8 = E8(50100 + 10 * i);
        world_send(&w, &c);
    }
    world_finish(&w);
    world_bar(&w, 50000, 50200, 50000, 50150);
    world_finish(&w);
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "ro1", 0)->last_qty.e8, E8(0.8));
    assert_int_equal(world_event(&w, VENUE_ORDER_TRADE, "ro2", 0)->last_qty.e8, E8(0.2));
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "ro2", 0)->code, 4);
    assert_int_equal(world_qty(&w), 0);
    assert_false(simex_is_active(w.sx, 0));
    world_deinit(&w);
}

static void test_conditional_reduce_only_is_judged_at_its_trigger(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_SELL, ORDER_STOP_MARKET, 1, "ro");
    c.reduce_only = 1;
    c.stop_px.e8 = E8(49900);
    assert_int_equal(world_code(&w, c), 0);
    world_finish(&w);
    world_bar(&w, 50000, 50000, 49800, 49900);
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(world_event(&w, VENUE_ORDER_EXPIRED, "ro", 0)->code, -2022);
    world_deinit(&w);
}

/* ---- refusals ---- */

static void test_codes_of_refusals(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command market = world_order(&w, 1, SIDE_BUY, ORDER_MARKET, 1, "x"), c;
    struct venue_command limit = market, stop = market;
    limit.order_type = ORDER_LIMIT;
    limit.limit_px.e8 = E8(49900);
    stop.order_type = ORDER_STOP_MARKET;
    stop.stop_px.e8 = E8(50500);
#define REFUSED(base, change, expected)                                                            \
    c = (base);                                                                                    \
    change;                                                                                        \
    assert_int_equal(world_code(&w, c), expected)
    REFUSED(market, c.instrument_index = 9, -1121);
    REFUSED(market, c.instrument_index = 1, -2016); /* no bar yet */
    REFUSED(market, c.side = SIDE_NONE, -1117);
    REFUSED(market, c.order_type = 9, -1116);
    REFUSED(limit, c.time_in_force = 7, -1115);
    REFUSED(stop, c.working_type = 2, -4031);
    REFUSED(market, c.time_in_force = TIF_IOC, -1106);
    REFUSED(market, c.close_position = 1, -1106);
    REFUSED(stop, c.close_position = 1, -4137);
    REFUSED(stop, (c.close_position = c.reduce_only = 1), -1106);
    REFUSED(market, c.client_order_id[0] = '!', -4015);
    REFUSED(market, memset(c.client_order_id, 'a', 37), -4015);
    REFUSED(market, c.client_order_id[0] = 0, -4015);
    REFUSED(limit, c.limit_px.e8 = 0, -4001);
    REFUSED(limit, c.limit_px.e8 = E8(4529764.1), -4002);
    REFUSED(limit, c.limit_px.e8 = 1, -4013);
    REFUSED(limit, c.limit_px.e8 = E8(49900.05), -4014);
    REFUSED(stop, c.stop_px.e8 = 0, -4006); /* the original system's fault */
    REFUSED(stop, c.stop_px.e8 = E8(-1), -4006);
    REFUSED(stop, c.stop_px.e8 = E8(4529764.1), -4007);
    REFUSED(stop, c.stop_px.e8 = E8(50500.01), -4014);
    REFUSED(market, c.order_qty.e8 = 0, -4003);
    REFUSED(market, c.order_qty.e8 = 1, -4004);
    REFUSED(market, c.order_qty.e8 = E8(120.001), -4005);
    REFUSED(limit, c.order_qty.e8 = E8(1000.001), -4005);
    REFUSED(market, c.order_qty.e8 = E8(1.0005), -4023);
    REFUSED(limit, c.limit_px.e8 = E8(52500.1), -4016);
    REFUSED(limit, (c.side = SIDE_SELL, c.limit_px.e8 = E8(47499.9)), -4024);
    REFUSED(limit, (c.order_qty.e8 = E8(0.001), c.limit_px.e8 = E8(4900)), -4164);
    REFUSED(market, c.order_qty.e8 = E8(41), -2019);
    REFUSED(limit, c.order_qty.e8 = E8(210), -2027); /* 10.5 M: no bracket allows 20x */
    REFUSED(limit, memset(c.client_order_id, 'a', 36), 0);
    REFUSED(limit, memset(c.client_order_id, 'a', 36), -4116);
#undef REFUSED
    world_deinit(&w);
}

static void test_orders_max(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.in[0].orders_max = 3;
    w.config.orders_per_instrument_max = 64;
    world_start(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    for (int i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "l%d", i);
        struct venue_command c = world_order(&w, 1, SIDE_BUY, ORDER_LIMIT, 0.01, id);
        c.limit_px.e8 = E8(49000);
        assert_int_equal(world_code(&w, c), i < 3 ? 0 : -2025);
    }
    for (int i = 0; i < 62; i++) { /* 61 slots are left to conditional orders */
        char id[8];
        snprintf(id, sizeof id, "s%d", i);
        struct venue_command c = world_order(&w, 1, SIDE_BUY, ORDER_STOP_MARKET, 0.01, id);
        c.stop_px.e8 = E8(51000);
        assert_int_equal(world_code(&w, c), i < 61 ? 0 : -4045);
    }
    world_deinit(&w);
}

static void test_open_orders_hold_margin(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct simex_account a;
    struct venue_command c = world_order(&w, 1, SIDE_BUY, ORDER_LIMIT, 30, "l1");
    c.limit_px.e8 = E8(49000);
    assert_int_equal(world_code(&w, c), 0); /* 1.47 M / 20 = 73500 */
    world_run(&w, 2);
    simex_account_get(w.sx, &a);
    assert_int_equal(a.available.e8, E8(26500));
    c.client_order_id[1] = '2';
    assert_int_equal(world_code(&w, c), -2019);
    /* the other side needs nothing more: only one of the two can become a position */
    c = world_order(&w, 3, SIDE_SELL, ORDER_LIMIT, 20, "l3");
    c.limit_px.e8 = E8(50100);
    assert_int_equal(world_code(&w, c), 0);
    world_run(&w, 4);
    simex_account_get(w.sx, &a);
    assert_int_equal(a.available.e8, E8(26500));
    world_deinit(&w);
}

static int leverage_code(struct world *w, uint32_t s, uint32_t leverage, uint32_t *now) {
    struct venue_command c = {.kind = COMMAND_LEVERAGE_SET,
                              .instrument_index = s,
                              .leverage = leverage,
                              .ts_ns = w->open_ts};
    world_send(w, &c);
    struct venue_event ev;
    assert_true(simex_next(w->sx, INT64_MAX - 1, &ev));
    assert_int_equal(ev.kind, VENUE_LEVERAGE_SET);
    *now = ev.leverage;
    return ev.code;
}

static void test_leverage(void **state) {
    (void)state;
    struct world w;
    uint32_t now;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    assert_int_equal(leverage_code(&w, 0, 0, &now), -4028);
    assert_int_equal(now, 20);
    assert_int_equal(leverage_code(&w, 0, 126, &now), -4028);
    assert_int_equal(leverage_code(&w, 9, 5, &now), -1121);
    assert_int_equal(leverage_code(&w, 0, 50, &now), 0);
    assert_int_equal(now, 50);
    world_market(&w, 1, SIDE_BUY, 1.1, "m"); /* 55000: second bracket, 100x at most */
    world_run(&w, HOUR / 2);
    struct simex_position p;
    simex_position_get(w.sx, 0, &p);
    assert_int_equal(p.isolated_wallet.e8, E8(1100.0022));
    assert_int_equal(leverage_code(&w, 0, 49, &now), -4161);
    assert_int_equal(leverage_code(&w, 0, 101, &now), -2027);
    assert_int_equal(leverage_code(&w, 0, 100, &now), 0);
    simex_position_get(w.sx, 0, &p);
    assert_int_equal(p.isolated_wallet.e8, E8(1100.0022)); /* what was paid in stays */
    world_deinit(&w);
}

/* ---- positions and money ---- */

static void test_partial_closes_release_exactly_everything(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_SELL, 1, "in");
    for (int i = 0; i < 3; i++)
        world_market(&w, (2 + i) * NS_PER_SECOND, SIDE_BUY, i < 2 ? 0.333 : 0.334,
                     i == 0   ? "a"
                     : i == 1 ? "b"
                              : "c");
    world_run(&w, 3 * NS_PER_SECOND - 1);
    struct simex_position p;
    struct simex_account a;
    simex_position_get(w.sx, 0, &p);
    assert_int_equal(p.qty.e8, E8(-0.667));
    assert_int_equal(p.entry_px.e8, E8(49999.9)); /* unchanged by a partial close */
    assert_int_equal(p.entry_cost.e8, E8(-33349.9333));
    world_finish(&w);
    simex_position_get(w.sx, 0, &p);
    simex_account_get(w.sx, &a);
    assert_int_equal(p.qty.e8 | p.entry_cost.e8 | p.isolated_wallet.e8 | p.liquidation_px.e8, 0);
    assert_int_equal(a.realized_pnl.e8, E8(-0.2));
    assert_int_equal(a.fees.e8, E8(50)); /* 5 bp of 49999.9 and of 50000.1 */
    assert_int_equal(a.wallet.e8, E8(100000) - E8(0.2) - a.fees.e8);
    assert_int_equal(a.available.e8, a.wallet.e8);
    world_deinit(&w);
}

static void test_a_crossing_trade_closes_first(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 1, "in");
    world_market(&w, NS_PER_SECOND, SIDE_SELL, 3, "turn");
    world_finish(&w);
    const struct venue_event *turn = world_event(&w, VENUE_ORDER_TRADE, "turn", 0);
    assert_int_equal(turn->realized_pnl.e8, E8(-0.2));
    struct simex_position p;
    simex_position_get(w.sx, 0, &p);
    assert_int_equal(p.qty.e8, E8(-2));
    assert_int_equal(p.entry_cost.e8, E8(-99999.8));
    assert_int_equal(p.isolated_wallet.e8, E8(4999.99));
    world_deinit(&w);
}

static void test_funding_sign_and_order(void **state) {
    (void)state;
    for (int side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct world w;
        world_init(&w);
        world_bar(&w, 50000, 50000, 50000, 50000);
        world_market(&w, 1, (enum side)side, 2, "in");
        world_exit(&w, NS_PER_SECOND, side_opposite((enum side)side),
                   side == SIDE_BUY ? ORDER_STOP_MARKET : ORDER_TAKE_PROFIT_MARKET, 49000, "out");
        world_finish(&w);
        world_bar(&w, 48000, 48000, 48000, 48000); /* opens through the exit … */
        simex_funding(w.sx, 0, w.open_ts, rate_e8(E8(0.0001)));
        simex_funding(w.sx, 1, w.open_ts, rate_e8(E8(0.0001))); /* no position: nothing */
        world_limit(&w, 0, SIDE_BUY, 1, 47000, TIF_GTC, "cmd");
        world_finish(&w);
        /* … so at one instant: funding, path, commands */
        assert_int_equal(w.ev[0].kind, VENUE_FUNDING);
        assert_int_equal(w.ev[0].funding.e8, side == SIDE_BUY ? E8(-9.6) : E8(9.6));
        assert_int_equal(w.ev[0].funding_rate.e8, E8(0.0001));
        assert_int_equal(w.ev[1].kind, VENUE_ORDER_TRIGGERED);
        assert_int_equal(w.ev[2].kind, VENUE_ORDER_TRADE);
        assert_string_equal(w.ev[3].client_order_id, "cmd");
        struct simex_account a;
        simex_account_get(w.sx, &a);
        assert_int_equal(a.funding.e8, w.ev[0].funding.e8);
        world_deinit(&w);
    }
}

static void test_funding_comes_out_of_the_isolated_wallet(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000, 50000, 50000, 50000);
    world_market(&w, 1, SIDE_BUY, 1, "in");
    world_run(&w, NS_PER_SECOND);
    struct simex_position before, after;
    simex_position_get(w.sx, 0, &before);
    simex_funding(w.sx, 0, w.open_ts + HOUR / 2, rate_e8(E8(0.003)));
    simex_funding(w.sx, 0, w.open_ts + HOUR / 4, rate_e8(E8(-0.001))); /* sorted by time */
    world_finish(&w);
    assert_int_equal(w.ev[0].funding.e8, E8(50));
    assert_int_equal(w.ev[1].funding.e8, E8(-150));
    simex_position_get(w.sx, 0, &after);
    assert_int_equal(before.isolated_wallet.e8 - after.isolated_wallet.e8, E8(100));
    assert_true(after.liquidation_px.e8 > before.liquidation_px.e8);
    world_deinit(&w);
}

/* ---- liquidation ---- */

/* binance-usdm 9.6: isolated long 1 BTC at 50000, wallet 2500, mmr 0.4 %: LP 47690.763. */
static void test_liquidation_price_of_the_published_check(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 49999.9, 49999.9, 49999.9, 49999.9);
    world_market(&w, 1, SIDE_BUY, 1, "in");
    world_run(&w, HOUR / 2);
    struct simex_position p;
    simex_position_get(w.sx, 0, &p);
    assert_int_equal(p.entry_px.e8, E8(50000));
    assert_int_equal(p.isolated_wallet.e8, E8(2500));
    /* 47500 / 0.996 = 47690.7630522088…, and the maintenance margin rounds up */
    assert_int_equal(p.liquidation_px.e8, INT64_C(4769076305221));
    world_deinit(&w);
}

static void test_liquidation_price_in_a_higher_bracket_short(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 50000.1, 50000.1, 50000.1, 50000.1);
    world_market(&w, 1, SIDE_SELL, 10, "in"); /* 500 k: third bracket, 1 %, cum 1300 */
    world_run(&w, HOUR / 2);
    struct simex_position p;
    simex_position_get(w.sx, 0, &p);
    /* 25000 + 500000 - 10 p = 0.1 p - 1300  ->  p = 526300 / 10.1 */
    assert_int_equal(p.entry_px.e8, E8(50000));
    assert_in_range(p.liquidation_px.e8, INT64_C(5210891089108), INT64_C(5210891089109));
    world_deinit(&w);
}

static void test_liquidation_cancels_then_closes_with_a_fee(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 49999.9, 49999.9, 49999.9, 49999.9);
    world_market(&w, 1, SIDE_BUY, 1, "in");
    world_limit(&w, NS_PER_SECOND, SIDE_BUY, 1, 47600, TIF_GTC, "l");
    world_exit(&w, NS_PER_SECOND, SIDE_SELL, ORDER_STOP_MARKET, 47600, "sl");
    world_finish(&w);
    world_bar(&w, 49000, 49000, 47000, 47500);
    world_finish(&w);
    assert_int_equal(w.n, 3);
    assert_int_equal(w.ev[0].kind, VENUE_ORDER_EXPIRED);
    assert_int_equal(w.ev[0].code, 5);
    assert_string_equal(w.ev[0].client_order_id, "l");
    assert_string_equal(w.ev[1].client_order_id, "sl");
    const struct venue_event *liq = &w.ev[2];
    assert_int_equal(liq->kind, VENUE_LIQUIDATION);
    assert_string_equal(liq->client_order_id, "");
    assert_int_equal(liq->last_px.e8, E8(47690.7)); /* bid around 47690.763 */
    assert_int_equal(liq->realized_pnl.e8, E8(-2309.3));
    assert_int_equal(liq->commission.e8, E8(190.7)); /* 1.25 % is more than is left of 2500 */
    struct simex_account a;
    simex_account_get(w.sx, &a);
    assert_int_equal(a.liquidation_fees.e8, E8(190.7));
    assert_int_equal(a.insurance.e8, 0);
    assert_int_equal(a.wallet.e8,
                     E8(100000) - E8(25) - E8(2500)); /* never more than was isolated */
    assert_int_equal(a.margin_used.e8, 0);
    assert_false(simex_is_active(w.sx, 0));
    world_deinit(&w);
}

static void test_gap_beyond_bankruptcy_is_not_ours_to_pay(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_bar(&w, 49999.9, 49999.9, 49999.9, 49999.9);
    world_market(&w, 1, SIDE_BUY, 1, "in");
    world_finish(&w);
    world_bar(&w, 40000, 40000, 40000, 40000);
    assert_int_equal(world_finish(&w), 1);
    assert_int_equal(w.ev[0].kind, VENUE_LIQUIDATION);
    assert_int_equal(w.ev[0].last_px.e8, E8(47500)); /* bankruptcy: 50000 - 2500 */
    assert_int_equal(w.ev[0].commission.e8, 0);
    assert_int_equal(w.ev[0].wallet.e8, E8(100000) - E8(25) - E8(2500));
    world_deinit(&w);
}

/* A stop that fills far beyond the margin while the mark stands still: free balance pays, and the
 * fund pays what is beyond it. */
static void test_insurance_keeps_the_wallet_above_zero(void **state) {
    (void)state;
    struct world w;
    world_prepare(&w);
    w.config.wallet_start.e8 = E8(2600);
    w.in[0].market_take_bound.e8 = 0;
    world_start(&w);
    world_bar(&w, 49999.9, 49999.9, 49999.9, 49999.9);
    world_market(&w, 1, SIDE_BUY, 1, "in");
    world_exit(&w, NS_PER_SECOND, SIDE_SELL, ORDER_STOP_MARKET, 49000, "sl");
    world_finish(&w);
    struct bar last = world_bar_make(&w, 40000, 40000, 40000, 40000, 100);
    struct bar mark = world_bar_make(&w, 49900, 49900, 49900, 49900, 0);
    simex_bar_begin(w.sx, 0, &last, &mark);
    world_finish(&w);
    struct simex_account a;
    simex_account_get(w.sx, &a);
    assert_int_equal(a.wallet.e8, 0);
    assert_int_equal(a.realized_pnl.e8, E8(39999.9) - E8(50000));
    assert_int_equal(a.insurance.e8, -(E8(2600) + a.realized_pnl.e8 - a.fees.e8));
    world_deinit(&w);
}

/* ---- delisting ---- */

static void test_settling_refuses_opening_and_closed_settles(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    world_long(&w);
    simex_instrument_status(w.sx, 0, INSTRUMENT_SETTLING);
    world_bar(&w, 50000, 50000, 50000, 50000);
    struct venue_command c = world_order(&w, 1, SIDE_SELL, ORDER_MARKET, 0.5, "x");
    assert_int_equal(world_code(&w, c), -4140);
    c.reduce_only = 1;
    assert_int_equal(world_code(&w, c), 0);
    world_finish(&w);
    assert_int_equal(world_qty(&w), E8(0.5));
    simex_instrument_status(w.sx, 0, INSTRUMENT_CLOSED);
    simex_instrument_status(w.sx, 0, INSTRUMENT_CLOSED); /* twice is once */
    assert_int_equal(world_run(&w, 0), 3);
    assert_int_equal(w.ev[0].code, 7);
    assert_string_equal(w.ev[0].client_order_id, "sl");
    assert_string_equal(w.ev[1].client_order_id, "tp");
    assert_int_equal(w.ev[2].kind, VENUE_ORDER_TRADE);
    assert_string_equal(w.ev[2].client_order_id, "");
    assert_int_equal(w.ev[2].last_px.e8, E8(50000));
    assert_int_equal(w.ev[2].commission.e8, 0);
    assert_int_equal(world_qty(&w), 0);
    assert_int_equal(world_code(&w, c), -4141);
    assert_false(simex_is_active(w.sx, 0));
    world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_carries_no_price_and_fill_comes_later),
        cmocka_unit_test(test_ack_switch_is_readable),
        cmocka_unit_test(test_path_visits_low_first_when_rising),
        cmocka_unit_test(test_spread_is_at_least_half_a_tick_and_rounds_against_us),
        cmocka_unit_test(test_half_a_tick_counts_between_ticks),
        cmocka_unit_test(test_half_a_tick_moves_an_off_tick_path_on),
        cmocka_unit_test(test_commission_rounds_up),
        cmocka_unit_test(test_stop_is_filled_around_its_trigger_to_the_tick),
        cmocka_unit_test(test_market_walks_levels_up_to_its_bound),
        cmocka_unit_test(test_limit_needs_the_path_to_pass_through),
        cmocka_unit_test(test_limit_gap_trades_at_the_open),
        cmocka_unit_test(test_limit_fill_is_limited_by_volume),
        cmocka_unit_test(test_limits_at_one_instant_go_by_price_then_age),
        cmocka_unit_test(test_limit_inside_the_spread_waits_for_the_market_to_move),
        cmocka_unit_test(test_time_in_force),
        cmocka_unit_test(test_marketable_limit_takes_then_rests),
        cmocka_unit_test(test_self_trade_expires_the_maker),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_commands_arrive_by_time_then_in_order),
        cmocka_unit_test(test_queue_of_commands_has_a_limit),
        cmocka_unit_test(test_path_decides_between_stop_and_target),
        cmocka_unit_test(test_gap_through_a_stop_fills_at_the_open),
        cmocka_unit_test(test_close_position_orders_outlive_the_position),
        cmocka_unit_test(test_close_position_takes_the_position_as_it_is_then),
        cmocka_unit_test(test_one_close_position_order_of_a_kind_and_direction),
        cmocka_unit_test(test_parts_of_a_position_end_by_triggers),
        cmocka_unit_test(test_a_triggered_part_is_capped_to_the_position),
        cmocka_unit_test(test_would_trigger_immediately),
        cmocka_unit_test(test_working_type_chooses_the_price),
        cmocka_unit_test(test_stop_limit_becomes_a_limit_order),
        cmocka_unit_test(test_conditional_without_margin_expires_at_its_trigger),
        cmocka_unit_test(test_reduce_only),
        cmocka_unit_test(test_reduce_only_is_free_of_the_least_notional),
        cmocka_unit_test(test_resting_reduce_only_is_knocked_out),
        cmocka_unit_test(test_conditional_reduce_only_is_judged_at_its_trigger),
        cmocka_unit_test(test_codes_of_refusals),
        cmocka_unit_test(test_orders_max),
        cmocka_unit_test(test_open_orders_hold_margin),
        cmocka_unit_test(test_leverage),
        cmocka_unit_test(test_partial_closes_release_exactly_everything),
        cmocka_unit_test(test_a_crossing_trade_closes_first),
        cmocka_unit_test(test_funding_sign_and_order),
        cmocka_unit_test(test_funding_comes_out_of_the_isolated_wallet),
        cmocka_unit_test(test_liquidation_price_of_the_published_check),
        cmocka_unit_test(test_liquidation_price_in_a_higher_bracket_short),
        cmocka_unit_test(test_liquidation_cancels_then_closes_with_a_fee),
        cmocka_unit_test(test_gap_beyond_bankruptcy_is_not_ours_to_pay),
        cmocka_unit_test(test_insurance_keeps_the_wallet_above_zero),
        cmocka_unit_test(test_settling_refuses_opening_and_closed_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
