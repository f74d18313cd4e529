/* Objectives: gradients and hessians against finite differences of the losses as their papers state them, starts and
 * renewed leaves against the minimum of the loss, metrics against naive twins. TEST_SEED=n repeats. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/lightgbm/loss_internal.h"

enum { ROWS = 700, CLASSES = 4, GROUPS = 35 };

struct fixture {
    struct lgbm_params params;
    struct train_set set;
    double labels[ROWS], weights[ROWS], margin[ROWS * CLASSES];
    uint32_t groups[GROUPS];
    float gradient[ROWS * CLASSES], hessian[ROWS * CLASSES];
    struct lgbm_loss *loss;
    struct rng r;
    struct err err;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    if (text) print_message("TEST_SEED=%" PRIu64 "\n", seed);
    f->r = rng_init(seed);
    lgbm_params_init(&f->params);
    f->set = (struct train_set){.rows = ROWS, .columns = 1, .labels = f->labels};
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    lgbm_loss_destroy(f->loss);
    lgbm_params_free(&f->params);
    free(f);
    return 0;
}

/* Labels that suit the objective, margins of the size a training has, weights or none. */
static void make(struct fixture *f, const char *params, bool weights) {
    lgbm_loss_destroy(f->loss);
    f->loss = NULL;
    assert_int_equal(lgbm_params_parse(&f->params, params, 1, NULL, &f->err), ST_OK);
    uint64_t classes = f->params.objective == LGBM_BINARY       ? 2
                       : f->params.objective == LGBM_LAMBDARANK ? 5
                                                                : f->params.num_class;
    bool real = f->params.objective != LGBM_BINARY && f->params.objective != LGBM_MULTICLASS &&
                f->params.objective != LGBM_LAMBDARANK;
    for (size_t i = 0; i < ROWS; i++) {
        f->labels[i] = real ? rng_normal(&f->r) * 2 : (double)rng_below(&f->r, classes);
        f->weights[i] = 0.2 + 2 * rng_f64(&f->r);
    }
    for (size_t i = 0; i < ROWS * CLASSES; i++) f->margin[i] = rng_normal(&f->r) * 1.5;
    for (size_t g = 0; g < GROUPS; g++) f->groups[g] = g % 2 ? 5 : 35;
    f->groups[0] = 1; /* a query of one row has no pair */
    f->groups[GROUPS - 1] = 35;
    size_t rest = ROWS;
    for (size_t g = 0; g + 1 < GROUPS; g++) rest -= f->groups[g];
    f->groups[GROUPS - 1] = (uint32_t)rest;
    f->set.weights = weights ? f->weights : NULL;
    f->set.group_rows = f->params.objective == LGBM_LAMBDARANK ? f->groups : NULL;
    f->set.groups = f->set.group_rows ? GROUPS : 0;
    assert_int_equal(lgbm_params_check(&f->params, false, &f->err), ST_OK);
    if (lgbm_loss_create(&f->loss, &f->params, &f->set, NULL, &f->err) != ST_OK)
        fail_msg("%s", f->err.text);
}

static void gradients(struct fixture *f) {
    lgbm_loss_gradients(f->loss, f->margin, f->gradient, f->hessian);
}

static double weight_of(const struct fixture *f, size_t row) {
    return f->set.weights ? f->weights[row] : 1;
}

