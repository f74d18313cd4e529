/* The client against the real exchange core, under a clock of the test's own. */
#include "venue/binance/test_venue.h"

#define QTY(x) ((int64_t)((x)*1e8 + 0.5))

static px_t mark_of(const struct test_venue *v, uint32_t i) {
    struct exchange_prices p;
    exchange_prices_get(v->world->exchange, i, &p);
    return p.mark;
}

/* A price so much (per mille) off mark, on the contract's grid. */
static int64_t px_off(const struct test_venue *v, uint32_t i, int per_mille) {
    int64_t mark = mark_of(v, i).e8;
    return fx_snap_nearest(mark + mark / 1000 * per_mille, v->contracts[i].tick_size.e8);
}

/* The book is the test's: the house quotes 0.1 % around mark. */
static void quote(struct test_venue *v) {
    struct exchange_reply reply;
    for (int k = 0; k < 2; k++) {
        const struct exchange_input in = {.kind = EXI_QUOTE,
                                          .account = EXCHANGE_HOUSE,
                                          .side = k ? SIDE_SELL : SIDE_BUY,
                                          .price = {px_off(v, 0, k ? 1 : -1)},
                                          .qty = {QTY(5)}};
        world_do(v->world, &in, tv_venue_ns(v), &reply);
        assert_int_equal(reply.code, 0);
    }
}

static void test_load_and_start(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(1, MARKET_SYNTHETIC);
    assert_int_equal(binance_instrument_count(v->b), VENUE_CONTRACTS);
    const struct instrument *in = &binance_instruments(v->b)[tv_instrument(v, 0)];
    assert_string_equal(in->symbol, v->contracts[0].symbol);
    assert_int_equal(in->tick_size.e8, v->contracts[0].tick_size.e8);
    assert_int_equal(in->bracket_count, v->contracts[0].bracket_count);
    assert_int_equal(binance_wallet(v->b).e8, QTY(100000));
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_int_equal(s.rest, LINK_UP);
    assert_int_equal(s.market, LINK_UP);
    assert_int_equal(s.user, LINK_UP);
    assert_true(s.clock_error_ns < 20 * NS_PER_MS);
    assert_true(llabs(binance_now_ns(v->b) - tv_venue_ns(v)) < 5 * NS_PER_MS);
    assert_true(v->reconciled >= 1);
    tv_run(v, 5 * NS_PER_MINUTE);
    assert_true(v->bars >= 4 * VENUE_CONTRACTS);
    assert_false(v->bar_gap);
    assert_true(v->marks > 200 * VENUE_CONTRACTS);
    assert_true(v->ticks > 100);
    tv_close_venue(v);
}

static void test_market_order(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(2, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "m-1", VENUE_ORDER_ACCEPTED), 1);
    assert_true(tv_count(v, "m-1", VENUE_ORDER_TRADE) >= 1);
    const struct venue_event *e = tv_last(v, "m-1");
    assert_int_equal(e->kind, VENUE_ORDER_TRADE);
    assert_int_equal(e->cum_qty.e8, QTY(0.05));
    assert_int_equal(e->leaves_qty.e8, 0);
    assert_true(e->commission.e8 > 0 && e->last_px.e8 > 0);
    struct exchange_account account;
    exchange_account_get(v->world->exchange, 1, &account);
    assert_int_equal(e->wallet.e8, account.wallet.e8);
    struct binance_position p;
    binance_position_get(v->b, i, &p);
    assert_int_equal(p.qty.e8, QTY(0.05));
    tv_close_venue(v);
}

static void test_rejected_with_code(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(3, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("r-1", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
    c.reduce_only = 1;
    tv_submit(v, &c, LANE_EXIT);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told_count, 1);
    assert_int_equal(v->told[0].kind, VENUE_ORDER_REJECTED);
    assert_int_equal(v->told[0].code, -2022);
    tv_close_venue(v);
}

static void test_leverage(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(4, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 1);
    struct venue_command c = {.kind = COMMAND_LEVERAGE_SET, .instrument_index = i, .leverage = 7};
    tv_submit(v, &c, LANE_ENTRY);
    assert_int_equal(binance_submit(v->b, &c, LANE_ENTRY), ST_OK); /* one answer for both */
    c.leverage = 8;
    assert_int_equal(binance_submit(v->b, &c, LANE_ENTRY), ST_EXISTS);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told_count, 1);
    assert_int_equal(v->told[0].kind, VENUE_LEVERAGE_SET);
    assert_int_equal(v->told[0].leverage, 7);
    assert_int_equal(v->told[0].code, 0);
    struct exchange_symbol_config config;
    exchange_symbol_config_get(v->world->exchange, 1, 1, &config);
    assert_true(config.isolated);
    assert_int_equal(config.leverage, 7);
    c.leverage = 999;
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told[1].code, -4028);
    assert_int_equal(v->told[1].leverage, 7);
    /* Somebody else sets it: by the stream, and where that is silent by the next reconciliation. */
    struct exchange_input in = {
        .kind = EXI_LEVERAGE, .account = 1, .instrument = 1, .leverage = 13};
    struct exchange_reply reply;
    world_do(v->world, &in, tv_venue_ns(v), &reply);
    assert_int_equal(reply.code, 0);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->told_count, 3);
    assert_int_equal(v->told[2].leverage, 13);
    assert_int_equal(v->told[2].instrument_index, i);
    v->user_silent = true;
    in.leverage = 2;
    world_do(v->world, &in, tv_venue_ns(v), &reply);
    tv_run(v, 15 * NS_PER_SECOND);
    assert_int_equal(v->told_count, 4);
    assert_int_equal(v->told[3].leverage, 2);
    tv_close_venue(v);
}

