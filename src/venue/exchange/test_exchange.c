/* Ordinary orders: admission, matching, amendment, ends. One rule a test. */
#include "venue/exchange/test_exchange.h"

/* ---- fills and their money ---- */

static void test_market_buy_pays_fee_and_holds(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), 0);
    assert_int_equal(w->r.accepted.status, EXO_NEW);
    assert_int_equal(w->r.order.status, EXO_FILLED);
    assert_int_equal(w->r.order.cum_quote.e8, E8(5000.01));
    /* 5000.01 * 0.0005 = 2.500005 */
    assert_int_equal(tx_account_of(w, a).wallet.e8, E8(10000 - 2.500005));
    struct exchange_position p = tx_position_of(w, a, POSITION_BOTH);
    assert_int_equal(p.qty.e8, E8(0.1));
    assert_int_equal(p.entry_px.e8, E8(50000.1));
    assert_int_equal(p.entry_cost.e8, E8(5000.01));
    /* (5000.01 + 2.500005) / 0.1 */
    assert_int_equal(p.break_even_px.e8, E8(50025.10005));
    assert_int_equal(p.unrealized.e8, E8(-0.01));
    assert_int_equal(p.initial_margin.e8, E8(250)); /* 5000 / 20 */
    assert_int_equal(p.maint_margin.e8, E8(20));    /* 5000 * 0.4 % */
    assert_int_equal(tx_level_qty(w, SIDE_SELL, 50000.1), E8(9.9));
    /* NEW, then the tape, the book, the account, the fill, the fee. */
    assert_int_equal(w->event[0].kind, EXE_ORDER);
    assert_int_equal(w->event[0].exec, EXEC_NEW);
    assert_int_equal(w->event[1].kind, EXE_TRADE);
    assert_int_equal(w->event[2].kind, EXE_LEVEL);
    assert_int_equal(w->event[3].kind, EXE_ACCOUNT);
    assert_int_equal(w->event[4].exec, EXEC_TRADE);
    assert_int_equal(w->event[5].income, INCOME_COMMISSION);
    assert_int_equal(w->event[5].amount.e8, E8(-2.500005));
    assert_int_equal(exchange_open_interest(w->ex, BTC).e8, E8(0.1));
    tx_close(w);
}

static void test_round_trip_realizes(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    tx_market_order(w, a, SIDE_BUY, 0.3);
    tx_market_order(w, a, SIDE_SELL, 0.1);
    /* a third of 15000.03 is 5000.01; 4999.99 - 5000.01 = -0.02 */
    const struct exchange_event *e = tx_event(w, EXE_ORDER, EXEC_TRADE, 0);
    assert_int_equal(e->realized.e8, E8(-0.02));
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).entry_px.e8, E8(50000.1));
    tx_market_order(w, a, SIDE_SELL, 0.5); /* closes 0.2, opens 0.3 short */
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, E8(-0.3));
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).entry_px.e8, E8(49999.9));
    struct exchange_account acc = tx_account_of(w, a);
    assert_int_equal(acc.realized_pnl.e8, E8(-0.06));
    assert_int_equal(acc.wallet.e8, acc.deposits.e8 + acc.realized_pnl.e8 - acc.fees.e8);
    tx_close(w);
}

static void test_makers_fill_in_price_then_time(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000), b = tx_account(w, 100000), c = tx_account(w, 100000);
    tx_limit(w, a, SIDE_SELL, 50010, 0.2);
    tx_limit(w, b, SIDE_SELL, 50000, 0.2);
    tx_limit(w, a, SIDE_SELL, 50000, 0.2);
    assert_int_equal(tx_limit(w, c, SIDE_BUY, 50010, 0.5), 0);
    assert_int_equal(w->r.order.status, EXO_FILLED);
    const struct exchange_event *e = tx_event(w, EXE_ORDER, EXEC_TRADE, 0);
    assert_int_equal(e->account, b);
    assert_true(e->is_maker);
    assert_int_equal(e->commission.e8, E8(2)); /* 10000 * 0.0002 */
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 2)->account, a);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 4)->px.e8, E8(50010));
    /* three prints of one taker, numbered in a row */
    assert_int_equal(tx_event_count(w, EXE_TRADE, -1), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tx_event(w, EXE_TRADE, -1, i)->trade_id, i + 1);
        assert_int_equal(tx_event(w, EXE_TRADE, -1, i)->sequence,
                         tx_event(w, EXE_TRADE, -1, 0)->sequence);
    }
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, E8(-0.3));
    assert_int_equal(tx_level_qty(w, SIDE_SELL, 50010), E8(0.1));
    tx_close(w);
}

