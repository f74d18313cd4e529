#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "venue/wire/wire.h"

static enum status parse(struct wire_params *p, char *buffer, size_t capacity, const char *query,
                         const char *body) {
    return wire_params_parse(p, buffer, capacity, query, strlen(query), body, strlen(body));
}

static void check_value(const struct wire_params *p, const char *name, const char *want) {
    const struct wire_param *item = wire_param_find(p, name);
    if (!want) {
        assert_null(item);
        return;
    }
    assert_non_null(item);
    assert_string_equal(item->name, name);
    assert_string_equal(item->value, want);
    assert_int_equal(item->name_size, strlen(name));
    assert_int_equal(item->value_size, strlen(want));
}

static void test_query_and_body(void **state) {
    (void)state;
    struct wire_params p;
    char b[512];
    assert_int_equal(parse(&p, b, sizeof b, "symbol=BTCUSDT&side=BUY", "side=SELL&quantity=0.01"),
                     ST_OK);
    assert_int_equal(p.count, 3);
    check_value(&p, "symbol", "BTCUSDT");
    check_value(&p, "side", "BUY"); /* the query's */
    check_value(&p, "quantity", "0.01");
    check_value(&p, "Side", NULL);
    check_value(&p, "sid", NULL);
    assert_int_equal(parse(&p, b, sizeof b, "", "a=1"), ST_OK);
    check_value(&p, "a", "1");
    assert_int_equal(parse(&p, b, sizeof b, "", ""), ST_OK);
    assert_int_equal(p.count, 0);
    assert_int_equal(wire_params_parse(&p, b, sizeof b, NULL, 0, NULL, 0), ST_OK);
    /* Twice in one part: both stay, the first is found; encoded names are names. */
    assert_int_equal(parse(&p, b, sizeof b, "a=1&a=2&%62=3", "b=4&c=5&c=6"), ST_OK);
    assert_int_equal(p.count, 5);
    check_value(&p, "a", "1");
    check_value(&p, "b", "3");
    check_value(&p, "c", "5");
}

static void test_decoding(void **state) {
    (void)state;
    struct wire_params p;
    char b[512];
    assert_int_equal(parse(&p, b, sizeof b, "a=%5B%7b%22x%22%7D%5D&&b&c=&d=1+2%2B3&e=x=y&", ""),
                     ST_OK);
    assert_int_equal(p.count, 5);
    check_value(&p, "a", "[{\"x\"}]");
    check_value(&p, "b", "");
    check_value(&p, "c", "");
    check_value(&p, "d", "1+2+3");
    check_value(&p, "e", "x=y");
    assert_int_equal(parse(&p, b, sizeof b, "a=%26b%3D1", ""), ST_OK);
    assert_int_equal(p.count, 1);
    check_value(&p, "a", "&b=1");
    const char *json = "batchOrders=[{\"symbol\":\"BTCUSDT\",\"price\":\"1 + 1\"}]&timestamp=1";
    assert_int_equal(parse(&p, b, sizeof b, "", json), ST_OK);
    check_value(&p, "batchOrders", "[{\"symbol\":\"BTCUSDT\",\"price\":\"1 + 1\"}]");
    check_value(&p, "timestamp", "1");
}

static void test_malformed(void **state) {
    (void)state;
    struct wire_params p;
    char b[4096];
    static const char *const bad[] = {"a=%",   "a=%4",   "a=%zz", "a=%4g", "a=%g4", "%=1",
                                      "a=%00", "%00a=1", "a=%%",  "a=%-1", "a=% 1", "a=1&b=%4&c=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&p, b, sizeof b, bad[i], ""), ST_INVALID);
        assert_int_equal(p.count, 0);
        assert_int_equal(parse(&p, b, sizeof b, "x=1", bad[i]), ST_INVALID);
        check_value(&p, "x", NULL);
    }
    assert_int_equal(wire_params_parse(&p, b, sizeof b, "a=1\0b", 5, "", 0), ST_INVALID);
    char many[WIRE_PARAMS_MAX * 5 + 5] = "";
    size_t n = 0;
    for (int i = 0; i < WIRE_PARAMS_MAX; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "a%02d&", i);
    assert_int_equal(parse(&p, b, sizeof b, many, "a03=1"), ST_OK);
    assert_int_equal(p.count, WIRE_PARAMS_MAX);
    assert_int_equal(parse(&p, b, sizeof b, many, "z"), ST_INVALID);
}

