/* Forecasts against a plain twin that reads parameters by their official names; bits alone, in
 * batches, by threads; files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "ml/nhits/nhits_cases.h"
#include "ml/nn/optim.h"

enum { MAX = 2048 };

/* ---- the twin: one window, double, everything said once more ---- */

struct twin {
    const struct nhits_case *k;
    struct nn_params *p;
    const struct nn_batch *batch;
    size_t window;
};

static const struct nn_tensor *named(const struct twin *t, size_t block, const char *what) {
    char name[NN_NAME_SIZE];
    snprintf(name, sizeof name, "blocks.%zu.%s", block, what);
    const struct nn_tensor *found = nn_params_find(t->p, name);
    if (!found) fail_msg("no tensor %s", name);
    return found;
}

static const struct nn_tensor *module(const struct twin *t, size_t block, size_t number,
                                      const char *what) {
    char name[64];
    snprintf(name, sizeof name, "layers.%zu.%s", number, what);
    return named(t, block, name);
}

static size_t linear(double *y, const double *x, size_t in, const struct nn_tensor *w,
                     const struct nn_tensor *b) {
    assert_int_equal(w->shape[1], in);
    for (size_t o = 0; o < w->shape[0]; o++) {
        y[o] = (double)b->value[o];
        for (size_t i = 0; i < in; i++) y[o] += (double)w->value[o * in + i] * x[i];
    }
    return w->shape[0];
}

static double activated(double x, enum nn_activation kind, double slope) {
    switch (kind) {
    case NN_RELU:
        return fmax(x, 0);
    case NN_SOFTPLUS:
        return log1p(exp(x));
    case NN_TANH:
        return tanh(x);
    case NN_SELU:
        return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case NN_LEAKY_RELU:
        return x > 0 ? x : 0.01 * x;
    case NN_PRELU:
        return x > 0 ? x : slope * x;
    case NN_SIGMOID:
        return 1 / (1 + exp(-x));
    case NN_IDENTITY:
    case NN_GELU:
        break;
    }
    fail();
    return 0;
}

/* Pools from[0], from[step], ... (length of them) to to[0], to[out_step], ...; returns how many. */
static size_t pooled(double *to, size_t out_step, const double *from, size_t step, size_t length,
                     size_t k, bool average) {
    size_t count = 0;
    for (size_t i = 0; i < length; i += k, count++) {
        double sum = 0, top = -INFINITY, n = 0;
        for (size_t j = i; j < length && j < i + k; j++, n++) {
            sum += from[j * step];
            top = fmax(top, from[j * step]);
        }
        to[count * out_step] = average ? sum / n : top;
    }
    return count;
}

static size_t library_inputs(const struct twin *t, double *x, size_t at, size_t k) {
    const struct nhits_config *c = &t->k->config;
    bool average = c->pooling == NHITS_AVERAGE_POOLING;
    static double values[MAX];
    const size_t lengths[2] = {c->input_size, c->input_size + c->h},
                 channels[2] = {c->hist_exog, c->futr_exog};
    const nn_real *from[2] = {t->batch->hist_exog, t->batch->futr_exog};
    for (int kind = 0; kind < 2; kind++) {
        size_t size = lengths[kind] * channels[kind], count = 0;
        for (size_t i = 0; i < size; i++) values[i] = (double)from[kind][t->window * size + i];
        for (size_t ch = 0; ch < channels[kind]; ch++)
            count = pooled(x + at + ch, channels[kind], values + ch, channels[kind], lengths[kind],
                           k, average);
        at += count * channels[kind];
    }
    for (size_t i = 0; i < c->stat_exog; i++)
        x[at++] = (double)t->batch->stat_exog[t->window * c->stat_exog + i];
    return at;
}

static size_t paper_inputs(const struct twin *t, double *x, size_t at, size_t block) {
    const struct nhits_config *c = &t->k->config;
    size_t whole = c->input_size + c->h;
    for (int future = 0; future < 2; future++)
        for (size_t ch = 0; ch < c->futr_exog; ch++)
            for (size_t s = 0; s < (future ? c->h : c->input_size); s++) {
                size_t step = future ? c->input_size + s : c->input_size - 1 - s;
                x[at++] =
                    (double)t->batch->futr_exog[(t->window * whole + step) * c->futr_exog + ch];
            }
    if (!c->stat_exog || !c->stat_hidden) return at;
    double stat[16], encoded[16];
    for (size_t i = 0; i < c->stat_exog; i++)
        stat[i] = (double)t->batch->stat_exog[t->window * c->stat_exog + i];
    size_t count =
        linear(encoded, stat, c->stat_exog, named(t, block, "static_encoder.encoder.1.weight"),
               named(t, block, "static_encoder.encoder.1.bias"));
    for (size_t i = 0; i < count; i++) x[at++] = fmax(encoded[i], 0);
    return at;
}

