/* What the tests of the requests share: a world, keys, and a client that signs.
 *
 * The market is the pure one (nobody trades but the accounts of the test), so every number is the test's own; the
 * synthetic one where history is needed. The reader of the replies is jansson, which shares nothing with ours. */
#ifndef VENUE_SERVER_TEST_REST_H
#define VENUE_SERVER_TEST_REST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json_peer.h"
#include "base/tstamp.h"
#include "venue/server/limits.h"
#include "venue/server/rest.h"
#include "venue/server/streams.h"

/* The key pair of RFC 8032, test 1. */
#define TEST_ED_PRIVATE                                                                            \
    "-----BEGIN PRIV"                                                                              \
    "ATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"             \
    "-----END PRIV"                                                                                \
    "ATE KEY-----\n"
#define TEST_ED_PUBLIC_JSON                                                                        \
    "-----BEGIN PUBLIC "                                                                           \
    "KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n"                   \
    "-----END PUBLIC KEY-----\\n"

#define TEST_KEYS                                                                                  \
    "[{\"name\":\"alice\",\"balance\":\"100000\",\"api_key\":\"alice-key\","                       \
    "\"api_secret\":\"alice-secret\"},"                                                            \
    "{\"name\":\"bob\",\"balance\":\"100000\",\"api_key\":\"bob-key\","                            \
    "\"api_secret\":\"bob-secret\"},"                                                              \
    "{\"name\":\"eve\",\"balance\":\"1000\",\"api_key\":\"eve-key\",\"ed25519_public_key\":"       \
    "\"" TEST_ED_PUBLIC_JSON "\",\"permissions\":[\"read\",\"trade\",\"withdraw\"]},"              \
    "{\"name\":\"alice\",\"api_key\":\"reader-key\",\"api_secret\":\"reader-secret\","             \
    "\"permissions\":[\"read\"]}]"

enum { TEST_CONTRACTS = 10, TEST_TEXT = 1 << 16 };
/* 2023-11-14T22:13:20Z */
#define TEST_START_NS (INT64_C(1700000000000) * NS_PER_MS)

struct fixture {
    struct world *world;
    struct keys keys;
    struct rest rest;
    struct wire_key *eve;
    int64_t now_ns;
    struct instrument contracts[TEST_CONTRACTS];
    px_t start_px[TEST_CONTRACTS];
    /* of the last answer */
    int status;
    int32_t code;
    uint32_t account;
    char headers[256];
    json_t *body;
    size_t body_size;
    int64_t window_ms; /* recvWindow sent, 0 none */
};

static inline struct fixture *fix(void **state) {
    return *state;
}

static inline void test_prepare(void *context, struct world *w) {
    struct fixture *f = context;
    for (uint32_t i = 0; i < f->keys.count; i++) {
        if (!f->keys.rows[i].opens) continue;
        struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = f->keys.rows[i].balance};
        struct exchange_reply reply;
        world_do(w, &in, TEST_START_NS, &reply);
        assert_int_equal(reply.code, 0);
        assert_int_equal(reply.account, f->keys.rows[i].account);
    }
}

