/* Ordinary orders through the door of requests: shapes, states, refusals, batches. */
#include "venue/server/test_rest.h"

static const char order[] = F1 "order";
#define LIMIT "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=67000.0"

static void ack_has_the_shape_of_today(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_POST, order, LIMIT "&newClientOrderId=c-1");
    assert_int_equal(I(j, "orderId"), 1001);
    assert_string_equal(S(j, "clientOrderId"), "c-1");
    assert_string_equal(S(j, "symbol"), "BTCUSDT");
    assert_string_equal(S(j, "status"), "NEW");
    assert_string_equal(S(j, "price"), "67000.0");
    assert_string_equal(S(j, "origQty"), "0.010");
    assert_string_equal(S(j, "executedQty"), "0.000");
    assert_string_equal(S(j, "cumQty"), "0.000");
    assert_string_equal(S(j, "stopPrice"), "0");
    assert_string_equal(S(j, "timeInForce"), "GTC");
    assert_string_equal(S(j, "type"), "LIMIT");
    assert_string_equal(S(j, "origType"), "LIMIT");
    assert_string_equal(S(j, "side"), "BUY");
    assert_string_equal(S(j, "positionSide"), "BOTH");
    assert_string_equal(S(j, "workingType"), "CONTRACT_PRICE");
    assert_string_equal(S(j, "priceMatch"), "NONE");
    assert_string_equal(S(j, "selfTradePreventionMode"), "EXPIRE_MAKER");
    assert_false(B(j, "reduceOnly"));
    assert_false(B(j, "closePosition"));
    assert_false(B(j, "priceProtect"));
    assert_int_equal(I(j, "goodTillDate"), 0);
    assert_int_equal(I(j, "updateTime"), f->now_ns / NS_PER_MS);
    assert_null(json_object_get(j, "avgPrice"));
    assert_null(json_object_get(j, "cumQuote"));
    assert_int_equal(json_object_size(j), 22);
}

static void ack_can_carry_the_average_as_before(void **state) {
    struct fixture *f = fix(state);
    f->rest.options.ack_carries_average = true;
    make_book(f);
    json_t *j = done(f, "alice", NET_POST, order,
                     "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1.5&newOrderRespType=RESULT");
    assert_string_equal(S(j, "status"), "FILLED");
    /* (68010 + 68020 / 2) / 1.5 */
    assert_string_equal(S(j, "avgPrice"), "68013.33333333");
    assert_string_equal(S(j, "cumQuote"), "102020");
}

static void ack_is_new_and_result_is_final(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    json_t *j = done(f, "alice", NET_POST, order,
                     "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5&newOrderRespType=ACK");
    assert_string_equal(S(j, "status"), "NEW");
    assert_string_equal(S(j, "executedQty"), "0.000");
    int64_t id = I(j, "orderId");
    j = done(f, "alice", NET_GET, order, with("symbol=BTCUSDT&orderId=%lld", (long long)id));
    assert_string_equal(S(j, "status"), "FILLED");
    assert_string_equal(S(j, "avgPrice"), "68010.00000");
    assert_string_equal(S(j, "cumQuote"), "34005");
    assert_string_equal(S(j, "executedQty"), "0.500");
    assert_int_equal(I(j, "time"), f->now_ns / NS_PER_MS);
    assert_null(json_object_get(j, "cumQty"));
    assert_int_equal(json_object_size(j), 24);

    j = done(f, "alice", NET_POST, order,
             "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=68010"
             "&newOrderRespType=RESULT");
    assert_string_equal(S(j, "status"), "PARTIALLY_FILLED");
    assert_string_equal(S(j, "executedQty"), "0.500");
    j = done(f, "alice", NET_POST, order,
             "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC&quantity=3&price=67990"
             "&newOrderRespType=RESULT&selfTradePreventionMode=EXPIRE_TAKER");
    assert_string_equal(S(j, "status"), "EXPIRED_IN_MATCH");
    assert_string_equal(S(j, "selfTradePreventionMode"), "EXPIRE_TAKER");
}

static void test_order_is_checked_and_not_sent(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_POST, F1 "order/test", LIMIT);
    assert_string_equal(S(j, "status"), "NEW");
    assert_string_equal(S(j, "origQty"), "0.010");
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 0);
    refused(f, "alice", NET_POST, F1 "order/test", LIMIT "7", -1111);
    assert_null(strstr(f->headers, "ORDER-COUNT"));
}

