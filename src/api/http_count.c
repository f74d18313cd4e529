#include "api/http_count.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const char *const METHODS[] = {"GET", "HEAD", "POST", "other"};
static const int OTHER_CODES[] = {400, 401, 403, 404, 405, 411, 413, 415, 422, 426, 500, 501, 503};

void http_count_declare(struct http_count *c, const char *method, const char *path, int code) {
    ASSERT(c->series_count < HTTP_COUNT_SERIES_MAX);
    char labels[128];
    snprintf(labels, sizeof labels, "method=\"%s\",path=\"%s\",code=\"%d\"", method, path, code);
    int i = c->series_count++;
    c->series[i].method = method;
    c->series[i].path = path;
    c->series[i].code = code;
    c->series[i].handle =
        metrics_add(c->metrics, METRIC_COUNTER, "http_requests_total", labels,
                    "Requests answered; path other: no such path, or an answer of the kind any "
                    "path may give.",
                    NULL, 0);
}

void http_count_init(struct http_count *c, struct metrics *metrics) {
    /* Loopback answers take 0.1 ms; the row's limit for a signal is 50 ms. */
    static const double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                    0.01,   0.025,   0.05,   0.1,   0.5,    2.0};
    const size_t bound_count = sizeof bounds / sizeof bounds[0];
    const char *help = "From the request's last byte to its answer handed to the socket.";
    memset(c, 0, sizeof *c);
    c->metrics = metrics;
    c->in_progress = metrics_add(metrics, METRIC_GAUGE, "http_requests_in_progress", "",
                                 "Requests whose answer is not complete yet.", NULL, 0);
    c->errors = metrics_add(metrics, METRIC_COUNTER, "errors_total", "component=\"http\"",
                            "Requests that failed by our own fault (status 500).", NULL, 0);
    c->duration_signal = metrics_add(metrics, METRIC_HISTOGRAM, "http_request_duration_seconds",
                                     "path=\"/api/ai/signal\"", help, bounds, bound_count);
    c->duration_other = metrics_add(metrics, METRIC_HISTOGRAM, "http_request_duration_seconds",
                                    "path=\"other\"", help, bounds, bound_count);
    for (size_t m = 0; m < sizeof METHODS / sizeof METHODS[0]; m++)
        for (size_t k = 0; k < sizeof OTHER_CODES / sizeof OTHER_CODES[0]; k++)
            http_count_declare(c, METHODS[m], "other", OTHER_CODES[k]);
}

void http_count_begin(struct http_count *c) {
    metrics_inc(c->metrics, c->in_progress, 1);
}

static int find(const struct http_count *c, const char *method, const char *path, int code) {
    for (int i = 0; i < c->series_count; i++)
        if (c->series[i].code == code && strcmp(c->series[i].method, method) == 0 &&
            strcmp(c->series[i].path, path) == 0)
            return c->series[i].handle;
    return -1;
}

void http_count_end(struct http_count *c, const char *method, const char *path, int code,
                    double seconds) {
    metrics_inc(c->metrics, c->in_progress, -1);
    if (code == 0) return;
    int handle = find(c, method, path, code);
    if (handle < 0) handle = find(c, method, "other", code);
    ASSERT(handle >= 0); /* every code we send is declared */
    metrics_inc(c->metrics, handle, 1);
    if (code == 500) metrics_inc(c->metrics, c->errors, 1);
    bool is_signal = strcmp(path, "/api/ai/signal") == 0;
    metrics_observe(c->metrics, is_signal ? c->duration_signal : c->duration_other, seconds);
}
