/* The server. libwebsockets' own thread model: everything below `callback` runs on the one service
 * thread; api_start and api_stop only make and end it. */
#include "api/api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libwebsockets.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "api/http_count.h"
#include "base/assert.h"
#include "base/log.h"

enum {
    CONNECTIONS_MAX = 512, /* beyond it the kernel's accept queue waits */
    REQUEST_SECONDS_MAX =
        20, /* a request or answer that makes no progress for so long is dropped */
    KEEPALIVE_SECONDS = 30,
    SEND_SIZE = 128 * 1024, /* kernel memory a client that does not read can hold */
    CHUNK_SIZE = 4 * 1024,  /* a socket that polls writable takes this much whole */
    HEADERS_SIZE = 2048,
    DRAIN_MAX = 1024 * 1024,
    TOKEN_SIZE = 128,
    BIND_SIZE = 64,
    TEXT_SIZE = 64,
    PATH_SIZE = 512,
};

enum method { METHOD_GET = 0, METHOD_HEAD, METHOD_POST, METHOD_OTHER, METHOD_COUNT };
static const char *const METHOD_NAMES[METHOD_COUNT] = {"GET", "HEAD", "POST", "other"};

enum route {
    ROUTE_NONE = -1,
    ROUTE_HEALTH = 0,
    ROUTE_LIVE,
    ROUTE_READY,
    ROUTE_METRICS,
    ROUTE_SIGNAL,
    ROUTE_POSITIONS,
    ROUTE_ORDERS,
    ROUTE_SIGNALS,
    ROUTE_STATE,
    ROUTE_TRADES,
    ROUTE_EQUITY,
    ROUTE_ASSETS, /* and the API_ASSET_COUNT - 1 after it */
};
enum { ROUTE_COUNT = ROUTE_ASSETS + API_ASSET_COUNT };

static const char *const ROUTE_PATHS[ROUTE_ASSETS] = {
    "/health",        "/health/live",   "/health/ready", "/metrics",
    "/api/ai/signal", "/api/positions", "/api/orders",   "/api/signals",
    "/api/state",     "/api/trades",    "/api/equity"};

struct session;
struct api {
    struct lws_context *context;
    struct lws_vhost *vhost;
    pthread_t thread;
    atomic_bool stop;
    int pending_count;
    struct session *pending[CONNECTIONS_MAX]; /* answers their sockets could not take at once */
    uint16_t port;
    struct view_box *view_box;
    struct metrics *metrics;
    bool metrics_own;
    int64_t started_ns; /* monotonic */
    char bind[BIND_SIZE], token[TOKEN_SIZE], version[TEXT_SIZE], commit[TEXT_SIZE];
    char trades_path[PATH_SIZE];
    struct http_count count;
    struct api_asset assets[API_ASSET_COUNT];
    struct view view;       /* of the request being answered */
    char out[API_OUT_SIZE]; /* the answer being written */
    unsigned char chunk[LWS_PRE + CHUNK_SIZE];
};

/* One connection's current request. */
struct session {
    struct lws *wsi;
    int pending; /* 1 + place in api->pending, 0 none */
    bool active; /* between the headers and the last byte of the answer */
    enum method method;
    enum route route;
    int code;
    int64_t began_ns;
    char *body; /* of the request; NULL none awaited */
    size_t body_size, body_expected;
    unsigned char *owned; /* the answer's copy; NULL when out points at an asset */
    const unsigned char *out;
    size_t out_size, out_sent;
};

struct answer {
    int code;
    const char *content_type;
    const void *data;
    size_t size;
    bool is_static;               /* data outlives the connection: no copy is made */
    const char *allow;            /* 405 */
    uint32_t retry_after_seconds; /* 503 */
};

struct api_config api_config_defaults(void) {
    return (struct api_config){.bind = "127.0.0.1", .port = API_PORT_DEFAULT};
}

uint16_t api_port(const struct api *api) {
    return api->port;
}

