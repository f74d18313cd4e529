#include "ml/nn/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ml/nn/file.h"

enum { ALIGN_BYTES = 64, ALIGN_VALUES = ALIGN_BYTES / sizeof(nn_real) };

enum status nn_params_init(struct nn_params *p, uint32_t capacity, struct err *err) {
    memset(p, 0, sizeof *p);
    if (capacity == 0 || capacity > NN_TENSORS_MAX)
        return err_set(err, ST_RANGE, "%u tensors, 1 to %d are possible", capacity, NN_TENSORS_MAX);
    p->tensors = calloc(capacity, sizeof *p->tensors);
    if (!p->tensors) return err_set(err, ST_NO_MEMORY, "%u tensors", capacity);
    p->capacity = capacity;
    return ST_OK;
}

enum status nn_params_add(struct nn_params *p, const char *name, bool trainable, uint32_t rank,
                          const size_t *shape) {
    if (p->count == p->capacity) return ST_FULL;
    if (rank > NN_RANK_MAX || strlen(name) >= NN_NAME_SIZE) return ST_RANGE;
    if (nn_params_find(p, name)) return ST_EXISTS;
    struct nn_tensor *t = &p->tensors[p->count];
    memset(t, 0, sizeof *t);
    strcpy(t->name, name);
    t->trainable = trainable;
    t->rank = rank;
    t->count = 1;
    for (uint32_t i = 0; i < rank; i++) {
        t->shape[i] = shape[i];
        if (shape[i] == 0 || __builtin_mul_overflow(t->count, shape[i], &t->count)) return ST_RANGE;
    }
    p->count++;
    return ST_OK;
}

enum status nn_params_tie(struct nn_params *p, const char *name, const char *original) {
    const struct nn_tensor *of = nn_params_find(p, original);
    if (!of) return ST_NOT_FOUND;
    uint32_t index = of->is_tied ? of->tied_to : (uint32_t)(of - p->tensors);
    enum status st = nn_params_add(p, name, false, of->rank, of->shape);
    if (st != ST_OK) return st;
    struct nn_tensor *t = &p->tensors[p->count - 1];
    t->is_integer = p->tensors[index].is_integer;
    t->is_tied = true;
    t->tied_to = index;
    return ST_OK;
}

static size_t padded(size_t count) {
    return (count + ALIGN_VALUES - 1) / ALIGN_VALUES * ALIGN_VALUES;
}

static nn_real *block(size_t count) {
    size_t bytes = (count ? count : ALIGN_VALUES) * sizeof(nn_real);
    nn_real *b = aligned_alloc(ALIGN_BYTES, bytes);
    if (b) memset(b, 0, bytes);
    return b;
}

/* Where each tensor lies: trainable ones first. */
static void place_tensors(struct nn_params *p, bool training) {
    size_t at[2] = {0, p->trainable_size};
    for (uint32_t i = 0; i < p->count; i++) {
        struct nn_tensor *t = &p->tensors[i];
        size_t *next = &at[!t->trainable];
        if (t->is_tied) {
            t->value = p->tensors[t->tied_to].value;
            continue;
        }
        t->value = p->value + *next;
        if (training && t->trainable) {
            t->grad = p->grad + *next;
            t->m = p->m + *next;
            t->v = p->v + *next;
        }
        *next += padded(t->count);
    }
}

enum status nn_params_place(struct nn_params *p, bool training, struct err *err) {
    size_t size = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct nn_tensor *t = &p->tensors[i];
        if (t->is_tied) continue;
        if (t->count > SIZE_MAX / sizeof(nn_real) / 2 - size - ALIGN_VALUES)
            return err_set(err, ST_RANGE, "%s: too large", t->name);
        size += padded(t->count);
        if (t->trainable) p->trainable_size += padded(t->count);
    }
    p->size = size;
    p->value = block(size);
    if (training) {
        p->grad = block(p->trainable_size);
        p->m = block(p->trainable_size);
        p->v = block(p->trainable_size);
    }
    if (!p->value || (training && (!p->grad || !p->m || !p->v))) {
        nn_params_free(p);
        return err_set(err, ST_NO_MEMORY, "%zu parameters", size);
    }
    place_tensors(p, training);
    return ST_OK;
}

void nn_params_free(struct nn_params *p) {
    free(p->tensors);
    free(p->value);
    free(p->grad);
    free(p->m);
    free(p->v);
    memset(p, 0, sizeof *p);
}