/* Modules of the Sequential in order, x in place; returns their count of values. */
static size_t mlp(const struct twin *t, double *x, size_t in, size_t block,
                  const struct nhits_stack *stack) {
    const struct nhits_config *c = &t->k->config;
    static double y[MAX];
    size_t number = 0, hidden = c->impl == NHITS_PAPER ? stack->layers : c->mlp_count + 1;
    for (size_t l = 0; l <= hidden; l++) {
        in = linear(y, x, in, module(t, block, number, "weight"), module(t, block, number, "bias"));
        memcpy(x, y, in * sizeof *x);
        number++;
        if (l == hidden || (c->impl == NHITS_NEURALFORECAST && l == 0)) continue;
        double slope =
            c->activation == NN_PRELU ? (double)module(t, block, number, "weight")->value[0] : 0;
        for (size_t i = 0; i < in; i++) x[i] = activated(x[i], c->activation, slope);
        number++;
        bool norm = c->batch_normalization && (block == 0 || (c->shared_weights && block == 1));
        for (size_t i = 0; norm && i < in; i++)
            x[i] = (x[i] - (double)module(t, block, number, "running_mean")->value[i]) /
                       sqrt((double)module(t, block, number, "running_var")->value[i] + 1e-5) *
                       (double)module(t, block, number, "weight")->value[i] +
                   (double)module(t, block, number, "bias")->value[i];
        number += (norm ? 1u : 0u) + (c->dropout > 0 ? 1u : 0u);
    }
    return in;
}

static double knot(const double *knots, long i, long count) {
    return knots[i < 0 ? 0 : i >= count ? count - 1 : i];
}

static double interpolated(const double *knots, size_t count, size_t h, size_t i,
                           enum nn_interpolation kind) {
    double at = ((double)i + 0.5) * (double)count / (double)h - 0.5;
    if (kind == NN_NEAREST) return knots[i * count / h];
    if (kind == NN_LINEAR && at < 0) at = 0;
    long low = (long)floor(at), n = (long)count;
    double f = at - (double)low, sum = 0;
    if (kind == NN_LINEAR) return (1 - f) * knot(knots, low, n) + f * knot(knots, low + 1, n);
    for (long tap = -1; tap <= 2; tap++) {
        double d = fabs(f - (double)tap), a = -0.75;
        double weight = d <= 1 ? (a + 2) * d * d * d - (a + 3) * d * d + 1
                               : a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a;
        sum += weight * knot(knots, low + tap, n);
    }
    return sum;
}

/* y (h, outputs) */
static void twin_forecast(const struct twin *t, double *y) {
    const struct nhits_config *c = &t->k->config;
    size_t length = c->input_size, block = 0;
    double residual[64];
    static double x[MAX];
    const nn_real *window = t->batch->x + t->window * length;
    for (size_t i = 0; i < length; i++) residual[i] = (double)window[length - 1 - i];
    for (size_t i = 0; i < c->h * (size_t)c->outputs; i++) y[i] = (double)window[length - 1];
    for (uint32_t s = 0; s < c->stack_count; s++)
        for (uint32_t i = 0; i < c->stacks[s].blocks; i++, block++) {
            const struct nhits_stack *stack = &c->stacks[s];
            size_t knots = c->h / stack->downsample ? c->h / stack->downsample : 1;
            size_t in =
                pooled(x, 1, residual, 1, length, stack->pool, c->pooling == NHITS_AVERAGE_POOLING);
            in = c->impl == NHITS_PAPER ? paper_inputs(t, x, in, block)
                                        : library_inputs(t, x, in, stack->pool);
            in = mlp(t, x, in, block, stack);
            assert_int_equal(in, length + c->outputs * knots);
            for (size_t j = 0; j < length; j++) {
                double mask = t->batch->mask
                                  ? (double)t->batch->mask[t->window * length + length - 1 - j]
                                  : 1;
                residual[j] = (residual[j] - x[j]) * mask;
            }
            for (size_t o = 0; o < c->outputs; o++)
                for (size_t j = 0; j < c->h; j++)
                    y[j * c->outputs + o] +=
                        interpolated(x + length + o * knots, knots, c->h, j, c->interpolation);
        }
}

