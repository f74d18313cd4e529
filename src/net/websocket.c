/* RFC 6455 on a connection: handshake, messages, control frames, closing, and the venue's limits. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/net_internal.h"

/* Empty fragments cost the sender six bytes and are no part of any size: their number is limited. */
enum { FRAGMENTS_MAX = 4096, RATE_WINDOW_MS = 1000 };

/* ---- handshake ---- */

void ws_accept_key(char out[WS_ACCEPT_SIZE], struct net_text key) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* 1.3 */
    unsigned char text[24 + sizeof guid], digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ASSERT(key.size == 24);
    memcpy(text, key.data, 24);
    memcpy(text + 24, guid, sizeof guid - 1);
    int made = EVP_Digest(text, 24 + sizeof guid - 1, digest, &size, EVP_sha1(), NULL);
    ASSERT(made == 1 && size == 20);
    int length = EVP_EncodeBlock((unsigned char *)out, digest, 20);
    ASSERT(length == WS_ACCEPT_SIZE - 1);
}

/* The 101 goes out when the caller says yes, or sends the first message, which is the same. */
static bool accept_peer(struct net_conn *c) {
    struct net *n = c->net;
    struct ws *ws = calloc(1, sizeof *ws);
    char head[160];
    if (!ws) {
        conn_cut(c, true);
        return false;
    }
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                        "Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        c->accept);
    ASSERT(size > 0 && (size_t)size < sizeof head);
    ws->opened_ms = ws->pinged_ms = net_now_ms(n);
    c->ws = ws;
    c->state = CONN_WS;
    n->stats.websockets++;
    net_rate_set(c, n->limits.messages_per_s_max);
    return c->state == CONN_WS && conn_write(c, head, (size_t)size);
}

void ws_handshake(struct net_conn *c, const struct net_request *r) {
    const struct net_handlers *h = &c->net->handlers;
    char accept[WS_ACCEPT_SIZE];
    c->state = CONN_OPENING;
    if (!h->on_open) {
        net_respond(c, 404, "text/plain", NULL, "404 Not Found\n", 14);
        return;
    }
    ws_accept_key(accept, net_header(r, "sec-websocket-key"));
    c->accept = accept;
    c->seen = true;
    bool accepted = h->on_open(h->context, c, r);
    if (c->state == CONN_OPENING && accepted)
        accept_peer(c);
    else if (c->state == CONN_OPENING)
        net_respond(c, 403, "text/plain", NULL, "403 Forbidden\n", 14);
    c->accept = NULL;
}

void ws_free(struct net_conn *c) {
    if (!c->ws) return;
    block_drop(c->net, &c->ws->message);
    free(c->ws->rate);
    free(c->ws);
    c->ws = NULL;
}

/* ---- sending ---- */

static bool frame_send(struct net_conn *c, enum net_opcode opcode, const char *payload,
                       size_t size) {
    uint8_t header[10];
    size_t header_size = net_frame_header(header, opcode, size);
    char *room = block_room(c->net, &c->out, header_size + size);
    if (!room) {
        conn_cut(c, true);
        return false;
    }
    memcpy(room, header, header_size);
    if (size) memcpy(room + header_size, payload, size);
    c->out->size += header_size + size;
    conn_touch(c);
    return true;
}

/* Messages go out on an open WebSocket only; one that does not read them is cut. */
static bool can_send(struct net_conn *c, size_t size) {
    if (c->state == CONN_OPENING && c->accept && !accept_peer(c)) return false;
    if (c->state != CONN_WS) return false;
    if (conn_backlog(c) + size <= c->net->limits.backlog_bytes_max) return true;
    c->net->stats.slow_cut++;
    conn_cut(c, true);
    return false;
}

bool net_send(struct net_conn *c, const char *text, size_t size) {
    if (!can_send(c, size) || !frame_send(c, NET_WS_TEXT, text, size)) return false;
    c->net->stats.messages_out++;
    return true;
}

