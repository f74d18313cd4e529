/* Orders and positions the kernel could lose track of: answers that never come, fills that come late, in any
 * order or from somebody else. The venue is spoken by hand, one word at a time; money is kept twice. */
#include "kernel/test_word.h"

/* --- fills that come late or out of order -------------------------------------------------------- */

/* Cancelled, "nothing to cancel", and once more: gone, it seems. Then its fill. */
static void a_fill_behind_the_second_refusal_of_a_cancel_is_booked_and_closed(void **state) {
    (void)state;
    struct world *w = world_protected();
    char take[CLIENT_ORDER_ID_SIZE], stop[CLIENT_ORDER_ID_SIZE];
    memcpy(take, asked(w, 't')->client_order_id, sizeof take);
    memcpy(stop, asked(w, 's')->client_order_id, sizeof stop);
    say(w, VENUE_ORDER_ACCEPTED, take, 0);
    /* Closed by its stop; the target is cancelled, and the venue knows of nothing to cancel. */
    fill(w, stop, SIDE_SELL, 15 * FX_ONE / 10, 0);
    assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
    say(w, VENUE_CANCEL_REJECTED, take, -2011);
    say(w, VENUE_CANCEL_REJECTED, take, -2011);
    assert_int_equal(kernel_open_count(w->kernel), 0);
    uint32_t from = w->command_count;
    fill(w, take, SIDE_SELL, 5 * FX_ONE / 10, 0); /* it had triggered */
    assert_int_equal(kernel_position_qty(w->kernel, 0).e8, -5 * FX_ONE / 10);
    check_books(w);
    assert_int_equal(totals(w)->strays, 1);
    assert_int_equal(w->count[EVENT_POSITION_ALARM], 1);
    assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason, "late fill");
    /* A stop of its side first, then the way out. */
    assert_int_equal(w->commands[from].order_type, ORDER_STOP_MARKET);
    assert_int_equal(w->commands[from].side, SIDE_BUY);
    assert_int_equal(w->commands[from].stop_px.e8, 102 * FX_ONE);
    assert_int_equal(w->commands[from + 1].client_order_id[15], 'c');
    assert_int_equal(w->commands[from + 1].side, SIDE_BUY);
    assert_true(w->commands[from + 1].reduce_only);
    answer_until_flat(w, from);
    assert_int_equal(w->count[EVENT_TRADE_CLOSED], 2);
    assert_int_equal(w->last[EVENT_TRADE_CLOSED].u.trade_closed.exit_reason, EXIT_OPERATOR);
    world_free(w);
}

/* The same of an entry, told before or after the symbol was freed, in the book or forgotten by it. */
static void a_late_fill_of_an_entry_given_up_is_booked_and_closed(void **state) {
    (void)state;
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        struct world *w = world_entering();
        char entry[CLIENT_ORDER_ID_SIZE];
        memcpy(entry, asked(w, 'e')->client_order_id, sizeof entry);
        say(w, VENUE_ORDER_REJECTED, entry, -1007);
        assert_int_equal(kernel_open_count(w->kernel), 0);
        for (int n = 0; forgotten && n < 2 * OMS_ORDERS_MAX;
             n++) { /* its slot is another's by now */
            wish(w, SIDE_BUY);
            say(w, VENUE_ORDER_REJECTED, newest(w)->client_order_id, -2019);
        }
        uint32_t from = w->command_count;
        fill(w, entry, SIDE_BUY, 15 * FX_ONE / 10, 0);
        check_books(w);
        assert_int_equal(totals(w)->strays, 1);
        assert_int_equal(w->commands[from].order_type, ORDER_STOP_MARKET);
        answer_until_flat(w, from);
        world_free(w);
    }
}

static void fills_out_of_order_are_one_position(void **state) {
    (void)state;
    struct world *w = world_entering();
    const char *id = w->commands[w->command_count - 1].client_order_id;
    struct venue_event first = fill_of(w, id, SIDE_BUY, 7 * FX_ONE / 10, 8 * FX_ONE / 10);
    struct venue_event last = fill_of(w, id, SIDE_BUY, 8 * FX_ONE / 10, 0);
    for (int n = 0; n < 2; n++) { /* and each of them twice */
        tell(w, &last);
        tell(w, &first);
    }
    assert_int_equal(kernel_position_qty(w->kernel, 0).e8, w->position);
    assert_int_equal(totals(w)->fees.e8, w->fees);
    assert_int_equal(totals(w)->fills, 2);
    assert_int_equal(totals(w)->duplicate_fills, 2);
    assert_int_equal(totals(w)->strays, 0);
    assert_int_equal(asked_count(w, 's'), 1);
    world_free(w);
}