static void test_levels_are_told_in_sequence(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    tx_limit(w, a, SIDE_BUY, 49000, 0.1);
    const struct exchange_event *e = tx_event(w, EXE_LEVEL, -1, 0);
    assert_int_equal(e->sequence, 3); /* two quotes before it */
    assert_int_equal(e->qty.e8, E8(0.1));
    assert_int_equal(e->side, SIDE_BUY);
    TX(w, .kind = EXI_CANCEL_ALL, .account = a);
    e = tx_event(w, EXE_LEVEL, -1, 0);
    assert_int_equal(e->sequence, 4);
    assert_int_equal(e->qty.e8, 0);
    uint64_t sequence;
    exchange_depth(w->ex, BTC, SIDE_BUY, NULL, 0, &sequence);
    assert_int_equal(sequence, 4);
    tx_close(w);
}

/* ---- time in force ---- */

static int32_t limit_tif(struct tx *w, uint32_t a, enum side side, double px, double qty,
                         enum time_in_force tif) {
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = (uint8_t)side, .type = ORDER_LIMIT,
       .price = PX(px), .qty = QTY(qty), .time_in_force = (uint8_t)tif);
    return w->r.code;
}

static void test_ioc_expires_the_rest(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 10000);
    tx_quote(w, BTC, SIDE_SELL, 50000, 0.05);
    assert_int_equal(limit_tif(w, a, SIDE_BUY, 50000, 0.1, TIF_IOC), 0);
    assert_int_equal(w->r.order.status, EXO_EXPIRED);
    assert_int_equal(w->r.order.expiry, EXPIRY_IOC);
    assert_int_equal(w->r.order.cum_qty.e8, E8(0.05));
    assert_non_null(tx_event(w, EXE_ORDER, EXEC_EXPIRED, 0));
    assert_int_equal(tx_account_of(w, a).open_orders, 0);
    tx_close(w);
}

static void test_fok_and_gtx_leave_nothing(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 100000);
    assert_int_equal(limit_tif(w, a, SIDE_BUY, 50000.1, 10.001, TIF_FOK), -5021);
    assert_int_equal(limit_tif(w, a, SIDE_BUY, 50000.1, 0.01, TIF_GTX), -5022);
    assert_int_equal(w->events, 0);
    assert_false(w->r.has_order);
    assert_int_equal(limit_tif(w, a, SIDE_BUY, 50000.0, 0.01, TIF_GTX), 0);
    assert_int_equal(w->r.order.order_id, 1001); /* the refused took no id */
    assert_int_equal(w->r.order.status, EXO_NEW);
    assert_int_equal(limit_tif(w, a, SIDE_BUY, 50000.1, 10, TIF_FOK), 0);
    assert_int_equal(w->r.order.status, EXO_FILLED);
    tx_close(w);
}

static void test_fok_sees_through_reducing_makers_and_own_orders(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000), b = tx_account(w, 100000), c = tx_account(w, 100000);
    tx_limit(w, b, SIDE_SELL, 50000, 0.1);
    tx_market_order(w, a, SIDE_BUY, 0.1); /* a long 0.1 */
    for (int i = 0; i < 2; i++)           /* 0.2 offered, 0.1 can be reduced */
        TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_SELL, .type = ORDER_LIMIT,
           .price = PX(50001), .qty = QTY(0.1), .reduce_only = 1);
    tx_limit(w, c, SIDE_SELL, 50002, 0.1);
    TX(w, .kind = EXI_ORDER_PLACE, .account = c, .side = SIDE_BUY, .type = ORDER_LIMIT,
       .price = PX(50002), .qty = QTY(0.2), .time_in_force = TIF_FOK, .stp = STP_EXPIRE_MAKER);
    assert_int_equal(w->r.code, -5021);
    TX(w, .kind = EXI_ORDER_PLACE, .account = c, .side = SIDE_BUY, .type = ORDER_LIMIT,
       .price = PX(50002), .qty = QTY(0.1), .time_in_force = TIF_FOK, .stp = STP_EXPIRE_MAKER);
    assert_int_equal(w->r.order.status, EXO_FILLED);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    tx_close(w);
}

