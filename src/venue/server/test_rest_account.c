/* Accounts: settings, balances, positions of both versions, history. Numbers by hand. */
#include "venue/server/test_rest.h"

/* alice buys 0.5 at 68010 from bob, who asks there: notional 34005, taker fee 17.0025, maker 6.801. */
static void trade_half(struct fixture *f) {
    make_book(f);
    done(f, "alice", NET_POST, F1 "order",
         "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5&newClientOrderId=m1");
}

static void mark_to(struct fixture *f, int64_t px) {
    struct exchange_input in = {.kind = EXI_MARK, .price = {px * FX_ONE}, .price2 = {px * FX_ONE}};
    struct exchange_reply reply;
    world_do(f->world, &in, f->now_ns, &reply);
    assert_int_equal(reply.code, 0);
}

static void balances_of_both_versions(void **state) {
    struct fixture *f = fix(state);
    trade_half(f);
    mark_to(f, 68110);
    for (int v = 2; v <= 3; v++) {
        json_t *b = at(done(f, "alice", NET_GET, with("/fapi/v%d/balance", v), ""), 0);
        assert_string_equal(S(b, "asset"), "USDT");
        assert_string_equal(S(b, "balance"), "99982.99750000");
        assert_string_equal(S(b, "crossWalletBalance"), "99982.99750000");
        assert_string_equal(S(b, "crossUnPnl"), "50.00000000");
        /* wallet + profit - 0.5 * 68110 / 20 */
        assert_string_equal(S(b, "availableBalance"), "98330.24750000");
        assert_true(B(b, "marginAvailable"));
        assert_true(strlen(S(b, "accountAlias")) == 16);
        D(b, "maxWithdrawAmount");
        I(b, "updateTime");
    }
    char alias[24];
    snprintf(alias, sizeof alias, "%s",
             S(at(done(f, "alice", NET_GET, F3 "balance", ""), 0), "accountAlias"));
    assert_string_not_equal(alias,
                            S(at(done(f, "bob", NET_GET, F3 "balance", ""), 0), "accountAlias"));
}

static void account_v3_lists_what_is_used(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_GET, F3 "account", "");
    assert_int_equal(count(member(j, "positions")), 0);
    trade_half(f);
    mark_to(f, 68110);
    done(f, "alice", NET_POST, F1 "order",
         "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=3400");
    j = done(f, "alice", NET_GET, F3 "account", "");
    assert_string_equal(S(j, "totalWalletBalance"), "99982.99750000");
    assert_string_equal(S(j, "totalUnrealizedProfit"), "50.00000000");
    assert_string_equal(S(j, "totalMarginBalance"), "100032.99750000");
    assert_string_equal(S(j, "totalPositionInitialMargin"), "1702.75000000");
    assert_string_equal(S(j, "totalOpenOrderInitialMargin"), "170.00000000");
    assert_string_equal(S(j, "totalInitialMargin"), "1872.75000000");
    /* 34055 * 0.4 % */
    assert_string_equal(S(j, "totalMaintMargin"), "136.22000000");
    json_t *asset = at(member(j, "assets"), 0);
    assert_string_equal(S(asset, "walletBalance"), "99982.99750000");
    assert_string_equal(S(asset, "marginBalance"), "100032.99750000");
    assert_null(json_object_get(asset, "marginAvailable"));
    assert_null(json_object_get(j, "canTrade"));
    json_t *positions = member(j, "positions");
    assert_int_equal(count(positions), 2);
    json_t *p = at(positions, 0);
    assert_string_equal(S(p, "symbol"), "BTCUSDT");
    assert_string_equal(S(p, "positionSide"), "BOTH");
    assert_string_equal(S(p, "positionAmt"), "0.500");
    assert_string_equal(S(p, "unrealizedProfit"), "50.00000000");
    assert_string_equal(S(p, "notional"), "34055.00000000");
    assert_string_equal(S(p, "initialMargin"), "1702.75000000");
    assert_string_equal(S(p, "maintMargin"), "136.22000000");
    assert_string_equal(S(p, "isolatedMargin"), "0.00000000");
    assert_string_equal(S(p, "isolatedWallet"), "0.00000000");
    assert_int_equal(I(p, "updateTime"), 1700000001000);
    assert_string_equal(S(at(positions, 1), "symbol"), "ETHUSDT");
    assert_string_equal(S(at(positions, 1), "initialMargin"), "170.00000000");
}

