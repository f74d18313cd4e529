/* Every backward pass in double against central differences of its forward pass: inputs and
 * parameters, every entry. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nn/nn_ref.h"

enum { MAX = 4096 };

/* A layer: loss = sum of out * c, as a function of the arrays in `x`; what it is called with
 * stands in the case. */
struct fd_case {
    size_t n, d, e, k; /* shapes, as the layer takes them */
    int kind;
    nn_real param;
    bool ref;
    nn_real x[5][MAX]; /* inputs and parameters */
    size_t sizes[5];
    nn_real c[MAX], c2[MAX];
    nn_real grads[5][MAX];
};

typedef double loss_of(struct fd_case *f);
typedef void gradients_of(struct fd_case *f);

static nn_real scratch[1 << 18];
static struct rng rng;

static void fill(nn_real *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(&rng);
}

static double weighed(const nn_real *y, const nn_real *c, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += y[i] * c[i];
    return sum;
}

/* Steps of 1e-5 leave about 1e-10 from the third derivative and 1e-11 from rounding. */
static void compare(struct fd_case *f, loss_of *loss, gradients_of *gradients, const char *name,
                    double bound) {
    const double step = 1e-5;
    fill(f->c, MAX);
    fill(f->c2, MAX);
    memset(f->grads, 0, sizeof f->grads);
    gradients(f);
    for (int a = 0; a < 5 && f->sizes[a]; a++) {
        double top = 1e-3;
        for (size_t i = 0; i < f->sizes[a]; i++) top = fmax(top, fabs(f->grads[a][i]));
        for (size_t i = 0; i < f->sizes[a]; i++) {
            nn_real was = f->x[a][i];
            f->x[a][i] = was + step;
            double up = loss(f);
            f->x[a][i] = was - step;
            double down = loss(f);
            f->x[a][i] = was;
            double want = (up - down) / (2 * step), have = f->grads[a][i];
            if (!(fabs(have - want) <= bound * top))
                fail_msg("%s: gradient %zu of array %d is %.12g, differences say %.12g", name, i, a,
                         have, want);
        }
    }
}

static struct fd_case *case_of(const size_t sizes[5]) {
    static struct fd_case f;
    memset(&f, 0, sizeof f);
    for (int a = 0; a < 5; a++) {
        assert_true(sizes[a] <= MAX);
        f.sizes[a] = sizes[a];
        fill(f.x[a], sizes[a]);
    }
    return &f;
}

/* ---- linear ---- */

static double linear_loss(struct fd_case *f) {
    static nn_real y[MAX];
    if (f->kind == 0) nn_linear_forward(y, f->x[0], f->x[1], f->x[2], f->n, f->d, f->e, NULL);
    if (f->kind == 1) nn_linear_fixed(y, f->x[0], f->x[1], f->x[2], f->n, f->d, f->e);
    if (f->kind == 2) {
        nn_linear_pack(scratch, f->x[1], f->x[2], f->d, f->e);
        nn_linear_packed(y, f->x[0], scratch, f->n, f->d, f->e);
    }
    if (f->kind == 3) nn_linear_forward_ref(y, f->x[0], f->x[1], f->x[2], f->n, f->d, f->e);
    return weighed(y, f->c, f->n * f->e);
}
static void linear_gradients(struct fd_case *f) {
    if (f->kind == 3)
        nn_linear_backward_ref(f->grads[0], f->grads[1], f->grads[2], f->c, f->x[0], f->x[1], f->n,
                               f->d, f->e);
    else
        nn_linear_backward(f->grads[0], f->grads[1], f->grads[2], f->c, f->x[0], f->x[1], f->n,
                           f->d, f->e, scratch, NULL);
}
static void test_linear(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{3, 5, 4}, {1, 7, 1}, {1100, 2, 3}, {9, 17, 70}};
    for (size_t s = 0; s < 4; s++)
        for (int kind = 0; kind < 4; kind++) {
            size_t n = shapes[s][0], in = shapes[s][1], out = shapes[s][2];
            struct fd_case *f = case_of((const size_t[5]){n * in, out * in, out});
            f->n = n, f->d = in, f->e = out, f->kind = kind;
            assert_true(nn_linear_scratch(n, in, out) <= sizeof scratch / sizeof scratch[0]);
            compare(f, linear_loss, linear_gradients, "linear", 1e-8);
        }
}