static void test_gtd_expires_before_the_next_input(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    int64_t until = w->now + 700 * SECOND + 123;
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_BUY, .type = ORDER_LIMIT,
       .price = PX(49000), .qty = QTY(0.1), .time_in_force = TIF_GTD,
       .until_ns = w->now + 600 * SECOND);
    assert_int_equal(w->r.code, -5040);
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_BUY, .type = ORDER_LIMIT,
       .price = PX(49000), .qty = QTY(0.1), .time_in_force = TIF_GTD, .until_ns = until);
    assert_int_equal(w->r.code, 0);
    assert_int_equal(w->r.order.good_till_ns, until - until % SECOND);
    assert_int_equal(exchange_deadline(w->ex), until - until % SECOND);
    w->now += 700 * SECOND;
    tx_quote(w, BTC, SIDE_SELL, 49000, 1); /* would have filled it */
    assert_non_null(tx_event(w, EXE_ORDER, EXEC_EXPIRED, 0));
    assert_int_equal(tx_event_count(w, EXE_TRADE, -1),
                     0); /* the house does not trade with itself */
    tx_close(w);
}

static void test_market_walks_to_its_bound(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), 0); /* empty book */
    assert_int_equal(w->r.accepted.status, EXO_NEW);
    assert_int_equal(w->r.order.status, EXO_EXPIRED);
    assert_int_equal(w->r.order.expiry, EXPIRY_MARKET);
    tx_quote(w, BTC, SIDE_SELL, 52500.1, 1); /* 5 % above mark is 52500 */
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), -4131);
    tx_quote(w, BTC, SIDE_SELL, 52500, 0.06);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), 0);
    assert_int_equal(w->r.order.cum_qty.e8, E8(0.06));
    assert_int_equal(w->r.order.expiry, EXPIRY_MARKET);
    tx_close(w);
}

/* ---- self trade ---- */

static void stp_case(enum venue_stp mode, enum time_in_force tif, uint8_t maker_status,
                     uint8_t taker_status, uint8_t taker_expiry, double taker_qty) {
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000);
    tx_quote(w, BTC, SIDE_SELL, 50001, 1);
    tx_limit(w, a, SIDE_SELL, 50000, 0.1);
    uint64_t maker = w->r.order.order_id;
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_BUY, .type = ORDER_LIMIT,
       .price = PX(50001), .qty = QTY(0.2), .time_in_force = (uint8_t)tif, .stp = (uint8_t)mode);
    assert_int_equal(w->r.order.status, taker_status);
    assert_int_equal(w->r.order.expiry, taker_expiry);
    assert_int_equal(w->r.order.cum_qty.e8, E8(taker_qty));
    struct exchange_order open[2];
    uint32_t n = exchange_open_orders(w->ex, a, BTC, open, 2);
    if (maker_status == EXO_NEW) {
        assert_int_equal(n, 1);
        assert_int_equal(open[0].order_id, maker);
    } else {
        assert_int_equal(n, 0);
    }
    if (maker_status == EXO_EXPIRED_IN_MATCH) {
        const struct exchange_event *e = tx_event(w, EXE_ORDER, EXEC_EXPIRED, 0);
        assert_int_equal(e->u.order.order_id, maker);
        assert_int_equal(e->u.order.status, EXO_EXPIRED_IN_MATCH);
        assert_int_equal(e->u.order.expiry, EXPIRY_STP);
    }
    tx_close(w);
}