static void order_is_found_and_canceled_by_either_id(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, order, LIMIT "&newClientOrderId=c-1");
    json_t *j = done(f, "alice", NET_GET, F1 "openOrder", "symbol=BTCUSDT&origClientOrderId=c-1");
    assert_int_equal(I(j, "orderId"), 1001);
    assert_string_equal(S(j, "avgPrice"), "0.00000");
    assert_string_equal(S(j, "cumQuote"), "0");
    j = done(f, "alice", NET_GET, F1 "openOrders", "symbol=BTCUSDT");
    assert_int_equal(count(j), 1);
    assert_int_equal(I(at(j, 0), "orderId"), 1001);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "symbol=ETHUSDT")), 0);
    assert_int_equal(count(done(f, "bob", NET_GET, F1 "openOrders", "")), 0);

    refused(f, "bob", NET_DELETE, order, "symbol=BTCUSDT&orderId=1001", -2011);
    refused(f, "alice", NET_DELETE, order, "symbol=ETHUSDT&orderId=1001", -2011);
    j = done(f, "alice", NET_DELETE, order, "symbol=BTCUSDT&origClientOrderId=c-1");
    assert_string_equal(S(j, "status"), "CANCELED");
    assert_string_equal(S(j, "activatePrice"), "0");
    assert_string_equal(S(j, "priceRate"), "0");
    assert_null(json_object_get(j, "avgPrice"));
    assert_string_equal(
        refused(f, "alice", NET_DELETE, order, "symbol=BTCUSDT&orderId=1001", -2011),
        "Unknown order sent.");
    refused(f, "alice", NET_GET, F1 "openOrder", "symbol=BTCUSDT&orderId=1001", -2013);
    j = done(f, "alice", NET_GET, order, "symbol=BTCUSDT&orderId=1001&origClientOrderId=other");
    assert_string_equal(S(j, "status"), "CANCELED");
    assert_string_equal(refused(f, "alice", NET_GET, order, "symbol=BTCUSDT&orderId=7", -2013),
                        "Order does not exist.");
}

static void all_orders_come_ascending_in_their_window(void **state) {
    struct fixture *f = fix(state);
    int64_t first_ms = f->now_ns / NS_PER_MS;
    limit_order(f, "alice", "BUY", "0.01", "60000");
    pass(f, NS_PER_MINUTE);
    limit_order(f, "alice", "BUY", "0.01", "60001");
    limit_order(f, "alice", "BUY", "0.01", "60002");
    json_t *j = done(f, "alice", NET_GET, F1 "allOrders", "symbol=BTCUSDT");
    assert_int_equal(count(j), 3);
    assert_int_equal(I(at(j, 0), "orderId"), 1001);
    assert_int_equal(I(at(j, 2), "orderId"), 1003);
    j = done(f, "alice", NET_GET, F1 "allOrders", "symbol=BTCUSDT&limit=2");
    assert_int_equal(I(at(j, 0), "orderId"), 1002);
    j = done(f, "alice", NET_GET, F1 "allOrders", "symbol=BTCUSDT&orderId=1002&limit=1");
    assert_int_equal(count(j), 1);
    assert_int_equal(I(at(j, 0), "orderId"), 1002);
    j = done(f, "alice", NET_GET, F1 "allOrders",
             with("symbol=BTCUSDT&startTime=%lld&endTime=%lld", (long long)first_ms,
                  (long long)first_ms));
    assert_int_equal(count(j), 1);
    refused(f, "alice", NET_GET, F1 "allOrders", "symbol=BTCUSDT&startTime=5&endTime=4", -1023);
    assert_string_equal(refused(f, "alice", NET_GET, F1 "allOrders",
                                "symbol=BTCUSDT&startTime=1&endTime=700000000", -4165),
                        "Maximum time interval is 7 days");
    refused(f, "alice", NET_GET, F1 "allOrders", "symbol=BTCUSDT&limit=1001", -1130);
    refused(f, "alice", NET_GET, F1 "allOrders", "", -1102);
}

