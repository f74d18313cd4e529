/* One way to multiply matrices, of vectors as long as the compiler may use. Included once by each
 * gemm_*.c.
 *
 * b is laid out in panels of TILE_COLUMNS, a in panels of TILE_ROWS, each k by k; a tile of c stays
 * in registers while a panel of each passes. A panel of b stays in the first cache, all of a
 * block's panels in the second. */
#include <math.h>
#include <string.h>

#include "ml/nn/gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma GCC diagnostic ignored "-Wpsabi"
#define GEMM_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { VEC_BYTES = 64 };
#else
enum { VEC_BYTES = 32 };
#endif
typedef nn_real gvec __attribute__((vector_size(VEC_BYTES)));
enum { LANES = VEC_BYTES / sizeof(nn_real) };
/* Tiles that leave registers for a row of b and a value of a: 12 of 16, 16 of 32. */
#if defined(__AVX512F__)
enum { TILE_ROWS = 8, TILE_VECS = 2 };
#else
enum { TILE_ROWS = 4, TILE_VECS = 3 };
#endif
enum {
    TILE_COLUMNS = TILE_VECS * LANES,
    BLOCK_ROWS = 128,                                 /* of a, laid out at once */
    BLOCK_COLUMNS = 288 / TILE_COLUMNS * TILE_COLUMNS /* of b */
};

GEMM_INLINE gvec fused(nn_real a, gvec b, gvec c) {
#if defined(__AVX512F__) && defined(NN_DOUBLE)
    return (gvec)_mm512_fmadd_pd(_mm512_set1_pd(a), (__m512d)b, (__m512d)c);
#elif defined(__AVX512F__)
    return (gvec)_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)b, (__m512)c);
#elif defined(__FMA__) && defined(NN_DOUBLE)
    return (gvec)_mm256_fmadd_pd(_mm256_set1_pd(a), (__m256d)b, (__m256d)c);
#elif defined(__FMA__)
    return (gvec)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)b, (__m256)c);
#elif defined(NN_DOUBLE)
    for (int i = 0; i < LANES; i++) c[i] = fma(a, b[i], c[i]);
    return c;
#else
    for (int i = 0; i < LANES; i++) c[i] = fmaf(a, b[i], c[i]);
    return c;
#endif
}

GEMM_INLINE gvec load(const nn_real *p) {
    gvec v;
    memcpy(&v, p, sizeof v);
    return v;
}
GEMM_INLINE void store(nn_real *p, gvec v) {
    memcpy(p, &v, sizeof v);
}

/* ---- laying out ---- */

#if defined(__x86_64__) && !defined(NN_DOUBLE)
enum { TURN = 4 };
/* out[j * step + i] = in[i * in_step + j] of a square of TURN */
GEMM_INLINE void turn(nn_real *out, size_t step, const nn_real *in, size_t in_step) {
    __m128 r0 = _mm_loadu_ps(in), r1 = _mm_loadu_ps(in + in_step),
           r2 = _mm_loadu_ps(in + 2 * in_step), r3 = _mm_loadu_ps(in + 3 * in_step);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(out, r0);
    _mm_storeu_ps(out + step, r1);
    _mm_storeu_ps(out + 2 * step, r2);
    _mm_storeu_ps(out + 3 * step, r3);
}
#else
enum { TURN = 1 };
GEMM_INLINE void turn(nn_real *out, size_t step, const nn_real *in, size_t in_step) {
    (void)step;
    (void)in_step;
    *out = *in;
}
#endif

/* width lines of k values each, steps apart, as k rows of `width`: out[p * width + i] = line i's
 * value p. Lines from `count` on are zeros. */
GEMM_INLINE void lay_out(nn_real *out, const nn_real *p, size_t line_step, size_t value_step,
                         size_t count, size_t k, size_t width) {
    if (count < width)
        for (size_t i = 0; i < k; i++)
            memset(out + i * width + count, 0, (width - count) * sizeof *out);
    if (line_step == 1) { /* lines side by side */
        for (size_t i = 0; i < k; i++)
            if (count == width)
                memcpy(out + i * width, p + i * value_step, width * sizeof *out);
            else
                memcpy(out + i * width, p + i * value_step, count * sizeof *out);
        return;
    }
    size_t lines = count / TURN * TURN, values = k / TURN * TURN;
    for (size_t i = 0; i < lines; i += TURN)
        for (size_t j = 0; j < values; j += TURN)
            turn(out + j * width + i, width, p + i * line_step + j, line_step);
    for (size_t i = 0; i < count; i++)
        for (size_t j = i < lines ? values : 0; j < k; j++)
            out[j * width + i] = p[i * line_step + j * value_step];
}

/* ---- a tile ---- */

struct tile {
    gvec v[TILE_ROWS][TILE_VECS];
};

