/* signal_http: POST /api/ai/signal at 1,000 requests a second over loopback, of 100 symbols with four voters, while the
 * view is published ten times a second as the kernel does and one listener takes every pushed signal.
 *
 * Open loop: request i is due at i milliseconds, and its latency counts from then, so that an answer that comes late is not
 * hidden by requests that were not sent meanwhile. Eight kept connections in turn. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_http.h"

enum { SYMBOLS = 100, CONNECTIONS = 8, REQUESTS = 20000, WARM = 200 };

#define EVERY_NS NS_PER_MS
#define START_NS (INT64_C(1704067200) * NS_PER_SECOND)
/* The last part of the wait is spun: a sleep ends tens of microseconds late, and that is not the server's. */
#define SPIN_NS (200 * INT64_C(1000))

struct desk {
    struct view_box *box;
    struct api *api;
    pthread_t publisher, listener;
    atomic_bool stop;
    _Atomic uint64_t heard;
    struct bench_link links[CONNECTIONS], ear;
    double ns[REQUESTS];
};

/* ---- what is published ---- */

static void symbol_fill(struct view_symbol *s, uint32_t i, int64_t close_ns) {
    memset(s, 0, sizeof *s);
    snprintf(s->symbol, sizeof s->symbol, "S%03uUSDT", i);
    s->last_px = s->mark_px = px_e8(INT64_C(4321000000000) + (int64_t)i * 1000000);
    s->bar_ts_ns = s->signal_ts_ns = close_ns;
    s->signal_expires_ns = close_ns + NS_PER_HOUR;
    s->signal_id = (uint64_t)close_ns + i;
    s->warm = 1;
    for (int m = 0; m < MODEL_COUNT; m++) {
        double up = 0.30 + 0.001 * i + 0.01 * m;
        s->votes[m] = (struct model_vote){
            .state = VOTE_PRESENT, .p = {0.6 - up, 0.4, up}, .move = 0.011 + 1e-5 * i};
        s->signal.weights[m] = 0.25;
        s->decision.states[m] = VOTE_PRESENT;
    }
    s->signal.action = LABEL_BUY;
    s->signal.consensus = s->signal.voters = MODEL_COUNT;
    s->signal.p[LABEL_BUY] = s->signal.confidence = 0.41 + 1e-4 * i;
    s->signal.edge = 0.0031;
    s->stop_loss = px_e8(s->last_px.e8 / 100 * 98);
    s->take_profit = px_e8(s->last_px.e8 / 100 * 103);
    s->decision.action = LABEL_BUY;
    s->decision.was_decided = s->decision.has_interval = 1;
    s->decision.leverage = s->leverage = 2;
    s->decision.cost = 0.0014;
    s->decision.edge_net = 0.0017;
    s->decision.edge_se = 0.0009;
    s->decision.interval_low = -0.012;
    s->decision.interval_high = 0.017;
}

static void publish(struct desk *d, int64_t close_ns) {
    struct view *v = view_begin(d->box);
    memset(v, 0, offsetof(struct view, symbols));
    v->running = v->has_engine = v->synthetic = 1;
    v->published_wall_ns = tstamp_wall_ns();
    v->market_ts_ns = close_ns;
    v->bar_interval_ns = NS_PER_HOUR;
    v->symbol_count = SYMBOLS;
    for (int m = 0; m < MODEL_COUNT; m++) v->models[m].loaded = 1;
    for (uint32_t i = 0; i < SYMBOLS; i++) symbol_fill(&v->symbols[i], i, close_ns);
    view_publish(d->box);
}

/* Every tenth publication is a close: a hundred new signals a second to push. */
static void *publishing(void *context) {
    struct desk *d = context;
    for (int64_t n = 0; !atomic_load(&d->stop); n++) {
        publish(d, START_NS + n / 10 * NS_PER_HOUR);
        usleep(100 * 1000);
    }
    return NULL;
}

/* ---- clients ---- */

static void *listening(void *context) {
    struct desk *d = context;
    char bytes[65536];
    for (ssize_t n; (n = recv(d->ear.fd, bytes, sizeof bytes, 0)) > 0;)
        atomic_fetch_add(&d->heard, (uint64_t)n);
    return NULL;
}

