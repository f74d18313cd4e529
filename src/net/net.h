/* HTTP/1.1 and WebSocket server on one libuv loop, with TLS by OpenSSL.
 *
 * Why not a ready HTTP server: a signed request is signed over its query and body exactly as they were
 * sent, and the servers there are hand over only what they decoded (docs/decisions). Bytes come in,
 * requests and messages come out raw; what they mean is the caller's.
 *
 * One thread. Every limit is a number in net_limits; whoever exceeds one is answered (431, 413, 408)
 * or cut off, and counted. Memory per connection is bounded; an idle one holds no buffers. */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct net;      /* server: one listening port */
struct net_conn; /* one connection; valid from on_request / on_open until on_close returned */

struct net_limits {
    uint32_t connections_max;   /* 16384: more are accepted and closed at once */
    uint32_t header_bytes_max;  /* 16 KiB: request line and headers together, else 431 */
    uint32_t headers_max;       /* 64 */
    uint32_t body_bytes_max;    /* 1 MiB, else 413 and closed */
    uint32_t message_bytes_max; /* 64 KiB of one WebSocket message, else close code 1009 */
    uint32_t
        messages_per_s_max; /* incoming text + ping + pong in any second, else code 1008; 0 none */
    uint32_t backlog_bytes_max; /* 4 MiB unsent on one WebSocket: it is cut off (slow reader) */
    int64_t request_ms_max;     /* 10 s from the first byte to the whole request, else 408 */
    int64_t idle_ms_max;        /* 75 s keep-alive between requests; also without write progress */
    int64_t ping_every_ms;      /* 180 s */
    int64_t pong_within_ms;     /* 600 s */
    int64_t socket_life_ms;     /* 24 h: a WebSocket is then closed with 1001; 0 none */
};
struct net_limits net_limits_defaults(void);

/* A slice of the connection's buffer, borrowed until the callback returns. */
struct net_text {
    const char *data;
    size_t size;
};

enum net_method { NET_GET = 1, NET_POST, NET_PUT, NET_DELETE, NET_HEAD, NET_OPTIONS, NET_OTHER };

enum { NET_HEADERS_MAX = 64 };
struct net_request {
    enum net_method method;
    struct net_text method_text, path, query, body; /* raw: query without '?', nothing decoded */
    uint32_t header_count;
    struct {
        struct net_text name, value; /* value without surrounding blanks */
    } headers[NET_HEADERS_MAX];
    bool keep_alive, upgrade; /* upgrade: a well-formed WebSocket handshake */
    bool expect_continue;
    int64_t received_ns; /* monotonic, when its last byte was read */
};
/* The header's value (name without regard to case), data NULL if there is none. */
struct net_text net_header(const struct net_request *r, const char *name);

/* ---- grammars, usable without a socket (and fuzzed so) ---- */

enum net_parse { NET_PARSE_DONE = 0, NET_PARSE_MORE, NET_PARSE_BAD, NET_PARSE_TOO_LARGE };
/* One request from bytes[0..size). DONE: *used bytes belong to it. BAD / TOO_LARGE: *status is the
 * HTTP status to answer (400, 413, 414, 417, 431, 501, 505), *used the bytes looked at. MORE: the head
 * and what is there of the body are in order so far. Chunked bodies are accepted and joined in place
 * when they are whole (bytes is written to for that). */
enum net_parse net_request_parse(struct net_request *out, size_t *used, int *status, char *bytes,
                                 size_t size, const struct net_limits *limits);

enum net_opcode {
    NET_WS_CONT = 0,
    NET_WS_TEXT = 1,
    NET_WS_BINARY = 2,
    NET_WS_CLOSE = 8,
    NET_WS_PING = 9,
    NET_WS_PONG = 10
};
struct net_frame {
    bool fin;
    enum net_opcode opcode;
    struct net_text payload; /* unmasked in place */
};
/* One frame of RFC 6455 from a client (masked). BAD: *status is the close code (1002, 1007),
 * TOO_LARGE: 1009. A whole text message (fin) is checked for UTF-8, fragments are the caller's to
 * join and to check; a close frame's code and reason are checked. bytes is written to when DONE. */
enum net_parse net_frame_parse(struct net_frame *out, size_t *used, int *status, char *bytes,
                               size_t size, const struct net_limits *limits);