static void account_v2_lists_everything(void **state) {
    struct fixture *f = fix(state);
    trade_half(f);
    json_t *j = done(f, "alice", NET_GET, F2 "account", "useV2=true");
    assert_int_equal(I(j, "feeTier"), 0);
    assert_true(B(j, "canTrade"));
    assert_true(B(j, "canDeposit"));
    assert_false(B(j, "canWithdraw"));
    assert_false(B(j, "feeBurn"));
    assert_false(B(j, "multiAssetsMargin"));
    assert_int_equal(I(j, "tradeGroupId"), -1);
    assert_true(B(at(member(j, "assets"), 0), "marginAvailable"));
    assert_int_equal(count(member(j, "positions")), TEST_CONTRACTS);
    json_t *p = where(member(j, "positions"), "symbol", "BTCUSDT");
    assert_string_equal(S(p, "leverage"), "20");
    assert_false(B(p, "isolated"));
    assert_string_equal(S(p, "entryPrice"), "68010.00000");
    /* 68010 + 17.0025 / 0.5 */
    assert_string_equal(S(p, "breakEvenPrice"), "68044.00500");
    assert_string_equal(S(p, "maxNotional"), "100000000");
    assert_string_equal(S(p, "positionAmt"), "0.500");
    p = where(member(j, "positions"), "symbol", "SOLUSDT");
    assert_string_equal(S(p, "entryPrice"), "0.0");
    assert_true(B(done(f, "eve", NET_GET, F2 "account", ""), "canWithdraw"));
    assert_false(B(done(f, "reader", NET_GET, F2 "account", ""), "canTrade"));
}

static void position_risk_of_both_versions(void **state) {
    struct fixture *f = fix(state);
    trade_half(f);
    json_t *j = done(f, "alice", NET_GET, F3 "positionRisk", "");
    assert_int_equal(count(j), 1);
    json_t *p = at(j, 0);
    assert_string_equal(S(p, "symbol"), "BTCUSDT");
    assert_string_equal(S(p, "positionAmt"), "0.500");
    assert_string_equal(S(p, "entryPrice"), "68010.00000");
    assert_string_equal(S(p, "markPrice"), "68000.00000000");
    assert_string_equal(S(p, "unRealizedProfit"), "-5.00000000");
    assert_string_equal(S(p, "liquidationPrice"), "0"); /* 100,000 behind half a coin */
    assert_string_equal(S(p, "marginAsset"), "USDT");
    assert_string_equal(S(p, "notional"), "34000.00000000");
    assert_string_equal(S(p, "initialMargin"), "1700.00000000");
    assert_string_equal(S(p, "positionInitialMargin"), "1700.00000000");
    assert_string_equal(S(p, "openOrderInitialMargin"), "0.00000000");
    assert_int_equal(I(p, "adl"), 0);
    assert_null(json_object_get(p, "leverage"));
    assert_int_equal(count(done(f, "alice", NET_GET, F3 "positionRisk", "symbol=ETHUSDT")), 0);
    /* bob: short half a coin, and three orders */
    p = at(done(f, "bob", NET_GET, F3 "positionRisk", ""), 0);
    assert_string_equal(S(p, "positionAmt"), "-0.500");
    assert_string_equal(S(p, "askNotional"), "102025.00000000"); /* 34005 + 68020 */
    assert_string_equal(S(p, "bidNotional"), "135970.00000000");
    j = done(f, "alice", NET_GET, F2 "positionRisk", "");
    assert_int_equal(count(j), TEST_CONTRACTS);
    p = where(j, "symbol", "BTCUSDT");
    assert_string_equal(S(p, "leverage"), "20");
    assert_string_equal(S(p, "marginType"), "cross");
    assert_string_equal(S(p, "isAutoAddMargin"), "false");
    assert_string_equal(S(p, "maxNotionalValue"), "100000000");
    assert_null(json_object_get(p, "adl"));
    assert_int_equal(count(done(f, "alice", NET_GET, F2 "positionRisk", "symbol=ETHUSDT")), 1);
    refused(f, "alice", NET_GET, F3 "positionRisk", "symbol=NO", -1121);
}

