/* libwebsockets' client on the same libuv loop. */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "venue/binance/shell.h"

enum { MESSAGE_MAX = 4 << 20, HOST_SIZE = 256 };

struct connection {
    struct stream_io *streams;
    uint32_t socket;
    struct lws *wsi;
    bool dead; /* closed by us, or told: nothing of it is handed on */
    char *in;
    size_t in_size, in_capacity;
    struct outgoing *out, *out_last;
    struct connection *next;
};
struct outgoing {
    struct outgoing *next;
    size_t size;
    unsigned char bytes[]; /* LWS_PRE, then the text */
};

struct stream_io {
    struct streams_config config;
    struct lws_context *context;
    char host[HOST_SIZE], prefix[HOST_SIZE];
    int port;
    bool tls, gone;
    struct connection *all;
};

static void free_connection(struct connection *c) {
    struct connection **at = &c->streams->all;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    while (c->out) {
        struct outgoing *next = c->out->next;
        free(c->out);
        c->out = next;
    }
    free(c->in);
    free(c);
}

static void went_down(struct connection *c) {
    if (c->dead) return;
    c->dead = true;
    c->streams->config.on_down(c->streams->config.context, c->socket);
}

/* False: cut it off. */
static bool take_piece(struct connection *c, const char *data, size_t size, bool last) {
    if (c->in_size == 0 && last) {
        c->streams->config.on_text(c->streams->config.context, c->socket, data, size);
        return true;
    }
    if (c->in_size + size > MESSAGE_MAX) return false;
    if (c->in_size + size > c->in_capacity) {
        size_t capacity = c->in_capacity ? c->in_capacity : 16384;
        while (capacity < c->in_size + size) capacity *= 2;
        char *grown = realloc(c->in, capacity);
        if (!grown) return false;
        c->in = grown;
        c->in_capacity = capacity;
    }
    memcpy(c->in + c->in_size, data, size);
    c->in_size += size;
    if (!last) return true;
    size = c->in_size;
    c->in_size = 0;
    c->streams->config.on_text(c->streams->config.context, c->socket, c->in, size);
    return true;
}

static int write_next(struct connection *c, struct lws *wsi) {
    struct outgoing *o = c->out;
    if (!o) return 0;
    int n = lws_write(wsi, o->bytes + LWS_PRE, o->size, LWS_WRITE_TEXT);
    if (n < (int)o->size) return -1;
    c->out = o->next;
    if (!c->out) c->out_last = NULL;
    free(o);
    if (c->out) (void)lws_callback_on_writable(wsi);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size) {
    struct connection *c = lws_get_opaque_user_data(wsi);
    (void)user;
    if (!c) return 0;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        c->wsi = wsi;
        if (c->dead) return -1;
        c->streams->config.on_up(c->streams->config.context, c->socket);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE: {
        if (c->dead) return -1;
        bool last = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
        return take_piece(c, in, size, last) ? 0 : -1;
    }
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return c->dead ? -1 : write_next(c, wsi);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
        went_down(c);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        went_down(c);
        lws_set_opaque_user_data(wsi, NULL);
        free_connection(c);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "market", .callback = on_event, .rx_buffer_size = 65536}, {.name = NULL}};
/* A peer that says nothing for so long is asked, and given up. */
static const lws_retry_bo_t idle = {.secs_since_valid_ping = 20, .secs_since_valid_hangup = 30};

static struct connection *find(struct stream_io *s, uint32_t socket) {
    for (struct connection *c = s->all; c; c = c->next)
        if (c->socket == socket && !c->dead) return c;
    return NULL;
}

