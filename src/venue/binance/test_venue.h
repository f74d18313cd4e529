/* A whole venue under a clock of the test's own: the real exchange core behind rest_handle and streams, with a network
 * between it and the client that is late, loses, doubles and reorders as it is told. No sockets, no waiting. */
#ifndef VENUE_BINANCE_TEST_VENUE_H
#define VENUE_BINANCE_TEST_VENUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"
#include "venue/server/limits.h"
#include "venue/server/rest.h"
#include "venue/server/streams.h"

enum { VENUE_CONTRACTS = 8, TOLD_MAX = 1 << 16, MAIL_MAX = 1 << 14, CALLS_MAX = 1 << 16 };
/* 2026-03-01T10:00:00Z. The client's monotonic clock starts somewhere else. */
#define VENUE_START_NS (INT64_C(1772359200000) * NS_PER_MS)
#define MONO_START_NS  (1234567 * NS_PER_MS)

enum mail_kind { MAIL_REQUEST, MAIL_REPLY, MAIL_UP, MAIL_DOWN, MAIL_TEXT, MAIL_OPEN, MAIL_MESSAGE };
struct mail {
    int64_t due_ns; /* monotonic */
    uint64_t sequence;
    enum mail_kind kind;
    uint32_t id;     /* of the request; or socket */
    uint32_t serial; /* of the socket's life */
    int status;      /* HTTP; 0 not sent, -1 lost */
    int64_t weight, orders_10s, orders_1m, retry_after;
    enum http_method method;
    bool with_key;
    char *text;
    size_t size;
};

/* Chances in 1/1000. */
struct faults {
    uint32_t not_sent, lost_before, lost_after, unknown_503, late, too_many, busy;
    uint32_t frame_lost, frame_twice, frame_late, socket_cut;
};

struct test_socket {
    struct test_venue *v;
    struct stream_client *client;
    uint32_t id, serial;
    int64_t last_due_ns;
};

struct test_venue {
    struct world *world;
    struct keys keys;
    struct rest rest;
    struct instrument contracts[VENUE_CONTRACTS];
    px_t start_px[VENUE_CONTRACTS];
    int64_t now_ns;    /* monotonic */
    int64_t offset_ns; /* venue - monotonic */
    int64_t latency_ns, world_next_ns, world_every_ns;
    struct rng rng;
    struct faults faults;
    bool user_silent;
    const char
        *kept_back; /* messages of the user stream that contain it do not arrive; NULL none */
    const char
        *unheard_path; /* the next so many requests that begin so are obeyed, and never answered */
    uint32_t unheard;
    struct mail *mail[MAIL_MAX];
    uint32_t mail_count;
    uint64_t sequence;
    bool input;
    struct test_socket sockets[SOCKETS_MAX];
    uint64_t requests, orders_done;
    struct { /* every request the venue saw */
        enum http_method method;
        int status;
        int32_t code;
        int64_t ts_ns; /* monotonic */
        char text[200];
    } calls[CALLS_MAX];
    uint32_t call_count;
    struct binance *b;
    /* What the client told. */
    struct venue_event told[TOLD_MAX];
    uint32_t told_count, bars, ticks, marks, reconciled;
    struct bar last_bar[VENUE_CONTRACTS];
    bool bar_gap;
    enum binance_link link_rest, link_market, link_user;
    struct binance_reconciliation reconciliation;
};

static inline int64_t tv_venue_ns(const struct test_venue *v) {
    return v->now_ns + v->offset_ns;
}

static inline bool tv_chance(struct test_venue *v, uint32_t of_1000) {
    return of_1000 && rng_below(&v->rng, 1000) < of_1000;
}

static inline struct mail *tv_post(struct test_venue *v, enum mail_kind kind, int64_t due_ns,
                                   const char *text, size_t size) {
    assert_true(v->mail_count < MAIL_MAX);
    struct mail *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->due_ns = due_ns;
    m->sequence = ++v->sequence;
    m->kind = kind;
    m->text = malloc(size + 1);
    assert_non_null(m->text);
    if (size) memcpy(m->text, text, size);
    m->text[size] = '\0';
    m->size = size;
    v->mail[v->mail_count++] = m;
    return m;
}

static inline void tv_free_mail(struct mail *m) {
    free(m->text);
    free(m);
}

/* ---- the venue's side ---- */

