/* History against plain examples, and against a list that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/exchange/history.h"

enum { OUT_MAX = 64 };
static const uint32_t ANY = UINT32_MAX;

struct fixture {
    struct history_limits limits;
    struct history *h;
};

static void start(struct fixture *f, uint32_t rows) {
    f->limits = (struct history_limits){rows, rows, rows, rows, rows};
    void *memory = aligned_alloc(64, history_size(&f->limits));
    assert_non_null(memory);
    f->h = history_init(memory, &f->limits);
}

static struct exchange_order make_order(uint32_t account, uint32_t instrument, uint64_t id,
                                        const char *client, int64_t ts) {
    struct exchange_order o = {.order_id = id,
                               .account = account,
                               .instrument = instrument,
                               .side = SIDE_BUY,
                               .type = ORDER_LIMIT,
                               .price = {100 * FX_ONE},
                               .orig_qty = {FX_ONE},
                               .time_ns = ts,
                               .update_ns = ts};
    snprintf(o.client_order_id, sizeof o.client_order_id, "%s", client);
    return o;
}

static void tell_order(struct history *h, const struct exchange_order *o, enum exchange_exec exec) {
    struct exchange_event e = {.kind = EXE_ORDER,
                               .exec = (uint8_t)exec,
                               .account = o->account,
                               .instrument = o->instrument,
                               .ts_ns = o->update_ns,
                               .u.order = *o};
    history_event(h, &e);
}

static void tell_trade(struct history *h, struct exchange_order *o, uint64_t trade_id, qty_t qty,
                       int64_t ts) {
    o->cum_qty.e8 += qty.e8;
    o->status = o->cum_qty.e8 == o->orig_qty.e8 ? EXO_FILLED : EXO_PARTIALLY_FILLED;
    o->update_ns = ts;
    struct exchange_event e = {.kind = EXE_ORDER,
                               .exec = EXEC_TRADE,
                               .account = o->account,
                               .instrument = o->instrument,
                               .ts_ns = ts,
                               .trade_id = trade_id,
                               .px = o->price,
                               .qty = qty,
                               .commission = {77},
                               .realized = {-5},
                               .u.order = *o};
    history_event(h, &e);
}

static void tell_income(struct history *h, uint32_t account, uint32_t instrument,
                        enum exchange_income type, uint64_t tran_id, int64_t ts) {
    struct exchange_event e = {.kind = EXE_INCOME,
                               .income = (uint8_t)type,
                               .account = account,
                               .instrument = instrument,
                               .ts_ns = ts,
                               .sequence = tran_id,
                               .amount = {(int64_t)tran_id * 10}};
    history_event(h, &e);
}

/* ---- plain examples ---- */

static void an_order_has_one_row_that_is_renewed(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    struct exchange_order o = make_order(1, 2, 500, "mine", 1000);
    tell_order(f.h, &o, EXEC_NEW);
    tell_trade(f.h, &o, 9, qty_e8(FX_ONE / 4), 2000);
    const struct exchange_order *found = history_order(f.h, 1, 2, 500, "", 2000);
    assert_non_null(found);
    assert_int_equal(found->cum_qty.e8, FX_ONE / 4);
    assert_ptr_equal(history_order(f.h, 1, 2, 0, "mine", 2000), found);
    struct exchange_order out[4];
    struct history_query q = {.account = 1, .instrument = ANY};
    assert_int_equal(history_orders(f.h, &q, out, 4), 1);
    assert_memory_equal(&out[0], &o, sizeof o);
    /* of nobody else, of no other contract, under no other name */
    assert_null(history_order(f.h, 2, 2, 500, "", 2000));
    assert_null(history_order(f.h, 1, 3, 500, "", 2000));
    assert_null(history_order(f.h, 1, 2, 501, "", 2000));
    assert_null(history_order(f.h, 1, 2, 0, "min", 2000));
    struct history_trade t[4];
    assert_int_equal(history_trades(f.h, &q, t, 4), 1);
    assert_int_equal(t[0].trade_id, 9);
    assert_int_equal(t[0].order_id, 500);
    assert_int_equal(t[0].quote_qty.e8, 25 * FX_ONE);
    assert_int_equal(t[0].commission.e8, 77);
    assert_int_equal(t[0].realized.e8, -5);
    free(f.h);
}