static void test_self_trade_prevention(void **state) {
    (void)state;
    stp_case(STP_EXPIRE_MAKER, TIF_GTC, EXO_EXPIRED_IN_MATCH, EXO_FILLED, EXPIRY_NONE, 0.2);
    stp_case(STP_EXPIRE_TAKER, TIF_GTC, EXO_NEW, EXO_EXPIRED_IN_MATCH, EXPIRY_STP, 0);
    stp_case(STP_EXPIRE_TAKER, TIF_IOC, EXO_NEW, EXO_EXPIRED_IN_MATCH, EXPIRY_IOC_STP, 0);
    stp_case(STP_EXPIRE_BOTH, TIF_GTC, EXO_EXPIRED_IN_MATCH, EXO_EXPIRED_IN_MATCH, EXPIRY_STP, 0);
    stp_case(STP_NONE, TIF_GTC, EXO_FILLED, EXO_FILLED, EXPIRY_NONE, 0.2);
}

/* ---- admission ---- */

static void test_filters_refuse_with_their_codes(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 0, 0.1), -4001);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 1000000.1, 0.1), -4002);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 0.05, 0.1), -4013);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999.95, 0.1), -4014);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999, 0), -4003);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999, 0.0005), -4004);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999, 1000.001), -4005);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 120.001), -4005);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999, 0.0015), -4023);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 52500.1, 0.1), -4016);
    assert_int_equal(w->r.argument, E8(52500));
    assert_int_equal(tx_limit(w, a, SIDE_SELL, 47499.9, 0.1), -4024);
    assert_int_equal(w->r.argument, E8(47500));
    TX(w, .kind = EXI_ORDER_PLACE, .instrument = ETH, .account = a, .side = SIDE_BUY,
       .type = ORDER_LIMIT, .price = PX(2000), .qty = QTY(0.002));
    assert_int_equal(w->r.code, -4164); /* 4 < 5 */
    assert_int_equal(w->r.argument, E8(5));
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999, 5), -2019); /* 250000 / 20 > 10000 */
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49999, 201), -2027);
    assert_int_equal(w->r.argument, E8(10000000));
    tx_close(w);
}

static int32_t odd(struct tx *w, struct exchange_input in) {
    in.kind = EXI_ORDER_PLACE;
    if (!in.side) in.side = SIDE_BUY;
    if (!in.qty.e8) in.qty.e8 = E8(0.01);
    tx_do(w, &in);
    return w->r.code;
}
#define ODD(...) odd(w, (struct exchange_input){.account = a, __VA_ARGS__})

static void test_parameters_that_do_not_fit(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    assert_int_equal(ODD(.instrument = 2), -1121);
    assert_int_equal(odd(w, (struct exchange_input){.account = 7}), -1109);
    assert_int_equal(odd(w, (struct exchange_input){.account = EXCHANGE_HOUSE}), -1109);
    assert_int_equal(ODD(.side = 3), -1117);
    assert_int_equal(ODD(.type = 9), -1116);
    assert_int_equal(ODD(.type = ORDER_LIMIT, .time_in_force = 9), -1115);
    assert_int_equal(ODD(.position_side = 3), -4060);
    assert_int_equal(ODD(.stp = 4), -5039);
    assert_int_equal(ODD(.price_match = 9), -5037);
    assert_int_equal(ODD(.price_match = PRICE_MATCH_QUEUE), -5038);
    assert_int_equal(ODD(.time_in_force = TIF_IOC), -1106);
    assert_int_equal(ODD(.type = ORDER_STOP_MARKET, .price2 = PX(51000)), -4120);
    assert_int_equal(ODD(.position_side = POSITION_LONG), -4061);
    assert_int_equal(ODD(.reduce_only = 1), -2022);
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price = PX(49000), .client_id = "not ok"), -4015);
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price = PX(49000),
                         .client_id = "1234567890123456789012345678901234567"),
                     -4015);
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price = PX(49000), .client_id = "mine"), 0);
    assert_string_equal(w->r.order.client_order_id, "mine");
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price = PX(49000), .client_id = "mine"), -4116);
    TX(w, .kind = EXI_ORDER_CANCEL, .account = a, .client_id = "mine");
    assert_int_equal(w->r.code, 0);
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price = PX(49000), .client_id = "mine"), 0);
    tx_close(w);
}

