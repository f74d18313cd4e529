/* The life of a position, phase by phase, and its prices.
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
static const int64_t MS = INT64_C(1000000);

/* One position and what was last asked for. */
struct life {
    struct instrument instrument;
    struct exits_config config;
    struct exits_context now;
    struct exits_state state;
    struct exits_actions asked;
};

static void life_begin(struct life *l, enum side side) {
    memset(l, 0, sizeof *l);
    instrument_defaults(&l->instrument, "BTCUSDT");
    l->instrument.tick_size.e8 = l->instrument.px_min.e8 = FX_ONE / 10;
    l->config = exits_config_defaults();
    l->now = (struct exits_context){T0, {100 * FX_ONE}, &l->instrument, &l->config};
    l->state.deadline_ns = INT64_MAX;
    const struct trade_intent intent = {.intent_id = 9,
                                        .symbol = "BTCUSDT",
                                        .side = side,
                                        .stop_distance = 0.02,
                                        .take_distance = 0.04,
                                        .confidence = 0.6,
                                        .edge = 0.01,
                                        .horizon_bars = 3};
    exits_enter(&l->state, &intent, 3, 0.0015);
    assert_int_equal(l->state.phase, EXITS_ENTERING);
}

static void fill_at(struct life *l, enum side side, int64_t px, int64_t qty, enum exit_reason why) {
    exits_fill(&l->asked, &l->state, &l->now, side, px_e8(px), qty_e8(qty), money_e8(7),
               money_e8(0), why);
}
static enum side entry_side(const struct life *l) {
    return (enum side)l->state.intent.side;
}
static void entry_fill(struct life *l, int64_t px, int64_t qty) {
    fill_at(l, entry_side(l), px, qty, EXIT_NONE);
}
static void exit_fill(struct life *l, int64_t px, int64_t qty, enum exit_reason why) {
    fill_at(l, side_opposite(entry_side(l)), px, qty, why);
}
static void entry_ended(struct life *l) {
    exits_entry_ended(&l->asked, &l->state, &l->now);
}
/* The venue's word on the stop that stands or is waited for. */
static void stop_confirmed(struct life *l) {
    const struct exits_stop stop = l->state.stop;
    exits_stop_confirmed(&l->asked, &l->state, &l->now, &stop);
}
static void stop_failed(struct life *l, int32_t code) {
    exits_stop_ended(&l->asked, &l->state, &l->now, l->state.stop.attempt, code);
}
static void take_failed(struct life *l, int32_t code) {
    exits_take_ended(&l->asked, &l->state, &l->now, 0, false, code);
}
static void close_ended(struct life *l) {
    exits_close_ended(&l->asked, &l->state, &l->now, l->state.close_attempts - 1, 0);
}
static void bar(struct life *l) {
    exits_bar(&l->asked, &l->state, &l->now);
}
static void time_passes(struct life *l, int64_t ns) {
    l->now.now_ns += ns;
    exits_time(&l->asked, &l->state, &l->now);
}
static void close_asked(struct life *l, enum exit_reason why) {
    exits_close(&l->asked, &l->state, &l->now, why);
}

/* The actions asked for, in order: "STOP TELL_CLOSED …" */
static void expect(const struct life *l, enum exits_phase phase, const char *actions) {
    static const char *const names[EXITS_ACTION_COUNT] = {"stop",      "take",   "close",  "reduce",
                                                          "ask",       "drop",   "untake", "cancel",
                                                          "protected", "closed", "failed", "alarm"};
    char text[128] = "";
    for (uint32_t i = 0; i < l->asked.count; i++) {
        if (i > 0) strcat(text, " ");
        strcat(text, names[l->asked.items[i].kind]);
    }
    assert_string_equal(text, actions);
    assert_string_equal(exits_phase_text((enum exits_phase)l->state.phase),
                        exits_phase_text(phase));
}

static void life_protected(struct life *l, enum side side) {
    life_begin(l, side);
    entry_fill(l, 100 * FX_ONE, FX_ONE);
    entry_ended(l);
    stop_confirmed(l);
    assert_int_equal(l->state.phase, EXITS_PROTECTED);
}

/* --- the ordinary life --------------------------------------------------------------------------- */

static void the_stop_is_asked_for_first_and_the_target_only_once_it_stands(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        life_begin(&l, side);
        entry_fill(&l, 100 * FX_ONE, FX_ONE);
        expect(&l, EXITS_UNPROTECTED, "stop");
        assert_int_equal(l.asked.items[0].px.e8, (side == SIDE_BUY ? 98 : 102) * FX_ONE);
        entry_ended(&l);
        expect(&l, EXITS_UNPROTECTED, "");
        l.now.now_ns += 50 * MS;
        stop_confirmed(&l);
        expect(&l, EXITS_PROTECTED, "protected take");
        assert_int_equal(l.asked.items[1].px.e8, (side == SIDE_BUY ? 104 : 96) * FX_ONE);
        assert_int_equal(l.state.deadline_ns, INT64_MAX);
        stop_confirmed(&l); /* told twice */
        expect(&l, EXITS_PROTECTED, "");
        l.now.now_ns += S;
        exit_fill(&l, 104 * FX_ONE, FX_ONE, EXIT_TAKE_PROFIT);
        expect(&l, EXITS_CLEANUP, "closed cancel");
        struct trade_closed t;
        exits_trade(&t, &l.state, 17);
        assert_int_equal(t.exit_reason, EXIT_TAKE_PROFIT);
        assert_int_equal(t.time_to_protected_ns, 50 * MS);
        assert_int_equal(t.trade_id, 17);
        exits_orders_gone(&l.state);
        assert_int_equal(l.state.phase, EXITS_FLAT);
    }
}

