#include <math.h>

#include "base/assert.h"
#include "base/fx.h"
#include "base/json.h"
#include "base/json_internal.h"
#include "base/numtext.h"

/* What stack[] holds. In an object a key and a value take turns. */
enum { ARRAY, OBJECT_KEY_DUE, OBJECT_VALUE_DUE };

/* One byte is always kept for the final NUL. */
static void put(struct json_writer *w, const char *data, size_t size) {
    if (w->overflow || size >= w->capacity - w->size) {
        w->overflow = true;
        return;
    }
    memcpy(w->out + w->size, data, size);
    w->size += size;
}

static void put_char(struct json_writer *w, char c) {
    if (w->overflow || w->capacity - w->size < 2) {
        w->overflow = true;
        return;
    }
    w->out[w->size++] = c;
}

static void before_value(struct json_writer *w) {
    if (w->depth == 0) {
        ASSERT(!w->need_comma); /* one top-level value */
        return;
    }
    ASSERT(w->stack[w->depth - 1] != OBJECT_KEY_DUE);
    if (w->stack[w->depth - 1] == ARRAY && w->need_comma) put_char(w, ',');
}

static void after_value(struct json_writer *w) {
    w->need_comma = true;
    if (w->depth > 0 && w->stack[w->depth - 1] == OBJECT_VALUE_DUE)
        w->stack[w->depth - 1] = OBJECT_KEY_DUE;
}

static void put_value(struct json_writer *w, const char *text, size_t size) {
    before_value(w);
    put(w, text, size);
    after_value(w);
}

/* Nearly every text is short and has nothing to escape; false: this one has, or there is no room. */
static bool put_plain(struct json_writer *w, const char *text, size_t size) {
    if (w->overflow || size + 2 >= w->capacity - w->size) return false;
    char *out = w->out + w->size;
    if (json_scan_short(text, size)) return false;
    out[0] = '"';
    memcpy(out + 1, text, size);
    out[1 + size] = '"';
    w->size += size + 2;
    return true;
}

static void put_quoted(struct json_writer *w, const char *text, size_t size) {
    enum { SHORT_MAX = 32 };
    if (size <= SHORT_MAX && put_plain(w, text, size)) return;
    const char *p = text, *end = text + size;
    put_char(w, '"');
    while (p < end) {
        const char *plain = json_scan(p, end);
        put(w, p, (size_t)(plain - p));
        p = plain;
        if (p == end) break;
        unsigned char c = (unsigned char)*p;
        if (c >= 0x80) {
            size_t n = json_utf8_length(p, end);
            if (n)
                put(w, p, n);
            else
                put(w, "\xEF\xBF\xBD", 3);
            p += n ? n : 1;
            continue;
        }
        static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
        const char *letter = c ? strchr(letters, c) : NULL;
        if (letter) {
            put(w, (char[]){'\\', names[letter - letters]}, 2);
        } else {
            static const char hex[] = "0123456789abcdef";
            put(w, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        }
        p++;
    }
    put_char(w, '"');
}

void json_writer_init(struct json_writer *w, char *out, size_t capacity) {
    *w = (struct json_writer){.out = out, .capacity = capacity};
}

static void container_begin(struct json_writer *w, char open, uint8_t kind) {
    before_value(w);
    ASSERT(w->depth < JSON_DEPTH_MAX);
    w->stack[w->depth++] = kind;
    w->need_comma = false;
    put_char(w, open);
}

static void container_end(struct json_writer *w, char close, uint8_t kind) {
    ASSERT(w->depth > 0 && w->stack[w->depth - 1] == kind);
    w->depth--;
    put_char(w, close);
    after_value(w);
}

void json_write_object_begin(struct json_writer *w) {
    container_begin(w, '{', OBJECT_KEY_DUE);
}
void json_write_object_end(struct json_writer *w) {
    container_end(w, '}', OBJECT_KEY_DUE);
}
void json_write_array_begin(struct json_writer *w) {
    container_begin(w, '[', ARRAY);
}
void json_write_array_end(struct json_writer *w) {
    container_end(w, ']', ARRAY);
}

void json_write_key(struct json_writer *w, const char *key) {
    ASSERT(w->depth > 0 && w->stack[w->depth - 1] == OBJECT_KEY_DUE);
    if (w->need_comma) put_char(w, ',');
    put_quoted(w, key, strlen(key));
    put_char(w, ':');
    w->stack[w->depth - 1] = OBJECT_VALUE_DUE;
}

void json_write_string_n(struct json_writer *w, const char *text, size_t size) {
    before_value(w);
    put_quoted(w, text, size);
    after_value(w);
}

void json_write_string(struct json_writer *w, const char *text) {
    json_write_string_n(w, text, strlen(text));
}

static void put_integer(struct json_writer *w, uint64_t magnitude, bool negative) {
    char text[24];
    size_t n = sizeof text;
    do text[--n] = (char)('0' + magnitude % 10);
    while (magnitude /= 10);
    if (negative) text[--n] = '-';
    put_value(w, text + n, sizeof text - n);
}

void json_write_u64(struct json_writer *w, uint64_t value) {
    put_integer(w, value, false);
}

void json_write_i64(struct json_writer *w, int64_t value) {
    put_integer(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void json_write_f64(struct json_writer *w, double value) {
    char text[NUMTEXT_SIZE];
    if (isfinite(value))
        put_value(w, text, numtext_f64(text, value));
    else
        json_write_null(w);
}

void json_write_e8(struct json_writer *w, int64_t e8) {
    char text[FX_TEXT_SIZE];
    json_write_string_n(w, text, fx_format(text, e8));
}

void json_write_e8_number(struct json_writer *w, int64_t e8) {
    char text[FX_TEXT_SIZE];
    put_value(w, text, fx_format(text, e8));
}

void json_write_bool(struct json_writer *w, bool value) {
    put_value(w, value ? "true" : "false", value ? 4 : 5);
}

void json_write_null(struct json_writer *w) {
    put_value(w, "null", 4);
}

void json_write_raw(struct json_writer *w, const char *json, size_t size) {
    put_value(w, json, size);
}

enum status json_writer_finish(struct json_writer *w) {
    ASSERT(w->depth == 0);
    if (w->capacity > 0) w->out[w->size] = '\0';
    return w->overflow ? ST_FULL : ST_OK;
}
