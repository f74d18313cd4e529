/* Limits: each by hand, what is unknown, ceilings, and that nothing ever passes a limit.
 *
 * TEST_SEED=n repeats the random cases. */
#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "brain/sizing/leverage.h"
#include "brain/sizing/sizing.h"

static struct rng dice(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 52;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return rng_init(seed);
}

static void close_to(double x, double expected) {
    if (!(fabs(x - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("%.17g is not %.17g", x, expected);
}

/* A situation in which no limit is near: believed edge 1 %, wide room, a long record. */
static struct sizing_input easy(void) {
    return (struct sizing_input){.edge = 0.01,
                                 .edge_se = 0,
                                 .cost = 0.001,
                                 .trade_sigma = 0.02,
                                 .stop_distance = 0.01,
                                 .sigma_day = 0.005,
                                 .memory_mean = 0.02,
                                 .memory_samples = 1e9,
                                 .cluster_room = 10,
                                 .margin_available = 10,
                                 .multiplier = 1,
                                 .leverage = 3};
}

static struct sizing_decision decide(const struct sizing_config *config,
                                     const struct sizing_input *in) {
    struct sizing_decision out;
    sizing_decide(&out, config, in);
    return out;
}

static void each_limit_binds_in_its_turn(void **state) {
    (void)state;
    const struct sizing_config config = sizing_config_defaults();
    struct {
        enum sizing_limit limit;
        struct sizing_input in;
        double value;
    } rows[SIZING_LIMIT_COUNT];
    for (uint32_t k = 0; k < SIZING_LIMIT_COUNT; k++) {
        rows[k].limit = (enum sizing_limit)k;
        rows[k].in = easy();
    }
    rows[SIZING_LIMIT_KELLY].in.trade_sigma = 0.5;
    rows[SIZING_LIMIT_KELLY].value = 0.25 * 0.009 / 0.25;
    rows[SIZING_LIMIT_VOLATILITY].in.sigma_day = 0.1; /* alone in the book */
    rows[SIZING_LIMIT_VOLATILITY].value = 0.1;
    rows[SIZING_LIMIT_PORTFOLIO_VOLATILITY].in.sigma_day = 0.04;
    rows[SIZING_LIMIT_PORTFOLIO_VOLATILITY].in.variance_day = 0.016 * 0.016;
    rows[SIZING_LIMIT_PORTFOLIO_VOLATILITY].in.covariance_day = 0.04 * 0.016; /* correlation 1 */
    rows[SIZING_LIMIT_PORTFOLIO_VOLATILITY].value = 0.1; /* volatilities add: 0.016 + 0.004 */
    rows[SIZING_LIMIT_LEARNED].in.multiplier = 0.01;
    rows[SIZING_LIMIT_LEARNED].value = 0.01 * 2; /* of volatility 0.01/0.005 */
    rows[SIZING_LIMIT_EVIDENCE].in.memory_samples = 50;
    rows[SIZING_LIMIT_EVIDENCE].value = 0.05 + 0.15 / 2;
    rows[SIZING_LIMIT_STOP_RISK].in.stop_distance = 0.099;
    rows[SIZING_LIMIT_STOP_RISK].value = 0.1;
    rows[SIZING_LIMIT_SYMBOL].in.exposure_symbol = 0.15;
    rows[SIZING_LIMIT_SYMBOL].value = 0.05;
    rows[SIZING_LIMIT_CLUSTER].in.cluster_room = 0.03;
    rows[SIZING_LIMIT_CLUSTER].value = 0.03;
    rows[SIZING_LIMIT_TOTAL].in.exposure_total = 0.96;
    rows[SIZING_LIMIT_TOTAL].value = 0.04;
    rows[SIZING_LIMIT_MARGIN].in.margin_available = 0.01;
    rows[SIZING_LIMIT_MARGIN].value = 0.01 * 0.95 * 3 / 1.003;
    for (uint32_t k = 0; k < SIZING_LIMIT_CEILING; k++) {
        struct sizing_decision out = decide(&config, &rows[k].in);
        assert_int_equal(out.reason, SIZING_ALLOW);
        assert_string_equal(sizing_limit_text((enum sizing_limit)out.bound_by),
                            sizing_limit_text(rows[k].limit));
        close_to(out.fraction, rows[k].value);
        close_to(out.limits[k], rows[k].value);
        close_to(out.stop_loss, out.fraction * (rows[k].in.stop_distance + rows[k].in.cost));
    }
    /* The ceiling needs every configured limit at or above it: symbol_max alone is as high. */
    struct sizing_config wide = config;
    wide.symbol_max = wide.unproven_max = 100;
    wide.stop_risk = 1;
    wide.volatility_target = wide.portfolio_volatility = 1;
    struct sizing_decision out = decide(&wide, &rows[SIZING_LIMIT_CEILING].in);
    close_to(out.fraction, SIZING_SYMBOL_CEILING);
    close_to(out.limits[SIZING_LIMIT_CEILING], SIZING_SYMBOL_CEILING);
}

static void each_reason_is_given(void **state) {
    (void)state;
    const struct sizing_config config = sizing_config_defaults();
    struct sizing_input in = easy();
    assert_int_equal(decide(&config, &in).reason, SIZING_ALLOW);
    in.leverage = 0;
    assert_int_equal(decide(&config, &in).reason, SIZING_LEVERAGE_NONE);
    in = easy();
    in.cost = 0.0101;
    assert_int_equal(decide(&config, &in).reason, SIZING_EDGE_BELOW_COST);
    in = easy();
    in.edge = -0.01; /* Kelly would be negative: the original went on */
    assert_int_equal(decide(&config, &in).reason, SIZING_EDGE_BELOW_COST);
    in = easy();
    in.exposure_total = 1;
    struct sizing_decision out = decide(&config, &in);
    assert_int_equal(out.reason, SIZING_NO_ROOM);
    assert_int_equal(out.bound_by, SIZING_LIMIT_TOTAL);
    in = easy();
    in.multiplier = 0;
    out = decide(&config, &in);
    assert_int_equal(out.reason, SIZING_NO_ROOM);
    assert_int_equal(out.bound_by, SIZING_LIMIT_LEARNED);
    in = easy();
    in.fraction_min = 0.2001; /* symbol_max is 0.2 */
    assert_int_equal(decide(&config, &in).reason, SIZING_BELOW_MINIMUM);
    in.fraction_min = 0.199;
    assert_int_equal(decide(&config, &in).reason, SIZING_ALLOW);
    for (uint32_t k = 0; k < SIZING_REASON_COUNT; k++)
        assert_true(strlen(sizing_reason_text((enum sizing_reason)k)) > 1);
}

/* Every input by every bad value: named, and no trade. */
static void an_unknown_input_is_named_and_not_traded(void **state) {
    (void)state;
    static const struct {
        size_t offset;
        double low, high;
        bool unknown;
        const char *name;
    } inputs[] = {
#define ROW(member, lowest, highest, may, meaning)                                                 \
    {offsetof(struct sizing_input, member), lowest, highest, may, #member},
        SIZING_INPUT_TABLE(ROW)
#undef ROW
    };
    const struct sizing_config config = sizing_config_defaults();
    for (size_t k = 0; k < SIZING_INPUT_COUNT; k++) {
        const double bad[] = {NAN, INFINITY, -INFINITY, nextafter(inputs[k].low, -INFINITY),
                              nextafter(inputs[k].high, INFINITY)};
        for (size_t b = 0; b < 5; b++) {
            struct sizing_input in = easy();
            memcpy((char *)&in + inputs[k].offset, &bad[b], sizeof bad[b]);
            struct sizing_decision out = decide(&config, &in);
            if (b == 0 && inputs[k].unknown) {
                assert_int_not_equal(out.reason, SIZING_INPUT_UNKNOWN);
                continue;
            }
            assert_int_equal(out.reason, SIZING_INPUT_UNKNOWN);
            assert_string_equal(sizing_input_text((enum sizing_input_id)out.input), inputs[k].name);
            assert_true(out.fraction == 0 && out.leverage == 0);
            for (uint32_t n = 0; n < SIZING_LIMIT_COUNT; n++) assert_true(out.limits[n] == 0);
        }
    }
}

static void what_is_unknown_makes_it_smaller(void **state) {
    (void)state;
    struct sizing_config config = sizing_config_defaults();
    struct sizing_input in = easy();
    in.trade_sigma = 0.3;
    double sure = decide(&config, &in).limits[SIZING_LIMIT_KELLY];
    in.edge_se = 0.003;
    double half = decide(&config, &in).limits[SIZING_LIMIT_KELLY];
    close_to(half, 0.25 * (0.005 - 0.001) / (0.09 + 0.0000045));
    in.edge_se = NAN;
    double none = decide(&config, &in).limits[SIZING_LIMIT_KELLY];
    close_to(none, 0.25 * (0.002 - 0.001) / (0.09 + 0.8 * 0.000009));
    assert_true(none < half && half < sure);
    /* no record: a small part; a good one does not lift the edge, a bad one draws it down */
    in = easy();
    in.memory_mean = NAN;
    struct sizing_decision out = decide(&config, &in);
    close_to(out.limits[SIZING_LIMIT_EVIDENCE], 0.05);
    close_to(out.edge_shrunk, 0.01);
    in.memory_mean = 0.05;
    in.memory_samples = 50;
    close_to(decide(&config, &in).edge_shrunk, 0.01);
    in.memory_mean = -0.003;
    close_to(decide(&config, &in).edge_shrunk, 0.5 * 0.01 + 0.5 * (-0.003 + 0.001));
    in.memory_samples = 1e6;
    assert_int_equal(decide(&config, &in).reason, SIZING_EDGE_BELOW_COST);
    /* an unknown covariance is the worst one */
    in = easy();
    in.variance_day = 0.0001;
    in.covariance_day = 0.005 * 0.01;
    double worst = decide(&config, &in).limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY];
    in.covariance_day = NAN;
    close_to(decide(&config, &in).limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY], worst);
    in.covariance_day = 1; /* more than the two volatilities allow */
    close_to(decide(&config, &in).limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY], worst);
    in.covariance_day = 0;
    assert_true(decide(&config, &in).limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY] > worst);
    in.covariance_day = -0.005 * 0.01;
    double best = decide(&config, &in).limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY];
    assert_true(best > 2.99 * worst);
    in.covariance_day = -1; /* and a hedge is no better than a perfect one */
    close_to(decide(&config, &in).limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY], best);
}

