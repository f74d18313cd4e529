#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ml/nn/file.h"
#include "ml/nn/params.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors are little-endian, and are copied as they are"
#endif

/* The format's own limit of a header. */
enum {
    LENGTH_SIZE = 8,
    HEADER_MAX = 100 * 1000 * 1000,
    RANK_MAX = NN_RANK_MAX + 2,
    PAIRS_MAX = 1024
};

struct pair {
    const char *key, *value;
};

struct entry {
    struct safetensor t;
    uint64_t begin, end;
};

struct safetensors {
    void *owned; /* the file's bytes, NULL if borrowed */
    uint32_t count, capacity;
    struct entry *entries;        /* by offset */
    const struct entry **by_name; /* (count) */
    uint32_t pair_count, pair_capacity;
    struct pair *pairs; /* __metadata__ */
    char *names;        /* decoded strings; never longer than the header */
    size_t names_used, names_size;
};

struct parse {
    struct safetensors *s;
    struct json_reader json;
    const char *name; /* of the file */
    const unsigned char *data;
    uint64_t data_size;
    struct err *err;
};

static const struct {
    const char *name;
    uint32_t size;
} dtypes[] = {{"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
              {"I8", 1},  {"U64", 8}, {"U32", 4}, {"U16", 2},  {"U8", 1},  {"BOOL", 1}};
enum { DTYPE_COUNT = sizeof dtypes / sizeof dtypes[0] };

static size_t byte_of(const struct parse *p, const char *at) {
    return LENGTH_SIZE + (size_t)(at - p->json.begin);
}

/* The decoded string, kept with the file; NULL if it is not a C string. */
static const char *keep(struct parse *p, const struct json_text *text) {
    struct safetensors *s = p->s;
    size_t length = 0;
    char *out = s->names + s->names_used;
    if (json_text_copy(out, s->names_size - s->names_used, &length, text) != ST_OK) return NULL;
    if (memchr(out, 0, length)) return NULL;
    s->names_used += length + 1;
    return out;
}

/* Doubles an array of `size`-byte elements when it is full. */
static bool grow(void *array, uint32_t count, uint32_t *capacity, size_t size) {
    void **at = array;
    if (count < *capacity) return true;
    uint32_t more = *capacity ? *capacity * 2 : 64;
    void *fresh = realloc(*at, more * size);
    if (!fresh) return false;
    *at = fresh;
    *capacity = more;
    return true;
}

static enum status bad_string(struct parse *p, const struct json_text *text) {
    return err_set(p->err, ST_CORRUPT, "%s: byte %zu: a zero within a text", p->name,
                   byte_of(p, text->data));
}

static enum status parse_metadata(struct parse *p) {
    struct safetensors *s = p->s;
    struct json_text key;
    json_object_begin(&p->json);
    while (json_object_next(&p->json, &key)) {
        if (s->pair_count == PAIRS_MAX)
            return err_set(p->err, ST_UNSUPPORTED, "%s: __metadata__ of more than %d entries",
                           p->name, PAIRS_MAX);
        if (!grow(&s->pairs, s->pair_count, &s->pair_capacity, sizeof *s->pairs))
            return err_set(p->err, ST_NO_MEMORY, "%s: metadata", p->name);
        struct json_text value = json_string(&p->json);
        if (p->json.error) break;
        struct pair *pair = &s->pairs[s->pair_count];
        pair->key = keep(p, &key);
        if (!pair->key) return bad_string(p, &key);
        pair->value = keep(p, &value);
        if (!pair->value) return bad_string(p, &value);
        if (safetensors_metadata(s, pair->key))
            return err_set(p->err, ST_CORRUPT, "%s: byte %zu: __metadata__ has %s twice", p->name,
                           byte_of(p, key.data), pair->key);
        s->pair_count++;
    }
    return ST_OK;
}

/* Digits alone: no sign, fraction or exponent. */
static bool parse_u64(struct parse *p, uint64_t *out) {
    struct json_text text = json_number(&p->json);
    uint64_t value = 0;
    if (p->json.error) return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            err_set(p->err, ST_CORRUPT, "%s: byte %zu: %.*s is not a size", p->name,
                    byte_of(p, text.data), text.size > 40 ? 40 : (int)text.size, text.data);
            return false;
        }
    }
    *out = value;
    return true;
}

