/* Columns that compare one symbol with the others at the same time. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "feature/feature_internal.h"

/* One sort key a row: the value's order in the upper half, the row in the lower, so that keys are
 * distinct and ties are neighbours. */
static uint64_t key_make(float x, uint32_t row) {
    uint32_t bits;
    x += 0.0F; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    bits = bits & 0x80000000U ? ~bits : bits | 0x80000000U;
    return (uint64_t)bits << 32 | row;
}

/* Bottom-up merge sort of n <= FEATURE_ROWS_MAX keys; returns where the sorted ones are. */
static const uint64_t *keys_sort(uint64_t *keys, uint64_t *spare, uint32_t n) {
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t start = 0; start < n; start += 2 * width) {
            uint32_t middle = start + width < n ? start + width : n;
            uint32_t end = start + 2 * width < n ? start + 2 * width : n;
            uint32_t a = start, b = middle, to = start;
            while (a < middle && b < end) {
                uint64_t x = keys[a], y = keys[b];
                uint32_t first = x < y;
                spare[to++] = first ? x : y;
                a += first;
                b += first ^ 1;
            }
            while (a < middle) spare[to++] = keys[a++];
            while (b < end) spare[to++] = keys[b++];
        }
        uint64_t *swap = keys;
        keys = spare;
        spare = swap;
    }
    return keys;
}

struct cross_columns {
    uint32_t input, rank, strength, mean, dispersion, breadth;
};

/* Ranks 0..1; equal values share the mean of their places. */
static void ranks_write(float *rows, uint32_t stride, uint32_t column, uint64_t *keys,
                        uint32_t known) {
    uint64_t spare[FEATURE_ROWS_MAX];
    const uint64_t *sorted = keys_sort(keys, spare, known);
    double scale = 0.5 / (known - 1);
    for (uint32_t i = 0; i < known;) {
        uint32_t last = i;
        while (last + 1 < known && sorted[last + 1] >> 32 == sorted[i] >> 32) last++;
        float rank = (float)((double)(i + last) * scale);
        for (; i <= last; i++) rows[(size_t)(uint32_t)sorted[i] * stride + column] = rank;
    }
}

static void cross_one(float *rows, uint32_t count, uint32_t stride, struct cross_columns at) {
    uint64_t keys[FEATURE_ROWS_MAX];
    uint32_t known = 0, half_rises = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        float *row = rows + (size_t)i * stride, x = row[at.input];
        row[at.rank] = row[at.strength] = NAN;
        if (x != x) continue;
        keys[known++] = key_make(x, i);
        sum += (double)x;
        half_rises += x > 0 ? 2 : x < 0 ? 0 : 1;
    }
    bool enough = known >= 2;
    double mean = enough ? sum / known : (double)NAN, squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        float x = rows[(size_t)i * stride + at.input];
        double gap = x != x || !enough ? 0 : (double)x - mean;
        squares += gap * gap;
    }
    float market = enough ? (float)mean : NAN;
    float dispersion = enough ? (float)sqrt(squares / known) : NAN;
    float breadth = enough ? (float)(half_rises * 0.5 / known) : NAN;
    for (uint32_t i = 0; i < count; i++) {
        float *row = rows + (size_t)i * stride, x = row[at.input];
        row[at.mean] = market;
        row[at.dispersion] = dispersion;
        row[at.breadth] = breadth;
        if (x == x && enough) row[at.strength] = (float)((double)x - mean);
    }
    if (enough) ranks_write(rows, stride, at.rank, keys, known);
}

void feature_cross(float *rows, uint32_t count, uint32_t stride) {
    ASSERT(count <= FEATURE_ROWS_MAX && stride >= FEATURE_COUNT);
    cross_one(rows, count, stride,
              (struct cross_columns){FEATURE_PRICE_CHANGE, FEATURE_RANK_RETURN_1,
                                     FEATURE_RELATIVE_STRENGTH_1, FEATURE_MARKET_RETURN_1,
                                     FEATURE_MARKET_DISPERSION_1, FEATURE_MARKET_BREADTH_1});
    cross_one(rows, count, stride,
              (struct cross_columns){FEATURE_RETURN_24, FEATURE_RANK_RETURN_24,
                                     FEATURE_RELATIVE_STRENGTH_24, FEATURE_MARKET_RETURN_24,
                                     FEATURE_MARKET_DISPERSION_24, FEATURE_MARKET_BREADTH_24});
}
