/* Replies of the documented shapes, written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "venue/binance/codec.h"

#define TEXT(s) s, strlen(s)

static void test_error(void **state) {
    struct rest_error e;
    (void)state;
    assert_int_equal(
        binance_rest_error(&e, TEXT("{\"code\":-2019,\"msg\":\"Margin is insufficient.\"}")),
        ST_OK);
    assert_int_equal(e.code, -2019);
    assert_string_equal(e.message, "Margin is insufficient.");
    assert_int_equal(binance_rest_error(&e, TEXT("{\"msg\":\"x\"}")), ST_INVALID);
    assert_int_equal(binance_rest_error(&e, TEXT("{\"code\":99999999999}")), ST_INVALID);
    assert_int_equal(binance_rest_error(&e, TEXT("<html>")), ST_INVALID);
    assert_int_equal(binance_rest_error(&e, TEXT("[]")), ST_INVALID);
}

static void test_order(void **state) {
    struct rest_order o;
    static const char text[] =
        "{\"avgPrice\":\"0.00000\",\"clientOrderId\":\"c1\",\"cumQuote\":\"0\",\"executedQty\":\"0."
        "004\",\"orderId\":"
        "1001,\"origQty\":\"0.010\",\"origType\":\"LIMIT\",\"price\":\"45000.00\",\"reduceOnly\":"
        "false,\"side\":\"BUY\","
        "\"positionSide\":\"BOTH\",\"status\":\"PARTIALLY_FILLED\",\"stopPrice\":\"0\","
        "\"closePosition\":false,"
        "\"symbol\":\"BTCUSDT\",\"time\":1700000000000,\"timeInForce\":\"GTC\",\"type\":\"LIMIT\","
        "\"activatePrice\":"
        "\"0\",\"priceRate\":\"0\",\"updateTime\":1700000000001,\"workingType\":\"CONTRACT_PRICE\","
        "\"priceProtect\":"
        "false,\"priceMatch\":\"NONE\",\"selfTradePreventionMode\":\"NONE\",\"goodTillDate\":0}";
    (void)state;
    assert_int_equal(binance_rest_order(&o, TEXT(text)), ST_OK);
    assert_string_equal(o.client_id, "c1");
    assert_string_equal(o.symbol, "BTCUSDT");
    assert_int_equal(o.order_id, 1001);
    assert_int_equal(o.cum_qty.e8, 400000);
    assert_int_equal(o.order_qty.e8, 1000000);
    assert_int_equal(o.price.e8, 4500000000000);
    assert_int_equal(o.status, STATUS_PARTIALLY_FILLED);
    assert_int_equal(o.type, ORDER_LIMIT);
    assert_int_equal(o.side, SIDE_BUY);
    assert_int_equal(o.update_ns, 1700000000001000000);
    assert_int_equal(binance_rest_order(&o, TEXT("{\"orderId\":1,\"status\":\"NEW\"}")),
                     ST_INVALID);
    assert_int_equal(
        binance_rest_order(&o, TEXT("{\"orderId\":-1,\"status\":\"NEW\",\"clientOrderId\":\"a\","
                                    "\"executedQty\":\"0\"}")),
        ST_INVALID);
}

static void test_algo(void **state) {
    struct rest_algo a;
    static const char text[] = "{\"algoId\":5001,\"clientAlgoId\":\"a1\",\"algoType\":"
                               "\"CONDITIONAL\",\"orderType\":\"STOP\",\"symbol\":"
                               "\"BTCUSDT\",\"side\":\"SELL\",\"positionSide\":\"BOTH\","
                               "\"timeInForce\":\"GTC\",\"quantity\":\"0.010\","
                               "\"algoStatus\":\"TRIGGERED\",\"triggerPrice\":\"45000.00\","
                               "\"price\":\"44900.00\",\"icebergQuantity\":null,"
                               "\"closePosition\":true,\"reduceOnly\":false,\"activatePrice\":\"\","
                               "\"callbackRate\":\"\",\"createTime\":1,"
                               "\"updateTime\":2,\"triggerTime\":0,\"goodTillDate\":0,"
                               "\"actualOrderId\":\"77\",\"actualPrice\":\"0.00000\","
                               "\"actualType\":\"\",\"actualQty\":\"\",\"tpOrderType\":\"\"}";
    (void)state;
    assert_int_equal(binance_rest_algo(&a, TEXT(text)), ST_OK);
    assert_int_equal(a.algo_id, 5001);
    assert_int_equal(a.child_id, 77);
    assert_int_equal(a.status, ALGO_TRIGGERED);
    assert_int_equal(a.type, ORDER_STOP);
    assert_int_equal(a.filled_qty.e8, 0);
    assert_true(a.close_position);
    assert_int_equal(a.update_ns, 2000000);
}

static void test_rows(void **state) {
    struct json_reader r;
    struct rest_trade t;
    struct rest_position p;
    struct rest_income i;
    struct rest_symbol_config c;
    struct bar bar;
    (void)state;
    json_reader_init(
        &r,
        TEXT("{\"buyer\":false,\"commission\":\"0.07819\",\"commissionAsset\":\"USDT\",\"id\":"
             "698759,"
             "\"maker\":true,\"orderId\":25851813,\"price\":\"7819.01\",\"qty\":\"0.002\","
             "\"quoteQty\":"
             "\"15.6\",\"realizedPnl\":\"-0.91539999\",\"side\":\"SELL\",\"positionSide\":\"BOTH\","
             "\"symbol\":\"BTCUSDT\",\"time\":1569514978020,\"marginAsset\":\"USDT\"}"));
    assert_true(binance_read_trade(&r, &t));
    assert_int_equal(t.trade_id, 698759);
    assert_int_equal(t.realized_pnl.e8, -91539999);
    assert_true(t.is_maker);
    json_reader_init(&r, TEXT("{\"symbol\":\"BTCUSDT\",\"positionSide\":\"BOTH\",\"positionAmt\":"
                              "\"-1.5\",\"entryPrice\":"
                              "\"7\",\"isolatedWallet\":\"3\",\"leverage\":\"10\"}"));
    assert_true(binance_read_position(&r, &p));
    assert_int_equal(p.qty.e8, -150000000);
    assert_int_equal(p.leverage, 10);
    assert_true(p.one_way);
    json_reader_init(
        &r,
        TEXT("{\"symbol\":\"BTCUSDT\",\"incomeType\":\"FUNDING_FEE\",\"income\":\"-0.37500000\","
             "\"asset\":"
             "\"USDT\",\"info\":\"\",\"time\":1570608000005,\"tranId\":\"9\",\"tradeId\":\"\"}"));
    assert_true(binance_read_income(&r, &i));
    assert_true(i.is_funding);
    assert_int_equal(i.amount.e8, -37500000);
    json_reader_init(&r, TEXT("{\"symbol\":\"BTCUSDT\",\"marginType\":\"CROSSED\","
                              "\"isAutoAddMargin\":false,\"leverage\":21,"
                              "\"maxNotionalValue\":\"1000000\"}"));
    assert_true(binance_read_symbol_config(&r, &c));
    assert_false(c.isolated);
    assert_int_equal(c.leverage, 21);
    json_reader_init(
        &r,
        TEXT(
            "[1499040000000,\"0.01634790\",\"0.80000000\",\"0.01575800\",\"0.01577100\",\"148976\","
            "1499644799999,\"2434.19055334\",308,\"74488\",\"28.46694368\",\"0\"]"));
    assert_true(binance_read_kline(&r, &bar));
    assert_int_equal(bar.open.e8, 1634790);
    assert_int_equal(bar.trade_count, 308);
    assert_true(bar.taker_buy_ratio == 0.5F);
    json_reader_init(&r, TEXT("[1499040000000,\"1\",\"1\"]"));
    assert_false(binance_read_kline(&r, &bar));
}

static uint32_t seen;
static void each(void *context, const struct rest_listing *l) {
    struct rest_listing *out = context;
    out[seen++] = *l;
}

static void test_objects(void **state) {
    int64_t ns;
    uint32_t leverage;
    char key[LISTEN_KEY_TEXT_SIZE];
    struct rest_wallet wallet;
    bool flag;
    rate_t maker, taker;
    struct rest_limits limits;
    struct rest_listing listings[2];
    (void)state;
    assert_int_equal(binance_rest_time(&ns, TEXT("{\"serverTime\":1700000000000}")), ST_OK);
    assert_int_equal(ns, 1700000000000000000);
    assert_int_equal(binance_rest_time(&ns, TEXT("{\"serverTime\":0}")), ST_INVALID);
    assert_int_equal(binance_rest_leverage(&leverage, TEXT("{\"leverage\":21,\"symbol\":\"X\"}")),
                     ST_OK);
    assert_int_equal(leverage, 21);
    assert_int_equal(binance_rest_listen_key(key, TEXT("{\"listenKey\":\"aB3-_\"}")), ST_OK);
    assert_string_equal(key, "aB3-_");
    assert_int_equal(binance_rest_listen_key(key, TEXT("{\"listenKey\":\"a/../b\"}")), ST_INVALID);
    assert_int_equal(binance_rest_wallet(
                         &wallet, TEXT("[{\"asset\":\"BNB\",\"balance\":\"5\"},{\"asset\":\"USDT\","
                                       "\"balance\":\"122.5\",\"availableBalance\":\"22.25\","
                                       "\"updateTime\":1700000000123}]")),
                     ST_OK);
    assert_int_equal(wallet.balance.e8, 12250000000);
    assert_int_equal(wallet.available.e8, 2225000000);
    assert_int_equal(wallet.update_ns, INT64_C(1700000000123000000));
    assert_int_equal(binance_rest_wallet(&wallet, TEXT("[]")), ST_NOT_FOUND);
    assert_int_equal(wallet.balance.e8 | wallet.available.e8 | wallet.update_ns, 0);
    assert_int_equal(binance_rest_flag(&flag, "canTrade", TEXT("{\"a\":{},\"canTrade\":true}")),
                     ST_OK);
    assert_true(flag);
    assert_int_equal(binance_rest_flag(&flag, "b", TEXT("{\"a\":true}")), ST_NOT_FOUND);
    assert_int_equal(binance_rest_flag(&flag, "a", TEXT("{\"a\":true")), ST_INVALID);
    assert_int_equal(binance_rest_fees(&maker, &taker,
                                       TEXT("{\"symbol\":\"X\",\"makerCommissionRate\":\"0.0002\","
                                            "\"takerCommissionRate\":\"0.0005\"}")),
                     ST_OK);
    assert_int_equal(taker.e8, 50000);
    assert_int_equal(
        binance_rest_listings(
            &limits,
            TEXT("{\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\","
                 "\"intervalNum\":1,\"limit\":2400},{\"rateLimitType\":\"ORDERS\",\"interval\":"
                 "\"MINUTE\",\"intervalNum\":1,\"limit\":1200},{\"rateLimitType\":\"ORDERS\","
                 "\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":300}],\"symbols\":[{"
                 "\"symbol\":"
                 "\"BTCUSDT\",\"contractType\":\"PERPETUAL\",\"quoteAsset\":\"USDT\","
                 "\"marginAsset\":"
                 "\"USDT\",\"status\":\"TRADING\"},{\"symbol\":\"A_250101\",\"contractType\":"
                 "\"CURRENT_QUARTER\",\"quoteAsset\":\"USDC\",\"status\":\"SETTLING\"}]}"),
            each, listings),
        ST_OK);
    assert_int_equal(seen, 2);
    assert_int_equal(limits.weight_1m, 2400);
    assert_int_equal(limits.orders_10s, 300);
    assert_int_equal(limits.orders_1m, 1200);
    assert_true(listings[0].perpetual && listings[0].quoted_usdt && listings[0].trading);
    assert_false(listings[1].perpetual || listings[1].quoted_usdt || listings[1].trading);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_error), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_algo), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_objects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