static void the_trade_has_the_fills_own_numbers(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_SELL);
    exits_fill(&l.asked, &l.state, &l.now, SIDE_SELL, px_e8(100 * FX_ONE), qty_e8(FX_ONE),
               money_e8(5), money_e8(0), EXIT_NONE);
    exits_fill(&l.asked, &l.state, &l.now, SIDE_SELL, px_e8(103 * FX_ONE), qty_e8(2 * FX_ONE),
               money_e8(10), money_e8(0), EXIT_NONE);
    entry_ended(&l);
    stop_confirmed(&l);
    exits_funding(&l.state, money_e8(-3));
    exits_funding(&l.state, money_e8(1));
    l.now.now_ns += 3600 * S;
    exits_fill(&l.asked, &l.state, &l.now, SIDE_BUY, px_e8(90 * FX_ONE), qty_e8(FX_ONE),
               money_e8(4), money_e8(12 * FX_ONE), EXIT_TAKE_PROFIT);
    expect(&l, EXITS_PROTECTED, ""); /* two thirds are still held */
    l.now.now_ns += S;
    exits_fill(&l.asked, &l.state, &l.now, SIDE_BUY, px_e8(96 * FX_ONE), qty_e8(2 * FX_ONE),
               money_e8(8), money_e8(12 * FX_ONE), EXIT_TAKE_PROFIT);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    struct trade_closed t;
    exits_trade(&t, &l.state, 1);
    assert_int_equal(t.side, SIDE_SELL);
    assert_int_equal(t.qty.e8, 3 * FX_ONE);
    assert_int_equal(t.entry_px.e8, 102 * FX_ONE);
    assert_int_equal(t.exit_px.e8, 94 * FX_ONE);
    assert_int_equal(t.realized_pnl.e8, 24 * FX_ONE);
    assert_int_equal(t.fees.e8, 27);
    assert_int_equal(t.funding.e8, -2);
    assert_int_equal(t.net_pnl.e8, 24 * FX_ONE - 27 - 2);
    /* |102 - 100| * 1 + |102 - 103| * 2 */
    assert_int_equal(t.risk.e8, 4 * FX_ONE);
    assert_int_equal(t.entry_ts_ns, T0);
    assert_int_equal(t.exit_ts_ns, T0 + 3601 * S);
    assert_int_equal(t.leverage, 3);
    assert_true(t.confidence == 0.6 && t.expected_edge == 0.01);
}

static void an_entry_that_comes_to_nothing_leaves_nothing(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_ended(&l);
    expect(&l, EXITS_CLEANUP, "failed");
    exits_orders_gone(&l.state);
    assert_int_equal(l.state.phase, EXITS_FLAT);
    exits_orders_gone(&l.state);
    assert_int_equal(l.state.deadline_ns, INT64_MAX);
}

/* --- every input in every phase ------------------------------------------------------------------ */

static void in_phase(struct life *l, enum exits_phase phase) {
    life_begin(l, SIDE_BUY);
    if (phase == EXITS_ENTERING) return;
    if (phase == EXITS_FLAT || phase == EXITS_CLEANUP) {
        entry_ended(l);
        if (phase == EXITS_FLAT) exits_orders_gone(&l->state);
        return;
    }
    entry_fill(l, 100 * FX_ONE, FX_ONE);
    entry_ended(l);
    if (phase == EXITS_PROTECTED || phase == EXITS_CLOSING) stop_confirmed(l);
    if (phase == EXITS_CLOSING) close_asked(l, EXIT_OPERATOR);
}