/* Word of the trade before says nothing of the stop of this one, though both are the first of their kind. */
static void orders_of_the_trade_before_are_not_those_of_this_one(void **state) {
    (void)state;
    struct world *w = world_protected();
    char stop[CLIENT_ORDER_ID_SIZE], take[CLIENT_ORDER_ID_SIZE];
    memcpy(stop, asked(w, 's')->client_order_id, sizeof stop);
    memcpy(take, asked(w, 't')->client_order_id, sizeof take);
    say(w, VENUE_ORDER_ACCEPTED, take, 0);
    fill(w, take, SIDE_SELL, 15 * FX_ONE / 10,
         0); /* closed; the cancel of the stop is on its way */
    fill(w, "web_by_hand", SIDE_BUY, 2 * FX_ONE, 0);
    assert_string_not_equal(asked(w, 's')->client_order_id, stop);
    say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
    uint32_t from = w->command_count;
    say(w, VENUE_ORDER_CANCELED, stop, 0);
    assert_int_equal(w->command_count, from); /* the new one stands as it stood */
    assert_int_equal(kernel_unprotected_count(w->kernel), 0);
    check_books(w);
    world_free(w);
}

/* --- positions of others ------------------------------------------------------------------------- */

static void a_position_made_by_hand_is_protected_at_once(void **state) {
    (void)state;
    static const enum side sides[] = {SIDE_BUY, SIDE_SELL};
    for (int n = 0; n < 2; n++) {
        struct world *w = world_begun();
        fill(w, "web_by_hand", sides[n], 3 * FX_ONE, 0);
        assert_int_equal(w->command_count, 1); /* in the same step: row 42 */
        assert_int_equal(newest(w)->order_type, ORDER_STOP_MARKET);
        assert_true(newest(w)->close_position);
        assert_int_equal(newest(w)->side, side_opposite(sides[n]));
        assert_int_equal(newest(w)->stop_px.e8, (n ? 102 : 98) * FX_ONE);
        say(w, VENUE_ORDER_ACCEPTED, newest(w)->client_order_id, 0);
        assert_int_equal(w->count[EVENT_POSITION_PROTECTED], 1);
        assert_int_equal(w->count[EVENT_POSITION_ALARM], 1);
        check_books(w);
        fill(w, "web_by_hand", sides[n], FX_ONE, 0); /* more of it: under the same stop */
        assert_int_equal(w->command_count, 1);
        check_books(w);
        fill(w, "web_by_hand", side_opposite(sides[n]), 4 * FX_ONE, 0); /* and he closes it */
        assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
        answer_until_flat(w, 1);
        world_free(w);
    }
}

static void a_position_made_by_hand_is_closed_where_the_rule_says_so(void **state) {
    (void)state;
    struct world *w = world_new();
    w->config.exits.stray = STRAY_FLATTEN;
    begin(w);
    fill(w, "web_by_hand", SIDE_BUY, 3 * FX_ONE, 0);
    assert_int_equal(w->command_count, 2);
    assert_int_equal(w->commands[0].order_type, ORDER_STOP_MARKET);
    assert_int_equal(w->commands[1].order_type, ORDER_MARKET);
    assert_int_equal(w->commands[1].order_qty.e8, 3 * FX_ONE);
    answer_until_flat(w, 0);
    assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
    world_free(w);
}

/* One net direction per symbol, whoever holds it. */
static void nothing_is_entered_beside_a_position_of_somebody_else(void **state) {
    (void)state;
    struct world *w = world_begun();
    fill(w, "web_by_hand", SIDE_BUY, 3 * FX_ONE, 0);
    wish(w, SIDE_SELL);
    wish(w, SIDE_BUY);
    assert_int_equal(totals(w)->refusals[RISK_POSITION_OPPOSITE], 1);
    assert_int_equal(totals(w)->refusals[RISK_POSITION_OPEN], 1);
    assert_int_equal(asked_count(w, 'e'), 0);
    world_free(w);
}

static void a_position_made_by_hand_ends_the_wish_under_way(void **state) {
    (void)state;
    for (int with_leverage = 0; with_leverage < 2; with_leverage++) {
        struct world *w = world_begun();
        wish(w, SIDE_BUY);
        if (with_leverage) leverage(w);
        fill(w, "web_by_hand", SIDE_SELL, 3 * FX_ONE, 0);
        assert_int_equal(asked_count(w, 's'), 1);
        if (!with_leverage) { /* its answer buys nothing any more */
            struct venue_event e = word(w, VENUE_LEVERAGE_SET, NULL);
            e.leverage = 2;
            tell(w, &e);
            assert_int_equal(asked_count(w, 'e'), 0);
        } else { /* cancelled too late: it is netted, not added up */
            fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
        }
        check_books(w);
        assert_int_equal(kernel_open_count(w->kernel), 1);
        world_free(w);
    }
}

