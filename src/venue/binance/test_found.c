/* Orders of our form of lives that nobody remembers, and of another run; wishes that were executed before. Against the real
 * exchange core. */
#include "venue/binance/test_venue.h"

#define QTY(x) ((int64_t)((x)*1e8))

/* The tests' form: q… is of this run, r… of another. */
static enum binance_whose whose(void *context, const char *client_order_id) {
    (void)context;
    return client_order_id[0] == 'q'   ? BINANCE_OF_RUN
           : client_order_id[0] == 'r' ? BINANCE_OF_OTHER_RUN
                                       : BINANCE_FOREIGN;
}

static struct test_venue *venue_of(uint64_t seed, bool classic) {
    return tv_open_venue(seed, classic, MARKET_SYNTHETIC);
}

static void begin(struct test_venue *v) {
    struct binance_options o = tv_options(v);
    o.handlers.whose = whose;
    tv_client_with(v, &o);
    tv_load(v);
    tv_start(v);
}

/* What a life that is forgotten did, or somebody else. */
static void did(struct test_venue *v, struct exchange_input in, const char *id) {
    struct exchange_reply reply;
    in.account = 1;
    snprintf(in.client_id, sizeof in.client_id, "%s", id);
    world_do(v->world, &in, tv_venue_ns(v), &reply);
    assert_int_equal(reply.code, 0);
}

static void traded(struct test_venue *v, const char *id, enum side side, int64_t qty) {
    did(v,
        (struct exchange_input){
            .kind = EXI_ORDER_PLACE, .side = (uint8_t)side, .type = ORDER_MARKET, .qty = {qty}},
        id);
}

static px_t below(const struct test_venue *v, int64_t percent) {
    struct exchange_prices p;
    exchange_prices_get(v->world->exchange, 0, &p);
    return px_e8(fx_snap_down(p.last.e8 / 100 * (100 - percent), v->contracts[0].tick_size.e8));
}

/* Of the account's first contract; closePosition where there is an algo service, of a quantity else. */
static px_t stop_below(struct test_venue *v, const char *id, bool classic) {
    px_t px = below(v, 5);
    did(v,
        (struct exchange_input){.kind = classic ? EXI_ORDER_PLACE : EXI_ALGO_PLACE,
                                .side = SIDE_SELL,
                                .type = ORDER_STOP_MARKET,
                                .flag = classic,
                                .close_position = !classic,
                                .reduce_only = classic,
                                .qty = {classic ? QTY(0.05) : 0},
                                .price2 = px},
        id);
    return px;
}

static uint32_t place_of(const struct test_venue *v, enum venue_event_kind kind) {
    uint32_t k = 0;
    while (k < v->told_count && v->told[k].kind != kind) k++;
    return k;
}

/* Told once, with its trigger, behind the position it protects; followed like one of this life from then on. */
static void test_found(void **state) {
    (void)state;
    for (int classic = 0; classic < 2; classic++) {
        struct test_venue *v = venue_of(31, classic);
        traded(v, "q7-e0", SIDE_BUY, QTY(0.05));
        px_t px = stop_below(v, "q7-s0", classic);
        did(v,
            (struct exchange_input){.kind = EXI_ORDER_PLACE,
                                    .side = SIDE_BUY,
                                    .type = ORDER_LIMIT,
                                    .time_in_force = TIF_GTC,
                                    .price = below(v, 20),
                                    .qty = {QTY(0.01)}},
            "web_1");
        begin(v);
        tv_run(v, 30 * NS_PER_SECOND);
        assert_int_equal(tv_count(v, "", VENUE_ORDER_FOUND), 1);
        assert_int_equal(tv_count(v, "q7-s0", VENUE_ORDER_ACCEPTED), 0);
        const struct venue_event *e = &v->told[place_of(v, VENUE_ORDER_FOUND)];
        assert_string_equal(e->client_order_id, "q7-s0");
        assert_int_equal(e->order_type, ORDER_STOP_MARKET);
        assert_int_equal(e->side, SIDE_SELL);
        assert_int_equal(e->stop_px.e8, px.e8);
        assert_int_equal(e->instrument_index, tv_instrument(v, 0));
        assert_true(place_of(v, VENUE_POSITION) < place_of(v, VENUE_ORDER_FOUND));
        tv_cancel(v, "q7-s0", e->instrument_index, ORDER_STOP_MARKET);
        tv_run(v, 5 * NS_PER_SECOND);
        assert_int_equal(tv_count(v, "q7-s0", VENUE_ORDER_CANCELED), 1);
        static struct exchange_algo algos[4];
        static struct exchange_order orders[4];
        assert_int_equal(exchange_open_algos(v->world->exchange, 1, UINT32_MAX, algos, 4), 0);
        assert_int_equal(exchange_open_orders(v->world->exchange, 1, UINT32_MAX, orders, 4), 1);
        assert_string_equal(orders[0].client_order_id, "web_1");
        tv_close_venue(v);
    }
}

/* Nobody asks for its end: what becomes of it is told all the same. */
static void test_found_ends(void **state) {
    (void)state;
    struct test_venue *v = venue_of(32, false);
    traded(v, "q7-e0", SIDE_BUY, QTY(0.05));
    (void)stop_below(v, "q7-s0", false);
    begin(v);
    tv_run(v, 20 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "q7-s0", VENUE_ORDER_FOUND), 1);
    did(v, (struct exchange_input){.kind = EXI_ALGO_CANCEL}, "q7-s0");
    tv_run(v, 5 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "q7-s0", VENUE_ORDER_CANCELED), 1);
    tv_run(v, 30 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "q7-s0", VENUE_ORDER_FOUND), 1);
    tv_close_venue(v);
}

