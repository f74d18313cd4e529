/* Gradients of whole networks in double against central differences of their loss: every option,
 * every parameter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nhits/nhits_cases.h"

enum { ROWS = 5 };

static double loss_of(struct network *net, const struct nn_batch *batch,
                      const struct nn_loss_choice *loss) {
    return net->class_of->step(net, NULL, batch, loss, 77);
}

/* Steps of 1e-6: 1e-12 from the third derivative, 1e-10 from rounding; kinks of max and ReLU are
 * further away. */
static void compare(const struct nhits_case *k, const struct nn_loss_choice *loss) {
    const double step = 1e-6, bound = 2e-7;
    struct network *net;
    struct nn_batch all;
    struct err err = {0};
    assert_int_equal(nhits_create(&net, &k->config, ROWS, true, 3, NULL, &err), ST_OK);
    nhits_case_shake(net, 4);
    nhits_case_batch(&all, k, ROWS, 5);
    struct nn_batch batch = nhits_case_view(&all, k);
    size_t size = net->params.trainable_size;
    nn_real *grad = malloc(size * sizeof *grad);
    assert_non_null(grad);
    loss_of(net, &batch, loss);
    memcpy(grad, net->params.grad, size * sizeof *grad);
    for (uint32_t i = 0; i < net->params.count; i++) {
        struct nn_tensor *t = &net->params.tensors[i];
        if (!t->trainable) continue;
        const nn_real *have = grad + (t->grad - net->params.grad);
        double top = 1e-2;
        for (size_t j = 0; j < t->count; j++) top = fmax(top, fabs(have[j]));
        for (size_t j = 0; j < t->count; j++) {
            nn_real was = t->value[j];
            t->value[j] = was + step;
            double up = loss_of(net, &batch, loss);
            t->value[j] = was - step;
            double down = loss_of(net, &batch, loss);
            t->value[j] = was;
            double want = (up - down) / (2 * step);
            if (!(fabs(have[j] - want) <= bound * top))
                fail_msg("%s: %s[%zu]: gradient %.12g, differences say %.12g", k->name, t->name, j,
                         have[j], want);
        }
    }
    free(grad);
    nhits_case_free(&all);
    net->class_of->destroy(net);
}

static void test_mse(void **state) {
    (void)state;
    for (int i = 0; i < NHITS_CASES; i++)
        compare(&nhits_cases[i], &(struct nn_loss_choice){.kind = NN_MSE});
}

static void test_huber(void **state) {
    (void)state;
    for (int i = 0; i < NHITS_CASES; i += 3)
        compare(&nhits_cases[i], &(struct nn_loss_choice){.kind = NN_HUBER, .delta = 0.5});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mse), cmocka_unit_test(test_huber)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
