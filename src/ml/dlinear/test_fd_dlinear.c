/* Gradients in double against central differences of the loss, and forecasts against a plain twin.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/dlinear/dlinear.h"

enum { ROWS = 5, LENGTH = 9, HORIZON = 4, CHANNELS = 3 };

static const struct dlinear_config configs[] = {
    {LENGTH, HORIZON, CHANNELS, 5, false},
    {LENGTH, HORIZON, CHANNELS, 5, true},
    {LENGTH, HORIZON, CHANNELS, 25, false}, /* an average longer than the window */
};
enum { CONFIGS = sizeof configs / sizeof *configs };

static nn_real x[ROWS * LENGTH * CHANNELS], target[ROWS * HORIZON * CHANNELS], weights[ROWS];
static const struct nn_batch batch = {.n = ROWS, .x = x, .target = target, .weights = weights};

static struct network *made(const struct dlinear_config *c) {
    struct network *net;
    struct err err = {0};
    struct rng rng = rng_init(2);
    assert_int_equal(dlinear_create(&net, c, ROWS, true, 3, NULL, &err), ST_OK);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (nn_real)rng_normal(&rng);
    for (size_t i = 0; i < sizeof target / sizeof *target; i++)
        target[i] = (nn_real)rng_normal(&rng);
    for (size_t i = 0; i < ROWS; i++) weights[i] = (nn_real)(0.5 + rng_f64(&rng));
    return net;
}

static double loss_of(struct network *net) {
    return net->class_of->step(net, NULL, &batch, &(struct nn_loss_choice){.kind = NN_MSE}, 1);
}

static void test_gradients(void **state) {
    (void)state;
    for (int i = 0; i < CONFIGS; i++) {
        struct network *net = made(&configs[i]);
        size_t size = net->params.trainable_size;
        nn_real *grad = malloc(size * sizeof *grad);
        assert_non_null(grad);
        loss_of(net);
        memcpy(grad, net->params.grad, size * sizeof *grad);
        for (size_t j = 0; j < size; j++) {
            nn_real was = net->params.value[j];
            net->params.value[j] = was + 1e-5;
            double up = loss_of(net);
            net->params.value[j] = was - 1e-5;
            double down = loss_of(net);
            net->params.value[j] = was;
            assert_true(fabs((up - down) / 2e-5 - grad[j]) < 1e-8);
        }
        free(grad);
        net->class_of->destroy(net);
    }
}

/* The window's channel with its ends repeated, averaged; what is left; a sum of products each. */
static double twin(const struct network *net, const struct dlinear_config *c, size_t row,
                   size_t channel, size_t step) {
    double padded[LENGTH + 24] = {0};
    long half = (c->kernel_size - 1) / 2;
    const char *const plain[] = {"Linear_Seasonal", "Linear_Trend"};
    double sum = 0;
    for (long i = -half; i < LENGTH + half; i++) {
        long at = i < 0 ? 0 : i >= LENGTH ? LENGTH - 1 : i;
        padded[i + half] = x[(row * LENGTH + (size_t)at) * CHANNELS + channel];
    }
    for (int m = 0; m < 2; m++) {
        char name[64];
        int n = snprintf(name, sizeof name, "%s", plain[m]);
        if (c->individual) n += snprintf(name + n, sizeof name - (size_t)n, ".%zu", channel);
        snprintf(name + n, sizeof name - (size_t)n, ".weight");
        const nn_real *w = nn_params_find((struct nn_params *)&net->params, name)->value;
        snprintf(name + n, sizeof name - (size_t)n, ".bias");
        sum += nn_params_find((struct nn_params *)&net->params, name)->value[step];
        for (size_t i = 0; i < LENGTH; i++) {
            double average = 0;
            for (size_t k = 0; k < c->kernel_size; k++)
                average += padded[i + k] / (double)c->kernel_size;
            double value = m == 1 ? average : padded[i + (size_t)half] - average;
            sum += w[step * LENGTH + i] * value;
        }
    }
    return sum;
}

static void test_twin(void **state) {
    (void)state;
    for (int i = 0; i < CONFIGS; i++) {
        struct network *net = made(&configs[i]);
        nn_real y[ROWS * HORIZON * CHANNELS], trained[ROWS * HORIZON * CHANNELS];
        net->class_of->predict(net, y, &batch);
        net->class_of->step(net, trained, &batch, &(struct nn_loss_choice){.kind = NN_MSE}, 1);
        for (size_t j = 0; j < ROWS * HORIZON * CHANNELS; j++) {
            double want = twin(net, &configs[i], j / (HORIZON * CHANNELS), j % CHANNELS,
                               j / CHANNELS % HORIZON);
            assert_true(fabs(y[j] - want) < 1e-12 && fabs(trained[j] - want) < 1e-12);
        }
        net->class_of->destroy(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