/* Twin: the growth rate itself, searched for its maximum over outcomes +m, -m and 0. */
static void kelly_is_where_growth_is_greatest(void **state) {
    (void)state;
    struct sizing_config config = sizing_config_defaults();
    config.kelly_fraction = 0.5;
    struct rng r = dice();
    for (int n = 0; n < 200; n++) {
        double move = 0.05 + 0.1 * rng_f64(&r), hold = 0.5 * rng_f64(&r);
        double up = (1 - hold) * (0.5 + 0.03 * rng_f64(&r)), down = 1 - hold - up;
        double best = 0, growth = 0;
        for (int i = 0; i < 6000; i++) {
            double f = i * 0.0005;
            double g = up * log(1 + f * move) + down * log(1 - f * move);
            if (g > growth) {
                growth = g;
                best = f;
            }
        }
        struct sizing_input in = easy();
        in.edge = move * (up - down);
        in.cost = 0;
        in.trade_sigma = sqrt(move * move * (up + down) - in.edge * in.edge);
        double half = decide(&config, &in).limits[SIZING_LIMIT_KELLY];
        assert_true(fabs(half - best / 2) < 0.01 * best + 0.0005);
    }
}

/* Twin: the greatest size by bisection over the variance of the book with it. */
static void the_portfolio_limit_meets_its_target(void **state) {
    (void)state;
    struct sizing_config config = sizing_config_defaults();
    struct rng r = dice();
    for (int n = 0; n < 20000; n++) {
        struct sizing_input in = easy();
        in.sigma_day = 0.003 + 0.1 * rng_f64(&r);
        double book = 0.0199 * rng_f64(&r), rho = 2 * rng_f64(&r) - 1;
        in.variance_day = book * book;
        in.covariance_day = rho * book * in.sigma_day;
        struct sizing_decision out = decide(&config, &in);
        double low = 0, high = 100;
        for (int k = 0; k < 200; k++) {
            double w = (low + high) / 2;
            double v =
                in.variance_day + 2 * w * in.covariance_day + w * w * in.sigma_day * in.sigma_day;
            /* the larger root: beyond the vertex, or below the target */
            if (v <= 0.0004 || w < -in.covariance_day / in.sigma_day / in.sigma_day)
                low = w;
            else
                high = w;
        }
        double room = out.limits[SIZING_LIMIT_PORTFOLIO_VOLATILITY];
        assert_true(fabs(room - low) < 1e-9 * fmax(1, low));
        /* marginal volatility: the slope, by a difference */
        double w = out.fraction, h = 1e-6, c = in.covariance_day, s2 = in.sigma_day * in.sigma_day;
        double slope = (sqrt(in.variance_day + 2 * (w + h) * c + (w + h) * (w + h) * s2) -
                        sqrt(in.variance_day + 2 * (w - h) * c + (w - h) * (w - h) * s2)) /
                       (2 * h);
        if (out.portfolio_sigma > 1e-3) assert_true(fabs(slope - out.marginal_sigma) < 1e-6);
        assert_true(out.portfolio_sigma <= 0.02 * (1 + 1e-12));
    }
    /* beyond the target only what lowers the volatility */
    struct sizing_input in = easy();
    in.variance_day = 0.03 * 0.03;
    in.covariance_day = 0.5 * 0.03 * 0.005;
    struct sizing_decision out = decide(&config, &in);
    assert_int_equal(out.reason, SIZING_NO_ROOM);
    assert_int_equal(out.bound_by, SIZING_LIMIT_PORTFOLIO_VOLATILITY);
    in.covariance_day = -in.covariance_day;
    out = decide(&config, &in);
    assert_int_equal(out.reason, SIZING_ALLOW);
    assert_true(out.portfolio_sigma < 0.03 && out.marginal_sigma < 0);
}

