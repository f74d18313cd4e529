#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <errno.h>

#include "net/test_server.h"

static void test_messages(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = ws_dial(s.port, "/ws");
    ws_say(fd, "one");
    ws_expect(fd, 0x81, "one");
    ws_say(fd, "");
    ws_expect(fd, 0x81, "");
    char *large = malloc(65001);
    assert_non_null(large);
    memset(large, 'L', 65000);
    large[65000] = '\0';
    ws_say(fd, large);
    ws_expect(fd, 0x81, large);
    free(large);
    /* Fragments, with a ping between them, and a letter cut in two. */
    ws_put(fd, 0x01, "\xce", 1);
    ws_put(fd, 0x89, "mid", 3);
    ws_put(fd, 0x00, "", 0);
    ws_put(fd, 0x80, "\xba!", 2);
    ws_expect(fd, 0x8A, "mid");
    ws_expect(fd, 0x81, "\xce\xba!");
    ws_put(fd, 0x8A, "unasked", 7); /* a pong nobody waits for is fine */
    ws_say(fd, "ping");
    char payload[64];
    assert_int_equal(ws_get(fd, payload, sizeof payload, NULL), 0x89);
    assert_true(strtoll(payload, NULL, 10) > 1500000000000);
    /* The peer's close is echoed. */
    ws_put(fd, 0x88, "\x0f\xa0oops", 6);
    ws_expect_close(fd, 4000);
    fd = ws_dial(s.port, "/hello"); /* sent from inside the handshake, behind the 101 */
    ws_expect(fd, 0x81, "hello");
    ws_put(fd, 0x88, "", 0);
    ws_expect_close(fd, 0);
    server_stop(&s);
    assert_int_equal(s.opened, 2);
    assert_int_equal(s.closed, 2);
    assert_int_equal(s.stats.messages_in, 5);
}

/* Frames that come in the same packet as the handshake. */
static void test_early_frames(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = dial(s.port);
    put_line(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\nGET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: "
                 "websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                 "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                 "\x81\x82\x01\x02\x03\x04\x49\x6b\x81\x82\x01\x02\x03\x04\x49");
    struct answer *a = answer_of(fd, true);
    assert_int_equal(a->status, 200);
    free(a);
    a = answer_of(fd, false);
    assert_int_equal(a->status, 101);
    free(a);
    ws_expect(fd, 0x81, "Hi");
    put_bytes(fd, "\x6b", 1); /* the rest of the second frame */
    ws_expect(fd, 0x81, "Hi");
    close(fd);
    server_stop(&s);
}

static void handshake_refused(uint16_t port, const char *path, int status) {
    int fd = dial(port);
    ws_ask(fd, path);
    struct answer *a = answer_of(fd, true);
    assert_int_equal(a->status, status);
    free(a);
    assert_int_equal(ended(fd), 0);
    close(fd);
}

static void test_refused_handshakes(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    handshake_refused(s.port, "/no", 403);
    handshake_refused(s.port, "/gone", 404);
    server_stop(&s);
    assert_int_equal(s.stats.websockets, 0);
    assert_int_equal(s.closed, 2);
}

static void fails_with(struct server *s, unsigned first, const char *payload, size_t size,
                       int code) {
    int fd = ws_dial(s->port, "/ws");
    ws_put(fd, first, payload, size);
    ws_expect_close(fd, code);
}

static void test_violations(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    s.options.limits.message_bytes_max = 1000;
    server_start(&s);
    char large[1001] = {0};
    fails_with(&s, 0x81, "\xff\xfe", 2, 1007);
    fails_with(&s, 0x82, "binary", 6, 1003);
    fails_with(&s, 0x80, "continues nothing", 17, 1002);
    fails_with(&s, 0xC1, "reserved", 8, 1002);
    fails_with(&s, 0x83, "unknown", 7, 1002);
    fails_with(&s, 0x09, "split ping", 10, 1002);
    fails_with(&s, 0x88, "\x03", 1, 1002);
    fails_with(&s, 0x81, large, 1001, 1009);
    int fd = ws_dial(s.port, "/ws");
    put_bytes(fd, "\x81\x05Hello", 7); /* not masked */
    ws_expect_close(fd, 1002);
    fd = ws_dial(s.port, "/ws");
    ws_put(fd, 0x01, "a", 1);
    ws_put(fd, 0x81, "b", 1); /* a message inside a message */
    ws_expect_close(fd, 1002);
    fd = ws_dial(s.port, "/ws");
    ws_put(fd, 0x01, large, 600);
    ws_put(fd, 0x80, large, 600); /* each is small enough */
    ws_expect_close(fd, 1009);
    fd = ws_dial(s.port, "/ws");
    ws_put(fd, 0x01, "\xce", 1);
    ws_put(fd, 0x80, "x", 1);
    ws_expect_close(fd, 1007);
    fd = ws_dial(s.port, "/ws");
    ws_put(fd, 0x01, "", 0);
    for (int i = 0; i < 5000; i++)
        if (send(fd, "\x00\x80\x01\x02\x03\x04", 6, MSG_NOSIGNAL) != 6) break;
    ws_expect_close(fd, 1008);
    others_are_served(s.port);
    server_stop(&s);
    assert_int_equal(s.messages, 0);
}

