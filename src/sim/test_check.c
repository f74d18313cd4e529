/* Histories written by hand: one that is right, and each invariant broken once. The checker must name that one and no
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/check.h"
#include "trade/oms/oms.h"
#include "trade/risk/risk.h"

#define SECOND INT64_C(1000000000)
#define MS     INT64_C(1000000)
#define ONE    FX_ONE
enum { SYMBOLS = 2, ACCOUNT = 1, INTENT = 77 };

/* A trader and an exchange that do as they are told; sums as the exchange keeps them. */
struct play {
    struct check *c;
    int64_t now, qty[SYMBOLS], wallet;
    struct kernel_totals totals; /* of the kernel that hears everything */
    struct kernel_live_order live[8];
    uint32_t live_count;
};

static struct play *play_of(struct check_config config) {
    struct play *p = calloc(1, sizeof *p);
    assert_non_null(p);
    config.account = ACCOUNT;
    config.instrument_count = SYMBOLS;
    config.wallet_start.e8 = 10000 * ONE;
    p->wallet = config.wallet_start.e8;
    p->totals.wallet.e8 = p->totals.wallet_start.e8 = p->wallet;
    p->now = 1700000000 * SECOND;
    p->c = check_create(&config);
    assert_non_null(p->c);
    check_alive(p->c, true, p->now);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const struct exchange_event mark = {
            .kind = EXE_MARK, .instrument = s, .ts_ns = p->now, .px = {100 * ONE}};
        check_exchange_event(p->c, &mark);
    }
    return p;
}

static struct play *play(void) {
    return play_of(check_config_defaults());
}

static uint64_t count_of(const struct play *p, enum check_number number) {
    struct check_report r;
    check_report(p->c, &r);
    return r.by_number[number];
}

/* Just this invariant is broken, or (CHECK_NONE) none; ends the play. */
static void end_with(struct play *p, enum check_number number) {
    char text[4096];
    check_end(p->c, p->now);
    for (int n = 1; n < CHECK_COUNT; n++) {
        bool wanted = n == (int)number;
        if ((count_of(p, (enum check_number)n) > 0) == wanted) continue;
        (void)check_explain(p->c, text, sizeof text);
        print_error("%s%s:\n%s\n",
                    wanted ? "not seen: " : "seen: ", check_name((enum check_number)n), text);
        fail();
    }
    check_destroy(p->c);
    free(p);
}

static void pass(struct play *p, int64_t ns) {
    p->now += ns;
    check_time(p->c, p->now);
}

/* ---- the trader ---- */

static const char *id_of(uint64_t intent, enum oms_leg leg, uint32_t attempt) {
    static char ids[8][CLIENT_ORDER_ID_SIZE]; /* lent until seven more are asked for */
    static uint32_t next;
    char *id = ids[next++ % 8];
    oms_client_order_id(id, intent, leg, attempt);
    return id;
}

static void submit(struct play *p, uint32_t s, const char *id, enum side side, enum order_type type,
                   int64_t px, int64_t qty, bool reduce) {
    struct venue_command m = {.kind = COMMAND_ORDER_SUBMIT,
                              .side = (uint8_t)side,
                              .order_type = (uint8_t)type,
                              .reduce_only = reduce && qty != 0,
                              .close_position = reduce && qty == 0,
                              .instrument_index = s,
                              .stop_px = {px},
                              .order_qty = {qty}};
    memcpy(m.client_order_id, id, strlen(id));
    check_command(p->c, &m, p->now);
}

static void cancel(struct play *p, uint32_t s, const char *id) {
    struct venue_command m = {.kind = COMMAND_ORDER_CANCEL, .instrument_index = s};
    memcpy(m.client_order_id, id, strlen(id));
    check_command(p->c, &m, p->now);
}

static void leverage(struct play *p, uint32_t s, uint32_t x, bool command) {
    const struct venue_command m = {
        .kind = COMMAND_LEVERAGE_SET, .instrument_index = s, .leverage = x};
    if (command) check_command(p->c, &m, p->now);
    const struct exchange_event e = {
        .kind = EXE_LEVERAGE, .account = ACCOUNT, .instrument = s, .leverage = x, .ts_ns = p->now};
    check_exchange_event(p->c, &e);
}

static void request(struct play *p, uint32_t s, int32_t code, int64_t left_ns, int64_t told_ns) {
    const struct check_request r = {.kind = REQUEST_PLACE,
                                    .instrument = s,
                                    .code = code,
                                    .left_ns = left_ns,
                                    .told_ns = told_ns,
                                    .now_ns = p->now};
    check_request(p->c, &r);
}

static void told(struct play *p, uint32_t s, const char *id, enum venue_event_kind kind) {
    struct venue_event e = {.kind = (uint8_t)kind, .instrument_index = s, .ts_event_ns = p->now};
    memcpy(e.client_order_id, id, strlen(id));
    check_told(p->c, &e, p->now);
}

static void believe(struct play *p, uint32_t queued, const char *blocked) {
    const qty_t positions[SYMBOLS] = {{p->qty[0]}, {p->qty[1]}};
    const struct check_belief b = {.now_ns = p->now,
                                   .positions = positions,
                                   .live = p->live,
                                   .live_count = p->live_count,
                                   .totals = &p->totals,
                                   .queued = queued,
                                   .entries_blocked = blocked};
    check_belief(p->c, &b);
}

static void live(struct play *p, uint32_t s, const char *id, enum order_state state) {
    struct kernel_live_order *l = &p->live[p->live_count++];
    memset(l, 0, sizeof *l);
    memcpy(l->client_order_id, id, strlen(id));
    l->instrument_index = s;
    l->state = (uint8_t)state;
}

/* ---- the exchange ---- */