GEMM_INLINE void tile_sum(struct tile *t, const nn_real *a, const nn_real *b, size_t k) {
    struct tile s;
#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 8
        for (int v = 0; v < TILE_VECS; v++) s.v[r][v] = (gvec){0};
    for (size_t p = 0; p < k; p++, a += TILE_ROWS, b += TILE_COLUMNS) {
        gvec row[TILE_VECS];
#pragma GCC unroll 8
        for (int v = 0; v < TILE_VECS; v++) row[v] = load(b + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 8
            for (int v = 0; v < TILE_VECS; v++) s.v[r][v] = fused(a[r], row[v], s.v[r][v]);
    }
    *t = s;
}

GEMM_INLINE void tile_whole(nn_real *c, size_t c_step, const nn_real *a, const nn_real *b, size_t k,
                            bool add) {
    struct tile t;
    tile_sum(&t, a, b, k);
#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++, c += c_step)
#pragma GCC unroll 8
        for (int v = 0; v < TILE_VECS; v++)
            store(c + v * LANES, add ? load(c + v * LANES) + t.v[r][v] : t.v[r][v]);
}

static void tile_part(nn_real *c, size_t c_step, const nn_real *a, const nn_real *b, size_t k,
                      bool add, size_t rows, size_t columns) {
    struct tile t;
    nn_real values[TILE_ROWS * TILE_COLUMNS];
    tile_sum(&t, a, b, k);
    memcpy(values, &t, sizeof values);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            nn_real value = values[r * TILE_COLUMNS + j];
            c[r * c_step + j] = add ? c[r * c_step + j] + value : value;
        }
}

/* ---- blocks ---- */

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* c (m, n) of a block: all panels of a with all of b. */
static void block(nn_real *c, size_t c_step, const nn_real *a, const nn_real *b, size_t m, size_t n,
                  size_t k, bool add) {
    for (size_t j = 0; j < n; j += TILE_COLUMNS)
        for (size_t i = 0; i < m; i += TILE_ROWS) {
            nn_real *at = c + i * c_step + j;
            if (m - i >= TILE_ROWS && n - j >= TILE_COLUMNS)
                tile_whole(at, c_step, a + i * k, b + j * k, k, add);
            else
                tile_part(at, c_step, a + i * k, b + j * k, k, add, least(m - i, TILE_ROWS),
                          least(n - j, TILE_COLUMNS));
        }
}

static void lay_out_a(nn_real *out, const struct nn_matrix *a, size_t first, size_t rows,
                      size_t from, size_t k) {
    for (size_t i = 0; i < rows; i += TILE_ROWS)
        lay_out(out + i * k, a->p + (first + i) * a->row_step + from * a->column_step, a->row_step,
                a->column_step, least(rows - i, TILE_ROWS), k, TILE_ROWS);
}

static void lay_out_b(nn_real *out, const struct nn_matrix *b, size_t first, size_t columns,
                      size_t from, size_t k) {
    for (size_t j = 0; j < columns; j += TILE_COLUMNS)
        lay_out(out + j * k, b->p + (first + j) * b->column_step + from * b->row_step,
                b->column_step, b->row_step, least(columns - j, TILE_COLUMNS), k, TILE_COLUMNS);
}

/* As few blocks of columns as there can be, of equal width but for rounding to tiles. */
static size_t block_columns(size_t n) {
    size_t blocks = (n + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS, width = (n + blocks - 1) / blocks;
    return (width + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
}

static void multiply(nn_real *c, size_t c_step, struct nn_matrix a, struct nn_matrix b, size_t m,
                     size_t n, size_t k, bool add) {
    _Alignas(64) nn_real panels_a[BLOCK_ROWS * NN_GEMM_BLOCK];
    _Alignas(64) nn_real panels_b[BLOCK_COLUMNS * NN_GEMM_BLOCK];
    size_t width = n ? block_columns(n) : 1;
    for (size_t j = 0; j < n; j += width)
        for (size_t from = 0; from < k || from == 0; from += NN_GEMM_BLOCK) {
            size_t columns = least(n - j, width), depth = least(k - from, NN_GEMM_BLOCK);
            lay_out_b(panels_b, &b, j, columns, from, depth);
            for (size_t i = 0; i < m; i += BLOCK_ROWS) {
                size_t rows = least(m - i, BLOCK_ROWS);
                lay_out_a(panels_a, &a, i, rows, from, depth);
                block(c + i * c_step + j, c_step, panels_a, panels_b, rows, columns, depth,
                      add || from > 0);
            }
        }
}

static bool can_run(void) {
    return GEMM_CAN_RUN;
}

const struct nn_gemm_kernel GEMM_KERNEL = {GEMM_NAME, can_run, multiply};
