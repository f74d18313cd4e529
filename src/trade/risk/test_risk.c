/* The gates: each reason, their order, and that they only lower.
 *
 * TEST_SEED=n repeats the random cases. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "trade/risk/risk.h"

static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t S = INT64_C(1000000000);
static const int64_t HOUR = INT64_C(3600000000000);

/* A situation in which everything is allowed, to be spoilt in one way or several. */
struct situation {
    struct risk_state state;
    struct risk_limits limits;
    struct instrument instrument;
    struct trade_intent intent;
};

static struct situation fine(void) {
    struct situation s = {.limits = risk_limits_defaults()};
    instrument_defaults(&s.instrument, "BTCUSDT");
    s.instrument.tick_size.e8 = s.instrument.px_min.e8 = FX_ONE / 10;
    s.instrument.step_size.e8 = s.instrument.market_step_size.e8 = FX_ONE / 1000;
    s.instrument.qty_min.e8 = s.instrument.market_qty_min.e8 = FX_ONE / 1000;
    s.instrument.market_qty_max.e8 = 1000 * FX_ONE;
    s.state = (struct risk_state){
        .now_ns = T0,
        .last_px_ts_ns = T0,
        .equity = {10000 * FX_ONE},
        .available = {10000 * FX_ONE},
        .last_px = {100 * FX_ONE},
        .half_spread = {10000}, /* 0.0001 */
        .interval_ns = HOUR,
    };
    s.intent = (struct trade_intent){
        .intent_id = 1,
        .symbol = "BTCUSDT",
        .side = SIDE_BUY,
        .position_size_usd = {500 * FX_ONE},
        .leverage = 3,
        .entry_price = {100 * FX_ONE},
        .stop_loss = {98 * FX_ONE},
        .take_profit = {102 * FX_ONE},
        .stop_distance = 0.02,
        .take_distance = 0.02,
        .confidence = 0.6,
        .edge = 0.01,
        .created = T0,
        .expires = T0 + HOUR,
    };
    return s;
}

static struct risk_verdict check(const struct situation *s) {
    struct risk_verdict v;
    memset(&v, 0xAA, sizeof v);
    risk_check(&v, &s->state, &s->limits, &s->instrument, &s->intent);
    return v;
}

/* --- reasons, in order of precedence ------------------------------------------------------------- */

static void emergency(struct situation *s) {
    s->state.emergency_stop = true;
}
static void closing(struct situation *s) {
    s->state.closing = true;
}
/* The breaker has one word at a time: of two the earlier is its own choice. */
static void say(struct situation *s, enum risk_reason reason) {
    if (s->state.breaker == RISK_ALLOW || reason < s->state.breaker) s->state.breaker = reason;
}
static void tripped(struct situation *s) {
    say(s, RISK_ESS_TRIPPED);
}
static void venue_down(struct situation *s) {
    say(s, RISK_VENUE_DOWN);
}
static void breaker_open(struct situation *s) {
    say(s, RISK_BREAKER_OPEN);
}
static void breaker_symbol(struct situation *s) {
    say(s, RISK_BREAKER_SYMBOL);
}
static void crashed(struct situation *s) {
    s->state.flash_crash = true;
}
static void stale(struct situation *s) {
    s->state.now_ns = s->state.last_px_ts_ns = s->intent.expires;
}
static void wrong_side(struct situation *s) {
    s->intent.stop_loss.e8 = 101 * FX_ONE;
}
static void not_trading(struct situation *s) {
    s->instrument.status = INSTRUMENT_SETTLING;
}
static void old_market(struct situation *s) {
    s->state.last_px_ts_ns -= 2 * HOUR + 1;
}
static void same_side(struct situation *s) {
    s->state.position_qty.e8 = FX_ONE;
}
static void opposite(struct situation *s) {
    s->state.position_qty.e8 = -FX_ONE;
}
static void working(struct situation *s) {
    s->state.orders_working = true;
}
static void just_closed(struct situation *s) {
    s->state.last_close_ts_ns = s->state.now_ns - 299 * S;
}
static void slots(struct situation *s) {
    s->state.positions_open = s->limits.positions_max;
}
static void unsure(struct situation *s) {
    s->intent.confidence = 0.399;
}
static void far_price(struct situation *s) {
    s->state.last_px.e8 = s->state.last_px.e8 * 1011 / 1000;
}
static void no_edge(struct situation *s) {
    s->intent.edge = 0.0001;
}
static void tight(struct situation *s) {
    s->intent.stop_distance = 0.002;
}
static void no_risk(struct situation *s) {
    s->limits.risk_per_trade = 0;
}
static void symbol_full(struct situation *s) {
    s->limits.notional_symbol_max.e8 = 0;
}
static void total_full(struct situation *s) {
    s->state.exposure_total = s->state.equity;
}
static void no_margin(struct situation *s) {
    s->state.available.e8 = 0;
}
static void bracket(struct situation *s) {
    s->instrument.brackets[0].leverage_max = 2;
}
static void small_qty(struct situation *s) {
    s->instrument.market_qty_min.e8 = 100 * FX_ONE;
}
static void small_notional(struct situation *s) {
    s->instrument.notional_min.e8 = 900 * FX_ONE;
}

