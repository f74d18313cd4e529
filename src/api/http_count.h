/* Private to src/api: the http_* metrics. Every series is registered at start, so that counting a
 * request never allocates and a scrape shows zeros instead of gaps. */
#ifndef API_HTTP_COUNT_H
#define API_HTTP_COUNT_H

#include "base/metrics.h"

enum { HTTP_COUNT_SERIES_MAX = 256 };

struct http_count {
    struct metrics *metrics;
    int series_count, in_progress, errors, duration_signal, duration_other;
    struct {
        const char *method, *path;
        int code, handle;
    } series[HTTP_COUNT_SERIES_MAX];
};

/* methods and paths are static texts: "GET" "HEAD" "POST" "other". */
void http_count_init(struct http_count *c, struct metrics *metrics);
/* Declares that path answers method with code; all else counts as path "other". */
void http_count_declare(struct http_count *c, const char *method, const char *path, int code);
void http_count_begin(struct http_count *c);
/* A request ended: code 0 means its client left before the answer was complete. */
void http_count_end(struct http_count *c, const char *method, const char *path, int code,
                    double seconds);

#endif