static const char *route_path(const struct api *api, enum route route) {
    if (route == ROUTE_NONE) return "other";
    return route < ROUTE_ASSETS ? ROUTE_PATHS[route] : api->assets[route - ROUTE_ASSETS].path;
}

/* ---- answering ---- */

static void pending_add(struct api *api, struct session *s) {
    if (s->pending) return;
    ASSERT(api->pending_count < CONNECTIONS_MAX);
    api->pending[api->pending_count++] = s;
    s->pending = api->pending_count;
}

static void pending_remove(struct api *api, struct session *s) {
    if (!s->pending) return;
    struct session *last = api->pending[--api->pending_count];
    api->pending[s->pending - 1] = last;
    last->pending = s->pending;
    s->pending = 0;
}

static void session_end(struct api *api, struct session *s, int code) {
    if (s->active) {
        double seconds = (double)(tstamp_monotonic_ns() - s->began_ns) / 1e9;
        http_count_end(&api->count, METHOD_NAMES[s->method], route_path(api, s->route), code,
                       seconds);
    }
    pending_remove(api, s);
    free(s->body);
    free(s->owned);
    memset(s, 0, sizeof *s);
}

static int add(struct lws *wsi, const char *name, const char *value, unsigned char **p,
               unsigned char *end) {
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), p, end);
}

/* The page needs its own script, style and data and nothing else from anywhere. */
static int add_security(struct lws *wsi, unsigned char **p, unsigned char *end) {
    return add(wsi, "content-security-policy:",
               "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
               "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
               p, end) ||
           add(wsi, "x-content-type-options:", "nosniff", p, end) ||
           add(wsi, "x-frame-options:", "DENY", p, end) ||
           add(wsi, "referrer-policy:", "no-referrer", p, end) ||
           add(wsi, "cross-origin-resource-policy:", "same-origin", p, end) ||
           add(wsi, "cross-origin-opener-policy:", "same-origin", p, end) ||
           add(wsi, "cache-control:", "no-store", p, end);
}

static int send_headers(struct lws *wsi, const struct answer *a) {
    unsigned char buffer[LWS_PRE + HEADERS_SIZE];
    unsigned char *start = buffer + LWS_PRE, *p = start, *end = buffer + sizeof buffer;
    unsigned int code = (unsigned int)a->code | (unsigned int)LWSAHH_FLAG_NO_SERVER_NAME;
    char number[24];
    if (lws_add_http_header_status(wsi, code, &p, end) ||
        add(wsi, "content-type:", a->content_type, &p, end) ||
        lws_add_http_header_content_length(wsi, a->size, &p, end) || add_security(wsi, &p, end))
        return -1;
    if (a->allow && add(wsi, "allow:", a->allow, &p, end)) return -1;
    if (a->code == 401 && add(wsi, "www-authenticate:", "Bearer", &p, end)) return -1;
    snprintf(number, sizeof number, "%u", a->retry_after_seconds);
    if (a->retry_after_seconds && add(wsi, "retry-after:", number, &p, end)) return -1;
    if (add(wsi, "connection:", "close", &p, end)) return -1;
    return lws_finalize_write_http_header(wsi, start, &p, end);
}

/* The answer is out, and with it the connection ends (callback's -1): libwebsockets 4.1 reads the
 * body of a POST that was pipelined behind another request from the wrong place and then loops for
 * ever, so a second request on one connection is never begun. `s` is empty afterwards. */
static int finish(struct api *api, struct lws *wsi, struct session *s) {
    /* Closing over input that nobody read resets the connection, and the client would lose the part
     * of its answer that is still on the way: take out what has arrived. */
    for (size_t total = 0; total < DRAIN_MAX;) {
        ssize_t n = recv(lws_get_socket_fd(wsi), api->chunk, sizeof api->chunk, MSG_DONTWAIT);
        if (n <= 0) break;
        total += (size_t)n;
    }
    session_end(api, s, s->code);
    return -1;
}

