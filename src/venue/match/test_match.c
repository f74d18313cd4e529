#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "venue/match/match.h"

static struct match *book_new(uint32_t orders_max, uint32_t levels_max, uint32_t tick_max) {
    struct match_limits limits = {orders_max, levels_max, tick_max};
    void *memory = malloc(match_size(&limits));
    assert_non_null(memory);
    return match_init(memory, &limits);
}

static match_handle rest(struct match *m, enum match_side side, uint32_t px, int64_t qty,
                         uint64_t tag) {
    struct match_order order = {px, side, qty, tag};
    return match_add(m, &order);
}

static void check_order(const struct match *m, match_handle h, enum match_side side, uint32_t px,
                        int64_t qty, uint64_t tag) {
    struct match_order o;
    assert_true(match_get(m, h, &o));
    assert_int_equal(o.side, side);
    assert_int_equal(o.px, px);
    assert_int_equal(o.qty, qty);
    assert_int_equal(o.tag, tag);
}

static void test_empty(void **state) {
    (void)state;
    struct match *m = book_new(4, 4, 100);
    struct match_order o;
    for (int side = MATCH_BID; side <= MATCH_ASK; side++) {
        enum match_side s = (enum match_side)side;
        assert_int_equal(match_best(m, s), 0);
        assert_int_equal(match_front(m, s), 0);
        assert_int_equal(match_worse(m, s, 50), 0);
        assert_int_equal(match_level_qty(m, s, 50), 0);
        assert_int_equal(match_level_count(m, s), 0);
        assert_int_equal(match_take(m, s, 0, 10, NULL, NULL), 0);
    }
    assert_int_equal(match_order_count(m), 0);
    /* No handle is of a resting order, made up ones of slots never used neither. */
    static const match_handle none[] = {
        0, 1, UINT64_C(1) << 32, UINT64_C(1) << 32 | 1, UINT64_C(2) << 32 | 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_false(match_get(m, none[i], &o));
        assert_false(match_remove(m, none[i]));
        assert_int_equal(match_after(m, none[i]), 0);
    }
    free(m);
}

static void test_price_then_time(void **state) {
    (void)state;
    struct match *m = book_new(10, 10, 1000);
    match_handle a = rest(m, MATCH_ASK, 101, 5, 1), b = rest(m, MATCH_ASK, 100, 7, 2);
    match_handle c = rest(m, MATCH_ASK, 100, 9, 3), d = rest(m, MATCH_ASK, 300, 1, 4);
    assert_int_equal(match_best(m, MATCH_ASK), 100);
    assert_true(match_front(m, MATCH_ASK) == b);
    assert_true(match_after(m, b) == c);
    assert_int_equal(match_after(m, c), 0);
    assert_int_equal(match_worse(m, MATCH_ASK, 0), 100);
    assert_int_equal(match_worse(m, MATCH_ASK, 100), 101);
    assert_int_equal(match_worse(m, MATCH_ASK, 101), 300);
    assert_int_equal(match_worse(m, MATCH_ASK, 150), 300);
    assert_int_equal(match_worse(m, MATCH_ASK, 300), 0);
    assert_int_equal(match_worse(m, MATCH_ASK, UINT32_MAX), 0);
    assert_int_equal(match_level_qty(m, MATCH_ASK, 100), 16);
    assert_int_equal(match_level_qty(m, MATCH_BID, 100), 0);
    assert_int_equal(match_level_count(m, MATCH_ASK), 3);
    match_fill(m, b, 3); /* keeps its place */
    assert_true(match_front(m, MATCH_ASK) == b);
    check_order(m, b, MATCH_ASK, 100, 4, 2);
    match_fill(m, b, 4);
    assert_true(match_front(m, MATCH_ASK) == c);
    assert_true(match_remove(m, c));
    assert_int_equal(match_best(m, MATCH_ASK), 101);
    assert_true(match_remove(m, a));
    assert_true(match_front(m, MATCH_ASK) == d);
    assert_int_equal(match_order_count(m), 1);
    free(m);
}

static void test_bids_mirror(void **state) {
    (void)state;
    struct match *m = book_new(10, 10, 1000);
    rest(m, MATCH_BID, 100, 1, 1);
    rest(m, MATCH_BID, 99, 1, 2);
    rest(m, MATCH_BID, 500, 1, 3);
    assert_int_equal(match_best(m, MATCH_BID), 500);
    assert_int_equal(match_worse(m, MATCH_BID, UINT32_MAX), 500);
    assert_int_equal(match_worse(m, MATCH_BID, 500), 100);
    assert_int_equal(match_worse(m, MATCH_BID, 300), 100);
    assert_int_equal(match_worse(m, MATCH_BID, 100), 99);
    assert_int_equal(match_worse(m, MATCH_BID, 99), 0);
    assert_int_equal(match_worse(m, MATCH_BID, 0), 0);
    free(m);
}

/* The book does not ask whether prices cross: both sides may stand at one price. */
static void test_sides_are_apart(void **state) {
    (void)state;
    struct match *m = book_new(10, 10, 1000);
    rest(m, MATCH_BID, 100, 3, 1);
    rest(m, MATCH_ASK, 100, 4, 2);
    rest(m, MATCH_ASK, 90, 5, 3);
    assert_int_equal(match_best(m, MATCH_BID), 100);
    assert_int_equal(match_best(m, MATCH_ASK), 90);
    assert_int_equal(match_level_qty(m, MATCH_BID, 100), 3);
    assert_int_equal(match_level_qty(m, MATCH_ASK, 100), 4);
    free(m);
}

