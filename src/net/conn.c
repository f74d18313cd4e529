/* A connection's life: reading, the turn's one write, deadlines, the ways to end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/net_internal.h"

enum {
    CLOSE_MS = 1000,                /* for the peer to close its end */
    LINGER_BYTES_MAX = 1024 * 1024, /* thrown away meanwhile */
    FOREVER_MS = 3600 * 1000        /* looked at again then */
};

static struct net_conn *of_dirty(struct link *l) {
    return (struct net_conn *)((char *)l - offsetof(struct net_conn, dirty));
}

size_t conn_backlog(const struct net_conn *c) {
    return (c->out ? c->out->size : 0) + (c->sealed ? c->sealed->size : 0) +
           (c->wire ? c->tcp.write_queue_size : 0);
}

void conn_touch(struct net_conn *c) {
    if (c->state != CONN_DEAD && !link_is_in(&c->dirty)) link_last(&c->net->dirty, &c->dirty);
}

bool conn_write(struct net_conn *c, const void *bytes, size_t size) {
    char *room = block_room(c->net, &c->out, size);
    if (!room) {
        conn_cut(c, true);
        return false;
    }
    memcpy(room, bytes, size);
    c->out->size += size;
    conn_touch(c);
    return true;
}

/* ---- endings ---- */

static void on_closed(uv_handle_t *handle) {
    struct net_conn *c = handle->data;
    struct net *n = c->net;
    if (c->seen && n->handlers.on_close) n->handlers.on_close(n->handlers.context, c);
    link_out(&c->all);
    link_out(&c->dirty);
    link_out(&c->wheel);
    block_drop(n, &c->in);
    block_drop(n, &c->out);
    block_drop(n, &c->sealed);
    block_drop(n, &c->wire);
    if (c->ws) n->stats.websockets--;
    ws_free(c);
    tls_free(c);
    free(c);
    n->stats.open--;
    net_handle_closed(n);
}

void conn_cut(struct net_conn *c, bool reset) {
    if (c->state == CONN_DEAD) return;
    c->state = CONN_DEAD;
    link_out(&c->dirty);
    link_out(&c->wheel);
    /* A reset is not possible behind a shutdown: then closing is what is left. */
    if (!reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0)
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status) {
    (void)status; /* the linger's end closes in any case */
    free(request);
}

/* Closing with unread bytes in the kernel would reset the connection, and the peer might never see the
 * answer it was sent: our end is shut, and what the peer still sends is thrown away for a moment. */
static void linger(struct net_conn *c) {
    uv_shutdown_t *request = c->eof ? NULL : malloc(sizeof *request);
    if (!request || uv_shutdown(request, (uv_stream_t *)&c->tcp, on_shutdown) != 0) {
        free(request);
        conn_cut(c, false);
        return;
    }
    c->state = CONN_LINGERING;
    c->begun_ms = net_now_ms(c->net);
    conn_rearm(c);
}

void conn_finish(struct net_conn *c) {
    if (c->state == CONN_DEAD || c->state == CONN_FLUSHING || c->state == CONN_LINGERING) return;
    c->state = CONN_FLUSHING;
    if (c->tls) tls_goodbye(c);
    conn_rearm(c);
    conn_touch(c);
}

/* ---- reading ---- */

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    (void)suggested;
    struct net_conn *c = handle->data;
    buf->base = c->net->read;
    buf->len = sizeof c->net->read;
}

static bool reading_set(struct net_conn *c, bool on) {
    if (c->eof || c->paused == !on) return true;
    c->paused = !on;
    if (!on) return uv_read_stop((uv_stream_t *)&c->tcp) == 0;
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0) return true;
    conn_cut(c, true);
    return false;
}

static size_t parse(struct net_conn *c, char *bytes, size_t size) {
    size_t used = 0;
    c->parsing = true;
    while (used < size) {
        size_t n;
        if (c->state == CONN_HTTP)
            n = http_consume(c, bytes + used, size - used);
        else if (c->state == CONN_WS || c->state == CONN_WS_CLOSING)
            n = ws_consume(c, bytes + used, size - used);
        else
            break;
        used += n;
        if (n == 0) break;
    }
    c->parsing = false;
    return used;
}

/* What was not used is kept; true unless there is no memory. */
static bool rest_keep(struct net_conn *c, const char *bytes, size_t size, size_t used) {
    if (used == size) {
        block_drop(c->net, &c->in);
    } else if (c->in) {
        memmove(c->in->data, c->in->data + used, size - used);
        c->in->size = size - used;
    } else {
        ASSERT(bytes && used < size); /* of no bytes none are left */
        char *room = block_room_tight(&c->in, size - used);
        if (!room) return false;
        memcpy(room, bytes + used, size - used);
        c->in->size = size - used;
    }
    return true;
}

