/* Outcomes against label_make fed with the ranges themselves; whose answers are taken. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "brain/governance/forecasts.h"
#include "walk/outcome.h"

enum { SYMBOLS = 3, BARS = 400, FIRST = 40 };

static struct bar bars[SYMBOLS][BARS];
static float atr[SYMBOLS][BARS];
static struct learn_series series[SYMBOLS];
static struct walk_decision records[BARS * SYMBOLS];
static struct walk_close closes[BARS];
static struct walk_decisions all;
static struct walk_outcome outcomes[BARS * SYMBOLS];

static void market(uint64_t seed) {
    struct rng r = rng_init(seed);
    static const char *const names[SYMBOLS] = {"A", "B", "C"};
    for (int s = 0; s < SYMBOLS; s++) {
        double px = 100;
        for (int i = 0; i < BARS; i++) {
            double open = px, close = px * (1 + 0.01 * rng_normal(&r));
            double high = fmax(open, close) * (1 + 0.004 * rng_f64(&r)),
                   low = fmin(open, close) * (1 - 0.004 * rng_f64(&r));
            int hole = s == 1 && i >= 200 ? 3 : 0; /* of three hours */
            bars[s][i] = (struct bar){.open_ts_ns = (1000 + i + hole) * NS_PER_HOUR,
                                      .open = px_e8((int64_t)(open * 1e8)),
                                      .high = px_e8((int64_t)(high * 1e8)),
                                      .low = px_e8((int64_t)(low * 1e8)),
                                      .close = px_e8((int64_t)(close * 1e8)),
                                      .volume = 1000};
            atr[s][i] = (float)(0.001 + 0.02 * rng_f64(&r));
            if (i % 17 == 3) atr[s][i] = NAN;
            px = close;
        }
        series[s] = (struct learn_series){names[s], bars[s], BARS};
    }
}

/* Every symbol that has a bar is decided about at every close. */
static void decide(const struct label_spec *spec) {
    all = (struct walk_decisions){
        .interval_ns = NS_PER_HOUR, .symbol_count = SYMBOLS, .closes = closes};
    memset(records, 0, sizeof records);
    size_t at[SYMBOLS] = {FIRST, FIRST, FIRST};
    for (int64_t h = 1000 + FIRST; h < 1000 + BARS; h++) {
        struct walk_close *c = &closes[all.close_count++];
        *c = (struct walk_close){(h + 1) * NS_PER_HOUR, &records[all.count], 0, 0, all.count};
        for (uint32_t s = 0; s < SYMBOLS; s++) {
            if (at[s] == BARS || bars[s][at[s]].open_ts_ns != h * NS_PER_HOUR) continue;
            struct walk_decision *d = &records[all.count++];
            d->symbol = s;
            d->distance = (float)label_barrier(spec, (double)atr[s][at[s]]);
            c->count++;
            at[s]++;
        }
    }
}

static void outcomes_are_the_labels_of_training(void **state) {
    (void)state;
    struct label_spec spec = label_spec_defaults();
    struct err err = {0};
    size_t known = 0, kinds[LABEL_COUNT] = {0};
    market(11);
    decide(&spec);
    assert_int_equal(walk_outcomes(outcomes, &all, series, &spec, &err), ST_OK);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        int8_t label[BARS];
        float move[BARS];
        uint32_t end[BARS];
        label_make(label, move, end, bars[s], atr[s], BARS, NS_PER_HOUR, &spec);
        size_t bar = FIRST;
        for (size_t i = 0; i < all.count; i++) {
            if (records[i].symbol != s) continue;
            assert_int_equal(outcomes[i].label, label[bar]);
            if (label[bar] >= 0) {
                double came =
                    (double)bars[s][bar + 12].close.e8 / (double)bars[s][bar].close.e8 - 1;
                assert_true(fabs((double)outcomes[i].came - came) < 1e-7);
                known++;
                kinds[label[bar]]++;
            } else
                assert_true(isnan(outcomes[i].came));
            bar++;
        }
    }
    assert_true(known > 800 && kinds[0] > 50 && kinds[1] > 50 && kinds[2] > 50);
}

/* Against the engine's own bookkeeping, bar by bar. */
static void settled_is_what_the_engine_learns_from(void **state) {
    (void)state;
    struct label_spec spec = label_spec_defaults();
    size_t compared = 0;
    market(14);
    decide(&spec);
    assert_int_equal(walk_outcomes(outcomes, &all, series, &spec, NULL), ST_OK);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct forecasts f;
        struct forecast over;
        struct model_vote votes[MODEL_COUNT] = {{VOTE_PRESENT, 0, {0.25, 0.25, 0.5}, 0.02}};
        struct ensemble_signal signal = {.voters = 1, .p = {0.25, 0.25, 0.5}, .weights = {1}};
        forecasts_init(&f, NS_PER_HOUR, spec.horizon_bars);
        for (size_t bar = FIRST; bar < BARS; bar++) {
            if (forecasts_bar(&f, &over, &bars[s][bar])) {
                for (size_t c = 0; c < all.close_count; c++) {
                    if (all.closes[c].close_ns != over.decided_ts_ns + NS_PER_HOUR) continue;
                    for (uint32_t i = 0; i < all.closes[c].count; i++) {
                        if (all.closes[c].decisions[i].symbol != s) continue;
                        const struct walk_outcome *o = &outcomes[all.closes[c].first + i];
                        assert_int_equal(o->label, over.outcome.label);
                        assert_true(fabs((double)o->settled - over.outcome.realised_return) < 1e-7);
                        compared++;
                    }
                }
            }
            forecasts_add(&f, &bars[s][bar], label_barrier(&spec, (double)atr[s][bar]), votes,
                          &signal, NULL);
        }
    }
    assert_true(compared > 800);
}