static const struct {
    enum risk_reason reason;
    void (*spoil)(struct situation *s);
} gates[] = {
    {RISK_EMERGENCY_STOP, emergency},
    {RISK_CLOSING, closing},
    {RISK_ESS_TRIPPED, tripped},
    {RISK_VENUE_DOWN, venue_down},
    {RISK_BREAKER_OPEN, breaker_open},
    {RISK_BREAKER_SYMBOL, breaker_symbol},
    {RISK_STALE_INTENT, stale},
    {RISK_INTENT_INVALID, wrong_side},
    {RISK_SYMBOL_NOT_TRADING, not_trading},
    {RISK_MARKET_STALE, old_market},
    {RISK_FLASH_CRASH, crashed},
    {RISK_POSITION_OPEN, same_side},
    {RISK_POSITION_OPPOSITE, opposite},
    {RISK_ORDERS_WORKING, working},
    {RISK_COOLDOWN, just_closed},
    {RISK_SLOTS_FULL, slots},
    {RISK_CONFIDENCE_LOW, unsure},
    {RISK_PRICE_DEVIATION, far_price},
    {RISK_EDGE_BELOW_COST, no_edge},
    {RISK_STOP_TOO_TIGHT, tight},
    {RISK_PER_TRADE, no_risk},
    {RISK_EXPOSURE_SYMBOL, symbol_full},
    {RISK_EXPOSURE_TOTAL, total_full},
    {RISK_MARGIN, no_margin},
    {RISK_LEVERAGE, bracket},
    {RISK_QTY_MIN, small_qty},
    {RISK_NOTIONAL_MIN, small_notional},
};
enum { GATES = sizeof gates / sizeof *gates };

static void every_reason_but_the_ledgers_has_a_situation(void **state) {
    (void)state;
    bool covered[RISK_REASON_COUNT] = {
        [RISK_ALLOW] = true, [RISK_DUPLICATE_INTENT] = true, [RISK_LEDGER_FULL] = true};
    for (size_t i = 0; i < GATES; i++) covered[gates[i].reason] = true;
    for (int r = 0; r < RISK_REASON_COUNT; r++) {
        assert_true(covered[r]);
        assert_string_not_equal(risk_reason_text((enum risk_reason)r), "?");
        for (int q = 0; q < r; q++)
            assert_string_not_equal(risk_reason_text((enum risk_reason)r),
                                    risk_reason_text((enum risk_reason)q));
    }
}

static void the_untouched_situation_is_allowed(void **state) {
    (void)state;
    struct situation s = fine();
    struct risk_verdict v = check(&s);
    assert_int_equal(v.reason, RISK_ALLOW);
    assert_int_equal(v.bound_by, RISK_ALLOW); /* the wish itself */
    assert_int_equal(v.qty.e8, 5 * FX_ONE);
    assert_int_equal(v.leverage, 3);
}

static void each_spoilt_situation_has_its_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < GATES; i++) {
        struct situation s = fine();
        gates[i].spoil(&s);
        struct risk_verdict v = check(&s);
        if (v.reason != gates[i].reason)
            fail_msg("%s instead of %s", risk_reason_text(v.reason),
                     risk_reason_text(gates[i].reason));
        assert_int_equal(v.qty.e8, 0); /* nothing to act on by mistake */
    }
}

