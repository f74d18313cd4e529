/* nhits_train, nhits_row: N-HiTS at the sizes of bench/torch_nhits.py, which times the same
 * networks in PyTorch. Paper size: 480 -> 96, 3 stacks of a block, two layers of 512, pools 8 4 1,
 * knots 4 8 96, batch 256. Trading size: 8 channels (the target and 7 pooled ones beside it) of 128
 * bars -> 12, two layers of 128, pools 8 4 1, knots 3 6 12. A window of training counts forward,
 * loss, backward and Adam. */
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "bench/bench.h"
#include "ml/nhits/nhits.h"
#include "ml/nn/optim.h"

enum { BLOCKS = 7, STEPS = 6, BATCH = 256, CALLS = 4000, ROWS = 64, CHANNELS = 7 };

static struct nhits_config trading_size(uint32_t hidden) {
    static const uint32_t pools[3] = {8, 4, 1}, ratios[3] = {4, 2, 1};
    struct nhits_config c = {.input_size = 128,
                             .h = 12,
                             .outputs = 1,
                             .stack_count = 3,
                             .mlp_count = 1,
                             .mlp_units = {{hidden, hidden}},
                             .interpolation = NN_LINEAR,
                             .activation = NN_RELU,
                             .hist_exog = CHANNELS};
    for (int i = 0; i < 3; i++)
        c.stacks[i] = (struct nhits_stack){.blocks = 1, .pool = pools[i], .downsample = ratios[i]};
    return c;
}

struct race {
    struct network *net;
    struct workers *workers;
    size_t rows;
    nn_real *x, *hist, *target, *y;
};

static nn_real *normal(size_t n, struct rng *rng) {
    nn_real *x = malloc(n * sizeof *x);
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

static enum status race_begin(struct race *r, const struct nhits_config *c, size_t rows,
                              size_t batch, bool training, uint32_t threads, struct err *err) {
    struct rng rng = rng_init(5);
    *r = (struct race){.rows = rows};
    r->x = normal(rows * c->input_size, &rng);
    r->hist = normal(rows * c->input_size * CHANNELS, &rng);
    r->target = normal(rows * c->h, &rng);
    r->y = normal(rows * c->h, &rng);
    if (!r->x || !r->hist || !r->target || !r->y)
        return err_set(err, ST_NO_MEMORY, "%zu windows", rows);
    enum status st = workers_create(&r->workers, threads ? threads : 1, err);
    if (st == ST_OK) st = nhits_create(&r->net, c, batch, training, 1, r->workers, err);
    return st;
}

static struct nn_batch windows(const struct race *r, size_t first, size_t n) {
    size_t length = r->net->input;
    struct nn_batch b = {
        .n = n, .x = r->x + first * length, .target = r->target + first * r->net->horizon};
    if (nhits_config_of(r->net)->hist_exog) b.hist_exog = r->hist + first * length * CHANNELS;
    return b;
}

static enum status train_figure(const char *name, const struct nhits_config *c, uint32_t threads,
                                struct err *err) {
    struct race r;
    double rate[BLOCKS];
    enum status st = race_begin(&r, c, BATCH, BATCH, true, threads, err);
    struct nn_adam adam = nn_adam_defaults();
    for (int b = -1; st == ST_OK && b < BLOCKS; b++) { /* block -1 warms up */
        struct nn_batch batch = windows(&r, 0, BATCH);
        int64_t from = tstamp_monotonic_ns();
        for (uint64_t s = 0; s < STEPS; s++) {
            struct nn_params *p = &r.net->params;
            memset(p->grad, 0, p->trainable_size * sizeof *p->grad);
            r.net->class_of->step(r.net, NULL, &batch, &(struct nn_loss_choice){.kind = NN_MSE}, s);
            nn_adam_step(&adam, p, r.workers);
        }
        if (b >= 0) rate[b] = 1e9 * BATCH * STEPS / (double)(tstamp_monotonic_ns() - from);
    }
    if (st == ST_OK)
        bench_emit(&(struct bench_figure){name, bench_median(rate, BLOCKS), "1/s",
                                          (uint64_t)BATCH * STEPS * BLOCKS, "", 0});
    race_end(&r);
    return st;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum status row_figure(const char *name, const char *name_p99, const struct nhits_config *c,
                              struct err *err) {
    struct race r;
    double *ns = malloc(CALLS * sizeof *ns);
    enum status st = race_begin(&r, c, ROWS, 1, false, 1, err);
    if (!ns && st == ST_OK) st = err_set(err, ST_NO_MEMORY, "times");
    for (size_t i = 0; st == ST_OK && i < CALLS + ROWS; i++) {
        struct nn_batch one = windows(&r, i % ROWS, 1);
        int64_t from = tstamp_monotonic_ns();
        r.net->class_of->predict(r.net, r.y, &one);
        if (i >= ROWS) ns[i - ROWS] = (double)(tstamp_monotonic_ns() - from);
    }
    if (st == ST_OK) {
        qsort(ns, CALLS, sizeof *ns, ascending);
        bench_emit(&(struct bench_figure){name, ns[CALLS / 2], "ns", CALLS, "", 0});
        bench_emit(&(struct bench_figure){name_p99, ns[CALLS * 99 / 100], "ns", CALLS, "", 0});
    }
    free(ns);
    race_end(&r);
    return st;
}

enum status bench_nhits_train(const struct bench_parameters *p, struct err *err) {
    struct nhits_config paper = nhits_config_paper(), trading = trading_size(128);
    enum status st = train_figure("nhits_train", &paper, p->threads, err);
    return st == ST_OK ? train_figure("nhits_train.trading", &trading, p->threads, err) : st;
}

enum status bench_nhits_row(const struct bench_parameters *p, struct err *err) {
    if (p->threads > 1) return err_set(err, ST_INVALID, "--threads: a window is one thread's work");
    struct nhits_config paper = nhits_config_paper(), trading = trading_size(128);
    enum status st = row_figure("nhits_row", "nhits_row.p99", &trading, err);
    return st == ST_OK ? row_figure("nhits_row.paper", "nhits_row.paper.p99", &paper, err) : st;
}
