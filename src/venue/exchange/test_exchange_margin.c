/* Margin, settings, funding, liquidation, delisting. Amounts by hand, as the comments show. */
#include "venue/exchange/test_exchange.h"

static int32_t set(struct tx *w, uint32_t account, enum exchange_input_kind kind, uint8_t flag) {
    TX(w, .kind = (uint8_t)kind, .account = account, .flag = flag);
    return w->r.code;
}

static int32_t leverage(struct tx *w, uint32_t account, uint32_t value) {
    TX(w, .kind = EXI_LEVERAGE, .account = account, .leverage = value);
    return w->r.code;
}

/* ---- order margin ---- */

static void test_one_side_of_the_book_counts(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    tx_limit(w, a, SIDE_BUY, 49000, 0.1);
    assert_int_equal(tx_account_of(w, a).order_margin.e8, E8(245)); /* 4900 / 20 */
    tx_limit(w, a, SIDE_SELL, 51000, 0.1);
    assert_int_equal(tx_account_of(w, a).order_margin.e8, E8(255)); /* max(4900, 5100) / 20 */
    tx_market_order(w, a, SIDE_BUY, 0.1);
    /* |5000 + 4900| = 9900 against |5000 - 5100| = 100: (9900 - 5000) / 20 */
    struct exchange_account acc = tx_account_of(w, a);
    assert_int_equal(acc.order_margin.e8, E8(245));
    assert_int_equal(acc.position_margin.e8, E8(250));
    /* 10000 - 2.500005 fee - 0.01 unrealized - 250 - 245 */
    assert_int_equal(acc.available.e8, E8(9502.489995));
    /* closing orders cost nothing until they would turn the position round */
    tx_limit(w, a, SIDE_SELL, 51000, 0.1);
    assert_int_equal(tx_account_of(w, a).order_margin.e8, E8(245));
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).ask_notional.e8, E8(10200));
    tx_close(w);
}

static void test_cost_counts_open_loss_and_fee(void **state) {
    (void)state;
    struct tx *w = tx_market();
    /* Buy 0.1 at 52000, mark 50000: margin 260, open loss 200, fee 2.6: 462.6. */
    uint32_t a = tx_account(w, 462.59999999), b = tx_account(w, 462.6);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 52000, 0.1), -2019);
    assert_int_equal(tx_limit(w, b, SIDE_BUY, 52000, 0.1), 0);
    /* Market: best ask 50000.1 * 1.0005 = 50025.10005: 250.12550025 + 2.510005 + 2.5012550025 */
    uint32_t c = tx_account(w, 255.13676025), d = tx_account(w, 255.13676026);
    assert_int_equal(tx_market_order(w, c, SIDE_BUY, 0.1), -2019);
    assert_int_equal(tx_market_order(w, d, SIDE_BUY, 0.1), 0);
    tx_close(w);
}

static void test_position_limit_of_the_leverage(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 100000);
    assert_int_equal(leverage(w, a, 125), 0); /* up to 50000 */
    assert_int_equal(w->r.max_notional.e8, E8(50000));
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.6), 0);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49000, 0.3), 0);
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49000, 0.101), -2027);
    assert_int_equal(w->r.argument, E8(50000));
    assert_int_equal(tx_limit(w, a, SIDE_BUY, 49000, 0.1), 0);        /* 1.0 * 50000: just fits */
    assert_int_equal(tx_limit(w, a, SIDE_SELL, 51000, 1.601), -2027); /* -1.001 */
    assert_int_equal(tx_limit(w, a, SIDE_SELL, 51000, 1.6), 0);
    tx_close(w);
}

/* ---- settings ---- */

static void test_leverage(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 1000);
    assert_int_equal(leverage(w, a, 0), -4028);
    assert_int_equal(leverage(w, a, 126), -4028);
    assert_int_equal(w->r.argument, 126);
    assert_int_equal(leverage(w, a, 20), 0); /* as it is: nothing to tell */
    assert_int_equal(tx_event_count(w, EXE_LEVERAGE, -1), 0);
    assert_int_equal(leverage(w, a, 10), 0);
    assert_int_equal(tx_event(w, EXE_LEVERAGE, -1, 0)->leverage, 10);
    struct exchange_symbol_config c;
    exchange_symbol_config_get(w->ex, a, BTC, &c);
    assert_int_equal(c.leverage, 10);
    assert_int_equal(c.max_notional.e8, E8(20000000));
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), 0); /* 500 of 1000 */
    assert_int_equal(leverage(w, a, 5), -2028);
    assert_int_equal(leverage(w, a, 6), 0); /* 833.3 */
    TX(w, .kind = EXI_LEVERAGE, .account = a, .instrument = 2, .leverage = 5);
    assert_int_equal(w->r.code, -1121);
    uint32_t b = tx_account(w, 100000);
    tx_market_order(w, b, SIDE_BUY, 1.1);
    assert_int_equal(leverage(w, b, 125), -2027); /* 55000 > 50000 */
    assert_int_equal(leverage(w, b, 100), 0);
    tx_close(w);
}

