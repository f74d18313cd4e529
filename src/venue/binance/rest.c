/* libcurl's multi interface on libuv: connections are kept, HTTP/2 is used where the venue offers it.
 *
 * libcurl sends a request again by itself when a kept connection turns out to be dead before the first byte of the
 * answer. An order must not be sent twice, so what is not repeatable goes as a body that cannot be rewound: libcurl then
 * gives up (CURLE_SEND_FAIL_REWIND) as soon as any of the body has left, and the outcome is unknown, as it is. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "venue/binance/shell.h"

enum { BODY_MAX = 64 << 20, URL_SIZE = 2048, CONNECT_MS = 4000 };

struct transfer {
    struct rest_io *rest;
    CURL *easy;
    uint32_t id; /* 0: free */
    char *buffer;
    size_t size, capacity;
    char upload[URL_SIZE];
    size_t upload_size, upload_at;
    bool too_large;
    struct reply reply;
};

/* A socket libcurl wants watched. */
struct watch {
    uv_poll_t poll;
    curl_socket_t socket;
    struct rest_io *rest;
};

struct rest_io {
    struct rest_config config;
    CURLM *multi;
    uv_timer_t timer;
    struct curl_slist *plain, *with_key;
    struct transfer transfers[REQUESTS_IN_FLIGHT_MAX];
    bool closing;
};

/* ---- libcurl asks for sockets and time ---- */

static void transfers_finished(struct rest_io *r);

static void on_socket(uv_poll_t *poll, int status, int events) {
    struct watch *w = poll->data;
    struct rest_io *r = w->rest;
    int flags = 0, running;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    else
        flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    (void)curl_multi_socket_action(r->multi, w->socket, flags, &running);
    transfers_finished(r);
}

static void on_time(uv_timer_t *timer) {
    struct rest_io *r = timer->data;
    int running;
    (void)curl_multi_socket_action(r->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    transfers_finished(r);
}

static void free_watch(uv_handle_t *handle) {
    free(handle->data);
}

static int socket_wanted(CURL *easy, curl_socket_t socket, int what, void *context, void *data) {
    struct rest_io *r = context;
    struct watch *w = data;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            (void)uv_poll_stop(&w->poll);
            (void)curl_multi_assign(r->multi, socket, NULL);
            uv_close((uv_handle_t *)&w->poll, free_watch);
        }
        return 0;
    }
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w) return -1;
        w->rest = r;
        w->socket = socket;
        if (uv_poll_init_socket(r->config.loop, &w->poll, socket) != 0) {
            free(w);
            return -1;
        }
        w->poll.data = w;
        (void)curl_multi_assign(r->multi, socket, w);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&w->poll, events, on_socket) == 0 ? 0 : -1;
}

static int time_wanted(CURLM *multi, long timeout_ms, void *context) {
    struct rest_io *r = context;
    (void)multi;
    if (r->closing) return 0;
    if (timeout_ms < 0) return uv_timer_stop(&r->timer);
    return uv_timer_start(&r->timer, on_time, (uint64_t)timeout_ms, 0);
}

/* ---- what comes ---- */

static size_t take_body(char *data, size_t one, size_t size, void *context) {
    struct transfer *t = context;
    (void)one;
    if (t->size + size > BODY_MAX) {
        t->too_large = true;
        return 0;
    }
    if (t->size + size > t->capacity) {
        size_t capacity = t->capacity ? t->capacity : 16384;
        while (capacity < t->size + size) capacity *= 2;
        char *grown = realloc(t->buffer, capacity);
        if (!grown) return 0;
        t->buffer = grown;
        t->capacity = capacity;
    }
    memcpy(t->buffer + t->size, data, size);
    t->size += size;
    return size;
}

/* The number behind "name:", -1 if the line is another header or holds none. */
static int64_t header_number(const char *line, size_t size, const char *name) {
    size_t n = strlen(name), at = n + 1;
    int64_t value = 0;
    if (size <= at || line[n] != ':' || strncasecmp(line, name, n) != 0) return -1;
    while (at < size && line[at] == ' ') at++;
    if (at == size || line[at] < '0' || line[at] > '9') return -1;
    for (; at < size && line[at] >= '0' && line[at] <= '9' && value < INT64_MAX / 100; at++)
        value = value * 10 + (line[at] - '0');
    return value;
}

