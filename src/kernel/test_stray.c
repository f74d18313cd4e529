/* Positions that nobody here wished for: told fill by fill or as a whole, taken in, closed, left alone, or too many. */
#include "kernel/test_word.h"

enum { OPEN_ROOM = 64 }; /* OPEN_MAX of kernel_internal.h */

static struct world *world_with(enum exits_stray rule) {
    struct world *w = world_new();
    w->config.exits.stray = (uint32_t)rule;
    begin(w);
    return w;
}

/* What the account holds, as a whole; books of the test follow. */
static void holds(struct world *w, uint32_t i, int64_t qty, int64_t entry_px) {
    struct venue_event e = word(w, VENUE_POSITION, NULL);
    e.instrument_index = i;
    e.venue_order_id = 0;
    e.side = (uint8_t)(qty > 0 ? SIDE_BUY : qty < 0 ? SIDE_SELL : SIDE_NONE);
    e.last_qty.e8 = qty < 0 ? -qty : qty;
    e.last_px.e8 = entry_px;
    if (i == 0) w->position = qty;
    tell(w, &e);
}

/* Row 42: naked when we come. The stop counts from the market, not from an entry of long ago. */
static void a_naked_position_that_was_there_before_gets_its_stop(void **state) {
    (void)state;
    for (int sell = 0; sell < 2; sell++) {
        struct world *w = world_with(STRAY_PROTECT);
        for (int n = 0; n < 2; n++) { /* said twice it says nothing new */
            holds(w, 0, sell ? -3 * FX_ONE : 3 * FX_ONE, (sell ? 90 : 40) * FX_ONE);
            assert_int_equal(w->command_count, 1);
        }
        assert_int_equal(newest(w)->order_type, ORDER_STOP_MARKET);
        assert_int_equal(newest(w)->side, sell ? SIDE_BUY : SIDE_SELL);
        assert_true(newest(w)->close_position);
        assert_int_equal(newest(w)->stop_px.e8, (sell ? 102 : 98) * FX_ONE);
        say(w, VENUE_ORDER_ACCEPTED, newest(w)->client_order_id, 0);
        assert_int_equal(w->count[EVENT_POSITION_PROTECTED], 1);
        assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason,
                            "foreign position");
        assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.symbol, "C00USDT");
        assert_int_equal(totals(w)->strays, 1);
        assert_int_equal(totals(w)->fills, 0); /* no fill was told, and no money moved */
        check_books(w);
        holds(w, 0, 0, 0); /* and it is gone */
        assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
        answer_until_flat(w, 1);
        world_free(w);
    }
}

static void a_naked_position_is_closed_where_the_rule_says_so(void **state) {
    (void)state;
    struct world *w = world_with(STRAY_FLATTEN);
    holds(w, 0, 3 * FX_ONE, PX);
    assert_int_equal(w->command_count, 2);
    assert_int_equal(w->commands[0].order_type, ORDER_STOP_MARKET);
    assert_int_equal(w->commands[1].order_qty.e8, 3 * FX_ONE);
    assert_true(w->commands[1].reduce_only);
    answer_until_flat(w, 0);
    world_free(w);
}

/* Booked, told, and not touched; and nothing is entered beside it. */
static void a_position_is_left_alone_where_the_rule_says_so(void **state) {
    (void)state;
    struct world *w = world_with(STRAY_LEAVE);
    int64_t opened = w->now;
    fill(w, "web_by_hand", SIDE_BUY, 3 * FX_ONE, 0);
    w->now += S;
    fill(w, "web_by_hand", SIDE_BUY, FX_ONE, 0);
    holds(w, 0, 4 * FX_ONE, PX);
    assert_int_equal(w->command_count, 0);
    assert_int_equal(w->count[EVENT_POSITION_ALARM], 1);
    assert_int_equal(totals(w)->strays_left, 1);
    check_books(w);
    wish(w, SIDE_BUY);
    wish(w, SIDE_SELL);
    assert_int_equal(totals(w)->refusals[RISK_POSITION_OPEN], 1);
    assert_int_equal(totals(w)->refusals[RISK_POSITION_OPPOSITE], 1);
    kernel_flatten(w->kernel, &w->out, EXIT_OPERATOR, w->now);
    take_out(w);
    assert_int_equal(w->command_count, 0);
    struct kernel_held held[2];
    assert_int_equal(kernel_held(w->kernel, held, 2), 1);
    assert_int_equal(held[0].qty.e8, 4 * FX_ONE);
    assert_int_equal(held[0].opened_ns, opened);
    fill(w, "web_by_hand", SIDE_SELL, 4 * FX_ONE, 0);
    check_books(w);
    assert_int_equal(kernel_held(w->kernel, held, 2), 0);
    assert_int_equal(w->count[EVENT_TRADE_CLOSED], 0);
    world_free(w);
}