static void test_stop_life(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(5, MARKET_PURE);
    uint32_t i = tv_instrument(v, 0);
    struct exchange_reply reply;
    quote(v);
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    c = tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, 0, px_off(v, 0, -20));
    c.close_position = 1;
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
    struct exchange_input print = {.kind = EXI_PRINT, .side = SIDE_SELL};
    print.price.e8 = px_off(v, 0, -21);
    print.qty.e8 = QTY(0.01);
    world_do(v->world, &print, tv_venue_ns(v), &reply);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_TRIGGERED), 1);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_TRADE), 1);
    const struct venue_event *e = tv_last(v, "s-1");
    assert_int_equal(e->cum_qty.e8, QTY(0.1));
    assert_int_equal(e->leaves_qty.e8, 0);
    tv_cancel(v, "s-1", i, ORDER_STOP_MARKET);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_CANCEL_REJECTED), 1);
    tv_close_venue(v);
}

static void test_cancel(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(6, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c =
        tv_order("l-1", SIDE_BUY, ORDER_LIMIT, i, QTY(0.05), px_off(v, 0, -30));
    tv_submit(v, &c, LANE_ENTRY);
    tv_cancel(v, "l-1", i, ORDER_LIMIT); /* before it is even sent */
    c = tv_order("t-1", SIDE_SELL, ORDER_TAKE_PROFIT_MARKET, i, QTY(0.05), px_off(v, 0, 30));
    tv_submit(v, &c, LANE_EXIT);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "l-1", VENUE_ORDER_ACCEPTED), 1);
    assert_int_equal(tv_count(v, "l-1", VENUE_ORDER_CANCELED), 1);
    assert_int_equal(tv_count(v, "l-1", VENUE_CANCEL_REJECTED), 0);
    tv_cancel(v, "t-1", i, ORDER_TAKE_PROFIT_MARKET);
    tv_cancel(v, "nobody", i, ORDER_LIMIT);
    tv_run(v, 10 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "t-1", VENUE_ORDER_CANCELED), 1);
    assert_int_equal(tv_count(v, "nobody", VENUE_CANCEL_REJECTED), 1);
    tv_close_venue(v);
}

/* The switch of 2025-12-09, in the middle of a session and in both directions. */
static void test_service_switch(void **state) {
    (void)state;
    struct test_venue *v = tv_open_venue(7, true, MARKET_SYNTHETIC);
    tv_client(v);
    tv_load(v);
    tv_start(v);
    uint32_t i = tv_instrument(v, 0);
    v->b->algo_service = false; /* as a venue without the service would have been found */
    struct venue_command c =
        tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, QTY(0.05), px_off(v, 0, -30));
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
    world_classic_set(v->world, false, tv_venue_ns(v));
    v->rest.options.classic_conditional = false;
    c = tv_order("s-2", SIDE_SELL, ORDER_STOP_MARKET, i, QTY(0.05), px_off(v, 0, -40));
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_ACCEPTED), 1);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_REJECTED), 0);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_true(s.algo_service);
    assert_int_equal(s.service_switches, 1);
    tv_cancel(v, "s-1", i, ORDER_STOP_MARKET);
    tv_cancel(v, "s-2", i, ORDER_STOP_MARKET);
    tv_run(v, 20 * NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_CANCELED), 1);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_CANCELED), 1);
    tv_close_venue(v);
}

static void test_silent_user_stream(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(8, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    v->user_silent = true;
    struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 3 * NS_PER_SECOND);
    /* The reply said it is filled: the trades are fetched. */
    assert_int_equal(tv_last(v, "m-1")->cum_qty.e8, QTY(0.05));
    /* A resting order is acknowledged by the reply, and the stream is missed: connected anew. */
    c = tv_order("l-1", SIDE_BUY, ORDER_LIMIT, i, QTY(0.05), px_off(v, 0, -1));
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 6 * NS_PER_SECOND);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_true(s.reconnects >= 1);
    assert_int_equal(tv_count(v, "l-1", VENUE_ORDER_ACCEPTED), 1);
    tv_close_venue(v);
}