/* A hand that sells more than is held: one trade ends, and what is left is a position the other way. */
static void a_fill_through_flat_ends_one_trade_and_begins_another(void **state) {
    (void)state;
    struct world *w = world_protected();
    uint32_t from = w->command_count;
    fill(w, "web_by_hand", SIDE_SELL, 4 * FX_ONE, 0);
    assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
    assert_int_equal(w->last[EVENT_TRADE_CLOSED].u.trade_closed.qty.e8, 15 * FX_ONE / 10);
    assert_int_equal(kernel_position_qty(w->kernel, 0).e8, -25 * FX_ONE / 10);
    assert_int_equal(asked(w, 's')->side, SIDE_BUY);
    check_books(w);
    fill(w, "web_by_hand", SIDE_BUY, 25 * FX_ONE / 10, 0);
    answer_until_flat(w, from);
    world_free(w);
}

/* --- answers that never come --------------------------------------------------------------------- */

static void an_entry_never_answered_is_asked_after_and_given_up(void **state) {
    (void)state;
    struct world *w = world_entering();
    char entry[CLIENT_ORDER_ID_SIZE];
    memcpy(entry, asked(w, 'e')->client_order_id, sizeof entry);
    int64_t sent = w->now;
    uint32_t from = w->command_count;
    pass(w, 59 * S);
    static const int64_t when[] = {5, 10, 20, 40};
    assert_int_equal(w->command_count - from, 4);
    for (uint32_t n = 0; n < 4; n++) {
        assert_int_equal(w->commands[from + n].kind, COMMAND_ORDER_CANCEL);
        assert_string_equal(w->commands[from + n].client_order_id, entry);
        assert_int_equal(w->commands[from + n].ts_ns, sent + when[n] * S);
    }
    assert_int_equal(kernel_open_count(w->kernel), 1);
    assert_int_equal(w->count[EVENT_POSITION_ALARM], 0);
    pass(w, S);
    assert_int_equal(w->count[EVENT_POSITION_ALARM], 1);
    assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason,
                        "entry not answered");
    assert_int_equal(totals(w)->entries_quarantined, 1);
    assert_int_equal(kernel_open_count(w->kernel), 0); /* the slot is free */
    struct kernel_live_order live[2];
    assert_int_equal(kernel_live_orders(w->kernel, live, 2), 1); /* and the order not forgotten */
    wish(w, SIDE_BUY);
    assert_int_equal(totals(w)->refusals[RISK_ORDERS_WORKING], 1);
    assert_int_equal(asked_count(w, 'e'), 1);
    say(w, VENUE_ORDER_CANCELED, entry, 0); /* the venue speaks, and all is well */
    wish(w, SIDE_BUY);
    assert_int_equal(asked_count(w, 'e'), 2);
    world_free(w);
}

static void an_entry_in_quarantine_that_fills_is_booked_and_closed(void **state) {
    (void)state;
    struct world *w = world_entering();
    pass(w, 100 * S);
    assert_int_equal(totals(w)->entries_quarantined, 1);
    uint32_t from = w->command_count;
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    assert_int_equal(totals(w)->strays, 1);
    check_books(w);
    answer_until_flat(w, from);
    world_free(w);
}

static void an_entry_answered_late_ends_as_the_venue_says(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct world *w = world_entering();
        const char *id = asked(w, 'e')->client_order_id;
        pass(w, 6 * S);
        assert_int_equal(newest(w)->kind, COMMAND_ORDER_CANCEL);
        if (how == 0) { /* filled long ago: adopted, the answer to the cancel comes after */
            fill(w, id, SIDE_BUY, 15 * FX_ONE / 10, 0);
            say(w, VENUE_CANCEL_REJECTED, id, -2011);
            say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
            assert_int_equal(w->count[EVENT_POSITION_PROTECTED], 1);
            assert_int_equal(asked_count(w, 't'), 1);
            check_books(w);
        } else if (how ==
                   1) { /* never arrived: said twice, for the first may have been too early */
            say(w, VENUE_CANCEL_REJECTED, id, -2011);
            assert_int_equal(kernel_open_count(w->kernel), 1);
            say(w, VENUE_CANCEL_REJECTED, id, -2011);
        } else {
            say(w, VENUE_ORDER_CANCELED, id, 0);
        }
        assert_int_equal(kernel_open_count(w->kernel), how == 0);
        pass(w, 100 * S);
        assert_int_equal(w->count[EVENT_POSITION_ALARM], 0);
        assert_int_equal(totals(w)->strays + totals(w)->entries_quarantined, 0);
        world_free(w);
    }
}

