/* ws_fanout: 20 clients, each on three streams of each of 300 contracts (trades, best prices, depth at 100 ms), over
 * loopback sockets. The exchange (synthetic market, streams, sockets) runs on one thread, its clock several times as
 * fast as the wall so that enough is due; all clients are read and checked on another.
 *
 * Every message is looked at: trade numbers rise by one, each depth event follows the one before (pu), the best price's
 * update id rises, and at the end every client has had as many messages as the server counted for it. One lost,
 * doubled or overtaken message fails the bench. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/hash.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "net/net.h"
#include "venue/server/streams.h"

enum {
    CLIENTS = 20,
    CONTRACTS = 300,
    SPEED = 5,         /* exchange seconds in one of the wall's */
    SECONDS = 6,       /* measured */
    BUFFER = 1 << 20,  /* of a client */
    NAMES_SIZE = 1024, /* hash table of contracts */
    QUIET_MS = 20000,  /* nothing came for so long: something is lost */
};
#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

/* ---- the server's thread ---- */

struct host {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t wake;
    struct net *net;
    struct world *world;
    struct streams *streams;
    struct instrument instruments[CONTRACTS];
    px_t start_px[CONTRACTS];
    int64_t begun_ns; /* monotonic, when the market began; 0: not yet */
    uint16_t port;
    pthread_t thread;
    atomic_int phase;      /* enum phase, set by the reader */
    _Atomic uint64_t sent; /* messages, once the market stands; UINT64_MAX before */
    int64_t cpu_ns;        /* of the thread while the market ran */
};
enum phase { PHASE_WAIT = 0, PHASE_RUN, PHASE_STAND, PHASE_END };

static bool send_text(void *context, const char *text, size_t size) {
    return net_send(context, text, size);
}
static bool send_framed(void *context, const void *frame, size_t size) {
    return net_send_framed(context, frame, size);
}
static void shut(void *context, int code) {
    net_shut(context, code);
}

static bool on_open(void *context, struct net_conn *c, const struct net_request *r) {
    struct host *h = context;
    struct streams_sink sink = {c, send_framed, send_text, shut};
    struct stream_client *client =
        streams_open(h->streams, r->path, r->query, &sink, h->world->now_ns);
    net_conn_set(c, client);
    return client != NULL;
}

static void on_message(void *context, struct net_conn *c, struct net_text text) {
    struct host *h = context;
    streams_message(h->streams, net_conn_get(c), text, h->world->now_ns);
}

static void on_close(void *context, struct net_conn *c) {
    struct host *h = context;
    if (net_conn_get(c)) streams_close(h->streams, net_conn_get(c));
}

static void on_event(void *context, const struct exchange_event *event) {
    struct host *h = context;
    streams_event(h->streams, event);
}

static int64_t thread_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static uint64_t delivered(const struct host *h) {
    struct streams_stats stats;
    streams_stats_get(h->streams, &stats);
    return stats.messages;
}

static void on_timer(uv_timer_t *timer) {
    struct host *h = timer->data;
    if (atomic_load(&h->phase) != PHASE_RUN) return;
    int64_t mono = tstamp_monotonic_ns();
    if (h->begun_ns == 0) {
        h->begun_ns = mono;
        h->cpu_ns = -thread_cpu_ns();
    }
    int64_t now = START_NS + NS_PER_SECOND + (mono - h->begun_ns) * SPEED;
    world_advance(h->world, now);
    streams_time(h->streams, now);
}

static void on_wake(uv_async_t *wake) {
    struct host *h = wake->data;
    int phase = atomic_load(&h->phase);
    if (phase == PHASE_STAND) {
        h->cpu_ns += thread_cpu_ns();
        atomic_store(&h->sent, delivered(h));
    }
    if (phase == PHASE_END) {
        net_close(h->net);
        uv_close((uv_handle_t *)&h->timer, NULL);
        uv_close((uv_handle_t *)&h->wake, NULL);
    }
}

