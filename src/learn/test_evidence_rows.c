/* Where the evidence comes from: returns as the engine's forecasts tell them, samples of training rows, and nothing of the test rows in
 * what is fitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "brain/governance/forecasts.h"
#include "learn/learn_internal.h"
#include "learn/test_market.h"
#include "ml/model_io/model_io.h"

static struct learn_rows rows_of(const struct market *m, const struct learn_config *c) {
    struct learn_rows r;
    struct err err = {0};
    if (learn_rows_build(&r, m->series, m->count, c, NULL, NULL, &err) != ST_OK)
        fail_msg("%s", err.text);
    return r;
}

/* ---- returns ---- */

/* Bars that jump over barriers, touch both, or neither: what service will call the realised return, to the last bit. */
static void returns_are_those_of_forecasts(void **state) {
    (void)state;
    enum { N = 20000, HORIZON = 5 };
    struct rng r = rng_init(market_seed());
    struct label_spec spec = label_spec_defaults();
    struct bar *bars = calloc(N, sizeof *bars);
    float *atr = malloc(N * sizeof *atr), *moves = malloc(N * sizeof *moves);
    int8_t *labels = malloc(N);
    uint32_t *ends = malloc(N * sizeof *ends);
    double price = 1e9;
    spec.horizon_bars = HORIZON;
    for (size_t i = 0; i < N; i++) {
        double open = price * (1 + (rng_below(&r, 4) ? 0 : 0.01 * rng_normal(&r)));
        double close = open * (1 + 0.004 * rng_normal(&r));
        double high = fmax(open, close) * (1 + 0.006 * rng_f64(&r));
        double low = fmin(open, close) * (1 - 0.006 * rng_f64(&r));
        bars[i] = (struct bar){.open_ts_ns = (int64_t)i * NS_PER_HOUR,
                               .open = px_e8((int64_t)open),
                               .high = px_e8((int64_t)high + 1),
                               .low = px_e8((int64_t)low),
                               .close = px_e8((int64_t)close),
                               .volume = 1};
        atr[i] = (float)(0.002 + 0.006 * rng_f64(&r));
        price = close;
    }
    label_make(labels, moves, ends, bars, atr, N, NS_PER_HOUR, &spec);
    struct forecasts f;
    struct forecast over;
    struct model_vote votes[MODEL_COUNT] = {
        {.state = VOTE_PRESENT, .p = {0.25, 0.25, 0.5}, .move = 1}};
    struct ensemble_signal signal = {.weights = {1}, .p = {0.25, 0.25, 0.5}, .move = 1};
    size_t seen[LABEL_COUNT] = {0}, jumped = 0;
    forecasts_init(&f, NS_PER_HOUR, HORIZON);
    for (size_t i = 0; i < N; i++) {
        if (forecasts_bar(&f, &over, &bars[i])) {
            size_t t = (size_t)(over.decided_ts_ns / NS_PER_HOUR);
            double distance = label_barrier(&spec, (double)atr[t]);
            assert_int_equal(over.outcome.label, labels[t]);
            double moved = label_return(bars, t, ends[t], (enum label)labels[t], distance);
            assert_true(moved == over.outcome.realised_return);
            seen[(size_t)labels[t]]++;
            jumped += fabs(moved) > distance + 1e-6;
        }
        assert_true(forecasts_add(&f, &bars[i], label_barrier(&spec, (double)atr[i]), votes,
                                  &signal, NULL));
    }
    assert_true(seen[0] > 1000 && seen[1] > 1000 && seen[2] > 1000 && jumped > 500);
    free(bars);
    free(atr);
    free(moves);
    free(labels);
    free(ends);
}

/* ---- samples ---- */

static struct model_evidence *inputs_of(const struct learn_rows *r, size_t begin, size_t count) {
    bool reads[FEATURE_COUNT_MAX];
    struct err err;
    struct model_evidence *e = calloc(1, sizeof *e);
    memset(reads, true, sizeof reads);
    assert_int_equal(learn_evidence_inputs(e, r, (struct learn_range){begin, count}, reads, &err),
                     ST_OK);
    return e;
}

