/* Orders as evidence: a true history, shuffled and doubled, is told as if it had come in order; doubt ends only by what
 * the venue says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/binance/orders.h"

enum { EVENTS_MAX = 32, TOLD_MAX = 64, RUNS = 4000 };

struct evidence {
    bool algo;
    struct stream_order order;
    struct stream_algo algo_event;
    int64_t ts_ns;
};
struct history {
    struct evidence events[EVENTS_MAX];
    uint32_t count;
};
struct told {
    struct venue_event events[TOLD_MAX];
    uint32_t count;
};

static void tell(void *context, const struct venue_event *e) {
    struct told *t = context;
    assert_true(t->count < TOLD_MAX);
    t->events[t->count++] = *e;
}

static struct stream_order *report(struct history *h, const char *id, enum exec_type exec,
                                   enum venue_status status) {
    struct evidence *e = &h->events[h->count++];
    memset(e, 0, sizeof *e);
    e->ts_ns = (int64_t)h->count * NS_PER_MS;
    e->order = (struct stream_order){.side = SIDE_SELL,
                                     .type = ORDER_MARKET,
                                     .exec = (uint8_t)exec,
                                     .status = (uint8_t)status,
                                     .order_id = 77,
                                     .order_qty = {1000},
                                     .trade_ns = e->ts_ns};
    snprintf(e->order.client_id, sizeof e->order.client_id, "%s", id);
    return &e->order;
}

static struct stream_algo *algo_report(struct history *h, enum algo_status status,
                                       uint64_t child_id) {
    struct evidence *e = &h->events[h->count++];
    memset(e, 0, sizeof *e);
    e->algo = true;
    e->ts_ns = (int64_t)h->count * NS_PER_MS;
    e->algo_event = (struct stream_algo){.side = SIDE_SELL,
                                         .type = ORDER_STOP_MARKET,
                                         .status = (uint8_t)status,
                                         .algo_id = 5001,
                                         .child_id = child_id,
                                         .order_qty = {1000},
                                         .client_id = "a"};
    return &e->algo_event;
}

/* Fills of `total` in random pieces; returns the last cumulative quantity. */
static int64_t fills(struct history *h, struct rng *rng, const char *id, int64_t total) {
    int64_t cum = 0;
    for (uint64_t trade = 100; cum < total; trade++) {
        int64_t piece = 1 + (int64_t)rng_below(rng, (uint64_t)(total - cum));
        if (trade == 105) piece = total - cum;
        cum += piece;
        struct stream_order *o =
            report(h, id, EXEC_TYPE_TRADE, cum == 1000 ? STATUS_FILLED : STATUS_PARTIALLY_FILLED);
        o->last_qty.e8 = piece;
        o->cum_qty.e8 = cum;
        o->last_px.e8 = 100 * FX_ONE;
        o->trade_id = trade;
        o->commission.e8 = piece;
    }
    return cum;
}

enum shape {
    SHAPE_FILLED,
    SHAPE_CANCELED,
    SHAPE_EXPIRED,
    SHAPE_ALGO_FILLED,
    SHAPE_ALGO_OTHER_ID,
    SHAPE_ALGO_CANCELED,
    SHAPE_ALGO_REJECTED,
    SHAPE_CLASSIC_STOP,
    SHAPES
};

