/* Universal Binary JSON: one marker byte per value, numbers big-endian, containers optionally with a
 * count and a common type. A count is never believed: elements are read one by one, and types that
 * take no bytes cannot be a container's type, so a file's size bounds its elements.
 * Source  ubjson.org, "Container Types" and "Value Types" (draft 12). */
#include "ml/model_io/model_ubj.h"

#include <string.h>

void model_ubj_init(struct model_ubj *u, const char *bytes, size_t size) {
    const unsigned char *p = (const unsigned char *)bytes;
    *u = (struct model_ubj){.begin = p, .cursor = p, .end = p + size};
}

static bool fail(struct model_ubj *u, const char *text) {
    u->error = text;
    return false;
}

static bool byte_read(struct model_ubj *u, char *out) {
    if (u->cursor == u->end) return fail(u, "unexpected end of file");
    *out = (char)*u->cursor++;
    return true;
}

/* Bytes of a number's value; 0: no number. */
static size_t number_width(char marker) {
    switch (marker) {
    case 'i':
    case 'U':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static bool number_bits(struct model_ubj *u, char marker, uint64_t *out) {
    size_t width = number_width(marker);
    if (width == 0) return fail(u, "expected a number");
    if ((size_t)(u->end - u->cursor) < width) return fail(u, "unexpected end of file");
    *out = 0;
    for (size_t i = 0; i < width; i++) *out = *out << 8 | *u->cursor++;
    return true;
}

static int64_t integer_of(char marker, uint64_t bits) {
    switch (marker) {
    case 'i':
        return (int8_t)(uint8_t)bits;
    case 'I':
        return (int16_t)(uint16_t)bits;
    case 'l':
        return (int32_t)(uint32_t)bits;
    default: /* 'U' and 'L' */
        return (int64_t)bits;
    }
}

static bool is_integer_marker(char marker) {
    return marker == 'i' || marker == 'U' || marker == 'I' || marker == 'l' || marker == 'L';
}

/* An integer that says a length or a count; it never exceeds the bytes left by more than a caller
 * checks. */
static bool length_read(struct model_ubj *u, uint64_t *out) {
    char marker;
    uint64_t bits;
    if (!byte_read(u, &marker)) return false;
    if (!is_integer_marker(marker)) return fail(u, "a length is not an integer");
    if (!number_bits(u, marker, &bits)) return false;
    int64_t value = integer_of(marker, bits);
    if (value < 0) return fail(u, "a length is negative");
    *out = (uint64_t)value;
    return true;
}

static bool bytes_read(struct model_ubj *u, uint64_t size, struct json_text *out) {
    if (size > (uint64_t)(u->end - u->cursor)) return fail(u, "a string is longer than the file");
    *out = (struct json_text){.data = (const char *)u->cursor, .size = (size_t)size};
    if (size && memchr(u->cursor, 0, (size_t)size)) return fail(u, "a NUL in a string");
    u->cursor += size;
    return true;
}

bool model_ubj_peek(struct model_ubj *u, char *marker) {
    /* 'N' stands for nothing at all. */
    while (!u->marker || u->marker == 'N')
        if (!byte_read(u, &u->marker)) return false;
    *marker = u->marker;
    return true;
}

bool model_ubj_begin(struct model_ubj *u, bool is_object) {
    char marker;
    if (!model_ubj_peek(u, &marker)) return false;
    if (marker != (is_object ? '{' : '['))
        return fail(u, is_object ? "expected an object" : "expected an array");
    if (u->depth == MODEL_DEPTH_MAX) return fail(u, "nested too deeply");
    u->marker = 0;
    char type = 0;
    bool has_count = false;
    uint64_t count = 0;
    if (u->cursor < u->end && *u->cursor == '$') {
        u->cursor++;
        if (!byte_read(u, &type)) return false;
        if (!type || !strchr("iUIlLdDSHC[{", type)) return fail(u, "a container's type is not one");
        if (u->cursor == u->end || *u->cursor != '#')
            return fail(u, "a container has a type but no count");
    }
    if (u->cursor < u->end && *u->cursor == '#') {
        u->cursor++;
        has_count = true;
        if (!length_read(u, &count)) return false;
    }
    u->stack[u->depth].is_object = is_object;
    u->stack[u->depth].has_count = has_count;
    u->stack[u->depth].type = type;
    u->stack[u->depth].left = count;
    u->depth++;
    return true;
}

bool model_ubj_next(struct model_ubj *u, bool *more, struct json_text *key) {
    bool is_object = u->stack[u->depth - 1].is_object;
    char type = u->stack[u->depth - 1].type;
    *more = false;
    if (u->stack[u->depth - 1].has_count) {
        if (u->stack[u->depth - 1].left == 0) {
            u->depth--;
            return true;
        }
        u->stack[u->depth - 1].left--;
    } else {
        while (u->cursor < u->end && *u->cursor == 'N') u->cursor++;
        if (u->cursor == u->end) return fail(u, "unexpected end of file");
        if (*u->cursor == (is_object ? '}' : ']')) {
            u->cursor++;
            u->depth--;
            return true;
        }
    }
    if (is_object) {
        uint64_t size;
        if (!length_read(u, &size) || !bytes_read(u, size, key)) return false;
    }
    u->marker = type;
    *more = true;
    return true;
}

bool model_ubj_string(struct model_ubj *u, struct json_text *out) {
    char marker;
    if (!model_ubj_peek(u, &marker)) return false;
    uint64_t size = 1;
    if (marker != 'S' && marker != 'C' && marker != 'H') return fail(u, "expected a string");
    u->marker = 0;
    if (marker != 'C' && !length_read(u, &size)) return false;
    return bytes_read(u, size, out);
}

bool model_ubj_number(struct model_ubj *u, bool *is_integer, int64_t *integer, double *real) {
    char marker;
    uint64_t bits;
    if (!model_ubj_peek(u, &marker) || !number_bits(u, marker, &bits)) return false;
    u->marker = 0;
    *is_integer = is_integer_marker(marker);
    *integer = integer_of(marker, bits);
    if (*is_integer) {
        *real = (double)*integer;
    } else if (marker == 'd') {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        *real = (double)f;
    } else {
        memcpy(real, &bits, sizeof *real);
    }
    return true;
}

bool model_ubj_literal(struct model_ubj *u, char *marker) {
    if (!model_ubj_peek(u, marker)) return false;
    if (*marker != 'Z' && *marker != 'T' && *marker != 'F')
        return fail(u, "expected true, false or null");
    u->marker = 0;
    return true;
}

static bool value_enter(struct model_ubj *u) {
    char marker;
    struct json_text text;
    bool is_integer;
    int64_t integer;
    double real;
    if (!model_ubj_peek(u, &marker)) return false;
    switch (marker) {
    case '{':
    case '[':
        return model_ubj_begin(u, marker == '{');
    case 'S':
    case 'C':
    case 'H':
        return model_ubj_string(u, &text);
    case 'Z':
    case 'T':
    case 'F':
        return model_ubj_literal(u, &marker);
    default:
        return model_ubj_number(u, &is_integer, &integer, &real);
    }
}

bool model_ubj_skip(struct model_ubj *u) {
    uint32_t outer = u->depth;
    struct json_text key;
    if (!value_enter(u)) return false;
    while (u->depth > outer) {
        bool more;
        if (!model_ubj_next(u, &more, &key)) return false;
        if (more && !value_enter(u)) return false;
    }
    return true;
}
