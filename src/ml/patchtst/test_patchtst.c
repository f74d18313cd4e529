/* The network against a plain twin, its bits, its names, its laws of chance. Gradients: test_fd_patchtst.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ml/nn/optim.h"
#include "ml/patchtst/patchtst_cases.h"
#include "ml/patchtst/patchtst_internal.h"
#include "ml/patchtst/patchtst_twin.h"

/* ---- allocations, counted by the linker's --wrap ---- */

static size_t allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) {
    allocations++;
    return __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size) {
    allocations++;
    return __real_calloc(n, size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __real_aligned_alloc(alignment, size);
}

/* ---- helpers ---- */

static struct rng rng;

static struct network *create(const struct patchtst_config *c, size_t batch, bool training,
                              struct workers *workers) {
    struct network *net = NULL;
    struct err err = {0};
    enum status st = patchtst_create(&net, c, batch, training, 5, workers, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    return net;
}

static nn_real *random_values(size_t n) {
    nn_real *v = malloc(n * sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) v[i] = (nn_real)rng_normal(&rng);
    return v;
}

static size_t input_size(const struct network *net) {
    return net->input * net->channels;
}
static size_t output_size(const struct network *net) {
    return net->horizon * net->outputs;
}

/* The scripts' networks on fewer windows: more than one part, a last group that is not full. */
static struct patchtst_config small_config(void) {
    struct patchtst_config c = patchtst_config_defaults();
    c.seq_len = 96;
    c.pred_len = 12;
    c.head_dropout = 0.1;
    return c;
}

#define EXPECTED_BITS 0x86ea232b4d92086eu

static const struct nn_loss_choice mse = {NN_MSE, 0};

static void train(struct network *net, size_t batch, int steps, bool by_adam) {
    struct rng data = rng_init(77);
    struct nn_adam adam = nn_adam_defaults();
    size_t nx = batch * input_size(net), ny = batch * output_size(net);
    nn_real *x = malloc(nx * sizeof *x), *target = malloc(ny * sizeof *target);
    assert_true(x && target);
    for (int s = 0; s < steps; s++) {
        for (size_t i = 0; i < nx; i++) x[i] = (nn_real)(rng_f64(&data) - 0.5);
        for (size_t i = 0; i < ny; i++) target[i] = (nn_real)(rng_f64(&data) - 0.5);
        struct nn_batch b = {.n = batch, .x = x, .target = target};
        memset(net->params.grad, 0, net->params.trainable_size * sizeof(nn_real));
        net->class_of->step(net, NULL, &b, &mse, (uint64_t)s);
        if (by_adam)
            nn_adam_step(&adam, &net->params, net->workers);
        else /* nothing of libm */
            for (size_t i = 0; i < net->params.trainable_size; i++)
                net->params.value[i] -= (nn_real)0.01 * net->params.grad[i];
    }
    free(x);
    free(target);
}

/* ---- values ---- */

static void test_forecasts_equal_the_twin(void **state) {
    (void)state;
    enum { WINDOWS = 3 };
    for (uint32_t code = 0; code < CASES; code++) {
        struct patchtst_config c = case_config(code, &rng);
        struct network *net = create(&c, WINDOWS, code % 2 == 0, NULL);
        case_perturb(net, &rng);
        nn_real *x = random_values(WINDOWS * input_size(net)), y[64];
        double twin[64], most = 0, worst = 0;
        struct nn_batch b = {.n = WINDOWS, .x = x};
        net->class_of->predict(net, y, &b);
        for (size_t i = 0; i < WINDOWS; i++)
            twin_predict(net, twin + i * output_size(net), x + i * input_size(net));
        for (size_t i = 0; i < WINDOWS * output_size(net); i++) {
            most = fmax(most, fabs(twin[i]));
            worst = fmax(worst, fabs((double)y[i] - twin[i]));
        }
        if (!(worst <= 1e-5 * most)) fail_msg("case %u: %g of %g", code, worst, most);
        free(x);
        net->class_of->destroy(net);
    }
}

/* Weight 0 is as if the window were not there; by LayerNorm, where windows do not touch each other. */
static void test_weights_of_windows(void **state) {
    (void)state;
    struct patchtst_config c = case_config(1, &rng);
    struct network *two = create(&c, 2, true, NULL), *one = create(&c, 1, true, NULL);
    nn_real *x = random_values(2 * input_size(two)), *target = random_values(2 * output_size(two));
    nn_real weights[2] = {3, 0};
    struct nn_batch b = {.n = 2, .x = x, .target = target, .weights = weights},
                    alone = {.n = 1, .x = x, .target = target};
    double loss = two->class_of->step(two, NULL, &b, &mse, 1);
    assert_float_equal(loss, one->class_of->step(one, NULL, &alone, &mse, 1), 1e-6);
    for (size_t i = 0; i < one->params.trainable_size; i++)
        assert_float_equal(two->params.grad[i], one->params.grad[i], 1e-5);
    free(x);
    free(target);
    two->class_of->destroy(two);
    one->class_of->destroy(one);
}

/* ---- bits ---- */

static void test_one_thread_and_many(void **state) {
    (void)state;
    enum { BATCH = 21, STEPS = 3 };
    struct patchtst_config c = small_config();
    struct network *first = create(&c, BATCH, true, NULL);
    train(first, BATCH, STEPS, true);
    for (uint32_t threads = 2; threads <= 3; threads++) {
        struct workers *w = NULL;
        struct err err;
        assert_int_equal(workers_create(&w, threads, &err), ST_OK);
        struct network *net = create(&c, BATCH, true, w);
        train(net, BATCH, STEPS, true);
        assert_memory_equal(net->params.value, first->params.value,
                            first->params.size * sizeof(nn_real));
        assert_memory_equal(net->params.m, first->params.m,
                            first->params.trainable_size * sizeof(nn_real));
        nn_real *x = random_values(BATCH * input_size(net));
        nn_real *y = malloc(2 * BATCH * output_size(net) * sizeof *y);
        struct nn_batch b = {.n = BATCH, .x = x};
        size_t n = BATCH * output_size(net);
        net->class_of->predict(net, y, &b);
        first->class_of->predict(first, y + n, &b);
        assert_memory_equal(y, y + n, n * sizeof *y);
        free(x);
        free(y);
        net->class_of->destroy(net);
        workers_destroy(w);
    }
    first->class_of->destroy(first);
}

static void test_plain_and_fast_kernels(void **state) {
    (void)state;
    if (patchtst_kernels() == &patchtst_kernels_plain) skip();
    enum { BATCH = 5 };
    for (uint32_t code = 0; code < CASES; code += 7) {
        struct patchtst_config c = case_config(code, &rng);
        if (code % 63 == 0) c = small_config();
        c.dropout = 0.3;
        struct network *a = create(&c, BATCH, true, NULL), *b = create(&c, BATCH, true, NULL);
        ((struct patchtst *)b)->kernels = &patchtst_kernels_plain;
        train(a, BATCH, 2, true);
        train(b, BATCH, 2, true);
        assert_memory_equal(a->params.value, b->params.value, a->params.size * sizeof(nn_real));
        a->class_of->destroy(a);
        b->class_of->destroy(b);
    }
}

/* One multiply-add of each kernel set against the C library's, over all kinds of floats: sums that cancel, that fall between
 * two floats, that end among the subnormal, that overflow, what is no number. */
static void test_multiply_adds_round_once(void **state) {
    (void)state;
    enum { SETS = 2 };
    const struct lanes_kernels *sets[SETS] = {&patchtst_kernels_plain, patchtst_kernels()};
    for (int i = 0; i < 400000; i++) {
        lanes x, y;
        uint64_t r = rng_u64(&rng);
        uint32_t bits = (uint32_t)r;
        if (r >> 63) bits &= 0xFFFFF000u; /* short numbers: their products end in the middle */
        nn_real w, bias;
        memcpy(&w, &bits, sizeof w);
        for (int lane = 0; lane < LANES; lane++) {
            bits = (uint32_t)rng_u64(&rng);
            if (lane % 2) bits = (bits & 0x807FF000u) | (bits % 64 + 95) << 23;
            memcpy((char *)&x + (size_t)lane * sizeof bits, &bits, sizeof bits);
        }
        bits = (uint32_t)(r >> 32);
        memcpy(&bias, &bits, sizeof bias);
        if (i % 4 == 0) bias = -(w * x[1]);                /* what the product's rounding took */
        if (i % 4 == 1) bias = w * x[1] * (nn_real)0x1p24; /* half of its last place */
        if (i % 4 == 2) bias = (nn_real)ldexp((double)bias, -60); /* far below */
        for (size_t s = 0; s < SETS; s++) {
            sets[s]->linear(lanes_view(&y, 1, 1), lanes_view(&x, 1, 1),
                            (struct weights_view){&w, 1, 1}, &bias, 1, 1, 1, false);
            for (int lane = 0; lane < LANES; lane++) {
                nn_real is = y[lane], should = fmaf(x[lane], w, bias);
                if (isnan(should) ? !isnan(is) : memcmp(&is, &should, sizeof is) != 0)
                    fail_msg("%a * %a + %a: %a, not %a (set %zu)", (double)x[lane], (double)w,
                             (double)bias, (double)is, (double)should, s);
            }
        }
    }
}

/* Where rows lie in memory, and whether they are laid side by side first, does not show in a product. */
static void test_rows_may_lie_anywhere(void **state) {
    (void)state;
    enum { OUT = 33, IN = 65, COLUMNS = 5, CLOSE = 7, CROWDED = 16 };
    static lanes x[2][IN * CROWDED], y[2][OUT * CROWDED];
    static nn_real w[OUT * IN], bias[OUT];
    static const size_t rows[2] = {CLOSE, CROWDED};
    const struct lanes_kernels *sets[] = {&patchtst_kernels_plain, patchtst_kernels()};
    for (size_t i = 0; i < OUT * IN; i++) w[i] = (nn_real)(rng_f64(&rng) - 0.5);
    for (size_t i = 0; i < OUT; i++) bias[i] = (nn_real)(rng_f64(&rng) - 0.5);
    for (size_t i = 0; i < IN * CROWDED; i++)
        for (size_t lane = 0; lane < LANES; lane++) x[1][i][lane] = (nn_real)(rng_f64(&rng) - 0.5);
    for (size_t i = 0; i < IN; i++)
        for (size_t c = 0; c < COLUMNS; c++) x[0][i * CLOSE + c] = x[1][i * CROWDED + c];
    for (uint32_t code = 0; code < 16; code++) {
        size_t columns = COLUMNS - code % 2;
        bool add = code & 2, turned = code & 4;
        struct weights_view view = {w, turned ? 1 : IN, turned ? OUT : 1};
        memset(y, 0, sizeof y);
        for (int i = 0; i < 2; i++)
            sets[code / 8]->linear(lanes_view(y[i], CROWDED, 1), lanes_view(x[i], rows[i], 1), view,
                                   bias, OUT, IN, columns, add);
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        double sum = add ? 0 : (double)bias[OUT - 1];
        for (size_t k = 0; k < IN; k++)
            sum += (double)w[(OUT - 1) * view.row + k * view.column] *
                   (double)x[1][k * CROWDED + columns - 1][3];
        assert_float_equal((double)y[1][(OUT - 1) * CROWDED + columns - 1][3], sum, 1e-5);
    }
}

/* The fingerprint of a trained network: any compiler, any level, any processor. */
static void test_bits_of_a_training(void **state) {
    (void)state;
    struct patchtst_config c = small_config();
    struct network *net = create(&c, 4, true, NULL);
    train(net, 4, 3, false);
    uint64_t h = 0;
    const unsigned char *bytes = (const unsigned char *)net->params.value;
    for (size_t i = 0; i < net->params.size * sizeof(nn_real); i++) h = rng_mix(h ^ bytes[i]);
    if (h != EXPECTED_BITS) fail_msg("0x%016llx", (unsigned long long)h);
    net->class_of->destroy(net);
}

static void test_a_window_alone_and_in_a_batch(void **state) {
    (void)state;
    enum { BATCH = 37 };
    struct patchtst_config c = small_config();
    struct network *net = create(&c, BATCH, false, NULL), *single = create(&c, 1, false, NULL);
    case_perturb(net, &rng);
    memcpy(single->params.value, net->params.value, net->params.size * sizeof(nn_real));
    nn_real *x = random_values(BATCH * input_size(net));
    nn_real *y = malloc(BATCH * output_size(net) * sizeof *y),
            *alone = malloc(output_size(net) * sizeof *y);
    struct nn_batch b = {.n = BATCH, .x = x};
    net->class_of->predict(net, y, &b);
    for (size_t i = 0; i < BATCH; i++) {
        struct nn_batch one = {.n = 1, .x = x + i * input_size(net)};
        single->class_of->predict(single, alone, &one);
        assert_memory_equal(alone, y + i * output_size(net), output_size(net) * sizeof *y);
    }
    free(x);
    free(y);
    free(alone);
    net->class_of->destroy(net);
    single->class_of->destroy(single);
}

static void test_what_is_no_number_stays_in_its_channel(void **state) {
    (void)state;
    const nn_real bad[] = {(nn_real)NAN, (nn_real)INFINITY, (nn_real)-INFINITY};
    for (uint32_t code = 0; code < CASES; code += 5)
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            struct patchtst_config c = case_config(code, &rng);
            struct network *net = create(&c, 2, false, NULL);
            nn_real *x = random_values(2 * input_size(net)), clean[64], y[64];
            struct nn_batch b = {.n = 2, .x = x};
            size_t channel = rng_below(&rng, 3), n = 2 * output_size(net);
            /* Within the last patch that is read, wherever padding ends. */
            size_t step = rng_below(&rng, net->input - 1);
            net->class_of->predict(net, clean, &b);
            x[step * 3 + channel] = bad[k];
            net->class_of->predict(net, y, &b);
            for (size_t i = 0; i < n; i++) {
                bool touched = i < n / 2 && i % 3 == channel;
                if (touched ? isfinite(y[i]) : memcmp(&y[i], &clean[i], sizeof *y) != 0)
                    fail_msg("case %u, step %zu, forecast %zu: %g, was %g", code, step, i,
                             (double)y[i], (double)clean[i]);
            }
            free(x);
            net->class_of->destroy(net);
        }
}

static void test_inference_allocates_nothing(void **state) {
    (void)state;
    struct patchtst_config c = small_config();
    struct workers *w = NULL;
    struct err err;
    assert_int_equal(workers_create(&w, 2, &err), ST_OK);
    struct network *net = create(&c, 9, true, w);
    nn_real *x = random_values(9 * input_size(net)), *target = random_values(9 * output_size(net));
    nn_real *y = malloc(9 * output_size(net) * sizeof *y);
    struct nn_batch b = {.n = 9, .x = x, .target = target};
    size_t before = allocations;
    net->class_of->predict(net, y, &b);
    net->class_of->step(net, y, &b, &mse, 1);
    assert_int_equal(allocations, before);
    free(x);
    free(y);
    free(target);
    net->class_of->destroy(net);
    workers_destroy(w);
}

/* ---- chance ---- */

static void test_dropout_keeps_its_share(void **state) {
    (void)state;
    enum { N = 5000 };
    static lanes ones[N], y[N];
    static const double shares[] = {0.7, 0.49, 0.8, 0.05};
    for (size_t i = 0; i < N; i++) ones[i] = (lanes){1, 1, 1, 1, 1, 1, 1, 1};
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        double keep = shares[s], n = N * LANES, kept = 0, both = 0, last = 0;
        struct lanes_dropout d = lanes_dropout(keep, rng_u64(&rng), s, 3);
        patchtst_kernels()->dropped(y, NULL, ones, 1, N, &d);
        for (size_t i = 0; i < N; i++)
            for (size_t lane = 0; lane < LANES; lane++) {
                bool k = y[i][lane] > 0;
                if (k) assert_true(fabs((double)y[i][lane] * keep - 1) < 1e-3);
                kept += k;
                both += k && last > 0;
                last = k;
            }
        assert_true(fabs(kept - n * keep) < 5 * sqrt(n * keep * (1 - keep)));
        /* neighbours are independent */
        assert_true(fabs(both - n * keep * keep) < 6 * sqrt(n * keep * keep));
    }
}