struct fills {
    int count;
    match_handle makers[8];
    struct match_order orders[8];
    int64_t qty[8];
};
static void fill_note(void *context, match_handle maker, const struct match_order *order,
                      int64_t qty) {
    struct fills *f = context;
    assert_in_range(f->count, 0, 7);
    f->makers[f->count] = maker;
    f->orders[f->count] = *order;
    f->qty[f->count++] = qty;
}

static void test_take(void **state) {
    (void)state;
    struct match *m = book_new(10, 10, 1000);
    struct fills f = {0};
    match_handle a = rest(m, MATCH_ASK, 101, 5, 11), b = rest(m, MATCH_ASK, 100, 7, 12);
    match_handle c = rest(m, MATCH_ASK, 100, 9, 13);
    rest(m, MATCH_ASK, 102, 100, 14);
    assert_int_equal(match_take(m, MATCH_BID, 99, 50, fill_note, &f), 0);
    assert_int_equal(match_take(m, MATCH_BID, 101, 0, fill_note, &f), 0);
    assert_int_equal(f.count, 0);
    assert_int_equal(match_take(m, MATCH_BID, 101, 18, fill_note, &f), 18);
    assert_int_equal(f.count, 3);
    assert_true(f.makers[0] == b && f.makers[1] == c && f.makers[2] == a);
    assert_true(f.qty[0] == 7 && f.qty[1] == 9 && f.qty[2] == 2);
    assert_true(f.orders[2].qty == 5 && f.orders[2].px == 101 && f.orders[2].tag == 11);
    check_order(m, a, MATCH_ASK, 101, 3, 11);
    /* What is behind the limit stays, and an empty book ends it. */
    assert_int_equal(match_take(m, MATCH_BID, 101, 18, NULL, NULL), 3);
    assert_int_equal(match_best(m, MATCH_ASK), 102);
    assert_int_equal(match_take(m, MATCH_BID, 0, 1000, NULL, NULL), 100);
    assert_int_equal(match_order_count(m), 0);
    rest(m, MATCH_BID, 50, 5, 1);
    assert_int_equal(match_take(m, MATCH_ASK, 51, 5, NULL, NULL), 0);
    assert_int_equal(match_take(m, MATCH_ASK, 50, 4, NULL, NULL), 4);
    assert_int_equal(match_level_qty(m, MATCH_BID, 50), 1);
    free(m);
}

static void test_handles_go_stale(void **state) {
    (void)state;
    struct match *m = book_new(1, 1, 10);
    struct match_order o;
    match_handle before = 0;
    for (int i = 0; i < 1000; i++) {
        match_handle h = rest(m, MATCH_BID, 5, 1, (uint64_t)i);
        assert_true(h != 0 && h != before);
        assert_int_equal(h & UINT32_MAX, 1); /* one slot, its generation above it */
        assert_false(match_remove(m, before));
        assert_false(match_get(m, before, &o));
        assert_false(match_get(m, h + (UINT64_C(1) << 32), &o));
        check_order(m, h, MATCH_BID, 5, 1, (uint64_t)i);
        assert_true(match_remove(m, h));
        assert_false(match_get(m, h + (UINT64_C(1) << 32), &o)); /* the free slot's generation */
        before = h;
    }
    free(m);
}

static void test_limits(void **state) {
    (void)state;
    struct match *m = book_new(3, 2, 10);
    match_handle a = rest(m, MATCH_BID, 5, 1, 0);
    assert_true(rest(m, MATCH_ASK, 6, 1, 0) != 0);
    assert_int_equal(rest(m, MATCH_ASK, 7, 1, 0), 0); /* no level left */
    assert_int_equal(rest(m, MATCH_BID, 6, 1, 0), 0); /* another side is another level */
    assert_true(rest(m, MATCH_ASK, 6, 1, 0) != 0);
    assert_int_equal(rest(m, MATCH_ASK, 6, 1, 0), 0); /* no order slot left */
    assert_int_equal(match_order_count(m), 3);
    assert_int_equal(match_level_count(m, MATCH_BID), 1);
    assert_true(match_remove(m, a));
    assert_true(rest(m, MATCH_ASK, 7, 1, 0) != 0);
    assert_int_equal(match_worse(m, MATCH_ASK, 6), 7);
    free(m);
}

static void test_price_edges(void **state) {
    (void)state;
    static const uint32_t maxima[] = {1, 2, 63, 64, 65, 4095, 4096, 1 << 24, 45000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof maxima / sizeof *maxima; i++) {
        uint32_t top = maxima[i];
        struct match *m = book_new(8, 8, top);
        for (int side = MATCH_BID; side <= MATCH_ASK; side++) {
            enum match_side s = (enum match_side)side;
            assert_true(rest(m, s, 1, 1, 0) != 0);
            assert_true(rest(m, s, top, 1, 0) != 0);
            uint32_t best = s == MATCH_BID ? top : 1, other = s == MATCH_BID ? 1 : top;
            assert_int_equal(match_best(m, s), best);
            if (top > 1) assert_int_equal(match_worse(m, s, best), other);
            if (top > 2) assert_int_equal(match_worse(m, s, top / 2 + 1), other);
            assert_int_equal(match_worse(m, s, other), 0);
        }
        free(m);
    }
}

/* What a book of one of three hundred contracts costs. */
static void test_size(void **state) {
    (void)state;
    struct match_limits limits = {4096, 1024, 45000000};
    assert_in_range(match_size(&limits), 4096 * 36 + 1024 * 40, 320 * 1024);
    assert_int_equal(match_size(&limits) % 64, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),       cmocka_unit_test(test_price_then_time),
        cmocka_unit_test(test_bids_mirror), cmocka_unit_test(test_sides_are_apart),
        cmocka_unit_test(test_take),        cmocka_unit_test(test_handles_go_stale),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_price_edges),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
