/* Products of lanes.h, as text: included once per processor, by lanes_plain.c and lanes_avx2.c.
 *
 * Tiles of 4 x 2 accumulators: as many chains as two fused multipliers of four cycles need, in 12 registers; measured 90 to
 * 100 of 101 GFLOP/s from L1. Each result adds its terms in order, whatever the tile: blocking does not show in the bits. */
#include <math.h>
#include <string.h>

#include "ml/patchtst/lanes.h"

#if defined(__clang__)
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif
#define INLINE static inline __attribute__((always_inline))

typedef double wide __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t wide_bits __attribute__((vector_size(LANES * sizeof(int64_t))));

INLINE lanes all(nn_real x) {
    return (lanes){x, x, x, x, x, x, x, x};
}

/* a * b + c, rounded once: by its own instruction; where the processor has none, in double, where the product is exact: the sum is
 * rounded to odd there (Knuth's two-sum says what the rounding took; an even last bit gives way towards it), so that the way
 * back to float rounds as if it saw the whole sum (Boldo and Melquiond 2008). The double build, which only compares with
 * differences, does without. */
INLINE lanes fused(lanes a, lanes b, lanes c) {
#if defined(NN_DOUBLE)
    return a * b + c;
#elif defined(__FMA__)
    return (lanes)__builtin_ia32_vfmaddps256(a, b, c);
#elif defined(__aarch64__)
    for (int i = 0; i < LANES; i++) c[i] = fmaf(a[i], b[i], c[i]); /* one instruction */
    return c;
#else
    wide product = __builtin_convertvector(a, wide) * __builtin_convertvector(b, wide);
    wide addend = __builtin_convertvector(c, wide), sum = product + addend, part = sum - product;
    wide rest = (product - (sum - part)) + (addend - part);
    wide side = rest * sum; /* above 0: away from 0. Not a number if the sum is none, or infinite */
    wide_bits bits = (wide_bits)sum, even = (bits & 1) - 1;
    bits += ((wide_bits)(side < 0) - (wide_bits)(side > 0)) & even;
    return __builtin_convertvector((wide)bits, lanes);
#endif
}

/* The compiler would rather read a value from memory twice than hold it: loads, not sums, would set the pace then. */
#if defined(__AVX__) && !defined(NN_DOUBLE)
#define HOLD(value) __asm__("" : "+x"(value))
#else
#define HOLD(value) ((void)0)
#endif

enum { TILE_ROWS = 8, TILE_COLUMNS = 2, STRIP_DEPTH = 4, STRIP_INNER_MAX = 12, ROWS_IN_CACHE = 16 };
enum { PACKED_MIN = 64, PACKED_MAX = 256, PACKED_USES = 32 };

INLINE void linear_tile(struct lanes_view y, struct lanes_view x, struct weights_view w,
                        const nn_real *bias, size_t in, bool add, const int rows,
                        const int columns) {
    lanes sum[TILE_ROWS][TILE_COLUMNS];
    UNROLLED
    for (int r = 0; r < rows; r++) {
        lanes start = (lanes){0};
        if (bias) start = all(bias[r]);
        UNROLLED
        for (int c = 0; c < columns; c++)
            sum[r][c] = add ? y.at[(size_t)r * y.row + (size_t)c * y.column] : start;
    }
    const lanes *xk = x.at;
    const nn_real *wk = w.at;
    for (size_t k = 0; k < in; k++, xk += x.row, wk += w.column) {
        lanes value[TILE_COLUMNS];
        UNROLLED
        for (int c = 0; c < columns; c++) {
            value[c] = xk[(size_t)c * x.column];
            HOLD(value[c]);
        }
        UNROLLED
        for (int r = 0; r < rows; r++) {
            lanes weight = all(wk[(size_t)r * w.row]);
            UNROLLED
            for (int c = 0; c < columns; c++) sum[r][c] = fused(value[c], weight, sum[r][c]);
        }
    }
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int c = 0; c < columns; c++)
            y.at[(size_t)r * y.row + (size_t)c * y.column] = sum[r][c];
    }
}

