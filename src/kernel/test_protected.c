/* From the first fill of a trade to the stop that the venue confirmed: counted once a trade, exactly, and apart where the
 * venue was out of reach in between. */
#include "base/tstamp.h"
#include "kernel/test_word.h"

static void link_is(struct world *w, bool up) {
    kernel_link(w->kernel, &w->out, up, w->now);
    take_out(w);
}

static void bought(struct world *w) {
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    assert_int_equal(newest(w)->order_type, ORDER_STOP_MARKET);
}

static void stop_stands(struct world *w) {
    say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
}

static void ended_by_its_stop(struct world *w) {
    fill(w, asked(w, 's')->client_order_id, SIDE_SELL, 15 * FX_ONE / 10, 0);
    for (uint32_t i = 0; i < w->command_count; i++) /* the target */
        if (w->commands[i].kind == COMMAND_ORDER_CANCEL)
            say(w, VENUE_ORDER_CANCELED, w->commands[i].client_order_id, 0);
    assert_int_equal(kernel_open_count(w->kernel), 0);
}

static uint64_t whole(const struct world *w) {
    uint64_t sum = 0;
    for (int i = 0; i <= VIEW_PROTECTED_EDGES; i++) sum += totals(w)->protected_counts[i];
    assert_int_equal(sum, totals(w)->time_to_protected.count);
    return sum;
}

static void a_span_is_counted_at_its_edge(void **state) {
    (void)state;
    static const struct {
        int64_t span_ns;
        int edge;
    } rows[] = {{0, 0},
                {10 * NS_PER_MS, 0},
                {10 * NS_PER_MS + 1, 1},
                {300 * NS_PER_MS, 5},
                {300 * NS_PER_MS + 1, 6},
                {NS_PER_SECOND - 1, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_entering();
        bought(w);
        w->now += rows[i].span_ns;
        stop_stands(w);
        assert_int_equal(whole(w), 1);
        assert_int_equal(totals(w)->protected_counts[rows[i].edge], 1);
        assert_int_equal(totals(w)->time_to_protected.max, rows[i].span_ns);
        assert_int_equal(totals(w)->protected_interrupted.count, 0);
        world_free(w);
    }
    for (int i = 1; i < VIEW_PROTECTED_EDGES; i++)
        assert_true(view_protected_edges_ns[i] > view_protected_edges_ns[i - 1]);
}

/* It disappears and stands again: the trade was protected once, in the time it was. */
static void a_stop_that_is_lost_and_found_is_counted_once(void **state) {
    (void)state;
    struct world *w = world_entering();
    bought(w);
    w->now += 40 * NS_PER_MS;
    stop_stands(w);
    w->now += MINUTE;
    say(w, VENUE_ORDER_CANCELED, asked(w, 's')->client_order_id, 0);
    assert_int_equal(kernel_unprotected_count(w->kernel), 1);
    w->now += 5 * NS_PER_MS;
    stop_stands(w);
    assert_int_equal(kernel_unprotected_count(w->kernel), 0);
    assert_int_equal(whole(w), 1);
    assert_int_equal(totals(w)->time_to_protected.max, 40 * NS_PER_MS);
    world_free(w);
}

static void an_outage_in_between_is_told_apart(void **state) {
    (void)state;
    struct world *w = world_entering();
    bought(w);
    w->now += 20 * NS_PER_MS;
    link_is(w, false);
    w->now += 800 * NS_PER_MS;
    link_is(w, true);
    stop_stands(w);
    assert_int_equal(whole(w), 0);
    assert_int_equal(totals(w)->protected_interrupted.count, 1);
    assert_int_equal(totals(w)->protected_interrupted.max, 820 * NS_PER_MS);
    /* Behind it nothing is interrupted, and an outage of a trade that is protected interrupts nothing. */
    w->now += MINUTE;
    link_is(w, false);
    link_is(w, true);
    ended_by_its_stop(w);
    wish(w, SIDE_BUY);
    bought(w);
    w->now += 30 * NS_PER_MS;
    stop_stands(w);
    link_is(w, false);
    assert_int_equal(whole(w), 1);
    assert_int_equal(totals(w)->time_to_protected.max, 30 * NS_PER_MS);
    assert_int_equal(totals(w)->protected_interrupted.count, 1);
    world_free(w);
}

/* Told of a fill while the venue cannot be asked: that span begins interrupted. */
static void a_fill_told_during_an_outage_is_interrupted(void **state) {
    (void)state;
    struct world *w = world_entering();
    link_is(w, false);
    bought(w);
    link_is(w, true);
    stop_stands(w);
    assert_int_equal(whole(w), 0);
    assert_int_equal(totals(w)->protected_interrupted.count, 1);
    /* The word that it is down, told twice (a process that begins again says so), marks what is naked. */
    ended_by_its_stop(w);
    link_is(w, false);
    link_is(w, true);
    wish(w, SIDE_BUY);
    bought(w);
    link_is(w, false);
    link_is(w, false);
    stop_stands(w);
    assert_int_equal(totals(w)->protected_interrupted.count, 2);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_counted_at_its_edge),
        cmocka_unit_test(a_stop_that_is_lost_and_found_is_counted_once),
        cmocka_unit_test(an_outage_in_between_is_told_apart),
        cmocka_unit_test(a_fill_told_during_an_outage_is_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
