/* logfmt to standard error: ts level role msg key=value …, one line, one write. Thread-safe.
 * log_info("engine", "model loaded", "path=%s skill_t=%.1f", path, t); the format may be left out.
 * Control characters in the message and in the values come out escaped, so a line is always one line.
 * Values with spaces must be quoted by the caller with log_quote or "%s" in quotes. Not for engines. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG = 0, LOG_INFO, LOG_WARN, LOG_ERROR };

/* A longer line is cut there and ends in " cut=true". */
enum { LOG_LINE_SIZE = 4096 };

void log_level_set(enum log_level level);
/* A second destination (opened for append); NULL closes it. Returns 0, or -1 with errno. */
int log_file_set(const char *path);
/* Whether lines also go to standard error (default yes). */
void log_stderr_set(int enabled);
void log_write(enum log_level level, const char *role, const char *message, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Lines a destination did not take whole (disk full, closed pipe): nobody else could be told. */
uint64_t log_lost_count(void);
/* text in double quotes, quotes, backslashes and control characters escaped; cut to fit (at least 3
 * bytes). Returns out. */
const char *log_quote(char *out, size_t out_size, const char *text);

/* The space in front makes a missing format a valid one; log_write drops it. */
#define LOG_LINE(level, role, message, ...) log_write(level, role, message, " " __VA_ARGS__)
#define log_debug(role, ...)                LOG_LINE(LOG_DEBUG, role, __VA_ARGS__)
#define log_info(role, ...)                 LOG_LINE(LOG_INFO, role, __VA_ARGS__)
#define log_warn(role, ...)                 LOG_LINE(LOG_WARN, role, __VA_ARGS__)
#define log_error(role, ...)                LOG_LINE(LOG_ERROR, role, __VA_ARGS__)

#endif