static void test_clock_an_hour_off(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct test_venue *v = tv_ready(9, MARKET_SYNTHETIC);
        uint32_t i = tv_instrument(v, 0);
        struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
        tv_submit(v, &c, LANE_ENTRY);
        tv_run(v, NS_PER_SECOND);
        assert_int_equal(tv_last(v, "m-1")->cum_qty.e8, QTY(0.05));
        /* The venue's clock is set forward in the middle of the session (backwards: ours was ahead). */
        if (sign > 0) {
            v->offset_ns += NS_PER_HOUR;
        } else {
            binance_clock_reset(&v->b->clock);
            binance_clock_sample(&v->b->clock, v->now_ns, v->now_ns, tv_venue_ns(v) + NS_PER_HOUR,
                                 NS_PER_MS);
        }
        c = tv_order("m-2", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
        c.reduce_only = 1;
        tv_submit(v, &c, LANE_EXIT);
        tv_run(v, 5 * NS_PER_SECOND);
        assert_int_equal(tv_count(v, "m-2", VENUE_ORDER_REJECTED), 0);
        assert_int_equal(tv_last(v, "m-2")->cum_qty.e8, QTY(0.05));
        struct binance_stats s;
        binance_stats_get(v->b, &s);
        assert_true(s.clock_rejects >= 1);
        tv_close_venue(v);
    }
}

static void note_instrument(void *context, uint32_t i, const struct instrument *in) {
    int64_t *tick = context;
    (void)i;
    *tick = in->tick_size.e8;
}

/* The venue makes a tick coarser; the first refusal leads to the new rules. */
/* The rules as they were known when the refusal was told. */
static int64_t refused_knowing;
static void note_refusal(void *context, const struct venue_event *e) {
    if (e->kind == VENUE_ORDER_REJECTED) refused_knowing = *(int64_t *)context;
}

static void test_rules_change(void **state) {
    (void)state;
    refused_knowing = -1;
    struct test_venue *v = tv_ready(10, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct instrument rules = v->contracts[0];
    struct exchange_reply reply;
    int64_t told = 0;
    v->b->options.handlers.on_instrument = note_instrument;
    v->b->options.handlers.context = &told;
    v->b->options.handlers.on_venue = note_refusal;
    v->b->options.handlers.on_bar = NULL;
    v->b->options.handlers.on_tick = NULL;
    v->b->options.handlers.on_mark = NULL;
    v->b->options.handlers.on_link = NULL;
    v->b->options.handlers.on_reconciled = NULL;
    tv_run(v, NS_PER_SECOND);
    rules.tick_size.e8 *= 10;
    world_filters(v->world, 0, &rules, tv_venue_ns(v), &reply);
    assert_int_equal(reply.code, 0);
    int64_t px =
        fx_snap_nearest(px_off(v, 0, -30), rules.tick_size.e8) + v->contracts[0].tick_size.e8;
    struct venue_command c = tv_order("l-1", SIDE_BUY, ORDER_LIMIT, i, QTY(0.05), px);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 100 * NS_PER_MS);
    assert_int_equal(told, rules.tick_size.e8);
    assert_int_equal(refused_knowing, rules.tick_size.e8); /* whoever asks again asks rightly */
    assert_int_equal(binance_instruments(v->b)[i].tick_size.e8, rules.tick_size.e8);
    assert_int_equal(binance_instruments(v->b)[i].bracket_count, v->contracts[0].bracket_count);
    tv_close_venue(v);
}

/* The rules change while orders wait to be sent (as many have left as may): they are not sent as they are, but told as
 * refused by the rules that are known by now. */
static void test_rules_change_while_orders_wait(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(12, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0), refused = 0;
    struct instrument rules = v->contracts[0];
    struct exchange_reply reply;
    struct binance_stats before, after;
    tv_run(v, NS_PER_SECOND);
    binance_stats_get(v->b, &before);
    rules.px_min.e8 = rules.tick_size.e8 *= 10;
    int64_t px =
        fx_snap_nearest(px_off(v, 0, -30), rules.tick_size.e8) + v->contracts[0].tick_size.e8;
    binance_budget_block(&v->b->requests.budget, true, binance_monotonic(v->b) + NS_PER_SECOND);
    for (int n = 0; n < 3; n++) { /* the last one is right by both */
        char id[16];
        snprintf(id, sizeof id, "w-%d", n);
        struct venue_command c = tv_order(id, SIDE_BUY, ORDER_LIMIT, i, QTY(0.05),
                                          n == 2 ? px - v->contracts[0].tick_size.e8 : px);
        tv_submit(v, &c, LANE_EXIT);
    }
    world_filters(v->world, 0, &rules, tv_venue_ns(v), &reply);
    assert_true(binance_rules_doubt(v->b, -4014, binance_monotonic(v->b)));
    tv_run(v, 2 * NS_PER_SECOND);
    binance_stats_get(v->b, &after);
    for (uint32_t n = 0; n < v->told_count; n++)
        if (v->told[n].kind == VENUE_ORDER_REJECTED) {
            assert_int_equal(v->told[n].code, FILTER_TICK);
            refused++;
        }
    assert_int_equal(refused, 2);
    assert_int_equal(after.orders_withheld - before.orders_withheld, 2);
    assert_int_equal(after.orders_sent - before.orders_sent, 1);
    tv_close_venue(v);
}

