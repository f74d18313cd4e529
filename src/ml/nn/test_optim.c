/* Adam against its formula in double and against hand values; schedules and early stopping. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/nn/optim.h"

enum { N = 1000 };

static void make(struct nn_params *p, size_t n) {
    struct err err;
    assert_int_equal(nn_params_init(p, 2, &err), ST_OK);
    assert_int_equal(nn_params_add(p, "w", true, 1, &n), ST_OK);
    assert_int_equal(nn_params_add(p, "buffer", false, 1, &n), ST_OK);
    assert_int_equal(nn_params_place(p, true, &err), ST_OK);
}

/* The formula as PyTorch's documentation states it, in double; also decoupled decay and clipping.
 */
static void twin(double *w, double *m, double *v, const nn_real *g, const struct nn_adam *a,
                 uint64_t step, double norm) {
    double clip = a->clip_norm > 0 ? fmin(1, a->clip_norm / (norm + 1e-6)) : 1;
    for (size_t i = 0; i < N; i++) {
        double grad = (double)g[i] * clip;
        m[i] = a->beta1 * m[i] + (1 - a->beta1) * grad;
        v[i] = a->beta2 * v[i] + (1 - a->beta2) * grad * grad;
        double mean = m[i] / (1 - pow(a->beta1, (double)step));
        double root = sqrt(v[i] / (1 - pow(a->beta2, (double)step)));
        w[i] = w[i] * (1 - a->lr * a->weight_decay) - a->lr * mean / (root + a->eps);
    }
}

static void adam_follows(double decay, double clip) {
    static double w[N], m[N], v[N];
    struct nn_params p;
    struct nn_adam a = nn_adam_defaults();
    struct rng r = rng_init(5);
    a.weight_decay = decay;
    a.clip_norm = clip;
    make(&p, N);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    for (size_t i = 0; i < N; i++) w[i] = (double)(p.value[i] = (nn_real)rng_normal(&r));
    p.tensors[1].value[3] = 7;
    for (uint64_t step = 1; step <= 200; step++) {
        double sum = 0;
        for (size_t i = 0; i < N; i++) {
            p.grad[i] = (nn_real)(rng_normal(&r) * pow(10, (double)(i % 7) - 5));
            sum += (double)p.grad[i] * (double)p.grad[i];
        }
        a.lr = step < 100 ? 1e-3 : 3e-4;
        a.beta1 = step < 50 ? 0.9 : 0.95;
        double norm = nn_adam_step(&a, &p, NULL);
        assert_true(fabs(norm / sqrt(sum) - 1) < 1e-6);
        twin(w, m, v, p.grad, &a, step, norm);
    }
    assert_int_equal(a.step, 200);
    for (size_t i = 0; i < N; i++)
        if (!(fabs((double)p.value[i] - w[i]) <= 2e-5))
            fail_msg("value %zu is %g, not %g", i, (double)p.value[i], w[i]);
    assert_true(p.tensors[1].value[3] == 7);
    nn_params_free(&p);
}

static void test_adam_follows_its_formula(void **state) {
    (void)state;
    adam_follows(0, 0);
    adam_follows(0.1, 0);
    adam_follows(0, 0.5);
}

/* By hand: the first step moves every value by lr against its gradient's sign, whatever its size.
 */
static void test_first_step(void **state) {
    (void)state;
    struct nn_params p;
    struct nn_adam a = nn_adam_defaults();
    make(&p, 3);
    p.grad[0] = 3, p.grad[1] = (nn_real)-1e-3, p.grad[2] = 0;
    assert_true(fabs(nn_adam_step(&a, &p, NULL) - sqrt(9 + 1e-6)) < 1e-6);
    assert_true(fabs((double)p.value[0] + 1e-3) < 1e-9 && fabs((double)p.value[1] - 1e-3) < 2e-8);
    assert_true(p.value[2] == 0);
    /* No number: nothing moves, the step does not count. */
    p.grad[1] = NAN;
    nn_real before = p.value[0];
    assert_true(isnan(nn_adam_step(&a, &p, NULL)) && p.value[0] == before && a.step == 1);
    p.grad[1] = INFINITY;
    assert_true(isnan(nn_adam_step(&a, &p, NULL)) && a.step == 1);
    nn_params_free(&p);
}

static void test_plain_schedules(void **state) {
    (void)state;
    struct nn_adam a = nn_adam_defaults();
    struct nn_schedule s = {.kind = NN_SCHEDULE_STEP, .lr = 0.8, .gamma = 0.5, .period = 10};
    const double steps[] = {0.8, 0.8, 0.4, 0.2};
    const uint64_t at[] = {0, 9, 10, 29};
    for (size_t i = 0; i < 4; i++) {
        nn_schedule_apply(&a, &s, at[i]);
        assert_true(a.lr == steps[i]);
    }
    s = (struct nn_schedule){.kind = NN_SCHEDULE_COSINE, .lr = 2, .total_steps = 8};
    for (uint64_t i = 0; i < 10; i++) {
        nn_schedule_apply(&a, &s, i);
        double want = i < 8 ? 1 + cos(3.14159265358979323846 * (double)i / 8) : 0;
        assert_true(fabs(a.lr - want) < 1e-15 && a.beta1 == 0.9);
    }
    s = (struct nn_schedule){.kind = NN_SCHEDULE_CONSTANT, .lr = 3};
    nn_schedule_apply(&a, &s, 5);
    assert_true(a.lr == 3);
}

static void test_stopping(void **state) {
    (void)state;
    struct nn_stopping s = nn_stopping_init(2);
    assert_true(nn_stopping_improves(&s, 3) && !nn_stopping_is_over(&s));
    assert_true(!nn_stopping_improves(&s, 4) && !nn_stopping_is_over(&s));
    assert_true(nn_stopping_improves(&s, 3) && !nn_stopping_is_over(&s));
    assert_true(!nn_stopping_improves(&s, NAN) && !nn_stopping_is_over(&s));
    assert_true(!nn_stopping_improves(&s, 5) && nn_stopping_is_over(&s));
    assert_int_equal(s.best_round, 2);
    assert_true(s.best == 3);
    s = nn_stopping_init(0);
    for (int i = 0; i < 50; i++) nn_stopping_improves(&s, i);
    assert_false(nn_stopping_is_over(&s));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam_follows_its_formula),
        cmocka_unit_test(test_first_step),
        cmocka_unit_test(test_plain_schedules),
        cmocka_unit_test(test_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