static void *serve(void *context) {
    struct host *h = context;
    uv_run(&h->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void phase_set(struct host *h, enum phase phase) {
    atomic_store(&h->phase, (int)phase);
    uv_async_send(&h->wake);
}

static enum status world_make(struct host *h, struct err *err) {
    struct world_options o = {.start_ns = START_NS};
    market_symbols_default(h->instruments, h->start_px, CONTRACTS);
    o.exchange = exchange_config_defaults();
    o.exchange.instrument_count = CONTRACTS;
    o.exchange.instruments = h->instruments;
    o.market = market_config_defaults();
    o.market.instrument_count = CONTRACTS;
    o.market.instruments = h->instruments;
    o.market.start_px = h->start_px;
    o.market.start_ns = START_NS;
    o.history = history_limits_defaults();
    o.ticks = (struct ticks_limits){
        .instrument_count = CONTRACTS, .bars = 1500, .trades = 1000, .fundings = 100};
    enum status st = world_open(&h->world, &o, err);
    if (st != ST_OK) return st;
    st = streams_create(&h->streams, h->world, &(struct streams_options){.seed = 1}, err);
    h->world->on_event = on_event;
    h->world->on_event_context = h;
    return st;
}

static enum status host_open(struct host *h, struct err *err) {
    enum status st = world_make(h, err);
    if (st != ST_OK) return st;
    struct net_options options = {.host = "127.0.0.1",
                                  .limits = net_limits_defaults(),
                                  .handlers = {h, NULL, on_open, on_message, on_close}};
    atomic_store(&h->sent, UINT64_MAX);
    if (uv_loop_init(&h->loop)) return err_set(err, ST_EXTERNAL, "event loop");
    st = net_open(&h->net, &h->loop, &options, err);
    if (st != ST_OK) return st;
    h->port = net_port(h->net);
    uv_timer_init(&h->loop, &h->timer);
    uv_async_init(&h->loop, &h->wake, on_wake);
    h->timer.data = h->wake.data = h;
    uv_timer_start(&h->timer, on_timer, 1, 1);
    if (pthread_create(&h->thread, NULL, serve, h))
        return err_set(err, ST_EXTERNAL, "thread of the server");
    return ST_OK;
}

static void host_close(struct host *h) {
    phase_set(h, PHASE_END);
    pthread_join(h->thread, NULL);
    uv_loop_close(&h->loop);
    streams_destroy(h->streams);
    (void)world_close(h->world, NULL); /* keeps nothing: no state folder */
}

/* ---- the clients ---- */

struct seen {
    uint64_t trade, depth, book;
};
struct client {
    int fd;
    size_t have;
    uint64_t messages;
    char *in;
    struct seen seen[CONTRACTS];
};
struct crowd {
    struct client clients[CLIENTS];
    struct {
        char lower[SYMBOL_SIZE];
        uint32_t contract1;
    } names[NAMES_SIZE];
};

static uint32_t slot_of(const char *name, size_t size) {
    return (uint32_t)hash64(name, size) % NAMES_SIZE;
}

static void names_make(struct crowd *w, const struct host *h) {
    for (uint32_t i = 0; i < CONTRACTS; i++) {
        char lower[SYMBOL_SIZE] = "";
        for (size_t k = 0; h->instruments[i].symbol[k]; k++)
            lower[k] = (char)(h->instruments[i].symbol[k] |
                              (h->instruments[i].symbol[k] >= 'A' ? 0x20 : 0));
        uint32_t at = slot_of(lower, strlen(lower));
        while (w->names[at].contract1) at = (at + 1) % NAMES_SIZE;
        memcpy(w->names[at].lower, lower, sizeof lower);
        w->names[at].contract1 = i + 1;
    }
}

static int name_find(const struct crowd *w, const char *name, size_t size) {
    for (uint32_t at = slot_of(name, size); w->names[at].contract1; at = (at + 1) % NAMES_SIZE)
        if (strncmp(w->names[at].lower, name, size) == 0 && !w->names[at].lower[size])
            return (int)w->names[at].contract1 - 1;
    return -1;
}

/* The integer behind `key`, which must be there. */
static bool number_at(const char *text, size_t size, const char *key, uint64_t *out) {
    const char *at = memmem(text, size, key, strlen(key));
    if (!at) return false;
    *out = 0;
    for (at += strlen(key); *at >= '0' && *at <= '9'; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    return true;
}

/* {"stream":"NAME","data":{…}} in the order its stream must have. */
static bool check(const struct crowd *w, struct client *c, const char *text, size_t size) {
    static const char head[] = "{\"stream\":\"";
    const size_t from = sizeof head - 1;
    if (size < from + 8 || memcmp(text, head, from) != 0) return false;
    const char *name = text + from, *at = memchr(name, '@', size - from);
    int contract = at ? name_find(w, name, (size_t)(at - name)) : -1;
    if (contract < 0) return false;
    struct seen *s = &c->seen[contract];
    uint64_t id = 0, previous = 0;
    bool good = false;
    if (at[1] == 't') { /* trade */
        good = number_at(at, size - (size_t)(at - text), "\"t\":", &id) &&
               (s->trade == 0 || id == s->trade + 1);
        s->trade = id;
    } else if (at[1] == 'd') { /* depth@100ms */
        good = number_at(at, size - (size_t)(at - text), "\"u\":", &id) &&
               number_at(at, size - (size_t)(at - text), "\"pu\":", &previous) &&
               (s->depth == 0 || previous == s->depth) && id > previous;
        s->depth = id;
    } else if (at[1] == 'b') { /* bookTicker */
        good = number_at(at, size - (size_t)(at - text), "\"u\":", &id) && id > s->book;
        s->book = id;
    }
    return good;
}

static enum status wait_for(struct client *c, short events, struct err *err) {
    struct pollfd p = {c->fd, events, 0};
    return poll(&p, 1, QUIET_MS) == 1 ? ST_OK : err_set(err, ST_TIMEOUT, "a client waits");
}

static enum status send_all(struct client *c, const char *data, size_t size, struct err *err) {
    while (size > 0) {
        ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return err_errno(err, ST_IO, "send");
        if (n < 0) {
            enum status st = wait_for(c, POLLOUT, err);
            if (st != ST_OK) return st;
            continue;
        }
        data += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

/* More bytes, if there are any. */
static enum status receive(struct client *c, struct err *err) {
    ssize_t n = recv(c->fd, c->in + c->have, BUFFER - c->have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return ST_OK;
    if (n < 0) return err_errno(err, ST_IO, "receive");
    if (n == 0) return err_set(err, ST_DISCONNECTED, "the server closed a client");
    c->have += (size_t)n;
    return ST_OK;
}

/* Length of the frame at p, payload at *head; 0: not whole yet. */
static size_t frame_at(const uint8_t *p, size_t have, size_t *head) {
    if (have < 2) return 0;
    size_t n = p[1];
    *head = n < 126 ? 2 : n == 126 ? 4 : 10;
    if (have < *head) return 0;
    if (n == 126) n = (size_t)p[2] << 8 | p[3];
    if (n == 127) {
        n = 0;
        for (int i = 2; i < 10; i++) n = n << 8 | p[i];
    }
    return have - *head < n ? 0 : *head + n;
}

static enum status frames(const struct crowd *w, struct client *c, uint64_t *count,
                          struct err *err) {
    size_t used = 0, head;
    for (size_t n; (n = frame_at((uint8_t *)c->in + used, c->have - used, &head)) != 0; used += n) {
        const char *text = c->in + used + head;
        if ((uint8_t)c->in[used] != 0x81 || !check(w, c, text, n - head))
            return err_set(err, ST_CORRUPT, "a message is lost or out of order: %.*s",
                           (int)(n - head < 300 ? n - head : 300), text);
        c->messages++;
        (*count)++;
    }
    memmove(c->in, c->in + used, c->have - used);
    c->have -= used;
    return ST_OK;
}

/* Connects, subscribes, and takes the acknowledgement. */
static enum status client_open(struct client *c, const struct host *h, struct err *err) {
    static const char hello[] =
        "GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const char *const suffixes[] = {"trade", "bookTicker", "depth@100ms"};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(h->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t capacity = (size_t)CONTRACTS * 3 * 48 + 256, n = 8;
    char *text = malloc(capacity);
    c->in = malloc(BUFFER);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!text || !c->in || c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
        free(text);
        return err_errno(err, ST_IO, "connect");
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    n +=
        (size_t)snprintf(text + n, capacity - n, "{\"method\":\"SUBSCRIBE\",\"id\":1,\"params\":[");
    for (int i = 0; i < CONTRACTS; i++)
        for (int k = 0; k < 3; k++) {
            text[n++] = '"';
            for (const char *x = h->instruments[i].symbol; *x; x++)
                text[n++] = (char)(*x >= 'A' ? *x | 0x20 : *x);
            n += (size_t)snprintf(text + n, capacity - n, "@%s\",", suffixes[k]);
        }
    n += (size_t)snprintf(text + n - 1, capacity - n, "]}") - 1;
    /* One masked frame; the mask is zero. */
    uint8_t head[8] = {0x81, 0xfe, (uint8_t)((n - 8) >> 8), (uint8_t)(n - 8)};
    memcpy(text, head, sizeof head);
    enum status st = send_all(c, hello, sizeof hello - 1, err);
    if (st == ST_OK) st = send_all(c, text, n, err);
    free(text);
    static const char ack[] = "{\"result\":null,\"id\":1}";
    while (st == ST_OK) {
        st = wait_for(c, POLLIN, err);
        if (st == ST_OK) st = receive(c, err);
        if (st == ST_OK && memmem(c->in, c->have, ack, sizeof ack - 1)) break;
    }
    c->have = 0; /* nothing follows before the market begins */
    return st;
}

/* Reads until `until_ns` (monotonic), or, once the market stands, until all that was sent is there. */
static enum status read_all(struct crowd *w, struct host *h, int64_t until_ns, uint64_t *count,
                            struct err *err) {
    struct pollfd polls[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) polls[i] = (struct pollfd){w->clients[i].fd, POLLIN, 0};
    for (int64_t last_ns = tstamp_monotonic_ns();;) {
        uint64_t sent = atomic_load(&h->sent);
        int64_t now = tstamp_monotonic_ns();
        if (sent != UINT64_MAX && *count == sent) return ST_OK;
        if (until_ns && now >= until_ns) return ST_OK;
        if (now - last_ns > QUIET_MS * NS_PER_MS)
            return err_set(err, ST_TIMEOUT, "%" PRIu64 " of %" PRIu64 " messages came", *count,
                           sent);
        if (poll(polls, CLIENTS, 20) == 0) continue;
        last_ns = now;
        for (int i = 0; i < CLIENTS; i++) {
            if (!polls[i].revents) continue;
            enum status st = receive(&w->clients[i], err);
            if (st == ST_OK) st = frames(w, &w->clients[i], count, err);
            if (st != ST_OK) return st;
        }
    }
}

static enum status measure(struct crowd *w, struct host *h, struct err *err) {
    uint64_t count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        enum status st = client_open(&w->clients[i], h, err);
        if (st != ST_OK) return st;
    }
    int64_t from = tstamp_monotonic_ns();
    phase_set(h, PHASE_RUN);
    enum status st = read_all(w, h, from + SECONDS * NS_PER_SECOND, &count, err);
    phase_set(h, PHASE_STAND);
    if (st == ST_OK) st = read_all(w, h, 0, &count, err);
    double seconds = (double)(tstamp_monotonic_ns() - from) / 1e9;
    if (st != ST_OK) return st;
    for (int i = 1; i < CLIENTS; i++)
        if (w->clients[i].messages != w->clients[0].messages)
            return err_set(err, ST_CORRUPT, "client %d had %" PRIu64 " messages, not %" PRIu64, i,
                           w->clients[i].messages, w->clients[0].messages);
    bench_emit(&(struct bench_figure){"ws_fanout", (double)count / seconds, "1/s", count, "", 0});
    bench_emit(&(struct bench_figure){"ws_fanout.server_cpu", (double)h->cpu_ns / (double)count,
                                      "ns", count, "", 0});
    return ST_OK;
}

enum status bench_ws_fanout(struct err *err) {
    struct host *h = calloc(1, sizeof *h);
    struct crowd *w = calloc(1, sizeof *w);
    enum status st = h && w ? host_open(h, err) : err_set(err, ST_NO_MEMORY, "out of memory");
    if (st == ST_OK) {
        names_make(w, h);
        st = measure(w, h, err);
        for (int i = 0; i < CLIENTS; i++) {
            if (w->clients[i].in) close(w->clients[i].fd);
            free(w->clients[i].in);
        }
        host_close(h);
    }
    free(w);
    free(h);
    return st == ST_OK ? st : err_wrap(err, st, "ws_fanout");
}
