#include "brain/promotion/validator.h"

#include "brain/promotion/test_planted.h"

/* The rows of the reference: old 0.0200 and 0.50. */
static void rule_of_the_reference(void **state) {
    (void)state;
    static const struct {
        double mape, sharpe;
        enum promotion_reason reason;
    } rows[] = {{0.0194, 0.60, PROMOTION_ERROR_NOT_LOWER}, /* 0.97 * 0.0200 is not below itself */
                {0.0193, 0.60, PROMOTION_PASS},
                {0.0150, 0.50, PROMOTION_SHARPE_NOT_HIGHER},
                {0.0210, 2.0, PROMOTION_ERROR_NOT_LOWER}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(promotion_rule(0.0200, 0.50, rows[i].mape, rows[i].sharpe, 0.97),
                         rows[i].reason);
    /* Ties at any size, whichever way 0.97 * old is rounded. */
    for (int i = 1; i < 2000; i++) {
        double old = i * 0.001, edge = old * 97 / 100;
        assert_int_equal(promotion_rule(old, 0, edge, 1, 0.97), PROMOTION_ERROR_NOT_LOWER);
        enum promotion_reason below = promotion_rule(old, 0, edge * (1 - 1e-9), 1, 0.97);
        assert_int_equal(below, edge < 1 ? PROMOTION_PASS : PROMOTION_PERSISTENCE);
    }
}

static void persistence_must_be_beaten(void **state) {
    (void)state;
    assert_int_equal(promotion_rule(1.20, 0, 1.10, 1, 0.97), PROMOTION_PERSISTENCE);
    assert_int_equal(promotion_rule(1.20, 0, 1.00, 1, 0.97), PROMOTION_PERSISTENCE);
    assert_int_equal(promotion_rule(1.20, 0, 0.99, 1, 0.97), PROMOTION_PASS);
    double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(promotion_rule(bad[i], 0, 0.5, 1, 0.97), PROMOTION_NOT_FINITE);
        assert_int_equal(promotion_rule(1, bad[i], 0.5, 1, 0.97), PROMOTION_NOT_FINITE);
        assert_int_equal(promotion_rule(1, 0, bad[i], 1, 0.97), PROMOTION_NOT_FINITE);
        assert_int_equal(promotion_rule(1, 0, 0.5, bad[i], 0.97), PROMOTION_NOT_FINITE);
    }
}

/* "Tomorrow = today" has 1, on a price that drifts or stands, and no scale of forecasts gets below it. */
static void error_is_of_returns_not_of_prices(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    struct promotion_error nothing = {0}, drifter = {0}, seer = {0};
    assert_true(isnan(promotion_error_mape(&nothing)));
    for (int i = 0; i < 1000; i++) {
        double outcome = 0.01 * rng_normal(&r);
        assert_true(promotion_error_add(&nothing, 0, outcome));
        assert_true(promotion_error_add(&drifter, 0.002, outcome));
        assert_true(promotion_error_add(&seer, outcome / 2, outcome));
    }
    assert_true(promotion_error_mape(&nothing) == 1);
    assert_true(promotion_error_mape(&drifter) > 1);
    assert_true(fabs(promotion_error_mape(&seer) - 0.5) < 1e-12);
    uint64_t count = seer.count;
    assert_false(promotion_error_add(&seer, NAN, 0.01));
    assert_false(promotion_error_add(&seer, 0.01, INFINITY));
    assert_int_equal(seer.count, count);
}

static void sharpe_by_hand(void **state) {
    (void)state;
    struct promotion_returns r = {0};
    assert_true(isnan(promotion_returns_sharpe(&r)));
    static const double values[] = {0.01, -0.02, 0.03, 0.00}; /* mean .005, squares .0013 */
    for (int i = 0; i < 4; i++) promotion_returns_add(&r, values[i]);
    assert_true(fabs(promotion_returns_sharpe(&r) - 0.005 / sqrt(0.0013 / 3)) < 1e-12);
    struct promotion_returns idle = {0};
    for (int i = 0; i < 5; i++) promotion_returns_add(&idle, 0);
    assert_true(promotion_returns_sharpe(&idle) == 0);
}