static void test_masks_follow_the_seed(void **state) {
    (void)state;
    struct patchtst_config c = small_config();
    struct network *net = create(&c, 2, true, NULL);
    nn_real *x = random_values(2 * input_size(net)), *target = random_values(2 * output_size(net));
    struct nn_batch b = {.n = 2, .x = x, .target = target};
    double first = net->class_of->step(net, NULL, &b, &mse, 1),
           again = net->class_of->step(net, NULL, &b, &mse, 1),
           other = net->class_of->step(net, NULL, &b, &mse, 2);
    assert_true(first == again);
    assert_true(fabs(first - other) > 1e-6);
    free(x);
    free(target);
    net->class_of->destroy(net);
}

static void check_uniform(const struct nn_tensor *t, double low, double high) {
    double mean = 0, top = -1e9, bottom = 1e9, n = (double)t->count;
    for (size_t i = 0; i < t->count; i++) {
        mean += (double)t->value[i] / n;
        top = fmax(top, (double)t->value[i]);
        bottom = fmin(bottom, (double)t->value[i]);
    }
    double width = high - low, slack = width * 20 / n + 1e-6 * width;
    assert_true(bottom >= low - 1e-6 && top <= high + 1e-6);
    assert_true(top > high - slack && bottom < low + slack);
    assert_true(fabs(mean - (low + high) / 2) < 6 * width / sqrt(12 * n));
}