/* Everything was to be closed: what a hand held by then and is told only now is closed, too; what is told long after it,
 * or once entries are allowed again, is somebody else's as ever. */
static void what_is_told_behind_a_panic_is_closed(void **state) {
    (void)state;
    static const int64_t later_s[] = {1, 39, 41, 1};
    for (int n = 0; n < 4; n++) {
        struct world *w = world_with(STRAY_PROTECT);
        struct operator_command panic = {.key = KERNEL_CLOSE_ALL, .value = 1, .given_by = "test"};
        struct operator_command resume = {
            .key = KERNEL_EMERGENCY_STOP, .value = 0, .given_by = "test"};
        assert_int_equal(kernel_command(w->kernel, &w->out, &panic, w->now), ST_OK);
        if (n == 3) assert_int_equal(kernel_command(w->kernel, &w->out, &resume, w->now), ST_OK);
        take_out(w);
        w->now += later_s[n] * INT64_C(1000000000);
        fill(w, "web_by_hand", SIDE_BUY, 3 * FX_ONE, 0);
        bool closes = n < 2;
        assert_int_equal(w->command_count, closes ? 2 : 1);
        assert_int_equal(w->commands[0].order_type, ORDER_STOP_MARKET);
        if (closes) assert_int_equal(newest(w)->order_type, ORDER_MARKET);
        world_free(w);
    }
}

/* Ours all the same: a fill of a wish that has lapsed is closed whatever the rule says of others. */
static void a_late_fill_of_ours_is_closed_under_every_rule(void **state) {
    (void)state;
    for (uint32_t rule = 0; rule < STRAY_COUNT; rule++) {
        struct world *w = world_with((enum exits_stray)rule);
        wish(w, SIDE_BUY);
        leverage(w);
        char entry[CLIENT_ORDER_ID_SIZE];
        memcpy(entry, asked(w, 'e')->client_order_id, sizeof entry);
        say(w, VENUE_ORDER_REJECTED, entry, -1007);
        uint32_t from = w->command_count;
        fill(w, entry, SIDE_BUY, 15 * FX_ONE / 10, 0);
        answer_until_flat(w, from);
        world_free(w);
    }
}

/* A hand on a symbol where we hold something: one net position, one stop. */
static void what_joins_a_trade_of_ours_is_that_trades_under_every_rule(void **state) {
    (void)state;
    for (uint32_t rule = 0; rule < STRAY_COUNT; rule++) {
        struct world *w = world_with((enum exits_stray)rule);
        wish(w, SIDE_BUY);
        leverage(w);
        fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
        say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
        fill(w, "web_by_hand", SIDE_BUY, FX_ONE, 0);
        check_books(w);
        fill(w, asked(w, 's')->client_order_id, SIDE_SELL, 25 * FX_ONE / 10, 0);
        assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
        assert_int_equal(w->last[EVENT_TRADE_CLOSED].u.trade_closed.qty.e8, 25 * FX_ONE / 10);
        check_books(w);
        world_free(w);
    }
}

