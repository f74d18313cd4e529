/* Figures of a forecasting network, whichever it is: windows of normal draws, trained, asked one by one or many at once. */
#ifndef BENCH_BENCH_NETWORK_H
#define BENCH_BENCH_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/workers.h"
#include "ml/nn/network.h"

struct bench_network {
    /* *_create with its seed 1 */
    enum status (*create)(struct network **out, const void *config, size_t batch_max, bool training,
                          struct workers *workers, struct err *err);
    const void *config;
    uint32_t hist_exog; /* channels beside the target, 0 if it has none */
};

/* Windows a second through forward, loss, backward and Adam; blocks of `steps` batches, the median block. */
enum status bench_network_train(const char *name, const struct bench_network *b, uint32_t batch,
                                uint32_t steps, uint32_t threads, struct err *err);
/* A window's forecast: NAME, its p50 in ns, and NAME.p99. */
enum status bench_network_row(const char *name, const struct bench_network *b, uint32_t calls,
                              struct err *err);
/* Windows a second, `batch` at once; blocks of `calls`. */
enum status bench_network_batch(const char *name, const struct bench_network *b, uint32_t batch,
                                uint32_t calls, uint32_t threads, struct err *err);

#endif