static void test_isolated_leverage_is_not_lowered(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    assert_int_equal(set(w, a, EXI_MARGIN_TYPE, 1), 0);
    tx_market_order(w, a, SIDE_BUY, 0.1);
    assert_int_equal(leverage(w, a, 10), -4161);
    assert_int_equal(leverage(w, a, 50), 0);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).isolated_wallet.e8, E8(250.0005));
    tx_close(w);
}

static void test_margin_type_and_mode_need_a_clean_table(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000);
    assert_int_equal(set(w, a, EXI_MARGIN_TYPE, 0), -4046);
    assert_int_equal(set(w, a, EXI_POSITION_MODE, 0), -4059);
    assert_int_equal(set(w, a, EXI_MULTI_ASSETS, 0), -4171);
    assert_int_equal(set(w, a, EXI_MULTI_ASSETS, 1), -4169);
    tx_limit(w, a, SIDE_BUY, 49000, 0.1);
    assert_int_equal(set(w, a, EXI_MARGIN_TYPE, 1), -4047);
    assert_int_equal(set(w, a, EXI_POSITION_MODE, 1), -4067);
    assert_int_equal(set(w, a, EXI_MULTI_ASSETS, 1), -4170);
    TX(w, .kind = EXI_CANCEL_ALL, .account = a);
    tx_market_order(w, a, SIDE_BUY, 0.1);
    assert_int_equal(set(w, a, EXI_MARGIN_TYPE, 1), -4048);
    assert_int_equal(set(w, a, EXI_POSITION_MODE, 1), -4068);
    TX(w, .kind = EXI_MARGIN_TYPE, .account = a, .instrument = ETH, .flag = 1);
    assert_int_equal(w->r.code, 0);
    assert_int_equal(tx_event(w, EXE_ACCOUNT, -1, 0)->reason, REASON_MARGIN_TYPE_CHANGE);
    assert_true(tx_event(w, EXE_ACCOUNT, -1, 0)->isolated);
    assert_int_equal(set(w, a, EXI_MULTI_ASSETS, 1), -4167);
    tx_market_order(w, a, SIDE_SELL, 0.1);
    assert_int_equal(set(w, a, EXI_MARGIN_TYPE, 1), 0);
    assert_int_equal(set(w, a, EXI_POSITION_MODE, 1), 0);
    tx_close(w);
}

static int32_t margin(struct tx *w, uint32_t account, uint8_t flag, double amount) {
    TX(w, .kind = EXI_POSITION_MARGIN, .account = account, .flag = flag, .amount = USDT(amount));
    return w->r.code;
}

static void test_position_margin(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 1000);
    assert_int_equal(margin(w, a, 1, 10), -4049);
    set(w, a, EXI_MARGIN_TYPE, 1);
    assert_int_equal(margin(w, a, 1, 10), -4054);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), 0);
    /* 5000.01 / 20 */
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).isolated_wallet.e8, E8(250.0005));
    /* 1000 - 2.500005 - 250.0005 */
    assert_int_equal(tx_account_of(w, a).cross_wallet.e8, E8(747.499495));
    assert_int_equal(margin(w, a, 1, 0), -4055);
    assert_int_equal(margin(w, a, 3, 10), -1130);
    assert_int_equal(margin(w, a, 1, 747.499496), -4050);
    assert_int_equal(margin(w, a, 1, 100), 0);
    const struct exchange_event *e = tx_event(w, EXE_ACCOUNT, -1, 0);
    assert_int_equal(e->reason, REASON_MARGIN_TRANSFER);
    assert_int_equal(e->position.isolated_wallet.e8, E8(350.0005));
    assert_int_equal(e->cross_wallet.e8, E8(647.499495));
    /* removable: 350.0005 - 0.01 - 250 = 99.9905 */
    assert_int_equal(margin(w, a, 2, 99.990501), -4051);
    assert_int_equal(margin(w, a, 2, 99.9905), 0);
    assert_int_equal(tx_account_of(w, a).wallet.e8, E8(997.499995));
    tx_close(w);
}