static enum status parse_shape(struct parse *p, struct safetensor *t) {
    json_array_begin(&p->json);
    while (json_array_next(&p->json)) {
        uint64_t d;
        if (t->rank == RANK_MAX)
            return err_set(p->err, ST_UNSUPPORTED, "%s: %s has more than %d dimensions", p->name,
                           t->name, RANK_MAX);
        if (!parse_u64(p, &d)) return ST_CORRUPT;
        t->shape[t->rank++] = (size_t)d;
    }
    return ST_OK;
}

static enum status parse_offsets(struct parse *p, struct entry *e) {
    uint64_t *out[] = {&e->begin, &e->end};
    size_t n = 0;
    json_array_begin(&p->json);
    while (json_array_next(&p->json)) {
        if (n == 2)
            return err_set(p->err, ST_CORRUPT, "%s: %s: data_offsets of more than two numbers",
                           p->name, e->t.name);
        if (!parse_u64(p, out[n++])) return ST_CORRUPT;
    }
    if (!p->json.error && n != 2)
        return err_set(p->err, ST_CORRUPT, "%s: %s: data_offsets of %zu numbers", p->name,
                       e->t.name, n);
    return ST_OK;
}

static enum status parse_dtype(struct parse *p, struct safetensor *t) {
    struct json_text text = json_string(&p->json);
    if (p->json.error) return ST_OK; /* said at the end */
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (json_text_is(&text, dtypes[i].name)) t->dtype = dtypes[i].name;
    if (!t->dtype)
        return err_set(p->err, ST_UNSUPPORTED, "%s: %s has type %.*s", p->name, t->name,
                       text.size > 40 ? 40 : (int)text.size, text.data);
    return ST_OK;
}

static uint32_t dtype_size(const char *dtype) {
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, dtype) == 0) return dtypes[i].size;
    return 0;
}

/* The size that shape and type say is the size that the offsets say, and lies within the file. */
static enum status check_entry(struct parse *p, struct entry *e) {
    struct safetensor *t = &e->t;
    size_t count = 1, bytes;
    bool overflow = false;
    for (uint32_t i = 0; i < t->rank; i++)
        overflow = overflow || __builtin_mul_overflow(count, t->shape[i], &count);
    overflow = overflow || __builtin_mul_overflow(count, (size_t)dtype_size(t->dtype), &bytes);
    if (overflow || e->begin > e->end || e->end > p->data_size || e->end - e->begin != bytes)
        return err_set(p->err, ST_CORRUPT,
                       "%s: %s: bytes %llu to %llu do not hold its shape, of %llu in the file",
                       p->name, t->name, (unsigned long long)e->begin, (unsigned long long)e->end,
                       (unsigned long long)p->data_size);
    t->count = count;
    t->data = p->data + e->begin;
    return ST_OK;
}

static enum status parse_entry(struct parse *p, struct entry *e) {
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    struct json_text key;
    bool seen[3] = {false};
    json_object_begin(&p->json);
    while (json_object_next(&p->json, &key)) {
        size_t field = 0;
        while (field < 3 && !json_text_is(&key, fields[field])) field++;
        if (field == 3 || seen[field])
            return err_set(p->err, ST_CORRUPT, "%s: byte %zu: %s: field %.*s %s", p->name,
                           byte_of(p, key.data), e->t.name, key.size > 40 ? 40 : (int)key.size,
                           key.data, field == 3 ? "is unknown" : "comes twice");
        seen[field] = true;
        enum status st = field == 0   ? parse_dtype(p, &e->t)
                         : field == 1 ? parse_shape(p, &e->t)
                                      : parse_offsets(p, e);
        if (st != ST_OK) return st == ST_CORRUPT && p->json.error ? ST_OK : st;
    }
    if (p->json.error) return ST_OK;
    for (size_t i = 0; i < 3; i++)
        if (!seen[i])
            return err_set(p->err, ST_CORRUPT, "%s: %s has no %s", p->name, e->t.name, fields[i]);
    return check_entry(p, e);
}

