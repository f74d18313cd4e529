/* Routes and answers. All of it runs on the service thread. */
#include "api/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/gate.h"
#include "api/put.h"
#include "base/assert.h"
#include "base/log.h"

enum { HEADERS_SIZE = 1024 };

/* ---- routes ---- */

enum method { METHOD_GET = 0, METHOD_HEAD, METHOD_POST, METHOD_OTHER, METHOD_COUNT };
static const char *const METHOD_NAMES[METHOD_COUNT] = {"GET", "HEAD", "POST", "other"};

/* X(route, path, GET, POST) */
#define ROUTE_TABLE(X)                                                                             \
    X(ROUTE_HEALTH, "/health", 1, 0)                                                               \
    X(ROUTE_LIVE, "/health/live", 1, 0)                                                            \
    X(ROUTE_READY, "/health/ready", 1, 0)                                                          \
    X(ROUTE_METRICS, "/metrics", 1, 0)                                                             \
    X(ROUTE_SIGNAL, "/api/ai/signal", 0, 1)                                                        \
    X(ROUTE_AI_SIGNALS, "/api/ai/signals", 1, 0)                                                   \
    X(ROUTE_ENSEMBLE, "/api/ai/metrics/ensemble", 1, 0)                                            \
    X(ROUTE_META_STRATEGY, "/api/ai/metrics/meta-strategy", 1, 0)                                  \
    X(ROUTE_RL_SIZING, "/api/ai/metrics/rl-sizing", 1, 0)                                          \
    X(ROUTE_RETRAIN, "/api/ai/retrain", 1, 1)                                                      \
    X(ROUTE_POSITIONS, "/api/positions", 1, 0)                                                     \
    X(ROUTE_ORDERS, "/api/orders", 1, 0)                                                           \
    X(ROUTE_SIGNALS, "/api/signals", 1, 0)                                                         \
    X(ROUTE_STATE, "/api/state", 1, 0)                                                             \
    X(ROUTE_TRADES, "/api/trades", 1, 0)                                                           \
    X(ROUTE_EQUITY, "/api/equity", 1, 0)                                                           \
    X(ROUTE_REPORTS, "/api/reports", 1, 0)                                                         \
    X(ROUTE_REPORT, "/reports/", 1, 0) /* and a name */                                            \
    X(ROUTE_RISK, "/api/risk", 1, 0)                                                               \
    X(ROUTE_POLICY, "/api/policy", 0, 1)                                                           \
    X(ROUTE_EMERGENCY_STOP, "/api/emergency_stop", 0, 1)                                           \
    X(ROUTE_CLOSE_ALL, "/api/positions/close", 0, 1)                                               \
    X(ROUTE_BREAKER_RESET, "/api/breaker/reset", 0, 1)                                             \
    X(ROUTE_PUSH, "/ws/signals", 1, 0)

enum route {
    ROUTE_NONE = -1,
#define ROUTE_ENUM(route, path, get, post) route,
    ROUTE_TABLE(ROUTE_ENUM)
#undef ROUTE_ENUM
        ROUTE_ASSETS /* and the API_ASSET_COUNT - 1 after it */
};
enum { ROUTE_COUNT = ROUTE_ASSETS + API_ASSET_COUNT };

static const struct {
    const char *path;
    bool get, post;
} ROUTES[ROUTE_ASSETS] = {
#define ROUTE_ROW(route, path, get, post) {path, get, post},
    ROUTE_TABLE(ROUTE_ROW)
#undef ROUTE_ROW
};

/* One request, for as long as it is not answered. */
struct asked {
    struct net_conn *conn; /* NULL: it has gone */
    enum method method;
    enum route route;
    int64_t began_ns;
};

struct answer {
    int code;
    const char *content_type;
    const void *data;
    size_t size;
    const char *allow;            /* 405 */
    uint32_t retry_after_seconds; /* 0 none */
};

static const char *route_path(const struct api *api, enum route route) {
    if (route == ROUTE_NONE) return "other";
    return route < ROUTE_ASSETS ? ROUTES[route].path : api->assets[route - ROUTE_ASSETS].path;
}

/* ---- answering ---- */

