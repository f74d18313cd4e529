/* train_lightgbm, train_xgboost: a training from raw floats to the finished model, by our trainer
 * of LightGBM's kind and by libxgboost through ml/xgboost, each by turns with libxgboost called
 * directly (hist, depth 6, 256 bins). Data as bench_tabular, seed 1; quality on 20,000 rows of seed
 * 2. Ours grows 31 leaves in 255 bins, LightGBM's defaults. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xgboost/c_api.h>

#include "base/tstamp.h"
#include "bench/bench.h"
#include "bench/bench_tabular.h"
#include "ml/forest/forest.h"
#include "ml/lightgbm/lgbm.h"
#include "ml/model_io/model_io.h"
#include "ml/xgboost/xgb.h"

enum { ROUNDS = 5, TEST_ROWS = 20000, PARAMS_SIZE = 256 };

struct course {
    uint32_t rows, cols, trees, threads;
    float *x; /* (rows, cols): seed 1 */
    double *y;
    float *labels;         /* (rows) y for the library */
    float *test_x;         /* (TEST_ROWS, cols): seed 2 */
    double *test_y, *test; /* (TEST_ROWS) labels, margins */
    struct train_set set;
};

static enum status failed(struct err *err, const char *what) {
    return err_set(err, ST_EXTERNAL, "%s: %s", what, XGBGetLastError());
}

/* ---- the three trainings: seconds from raw floats to a model ---- */

static double seconds_since(int64_t ns) {
    return (double)(tstamp_monotonic_ns() - ns) * 1e-9;
}

static enum status lightgbm_train(struct tree_model **out, double *seconds, const struct course *c,
                                  struct err *err) {
    char text[PARAMS_SIZE];
    struct lgbm_params p;
    lgbm_params_init(&p);
    snprintf(text, sizeof text, "objective=binary,num_iterations=%" PRIu32 ",num_threads=%" PRIu32,
             c->trees, c->threads);
    enum status st = lgbm_params_parse(&p, text, c->cols, NULL, err);
    int64_t from = tstamp_monotonic_ns();
    if (st == ST_OK) st = lgbm_train(out, &p, &c->set, NULL, NULL, NULL, err);
    *seconds = seconds_since(from);
    lgbm_params_free(&p);
    return st;
}

static enum status xgboost_train(struct tree_model **out, double *seconds, const struct course *c,
                                 struct err *err) {
    char text[PARAMS_SIZE];
    struct xgb_trained t = {0};
    snprintf(text, sizeof text,
             "objective=binary:logistic,tree_method=hist,max_bin=256,eta=0.1,max_depth=6,"
             "num_boost_round=%" PRIu32 ",nthread=%" PRIu32,
             c->trees, c->threads);
    int64_t from = tstamp_monotonic_ns();
    enum status st = xgb_train(&t, text, &c->set, NULL, NULL, NULL, err);
    *seconds = seconds_since(from);
    if (st == ST_OK) st = model_parse(out, t.bytes, t.size, "bench", err);
    xgb_trained_free(&t);
    return st;
}

static enum status booster_train(BoosterHandle b, DMatrixHandle d, const struct course *c,
                                 struct err *err) {
    char threads[16];
    snprintf(threads, sizeof threads, "%" PRIu32, c->threads);
    const char *const params[][2] = {{"objective", "binary:logistic"},
                                     {"tree_method", "hist"},
                                     {"max_bin", "256"},
                                     {"eta", "0.1"},
                                     {"max_depth", "6"},
                                     {"nthread", threads}};
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (XGBoosterSetParam(b, params[i][0], params[i][1]) != 0)
            return failed(err, "XGBoosterSetParam");
    for (uint32_t i = 0; i < c->trees; i++)
        if (XGBoosterUpdateOneIter(b, (int)i, d) != 0) return failed(err, "XGBoosterUpdateOneIter");
    return ST_OK;
}

/* The peer: the library's own calls, nothing between. Its model is read only to be judged: not
 * timed. */
static enum status peer_train(struct tree_model **out, double *seconds, const struct course *c,
                              struct err *err) {
    DMatrixHandle d;
    BoosterHandle b;
    const char *bytes;
    bst_ulong size;
    int64_t from = tstamp_monotonic_ns();
    if (XGDMatrixCreateFromMat_omp(c->x, c->rows, c->cols, NAN, &d, (int)c->threads) != 0)
        return failed(err, "XGDMatrixCreateFromMat_omp");
    enum status st = ST_OK;
    if (XGDMatrixSetFloatInfo(d, "label", c->labels, c->rows) != 0 ||
        XGBoosterCreate(&d, 1, &b) != 0) {
        st = failed(err, "XGBoosterCreate");
    } else {
        st = booster_train(b, d, c, err);
        *seconds = seconds_since(from);
        if (st == ST_OK &&
            XGBoosterSaveModelToBuffer(b, "{\"format\": \"ubj\"}", &size, &bytes) != 0)
            st = failed(err, "XGBoosterSaveModelToBuffer");
        if (st == ST_OK) st = model_parse(out, bytes, size, "bench", err);
        XGBoosterFree(b);
    }
    XGDMatrixFree(d);
    return st;
}

/* ---- quality ---- */

struct quality {
    double auc, logloss;
};

struct scored {
    double margin, label;
};

static int by_margin(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    return (x->margin > y->margin) - (x->margin < y->margin);
}

