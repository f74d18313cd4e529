#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "net/net_internal.h"

#define HOST "Host: h\r\n"

static struct net_limits limits_small(void) {
    struct net_limits l = net_limits_defaults();
    l.header_bytes_max = 512;
    l.headers_max = 8;
    l.body_bytes_max = 64;
    return l;
}

static bool is(struct net_text t, const char *text) {
    return t.size == strlen(text) && memcmp(t.data, text, t.size) == 0;
}

/* An exact copy of the bytes, so that the sanitizer sees a read behind them. */
static enum net_parse parse_bytes(struct net_request *r, size_t *used, int *status, char **copy,
                                  const char *bytes, size_t size) {
    struct net_limits l = limits_small();
    *copy = malloc(size ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, bytes, size);
    *status = 0;
    return net_request_parse(r, used, status, *copy, size, &l);
}

static void expect_bytes(const char *bytes, size_t size, enum net_parse want, int want_status) {
    struct net_request r;
    size_t used;
    int status;
    char *copy;
    enum net_parse got = parse_bytes(&r, &used, &status, &copy, bytes, size);
    free(copy);
    if (got != want || (want_status && status != want_status))
        fail_msg("parse gave %d (%d), wanted %d (%d):\n%.*s", got, status, want, want_status,
                 (int)size, bytes);
}

static void expect_bad(const char *text, int status) {
    bool large = status == 413 || status == 414 || status == 431;
    expect_bytes(text, strlen(text), large ? NET_PARSE_TOO_LARGE : NET_PARSE_BAD, status);
}

static void test_parts(void **state) {
    (void)state;
    static const char text[] =
        "POST /fapi/v1/order?symbol=BTCUSDT&x=%2f%zz+[{\"a\":1}] HTTP/1.1\r\n"
        "host:127.0.0.1:8100\r\nX-MBX-APIKEY: \t k \t\r\nEmpty:\r\nContent-Length: 5\r\n"
        "\r\na=1&bGET /next HTTP/1.1\r\n";
    struct net_request r;
    size_t used;
    int status;
    char *copy;
    assert_int_equal(parse_bytes(&r, &used, &status, &copy, text, sizeof text - 1), NET_PARSE_DONE);
    assert_int_equal(r.method, NET_POST);
    assert_true(is(r.method_text, "POST"));
    assert_true(is(r.path, "/fapi/v1/order"));
    assert_true(is(r.query, "symbol=BTCUSDT&x=%2f%zz+[{\"a\":1}]"));
    assert_true(is(r.body, "a=1&b"));
    assert_int_equal(r.header_count, 4);
    assert_true(is(net_header(&r, "x-mbx-apikey"), "k"));
    assert_true(is(net_header(&r, "HOST"), "127.0.0.1:8100"));
    assert_non_null(net_header(&r, "empty").data);
    assert_int_equal(net_header(&r, "empty").size, 0);
    assert_null(net_header(&r, "hos").data);
    assert_true(r.keep_alive);
    assert_false(r.upgrade);
    assert_int_equal(memcmp(copy + used, "GET /next", 9), 0);
    free(copy);
}

static void target_is(const char *target, const char *path, const char *query) {
    char text[256];
    struct net_request r;
    size_t used;
    int status;
    char *copy;
    int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n" HOST "\r\n",
                     *target == '*' ? "OPTIONS" : "GET", target);
    enum net_parse p = parse_bytes(&r, &used, &status, &copy, text, (size_t)n);
    if (p != NET_PARSE_DONE || !is(r.path, path) || !is(r.query, query))
        fail_msg("target %s", target);
    free(copy);
}

