/* The plan of the exits: quantities and prices of three targets, where the stop is wanted, and lives
 * by hand in which the stop is moved while everything else goes on.
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
#include "trade/exits/exits.h"

static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t S = INT64_C(1000000000);

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* Tick 0.1, step 0.001, least quantity 0.001, least notional 5. */
static struct instrument contract(void) {
    struct instrument in;
    instrument_defaults(&in, "BTCUSDT");
    in.tick_size.e8 = in.px_min.e8 = FX_ONE / 10;
    in.step_size.e8 = in.market_step_size.e8 = FX_ONE / 1000;
    in.qty_min.e8 = in.market_qty_min.e8 = FX_ONE / 1000;
    in.notional_min.e8 = 5 * FX_ONE;
    return in;
}

static struct trade_intent ladder(enum side side) {
    return (struct trade_intent){.intent_id = 9,
                                 .symbol = "BTCUSDT",
                                 .side = side,
                                 .stop_distance = 0.02,
                                 .take_distance = 0.02,
                                 .take_distance_2 = 0.03,
                                 .take_distance_3 = 0.05,
                                 .take_part_1 = 0.5,
                                 .take_part_2 = 0.3,
                                 .break_even_distance = 0.01,
                                 .trail_from_distance = 0.03,
                                 .trail_distance = 0.01,
                                 .arm = 2};
}

static int64_t e8(double x) {
    return fx_from_f64(x);
}

/* --- quantities ---------------------------------------------------------------------------------- */

/* "q1 q2 q3" in thousandths of the quantity, - for a target that is not wanted, * for the rest. */
static void expect_targets(const struct instrument *in, const struct trade_intent *t,
                           double entered, const char *expected) {
    struct exits_target out[EXITS_TARGETS_MAX];
    uint32_t wanted = exits_targets(out, in, t, px_e8(100 * FX_ONE), qty_e8(e8(entered))),
             count = 0;
    char text[96] = "";
    for (int j = 0; j < EXITS_TARGETS_MAX; j++) {
        char one[32] = "-";
        if (out[j].state == TARGET_LATER) {
            count++;
            if (out[j].qty.e8 == 0)
                snprintf(one, sizeof one, "*");
            else
                snprintf(one, sizeof one, "%lld", (long long)(out[j].qty.e8 / (FX_ONE / 1000)));
        }
        snprintf(text + strlen(text), sizeof text - strlen(text), j ? " %s" : "%s", one);
    }
    assert_string_equal(text, expected);
    assert_int_equal(wanted, count);
}

static void parts_are_floored_and_the_last_takes_the_rest(void **state) {
    (void)state;
    struct instrument in = contract();
    struct trade_intent t = ladder(SIDE_BUY);
    expect_targets(&in, &t, 10, "5000 3000 *");
    expect_targets(&in, &t, 1.001, "500 300 *"); /* 500.5, 300.3 + 0.5 carried: not a step more */
    expect_targets(&in, &t, 1.003, "501 301 *"); /* 501.5; 300.9 and the half left over */
    t.take_part_1 = t.take_part_2 = 0.3;
    expect_targets(&in, &t, 10, "3000 3000 *"); /* 0.3 is 0.3, not the double below it */
    t.take_part_2 = 0;                          /* two targets, whatever a third says */
    expect_targets(&in, &t, 10, "3000 * -");
    t.take_distance_3 = 0;
    expect_targets(&in, &t, 10, "3000 * -");
    t.take_part_1 = 0; /* one takes everything */
    expect_targets(&in, &t, 10, "* - -");
    t.take_distance = 0;
    expect_targets(&in, &t, 10, "- - -");
}