/* ---- helpers ---- */

static struct network *made(const struct nhits_config *c, size_t batch_max, bool training,
                            struct workers *workers) {
    struct network *net;
    struct err err = {0};
    if (nhits_create(&net, c, batch_max, training, 3, workers, &err) != ST_OK)
        fail_msg("%s", err.text);
    nhits_case_shake(net, 4);
    return net;
}

static nn_real *values(size_t n) {
    nn_real *v = calloc(n, sizeof *v);
    assert_non_null(v);
    return v;
}

/* ---- tests ---- */

static void test_twin(void **state) {
    (void)state;
    for (int i = 0; i < NHITS_CASES; i++) {
        const struct nhits_case *k = &nhits_cases[i];
        enum { ROWS = 40 };
        struct network *net = made(&k->config, ROWS, false, NULL);
        struct nn_batch all;
        nhits_case_batch(&all, k, ROWS, 6);
        struct nn_batch batch = nhits_case_view(&all, k);
        size_t steps = k->config.h * (size_t)k->config.outputs;
        nn_real *y = values(ROWS * steps);
        net->class_of->predict(net, y, &batch);
        for (size_t r = 0; r < ROWS; r++) {
            double want[64] = {0};
            twin_forecast(&(struct twin){k, &net->params, &batch, r}, want);
            for (size_t j = 0; j < steps; j++)
                if (!(fabs((double)y[r * steps + j] - want[j]) <= 1e-5 * (1 + fabs(want[j]))))
                    fail_msg("%s: window %zu step %zu: %.9g, twin %.9g", k->name, r, j,
                             (double)y[r * steps + j], want[j]);
        }
        free(y);
        nhits_case_free(&all);
        net->class_of->destroy(net);
    }
}

/* What training gives without dropout and BatchNorm is what inference gives, but for rounding. */
static void test_training_forecast(void **state) {
    (void)state;
    for (int i = 0; i < NHITS_CASES; i++) {
        struct nhits_case k = nhits_cases[i];
        enum { ROWS = 300 };
        if (k.config.batch_normalization) continue;
        k.config.dropout_off = true;
        struct network *net = made(&k.config, ROWS, true, NULL);
        struct nn_batch all;
        nhits_case_batch(&all, &k, ROWS, 8);
        struct nn_batch batch = nhits_case_view(&all, &k);
        size_t count = ROWS * k.config.h * (size_t)k.config.outputs;
        nn_real *y = values(count), *trained = values(count);
        net->class_of->predict(net, y, &batch);
        net->class_of->step(net, trained, &batch, &(struct nn_loss_choice){.kind = NN_MSE}, 1);
        for (size_t j = 0; j < count; j++)
            assert_float_equal((float)y[j], (float)trained[j], 1e-4f);
        free(y);
        free(trained);
        nhits_case_free(&all);
        net->class_of->destroy(net);
    }
}

/* Dropout's forecasts differ by seed and are the forecast in the mean, near enough. */
static void test_dropout(void **state) {
    (void)state;
    struct nhits_case k = {"", {NHITS_CASE_LIBRARY(1, NN_LINEAR, NN_RELU), .dropout = 0.3}, 0, 0};
    struct network *net = made(&k.config, 8, true, NULL);
    struct nn_batch batch;
    nhits_case_batch(&batch, &k, 8, 8);
    nn_real *a = values(8 * 6), *b = values(8 * 6), *same = values(8 * 6);
    const struct nn_loss_choice mse = {NN_MSE, 0};
    net->class_of->step(net, a, &batch, &mse, 1);
    net->class_of->step(net, b, &batch, &mse, 2);
    net->class_of->step(net, same, &batch, &mse, 1);
    assert_memory_equal(a, same, 8 * 6 * sizeof *a);
    assert_memory_not_equal(a, b, 8 * 6 * sizeof *a);
    free(a);
    free(b);
    free(same);
    nhits_case_free(&batch);
    net->class_of->destroy(net);
}