static inline void tv_frame(struct test_socket *s, const char *text, size_t size) {
    struct test_venue *v = s->v;
    bool user = s->id < 2;
    if (user && v->user_silent) return;
    if (user && v->kept_back && strstr(text, v->kept_back)) return;
    if (tv_chance(v, v->faults.frame_lost)) return;
    int64_t due = v->now_ns + v->latency_ns;
    if (tv_chance(v, v->faults.frame_late)) {
        due += (int64_t)rng_below(&v->rng, (uint64_t)(300 * NS_PER_MS)); /* overtaken */
    } else {
        if (due < s->last_due_ns) due = s->last_due_ns;
        s->last_due_ns = due;
    }
    uint32_t copies = tv_chance(v, v->faults.frame_twice) ? 2 : 1;
    for (uint32_t i = 0; i < copies; i++) {
        struct mail *m = tv_post(v, MAIL_TEXT, due + i, text, size);
        m->id = s->id;
        m->serial = s->serial;
    }
}

static inline bool tv_send(void *context, const char *text, size_t size) {
    tv_frame(context, text, size);
    return true;
}

static inline bool tv_send_framed(void *context, const void *frame, size_t size) {
    const unsigned char *f = frame;
    size_t header = f[1] < 126 ? 2 : f[1] == 126 ? 4 : 10;
    assert_true(size >= header);
    tv_frame(context, (const char *)frame + header, size - header);
    return true;
}

static inline void tv_cut(struct test_venue *v, uint32_t socket) {
    struct test_socket *s = &v->sockets[socket];
    if (!s->client) return;
    streams_close(v->rest.streams, s->client);
    s->client = NULL;
    struct mail *m = tv_post(v, MAIL_DOWN, v->now_ns + v->latency_ns, "", 0);
    m->id = socket;
    m->serial = s->serial;
}

static inline void tv_shut(void *context, int code) {
    struct test_socket *s = context;
    (void)code;
    struct mail *m = tv_post(s->v, MAIL_DOWN, s->v->now_ns + s->v->latency_ns, "", 0);
    m->id = s->id;
    m->serial = s->serial;
}

static inline void tv_event(void *context, const struct exchange_event *e) {
    struct test_venue *v = context;
    streams_event(v->rest.streams, e);
}

static inline void tv_prepare(void *context, struct world *w) {
    struct test_venue *v = context;
    for (uint32_t i = 0; i < v->keys.count; i++) {
        struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = v->keys.rows[i].balance};
        struct exchange_reply reply;
        world_do(w, &in, VENUE_START_NS, &reply);
        assert_int_equal(reply.code, 0);
    }
}

static inline int64_t tv_header(const char *headers, const char *name) {
    const char *at = strcasestr(headers, name);
    return at ? atoll(at + strlen(name) + 1) : -1;
}

static inline struct net_text tv_text(const char *s, size_t n) {
    return (struct net_text){s, n};
}

/* A request the venue sees: "path?query". */
static inline void tv_serve(struct test_venue *v, enum http_method method, const char *target,
                            bool with_key, struct rest_answer *out) {
    static const enum net_method methods[] = {0, NET_GET, NET_POST, NET_PUT, NET_DELETE};
    const char *query = strchr(target, '?');
    size_t path = query ? (size_t)(query - target) : strlen(target);
    const char *params = query ? query + 1 : "";
    bool post = method == HTTP_POST;
    const struct rest_request r = {.method = methods[method],
                                   .path = tv_text(target, path),
                                   .query = tv_text(post ? "" : params, post ? 0 : strlen(params)),
                                   .body = tv_text(post ? params : "", post ? strlen(params) : 0),
                                   .api_key = tv_text("key-of-the-client", with_key ? 17 : 0),
                                   .peer = "127.0.0.1",
                                   .now_ns = tv_venue_ns(v)};
    rest_handle(&v->rest, &r, out);
    v->requests++;
    if (v->call_count == CALLS_MAX) return;
    v->calls[v->call_count].method = method;
    v->calls[v->call_count].status = out->status;
    v->calls[v->call_count].code = out->code;
    v->calls[v->call_count].ts_ns = v->now_ns;
    snprintf(v->calls[v->call_count++].text, sizeof v->calls[0].text, "%s", target);
}

static inline struct mail *tv_reply(struct test_venue *v, uint32_t id, int status, const char *body,
                                    size_t size) {
    int64_t late = tv_chance(v, v->faults.late)
                       ? (int64_t)rng_below(&v->rng, (uint64_t)(8 * NS_PER_SECOND))
                       : 0;
    struct mail *m = tv_post(v, MAIL_REPLY, v->now_ns + v->latency_ns + late, body, size);
    m->id = id;
    m->status = status;
    m->weight = m->orders_10s = m->orders_1m = m->retry_after = -1;
    return m;
}