static void what_is_too_small_goes_to_the_next(void **state) {
    (void)state;
    struct instrument in = contract();
    struct trade_intent t = ladder(SIDE_BUY);
    /* At 102, 103, 105 the least notional of 5 is 0.0490…, 0.0485…, 0.0476… */
    expect_targets(&in, &t, 1, "500 300 *");
    expect_targets(
        &in, &t, 0.2,
        "100 - *"); /* 60 leaves a rest of 40, which is too little: the third takes both */
    t.take_part_1 = 0.2;
    expect_targets(&in, &t, 0.2, "- 100 *"); /* 40 is too little: 40 + 60 at the second */
    expect_targets(&in, &t, 0.15, "- 75 *"); /* 30 + 45, and 75 are left */
    expect_targets(&in, &t, 0.09, "- - *");  /* 18 + 27: too little too */
    in.market_qty_min.e8 = FX_ONE;
    t = ladder(SIDE_SELL);
    expect_targets(&in, &t, 5, "2500 1500 *");
    expect_targets(&in, &t, 3, "1500 - *"); /* 900 is below the least quantity */
    expect_targets(&in, &t, 1.5, "- - *");
    expect_targets(&in, &t, 1, "- - *");
}

static void parts_that_make_up_everything_leave_no_empty_target(void **state) {
    (void)state;
    struct instrument in = contract();
    struct trade_intent t = ladder(SIDE_BUY);
    t.take_part_1 = t.take_part_2 = 0.5;
    expect_targets(&in, &t, 2, "1000 * -");
    t.take_part_1 = 1;
    t.take_part_2 = 0;
    expect_targets(&in, &t, 2, "* - -");
}

/* What holds for any contract, plan and size. */
static void random_ladders_can_always_be_left(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    uint32_t seen[4] = {0};
    for (int n = 0; n < 100000; n++) {
        struct instrument in = contract();
        int64_t step = 1;
        for (uint64_t d = rng_below(&rng, 9); d > 0; d--) step *= 10;
        in.market_step_size.e8 = in.market_qty_min.e8 = step;
        in.market_qty_min.e8 = step * (1 + (int64_t)rng_below(&rng, 5));
        in.notional_min.e8 = (int64_t)rng_below(&rng, 100) * FX_ONE;
        struct trade_intent t = ladder(rng_below(&rng, 2) ? SIDE_BUY : SIDE_SELL);
        t.take_part_1 = rng_f64(&rng);
        t.take_part_2 = rng_below(&rng, 3) ? rng_f64(&rng) * (1 - t.take_part_1) : 0;
        px_t px = px_e8(FX_ONE + (int64_t)rng_below(&rng, 10000) * (FX_ONE / 10));
        int64_t steps = in.market_qty_min.e8 / step + (int64_t)rng_below(&rng, 5000);
        qty_t entered = qty_e8(steps * step);
        struct exits_target out[EXITS_TARGETS_MAX];
        uint32_t wanted = exits_targets(out, &in, &t, px, entered), last = 0, whole = 0;
        int64_t sum = 0, due = 0;
        for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++) {
            if (j < 2) due += (int64_t)((j ? t.take_part_2 : t.take_part_1) * (double)entered.e8);
            if (out[j].state != TARGET_LATER) continue;
            last = j;
            if (out[j].qty.e8 == 0) {
                whole++;
                continue;
            }
            sum += out[j].qty.e8;
            assert_true(sum <= due + 2); /* never earlier than wished */
            assert_int_equal(instrument_check_qty(&in, out[j].qty, true), FILTER_OK);
            assert_int_equal(instrument_check_notional(&in, out[j].px, out[j].qty), FILTER_OK);
        }
        assert_int_equal(whole, 1);
        assert_int_equal(out[last].qty.e8, 0);
        qty_t rest = qty_e8(entered.e8 - sum);
        assert_true(rest.e8 > 0);
        if (wanted > 1) {
            assert_int_equal(instrument_check_qty(&in, rest, true), FILTER_OK);
            assert_int_equal(instrument_check_notional(&in, out[last].px, rest), FILTER_OK);
        }
        seen[wanted]++;
    }
    assert_true(seen[1] > 1000 && seen[2] > 1000 && seen[3] > 1000);
}

/* --- where the stop is wanted --------------------------------------------------------------------- */

static double wanted(enum side side, double best, double stop) {
    struct instrument in = contract();
    struct trade_intent t = ladder(side);
    return px_to_f64(exits_wanted_stop_px(&in, &t, px_e8(100 * FX_ONE), 0.0015, px_e8(e8(best)),
                                          px_e8(e8(stop))));
}

