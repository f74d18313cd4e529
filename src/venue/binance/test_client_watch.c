/* What the account holds, and which stops rest, is known within seconds although the user stream says nothing and single
 * requests and answers are lost or late. */
#include "venue/binance/test_venue.h"

#define QTY(x) ((int64_t)((x)*1e8 + 0.5))

static px_t mark_of(const struct test_venue *v) {
    struct exchange_prices p;
    exchange_prices_get(v->world->exchange, 0, &p);
    return p.mark;
}

static int64_t px_off(const struct test_venue *v, int per_mille) {
    int64_t mark = mark_of(v).e8;
    return fx_snap_nearest(mark + mark / 1000 * per_mille, v->contracts[0].tick_size.e8);
}

static void do_it(struct test_venue *v, const struct exchange_input *in) {
    struct exchange_reply reply;
    world_do(v->world, in, tv_venue_ns(v), &reply);
    assert_int_equal(reply.code, 0);
}

/* The house quotes 0.1 % around mark; qty 0: nobody does. */
static void quote(struct test_venue *v, double qty) {
    for (int k = 0; k < 2; k++) {
        const struct exchange_input in = {.kind = EXI_QUOTE,
                                          .account = EXCHANGE_HOUSE,
                                          .side = k ? SIDE_SELL : SIDE_BUY,
                                          .price = {px_off(v, k ? 1 : -1)},
                                          .qty = {QTY(qty)}};
        do_it(v, &in);
    }
}

static void print(struct test_venue *v, int64_t px) {
    const struct exchange_input in = {
        .kind = EXI_PRINT, .side = SIDE_SELL, .price = {px}, .qty = {QTY(0.01)}};
    do_it(v, &in);
}

/* Held under a stop 2 % away, everything told; *stop_px: its trigger. */
static struct test_venue *held_under_stop(uint64_t seed, int64_t *stop_px) {
    struct test_venue *v = tv_ready(seed, MARKET_PURE);
    uint32_t i = tv_instrument(v, 0);
    quote(v, 5);
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    *stop_px = px_off(v, -20);
    c = tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, 0, *stop_px);
    c.close_position = 1;
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
    /* Beyond what follows a start and an order: the watch is calm. */
    v->b->options.reconcile_every_ns = NS_PER_HOUR;
    tv_run(v, 60 * NS_PER_SECOND);
    return v;
}

/* Runs until something of that kind is told of the order ("" any); how long it took. */
static int64_t until_told(struct test_venue *v, const char *id, enum venue_event_kind kind,
                          int64_t within_ns) {
    int64_t from = v->now_ns;
    uint32_t before = tv_count(v, id, kind);
    while (tv_count(v, id, kind) == before && v->now_ns < from + within_ns)
        binance_poll(v->b, from + within_ns);
    return v->now_ns - from;
}

static void a_stop_that_fires_in_silence_is_told_within_a_second(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(1, &stop_px);
    v->user_silent = true;
    print(v, stop_px);
    assert_true(until_told(v, "s-1", VENUE_ORDER_TRADE, 5 * NS_PER_SECOND) <= NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_TRIGGERED), 1);
    assert_int_equal(tv_last(v, "s-1")->cum_qty.e8, QTY(0.1));
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_true(s.prices_passed >= 1);
    tv_close_venue(v);
}

/* The mark has been beyond for long, and was asked about less and less often; then the stop's own price gets there. */
static void a_stop_fires_long_after_the_mark_has_passed_it(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(3, &stop_px);
    const struct exchange_input mark = {.kind = EXI_MARK,
                                        .price = {stop_px - 5 * v->contracts[0].tick_size.e8},
                                        .price2 = {stop_px}};
    for (int n = 0; n < 20; n++) {
        do_it(v, &mark);
        tv_run(v, NS_PER_SECOND);
    }
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_TRIGGERED), 0);
    v->user_silent = true;
    print(v, stop_px);
    assert_true(until_told(v, "s-1", VENUE_ORDER_TRADE, 10 * NS_PER_SECOND) <= NS_PER_SECOND);
    tv_close_venue(v);
}

/* Nobody is there to buy: the stop ends, the position stands. Also where every second answer is lost. */
static void a_stop_that_finds_nobody_in_silence_is_told_within_two_seconds(void **state) {
    (void)state;
    for (uint64_t lossy = 0; lossy < 2; lossy++) {
        int64_t stop_px;
        struct test_venue *v = held_under_stop(2 + lossy, &stop_px);
        v->user_silent = true;
        v->faults.lost_after = lossy ? 400 : 0;
        quote(v, 0);
        print(v, stop_px);
        int64_t limit = lossy ? 2 * NS_PER_SECOND : NS_PER_SECOND;
        assert_true(until_told(v, "s-1", VENUE_ORDER_EXPIRED, 5 * NS_PER_SECOND) <= limit);
        struct binance_position p;
        binance_position_get(v->b, tv_instrument(v, 0), &p);
        assert_int_equal(p.qty.e8, QTY(0.1));
        tv_close_venue(v);
    }
}

