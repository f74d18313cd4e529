/* The reference folder: its weight files load, its learning rates are ours at every step. */
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

static const char *folder;

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

static void test_reference_files(void **state) {
    (void)state;
    static const char *const files[] = {"patchtst/tiny_a/weights", "patchtst/paper_etth_b/train",
                                        "nhits/default_b/weights", "nhits/tiny_a/io"};
    for (size_t i = 0; i < 4; i++) {
        char path[4096];
        struct safetensors *s;
        struct err err = {0};
        snprintf(path, sizeof path, "%s/golden-nn/%s.safetensors", folder, files[i]);
        if (safetensors_open(&s, path, &err) != ST_OK) fail_msg("%s", err.text);
        assert_true(safetensors_count(s) >= 4);
        for (uint32_t k = 0; k < safetensors_count(s); k++) {
            const struct safetensor *t = safetensors_at(s, k);
            double *wide = malloc((t->count + 1) * sizeof *wide);
            assert_int_equal(safetensor_f64(wide, t), ST_OK);
            for (size_t j = 0; j < t->count; j++) assert_true(isfinite(wide[j]));
            free(wide);
            assert_ptr_equal(safetensors_find(s, t->name), t);
        }
        safetensors_close(s);
    }
}

int main(void) {
    folder = getenv("QUANTUM_REFERENCE");
    if (!folder) {
        puts("QUANTUM_REFERENCE is not set: no reference files to compare with");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_schedules),
        cmocka_unit_test(test_reference_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