static void make(struct history *h, struct rng *rng, enum shape shape) {
    h->count = 0;
    bool algo = shape >= SHAPE_ALGO_FILLED && shape <= SHAPE_ALGO_REJECTED;
    const char *id = shape == SHAPE_ALGO_OTHER_ID ? "child" : "a";
    if (algo) (void)algo_report(h, ALGO_NEW, 0);
    switch (shape) {
    case SHAPE_FILLED:
        (void)report(h, "a", EXEC_TYPE_NEW, STATUS_NEW);
        (void)fills(h, rng, "a", 1000);
        return;
    case SHAPE_CANCELED:
    case SHAPE_EXPIRED: {
        (void)report(h, "a", EXEC_TYPE_NEW, STATUS_NEW);
        int64_t cum = fills(h, rng, "a", (int64_t)rng_below(rng, 999));
        bool canceled = shape == SHAPE_CANCELED;
        struct stream_order *o = report(h, "a", canceled ? EXEC_TYPE_CANCELED : EXEC_TYPE_EXPIRED,
                                        canceled ? STATUS_CANCELED : STATUS_EXPIRED);
        o->cum_qty.e8 = cum;
        o->expiry = canceled ? 0 : 2;
        return;
    }
    case SHAPE_ALGO_FILLED:
    case SHAPE_ALGO_OTHER_ID:
        (void)algo_report(h, ALGO_TRIGGERING, 0);
        (void)report(h, id, EXEC_TYPE_NEW, STATUS_NEW);
        (void)fills(h, rng, id, 1000);
        (void)algo_report(h, ALGO_TRIGGERED, 77);
        algo_report(h, ALGO_FINISHED, 77)->filled_qty.e8 = 1000;
        return;
    case SHAPE_ALGO_CANCELED:
        (void)algo_report(h, ALGO_CANCELED, 0);
        return;
    case SHAPE_ALGO_REJECTED:
        (void)algo_report(h, ALGO_TRIGGERING, 0);
        (void)algo_report(h, ALGO_REJECTED, 0);
        return;
    case SHAPE_CLASSIC_STOP: {
        report(h, "a", EXEC_TYPE_NEW, STATUS_NEW)->type = ORDER_STOP_MARKET;
        struct stream_order *o = report(h, "a", EXEC_TYPE_EXPIRED, STATUS_EXPIRED);
        o->type = ORDER_STOP_MARKET;
        o->expiry = 8;
        (void)report(h, "a", EXEC_TYPE_NEW, STATUS_NEW);
        (void)fills(h, rng, "a", 1000);
        return;
    }
    case SHAPES:
        return;
    }
}

static struct orders *orders_with(struct told *t, enum shape shape) {
    struct orders *os = malloc(sizeof *os);
    assert_non_null(os);
    t->count = 0;
    binance_orders_init(os, tell, t);
    struct order *o = binance_orders_add(os, "a", 3);
    o->side = SIDE_SELL;
    o->type = shape >= SHAPE_ALGO_FILLED ? ORDER_STOP_MARKET : ORDER_MARKET;
    o->conditional = shape >= SHAPE_ALGO_FILLED;
    o->on_algo = o->conditional && shape != SHAPE_CLASSIC_STOP;
    o->order_qty.e8 = 1000;
    return os;
}

static void feed(struct orders *os, const struct evidence *e, int64_t now_ns) {
    if (e->algo)
        binance_orders_stream_algo(os, 3, &e->algo_event, e->ts_ns, now_ns);
    else
        binance_orders_stream(os, 3, &e->order, e->ts_ns, now_ns);
}

static void compare(const struct told *a, const struct told *b, enum shape shape, uint64_t seed) {
    if (a->count != b->count)
        fail_msg("seed %llu shape %d: %u events, %u in order", (unsigned long long)seed, (int)shape,
                 b->count, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct venue_event *x = &a->events[i], *y = &b->events[i];
        if (x->kind != y->kind || x->trade_id != y->trade_id || x->code != y->code ||
            x->last_qty.e8 != y->last_qty.e8 || x->cum_qty.e8 != y->cum_qty.e8 ||
            x->leaves_qty.e8 != y->leaves_qty.e8 || x->avg_cost.e8 != y->avg_cost.e8 ||
            x->wallet.e8 != y->wallet.e8)
            fail_msg("seed %llu shape %d: event %u is %d, %d in order", (unsigned long long)seed,
                     (int)shape, i, y->kind, x->kind);
    }
}

static void test_shuffled(void **state) {
    const char *text = getenv("TEST_SEED");
    uint64_t first = text ? strtoull(text, NULL, 10) : 1;
    (void)state;
    print_message("TEST_SEED=%llu\n", (unsigned long long)first);
    for (uint64_t seed = first; seed < first + RUNS; seed++) {
        struct rng rng = rng_init(seed);
        enum shape shape = (enum shape)(seed % SHAPES);
        struct history h;
        struct told in_order, shuffled;
        make(&h, &rng, shape);
        struct orders *os = orders_with(&in_order, shape);
        for (uint32_t i = 0; i < h.count; i++) feed(os, &h.events[i], NS_PER_SECOND);
        assert_int_equal(os->active_count, 0);
        free(os);
        os = orders_with(&shuffled, shape);
        struct evidence mixed[2 * EVENTS_MAX];
        uint32_t n = 0;
        for (uint32_t i = 0; i < h.count; i++) {
            mixed[n++] = h.events[i];
            if (rng_below(&rng, 3) == 0) mixed[n++] = h.events[i];
        }
        for (uint32_t i = n - 1; i > 0; i--) {
            uint32_t j = (uint32_t)rng_below(&rng, i + 1);
            struct evidence e = mixed[i];
            mixed[i] = mixed[j];
            mixed[j] = e;
        }
        for (uint32_t i = 0; i < n; i++) feed(os, &mixed[i], NS_PER_SECOND);
        (void)binance_orders_time(os, NS_PER_SECOND);
        compare(&in_order, &shuffled, shape, seed);
        assert_int_equal(os->active_count, 0);
        free(os);
    }
}