static void test_initialisation(void **state) {
    (void)state;
    struct patchtst_config c = patchtst_config_defaults();
    c.affine = true;
    struct network *net = create(&c, 1, false, NULL);
    struct nn_params *p = &net->params;
    check_uniform(nn_params_find(p, "model.backbone.W_pos"), -0.02, 0.02);
    check_uniform(nn_params_find(p, "model.backbone.W_P.weight"), -0.25, 0.25);
    check_uniform(nn_params_find(p, "model.backbone.encoder.layers.2.ff.0.bias"), -0.25, 0.25);
    check_uniform(nn_params_find(p, "model.backbone.encoder.layers.2.ff.3.weight"), -1 / sqrt(128),
                  1 / sqrt(128));
    check_uniform(nn_params_find(p, "model.head.linear.weight"), -1 / sqrt(672), 1 / sqrt(672));
    const struct nn_tensor *scale =
        nn_params_find(p, "model.backbone.encoder.layers.1.self_attn.sdp_attn.scale");
    assert_true(!scale->trainable && scale->value[0] == (nn_real)0.5);
    assert_true(nn_params_find(p, "model.revin_layer.affine_weight")->value[6] == 1);
    assert_true(
        nn_params_find(p, "model.backbone.encoder.layers.0.norm_ffn.1.running_var")->value[15] ==
        1);
    net->class_of->destroy(net);
}

