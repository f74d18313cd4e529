/* Gradients of the whole network in double against central differences of its loss, for every combination of options. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ml/patchtst/patchtst_cases.h"

#ifndef NN_DOUBLE
#error "this test is of the double build"
#endif

enum { WINDOWS = 3, VALUES = 512, ENTRIES = 8 };

struct fixture {
    struct network *net;
    struct nn_batch batch;
    struct nn_loss_choice loss;
    nn_real x[VALUES], target[VALUES], weights[WINDOWS];
};

static double loss_of(struct fixture *f) {
    memset(f->net->params.grad, 0, f->net->params.trainable_size * sizeof(nn_real));
    return f->net->class_of->step(f->net, NULL, &f->batch, &f->loss, 7);
}

static double slope_of(struct fixture *f, nn_real *at, double step) {
    nn_real was = *at;
    *at = was + step;
    double up = loss_of(f);
    *at = was - step;
    double down = loss_of(f);
    *at = was;
    return (up - down) / (2 * step);
}

/* A difference across a corner of ReLU is none; nearer, the corner is passed by. */
static bool agrees(struct fixture *f, nn_real *at, double gradient, double scale) {
    static const double steps[] = {1e-5, 1e-6, 1e-7};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (fabs(slope_of(f, at, steps[i]) - gradient) <= (1e-7 + 1e-13 / steps[i]) * scale)
            return true;
    return false;
}

static double largest(const struct nn_tensor *t) {
    double most = 0;
    for (size_t i = 0; i < t->count; i++) most = fmax(most, fabs(t->grad[i]));
    return most;
}

static void check_entry(struct fixture *f, struct nn_tensor *t, const nn_real *grads, size_t at,
                        uint32_t code) {
    double gradient = grads[(t->grad - f->net->params.grad) + (ptrdiff_t)at];
    if (!agrees(f, &t->value[at], gradient, 1 + largest(t)))
        fail_msg("case %u, %s[%zu]: gradient %.12g, differences %.12g", code, t->name, at, gradient,
                 slope_of(f, &t->value[at], 1e-6));
}

static void check_case(uint32_t code, struct rng *rng, uint32_t entries) {
    static struct fixture f;
    static nn_real grads[1 << 14];
    struct patchtst_config c = case_config(code, rng);
    struct err err = {0};
    c.dropout = rng_below(rng, 2) ? 0.3 : 0;
    c.head_dropout = rng_below(rng, 2) ? 0.2 : 0;
    assert_int_equal(patchtst_create(&f.net, &c, WINDOWS, true, rng_u64(rng), NULL, &err), ST_OK);
    case_perturb(f.net, rng);
    for (size_t i = 0; i < VALUES; i++) {
        f.x[i] = rng_normal(rng);
        f.target[i] = rng_normal(rng);
    }
    for (size_t i = 0; i < WINDOWS; i++) f.weights[i] = 0.5 + rng_f64(rng);
    f.batch = (struct nn_batch){.n = WINDOWS, .x = f.x, .target = f.target};
    if (rng_below(rng, 2)) f.batch.weights = f.weights;
    f.loss = (struct nn_loss_choice){.kind = NN_MSE};
    struct nn_params *p = &f.net->params;
    loss_of(&f);
    assert_true(p->trainable_size <= sizeof grads / sizeof *grads);
    memcpy(grads, p->grad, p->trainable_size * sizeof *grads);
    for (uint32_t i = 0; i < p->count && entries == 0; i++)
        if (p->tensors[i].trainable)
            check_entry(&f, &p->tensors[i], grads, rng_below(rng, p->tensors[i].count), code);
    for (uint32_t i = 0; i < entries;) {
        struct nn_tensor *t = &p->tensors[rng_below(rng, p->count)];
        if (!t->trainable) continue;
        check_entry(&f, t, grads, rng_below(rng, t->count), code);
        i++;
    }
    f.net->class_of->destroy(f.net);
}

static void test_every_combination(void **state) {
    (void)state;
    struct rng rng = rng_init(case_seed());
    for (uint32_t code = 0; code < CASES; code++) check_case(code, &rng, ENTRIES);
}

static void test_every_parameter(void **state) {
    (void)state;
    struct rng rng = rng_init(case_seed() + 1);
    for (uint32_t i = 0; i < 40; i++) check_case((uint32_t)rng_below(&rng, CASES), &rng, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_every_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
