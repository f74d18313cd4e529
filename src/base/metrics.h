/* Metrics registry in Prometheus' text form. Registration at start (bounded table, ASSERT when full),
 * updates from any thread by atomics, one rendering function. Names and labels are checked at
 * registration; HELP and TYPE are always written. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Time series in one registry (a label set each) and bounds of one histogram. */
enum { METRICS_MAX = 1024, METRICS_BOUNDS_MAX = 24 };

struct metrics;
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics *metrics_create(void); /* NULL if there is no memory */
void metrics_destroy(struct metrics *m);
/* labels is "" or "k=\"v\",k2=\"v2\""; the same name may be registered with several label sets (same
 * help and type asserted); the same name and labels once. name, labels and help are copied, bounds too.
 * Histogram bounds ascending and finite, in the metric's unit; NULL/0 otherwise. Returns a handle.
 * Registration and rendering must not overlap: register at start. */
int metrics_add(struct metrics *m, enum metric_type type, const char *name, const char *labels,
                const char *help, const double *bounds, size_t bound_count);
void metrics_inc(struct metrics *m, int handle, double by); /* counters: by >= 0 asserted */
void metrics_set(struct metrics *m, int handle,
                 double value); /* gauges; counters may be set to a larger total */
void metrics_observe(struct metrics *m, int handle, double value); /* not NaN, asserted */
/* Text exposition 0.0.4; ST_FULL if it does not fit. *out_size excludes the NUL. */
enum status metrics_render(const struct metrics *m, char *out, size_t capacity, size_t *out_size);

#endif