static void the_stop_bounds_the_leverage(void **state) {
    (void)state;
    struct sizing_config config = sizing_config_defaults();
    config.leverage_max = 1000;
    struct sizing_input in = easy();
    in.leverage = 50;
    assert_int_equal(decide(&config, &in).leverage, LEVERAGE_CEILING);
    in.stop_distance = 0.2;
    assert_int_equal(decide(&config, &in).leverage, 4);
    config.leverage_max = 3;
    assert_int_equal(decide(&config, &in).leverage, 3);
    config.leverage_max = 0;
    assert_int_equal(decide(&config, &in).reason, SIZING_LEVERAGE_NONE);
}

static double extreme(struct rng *r, double low, double high) {
    static const double odd[] = {0,       -0.0,     NAN,      INFINITY, -INFINITY, DBL_MAX,
                                 DBL_MIN, -DBL_MAX, 4.9e-324, 1,        -1,        96e6};
    uint64_t kind = rng_below(r, 40);
    if (kind == 0) return odd[rng_below(r, sizeof odd / sizeof *odd)];
    if (kind < 3) return low;
    if (kind < 5) return high;
    if (kind < 9) return low + (high - low) * pow(10, -12 * rng_f64(r));
    if (kind < 16) return low + (high - low) * pow(10, -4 * rng_f64(r));
    return low + (high - low) * rng_f64(r) * 0.1;
}

