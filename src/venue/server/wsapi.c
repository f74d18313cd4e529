/* The WebSocket API: the same calls, asked in a message. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "venue/server/rest_internal.h"

enum { METHOD_SIZE = 48 };

struct message {
    struct json_text id, params; /* raw; size 0 if absent */
    char method[METHOD_SIZE];
    size_t method_size;
};

/* False: not one JSON object. What could be read is kept, so that the answer can carry the id. */
static bool message_read(struct message *m, struct net_text text) {
    struct json_reader r;
    struct json_text key;
    *m = (struct message){0};
    json_reader_init(&r, text.data, text.size);
    if (json_peek(&r) != JSON_OBJECT) return false;
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "id")) {
            m->id = json_raw(&r);
        } else if (json_text_is(&key, "params")) {
            m->params = json_raw(&r);
        } else if (json_text_is(&key, "method") && json_peek(&r) == JSON_STRING) {
            struct json_text method = json_string(&r);
            if (json_text_copy(m->method, sizeof m->method, &m->method_size, &method) != ST_OK)
                m->method_size = 0;
        } else {
            json_skip(&r);
        }
    }
    return json_finish(&r) == ST_OK;
}

/* ---- who asks ---- */

static int32_t signed_params(struct rest_call *c) {
    const struct wire_param *signature = wire_param_find(c->params, "signature");
    size_t size = 0;
    if (!signature || signature->value_size == 0) return rest_missing(c, "signature");
    enum status st =
        wire_params_sorted_text(c->rest->p->signed_text, REST_TEXT_BYTES, &size, c->params);
    ASSERT(st == ST_OK); /* a message is smaller by far */
    return wire_verify(c->key->key, signature->value, signature->value_size,
                       c->rest->p->signed_text, size, NULL, 0)
               ? 0
               : rest_refuse(c, -1022, "");
}

/* By the key it names, or by the session's. *by_session: no signature is due then. */
static int32_t key_of(struct rest_call *c, const struct wsapi_session *session,
                      const struct rest_row *row, bool *by_session) {
    const struct wire_param *key = wire_param_find(c->params, "apiKey");
    *by_session = !key && session->account;
    if (*by_session) return rest_check_key(c, row, session->api_key, strlen(session->api_key));
    if (!key || key->value_size == 0) return rest_refuse(c, -2014, "");
    return rest_check_key(c, row, key->value, key->value_size);
}

static int32_t authenticate(struct rest_call *c, const struct wsapi_session *session,
                            const struct rest_row *row) {
    bool by_session;
    const char *timestamp;
    if (row->security == SECURITY_NONE) return 0;
    int32_t code = key_of(c, session, row, &by_session);
    if (code || row->security == SECURITY_KEY) return code;
    code = rest_text_required(c, "timestamp", &timestamp);
    if (!code && !by_session) code = signed_params(c);
    return code ? code : rest_check_time(c);
}

/* ---- session.* ---- */

static void write_session(struct rest_call *c, const struct wsapi_session *session) {
    json_write_object_begin(c->out);
    json_write_key(c->out, "apiKey");
    if (session->account)
        json_write_string(c->out, session->api_key);
    else
        json_write_null(c->out);
    json_write_key(c->out, "authorizedSince");
    if (session->account)
        json_write_i64(c->out, rest_ms(session->authorized_ns));
    else
        json_write_null(c->out);
    render_key_i64(c->out, "connectedSince", rest_ms(session->connected_ns));
    render_key_bool(c->out, "returnRateLimits", !session->rate_limits_off);
    render_key_i64(c->out, "serverTime", rest_ms(c->now_ns));
    json_write_object_end(c->out);
}

static int32_t logon(struct rest_call *c, struct wsapi_session *session) {
    static const struct rest_row row = {.security = SECURITY_USER};
    const struct wire_param *key = wire_param_find(c->params, "apiKey");
    const char *timestamp;
    if (!key || key->value_size == 0) return rest_missing(c, "apiKey");
    int32_t code = rest_check_key(c, &row, key->value, key->value_size);
    if (code) return code;
    if (wire_key_kind_of(c->key->key) != WIRE_KEY_ED25519) return rest_refuse(c, -4056, "");
    code = rest_text_required(c, "timestamp", &timestamp);
    if (!code) code = signed_params(c);
    if (!code) code = rest_check_time(c);
    if (code) return code;
    session->account = c->account;
    session->authorized_ns = c->now_ns;
    memcpy(session->api_key, c->key->api_key, sizeof session->api_key);
    write_session(c, session);
    return 0;
}

static bool method_is(const struct message *m, const char *name) {
    return strlen(name) == m->method_size && memcmp(m->method, name, m->method_size) == 0;
}