static inline void tv_request(struct test_venue *v, const struct mail *m) {
    static const char unknown[] =
        "{\"code\":-1007,\"msg\":\"Timeout waiting for response from backend server. Send status "
        "unknown; execution status unknown.\"}";
    static const char busy[] =
        "{\"code\":-1008,\"msg\":\"Server is currently overloaded with other requests.\"}";
    static const char many[] = "{\"code\":-1003,\"msg\":\"Too many requests.\"}";
    struct rest_answer a;
    bool order = strstr(m->text, "rder") != NULL && m->method != HTTP_GET;
    if (tv_chance(v, v->faults.too_many)) {
        tv_reply(v, m->id, 429, many, sizeof many - 1)->retry_after = 1;
        return;
    }
    if (tv_chance(v, v->faults.busy)) {
        tv_reply(v, m->id, 503, busy, sizeof busy - 1);
        return;
    }
    if (tv_chance(v, v->faults.lost_before)) {
        tv_reply(v, m->id, -1, "", 0);
        return;
    }
    bool never = tv_chance(v, v->faults.unknown_503);
    if (never && rng_below(&v->rng, 2)) {
        tv_reply(v, m->id, 503, unknown, sizeof unknown - 1);
        return;
    }
    tv_serve(v, m->method, m->text, m->with_key, &a);
    v->orders_done += order && a.status == 200;
    if (v->unheard && strncmp(m->text, v->unheard_path, strlen(v->unheard_path)) == 0) {
        v->unheard--;
        return;
    }
    if (never) {
        tv_reply(v, m->id, 503, unknown, sizeof unknown - 1);
        return;
    }
    if (tv_chance(v, v->faults.lost_after)) {
        tv_reply(v, m->id, -1, "", 0);
        return;
    }
    struct mail *r = tv_reply(v, m->id, a.status, a.body, a.body_size);
    r->weight = tv_header(a.headers, "X-MBX-USED-WEIGHT-1M");
    r->orders_10s = tv_header(a.headers, "X-MBX-ORDER-COUNT-10S");
    r->orders_1m = tv_header(a.headers, "X-MBX-ORDER-COUNT-1M");
    r->retry_after = tv_header(a.headers, "Retry-After");
}

static inline void tv_open(struct test_venue *v, const struct mail *m) {
    struct test_socket *s = &v->sockets[m->id];
    if (s->serial != m->serial) return;
    const struct streams_sink sink = {s, tv_send_framed, tv_send, tv_shut};
    s->client = streams_open(v->rest.streams, tv_text(m->text, m->size), tv_text("", 0), &sink,
                             tv_venue_ns(v));
    struct mail *up = tv_post(v, s->client ? MAIL_UP : MAIL_DOWN, v->now_ns + v->latency_ns, "", 0);
    up->id = m->id;
    up->serial = m->serial;
    s->last_due_ns = v->now_ns + v->latency_ns + 1;
}

static inline void tv_deliver(struct test_venue *v, struct mail *m) {
    struct test_socket *s = &v->sockets[m->id < SOCKETS_MAX ? m->id : 0];
    bool stale = s->serial != m->serial;
    switch (m->kind) {
    case MAIL_REQUEST:
        tv_request(v, m);
        return;
    case MAIL_REPLY: {
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
        v->input = true;
        if (v->b) binance_on_reply(v->b, m->id, &r);
        return;
    }
    case MAIL_OPEN:
        tv_open(v, m);
        return;
    case MAIL_MESSAGE:
        if (!stale && s->client)
            streams_message(v->rest.streams, s->client, tv_text(m->text, m->size), tv_venue_ns(v));
        return;
    case MAIL_UP:
        if (!stale && v->b) binance_on_socket_up(v->b, m->id);
        break;
    case MAIL_DOWN:
        if (!stale && v->b) binance_on_socket_down(v->b, m->id);
        break;
    case MAIL_TEXT:
        if (!stale && v->b) binance_on_socket_text(v->b, m->id, m->text, m->size);
        break;
    }
    v->input = true;
}

static inline void tv_world(struct test_venue *v) {
    world_advance(v->world, tv_venue_ns(v));
    streams_time(v->rest.streams, tv_venue_ns(v));
    v->world_next_ns = v->now_ns + v->world_every_ns;
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        if (v->sockets[i].client && tv_chance(v, v->faults.socket_cut)) tv_cut(v, i);
}