/* ---- activations, softmax, dropout ---- */

static double activation_loss(struct fd_case *f) {
    static nn_real y[MAX];
    nn_real slope = f->sizes[1] ? f->x[1][0] : 0;
    nn_activation_forward(y, f->x[0], f->n, (enum nn_activation)f->kind, slope);
    return weighed(y, f->c, f->n);
}
static void activation_gradients(struct fd_case *f) {
    nn_activation_backward(f->grads[0], f->grads[1], f->c, f->x[0], f->n,
                           (enum nn_activation)f->kind, f->sizes[1] ? f->x[1][0] : 0);
}
static void test_activations(void **state) {
    (void)state;
    for (int kind = NN_IDENTITY; kind <= NN_GELU; kind++) {
        struct fd_case *f = case_of((const size_t[5]){203, kind == NN_PRELU ? 1 : 0});
        f->n = 203, f->kind = kind;
        for (size_t i = 0; i < f->n; i++) {
            f->x[0][i] *= 3;
            if (fabs(f->x[0][i]) < 1e-3) f->x[0][i] = 0.5; /* away from the kinks */
        }
        compare(f, activation_loss, activation_gradients, "activation", 1e-9);
    }
}

static double softmax_loss(struct fd_case *f) {
    static nn_real y[MAX];
    (f->ref ? nn_softmax_forward_ref : nn_softmax_forward)(y, f->x[0], f->n, f->d);
    return weighed(y, f->c, f->n * f->d);
}
static void softmax_gradients(struct fd_case *f) {
    static nn_real y[MAX];
    nn_softmax_forward(y, f->x[0], f->n, f->d);
    (f->ref ? nn_softmax_backward_ref : nn_softmax_backward)(f->grads[0], f->c, y, f->n, f->d);
}
static void test_softmax(void **state) {
    (void)state;
    static const size_t shapes[][2] = {{3, 1}, {4, 4}, {5, 17}, {2, 42}};
    for (int i = 0; i < 8; i++) {
        struct fd_case *f = case_of((const size_t[5]){shapes[i / 2][0] * shapes[i / 2][1]});
        f->n = shapes[i / 2][0], f->d = shapes[i / 2][1], f->ref = i % 2;
        compare(f, softmax_loss, softmax_gradients, "softmax", 1e-8);
    }
}

static double dropout_loss(struct fd_case *f) {
    static nn_real y[MAX];
    nn_dropout(y, f->x[0], f->n, f->param, 99, 5);
    return weighed(y, f->c, f->n);
}
static void dropout_gradients(struct fd_case *f) {
    nn_dropout(f->grads[0], f->c, f->n, f->param, 99, 5); /* the same mask */
}
static void test_dropout(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct fd_case *f = case_of((const size_t[5]){300});
        f->n = 300, f->param = 0.3 * i;
        compare(f, dropout_loss, dropout_gradients, "dropout", 1e-9);
    }
}

/* ---- normalisation ---- */

static void batchnorm(struct fd_case *f, nn_real *y, nn_real *mean, nn_real *inv) {
    nn_real running[2][64] = {{0}};
    if (f->ref)
        nn_batchnorm_train_ref(y, mean, inv, running[0], running[1], f->x[0], f->x[1], f->x[2],
                               f->n, f->d);
    else
        nn_batchnorm_train(y, mean, inv, running[0], running[1], f->x[0], f->x[1], f->x[2], f->n,
                           f->d, scratch, NULL);
}
static double batchnorm_loss(struct fd_case *f) {
    static nn_real y[MAX];
    nn_real mean[64], inv[64];
    batchnorm(f, y, mean, inv);
    return weighed(y, f->c, f->n * f->d);
}
static void batchnorm_gradients(struct fd_case *f) {
    static nn_real y[MAX];
    nn_real mean[64], inv[64];
    batchnorm(f, y, mean, inv);
    if (f->ref)
        nn_batchnorm_backward_ref(f->grads[0], f->grads[1], f->grads[2], f->c, f->x[0], mean, inv,
                                  f->x[1], f->n, f->d);
    else
        nn_batchnorm_backward(f->grads[0], f->grads[1], f->grads[2], f->c, f->x[0], mean, inv,
                              f->x[1], f->n, f->d, scratch, NULL);
}
static void test_batchnorm(void **state) {
    (void)state;
    static const size_t shapes[][2] = {{7, 5}, {300, 3}, {20, 16}};
    for (int i = 0; i < 6; i++) {
        size_t n = shapes[i / 2][0], d = shapes[i / 2][1];
        struct fd_case *f = case_of((const size_t[5]){n * d, d, d});
        f->n = n, f->d = d, f->ref = i % 2;
        compare(f, batchnorm_loss, batchnorm_gradients, "batch norm", 1e-8);
    }
}

