#include <string.h>

#include "base/fx.h"
#include "venue/wire/wire.h"

static bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* One character, encoded if it must be; returns how many bytes, 0 if there is no room. */
static size_t char_encode(char *out, size_t room, char c) {
    static const char digits[] = "0123456789ABCDEF";
    if (is_unreserved(c)) {
        if (room < 1) return 0;
        out[0] = c;
        return 1;
    }
    if (room < 3) return 0;
    out[0] = '%';
    out[1] = digits[(unsigned char)c >> 4];
    out[2] = digits[(unsigned char)c & 15];
    return 3;
}

size_t wire_percent_encode(char *out, size_t capacity, const char *text, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        size_t n = char_encode(out + length, capacity - length, text[i]);
        if (n == 0) return 0;
        length += n;
    }
    return length;
}

void wire_query_init(struct wire_query *q, char *out, size_t capacity) {
    *q = (struct wire_query){.out = out, .capacity = capacity};
}

static void raw_put(struct wire_query *q, const char *text, size_t size) {
    if (q->overflow || size > q->capacity - q->size) {
        q->overflow = true;
        return;
    }
    memcpy(q->out + q->size, text, size);
    q->size += size;
}

static void name_put(struct wire_query *q, const char *name) {
    if (q->size > 0) raw_put(q, "&", 1);
    raw_put(q, name, strlen(name));
    raw_put(q, "=", 1);
}

static void encoded_put(struct wire_query *q, const char *text, size_t size) {
    if (q->overflow || size == 0) return;
    size_t n = wire_percent_encode(q->out + q->size, q->capacity - q->size, text, size);
    q->overflow = n == 0;
    q->size += n;
}

void wire_query_text(struct wire_query *q, const char *name, const char *value) {
    name_put(q, name);
    encoded_put(q, value, strlen(value));
}

void wire_query_i64(struct wire_query *q, const char *name, int64_t value) {
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *--p = '-';
    name_put(q, name);
    raw_put(q, p, (size_t)(digits + sizeof digits - p));
}

void wire_query_e8(struct wire_query *q, const char *name, int64_t e8) {
    char text[FX_TEXT_SIZE];
    size_t size = fx_format(text, e8);
    name_put(q, name);
    raw_put(q, text, size);
}

enum status wire_query_end(struct wire_query *q) {
    if (q->overflow || q->size == q->capacity) return ST_FULL;
    q->out[q->size] = '\0';
    return ST_OK;
}

enum status wire_query_sign(struct wire_query *q, const struct wire_key *k) {
    char signature[WIRE_ED25519_TEXT_SIZE];
    if (q->overflow) return ST_FULL;
    size_t size = wire_sign(k, signature, q->out, q->size, NULL, 0);
    if (size == 0) return ST_REFUSED;
    name_put(q, "signature");
    encoded_put(q, signature, size);
    return wire_query_end(q);
}
