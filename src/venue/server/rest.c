#include "venue/server/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/log.h"
#include "venue/server/rest_internal.h"

struct rest_options rest_options_defaults(void) {
    return (struct rest_options){.recv_window_ms_max = 60000, .trigger_protect = {FX_ONE / 20}};
}

/* Pages that are not there until they are written to: most replies are short. */
static void *pages(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

enum status rest_init(struct rest *r, struct err *err) {
    ASSERT(r->world && r->keys && r->limiter && r->streams);
    r->p = calloc(1, sizeof *r->p);
    if (!r->p) return err_set(err, ST_NO_MEMORY, "request handler");
    struct rest_private *p = r->p;
    p->params = pages(REST_TEXT_BYTES);
    p->params2 = pages(REST_BATCH_BYTES);
    p->signed_text = pages(REST_TEXT_BYTES);
    p->reply = pages(REST_REPLY_BYTES);
    p->rows = pages(REST_ROWS_BYTES);
    if (!p->params || !p->params2 || !p->signed_text || !p->reply || !p->rows) {
        rest_free(r);
        return err_errno(err, ST_NO_MEMORY, "buffers of the request handler");
    }
    rest_routes_init(p);
    return ST_OK;
}

static void pages_free(void *memory, size_t size) {
    if (memory) munmap(memory, size);
}

void rest_free(struct rest *r) {
    if (!r->p) return;
    pages_free(r->p->params, REST_TEXT_BYTES);
    pages_free(r->p->params2, REST_BATCH_BYTES);
    pages_free(r->p->signed_text, REST_TEXT_BYTES);
    pages_free(r->p->reply, REST_REPLY_BYTES);
    pages_free(r->p->rows, REST_ROWS_BYTES);
    free(r->p);
    r->p = NULL;
}

static int32_t refuse(struct rest_call *c, int32_t code, const char *argument, bool alt) {
    size_t size = strnlen(argument, sizeof c->argument - 1);
    memcpy(c->argument, argument, size);
    c->argument[size] = '\0';
    c->alt = alt;
    return code;
}

int32_t rest_refuse(struct rest_call *c, int32_t code, const char *argument) {
    return refuse(c, code, argument, false);
}

int32_t rest_refuse_alt(struct rest_call *c, int32_t code, const char *argument) {
    return refuse(c, code, argument, true);
}

void rest_write_error(const struct rest_call *c, int32_t code, struct json_writer *w) {
    const char *text = c->alt ? venue_error_text_alt(code) : venue_error_text(code);
    if (!text) text = "";
    char message[512];
    const char *hole = strstr(text, "%s");
    if (hole)
        snprintf(message, sizeof message, "%.*s%s%s", (int)(hole - text), text, c->argument,
                 hole + 2);
    else
        snprintf(message, sizeof message, "%s", text);
    json_write_object_begin(w);
    render_key_i64(w, "code", code);
    render_key_text(w, "msg", message);
    json_write_object_end(w);
}

/* What the exchange's argument is, by code: most are prices or money, a few are counts. */
static void argument_of_reply(struct rest_call *c, const struct exchange_reply *reply) {
    char text[FX_TEXT_SIZE];
    switch (reply->code) {
    case -1106:
        rest_refuse(c, reply->code, "reduceonly"); /* all that the exchange itself can object to */
        break;
    case -4028:
    case -4161:
        snprintf(text, sizeof text, "%lld", (long long)reply->argument);
        rest_refuse(c, reply->code, text);
        break;
    default:
        fx_format(text, reply->argument);
        rest_refuse(c, reply->code, text);
    }
}

int32_t rest_do(struct rest_call *c, const struct exchange_input *in,
                struct exchange_reply *reply) {
    *reply = (struct exchange_reply){0};
    world_do(c->rest->world, in, c->now_ns, reply);
    if (reply->code) argument_of_reply(c, reply);
    return reply->code;
}

int32_t rest_check_key(struct rest_call *c, const struct rest_row *row, const char *api_key,
                       size_t size) {
    const struct key_row *key = keys_find(c->rest->keys, api_key, size);
    uint32_t wanted = row->security == SECURITY_TRADE ? KEY_TRADE : KEY_READ;
    if (!key || !(key->permissions & wanted)) return rest_refuse(c, -2015, "");
    c->key = key;
    c->account = key->account;
    return 0;
}

int32_t rest_check_time(struct rest_call *c) {
    int64_t timestamp, window;
    bool present;
    int32_t code = rest_integer_required(c, "timestamp", &timestamp);
    if (!code) code = rest_integer(c, "recvWindow", &present, &window);
    if (code) return code;
    if (!present) window = 5000;
    if (window > c->rest->options.recv_window_ms_max) return rest_refuse(c, -1130, "recvWindow");
    int64_t now = rest_ms(c->now_ns);
    if (timestamp >= now + 1000) return rest_refuse_alt(c, -1021, "");
    return now - timestamp > window ? rest_refuse(c, -1021, "") : 0;
}

int rest_charge(struct rest_call *c, const struct rest_row *row, const char *peer, int32_t *code,
                int64_t *retry_ms) {
    const struct rest *r = c->rest;
    const struct limiter_config *limits = limiter_config_of(r->limiter);
    enum limit_pool pool = row ? (enum limit_pool)row->pool : POOL_WEIGHT;
    uint32_t weight = row ? rest_row_weight(row, c->params) : 1;
    char text[32];
    int http = limiter_charge(r->limiter, peer, pool, weight, c->now_ns, retry_ms);
    if (http == 0 || !r->options.limits_enforced) return 0;
    if (http == 418) {
        int64_t until_ms = rest_ms(c->now_ns) + *retry_ms;
        snprintf(text, sizeof text, "%lld", (long long)until_ms);
        *code = rest_refuse_alt(c, -1003, text);
    } else {
        uint32_t limit = pool == POOL_WEIGHT    ? limits->weight_1m
                         : pool == POOL_FUNDING ? limits->funding_5m
                                                : limits->data_5m;
        snprintf(text, sizeof text, "%u", limit);
        *code = rest_refuse(c, -1003, text);
    }
    return http;
}

int rest_charge_orders(struct rest_call *c, const struct rest_row *row, int32_t *code,
                       int64_t *retry_ms) {
    const struct rest *r = c->rest;
    if (row->orders_10s == 0) return 0;
    int http =
        limiter_order(r->limiter, c->account, row->orders_10s, row->orders_1m, c->now_ns, retry_ms);
    if (http == 0 || !r->options.limits_enforced) return 0;
    const struct limiter_config *limits = limiter_config_of(r->limiter);
    uint32_t in_10s, in_1m;
    char text[48];
    limiter_orders(r->limiter, c->account, c->now_ns, &in_10s, &in_1m);
    if (in_1m > limits->orders_1m)
        snprintf(text, sizeof text, "%u orders per 1 MINUTE", limits->orders_1m);
    else
        snprintf(text, sizeof text, "%u orders per 10 SECOND", limits->orders_10s);
    *code = rest_refuse(c, -1015, text);
    return http;
}

/* Key, signature over the bytes as they came, time. */
static int32_t authenticate(struct rest_call *c, const struct rest_row *row,
                            const struct rest_request *request) {
    if (row->security == SECURITY_NONE) return 0;
    if (request->api_key.size == 0) return rest_refuse(c, -2014, "");
    int32_t code = rest_check_key(c, row, request->api_key.data, request->api_key.size);
    if (code || row->security == SECURITY_KEY) return code;
    const struct wire_param *signature = wire_param_find(c->params, "signature");
    if (!signature || signature->value_size == 0) return rest_missing(c, "signature");
    char *text = c->rest->p->signed_text;
    size_t query_size = wire_strip_signature(text, request->query.data, request->query.size);
    size_t body_size =
        wire_strip_signature(text + query_size, request->body.data, request->body.size);
    const char *timestamp;
    code = rest_text_required(c, "timestamp", &timestamp);
    if (code) return code;
    if (!wire_verify(c->key->key, signature->value, signature->value_size, text, query_size,
                     text + query_size, body_size))
        return rest_refuse(c, -1022, "");
    return rest_check_time(c);
}

static int32_t parse(struct rest_call *c, struct wire_params *params,
                     const struct rest_request *request) {
    enum status st =
        wire_params_parse(params, c->rest->p->params, REST_TEXT_BYTES, request->query.data,
                          request->query.size, request->body.data, request->body.size);
    if (st == ST_OK) return 0;
    return st == ST_FULL ? rest_refuse(c, -1101, "64") : rest_refuse(c, -1013, "");
}

static const char *method_text(enum net_method method) {
    switch (method) {
    case NET_GET:
        return "GET";
    case NET_POST:
        return "POST";
    case NET_PUT:
        return "PUT";
    case NET_DELETE:
        return "DELETE";
    case NET_HEAD:
        return "HEAD";
    case NET_OPTIONS:
        return "OPTIONS";
    case NET_OTHER:
        break;
    }
    return "OTHER";
}

static void write_headers(const struct rest_call *c, const struct rest_row *row, const char *peer,
                          int64_t retry_ms, struct rest_answer *out) {
    uint32_t in_10s, in_1m, weight = limiter_weight(c->rest->limiter, peer, c->now_ns);
    size_t room = sizeof out->headers;
    int used = snprintf(out->headers, room, "X-MBX-USED-WEIGHT-1M: %u\r\n", weight);
    if (row && row->orders_10s && c->account) {
        limiter_orders(c->rest->limiter, c->account, c->now_ns, &in_10s, &in_1m);
        used +=
            snprintf(out->headers + used, room - (size_t)used,
                     "X-MBX-ORDER-COUNT-10S: %u\r\nX-MBX-ORDER-COUNT-1M: %u\r\n", in_10s, in_1m);
    }
    if (retry_ms)
        snprintf(out->headers + used, room - (size_t)used, "Retry-After: %lld\r\n",
                 (long long)((retry_ms + 999) / 1000));
}

/* Everything between the request's bytes and its verdict; *http is set where the code alone does not say. */
static int32_t perform(struct rest_call *c, struct wire_params *params, const struct rest_row *row,
                       const struct rest_request *request, int *http, int64_t *retry_ms) {
    int32_t code = parse(c, params, request), parse_code = code, limit_code = 0;
    *http = rest_charge(c, row, request->peer, &limit_code, retry_ms);
    if (*http) return limit_code;
    if (!row) {
        char text[sizeof c->argument];
        snprintf(text, sizeof text, "%.*s, Method %s", (int)request->path.size, request->path.data,
                 method_text(request->method));
        return rest_refuse(c, -5000, text);
    }
    if (parse_code) return parse_code;
    code = authenticate(c, row, request);
    if (code) return code;
    *http = rest_charge_orders(c, row, &limit_code, retry_ms);
    return *http ? limit_code : row->handler(c);
}

void rest_handle(struct rest *r, const struct rest_request *request, struct rest_answer *out) {
    struct json_writer w;
    struct wire_params params;
    params.count = 0;
    struct rest_call c = {.rest = r,
                          .exchange = r->world->exchange,
                          .params = &params,
                          .now_ns = request->now_ns,
                          .out = &w};
    int64_t retry_ms = 0;
    json_writer_init(&w, r->p->reply, REST_REPLY_BYTES);
    const struct rest_row *row = rest_row_find(r, request->method, request->path);
    int http = 0;
    int32_t code = perform(&c, &params, row, request, &http, &retry_ms);
    if (code == 0 && w.overflow) {
        log_error("rest", "reply too large", "path=%s bytes_max=%d", row->path, REST_REPLY_BYTES);
        code = rest_refuse(&c, -1000, "");
    }
    if (code) {
        json_writer_init(&w, r->p->reply, REST_REPLY_BYTES);
        rest_write_error(&c, code, &w);
    }
    enum status st = json_writer_finish(&w);
    ASSERT(st == ST_OK);
    out->status = http ? http : code ? venue_error_http(code) : 200;
    out->code = code;
    out->account = c.account;
    out->body = w.out;
    out->body_size = w.size;
    write_headers(&c, row, request->peer, http ? retry_ms : 0, out);
}

enum rest_class rest_class_of_row(const struct rest_row *row) {
    if (!row) return REST_UNKNOWN;
    if (row->security == SECURITY_TRADE) return REST_TRADE;
    return row->security == SECURITY_USER ? REST_READ : REST_PUBLIC;
}

enum rest_class rest_class_of(const struct rest *r, enum net_method method, struct net_text path) {
    return rest_class_of_row(rest_row_find(r, method, path));
}
