/* Log-linear histogram of non-negative int64 (nanoseconds, bytes): 16 linear steps per power of two,
 * so a quantile is within 1/16 of the true value. Plain memory, fixed size, no pointers; mergeable.
 * Pure: engines may use it. count and min/max are exact; sum saturates.
 * Tests    test_hist.c: quantiles against a sorted list. */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>

enum { HIST_BUCKETS = 16 + 60 * 16 };
struct hist {
    uint64_t count, sum;
    int64_t min, max; /* 0 while empty */
    uint32_t buckets[HIST_BUCKETS];
};
void hist_init(struct hist *h);
void hist_add(struct hist *h, int64_t value); /* negative counts as 0; buckets saturate */
void hist_merge(struct hist *into, const struct hist *from);
/* q in [0,1]; upper edge of the bucket, clamped to max; 0 if empty. */
int64_t hist_quantile(const struct hist *h, double q);

#endif
