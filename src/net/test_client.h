/* Blocking sockets to a server, for tests: HTTP requests and WebSocket frames by hand. Include behind cmocka.h. */
#ifndef NET_TEST_CLIENT_H
#define NET_TEST_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE = 1 << 20, WAIT_SECONDS = 20 };

/* ---- clients ---- */

static inline int dial(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct timeval limit = {.tv_sec = WAIT_SECONDS};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void put_bytes(int fd, const void *bytes, size_t size) {
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

static inline void put_line(int fd, const char *text) {
    put_bytes(fd, text, strlen(text));
}

static inline void get_bytes(int fd, void *out, size_t size) {
    for (size_t got = 0; got < size;) {
        ssize_t n = recv(fd, (char *)out + got, size - got, 0);
        if (n <= 0) fail_msg("connection gave %zd after %zu of %zu bytes", n, got, size);
        got += (size_t)n;
    }
}

/* Whether the peer has ended (0 cleanly, -1 by reset), with what came before thrown away. */
static inline int ended(int fd) {
    char bytes[4096];
    ssize_t n;
    do n = recv(fd, bytes, sizeof bytes, 0);
    while (n > 0);
    if (n < 0 && errno != ECONNRESET) fail_msg("neither end nor reset: %s", strerror(errno));
    return (int)n;
}

/* One answer: its status; head and body end with NUL in out. */
struct answer {
    int status;
    size_t body_size;
    char head[2048], *body;
};

static inline struct answer *answer_of(int fd, bool with_body) {
    struct answer *a = malloc(sizeof *a + ANSWER_SIZE);
    size_t at = 0;
    assert_non_null(a);
    a->body = (char *)(a + 1);
    do {
        assert_true(at + 1 < sizeof a->head);
        get_bytes(fd, a->head + at++, 1);
    } while (at < 4 || memcmp(a->head + at - 4, "\r\n\r\n", 4) != 0);
    a->head[at] = '\0';
    a->status = atoi(a->head + 9);
    const char *length = strstr(a->head, "Content-Length: ");
    a->body_size = length ? strtoul(length + 16, NULL, 10) : 0;
    if (!with_body) a->body_size = 0;
    assert_true(a->body_size < ANSWER_SIZE);
    get_bytes(fd, a->body, a->body_size);
    a->body[a->body_size] = '\0';
    return a;
}

/* Asks on an open connection and compares. */
static inline void ask(int fd, const char *request, int status, const char *body) {
    put_line(fd, request);
    struct answer *a = answer_of(fd, true);
    if (a->status != status || (body && strcmp(a->body, body) != 0))
        fail_msg("got %d %s\nwanted %d %s\nfor %s", a->status, a->body, status, body ? body : "",
                 request);
    free(a);
}

/* ---- WebSocket clients ---- */

static inline void ws_ask(int fd, const char *path) {
    char text[256];
    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             path);
    put_line(fd, text);
}

static inline int ws_dial(uint16_t port, const char *path) {
    int fd = dial(port);
    ws_ask(fd, path);
    struct answer *a = answer_of(fd, false);
    assert_int_equal(a->status, 101);
    assert_non_null(strstr(a->head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    free(a);
    return fd;
}

static inline void ws_put(int fd, unsigned first, const char *payload, size_t size) {
    static const unsigned char mask[4] = {0x11, 0x22, 0x33, 0x84};
    char head[14], *bytes = malloc(size + 1);
    size_t at = 0;
    assert_non_null(bytes);
    head[at++] = (char)first;
    if (size <= 125) {
        head[at++] = (char)(0x80 | size);
    } else {
        assert_true(size <= 65535);
        head[at++] = (char)(0x80 | 126);
        head[at++] = (char)(size >> 8);
        head[at++] = (char)size;
    }
    memcpy(head + at, mask, 4);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)((unsigned char)payload[i] ^ mask[i & 3]);
    put_bytes(fd, head, at + 4);
    if (size) put_bytes(fd, bytes, size);
    free(bytes);
}

static inline void ws_say(int fd, const char *text) {
    ws_put(fd, 0x81, text, strlen(text));
}

/* One frame of the server; returns its first byte, payload ends with NUL. */
static inline unsigned ws_get(int fd, char *out, size_t capacity, size_t *size) {
    unsigned char head[10];
    get_bytes(fd, head, 2);
    size_t n = head[1];
    assert_true(n <= 127); /* a server's frame is not masked */
    if (n >= 126) {
        size_t more = n == 126 ? 2 : 8;
        get_bytes(fd, head + 2, more);
        n = 0;
        for (size_t i = 0; i < more; i++) n = n << 8 | head[2 + i];
    }
    assert_true(n < capacity);
    get_bytes(fd, out, n);
    out[n] = '\0';
    if (size) *size = n;
    return head[0];
}

static inline void ws_expect(int fd, unsigned first, const char *text) {
    char out[70000];
    unsigned got = ws_get(fd, out, sizeof out, NULL);
    if (got != first || strcmp(out, text) != 0)
        fail_msg("got %02x %s, wanted %02x %s", got, out, first, text);
}

/* The server's close frame with this code, then the end of the connection. */
static inline void ws_expect_close(int fd, int code) {
    char out[256];
    size_t size;
    assert_int_equal(ws_get(fd, out, sizeof out, &size), 0x88);
    int got = size >= 2 ? (unsigned char)out[0] << 8 | (unsigned char)out[1] : 0;
    assert_int_equal(got, code);
    assert_int_equal(ended(fd), 0);
    close(fd);
}

#endif
