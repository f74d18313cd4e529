/* Bytes that grow, and documents written into them as JSON or UBJSON, the way XGBoost does: keys of
 * 64-bit length, arrays of numbers typed and counted. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/model_io/model_io_internal.h"

static bool reserve(struct model_out *o, size_t size) {
    if (o->no_memory) return false;
    if (o->capacity - o->size >= size) return true;
    size_t capacity = o->capacity ? o->capacity : 4096;
    while (capacity - o->size < size) {
        if (capacity > SIZE_MAX / 2) break;
        capacity *= 2;
    }
    char *grown = capacity - o->size >= size ? realloc(o->data, capacity) : NULL;
    if (!grown) {
        o->no_memory = true;
        return false;
    }
    o->data = grown;
    o->capacity = capacity;
    return true;
}

void model_out_bytes(struct model_out *o, const void *bytes, size_t size) {
    if (size == 0 || !reserve(o, size)) return;
    memcpy(o->data + o->size, bytes, size);
    o->size += size;
}

void model_out_text(struct model_out *o, const char *text) {
    model_out_bytes(o, text, strlen(text));
}

void model_out_format(struct model_out *o, const char *format, ...) {
    char text[128];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ASSERT(size >= 0 && (size_t)size < sizeof text);
    model_out_bytes(o, text, (size_t)size);
}

/* ---- pieces ---- */

static void put(struct model_sink *s, char c) {
    model_out_bytes(s->out, &c, 1);
}

static void put_bits(struct model_sink *s, uint64_t bits, size_t width) {
    unsigned char bytes[8];
    for (size_t i = 0; i < width; i++) bytes[i] = (unsigned char)(bits >> (8 * (width - 1 - i)));
    model_out_bytes(s->out, bytes, width);
}

static void put_length(struct model_sink *s, size_t length) {
    put(s, 'L');
    put_bits(s, (uint64_t)length, 8);
}

/* Before every value: the comma that JSON wants. */
static void value_begin(struct model_sink *s) {
    if (!s->is_ubj && s->need_comma) put(s, ',');
    s->need_comma = true;
}

static void json_string_put(struct model_sink *s, const char *text, size_t size) {
    /* Every byte may become \u00XX; and the writer wants room for a NUL. */
    size_t room = 6 * size + 3;
    if (size > SIZE_MAX / 8 || !reserve(s->out, room)) {
        s->out->no_memory = true;
        return;
    }
    struct json_writer w;
    json_writer_init(&w, s->out->data + s->out->size, room);
    json_write_string_n(&w, text, size);
    ASSERT(json_writer_finish(&w) == ST_OK);
    s->out->size += w.size;
}

