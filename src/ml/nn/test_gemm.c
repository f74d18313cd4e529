/* Products by every kernel against the plain sum in the stated order, bit for bit; from several
 * threads at once. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nn/gemm.h"

struct product {
    size_t m, n, k, extra; /* extra: values between rows */
    bool ta, tb, add;
    nn_real *a, *b, *c, *want;
};

static nn_real *drawn(size_t n, struct rng *rng) {
    nn_real *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (nn_real)rng_normal(rng);
    return x;
}

static struct nn_matrix matrix(const nn_real *p, bool transposed, size_t rows, size_t columns,
                               size_t extra) {
    return transposed ? nn_transposed(p, rows + extra) : nn_rows(p, columns + extra);
}

static nn_real entry(const struct nn_matrix *a, size_t row, size_t column) {
    return a->p[row * a->row_step + column * a->column_step];
}

static void product_make(struct product *p, struct rng *rng) {
    size_t e = p->extra;
    p->a = drawn((p->m + e) * (p->k + e), rng);
    p->b = drawn((p->k + e) * (p->n + e), rng);
    p->c = drawn(p->m * (p->n + e), rng);
    p->want = malloc((p->m * (p->n + e) + 1) * sizeof *p->want);
    assert_non_null(p->want);
    memcpy(p->want, p->c, p->m * (p->n + e) * sizeof *p->want);
    struct nn_matrix a = matrix(p->a, p->ta, p->m, p->k, e), b = matrix(p->b, p->tb, p->k, p->n, e);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            nn_real *to = &p->want[i * (p->n + e) + j];
            if (!p->add) *to = 0;
            for (size_t from = 0; from < p->k; from += NN_GEMM_BLOCK) {
                nn_real sum = 0;
                for (size_t l = from; l < p->k && l < from + NN_GEMM_BLOCK; l++)
                    sum = (nn_real)fmaf(entry(&a, i, l), entry(&b, l, j), sum);
                *to = from || p->add ? *to + sum : sum;
            }
        }
}

static void product_free(struct product *p) {
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->want);
}

static void check(const struct nn_gemm_kernel *g, const struct product *p) {
    size_t size = p->m * (p->n + p->extra) * sizeof *p->c;
    nn_real *c = malloc(size + 1);
    assert_non_null(c);
    memcpy(c, p->c, size);
    g->gemm(c, p->n + p->extra, matrix(p->a, p->ta, p->m, p->k, p->extra),
            matrix(p->b, p->tb, p->k, p->n, p->extra), p->m, p->n, p->k, p->add);
    if (memcmp(c, p->want, size) != 0)
        fail_msg("%s: %zu x %zu x %zu, transposed %d %d, add %d", g->name, p->m, p->n, p->k, p->ta,
                 p->tb, p->add);
    free(c);
}

static void test_bits(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1},    {4, 24, 8},   {8, 32, 192}, {5, 25, 193},
                                       {3, 7, 400},  {130, 30, 5}, {9, 300, 65}, {129, 289, 33},
                                       {17, 600, 3}, {64, 96, 385}};
    struct rng rng = rng_init(3);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int kind = 0; kind < 8; kind++) {
            struct product p = {.m = shapes[s][0],
                                .n = shapes[s][1],
                                .k = shapes[s][2],
                                .extra = s % 3,
                                .ta = kind & 1,
                                .tb = (kind & 2) != 0,
                                .add = (kind & 4) != 0};
            product_make(&p, &rng);
            for (size_t g = 0; nn_gemm_kernel_at(g); g++)
                if (nn_gemm_kernel_at(g)->can_run()) check(nn_gemm_kernel_at(g), &p);
            product_free(&p);
        }
}

static void *multiply_often(void *context) {
    const struct product *p = context;
    nn_real c[40 * 24];
    for (int i = 0; i < 5000; i++) {
        nn_gemm(c, p->n, nn_rows(p->a, p->k), nn_rows(p->b, p->n), p->m, p->n, p->k, false);
        if (memcmp(c, p->want, sizeof c) != 0) return context;
    }
    return NULL;
}

/* The serial OpenBLAS fails this. */
static void test_threads(void **state) {
    (void)state;
    enum { THREADS = 3 };
    struct product p[THREADS];
    pthread_t threads[THREADS];
    struct rng rng = rng_init(4);
    for (int t = 0; t < THREADS; t++) {
        p[t] = (struct product){.m = 40, .n = 24, .k = 30};
        product_make(&p[t], &rng);
        assert_int_equal(pthread_create(&threads[t], NULL, multiply_often, &p[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        void *bad;
        assert_int_equal(pthread_join(threads[t], &bad), 0);
        assert_null(bad);
        product_free(&p[t]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
