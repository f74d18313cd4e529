/* The hidden Markov model against enumeration of all paths, against the chain it was drawn from,
 * and beside the rules on made-up markets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brain/regime/regime.h"
#include "brain/regime/test_regime_series.h"

static double density(const struct regime_hmm *m, uint32_t state, const struct regime_bar *b) {
    double p = 1;
    for (int d = 0; d < REGIME_DIMS; d++) {
        if (isnan(b->x[d])) continue;
        double z = (b->x[d] - m->mean[state][d]) / m->sd[state][d];
        p *= exp(-0.5 * z * z) / (m->sd[state][d] * sqrt(2 * acos(-1.0)));
    }
    return p;
}

/* P(bars, path ends in j), by adding up every path: k^n of them. */
static void enumerate(double ends[REGIME_STATES_MAX], const struct regime_hmm *m,
                      const struct regime_bar *bars, size_t n) {
    size_t paths = 1;
    for (size_t t = 0; t < n; t++) paths *= m->states;
    memset(ends, 0, REGIME_STATES_MAX * sizeof *ends);
    for (size_t path = 0; path < paths; path++) {
        size_t rest = path;
        uint32_t last = 0;
        double p = 1;
        for (size_t t = 0; t < n; t++, rest /= m->states) {
            uint32_t j = (uint32_t)(rest % m->states);
            p *= t == 0 ? m->start[j] : m->move[last][j];
            p *= density(m, j, &bars[t]);
            last = j;
        }
        ends[last] += p;
    }
}

static const struct regime_hmm three = {
    .states = 3,
    .start = {0.5, 0.3, 0.2},
    .move = {{0.90, 0.07, 0.03}, {0.05, 0.90, 0.05}, {0.02, 0.08, 0.90}},
    .mean = {{0.0, -5}, {0.004, -4}, {-0.002, -3}},
    .sd = {{0.003, 0.4}, {0.006, 0.5}, {0.03, 0.4}}};

static uint32_t draw(struct rng *r, const double *p, uint32_t count) {
    double u = rng_f64(r);
    uint32_t j = 0;
    while (j + 1 < count && u >= p[j]) u -= p[j++];
    return j;
}

static void sample(struct regime_bar *bars, uint8_t *states, size_t n, const struct regime_hmm *m,
                   struct rng *r) {
    for (size_t t = 0; t < n; t++) {
        states[t] = (uint8_t)draw(r, t ? m->move[states[t - 1]] : m->start, m->states);
        for (int d = 0; d < REGIME_DIMS; d++)
            bars[t].x[d] = m->mean[states[t]][d] + m->sd[states[t]][d] * rng_normal(r);
    }
}

static void the_filter_is_the_sum_over_all_paths(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (int round = 0; round < 20; round++) {
        enum { N = 8 };
        struct regime_bar bars[N];
        uint8_t states[N];
        sample(bars, states, N, &three, &r);
        if (round % 2) bars[3].x[0] = bars[3].x[1] = bars[5].x[1] = NAN;
        struct regime_filter f;
        regime_filter_init(&f);
        double log_likelihood = 0;
        for (int t = 0; t < N; t++) log_likelihood += regime_filter_step(&f, &three, &bars[t]);
        double ends[REGIME_STATES_MAX], total = 0;
        enumerate(ends, &three, bars, N);
        for (int j = 0; j < 3; j++) total += ends[j];
        assert_true(fabs(log_likelihood - log(total)) < 1e-9);
        for (int j = 0; j < 3; j++) assert_true(fabs(f.p[j] - ends[j] / total) < 1e-10);
        /* And the forecast is what a bar with that one figure would have had as density. */
        struct regime_bar next = {{0.01, NAN}};
        double said = regime_filter_forecast(&f, &three, 0, 0.01);
        assert_true(fabs(said - regime_filter_step(&f, &three, &next)) < 1e-10);
    }
}

