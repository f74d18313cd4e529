/* Rules and model on real hourly candles: the comparison is printed, and what must hold whatever it
 * says is asserted. The model is fitted on the first half of each symbol and scored on the second.
 * Skipped without the reference data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "brain/regime/regime.h"
#include "feature/feature.h"
#include "store/import.h"
#include "store/test_store.h"

static const char *reference;
static const char *const symbols[] = {"BTCUSDT", "ETHUSDT", "DOGEUSDT", "1000PEPEUSDT"};
enum { SYMBOLS = sizeof symbols / sizeof *symbols };

struct market {
    struct regime_bar *bars;
    uint8_t *regimes;
    size_t count;
    uint64_t raw_switches, switches, share[REGIME_COUNT];
};

static void read_market(struct market *out, const struct candles *candles) {
    struct regime_config c = regime_config_defaults();
    struct regime_state s;
    struct feature_series *features = aligned_alloc(64, feature_series_size());
    uint32_t last = REGIME_COUNT;
    assert_non_null(features);
    *out = (struct market){.count = candles->count};
    out->bars = calloc(out->count, sizeof *out->bars);
    out->regimes = calloc(out->count, 1);
    feature_series_init(features, candles->interval_ns);
    regime_init(&s);
    for (size_t t = 0; t < out->count; t++) {
        float row[FEATURE_COUNT];
        struct regime_input in;
        struct regime_reading raw, r;
        feature_step(row, features, &candles->bars[t]);
        regime_input_from_row(&in, row);
        regime_bar_from_row(&out->bars[t], row);
        regime_classify(&raw, &c, &in);
        out->raw_switches += t > 0 && raw.regime != last;
        last = raw.regime;
        regime_step(&r, &s, &c, &in);
        out->regimes[t] = (uint8_t)r.regime;
        out->share[r.regime]++;
    }
    out->switches = s.switches;
    free(features);
}

static void print_market(const char *symbol, const struct market *m) {
    print_message("%s: %zu bars; a change every %.1f bars by the rules alone, %.1f held\n ", symbol,
                  m->count, (double)m->count / (double)m->raw_switches,
                  (double)m->count / (double)m->switches);
    for (uint32_t r = 0; r < REGIME_COUNT; r++)
        print_message(" %s %.3f", regime_text((enum regime)r),
                      (double)m->share[r] / (double)m->count);
    print_message("\n");
}

static void print_model(const struct regime_hmm *m, const double *bic,
                        const struct regime_config *c) {
    print_message("  BIC of 2, 3, 4 states: %.0f %.0f %.0f; %u taken, %u rounds\n", bic[2], bic[3],
                  bic[4], m->states, m->iterations);
    for (uint32_t j = 0; j < m->states; j++)
        print_message("    %-15s return %+.5f sd %.4f, range %.4f, stays %.3f\n",
                      regime_text(regime_hmm_label(m, j, c)), m->mean[j][0], m->sd[j][0],
                      exp(m->mean[j][1]), m->move[j][j]);
}

static void print_comparison(const struct regime_comparison *out) {
    print_message("  agreement %.3f kappa %.3f information %.3f; %llu bars scored\n",
                  out->agreement, out->kappa, out->mutual_information,
                  (unsigned long long)out->scored);
    for (uint32_t f = 0; f < REGIME_FORECASTERS; f++)
        print_message("    %-8s return %.4f (t %+.1f)  log range %.4f (t %+.1f)\n",
                      regime_forecaster_text((enum regime_forecaster)f), out->score[f][0],
                      out->t_over_rules[f][0], out->score[f][1], out->t_over_rules[f][1]);
}

static void rules_and_model_on_real_candles(void **state) {
    (void)state;
    char dir[SCRATCH_SIZE], path[4096];
    struct err err;
    struct regime_config c = regime_config_defaults();
    struct regime_fit_options o = regime_fit_options_defaults();
    scratch_make(dir);
    for (int i = 0; i < SYMBOLS; i++) {
        const char *paths[] = {path};
        struct import_totals totals;
        struct import_options options = {.store = dir, .problems_max = 5};
        struct candles candles;
        struct market m;
        struct regime_hmm model;
        struct regime_comparison out;
        double bic[REGIME_STATES_MAX + 1];
        snprintf(path, sizeof path, "%s/data/klines/um-1h/%s.csv.zst", reference, symbols[i]);
        assert_int_equal(import_paths(&totals, &options, paths, 1, &err), ST_OK);
        assert_int_equal(candles_open(&candles, dir, "um", NS_PER_HOUR, symbols[i], &err), ST_OK);
        read_market(&m, &candles);
        candles_close(&candles);
        print_market(symbols[i], &m);

        size_t train = m.count / 2;
        double *work = malloc(regime_hmm_work_count(train) * sizeof *work);
        assert_true(regime_hmm_select(&model, bic, m.bars, &train, 1, &o, work));
        free(work);
        print_model(&model, bic, &c);
        regime_compare(&out, &model, &c, m.regimes, m.bars, m.count, train);
        print_comparison(&out);

        /* Hysteresis must hold on data nobody made, and the rules say something most of the
         * time. */
        assert_true(m.switches * 4 < m.raw_switches * 3);
        assert_true((double)m.share[REGIME_UNKNOWN] < 0.5 * (double)m.count);
        assert_true(regime_hmm_check(&model));
        assert_int_equal(model.converged, 1);
        /* Volatility clusters: either of them must know more than one normal for all bars. */
        assert_true(out.score[REGIME_BY_HMM][0] > out.score[REGIME_BY_NOTHING][0]);
        assert_true(out.score[REGIME_BY_HMM][1] > out.score[REGIME_BY_NOTHING][1]);
        free(m.bars);
        free(m.regimes);
    }
    scratch_remove(dir);
}

int main(void) {
    reference = getenv("QUANTUM_REFERENCE");
    if (!reference) {
        puts("skipped: QUANTUM_REFERENCE does not name the folder of the reference data");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules_and_model_on_real_candles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
