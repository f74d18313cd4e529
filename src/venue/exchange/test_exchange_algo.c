/* Conditional orders: what may be placed, what fires, what becomes of it. */
#include "venue/exchange/test_exchange.h"

static int32_t algo(struct tx *w, struct exchange_input in) {
    in.kind = EXI_ALGO_PLACE;
    if (!in.account) in.account = 1;
    if (!in.side) in.side = SIDE_SELL;
    if (!in.qty.e8 && !in.close_position) in.qty.e8 = E8(0.1);
    tx_do(w, &in);
    return w->r.code;
}
#define ALGO(...) algo(w, (struct exchange_input){__VA_ARGS__})

static void print_px(struct tx *w, double px) {
    TX(w, .kind = EXI_PRINT, .side = SIDE_BUY, .price = PX(px), .qty = QTY(0.1));
    assert_int_equal(w->r.code, 0);
}

/* A market around 50000, last 50000, account 1 with 100000, long 0.1. */
static struct tx *long_market(void) {
    struct tx *w = tx_market();
    tx_account(w, 100000);
    tx_market_order(w, 1, SIDE_BUY, 0.1);
    print_px(w, 50000);
    return w;
}

static int status_at(const struct tx *w, int n) {
    const struct exchange_event *e = tx_event(w, EXE_ALGO, -1, n);
    return e ? e->u.algo.status : -1;
}

static void test_stop_market_runs_through_its_states(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49900), .reduce_only = 1,
                          .client_id = "stop-1"),
                     0);
    assert_int_equal(w->r.algo.algo_id, 5001);
    assert_int_equal(w->r.algo.status, EXA_NEW);
    assert_int_equal(status_at(w, 0), EXA_NEW);
    print_px(w, 49900.1);
    assert_int_equal(tx_event_count(w, EXE_ALGO, -1), 0);
    print_px(w, 49900);
    assert_int_equal(status_at(w, 0), EXA_TRIGGERING);
    assert_int_equal(status_at(w, 1), EXA_TRIGGERED);
    assert_int_equal(status_at(w, 2), EXA_FINISHED);
    const struct exchange_event *triggering = tx_event(w, EXE_ALGO, -1, 0);
    assert_int_equal(triggering->u.algo.actual_order_id, 0);
    assert_int_equal(triggering->u.algo.trigger_ns, w->now);
    const struct exchange_event *child = tx_event(w, EXE_ORDER, EXEC_NEW, 0);
    assert_true(triggering < child && child < tx_event(w, EXE_ALGO, -1, 1));
    assert_int_equal(child->u.order.type, ORDER_MARKET);
    assert_int_equal(child->u.order.orig_type, ORDER_STOP_MARKET);
    assert_int_equal(child->u.order.stop_price.e8, E8(49900));
    assert_int_equal(child->u.order.algo_id, 5001);
    assert_string_equal(child->u.order.client_order_id, "stop-1");
    const struct exchange_algo *triggered = &tx_event(w, EXE_ALGO, -1, 1)->u.algo;
    assert_int_equal(triggered->actual_order_id, child->u.order.order_id);
    assert_int_equal(triggered->actual_qty.e8, 0);
    const struct exchange_algo *finished = &tx_event(w, EXE_ALGO, -1, 2)->u.algo;
    assert_int_equal(finished->actual_qty.e8, E8(0.1));
    assert_int_equal(finished->actual_quote.e8, E8(4999.99));
    assert_int_equal(tx_position_of(w, 1, POSITION_BOTH).qty.e8, 0);
    assert_int_equal(tx_account_of(w, 1).open_algos, 0);
    tx_close(w);
}