static void the_newest_order_of_a_reused_client_id_is_meant(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    struct exchange_order a = make_order(1, 0, 10, "again", 1),
                          b = make_order(1, 0, 11, "again", 2);
    tell_order(f.h, &a, EXEC_NEW);
    a.status = EXO_CANCELED;
    tell_order(f.h, &a, EXEC_CANCELED);
    tell_order(f.h, &b, EXEC_NEW);
    assert_int_equal(history_order(f.h, 1, 0, 0, "again", 3)->order_id, 11);
    free(f.h);
}

static void an_expiry_is_no_trade(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    struct exchange_order o = make_order(1, 0, 10, "ioc", 1);
    o.status = EXO_EXPIRED;
    struct exchange_event e = {.kind = EXE_ORDER,
                               .exec = EXEC_EXPIRED,
                               .account = 1,
                               .px = {FX_ONE},
                               .qty = {FX_ONE},
                               .u.order = o};
    history_event(f.h, &e);
    struct history_trade t[2];
    struct history_query q = {.account = 1, .instrument = ANY};
    assert_int_equal(history_trades(f.h, &q, t, 2), 0);
    free(f.h);
}

static void unfilled_orders_vanish_after_three_days_all_after_ninety(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    struct exchange_order unfilled = make_order(1, 0, 1, "u", 1),
                          filled = make_order(1, 0, 2, "f", 1), open = make_order(1, 0, 3, "o", 1),
                          part = make_order(1, 0, 4, "p", 1);
    unfilled.status = EXO_EXPIRED_IN_MATCH;
    part.status = EXO_CANCELED;
    part.cum_qty.e8 = 1;
    tell_order(f.h, &unfilled, EXEC_EXPIRED);
    tell_trade(f.h, &filled, 1, filled.orig_qty, 1);
    tell_order(f.h, &open, EXEC_NEW);
    tell_order(f.h, &part, EXEC_CANCELED);
    static const struct {
        int64_t age;
        const char *left;
    } rows[] = {{3 * NS_PER_DAY, "ufop"},
                {3 * NS_PER_DAY + 1, "fop"},
                {90 * NS_PER_DAY, "fop"},
                {90 * NS_PER_DAY + 1, "o"},
                {1000 * NS_PER_DAY, "o"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct exchange_order out[4];
        struct history_query q = {.account = 1, .instrument = 0, .now_ns = 1 + rows[i].age};
        uint32_t n = history_orders(f.h, &q, out, 4);
        char left[5] = "";
        for (uint32_t k = 0; k < n; k++) left[k] = out[k].client_order_id[0];
        assert_string_equal(left, rows[i].left);
        for (const char *c = "ufop"; *c; c++)
            assert_int_equal(history_order(f.h, 1, 0, 0, (char[]){*c, 0}, q.now_ns) != NULL,
                             strchr(left, *c) != NULL);
    }
    free(f.h);
}

static void conditional_orders_are_kept_alike(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 4);
    struct exchange_algo a = {.algo_id = 7, .account = 3, .instrument = 1, .create_ns = 1};
    memcpy(a.client_algo_id, "stop", 5);
    struct exchange_event e = {.kind = EXE_ALGO, .u.algo = a};
    history_event(f.h, &e);
    e.u.algo.status = EXA_CANCELED;
    history_event(f.h, &e);
    assert_int_equal(history_algo(f.h, 3, 7, "", 1)->status, EXA_CANCELED);
    assert_non_null(history_algo(f.h, 3, 0, "stop", 1 + 3 * NS_PER_DAY));
    assert_null(history_algo(f.h, 3, 0, "stop", 2 + 3 * NS_PER_DAY));
    assert_null(history_algo(f.h, 4, 7, "", 1));
    free(f.h);
}

