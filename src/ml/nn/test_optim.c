/* Adam against its formula in double and against hand values; schedules against the reference's per-step values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "ml/nn/optim.h"

enum { N = 1000 };

static void make(struct nn_params *p, size_t n) {
    struct err err;
    assert_int_equal(nn_params_init(p, 2, &err), ST_OK);
    assert_int_equal(nn_params_add(p, "w", true, 1, &n), ST_OK);
    assert_int_equal(nn_params_add(p, "buffer", false, 1, &n), ST_OK);
    assert_int_equal(nn_params_place(p, true, &err), ST_OK);
}

/* The formula as PyTorch's documentation states it, in double; also decoupled decay and clipping. */
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

/* By hand: the first step moves every value by lr against its gradient's sign, whatever its size. */
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

static void run_schedule(const json_t *run) {
    const char *kind = json_string_value(json_object_get(run, "lradj"));
    const json_t *lrs = json_object_get(run, "lr_used_at_step");
    const json_t *betas = json_object_get(run, "beta1_used_at_step");
    json_int_t steps = json_integer_value(json_object_get(run, "steps_per_epoch"));
    json_int_t epochs = json_integer_value(json_object_get(run, "epochs"));
    struct nn_schedule s = {.kind = strcmp(kind, "TST") == 0     ? NN_SCHEDULE_ONECYCLE
                                    : strcmp(kind, "type3") == 0 ? NN_SCHEDULE_TYPE3
                                                                 : NN_SCHEDULE_SCRIPT_CONSTANT,
                            .lr = json_number_value(json_object_get(run, "learning_rate")),
                            .pct_start = json_number_value(json_object_get(run, "pct_start")),
                            .total_steps = (uint64_t)(steps * epochs),
                            .steps_per_epoch = (uint64_t)steps};
    assert_int_equal(json_array_size(lrs), steps * epochs);
    for (size_t i = 0; i < json_array_size(lrs); i++) {
        struct nn_adam a = nn_adam_defaults();
        nn_schedule_apply(&a, &s, i);
        double lr = json_number_value(json_array_get(lrs, i));
        double beta = json_number_value(json_array_get(betas, i));
        /* Both are one formula in double; the reference's own lr/25 carries 5e-16. */
        if (!(fabs(a.lr / lr - 1) < 1e-11 && fabs(a.beta1 - beta) < 1e-14))
            fail_msg("%s step %zu: lr %.17g, not %.17g; beta1 %.17g, not %.17g", kind, i, a.lr, lr,
                     a.beta1, beta);
    }
}

static void test_reference_schedules(void **state) {
    (void)state;
    const char *folder = getenv("QUANTUM_REFERENCE");
    if (!folder) {
        print_message("QUANTUM_REFERENCE is not set: no reference schedules\n");
        skip();
    }
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof path, "%s/golden-nn/patchtst/lr_schedules.json", folder);
    json_t *root = json_load_file(path, 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    const json_t *runs = json_object_get(root, "runs");
    assert_int_equal(json_array_size(runs), 4);
    for (size_t i = 0; i < json_array_size(runs); i++) run_schedule(json_array_get(runs, i));
    json_decref(root);
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
        cmocka_unit_test(test_reference_schedules),
        cmocka_unit_test(test_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