static const struct {
    enum exits_phase from, to;
    const char *input, *actions;
} phase_rows[] = {
    {EXITS_FLAT, EXITS_FLAT, "stop confirmed", ""},
    {EXITS_FLAT, EXITS_FLAT, "stop failed", ""},
    {EXITS_FLAT, EXITS_FLAT, "take failed", ""},
    {EXITS_FLAT, EXITS_FLAT, "close ended", ""},
    {EXITS_FLAT, EXITS_FLAT, "time", ""},
    {EXITS_FLAT, EXITS_FLAT, "bar", ""},
    {EXITS_FLAT, EXITS_FLAT, "close", ""},
    {EXITS_ENTERING, EXITS_UNPROTECTED, "entry filled", "stop"},
    {EXITS_ENTERING, EXITS_CLEANUP, "entry ended", "failed"},
    {EXITS_ENTERING, EXITS_ENTERING, "stop confirmed", ""},
    {EXITS_ENTERING, EXITS_ENTERING, "stop failed", ""},
    {EXITS_ENTERING, EXITS_ENTERING, "take failed", ""},
    {EXITS_ENTERING, EXITS_ENTERING, "close ended", ""},
    {EXITS_ENTERING, EXITS_ENTERING, "time", ""},
    {EXITS_ENTERING, EXITS_ENTERING, "bar", ""},
    {EXITS_ENTERING, EXITS_ENTERING, "close", ""}, /* kept, see below */
    {EXITS_UNPROTECTED, EXITS_PROTECTED, "stop confirmed", "protected take"},
    {EXITS_UNPROTECTED, EXITS_UNPROTECTED, "stop failed", "stop"},
    {EXITS_UNPROTECTED, EXITS_CLOSING, "stop would trigger", "close"},
    {EXITS_UNPROTECTED, EXITS_UNPROTECTED, "take failed", ""},
    {EXITS_UNPROTECTED, EXITS_UNPROTECTED, "close ended", ""},
    {EXITS_UNPROTECTED, EXITS_UNPROTECTED, "time", "stop"},
    {EXITS_UNPROTECTED, EXITS_UNPROTECTED, "bar", ""},
    {EXITS_UNPROTECTED, EXITS_CLOSING, "close", "close"},
    {EXITS_UNPROTECTED, EXITS_CLEANUP, "exit filled", "closed cancel"},
    {EXITS_PROTECTED, EXITS_PROTECTED, "stop confirmed", ""},
    {EXITS_PROTECTED, EXITS_UNPROTECTED, "stop failed", "stop"}, /* expired by the venue */
    {EXITS_PROTECTED, EXITS_CLOSING, "stop would trigger", "close"},
    {EXITS_PROTECTED, EXITS_PROTECTED, "take failed", ""},
    {EXITS_PROTECTED, EXITS_CLOSING, "take would trigger", "close"},
    {EXITS_PROTECTED, EXITS_PROTECTED, "close ended", ""},
    {EXITS_PROTECTED, EXITS_PROTECTED, "time", ""},
    {EXITS_PROTECTED, EXITS_PROTECTED, "bar", ""},
    {EXITS_PROTECTED, EXITS_CLOSING, "close", "close"},
    {EXITS_PROTECTED, EXITS_CLEANUP, "exit filled", "closed cancel"},
    {EXITS_CLOSING, EXITS_CLOSING, "stop confirmed", ""},
    {EXITS_CLOSING, EXITS_CLOSING, "stop failed", ""},
    {EXITS_CLOSING, EXITS_CLOSING, "take failed", ""},
    {EXITS_CLOSING, EXITS_CLOSING, "take would trigger", ""},
    {EXITS_CLOSING, EXITS_CLOSING, "close ended", ""}, /* refused: asked again at the deadline */
    {EXITS_CLOSING, EXITS_CLOSING, "time", "close"},
    {EXITS_CLOSING, EXITS_CLOSING, "bar", ""},
    {EXITS_CLOSING, EXITS_CLOSING, "close", ""},
    {EXITS_CLOSING, EXITS_CLEANUP, "exit filled", "closed cancel"},
    {EXITS_CLEANUP, EXITS_CLEANUP, "stop confirmed", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "stop failed", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "take failed", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "close ended", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "entry ended", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "time", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "bar", ""},
    {EXITS_CLEANUP, EXITS_CLEANUP, "close", ""},
};

static void input_give(struct life *l, const char *input) {
    if (strcmp(input, "entry filled") == 0)
        entry_fill(l, 100 * FX_ONE, FX_ONE);
    else if (strcmp(input, "entry ended") == 0)
        entry_ended(l);
    else if (strcmp(input, "exit filled") == 0)
        exit_fill(l, 100 * FX_ONE, FX_ONE, EXIT_STOP);
    else if (strcmp(input, "stop confirmed") == 0)
        stop_confirmed(l);
    else if (strcmp(input, "stop failed") == 0)
        stop_failed(l, -1001);
    else if (strcmp(input, "stop would trigger") == 0)
        stop_failed(l, -2021);
    else if (strcmp(input, "take failed") == 0)
        take_failed(l, -1001);
    else if (strcmp(input, "take would trigger") == 0)
        take_failed(l, -2021);
    else if (strcmp(input, "close ended") == 0)
        close_ended(l);
    else if (strcmp(input, "bar") == 0)
        bar(l);
    else if (strcmp(input, "close") == 0)
        close_asked(l, EXIT_OPERATOR);
    else if (l->state.deadline_ns == INT64_MAX)
        time_passes(l, 3600 * S);
    else
        time_passes(l, l->state.deadline_ns - l->now.now_ns);
}

static void the_table_of_phases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof phase_rows / sizeof *phase_rows; i++) {
        struct life l;
        in_phase(&l, phase_rows[i].from);
        assert_int_equal(l.state.phase, phase_rows[i].from);
        const char *input = phase_rows[i].input;
        print_message("%s, %s\n", exits_phase_text(phase_rows[i].from), input);
        input_give(&l, input);
        expect(&l, phase_rows[i].to, phase_rows[i].actions);
    }
}

/* --- a stop that will not stand ------------------------------------------------------------------ */

