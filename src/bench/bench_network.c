#include "bench/bench_network.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "ml/nn/optim.h"

enum { BLOCKS = 7, ROWS = 64 };

struct race {
    struct network *net;
    struct workers *workers;
    uint32_t hist_exog;
    nn_real *x, *hist, *target, *y;
};

static nn_real *normal(size_t n, struct rng *rng) {
    nn_real *x = malloc((n ? n : 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = (nn_real)rng_normal(rng);
    return x;
}

static void race_end(struct race *r) {
    if (r->net) r->net->class_of->destroy(r->net);
    workers_destroy(r->workers);
    free(r->x);
    free(r->hist);
    free(r->target);
    free(r->y);
}

static enum status race_begin(struct race *r, const struct bench_network *b, size_t windows,
                              size_t batch, bool training, uint32_t threads, struct err *err) {
    struct rng rng = rng_init(5);
    *r = (struct race){.hist_exog = b->hist_exog};
    enum status st = workers_create(&r->workers, threads ? threads : 1, err);
    if (st == ST_OK) st = b->create(&r->net, b->config, batch, training, r->workers, err);
    if (st != ST_OK) return st;
    const struct network *n = r->net;
    r->x = normal(windows * n->input * n->channels, &rng);
    r->hist = normal(windows * n->input * b->hist_exog, &rng);
    r->target = normal(windows * n->horizon * n->outputs, &rng);
    r->y = normal(windows * n->horizon * n->outputs, &rng);
    if (r->x && r->hist && r->target && r->y) return ST_OK;
    return err_set(err, ST_NO_MEMORY, "%zu windows", windows);
}

static struct nn_batch windows_at(const struct race *r, size_t first, size_t n) {
    const struct network *net = r->net;
    struct nn_batch b = {.n = n,
                         .x = r->x + first * net->input * net->channels,
                         .target = r->target + first * net->horizon * net->outputs};
    if (r->hist_exog) b.hist_exog = r->hist + first * net->input * r->hist_exog;
    return b;
}

static void train_step(struct race *r, struct nn_adam *adam, const struct nn_batch *batch,
                       uint64_t seed) {
    struct nn_params *p = &r->net->params;
    memset(p->grad, 0, p->trainable_size * sizeof *p->grad);
    r->net->class_of->step(r->net, NULL, batch, &(struct nn_loss_choice){.kind = NN_MSE}, seed);
    nn_adam_step(adam, p, r->workers);
}

enum status bench_network_train(const char *name, const struct bench_network *b, uint32_t batch,
                                uint32_t steps, uint32_t threads, struct err *err) {
    struct race r;
    double rate[BLOCKS];
    enum status st = race_begin(&r, b, batch, batch, true, threads, err);
    struct nn_adam adam = nn_adam_defaults();
    for (int block = -1; st == ST_OK && block < BLOCKS; block++) { /* block -1 warms up */
        const struct nn_batch all = windows_at(&r, 0, batch);
        int64_t from = tstamp_monotonic_ns();
        for (uint32_t s = 0; s < steps; s++) train_step(&r, &adam, &all, s);
        int64_t took = tstamp_monotonic_ns() - from;
        if (block >= 0) rate[block] = 1e9 * batch * steps / (double)took;
    }
    if (st == ST_OK)
        bench_emit(&(struct bench_figure){name, bench_median(rate, BLOCKS), "1/s",
                                          (uint64_t)batch * steps * BLOCKS, "", 0});
    race_end(&r);
    return st;
}

enum status bench_network_row(const char *name, const struct bench_network *b, uint32_t calls,
                              struct err *err) {
    struct race r;
    double *ns = malloc(calls * sizeof *ns);
    enum status st = race_begin(&r, b, ROWS, 1, false, 1, err);
    if (!ns && st == ST_OK) st = err_set(err, ST_NO_MEMORY, "times");
    for (size_t i = 0; st == ST_OK && i < calls + ROWS; i++) {
        const struct nn_batch one = windows_at(&r, i % ROWS, 1);
        int64_t from = tstamp_monotonic_ns();
        r.net->class_of->predict(r.net, r.y, &one);
        if (i >= ROWS) ns[i - ROWS] = (double)(tstamp_monotonic_ns() - from);
    }
    if (st == ST_OK) bench_latency(name, ns, calls);
    free(ns);
    race_end(&r);
    return st;
}

enum status bench_network_batch(const char *name, const struct bench_network *b, uint32_t batch,
                                uint32_t calls, uint32_t threads, struct err *err) {
    struct race r;
    double rate[BLOCKS];
    enum status st = race_begin(&r, b, batch, batch, false, threads, err);
    for (int block = -1; st == ST_OK && block < BLOCKS; block++) {
        const struct nn_batch all = windows_at(&r, 0, batch);
        int64_t from = tstamp_monotonic_ns();
        for (uint32_t i = 0; i < calls; i++) r.net->class_of->predict(r.net, r.y, &all);
        int64_t took = tstamp_monotonic_ns() - from;
        if (block >= 0) rate[block] = 1e9 * batch * calls / (double)took;
    }
    if (st == ST_OK)
        bench_emit(&(struct bench_figure){name, bench_median(rate, BLOCKS), "1/s",
                                          (uint64_t)batch * calls * BLOCKS, "", 0});
    race_end(&r);
    return st;
}
