/* What everybody may ask: rules, book, tape, candles, tickers, funding. */
#include "venue/server/test_rest.h"

static void ping_and_time(void **state) {
    struct fixture *f = fix(state);
    assert_int_equal(json_object_size(get(f, F1 "ping", "")), 0);
    assert_int_equal(I(get(f, F1 "time", ""), "serverTime"), 1700000001000);
}

/* The venue's own record of BTCUSDT (2026-09-15), as the contract of the venue quotes it. */
static void exchange_info_describes_bitcoin(void **state) {
    struct fixture *f = fix(state);
    json_t *j = get(f, F1 "exchangeInfo", "symbol=NOSUCH");
    assert_string_equal(S(j, "timezone"), "UTC");
    assert_string_equal(S(j, "futuresType"), "U_MARGINED");
    assert_int_equal(count(member(j, "exchangeFilters")), 0);
    json_t *limits = member(j, "rateLimits");
    assert_int_equal(count(limits), 3);
    assert_string_equal(S(at(limits, 0), "rateLimitType"), "REQUEST_WEIGHT");
    assert_int_equal(I(at(limits, 0), "limit"), 2400);
    assert_int_equal(I(at(limits, 1), "limit"), 1200);
    assert_string_equal(S(at(limits, 2), "interval"), "SECOND");
    assert_int_equal(I(at(limits, 2), "intervalNum"), 10);
    assert_int_equal(I(at(limits, 2), "limit"), 300);
    assert_string_equal(S(at(member(j, "assets"), 0), "asset"), "USDT");
    assert_int_equal(count(member(j, "symbols")), TEST_CONTRACTS);
    json_t *b = where(member(j, "symbols"), "symbol", "BTCUSDT");
    assert_string_equal(S(b, "pair"), "BTCUSDT");
    assert_string_equal(S(b, "contractType"), "PERPETUAL");
    assert_string_equal(S(b, "baseAsset"), "BTC");
    assert_string_equal(S(b, "quoteAsset"), "USDT");
    assert_string_equal(S(b, "marginAsset"), "USDT");
    assert_string_equal(S(b, "status"), "TRADING");
    assert_int_equal(I(b, "onboardDate"), 1567965300000);
    assert_int_equal(I(b, "deliveryDate"), 4133404800000);
    assert_int_equal(I(b, "pricePrecision"), 1); /* of the tick: the venue shows one more */
    assert_int_equal(I(b, "quantityPrecision"), 3);
    assert_string_equal(S(b, "triggerProtect"), "0.0500");
    assert_string_equal(S(b, "liquidationFee"), "0.012500");
    assert_string_equal(S(b, "marketTakeBound"), "0.05");
    assert_int_equal(I(b, "maxMoveOrderLimit"), 10000);
    json_t *filters = member(b, "filters");
    assert_int_equal(count(filters), 7);
    json_t *px = where(filters, "filterType", "PRICE_FILTER");
    assert_int_equal(D(px, "minPrice"), 55680000000);
    assert_int_equal(D(px, "maxPrice"), 4529764 * FX_ONE);
    assert_int_equal(D(px, "tickSize"), FX_ONE / 10);
    json_t *lot = where(filters, "filterType", "LOT_SIZE");
    assert_int_equal(D(lot, "minQty"), FX_ONE / 1000);
    assert_int_equal(D(lot, "maxQty"), 1000 * FX_ONE);
    assert_string_equal(S(lot, "stepSize"), "0.001");
    assert_int_equal(D(where(filters, "filterType", "MARKET_LOT_SIZE"), "maxQty"), 120 * FX_ONE);
    assert_int_equal(I(where(filters, "filterType", "MAX_NUM_ORDERS"), "limit"), 200);
    assert_string_equal(S(where(filters, "filterType", "MIN_NOTIONAL"), "notional"), "50");
    json_t *band = where(filters, "filterType", "PERCENT_PRICE");
    assert_string_equal(S(band, "multiplierUp"), "1.0500");
    assert_string_equal(S(band, "multiplierDown"), "0.9500");
    assert_string_equal(S(band, "multiplierDecimal"), "4");
    assert_string_equal(
        S(where(filters, "filterType", "POSITION_RISK_CONTROL"), "positionControlSide"), "NONE");
    assert_int_equal(count(member(b, "orderTypes")), 7);
    assert_int_equal(count(member(b, "timeInForce")), 5);
}