/* Hands the socket what it takes now; pending_flush sees to the rest. -1 ends the connection. */
static int write_some(struct api *api, struct lws *wsi, struct session *s) {
    while (s->out && s->out_sent < s->out_size) {
        if (lws_send_pipe_choked(wsi)) {
            pending_add(api, s);
            lws_callback_on_writable(wsi);
            return 0;
        }
        size_t n = s->out_size - s->out_sent;
        if (n > CHUNK_SIZE) n = CHUNK_SIZE;
        memcpy(api->chunk + LWS_PRE, s->out + s->out_sent, n);
        bool last = s->out_sent + n == s->out_size;
        enum lws_write_protocol kind = last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP;
        if (lws_write(wsi, api->chunk + LWS_PRE, n, kind) < (int)n) return -1;
        s->out_sent += n;
        if (last) return finish(api, wsi, s);
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SECONDS_MAX);
    }
    return 0;
}

static int respond(struct api *api, struct lws *wsi, struct session *s, const struct answer *a) {
    s->code = a->code;
    if (send_headers(wsi, a)) return -1;
    if (s->method == METHOD_HEAD || a->size == 0) return finish(api, wsi, s);
    if (a->is_static) {
        s->out = a->data;
    } else {
        s->owned = malloc(a->size);
        if (!s->owned) return -1;
        memcpy(s->owned, a->data, a->size);
        s->out = s->owned;
    }
    s->out_size = a->size;
    s->out_sent = 0;
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SECONDS_MAX);
    return write_some(api, wsi, s);
}

static int respond_refusal(struct api *api, struct lws *wsi, struct session *s,
                           const struct api_refusal *refusal, const char *allow) {
    char text[1024];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    api_render_error(&w, refusal->code, refusal->message, refusal->line, refusal->offset);
    ASSERT(json_writer_finish(&w) == ST_OK); /* a message is at most a quarter of it */
    struct answer a = {.code = refusal->code,
                       .content_type = "application/json",
                       .data = text,
                       .size = w.size,
                       .allow = allow,
                       .retry_after_seconds = refusal->retry_after_seconds};
    return respond(api, wsi, s, &a);
}

static int respond_error(struct api *api, struct lws *wsi, struct session *s, int code,
                         const char *message) {
    struct api_refusal refusal = {.code = code};
    snprintf(refusal.message, sizeof refusal.message, "%s", message);
    return respond_refusal(api, wsi, s, &refusal, NULL);
}

static int respond_written(struct api *api, struct lws *wsi, struct session *s, int code,
                           struct json_writer *w) {
    if (json_writer_finish(w) != ST_OK)
        return respond_error(api, wsi, s, 500, "the answer does not fit its buffer");
    struct answer a = {
        .code = code, .content_type = "application/json", .data = w->out, .size = w->size};
    return respond(api, wsi, s, &a);
}

/* ---- routes ---- */

static struct api_shot shot_take(struct api *api) {
    bool published = view_read(api->view_box, &api->view);
    return (struct api_shot){
        .view = &api->view,
        .published = published,
        .now_wall_ns = tstamp_wall_ns(),
        .uptime_seconds = (double)(tstamp_monotonic_ns() - api->started_ns) / 1e9,
        .version = api->version,
        .commit = api->commit,
        .trades_path = api->trades_path[0] ? api->trades_path : NULL,
    };
}

/* ?limit=N; false if it is there and not a number from 1 to max. */
static bool limit_read(size_t *out, struct lws *wsi, size_t fallback, size_t max) {
    char buffer[64];
    const char *text = lws_get_urlarg_by_name(wsi, "limit=", buffer, sizeof buffer);
    *out = fallback;
    if (!text) return true;
    size_t value = 0, n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 9; n++)
        value = value * 10 + (size_t)(text[n] - '0');
    *out = value;
    return n > 0 && text[n] == '\0' && value >= 1 && value <= max;
}

