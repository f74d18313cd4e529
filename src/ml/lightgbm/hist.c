/* Histograms: for each bin of each lane, gradient and count|hessian of the rows in it.
 *
 * Rows come in blocks whose pairs stay near; two quads of 8 bits are one word of a packed row.
 * Their histograms are (bins, lanes): one line of cache for a bin of all four lanes, 16 KiB for a
 * quad, and the search takes the lanes side by side. */
#include <string.h>

#include "ml/lightgbm/lgbm_grow_internal.h"

static inline __attribute__((always_inline)) void lanes_add(lgbm_pair *hist, uint64_t word,
                                                            uint32_t bits, lgbm_pair x) {
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    hist[(word & mask) * LGBM_LANES] += x;
    hist[(word >> bits & mask) * LGBM_LANES + 1] += x;
    hist[(word >> 2 * bits & mask) * LGBM_LANES + 2] += x;
    hist[(word >> 3 * bits & mask) * LGBM_LANES + 3] += x;
}

/* Compiled once for each width, with and without a list of rows, for one quad and two. */
static inline __attribute__((always_inline)) void
block_add(lgbm_pair *hist, lgbm_pair *second, const uint8_t *packed, size_t stride,
          const uint32_t *rows, const lgbm_pair *pairs, uint32_t count, uint32_t bits, bool two) {
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = packed + (rows ? rows[i] : i) * stride;
        lgbm_pair x = pairs[i];
        if (bits == 4) {
            uint16_t word;
            memcpy(&word, at, sizeof word);
            lanes_add(hist, word, 4, x);
        } else if (bits == 8 && !two) {
            uint32_t word;
            memcpy(&word, at, sizeof word);
            lanes_add(hist, word, 8, x);
        } else {
            uint64_t word;
            memcpy(&word, at, sizeof word);
            lanes_add(hist, word, bits, x);
            if (two) lanes_add(second, word >> 32, bits, x);
        }
    }
}

static void add_two(lgbm_pair *hist, lgbm_pair *second, const uint8_t *packed, size_t stride,
                    const uint32_t *rows, const lgbm_pair *pairs, uint32_t count) {
    if (rows)
        block_add(hist, second, packed, stride, rows, pairs, count, 8, true);
    else
        block_add(hist, second, packed, stride, NULL, pairs, count, 8, true);
}

static void add_one(lgbm_pair *hist, const uint8_t *packed, size_t stride, const uint32_t *rows,
                    const lgbm_pair *pairs, uint32_t count, uint32_t bits) {
    if (bits == 4)
        block_add(hist, NULL, packed, stride, rows, pairs, count, 4, false);
    else if (bits == 8)
        block_add(hist, NULL, packed, stride, rows, pairs, count, 8, false);
    else
        block_add(hist, NULL, packed, stride, rows, pairs, count, 16, false);
}

void lgbm_hist_add(lgbm_pair *hist, const struct lgbm_dataset *d, const uint32_t *quads,
                   uint32_t from, uint32_t to, const uint32_t *rows, size_t first,
                   const lgbm_pair *pairs, uint32_t count) {
    const uint8_t *packed = d->packed + (rows ? 0 : first * d->row_stride);
    for (uint32_t i = from; i < to; i++) {
        const struct lgbm_quad *q = &d->quads[quads[i]];
        const uint8_t *at = packed + q->row_offset;
        bool two = q->bits == 8 && i + 1 < to && quads[i + 1] == quads[i] + 1 && q[1].bits == 8;
        if (two) {
            add_two(hist + q->hist_offset, hist + q[1].hist_offset, at, d->row_stride, rows, pairs,
                    count);
            i++;
        } else {
            add_one(hist + q->hist_offset, at, d->row_stride, rows, pairs, count, q->bits);
        }
    }
}

void lgbm_hist_gather(lgbm_pair *out, const lgbm_pair *pairs, const struct lgbm_dataset *d,
                      const uint32_t *rows, uint32_t count, bool negative) {
    enum { LINE = 64, LINES_MAX = 8 };
    size_t ahead = d->row_stride < LINE * LINES_MAX ? d->row_stride : LINE * LINES_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = d->packed + rows[i] * d->row_stride;
        for (size_t k = 0; k < ahead; k += LINE) __builtin_prefetch(row + k);
        out[i] = negative ? -pairs[rows[i]] : pairs[rows[i]];
    }
}

void lgbm_hist_subtract(lgbm_pair *a, const lgbm_pair *b, size_t entries) {
    for (size_t i = 0; i < entries; i++) a[i] -= b[i];
}
