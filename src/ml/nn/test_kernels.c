/* Every fast kernel against its plain twin, and every set of kernels against the plainest: there
 * the bits must be equal. TEST_SEED repeats a run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nn/kernels.h"
#include "ml/nn/nn_ref.h"
#include "ml/nn/vector.h"

enum { ROUNDS = 60 };

static uint64_t seed;

static nn_real *made(size_t n, double spread, struct rng *r) {
    nn_real *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (nn_real)(rng_normal(r) * spread);
    return x;
}

static size_t drawn(struct rng *r, size_t low, size_t high) {
    return low + (size_t)rng_below(r, high - low + 1);
}

/* Largest difference over the largest value wanted. */
static double distance(const nn_real *have, const nn_real *want, size_t n) {
    double worst = 0, top = 1e-30;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)have[i] - (double)want[i]);
        if (!(d <= worst)) worst = d;
        top = fmax(top, fabs((double)want[i]));
    }
    return worst / top;
}

#define CLOSE(have, want, n, bound)                                                                \
    do {                                                                                           \
        double off = distance(have, want, n);                                                      \
        if (!(off <= (bound))) fail_msg("%s is off by %g, n %zu", #have, off, (size_t)(n));        \
    } while (0)

static void test_linear(void **state) {
    (void)state;
    struct rng r = rng_init(seed);
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = drawn(&r, 1, round % 4 ? 60 : 3000), in = drawn(&r, 1, 70),
               out = drawn(&r, 1, 90);
        nn_real *x = made(n * in, 1, &r), *w = made(out * in, 1, &r), *b = made(out, 1, &r);
        nn_real *dy = made(n * out, 1, &r), *y = made(n * out, 1, &r), *z = made(n * out, 1, &r);
        nn_real *dx[2], *dw[2], *db[2], *scratch = made(nn_linear_scratch(n, in, out), 1, &r);
        dw[0] = made(out * in, 1, &r), db[0] = made(out, 1, &r);
        dw[1] = made(out * in, 0, &r), db[1] = made(out, 0, &r);
        memcpy(dw[1], dw[0], out * in * sizeof **dw);
        memcpy(db[1], db[0], out * sizeof **db);
        for (int i = 0; i < 2; i++) dx[i] = made(n * in, 1, &r);
        nn_linear_forward(y, x, w, round % 3 ? b : NULL, n, in, out, NULL);
        nn_linear_forward_ref(z, x, w, round % 3 ? b : NULL, n, in, out);
        CLOSE(y, z, n * out, 1e-6);
        nn_linear_backward(dx[0], dw[0], db[0], dy, x, w, n, in, out, scratch, NULL);
        nn_linear_backward_ref(dx[1], dw[1], db[1], dy, x, w, n, in, out);
        CLOSE(dx[0], dx[1], n * in, 1e-6);
        CLOSE(dw[0], dw[1], out * in, 3e-6);
        CLOSE(db[0], db[1], out, 3e-6);
        nn_real *all[] = {x, w, b, dy, y, z, scratch, dx[0], dx[1], dw[0], dw[1], db[0], db[1]};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

/* Bit for bit: fixed, packed by every set of kernels, and the plain twin; a row alone and in its
 * batch. */
static void test_linear_fixed(void **state) {
    (void)state;
    struct rng r = rng_init(seed);
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = drawn(&r, 1, 11), in = drawn(&r, 1, round % 2 ? 40 : 1000),
               out = drawn(&r, 1, 200);
        nn_real *x = made(n * in, 1, &r), *w = made(out * in, 1, &r), *b = made(out, 1, &r);
        nn_real *want = made(n * out, 1, &r), *y = made(n * out, 1, &r);
        nn_real *packed = made(nn_linear_pack_size(in, out), 1, &r);
        const nn_real *bias = round % 3 ? b : NULL;
        nn_linear_fixed_ref(want, x, w, bias, n, in, out);
        nn_linear_fixed(y, x, w, bias, n, in, out);
        assert_memory_equal(y, want, n * out * sizeof *y);
        nn_linear_pack(packed, w, bias, in, out);
        for (size_t k = 0; nn_kernels_at(k); k++) {
            if (!nn_kernels_at(k)->can_run()) continue;
            memset(y, 255, n * out * sizeof *y);
            nn_kernels_at(k)->linear_packed(y, x, packed, n, in, out);
            assert_memory_equal(y, want, n * out * sizeof *y);
        }
        for (size_t i = 0; i < n; i++)
            nn_linear_packed(y + i * out, x + i * in, packed, 1, in, out);
        assert_memory_equal(y, want, n * out * sizeof *y);
        nn_real *all[] = {x, w, b, want, y, packed};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

/* The functions themselves, against libm in double. */
static void test_exp_and_normal_cdf(void **state) {
    (void)state;
    double worst[2] = {0, 0};
    for (int i = 0; i < 1000000; i++) {
        double a = -87 + i * 174e-6, b = -12 + i * 24e-6;
        nn_real x = (nn_real)a, z = (nn_real)b;
        vec e = v_exp(v_splat(x)), p = v_normal_cdf(v_splat(z));
        worst[0] = fmax(worst[0], fabs((double)e[1] / exp((double)x) - 1));
        worst[1] = fmax(worst[1], fabs((double)p[2] - 0.5 * erfc(-(double)z * sqrt(0.5))));
    }
    print_message("exp off by %.2g of itself, the normal distribution by %.2g\n", worst[0],
                  worst[1]);
    assert_true(worst[0] <= 1.5e-7 && worst[1] <= 1e-7);
    vec ends = v_exp((vec){-INFINITY, -88, 1e30f, NAN, 0});
    assert_true(ends[0] == 0 && ends[1] == 0 && ends[2] > 1e38f && isnan(ends[3]) && ends[4] == 1);
}

/* In steps of all sizes, far into the tails. */
static void test_gelu(void **state) {
    (void)state;
    enum { N = 400001 };
    struct rng r = rng_init(seed);
    nn_real *x = made(N, 1, &r), *dy = made(N, 1, &r), *y = made(N, 1, &r), *z = made(N, 1, &r);
    for (size_t i = 0; i < N / 2; i++) x[i] = (nn_real)(((double)i / (N / 4) - 1) * 9);
    nn_gelu_forward(y, x, N);
    nn_gelu_forward_ref(z, x, N);
    double worst = 0, slope = 0;
    for (size_t i = 0; i < N; i++)
        worst = fmax(worst, fabs((double)(y[i] - z[i])) / fmax(1, fabs((double)x[i])));
    for (size_t i = 0; i < N; i++) dy[i] = 1;
    nn_gelu_backward(y, dy, x, N);
    nn_gelu_backward_ref(z, dy, x, N);
    for (size_t i = 0; i < N; i++) slope = fmax(slope, fabs((double)(y[i] - z[i])));
    print_message("GELU off by %.2g, its slope by %.2g\n", worst, slope);
    assert_true(worst <= 1.5e-7 && slope <= 3e-7);
    nn_real ends[] = {-INFINITY, -1e30f, 1e30f, INFINITY, NAN, 0};
    nn_gelu_forward(ends, ends, 6);
    assert_true(ends[2] == (nn_real)1e30f && isinf(ends[3]) && isnan(ends[4]) && ends[5] == 0);
    assert_true(fabs((double)ends[0]) < 1e-8 && fabs((double)ends[1]) < 1e-8);
    nn_real *all[] = {x, dy, y, z};
    for (size_t i = 0; i < 4; i++) free(all[i]);
}

static void test_softmax(void **state) {
    (void)state;
    struct rng r = rng_init(seed);
    for (int round = 0; round < ROUNDS; round++) {
        size_t rows = drawn(&r, 1, 9), columns = drawn(&r, 1, 70), n = rows * columns;
        nn_real *x = made(n, round % 2 ? 1 : 30, &r), *dy = made(n, 1, &r);
        nn_real *y = made(n, 1, &r), *z = made(n, 1, &r);
        nn_softmax_forward(y, x, rows, columns);
        nn_softmax_forward_ref(z, x, rows, columns);
        CLOSE(y, z, n, 5e-7);
        nn_softmax_backward(x, dy, z, rows, columns);
        nn_softmax_backward_ref(y, dy, z, rows, columns);
        /* A row that is nearly one and zeros cancels: absolutely then. */
        for (size_t i = 0; i < n; i++) assert_true(fabs((double)(x[i] - y[i])) <= 1e-6);
        if (columns > 1 && round % 2) CLOSE(x, y, n, 1e-5);
        nn_real *all[] = {x, dy, y, z};
        for (size_t i = 0; i < 4; i++) free(all[i]);
    }
    /* Far apart, and nothing but the largest left. */
    nn_real far[] = {-1e30f, 5, -200, 4, -INFINITY};
    nn_softmax_forward(far, far, 1, 5);
    assert_true(far[0] == 0 && far[2] == 0 && far[4] == 0);
    assert_true(fabs((double)far[1] - 0.7310585786) < 2e-7);
}

static void test_batchnorm(void **state) {
    (void)state;
    struct rng r = rng_init(seed);
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = drawn(&r, 8, round % 3 ? 100 : 2000), d = drawn(&r, 1, 40);
        nn_real *x = made(n * d, 1, &r), *dy = made(n * d, 1, &r), *y[2], *dx[2];
        nn_real *scale = made(d, 1, &r), *shift = made(d, 1, &r), *stats[2];
        nn_real *scratch = made(nn_batchnorm_scratch(n, d), 1, &r);
        nn_real *start = made(6 * d, 1, &r);
        for (size_t i = 0; i < n * d; i++) x[i] += (nn_real)(round % 2 ? 0 : 100 * (int)(i % d));
        for (int i = 0; i < 2; i++) {
            y[i] = made(n * d, 1, &r), dx[i] = made(n * d, 1, &r), stats[i] = made(6 * d, 1, &r);
            memcpy(stats[i], start, 6 * d * sizeof *start);
        }
        nn_real *s = stats[0], *t = stats[1];
        nn_batchnorm_train(y[0], s, s + d, s + 2 * d, s + 3 * d, x, scale, shift, n, d, scratch,
                           NULL);
        nn_batchnorm_train_ref(y[1], t, t + d, t + 2 * d, t + 3 * d, x, scale, shift, n, d);
        /* A mean of thousands is held to 1e-4 of the deviation. */
        double bound = round % 2 ? 2e-6 : 2e-4;
        CLOSE(y[0], y[1], n * d, bound);
        for (size_t i = 0; i < 4 * d; i++)
            if (!(fabs((double)(s[i] - t[i])) <= 1e-6 * (1 + fabs((double)t[i]))))
                fail_msg("statistic %zu is %g, not %g", i, (double)s[i], (double)t[i]);
        if (round % 2) {
            nn_batchnorm_backward(dx[0], s + 4 * d, s + 5 * d, dy, x, t, t + d, scale, n, d,
                                  scratch, NULL);
            nn_batchnorm_backward_ref(dx[1], t + 4 * d, t + 5 * d, dy, x, t, t + d, scale, n, d);
            CLOSE(dx[0], dx[1], n * d, 1e-5);
            CLOSE(s + 4 * d, t + 4 * d, d, 1e-5);
            CLOSE(s + 5 * d, t + 5 * d, d, 1e-5);
        }
        /* Inference with the batch's own statistics is training. */
        for (size_t c = 0; c < d; c++)
            s[c] = (nn_real)(1 / ((double)t[d + c] * (double)t[d + c]) - 1e-5);
        nn_batchnorm_infer(y[0], x, scale, shift, t, s, n, d);
        CLOSE(y[0], y[1], n * d, 1e-3);
        nn_real *all[] = {x,     dy,    y[0],     y[1],     dx[0],   dx[1],
                          scale, shift, stats[0], stats[1], scratch, start};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

static void test_attention(void **state) {
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1},   {17, 4, 4},   {42, 4, 4},  {42, 3, 16},
                                      {64, 2, 64}, {130, 1, 33}, {5, 2, 900}, {9, 7, 3}};
    struct rng r = rng_init(seed);
    for (size_t round = 0; round < 2 * sizeof sizes / sizeof sizes[0]; round++) {
        size_t tokens = sizes[round / 2][0], heads = sizes[round / 2][1], dk = sizes[round / 2][2];
        size_t n = tokens * heads * dk, square = heads * tokens * tokens;
        nn_real *q = made(n, 1, &r), *k = made(n, 1, &r), *v = made(n, 1, &r), *dy = made(n, 1, &r);
        nn_real *previous = made(square, 1, &r),
                *scratch = made(nn_attention_scratch(tokens), 1, &r);
        nn_real *y[2], *s[2], *p[2], *d[2][3], *ds[2];
        nn_real scale = (nn_real)(1 / sqrt((double)dk));
        for (int i = 0; i < 2; i++) {
            y[i] = made(n, 1, &r), s[i] = made(square, 1, &r), p[i] = made(square, 1, &r);
            ds[i] = made(square, 1, &r);
            for (int j = 0; j < 3; j++) d[i][j] = made(n, 1, &r);
        }
        const nn_real *before = round % 2 ? previous : NULL;
        nn_attention_forward(y[0], s[0], p[0], q, k, v, before, scale, tokens, heads, dk);
        nn_attention_forward_ref(y[1], s[1], p[1], q, k, v, before, scale, tokens, heads, dk);
        CLOSE(s[0], s[1], square, 2e-6);
        CLOSE(p[0], p[1], square, 3e-6);
        CLOSE(y[0], y[1], n, 3e-6);
        nn_attention_backward(d[0][0], d[0][1], d[0][2], ds[0], dy, before, q, k, v, p[1], scale,
                              tokens, heads, dk, scratch);
        nn_attention_backward_ref(d[1][0], d[1][1], d[1][2], ds[1], dy, before, q, k, v, p[1],
                                  scale, tokens, heads, dk);
        CLOSE(ds[0], ds[1], square, 1e-5);
        if (tokens > 1)
            for (int j = 0; j < 3; j++) CLOSE(d[0][j], d[1][j], n, 1e-5);
        /* The gradient of the scores may be written over the one that came. */
        if (before) {
            nn_attention_backward(d[0][0], d[0][1], d[0][2], previous, dy, previous, q, k, v, p[1],
                                  scale, tokens, heads, dk, scratch);
            assert_memory_equal(previous, ds[0], square * sizeof *previous);
        }
        nn_real *all[] = {q,       k,       v,       dy,      previous, scratch, y[0],
                          y[1],    s[0],    s[1],    p[0],    p[1],     ds[0],   ds[1],
                          d[0][0], d[0][1], d[0][2], d[1][0], d[1][1],  d[1][2]};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

/* One call of every kernel of a set; the outputs one behind the other. */
static void run_all(nn_real *out, const struct nn_kernels *k, const nn_real *in, size_t n) {
    enum { D = 19, TOKENS = 21, HEADS = 2, DK = 5 };
    struct adam_step step = {0.9f, 0.999f, 0.1f, 0.001f, 1e-3f, 0.03f, 1e-8f, 1, 0.5f};
    size_t rows = n / D, padded = n / 16 * 16, width = HEADS * DK, square = TOKENS * TOKENS;
    k->gelu_forward(out, in, n), out += n;
    k->gelu_backward(out, in, in + n, n), out += n;
    k->softmax_forward(out, in, rows, D), out += rows * D;
    k->softmax_backward(out, in + n, in, rows, D), out += rows * D;
    k->dropout(out, in, n / 16, 0.3f, 77, 12345678901), out += padded;
    memcpy(out, in, padded * sizeof *in);
    for (size_t i = 0; i < padded; i++) out[padded + i] = out[2 * padded + i] = in[i] * in[i];
    k->adam(out, out + padded, out + 2 * padded, in + n, padded, &step), out += 3 * padded;
    *out++ = (nn_real)k->square_sum(in, n);
    struct attention_head h = {.tokens = TOKENS,
                               .stride = width,
                               .dk = DK,
                               .scale = 0.4f,
                               .q = in,
                               .k = in + 200,
                               .v = in + 400,
                               .previous = in + 7,
                               .dy = in + 100,
                               .dscores = in + 11};
    h.scores = out, h.p = out + square, h.y = out + 2 * square, h.p_kept = h.p;
    memset(out, 0, (6 * square + 4 * TOKENS * width) * sizeof *out);
    h.dscores_out = out + 3 * square, h.scratch = out + 4 * square;
    h.dq = h.y + TOKENS * width, h.dk_out = h.dq + TOKENS * width, h.dv = h.dk_out + TOKENS * width;
    h.dscores_out = out + 2 * square + 4 * TOKENS * width;
    h.scratch = h.dscores_out + square;
    k->attention_forward(&h);
    k->attention_backward(&h);
    out += 4 * square + 4 * TOKENS * width;
    k->column_moments(out, out + D, in, in + 9, rows, D), out += 2 * D;
    k->column_affine(out, in, in + 5, in + 50, in + 90, rows, D, D), out += rows * D;
    k->column_sums(out, out + D, in, in + n, in + 3, in + 70, rows, D), out += 2 * D;
    k->column_backward(out, in, in + n, in + 1, in + 30, in + 60, in + 90, rows, D);
}

static void test_sets_agree(void **state) {
    (void)state;
    enum { N = 1003, OUT = 20 * N };
    struct rng r = rng_init(seed);
    nn_real *in = made(2 * N, 2, &r), *want = made(OUT, 0, &r), *have = made(OUT, 0, &r);
    memset(want, 0, OUT * sizeof *want);
    memset(have, 0, OUT * sizeof *have);
    run_all(want, nn_kernels_at(0), in, N);
    for (size_t k = 1; nn_kernels_at(k); k++) {
        print_message("%s %s\n", nn_kernels_at(k)->name,
                      nn_kernels_at(k)->can_run() ? "compared" : "cannot run here");
        if (!nn_kernels_at(k)->can_run()) continue;
        run_all(have, nn_kernels_at(k), in, N);
        for (size_t i = 0; i < OUT; i++)
            if (memcmp(&have[i], &want[i], sizeof *have) != 0)
                fail_msg("%s: value %zu is %a, not %a", nn_kernels_at(k)->name, i, (double)have[i],
                         (double)want[i]);
    }
    free(in), free(want), free(have);
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linear_fixed),
        cmocka_unit_test(test_exp_and_normal_cdf),
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_sets_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