static void cancel_all_touches_one_contract_and_no_algo(void **state) {
    struct fixture *f = fix(state);
    limit_order(f, "alice", "BUY", "0.01", "60000");
    limit_order(f, "alice", "SELL", "0.01", "70000");
    done(f, "alice", NET_POST, order,
         "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=3400");
    done(f, "alice", NET_POST, F1 "algoOrder",
         "algoType=CONDITIONAL&symbol=BTCUSDT&side=BUY&type=STOP_MARKET&quantity=0.01"
         "&triggerPrice=70000&workingType=MARK_PRICE");
    json_t *j = done(f, "alice", NET_DELETE, F1 "allOpenOrders", "symbol=BTCUSDT");
    assert_int_equal(I(j, "code"), 200);
    assert_string_equal(S(j, "msg"), "The operation of cancel all open order is done.");
    j = done(f, "alice", NET_GET, F1 "openOrders", "");
    assert_int_equal(count(j), 1);
    assert_string_equal(S(at(j, 0), "symbol"), "ETHUSDT");
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openAlgoOrders", "")), 1);
}

static void countdown_cancels_when_it_is_not_renewed(void **state) {
    struct fixture *f = fix(state);
    limit_order(f, "alice", "BUY", "0.01", "60000");
    json_t *j =
        done(f, "alice", NET_POST, F1 "countdownCancelAll", "symbol=BTCUSDT&countdownTime=10000");
    assert_string_equal(S(j, "countdownTime"), "10000");
    assert_string_equal(S(j, "symbol"), "BTCUSDT");
    pass(f, 9 * NS_PER_SECOND);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 1);
    done(f, "alice", NET_POST, F1 "countdownCancelAll", "symbol=BTCUSDT&countdownTime=0");
    pass(f, 9 * NS_PER_SECOND);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 1);
    done(f, "alice", NET_POST, F1 "countdownCancelAll", "symbol=BTCUSDT&countdownTime=1000");
    pass(f, NS_PER_SECOND);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 0);
    refused(f, "alice", NET_POST, F1 "countdownCancelAll", "symbol=BTCUSDT", -1102);
    refused(f, "alice", NET_POST, F1 "countdownCancelAll",
            "symbol=BTCUSDT&countdownTime=99999999999", -1130);
}

static void amendment_moves_the_order_and_is_remembered(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, order, LIMIT "&newClientOrderId=c-1");
    json_t *j = done(f, "alice", NET_PUT, order,
                     "symbol=BTCUSDT&side=BUY&orderId=1001&quantity=0.02&price=66000&modifyId=9");
    assert_string_equal(S(j, "price"), "66000.0");
    assert_string_equal(S(j, "origQty"), "0.020");
    assert_string_equal(S(j, "pair"), "BTCUSDT");
    assert_int_equal(I(j, "modifyId"), 9);
    done(f, "alice", NET_PUT, order,
         "symbol=BTCUSDT&side=BUY&origClientOrderId=c-1&quantity=0.02&price=66001");
    j = done(f, "alice", NET_GET, F1 "orderAmendment", "symbol=BTCUSDT&origClientOrderId=c-1");
    assert_int_equal(count(j), 2);
    json_t *change = member(at(j, 0), "amendment");
    assert_string_equal(S(member(change, "price"), "before"), "67000.0");
    assert_string_equal(S(member(change, "price"), "after"), "66000.0");
    assert_string_equal(S(member(change, "origQty"), "before"), "0.010");
    assert_string_equal(S(member(change, "origQty"), "after"), "0.020");
    assert_int_equal(I(change, "count"), 1);
    assert_int_equal(I(at(j, 0), "orderId"), 1001);
    assert_string_equal(S(at(j, 0), "clientOrderId"), "c-1");
    assert_int_equal(I(member(at(j, 1), "amendment"), "count"), 2);
    refused(f, "alice", NET_GET, F1 "orderAmendment", "symbol=BTCUSDT&origClientOrderId=no", -2013);
}