static void a_decision_without_a_bar_is_named(void **state) {
    (void)state;
    struct label_spec spec = label_spec_defaults();
    struct err err = {0};
    market(12);
    decide(&spec);
    series[2].bars++;
    series[2].count = 200;
    assert_int_equal(walk_outcomes(outcomes, &all, series, &spec, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "C has no bar"));
}

static void answers_of_each(void **state) {
    (void)state;
    struct walk_decision d = {.voters = 1,
                              .p = {0.1f, 0.2f, 0.7f},
                              .expected = 0.012f,
                              .weights = {1, 0, 0, 0},
                              .model_p = {{0.1f, 0.2f, 0.7f}, {0.5f, 0.25f, 0.25f}},
                              .model_move = {0.02f, 0.04f}};
    float p[LABEL_COUNT], e;
    assert_true(walk_answer(p, &e, &d, WALK_XGBOOST, false) && p[2] == 0.7f);
    assert_true(fabs((double)e - 0.012) < 1e-8);
    assert_true(walk_answer(p, &e, &d, WALK_XGBOOST, true));
    assert_true(walk_answer(p, &e, &d, WALK_LIGHTGBM, false)); /* answered, had no vote */
    assert_false(walk_answer(p, &e, &d, WALK_LIGHTGBM, true));
    assert_true(fabs((double)e + 0.01) < 1e-8);
    assert_false(walk_answer(p, &e, &d, WALK_NHITS, false)); /* no answer */
    /* sqrt(.05), sqrt(.05), sqrt(.175), normalised; move .03 */
    assert_true(walk_answer(p, &e, &d, WALK_POOL_ALL, false));
    double a = sqrt(0.05), b = sqrt(0.175), sum = 2 * a + b;
    assert_true(fabs((double)p[0] - a / sum) < 1e-7 && fabs((double)p[2] - b / sum) < 1e-7);
    assert_true(fabs((double)e - 0.03 * (b - a) / sum) < 1e-8);
    assert_true(walk_answer(p, &e, &d, WALK_ENSEMBLE, false) && e == 0.012f);
    d.voters = 0; /* an opinion */
    assert_true(walk_answer(p, &e, &d, WALK_ENSEMBLE, false) && e == 0.012f);
    assert_false(walk_answer(p, &e, &d, WALK_ENSEMBLE, true));
    memset(d.p, 0, sizeof d.p);
    assert_false(walk_answer(p, &e, &d, WALK_ENSEMBLE, false));
    memset(d.model_p, 0, sizeof d.model_p);
    assert_false(walk_answer(p, &e, &d, WALK_POOL_ALL, false));
}

static void samples_keep_time_and_leave_out_the_unknown(void **state) {
    (void)state;
    struct label_spec spec = label_spec_defaults();
    static struct walk_sample samples[BARS * SYMBOLS];
    market(13);
    decide(&spec);
    assert_int_equal(walk_outcomes(outcomes, &all, series, &spec, NULL), ST_OK);
    size_t want = 0;
    for (size_t i = 0; i < all.count; i++) {
        float *p = records[i].model_p[MODEL_NHITS];
        if (i % 5) p[0] = 0.25f, p[1] = 0.25f, p[2] = 0.5f;
        want += i % 5 && outcomes[i].label >= 0;
    }
    size_t n = walk_samples(samples, &all, outcomes, WALK_NHITS, false);
    assert_int_equal(n, want);
    for (size_t i = 1; i < n; i++) assert_true(samples[i].close >= samples[i - 1].close);
    assert_int_equal(walk_samples(samples, &all, outcomes, WALK_NHITS, true), 0);
    assert_int_equal(walk_samples(samples, &all, outcomes, WALK_XGBOOST, false), 0);
    struct walk_measures m;
    n = walk_samples(samples, &all, outcomes, WALK_NHITS, false);
    assert_int_equal(walk_measure(&m, samples, n, 12, NULL), ST_OK);
    assert_int_equal(m.rows, want);
}

static void coverage_counts_what_was_given(void **state) {
    (void)state;
    struct walk_decision d[4] = {{.has_interval = 1, .low = -0.01f, .high = 0.02f},
                                 {.has_interval = 1, .low = -0.01f, .high = 0.02f},
                                 {.has_interval = 0, .low = -1, .high = 1},
                                 {.has_interval = 1, .low = -0.01f, .high = 0.02f}};
    const struct walk_outcome o[4] = {
        {LABEL_HOLD, 0.05f, 0.02f}, {LABEL_BUY, 0, 0.021f}, {LABEL_BUY, 0, 0}, {-1, NAN, NAN}};
    struct walk_close c = {0, d, 4, 0, 0};
    struct walk_decisions w = {.closes = &c, .close_count = 1, .count = 4, .symbol_count = 4};
    struct walk_coverage got = walk_coverage_of(&w, o, 0, 1);
    assert_int_equal(got.given, 2);
    assert_int_equal(got.inside, 1);
    assert_int_equal(got.inside_horizon, 1);
    assert_true(fabs(got.width - 0.03) < 1e-8);
    assert_true(isnan(walk_coverage_of(&w, o, 0, 0).width));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_are_the_labels_of_training),
        cmocka_unit_test(settled_is_what_the_engine_learns_from),
        cmocka_unit_test(a_decision_without_a_bar_is_named),
        cmocka_unit_test(answers_of_each),
        cmocka_unit_test(samples_keep_time_and_leave_out_the_unknown),
        cmocka_unit_test(coverage_counts_what_was_given)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