static void order_event(struct play *p, uint32_t s, const char *id, enum exchange_exec exec,
                        enum exchange_order_status status, enum side side, int64_t qty,
                        bool reduce) {
    struct exchange_event e = {.kind = EXE_ORDER,
                               .exec = (uint8_t)exec,
                               .side = (uint8_t)side,
                               .account = ACCOUNT,
                               .instrument = s,
                               .ts_ns = p->now};
    e.u.order.side = (uint8_t)side;
    e.u.order.type = e.u.order.orig_type = ORDER_MARKET;
    e.u.order.status = (uint8_t)status;
    e.u.order.reduce_only = reduce;
    e.u.order.orig_qty.e8 = qty;
    memcpy(e.u.order.client_order_id, id, strlen(id));
    check_exchange_event(p->c, &e);
}

static void income(struct play *p, enum exchange_income kind, int64_t amount) {
    const struct exchange_event e = {.kind = EXE_INCOME,
                                     .income = (uint8_t)kind,
                                     .account = ACCOUNT,
                                     .instrument = 0,
                                     .ts_ns = p->now,
                                     .amount = {amount}};
    check_exchange_event(p->c, &e);
}

/* One fill of an order that the exchange has: wallet and position, execution report, income. `wrong` is what the wallet
 * says too much, `lie` what the position does. */
static void fill_wrong(struct play *p, uint32_t s, const char *id, enum side side, int64_t qty,
                       int64_t realized, bool last, int64_t wrong, int64_t lie) {
    const int64_t fee = 5 * ONE / 100;
    p->qty[s] += side_sign(side) * qty;
    p->wallet += realized - fee;
    struct exchange_event a = {.kind = EXE_ACCOUNT,
                               .reason = REASON_ORDER,
                               .account = ACCOUNT,
                               .instrument = s,
                               .ts_ns = p->now,
                               .wallet = {p->wallet + wrong},
                               .has_position = true};
    a.position.qty.e8 = p->qty[s] + lie;
    a.position.entry_cost.e8 = p->qty[s] * 100;
    check_exchange_event(p->c, &a);
    struct exchange_event e = {.kind = EXE_ORDER,
                               .exec = EXEC_TRADE,
                               .side = (uint8_t)side,
                               .account = ACCOUNT,
                               .instrument = s,
                               .ts_ns = p->now,
                               .px = {100 * ONE},
                               .qty = {qty},
                               .commission = {fee},
                               .realized = {realized}};
    e.u.order.side = (uint8_t)side;
    e.u.order.status = last ? EXO_FILLED : EXO_PARTIALLY_FILLED;
    memcpy(e.u.order.client_order_id, id, strlen(id));
    check_exchange_event(p->c, &e);
    if (realized) income(p, INCOME_REALIZED_PNL, realized);
    income(p, INCOME_COMMISSION, -fee);
    p->totals.wallet.e8 = p->wallet;
    p->totals.fees.e8 += fee;
    p->totals.realized_pnl.e8 += realized;
}

static void fill(struct play *p, uint32_t s, const char *id, enum side side, int64_t qty,
                 int64_t realized) {
    fill_wrong(p, s, id, side, qty, realized, true, 0, 0);
}

static void algo(struct play *p, uint32_t s, const char *id, enum exchange_algo_status status,
                 enum side side, int64_t px, int64_t qty) {
    struct exchange_event e = {.kind = EXE_ALGO,
                               .side = (uint8_t)side,
                               .account = ACCOUNT,
                               .instrument = s,
                               .ts_ns = p->now};
    e.u.algo.status = (uint8_t)status;
    e.u.algo.side = (uint8_t)side;
    e.u.algo.type = ORDER_STOP_MARKET;
    e.u.algo.trigger_price.e8 = px;
    e.u.algo.qty.e8 = qty;
    e.u.algo.reduce_only = qty != 0;
    e.u.algo.close_position = qty == 0;
    memcpy(e.u.algo.client_algo_id, id, strlen(id));
    check_exchange_event(p->c, &e);
}

/* ---- pieces of a history ---- */

static void market(struct play *p, uint32_t s, const char *id, enum side side, int64_t qty,
                   bool reduce, int64_t realized) {
    submit(p, s, id, side, ORDER_MARKET, 0, qty, reduce);
    pass(p, 20 * MS);
    order_event(p, s, id, EXEC_NEW, EXO_NEW, side, qty, reduce);
    fill(p, s, id, side, qty, realized);
    request(p, s, 0, 0, 0);
}

static void stop(struct play *p, uint32_t s, uint64_t intent, uint32_t attempt, enum side side,
                 int64_t px, int64_t qty) {
    const char *id = id_of(intent, LEG_STOP, attempt);
    submit(p, s, id, side, ORDER_STOP_MARKET, px, qty, true);
    pass(p, 20 * MS);
    algo(p, s, id, EXA_NEW, side, px, qty);
}

/* 1.0 bought at 100 on symbol 0, its stop at 98 stands after 40 ms. */
static struct play *held(struct check_config config) {
    struct play *p = play_of(config);
    leverage(p, 0, 3, true);
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, ONE, false, 0);
    pass(p, 20 * MS);
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    return p;
}

static struct play *protected(void) {
    return held(check_config_defaults());
}

