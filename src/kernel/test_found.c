/* Orders of our form that the kernel never asked for: forgotten by a damaged journal, or another run's. */
#include "kernel/test_word.h"

/* A second kernel of the same configuration, later: its orders are those of a life that the first one forgot. */
static struct world *world_started(uint64_t seed) {
    struct world *w = world_new();
    w->config.seed = seed;
    begin(w);
    kernel_executor_started(w->kernel, w->now);
    return w;
}

/* The name an order of that leg gets in the world's present life. */
static void name_of(char out[CLIENT_ORDER_ID_SIZE], struct world *of, enum oms_leg leg,
                    uint64_t intent, uint32_t attempt) {
    struct world *w = world_started(of->config.seed);
    struct oms_request r = {.leg = leg, .intent_id = intent, .attempt = attempt};
    wish(w, SIDE_BUY);
    leverage(w);
    r.run = oms_run_of(asked(w, 'e')->client_order_id);
    r.life = 77;
    oms_order_name(out, &r);
    world_free(w);
}

static void find(struct world *w, const char *id, enum side side, enum order_type type,
                 int64_t stop_px) {
    struct venue_event e = word(w, VENUE_ORDER_FOUND, id);
    e.side = (uint8_t)side;
    e.order_type = (uint8_t)type;
    e.stop_px.e8 = stop_px;
    tell(w, &e);
}

/* What the account holds, as a whole. */
static void holds(struct world *w, int64_t qty) {
    struct venue_event e = word(w, VENUE_POSITION, NULL);
    e.side = SIDE_BUY;
    e.last_qty.e8 = qty;
    e.last_px.e8 = PX;
    w->position = qty;
    tell(w, &e);
}

static uint32_t cancels_of(const struct world *w, const char *id) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->command_count; i++)
        n += w->commands[i].kind == COMMAND_ORDER_CANCEL &&
             strcmp(w->commands[i].client_order_id, id) == 0;
    return n;
}

static struct kernel_live_order live_of(const struct world *w, const char *id) {
    struct kernel_live_order live[16];
    uint32_t n = kernel_live_orders(w->kernel, live, 16);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(live[i].client_order_id, id) == 0) return live[i];
    return (struct kernel_live_order){0};
}

static void names_say_which_run_and_life(void **state) {
    (void)state;
    struct world *w = world_begun();
    wish(w, SIDE_BUY);
    leverage(w);
    assert_int_equal(strlen(asked(w, 'e')->client_order_id), 17); /* nobody took the run up */
    world_free(w);
    char first[CLIENT_ORDER_ID_SIZE] = "";
    for (int life = 0; life < 3; life++) {
        w = world_new();
        begin(w);
        if (life == 2) w->now += 3 * S;
        kernel_executor_started(w->kernel, w->now);
        /* Taken up twice within a second it is another life all the same. */
        if (life == 1) kernel_executor_started(w->kernel, w->now);
        wish(w, SIDE_BUY);
        leverage(w);
        const char *id = asked(w, 'e')->client_order_id;
        assert_int_equal(strlen(id), 17 + 8);
        assert_true(oms_is_ours(id));
        assert_string_not_equal(id, first);
        if (life > 0) assert_memory_equal(id, first, 17 + 4); /* intent, leg, attempt, run */
        memcpy(first, id, sizeof first);
        assert_int_equal(kernel_order_owner(w->kernel, id), KERNEL_OWNER_RUN);
        world_free(w);
    }
    w = world_started(2);
    assert_int_equal(kernel_order_owner(w->kernel, first), KERNEL_OWNER_OTHER_RUN);
    assert_int_equal(kernel_order_owner(w->kernel, "q00000000000001-s0"), KERNEL_OWNER_NOBODY);
    assert_int_equal(kernel_order_owner(w->kernel, "q0000000000001-s0"), KERNEL_OWNER_RUN);
    assert_int_equal(kernel_order_owner(w->kernel, "web_1"), KERNEL_OWNER_NOBODY);
    world_free(w);
}

/* Nothing is held: nothing hangs on it. */
static void a_forgotten_order_of_a_flat_symbol_is_cancelled_at_once(void **state) {
    (void)state;
    static const struct {
        enum oms_leg leg;
        enum order_type type;
    } all[] = {{LEG_ENTRY, ORDER_MARKET},
               {LEG_STOP, ORDER_STOP_MARKET},
               {LEG_TAKE_PROFIT, ORDER_TAKE_PROFIT_MARKET},
               {LEG_CLOSE, ORDER_MARKET}};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        struct world *w = world_started(1);
        char id[CLIENT_ORDER_ID_SIZE];
        name_of(id, w, all[n].leg, 99, 0);
        find(w, id, SIDE_SELL, all[n].type, 98 * FX_ONE);
        assert_int_equal(w->command_count, 1);
        assert_int_equal(newest(w)->kind, COMMAND_ORDER_CANCEL);
        assert_int_equal(cancels_of(w, id), 1);
        assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason,
                            "forgotten order");
        assert_int_equal(totals(w)->orders_found, 1);
        /* Until its end is told nothing is entered beside it. */
        wish(w, SIDE_BUY);
        assert_int_equal(totals(w)->refusals[RISK_ORDERS_WORKING], 1);
        say(w, VENUE_ORDER_CANCELED, id, 0);
        assert_int_equal(kernel_live_orders(w->kernel, NULL, 0), 0);
        wish(w, SIDE_BUY);
        assert_int_equal(w->commands[1].kind, COMMAND_LEVERAGE_SET);
        world_free(w);
    }
}