static int answer_history(struct api *api, struct lws *wsi, struct session *s,
                          const struct api_shot *shot, struct json_writer *w) {
    bool trades = s->route == ROUTE_TRADES;
    size_t limit, max = trades ? API_TRADES_LIMIT_MAX : API_EQUITY_LIMIT_MAX;
    struct err err = {ST_OK, ""};
    if (!limit_read(&limit, wsi, trades ? 100 : 500, max)) {
        struct api_refusal refusal = {.code = 400};
        snprintf(refusal.message, sizeof refusal.message, "limit must be a number from 1 to %zu",
                 max);
        return respond_refusal(api, wsi, s, &refusal, NULL);
    }
    enum status st =
        trades ? api_render_trades(w, shot, limit, &err) : api_render_equity(w, shot, limit, &err);
    if (st == ST_OK) return respond_written(api, wsi, s, 200, w);
    log_error("api", "trade journal cannot be read", "error=\"%s\"", err.text);
    return respond_error(api, wsi, s, 500, "the trade journal cannot be read: see the log");
}

static int answer_metrics(struct api *api, struct lws *wsi, struct session *s,
                          const struct api_shot *shot) {
    size_t size = 0;
    if (api_render_metrics(api->out, sizeof api->out, &size, api->metrics, shot) != ST_OK)
        return respond_error(api, wsi, s, 500, "the metrics do not fit their buffer");
    struct answer a = {.code = 200,
                       .content_type = "text/plain; version=0.0.4; charset=utf-8",
                       .data = api->out,
                       .size = size};
    return respond(api, wsi, s, &a);
}

static int answer_probe(struct api *api, struct lws *wsi, struct session *s,
                        const struct api_shot *shot, struct json_writer *w) {
    bool up = true;
    const char *why = "";
    struct api_health health;
    if (s->route == ROUTE_READY) {
        api_health_judge(&health, shot);
        up = health.ready;
        why = health.not_ready;
    }
    json_write_object_begin(w);
    json_write_key(w, "status");
    json_write_string(w, s->route == ROUTE_LIVE ? "alive" : up ? "ready" : "not ready");
    if (!up) {
        json_write_key(w, "reason");
        json_write_string(w, why);
    }
    json_write_object_end(w);
    return respond_written(api, wsi, s, up ? 200 : 503, w);
}

static int answer_get(struct api *api, struct lws *wsi, struct session *s) {
    if (s->route >= ROUTE_ASSETS) {
        const struct api_asset *asset = &api->assets[s->route - ROUTE_ASSETS];
        struct answer a = {.code = 200,
                           .content_type = asset->content_type,
                           .data = asset->data,
                           .size = asset->size,
                           .is_static = true};
        return respond(api, wsi, s, &a);
    }
    ASSERT(s->route >= ROUTE_HEALTH && s->route != ROUTE_SIGNAL);
    struct api_shot shot = shot_take(api);
    struct json_writer w;
    json_writer_init(&w, api->out, sizeof api->out);
    switch (s->route) {
    case ROUTE_LIVE:
    case ROUTE_READY:
        return answer_probe(api, wsi, s, &shot, &w);
    case ROUTE_METRICS:
        return answer_metrics(api, wsi, s, &shot);
    case ROUTE_TRADES:
    case ROUTE_EQUITY:
        return answer_history(api, wsi, s, &shot, &w);
    case ROUTE_HEALTH:
        api_render_health(&w, &shot);
        break;
    case ROUTE_POSITIONS:
        api_render_positions(&w, &shot);
        break;
    case ROUTE_ORDERS:
        api_render_orders(&w, &shot);
        break;
    case ROUTE_SIGNALS:
        api_render_signals(&w, &shot);
        break;
    case ROUTE_STATE:
        api_render_state(&w, &shot);
        break;
    case ROUTE_SIGNAL:
    case ROUTE_ASSETS:
    case ROUTE_NONE:
        ASSERT(!(bool)"a GET route");
        break;
    }
    return respond_written(api, wsi, s, 200, &w);
}