/* One E- and M-step by enumeration: posteriors of every state and pair at every time. */
static void one_step_of_baum_welch(void **state) {
    (void)state;
    enum { N = 100, K = 2, PART = 10 };
    /* Ten series of ten bars: 2^10 paths each can be enumerated, 100 bars can be fitted. */
    struct regime_hmm truth = {.states = K,
                               .start = {0.5, 0.5},
                               .move = {{0.9, 0.1}, {0.2, 0.8}},
                               .mean = {{0, -5}, {0.01, -3.5}},
                               .sd = {{0.004, 0.4}, {0.02, 0.4}}};
    struct regime_bar bars[N];
    uint8_t states[N];
    size_t lengths[N / PART];
    struct rng r = rng_init(5);
    for (size_t i = 0; i < N / PART; i++) {
        lengths[i] = PART;
        sample(bars + i * PART, states + i * PART, PART, &truth, &r);
    }
    struct regime_fit_options o = regime_fit_options_defaults();
    double *work = malloc(regime_hmm_work_count(N) * sizeof *work);
    struct regime_hmm first, second;
    o.restarts = 1;
    o.stay_least = 0;
    o.iterations_max = 3;
    assert_true(regime_hmm_fit(&first, bars, lengths, N / PART, K, &o, work));
    o.iterations_max = 4;
    assert_true(regime_hmm_fit(&second, bars, lengths, N / PART, K, &o, work));
    free(work);

    double start[K] = {0}, move[K][K] = {{0}}, weight[K] = {0}, sum[K][REGIME_DIMS] = {{0}},
           square[K][REGIME_DIMS] = {{0}}, log_likelihood = 0;
    for (size_t i = 0; i < N / PART; i++) {
        const struct regime_bar *b = bars + i * PART;
        double p[1 << PART], total = 0;
        for (size_t path = 0; path < 1 << PART; path++) {
            p[path] = 1;
            for (size_t t = 0; t < PART; t++) {
                size_t j = path >> t & 1, before = t ? path >> (t - 1) & 1 : 0;
                p[path] *= (t ? first.move[before][j] : first.start[j]) *
                           density(&first, (uint32_t)j, &b[t]);
            }
            total += p[path];
        }
        log_likelihood += log(total);
        for (size_t path = 0; path < 1 << PART; path++)
            for (size_t t = 0; t < PART; t++) {
                size_t j = path >> t & 1;
                double w = p[path] / total;
                if (t == 0)
                    start[j] += w;
                else
                    move[path >> (t - 1) & 1][j] += w;
                weight[j] += w;
                for (int d = 0; d < REGIME_DIMS; d++) {
                    sum[j][d] += w * b[t].x[d];
                    square[j][d] += w * b[t].x[d] * b[t].x[d];
                }
            }
    }
    assert_true(fabs(first.log_likelihood - log_likelihood) < 1e-8);
    for (int j = 0; j < K; j++) {
        assert_true(fabs(second.start[j] - fmax(start[j] / (start[0] + start[1]), 1e-6)) < 1e-6);
        for (int i = 0; i < K; i++)
            assert_true(fabs(second.move[j][i] - move[j][i] / (move[j][0] + move[j][1])) < 1e-6);
        for (int d = 0; d < REGIME_DIMS; d++) {
            double mean = sum[j][d] / weight[j];
            assert_true(fabs(second.mean[j][d] - mean) < 1e-9);
            assert_true(fabs(second.sd[j][d] - sqrt(square[j][d] / weight[j] - mean * mean)) <
                        1e-7);
        }
    }
}

static void each_round_fits_better(void **state) {
    (void)state;
    enum { N = 600 };
    struct regime_bar bars[N];
    uint8_t states[N];
    size_t length = N;
    double *work = malloc(regime_hmm_work_count(N) * sizeof *work), last = -INFINITY;
    struct rng r = rng_init(test_seed());
    sample(bars, states, N, &three, &r);
    struct regime_fit_options o = regime_fit_options_defaults();
    o.restarts = 1;
    for (uint32_t i = 0; i < 40; i++) {
        struct regime_hmm m;
        o.iterations_max = i;
        assert_true(regime_hmm_fit(&m, bars, &length, 1, 3, &o, work));
        assert_true(m.log_likelihood >= last - 1e-6);
        assert_true(regime_hmm_check(&m));
        last = m.log_likelihood;
    }
    free(work);
}

static void finds_the_chain_it_was_drawn_from(void **state) {
    (void)state;
    enum { N = 6000 };
    static struct regime_bar bars[N];
    static uint8_t states[N];
    size_t lengths[] = {N / 2, 0, N / 2};
    double *work = malloc(regime_hmm_work_count(N) * sizeof *work), bic[REGIME_STATES_MAX + 1];
    struct rng r = rng_init(test_seed());
    for (uint32_t k = 2; k <= 3; k++) {
        struct regime_hmm truth = three, m;
        if (k == 2) {
            truth.states = 2;
            for (int i = 0; i < 2; i++) truth.move[i][1 - i] += truth.move[i][2];
            truth.start[0] = 0.7;
        }
        sample(bars, states, N, &truth, &r);
        for (int t = 100; t < 130; t++) bars[t].x[0] = bars[t].x[1] = NAN;
        struct regime_fit_options o = regime_fit_options_defaults();
        assert_true(regime_hmm_select(&m, bic, bars, lengths, 3, &o, work));
        print_message("%u states drawn, %u found: BIC %.0f %.0f %.0f\n", k, m.states, bic[2],
                      bic[3], bic[4]);
        assert_int_equal(m.states, k);
        assert_int_equal(m.samples, N - 30);
        struct regime_filter f;
        regime_filter_init(&f);
        uint32_t right = 0;
        for (int t = 0; t < N; t++) {
            regime_filter_step(&f, &m, &bars[t]);
            right += regime_filter_best(&f, &m) == states[t];
        }
        print_message("  %.3f of states right\n", (double)right / N);
        assert_true(right > 0.93 * N);
        for (uint32_t i = 0; i < k; i++) {
            assert_true(fabs(m.move[i][i] - truth.move[i][i]) < 0.03);
            assert_true(fabs(m.mean[i][1] - truth.mean[i][1]) < 0.05);
            assert_true(fabs(m.sd[i][0] / truth.sd[i][0] - 1) < 0.1);
        }
    }
    free(work);
}