static enum status ask(struct desk *d, int i, struct err *err) {
    char request[256], body[64], *answer;
    int size = snprintf(body, sizeof body, "{\"symbol\":\"S%03dUSDT\"}", i % SYMBOLS);
    int n = snprintf(request, sizeof request,
                     "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     "application/json\r\nContent-Length: %d\r\n\r\n%s",
                     size, body);
    struct bench_link *l = &d->links[i % CONNECTIONS];
    if (!bench_link_send(l, request, (size_t)n)) return err_errno(err, ST_IO, "send");
    int status = bench_link_answer(l, &answer);
    if (status == 200) return ST_OK;
    return err_set(err, ST_REFUSED, "the API answered %d", status);
}

static void wait_until(int64_t at_ns) {
    int64_t left = at_ns - tstamp_monotonic_ns();
    if (left > SPIN_NS) usleep((useconds_t)((left - SPIN_NS) / 1000));
    while (tstamp_monotonic_ns() < at_ns) continue;
}

static enum status measure(struct desk *d, struct err *err) {
    enum status st = ST_OK;
    for (int i = 0; i < WARM && st == ST_OK; i++) st = ask(d, i, err);
    int64_t from = tstamp_monotonic_ns() + EVERY_NS;
    for (int i = 0; i < REQUESTS && st == ST_OK; i++) {
        int64_t due = from + i * EVERY_NS;
        wait_until(due);
        st = ask(d, i, err);
        d->ns[i] = (double)(tstamp_monotonic_ns() - due);
    }
    double seconds = (double)(tstamp_monotonic_ns() - from) / 1e9;
    if (st != ST_OK) return st;
    if (atomic_load(&d->heard) == 0)
        return err_set(err, ST_CORRUPT, "no signal was pushed meanwhile");
    bench_latency("signal_http", d->ns, REQUESTS);
    bench_emit(&(struct bench_figure){"signal_http.p999", d->ns[REQUESTS / 1000 * 999], "ns",
                                      REQUESTS, "", 0});
    bench_emit(
        &(struct bench_figure){"signal_http.rate", REQUESTS / seconds, "1/s", REQUESTS, "", 0});
    return ST_OK;
}

static enum status desk_open(struct desk *d, struct err *err) {
    static const char listen_text[] =
        "GET /ws/signals HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "\r\n";
    d->ear.fd = -1;
    for (int c = 0; c < CONNECTIONS; c++) d->links[c].fd = -1;
    d->box = view_box_create();
    if (!d->box) return err_set(err, ST_NO_MEMORY, "out of memory");
    publish(d, START_NS);
    struct api_config config = api_config_defaults();
    config.port = 0;
    config.view_box = d->box;
    enum status st = api_start(&d->api, &config, err);
    for (int c = 0; c < CONNECTIONS && st == ST_OK; c++)
        st = bench_link_open(&d->links[c], api_port(d->api), err);
    if (st == ST_OK) st = bench_link_open(&d->ear, api_port(d->api), err);
    if (st != ST_OK) return st;
    char head[512];
    if (!bench_link_send(&d->ear, listen_text, sizeof listen_text - 1) ||
        recv(d->ear.fd, head, sizeof head, 0) <= 12 || memcmp(head, "HTTP/1.1 101", 12) != 0)
        return err_set(err, ST_IO, "the API did not open a WebSocket");
    return ST_OK;
}

static enum status desk_run(struct desk *d, struct err *err) {
    if (pthread_create(&d->publisher, NULL, publishing, d))
        return err_set(err, ST_EXTERNAL, "thread");
    enum status st = ST_OK;
    if (pthread_create(&d->listener, NULL, listening, d)) {
        st = err_set(err, ST_EXTERNAL, "thread");
    } else {
        st = measure(d, err);
        shutdown(d->ear.fd, SHUT_RDWR);
        pthread_join(d->listener, NULL);
    }
    atomic_store(&d->stop, true);
    pthread_join(d->publisher, NULL);
    return st;
}

enum status bench_signal_http(struct err *err) {
    struct desk *d = calloc(1, sizeof *d);
    if (!d) return err_set(err, ST_NO_MEMORY, "out of memory");
    enum status st = desk_open(d, err);
    if (st == ST_OK) st = desk_run(d, err);
    for (int c = 0; c < CONNECTIONS; c++) bench_link_close(&d->links[c]);
    bench_link_close(&d->ear);
    api_stop(d->api);
    if (d->box) view_box_destroy(d->box);
    free(d);
    return st;
}
