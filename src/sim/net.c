#include "sim/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "num/elementary.h"

/* One way: 1 ms of line and an exponential tail of 1 ms in the mean, as a near data centre looks. */
#define LINE_NS          (1 * NS_PER_MS)
#define TAIL_NS          (1 * NS_PER_MS)
#define LATE_NS_MAX      (8 * NS_PER_SECOND)
#define OVERTAKEN_NS_MAX (300 * NS_PER_MS)

enum mail_kind { MAIL_REQUEST, MAIL_REPLY, MAIL_UP, MAIL_DOWN, MAIL_TEXT, MAIL_OPEN, MAIL_MESSAGE };
struct mail {
    int64_t due_ns, left_ns; /* true time */
    uint64_t sequence;
    enum mail_kind kind;
    uint32_t id;     /* of the request, or socket */
    uint32_t serial; /* of the socket's or client's life */
    int status;
    int64_t weight, orders_10s, orders_1m, retry_after;
    enum http_method method;
    bool with_key;
    size_t size;
    char text[];
};

struct socket {
    struct sim_net *net;
    struct stream_client *client; /* the exchange's end */
    uint32_t id, serial;
    int64_t last_due_ns; /* a socket keeps the order of what it carries */
};

struct sim_net {
    struct sim_clock *clock;
    struct sim_peer peer;
    struct rng rng;
    struct binance *client;
    uint32_t life; /* replies of an earlier client's requests are nobody's */
    bool muted, heard;
    int64_t outage_ns; /* nothing gets through until then */
    struct mail **heap;
    size_t count, capacity;
    uint64_t sequence;
    struct socket sockets[SOCKETS_MAX];
};

/* ---- mail ---- */

static bool before(const struct mail *a, const struct mail *b) {
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->sequence < b->sequence);
}

static void heap_push(struct sim_net *n, struct mail *m) {
    if (n->count == n->capacity) {
        size_t capacity = n->capacity ? 2 * n->capacity : 256;
        struct mail **grown = realloc(n->heap, capacity * sizeof(struct mail *));
        ASSERT(grown != NULL);
        n->heap = grown;
        n->capacity = capacity;
    }
    size_t at = n->count++;
    while (at > 0 && before(m, n->heap[(at - 1) / 2])) {
        n->heap[at] = n->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    n->heap[at] = m;
}

static struct mail *heap_pop(struct sim_net *n) {
    struct mail *top = n->heap[0], *last = n->heap[--n->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n->count) break;
        if (child + 1 < n->count && before(n->heap[child + 1], n->heap[child])) child++;
        if (!before(n->heap[child], last)) break;
        n->heap[at] = n->heap[child];
        at = child;
    }
    if (n->count > 0) n->heap[at] = last;
    return top;
}

static struct mail *post(struct sim_net *n, enum mail_kind kind, int64_t due_ns, const char *text,
                         size_t size) {
    struct mail *m = malloc(sizeof *m + size + 1);
    ASSERT(m != NULL);
    *m = (struct mail){.due_ns = due_ns,
                       .left_ns = n->clock->now_ns,
                       .sequence = ++n->sequence,
                       .kind = kind,
                       .size = size};
    if (size) memcpy(m->text, text, size);
    m->text[size] = '\0';
    heap_push(n, m);
    return m;
}

static int64_t one_way(struct sim_net *n) {
    return LINE_NS + (int64_t)(-num_log(1 - rng_f64(&n->rng)) * (double)TAIL_NS);
}

static enum sim_fate fate_of(struct sim_net *n, enum sim_way way) {
    if (n->outage_ns > n->clock->now_ns) return SIM_LOST;
    return n->peer.fate ? n->peer.fate(n->peer.context, way) : SIM_ARRIVES;
}

static int64_t late(struct sim_net *n, int64_t max_ns) {
    return (int64_t)rng_below(&n->rng, (uint64_t)max_ns);
}

/* ---- from the exchange ---- */

static struct mail *socket_mail(struct socket *s, enum mail_kind kind, int64_t due_ns,
                                const char *text, size_t size) {
    struct mail *m = post(s->net, kind, due_ns, text, size);
    m->id = s->id;
    m->serial = s->serial;
    return m;
}

static void frame(struct socket *s, const char *text, size_t size) {
    struct sim_net *n = s->net;
    enum sim_fate fate = fate_of(n, SIM_WAY_FRAME);
    if (!n->client || fate == SIM_LOST) return;
    int64_t due = n->clock->now_ns + one_way(n);
    if (fate == SIM_LATE) due += late(n, LATE_NS_MAX); /* and everything behind it */
    if (fate == SIM_OVERTAKEN) {
        due += late(n, OVERTAKEN_NS_MAX);
    } else {
        if (due < s->last_due_ns) due = s->last_due_ns;
        s->last_due_ns = due;
    }
    socket_mail(s, MAIL_TEXT, due, text, size);
    if (fate == SIM_TWICE) socket_mail(s, MAIL_TEXT, due, text, size);
}