static void status_and_filters_change_in_the_info(void **state) {
    struct fixture *f = fix(state);
    struct exchange_input in = {.kind = EXI_STATUS, .instrument = 1, .status = INSTRUMENT_SETTLING};
    struct exchange_reply reply;
    world_do(f->world, &in, f->now_ns, &reply);
    json_t *j = get(f, F1 "exchangeInfo", "");
    assert_string_equal(S(at(member(j, "symbols"), 1), "status"), "SETTLING");
    in.status = INSTRUMENT_CLOSED;
    world_do(f->world, &in, f->now_ns, &reply);
    j = get(f, F1 "exchangeInfo", "");
    assert_string_equal(S(at(member(j, "symbols"), 1), "status"), "CLOSE");
    refused(f, "alice", NET_POST, F1 "order",
            with("symbol=%s&side=BUY&type=MARKET&quantity=1", f->contracts[1].symbol), -4141);
    struct instrument rules = f->contracts[2];
    rules.step_size.e8 = rules.qty_min.e8 = FX_ONE;
    world_filters(f->world, 2, &rules, f->now_ns, &reply);
    j = get(f, F1 "exchangeInfo", "");
    json_t *changed = at(member(j, "symbols"), 2);
    assert_int_equal(I(changed, "quantityPrecision"), 0);
    assert_string_equal(S(where(member(changed, "filters"), "filterType", "LOT_SIZE"), "stepSize"),
                        "1");
}

static void depth_shows_both_sides(void **state) {
    struct fixture *f = fix(state);
    json_t *j = get(f, F1 "depth", "symbol=BTCUSDT&limit=5");
    assert_int_equal(count(member(j, "bids")) + count(member(j, "asks")), 0);
    int64_t before = I(j, "lastUpdateId");
    make_book(f);
    limit_order(f, "alice", "BUY", "0.25", "67990");
    j = get(f, F1 "depth", "symbol=BTCUSDT&limit=5");
    assert_true(I(j, "lastUpdateId") > before);
    assert_int_equal(I(j, "E"), 1700000001000);
    json_t *bids = member(j, "bids"), *asks = member(j, "asks");
    assert_int_equal(count(bids), 2);
    assert_string_equal(json_string_value(at(at(bids, 0), 0)), "67990.0");
    assert_string_equal(json_string_value(at(at(bids, 0), 1)), "1.250");
    assert_string_equal(json_string_value(at(at(bids, 1), 0)), "67980.0");
    assert_string_equal(json_string_value(at(at(asks, 0), 0)), "68010.0");
    assert_string_equal(json_string_value(at(at(asks, 1), 0)), "68020.0");
    assert_int_equal(count(member(get(f, F1 "depth", "symbol=BTCUSDT"), "asks")), 2);
    assert_int_equal(count(member(get(f, F1 "rpiDepth", "symbol=BTCUSDT&limit=1000"), "asks")), 2);

    assert_string_equal(refused(f, NULL, NET_GET, F1 "depth", "symbol=BTCUSDT&limit=3", -4021),
                        "'3' is not valid depth limit.");
    refused(f, NULL, NET_GET, F1 "depth", "symbol=BTCUSDT&limit=1500", -1130);
    refused(f, NULL, NET_GET, F1 "depth", "symbol=BTCUSDT&limit=x", -1100);
    refused(f, NULL, NET_GET, F1 "depth", "symbol=NOSUCH", -1121);
    refused(f, NULL, NET_GET, F1 "depth", "", -1102);
    refused(f, NULL, NET_GET, F1 "rpiDepth", "symbol=BTCUSDT&limit=1001", -1130);
}

/* Three trades of two taker orders: two single trades of the first are one aggregate each, for they have
 * different prices. */
static void trade_three(struct fixture *f) {
    make_book(f);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1.5");
    pass(f, NS_PER_SECOND);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.4");
}

