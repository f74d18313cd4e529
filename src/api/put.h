/* Private to src/api: writers of one key and its value. Times are ms UTC; prices, quantities and money are decimal
 * texts, exact to 1e-8; ids beyond 2^53 are texts too. */
#ifndef API_PUT_H
#define API_PUT_H

#include <stdint.h>

#include "base/json.h"
#include "base/tstamp.h"
#include "domain/instrument.h"

static inline void put_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}
static inline void put_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}
static inline void put_bool(struct json_writer *w, const char *key, bool value) {
    json_write_key(w, key);
    json_write_bool(w, value);
}
static inline void put_f64(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}
static inline void put_e8(struct json_writer *w, const char *key, int64_t e8) {
    json_write_key(w, key);
    json_write_e8(w, e8);
}
static inline void put_null(struct json_writer *w, const char *key) {
    json_write_key(w, key);
    json_write_null(w);
}
/* A price that is not set is null, never 0: nothing may be bought at 0. */
static inline void put_px(struct json_writer *w, const char *key, px_t px) {
    if (px.e8 == 0)
        put_null(w, key);
    else
        put_e8(w, key, px.e8);
}
static inline void put_id(struct json_writer *w, const char *key, uint64_t id) {
    char text[24];
    size_t n = sizeof text;
    text[--n] = '\0';
    do text[--n] = (char)('0' + id % 10);
    while (id /= 10);
    put_text(w, key, text + n);
}
/* 0: there is none to tell. */
static inline void put_count(struct json_writer *w, const char *key, uint64_t count) {
    if (count == 0)
        put_null(w, key);
    else
        put_u64(w, key, count);
}
static inline void put_ms(struct json_writer *w, const char *key, int64_t ns) {
    json_write_key(w, key);
    if (ns == 0)
        json_write_null(w);
    else
        json_write_i64(w, ns / NS_PER_MS);
}
static inline void put_span_ms(struct json_writer *w, const char *key, int64_t ns) {
    json_write_key(w, key);
    if (ns < 0)
        json_write_null(w);
    else
        json_write_i64(w, ns / NS_PER_MS);
}

static inline void put_object(struct json_writer *w, const char *key) {
    json_write_key(w, key);
    json_write_object_begin(w);
}
static inline void put_array(struct json_writer *w, const char *key) {
    json_write_key(w, key);
    json_write_array_begin(w);
}
static inline void put_hash(struct json_writer *w, const char *key, uint64_t hash) {
    char text[17];
    for (int i = 0; i < 16; i++) text[i] = "0123456789abcdef"[(hash >> (60 - 4 * i)) & 15];
    text[16] = '\0';
    put_text(w, key, text);
}

#endif