static void the_stop_follows_and_never_turns_back(void **state) {
    (void)state;
    assert_true(wanted(SIDE_BUY, 100.9, 98) == 98);
    assert_true(wanted(SIDE_BUY, 101, 98) == 100.2); /* entry and 0.15 %, up to the tick */
    assert_true(wanted(SIDE_BUY, 102.9, 98) == 100.2);
    assert_true(wanted(SIDE_BUY, 103, 98) == 102);      /* 1 behind the best */
    assert_true(wanted(SIDE_BUY, 104.27, 98) == 103.2); /* 103.27, down */
    assert_true(wanted(SIDE_BUY, 103, 103) == 103);
    assert_true(wanted(SIDE_SELL, 99.1, 102) == 102);
    assert_true(wanted(SIDE_SELL, 99, 102) == 99.8); /* 99.85, down: the costs are covered */
    assert_true(wanted(SIDE_SELL, 97, 102) == 98);
    assert_true(wanted(SIDE_SELL, 95.73, 102) == 96.8); /* 96.73, up */
    assert_true(wanted(SIDE_SELL, 97, 97.5) == 97.5);
    struct instrument in = contract();
    struct trade_intent t = ladder(SIDE_BUY);
    t.break_even_distance = t.trail_distance = 0;
    assert_int_equal(exits_wanted_stop_px(&in, &t, px_e8(100 * FX_ONE), 0, px_e8(150 * FX_ONE),
                                          px_e8(98 * FX_ONE))
                         .e8,
                     98 * FX_ONE);
}

/* --- lives --------------------------------------------------------------------------------------- */

struct life {
    struct instrument instrument;
    struct exits_config config;
    struct exits_context now;
    struct exits_state state;
    struct exits_actions asked;
};

static void begin(struct life *l, enum side side) {
    memset(l, 0, sizeof *l);
    l->instrument = contract();
    l->config = exits_config_defaults();
    l->now = (struct exits_context){T0, {100 * FX_ONE}, &l->instrument, &l->config};
    l->state.deadline_ns = INT64_MAX;
    const struct trade_intent t = ladder(side);
    exits_enter(&l->state, &t, 3, 0.0015);
}

/* Prices of the tests are a long's; a short's mirror them at 100. */
static int64_t at(const struct life *l, double px) {
    return e8(l->state.side == SIDE_BUY ? px : 200 - px);
}

static void fill(struct life *l, bool entry, double px, double qty, enum exit_reason why) {
    enum side side = (enum side)l->state.side;
    exits_fill(&l->asked, &l->state, &l->now, entry ? side : side_opposite(side), px_e8(at(l, px)),
               qty_e8(e8(qty)), money_e8(0), money_e8(0), why);
}
static void confirm(struct life *l, const struct exits_stop *stop) {
    const struct exits_stop copy = *stop;
    exits_stop_confirmed(&l->asked, &l->state, &l->now, &copy);
}
static void stop_ended(struct life *l, uint32_t attempt, int32_t code) {
    exits_stop_ended(&l->asked, &l->state, &l->now, attempt, code);
}
static void take_ended(struct life *l, uint32_t target, bool filled, int32_t code) {
    exits_take_ended(&l->asked, &l->state, &l->now, target, filled, code);
}
static void seen(struct life *l, double px) {
    l->now.last_px.e8 = at(l, px);
    exits_price(&l->asked, &l->state, &l->now, l->now.last_px, l->now.last_px, l->now.now_ns);
}

