/* rest_order: a signed limit order over loopback HTTP, from before it is signed to the parsed status of its answer. The
 * server is the real program in a process of its own, its journal on, its synthetic market running.
 *
 * Round trip: one connection, one order at a time (a resting limit order; its cancel is not timed). Rate: several
 * connections, one order under way on each; orders are IOC away from the market, so the account does not fill up. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fx.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_exchange.h"
#include "bench/bench_http.h"
#include "venue/wire/wire.h"

enum { CONNECTIONS = 8, SINGLE = 20000, TOTAL = 120000, TEXT_MAX = 4096 };

struct desk {
    struct bench_exchange exchange;
    struct wire_key *key;
    struct bench_link links[CONNECTIONS];
    int64_t px_e8; /* a tenth below the market, on the tick */
    uint64_t next;
};

static size_t request(char out[TEXT_MAX], const struct desk *d, const char *method,
                      const char *path, struct wire_query *q) {
    if (wire_query_sign(q, d->key) != ST_OK) return 0;
    return (size_t)snprintf(out, TEXT_MAX,
                            "%s %s?%.*s HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: %s\r\n"
                            "Content-Length: 0\r\n\r\n",
                            method, path, (int)q->size, q->out, d->exchange.api_key);
}

static size_t order_text(char out[TEXT_MAX], struct desk *d, const char *time_in_force) {
    char query[1024], id[40];
    struct wire_query q;
    snprintf(id, sizeof id, "bench-%llu", (unsigned long long)++d->next);
    wire_query_init(&q, query, sizeof query);
    wire_query_text(&q, "symbol", "BTCUSDT");
    wire_query_text(&q, "side", "BUY");
    wire_query_text(&q, "type", "LIMIT");
    wire_query_text(&q, "timeInForce", time_in_force);
    wire_query_e8(&q, "quantity", FX_ONE / 500);
    wire_query_e8(&q, "price", d->px_e8);
    wire_query_text(&q, "newClientOrderId", id);
    wire_query_i64(&q, "recvWindow", 50000);
    wire_query_i64(&q, "timestamp", tstamp_wall_ns() / NS_PER_MS);
    return request(out, d, "POST", "/fapi/v1/order", &q);
}

static size_t cancel_text(char out[TEXT_MAX], const struct desk *d) {
    char query[512], id[40];
    struct wire_query q;
    snprintf(id, sizeof id, "bench-%llu", (unsigned long long)d->next);
    wire_query_init(&q, query, sizeof query);
    wire_query_text(&q, "symbol", "BTCUSDT");
    wire_query_text(&q, "origClientOrderId", id);
    wire_query_i64(&q, "timestamp", tstamp_wall_ns() / NS_PER_MS);
    return request(out, d, "DELETE", "/fapi/v1/order", &q);
}

static enum status refused(struct err *err, int status, const char *body) {
    return err_set(err, ST_REFUSED, "the exchange answered %d: %.200s", status, body ? body : "");
}

static enum status find_price(struct desk *d, struct err *err) {
    static const char text[] =
        "GET /fapi/v1/ticker/price?symbol=BTCUSDT HTTP/1.1\r\nHost: x\r\n\r\n";
    char *body = NULL;
    int status = 0;
    /* A market that has just begun has no last price yet. */
    for (int tries = 0; tries < 100 && d->px_e8 == 0; tries++) {
        if (tries > 0) usleep(20000);
        if (!bench_link_send(&d->links[0], text, sizeof text - 1))
            return err_errno(err, ST_IO, "send");
        status = bench_link_answer(&d->links[0], &body);
        const char *px = status == 200 ? strstr(body, "\"price\":\"") : NULL;
        if (!px || fx_parse(&d->px_e8, px + 9, strcspn(px + 9, "\"")) != ST_OK)
            return refused(err, status, body);
    }
    if (d->px_e8 == 0) return refused(err, status, body);
    d->px_e8 = fx_snap_down(d->px_e8 / 100 * 97, FX_ONE / 10);
    return ST_OK;
}

static enum status measure_single(struct desk *d, struct err *err) {
    double *ns = calloc(SINGLE, sizeof *ns);
    char text[TEXT_MAX], *body = NULL;
    enum status st = ns ? ST_OK : err_set(err, ST_NO_MEMORY, "out of memory");
    for (int i = 0; i < SINGLE && st == ST_OK; i++) {
        int64_t from = tstamp_monotonic_ns();
        size_t n = order_text(text, d, "GTC");
        int status =
            bench_link_send(&d->links[0], text, n) ? bench_link_answer(&d->links[0], &body) : 0;
        ns[i] = (double)(tstamp_monotonic_ns() - from);
        if (status == 200) {
            n = cancel_text(text, d);
            status =
                bench_link_send(&d->links[0], text, n) ? bench_link_answer(&d->links[0], &body) : 0;
        }
        if (status != 200) st = refused(err, status, body);
    }
    if (st == ST_OK) bench_latency("rest_order", ns, SINGLE);
    free(ns);
    return st;
}

static enum status measure_rate(struct desk *d, struct err *err) {
    char text[TEXT_MAX], *body = NULL;
    int64_t from = tstamp_monotonic_ns();
    double cpu = bench_exchange_cpu_s(&d->exchange);
    for (int i = 0; i < TOTAL; i += CONNECTIONS) {
        for (int c = 0; c < CONNECTIONS; c++) {
            size_t n = order_text(text, d, "IOC");
            if (!bench_link_send(&d->links[c], text, n)) return err_errno(err, ST_IO, "send");
        }
        for (int c = 0; c < CONNECTIONS; c++) {
            int status = bench_link_answer(&d->links[c], &body);
            if (status != 200) return refused(err, status, body);
        }
    }
    double seconds = (double)(tstamp_monotonic_ns() - from) / 1e9;
    cpu = bench_exchange_cpu_s(&d->exchange) - cpu;
    const struct bench_figure rate = {"rest_order.rate", TOTAL / seconds, "1/s", TOTAL, "", 0};
    const struct bench_figure cost = {
        "rest_order.server_cpu", cpu * 1e9 / TOTAL, "ns", TOTAL, "", 0};
    bench_emit(&rate);
    bench_emit(&cost);
    return ST_OK;
}

enum status bench_rest_order(struct err *err) {
    static const char *const options[] = {"--limits", "off", "--symbols", "1", NULL};
    static struct desk d;
    memset(&d, 0, sizeof d);
    for (int c = 0; c < CONNECTIONS; c++) d.links[c].fd = -1;
    enum status st = bench_exchange_start(&d.exchange, options, err);
    if (st != ST_OK) return st;
    st = wire_key_hmac(&d.key, d.exchange.api_secret, strlen(d.exchange.api_secret), err);
    for (int c = 0; c < CONNECTIONS && st == ST_OK; c++)
        st = bench_link_open(&d.links[c], d.exchange.port, err);
    if (st == ST_OK) st = find_price(&d, err);
    if (st == ST_OK) st = measure_single(&d, err);
    if (st == ST_OK) st = measure_rate(&d, err);
    for (int c = 0; c < CONNECTIONS; c++) bench_link_close(&d.links[c]);
    wire_key_free(d.key);
    bench_exchange_stop(&d.exchange);
    return st;
}