/* The venue's own doing ends what is held and opens nothing. */
static void a_settlement_of_what_is_not_held_is_no_position(void **state) {
    (void)state;
    static const enum venue_event_kind kinds[] = {VENUE_ORDER_TRADE, VENUE_LIQUIDATION};
    for (int n = 0; n < 2; n++) {
        struct world *w = world_with(STRAY_PROTECT);
        struct venue_event e = fill_of(w, "", SIDE_SELL, 3 * FX_ONE, 0);
        e.kind = (uint8_t)kinds[n];
        w->position = 0;
        tell(w, &e);
        tell(w, &e);
        assert_int_equal(w->command_count, 0);
        assert_int_equal(totals(w)->strays, 0);
        assert_int_equal(totals(w)->forced_beyond, 1);
        assert_int_equal(totals(w)->duplicate_fills, 1);
        check_books(w); /* its money is booked */
        /* More than is held: as much as is held. */
        fill(w, "web_by_hand", SIDE_BUY, 2 * FX_ONE, 0);
        e = fill_of(w, "", SIDE_SELL, 3 * FX_ONE, 0);
        e.kind = (uint8_t)kinds[n];
        w->position = 0;
        tell(w, &e);
        assert_int_equal(totals(w)->forced_beyond, 2);
        assert_int_equal(kernel_position_qty(w->kernel, 0).e8, 0);
        assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
        check_books(w);
        world_free(w);
    }
}

/* A trade of ours is not what the venue has: brought to it, in either direction. */
static void a_position_of_ours_is_corrected(void **state) {
    (void)state;
    static const int64_t told[] = {5 * FX_ONE / 10, 3 * FX_ONE, -FX_ONE, 0};
    for (int n = 0; n < 4; n++) {
        struct world *w = world_new();
        begin(w);
        wish(w, SIDE_BUY);
        leverage(w);
        fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
        say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
        holds(w, 0, told[n], PX);
        assert_int_equal(kernel_position_qty(w->kernel, 0).e8, told[n]);
        assert_int_equal(totals(w)->positions_corrected, 1);
        assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason,
                            "position corrected");
        assert_int_equal(w->count[EVENT_TRADE_CLOSED], told[n] <= 0);
        assert_int_equal(kernel_open_count(w->kernel), 1); /* even flat: its orders are ending */
        if (told[n] < 0) assert_int_equal(asked(w, 's')->side, SIDE_BUY);
        check_books(w);
        world_free(w);
    }
}

/* More of them than are ever managed at once: none is lost, each is asked to be closed, and one that stays is taken in
 * as soon as there is room. */
static void more_positions_than_there_is_room_for(void **state) {
    (void)state;
    enum { ALL = OPEN_ROOM + 6 };
    struct world *w = world_of(ALL);
    begin(w);
    for (uint32_t i = 0; i < ALL; i++) holds(w, i, FX_ONE, PX);
    assert_int_equal(kernel_open_count(w->kernel), OPEN_ROOM);
    assert_int_equal(totals(w)->strays, OPEN_ROOM);
    assert_int_equal(totals(w)->strays_refused, ALL - OPEN_ROOM);
    assert_int_equal(w->count[EVENT_POSITION_ALARM], ALL);
    assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason,
                        "no room for a position");
    assert_int_equal(asked_count(w, 's'), OPEN_ROOM);
    assert_int_equal(asked_count(w, 'c'), ALL - OPEN_ROOM);
    struct kernel_held held[ALL];
    assert_int_equal(kernel_held(w->kernel, held, ALL), ALL);
    holds(w, ALL - 1, FX_ONE, PX); /* told again: nothing new */
    assert_int_equal(asked_count(w, 'c'), ALL - OPEN_ROOM);
    /* The first of those asked to be closed is; the next is refused, and waits. */
    const struct venue_command *closes[ALL];
    uint32_t count = 0;
    for (uint32_t n = 0; n < w->command_count; n++)
        if (w->commands[n].client_order_id[15] == 'c') closes[count++] = &w->commands[n];
    struct venue_event e = fill_of(w, closes[0]->client_order_id, SIDE_SELL, FX_ONE, 0);
    e.instrument_index = closes[0]->instrument_index;
    tell(w, &e);
    e = word(w, VENUE_ORDER_REJECTED, closes[1]->client_order_id);
    e.instrument_index = closes[1]->instrument_index;
    e.code = -2022;
    tell(w, &e);
    assert_int_equal(kernel_position_qty(w->kernel, closes[0]->instrument_index).e8, 0);
    assert_int_equal(kernel_held(w->kernel, held, ALL), ALL - 1);
    assert_int_equal(kernel_open_count(w->kernel), OPEN_ROOM);
    /* One of those under a stop goes: its place is the next one's. */
    uint32_t from = w->command_count;
    holds(w, 0, 0, 0);
    for (uint32_t n = 0; n < w->command_count; n++) {
        const struct venue_command *c = &w->commands[n];
        if (c->instrument_index != 0 || c->kind != COMMAND_ORDER_SUBMIT) continue;
        say(w, VENUE_ORDER_CANCELED, c->client_order_id, 0);
    }
    assert_int_equal(totals(w)->strays, OPEN_ROOM + 1);
    assert_int_equal(kernel_open_count(w->kernel), OPEN_ROOM);
    bool stopped = false;
    for (uint32_t n = from; n < w->command_count; n++)
        stopped |= w->commands[n].order_type == ORDER_STOP_MARKET &&
                   w->commands[n].kind == COMMAND_ORDER_SUBMIT &&
                   w->commands[n].instrument_index == closes[1]->instrument_index;
    assert_true(stopped);
    world_free(w);
}

