/* Any bytes: no read outside them, and three ways through a text (skip, raw, a typed walk) agree on
 * whether it is JSON and on where its parts lie. */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) abort();                                                                 \
    } while (0)

static void check_text(const struct json_text *text) {
    char out[64];
    size_t length;
    enum status st = json_text_copy(out, sizeof out, &length, text);
    REQUIRE(st == ST_OK || st == ST_RANGE); /* a string that was read has valid escapes */
    if (st != ST_OK) return;
    REQUIRE(out[length] == '\0' && length <= text->size);
    if (strlen(out) == length) REQUIRE(json_text_is(text, out));
}

/* The typed getters on a copy of the reader: each takes the same text as the skip, or fails. */
static void check_scalar(const struct json_reader *at, const char *after) {
    struct json_reader r = *at;
    json_e8(&r);
    REQUIRE(r.error || r.cursor == after);
    r = *at;
    json_i64(&r);
    REQUIRE(r.error || r.cursor == after);
    r = *at;
    double x = json_f64(&r);
    REQUIRE(x - x == 0);
    REQUIRE(r.error || r.cursor == after);
    r = *at;
    json_bool(&r);
    REQUIRE(r.error || r.cursor == after);
}

static void walk(struct json_reader *r) {
    struct json_text key, text, raw;
    enum json_type type = json_peek(r);
    struct json_reader ahead = *r;
    raw = json_raw(&ahead);
    REQUIRE((ahead.error != NULL) == (raw.data == NULL));
    const char *begin = r->cursor;
    switch (type) {
    case JSON_OBJECT:
        json_object_begin(r);
        while (json_object_next(r, &key)) {
            check_text(&key);
            walk(r);
        }
        break;
    case JSON_ARRAY:
        json_array_begin(r);
        while (json_array_next(r)) walk(r);
        break;
    case JSON_STRING:
        if (!ahead.error) check_scalar(r, ahead.cursor);
        text = json_string(r);
        if (!r->error) check_text(&text);
        break;
    case JSON_NUMBER:
        if (!ahead.error) check_scalar(r, ahead.cursor);
        text = json_number(r);
        if (!r->error) REQUIRE(text.data == begin && text.size > 0);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_bool(r);
        break;
    case JSON_NULL:
    case JSON_NONE:
        json_skip(r);
        break;
    }
    REQUIRE((r->error != NULL) == (ahead.error != NULL));
    if (r->error) {
        REQUIRE(r->error == ahead.error && r->error_offset == ahead.error_offset);
        return;
    }
    REQUIRE(r->cursor == ahead.cursor && raw.data == begin && raw.data + raw.size == r->cursor);
    REQUIRE(r->depth == ahead.depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    struct json_reader a, b;
    if (size > 1 << 14) return 0; /* walk looks ahead at every level */
    json_reader_init(&a, text, size);
    json_skip(&a);
    enum status skipped = json_finish(&a);
    json_reader_init(&b, text, size);
    walk(&b);
    REQUIRE(json_finish(&b) == skipped);
    REQUIRE(json_finish(&b) == skipped); /* asking again changes nothing */
    REQUIRE((a.error == NULL) == (skipped == ST_OK));
    if (a.error) {
        REQUIRE(a.error_offset <= size && a.error_offset == b.error_offset);
        REQUIRE(json_error_line(&a) >= 1);
        return 0;
    }
    /* What was accepted passes through the writer as it is, and is still JSON. */
    char *out = malloc(size + 1);
    if (!out) abort();
    struct json_writer w;
    json_writer_init(&w, out, size + 1);
    json_write_raw(&w, text, size);
    REQUIRE(json_writer_finish(&w) == ST_OK);
    json_reader_init(&a, out, w.size);
    json_skip(&a);
    REQUIRE(json_finish(&a) == ST_OK);
    free(out);
    return 0;
}
