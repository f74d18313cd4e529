/* The feature registry and its one code path for training and for serving.
 *
 * A `feature_series` holds what one symbol's columns need (fixed size, no pointers); feature_step
 * takes one closed bar, O(1), and writes that symbol's row. After every symbol with a bar at time t
 * has been stepped, feature_cross fills the cross-section columns of all rows at t. A row sees the
 * past only: there is no way to hand it a later bar. The same calls run in training and in service,
 * which is what makes the two equal bit for bit.
 *
 * Values are float (what the models read), computed in double. A value that cannot be known
 * (warming up, flat, missing input) is what its registry row says, usually NaN. */
#ifndef FEATURE_FEATURE_H
#define FEATURE_FEATURE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/bar.h"
#include "domain/instrument.h"
#include "feature/feature_table.h"

/* How much of a value depends on where its series began, once it is known:
 * EXACT not at all, EPSILON by rounding, CONVERGING less with every bar (recursive averages). */
enum feature_tolerance { FEATURE_EXACT, FEATURE_EPSILON, FEATURE_CONVERGING };

/* Column indices: FEATURE_PRICE_CHANGE, FEATURE_ATR_FRACTION, FEATURE_RETURN_24 … in row order. */
enum feature_id {
#define FEATURE_ENUM(id, ...) FEATURE_##id,
    FEATURE_TABLE(FEATURE_ENUM)
#undef FEATURE_ENUM
        FEATURE_COUNT,
    FEATURE_OWN_COUNT = FEATURE_RANK_RETURN_1, /* cross-section columns come last */
};

struct feature_desc {
    const char *name;     /* snake_case, unique, never reused for something else */
    const char *unit;     /* "fraction", "z", "0..1", "bars", "flag" … */
    float lo, hi;         /* range every non-NaN value is in */
    uint32_t warmup_bars; /* base bars before the first non-NaN value */
    enum feature_tolerance tolerance;
    uint32_t version;       /* of the formula; part of the hash */
    const char *on_flat;    /* value on a constant series */
    const char *on_missing; /* value when its input is missing */
    const char *source;     /* formula's source, and the original's name where it had one */
};

enum { FEATURE_COUNT_MAX = 96, FEATURE_ROWS_MAX = INSTRUMENTS_MAX };
static_assert((int)FEATURE_COUNT <= (int)FEATURE_COUNT_MAX, "rows are sized by FEATURE_COUNT_MAX");

/* Number of columns; the registry rows (feature_count()); the hash of names, order and versions
 * that travels in every model file. */
uint32_t feature_count(void);
const struct feature_desc *feature_at(uint32_t index);
uint64_t feature_list_hash(void);

/* Base bars before the first row whose own-series columns can all be known: the first such row is
 * number feature_warmup_bars() counted from 0. */
uint32_t feature_warmup_bars(void);

struct feature_series; /* size: feature_series_size() bytes, 64-aligned, no pointers inside */
size_t feature_series_size(void);
void feature_series_init(struct feature_series *series, int64_t interval_ns);

/* Steps one symbol by one closed bar. Bars come in ascending time and are possible
 * (bar_is_possible); both are asserted. After a hole in the grid the series starts anew and warms up again: nothing is
 * ever differenced, summed or averaged across a hole.
 * Out      row  (feature_count()) own-series columns written, cross-section columns NaN
 * Time     O(1) amortised: windows of 14, 20 and 96 bars rebuild partial results once each */
void feature_step(float *row, struct feature_series *series, const struct bar *bar);

/* Fills the cross-section columns of `count` rows (<= FEATURE_ROWS_MAX) at one time t. The
 * caller's row order is the order of summation: keep it fixed (by instrument index).
 * In-out   rows  (count, stride) row-major; own-series columns already written by feature_step
 * Time     O(n log n) */
void feature_cross(float *rows, uint32_t count, uint32_t stride);

/* Average true range over 14 bars (Wilder) as a fraction of close; NaN while warming up. What stops
 * and labels are measured in. */
float feature_atr_fraction(const float *row);

#endif