static void test_directions(void **state) {
    (void)state;
    static const struct {
        uint8_t type, side;
        double trigger, quiet, fires;
    } rows[] = {
        {ORDER_STOP_MARKET, SIDE_BUY, 50100, 50099.9, 50100},
        {ORDER_STOP_MARKET, SIDE_SELL, 49900, 49900.1, 49900},
        {ORDER_TAKE_PROFIT_MARKET, SIDE_BUY, 49900, 49900.1, 49900},
        {ORDER_TAKE_PROFIT_MARKET, SIDE_SELL, 50100, 50099.9, 50100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int mark = 0; mark < 2; mark++) {
            struct tx *w = long_market();
            uint8_t wt = mark ? WORKING_MARK_PRICE : WORKING_CONTRACT_PRICE;
            double wrong = 100000 - rows[i].trigger;
            assert_int_equal(ALGO(.type = rows[i].type, .side = rows[i].side, .working_type = wt,
                                  .price2 = PX(wrong)),
                             -2021);
            assert_int_equal(ALGO(.type = rows[i].type, .side = rows[i].side, .working_type = wt,
                                  .price2 = PX(50000)),
                             -2021);
            assert_int_equal(ALGO(.type = rows[i].type, .side = rows[i].side, .working_type = wt,
                                  .price2 = PX(rows[i].trigger)),
                             0);
            if (mark) {
                print_px(w, rows[i].fires); /* the other price does nothing */
                assert_int_equal(tx_account_of(w, 1).open_algos, 1);
                tx_mark(w, BTC, rows[i].quiet);
                assert_int_equal(tx_account_of(w, 1).open_algos, 1);
                tx_mark(w, BTC, rows[i].fires);
            } else {
                tx_mark(w, BTC, rows[i].fires);
                print_px(w, rows[i].quiet);
                assert_int_equal(tx_account_of(w, 1).open_algos, 1);
                print_px(w, rows[i].fires);
            }
            assert_int_equal(tx_account_of(w, 1).open_algos, 0);
            assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_TRADE), 1);
            tx_close(w);
        }
}

static void test_stop_limit_rests_and_finishes_with_its_child(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(
        ALGO(.type = ORDER_STOP, .price2 = PX(49900), .price = PX(50005), .client_id = "sl"), 0);
    print_px(w, 49900);
    assert_int_equal(status_at(w, 1), EXA_TRIGGERED);
    assert_int_equal(status_at(w, 2), -1);
    struct exchange_order open[2];
    assert_int_equal(exchange_open_orders(w->ex, 1, BTC, open, 2), 1);
    assert_int_equal(open[0].type, ORDER_LIMIT);
    assert_int_equal(open[0].price.e8, E8(50005));
    TX(w, .kind = EXI_ALGO_CANCEL, .account = 1, .order_id = 5001);
    assert_int_equal(w->r.code, -2011); /* it is an ordinary order now */
    TX(w, .kind = EXI_ORDER_CANCEL, .account = 1, .client_id = "sl");
    assert_int_equal(w->r.code, 0);
    assert_int_equal(status_at(w, 0), EXA_FINISHED);
    assert_int_equal(tx_event(w, EXE_ALGO, -1, 0)->u.algo.actual_qty.e8, 0);
    tx_close(w);
}

static void test_close_position_takes_what_there_is(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(
        ALGO(.type = ORDER_STOP_MARKET, .close_position = 1, .qty = QTY(0.1), .price2 = PX(49900)),
        -4137);
    assert_int_equal(
        ALGO(.type = ORDER_STOP_MARKET, .close_position = 1, .reduce_only = 1, .price2 = PX(49900)),
        -1106);
    assert_int_equal(
        ALGO(.type = ORDER_STOP, .close_position = 1, .price = PX(49900), .price2 = PX(49900)),
        -1106);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .close_position = 1, .price2 = PX(49900)), 0);
    assert_int_equal(
        ALGO(.type = ORDER_TAKE_PROFIT_MARKET, .close_position = 1, .price2 = PX(50200)), 0);
    tx_market_order(w, 1, SIDE_BUY, 0.25);
    print_px(w, 49900);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_NEW, 0)->u.order.orig_qty.e8, E8(0.35));
    assert_int_equal(tx_position_of(w, 1, POSITION_BOTH).qty.e8, 0);
    print_px(w, 50200);
    assert_int_equal(status_at(w, 0), EXA_TRIGGERING);
    assert_int_equal(status_at(w, 1), EXA_EXPIRED);
    assert_int_equal(tx_event_count(w, EXE_ORDER, -1), 0);
    tx_close(w);
}