struct nn_tensor *nn_params_find(struct nn_params *p, const char *name) {
    for (uint32_t i = 0; i < p->count; i++)
        if (strcmp(p->tensors[i].name, name) == 0) return &p->tensors[i];
    return NULL;
}

/* ---- files ---- */

static void shape_text(char *out, size_t size, const size_t *shape, uint32_t rank) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

static bool is_float(const char *dtype) {
    static const char *const names[] = {"F32", "F64", "F16", "BF16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(dtype, names[i]) == 0) return true;
    return false;
}

/* Shape and type are as expected, and every value is a number nn_real can hold. */
static enum status check_tensor(const struct nn_tensor *t, const struct safetensor *s,
                                struct err *err) {
    if (s->rank != t->rank || memcmp(s->shape, t->shape, t->rank * sizeof *t->shape) != 0) {
        char have[120], want[120];
        shape_text(have, sizeof have, s->shape, s->rank);
        shape_text(want, sizeof want, t->shape, t->rank);
        return err_set(err, ST_MISMATCH, "%s has shape %s, the network's is %s", t->name, have,
                       want);
    }
    if (t->is_integer ? strcmp(s->dtype, "I64") != 0 : !is_float(s->dtype))
        return err_set(err, ST_MISMATCH, "%s has type %s, the network's is %s", t->name, s->dtype,
                       t->is_integer ? "I64" : "F32");
    return ST_OK;
}

/* Into the first `count` values at out. */
static enum status convert(nn_real *out, double *wide, const struct safetensor *s,
                           struct err *err) {
    enum status st = safetensor_f64(wide, s);
    if (st != ST_OK) return err_set(err, st, "%s has type %s", s->name, s->dtype);
    for (size_t i = 0; i < s->count; i++) {
        out[i] = (nn_real)wide[i];
        if (!isfinite(out[i]))
            return err_set(err, ST_CORRUPT, "%s: value %zu is %g", s->name, i, wide[i]);
    }
    return ST_OK;
}

static enum status check_names(struct nn_params *p, const struct safetensors *file, size_t *largest,
                               struct err *err) {
    *largest = 1;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct safetensor *s = safetensors_find(file, p->tensors[i].name);
        if (!s && p->tensors[i].is_tied) continue;
        if (!s) return err_set(err, ST_NOT_FOUND, "tensor %s is missing", p->tensors[i].name);
        enum status st = check_tensor(&p->tensors[i], s, err);
        if (st != ST_OK) return st;
        if (s->count > *largest) *largest = s->count;
    }
    for (uint32_t i = 0; i < safetensors_count(file); i++)
        if (!nn_params_find(p, safetensors_at(file, i)->name))
            return err_set(err, ST_MISMATCH, "tensor %s is none of the network's",
                           safetensors_at(file, i)->name);
    return ST_OK;
}

/* All or nothing: converted beside the present values, which then take them over. */
static enum status take(struct nn_params *p, const struct safetensors *file, struct err *err) {
    size_t largest;
    enum status st = check_names(p, file, &largest, err);
    if (st != ST_OK) return st;
    double *wide = malloc(largest * sizeof *wide);
    nn_real *fresh = block(p->size);
    if (!wide || !fresh) st = err_set(err, ST_NO_MEMORY, "%zu parameters", p->size);
    for (uint32_t i = 0; i < p->count && st == ST_OK; i++) {
        const struct nn_tensor *t = &p->tensors[i];
        const struct safetensor *s = safetensors_find(file, t->name);
        if (s) st = convert(fresh + (t->value - p->value), wide, s, err);
    }
    if (st == ST_OK) {
        memcpy(p->value, fresh, p->size * sizeof *fresh);
        p->changes++;
    }
    free(wide);
    free(fresh);
    return st;
}

enum status nn_params_parse(struct nn_params *p, const void *bytes, size_t size, const char *name,
                            struct err *err) {
    struct safetensors *file;
    enum status st = safetensors_parse(&file, bytes, size, name, err);
    if (st != ST_OK) return st;
    st = take(p, file, err);
    safetensors_close(file);
    return st == ST_OK ? ST_OK : err_wrap(err, st, "%s", name);
}

enum status nn_params_load(struct nn_params *p, const char *path, struct err *err) {
    struct safetensors *file;
    enum status st = safetensors_open(&file, path, err);
    if (st != ST_OK) return st;
    st = take(p, file, err);
    safetensors_close(file);
    return st == ST_OK ? ST_OK : err_wrap(err, st, "%s", path);
}

