/* logfmt to standard error: ts level msg key=value …, one line, one write. Thread-safe.
 * log_info("engine", "model loaded", "path=%s skill_t=%.1f", path, t). Values with spaces must be
 * quoted by the caller with log_quote or "%s" in quotes. Not for engines. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG = 0, LOG_INFO, LOG_WARN, LOG_ERROR };
void log_level_set(enum log_level level);
/* A second destination (opened for append); NULL closes it. Returns 0, or -1 with errno. */
int log_file_set(const char *path);
/* Whether lines also go to standard error (default yes). */
void log_stderr_set(int enabled);
void log_write(enum log_level level, const char *role, const char *message, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define log_debug(role, ...) log_write(LOG_DEBUG, role, __VA_ARGS__)
#define log_info(role, ...)  log_write(LOG_INFO, role, __VA_ARGS__)
#define log_warn(role, ...)  log_write(LOG_WARN, role, __VA_ARGS__)
#define log_error(role, ...) log_write(LOG_ERROR, role, __VA_ARGS__)

#endif