/* Half of the time wholly so, else a plausible situation with some of its figures replaced. */
static struct sizing_input extreme_input(struct rng *r) {
    struct sizing_input in = easy();
    in.edge = 0.05 * rng_f64(r);
    in.edge_se = 0.01 * rng_f64(r);
    in.stop_distance = 0.1 * rng_f64(r);
    in.sigma_day = 0.2 * rng_f64(r);
    in.variance_day = 0.0005 * rng_f64(r);
    in.cluster_room = rng_f64(r);
    in.multiplier = rng_f64(r);
    uint64_t one_in = rng_below(r, 2) ? 1 : 2 + rng_below(r, 30);
#define DRAW(member, low, high, unknown, meaning)                                                  \
    if (rng_below(r, one_in) == 0) in.member = extreme(r, low, high);
    SIZING_INPUT_TABLE(DRAW)
#undef DRAW
    in.leverage = (uint32_t)rng_below(r, 200);
    return in;
}

static struct sizing_config extreme_config(struct rng *r) {
    struct sizing_config c = sizing_config_defaults();
    if (rng_below(r, 2)) return c;
    double *value = &c.kelly_fraction;
    for (int k = 0; k < 11; k++)
        if (rng_below(r, 2)) value[k] = extreme(r, 0, 100);
    c.leverage_max = (uint32_t)rng_below(r, 300);
    return c;
}

