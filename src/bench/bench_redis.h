/* A real redis-server for benches: own directory, unix socket, no other settings than told. */
#ifndef BENCH_BENCH_REDIS_H
#define BENCH_BENCH_REDIS_H

#include <sys/types.h>

#include "base/err.h"

struct bench_redis {
    pid_t pid;
    char dir[128]; /* scratch, removed with the server; the bench may put its own files there */
    char socket[160];
};

/* appendonly: "no" or "yes" (then with appendfsync always). ST_NOT_FOUND if there is no server to
 * run: a bench without its peer must not look like one that ran. */
enum status bench_redis_start(struct bench_redis *out, const char *appendonly, struct err *err);
void bench_redis_stop(struct bench_redis *server);

#endif