static void test_targets(void **state) {
    (void)state;
    target_is("/", "/", "");
    target_is("/a?", "/a", "");
    target_is("/a?b?c", "/a", "b?c");
    target_is("/%00%2e%2E//", "/%00%2e%2E//", "");
    target_is("http://h:1/p?q", "/p", "q");
    target_is("HTTPS://h", "/", "");
    target_is("http://h?q", "/", "q");
    target_is("*", "*", "");
    expect_bad("GET * HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET  HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET a HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET ?a HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET /a b HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET /a\tb HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET http:///a HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("CONNECT h:1 HTTP/1.1\r\n" HOST "\r\n", 400);
}

static void test_methods_and_versions(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum net_method method;
    } rows[] = {{"GET", NET_GET},     {"PUT", NET_PUT},         {"DELETE", NET_DELETE},
                {"HEAD", NET_HEAD},   {"OPTIONS", NET_OPTIONS}, {"get", NET_OTHER},
                {"PATCH", NET_OTHER}, {"GETX", NET_OTHER}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        struct net_request r;
        size_t used;
        int status;
        char *copy;
        int n = snprintf(text, sizeof text, "%s / HTTP/1.1\r\n" HOST "\r\n", rows[i].name);
        assert_int_equal(parse_bytes(&r, &used, &status, &copy, text, (size_t)n), NET_PARSE_DONE);
        assert_int_equal(r.method, rows[i].method);
        assert_int_equal(used, n);
        free(copy);
    }
    expect_bad("G@T / HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad(" GET / HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("AAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" HOST "\r\n", 501);
    expect_bad("GET / HTTP/1.2\r\n" HOST "\r\n", 505);
    expect_bad("GET / HTTP/2.0\r\n" HOST "\r\n", 505);
    expect_bad("GET / HTTP/0.9\r\n" HOST "\r\n", 505);
    expect_bad("GET / HTTP/11.1\r\n" HOST "\r\n", 400);
    expect_bad("GET / http/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET / HTTP/1.1 \r\n" HOST "\r\n", 400);
    expect_bad("GET /  HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("GET /\r\n" HOST "\r\n", 400);
    expect_bad("GET\r\n" HOST "\r\n", 400);
}

static void keep_alive_is(const char *text, bool want) {
    struct net_request r;
    size_t used;
    int status;
    char *copy;
    assert_int_equal(parse_bytes(&r, &used, &status, &copy, text, strlen(text)), NET_PARSE_DONE);
    if (r.keep_alive != want) fail_msg("keep_alive %d of %s", r.keep_alive, text);
    free(copy);
}

static void test_keep_alive(void **state) {
    (void)state;
    keep_alive_is("GET / HTTP/1.1\r\n" HOST "\r\n", true);
    keep_alive_is("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false);
    keep_alive_is("GET / HTTP/1.1\r\n" HOST "Connection: a, CLOSE ,b\r\n\r\n", false);
    keep_alive_is("GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true);
    keep_alive_is("GET / HTTP/1.0\r\n\r\n", false);
    keep_alive_is("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true);
}

static void test_smuggling(void **state) {
    (void)state;
    static const char *const lines[] = {
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: -1",
        "Content-Length: 0x1",
        "Content-Length: 1 1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 1",
        "Content-Length\t: 1",
        "Transfer-Encoding: chunked\r\nContent-Length: 1",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        " folded: 1",
        "A: b\r\n c",
        "A: b\r\n\tc",
        ": empty",
        "no colon",
        "A\x01: b",
        "A: b\rc",
        "A: \x01",
        "A: \x7f",
        "Host: two",
        "A b: c",
        "\r: c",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[256];
        snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "%s\r\n\r\n0\r\n\r\n", lines[i]);
        expect_bad(text, 400);
    }
    expect_bad("POST / HTTP/1.1\r\n\r\n", 400); /* no Host */
    expect_bad("POST / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 501);
    expect_bad("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Expect: wonders\r\n\r\n", 417);
    expect_bad("GET / HTTP/1.1\n" HOST "\r\n", 400);
    expect_bad("GET / HTTP/1.1\r\nHost: h\n\r\n", 400);
    expect_bad("GET / HTTP/1.1\r\n" HOST "\n", 400);
    expect_bad("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_bad("\n", 400);
    expect_bad("\x16\x03\x01", 400); /* TLS to a plain port: known at once */
    static const char nul[] = "GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n";
    expect_bytes(nul, sizeof nul - 1, NET_PARSE_BAD, 400);
    static const char nul_name[] = "GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n";
    expect_bytes(nul_name, sizeof nul_name - 1, NET_PARSE_BAD, 400);
    static const char nul_path[] = "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n";
    expect_bytes(nul_path, sizeof nul_path - 1, NET_PARSE_BAD, 400);
}

static void test_limits(void **state) {
    (void)state;
    char text[4096];
    /* 414: the line alone is too long, also before it ended. */
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    expect_bytes(text, 512, NET_PARSE_MORE, 0);
    expect_bytes(text, 513, NET_PARSE_TOO_LARGE, 414);
    /* 431 by size, with the last allowed size going through. */
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "A: ");
    size_t pad = 512 - (size_t)n - 4;
    memset(text + n, 'x', pad + 1);
    memcpy(text + n + pad, "\r\n\r\n", 4);
    expect_bytes(text, 512, NET_PARSE_DONE, 0);
    text[(size_t)n + pad] = 'x';
    memcpy(text + n + pad + 1, "\r\n\r\n", 4);
    expect_bytes(text, 513, NET_PARSE_TOO_LARGE, 431);
    /* 431 by number. */
    for (int count = 8; count <= 9; count++) {
        n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < count; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "A%d: b\r\n", i);
        n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
        expect_bytes(text, (size_t)n, count == 8 ? NET_PARSE_DONE : NET_PARSE_TOO_LARGE,
                     count == 8 ? 0 : 431);
    }
    /* 413 from the head alone. */
    expect_bytes("POST / HTTP/1.1\r\n" HOST "Content-Length: 64\r\n\r\n", 47, NET_PARSE_MORE, 0);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Content-Length: 65\r\n\r\n", 413);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Content-Length: 104857600\r\n\r\n", 413);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n41\r\n", 413);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n40\r\n",
               413);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
               413);
    expect_bad("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
               400);
    /* What is around chunks is limited, too. */
    n = snprintf(text, sizeof text,
                 "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 60; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "1;abcdefghij\r\nx\r\n");
    expect_bad(text, 413);
    n = snprintf(text, sizeof text,
                 "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 60; i++) n += snprintf(text + n, sizeof text - (size_t)n, "Trailer: x\r\n");
    expect_bad(text, 431);
}

static void body_is(const char *chunks, const char *want) {
    char text[1024];
    struct net_request r;
    size_t used;
    int status;
    char *copy;
    int n = snprintf(text, sizeof text,
                     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n%sGET", chunks);
    enum net_parse p = parse_bytes(&r, &used, &status, &copy, text, (size_t)n);
    if (p != NET_PARSE_DONE || !is(r.body, want) || used != (size_t)n - 3)
        fail_msg("body of %s", chunks);
    free(copy);
}

static void test_chunks(void **state) {
    (void)state;
    body_is("0\r\n\r\n", "");
    body_is("1\r\na\r\n0\r\n\r\n", "a");
    body_is("0001\r\na\r\nA\r\n0123456789\r\n2;x=\"y z\"\r\n\r\n\r\n0;last\r\nT: 1\r\nU: 2\r\n\r\n",
            "a0123456789\r\n");
    static const char *const bad[] = {
        "\r\n",           "g\r\n",           "1 \r\na\r\n", "1\na\r\n",          "1\r\nab\r\n",
        "1\r\na\n0\r\n",  "-1\r\n",          "0x1\r\n",     "1;\x01\r\na\r\n",   "0\r\nbad\r\n\r\n",
        "0\r\n a: b\r\n", "0\r\nT: 1\n\r\n", "+1\r\n",      "1\r\na\r0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s", bad[i]);
        expect_bad(text, 400);
    }
}

static const char *const WHOLE[] = {
    "GET /a?b=c HTTP/1.1\r\n" HOST "\r\n",
    "\r\nGET / HTTP/1.0\r\n\r\n",
    "POST /order HTTP/1.1\r\n" HOST "Content-Length: 11\r\nExpect: 100-continue\r\n\r\nhello=world",
    "POST /c HTTP/1.1\r\n" HOST
    "Transfer-Encoding: chunked\r\n\r\n5;e\r\nhello\r\n06\r\n=world\r\n0\r\nT: x\r\n\r\n",
};

/* However a request is cut into reads, it is the same request; and no part of it is one. */
static void test_drips(void **state) {
    (void)state;
    struct net_limits l = limits_small();
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++) {
        size_t size = strlen(WHOLE[i]);
        for (size_t step = 1; step <= size; step++) {
            struct request_scan scan = {0};
            struct net_request r;
            size_t used, have = 0;
            int status;
            enum net_parse p = NET_PARSE_MORE;
            char *bytes = NULL;
            while (p == NET_PARSE_MORE && have < size) {
                size_t next = have + step < size ? have + step : size;
                char *moved = malloc(next); /* elsewhere each time */
                assert_non_null(moved);
                if (have) memcpy(moved, bytes, have);
                memcpy(moved + have, WHOLE[i] + have, next - have);
                free(bytes);
                bytes = moved;
                have = next;
                p = request_scan(&scan, &r, &used, &status, bytes, have, &l);
            }
            assert_int_equal(p, NET_PARSE_DONE);
            assert_int_equal(have, size);
            assert_int_equal(used, size);
            assert_true(r.body.data >= bytes && r.body.data + r.body.size <= bytes + size);
            assert_true(is(r.body, i < 2 ? "" : "hello=world"));
            assert_int_equal(scan.expect_continue, i == 2);
            free(bytes);
        }
        for (size_t cut = 0; cut < size; cut++) expect_bytes(WHOLE[i], cut, NET_PARSE_MORE, 0);
    }
}

static bool upgrades(const char *request_line, const char *headers) {
    char text[512];
    struct net_request r;
    size_t used;
    int status;
    char *copy;
    int n = snprintf(text, sizeof text, "%s\r\n" HOST "%s\r\n", request_line, headers);
    enum net_parse p = parse_bytes(&r, &used, &status, &copy, text, (size_t)n);
    bool upgrade = p == NET_PARSE_DONE && r.upgrade;
    free(copy);
    return upgrade;
}

static void test_handshake(void **state) {
    (void)state;
    static const char get[] = "GET /ws HTTP/1.1";
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UP  "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
    assert_true(upgrades(get, UP KEY V13));
    assert_false(upgrades("POST /ws HTTP/1.1", UP KEY V13));
    assert_false(upgrades("GET /ws HTTP/1.0", UP KEY V13));
    assert_false(upgrades(get, UP KEY));
    assert_false(upgrades(get, UP V13));
    assert_false(upgrades(get, UP KEY KEY V13));
    assert_false(upgrades(get, UP KEY "Sec-WebSocket-Version: 8\r\n"));
    assert_false(upgrades(get, "Upgrade: websocket\r\n" KEY V13));
    assert_false(upgrades(get, "Connection: upgrade\r\n" KEY V13));
    assert_false(upgrades(get, UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"));
    assert_false(upgrades(get, UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n"));
    assert_false(upgrades(get, UP V13 "Sec-WebSocket-Key: dGhl HNhbXBsZSBub25jZQ==\r\n"));
    /* RFC 6455, section 1.3 */
    char accept[WS_ACCEPT_SIZE];
    ws_accept_key(accept, (struct net_text){"dGhlIHNhbXBsZSBub25jZQ==", 24});
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_methods_and_versions),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_drips),
        cmocka_unit_test(test_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