/* The size promised is enough, every smaller one is either enough or refused, never overrun. */
static void test_capacity(void **state) {
    (void)state;
    const char *query = "a&b&c=1&dd=22", *body = "e=%20&f";
    size_t enough = strlen(query) + strlen(body) + 2, smallest = 0;
    struct wire_params p;
    for (size_t capacity = 0; capacity <= enough; capacity++) {
        char *b = malloc(capacity + 1); /* the sanitizer watches its end */
        assert_non_null(b);
        b[capacity] = 'G';
        enum status st = parse(&p, b, capacity, query, body);
        if (st == ST_OK && smallest == 0) smallest = capacity;
        assert_int_equal(st, smallest > 0 ? ST_OK : ST_FULL);
        assert_int_equal(b[capacity], 'G');
        free(b);
    }
    assert_true(smallest > 0);
    assert_int_equal(smallest, p.used);
}

static void test_json(void **state) {
    (void)state;
    struct wire_params p;
    char b[512];
    const char *json =
        "{\"symbol\":\"BTCUSDT\",\"quantity\":0.010,\"reduceOnly\":false,\"x\":true,"
        "\"list\":[1, \"a\"],\"o\":{\"k\":null},\"gone\":null,\"u\":\"\\u00e9\\\"\"}";
    assert_int_equal(wire_params_json(&p, b, sizeof b, json, strlen(json)), ST_OK);
    assert_int_equal(p.count, 7);
    check_value(&p, "symbol", "BTCUSDT");
    check_value(&p, "quantity", "0.010"); /* as it was written */
    check_value(&p, "reduceOnly", "false");
    check_value(&p, "x", "true");
    check_value(&p, "list", "[1, \"a\"]");
    check_value(&p, "o", "{\"k\":null}");
    check_value(&p, "gone", NULL);
    check_value(&p, "u", "\xC3\xA9\"");
    assert_int_equal(wire_params_json(&p, b, sizeof b, " {} ", 4), ST_OK);
    assert_int_equal(p.count, 0);
    static const char *const bad[] = {"",
                                      "[]",
                                      "1",
                                      "null",
                                      "{\"a\":1",
                                      "{\"a\":1}x",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\\u0000\":1}",
                                      "{\"a\":[1}",
                                      "{\"a\":01}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wire_params_json(&p, b, sizeof b, bad[i], strlen(bad[i])), ST_INVALID);
        assert_int_equal(p.count, 0);
    }
    const char *text = "{\"\":\"\",\"a\":\"\\n\",\"b\":2}";
    bool fits = false;
    for (size_t capacity = 0; capacity <= strlen(text) + 1; capacity++) {
        char *small = malloc(capacity + 1);
        enum status st = wire_params_json(&p, small, capacity, text, strlen(text));
        assert_true(st == (fits ? ST_OK : ST_FULL) || (!fits && st == ST_OK));
        fits = st == ST_OK;
        free(small);
    }
    assert_true(fits);
}

static void test_sorted_text(void **state) {
    (void)state;
    struct wire_params p;
    char b[512], out[256];
    size_t n;
    const char *json =
        "{\"timestamp\":1,\"symbol\":\"B T\",\"Z\":2,\"signature\":\"no\",\"apiKey\":"
        "\"k\",\"sym\":3,\"a\":\"\"}";
    const char *want = "Z=2&a=&apiKey=k&sym=3&symbol=B T&timestamp=1";
    assert_int_equal(wire_params_json(&p, b, sizeof b, json, strlen(json)), ST_OK);
    assert_int_equal(wire_params_sorted_text(out, sizeof out, &n, &p), ST_OK);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
    assert_int_equal(wire_params_sorted_text(out, n, &n, &p), ST_OK);
    assert_int_equal(wire_params_sorted_text(out, strlen(want) - 1, &n, &p), ST_FULL);
    assert_int_equal(wire_params_json(&p, b, sizeof b, "{\"signature\":1}", 15), ST_OK);
    assert_int_equal(wire_params_sorted_text(out, 0, &n, &p), ST_OK);
    assert_int_equal(n, 0);
}