static void leave(struct play *p) {
    market(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ONE, true, 2 * ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    pass(p, 20 * MS);
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
}

/* ---- nothing is wrong ---- */

static void test_right(void **state) {
    (void)state;
    struct play *p = protected();
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    pass(p, 100 * SECOND);
    believe(p, 0, NULL);
    leave(p);
    p->live_count = 0;
    pass(p, 100 * SECOND);
    believe(p, 0, NULL);
    struct check_report r;
    check_report(p->c, &r);
    assert_int_equal(r.agreements, 2);
    assert_int_equal(r.entries, 1);
    assert_int_equal(r.stops, 1);
    assert_int_equal(r.naked, 1);
    assert_int_equal(r.time_to_protected[CAUSE_FILL].count, 1);
    assert_int_equal(r.time_to_protected[CAUSE_FILL].max, 40 * MS);
    end_with(p, CHECK_NONE);
}

static void test_stop_fires(void **state) {
    (void)state;
    struct play *p = protected();
    const char *id = id_of(INTENT, LEG_STOP, 0);
    pass(p, SECOND);
    algo(p, 0, id, EXA_TRIGGERING, SIDE_SELL, 98 * ONE, 0);
    fill(p, 0, id, SIDE_SELL, ONE, -2 * ONE);
    algo(p, 0, id, EXA_FINISHED, SIDE_SELL, 98 * ONE, 0);
    struct check_report r;
    check_report(p->c, &r);
    assert_int_equal(r.naked, 1); /* at its entry alone */
    end_with(p, CHECK_NONE);
}

static void test_stop_moves(void **state) {
    (void)state;
    struct play *p = protected();
    stop(p, 0, INTENT, 1, SIDE_SELL, 99 * ONE, ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    /* Not confirmed in time, dropped: the one that stood still stands. */
    stop(p, 0, INTENT, 2, SIDE_SELL, 99 * ONE + ONE / 2, ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 2));
    algo(p, 0, id_of(INTENT, LEG_STOP, 2), EXA_CANCELED, SIDE_SELL, 99 * ONE + ONE / 2, ONE);
    stop(p, 0, INTENT, 3, SIDE_SELL, 99 * ONE, 0);
    end_with(p, CHECK_NONE);
}

/* ---- 1 ---- */

static void test_two_entries(void **state) {
    (void)state;
    struct play *p = protected();
    market(p, 0, id_of(INTENT, LEG_ENTRY, 1), SIDE_BUY, ONE, false, 0);
    end_with(p, CHECK_ENTRY_ONCE);
}

static void test_entry_of_the_same_name(void **state) {
    (void)state;
    struct play *p = protected();
    leave(p);
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, ONE, false, 0);
    pass(p, 20 * MS);
    stop(p, 0, INTENT, 1, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_ENTRY_ONCE);
}

static void test_orders_of_nobody(void **state) {
    (void)state;
    struct play *p = protected();
    order_event(p, 0, id_of(78, LEG_CLOSE, 0), EXEC_NEW, EXO_NEW, SIDE_SELL, ONE, true);
    end_with(p, CHECK_ENTRY_ONCE);
    p = protected();
    order_event(p, 0, "web_1", EXEC_NEW, EXO_NEW, SIDE_SELL, ONE, true);
    end_with(p, CHECK_ENTRY_ONCE);
    p = protected();
    check_injected(p->c, CHECK_SIM(SIM_HUMAN_CLOSE), 0, p->now);
    order_event(p, 0, "web_1", EXEC_NEW, EXO_NEW, SIDE_SELL, ONE, true);
    end_with(p, CHECK_NONE);
}

/* ---- 2 ---- */

static struct play *naked_at(struct check_config config) {
    struct play *p = play_of(config);
    leverage(p, 0, 3, true);
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, ONE, false, 0);
    return p;
}

static struct play *naked(void) {
    return naked_at(check_config_defaults());
}

static void test_naked(void **state) {
    (void)state;
    struct play *p = naked();
    pass(p, 4 * SECOND);
    assert_int_equal(check_violations(p->c), 0);
    assert_int_equal(check_deadline(p->c), p->now + 1);
    pass(p, 1);
    assert_int_equal(check_violations(p->c), 1);
    end_with(p, CHECK_PROTECTED);
}

static void test_stop_swallowed(void **state) {
    (void)state;
    struct play *p = naked();
    submit(p, 0, id_of(INTENT, LEG_STOP, 0), SIDE_SELL, ORDER_STOP_MARKET, 98 * ONE, 0, true);
    told(p, 0, id_of(INTENT, LEG_STOP, 0), VENUE_ORDER_ACCEPTED);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_PROTECTED);
}

static void test_cover_that_is_none(void **state) {
    (void)state;
    struct play *p = naked(); /* half of it */
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, ONE / 2);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_PROTECTED);
    p = naked(); /* the other side */
    stop(p, 0, INTENT, 0, SIDE_BUY, 102 * ONE, 0);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_PROTECTED);
    p = naked(); /* of the other symbol */
    stop(p, 1, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_PROTECTED);
    p = naked(); /* two halves are a whole */
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, ONE / 2);
    stop(p, 0, INTENT, 1, SIDE_SELL, 97 * ONE, ONE / 2);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_NONE);
}

static void test_covered_late(void **state) {
    (void)state;
    struct play *p = naked();
    pass(p, 3 * SECOND);
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0); /* 20 ms more */
    end_with(p, CHECK_PROTECTED);
}

static struct play *closed_late(void) {
    struct play *p = naked();
    pass(p, 3 * SECOND);
    market(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ONE, true, 0);
    return p;
}

static void test_closed_and_alarmed(void **state) {
    (void)state;
    struct play *p = closed_late(); /* alarmed by the count the kernel keeps */
    p->totals.alarms = 1;
    believe(p, 0, NULL);
    end_with(p, CHECK_NONE);
    p = closed_late();
    believe(p, 0, NULL);
    end_with(p, CHECK_PROTECTED);
    p = naked(); /* by the event */
    pass(p, 3 * SECOND);
    check_alarm(p->c, 0, p->now);
    market(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ONE, true, 0);
    end_with(p, CHECK_NONE);
    p = naked(); /* another symbol's */
    pass(p, 3 * SECOND);
    check_alarm(p->c, 1, p->now);
    market(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ONE, true, 0);
    end_with(p, CHECK_PROTECTED);
}

static void test_close_that_never_ends(void **state) {
    (void)state;
    struct play *p = naked();
    submit(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ORDER_MARKET, 0, ONE, true);
    pass(p, 33 * SECOND);
    assert_int_equal(check_violations(p->c), 0);
    pass(p, SECOND);
    end_with(p, CHECK_PROTECTED);
}