static double layernorm_loss(struct fd_case *f) {
    static nn_real y[MAX];
    nn_real mean[64], inv[64];
    nn_layernorm_forward(y, mean, inv, f->x[0], f->x[1], f->x[2], f->n, f->d);
    return weighed(y, f->c, f->n * f->d);
}
static void layernorm_gradients(struct fd_case *f) {
    static nn_real y[MAX];
    nn_real mean[64], inv[64];
    nn_layernorm_forward(y, mean, inv, f->x[0], f->x[1], f->x[2], f->n, f->d);
    nn_layernorm_backward(f->grads[0], f->grads[1], f->grads[2], f->c, f->x[0], mean, inv, f->x[1],
                          f->n, f->d);
}
static void test_layernorm(void **state) {
    (void)state;
    struct fd_case *f = case_of((const size_t[5]){6 * 19, 19, 19});
    f->n = 6, f->d = 19;
    compare(f, layernorm_loss, layernorm_gradients, "layer norm", 1e-8);
}

/* ---- attention: the loss weighs the output and the scores that are handed on ---- */

static void attention(struct fd_case *f, nn_real *y, nn_real *s, nn_real *p) {
    (f->ref ? nn_attention_forward_ref : nn_attention_forward)(y, s, p, f->x[0], f->x[1], f->x[2],
                                                               f->sizes[3] ? f->x[3] : NULL,
                                                               f->param, f->n, f->d, f->e);
}
static double attention_loss(struct fd_case *f) {
    static nn_real y[MAX], s[MAX], p[MAX];
    attention(f, y, s, p);
    return weighed(y, f->c, f->n * f->d * f->e) +
           (f->k ? weighed(s, f->c2, f->d * f->n * f->n) : 0);
}
static void attention_gradients(struct fd_case *f) {
    static nn_real y[MAX], s[MAX], p[MAX];
    const nn_real *after = f->k ? f->c2 : NULL;
    attention(f, y, s, p);
    if (f->ref)
        nn_attention_backward_ref(f->grads[0], f->grads[1], f->grads[2], f->grads[3], f->c, after,
                                  f->x[0], f->x[1], f->x[2], p, f->param, f->n, f->d, f->e);
    else
        nn_attention_backward(f->grads[0], f->grads[1], f->grads[2], f->grads[3], f->c, after,
                              f->x[0], f->x[1], f->x[2], p, f->param, f->n, f->d, f->e, scratch);
}
static void test_attention(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1}, {5, 2, 4}, {9, 3, 2}, {3, 1, 1200}};
    for (int i = 0; i < 16; i++) {
        size_t tokens = shapes[i / 4][0], heads = shapes[i / 4][1], dk = shapes[i / 4][2];
        size_t n = tokens * heads * dk, square = heads * tokens * tokens;
        struct fd_case *f = case_of((const size_t[5]){n, n, n, i & 1 ? square : 0});
        f->n = tokens, f->d = heads, f->e = dk, f->k = i & 1, f->ref = i & 2;
        f->param = 1 / sqrt((double)dk);
        compare(f, attention_loss, attention_gradients, "attention", 1e-7);
    }
}

/* ---- pooling, interpolation ---- */

