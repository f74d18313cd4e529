/* Private to src/api: the server's state, and what api.c hangs on its loop. */
#ifndef API_SERVE_H
#define API_SERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "api/api_internal.h"
#include "api/http_count.h"
#include "api/push.h"
#include "api/reasons.h"
#include "kernel/inbox.h"
#include "net/net.h"

enum {
    SERVE_TOKEN_SIZE = 128,
    SERVE_BIND_SIZE = 64,
    SERVE_TEXT_SIZE = 64,
    SERVE_PATH_SIZE = 512,
};

struct api {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    struct net *net;
    pthread_t thread;
    atomic_bool stop;
    uint16_t port;
    struct view_box *view_box;
    struct metrics *metrics;
    _Atomic uint32_t *retrain_request;
    struct inbox *inbox;
    const struct lease *lease;
    bool metrics_own, has_loop;
    uint32_t self_test;
    int64_t started_ns; /* monotonic */
    char bind[SERVE_BIND_SIZE], token[SERVE_TOKEN_SIZE], version[SERVE_TEXT_SIZE],
        commit[SERVE_TEXT_SIZE];
    char trades_path[SERVE_PATH_SIZE], reports_dir[SERVE_PATH_SIZE];
    struct http_count count;
    struct api_asset assets[API_ASSET_COUNT];
    struct reasons *reasons;
    struct push push;
    struct api_signal_request signal; /* of the request being answered */
    struct api_explain_places places;
    struct view view;       /* the newest that was read */
    char out[API_OUT_SIZE]; /* the answer being written */
};

/* Every series of http_requests_total that can come. */
void serve_counts_declare(struct api *api);

/* net_handlers; context is the struct api. */
void serve_request(void *context, struct net_conn *c, const struct net_request *r);
bool serve_open(void *context, struct net_conn *c, const struct net_request *r);
void serve_message(void *context, struct net_conn *c, struct net_text text);
void serve_close(void *context, struct net_conn *c);
/* reasons_done_fn. */
void serve_explained(void *context, void *asker, const char *json, size_t size);
/* Sends what is new to those who listen. */
void serve_push(struct api *api);

#endif