static size_t value_size(const struct nn_tensor *t) {
    return t->is_integer ? sizeof(int64_t) : sizeof(nn_real);
}

static void write_entry(struct json_writer *w, const struct nn_tensor *t, uint64_t begin) {
    json_write_key(w, t->name);
    json_write_object_begin(w);
    json_write_key(w, "dtype");
    json_write_string(w, t->is_integer ? "I64" : sizeof(nn_real) == 4 ? "F32" : "F64");
    json_write_key(w, "shape");
    json_write_array_begin(w);
    for (uint32_t d = 0; d < t->rank; d++) json_write_u64(w, t->shape[d]);
    json_write_array_end(w);
    json_write_key(w, "data_offsets");
    json_write_array_begin(w);
    json_write_u64(w, begin);
    json_write_u64(w, begin + t->count * value_size(t));
    json_write_array_end(w);
    json_write_object_end(w);
}

static size_t metadata_size(const char *metadata) {
    const char *m = metadata;
    if (m)
        while (*m) m += strlen(m) + 1;
    return m ? (size_t)(m - metadata) : 0;
}

/* Integers stand first, so that every value is aligned to its size (readers map the file). */
static enum status write_header(char *out, size_t capacity, size_t *size, const struct nn_params *p,
                                const char *metadata) {
    struct json_writer w;
    json_writer_init(&w, out, capacity);
    json_write_object_begin(&w);
    if (metadata) {
        json_write_key(&w, "__metadata__");
        json_write_object_begin(&w);
        for (const char *m = metadata; *m;) {
            const char *value = m + strlen(m) + 1;
            json_write_key(&w, m);
            json_write_string(&w, value);
            m = value + strlen(value) + 1;
        }
        json_write_object_end(&w);
    }
    uint64_t at = 0;
    for (int integers = 1; integers >= 0; integers--)
        for (uint32_t i = 0; i < p->count; i++) {
            const struct nn_tensor *t = &p->tensors[i];
            if (t->is_integer != (integers == 1)) continue;
            write_entry(&w, t, at);
            at += t->count * value_size(t);
        }
    json_write_object_end(&w);
    *size = w.size;
    return json_writer_finish(&w);
}

static size_t write_data(unsigned char *out, const struct nn_params *p) {
    unsigned char *at = out;
    for (int integers = 1; integers >= 0; integers--)
        for (uint32_t i = 0; i < p->count; i++) {
            const struct nn_tensor *t = &p->tensors[i];
            if (t->is_integer != (integers == 1)) continue;
            if (!t->is_integer) {
                memcpy(at, t->value, t->count * sizeof(nn_real));
            } else {
                for (size_t k = 0; k < t->count; k++) {
                    int64_t whole = (int64_t)t->value[k];
                    memcpy(at + k * sizeof whole, &whole, sizeof whole);
                }
            }
            at += t->count * value_size(t);
        }
    return (size_t)(at - out);
}

enum status nn_params_save(const struct nn_params *p, const char *path, const char *metadata,
                           struct err *err) {
    /* A character may need six; 160 hold an entry's keys and numbers. */
    size_t capacity = 64 + 16 * metadata_size(metadata) + p->count * (6 * NN_NAME_SIZE + 320u);
    size_t data_size = 0, header_size = 0;
    for (uint32_t i = 0; i < p->count; i++)
        data_size += p->tensors[i].count * value_size(&p->tensors[i]);
    char *header = malloc(capacity);
    unsigned char *data = malloc(data_size ? data_size : 1);
    enum status st = ST_OK;
    if (!header || !data) st = err_set(err, ST_NO_MEMORY, "%s: %zu bytes", path, data_size);
    if (st == ST_OK) {
        st = write_header(header, capacity - 8, &header_size, p, metadata);
        if (st != ST_OK) err_set(err, st, "%s: header beyond %zu bytes", path, capacity);
    }
    if (st == ST_OK) {
        while (header_size % 8 != 0) header[header_size++] = ' ';
        uint64_t length = header_size;
        struct nn_file_part parts[] = {
            {&length, sizeof length}, {header, header_size}, {data, write_data(data, p)}};
        st = nn_file_replace(path, parts, 3, err);
    }
    free(header);
    free(data);
    return st;
}
