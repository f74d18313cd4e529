#include <math.h>

#include "base/assert.h"
#include "base/fx.h"
#include "base/json.h"
#include "base/json_internal.h"
#include "base/numtext.h"

/* What stack[] holds: the container, and whether it has had its first element. */
enum { IN_OBJECT = 1, IN_ARRAY = 2, HAD_FIRST = 4 };

__attribute__((cold, noinline)) static bool fail(struct json_reader *r, const char *at,
                                                 const char *error) {
    if (!r->error) {
        r->error = error;
        r->error_offset = (size_t)(at - r->begin);
    }
    return false;
}

__attribute__((cold, noinline)) static void fail_type(struct json_reader *r, const char *at,
                                                      const char *error) {
    if (at == r->end) error = "unexpected end of text";
    fail(r, at, error);
}

static inline bool is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

static inline const char *space_skip(const char *p, const char *end) {
    const uint64_t spaces = 1ull << ' ' | 1ull << '\t' | 1ull << '\n' | 1ull << '\r';
    while (p < end && (unsigned char)*p <= ' ' && (spaces >> (unsigned char)*p & 1)) p++;
    return p;
}

void json_reader_init(struct json_reader *r, const char *text, size_t size) {
    *r = (struct json_reader){.cursor = text, .begin = text, .end = text + size};
}

enum json_type json_peek(struct json_reader *r) {
    if (r->error) return JSON_NONE;
    r->cursor = space_skip(r->cursor, r->end);
    if (r->cursor == r->end) return JSON_NONE;
    switch (*r->cursor) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return *r->cursor == '-' || is_digit(*r->cursor) ? JSON_NUMBER : JSON_NONE;
    }
}

/* ---- strings ---- */