static void test_withdrawal_and_fees(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 1000);
    assert_int_equal(tx_event(w, EXE_ACCOUNT, -1, 0)->reason, REASON_DEPOSIT);
    assert_int_equal(tx_event(w, EXE_INCOME, -1, 0)->income, INCOME_TRANSFER);
    TX(w, .kind = EXI_FEES, .account = a, .rate = {10000}, .rate2 = {40000});
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), 0);
    /* 5000.01 * 0.0004 = 2.000004; 1000 - 2.000004 - 0.01 - 250 */
    assert_int_equal(tx_account_of(w, a).max_withdraw.e8, E8(747.989996));
    TX(w, .kind = EXI_DEPOSIT, .account = a, .amount = USDT(-747.989997));
    assert_int_equal(w->r.code, -2018);
    TX(w, .kind = EXI_DEPOSIT, .account = a, .amount = USDT(-747.989996));
    assert_int_equal(w->r.code, 0);
    assert_int_equal(tx_event(w, EXE_ACCOUNT, -1, 0)->reason, REASON_WITHDRAW);
    assert_int_equal(tx_account_of(w, a).available.e8, 0);
    tx_close(w);
}

/* ---- funding ---- */

static void test_funding_is_paid_by_longs(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000), b = tx_account(w, 10000);
    set(w, b, EXI_MARGIN_TYPE, 1);
    tx_market_order(w, a, SIDE_BUY, 0.1);
    tx_market_order(w, b, SIDE_SELL, 0.3);
    TX(w, .kind = EXI_FUNDING, .rate = {12345});
    /* 5000 * 0.00012345 = 0.61725 */
    assert_int_equal(tx_account_of(w, a).funding.e8, E8(-0.61725));
    assert_int_equal(tx_account_of(w, b).funding.e8, E8(1.85175));
    const struct exchange_event *e = tx_event(w, EXE_ACCOUNT, -1, 0);
    assert_int_equal(e->reason, REASON_FUNDING_FEE);
    assert_int_equal(e->amount.e8, E8(-0.61725));
    assert_false(e->has_position); /* cross */
    e = tx_event(w, EXE_ACCOUNT, -1, 1);
    assert_true(e->has_position);
    /* 14999.97 / 20 + 1.85175 */
    assert_int_equal(e->position.isolated_wallet.e8, E8(751.85025));
    assert_int_equal(tx_event(w, EXE_INCOME, -1, 0)->income, INCOME_FUNDING_FEE);
    tx_mark(w, BTC, 50000.00000001);
    for (int i = 0; i < 5; i++) TX(w, .kind = EXI_FUNDING, .rate = {12347 + i});
    tx_close(w);
}

/* ---- liquidation ---- */

static void test_published_liquidation_price(void **state) {
    (void)state;
    /* binance-usdm 9.6: isolated long 1, entry 50000, wallet 2500, bracket 1 (0.4 %, 0):
     * (2500 - 50000) / (0.004 - 1) = 47690.76305… */
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 100000);
    set(w, a, EXI_MARGIN_TYPE, 1);
    tx_quote(w, BTC, SIDE_SELL, 50000, 1);
    tx_market_order(w, a, SIDE_BUY, 1);
    struct exchange_position p = tx_position_of(w, a, POSITION_BOTH);
    assert_int_equal(p.isolated_wallet.e8, E8(2500));
    /* 47690.76305220883…: maintenance is rounded up, so the next 1e-8 is short already */
    assert_int_equal(p.liquidation_px.e8, 4769076305221);
    tx_mark(w, BTC, 47690.76305222);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, E8(1));
    assert_int_equal(tx_event_count(w, EXE_MARGIN_CALL, -1), 1);
    tx_mark(w, BTC, 47690.76305221);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    tx_close(w);
}

