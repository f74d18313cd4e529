/* The feature registry and its one code path for training and for serving.
 *
 * A `feature_series` holds what one symbol's columns need (fixed size, no pointers); feature_step
 * takes one closed bar, O(1), and writes that symbol's row. After every symbol with a bar at time t
 * has been stepped, feature_cross fills the cross-section columns of all rows at t. A row sees the
 * past only: there is no way to hand it a later bar. The same calls run in training and in service,
 * which is what makes the two equal bit for bit.
 *
 * Values are float (what the models read), computed in double. A value that cannot be known (warming
 * up, flat, missing input) is what its registry row says, usually NaN. */
#ifndef FEATURE_FEATURE_H
#define FEATURE_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/bar.h"

enum feature_tolerance { FEATURE_EXACT, FEATURE_EPSILON, FEATURE_CONVERGING };

struct feature_desc {
    const char *name;        /* snake_case, unique, never reused for something else */
    const char *unit;        /* "fraction", "z", "0..1", "bars", "flag" … */
    float lo, hi;            /* range every non-NaN value is in */
    uint32_t warmup_bars;    /* base bars before the first non-NaN value */
    enum feature_tolerance tolerance;
    const char *on_flat;     /* value on a constant series */
    const char *on_missing;  /* value when its input is missing */
    const char *source;      /* formula's source, and the original's name where it had one */
};

enum { FEATURE_COUNT_MAX = 96 };

/* Number of columns; the registry rows (feature_count()); the hash of names, order and versions that
 * travels in every model file. */
uint32_t feature_count(void);
const struct feature_desc *feature_at(uint32_t index);
uint64_t feature_list_hash(void);

/* Base bars until every own-series column of a row can be known. */
uint32_t feature_warmup_bars(void);

struct feature_series; /* size: feature_series_size() bytes, 64-aligned, no pointers inside */
size_t feature_series_size(void);
void feature_series_init(struct feature_series *series, int64_t interval_ns);

/* Steps one symbol by one closed bar. Bars come in ascending time; a hole in the grid is seen by the
 * series itself and resets what must not be differenced across it.
 * Out      row  (feature_count()) own-series columns written, cross-section columns NaN */
void feature_step(float *row, struct feature_series *series, const struct bar *bar);

/* Fills the cross-section columns of `count` rows at one time t.
 * In-out   rows  (count, stride) row-major; own-series columns already written by feature_step */
void feature_cross(float *rows, uint32_t count, uint32_t stride);

/* Average true range over 14 bars (Wilder) as a fraction of close; NaN while warming up. What stops
 * and labels are measured in. */
float feature_atr_fraction(const float *row);

#endif