static void assert_close(double have, double want, double tolerance, const char *what, size_t row) {
    if (!(fabs(have - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%s of %zu: %.9g, want %.9g", what, row, have, want);
}

/* The loss of one row as a function of one of its margins, in long double. */
typedef long double (*row_loss_fn)(const struct fixture *f, size_t row, const double *margin);

static void check_gradients(struct fixture *f, row_loss_fn loss) {
    uint32_t outputs = lgbm_loss_outputs(f->loss);
    gradients(f);
    for (size_t i = 0; i < ROWS; i++) {
        for (uint32_t k = 0; k < outputs; k++) {
            double m[CLASSES], step = 0x1p-14;
            memcpy(m, f->margin + i * outputs, outputs * sizeof *m);
            m[k] += step;
            long double up = loss(f, i, m);
            m[k] -= 2 * step;
            long double down = loss(f, i, m);
            double slope = (double)((up - down) / (2 * (long double)step));
            assert_close(f->gradient[k * ROWS + i], slope * weight_of(f, i), 2e-7, "gradient", i);
        }
    }
}

static double second_difference(struct fixture *f, row_loss_fn loss, size_t row, uint32_t k) {
    uint32_t outputs = lgbm_loss_outputs(f->loss);
    double m[CLASSES], step = 0x1p-12;
    memcpy(m, f->margin + row * outputs, outputs * sizeof *m);
    long double at = loss(f, row, m);
    m[k] += step;
    long double up = loss(f, row, m);
    m[k] -= 2 * step;
    long double down = loss(f, row, m);
    return (double)((up - 2 * at + down) / ((long double)step * step)) * weight_of(f, row);
}

static void check_hessians(struct fixture *f, row_loss_fn loss, double factor) {
    for (size_t i = 0; i < ROWS; i++)
        for (uint32_t k = 0; k < lgbm_loss_outputs(f->loss); k++)
            assert_close(f->hessian[k * ROWS + i], factor * second_difference(f, loss, i, k), 1e-6,
                         "hessian", i);
}

/* Hessians that are the weight by design. */
static void check_unit_hessians(struct fixture *f) {
    for (size_t i = 0; i < ROWS; i++)
        assert_close(f->hessian[i], weight_of(f, i), 1e-7, "hessian", i);
    assert_int_equal(lgbm_loss_constant_hessian(f->loss), f->set.weights == NULL);
}

/* ---- losses ---- */

static long double square_loss(const struct fixture *f, size_t row, const double *m) {
    long double y = f->labels[row];
    if (f->params.reg_sqrt) y = copysignl(sqrtl(fabsl(y)), y);
    return (m[0] - y) * (m[0] - y) / 2;
}

static long double absolute_loss(const struct fixture *f, size_t row, const double *m) {
    return fabsl((long double)m[0] - f->labels[row]);
}

static long double huber_loss(const struct fixture *f, size_t row, const double *m) {
    long double d = fabsl((long double)m[0] - f->labels[row]), alpha = f->params.alpha;
    return d <= alpha ? d * d / 2 : alpha * (d - alpha / 2);
}

static long double pinball_loss(const struct fixture *f, size_t row, const double *m) {
    long double d = (long double)f->labels[row] - m[0], alpha = f->params.alpha;
    return d > 0 ? alpha * d : (alpha - 1) * d;
}

/* -log of the label's probability, by the label's own factor. */
static long double binary_loss(const struct fixture *f, size_t row, const double *m) {
    long double z = (long double)f->params.sigmoid * m[0];
    size_t positive = 0, negative;
    for (size_t i = 0; i < ROWS; i++) positive += f->labels[i] > 0;
    negative = ROWS - positive;
    long double factor[2] = {1, f->params.scale_pos_weight};
    if (f->params.is_unbalance && positive > negative)
        factor[0] = (long double)positive / (long double)negative;
    else if (f->params.is_unbalance)
        factor[1] = (long double)negative / (long double)positive;
    return f->labels[row] > 0 ? factor[1] * logl(1 + expl(-z)) : factor[0] * logl(1 + expl(z));
}

static long double softmax_loss(const struct fixture *f, size_t row, const double *m) {
    long double sum = 0;
    for (uint32_t k = 0; k < f->params.num_class; k++) sum += expl((long double)m[k]);
    return logl(sum) - m[(size_t)f->labels[row]];
}

static void test_squares(void **state) {
    struct fixture *f = *state;
    for (int weights = 0; weights < 2; weights++) {
        make(f, weights ? "objective=regression,reg_sqrt=true" : "objective=regression", weights);
        check_gradients(f, square_loss);
        check_hessians(f, square_loss, 1);
        check_unit_hessians(f);
    }
}

static void test_absolute_huber_quantile(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *params;
        row_loss_fn loss;
    } cases[] = {{"objective=regression_l1", absolute_loss},
                 {"objective=huber,alpha=0.7", huber_loss},
                 {"objective=quantile,alpha=0.3", pinball_loss}};
    for (size_t i = 0; i < 3; i++) {
        for (int weights = 0; weights < 2; weights++) {
            make(f, cases[i].params, weights);
            /* A difference across a kink is not a slope. */
            for (size_t row = 0; row < ROWS; row++) {
                double d = fabs(f->margin[row] - f->labels[row]);
                if (d < 0.001 || fabs(d - f->params.alpha) < 0.001) f->margin[row] += 0.01;
            }
            check_gradients(f, cases[i].loss);
            check_unit_hessians(
                f); /* LightGBM's own: the second derivative is 0 almost everywhere */
        }
    }
}

static void test_binary(void **state) {
    struct fixture *f = *state;
    static const char *const params[] = {"objective=binary", "objective=binary,sigmoid=2.5",
                                         "objective=binary,sigmoid=1,scale_pos_weight=3.5",
                                         "objective=binary,scale_pos_weight=1,is_unbalance=true"};
    for (size_t i = 0; i < 4; i++) {
        make(f, params[i], i % 2);
        check_gradients(f, binary_loss);
        check_hessians(f, binary_loss, 1);
        assert_false(lgbm_loss_constant_hessian(f->loss));
    }
}

static void test_binary_far_out_stays_finite(void **state) {
    struct fixture *f = *state;
    make(f, "objective=binary", false);
    for (size_t i = 0; i < ROWS; i++) f->margin[i] = i % 2 ? 1e4 : -1e4;
    gradients(f);
    for (size_t i = 0; i < ROWS; i++) {
        bool wrong = (f->margin[i] > 0) != (f->labels[i] > 0);
        assert_close(fabs((double)f->gradient[i]), wrong, 1e-9, "gradient", i);
        assert_true(f->hessian[i] >= 0 && isfinite(f->hessian[i]));
    }
    assert_true(isfinite(lgbm_loss_metric(f->loss, f->margin)));
}

/* LightGBM takes K / (K - 1) times the second derivative (Friedman's factor for K trees that share a constraint). */
static void test_multiclass(void **state) {
    struct fixture *f = *state;
    for (int weights = 0; weights < 2; weights++) {
        make(f, "objective=multiclass,num_class=4", weights);
        check_gradients(f, softmax_loss);
        check_hessians(f, softmax_loss, 4.0 / 3);
        for (size_t i = 0; i < ROWS; i++) {
            double sum = 0;
            for (size_t k = 0; k < CLASSES; k++) sum += f->gradient[k * ROWS + i];
            assert_close(sum, 0, 1e-6, "sum of gradients", i);
        }
    }
}

static void test_multiclass_far_out_stays_finite(void **state) {
    struct fixture *f = *state;
    make(f, "objective=multiclass,num_class=4", false);
    for (size_t i = 0; i < ROWS * CLASSES; i++) f->margin[i] *= 1e4;
    gradients(f);
    for (size_t i = 0; i < ROWS * CLASSES; i++)
        assert_true(fabsf(f->gradient[i]) <= 1 && f->hessian[i] >= 0);
    double loss = lgbm_loss_metric(f->loss, f->margin);
    assert_true(loss > 0 && loss <= 34.54); /* -log of LightGBM's smallest probability */
}

static void test_class_weights_are_weights(void **state) {
    struct fixture *f = *state;
    static float plain[ROWS * CLASSES];
    make(f, "objective=multiclass,num_class=4", true);
    gradients(f);
    memcpy(plain, f->gradient, sizeof plain);
    lgbm_loss_destroy(f->loss);
    f->loss = NULL;
    assert_int_equal(lgbm_params_set(&f->params, "class_weight", "1,2,0.5,3", 1, NULL, &f->err),
                     ST_OK);
    assert_int_equal(lgbm_loss_create(&f->loss, &f->params, &f->set, NULL, &f->err), ST_OK);
    gradients(f);
    static const double factor[] = {1, 2, 0.5, 3};
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < CLASSES; k++)
            assert_close(f->gradient[k * ROWS + i],
                         plain[k * ROWS + i] * factor[(size_t)f->labels[i]], 1e-6, "gradient", i);
}

/* ---- ranking ---- */

static size_t place_of(const struct fixture *f, size_t begin, size_t count, size_t row) {
    size_t place = 0;
    for (size_t i = begin; i < begin + count; i++)
        place += f->margin[i] > f->margin[row] || (!(f->margin[i] < f->margin[row]) && i < row);
    return place;
}

static double gain(double label) {
    return pow(2, label) - 1;
}
static double discount(size_t place) {
    return 1 / log2(2 + (double)place);
}

static int descending(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x < *y) - (*x > *y);
}