static void open_orders_outlive_any_number_of_finished_ones(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 4);
    char name[16];
    for (uint64_t id = 1; id <= 3; id++) {
        struct exchange_order o = make_order(1, 0, id, "open", (int64_t)id);
        tell_order(f.h, &o, EXEC_NEW);
    }
    for (uint64_t id = 4; id < 1000; id++) {
        snprintf(name, sizeof name, "c%d", (int)id);
        struct exchange_order o = make_order(1, 0, id, name, (int64_t)id);
        tell_order(f.h, &o, EXEC_NEW);
        o.status = EXO_CANCELED;
        tell_order(f.h, &o, EXEC_CANCELED);
        assert_non_null(history_order(f.h, 1, 0, 0, name, 0));
        snprintf(name, sizeof name, "c%d", (int)id - 1);
        assert_null(history_order(f.h, 1, 0, 0, name, 0));
    }
    for (uint64_t id = 1; id <= 3; id++) assert_non_null(history_order(f.h, 1, 0, id, "", 0));
    free(f.h);
}

static void ids_given_out_of_order_come_in_order(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    static const uint64_t ids[] = {5, 2, 9, 1, 7};
    for (int i = 0; i < 5; i++) {
        struct exchange_order o = make_order(1, 0, ids[i], "x", 1);
        tell_order(f.h, &o, EXEC_NEW);
    }
    struct exchange_order out[8];
    struct history_query q = {.account = 1, .instrument = 0, .from_id = 2};
    assert_int_equal(history_orders(f.h, &q, out, 3), 3);
    for (int i = 0; i < 3; i++) assert_int_equal(out[i].order_id, ((uint64_t[]){2, 5, 7})[i]);
    free(f.h);
}

static void incomes_by_type_window_and_page(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 32);
    for (uint64_t i = 1; i <= 20; i++)
        tell_income(f.h, 1, i % 2 ? 4 : 5, i % 3 ? INCOME_COMMISSION : INCOME_FUNDING_FEE, i,
                    (int64_t)i * 100);
    tell_income(f.h, 1, 4, INCOME_TRANSFER, 21, 2100);
    struct history_income out[8];
    struct history_query q = {.account = 1, .instrument = ANY, .type = INCOME_FUNDING_FEE};
    assert_int_equal(history_incomes(f.h, &q, out, 8), 6);
    assert_int_equal(out[0].tran_id, 3);
    assert_int_equal(out[5].tran_id, 18);
    q.limit = 4;
    q.page = 2; /* 3 6 | 9 12 15 18 */
    assert_int_equal(history_incomes(f.h, &q, out, 8), 2);
    assert_int_equal(out[1].tran_id, 6);
    q = (struct history_query){.account = 1, .instrument = 4, .from_ns = 300, .to_ns = 700};
    assert_int_equal(history_incomes(f.h, &q, out, 8), 3);
    assert_int_equal(out[0].tran_id, 3);
    assert_int_equal(out[2].tran_id, 7);
    q = (struct history_query){.account = 1, .instrument = ANY, .type = INCOME_TRANSFER};
    assert_int_equal(history_incomes(f.h, &q, out, 8), 1);
    assert_int_equal(out[0].instrument, ANY);
    free(f.h);
}

