/* What clients say on a stream connection: SUBSCRIBE and the like. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/json.h"
#include "venue/server/stream_internal.h"
#include "venue/server/stream_text.h"

enum { ID_BYTES_MAX = 256, ERROR_BYTES = 256 };

/* Codes of the errors a connection can be told. */
enum { ERROR_PROPERTY = 0, ERROR_VALUE = 1, ERROR_REQUEST = 2, ERROR_JSON = 3 };

struct control {
    struct json_text method, id, params; /* raw; data NULL: not there */
    enum json_type id_type, params_type;
};

/* json_raw gives a string with its quotes, so that an id can be repeated as it came. */
static bool read_control(struct control *out, struct net_text text, uint32_t *error_line,
                         size_t *error_at) {
    struct json_reader r;
    struct json_text key;
    *out = (struct control){0};
    json_reader_init(&r, text.data, text.size);
    if (json_peek(&r) == JSON_OBJECT) {
        json_object_begin(&r);
        while (json_object_next(&r, &key)) {
            if (json_text_is(&key, "method") && json_peek(&r) == JSON_STRING) {
                out->method = json_string(&r);
            } else if (json_text_is(&key, "id")) {
                out->id_type = json_peek(&r);
                out->id = json_raw(&r);
            } else if (json_text_is(&key, "params")) {
                out->params_type = json_peek(&r);
                out->params = json_raw(&r);
            } else {
                json_skip(&r);
            }
        }
    } else {
        json_skip(&r);
    }
    bool good = json_finish(&r) == ST_OK;
    *error_line = good ? 0 : json_error_line(&r);
    *error_at = good ? 0 : r.error_offset;
    return good;
}

static char *put_id(char *p, const struct control *c) {
    if (c->id_type != JSON_STRING && c->id_type != JSON_NUMBER) return PUT(p, "null");
    ASSERT(c->id.data); /* a message that read well */
    return put_n(p, c->id.data, c->id.size);
}

static void answer_error(struct stream_client *c, const struct control *control, int code,
                         const char *message) {
    char text[ID_BYTES_MAX + 2 * ERROR_BYTES];
    char *p = PUT(text, "{\"code\":");
    p = put_i64(p, code);
    p = PUT(p, ",\"msg\":");
    p = put_quoted(p, message);
    p = PUT(p, ",\"id\":");
    p = put_id(p, control);
    *p++ = '}';
    if (!c->sink.send(c->sink.context, text, (size_t)(p - text))) c->gone = true;
}

static void answer(struct stream_client *c, const struct control *control, const char *result) {
    char text[ID_BYTES_MAX + 64];
    char *p = PUT(text, "{\"result\":");
    p = put_text(p, result);
    p = PUT(p, ",\"id\":");
    p = put_id(p, control);
    *p++ = '}';
    if (!c->sink.send(c->sink.context, text, (size_t)(p - text))) c->gone = true;
}

static void answer_list(struct streams *s, struct stream_client *c, const struct control *control) {
    char *text = stream_payload(s, (size_t)c->count * (STREAM_NAME_SIZE + 3) + ID_BYTES_MAX + 64);
    char *p = PUT(text, "{\"result\":[");
    for (uint32_t i = 0; i < c->count; i++) {
        if (i) *p++ = ',';
        *p++ = '"';
        p = put_n(p, c->subscriptions[i].name, c->subscriptions[i].size);
        *p++ = '"';
    }
    p = PUT(p, "],\"id\":");
    p = put_id(p, control);
    *p++ = '}';
    if (!c->sink.send(c->sink.context, text, (size_t)(p - text))) c->gone = true;
}

/* Of params that are an array. */
static void params_begin(struct json_reader *r, const struct control *control) {
    json_reader_init(r, control->params.data, control->params.size);
    json_array_begin(r);
}

/* The next name of a params array. False: at its end, or *good says that it is no name. */
static bool next_name(struct json_reader *r, char name[STREAM_NAME_SIZE], size_t *size,
                      bool *good) {
    struct json_text text;
    if (!json_array_next(r)) return false;
    *good = json_peek(r) == JSON_STRING;
    if (!*good) return false;
    text = json_string(r);
    *good = json_text_copy(name, STREAM_NAME_SIZE, size, &text) == ST_OK &&
            stream_name_is_plain(name, *size);
    return *good;
}