static void tape_tells_single_and_aggregate_trades(void **state) {
    struct fixture *f = fix(state);
    trade_three(f);
    json_t *j = get(f, F1 "trades", "symbol=BTCUSDT");
    assert_int_equal(count(j), 3);
    json_t *t = at(j, 1);
    int64_t id = I(t, "id");
    assert_string_equal(S(t, "price"), "68020.0");
    assert_string_equal(S(t, "qty"), "0.500");
    assert_string_equal(S(t, "quoteQty"), "34010.00");
    assert_int_equal(I(t, "time"), 1700000001000);
    assert_false(B(t, "isBuyerMaker"));
    assert_false(B(t, "isRPITrade"));
    assert_true(B(at(j, 2), "isBuyerMaker"));
    assert_int_equal(I(at(j, 2), "id"), id + 1);
    assert_int_equal(I(at(get(f, F1 "trades", "symbol=BTCUSDT&limit=1"), 0), "id"), id + 1);

    j = get(f, F1 "aggTrades", "symbol=BTCUSDT");
    assert_int_equal(count(j), 3);
    t = at(j, 0);
    int64_t agg = I(t, "a");
    assert_string_equal(S(t, "p"), "68010.0");
    assert_string_equal(S(t, "q"), "1.000");
    assert_string_equal(S(t, "nq"), "1.000");
    assert_int_equal(I(t, "f"), id - 1);
    assert_int_equal(I(t, "l"), id - 1);
    assert_int_equal(I(t, "T"), 1700000001000);
    assert_false(B(t, "m"));
    j = get(f, F1 "aggTrades", with("symbol=BTCUSDT&fromId=%lld&limit=1", (long long)agg + 1));
    assert_string_equal(S(at(j, 0), "p"), "68020.0");
    j = get(f, F1 "aggTrades", "symbol=BTCUSDT&startTime=1700000002000&endTime=1700000002000");
    assert_int_equal(count(j), 1);
    assert_string_equal(S(at(j, 0), "p"), "67990.0");
    assert_int_equal(count(get(f, F1 "aggTrades", "symbol=ETHUSDT")), 0);
    refused(f, NULL, NET_GET, F1 "aggTrades", "symbol=BTCUSDT&limit=1001", -1130);
    assert_string_equal(refused(f, NULL, NET_GET, F1 "aggTrades",
                                "symbol=BTCUSDT&startTime=1&endTime=3600002", -1127),
                        "More than 1 hours between startTime and endTime.");
    refused(f, NULL, NET_GET, F1 "trades", "symbol=BTCUSDT&limit=0", -1130);

    /* Old trades ask for a key. */
    refused(f, NULL, NET_GET, F1 "historicalTrades", "symbol=BTCUSDT", -2014);
    j = ask_raw(f, "alice-key", NET_GET, F1 "historicalTrades",
                with("symbol=BTCUSDT&fromId=%lld", (long long)id), "");
    assert_int_equal(f->status, 200);
    assert_int_equal(count(j), 2);
    assert_int_equal(I(at(j, 0), "id"), id);
    ask_raw(f, "alice-key", NET_GET, F1 "historicalTrades", "symbol=BTCUSDT&limit=501", "");
    assert_int_equal(f->code, -1130);
}

static void candles_fold_the_trades(void **state) {
    struct fixture *f = fix(state);
    trade_three(f);
    json_t *j = get(f, F1 "klines", "symbol=BTCUSDT&interval=1m&limit=5");
    json_t *k = at(j, count(j) - 1);
    assert_int_equal(count(k), 12);
    assert_int_equal(json_integer_value(at(k, 0)), 1699999980000);
    assert_string_equal(json_string_value(at(k, 1)), "68010.0");
    assert_string_equal(json_string_value(at(k, 2)), "68020.0");
    assert_string_equal(json_string_value(at(k, 3)), "67990.0");
    assert_string_equal(json_string_value(at(k, 4)), "67990.0");
    assert_string_equal(json_string_value(at(k, 5)), "1.900");
    assert_int_equal(json_integer_value(at(k, 6)), 1700000039999);
    /* 68010 + 34010 + 0.4 * 67990 */
    assert_string_equal(json_string_value(at(k, 7)), "129216");
    assert_int_equal(json_integer_value(at(k, 8)), 3);
    assert_string_equal(json_string_value(at(k, 9)), "1.500");
    assert_string_equal(json_string_value(at(k, 10)), "102020");
    assert_string_equal(json_string_value(at(k, 11)), "0");
    j = get(f, F1 "continuousKlines", "pair=BTCUSDT&contractType=PERPETUAL&interval=1h");
    assert_string_equal(json_string_value(at(at(j, count(j) - 1), 2)), "68020.0");
    j = get(f, F1 "continuousKlines", "pair=BTCUSDT&contractType=NEXT_QUARTER&interval=1h");
    assert_int_equal(count(j), 0);
    j = get(f, F1 "markPriceKlines", "symbol=BTCUSDT&interval=1m");
    k = at(j, count(j) - 1);
    assert_string_equal(json_string_value(at(k, 5)), "0");
    assert_string_equal(json_string_value(at(k, 7)), "0");
    assert_int_equal(count(k), 12);
    assert_true(count(get(f, F1 "indexPriceKlines", "pair=BTCUSDT&interval=1m")) > 0);
    get(f, F1 "premiumIndexKlines", "symbol=BTCUSDT&interval=1m");
}

