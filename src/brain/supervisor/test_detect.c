/* The sequential test of errors: at most one alarm in 10,000 stationary samples over 20 seeds, a shift of half a
 * standard deviation or a rise of 30 % flagged within 200 samples, the promised rate for any distribution. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/supervisor/supervisor.h"

enum { SEEDS = 20, STATIONARY = 10000, WITHIN = 200 };

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240807;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Losses in service. FORECAST: -ln p of what came, by a model whose triples are right on average. */
enum kind { FORECAST, GAMMA, LOGNORMAL, NORMAL_ERROR_OF_TEN, KIND_COUNT };
static const char *const kind_names[] = {"log-loss", "gamma", "lognormal", "mean |error| of 10"};

static double forecast_loss(struct rng *r) {
    double p[3], sum = 0;
    for (int l = 0; l < 3; l++) sum += p[l] = exp(0.5 * rng_normal(r));
    double u = rng_f64(r) * sum;
    double q = u < p[0] ? p[0] : u < p[0] + p[1] ? p[1] : p[2];
    return -log(q / sum);
}

static double draw(enum kind k, struct rng *r) {
    double sum = 0;
    switch (k) {
    case FORECAST:
        return forecast_loss(r);
    case GAMMA: /* shape 4: coefficient of variation 0.5 */
        for (int i = 0; i < 4; i++) sum -= log(1 - rng_f64(r));
        return sum / 4;
    case LOGNORMAL:
        return exp(0.4 * rng_normal(r));
    case NORMAL_ERROR_OF_TEN:
        for (int i = 0; i < 10; i++) sum += fabs(rng_normal(r));
        return sum / 10;
    case KIND_COUNT:
        break;
    }
    return 0;
}

static void moments(double *mean, double *deviation, enum kind k) {
    struct rng r = rng_init(77);
    double sum = 0, square = 0;
    enum { N = 400000 };
    for (int i = 0; i < N; i++) {
        double x = draw(k, &r);
        sum += x;
        square += x * x;
    }
    *mean = sum / N;
    *deviation = sqrt(square / N - *mean * *mean);
}

static struct supervisor fresh(double loss_mean) {
    struct supervisor_config c = supervisor_config_defaults();
    struct supervisor_reference ref = {.loss_mean = loss_mean, .label_share = {.3, .4, .3}};
    struct supervisor s;
    supervisor_init(&s, &c, &ref);
    return s;
}

static void stationary_is_quiet_and_a_rise_is_found(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    for (int k = 0; k < KIND_COUNT; k++) {
        double mean, deviation;
        moments(&mean, &deviation, (enum kind)k);
        uint64_t alarms = 0, most = 0;
        int slowest_rise = 0, slowest_shift = 0, late_rise = 0, late_shift = 0;
        double sum_rise = 0, sum_shift = 0;
        for (uint64_t n = 0; n < SEEDS; n++) {
            struct rng r = rng_init(seed + 1000 * (uint64_t)k + n);
            struct supervisor s = fresh(mean);
            for (int t = 0; t < STATIONARY; t++) supervisor_error(&s, draw((enum kind)k, &r));
            alarms += s.error.alarms;
            if (s.error.alarms > most) most = s.error.alarms;
            /* From there on it is worse: by 30 %, or by half a standard deviation. */
            struct supervisor shifted = s;
            int rise = 1, shift = 1;
            while (!supervisor_error(&s, 1.3 * draw((enum kind)k, &r))) rise++;
            while (!supervisor_error(&shifted, draw((enum kind)k, &r) + 0.5 * deviation)) shift++;
            if (rise > slowest_rise) slowest_rise = rise;
            if (shift > slowest_shift) slowest_shift = shift;
            late_rise += rise > WITHIN;
            late_shift += shift > WITHIN;
            sum_rise += rise / (double)SEEDS;
            sum_shift += shift / (double)SEEDS;
        }
        print_message("%-18s mean %.3f sd %.3f: %llu alarms in 200,000; +30 %% found after %.0f, "
                      "at most %d; +0.5 sd after %.0f, at most %d\n",
                      kind_names[k], mean, deviation, (unsigned long long)alarms, sum_rise,
                      slowest_rise, sum_shift, slowest_shift);
        assert_true(alarms <= SEEDS && most <= 1);
        /* Forecasts, in every seed. A rise of other losses as noisy as half their mean is found in time on average;
         * the evidence after 200 samples scatters, and one seed in 20 may be late. Half a standard deviation of an
         * average of ten is a rise of 12 %: found, if later. */
        bool is_small = k == NORMAL_ERROR_OF_TEN;
        assert_true(late_rise <= (k == FORECAST ? 0 : 1) && sum_rise <= WITHIN / 2.0);
        assert_true(is_small ? slowest_shift <= 2 * WITHIN : late_shift <= (k == FORECAST ? 0 : 1));
        assert_true(slowest_rise <= 2 * WITHIN);
    }
}

