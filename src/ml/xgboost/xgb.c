#include "ml/xgboost/xgb.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xgboost/c_api.h>

#include "base/hash.h"
#include "ml/xgboost/xgb_internal.h"

enum { FILE_SIZE_MAX = 256 << 20, ARRAY_TEXT_SIZE = 160 };

static const char predict_config[] =
    "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
    "\"strict_shape\":true,\"missing\":NaN,\"cache_id\":0}";

struct attr {
    char *key, *value;
};

struct xgb_model {
    BoosterHandle booster;
    uint32_t class_count, column_count, round_count;
    uint64_t file_hash;
    /* Our own copies: what the library hands out lives only until its next call. */
    struct attr *attrs;
    size_t attr_count, attr_capacity;
};

static enum status external(struct err *err, const char *what) {
    return err_set(err, ST_EXTERNAL, "xgboost: %s: %s", what, XGBGetLastError());
}

/* The library's messages reach people through its return codes; its console output is turned off.
 *
 * Loading reads trees with as many threads as OpenMP offers, whatever `nthread` says, and that team
 * stays and spins. So OpenMP is told too. Its limit belongs to the calling thread, hence on each call;
 * it is looked up, as the library brings OpenMP and we do not link one ourselves. */
static void library_init(void) {
    void (*set_threads)(int);
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&set_threads, &symbol, sizeof set_threads);
    if (set_threads) set_threads(1);
    XGBSetGlobalConfig("{\"verbosity\":0}");
}

struct xgb_params xgb_params_defaults(void) {
    return (struct xgb_params){.rounds_max = 150,
                               .early_stop_rounds = 15,
                               .depth_max = 4,
                               .seed = 1,
                               .bins_max = 64,
                               .eta = 0.1,
                               .subsample = 0.8,
                               .colsample = 0.8,
                               .min_child_weight = 20,
                               .lambda = 1,
                               .gamma = 0};
}

static enum status model_new(struct xgb_model **out, struct err *err) {
    library_init();
    struct xgb_model *m = calloc(1, sizeof *m);
    if (!m) return err_set(err, ST_NO_MEMORY, "xgboost model");
    *out = m;
    return ST_OK;
}

void xgb_destroy(struct xgb_model *m) {
    if (!m) return;
    if (m->booster) XGBoosterFree(m->booster);
    for (size_t i = 0; i < m->attr_count; i++) {
        free(m->attrs[i].key);
        free(m->attrs[i].value);
    }
    free(m->attrs);
    free(m);
}

/* ---- attributes ---- */

static struct attr *attr_find(struct xgb_model *m, const char *key) {
    for (size_t i = 0; i < m->attr_count; i++)
        if (!strcmp(m->attrs[i].key, key)) return &m->attrs[i];
    return NULL;
}

static enum status attr_keep(struct xgb_model *m, const char *key, const char *value,
                             struct err *err) {
    char *copy = strdup(value);
    if (!copy) return err_set(err, ST_NO_MEMORY, "attribute %s", key);
    struct attr *a = attr_find(m, key);
    if (a) {
        free(a->value);
        a->value = copy;
        return ST_OK;
    }
    if (m->attr_count == m->attr_capacity) {
        size_t capacity = m->attr_capacity ? m->attr_capacity * 2 : 32;
        struct attr *grown = realloc(m->attrs, capacity * sizeof *grown);
        if (!grown) {
            free(copy);
            return err_set(err, ST_NO_MEMORY, "attribute %s", key);
        }
        m->attrs = grown;
        m->attr_capacity = capacity;
    }
    char *name = strdup(key);
    if (!name) {
        free(copy);
        return err_set(err, ST_NO_MEMORY, "attribute %s", key);
    }
    m->attrs[m->attr_count++] = (struct attr){name, copy};
    return ST_OK;
}

enum status xgb_attr_set(struct xgb_model *m, const char *key, const char *value, struct err *err) {
    if (XGBoosterSetAttr(m->booster, key, value)) return external(err, "set attribute");
    return attr_keep(m, key, value, err);
}

const char *xgb_attr_get(struct xgb_model *m, const char *key) {
    const struct attr *a = attr_find(m, key);
    return a ? a->value : NULL;
}

