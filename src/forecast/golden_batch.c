/* Windows of a golden case, by the names that its files use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forecast/golden_internal.h"

void golden_arrays_free(struct golden_arrays *arrays) {
    for (uint32_t i = 0; i < arrays->count; i++) free(arrays->at[i]);
    arrays->count = 0;
}

/* One window batch of a tensor: the whole of it, or its slice `index` where the first dimension counts batches. */
struct slice {
    const struct safetensor *t;
    size_t index, count;
    const size_t *shape;
    uint32_t rank;
};

static struct slice slice_of(const struct safetensor *t, bool batches, size_t index) {
    if (!batches) return (struct slice){t, 0, t->count, t->shape, t->rank};
    return (struct slice){t, index, t->count / t->shape[0], t->shape + 1, t->rank - 1};
}

/* *out NULL if the file has no such tensor. */
static enum status load(const nn_real **out, struct golden_arrays *arrays, const struct slice *s,
                        struct err *err) {
    double *all = malloc(s->t->count * sizeof *all);
    nn_real *own = malloc(s->count * sizeof *own);
    enum status st = all && own ? safetensor_f64(all, s->t) : ST_NO_MEMORY;
    if (st == ST_OK && arrays->count == GOLDEN_ARRAYS) st = ST_FULL;
    if (st != ST_OK) {
        free(all);
        free(own);
        return err_set(err, st, "tensor %s", s->t->name);
    }
    for (size_t i = 0; i < s->count; i++) own[i] = (nn_real)all[s->index * s->count + i];
    free(all);
    arrays->at[arrays->count++] = own;
    *out = own;
    return ST_OK;
}

/* X of the paper's repository (n, channels, steps) as (n, steps, channels). */
static enum status transposed(const nn_real **out, struct golden_arrays *arrays,
                              const struct slice *s, struct err *err) {
    const nn_real *from = NULL;
    if (s->rank != 3) return err_set(err, ST_MISMATCH, "tensor %s: rank %u", s->t->name, s->rank);
    enum status st = load(&from, arrays, s, err);
    if (st != ST_OK) return st;
    if (arrays->count == GOLDEN_ARRAYS) return err_set(err, ST_FULL, "tensor %s", s->t->name);
    nn_real *to = malloc(s->count * sizeof *to);
    if (!to) return err_set(err, ST_NO_MEMORY, "tensor %s", s->t->name);
    arrays->at[arrays->count++] = to;
    size_t channels = s->shape[1], steps = s->shape[2];
    for (size_t i = 0; i < s->count; i++) {
        size_t step = i % steps, channel = i / steps % channels, window = i / steps / channels;
        to[(window * steps + step) * channels + channel] = from[i];
    }
    *out = to;
    return ST_OK;
}

/* A name with the prefix, else without it (masked windows share their exogenous inputs); NULL if there is none. */
static const struct safetensor *find(const struct safetensors *file, const char *prefix,
                                     const char *name) {
    char full[NN_NAME_SIZE];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const struct safetensor *t = safetensors_find(file, full);
    return t || !*prefix ? t : safetensors_find(file, name);
}

struct source {
    const struct safetensors *file;
    const char *prefix;
    bool batches; /* the first dimension counts batches */
    size_t index;
};

static enum status fill(struct nn_batch *batch, struct golden_arrays *arrays,
                        const struct source *from, const char *const names[7], struct err *err) {
    const nn_real **fields[] = {&batch->x,         &batch->target,    &batch->mask,
                                &batch->hist_exog, &batch->futr_exog, &batch->stat_exog,
                                &batch->futr_exog};
    enum { X = 0, TARGET = 1, TRANSPOSED = 6 };
    memset(batch, 0, sizeof *batch);
    for (int i = 0; i < 7; i++) {
        const struct safetensor *t = find(from->file, from->prefix, names[i]);
        if (!t && i <= TARGET) return err_set(err, ST_NOT_FOUND, "no tensor %s", names[i]);
        if (!t) continue;
        if (t->rank < (from->batches ? 3u : 2u) || t->shape[0] <= from->index)
            return err_set(err, ST_MISMATCH, "tensor %s: shape", t->name);
        struct slice s = slice_of(t, from->batches, from->index);
        if (i == X) batch->n = s.shape[0];
        if (s.shape[0] != batch->n)
            return err_set(err, ST_MISMATCH, "tensor %s: %zu windows, %s has %zu", t->name,
                           s.shape[0], names[X], batch->n);
        enum status st = i == TRANSPOSED ? transposed(fields[i], arrays, &s, err)
                                         : load(fields[i], arrays, &s, err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

enum status golden_batch_io(struct nn_batch *batch, struct golden_arrays *arrays,
                            const struct safetensors *io, const char *prefix, struct err *err) {
    static const char *const names[7] = {"x",         "target",    "mask", "hist_exog",
                                         "futr_exog", "stat_exog", "X"};
    return fill(batch, arrays, &(struct source){io, prefix, false, 0}, names, err);
}

enum status golden_batch_curve(struct nn_batch *batch, struct golden_arrays *arrays,
                               const struct safetensors *curve, size_t index, struct err *err) {
    static const char *const names[7] = {"xb",          "yb",          "mask_b", "hist_exog_b",
                                         "futr_exog_b", "stat_exog_b", "X_b"};
    return fill(batch, arrays, &(struct source){curve, "", true, index}, names, err);
}