static void test_clock_stops(void **state) {
    (void)state;
    struct play *p = naked();
    pass(p, 2 * SECOND);
    check_alive(p->c, false, p->now);
    pass(p, 60 * SECOND);
    check_alive(p->c, true, p->now);
    check_venue_open(p->c, false, p->now);
    pass(p, 30 * SECOND);
    check_venue_open(p->c, true, p->now);
    pass(p, 2 * SECOND); /* the budget began anew */
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    struct check_report r;
    check_report(p->c, &r);
    assert_int_equal(r.naked_interrupted, 1);
    assert_int_equal(r.longest_interrupted_ns, 94 * SECOND + 20 * MS);
    assert_int_equal(r.time_to_protected[CAUSE_FILL].count, 0);
    assert_int_equal(r.resumed.count, 1);
    assert_int_equal(r.resumed.max, 2 * SECOND + 20 * MS);
    end_with(p, CHECK_NONE);
    p = naked();
    check_venue_open(p->c, false, p->now);
    pass(p, 30 * SECOND);
    check_venue_open(p->c, true, p->now);
    pass(p, 5 * SECOND);
    end_with(p, CHECK_PROTECTED);
    /* A close asked for while it was shut is on its way, and has to come to an end; one of a process that died is not. */
    for (int died = 0; died < 2; died++) {
        p = naked();
        check_venue_open(p->c, false, p->now);
        submit(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ORDER_MARKET, 0, ONE, true);
        pass(p, 30 * SECOND);
        if (died) check_alive(p->c, false, p->now);
        check_venue_open(p->c, true, p->now);
        if (died) check_alive(p->c, true, p->now);
        pass(p, 5 * SECOND);
        assert_int_equal(check_violations(p->c), died);
        pass(p, 40 * SECOND);
        end_with(p, CHECK_PROTECTED);
    }
}

static void test_stop_lost(void **state) {
    (void)state;
    struct play *p = protected();
    pass(p, SECOND);
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_EXPIRED, SIDE_SELL, 98 * ONE, 0);
    pass(p, SECOND);
    stop(p, 0, INTENT, 1, SIDE_SELL, 98 * ONE, 0);
    struct check_report r;
    check_report(p->c, &r);
    assert_int_equal(r.time_to_protected[CAUSE_LOST].max, SECOND + 20 * MS);
    end_with(p, CHECK_NONE);
    p = protected();
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_EXPIRED, SIDE_SELL, 98 * ONE, 0);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_PROTECTED);
}

static void test_clock_from_told(void **state) {
    (void)state;
    struct check_config config = check_config_defaults();
    config.clock_from_told = true;
    struct play *p = naked_at(config);
    pass(p, 10 * SECOND);
    told(p, 0, id_of(INTENT, LEG_ENTRY, 0), VENUE_ORDER_TRADE);
    pass(p, SECOND);
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    struct check_report r;
    check_report(p->c, &r);
    assert_int_equal(r.longest_hidden_ns, 10 * SECOND);
    assert_int_equal(r.time_to_protected[CAUSE_FILL].max, SECOND + 20 * MS);
    end_with(p, CHECK_NONE);
    p = naked_at(config);
    told(p, 0, id_of(INTENT, LEG_ENTRY, 0), VENUE_ORDER_TRADE);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_PROTECTED);
}

static void test_cancelled_by_hand(void **state) {
    (void)state;
    struct play *p = protected();
    check_injected(p->c, CHECK_SIM(SIM_HUMAN_CANCEL), 0, p->now);
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    pass(p, 30 * SECOND);
    stop(p, 0, INTENT, 1, SIDE_SELL, 98 * ONE, 0);
    struct check_report r;
    check_report(p->c, &r);
    assert_int_equal(r.time_to_protected[CAUSE_FOREIGN].count, 1);
    end_with(p, CHECK_NONE);
    p = protected();
    check_injected(p->c, CHECK_SIM(SIM_HUMAN_CANCEL), CHECK_ALL, p->now);
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    pass(p, 42 * SECOND);
    end_with(p, CHECK_PROTECTED);
}

/* ---- 3 ---- */

static void test_position_differs(void **state) {
    (void)state;
    struct play *p = protected();
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    p->qty[0] = 0; /* a lost fill */
    pass(p, 39 * SECOND);
    believe(p, 0, NULL);
    assert_int_equal(check_violations(p->c), 0);
    pass(p, 2 * SECOND);
    believe(p, 0, NULL);
    believe(p, 0, NULL);
    assert_int_equal(count_of(p, CHECK_AGREEMENT), 1); /* told once */
    end_with(p, CHECK_AGREEMENT);
}

static void test_orders_differ(void **state) {
    (void)state;
    struct play *p = protected(); /* the exchange has one the kernel forgot */
    pass(p, 50 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_AGREEMENT);
    p = protected(); /* the kernel believes in one too many */
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    live(p, 0, id_of(INTENT, LEG_TAKE_PROFIT, 0), ORDER_NEW);
    pass(p, 50 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_AGREEMENT);
    p = protected(); /* what is on its way is no belief */
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    live(p, 0, id_of(INTENT, LEG_TAKE_PROFIT, 0), ORDER_UNKNOWN);
    pass(p, 50 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_NONE);
}

static void test_wallet_differs(void **state) {
    (void)state;
    struct play *p = protected();
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    p->totals.wallet.e8 += 1;
    p->totals.realized_pnl.e8 += 1;
    pass(p, 50 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_AGREEMENT);
}

static void test_not_asked_while_disturbed(void **state) {
    (void)state;
    struct play *p = protected();
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    p->qty[0] = 0;
    pass(p, 50 * SECOND);
    check_alive(p->c, false, p->now);
    pass(p, SECOND);
    check_alive(p->c, true, p->now);
    pass(p, 30 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_NONE);
}

static void test_cycle_that_was_struck(void **state) {
    (void)state;
    struct play *p = protected();
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    p->qty[0] = 0;
    pass(p, 35 * SECOND);
    check_injected(p->c, FAULT_UNAVAILABLE, CHECK_ALL, p->now);
    pass(p, 8 * SECOND);
    believe(p, 0, NULL);
    assert_int_equal(check_violations(p->c), 0);
    check_injected(p->c, FAULT_DROP, CHECK_ALL, p->now); /* of a stream: no excuse */
    pass(p, 6 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_AGREEMENT);
}

/* ---- 4 ---- */

