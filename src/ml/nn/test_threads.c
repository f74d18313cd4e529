/* One, two and three threads give the same bits; several networks may train at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "ml/nn/optim.h"

/* Forward, backward and Adam of: linear, batch norm, GELU, dropout, linear; a few steps. Hash of
 * all that came out. */
struct net {
    struct nn_params p;
    size_t n, in, hidden, out;
    nn_real *x, *target, *a, *b, *c, *d, *y, *da, *db, *dy, *stats, *scratch;
};

static nn_real *values(size_t n) {
    nn_real *x = calloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static void net_make(struct net *t, size_t n, size_t in, size_t hidden, size_t out) {
    struct err err;
    struct rng r = rng_init(11);
    const size_t w1[] = {hidden, in}, w2[] = {out, hidden}, h[] = {hidden}, o[] = {out};
    *t = (struct net){.n = n, .in = in, .hidden = hidden, .out = out};
    assert_int_equal(nn_params_init(&t->p, 6, &err), ST_OK);
    assert_int_equal(nn_params_add(&t->p, "w1", true, 2, w1), ST_OK);
    assert_int_equal(nn_params_add(&t->p, "b1", true, 1, h), ST_OK);
    assert_int_equal(nn_params_add(&t->p, "scale", true, 1, h), ST_OK);
    assert_int_equal(nn_params_add(&t->p, "shift", true, 1, h), ST_OK);
    assert_int_equal(nn_params_add(&t->p, "w2", true, 2, w2), ST_OK);
    assert_int_equal(nn_params_add(&t->p, "b2", true, 1, o), ST_OK);
    assert_int_equal(nn_params_place(&t->p, true, &err), ST_OK);
    for (uint32_t i = 0; i < 6; i++)
        nn_init_uniform(t->p.tensors[i].value, t->p.tensors[i].count, 0.3, &r);
    t->x = values(n * in), t->target = values(n * out), t->y = values(n * out);
    t->a = values(n * hidden), t->b = values(n * hidden), t->c = values(n * hidden);
    t->d = values(n * hidden), t->da = values(n * hidden), t->db = values(n * hidden);
    t->dy = values(n * out), t->stats = values(4 * hidden);
    t->scratch =
        values(most(nn_batchnorm_scratch(n, hidden),
                    most(nn_linear_scratch(n, in, hidden), nn_linear_scratch(n, hidden, out))));
    for (size_t i = 0; i < n * in; i++) t->x[i] = (nn_real)rng_normal(&r);
    for (size_t i = 0; i < n * out; i++) t->target[i] = (nn_real)rng_normal(&r);
}

static void net_free(struct net *t) {
    nn_real *all[] = {t->x, t->target, t->y,  t->a,  t->b,     t->c,
                      t->d, t->da,     t->db, t->dy, t->stats, t->scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    nn_params_free(&t->p);
}

static uint64_t net_train(struct net *t, struct workers *w, int steps) {
    struct nn_tensor *p = t->p.tensors;
    struct nn_adam adam = nn_adam_defaults();
    uint64_t hash = 0;
    size_t h = t->hidden, nh = t->n * h;
    for (int s = 0; s < steps; s++) {
        memset(t->p.grad, 0, t->p.trainable_size * sizeof *t->p.grad);
        nn_linear_forward(t->a, t->x, p[0].value, p[1].value, t->n, t->in, h, w);
        nn_batchnorm_train(t->b, t->stats, t->stats + h, t->stats + 2 * h, t->stats + 3 * h, t->a,
                           p[2].value, p[3].value, t->n, h, t->scratch, w);
        nn_gelu_forward(t->c, t->b, nh);
        nn_dropout(t->d, t->c, nh, (nn_real)0.2, (uint64_t)s, 0);
        nn_linear_forward(t->y, t->d, p[4].value, p[5].value, t->n, h, t->out, w);
        double loss = nn_loss_values(t->dy, t->y, t->target, NULL, t->n * t->out, NN_MSE, 0);
        nn_linear_backward(t->da, p[4].grad, p[5].grad, t->dy, t->d, p[4].value, t->n, h, t->out,
                           t->scratch, w);
        nn_dropout(t->da, t->da, nh, (nn_real)0.2, (uint64_t)s, 0);
        nn_gelu_backward(t->da, t->da, t->b, nh);
        nn_batchnorm_backward(t->db, p[2].grad, p[3].grad, t->da, t->a, t->stats, t->stats + h,
                              p[2].value, t->n, h, t->scratch, w);
        nn_linear_backward(NULL, p[0].grad, p[1].grad, t->db, t->x, p[0].value, t->n, t->in, h,
                           t->scratch, w);
        hash = hash_chain(hash, &loss, sizeof loss);
        nn_adam_step(&adam, &t->p, w);
    }
    return hash_chain(hash, t->p.value, t->p.size * sizeof *t->p.value);
}

static uint64_t trained(uint32_t threads, size_t n, size_t in, size_t hidden, size_t out) {
    struct workers *w = NULL;
    struct err err;
    struct net t;
    assert_int_equal(workers_create(&w, threads, &err), ST_OK);
    net_make(&t, n, in, hidden, out);
    uint64_t hash = net_train(&t, w, 4);
    net_free(&t);
    workers_destroy(w);
    return hash;
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    static const size_t shapes[][4] = {{5000, 16, 24, 8}, {300, 130, 200, 70}, {1500, 33, 65, 3}};
    for (size_t i = 0; i < 3; i++) {
        const size_t *s = shapes[i];
        uint64_t one = trained(1, s[0], s[1], s[2], s[3]);
        for (uint32_t threads = 2; threads <= 3; threads++)
            for (int again = 0; again < 3; again++)
                assert_int_equal(trained(threads, s[0], s[1], s[2], s[3]), one);
    }
}

static void *train_one(void *out) {
    *(uint64_t *)out = trained(2, 900, 70, 90, 40);
    return NULL;
}

static void test_networks_may_train_at_once(void **state) {
    (void)state;
    enum { AT_ONCE = 6 };
    uint64_t want, have[AT_ONCE];
    pthread_t threads[AT_ONCE];
    train_one(&want);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < AT_ONCE; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, train_one, &have[i]), 0);
        for (int i = 0; i < AT_ONCE; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < AT_ONCE; i++) assert_int_equal(have[i], want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_networks_may_train_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