static inline void fixture_open(struct fixture *f, enum market_source source, bool classic) {
    struct err err = {0};
    struct world_options o = {.exchange = exchange_config_defaults(),
                              .market = market_config_defaults(),
                              .history = history_limits_defaults(),
                              .ticks = {.instrument_count = TEST_CONTRACTS,
                                        .bars = 1500,
                                        .trades = 1000,
                                        .fundings = 1000},
                              .start_ns = TEST_START_NS,
                              .prepare = test_prepare,
                              .context = f};
    market_symbols_default(f->contracts, f->start_px, TEST_CONTRACTS);
    o.exchange.instrument_count = o.market.instrument_count = TEST_CONTRACTS;
    o.exchange.instruments = o.market.instruments = f->contracts;
    o.exchange.accounts_max = 16;
    o.exchange.first_order_id = 1001;
    o.exchange.first_algo_id = 5001;
    o.exchange.classic_conditional = classic;
    o.market.source = source;
    o.market.start_px = f->start_px;
    o.market.start_ns = TEST_START_NS;
    enum status st = keys_parse(&f->keys, TEST_KEYS, strlen(TEST_KEYS), "test", &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(wire_key_ed25519(&f->eve, TEST_ED_PRIVATE, strlen(TEST_ED_PRIVATE), &err), 0);
    st = world_open(&f->world, &o, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    f->now_ns = TEST_START_NS + NS_PER_SECOND;
    world_advance(f->world, f->now_ns);
    struct limiter_config limits = limiter_config_defaults();
    struct streams_options streams = {.seed = 7};
    f->rest =
        (struct rest){.world = f->world, .keys = &f->keys, .options = rest_options_defaults()};
    f->rest.options.classic_conditional = classic;
    assert_int_equal(limiter_create(&f->rest.limiter, &limits, &err), ST_OK);
    assert_int_equal(streams_create(&f->rest.streams, f->world, &streams, &err), ST_OK);
    assert_int_equal(rest_init(&f->rest, &err), ST_OK);
}

static inline int fixture_close(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    json_decref(f->body);
    rest_free(&f->rest);
    streams_destroy(f->rest.streams);
    limiter_destroy(f->rest.limiter);
    assert_int_equal(world_close(f->world, &err), ST_OK);
    wire_key_free(f->eve);
    keys_free(&f->keys);
    free(f);
    return 0;
}
static inline int fixture_make(void **state, enum market_source source, bool classic) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_open(f, source, classic);
    *state = f;
    return 0;
}
static inline int fixture_pure(void **state) {
    return fixture_make(state, MARKET_PURE, false);
}
static inline int fixture_synthetic(void **state) {
    return fixture_make(state, MARKET_SYNTHETIC, false);
}
#define TEST_PURE(t)      cmocka_unit_test_setup_teardown(t, fixture_pure, fixture_close)
#define TEST_SYNTHETIC(t) cmocka_unit_test_setup_teardown(t, fixture_synthetic, fixture_close)

/* ---- asking ---- */

static inline struct net_text text_of(const char *s) {
    return (struct net_text){s, strlen(s)};
}

/* Bytes as they are. */
static inline json_t *ask_raw(struct fixture *f, const char *api_key, enum net_method method,
                              const char *path, const char *query, const char *body) {
    struct rest_request r = {.method = method,
                             .path = text_of(path),
                             .query = text_of(query),
                             .body = text_of(body),
                             .api_key = text_of(api_key),
                             .peer = "127.0.0.1",
                             .now_ns = f->now_ns};
    struct rest_answer a;
    json_error_t error;
    rest_handle(&f->rest, &r, &a);
    f->status = a.status;
    f->code = a.code;
    f->account = a.account;
    f->body_size = a.body_size;
    memcpy(f->headers, a.headers, sizeof f->headers);
    json_decref(f->body);
    f->body = json_loadb(a.body, a.body_size, JSON_REJECT_DUPLICATES, &error);
    if (!f->body) fail_msg("%s: %s: %.*s", path, error.text, (int)a.body_size, a.body);
    return f->body;
}

/* who: NULL nobody, "alice", "bob", "reader" (HMAC), "eve" (Ed25519). GET and DELETE are signed in the query, the
 * others in the body. */
static inline json_t *ask(struct fixture *f, const char *who, enum net_method method,
                          const char *path, const char *params) {
    static char text[TEST_TEXT + 512], api_key[64], secret[64], signature[WIRE_ED25519_TEXT_SIZE],
        encoded[3 * WIRE_ED25519_TEXT_SIZE];
    if (!who) return ask_raw(f, "", method, path, params, "");
    size_t size = (size_t)snprintf(text, sizeof text, "%s%stimestamp=%lld", params,
                                   *params ? "&" : "", (long long)(f->now_ns / NS_PER_MS));
    if (f->window_ms)
        size += (size_t)snprintf(text + size, sizeof text - size, "&recvWindow=%lld",
                                 (long long)f->window_ms);
    snprintf(api_key, sizeof api_key, "%s-key", who);
    snprintf(secret, sizeof secret, "%s-secret", who);
    struct wire_key *key = f->eve, *own = NULL;
    if (strcmp(who, "eve") != 0) {
        assert_int_equal(wire_key_hmac(&own, secret, strlen(secret), NULL), ST_OK);
        key = own;
    }
    assert_true(wire_sign(key, signature, text, size, NULL, 0) > 0);
    wire_key_free(own);
    size_t n = wire_percent_encode(encoded, sizeof encoded, signature, strlen(signature));
    assert_true(n > 0 && n < sizeof encoded);
    encoded[n] = '\0';
    snprintf(text + size, sizeof text - size, "&signature=%s", encoded);
    bool in_query = method == NET_GET || method == NET_DELETE;
    return ask_raw(f, api_key, method, path, in_query ? text : "", in_query ? "" : text);
}

/* Printf for parameters. */
__attribute__((format(printf, 1, 2))) static inline const char *with(const char *format, ...) {
    static char text[4][TEST_TEXT];
    static unsigned at;
    char *out = text[at++ % 4];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out, TEST_TEXT, format, args);
    va_end(args);
    assert_true(n >= 0 && n < TEST_TEXT);
    return out;
}