/* ---- doubt ---- */

static struct rest_order row(enum venue_status status, int64_t cum) {
    struct rest_order r = {.order_id = 77,
                           .side = SIDE_SELL,
                           .type = ORDER_MARKET,
                           .status = (uint8_t)status,
                           .order_qty = {1000},
                           .cum_qty = {cum},
                           .update_ns = 1};
    strcpy(r.client_id, "a");
    return r;
}

static void test_absent_counts_only_after_the_window(void **state) {
    (void)state;
    struct told t;
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order *o = binance_orders_find(os, "a");
    int64_t window = 50 * NS_PER_SECOND, now = NS_PER_SECOND;
    binance_order_unknown(o, window, now);
    assert_int_equal(o->query_at_ns, now);
    for (int i = 0; i < 5; i++) {
        binance_order_absent(os, o, window - i, now += NS_PER_SECOND);
        assert_int_equal(t.count, 0);
    }
    binance_order_absent(os, o, 0, now += NS_PER_SECOND); /* the venue's time is not known */
    assert_int_equal(t.count, 0);
    binance_order_absent(os, o, window + 1, now += NS_PER_SECOND);
    assert_int_equal(t.count, 0); /* once is not enough */
    binance_order_absent(os, o, window + 2, now += 100 * NS_PER_MS);
    assert_int_equal(t.count, 0); /* nor twice at once */
    binance_order_absent(os, o, window + 3, now + 300 * NS_PER_MS);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.events[0].kind, VENUE_ORDER_REJECTED);
    assert_int_equal(t.events[0].code, BINANCE_NEVER_PLACED);
    free(os);
}

static void test_found_is_adopted(void **state) {
    (void)state;
    struct told t;
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order *o = binance_orders_find(os, "a");
    binance_order_unknown(o, 50 * NS_PER_SECOND, 1);
    binance_order_absent(os, o, 60 * NS_PER_SECOND, 2);
    struct rest_order r = row(STATUS_FILLED, 1000);
    binance_order_row(os, o, &r, NS_PER_SECOND);
    /* Filled, says the row: its fills are asked for before the end is told. */
    assert_int_equal(t.count, 1);
    assert_int_equal(t.events[0].kind, VENUE_ORDER_ACCEPTED);
    assert_true(o->trades_at_ns > 0);
    const struct order_fill f = {
        .trade_id = 9, .cum_qty = {1000}, .qty = {1000}, .px = {FX_ONE}, .side = SIDE_SELL};
    binance_order_fill(os, o, &f, NS_PER_SECOND);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.events[1].kind, VENUE_ORDER_TRADE);
    assert_int_equal(t.events[1].leaves_qty.e8, 0);
    assert_int_equal(o->phase, PHASE_ENDED);
    free(os);
}

/* 1000 asked for, reduce-only, and 400 held: the venue fills those, and it is FILLED. */
static void test_cut_to_what_is_held(void **state) {
    (void)state;
    struct told t;
    struct history h = {.count = 0};
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order *o = binance_orders_find(os, "a");
    (void)report(&h, "a", EXEC_TYPE_NEW, STATUS_NEW);
    struct stream_order *f = report(&h, "a", EXEC_TYPE_TRADE, STATUS_FILLED);
    f->order_qty.e8 = f->last_qty.e8 = f->cum_qty.e8 = 400;
    f->last_px.e8 = FX_ONE;
    f->trade_id = 5;
    for (uint32_t i = 0; i < h.count; i++) feed(os, &h.events[i], NS_PER_SECOND);
    assert_int_equal(o->phase, PHASE_ENDED);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.events[1].kind, VENUE_ORDER_TRADE);
    assert_int_equal(t.events[1].last_qty.e8, 400);
    assert_int_equal(t.events[1].leaves_qty.e8, 0); /* it is over */
    free(os);
}