static void a_rejected_stop_is_tried_again_then_the_position_is_closed_with_an_alarm(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, 3 * FX_ONE);
    entry_ended(&l);
    int64_t px = l.state.stop_px.e8;
    for (uint32_t attempt = 1; attempt < l.config.stop_attempts_max; attempt++) {
        stop_failed(&l, -1001);
        expect(&l, EXITS_UNPROTECTED, "stop");
        assert_int_equal(l.asked.items[0].attempt, attempt); /* another order, another id */
        assert_int_equal(l.asked.items[0].px.e8, px);        /* never loosened */
    }
    stop_failed(&l, -1001);
    expect(&l, EXITS_CLOSING, "alarm close");
    assert_int_equal(l.asked.items[1].qty.e8, 3 * FX_ONE);
    assert_int_equal(l.state.alarms, 1);
    exit_fill(&l, 99 * FX_ONE, 3 * FX_ONE, (enum exit_reason)l.state.exit_reason);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    struct trade_closed t;
    exits_trade(&t, &l.state, 1);
    assert_int_equal(t.exit_reason, EXIT_UNPROTECTED);
    assert_int_equal(t.time_to_protected_ns, -1);
}

/* The tick became ten times coarser between fill and stop: the price goes to the grid of now, towards the market. */
static void a_stop_asked_for_again_obeys_the_rules_of_the_moment(void **state) {
    (void)state;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct life l;
        life_begin(&l, side);
        entry_fill(&l, 100 * FX_ONE + FX_ONE / 2, FX_ONE);
        int64_t first = l.asked.items[0].px.e8; /* 98.4, or 102.6 */
        l.instrument.tick_size.e8 = l.instrument.px_min.e8 = FX_ONE;
        stop_failed(&l, -1111);
        expect(&l, EXITS_UNPROTECTED, "stop");
        assert_int_equal(l.asked.items[0].px.e8, (side == SIDE_BUY ? 99 : 102) * FX_ONE);
        assert_true(side == SIDE_BUY ? l.state.stop_px.e8 > first : l.state.stop_px.e8 < first);
        stop_confirmed(&l);
        assert_int_equal(l.state.phase, EXITS_PROTECTED);
    }
}

/* What is less than a step by now is sold by an order of a step: reduce-only, the venue cuts it to what is held. */
static void less_than_a_step_is_closed_by_an_order_of_one(void **state) {
    (void)state;
    static const int64_t held[] = {23, 4, 10, 1}; /* tenths */
    for (size_t n = 0; n < sizeof held / sizeof *held; n++) {
        struct life l;
        life_begin(&l, SIDE_BUY);
        entry_fill(&l, 100 * FX_ONE, held[n] * FX_ONE / 10);
        entry_ended(&l);
        stop_confirmed(&l);
        l.instrument.market_step_size.e8 = l.instrument.market_qty_min.e8 = FX_ONE;
        close_asked(&l, EXIT_OPERATOR);
        expect(&l, EXITS_CLOSING, "close");
        assert_int_equal(l.asked.items[0].qty.e8, (held[n] + 9) / 10 * FX_ONE);
        /* A fill of a part, then the rest of it. */
        if (held[n] > 10) {
            exit_fill(&l, 100 * FX_ONE, 2 * FX_ONE, EXIT_OPERATOR);
            close_ended(&l);
            expect(&l, EXITS_CLOSING, "close");
            assert_int_equal(l.asked.items[0].qty.e8, FX_ONE);
        }
        exit_fill(&l, 100 * FX_ONE, l.state.position_qty.e8, EXIT_OPERATOR);
        expect(&l, EXITS_CLEANUP, "closed cancel");
    }
}

/* Rules by which nobody may sell anything are waited out, under the stop. */
static void rules_that_let_nobody_sell_are_waited_out(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    const qty_t most = l.instrument.market_qty_max;
    l.instrument.market_qty_min.e8 = 2 * FX_ONE;
    l.instrument.market_qty_max.e8 = FX_ONE;
    close_asked(&l, EXIT_OPERATOR);
    expect(&l, EXITS_CLOSING, "");
    l.instrument.market_qty_max = most;
    time_passes(&l, l.config.close_answer_ns_max);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.asked.items[0].qty.e8, 2 * FX_ONE);
}

/* More than one order may take is closed by several. */
static void more_than_one_order_may_take_is_closed_by_several(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, 25 * FX_ONE / 10);
    entry_ended(&l);
    stop_confirmed(&l);
    l.instrument.market_step_size.e8 = l.instrument.market_qty_min.e8 = FX_ONE;
    l.instrument.market_qty_max.e8 = 2 * FX_ONE;
    close_asked(&l, EXIT_OPERATOR);
    assert_int_equal(l.asked.items[0].qty.e8, 2 * FX_ONE);
    exit_fill(&l, 100 * FX_ONE, 2 * FX_ONE, EXIT_OPERATOR);
    close_ended(&l);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.asked.items[0].qty.e8, FX_ONE);
}

/* The stop beneath a close that does not come is lost: three seconds later somebody must know. */
static void a_stop_lost_while_closing_is_alarmed(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    close_asked(&l, EXIT_OPERATOR);
    expect(&l, EXITS_CLOSING, "close");
    stop_failed(&l, 0);
    expect(&l, EXITS_CLOSING, "");
    time_passes(&l, 2 * S);
    expect(&l, EXITS_CLOSING, "close");
    time_passes(&l, 2 * S);
    expect(&l, EXITS_CLOSING, "alarm close");
    time_passes(&l, 2 * S);
    expect(&l, EXITS_CLOSING, "close");
}