static void linear_columns(struct lanes_view y, struct lanes_view x, struct weights_view w,
                           const nn_real *bias, size_t out, size_t in, size_t columns, bool add) {
    for (size_t c = 0; c < columns;) {
        struct lanes_view yc = y, xc = x;
        struct weights_view wr = w;
        const nn_real *b = bias;
        yc.at += c * y.column;
        xc.at += c * x.column;
        bool pair = columns - c >= 2;
        for (size_t o = 0; o < out;) {
            size_t left = out - o, step = pair && left >= 4 ? 4 : !pair && left >= 8 ? 8 : 1;
            if (step == 4)
                linear_tile(yc, xc, wr, b, in, add, 4, 2);
            else if (step == 8)
                linear_tile(yc, xc, wr, b, in, add, 8, 1);
            else if (pair)
                linear_tile(yc, xc, wr, b, in, add, 1, 2);
            else if (left >= 4) {
                linear_tile(yc, xc, wr, b, in, add, 4, 1);
                step = 4;
            } else
                linear_tile(yc, xc, wr, b, in, add, 1, 1);
            o += step;
            yc.at += step * y.row;
            wr.at += step * w.row;
            if (b) b += step;
        }
        c += pair ? 2 : 1;
    }
}

static void linear(struct lanes_view y, struct lanes_view x, struct weights_view w,
                   const nn_real *bias, size_t out, size_t in, size_t columns, bool add) {
    /* Rows a multiple of 256 bytes apart share a few lines of L1: two columns at a time go side by side first. */
    bool crowded = x.row % LANES == 0 && in >= PACKED_MIN && in <= PACKED_MAX;
    if (!crowded || out < PACKED_USES) {
        linear_columns(y, x, w, bias, out, in, columns, add);
        return;
    }
    lanes packed[2 * PACKED_MAX];
    for (size_t c = 0; c < columns; c += 2, x.at += 2 * x.column, y.at += 2 * y.column) {
        size_t n = columns - c < 2 ? 1 : 2;
        for (size_t k = 0; k < in; k++)
            for (size_t i = 0; i < n; i++) packed[2 * k + i] = x.at[k * x.row + i * x.column];
        linear_columns(y, lanes_view(packed, 2, 1), w, bias, out, in, n, add);
    }
}

INLINE void product_tile(lanes sum[TILE_ROWS][TILE_COLUMNS], struct lanes_view a,
                         struct lanes_view b, size_t inner, const int rows, const int columns) {
    const lanes *ak = a.at, *bk = b.at;
    for (size_t k = 0; k < inner; k++, ak += a.column, bk += b.column) {
        lanes value[TILE_COLUMNS];
        UNROLLED
        for (int c = 0; c < columns; c++) value[c] = bk[(size_t)c * b.row];
        UNROLLED
        for (int r = 0; r < rows; r++) {
            lanes other = ak[(size_t)r * a.row];
            HOLD(other);
            UNROLLED
            for (int c = 0; c < columns; c++) sum[r][c] = fused(other, value[c], sum[r][c]);
        }
    }
}

INLINE void product_into(struct lanes_view y, struct lanes_view a, struct lanes_view b,
                         size_t inner, bool add, const int rows, const int columns) {
    lanes sum[TILE_ROWS][TILE_COLUMNS];
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int c = 0; c < columns; c++)
            sum[r][c] = add ? y.at[(size_t)r * y.row + (size_t)c * y.column] : (lanes){0};
    }
    product_tile(sum, a, b, inner, rows, columns);
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int c = 0; c < columns; c++)
            y.at[(size_t)r * y.row + (size_t)c * y.column] = sum[r][c];
    }
}

/* `depth` terms of one or two rows, whose multipliers stay in registers while the columns pass by. */
INLINE void product_strip(struct lanes_view y, struct lanes_view a, struct lanes_view b,
                          size_t columns, bool add, const int rows, const int depth) {
    lanes held[2][STRIP_DEPTH];
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int k = 0; k < depth; k++) {
            held[r][k] = a.at[(size_t)r * a.row + (size_t)k * a.column];
            HOLD(held[r][k]);
        }
    }
    for (size_t c = 0; c < columns; c++, y.at += y.column, b.at += b.row) {
        lanes sum[2];
        UNROLLED
        for (int r = 0; r < rows; r++) sum[r] = add ? y.at[(size_t)r * y.row] : (lanes){0};
        UNROLLED
        for (int k = 0; k < depth; k++) {
            lanes value = b.at[(size_t)k * b.column];
            HOLD(value);
            UNROLLED
            for (int r = 0; r < rows; r++) sum[r] = fused(held[r][k], value, sum[r]);
        }
        UNROLLED
        for (int r = 0; r < rows; r++) y.at[(size_t)r * y.row] = sum[r];
    }
}

INLINE void product_strips(struct lanes_view y, struct lanes_view a, struct lanes_view b,
                           size_t columns, size_t inner, bool add, const int rows) {
    for (size_t k = 0; k < inner;) {
        struct lanes_view ak = a, bk = b;
        ak.at += k * a.column;
        bk.at += k * b.column;
        if (inner - k >= STRIP_DEPTH && (add || k > 0))
            product_strip(y, ak, bk, columns, true, rows, STRIP_DEPTH);
        else if (inner - k >= STRIP_DEPTH)
            product_strip(y, ak, bk, columns, false, rows, STRIP_DEPTH);
        else
            product_strip(y, ak, bk, columns, add || k > 0, rows, 1);
        k += inner - k >= STRIP_DEPTH ? STRIP_DEPTH : 1;
    }
}

