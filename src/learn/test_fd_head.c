/* The head's loss against a plain twin, and its gradients against central differences: net_head.c built with double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/net_head.h"

enum { HORIZON = 5, VALUES = 7, N = 70, STRIDE = HORIZON + 1 + NET_CONTEXT };

static struct rng rng;
static struct net_head head;
static nn_real y[N * VALUES], dy[N * VALUES], target[N * STRIDE], weights[N];

static int setup(void **state) {
    (void)state;
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 42;
    struct err err = {0};
    fprintf(stderr, "TEST_SEED=%llu\n", (unsigned long long)seed);
    rng = rng_init(seed);
    if (net_head_init(&head, HORIZON, VALUES, N, true, seed, NULL, &err) != ST_OK) return -1;
    head.label_weight = 0.7;
    for (size_t i = 0; i < N * VALUES; i++) y[i] = rng_normal(&rng);
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < STRIDE; k++) target[i * STRIDE + k] = 1.5 * rng_normal(&rng);
        target[i * STRIDE + HORIZON] = (nn_real)rng_below(&rng, NET_CLASSES);
        weights[i] = i == 3 ? 0 : 0.2 + rng_f64(&rng);
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    net_head_free(&head);
    return 0;
}

static double loss(bool weighted, nn_real *gradient) {
    struct nn_batch batch = {.n = N, .target = target, .weights = weighted ? weights : NULL};
    memset(head.params.grad, 0, head.params.trainable_size * sizeof *head.params.grad);
    return net_head_loss(&head, gradient, y, &batch);
}

static double pinball(double q, double value, double forecast) {
    return value >= forecast ? q * (value - forecast) : (1 - q) * (forecast - value);
}

/* libm, plain loops, straight from the definitions in net_head.h. */
static double twin(bool weighted) {
    const nn_real *w = nn_params_find(&head.params, "head.weight")->value;
    const nn_real *b = nn_params_find(&head.params, "head.bias")->value;
    double sum = 0, total = 0;
    for (size_t i = 0; i < N; i++) {
        double z[HORIZON * 3 + 3], path = 0, e = 0;
        for (size_t o = 0; o < HORIZON * 3 + 3; o++) {
            z[o] = b[o] + w[o * (VALUES + 1) + VALUES] * target[i * STRIDE + HORIZON + 1];
            for (size_t k = 0; k < VALUES; k++) z[o] += w[o * (VALUES + 1) + k] * y[i * VALUES + k];
        }
        for (size_t k = 0; k < HORIZON; k++) {
            double t = target[i * STRIDE + k], m = z[3 * k];
            path += pinball(0.1, t, m - log1p(exp(z[3 * k + 1]))) + pinball(0.5, t, m) +
                    pinball(0.9, t, m + log1p(exp(z[3 * k + 2])));
        }
        const double *logits = z + HORIZON * 3;
        for (int l = 0; l < 3; l++) e += exp(logits[l]);
        double entropy = log(e) - logits[(size_t)target[i * STRIDE + HORIZON]];
        double share = weighted ? weights[i] : 1;
        sum += share * (path / (HORIZON * 3) + head.label_weight * entropy);
        total += share;
    }
    return sum / total;
}

static void loss_is_the_twins(void **state) {
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        double ours = loss(weighted != 0, NULL), plain = twin(weighted != 0);
        print_message("loss %.15f twin %.15f\n", ours, plain);
        assert_true(fabs(ours - plain) < 1e-12 * plain);
        assert_true(loss(weighted != 0, dy) == ours);
    }
}

/* Pinball losses have kinks: a difference across one tells nothing. With this many values one or two are hit; they are few, and
 * both one-sided differences then bracket the gradient. */