static void an_amendment_tells_before_and_after(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 4);
    struct exchange_order o = make_order(1, 0, 10, "amended", 5);
    o.amendments = 3;
    struct exchange_event e = {.kind = EXE_AMENDED,
                               .account = 1,
                               .ts_ns = 6,
                               .sequence = 44,
                               .px2 = {99 * FX_ONE},
                               .qty2 = {2 * FX_ONE},
                               .u.order = o};
    history_event(f.h, &e);
    struct history_amendment out[2];
    struct history_query q = {.account = 1, .instrument = 0, .order_id = 10};
    assert_int_equal(history_amendments(f.h, &q, out, 2), 1);
    assert_int_equal(out[0].price_before.e8, 99 * FX_ONE);
    assert_int_equal(out[0].price_after.e8, 100 * FX_ONE);
    assert_int_equal(out[0].qty_before.e8, 2 * FX_ONE);
    assert_int_equal(out[0].qty_after.e8, FX_ONE);
    assert_int_equal(out[0].amendment_id, 44);
    assert_int_equal(out[0].count, 3);
    assert_string_equal(out[0].client_order_id, "amended");
    q.order_id = 11;
    assert_int_equal(history_amendments(f.h, &q, out, 2), 0);
    free(f.h);
}

/* ---- against a list ---- */

enum { ROWS = 48, ACCOUNTS = 3, SYMBOLS = 3, LIST_MAX = 20000 };

/* Everything that ever happened; `gone` rows are those the rings no longer have. */
struct list {
    struct exchange_order orders[LIST_MAX];
    struct history_trade trades[LIST_MAX];
    bool gone[LIST_MAX];
    uint32_t finished[LIST_MAX], order_count, trade_count, finished_count, finished_gone;
    uint32_t rows; /* of the order ring in use */
};

static int64_t below(struct rng *g, int64_t n) {
    return (int64_t)rng_below(g, (uint64_t)n);
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20261122;
}

static bool is_open(const struct exchange_order *o) {
    return o->status == EXO_NEW || o->status == EXO_PARTIALLY_FILLED;
}

static bool order_shows(const struct list *l, uint32_t i, const struct history_query *q) {
    const struct exchange_order *o = &l->orders[i];
    if (l->gone[i] || o->account != q->account) return false;
    if (q->instrument != ANY && o->instrument != q->instrument) return false;
    if (o->order_id < q->from_id || o->time_ns < q->from_ns) return false;
    if (q->to_ns && o->time_ns > q->to_ns) return false;
    int64_t age = q->now_ns - o->time_ns;
    if (q->now_ns == 0 || is_open(o)) return true;
    return age <= (o->status != EXO_FILLED && o->cum_qty.e8 == 0 ? 3 : 90) * NS_PER_DAY;
}

static bool trade_shows(const struct list *l, uint32_t i, const struct history_query *q) {
    const struct history_trade *t = &l->trades[i];
    if (i + ROWS < l->trade_count || t->account != q->account) return false;
    if (q->instrument != ANY && t->instrument != q->instrument) return false;
    if (q->order_id && t->order_id != q->order_id) return false;
    if (t->trade_id < q->from_id || t->ts_ns < q->from_ns) return false;
    if (q->to_ns && t->ts_ns > q->to_ns) return false;
    return q->now_ns == 0 || q->now_ns - t->ts_ns <= 90 * NS_PER_DAY;
}

/* Index of the rows a query gives: from_id upward, else the last `limit` of all that show. */
static uint32_t list_query(const struct list *l, const struct history_query *q, bool trades,
                           uint32_t *out) {
    static uint32_t all[LIST_MAX];
    uint32_t n = 0, count = trades ? l->trade_count : l->order_count;
    for (uint32_t i = 0; i < count; i++)
        if (trades ? trade_shows(l, i, q) : order_shows(l, i, q)) all[n++] = i;
    uint32_t max = q->limit ? q->limit : OUT_MAX;
    if (max > OUT_MAX) max = OUT_MAX;
    uint32_t end = n;
    if (!q->from_id && q->page > 1) {
        uint32_t skip = (q->page - 1) * max;
        end = n > skip ? n - skip : 0;
    }
    uint32_t take = end < max ? end : max, first = q->from_id ? 0 : end - take;
    memcpy(out, all + first, take * sizeof *out);
    return take;
}

