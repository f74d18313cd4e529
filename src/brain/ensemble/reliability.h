/* Reliability table and expected calibration error: does what was said with probability p happen with
 * frequency p? Bins of equal width, streamed; plain numbers, kept with a model or in a snapshot. */
#ifndef BRAIN_ENSEMBLE_RELIABILITY_H
#define BRAIN_ENSEMBLE_RELIABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RELIABILITY_BINS = 15 };
struct reliability {
    uint64_t count, refused; /* refused: p was no probability */
    struct {
        uint64_t count;
        double p_sum;
        uint64_t hits;
    } bins[RELIABILITY_BINS]; /* bin b: p in [b, b + 1) / RELIABILITY_BINS; 1 is in the last */
};
_Static_assert(sizeof(struct reliability) == 376, "376 bytes, no padding");

/* One statement: something was given probability p, and it happened or not. */
void reliability_push(struct reliability *r, double p, bool hit);
/* The table of n statements: all zero, then pushed one by one. */
void reliability_table(struct reliability *out, const double *p, const bool *hit, size_t n);

/* A row of the table as it is shown; the shares of an empty bin are 0. hit_low, hit_high: Wilson's
 * interval of the hit share, 95 %, for independent statements. */
struct reliability_row {
    uint64_t count;
    double p_mean, hit_share, hit_low, hit_high;
};
struct reliability_row reliability_row(const struct reliability *r, uint32_t bin);

/* Sum over bins of count/n * |hit share - mean p|; 0 without statements. */
double reliability_ece(const struct reliability *r);
/* What a perfectly calibrated forecaster of these same p would show on average by chance alone, normal
 * approximation per bin: an ECE below it is no news. */
double reliability_ece_chance(const struct reliability *r);
/* The largest gap of a bin that holds at least `count_min` statements (>= 1). */
double reliability_mce(const struct reliability *r, uint64_t count_min);
/* Pure, O(bins).
 * Source  Guo et al., On Calibration of Modern Neural Networks (2017), ECE and MCE;
 *         Wilson, J. Am. Stat. Assoc. 22 (1927). */

#endif
