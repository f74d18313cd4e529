#define ERR_IMPLEMENTATION
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status err_set(struct err *err, enum status st, const char *format, ...) {
    if (!err) return st;
    err->st = st;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return st;
}

enum status err_errno(struct err *err, enum status st, const char *format, ...) {
    int saved = errno;
    if (!err) return st;
    err->st = st;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(saved));
    return st;
}

enum status err_wrap(struct err *err, enum status st, const char *format, ...) {
    if (!err) return st;
    char inner[ERR_TEXT_SIZE];
    memcpy(inner, err->text, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    err->st = st;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner);
    return st;
}