/* One of another run: told with every look while it is there, and not touched. */
static void test_other_run(void **state) {
    (void)state;
    struct test_venue *v = venue_of(33, false);
    traded(v, "r7-e0", SIDE_BUY, QTY(0.05));
    (void)stop_below(v, "r7-s0", false);
    begin(v);
    tv_run(v, 60 * NS_PER_SECOND);
    uint32_t told = tv_count(v, "r7-s0", VENUE_ORDER_FOUND);
    assert_true(told >= 4);
    did(v, (struct exchange_input){.kind = EXI_ALGO_CANCEL}, "r7-s0");
    tv_run(v, 15 * NS_PER_SECOND);
    told = tv_count(v, "r7-s0", VENUE_ORDER_FOUND);
    tv_run(v, 60 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "r7-s0", VENUE_ORDER_FOUND), told);
    assert_int_equal(tv_count(v, "r7-s0", VENUE_ORDER_CANCELED), 0);
    for (uint32_t i = 0; i < v->call_count; i++) assert_true(v->calls[i].method != HTTP_DELETE);
    tv_close_venue(v);
}

static uint32_t looks(const struct test_venue *v) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->call_count; i++)
        n += strstr(v->calls[i].text, "/fapi/v1/allOrders") != NULL;
    return n;
}

static uint32_t entries(const struct test_venue *v) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->call_count; i++)
        n += v->calls[i].method == HTTP_POST && strstr(v->calls[i].text, "/fapi/v1/order?") != NULL;
    return n;
}

/* Executed and closed again by a life that is forgotten: the venue remembers. Under whatever attempt and life. */
static void test_asked_before(void **state) {
    (void)state;
    struct test_venue *v = venue_of(34, false);
    traded(v, "q7-e1-AAABBBB", SIDE_BUY, QTY(0.05));
    traded(v, "q7-c0-AAABBBB", SIDE_SELL, QTY(0.05));
    begin(v);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command again = tv_order("q7-e0-AAACCCC", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    struct venue_command other =
        tv_order("q77-e0-AAACCCC", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    struct venue_command stop =
        tv_order("q7-s9-AAACCCC", SIDE_SELL, ORDER_STOP_MARKET, i, 0, below(v, 5).e8);
    tv_submit(v, &again, LANE_ENTRY);
    tv_run(v, 2 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, again.client_order_id, VENUE_ORDER_REJECTED), 1);
    assert_int_equal(tv_last(v, again.client_order_id)->code, BINANCE_ASKED_BEFORE);
    assert_int_equal(entries(v), 0);
    tv_submit(v, &other, LANE_ENTRY); /* a longer name is another wish */
    tv_run(v, 2 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, other.client_order_id, VENUE_ORDER_TRADE), 1);
    assert_int_equal(looks(v), 2);
    stop.close_position = 1; /* what protects is never kept waiting */
    tv_submit(v, &stop, LANE_PROTECTION);
    tv_run(v, 2 * NS_PER_SECOND);
    assert_int_equal(looks(v), 2);
    /* A wish of now can be none of a life before this one. */
    tv_run(v, 3 * NS_PER_MINUTE);
    struct venue_command late = tv_order("q8-e0-AAACCCC", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &late, LANE_ENTRY);
    tv_run(v, 2 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, late.client_order_id, VENUE_ORDER_TRADE), 1);
    assert_int_equal(looks(v), 2);
    tv_close_venue(v);
}

/* No answer to the question, no entry: unsent, for certain. */
static void test_look_in_vain(void **state) {
    (void)state;
    struct test_venue *v = venue_of(35, false);
    begin(v);
    struct venue_command c =
        tv_order("q7-e0-AAACCCC", SIDE_BUY, ORDER_MARKET, tv_instrument(v, 0), QTY(0.05), 0);
    v->faults.lost_before = 1000;
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 15 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, c.client_order_id, VENUE_ORDER_REJECTED), 1);
    assert_int_equal(tv_last(v, c.client_order_id)->code, BINANCE_NOT_SENT);
    assert_int_equal(entries(v), 0);
    tv_close_venue(v);
}

/* Asked after by its name once its position was told as a whole: its fills are in it, and are not told again. */
static void test_fills_of_a_whole(void **state) {
    (void)state;
    struct test_venue *v = venue_of(36, false);
    traded(v, "q7-e0", SIDE_BUY, QTY(0.05));
    begin(v);
    tv_run(v, 20 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "", VENUE_POSITION), 1);
    uint32_t i = tv_instrument(v, 0);
    tv_cancel(v, "q7-e0", i, ORDER_MARKET);
    tv_run(v, 60 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "", VENUE_ORDER_TRADE), 0);
    assert_int_equal(tv_count(v, "q7-e0", VENUE_ORDER_EXPIRED), 1);
    assert_int_equal(tv_count(v, "", VENUE_POSITION), 1);
    tv_close_venue(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),        cmocka_unit_test(test_found_ends),
        cmocka_unit_test(test_other_run),    cmocka_unit_test(test_asked_before),
        cmocka_unit_test(test_look_in_vain), cmocka_unit_test(test_fills_of_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