static void test_price_match(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000);
    for (int i = 0; i < 5; i++) {
        tx_quote(w, BTC, SIDE_BUY, 49999 - i, 1);
        tx_quote(w, BTC, SIDE_SELL, 50001 + i, 1);
    }
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price_match = PRICE_MATCH_QUEUE_5), 0);
    assert_int_equal(w->r.order.price.e8, E8(49995));
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price_match = PRICE_MATCH_QUEUE), 0);
    assert_int_equal(w->r.order.price.e8, E8(49999));
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price_match = PRICE_MATCH_OPPONENT_5), 0);
    assert_int_equal(w->r.order.price.e8, E8(50005));
    assert_int_equal(w->r.order.cum_quote.e8, E8(500.01)); /* filled at the best */
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price_match = PRICE_MATCH_OPPONENT_10), -5041);
    assert_int_equal(ODD(.type = ORDER_LIMIT, .price_match = PRICE_MATCH_QUEUE, .price = PX(49000)),
                     -1106);
    tx_close(w);
}

static void test_at_most_200_orders_a_contract(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 1000000);
    for (int i = 0; i < 200; i++) assert_int_equal(tx_limit(w, a, SIDE_BUY, 49000 - i, 0.001), 0);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 48000, 0.001), -2025);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.001), 0); /* does not rest */
    TX(w, .kind = EXI_CANCEL_ALL, .account = a, .instrument = ETH);
    assert_int_equal(tx_account_of(w, a).open_orders, 200);
    TX(w, .kind = EXI_CANCEL_ALL, .account = a);
    assert_int_equal(tx_account_of(w, a).open_orders, 0);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_CANCELED, 0)->u.order.order_id, 1001);
    assert_int_equal(tx_account_of(w, a).order_margin.e8, 0);
    tx_close(w);
}

static void test_order_test_leaves_no_trace(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    TX(w, .kind = EXI_ORDER_TEST, .account = a, .side = SIDE_BUY, .type = ORDER_MARKET,
       .qty = QTY(0.1));
    assert_int_equal(w->r.code, 0);
    assert_true(w->r.has_order);
    assert_int_equal(w->events, 0);
    TX(w, .kind = EXI_ORDER_TEST, .account = a, .side = SIDE_BUY, .type = ORDER_MARKET,
       .qty = QTY(10));
    assert_int_equal(w->r.code, -2019);
    tx_close(w);
}

/* ---- cancel, amend, countdown ---- */

static void test_cancel_by_either_id(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000), b = tx_account(w, 10000);
    tx_limit(w, a, SIDE_BUY, 49000, 0.1);
    uint64_t id = w->r.order.order_id;
    TX(w, .kind = EXI_ORDER_CANCEL, .account = b, .order_id = id);
    assert_int_equal(w->r.code, -2011);
    TX(w, .kind = EXI_ORDER_CANCEL, .account = a, .instrument = ETH, .order_id = id);
    assert_int_equal(w->r.code, -2011);
    TX(w, .kind = EXI_ORDER_CANCEL, .account = a, .order_id = id);
    assert_int_equal(w->r.code, 0);
    assert_int_equal(w->r.order.status, EXO_CANCELED);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_CANCELED, 0)->u.order.order_id, id);
    TX(w, .kind = EXI_ORDER_CANCEL, .account = a, .order_id = id);
    assert_int_equal(w->r.code, -2011);
    tx_close(w);
}

static int32_t amend(struct tx *w, uint32_t a, uint64_t id, double px, double qty) {
    TX(w, .kind = EXI_ORDER_AMEND, .account = a, .side = SIDE_BUY, .order_id = id, .price = PX(px),
       .qty = QTY(qty));
    return w->r.code;
}