/* Somebody cancels our stop: no price tells of it, the list of open orders does. */
static void a_stop_cancelled_in_silence_is_missed_in_the_list(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(4, &stop_px);
    v->user_silent = true;
    const struct exchange_input in = {.kind = EXI_ALGO_CANCEL, .account = 1, .client_id = "s-1"};
    do_it(v, &in);
    assert_true(until_told(v, "s-1", VENUE_ORDER_CANCELED, 30 * NS_PER_SECOND) <=
                17 * NS_PER_SECOND);
    tv_close_venue(v);
}

static void a_fill_by_hand_in_silence_is_told_within_seconds(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(5, &stop_px);
    v->user_silent = true;
    const struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                      .account = 1,
                                      .side = SIDE_BUY,
                                      .type = ORDER_MARKET,
                                      .qty = {QTY(0.05)},
                                      .client_id = "web_by_hand"};
    do_it(v, &in);
    assert_true(until_told(v, "web_by_hand", VENUE_ORDER_TRADE, 30 * NS_PER_SECOND) <=
                4 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "", VENUE_POSITION), 0);
    tv_close_venue(v);
}

/* What no trade explains is told as a whole although a stop of ours is asked after each time. */
static void a_difference_without_trades_is_told_beside_a_resting_stop(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(6, &stop_px);
    uint32_t i = tv_instrument(v, 0);
    v->b->orders.symbols[i].booked.e8 = QTY(0.3); /* of trades that are not to be had */
    assert_true(until_told(v, "", VENUE_POSITION, 30 * NS_PER_SECOND) <= 8 * NS_PER_SECOND);
    assert_int_equal(v->told[v->told_count - 1].last_qty.e8, QTY(0.1));
    tv_close_venue(v);
}

/* An answer that is older than what was told since never undoes it. */
static void an_answer_older_than_a_fill_says_nothing(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(7, &stop_px);
    uint32_t i = tv_instrument(v, 0);
    for (int n = 0; n < 40; n++) {
        v->faults.late = 500; /* half of the answers, by up to 8 s */
        tv_run(v, 3 * NS_PER_SECOND);
        char id[16];
        snprintf(id, sizeof id, "m-%d", n);
        struct venue_command c =
            tv_order(id, n % 2 ? SIDE_SELL : SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
        c.reduce_only = n % 2 != 0;
        v->faults.late = 0;
        tv_submit(v, &c, n % 2 ? LANE_EXIT : LANE_ENTRY);
        tv_run(v, 50 * NS_PER_MS);
        assert_int_equal(tv_last(v, id)->cum_qty.e8, QTY(0.05));
    }
    tv_run(v, 30 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "", VENUE_POSITION), 0);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_int_equal(s.watch_differences, 0);
    tv_close_venue(v);
}

static uint32_t placed(const struct test_venue *v, const char *id, int *ok) {
    uint32_t count = 0;
    *ok = 0;
    for (uint32_t n = 0; n < v->call_count; n++) {
        char key[48];
        snprintf(key, sizeof key, "clientAlgoId=%s&", id);
        if (v->calls[n].method != HTTP_POST || !strstr(v->calls[n].text, key)) continue;
        count++;
        *ok += v->calls[n].status == 200;
    }
    return count;
}

/* The request, or its answer, is lost or late: the stop stands soon, once, and is told as accepted once. */
static void a_stop_nobody_answers_goes_out_again_under_its_id(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct test_venue *v = tv_ready(10 + (uint64_t)how, MARKET_PURE);
        uint32_t i = tv_instrument(v, 0);
        quote(v, 5);
        struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
        tv_submit(v, &c, LANE_ENTRY);
        tv_run(v, NS_PER_SECOND);
        v->user_silent = true;
        v->faults.lost_before = how == 0 ? 1000 : 0;
        v->faults.lost_after = how == 1 ? 1000 : 0;
        v->faults.late = how == 2 ? 1000 : 0;
        c = tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, 0, px_off(v, -20));
        c.close_position = 1;
        tv_submit(v, &c, LANE_PROTECTION);
        int64_t from = v->now_ns;
        tv_run(v, 10 * NS_PER_MS); /* what left until then is struck */
        memset(&v->faults, 0, sizeof v->faults);
        if (tv_count(v, "s-1", VENUE_ORDER_ACCEPTED) == 0)
            (void)until_told(v, "s-1", VENUE_ORDER_ACCEPTED, 5 * NS_PER_SECOND);
        assert_true(v->now_ns - from <= 700 * NS_PER_MS);
        tv_run(v, 20 * NS_PER_SECOND);
        int ok;
        uint32_t asked = placed(v, "s-1", &ok);
        assert_int_equal(ok, 1);
        assert_true(asked >= (how == 0 ? 1 : 2));
        assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
        assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_REJECTED), 0);
        /* And it is cancelled as any other. */
        tv_cancel(v, "s-1", i, ORDER_STOP_MARKET);
        tv_run(v, 10 * NS_PER_SECOND);
        assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_CANCELED), 1);
        struct exchange_algo left;
        assert_int_equal(exchange_open_algos(v->world->exchange, 1, UINT32_MAX, &left, 1), 0);
        tv_close_venue(v);
    }
}