static void candle_refusals(void **state) {
    struct fixture *f = fix(state);
    static const struct {
        const char *path, *params;
        int32_t code;
    } rows[] = {
        {F1 "klines", "symbol=BTCUSDT&interval=1s", -1120},
        {F1 "klines", "symbol=BTCUSDT", -1102},
        {F1 "klines", "interval=1m", -1102},
        {F1 "klines", "symbol=NO&interval=1m", -1121},
        {F1 "klines", "symbol=BTCUSDT&interval=1m&limit=2000", -1130},
        {F1 "klines", "symbol=BTCUSDT&interval=1m&startTime=5&endTime=4", -1023},
        {F1 "klines", "symbol=BTCUSDT&interval=1m&startTime=99999999999999999999", -1130},
        {F1 "indexPriceKlines", "pair=NO&interval=1m", -4144},
        {F1 "indexPriceKlines", "interval=1m", -1102},
        {F1 "continuousKlines", "pair=BTCUSDT&contractType=WEEKLY&interval=1m", -4104},
        {F1 "continuousKlines", "pair=BTCUSDT&interval=1m", -1102},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(f, NULL, NET_GET, rows[i].path, rows[i].params, rows[i].code);
    assert_int_equal(
        count(get(f, F1 "klines", "symbol=BTCUSDT&interval=1m&startTime=9000000000000")), 0);
}

static void tickers_tell_where_it_stands(void **state) {
    struct fixture *f = fix(state);
    trade_three(f);
    json_t *t = get(f, F1 "ticker/24hr", "symbol=BTCUSDT");
    assert_string_equal(S(t, "symbol"), "BTCUSDT");
    assert_string_equal(S(t, "lastPrice"), "67990.0");
    assert_string_equal(S(t, "lastQty"), "0.400");
    assert_string_equal(S(t, "openPrice"), "68010.0");
    assert_string_equal(S(t, "priceChange"), "-20.0");
    assert_string_equal(S(t, "priceChangePercent"), "-0.029"); /* -20 / 68010 */
    assert_string_equal(S(t, "highPrice"), "68020.0");
    assert_string_equal(S(t, "lowPrice"), "67990.0");
    assert_string_equal(S(t, "volume"), "1.900");
    assert_string_equal(S(t, "quoteVolume"), "129216.00");
    assert_int_equal(D(t, "weightedAvgPrice"), INT64_C(12921600000000) * 10 / 19);
    assert_int_equal(I(t, "count"), 3);
    assert_int_equal(I(t, "lastId") - I(t, "firstId"), 2);
    assert_true(I(t, "closeTime") > I(t, "openTime"));
    assert_int_equal(count(get(f, F1 "ticker/24hr", "")), TEST_CONTRACTS);

    t = get(f, F2 "ticker/price", "symbol=BTCUSDT");
    assert_string_equal(S(t, "price"), "67990.0");
    assert_int_equal(I(t, "time"), 1700000002000);
    assert_int_equal(count(get(f, F1 "ticker/price", "")), TEST_CONTRACTS);

    t = get(f, F1 "ticker/bookTicker", "symbol=BTCUSDT");
    assert_string_equal(S(t, "bidPrice"), "67990.0");
    assert_string_equal(S(t, "bidQty"), "0.600");
    assert_string_equal(S(t, "askPrice"), "68020.0");
    assert_string_equal(S(t, "askQty"), "0.500");
    int64_t update = I(t, "lastUpdateId");
    assert_int_equal(I(get(f, F1 "depth", "symbol=BTCUSDT&limit=5"), "lastUpdateId"), update);
    assert_int_equal(count(get(f, F1 "ticker/bookTicker", "")), TEST_CONTRACTS);

    t = get(f, F1 "openInterest", "symbol=BTCUSDT");
    assert_string_equal(S(t, "openInterest"), "1.100");
    refused(f, NULL, NET_GET, F1 "ticker/24hr", "symbol=NOSUCH", -1121);
    refused(f, NULL, NET_GET, F1 "ticker/24hr", "symbol=", -1105);
    refused(f, NULL, NET_GET, F1 "openInterest", "", -1102);
}

static void premium_index_and_funding(void **state) {
    struct fixture *f = fix(state);
    json_t *t = get(f, F1 "premiumIndex", "symbol=BTCUSDT");
    assert_int_equal(D(t, "markPrice"), 68000 * FX_ONE);
    assert_int_equal(D(t, "indexPrice"), 68000 * FX_ONE);
    assert_string_equal(S(t, "interestRate"), "0.00010000");
    assert_int_equal(I(t, "nextFundingTime"), 1700006400000); /* 2023-11-15T00:00Z */
    D(t, "lastFundingRate");
    D(t, "estimatedSettlePrice");
    assert_int_equal(count(get(f, F1 "premiumIndex", "")), TEST_CONTRACTS);
    assert_int_equal(count(get(f, F1 "fundingRate", "")), 0);
    struct exchange_input in = {.kind = EXI_FUNDING, .instrument = 0, .rate = {12345}};
    struct exchange_reply reply;
    world_do(f->world, &in, f->now_ns, &reply);
    assert_int_equal(reply.code, 0);
    pass(f, NS_PER_SECOND);
    in.instrument = 1;
    in.rate.e8 = -7;
    world_do(f->world, &in, f->now_ns, &reply);
    json_t *j = get(f, F1 "fundingRate", "");
    assert_int_equal(count(j), 2);
    assert_string_equal(S(at(j, 0), "symbol"), "BTCUSDT");
    assert_string_equal(S(at(j, 0), "fundingRate"), "0.00012345");
    assert_int_equal(I(at(j, 0), "fundingTime"), 1700000001000);
    assert_string_equal(S(at(j, 0), "markPrice"), "68000.00000000");
    assert_string_equal(S(at(j, 0), "rateType"), "Regular");
    assert_string_equal(S(at(j, 1), "fundingRate"), "-0.00000007");
    j = get(f, F1 "fundingRate", "limit=1");
    assert_string_equal(S(at(j, 0), "symbol"), "ETHUSDT");
    j = get(f, F1 "fundingRate", "limit=1&startTime=1700000000000");
    assert_string_equal(S(at(j, 0), "symbol"), "BTCUSDT");
    j = get(f, F1 "fundingRate", "symbol=BTCUSDT&startTime=1700000001001");
    assert_int_equal(count(j), 0);
    refused(f, NULL, NET_GET, F1 "fundingRate", "limit=1001", -1130);
    j = get(f, F1 "fundingInfo", "");
    t = where(j, "symbol", "BTCUSDT");
    assert_string_equal(S(t, "adjustedFundingRateCap"),
                        "0.00300000"); /* 0.3 %, as the venue has it */
    assert_string_equal(S(t, "adjustedFundingRateFloor"), "-0.00300000");
    assert_int_equal(I(t, "fundingIntervalHours"), 8);
    assert_int_equal(json_typeof(member(t, "updateTime")), JANSSON_NULL);
}

static void statistics_come_from_the_candles(void **state) {
    struct fixture *f = fix(state);
    trade_three(f);
    json_t *j = get(f, "/futures/data/takerlongshortRatio", "symbol=BTCUSDT&period=5m");
    json_t *t = at(j, count(j) - 1);
    assert_string_equal(S(t, "buyVol"), "1.5000");
    assert_string_equal(S(t, "sellVol"), "0.4000");
    assert_string_equal(S(t, "buySellRatio"), "3.7500");
    j = get(f, "/futures/data/basis", "pair=BTCUSDT&contractType=PERPETUAL&period=5m");
    t = at(j, count(j) - 1);
    assert_string_equal(S(t, "futuresPrice"), "67990.0");
    assert_int_equal(D(t, "basis"), D(t, "futuresPrice") - D(t, "indexPrice"));
    assert_string_equal(S(t, "contractType"), "PERPETUAL");
    static const char *const empty[] = {"openInterestHist", "topLongShortAccountRatio",
                                        "topLongShortPositionRatio", "globalLongShortAccountRatio"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            count(get(f, with("/futures/data/%s", empty[i]), "symbol=BTCUSDT&period=1d")), 0);
    refused(f, NULL, NET_GET, "/futures/data/basis",
            "pair=BTCUSDT&contractType=PERPETUAL&period=3m", -1130);
    refused(f, NULL, NET_GET, "/futures/data/takerlongshortRatio", "symbol=BTCUSDT", -1102);
    refused(f, NULL, NET_GET, "/futures/data/openInterestHist",
            "symbol=BTCUSDT&period=5m&limit=501", -1130);
}

static void calls_with_nothing_to_tell(void **state) {
    struct fixture *f = fix(state);
    static const char *const lists[] = {
        "/sapi/v1/capital/config/getall", "/sapi/v1/margin/allPairs",
        "/sapi/v1/margin/isolated/allPairs", F1 "indexInfo", F1 "assetIndex"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        assert_int_equal(count(get(f, lists[i], "")), 0);
    /* A client that has keys signs them. */
    assert_int_equal(count(done(f, "alice", NET_GET, lists[0], "")), 0);
    assert_int_equal(count(member(get(f, "/api/v3/exchangeInfo", ""), "symbols")), 0);
    assert_int_equal(count(member(get(f, "/dapi/v1/exchangeInfo", ""), "symbols")), 0);
    json_t *j = get(f, F1 "constituents", "symbol=BTCUSDT");
    assert_int_equal(count(member(j, "constituents")), 0);
    refused(f, NULL, NET_GET, F1 "constituents", "", -1102);
}

static void unknown_paths_say_so(void **state) {
    struct fixture *f = fix(state);
    assert_string_equal(refused(f, NULL, NET_GET, F1 "positionRisk", "", -5000),
                        "Path /fapi/v1/positionRisk, Method GET is invalid");
    assert_int_equal(f->status, 404);
    refused(f, NULL, NET_DELETE, F1 "ping", "", -5000);
    refused(f, NULL, NET_GET, F1 "algoOrders", "", -5000);
    refused(f, NULL, NET_HEAD, F1 "ping", "", -5000);
    refused(f, NULL, NET_OPTIONS, "/", "", -5000);
    refused(f, NULL, NET_OTHER, "", "", -5000);
    char path[4096] = "/";
    memset(path + 1, 'x', sizeof path - 2);
    refused(f, NULL, NET_GET, path, "", -5000);
}

/* A synthetic market fills every list there is. */
static void synthetic_market_has_a_past(void **state) {
    struct fixture *f = fix(state);
    for (int i = 0; i < 200; i++) pass(f, 30 * NS_PER_SECOND);
    json_t *j = get(f, F1 "klines", "symbol=ETHUSDT&interval=1m&limit=60");
    assert_int_equal(count(j), 60);
    for (size_t i = 1; i < count(j); i++) {
        int64_t open = json_integer_value(at(at(j, i), 0));
        assert_int_equal(open - json_integer_value(at(at(j, i - 1), 0)), 60000);
        assert_int_equal(json_integer_value(at(at(j, i), 6)), open + 59999);
    }
    int64_t newest = json_integer_value(at(at(j, 59), 0));
    j = get(
        f, F1 "klines",
        with("symbol=ETHUSDT&interval=1m&startTime=%lld&limit=3", (long long)(newest - 600000)));
    assert_int_equal(count(j), 3);
    assert_int_equal(json_integer_value(at(at(j, 0), 0)), newest - 600000);
    j = get(f, F1 "klines",
            with("symbol=ETHUSDT&interval=1m&endTime=%lld&limit=3", (long long)newest - 1));
    assert_int_equal(json_integer_value(at(at(j, 2), 0)), newest - 60000);
    j = get(f, F1 "depth", "symbol=ETHUSDT&limit=20");
    assert_true(count(member(j, "bids")) > 5 && count(member(j, "asks")) > 5);
    assert_int_equal(count(get(f, F1 "trades", "symbol=ETHUSDT&limit=1000")), 1000);
    static const char *const intervals[] = {"1m", "3m", "5m",  "15m", "30m", "1h", "2h", "4h",
                                            "6h", "8h", "12h", "1d",  "3d",  "1w", "1M"};
    for (size_t i = 0; i < 15; i++)
        assert_true(count(get(f, F1 "klines",
                              with("symbol=ETHUSDT&interval=%s&limit=1500", intervals[i]))) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_PURE(ping_and_time),
        TEST_PURE(exchange_info_describes_bitcoin),
        TEST_PURE(status_and_filters_change_in_the_info),
        TEST_PURE(depth_shows_both_sides),
        TEST_PURE(tape_tells_single_and_aggregate_trades),
        TEST_PURE(candles_fold_the_trades),
        TEST_PURE(candle_refusals),
        TEST_PURE(tickers_tell_where_it_stands),
        TEST_PURE(premium_index_and_funding),
        TEST_PURE(statistics_come_from_the_candles),
        TEST_PURE(calls_with_nothing_to_tell),
        TEST_PURE(unknown_paths_say_so),
        TEST_SYNTHETIC(synthetic_market_has_a_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
