/* The venue of a run, asked behind its back with its own keys: one signed request at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/ask.h"
#include "app/drill.h"
#include "app/run.h"
#include "base/json.h"
#include "base/tstamp.h"
#include "venue/wire/wire.h"

enum { REPLY_SIZE = 1 << 20, QUERY_SIZE = 512, HOST_SIZE = 128 };

struct drill_venue {
    char host[HOST_SIZE];
    uint16_t port;
    struct venue_keys keys;
    struct wire_key *key;
    struct run_options options;
    char reply[REPLY_SIZE];
};

static enum status url_read(struct drill_venue *v, const char *url, struct err *err) {
    unsigned port = 80;
    char host[HOST_SIZE], rest[2] = "";
    if (sscanf(url, "http://%127[^:/]:%u%1s", host, &port, rest) < 1 || port == 0 || port > 65535)
        return err_set(err, ST_REFUSED,
                       "%s: this drill asks an exchange on this machine, over http", url);
    snprintf(v->host, sizeof v->host, "%s", host);
    v->port = (uint16_t)port;
    return ST_OK;
}

enum status drill_venue_open(struct drill_venue **out, const char *run_dir, struct err *err) {
    struct drill_venue *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v) return err_set(err, ST_NO_MEMORY, "out of memory");
    enum status st = run_options_load(&v->options, run_dir, err);
    if (st == ST_OK && !v->options.venue_url[0])
        st = err_set(
            err, ST_REFUSED,
            "the run trades on the exchange inside its own process, behind whose back nobody "
            "can cancel: start it on quantum exchange with --venue-url and --keys");
    if (st == ST_OK && v->options.mode != MODE_PAPER)
        st = err_set(err, ST_REFUSED, "the run is no paper run");
    if (st == ST_OK) st = url_read(v, v->options.venue_url, err);
    if (st == ST_OK && run_venue_keys(&v->keys, &v->options, err) != 0) st = ST_REFUSED;
    if (st == ST_OK)
        st = wire_key_hmac(&v->key, v->keys.api_secret, strlen(v->keys.api_secret), err);
    if (st == ST_OK)
        *out = v;
    else
        drill_venue_close(v);
    return st;
}

void drill_venue_close(struct drill_venue *v) {
    if (!v) return;
    wire_key_free(v->key);
    explicit_bzero(&v->keys, sizeof v->keys);
    free(v);
}

/* The answer's body; NULL, having said why in err, unless it is 200. */
static const char *call(struct drill_venue *v, const char *method, const char *path,
                        const char *symbol, const char *id_name, uint64_t id, struct err *err) {
    char query[QUERY_SIZE], request[QUERY_SIZE + 512], *body;
    struct wire_query q;
    wire_query_init(&q, query, sizeof query);
    if (symbol) wire_query_text(&q, "symbol", symbol);
    if (id_name) wire_query_i64(&q, id_name, (int64_t)id);
    wire_query_i64(&q, "recvWindow", 10000);
    wire_query_i64(&q, "timestamp", tstamp_wall_ns() / NS_PER_MS);
    enum status st = wire_query_sign(&q, v->key);
    int n = snprintf(request, sizeof request,
                     "%s %s?%s HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\nX-MBX-APIKEY: "
                     "%s\r\n\r\n",
                     method, path, query, v->host, v->port, v->keys.api_key);
    if (st != ST_OK || n < 0 || (size_t)n >= sizeof request) {
        err_set(err, ST_RANGE, "%s: the request does not fit", path);
        return NULL;
    }
    int code = ask_host(v->reply, REPLY_SIZE, &body, err, v->host, v->port, request);
    if (code == 200) return body;
    if (code != 0)
        err_set(err, code == 429 ? ST_AGAIN : ST_EXTERNAL, "%s %s: %d: %.200s", method, path, code,
                body);
    return NULL;
}

/* The newest row of an array of orders that is a stop, asked for after the excepted one. */
static bool newest_stop(uint64_t *out, const char *body, const char *id_name, const char *type_name,
                        uint64_t except) {
    struct json_reader r;
    struct json_text key;
    *out = 0;
    json_reader_init(&r, body, strlen(body));
    json_array_begin(&r);
    while (json_array_next(&r)) {
        uint64_t id = 0;
        bool is_stop = false;
        json_object_begin(&r);
        while (json_object_next(&r, &key)) {
            if (json_text_is(&key, id_name)) {
                id = (uint64_t)json_i64(&r);
            } else if (json_text_is(&key, type_name)) {
                struct json_text type = json_string(&r);
                is_stop = json_text_is(&type, "STOP_MARKET");
            } else {
                json_skip(&r);
            }
        }
        if (is_stop && id > except && id > *out) *out = id; /* a later one than that */
    }
    return json_finish(&r) == ST_OK;
}

enum status drill_venue_stop(struct drill_stop *out, struct drill_venue *v, const char *symbol,
                             const struct drill_stop *except, struct err *err) {
    static const struct {
        const char *path, *id_name, *type_name;
    } services[] = {{"/fapi/v1/openOrders", "orderId", "type"},
                    {"/fapi/v1/openAlgoOrders", "algoId", "orderType"}};
    for (int i = 0; i < 2; i++) {
        uint64_t not_this = except && except->is_algo == (i == 1) ? except->id : 0;
        const char *body = call(v, "GET", services[i].path, symbol, NULL, 0, err);
        if (!body) return err->st;
        *out = (struct drill_stop){.is_algo = i == 1};
        if (!newest_stop(&out->id, body, services[i].id_name, services[i].type_name, not_this))
            return err_set(err, ST_EXTERNAL, "%s: no list of orders", services[i].path);
        if (out->id) return ST_OK;
    }
    return ST_OK;
}

enum status drill_venue_cancel(struct drill_venue *v, const char *symbol,
                               const struct drill_stop *stop, struct err *err) {
    const char *path = stop->is_algo ? "/fapi/v1/algoOrder" : "/fapi/v1/order";
    const char *name = stop->is_algo ? "algoId" : "orderId";
    return call(v, "DELETE", path, stop->is_algo ? NULL : symbol, name, stop->id, err) ? ST_OK
                                                                                       : err->st;
}

static void holding_read(struct drill_holding *h, struct json_reader *r) {
    struct json_text key;
    *h = (struct drill_holding){0};
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            struct json_text text = json_string(r);
            (void)json_text_copy(h->symbol, sizeof h->symbol, NULL, &text); /* too long: "" */
        } else if (json_text_is(&key, "positionAmt")) {
            h->qty_e8 = json_e8(r);
        } else {
            json_skip(r);
        }
    }
}

enum status drill_venue_held(struct drill_holding *out, uint32_t *count, struct drill_venue *v,
                             struct err *err) {
    struct json_reader r;
    *count = 0;
    const char *body = call(v, "GET", "/fapi/v2/positionRisk", NULL, NULL, 0, err);
    if (!body) return err->st;
    json_reader_init(&r, body, strlen(body));
    json_array_begin(&r);
    while (json_array_next(&r)) {
        struct drill_holding h;
        holding_read(&h, &r);
        if (h.qty_e8 == 0) continue;
        if (*count < DRILL_POSITIONS_MAX) out[*count] = h;
        ++*count;
    }
    return json_finish(&r) == ST_OK ? ST_OK : err_set(err, ST_EXTERNAL, "positionRisk: no list");
}

enum status drill_venue_positions(uint32_t *out, struct drill_venue *v, struct err *err) {
    static struct drill_holding held[DRILL_POSITIONS_MAX];
    return drill_venue_held(held, out, v, err);
}
