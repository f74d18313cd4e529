/* The guard against flash crashes: closes made by hand, and against a plain twin. TEST_SEED=n repeats the random ones. */
#include "trade/breaker/test_breaker.h"

enum { NEED = 75 };

/* A market that moves by +-`step` each bar. */
static void quiet(int64_t *closes, uint32_t count, double step) {
    for (uint32_t i = 0; i < count; i++) closes[i] = fx_from_f64(i % 2 ? 100 * (1 + step) : 100);
}

static bool crash(const int64_t *closes, uint32_t count) {
    struct breaker_config c = breaker_config_defaults(HOUR);
    assert_int_equal(breaker_crash_closes(&c), NEED);
    assert_true(breaker_crash_closes(&c) <= BREAKER_CRASH_CLOSES_MAX);
    return breaker_is_crash(&c, closes, count);
}

static void a_move_beyond_all_custom_is_one_both_ways(void **state) {
    (void)state;
    int64_t closes[NEED];
    for (int sign = -1; sign <= 1; sign += 2) {
        quiet(closes, NEED, 0.001); /* three bars: 0.0017; ten of these: 0.0173, so 2 % binds */
        assert_false(crash(closes, NEED));
        closes[NEED - 1] = fx_from_f64(100 * (1 + sign * 0.018));
        assert_false(crash(closes, NEED));
        closes[NEED - 1] = fx_from_f64(100 * (1 + sign * 0.0225));
        assert_true(crash(closes, NEED));
    }
}

static void what_is_usual_there_is_no_crash(void **state) {
    (void)state;
    int64_t closes[NEED];
    quiet(closes, NEED, 0.01); /* three bars: 0.0173; ten of these: 0.173 */
    closes[NEED - 1] = fx_from_f64(100 * 0.84);
    assert_false(crash(closes, NEED));
    closes[NEED - 1] = fx_from_f64(100 * 0.80);
    assert_true(crash(closes, NEED));
}

static void a_slide_of_several_bars_counts_and_a_longer_one_does_not(void **state) {
    (void)state;
    int64_t closes[NEED];
    quiet(closes, NEED, 0.0001);
    for (int i = 0; i < 3; i++) closes[NEED - 3 + i] = fx_from_f64(100 * (1 - 0.008 * (i + 1)));
    assert_true(crash(closes, NEED)); /* 2.4 % in three bars */
    quiet(closes, NEED, 0.0001);
    for (int i = 0; i < 6; i++) closes[NEED - 6 + i] = fx_from_f64(100 * (1 - 0.004 * (i + 1)));
    assert_false(crash(closes, NEED)); /* in six */
}

static void it_holds_for_twelve_bars(void **state) {
    (void)state;
    int64_t closes[NEED + 40];
    quiet(closes, NEED + 40, 0.001);
    for (uint32_t i = NEED; i < NEED + 40; i++) closes[i] = closes[i] * 9 / 10;
    /* The fall is the bar at NEED; it is over three bars until the one at NEED + 2. */
    for (uint32_t seen = 0; seen < 40; seen++)
        assert_int_equal(crash(closes, NEED + 1 + seen), seen < 12 + 2);
}

static void too_few_bars_say_nothing(void **state) {
    (void)state;
    int64_t closes[NEED];
    quiet(closes, NEED, 0.001);
    closes[NEED - 1] /= 2;
    assert_true(crash(closes, NEED));
    assert_false(crash(closes + 1, NEED - 1));
    assert_false(crash(closes, 0));
    closes[10] = 0; /* no price */
    assert_false(crash(closes, NEED));
    struct breaker_config off = {0};
    assert_int_equal(breaker_crash_closes(&off), 0);
    assert_false(breaker_is_crash(&off, closes, NEED));
}

/* As the words say it, in long double and from the end. */
static bool twin(const int64_t *closes) {
    long double sum = 0;
    for (int i = 1; i < 60; i++) {
        long double r = (long double)closes[i] / (long double)closes[i - 1] - 1;
        sum += r * r;
    }
    long double least = 10 * sqrtl(sum / 59 * 3);
    if (least < 0.02L) least = 0.02L;
    for (int end = NEED - 1; end > NEED - 1 - 12; end--) {
        long double m = (long double)closes[end] / (long double)closes[end - 3] - 1;
        if (fabsl(m) >= least) return true;
    }
    return false;
}

static void random_markets_agree_with_the_twin(void **state) {
    (void)state;
    struct rng rng = test_rng();
    int yes = 0;
    for (int round = 0; round < 20000; round++) {
        int64_t closes[NEED];
        double px = 1 + (double)rng_below(&rng, 1000), vol = 0.0005 + 0.02 * rng_f64(&rng);
        uint32_t jump = (uint32_t)rng_below(&rng, 2 * NEED);
        for (uint32_t i = 0; i < NEED; i++) {
            px *= 1 + vol * (rng_f64(&rng) - 0.5) + (i == jump ? 0.6 * (rng_f64(&rng) - 0.5) : 0);
            closes[i] = fx_from_f64(px);
        }
        bool got = crash(closes, NEED);
        assert_int_equal(got, twin(closes));
        yes += got;
    }
    assert_true(yes > 500 && yes < 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_beyond_all_custom_is_one_both_ways),
        cmocka_unit_test(what_is_usual_there_is_no_crash),
        cmocka_unit_test(a_slide_of_several_bars_counts_and_a_longer_one_does_not),
        cmocka_unit_test(it_holds_for_twelve_bars),
        cmocka_unit_test(too_few_bars_say_nothing),
        cmocka_unit_test(random_markets_agree_with_the_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
