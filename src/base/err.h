/* What went wrong, in words, for the person who must act on it.
 *
 * Cold paths take a `struct err *` (may be NULL) beside their status. The first failure sets the
 * text and every caller on the way up may put its own context in front:
 *     return err_wrap(err, st, "model %s", path);      ->  "model a.json: line 3: expected ':'" */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/status.h"

enum { ERR_TEXT_SIZE = 512 };

struct err {
    enum status st;
    char text[ERR_TEXT_SIZE];
};

/* Sets err (if not NULL) and returns st, so that it can end a function. */
enum status err_set(struct err *err, enum status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, with ": strerror(errno)" behind the text. */
enum status err_errno(struct err *err, enum status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "format: " in front of what err already says. */
enum status err_wrap(struct err *err, enum status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The analyzer reads one file at a time and does not see that these return the status they are
 * given: without this it follows the paths on which a failure comes back as ST_OK. */
#if defined(__clang_analyzer__) && !defined(ERR_IMPLEMENTATION)
static inline enum status err_given(enum status returned, enum status given) {
    (void)returned;
    return given;
}
#define err_set(err, st, ...)   err_given(err_set(err, st, __VA_ARGS__), st)
#define err_errno(err, st, ...) err_given(err_errno(err, st, __VA_ARGS__), st)
#define err_wrap(err, st, ...)  err_given(err_wrap(err, st, __VA_ARGS__), st)
#endif

#endif
