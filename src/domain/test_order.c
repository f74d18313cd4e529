#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "domain/order.h"
#include "domain/trade.h"

/* The table once more, pair by pair, in another form than order.c's matrix: a change there must be made
 * here as well, with its reason. Pairs that are not listed are illegal. */
struct legal {
    enum order_state from;
    enum order_event event;
    enum order_state to;
};

static const struct legal legal_pairs[] = {
    /* Asking is only possible once. */
    {ORDER_NONE, OE_SUBMIT, ORDER_PENDING_NEW},
    /* The first answer may be any: a fill or an end can overtake the acknowledgement. */
    {ORDER_PENDING_NEW, OE_ACCEPTED, ORDER_NEW},
    {ORDER_PENDING_NEW, OE_REJECTED, ORDER_REJECTED},
    {ORDER_PENDING_NEW, OE_TIMEOUT, ORDER_UNKNOWN},
    {ORDER_PENDING_NEW, OE_FILL_PARTIAL, ORDER_PARTIALLY_FILLED},
    {ORDER_PENDING_NEW, OE_FILL_LAST, ORDER_FILLED},
    {ORDER_PENDING_NEW, OE_CANCEL_REQUEST, ORDER_PENDING_CANCEL},
    {ORDER_PENDING_NEW, OE_CANCELED, ORDER_CANCELED},
    {ORDER_PENDING_NEW, OE_EXPIRED, ORDER_EXPIRED},
    /* Unknown takes any evidence; "nothing to cancel" says the order never arrived. */
    {ORDER_UNKNOWN, OE_ACCEPTED, ORDER_NEW},
    {ORDER_UNKNOWN, OE_REJECTED, ORDER_REJECTED},
    {ORDER_UNKNOWN, OE_TIMEOUT, ORDER_UNKNOWN},
    {ORDER_UNKNOWN, OE_FILL_PARTIAL, ORDER_PARTIALLY_FILLED},
    {ORDER_UNKNOWN, OE_FILL_LAST, ORDER_FILLED},
    {ORDER_UNKNOWN, OE_CANCEL_REQUEST, ORDER_PENDING_CANCEL},
    {ORDER_UNKNOWN, OE_CANCEL_REJECTED, ORDER_REJECTED},
    {ORDER_UNKNOWN, OE_CANCELED, ORDER_CANCELED},
    {ORDER_UNKNOWN, OE_EXPIRED, ORDER_EXPIRED},
    /* Working. A second acknowledgement is the same news again. */
    {ORDER_NEW, OE_ACCEPTED, ORDER_NEW},
    {ORDER_NEW, OE_FILL_PARTIAL, ORDER_PARTIALLY_FILLED},
    {ORDER_NEW, OE_FILL_LAST, ORDER_FILLED},
    {ORDER_NEW, OE_CANCEL_REQUEST, ORDER_PENDING_CANCEL},
    {ORDER_NEW, OE_CANCELED, ORDER_CANCELED},
    {ORDER_NEW, OE_EXPIRED, ORDER_EXPIRED},
    {ORDER_PARTIALLY_FILLED, OE_FILL_PARTIAL, ORDER_PARTIALLY_FILLED},
    {ORDER_PARTIALLY_FILLED, OE_FILL_LAST, ORDER_FILLED},
    {ORDER_PARTIALLY_FILLED, OE_CANCEL_REQUEST, ORDER_PENDING_CANCEL},
    {ORDER_PARTIALLY_FILLED, OE_CANCELED, ORDER_CANCELED},
    {ORDER_PARTIALLY_FILLED, OE_EXPIRED, ORDER_EXPIRED},
    /* The cancel may lose the race against anything, and its refusal leaves us without knowledge. */
    {ORDER_PENDING_CANCEL, OE_ACCEPTED, ORDER_PENDING_CANCEL},
    {ORDER_PENDING_CANCEL, OE_REJECTED, ORDER_REJECTED},
    {ORDER_PENDING_CANCEL, OE_TIMEOUT, ORDER_PENDING_CANCEL},
    {ORDER_PENDING_CANCEL, OE_FILL_PARTIAL, ORDER_PENDING_CANCEL},
    {ORDER_PENDING_CANCEL, OE_FILL_LAST, ORDER_FILLED},
    {ORDER_PENDING_CANCEL, OE_CANCEL_REJECTED, ORDER_UNKNOWN},
    {ORDER_PENDING_CANCEL, OE_CANCELED, ORDER_CANCELED},
    {ORDER_PENDING_CANCEL, OE_EXPIRED, ORDER_EXPIRED},
    /* Ended. The late refusal of a cancel confirms it; a fill told late is booked and changes no end. */
    {ORDER_FILLED, OE_FILL_PARTIAL, ORDER_FILLED},
    {ORDER_FILLED, OE_FILL_LAST, ORDER_FILLED},
    {ORDER_CANCELED, OE_FILL_PARTIAL, ORDER_CANCELED},
    {ORDER_CANCELED, OE_FILL_LAST, ORDER_CANCELED},
    {ORDER_REJECTED, OE_FILL_PARTIAL, ORDER_REJECTED},
    {ORDER_REJECTED, OE_FILL_LAST, ORDER_REJECTED},
    {ORDER_EXPIRED, OE_FILL_PARTIAL, ORDER_EXPIRED},
    {ORDER_EXPIRED, OE_FILL_LAST, ORDER_EXPIRED},
    {ORDER_FILLED, OE_CANCEL_REJECTED, ORDER_FILLED},
    {ORDER_CANCELED, OE_CANCEL_REJECTED, ORDER_CANCELED},
    {ORDER_REJECTED, OE_CANCEL_REJECTED, ORDER_REJECTED},
    {ORDER_EXPIRED, OE_CANCEL_REJECTED, ORDER_EXPIRED},
};

