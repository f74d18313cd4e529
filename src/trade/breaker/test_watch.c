/* Triggers and modes: each figure from both sides of its border, what ends them, and that they only lower. */
#include "trade/breaker/test_breaker.h"

static struct breaker *fresh(double equity) {
    struct breaker_config c = breaker_config_defaults(HOUR);
    struct breaker *b = breaker_new(&c, 2);
    struct breaker_changes out = {0};
    breaker_equity(&out, b, usdt(equity), T0);
    assert_int_equal(out.count, 0);
    return b;
}

static bool is_on(const struct breaker *b, enum breaker_trigger t) {
    return b->tripped >> t & 1;
}

static void equity(struct breaker *b, double x, int64_t now) {
    struct breaker_changes out = {0};
    breaker_equity(&out, b, usdt(x), now);
}

static void four_percent_below_the_days_highest_opens_the_circuit(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, 10500, T0 + HOUR);
    equity(b, 10080.01, T0 + 2 * HOUR);
    assert_int_equal(b->all.state, BREAKER_CLOSED);
    struct breaker_changes out = {0};
    breaker_equity(&out, b, usdt(10080), T0 + 2 * HOUR);
    assert_change(&out, BREAKER_PART_CIRCUIT, BREAKER_ALL, "closed", "open");
    assert_string_equal(out.items[0].cause, "drawdown");
    assert_true(out.items[0].figure == 0.04 && out.items[0].limit == 0.04);
    free(b);
}

/* Yesterday's highest is not today's, the peak is for ever. */
static void a_new_day_begins_anew(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, 9700, T0 + HOUR);
    equity(b, 9700, T0 + DAY);
    equity(b, 9400, T0 + DAY + HOUR); /* 6 % below yesterday's, 3.1 % below today's */
    assert_int_equal(b->all.state, BREAKER_CLOSED);
    assert_int_equal(b->day_start.e8, usdt(9700).e8);
    assert_int_equal(b->peak.e8, usdt(10000).e8);
    free(b);
}

static void after_an_opening_it_takes_another_fall_of_that_size(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, 9600, T0);
    struct breaker_changes out = {0};
    breaker_time(&out, b, T0 + 300 * S);
    assert_int_equal(b->all.state, BREAKER_HALF_OPEN);
    equity(b, 9217, T0 + 301 * S);
    assert_int_equal(b->all.state, BREAKER_HALF_OPEN);
    equity(b, 9216, T0 + 302 * S); /* 4 % of 9600 */
    assert_int_equal(b->all.state, BREAKER_OPEN);
    assert_true(b->all.until_ns == T0 + 602 * S);
    free(b);
}

static void a_daily_loss_of_ten_percent_trips_until_the_day_is_over(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, 9000.01, T0 + HOUR);
    assert_false(is_on(b, BREAKER_DAILY_LOSS));
    equity(b, 9000, T0 + 2 * HOUR);
    assert_true(is_on(b, BREAKER_DAILY_LOSS));
    assert_int_equal(b->mode, BREAKER_EMERGENCY);
    assert_int_equal(breaker_word(b, 0), RISK_ESS_TRIPPED);
    equity(b, 9900, T0 + 3 * HOUR); /* a lucky exit does not end it */
    assert_true(is_on(b, BREAKER_DAILY_LOSS));
    assert_int_equal(b->mode, BREAKER_EMERGENCY);
    equity(b, 9900, T0 + DAY - 1);
    assert_int_equal(breaker_word(b, 0), RISK_ESS_TRIPPED);
    equity(b, 9900, T0 + DAY);
    assert_int_equal(b->tripped, 0);
    assert_int_equal(b->mode, BREAKER_NORMAL);
    assert_int_equal(b->trips[BREAKER_DAILY_LOSS], 1);
    free(b);
}