/* One stop and one take profit of a direction may take the whole position, and no second of either. */
static void test_close_position_once_a_direction(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .close_position = 1, .price2 = PX(49900),
                          .client_id = "sl"),
                     0);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .close_position = 1, .price2 = PX(49800)),
                     -4130);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .reduce_only = 1, .price2 = PX(49800)), 0);
    assert_int_equal(
        ALGO(.type = ORDER_TAKE_PROFIT_MARKET, .close_position = 1, .price2 = PX(50100)), 0);
    assert_int_equal(
        ALGO(.type = ORDER_TAKE_PROFIT_MARKET, .close_position = 1, .price2 = PX(50200)), -4130);
    assert_int_equal(
        ALGO(.type = ORDER_STOP_MARKET, .side = SIDE_BUY, .close_position = 1, .price2 = PX(50300)),
        0);
    TX(w, .kind = EXI_ALGO_CANCEL, .account = 1, .client_id = "sl");
    assert_int_equal(w->r.code, 0);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .close_position = 1, .price2 = PX(49800)), 0);
    tx_close(w);
}

static void test_refused_at_its_trigger(void **state) {
    (void)state;
    struct tx *w = long_market();
    /* No margin is looked at now: 60 BTC at 50000 / 20 would need 150000 of 100000. */
    assert_int_equal(
        ALGO(.type = ORDER_STOP_MARKET, .side = SIDE_BUY, .qty = QTY(60), .price2 = PX(50100)), 0);
    assert_int_equal(ALGO(.type = ORDER_TAKE_PROFIT_MARKET, .side = SIDE_BUY, .reduce_only = 1,
                          .price2 = PX(49900)),
                     0);
    print_px(w, 50100);
    assert_int_equal(status_at(w, 1), EXA_REJECTED);
    assert_int_equal(tx_event(w, EXE_ALGO, -1, 1)->u.algo.reject_code, -2019);
    print_px(w, 49900);
    assert_int_equal(status_at(w, 1), EXA_REJECTED);
    assert_int_equal(tx_event(w, EXE_ALGO, -1, 1)->u.algo.reject_code, -2022);
    assert_int_equal(tx_event_count(w, EXE_ORDER, -1), 0);
    tx_close(w);
}

static void test_trailing_follows_and_fires(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(ALGO(.type = ORDER_TRAILING_STOP_MARKET, .rate = {99999}), -1130);
    assert_int_equal(ALGO(.type = ORDER_TRAILING_STOP_MARKET, .rate = {20000001}), -1130);
    assert_int_equal(
        ALGO(.type = ORDER_TRAILING_STOP_MARKET, .rate = {1000000}, .price2 = PX(50000)), -2021);
    assert_int_equal(
        ALGO(.type = ORDER_TRAILING_STOP_MARKET, .rate = {1000000}, .price2 = PX(50500)), 0);
    assert_false(w->r.algo.activated);
    print_px(w, 49000); /* not active: 1 % below is nothing to it */
    assert_int_equal(tx_account_of(w, 1).open_algos, 1);
    print_px(w, 50600);
    struct exchange_algo a;
    assert_int_equal(exchange_open_algos(w->ex, 1, BTC, &a, 1), 1);
    assert_true(a.activated);
    assert_int_equal(a.extreme_price.e8, E8(50600));
    print_px(w, 51000);
    print_px(w, 50490.1); /* 51000 * 0.99 = 50490 */
    assert_int_equal(tx_account_of(w, 1).open_algos, 1);
    print_px(w, 50490);
    assert_int_equal(status_at(w, 2), EXA_FINISHED);
    assert_int_equal(tx_position_of(w, 1, POSITION_BOTH).qty.e8, 0);
    /* A buy, active at once. */
    assert_int_equal(ALGO(.type = ORDER_TRAILING_STOP_MARKET, .side = SIDE_BUY, .rate = {1000000}),
                     0);
    assert_true(w->r.algo.activated);
    print_px(w, 49900);
    print_px(w, 50398.9); /* 49900 * 1.01 = 50399 */
    assert_int_equal(tx_account_of(w, 1).open_algos, 1);
    print_px(w, 50399);
    assert_int_equal(tx_account_of(w, 1).open_algos, 0);
    tx_close(w);
}