static void test_every_pair(void **state) {
    (void)state;
    size_t legal_count = 0;
    for (int s = 0; s < ORDER_STATE_COUNT; s++)
        for (int e = 0; e < ORDER_EVENT_COUNT; e++) {
            int want = -1;
            for (size_t i = 0; i < sizeof legal_pairs / sizeof *legal_pairs; i++)
                if ((int)legal_pairs[i].from == s && (int)legal_pairs[i].event == e)
                    want = (int)legal_pairs[i].to;
            int got = order_state_next((enum order_state)s, (enum order_event)e);
            if (got != want)
                fail_msg("%s + %s is %d, expected %d", order_state_text((enum order_state)s),
                         order_event_text((enum order_event)e), got, want);
            legal_count += want >= 0;
        }
    assert_int_equal(legal_count, sizeof legal_pairs / sizeof *legal_pairs); /* none listed twice */
    assert_int_equal(ORDER_STATE_COUNT * ORDER_EVENT_COUNT, 100);
}

/* Each of the illegal pairs once, under its reason. */
struct illegal {
    const char *reason;
    uint32_t count;
    struct {
        enum order_state state;
        enum order_event event;
    } pairs[32];
};

static const struct illegal illegal_pairs[] = {
    {"nothing was asked for",
     9,
     {{ORDER_NONE, OE_ACCEPTED},
      {ORDER_NONE, OE_REJECTED},
      {ORDER_NONE, OE_TIMEOUT},
      {ORDER_NONE, OE_FILL_PARTIAL},
      {ORDER_NONE, OE_FILL_LAST},
      {ORDER_NONE, OE_CANCEL_REQUEST},
      {ORDER_NONE, OE_CANCEL_REJECTED},
      {ORDER_NONE, OE_CANCELED},
      {ORDER_NONE, OE_EXPIRED}}},
    {"asked for already: a retry is another order",
     9,
     {{ORDER_PENDING_NEW, OE_SUBMIT},
      {ORDER_UNKNOWN, OE_SUBMIT},
      {ORDER_NEW, OE_SUBMIT},
      {ORDER_PARTIALLY_FILLED, OE_SUBMIT},
      {ORDER_PENDING_CANCEL, OE_SUBMIT},
      {ORDER_FILLED, OE_SUBMIT},
      {ORDER_CANCELED, OE_SUBMIT},
      {ORDER_REJECTED, OE_SUBMIT},
      {ORDER_EXPIRED, OE_SUBMIT}}},
    {"it has ended, and only fills come after that",
     24,
     {{ORDER_FILLED, OE_ACCEPTED},   {ORDER_FILLED, OE_REJECTED},
      {ORDER_FILLED, OE_TIMEOUT},    {ORDER_FILLED, OE_CANCEL_REQUEST},
      {ORDER_FILLED, OE_CANCELED},   {ORDER_FILLED, OE_EXPIRED},
      {ORDER_CANCELED, OE_ACCEPTED}, {ORDER_CANCELED, OE_REJECTED},
      {ORDER_CANCELED, OE_TIMEOUT},  {ORDER_CANCELED, OE_CANCEL_REQUEST},
      {ORDER_CANCELED, OE_CANCELED}, {ORDER_CANCELED, OE_EXPIRED},
      {ORDER_REJECTED, OE_ACCEPTED}, {ORDER_REJECTED, OE_REJECTED},
      {ORDER_REJECTED, OE_TIMEOUT},  {ORDER_REJECTED, OE_CANCEL_REQUEST},
      {ORDER_REJECTED, OE_CANCELED}, {ORDER_REJECTED, OE_EXPIRED},
      {ORDER_EXPIRED, OE_ACCEPTED},  {ORDER_EXPIRED, OE_REJECTED},
      {ORDER_EXPIRED, OE_TIMEOUT},   {ORDER_EXPIRED, OE_CANCEL_REQUEST},
      {ORDER_EXPIRED, OE_CANCELED},  {ORDER_EXPIRED, OE_EXPIRED}}},
    {"its fills have said so already", 1, {{ORDER_PARTIALLY_FILLED, OE_ACCEPTED}}},
    {"the venue has accepted it",
     2,
     {{ORDER_NEW, OE_REJECTED}, {ORDER_PARTIALLY_FILLED, OE_REJECTED}}},
    {"it was answered", 2, {{ORDER_NEW, OE_TIMEOUT}, {ORDER_PARTIALLY_FILLED, OE_TIMEOUT}}},
    {"a cancel is on its way", 1, {{ORDER_PENDING_CANCEL, OE_CANCEL_REQUEST}}},
    {"no cancel was asked for",
     3,
     {{ORDER_PENDING_NEW, OE_CANCEL_REJECTED},
      {ORDER_NEW, OE_CANCEL_REJECTED},
      {ORDER_PARTIALLY_FILLED, OE_CANCEL_REJECTED}}},
};