static void position_by_hand(void **state) {
    (void)state;
    struct promotion_config c = promotion_config_defaults();
    c.horizon_bars = 2;
    c.cost_side = 0.001;
    static const struct {
        double forecast, bar_return, net;
    } rows[] = {{0.002, 0.05, 0},             /* the round trip's cost is no reason yet */
                {0.003, 0.01, 0.01 - 0.001},  /* long */
                {0, -0.02, -0.02},            /* held, for nothing more */
                {0, 0.05, -0.001},            /* the horizon is over: out */
                {-0.01, -0.01, 0.01 - 0.001}, /* short */
                {-0.01, 0.02, -0.02},         /* again: two bars from here */
                {NAN, 0.01, -0.01},           /* no forecast is none */
                {0.01, 0.03, 0.03 - 0.002},   /* turned: twice the cost */
                {0.01, NAN, 0},               /* no bar, nothing earned */
                {0, 0, 0},
                {0, 0, -0.001},
                {0, 1, 0}};
    struct promotion_position p = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double net = promotion_position_step(&p, &c, rows[i].forecast, rows[i].bar_return);
        if (!(fabs(net - rows[i].net) < 1e-15)) print_error("row %zu: %g\n", i, net);
        assert_true(fabs(net - rows[i].net) < 1e-15);
    }
}

/* ---- verdicts ---- */

/* Rows of two models on the planted market, one bar a decision. */
static void feed(struct promotion_trial *t, const struct promotion_config *c, struct planted *p,
                 int64_t *now, int decisions, struct planted_model old, struct planted_model new) {
    double a[PLANTED_SYMBOLS], b[PLANTED_SYMBOLS];
    struct promotion_config rule = *c;
    rule.horizon_bars = 1;
    struct promotion_position po[PLANTED_SYMBOLS] = {{0}}, pn[PLANTED_SYMBOLS] = {{0}};
    for (int k = 0; k < decisions; k++, *now += c->horizon_ns) {
        double net_old = 0, net_new = 0;
        planted_next(p);
        planted_forecast(a, p, &old);
        planted_forecast(b, p, &new);
        for (int i = 0; i < PLANTED_SYMBOLS; i++) {
            promotion_trial_forecast(t, c, *now, a[i], b[i], p->outcome[i]);
            net_old += promotion_position_step(&po[i], &rule, a[i], p->outcome[i]);
            net_new += promotion_position_step(&pn[i], &rule, b[i], p->outcome[i]);
        }
        promotion_trial_bar(t, net_old / PLANTED_SYMBOLS, net_new / PLANTED_SYMBOLS);
    }
}

static const struct planted_model weak = {0.2, 0.006}, good = {1.0, 0.003}, bad = {0.0, 0.010};

static void too_little_is_no_decision(void **state) {
    (void)state;
    struct promotion_config c = promotion_config_defaults();
    c.pairs_min = 200;
    c.bars_min = 15;
    struct promotion_trial t;
    struct promotion_verdict v;
    promotion_trial_init(&t);
    struct planted p = {.rng = rng_init(test_seed())};
    int64_t now = 0;
    promotion_screen(&v, &t, &c);
    assert_int_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.reason, PROMOTION_PAIRS_MISSING);
    feed(&t, &c, &p, &now, 19, weak, good); /* 190 forecasts */
    promotion_screen(&v, &t, &c);
    assert_int_equal(v.reason, PROMOTION_PAIRS_MISSING);
    feed(&t, &c, &p, &now, 1, weak, good);
    promotion_screen(&v, &t, &c);
    assert_int_not_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.pairs, 200);
    c.bars_min = 21;
    promotion_screen(&v, &t, &c);
    assert_int_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.reason, PROMOTION_BARS_MISSING);
    promotion_judge(&v, &t, 20, &c);
    assert_int_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.reason, PROMOTION_BARS_MISSING);

    promotion_trial_init(&t); /* prices that stand still */
    for (int i = 0; i < 300; i++) {
        promotion_trial_forecast(&t, &c, i * c.horizon_ns, 0.01, 0.02, 0);
        promotion_trial_bar(&t, 0, 0);
    }
    promotion_screen(&v, &t, &c);
    assert_int_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.reason, PROMOTION_NOTHING_MOVED);
}