/* The published check of the formula: isolated long of 1 at 50000 with 2500 behind it and 0.4 % maintenance is
 * liquidated at 47690.763. Here: 1 coin at 68010, 20 times: 3400.5 behind it, so (3400.5 - 68010) / (0.004 - 1)
 * = 64868.975…; the exchange gives the first mark at which it happens. */
static void isolated_position_shows_its_wallet(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_POST, F1 "marginType", "symbol=BTCUSDT&marginType=ISOLATED");
    assert_int_equal(I(j, "code"), 200);
    make_book(f);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1");
    json_t *p = at(done(f, "alice", NET_GET, F3 "positionRisk", ""), 0);
    assert_int_equal(D(p, "isolatedMargin"), D(p, "isolatedWallet") + D(p, "unRealizedProfit"));
    int64_t wallet = D(p, "isolatedWallet");
    assert_true(llabs(wallet - INT64_C(340050000000)) < FX_ONE);
    double px = (fx_to_f64(wallet) - 68010) / (0.004 - 1);
    assert_true(fabs(fx_to_f64(D(p, "liquidationPrice")) - px) < 1e-4);
    j = done(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=100.5&type=1");
    assert_true(N(j, "amount") == 100.5);
    assert_int_equal(I(j, "code"), 200);
    assert_int_equal(I(j, "type"), 1);
    assert_string_equal(S(j, "msg"), "Successfully modify position margin.");
    p = at(done(f, "alice", NET_GET, F3 "positionRisk", ""), 0);
    assert_int_equal(D(p, "isolatedWallet"), wallet + INT64_C(10050000000));
    p = where(done(f, "alice", NET_GET, F2 "positionRisk", ""), "symbol", "BTCUSDT");
    assert_string_equal(S(p, "marginType"), "isolated");
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=1e9&type=1", -1100);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=1000000&type=1",
            -4050);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=1000000&type=2",
            -4051);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=0&type=1", -4055);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=1&type=3", -1130);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&type=1", -1102);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=1", -1102);
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=ETHUSDT&amount=1&type=1", -4049);
    refused(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=10", -4161);
    refused(f, "alice", NET_POST, F1 "marginType", "symbol=BTCUSDT&marginType=CROSSED", -4048);
    assert_int_equal(
        count(done(f, "alice", NET_GET, F1 "positionMargin/history", "symbol=BTCUSDT")), 0);
    refused(f, "alice", NET_GET, F1 "positionMargin/history", "", -1102);
}

static void adding_margin_needs_a_position(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, F1 "marginType", "symbol=BTCUSDT&marginType=ISOLATED");
    refused(f, "alice", NET_POST, F1 "positionMargin", "symbol=BTCUSDT&amount=1&type=1", -4054);
}