static int answer_signal(struct api *api, struct lws *wsi, struct session *s) {
    struct api_signal_request request;
    struct api_refusal refusal;
    if (!api_signal_decode(&request, &refusal, s->body ? s->body : "", s->body_size))
        return respond_refusal(api, wsi, s, &refusal, NULL);
    struct api_shot shot = shot_take(api);
    struct json_writer w;
    json_writer_init(&w, api->out, sizeof api->out);
    if (!api_signal_answer(&w, &refusal, &request, &shot))
        return respond_refusal(api, wsi, s, &refusal, NULL);
    return respond_written(api, wsi, s, 200, &w);
}

/* ---- a request's headers ---- */

static bool header(struct lws *wsi, char *out, size_t size, enum lws_token_indexes token) {
    out[0] = '\0';
    if (lws_hdr_total_length(wsi, token) <= 0) return false;
    /* One too long for its buffer reads as something that matches nothing. */
    if (lws_hdr_copy(wsi, out, (int)size, token) < 0) snprintf(out, size, "?");
    return true;
}

static bool is_wildcard(const char *bind) {
    return strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
}

/* A page on another site can make a name of its own point at 127.0.0.1 and then talk to us as if it
 * were ours; the name it used is in Host. Addresses cannot be rebound, so where we were told to listen
 * on all of them any address is fine, but never a name. */
static bool host_is_ours(const struct api *api, struct lws *wsi) {
    char host[128];
    if (!header(wsi, host, sizeof host, WSI_TOKEN_HOST)) return false;
    char *name = host, *rest;
    if (host[0] == '[') {
        name++;
        rest = strchr(host, ']');
        if (!rest) return false;
        *rest++ = '\0';
    } else {
        rest = strchr(host, ':');
        if (!rest) rest = host + strlen(host);
    }
    const char *port = rest;
    if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1))) return false;
    *rest = '\0';
    if (strcasecmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 ||
        strcmp(name, "::1") == 0 || strcasecmp(name, api->bind) == 0)
        return true;
    struct in6_addr address;
    return is_wildcard(api->bind) &&
           (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1);
}

/* Takes the same time wherever the first difference is. */
static bool token_is_right(const struct api *api, struct lws *wsi) {
    char given[TOKEN_SIZE + 16];
    if (!header(wsi, given, sizeof given, WSI_TOKEN_HTTP_AUTHORIZATION)) return false;
    if (strncasecmp(given, "Bearer ", 7) != 0) return false;
    size_t length = strlen(api->token), given_length = strlen(given + 7);
    unsigned difference = length != given_length;
    for (size_t i = 0; i < given_length; i++)
        difference |= (unsigned)(given[7 + i] ^ api->token[i % (length ? length : 1)]);
    return difference == 0;
}

static enum method method_of(struct lws *wsi, const char *uri, enum route *route,
                             const struct api *api) {
    char *text = NULL;
    int length = 0;
    int method = lws_http_get_uri_and_method(wsi, &text, &length);
    *route = ROUTE_NONE;
    for (int i = 0; i < ROUTE_COUNT; i++)
        if (strcmp(uri, route_path(api, (enum route)i)) == 0) *route = (enum route)i;
    switch (method) {
    case LWSHUMETH_GET:
        return METHOD_GET;
    case LWSHUMETH_HEAD:
        return METHOD_HEAD;
    case LWSHUMETH_POST:
        return METHOD_POST;
    default:
        return METHOD_OTHER;
    }
}

/* JSON, or not said. curl -d calls everything a form unless told otherwise: the body decides. */
static bool content_type_is_fine(struct lws *wsi) {
    char type[128];
    if (!header(wsi, type, sizeof type, WSI_TOKEN_HTTP_CONTENT_TYPE)) return true;
    type[strcspn(type, "; ")] = '\0';
    return strcasecmp(type, "application/json") == 0 ||
           strcasecmp(type, "application/x-www-form-urlencoded") == 0;
}

