/* The WebSocket API: envelope, session, and that its methods are the same calls. */
#include "venue/server/test_rest.h"

struct door {
    struct fixture *f;
    struct wsapi_session session;
    json_t *answer;
};

static json_t *say(struct door *d, const char *text) {
    struct net_text answer;
    json_error_t error;
    wsapi_handle(&d->f->rest, &d->session, "127.0.0.1", text_of(text), d->f->now_ns, &answer);
    json_decref(d->answer);
    d->answer = json_loadb(answer.data, answer.size, JSON_REJECT_DUPLICATES, &error);
    if (!d->answer) fail_msg("%s: %.*s", error.text, (int)answer.size, answer.data);
    return d->answer;
}

static struct door open_door(void **state) {
    return (struct door){.f = fix(state), .session = {.connected_ns = fix(state)->now_ns}};
}

/* Result of an accepted request. */
static json_t *result(struct door *d, const char *text) {
    json_t *j = say(d, text);
    if (I(j, "status") != 200) fail_msg("%s: %s", text, json_dumps(j, 0));
    return member(j, "result");
}

static void expect_refusal(struct door *d, const char *text, int32_t code, int status) {
    json_t *j = say(d, text);
    json_t *error = member(j, "error");
    if (I(error, "code") != code) fail_msg("%s: %lld", text, (long long)I(error, "code"));
    assert_int_equal(I(j, "status"), status);
    assert_true(strlen(S(error, "msg")) > 0);
    assert_null(json_object_get(j, "result"));
}

/* A request signed as the documentation says: parameters by name, not encoded. members are name, JSON value pairs
 * in any order; the text for the signature is made here independently of ours, by sorting. */
struct pair {
    const char *name, *value;
};
static int by_name(const void *a, const void *b) {
    return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}
static const char *plain(const char *value, char *out) {
    size_t n = strlen(value);
    if (value[0] != '"') return value;
    memcpy(out, value + 1, n - 2);
    out[n - 2] = '\0';
    return out;
}
static const char *signed_by(struct door *d, const char *who, const char *method,
                             const struct pair *given, size_t n) {
    static char message[8192];
    char text[4096] = "", signature[WIRE_ED25519_TEXT_SIZE], key_text[64], now[32], value[1024];
    struct pair all[32];
    assert_true(n + 2 < 32);
    memcpy(all, given, n * sizeof *given);
    snprintf(key_text, sizeof key_text, "\"%s-key\"", who);
    snprintf(now, sizeof now, "%lld", (long long)(d->f->now_ns / NS_PER_MS));
    all[n++] = (struct pair){"timestamp", now};
    all[n++] = (struct pair){"apiKey", key_text};
    size_t used = (size_t)snprintf(message, sizeof message,
                                   "{\"id\":\"1\",\"method\":\"%s\",\"params\":{", method);
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(message + used, sizeof message - used, "\"%s\":%s,", all[i].name,
                                 all[i].value);
    qsort(all, n, sizeof *all, by_name);
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s=%s", i ? "&" : "",
                                 all[i].name, plain(all[i].value, value));
    struct wire_key *key = d->f->eve, *own = NULL;
    if (strcmp(who, "eve") != 0) {
        char secret[64];
        snprintf(secret, sizeof secret, "%s-secret", who);
        assert_int_equal(wire_key_hmac(&own, secret, strlen(secret), NULL), ST_OK);
        key = own;
    }
    assert_true(wire_sign(key, signature, text, size, NULL, 0) > 0);
    wire_key_free(own);
    snprintf(message + used, sizeof message - used, "\"signature\":\"%s\"}}", signature);
    return message;
}
#define SIGNED(d, who, method, ...)                                                                \
    signed_by(d, who, method, (const struct pair[]){__VA_ARGS__},                                  \
              sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair))

#define BTC                                                                                        \
    { "symbol", "\"BTCUSDT\"" }

static void ids_come_back_unchanged(void **state) {
    struct door d = open_door(state);
    static const char *const ids[] = {"1",    "\"1\"",         "\"3f9a-\\u00e9\"",    "null",
                                      "-7.5", "[1,{\"a\":2}]", "18446744073709551615"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char want[64];
        struct net_text answer;
        snprintf(want, sizeof want, "{\"id\":%s,\"status\":200,", ids[i]);
        wsapi_handle(&d.f->rest, &d.session, "127.0.0.1",
                     text_of(with("{\"method\":\"ping\",\"id\":%s}", ids[i])), d.f->now_ns,
                     &answer);
        assert_true(answer.size > strlen(want));
        assert_memory_equal(answer.data, want, strlen(want));
    }
    assert_int_equal(json_typeof(member(say(&d, "{\"method\":\"ping\"}"), "id")), JANSSON_NULL);
    json_decref(d.answer);
}