static inline struct mail *tv_take_due(struct test_venue *v, int64_t until_ns) {
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < v->mail_count; i++)
        if (best == UINT32_MAX || v->mail[i]->due_ns < v->mail[best]->due_ns ||
            (v->mail[i]->due_ns == v->mail[best]->due_ns &&
             v->mail[i]->sequence < v->mail[best]->sequence))
            best = i;
    if (best == UINT32_MAX || v->mail[best]->due_ns > until_ns) return NULL;
    struct mail *m = v->mail[best];
    v->mail[best] = v->mail[--v->mail_count];
    return m;
}

/* ---- ports ---- */

static inline int64_t tv_now(void *context) {
    return ((struct test_venue *)context)->now_ns;
}

static inline void tv_wait(void *context, struct binance *b, int64_t until_ns) {
    struct test_venue *v = context;
    (void)b;
    v->input = false;
    if (until_ns < v->now_ns) until_ns = v->now_ns;
    while (!v->input) {
        int64_t stop = until_ns < v->world_next_ns ? until_ns : v->world_next_ns;
        struct mail *m = tv_take_due(v, stop);
        if (m) {
            if (m->due_ns > v->now_ns) v->now_ns = m->due_ns;
            tv_deliver(v, m);
            tv_free_mail(m);
            continue;
        }
        if (stop > v->now_ns) v->now_ns = stop;
        if (v->now_ns >= v->world_next_ns) tv_world(v);
        if (v->now_ns >= until_ns) return;
    }
}

static inline void tv_port_send(void *context, const struct binance_send *s) {
    struct test_venue *v = context;
    if (tv_chance(v, v->faults.not_sent)) {
        tv_reply(v, s->id, 0, "", 0);
        return;
    }
    struct mail *m =
        tv_post(v, MAIL_REQUEST, v->now_ns + v->latency_ns, s->target, strlen(s->target));
    m->id = s->id;
    m->method = s->method;
    m->with_key = s->with_key;
}

static inline void tv_port_abort(void *context, uint32_t id) {
    (void)context;
    (void)id; /* what comes late is the client's to ignore */
}

static inline void tv_port_open(void *context, uint32_t socket, const char *path) {
    struct test_venue *v = context;
    struct test_socket *s = &v->sockets[socket];
    s->v = v;
    s->id = socket;
    s->serial++;
    struct mail *m = tv_post(v, MAIL_OPEN, v->now_ns + v->latency_ns, path, strlen(path));
    m->id = socket;
    m->serial = s->serial;
}

static inline void tv_port_message(void *context, uint32_t socket, const char *text, size_t size) {
    struct test_venue *v = context;
    struct mail *m = tv_post(v, MAIL_MESSAGE, v->now_ns + v->latency_ns, text, size);
    m->id = socket;
    m->serial = v->sockets[socket].serial;
}

static inline void tv_port_close(void *context, uint32_t socket) {
    struct test_venue *v = context;
    struct test_socket *s = &v->sockets[socket];
    if (s->client) streams_close(v->rest.streams, s->client);
    s->client = NULL;
    s->serial++;
}

static inline void tv_port_destroy(void *context) {
    (void)context;
}

/* ---- what the client tells ---- */

static inline void tv_on_venue(void *context, const struct venue_event *e) {
    struct test_venue *v = context;
    assert_true(v->told_count < TOLD_MAX);
    v->told[v->told_count++] = *e;
}
static inline void tv_on_bar(void *context, uint32_t i, const struct bar *bar) {
    struct test_venue *v = context;
    if (v->last_bar[i].open_ts_ns && bar->open_ts_ns != v->last_bar[i].open_ts_ns + NS_PER_MINUTE)
        v->bar_gap = true;
    v->last_bar[i] = *bar;
    v->bars++;
}
static inline void tv_on_tick(void *context, uint32_t i, int64_t ts_ns, uint64_t id, px_t px,
                              qty_t qty) {
    struct test_venue *v = context;
    (void)i, (void)ts_ns, (void)id, (void)px, (void)qty;
    v->ticks++;
}
static inline void tv_on_mark(void *context, uint32_t i, int64_t ts_ns, px_t mark, rate_t funding,
                              int64_t next_ns) {
    struct test_venue *v = context;
    (void)i, (void)ts_ns, (void)mark, (void)funding, (void)next_ns;
    v->marks++;
}
static inline void tv_on_link(void *context, enum binance_link rest, enum binance_link market,
                              enum binance_link user) {
    struct test_venue *v = context;
    v->link_rest = rest;
    v->link_market = market;
    v->link_user = user;
}
static inline void tv_on_reconciled(void *context, const struct binance_reconciliation *what) {
    struct test_venue *v = context;
    v->reconciliation = *what;
    v->reconciled++;
}

