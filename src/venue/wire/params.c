#include <string.h>

#include "base/json.h"
#include "venue/wire/wire.h"
#include "venue/wire/wire_internal.h"

static void params_empty(struct wire_params *p) {
    p->count = 0;
    p->used = 0;
}

static void params_init(struct wire_params *p, char *buffer, size_t capacity) {
    p->bytes = buffer;
    p->capacity = capacity;
    params_empty(p);
}

/* Percent-decodes text behind what the buffer holds, NUL ended. */
static enum status text_decode(struct wire_params *p, const char **out, uint32_t *out_size,
                               const char *text, size_t size) {
    char *begin = p->bytes + p->used, *to = begin, *limit = p->bytes + p->capacity;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = size - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return ST_INVALID;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0') return ST_INVALID;
        if (to == limit) return ST_FULL;
        *to++ = c;
    }
    if (to == limit) return ST_FULL;
    *to = '\0';
    *out = begin;
    *out_size = (uint32_t)(to - begin);
    p->used += (size_t)(to - begin) + 1;
    return ST_OK;
}

static const struct wire_param *find_among(const struct wire_params *p, uint32_t count,
                                           const char *name, size_t size) {
    for (uint32_t i = 0; i < count; i++)
        if (p->items[i].name_size == size && memcmp(p->items[i].name, name, size) == 0)
            return &p->items[i];
    return NULL;
}

/* One "name=value". A name among the first `decided` parameters (those of the query) is left out. */
static enum status piece_parse(struct wire_params *p, uint32_t decided, const char *text,
                               size_t size) {
    struct wire_param item;
    size_t used = p->used;
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals ? (size_t)(equals - text) : size;
    enum status st = text_decode(p, &item.name, &item.name_size, text, name_size);
    if (st != ST_OK) return st;
    item.value = item.name + item.name_size;
    item.value_size = 0;
    if (equals)
        st = text_decode(p, &item.value, &item.value_size, equals + 1, size - name_size - 1);
    if (st != ST_OK) return st;
    if (find_among(p, decided, item.name, item.name_size)) {
        p->used = used;
        return ST_OK;
    }
    if (p->count == WIRE_PARAMS_MAX) return ST_INVALID;
    p->items[p->count++] = item;
    return ST_OK;
}

static enum status pieces_parse(struct wire_params *p, const char *text, size_t size) {
    const uint32_t decided = p->count;
    for (size_t at = 0, piece; at < size; at += piece + 1) {
        const char *end = memchr(text + at, '&', size - at);
        piece = (end ? (size_t)(end - text) : size) - at;
        if (piece == 0) continue;
        enum status st = piece_parse(p, decided, text + at, piece);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

enum status wire_params_parse(struct wire_params *out, char *buffer, size_t capacity,
                              const char *query, size_t query_size, const char *body,
                              size_t body_size) {
    params_init(out, buffer, capacity);
    enum status st = pieces_parse(out, query, query_size);
    if (st == ST_OK) st = pieces_parse(out, body, body_size);
    if (st != ST_OK) params_empty(out);
    return st;
}

/* A JSON text behind what the buffer holds, NUL ended. */
static enum status json_text_put(struct wire_params *p, const char **out, uint32_t *out_size,
                                 const struct json_text *text) {
    char *begin = p->bytes + p->used;
    size_t size = text->size, room = p->capacity - p->used;
    if (room == 0) return ST_FULL;
    if (text->escaped) {
        if (json_text_copy(begin, room, &size, text) != ST_OK) return ST_FULL;
    } else {
        if (size >= room) return ST_FULL;
        memcpy(begin, text->data, size);
        begin[size] = '\0';
    }
    if (memchr(begin, '\0', size)) return ST_INVALID;
    *out = begin;
    *out_size = (uint32_t)size;
    p->used += size + 1;
    return ST_OK;
}

static enum status member_read(struct wire_params *p, struct json_reader *r,
                               const struct json_text *key) {
    struct wire_param item;
    const size_t used = p->used;
    const enum json_type type = json_peek(r);
    enum status st = json_text_put(p, &item.name, &item.name_size, key);
    if (st != ST_OK) return st;
    if (find_among(p, p->count, item.name, item.name_size)) return ST_INVALID;
    struct json_text value = type == JSON_STRING ? json_string(r) : json_raw(r);
    if (r->error) return ST_INVALID;
    if (type == JSON_NULL) {
        p->used = used;
        return ST_OK;
    }
    st = json_text_put(p, &item.value, &item.value_size, &value);
    if (st != ST_OK) return st;
    if (p->count == WIRE_PARAMS_MAX) return ST_INVALID;
    p->items[p->count++] = item;
    return ST_OK;
}

enum status wire_params_json(struct wire_params *out, char *buffer, size_t capacity,
                             const char *json, size_t size) {
    struct json_reader r;
    struct json_text key;
    enum status st = ST_OK;
    params_init(out, buffer, capacity);
    json_reader_init(&r, json, size);
    json_object_begin(&r);
    while (st == ST_OK && json_object_next(&r, &key)) st = member_read(out, &r, &key);
    if (st == ST_OK) st = json_finish(&r);
    if (st != ST_OK) params_empty(out);
    return st;
}

const struct wire_param *wire_param_find(const struct wire_params *p, const char *name) {
    return find_among(p, p->count, name, strlen(name));
}

/* By name in byte order. */
static bool is_before(const struct wire_param *a, const struct wire_param *b) {
    size_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
    int order = memcmp(a->name, b->name, size);
    return order != 0 ? order < 0 : a->name_size < b->name_size;
}

static bool put(char *out, size_t capacity, size_t *size, const char *text, size_t text_size) {
    if (text_size > capacity - *size) return false;
    memcpy(out + *size, text, text_size);
    *size += text_size;
    return true;
}

enum status wire_params_sorted_text(char *out, size_t capacity, size_t *size,
                                    const struct wire_params *p) {
    const struct wire_param *sorted[WIRE_PARAMS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct wire_param *item = &p->items[i];
        if (strcmp(item->name, "signature") == 0) continue;
        uint32_t at = count++;
        for (; at > 0 && is_before(item, sorted[at - 1]); at--) sorted[at] = sorted[at - 1];
        sorted[at] = item;
    }
    *size = 0;
    for (uint32_t i = 0; i < count; i++)
        if ((i > 0 && !put(out, capacity, size, "&", 1)) ||
            !put(out, capacity, size, sorted[i]->name, sorted[i]->name_size) ||
            !put(out, capacity, size, "=", 1) ||
            !put(out, capacity, size, sorted[i]->value, sorted[i]->value_size))
            return ST_FULL;
    return ST_OK;
}