static void test_isolated_liquidation_on_the_book(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 10000), b = tx_account(w, 100000);
    set(w, a, EXI_MARGIN_TYPE, 1);
    tx_quote(w, BTC, SIDE_SELL, 50000, 1);
    tx_market_order(w, a, SIDE_BUY, 1); /* wallet 2500, bankrupt at 47500; 10000 - 25 fee */
    tx_limit(w, a, SIDE_BUY, 48000, 0.1);
    TX(w, .kind = EXI_ALGO_PLACE, .account = a, .side = SIDE_SELL, .type = ORDER_STOP_MARKET,
       .close_position = 1, .price2 = PX(40000));
    tx_limit(w, b, SIDE_BUY, 47600, 0.4);
    tx_limit(w, b, SIDE_BUY, 47500, 0.2);
    tx_limit(w, b, SIDE_BUY, 47499.9, 5);
    tx_mark(w, BTC, 47650);
    /* The order expired (5), then 0.4 at 47600, 0.2 at 47500, and 0.4 to the fund at 47500. */
    const struct exchange_event *e = tx_event(w, EXE_ORDER, EXEC_EXPIRED, 0);
    assert_int_equal(e->u.order.expiry, EXPIRY_LIQUIDATION);
    assert_int_equal(tx_event(w, EXE_ALGO, -1, 0)->u.algo.status, EXA_EXPIRED);
    assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_CALCULATED), 3);
    assert_int_equal(tx_event_count(w, EXE_FORCED, -1), 3);
    assert_int_equal(tx_event_count(w, EXE_TRADE, -1), 2);
    e = tx_event(w, EXE_ORDER, EXEC_CALCULATED, 2);
    assert_int_equal(e->px.e8, E8(47500));
    assert_int_equal(e->qty.e8, E8(0.4));
    assert_int_equal(e->trade_id, 4); /* numbered, not on the tape */
    assert_int_equal(e->u.order.status, EXO_FILLED);
    assert_int_equal(e->u.order.forced, FORCED_LIQUIDATION);
    assert_true(e->u.order.reduce_only);
    assert_memory_equal(e->u.order.client_order_id, "autoclose-", 10);
    /* realized: -2400 * 0.4 - 2500 * 0.6 = -2460; 40 are left, and the fee takes them:
     * min(19040 * 1.25 %, 40), then nothing. */
    struct exchange_account acc = tx_account_of(w, a);
    assert_int_equal(acc.realized_pnl.e8, E8(-2460));
    assert_int_equal(acc.insurance.e8, E8(-40));
    assert_int_equal(acc.wallet.e8, E8(10000 - 25 - 2460 - 40));
    assert_int_equal(acc.cross_wallet.e8, acc.wallet.e8);
    /* The fund: 40, and 0.4 taken at 47500 handed over at 47650: +60. */
    struct exchange_totals t;
    exchange_totals_get(w->ex, &t);
    assert_int_equal(t.insurance.e8, E8(100));
    tx_close(w);
}

static void test_fund_pays_what_the_wallet_cannot(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 10000);
    set(w, a, EXI_MARGIN_TYPE, 1);
    tx_quote(w, BTC, SIDE_SELL, 50000, 1);
    tx_market_order(w, a, SIDE_BUY, 1);
    tx_mark(w, BTC, 46000); /* a gap through the bankruptcy price, and no bids */
    struct exchange_account acc = tx_account_of(w, a);
    assert_int_equal(acc.wallet.e8, E8(10000 - 25 - 2500));
    struct exchange_totals t;
    exchange_totals_get(w->ex, &t);
    assert_int_equal(t.insurance.e8, E8(-1500)); /* 47500 - 46000: there is no ADL */
    tx_close(w);
}