static void envelope_carries_limits(void **state) {
    struct door d = open_door(state);
    json_t *j = say(&d, "{\"id\":1,\"method\":\"time\"}");
    assert_int_equal(I(member(j, "result"), "serverTime"), 1700000001000);
    json_t *limits = member(j, "rateLimits");
    assert_int_equal(count(limits), 1);
    assert_string_equal(S(at(limits, 0), "rateLimitType"), "REQUEST_WEIGHT");
    assert_int_equal(I(at(limits, 0), "limit"), 2400);
    assert_int_equal(I(at(limits, 0), "count"), 1);
    j = say(&d, "{\"id\":1,\"method\":\"time\",\"params\":{\"returnRateLimits\":false}}");
    assert_null(json_object_get(j, "rateLimits"));
    d.session.rate_limits_off = true;
    assert_null(json_object_get(say(&d, "{\"id\":1,\"method\":\"time\"}"), "rateLimits"));
    j = say(&d, "{\"id\":1,\"method\":\"time\",\"params\":{\"returnRateLimits\":true}}");
    member(j, "rateLimits");
    d.session.rate_limits_off = false;
    j = say(&d, SIGNED(&d, "alice", "order.place", BTC, {"side", "\"BUY\""}, {"type", "\"LIMIT\""},
                       {"timeInForce", "\"GTC\""}, {"quantity", "0.01"}, {"price", "60000"}));
    limits = member(j, "rateLimits");
    assert_int_equal(count(limits), 3);
    assert_string_equal(S(at(limits, 0), "interval"), "SECOND");
    assert_int_equal(I(at(limits, 0), "intervalNum"), 10);
    assert_int_equal(I(at(limits, 0), "count"), 1);
    json_decref(d.answer);
}

static void damaged_messages_are_answered(void **state) {
    struct door d = open_door(state);
    static const char twice[] = "{\"id\":1,\"method\":\"ping\",\"params\":{\"a\":1,\"a\":2}}";
    static const char *const damaged[] = {"",
                                          "x",
                                          "[]",
                                          "{\"id\":1",
                                          "{\"id\":1}",
                                          "{\"id\":1,\"method\":5}",
                                          "{\"id\":1,\"method\":\"ping\"} x",
                                          "{\"id\":1,\"method\":\"ping\",\"params\":[]}",
                                          twice};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        expect_refusal(&d, damaged[i], -1013, 400);
    expect_refusal(&d, "{\"id\":1,\"method\":\"order.buy\"}", -1020, 400);
    /* What one client sends when it is called wrongly. */
    expect_refusal(&d,
                   "{\"id\":1,\"method\":\"v2/account.position\",\"params\":{\"0\":\"u\",\"1\":"
                   "\"s\"}}",
                   -2014, 401);
    json_decref(d.answer);
}

static void market_methods(void **state) {
    struct door d = open_door(state);
    make_book(d.f);
    json_t *j = result(&d, "{\"id\":1,\"method\":\"depth\",\"params\":{\"symbol\":\"BTCUSDT\","
                           "\"limit\":5}}");
    assert_int_equal(count(member(j, "bids")), 2);
    j = result(&d, "{\"id\":1,\"method\":\"ticker.book\",\"params\":{\"symbol\":\"BTCUSDT\"}}");
    assert_string_equal(S(j, "bidPrice"), "67990.0");
    j = result(&d, "{\"id\":1,\"method\":\"ticker.price\"}");
    assert_int_equal(count(j), TEST_CONTRACTS);
    assert_int_equal(json_object_size(result(&d, "{\"id\":1,\"method\":\"ping\"}")), 0);
    /* One client signs public calls, too; nobody looks. */
    result(&d, "{\"id\":1,\"method\":\"depth\",\"params\":{\"symbol\":\"BTCUSDT\",\"apiKey\":"
               "\"who\",\"timestamp\":1,\"signature\":\"00\"}}");
    expect_refusal(&d, "{\"id\":1,\"method\":\"depth\",\"params\":{\"symbol\":\"NO\"}}", -1121,
                   400);
    json_decref(d.answer);
}

