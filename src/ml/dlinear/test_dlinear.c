/* Names, bits alone and in batches and by threads, what is not finite, what is refused. Numbers:
 * test_fd_dlinear.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "ml/dlinear/dlinear.h"
#include "ml/nn/optim.h"

enum { ROWS = 70, LENGTH = 30, HORIZON = 6, CHANNELS = 2 };
static const struct dlinear_config config = {LENGTH, HORIZON, CHANNELS, 25, false};
static nn_real x[ROWS * LENGTH * CHANNELS], target[ROWS * HORIZON * CHANNELS];

static struct network *made(const struct dlinear_config *c, bool training, struct workers *w) {
    struct network *net;
    struct err err = {0};
    struct rng rng = rng_init(2);
    assert_int_equal(dlinear_create(&net, c, ROWS, training, 3, w, &err), ST_OK);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (nn_real)rng_normal(&rng);
    for (size_t i = 0; i < sizeof target / sizeof *target; i++)
        target[i] = (nn_real)rng_normal(&rng);
    return net;
}

static void test_names(void **state) {
    (void)state;
    struct dlinear_config c = config;
    static const char *const shared[] = {"Linear_Seasonal.weight", "Linear_Seasonal.bias",
                                         "Linear_Trend.weight", "Linear_Trend.bias"};
    static const char *const own[] = {"Linear_Seasonal.0.weight", "Linear_Seasonal.0.bias",
                                      "Linear_Seasonal.1.weight", "Linear_Seasonal.1.bias",
                                      "Linear_Trend.0.weight",    "Linear_Trend.0.bias",
                                      "Linear_Trend.1.weight",    "Linear_Trend.1.bias"};
    for (int individual = 0; individual < 2; individual++) {
        c.individual = individual == 1;
        struct network *net = made(&c, false, NULL);
        assert_int_equal(net->params.count, individual ? 8 : 4);
        for (uint32_t i = 0; i < net->params.count; i++)
            assert_string_equal(net->params.tensors[i].name, individual ? own[i] : shared[i]);
        net->class_of->destroy(net);
    }
}

static void test_bits(void **state) {
    (void)state;
    struct workers *two;
    struct err err;
    nn_real y[ROWS * HORIZON * CHANNELS], other[ROWS * HORIZON * CHANNELS];
    assert_int_equal(workers_create(&two, 2, &err), ST_OK);
    struct network *net = made(&config, false, NULL), *threaded = made(&config, true, two);
    struct nn_batch batch = {.n = ROWS, .x = x};
    net->class_of->predict(net, y, &batch);
    threaded->class_of->predict(threaded, other, &batch);
    assert_memory_equal(y, other, sizeof y);
    for (size_t r = 0; r < ROWS; r++) {
        struct nn_batch one = {.n = 1, .x = x + r * LENGTH * CHANNELS};
        net->class_of->predict(net, other + r * HORIZON * CHANNELS, &one);
    }
    assert_memory_equal(y, other, sizeof y);
    net->class_of->destroy(net);
    threaded->class_of->destroy(threaded);
    workers_destroy(two);
}

static uint64_t trained(struct workers *w) {
    struct network *net = made(&config, true, w);
    struct nn_adam adam = nn_adam_defaults();
    struct nn_batch batch = {.n = ROWS, .x = x, .target = target};
    for (uint64_t s = 0; s < 5; s++) {
        memset(net->params.grad, 0, net->params.trainable_size * sizeof(nn_real));
        net->class_of->step(net, NULL, &batch, &(struct nn_loss_choice){.kind = NN_MAE}, s);
        nn_adam_step(&adam, &net->params, w);
    }
    uint64_t hash = hash_chain(0, net->params.value, net->params.size * sizeof(nn_real));
    net->class_of->destroy(net);
    return hash;
}

static void test_training_bits(void **state) {
    (void)state;
    struct workers *two;
    struct err err;
    assert_int_equal(workers_create(&two, 2, &err), ST_OK);
    assert_int_equal(trained(two), trained(NULL));
    workers_destroy(two);
}

static void test_not_finite(void **state) {
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int kind = 0; kind < 3; kind++) {
        struct network *net = made(&config, false, NULL);
        nn_real y[3 * HORIZON * CHANNELS];
        struct nn_batch batch = {.n = 3, .x = x};
        x[(LENGTH + 29) * CHANNELS + 1] = (nn_real)bad[kind]; /* window 1, channel 1 */
        net->class_of->predict(net, y, &batch);
        for (size_t i = 0; i < 3 * HORIZON * CHANNELS; i++)
            assert_int_equal(isnan(y[i]), i / (HORIZON * CHANNELS) == 1 && i % CHANNELS == 1);
        net->class_of->destroy(net);
    }
}

static void refuse(struct dlinear_config c, size_t batch_max, const char *field) {
    struct network *net;
    struct err err = {0};
    assert_int_equal(dlinear_create(&net, &c, batch_max, true, 1, NULL, &err), ST_RANGE);
    assert_null(net);
    if (!strstr(err.text, field)) fail_msg("'%s' does not name %s", err.text, field);
}

static void test_refused(void **state) {
    (void)state;
    refuse(config, 0, "batch");
    refuse((struct dlinear_config){0, 6, 2, 25, false}, 4, "seq_len");
    refuse((struct dlinear_config){30, 0, 2, 25, false}, 4, "pred_len");
    refuse((struct dlinear_config){30, 6, 0, 25, false}, 4, "channels");
    refuse((struct dlinear_config){30, 6, 2, 24, false}, 4, "kernel_size");
    refuse((struct dlinear_config){30, 6, 1000, 25, true}, 4, "individual");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_bits),
                                       cmocka_unit_test(test_training_bits),
                                       cmocka_unit_test(test_not_finite),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