/* ---- names, refusals, kernels ---- */

static void test_names(void **state) {
    (void)state;
    struct patchtst_config c = patchtst_config_defaults();
    c.norm = PATCHTST_LAYER_NORM;
    c.decomposition = c.individual = true;
    c.e_layers = 1;
    c.c_in = 2;
    static const char *const names[] = {"backbone.W_pos",
                                        "backbone.W_P.weight",
                                        "backbone.W_P.bias",
                                        "backbone.encoder.layers.0.self_attn.W_Q.weight",
                                        "backbone.encoder.layers.0.self_attn.W_Q.bias",
                                        "backbone.encoder.layers.0.self_attn.W_K.weight",
                                        "backbone.encoder.layers.0.self_attn.W_K.bias",
                                        "backbone.encoder.layers.0.self_attn.W_V.weight",
                                        "backbone.encoder.layers.0.self_attn.W_V.bias",
                                        "backbone.encoder.layers.0.self_attn.sdp_attn.scale",
                                        "backbone.encoder.layers.0.self_attn.to_out.0.weight",
                                        "backbone.encoder.layers.0.self_attn.to_out.0.bias",
                                        "backbone.encoder.layers.0.norm_attn.weight",
                                        "backbone.encoder.layers.0.norm_attn.bias",
                                        "backbone.encoder.layers.0.ff.0.weight",
                                        "backbone.encoder.layers.0.ff.0.bias",
                                        "backbone.encoder.layers.0.ff.3.weight",
                                        "backbone.encoder.layers.0.ff.3.bias",
                                        "backbone.encoder.layers.0.norm_ffn.weight",
                                        "backbone.encoder.layers.0.norm_ffn.bias",
                                        "head.linears.0.weight",
                                        "head.linears.0.bias",
                                        "head.linears.1.weight",
                                        "head.linears.1.bias"};
    enum { NAMES = sizeof names / sizeof *names };
    struct network *net = create(&c, 1, false, NULL);
    assert_int_equal(net->params.count, 2 * NAMES);
    for (uint32_t i = 0; i < 2 * NAMES; i++) {
        char full[NN_NAME_SIZE];
        snprintf(full, sizeof full, "%s.%s", i < NAMES ? "model_trend" : "model_res",
                 names[i % NAMES]);
        assert_string_equal(net->params.tensors[i].name, full);
    }
    net->class_of->destroy(net);
}