static void of_two_reasons_the_earlier_is_given(void **state) {
    (void)state;
    for (size_t i = 0; i < GATES; i++)
        for (size_t j = i + 1; j < GATES; j++) {
            /* A position is on one side only. */
            if (gates[i].spoil == same_side && gates[j].spoil == opposite) continue;
            struct situation s = fine();
            gates[i].spoil(&s);
            gates[j].spoil(&s);
            struct risk_verdict v = check(&s);
            if (v.reason != gates[i].reason)
                fail_msg("%s before %s, got %s", risk_reason_text(gates[i].reason),
                         risk_reason_text(gates[j].reason), risk_reason_text(v.reason));
        }
}

/* --- single gates -------------------------------------------------------------------------------- */

static void reason_of_intent(const struct situation *s, enum risk_reason reason) {
    struct risk_verdict v = check(s);
    assert_string_equal(risk_reason_text(v.reason), risk_reason_text(reason));
}

/* Lesson L11: the original had stop and target the wrong way round for SELL. */
static void a_stop_or_target_on_the_wrong_side_is_refused(void **state) {
    (void)state;
    static const struct {
        enum side side;
        bool ok;
        int64_t stop, take;
    } rows[] = {
        {SIDE_BUY, true, 98, 102},   {SIDE_BUY, true, 98, 0},      {SIDE_BUY, false, 100, 102},
        {SIDE_BUY, false, 102, 98},  {SIDE_BUY, false, 98, 100},   {SIDE_BUY, false, 98, 99},
        {SIDE_SELL, true, 102, 98},  {SIDE_SELL, true, 102, 0},    {SIDE_SELL, false, 100, 98},
        {SIDE_SELL, false, 98, 102}, {SIDE_SELL, false, 102, 100}, {SIDE_NONE, false, 98, 102},
        {SIDE_BUY, false, 0, 102},   {SIDE_BUY, false, -5, 102},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct situation s = fine();
        s.intent.side = rows[i].side;
        s.intent.stop_loss.e8 = rows[i].stop * FX_ONE;
        s.intent.take_profit.e8 = rows[i].take * FX_ONE;
        reason_of_intent(&s, rows[i].ok ? RISK_ALLOW : RISK_INTENT_INVALID);
    }
}

static void numbers_that_are_none_are_refused(void **state) {
    (void)state;
    const double nan = (double)NAN, inf = (double)INFINITY;
    static const double distances[] = {0, -0.01, 0.5, 3};
    for (size_t i = 0; i < 4 + 2; i++) {
        struct situation s = fine();
        s.intent.stop_distance = i < 4 ? distances[i] : i == 4 ? nan : inf;
        reason_of_intent(&s, RISK_INTENT_INVALID);
    }
    const double takes[] = {-0.01, 5, nan, inf};
    for (size_t i = 0; i < 4; i++) {
        struct situation s = fine();
        s.intent.take_distance = takes[i];
        reason_of_intent(&s, RISK_INTENT_INVALID);
    }
    const double confidences[] = {-0.01, 1.01, nan, inf};
    for (size_t i = 0; i < 4; i++) {
        struct situation s = fine();
        s.intent.confidence = confidences[i];
        reason_of_intent(&s, RISK_INTENT_INVALID);
    }
    struct situation s = fine();
    s.intent.position_size_usd.e8 = 0;
    reason_of_intent(&s, RISK_INTENT_INVALID);
    s = fine();
    s.intent.leverage = 0;
    reason_of_intent(&s, RISK_INTENT_INVALID);
    s = fine();
    s.intent.entry_price.e8 = 0;
    reason_of_intent(&s, RISK_INTENT_INVALID);
}

/* A ladder of 2, 3, 5 % with parts of a half and 0.3, break-even and trailing. */
static struct situation with_plan(void) {
    struct situation s = fine();
    s.intent.take_distance = 0.02;
    s.intent.take_distance_2 = 0.03;
    s.intent.take_distance_3 = 0.05;
    s.intent.take_part_1 = 0.5;
    s.intent.take_part_2 = 0.3;
    s.intent.break_even_distance = 0.01;
    s.intent.trail_from_distance = 0.025;
    s.intent.trail_distance = 0.01;
    s.intent.arm = ARM_NONE;
    return s;
}