static void test_cross_liquidation_largest_first(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    struct instrument cheap = tx_instrument("BTCUSDT", 0.1);
    cheap.liquidation_fee.e8 = E8(0.001);
    exchange_set_instrument(w->ex, BTC, &cheap);
    uint32_t a = tx_account(w, 5000);
    leverage(w, a, 50);
    TX(w, .kind = EXI_LEVERAGE, .account = a, .instrument = ETH, .leverage = 50);
    tx_quote(w, BTC, SIDE_SELL, 50000, 2);
    TX(w, .kind = EXI_QUOTE, .instrument = ETH, .side = SIDE_SELL, .price = PX(2000),
       .qty = QTY(10));
    tx_market_order(w, a, SIDE_BUY, 2);
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .instrument = ETH, .side = SIDE_BUY,
       .type = ORDER_MARKET, .qty = QTY(10));
    assert_int_equal(w->r.code, 0);
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .instrument = ETH, .side = SIDE_BUY,
       .type = ORDER_LIMIT, .price = PX(1950), .qty = QTY(1));
    /* wallet 5000 - 50 - 10 = 4940; MM = 100000 * 0.5 % - 50 + 20000 * 0.4 % = 450 + 80 */
    struct exchange_account acc = tx_account_of(w, a);
    assert_int_equal(acc.wallet.e8, E8(4940));
    assert_int_equal(acc.maint_margin.e8, E8(530));
    tx_quote(w, BTC, SIDE_BUY, 47750, 2);
    /* at 47784.9: 4940 - 4430.2 = 509.8 <= 2 * 47784.9 * 0.5 % - 50 + 80 = 507.849: not yet */
    tx_mark(w, BTC, 47784.9);
    assert_int_equal(tx_account_of(w, a).open_orders, 1);
    assert_int_equal(tx_event_count(w, EXE_MARGIN_CALL, -1), 2); /* one a position */
    tx_mark(w, BTC, 47784.8);
    assert_int_equal(tx_event_count(w, EXE_MARGIN_CALL, -1), 0); /* told already */
    /* 509.6 against 507.848 … */
    assert_int_equal(tx_account_of(w, a).open_orders, 1);
    tx_mark(w, BTC, 47783.9); /* 507.8 <= 507.839 */
    assert_int_equal(tx_account_of(w, a).open_orders, 0);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    struct exchange_position eth;
    exchange_position_get(w->ex, a, ETH, POSITION_BOTH, &eth);
    assert_int_equal(eth.qty.e8, E8(10)); /* covered again without the larger one */
    /* 2 * (47750 - 50000) = -4500; fee 95500 * 0.1 % = 95.5; 344.5 are left, ETH needs 80 */
    assert_int_equal(tx_account_of(w, a).wallet.e8, E8(344.5));
    acc = tx_account_of(w, a);
    assert_int_equal(acc.realized_pnl.e8, E8(-4500));
    tx_close(w);
}

static void test_negative_wallet_is_refilled(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 1000);
    leverage(w, a, 50);
    tx_quote(w, BTC, SIDE_SELL, 50000, 0.9);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.9), 0); /* 977.5 left behind the fee */
    tx_mark(w, BTC, 40000);
    struct exchange_account acc = tx_account_of(w, a);
    /* Bankrupt at 50000 - 977.5 / 0.9 = 48913.88…, on tick 48913.9; the cent that leaves goes to the fee. */
    assert_int_equal(acc.wallet.e8, 0);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    tx_close(w);
}

static void test_short_is_liquidated_when_mark_rises(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 10000);
    set(w, a, EXI_MARGIN_TYPE, 1);
    tx_quote(w, BTC, SIDE_BUY, 50000, 1);
    tx_market_order(w, a, SIDE_SELL, 1);
    /* (2500 + 50000) / 1.004 is in bracket 2: (52500 + 50) / 1.005 = 52288.557213930… */
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).liquidation_px.e8, 5228855721393);
    tx_quote(w, BTC, SIDE_SELL, 52400, 3);
    tx_mark(w, BTC, 52288.55721392);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, E8(-1));
    tx_mark(w, BTC, 52288.55721393);
    assert_int_equal(tx_position_of(w, a, POSITION_BOTH).qty.e8, 0);
    /* bought at 52400; 100 are left, the fee would be 655 */
    assert_int_equal(tx_account_of(w, a).insurance.e8, E8(-100));
    assert_int_equal(tx_account_of(w, a).wallet.e8, E8(10000 - 25 - 2500));
    tx_close(w);
}

static void test_hedge_cross_shares_one_liquidation_price(void **state) {
    (void)state;
    struct tx *w = tx_open(NULL);
    uint32_t a = tx_account(w, 10000);
    set(w, a, EXI_POSITION_MODE, 1);
    tx_quote(w, BTC, SIDE_SELL, 50000.1, 5);
    tx_quote(w, BTC, SIDE_BUY, 50000, 5);
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_BUY, .type = ORDER_MARKET,
       .position_side = POSITION_LONG, .qty = QTY(2));
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_SELL, .type = ORDER_MARKET,
       .position_side = POSITION_SHORT, .qty = QTY(1));
    struct exchange_position l = tx_position_of(w, a, POSITION_LONG),
                             s = tx_position_of(w, a, POSITION_SHORT);
    assert_int_equal(l.liquidation_px.e8, s.liquidation_px.e8);
    /* WB 10000 - 50.0001 - 25 = 9924.9999; (9924.9999 + 50 + 0 - 100000.2 + 50000) /
     * (2 * 0.005 + 0.004 - 2 + 1) = 40025.2001 / 0.986 = 40593.50922920…; 2 * that is in bracket 2.
     * Two maintenance margins are rounded up. */
    assert_in_range(l.liquidation_px.e8, 4059350922920, 4059350922923);
    tx_close(w);
}