static uint64_t predicted(const struct nhits_case *k, const struct nn_batch *batch,
                          struct workers *w, bool training) {
    struct network *net = made(&k->config, batch->n, training, w);
    size_t count = batch->n * k->config.h * (size_t)k->config.outputs;
    nn_real *y = values(count);
    net->class_of->predict(net, y, batch);
    uint64_t hash = hash_chain(0, y, count * sizeof *y);
    free(y);
    net->class_of->destroy(net);
    return hash;
}

static void test_bits_of_inference(void **state) {
    (void)state;
    enum { ROWS = 75 };
    struct workers *two;
    struct err err;
    assert_int_equal(workers_create(&two, 2, &err), ST_OK);
    for (int i = 0; i < NHITS_CASES; i++) {
        const struct nhits_case *k = &nhits_cases[i];
        struct nn_batch all;
        nhits_case_batch(&all, k, ROWS, 9);
        struct nn_batch batch = nhits_case_view(&all, k);
        uint64_t hash = predicted(k, &batch, NULL, false);
        assert_int_equal(predicted(k, &batch, two, false), hash);
        assert_int_equal(predicted(k, &batch, two, true), hash);
        /* Window by window. */
        const struct nhits_config *c = &k->config;
        size_t steps = c->h * (size_t)c->outputs, length = c->input_size;
        struct network *net = made(c, 1, false, NULL);
        nn_real *y = values(ROWS * steps);
        for (size_t r = 0; r < ROWS; r++) {
            struct nn_batch one = {.n = 1, .x = batch.x + r * length};
            if (batch.mask) one.mask = batch.mask + r * length;
            if (batch.hist_exog) one.hist_exog = batch.hist_exog + r * length * c->hist_exog;
            if (batch.futr_exog)
                one.futr_exog = batch.futr_exog + r * (length + c->h) * c->futr_exog;
            if (batch.stat_exog) one.stat_exog = batch.stat_exog + r * c->stat_exog;
            net->class_of->predict(net, y + r * steps, &one);
        }
        assert_int_equal(hash_chain(0, y, ROWS * steps * sizeof *y), hash);
        free(y);
        net->class_of->destroy(net);
        nhits_case_free(&all);
    }
    workers_destroy(two);
}

static uint64_t trained(const struct nhits_case *k, struct workers *w, size_t rows) {
    struct network *net = made(&k->config, rows, true, w);
    struct nn_batch all;
    struct nn_adam adam = nn_adam_defaults();
    nhits_case_batch(&all, k, rows, 10);
    struct nn_batch batch = nhits_case_view(&all, k);
    uint64_t hash = 0;
    for (uint64_t s = 0; s < 3; s++) {
        memset(net->params.grad, 0, net->params.trainable_size * sizeof(nn_real));
        double loss =
            net->class_of->step(net, NULL, &batch, &(struct nn_loss_choice){.kind = NN_MAE}, s);
        nn_adam_step(&adam, &net->params, w);
        hash = hash_chain(hash, &loss, sizeof loss);
    }
    hash = hash_chain(hash, net->params.value, net->params.size * sizeof(nn_real));
    nhits_case_free(&all);
    net->class_of->destroy(net);
    return hash;
}

static void test_bits_of_training(void **state) {
    (void)state;
    struct workers *some[2];
    struct err err;
    assert_int_equal(workers_create(&some[0], 2, &err), ST_OK);
    assert_int_equal(workers_create(&some[1], 3, &err), ST_OK);
    for (int i = 0; i < NHITS_CASES; i++) {
        uint64_t one = trained(&nhits_cases[i], NULL, 300);
        for (int w = 0; w < 2; w++) assert_int_equal(trained(&nhits_cases[i], some[w], 300), one);
    }
    workers_destroy(some[0]);
    workers_destroy(some[1]);
}

