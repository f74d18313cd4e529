/* The bits of what inference is made of, which no compiler, optimisation level and processor may
 * change. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "ml/nn/kernels.h"

#define LINEAR        UINT64_C(0x632418177414dc08)
#define GELU          UINT64_C(0x052d7cc655f50f0a)
#define SOFTMAX       UINT64_C(0xfdbfe4917124d4c8)
#define ACTIVATIONS   UINT64_C(0x194c8c4d180a65cc)
#define ATTENTION     UINT64_C(0x816e00ab706ac648)
#define BATCHNORM     UINT64_C(0xe697467dff3059f4)
#define LAYERNORM     UINT64_C(0x78a56f944a026ee0)
#define INTERPOLATION UINT64_C(0x3525b8cd946a6af5)
#define POOLS         UINT64_C(0xcc0563e9ff18877d)
#define DROPOUT       UINT64_C(0xc5b86049c8b7d8c5)

enum { N = 20000 };

static nn_real in[2 * N], out[2 * N];
static int failures;

static void fill(double spread) {
    struct rng r = rng_init(1);
    /* Whole numbers over a power of two: the same on any machine, whatever its libm. */
    for (size_t i = 0; i < 2 * N; i++)
        in[i] = (nn_real)(((double)rng_below(&r, 1 << 20) / (1 << 19) - 1) * spread);
}

static void is(const char *name, size_t n, uint64_t want) {
    uint64_t have = hash64(out, n * sizeof *out);
    if (have != want)
        print_error("%s: 0x%016llx, not 0x%016llx\n", name, (unsigned long long)have,
                    (unsigned long long)want);
    failures += have != want;
}

static void test_linear(void **state) {
    (void)state;
    failures = 0;
    static nn_real packed[128 * 300];
    fill(2);
    nn_linear_fixed(out, in, in + 500, in + 77, 8, 290, 60);
    is("linear", 8 * 60, LINEAR);
    nn_linear_pack(packed, in + 500, in + 77, 290, 60);
    nn_linear_packed(out, in, packed, 8, 290, 60);
    is("linear, packed", 8 * 60, LINEAR);
    for (size_t r = 0; r < 8; r++) nn_linear_packed(out + r * 60, in + r * 290, packed, 1, 290, 60);
    is("linear, row by row", 8 * 60, LINEAR);
    assert_int_equal(failures, 0);
}

static void test_functions(void **state) {
    (void)state;
    failures = 0;
    fill(8);
    nn_gelu_forward(out, in, N);
    is("gelu", N, GELU);
    nn_softmax_forward(out, in, N / 43, 43);
    is("softmax", N / 43 * 43, SOFTMAX);
    uint64_t hash = 0;
    for (int kind = NN_IDENTITY; kind <= NN_GELU; kind++) {
        nn_activation_forward(out, in, N, (enum nn_activation)kind, (nn_real)0.25);
        hash = hash_chain(hash, out, N * sizeof *out);
    }
    memcpy(out, &hash, sizeof hash);
    is("activations", sizeof hash / sizeof *out, ACTIVATIONS);
    assert_int_equal(failures, 0);
}

static void test_layers(void **state) {
    (void)state;
    failures = 0;
    static nn_real scores[4 * 42 * 42], p[4 * 42 * 42], stats[2 * 100];
    fill(3);
    nn_attention_forward(out, scores, p, in, in + 3000, in + 6000, in + 9000, (nn_real)0.35, 42, 4,
                         8);
    is("attention", 42 * 32, ATTENTION);
    for (size_t i = 9000; i < 9100; i++) in[i] = in[i] * in[i] + (nn_real)0.5;
    nn_batchnorm_infer(out, in, in + 8000, in + 8500, in + 8700, in + 9000, 80, 100);
    is("batch norm", 8000, BATCHNORM);
    nn_layernorm_forward(out, stats, stats + 100, in, in + 8000, in + 8500, 80, 100);
    is("layer norm", 8000, LAYERNORM);
    for (int kind = NN_NEAREST; kind <= NN_CUBIC; kind++)
        nn_interpolate_forward(out + kind * 9600, in, 100, 7, 96, (enum nn_interpolation)kind);
    is("interpolation", 3 * 9600, INTERPOLATION);
    nn_maxpool_forward(out, NULL, in, 100, 99, 8);
    nn_avgpool_forward(out + 1300, in, 100, 99, 8);
    is("pools", 2600, POOLS);
    assert_int_equal(failures, 0);
}

static void test_dropout(void **state) {
    (void)state;
    failures = 0;
    fill(1);
    nn_dropout(out, in, N, (nn_real)0.3, 7, 9);
    is("dropout", N, DROPOUT);
    assert_int_equal(failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_dropout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