/* The stop fired into nothing and the venue takes no closing order either: nobody is left to it unalarmed. */
static void a_position_that_cannot_be_closed_raises_an_alarm(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    l.now.last_px.e8 = 97 * FX_ONE;
    stop_failed(&l, 9);
    expect(&l, EXITS_CLOSING, "close");
    time_passes(&l, 2 * S);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(exits_deadline(&l.state), l.now.now_ns + S);
    time_passes(
        &l,
        S); /* naked for three seconds; the close asked for last may be executed before its answer is due */
    expect(&l, EXITS_CLOSING, "alarm");
    time_passes(&l, S);
    expect(&l, EXITS_CLOSING, "close");
    time_passes(&l, 2 * S);
    expect(&l, EXITS_CLOSING, "close"); /* once */
    /* Where its stop stands beneath it there is nothing to be alarmed about. */
    life_protected(&l, SIDE_BUY);
    close_asked(&l, EXIT_OPERATOR);
    for (int i = 0; i < 5; i++) {
        time_passes(&l, 2 * S);
        expect(&l, EXITS_CLOSING, "close");
    }
}

static void no_answer_to_a_stop_is_asked_again_at_the_deadline(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    assert_int_equal(l.state.deadline_ns, T0 + S);
    time_passes(&l, S - 1);
    expect(&l, EXITS_UNPROTECTED, "");
    time_passes(&l, 1);
    expect(&l, EXITS_UNPROTECTED, "stop");
    time_passes(&l, S);
    expect(&l, EXITS_UNPROTECTED, "stop");
    time_passes(&l, S);
    expect(&l, EXITS_CLOSING, "alarm close");
}

/* Lesson L5: the limit is on time, whatever attempts are left. */
static void the_unprotected_limit_holds_even_if_attempts_remain(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    l.config.stop_attempts_max = 100;
    l.config.stop_answer_ns_max = 2 * S;
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    time_passes(&l, 2 * S);
    expect(&l, EXITS_UNPROTECTED, "stop");
    assert_int_equal(l.state.deadline_ns, T0 + 3 * S); /* not 4 s */
    time_passes(&l, S - 1);
    expect(&l, EXITS_UNPROTECTED, "");
    time_passes(&l, 1);
    expect(&l, EXITS_CLOSING, "alarm close");
}

static void a_stop_the_market_has_passed_is_done_at_market(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    entry_ended(&l);
    stop_failed(&l, -2021);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.state.exit_reason, EXIT_STOP);
    assert_int_equal(l.state.alarms, 0);
    /* Another code, but the price says the same. */
    life_begin(&l, SIDE_SELL);
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    l.now.last_px.e8 = 102 * FX_ONE;
    stop_failed(&l, -1001);
    expect(&l, EXITS_CLOSING, "close");
}

static void a_stop_lost_later_is_asked_for_again_at_the_same_price(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    int64_t px = l.state.stop_px.e8;
    l.now.last_px.e8 = 103 * FX_ONE;
    l.now.now_ns += S;
    stop_failed(&l, 0);
    expect(&l, EXITS_UNPROTECTED, "stop");
    assert_int_equal(l.asked.items[0].px.e8, px);
    stop_confirmed(&l);
    assert_int_equal(l.state.phase, EXITS_PROTECTED);
}

/* --- closing ------------------------------------------------------------------------------------- */

static void an_unanswered_close_is_asked_again(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    close_asked(&l, EXIT_OPERATOR);
    expect(&l, EXITS_CLOSING, "close");
    for (uint8_t n = 1; n < 40; n++) {
        time_passes(&l, 2 * S);
        expect(&l, EXITS_CLOSING, "close");
        assert_int_equal(l.asked.items[0].attempt, n);
    }
    assert_int_equal(l.state.exit_reason, EXIT_OPERATOR);
}

static void a_close_that_filled_in_part_is_followed_at_once_by_the_rest(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, 5 * FX_ONE);
    entry_ended(&l);
    stop_confirmed(&l);
    close_asked(&l, EXIT_TIME);
    assert_int_equal(l.asked.items[0].qty.e8, 5 * FX_ONE);
    exit_fill(&l, 99 * FX_ONE, 3 * FX_ONE, EXIT_TIME);
    expect(&l, EXITS_CLOSING, "");
    close_ended(&l);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.asked.items[0].qty.e8, 2 * FX_ONE);
    close_ended(&l); /* refused outright: not at once */
    expect(&l, EXITS_CLOSING, "");
    time_passes(&l, 2 * S);
    expect(&l, EXITS_CLOSING, "close");
}

static void a_wish_to_leave_while_entering_is_kept_until_the_stop_stands(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    close_asked(&l, EXIT_END_OF_DATA);
    expect(&l, EXITS_ENTERING, "");
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    expect(&l, EXITS_UNPROTECTED, "stop");
    stop_confirmed(&l);
    expect(&l, EXITS_CLOSING, "protected close");
    assert_int_equal(l.state.exit_reason, EXIT_END_OF_DATA);
}