/* What was asked for: "stop 100.2*", "stop 103 0.7", "take2 103 0.3", "drop 1", in a long's prices. */
static void expect(const struct life *l, enum exits_phase phase, const char *expected) {
    static const char *const names[EXITS_ACTION_COUNT] = {"stop",      "take",   "close",  "reduce",
                                                          "ask",       "drop",   "untake", "cancel",
                                                          "protected", "closed", "failed", "alarm"};
    char text[256] = "";
    for (uint32_t i = 0; i < l->asked.count; i++) {
        const struct exits_action *a = &l->asked.items[i];
        char one[64], px[24] = "", qty[24] = "*";
        double price = px_to_f64(a->px), shown = l->state.side == SIDE_BUY ? price : 200 - price;
        if (a->px.e8) snprintf(px, sizeof px, " %g", shown);
        if (a->qty.e8) snprintf(qty, sizeof qty, " %g", fx_to_f64(a->qty.e8));
        if (a->kind == EXITS_SUBMIT_STOP || a->kind == EXITS_SUBMIT_CLOSE)
            snprintf(one, sizeof one, "%s%s%s", names[a->kind], px, qty);
        else if (a->kind == EXITS_SUBMIT_TAKE)
            snprintf(one, sizeof one, "take%u%s%s", a->target + 1, px, qty);
        else if (a->kind == EXITS_CANCEL_STOP)
            snprintf(one, sizeof one, "drop %u", a->attempt);
        else
            snprintf(one, sizeof one, "%s", names[a->kind]);
        snprintf(text + strlen(text), sizeof text - strlen(text), i ? ", %s" : "%s", one);
    }
    assert_string_equal(text, expected);
    assert_string_equal(exits_phase_text((enum exits_phase)l->state.phase),
                        exits_phase_text(phase));
}

/* Entered 1 at 100, stop at 98 and the three targets stand. */
static void with_ladder(struct life *l, enum side side) {
    begin(l, side);
    fill(l, true, 100, 1, EXIT_NONE);
    exits_entry_ended(&l->asked, &l->state, &l->now);
    confirm(l, &l->state.stop);
    expect(l, EXITS_PROTECTED, "protected, take1 102 0.5, take2 103 0.3, take3 105*");
}

static void targets_wait_for_the_stop_and_for_the_end_of_the_entry(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        begin(&l, side);
        fill(&l, true, 100, 0.4, EXIT_NONE);
        expect(&l, EXITS_UNPROTECTED, "stop 98*");
        confirm(&l, &l.state.stop);
        expect(&l, EXITS_PROTECTED, "protected");
        fill(&l, true, 100, 0.6, EXIT_NONE);
        expect(&l, EXITS_PROTECTED, "");
        exits_entry_ended(&l.asked, &l.state, &l.now);
        expect(&l, EXITS_PROTECTED, "take1 102 0.5, take2 103 0.3, take3 105*");
        assert_int_equal(l.state.take_px.e8, at(&l, 102));
        with_ladder(&l, side); /* the other order of arrival */
    }
}

static void a_ladder_climbed_to_the_end(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        with_ladder(&l, side);
        take_ended(&l, 0, true, 0);
        fill(&l, false, 102, 0.5, EXIT_TAKE_PROFIT);
        expect(&l, EXITS_PROTECTED, ""); /* the stop covers what is left, whatever it is */
        assert_int_equal(l.state.take_px.e8, at(&l, 103));
        fill(&l, false, 103, 0.1, EXIT_TAKE_PROFIT); /* in parts */
        take_ended(&l, 1, true, 0);
        fill(&l, false, 103, 0.2, EXIT_TAKE_PROFIT);
        take_ended(&l, 2, true, 0);
        fill(&l, false, 105, 0.2, EXIT_TAKE_PROFIT);
        expect(&l, EXITS_CLEANUP, "closed, cancel");
        struct trade_closed t;
        exits_trade(&t, &l.state, 1);
        assert_int_equal(t.targets, 3);
        assert_int_equal(t.arm, 2);
        assert_int_equal(t.exit_reason, EXIT_TAKE_PROFIT);
        assert_int_equal(t.qty.e8, FX_ONE);
        assert_int_equal(t.exit_px.e8, at(&l, 102.9));
        assert_true(t.drawdown_max == 0);
    }
}

