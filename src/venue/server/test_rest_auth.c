/* Who may ask, how often, and what that costs: signatures, time, permissions, weights, limits. */
#include "venue/server/test_rest.h"

static const char order[] = F1 "order";

static int32_t raw(struct fixture *f, const char *key, enum net_method method, const char *path,
                   const char *query, const char *body) {
    ask_raw(f, key, method, path, query, body);
    return f->code;
}

static void keys_are_needed_and_known(void **state) {
    struct fixture *f = fix(state);
    const char *path = F3 "balance";
    assert_int_equal(raw(f, "", NET_GET, path, "timestamp=1&signature=00", ""), -2014);
    assert_int_equal(f->status, 401);
    assert_string_equal(S(f->body, "msg"), "API-key format invalid.");
    assert_int_equal(raw(f, "nobody", NET_GET, path, "timestamp=1&signature=00", ""), -2015);
    assert_int_equal(f->status, 401);
    char long_key[200] = {0};
    memset(long_key, 'a', sizeof long_key - 1);
    assert_int_equal(raw(f, long_key, NET_GET, path, "", ""), -2015);
    assert_int_equal(raw(f, "alice-key", NET_GET, path, "timestamp=1", ""), -1102);
    assert_non_null(strstr(S(f->body, "msg"), "'signature'"));
    assert_int_equal(raw(f, "alice-key", NET_GET, path, "signature=00", ""), -1102);
    assert_non_null(strstr(S(f->body, "msg"), "'timestamp'"));
    assert_int_equal(raw(f, "alice-key", NET_GET, path, "timestamp=1&signature=00", ""), -1022);
    assert_int_equal(f->status, 400);
    assert_int_equal(f->account, 1);
    done(f, "alice", NET_GET, path, "");
    assert_int_equal(f->account, 1);
    done(f, "eve", NET_GET, path, "");
    assert_int_equal(f->account, 3);
    /* A key that is not asked for does not disturb. */
    assert_int_equal(raw(f, "nobody", NET_GET, F1 "ping", "", ""), 0);
    assert_int_equal(f->account, 0);
}

static void permissions_are_kept(void **state) {
    struct fixture *f = fix(state);
    done(f, "reader", NET_GET, F3 "account", "");
    assert_int_equal(f->account, 1); /* a second key of alice */
    refused(f, "reader", NET_POST, order, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1", -2015);
    refused(f, "reader", NET_DELETE, order, "symbol=BTCUSDT&orderId=1", -2015);
    refused(f, "reader", NET_POST, F1 "leverage", "symbol=BTCUSDT&leverage=3", -2015);
    raw(f, "reader-key", NET_POST, F1 "listenKey", "", "");
    assert_int_equal(f->code, 0);
}

/* Vectors of binance-usdm 2.4: the first is the venue's own, the others computed with openssl. */
static void signatures_of_the_documentation(void **state) {
#define VECTOR_SECRET "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    struct fixture *f = fix(state);
    static const char keys[] =
        "[{\"name\":\"v\",\"balance\":\"1\",\"api_key\":\"v-key\",\"api_secret\":\"" VECTOR_SECRET
        "\"}]";
    struct keys own;
    struct err err;
    assert_int_equal(keys_parse(&own, keys, strlen(keys), "vectors", &err), ST_OK);
    f->rest.keys = &own;
    /* The signature is looked at before the time: a right one is refused for its time alone. */
    const char *path = F1 "order";
    static const char v1[] = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce="
                             "GTC&recvWindow=5000&timestamp=1591702613943";
    static const char v2[] = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price="
                             "9000&recvWindow=5000&timestamp=1591702613943";
    static const char s1[] = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";
    static const char s1_upper[] =
        "3C661234138461FCC7A7D8746C6558C9842D4E10870D2ECBEDF7777CAD694AF9";
    static const char s2[] = "ec11dcc17e67e47f0d3c3f513dfe9062307e37619c5c82ebaa8fe0bdf3d59519";
    static const char s3[] = "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4";
    assert_int_equal(raw(f, "v-key", NET_POST, path, with("%s&signature=%s", v1, s1), ""), -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, "", with("%s&signature=%s", v1, s1)), -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, "", with("signature=%s&%s", s1, v1)), -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, with("%s&signature=%s", v1, s1_upper), ""),
                     -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, with("%s&signature=%s", v2, s2), ""), -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, with("%s&signature=%s", v2, s1), ""), -1022);
    /* Query and body, nothing between them, the signature in either. */
    static const char q[] = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC";
    static const char b[] = "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943";
    assert_int_equal(raw(f, "v-key", NET_POST, path, q, with("%s&signature=%s", b, s3)), -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, with("%s&signature=%s", q, s3), b), -1021);
    assert_int_equal(raw(f, "v-key", NET_POST, path, q, with("%s&signature=%s", b, s2)), -1022);
    /* In its time the order of the documentation is an order (of the first account). */
    f->now_ns = INT64_C(1591702614000) * NS_PER_MS;
    assert_int_equal(raw(f, "v-key", NET_POST, path, with("%s&signature=%s", v1, s1), ""), 0);
    assert_string_equal(S(f->body, "price"), "9000.0");
    keys_free(&own);
    f->rest.keys = &f->keys;
}