static enum status parse_header(struct parse *p) {
    struct safetensors *s = p->s;
    struct json_text key;
    bool has_metadata = false;
    enum status st = ST_OK;
    json_object_begin(&p->json);
    while (st == ST_OK && json_object_next(&p->json, &key)) {
        if (json_text_is(&key, "__metadata__")) {
            if (has_metadata)
                return err_set(p->err, ST_CORRUPT, "%s: byte %zu: __metadata__ comes twice",
                               p->name, byte_of(p, key.data));
            has_metadata = true;
            st = parse_metadata(p);
            continue;
        }
        if (!grow(&s->entries, s->count, &s->capacity, sizeof *s->entries))
            return err_set(p->err, ST_NO_MEMORY, "%s: %u tensors", p->name, s->count);
        struct entry *e = &s->entries[s->count];
        memset(e, 0, sizeof *e);
        e->t.name = keep(p, &key);
        if (!e->t.name) return bad_string(p, &key);
        st = parse_entry(p, e);
        s->count++;
    }
    if (st != ST_OK) return st;
    if (json_finish(&p->json) != ST_OK)
        return err_set(p->err, ST_CORRUPT, "%s: byte %zu: %s", p->name,
                       LENGTH_SIZE + p->json.error_offset, p->json.error);
    return ST_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int compare_names(const void *a, const void *b) {
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->t.name, (*y)->t.name);
}

static int compare_key(const void *key, const void *b) {
    const struct entry *const *y = b;
    return strcmp(key, (*y)->t.name);
}

/* Every byte belongs to one tensor, every name is there once. */
static enum status check_whole(struct parse *p) {
    struct safetensors *s = p->s;
    uint64_t at = 0;
    if (s->count == 0)
        return p->data_size == 0 ? ST_OK
                                 : err_set(p->err, ST_CORRUPT, "%s: %llu bytes behind no tensor",
                                           p->name, (unsigned long long)p->data_size);
    qsort(s->entries, s->count, sizeof *s->entries, compare_offsets);
    s->by_name = malloc(s->count * sizeof *s->by_name);
    if (!s->by_name) return err_set(p->err, ST_NO_MEMORY, "%s: %u tensors", p->name, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        if (e->begin != at)
            return err_set(p->err, ST_CORRUPT, "%s: %s begins at byte %llu of the data, not %llu",
                           p->name, e->t.name, (unsigned long long)e->begin,
                           (unsigned long long)at);
        at = e->end;
        s->by_name[i] = e;
    }
    if (at != p->data_size)
        return err_set(p->err, ST_CORRUPT, "%s: tensors end at byte %llu of %llu of data", p->name,
                       (unsigned long long)at, (unsigned long long)p->data_size);
    qsort(s->by_name, s->count, sizeof *s->by_name, compare_names);
    for (uint32_t i = 1; i < s->count; i++)
        if (strcmp(s->by_name[i]->t.name, s->by_name[i - 1]->t.name) == 0)
            return err_set(p->err, ST_CORRUPT, "%s: tensor %s comes twice", p->name,
                           s->by_name[i]->t.name);
    return ST_OK;
}

static enum status parse(struct parse *p, const unsigned char *bytes, size_t size) {
    uint64_t length;
    if (size < LENGTH_SIZE)
        return err_set(p->err, ST_CORRUPT, "%s: %zu bytes are no safetensors file", p->name, size);
    memcpy(&length, bytes, sizeof length);
    if (length > HEADER_MAX || length > size - LENGTH_SIZE)
        return err_set(p->err, ST_CORRUPT, "%s: byte 0: a header of %llu bytes in a file of %zu",
                       p->name, (unsigned long long)length, size);
    const char *header = (const char *)bytes + LENGTH_SIZE;
    if (length == 0 || header[0] != '{')
        return err_set(p->err, ST_CORRUPT, "%s: byte %d: the header does not begin with {", p->name,
                       LENGTH_SIZE);
    p->data = bytes + LENGTH_SIZE + length;
    p->data_size = size - LENGTH_SIZE - length;
    p->s->names_size = (size_t)length;
    p->s->names = malloc((size_t)length);
    if (!p->s->names) return err_set(p->err, ST_NO_MEMORY, "%s: header", p->name);
    json_reader_init(&p->json, header, (size_t)length);
    enum status st = parse_header(p);
    return st == ST_OK ? check_whole(p) : st;
}