static void amendment_refusals(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, order, LIMIT);
#define AMEND "symbol=BTCUSDT&side=BUY&orderId=1001"
    static const struct {
        const char *params;
        int32_t code;
    } rows[] = {
        {AMEND "&quantity=0.010&price=67000", -5027},
        {AMEND "&quantity=0.010", -1102},
        {AMEND "&price=66000", -1102},
        {AMEND "&quantity=0.010&price=66000&priceMatch=QUEUE", -1106},
        {AMEND "&quantity=0.020&priceMatch=OPPONENT", -5041},
        {AMEND "&quantity=0.020&priceMatch=BEST", -5037},
        {AMEND "&quantity=0.010&price=66000.05", -1111},
        {AMEND "&quantity=0.010&price=66000&reduceOnly=true", -5047},
        {AMEND "&quantity=0.010&price=66000&reduceOnly=maybe", -1130},
        {"symbol=BTCUSDT&side=SELL&orderId=1001&quantity=0.02&price=66000", -1117},
        {"symbol=BTCUSDT&side=BUY&orderId=77&quantity=0.02&price=66000", -2013},
        {"symbol=BTCUSDT&side=BUY&quantity=0.02&price=66000", -1102},
        {AMEND "&quantity=0.001&price=46000", -5029},
        {AMEND "&quantity=0.010&price=72000", -4016},
        {AMEND "&quantity=2000&price=66000", -4005},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(f, "alice", NET_PUT, order, rows[i].params, rows[i].code);
    done(f, "alice", NET_POST, order,
         "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=3400");
    assert_string_equal(refused(f, "alice", NET_PUT, order,
                                "symbol=ETHUSDT&side=BUY&orderId=1002&quantity=0.005&price=3400",
                                -5029),
                        "Order's notional must be no smaller than 20");
}

/* Every refusal that parameters alone can earn, and those of the exchange behind them. */
#define HEAD  "symbol=BTCUSDT&side=BUY&"
#define LIM   HEAD "type=LIMIT&timeInForce=GTC&"
#define PRICE "quantity=0.010&price=67000"
static const struct {
    const char *params;
    int32_t code;
} refusals[] = {
    {"side=BUY&type=MARKET&quantity=1", -1102},
    {"symbol=&side=BUY&type=MARKET&quantity=1", -1102},
    {"symbol=NOSUCH&side=BUY&type=MARKET&quantity=1", -1121},
    {"symbol=BTCUSDT&type=MARKET&quantity=1", -1102},
    {"symbol=BTCUSDT&side=LONG&type=MARKET&quantity=1", -1117},
    {HEAD "quantity=1", -1102},
    {HEAD "type=ICEBERG&quantity=1", -1116},
    {HEAD "type=MARKET", -1102},
    {HEAD "type=MARKET&quantity=", -1105},
    {HEAD "type=MARKET&quantity=1e-3", -1100},
    {HEAD "type=MARKET&quantity=-1", -1100},
    {HEAD "type=MARKET&quantity=1.", -1100},
    {HEAD "type=MARKET&quantity=0.0001", -1111},
    {HEAD "type=MARKET&quantity=0.000000000001", -1111},
    {HEAD "type=MARKET&quantity=0", -4003},
    {HEAD "type=MARKET&quantity=121", -4005},
    {HEAD "type=MARKET&quantity=99999999999999999999", -4005},
    {HEAD "type=MARKET&quantity=1&price=68000", -1106},
    {HEAD "type=MARKET&quantity=1&timeInForce=GTC", -1106},
    {HEAD "type=MARKET&quantity=1&priceMatch=QUEUE", -5038},
    {HEAD "type=MARKET&quantity=1&stopPrice=68000", -1106},
    {HEAD "type=MARKET&quantity=1&closePosition=true", -1106},
    {HEAD "type=MARKET&quantity=1&reduceOnly=true", -2022},
    {HEAD "type=MARKET&quantity=100", -2019},
    {HEAD "type=LIMIT&quantity=0.01&price=67000", -1102},
    {HEAD "type=LIMIT&timeInForce=RPI&" PRICE, -1115},
    {HEAD "type=LIMIT&timeInForce=GTE_GTC&" PRICE, -1115},
    {LIM "quantity=0.01", -1102},
    {LIM PRICE "&priceMatch=QUEUE", -1106},
    {LIM "quantity=0.01&priceMatch=FAR", -5037},
    {LIM "quantity=0.01&priceMatch=OPPONENT_20", -5041},
    {LIM PRICE "&selfTradePreventionMode=BOTH", -5039},
    {LIM PRICE "&workingType=LAST", -4031},
    {LIM PRICE "&positionSide=UP", -4060},
    {LIM PRICE "&positionSide=LONG", -4061},
    {LIM PRICE "&newOrderRespType=FULL", -1136},
    {LIM PRICE "&newClientOrderId=", -1118},
    {LIM PRICE "&newClientOrderId=a%20b", -4015},
    {LIM PRICE "&newClientOrderId=a123456789b123456789c123456789d123456", -4015},
    {LIM PRICE "&reduceOnly=1", -1130},
    {LIM PRICE "&goodTillDate=1800000000000", -1106},
    {LIM "quantity=0.01&price=67000.05", -1111},
    {LIM "quantity=0.01&price=0", -4001},
    {LIM "quantity=0.01&price=500", -4013},
    {LIM "quantity=0.01&price=4529765", -4002},
    {LIM "quantity=0.01&price=99999999999999999999", -4002},
    {LIM "quantity=0.01&price=72000", -4016},
    {LIM "quantity=0.001&price=40000", -4164}, /* in the band of a buy, which has no floor */
    {LIM "quantity=0&price=67000", -4003},
    {LIM "quantity=1001&price=67000", -4005},
    {LIM "quantity=900&price=67000", -2019},
    {"symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000", -4024},
    {HEAD "type=LIMIT&timeInForce=GTX&quantity=0.01&price=68010", -5022},
    {HEAD "type=LIMIT&timeInForce=FOK&quantity=5&price=68020", -5021},
    {HEAD "type=LIMIT&timeInForce=GTD&" PRICE, -1102},
    {HEAD "type=LIMIT&timeInForce=GTD&goodTillDate=1700000600000&" PRICE, -5040},
    {HEAD "type=LIMIT&timeInForce=GTD&goodTillDate=253402300799000&" PRICE, -5040},
    {HEAD "type=STOP_MARKET&quantity=0.01&stopPrice=70000", -4120},
    {HEAD "type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=1", -4120},
    {HEAD "type=STOP&quantity=0.01&stopPrice=70000&price=70000&timeInForce=GTC", -4120},
    {HEAD "type=TAKE_PROFIT_MARKET&quantity=0.01", -4120},
};

