/* Durable appends: our journal under group commit, next to a redis-server with appendfsync always,
 * on the same file system, in turns. One figure is records known to be on the disk per second. */
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_redis.h"
#include "kernel/journal.h"

enum {
    ROUNDS = 7,
    GROUP = 64, /* records per fdatasync, commands per pipeline */
    GROUP_BATCHES = 100,
    SINGLE_BATCHES = 150,
    RECORD_BYTES = 256, /* payload; 288 with its frame */
    PEER_PAYLOAD = 200, /* Redis' own framing brings its log entry to about the same */
    SMALL_BYTES = 64,
    SMALL_APPENDS = 400000,
    BUFFER_APPENDS = 2000, /* fit the buffer with their frames: no write is made for them */
};

static enum status journal_run(struct journal *j, int group, int batches, double *rate,
                               struct err *err) {
    char payload[RECORD_BYTES];
    memset(payload, 'j', sizeof payload);
    int64_t from = tstamp_monotonic_ns();
    for (int b = 0; b < batches; b++) {
        for (int i = 0; i < group; i++) journal_append(j, 1, 1, from + i, payload, sizeof payload);
        enum status st = journal_commit(j, err);
        if (st != ST_OK) return st;
    }
    if (journal_durable_seq(j) != journal_last_seq(j))
        return err_set(err, ST_CORRUPT, "journal_append: committed records are not durable");
    *rate = 1e9 * group * batches / (double)(tstamp_monotonic_ns() - from);
    return ST_OK;
}

static enum status redis_run(redisContext *c, int group, int batches, double *rate,
                             struct err *err) {
    char payload[PEER_PAYLOAD];
    memset(payload, 'r', sizeof payload);
    const char *argv[] = {"XADD", "bench", "*", "d", payload};
    const size_t sizes[] = {4, 5, 1, 1, sizeof payload};
    int64_t from = tstamp_monotonic_ns();
    for (int b = 0; b < batches; b++) {
        for (int i = 0; i < group; i++) redisAppendCommandArgv(c, 5, argv, sizes);
        for (int i = 0; i < group; i++) {
            void *reply = NULL;
            if (redisGetReply(c, &reply) != REDIS_OK)
                return err_set(err, ST_EXTERNAL, "redis: %s", c->errstr);
            bool good = ((redisReply *)reply)->type == REDIS_REPLY_STRING;
            freeReplyObject(reply);
            if (!good) return err_set(err, ST_EXTERNAL, "redis refused an XADD");
        }
    }
    *rate = 1e9 * group * batches / (double)(tstamp_monotonic_ns() - from);
    return ST_OK;
}

/* In turns, the first changing from round to round. */
static enum status compare(struct journal *j, redisContext *c, const char *name, int group,
                           int batches, struct err *err) {
    double ours[ROUNDS], theirs[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int turn = 0; turn < 2; turn++) {
            enum status st = (round + turn) % 2 ? redis_run(c, group, batches, &theirs[round], err)
                                                : journal_run(j, group, batches, &ours[round], err);
            if (st != ST_OK) return st;
        }
    }
    bench_emit(&(struct bench_figure){name, bench_median(ours, ROUNDS), "1/s",
                                      (uint64_t)ROUNDS * (uint64_t)(group * batches),
                                      "redis appendonly always", bench_median(theirs, ROUNDS)});
    return ST_OK;
}

/* What appending costs the caller: the call alone, and with its share of the writing. Durability is
 * not waited for. */
static enum status buffered(struct journal *j, struct err *err) {
    char payload[SMALL_BYTES];
    double call_ns[ROUNDS], ns[ROUNDS];
    memset(payload, 'b', sizeof payload);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t spent = 0, begin = tstamp_monotonic_ns();
        for (int done = 0; done < SMALL_APPENDS; done += BUFFER_APPENDS) {
            int64_t from = tstamp_monotonic_ns();
            for (int i = 0; i < BUFFER_APPENDS; i++)
                journal_append(j, 2, 1, from, payload, sizeof payload);
            spent += tstamp_monotonic_ns() - from;
            enum status st = journal_flush(j, err);
            if (st != ST_OK) return st;
        }
        call_ns[round] = (double)spent / SMALL_APPENDS;
        ns[round] = (double)(tstamp_monotonic_ns() - begin) / SMALL_APPENDS;
        enum status st = journal_commit(j, err);
        if (st == ST_OK) st = journal_retain(j, journal_last_seq(j), err);
        if (st != ST_OK) return st;
    }
    const uint64_t n = (uint64_t)ROUNDS * SMALL_APPENDS;
    bench_emit(&(struct bench_figure){"journal_append.call_64B", bench_median(call_ns, ROUNDS),
                                      "ns", n, "", 0});
    bench_emit(&(struct bench_figure){"journal_append.buffered_64B", bench_median(ns, ROUNDS), "ns",
                                      n, "", 0});
    return ST_OK;
}

static enum status run(struct bench_redis *server, struct err *err) {
    struct journal_options options = journal_options_defaults();
    struct journal *j;
    char dir[160];
    snprintf(dir, sizeof dir, "%s/journal", server->dir);
    redisContext *c = redisConnectUnix(server->socket);
    if (!c || c->err) {
        if (c) redisFree(c);
        return err_set(err, ST_DISCONNECTED, "redis %s", server->socket);
    }
    enum status st = journal_open(&j, NULL, dir, &options, err);
    if (st == ST_OK) {
        st = compare(j, c, "journal_append", GROUP, GROUP_BATCHES, err);
        if (st == ST_OK) st = compare(j, c, "journal_append.single", 1, SINGLE_BATCHES, err);
        if (st == ST_OK) st = buffered(j, err);
        enum status closed = journal_close(j, st == ST_OK ? err : NULL);
        if (st == ST_OK) st = closed;
    }
    redisFree(c);
    return st;
}

enum status bench_journal_append(struct err *err) {
    struct bench_redis server;
    enum status st = bench_redis_start(&server, "yes", err);
    if (st != ST_OK) return st;
    st = run(&server, err);
    bench_redis_stop(&server);
    return st == ST_OK ? st : err_wrap(err, st, "journal_append");
}