static double best_dcg(const double *labels, size_t count, size_t level) {
    double sorted[ROWS], sum = 0;
    memcpy(sorted, labels, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, descending);
    for (size_t i = 0; i < count && i < level; i++) sum += gain(sorted[i]) * discount(i);
    return sum;
}

/* |change of NDCG| if a and b changed places, as the weight of their pair; 0: not a pair. */
static double pair_weight(const struct fixture *f, size_t begin, size_t count, size_t a, size_t b,
                          bool norm) {
    size_t level = f->params.lambdarank_truncation_level;
    size_t pa = place_of(f, begin, count, a), pb = place_of(f, begin, count, b);
    if (pa >= level && pb >= level) return 0;
    double best = best_dcg(f->labels + begin, count, level);
    if (!(best > 0)) return 0;
    double delta = fabs((gain(f->labels[a]) - gain(f->labels[b])) * (discount(pa) - discount(pb)));
    delta /= best;
    return norm ? delta / (0.01 + fabs(f->margin[a] - f->margin[b])) : delta;
}

/* With the pairs' weights held fast, the cost is sum w log(1 + e^(-sigmoid (s_better - s_worse))): its differences are
 * the lambdas; normalised, by log2(1 + S) / S of the sum S of their sizes. */
static void check_group(struct fixture *f, size_t begin, size_t count, bool norm) {
    double sigmoid = f->params.sigmoid, total = 0;
    double *slope = calloc(count, sizeof *slope), *curve = calloc(count, sizeof *curve);
    for (size_t a = begin; a < begin + count; a++) {
        for (size_t b = begin; b < begin + count; b++) {
            if (!(f->labels[a] > f->labels[b])) continue;
            double w = pair_weight(f, begin, count, a, b, norm), step = 0x1p-10;
            double at = f->margin[a] - f->margin[b];
            long double cost[3];
            for (int i = 0; i < 3; i++)
                cost[i] = w * logl(1 + expl(-sigmoid * (long double)(at + (i - 1) * step)));
            double first = (double)((cost[2] - cost[0]) / (2 * step));
            double second =
                (double)((cost[2] - 2 * cost[1] + cost[0]) / ((long double)step * step));
            slope[a - begin] += first;
            slope[b - begin] -= first;
            curve[a - begin] += second;
            curve[b - begin] += second;
            total += 2 * fabs(first);
        }
    }
    double scale = norm && total > 0 ? log2(1 + total) / total : 1;
    for (size_t i = 0; i < count; i++) {
        double w = weight_of(f, begin + i) * scale;
        assert_close(f->gradient[begin + i], slope[i] * w, 3e-6, "lambda", begin + i);
        assert_close(f->hessian[begin + i], curve[i] * w, 3e-5, "curvature", begin + i);
    }
    free(slope);
    free(curve);
}