static void the_time_stop_ends_a_position_after_its_bars(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    bar(&l);
    expect(&l, EXITS_PROTECTED, "");
    bar(&l);
    expect(&l, EXITS_PROTECTED, "");
    bar(&l);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.state.exit_reason, EXIT_TIME);
    life_protected(&l, SIDE_BUY);
    l.state.intent.horizon_bars = 0;
    for (int i = 0; i < 1000; i++) bar(&l);
    expect(&l, EXITS_PROTECTED, "");
}

static void a_target_the_market_has_passed_is_taken_at_market(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_SELL);
    take_failed(&l, -2021);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.state.exit_reason, EXIT_TAKE_PROFIT);
}

/* --- races --------------------------------------------------------------------------------------- */

static void target_and_stop_racing_close_the_trade_once(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    exit_fill(&l, 104 * FX_ONE, FX_ONE / 2, EXIT_TAKE_PROFIT);
    expect(&l, EXITS_PROTECTED, "");
    exit_fill(&l, 98 * FX_ONE, FX_ONE / 2, EXIT_STOP);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    stop_failed(&l, 0);
    expect(&l, EXITS_CLEANUP, "");
    take_failed(&l, -2022); /* the other triggered into a flat position */
    expect(&l, EXITS_CLEANUP, "");
}

static void a_stop_that_fills_while_closing_ends_the_trade(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    close_asked(&l, EXIT_TIME);
    exit_fill(&l, 98 * FX_ONE, FX_ONE, EXIT_STOP);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    close_ended(&l);
    expect(&l, EXITS_CLEANUP, "");
}

static void partial_entry_fills_have_one_stop_that_covers_all(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    expect(&l, EXITS_UNPROTECTED, "stop");
    assert_int_equal(l.asked.items[0].qty.e8, 0); /* closePosition: no quantity to fall short */
    entry_fill(&l, 101 * FX_ONE, 2 * FX_ONE);
    expect(&l, EXITS_UNPROTECTED, "");
    stop_confirmed(&l);
    entry_fill(&l, 102 * FX_ONE, FX_ONE);
    expect(&l, EXITS_PROTECTED, "");
    assert_int_equal(l.state.stop_px.e8, 98 * FX_ONE); /* of the first fill */
    assert_int_equal(l.state.position_qty.e8, 4 * FX_ONE);
    assert_int_equal(l.state.risk.e8, (2 + 2 * 3 + 4) * FX_ONE);
}

static void an_entry_that_fills_on_after_its_stop_is_closed_not_left_naked(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    entry_fill(&l, 100 * FX_ONE, FX_ONE);
    stop_confirmed(&l);
    exit_fill(&l, 98 * FX_ONE, FX_ONE, EXIT_STOP);
    expect(&l, EXITS_PROTECTED, ""); /* not over: the entry may add */
    stop_failed(&l, 0);
    expect(&l, EXITS_PROTECTED, "");
    bar(&l);
    close_asked(&l, EXIT_OPERATOR); /* nothing is held: no order of size 0 */
    expect(&l, EXITS_PROTECTED, "");
    entry_fill(&l, 98 * FX_ONE, 2 * FX_ONE);
    expect(&l, EXITS_CLOSING, "close");
    assert_int_equal(l.asked.items[0].qty.e8, 2 * FX_ONE);
    exit_fill(&l, 97 * FX_ONE, 2 * FX_ONE, EXIT_STOP);
    expect(&l, EXITS_CLOSING, "");
    time_passes(&l, 3600 * S); /* flat while the entry lasts: nothing to close */
    expect(&l, EXITS_CLOSING, "");
    entry_ended(&l);
    expect(&l, EXITS_CLEANUP, "closed cancel");
    struct trade_closed t;
    exits_trade(&t, &l.state, 1);
    assert_int_equal(t.exit_reason, EXIT_STOP);
    assert_int_equal(t.qty.e8, 3 * FX_ONE);
    assert_int_equal(t.exit_ts_ns, T0); /* of the last fill, not of the entry's end */
}

static void a_liquidation_ends_the_trade_with_its_own_reason(void **state) {
    (void)state;
    for (enum exits_phase phase = EXITS_UNPROTECTED; phase <= EXITS_PROTECTED; phase++) {
        struct life l;
        in_phase(&l, phase);
        exit_fill(&l, 70 * FX_ONE, FX_ONE, EXIT_LIQUIDATION);
        expect(&l, EXITS_CLEANUP, "closed cancel");
        assert_int_equal(l.state.exit_reason, EXIT_LIQUIDATION);
    }
}

static void a_dead_contracts_stop_is_not_asked_for_again(void **state) {
    (void)state;
    struct life l;
    life_protected(&l, SIDE_BUY);
    l.instrument.status = INSTRUMENT_CLOSED;
    stop_failed(&l, -4108);
    expect(&l, EXITS_PROTECTED, "");
    exit_fill(&l, 100 * FX_ONE, FX_ONE, EXIT_END_OF_DATA);
    expect(&l, EXITS_CLEANUP, "closed cancel");
}

