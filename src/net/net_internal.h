/* What the files of this module share: resumable parsing, blocks of bytes, connections, the wheel. */
#ifndef NET_NET_INTERNAL_H
#define NET_NET_INTERNAL_H

#include <uv.h>

#include "base/tstamp.h"
#include "net/net.h"

/* ---- request.c: parsing that goes on where it stopped ---- */

/* A request that comes in drips is not scanned from its start again for each drip. Zeroed at the
 * start of every request; positions are relative to the request's first byte. */
struct request_scan {
    size_t at;        /* next byte to look at: start of a line, or inside a chunk's data */
    size_t lead;      /* an empty line before the request line (RFC 9112 2.2): 0 or 2 */
    size_t head_size; /* with lead; 0: the head has not ended */
    size_t body_size; /* declared, or decoded so far when chunked */
    size_t overhead;  /* bytes of chunk extensions, padding and trailers */
    size_t chunk_left;
    bool chunked, expect_continue, continue_sent, old; /* old: HTTP/1.0 */
    enum { CHUNK_SIZE = 0, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER } chunk;
};
enum net_parse request_scan(struct request_scan *scan, struct net_request *out, size_t *used,
                            int *status, char *bytes, size_t size, const struct net_limits *limits);
/* A comma-separated list of tokens holds this one (without regard to case). */
bool text_lists(struct net_text list, const char *token);
bool text_is(struct net_text text, const char *word);

/* ---- blocks: bytes on their way out, or waiting for the rest of a request ---- */

struct block {
    uv_write_t write; /* while libuv has it */
    struct block *next;
    size_t size, capacity;
    char data[];
};
enum { BLOCK_SIZE = 8192, BLOCK_KEEP_SIZE = 65536, BLOCKS_KEPT = 64, READ_SIZE = 65536 };

struct link {
    struct link *next, *prev;
};
static inline void link_init(struct link *l) {
    l->next = l->prev = l;
}
static inline bool link_is_in(const struct link *l) {
    return l->next != l;
}
static inline void link_out(struct link *l) {
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}
static inline void link_last(struct link *list, struct link *l) {
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}

/* ---- connections ---- */

enum conn_state {
    CONN_HTTP = 0,  /* between requests, or with part of one */
    CONN_ANSWERING, /* a request is with the caller */
    CONN_OPENING,   /* a handshake is with the caller */
    CONN_WS,
    CONN_WS_CLOSING, /* our close frame is out, the peer's is awaited */
    CONN_FLUSHING,   /* nothing is read any more; ends when all is written */
    CONN_LINGERING,  /* our end is shut; what still comes is thrown away for a while */
    CONN_DEAD        /* with libuv for closing */
};

struct ws {
    struct block *message; /* fragments so far */
    uint32_t fragments;
    enum net_opcode opcode; /* of the message in fragments; NET_WS_CONT: none */
    int64_t opened_ms, pinged_ms, unanswered_ms; /* unanswered: oldest ping without pong, 0 none */
    uint32_t rate_max, rate_next;
    uint32_t *rate; /* times of the last rate_max messages, ms since opened_ms plus one */
};

struct net_conn {
    uv_tcp_t tcp;
    struct net *net;
    struct link all, dirty, wheel;
    int64_t deadline_ms, wheel_ms; /* when it is due; where it is filed (never later) */
    int64_t begun_ms, active_ms; /* first byte of the request (or of the end); last sign of life */
    int64_t received_ns;
    struct block *in;     /* unparsed rest */
    struct block *out;    /* to be sent; with TLS still plain */
    struct block *sealed; /* TLS: encrypted */
    struct block *wire;   /* with libuv */
    size_t queue_seen;    /* of wire when it was last looked at */
    struct ws *ws;
    struct tls *tls;
    const char *accept; /* of a handshake that is with the caller */
    void *user;
    struct request_scan scan;
    size_t lingered;
    enum conn_state state;
    bool seen;                  /* by the caller: on_close is due */
    bool parsing;               /* bytes are being worked on further up the stack */
    bool resume;                /* look at `in` again when it is flushed */
    bool eof, paused;           /* the peer sends no more; we do not read for now */
    bool head, old, keep_alive; /* of the request that is being answered */
    char peer[46];
};

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 20 };