static void the_stop_is_confirmed_before_the_old_one_goes(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        with_ladder(&l, side);
        seen(&l, 100.9);
        expect(&l, EXITS_PROTECTED, "");
        seen(&l, 101);
        expect(&l, EXITS_PROTECTED,
               "stop 100.2 1"); /* a second closePosition one would be refused */
        assert_int_equal(l.state.stop_px.e8, at(&l, 98)); /* still the old one */
        seen(&l, 104);
        expect(&l, EXITS_PROTECTED, ""); /* one move at a time */
        confirm(&l, &l.state.next);
        expect(&l, EXITS_PROTECTED, "drop 0");
        assert_int_equal(l.state.stop_px.e8, at(&l, 100.2));
        confirm(&l, &l.state.stop); /* told twice */
        expect(&l, EXITS_PROTECTED, "");
        stop_ended(&l, 0, 0); /* cancelled: the next may follow, closePosition again */
        expect(&l, EXITS_PROTECTED, "stop 103*");
        confirm(&l, &l.state.next);
        expect(&l, EXITS_PROTECTED, "drop 1");
        stop_ended(&l, 1, 0);
        expect(&l, EXITS_PROTECTED, "");
        seen(&l, 103.5); /* back a little: nothing turns back */
        expect(&l, EXITS_PROTECTED, "");
        assert_int_equal(l.state.deadline_ns, INT64_MAX);
        stop_ended(&l, 2, 0);
        fill(&l, false, 103, 1, EXIT_STOP);
        expect(&l, EXITS_CLEANUP, "closed, cancel");
    }
}

static void small_steps_are_not_sent(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 103);
    expect(&l, EXITS_PROTECTED, "stop 102 1");
    confirm(&l, &l.state.next);
    stop_ended(&l, 0, 0);
    seen(&l, 103.1); /* one tick: not two */
    expect(&l, EXITS_PROTECTED, "");
    l.config.stop_step_ticks = 0;
    l.config.stop_step = 0.0015;
    seen(&l, 103.11); /* 0.1: less than 0.15 % of 100 */
    expect(&l, EXITS_PROTECTED, "");
    seen(&l, 103.2);
    expect(&l, EXITS_PROTECTED, "stop 102.2*");
}

/* A bar: what it saw came in any order, but before its close. */
static void a_bar_moves_the_stop_or_shows_that_it_was_met(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        with_ladder(&l, side);
        bool buy = side == SIDE_BUY;
        px_t a = px_e8(at(&l, 99)), b = px_e8(at(&l, 101.5));
        l.now.now_ns += 3600 * S;
        l.now.last_px.e8 = at(&l, 101);
        exits_price(&l.asked, &l.state, &l.now, buy ? a : b, buy ? b : a, T0);
        expect(&l, EXITS_PROTECTED,
               "stop 100.2 1"); /* the low of 99 was under the stop that stood */
        with_ladder(&l, side);
        l.now.now_ns += 3600 * S;
        l.now.last_px.e8 = at(&l, 100.1); /* 101.5 first, then here: through 100.2 */
        exits_price(&l.asked, &l.state, &l.now, buy ? a : b, buy ? b : a, T0);
        expect(&l, EXITS_CLOSING, "close 1");
        assert_int_equal(l.state.exit_reason, EXIT_STOP);
    }
}

static void the_bar_of_the_entry_tells_only_what_came_after_it(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        with_ladder(&l, side);
        bool buy = side == SIDE_BUY;
        px_t a = px_e8(at(&l, 90)), b = px_e8(at(&l, 110));
        l.now.last_px.e8 = at(&l, 100.5);
        exits_price(&l.asked, &l.state, &l.now, buy ? a : b, buy ? b : a, T0 - 1800 * S);
        expect(&l, EXITS_PROTECTED, "");
        assert_int_equal(l.state.best_px.e8, at(&l, 100.5));
        assert_int_equal(l.state.worst_px.e8, at(&l, 98)); /* no worse: it is still open */
        fill(&l, false, 99, 1, EXIT_OPERATOR);
        struct trade_closed t;
        exits_trade(&t, &l.state, 1);
        assert_true(t.drawdown_max == 0.02);
    }
}