static bool sink_send(void *context, const char *text, size_t size) {
    frame(context, text, size);
    return true;
}

static bool sink_framed(void *context, const void *data, size_t size) {
    const unsigned char *f = data;
    size_t header = f[1] < 126 ? 2 : f[1] == 126 ? 4 : 10;
    ASSERT(size >= header);
    frame(context, (const char *)data + header, size - header);
    return true;
}

/* A line that is dead is noticed once the network is back. */
static int64_t back_ns(const struct sim_net *n) {
    return n->outage_ns > n->clock->now_ns ? n->outage_ns : n->clock->now_ns;
}

static void down(struct socket *s) {
    int64_t due = back_ns(s->net) + one_way(s->net);
    if (due < s->last_due_ns) due = s->last_due_ns;
    socket_mail(s, MAIL_DOWN, due, "", 0);
}

static void sink_shut(void *context, int code) {
    struct socket *s = context;
    (void)code;
    down(s);
}

bool sim_net_cut(struct sim_net *n, uint32_t socket) {
    struct socket *s = &n->sockets[socket];
    if (!s->client) return false;
    n->peer.close(n->peer.context, s->client);
    s->client = NULL;
    down(s);
    return true;
}

static int64_t header_i64(const char *headers, const char *name) {
    const char *at = headers ? strcasestr(headers, name) : NULL;
    return at ? strtoll(at + strlen(name) + 1, NULL, 10) : -1;
}

int64_t sim_net_answer(struct sim_net *n, uint32_t ticket, const struct sim_answer *a,
                       int64_t delay_ns) {
    enum sim_fate fate = fate_of(n, SIM_WAY_REPLY);
    int64_t due = n->clock->now_ns + delay_ns + one_way(n);
    if (fate == SIM_LATE || fate == SIM_OVERTAKEN) due += late(n, LATE_NS_MAX);
    bool lost = fate == SIM_LOST;
    struct mail *m = post(n, MAIL_REPLY, due, a->body, lost ? 0 : a->size);
    m->id = ticket;
    m->serial = n->life;
    m->status = lost ? -1 : a->status;
    m->weight = header_i64(a->headers, "X-MBX-USED-WEIGHT-1M");
    m->orders_10s = header_i64(a->headers, "X-MBX-ORDER-COUNT-10S");
    m->orders_1m = header_i64(a->headers, "X-MBX-ORDER-COUNT-1M");
    m->retry_after = header_i64(a->headers, "Retry-After");
    return lost ? INT64_MAX : due;
}

/* ---- ports ---- */

static int64_t port_now(void *context) {
    return sim_clock_monotonic(((struct sim_net *)context)->clock);
}

static void port_wait(void *context, struct binance *b, int64_t until_ns) {
    struct sim_net *n = context;
    (void)b;
    if (n->muted) { /* a dead process ends soon, by its own clock */
        int64_t left = until_ns - sim_clock_monotonic(n->clock);
        if (left > 0) n->clock->ghost_ns += left;
        return;
    }
    n->heard = false;
    n->client = b;
    n->peer.wait(n->peer.context, sim_clock_when(n->clock, until_ns));
}

static void port_send(void *context, const struct binance_send *s) {
    struct sim_net *n = context;
    if (n->muted) return;
    enum sim_fate fate = fate_of(n, SIM_WAY_REQUEST);
    int64_t due = n->clock->now_ns + one_way(n);
    if (fate == SIM_LOST) { /* never arrived; that there is no answer is all that is known */
        struct mail *m = post(n, MAIL_REPLY, due + LINE_NS, "", 0);
        m->id = s->id;
        m->serial = n->life;
        m->status = rng_below(&n->rng, 2) ? -1 : 0;
        return;
    }
    if (fate == SIM_LATE || fate == SIM_OVERTAKEN) due += late(n, LATE_NS_MAX);
    struct mail *m = post(n, MAIL_REQUEST, due, s->target, strlen(s->target));
    m->id = s->id;
    m->serial = n->life;
    m->method = s->method;
    m->with_key = s->with_key;
}

static void port_abort(void *context, uint32_t id) {
    (void)context;
    (void)id; /* what comes late is the client's to ignore */
}

static void port_open(void *context, uint32_t socket, const char *path) {
    struct sim_net *n = context;
    struct socket *s = &n->sockets[socket];
    if (n->muted) return;
    s->serial++;
    s->last_due_ns = 0;
    if (n->outage_ns > n->clock->now_ns)
        down(s);
    else
        socket_mail(s, MAIL_OPEN, n->clock->now_ns + one_way(n), path, strlen(path));
}

static void port_message(void *context, uint32_t socket, const char *text, size_t size) {
    struct sim_net *n = context;
    if (!n->muted)
        socket_mail(&n->sockets[socket], MAIL_MESSAGE, n->clock->now_ns + one_way(n), text, size);
}

static void socket_close(struct sim_net *n, struct socket *s) {
    if (s->client) n->peer.close(n->peer.context, s->client);
    s->client = NULL;
    s->serial++;
}