/* An entry goes out once, whatever is lost; what became of it is asked before its answer is given up. */
static void an_entry_whose_answer_is_late_is_told_within_a_second(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(20, MARKET_PURE);
    uint32_t i = tv_instrument(v, 0);
    quote(v, 5);
    v->user_silent = true;
    v->faults.late = 1000;
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 5 * NS_PER_MS);
    v->faults.late = 0;
    int64_t from = v->now_ns;
    if (tv_count(v, "e-1", VENUE_ORDER_TRADE) == 0)
        (void)until_told(v, "e-1", VENUE_ORDER_TRADE, 5 * NS_PER_SECOND);
    assert_true(v->now_ns - from <= NS_PER_SECOND);
    tv_run(v, 20 * NS_PER_SECOND);
    uint32_t posts = 0;
    for (uint32_t n = 0; n < v->call_count; n++)
        posts += v->calls[n].method == HTTP_POST && strstr(v->calls[n].text, "/fapi/v1/order?");
    assert_int_equal(posts, 1);
    tv_close_venue(v);
}

/* After a minute in which nothing got through, the first seconds tell what happened meanwhile. */
static void after_an_outage_what_happened_is_told_within_a_second(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(21, &stop_px);
    for (uint32_t s = 0; s < SOCKETS_MAX; s++) tv_cut(v, s);
    v->faults.frame_lost = 1000;
    v->faults.lost_before = 1000;
    tv_run(v, 20 * NS_PER_SECOND);
    quote(v, 0);
    print(v, stop_px);
    tv_run(v, 40 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_EXPIRED), 0);
    memset(&v->faults, 0, sizeof v->faults);
    assert_true(until_told(v, "s-1", VENUE_ORDER_EXPIRED, 10 * NS_PER_SECOND) <= 1500 * NS_PER_MS);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_true(s.weight_used_1m < 2400 / 2); /* there was something left to ask with */
    tv_close_venue(v);
}

/* Asked for at most a third of the limit, and not at all while the venue bans us. */
static void the_watch_keeps_its_share_and_obeys_a_ban(void **state) {
    (void)state;
    int64_t stop_px;
    struct test_venue *v = held_under_stop(22, &stop_px);
    struct binance_stats s;
    for (int n = 0; n < 90; n++) {
        binance_watch_closely(v->b, v->now_ns);
        tv_run(v, NS_PER_SECOND);
    }
    binance_stats_get(v->b, &s);
    assert_true(s.weight_used_1m <= 2400 / 3 + 100);
    uint64_t before = v->requests;
    binance_budget_block(&v->b->requests.budget, false, v->now_ns + 20 * NS_PER_SECOND);
    tv_run(v, 19 * NS_PER_SECOND);
    assert_int_equal(v->requests, before);
    tv_close_venue(v);
}

/* A listen key that died without a word: its socket is open and says nothing. It is found without an order. */
static void a_dead_listen_key_is_found_without_an_order(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(23, MARKET_PURE);
    struct binance_stats s;
    tv_run(v, NS_PER_SECOND);
    v->user_silent = true; /* the word is lost */
    streams_keys_expire(v->rest.streams, tv_venue_ns(v));
    tv_run(v, NS_PER_SECOND);
    v->user_silent = false;
    tv_run(v, 8 * NS_PER_MINUTE);
    binance_stats_get(v->b, &s);
    assert_true(s.reconnects >= 1);
    assert_int_equal(s.user, LINK_UP);
    tv_close_venue(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_that_fires_in_silence_is_told_within_a_second),
        cmocka_unit_test(a_stop_fires_long_after_the_mark_has_passed_it),
        cmocka_unit_test(a_stop_that_finds_nobody_in_silence_is_told_within_two_seconds),
        cmocka_unit_test(a_stop_cancelled_in_silence_is_missed_in_the_list),
        cmocka_unit_test(a_fill_by_hand_in_silence_is_told_within_seconds),
        cmocka_unit_test(a_difference_without_trades_is_told_beside_a_resting_stop),
        cmocka_unit_test(an_answer_older_than_a_fill_says_nothing),
        cmocka_unit_test(a_stop_nobody_answers_goes_out_again_under_its_id),
        cmocka_unit_test(an_entry_whose_answer_is_late_is_told_within_a_second),
        cmocka_unit_test(after_an_outage_what_happened_is_told_within_a_second),
        cmocka_unit_test(the_watch_keeps_its_share_and_obeys_a_ban),
        cmocka_unit_test(a_dead_listen_key_is_found_without_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