/* Waits for the body, or says at once why it will not be read. */
static int body_await(struct api *api, struct lws *wsi, struct session *s) {
    char length[32];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
        !header(wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH))
        return respond_error(api, wsi, s, 411, "Content-Length is required");
    if (strspn(length, "0123456789") != strlen(length))
        return respond_error(api, wsi, s, 400, "Content-Length is not a number");
    size_t size = strlen(length) > 9 ? SIZE_MAX : (size_t)strtoul(length, NULL, 10);
    if (size > API_BODY_MAX)
        return respond_error(api, wsi, s, 413, "the body may have at most 16384 bytes");
    if (!content_type_is_fine(wsi))
        return respond_error(api, wsi, s, 415, "Content-Type must be application/json");
    if (size == 0) return answer_signal(api, wsi, s);
    s->body = malloc(size);
    if (!s->body) return -1;
    s->body_expected = size;
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SECONDS_MAX);
    return 0;
}

static int request_begin(struct api *api, struct lws *wsi, struct session *s, const char *uri) {
    session_end(api, s, 0);
    s->wsi = wsi;
    s->method = method_of(wsi, uri, &s->route, api);
    s->began_ns = tstamp_monotonic_ns();
    s->active = true;
    http_count_begin(&api->count);
    int send_size = SEND_SIZE;
    setsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_SNDBUF, &send_size, sizeof send_size);
    if (!host_is_ours(api, wsi))
        return respond_error(api, wsi, s, 403, "this Host is not served here");
    if (s->route == ROUTE_NONE) return respond_error(api, wsi, s, 404, "no such path");
    bool is_open = s->route == ROUTE_LIVE || s->route >= ROUTE_ASSETS;
    if (api->token[0] && !is_open && !token_is_right(api, wsi))
        return respond_error(api, wsi, s, 401, "a bearer token is required");
    bool is_post = s->route == ROUTE_SIGNAL;
    bool fits =
        is_post ? s->method == METHOD_POST : s->method == METHOD_GET || s->method == METHOD_HEAD;
    if (!fits) {
        struct api_refusal refusal = {.code = 405};
        const char *allow = is_post ? "POST" : "GET, HEAD";
        snprintf(refusal.message, sizeof refusal.message, "%s answers %s only",
                 route_path(api, s->route), allow);
        return respond_refusal(api, wsi, s, &refusal, allow);
    }
    return is_post ? body_await(api, wsi, s) : answer_get(api, wsi, s);
}

static int body_take(struct api *api, struct lws *wsi, struct session *s, const void *data,
                     size_t size) {
    if (!s->body) return 0; /* already refused: the connection is on its way out */
    if (size > s->body_expected - s->body_size)
        return respond_error(api, wsi, s, 400, "the body is longer than Content-Length");
    memcpy(s->body + s->body_size, data, size);
    s->body_size += size;
    return 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size) {
    struct session *s = user;
    struct lws_context *context = lws_get_context(wsi);
    struct api *api = context ? lws_context_user(context) : NULL;
    if (!api) return 0;
    switch ((int)reason) {
    case LWS_CALLBACK_HTTP:
        return request_begin(api, wsi, s, in);
    case LWS_CALLBACK_HTTP_BODY:
        return body_take(api, wsi, s, in, size);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return s->body && !s->out ? answer_signal(api, wsi, s) : 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_some(api, wsi, s);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1; /* nothing here speaks anything else yet */
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (s) session_end(api, s, 0);
        return 0;
    default:
        return 0;
    }
}

/* ---- life ---- */

/* libwebsockets 4.1 does not poll while a connection holds input it cannot begin on, so a client that
 * pipelines requests and is slow to read would never get its turn to be written to (and the thread
 * would spin). Answers that wait are therefore also driven from here, at most a millisecond apart. */