static void list_finish(struct list *l, uint32_t i) {
    if (!is_open(&l->orders[i])) l->finished[l->finished_count++] = i;
}

static void new_order(struct rng *g, struct list *l, struct history *h, int64_t now) {
    char name[8];
    snprintf(name, sizeof name, "id%d", (int)below(g, 30));
    uint32_t i = l->order_count++;
    l->orders[i] = make_order((uint32_t)below(g, ACCOUNTS), (uint32_t)below(g, SYMBOLS),
                              1000 + 3 * (uint64_t)i, name, now);
    if (l->rows == ROWS)
        l->gone[l->finished[l->finished_gone++]] = true;
    else
        l->rows++;
    tell_order(h, &l->orders[i], EXEC_NEW);
}

static void change_order(struct rng *g, struct list *l, struct history *h, uint32_t i,
                         int64_t now) {
    struct exchange_order *o = &l->orders[i];
    if (below(g, 2)) {
        qty_t qty = {below(g, 2) ? o->orig_qty.e8 - o->cum_qty.e8 : 1};
        tell_trade(h, o, 10 + l->trade_count, qty, now);
        l->trades[l->trade_count] =
            (struct history_trade){.trade_id = 10 + l->trade_count,
                                   .order_id = o->order_id,
                                   .account = o->account,
                                   .instrument = o->instrument,
                                   .side = o->side,
                                   .px = o->price,
                                   .qty = qty,
                                   .quote_qty = money_mul_half_even(o->price, qty),
                                   .commission = {77},
                                   .realized = {-5},
                                   .ts_ns = now};
        l->trade_count++;
    } else {
        o->status = below(g, 2) ? EXO_CANCELED : EXO_EXPIRED;
        o->update_ns = now;
        tell_order(h, o, o->status == EXO_CANCELED ? EXEC_CANCELED : EXEC_EXPIRED);
    }
    list_finish(l, i);
}

static void compare_queries(struct rng *g, const struct list *l, const struct history *h,
                            int64_t now) {
    struct history_query q = {.account = (uint32_t)below(g, ACCOUNTS),
                              .instrument = below(g, 2) ? ANY : (uint32_t)below(g, SYMBOLS)};
    if (below(g, 2)) q.limit = 1 + (uint32_t)below(g, 12);
    if (below(g, 2)) q.from_ns = now - below(g, now);
    if (below(g, 2)) q.to_ns = q.from_ns + 1 + below(g, now);
    if (below(g, 2)) q.now_ns = now;
    uint32_t expected[OUT_MAX];
    struct exchange_order orders[OUT_MAX];
    struct history_trade trades[OUT_MAX];
    if (!below(g, 3))
        q.from_id = 1000 + (uint64_t)below(g, 3 * (int64_t)l->order_count);
    else
        q.page = (uint32_t)below(g, 4);
    uint32_t n = list_query(l, &q, false, expected);
    assert_int_equal(history_orders(h, &q, orders, OUT_MAX), n);
    for (uint32_t i = 0; i < n; i++)
        assert_memory_equal(&orders[i], &l->orders[expected[i]], sizeof orders[i]);

    if (q.from_id) q.from_id = 10 + (uint64_t)below(g, l->trade_count + 1);
    if (!below(g, 3)) q.order_id = 1000 + 3 * (uint64_t)below(g, l->order_count);
    n = list_query(l, &q, true, expected);
    assert_int_equal(history_trades(h, &q, trades, OUT_MAX), n);
    for (uint32_t i = 0; i < n; i++)
        assert_memory_equal(&trades[i], &l->trades[expected[i]], sizeof trades[i]);
}