/* A day and an hour: sockets are replaced before they are cut, the key is renewed, no bar is missing, funding is
 * told once a settlement and only for what is held. */
static void test_days(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(11, MARKET_PURE);
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("m-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    v->b->options.handlers.on_mark = NULL;
    v->b->options.handlers.on_tick = NULL;
    v->world_every_ns = 2 * NS_PER_SECOND;
    tv_run(v, 25 * NS_PER_HOUR);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_false(v->bar_gap);
    assert_true(v->bars >=
                25 * 60 - 2); /* the other contracts never traded: they have no candles */
    assert_int_equal(s.reconnects, 0);
    assert_true(s.key_renewals >= 40);
    assert_int_equal(tv_count(v, "", VENUE_FUNDING), 3);
    struct exchange_account account;
    exchange_account_get(v->world->exchange, 1, &account);
    assert_int_equal(binance_wallet(v->b).e8, account.wallet.e8);
    tv_close_venue(v);
}

/* The venue refuses a stop's timestamp, and two questions for the time are lost: another goes out beside each. */
static void test_clock_wrong_and_time_untold(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(22, MARKET_PURE);
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    v->offset_ns += NS_PER_HOUR;
    v->unheard_path = "/fapi/v1/time";
    v->unheard = 2;
    c = tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, 0, px_off(v, 0, -2));
    c.close_position = 1;
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->unheard, 0);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_ACCEPTED), 1);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    assert_int_equal(s.clock_rejects, 1);
    tv_close_venue(v);
}

/* The stream tells that an entry was taken, and of nothing that came behind; its answer is lost: an order at market does not
 * rest, so it is asked after. */
static void test_entry_told_in_part(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(25, MARKET_PURE);
    quote(v);
    tv_run(v, 20 * NS_PER_SECOND);
    v->kept_back = "FILLED";
    v->world_every_ns = NS_PER_HOUR;
    v->unheard_path = "/fapi/v1/order?";
    v->unheard = 1;
    struct venue_command c =
        tv_order("e-1", SIDE_BUY, ORDER_MARKET, tv_instrument(v, 0), QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, 100 * NS_PER_MS);
    assert_int_equal(tv_count(v, "e-1", VENUE_ORDER_ACCEPTED), 1);
    assert_int_equal(tv_count(v, "e-1", VENUE_ORDER_TRADE), 0);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "e-1", VENUE_ORDER_TRADE), 1);
    tv_close_venue(v);
}

/* A stop may stand or not, and a second sending of it is refused by rules nobody can tell: the next order of the contract is
 * told so at once, instead of going out as it was; the one behind it goes. */
static void test_rules_refusal_of_unknown(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(24, MARKET_PURE);
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    v->b->rules.holds[i].untold = -1111;
    c = tv_order("s-1", SIDE_SELL, ORDER_STOP_MARKET, i, QTY(0.05), px_off(v, 0, -20));
    c.reduce_only = 1;
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-1", VENUE_ORDER_REJECTED), 1);
    assert_int_equal(tv_last(v, "s-1")->code, -1111);
    memcpy(c.client_order_id, "s-2", sizeof "s-2");
    tv_submit(v, &c, LANE_PROTECTION);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(tv_count(v, "s-2", VENUE_ORDER_ACCEPTED), 1);
    tv_close_venue(v);
}