static void test_lambdarank(void **state) {
    struct fixture *f = *state;
    static const char *const params[] = {
        "objective=lambdarank",
        "objective=lambdarank,lambdarank_norm=false,sigmoid=2",
        "objective=lambdarank,lambdarank_norm=true,sigmoid=1,lambdarank_truncation_level=4",
    };
    for (size_t i = 0; i < 3; i++) {
        make(f, params[i], i == 1);
        gradients(f);
        for (size_t g = 0, begin = 0; g < GROUPS; begin += f->groups[g], g++)
            check_group(f, begin, f->groups[g], f->params.lambdarank_norm);
    }
}

/* Equal margins: earlier rows stand first, nothing is divided by their distance of zero. */
static void test_lambdarank_of_a_tie(void **state) {
    struct fixture *f = *state;
    make(f, "objective=lambdarank", false);
    memset(f->margin, 0, sizeof f->margin);
    gradients(f);
    double moved = 0;
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(isfinite(f->gradient[i]) && f->hessian[i] >= 0);
        moved += fabs((double)f->gradient[i]);
    }
    assert_true(moved > 1);
}

/* ---- starts and leaves ---- */

/* The start is where the gradients of a constant margin sum to zero. */
static void test_start_is_the_best_constant(void **state) {
    struct fixture *f = *state;
    static const char *const params[] = {"objective=regression", "objective=binary,sigmoid=1.7",
                                         "objective=multiclass,num_class=4"};
    for (size_t i = 0; i < 6; i++) {
        make(f, params[i / 2], i % 2);
        uint32_t outputs = lgbm_loss_outputs(f->loss);
        for (size_t row = 0; row < ROWS; row++)
            for (uint32_t k = 0; k < outputs; k++)
                f->margin[row * outputs + k] = lgbm_loss_start(f->loss, k);
        gradients(f);
        for (uint32_t k = 0; k < outputs; k++) {
            double sum = 0;
            for (size_t row = 0; row < ROWS; row++) sum += f->gradient[k * ROWS + row];
            assert_close(sum / ROWS, 0, 1e-7, "mean gradient", k);
        }
        lgbm_params_set(&f->params, "num_class", "1", 1, NULL, &f->err);
    }
}