/* ---- life ---- */

static inline struct binance_options tv_options(struct test_venue *v) {
    struct binance_options o = binance_options_defaults();
    o.api_key = "key-of-the-client";
    o.api_secret = "secret-of-the-client";
    o.reconcile_every_ns = 10 * NS_PER_SECOND;
    o.handlers = (struct binance_handlers){.context = v,
                                           .on_venue = tv_on_venue,
                                           .on_bar = tv_on_bar,
                                           .on_tick = tv_on_tick,
                                           .on_mark = tv_on_mark,
                                           .on_link = tv_on_link,
                                           .on_reconciled = tv_on_reconciled};
    return o;
}

static inline void tv_client_with(struct test_venue *v, const struct binance_options *o) {
    const struct binance_ports ports = {.context = v,
                                        .now = tv_now,
                                        .wait = tv_wait,
                                        .send = tv_port_send,
                                        .abort = tv_port_abort,
                                        .socket_open = tv_port_open,
                                        .socket_send = tv_port_message,
                                        .socket_close = tv_port_close,
                                        .destroy = tv_port_destroy};
    struct err err = {0};
    if (binance_create_on(&v->b, o, &ports, &err) != ST_OK) fail_msg("%s", err.text);
}

static inline void tv_client(struct test_venue *v) {
    const struct binance_options o = tv_options(v);
    tv_client_with(v, &o);
}

/* The client is gone as kill -9 would have it: nothing is said, what is on the way arrives. */
static inline void tv_kill(struct test_venue *v) {
    struct binance *b = v->b;
    v->b = NULL;
    binance_destroy(b);
}

static inline void tv_load(struct test_venue *v) {
    struct err err = {0};
    if (binance_load(v->b, 60 * NS_PER_SECOND, &err) != ST_OK) fail_msg("load: %s", err.text);
}

/* Every start tells what leverages stand, and the balance; the tests are about what comes after. */
static inline void tv_forget_leverages(struct test_venue *v) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->told_count; i++)
        if (v->told[i].kind != VENUE_LEVERAGE_SET && v->told[i].kind != VENUE_BALANCE)
            v->told[kept++] = v->told[i];
    assert_true(v->told_count - kept >= VENUE_CONTRACTS);
    v->told_count = kept;
}

static inline void tv_start(struct test_venue *v) {
    struct err err = {0};
    if (binance_start(v->b, NULL, 0, NULL, 0, 60 * NS_PER_SECOND, &err) != ST_OK)
        fail_msg("start: %s", err.text);
    tv_forget_leverages(v);
}

static inline struct test_venue *tv_open_venue(uint64_t seed, bool classic,
                                               enum market_source source) {
    static const char keys[] =
        "[{\"name\":\"client\",\"balance\":\"100000\",\"api_key\":\"key-of-the-client\","
        "\"api_secret\":\"secret-of-the-client\"},"
        "{\"name\":\"other\",\"balance\":\"1000000\",\"api_key\":\"key-of-the-other\","
        "\"api_secret\":\"secret-of-the-other\"}]";
    struct test_venue *v = calloc(1, sizeof *v);
    struct err err = {0};
    assert_non_null(v);
    v->now_ns = v->world_next_ns = MONO_START_NS;
    v->offset_ns = VENUE_START_NS + NS_PER_SECOND - MONO_START_NS;
    v->latency_ns = 2 * NS_PER_MS;
    v->world_every_ns = 100 * NS_PER_MS;
    v->rng = rng_init(seed);
    struct world_options o = {.exchange = exchange_config_defaults(),
                              .market = market_config_defaults(),
                              .history = history_limits_defaults(),
                              .ticks = {.instrument_count = VENUE_CONTRACTS,
                                        .bars = 1500,
                                        .trades = 1000,
                                        .fundings = 1000},
                              .start_ns = VENUE_START_NS,
                              .prepare = tv_prepare,
                              .context = v};
    market_symbols_default(v->contracts, v->start_px, VENUE_CONTRACTS);
    o.exchange.instrument_count = o.market.instrument_count = VENUE_CONTRACTS;
    o.exchange.instruments = o.market.instruments = v->contracts;
    o.exchange.accounts_max = 8;
    o.exchange.classic_conditional = classic;
    o.market.source = source;
    o.market.seed = seed;
    o.market.start_px = v->start_px;
    o.market.start_ns = VENUE_START_NS;
    if (keys_parse(&v->keys, keys, strlen(keys), "test", &err) != ST_OK) fail_msg("%s", err.text);
    if (world_open(&v->world, &o, &err) != ST_OK) fail_msg("%s", err.text);
    world_advance(v->world, tv_venue_ns(v));
    const struct limiter_config limits = limiter_config_defaults();
    const struct streams_options streams = {
        .seed = 7, .streams_max = 1024, .listen_key_life_ns = 60 * NS_PER_MINUTE};
    v->rest =
        (struct rest){.world = v->world, .keys = &v->keys, .options = rest_options_defaults()};
    v->rest.options.classic_conditional = classic;
    v->rest.options.limits_enforced = true;
    assert_int_equal(limiter_create(&v->rest.limiter, &limits, &err), ST_OK);
    assert_int_equal(streams_create(&v->rest.streams, v->world, &streams, &err), ST_OK);
    v->world->on_event = tv_event;
    v->world->on_event_context = v;
    assert_int_equal(rest_init(&v->rest, &err), ST_OK);
    return v;
}