/* An entry is filled, its answer is late and the stream says nothing, nor does anything else: it is asked after. */
static void test_entry_unheard(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(23, MARKET_PURE);
    quote(v);
    tv_run(v, 20 * NS_PER_SECOND);
    v->user_silent = true;
    v->world_every_ns = NS_PER_HOUR;
    v->unheard_path = "/fapi/v1/order?";
    v->unheard = 1;
    struct venue_command c =
        tv_order("e-1", SIDE_BUY, ORDER_MARKET, tv_instrument(v, 0), QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    assert_int_equal(v->unheard, 0);
    assert_int_equal(tv_count(v, "e-1", VENUE_ORDER_TRADE), 1);
    tv_close_venue(v);
}

/* Balances that were not what was told before them made. */
static uint32_t unexplained(const struct test_venue *v) {
    uint32_t n = 0;
    for (uint32_t k = 1; k < v->told_count; k++)
        n += v->told[k].kind == VENUE_BALANCE && v->told[k].wallet.e8 != v->told[k - 1].wallet.e8;
    return n;
}

/* A settlement that the stream kept back is found in the history of funding, and is nothing unexplained. */
static void test_funding_untold(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(19, MARKET_PURE);
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("f-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    v->b->options.handlers.on_mark = NULL;
    v->b->options.handlers.on_tick = NULL;
    v->world_every_ns = NS_PER_SECOND;
    while (tv_venue_ns(v) % (8 * NS_PER_HOUR) < 8 * NS_PER_HOUR - NS_PER_MINUTE)
        tv_run(v, NS_PER_MINUTE);
    uint32_t balances = unexplained(v);
    streams_user_silent(v->rest.streams, true);
    tv_run(v, 3 * NS_PER_MINUTE);
    assert_int_equal(tv_count(v, "", VENUE_FUNDING), 1);
    assert_int_equal(unexplained(v), balances);
    streams_user_silent(v->rest.streams, false);
    tv_run(v, NS_PER_MINUTE);
    assert_int_equal(tv_count(v, "", VENUE_FUNDING), 1);
    struct exchange_account account;
    exchange_account_get(v->world->exchange, 1, &account);
    assert_int_equal(binance_wallet(v->b).e8, account.wallet.e8);
    tv_close_venue(v);
}

/* A position liquidated while the client was away. */
static void test_liquidated_while_away(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(12, MARKET_PURE);
    uint32_t i = tv_instrument(v, 0);
    struct exchange_input in;
    struct exchange_reply reply;
    struct err err = {0};
    struct venue_command c = {.kind = COMMAND_LEVERAGE_SET, .instrument_index = i, .leverage = 20};
    quote(v);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    struct binance_held held = {.instrument = i,
                                .qty = {QTY(0.1)},
                                .last_trade_id = v->told[v->told_count - 1].trade_id,
                                .last_funding_ns = tv_venue_ns(v)};
    tv_kill(v);
    in = (struct exchange_input){.kind = EXI_MARK};
    in.price.e8 = in.price2.e8 = px_off(v, 0, -60);
    world_do(v->world, &in, tv_venue_ns(v), &reply);
    struct exchange_position p;
    exchange_position_get(v->world->exchange, 1, 0, POSITION_BOTH, &p);
    assert_int_equal(p.qty.e8, 0);
    uint32_t before = v->told_count;
    tv_client(v);
    tv_load(v);
    assert_int_equal(binance_start(v->b, NULL, 0, &held, 1, 60 * NS_PER_SECOND, &err), ST_OK);
    int64_t closed = 0;
    for (uint32_t k = before; k < v->told_count; k++)
        if (v->told[k].kind == VENUE_LIQUIDATION) closed += v->told[k].last_qty.e8;
    assert_int_equal(closed, QTY(0.1));
    tv_close_venue(v);
}

/* The first settlement of a position came while nobody listened: it is asked for from when the position was opened. */
static void test_funding_while_away(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(21, MARKET_PURE);
    struct err err = {0};
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    v->b->options.handlers.on_mark = NULL;
    v->b->options.handlers.on_tick = NULL;
    v->world_every_ns = NS_PER_SECOND;
    while (tv_venue_ns(v) % (8 * NS_PER_HOUR) < 8 * NS_PER_HOUR - 2 * NS_PER_MINUTE)
        tv_run(v, NS_PER_MINUTE);
    struct venue_command c = tv_order("f-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    struct binance_held held = {.instrument = i,
                                .qty = {QTY(0.05)},
                                .last_trade_id = v->told[v->told_count - 1].trade_id,
                                .opened_ns = v->told[v->told_count - 1].ts_event_ns};
    tv_kill(v);
    v->now_ns += 3 * NS_PER_MINUTE;
    tv_world(v);
    uint32_t before = v->told_count;
    tv_client(v);
    tv_load(v);
    assert_int_equal(binance_start(v->b, NULL, 0, &held, 1, 60 * NS_PER_SECOND, &err), ST_OK);
    tv_run(v, 30 * NS_PER_SECOND);
    uint32_t settled = 0;
    for (uint32_t k = before; k < v->told_count; k++) settled += v->told[k].kind == VENUE_FUNDING;
    assert_int_equal(settled, 1);
    tv_close_venue(v);
}

static int64_t told_qty(const struct test_venue *v, uint32_t from, uint32_t instrument) {
    int64_t qty = 0;
    for (uint32_t k = from; k < v->told_count; k++)
        if (v->told[k].instrument_index == instrument &&
            (v->told[k].kind == VENUE_ORDER_TRADE || v->told[k].kind == VENUE_LIQUIDATION))
            qty += side_sign((enum side)v->told[k].side) * v->told[k].last_qty.e8;
    return qty;
}

/* The contract was delisted and what was held settled while nobody listened: it is of the run still, and its end is told;
 * also where the venue lists it no more. */
static void test_settled_while_away(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(18, MARKET_PURE);
    struct exchange_reply reply;
    struct err err = {0};
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.1), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    struct binance_held held = {.instrument = i,
                                .qty = {QTY(0.1)},
                                .last_trade_id = v->told[v->told_count - 1].trade_id,
                                .last_funding_ns = tv_venue_ns(v)};
    tv_kill(v);
    struct exchange_input in = {.kind = EXI_STATUS, .instrument = 0, .status = INSTRUMENT_CLOSED};
    world_do(v->world, &in, tv_venue_ns(v), &reply);
    assert_int_equal(reply.code, 0);
    struct instrument of_run[VENUE_CONTRACTS + 1];
    memcpy(of_run, v->contracts, sizeof v->contracts);
    instrument_defaults(&of_run[VENUE_CONTRACTS], "GONEUSDT");
    struct binance_options o = tv_options(v);
    o.contracts = of_run;
    o.contract_count = VENUE_CONTRACTS + 1;
    uint32_t before = v->told_count;
    tv_client_with(v, &o);
    tv_load(v);
    assert_int_equal(binance_instrument_count(v->b), VENUE_CONTRACTS + 1);
    int gone = binance_symbol_find(v->b, "GONEUSDT");
    assert_true(gone >= 0);
    assert_int_equal(binance_instruments(v->b)[gone].status, INSTRUMENT_CLOSED);
    held.instrument = tv_instrument(v, 0);
    const struct binance_held both[] = {
        held,
        {.instrument = (uint32_t)gone, .qty = {QTY(5)}, .last_trade_id = 9, .last_funding_ns = 1}};
    assert_int_equal(binance_start(v->b, NULL, 0, both, 2, 60 * NS_PER_SECOND, &err), ST_OK);
    tv_run(v, 30 * NS_PER_SECOND);
    assert_int_equal(told_qty(v, before, held.instrument), -QTY(0.1));
    uint32_t whole = 0;
    for (uint32_t k = before; k < v->told_count; k++)
        whole += v->told[k].kind == VENUE_POSITION &&
                 v->told[k].instrument_index == (uint32_t)gone && v->told[k].last_qty.e8 == 0;
    assert_int_equal(whole, 1);
    tv_close_venue(v);
}

/* Somebody else's market order on the same account. */
static void by_hand(struct test_venue *v, uint32_t of_venue, enum side side, int64_t qty) {
    struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                .account = 1,
                                .instrument = of_venue,
                                .side = (uint8_t)side,
                                .type = ORDER_MARKET,
                                .qty = {qty},
                                .client_id = "web_by_hand"};
    struct exchange_reply reply;
    world_do(v->world, &in, tv_venue_ns(v), &reply);
    assert_int_equal(reply.code, 0);
}

