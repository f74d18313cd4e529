/* What networks learn where there is something to learn, and that they learn nothing where there is nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/learn_internal.h"
#include "learn/test_market.h"

enum { SYMBOLS = 6, BARS = 2600, LEAD = 8 };

/* The margins that are stated: mean square error of the path on the test rows. */
static const double below_persistence = 0.75, below_dlinear = 0.85;
static const double drift_sigmas = 0.45;

static enum model_kind kind; /* of this round of the tests */

/* Prices rise, fall or drift nowhere in phases of 30 bars on average, as in market_series; takers know the phase LEAD bars before the price
 * does. A linear map of returns sees the phase only once the price moves; what the others do tells it before. */
static void leading_series(struct bar *bars, size_t n, uint64_t seed) {
    struct rng root = rng_init(seed), r = rng_split(&root, 7);
    double price = 1e8 * (10 + (double)rng_below(&r, 5000)), sigma = 0.006;
    int *phase = malloc((n + LEAD) * sizeof *phase);
    if (!phase) abort();
    for (size_t i = 0; i < n + LEAD; i++) {
        phase[i] = i ? phase[i - 1] : 0;
        if (rng_below(&r, 30) == 0) phase[i] = (int)rng_below(&r, 3) - 1;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t ts = MARKET_START_NS + (int64_t)i * NS_PER_HOUR;
        bars[i] = market_bar(&r, &price, ts, phase[i] * drift_sigmas * sigma, sigma);
        bars[i].taker_buy_ratio += (float)(0.2 * phase[i + LEAD]);
    }
    free(phase);
}

static void leading_market(struct market *m, uint64_t seed) {
    market_make(m, SYMBOLS, BARS, seed, 0);
    for (size_t s = 0; s < SYMBOLS; s++) leading_series(m->bars[s], BARS, seed * 1000 + s);
}

static px_t scaled(px_t price, double by) {
    return px_e8((int64_t)((double)price.e8 * by));
}

/* The same bars in another order of time: each keeps its return, shape, volume and takers, none its neighbours. */
static void shuffle_time(struct market *m, uint64_t seed) {
    for (size_t s = 0; s < m->count; s++) {
        struct rng root = rng_init(seed), r = rng_split(&root, s);
        struct bar *bars = m->bars[s];
        double close = (double)bars[0].open.e8;
        for (size_t i = BARS; i > 1; i--) {
            size_t k = (size_t)rng_below(&r, i);
            int64_t a = bars[i - 1].open_ts_ns, b = bars[k].open_ts_ns;
            struct bar t = bars[i - 1];
            bars[i - 1] = bars[k];
            bars[k] = t;
            bars[i - 1].open_ts_ns = a;
            bars[k].open_ts_ns = b;
        }
        for (size_t i = 0; i < BARS; i++) { /* each opens where the one before closed */
            double by = close / (double)bars[i].open.e8;
            bars[i].open = scaled(bars[i].open, by);
            bars[i].high = scaled(bars[i].high, by);
            bars[i].low = scaled(bars[i].low, by);
            bars[i].close = scaled(bars[i].close, by);
            close = (double)bars[i].close.e8;
        }
    }
}

static void train(struct learn_report *r, const struct market *m, const struct learn_config *c) {
    char path[256];
    struct err err = {0};
    market_path(path, sizeof path, "net-market.safetensors");
    if (learn_train(r, path, m->series, m->count, c, NULL, NULL, &err) != ST_OK)
        fail_msg("%s", err.text);
    unlink(path);
    print_message("%s %s\n  epochs %u rows %zu/%zu/%zu share %.3f %.3f %.3f said %.3f %.3f %.3f\n",
                  model_kind_text(c->kind), r->verdict, r->rounds, r->rows_train, r->rows_valid,
                  r->rows_test, r->share[0], r->share[1], r->share[2], r->predicted_share[0],
                  r->predicted_share[1], r->predicted_share[2]);
}

static struct learn_config defaults(uint32_t epochs) {
    struct learn_config c = learn_config_defaults();
    c.kind = kind;
    c.rows_max = 5500;
    c.epochs = epochs;
    return c;
}

static void beats_persistence_and_dlinear(void **state) {
    (void)state;
    struct market m;
    struct learn_report r;
    struct learn_config c = defaults(kind == MODEL_NHITS ? 8 : 5);
    leading_market(&m, market_seed());
    train(&r, &m, &c);
    assert_true(r.mse_path < below_persistence * r.mse_persistence);
    assert_true(r.mse_path < below_dlinear * r.mse_dlinear);
    assert_true(r.mse_dlinear < r.mse_persistence); /* it, too, sees the drift */
    assert_true(r.has_skill);
    assert_true(r.skill_t > 3 && r.side_t > 3);
    assert_non_null(strstr(r.verdict, "skill: log-loss"));
    market_free(&m);
}

static void assert_at_chance(const struct learn_report *r) {
    assert_false(r->has_skill);
    assert_true(r->skill_t < 3);
    assert_true(r->logloss_test > r->logloss_prior - 0.02);
    assert_true(r->balanced_accuracy < 1.0 / 3 + 0.05);
}

/* The link from windows to labels cut; the path, which is not shuffled, may still be learned. */
static void shuffled_labels_score_at_chance(void **state) {
    (void)state;
    struct market m;
    struct learn_report r;
    struct learn_config c = defaults(kind == MODEL_NHITS ? 2 : 1);
    c.shuffle_labels = true;
    leading_market(&m, market_seed());
    train(&r, &m, &c);
    assert_true(r.shuffled);
    assert_at_chance(&r);
    assert_non_null(strstr(r.verdict, "at chance on shuffled labels"));
    market_free(&m);
}

/* The same bars without their order: nothing comes of anything. */
static void shuffled_time_ends_at_chance(void **state) {
    (void)state;
    struct market m;
    struct learn_report r;
    struct learn_config c = defaults(kind == MODEL_NHITS ? 2 : 1);
    leading_market(&m, market_seed());
    shuffle_time(&m, market_seed());
    train(&r, &m, &c);
    assert_at_chance(&r);
    assert_true(r.side_t < 3);
    assert_true(r.mse_path > 0.97 * r.mse_persistence && r.mse_path < 1.2 * r.mse_persistence);
    market_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beats_persistence_and_dlinear),
        cmocka_unit_test(shuffled_labels_score_at_chance),
        cmocka_unit_test(shuffled_time_ends_at_chance),
    };
    kind = MODEL_NHITS;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kind = MODEL_PATCHTST;
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