struct net {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active while the loop polls instead of sleeping */
    int64_t busy_poll_ns, polling_since_ns;
    uint64_t requests_seen;
    uv_timer_t timer;
    struct net_limits limits;
    struct net_handlers handlers;
    struct net_stats stats;
    struct link all, dirty, wheel[WHEEL_SLOTS];
    int64_t wheel_ms; /* slots up to this time are done */
    int64_t date_offset_ns, date_second;
    char date[32];
    struct block *kept;
    uint32_t kept_count, handles_open;
    uint16_t port;
    bool closing, accept_waits;
    struct ssl_ctx_st *ssl;
    struct bio_method_st *bio;
    char read[READ_SIZE];  /* every read of every connection lands here first */
    char plain[READ_SIZE]; /* and, decrypted, here */
};

/* block.c: room for size more bytes behind what is there (*b may be NULL); NULL: no memory. */
char *block_room(struct net *n, struct block **b, size_t size);
/* The same, close to the size: for the parts of requests that many connections may hold for long. */
char *block_room_tight(struct block **b, size_t size);
void block_drop(struct net *n, struct block **b);
void blocks_free(struct net *n);

/* conn.c */
void conn_accept(struct net *n);
void conn_flush_all(struct net *n);
void conn_due(struct net_conn *c, int64_t now_ms);
void conn_rearm(struct net_conn *c);
/* At once; on_close follows from the loop. */
void conn_cut(struct net_conn *c, bool reset);
void conn_consume(struct net_conn *c, const char *bytes, size_t size);
void conn_finish(struct net_conn *c); /* no more reading; closes when all is written */
void conn_touch(struct net_conn *c);  /* there is something to do when the turn ends */
void conn_eof(struct net_conn *c);
/* False, and the connection cut, if there is no memory. */
bool conn_write(struct net_conn *c, const void *bytes, size_t size);
size_t conn_backlog(const struct net_conn *c);
static inline int64_t net_now_ms(const struct net *n) {
    return (int64_t)uv_now(n->loop);
}

/* net.c */
void net_handle_closed(struct net *n);

/* http.c: requests out of bytes; returns the bytes used. */
size_t http_consume(struct net_conn *c, char *bytes, size_t size);
/* Answers by itself and ends the connection. */
void http_refuse(struct net_conn *c, int status);

/* websocket.c */
size_t ws_consume(struct net_conn *c, char *bytes, size_t size);
void ws_handshake(struct net_conn *c, const struct net_request *r);
void ws_due(struct net_conn *c, int64_t now_ms);
int64_t ws_deadline(const struct net_conn *c);
void ws_free(struct net_conn *c);
void ws_shut(struct net_conn *c, int code); /* and waits for the peer's close */
enum { WS_ACCEPT_SIZE = 29 };
void ws_accept_key(char out[WS_ACCEPT_SIZE], struct net_text key);

/* wheel.c */
void wheel_init(struct net *n);
void wheel_arm(struct net_conn *c, int64_t deadline_ms);
void wheel_turn(struct net *n, int64_t now_ms);

/* tls.c */
enum status tls_context(struct net *n, const char *cert_file, const char *key_file,
                        struct err *err);
void tls_context_free(struct net *n);
enum status tls_open(struct net_conn *c);
void tls_free(struct net_conn *c);
/* Encrypted bytes in; plain ones go to conn_consume. False: the connection must end. */
bool tls_receive(struct net_conn *c, const char *bytes, size_t size);
/* c->out, encrypted, goes behind c->sealed. */
bool tls_encrypt(struct net_conn *c);
void tls_goodbye(struct net_conn *c);
bool tls_is_shaking(const struct net_conn *c);

#endif