static void test_price_protect_waits(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49000), .price_protect = 1), 0);
    print_px(w, 47500); /* 5 % from mark: not below the bound */
    assert_int_equal(tx_account_of(w, 1).open_algos, 1);
    assert_int_equal(tx_event_count(w, EXE_ALGO, -1), 0);
    print_px(w, 47500.1);
    assert_int_equal(tx_account_of(w, 1).open_algos, 0);
    tx_close(w);
}

static void test_gte_gtc_goes_with_its_position(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(ALGO(.type = ORDER_TAKE_PROFIT_MARKET, .time_in_force = TIF_GTE_GTC,
                          .reduce_only = 1, .price2 = PX(51000)),
                     0);
    tx_market_order(w, 1, SIDE_SELL, 0.05);
    assert_int_equal(tx_account_of(w, 1).open_algos, 1);
    tx_market_order(w, 1, SIDE_SELL, 0.1); /* turned round */
    assert_int_equal(status_at(w, 0), EXA_EXPIRED);
    assert_int_equal(tx_account_of(w, 1).open_algos, 0);
    tx_close(w);
}

static void test_a_sweep_is_seen_print_by_print(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    tx_account(w, 100000);
    uint32_t b = tx_account(w, 100000);
    print_px(w, 49000);
    tx_quote(w, BTC, SIDE_BUY, 50000, 0.1);
    tx_quote(w, BTC, SIDE_BUY, 49900, 0.1);
    tx_quote(w, BTC, SIDE_BUY, 48000, 0.1);
    tx_quote(w, BTC, SIDE_SELL, 50500, 1);
    /* last 49000; the sweep prints 50000, 49900, 48000: the first fires a buy stop above its end */
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .side = SIDE_BUY, .price2 = PX(49950)), 0);
    tx_market_order(w, b, SIDE_SELL, 0.25);
    assert_int_equal(tx_position_of(w, 1, POSITION_BOTH).qty.e8, E8(0.1));
    /* its child comes after the whole sweep */
    assert_true(tx_event(w, EXE_TRADE, -1, 2) < tx_event(w, EXE_ORDER, EXEC_NEW, 1));
    tx_close(w);
}

static void test_one_child_fires_the_next(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    tx_account(w, 100000);
    print_px(w, 50000);
    for (int i = 0; i < 5; i++) tx_quote(w, BTC, SIDE_SELL, 50100 + 100 * i, 0.1);
    for (int i = 0; i < 4; i++) /* each lifts the next level */
        assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .side = SIDE_BUY,
                              .price2 = PX(50000 + (i ? 100 * i : 60))),
                         0);
    print_px(w, 50060);
    assert_int_equal(tx_account_of(w, 1).open_algos, 0);
    assert_int_equal(tx_position_of(w, 1, POSITION_BOTH).qty.e8, E8(0.4));
    tx_close(w);
}