static void a_fall_of_a_quarter_trips_until_a_hand_resets_it(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, 12000, T0);
    for (int day = 1; day < 5; day++) equity(b, 12000 - 750 * day + 0.01, T0 + day * DAY);
    assert_false(is_on(b, BREAKER_DRAWDOWN));
    equity(b, 9000, T0 + 5 * DAY);
    assert_true(is_on(b, BREAKER_DRAWDOWN));
    equity(b, 12500, T0 + 50 * DAY);
    assert_true(is_on(b, BREAKER_DRAWDOWN));
    assert_int_equal(breaker_word(b, 1), RISK_ESS_TRIPPED);
    struct breaker_changes out = {0};
    breaker_reset(&out, b, BREAKER_ALL, T0 + 50 * DAY);
    assert_int_equal(b->tripped, 0);
    assert_int_equal(breaker_word(b, 1), RISK_ALLOW);
    /* From here on it is counted again. */
    equity(b, 12500, T0 + 51 * DAY);
    equity(b, 12500 * 0.75, T0 + 51 * DAY);
    assert_true(is_on(b, BREAKER_DRAWDOWN));
    free(b);
}

static void trade(struct breaker *b, double net, bool is_stop, int64_t now) {
    struct breaker_changes out = {0};
    breaker_trade(&out, b, 0, 9, usdt(net), is_stop, now);
}

static void more_than_ten_stops_trip(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    for (int i = 0; i < 10; i++) trade(b, -5, true, T0 + i * HOUR);
    for (int i = 0; i < 20; i++) {
        trade(b, 5, true, T0 + 10 * HOUR);   /* moved into the gain */
        trade(b, -5, false, T0 + 10 * HOUR); /* no stop */
    }
    assert_int_equal(b->tripped, 0);
    trade(b, -5, true, T0 + 11 * HOUR);
    assert_true(is_on(b, BREAKER_STOP_HITS));
    assert_int_equal(breaker_word(b, 0), RISK_ESS_TRIPPED);
    equity(b, 10000, T0 + DAY);
    assert_int_equal(b->tripped, 0);
    for (int i = 0; i < 10; i++) trade(b, -5, true, T0 + DAY); /* counted anew */
    assert_int_equal(b->tripped, 0);
    free(b);
}

static void stops_far_apart_do_not_add_up(void **state) {
    (void)state;
    struct breaker_config c = breaker_config_defaults(60 * S);
    assert_true(c.stop_hits_within_ns == HOUR); /* 24 bars are less */
    struct breaker *b = breaker_new(&c, 2);
    for (int i = 0; i < 200; i++) trade(b, -5, true, T0 + i * HOUR / 10);
    assert_int_equal(b->tripped, 0); /* ten within any hour */
    for (int i = 0; i < 2; i++) trade(b, -5, true, T0 + 199 * HOUR / 10 + i);
    assert_true(is_on(b, BREAKER_STOP_HITS));
    free(b);
}

static void data_overdue_trips_until_it_comes(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    struct breaker_changes out = {0};
    breaker_market(&out, b, T0, T0 + 300 * S);
    assert_int_equal(out.count, 0);
    assert_true(breaker_deadline(b, T0) == T0 + 300 * S + 1);
    breaker_market(&out, b, T0, breaker_deadline(b, T0));
    assert_change(&out, BREAKER_PART_TRIGGER, BREAKER_ALL, "off", "market_stale");
    assert_true(breaker_deadline(b, T0) == INT64_MAX); /* said once */
    assert_int_equal(breaker_word(b, 0), RISK_ESS_TRIPPED);
    out.count = 0;
    breaker_reset(&out, b, BREAKER_ALL, T0 + DAY); /* no hand makes data fresh */
    assert_true(is_on(b, BREAKER_MARKET_STALE));
    out.count = 0;
    breaker_market(&out, b, T0 + 2 * DAY, T0 + DAY);
    assert_change(&out, BREAKER_PART_TRIGGER, BREAKER_ALL, "market_stale", "off");
    assert_int_equal(breaker_word(b, 0), RISK_ALLOW);
    free(b);
}

