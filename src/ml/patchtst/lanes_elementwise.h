/* Value by value operations of lanes.h, as text: included once per processor after lanes_products.h. */
typedef uint32_t bits32 __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef int32_t mask32 __attribute__((vector_size(LANES * sizeof(int32_t))));
#ifdef NN_DOUBLE
typedef int64_t mask __attribute__((vector_size(LANES * sizeof(int64_t))));
#else
typedef mask32 mask;
#endif

INLINE lanes pick(mask m, lanes yes, lanes no) {
    return (lanes)(((mask)yes & m) | ((mask)no & ~m));
}

/* a > b ? a : b and a < b ? a : b: b where one of them is NaN. */
INLINE lanes larger(lanes a, lanes b) {
#if defined(__AVX__) && !defined(NN_DOUBLE)
    return (lanes)__builtin_ia32_maxps256((lanes)a, (lanes)b);
#else
    return pick((mask)(a > b), a, b);
#endif
}
INLINE lanes smaller(lanes a, lanes b) {
#if defined(__AVX__) && !defined(NN_DOUBLE)
    return (lanes)__builtin_ia32_minps256((lanes)a, (lanes)b);
#else
    return pick((mask)(a < b), a, b);
#endif
}

INLINE lanes root(lanes x) {
    lanes y;
    for (int i = 0; i < LANES; i++) y[i] = (nn_real)sqrt(x[i]);
    return y;
}

/* Two vectors at a time, statement by statement: one chain of dependent operations fills the processor's window long before
 * it fills its units; two get through in the time of one and a half. */
#define BOTH(statement)                                                                            \
    do {                                                                                           \
        {                                                                                          \
            enum { I = 0 };                                                                        \
            statement;                                                                             \
        }                                                                                          \
        {                                                                                          \
            enum { I = 1 };                                                                        \
            statement;                                                                             \
        }                                                                                          \
    } while (0)

#ifdef NN_DOUBLE
/* Exact enough for finite differences. */
INLINE void exp2_both(lanes x[2]) {
    for (int i = 0; i < LANES; i++) BOTH(x[I][i] = exp2(x[I][i]));
}
INLINE void phi_less_half_both(lanes y[2], const lanes x[2]) {
    for (int i = 0; i < LANES; i++) BOTH(y[I][i] = 0.5 * erf(x[I][i] * 0.70710678118654752440));
}
#else
/* 2^x within 2e-7 of its value for -126 <= x <= 0; below -126 as -126; a NaN stays one if it was made by arithmetic (a payload's
 * low bits would reach the exponent, but then the values that are weighted with this are NaN, too).
 * x = n + f, |f| <= 1/2: a polynomial of degree 5 for 2^f (own minimax fit of the relative error, 7.5e-8), summed in pairs
 * (Estrin) as that halves the chain, n into the exponent. */
INLINE void exp2_both(lanes x[2]) {
    const float shift = 0x1.8p23f; /* adding it rounds to an integer in the low bits */
    lanes shifted[2], f[2], low[2], middle[2], high[2], square[2];
    BOTH(x[I] = larger(all(-126.0f), x[I]));
    BOTH(shifted[I] = x[I] + shift);
    BOTH(f[I] = x[I] - (shifted[I] - shift));
    BOTH(high[I] = fused(f[I], all(0x1.5c08e4p-10f), all(0x1.3d0c52p-7f)));
    BOTH(middle[I] = fused(f[I], all(0x1.c6b6e4p-5f), all(0x1.ebf918p-3f)));
    BOTH(square[I] = f[I] * f[I]);
    BOTH(low[I] = fused(f[I], all(0x1.62e428p-1f), all(1.0f)));
    BOTH(high[I] = fused(high[I], square[I], middle[I]));
    BOTH(high[I] = fused(high[I], square[I], low[I]));
    BOTH(x[I] = (lanes)((mask)high[I] + ((mask)shifted[I] << 23)));
}

/* Phi(x) - 1/2 of the standard normal law, within 1.9e-7: x P(x^2) / Q(x^2), own minimax fit (7.2e-9) on |x| <= 5.5, where it is
 * 1/2 within 2e-8; as at the ends beyond. NaN may become a number: it is a factor of x. */