static void orders_by_hmac(void **state) {
    struct door d = open_door(state);
    /* Text or number, as clients please. */
    json_t *j = result(&d, SIGNED(&d, "alice", "order.place", BTC, {"side", "\"BUY\""},
                                  {"type", "\"LIMIT\""}, {"timeInForce", "\"GTC\""},
                                  {"quantity", "\"0.01\""}, {"price", "\"60000\""},
                                  {"recvWindow", "10000"}, {"newClientOrderId", "\"w-1\""}));
    assert_int_equal(I(j, "orderId"), 1001);
    assert_string_equal(S(j, "status"), "NEW");
    j = result(&d, SIGNED(&d, "alice", "order.status", BTC, {"orderId", "\"1001\""}));
    assert_string_equal(S(j, "clientOrderId"), "w-1");
    j = result(&d, SIGNED(&d, "alice", "order.modify", BTC, {"orderId", "1001"},
                          {"side", "\"BUY\""}, {"quantity", "2e-2"}, {"price", "60001"}));
    assert_string_equal(S(j, "origQty"), "0.020");
    j = result(&d, SIGNED(&d, "alice", "order.cancel", BTC, {"origClientOrderId", "\"w-1\""}));
    assert_string_equal(S(j, "status"), "CANCELED");
    expect_refusal(&d, SIGNED(&d, "alice", "order.cancel", BTC, {"orderId", "1001"}), -2011, 400);
    expect_refusal(&d,
                   SIGNED(&d, "alice", "order.place", BTC, {"side", "\"BUY\""},
                          {"type", "\"STOP_MARKET\""}, {"quantity", "1"}, {"stopPrice", "70000"}),
                   -4120, 400);
    j = result(&d, SIGNED(&d, "alice", "algoOrder.place", {"algoType", "\"CONDITIONAL\""}, BTC,
                          {"side", "\"SELL\""}, {"type", "\"STOP_MARKET\""}, {"quantity", "0.01"},
                          {"triggerPrice", "\"65000\""}, {"stopLossPrice", "65000"},
                          {"workingType", "\"MARK_PRICE\""}));
    assert_int_equal(I(j, "algoId"), 5001);
    j = result(&d, SIGNED(&d, "alice", "algoOrder.cancel", {"algoId", "5001"}));
    assert_string_equal(S(j, "code"), "200");
    expect_refusal(&d, SIGNED(&d, "reader", "order.place", BTC), -2015, 401);
    json_decref(d.answer);
}

static void accounts_of_both_versions(void **state) {
    struct door d = open_door(state);
    assert_string_equal(S(at(result(&d, SIGNED(&d, "alice", "account.balance", BTC)), 0), "asset"),
                        "USDT");
    result(&d, SIGNED(&d, "alice", "v2/account.balance", BTC));
    assert_true(B(result(&d, SIGNED(&d, "alice", "account.status", BTC)), "canTrade"));
    json_t *j = result(&d, SIGNED(&d, "alice", "v2/account.status", BTC));
    assert_null(json_object_get(j, "canTrade"));
    assert_int_equal(count(result(&d, SIGNED(&d, "alice", "account.position", BTC))), 1);
    assert_int_equal(count(result(&d, SIGNED(&d, "alice", "v2/account.position", BTC))), 0);
    json_decref(d.answer);
}

static void signatures_and_time(void **state) {
    struct door d = open_door(state);
    const char *place = SIGNED(&d, "alice", "account.balance", {"recvWindow", "5000"});
    d.f->now_ns += 6 * NS_PER_SECOND;
    expect_refusal(&d, place, -1021, 400);
    expect_refusal(&d,
                   "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"apiKey\":\"alice-key\","
                   "\"timestamp\":1700000001000,\"signature\":\"00\"}}",
                   -1022, 400);
    expect_refusal(&d,
                   "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"apiKey\":\"alice-key\","
                   "\"timestamp\":1700000001000}}",
                   -1102, 400);
    expect_refusal(
        &d, "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"apiKey\":\"alice-key\"}}",
        -1102, 400);
    expect_refusal(&d, "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"apiKey\":\"who\"}}",
                   -2015, 401);
    json_decref(d.answer);
}