static void the_worst_moment_of_a_trade_is_kept(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_SELL);
    seen(&l, 99.25);
    seen(&l, 101.5);
    take_ended(&l, 0, true, 0);
    fill(&l, false, 102, 0.5, EXIT_TAKE_PROFIT);
    fill(&l, false, 101, 0.5, EXIT_STOP);
    struct trade_closed t;
    exits_trade(&t, &l.state, 1);
    assert_true(t.drawdown_max == 0.0075);
    assert_int_equal(t.targets, 1);
    with_ladder(&l, SIDE_BUY);
    fill(&l, false, 95, 1, EXIT_STOP); /* a gap: its own fill is the worst of it */
    exits_trade(&t, &l.state, 1);
    assert_true(t.drawdown_max == 0.05);
}

static void a_refused_move_leaves_the_stop_and_comes_again_later(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 101.5);
    expect(&l, EXITS_PROTECTED, "stop 100.2 1");
    stop_ended(&l, l.state.next.attempt, -1001);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(l.state.stop_px.e8, 98 * FX_ONE);
    l.now.now_ns += S;
    seen(&l, 101.6); /* not flooded */
    expect(&l, EXITS_PROTECTED, "");
    l.now.now_ns = l.state.deadline_ns;
    assert_int_equal(l.now.now_ns, T0 + l.config.stop_retry_ns);
    exits_time(&l.asked, &l.state, &l.now);
    expect(&l, EXITS_PROTECTED, "stop 100.2 1");
}

static void an_unanswered_move_is_cancelled_and_the_stop_stays(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 101.5);
    uint32_t lost = l.state.next.attempt;
    assert_true(exits_awaits_stop(&l.state) && exits_awaited_stop(&l.state) == lost);
    l.now.now_ns = l.state.deadline_ns;
    exits_time(&l.asked, &l.state, &l.now);
    expect(&l, EXITS_PROTECTED, "drop 1");
    assert_int_equal(l.state.stop_px.e8, 98 * FX_ONE);
    stop_ended(&l, lost, 0);
    expect(&l, EXITS_PROTECTED, "");
    l.now.now_ns = l.state.deadline_ns;
    exits_time(&l.asked, &l.state, &l.now);
    expect(&l, EXITS_PROTECTED, "stop 100.2 1");
}

static void a_move_the_market_has_passed_is_done_at_market(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 101.5);
    stop_ended(&l, l.state.next.attempt, -2021);
    expect(&l, EXITS_CLOSING, "close 1");
    assert_int_equal(l.state.exit_reason, EXIT_STOP);
}

static void a_stop_lost_while_its_replacement_is_on_the_way(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 101.5);
    l.now.now_ns += S / 2;
    stop_ended(&l, 0, 0);
    expect(&l, EXITS_UNPROTECTED, ""); /* it is asked for already */
    assert_int_equal(l.state.deadline_ns, l.now.now_ns + S);
    confirm(&l, &l.state.stop);
    expect(&l, EXITS_PROTECTED, "protected");
    assert_int_equal(l.state.stop_px.e8, e8(100.2));
    /* The other way: lost, and the replacement is refused. */
    with_ladder(&l, SIDE_BUY);
    seen(&l, 101.5);
    stop_ended(&l, 0, 0);
    stop_ended(&l, 1, -1001);
    expect(&l, EXITS_UNPROTECTED, "stop 100.2*");
    /* And unanswered: another after a second, an end after three. */
    with_ladder(&l, SIDE_BUY);
    l.now.now_ns += 3600 * S; /* late in its life the three seconds are three again */
    stop_ended(&l, 0, 0);
    expect(&l, EXITS_UNPROTECTED, "stop 98*");
    for (int n = 0; n < 2; n++) {
        assert_int_equal(l.state.deadline_ns, l.now.now_ns + S);
        l.now.now_ns += S;
        exits_time(&l.asked, &l.state, &l.now);
        expect(&l, EXITS_UNPROTECTED, "stop 98 1"); /* the first may be alive */
    }
    l.now.now_ns += S;
    exits_time(&l.asked, &l.state, &l.now);
    expect(&l, EXITS_CLOSING, "alarm, close 1");
}