bool net_send_framed(struct net_conn *c, const void *frame, size_t size) {
    if (!can_send(c, size) || !conn_write(c, frame, size)) return false;
    c->net->stats.messages_out++;
    return true;
}

/* The payload is the time, as the venue's is: whoever looks at a capture can see its age. */
void net_ping(struct net_conn *c) {
    char payload[24];
    if (c->state != CONN_WS) return;
    int64_t now_ms = net_now_ms(c->net), wall_ns = tstamp_wall_ns() + c->net->date_offset_ns;
    int size = snprintf(payload, sizeof payload, "%lld", (long long)(wall_ns / NS_PER_MS));
    ASSERT(size > 0 && (size_t)size < sizeof payload);
    c->ws->pinged_ms = now_ms;
    if (!c->ws->unanswered_ms) c->ws->unanswered_ms = now_ms;
    if (frame_send(c, NET_WS_PING, payload, (size_t)size)) conn_rearm(c);
}

/* ---- closing ---- */

static bool close_send(struct net_conn *c, int code) {
    const char payload[2] = {(char)(code >> 8), (char)(code & 0xFF)};
    return frame_send(c, NET_WS_CLOSE, payload, code ? 2 : 0);
}

void ws_shut(struct net_conn *c, int code) {
    if (c->state == CONN_OPENING && c->accept && !accept_peer(c)) return;
    if (c->state != CONN_WS || !close_send(c, code)) return;
    c->state = CONN_WS_CLOSING;
    c->begun_ms = net_now_ms(c->net);
    conn_rearm(c);
}

/* Closes, and reads no more. */
static void fail(struct net_conn *c, int code) {
    if (c->state == CONN_WS && !close_send(c, code)) return;
    conn_finish(c);
}

/* ---- limits ---- */

void net_rate_set(struct net_conn *c, uint32_t messages_per_s_max) {
    ASSERT(messages_per_s_max <= NET_RATE_MAX);
    if (c->state == CONN_OPENING && c->accept && !accept_peer(c)) return;
    if (c->state != CONN_WS) return;
    uint32_t *rate = NULL;
    if (messages_per_s_max) {
        rate = calloc(messages_per_s_max, sizeof *rate);
        if (!rate) {
            conn_cut(c, true);
            return;
        }
    }
    free(c->ws->rate);
    c->ws->rate = rate;
    c->ws->rate_max = messages_per_s_max;
    c->ws->rate_next = 0;
}

/* Exactly "in any second": the message that came rate_max messages ago must be a second old. */
static bool rate_is_exceeded(struct net_conn *c) {
    struct ws *ws = c->ws;
    if (!ws->rate_max) return false;
    uint32_t now = (uint32_t)(net_now_ms(c->net) - ws->opened_ms) + 1;
    uint32_t *slot = &ws->rate[ws->rate_next], before = *slot;
    *slot = now;
    ws->rate_next = (ws->rate_next + 1) % ws->rate_max;
    return before && now - before < RATE_WINDOW_MS;
}

int64_t ws_deadline(const struct net_conn *c) {
    const struct net_limits *l = &c->net->limits;
    const struct ws *ws = c->ws;
    int64_t at = ws->pinged_ms + l->ping_every_ms;
    if (ws->unanswered_ms && ws->unanswered_ms + l->pong_within_ms < at)
        at = ws->unanswered_ms + l->pong_within_ms;
    if (l->socket_life_ms && ws->opened_ms + l->socket_life_ms < at)
        at = ws->opened_ms + l->socket_life_ms;
    return at;
}

void ws_due(struct net_conn *c, int64_t now_ms) {
    const struct net_limits *l = &c->net->limits;
    const struct ws *ws = c->ws;
    if (l->socket_life_ms && now_ms - ws->opened_ms >= l->socket_life_ms) {
        ws_shut(c, 1001);
    } else if (ws->unanswered_ms && now_ms - ws->unanswered_ms >= l->pong_within_ms) {
        c->net->stats.timed_out++;
        conn_cut(c, true);
    } else {
        net_ping(c);
    }
}