/* Names are copied first, since asking for a value may reuse the library's own list. */
static enum status attrs_read(struct xgb_model *m, struct err *err) {
    bst_ulong count = 0;
    const char **names = NULL;
    if (XGBoosterGetAttrNames(m->booster, &count, &names)) return external(err, "attribute names");
    char **copies = calloc(count ? count : 1, sizeof *copies);
    if (!copies) return err_set(err, ST_NO_MEMORY, "%zu attributes", (size_t)count);
    enum status st = ST_OK;
    for (bst_ulong i = 0; i < count && st == ST_OK; i++)
        if (!(copies[i] = strdup(names[i]))) st = err_set(err, ST_NO_MEMORY, "attribute names");
    for (bst_ulong i = 0; i < count && st == ST_OK; i++) {
        const char *value = NULL;
        int found = 0;
        if (XGBoosterGetAttr(m->booster, copies[i], &value, &found))
            st = external(err, "get attribute");
        else if (found)
            st = attr_keep(m, copies[i], value, err);
    }
    for (bst_ulong i = 0; i < count; i++) free(copies[i]);
    free(copies);
    return st;
}

/* ---- load and save ---- */

enum status xgb_load_buffer(struct xgb_model **out, const void *bytes, size_t size,
                            struct err *err) {
    struct xgb_shape shape;
    enum status st = xgb_check(&shape, bytes, size, err);
    if (st != ST_OK) return st;
    struct xgb_model *m = NULL;
    if ((st = model_new(&m, err)) != ST_OK) return st;
    m->file_hash = hash64(bytes, size);
    m->class_count = shape.class_count;
    m->column_count = shape.column_count;
    m->round_count = shape.tree_count / shape.class_count;
    if (XGBoosterCreate(NULL, 0, &m->booster))
        st = external(err, "create");
    else if (XGBoosterSetParam(m->booster, "nthread", "1"))
        st = external(err, "nthread");
    else if (XGBoosterLoadModelFromBuffer(m->booster, bytes, size))
        st = external(err, "load");
    else if (XGBoosterSetParam(m->booster, "nthread", "1"))
        st = external(err, "nthread");
    else
        st = attrs_read(m, err);
    if (st != ST_OK) {
        xgb_destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

static enum status file_read(char **out, size_t *out_size, const char *path, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open");
    struct stat info;
    enum status st = ST_OK;
    char *bytes = NULL;
    size_t size = 0, done = 0;
    if (fstat(fd, &info))
        st = err_errno(err, ST_IO, "stat");
    else if (!S_ISREG(info.st_mode))
        st = err_set(err, ST_INVALID, "not a file");
    else if (info.st_size > FILE_SIZE_MAX)
        st = err_set(err, ST_RANGE, "over 256 MiB");
    else {
        size = (size_t)info.st_size;
        bytes = malloc(size + 1);
        if (!bytes) st = err_set(err, ST_NO_MEMORY, "%zu bytes", size);
    }
    while (st == ST_OK && done < size) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            st = err_errno(err, ST_IO, "read");
        else if (n == 0)
            st = err_set(err, ST_IO, "file shrank while being read");
        else
            done += (size_t)n;
    }
    close(fd);
    if (st != ST_OK) {
        free(bytes);
        return st;
    }
    *out = bytes;
    *out_size = size;
    return ST_OK;
}

enum status xgb_load(struct xgb_model **out, const char *path, struct err *err) {
    char *bytes = NULL;
    size_t size = 0;
    enum status st = file_read(&bytes, &size, path, err);
    if (st == ST_OK) st = xgb_load_buffer(out, bytes, size, err);
    free(bytes);
    return st == ST_OK ? st : err_wrap(err, st, "model %s", path);
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

enum status xgb_save(struct xgb_model *m, const char *path, struct err *err) {
    bst_ulong size = 0;
    const char *bytes = NULL;
    if (XGBoosterSaveModelToBuffer(m->booster, "{\"format\":\"json\"}", &size, &bytes))
        return external(err, "save");
    char temp[4096];
    int n = snprintf(temp, sizeof temp, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temp) return err_set(err, ST_RANGE, "path too long: %s", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return err_errno(err, ST_IO, "create %s", temp);
    enum status st = write_all(fd, bytes, size, err);
    if (close(fd) && st == ST_OK) st = err_errno(err, ST_IO, "close");
    if (st == ST_OK && rename(temp, path)) st = err_errno(err, ST_IO, "rename");
    if (st != ST_OK) {
        unlink(temp);
        return err_wrap(err, st, "model %s", path);
    }
    return ST_OK;
}

/* ---- training ---- */

struct session {
    DMatrixHandle matrices[2]; /* train, valid */
    BoosterHandle booster;
};

static void session_free(struct session *s) {
    if (s->booster) XGBoosterFree(s->booster);
    for (int i = 0; i < 2; i++)
        if (s->matrices[i]) XGDMatrixFree(s->matrices[i]);
}

static void array_text(char out[ARRAY_TEXT_SIZE], const float *data, size_t rows,
                       uint32_t columns) {
    snprintf(out, ARRAY_TEXT_SIZE,
             "{\"data\":[%zu,true],\"shape\":[%zu,%u],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)data, rows, columns);
}

static enum status matrix_create(DMatrixHandle *out, const struct xgb_matrix *m,
                                 uint32_t class_count, const char *name, struct err *err) {
    if (m->rows == 0 || m->columns == 0) return err_set(err, ST_INVALID, "%s: no rows", name);
    for (size_t i = 0; i < m->rows; i++) {
        float label = m->labels[i];
        if (!(label >= 0 && label < (float)class_count) || label != floorf(label))
            return err_set(err, ST_INVALID, "%s: row %zu: label %g is not a class", name, i,
                           (double)label);
    }
    char array[ARRAY_TEXT_SIZE];
    array_text(array, m->features, m->rows, m->columns);
    if (XGDMatrixCreateFromDense(array, "{\"missing\":NaN,\"nthread\":1}", out))
        return external(err, name);
    if (XGDMatrixSetFloatInfo(*out, "label", m->labels, m->rows)) return external(err, name);
    if (m->weights && XGDMatrixSetFloatInfo(*out, "weight", m->weights, m->rows))
        return external(err, name);
    return ST_OK;
}

static enum status params_set(BoosterHandle booster, const struct xgb_params *p,
                              uint32_t class_count, struct err *err) {
    static const char *const fixed[][2] = {
        {"booster", "gbtree"},
        {"objective", "multi:softprob"},
        {"nthread", "1"},
        {"tree_method", "hist"},
        {"disable_default_eval_metric", "1"},
        /* Each round draws from seed and round alone: nothing before it can shift the draws. */
        {"seed_per_iteration", "1"}};
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"num_class", class_count},
                   {"max_depth", p->depth_max},
                   {"max_bin", p->bins_max},
                   {"seed", p->seed},
                   {"eta", p->eta},
                   {"subsample", p->subsample},
                   {"colsample_bytree", p->colsample},
                   {"min_child_weight", p->min_child_weight},
                   {"lambda", p->lambda},
                   {"gamma", p->gamma}};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (XGBoosterSetParam(booster, fixed[i][0], fixed[i][1])) return external(err, fixed[i][0]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.10g", numbers[i].value);
        if (XGBoosterSetParam(booster, numbers[i].name, text))
            return external(err, numbers[i].name);
    }
    return ST_OK;
}

static enum status logloss(double *out, BoosterHandle booster, DMatrixHandle matrix,
                           const struct xgb_matrix *m, uint32_t class_count, struct err *err) {
    const bst_ulong *shape;
    bst_ulong dim;
    const float *p;
    if (XGBoosterPredictFromDMatrix(booster, matrix, predict_config, &shape, &dim, &p))
        return external(err, "predict");
    if (dim != 2 || shape[0] != m->rows || shape[1] != class_count)
        return err_set(err, ST_EXTERNAL, "xgboost: prediction of unexpected shape");
    double sum = 0, weight_sum = 0;
    for (size_t i = 0; i < m->rows; i++) {
        double w = m->weights ? (double)m->weights[i] : 1;
        double q = (double)p[i * class_count + (size_t)m->labels[i]];
        sum -= w * log(fmax(q, 1e-15));
        weight_sum += w;
    }
    *out = sum / weight_sum;
    return ST_OK;
}

/* Boosts until the valid loss has not fallen for early_stop_rounds; *best_round counts from 1. */
static enum status boost(uint32_t *best_round, struct session *s, const struct xgb_params *params,
                         uint32_t class_count, const struct xgb_matrix *const sets[2],
                         xgb_progress_fn progress, void *context, struct err *err) {
    double best = INFINITY;
    *best_round = 0;
    for (uint32_t round = 1; round <= params->rounds_max; round++) {
        if (XGBoosterUpdateOneIter(s->booster, (int)round - 1, s->matrices[0]))
            return external(err, "train");
        double loss[2];
        for (int i = 0; i < 2; i++) {
            enum status st =
                logloss(&loss[i], s->booster, s->matrices[i], sets[i], class_count, err);
            if (st != ST_OK) return st;
        }
        if (loss[1] < best) {
            best = loss[1];
            *best_round = round;
        }
        if (progress && !progress(context, round, params->rounds_max, loss[0], loss[1]))
            return err_set(err, ST_INTERRUPTED, "training stopped in round %u", round);
        if (round - *best_round >= params->early_stop_rounds) break;
    }
    if (*best_round == 0)
        return err_set(err, ST_EXTERNAL, "xgboost: validation loss is not finite");
    return ST_OK;
}

static enum status session_run(struct xgb_model *m, struct session *s,
                               const struct xgb_params *params, uint32_t class_count,
                               const struct xgb_matrix *const sets[2], xgb_progress_fn progress,
                               void *context, struct err *err) {
    static const char *const names[2] = {"training rows", "validation rows"};
    for (int i = 0; i < 2; i++) {
        enum status st = matrix_create(&s->matrices[i], sets[i], class_count, names[i], err);
        if (st != ST_OK) return st;
    }
    if (XGBoosterCreate(s->matrices, 2, &s->booster)) return external(err, "create");
    enum status st = params_set(s->booster, params, class_count, err);
    if (st != ST_OK) return st;
    uint32_t best_round = 0;
    st = boost(&best_round, s, params, class_count, sets, progress, context, err);
    if (st != ST_OK) return st;
    /* Only the rounds up to the best stay, so that the file cannot be read any other way. */
    if (XGBoosterSlice(s->booster, 0, (int)best_round, 1, &m->booster))
        return external(err, "slice");
    if (XGBoosterSetParam(m->booster, "nthread", "1")) return external(err, "nthread");
    m->class_count = class_count;
    m->column_count = sets[0]->columns;
    m->round_count = best_round;
    return ST_OK;
}

enum status xgb_train_softmax(struct xgb_model **out, const struct xgb_params *params,
                              uint32_t class_count, const struct xgb_matrix *train,
                              const struct xgb_matrix *valid, xgb_progress_fn progress,
                              void *context, struct err *err) {
    if (class_count < 2) return err_set(err, ST_INVALID, "%u classes", class_count);
    if (params->rounds_max == 0 || params->early_stop_rounds == 0)
        return err_set(err, ST_INVALID, "rounds_max and early_stop_rounds must be above 0");
    if (train->columns != valid->columns)
        return err_set(err, ST_MISMATCH, "%u columns to train, %u to validate", train->columns,
                       valid->columns);
    struct xgb_model *m = NULL;
    enum status st = model_new(&m, err);
    if (st != ST_OK) return st;
    struct session s = {0};
    const struct xgb_matrix *const sets[2] = {train, valid};
    st = session_run(m, &s, params, class_count, sets, progress, context, err);
    session_free(&s);
    if (st != ST_OK) {
        xgb_destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

/* ---- prediction ---- */

enum status xgb_predict(double *out, struct xgb_model *m, const float *features, size_t rows,
                        uint32_t columns, struct err *err) {
    if (columns != m->column_count)
        return err_set(err, ST_MISMATCH, "%u columns given, the model has %u", columns,
                       m->column_count);
    if (rows == 0) return ST_OK;
    char array[ARRAY_TEXT_SIZE];
    array_text(array, features, rows, columns);
    const bst_ulong *shape;
    bst_ulong dim;
    const float *p;
    if (XGBoosterPredictFromDense(m->booster, array, predict_config, NULL, &shape, &dim, &p))
        return external(err, "predict");
    if (dim != 2 || shape[0] != rows || shape[1] != m->class_count)
        return err_set(err, ST_EXTERNAL, "xgboost: prediction of unexpected shape");
    for (size_t i = 0; i < rows * m->class_count; i++) out[i] = (double)p[i];
    return ST_OK;
}

uint32_t xgb_class_count(const struct xgb_model *m) {
    return m->class_count;
}
uint32_t xgb_column_count(const struct xgb_model *m) {
    return m->column_count;
}
uint32_t xgb_round_count(const struct xgb_model *m) {
    return m->round_count;
}
uint64_t xgb_file_hash(const struct xgb_model *m) {
    return m->file_hash;
}