static void test_stream_resolves(void **state) {
    (void)state;
    struct told t;
    struct history h = {.count = 0};
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order *o = binance_orders_find(os, "a");
    binance_order_unknown(o, 50 * NS_PER_SECOND, 1);
    (void)report(&h, "a", EXEC_TYPE_NEW, STATUS_NEW);
    feed(os, &h.events[0], 2);
    assert_int_equal(o->phase, PHASE_LIVE);
    binance_order_unknown(o, 50 * NS_PER_SECOND, 3); /* the timeout comes last */
    assert_int_equal(o->phase, PHASE_LIVE);
    binance_order_refused(os, o, -4116, 1, 4); /* a doubled sending's refusal does not undo it */
    assert_int_equal(o->phase, PHASE_LIVE);
    assert_int_equal(t.count, 1);
    free(os);
}

static void test_old_rows_take_nothing_back(void **state) {
    (void)state;
    struct told t;
    struct rng rng = rng_init(1);
    struct history h = {.count = 0};
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order *o = binance_orders_find(os, "a");
    (void)fills(&h, &rng, "a", 500);
    for (uint32_t i = 0; i < h.count; i++) feed(os, &h.events[i], 1);
    uint32_t told = t.count;
    struct rest_order r = row(STATUS_NEW, 0);
    binance_order_row(os, o, &r, 2);
    assert_int_equal(t.count, told);
    assert_int_equal(o->cum_qty.e8, 500);
    r = row(STATUS_CANCELED, 500);
    binance_order_row(os, o, &r, 3);
    assert_int_equal(t.events[t.count - 1].kind, VENUE_ORDER_CANCELED);
    r = row(STATUS_NEW, 0);
    binance_order_row(os, o, &r, 4);
    assert_int_equal(o->phase, PHASE_ENDED);
    free(os);
}

static void test_cancel_too_late(void **state) {
    (void)state;
    struct told t;
    struct rng rng = rng_init(2);
    struct history h = {.count = 0};
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order *o = binance_orders_find(os, "a");
    (void)report(&h, "a", EXEC_TYPE_NEW, STATUS_NEW);
    (void)fills(&h, &rng, "a", 1000);
    feed(os, &h.events[0], 1);
    o->cancel = CANCEL_SENT;
    for (uint32_t i = 1; i < h.count; i++) feed(os, &h.events[i], 1);
    assert_int_equal(t.events[t.count - 1].kind, VENUE_CANCEL_REJECTED);
    assert_int_equal(t.events[t.count - 2].kind, VENUE_ORDER_TRADE);
    free(os);
}

/* Slots are used again, ids are found while they are remembered, and never confused. */
static void test_many(void **state) {
    (void)state;
    struct told t;
    struct orders *os = malloc(sizeof *os);
    assert_non_null(os);
    binance_orders_init(os, tell, &t);
    char id[CLIENT_ORDER_ID_SIZE];
    for (uint32_t i = 0; i < 3 * ORDERS_MAX; i++) {
        t.count = 0;
        snprintf(id, sizeof id, "n-%u", i);
        struct order *o = binance_orders_add(os, id, i % 7);
        assert_non_null(o);
        struct rest_order r = row(STATUS_EXPIRED, 0);
        r.order_id = 1000 + i;
        binance_order_row(os, o, &r, i);
        assert_int_equal(t.count, 2);
        if (i < 100) continue;
        snprintf(id, sizeof id, "n-%u", i - 100);
        assert_ptr_equal(binance_orders_find(os, id), binance_orders_find_id(os, 1000 + i - 100));
        assert_non_null(binance_orders_find(os, id));
    }
    assert_null(binance_orders_find(os, "n-0"));
    assert_int_equal(os->active_count, 0);
    /* All live: no more. */
    for (uint32_t i = 0; i < ORDERS_MAX; i++) {
        snprintf(id, sizeof id, "l-%u", i);
        assert_non_null(binance_orders_add(os, id, 0));
    }
    assert_null(binance_orders_add(os, "one-more", 0));
    free(os);
}

static struct order_fill foreign(uint64_t trade_id, enum side side, int64_t qty) {
    return (struct order_fill){.trade_id = trade_id,
                               .cum_qty = {qty},
                               .qty = {qty},
                               .px = {FX_ONE},
                               .ts_ns = 500,
                               .side = (uint8_t)side};
}