static void placement_refusals(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refused(f, "alice", NET_POST, order, refusals[i].params, refusals[i].code);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "allOrders", "symbol=BTCUSDT")), 0);
}

static void refusals_of_room_and_leverage(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=150");
    refused(f, "alice", NET_POST, order, LIM "quantity=10&price=67000", -2027);
    for (int i = 0; i < 200; i++)
        done(f, "alice", NET_POST, order, LIM "quantity=0.001&price=66000");
    refused(f, "alice", NET_POST, order, LIM "quantity=0.001&price=66000", -2025);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 200);
}

static void refusals_name_what_they_are_about(void **state) {
    struct fixture *f = fix(state);
    assert_string_equal(
        refused(f, "alice", NET_POST, order, "symbol=BTCUSDT&side=BUY&type=MARKET", -1102),
        "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.");
    assert_string_equal(refused(f, "alice", NET_GET, order, "symbol=BTCUSDT", -1102),
                        "Param 'origClientOrderId' or 'orderId' must be sent, but both were "
                        "empty/null!");
    assert_string_equal(
        refused(f, "alice", NET_POST, order, HEAD "type=MARKET&quantity=1&timeInForce=IOC", -1106),
        "Parameter 'timeinforce' sent when not required.");
    assert_string_equal(refused(f, "alice", NET_POST, order, HEAD "type=MARKET&quantity=x", -1100),
                        "Illegal characters found in parameter 'quantity'; legal range is "
                        "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'.");
    assert_string_equal(refused(f, "alice", NET_POST, order, LIM PRICE "&workingType=X", -4031),
                        "Invalid parameter working type: X");
    assert_string_equal(
        refused(f, "alice", NET_POST, order, LIM "quantity=0.001&price=40000", -4164),
        "Order's notional must be no smaller than 50 (unless you choose reduce only)");
    assert_string_equal(refused(f, "alice", NET_POST, order,
                                LIM PRICE "&newClientOrderId=a123456789b123456789c123456789d123456",
                                -4015),
                        "Client order id length should not be more than 36 chars");
}

static void duplicate_client_id_is_refused_while_open(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, order, LIMIT "&newClientOrderId=twin");
    refused(f, "alice", NET_POST, order, LIMIT "&newClientOrderId=twin", -4116);
    done(f, "bob", NET_POST, order, LIMIT "&newClientOrderId=twin");
    done(f, "alice", NET_DELETE, order, "symbol=BTCUSDT&orderId=1001");
    done(f, "alice", NET_POST, order, LIMIT "&newClientOrderId=twin");
    json_t *j = done(f, "alice", NET_GET, order, "symbol=BTCUSDT&origClientOrderId=twin");
    assert_int_equal(I(j, "orderId"), 1003); /* the newest of that name */
}

