#include "base/hist.h"

#include <math.h>

#include "base/assert.h"

enum { LINEAR = 16, LINEAR_LOG2 = 4 };

/* Values below 16 have a bucket each; above, the four bits behind the leading one choose the step. */
static uint32_t bucket_of(int64_t value) {
    if (value < LINEAR) return (uint32_t)value;
    uint32_t log2 = 63 - (uint32_t)__builtin_clzll((uint64_t)value);
    uint32_t shift = log2 - LINEAR_LOG2;
    return LINEAR + shift * LINEAR + (uint32_t)((value >> shift) & (LINEAR - 1));
}

static int64_t bucket_upper(uint32_t bucket) {
    if (bucket < LINEAR) return bucket;
    uint32_t shift = (bucket - LINEAR) / LINEAR, step = (bucket - LINEAR) % LINEAR;
    uint64_t next = (uint64_t)(LINEAR + step + 1) << shift;
    return next - 1 > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)(next - 1);
}

static void bucket_add(uint32_t *bucket, uint32_t by) {
    if (__builtin_add_overflow(*bucket, by, bucket)) *bucket = UINT32_MAX;
}

static void sum_add(uint64_t *sum, uint64_t by) {
    if (__builtin_add_overflow(*sum, by, sum)) *sum = UINT64_MAX;
}

void hist_init(struct hist *h) {
    *h = (struct hist){0};
}

void hist_add(struct hist *h, int64_t value) {
    if (value < 0) value = 0;
    if (h->count == 0 || value < h->min) h->min = value;
    if (h->count == 0 || value > h->max) h->max = value;
    h->count++;
    sum_add(&h->sum, (uint64_t)value);
    bucket_add(&h->buckets[bucket_of(value)], 1);
}

void hist_merge(struct hist *into, const struct hist *from) {
    if (from->count == 0) return;
    if (into->count == 0 || from->min < into->min) into->min = from->min;
    if (into->count == 0 || from->max > into->max) into->max = from->max;
    into->count += from->count;
    sum_add(&into->sum, from->sum);
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) bucket_add(&into->buckets[i], from->buckets[i]);
}

int64_t hist_quantile(const struct hist *h, double q) {
    ASSERT(q >= 0 && q <= 1);
    /* Not h->count: a saturated bucket holds fewer than were added. */
    uint64_t total = 0, seen = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) total += h->buckets[i];
    if (total == 0) return 0;
    uint64_t rank = (uint64_t)ceil(q * (double)total);
    if (rank < 1) rank = 1;
    uint32_t bucket = 0;
    for (;; bucket++) {
        seen += h->buckets[bucket];
        if (seen >= rank || bucket == HIST_BUCKETS - 1) break;
    }
    int64_t upper = bucket_upper(bucket);
    return upper < h->max ? upper : h->max;
}
