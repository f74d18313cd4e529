/* What is kept of a forecast until its horizon is over; its label is the one training would have made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/governance/forecasts.h"
#include "learn/learn.h"

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240810;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

enum { BARS = 4000 };
static const int64_t interval_ns = 3600000000000;

/* A wandering price with gaps, wide bars, and now and then a hole in the grid. */
static void make_bars(struct bar *bars, float *atr, struct rng *r) {
    double px = 1e10;
    int64_t at = 0;
    for (int i = 0; i < BARS; i++) {
        double open = px * (rng_below(r, 20) ? 1 : 1 + 0.05 * rng_normal(r));
        double close = open * (1 + 0.008 * rng_normal(r));
        double high = fmax(open, close) * (1 + 0.006 * rng_f64(r) * (double)(1 + rng_below(r, 6)));
        double low = fmin(open, close) * (1 - 0.006 * rng_f64(r) * (double)(1 + rng_below(r, 6)));
        bars[i] = (struct bar){.open_ts_ns = at,
                               .open = {(int64_t)open},
                               .high = {(int64_t)high + 1},
                               .low = {(int64_t)low},
                               .close = {(int64_t)close}};
        at += interval_ns * (rng_below(r, 60) ? 1 : 2);
        px = close;
        atr[i] = rng_below(r, 15) ? (float)(0.004 + 0.01 * rng_f64(r)) : (float)NAN;
    }
}

static void labels_are_those_of_training(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static const uint32_t horizons[] = {1, 5, 12, FORECASTS_HORIZON_MAX};
    for (size_t h = 0; h < 4; h++) {
        static struct bar bars[BARS];
        static float atr[BARS], move[BARS];
        static int8_t label[BARS], found[BARS];
        static uint32_t end[BARS];
        make_bars(bars, atr, &r);
        struct label_spec spec = label_spec_defaults();
        spec.horizon_bars = horizons[h];
        label_make(label, move, end, bars, atr, BARS, interval_ns, &spec);
        static struct forecasts f;
        forecasts_init(&f, interval_ns, horizons[h]);
        struct model_vote votes[MODEL_COUNT] = {{0}};
        struct ensemble_signal signal = {0};
        memset(found, -1, sizeof found);
        int kinds[LABEL_COUNT] = {0};
        for (int i = 0; i < BARS; i++) {
            struct forecast out;
            if (forecasts_bar(&f, &out, &bars[i])) {
                int at = i - (int)horizons[h];
                assert_true(out.decided_ts_ns == bars[at].open_ts_ns);
                found[at] = (int8_t)out.outcome.label;
                kinds[out.outcome.label]++;
                double back = out.outcome.realised_return, d = out.distance;
                if (out.outcome.label == LABEL_BUY) assert_true(back >= d * (1 - 1e-9));
                if (out.outcome.label == LABEL_SELL) assert_true(back <= -d * (1 - 1e-9));
                if (out.outcome.label == LABEL_HOLD && end[at] == (uint32_t)i)
                    assert_true(fabs(back - ((double)bars[i].close.e8 / (double)bars[at].close.e8 -
                                             1)) < 1e-12);
            }
            double distance = label_barrier(&spec, (double)atr[i]);
            assert_int_equal(forecasts_add(&f, &bars[i], distance, votes, &signal, NULL),
                             isfinite(distance));
        }
        assert_memory_equal(found, label, sizeof label);
        print_message("horizon %u: %d SELL, %d HOLD, %d BUY, lost %llu\n", horizons[h], kinds[0],
                      kinds[1], kinds[2], (unsigned long long)f.lost);
        assert_true(kinds[0] > 20 && kinds[1] > 20 && kinds[2] > 20 && f.lost > 20);
    }
}

static void what_was_said_comes_back(void **state) {
    (void)state;
    static struct forecasts f;
    forecasts_init(&f, 60, 2);
    struct model_vote votes[MODEL_COUNT] = {
        {.state = VOTE_PRESENT, .p = {.1, .2, .7}, .move = .02},
        {.state = VOTE_NO_SKILL, .p = {.3, .4, .3}, .move = .02},
        {.state = VOTE_WARMING, .p = {.3, .4, .3}, .move = .02},
        {.state = VOTE_EXCLUDED, .p = {.5, .5, .1}, .move = .02}, /* no triple */
    };
    struct ensemble_config c = ensemble_config_defaults();
    struct ensemble_signal signal;
    ensemble_step(&signal, &c, votes);
    struct bar bar = {
        .open_ts_ns = 0, .open = {10000}, .high = {10000}, .low = {10000}, .close = {10000}};
    struct forecast out;
    double width = 1.5;
    assert_false(forecasts_bar(&f, &out, &bar));
    assert_false(forecasts_add(&f, &bar, 0, votes, &signal, &width));
    assert_true(forecasts_add(&f, &bar, .02, votes, &signal, &width));
    bar.open_ts_ns = 60;
    bar.high.e8 = 10300;
    assert_false(forecasts_bar(&f, &out, &bar)); /* the barrier is hit, the horizon is not over */
    bar.open_ts_ns = 120;
    bar.low.e8 = 9000;
    assert_true(forecasts_bar(&f, &out, &bar));
    assert_int_equal(out.outcome.label, LABEL_BUY);
    assert_true(out.outcome.forecast_mask == 3 && out.outcome.voter_mask == 1);
    assert_memory_equal(out.outcome.p[0], votes[0].p, sizeof votes[0].p);
    assert_true(fabs(out.outcome.realised_return - .02) < 1e-12);
    assert_true(fabs(out.expected_return - .02 * .6) < 1e-12 && out.scale == signal.move);
    assert_true(out.width == 1.5 && f.over == 1 && f.count == 0);
    /* A hole forgets what was pending. */
    assert_true(forecasts_add(&f, &bar, .02, votes, &signal, NULL));
    assert_true(isnan(f.pending[f.head].width));
    bar.open_ts_ns = 240;
    assert_false(forecasts_bar(&f, &out, &bar));
    assert_true(f.lost == 1 && f.count == 0);
    const double p[LABEL_COUNT] = {0, .5, .5};
    assert_true(fabs(forecast_log_loss(p, LABEL_BUY) - log(2)) < 1e-15);
    assert_true(fabs(forecast_log_loss(p, LABEL_SELL) - log(1e6)) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_those_of_training),
        cmocka_unit_test(what_was_said_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