static void product(struct lanes_view y, struct lanes_view a, struct lanes_view b, size_t rows,
                    size_t columns, size_t inner, bool add) {
    if (inner <=
        STRIP_INNER_MAX) { /* too few terms for tiles to pay: scores, and slopes of their weights */
        for (; rows >= 2; rows -= 2, y.at += 2 * y.row, a.at += 2 * a.row)
            product_strips(y, a, b, columns, inner, add, 2);
        if (rows) product_strips(y, a, b, columns, inner, add, 1);
        return;
    }
    for (size_t c = 0; c < columns;) {
        struct lanes_view yc = y, ar = a, bc = b;
        yc.at += c * y.column;
        bc.at += c * b.row;
        bool pair = columns - c >= 2;
        for (size_t r = 0; r < rows;) {
            size_t step = rows - r >= 4 ? 4 : 1;
            if (pair && step == 4)
                product_into(yc, ar, bc, inner, add, 4, 2);
            else if (step == 4)
                product_into(yc, ar, bc, inner, add, 4, 1);
            else if (pair)
                product_into(yc, ar, bc, inner, add, 1, 2);
            else
                product_into(yc, ar, bc, inner, add, 1, 1);
            r += step;
            yc.at += step * y.row;
            ar.at += step * a.row;
        }
        c += pair ? 2 : 1;
    }
}

/* Lane sums of eight vectors at once, in the order v0 v2 v4 v6 v1 v3 v5 v7; each as sum_of_lanes adds them. */
INLINE lanes sums_of_eight(const lanes v[LANES]) {
    lanes h[4], q[2];
    UNROLLED
    for (int i = 0; i < 4; i++)
        h[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11) +
               __builtin_shufflevector(v[2 * i], v[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15);
    UNROLLED
    for (int i = 0; i < 2; i++)
        q[i] = __builtin_shufflevector(h[2 * i], h[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(h[2 * i], h[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(q[0], q[1], 0, 2, 8, 10, 4, 6, 12, 14) +
           __builtin_shufflevector(q[0], q[1], 1, 3, 9, 11, 5, 7, 13, 15);
}

INLINE nn_real sum_of_lanes(lanes v) {
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

INLINE void add_tile_sums(nn_real *to, size_t y_row, struct lanes_view a, struct lanes_view b,
                          size_t inner) {
    lanes sum[TILE_ROWS][TILE_COLUMNS] = {{{0}}};
    product_tile(sum, a, b, inner, 4, 2);
    lanes v[LANES] = {sum[0][0], sum[2][0], sum[0][1], sum[2][1],
                      sum[1][0], sum[3][0], sum[1][1], sum[3][1]};
    lanes s = sums_of_eight(v);
    UNROLLED
    for (size_t i = 0; i < 4; i++) {
        to[i * y_row] += s[2 * i];
        to[i * y_row + 1] += s[2 * i + 1];
    }
}

INLINE void add_row_sums(nn_real *to, struct lanes_view a, struct lanes_view b, size_t inner,
                         bool pair) {
    lanes sum[TILE_ROWS][TILE_COLUMNS] = {{{0}}};
    if (pair)
        product_tile(sum, a, b, inner, 1, 2);
    else
        product_tile(sum, a, b, inner, 1, 1);
    to[0] += sum_of_lanes(sum[0][0]);
    if (pair) to[1] += sum_of_lanes(sum[0][1]);
}

static void product_sum(nn_real *y, size_t y_row, struct lanes_view a, struct lanes_view b,
                        size_t rows, size_t columns, size_t inner) {
    /* Some rows stay in L1 while all columns pass by. */
    for (size_t first = 0; first < rows; first += ROWS_IN_CACHE) {
        size_t end = rows - first < ROWS_IN_CACHE ? rows : first + ROWS_IN_CACHE;
        for (size_t c = 0; c < columns; c += 2) {
            struct lanes_view bc = b;
            bc.at += c * b.row;
            bool pair = columns - c >= 2;
            for (size_t r = first; r < end;) {
                struct lanes_view ar = a;
                ar.at += r * a.row;
                bool tile = pair && end - r >= 4;
                if (tile)
                    add_tile_sums(y + r * y_row + c, y_row, ar, bc, inner);
                else
                    add_row_sums(y + r * y_row + c, ar, bc, inner, pair);
                r += tile ? 4 : 1;
            }
        }
    }
}