static void test_money(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct play *p = protected();
        const char *id = id_of(INTENT, LEG_CLOSE, 0);
        submit(p, 0, id, SIDE_SELL, ORDER_MARKET, 0, ONE / 2, true);
        order_event(p, 0, id, EXEC_NEW, EXO_NEW, SIDE_SELL, ONE / 2, true);
        fill_wrong(p, 0, id, SIDE_SELL, ONE / 2, ONE, true, i == 0, i == 1);
        if (i == 2) income(p, INCOME_FUNDING_FEE, 1); /* a row that is not in the wallet */
        pass(p, 1);
        end_with(p, CHECK_MONEY);
    }
}

static void test_funding_and_transfers(void **state) {
    (void)state;
    struct play *p = protected();
    const enum exchange_income kinds[] = {INCOME_FUNDING_FEE, INCOME_TRANSFER,
                                          INCOME_INSURANCE_CLEAR};
    for (int i = 0; i < 3; i++) {
        p->wallet += 12345;
        const struct exchange_event a = {.kind = EXE_ACCOUNT,
                                         .account = ACCOUNT,
                                         .instrument = UINT32_MAX,
                                         .ts_ns = p->now,
                                         .wallet = {p->wallet}};
        check_exchange_event(p->c, &a);
        income(p, kinds[i], 12345);
    }
    p->totals.wallet.e8 = p->wallet;
    p->totals.funding.e8 = 12345;
    p->totals.unexplained.e8 =
        2 * 12345; /* it is told of no transfers, and of no money of the fund */
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    pass(p, 50 * SECOND);
    believe(p, 0, NULL);
    assert_int_equal(check_violations(p->c), 0);
    /* More is unexplained than there is to explain: something of ours was not booked. */
    p->totals.funding.e8 -= 1;
    p->totals.unexplained.e8 += 1;
    believe(p, 0, NULL);
    end_with(p, CHECK_MONEY);
}

/* A hand's round trip while nobody listened: its fees are unexplained, and nothing beside them. */
static void test_unexplained(void **state) {
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct play *p = play();
        const int64_t fees = 2 * 5 * ONE / 100;
        for (int i = 0; i < 2; i++) {
            const enum side side = i == 0 ? SIDE_BUY : SIDE_SELL;
            const char *id = i == 0 ? "web_1" : "web_2";
            check_injected(p->c, CHECK_SIM(SIM_HUMAN_OPEN), 0, p->now);
            order_event(p, 0, id, EXEC_NEW, EXO_NEW, side, ONE, false);
            fill(p, 0, id, side, ONE, 0);
        }
        p->totals.fees.e8 = more;
        p->totals.unexplained.e8 = more - fees;
        pass(p, 50 * SECOND);
        believe(p, 0, NULL);
        assert_int_equal(check_violations(p->c), 0);
        p->totals.fees.e8 = -1;
        p->totals.unexplained.e8 = -fees - 1;
        if (more) believe(p, 0, NULL);
        end_with(p, more ? CHECK_MONEY : CHECK_NONE);
    }
}

/* ---- 5 ---- */

static void test_reasons(void **state) {
    (void)state;
    struct play *p = play();
    p->totals.signals = 10;
    p->totals.intents = p->totals.delivered = 6;
    p->totals.denied = 2;
    p->totals.refusals[RISK_COOLDOWN] = 4;
    p->totals.refusals[RISK_MARGIN] = 2;
    believe(p, 0, NULL);
    assert_int_equal(check_violations(p->c), 0);
    p->totals.refusals[RISK_MARGIN] = 1; /* one without a reason */
    believe(p, 0, NULL);
    end_with(p, CHECK_REASONS);
    p = play();
    p->totals.denied = p->totals.refusals[RISK_MARGIN] = 1;
    believe(p, 0, NULL);
    end_with(p, CHECK_REASONS);
}

static void test_close_refused(void **state) {
    (void)state;
    struct play *p = protected();
    check_stopped(p->c, true, p->now);
    check_close_wanted(p->c, CHECK_ALL, p->now);
    pass(p, 5 * SECOND);
    end_with(p, CHECK_REASONS);
    p = protected();
    check_close_wanted(p->c, CHECK_ALL, p->now);
    leave(p);
    pass(p, 5 * SECOND);
    end_with(p, CHECK_NONE);
    /* What a hand holds is found out by a cycle, and then it is to be closed all the same. */
    for (int never = 0; never < 2; never++) {
        p = protected();
        check_injected(p->c, CHECK_SIM(SIM_HUMAN_OPEN), 0, p->now);
        order_event(p, 0, "web_1", EXEC_NEW, EXO_NEW, SIDE_BUY, ONE, false);
        fill(p, 0, "web_1", SIDE_BUY, ONE, 0);
        check_close_wanted(p->c, CHECK_ALL, p->now);
        pass(p, 39 * SECOND);
        assert_int_equal(check_violations(p->c), 0);
        if (!never) submit(p, 0, id_of(2, LEG_CLOSE, 0), SIDE_SELL, ORDER_MARKET, 0, 2 * ONE, true);
        pass(p, 10 * SECOND);
        end_with(p, never ? CHECK_REASONS : CHECK_NONE);
    }
}

/* ---- 6 ---- */

static void test_codes(void **state) {
    (void)state;
    struct play *p = protected();
    request(p, 0, -4006, 0, 0);
    end_with(p, CHECK_VALID);
    p = protected();
    check_injected(p->c, FAULT_FILTERS, 0, p->now); /* is no excuse for these */
    request(p, 0, -4045, 0, 0);
    end_with(p, CHECK_VALID);
    p = protected();
    request(p, 0, -1111, 0, 0);
    end_with(p, CHECK_VALID);
    p = protected();
    check_injected(p->c, FAULT_FILTERS, 1, p->now); /* the other symbol's */
    request(p, 0, -1111, 0, 0);
    end_with(p, CHECK_VALID);
}

