/* The life of the server: configuration, port, loop and thread. Everything else is on that thread (serve.c); api_start and
 * api_stop only make and end it. */
#include "api/api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/serve.h"
#include "base/assert.h"
#include "base/log.h"

enum {
    CONNECTIONS_MAX = 512,
    PUSH_EVERY_MS = 20, /* how often the view is looked at while somebody listens */
};

struct api_config api_config_defaults(void) {
    return (struct api_config){.bind = "127.0.0.1", .port = API_PORT_DEFAULT};
}

uint16_t api_port(const struct api *api) {
    return api->port;
}

/* ---- the port ---- */

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
    api->retrain_request = c->retrain_request;
    api->inbox = c->inbox;
    api->lease = c->lease;
    enum status st = text_take(api->bind, sizeof api->bind, bind_to, "bind address", err);
    if (st == ST_OK && c->token && strlen(c->token) >= SERVE_TOKEN_SIZE)
        st = err_set(err, ST_RANGE, "api token is longer than %d characters", SERVE_TOKEN_SIZE - 1);
    if (st == ST_OK) st = text_take(api->token, sizeof api->token, c->token, "token", err);
    if (st == ST_OK) st = text_take(api->version, sizeof api->version, c->version, "version", err);
    if (st == ST_OK) st = text_take(api->commit, sizeof api->commit, c->commit, "commit", err);
    if (st == ST_OK)
        st = text_take(api->trades_path, sizeof api->trades_path, c->trades_path, "trades path",
                       err);
    if (st == ST_OK)
        st = text_take(api->reports_dir, sizeof api->reports_dir, c->reports_dir, "reports folder",
                       err);
    return st;
}

static struct net_limits limits(void) {
    struct net_limits l = net_limits_defaults();
    l.connections_max = CONNECTIONS_MAX;
    l.header_bytes_max = 8 * 1024;
    l.body_bytes_max =
        4 * API_BODY_MAX; /* above ours, so that what is a little too long is told so in JSON */
    l.message_bytes_max = 1024;
    l.messages_per_s_max = 10;
    l.backlog_bytes_max =
        8 * 1024 * 1024; /* three closes of 512 symbols: whoever is further behind is cut */
    l.request_ms_max = 20 * 1000;
    l.idle_ms_max = 30 * 1000;
    l.socket_life_ms = 0;
    return l;
}

/* ---- the loop ---- */

static void on_timer(uv_timer_t *timer) {
    serve_push(timer->data);
}

static void on_wake(uv_async_t *wake) {
    struct api *api = wake->data;
    if (!atomic_load(&api->stop) || uv_is_closing((uv_handle_t *)wake)) return;
    reasons_stop(api->reasons);
    net_close(api->net);
    uv_close((uv_handle_t *)&api->timer, NULL);
    uv_close((uv_handle_t *)wake, NULL);
}

static void *service(void *argument) {
    struct api *api = argument;
    uv_run(&api->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* Everything that can fail before there is a handle to close. */
static enum status loop_open(struct api *api, uint16_t port, struct err *err) {
    struct sockaddr_storage address;
    socklen_t address_size = 0;
    enum status st = address_parse(&address, &address_size, api->bind, port, err);
    if (st == ST_OK) st = port_probe(&address, address_size, api, port, err);
    if (st != ST_OK) return st;
    if (uv_loop_init(&api->loop)) return err_set(err, ST_EXTERNAL, "api: no event loop");
    api->has_loop = true;
    api->reasons = reasons_create(&api->loop, serve_explained, api);
    if (!api->reasons) return err_set(err, ST_NO_MEMORY, "api: explanations");
    struct net_options options = {
        .host = api->bind,
        .port = port,
        .limits = limits(),
        .handlers = {api, serve_request, serve_open, serve_message, serve_close}};
    st = net_open(&api->net, &api->loop, &options, err);
    if (st != ST_OK) return err_wrap(err, st, "api");
    api->port = net_port(api->net);
    int failed = uv_async_init(&api->loop, &api->wake, on_wake);
    failed |= uv_timer_init(&api->loop, &api->timer);
    api->wake.data = api->timer.data = api;
    failed |= uv_timer_start(&api->timer, on_timer, PUSH_EVERY_MS, PUSH_EVERY_MS);
    ASSERT(failed == 0); /* an event descriptor at most, and the loop has its own already */
    return ST_OK;
}

static void api_free(struct api *api) {
    if (api->net && atomic_load(&api->stop)) api->net = NULL; /* the loop has freed it */
    if (api->net) { /* the thread never ran: its handles are closed here */
        atomic_store(&api->stop, true);
        on_wake(&api->wake);
        uv_run(&api->loop, UV_RUN_DEFAULT);
    }
    reasons_destroy(api->reasons);
    if (api->has_loop) {
        int busy = uv_loop_close(&api->loop);
        ASSERT(busy == 0);
    }
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

/* Whether the engine's parts give their known answers, in this process and build. */
static enum status self_test(struct api *api, struct err *err) {
    struct engine_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch) return err_set(err, ST_NO_MEMORY, "api: %zu bytes", sizeof *scratch);
    api->self_test = engine_self_test(scratch);
    free(scratch);
    if (api->self_test) log_error("api", "self-test failed", "parts=%u", api->self_test);
    return ST_OK;
}

enum status api_start(struct api **out, const struct api_config *config, struct err *err) {
    struct api *api = calloc(1, sizeof *api);
    if (!api) return err_set(err, ST_NO_MEMORY, "api: %zu bytes", sizeof *api);
    enum status st = config_take(api, config, err);
    if (st == ST_OK) st = self_test(api, err);
    if (st == ST_OK) {
        api->started_ns = tstamp_monotonic_ns();
        for (int i = 0; i < API_ASSET_COUNT; i++) api_asset_get(&api->assets[i], i);
        api->metrics_own = !config->metrics;
        api->metrics = config->metrics ? config->metrics : metrics_create();
        if (!api->metrics) {
            api->metrics_own = false;
            st = err_set(err, ST_NO_MEMORY, "api metrics");
        }
    }
    if (st == ST_OK) st = loop_open(api, config->port, err);
    if (st == ST_OK) {
        serve_counts_declare(api);
        if (thread_start(api)) st = err_errno(err, ST_EXTERNAL, "api thread");
    }
    if (st != ST_OK) {
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
    uv_async_send(&api->wake);
    pthread_join(api->thread, NULL);
    api_free(api);
}
