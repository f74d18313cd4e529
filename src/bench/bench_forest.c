/* forest_row, forest_batch: margins of a forest that libxgboost trained, by ml/forest and by libxgboost
 * itself, after both have given the same bits for every row. Depth-wise trees of depth 6, and as
 * .leaves31 trees grown leaf by leaf, as LightGBM grows them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "base/tstamp.h"
#include "base/workers.h"
#include "bench/bench.h"
#include "bench/bench_tabular.h"
#include "ml/forest/forest.h"
#include "ml/model_io/model_io.h"
#include "ml/xgboost/xgb.h"

enum { ROUNDS = 9, TRAIN_ROWS = 10000, PEER_ROWS = 1000, PART_ROWS = 512 };

struct race {
    uint32_t rows, cols, trees, threads;
    float *x; /* (rows, cols): seed 2 */
    double *y;
    BoosterHandle booster;
    void *block;
    struct forest *forest;
    struct workers *workers;
    double *margin; /* (rows) ours */
};

static enum status failed(struct err *err, const char *what) {
    return err_set(err, ST_EXTERNAL, "%s: %s", what, XGBGetLastError());
}

/* The library's own margins of rows from..from+count; borrowed from the booster. */
static enum status peer_margin(const float **out, struct race *r, size_t from, size_t count,
                               struct err *err) {
    static const char config[] =
        "{\"type\": 1, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
        "\"strict_shape\": false, \"cache_id\": 0, \"missing\": NaN}";
    char array[200];
    const bst_ulong *shape;
    bst_ulong dim;
    snprintf(array, sizeof array,
             "{\"data\": [%" PRIuPTR ", true], \"shape\": [%zu, %" PRIu32
             "], \"typestr\": \"<f4\", "
             "\"version\": 3}",
             (uintptr_t)(r->x + from * r->cols), count, r->cols);
    if (XGBoosterPredictFromDense(r->booster, array, config, NULL, &shape, &dim, out) != 0)
        return failed(err, "XGBoosterPredictFromDense");
    return ST_OK;
}

static void part_margin(void *context, uint32_t part) {
    struct race *r = context;
    size_t from = (size_t)part * PART_ROWS, left = r->rows - from;
    forest_margin_f32(r->margin + from, r->forest, r->x + from * r->cols,
                      left < PART_ROWS ? left : PART_ROWS, r->cols);
}

static void our_margins(struct race *r) {
    if (r->threads == 1)
        forest_margin_f32(r->margin, r->forest, r->x, r->rows, r->cols);
    else
        workers_run(r->workers, part_margin, r, (r->rows + PART_ROWS - 1) / PART_ROWS);
}

/* ---- preparing ---- */

static enum status model_train_bytes(struct xgb_trained *out, const struct race *r,
                                     const char *growth, struct err *err) {
    char params[256];
    size_t n = TRAIN_ROWS;
    float *x = malloc(n * r->cols * sizeof *x);
    double *y = malloc(n * sizeof *y);
    enum status st = x && y ? ST_OK : err_set(err, ST_NO_MEMORY, "training set");
    if (st == ST_OK) {
        bench_tabular(1, n, r->cols, x, y);
        snprintf(
            params, sizeof params,
            "objective=binary:logistic,tree_method=hist,eta=0.1,nthread=1,num_boost_round=%" PRIu32
            ",%s",
            r->trees, growth);
        struct train_set set = {.x32 = x, .rows = n, .columns = r->cols, .labels = y};
        st = xgb_train(out, params, &set, NULL, NULL, NULL, err);
    }
    free(x);
    free(y);
    return st;
}

static enum status forest_load(struct race *r, const struct xgb_trained *t, struct err *err) {
    struct tree_model *m = NULL;
    const struct forest_options o = {0};
    enum status st = model_parse(&m, t->bytes, t->size, "bench", err);
    if (st != ST_OK) return st;
    size_t size = forest_size(m, &o);
    r->block = aligned_alloc(64, size);
    st = r->block ? forest_build(&r->forest, r->block, size, m, &o) : ST_NO_MEMORY;
    tree_model_destroy(m);
    return st == ST_OK ? st : err_set(err, st, "the forest's block");
}

static enum status peer_load(struct race *r, const struct xgb_trained *t, struct err *err) {
    char threads[16];
    snprintf(threads, sizeof threads, "%" PRIu32, r->threads);
    if (XGBoosterCreate(NULL, 0, &r->booster) != 0) return failed(err, "XGBoosterCreate");
    if (XGBoosterLoadModelFromBuffer(r->booster, t->bytes, t->size) != 0)
        return failed(err, "XGBoosterLoadModelFromBuffer");
    if (XGBoosterSetParam(r->booster, "nthread", threads) != 0)
        return failed(err, "XGBoosterSetParam");
    return ST_OK;
}

/* Both say the same, bit for bit, in blocks and row by row, before anything is timed. */
static enum status agreement_check(struct race *r, struct err *err) {
    const float *theirs;
    enum status st = peer_margin(&theirs, r, 0, r->rows, err);
    if (st != ST_OK) return st;
    our_margins(r);
    for (uint32_t i = 0; i < r->rows; i++) {
        double alone;
        forest_margin_f32(&alone, r->forest, r->x + (size_t)i * r->cols, 1, r->cols);
        if (r->margin[i] != (double)theirs[i] || alone != (double)theirs[i])
            return err_set(err, ST_MISMATCH,
                           "row %" PRIu32 ": %.9g in a batch, %.9g alone, libxgboost %.9g", i,
                           r->margin[i], alone, (double)theirs[i]);
    }
    return ST_OK;
}