static void compare(nn_real *value, double gradient, double largest, size_t *kinks) {
    const double step = 1e-6;
    double was = *value, middle = loss(true, NULL);
    *value = was + step;
    double up = loss(true, NULL);
    *value = was - step;
    double down = loss(true, NULL);
    *value = was;
    double right = (up - middle) / step, left = (middle - down) / step;
    if (fabs(right - left) > 1e-5 * largest) {
        ++*kinks;
        assert_true(gradient > fmin(left, right) - 1e-5 * largest &&
                    gradient < fmax(left, right) + 1e-5 * largest);
        return;
    }
    double gap = fabs((up - down) / (2 * step) - gradient);
    if (gap > 1e-6 * largest)
        fail_msg("difference %g, gradient %g", (up - down) / (2 * step), gradient);
}

static void compare_all(nn_real *values, const nn_real *gradient, size_t n) {
    double largest = 0;
    size_t kinks = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(gradient[i]));
    assert_true(largest > 0);
    for (size_t i = 0; i < n; i++) compare(&values[i], gradient[i], largest, &kinks);
    assert_true(kinks * 20 <= n);
}

static void gradients_are_differences(void **state) {
    (void)state;
    struct nn_params *p = &head.params;
    nn_real *grad = malloc(p->trainable_size * sizeof *grad);
    assert_non_null(grad);
    loss(true, dy);
    memcpy(grad, p->grad, p->trainable_size * sizeof *grad);
    compare_all(y, dy, N * VALUES);
    for (uint32_t i = 0; i < p->count; i++)
        compare_all(p->tensors[i].value, grad + (p->tensors[i].value - p->value),
                    p->tensors[i].count);
    free(grad);
}

/* A window of weight 0 neither counts nor is pushed. */
static void weightless_windows_are_silent(void **state) {
    (void)state;
    loss(true, dy);
    for (size_t k = 0; k < VALUES; k++) assert_true(dy[3 * VALUES + k] == 0);
}

static void a_batch_with_nan_has_no_loss(void **state) {
    (void)state;
    nn_real was = y[11];
    y[11] = (nn_real)NAN;
    assert_true(isnan(loss(true, dy)));
    for (size_t i = 0; i < head.params.trainable_size; i++) assert_true(head.params.grad[i] == 0);
    y[11] = was;
}

/* Whatever the weights say: q10 <= q50 <= q90, and probabilities. */
static void quantiles_do_not_cross(void **state) {
    (void)state;
    nn_real z[HORIZON * 3 + 3];
    double path[HORIZON * 3], p[3];
    for (int round = 0; round < 2000; round++) {
        double size = pow(10, 4 * rng_f64(&rng) - 1);
        for (size_t i = 0; i < HORIZON * 3 + 3; i++) z[i] = size * rng_normal(&rng);
        net_head_spread(path, p, &head, z);
        for (size_t k = 0; k < HORIZON; k++)
            assert_true(path[3 * k] <= path[3 * k + 1] && path[3 * k + 1] <= path[3 * k + 2]);
        assert_true(p[0] >= 0 && p[1] >= 0 && p[2] >= 0);
        assert_true(fabs(p[0] + p[1] + p[2] - 1) < 1e-12);
    }
    z[4] = (nn_real)INFINITY;
    net_head_spread(path, p, &head, z);
    for (size_t k = 0; k < HORIZON * 3; k++) assert_true(isnan(path[k]));
    for (int l = 0; l < 3; l++) assert_true(isnan(p[l]));
}

/* A head with weights 0 is the forecast of a random walk: the normal's quantiles in its own units. */
static void starts_as_a_random_walk(void **state) {
    (void)state;
    const nn_real *bias = nn_params_find(&head.params, "head.bias")->value;
    double path[HORIZON * 3];
    net_head_spread(path, NULL, &head, bias);
    for (size_t k = 0; k < HORIZON; k++) {
        assert_true(path[3 * k + 1] == 0);
        assert_true(fabs(path[3 * k] + 1.2815515655446004) < 1e-12);
        assert_true(fabs(path[3 * k + 2] - 1.2815515655446004) < 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_the_twins),
        cmocka_unit_test(gradients_are_differences),
        cmocka_unit_test(weightless_windows_are_silent),
        cmocka_unit_test(a_batch_with_nan_has_no_loss),
        cmocka_unit_test(quantiles_do_not_cross),
        cmocka_unit_test(starts_as_a_random_walk),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