/* ---- receiving ---- */

static void message_deliver(struct net_conn *c, struct net_text text) {
    const struct net_handlers *h = &c->net->handlers;
    c->net->stats.messages_in++;
    if (h->on_message) h->on_message(h->context, c, text);
}

/* Fragments of one message, 5.4. Returns the code that ends the connection, or 0. */
static int fragment_take(struct net_conn *c, const struct net_frame *f) {
    struct net *n = c->net;
    struct ws *ws = c->ws;
    size_t have = ws->message ? ws->message->size : 0;
    if (have + f->payload.size > n->limits.message_bytes_max) return 1009;
    if (++ws->fragments > FRAGMENTS_MAX) return 1008;
    char *room = block_room_tight(&ws->message, f->payload.size);
    if (!room) return 1011;
    memcpy(room, f->payload.data, f->payload.size);
    ws->message->size += f->payload.size;
    if (!f->fin) return 0;
    struct block *whole = ws->message;
    struct net_text text = {whole->data, whole->size};
    ws->message = NULL;
    ws->opcode = NET_WS_CONT;
    ws->fragments = 0;
    int code = net_utf8_is_valid(text.data, text.size) ? 0 : 1007;
    if (code == 0) message_deliver(c, text);
    block_drop(n, &whole);
    return code;
}

static int data_take(struct net_conn *c, const struct net_frame *f) {
    struct ws *ws = c->ws;
    if ((f->opcode == NET_WS_CONT) == (ws->opcode == NET_WS_CONT)) return 1002;
    if (f->opcode == NET_WS_BINARY) return 1003;
    if (f->opcode == NET_WS_TEXT) {
        if (rate_is_exceeded(c)) return 1008;
        if (f->fin) {
            message_deliver(c, f->payload);
            return 0;
        }
        ws->opcode = NET_WS_TEXT;
    }
    return fragment_take(c, f);
}

/* Echoes the peer's code and ends. */
static void close_take(struct net_conn *c, const struct net_frame *f) {
    if (c->state == CONN_WS) {
        int code = 0;
        if (f->payload.size >= 2)
            code = (unsigned char)f->payload.data[0] << 8 | (unsigned char)f->payload.data[1];
        if (!close_send(c, code)) return;
    }
    conn_finish(c);
}

static int frame_take(struct net_conn *c, const struct net_frame *f) {
    if (f->opcode == NET_WS_CLOSE) {
        close_take(c, f);
        return 0;
    }
    if (c->state == CONN_WS_CLOSING) return 0; /* was under way when we closed */
    switch (f->opcode) {
    case NET_WS_PING:
        if (rate_is_exceeded(c)) return 1008;
        /* One who pings without reading the pongs must not fill our memory. */
        if (can_send(c, f->payload.size))
            frame_send(c, NET_WS_PONG, f->payload.data, f->payload.size);
        return 0;
    case NET_WS_PONG:
        if (rate_is_exceeded(c)) return 1008;
        c->ws->unanswered_ms = 0;
        return 0;
    case NET_WS_CONT:
    case NET_WS_TEXT:
    case NET_WS_BINARY:
        return data_take(c, f);
    case NET_WS_CLOSE:
        break;
    }
    return 0;
}

size_t ws_consume(struct net_conn *c, char *bytes, size_t size) {
    struct net *n = c->net;
    size_t used = 0;
    while (used < size && (c->state == CONN_WS || c->state == CONN_WS_CLOSING)) {
        struct net_frame f;
        size_t frame;
        int code;
        enum net_parse p =
            net_frame_parse(&f, &frame, &code, bytes + used, size - used, &n->limits);
        if (p == NET_PARSE_MORE) break;
        if (p == NET_PARSE_DONE) {
            used += frame;
            code = frame_take(c, &f);
            if (code == 0) continue;
        }
        if (code == 1009)
            n->stats.too_large++;
        else
            n->stats.bad_requests++;
        fail(c, code);
    }
    return used;
}