static void port_close(void *context, uint32_t socket) {
    struct sim_net *n = context;
    if (!n->muted) socket_close(n, &n->sockets[socket]);
}

static void port_destroy(void *context) {
    sim_net_client(context, NULL);
}

struct binance_ports sim_net_ports(struct sim_net *n) {
    return (struct binance_ports){.context = n,
                                  .now = port_now,
                                  .wait = port_wait,
                                  .send = port_send,
                                  .abort = port_abort,
                                  .socket_open = port_open,
                                  .socket_send = port_message,
                                  .socket_close = port_close,
                                  .destroy = port_destroy};
}

/* ---- delivery ---- */

static void open_at(struct sim_net *n, struct socket *s, const struct mail *m) {
    if (s->serial != m->serial) return;
    const struct streams_sink sink = {s, sink_framed, sink_send, sink_shut};
    s->client = n->peer.open(n->peer.context, m->text, m->size, &sink);
    int64_t due = n->clock->now_ns + one_way(n);
    socket_mail(s, s->client ? MAIL_UP : MAIL_DOWN, due, "", 0);
    s->last_due_ns = due;
}

static void request_at(struct sim_net *n, const struct mail *m) {
    const struct sim_request r = {.method = m->method,
                                  .target = m->text,
                                  .size = m->size,
                                  .with_key = m->with_key,
                                  .ticket = m->id,
                                  .left_ns = m->left_ns};
    uint32_t life = n->life;
    n->life = m->serial; /* the answer belongs to whoever asked */
    n->peer.request(n->peer.context, &r);
    n->life = life;
}

static bool reply_at(struct sim_net *n, const struct mail *m) {
    if (!n->client || m->serial != n->life) return false;
    const struct reply r = {.kind = m->status > 0    ? REPLY_HTTP
                                    : m->status == 0 ? REPLY_NOT_SENT
                                                     : REPLY_LOST,
                            .http = m->status > 0 ? m->status : 0,
                            .body = m->text,
                            .size = m->size,
                            .weight_1m = m->weight,
                            .orders_10s = m->orders_10s,
                            .orders_1m = m->orders_1m,
                            .retry_after_s = m->retry_after};
    binance_on_reply(n->client, m->id, &r);
    return true;
}

static bool arrive(struct sim_net *n, const struct mail *m) {
    struct socket *s = &n->sockets[m->id < SOCKETS_MAX ? m->id : 0];
    bool mine = s->serial == m->serial && n->client;
    switch (m->kind) {
    case MAIL_REQUEST:
        request_at(n, m);
        return false;
    case MAIL_REPLY:
        return reply_at(n, m);
    case MAIL_OPEN:
        open_at(n, s, m);
        return false;
    case MAIL_MESSAGE:
        if (s->serial == m->serial && s->client)
            n->peer.message(n->peer.context, s->client, m->text, m->size);
        return false;
    case MAIL_UP:
        if (mine) binance_on_socket_up(n->client, m->id);
        return mine;
    case MAIL_DOWN:
        if (mine) binance_on_socket_down(n->client, m->id);
        return mine;
    case MAIL_TEXT:
        if (mine) binance_on_socket_text(n->client, m->id, m->text, m->size);
        return mine;
    }
    return false;
}

int64_t sim_net_deadline(const struct sim_net *n) {
    return n->count ? n->heap[0]->due_ns : INT64_MAX;
}

bool sim_net_deliver(struct sim_net *n) {
    ASSERT(n->count > 0);
    struct mail *m = heap_pop(n);
    bool heard = arrive(n, m);
    n->heard = n->heard || heard;
    free(m);
    return heard;
}

bool sim_net_heard(struct sim_net *n) {
    bool heard = n->heard;
    n->heard = false;
    return heard;
}

/* ---- life ---- */

void sim_net_client(struct sim_net *n, struct binance *client) {
    n->client = client;
    if (client) return;
    n->life++;
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) socket_close(n, &n->sockets[i]);
}

void sim_net_outage(struct sim_net *n, int64_t until_ns) {
    if (until_ns > n->outage_ns) n->outage_ns = until_ns;
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) (void)sim_net_cut(n, i);
}

void sim_net_mute(struct sim_net *n, bool muted) {
    n->muted = muted;
    if (muted) sim_net_client(n, NULL);
}

enum status sim_net_create(struct sim_net **out, struct sim_clock *clock, uint64_t seed,
                           const struct sim_peer *peer, struct err *err) {
    struct sim_net *n = calloc(1, sizeof *n);
    if (!n) return err_set(err, ST_NO_MEMORY, "simulated network");
    n->clock = clock;
    n->peer = *peer;
    n->rng = rng_init(seed);
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
        n->sockets[i].net = n;
        n->sockets[i].id = i;
    }
    *out = n;
    return ST_OK;
}

void sim_net_destroy(struct sim_net *n) {
    if (!n) return;
    for (size_t i = 0; i < n->count; i++) free(n->heap[i]);
    free(n->heap);
    free(n);
}