static void test_amend_goes_to_the_end_of_the_line(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 100000), b = tx_account(w, 100000);
    tx_limit(w, a, SIDE_BUY, 49990, 0.1);
    uint64_t id = w->r.order.order_id;
    tx_limit(w, b, SIDE_BUY, 49990, 0.1);
    assert_int_equal(amend(w, a, id, 49990, 0.1), -5027);
    assert_int_equal(amend(w, a, 4711, 49990, 0.1), -2013);
    assert_int_equal(amend(w, a, id, 49990, 0.00005), -4004);
    assert_int_equal(amend(w, a, id, 49990, 1000), -2027);
    assert_int_equal(amend(w, a, id, 49990, 0.09), 0); /* even less loses the place */
    const struct exchange_event *e = tx_event(w, EXE_AMENDED, -1, 0);
    assert_int_equal(e->qty2.e8, E8(0.1));
    assert_int_equal(e->qty.e8, E8(0.09));
    assert_non_null(tx_event(w, EXE_ORDER, EXEC_AMENDMENT, 0));
    assert_int_equal(w->r.order.amendments, 1);
    tx_quote(w, BTC, SIDE_BUY, 49999.9, 0);
    tx_quote(w, BTC, SIDE_SELL, 49990, 0.1);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 0)->account, b);
    assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_TRADE), 1);
    /* to a price that crosses: it takes */
    tx_quote(w, BTC, SIDE_SELL, 49995, 1);
    assert_int_equal(amend(w, a, id, 49995, 0.2), 0);
    assert_int_equal(w->r.order.status, EXO_FILLED);
    tx_close(w);
}

static void test_amend_that_cancels(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000);
    tx_limit(w, a, SIDE_BUY, 50000, 0.2);
    uint64_t id = w->r.order.order_id;
    tx_quote(w, BTC, SIDE_SELL, 50000, 0.1);
    assert_int_equal(amend(w, a, id, 49999, 0.1), 0); /* not more than executed */
    assert_int_equal(w->r.order.status, EXO_CANCELED);
    assert_int_equal(w->r.order.cum_qty.e8, E8(0.1));
    limit_tif(w, a, SIDE_BUY, 49000, 0.1, TIF_GTX);
    id = w->r.order.order_id;
    tx_quote(w, BTC, SIDE_SELL, 50000, 1);
    assert_int_equal(amend(w, a, id, 50000, 0.1), 0);
    assert_int_equal(w->r.order.status, EXO_CANCELED);
    assert_int_equal(tx_event_count(w, EXE_TRADE, -1), 0);
    tx_close(w);
}

static void test_amend_margin_counts_the_difference(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 300);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49000, 0.1), 0); /* 245 + fee 2.45 */
    uint64_t id = w->r.order.order_id;
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49000, 0.1), -2019);
    assert_int_equal(amend(w, a, id, 49000, 0.12), 0); /* 294 + 2.94 */
    assert_int_equal(amend(w, a, id, 49000, 0.122), -2019);
    assert_int_equal(tx_account_of(w, a).order_margin.e8, E8(294));
    tx_close(w);
}

static void test_countdown_cancels_one_contract(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    tx_limit(w, a, SIDE_BUY, 49000, 0.01);
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .instrument = ETH, .side = SIDE_BUY,
       .type = ORDER_LIMIT, .price = PX(1950), .qty = QTY(0.1));
    TX(w, .kind = EXI_ALGO_PLACE, .account = a, .side = SIDE_BUY, .type = ORDER_STOP_MARKET,
       .price2 = PX(51000), .qty = QTY(0.01));
    int64_t at = w->now + 5 * SECOND;
    TX(w, .kind = EXI_COUNTDOWN, .account = a, .until_ns = at);
    assert_int_equal(exchange_deadline(w->ex), at);
    w->now = at - 2000000;
    TX(w, .kind = EXI_TIME);
    assert_int_equal(tx_account_of(w, a).open_orders, 2);
    TX(w, .kind = EXI_TIME);
    assert_int_equal(tx_account_of(w, a).open_orders, 1);
    assert_int_equal(tx_account_of(w, a).open_algos, 1);
    assert_int_equal(exchange_deadline(w->ex), INT64_MAX);
    TX(w, .kind = EXI_COUNTDOWN, .account = a, .instrument = ETH, .until_ns = w->now + SECOND);
    TX(w, .kind = EXI_COUNTDOWN, .account = a, .instrument = ETH, .until_ns = 0);
    w->now += 2 * SECOND;
    TX(w, .kind = EXI_TIME);
    assert_int_equal(tx_account_of(w, a).open_orders, 1);
    tx_close(w);
}

/* ---- reduceOnly and hedge ---- */

