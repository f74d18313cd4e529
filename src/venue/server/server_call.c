/* Calls and streams between the sockets and the exchange: latency before, faults around, answers behind. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/rng.h"
#include "venue/server/server_internal.h"

enum { HANDSHAKE_WEIGHT = 5 };

static bool text_is(struct net_text t, const char *word) {
    return t.size == strlen(word) && memcmp(t.data, word, t.size) == 0;
}

static bool text_begins(struct net_text t, const char *word) {
    size_t size = strlen(word);
    return t.size >= size && memcmp(t.data, word, size) == 0;
}

/* ---- clients ---- */

static struct client *client_of(struct server *s, struct net_conn *c, enum client_kind kind) {
    struct client *client = net_conn_get(c);
    if (client) {
        client->kind = kind;
        return client;
    }
    client = calloc(1, sizeof *client);
    if (!client) return NULL;
    client->server = s;
    client->conn = c;
    client->kind = kind;
    strncpy(client->peer, net_conn_peer(c), sizeof client->peer - 1);
    net_conn_set(c, client);
    return client;
}

static void client_release(struct client *client) {
    if (!client->conn && client->jobs == 0) free(client);
}

void server_on_close(void *context, struct net_conn *c) {
    struct server *s = context;
    struct client *client = net_conn_get(c);
    if (!client) return;
    if (client->stream) streams_close(s->streams, client->stream);
    client->stream = NULL;
    client->conn = NULL;
    client_release(client);
}

/* ---- answers ---- */

static void answer_give(struct client *client, const struct fault_reply *a) {
    struct server *s = client->server;
    int class = a->status < 300   ? METRIC_ANSWERED_2XX
                : a->status < 500 ? METRIC_ANSWERED_4XX
                                  : METRIC_ANSWERED_5XX;
    metrics_inc(s->metrics, s->handles[class], 1);
    if (!client->conn) return;
    if (client->kind == CLIENT_WSAPI)
        net_send(client->conn, a->body.data, a->body.size);
    else
        net_respond(client->conn, a->status, a->type, a->headers, a->body.data, a->body.size);
}

/* ---- jobs ---- */

static struct net_text copy_text(char **at, struct net_text t) {
    struct net_text copy = {*at, t.size};
    if (t.size) memcpy(*at, t.data, t.size);
    *at += t.size;
    return copy;
}

static void job_queue(struct server *s, struct job *job) {
    struct job **at = &s->jobs;
    while (*at && (*at)->due_ns <= job->due_ns) at = &(*at)->next;
    job->next = *at;
    *at = job;
    job->client->jobs++;
}

static void on_jobs(uv_timer_t *timer);

static void jobs_arm(struct server *s) {
    if (!s->jobs || s->stopping) return;
    int64_t wait = s->jobs->due_ns - tstamp_monotonic_ns();
    uv_update_time(s->loop); /* else the timer counts from when this turn began */
    uv_timer_start(&s->job_timer, on_jobs, wait <= 0 ? 0 : (uint64_t)((wait + 999999) / NS_PER_MS),
                   0);
}

/* A copy of everything that is borrowed; NULL (and the connection cut) if there is no memory. */
static struct job *job_make(struct client *client, const struct fault_call *call,
                            const struct fault_reply *answer, int64_t delay_ns) {
    size_t headers = answer && answer->headers ? strlen(answer->headers) + 1 : 0;
    size_t size = answer
                      ? headers + answer->body.size
                      : call->path.size + call->query.size + call->body.size + call->api_key.size;
    struct job *job = calloc(1, sizeof *job + size);
    if (!job) {
        if (client->conn) net_reset(client->conn);
        return NULL;
    }
    char *at = job->bytes;
    job->client = client;
    job->due_ns = tstamp_monotonic_ns() + delay_ns;
    job->is_answer = answer != NULL;
    job->call = *call;
    if (answer) {
        job->answer = *answer;
        job->answer.body = copy_text(&at, answer->body);
        if (headers) job->answer.headers = memcpy(at, answer->headers, headers);
    } else {
        job->call.path = copy_text(&at, call->path);
        job->call.query = copy_text(&at, call->query);
        job->call.body = copy_text(&at, call->body);
        job->call.api_key = copy_text(&at, call->api_key);
    }
    job_queue(client->server, job);
    jobs_arm(client->server);
    return job;
}