/* It covers a position that is told before it: ours is confirmed first, then it goes. */
static void a_forgotten_stop_stays_until_ours_stands(void **state) {
    (void)state;
    struct world *w = world_started(1);
    char stop[CLIENT_ORDER_ID_SIZE], target[CLIENT_ORDER_ID_SIZE];
    name_of(stop, w, LEG_STOP, 99, 3);
    name_of(target, w, LEG_TAKE_PROFIT, 99, 0);
    holds(w, 3 * FX_ONE);
    find(w, stop, SIDE_SELL, ORDER_STOP_MARKET, 97 * FX_ONE);
    assert_int_equal(cancels_of(w, stop), 0);
    find(w, target, SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, 110 * FX_ONE);
    assert_int_equal(cancels_of(w, target), 1); /* it covers nothing */
    say(w, VENUE_ORDER_REJECTED, asked(w, 's')->client_order_id, -4130);
    assert_int_equal(cancels_of(w, stop), 0);
    say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
    assert_int_equal(w->count[EVENT_POSITION_PROTECTED], 1);
    assert_int_equal(cancels_of(w, stop), 1);
    say(w, VENUE_ORDER_CANCELED, stop, 0);
    say(w, VENUE_ORDER_CANCELED, target, 0);
    assert_int_equal(kernel_live_orders(w->kernel, NULL, 0), 1);
    world_free(w);
}

/* The ratchet: what protects more than ours stays, and ends with the trade. */
static void a_forgotten_stop_that_is_nearer_stays_with_the_trade(void **state) {
    (void)state;
    struct world *w = world_protected(); /* its stop is at 98 */
    kernel_executor_started(w->kernel, w->now);
    char stop[CLIENT_ORDER_ID_SIZE];
    name_of(stop, w, LEG_STOP, w->intent_id, 1);
    find(w, stop, SIDE_SELL, ORDER_STOP_MARKET, 99 * FX_ONE);
    assert_int_equal(cancels_of(w, stop), 0);
    assert_int_equal(live_of(w, stop).state, ORDER_NEW);
    kernel_flatten(w->kernel, &w->out, EXIT_OPERATOR, w->now);
    take_out(w);
    assert_int_equal(cancels_of(w, stop), 0); /* held until the close is filled */
    uint32_t from = w->command_count;
    fill(w, asked(w, 'c')->client_order_id, SIDE_SELL, w->position, 0);
    assert_int_equal(cancels_of(w, stop), 1);
    answer_until_flat(w, from);
    world_free(w);
}

/* It fires: what it sells is the position's, under whatever trade it is. */
static void a_forgotten_stop_that_fires_ends_the_trade(void **state) {
    (void)state;
    struct world *w = world_protected();
    kernel_executor_started(w->kernel, w->now);
    char stop[CLIENT_ORDER_ID_SIZE];
    name_of(stop, w, LEG_STOP, w->intent_id, 0); /* leg and attempt of the one that stands */
    find(w, stop, SIDE_SELL, ORDER_STOP_MARKET, 99 * FX_ONE);
    uint32_t from = w->command_count;
    say(w, VENUE_ORDER_TRIGGERED, stop, 0);
    fill(w, stop, SIDE_SELL, w->position, 0);
    assert_int_equal(w->count[EVENT_TRADE_CLOSED], 1);
    answer_until_flat(w, from);
    world_free(w);
}

static void a_rule_that_leaves_positions_alone_leaves_their_stop(void **state) {
    (void)state;
    struct world *w = world_new();
    w->config.exits.stray = STRAY_LEAVE;
    begin(w);
    kernel_executor_started(w->kernel, w->now);
    char stop[CLIENT_ORDER_ID_SIZE];
    name_of(stop, w, LEG_STOP, 99, 0);
    holds(w, 3 * FX_ONE);
    find(w, stop, SIDE_SELL, ORDER_STOP_MARKET, 97 * FX_ONE);
    assert_int_equal(w->command_count, 0);
    fill(w, "web_by_hand", SIDE_SELL, 3 * FX_ONE, 0);
    assert_int_equal(cancels_of(w, stop), 1);
    world_free(w);
}