/* ---- delisting ---- */

static void test_settling_and_closed(void **state) {
    (void)state;
    struct tx *w = tx_market();
    uint32_t a = tx_account(w, 10000), b = tx_account(w, 10000);
    tx_market_order(w, a, SIDE_BUY, 0.1);
    tx_market_order(w, b, SIDE_SELL, 0.3);
    tx_limit(w, b, SIDE_BUY, 49000, 0.1);
    TX(w, .kind = EXI_ALGO_PLACE, .account = a, .side = SIDE_SELL, .type = ORDER_STOP_MARKET,
       .close_position = 1, .price2 = PX(40000));
    TX(w, .kind = EXI_STATUS, .status = INSTRUMENT_SETTLING);
    assert_int_equal(tx_event(w, EXE_STATUS, -1, 0)->status, INSTRUMENT_SETTLING);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), -4140);
    TX(w, .kind = EXI_ORDER_PLACE, .account = a, .side = SIDE_SELL, .type = ORDER_MARKET,
       .qty = QTY(0.02), .reduce_only = 1);
    assert_int_equal(w->r.code, 0);
    assert_int_equal(tx_account_of(w, b).open_orders, 1);
    tx_mark(w, BTC, 50100);
    TX(w, .kind = EXI_STATUS, .status = INSTRUMENT_CLOSED);
    assert_int_equal(tx_event(w, EXE_ORDER, EXEC_EXPIRED, 0)->u.order.expiry, EXPIRY_DELIST);
    assert_int_equal(tx_event(w, EXE_ALGO, -1, 0)->u.algo.status, EXA_EXPIRED);
    assert_int_equal(tx_event_count(w, EXE_ORDER, EXEC_CALCULATED), 2);
    assert_int_equal(tx_event_count(w, EXE_TRADE, -1), 0);
    const struct exchange_event *e = tx_event(w, EXE_ORDER, EXEC_CALCULATED, 0);
    assert_int_equal(e->px.e8, E8(50100));
    assert_int_equal(e->u.order.forced, FORCED_SETTLEMENT);
    /* b: 14999.97 - 15030, and 0.3 sold at 49999.9 cost 7.499985 */
    assert_int_equal(tx_account_of(w, b).realized_pnl.e8, E8(-30.03));
    assert_int_equal(tx_account_of(w, b).fees.e8, E8(7.499985));
    struct exchange_totals t;
    exchange_totals_get(w->ex, &t);
    assert_int_equal(t.entry_cost.e8, 0);
    struct exchange_position house = tx_position_of(w, EXCHANGE_HOUSE, POSITION_BOTH);
    assert_int_equal(house.qty.e8, 0);
    assert_int_equal(exchange_open_interest(w->ex, BTC).e8, 0);
    struct exchange_level l;
    assert_int_equal(exchange_depth(w->ex, BTC, SIDE_BUY, &l, 1, NULL), 0);
    assert_int_equal(tx_market_order(w, a, SIDE_BUY, 0.1), -4141);
    TX(w, .kind = EXI_QUOTE, .side = SIDE_BUY, .price = PX(50000), .qty = QTY(1));
    assert_int_equal(w->r.code, -4141);
    tx_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_side_of_the_book_counts),
        cmocka_unit_test(test_cost_counts_open_loss_and_fee),
        cmocka_unit_test(test_position_limit_of_the_leverage),
        cmocka_unit_test(test_leverage),
        cmocka_unit_test(test_isolated_leverage_is_not_lowered),
        cmocka_unit_test(test_margin_type_and_mode_need_a_clean_table),
        cmocka_unit_test(test_position_margin),
        cmocka_unit_test(test_withdrawal_and_fees),
        cmocka_unit_test(test_funding_is_paid_by_longs),
        cmocka_unit_test(test_published_liquidation_price),
        cmocka_unit_test(test_isolated_liquidation_on_the_book),
        cmocka_unit_test(test_fund_pays_what_the_wallet_cannot),
        cmocka_unit_test(test_cross_liquidation_largest_first),
        cmocka_unit_test(test_negative_wallet_is_refilled),
        cmocka_unit_test(test_short_is_liquidated_when_mark_rises),
        cmocka_unit_test(test_hedge_cross_shares_one_liquidation_price),
        cmocka_unit_test(test_settling_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
