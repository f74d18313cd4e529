#include "ml/model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ml/lightgbm/lgbm.h"
#include "ml/model_io/model_io.h"
#include "ml/xgboost/xgb.h"

enum { ALIGN = 64, ARGMAX_OUTPUTS_MAX = 4096 };

struct model {
    struct tree_model *trees;
    void *memory; /* of forest */
    struct forest *forest;
    struct xgb_trained own; /* the library's bytes, while they say the same as trees */
};

static const char *const booster_texts[BOOSTER_COUNT] = {"xgboost", "lightgbm"};

const char *booster_text(enum booster booster) {
    return (uint32_t)booster < BOOSTER_COUNT ? booster_texts[booster] : "?";
}

enum status booster_parse(enum booster *out, const char *text, struct err *err) {
    for (uint32_t k = 0; k < BOOSTER_COUNT; k++)
        if (!strcmp(text, booster_texts[k])) {
            *out = (enum booster)k;
            return ST_OK;
        }
    return err_set(err, ST_NOT_FOUND, "'%.40s' is no kind of model: xgboost or lightgbm", text);
}

void model_destroy(struct model *m) {
    if (!m) return;
    tree_model_destroy(m->trees);
    xgb_trained_free(&m->own);
    free(m->memory);
    free(m);
}

/* ---- trees to a forest ---- */

static enum status compile(struct model *m, struct err *err) {
    const struct forest_options options = {0};
    if (m->trees->transform == TRANSFORM_ARGMAX && m->trees->outputs > ARGMAX_OUTPUTS_MAX)
        return err_set(err, ST_UNSUPPORTED, "%s over %u classes, more than %d",
                       m->trees->objective ? m->trees->objective : "best class", m->trees->outputs,
                       ARGMAX_OUTPUTS_MAX);
    size_t size = forest_size(m->trees, &options);
    if (size == 0) return err_set(err, ST_RANGE, "too large a model to serve");
    m->memory = aligned_alloc(ALIGN, (size + ALIGN - 1) / ALIGN * ALIGN);
    if (!m->memory) return err_set(err, ST_NO_MEMORY, "a forest of %zu bytes", size);
    enum status st = forest_build(&m->forest, m->memory, size, m->trees, &options);
    return st == ST_OK ? st : err_set(err, st, "forest: %s", status_text(st));
}