static void test_foreign_fills(void **state) {
    (void)state;
    struct told t;
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order_symbol *s = &os->symbols[3];
    s->booked.e8 = 500;
    s->from_trade_id = 10;
    struct order_fill f = foreign(11, SIDE_SELL, 200);
    assert_true(binance_orders_foreign_fill(os, 3, &f, 5, "autoclose-1"));
    assert_true(binance_orders_foreign_fill(os, 3, &f, 5, "autoclose-1")); /* once */
    f = foreign(9, SIDE_SELL, 50); /* the caller has seen it */
    assert_true(binance_orders_foreign_fill(os, 3, &f, 5, "web_1"));
    assert_int_equal(t.count, 1);
    assert_int_equal(t.events[0].kind, VENUE_LIQUIDATION);
    assert_string_equal(t.events[0].client_order_id, "");
    /* Whatever it does to the position it is told, under the name its order has; a lower id that comes later, too. */
    f = foreign(14, SIDE_BUY, 200);
    assert_true(binance_orders_foreign_fill(os, 3, &f, 6, "web_1"));
    f = foreign(13, SIDE_SELL, 700);
    assert_true(binance_orders_foreign_fill(os, 3, &f, 7, "web_2"));
    assert_true(binance_orders_foreign_fill(os, 3, &f, 7, "web_2"));
    assert_int_equal(t.count, 3);
    assert_string_equal(t.events[1].client_order_id, "web_1");
    assert_string_equal(t.events[2].client_order_id, "web_2");
    assert_int_equal(s->booked.e8, -200);
    assert_true(s->is_foreign); /* through flat: who did that holds it */
    assert_int_equal(os->stats.late_fills, 1);
    /* A settlement ends what is held and no more. */
    f = foreign(15, SIDE_BUY, 300);
    assert_true(binance_orders_foreign_fill(os, 3, &f, 8, "settlement_autoclose-1"));
    assert_int_equal(t.events[3].last_qty.e8, 200);
    assert_string_equal(t.events[3].client_order_id, "");
    assert_int_equal(s->booked.e8, 0);
    assert_false(s->is_foreign);
    f = foreign(16, SIDE_BUY, 300);
    assert_false(binance_orders_foreign_fill(os, 3, &f, 9, "settlement_autoclose-2"));
    /* It realises a result where nothing is booked: it closes what nobody told of. */
    f = foreign(17, SIDE_SELL, 100);
    f.realized_pnl.e8 = 7;
    assert_false(binance_orders_foreign_fill(os, 3, &f, 10, "web_3"));
    assert_int_equal(t.count, 4);
    assert_int_equal(os->stats.foreign_fills, 2);
    free(os);
}

static void test_position_told_as_a_whole(void **state) {
    (void)state;
    struct told t;
    struct orders *os = orders_with(&t, SHAPE_FILLED);
    struct order_symbol *s = &os->symbols[3];
    binance_orders_position(os, 3, qty_e8(-300), px_e8(5 * FX_ONE), 1000);
    assert_int_equal(t.events[0].kind, VENUE_POSITION);
    assert_int_equal(t.events[0].side, SIDE_SELL);
    assert_int_equal(t.events[0].last_qty.e8, 300);
    assert_int_equal(t.events[0].last_px.e8, 5 * FX_ONE);
    assert_true(s->is_foreign);
    struct order_fill f =
        foreign(20, SIDE_SELL, 300); /* the news of it, late: it is part of that */
    f.ts_ns = 1000;
    assert_true(binance_orders_foreign_fill(os, 3, &f, 5, "web_1"));
    assert_int_equal(t.count, 1);
    f = foreign(21, SIDE_SELL, 100);
    f.ts_ns = 1001;
    assert_true(binance_orders_foreign_fill(os, 3, &f, 5, "web_1"));
    assert_int_equal(s->booked.e8, -400);
    binance_orders_position(os, 3, qty_e8(0), px_e8(0), 2000);
    assert_int_equal(t.events[2].side, SIDE_NONE);
    assert_int_equal(t.events[2].last_qty.e8, 0);
    assert_false(s->is_foreign);
    /* Ours, though there is more of it than we know. */
    s->booked.e8 = 100;
    binance_orders_position(os, 3, qty_e8(150), px_e8(FX_ONE), 3000);
    assert_false(s->is_foreign);
    free(os);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shuffled),
                                       cmocka_unit_test(test_absent_counts_only_after_the_window),
                                       cmocka_unit_test(test_found_is_adopted),
                                       cmocka_unit_test(test_cut_to_what_is_held),
                                       cmocka_unit_test(test_stream_resolves),
                                       cmocka_unit_test(test_old_rows_take_nothing_back),
                                       cmocka_unit_test(test_cancel_too_late),
                                       cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_foreign_fills),
                                       cmocka_unit_test(test_position_told_as_a_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