/* One model's forecasts are missing here and there: neither is measured there. */
static void both_are_measured_on_the_same_rows(void **state) {
    (void)state;
    struct promotion_config c = promotion_config_defaults();
    struct promotion_trial t;
    promotion_trial_init(&t);
    promotion_trial_forecast(&t, &c, 0, NAN, 0.01, 0.02);
    promotion_trial_forecast(&t, &c, 0, 0.01, NAN, 0.02);
    promotion_trial_forecast(&t, &c, 0, 0.01, 0.01, NAN);
    promotion_trial_forecast(&t, &c, 0, 0.01, 0.015, 0.02);
    promotion_trial_bar(&t, NAN, 0.01);
    promotion_trial_bar(&t, 0.01, 0.02);
    assert_int_equal(t.error_old.count, 1);
    assert_int_equal(t.error_new.count, 1);
    assert_int_equal(t.returns_old.count, 1);
    assert_int_equal(t.returns_new.count, 1);
    assert_int_equal(t.evidence.pairs.missing, 3);
}

static void the_judge_wants_rule_and_test(void **state) {
    (void)state;
    struct promotion_config c = promotion_config_defaults();
    c.bars_min = 20;
    struct promotion_trial t;
    struct promotion_verdict v;
    promotion_trial_init(&t);
    struct planted p = {.rng = rng_init(test_seed())};
    int64_t now = 0;
    feed(&t, &c, &p, &now, 29, weak, good);
    promotion_judge(&v, &t, 29, &c);
    assert_int_equal(v.reason, PROMOTION_SAMPLES_MISSING);
    feed(&t, &c, &p, &now, 200, weak, good);
    promotion_judge(&v, &t, c.shadow_min - 1, &c);
    assert_int_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.reason, PROMOTION_SHADOW_SHORT);
    promotion_judge(&v, &t, c.shadow_min, &c);
    assert_int_equal(v.outcome, PROMOTION_ACCEPTS);
    assert_true(v.mape_new < 0.97 * v.mape_old && v.sharpe_new > v.sharpe_old && v.p <= c.alpha);
    c.alpha = 1e-90;
    promotion_judge(&v, &t, c.shadow_min, &c);
    assert_int_equal(v.outcome, PROMOTION_UNDECIDED);
    assert_int_equal(v.reason, PROMOTION_NOT_SIGNIFICANT);

    c.alpha = 0.001;
    promotion_trial_init(&t);
    feed(&t, &c, &p, &now, 400, weak, bad);
    promotion_judge(&v, &t, 400, &c);
    assert_int_equal(v.outcome, PROMOTION_REJECTS);
    assert_int_equal(v.reason, PROMOTION_WORSE);
    promotion_screen(&v, &t, &c);
    assert_int_equal(v.outcome, PROMOTION_REJECTS);
    assert_int_equal(v.reason, PROMOTION_ERROR_NOT_LOWER);
}

static void every_reason_has_a_text(void **state) {
    (void)state;
    for (int i = 0; i < PROMOTION_REASON_COUNT; i++)
        assert_true(strlen(promotion_reason_text((enum promotion_reason)i)) > 3);
    assert_string_equal(promotion_reason_text(PROMOTION_REASON_COUNT), "?");
    assert_string_equal(promotion_outcome_text(PROMOTION_ACCEPTS), "accept");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_of_the_reference),
        cmocka_unit_test(persistence_must_be_beaten),
        cmocka_unit_test(error_is_of_returns_not_of_prices),
        cmocka_unit_test(sharpe_by_hand),
        cmocka_unit_test(position_by_hand),
        cmocka_unit_test(too_little_is_no_decision),
        cmocka_unit_test(both_are_measured_on_the_same_rows),
        cmocka_unit_test(the_judge_wants_rule_and_test),
        cmocka_unit_test(every_reason_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