/* Value of the four hexadecimal digits at p, or -1. */
static int32_t hex4(const char *p, const char *end) {
    if (end - p < 4) return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = is_digit(c)              ? c - '0'
                    : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                    : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                             : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Reads the escape at p (a backslash); its length, or 0 with *error set. */
static size_t escape_read(const char *p, const char *end, uint32_t *out, const char **error) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    *error = "invalid escape";
    if (end - p < 2) return 0;
    if (p[1] != 'u') {
        const char *letter = p[1] ? strchr(letters, p[1]) : NULL;
        if (!letter) return 0;
        *out = (unsigned char)values[letter - letters];
        return 2;
    }
    int32_t unit = hex4(p + 2, end);
    if (unit < 0) return 0;
    *out = (uint32_t)unit;
    if (unit < 0xD800 || unit > 0xDFFF) return 6;
    *error = "lone surrogate";
    if (unit > 0xDBFF || end - p < 12 || p[6] != '\\' || p[7] != 'u') return 0;
    int32_t low = hex4(p + 8, end);
    if (low < 0xDC00 || low > 0xDFFF) return 0;
    *out = 0x10000 + ((*out - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return 12;
}

/* p stands behind the opening quote; returns the place behind the closing one, NULL on error. */
static const char *string_scan(struct json_reader *r, const char *p, struct json_text *out) {
    const char *begin = p, *error;
    bool escaped = false;
    uint32_t ignored;
    for (;;) {
        p = json_scan(p, r->end);
        if (p == r->end) {
            fail(r, begin - 1, "string is not closed");
            return NULL;
        }
        if (*p == '"') break;
        size_t n;
        if (*p == '\\') {
            n = escape_read(p, r->end, &ignored, &error);
            escaped = true;
        } else if ((unsigned char)*p < 0x20) {
            n = 0;
            error = "control character in a string";
        } else {
            n = json_utf8_length(p, r->end);
            error = "invalid UTF-8";
        }
        if (n == 0) {
            fail(r, p, error);
            return NULL;
        }
        p += n;
    }
    *out = (struct json_text){.data = begin, .size = (size_t)(p - begin), .escaped = escaped};
    return p + 1;
}

struct json_text json_string(struct json_reader *r) {
    struct json_text text = {0};
    if (r->error) return text;
    const char *p = space_skip(r->cursor, r->end);
    if (p == r->end || *p != '"') {
        fail_type(r, p, "expected a string");
        return text;
    }
    p = string_scan(r, p + 1, &text);
    if (!p) return (struct json_text){0};
    r->cursor = p;
    return text;
}

/* Writes the UTF-8 of one code point; returns its length. */
static size_t utf8_put(char out[4], uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return n;
}

/* Decodes what stands at *p into out; the number of bytes, 0 on an invalid escape. */
static size_t decode_step(char out[4], const char **p, const char *end) {
    if (**p != '\\') {
        out[0] = *(*p)++;
        return 1;
    }
    uint32_t c;
    const char *error;
    size_t n = escape_read(*p, end, &c, &error);
    *p += n;
    return n ? utf8_put(out, c) : 0;
}

bool json_text_is_decoded(const struct json_text *text, const char *literal) {
    const char *p = text->data, *end = p + text->size;
    size_t left = strlen(literal);
    while (p < end) {
        char bytes[4];
        size_t n = decode_step(bytes, &p, end);
        if (n == 0 || n > left || memcmp(bytes, literal, n) != 0) return false;
        literal += n;
        left -= n;
    }
    return left == 0;
}

enum status json_text_copy(char *out, size_t out_size, size_t *out_length,
                           const struct json_text *text) {
    ASSERT(out_size > 0);
    size_t length = 0;
    enum status st = ST_OK;
    if (!text->escaped) {
        length = text->size;
        if (length >= out_size)
            st = ST_RANGE;
        else if (length)
            memcpy(out, text->data, length);
    } else {
        const char *p = text->data, *end = p + text->size;
        while (p < end && st == ST_OK) {
            char bytes[4];
            size_t n = decode_step(bytes, &p, end);
            if (n == 0)
                st = ST_INVALID;
            else if (n >= out_size - length)
                st = ST_RANGE;
            else
                memcpy(out + length, bytes, n), length += n;
        }
    }
    if (st != ST_OK) length = 0;
    out[length] = '\0';
    if (out_length) *out_length = length;
    return st;
}

/* ---- containers ---- */

static bool container_begin(struct json_reader *r, char open, uint8_t kind, const char *error) {
    if (r->error) return false;
    const char *p = space_skip(r->cursor, r->end);
    if (p == r->end || *p != open) {
        fail_type(r, p, error);
        return false;
    }
    if (r->depth == JSON_DEPTH_MAX) return fail(r, p, "nested too deeply");
    r->stack[r->depth++] = kind;
    r->cursor = p + 1;
    return true;
}

bool json_object_begin(struct json_reader *r) {
    return container_begin(r, '{', IN_OBJECT, "expected an object");
}

bool json_array_begin(struct json_reader *r) {
    return container_begin(r, '[', IN_ARRAY, "expected an array");
}

bool json_object_next(struct json_reader *r, struct json_text *key) {
    if (r->error) return false;
    ASSERT(r->depth > 0 && (r->stack[r->depth - 1] & IN_OBJECT));
    const char *p = space_skip(r->cursor, r->end);
    if (p == r->end) return fail(r, p, "object is not closed");
    if (*p == '}') {
        r->depth--;
        r->cursor = p + 1;
        return false;
    }
    if (r->stack[r->depth - 1] & HAD_FIRST) {
        if (*p != ',') return fail(r, p, "expected ',' or '}'");
        p = space_skip(p + 1, r->end);
    }
    if (p == r->end || *p != '"') return fail(r, p, "expected a key");
    p = string_scan(r, p + 1, key);
    if (!p) return false;
    p = space_skip(p, r->end);
    if (p == r->end || *p != ':') return fail(r, p, "expected ':'");
    r->stack[r->depth - 1] |= HAD_FIRST;
    r->cursor = p + 1;
    return true;
}

bool json_array_next(struct json_reader *r) {
    if (r->error) return false;
    ASSERT(r->depth > 0 && (r->stack[r->depth - 1] & IN_ARRAY));
    const char *p = space_skip(r->cursor, r->end);
    if (p == r->end) return fail(r, p, "array is not closed");
    if (*p == ']') {
        r->depth--;
        r->cursor = p + 1;
        return false;
    }
    if (r->stack[r->depth - 1] & HAD_FIRST) {
        if (*p != ',') return fail(r, p, "expected ',' or ']'");
        p = space_skip(p + 1, r->end);
        if (p < r->end && *p == ']') return fail(r, p, "expected a value");
    }
    r->stack[r->depth - 1] |= HAD_FIRST;
    r->cursor = p;
    return true;
}

/* ---- numbers and literals ---- */

/* End of the number at p by RFC 8259's grammar; NULL if there is none. */
static const char *number_scan(const char *p, const char *end) {
    if (p < end && *p == '-') p++;
    if (p == end || !is_digit(*p)) return NULL;
    if (*p++ != '0')
        while (p < end && is_digit(*p)) p++;
    if (p < end && *p == '.') {
        if (++p == end || !is_digit(*p)) return NULL;
        while (p < end && is_digit(*p)) p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (p == end || !is_digit(*p)) return NULL;
        while (p < end && is_digit(*p)) p++;
    }
    return p;
}

struct json_text json_number(struct json_reader *r) {
    if (r->error) return (struct json_text){0};
    const char *p = space_skip(r->cursor, r->end), *stop = number_scan(p, r->end);
    if (!stop) {
        fail_type(r, p, "expected a number");
        return (struct json_text){0};
    }
    r->cursor = stop;
    return (struct json_text){.data = p, .size = (size_t)(stop - p)};
}

/* The text of a number, or of a string that should hold one; NULL data on error. */
static struct json_text number_or_string(struct json_reader *r) {
    const char *p = space_skip(r->cursor, r->end);
    r->cursor = p;
    return p < r->end && *p == '"' ? json_string(r) : json_number(r);
}

/* Plain decimals of at most 18 digits, 8 of them behind the point: nearly all that a market sends.
 * Stops at the first byte that does not belong; false if the general path must look at it. */
static inline bool decimal_read(int64_t *out, const char **stop, const char *p, const char *end) {
    static const int64_t powers[] = {100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    bool negative = p < end && *p == '-';
    p += negative;
    const char *begin = p;
    uint64_t mantissa = 0;
    for (; p < end && is_digit(*p); p++) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    ptrdiff_t digits = p - begin, decimals = 0;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        for (; p < end && is_digit(*p); p++) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
        decimals = p - fraction;
        digits += decimals;
    }
    int64_t value;
    if (digits == 0 || digits > 18 || decimals > 8 ||
        __builtin_mul_overflow((int64_t)mantissa, powers[decimals], &value))
        return false;
    *out = negative ? -value : value;
    *stop = p;
    return true;
}

int64_t json_e8(struct json_reader *r) {
    if (r->error) return 0;
    const char *p = space_skip(r->cursor, r->end), *stop;
    int64_t value;
    if (p < r->end && *p == '"' && decimal_read(&value, &stop, p + 1, r->end) && stop < r->end &&
        *stop == '"') {
        r->cursor = stop + 1;
        return value;
    }
    struct json_text text = number_or_string(r);
    if (!text.data) return 0;
    if (decimal_read(&value, &stop, text.data, text.data + text.size) &&
        stop == text.data + text.size)
        return value;
    enum status st = text.escaped ? ST_INVALID : fx_parse(&value, text.data, text.size);
    if (st == ST_OK) return value;
    fail(r, p, st == ST_RANGE ? "decimal does not fit in units of 1e-8" : "expected a decimal");
    return 0;
}

int64_t json_i64(struct json_reader *r) {
    if (r->error) return 0;
    const char *start = space_skip(r->cursor, r->end);
    struct json_text text = number_or_string(r);
    if (!text.data) return 0;
    const char *p = text.data, *end = p + text.size;
    bool negative = p < end && *p == '-';
    p += negative;
    /* A string may hold anything, so the grammar is checked here as well. */
    bool valid = p < end && (*p != '0' || end - p == 1), fits = true;
    int64_t value = 0; /* kept negative: the range reaches one further that way */
    for (; p < end && valid; p++) {
        valid = is_digit(*p);
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_sub_overflow(value, *p - '0', &value);
    }
    if (valid && fits && (negative || value != INT64_MIN)) return negative ? value : -value;
    fail(r, start, valid ? "integer out of range" : "expected an integer");
    return 0;
}

double json_f64(struct json_reader *r) {
    if (r->error) return 0;
    const char *start = space_skip(r->cursor, r->end);
    struct json_text text = number_or_string(r);
    if (!text.data) return 0;
    const char *end = text.data + text.size;
    if (number_scan(text.data, end) != end) {
        fail(r, start, "expected a number");
        return 0;
    }
    double value = numtext_parse_f64(text.data, text.size);
    if (isfinite(value)) return value;
    fail(r, start, "number out of range");
    return 0;
}

static bool literal_read(struct json_reader *r, const char *literal, size_t size) {
    if ((size_t)(r->end - r->cursor) < size || memcmp(r->cursor, literal, size) != 0) return false;
    r->cursor += size;
    return true;
}

bool json_bool(struct json_reader *r) {
    if (r->error) return false;
    r->cursor = space_skip(r->cursor, r->end);
    if (literal_read(r, "true", 4)) return true;
    if (!literal_read(r, "false", 5)) fail_type(r, r->cursor, "expected true or false");
    return false;
}

/* ---- whole values ---- */

/* Consumes a scalar, or enters a container. */
static void value_enter(struct json_reader *r) {
    switch (json_peek(r)) {
    case JSON_OBJECT:
        json_object_begin(r);
        break;
    case JSON_ARRAY:
        json_array_begin(r);
        break;
    case JSON_STRING:
        json_string(r);
        break;
    case JSON_NUMBER:
        json_number(r);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_bool(r);
        break;
    case JSON_NULL:
        if (!literal_read(r, "null", 4)) fail(r, r->cursor, "expected a value");
        break;
    case JSON_NONE:
        fail_type(r, r->cursor, "expected a value");
        break;
    }
}

void json_skip(struct json_reader *r) {
    uint32_t outer = r->depth;
    struct json_text key;
    value_enter(r);
    while (!r->error && r->depth > outer) {
        bool more =
            r->stack[r->depth - 1] & IN_OBJECT ? json_object_next(r, &key) : json_array_next(r);
        if (more) value_enter(r);
    }
}

struct json_text json_raw(struct json_reader *r) {
    json_peek(r);
    const char *begin = r->cursor;
    json_skip(r);
    if (r->error) return (struct json_text){0};
    return (struct json_text){.data = begin, .size = (size_t)(r->cursor - begin)};
}

enum status json_finish(struct json_reader *r) {
    if (!r->error) {
        r->cursor = space_skip(r->cursor, r->end);
        if (r->depth > 0)
            fail(r, r->cursor, "an object or array was left unread");
        else if (r->cursor != r->end)
            fail(r, r->cursor, "text behind the value");
    }
    return r->error ? ST_INVALID : ST_OK;
}

uint32_t json_error_line(const struct json_reader *r) {
    uint32_t line = 1;
    for (size_t i = 0; i < r->error_offset; i++) line += r->begin[i] == '\n';
    return line;
}
