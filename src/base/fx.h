/* Fixed point: prices, quantities, money and rates as int64 in units of 1e-8.
 *
 * One-field structs cost what an int64 costs and stop a price from being passed as a quantity.
 * Products go through __int128; the rounding is in the name: _floor toward minus infinity, _ceil
 * toward plus infinity, _half_even to nearest with ties to the even neighbour. A result that does
 * not fit int64 is our mistake (ASSERT): limits on orders keep notional below 9.2e10 quote units. */
#ifndef BASE_FX_H
#define BASE_FX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define FX_ONE INT64_C(100000000) /* 1.0 in e8 */

typedef struct {
    int64_t e8;
} px_t; /* quote per base */
typedef struct {
    int64_t e8;
} qty_t; /* base units; signed where a position is meant */
typedef struct {
    int64_t e8;
} money_t; /* quote units (USDT) */
typedef struct {
    int64_t e8;
} rate_t; /* plain fraction: fee, funding, margin: 0.0005 is 50000 */

static inline px_t px_e8(int64_t e8) {
    return (px_t){e8};
}
static inline qty_t qty_e8(int64_t e8) {
    return (qty_t){e8};
}
static inline money_t money_e8(int64_t e8) {
    return (money_t){e8};
}
static inline rate_t rate_e8(int64_t e8) {
    return (rate_t){e8};
}

/* a * b / 1e8 and a * b / c with the rounding in the name; c > 0 asserted. */
int64_t fx_mul_floor(int64_t a_e8, int64_t b_e8);
int64_t fx_mul_ceil(int64_t a_e8, int64_t b_e8);
int64_t fx_mul_half_even(int64_t a_e8, int64_t b_e8);
int64_t fx_muldiv_floor(int64_t a, int64_t b, int64_t c);
int64_t fx_muldiv_ceil(int64_t a, int64_t b, int64_t c);
int64_t fx_muldiv_half_even(int64_t a, int64_t b, int64_t c);

/* Notional of px * qty. */
static inline money_t money_mul_floor(px_t px, qty_t qty) {
    return (money_t){fx_mul_floor(px.e8, qty.e8)};
}
static inline money_t money_mul_half_even(px_t px, qty_t qty) {
    return (money_t){fx_mul_half_even(px.e8, qty.e8)};
}
/* money * rate: fees round up (against us), funding half to even. */
static inline money_t money_rate_ceil(money_t m, rate_t r) {
    return (money_t){fx_mul_ceil(m.e8, r.e8)};
}
static inline money_t money_rate_half_even(money_t m, rate_t r) {
    return (money_t){fx_mul_half_even(m.e8, r.e8)};
}

/* Largest multiple of grid not above x / smallest not below x / nearest (ties up). grid > 0. */
int64_t fx_snap_down(int64_t x, int64_t grid);
int64_t fx_snap_up(int64_t x, int64_t grid);
int64_t fx_snap_nearest(int64_t x, int64_t grid);

/* Decimal text to e8, digit by digit: "-12.345", "1e-05", "0.00000001". More than 8 decimals are
 * accepted only if the rest is zeros. Exponents are accepted since exchanges write "1e-05".
 * Returns ST_OK; ST_INVALID on anything that is not wholly one number; ST_RANGE if it does not fit
 * or would lose digits. out is untouched on failure. */
enum status fx_parse(int64_t *out_e8, const char *text, size_t length);

/* As fx_parse but digits beyond the 8th are cut (toward zero) instead of refused. For published
 * series whose source prints more digits than the venue has. */
enum status fx_parse_truncate(int64_t *out_e8, const char *text, size_t length);

enum { FX_TEXT_SIZE = 24 };
/* e8 to the shortest decimal text ("12.5", "-0.00000001", "3"); returns the length, NUL ended. */
size_t fx_format(char out[FX_TEXT_SIZE], int64_t e8);
/* As fx_format with exactly `decimals` (0..8) digits behind the point; must not lose digits. */
size_t fx_format_fixed(char out[FX_TEXT_SIZE], int64_t e8, int decimals);

/* The two gates between fixed point and floating point. */
static inline double fx_to_f64(int64_t e8) {
    return (double)e8 / 1e8;
}
static inline double px_to_f64(px_t px) {
    return fx_to_f64(px.e8);
}
static inline double qty_to_f64(qty_t q) {
    return fx_to_f64(q.e8);
}
static inline double money_to_f64(money_t m) {
    return fx_to_f64(m.e8);
}
/* x must be finite and fit (asserted); rounds to nearest. */
int64_t fx_from_f64(double x);

#endif