void binance_streams_open(struct stream_io *s, uint32_t socket, const char *path) {
    struct connection *c = calloc(1, sizeof *c);
    char whole[2 * HOST_SIZE];
    int n = snprintf(whole, sizeof whole, "%s%s", s->prefix, path);
    if (!c || n < 0 || (size_t)n >= sizeof whole) {
        free(c);
        s->config.on_down(s->config.context, socket);
        return;
    }
    c->streams = s;
    c->socket = socket;
    c->next = s->all;
    s->all = c;
    const struct lws_client_connect_info info = {
        .context = s->context,
        .address = s->host,
        .port = s->port,
        .path = whole,
        .host = s->host,
        .protocol = NULL,
        .local_protocol_name = "market",
        .ssl_connection = s->tls ? LCCSCF_USE_SSL : 0,
        .retry_and_idle_policy = &idle,
        .opaque_user_data = c,
        .alpn = "http/1.1",
    };
    struct lws *wsi = lws_client_connect_via_info(&info);
    if (wsi) {
        c->wsi = wsi;
        return;
    }
    /* The connection may be gone together with its wsi already. */
    for (struct connection *left = s->all; left; left = left->next) {
        if (left != c) continue;
        went_down(c);
        free_connection(c);
        return;
    }
}

void binance_streams_send(struct stream_io *s, uint32_t socket, const char *text, size_t size) {
    struct connection *c = find(s, socket);
    if (!c || !c->wsi) return;
    struct outgoing *o = malloc(sizeof *o + LWS_PRE + size);
    if (!o) { /* as if it had gone down: it is opened anew */
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
        return;
    }
    o->next = NULL;
    o->size = size;
    memcpy(o->bytes + LWS_PRE, text, size);
    if (c->out_last)
        c->out_last->next = o;
    else
        c->out = o;
    c->out_last = o;
    (void)lws_callback_on_writable(c->wsi);
}

void binance_streams_shut(struct stream_io *s, uint32_t socket) {
    struct connection *c = find(s, socket);
    if (!c) return;
    c->dead = true;
    if (c->wsi) lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
}

/* ---- life ---- */

static enum status split_url(struct stream_io *s, const char *url, struct err *err) {
    s->tls = strncmp(url, "wss://", 6) == 0;
    const char *host = url + (s->tls ? 6 : 5);
    size_t n = strcspn(host, ":/");
    if (n == 0 || n >= sizeof s->host) return err_set(err, ST_INVALID, "stream URL has no host");
    memcpy(s->host, host, n);
    s->port = s->tls ? 443 : 80;
    const char *rest = host + n;
    if (*rest == ':') {
        char *end;
        long port = strtol(rest + 1, &end, 10);
        if (port < 1 || port > 65535 || end == rest + 1)
            return err_set(err, ST_INVALID, "stream URL has no port of 1 to 65535");
        s->port = (int)port;
        rest = end;
    }
    n = strlen(rest);
    while (n > 0 && rest[n - 1] == '/') n--;
    if (n >= sizeof s->prefix) return err_set(err, ST_INVALID, "stream URL is too long");
    memcpy(s->prefix, rest, n);
    return ST_OK;
}

enum status binance_streams_create(struct stream_io **out, const struct streams_config *config,
                                   struct err *err) {
    struct stream_io *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "streams");
    s->config = *config;
    enum status st = split_url(s, config->url, err);
    if (st != ST_OK) {
        free(s);
        return st;
    }
    void *loops[1] = {config->loop};
    lws_set_log_level(0, NULL);
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .foreign_loops = loops,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .client_ssl_ca_filepath = config->ca_file,
        .gid = -1,
        .uid = -1,
        .fd_limit_per_thread = 256,
    };
    s->context = lws_create_context(&info);
    if (!s->context) {
        free(s);
        return err_set(err, ST_EXTERNAL,
                       "libwebsockets does not start (is its libuv plugin installed?)");
    }
    *out = s;
    return ST_OK;
}

void binance_streams_close(struct stream_io *s) {
    if (!s) return;
    for (struct connection *c = s->all; c; c = c->next) c->dead = true;
    lws_context_destroy(s->context);
}

/* On a loop of somebody else's the library closes its handles first, and frees itself when asked again. */
void binance_streams_free(struct stream_io *s) {
    if (!s) return;
    lws_context_destroy(s->context);
    free(s);
}
