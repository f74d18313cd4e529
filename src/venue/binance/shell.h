/* The client's sockets: libcurl and libwebsockets on one libuv loop. Knows nothing of what is sent. */
#ifndef VENUE_BINANCE_SHELL_H
#define VENUE_BINANCE_SHELL_H

#include <uv.h>

#include "venue/binance/binance_internal.h"

struct shell;

/* ---- rest.c ---- */
struct rest_io;
struct rest_config {
    uv_loop_t *loop;
    const char *urls[2]; /* by enum request_host; the second may be NULL */
    const char *api_key, *ca_file;
    void *context;
    void (*on_reply)(void *context, uint32_t id, const struct reply *reply);
};
enum status binance_rest_create(struct rest_io **out, const struct rest_config *config,
                                struct err *err);
void binance_rest_send(struct rest_io *r, const struct binance_send *s);
void binance_rest_abort(struct rest_io *r, uint32_t id);
/* Closes; the handles are gone once the loop has run. */
void binance_rest_close(struct rest_io *r);
void binance_rest_free(struct rest_io *r);

/* ---- streams.c ---- */
struct stream_io;
struct streams_config {
    uv_loop_t *loop;
    const char *url; /* ws://host:port or wss://… */
    const char *ca_file;
    void *context;
    void (*on_up)(void *context, uint32_t socket);
    void (*on_text)(void *context, uint32_t socket, const char *text, size_t size);
    void (*on_down)(void *context, uint32_t socket);
};
enum status binance_streams_create(struct stream_io **out, const struct streams_config *config,
                                   struct err *err);
void binance_streams_open(struct stream_io *s, uint32_t socket, const char *path);
void binance_streams_send(struct stream_io *s, uint32_t socket, const char *text, size_t size);
void binance_streams_shut(struct stream_io *s, uint32_t socket);
/* Closes; connections and handles are gone once the loop has run. */
void binance_streams_close(struct stream_io *s);
void binance_streams_free(struct stream_io *s);

#endif