/* Asked for at the damaged journal's end, and known to the venue already: no more than accepted. */
static void an_order_that_is_asked_for_and_found_is_accepted(void **state) {
    (void)state;
    struct world *w = world_entering();
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    find(w, asked(w, 's')->client_order_id, SIDE_SELL, ORDER_STOP_MARKET, 98 * FX_ONE);
    assert_int_equal(w->count[EVENT_POSITION_PROTECTED], 1);
    assert_int_equal(w->count[EVENT_POSITION_ALARM], 0);
    assert_int_equal(totals(w)->orders_found, 0);
    world_free(w);
}

/* ---- another executor ---- */

static bool is_barred(const struct world *w) {
    return breaker_word(kernel_breaker(w->kernel), 0) == RISK_ESS_TRIPPED;
}

static void tick_over(struct world *w, int64_t ns) {
    w->now += ns;
    const struct kernel_close_input in = {.close_ts_ns = w->now};
    kernel_close(w->kernel, &w->out, &in);
    take_out(w);
}

static void another_runs_order_is_left_alone_and_ends_entries(void **state) {
    (void)state;
    for (int by_fill = 0; by_fill < 2; by_fill++) {
        struct world *w = world_started(1);
        struct world other = {.config = w->config};
        other.config.seed = 2;
        char stop[CLIENT_ORDER_ID_SIZE], entry[CLIENT_ORDER_ID_SIZE];
        name_of(stop, &other, LEG_STOP, 99, 0);
        name_of(entry, &other, LEG_ENTRY, 99, 0);
        if (by_fill)
            fill(w, entry, SIDE_BUY, FX_ONE, 0);
        else
            find(w, stop, SIDE_SELL, ORDER_STOP_MARKET, 98 * FX_ONE);
        assert_true(is_barred(w));
        assert_int_equal(cancels_of(w, stop), 0);
        assert_int_equal(live_of(w, stop).state, ORDER_NONE);
        assert_int_equal(totals(w)->orders_found, 0);
        const struct risk_changed *c = &w->last[EVENT_RISK_CHANGED].u.risk_changed;
        assert_string_equal(c->part, "ess_trigger");
        assert_string_equal(c->after, "other_executor");
        if (!by_fill) { /* named as its orders are */
            char text[TEXT_FIELD_SIZE];
            snprintf(text, sizeof text, "another executor: %s", stop + 18);
            assert_string_equal(w->last[EVENT_POSITION_ALARM].u.position_alarm.reason, text);
            find(w, stop, SIDE_SELL, ORDER_STOP_MARKET, 98 * FX_ONE); /* of the next look */
            assert_int_equal(w->count[EVENT_POSITION_ALARM], 1);
            assert_int_equal(w->command_count, 0);
        } else { /* its position by the rule: it gets a stop, and is not closed */
            assert_int_equal(w->command_count, 1);
            assert_int_equal(asked(w, 's')->side, SIDE_SELL);
        }
        wish(w, SIDE_BUY);
        assert_int_equal(totals(w)->refusals[RISK_ESS_TRIPPED], 1);
        tick_over(w, 9 * MINUTE);
        assert_true(is_barred(w));
        tick_over(w, 2 * MINUTE);
        assert_false(is_barred(w));
        world_free(w);
    }
}

/* ---- margin ---- */

static void balance(struct world *w, int64_t available) {
    struct venue_event e = word(w, VENUE_BALANCE, NULL);
    e.venue_order_id = 0;
    e.available.e8 = available;
    tell(w, &e);
}

/* 150 at a leverage of 2 takes 75 and fees: what others have bound is not there for it. */
static void an_entry_takes_no_margin_that_others_have_bound(void **state) {
    (void)state;
    struct world *w = world_begun();
    balance(w, 0);
    wish(w, SIDE_BUY);
    assert_int_equal(totals(w)->refusals[RISK_MARGIN], 1);
    assert_int_equal(w->command_count, 0);
    balance(w, 30 * FX_ONE); /* some of the wish */
    wish(w, SIDE_BUY);
    leverage(w);
    int64_t qty = asked(w, 'e')->order_qty.e8;
    assert_true(qty > 0 && qty <= 6 * FX_ONE / 10);
    world_free(w);
    w = world_entering(); /* what our own entry has bound is not taken twice */
    balance(w, w->wallet - 75 * FX_ONE);
    struct risk_limits l = kernel_limits(w->kernel);
    assert_true(l.positions_max > 1);
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    check_books(w);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_which_run_and_life),
        cmocka_unit_test(a_forgotten_order_of_a_flat_symbol_is_cancelled_at_once),
        cmocka_unit_test(a_forgotten_stop_stays_until_ours_stands),
        cmocka_unit_test(a_forgotten_stop_that_is_nearer_stays_with_the_trade),
        cmocka_unit_test(a_forgotten_stop_that_fires_ends_the_trade),
        cmocka_unit_test(a_rule_that_leaves_positions_alone_leaves_their_stop),
        cmocka_unit_test(an_order_that_is_asked_for_and_found_is_accepted),
        cmocka_unit_test(another_runs_order_is_left_alone_and_ends_entries),
        cmocka_unit_test(an_entry_takes_no_margin_that_others_have_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