static void compare_lookup(struct rng *g, const struct list *l, const struct history *h,
                           int64_t now) {
    struct history_query q = {.account = (uint32_t)below(g, ACCOUNTS),
                              .instrument = (uint32_t)below(g, SYMBOLS),
                              .now_ns = now};
    char name[8];
    snprintf(name, sizeof name, "id%d", (int)below(g, 30));
    uint64_t id = below(g, 2) ? 1000 + (uint64_t)below(g, 3 * (int64_t)l->order_count) : 0;
    const struct exchange_order *expected = NULL;
    for (uint32_t i = 0; i < l->order_count; i++) {
        const struct exchange_order *o = &l->orders[i];
        if (order_shows(l, i, &q) &&
            (id ? o->order_id == id : strcmp(o->client_order_id, name) == 0))
            expected = o;
    }
    const struct exchange_order *found =
        history_order(h, q.account, q.instrument, id, name, q.now_ns);
    assert_int_equal(found != NULL, expected != NULL);
    if (found) assert_memory_equal(found, expected, sizeof *found);
}

static void a_list_searched_from_end_to_end_agrees(void **state) {
    (void)state;
    struct rng g = rng_init(test_seed());
    printf("seed %llu\n", (unsigned long long)test_seed());
    struct fixture f;
    start(&f, ROWS);
    struct list *l = calloc(1, sizeof *l);
    assert_non_null(l);
    int64_t now = NS_PER_DAY;
    for (int op = 0; op < 40000 && l->order_count < LIST_MAX && l->trade_count < LIST_MAX; op++) {
        now += below(&g, 4) ? below(&g, NS_PER_HOUR) : below(&g, 2 * NS_PER_DAY);
        /* At most a third of the rows open: the rest is there to be evicted. */
        uint32_t open[ROWS], n = 0;
        for (uint32_t i = 0; i < l->order_count; i++)
            if (!l->gone[i] && is_open(&l->orders[i])) open[n++] = i;
        if (n < ROWS / 3 && below(&g, 2))
            new_order(&g, l, f.h, now);
        else if (n > 0)
            change_order(&g, l, f.h, open[below(&g, n)], now);
        if (l->order_count == 0) continue;
        compare_queries(&g, l, f.h, now);
        compare_lookup(&g, l, f.h, now);
    }
    assert_true(l->order_count > 20 * ROWS && l->trade_count > 20 * ROWS);
    free(l);
    free(f.h);
}

static void a_copy_of_the_block_is_the_history(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 16);
    for (uint64_t id = 1; id < 30; id++) {
        struct exchange_order o = make_order(1, 0, id, "x", (int64_t)id);
        tell_order(f.h, &o, EXEC_NEW);
        o.status = EXO_CANCELED;
        tell_order(f.h, &o, EXEC_CANCELED);
    }
    size_t size = history_size(&f.limits);
    void *copy = aligned_alloc(64, size);
    assert_non_null(copy);
    memcpy(copy, f.h, size);
    struct exchange_order o = make_order(1, 0, 31, "later", 31);
    tell_order(f.h, &o, EXEC_NEW);
    tell_order(copy, &o, EXEC_NEW);
    assert_memory_equal(copy, f.h, size);
    memset(f.h, 0xAA, size); /* nothing of the copy lies in the first */
    assert_non_null(history_order(copy, 1, 0, 0, "later", 31));
    free(copy);
    free(f.h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_has_one_row_that_is_renewed),
        cmocka_unit_test(the_newest_order_of_a_reused_client_id_is_meant),
        cmocka_unit_test(an_expiry_is_no_trade),
        cmocka_unit_test(unfilled_orders_vanish_after_three_days_all_after_ninety),
        cmocka_unit_test(conditional_orders_are_kept_alike),
        cmocka_unit_test(open_orders_outlive_any_number_of_finished_ones),
        cmocka_unit_test(ids_given_out_of_order_come_in_order),
        cmocka_unit_test(incomes_by_type_window_and_page),
        cmocka_unit_test(an_amendment_tells_before_and_after),
        cmocka_unit_test(a_list_searched_from_end_to_end_agrees),
        cmocka_unit_test(a_copy_of_the_block_is_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
