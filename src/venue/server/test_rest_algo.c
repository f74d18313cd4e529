/* Conditional orders through the door of requests: shapes, refusals, a whole life. */
#include "venue/server/test_rest.h"

static const char algo[] = F1 "algoOrder";
#define HEAD "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&"
#define STOP HEAD "type=STOP_MARKET&quantity=0.010&triggerPrice=66000"

static void answer_has_the_documented_shape(void **state) {
    struct fixture *f = fix(state);
    json_t *j =
        done(f, "alice", NET_POST, algo,
             HEAD "type=STOP&quantity=0.010&price=65900&triggerPrice=66000&clientAlgoId=a1");
    assert_int_equal(I(j, "algoId"), 5001);
    assert_string_equal(S(j, "clientAlgoId"), "a1");
    assert_string_equal(S(j, "algoType"), "CONDITIONAL");
    assert_string_equal(S(j, "orderType"), "STOP");
    assert_string_equal(S(j, "symbol"), "BTCUSDT");
    assert_string_equal(S(j, "side"), "SELL");
    assert_string_equal(S(j, "positionSide"), "BOTH");
    assert_string_equal(S(j, "timeInForce"), "GTC");
    assert_string_equal(S(j, "quantity"), "0.010");
    assert_string_equal(S(j, "algoStatus"), "NEW");
    assert_string_equal(S(j, "triggerPrice"), "66000.0");
    assert_string_equal(S(j, "price"), "65900.0");
    assert_int_equal(json_typeof(member(j, "icebergQuantity")), JANSSON_NULL);
    assert_string_equal(S(j, "selfTradePreventionMode"), "EXPIRE_MAKER");
    assert_string_equal(S(j, "workingType"), "CONTRACT_PRICE");
    assert_string_equal(S(j, "priceMatch"), "NONE");
    assert_false(B(j, "closePosition") || B(j, "priceProtect") || B(j, "reduceOnly"));
    assert_string_equal(S(j, "activatePrice"), "");
    assert_string_equal(S(j, "callbackRate"), "");
    assert_int_equal(I(j, "createTime"), f->now_ns / NS_PER_MS);
    assert_int_equal(I(j, "triggerTime"), 0);
    assert_int_equal(I(j, "goodTillDate"), 0);
    assert_int_equal(json_object_size(j), 25);

    j = done(f, "alice", NET_GET, algo, "symbol=BTCUSDT&clientAlgoId=a1");
    assert_int_equal(I(j, "algoId"), 5001);
    assert_string_equal(S(j, "actualOrderId"), "");
    assert_string_equal(S(j, "actualPrice"), "0.00000");
    assert_string_equal(S(j, "actualType"), "");
    assert_string_equal(S(j, "actualQty"), "");
    assert_string_equal(S(j, "tpOrderType"), "");
    assert_int_equal(json_object_size(j), 30);
}

static void trailing_takes_both_names_of_its_start(void **state) {
    struct fixture *f = fix(state);
    json_t *j = done(f, "alice", NET_POST, algo,
                     HEAD "type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=1.5"
                          "&activationPrice=69000&workingType=MARK_PRICE");
    assert_string_equal(S(j, "activatePrice"), "69000.0");
    assert_string_equal(S(j, "callbackRate"), "1.5");
    assert_string_equal(S(j, "triggerPrice"), "");
    j = done(f, "alice", NET_POST, algo,
             HEAD "type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=20&activatePrice=69500"
                  "&workingType=MARK_PRICE");
    assert_string_equal(S(j, "activatePrice"), "69500.0");
    assert_string_equal(S(j, "callbackRate"), "20.0");
    j = done(f, "alice", NET_POST, algo,
             HEAD
             "type=TRAILING_STOP_MARKET&quantity=0.01&callbackRate=0.1&workingType=MARK_PRICE");
    assert_string_equal(S(j, "activatePrice"), "68000.0"); /* the price as it stands */
}