/* The page needs its own script, style and data and nothing else from anywhere. */
static const char SECURITY[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src "
    "'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n"
    "Cache-Control: no-store\r\n";

/* A report is a file of its own: it brings its style, and has no script. */
static const char SECURITY_REPORT[] =
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n"
    "Cache-Control: no-store\r\n";

static void respond(struct api *api, const struct asked *q, const struct answer *a) {
    char headers[HEADERS_SIZE], retry[48] = "";
    if (a->retry_after_seconds)
        snprintf(retry, sizeof retry, "Retry-After: %u\r\n", a->retry_after_seconds);
    int n = snprintf(headers, sizeof headers, "%s%s%s%s%s%s",
                     q->route == ROUTE_REPORT ? SECURITY_REPORT : SECURITY,
                     a->allow ? "Allow: " : "", a->allow ? a->allow : "", a->allow ? "\r\n" : "",
                     retry, a->code == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
    ASSERT(n > 0 && (size_t)n < sizeof headers);
    net_respond(q->conn, a->code, a->content_type, headers, a->data, a->size);
    double seconds = (double)(tstamp_monotonic_ns() - q->began_ns) / 1e9;
    http_count_end(&api->count, METHOD_NAMES[q->method], route_path(api, q->route), a->code,
                   seconds);
}

static void respond_refusal(struct api *api, const struct asked *q,
                            const struct api_refusal *refusal, const char *allow) {
    char text[1024];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    api_render_error(&w, refusal->code, refusal->message, refusal->line, refusal->offset);
    ASSERT(json_writer_finish(&w) == ST_OK); /* a message is at most a quarter of it */
    respond(api, q,
            &(struct answer){.code = refusal->code,
                             .content_type = "application/json",
                             .data = text,
                             .size = w.size,
                             .allow = allow,
                             .retry_after_seconds = refusal->retry_after_seconds});
}

static void respond_error(struct api *api, const struct asked *q, int code, const char *message) {
    struct api_refusal refusal = {.code = code};
    snprintf(refusal.message, sizeof refusal.message, "%s", message);
    respond_refusal(api, q, &refusal, NULL);
}

static void respond_json(struct api *api, const struct asked *q, int code, const char *text,
                         size_t size) {
    respond(api, q,
            &(struct answer){
                .code = code, .content_type = "application/json", .data = text, .size = size});
}

static void respond_written(struct api *api, const struct asked *q, int code,
                            struct json_writer *w) {
    if (json_writer_finish(w) != ST_OK)
        respond_error(api, q, 500, "the answer does not fit its buffer");
    else
        respond_json(api, q, code, w->out, w->size);
}

/* ---- GET ---- */

static struct api_shot shot_take(struct api *api) {
    uint64_t version = view_version(api->view_box);
    if (version != 0 && version != api->view.version) view_read(api->view_box, &api->view);
    bool recovering = version != 0 && api->view.recovery != VIEW_RECOVERED;
    struct lease_look lease = {0};
    if (api->lease) lease_look(&lease, api->lease);
    bool stands_by = api->lease && !lease.is_mine;
    return (struct api_shot){
        .view = &api->view,
        .published = version != 0 && !recovering && !stands_by,
        .recovering = recovering,
        .has_lease = api->lease != NULL,
        .stands_by = stands_by,
        .lease = lease,
        .can_retrain = api->retrain_request != NULL,
        .can_command = api->inbox != NULL,
        .retrain_requested = api->retrain_request && atomic_load(api->retrain_request) != 0,
        .self_test = api->self_test,
        .now_wall_ns = tstamp_wall_ns(),
        .uptime_seconds = (double)(tstamp_monotonic_ns() - api->started_ns) / 1e9,
        .version = api->version,
        .commit = api->commit,
        .trades_path = api->trades_path[0] ? api->trades_path : NULL,
    };
}

/* Value of `name` in a query, data NULL if it is not there. Nothing is decoded: numbers and flags need none. */
static struct net_text query_value(struct net_text query, const char *name) {
    size_t length = strlen(name);
    for (const char *p = query.data, *end = p + query.size; p && p < end;) {
        const char *next = memchr(p, '&', (size_t)(end - p));
        size_t size = (size_t)((next ? next : end) - p);
        if (size > length && memcmp(p, name, length) == 0 && p[length] == '=')
            return (struct net_text){p + length + 1, size - length - 1};
        p = next ? next + 1 : end;
    }
    return (struct net_text){NULL, 0};
}

/* ?limit=N; false if it is there and not a number from 1 to max. */
static bool limit_read(size_t *out, struct net_text query, size_t fallback, size_t max) {
    struct net_text text = query_value(query, "limit");
    *out = fallback;
    if (!text.data) return true;
    size_t value = 0, n = 0;
    for (; n < text.size && text.data[n] >= '0' && text.data[n] <= '9' && n < 9; n++)
        value = value * 10 + (size_t)(text.data[n] - '0');
    *out = value;
    return n > 0 && n == text.size && value >= 1 && value <= max;
}

static bool flag_is_set(struct net_text query, const char *name) {
    struct net_text v = query_value(query, name);
    return (v.size == 1 && v.data[0] == '1') || (v.size == 4 && memcmp(v.data, "true", 4) == 0);
}

static void answer_history(struct api *api, const struct asked *q, struct net_text query,
                           const struct api_shot *shot, struct json_writer *w) {
    bool trades = q->route == ROUTE_TRADES;
    size_t limit, max = trades ? API_TRADES_LIMIT_MAX : API_EQUITY_LIMIT_MAX;
    struct err err = {ST_OK, ""};
    if (!limit_read(&limit, query, trades ? 100 : 500, max)) {
        struct api_refusal refusal = {.code = 400};
        snprintf(refusal.message, sizeof refusal.message, "limit must be a number from 1 to %zu",
                 max);
        respond_refusal(api, q, &refusal, NULL);
        return;
    }
    enum status st =
        trades ? api_render_trades(w, shot, limit, &err) : api_render_equity(w, shot, limit, &err);
    if (st == ST_OK) {
        respond_written(api, q, 200, w);
        return;
    }
    log_error("api", "trade journal cannot be read", "error=\"%s\"", err.text);
    respond_error(api, q, 500, "the trade journal cannot be read: see the log");
}

static void answer_metrics(struct api *api, const struct asked *q, const struct api_shot *shot) {
    size_t size = 0;
    if (api_render_metrics(api->out, sizeof api->out, &size, api->metrics, shot) != ST_OK) {
        respond_error(api, q, 500, "the metrics do not fit their buffer");
        return;
    }
    respond(api, q,
            &(struct answer){.code = 200,
                             .content_type = "text/plain; version=0.0.4; charset=utf-8",
                             .data = api->out,
                             .size = size});
}

static void answer_probe(struct api *api, const struct asked *q, const struct api_shot *shot,
                         struct json_writer *w) {
    bool up = true;
    const char *why = "";
    struct api_health health;
    if (q->route == ROUTE_READY) {
        api_health_judge(&health, shot);
        up = health.ready;
        why = health.not_ready;
    }
    json_write_object_begin(w);
    put_text(w, "status", q->route == ROUTE_LIVE ? "alive" : up ? "ready" : "not ready");
    if (!up) put_text(w, "reason", why);
    json_write_object_end(w);
    respond_written(api, q, up ? 200 : 503, w);
}

/* Behind the route's path. */
static void answer_report(struct api *api, const struct asked *q, struct net_text path) {
    size_t skip = strlen(ROUTES[ROUTE_REPORT].path), size;
    if (!api_report_read(api->out, sizeof api->out, &size,
                         api->reports_dir[0] ? api->reports_dir : NULL, path.data + skip,
                         path.size - skip)) {
        respond_error(api, q, 404, "no such report: /api/reports lists them");
        return;
    }
    respond(api, q,
            &(struct answer){.code = 200,
                             .content_type = "text/html; charset=utf-8",
                             .data = api->out,
                             .size = size});
}

typedef void (*render_fn)(struct json_writer *w, const struct api_shot *shot);

/* Documents that are a function of the view alone; NULL: the route is none of these. */
static render_fn document_of(enum route route) {
    switch ((int)route) {
    case ROUTE_HEALTH:
        return api_render_health;
    case ROUTE_ENSEMBLE:
        return api_render_ensemble;
    case ROUTE_META_STRATEGY:
        return api_render_meta_strategy;
    case ROUTE_RL_SIZING:
        return api_render_rl_sizing;
    case ROUTE_RETRAIN:
        return api_render_retrain;
    case ROUTE_RISK:
        return api_render_risk;
    case ROUTE_POSITIONS:
        return api_render_positions;
    case ROUTE_ORDERS:
        return api_render_orders;
    case ROUTE_SIGNALS:
        return api_render_signals;
    case ROUTE_STATE:
        return api_render_state;
    default:
        return NULL;
    }
}

/* ---- signals ---- */

/* The answer to api->signal. One with explanations is finished by a worker (reasons.h), and answered then. */
static void answer_signal(struct api *api, const struct asked *q) {
    struct api_refusal refusal;
    struct api_shot shot = shot_take(api);
    struct json_writer w;
    bool explained = api->signal.include_reasoning;
    json_writer_init(&w, api->out, sizeof api->out);
    if (!api_signal_answer(&w, &refusal, &api->signal, &shot, explained ? &api->places : NULL)) {
        respond_refusal(api, q, &refusal, NULL);
        return;
    }
    if (!explained || api->places.count == 0 || json_writer_finish(&w) != ST_OK) {
        respond_written(api, q, 200, &w);
        return;
    }
    struct asked *kept = malloc(sizeof *kept);
    if (kept && reasons_add(api->reasons, kept, w.out, w.size, &api->places, shot.view)) {
        *kept = *q;
        net_conn_set(q->conn, kept);
        return;
    }
    free(kept);
    refusal = (struct api_refusal){.code = 503, .retry_after_seconds = 1};
    snprintf(refusal.message, sizeof refusal.message,
             "too many explanations are asked for at once");
    respond_refusal(api, q, &refusal, NULL);
}

void serve_explained(void *context, void *asker, const char *json, size_t size) {
    struct api *api = context;
    struct asked *q = asker;
    if (q->conn) {
        net_conn_set(q->conn, NULL);
        if (json)
            respond_json(api, q, 200, json, size);
        else
            respond_error(api, q, 503, "the explanation was given up");
    }
    free(q);
}

static void answer_get(struct api *api, const struct asked *q, const struct net_request *r) {
    if (q->route >= ROUTE_ASSETS) {
        const struct api_asset *asset = &api->assets[q->route - ROUTE_ASSETS];
        respond(api, q,
                &(struct answer){.code = 200,
                                 .content_type = asset->content_type,
                                 .data = asset->data,
                                 .size = asset->size});
        return;
    }
    struct api_shot shot = shot_take(api);
    struct json_writer w;
    json_writer_init(&w, api->out, sizeof api->out);
    render_fn document = document_of(q->route);
    if (document) {
        document(&w, &shot);
        respond_written(api, q, 200, &w);
    } else if (q->route == ROUTE_LIVE || q->route == ROUTE_READY) {
        answer_probe(api, q, &shot, &w);
    } else if (q->route == ROUTE_METRICS) {
        answer_metrics(api, q, &shot);
    } else if (q->route == ROUTE_REPORTS) {
        api_render_reports(&w, &shot, api->reports_dir[0] ? api->reports_dir : NULL);
        respond_written(api, q, 200, &w);
    } else if (q->route == ROUTE_REPORT) {
        answer_report(api, q, r->path);
    } else if (q->route == ROUTE_AI_SIGNALS) {
        api_signal_all(&api->signal, &shot);
        api->signal.include_reasoning = flag_is_set(r->query, "include_reasoning");
        answer_signal(api, q);
    } else if (q->route == ROUTE_PUSH) {
        respond_error(api, q, 426, "/ws/signals speaks WebSocket: ask with an Upgrade");
    } else {
        ASSERT(q->route == ROUTE_TRADES || q->route == ROUTE_EQUITY);
        answer_history(api, q, r->query, &shot, &w);
    }
}

/* ---- POST ---- */

/* Something retrains, and will look at the flag at the next close. */
static bool retrain_may(struct api_refusal *refusal, const struct api_shot *shot) {
    const struct view *v = shot->view;
    *refusal = (struct api_refusal){.code = 409};
    const char *why = NULL;
    if (!shot->can_retrain || (shot->published && !v->retrain.enabled))
        why = "no retrainer runs: the models stay as they are";
    else if (shot->published && !v->running)
        why = "the run has ended";
    else if (!shot->published)
        *refusal = (struct api_refusal){.code = 503, .retry_after_seconds = 1};
    if (!why && shot->published) return true;
    snprintf(refusal->message, sizeof refusal->message, "%s",
             why ? why : "warming up: nothing published yet");
    return false;
}

static void answer_retrain(struct api *api, const struct asked *q) {
    struct api_shot shot = shot_take(api);
    struct api_refusal refusal;
    if (!retrain_may(&refusal, &shot)) {
        respond_refusal(api, q, &refusal, NULL);
        return;
    }
    const struct view *v = shot.view;
    bool waiting = atomic_exchange(api->retrain_request, 1) != 0;
    log_info("api", "retraining requested", "already=%d", waiting);
    struct json_writer w;
    json_writer_init(&w, api->out, sizeof api->out);
    json_write_object_begin(&w);
    put_text(&w, "status", waiting ? "requested before" : "requested");
    put_text(&w, "starts",
             v->retrain.running ? "at the first close after the run under way"
                                : "at the next close");
    /* Market time; not known while a run is under way. */
    bool is_known = !v->retrain.running && v->bar_interval_ns > 0;
    put_ms(&w, "starts_at",
           is_known ? (v->market_ts_ns / v->bar_interval_ns + 1) * v->bar_interval_ns : 0);
    put_ms(&w, "market_time", v->market_ts_ns);
    json_write_object_end(&w);
    respond_written(api, q, 202, &w);
}

/* A body that says nothing of use is fine, one that is no JSON object is a mistake somewhere. */
static bool body_is_object(struct api_refusal *refusal, struct net_text body) {
    struct json_reader r;
    if (body.size == 0) return true;
    json_reader_init(&r, body.data, body.size);
    bool is_object = json_peek(&r) == JSON_OBJECT;
    json_skip(&r);
    if (json_finish(&r) == ST_OK && is_object) return true;
    *refusal = (struct api_refusal){.code = is_object || r.error ? 400 : 422};
    snprintf(refusal->message, sizeof refusal->message,
             r.error ? "body is not JSON: %s" : "the body must be an object",
             r.error ? r.error : "");
    if (r.error) {
        refusal->line = json_error_line(&r);
        refusal->offset = r.error_offset;
    }
    return false;
}

/* Which request that changes something the route is; COMMAND_BODY_KINDS: none. */
static enum command_body_kind command_of(enum route route) {
    return route == ROUTE_POLICY           ? COMMAND_BODY_POLICY
           : route == ROUTE_EMERGENCY_STOP ? COMMAND_BODY_STOP
           : route == ROUTE_CLOSE_ALL      ? COMMAND_BODY_CLOSE
           : route == ROUTE_BREAKER_RESET  ? COMMAND_BODY_RESET
                                           : COMMAND_BODY_KINDS;
}

/* Handed to the trading thread: 202. It is in force, and on record, once commands_taken has reached its number. */
static void answer_command(struct api *api, const struct asked *q, enum command_body_kind kind,
                           struct net_text body) {
    struct api_refusal refusal;
    struct operator_command command;
    struct api_shot shot = shot_take(api);
    uint64_t number = 0;
    bool taken = api_command_decode(&command, &refusal, kind, body.data, body.size) &&
                 api_command_may(&refusal, &command, &shot);
    if (taken && !inbox_put(api->inbox, &number, &command)) {
        taken = false;
        refusal = (struct api_refusal){.code = 503, .retry_after_seconds = 1};
        snprintf(refusal.message, sizeof refusal.message, "too many commands wait");
    }
    if (!taken) {
        respond_refusal(api, q, &refusal, NULL);
        return;
    }
    log_info("api", "command taken", "key=%s target=%s value=%g by=\"%s\"", command.key,
             command.target, command.value, command.given_by);
    struct json_writer w;
    json_writer_init(&w, api->out, sizeof api->out);
    json_write_object_begin(&w);
    put_text(&w, "status", "accepted");
    put_u64(&w, "number", number);
    put_text(&w, "key", command.key);
    put_text(&w, "target", command.target);
    put_f64(&w, "value", command.value);
    put_text(&w, "by", command.given_by);
    put_ms(&w, "market_time", shot.view->market_ts_ns);
    put_ms(&w, "started", shot.view->started_wall_ns); /* numbers are of this process */
    json_write_object_end(&w);
    respond_written(api, q, 202, &w);
}

static void answer_post(struct api *api, const struct asked *q, const struct net_request *r) {
    struct api_refusal refusal;
    bool has_length =
        net_header(r, "content-length").data || net_header(r, "transfer-encoding").data;
    if (!has_length && q->route == ROUTE_SIGNAL) {
        respond_error(api, q, 411, "Content-Length is required");
    } else if (r->body.size > API_BODY_MAX) {
        respond_error(api, q, 413, "the body may have at most 16384 bytes");
    } else if (!gate_type_is_fine(r)) {
        respond_error(api, q, 415, "Content-Type must be application/json");
    } else if (command_of(q->route) != COMMAND_BODY_KINDS) {
        answer_command(api, q, command_of(q->route), r->body);
    } else if (q->route == ROUTE_RETRAIN) {
        if (body_is_object(&refusal, r->body))
            answer_retrain(api, q);
        else
            respond_refusal(api, q, &refusal, NULL);
    } else if (api_signal_decode(&api->signal, &refusal, r->body.data, r->body.size)) {
        answer_signal(api, q);
    } else {
        respond_refusal(api, q, &refusal, NULL);
    }
}

/* ---- a request ---- */

static bool is_service(int route) {
    return route == ROUTE_HEALTH || route == ROUTE_LIVE || route == ROUTE_READY ||
           route == ROUTE_METRICS || route == ROUTE_PUSH || route >= ROUTE_ASSETS;
}

/* Whether it is about the run, of which nothing is told before it is what it was when the process before ended. The
 * service itself always answers; commands are taken early, and obeyed when the run is there. */
static bool needs_run(enum route route, const struct api_shot *shot) {
    return !is_service((int)route) && (shot->stands_by || command_of(route) == COMMAND_BODY_KINDS);
}

static bool has_run(struct api *api, const struct asked *q) {
    struct api_shot shot = shot_take(api);
    if (!needs_run(q->route, &shot) || shot.published) return true;
    struct api_refusal refusal = {.code = 503, .retry_after_seconds = 1};
    api_waiting_text(refusal.message, &shot);
    respond_refusal(api, q, &refusal, NULL);
    return false;
}

static enum method method_of(const struct net_request *r) {
    switch (r->method) {
    case NET_GET:
        return METHOD_GET;
    case NET_HEAD:
        return METHOD_HEAD;
    case NET_POST:
        return METHOD_POST;
    case NET_PUT:
    case NET_DELETE:
    case NET_OPTIONS:
    case NET_OTHER:
        break;
    }
    return METHOD_OTHER;
}

static enum route route_of(const struct api *api, struct net_text path) {
    for (int i = 0; i < ROUTE_COUNT; i++) {
        const char *known = route_path(api, (enum route)i);
        size_t size = strlen(known);
        if (i == ROUTE_REPORT && path.size > size && memcmp(known, path.data, size) == 0)
            return ROUTE_REPORT;
        if (strlen(known) == path.size && memcmp(known, path.data, path.size) == 0)
            return (enum route)i;
    }
    return ROUTE_NONE;
}

static struct asked asked_begin(struct api *api, struct net_conn *c, const struct net_request *r) {
    http_count_begin(&api->count);
    return (struct asked){.conn = c,
                          .method = method_of(r),
                          .route = route_of(api, r->path),
                          .began_ns = r->received_ns};
}

/* Host, path and token; false: refused. */
static bool may_ask(struct api *api, const struct asked *q, const struct net_request *r,
                    bool can_act) {
    if (!gate_host_is_ours(api->bind, r)) {
        respond_error(api, q, 403, "this Host is not served here");
        return false;
    }
    if (q->route == ROUTE_NONE) {
        respond_error(api, q, 404, "no such path");
        return false;
    }
    if (can_act && !gate_origin_is_ours(r)) {
        respond_error(api, q, 403, "a page of another origin may not ask this");
        return false;
    }
    bool is_open = q->route == ROUTE_LIVE || q->route >= ROUTE_ASSETS;
    if (api->token[0] && !is_open && !gate_token_is_right(api->token, r)) {
        respond_error(api, q, 401, "a bearer token is required");
        return false;
    }
    return true;
}

void serve_request(void *context, struct net_conn *c, const struct net_request *r) {
    struct api *api = context;
    const struct asked q = asked_begin(api, c, r);
    if (!may_ask(api, &q, r, q.method == METHOD_POST)) return;
    bool is_get = q.method == METHOD_GET || q.method == METHOD_HEAD;
    bool gets = q.route >= ROUTE_ASSETS || ROUTES[q.route].get;
    bool posts = q.route < ROUTE_ASSETS && ROUTES[q.route].post;
    if (is_get && gets) {
        if (has_run(api, &q)) answer_get(api, &q, r);
    } else if (q.method == METHOD_POST && posts) {
        if (has_run(api, &q)) answer_post(api, &q, r);
    } else {
        struct api_refusal refusal = {.code = 405};
        const char *allow = gets && posts ? "GET, HEAD, POST" : posts ? "POST" : "GET, HEAD";
        snprintf(refusal.message, sizeof refusal.message, "%s answers %s only",
                 route_path(api, q.route), allow);
        respond_refusal(api, &q, &refusal, allow);
    }
}

/* ---- WebSocket ---- */

bool serve_open(void *context, struct net_conn *c, const struct net_request *r) {
    struct api *api = context;
    struct asked q = asked_begin(api, c, r);
    if (!may_ask(api, &q, r, true)) return false;
    if (q.route != ROUTE_PUSH) {
        respond_error(api, &q, 404, "no WebSocket here: /ws/signals is one");
        return false;
    }
    struct api_shot shot = shot_take(api);
    bool wants_all = flag_is_set(r->query, "all");
    /* What was published before it came is for those who were there. */
    if (shot.published) push_view(&api->push, shot.view, api->out, sizeof api->out);
    if (!push_open(&api->push, c, wants_all, shot.published ? shot.view : NULL)) {
        struct api_refusal refusal = {.code = 503, .retry_after_seconds = 60};
        snprintf(refusal.message, sizeof refusal.message, "%d clients listen already",
                 PUSH_CLIENTS_MAX);
        respond_refusal(api, &q, &refusal, NULL);
        return false;
    }
    http_count_end(&api->count, METHOD_NAMES[q.method], route_path(api, q.route), 101,
                   (double)(tstamp_monotonic_ns() - q.began_ns) / 1e9);
    return true;
}

/* Nothing is expected of a listener; how much it may say is net's to limit. */
void serve_message(void *context, struct net_conn *c, struct net_text text) {
    (void)context;
    (void)c;
    (void)text;
}

void serve_close(void *context, struct net_conn *c) {
    struct api *api = context;
    if (push_close(&api->push, c)) return;
    struct asked *q = net_conn_get(c);
    if (!q) return;
    http_count_end(&api->count, METHOD_NAMES[q->method], route_path(api, q->route), 0, 0);
    q->conn = NULL; /* its explanation is under way: serve_explained frees it */
}

void serve_push(struct api *api) {
    if (api->push.count == 0) return;
    struct api_shot shot = shot_take(api);
    if (shot.published) push_view(&api->push, shot.view, api->out, sizeof api->out);
}

/* ---- counting ---- */

static void declare(struct api *api, const char *method, int route, const int *codes, size_t n) {
    for (size_t i = 0; i < n; i++)
        http_count_declare(&api->count, method, route_path(api, (enum route)route), codes[i]);
}

void serve_counts_declare(struct api *api) {
    static const int signal[] = {200, 400, 404, 413, 415, 422, 503};
    static const int retrain[] = {202, 400, 409, 415, 422, 503};
    static const int command[] = {202, 400, 404, 409, 413, 415, 422, 503};
    static const int push[] = {101, 426, 503}, ready[] = {503};
    http_count_init(&api->count, api->metrics);
    for (int i = 0; i < ROUTE_COUNT; i++) {
        if (i == ROUTE_PUSH) {
            declare(api, "GET", i, push, sizeof push / sizeof push[0]);
            continue;
        }
        if (i >= ROUTE_ASSETS || ROUTES[i].get) {
            http_count_declare(&api->count, "GET", route_path(api, (enum route)i), 200);
            http_count_declare(&api->count, "HEAD", route_path(api, (enum route)i), 200);
        }
        if (i == ROUTE_READY || (!is_service(i) && ROUTES[i].get)) declare(api, "GET", i, ready, 1);
        if (i == ROUTE_SIGNAL) declare(api, "POST", i, signal, sizeof signal / sizeof signal[0]);
        if (command_of((enum route)i) != COMMAND_BODY_KINDS)
            declare(api, "POST", i, command, sizeof command / sizeof command[0]);
        if (i == ROUTE_RETRAIN)
            declare(api, "POST", i, retrain, sizeof retrain / sizeof retrain[0]);
    }
}