static void test_first_reply(void **state) {
    (void)state;
    struct play *p = protected();
    struct check_report r;
    check_injected(p->c, FAULT_FILTERS, 0, p->now);
    pass(p, SECOND);
    request(p, 0, -1111, p->now - 20 * MS, p->now + 20 * MS);
    request(p, 0, -4014, p->now - 10 * MS,
            p->now + 30 * MS);  /* had left before the first was known */
    request(p, 0, -2021, 0, 0); /* belongs to trading */
    pass(p, SECOND);
    request(p, 0, 0, 0, 0);
    check_report(p->c, &r);
    assert_int_equal(r.codes[4].code, -1111); /* in the order of the table */
    assert_int_equal(r.codes[4].first, 1);
    assert_int_equal(r.codes[5].flight, 1);
    assert_int_equal(r.first_refusals_followed, 1);
    assert_int_equal(check_violations(p->c), 0);
    request(p, 0, -1111, 0, 0); /* it knows by now */
    end_with(p, CHECK_VALID);
    p = protected(); /* sent at the moment the first was known: that is known */
    check_injected(p->c, FAULT_FILTERS, 0, p->now);
    request(p, 0, -1111, p->now - 20 * MS, p->now);
    request(p, 0, -1111, p->now, p->now + MS);
    end_with(p, CHECK_VALID);
    p = protected(); /* margin is the account's: any symbol's jump */
    check_injected(p->c, CHECK_SIM(SIM_GAP), 1, p->now);
    request(p, 0, -2019, 0, 0);
    end_with(p, CHECK_NONE);
}

/* ---- 7 ---- */

static void test_other_direction(void **state) {
    (void)state;
    struct play *p = protected();
    market(p, 0, id_of(78, LEG_ENTRY, 0), SIDE_SELL, ONE / 2, false, 0);
    end_with(p, CHECK_DIRECTION);
    p = protected(); /* through flat and beyond */
    market(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, 2 * ONE, true, 0);
    stop(p, 0, 78, 0, SIDE_BUY, 102 * ONE, 0);
    end_with(p, CHECK_DIRECTION);
    p = protected(); /* the hand bought what we sell: it cannot know */
    leave(p);
    check_injected(p->c, CHECK_SIM(SIM_HUMAN_OPEN), 0, p->now);
    order_event(p, 0, "web_1", EXEC_NEW, EXO_NEW, SIDE_BUY, ONE, false);
    fill(p, 0, "web_1", SIDE_BUY, ONE, 0);
    market(p, 0, id_of(78, LEG_ENTRY, 0), SIDE_SELL, ONE / 2, false, 0);
    stop(p, 0, 79, 0, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_NONE);
}

static void test_entries_of_both_sides(void **state) {
    (void)state;
    struct play *p = play();
    leverage(p, 0, 3, true);
    submit(p, 0, id_of(1, LEG_ENTRY, 0), SIDE_BUY, ORDER_LIMIT, 0, ONE, false);
    submit(p, 0, id_of(2, LEG_ENTRY, 0), SIDE_SELL, ORDER_LIMIT, 0, ONE, false);
    order_event(p, 0, id_of(1, LEG_ENTRY, 0), EXEC_NEW, EXO_NEW, SIDE_BUY, ONE, false);
    order_event(p, 0, id_of(2, LEG_ENTRY, 0), EXEC_NEW, EXO_NEW, SIDE_SELL, ONE, false);
    end_with(p, CHECK_DIRECTION);
}

static void test_ceilings(void **state) {
    (void)state;
    struct play *p = play();
    leverage(p, 0, RISK_LEVERAGE_CEILING + 1, true); /* asked for */
    end_with(p, CHECK_DIRECTION);
    p = play(); /* never set: the exchange's own 20 */
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, ONE, false, 0);
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_DIRECTION);
    p = play(); /* 400 at 100 with 10000: four times the equity */
    leverage(p, 0, 10, true);
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, 400 * ONE, false, 0);
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_DIRECTION);
    p = play(); /* the whole ceiling */
    leverage(p, 0, RISK_LEVERAGE_CEILING, true);
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, 300 * ONE, false, 0);
    stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_NONE);
    p = protected(); /* by hand: a while to notice */
    leave(p);
    check_injected(p->c, CHECK_SIM(SIM_HUMAN_LEVERAGE), 0, p->now);
    leverage(p, 0, 20, false);
    market(p, 0, id_of(78, LEG_ENTRY, 0), SIDE_BUY, ONE, false, 0);
    stop(p, 0, 78, 0, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_NONE);
}

static void test_order_that_could_open(void **state) {
    (void)state;
    struct play *p = protected(); /* a close without reduce-only */
    market(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ONE, false, 0);
    end_with(p, CHECK_DIRECTION);
}

/* ---- 8 ---- */

