/* JSON: a pull reader on borrowed bytes and a bounded writer. Neither allocates.
 *
 * Reader: walks one text with no tree. Typical use:
 *     struct json_reader r; json_reader_init(&r, text, size);
 *     json_object_begin(&r);
 *     while (json_object_next(&r, &key))
 *         if (json_text_is(&key, "p")) px = json_e8(&r); else json_skip(&r);
 *     if (json_finish(&r) != ST_OK) … r.error, r.error_offset, json_error_line()
 * The first error sticks: later calls return false / zero values, so checking once at the end is
 * enough. Strict RFC 8259: duplicate keys are the caller's to notice, depth at most JSON_DEPTH_MAX,
 * invalid UTF-8, lone surrogates, trailing text and NaN are errors.
 *
 * Tests    test_json.c; test_json_jansson.c: agrees with jansson on made and on damaged texts;
 *          fuzz_json.c. Bench: json_frame. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

enum { JSON_DEPTH_MAX = 32 };

enum json_type {
    JSON_NONE = 0,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

/* Raw bytes of a string (between the quotes, escapes not decoded) or of a number; borrowed. */
struct json_text {
    const char *data;
    size_t size;
    bool escaped;
};

struct json_reader {
    const char *cursor, *begin, *end;
    const char *error; /* static text, NULL while all is well */
    size_t error_offset;
    uint32_t depth;
    uint8_t stack[JSON_DEPTH_MAX]; /* private */
};

void json_reader_init(struct json_reader *r, const char *text, size_t size);
/* Type of the next value, nothing consumed. */
enum json_type json_peek(struct json_reader *r);

/* Containers. _next gives the next key / says whether another element follows; false at the end of
 * the container (which is then left) or on error. Every value must be consumed before the next _next. */
bool json_object_begin(struct json_reader *r);
bool json_object_next(struct json_reader *r, struct json_text *key);
bool json_array_begin(struct json_reader *r);
bool json_array_next(struct json_reader *r);

/* Scalars; each consumes one value, error if it is of another type. */

/* The linker must see another name than json_string: jansson exports one, and in a program that links
 * both (tests, the bench) ours would take its place inside that library. */
struct json_text json_string(struct json_reader *r) __asm__("quantum_json_string");
struct json_text json_number(struct json_reader *r);
/* A number or a string holding one: decimal text to e8 (fx_parse). Exchanges quote their decimals. */
int64_t json_e8(struct json_reader *r);
int64_t json_i64(struct json_reader *r); /* integer number, or a string holding one */
/* Number, or a string holding one, correctly rounded; an error if it is beyond double's range. */
double json_f64(struct json_reader *r);
bool json_bool(struct json_reader *r);
/* Consumes one value of any kind (the way past a null, too). */
void json_skip(struct json_reader *r);
/* As json_skip, and gives the value's raw text. */
struct json_text json_raw(struct json_reader *r);

/* ST_OK if all was well and nothing but white space is left; else ST_INVALID (r->error is set). */
enum status json_finish(struct json_reader *r);
/* 1-based line of the error, for messages. */
uint32_t json_error_line(const struct json_reader *r);

/* True if the decoded text equals the literal. Inline, so that a chain of them over one-letter keys
 * becomes compares of bytes. */
bool json_text_is_decoded(const struct json_text *text, const char *literal);
static inline bool json_text_is(const struct json_text *text, const char *literal) {
    size_t size = strlen(literal);
    if (__builtin_expect(text->escaped, 0)) return json_text_is_decoded(text, literal);
    return text->size == size && (size == 0 || memcmp(text->data, literal, size) == 0);
}
/* Decodes escapes into out (NUL ended). ST_RANGE if it does not fit, out is then ""; length in
 * *out_length (may be NULL), which may count NULs that came as \u0000. */
enum status json_text_copy(char *out, size_t out_size, size_t *out_length,
                           const struct json_text *text);

/* Writer into a caller's buffer; an overflow sticks and json_writer_finish says so. Commas, quotes and
 * escapes are its own work. Non-finite doubles are written as null, bytes that are not UTF-8 as U+FFFD.
 * Misuse (a value without its key, an unbalanced end, two top-level values) is an ASSERT. */
struct json_writer {
    char *out;
    size_t capacity, size;
    uint32_t depth;
    bool overflow, need_comma;
    uint8_t stack[JSON_DEPTH_MAX]; /* private */
};
void json_writer_init(struct json_writer *w, char *out, size_t capacity);
void json_write_object_begin(struct json_writer *w);
void json_write_object_end(struct json_writer *w);
void json_write_array_begin(struct json_writer *w);
void json_write_array_end(struct json_writer *w);
void json_write_key(struct json_writer *w, const char *key);
void json_write_string(struct json_writer *w, const char *text);
void json_write_string_n(struct json_writer *w, const char *text, size_t size);
void json_write_i64(struct json_writer *w, int64_t value);
void json_write_u64(struct json_writer *w, uint64_t value);
void json_write_f64(struct json_writer *w,
                    double value);                     /* shortest text that reads back the same */
void json_write_e8(struct json_writer *w, int64_t e8); /* "12.5" in quotes, as exchanges do */
void json_write_e8_number(struct json_writer *w, int64_t e8); /* 12.5 without quotes */
void json_write_bool(struct json_writer *w, bool value);
void json_write_null(struct json_writer *w);
void json_write_raw(struct json_writer *w, const char *json, size_t size);
/* ST_OK and NUL-terminated; ST_FULL if it overflowed. */
enum status json_writer_finish(struct json_writer *w);

#endif