static void leverage_and_margin_type(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=10");
    assert_int_equal(I(j, "leverage"), 10);
    assert_string_equal(S(j, "maxNotionalValue"), "230000000");
    assert_string_equal(S(j, "symbol"), "BTCUSDT");
    assert_string_equal(
        refused(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=151", -4028),
        "Leverage 151 is not valid");
    refused(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=0", -4028);
    refused(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=1000000", -4028);
    refused(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=2.5", -1100);
    refused(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT", -1102);
    assert_string_equal(
        refused(f, "alice", NET_POST, F1 "marginType", "symbol=BTCUSDT&marginType=CROSSED", -4046),
        "No need to change margin type.");
    refused(f, "alice", NET_POST, F1 "marginType", "symbol=BTCUSDT&marginType=BOTH", -1130);
    limit_order(f, "alice", "BUY", "0.01", "60000");
    refused(f, "alice", NET_POST, F1 "marginType", "symbol=BTCUSDT&marginType=ISOLATED", -4047);
    done(f, "alice", NET_POST, F1 "marginType", "symbol=ETHUSDT&marginType=ISOLATED");
    j = done(f, "alice", NET_GET, F1 "symbolConfig", "");
    assert_int_equal(count(j), TEST_CONTRACTS);
    json_t *c = where(j, "symbol", "BTCUSDT");
    assert_string_equal(S(c, "marginType"), "CROSSED");
    assert_int_equal(I(c, "leverage"), 10);
    assert_false(B(c, "isAutoAddMargin"));
    assert_string_equal(S(c, "maxNotionalValue"), "230000000");
    j = done(f, "alice", NET_GET, F1 "symbolConfig", "symbol=ETHUSDT");
    assert_int_equal(count(j), 1);
    assert_string_equal(S(at(j, 0), "marginType"), "ISOLATED");
}

static void position_modes(void **state) {
    struct fixture *f = fix(state);
    const char *path = F1 "positionSide/dual";
    assert_false(B(done(f, "alice", NET_GET, path, ""), "dualSidePosition"));
    refused(f, "alice", NET_POST, path, "dualSidePosition=false", -4059);
    refused(f, "alice", NET_POST, path, "", -1102);
    refused(f, "alice", NET_POST, path, "dualSidePosition=yes", -1130);
    int64_t id = limit_order(f, "alice", "BUY", "0.01", "60000");
    refused(f, "alice", NET_POST, path, "dualSidePosition=true", -4067);
    done(f, "alice", NET_DELETE, F1 "order", with("symbol=BTCUSDT&orderId=%lld", (long long)id));
    assert_int_equal(I(done(f, "alice", NET_POST, path, "dualSidePosition=true"), "code"), 200);
    assert_true(B(done(f, "alice", NET_GET, path, ""), "dualSidePosition"));
    json_t *j = done(f, "alice", NET_GET, F1 "accountConfig", "");
    assert_true(B(j, "dualSidePosition"));
    assert_false(B(j, "multiAssetsMargin"));
    make_book(f);
    const char *market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2";
    refused(f, "alice", NET_POST, F1 "order", market, -4061);
    refused(f, "alice", NET_POST, F1 "order",
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2&positionSide=LONG&reduceOnly=true",
            -1106);
    done(f, "alice", NET_POST, F1 "order",
         "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2&positionSide=LONG");
    refused(f, "alice", NET_POST, F1 "order",
            "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.3&positionSide=LONG", -2022);
    done(f, "alice", NET_POST, F1 "order",
         "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.1&positionSide=SHORT");
    refused(f, "alice", NET_POST, path, "dualSidePosition=false", -4068);
    j = done(f, "alice", NET_GET, F3 "positionRisk", "");
    assert_int_equal(count(j), 2);
    assert_string_equal(S(where(j, "positionSide", "LONG"), "positionAmt"), "0.200");
    assert_string_equal(S(where(j, "positionSide", "SHORT"), "positionAmt"), "-0.100");
    j = done(f, "alice", NET_GET, F2 "positionRisk", "symbol=BTCUSDT");
    assert_int_equal(count(j), 3);
    assert_string_equal(S(at(j, 0), "positionSide"), "BOTH");
    assert_string_equal(S(at(j, 0), "positionAmt"), "0.000");
    j = done(f, "alice", NET_GET, F1 "adlQuantile", "");
    assert_int_equal(count(j), 1);
    assert_int_equal(I(member(at(j, 0), "adlQuantile"), "HEDGE"), 0);
}

static void other_settings(void **state) {
    struct fixture *f = fix(state);
    assert_false(B(done(f, "alice", NET_GET, F1 "multiAssetsMargin", ""), "multiAssetsMargin"));
    refused(f, "alice", NET_POST, F1 "multiAssetsMargin", "multiAssetsMargin=false", -4171);
    refused(f, "alice", NET_POST, F1 "multiAssetsMargin", "multiAssetsMargin=true", -4169);
    refused(f, "alice", NET_POST, F1 "multiAssetsMargin", "", -1102);
    assert_false(B(done(f, "alice", NET_GET, F1 "feeBurn", ""), "feeBurn"));
    done(f, "alice", NET_POST, F1 "feeBurn", "feeBurn=false");
    refused(f, "alice", NET_POST, F1 "feeBurn", "feeBurn=true", -1020);
    refused(f, "alice", NET_POST, F1 "feeBurn", "", -1102);
    json_t *j = done(f, "alice", NET_GET, F1 "commissionRate", "symbol=BTCUSDT");
    assert_string_equal(S(j, "makerCommissionRate"), "0.0002");
    assert_string_equal(S(j, "takerCommissionRate"), "0.0005");
    S(j, "rpiCommissionRate");
    struct exchange_input in = {.kind = EXI_FEES, .account = 1, .rate = {-10000}, .rate2 = {34000}};
    struct exchange_reply reply;
    world_do(f->world, &in, f->now_ns, &reply);
    j = done(f, "alice", NET_GET, F1 "commissionRate", "symbol=BTCUSDT");
    assert_string_equal(S(j, "makerCommissionRate"), "-0.0001");
    assert_string_equal(S(j, "takerCommissionRate"), "0.00034");
    refused(f, "alice", NET_GET, F1 "commissionRate", "", -1102);
    j = done(f, "alice", NET_GET, F1 "rateLimit/order", "");
    assert_string_equal(S(at(j, 0), "interval"), "SECOND");
    assert_int_equal(I(at(j, 0), "limit"), 300);
    assert_int_equal(I(at(j, 1), "limit"), 1200);
    j = done(f, "alice", NET_GET, F1 "apiTradingStatus", "symbol=BTCUSDT");
    assert_int_equal(json_object_size(member(j, "indicators")), 0);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "adlQuantile", "symbol=BTCUSDT")), 0);
}

/* Rows of binance-usdm 9.6, from the venue's public page. */
static void leverage_brackets_are_numbers(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_GET, F1 "leverageBracket", "symbol=BTCUSDT");
    assert_int_equal(count(j), 1);
    assert_true(N(at(j, 0), "notionalCoef") == 1.0);
    json_t *rows = member(at(j, 0), "brackets");
    static const struct {
        int64_t leverage, floor, cap, cum;
        double rate;
    } known[] = {{150, 0, 300000, 0, 0.004},
                 {100, 300000, 800000, 300, 0.005},
                 {75, 800000, 3000000, 1500, 0.0065},
                 {50, 3000000, 12000000, 12000, 0.01}};
    for (size_t i = 0; i < 4; i++) {
        json_t *b = at(rows, i);
        assert_int_equal(I(b, "bracket"), i + 1);
        assert_int_equal(I(b, "initialLeverage"), known[i].leverage);
        assert_true(N(b, "notionalFloor") == (double)known[i].floor);
        assert_true(N(b, "notionalCap") == (double)known[i].cap);
        assert_true(N(b, "cum") == (double)known[i].cum);
        assert_true(N(b, "maintMarginRatio") == known[i].rate);
    }
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "leverageBracket", "")), TEST_CONTRACTS);
}

