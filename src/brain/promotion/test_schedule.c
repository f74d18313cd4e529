#include "brain/promotion/schedule.h"

#include "brain/promotion/test_planted.h"

static const int64_t second = 1000000000, day = 24 * HOUR;

/* All goes well for thirty days: 180 runs, each at its grid point. */
static void every_period_for_thirty_days(void **state) {
    (void)state;
    struct promotion_schedule_config c = promotion_schedule_config_defaults();
    struct promotion_schedule s;
    const int64_t start = INT64_C(1700000000) * second + 123;
    promotion_schedule_init(&s, &c, start);
    assert_true(s.last_retrain_ns == INT64_MIN);
    assert_int_equal(promotion_schedule_until_next(&s, &c, start), 14400 * second);
    int64_t runs = 0;
    for (int64_t t = start; t <= start + 30 * day; t += 5 * second) { /* a 5 s loop */
        if (s.running && t - s.next_ns + c.period_ns >= 60 * second) {
            promotion_schedule_end(&s, &c, t, true);
            assert_int_equal(s.last_retrain_ns, t);
        }
        int64_t left = promotion_schedule_until_next(&s, &c, t);
        assert_true(left >= 0 && left <= c.period_ns);
        enum promotion_trigger due = promotion_schedule_due(&s, &c, t);
        assert_int_equal(due, left == 0 && !s.running ? PROMOTION_PERIOD : PROMOTION_NOT_DUE);
        if (due == PROMOTION_NOT_DUE) continue;
        runs++;
        assert_int_equal(t, start + runs * c.period_ns);
        promotion_schedule_begin(&s, &c, t);
    }
    assert_int_equal(runs, 180);
    assert_int_equal(s.runs, 180);
    assert_int_equal(s.succeeded + s.running, 180);
    assert_int_equal(s.failed + s.missed + s.runs_drift, 0);
}

static void failures_back_off(void **state) {
    (void)state;
    struct promotion_schedule_config c = promotion_schedule_config_defaults();
    struct promotion_schedule s;
    promotion_schedule_init(&s, &c, 0);
    static const int64_t waits[] = {1, 2, 4, 6, 6, 6};
    int64_t t = c.period_ns;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        assert_int_equal(promotion_schedule_due(&s, &c, t - 1), PROMOTION_NOT_DUE);
        assert_int_equal(promotion_schedule_due(&s, &c, t), PROMOTION_PERIOD);
        promotion_schedule_begin(&s, &c, t);
        promotion_schedule_end(&s, &c, t + 90 * second, false);
        promotion_schedule_drift(&s); /* gets nobody a run while it is backing off */
        assert_int_equal(promotion_schedule_until_next(&s, &c, t + 90 * second),
                         waits[i] * c.period_ns - 90 * second);
        t += waits[i] * c.period_ns;
    }
    assert_int_equal(promotion_schedule_due(&s, &c, t), PROMOTION_PERIOD);
    promotion_schedule_begin(&s, &c, t);
    promotion_schedule_end(&s, &c, t + second, true);
    assert_int_equal(s.failures, 0);
    assert_int_equal(s.last_retrain_ns, t + second);
    assert_int_equal(promotion_schedule_until_next(&s, &c, t + second), c.period_ns - second);
    assert_int_equal(s.failed, 6);
}

static void drift_asks_for_a_run_at_once_but_not_twice(void **state) {
    (void)state;
    struct promotion_schedule_config c = promotion_schedule_config_defaults();
    struct promotion_schedule s;
    promotion_schedule_init(&s, &c, 0);
    promotion_schedule_drift(&s);
    assert_int_equal(promotion_schedule_until_next(&s, &c, 7), 0);
    assert_int_equal(promotion_schedule_due(&s, &c, 7), PROMOTION_DRIFT);
    promotion_schedule_begin(&s, &c, 7);
    promotion_schedule_drift(&s); /* during the run: waits, as its data may be older */
    assert_int_equal(promotion_schedule_due(&s, &c, 100), PROMOTION_NOT_DUE);
    promotion_schedule_end(&s, &c, 60 * second, true);
    assert_int_equal(promotion_schedule_until_next(&s, &c, 60 * second), c.drift_gap_ns);
    assert_int_equal(promotion_schedule_due(&s, &c, 60 * second + c.drift_gap_ns - 1),
                     PROMOTION_NOT_DUE);
    assert_int_equal(promotion_schedule_due(&s, &c, 60 * second + c.drift_gap_ns), PROMOTION_DRIFT);
    /* The period is what it was. */
    assert_int_equal(promotion_schedule_due(&s, &c, c.period_ns), PROMOTION_PERIOD);
    promotion_schedule_begin(&s, &c, c.period_ns);
    promotion_schedule_end(&s, &c, c.period_ns + second, true);
    assert_int_equal(s.runs_drift, 1);
    assert_int_equal(s.drift_waiting, 0); /* the period's run has seen it */
    assert_int_equal(promotion_schedule_until_next(&s, &c, c.period_ns + second),
                     c.period_ns - second);
}

/* By hand: whatever is due, backing off or not; the grid stays, and a failure counts. */
static void asked_for_by_hand(void **state) {
    (void)state;
    struct promotion_schedule_config c = promotion_schedule_config_defaults();
    struct promotion_schedule s;
    promotion_schedule_init(&s, &c, 0);
    promotion_schedule_drift(&s);
    promotion_schedule_begin_by_hand(&s, 100 * second);
    assert_int_equal(s.running, PROMOTION_HAND);
    assert_string_equal(promotion_trigger_text(PROMOTION_HAND), "hand");
    assert_int_equal(promotion_schedule_due(&s, &c, 150 * second), PROMOTION_NOT_DUE);
    promotion_schedule_end(&s, &c, 200 * second, false);
    assert_int_equal(s.failures, 1);
    promotion_schedule_begin_by_hand(&s, 300 * second);
    promotion_schedule_end(&s, &c, 400 * second, true);
    assert_int_equal(s.failures, 0);
    assert_int_equal(s.last_retrain_ns, 400 * second);
    assert_int_equal(s.runs, 2);
    /* It has seen the drift that was waiting. */
    assert_int_equal(promotion_schedule_due(&s, &c, c.period_ns - second), PROMOTION_NOT_DUE);
    assert_int_equal(promotion_schedule_due(&s, &c, c.period_ns), PROMOTION_PERIOD);
}