static size_t take_header(char *line, size_t one, size_t size, void *context) {
    struct transfer *t = context;
    int64_t value;
    (void)one;
    if ((value = header_number(line, size, "x-mbx-used-weight-1m")) >= 0)
        t->reply.weight_1m = value;
    else if ((value = header_number(line, size, "x-mbx-order-count-10s")) >= 0)
        t->reply.orders_10s = value;
    else if ((value = header_number(line, size, "x-mbx-order-count-1m")) >= 0)
        t->reply.orders_1m = value;
    else if ((value = header_number(line, size, "retry-after")) >= 0)
        t->reply.retry_after_s = value;
    return size;
}

static size_t give_upload(char *out, size_t one, size_t room, void *context) {
    struct transfer *t = context;
    size_t left = t->upload_size - t->upload_at;
    if (left > one * room) left = one * room;
    memcpy(out, t->upload + t->upload_at, left);
    t->upload_at += left;
    return left;
}

static int refuse_rewind(void *context, curl_off_t offset, int origin) {
    struct transfer *t = context;
    (void)offset;
    (void)origin;
    /* From the start, before anything left, is no repetition. */
    if (t->upload_at == 0) return CURL_SEEKFUNC_OK;
    return CURL_SEEKFUNC_FAIL;
}

/* Whether the venue cannot have seen the request. */
static enum reply_kind kind_of(CURL *easy, CURLcode code) {
    double ready_s = 0;
    switch (code) {
    case CURLE_OK:
        return REPLY_HTTP;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return REPLY_NOT_SENT;
    case CURLE_OPERATION_TIMEDOUT:
        (void)curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME, &ready_s);
        return ready_s > 0 ? REPLY_LOST : REPLY_NOT_SENT;
    default:
        return REPLY_LOST;
    }
}

static void transfers_finished(struct rest_io *r) {
    CURLMsg *message;
    int left;
    if (r->closing) return;
    while ((message = curl_multi_info_read(r->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct transfer *t = NULL;
        long http = 0;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http);
        t->reply.kind = t->too_large ? REPLY_LOST : kind_of(easy, code);
        t->reply.http = (int)http;
        t->reply.body = t->buffer ? t->buffer : "";
        t->reply.size = t->size;
        (void)curl_multi_remove_handle(r->multi, easy);
        uint32_t id = t->id;
        t->id = 0;
        r->config.on_reply(r->config.context, id, &t->reply);
    }
}

/* ---- what goes ---- */

static bool set_easy(struct rest_io *r, struct transfer *t) {
    CURL *e = t->easy;
    curl_easy_reset(e);
    bool ok = curl_easy_setopt(e, CURLOPT_PRIVATE, t) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_WRITEDATA, t) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_HEADERDATA, t) == CURLE_OK;
    if (ok && r->config.ca_file)
        ok = curl_easy_setopt(e, CURLOPT_CAINFO, r->config.ca_file) == CURLE_OK;
    return ok;
}

static bool set_request(struct rest_io *r, struct transfer *t, const struct binance_send *s) {
    static const char *const methods[] = {NULL, "GET", "POST", "PUT", "DELETE"};
    CURL *e = t->easy;
    char url[URL_SIZE];
    const char *base = r->config.urls[s->host], *query = strchr(s->target, '?');
    bool post = s->method == HTTP_POST;
    size_t shown = post && query ? (size_t)(query - s->target) : strlen(s->target);
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') n--;
    if (n + shown >= sizeof url) return false;
    memcpy(url, base, n);
    memcpy(url + n, s->target, shown);
    url[n + shown] = '\0';
    t->upload_size = t->upload_at = 0;
    if (post && query) {
        t->upload_size = strlen(query + 1);
        if (t->upload_size > sizeof t->upload) return false;
        memcpy(t->upload, query + 1, t->upload_size);
    }
    bool ok =
        curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, s->with_key ? r->with_key : r->plain) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(s->within_ns / NS_PER_MS) + 500) == CURLE_OK;
    explicit_bzero(url, sizeof url);
    if (!post)
        return ok && curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, methods[s->method]) == CURLE_OK;
    return ok && curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->upload_size) ==
               CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_READFUNCTION, give_upload) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_READDATA, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, refuse_rewind) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_SEEKDATA, t) == CURLE_OK;
}