/* ---- history ---- */

static void trades_of_an_account(void **state) {
    struct fixture *f = fix(state);
    trade_half(f);
    pass(f, NS_PER_SECOND);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.2");
    json_t *j = done(f, "alice", NET_GET, F1 "userTrades", "symbol=BTCUSDT");
    assert_int_equal(count(j), 2);
    json_t *t = at(j, 0);
    int64_t id = I(t, "id"), order_id = I(t, "orderId");
    assert_string_equal(S(t, "price"), "68010.0");
    assert_string_equal(S(t, "qty"), "0.500");
    assert_string_equal(S(t, "quoteQty"), "34005.00");
    assert_string_equal(S(t, "commission"), "17.00250000");
    assert_string_equal(S(t, "commissionAsset"), "USDT");
    assert_string_equal(S(t, "marginAsset"), "USDT");
    assert_string_equal(S(t, "realizedPnl"), "0.00000000");
    assert_string_equal(S(t, "side"), "BUY");
    assert_string_equal(S(t, "positionSide"), "BOTH");
    assert_true(B(t, "buyer"));
    assert_false(B(t, "maker"));
    assert_int_equal(I(t, "time"), 1700000001000);
    assert_null(json_object_get(t, "clientOrderId"));
    t = at(j, 1);
    assert_string_equal(S(t, "realizedPnl"), "-4.00000000"); /* 0.2 * (67990 - 68010) */
    assert_false(B(t, "buyer"));
    assert_true(B(at(done(f, "bob", NET_GET, F1 "userTrades", "symbol=BTCUSDT"), 0), "maker"));
    j = done(f, "alice", NET_GET, F1 "userTrades",
             with("symbol=BTCUSDT&orderId=%lld", (long long)order_id));
    assert_int_equal(count(j), 1);
    j = done(f, "alice", NET_GET, F1 "userTrades",
             with("symbol=BTCUSDT&fromId=%lld", (long long)id + 1));
    assert_int_equal(count(j), 1);
    j = done(f, "alice", NET_GET, F1 "userTrades", "symbol=BTCUSDT&fromId=0&limit=1");
    assert_int_equal(I(at(j, 0), "id"), id);
    refused(f, "alice", NET_GET, F1 "userTrades", "symbol=BTCUSDT&fromId=1&startTime=1", -1128);
    refused(f, "alice", NET_GET, F1 "userTrades", "symbol=BTCUSDT&startTime=1&endTime=700000000",
            -4165);
    refused(f, "alice", NET_GET, F1 "userTrades", "symbol=BTCUSDT&limit=1001", -1130);
    refused(f, "alice", NET_GET, F1 "userTrades", "", -1102);
}