static void periods_slept_through_are_missed_not_made_up_for(void **state) {
    (void)state;
    struct promotion_schedule_config c = promotion_schedule_config_defaults();
    struct promotion_schedule s;
    promotion_schedule_init(&s, &c, 0);
    int64_t late = 5 * c.period_ns + 17;
    assert_int_equal(promotion_schedule_due(&s, &c, late), PROMOTION_PERIOD);
    promotion_schedule_begin(&s, &c, late);
    assert_int_equal(s.missed, 4);
    promotion_schedule_end(&s, &c, 8 * c.period_ns + 1, true); /* ran over two more points */
    assert_int_equal(s.next_ns, 9 * c.period_ns);
    assert_int_equal(s.missed, 7);
    assert_int_equal(promotion_schedule_due(&s, &c, 8 * c.period_ns + 2), PROMOTION_NOT_DUE);
}

/* Thirty days of any clock: steps on, stands, jumps back, sleeps; runs of any length that fail or not; restarts. */
static void any_clock_for_thirty_days(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    const char *text = getenv("TEST_OPS");
    uint64_t worlds = text ? strtoull(text, NULL, 0) : 300;
    for (uint64_t n = 0; n < worlds; n++) {
        struct rng r = rng_init(seed + n);
        struct promotion_schedule_config c = promotion_schedule_config_defaults();
        c.backoff_periods_max = 1 + (uint32_t)rng_below(&r, 9);
        double failing = rng_below(&r, 3) == 0 ? 0.9 : rng_f64(&r) * 0.3;
        struct promotion_schedule s;
        int64_t t = (int64_t)rng_below(&r, UINT64_C(1) << 60), end = t + 30 * day, latest = t,
                run_end = 0, last_begin = INT64_MIN, failed_end = INT64_MIN;
        promotion_schedule_init(&s, &c, t);
        uint64_t begun = 0, drift_begun = 0;
        while (t < end) {
            int64_t step = (int64_t)rng_below(&r, (uint64_t)(rng_below(&r, 50) ? HOUR : 2 * day));
            t += rng_below(&r, 20) ? step : -step; /* one in twenty goes back */
            if (t > latest) latest = t;
            if (rng_below(&r, 40) == 0) promotion_schedule_drift(&s);
            if (rng_below(&r, 100) == 0) { /* restart: whatever ran is lost */
                struct promotion_schedule copy = s;
                s = copy;
                if (s.running) promotion_schedule_end(&s, &c, t, false), failed_end = latest;
            }
            if (s.running && latest >= run_end) {
                bool ok = rng_f64(&r) >= failing;
                promotion_schedule_end(&s, &c, t, ok);
                if (!ok) failed_end = latest;
                if (ok) assert_int_equal(s.last_retrain_ns, latest);
            }
            int64_t left = promotion_schedule_until_next(&s, &c, t);
            assert_true(left >= 0);
            assert_true(left <= c.backoff_periods_max * c.period_ns);
            struct promotion_schedule probe = s;
            assert_int_equal(promotion_schedule_due(&probe, &c, t) != PROMOTION_NOT_DUE,
                             left == 0 && !s.running);
            if (left > 0 && !s.running) { /* exact to the nanosecond */
                probe = s;
                assert_int_equal(promotion_schedule_due(&probe, &c, latest + left - 1),
                                 PROMOTION_NOT_DUE);
                assert_int_not_equal(promotion_schedule_due(&probe, &c, latest + left),
                                     PROMOTION_NOT_DUE);
            }
            enum promotion_trigger due = promotion_schedule_due(&s, &c, t);
            if (due == PROMOTION_NOT_DUE) continue;
            if (s.failures > 0) { /* no busy retry: a grid point lies between */
                assert_int_equal(due, PROMOTION_PERIOD);
                assert_true((latest - s.start_ns) / c.period_ns >
                            (failed_end - s.start_ns) / c.period_ns);
            }
            if (due == PROMOTION_DRIFT && last_begin != INT64_MIN)
                assert_true(latest - s.last_end_ns >= c.drift_gap_ns);
            promotion_schedule_begin(&s, &c, t);
            begun++;
            drift_begun += due == PROMOTION_DRIFT;
            last_begin = latest;
            run_end = latest + (int64_t)rng_below(&r, (uint64_t)(rng_below(&r, 10) ? HOUR : day));
        }
        assert_int_equal(s.runs, begun);
        assert_int_equal(s.runs_drift, drift_begun);
        assert_int_equal(s.succeeded + s.failed + (s.running ? 1 : 0), begun);
        assert_true(begun - drift_begun <=
                    (uint64_t)((latest - s.start_ns) / c.period_ns)); /* never two in a period */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_period_for_thirty_days),
        cmocka_unit_test(failures_back_off),
        cmocka_unit_test(drift_asks_for_a_run_at_once_but_not_twice),
        cmocka_unit_test(asked_for_by_hand),
        cmocka_unit_test(periods_slept_through_are_missed_not_made_up_for),
        cmocka_unit_test(any_clock_for_thirty_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
