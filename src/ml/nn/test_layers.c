/* Small layers against values worked out by hand or by a formula of their own; and what a seed
 * promises. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nn/nn.h"

static void near(const nn_real *have, const double *want, size_t n, double bound) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)have[i] - want[i]) <= bound))
            fail_msg("value %zu is %.9g, not %.9g", i, (double)have[i], want[i]);
}

static void test_pool(void **state) {
    (void)state;
    const nn_real x[] = {1, 5, 2, -3, -1, -2, 4, -7, NAN, 0};
    nn_real y[8], dx[7];
    uint32_t arg[8];
    assert_int_equal(nn_pool_size(7, 3), 3);
    assert_int_equal(nn_pool_size(6, 3), 2);
    assert_int_equal(nn_pool_size(2, 5), 1);
    nn_maxpool_forward(y, arg, x, 1, 7, 3);
    near(y, (const double[]){5, -1, 4}, 3, 0);
    assert_true(arg[0] == 1 && arg[1] == 4 && arg[2] == 6);
    nn_maxpool_backward(dx, (const nn_real[]){10, 20, 30}, arg, 1, 7, 3);
    near(dx, (const double[]){0, 10, 0, 0, 20, 0, 30}, 7, 0);
    /* The incomplete last window divides by what it holds. */
    nn_avgpool_forward(y, x, 1, 7, 3);
    near(y, (const double[]){8 / 3.0, -2, 4}, 3, 1e-6);
    nn_avgpool_backward(dx, (const nn_real[]){3, 6, 9}, 1, 7, 3);
    near(dx, (const double[]){1, 1, 1, 2, 2, 2, 9}, 7, 1e-6);
    nn_maxpool_forward(y, arg, x + 7, 1, 3, 3);
    assert_true(isnan(y[0]));
}

static void test_interpolation(void **state) {
    (void)state;
    nn_real y[16];
    const nn_real knots[] = {1, 3, 11};
    /* Linear, 3 to 6: positions -0.25 (held at 0), 0.25, 0.75, 1.25, 1.75, 2.25 (held at 2). */
    nn_interpolate_forward(y, knots, 1, 3, 6, NN_LINEAR);
    near(y, (const double[]){1, 1.5, 2.5, 5, 9, 11}, 6, 1e-6);
    nn_interpolate_forward(y, knots, 1, 3, 7, NN_NEAREST);
    near(y, (const double[]){1, 1, 1, 3, 3, 11, 11}, 7, 0);
    /* Cubic at 0.5 between equally far neighbours, a = -0.75: weights -3/32, 19/32, 19/32, -3/32.
     */
    const nn_real four[] = {1, 2, 4, 8};
    nn_interpolate_forward(y, four, 1, 4, 8, NN_CUBIC);
    double quarter[] = {-0.10546875, 0.87890625, 0.26171875, -0.03515625}; /* f = 0.25 */
    near(y + 3, (const double[]){1 * quarter[0] + 2 * quarter[1] + 4 * quarter[2] + 8 * quarter[3]},
         1, 1e-6);
    /* As many values as knots, one knot, and a constant stay what they are. */
    for (int kind = NN_NEAREST; kind <= NN_CUBIC; kind++) {
        nn_interpolate_forward(y, four, 1, 4, 4, (enum nn_interpolation)kind);
        near(y, (const double[]){1, 2, 4, 8}, 4, 1e-6);
        nn_interpolate_forward(y, four + 2, 1, 1, 5, (enum nn_interpolation)kind);
        near(y, (const double[]){4, 4, 4, 4, 4}, 5, 1e-6);
        const nn_real flat[] = {7, 7, 7};
        nn_interpolate_forward(y, flat, 1, 3, 11, (enum nn_interpolation)kind);
        near(y, (const double[]){7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, 11, 1e-5);
    }
}

static void test_activations(void **state) {
    (void)state;
    static const double x[] = {-100, -30, -3, -0.5, -1e-4, 0, 1e-4, 0.5, 3, 19, 21, 100};
    enum { N = sizeof x / sizeof x[0] };
    for (int kind = NN_IDENTITY; kind <= NN_GELU; kind++)
        for (size_t i = 0; i < N; i++) {
            double v = x[i], want = v;
            switch ((enum nn_activation)kind) {
            case NN_IDENTITY:
                break;
            case NN_RELU:
                want = fmax(v, 0);
                break;
            case NN_SOFTPLUS:
                want = log1p(exp(v));
                break;
            case NN_TANH:
                want = tanh(v);
                break;
            case NN_SELU:
                want = 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * expm1(v));
                break;
            case NN_LEAKY_RELU:
                want = v > 0 ? v : 0.01 * v;
                break;
            case NN_PRELU:
                want = v > 0 ? v : 0.25 * v;
                break;
            case NN_SIGMOID:
                want = 1 / (1 + exp(-v));
                break;
            case NN_GELU:
                want = 0.5 * v * erfc(-v / sqrt(2));
                break;
            }
            nn_real in = (nn_real)v, out;
            nn_activation_forward(&out, &in, 1, (enum nn_activation)kind, (nn_real)0.25);
            if (!(fabs((double)out - want) <= 2e-7 * fabs(want) + 1e-9 + 1e-7 * fabs(v)))
                fail_msg("activation %d of %g is %.9g, not %.9g", kind, v, (double)out, want);
        }
    nn_real nothing = NAN;
    nn_activation_forward(&nothing, &nothing, 1, NN_RELU, 0);
    assert_true(isnan(nothing));
}