static void leverage_is(struct world *w, uint32_t value) {
    struct venue_event e = word(w, VENUE_LEVERAGE_SET, NULL);
    e.leverage = value;
    tell(w, &e);
}

/* One minute, all of it at one price. */
static void minute_at(struct world *w, int64_t px) {
    const struct bar b = {
        .open_ts_ns = w->now, .open = {px}, .high = {px}, .low = {px}, .close = {px}, .volume = 1};
    (void)kernel_bar(w->kernel, 0, &b, NULL);
    w->now += MINUTE;
    const struct kernel_close_input in = {.close_ts_ns = w->now};
    kernel_close(w->kernel, &w->out, &in);
    take_out(w);
}

/* At 25x and 2.5 % maintenance a long of 100 ends at 98.46: a stop at 98 would never be reached. */
static void the_stop_of_a_stray_lies_before_its_liquidation(void **state) {
    (void)state;
    for (int sell = 0; sell < 2; sell++) {
        struct world *w = world_with(STRAY_PROTECT);
        leverage_is(w, 25);
        fill(w, "web_by_hand", sell ? SIDE_SELL : SIDE_BUY, FX_ONE, 0);
        int64_t stop = asked(w, 's')->stop_px.e8, way = sell ? stop - PX : PX - stop;
        assert_true(way > FX_ONE && way < 15 * FX_ONE / 10);
        world_free(w);
    }
    /* Made at 104 and the market at 100, five times over: 85.33 is far, and the stop where it always is. */
    struct world *w = world_with(STRAY_PROTECT);
    leverage_is(w, 5);
    holds(w, 0, FX_ONE, 104 * FX_ONE);
    assert_int_equal(asked(w, 's')->stop_px.e8, 98 * FX_ONE);
    world_free(w);
    /* Twenty times over it ends at 101.33, so they say, and yet it is there: out, as soon as may be. */
    w = world_with(STRAY_PROTECT);
    leverage_is(w, 20);
    holds(w, 0, FX_ONE, 104 * FX_ONE);
    assert_true(asked(w, 's')->stop_px.e8 >= PX - FX_ONE / 100);
    world_free(w);
}

static struct world *world_held(void) {
    struct world *w = world_new();
    begin(w);
    wish(w, SIDE_BUY);
    leverage(w);
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
    return w;
}

static void what_comes_near_its_liquidation_is_told_once(void **state) {
    (void)state;
    struct world *w = world_held(); /* twice over: ends at 51.28 */
    minute_at(w, 64 * FX_ONE);
    assert_int_equal(totals(w)->near_liquidation, 0);
    minute_at(w, 63 * FX_ONE); /* a quarter of the way is left at 63.46 */
    minute_at(w, 62 * FX_ONE);
    assert_int_equal(totals(w)->near_liquidation, 1);
    assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason, "near liquidation");
    assert_int_equal(totals(w)->stops_behind, 0);
    world_free(w);
}