static void unknown_parameters_are_tolerated(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, order, LIMIT "&useV2=true&strategy=7&stopLossPrice=1");
}

static void good_till_date_is_kept(void **state) {
    struct fixture *f = fix(state);
    int64_t till = f->now_ns / NS_PER_MS + 700123;
    json_t *j = done(f, "alice", NET_POST, order,
                     with("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTD&quantity=0.01"
                          "&price=60000&goodTillDate=%lld",
                          (long long)till));
    assert_int_equal(I(j, "goodTillDate"), till / 1000 * 1000);
    pass(f, 701 * NS_PER_SECOND);
    j = done(f, "alice", NET_GET, order, "symbol=BTCUSDT&orderId=1001");
    assert_string_equal(S(j, "status"), "EXPIRED");
}

static void price_match_takes_the_books_price(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    json_t *j = done(f, "alice", NET_POST, order, LIM "quantity=0.01&priceMatch=QUEUE");
    assert_string_equal(S(j, "price"), "67990.0");
    assert_string_equal(S(j, "priceMatch"), "QUEUE");
}

/* ---- batches ---- */

static void batch_answers_each_in_its_place(void **state) {
    struct fixture *f = fix(state);
    static const char raw[] =
        "batchOrders=[{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":"
        "\"0.01\",\"price\":\"60000\",\"timeInForce\":\"GTC\",\"newClientOrderId\":\"b1\"},"
        "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"STOP_MARKET\",\"quantity\":\"0.01\"},"
        "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":0.01,\"price\":"
        "60001,\"timeInForce\":\"GTC\",\"reduceOnly\":false},5,"
        "{\"side\":\"BUY\"}]";
    json_t *j = done(f, "alice", NET_POST, F1 "batchOrders", raw);
    assert_int_equal(count(j), 5);
    assert_string_equal(S(at(j, 0), "clientOrderId"), "b1");
    assert_int_equal(I(at(j, 1), "code"), -4120);
    assert_string_equal(S(at(j, 2), "price"), "60001.0");
    assert_int_equal(I(at(j, 3), "code"), -1130);
    assert_int_equal(I(at(j, 4), "code"), -1102);
    assert_non_null(strstr(S(at(j, 4), "msg"), "'symbol'"));
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 2);

    char encoded[2048] = "batchOrders=";
    wire_percent_encode(encoded + 12, sizeof encoded - 12,
                        "[{\"orderId\":1001,\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"quantity\":"
                        "\"0.02\",\"price\":\"60002\"},{\"orderId\":9,\"symbol\":\"BTCUSDT\","
                        "\"side\":\"BUY\",\"quantity\":\"0.02\",\"price\":\"60002\"}]",
                        strlen("[{\"orderId\":1001,\"symbol\":\"BTCUSDT\",\"side\":\"BUY\","
                               "\"quantity\":\"0.02\",\"price\":\"60002\"},{\"orderId\":9,"
                               "\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"quantity\":\"0.02\","
                               "\"price\":\"60002\"}]"));
    j = done(f, "alice", NET_PUT, F1 "batchOrders", encoded);
    assert_string_equal(S(at(j, 0), "price"), "60002.0");
    assert_int_equal(I(at(j, 1), "code"), -2013);
}

static void batch_of_too_many_does_nothing(void **state) {
    struct fixture *f = fix(state);
#define ONE                                                                                        \
    "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":\"0.01\","           \
    "\"price\":\"60000\",\"timeInForce\":\"GTC\"}"
    assert_string_equal(refused(f, "alice", NET_POST, F1 "batchOrders",
                                "batchOrders=[" ONE "," ONE "," ONE "," ONE "," ONE "," ONE "]",
                                -4082),
                        "Invalid number of batch place orders: 6");
    refused(f, "alice", NET_POST, F1 "batchOrders", "batchOrders=[]", -4082);
    refused(f, "alice", NET_POST, F1 "batchOrders", "batchOrders={}", -1102);
    refused(f, "alice", NET_POST, F1 "batchOrders", "batchOrders=[" ONE, -1102);
    refused(f, "alice", NET_POST, F1 "batchOrders", "", -1102);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 0);
}