static void test_starts_of_the_others(void **state) {
    struct fixture *f = *state;
    make(f, "objective=huber", false);
    double mean = 0;
    for (size_t i = 0; i < ROWS; i++) mean += f->labels[i] / ROWS;
    assert_close(lgbm_loss_start(f->loss, 0), mean, 1e-12, "start", 0);
    make(f, "objective=lambdarank", false);
    assert_close(lgbm_loss_start(f->loss, 0), 0, 0, "start", 0);
}

static int ascending(const void *a, const void *b) {
    return descending(b, a);
}

static double sorted_percentile(const double *values, size_t count, double alpha) {
    double *sorted = malloc((count + 1) * sizeof *sorted), at = alpha * (double)(count - 1);
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ascending);
    size_t low = (size_t)at, high = low + 1 < count ? low + 1 : low;
    double value = sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
    free(sorted);
    return value;
}

static void test_percentiles(void **state) {
    struct fixture *f = *state;
    double values[300], copy[300];
    struct weighted_value weighted[300];
    for (int round = 0; round < 3000; round++) {
        size_t count = 1 + (size_t)rng_below(&f->r, 300);
        double alpha = round % 3 ? rng_f64(&f->r) : 0.5;
        for (size_t i = 0; i < count; i++) {
            values[i] = round % 2 ? rng_normal(&f->r) : (double)rng_below(&f->r, 5);
            weighted[i] = (struct weighted_value){values[i], 0.25};
        }
        double want = sorted_percentile(values, count, alpha);
        memcpy(copy, values, sizeof copy);
        assert_close(lgbm_percentile(copy, count, alpha), want, 1e-12, "percentile", count);
        assert_close(lgbm_percentile_weighted(weighted, count, alpha), want, 1e-9,
                     "percentile of equal weights", count);
        /* With weights: between the values whose weights enclose the share asked for. */
        double total = 0, below = 0, upto = 0;
        for (size_t i = 0; i < count; i++) total += weighted[i].weight = 0.1 + rng_f64(&f->r);
        double have = lgbm_percentile_weighted(weighted, count, alpha), widest = 0;
        for (size_t i = 0; i < count; i++) {
            below += weighted[i].value < have ? weighted[i].weight : 0;
            upto += weighted[i].value <= have ? weighted[i].weight : 0;
            widest = fmax(widest, weighted[i].weight);
        }
        assert_true(below <= alpha * total + widest && upto >= alpha * total - widest);
    }
}

static void test_leaves_are_renewed(void **state) {
    struct fixture *f = *state;
    uint32_t rows[40];
    double residual[40], value = 0;
    make(f, "objective=quantile,alpha=0.8", false);
    for (size_t i = 0; i < 40; i++) {
        rows[i] = (uint32_t)(i * 7 + 3);
        residual[i] = f->labels[rows[i]] - f->margin[rows[i]];
    }
    assert_true(lgbm_loss_renew(f->loss, &value, f->margin, 0, rows, 40));
    assert_close(value, sorted_percentile(residual, 40, 0.8), 1e-12, "leaf", 0);
    make(f, "objective=regression_l1", true);
    assert_true(lgbm_loss_renew(f->loss, &value, f->margin, 0, rows, 1));
    assert_close(value, f->labels[rows[0]] - f->margin[rows[0]], 1e-12, "leaf", 0);
    make(f, "objective=huber", false); /* keeps -G/H, as LightGBM does */
    assert_false(lgbm_loss_renew(f->loss, &value, f->margin, 0, rows, 40));
}

/* ---- custom ---- */

static void libm_logistic(void *context, const double *margin, float *gradient, float *hessian,
                          size_t rows, uint32_t outputs) {
    const double *labels = context;
    for (size_t i = 0; i < rows * outputs; i++) {
        double p = 1 / (1 + exp(-margin[i]));
        gradient[i] = (float)(p - labels[i / outputs]);
        hessian[i] = (float)(p * (1 - p));
    }
}