/* A position that was told as a whole is not told again fill by fill in a later life. */
static void test_whole_then_restarted(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(20, MARKET_PURE);
    struct err err = {0};
    quote(v);
    uint32_t i = tv_instrument(v, 0);
    by_hand(v, 0, SIDE_SELL, QTY(0.02));
    tv_run(v, NS_PER_SECOND);
    struct binance_held held = {.instrument = i,
                                .qty = {-QTY(0.02)},
                                .last_funding_ns = tv_venue_ns(v),
                                .told_ns = tv_venue_ns(v)};
    tv_kill(v);
    v->now_ns += NS_PER_SECOND;
    tv_world(v);
    by_hand(v, 0, SIDE_BUY, QTY(0.01));
    uint32_t before = v->told_count;
    tv_client(v);
    tv_load(v);
    assert_int_equal(binance_start(v->b, NULL, 0, &held, 1, 60 * NS_PER_SECOND, &err), ST_OK);
    tv_run(v, 30 * NS_PER_SECOND);
    assert_int_equal(told_qty(v, before, i), QTY(0.01));
    tv_close_venue(v);
}

static uint32_t told_kind(const struct test_venue *v, enum venue_event_kind kind) {
    return tv_count(v, "", kind);
}

/* Orders of somebody else on the account are counted and left alone; his fills are told, each once, whatever they do. */
static void test_foreign(void **state) {
    (void)state;
    for (int silent = 0; silent < 2; silent++) { /* by the stream, and by the trades alone */
        struct test_venue *v = tv_ready(13, MARKET_SYNTHETIC);
        struct exchange_reply reply;
        v->user_silent = silent;
        by_hand(v, 0, SIDE_BUY, QTY(0.05));
        struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                    .account = 1,
                                    .side = SIDE_BUY,
                                    .type = ORDER_LIMIT,
                                    .qty = {QTY(0.05)},
                                    .price = {px_off(v, 0, -30)}};
        world_do(v->world, &in, tv_venue_ns(v), &reply);
        assert_int_equal(reply.code, 0);
        tv_run(v, 25 * NS_PER_SECOND);
        uint32_t i = tv_instrument(v, 0);
        assert_int_equal(told_qty(v, 0, i), QTY(0.05));
        assert_int_equal(told_kind(v, VENUE_POSITION), 0);
        for (uint32_t k = 0; k < v->told_count; k++)
            if (v->told[k].kind != VENUE_BALANCE) /* his margin is not there any more */
                assert_string_equal(v->told[k].client_order_id, "web_by_hand");
        assert_int_equal(v->reconciliation.foreign_orders, 1);
        assert_int_equal(v->reconciliation.foreign_positions, 1);
        assert_int_equal(exchange_open_orders(v->world->exchange, 1, UINT32_MAX, &reply.order, 1),
                         1);
        struct exchange_account account;
        exchange_account_get(v->world->exchange, 1, &account);
        assert_int_equal(v->told[v->told_count - 1].wallet.e8, account.wallet.e8);
        /* One net direction per symbol, whoever holds it: neither with it nor against it; elsewhere as always. */
        struct binance_stats before, after;
        binance_stats_get(v->b, &before);
        uint32_t from = v->told_count;
        struct venue_command c = tv_order("f-1", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
        tv_submit(v, &c, LANE_ENTRY);
        c = tv_order("f-2", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
        tv_submit(v, &c, LANE_ENTRY);
        tv_run(v, NS_PER_SECOND);
        assert_int_equal(v->told_count, from + 2);
        for (uint32_t k = from; k < from + 2; k++) {
            assert_int_equal(v->told[k].kind, VENUE_ORDER_REJECTED);
            assert_int_equal(v->told[k].code, BINANCE_POSITION_FOREIGN);
        }
        binance_stats_get(v->b, &after);
        assert_int_equal(after.orders_sent, before.orders_sent);
        c = tv_order("f-3", SIDE_BUY, ORDER_MARKET, tv_instrument(v, 1), QTY(0.5), 0);
        tv_submit(v, &c, LANE_ENTRY);
        tv_run(v, NS_PER_SECOND);
        assert_int_equal(v->told[from + 2].kind, VENUE_ORDER_ACCEPTED);
        /* He leaves, and we may. */
        by_hand(v, 0, SIDE_SELL, QTY(0.05));
        tv_run(v, 25 * NS_PER_SECOND);
        assert_int_equal(told_qty(v, 0, i), 0);
        assert_int_equal(v->reconciliation.foreign_positions, 0);
        c = tv_order("f-4", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
        tv_submit(v, &c, LANE_ENTRY);
        tv_run(v, 3 * NS_PER_SECOND);
        assert_int_equal(tv_count(v, "f-4", VENUE_ORDER_ACCEPTED), 1);
        tv_close_venue(v);
    }
}

/* A naked position from before we came: no fill that we may count explains it. Row 42. */
static void test_left_over(void **state) {
    (void)state;
    for (int sell = 0; sell < 2; sell++) {
        struct test_venue *v = tv_open_venue(15, false, MARKET_SYNTHETIC);
        by_hand(v, 0, sell ? SIDE_SELL : SIDE_BUY, QTY(0.07));
        int64_t first_ns = tv_venue_ns(v);
        tv_client(v);
        tv_load(v);
        tv_start(v);
        int64_t began_ns = v->now_ns;
        struct exchange_account account;
        while (v->told_count == 0 && v->now_ns < began_ns + 30 * NS_PER_SECOND)
            binance_poll(v->b, v->now_ns + NS_PER_SECOND);
        uint32_t i = tv_instrument(v, 0);
        assert_int_equal(v->told_count, 1);
        const struct venue_event *e = &v->told[0];
        assert_int_equal(e->kind, VENUE_POSITION);
        assert_int_equal(e->instrument_index, i);
        assert_int_equal(e->side, sell ? SIDE_SELL : SIDE_BUY);
        assert_int_equal(e->last_qty.e8, QTY(0.07));
        assert_true(e->last_px.e8 > 0 && e->ts_event_ns <= first_ns);
        assert_true(v->now_ns - began_ns <= 5 * NS_PER_SECOND); /* two looks */
        exchange_account_get(v->world->exchange, 1, &account);
        assert_int_equal(e->wallet.e8, account.wallet.e8);
        tv_run(v, 60 * NS_PER_SECOND);
        assert_int_equal(told_kind(v, VENUE_POSITION), 1); /* once */
        assert_int_equal(v->told_count, 1 + told_kind(v, VENUE_BALANCE));
        /* What he does from now on is told as it happens, part by part. */
        by_hand(v, 0, sell ? SIDE_BUY : SIDE_SELL, QTY(0.07));
        tv_run(v, 5 * NS_PER_SECOND);
        assert_int_equal(told_qty(v, 1, i), sell ? QTY(0.07) : -QTY(0.07));
        tv_run(v, 30 * NS_PER_SECOND);
        assert_int_equal(told_kind(v, VENUE_POSITION), 1);
        struct binance_stats stats;
        binance_stats_get(v->b, &stats);
        assert_int_equal(stats.positions_told, 1);
        tv_close_venue(v);
    }
}

/* What the caller holds is gone and its trades say nothing of it (they were of an account that was reset): it is told
 * that nothing is held. */
static void test_held_is_gone(void **state) {
    (void)state;
    struct test_venue *v = tv_open_venue(16, false, MARKET_SYNTHETIC);
    struct err err = {0};
    tv_client(v);
    tv_load(v);
    struct binance_held held = {.instrument = tv_instrument(v, 2),
                                .qty = {QTY(3)},
                                .last_trade_id = 77,
                                .last_funding_ns = tv_venue_ns(v)};
    assert_int_equal(binance_start(v->b, NULL, 0, &held, 1, 60 * NS_PER_SECOND, &err), ST_OK);
    tv_forget_leverages(v);
    tv_run(v, 10 * NS_PER_SECOND);
    assert_int_equal(v->told_count, 1);
    assert_int_equal(v->told[0].kind, VENUE_POSITION);
    assert_int_equal(v->told[0].side, SIDE_NONE);
    assert_int_equal(v->told[0].last_qty.e8, 0);
    tv_close_venue(v);
}

/* A fill of somebody else that the stream lost, and one of ours with a higher id after it: it is not lost for that. */
static void test_foreign_fill_behind_ours(void **state) {
    (void)state;
    struct test_venue *v = tv_ready(17, MARKET_SYNTHETIC);
    uint32_t i = tv_instrument(v, 0);
    struct venue_command c = tv_order("e-1", SIDE_BUY, ORDER_MARKET, i, QTY(0.05), 0);
    tv_submit(v, &c, LANE_ENTRY);
    tv_run(v, NS_PER_SECOND);
    v->faults.frame_lost = 1000;
    by_hand(v, 0, SIDE_BUY, QTY(0.02));
    tv_run(v, 20 * NS_PER_MS);
    v->faults.frame_lost = 0;
    c = tv_order("c-1", SIDE_SELL, ORDER_MARKET, i, QTY(0.05), 0);
    c.reduce_only = 1;
    tv_submit(v, &c, LANE_EXIT);
    tv_run(v, 25 * NS_PER_SECOND);
    struct exchange_position p;
    exchange_position_get(v->world->exchange, 1, 0, POSITION_BOTH, &p);
    assert_int_equal(p.qty.e8, QTY(0.02));
    assert_int_equal(told_qty(v, 0, i), QTY(0.02));
    assert_int_equal(told_kind(v, VENUE_POSITION), 0);
    assert_int_equal(tv_count(v, "web_by_hand", VENUE_ORDER_TRADE) > 0, 1);
    tv_close_venue(v);
}

static void test_refused_at_load(void **state) {
    (void)state;
    struct err err = {0};
    struct test_venue *v = tv_open_venue(14, false, MARKET_SYNTHETIC);
    struct binance_options o = tv_options(v);
    o.api_secret = "not-the-secret";
    tv_client_with(v, &o);
    assert_int_not_equal(binance_load(v->b, 20 * NS_PER_SECOND, &err), ST_OK);
    assert_non_null(strstr(err.text, "-1022"));
    assert_null(strstr(err.text, "not-the-secret"));
    tv_kill(v);
    o = tv_options(v);
    o.symbols = "BTCUSDT,NOSUCH";
    tv_client_with(v, &o);
    assert_int_equal(binance_load(v->b, 20 * NS_PER_SECOND, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "NOSUCH"));
    tv_kill(v);
    /* Whether the key may withdraw cannot be told: refused. */
    o = tv_options(v);
    o.restrictions_url = "http://somewhere";
    tv_client_with(v, &o);
    assert_int_equal(binance_load(v->b, 20 * NS_PER_SECOND, &err), ST_REFUSED);
    tv_close_venue(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_and_start),
        cmocka_unit_test(test_market_order),
        cmocka_unit_test(test_rejected_with_code),
        cmocka_unit_test(test_leverage),
        cmocka_unit_test(test_stop_life),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_service_switch),
        cmocka_unit_test(test_silent_user_stream),
        cmocka_unit_test(test_clock_an_hour_off),
        cmocka_unit_test(test_rules_change),
        cmocka_unit_test(test_rules_change_while_orders_wait),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_clock_wrong_and_time_untold),
        cmocka_unit_test(test_entry_unheard),
        cmocka_unit_test(test_entry_told_in_part),
        cmocka_unit_test(test_rules_refusal_of_unknown),
        cmocka_unit_test(test_funding_untold),
        cmocka_unit_test(test_funding_while_away),
        cmocka_unit_test(test_liquidated_while_away),
        cmocka_unit_test(test_settled_while_away),
        cmocka_unit_test(test_whole_then_restarted),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_held_is_gone),
        cmocka_unit_test(test_foreign_fill_behind_ours),
        cmocka_unit_test(test_refused_at_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
