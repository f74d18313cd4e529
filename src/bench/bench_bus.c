/* A hop through the bus: publish, read, acknowledge.
 *
 * Embedded: each hop timed alone (the clock's own 20-40 ns included), nothing flushed: what the
 * kernel pays between two roles. Redis: entries per second through a real server on a unix socket,
 * in batches, next to plain hiredis sending the same commands with the same round trips, in turns. */
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_redis.h"
#include "kernel/bus.h"

enum {
    HOPS = 200000,
    ROUNDS = 7,
    BATCH = 256,
    BATCHES = 60,
    PAYLOAD_BYTES = 200,
    ID_SIZE = 48,
};

static void entry_make(struct bus_entry *e) {
    memset(e, 0, sizeof *e);
    snprintf(e->event_type, sizeof e->event_type, "trade.intent");
    snprintf(e->trace_id, sizeof e->trace_id, "0123456789abcdef0123456789abcdef");
    snprintf(e->source, sizeof e->source, "engine");
    e->ts_ns = 1730098800123456789;
    e->schema = 1;
    memset(e->payload, 'p', PAYLOAD_BYTES);
    e->payload_size = PAYLOAD_BYTES;
}

/* --- embedded ------------------------------------------------------------------------------------ */

static enum status hop(struct bus *b, const struct bus_entry *e, struct bus_entry *got,
                       struct err *err) {
    enum status st = bus_publish(b, e, err);
    if (st == ST_OK) st = bus_read(b, got, e->event_type, "executor", "executor-1", 0, err);
    if (st == ST_OK) st = bus_ack(b, got, "executor", err);
    return st;
}

static enum status embedded_run(struct bus *b, double *ns, struct err *err) {
    static struct bus_entry e, got;
    entry_make(&e);
    enum status st = bus_group(b, e.event_type, "executor", err);
    /* The stream's ring is filled first, so that every timed publish also trims. */
    for (int i = 0; i < 20000 && st == ST_OK; i++) st = hop(b, &e, &got, err);
    for (int i = 0; i < HOPS && st == ST_OK; i++) {
        int64_t from = tstamp_monotonic_ns();
        st = hop(b, &e, &got, err);
        ns[i] = (double)(tstamp_monotonic_ns() - from);
    }
    if (st != ST_OK) return st;
    bench_latency("bus_hop", ns, HOPS);
    int64_t from = tstamp_monotonic_ns();
    for (int i = 0; i < BATCH * BATCHES && st == ST_OK; i++) {
        st = hop(b, &e, &got, err);
        if (st == ST_OK && i % BATCH == BATCH - 1) st = bus_flush(b, err);
    }
    if (st != ST_OK) return st;
    double rate = 1e9 * BATCH * BATCHES / (double)(tstamp_monotonic_ns() - from);
    bench_emit(&(struct bench_figure){"bus_hop.durable_256", rate, "1/s", BATCH * BATCHES, "", 0});
    return ST_OK;
}

static enum status embedded(const char *dir, struct err *err) {
    char url[200];
    struct bus_options options = bus_options_defaults();
    struct bus *b;
    snprintf(url, sizeof url, "embedded:%s/bus", dir);
    options.url = url;
    double *ns = malloc(HOPS * sizeof *ns);
    if (!ns) return err_set(err, ST_NO_MEMORY, "bus_hop");
    enum status st = bus_open(&b, &options, err);
    if (st == ST_OK) {
        st = embedded_run(b, ns, err);
        bus_close(b);
    }
    free(ns);
    return st;
}

/* --- Redis --------------------------------------------------------------------------------------- */

static enum status ours_run(struct bus *b, double *rate, struct err *err) {
    static struct bus_entry e, got;
    entry_make(&e);
    int64_t from = tstamp_monotonic_ns();
    for (int batch = 0; batch < BATCHES; batch++) {
        enum status st = ST_OK;
        for (int i = 0; i < BATCH && st == ST_OK; i++) st = bus_publish(b, &e, err);
        if (st == ST_OK) st = bus_flush(b, err);
        for (int i = 0; i < BATCH && st == ST_OK; i++) {
            st = bus_read(b, &got, e.event_type, "executor", "executor-1", NS_PER_SECOND, err);
            if (st == ST_OK) st = bus_ack(b, &got, "executor", err);
        }
        if (st != ST_OK) return st;
    }
    *rate = 1e9 * BATCH * BATCHES / (double)(tstamp_monotonic_ns() - from);
    return ST_OK;
}

static enum status raw_reply(redisContext *c, redisReply **out, struct err *err) {
    void *reply = NULL;
    if (redisGetReply(c, &reply) != REDIS_OK)
        return err_set(err, ST_EXTERNAL, "redis: %s", c->errstr);
    *out = reply;
    if ((*out)->type != REDIS_REPLY_ERROR) return ST_OK;
    enum status st = err_set(err, ST_EXTERNAL, "redis: %s", (*out)->str);
    freeReplyObject(reply);
    return st;
}