static void pending_flush(struct api *api) {
    struct pollfd fds[CONNECTIONS_MAX];
    if (!api->pending_count) return;
    for (int i = 0; i < api->pending_count; i++)
        fds[i] = (struct pollfd){.fd = lws_get_socket_fd(api->pending[i]->wsi), .events = POLLOUT};
    if (poll(fds, (nfds_t)api->pending_count, 1) <= 0) return;
    for (int i = api->pending_count - 1; i >= 0; i--) {
        struct lws *wsi = api->pending[i]->wsi;
        if (fds[i].revents && write_some(api, wsi, api->pending[i]) < 0)
            lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    }
}

static void *service(void *argument) {
    struct api *api = argument;
    while (!atomic_load(&api->stop)) {
        if (lws_service(api->context, 0) < 0) break;
        pending_flush(api);
    }
    return NULL;
}

/* Debug, all of it: what the library complains about is what clients send, as fast as they like. */
static void on_library_log(int level, const char *text) {
    log_debug("api", "libwebsockets", "level=%d text=\"%.*s\"", level, (int)strcspn(text, "\n"),
              text);
}

/* Numeric form of what to listen on; its family decides how. */
static enum status address_parse(struct sockaddr_storage *out, socklen_t *out_size,
                                 const char *bind_to, uint16_t port, struct err *err) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, bind_to, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *out_size = sizeof *v4;
        return ST_OK;
    }
    if (inet_pton(AF_INET6, bind_to, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *out_size = sizeof *v6;
        return ST_OK;
    }
    return err_set(err, ST_INVALID, "api bind: %s is not a numeric address", bind_to);
}

/* The library says only "no": bind once ourselves to be able to say why. */
static enum status port_probe(const struct sockaddr_storage *address, socklen_t size,
                              const struct api *api, uint16_t port, struct err *err) {
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_errno(err, ST_IO, "api socket");
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    enum status st = ST_OK;
    /* listen, too: two sockets may be bound to one port with SO_REUSEADDR as long as none listens. */
    if (bind(fd, (const struct sockaddr *)address, size) != 0 || listen(fd, 1) != 0) {
        if (errno == EADDRINUSE)
            st = err_set(err, ST_EXISTS,
                         "port %u on %s is in use: another quantum, or another program, listens "
                         "there",
                         port, api->bind);
        else
            st = err_errno(err, ST_INVALID, "cannot listen on %s port %u", api->bind, port);
    }
    close(fd);
    return st;
}

static enum status text_take(char *out, size_t size, const char *text, const char *what,
                             struct err *err) {
    if (!text) text = "";
    if (strlen(text) >= size) return err_set(err, ST_RANGE, "api %s is too long: %s", what, text);
    memcpy(out, text, strlen(text) + 1);
    return ST_OK;
}

static enum status config_take(struct api *api, const struct api_config *c, struct err *err) {
    const char *bind_to = c->bind && c->bind[0] ? c->bind : "127.0.0.1";
    if (strcasecmp(bind_to, "localhost") == 0) bind_to = "127.0.0.1";
    ASSERT(c->view_box);
    api->view_box = c->view_box;
    enum status st = text_take(api->bind, sizeof api->bind, bind_to, "bind address", err);
    if (st == ST_OK && c->token && strlen(c->token) >= TOKEN_SIZE)
        st = err_set(err, ST_RANGE, "api token is longer than %d characters", TOKEN_SIZE - 1);
    if (st == ST_OK) st = text_take(api->token, sizeof api->token, c->token, "token", err);
    if (st == ST_OK) st = text_take(api->version, sizeof api->version, c->version, "version", err);
    if (st == ST_OK) st = text_take(api->commit, sizeof api->commit, c->commit, "commit", err);
    if (st == ST_OK)
        st = text_take(api->trades_path, sizeof api->trades_path, c->trades_path, "trades path",
                       err);
    return st;
}