static int32_t session_call(struct rest_call *c, struct wsapi_session *session,
                            const struct message *m) {
    if (method_is(m, "session.logon")) return logon(c, session);
    if (method_is(m, "session.logout")) {
        session->account = 0;
        session->authorized_ns = 0;
        memset(session->api_key, 0, sizeof session->api_key);
    } else if (!method_is(m, "session.status")) {
        return rest_refuse(c, -1020, "");
    }
    write_session(c, session);
    return 0;
}

/* ---- the answer ---- */

static void write_limit(struct json_writer *w, const char *type, const char *interval,
                        int64_t count, uint32_t limit, uint32_t used) {
    json_write_object_begin(w);
    render_key_text(w, "rateLimitType", type);
    render_key_text(w, "interval", interval);
    render_key_i64(w, "intervalNum", count);
    render_key_u64(w, "limit", limit);
    render_key_u64(w, "count", used);
    json_write_object_end(w);
}

static void write_limits(const struct rest_call *c, const struct rest_row *row, const char *peer) {
    const struct limiter *l = c->rest->limiter;
    const struct limiter_config *limits = limiter_config_of(l);
    json_write_key(c->out, "rateLimits");
    json_write_array_begin(c->out);
    if (row && row->orders_10s && c->account) {
        uint32_t in_10s, in_1m;
        limiter_orders(l, c->account, c->now_ns, &in_10s, &in_1m);
        write_limit(c->out, "ORDERS", "SECOND", 10, limits->orders_10s, in_10s);
        write_limit(c->out, "ORDERS", "MINUTE", 1, limits->orders_1m, in_1m);
    }
    write_limit(c->out, "REQUEST_WEIGHT", "MINUTE", 1, limits->weight_1m,
                limiter_weight(l, peer, c->now_ns));
    json_write_array_end(c->out);
}

struct wsapi_call {
    struct rest_call c;
    struct wire_params params;
    struct wsapi_session *session;
    struct message message;
    const struct rest_row *row;
    const char *peer;
    bool read;
    int http;
    int64_t retry_ms;
};

static int32_t perform(struct wsapi_call *w) {
    struct rest_call *c = &w->c;
    const struct message *m = &w->message;
    int32_t code = 0;
    enum status st = ST_OK;
    if (m->params.size)
        st = wire_params_json(&w->params, c->rest->p->params, REST_TEXT_BYTES, m->params.data,
                              m->params.size);
    w->row = m->method_size ? rest_row_find_ws(c->rest, m->method, m->method_size) : NULL;
    w->http = rest_charge(c, w->row, w->peer, &code, &w->retry_ms);
    if (w->http) return code;
    if (!w->read || !m->method_size || st != ST_OK) return rest_refuse(c, -1013, "");
    if (!w->row) return session_call(c, w->session, m);
    code = authenticate(c, w->session, w->row);
    if (code) return code;
    w->http = rest_charge_orders(c, w->row, &code, &w->retry_ms);
    return w->http ? code : w->row->handler(c);
}

static bool limits_wanted(const struct wsapi_call *w) {
    const struct wire_param *p = wire_param_find(&w->params, "returnRateLimits");
    if (p) return strcmp(p->value, "false") != 0;
    return !w->session->rate_limits_off;
}

static void answer_begin(struct json_writer *w, char *buffer, const struct message *m, int status,
                         const char *key) {
    json_writer_init(w, buffer, REST_REPLY_BYTES);
    json_write_object_begin(w);
    json_write_key(w, "id");
    if (m->id.size)
        json_write_raw(w, m->id.data, m->id.size);
    else
        json_write_null(w);
    render_key_i64(w, "status", status);
    json_write_key(w, key);
}

void wsapi_handle(struct rest *r, struct wsapi_session *session, const char *peer,
                  struct net_text message, int64_t now_ns, struct net_text *answer) {
    struct json_writer out;
    struct wsapi_call w = {.session = session, .peer = peer};
    w.params.count = 0;
    w.c = (struct rest_call){.rest = r,
                             .exchange = r->world->exchange,
                             .params = &w.params,
                             .now_ns = now_ns,
                             .out = &out,
                             .json_numbers = true};
    w.read = message_read(&w.message, message);
    answer_begin(&out, r->p->reply, &w.message, 200, "result");
    int32_t code = perform(&w);
    if (code == 0 && out.overflow) code = rest_refuse(&w.c, -1000, "");
    if (code) {
        answer_begin(&out, r->p->reply, &w.message, w.http ? w.http : venue_error_http(code),
                     "error");
        rest_write_error(&w.c, code, &out);
    }
    if (limits_wanted(&w)) write_limits(&w.c, w.row, peer);
    json_write_object_end(&out);
    enum status st = json_writer_finish(&out);
    ASSERT(st == ST_OK);
    *answer = (struct net_text){out.out, out.size};
}

enum rest_class wsapi_class_of(const struct rest *r, struct net_text message) {
    struct message m;
    if (!message_read(&m, message) || !m.method_size) return REST_UNKNOWN;
    return rest_class_of_row(rest_row_find_ws(r, m.method, m.method_size));
}
