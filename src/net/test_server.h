/* A server on a thread of its own and blocking sockets to it, for the tests of this module. */
#ifndef NET_TEST_SERVER_H
#define NET_TEST_SERVER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/tstamp.h"
#include "net/net.h"
#include "net/test_client.h"

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

#define PLAIN      "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
#define PLAIN_BODY "GET /x ? [] 127.0.0.1"

/* The server still answers somebody else. */
static inline void others_are_served(uint16_t port) {
    int fd = dial(port);
    ask(fd, PLAIN, 200, PLAIN_BODY);
    close(fd);
}

#endif