static void test_names_cancel_and_limits(void **state) {
    (void)state;
    struct tx *w = long_market();
    assert_int_equal(ALGO(.type = ORDER_LIMIT, .price2 = PX(49900)), -1116);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(0)), -4006);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(1000001)), -4007);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49900.05)), -4014);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49900), .time_in_force = TIF_IOC),
                     -1106);
    assert_int_equal(
        ALGO(.type = ORDER_STOP, .side = SIDE_BUY, .price2 = PX(50100), .price = PX(52605.1)),
        -4183); /* 50100 * 1.05 = 52605 */
    assert_int_equal(w->r.argument, E8(52605));
    assert_int_equal(ALGO(.type = ORDER_STOP, .price2 = PX(49900), .price = PX(47404.9)), -4184);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49900), .client_id = "x"), 0);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49900), .client_id = "x"), -4116);
    TX(w, .kind = EXI_ALGO_CANCEL, .account = 1, .client_id = "x");
    assert_int_equal(w->r.code, 0);
    assert_int_equal(w->r.algo.status, EXA_CANCELED);
    assert_int_equal(status_at(w, 0), EXA_CANCELED);
    TX(w, .kind = EXI_ALGO_CANCEL, .account = 1, .client_id = "x");
    assert_int_equal(w->r.code, -2011);
    for (int i = 0; i < 200; i++)
        assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(49000 - i)), 0);
    assert_int_equal(ALGO(.type = ORDER_STOP_MARKET, .price2 = PX(48000)), -4045);
    struct exchange_algo out[256];
    assert_int_equal(exchange_open_algos(w->ex, 1, UINT32_MAX, out, 256), 200);
    for (int i = 1; i < 200; i++) assert_true(out[i - 1].algo_id < out[i].algo_id);
    TX(w, .kind = EXI_ALGO_CANCEL_ALL, .account = 1);
    assert_int_equal(tx_account_of(w, 1).open_algos, 0);
    print_px(w, 40000);
    assert_int_equal(tx_event_count(w, EXE_ALGO, -1), 0);
    tx_close(w);
}

static void test_gtd_algo_expires(void **state) {
    (void)state;
    struct tx *w = long_market();
    int64_t until = w->now / SECOND * SECOND + 900 * SECOND;
    assert_int_equal(ALGO(.type = ORDER_STOP, .price2 = PX(49900), .price = PX(49900),
                          .time_in_force = TIF_GTD, .until_ns = until),
                     0);
    assert_int_equal(exchange_deadline(w->ex), until);
    w->now = until;
    print_px(w, 49900);
    assert_int_equal(status_at(w, 0), EXA_EXPIRED);
    assert_int_equal(tx_event_count(w, EXE_ALGO, -1), 1);
    tx_close(w);
}

static void test_work_that_does_not_fit_goes_on_later(void **state) {
    (void)state;
    struct instrument in = tx_instrument("BTCUSDT", 0.1);
    struct exchange_config c = exchange_config_defaults();
    c.instruments = &in;
    c.instrument_count = 1;
    c.accounts_max = 8;
    c.orders_max = c.book_orders_max = c.book_levels_max = 64;
    c.algos_max = 1024;
    c.events_max = 0; /* three pieces of work, some 4000 events each */
    struct tx *w = calloc(1, sizeof *w);
    w->memory = malloc(exchange_size(&c));
    w->ex = exchange_init(w->memory, &c);
    tx_mark(w, BTC, 50000);
    print_px(w, 50000);
    tx_quote(w, BTC, SIDE_SELL, 50200, 100);
    for (uint32_t a = 1; a <= 5; a++) {
        tx_account(w, 1000000);
        for (int i = 0; i < 200; i++)
            assert_int_equal(ALGO(.account = a, .type = ORDER_STOP_MARKET, .side = SIDE_BUY,
                                  .qty = QTY(0.01), .price2 = PX(50100)),
                             0);
    }
    struct exchange_input input = {
        .kind = EXI_PRINT, .side = SIDE_BUY, .price = PX(50100), .qty = QTY(1)};
    struct exchange_totals t;
    int steps = 0, finished = 0;
    do {
        const struct exchange_event *e;
        w->now += 1000000;
        exchange_step(w->ex, &input, w->now, &w->r);
        while ((e = exchange_event_next(w->ex)) != NULL)
            finished += e->kind == EXE_ALGO && e->u.algo.status == EXA_FINISHED;
        exchange_totals_get(w->ex, &t);
        assert_int_equal(t.error.e8, 0);
        input = (struct exchange_input){.kind = EXI_TIME};
        steps++;
    } while (exchange_deadline(w->ex) <= w->now);
    assert_true(steps > 1);
    assert_int_equal(finished, 1000);
    for (uint32_t a = 1; a <= 5; a++)
        assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, E8(2));
    tx_close(w);
}

