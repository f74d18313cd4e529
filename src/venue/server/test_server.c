/* The whole exchange over its sockets: calls, streams, the WebSocket API, latency, and what faults do to them.
 * (What faults do to plain HTTP calls is in test/e2e/exchange.sh.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <uv.h>

#include "base/tstamp.h"
#include "net/test_client.h"
#include "venue/server/server.h"
#include "venue/wire/wire.h"

enum { TEXT_SIZE = 4096, MESSAGE_SIZE = 65536 };

struct venue {
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    struct server *server;
    struct server_options options;
    struct listing listing;
    struct keys keys;
    uint16_t port, admin;
    int http; /* a connection of the account */
};

static void on_stop(uv_async_t *async) {
    struct venue *v = async->data;
    server_stop(v->server);
    uv_close((uv_handle_t *)async, NULL);
}

static void *venue_thread(void *context) {
    struct venue *v = context;
    uv_run(&v->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void venue_prepare(struct venue *v, const char *symbols) {
    struct err err;
    struct listing_options listing = {.source = MARKET_SYNTHETIC, .symbols = symbols};
    memset(v, 0, sizeof *v);
    if (listing_make(&v->listing, &listing, &err) != ST_OK) fail_msg("%s", err.text);
    if (keys_open_account(&v->keys, NULL, money_e8(100000 * FX_ONE), &err) != ST_OK)
        fail_msg("%s", err.text);
    v->options = (struct server_options){.admin = true,
                                         .listing = &v->listing,
                                         .keys = &v->keys,
                                         .source = MARKET_SYNTHETIC,
                                         .seed = 5,
                                         .history_days = 1,
                                         .limits_off = true};
}

static void venue_start(struct venue *v) {
    struct err err;
    assert_int_equal(uv_loop_init(&v->loop), 0);
    if (server_open(&v->server, &v->loop, &v->options, &err) != ST_OK) fail_msg("%s", err.text);
    v->port = server_port(v->server);
    v->admin = server_admin_port(v->server);
    v->stop.data = v;
    assert_int_equal(uv_async_init(&v->loop, &v->stop, on_stop), 0);
    assert_int_equal(pthread_create(&v->thread, NULL, venue_thread, v), 0);
    v->http = dial(v->port);
}

static void venue_end(struct venue *v) {
    struct err err;
    uv_async_send(&v->stop);
    pthread_join(v->thread, NULL);
    assert_int_equal(server_free(v->server, &err), ST_OK);
    assert_int_equal(uv_loop_close(&v->loop), 0);
    keys_free(&v->keys);
    listing_free(&v->listing);
    close(v->http);
}

/* ---- asking ---- */

static struct answer *request(int fd, const char *key, const char *method, const char *path,
                              const char *query) {
    char text[TEXT_SIZE];
    int n = snprintf(text, sizeof text,
                     "%s %s%s%s HTTP/1.1\r\nHost: h\r\nX-MBX-APIKEY: %s\r\nContent-Length: "
                     "0\r\n\r\n",
                     method, path, *query ? "?" : "", query, key);
    assert_true(n > 0 && (size_t)n < sizeof text);
    put_bytes(fd, text, (size_t)n);
    return answer_of(fd, true);
}

static void admin_post(struct venue *v, const char *path, const char *query) {
    int fd = dial(v->admin);
    struct answer *a = request(fd, "-", "POST", path, query);
    if (a->status != 200) fail_msg("admin %s?%s: %s", path, query, a->body);
    free(a);
    close(fd);
}

static void fire(struct venue *v, const char *kind) {
    char query[64];
    snprintf(query, sizeof query, "kind=%s", kind);
    admin_post(v, "/faults/fire", query);
}

static int64_t now_ms(void) {
    return tstamp_wall_ns() / NS_PER_MS;
}

static void sign(const struct venue *v, char *query, size_t size) {
    char text[WIRE_ED25519_TEXT_SIZE];
    size_t at = strlen(query);
    at += (size_t)snprintf(query + at, size - at, "%stimestamp=%lld", *query ? "&" : "",
                           (long long)now_ms());
    assert_true(wire_sign(v->keys.rows[0].key, text, query, at, NULL, 0) > 0);
    snprintf(query + at, size - at, "&signature=%s", text);
}

static struct answer *call(struct venue *v, const char *method, const char *path,
                           const char *parameters) {
    char query[TEXT_SIZE];
    snprintf(query, sizeof query, "%s", parameters);
    sign(v, query, sizeof query);
    return request(v->http, v->keys.rows[0].api_key, method, path, query);
}

static void order(struct venue *v, const char *id) {
    char query[256];
    snprintf(query, sizeof query,
             "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=66000&"
             "newClientOrderId=%s",
             id);
    struct answer *a = call(v, "POST", "/fapi/v1/order", query);
    if (a->status != 200) fail_msg("order %s: %s", id, a->body);
    free(a);
}

static bool is_there(struct venue *v, const char *id) {
    char query[128];
    snprintf(query, sizeof query, "symbol=BTCUSDT&origClientOrderId=%s", id);
    struct answer *a = call(v, "GET", "/fapi/v1/order", query);
    bool there = a->status == 200;
    free(a);
    return there;
}

static int user_stream(struct venue *v) {
    char path[256], listen_key[128];
    struct answer *a = request(v->http, v->keys.rows[0].api_key, "POST", "/fapi/v1/listenKey", "");
    assert_int_equal(sscanf(a->body, "{\"listenKey\":\"%127[A-Za-z0-9]", listen_key), 1);
    free(a);
    snprintf(path, sizeof path, "/private/ws?listenKey=%s&events=ORDER_TRADE_UPDATE", listen_key);
    return ws_dial(v->port, path);
}

/* The next order report on a user stream is of this order. */
static void expect_report(int fd, const char *id) {
    char message[MESSAGE_SIZE], want[64];
    assert_int_equal(ws_get(fd, message, sizeof message, NULL), 0x81);
    snprintf(want, sizeof want, "\"c\":\"%s\"", id);
    if (!strstr(message, want)) fail_msg("wanted a report of %s, got %s", id, message);
}

static bool is_quiet(int fd, int ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 0;
}

/* ---- tests ---- */

static void test_user_stream_and_its_faults(void **state) {
    (void)state;
    struct venue v;
    venue_prepare(&v, "2");
    venue_start(&v);
    int fd = user_stream(&v);
    order(&v, "plain");
    expect_report(fd, "plain");
    fire(&v, "doubled_ack");
    order(&v, "doubled");
    expect_report(fd, "doubled");
    expect_report(fd, "doubled");
    fire(&v, "stream_double");
    order(&v, "twice");
    expect_report(fd, "twice");
    expect_report(fd, "twice");
    fire(&v, "stream_swap");
    order(&v, "first");
    order(&v, "second");
    expect_report(fd, "second");
    expect_report(fd, "first");
    fire(&v, "stream_swap"); /* with none behind it, it comes by itself */
    order(&v, "alone");
    expect_report(fd, "alone");
    fire(&v, "stream_drop");
    order(&v, "dropped");
    order(&v, "after");
    expect_report(fd, "after");
    fire(&v, "user_silent");
    order(&v, "silent");
    assert_true(is_quiet(fd, 300));
    assert_true(is_there(&v, "silent"));
    close(fd);
    venue_end(&v);
}

static void test_key_expires(void **state) {
    (void)state;
    struct venue v;
    char message[MESSAGE_SIZE];
    venue_prepare(&v, "1");
    venue_start(&v);
    int fd = user_stream(&v);
    fire(&v, "key_expired");
    assert_int_equal(ws_get(fd, message, sizeof message, NULL), 0x81);
    assert_non_null(strstr(message, "listenKeyExpired"));
    order(&v, "unseen");
    assert_true(is_quiet(fd, 200));
    close(fd);
    venue_end(&v);
}

static void test_market_streams(void **state) {
    (void)state;
    struct venue v;
    char message[MESSAGE_SIZE];
    venue_prepare(&v, "2");
    venue_start(&v);
    int fd = ws_dial(v.port, "/public/stream?streams=btcusdt@depth@100ms/ethusdt@bookTicker");
    int seen = 0;
    while (seen != 3) {
        assert_int_equal(ws_get(fd, message, sizeof message, NULL), 0x81);
        if (strstr(message, "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{")) seen |= 1;
        if (strstr(message, "{\"stream\":\"ethusdt@bookTicker\",\"data\":{")) seen |= 2;
    }
    ws_put(fd, 0x88, "\x03\xe8", 2);
    close(fd);
    static const char *const wrong[] = {"/", "/nothing", "/public", "/ws-fapi/v2", "/fapi/v1/ping"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[256];
        fd = dial(v.port);
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "
                 "13\r\n\r\n",
                 wrong[i]);
        ask(fd, text, 404, NULL);
        close(fd);
    }
    venue_end(&v);
}

/* Incoming messages of a stream connection: ten a second, as on the venue. */
static void test_message_rate(void **state) {
    (void)state;
    struct venue v;
    char message[MESSAGE_SIZE];
    size_t size;
    venue_prepare(&v, "1");
    v.options.limits_off = false;
    venue_start(&v);
    int fd = ws_dial(v.port, "/ws");
    for (int i = 0; i < 11; i++) ws_say(fd, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":1}");
    for (int i = 0; i < 10; i++) assert_int_equal(ws_get(fd, message, sizeof message, NULL), 0x81);
    assert_int_equal(ws_get(fd, message, sizeof message, &size), 0x88);
    assert_int_equal((unsigned char)message[0] << 8 | (unsigned char)message[1], 1008);
    close(fd);
    venue_end(&v);
}

static int64_t number_behind(const char *text, const char *name) {
    const char *at = strstr(text, name);
    if (!at) {
        fail_msg("no %s in %s", name, text);
        return 0;
    }
    at += strlen(name);
    while (*at == '"' || *at == ':') at++;
    return strtoll(at, NULL, 10);
}

static int64_t public_number(struct venue *v, const char *path, const char *query,
                             const char *name) {
    struct answer *a = request(v->http, "-", "GET", path, query);
    assert_int_equal(a->status, 200);
    int64_t n = number_behind(a->body, name);
    free(a);
    return n;
}

static void test_stale_book(void **state) {
    (void)state;
    struct venue v;
    venue_prepare(&v, "1");
    venue_start(&v);
    int64_t id = public_number(&v, "/fapi/v1/depth", "symbol=BTCUSDT", "lastUpdateId"), next;
    do next = public_number(&v, "/fapi/v1/depth", "symbol=BTCUSDT", "lastUpdateId");
    while (next == id); /* it moves */
    fire(&v, "stale_book");
    id = public_number(&v, "/fapi/v1/depth", "symbol=BTCUSDT", "lastUpdateId");
    /* Mark goes on, each second; the book does not. */
    for (int marks = 0; marks < 3; marks++) {
        int64_t time = public_number(&v, "/fapi/v1/premiumIndex", "symbol=BTCUSDT", "\"time\"");
        while (public_number(&v, "/fapi/v1/premiumIndex", "symbol=BTCUSDT", "\"time\"") == time) {}
    }
    assert_int_equal(public_number(&v, "/fapi/v1/depth", "symbol=BTCUSDT", "lastUpdateId"), id);
    venue_end(&v);
}

/* ---- the WebSocket API ---- */

/* Payload of a signature: parameters sorted by name. */
static void api_order(struct venue *v, int fd, const char *id, const char *client_id) {
    char text[TEXT_SIZE], hex[WIRE_ED25519_TEXT_SIZE];
    const char *key = v->keys.rows[0].api_key;
    long long now = (long long)now_ms();
    snprintf(text, sizeof text,
             "apiKey=%s&newClientOrderId=%s&price=66000&quantity=0.001&side=BUY&symbol=BTCUSDT&"
             "timeInForce=GTC&timestamp=%lld&type=LIMIT",
             key, client_id, now);
    assert_true(wire_sign(v->keys.rows[0].key, hex, text, strlen(text), NULL, 0) > 0);
    snprintf(text, sizeof text,
             "{\"id\":%s,\"method\":\"order.place\",\"params\":{\"apiKey\":\"%s\","
             "\"newClientOrderId\":\"%s\",\"price\":\"66000\",\"quantity\":\"0.001\",\"side\":"
             "\"BUY\",\"symbol\":\"BTCUSDT\",\"timeInForce\":\"GTC\",\"timestamp\":%lld,\"type\":"
             "\"LIMIT\",\"signature\":\"%s\"}}",
             id, key, client_id, now, hex);
    ws_say(fd, text);
}

static void api_expect(int fd, const char *begin, const char *part) {
    char message[MESSAGE_SIZE];
    assert_int_equal(ws_get(fd, message, sizeof message, NULL), 0x81);
    if (strncmp(message, begin, strlen(begin)) != 0 || !strstr(message, part))
        fail_msg("wanted %s…%s, got %s", begin, part, message);
}

static void test_websocket_api(void **state) {
    (void)state;
    struct venue v;
    venue_prepare(&v, "1");
    venue_start(&v);
    int fd = ws_dial(v.port, "/ws-fapi/v1?returnRateLimits=false");
    api_order(&v, fd, "\"one\"", "w1");
    api_expect(fd, "{\"id\":\"one\",\"status\":200,\"result\":{", "\"clientOrderId\":\"w1\"");
    fire(&v, "unknown_done");
    api_order(&v, fd, "2", "w2");
    api_expect(fd, "{\"id\":2,\"status\":503,\"error\":{\"code\":-1000,", "Unknown error");
    assert_true(is_there(&v, "w2"));
    fire(&v, "unavailable");
    api_order(&v, fd, "3", "w3");
    api_expect(fd, "{\"id\":3,\"status\":503,\"error\":{\"code\":-1008,", "}");
    assert_false(is_there(&v, "w3"));
    fire(&v, "lost_ack"); /* nothing comes; the connection stays */
    api_order(&v, fd, "4", "w4");
    api_order(&v, fd, "5", "w5");
    api_expect(fd, "{\"id\":5,\"status\":200,", "w5");
    assert_true(is_there(&v, "w4"));
    fire(&v, "late_ack"); /* overtaken */
    api_order(&v, fd, "6", "w6");
    api_order(&v, fd, "7", "w7");
    api_expect(fd, "{\"id\":7,\"status\":200,", "w7");
    api_expect(fd, "{\"id\":6,\"status\":200,", "w6");
    fire(&v, "reset_after");
    api_order(&v, fd, "8", "w8");
    assert_int_equal(ended(fd), -1);
    assert_true(is_there(&v, "w8"));
    close(fd);
    venue_end(&v);
}

/* ---- latency ---- */

static void test_latency(void **state) {
    (void)state;
    struct venue v;
    venue_prepare(&v, "1");
    v.options.latency_ns = 80 * NS_PER_MS;
    v.options.jitter_ns = 20 * NS_PER_MS;
    venue_start(&v);
    int64_t from = tstamp_monotonic_ns();
    order(&v, "late");
    assert_true(tstamp_monotonic_ns() - from >= 80 * NS_PER_MS);
    /* Who asks and goes has asked. */
    char query[TEXT_SIZE], text[TEXT_SIZE];
    snprintf(query, sizeof query,
             "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=66000&"
             "newClientOrderId=gone");
    sign(&v, query, sizeof query);
    snprintf(text, sizeof text,
             "POST /fapi/v1/order?%s HTTP/1.1\r\nHost: h\r\nX-MBX-APIKEY: %s\r\n\r\n", query,
             v.keys.rows[0].api_key);
    int fd = dial(v.port);
    put_line(fd, text);
    struct linger hard = {.l_onoff = 1};
    /* The server reads in the order of arrival: once another's answer is here, the request is read. */
    public_number(&v, "/fapi/v1/time", "", "serverTime");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    int tries = 0;
    while (!is_there(&v, "gone") && tries < 100) tries++; /* each takes the latency itself */
    assert_true(tries < 100);
    venue_end(&v);
}

/* ---- starting and ending ---- */

static void test_refused_starts(void **state) {
    (void)state;
    struct venue v, second;
    struct err err;
    uv_loop_t loop;
    venue_prepare(&v, "1");
    venue_start(&v);
    venue_prepare(&second, "1");
    second.options.port = v.port;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(server_open(&second.server, &loop, &second.options, &err), ST_IO);
    assert_non_null(strstr(err.text, "taken"));
    second.options.port = 0;
    second.options.faults = "tea";
    assert_int_equal(server_open(&second.server, &loop, &second.options, &err), ST_INVALID);
    second.options.faults = NULL;
    second.options.admin_port = v.admin;
    assert_int_equal(server_open(&second.server, &loop, &second.options, &err), ST_IO);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    keys_free(&second.keys);
    listing_free(&second.listing);
    order(&v, "still");
    venue_end(&v);
}

/* Ends while calls wait and streams are open. */
static void test_busy_end(void **state) {
    (void)state;
    struct venue v;
    venue_prepare(&v, "1");
    v.options.latency_ns = 5 * NS_PER_SECOND;
    venue_start(&v);
    char query[TEXT_SIZE] = "", text[TEXT_SIZE];
    sign(&v, query, sizeof query);
    snprintf(text, sizeof text,
             "GET /fapi/v3/balance?%s HTTP/1.1\r\nHost: h\r\nX-MBX-APIKEY: %s\r\n\r\n", query,
             v.keys.rows[0].api_key);
    put_line(v.http, text);
    int fd = ws_dial(v.port, "/public/ws/btcusdt@bookTicker");
    venue_end(&v);
    ended(fd);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_stream_and_its_faults),
        cmocka_unit_test(test_key_expires),
        cmocka_unit_test(test_market_streams),
        cmocka_unit_test(test_message_rate),
        cmocka_unit_test(test_stale_book),
        cmocka_unit_test(test_websocket_api),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_refused_starts),
        cmocka_unit_test(test_busy_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