/* Made by gcc 12 at -O2 on Zen 3: every compiler, optimisation and processor gives the same. */
static void test_constants(void **state) {
    (void)state;
    uint64_t training = 0, inference = 0;
    for (int i = 0; i < NHITS_CASES; i++) {
        const struct nhits_case *k = &nhits_cases[i];
        struct nn_batch all;
        uint64_t bits = trained(k, NULL, 140);
        training = hash_chain(training, &bits, sizeof bits);
        nhits_case_batch(&all, k, 9, 9);
        struct nn_batch batch = nhits_case_view(&all, k);
        bits = predicted(k, &batch, NULL, false);
        inference = hash_chain(inference, &bits, sizeof bits);
        nhits_case_free(&all);
    }
    assert_int_equal(training, UINT64_C(0xaa62a47214df116d));
    assert_int_equal(inference, UINT64_C(0xafee46f6b0cacc88));
}

static void test_not_finite(void **state) {
    (void)state;
    const struct nhits_case *k = &nhits_cases[5];
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    struct network *net = made(&k->config, 3, false, NULL);
    size_t steps = k->config.h * (size_t)k->config.outputs;
    nn_real *y = values(3 * steps);
    for (int kind = 0; kind < 3; kind++)
        for (int array = 0; array < 4; array++) {
            struct nn_batch b;
            nhits_case_batch(&b, k, 3, 11);
            const nn_real *arrays[] = {b.x, b.hist_exog, b.futr_exog, b.stat_exog};
            const size_t sizes[] = {11, 11, 17 * 2, 1};
            ((nn_real *)arrays[array])[sizes[array] + sizes[array] / 2] = (nn_real)bad[kind];
            net->class_of->predict(net, y, &b);
            for (size_t j = 0; j < 3 * steps; j++) assert_int_equal(isnan(y[j]), j / steps == 1);
            nhits_case_free(&b);
        }
    free(y);
    net->class_of->destroy(net);
}

/* A network for inference follows its parameters; files carry all names of shared ones. */
static void test_files(void **state) {
    (void)state;
    for (int i = 0; i < NHITS_CASES; i++) {
        const struct nhits_case *k = &nhits_cases[i];
        char path[64];
        struct err err = {0};
        struct nn_batch all;
        struct network *from = made(&k->config, 4, true, NULL), *to;
        assert_int_equal(nhits_create(&to, &k->config, 4, false, 99, NULL, &err), ST_OK);
        nhits_case_batch(&all, k, 4, 12);
        struct nn_batch batch = nhits_case_view(&all, k);
        size_t count = 4 * k->config.h * (size_t)k->config.outputs;
        nn_real *want = values(count), *have = values(count);
        from->class_of->predict(from, want, &batch);
        to->class_of->predict(to, have, &batch);
        assert_memory_not_equal(want, have, count * sizeof *want);
        snprintf(path, sizeof path, "nhits-%d-%ld.safetensors", i, (long)getpid());
        assert_int_equal(nn_params_save(&from->params, path, NULL, &err), ST_OK);
        struct safetensors *file;
        assert_int_equal(safetensors_open(&file, path, &err), ST_OK);
        assert_int_equal(safetensors_count(file), from->params.count);
        safetensors_close(file);
        assert_int_equal(nn_params_load(&to->params, path, &err), ST_OK);
        to->class_of->predict(to, have, &batch);
        assert_memory_equal(want, have, count * sizeof *want);
        unlink(path);
        free(want);
        free(have);
        nhits_case_free(&all);
        from->class_of->destroy(from);
        to->class_of->destroy(to);
    }
}

