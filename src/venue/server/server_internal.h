/* Of server*.c and admin.c alone. */
#ifndef VENUE_SERVER_SERVER_INTERNAL_H
#define VENUE_SERVER_SERVER_INTERNAL_H

#include <uv.h>

#include "base/metrics.h"
#include "base/tstamp.h"
#include "venue/server/fault_act.h"
#include "venue/server/limits.h"
#include "venue/server/rest.h"
#include "venue/server/server.h"
#include "venue/server/source.h"
#include "venue/server/streams.h"

enum client_kind { CLIENT_HTTP = 0, CLIENT_STREAM, CLIENT_WSAPI };

/* One connection; lives until it is closed and its last job is done. */
struct client {
    struct server *server;
    struct net_conn *conn; /* NULL: gone */
    enum client_kind kind;
    uint32_t jobs;
    struct stream_client *stream;
    struct wsapi_session session;
    char peer[46];
};

/* Something that happens later: the execution of a call, or its answer. */
struct job {
    struct job *next;
    int64_t due_ns; /* monotonic */
    struct client *client;
    bool is_answer;
    struct fault_call call;    /* slices of bytes */
    struct fault_reply answer; /* the same */
    char bytes[];
};

enum server_metric {
    METRIC_ANSWERED_2XX = 0,
    METRIC_ANSWERED_4XX,
    METRIC_ANSWERED_5XX,
    METRIC_LATENCY,
    METRIC_STREAM_MESSAGES,
    METRIC_STREAM_CLIENTS,
    METRIC_CONNECTIONS,
    METRIC_SLOW_CUT,
    METRIC_JOURNAL,
    METRIC_SNAPSHOTS,
    METRIC_SNAPSHOT_STALL,
    METRIC_DISOBEYED,
    METRIC_FAULTS, /* one a kind from here */
    METRIC_COUNT = METRIC_FAULTS + FAULT_COUNT
};

struct server {
    uv_loop_t *loop;
    struct server_options options;
    struct net *net, *admin;
    struct world *world;
    struct streams *streams;
    struct limiter *limiter;
    struct source *source;
    struct rest rest;
    struct fault_act act;
    struct rng latency_rng;
    int64_t offset_ns, last_ns;
    struct job *jobs; /* by due_ns */
    uv_timer_t clock_timer, job_timer, second_timer;
    struct metrics *metrics;
    int handles[METRIC_COUNT];
    char *metrics_text;
    struct err prepare_failed;
    bool told_failure, stopping, timers_open;
    uint16_t admin_port;
};

/* server.c */
int64_t server_now(struct server *s);
/* What the last input led to and must be told at once. */
void server_settle(struct server *s);
void server_metrics_update(struct server *s);

/* server_call.c */
void server_on_request(void *context, struct net_conn *c, const struct net_request *r);
bool server_on_open(void *context, struct net_conn *c, const struct net_request *r);
void server_on_message(void *context, struct net_conn *c, struct net_text text);
void server_on_close(void *context, struct net_conn *c);
void server_jobs_drop(struct server *s);

/* admin.c */
void admin_on_request(void *context, struct net_conn *c, const struct net_request *r);

#endif