void binance_rest_send(struct rest_io *r, const struct binance_send *s) {
    static const struct reply not_sent = {.kind = REPLY_NOT_SENT,
                                          .body = "",
                                          .weight_1m = -1,
                                          .orders_10s = -1,
                                          .orders_1m = -1,
                                          .retry_after_s = -1};
    uint32_t at = 0;
    while (at < REQUESTS_IN_FLIGHT_MAX && r->transfers[at].id) at++;
    ASSERT(at < REQUESTS_IN_FLIGHT_MAX); /* the queue never has more on their way */
    struct transfer *t = &r->transfers[at];
    t->reply = not_sent;
    t->size = 0;
    t->too_large = false;
    if (!set_easy(r, t) || !set_request(r, t, s) ||
        curl_multi_add_handle(r->multi, t->easy) != CURLM_OK) {
        r->config.on_reply(r->config.context, s->id, &not_sent);
        return;
    }
    t->id = s->id;
}

void binance_rest_abort(struct rest_io *r, uint32_t id) {
    for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++) {
        struct transfer *t = &r->transfers[i];
        if (t->id != id) continue;
        (void)curl_multi_remove_handle(r->multi, t->easy);
        t->id = 0;
        return;
    }
}

/* ---- life ---- */

static bool open_handles(struct rest_io *r) {
    char line[512];
    int n = snprintf(line, sizeof line, "X-MBX-APIKEY: %s", r->config.api_key);
    if (n < 0 || (size_t)n >= sizeof line) return false;
    /* No "Expect": orders do not wait for a leave to be sent. */
    r->plain = curl_slist_append(NULL, "Expect:");
    r->with_key = curl_slist_append(NULL, "Expect:");
    struct curl_slist *longer = r->with_key ? curl_slist_append(r->with_key, line) : NULL;
    explicit_bzero(line, sizeof line);
    if (!r->plain || !longer) return false;
    for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++) {
        r->transfers[i].rest = r;
        r->transfers[i].easy = curl_easy_init();
        if (!r->transfers[i].easy) return false;
    }
    r->multi = curl_multi_init();
    return r->multi &&
           curl_multi_setopt(r->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
           curl_multi_setopt(r->multi, CURLMOPT_SOCKETDATA, r) == CURLM_OK &&
           curl_multi_setopt(r->multi, CURLMOPT_TIMERFUNCTION, time_wanted) == CURLM_OK &&
           curl_multi_setopt(r->multi, CURLMOPT_TIMERDATA, r) == CURLM_OK &&
           curl_multi_setopt(r->multi, CURLMOPT_MAXCONNECTS, (long)REQUESTS_IN_FLIGHT_MAX) ==
               CURLM_OK;
}

enum status binance_rest_create(struct rest_io **out, const struct rest_config *config,
                                struct err *err) {
    /* Counted by libcurl; nothing undoes it, as others in the process may use it. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ST_EXTERNAL, "libcurl does not start");
    struct rest_io *r = calloc(1, sizeof *r);
    if (!r) return err_set(err, ST_NO_MEMORY, "REST client");
    r->config = *config;
    if (uv_timer_init(config->loop, &r->timer) != 0) {
        free(r);
        return err_set(err, ST_EXTERNAL, "libuv timer");
    }
    r->timer.data = r;
    *out = r;
    if (open_handles(r)) return ST_OK;
    return err_set(err, ST_EXTERNAL, "libcurl does not give its handles, or the key is too long");
}

void binance_rest_close(struct rest_io *r) {
    if (!r || r->closing) return;
    for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++)
        if (r->transfers[i].id) binance_rest_abort(r, r->transfers[i].id);
    r->closing = true;
    (void)uv_timer_stop(&r->timer);
    uv_close((uv_handle_t *)&r->timer, NULL);
    for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++)
        if (r->transfers[i].easy) curl_easy_cleanup(r->transfers[i].easy);
    if (r->multi) (void)curl_multi_cleanup(r->multi);
    curl_slist_free_all(r->plain);
    curl_slist_free_all(r->with_key);
}

void binance_rest_free(struct rest_io *r) {
    if (!r) return;
    for (uint32_t i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++) {
        explicit_bzero(r->transfers[i].upload, sizeof r->transfers[i].upload);
        free(r->transfers[i].buffer);
    }
    free(r);
}