static void nothing_passes_a_limit_whatever_goes_in(void **state) {
    (void)state;
    static_assert(offsetof(struct sizing_config, leverage_max) == 11 * sizeof(double), "eleven");
    struct rng r = dice();
    uint32_t seen[SIZING_REASON_COUNT] = {0}, bound[SIZING_LIMIT_COUNT] = {0};
    for (int n = 0; n < 1000000; n++) {
        struct sizing_input in = extreme_input(&r);
        struct sizing_config c = extreme_config(&r);
        struct sizing_decision out = decide(&c, &in);
        assert_true(out.reason < SIZING_REASON_COUNT);
        seen[out.reason]++;
        assert_true(isfinite(out.fraction) && isfinite(out.stop_loss) &&
                    isfinite(out.portfolio_sigma) && isfinite(out.marginal_sigma) &&
                    isfinite(out.edge_net) && isfinite(out.soft) && isfinite(out.hard));
        for (int k = 0; k < SIZING_LIMIT_COUNT; k++)
            assert_true(out.limits[k] >= 0 && isfinite(out.limits[k]) &&
                        out.fraction <= out.limits[k]);
        assert_int_equal(out.reason == SIZING_ALLOW, out.fraction > 0);
        assert_int_equal(out.reason == SIZING_ALLOW, out.leverage > 0);
        assert_int_equal(out.reason == SIZING_INPUT_UNKNOWN, out.input != SIZING_INPUT_COUNT);
        if (out.reason != SIZING_ALLOW) continue;
        bound[out.bound_by]++;
        assert_true(out.fraction == out.limits[out.bound_by] && out.fraction >= in.fraction_min);
        assert_true(out.fraction + in.exposure_symbol <= SIZING_SYMBOL_CEILING * (1 + 1e-15));
        assert_true(out.fraction + in.exposure_total <= SIZING_TOTAL_CEILING * (1 + 1e-15));
        assert_true(out.stop_loss <= SIZING_STOP_RISK_CEILING * (1 + 1e-15));
        assert_true(out.fraction * in.sigma_day <= SIZING_VOLATILITY_CEILING * (1 + 1e-15));
        assert_true(out.leverage <= LEVERAGE_CEILING &&
                    out.leverage * in.stop_distance <= LEVERAGE_STOP_SHARE * (1 + 1e-15));
        assert_true(out.edge_net > 0 && out.edge_net <= in.edge);
        assert_true(out.fraction <=
                    SIZING_KELLY_CEILING * in.edge / (in.trade_sigma * in.trade_sigma));
        assert_true(out.fraction / out.leverage <= in.margin_available);
    }
    for (int k = 0; k < SIZING_REASON_COUNT; k++)
        if (seen[k] < 100)
            fail_msg("%s: %u times", sizing_reason_text((enum sizing_reason)k), seen[k]);
    for (int k = 0; k < SIZING_LIMIT_CEILING; k++)
        if (bound[k] == 0) fail_msg("%s never bound", sizing_limit_text((enum sizing_limit)k));
}

