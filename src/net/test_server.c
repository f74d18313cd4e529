#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <errno.h>

#include "net/test_server.h"

static void test_answers(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = dial(s.port);
    ask(fd, "GET /a?b=%2f+c HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /a ?b=%2f+c [] 127.0.0.1");
    ask(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nx=1", 200,
        "POST /a ? [x=1] 127.0.0.1");
    ask(fd,
        "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nx=\r\n1\r\n1\r\n0\r\n"
        "\r\n",
        200, "PUT /a ? [x=1] 127.0.0.1");
    put_line(fd, "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    struct answer *a = answer_of(fd, false);
    assert_int_equal(a->status, 200);
    assert_non_null(strstr(a->head, "Content-Length: 22\r\n"));
    assert_non_null(strstr(a->head, "X-Extra: 1\r\n"));
    assert_non_null(strstr(a->head, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(a->head, "Connection: keep-alive\r\n"));
    assert_non_null(strstr(a->head, " GMT\r\n"));
    free(a);
    ask(fd, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 200, "OPTIONS * ? [] 127.0.0.1");
    ask(fd, "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 200,
        "GET /b ? [] 127.0.0.1");
    assert_int_equal(ended(fd), 0);
    close(fd);
    fd = dial(s.port);
    ask(fd, "GET /old HTTP/1.0\r\n\r\n", 200, "GET /old ? [] 127.0.0.1");
    assert_int_equal(ended(fd), 0);
    close(fd);
    fd = dial(s.port);
    ask(fd, "GET /shut HTTP/1.1\r\nHost: h\r\n\r\n", 200, "shut");
    assert_int_equal(ended(fd), 0);
    close(fd);
    fd = dial(s.port);
    put_line(fd, "GET /reset HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(ended(fd), -1);
    close(fd);
    fd = dial(s.port);
    put_line(fd, "GET /hang_up HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(ended(fd), 0);
    close(fd);
    server_stop(&s);
    assert_int_equal(s.closed, 5);
    assert_int_equal(s.stats.requests, 10);
    assert_int_equal(s.stats.accepted, 5);
}

/* Requests that came in one packet are answered in order, also when one is answered late. */
static void test_pipelining(void **state) {
    (void)state;
    enum { MANY = 5000 };
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = dial(s.port);
    put_line(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\n"
                 "\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\nConnection: "
                 "close\r\n\r\nGET /5 HTTP/1.1\r\nHost: h\r\n\r\n");
    static const char *const want[] = {"GET /1 ? [] 127.0.0.1", "later", "GET /3 ? [] 127.0.0.1",
                                       "GET /4 ? [] 127.0.0.1"};
    for (int i = 0; i < 4; i++) {
        struct answer *a = answer_of(fd, true);
        assert_string_equal(a->body, want[i]);
        free(a);
    }
    assert_int_equal(ended(fd), 0); /* what came behind the close is not answered */
    close(fd);

    /* Half closed behind the last request: all are still answered. */
    fd = dial(s.port);
    char text[64];
    for (int i = 0; i < MANY; i++) {
        int n = snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
        put_bytes(fd, text, (size_t)n);
    }
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < MANY; i++) {
        struct answer *a = answer_of(fd, true);
        snprintf(text, sizeof text, "GET /%d ? [] 127.0.0.1", i);
        assert_string_equal(a->body, text);
        free(a);
    }
    assert_int_equal(ended(fd), 0);
    close(fd);

    /* Large answers that nobody reads yet: the server waits, then goes on where it was. */
    fd = dial(s.port);
    for (int i = 0; i < 40; i++) put_line(fd, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    others_are_served(s.port);
    for (int i = 0; i < 40; i++) {
        struct answer *a = answer_of(fd, true);
        assert_int_equal(a->body_size, 512 * 1024);
        free(a);
    }
    ask(fd, PLAIN, 200, PLAIN_BODY);
    close(fd);
    /* One that asks and vanishes before its late answer. */
    fd = dial(s.port);
    put_line(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    struct linger hard = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    others_are_served(s.port);
    server_stop(&s);
}

static void refused(uint16_t port, const char *request, int status) {
    int fd = dial(port);
    ask(fd, request, status, NULL);
    assert_int_equal(ended(fd), 0);
    close(fd);
}

static void test_refusals(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    refused(s.port, "GET / HTTP/1.1\r\n\r\n", 400);
    refused(s.port, "GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505);
    refused(s.port, "GARBAGE\n", 400);
    refused(s.port, "\x16\x03\x01\x02", 400);
    refused(s.port,
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
            400);
    refused(s.port,
            "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
            426);
    refused(s.port,
            "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n",
            400);
    others_are_served(s.port);
    server_stop(&s);
    assert_int_equal(s.stats.bad_requests, 7);
    assert_int_equal(s.stats.requests, 3); /* the two handshakes that were none, and the other */
}

static void test_expect_continue(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = dial(s.port);
    put_line(fd,
             "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    struct answer *a = answer_of(fd, false);
    assert_int_equal(a->status, 100);
    free(a);
    ask(fd, "abc", 200, "POST /e ? [abc] 127.0.0.1");
    /* A body that is there already needs no invitation. */
    ask(fd, "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        200, "POST /e ? [abc] 127.0.0.1");
    close(fd);
    refused(s.port,
            "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 104857600\r\nExpect: "
            "100-continue\r\n\r\n",
            413);
    server_stop(&s);
}

/* 413 before the body: nothing of the 100 MB is waited for, and the answer is seen although the client
 * is still sending. */
static void test_large_body(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = dial(s.port);
    static char chunk[65536];
    ask(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 104857600\r\n\r\n", 413, NULL);
    size_t sent = 0;
    for (; sent < 100u << 20; sent += sizeof chunk)
        if (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) != (ssize_t)sizeof chunk) break;
    assert_true(sent < 100u << 20); /* it was cut off long before */
    close(fd);
    others_are_served(s.port);
    /* The same with no length given, and one whose chunks have no end. */
    fd = dial(s.port);
    put_line(fd, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (sent = 0; sent < 100u << 20; sent += 4096) {
        char part[4096 + 8] = "1000\r\n";
        memcpy(part + 6 + 4096, "\r\n", 2);
        if (send(fd, part, sizeof part, MSG_NOSIGNAL) != (ssize_t)sizeof part) break;
    }
    assert_true(sent < 100u << 20);
    close(fd);
    /* The largest allowed one goes through. */
    fd = dial(s.port);
    put_line(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
    for (sent = 0; sent < 1u << 20; sent += sizeof chunk) put_bytes(fd, chunk, sizeof chunk);
    struct answer *a = answer_of(fd, true);
    assert_int_equal(a->status, 200);
    free(a);
    close(fd);
    server_stop(&s);
    assert_int_equal(s.stats.too_large, 2);
    assert_true(s.stats.bytes_in < 16u << 20);
}

static void test_header_flood(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = dial(s.port);
    put_line(fd, "GET / HTTP/1.1\r\nHost: h\r\n");
    char text[4096];
    size_t sent = 0;
    for (size_t i = 0; i < sizeof text; i++) text[i] = "Flood: 1\r\n"[i % 10];
    while (sent < 100u << 20 && send(fd, text, 4090, MSG_NOSIGNAL) == 4090) sent += 4090;
    assert_true(sent < 100u << 20);
    close(fd);
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < NET_HEADERS_MAX; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "A%d: b\r\n", i);
    snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    refused(s.port, text, 431);
    others_are_served(s.port);
    server_stop(&s);
    assert_int_equal(s.stats.too_large, 2);
}

/* A request in drips, a header that never ends, a body that never comes, one who never says anything. */
static void test_slow_loris(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    s.options.limits.request_ms_max = 150;
    s.options.limits.idle_ms_max = 400;
    server_start(&s);
    int silent = dial(s.port), drip = dial(s.port), body = dial(s.port), idle = dial(s.port);
    put_line(body, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    ask(idle, PLAIN, 200, PLAIN_BODY);
    static const char text[] =
        "GET / HTTP/1.1\r\nHost: h\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct pollfd p = {.fd = drip, .events = POLLIN};
    size_t at = 0;
    while (poll(&p, 1, 10) == 0 && at < sizeof text - 1) put_bytes(drip, text + at++, 1);
    assert_true(at < sizeof text - 1); /* answered before it was done */
    struct answer *a = answer_of(drip, true);
    assert_int_equal(a->status, 408);
    free(a);
    a = answer_of(body, true);
    assert_int_equal(a->status, 408);
    free(a);
    assert_true(ended(drip) <= 0); /* reset, if a drip came as it was closed */
    assert_int_equal(ended(body), 0);
    assert_int_equal(ended(idle), 0);
    assert_int_equal(ended(silent), 0);
    others_are_served(s.port);
    close(silent);
    close(drip);
    close(body);
    close(idle);
    server_stop(&s);
    assert_int_equal(s.stats.timed_out, 2);
}

static void test_connection_limit(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    s.options.limits.connections_max = 3;
    server_start(&s);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(s.port);
        ask(fds[i], PLAIN, 200, PLAIN_BODY);
    }
    int more = dial(s.port);
    assert_int_equal(ended(more), 0);
    close(more);
    for (int i = 0; i < 3; i++) ask(fds[i], PLAIN, 200, PLAIN_BODY);
    close(fds[1]);
    close(fds[2]);
    /* Their places are free as soon as the server has seen their end. */
    for (int left = 1000; left; left--) {
        char byte;
        fds[1] = dial(s.port);
        put_line(fds[1], PLAIN);
        if (recv(fds[1], &byte, 1, 0) == 1) break;
        close(fds[1]);
        assert_true(left > 1);
    }
    close(fds[0]);
    close(fds[1]);
    server_stop(&s);
    assert_true(s.stats.refused >= 1);
}

static void test_port_is_taken(void **state) {
    (void)state;
    struct server s;
    struct net *second;
    struct err err;
    uv_loop_t loop;
    server_prepare(&s);
    server_start(&s);
    assert_int_equal(uv_loop_init(&loop), 0);
    struct net_options o = s.options;
    o.port = s.port;
    assert_int_equal(net_open(&second, &loop, &o, &err), ST_IO);
    assert_non_null(strstr(err.text, "taken"));
    o.host = "no.such.host.invalid";
    assert_int_equal(net_open(&second, &loop, &o, &err), ST_INVALID);
    o.host = "127.0.0.1";
    o.limits.request_ms_max = 0;
    assert_int_equal(net_open(&second, &loop, &o, &err), ST_INVALID);
    assert_int_equal(uv_loop_close(&loop), 0); /* a failure leaves nothing behind */
    uint16_t port = s.port;
    int fd = dial(port);
    ask(fd, PLAIN, 200, PLAIN_BODY);
    server_stop(&s);
    assert_int_equal(ended(fd), 0);
    close(fd);
    /* The port is free again at once, in spite of the connection that waits in the kernel. */
    server_prepare(&s);
    s.options.port = port;
    server_start(&s);
    others_are_served(port);
    server_stop(&s);
}

/* Bytes at random from many clients at once: nobody else notices. */
static void test_garbage(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int good = dial(s.port), ws = ws_dial(s.port, "/ws");
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 200; round++) {
        char bytes[512];
        for (size_t i = 0; i < sizeof bytes; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes[i] = (char)x;
        }
        int fd = round & 1 ? dial(s.port) : ws_dial(s.port, "/ws");
        send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
        close(fd);
        ask(good, PLAIN, 200, PLAIN_BODY);
        ws_say(ws, "still there");
        ws_expect(ws, 0x81, "still there");
    }
    close(good);
    close(ws);
    server_stop(&s);
}

/* Whether the loop would poll instead of sleeping, after a request was answered and it turned once more. */
static bool polls_after_request(int64_t busy_poll_ns) {
    struct server s;
    struct err err;
    server_prepare(&s);
    s.options.busy_poll_ns = busy_poll_ns;
    assert_int_equal(uv_loop_init(&s.loop), 0);
    if (net_open(&s.net, &s.loop, &s.options, &err) != ST_OK) fail_msg("%s", err.text);
    int fd = dial(net_port(s.net));
    put_line(fd, PLAIN);
    for (s.stats.requests = 0; s.stats.requests == 0; net_stats_get(s.net, &s.stats))
        uv_run(&s.loop, UV_RUN_ONCE);
    free(answer_of(fd, true));
    uv_run(&s.loop, UV_RUN_NOWAIT);
    bool polls = uv_backend_timeout(&s.loop) == 0;
    close(fd);
    net_close(s.net);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s.loop), 0);
    return polls;
}

static void test_busy_poll(void **state) {
    (void)state;
    assert_false(polls_after_request(0));
    assert_false(polls_after_request(1));
    assert_true(polls_after_request(NS_PER_HOUR));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_large_body),    cmocka_unit_test(test_header_flood),
        cmocka_unit_test(test_slow_loris),    cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_port_is_taken), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_busy_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