static void test_percent_encode(void **state) {
    (void)state;
    char out[64];
    assert_int_equal(wire_percent_encode(out, sizeof out, "aZ09-._~", 8), 8);
    assert_memory_equal(out, "aZ09-._~", 8);
    size_t n = wire_percent_encode(out, sizeof out, "[{\"a\":1}]+/= \xC3", 14);
    const char *want = "%5B%7B%22a%22%3A1%7D%5D%2B%2F%3D%20%C3";
    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
    assert_int_equal(wire_percent_encode(out, 2, "/", 1), 0);
    assert_int_equal(wire_percent_encode(out, 3, "/", 1), 3);
    assert_int_equal(wire_percent_encode(out, 3, "/a", 2), 0);
    assert_int_equal(wire_percent_encode(out, 0, "", 0), 0);
}

static void test_query(void **state) {
    (void)state;
    struct wire_key *k = NULL;
    const char *secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
    assert_int_equal(wire_key_hmac(&k, secret, strlen(secret), NULL), ST_OK);
    const char *want = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&"
                       "recvWindow=5000&timestamp=1591702613943&signature="
                       "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";
    bool fitted = false;
    for (size_t capacity = 0; capacity <= strlen(want) + 1; capacity++) {
        char *out = malloc(capacity + 1);
        struct wire_query q;
        wire_query_init(&q, out, capacity);
        wire_query_text(&q, "symbol", "BTCUSDT");
        wire_query_text(&q, "side", "BUY");
        wire_query_text(&q, "type", "LIMIT");
        wire_query_e8(&q, "quantity", 100000000);
        wire_query_i64(&q, "price", 9000);
        wire_query_text(&q, "timeInForce", "GTC");
        wire_query_i64(&q, "recvWindow", 5000);
        wire_query_i64(&q, "timestamp", 1591702613943);
        enum status st = wire_query_sign(&q, k);
        fitted = capacity == strlen(want) + 1;
        assert_int_equal(st, fitted ? ST_OK : ST_FULL);
        if (fitted) assert_string_equal(out, want);
        free(out);
    }
    assert_true(fitted);
    wire_key_free(k);

    char out[128];
    struct wire_query q;
    wire_query_init(&q, out, sizeof out);
    wire_query_i64(&q, "a", INT64_MIN);
    wire_query_i64(&q, "b", 0);
    wire_query_text(&q, "e", "");
    wire_query_text(&q, "f", "[\"x\"]");
    wire_query_e8(&q, "g", -1);
    assert_int_equal(wire_query_end(&q), ST_OK);
    assert_string_equal(out, "a=-9223372036854775808&b=0&e=&f=%5B%22x%22%5D&g=-0.00000001");
}

/* What a query carries comes back: any bytes but NUL. */
static void test_round_trip(void **state) {
    (void)state;
    struct rng r = rng_init(11);
    for (int round = 0; round < 5000; round++) {
        char names[8][4], values[8][24], text[1024], b[1024];
        struct wire_query q;
        struct wire_params p;
        wire_query_init(&q, text, sizeof text);
        int count = (int)rng_below(&r, 9);
        for (int i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "n%d", i);
            size_t size = rng_below(&r, sizeof values[i]);
            for (size_t j = 0; j < size; j++) values[i][j] = (char)(1 + rng_below(&r, 255));
            values[i][size] = '\0';
            wire_query_text(&q, names[i], values[i]);
        }
        assert_int_equal(wire_query_end(&q), ST_OK);
        bool in_body = rng_below(&r, 2);
        assert_int_equal(parse(&p, b, sizeof b, in_body ? "z=1" : q.out, in_body ? q.out : "z=1"),
                         ST_OK);
        assert_int_equal(p.count, count + 1);
        for (int i = 0; i < count; i++) check_value(&p, names[i], values[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_and_body), cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_malformed),      cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_json),           cmocka_unit_test(test_sorted_text),
        cmocka_unit_test(test_percent_encode), cmocka_unit_test(test_query),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