bool net_utf8_is_valid(const char *bytes, size_t size);
/* Header of a server's frame for a payload of this size; returns its length (2, 4 or 10). */
size_t net_frame_header(uint8_t out[10], enum net_opcode opcode, size_t payload_size);

/* ---- server ---- */

struct net_handlers {
    void *context;
    /* Answer with net_respond, now or later (the connection reads no further request until then).
     * The request is borrowed until the call returns: copy what a later answer needs. NULL: 404. */
    void (*on_request)(void *context, struct net_conn *c, const struct net_request *r);
    /* A handshake: true accepts (101 is sent, messages follow); false: refuse with net_respond before
     * it returns (403 else). Messages may be sent from inside: they follow the 101. NULL: 404. */
    bool (*on_open)(void *context, struct net_conn *c, const struct net_request *r);
    void (*on_message)(void *context, struct net_conn *c, struct net_text text);
    /* For every connection that on_request or on_open saw, from the loop, never from inside a call of
     * net_*: what is sent to c from its cut to here is dropped. */
    void (*on_close)(void *context, struct net_conn *c);
};

struct net_options {
    const char *host;                         /* "127.0.0.1" */
    uint16_t port;                            /* 0: any */
    const char *tls_cert_file, *tls_key_file; /* PEM; NULL: plain */
    int64_t date_offset_ns; /* what the Date header adds to this machine's clock */
    /* After a request the loop goes on polling for this long before it sleeps, so that the next one of a caller
     * who waits for answers does not pay for waking the processor. 0: never. */
    int64_t busy_poll_ns;
    struct net_limits limits;
    struct net_handlers handlers;
};
struct uv_loop_s;
/* ST_IO if the port is taken (err says so), ST_INVALID for a bad certificate. */
enum status net_open(struct net **out, struct uv_loop_s *loop, const struct net_options *options,
                     struct err *err);
uint16_t net_port(const struct net *n);
/* Stops listening and closes every connection (WebSockets with 1001, those that do not answer are cut
 * after a second); on_close still comes for each, and n is freed by the loop. */
void net_close(struct net *n);

/* status e.g. 200; headers: ready lines "Name: value\r\n…" without the blank line, or NULL. Content-Length and
 * Connection are added. Bytes are copied; what several answers of one loop turn say goes out in one write. */
void net_respond(struct net_conn *c, int status, const char *content_type, const char *headers,
                 const char *body, size_t body_size);
/* One text message; copied. Messages of one loop turn are joined into one write. False: the
 * connection is gone, closing, or was cut off for being slow. */
bool net_send(struct net_conn *c, const char *text, size_t size);
/* As net_send with the frame header already in place (net_frame_header): for the same bytes to many. */
bool net_send_framed(struct net_conn *c, const void *frame, size_t size);
void net_ping(struct net_conn *c);
/* messages_per_s_max of this WebSocket alone (0 none, NET_RATE_MAX at most); from on_open on. */
enum { NET_RATE_MAX = 4096 };
void net_rate_set(struct net_conn *c, uint32_t messages_per_s_max);
/* WebSocket close with a code (what was sent before it still goes out), or an HTTP connection closed
 * after its answer. */
void net_shut(struct net_conn *c, int code);
/* Cut at once, without a word: by reset, or by an ordinary end of the connection. For faults. */
void net_reset(struct net_conn *c);
void net_hang_up(struct net_conn *c);
/* The caller's own pointer of a connection; NULL at first. */
void net_conn_set(struct net_conn *c, void *user);
void *net_conn_get(const struct net_conn *c);
const char *net_conn_peer(const struct net_conn *c); /* "127.0.0.1" */

struct net_stats {
    uint64_t accepted, open, websockets, requests, messages_in, messages_out, bytes_in, bytes_out;
    uint64_t bad_requests, too_large, timed_out, slow_cut, refused;
};
void net_stats_get(const struct net *n, struct net_stats *out);

/* Makes a self-signed certificate (ECDSA P-256, one year, the names given, comma-separated) if the
 * files are not there; key file 0600. */
enum status net_tls_generate(const char *cert_file, const char *key_file, const char *names,
                             struct err *err);
#endif
