/* Scanning of string bodies, shared by reader and writer; tests hold the two twins against each
 * other. Not for other modules. */
#ifndef BASE_JSON_INTERNAL_H
#define BASE_JSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* True for the bytes a scan stops at: quote, backslash, control characters, everything not ASCII. */
static inline bool json_byte_is_special(unsigned char c) {
    return c < 0x20 || c >= 0x80 || c == '"' || c == '\\';
}

/* Nonzero if one of the eight bytes is special. */
static inline uint64_t json_special_of_8(uint64_t v) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = v ^ (ones * '"'), slash = v ^ (ones * '\\');
    return high &
           (v | ((v - ones * 0x20) & ~v) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash));
}

/* Whether there is a special byte in a short text: words that overlap instead of single bytes. */
static inline bool json_scan_short(const char *p, size_t size) {
    uint64_t v, last;
    if (size >= 8) {
        memcpy(&last, p + size - 8, 8);
        uint64_t hit = json_special_of_8(last);
        for (size_t at = 0; at + 8 < size; at += 8) {
            memcpy(&v, p + at, 8);
            hit |= json_special_of_8(v);
        }
        return hit != 0;
    }
    if (size >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + size - 4, 4);
        return json_special_of_8((uint64_t)a << 32 | b) != 0;
    }
    for (size_t at = 0; at < size; at++)
        if (json_byte_is_special((unsigned char)p[at])) return true;
    return false;
}

/* First special byte of [p, end), or end. Portable: eight bytes a step. */
static inline const char *json_scan_ref(const char *p, const char *end) {
    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        /* A borrow may mark a byte above a true hit as well, never one in a word without a hit. */
        if (json_special_of_8(v)) break;
    }
    while (p < end && !json_byte_is_special((unsigned char)*p)) p++;
    return p;
}

#ifdef __SSE2__
/* The same, sixteen bytes a step. Compared as signed bytes, "below 0x20" is control or not ASCII. */
static inline const char *json_scan_sse2(const char *p, const char *end) {
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(0x20);
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                   _mm_cmplt_epi8(v, space));
        int mask = _mm_movemask_epi8(hit);
        if (mask) return p + __builtin_ctz((unsigned)mask);
    }
    return json_scan_ref(p, end);
}
#endif

static inline const char *json_scan(const char *p, const char *end) {
#ifdef __SSE2__
    return json_scan_sse2(p, end);
#else
    return json_scan_ref(p, end);
#endif
}

/* Length (2..4) of the well-formed UTF-8 sequence at p, which starts with a byte >= 0x80; 0 if there
 * is none. Ranges of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static inline size_t json_utf8_length(const char *p, const char *end) {
    const unsigned char *s = (const unsigned char *)p;
    size_t left = (size_t)(end - p);
    unsigned char lo = 0x80, hi = 0xBF;
    size_t n;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        n = 2;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        n = 3;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        n = 4;
    else
        return 0;
    if (s[0] == 0xE0) lo = 0xA0;
    if (s[0] == 0xED) hi = 0x9F;
    if (s[0] == 0xF0) lo = 0x90;
    if (s[0] == 0xF4) hi = 0x8F;
    if (left < n || s[1] < lo || s[1] > hi) return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return n;
}

#endif