static void refuses_what_it_cannot_fit(void **state) {
    (void)state;
    enum { N = 300 };
    static struct regime_bar bars[N];
    size_t length = N;
    double *work = malloc(regime_hmm_work_count(N) * sizeof *work);
    struct regime_fit_options o = regime_fit_options_defaults();
    struct regime_hmm m;
    for (int i = 0; i < N; i++) bars[i] = (struct regime_bar){{0.001 * (i % 7), -5}};
    assert_false(
        regime_hmm_fit(&m, bars, &length, 1, 2, &o, work)); /* one dimension stands still */
    assert_int_equal(m.states, 0);
    for (int i = 0; i < N; i++) bars[i].x[1] = i < 210 ? (double)NAN : -5.0 - i % 3;
    assert_false(regime_hmm_fit(&m, bars, &length, 1, 2, &o, work)); /* 90 known bars */
    for (int i = 0; i < N; i++) bars[i].x[1] = NAN;
    assert_false(regime_hmm_select(&m, NULL, bars, &length, 1, &o, work));
    free(work);
}

/* One strange bar among calm ones gets no state of infinite density for itself. */
static void no_state_collapses_onto_one_bar(void **state) {
    (void)state;
    enum { N = 400 };
    static struct regime_bar bars[N];
    size_t length = N;
    double *work = malloc(regime_hmm_work_count(N) * sizeof *work);
    struct rng r = rng_init(3);
    for (int i = 0; i < N; i++)
        bars[i] = (struct regime_bar){{0.01 * rng_normal(&r), -5 + 0.3 * rng_normal(&r)}};
    for (int i = 0; i < N; i += 40) bars[i] = (struct regime_bar){{0, -13.815510557964274}};
    struct regime_fit_options o = regime_fit_options_defaults();
    struct regime_hmm m;
    assert_true(regime_hmm_select(&m, NULL, bars, &length, 1, &o, work));
    assert_true(regime_hmm_check(&m));
    struct regime_filter f;
    regime_filter_init(&f);
    /* What no state expects neither divides by zero nor becomes NaN. */
    const struct regime_bar wild = {{5, 3}};
    for (int i = 0; i < 3; i++) assert_true(isfinite(regime_filter_step(&f, &m, &wild)));
    assert_true(isfinite(regime_filter_forecast(&f, &m, 0, -5)));
    free(work);
}