static void test_reduce_only_never_turns(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    tx_market_order(w, a, SIDE_BUY, 0.1);
    assert_int_equal(ODD(.side = SIDE_BUY, .reduce_only = 1), -2022);
    /* larger than the position: taken, the rest knocked out */
    assert_int_equal(ODD(.side = SIDE_SELL, .qty = QTY(0.3), .reduce_only = 1), 0);
    assert_int_equal(w->r.order.cum_qty.e8, E8(0.1));
    assert_int_equal(w->r.order.status, EXO_EXPIRED);
    assert_int_equal(w->r.order.expiry, EXPIRY_REDUCE);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    tx_close(w);
}

static void test_reduce_only_maker_is_cut(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    tx_market_order(w, a, SIDE_BUY, 0.1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ODD(.type = ORDER_LIMIT, .side = SIDE_SELL, .price = PX(50000 + i),
                             .qty = QTY(0.08), .reduce_only = 1),
                         0);
    assert_int_equal(tx_account_of(w, a).order_margin.e8, 0);
    tx_quote(w, BTC, SIDE_SELL, 50000.1, 0);
    tx_quote(w, BTC, SIDE_BUY, 50002, 1);
    /* 0.08, 0.02 and the rest out, the third has nothing to reduce */
    assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_TRADE), 2);
    assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_EXPIRED), 2);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 1)->qty.e8, E8(0.02));
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_EXPIRED, 0)->u.order.expiry, EXPIRY_REDUCE);
    assert_int_equal(tx_level_qty(w, SIDE_BUY, 50002), E8(0.9));
    tx_close(w);
}

static void test_hedge_sides_are_apart(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    TX(w, .kind = EXI_POSITION_MODE, .account = a, .flag = 1);
    assert_int_equal(w->r.code, 0);
    assert_int_equal(ODD(.position_side = POSITION_BOTH), -4061);
    assert_int_equal(ODD(.position_side = POSITION_LONG, .reduce_only = 1), -1106);
    assert_int_equal(ODD(.position_side = POSITION_LONG, .qty = QTY(0.1)), 0);
    assert_int_equal(ODD(.position_side = POSITION_SHORT, .side = SIDE_SELL, .qty = QTY(0.2)), 0);
    assert_int_equal(tx_position_of(w, a, POSITION_LONG).qty.e8, E8(0.1));
    assert_int_equal(tx_position_of(w, a, POSITION_SHORT).qty.e8, E8(-0.2));
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    assert_int_equal(tx_account_of(w, a).position_margin.e8, E8(750));
    /* more than held is refused, not cut */
    assert_int_equal(ODD(.position_side = POSITION_LONG, .side = SIDE_SELL, .qty = QTY(0.101)),
                     -2022);
    assert_int_equal(ODD(.position_side = POSITION_SHORT, .side = SIDE_BUY, .qty = QTY(0.05)), 0);
    assert_int_equal(tx_position_of(w, a, POSITION_SHORT).qty.e8, E8(-0.15));
    assert_int_equal(w->event[1].position_side, 0);
    assert_int_equal(tx_event(w, EXE_ACCOUNT, -1, 0)->position_side, POSITION_SHORT);
    tx_close(w);
}

/* ---- the house ---- */

static void test_house_trades_users_orders_it_crosses(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 10000);
    tx_limit(w, a, SIDE_BUY, 50000, 0.1);
    tx_quote(w, BTC, SIDE_SELL, 49999, 0.3);
    assert_int_equal(tx_event(w, EXE_TRADE, -1, 0)->px.e8, E8(50000));
    assert_int_equal(tx_event(w, EXE_TRADE, -1, 0)->side, SIDE_SELL);
    assert_int_equal(tx_level_qty(w, SIDE_SELL, 49999), E8(0.2));
    assert_int_equal(tx_event_count(w, EXE_ORDER, -1), 1); /* the user's only */
    /* its own opposite quote gives way */
    tx_quote(w, BTC, SIDE_BUY, 49999.5, 1);
    assert_int_equal(tx_level_qty(w, SIDE_SELL, 49999), 0);
    assert_int_equal(tx_event_count(w, EXE_TRADE, -1), 0);
    /* less keeps its place before a user's order, more does not */
    tx_limit(w, a, SIDE_BUY, 49999.5, 0.01);
    tx_quote(w, BTC, SIDE_BUY, 49999.5, 0.5);
    tx_market_order(w, a, SIDE_SELL, 0.1); /* EXPIRE_MAKER is not asked for: NONE */
    assert_int_equal(tx_level_qty(w, SIDE_BUY, 49999.5), E8(0.41));
    tx_quote(w, BTC, SIDE_BUY, 49999.5, 2);
    uint32_t b = tx_account(w, 1000);
    tx_market_order(w, b, SIDE_SELL, 0.01);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 0)->account, a);
    tx_close(w);
}