static double pool_loss(struct fd_case *f) {
    static nn_real y[MAX];
    static uint32_t arg[MAX];
    if (f->kind)
        nn_avgpool_forward(y, f->x[0], f->n, f->d, f->k);
    else
        nn_maxpool_forward(y, arg, f->x[0], f->n, f->d, f->k);
    return weighed(y, f->c, f->n * nn_pool_size(f->d, f->k));
}
static void pool_gradients(struct fd_case *f) {
    static nn_real y[MAX];
    static uint32_t arg[MAX];
    nn_maxpool_forward(y, arg, f->x[0], f->n, f->d, f->k);
    if (f->kind)
        nn_avgpool_backward(f->grads[0], f->c, f->n, f->d, f->k);
    else
        nn_maxpool_backward(f->grads[0], f->c, arg, f->n, f->d, f->k);
}
static void test_pool(void **state) {
    (void)state;
    for (size_t k = 1; k < 9; k++)
        for (int kind = 0; kind < 2; kind++) {
            struct fd_case *f = case_of((const size_t[5]){4 * 23});
            f->n = 4, f->d = 23, f->k = k, f->kind = kind;
            compare(f, pool_loss, pool_gradients, "pool", 1e-9);
        }
}

static double interpolate_loss(struct fd_case *f) {
    static nn_real y[MAX];
    nn_interpolate_forward(y, f->x[0], f->n, f->k, f->d, (enum nn_interpolation)f->kind);
    return weighed(y, f->c, f->n * f->d);
}
static void interpolate_gradients(struct fd_case *f) {
    nn_interpolate_backward(f->grads[0], f->c, f->n, f->k, f->d, (enum nn_interpolation)f->kind);
}
static void test_interpolate(void **state) {
    (void)state;
    static const size_t shapes[][2] = {{1, 96}, {4, 96}, {7, 12}, {96, 96}, {2, 3}, {5, 130}};
    for (int i = 0; i < 18; i++) {
        struct fd_case *f = case_of((const size_t[5]){3 * shapes[i / 3][0]});
        f->n = 3, f->k = shapes[i / 3][0], f->d = shapes[i / 3][1], f->kind = i % 3;
        compare(f, interpolate_loss, interpolate_gradients, "interpolation", 1e-9);
    }
}

/* ---- losses ---- */

static double value_loss(struct fd_case *f) {
    return nn_loss_values(NULL, f->x[0], f->c, f->ref ? f->c2 : NULL, f->n, (enum nn_loss)f->kind,
                          f->param);
}
static void value_gradients(struct fd_case *f) {
    for (size_t i = 0; i < f->n; i++) f->c2[i] = fabs(f->c2[i]);
    nn_loss_values(f->grads[0], f->x[0], f->c, f->ref ? f->c2 : NULL, f->n, (enum nn_loss)f->kind,
                   f->param);
}
static void test_value_losses(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct fd_case *f = case_of((const size_t[5]){90});
        f->n = 90, f->kind = i / 2, f->ref = i % 2, f->param = f->kind == NN_HUBER ? 0.7 : 0.9;
        compare(f, value_loss, value_gradients, "loss", 1e-6);
    }
}

static const uint8_t labels[] = {0, 2, 1, 2, 0, 0, 1, 2};
static double entropy_loss(struct fd_case *f) {
    return nn_cross_entropy(NULL, f->x[0], labels, f->ref ? f->c2 : NULL, 8, 3);
}
static void entropy_gradients(struct fd_case *f) {
    for (size_t i = 0; i < 8; i++) f->c2[i] = fabs(f->c2[i]);
    nn_cross_entropy(f->grads[0], f->x[0], labels, f->ref ? f->c2 : NULL, 8, 3);
}
static void test_cross_entropy(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fd_case *f = case_of((const size_t[5]){24});
        f->ref = i;
        compare(f, entropy_loss, entropy_gradients, "cross-entropy", 1e-8);
    }
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 30;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    rng = rng_init(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_softmax),       cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_batchnorm),     cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_pool),
        cmocka_unit_test(test_interpolate),   cmocka_unit_test(test_value_losses),
        cmocka_unit_test(test_cross_entropy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