void conn_consume(struct net_conn *c, const char *bytes, size_t size) {
    struct net *n = c->net;
    bool fresh = !c->in;
    if (c->in && size) {
        char *room = block_room_tight(&c->in, size);
        if (!room) {
            conn_cut(c, true);
            return;
        }
        memcpy(room, bytes, size);
        c->in->size += size;
    }
    /* Nobody but us owns the bytes: they are n->read, n->plain or c->in. */
    char *data = c->in ? c->in->data : (char *)(uintptr_t)bytes;
    size_t all = c->in ? c->in->size : size, used = parse(c, data, all);
    if (c->state == CONN_DEAD) return;
    if (c->state == CONN_FLUSHING || c->state == CONN_LINGERING) {
        block_drop(n, &c->in);
        return;
    }
    if (!rest_keep(c, data, all, used)) {
        conn_cut(c, true);
        return;
    }
    if (c->state == CONN_HTTP && c->in && (fresh || used)) c->begun_ms = net_now_ms(n);
    /* A peer that sends ahead of the answers waits in its own kernel, not in our memory. */
    bool ahead = c->state == CONN_ANSWERING || (c->state == CONN_HTTP && c->resume);
    if (!reading_set(c, !(ahead && c->in && c->in->size >= READ_SIZE))) return;
    if (c->eof && c->state == CONN_HTTP && !c->resume)
        conn_finish(c); /* what is left of a request will never be whole */
    else
        conn_rearm(c);
}

