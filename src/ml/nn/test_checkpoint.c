/* A run that is cut and goes on from its checkpoint ends with the same bits; damage is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ml/nn/checkpoint.h"

static char path[] = "test_nn_checkpoint_XXXXXX";

static void make(struct nn_params *p, size_t width) {
    struct err err;
    const size_t shape[] = {width, 7};
    assert_int_equal(nn_params_init(p, 2, &err), ST_OK);
    assert_int_equal(nn_params_add(p, "w", true, 2, shape), ST_OK);
    assert_int_equal(nn_params_add(p, "running", false, 1, shape), ST_OK);
    assert_int_equal(nn_params_place(p, true, &err), ST_OK);
}

/* A gradient that depends on the values and on the run's random numbers. */
static void train(struct nn_params *p, struct nn_adam *a, struct nn_checkpoint *c, int steps) {
    for (int s = 0; s < steps; s++) {
        for (size_t i = 0; i < p->tensors[0].count; i++)
            p->grad[i] = p->value[i] - (nn_real)rng_normal(&c->rng);
        p->tensors[1].value[0] += (nn_real)0.125;
        a->lr *= 0.99;
        nn_adam_step(a, p, NULL);
        c->step++;
    }
}

static void test_goes_on_with_the_same_bits(void **state) {
    (void)state;
    struct nn_params p, q;
    struct err err = {0};
    struct nn_adam a = nn_adam_defaults(), b = {0};
    struct nn_checkpoint c = {.seed = 9,
                              .rng = rng_init(9),
                              .best_loss = 0.5,
                              .epoch = 3,
                              .blob = "order of the windows",
                              .blob_size = 21},
                         d = {0};
    make(&p, 5);
    make(&q, 5);
    train(&p, &a, &c, 20);
    assert_int_equal(nn_checkpoint_save(path, &p, &a, &c, &err), ST_OK);
    assert_int_equal(nn_checkpoint_load(path, &q, &b, &d, &err), ST_OK);
    assert_string_equal(d.blob, "order of the windows");
    assert_true(d.best_loss == 0.5 && d.epoch == 3 && d.seed == 9 && d.step == 20 && b.step == 20);
    train(&p, &a, &c, 30);
    train(&q, &b, &d, 30);
    assert_memory_equal(p.value, q.value, p.size * sizeof *p.value);
    assert_memory_equal(p.v, q.v, p.trainable_size * sizeof *p.v);
    assert_memory_equal(&a, &b, sizeof a);
    nn_checkpoint_free(&d);
    nn_params_free(&p);
    nn_params_free(&q);
}

static void test_damage_is_found(void **state) {
    (void)state;
    struct nn_params p, other;
    struct err err = {0};
    struct nn_adam a = nn_adam_defaults();
    struct nn_checkpoint c = {.blob = "", .blob_size = 0}, d = {0};
    make(&p, 3);
    make(&other, 4);
    assert_int_equal(nn_checkpoint_save(path, &p, &a, &c, &err), ST_OK);
    assert_int_equal(nn_checkpoint_load(path, &other, &a, &d, &err), ST_MISMATCH);
    static char bytes[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    p.value[0] = 42;
    for (size_t i = 0; i <= size; i += i % 7 ? 5 : 1) {
        /* One byte changed, then the file cut there, then one byte too many. */
        for (int kind = 0; kind < 2; kind++) {
            if (kind == 0 && i < size) bytes[i] ^= 0x10;
            f = fopen(path, "wb");
            assert_non_null(f);
            size_t length = kind == 0 ? size + (i == size) : i < size ? i : size + 1;
            assert_int_equal(fwrite(bytes, 1, length, f), length);
            fclose(f);
            if (kind == 0 && i < size) bytes[i] ^= 0x10;
            enum status st = nn_checkpoint_load(path, &p, &a, &d, &err);
            assert_true(st == ST_CORRUPT || st == ST_MISMATCH);
            assert_true(p.value[0] == 42);
        }
    }
    unlink(path);
    assert_int_equal(nn_checkpoint_load(path, &p, &a, &d, &err), ST_NOT_FOUND);
    nn_params_free(&p);
    nn_params_free(&other);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on_with_the_same_bits),
        cmocka_unit_test(test_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