/* Cells hold a tenth each of a smooth column, of all rows as of the sampled ones. */
static void cells_are_tenths_of_all_rows(void **state) {
    (void)state;
    struct market m;
    struct learn_config c = learn_config_defaults();
    market_make(&m, 8, 3000, market_seed(), 0.5);
    struct learn_rows r = rows_of(&m, &c);
    struct model_evidence *e = inputs_of(&r, 0, r.count);
    static const uint32_t columns[] = {FEATURE_LOG_RETURN_1, FEATURE_TAKER_IMBALANCE,
                                       FEATURE_ATR_FRACTION};
    for (size_t k = 0; k < 3; k++) {
        const struct drift_reference *d = &e->inputs[columns[k]];
        double share[DRIFT_CELLS] = {0};
        for (size_t i = 0; i < r.count; i++) {
            uint32_t cell = 1;
            while (cell <= d->edge_count &&
                   (double)r.features[i * r.columns + columns[k]] >= d->edge[cell - 1])
                cell++;
            share[cell] += 1.0 / (double)r.count;
        }
        assert_int_equal(d->rows, 24 * DRIFT_WINDOW);
        assert_int_equal(d->edge_count, DRIFT_BINS - 1);
        for (uint32_t cell = 1; cell <= DRIFT_BINS; cell++) {
            assert_true(fabs(d->share[cell] - 0.1) < 0.002);
            assert_true(fabs(share[cell] - 0.1) < 0.02);
        }
    }
    free(e);
    learn_rows_free(&r);
    market_free(&m);
}

/* Thinned to a fourth of the times: rows of service still vary as the reference says, within its own uncertainty. */
static void thinning_does_not_change_what_is_normal(void **state) {
    (void)state;
    struct market m;
    struct learn_config c = learn_config_defaults();
    market_make(&m, 8, 6000, market_seed(), 0.5);
    struct learn_rows whole = rows_of(&m, &c);
    c.rows_max = (uint32_t)(whole.count / 4);
    struct learn_rows thin = rows_of(&m, &c);
    assert_true(thin.stride >= 4 && thin.stride <= 5);
    struct model_evidence *a = inputs_of(&whole, 0, whole.count),
                          *b = inputs_of(&thin, 0, thin.count);
    static const uint32_t columns[] = {FEATURE_LOG_RETURN_1, FEATURE_TAKER_IMBALANCE,
                                       FEATURE_RSI_14, FEATURE_RETURN_96, FEATURE_MARKET_RETURN_24};
    for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
        double x = a->inputs[columns[k]].inflation, y = b->inputs[columns[k]].inflation;
        print_message("%s: inflation %.2f of all rows, %.2f of one time in %u\n",
                      feature_at(columns[k])->name, x, y, thin.stride);
        assert_true(y > x / 2.5 && y < x * 2.5);
    }
    free(a);
    free(b);
    learn_rows_free(&whole);
    learn_rows_free(&thin);
    market_free(&m);
}

/* The same rows, told as fewer stretches of time: a row counts for less. */
static void few_windows_make_cautious(void **state) {
    (void)state;
    struct market m;
    struct learn_config c = learn_config_defaults();
    market_make(&m, 8, 9000, market_seed(), 0);
    struct learn_rows r = rows_of(&m, &c);
    struct model_evidence *year = inputs_of(&r, 0, r.count),
                          *month = inputs_of(&r, 0, (size_t)8 * 720),
                          *day = inputs_of(&r, 0, (size_t)8 * 80);
    /* Candles of a random walk are independent: the inflation is the caution alone. */
    double a = year->inputs[FEATURE_CANDLE_BODY].inflation,
           b = month->inputs[FEATURE_CANDLE_BODY].inflation,
           d = day->inputs[FEATURE_CANDLE_BODY].inflation;
    print_message("a year %.2f, a month %.2f, three days %.2f\n", a, b, d);
    assert_true(a >= 1.4 && a < 3);
    assert_true(b > 4 && b > a);
    assert_true(d > 60 && d <= DRIFT_WINDOW);
    free(year);
    free(month);
    free(day);
    learn_rows_free(&r);
    market_free(&m);
}