void conn_eof(struct net_conn *c) {
    c->eof = true;
    switch (c->state) {
    case CONN_HTTP:
        if (!c->resume) conn_finish(c);
        break;
    case CONN_ANSWERING: /* half closed: it may still want its answer */
    case CONN_OPENING:
    case CONN_FLUSHING:
    case CONN_DEAD:
        break;
    case CONN_WS:
    case CONN_WS_CLOSING:
    case CONN_LINGERING:
        conn_cut(c, false);
        break;
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf) {
    struct net_conn *c = stream->data;
    if (got == 0 || c->state == CONN_DEAD) return;
    if (got == UV_EOF) {
        conn_eof(c);
        return;
    }
    if (got < 0) {
        conn_cut(c, false);
        return;
    }
    c->net->stats.bytes_in += (uint64_t)got;
    c->received_ns = tstamp_monotonic_ns();
    c->active_ms = net_now_ms(c->net);
    if (c->state == CONN_FLUSHING || c->state == CONN_LINGERING) {
        c->lingered += (size_t)got;
        if (c->lingered > LINGER_BYTES_MAX) conn_cut(c, true);
        return;
    }
    if (!c->tls)
        conn_consume(c, buf->base, (size_t)got);
    else if (!tls_receive(c, buf->base, (size_t)got))
        conn_finish(c); /* the alert that says why goes out first */
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status) {
    struct net_conn *c = request->handle->data;
    struct net *n = c->net;
    block_drop(n, &c->wire);
    if (status < 0) {
        conn_cut(c, false);
        return;
    }
    c->active_ms = net_now_ms(n);
    conn_touch(c);
}

/* Hands *from to the kernel, and what it does not take to libuv. */
static void wire_write(struct net_conn *c, struct block **from) {
    struct net *n = c->net;
    struct block *b = *from;
    *from = NULL;
    c->wire = b;
    uv_buf_t buf = {.base = b->data, .len = b->size};
    n->stats.bytes_out += b->size;
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent >= 0 && (size_t)sent == b->size) {
        block_drop(n, &c->wire);
        return;
    }
    if (sent < 0 && sent != UV_EAGAIN) {
        block_drop(n, &c->wire);
        conn_cut(c, false);
        return;
    }
    if (sent > 0) {
        buf.base += sent;
        buf.len -= (size_t)sent;
    }
    c->queue_seen = 0;
    if (uv_write(&b->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        block_drop(n, &c->wire);
        conn_cut(c, true);
        return;
    }
    conn_rearm(c);
}

static void flush(struct net_conn *c) {
    if (c->resume && c->state == CONN_HTTP && !c->wire) {
        c->resume = false;
        conn_consume(c, NULL, 0);
    }
    if (c->wire || c->state == CONN_DEAD) return;
    if (c->tls && c->out && !tls_encrypt(c)) {
        conn_cut(c, true);
        return;
    }
    struct block **from = c->tls ? &c->sealed : &c->out;
    if (*from) wire_write(c, from);
    if (c->wire || c->state == CONN_DEAD) return;
    if (c->state == CONN_FLUSHING)
        linger(c);
    else if (c->resume)
        conn_touch(c); /* all is written: the requests that waited for it are next */
}

void conn_flush_all(struct net *n) {
    while (link_is_in(&n->dirty)) {
        struct net_conn *c = of_dirty(n->dirty.next);
        link_out(&c->dirty);
        flush(c);
    }
}

/* ---- deadlines ---- */

static int64_t deadline_of(const struct net_conn *c) {
    const struct net_limits *l = &c->net->limits;
    switch (c->state) {
    case CONN_HTTP:
        if (c->wire || c->resume) return c->active_ms + l->idle_ms_max;
        if (c->in || (c->tls && tls_is_shaking(c))) return c->begun_ms + l->request_ms_max;
        return c->active_ms + l->idle_ms_max;
    case CONN_ANSWERING:
    case CONN_OPENING:
        return c->wire ? c->active_ms + l->idle_ms_max : net_now_ms(c->net) + FOREVER_MS;
    case CONN_WS:
        return ws_deadline(c);
    case CONN_FLUSHING:
        return c->active_ms + l->idle_ms_max;
    case CONN_WS_CLOSING:
    case CONN_LINGERING:
    case CONN_DEAD:
        return c->begun_ms + CLOSE_MS;
    }
    return 0;
}

void conn_rearm(struct net_conn *c) {
    if (c->state != CONN_DEAD) wheel_arm(c, deadline_of(c));
}

void conn_due(struct net_conn *c, int64_t now_ms) {
    /* Bytes that the kernel took from libuv's hands are a sign of life, too. */
    if (c->wire && c->tcp.write_queue_size != c->queue_seen) {
        c->queue_seen = c->tcp.write_queue_size;
        c->active_ms = now_ms;
    }
    if (deadline_of(c) > now_ms) {
        conn_rearm(c);
        return;
    }
    struct net_stats *stats = &c->net->stats;
    switch (c->state) {
    case CONN_HTTP:
        if (!c->wire && !c->in && !(c->tls && tls_is_shaking(c))) {
            conn_finish(c);
            break;
        }
        stats->timed_out++;
        if (!c->wire && c->in)
            http_refuse(c, 408);
        else /* it does not read what it asked for, or does not shake hands */
            conn_cut(c, true);
        break;
    case CONN_WS:
        ws_due(c, now_ms);
        break;
    case CONN_ANSWERING:
    case CONN_OPENING:
    case CONN_FLUSHING:
        stats->timed_out++;
        conn_cut(c, true);
        break;
    case CONN_WS_CLOSING:
    case CONN_LINGERING:
        conn_cut(c, false);
        break;
    case CONN_DEAD:
        break;
    }
}

/* ---- beginnings ---- */

static void peer_name(struct net_conn *c) {
    struct sockaddr_storage address;
    int size = sizeof address;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &size) != 0 ||
        uv_ip_name((const struct sockaddr *)&address, c->peer, sizeof c->peer) != 0)
        strcpy(c->peer, "unknown"); /* it has gone already */
}

void conn_accept(struct net *n) {
    struct net_conn *c = calloc(1, sizeof *c);
    if (!c) { /* libuv accepts nothing more before this one has been taken */
        n->accept_waits = true;
        return;
    }
    n->accept_waits = false;
    c->net = n;
    link_init(&c->all);
    link_init(&c->dirty);
    link_init(&c->wheel);
    int failed = uv_tcp_init(n->loop, &c->tcp); /* takes no socket yet, so nothing can fail */
    ASSERT(failed == 0);
    c->tcp.data = c;
    c->active_ms = c->begun_ms = net_now_ms(n);
    link_last(&n->all, &c->all);
    n->handles_open++;
    n->stats.open++;
    if (uv_accept((uv_stream_t *)&n->listener, (uv_stream_t *)&c->tcp) != 0) {
        conn_cut(c, false);
        return;
    }
    if (n->stats.open > n->limits.connections_max || (n->ssl && tls_open(c) != ST_OK)) {
        n->stats.refused++;
        conn_cut(c, false);
        return;
    }
    n->stats.accepted++;
    peer_name(c);
    uv_tcp_nodelay(&c->tcp, 1);
    c->paused = true;
    if (reading_set(c, true)) conn_rearm(c);
}