/* ---- before 2025-12-09 ---- */

static void test_classic_conditional_is_an_ordinary_order(void **state) {
    (void)state;
    struct tx *w = long_market();
    exchange_set_classic(w->ex, true);
    TX(w, .kind = EXI_ORDER_PLACE, .account = 1, .side = SIDE_SELL, .type = ORDER_STOP_MARKET,
       .price2 = PX(49900), .close_position = 1, .client_id = "old", .flag = 1);
    assert_int_equal(w->r.code, 0);
    assert_true(w->r.has_order);
    uint64_t id = w->r.order.order_id;
    assert_int_equal(tx_event_count(w, EXE_ALGO, -1), 0);
    const struct exchange_event *e = tx_event(w, EXE_ORDER, EXEC_NEW, 0);
    assert_int_equal(e->u.order.type, ORDER_STOP_MARKET);
    assert_int_equal(e->u.order.stop_price.e8, E8(49900));
    struct exchange_order open[2];
    assert_int_equal(exchange_open_orders(w->ex, 1, UINT32_MAX, open, 2), 1);
    assert_int_equal(open[0].order_id, id);
    struct exchange_algo none;
    assert_int_equal(exchange_open_algos(w->ex, 1, UINT32_MAX, &none, 1), 0);
    TX(w, .kind = EXI_ALGO_CANCEL, .account = 1, .client_id = "old");
    assert_int_equal(w->r.code, -2011);
    print_px(w, 49900);
    e = tx_event(w, EXE_ORDER, EXEC_TRADE, 0);
    assert_int_equal(e->u.order.order_id, id);
    assert_int_equal(e->u.order.type, ORDER_MARKET);
    assert_int_equal(e->u.order.orig_type, ORDER_STOP_MARKET);
    assert_int_equal(tx_position_of(w, 1, POSITION_BOTH).qty.e8, 0);
    TX(w, .kind = EXI_ORDER_PLACE, .account = 1, .side = SIDE_BUY, .type = ORDER_STOP_MARKET,
       .price2 = PX(51000), .qty = QTY(0.1), .client_id = "old");
    assert_int_equal(w->r.code, 0);
    TX(w, .kind = EXI_ORDER_CANCEL, .account = 1, .client_id = "old");
    assert_int_equal(w->r.code, 0);
    assert_int_equal(w->r.order.status, EXO_CANCELED);
    assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_CANCELED), 1);
    tx_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_market_runs_through_its_states),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_stop_limit_rests_and_finishes_with_its_child),
        cmocka_unit_test(test_close_position_takes_what_there_is),
        cmocka_unit_test(test_close_position_once_a_direction),
        cmocka_unit_test(test_refused_at_its_trigger),
        cmocka_unit_test(test_trailing_follows_and_fires),
        cmocka_unit_test(test_price_protect_waits),
        cmocka_unit_test(test_gte_gtc_goes_with_its_position),
        cmocka_unit_test(test_a_sweep_is_seen_print_by_print),
        cmocka_unit_test(test_one_child_fires_the_next),
        cmocka_unit_test(test_names_cancel_and_limits),
        cmocka_unit_test(test_gtd_algo_expires),
        cmocka_unit_test(test_work_that_does_not_fit_goes_on_later),
        cmocka_unit_test(test_classic_conditional_is_an_ordinary_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