static struct quality quality_of(const struct course *c, struct scored *scored) {
    struct quality q = {0, 0};
    double ones = 0, ranks = 0;
    for (size_t i = 0; i < TEST_ROWS; i++) {
        double m = c->test[i], y = c->test_y[i];
        q.logloss += log1p(exp(y > 0 ? -m : m)) / TEST_ROWS;
        ones += y;
        scored[i] = (struct scored){m, y};
    }
    qsort(scored, TEST_ROWS, sizeof *scored, by_margin);
    /* Equal margins share the mean of their ranks. */
    for (size_t i = 0, end; i < TEST_ROWS; i = end) {
        double ones_here = 0;
        for (end = i; end < TEST_ROWS && scored[end].margin <= scored[i].margin; end++)
            ones_here += scored[end].label;
        ranks += ones_here * ((double)(i + end) + 1) / 2;
    }
    q.auc = (ranks - ones * (ones + 1) / 2) / (ones * (TEST_ROWS - ones));
    return q;
}

static enum status model_quality(struct quality *out, const struct course *c,
                                 const struct tree_model *m, struct err *err) {
    const struct forest_options o = {0};
    struct forest *f;
    size_t size = forest_size(m, &o);
    void *block = size ? aligned_alloc(64, size) : NULL;
    struct scored *scored = malloc(TEST_ROWS * sizeof *scored);
    enum status st = block && scored ? forest_build(&f, block, size, m, &o) : ST_NO_MEMORY;
    if (st == ST_OK) {
        forest_margin_f32(c->test, f, c->test_x, TEST_ROWS, c->cols);
        *out = quality_of(c, scored);
    }
    free(block);
    free(scored);
    return st == ST_OK ? st : err_set(err, st, "the forest of a trained model");
}

/* ---- the race ---- */

typedef enum status (*train_fn)(struct tree_model **out, double *seconds, const struct course *c,
                                struct err *err);

static enum status timed(double *seconds, struct quality *quality, train_fn train,
                         const struct course *c, struct err *err) {
    struct tree_model *m = NULL;
    enum status st = train(&m, seconds, c, err);
    if (st == ST_OK) st = model_quality(quality, c, m, err);
    tree_model_destroy(m);
    return st;
}

static void emit(const char *name, const char *what, double value, const char *unit, uint64_t n,
                 double peer) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", name, what);
    bench_emit(&(struct bench_figure){full, value, unit, n, "libxgboost", peer});
}

static enum status race(const struct course *c, const char *name, train_fn train, struct err *err) {
    double ours[ROUNDS], theirs[ROUNDS];
    struct quality our_quality, peer_quality;
    for (int round = 0; round < ROUNDS; round++) {
        enum status st = timed(&ours[round], &our_quality, train, c, err);
        if (st == ST_OK) st = timed(&theirs[round], &peer_quality, peer_train, c, err);
        if (st != ST_OK) return st;
    }
    double seconds = bench_median(ours, ROUNDS), peer = bench_median(theirs, ROUNDS);
    emit(name, "", seconds, "s", ROUNDS, peer);
    emit(name, ".ms_per_tree", 1e3 * seconds / c->trees, "ms", ROUNDS, 1e3 * peer / c->trees);
    emit(name, ".auc", our_quality.auc, "1", TEST_ROWS, peer_quality.auc);
    emit(name, ".logloss", our_quality.logloss, "1", TEST_ROWS, peer_quality.logloss);
    return ST_OK;
}

static void course_end(struct course *c) {
    free(c->x);
    free(c->y);
    free(c->labels);
    free(c->test_x);
    free(c->test_y);
    free(c->test);
}

static enum status course_begin(struct course *c, const struct bench_parameters *p,
                                struct err *err) {
    *c = (struct course){.rows = p->rows ? p->rows : 100000,
                         .cols = p->cols ? p->cols : 50,
                         .trees = p->trees ? p->trees : 200,
                         .threads = p->threads ? p->threads : 1};
    if (c->cols < TABULAR_COLUMNS_MIN)
        return err_set(err, ST_INVALID, "--cols: at least %d", TABULAR_COLUMNS_MIN);
    c->x = malloc((size_t)c->rows * c->cols * sizeof *c->x);
    c->y = malloc(c->rows * sizeof *c->y);
    c->labels = malloc(c->rows * sizeof *c->labels);
    c->test_x = malloc((size_t)TEST_ROWS * c->cols * sizeof *c->test_x);
    c->test_y = malloc(TEST_ROWS * sizeof *c->test_y);
    c->test = malloc(TEST_ROWS * sizeof *c->test);
    if (!c->x || !c->y || !c->labels || !c->test_x || !c->test_y || !c->test)
        return err_set(err, ST_NO_MEMORY, "%" PRIu32 " rows", c->rows);
    bench_tabular(1, c->rows, c->cols, c->x, c->y);
    bench_tabular(2, TEST_ROWS, c->cols, c->test_x, c->test_y);
    for (uint32_t i = 0; i < c->rows; i++) c->labels[i] = (float)c->y[i];
    c->set = (struct train_set){.x32 = c->x, .rows = c->rows, .columns = c->cols, .labels = c->y};
    return ST_OK;
}

static enum status bench_course(const struct bench_parameters *p, const char *name, train_fn train,
                                struct err *err) {
    struct course c;
    enum status st = course_begin(&c, p, err);
    if (st == ST_OK) st = race(&c, name, train, err);
    course_end(&c);
    return st;
}

enum status bench_train_lightgbm(const struct bench_parameters *p, struct err *err) {
    return bench_course(p, "train_lightgbm", lightgbm_train, err);
}

enum status bench_train_xgboost(const struct bench_parameters *p, struct err *err) {
    return bench_course(p, "train_xgboost", xgboost_train, err);
}