static void test_every_illegal_pair_has_its_reason(void **state) {
    (void)state;
    size_t named = 0;
    for (size_t i = 0; i < sizeof illegal_pairs / sizeof *illegal_pairs; i++)
        for (uint32_t j = 0; j < illegal_pairs[i].count; j++, named++) {
            const char *text = order_refusal_text(illegal_pairs[i].pairs[j].state,
                                                  illegal_pairs[i].pairs[j].event);
            assert_non_null(text);
            assert_string_equal(text, illegal_pairs[i].reason);
        }
    assert_int_equal(named + sizeof legal_pairs / sizeof *legal_pairs,
                     ORDER_STATE_COUNT * ORDER_EVENT_COUNT); /* so every pair is named here */
    for (size_t i = 0; i < sizeof legal_pairs / sizeof *legal_pairs; i++)
        assert_null(order_refusal_text(legal_pairs[i].from, legal_pairs[i].event));
}

static void test_ended_stays_ended(void **state) {
    (void)state;
    for (int s = 0; s < ORDER_STATE_COUNT; s++) {
        bool terminal =
            s == ORDER_FILLED || s == ORDER_CANCELED || s == ORDER_REJECTED || s == ORDER_EXPIRED;
        assert_int_equal(order_state_is_terminal((enum order_state)s), terminal);
        for (int e = 0; terminal && e < ORDER_EVENT_COUNT; e++) {
            int next = order_state_next((enum order_state)s, (enum order_event)e);
            assert_true(next == -1 || next == s);
        }
    }
    assert_false(order_state_is_terminal(ORDER_STATE_COUNT));
}