static void test_server_closes(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    server_start(&s);
    int fd = ws_dial(s.port, "/ws");
    ws_say(fd, "shut");
    ws_expect(fd, 0x81, "last"); /* what was sent before goes out before */
    char out[16];
    assert_int_equal(ws_get(fd, out, sizeof out, NULL), 0x88);
    ws_say(fd, "not heard any more");
    ws_put(fd, 0x88, "\x03\xe9", 2);
    assert_int_equal(ended(fd), 0);
    close(fd);
    fd = ws_dial(s.port, "/ws");
    ws_say(fd, "shut");
    ws_expect(fd, 0x81, "last");
    ws_expect_close(fd, 1001); /* also if we never answer the close */
    fd = ws_dial(s.port, "/ws");
    ws_say(fd, "reset");
    assert_int_equal(ended(fd), -1);
    close(fd);
    fd = ws_dial(s.port, "/ws"); /* open when the server goes */
    server_stop(&s);
    ws_expect_close(fd, 1001);
    assert_int_equal(s.messages, 3);
    assert_int_equal(s.closed, 4);
}

/* Who does not read is cut at the backlog; others get everything. */
static void test_slow_reader(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    s.options.limits.backlog_bytes_max = 1 << 20;
    server_start(&s);
    int slow = ws_dial(s.port, "/ws"), quick = ws_dial(s.port, "/ws");
    int got = 0, asked = 0;
    /* A hundred kilobytes a time: first the kernel takes them, then the backlog. */
    static const char flood[] = "\x81\x89\0\0\0\0flood 100";
    while (asked < 2000 && send(slow, flood, sizeof flood - 1, MSG_NOSIGNAL) > 0) {
        ws_say(quick, "hello");
        ws_expect(quick, 0x81, "hello");
        asked++;
    }
    assert_true(asked > 10 && asked < 2000);
    ended(slow); /* reset, which our send may have been told already */
    close(slow);
    char out[2048];
    /* 4 MB in one turn exceed the limit for anybody: the rule is about bytes, not about time. */
    ws_say(quick, "flood 4000");
    assert_int_equal(ended(quick), -1);
    close(quick);
    server_stop(&s);
    assert_int_equal(s.stats.slow_cut, 2);
    assert_int_equal(s.stats.websockets, 0);
    /* With room for it, all arrive, whole and in order. */
    server_prepare(&s);
    s.options.limits.backlog_bytes_max = 8 << 20;
    server_start(&s);
    quick = ws_dial(s.port, "/ws");
    ws_say(quick, "flood 4000");
    for (; got < 4000; got++) {
        size_t size;
        assert_int_equal(ws_get(quick, out, sizeof out, &size), 0x81);
        assert_int_equal(size, 1000);
    }
    close(quick);
    server_stop(&s);
    assert_int_equal(s.stats.slow_cut, 0);
}

static void test_pings(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    s.options.limits.ping_every_ms = 50;
    s.options.limits.pong_within_ms = 200;
    s.options.limits.socket_life_ms = 1500;
    server_start(&s);
    int fd = ws_dial(s.port, "/ws");
    char out[64];
    size_t size;
    int pings = 0;
    for (;;) { /* answers every ping and lives until its life ends */
        unsigned first = ws_get(fd, out, sizeof out, &size);
        if (first == 0x88) break;
        assert_int_equal(first, 0x89);
        assert_int_equal(size, 13);
        ws_put(fd, 0x8A, out, size);
        pings++;
    }
    assert_int_equal((unsigned char)out[0] << 8 | (unsigned char)out[1], 1001);
    assert_true(pings >= 5);
    ws_put(fd, 0x88, "\x03\xe9", 2);
    assert_int_equal(ended(fd), 0);
    close(fd);
    fd = ws_dial(s.port, "/ws"); /* one that does not answer */
    assert_int_equal(ended(fd), -1);
    close(fd);
    server_stop(&s);
    assert_int_equal(s.stats.timed_out, 1);
}

static void test_message_rate(void **state) {
    (void)state;
    struct server s;
    server_prepare(&s);
    s.options.limits.messages_per_s_max = 10;
    server_start(&s);
    int fd = ws_dial(s.port, "/ws");
    for (int i = 0; i < 11; i++) ws_put(fd, i % 3 == 0 ? 0x81 : i % 3 == 1 ? 0x89 : 0x8A, "x", 1);
    for (int i = 0; i < 7; i++) ws_expect(fd, i & 1 ? 0x8A : 0x81, "x");
    ws_expect_close(fd, 1008);
    server_stop(&s);
    /* One connection's own limit. */
    server_prepare(&s);
    s.options.limits.messages_per_s_max = 2;
    s.rate = 40;
    server_start(&s);
    fd = ws_dial(s.port, "/ws");
    for (int i = 0; i < 40; i++) ws_say(fd, "y");
    for (int i = 0; i < 40; i++) ws_expect(fd, 0x81, "y");
    close(fd);
    server_stop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_early_frames),
        cmocka_unit_test(test_refused_handshakes),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_server_closes),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_message_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
