/* patchtst_train, patchtst_row, nn_batch100: PatchTST at the sizes of bench/torch_patchtst.py, which times the same networks in
 * PyTorch. Small: the scripts' ETTh network (d 16, 4 heads, 128; dropout 0.3); large: 128, 16 heads, 256; dropout 0.2. Windows of
 * 7 channels 336 -> 96 (paper), or of 8 channels 128 -> 12 (trading). A window of training counts forward, loss, backward
 * and Adam on batches of 128. */
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "bench/bench.h"
#include "ml/nn/optim.h"
#include "ml/patchtst/patchtst.h"

enum { BLOCKS = 7, BATCH = 128, HUNDRED = 100, CALLS = 2000, ROWS = 64 };

static struct patchtst_config trading(struct patchtst_config c) {
    c.c_in = 8;
    c.seq_len = 128;
    c.pred_len = 12;
    return c;
}

struct race {
    struct network *net;
    struct workers *workers;
    nn_real *x, *target, *y;
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
    free(r->target);
    free(r->y);
}

static enum status race_begin(struct race *r, const struct patchtst_config *c, size_t windows,
                              size_t batch, bool training, uint32_t threads, struct err *err) {
    struct rng rng = rng_init(5);
    *r = (struct race){0};
    r->x = normal(windows * c->c_in * c->seq_len, &rng);
    r->target = normal(windows * c->c_in * c->pred_len, &rng);
    r->y = normal(windows * c->c_in * c->pred_len, &rng);
    if (!r->x || !r->target || !r->y) return err_set(err, ST_NO_MEMORY, "%zu windows", windows);
    enum status st = workers_create(&r->workers, threads ? threads : 1, err);
    if (st == ST_OK) st = patchtst_create(&r->net, c, batch, training, 1, r->workers, err);
    return st;
}

static enum status train_figure(const char *name, const struct patchtst_config *c, uint32_t steps,
                                uint32_t threads, struct err *err) {
    struct race r;
    double rate[BLOCKS];
    enum status st = race_begin(&r, c, BATCH, BATCH, true, threads, err);
    struct nn_adam adam = nn_adam_defaults();
    struct nn_batch batch = {.n = BATCH, .x = r.x, .target = r.target};
    for (int b = -1; st == ST_OK && b < BLOCKS; b++) { /* block -1 warms up */
        int64_t from = tstamp_monotonic_ns();
        for (uint64_t s = 0; s < steps; s++) {
            struct nn_params *p = &r.net->params;
            memset(p->grad, 0, p->trainable_size * sizeof *p->grad);
            r.net->class_of->step(r.net, NULL, &batch, &(struct nn_loss_choice){.kind = NN_MSE}, s);
            nn_adam_step(&adam, p, r.workers);
        }
        if (b >= 0) rate[b] = 1e9 * BATCH * steps / (double)(tstamp_monotonic_ns() - from);
    }
    if (st == ST_OK)
        bench_emit(&(struct bench_figure){name, bench_median(rate, BLOCKS), "1/s",
                                          (uint64_t)BATCH * steps * BLOCKS, "", 0});
    race_end(&r);
    return st;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum status row_figure(const char *name, const char *name_p99,
                              const struct patchtst_config *c, struct err *err) {
    struct race r;
    double *ns = malloc(CALLS * sizeof *ns);
    enum status st = race_begin(&r, c, ROWS, 1, false, 1, err);
    if (!ns && st == ST_OK) st = err_set(err, ST_NO_MEMORY, "times");
    for (size_t i = 0; st == ST_OK && i < CALLS + ROWS; i++) {
        struct nn_batch one = {.n = 1, .x = r.x + i % ROWS * c->c_in * c->seq_len};
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

static enum status batch_figure(const char *name, const struct patchtst_config *c, uint32_t calls,
                                uint32_t threads, struct err *err) {
    struct race r;
    double rate[BLOCKS];
    enum status st = race_begin(&r, c, HUNDRED, HUNDRED, false, threads, err);
    struct nn_batch batch = {.n = HUNDRED, .x = r.x};
    for (int b = -1; st == ST_OK && b < BLOCKS; b++) {
        int64_t from = tstamp_monotonic_ns();
        for (uint32_t i = 0; i < calls; i++) r.net->class_of->predict(r.net, r.y, &batch);
        if (b >= 0) rate[b] = 1e9 * HUNDRED * calls / (double)(tstamp_monotonic_ns() - from);
    }
    if (st == ST_OK)
        bench_emit(&(struct bench_figure){name, bench_median(rate, BLOCKS), "1/s",
                                          (uint64_t)HUNDRED * calls * BLOCKS, "", 0});
    race_end(&r);
    return st;
}

enum status bench_patchtst_train(const struct bench_parameters *p, struct err *err) {
    struct patchtst_config small = patchtst_config_defaults(), large = patchtst_config_large();
    struct patchtst_config small_trading = trading(small), large_trading = trading(large);
    enum status st = train_figure("patchtst_train", &small, 4, p->threads, err);
    if (st == ST_OK)
        st = train_figure("patchtst_train.trading", &small_trading, 8, p->threads, err);
    if (st == ST_OK)
        st = train_figure("patchtst_train.large_trading", &large_trading, 1, p->threads, err);
    return st == ST_OK ? train_figure("patchtst_train.large", &large, 1, p->threads, err) : st;
}

enum status bench_patchtst_row(const struct bench_parameters *p, struct err *err) {
    if (p->threads > 1) return err_set(err, ST_INVALID, "--threads: a window is one thread's work");
    struct patchtst_config paper = patchtst_config_defaults(), small = trading(paper);
    enum status st = row_figure("patchtst_row", "patchtst_row.p99", &small, err);
    return st == ST_OK ? row_figure("patchtst_row.paper", "patchtst_row.paper.p99", &paper, err)
                       : st;
}

enum status bench_nn_batch100(const struct bench_parameters *p, struct err *err) {
    struct patchtst_config paper = patchtst_config_defaults(), small = trading(paper),
                           large = trading(patchtst_config_large());
    enum status st = batch_figure("nn_batch100", &small, 8, p->threads, err);
    if (st == ST_OK) st = batch_figure("nn_batch100.paper", &paper, 3, p->threads, err);
    return st == ST_OK ? batch_figure("nn_batch100.large", &large, 1, p->threads, err) : st;
}