/* The table of the original, border by border. */
static void modes_follow_the_days_result_and_lower_limits(void **state) {
    (void)state;
    static const struct {
        double equity;
        enum breaker_mode mode;
        double notional;
        uint32_t leverage;
        double confidence;
    } rows[] = {
        {10000, BREAKER_NORMAL, 1000, 20, 0.40},  {9800.01, BREAKER_NORMAL, 1000, 20, 0.40},
        {9800, BREAKER_CAUTIOUS, 300, 10, 0.55},  {9600.01, BREAKER_CAUTIOUS, 300, 10, 0.55},
        {9600, BREAKER_PROTECTIVE, 100, 5, 0.75}, {9000.01, BREAKER_PROTECTIVE, 100, 5, 0.75},
        {9000, BREAKER_EMERGENCY, 0, 0, 1.0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct breaker *b = fresh(10000);
        equity(b, rows[i].equity, T0);
        assert_int_equal(b->mode, rows[i].mode);
        struct risk_limits l = risk_limits_defaults();
        l.leverage_max = 20;
        breaker_limits(&l, b);
        assert_int_equal(l.notional_symbol_max.e8, usdt(rows[i].notional).e8);
        assert_int_equal(l.leverage_max, rows[i].leverage);
        assert_true(l.confidence_min == rows[i].confidence);
        /* What is stricter already stays as it is. */
        struct risk_limits strict = {.leverage_max = 0, .confidence_min = 1.0}, before = strict;
        breaker_limits(&strict, b);
        assert_memory_equal(&strict, &before, sizeof strict);
        free(b);
    }
}

static void a_mode_is_left_with_a_margin(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, 9590, T0);
    assert_int_equal(b->mode, BREAKER_PROTECTIVE);
    equity(b, 9649, T0);
    assert_int_equal(b->mode, BREAKER_PROTECTIVE);
    struct breaker_changes out = {0};
    breaker_equity(&out, b, usdt(9651), T0);
    assert_change(&out, BREAKER_PART_MODE, BREAKER_ALL, "protective", "cautious");
    equity(b, 9820, T0);
    assert_int_equal(b->mode, BREAKER_CAUTIOUS);
    equity(b, 9851, T0);
    assert_int_equal(b->mode, BREAKER_NORMAL);
    free(b);
}

static void a_wallet_that_is_gone_trips_everything(void **state) {
    (void)state;
    struct breaker *b = fresh(10000);
    equity(b, -5, T0 + HOUR);
    assert_true(is_on(b, BREAKER_DAILY_LOSS) && is_on(b, BREAKER_DRAWDOWN));
    equity(b, -5, T0 + DAY); /* a day that begins with nothing */
    assert_int_equal(breaker_word(b, 0), RISK_ESS_TRIPPED);
    assert_true(breaker_day_result(b) == -1);
    free(b);
}

/* Whatever else is watched, and whatever is reset by hand: until it is gone. */
static void another_executor_bars_entries_until_it_is_gone(void **state) {
    (void)state;
    const struct breaker_config nothing = {0};
    struct breaker *b = breaker_new(&nothing, 2);
    struct breaker_changes out = {0};
    breaker_other_run(&out, b, false);
    assert_int_equal(out.count, 0);
    breaker_other_run(&out, b, true);
    assert_change(&out, BREAKER_PART_TRIGGER, BREAKER_ALL, "off", "other_executor");
    breaker_other_run(&out, b, true);
    assert_int_equal(out.count, 1);
    for (uint32_t i = 0; i < 2; i++) assert_int_equal(breaker_word(b, i), RISK_ESS_TRIPPED);
    breaker_reset(&out, b, BREAKER_ALL, T0);
    assert_int_equal(breaker_word(b, 0), RISK_ESS_TRIPPED);
    assert_int_equal(b->trips[BREAKER_OTHER_RUN], 1);
    out.count = 0;
    breaker_other_run(&out, b, false);
    assert_change(&out, BREAKER_PART_TRIGGER, BREAKER_ALL, "other_executor", "off");
    assert_int_equal(breaker_word(b, 0), RISK_ALLOW);
    free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_percent_below_the_days_highest_opens_the_circuit),
        cmocka_unit_test(a_new_day_begins_anew),
        cmocka_unit_test(after_an_opening_it_takes_another_fall_of_that_size),
        cmocka_unit_test(a_daily_loss_of_ten_percent_trips_until_the_day_is_over),
        cmocka_unit_test(a_fall_of_a_quarter_trips_until_a_hand_resets_it),
        cmocka_unit_test(more_than_ten_stops_trip),
        cmocka_unit_test(stops_far_apart_do_not_add_up),
        cmocka_unit_test(data_overdue_trips_until_it_comes),
        cmocka_unit_test(modes_follow_the_days_result_and_lower_limits),
        cmocka_unit_test(a_mode_is_left_with_a_margin),
        cmocka_unit_test(a_wallet_that_is_gone_trips_everything),
        cmocka_unit_test(another_executor_bars_entries_until_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
