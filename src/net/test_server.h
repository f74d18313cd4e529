/* A server on a thread of its own and blocking sockets to it, for the tests of this module. */
#ifndef NET_TEST_SERVER_H
#define NET_TEST_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/tstamp.h"
#include "net/net.h"

enum { ANSWER_SIZE = 1 << 20, WAIT_SECONDS = 20 };

struct server {
    uv_loop_t loop;
    uv_async_t stop;
    struct net *net;
    struct net_options options;
    pthread_t thread;
    uint16_t port;
    atomic_int closed, opened, messages;
    struct net_stats stats; /* taken at the stop */
    uint32_t rate;
};

/* ---- what the server does ---- */

struct later {
    uv_timer_t timer;
    struct net_conn *c;
};

static inline void on_later_closed(uv_handle_t *handle) {
    free(handle->data);
}

static inline void on_later(uv_timer_t *timer) {
    struct later *l = timer->data;
    if (l->c) {
        net_conn_set(l->c, NULL);
        net_respond(l->c, 200, "text/plain", NULL, "later", 5);
    }
    uv_close((uv_handle_t *)timer, on_later_closed);
}

static inline bool starts(struct net_text t, const char *with) {
    return t.size >= strlen(with) && memcmp(t.data, with, strlen(with)) == 0;
}

static inline void on_request(void *context, struct net_conn *c, const struct net_request *r) {
    struct server *s = context;
    char text[512];
    if (starts(r->path, "/later")) {
        struct later *l = calloc(1, sizeof *l);
        if (!l) abort();
        l->c = c;
        l->timer.data = l;
        net_conn_set(c, l);
        uv_timer_init(&s->loop, &l->timer);
        uv_timer_start(&l->timer, on_later, 30, 0);
    } else if (starts(r->path, "/reset")) {
        net_reset(c);
    } else if (starts(r->path, "/hang_up")) {
        net_hang_up(c);
    } else if (starts(r->path, "/large")) {
        size_t size = 512 * 1024;
        char *body = malloc(size);
        if (!body) abort();
        memset(body, 'x', size);
        net_respond(c, 200, "text/plain", NULL, body, size);
        free(body);
    } else if (starts(r->path, "/open")) {
        struct net_stats stats;
        net_stats_get(s->net, &stats);
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)stats.open);
        net_respond(c, 200, "text/plain", NULL, text, (size_t)n);
    } else if (starts(r->path, "/shut")) {
        net_shut(c, 0);
        net_respond(c, 200, "text/plain", NULL, "shut", 4);
    } else {
        int n = snprintf(text, sizeof text, "%.*s %.*s ?%.*s [%.*s] %s", (int)r->method_text.size,
                         r->method_text.data, (int)r->path.size, r->path.data, (int)r->query.size,
                         r->query.data, r->body.size > 64 ? 64 : (int)r->body.size, r->body.data,
                         net_conn_peer(c));
        net_respond(c, 200, "text/plain", "X-Extra: 1\r\n", text, (size_t)n);
    }
}

static inline bool on_open(void *context, struct net_conn *c, const struct net_request *r) {
    struct server *s = context;
    if (starts(r->path, "/no")) return false;
    if (starts(r->path, "/gone")) {
        net_respond(c, 404, "text/plain", NULL, "gone", 4);
        return false;
    }
    atomic_fetch_add(&s->opened, 1);
    if (starts(r->path, "/hello")) net_send(c, "hello", 5);
    if (s->rate) net_rate_set(c, s->rate);
    return true;
}

static inline void on_message(void *context, struct net_conn *c, struct net_text text) {
    struct server *s = context;
    atomic_fetch_add(&s->messages, 1);
    if (starts(text, "flood ")) {
        uint8_t frame[10 + 1000];
        size_t n = net_frame_header(frame, NET_WS_TEXT, 1000);
        memset(frame + n, 'f', 1000);
        int count = 0;
        for (size_t i = 6; i < text.size; i++) count = count * 10 + text.data[i] - '0';
        for (int i = 0; i < count; i++)
            if (!net_send_framed(c, frame, n + 1000)) break;
    } else if (starts(text, "shut")) {
        net_send(c, "last", 4);
        net_shut(c, 1001);
    } else if (starts(text, "reset")) {
        net_reset(c);
    } else if (starts(text, "ping")) {
        net_ping(c);
    } else {
        net_send(c, text.data, text.size);
    }
}

static inline void on_close(void *context, struct net_conn *c) {
    struct server *s = context;
    struct later *l = net_conn_get(c);
    if (l) l->c = NULL;
    atomic_fetch_add(&s->closed, 1);
}

static inline void on_stop(uv_async_t *async) {
    struct server *s = async->data;
    net_stats_get(s->net, &s->stats);
    net_close(s->net);
    uv_close((uv_handle_t *)async, NULL);
}

static inline void *server_thread(void *context) {
    struct server *s = context;
    uv_run(&s->loop, UV_RUN_DEFAULT);
    return NULL;
}

static inline void server_prepare(struct server *s) {
    memset(s, 0, sizeof *s);
    s->options = (struct net_options){
        .host = "127.0.0.1",
        .limits = net_limits_defaults(),
        .handlers = {s, on_request, on_open, on_message, on_close},
    };
}

static inline void server_start(struct server *s) {
    struct err err;
    assert_int_equal(uv_loop_init(&s->loop), 0);
    if (net_open(&s->net, &s->loop, &s->options, &err) != ST_OK) fail_msg("%s", err.text);
    s->port = net_port(s->net);
    s->stop.data = s;
    assert_int_equal(uv_async_init(&s->loop, &s->stop, on_stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s), 0);
}

/* The loop ends by itself once everything is closed: a handle that were left would hang it. */
static inline void server_stop(struct server *s) {
    uv_async_send(&s->stop);
    pthread_join(s->thread, NULL);
    assert_int_equal(uv_loop_close(&s->loop), 0);
}

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

#define PLAIN      "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
#define PLAIN_BODY "GET /x ? [] 127.0.0.1"

/* The server still answers somebody else. */
static inline void others_are_served(uint16_t port) {
    int fd = dial(port);
    ask(fd, PLAIN, 200, PLAIN_BODY);
    close(fd);
}

/* ---- WebSocket clients ---- */

static inline int ws_dial(uint16_t port, const char *path) {
    char text[256];
    int fd = dial(port);
    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             path);
    put_line(fd, text);
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