static void test_losses(void **state) {
    (void)state;
    const nn_real y[] = {1, 4, 2}, target[] = {3, 3, 2}, weights[] = {1, 3, 0}, none[] = {0, 0, 0};
    nn_real dy[3];
    assert_true(fabs(nn_loss_values(dy, y, target, NULL, 3, NN_MSE, 0) - 5.0 / 3) < 1e-7);
    near(dy, (const double[]){-4.0 / 3, 2.0 / 3, 0}, 3, 1e-6);
    assert_true(fabs(nn_loss_values(dy, y, target, NULL, 3, NN_MAE, 0) - 1) < 1e-7);
    near(dy, (const double[]){-1.0 / 3, 1.0 / 3, 0}, 3, 1e-6);
    assert_true(fabs(nn_loss_values(dy, y, target, weights, 3, NN_MSE, 0) - 7.0 / 4) < 1e-7);
    assert_true(nn_loss_values(dy, y, target, none, 3, NN_MSE, 0) == 0 && dy[0] == 0);
    /* Huber with threshold 1: 1 * (2 - 1/2), 1/2, 0. */
    assert_true(fabs(nn_loss_values(dy, y, target, NULL, 3, NN_HUBER, 1) - 2.0 / 3) < 1e-7);
    near(dy, (const double[]){-1.0 / 3, 1.0 / 3, 0}, 3, 1e-6);
    /* Quantile 0.9: 0.9 a unit below the target, 0.1 above. */
    assert_true(fabs(nn_loss_values(dy, y, target, NULL, 3, NN_QUANTILE, (nn_real)0.9) - 1.9 / 3) <
                1e-6);
    near(dy, (const double[]){-0.3, 0.1 / 3, 0}, 3, 1e-6);
    const nn_real broken[] = {NAN, 1, 1};
    for (int kind = NN_MSE; kind <= NN_QUANTILE; kind++)
        assert_true(isnan(nn_loss_values(dy, broken, target, NULL, 3, (enum nn_loss)kind, 1)));
    /* Two classes: log(1 + e^-1), and far logits without overflow. */
    const nn_real logits[] = {1, 2, 1000, -1000};
    const uint8_t labels[] = {1, 1};
    nn_real d[4];
    assert_true(fabs(nn_cross_entropy(d, logits, labels, NULL, 1, 2) - log1p(exp(-1))) < 1e-12);
    assert_true(
        fabs(nn_cross_entropy(d, logits, labels, NULL, 2, 2) - (log1p(exp(-1)) + 2000) / 2) < 1e-9);
    near(d + 2, (const double[]){0.5, -0.5}, 2, 1e-7);
}

static void test_layernorm(void **state) {
    (void)state;
    const nn_real x[] = {1, 2, 3, 4, 1000, 1000, 1000, 1000}, scale[] = {1, 1, 2, 2};
    const nn_real shift[] = {0, 1, 0, 1};
    nn_real y[8], mean[2], inv[2];
    nn_layernorm_forward(y, mean, inv, x, scale, shift, 2, 4);
    double s = 1 / sqrt(1.25 + 1e-5);
    near(y, (const double[]){-1.5 * s, 1 - 0.5 * s, s, 1 + 3 * s, 0, 1, 0, 1}, 8, 1e-6);
    near(mean, (const double[]){2.5, 1000}, 2, 0);
    near(inv, (const double[]){s, 1 / sqrt(1e-5)}, 2, 1e-4);
}

static void test_initialisation_is_uniform(void **state) {
    (void)state;
    enum { N = 100000, BINS = 20 };
    static nn_real w[N], again[N];
    struct rng a = rng_init(3), b = rng_init(3);
    nn_init_uniform(w, N, 0.25, &a);
    nn_init_uniform(again, N, 0.25, &b);
    assert_memory_equal(w, again, sizeof w);
    double mean = 0, square = 0, chi = 0;
    int bins[BINS] = {0};
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)w[i]) <= 0.25);
        mean += (double)w[i] / N;
        square += (double)w[i] * (double)w[i] / N;
        bins[(int)fmin(BINS - 1, ((double)w[i] + 0.25) * 2 * BINS)]++;
    }
    for (int i = 0; i < BINS; i++) chi += pow(bins[i] - N / BINS, 2) / (N / BINS);
    assert_true(fabs(mean) < 5 * 0.25 / sqrt(3.0 * N));
    assert_true(fabs(square / (0.0625 / 3) - 1) < 5 * sqrt(0.8 / N));
    assert_true(chi < 54); /* 19 degrees of freedom: one in 30,000 is above */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),        cmocka_unit_test(test_interpolation),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_losses),
        cmocka_unit_test(test_layernorm),   cmocka_unit_test(test_initialisation_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