/* All of them or none: the first walk only looks. */
static void subscribe(struct streams *s, struct stream_client *c, const struct control *control,
                      bool on) {
    char name[STREAM_NAME_SIZE];
    struct json_reader r;
    uint32_t fresh = 0;
    size_t size = 0;
    bool good = control->params_type == JSON_ARRAY;
    if (good) params_begin(&r, control);
    while (good && next_name(&r, name, &size, &good)) fresh += !stream_is_subscribed(c, name, size);
    if (!good) {
        answer_error(c, control, ERROR_REQUEST,
                     "Invalid request: params must be an array of stream names");
        return;
    }
    if (on && c->count + fresh > s->options.streams_max) {
        answer_error(c, control, ERROR_REQUEST, "Invalid request: too many streams");
        return;
    }
    answer(c, control, "null"); /* in front of the first message that follows from it */
    params_begin(&r, control);
    while (next_name(&r, name, &size, &good)) {
        if (on)
            (void)stream_subscribe(s, c, name, size,
                                   USER_ALL); /* looked at above: it cannot fail */
        else
            stream_unsubscribe(s, c, name, size);
    }
}

static void set_property(struct stream_client *c, const struct control *control) {
    struct json_reader r;
    bool array = control->params_type == JSON_ARRAY;
    if (array) params_begin(&r, control);
    if (!array || !json_array_next(&r) || json_peek(&r) != JSON_STRING) {
        answer_error(c, control, ERROR_REQUEST, "Invalid request: property name must be a string");
        return;
    }
    struct json_text name = json_string(&r);
    bool set = json_text_is(&control->method, "SET_PROPERTY");
    if (!json_text_is(&name, "combined")) {
        answer_error(c, control, ERROR_PROPERTY, "Unknown property");
        return;
    }
    if (set) {
        enum json_type type = json_array_next(&r) ? json_peek(&r) : JSON_NONE;
        if (type != JSON_TRUE && type != JSON_FALSE) {
            answer_error(c, control, ERROR_VALUE, "Invalid value type: expected Boolean");
            return;
        }
        c->combined = json_bool(&r);
    }
    if (json_array_next(&r)) {
        answer_error(c, control, ERROR_REQUEST, "Invalid request: too many parameters");
        return;
    }
    answer(c, control, set ? "null" : c->combined ? "true" : "false");
}

void streams_message(struct streams *s, struct stream_client *c, struct net_text text,
                     int64_t now_ns) {
    struct control control;
    uint32_t line;
    size_t at;
    if (now_ns > s->now_ns) s->now_ns = now_ns;
    stream_user_flush(s);
    if (!read_control(&control, text, &line, &at)) {
        char message[ERROR_BYTES];
        struct control none = {0};
        snprintf(message, sizeof message, "Invalid JSON: at line %u, byte %zu", (unsigned)line, at);
        answer_error(c, &none, ERROR_JSON, message);
        return;
    }
    bool id_good = control.id_type == JSON_STRING || control.id_type == JSON_NUMBER ||
                   control.id_type == JSON_NULL || control.id_type == JSON_NONE;
    const struct json_text *m = &control.method;
    if (!id_good || control.id.size > ID_BYTES_MAX) {
        control.id_type = JSON_NONE;
        answer_error(c, &control, ERROR_REQUEST,
                     "Invalid request: request ID must be an unsigned integer or a string");
    } else if (!m->data) {
        answer_error(c, &control, ERROR_REQUEST, "Invalid request: missing field `method`");
    } else if (json_text_is(m, "SUBSCRIBE") || json_text_is(m, "UNSUBSCRIBE")) {
        subscribe(s, c, &control, json_text_is(m, "SUBSCRIBE"));
    } else if (json_text_is(m, "LIST_SUBSCRIPTIONS")) {
        answer_list(s, c, &control);
    } else if (json_text_is(m, "SET_PROPERTY") || json_text_is(m, "GET_PROPERTY")) {
        set_property(c, &control);
    } else {
        answer_error(c, &control, ERROR_REQUEST,
                     "Invalid request: unknown variant, expected one of `SUBSCRIBE`, "
                     "`UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`");
    }
}