static void test_custom_equals_binary(void **state) {
    struct fixture *f = *state;
    static float gradient[ROWS], hessian[ROWS];
    make(f, "objective=binary", true);
    gradients(f);
    memcpy(gradient, f->gradient, sizeof gradient);
    memcpy(hessian, f->hessian, sizeof hessian);
    lgbm_loss_destroy(f->loss);
    f->loss = NULL;
    f->params.objective = LGBM_CUSTOM;
    f->params.custom = libm_logistic;
    f->params.custom_context = f->labels;
    assert_int_equal(lgbm_loss_create(&f->loss, &f->params, &f->set, NULL, &f->err), ST_OK);
    gradients(f);
    for (size_t i = 0; i < ROWS; i++) {
        assert_close(f->gradient[i], gradient[i], 1e-6, "gradient", i);
        assert_close(f->hessian[i], hessian[i], 1e-6, "hessian", i);
    }
}

static void three_outputs(void *context, const double *margin, float *gradient, float *hessian,
                          size_t rows, uint32_t outputs) {
    (void)context;
    for (size_t i = 0; i < rows * outputs; i++) {
        gradient[i] = (float)margin[i];
        hessian[i] = (float)(i % outputs) + 1;
    }
}

static void test_custom_outputs_are_told_apart(void **state) {
    struct fixture *f = *state;
    f->params.custom = three_outputs;
    make(f, "objective=custom,num_class=3", false);
    gradients(f);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < 3; k++) {
            assert_close(f->gradient[k * ROWS + i], f->margin[i * 3 + k], 1e-6, "gradient", i);
            assert_close(f->hessian[k * ROWS + i], (double)k + 1, 0, "hessian", i);
        }
}

/* ---- metrics ---- */

static double mean_of(const struct fixture *f, row_loss_fn loss) {
    uint32_t outputs = lgbm_loss_outputs(f->loss);
    long double sum = 0, total = 0;
    for (size_t i = 0; i < ROWS; i++) {
        sum += loss(f, i, f->margin + i * outputs) * weight_of(f, i);
        total += weight_of(f, i);
    }
    return (double)(sum / total);
}

static void test_metrics_are_mean_losses(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *params;
        row_loss_fn loss;
        double factor;
    } cases[] = {
        {"objective=regression", square_loss, 2},
        {"objective=regression_l1", absolute_loss, 1},
        {"objective=huber,alpha=0.7", huber_loss, 1},
        {"objective=quantile,alpha=0.3", pinball_loss, 1},
        {"objective=binary,sigmoid=1.5", binary_loss, 1},
        {"objective=multiclass,num_class=4", softmax_loss, 1},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        make(f, cases[i / 2].params, i % 2);
        assert_close(lgbm_loss_metric(f->loss, f->margin),
                     cases[i / 2].factor * mean_of(f, cases[i / 2].loss), 1e-12,
                     cases[i / 2].params, 0);
    }
    lgbm_params_set(&f->params, "num_class", "1", 1, NULL, &f->err);
    make(f, "objective=rmse", false);
    assert_close(lgbm_loss_metric(f->loss, f->margin), sqrt(2 * mean_of(f, square_loss)), 1e-12,
                 "rmse", 0);
}

static void test_errors_and_auc(void **state) {
    struct fixture *f = *state;
    make(f, "objective=binary,metric=binary_error", true);
    double wrong = 0, total = 0, ordered = 0, pairs = 0;
    for (size_t i = 0; i < ROWS; i++) {
        f->margin[i] = floor(f->margin[i] * 4) / 4 + 0.125; /* ties */
        total += f->weights[i];
        if ((f->margin[i] > 0) != (f->labels[i] > 0)) wrong += f->weights[i];
    }
    assert_close(lgbm_loss_metric(f->loss, f->margin), wrong / total, 1e-12, "error", 0);
    lgbm_loss_destroy(f->loss);
    f->loss = NULL;
    f->params.metric = LGBM_METRIC_AUC;
    assert_int_equal(lgbm_loss_create(&f->loss, &f->params, &f->set, NULL, &f->err), ST_OK);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < ROWS; j++) {
            if (!(f->labels[i] > f->labels[j])) continue;
            double w = f->weights[i] * f->weights[j];
            pairs += w;
            ordered += f->margin[i] > f->margin[j] ? w : f->margin[i] < f->margin[j] ? 0 : w / 2;
        }
    }
    assert_close(lgbm_loss_metric(f->loss, f->margin), ordered / pairs, 1e-12, "auc", 0);
    make(f, "objective=multiclass,num_class=4,metric=multi_error", false);
    wrong = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const double *m = f->margin + i * 4;
        for (size_t k = 0; k < 4; k++)
            if (k != (size_t)f->labels[i] && m[k] >= m[(size_t)f->labels[i]]) {
                wrong++;
                break;
            }
    }
    assert_close(lgbm_loss_metric(f->loss, f->margin), wrong / ROWS, 1e-12, "error", 0);
}