void server_jobs_drop(struct server *s) {
    while (s->jobs) {
        struct job *job = s->jobs;
        s->jobs = job->next;
        job->client->jobs--;
        client_release(job->client);
        free(job);
    }
}

/* ---- a call ---- */

static void perform(struct client *client, const struct fault_call *call, struct fault_reply *out,
                    struct rest_answer *rest) {
    struct server *s = client->server;
    int64_t now = server_now(s);
    if (client->kind == CLIENT_WSAPI) {
        *out = (struct fault_reply){.status = 200};
        wsapi_handle(&s->rest, &client->session, client->peer, call->body, now, &out->body);
        return;
    }
    struct rest_request r = {.method = call->method,
                             .path = call->path,
                             .query = call->query,
                             .body = call->body,
                             .api_key = call->api_key,
                             .peer = client->peer,
                             .now_ns = now};
    rest_handle(&s->rest, &r, rest);
    *out = (struct fault_reply){
        rest->status, "application/json", rest->headers, {rest->body, rest->body_size}};
}

/* The answer was lost on its way: on a WebSocket nothing comes, an HTTP connection ends. */
static void answer_lose(struct client *client) {
    if (client->conn && client->kind == CLIENT_HTTP) net_hang_up(client->conn);
}

static void call_execute(struct client *client, const struct fault_call *call) {
    struct server *s = client->server;
    struct rest_answer rest;
    struct fault_reply answer;
    fault_begin(&s->act, call);
    perform(client, call, &answer, &rest);
    fault_end(&s->act);
    fault_after(&s->act, call, &answer);
    switch (call->verdict) {
    case CALL_UNKNOWN_DONE:
        if (fault_answer(&s->act, client->kind == CLIENT_WSAPI, call, &answer))
            answer_give(client, &answer);
        break;
    case CALL_LOST:
        answer_lose(client);
        break;
    case CALL_RESET_AFTER:
        if (client->conn) net_reset(client->conn);
        break;
    case CALL_LATE:
        job_make(client, call, &answer, fault_late_ns(&s->act));
        break;
    case CALL_NONE:
    case CALL_DOUBLED:
    case CALL_UNAVAILABLE:
    case CALL_RESET_BEFORE:
    case CALL_LIMIT:
    case CALL_BAN:
    case CALL_CLOCK:
    case CALL_UNKNOWN_NOT_DONE:
        answer_give(client, &answer);
        break;
    }
    server_settle(s);
}

static void on_jobs(uv_timer_t *timer) {
    struct server *s = timer->data;
    int64_t now = tstamp_monotonic_ns();
    while (s->jobs && s->jobs->due_ns <= now) {
        struct job *job = s->jobs;
        struct client *client = job->client;
        s->jobs = job->next;
        if (job->is_answer)
            answer_give(client, &job->answer);
        else
            call_execute(client, &job->call); /* also for one who has gone: it was sent */
        client->jobs--;
        client_release(client);
        free(job);
    }
    jobs_arm(s);
}

/* From the socket: refused by a fault, put off by the latency, or done. */
static void call_begin(struct client *client, struct fault_call *call) {
    struct server *s = client->server;
    struct fault_reply answer;
    (void)server_now(s);
    call->verdict = fault_verdict(&s->act, call);
    if (call->verdict != CALL_NONE && call->verdict <= CALL_LAST_BEFORE) {
        if (fault_answer(&s->act, client->kind == CLIENT_WSAPI, call, &answer))
            answer_give(client, &answer);
        else
            net_reset(client->conn);
        return;
    }
    int64_t delay = s->options.latency_ns;
    if (s->options.jitter_ns)
        delay += (int64_t)rng_below(&s->latency_rng, (uint64_t)s->options.jitter_ns + 1);
    bool is_signed = call->kind == REST_READ || call->kind == REST_TRADE;
    if (delay && is_signed)
        job_make(client, call, NULL, delay);
    else
        call_execute(client, call);
}

