/* Any bytes as a query and a form body (cut at the first newline), and as the params object of a
 * WebSocket request: what is accepted lies in the buffer, comes back when it is encoded and parsed
 * again, and the promised capacity always suffices. */
#include <stdlib.h>
#include <string.h>

#include "venue/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) abort();                                                                 \
    } while (0)

static void check_params(const struct wire_params *p) {
    REQUIRE(p->count <= WIRE_PARAMS_MAX && p->used <= p->capacity);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct wire_param *item = &p->items[i];
        REQUIRE(item->name >= p->bytes && item->value >= item->name);
        REQUIRE(item->value + item->value_size < p->bytes + p->used);
        REQUIRE(strlen(item->name) == item->name_size && strlen(item->value) == item->value_size);
        const struct wire_param *found = wire_param_find(p, item->name);
        REQUIRE(found && found <= item);
    }
}

static void check_again(const struct wire_params *p) {
    size_t capacity = 4 + 3 * p->used + 2 * (size_t)p->count;
    char *text = malloc(capacity), *bytes = malloc(capacity + 2);
    struct wire_params again;
    size_t n = 0;
    REQUIRE(text && bytes);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct wire_param *item = &p->items[i];
        n += wire_percent_encode(text + n, capacity - n, item->name, item->name_size);
        text[n++] = '=';
        n += wire_percent_encode(text + n, capacity - n, item->value, item->value_size);
        text[n++] = '&';
    }
    REQUIRE(wire_params_parse(&again, bytes, capacity + 2, text, n, NULL, 0) == ST_OK);
    REQUIRE(again.count == p->count);
    for (uint32_t i = 0; i < p->count; i++) {
        REQUIRE(strcmp(again.items[i].name, p->items[i].name) == 0);
        REQUIRE(strcmp(again.items[i].value, p->items[i].value) == 0);
    }
    size_t sorted_size;
    REQUIRE(wire_params_sorted_text(text, capacity, &sorted_size, p) == ST_OK);
    free(text);
    free(bytes);
}

static void check_strip(const char *text, size_t size) {
    char *out = malloc(size + 1);
    REQUIRE(out);
    size_t n = wire_strip_signature(out, text, size);
    REQUIRE(n <= size);
    REQUIRE(wire_strip_signature(out, out, n) == n); /* nothing is left to strip */
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *cut = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t query_size = cut ? (size_t)(cut - text) : size;
    const char *body = cut ? cut + 1 : NULL;
    size_t body_size = cut ? size - query_size - 1 : 0;
    struct wire_params p;
    char *bytes = malloc(size + 2);
    REQUIRE(bytes);
    enum status st =
        wire_params_parse(&p, bytes, query_size + body_size + 2, text, query_size, body, body_size);
    REQUIRE(st == ST_OK || st == ST_INVALID);
    check_params(&p);
    if (st == ST_OK) check_again(&p);
    st = wire_params_json(&p, bytes, size + 1, text, size);
    REQUIRE(st == ST_OK || st == ST_INVALID);
    check_params(&p);
    if (st == ST_OK) check_again(&p);
    check_strip(text, query_size);
    free(bytes);
    return 0;
}