/* -1 the size must not rise with the input, +1 not fall, 0 no claim. */
static void the_size_is_monotone(void **state) {
    (void)state;
    static const struct {
        size_t offset;
        int sign;
        double low, high;
    } claims[] = {
        {offsetof(struct sizing_input, edge), 1, -0.02, 0.05},
        {offsetof(struct sizing_input, edge_se), -1, 0, 0.02},
        {offsetof(struct sizing_input, cost), -1, 0, 0.02},
        {offsetof(struct sizing_input, trade_sigma), -1, 0.001, 0.5},
        {offsetof(struct sizing_input, stop_distance), -1, 0.001, 0.4},
        {offsetof(struct sizing_input, sigma_day), -1, 0.002, 0.3},
        {offsetof(struct sizing_input, variance_day), -1, 0, 0.0008},
        {offsetof(struct sizing_input, memory_mean), 1, -0.02, 0.02},
        {offsetof(struct sizing_input, exposure_symbol), -1, 0, 0.3},
        {offsetof(struct sizing_input, exposure_total), -1, 0, 1.2},
        {offsetof(struct sizing_input, cluster_room), 1, 0, 0.5},
        {offsetof(struct sizing_input, margin_available), 1, 0, 1},
        {offsetof(struct sizing_input, multiplier), 1, 0, 1},
        {offsetof(struct sizing_input, covariance_day), -1, -0.001, 0.001},
    };
    const struct sizing_config config = sizing_config_defaults();
    struct rng r = dice();
    enum { CLAIMS = sizeof claims / sizeof *claims };
    uint32_t moved[CLAIMS] = {0};
    for (int n = 0; n < 400000; n++) {
        struct sizing_input in = easy();
        for (int k = 0; k < CLAIMS; k++) {
            double x = claims[k].low + (claims[k].high - claims[k].low) * rng_f64(&r);
            if (rng_below(&r, 2)) memcpy((char *)&in + claims[k].offset, &x, sizeof x);
        }
        in.memory_samples = 200 * rng_f64(&r);
        int k = (int)rng_below(&r, CLAIMS);
        double a, b = claims[k].low + (claims[k].high - claims[k].low) * rng_f64(&r);
        memcpy(&a, (char *)&in + claims[k].offset, sizeof a);
        struct sizing_input other = in;
        memcpy((char *)&other + claims[k].offset, &b, sizeof b);
        double size = decide(&config, &in).fraction, next = decide(&config, &other).fraction;
        /* a last bit may go the other way where the formula has a sum of rounded terms */
        double expected = (b - a) * claims[k].sign, slack = 1e-13;
        if (expected > 0 ? next < size - slack : next > size + slack)
            fail_msg("claim %d, case %d: %.17g to %.17g gives %.17g, then %.17g", k, n, a, b, size,
                     next);
        moved[k] += size != next;
    }
    for (int k = 0; k < CLAIMS; k++) assert_true(moved[k] > 50);
}

static void no_configuration_passes_a_ceiling(void **state) {
    (void)state;
    struct sizing_config c = sizing_config_defaults();
    assert_int_equal(sizing_config_clamp(&c), 0);
    c = (struct sizing_config){100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 0};
    assert_int_equal(sizing_config_clamp(&c), 10); /* two are lower bounds */
    assert_true(c.kelly_fraction == SIZING_KELLY_CEILING && c.symbol_max == SIZING_SYMBOL_CEILING &&
                c.total_max == SIZING_TOTAL_CEILING && c.stop_risk == SIZING_STOP_RISK_CEILING &&
                c.volatility_target == SIZING_VOLATILITY_CEILING &&
                c.portfolio_volatility == SIZING_PORTFOLIO_CEILING &&
                c.leverage_max == LEVERAGE_CEILING && c.margin_buffer == 1);
    assert_int_equal(sizing_config_clamp(&c), 0);
    c.stop_risk = NAN;
    c.symbol_max = -1;
    assert_int_equal(sizing_config_clamp(&c), 2);
    assert_true(c.stop_risk == 0 && c.symbol_max == 0);
}

static void the_module_knows_its_answers(void **state) {
    (void)state;
    assert_true(sizing_self_test());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_binds_in_its_turn),
        cmocka_unit_test(each_reason_is_given),
        cmocka_unit_test(an_unknown_input_is_named_and_not_traded),
        cmocka_unit_test(what_is_unknown_makes_it_smaller),
        cmocka_unit_test(kelly_is_where_growth_is_greatest),
        cmocka_unit_test(the_portfolio_limit_meets_its_target),
        cmocka_unit_test(the_stop_bounds_the_leverage),
        cmocka_unit_test(nothing_passes_a_limit_whatever_goes_in),
        cmocka_unit_test(the_size_is_monotone),
        cmocka_unit_test(no_configuration_passes_a_ceiling),
        cmocka_unit_test(the_module_knows_its_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
