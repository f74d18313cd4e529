/* The client on sockets: one libuv loop, run only while somebody waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/shell.h"

struct shell {
    uv_loop_t loop;
    uv_timer_t timer;
    struct rest_io *rest;
    struct stream_io *streams;
    struct binance *client;
    bool input; /* something came */
    bool loop_open, timer_open;
};

static int64_t shell_now(void *context) {
    (void)context;
    return tstamp_monotonic_ns();
}

/* The loop looks at its timers first and then sleeps until the next one, also when a timer's callback has brought what we
 * wait for: told to stop, it does not sleep. */
static void heard(struct shell *s) {
    s->input = true;
    uv_stop(&s->loop);
}

static void shell_time(uv_timer_t *timer) {
    heard(timer->data);
}

static void shell_wait(void *context, struct binance *b, int64_t until_ns) {
    struct shell *s = context;
    (void)b;
    int64_t left_ns = until_ns - tstamp_monotonic_ns();
    s->input = false;
    if (left_ns <= 0) {
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        return;
    }
    uv_update_time(&s->loop);
    /* Rounded up, so that what was due is due when we come back. */
    uint64_t ms = left_ns > NS_PER_DAY ? (uint64_t)(NS_PER_DAY / NS_PER_MS)
                                       : (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
    (void)uv_timer_start(&s->timer, shell_time, ms, 0);
    while (!s->input) (void)uv_run(&s->loop, UV_RUN_ONCE);
    (void)uv_timer_stop(&s->timer);
}

static void shell_send(void *context, const struct binance_send *send) {
    binance_rest_send(((struct shell *)context)->rest, send);
}
static void shell_abort(void *context, uint32_t id) {
    binance_rest_abort(((struct shell *)context)->rest, id);
}
static void shell_open(void *context, uint32_t socket, const char *path) {
    binance_streams_open(((struct shell *)context)->streams, socket, path);
}
static void shell_text(void *context, uint32_t socket, const char *text, size_t size) {
    binance_streams_send(((struct shell *)context)->streams, socket, text, size);
}
static void shell_close(void *context, uint32_t socket) {
    binance_streams_shut(((struct shell *)context)->streams, socket);
}

static void shell_destroy(void *context) {
    struct shell *s = context;
    binance_streams_close(s->streams);
    binance_rest_close(s->rest);
    if (s->timer_open) uv_close((uv_handle_t *)&s->timer, NULL);
    /* Closing handles need their turn. */
    while (s->loop_open && uv_run(&s->loop, UV_RUN_DEFAULT) != 0) continue;
    if (s->loop_open) (void)uv_loop_close(&s->loop);
    binance_streams_free(s->streams);
    binance_rest_free(s->rest);
    free(s);
}

/* ---- what comes ---- */

static void got_reply(void *context, uint32_t id, const struct reply *reply) {
    struct shell *s = context;
    heard(s);
    binance_on_reply(s->client, id, reply);
}
static void got_up(void *context, uint32_t socket) {
    struct shell *s = context;
    heard(s);
    binance_on_socket_up(s->client, socket);
}
static void got_text(void *context, uint32_t socket, const char *text, size_t size) {
    struct shell *s = context;
    heard(s);
    binance_on_socket_text(s->client, socket, text, size);
}
static void got_down(void *context, uint32_t socket) {
    struct shell *s = context;
    heard(s);
    binance_on_socket_down(s->client, socket);
}

/* ---- URLs ---- */

enum { URL_SIZE = 512 };

/* The streams that go with a REST URL: the venue's have hosts of their own, an exchange of ours has one port. */
static enum status stream_url(char out[URL_SIZE], const char *rest, struct err *err) {
    static const struct {
        const char *rest, *stream;
    } known[] = {{"https://fapi.binance.com", "wss://fstream.binance.com"},
                 {"https://demo-fapi.binance.com", "wss://demo-fstream.binance.com"},
                 {"https://testnet.binancefuture.com", "wss://fstream.binancefuture.com"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strncmp(rest, known[i].rest, strlen(known[i].rest)) != 0) continue;
        memcpy(out, known[i].stream, strlen(known[i].stream) + 1);
        return ST_OK;
    }
    bool tls = strncmp(rest, "https://", 8) == 0;
    int n = snprintf(out, URL_SIZE, "%s%s", tls ? "wss://" : "ws://", rest + (tls ? 8 : 7));
    if (n < 0 || n >= URL_SIZE) return err_set(err, ST_INVALID, "venue URL is too long");
    return ST_OK;
}

static const char *restrictions_url(const struct binance_options *o) {
    static const char live[] = "https://fapi.binance.com";
    if (o->restrictions_url) return o->restrictions_url;
    return strncmp(o->rest_url, live, sizeof live - 1) == 0 ? "https://api.binance.com" : NULL;
}

static enum status open_shell(struct shell *s, const struct binance_options *o, struct err *err) {
    char url[URL_SIZE];
    enum status st = ST_OK;
    if (!o->stream_url) st = stream_url(url, o->rest_url, err);
    if (st != ST_OK) return st;
    if (uv_loop_init(&s->loop) != 0) return err_set(err, ST_EXTERNAL, "libuv loop");
    s->loop_open = true;
    if (uv_timer_init(&s->loop, &s->timer) != 0) return err_set(err, ST_EXTERNAL, "libuv timer");
    s->timer_open = true;
    s->timer.data = s;
    const struct streams_config streams = {.loop = &s->loop,
                                           .url = o->stream_url ? o->stream_url : url,
                                           .ca_file = o->ca_file,
                                           .context = s,
                                           .on_up = got_up,
                                           .on_text = got_text,
                                           .on_down = got_down};
    st = binance_streams_create(&s->streams, &streams, err);
    if (st != ST_OK) return st;
    struct binance *b = s->client;
    const struct rest_config rest = {.loop = &s->loop,
                                     .urls = {b->options.rest_url, b->options.restrictions_url},
                                     .api_key = b->options.api_key,
                                     .ca_file = b->options.ca_file,
                                     .context = s,
                                     .on_reply = got_reply};
    return binance_rest_create(&s->rest, &rest, err);
}

enum status binance_create(struct binance **out, const struct binance_options *options,
                           struct err *err) {
    struct shell *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "client");
    const struct binance_ports ports = {.context = s,
                                        .now = shell_now,
                                        .wait = shell_wait,
                                        .send = shell_send,
                                        .abort = shell_abort,
                                        .socket_open = shell_open,
                                        .socket_send = shell_text,
                                        .socket_close = shell_close,
                                        .destroy = shell_destroy};
    struct binance_options o = *options;
    if (o.rest_url) o.restrictions_url = restrictions_url(&o);
    enum status st = binance_create_on(&s->client, &o, &ports, err);
    if (st != ST_OK) return st; /* the shell went with it */
    struct binance *b = s->client;
    st = open_shell(s, &b->options, err);
    if (st != ST_OK) {
        binance_destroy(b);
        return st;
    }
    *out = b;
    return ST_OK;
}