static inline void tv_close_venue(struct test_venue *v) {
    struct err err = {0};
    if (v->b) tv_kill(v);
    for (uint32_t i = 0; i < v->mail_count; i++) tv_free_mail(v->mail[i]);
    rest_free(&v->rest);
    streams_destroy(v->rest.streams);
    limiter_destroy(v->rest.limiter);
    assert_int_equal(world_close(v->world, &err), ST_OK);
    keys_free(&v->keys);
    free(v);
}

/* Lets so much time pass. */
static inline void tv_run(struct test_venue *v, int64_t ns) {
    int64_t until = v->now_ns + ns;
    while (v->now_ns < until) binance_poll(v->b, until);
}

/* A venue with a loaded and started client. */
static inline struct test_venue *tv_ready(uint64_t seed, enum market_source source) {
    struct test_venue *v = tv_open_venue(seed, false, source);
    tv_client(v);
    tv_load(v);
    tv_start(v);
    return v;
}

/* ---- commands ---- */

static inline struct venue_command tv_order(const char *id, enum side side, enum order_type type,
                                            uint32_t instrument, int64_t qty_e8, int64_t px_e8) {
    struct venue_command c = {.kind = COMMAND_ORDER_SUBMIT,
                              .side = (uint8_t)side,
                              .order_type = (uint8_t)type,
                              .instrument_index = instrument,
                              .order_qty = {qty_e8}};
    if (type == ORDER_LIMIT)
        c.limit_px.e8 = px_e8;
    else
        c.stop_px.e8 = px_e8;
    snprintf(c.client_order_id, sizeof c.client_order_id, "%s", id);
    return c;
}

static inline void tv_submit(struct test_venue *v, const struct venue_command *c,
                             enum binance_lane lane) {
    assert_int_equal(binance_submit(v->b, c, lane), ST_OK);
}

static inline void tv_cancel(struct test_venue *v, const char *id, uint32_t instrument,
                             enum order_type type) {
    struct venue_command c = {
        .kind = COMMAND_ORDER_CANCEL, .order_type = (uint8_t)type, .instrument_index = instrument};
    snprintf(c.client_order_id, sizeof c.client_order_id, "%s", id);
    tv_submit(v, &c, LANE_EXIT);
}

/* How many events of a kind were told of an id ("" any). */
static inline uint32_t tv_count(const struct test_venue *v, const char *id,
                                enum venue_event_kind kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < v->told_count; i++)
        count += v->told[i].kind == kind && (!id[0] || strcmp(v->told[i].client_order_id, id) == 0);
    return count;
}

static inline const struct venue_event *tv_last(const struct test_venue *v, const char *id) {
    for (uint32_t i = v->told_count; i > 0; i--)
        if (strcmp(v->told[i - 1].client_order_id, id) == 0) return &v->told[i - 1];
    return NULL;
}

/* The client's number of a contract of the venue. */
static inline uint32_t tv_instrument(const struct test_venue *v, uint32_t of_venue) {
    int at = binance_symbol_find(v->b, v->contracts[of_venue].symbol);
    assert_true(at >= 0);
    return (uint32_t)at;
}

#endif
