/* The listening port, the turn of the loop, and what a caller may ask of a connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "net/net_internal.h"

enum { LISTEN_BACKLOG = 1024 };

/* ---- the end of a server: when the last handle is closed, it is freed ---- */

static void on_own_closed(uv_handle_t *handle) {
    net_handle_closed(handle->data);
}

void net_handle_closed(struct net *n) {
    enum {
        OWN_LAST = 4
    }; /* prepare, check, idle and timer stay for the connections that still end */
    ASSERT(n->handles_open > 0);
    n->handles_open--;
    if (!n->closing) return;
    if (n->handles_open == OWN_LAST && !uv_is_closing((uv_handle_t *)&n->timer)) {
        uv_close((uv_handle_t *)&n->prepare, on_own_closed);
        uv_close((uv_handle_t *)&n->check, on_own_closed);
        uv_close((uv_handle_t *)&n->idle, on_own_closed);
        uv_close((uv_handle_t *)&n->timer, on_own_closed);
    } else if (n->handles_open == 0) {
        tls_context_free(n);
        blocks_free(n);
        free(n);
    }
}

void net_close(struct net *n) {
    if (!n || n->closing) return;
    n->closing = true;
    conn_flush_all(n);
    uv_close((uv_handle_t *)&n->listener, on_own_closed);
    for (struct link *l = n->all.next, *next; l != &n->all; l = next) {
        struct net_conn *c = (struct net_conn *)((char *)l - offsetof(struct net_conn, all));
        next = l->next;
        if (c->state == CONN_WS)
            ws_shut(c, 1001);
        else if (c->state != CONN_WS_CLOSING && c->state != CONN_LINGERING)
            conn_cut(c, false);
    }
}

/* ---- the turn ---- */

/* Timers and other work ran before it, reads after it: both have their writes gathered. */
static void on_prepare(uv_prepare_t *handle) {
    conn_flush_all(handle->data);
}

/* An active idle handle keeps the loop from sleeping. Whoever has the processor's other work to do goes first. */
static void on_idle(uv_idle_t *handle) {
    struct net *n = handle->data;
    if (n->closing || tstamp_monotonic_ns() - n->polling_since_ns > n->busy_poll_ns)
        uv_idle_stop(handle);
    else
        sched_yield();
}

static void on_check(uv_check_t *handle) {
    struct net *n = handle->data;
    conn_flush_all(n);
    if (n->busy_poll_ns == 0 || n->requests_seen == n->stats.requests) return;
    n->requests_seen = n->stats.requests;
    n->polling_since_ns = tstamp_monotonic_ns();
    uv_idle_start(&n->idle, on_idle);
}

static void on_tick(uv_timer_t *handle) {
    struct net *n = handle->data;
    wheel_turn(n, net_now_ms(n));
    if (n->accept_waits) conn_accept(n);
    if (!link_is_in(&n->all) && !n->accept_waits) uv_timer_stop(&n->timer);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct net *n = listener->data;
    if (status < 0 || n->closing) return; /* out of descriptors: libuv has dropped it */
    if (!uv_is_active((uv_handle_t *)&n->timer)) {
        n->wheel_ms = net_now_ms(n) / WHEEL_TICK_MS * WHEEL_TICK_MS;
        uv_timer_start(&n->timer, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    }
    conn_accept(n);
}

/* ---- the port ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum status address_make(union address *out, socklen_t *size, const char *host,
                                uint16_t port, struct err *err) {
    memset(out, 0, sizeof *out);
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *size = sizeof out->v4;
        return ST_OK;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *size = sizeof out->v6;
        return ST_OK;
    }
    return err_set(err, ST_INVALID, "%s is not an address to listen on (try 127.0.0.1)", host);
}

/* By hand and not by libuv, so that what can fail does so before there are handles to close. */
static enum status port_open(int *out, uint16_t *bound, const char *host, uint16_t port,
                             struct err *err) {
    union address address;
    socklen_t size;
    enum status st = address_make(&address, &size, host, port, err);
    if (st != ST_OK) return st;
    int on = 1;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_errno(err, ST_IO, "no socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, &address.any, size) == 0 && listen(fd, LISTEN_BACKLOG) == 0) {
        size = sizeof address;
        if (getsockname(fd, &address.any, &size) == 0) {
            *bound = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port
                                                            : address.v6.sin6_port);
            *out = fd;
            return ST_OK;
        }
    }
    st = errno == EADDRINUSE
             ? err_set(err, ST_IO, "port %u of %s is taken by another program", port, host)
             : err_errno(err, ST_IO, "cannot listen on port %u of %s", port, host);
    close(fd);
    return st;
}