INLINE void phi_less_half_both(lanes y[2], const lanes x[2]) {
    lanes c[2], v[2], square[2], p[2], q[2], t[2];
    BOTH(c[I] = larger(all(-5.5f), smaller(all(5.5f), x[I])));
    BOTH(v[I] = c[I] * c[I]);
    BOTH(square[I] = v[I] * v[I]);
    BOTH(q[I] = fused(v[I], all(1.197503220e-06f), all(7.364757305e-05f)));
    BOTH(t[I] = fused(v[I], all(1.884446543e-03f), all(2.864589074e-02f)));
    BOTH(p[I] = fused(v[I], all(2.274934840e-08f), all(6.352115005e-06f)));
    BOTH(q[I] = fused(q[I], square[I], t[I]));
    BOTH(t[I] = fused(v[I], all(1.688259749e-04f), all(4.677262380e-03f)));
    BOTH(p[I] = fused(p[I], square[I], t[I]));
    BOTH(t[I] = fused(v[I], all(2.515220080e-01f), all(1.0f)));
    BOTH(q[I] = fused(q[I], square[I], t[I]));
    BOTH(t[I] = fused(v[I], all(3.385268190e-02f), all(3.989422346e-01f)));
    BOTH(p[I] = fused(p[I], square[I], t[I]) * c[I]);
    BOTH(y[I] = p[I] / q[I]);
}
#endif

/* ---- dropout ---- */

INLINE bits32 dropout_bits(const struct lanes_dropout *d, size_t pair) {
    bits32 x = (bits32){0, 1, 2, 3, 4, 5, 6, 7} + (uint32_t)(pair * LANES);
    x ^= d->key0;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x += d->key1;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

INLINE mask widened(mask32 m) {
#ifdef NN_DOUBLE
    return __builtin_convertvector(m, mask);
#else
    return m;
#endif
}

/* All ones where the even (odd) vector of the pair keeps its lane. */
INLINE mask kept(const struct lanes_dropout *d, bits32 bits, bool odd) {
    bits32 half = odd ? bits >> 16 : bits & 0xFFFFu;
    return widened((mask32)half >= (mask32)((bits32){0} + d->threshold));
}

INLINE lanes drop(const struct lanes_dropout *d, bits32 bits, bool odd, lanes x) {
    return (lanes)((mask)(x * d->scale) & kept(d, bits, odd));
}

static void dropped(lanes *y, const lanes *u, const lanes *x, size_t rows, size_t columns,
                    const struct lanes_dropout *d) {
    size_t n = rows * columns;
    if (!d->on) {
        for (size_t i = 0; i < n; i++) y[i] = u ? u[i] + x[i] : x[i];
        return;
    }
    for (size_t i = 0; i < n; i += 2) {
        bits32 bits = dropout_bits(d, i / 2);
        lanes even = drop(d, bits, false, x[i]);
        y[i] = u ? u[i] + even : even;
        if (i + 1 == n) break;
        lanes odd = drop(d, bits, true, x[i + 1]);
        y[i + 1] = u ? u[i + 1] + odd : odd;
    }
}

/* ---- activation ---- */

/* x to its activation; slope: the derivative, NULL: not wanted. */
INLINE void gelu_both(lanes x[2], lanes *slope) {
    lanes phi[2], density[2];
    phi_less_half_both(phi, x);
    if (slope) { /* density e^(-x^2/2) / sqrt(2 pi), as a power of 2 */
        BOTH(density[I] = x[I] * x[I] * (nn_real)-0.72134752044448170368);
        exp2_both(density);
        BOTH(density[I] *= (nn_real)0.39894228040143267794);
    }
    BOTH(phi[I] += (nn_real)0.5);
    if (slope) BOTH(slope[I] = fused(density[I], x[I], phi[I]));
    BOTH(x[I] *= phi[I]);
}

INLINE void relu_both(lanes x[2], lanes *slope) {
    if (slope) BOTH(slope[I] = (lanes)((mask)all(1) & (mask)(x[I] > all(0))));
    BOTH(x[I] = pick((mask)(x[I] < all(0)), all(0), x[I])); /* NaN stays */
}

INLINE void activate_rows(lanes *h, lanes *slope, struct lanes_block b,
                          const struct lanes_dropout *drop_law, bool relu, bool on) {
    const struct lanes_dropout d = *drop_law;
    for (size_t r = 0; r < b.rows; r++, h += b.columns, slope = slope ? slope + b.columns : NULL) {
        size_t pair = (r * (b.width + (b.width & 1)) + b.first) / 2;
        for (size_t c = 0; c < b.columns; c += 2, pair++) {
            bool two = c + 1 < b.columns;
            lanes x[2] = {h[c], two ? h[c + 1] : h[c]}, dx[2];
            if (relu)
                relu_both(x, slope ? dx : NULL);
            else
                gelu_both(x, slope ? dx : NULL);
            if (on) {
                bits32 bits = dropout_bits(&d, pair);
                BOTH(x[I] = drop(&d, bits, I, x[I]));
                if (slope) BOTH(dx[I] = drop(&d, bits, I, dx[I]));
            }
            h[c] = x[0];
            if (slope) slope[c] = dx[0];
            if (!two) break;
            h[c + 1] = x[1];
            if (slope) slope[c + 1] = dx[1];
        }
    }
}

static void activate(lanes *h, lanes *slope, struct lanes_block block,
                     const struct lanes_dropout *d, bool relu) {
    /* Constants to the inlined body: a loop each. */
    if (relu)
        activate_rows(h, slope, block, d, true, d->on);
    else if (slope && d->on)
        activate_rows(h, slope, block, d, false, true);
    else if (slope)
        activate_rows(h, slope, block, d, false, false);
    else if (d->on)
        activate_rows(h, NULL, block, d, false, true);
    else
        activate_rows(h, NULL, block, d, false, false);
}

/* ---- softmax, base 2 ---- */

static void softmax(lanes *s, lanes *top, lanes *inverse, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, s += columns) {
        lanes most = s[0], sum[2] = {all(0), all(0)};
        /* A NaN is not larger; it comes back through the exponential below. */
        for (size_t c = 1; c < columns; c++) most = larger(s[c], most);
        for (size_t c = 0; c < columns; c += 2) {
            bool two = c + 1 < columns;
            lanes e[2] = {s[c] - most, s[two ? c + 1 : c] - most};
            exp2_both(e);
            s[c] = e[0];
            sum[0] += e[0];
            if (!two) break;
            s[c + 1] = e[1];
            sum[1] += e[1];
        }
        lanes over = (nn_real)1 / (sum[0] + sum[1]);
        for (size_t c = 0; c < columns; c++) s[c] *= over;
        if (top) top[r] = most;
        if (inverse) inverse[r] = over;
    }
}