static void counts_declare(struct api *api) {
    http_count_init(&api->count, api->metrics);
    for (int i = 0; i < ROUTE_COUNT; i++) {
        const char *path = route_path(api, (enum route)i);
        if (i == ROUTE_SIGNAL) {
            static const int codes[] = {200, 400, 404, 413, 415, 422, 503};
            for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++)
                http_count_declare(&api->count, "POST", path, codes[k]);
            continue;
        }
        http_count_declare(&api->count, "GET", path, 200);
        http_count_declare(&api->count, "HEAD", path, 200);
        if (i == ROUTE_READY) http_count_declare(&api->count, "GET", path, 503);
    }
}

static const struct lws_protocols PROTOCOLS[] = {
    {"http", callback, sizeof(struct session), 0, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

static enum status listen_on(struct api *api, uint16_t port, struct err *err) {
    struct sockaddr_storage address;
    socklen_t address_size = 0;
    enum status st = address_parse(&address, &address_size, api->bind, port, err);
    if (st == ST_OK) st = port_probe(&address, address_size, api, port, err);
    if (st != ST_OK) return st;

    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
    struct lws_context_creation_info info = {0};
    info.port = port;
    info.iface = api->bind;
    info.protocols = PROTOCOLS;
    info.gid = -1;
    info.uid = -1;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
    if (address.ss_family == AF_INET) info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
    info.user = api;
    info.timeout_secs = REQUEST_SECONDS_MAX;
    info.keepalive_timeout = KEEPALIVE_SECONDS;
    info.fd_limit_per_thread = CONNECTIONS_MAX;
    api->context = lws_create_context(&info);
    if (!api->context) return err_set(err, ST_EXTERNAL, "libwebsockets: no context");
    api->vhost = lws_create_vhost(api->context, &info);
    if (!api->vhost)
        return err_set(err, ST_EXTERNAL, "libwebsockets: cannot listen on %s port %u", api->bind,
                       port);
    int listening = lws_get_vhost_listen_port(api->vhost);
    if (listening <= 0)
        return err_set(err, ST_EXTERNAL, "libwebsockets: cannot listen on %s port %u", api->bind,
                       port);
    api->port = (uint16_t)listening;
    return ST_OK;
}

static void api_free(struct api *api) {
    if (api->context) lws_context_destroy(api->context);
    if (api->metrics_own) metrics_destroy(api->metrics);
    free(api);
}

/* The thread takes no signals: they belong to the program's main loop. */
static int thread_start(struct api *api) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&api->thread, NULL, service, api);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

enum status api_start(struct api **out, const struct api_config *config, struct err *err) {
    struct api *api = calloc(1, sizeof *api);
    if (!api) return err_set(err, ST_NO_MEMORY, "api: %zu bytes", sizeof *api);
    enum status st = config_take(api, config, err);
    if (st == ST_OK) {
        api->started_ns = tstamp_monotonic_ns();
        for (int i = 0; i < API_ASSET_COUNT; i++) api_asset_get(&api->assets[i], i);
        st = listen_on(api, config->port, err);
    }
    if (st == ST_OK) {
        api->metrics_own = !config->metrics;
        api->metrics = config->metrics ? config->metrics : metrics_create();
        if (!api->metrics) st = err_set(err, ST_NO_MEMORY, "api metrics");
    }
    if (st == ST_OK) {
        counts_declare(api);
        if (thread_start(api)) st = err_errno(err, ST_EXTERNAL, "api thread");
    }
    if (st != ST_OK) {
        if (!api->metrics) api->metrics_own = false;
        api_free(api);
        return st;
    }
    log_info("api", "listening", "url=http://%s:%u", api->bind, api->port);
    *out = api;
    return ST_OK;
}

void api_stop(struct api *api) {
    if (!api) return;
    atomic_store(&api->stop, true);
    lws_cancel_service(api->context);
    pthread_join(api->thread, NULL);
    api_free(api);
}