enum status safetensors_parse(struct safetensors **out, const void *bytes, size_t size,
                              const char *name, struct err *err) {
    *out = NULL;
    struct parse p = {.s = calloc(1, sizeof *p.s), .name = name, .err = err};
    if (!p.s) return err_set(err, ST_NO_MEMORY, "%s", name);
    enum status st = parse(&p, bytes, size);
    if (st == ST_OK)
        *out = p.s;
    else
        safetensors_close(p.s);
    return st;
}

enum status safetensors_open(struct safetensors **out, const char *path, struct err *err) {
    void *bytes;
    size_t size;
    *out = NULL;
    enum status st = nn_file_read(&bytes, &size, path, err);
    if (st != ST_OK) return st;
    st = safetensors_parse(out, bytes, size, path, err);
    if (st == ST_OK)
        (*out)->owned = bytes;
    else
        free(bytes);
    return st;
}

void safetensors_close(struct safetensors *s) {
    if (!s) return;
    free(s->owned);
    free(s->entries);
    free(s->by_name);
    free(s->pairs);
    free(s->names);
    free(s);
}

uint32_t safetensors_count(const struct safetensors *s) {
    return s->count;
}

const struct safetensor *safetensors_at(const struct safetensors *s, uint32_t index) {
    return &s->entries[index].t;
}

const struct safetensor *safetensors_find(const struct safetensors *s, const char *name) {
    if (s->count == 0) return NULL;
    const struct entry *const *found =
        bsearch(name, s->by_name, s->count, sizeof *s->by_name, compare_key);
    return found ? &(*found)->t : NULL;
}

const char *safetensors_metadata(const struct safetensors *s, const char *key) {
    for (uint32_t i = 0; i < s->pair_count; i++)
        if (strcmp(s->pairs[i].key, key) == 0) return s->pairs[i].value;
    return NULL;
}

/* IEEE half: 5 bits of exponent, 10 of fraction. */
static double half_value(uint16_t h) {
    uint32_t exponent = (h >> 10) & 31u, fraction = h & 1023u, bits = (uint32_t)(h & 0x8000u) << 16;
    if (exponent == 0) {
        double tiny = (double)fraction * 0x1p-24;
        return bits ? -tiny : tiny;
    }
    bits |= (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static double bfloat_value(uint16_t b) {
    uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

#define WIDEN(type, expression)                                                                    \
    do {                                                                                           \
        for (size_t i = 0; i < t->count; i++) {                                                    \
            type x;                                                                                \
            memcpy(&x, from + i * sizeof x, sizeof x);                                             \
            out[i] = (double)(expression);                                                         \
        }                                                                                          \
        return ST_OK;                                                                              \
    } while (0)

enum status safetensor_f64(double *out, const struct safetensor *t) {
    const unsigned char *from = t->data;
    if (strcmp(t->dtype, "F32") == 0) WIDEN(float, x);
    if (strcmp(t->dtype, "F64") == 0) WIDEN(double, x);
    if (strcmp(t->dtype, "F16") == 0) WIDEN(uint16_t, half_value(x));
    if (strcmp(t->dtype, "BF16") == 0) WIDEN(uint16_t, bfloat_value(x));
    if (strcmp(t->dtype, "I64") == 0) WIDEN(int64_t, x);
    if (strcmp(t->dtype, "I32") == 0) WIDEN(int32_t, x);
    if (strcmp(t->dtype, "U8") == 0 || strcmp(t->dtype, "BOOL") == 0) WIDEN(uint8_t, x);
    return ST_UNSUPPORTED;
}