static void a_stop_that_is_taken_and_dropped_again_is_not_asked_for_for_ever(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    for (uint32_t n = 1; n < l.config.stop_attempts_max; n++) {
        stop_ended(&l, l.state.stop.attempt, 0);
        expect(&l, EXITS_UNPROTECTED, "stop 98*");
        confirm(&l, &l.state.stop);
    }
    stop_ended(&l, l.state.stop.attempt, 0);
    expect(&l, EXITS_CLOSING, "alarm, close 1");
}

static void a_part_filled_while_the_stop_is_replaced(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 102);
    expect(&l, EXITS_PROTECTED, "stop 100.2 1");
    take_ended(&l, 0, true, 0);
    fill(&l, false, 102, 0.5, EXIT_TAKE_PROFIT);
    expect(&l, EXITS_PROTECTED, "");
    confirm(&l, &l.state.next);
    expect(&l, EXITS_PROTECTED, "drop 0");
    stop_ended(&l, 0, 0); /* it says 1, and 0.5 are held: a venue may refuse that at the trigger */
    expect(&l, EXITS_PROTECTED, "stop 100.2*");
    confirm(&l, &l.state.next);
    expect(&l, EXITS_PROTECTED, "drop 1");
    stop_ended(&l, 1, 0);
    expect(&l, EXITS_PROTECTED, "");
    /* A stop of a fixed quantity, and then a part is taken. */
    seen(&l, 103);
    expect(&l, EXITS_PROTECTED, "stop 102 0.5");
    confirm(&l, &l.state.next);
    stop_ended(&l, 2, 0);
    expect(&l, EXITS_PROTECTED, "");
    fill(&l, false, 103, 0.3, EXIT_TAKE_PROFIT);
    expect(&l, EXITS_PROTECTED, "stop 102*");
}

static void the_old_stop_may_fill_while_it_is_replaced(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    seen(&l, 101.5);
    fill(&l, false, 97.9, 1, EXIT_STOP);
    expect(&l, EXITS_CLEANUP, "closed, cancel");
    stop_ended(&l, 0, 0);
    expect(&l, EXITS_CLEANUP, "");
    confirm(&l, &l.state.next);
    expect(&l, EXITS_CLEANUP, "");
    stop_ended(&l, 1, 0);
    expect(&l, EXITS_CLEANUP, "");
    exits_orders_gone(&l.state);
    assert_int_equal(l.state.phase, EXITS_FLAT);
}

static void a_foreign_close_position_stop_is_gone_around(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    fill(&l, true, 100, 1, EXIT_NONE);
    exits_entry_ended(&l.asked, &l.state, &l.now);
    stop_ended(&l, 0, -4130);
    expect(&l, EXITS_UNPROTECTED, "stop 98 1");
    confirm(&l, &l.state.stop);
    seen(&l, 101.5);
    expect(&l, EXITS_PROTECTED, "stop 100.2 1");
    confirm(&l, &l.state.next);
    stop_ended(&l, 1, 0);
    seen(&l, 104);
    expect(&l, EXITS_PROTECTED, "stop 103 1");
}

static void an_unanswered_first_stop_that_stands_after_all_is_taken_back(void **state) {
    (void)state;
    struct life l;
    begin(&l, SIDE_BUY);
    fill(&l, true, 100, 0.4, EXIT_NONE);
    const struct exits_stop first = l.state.stop;
    l.now.now_ns += S;
    exits_time(&l.asked, &l.state, &l.now);
    expect(&l, EXITS_UNPROTECTED, "stop 98 0.4");
    const struct exits_stop second = l.state.stop;
    confirm(&l, &second);
    expect(&l, EXITS_PROTECTED, "protected");
    fill(&l, true, 100, 0.6, EXIT_NONE); /* more than the stop says */
    expect(&l, EXITS_PROTECTED, "stop 98 1");
    const struct exits_stop third = l.state.next;
    confirm(&l, &first); /* late */
    expect(&l, EXITS_PROTECTED, "drop 0");
    confirm(&l, &third);
    expect(&l, EXITS_PROTECTED, "drop 1");
}