static void query_wins_over_body(void **state) {
    struct fixture *f = fix(state);
    char query[256], body[512], signature[WIRE_ED25519_TEXT_SIZE];
    struct wire_key *key;
    assert_int_equal(wire_key_hmac(&key, "alice-secret", 12, NULL), ST_OK);
    snprintf(query, sizeof query, "symbol=ETHUSDT&leverage=7");
    int n = snprintf(body, sizeof body, "symbol=BTCUSDT&leverage=9&timestamp=%lld",
                     (long long)(f->now_ns / NS_PER_MS));
    wire_sign(key, signature, query, strlen(query), body, (size_t)n);
    snprintf(body + n, sizeof body - (size_t)n, "&signature=%s", signature);
    json_t *j = ask_raw(f, "alice-key", NET_POST, F1 "leverage", query, body);
    assert_int_equal(f->code, 0);
    assert_string_equal(S(j, "symbol"), "ETHUSDT");
    assert_int_equal(I(j, "leverage"), 7);
    wire_key_free(key);
}

/* timestamp < server + 1000 and server - timestamp <= recvWindow. */
static void time_must_be_near(void **state) {
    struct fixture *f = fix(state);
    const int64_t now = f->now_ns;
    static const struct {
        int64_t ahead_ms, window_ms;
        int32_t code;
        const char *text;
    } rows[] = {
        {999, 0, 0, NULL},
        {1000, 0, -1021, "Timestamp for this request was 1000ms ahead of the server's time."},
        {-5000, 0, 0, NULL},
        {-5001, 0, -1021, "Timestamp for this request is outside of the recvWindow."},
        {-10, 10, 0, NULL},
        {-11, 10, -1021, "Timestamp for this request is outside of the recvWindow."},
        {-60000, 60000, 0, NULL},
        {0, 60001, -1130, "Data sent for parameter 'recvWindow' is not valid."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char params[64];
        int64_t then_ms = now / NS_PER_MS + rows[i].ahead_ms;
        int n = snprintf(params, sizeof params, "timestamp=%lld", (long long)then_ms);
        if (rows[i].window_ms)
            snprintf(params + n, sizeof params - (size_t)n, "&recvWindow=%lld",
                     (long long)rows[i].window_ms);
        struct wire_key *key;
        char signature[WIRE_ED25519_TEXT_SIZE];
        assert_int_equal(wire_key_hmac(&key, "alice-secret", 12, NULL), ST_OK);
        wire_sign(key, signature, params, strlen(params), NULL, 0);
        wire_key_free(key);
        json_t *j = ask_raw(f, "alice-key", NET_GET, F3 "balance",
                            with("%s&signature=%s", params, signature), "");
        assert_int_equal(f->code, rows[i].code);
        if (rows[i].text) assert_string_equal(S(j, "msg"), rows[i].text);
    }
    f->window_ms = 60001;
    refused(f, "alice", NET_GET, F3 "balance", "", -1130);
    f->rest.options.recv_window_ms_max = 90000;
    done(f, "alice", NET_GET, F3 "balance", "");
}

static void damaged_requests_are_refused(void **state) {
    struct fixture *f = fix(state);
    assert_int_equal(raw(f, "", NET_GET, F1 "depth", "symbol=%zz", ""), -1013);
    assert_int_equal(raw(f, "", NET_GET, F1 "depth", "symbol=BTC%00USDT", ""), -1013);
    char many[2048] = "symbol=BTCUSDT";
    for (int i = 0; i < 70; i++) strcat(many, "&a=1");
    assert_int_equal(raw(f, "", NET_GET, F1 "depth", many, ""), -1013);
    /* A JSON body where none is wanted does not disturb. */
    assert_int_equal(raw(f, "", NET_GET, F1 "ping", "", "{}"), 0);
}

/* ---- weights ---- */

/* The weight a request adds to the address's minute. */
static int64_t weight_of(struct fixture *f, const char *who, enum net_method method,
                         const char *path, const char *params) {
    long before = 0, after = 0;
    static const char name[] = "X-MBX-USED-WEIGHT-1M: ";
    ask(f, NULL, NET_GET, F1 "ping", "");
    const char *p = strstr(f->headers, name);
    assert_non_null(p);
    before = strtol(p + strlen(name), NULL, 10);
    ask(f, who, method, path, params);
    p = strstr(f->headers, name);
    assert_non_null(p);
    after = strtol(p + strlen(name), NULL, 10);
    return after - before;
}

static void weights_of_the_table(void **state) {
    struct fixture *f = fix(state);
#define SYM "symbol=BTCUSDT"
    static const struct {
        const char *who;
        const char *path, *params;
        enum net_method method;
        int weight;
    } rows[] = {
        {NULL, F1 "exchangeInfo", "", NET_GET, 1},
        {NULL, F1 "depth", SYM "&limit=5", NET_GET, 2},
        {NULL, F1 "depth", SYM "&limit=50", NET_GET, 2},
        {NULL, F1 "depth", SYM "&limit=100", NET_GET, 5},
        {NULL, F1 "depth", SYM, NET_GET, 10},
        {NULL, F1 "depth", SYM "&limit=1000", NET_GET, 20},
        {NULL, F1 "rpiDepth", SYM, NET_GET, 20},
        {NULL, F1 "trades", SYM, NET_GET, 5},
        {NULL, F1 "aggTrades", SYM, NET_GET, 20},
        {NULL, F1 "klines", SYM "&interval=1m&limit=99", NET_GET, 1},
        {NULL, F1 "klines", SYM "&interval=1m&limit=100", NET_GET, 2},
        {NULL, F1 "klines", SYM "&interval=1m", NET_GET, 5},
        {NULL, F1 "klines", SYM "&interval=1m&limit=1000", NET_GET, 5},
        {NULL, F1 "klines", SYM "&interval=1m&limit=1001", NET_GET, 10},
        {NULL, F1 "premiumIndex", SYM, NET_GET, 1},
        {NULL, F1 "premiumIndex", "", NET_GET, 10},
        {NULL, F1 "fundingRate", "", NET_GET, 0},
        {NULL, F1 "fundingInfo", "", NET_GET, 0},
        {NULL, "/futures/data/basis", "", NET_GET, 0},
        {NULL, F1 "ticker/24hr", SYM, NET_GET, 1},
        {NULL, F1 "ticker/24hr", "", NET_GET, 40},
        {NULL, F1 "ticker/price", SYM, NET_GET, 1},
        {NULL, F2 "ticker/price", "", NET_GET, 2},
        {NULL, F1 "ticker/bookTicker", SYM, NET_GET, 2},
        {NULL, F1 "ticker/bookTicker", "", NET_GET, 5},
        {"alice", order, SYM, NET_POST, 0},
        {"alice", F1 "algoOrder", SYM, NET_POST, 0},
        {"alice", order, SYM, NET_DELETE, 1},
        {"alice", order, SYM, NET_GET, 1},
        {"alice", F1 "openOrders", SYM, NET_GET, 1},
        {"alice", F1 "openOrders", "", NET_GET, 40},
        {"alice", F1 "openAlgoOrders", "", NET_GET, 40},
        {"alice", F1 "allOrders", SYM, NET_GET, 5},
        {"alice", F1 "batchOrders", "", NET_POST, 5},
        {"alice", F1 "batchOrders", SYM, NET_DELETE, 1},
        {"alice", F1 "countdownCancelAll", SYM, NET_POST, 10},
        {"alice", F1 "positionSide/dual", "", NET_GET, 30},
        {"alice", F1 "commissionRate", SYM, NET_GET, 20},
        {"alice", F1 "income", "", NET_GET, 30},
        {"alice", F1 "forceOrders", SYM, NET_GET, 20},
        {"alice", F1 "forceOrders", "", NET_GET, 50},
        {"alice", F3 "account", "", NET_GET, 5},
        {"alice", F1 "userTrades", SYM, NET_GET, 5},
        {NULL, "/nowhere", "", NET_GET, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t weight = weight_of(f, rows[i].who, rows[i].method, rows[i].path, rows[i].params);
        if (weight != rows[i].weight)
            fail_msg("%s?%s weighs %lld, not %d", rows[i].path, rows[i].params, (long long)weight,
                     rows[i].weight);
    }
}

static void order_counts_are_told_on_orders_alone(void **state) {
    struct fixture *f = fix(state);
    limit_order(f, "alice", "BUY", "0.01", "60000");
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-10S: 1\r\n"));
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-1M: 1\r\n"));
    done(f, "alice", NET_PUT, order,
         "symbol=BTCUSDT&side=BUY&orderId=1001&quantity=0.02&price=60000");
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-10S: 2\r\n"));
    refused(f, "alice", NET_POST, F1 "batchOrders", "batchOrders=[]", -4082);
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-10S: 7\r\n"));
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-1M: 3\r\n"));
    done(f, "alice", NET_DELETE, order, "symbol=BTCUSDT&orderId=1001");
    assert_null(strstr(f->headers, "ORDER-COUNT"));
    limit_order(f, "bob", "BUY", "0.01", "60000");
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-10S: 1\r\n"));
    pass(f, 10 * NS_PER_SECOND);
    limit_order(f, "alice", "BUY", "0.01", "60000");
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-10S: 1\r\n"));
    assert_non_null(strstr(f->headers, "X-MBX-ORDER-COUNT-1M: 4\r\n"));
}

/* ---- limits ---- */

static void weight_limit_answers_429_then_418(void **state) {
    struct fixture *f = fix(state);
    f->now_ns += 19 * NS_PER_SECOND; /* 22:13:40, 20 s before the minute ends */
    for (int i = 0; i < 60; i++) get(f, F1 "ticker/24hr", "");
    ask(f, NULL, NET_GET, F1 "ping", ""); /* counted, and not refused: nobody said so */
    assert_int_equal(f->status, 200);
    f->rest.options.limits_enforced = true;
    json_t *j = ask(f, NULL, NET_GET, F1 "ping", "");
    assert_int_equal(f->status, 429);
    assert_int_equal(I(j, "code"), -1003);
    assert_string_equal(S(j, "msg"),
                        "Too many requests; current limit is 2400 requests per minute. Please use "
                        "the websocket for live updates to avoid polling the API.");
    assert_non_null(strstr(f->headers, "Retry-After: 20\r\n"));
    for (int i = 0; i < 8; i++) ask(f, "alice", NET_GET, F3 "balance", "");
    assert_int_equal(f->status, 429);
    j = ask(f, NULL, NET_GET, F1 "time", "");
    assert_int_equal(f->status, 418);
    assert_int_equal(I(j, "code"), -1003);
    assert_non_null(strstr(f->headers, "Retry-After: 120\r\n"));
    int64_t until = (f->now_ns + 2 * NS_PER_MINUTE) / NS_PER_MS;
    assert_string_equal(S(j, "msg"),
                        with("Way too many requests; IP banned until %lld. Please use the "
                             "websocket for live updates to avoid bans.",
                             (long long)until));
    f->now_ns += 2 * NS_PER_MINUTE;
    get(f, F1 "ping", "");
}

static void order_limit_answers_429(void **state) {
    struct fixture *f = fix(state);
    f->rest.options.limits_enforced = true;
    for (int i = 0; i < 300; i++)
        refused(f, "alice", NET_POST, order, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0",
                -4003);
    assert_string_equal(refused(f, "alice", NET_POST, order,
                                "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0", -1015),
                        "Too many new orders; current limit is 300 orders per 10 SECOND.");
    assert_int_equal(f->status, 429);
    assert_non_null(strstr(f->headers, "Retry-After: "));
    refused(f, "bob", NET_POST, order, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0", -4003);
    refused(f, "alice", NET_DELETE, order, "symbol=BTCUSDT&orderId=1", -2011);
    pass(f, 10 * NS_PER_SECOND);
    refused(f, "alice", NET_POST, order, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0", -4003);
}

static void funding_has_a_pool_of_its_own(void **state) {
    struct fixture *f = fix(state);
    f->rest.options.limits_enforced = true;
    for (int i = 0; i < 250; i++) {
        get(f, F1 "fundingRate", "");
        get(f, F1 "fundingInfo", "");
    }
    assert_non_null(strstr(S(ask(f, NULL, NET_GET, F1 "fundingRate", ""), "msg"), "500 requests"));
    assert_int_equal(f->status, 429);
    get(f, F1 "ping", "");
    for (int i = 0; i < 1000; i++)
        get(f, "/futures/data/takerlongshortRatio", "symbol=BTCUSDT&period=5m");
    ask(f, NULL, NET_GET, "/futures/data/takerlongshortRatio", "symbol=BTCUSDT&period=5m");
    assert_int_equal(f->status, 429);
}

static void classes_of_calls(void **state) {
    struct fixture *f = fix(state);
    assert_int_equal(rest_class_of(&f->rest, NET_POST, text_of(order)), REST_TRADE);
    assert_int_equal(rest_class_of(&f->rest, NET_GET, text_of(order)), REST_READ);
    assert_int_equal(rest_class_of(&f->rest, NET_GET, text_of(F1 "time")), REST_PUBLIC);
    assert_int_equal(rest_class_of(&f->rest, NET_PUT, text_of(F1 "time")), REST_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_PURE(keys_are_needed_and_known),
        TEST_PURE(permissions_are_kept),
        TEST_PURE(signatures_of_the_documentation),
        TEST_PURE(query_wins_over_body),
        TEST_PURE(time_must_be_near),
        TEST_PURE(damaged_requests_are_refused),
        TEST_PURE(weights_of_the_table),
        TEST_PURE(order_counts_are_told_on_orders_alone),
        TEST_PURE(weight_limit_answers_429_then_418),
        TEST_PURE(order_limit_answers_429),
        TEST_PURE(funding_has_a_pool_of_its_own),
        TEST_PURE(classes_of_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