void server_on_request(void *context, struct net_conn *c, const struct net_request *r) {
    struct server *s = context;
    struct client *client = client_of(s, c, CLIENT_HTTP);
    if (!client) {
        net_reset(c);
        return;
    }
    struct fault_call call = {.method = r->method,
                              .path = r->path,
                              .query = r->query,
                              .body = r->body,
                              .api_key = net_header(r, "X-MBX-APIKEY"),
                              .kind = rest_class_of(&s->rest, r->method, r->path),
                              .algo =
                                  r->method == NET_POST && text_is(r->path, "/fapi/v1/algoOrder")};
    call_begin(client, &call);
    metrics_observe(s->metrics, s->handles[METRIC_LATENCY],
                    (double)(tstamp_monotonic_ns() - r->received_ns) / 1e9);
}

/* ---- WebSockets ---- */

static bool sink_framed(void *context, const void *frame, size_t size) {
    struct client *client = context;
    return client->conn && net_send_framed(client->conn, frame, size);
}

static bool sink_text(void *context, const char *text, size_t size) {
    struct client *client = context;
    return client->conn && net_send(client->conn, text, size);
}

static void sink_shut(void *context, int code) {
    struct client *client = context;
    if (client->conn) net_shut(client->conn, code);
}

static bool query_says(struct net_text query, const char *word) {
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= query.size; i++)
        if ((i == 0 || query.data[i - 1] == '&') && memcmp(query.data + i, word, size) == 0 &&
            (i + size == query.size || query.data[i + size] == '&'))
            return true;
    return false;
}

static bool wsapi_open(struct server *s, struct net_conn *c, const struct net_request *r) {
    int64_t now = server_now(s), retry_ms = 0;
    static const char refused[] = "{\"code\":-1003,\"msg\":\"Too many requests.\"}";
    int http =
        limiter_charge(s->limiter, net_conn_peer(c), POOL_WEIGHT, HANDSHAKE_WEIGHT, now, &retry_ms);
    if (http && s->rest.options.limits_enforced) {
        net_respond(c, http, "application/json", NULL, refused, sizeof refused - 1);
        return false;
    }
    struct client *client = client_of(s, c, CLIENT_WSAPI);
    if (!client) return false;
    client->session.connected_ns = now;
    client->session.rate_limits_off = query_says(r->query, "returnRateLimits=false");
    net_rate_set(c, 0); /* its messages are limited by their weight */
    return true;
}

static bool not_found(struct net_conn *c) {
    static const char body[] = "{\"code\":-5000,\"msg\":\"No such stream path.\"}";
    net_respond(c, 404, "application/json", NULL, body, sizeof body - 1);
    return false;
}

bool server_on_open(void *context, struct net_conn *c, const struct net_request *r) {
    struct server *s = context;
    if (s->act.state.maintenance_ns > server_now(s)) {
        net_respond(c, 503, "text/plain", NULL, "Service Unavailable.", 20);
        return false;
    }
    if (text_begins(r->path, "/ws-fapi")) {
        bool whole = text_is(r->path, "/ws-fapi/v1") || text_is(r->path, "/ws-fapi/v1/");
        return whole ? wsapi_open(s, c, r) : not_found(c);
    }
    struct client *client = client_of(s, c, CLIENT_STREAM);
    if (!client) return false;
    struct streams_sink sink = {client, sink_framed, sink_text, sink_shut};
    client->stream = streams_open(s->streams, r->path, r->query, &sink, server_now(s));
    return client->stream ? true : not_found(c);
}

void server_on_message(void *context, struct net_conn *c, struct net_text text) {
    struct server *s = context;
    struct client *client = net_conn_get(c);
    ASSERT(client != NULL);
    if (client->kind == CLIENT_STREAM) {
        streams_message(s->streams, client->stream, text, server_now(s));
        return;
    }
    struct fault_call call = {.body = text, .kind = wsapi_class_of(&s->rest, text)};
    call_begin(client, &call);
}
