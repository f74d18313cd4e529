/* A client over blocking sockets and a server of its own, for the tests of the API. Include behind cmocka.h. */
#ifndef API_TEST_HTTP_H
#define API_TEST_HTTP_H

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "api/test_view_fixture.h"

enum { REPLY_MAX = 4 << 20 };

struct world {
    struct view_box *box;
    struct api *api;
    uint16_t port;
    char dir[64], trades[128];
};

struct reply {
    int code; /* 0: the connection ended without an answer */
    char *head, *body;
    size_t body_size;
};

/* ---- a client ---- */

static inline int dial_with(uint16_t port, int receive_size) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (receive_size) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_size, sizeof receive_size);
    struct timeval limit = {.tv_sec = 30}; /* a hang fails the test instead of stopping it */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline int dial(uint16_t port) {
    return dial_with(port, 0);
}
static inline int dial_small(uint16_t port) {
    return dial_with(port, 4096);
}

/* The server may close while we are still sending: that is part of the behaviour under test. */
static inline void put(int fd, const void *data, size_t size) {
    const char *p = data;
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0) return;
        p += n;
        size -= (size_t)n;
    }
}

static inline void put_text(int fd, const char *text) {
    put(fd, text, strlen(text));
}

/* Reads exactly one answer (Content-Length says where it ends). */
static inline struct reply take(int fd, bool is_head) {
    struct reply r = {0};
    char *text = malloc(REPLY_MAX);
    assert_non_null(text);
    size_t size = 0, head_size = 0, expected = 0;
    text[0] = '\0';
    while (!head_size || size < head_size + expected) {
        /* Headers byte by byte, so that what is pipelined behind stays in the socket. */
        size_t want = head_size ? head_size + expected - size : 1;
        assert_true(size + want < REPLY_MAX);
        ssize_t n = recv(fd, text + size, want, 0);
        if (n <= 0) break;
        size += (size_t)n;
        text[size] = '\0';
        if (!head_size && size >= 4 && memcmp(text + size - 4, "\r\n\r\n", 4) == 0) {
            head_size = size;
            const char *length = strcasestr(text, "\r\ncontent-length:");
            if (length && !is_head) expected = strtoul(length + 17, NULL, 10);
        }
    }
    r.head = text;
    if (!head_size || size < head_size + expected) return r;
    r.code = atoi(text + 9);
    r.body = malloc(expected + 1);
    assert_non_null(r.body);
    memcpy(r.body, text + head_size, expected);
    r.body[expected] = '\0';
    r.body_size = expected;
    text[head_size] = '\0';
    return r;
}

static inline void reply_free(struct reply *r) {
    free(r->head);
    free(r->body);
}

static inline struct reply ask_raw(uint16_t port, const char *request, size_t size, bool is_head) {
    int fd = dial(port);
    put(fd, request, size);
    struct reply r = take(fd, is_head);
    close(fd);
    return r;
}

static inline struct reply ask(uint16_t port, const char *method, const char *path,
                               const char *headers) {
    char request[4096];
    int n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost:8001\r\n%s\r\n",
                     method, path, headers);
    return ask_raw(port, request, (size_t)n, strcmp(method, "HEAD") == 0);
}
static inline struct reply get(uint16_t port, const char *path) {
    return ask(port, "GET", path, "");
}

static inline struct reply post_to(uint16_t port, const char *path, const char *headers,
                                   const char *body, size_t size) {
    char *request = malloc(size + 512);
    assert_non_null(request);
    int n = snprintf(request, 512,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %zu\r\n\r\n", path,
                     headers, size);
    memcpy(request + n, body, size);
    struct reply r = ask_raw(port, request, (size_t)n + size, false);
    free(request);
    return r;
}
static inline struct reply post_as(uint16_t port, const char *type, const char *body, size_t size) {
    return post_to(port, "/api/ai/signal", type, body, size);
}
static inline struct reply post(uint16_t port, const char *body) {
    return post_as(port, "Content-Type: application/json\r\n", body, strlen(body));
}

static inline json_t *parsed(const struct reply *r) {
    json_error_t error;
    json_t *root = json_loads(r->body ? r->body : "", JSON_REJECT_DUPLICATES, &error);
    if (!root) fail_msg("not JSON (%s): %s", error.text, r->body);
    return root;
}
static inline json_t *at(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    if (!value) fail_msg("no field %s", key);
    return value;
}
static const char *text_at(json_t *object, const char *key) {
    json_t *value = at(object, key);
    if (!json_is_string(value)) fail_msg("%s is not a string", key);
    return json_string_value(value);
}
static inline double number_at(json_t *object, const char *key) {
    json_t *value = at(object, key);
    if (!json_is_number(value)) fail_msg("%s is not a number", key);
    return json_number_value(value);
}

static inline json_t *get_json(uint16_t port, const char *path, int code) {
    struct reply r = get(port, path);
    assert_int_equal(r.code, code);
    json_t *root = parsed(&r);
    reply_free(&r);
    return root;
}

static inline void expect_error(struct reply r, int code, const char *part) {
    if (r.code != code) fail_msg("%d instead of %d: %s", r.code, code, r.body ? r.body : "");
    json_t *root = parsed(&r);
    assert_int_equal((int)number_at(root, "status"), code);
    if (!strstr(text_at(root, "error"), part))
        fail_msg("\"%s\" does not say \"%s\"", text_at(root, "error"), part);
    json_decref(root);
    reply_free(&r);
}

/* ---- a server ---- */

static inline void publish(struct world *w) {
    fixture_fill(view_begin(w->box), tstamp_wall_ns());
    view_publish(w->box);
}

static inline struct api_config config_of(struct world *w) {
    struct api_config c = api_config_defaults();
    c.port = 0;
    c.view_box = w->box;
    c.trades_path = w->trades;
    c.reports_dir = w->dir;
    c.version = "0.1.0";
    c.commit = "0123456789ab";
    return c;
}

static inline void world_open(struct world *w, struct api_config *config) {
    memset(w, 0, sizeof *w);
    strcpy(w->dir, "/tmp/quantum-api-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->trades, sizeof w->trades, "%s/trades.sqlite", w->dir);
    w->box = view_box_create();
    assert_non_null(w->box);
    struct api_config c = config_of(w);
    if (config) {
        c.token = config->token;
        c.bind = config->bind;
        c.retrain_request = config->retrain_request;
        c.inbox = config->inbox;
        c.lease = config->lease;
    }
    struct err err = {ST_OK, ""};
    if (api_start(&w->api, &c, &err) != ST_OK) fail_msg("%s", err.text);
    w->port = api_port(w->api);
    assert_true(w->port > 0);
}

static inline void world_close(struct world *w) {
    api_stop(w->api);
    view_box_destroy(w->box);
    char path[160];
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", w->trades, suffixes[i]);
        unlink(path);
    }
    rmdir(w->dir);
}

static inline void publish_engine(struct world *w) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    view_publish(w->box);
}

static inline int setup(void **state) {
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    world_open(w, NULL);
    publish(w);
    *state = w;
    return 0;
}
static inline int setup_unpublished(void **state) {
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    world_open(w, NULL);
    *state = w;
    return 0;
}
static inline int teardown(void **state) {
    world_close(*state);
    free(*state);
    return 0;
}

#endif
