/* Streams over a real world, and sockets that write down what they are sent. For tests. */
#ifndef VENUE_SERVER_TEST_STREAMS_H
#define VENUE_SERVER_TEST_STREAMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>

#include "venue/server/streams.h"
#include "venue/server/test_world.h"

struct stage {
    struct test_setup setup;
    struct world *w;
    struct streams *s;
    int64_t
        now_ns; /* the server's clock: a world where nothing is due keeps the time of its last input */
};

static inline void stage_event(void *context, const struct exchange_event *e) {
    struct stage *t = context;
    streams_event(t->s, e);
}

/* pure: nobody but the test trades, and no market moves. */
static inline void stage_open(struct stage *t, bool pure, struct streams_options options) {
    struct err err = {0};
    test_setup(&t->setup, NULL);
    if (pure) t->setup.options.market.source = MARKET_PURE;
    t->setup.options.market.trades_per_s = 4;
    assert_int_equal(world_open(&t->w, &t->setup.options, &err), ST_OK);
    assert_int_equal(streams_create(&t->s, t->w, &options, &err), ST_OK);
    t->now_ns = TEST_START_NS;
    t->w->on_event = stage_event;
    t->w->on_event_context = t;
}

static inline void stage_close(struct stage *t) {
    streams_destroy(t->s);
    assert_int_equal(world_close(t->w, NULL), ST_OK);
}

static inline void stage_until(struct stage *t, int64_t now_ns) {
    t->now_ns = now_ns;
    world_advance(t->w, now_ns);
    streams_time(t->s, now_ns);
}

/* In steps of 10 ms, as a server would. */
static inline void stage_run(struct stage *t, int64_t ns) {
    int64_t until = t->now_ns + ns;
    for (int64_t now = t->now_ns; now < until;) {
        now += 10 * NS_PER_MS;
        stage_until(t, now < until ? now : until);
    }
}

static inline struct exchange_reply stage_do(struct stage *t, struct exchange_input in) {
    struct exchange_reply reply;
    world_do(t->w, &in, t->now_ns, &reply);
    return reply;
}

/* ---- sockets ---- */

struct sock {
    struct streams *s;
    struct stream_client *c;
    json_t *messages; /* array of what came */
    size_t next;      /* first not taken */
    bool full;        /* takes nothing more */
    bool closes;      /* closes itself inside the next message */
};

static inline bool sock_text(struct sock *k, const char *text, size_t size) {
    json_error_t error;
    if (k->full) return false;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!value) print_error("%.*s: %s\n", (int)size, text, error.text);
    assert_non_null(value);
    json_array_append_new(k->messages, value);
    if (k->closes) {
        streams_close(k->s, k->c);
        k->c = NULL;
        return false;
    }
    return true;
}

static inline bool sock_send(void *context, const char *text, size_t size) {
    return sock_text(context, text, size);
}

/* One whole text frame of a server, not masked, its length in the shortest form. */
static inline bool sock_framed(void *context, const void *frame, size_t size) {
    const uint8_t *p = frame;
    assert_true(size >= 2 && p[0] == 0x81 && (p[1] & 0x80) == 0);
    size_t n = p[1], head = 2;
    if (n == 126) {
        n = (size_t)p[2] << 8 | p[3];
        head = 4;
        assert_true(n >= 126);
    } else if (n == 127) {
        n = 0;
        for (int i = 2; i < 10; i++) n = n << 8 | p[i];
        head = 10;
        assert_true(n > 0xffff);
    }
    assert_int_equal(head + n, size);
    return sock_text(context, (const char *)p + head, n);
}

static inline void sock_shut(void *context, int code) {
    (void)context;
    (void)code;
}

static inline struct net_text text_of(const char *text) {
    return (struct net_text){text, strlen(text)};
}

/* False: refused. */
static inline bool sock_open(struct sock *k, struct stage *t, const char *path, const char *query) {
    *k = (struct sock){.s = t->s, .messages = json_array()};
    struct streams_sink sink = {k, sock_framed, sock_send, sock_shut};
    k->c = streams_open(t->s, text_of(path), text_of(query), &sink, t->now_ns);
    return k->c != NULL;
}

static inline void sock_close(struct sock *k) {
    if (k->c) streams_close(k->s, k->c);
    json_decref(k->messages);
    k->messages = NULL;
    k->c = NULL;
}

static inline void sock_say(struct sock *k, const char *text) {
    streams_message(k->s, k->c, text_of(text), 0);
}

static inline size_t sock_waiting(const struct sock *k) {
    return json_array_size(k->messages) - k->next;
}

/* Borrowed. NULL: nothing is there. */
static inline json_t *sock_take(struct sock *k) {
    return sock_waiting(k) ? json_array_get(k->messages, k->next++) : NULL;
}

static inline void sock_drain(struct sock *k) {
    k->next = json_array_size(k->messages);
}

/* ---- looking into messages ---- */

static inline const char *text_at(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v)) print_error("no text at \"%s\"\n", key);
    assert_true(json_is_string(v));
    return json_string_value(v);
}

static inline int64_t int_at(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v)) print_error("no integer at \"%s\"\n", key);
    assert_true(json_is_integer(v));
    return json_integer_value(v);
}

static inline bool bool_at(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_boolean(v)) print_error("no boolean at \"%s\"\n", key);
    assert_true(json_is_boolean(v));
    return json_is_true(v);
}

static inline int64_t e8_of(const char *text) {
    int64_t e8 = 0;
    assert_int_equal(fx_parse(&e8, text, strlen(text)), ST_OK);
    return e8;
}

static inline int64_t e8_at(const json_t *o, const char *key) {
    return e8_of(text_at(o, key));
}

/* The object's keys are exactly these, in whatever order. */
static inline void keys_are(const json_t *o, const char *keys) {
    char copy[512], *save = NULL;
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", keys);
    for (char *key = strtok_r(copy, " ", &save); key; key = strtok_r(NULL, " ", &save)) {
        if (!json_object_get(o, key)) print_error("no \"%s\"\n", key);
        assert_non_null(json_object_get(o, key));
        count++;
    }
    assert_int_equal(json_object_size(o), count);
}

static inline void event_is(const json_t *o, const char *event) {
    assert_non_null(o);
    assert_string_equal(text_at(o, "e"), event);
}
#endif