static void income_of_an_account(void **state) {
    struct fixture *f = fix(state);
    trade_half(f);
    struct exchange_input in = {.kind = EXI_FUNDING, .instrument = 0, .rate = {10000}};
    struct exchange_reply reply;
    world_do(f->world, &in, f->now_ns, &reply);
    json_t *j = done(f, "alice", NET_GET, F1 "income", "");
    json_t *fee = where(j, "incomeType", "COMMISSION");
    assert_string_equal(S(fee, "income"), "-17.00250000");
    assert_string_equal(S(fee, "symbol"), "BTCUSDT");
    assert_string_equal(S(fee, "asset"), "USDT");
    assert_true(strlen(S(fee, "tradeId")) > 0);
    I(fee, "tranId");
    json_t *deposit = where(j, "incomeType", "TRANSFER");
    assert_string_equal(S(deposit, "income"), "100000.00000000");
    assert_string_equal(S(deposit, "symbol"), "");
    assert_string_equal(S(deposit, "tradeId"), "");
    j = done(f, "alice", NET_GET, F1 "income", "incomeType=FUNDING_FEE&symbol=BTCUSDT");
    assert_int_equal(count(j), 1);
    assert_string_equal(S(at(j, 0), "income"), "-3.40000000"); /* 34000 * 0.01 % */
    assert_string_equal(S(at(j, 0), "info"), "FUNDING_FEE");
    j = done(f, "bob", NET_GET, F1 "income", "incomeType=FUNDING_FEE");
    assert_string_equal(S(at(j, 0), "income"), "3.40000000");
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "income", "incomeType=API_REBATE")), 0);
    j = done(f, "alice", NET_GET, F1 "income", "limit=1&page=2");
    assert_int_equal(count(j), 1);
    assert_string_equal(S(at(j, 0), "incomeType"), "COMMISSION");
    refused(f, "alice", NET_GET, F1 "income", "incomeType=LUCK", -1130);
    refused(f, "alice", NET_GET, F1 "income", "page=0", -1130);
    refused(f, "alice", NET_GET, F1 "income", "limit=1001", -1130);
}