/* Once more, as another order; not when the wish is over, nor for ever. */
static void an_entry_that_never_arrived_is_asked_for_once_more(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct world *w = world_entering();
        char first[CLIENT_ORDER_ID_SIZE];
        memcpy(first, asked(w, 'e')->client_order_id, sizeof first);
        qty_t qty = asked(w, 'e')->order_qty;
        if (how == 2) pass(w, 59 * S);
        if (how == 2) w->now += 2 * S;
        /* Of an order of an earlier process it is told as an end. */
        say(w, how == 1 ? VENUE_ORDER_EXPIRED : VENUE_ORDER_REJECTED, first, -2013);
        assert_int_equal(asked_count(w, 'e'), how < 2 ? 2 : 1);
        assert_int_equal(kernel_open_count(w->kernel), how < 2);
        if (how == 0) {
            assert_string_not_equal(asked(w, 'e')->client_order_id, first);
            assert_int_equal(asked(w, 'e')->order_qty.e8, qty.e8);
            fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, qty.e8, 0);
            assert_int_equal(asked_count(w, 's'), 1);
        } else if (how == 1) {
            say(w, VENUE_ORDER_REJECTED, asked(w, 'e')->client_order_id, -2013);
            assert_int_equal(asked_count(w, 'e'), 2);
            assert_int_equal(kernel_open_count(w->kernel), 0);
        }
        check_books(w);
        world_free(w);
    }
}

static void an_entry_the_venue_has_is_waited_for(void **state) {
    (void)state;
    struct world *w = world_entering();
    say(w, VENUE_ORDER_ACCEPTED, asked(w, 'e')->client_order_id, 0);
    uint32_t from = w->command_count;
    pass(w, 100 * S);
    assert_int_equal(w->command_count, from);
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    assert_int_equal(asked_count(w, 's'), 1);
    check_books(w);
    world_free(w);
}

static void a_leverage_never_answered_denies_and_frees_the_slot(void **state) {
    (void)state;
    struct world *w = world_begun();
    wish(w, SIDE_BUY);
    pass(w, 100 * S);
    static const int64_t when[] = {0, 5, 10, 20, 40};
    assert_int_equal(w->command_count, 5);
    for (uint32_t n = 0; n < 5; n++) {
        assert_int_equal(w->commands[n].kind, COMMAND_LEVERAGE_SET);
        assert_int_equal(w->commands[n].leverage, w->commands[0].leverage);
        assert_int_equal(w->commands[n].ts_ns, w->commands[0].ts_ns + when[n] * S);
    }
    assert_int_equal(kernel_open_count(w->kernel), 0);
    assert_int_equal(kernel_leverage_wanted(w->kernel, 0), 0);
    assert_int_equal(totals(w)->refusals[RISK_LEVERAGE], 1);
    assert_int_equal(w->count[EVENT_INTENT_DENIED], 1);
    wish(w, SIDE_BUY);
    leverage(w); /* asked anew, not believed to be what it was */
    assert_int_equal(asked_count(w, 'e'), 1);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_never_answered_is_asked_after_and_given_up),
        cmocka_unit_test(an_entry_in_quarantine_that_fills_is_booked_and_closed),
        cmocka_unit_test(an_entry_answered_late_ends_as_the_venue_says),
        cmocka_unit_test(an_entry_that_never_arrived_is_asked_for_once_more),
        cmocka_unit_test(an_entry_the_venue_has_is_waited_for),
        cmocka_unit_test(a_leverage_never_answered_denies_and_frees_the_slot),
        cmocka_unit_test(a_fill_behind_the_second_refusal_of_a_cancel_is_booked_and_closed),
        cmocka_unit_test(a_late_fill_of_an_entry_given_up_is_booked_and_closed),
        cmocka_unit_test(fills_out_of_order_are_one_position),
        cmocka_unit_test(orders_of_the_trade_before_are_not_those_of_this_one),
        cmocka_unit_test(a_position_made_by_hand_is_protected_at_once),
        cmocka_unit_test(a_position_made_by_hand_is_closed_where_the_rule_says_so),
        cmocka_unit_test(nothing_is_entered_beside_a_position_of_somebody_else),
        cmocka_unit_test(a_position_made_by_hand_ends_the_wish_under_way),
        cmocka_unit_test(a_fill_through_flat_ends_one_trade_and_begins_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