static enum status raw_publish(redisContext *c, const struct bus_entry *e, struct err *err) {
    const char *argv[] = {"XADD",       "quantum:stream:raw",
                          "MAXLEN",     "~",
                          "10000",      "*",
                          "event_type", e->event_type,
                          "payload",    e->payload,
                          "trace_id",   e->trace_id,
                          "timestamp",  "2024-10-28T07:00:00.123456789Z",
                          "source",     e->source,
                          "schema",     "1"};
    enum { ARGC = sizeof argv / sizeof *argv };
    size_t sizes[ARGC];
    for (size_t i = 0; i < ARGC; i++) sizes[i] = strlen(argv[i]);
    for (int i = 0; i < BATCH; i++) redisAppendCommandArgv(c, ARGC, argv, sizes);
    for (int i = 0; i < BATCH; i++) {
        redisReply *reply;
        enum status st = raw_reply(c, &reply, err);
        if (st != ST_OK) return st;
        freeReplyObject(reply);
    }
    return ST_OK;
}

/* Reads one batch; the acknowledgement of the one before travels with it, as the bus does it. */
static enum status raw_read(redisContext *c, char (*ids)[ID_SIZE], int *acks, struct err *err) {
    const char *argv[3 + BATCH] = {"XACK", "quantum:stream:raw", "g"};
    for (int i = 0; i < *acks; i++) argv[3 + i] = ids[i];
    if (*acks) redisAppendCommandArgv(c, 3 + *acks, argv, NULL);
    redisAppendCommand(c, "XREADGROUP GROUP g c COUNT 256 BLOCK 1000 STREAMS quantum:stream:raw >");
    redisReply *reply;
    enum status st = ST_OK;
    if (*acks) {
        st = raw_reply(c, &reply, err);
        if (st != ST_OK) return st;
        freeReplyObject(reply);
    }
    st = raw_reply(c, &reply, err);
    if (st != ST_OK) return st;
    const redisReply *list = reply->elements ? reply->element[0]->element[1] : NULL;
    size_t count = list ? list->elements : 0;
    for (size_t i = 0; i < count; i++)
        snprintf(ids[i], ID_SIZE, "%s", list->element[i]->element[0]->str);
    freeReplyObject(reply);
    *acks = (int)count;
    return count == BATCH ? ST_OK : err_set(err, ST_CORRUPT, "redis: %zu entries of 256", count);
}

static enum status raw_run(redisContext *c, double *rate, int *acks, char (*ids)[ID_SIZE],
                           struct err *err) {
    static struct bus_entry e;
    entry_make(&e);
    int64_t from = tstamp_monotonic_ns();
    for (int batch = 0; batch < BATCHES; batch++) {
        enum status st = raw_publish(c, &e, err);
        if (st == ST_OK) st = raw_read(c, ids, acks, err);
        if (st != ST_OK) return st;
    }
    *rate = 1e9 * BATCH * BATCHES / (double)(tstamp_monotonic_ns() - from);
    return ST_OK;
}

static enum status redis_rounds(struct bus *b, redisContext *c, struct err *err) {
    static char ids[BATCH][ID_SIZE];
    double ours[ROUNDS], raw[ROUNDS];
    int acks = 0;
    redisReply *reply = redisCommand(c, "XGROUP CREATE quantum:stream:raw g 0 MKSTREAM");
    if (reply) freeReplyObject(reply);
    enum status st = bus_group(b, "trade.intent", "executor", err);
    for (int round = -1; round < ROUNDS && st == ST_OK; round++) {
        int at = round < 0 ? 0 : round; /* the first fills both streams to their length */
        for (int turn = 0; turn < 2 && st == ST_OK; turn++)
            st = (at + turn) % 2 ? raw_run(c, &raw[at], &acks, ids, err)
                                 : ours_run(b, &ours[at], err);
    }
    if (st != ST_OK) return st;
    bench_emit(&(struct bench_figure){"bus_hop.redis", bench_median(ours, ROUNDS), "1/s",
                                      (uint64_t)ROUNDS * BATCH * BATCHES, "raw hiredis",
                                      bench_median(raw, ROUNDS)});
    return ST_OK;
}

static enum status redis(const struct bench_redis *server, struct err *err) {
    char url[200];
    struct bus_options options = bus_options_defaults();
    struct bus *b;
    snprintf(url, sizeof url, "redis+unix:%s", server->socket);
    options.url = url;
    enum status st = bus_open(&b, &options, err);
    if (st != ST_OK) return st;
    redisContext *c = redisConnectUnix(server->socket);
    if (!c || c->err)
        st = err_set(err, ST_DISCONNECTED, "redis %s", server->socket);
    else
        st = redis_rounds(b, c, err);
    if (c) redisFree(c);
    bus_close(b);
    return st;
}

enum status bench_bus_hop(struct err *err) {
    struct bench_redis server;
    enum status st = bench_redis_start(&server, "no", err);
    if (st != ST_OK) return st;
    st = embedded(server.dir, err);
    if (st == ST_OK) st = redis(&server, err);
    bench_redis_stop(&server);
    return st == ST_OK ? st : err_wrap(err, st, "bus_hop");
}