static void softmax_again(lanes *s, const lanes *top, const lanes *inverse, size_t rows,
                          size_t columns) {
    for (size_t r = 0; r < rows; r++, s += columns)
        for (size_t c = 0; c < columns; c += 2) {
            bool two = c + 1 < columns;
            lanes e[2] = {s[c] - top[r], s[two ? c + 1 : c] - top[r]};
            exp2_both(e);
            s[c] = e[0] * inverse[r];
            if (two) s[c + 1] = e[1] * inverse[r];
        }
}

static void softmax_slope(lanes *dp, const lanes *p, const lanes *dot, size_t rows,
                          size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++, dp++, p++) *dp = *p * (*dp - dot[r]);
}

/* ---- sums and scalings ---- */

static void row_sum(nn_real *y, struct lanes_view x, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        lanes sum = all(0);
        for (size_t c = 0; c < columns; c++) sum += x.at[r * x.row + c * x.column];
        y[r] += sum_of_lanes(sum);
    }
}

static void scaled(struct lanes_view y, struct lanes_view x, nn_real factor, size_t rows,
                   size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            y.at[r * y.row + c * y.column] = x.at[r * x.row + c * x.column] * factor;
}

static void dot_rows(lanes *out, struct lanes_view a, struct lanes_view b, size_t rows,
                     size_t columns) {
    for (size_t c = 0; c < columns; c++) {
        lanes sum = all(0);
        for (size_t r = 0; r < rows; r++)
            sum = fused(a.at[r * a.row + c * a.column], b.at[r * b.row + c * b.column], sum);
        out[c] = sum;
    }
}

static void multiply(lanes *y, const lanes *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] *= x[i];
}

static void affine(lanes *y, const lanes *x, const nn_real *scale, const nn_real *shift,
                   size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++, x++, y++) *y = fused(*x, all(scale[r]), all(shift[r]));
}

/* ---- normalisation ---- */

INLINE lanes first_lanes(size_t used) {
    lanes one;
    for (size_t i = 0; i < LANES; i++) one[i] = i < used ? 1 : 0;
    return one;
}

static double sum_of(lanes v) {
    double sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += (double)v[i];
    return sum;
}