/* The promise is about every distribution with that mean: two points far apart, and one that depends on its past. */
static void the_rate_holds_for_any_distribution(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (int kind = 0; kind < 3; kind++) {
        struct detect d;
        const double every = 500;
        detect_init(&d, 1, every);
        enum { N = 400000 };
        for (int t = 0; t < N; t++) {
            double x =
                kind == 0   ? (rng_below(&r, 100) ? 0 : 100)
                : kind == 1 ? -log(1 - rng_f64(&r))
                /* As likely to double as to vanish, the more so the more evidence there is. */
                : rng_f64(&r) < (detect_progress(&d) > 0.5 ? 0.1 : 0.5)
                    ? (detect_progress(&d) > 0.5 ? 10 : 2)
                    : 0;
            detect_push(&d, x);
        }
        double rate = (double)d.alarms / N;
        print_message("kind %d: one alarm in %.0f, promised at most one in %.0f\n", kind, 1 / rate,
                      every);
        assert_true(rate <= 1 / every);
        assert_true(d.alarms > 0); /* not by being deaf */
    }
}

/* Errors whose horizons overlap are one error seen many times: averaged by block they are not. */
static void overlapping_horizons_need_blocks(void **state) {
    (void)state;
    enum { HORIZON = 12, N = 10000 };
    uint64_t seed = test_seed(), alarms[2] = {0};
    for (int blocked = 0; blocked < 2; blocked++)
        for (uint64_t n = 0; n < SEEDS; n++) {
            struct rng r = rng_init(seed + n);
            struct supervisor_config c = supervisor_config_defaults();
            c.error_block = blocked ? HORIZON : 1;
            struct supervisor_reference ref = {.loss_mean = 1, .label_share = {.3, .4, .3}};
            struct supervisor s;
            supervisor_init(&s, &c, &ref);
            double past[HORIZON] = {0}, sum = 0;
            for (int t = 0; t < N; t++) {
                sum -= past[t % HORIZON];
                past[t % HORIZON] =
                    -log(1 - rng_f64(&r)); /* each bar's part in the next 12 losses */
                sum += past[t % HORIZON];
                if (t >= HORIZON) supervisor_error(&s, sum / HORIZON);
            }
            alarms[blocked] += s.error.alarms;
        }
    print_message("alarms in 200,000: %llu one by one, %llu in blocks\n",
                  (unsigned long long)alarms[0], (unsigned long long)alarms[1]);
    assert_true(alarms[0] > 20); /* the rule would be broken without */
    assert_true(alarms[1] <= 2);
}

static void better_is_no_alarm_and_nonsense_is_refused(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    struct supervisor s = fresh(1.0);
    for (int t = 0; t < 20000; t++) assert_false(supervisor_error(&s, 0.9 * draw(LOGNORMAL, &r)));
    static const double bad[] = {-1, NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) assert_false(supervisor_error(&s, bad[i]));
    assert_true(s.error.refused == 4 && s.observations == 20000);
    struct detect d;
    detect_init(&d, 1, 1000);
    for (int i = 0; i < 4; i++) assert_false(detect_push(&d, bad[i]));
    assert_true(d.refused == 4 && d.samples == 0 && detect_progress(&d) == 0);
    assert_true(detect_push(&d, 1e300));
    assert_true(d.alarms == 1 && detect_progress(&d) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stationary_is_quiet_and_a_rise_is_found),
        cmocka_unit_test(the_rate_holds_for_any_distribution),
        cmocka_unit_test(overlapping_horizons_need_blocks),
        cmocka_unit_test(better_is_no_alarm_and_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