static void a_plan_makes_sense_or_is_refused(void **state) {
    (void)state;
    struct situation s = with_plan();
    reason_of_intent(&s, RISK_ALLOW);
    static const struct {
        bool ok;
        double d1, d2, d3, p1, p2;
    } rows[] = {
        {true, .02, 0, 0, 0, 0},         {true, .02, .03, 0, .5, 0},
        {true, .02, .03, .05, .5, 0},    {true, .02, .03, .05, .5, .5},
        {true, .02, .03, 0, 0, 0},       {false, .02, .02, .05, .5, .3},
        {false, .02, .03, .03, .5, .3},  {false, .02, .05, .03, .5, .3},
        {false, .02, 0, .05, .5, .3},    {false, 0, .03, .05, .5, .3},
        {false, .02, .03, .05, .8, .3},  {false, .02, .03, .05, 0, .3},
        {false, .02, 0, 0, .5, 0},       {false, .02, .03, 0, .5, .3},
        {false, .02, .03, .05, -.1, .3}, {false, .02, .03, .05, .5, -.1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        s = with_plan();
        s.intent.take_distance = rows[i].d1;
        s.intent.take_distance_2 = rows[i].d2;
        s.intent.take_distance_3 = rows[i].d3;
        s.intent.take_part_1 = rows[i].p1;
        s.intent.take_part_2 = rows[i].p2;
        reason_of_intent(&s, rows[i].ok ? RISK_ALLOW : RISK_INTENT_INVALID);
    }
    const double none[] = {-0.01, 5, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < 4; i++)
        for (int field = 0; field < 7; field++) {
            s = with_plan();
            double *const fields[] = {&s.intent.take_distance_2,     &s.intent.take_distance_3,
                                      &s.intent.break_even_distance, &s.intent.trail_from_distance,
                                      &s.intent.trail_distance,      &s.intent.take_part_1,
                                      &s.intent.take_part_2};
            *fields[field] = none[i];
            reason_of_intent(&s, RISK_INTENT_INVALID);
        }
    s = with_plan();
    s.intent.arm = ARM_NONE + 1;
    reason_of_intent(&s, RISK_INTENT_INVALID);
}

static void a_market_without_a_fresh_price_is_stale(void **state) {
    (void)state;
    struct situation s = fine();
    s.state.last_px_ts_ns = T0 - s.limits.market_age_ns_max;
    reason_of_intent(&s, RISK_ALLOW); /* exactly at the limit */
    s.state.last_px_ts_ns--;
    reason_of_intent(&s, RISK_MARKET_STALE);
    s = fine();
    s.state.last_px.e8 = 0;
    reason_of_intent(&s, RISK_MARKET_STALE);
}

static void thresholds_are_met_exactly(void **state) {
    (void)state;
    struct situation s = fine();
    s.intent.confidence = s.limits.confidence_min;
    reason_of_intent(&s, RISK_ALLOW);
    s = fine();
    s.state.last_close_ts_ns = T0 - s.limits.cooldown_ns;
    reason_of_intent(&s, RISK_ALLOW);
    s = fine();
    s.state.now_ns = s.state.last_px_ts_ns = s.intent.expires - 1;
    reason_of_intent(&s, RISK_ALLOW);
    s = fine();
    s.state.positions_open = s.limits.positions_max - 1;
    reason_of_intent(&s, RISK_ALLOW);
    s = fine();
    struct risk_verdict v = check(&s);
    s.intent.edge = v.cost * s.limits.edge_cost_multiple; /* must exceed */
    reason_of_intent(&s, RISK_EDGE_BELOW_COST);
    s.intent.edge = nextafter(s.intent.edge, 1);
    reason_of_intent(&s, RISK_ALLOW);
    s = fine();
    s.intent.stop_distance = v.cost * s.limits.stop_cost_multiple;
    reason_of_intent(&s, RISK_ALLOW);
    s.intent.stop_distance = nextafter(s.intent.stop_distance, 0);
    reason_of_intent(&s, RISK_STOP_TOO_TIGHT);
}

static void a_stop_nearer_than_two_ticks_is_too_tight(void **state) {
    (void)state;
    struct situation s = fine();
    s.instrument.tick_size.e8 = FX_ONE; /* 1 %: the stop is two ticks away */
    reason_of_intent(&s, RISK_ALLOW);
    s.instrument.tick_size.e8 = FX_ONE + 1000000;
    reason_of_intent(&s, RISK_STOP_TOO_TIGHT);
}

static void no_edge_is_denied_while_the_gate_is_on_and_counted_while_off(void **state) {
    (void)state;
    struct situation s = fine();
    s.intent.edge = (double)NAN;
    reason_of_intent(&s, RISK_EDGE_BELOW_COST);
    s.limits.cost_gate = false;
    struct risk_verdict v = check(&s);
    assert_int_equal(v.reason, RISK_ALLOW);
    assert_true(v.cost_gate_would_deny);
    s.intent.edge = 0.5;
    assert_false(check(&s).cost_gate_would_deny);
}

/* --- cost ---------------------------------------------------------------------------------------- */

static double cost_of(const struct situation *s) {
    return risk_round_trip_cost(&s->state, &s->limits, &s->instrument, &s->intent);
}

static void the_round_trip_cost_by_hand(void **state) {
    (void)state;
    struct situation s = fine();
    /* fee 0.0005, half spread 0.0001, slippage 0.0001, each way */
    assert_true(fabs(cost_of(&s) - 0.0014) < 1e-15);
    /* Funding 0.0001 every 8 h, held 12 bars of 1 h: a buyer pays 1.5 settlements. */
    s.state.funding_rate.e8 = 10000;
    s.intent.horizon_bars = 12;
    assert_true(fabs(cost_of(&s) - (0.0014 + 0.00015)) < 1e-15);
    /* A seller is paid, which is nothing to count on. */
    s.intent.side = SIDE_SELL;
    assert_true(fabs(cost_of(&s) - 0.0014) < 1e-15);
    s.state.funding_rate.e8 = -10000;
    assert_true(fabs(cost_of(&s) - 0.00155) < 1e-15);
    s.intent.side = SIDE_BUY;
    assert_true(fabs(cost_of(&s) - 0.0014) < 1e-15);
    s.instrument.funding_interval_ns = 4 * HOUR;
    s.state.funding_rate.e8 = 10000;
    assert_true(fabs(cost_of(&s) - (0.0014 + 0.0003)) < 1e-15);
    s.intent.horizon_bars = 0; /* open end: nothing known */
    assert_true(fabs(cost_of(&s) - 0.0014) < 1e-15);
}

static void the_verdict_names_the_cost_it_used(void **state) {
    (void)state;
    struct situation s = fine();
    assert_true(check(&s).cost == cost_of(&s));
    s.intent.edge = 0;
    assert_true(check(&s).cost == cost_of(&s));
}

/* --- size ---------------------------------------------------------------------------------------- */

static void the_size_is_the_least_of_all_limits(void **state) {
    (void)state;
    const double cost = 0.0014;
    static const struct {
        int64_t wish;
        double risk;
        int64_t symbol, exposure, available;
        enum risk_reason by;
    } rows[] = {
        {500, 0.01, 1000, 0, 10000, RISK_ALLOW},
        {9000, 0.01, 9500, 0, 10000, RISK_PER_TRADE}, /* 100 / 0.0214 = 4672.9 */
        {9000, 0.05, 1000, 0, 10000, RISK_EXPOSURE_SYMBOL},
        {9000, 0.05, 9500, 8000, 10000, RISK_EXPOSURE_TOTAL}, /* 10000 - 8000 */
        {9000, 0.05, 9500, 0, 500, RISK_MARGIN},              /* 500 / (1/3 + 0.0028) = 1487.5 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct situation s = fine();
        s.intent.position_size_usd.e8 = rows[i].wish * FX_ONE;
        s.limits.risk_per_trade = rows[i].risk;
        s.limits.notional_symbol_max.e8 = rows[i].symbol * FX_ONE;
        s.state.exposure_total.e8 = rows[i].exposure * FX_ONE;
        s.state.available.e8 = rows[i].available * FX_ONE;
        double want = (double)rows[i].wish;
        want = fmin(want, 10000 * rows[i].risk / (0.02 + cost));
        want = fmin(want, (double)rows[i].symbol);
        want = fmin(want, 10000 - (double)rows[i].exposure);
        want = fmin(want, (double)rows[i].available / (1.0 / 3 + 2 * cost));
        struct risk_verdict v = check(&s);
        assert_int_equal(v.reason, RISK_ALLOW);
        assert_string_equal(risk_reason_text(v.bound_by), risk_reason_text(rows[i].by));
        assert_int_equal(v.qty.e8, (int64_t)floor(want / 100 * 1000) * (FX_ONE / 1000));
    }
}

static void the_size_is_cut_to_what_the_venue_takes_at_once(void **state) {
    (void)state;
    struct situation s = fine();
    s.instrument.market_qty_max.e8 = 2 * FX_ONE + 12345;
    struct risk_verdict v = check(&s);
    assert_int_equal(v.reason, RISK_ALLOW);
    assert_int_equal(v.qty.e8, 2 * FX_ONE);
}

static void leverage_is_the_lower_of_wish_and_limit(void **state) {
    (void)state;
    struct situation s = fine();
    s.intent.leverage = 2;
    assert_int_equal(check(&s).leverage, 2);
    s.intent.leverage = 20;
    assert_int_equal(check(&s).leverage, 3);
}

/* 0.8 of the way to the liquidation, 1 / leverage - 0.025, must hold the stop. */
static void leverage_is_lowered_until_the_stop_lies_before_the_liquidation(void **state) {
    (void)state;
    static const struct {
        double stop;
        uint32_t leverage;
    } rows[] = {{0.02, 10}, {0.05, 10}, {0.0601, 9}, {0.1, 6}, {0.2, 3}, {0.3, 2}, {0.49, 1}};
    struct situation s = fine();
    assert_int_equal(s.instrument.brackets[0].maint_margin_rate.e8, FX_ONE / 40);
    s.limits.leverage_max = s.intent.leverage = 10;
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        s.intent.stop_distance = rows[n].stop;
        struct risk_verdict v = check(&s);
        assert_int_equal(v.reason, RISK_ALLOW);
        assert_int_equal(v.leverage, rows[n].leverage);
        assert_true(rows[n].stop <= RISK_STOP_SHARE * (1.0 / v.leverage - 0.025));
    }
    /* Nothing is borrowed and still the stop comes too late: not entered. */
    s.instrument.brackets[0].maint_margin_rate.e8 = FX_ONE / 2;
    s.intent.stop_distance = 0.49;
    reason_of_intent(&s, RISK_LEVERAGE);
}

/* A dip of 1 % between decision and fill must not make the order too small for the venue. */
static void the_notional_has_one_percent_of_room(void **state) {
    (void)state;
    struct situation s = fine();
    s.intent.position_size_usd.e8 = 5 * FX_ONE + FX_ONE / 25; /* 5.04: 4.9896 after a dip */
    reason_of_intent(&s, RISK_NOTIONAL_MIN);
    s.intent.position_size_usd.e8 = 5 * FX_ONE + FX_ONE / 10; /* 5.10: 5.049 */
    reason_of_intent(&s, RISK_ALLOW);
}

static void defaults_are_within_the_ceilings(void **state) {
    (void)state;
    struct risk_limits l = risk_limits_defaults();
    assert_int_equal(risk_limits_clamp(&l), 0);
}

static void ceilings_lower_whatever_passes_them(void **state) {
    (void)state;
    struct risk_limits l = risk_limits_defaults();
    l.positions_max = 51;
    l.leverage_max = 125;
    l.risk_per_trade = 0.8; /* the original's loosened limits: 80 % and 500 % */
    l.exposure_total_max = 5.0;
    assert_int_equal(risk_limits_clamp(&l), 4);
    assert_int_equal(l.positions_max, RISK_POSITIONS_CEILING);
    assert_int_equal(l.leverage_max, RISK_LEVERAGE_CEILING);
    assert_true(l.risk_per_trade == RISK_FRACTION_CEILING);
    assert_true(l.exposure_total_max == RISK_EXPOSURE_CEILING);
    assert_int_equal(risk_limits_clamp(&l), 0);
    l.risk_per_trade = (double)NAN; /* no figure is no way around one */
    assert_int_equal(risk_limits_clamp(&l), 1);
    assert_true(l.risk_per_trade == RISK_FRACTION_CEILING);
}

/* --- random situations --------------------------------------------------------------------------- */

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

static int64_t power10(struct rng *rng, int low, int high) {
    int64_t v = 1;
    uint64_t count = (uint64_t)high - (uint64_t)low + 1;
    for (int n = low + (int)rng_below(rng, count); n > 0; n--) v *= 10;
    return v;
}

/* Prices from 1e-7 to 1e7, steps from 1e-8 to 5e5, sizes from cents to millions. */
static struct situation random_situation(struct rng *rng) {
    struct situation s = fine();
    int64_t px = power10(rng, 1, 13) * (1 + (int64_t)rng_below(rng, 99));
    struct instrument *in = &s.instrument;
    in->tick_size.e8 = in->px_min.e8 = 1;
    /* A step worth 1e-5 to 100 quote units, as a power of ten or five times one. */
    int64_t worth = power10(rng, 3, 10), step = 1;
    while (step < INT64_C(10000000000000) && (double)step * (double)px < (double)worth * 1e8)
        step *= 10;
    in->market_step_size.e8 = rng_below(rng, 4) ? step : step * 5;
    in->market_qty_min.e8 = in->market_step_size.e8 * (1 + (int64_t)rng_below(rng, 5));
    in->market_qty_max.e8 = in->market_qty_min.e8 * (1 + (int64_t)rng_below(rng, 5000));
    in->notional_min.e8 = (int64_t)rng_below(rng, (uint64_t)(100 * FX_ONE));
    s.state.last_px.e8 = px;
    s.state.equity.e8 = power10(rng, 8, 14);
    s.state.available.e8 = (int64_t)(rng_f64(rng) * (double)s.state.equity.e8);
    s.state.exposure_total.e8 = (int64_t)(rng_f64(rng) * 0.9 * (double)s.state.equity.e8);
    s.limits.notional_symbol_max.e8 = power10(rng, 8, 16);
    s.limits.risk_per_trade = rng_f64(rng) * 0.05;
    s.intent.side = rng_below(rng, 2) ? SIDE_BUY : SIDE_SELL;
    s.intent.position_size_usd.e8 = power10(rng, 6, 16);
    s.intent.leverage = 1 + (uint32_t)rng_below(rng, 20);
    s.intent.stop_distance = 0.003 + rng_f64(rng) * 0.3;
    s.intent.entry_price.e8 = px;
    int64_t away = (int64_t)((double)px * s.intent.stop_distance) + 1;
    bool buy = s.intent.side == SIDE_BUY;
    s.intent.stop_loss.e8 = buy ? px - away : px + away;
    s.intent.take_profit.e8 = buy ? px + away : px - away;
    return s;
}

static void sizes_obey_the_filters_and_every_limit_on_random_contracts(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    uint32_t allowed = 0, by[RISK_REASON_COUNT] = {0};
    for (int n = 0; n < 100000; n++) {
        struct situation s = random_situation(&rng);
        struct risk_verdict v = check(&s);
        by[v.reason]++;
        if (v.reason != RISK_ALLOW) {
            assert_int_equal(v.qty.e8, 0);
            continue;
        }
        allowed++;
        const struct instrument *in = &s.instrument;
        assert_int_equal(instrument_check_qty(in, v.qty, true), FILTER_OK);
        assert_int_equal(v.qty.e8 % in->market_step_size.e8, 0);
        px_t dipped = {s.state.last_px.e8 - s.state.last_px.e8 / 100};
        assert_int_equal(instrument_check_notional(in, dipped, v.qty), FILTER_OK);
        double notional = qty_to_f64(v.qty) * px_to_f64(s.state.last_px), room = 1 + 1e-9;
        double equity = money_to_f64(s.state.equity);
        assert_true(notional <= money_to_f64(s.intent.position_size_usd) * room);
        assert_true(notional <= money_to_f64(s.limits.notional_symbol_max) * room);
        assert_true(notional + money_to_f64(s.state.exposure_total) <=
                    equity * s.limits.exposure_total_max * room);
        assert_true(notional * (s.intent.stop_distance + v.cost) <=
                    equity * s.limits.risk_per_trade * room);
        assert_true(notional / v.leverage + 2 * v.cost * notional <=
                    money_to_f64(s.state.available) * room);
        assert_true(v.leverage <= s.limits.leverage_max && v.leverage <= s.intent.leverage);
        /* Floored, not cut short: one more step would pass a limit. */
        if (v.bound_by == RISK_ALLOW &&
            v.qty.e8 + in->market_step_size.e8 <= in->market_qty_max.e8) {
            double more = notional + qty_to_f64(in->market_step_size) * px_to_f64(s.state.last_px);
            assert_true(more * room > money_to_f64(s.intent.position_size_usd));
        }
    }
    assert_true(allowed > 10000);
    assert_true(by[RISK_QTY_MIN] > 100 && by[RISK_NOTIONAL_MIN] > 100);
}

/* Lesson L47: a gate may only lower. Wanting more never gives more than the limits allow, and a
 * tighter limit never gives more than a wider one. */
static void gates_only_lower(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed() + 1);
    uint32_t compared = 0;
    for (int n = 0; n < 60000; n++) {
        struct situation s = random_situation(&rng), bold = s, unlimited = s, tighter = s;
        struct risk_verdict v = check(&s);
        if (v.reason != RISK_ALLOW) continue;
        compared++;
        /* What the limits alone allow, whatever is wanted. */
        unlimited.intent.position_size_usd.e8 = INT64_C(9000000000) * FX_ONE;
        int64_t most = check(&unlimited).qty.e8;
        assert_true(v.qty.e8 <= most);
        bold.intent.position_size_usd.e8 *= 1 + (int64_t)rng_below(&rng, 20);
        bold.intent.confidence = 1.0;
        bold.intent.edge = 10;
        bold.intent.leverage = 125;
        struct risk_verdict b = check(&bold);
        if (b.reason == RISK_ALLOW) {
            assert_true(b.leverage <= s.limits.leverage_max);
            unlimited.intent.leverage = bold.intent.leverage;
            assert_true(b.qty.e8 <= check(&unlimited).qty.e8);
        }
        switch (rng_below(&rng, 5)) {
        case 0:
            tighter.limits.risk_per_trade *= rng_f64(&rng);
            break;
        case 1:
            tighter.limits.notional_symbol_max.e8 /= 1 + (int64_t)rng_below(&rng, 9);
            break;
        case 2:
            tighter.limits.exposure_total_max *= rng_f64(&rng);
            break;
        case 3:
            tighter.state.available.e8 /= 1 + (int64_t)rng_below(&rng, 9);
            break;
        default:
            tighter.limits.confidence_min += rng_f64(&rng);
            break;
        }
        assert_true(check(&tighter).qty.e8 <= v.qty.e8);
    }
    assert_true(compared > 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_but_the_ledgers_has_a_situation),
        cmocka_unit_test(the_untouched_situation_is_allowed),
        cmocka_unit_test(each_spoilt_situation_has_its_reason),
        cmocka_unit_test(of_two_reasons_the_earlier_is_given),
        cmocka_unit_test(a_stop_or_target_on_the_wrong_side_is_refused),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(a_plan_makes_sense_or_is_refused),
        cmocka_unit_test(a_market_without_a_fresh_price_is_stale),
        cmocka_unit_test(thresholds_are_met_exactly),
        cmocka_unit_test(a_stop_nearer_than_two_ticks_is_too_tight),
        cmocka_unit_test(no_edge_is_denied_while_the_gate_is_on_and_counted_while_off),
        cmocka_unit_test(the_round_trip_cost_by_hand),
        cmocka_unit_test(the_verdict_names_the_cost_it_used),
        cmocka_unit_test(the_size_is_the_least_of_all_limits),
        cmocka_unit_test(the_size_is_cut_to_what_the_venue_takes_at_once),
        cmocka_unit_test(leverage_is_the_lower_of_wish_and_limit),
        cmocka_unit_test(leverage_is_lowered_until_the_stop_lies_before_the_liquidation),
        cmocka_unit_test(the_notional_has_one_percent_of_room),
        cmocka_unit_test(defaults_are_within_the_ceilings),
        cmocka_unit_test(ceilings_lower_whatever_passes_them),
        cmocka_unit_test(sizes_obey_the_filters_and_every_limit_on_random_contracts),
        cmocka_unit_test(gates_only_lower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