/* A source without takers: the column is not watched. One that has them half of the time: missing is a cell. */
static void missing_columns(void **state) {
    (void)state;
    struct market m;
    struct learn_config c = learn_config_defaults();
    for (int half = 0; half < 2; half++) {
        market_make(&m, 4, 1500, market_seed(), 0.5);
        for (size_t s = 0; s < m.count; s++)
            for (size_t i = 0; i < 1500; i++)
                if (!half || s % 2) m.bars[s][i].taker_buy_ratio = NAN;
        struct learn_rows r = rows_of(&m, &c);
        struct model_evidence *e = inputs_of(&r, 0, r.count);
        const struct drift_reference *d = &e->inputs[FEATURE_TAKER_IMBALANCE];
        assert_true(e->inputs[FEATURE_CANDLE_BODY].rows > 0);
        if (half)
            assert_true(d->rows > 0 && fabs(d->share[0] - 0.5) < 0.02);
        else
            assert_int_equal(d->rows, 0);
        free(e);
        learn_rows_free(&r);
        market_free(&m);
    }
}

/* ---- nothing is fitted on test rows ---- */

/* Prices behind the test part's first decision turned into others: trees, calibration and the inputs' reference stay; what the test
 * says does not. */
static void the_test_part_moves_nothing_but_its_figures(void **state) {
    (void)state;
    enum { BARS = 2500 };
    static const char *const fitted[] = {"quantum.calibration.method", "quantum.calibration.SELL",
                                         "quantum.calibration.HOLD",   "quantum.calibration.BUY",
                                         "quantum.evidence.inputs",    "quantum.rounds"};
    static const char *const judged[] = {"quantum.evidence.loss", "quantum.evidence.residuals",
                                         "quantum.evidence.reliability"};
    struct market m;
    struct learn_config c = learn_config_defaults();
    struct learn_report report;
    struct tree_model *trees[2];
    struct err err = {0};
    char path[256];
    market_path(path, sizeof path, "leak.txt");
    c.kind = MODEL_LIGHTGBM;
    market_make(&m, 4, BARS, market_seed(), 0.5);
    for (int k = 0; k < 2; k++) {
        if (learn_train(&report, path, m.series, m.count, &c, NULL, NULL, &err) ||
            model_read(&trees[k], path, &err))
            fail_msg("%s", err.text);
        for (size_t s = 0; s < m.count; s++)
            for (size_t i = 0; i < BARS; i++) {
                struct bar *b = &m.bars[s][i];
                if (b->open_ts_ns < report.test_from_ns) continue;
                b->close = i % 3 ? b->low : b->high;
                b->volume *= 1 + (double)(i % 5);
            }
    }
    for (size_t i = 0; i < sizeof fitted / sizeof fitted[0]; i++)
        assert_string_equal(tree_model_attribute(trees[0], fitted[i]),
                            tree_model_attribute(trees[1], fitted[i]));
    for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++)
        assert_string_not_equal(tree_model_attribute(trees[0], judged[i]),
                                tree_model_attribute(trees[1], judged[i]));
    size_t watched = 0;
    for (uint32_t k = 0; k < feature_count(); k++) {
        char key[96];
        snprintf(key, sizeof key, "quantum.evidence.input.%s", feature_at(k)->name);
        const char *a = tree_model_attribute(trees[0], key);
        const char *b = tree_model_attribute(trees[1], key);
        assert_true((a == NULL) == (b == NULL));
        if (!a) continue;
        assert_string_equal(a, b);
        watched++;
    }
    assert_true(watched > 10);
    assert_int_equal(trees[0]->tree_count, trees[1]->tree_count);
    for (uint32_t t = 0; t < trees[0]->tree_count; t++) {
        const struct tree *a = &trees[0]->trees[t], *b = &trees[1]->trees[t];
        assert_int_equal(a->split_count, b->split_count);
        assert_memory_equal(a->leaf_value, b->leaf_value,
                            (a->split_count + 1) * sizeof *a->leaf_value);
    }
    tree_model_destroy(trees[0]);
    tree_model_destroy(trees[1]);
    unlink(path);
    market_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returns_are_those_of_forecasts),
        cmocka_unit_test(cells_are_tenths_of_all_rows),
        cmocka_unit_test(thinning_does_not_change_what_is_normal),
        cmocka_unit_test(few_windows_make_cautious),
        cmocka_unit_test(missing_columns),
        cmocka_unit_test(the_test_part_moves_nothing_but_its_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
