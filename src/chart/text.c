#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_internal.h" /* json_utf8_length: what well-formed UTF-8 is */
#include "chart/text.h"

static bool text_reserve(struct text *t, size_t more) {
    if (t->failed) return false;
    if (t->capacity - t->size > more) return true;
    size_t capacity = t->capacity ? t->capacity : 4096;
    while (capacity - t->size <= more) capacity *= 2;
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_add(struct text *t, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        t->failed = true;
    else if (text_reserve(t, (size_t)n))
        t->size += (size_t)vsnprintf(t->data + t->size, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
}

void text_add_raw(struct text *t, const char *data, size_t size) {
    if (!text_reserve(t, size)) return;
    memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
}

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* One letter as XML; the bytes of s it took. */
static size_t letter_add(struct text *t, const char *s, const char *end) {
    unsigned char c = (unsigned char)*s;
    if (c >= 0x80) {
        size_t n = json_utf8_length(s, end);
        /* U+FFFE and U+FFFF are no XML characters. */
        bool held = n && !(n == 3 && memcmp(s, "\xEF\xBF", 2) == 0 && (s[2] & 0x3F) >= 0x3E);
        text_add(t, "%.*s", held ? (int)n : 3, held ? s : REPLACEMENT);
        return n ? n : 1;
    }
    switch (c) {
    case '&':
        text_add(t, "&amp;");
        break;
    case '<':
        text_add(t, "&lt;");
        break;
    case '>':
        text_add(t, "&gt;");
        break;
    case '"':
        text_add(t, "&quot;");
        break;
    case '\t':
    case '\n':
    case '\r':
        text_add(t, " ");
        break;
    default:
        if (c < 0x20)
            text_add(t, "%s", REPLACEMENT);
        else
            text_add(t, "%c", c);
    }
    return 1;
}

void text_add_escaped(struct text *t, const char *s, size_t letters_max) {
    bool cut = text_letters(s) > letters_max;
    const char *end = s + strlen(s);
    size_t left = cut && letters_max ? letters_max - 1 : letters_max;
    while (s < end && left-- > 0) s += letter_add(t, s, end);
    if (cut) text_add(t, "\xE2\x80\xA6");
}

size_t text_letters(const char *s) {
    size_t n = 0;
    for (; *s; s++) n += (*s & 0xC0) != 0x80;
    return n;
}