static void test_ndcg(void **state) {
    struct fixture *f = *state;
    make(f, "objective=lambdarank,eval_at=1,3", false);
    for (size_t i = 0; i < f->groups[2]; i++) /* nothing relevant: counts as 1 */
        f->labels[f->groups[0] + f->groups[1] + i] = 0;
    double sum = 0;
    for (size_t g = 0, begin = 0; g < GROUPS; begin += f->groups[g], g++) {
        double best = best_dcg(f->labels + begin, f->groups[g], 3), dcg = 0;
        for (size_t i = begin; i < begin + f->groups[g]; i++) {
            size_t place = place_of(f, begin, f->groups[g], i);
            if (place < 3) dcg += gain(f->labels[i]) * discount(place);
        }
        sum += best > 0 ? dcg / best : 1;
    }
    assert_close(lgbm_loss_metric(f->loss, f->margin), sum / GROUPS, 1e-12, "ndcg@3", 0);
}

/* ---- what a set must be ---- */

static void assert_bad(struct fixture *f, const char *why) {
    lgbm_loss_destroy(f->loss);
    f->loss = NULL;
    enum status st = lgbm_loss_create(&f->loss, &f->params, &f->set, NULL, &f->err);
    if (st != ST_INVALID || !strstr(f->err.text, why)) fail_msg("\"%s\"", f->err.text);
}

static void test_bad_rows_are_named(void **state) {
    struct fixture *f = *state;
    make(f, "objective=binary", true);
    f->labels[17] = 2;
    assert_bad(f, "row 17: label 2");
    f->labels[17] = 0.5;
    assert_bad(f, "row 17: label 0.5");
    f->labels[17] = NAN;
    assert_bad(f, "row 17");
    f->labels[17] = 1;
    f->weights[5] = 0;
    assert_bad(f, "row 5: weight 0");
    f->weights[5] = 1;
    make(f, "objective=multiclass,num_class=4", false);
    f->labels[9] = 4;
    assert_bad(f, "row 9: label 4 is not a class from 0 to 3");
    lgbm_params_set(&f->params, "num_class", "1", 1, NULL, &f->err);
    make(f, "objective=lambdarank", false);
    f->groups[3]++;
    assert_bad(f, "701 rows");
    f->groups[3]--;
    f->labels[2] = 31;
    assert_bad(f, "row 2: label 31");
    make(f, "objective=regression", false);
    f->labels[3] = INFINITY;
    assert_bad(f, "row 3");
}

static void test_one_class_cannot_learn(void **state) {
    struct fixture *f = *state;
    make(f, "objective=binary", false);
    for (size_t i = 0; i < ROWS; i++) f->labels[i] = 1;
    lgbm_loss_destroy(f->loss);
    f->loss = NULL;
    assert_int_equal(lgbm_loss_create(&f->loss, &f->params, &f->set, NULL, &f->err), ST_OK);
    assert_false(lgbm_loss_trainable(f->loss, 0));
    assert_true(lgbm_loss_start(f->loss, 0) > 30);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_squares),
        TEST(test_absolute_huber_quantile),
        TEST(test_binary),
        TEST(test_binary_far_out_stays_finite),
        TEST(test_multiclass),
        TEST(test_multiclass_far_out_stays_finite),
        TEST(test_class_weights_are_weights),
        TEST(test_lambdarank),
        TEST(test_lambdarank_of_a_tie),
        TEST(test_start_is_the_best_constant),
        TEST(test_starts_of_the_others),
        TEST(test_percentiles),
        TEST(test_leaves_are_renewed),
        TEST(test_custom_equals_binary),
        TEST(test_custom_outputs_are_told_apart),
        TEST(test_metrics_are_mean_losses),
        TEST(test_errors_and_auc),
        TEST(test_ndcg),
        TEST(test_bad_rows_are_named),
        TEST(test_one_class_cannot_learn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