static void test_names(void **state) {
    (void)state;
    struct nhits_config c = nhits_config_defaults();
    struct network *net = made(&c, 1, false, NULL);
    static const char *const library[] = {"layers.0", "layers.1", "layers.3", "layers.5",
                                          "layers.7"};
    assert_int_equal(net->params.count, 3 * 5 * 2);
    for (uint32_t i = 0; i < net->params.count; i++) {
        char name[64];
        snprintf(name, sizeof name, "blocks.%u.%s.%s", i / 10, library[i % 10 / 2],
                 i % 2 ? "bias" : "weight");
        assert_string_equal(net->params.tensors[i].name, name);
    }
    net->class_of->destroy(net);
    /* Shared weights with PReLU and BatchNorm: every name is there, one tensor behind those of a
     * stack. */
    net = made(&nhits_cases[NHITS_CASES - 1].config, 1, false, NULL);
    const char *pairs[][2] = {{"blocks.0.layers.0.weight", "blocks.1.layers.0.weight"},
                              {"blocks.0.layers.1.weight", "blocks.0.layers.5.weight"},
                              {"blocks.0.layers.1.weight", "blocks.1.layers.5.weight"},
                              {"blocks.0.layers.2.running_var", "blocks.1.layers.2.running_var"},
                              {"blocks.2.layers.3.bias", "blocks.3.layers.3.bias"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct nn_tensor *a = nn_params_find(&net->params, pairs[i][0]),
                               *b = nn_params_find(&net->params, pairs[i][1]);
        if (!a || !b) {
            fail_msg("no %s, %s", pairs[i][0], pairs[i][1]);
            return;
        }
        assert_ptr_equal(a->value, b->value);
    }
    net->class_of->destroy(net);
}

static void refuse(struct nhits_config c, size_t batch_max, enum status want, const char *field) {
    struct network *net;
    struct err err = {0};
    assert_int_equal(nhits_create(&net, &c, batch_max, true, 1, NULL, &err), want);
    assert_null(net);
    if (!strstr(err.text, field)) fail_msg("'%s' does not name %s", err.text, field);
}

#define REFUSED(field, value, want, name)                                                          \
    do {                                                                                           \
        struct nhits_config c_ = c;                                                                \
        c_.field = value;                                                                          \
        refuse(c_, 4, want, name);                                                                 \
    } while (0)

static void test_refused(void **state) {
    (void)state;
    struct nhits_config c = nhits_cases[0].config;
    refuse(c, 0, ST_RANGE, "batch");
    REFUSED(input_size, 0, ST_RANGE, "input_size");
    REFUSED(h, 0, ST_RANGE, "h 0");
    REFUSED(stack_count, NHITS_STACKS_MAX + 1, ST_RANGE, "stacks");
    REFUSED(stacks[1].blocks, 0, ST_RANGE, "n_blocks");
    REFUSED(stacks[0].pool, 0, ST_RANGE, "n_pool_kernel_size");
    REFUSED(stacks[0].downsample, 0, ST_RANGE, "n_freq_downsample");
    REFUSED(mlp_units[1][0], 6, ST_RANGE, "mlp_units");
    REFUSED(mlp_count, 0, ST_RANGE, "mlp_units");
    REFUSED(dropout, 1.0, ST_RANGE, "dropout");
    REFUSED(activation, NN_GELU, ST_UNSUPPORTED, "activation");
    REFUSED(shared_weights, true, ST_UNSUPPORTED, "shared_weights");
    c = nhits_cases[7].config;
    REFUSED(hist_exog, 1, ST_UNSUPPORTED, "hist_exog");
    REFUSED(outputs, 2, ST_UNSUPPORTED, "output");
    REFUSED(stacks[1].layers, 0, ST_RANGE, "n_layers");
    REFUSED(stacks[0].hidden[1], 0, ST_RANGE, "n_theta_hidden");
    c = nhits_cases[3].config;
    REFUSED(outputs, 2, ST_UNSUPPORTED, "cubic");
}

/* It learns: a sum of two waves, 60 steps. */
static void test_learns(void **state) {
    (void)state;
    enum { ROWS = 64 };
    struct nhits_case k = {"", {NHITS_CASE_LIBRARY(1, NN_LINEAR, NN_RELU)}, 0, 0};
    struct network *net = made(&k.config, ROWS, true, NULL);
    struct nn_adam adam = nn_adam_defaults();
    nn_real x[ROWS * 11], target[ROWS * 6];
    adam.lr = 1e-2;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t t = 0; t < 17; t++) {
            double at = (double)(r + t), value = sin(at * 0.7) + 0.5 * sin(at * 1.9);
            if (t < 11)
                x[r * 11 + t] = (nn_real)value;
            else
                target[r * 6 + t - 11] = (nn_real)value;
        }
    struct nn_batch batch = {.n = ROWS, .x = x, .target = target};
    double first = 0, last = 0;
    for (uint64_t s = 0; s < 60; s++) {
        memset(net->params.grad, 0, net->params.trainable_size * sizeof(nn_real));
        last = net->class_of->step(net, NULL, &batch, &(struct nn_loss_choice){.kind = NN_MSE}, s);
        if (s == 0) first = last;
        nn_adam_step(&adam, &net->params, NULL);
    }
    if (!(last < first / 10)) fail_msg("loss %g, was %g", last, first);
    net->class_of->destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_training_forecast),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_bits_of_inference),
        cmocka_unit_test(test_bits_of_training),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