static enum status limits_check(const struct net_limits *l, struct err *err) {
    if (l->connections_max == 0 || l->header_bytes_max < 64 || l->headers_max == 0 ||
        l->message_bytes_max == 0 || l->backlog_bytes_max == 0)
        return err_set(err, ST_INVALID, "limits of connections, headers or messages are zero");
    if (l->request_ms_max <= 0 || l->idle_ms_max <= 0 || l->ping_every_ms <= 0 ||
        l->pong_within_ms <= 0 || l->socket_life_ms < 0)
        return err_set(err, ST_INVALID, "limits of time must be positive");
    if (l->headers_max > NET_HEADERS_MAX || l->messages_per_s_max > NET_RATE_MAX)
        return err_set(err, ST_INVALID, "at most %d headers and %d messages a second can be set",
                       NET_HEADERS_MAX, NET_RATE_MAX);
    return ST_OK;
}

static void handles_start(struct net *n, int fd) {
    uv_loop_t *loop = n->loop;
    n->listener.data = n->prepare.data = n->check.data = n->idle.data = n->timer.data = n;
    int failed = uv_tcp_init(loop, &n->listener);
    failed |= uv_prepare_init(loop, &n->prepare);
    failed |= uv_check_init(loop, &n->check);
    failed |= uv_idle_init(loop, &n->idle);
    failed |= uv_timer_init(loop, &n->timer);
    n->handles_open = 5;
    failed |= uv_tcp_open(&n->listener, fd);
    failed |= uv_prepare_start(&n->prepare, on_prepare);
    failed |= uv_check_start(&n->check, on_check);
    failed |= uv_listen((uv_stream_t *)&n->listener, LISTEN_BACKLOG, on_connection);
    ASSERT(failed == 0); /* the socket listens already: no step left that the world could refuse */
}

enum status net_open(struct net **out, struct uv_loop_s *loop, const struct net_options *options,
                     struct err *err) {
    enum status st = limits_check(&options->limits, err);
    if (st != ST_OK) return st;
    struct net *n = calloc(1, sizeof *n);
    int fd = -1;
    if (!n) return err_set(err, ST_NO_MEMORY, "no memory for a server");
    n->loop = loop;
    n->limits = options->limits;
    n->handlers = options->handlers;
    n->date_offset_ns = options->date_offset_ns;
    n->date_second = INT64_MIN;
    n->busy_poll_ns = options->busy_poll_ns;
    link_init(&n->all);
    link_init(&n->dirty);
    wheel_init(n);
    if (options->tls_cert_file || options->tls_key_file)
        st = tls_context(n, options->tls_cert_file, options->tls_key_file, err);
    if (st == ST_OK)
        st = port_open(&fd, &n->port, options->host ? options->host : "127.0.0.1", options->port,
                       err);
    if (st != ST_OK) {
        tls_context_free(n);
        free(n);
        return st;
    }
    handles_start(n, fd);
    *out = n;
    return ST_OK;
}

uint16_t net_port(const struct net *n) {
    return n->port;
}

void net_stats_get(const struct net *n, struct net_stats *out) {
    *out = n->stats;
}

/* ---- connections, from outside ---- */

void net_shut(struct net_conn *c, int code) {
    switch (c->state) {
    case CONN_WS:
        ws_shut(c, code);
        break;
    case CONN_OPENING:
        ws_shut(c, code);
        break;
    case CONN_ANSWERING:
        c->keep_alive = false;
        break;
    case CONN_HTTP:
        conn_finish(c);
        break;
    case CONN_WS_CLOSING:
    case CONN_FLUSHING:
    case CONN_LINGERING:
    case CONN_DEAD:
        break;
    }
}

void net_reset(struct net_conn *c) {
    conn_cut(c, true);
}

void net_hang_up(struct net_conn *c) {
    conn_cut(c, false);
}

void net_conn_set(struct net_conn *c, void *user) {
    c->user = user;
}

void *net_conn_get(const struct net_conn *c) {
    return c->user;
}

const char *net_conn_peer(const struct net_conn *c) {
    return c->peer;
}