static void batch_cancel_takes_all_spellings(void **state) {
    struct fixture *f = fix(state);
    for (int i = 0; i < 8; i++)
        done(f, "alice", NET_POST, order, with(LIMIT "&newClientOrderId=id%d", i));
    const char *path = F1 "batchOrders";
    json_t *j = done(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&orderIdList=[1001,1001]");
    assert_string_equal(S(at(j, 0), "status"), "CANCELED");
    assert_int_equal(I(at(j, 1), "code"), -2011);
    j = done(f, "alice", NET_DELETE, path,
             "symbol=BTCUSDT&orderIdList=%5B%221002%22%2C%221003%22%5D");
    assert_int_equal(I(at(j, 1), "orderId"), 1003);
    j = done(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&orderidlist=%5B1004%5D");
    assert_string_equal(S(at(j, 0), "status"), "CANCELED");
    j = done(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&origClientOrderIdList=[\"id4\"]");
    assert_int_equal(I(at(j, 0), "orderId"), 1005);
    j = done(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&origclientorderidlist=[\"id5\"]");
    assert_int_equal(I(at(j, 0), "orderId"), 1006);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 2);
    refused(f, "alice", NET_DELETE, path, "symbol=BTCUSDT", -1102);
    refused(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&orderIdList=[\"x\"]", -1130);
    refused(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&orderIdList=[1,2,3,4,5,6,7,8,9,10,11]",
            -4032);
    refused(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&origClientOrderIdList=[\"a b\"]", -1130);
    refused(f, "alice", NET_DELETE, path, "symbol=BTCUSDT&origClientOrderIdList=[]", -1130);
}

/* ---- conditional orders by the old door ---- */

static int classic_open(void **state) {
    return fixture_make(state, MARKET_PURE, true);
}

static void classic_door_takes_conditional_orders(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_POST, order,
                     HEAD "type=STOP_MARKET&quantity=0.01&stopPrice=70000&workingType=MARK_PRICE");
    assert_string_equal(S(j, "type"), "STOP_MARKET");
    assert_string_equal(S(j, "stopPrice"), "70000.0");
    assert_string_equal(S(j, "status"), "NEW");
    assert_string_equal(S(j, "workingType"), "MARK_PRICE");
    int64_t id = I(j, "orderId");
    j = done(f, "alice", NET_GET, F1 "openOrders", "symbol=BTCUSDT");
    assert_int_equal(count(j), 1);
    assert_int_equal(I(at(j, 0), "orderId"), id);
    j = done(f, "alice", NET_GET, order, with("symbol=BTCUSDT&orderId=%lld", (long long)id));
    assert_string_equal(S(j, "origType"), "STOP_MARKET");
    refused(f, "alice", NET_POST, order, HEAD "type=STOP_MARKET&quantity=0.01", -1102);
    refused(f, "alice", NET_POST, order, HEAD "type=TRAILING_STOP_MARKET&quantity=0.01", -1102);
    refused(f, "alice", NET_POST, order,
            HEAD "type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=25", -1130);
    refused(f, "alice", NET_POST, order,
            HEAD "type=STOP_MARKET&quantity=0.01&closePosition=true&stopPrice=70000", -4137);
    j = done(f, "alice", NET_DELETE, order, with("symbol=BTCUSDT&orderId=%lld", (long long)id));
    assert_string_equal(S(j, "status"), "CANCELED");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_PURE(ack_has_the_shape_of_today),
        TEST_PURE(ack_can_carry_the_average_as_before),
        TEST_PURE(ack_is_new_and_result_is_final),
        TEST_PURE(test_order_is_checked_and_not_sent),
        TEST_PURE(order_is_found_and_canceled_by_either_id),
        TEST_PURE(all_orders_come_ascending_in_their_window),
        TEST_PURE(cancel_all_touches_one_contract_and_no_algo),
        TEST_PURE(countdown_cancels_when_it_is_not_renewed),
        TEST_PURE(amendment_moves_the_order_and_is_remembered),
        TEST_PURE(amendment_refusals),
        TEST_PURE(placement_refusals),
        TEST_PURE(refusals_of_room_and_leverage),
        TEST_PURE(refusals_name_what_they_are_about),
        TEST_PURE(duplicate_client_id_is_refused_while_open),
        TEST_PURE(unknown_parameters_are_tolerated),
        TEST_PURE(good_till_date_is_kept),
        TEST_PURE(price_match_takes_the_books_price),
        TEST_PURE(batch_answers_each_in_its_place),
        TEST_PURE(batch_of_too_many_does_nothing),
        TEST_PURE(batch_cancel_takes_all_spellings),
        cmocka_unit_test_setup_teardown(classic_door_takes_conditional_orders, classic_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