/* --- prices -------------------------------------------------------------------------------------- */

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* The original sent stops of 0 (-4006), untouched by the price filter (-4014), on the wrong side. */
static void stop_and_target_prices_are_valid_at_any_price(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    for (int n = 0; n < 100000; n++) {
        struct instrument in;
        instrument_defaults(&in, "XUSDT");
        int64_t tick = 1;
        for (uint64_t d = rng_below(&rng, 10); d > 0; d--) tick *= 10;
        if (rng_below(&rng, 4) == 0) tick *= 5;
        in.tick_size.e8 = tick;
        in.px_min.e8 = rng_below(&rng, 3) ? tick * (1 + (int64_t)rng_below(&rng, 10)) : 0;
        int64_t ticks = 2 + (int64_t)(rng_u64(&rng) >> (20 + rng_below(&rng, 42))) % 10000000;
        int64_t px = (in.px_min.e8 ? in.px_min.e8 : tick) + ticks * tick;
        double distance = rng_below(&rng, 5) ? rng_f64(&rng) * 0.2 : 1e-9;
        enum side side = rng_below(&rng, 2) ? SIDE_BUY : SIDE_SELL;
        int64_t stop = exits_stop_px(&in, side, px_e8(px), distance).e8;
        int64_t take = exits_take_px(&in, side, px_e8(px), distance).e8;
        assert_true(stop > 0 && take > 0);
        assert_int_equal(instrument_check_px(&in, px_e8(stop)), FILTER_OK);
        assert_int_equal(instrument_check_px(&in, px_e8(take)), FILTER_OK);
        int64_t loss = side == SIDE_BUY ? px - stop : stop - px;
        int64_t gain = side == SIDE_BUY ? take - px : px - take;
        assert_true(loss >= tick && gain >= tick);
        /* Outward by less than a tick, unless the grid's end is in the way. */
        double wanted = fmax((double)px * distance, (double)tick);
        int64_t floor_px = in.px_min.e8 ? in.px_min.e8 : tick;
        if (stop > floor_px)
            assert_true((double)loss >= wanted - 1 && (double)loss < wanted + (double)tick + 1);
        if (take > floor_px)
            assert_true((double)gain >= wanted - 1 && (double)gain < wanted + (double)tick + 1);
    }
}

static void a_coin_of_a_few_smallest_ticks_still_has_its_stop(void **state) {
    (void)state;
    struct instrument in;
    instrument_defaults(&in, "TINYUSDT"); /* tick 1e-8 */
    in.px_min.e8 = 1;
    for (int64_t px = 2; px < 50; px++) {
        assert_int_equal(exits_stop_px(&in, SIDE_BUY, px_e8(px), 0.02).e8, px - 1);
        assert_int_equal(exits_stop_px(&in, SIDE_SELL, px_e8(px), 0.02).e8, px + 1);
        assert_int_equal(exits_take_px(&in, SIDE_BUY, px_e8(px), 0.02).e8, px + 1);
        assert_int_equal(exits_take_px(&in, SIDE_SELL, px_e8(px), 0.02).e8, px - 1);
    }
}

static void the_stop_follows_the_fill_not_the_intent(void **state) {
    (void)state;
    struct life l;
    life_begin(&l, SIDE_BUY);
    l.state.intent.stop_loss.e8 = 98 * FX_ONE;
    entry_fill(&l, 110 * FX_ONE, FX_ONE);                                     /* slipped */
    assert_int_equal(l.asked.items[0].px.e8, 107 * FX_ONE + FX_ONE * 8 / 10); /* 110 * 0.98 */
}

/* --- anything in any order ----------------------------------------------------------------------- */

/* What one random life has come to, beside its state. */
struct random_life {
    struct life l;
    bool entry_done;
    int64_t stop; /* asked for first; 0 before */
    uint32_t closed;
};

static void random_input(struct random_life *r, struct rng *rng) {
    struct life *l = &r->l;
    int64_t held = llabs(l->state.position_qty.e8);
    l->now.last_px.e8 = (90 + (int64_t)rng_below(rng, 20)) * FX_ONE;
    switch (rng_below(rng, 12)) {
    case 0:
        if (!r->entry_done) entry_fill(l, l->now.last_px.e8, 1 + (int64_t)rng_below(rng, 5));
        break;
    case 1:
        if (held)
            exit_fill(l, l->now.last_px.e8, 1 + (int64_t)rng_below(rng, (uint64_t)held), EXIT_STOP);
        break;
    case 2:
        if (!r->entry_done && rng_below(rng, 2)) {
            r->entry_done = true;
            entry_ended(l);
        }
        break;
    case 3:
        stop_confirmed(l);
        break;
    case 4:
        stop_failed(l, rng_below(rng, 2) ? -1001 : -2021);
        break;
    case 5:
        take_failed(l, rng_below(rng, 2) ? -1001 : -2021);
        break;
    case 6:
        close_ended(l);
        break;
    case 7:
        bar(l);
        break;
    case 8:
        close_asked(l, EXIT_OPERATOR);
        break;
    case 9:
        (void)exits_reduce(&l->asked, &l->state, &l->now,
                           qty_e8((int64_t)rng_below(rng, (uint64_t)held + 2)));
        break;
    default:
        time_passes(l, (int64_t)rng_below(rng, (uint64_t)(2 * S)));
        break;
    }
}