static void moments(double *mean, double *squares, const lanes *z, size_t rows, size_t columns,
                    size_t used) {
    lanes one = first_lanes(used);
    for (size_t r = 0; r < rows; r++, z += columns) {
        lanes sum[4] = {all(0), all(0), all(0), all(0)};
        for (size_t c = 0; c < columns; c++) sum[c % 4] += z[c];
        lanes total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) * one;
        mean[r] = sum_of(total) / (double)(columns * used);
        nn_real centre = (nn_real)mean[r];
        for (size_t i = 0; i < 4; i++) sum[i] = all(0);
        for (size_t c = 0; c < columns; c++) {
            lanes d = z[c] - centre;
            sum[c % 4] = fused(d, d, sum[c % 4]);
        }
        /* About `centre`, which is the mean only within rounding: that is put right. */
        double shift = mean[r] - (double)centre;
        squares[r] = sum_of(((sum[0] + sum[1]) + (sum[2] + sum[3])) * one) -
                     (double)(columns * used) * shift * shift;
    }
}

static void slope_sums(lanes *sum, lanes *product_out, const lanes *du, const lanes *z,
                       const nn_real *mean, const nn_real *inv, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        lanes s[2] = {all(0), all(0)}, p[2] = {all(0), all(0)};
        for (size_t c = 0; c < columns; c++, du++, z++) {
            s[c % 2] += *du;
            p[c % 2] = fused(*du, *z - mean[r], p[c % 2]);
        }
        sum[r] += s[0] + s[1];
        product_out[r] += (p[0] + p[1]) * inv[r];
    }
}

static void batchnorm_back(lanes *d, const lanes *z, const nn_real *a, const nn_real *m1,
                           const nn_real *mean, const nn_real *m2, size_t rows, size_t columns,
                           size_t used) {
    lanes one = first_lanes(used);
    for (size_t r = 0; r < rows; r++) {
        lanes factor = one * a[r];
        for (size_t c = 0; c < columns; c++, d++, z++)
            *d = factor * fused(mean[r] - *z, all(m2[r]), *d - m1[r]);
    }
}

/* Mean of a column and 1 / sqrt(variance + eps). */
INLINE void column_moments(lanes *mean, lanes *inv, const lanes *x, size_t rows, size_t columns) {
    lanes sum = all(0), squares = all(0);
    for (size_t r = 0; r < rows; r++) sum += x[r * columns];
    *mean = sum / (nn_real)rows;
    for (size_t r = 0; r < rows; r++) {
        lanes d = x[r * columns] - *mean;
        squares = fused(d, d, squares);
    }
    *inv = (nn_real)1 / root(squares / (nn_real)rows + (nn_real)NN_NORM_EPS);
}

static void layernorm(lanes *y, const lanes *x, const nn_real *scale, const nn_real *shift,
                      size_t rows, size_t columns) {
    for (size_t c = 0; c < columns; c++) {
        lanes mean, inv;
        column_moments(&mean, &inv, x + c, rows, columns);
        for (size_t r = 0; r < rows; r++)
            y[r * columns + c] =
                fused((x[r * columns + c] - mean) * inv, all(scale[r]), all(shift[r]));
    }
}

static void layernorm_back(lanes *d, nn_real *dscale, nn_real *dshift, const lanes *x,
                           const nn_real *scale, size_t rows, size_t columns) {
    /* Parameters first, row by row, while d is still the gradient of y. */
    for (size_t r = 0; r < rows; r++) {
        lanes sum = all(0);
        for (size_t c = 0; c < columns; c++) sum += d[r * columns + c];
        dshift[r] += sum_of_lanes(sum);
    }
    for (size_t c = 0; c < columns; c++) {
        lanes mean, inv, m1 = all(0), m2 = all(0);
        column_moments(&mean, &inv, x + c, rows, columns);
        for (size_t r = 0; r < rows; r++) {
            lanes hat = (x[r * columns + c] - mean) * inv, g = d[r * columns + c];
            dscale[r] += sum_of_lanes(g * hat);
            m1 += g * scale[r];
            m2 += g * scale[r] * hat;
        }
        m1 /= (nn_real)rows;
        m2 /= (nn_real)rows;
        for (size_t r = 0; r < rows; r++) {
            lanes hat = (x[r * columns + c] - mean) * inv;
            d[r * columns + c] = inv * (d[r * columns + c] * scale[r] - m1 - hat * m2);
        }
    }
}

#define LANES_KERNELS                                                                              \
    {                                                                                              \
        linear, product, product_sum, row_sum, scaled, dot_rows, softmax, softmax_again,           \
            softmax_slope, activate, multiply, dropped, affine, moments, slope_sums,               \
            batchnorm_back, layernorm, layernorm_back                                              \
    }