static void test_loosened(void **state) {
    (void)state;
    struct play *p = protected(); /* the new one is farther away */
    stop(p, 0, INTENT, 1, SIDE_SELL, 97 * ONE, ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_RATCHET);
    p = protected(); /* after a move, lost, and asked for where it was before */
    stop(p, 0, INTENT, 1, SIDE_SELL, 99 * ONE, ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    algo(p, 0, id_of(INTENT, LEG_STOP, 1), EXA_EXPIRED, SIDE_SELL, 99 * ONE, ONE);
    stop(p, 0, INTENT, 2, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_RATCHET);
    p = play(); /* of a short the other way round */
    leverage(p, 0, 3, true);
    market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_SELL, ONE, false, 0);
    stop(p, 0, INTENT, 0, SIDE_BUY, 102 * ONE, 0);
    stop(p, 0, INTENT, 1, SIDE_BUY, 103 * ONE, ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    end_with(p, CHECK_RATCHET);
}

static void test_cancel_before_replacement(void **state) {
    (void)state;
    struct play *p = protected();
    submit(p, 0, id_of(INTENT, LEG_STOP, 1), SIDE_SELL, ORDER_STOP_MARKET, 99 * ONE, ONE, true);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    pass(p, 20 * MS);
    algo(p, 0, id_of(INTENT, LEG_STOP, 1), EXA_NEW, SIDE_SELL, 99 * ONE, ONE);
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    assert_int_equal(count_of(p, CHECK_RATCHET), 1);
    end_with(p, CHECK_RATCHET);
    p = protected(); /* the replacement covers a part */
    stop(p, 0, INTENT, 1, SIDE_SELL, 99 * ONE, ONE / 2);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    end_with(p, CHECK_RATCHET);
}

/* The step is 2 and the tick 3 by now, and 1 is held under a stop at 98: what is asked for is rounded up, and towards the
 * market. The venue cuts an order that only reduces; farther than what stood is looser, whatever the tick. */
static void test_coarser_rules(void **state) {
    (void)state;
    struct play *p = protected();
    check_injected(p->c, FAULT_FILTERS, 0, p->now);
    stop(p, 0, INTENT, 1, SIDE_SELL, 99 * ONE, 2 * ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    check_close_wanted(p->c, 0, p->now);
    submit(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ORDER_MARKET, 0, 2 * ONE, true);
    pass(p, 20 * MS);
    order_event(p, 0, id_of(INTENT, LEG_CLOSE, 0), EXEC_NEW, EXO_NEW, SIDE_SELL, 2 * ONE, true);
    fill(p, 0, id_of(INTENT, LEG_CLOSE, 0), SIDE_SELL, ONE, 2 * ONE);
    order_event(p, 0, id_of(INTENT, LEG_CLOSE, 0), EXEC_EXPIRED, EXO_EXPIRED, SIDE_SELL, 2 * ONE,
                true);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 1));
    algo(p, 0, id_of(INTENT, LEG_STOP, 1), EXA_CANCELED, SIDE_SELL, 99 * ONE, 2 * ONE);
    pass(p, 10 * SECOND);
    end_with(p, CHECK_NONE);
    p = protected(); /* rounded away from the market, by less than a tick */
    check_injected(p->c, FAULT_FILTERS, 0, p->now);
    stop(p, 0, INTENT, 1, SIDE_SELL, 96 * ONE, 2 * ONE);
    cancel(p, 0, id_of(INTENT, LEG_STOP, 0));
    end_with(p, CHECK_RATCHET);
    p = protected(); /* that it is less than a step is no reason to keep it */
    check_injected(p->c, FAULT_FILTERS, 0, p->now);
    check_close_wanted(p->c, 0, p->now);
    pass(p, 5 * SECOND);
    end_with(p, CHECK_REASONS);
}

static void test_cancelled_by_nobody(void **state) {
    (void)state;
    struct play *p = protected();
    algo(p, 0, id_of(INTENT, LEG_STOP, 0), EXA_CANCELED, SIDE_SELL, 98 * ONE, 0);
    stop(p, 0, INTENT, 1, SIDE_SELL, 98 * ONE, 0);
    end_with(p, CHECK_RATCHET);
}

/* ---- 10, 11, 12 ---- */

static void test_replay(void **state) {
    (void)state;
    struct play *p = play();
    check_replay(p->c, "state", 5, 5);
    assert_int_equal(check_violations(p->c), 0);
    check_replay(p->c, "state", 5, 6);
    end_with(p, CHECK_REPLAY);
}

static struct play *calm(void) {
    struct play *p = protected();
    live(p, 0, id_of(INTENT, LEG_STOP, 0), ORDER_NEW);
    check_calm(p->c, p->now);
    pass(p, 601 * SECOND);
    return p;
}

static void test_liveness(void **state) {
    (void)state;
    struct play *p = calm();
    believe(p, 0, NULL);
    end_with(p, CHECK_NONE);
    p = calm();
    believe(p, 1, NULL);
    end_with(p, CHECK_LIVENESS);
    p = calm();
    believe(p, 0, "the link to the venue is down");
    end_with(p, CHECK_LIVENESS);
    p = calm(); /* somebody's wish */
    check_stopped(p->c, true, p->now);
    believe(p, 0, "emergency_stop");
    end_with(p, CHECK_NONE);
    p = calm(); /* an order in limbo for more than T, and one for less */
    live(p, 1, id_of(78, LEG_ENTRY, 0), ORDER_UNKNOWN);
    submit(p, 1, id_of(78, LEG_ENTRY, 0), SIDE_BUY, ORDER_MARKET, 0, ONE, false);
    believe(p, 0, NULL);
    assert_int_equal(check_violations(p->c), 0);
    pass(p, 601 * SECOND);
    believe(p, 0, NULL);
    end_with(p, CHECK_LIVENESS);
}

static void test_capacity(void **state) {
    (void)state;
    struct play *p = play();
    for (uint32_t i = 0; i < 1000; i++) /* ended ones make room */
        submit(p, 0, id_of(i, LEG_ENTRY, 0), SIDE_BUY, ORDER_MARKET, 0, ONE, false),
            told(p, 0, id_of(i, LEG_ENTRY, 0), VENUE_ORDER_REJECTED);
    assert_int_equal(check_violations(p->c), 0);
    for (uint32_t i = 0; i < 65; i++)
        submit(p, 0, id_of(i + 1000, LEG_ENTRY, 0), SIDE_BUY, ORDER_MARKET, 0, ONE, false);
    end_with(p, CHECK_CAPACITY);
}

/* ---- what is told of it ---- */