static void action_keeps_the_rules(struct random_life *r, const struct exits_action *act) {
    int64_t held = llabs(r->l.state.position_qty.e8);
    switch (act->kind) {
    case EXITS_SUBMIT_STOP:
        assert_true(held > 0 && act->px.e8 > 0);
        if (r->stop) assert_int_equal(act->px.e8, r->stop);
        r->stop = act->px.e8;
        break;
    case EXITS_SUBMIT_TAKE:
        assert_int_equal(r->l.state.phase, EXITS_PROTECTED);
        break;
    case EXITS_SUBMIT_CLOSE:
        assert_true(held > 0 && act->qty.e8 == held);
        break;
    case EXITS_CANCEL_ORDERS:
        assert_true(held == 0 && r->entry_done);
        break;
    case EXITS_TELL_CLOSED:
        r->closed++;
        assert_true(held == 0 && r->entry_done);
        assert_int_not_equal(r->l.state.exit_reason, EXIT_NONE);
        break;
    case EXITS_CANCEL_STOP:
        assert_int_not_equal(act->attempt, r->l.state.stop.attempt); /* never the one that stands */
        break;
    case EXITS_SUBMIT_REDUCE:
        assert_true(r->l.state.phase == EXITS_PROTECTED && act->qty.e8 > 0 && act->qty.e8 < held);
        break;
    case EXITS_ASK_REDUCE:
        assert_int_equal(act->attempt, r->l.state.reduction.attempt);
        break;
    case EXITS_CANCEL_TAKE:
    case EXITS_TELL_PROTECTED:
    case EXITS_TELL_FAILED:
    case EXITS_ALARM:
    case EXITS_ACTION_COUNT:
        break;
    }
}

/* Random inputs, legal or not: cancelling and telling only when flat and once, no close of nothing,
 * the stop never loosened, and the alarm in time. */
static void random_lives_keep_the_rules(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    uint32_t closed_count = 0;
    for (int n = 0; n < 20000; n++) {
        struct random_life r = {0};
        struct life *l = &r.l;
        life_begin(l, rng_below(&rng, 2) ? SIDE_BUY : SIDE_SELL);
        for (int k = 0; k < 60 && l->state.phase != EXITS_FLAT; k++) {
            l->asked.count = 0;
            random_input(&r, &rng);
            for (uint32_t a = 0; a < l->asked.count; a++)
                action_keeps_the_rules(&r, &l->asked.items[a]);
            assert_true(r.closed <= 1);
            if (l->state.phase == EXITS_UNPROTECTED && l->state.position_qty.e8 != 0)
                assert_true(l->state.deadline_ns <= l->now.now_ns + l->config.unprotected_ns_max);
        }
        closed_count += r.closed;
    }
    assert_true(closed_count > 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stop_is_asked_for_first_and_the_target_only_once_it_stands),
        cmocka_unit_test(the_trade_has_the_fills_own_numbers),
        cmocka_unit_test(an_entry_that_comes_to_nothing_leaves_nothing),
        cmocka_unit_test(the_table_of_phases),
        cmocka_unit_test(a_rejected_stop_is_tried_again_then_the_position_is_closed_with_an_alarm),
        cmocka_unit_test(a_stop_asked_for_again_obeys_the_rules_of_the_moment),
        cmocka_unit_test(less_than_a_step_is_closed_by_an_order_of_one),
        cmocka_unit_test(rules_that_let_nobody_sell_are_waited_out),
        cmocka_unit_test(more_than_one_order_may_take_is_closed_by_several),
        cmocka_unit_test(a_stop_lost_while_closing_is_alarmed),
        cmocka_unit_test(a_position_that_cannot_be_closed_raises_an_alarm),
        cmocka_unit_test(no_answer_to_a_stop_is_asked_again_at_the_deadline),
        cmocka_unit_test(the_unprotected_limit_holds_even_if_attempts_remain),
        cmocka_unit_test(a_stop_the_market_has_passed_is_done_at_market),
        cmocka_unit_test(a_stop_lost_later_is_asked_for_again_at_the_same_price),
        cmocka_unit_test(an_unanswered_close_is_asked_again),
        cmocka_unit_test(a_close_that_filled_in_part_is_followed_at_once_by_the_rest),
        cmocka_unit_test(a_wish_to_leave_while_entering_is_kept_until_the_stop_stands),
        cmocka_unit_test(the_time_stop_ends_a_position_after_its_bars),
        cmocka_unit_test(a_target_the_market_has_passed_is_taken_at_market),
        cmocka_unit_test(target_and_stop_racing_close_the_trade_once),
        cmocka_unit_test(a_stop_that_fills_while_closing_ends_the_trade),
        cmocka_unit_test(partial_entry_fills_have_one_stop_that_covers_all),
        cmocka_unit_test(an_entry_that_fills_on_after_its_stop_is_closed_not_left_naked),
        cmocka_unit_test(a_liquidation_ends_the_trade_with_its_own_reason),
        cmocka_unit_test(a_dead_contracts_stop_is_not_asked_for_again),
        cmocka_unit_test(stop_and_target_prices_are_valid_at_any_price),
        cmocka_unit_test(a_coin_of_a_few_smallest_ticks_still_has_its_stop),
        cmocka_unit_test(the_stop_follows_the_fill_not_the_intent),
        cmocka_unit_test(random_lives_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