/* Takes the trees over, also when it fails. */
static enum status adopt(struct model **out, struct tree_model *trees, struct err *err) {
    struct model *m = calloc(1, sizeof *m);
    if (!m) {
        tree_model_destroy(trees);
        return err_set(err, ST_NO_MEMORY, "model");
    }
    m->trees = trees;
    enum status st = compile(m, err);
    if (st != ST_OK) {
        model_destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

/* ---- training ---- */

static enum status train_xgboost(struct model **out, const char *params,
                                 const struct train_set *train, const struct train_set *valid,
                                 train_progress_fn progress, void *context, struct err *err) {
    struct xgb_trained own;
    struct tree_model *trees = NULL;
    enum status st = xgb_train(&own, params, train, valid, progress, context, err);
    if (st == ST_OK) st = model_parse(&trees, own.bytes, own.size, "XGBoost's model", err);
    if (st == ST_OK) st = adopt(out, trees, err);
    if (st == ST_OK)
        (*out)->own = own;
    else
        xgb_trained_free(&own);
    return st;
}

static enum status train_lightgbm(struct model **out, const char *params,
                                  const struct train_set *train, const struct train_set *valid,
                                  train_progress_fn progress, void *context, struct err *err) {
    struct lgbm_params p;
    struct tree_model *trees = NULL;
    lgbm_params_init(&p);
    enum status st = lgbm_params_parse(&p, params, train->columns, train->names, err);
    if (st == ST_OK) st = lgbm_train(&trees, &p, train, valid, progress, context, err);
    lgbm_params_free(&p);
    return st == ST_OK ? adopt(out, trees, err) : st;
}

enum status model_train(struct model **out, enum booster booster, const char *params,
                        const struct train_set *train, const struct train_set *valid,
                        train_progress_fn progress, void *context, struct err *err) {
    *out = NULL;
    switch (booster) {
    case BOOSTER_XGBOOST:
        return train_xgboost(out, params, train, valid, progress, context, err);
    case BOOSTER_LIGHTGBM:
        return train_lightgbm(out, params, train, valid, progress, context, err);
    case BOOSTER_COUNT:
        break;
    }
    return err_set(err, ST_INVALID, "no such booster");
}

enum status model_train_memory(size_t *out, enum booster booster, const char *params, size_t rows,
                               uint32_t columns, const char *const *names, struct err *err) {
    if (booster == BOOSTER_XGBOOST) return xgb_memory(out, params, rows, columns, err);
    struct lgbm_params p;
    lgbm_params_init(&p);
    enum status st = lgbm_params_parse(&p, params, columns, names, err);
    if (st == ST_OK) *out = lgbm_memory(&p, rows, columns);
    lgbm_params_free(&p);
    return st;
}

/* ---- files ---- */

enum status model_load(struct model **out, const char *path, struct err *err) {
    struct tree_model *trees = NULL;
    *out = NULL;
    enum status st = model_read(&trees, path, err);
    if (st != ST_OK) return st;
    st = adopt(out, trees, err);
    return st == ST_OK ? st : err_wrap(err, st, "%s", path);
}

enum status model_load_buffer(struct model **out, const void *bytes, size_t size, const char *name,
                              struct err *err) {
    struct tree_model *trees = NULL;
    *out = NULL;
    enum status st = model_parse(&trees, bytes, size, name, err);
    if (st != ST_OK) return st;
    st = adopt(out, trees, err);
    return st == ST_OK ? st : err_wrap(err, st, "%s", name);
}

static bool ends_with(const char *text, const char *tail) {
    size_t n = strlen(text), k = strlen(tail);
    return n >= k && !strcmp(text + n - k, tail);
}

static enum status write_all(int fd, const char *bytes, size_t size, struct err *err) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_errno(err, ST_IO, "write");
        done += (size_t)n;
    }
    return fsync(fd) ? err_errno(err, ST_IO, "fsync") : ST_OK;
}

static enum status save_own(const struct xgb_trained *own, const char *path, struct err *err) {
    char temp[4096];
    int n = snprintf(temp, sizeof temp, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temp) return err_set(err, ST_RANGE, "path too long: %s", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return err_errno(err, ST_IO, "create %s", temp);
    enum status st = write_all(fd, own->bytes, own->size, err);
    if (close(fd) && st == ST_OK) st = err_errno(err, ST_IO, "close");
    if (st == ST_OK && rename(temp, path)) st = err_errno(err, ST_IO, "rename");
    if (st == ST_OK) return st;
    unlink(temp);
    return err_wrap(err, st, "model %s", path);
}

enum status model_save(const struct model *m, const char *path, struct err *err) {
    bool as_is = m->own.bytes && !ends_with(path, ".ubj") && !ends_with(path, ".gz") &&
                 !ends_with(path, ".zst");
    if (as_is) return save_own(&m->own, path, err);
    return model_write(m->trees, path, MODEL_FORMAT_AUTO, err);
}

/* ---- use ---- */

const struct tree_model *model_trees(const struct model *m) {
    return m->trees;
}

struct tree_model *model_trees_mutable(struct model *m) {
    xgb_trained_free(&m->own); /* they will not say the same any more */
    return m->trees;
}

const struct forest *model_forest(const struct model *m) {
    return m->forest;
}

/* One column from several margins: row by row, as the margins of many do not fit in out. */
static void predict_narrow(double *out, const struct forest *f, const float *rows, size_t count,
                           size_t stride) {
    double margin[ARGMAX_OUTPUTS_MAX];
    for (size_t i = 0; i < count; i++) {
        forest_margin_f32(margin, f, rows + i * stride, 1, stride);
        forest_transform(out + i, f, margin, 1);
    }
}

void model_predict(double *out, const struct model *m, const float *rows, size_t count,
                   size_t stride) {
    if (forest_prediction_columns(m->forest) != forest_outputs(m->forest)) {
        predict_narrow(out, m->forest, rows, count, stride);
        return;
    }
    forest_margin_f32(out, m->forest, rows, count, stride);
    forest_transform(out, m->forest, out, count);
}