/* Every state can be reached from NONE, and every open state can still end. */
static void test_table_is_connected(void **state) {
    (void)state;
    bool reached[ORDER_STATE_COUNT] = {[ORDER_NONE] = true}, ends[ORDER_STATE_COUNT];
    for (int s = 0; s < ORDER_STATE_COUNT; s++)
        ends[s] = order_state_is_terminal((enum order_state)s);
    for (int round = 0; round < ORDER_STATE_COUNT; round++)
        for (int s = 0; s < ORDER_STATE_COUNT; s++)
            for (int e = 0; e < ORDER_EVENT_COUNT; e++) {
                int next = order_state_next((enum order_state)s, (enum order_event)e);
                if (next < 0) continue;
                reached[next] |= reached[s];
                ends[s] |= ends[next];
            }
    for (int s = 0; s < ORDER_STATE_COUNT; s++) assert_true(reached[s] && ends[s]);
}

static void test_texts(void **state) {
    (void)state;
    static const char *const states[] = {
        "NONE",           "PENDING_NEW", "UNKNOWN",  "NEW",      "PARTIALLY_FILLED",
        "PENDING_CANCEL", "FILLED",      "CANCELED", "REJECTED", "EXPIRED"};
    static const char *const types[] = {
        "MARKET", "LIMIT",       "STOP_MARKET",         "TAKE_PROFIT_MARKET",
        "STOP",   "TAKE_PROFIT", "TRAILING_STOP_MARKET"};
    static const char *const tifs[] = {"GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC"};
    static const char *const reasons[] = {
        "none",           "stop_loss",   "take_profit", "time_stop", "unprotected",
        "signal",         "liquidation", "end_of_data", "operator",  "edge_gone",
        "regime_changed", "loss_guard",  "stale",       "rebalance"};
    static const char *const strategies[] = {"ensemble", "momentum", "random", "sma_cross"};
    assert_int_equal(sizeof states / sizeof *states, ORDER_STATE_COUNT);
    assert_int_equal(sizeof reasons / sizeof *reasons, EXIT_REASON_COUNT);
    assert_int_equal(sizeof strategies / sizeof *strategies, STRATEGY_COUNT);
    for (int i = 0; i < ORDER_STATE_COUNT; i++)
        assert_string_equal(order_state_text((enum order_state)i), states[i]);
    for (int i = 0; i < 7; i++) assert_string_equal(order_type_text((enum order_type)i), types[i]);
    for (int i = 0; i < 6; i++)
        assert_string_equal(time_in_force_text((enum time_in_force)i), tifs[i]);
    for (int i = 0; i < EXIT_REASON_COUNT; i++)
        assert_string_equal(exit_reason_text((enum exit_reason)i), reasons[i]);
    for (int i = 0; i < STRATEGY_COUNT; i++)
        assert_string_equal(strategy_text((enum strategy_kind)i), strategies[i]);
    for (int e = 0; e < ORDER_EVENT_COUNT; e++)
        for (int other = 0; other < e; other++)
            assert_string_not_equal(order_event_text((enum order_event)e),
                                    order_event_text((enum order_event)other));
    assert_string_equal(side_text(SIDE_BUY), "BUY");
    assert_string_equal(side_text(SIDE_SELL), "SELL");
    assert_string_equal(side_text(SIDE_NONE), "NONE");
    assert_string_equal(side_text((enum side)9), "?");
    assert_string_equal(order_state_text((enum order_state)99), "?");
    assert_string_equal(order_event_text((enum order_event)99), "?");
    assert_string_equal(order_type_text((enum order_type)99), "?");
    assert_string_equal(time_in_force_text((enum time_in_force)99), "?");
    assert_string_equal(exit_reason_text((enum exit_reason)99), "?");
    assert_string_equal(strategy_text((enum strategy_kind)99), "?");
}

static void test_sides(void **state) {
    (void)state;
    assert_int_equal(side_opposite(SIDE_BUY), SIDE_SELL);
    assert_int_equal(side_opposite(SIDE_SELL), SIDE_BUY);
    assert_int_equal(side_sign(SIDE_BUY), 1);
    assert_int_equal(side_sign(SIDE_SELL), -1);
    assert_int_equal(side_sign(SIDE_NONE), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_every_illegal_pair_has_its_reason),
        cmocka_unit_test(test_ended_stays_ended),
        cmocka_unit_test(test_table_is_connected),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