/* Shortest digits that read back as the same float, in XGBoost's dress: 5E-1, 1.25E2. */
static void json_f32_put(struct model_sink *s, float value) {
    if (!isfinite(value)) {
        model_out_text(s->out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    char text[32];
    for (int digits = 0; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    char *e = strchr(text, 'e');
    ASSERT(e);
    int exponent = atoi(e + 1);
    model_out_bytes(s->out, text, (size_t)(e - text));
    model_out_format(s->out, "E%d", exponent);
}

/* ---- values ---- */

void model_sink_object_begin(struct model_sink *s) {
    value_begin(s);
    put(s, '{');
    s->need_comma = false;
}

void model_sink_object_end(struct model_sink *s) {
    put(s, '}');
    s->need_comma = true;
}

void model_sink_array_begin(struct model_sink *s, size_t count) {
    value_begin(s);
    put(s, '[');
    if (s->is_ubj) {
        put(s, '#');
        put_length(s, count);
    }
    s->need_comma = false;
}

void model_sink_array_end(struct model_sink *s) {
    if (!s->is_ubj) put(s, ']');
    s->need_comma = true;
}

void model_sink_key(struct model_sink *s, const char *key) {
    value_begin(s);
    if (s->is_ubj) {
        put_length(s, strlen(key));
        model_out_text(s->out, key);
    } else {
        json_string_put(s, key, strlen(key));
        put(s, ':');
    }
    s->need_comma = false;
}

void model_sink_string(struct model_sink *s, const char *text, size_t size) {
    value_begin(s);
    if (s->is_ubj) {
        put(s, 'S');
        put_length(s, size);
        model_out_bytes(s->out, text, size);
    } else {
        json_string_put(s, text, size);
    }
}

void model_sink_i64(struct model_sink *s, int64_t value) {
    value_begin(s);
    if (!s->is_ubj) {
        model_out_format(s->out, "%lld", (long long)value);
        return;
    }
    /* The library takes the next type for the outermost values of each already. */
    size_t width = value > INT8_MIN && value < INT8_MAX     ? 1
                   : value > INT16_MIN && value < INT16_MAX ? 2
                   : value > INT32_MIN && value < INT32_MAX ? 4
                                                            : 8;
    put(s, width == 1 ? 'i' : width == 2 ? 'I' : width == 4 ? 'l' : 'L');
    put_bits(s, (uint64_t)value, width);
}

static uint64_t f32_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void model_sink_f32(struct model_sink *s, float value) {
    value_begin(s);
    if (s->is_ubj) {
        put(s, 'd');
        put_bits(s, f32_bits(value), 4);
    } else {
        json_f32_put(s, value);
    }
}

void model_sink_bool(struct model_sink *s, bool value) {
    value_begin(s);
    if (s->is_ubj)
        put(s, value ? 'T' : 'F');
    else
        model_out_text(s->out, value ? "true" : "false");
}

void model_sink_null(struct model_sink *s) {
    value_begin(s);
    if (s->is_ubj)
        put(s, 'Z');
    else
        model_out_text(s->out, "null");
}

static void typed_begin(struct model_sink *s, char type, size_t count) {
    value_begin(s);
    put(s, '[');
    s->need_comma = false;
    if (!s->is_ubj) return;
    put(s, '$');
    put(s, type);
    put(s, '#');
    put_length(s, count);
}

void model_sink_f32_array(struct model_sink *s, const float *values, size_t count) {
    typed_begin(s, 'd', count);
    for (size_t i = 0; i < count; i++) {
        if (s->is_ubj)
            put_bits(s, f32_bits(values[i]), 4);
        else
            model_sink_f32(s, values[i]);
    }
    model_sink_array_end(s);
}

void model_sink_i32_array(struct model_sink *s, const int32_t *values, size_t count) {
    typed_begin(s, 'l', count);
    for (size_t i = 0; i < count; i++) {
        if (s->is_ubj)
            put_bits(s, (uint32_t)values[i], 4);
        else
            model_sink_i64(s, values[i]);
    }
    model_sink_array_end(s);
}

void model_sink_i64_array(struct model_sink *s, const int64_t *values, size_t count) {
    typed_begin(s, 'L', count);
    for (size_t i = 0; i < count; i++) {
        if (s->is_ubj)
            put_bits(s, (uint64_t)values[i], 8);
        else
            model_sink_i64(s, values[i]);
    }
    model_sink_array_end(s);
}

void model_sink_u8_array(struct model_sink *s, const uint8_t *values, size_t count) {
    typed_begin(s, 'U', count);
    for (size_t i = 0; i < count; i++) {
        if (s->is_ubj)
            put_bits(s, values[i], 1);
        else
            model_sink_i64(s, values[i]);
    }
    model_sink_array_end(s);
}

/* ---- copies ---- */

static void copy_string(struct model_sink *s, struct model_doc *d, const struct json_text *text,
                        bool is_key) {
    char *copy = malloc(text->size + 1);
    size_t size = 0;
    if (!copy) {
        s->out->no_memory = true;
        return;
    }
    if (json_text_copy(copy, text->size + 1, &size, text) != ST_OK || strlen(copy) != size)
        model_doc_refuse(d, ST_CORRUPT, "a NUL in a string");
    else if (is_key)
        model_sink_key(s, copy);
    else
        model_sink_string(s, copy, size);
    free(copy);
}

/* Elements of the array that was just opened; as UBJSON wants their number first, they are written
 * aside. */
static void copy_array(struct model_sink *s, struct model_doc *d) {
    struct model_out aside = {0};
    struct model_sink inner = {.out = &aside, .is_ubj = s->is_ubj};
    size_t count = 0;
    model_doc_array_begin(d);
    while (model_doc_array_next(d) && !aside.no_memory) {
        model_sink_copy(&inner, d);
        count++;
    }
    model_sink_array_begin(s, count);
    model_out_bytes(s->out, aside.data, aside.size);
    model_sink_array_end(s);
    s->out->no_memory |= aside.no_memory;
    free(aside.data);
}

/* Recursion is as deep as the document, which its reader bounds (MODEL_DEPTH_MAX). */
void model_sink_copy(struct model_sink *s, struct model_doc *d) {
    struct json_text text;
    switch (model_doc_peek(d)) {
    case JSON_OBJECT:
        model_sink_object_begin(s);
        model_doc_object_begin(d);
        while (model_doc_object_next(d, &text) && !s->out->no_memory) {
            copy_string(s, d, &text, true);
            model_sink_copy(s, d);
        }
        model_sink_object_end(s);
        break;
    case JSON_ARRAY:
        copy_array(s, d);
        break;
    case JSON_STRING:
        text = model_doc_string(d);
        if (model_doc_going(d)) copy_string(s, d, &text, false);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        model_sink_bool(s, model_doc_bool(d));
        break;
    case JSON_NULL:
        model_doc_skip(d);
        model_sink_null(s);
        break;
    case JSON_NUMBER:
    case JSON_NONE:
        model_sink_f32(s, model_doc_f32(d));
        break;
    }
}