static inline json_t *get(struct fixture *f, const char *path, const char *params) {
    json_t *j = ask(f, NULL, NET_GET, path, params);
    if (f->status != 200) fail_msg("%s?%s: %d", path, params, f->code);
    return j;
}
static inline json_t *done(struct fixture *f, const char *who, enum net_method method,
                           const char *path, const char *params) {
    json_t *j = ask(f, who, method, path, params);
    if (f->status != 200)
        fail_msg("%s?%s: %d %s", path, params, f->code,
                 json_string_value(json_object_get(j, "msg")));
    assert_int_equal(f->code, 0);
    return j;
}

/* ---- reading ---- */

static inline json_t *member(const json_t *o, const char *key) {
    json_t *v = json_object_get(o, key);
    if (!v) fail_msg("no member %s", key);
    return v;
}
static inline const char *S(const json_t *o, const char *key) {
    if (json_typeof(member(o, key)) != JANSSON_STRING) fail_msg("%s is no string", key);
    return json_string_value(member(o, key));
}
static inline int64_t I(const json_t *o, const char *key) {
    if (json_typeof(member(o, key)) != JANSSON_INTEGER) fail_msg("%s is no integer", key);
    return json_integer_value(member(o, key));
}
static inline double N(const json_t *o, const char *key) {
    int type = (int)json_typeof(member(o, key));
    if (type != JANSSON_INTEGER && type != JANSSON_REAL) fail_msg("%s is no number", key);
    return json_number_value(member(o, key));
}
static inline bool B(const json_t *o, const char *key) {
    int type = (int)json_typeof(member(o, key));
    if (type != JANSSON_TRUE && type != JANSSON_FALSE) fail_msg("%s is no boolean", key);
    return type == JANSSON_TRUE;
}
/* A decimal string's value. */
static inline int64_t D(const json_t *o, const char *key) {
    int64_t e8 = 0;
    const char *text = S(o, key);
    if (fx_parse(&e8, text, strlen(text)) != ST_OK) fail_msg("%s is no decimal: %s", key, text);
    return e8;
}
static inline json_t *at(const json_t *list, size_t i) {
    assert_int_equal(json_typeof(list), JANSSON_ARRAY);
    json_t *v = json_array_get(list, i);
    if (!v) fail_msg("no element %zu", i);
    return v;
}
static inline size_t count(const json_t *list) {
    assert_int_equal(json_typeof(list), JANSSON_ARRAY);
    return json_array_size(list);
}
/* The element whose member has this text. */
static inline json_t *where(const json_t *list, const char *key, const char *value) {
    for (size_t i = 0; i < count(list); i++)
        if (strcmp(S(at(list, i), key), value) == 0) return at(list, i);
    fail_msg("nothing with %s %s", key, value);
    return NULL;
}

/* Refused with the code: its HTTP status, its text. */
static inline const char *refused(struct fixture *f, const char *who, enum net_method method,
                                  const char *path, const char *params, int32_t code) {
    json_t *j = ask(f, who, method, path, params);
    if (f->code != code) fail_msg("%s?%s: %d, not %d", path, params, f->code, code);
    assert_int_equal(f->status, venue_error_http(code));
    assert_int_equal(I(j, "code"), code);
    assert_int_equal(json_object_size(j), 2);
    if (strstr(S(j, "msg"), "%s")) fail_msg("text with a hole: %s", S(j, "msg"));
    return S(j, "msg");
}

/* ---- trading ---- */

#define F1 "/fapi/v1/"
#define F2 "/fapi/v2/"
#define F3 "/fapi/v3/"

static inline int64_t limit_order(struct fixture *f, const char *who, const char *side,
                                  const char *qty, const char *px) {
    json_t *j = done(f, who, NET_POST, F1 "order",
                     with("symbol=BTCUSDT&side=%s&type=LIMIT&timeInForce=GTC&quantity=%s&price=%s",
                          side, qty, px));
    return I(j, "orderId");
}
/* A book: bob asks at 68010 and 68020, bids at 67990 and 67980, one BTC each. */
static inline void make_book(struct fixture *f) {
    limit_order(f, "bob", "SELL", "1", "68010");
    limit_order(f, "bob", "SELL", "1", "68020");
    limit_order(f, "bob", "BUY", "1", "67990");
    limit_order(f, "bob", "BUY", "1", "67980");
}
static inline void pass(struct fixture *f, int64_t ns) {
    f->now_ns += ns;
    world_advance(f->world, f->now_ns);
}
#endif