/* eve holds 1000 and 0.25 long at 20 times: the fall of the mark liquidates her. */
static void forced_orders_are_told(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    done(f, "eve", NET_POST, F1 "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.25");
    assert_int_equal(count(done(f, "eve", NET_GET, F1 "forceOrders", "")), 0);
    mark_to(f, 64000);
    json_t *j = done(f, "eve", NET_GET, F1 "forceOrders", "");
    assert_true(count(j) >= 1);
    assert_string_equal(S(at(j, 0), "side"), "SELL");
    assert_string_equal(S(at(j, 0), "timeInForce"), "IOC");
    assert_int_equal(strncmp(S(at(j, 0), "clientOrderId"), "autoclose-", 10), 0);
    assert_true(count(done(f, "eve", NET_GET, F1 "forceOrders", "autoCloseType=LIQUIDATION")) >= 1);
    assert_int_equal(count(done(f, "eve", NET_GET, F1 "forceOrders", "autoCloseType=ADL")), 0);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "forceOrders", "")), 0);
    refused(f, "eve", NET_GET, F1 "forceOrders", "autoCloseType=NO", -1130);
    assert_int_equal(count(done(f, "eve", NET_GET, F3 "positionRisk", "")), 0);
}

static void listen_key_of_an_account(void **state) {
    struct fixture *f = fix(state);
    const char *path = F1 "listenKey";
    char key[80];
    json_t *j = ask_raw(f, "alice-key", NET_POST, path, "", "");
    assert_int_equal(f->status, 200);
    assert_int_equal(f->account, 1);
    snprintf(key, sizeof key, "%s", S(j, "listenKey"));
    assert_int_equal(strlen(key), 64);
    assert_string_equal(S(ask_raw(f, "alice-key", NET_POST, path, "", ""), "listenKey"), key);
    assert_string_equal(S(ask_raw(f, "alice-key", NET_PUT, path, "", ""), "listenKey"), key);
    ask_raw(f, "alice-key", NET_PUT, path, with("listenKey=%s", key), "");
    assert_int_equal(f->status, 200);
    ask_raw(f, "bob-key", NET_PUT, path, "", "");
    assert_int_equal(f->code, -1125);
    j = ask_raw(f, "alice-key", NET_DELETE, path, "", "");
    assert_int_equal(json_object_size(j), 0);
    ask_raw(f, "alice-key", NET_PUT, path, "", "");
    assert_int_equal(f->code, -1125);
    refused(f, NULL, NET_POST, path, "", -2014);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_PURE(balances_of_both_versions),
        TEST_PURE(account_v3_lists_what_is_used),
        TEST_PURE(account_v2_lists_everything),
        TEST_PURE(position_risk_of_both_versions),
        TEST_PURE(isolated_position_shows_its_wallet),
        TEST_PURE(adding_margin_needs_a_position),
        TEST_PURE(leverage_and_margin_type),
        TEST_PURE(position_modes),
        TEST_PURE(other_settings),
        TEST_PURE(leverage_brackets_are_numbers),
        TEST_PURE(trades_of_an_account),
        TEST_PURE(income_of_an_account),
        TEST_PURE(forced_orders_are_told),
        TEST_PURE(listen_key_of_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