static void test_coverage(void **state) {
    (void)state;
    struct play *p = play();
    struct check_coverage a, b;
    check_injected(p->c, CHECK_SIM(SIM_KILL), CHECK_ALL, p->now);
    submit(p, 0, id_of(1, LEG_ENTRY, 0), SIDE_BUY, ORDER_MARKET, 0, ONE, false);
    check_injected(p->c, CHECK_SIM(SIM_KILL), 0, p->now);
    told(p, 0, id_of(1, LEG_ENTRY, 0), VENUE_ORDER_ACCEPTED);
    told(p, 0, id_of(1, LEG_ENTRY, 0), VENUE_ORDER_REJECTED); /* illegal: it was accepted */
    check_coverage(p->c, &a);
    struct check_coverage_counts n = check_coverage_count(&a);
    assert_int_equal(n.legal, 2);
    assert_int_equal(n.illegal, 1);
    assert_int_equal(n.phases, 2); /* flat, entering */
    assert_int_equal(a.phases[CHECK_SIM(SIM_KILL)], 1 << EXITS_FLAT | 1 << EXITS_ENTERING);
    end_with(p, CHECK_NONE);
    p = protected();
    check_injected(p->c, CHECK_SIM(SIM_KILL), 0, p->now);
    check_injected(p->c, FAULT_LOST_ACK, 0, p->now);
    check_injected(p->c, CHECK_SIM(SIM_EXECUTOR), 0, p->now);
    check_coverage(p->c, &b);
    check_coverage_merge(&a, &b);
    assert_int_equal(check_coverage_count(&a).phases, 5);
    assert_string_equal(check_injection_name(CHECK_SIM(SIM_EXECUTOR)), "second_executor");
    assert_string_equal(check_injection_name(CHECK_SIM(SIM_KILL)), "process_crash");
    assert_string_equal(check_injection_name(FAULT_LOST_ACK), "lost_ack");
    end_with(p, CHECK_NONE);
}

static void test_explain(void **state) {
    (void)state;
    struct play *p = naked();
    pass(p, 5 * SECOND);
    size_t size = check_explain(p->c, NULL, 0);
    char *text = malloc(size + 1);
    assert_non_null(text);
    assert_int_equal(check_explain(p->c, text, size + 1), size);
    assert_non_null(strstr(text, "2 protected at event"));
    assert_non_null(strstr(text, "VIOLATION of 2 protected"));
    assert_non_null(strstr(text, "NAKED"));
    char part[64]; /* cut short, ended all the same */
    assert_int_equal(check_explain(p->c, part, sizeof part), size);
    assert_int_equal(strlen(part), sizeof part - 1);
    free(text);
    const struct check_violation *v = check_violation(p->c, 0);
    assert_non_null(v);
    assert_int_equal(v->number, CHECK_PROTECTED);
    assert_int_equal(v->instrument, 0);
    assert_int_equal(v->ts_ns, p->now);
    assert_null(check_violation(p->c, 1));
    struct check_report sum = {0}, one;
    check_report(p->c, &one);
    check_report_merge(&sum, &one);
    check_report_merge(&sum, &one);
    assert_int_equal(sum.by_number[CHECK_PROTECTED], 2);
    assert_int_equal(sum.codes[0].code, one.codes[0].code);
    end_with(p, CHECK_PROTECTED);
}

/* ---- another run on the account ---- */

enum { OTHER_RUN = 5 };

static const char *other_id(enum oms_leg leg) {
    static char id[CLIENT_ORDER_ID_SIZE];
    oms_order_name(id, &(struct oms_request){.leg = leg, .intent_id = 9, .run = OTHER_RUN});
    return id;
}

/* Its orders are nobody's here, and are not to be cancelled but by an injected hand. */
static void test_other_run(void **state) {
    (void)state;
    for (int by = 0; by < 3; by++) { /* it expires; a hand; the trader */
        struct play *p = protected();
        check_other_run(p->c, OTHER_RUN, true, p->now);
        check_injected(p->c, CHECK_SIM(SIM_OTHER_RUN), 1, p->now);
        algo(p, 1, other_id(LEG_STOP), EXA_NEW, SIDE_SELL, 98 * ONE, ONE);
        pass(p, 60 * SECOND);
        if (by == 1) check_injected(p->c, CHECK_SIM(SIM_HUMAN_CANCEL), 1, p->now);
        algo(p, 1, other_id(LEG_STOP), by ? EXA_CANCELED : EXA_EXPIRED, SIDE_SELL, 98 * ONE, ONE);
        end_with(p, by == 2 ? CHECK_DIRECTION : CHECK_NONE);
    }
}

/* Nothing is entered beside it once it can be known of. */
static void test_entry_beside_other_run(void **state) {
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct play *p = play();
        pass(p, 60 * SECOND);
        leverage(p, 0, 3, true);
        check_other_run(p->c, OTHER_RUN, true, p->now);
        pass(p, late ? 60 * SECOND : 10 * SECOND);
        market(p, 0, id_of(INTENT, LEG_ENTRY, 0), SIDE_BUY, ONE, false, 0);
        stop(p, 0, INTENT, 0, SIDE_SELL, 98 * ONE, 0);
        end_with(p, late ? CHECK_DIRECTION : CHECK_NONE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_stop_fires),
        cmocka_unit_test(test_stop_moves),
        cmocka_unit_test(test_two_entries),
        cmocka_unit_test(test_entry_of_the_same_name),
        cmocka_unit_test(test_orders_of_nobody),
        cmocka_unit_test(test_naked),
        cmocka_unit_test(test_stop_swallowed),
        cmocka_unit_test(test_cover_that_is_none),
        cmocka_unit_test(test_covered_late),
        cmocka_unit_test(test_closed_and_alarmed),
        cmocka_unit_test(test_close_that_never_ends),
        cmocka_unit_test(test_clock_stops),
        cmocka_unit_test(test_stop_lost),
        cmocka_unit_test(test_clock_from_told),
        cmocka_unit_test(test_cancelled_by_hand),
        cmocka_unit_test(test_position_differs),
        cmocka_unit_test(test_orders_differ),
        cmocka_unit_test(test_wallet_differs),
        cmocka_unit_test(test_not_asked_while_disturbed),
        cmocka_unit_test(test_cycle_that_was_struck),
        cmocka_unit_test(test_money),
        cmocka_unit_test(test_funding_and_transfers),
        cmocka_unit_test(test_unexplained),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_close_refused),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_first_reply),
        cmocka_unit_test(test_other_direction),
        cmocka_unit_test(test_entries_of_both_sides),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_order_that_could_open),
        cmocka_unit_test(test_loosened),
        cmocka_unit_test(test_cancel_before_replacement),
        cmocka_unit_test(test_coarser_rules),
        cmocka_unit_test(test_cancelled_by_nobody),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_liveness),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_other_run),
        cmocka_unit_test(test_entry_beside_other_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