static void refuse(const struct patchtst_config *c, size_t batch, const char *word) {
    struct network *net = NULL;
    struct err err = {0};
    assert_int_equal(patchtst_create(&net, c, batch, true, 1, NULL, &err), ST_RANGE);
    if (!strstr(err.text, word)) fail_msg("'%s' does not speak of %s", err.text, word);
    assert_null(net);
}

static void test_refusals(void **state) {
    (void)state;
    struct patchtst_config c = patchtst_config_defaults();
    refuse(&c, 0, "batch");
    c.d_model = 0;
    refuse(&c, 1, "d_model");
    c = patchtst_config_defaults();
    c.n_heads = 17;
    refuse(&c, 1, "n_heads");
    c = patchtst_config_defaults();
    c.patch_len = 337;
    refuse(&c, 1, "patch_len");
    c = patchtst_config_defaults();
    c.decomposition = true;
    c.kernel_size = 24;
    refuse(&c, 1, "kernel_size");
    c = patchtst_config_defaults();
    c.dropout = 1;
    refuse(&c, 1, "dropout");
    c.dropout = NAN;
    refuse(&c, 1, "dropout");
    c = patchtst_config_defaults();
    c.individual = true;
    c.c_in = 600;
    refuse(&c, 1, "tensors");
}

static void test_gelu_and_softmax_are_accurate(void **state) {
    (void)state;
    enum { N = 4000 };
    static lanes h[N], slope[N], s[N];
    const struct lanes_dropout off = {0};
    double worst = 0, worst_slope = 0, worst_p = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < LANES; j++)
            h[i][j] = s[i][j] = (nn_real)((double)(i * LANES + j) / (N * LANES) * 24 - 12);
    patchtst_kernels()->activate(h, slope, (struct lanes_block){1, N, 0, N}, &off, false);
    lanes top[N / 2], inverse[N / 2];
    lanes pairs[N];
    memcpy(pairs, s, sizeof s);
    patchtst_kernels()->softmax(pairs, top, inverse, N / 2, 2);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < LANES; j++) {
            double x = (double)s[i][j], phi = 0.5 * erfc(-x / sqrt(2.0)),
                   other = (double)s[i ^ 1][j];
            double density = exp(-x * x / 2) / sqrt(2 * acos(-1.0));
            worst = fmax(worst, fabs((double)h[i][j] - x * phi) / (1 + fabs(x)));
            worst_slope = fmax(worst_slope, fabs((double)slope[i][j] - phi - x * density));
            worst_p = fmax(worst_p, fabs((double)pairs[i][j] - 1 / (1 + exp2(other - x))));
        }
    assert_true(worst < 2.5e-7);
    assert_true(worst_slope < 5e-7);
    assert_true(worst_p < 3e-7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecasts_equal_the_twin),
        cmocka_unit_test(test_weights_of_windows),
        cmocka_unit_test(test_one_thread_and_many),
        cmocka_unit_test(test_plain_and_fast_kernels),
        cmocka_unit_test(test_multiply_adds_round_once),
        cmocka_unit_test(test_rows_may_lie_anywhere),
        cmocka_unit_test(test_bits_of_a_training),
        cmocka_unit_test(test_a_window_alone_and_in_a_batch),
        cmocka_unit_test(test_what_is_no_number_stays_in_its_channel),
        cmocka_unit_test(test_inference_allocates_nothing),
        cmocka_unit_test(test_dropout_keeps_its_share),
        cmocka_unit_test(test_masks_follow_the_seed),
        cmocka_unit_test(test_initialisation),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_gelu_and_softmax_are_accurate),
    };
    rng = rng_init(case_seed());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