/* Phases of trend up, calm, trend down, wild: made-up, so who is right is known. */
static void beside_the_rules_on_made_up_phases(void **state) {
    (void)state;
    enum { PHASE = 250, PHASES = 40, N = PHASE * PHASES, TRAIN = N / 2 };
    static const struct series_kind kinds[] = {{.drift = 0.006, .noise = 0.006},
                                               {.noise = 0.006, .revert = 0.3},
                                               {.drift = -0.006, .noise = 0.006},
                                               {.noise = 0.09, .revert = 0.1}};
    static const enum regime names[] = {REGIME_TREND_UP, REGIME_RANGE_LOW_VOL, REGIME_TREND_DOWN,
                                        REGIME_HIGH_VOLATILITY};
    static struct regime_bar bars[N];
    static uint8_t regimes[N], truth[N];
    struct series series;
    struct regime_state s;
    struct regime_config c = regime_config_defaults();
    struct rng r = rng_init(test_seed());
    uint32_t by_rules = 0;
    series_init(&series);
    regime_init(&s);
    for (int i = 0; i < N; i++) {
        float row[FEATURE_COUNT];
        struct regime_input in;
        struct regime_reading reading;
        int phase = i / PHASE % 4;
        if (i % PHASE == 0) series.home = series.log_price;
        series_step(row, &series, &kinds[phase], &r);
        regime_input_from_row(&in, row);
        regime_bar_from_row(&bars[i], row);
        regime_step(&reading, &s, &c, &in);
        regimes[i] = (uint8_t)reading.regime;
        truth[i] = (uint8_t)names[phase];
        by_rules += i >= TRAIN && regimes[i] == truth[i];
    }
    series_deinit(&series);
    double *work = malloc(regime_hmm_work_count(TRAIN) * sizeof *work);
    size_t length = TRAIN;
    struct regime_hmm m;
    struct regime_fit_options o = regime_fit_options_defaults();
    assert_true(regime_hmm_fit(&m, bars, &length, 1, 4, &o, work));
    free(work);
    struct regime_filter f;
    regime_filter_init(&f);
    uint32_t by_hmm = 0;
    for (int i = 0; i < N; i++) {
        regime_filter_step(&f, &m, &bars[i]);
        by_hmm +=
            i >= TRAIN && (uint8_t)regime_hmm_label(&m, regime_filter_best(&f, &m), &c) == truth[i];
    }
    struct regime_comparison out;
    regime_compare(&out, &m, &c, regimes, bars, N, TRAIN);
    print_message("right: rules %.3f, model %.3f; agreement %.3f kappa %.3f information %.3f\n",
                  by_rules / (double)(N - TRAIN), by_hmm / (double)(N - TRAIN), out.agreement,
                  out.kappa, out.mutual_information);
    for (int k = 0; k < REGIME_FORECASTERS; k++)
        print_message("  %-8s return %.4f range %.4f\n",
                      regime_forecaster_text((enum regime_forecaster)k), out.score[k][0],
                      out.score[k][1]);
    assert_true(by_rules > 0.75 * (N - TRAIN));
    assert_true(by_hmm > 0.85 * (N - TRAIN));
    assert_true(out.kappa > 0.6 && out.mutual_information > 0.5);
    /* Where there are regimes, either of them beats knowing none; the model reads them earlier. */
    assert_true(out.score[REGIME_BY_RULES][0] > out.score[REGIME_BY_NOTHING][0] + 0.2);
    assert_true(out.score[REGIME_BY_HMM][0] > out.score[REGIME_BY_RULES][0]);
    assert_true(out.t_over_rules[REGIME_BY_HMM][0] > 3);
}

/* Where there are none, no forecaster may seem to know anything. */
static void noise_has_no_regimes(void **state) {
    (void)state;
    enum { N = 8000, TRAIN = N / 2 };
    static struct regime_bar bars[N];
    static uint8_t regimes[N];
    struct rng r = rng_init(test_seed());
    for (int i = 0; i < N; i++) {
        bars[i] = (struct regime_bar){{0.01 * rng_normal(&r), -4 + 0.4 * rng_normal(&r)}};
        regimes[i] = (uint8_t)(1 + rng_below(&r, 4));
    }
    double *work = malloc(regime_hmm_work_count(TRAIN) * sizeof *work), bic[REGIME_STATES_MAX + 1];
    size_t length = TRAIN;
    struct regime_hmm m;
    struct regime_fit_options o = regime_fit_options_defaults();
    struct regime_config c = regime_config_defaults();
    assert_true(regime_hmm_select(&m, bic, bars, &length, 1, &o, work));
    assert_int_equal(m.states, 2); /* the fewest there are */
    free(work);
    struct regime_comparison out;
    regime_compare(&out, &m, &c, regimes, bars, N, TRAIN);
    for (int d = 0; d < REGIME_DIMS; d++) {
        assert_true(fabs(out.score[REGIME_BY_HMM][d] - out.score[REGIME_BY_NOTHING][d]) < 0.01);
        assert_true(fabs(out.score[REGIME_BY_RULES][d] - out.score[REGIME_BY_NOTHING][d]) < 0.01);
    }
    /* The best score a normal can have: its own entropy. */
    assert_true(
        fabs(out.score[REGIME_BY_NOTHING][0] + log(0.01) + 0.5 * log(2 * acos(-1.0)) + 0.5) < 0.05);
    print_message("kappa %.4f information %.4f\n", out.kappa, out.mutual_information);
    /* NaN where the model calls every bar the same: there is nothing to share. */
    assert_true(fabs(out.kappa) < 0.05 && !(out.mutual_information > 0.02));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_filter_is_the_sum_over_all_paths),
        cmocka_unit_test(one_step_of_baum_welch),
        cmocka_unit_test(each_round_fits_better),
        cmocka_unit_test(finds_the_chain_it_was_drawn_from),
        cmocka_unit_test(refuses_what_it_cannot_fit),
        cmocka_unit_test(no_state_collapses_onto_one_bar),
        cmocka_unit_test(beside_the_rules_on_made_up_phases),
        cmocka_unit_test(noise_has_no_regimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