static void race_end(struct race *r) {
    if (r->booster) XGBoosterFree(r->booster);
    workers_destroy(r->workers);
    free(r->block);
    free(r->margin);
    free(r->x);
    free(r->y);
}

static enum status race_begin(struct race *r, const struct bench_parameters *p, const char *growth,
                              struct err *err) {
    struct xgb_trained t = {0};
    *r = (struct race){.rows = p->rows ? p->rows : 10000,
                       .cols = p->cols ? p->cols : 60,
                       .trees = p->trees ? p->trees : 300,
                       .threads = p->threads ? p->threads : 1};
    if (r->cols < TABULAR_COLUMNS_MIN)
        return err_set(err, ST_INVALID, "--cols: at least %d", TABULAR_COLUMNS_MIN);
    r->x = malloc((size_t)r->rows * r->cols * sizeof *r->x);
    r->y = malloc(r->rows * sizeof *r->y);
    r->margin = malloc(r->rows * sizeof *r->margin);
    if (!r->x || !r->y || !r->margin)
        return err_set(err, ST_NO_MEMORY, "%" PRIu32 " rows", r->rows);
    bench_tabular(2, r->rows, r->cols, r->x, r->y);
    enum status st = workers_create(&r->workers, r->threads, err);
    if (st == ST_OK) st = model_train_bytes(&t, r, growth, err);
    if (st == ST_OK) st = forest_load(r, &t, err);
    if (st == ST_OK) st = peer_load(r, &t, err);
    if (st == ST_OK) st = agreement_check(r, err);
    xgb_trained_free(&t);
    return st;
}

/* ---- one row ---- */

/* Rounds of ours and theirs by turns; ns of each call. */
static enum status rows_time(double *ours, double *theirs, struct race *r, uint32_t peers,
                             struct err *err) {
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < r->rows; i++) {
            int64_t from = tstamp_monotonic_ns();
            forest_margin_f32(&r->margin[i], r->forest, r->x + (size_t)i * r->cols, 1, r->cols);
            *ours++ = (double)(tstamp_monotonic_ns() - from);
        }
        for (uint32_t i = 0; i < peers; i++) {
            const float *margin;
            int64_t from = tstamp_monotonic_ns();
            enum status st = peer_margin(&margin, r, i, 1, err);
            *theirs++ = (double)(tstamp_monotonic_ns() - from);
            if (st != ST_OK) return st;
        }
    }
    return ST_OK;
}

static enum status row_figures(struct race *r, const char *name, struct err *err) {
    char p99_name[64];
    uint32_t peers = r->rows < PEER_ROWS ? r->rows : PEER_ROWS;
    size_t n = (size_t)r->rows * ROUNDS, m = (size_t)peers * ROUNDS;
    double *ours = malloc(n * sizeof *ours), *theirs = malloc(m * sizeof *theirs);
    enum status st = ours && theirs ? rows_time(ours, theirs, r, peers, err)
                                    : err_set(err, ST_NO_MEMORY, "times");
    if (st == ST_OK) {
        snprintf(p99_name, sizeof p99_name, "%s.p99", name);
        bench_sort(ours, n);
        bench_sort(theirs, m);
        bench_emit(&(struct bench_figure){name, ours[n / 2], "ns", n, "libxgboost", theirs[m / 2]});
        bench_emit(&(struct bench_figure){p99_name, ours[n * 99 / 100], "ns", n, "libxgboost",
                                          theirs[m * 99 / 100]});
    }
    free(ours);
    free(theirs);
    return st;
}

/* ---- many rows ---- */

static enum status batch_figure(struct race *r, const char *name, struct err *err) {
    double ours[ROUNDS], theirs[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        const float *margin;
        int64_t from = tstamp_monotonic_ns();
        our_margins(r);
        int64_t between = tstamp_monotonic_ns();
        enum status st = peer_margin(&margin, r, 0, r->rows, err);
        int64_t to = tstamp_monotonic_ns();
        if (st != ST_OK) return st;
        ours[round] = 1e9 * r->rows / (double)(between - from);
        theirs[round] = 1e9 * r->rows / (double)(to - between);
    }
    bench_emit(&(struct bench_figure){name, bench_median(ours, ROUNDS), "1/s",
                                      (uint64_t)r->rows * ROUNDS, "libxgboost",
                                      bench_median(theirs, ROUNDS)});
    return ST_OK;
}

static enum status both_growths(const char *names[2], const struct bench_parameters *p,
                                enum status (*figures)(struct race *r, const char *name,
                                                       struct err *err),
                                struct err *err) {
    static const char *const growth[2] = {"max_depth=6",
                                          "grow_policy=lossguide,max_leaves=31,max_depth=0"};
    enum status st = ST_OK;
    for (int i = 0; i < 2 && st == ST_OK; i++) {
        struct race r;
        st = race_begin(&r, p, growth[i], err);
        if (st == ST_OK) st = figures(&r, names[i], err);
        race_end(&r);
    }
    return st;
}

enum status bench_forest_row(const struct bench_parameters *p, struct err *err) {
    const char *names[2] = {"forest_row", "forest_row.leaves31"};
    if (p->threads > 1) return err_set(err, ST_INVALID, "--threads: a row is one thread's work");
    return both_growths(names, p, row_figures, err);
}

enum status bench_forest_batch(const struct bench_parameters *p, struct err *err) {
    const char *names[2] = {"forest_batch", "forest_batch.leaves31"};
    return both_growths(names, p, batch_figure, err);
}
