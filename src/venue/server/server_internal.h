/* Of server*.c, fault_act.c and admin.c alone. */
#ifndef VENUE_SERVER_SERVER_INTERNAL_H
#define VENUE_SERVER_SERVER_INTERNAL_H

#include <uv.h>

#include "base/metrics.h"
#include "base/tstamp.h"
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

/* What was drawn for a call, before it is executed. */
enum verdict {
    VERDICT_NONE = 0,
    /* not executed */
    VERDICT_UNAVAILABLE,
    VERDICT_RESET_BEFORE,
    VERDICT_LIMIT,
    VERDICT_BAN,
    VERDICT_CLOCK,
    VERDICT_UNKNOWN_NOT_DONE,
    VERDICT_LAST_BEFORE = VERDICT_UNKNOWN_NOT_DONE,
    /* executed */
    VERDICT_UNKNOWN_DONE,
    VERDICT_LOST,
    VERDICT_RESET_AFTER,
    VERDICT_LATE,
    VERDICT_DOUBLED
};

struct call {
    enum net_method method;
    /* The WebSocket API: body is the message, the rest is empty. */
    struct net_text path, query, body, api_key;
    enum rest_class kind;
    enum verdict verdict;
    bool algo; /* places a conditional order */
};

struct answer {
    int status;
    const char *type, *headers;
    struct net_text body;
};

/* Something that happens later: the execution of a call, or its answer. */
struct job {
    struct job *next;
    int64_t due_ns; /* monotonic */
    struct client *client;
    bool is_answer;
    struct call call;     /* slices of bytes */
    struct answer answer; /* the same */
    char bytes[];
};

enum { HIDDEN_MAX = 64 };
struct hidden {
    uint64_t algo_id;
    int64_t until_ns;
};

/* Faults that last: until when, in exchange time; 0 not now. */
struct fault_state {
    int64_t limited_ns, maintenance_ns, silent_ns, conditional_ns;
    int limited_status;
    bool doubling;      /* user events of the call being executed go out twice */
    uint64_t disobeyed; /* calls in spite of Retry-After */
    uint32_t hidden_next;
    struct hidden hidden[HIDDEN_MAX];
    int64_t *stale_ns, *filters_ns, *closing_ns; /* (contracts) */
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
    struct faults faults;
    struct fault_state state;
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

/* fault_act.c */
enum status fault_state_init(struct server *s, struct err *err);
void fault_state_free(struct server *s);
/* The rates have changed. */
void fault_rates_changed(struct server *s);
enum verdict fault_verdict(struct server *s, const struct call *call);
/* The answer of a call that is not executed. false: there is none, the connection ends. */
bool fault_answer(struct server *s, const struct client *client, const struct call *call,
                  struct answer *out);
/* What an executed call's answer may show. */
void fault_after(struct server *s, const struct call *call, struct answer *answer);
/* The window of a refused rate limit is over for nobody. */
void fault_second(struct server *s);
/* Now, whatever the rate; for calls and messages: the next one. */
void fault_fire(struct server *s, enum fault kind);

/* admin.c */
void admin_on_request(void *context, struct net_conn *c, const struct net_request *r);

#endif