static void each_target_may_be_refused(void **state) {
    (void)state;
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++) {
        struct life l;
        with_ladder(&l, SIDE_BUY);
        take_ended(&l, j, false, -1001);
        expect(&l, EXITS_PROTECTED, "");
        assert_int_equal(l.state.take_px.e8, at(&l, j == 0 ? 103 : 102));
        take_ended(&l, j, false, -2021); /* its end was told already */
        expect(&l, EXITS_PROTECTED, "");
    }
}

static void a_target_the_market_has_passed_is_taken_in_its_part(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    take_ended(&l, 0, false, -2021);
    expect(&l, EXITS_PROTECTED, "take1 0.5"); /* at market */
    assert_int_equal(l.asked.items[0].attempt, 1);
    take_ended(&l, 1, false, -2021);
    expect(&l, EXITS_PROTECTED, "take2 0.3");
    take_ended(&l, 0, true, 0);
    fill(&l, false, 102.5, 0.5, EXIT_TAKE_PROFIT);
    take_ended(&l, 1, false, -2022); /* refused: what is left has its stop and the last target */
    expect(&l, EXITS_PROTECTED, "");
    take_ended(&l, 2, false, -2021);
    expect(&l, EXITS_CLOSING, "close 0.5");
    fill(&l, false, 105, 0.5, EXIT_TAKE_PROFIT);
    struct trade_closed t;
    exits_trade(&t, &l.state, 1);
    assert_int_equal(t.targets, 2);
    assert_int_equal(t.exit_reason, EXIT_TAKE_PROFIT);
}

static void a_plan_without_moves_looks_at_no_price(void **state) {
    (void)state;
    struct life l;
    with_ladder(&l, SIDE_BUY);
    l.state.intent.break_even_distance = l.state.intent.trail_distance = 0;
    seen(&l, 104.9);
    expect(&l, EXITS_PROTECTED, "");
    seen(&l, 98.1);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(l.state.worst_px.e8, e8(98.1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_floored_and_the_last_takes_the_rest),
        cmocka_unit_test(what_is_too_small_goes_to_the_next),
        cmocka_unit_test(parts_that_make_up_everything_leave_no_empty_target),
        cmocka_unit_test(random_ladders_can_always_be_left),
        cmocka_unit_test(the_stop_follows_and_never_turns_back),
        cmocka_unit_test(targets_wait_for_the_stop_and_for_the_end_of_the_entry),
        cmocka_unit_test(a_ladder_climbed_to_the_end),
        cmocka_unit_test(the_stop_is_confirmed_before_the_old_one_goes),
        cmocka_unit_test(small_steps_are_not_sent),
        cmocka_unit_test(a_bar_moves_the_stop_or_shows_that_it_was_met),
        cmocka_unit_test(the_bar_of_the_entry_tells_only_what_came_after_it),
        cmocka_unit_test(the_worst_moment_of_a_trade_is_kept),
        cmocka_unit_test(a_refused_move_leaves_the_stop_and_comes_again_later),
        cmocka_unit_test(an_unanswered_move_is_cancelled_and_the_stop_stays),
        cmocka_unit_test(a_move_the_market_has_passed_is_done_at_market),
        cmocka_unit_test(a_stop_lost_while_its_replacement_is_on_the_way),
        cmocka_unit_test(a_stop_that_is_taken_and_dropped_again_is_not_asked_for_for_ever),
        cmocka_unit_test(a_part_filled_while_the_stop_is_replaced),
        cmocka_unit_test(the_old_stop_may_fill_while_it_is_replaced),
        cmocka_unit_test(a_foreign_close_position_stop_is_gone_around),
        cmocka_unit_test(an_unanswered_first_stop_that_stands_after_all_is_taken_back),
        cmocka_unit_test(each_target_may_be_refused),
        cmocka_unit_test(a_target_the_market_has_passed_is_taken_in_its_part),
        cmocka_unit_test(a_plan_without_moves_looks_at_no_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