static void sessions_are_for_ed25519(void **state) {
    struct door d = open_door(state);
    json_t *j = result(&d, "{\"id\":1,\"method\":\"session.status\"}");
    assert_int_equal(json_typeof(member(j, "apiKey")), JANSSON_NULL);
    assert_int_equal(json_typeof(member(j, "authorizedSince")), JANSSON_NULL);
    expect_refusal(&d, SIGNED(&d, "alice", "session.logon", {"recvWindow", "5000"}), -4056, 400);
    expect_refusal(&d, "{\"id\":1,\"method\":\"session.logon\",\"params\":{}}", -1102, 400);
    expect_refusal(&d,
                   "{\"id\":1,\"method\":\"session.logon\",\"params\":{\"apiKey\":\"eve-key\","
                   "\"timestamp\":1700000001000,\"signature\":\"00\"}}",
                   -1022, 400);
    assert_int_equal(d.session.account, 0);
    d.f->now_ns += NS_PER_SECOND;
    j = result(&d, SIGNED(&d, "eve", "session.logon", {"recvWindow", "5000"}));
    assert_string_equal(S(j, "apiKey"), "eve-key");
    assert_int_equal(I(j, "connectedSince"), 1700000001000);
    assert_int_equal(I(j, "authorizedSince"), 1700000002000);
    assert_int_equal(I(j, "serverTime"), 1700000002000);
    assert_true(B(j, "returnRateLimits"));
    assert_int_equal(d.session.account, 3);
    /* From here on neither key nor signature, but the time. */
    result(&d,
           "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"timestamp\":1700000002000}}");
    expect_refusal(&d, "{\"id\":1,\"method\":\"account.balance\"}", -1102, 400);
    expect_refusal(&d, "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"timestamp\":1}}",
                   -1021, 400);
    /* Another key may be named: then it must sign. */
    result(&d, SIGNED(&d, "alice", "account.balance", {"recvWindow", "5000"}));
    j = result(&d, "{\"id\":1,\"method\":\"userDataStream.start\"}");
    assert_int_equal(strlen(S(j, "listenKey")), 64);
    j = result(&d, "{\"id\":1,\"method\":\"session.logout\"}");
    assert_int_equal(json_typeof(member(j, "apiKey")), JANSSON_NULL);
    assert_int_equal(d.session.account, 0);
    expect_refusal(
        &d, "{\"id\":1,\"method\":\"account.balance\",\"params\":{\"timestamp\":1700000002000}}",
        -2014, 401);
    json_decref(d.answer);
}

static void listen_keys(void **state) {
    struct door d = open_door(state);
    char key[80];
#define STREAM(what)                                                                               \
    "{\"id\":1,\"method\":\"userDataStream." what "\",\"params\":{\"apiKey\":\"bob-key\"}}"
    snprintf(key, sizeof key, "%s", S(result(&d, STREAM("start")), "listenKey"));
    assert_string_equal(S(result(&d, STREAM("ping")), "listenKey"), key);
    result(&d, STREAM("stop"));
    expect_refusal(&d, STREAM("ping"), -1125, 400);
    expect_refusal(&d, "{\"id\":1,\"method\":\"userDataStream.start\"}", -2014, 401);
    json_decref(d.answer);
}

static void limits_hold_here_too(void **state) {
    struct door d = open_door(state);
    d.f->rest.options.limits_enforced = true;
    for (int i = 0; i < 480; i++)
        say(&d, SIGNED(&d, "alice", "account.balance", {"recvWindow", "5000"}));
    assert_int_equal(I(d.answer, "status"), 200);
    expect_refusal(&d, "{\"id\":1,\"method\":\"ping\"}", -1003, 429);
    json_decref(d.answer);
}

static void classes_of_methods(void **state) {
    struct door d = open_door(state);
    const struct rest *r = &d.f->rest;
    assert_int_equal(wsapi_class_of(r, text_of("{\"method\":\"order.place\"}")), REST_TRADE);
    assert_int_equal(wsapi_class_of(r, text_of("{\"method\":\"order.status\"}")), REST_READ);
    assert_int_equal(wsapi_class_of(r, text_of("{\"method\":\"ping\"}")), REST_PUBLIC);
    assert_int_equal(wsapi_class_of(r, text_of("{\"method\":\"pong\"}")), REST_UNKNOWN);
    assert_int_equal(wsapi_class_of(r, text_of("{")), REST_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_PURE(ids_come_back_unchanged),
        TEST_PURE(envelope_carries_limits),
        TEST_PURE(damaged_messages_are_answered),
        TEST_PURE(market_methods),
        TEST_PURE(orders_by_hmac),
        TEST_PURE(accounts_of_both_versions),
        TEST_PURE(signatures_and_time),
        TEST_PURE(sessions_are_for_ed25519),
        TEST_PURE(listen_keys),
        TEST_PURE(limits_hold_here_too),
        TEST_PURE(classes_of_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
