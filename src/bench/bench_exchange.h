/* `quantum exchange` as a process of its own, for benches that talk to it over sockets. */
#ifndef BENCH_BENCH_EXCHANGE_H
#define BENCH_BENCH_EXCHANGE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct bench_exchange {
    pid_t pid;
    uint16_t port;
    char dir[128]; /* scratch, removed with it */
    char api_key[96], api_secret[96];
};

/* The program that is running, as `exchange --port 0 --print-ready` with its state in scratch; options are further
 * arguments, NULL ended. */
enum status bench_exchange_start(struct bench_exchange *out, const char *const *options,
                                 struct err *err);
/* CPU seconds it has used so far. */
double bench_exchange_cpu_s(const struct bench_exchange *x);
void bench_exchange_stop(struct bench_exchange *x);

#endif