static void refusals(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
#define MARK  "&workingType=MARK_PRICE"
#define TRAIL HEAD "type=TRAILING_STOP_MARKET&quantity=0.01"
    static const struct {
        const char *params;
        int32_t code;
    } rows[] = {
        {"symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&triggerPrice=66000", -1102},
        {"algoType=VP&symbol=BTCUSDT&side=SELL&type=STOP_MARKET", -1130},
        {"algoType=CONDITIONAL&side=SELL&type=STOP_MARKET", -1102},
        {HEAD "quantity=1", -1102},
        {HEAD "type=LIMIT&quantity=1&price=1", -1116},
        {HEAD "type=NONE&quantity=1&price=1", -1116},
        {HEAD "type=STOP_MARKET&triggerPrice=66000", -1102},
        {HEAD "type=STOP_MARKET&quantity=0.01", -1102},
        {HEAD "type=STOP_MARKET&quantity=0.01&stopPrice=66000", -1102}, /* the old name */
        {HEAD "type=STOP_MARKET&quantity=0.01&triggerPrice=66000.05", -1111},
        {HEAD "type=STOP_MARKET&quantity=0.0001&triggerPrice=66000", -1111},
        {HEAD "type=STOP_MARKET&quantity=0.01&triggerPrice=0", -4006},
        {HEAD "type=STOP_MARKET&quantity=0.01&triggerPrice=9999999", -4007},
        {HEAD "type=STOP_MARKET&quantity=0.01&triggerPrice=99999999999999999999", -4007},
        {HEAD "type=STOP_MARKET&quantity=0.01&triggerPrice=69000" MARK, -2021},
        {HEAD "type=TAKE_PROFIT_MARKET&quantity=0.01&triggerPrice=67000" MARK, -2021},
        {STOP "&price=1", -1106},
        {STOP "&priceMatch=QUEUE", -5038},
        {STOP "&callbackRate=1", -1106},
        {STOP "&activatePrice=66000", -1106},
        {STOP "&closePosition=true", -4137},
        {STOP "&timeInForce=GTD", -1102},
        {STOP "&workingType=LAST", -4031},
        {STOP "&priceProtect=perhaps", -1130},
        {STOP "&clientAlgoId=a%26b", -4015},
        {STOP "&positionSide=LONG", -4061},
        {HEAD "type=STOP_MARKET&triggerPrice=66000&closePosition=true&reduceOnly=true", -1106},
        {HEAD "type=STOP&triggerPrice=66000&closePosition=true&price=66000", -1106},
        {HEAD "type=STOP&quantity=0.01&triggerPrice=66000", -1102},
        {HEAD "type=STOP&quantity=0.01&triggerPrice=66000&price=66000&priceMatch=QUEUE", -1106},
        {HEAD "type=STOP&quantity=0.01&triggerPrice=66000&price=60000", -4184},
        {TRAIL, -1102},
        {TRAIL "&callbackRate=0.05", -1130},
        {TRAIL "&callbackRate=20.1", -1130},
        {TRAIL "&callbackRate=1&triggerPrice=69000", -1106},
        {TRAIL "&callbackRate=1&activatePrice=0", -4135},
        {TRAIL "&callbackRate=1&closePosition=true", -1106},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(f, "alice", NET_POST, algo, rows[i].params, rows[i].code);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openAlgoOrders", "")), 0);
    done(f, "alice", NET_POST, algo, STOP "&clientAlgoId=twin");
    refused(f, "alice", NET_POST, algo, STOP "&clientAlgoId=twin", -4116);
    for (int i = 1; i < 200; i++) done(f, "alice", NET_POST, algo, STOP);
    refused(f, "alice", NET_POST, algo, STOP, -4045);
}

static void cancel_answers_with_a_text_or_a_number(void **state) {
    struct fixture *f = fix(state);
    done(f, "alice", NET_POST, algo, STOP MARK "&clientAlgoId=a1");
    refused(f, "bob", NET_DELETE, algo, "algoId=5001", -2011);
    json_t *j = done(f, "alice", NET_DELETE, algo, "symbol=BTCUSDT&algoId=5001");
    assert_int_equal(I(j, "algoId"), 5001);
    assert_string_equal(S(j, "clientAlgoId"), "a1");
    assert_string_equal(S(j, "code"), "200");
    assert_string_equal(S(j, "msg"), "success");
    refused(f, "alice", NET_DELETE, algo, "algoId=5001", -2011);
    refused(f, "alice", NET_DELETE, algo, "symbol=BTCUSDT", -1102);
    refused(f, "alice", NET_GET, algo, "algoId=77", -2013);
    j = done(f, "alice", NET_GET, algo, "algoId=5001");
    assert_string_equal(S(j, "algoStatus"), "CANCELED");

    done(f, "alice", NET_POST, algo, STOP MARK "&clientAlgoId=a2");
    done(f, "alice", NET_DELETE, algo, "clientAlgoId=a2");
    done(f, "alice", NET_POST, algo, STOP MARK);
    done(f, "alice", NET_POST, algo, STOP MARK);
    limit_order(f, "alice", "BUY", "0.01", "60000");
    j = done(f, "alice", NET_DELETE, F1 "algoOpenOrders", "symbol=BTCUSDT");
    assert_int_equal(I(j, "code"), 200);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openAlgoOrders", "")), 0);
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openOrders", "")), 1);
    refused(f, "alice", NET_DELETE, F1 "algoOpenOrders", "", -1102);
}

static void lists_filter_by_contract_and_id(void **state) {
    struct fixture *f = fix(state);
    for (int i = 0; i < 3; i++) done(f, "alice", NET_POST, algo, STOP MARK);
    done(f, "alice", NET_POST, algo,
         "algoType=CONDITIONAL&symbol=ETHUSDT&side=SELL&type=STOP_MARKET&quantity=0.1"
         "&triggerPrice=3300" MARK);
    done(f, "alice", NET_DELETE, algo, "algoId=5002");
    json_t *j = done(f, "alice", NET_GET, F1 "openAlgoOrders", "symbol=BTCUSDT");
    assert_int_equal(count(j), 2);
    assert_int_equal(I(at(j, 0), "algoId"), 5001);
    S(at(j, 0), "tpTriggerPrice");
    S(at(j, 0), "slPrice");
    assert_string_equal(S(at(j, 0), "actualOrderId"), "");
    assert_int_equal(count(done(f, "alice", NET_GET, F1 "openAlgoOrders", "")), 3);
    j = done(f, "alice", NET_GET, F1 "openAlgoOrders", "algoId=5003&algoType=CONDITIONAL");
    assert_int_equal(count(j), 1);
    refused(f, "alice", NET_GET, F1 "openAlgoOrders", "algoType=VP", -1130);
    j = done(f, "alice", NET_GET, F1 "allAlgoOrders", "symbol=BTCUSDT");
    assert_int_equal(count(j), 3);
    assert_string_equal(S(at(j, 1), "algoStatus"), "CANCELED");
    j = done(f, "alice", NET_GET, F1 "allAlgoOrders", "symbol=BTCUSDT&algoId=5002&limit=1");
    assert_int_equal(I(at(j, 0), "algoId"), 5002);
    refused(f, "alice", NET_GET, F1 "allAlgoOrders", "", -1102);
    refused(f, "alice", NET_GET, F1 "allAlgoOrders", "symbol=BTCUSDT&startTime=1&endTime=900000000",
            -4165);
    assert_int_equal(count(done(f, "bob", NET_GET, F1 "allAlgoOrders", "symbol=BTCUSDT")), 0);
}

/* NEW, fired by a trade, child filled: FINISHED with what it did. */
static void stop_lives_and_fires(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    json_t *j = done(f, "alice", NET_POST, algo,
                     HEAD "type=STOP_MARKET&triggerPrice=67985&closePosition=true&clientAlgoId=sl");
    assert_true(B(j, "closePosition"));
    assert_string_equal(S(j, "quantity"), "0.000");
    assert_string_equal(S(done(f, "alice", NET_GET, algo, "clientAlgoId=sl"), "algoStatus"), "NEW");
    /* bob sells to bob's own bids? no: eve sells through 67990 down to 67980 */
    done(f, "eve", NET_POST, F1 "order",
         "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=67990");
    done(f, "bob", NET_DELETE, F1 "allOpenOrders", "symbol=BTCUSDT");
    limit_order(f, "bob", "BUY", "5", "67980");
    done(f, "eve", NET_POST, F1 "order",
         "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=67980");
    pass(f, NS_PER_SECOND);
    j = done(f, "alice", NET_GET, algo, "clientAlgoId=sl");
    assert_string_equal(S(j, "algoStatus"), "FINISHED");
    assert_string_equal(S(j, "actualType"), "MARKET");
    assert_string_equal(S(j, "actualPrice"), "67980.00000");
    assert_string_equal(S(j, "actualQty"), "0.100");
    assert_true(I(j, "triggerTime") >= 1700000001000);
    /* The child is an ordinary order, named after the conditional one. */
    json_t *child = done(f, "alice", NET_GET, F1 "order",
                         with("symbol=BTCUSDT&orderId=%s", S(j, "actualOrderId")));
    assert_string_equal(S(child, "clientOrderId"), "sl");
    assert_string_equal(S(child, "type"), "MARKET");
    assert_string_equal(S(child, "origType"), "STOP_MARKET");
    assert_string_equal(S(child, "status"), "FILLED");
    refused(f, "alice", NET_DELETE, algo, "clientAlgoId=sl", -2011);
    assert_int_equal(count(done(f, "alice", NET_GET, F3 "positionRisk", "")), 0);
}

static void trailing_child_tells_its_rate(void **state) {
    struct fixture *f = fix(state);
    make_book(f);
    done(f, "alice", NET_POST, F1 "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    done(f, "alice", NET_POST, algo,
         HEAD "type=TRAILING_STOP_MARKET&quantity=0.1&reduceOnly=true&callbackRate=0.1"
              "&clientAlgoId=tr&workingType=MARK_PRICE&activatePrice=68100");
    static const int64_t marks[] = {68200, 68000};
    for (size_t i = 0; i < 2; i++) {
        struct exchange_input in = {
            .kind = EXI_MARK, .price = {marks[i] * FX_ONE}, .price2 = {marks[i] * FX_ONE}};
        struct exchange_reply reply;
        world_do(f->world, &in, f->now_ns, &reply);
    }
    json_t *j = done(f, "alice", NET_GET, algo, "clientAlgoId=tr");
    assert_string_equal(S(j, "algoStatus"), "FINISHED");
    j = done(f, "alice", NET_GET, F1 "order",
             with("symbol=BTCUSDT&orderId=%s", S(j, "actualOrderId")));
    assert_string_equal(S(j, "origType"), "TRAILING_STOP_MARKET");
    assert_string_equal(S(j, "priceRate"), "0.1");
    assert_string_equal(S(j, "activatePrice"), "68100.0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_PURE(answer_has_the_documented_shape),
        TEST_PURE(trailing_takes_both_names_of_its_start),
        TEST_PURE(refusals),
        TEST_PURE(cancel_answers_with_a_text_or_a_number),
        TEST_PURE(lists_filter_by_contract_and_id),
        TEST_PURE(stop_lives_and_fires),
        TEST_PURE(trailing_child_tells_its_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