static void test_house_quote_must_be_on_tick(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    TX(w, .kind = EXI_QUOTE, .side = SIDE_BUY, .price = PX(49999.95), .qty = QTY(1));
    assert_int_equal(w->r.code, -4014);
    TX(w, .kind = EXI_PRINT, .side = SIDE_BUY, .price = PX(50000.05), .qty = QTY(1));
    assert_int_equal(w->r.code, 0);
    struct exchange_prices p;
    exchange_prices_get(w->ex, BTC, &p);
    assert_int_equal(p.last.e8, E8(50000.05));
    assert_int_equal(p.last_trade_id, 1);
    tx_close(w);
}

/* ---- rules that change ---- */

static void test_new_tick_keeps_everybody_in_line(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000), b = tx_account(w, 10000);
    tx_limit(w, a, SIDE_BUY, 49990.1, 0.01);
    tx_limit(w, b, SIDE_BUY, 49990.1, 0.01);
    struct instrument in = tx_instrument("BTCUSDT", 0.25);
    in.px_min.e8 = E8(0.05);
    exchange_set_instrument(w->ex, BTC, &in);
    TX(w, .kind = EXI_FILTERS);
    assert_int_equal(w->event[0].kind, EXE_FILTERS);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49990.1, 0.01), -4014);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49990.3, 0.01), 0);
    assert_int_equal(tx_level_qty(w, SIDE_BUY, 49990.1), E8(0.02));
    assert_int_equal(tx_best(w, SIDE_SELL) == 50000.1, 1);
    tx_quote(w, BTC, SIDE_BUY, 49999.9, 0);
    tx_quote(w, BTC, SIDE_SELL, 49990.1, 0.02);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 0)->px.e8, E8(49990.3));
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_TRADE, 1)->account, a);
    assert_int_equal(tx_level_qty(w, SIDE_BUY, 49990.1), E8(0.01));
    tx_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_market_buy_pays_fee_and_holds),
        cmocka_unit_test(test_round_trip_realizes),
        cmocka_unit_test(test_makers_fill_in_price_then_time),
        cmocka_unit_test(test_levels_are_told_in_sequence),
        cmocka_unit_test(test_ioc_expires_the_rest),
        cmocka_unit_test(test_fok_and_gtx_leave_nothing),
        cmocka_unit_test(test_fok_sees_through_reducing_makers_and_own_orders),
        cmocka_unit_test(test_gtd_expires_before_the_next_input),
        cmocka_unit_test(test_market_walks_to_its_bound),
        cmocka_unit_test(test_self_trade_prevention),
        cmocka_unit_test(test_filters_refuse_with_their_codes),
        cmocka_unit_test(test_parameters_that_do_not_fit),
        cmocka_unit_test(test_price_match),
        cmocka_unit_test(test_at_most_200_orders_a_contract),
        cmocka_unit_test(test_order_test_leaves_no_trace),
        cmocka_unit_test(test_cancel_by_either_id),
        cmocka_unit_test(test_amend_goes_to_the_end_of_the_line),
        cmocka_unit_test(test_amend_that_cancels),
        cmocka_unit_test(test_amend_margin_counts_the_difference),
        cmocka_unit_test(test_countdown_cancels_one_contract),
        cmocka_unit_test(test_reduce_only_never_turns),
        cmocka_unit_test(test_reduce_only_maker_is_cut),
        cmocka_unit_test(test_hedge_sides_are_apart),
        cmocka_unit_test(test_house_trades_users_orders_it_crosses),
        cmocka_unit_test(test_house_quote_must_be_on_tick),
        cmocka_unit_test(test_new_tick_keeps_everybody_in_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