/* Funding eats the margin of a position. */
static void funding_brings_the_liquidation_nearer(void **state) {
    (void)state;
    struct world *w = world_held();
    struct venue_event e = word(w, VENUE_FUNDING, NULL);
    e.funding.e8 = -30 * FX_ONE; /* 20 a contract: ends at 71.79 */
    w->wallet -= 30 * FX_ONE;
    e.wallet.e8 = w->wallet;
    tell(w, &e);
    minute_at(w, 78 * FX_ONE);
    assert_int_equal(totals(w)->near_liquidation, 1);
    world_free(w);
}

/* Somebody raises the leverage of what we hold. */
static void a_stop_behind_the_liquidation_is_told(void **state) {
    (void)state;
    struct world *w = world_held();
    minute_at(w, PX);
    assert_int_equal(totals(w)->stops_behind, 0);
    leverage_is(w, 30);
    minute_at(w, PX);
    minute_at(w, PX);
    assert_int_equal(totals(w)->stops_behind, 1);
    assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason,
                        "stop behind liquidation");
    world_free(w);
}

/* A venue takes so many conditional orders of an account and no more: stops have theirs, whatever targets are wished. */
static void targets_leave_room_for_stops(void **state) {
    (void)state;
    enum { ALL = 30, TARGETS = 72 };
    struct world *w = world_of(ALL);
    w->config.limits.positions_max = ALL;
    begin(w);
    for (uint32_t i = 0; i < ALL; i++) {
        struct trade_intent t = {.intent_id = ++w->intent_id,
                                 .instrument_index = i,
                                 .side = SIDE_BUY,
                                 .position_size_usd = {150 * FX_ONE},
                                 .leverage = 1,
                                 .strategy = STRATEGY_RANDOM,
                                 .entry_price = {PX},
                                 .stop_loss = {PX / 2},
                                 .stop_distance = 0.02,
                                 .take_distance = 0.04,
                                 .take_part_1 = 0.4,
                                 .take_distance_2 = 0.05,
                                 .take_part_2 = 0.3,
                                 .take_distance_3 = 0.06,
                                 .confidence = 0.9,
                                 .created = w->now,
                                 .expires = w->now + MINUTE};
        memcpy(t.symbol, w->in[i].symbol, SYMBOL_SIZE);
        kernel_intent(w->kernel, &w->out, &t, w->now);
        take_out(w);
        struct venue_event e = word(w, VENUE_LEVERAGE_SET, NULL);
        e.instrument_index = i;
        e.leverage = 1;
        tell(w, &e);
        e = fill_of(w, asked(w, 'e')->client_order_id, SIDE_BUY, asked(w, 'e')->order_qty.e8, 0);
        e.instrument_index = i;
        tell(w, &e);
        e = word(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id);
        e.instrument_index = i;
        tell(w, &e);
    }
    uint32_t targets = 0;
    for (uint32_t n = 0; n < w->command_count; n++)
        targets += w->commands[n].kind == COMMAND_ORDER_SUBMIT &&
                   w->commands[n].order_type == ORDER_TAKE_PROFIT_MARKET;
    assert_int_equal(asked_count(w, 's'), ALL);
    assert_int_equal(targets, TARGETS);
    assert_int_equal(totals(w)->targets_not_sent, 3 * ALL - TARGETS);
    assert_int_equal(kernel_unprotected_count(w->kernel), 0);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_naked_position_that_was_there_before_gets_its_stop),
        cmocka_unit_test(a_naked_position_is_closed_where_the_rule_says_so),
        cmocka_unit_test(a_position_is_left_alone_where_the_rule_says_so),
        cmocka_unit_test(what_is_told_behind_a_panic_is_closed),
        cmocka_unit_test(a_late_fill_of_ours_is_closed_under_every_rule),
        cmocka_unit_test(what_joins_a_trade_of_ours_is_that_trades_under_every_rule),
        cmocka_unit_test(a_settlement_of_what_is_not_held_is_no_position),
        cmocka_unit_test(a_position_of_ours_is_corrected),
        cmocka_unit_test(more_positions_than_there_is_room_for),
        cmocka_unit_test(targets_leave_room_for_stops),
        cmocka_unit_test(the_stop_of_a_stray_lies_before_its_liquidation),
        cmocka_unit_test(what_comes_near_its_liquidation_is_told_once),
        cmocka_unit_test(funding_brings_the_liquidation_nearer),
        cmocka_unit_test(a_stop_behind_the_liquidation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
