/* The book against a naive one: a plain list of orders in the order they came, every question answered
 * by looking through all of it. Random worlds with random limits (so that pools fill up), prices near the
 * edges and far apart; after every operation each observable of both is compared. Now and then the book
 * moves to another place by memcpy and goes on there.
 * TEST_SEED=n repeats a run, TEST_OPS=n is the number of operations (default 1.2 million). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <inttypes.h>
#include <string.h>

#include "base/rng.h"
#include "venue/match/match.h"

enum { ROWS_MAX = 3000, FILLS_MAX = ROWS_MAX, GONE_MAX = 64 };

struct row {
    match_handle handle;
    struct match_order order;
};

struct twin {
    struct match_limits limits;
    uint32_t count, levels[2];
    struct row rows[ROWS_MAX]; /* by age */
};

struct fill {
    match_handle maker;
    struct match_order order;
    int64_t qty;
};

struct world {
    struct rng r;
    struct match *book;
    struct twin twin;
    uint32_t px_from, px_span; /* where prices are drawn */
    uint64_t next_tag;
    match_handle gone[GONE_MAX];
    uint32_t gone_count;
    uint32_t fill_count, want_count;
    struct fill fills[FILLS_MAX], want[FILLS_MAX];
};

/* ---- the naive book ---- */

static bool twin_is_at(const struct row *row, uint32_t side, uint32_t px) {
    return row->order.side == side && row->order.px == px;
}

static bool twin_better(uint32_t side, uint32_t a, uint32_t b) {
    return side == MATCH_BID ? a > b : a < b;
}

static int twin_find(const struct twin *t, match_handle h) {
    for (uint32_t i = 0; i < t->count; i++)
        if (t->rows[i].handle == h) return (int)i;
    return -1;
}

static bool twin_has_level(const struct twin *t, uint32_t side, uint32_t px) {
    for (uint32_t i = 0; i < t->count; i++)
        if (twin_is_at(&t->rows[i], side, px)) return true;
    return false;
}

static int64_t twin_level_qty(const struct twin *t, uint32_t side, uint32_t px) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (twin_is_at(&t->rows[i], side, px)) sum += t->rows[i].order.qty;
    return sum;
}

/* Best price of the side that is worse than `than`; of all if any is set. */
static uint32_t twin_worse(const struct twin *t, uint32_t side, uint32_t than, bool any) {
    uint32_t best = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct match_order *o = &t->rows[i].order;
        if (o->side != side || (!any && !twin_better(side, than, o->px))) continue;
        if (best == 0 || twin_better(side, o->px, best)) best = o->px;
    }
    return best;
}

static match_handle twin_next(const struct twin *t, uint32_t from, uint32_t side, uint32_t px) {
    for (uint32_t i = from; i < t->count; i++)
        if (twin_is_at(&t->rows[i], side, px)) return t->rows[i].handle;
    return 0;
}

static bool twin_can_add(const struct twin *t, const struct match_order *o) {
    return t->count < t->limits.orders_max && (twin_has_level(t, o->side, o->px) ||
                                               t->levels[0] + t->levels[1] < t->limits.levels_max);
}

static void twin_add(struct twin *t, const struct match_order *o, match_handle h) {
    t->levels[o->side] += !twin_has_level(t, o->side, o->px);
    t->rows[t->count++] = (struct row){h, *o};
}

static void twin_fill(struct world *w, uint32_t i, int64_t qty) {
    struct twin *t = &w->twin;
    t->rows[i].order.qty -= qty;
    if (t->rows[i].order.qty > 0) return;
    const struct row row = t->rows[i];
    w->gone[w->gone_count++ % GONE_MAX] = row.handle;
    memmove(&t->rows[i], &t->rows[i + 1], (t->count - i - 1) * sizeof *t->rows);
    t->count--;
    t->levels[row.order.side] -= !twin_has_level(t, row.order.side, row.order.px);
}

static int64_t twin_take(struct world *w, uint32_t side, uint32_t limit, int64_t qty) {
    const uint32_t maker = side == MATCH_BID ? MATCH_ASK : MATCH_BID;
    int64_t left = qty;
    while (left > 0) {
        uint32_t px = twin_worse(&w->twin, maker, 0, true);
        if (px == 0 || (limit != 0 && twin_better(maker, limit, px))) break;
        int i = twin_find(&w->twin, twin_next(&w->twin, 0, maker, px));
        struct row *row = &w->twin.rows[i];
        int64_t fill = left < row->order.qty ? left : row->order.qty;
        w->want[w->want_count++] = (struct fill){row->handle, row->order, fill};
        twin_fill(w, (uint32_t)i, fill);
        left -= fill;
    }
    return qty - left;
}

/* ---- what is compared ---- */

static bool same_order(const struct match_order *a, const struct match_order *b) {
    return a->px == b->px && a->side == b->side && a->qty == b->qty && a->tag == b->tag;
}

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) fail_msg("%s", #condition);                                              \
    } while (0)

static void check_row(const struct world *w, uint32_t i) {
    const struct row *row = &w->twin.rows[i];
    struct match_order o;
    REQUIRE(match_get(w->book, row->handle, &o) && same_order(&o, &row->order));
    REQUIRE(match_after(w->book, row->handle) ==
            twin_next(&w->twin, i + 1, row->order.side, row->order.px));
}

static void check_px(const struct world *w, uint32_t side, uint32_t px) {
    enum match_side s = (enum match_side)side;
    REQUIRE(match_level_qty(w->book, s, px) == twin_level_qty(&w->twin, side, px));
    REQUIRE(match_worse(w->book, s, px) == twin_worse(&w->twin, side, px, false));
}

static uint32_t px_draw(struct world *w) {
    return w->px_from + (uint32_t)rng_below(&w->r, w->px_span);
}

static void check_some(struct world *w) {
    const struct twin *t = &w->twin;
    struct match_order o;
    REQUIRE(match_order_count(w->book) == t->count);
    for (uint32_t side = 0; side < 2; side++) {
        enum match_side s = (enum match_side)side;
        uint32_t best = twin_worse(t, side, 0, true);
        REQUIRE(match_best(w->book, s) == best);
        REQUIRE(match_front(w->book, s) == twin_next(t, 0, side, best));
        REQUIRE(match_level_count(w->book, s) == t->levels[side]);
        check_px(w, side, px_draw(w));
    }
    if (t->count > 0) check_row(w, (uint32_t)rng_below(&w->r, t->count));
    match_handle h = w->gone_count > 0 ? w->gone[rng_below(&w->r, GONE_MAX)] : 1;
    REQUIRE(!match_get(w->book, h, &o) && match_after(w->book, h) == 0);
}

/* Every order, every price, and the walks over both sides. */
static void check_all(struct world *w) {
    for (uint32_t i = 0; i < w->twin.count; i++) {
        const struct match_order *o = &w->twin.rows[i].order;
        check_row(w, i);
        check_px(w, o->side, o->px);
        check_px(w, o->side ^ 1, o->px);
        check_px(w, o->side, o->px + 1);
        check_px(w, o->side, o->px - 1);
    }
    static const uint32_t edges[] = {0, 1, 2, UINT32_MAX, UINT32_MAX - 1};
    for (uint32_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) check_px(w, side, edges[i]);
        check_px(w, side, w->twin.limits.tick_max);
        uint32_t levels = 0, orders = 0;
        enum match_side s = (enum match_side)side;
        for (uint32_t px = match_best(w->book, s); px != 0; px = match_worse(w->book, s, px))
            levels++;
        for (match_handle h = match_front(w->book, s); h != 0; h = match_after(w->book, h))
            orders++;
        REQUIRE(levels == w->twin.levels[side]);
        REQUIRE((orders == 0) == (levels == 0));
    }
}

/* ---- operations ---- */

static void fill_note(void *context, match_handle maker, const struct match_order *order,
                      int64_t qty) {
    struct world *w = context;
    struct match_order o;
    REQUIRE(match_get(w->book, maker, &o) && same_order(&o, order)); /* not done yet */
    w->fills[w->fill_count++] = (struct fill){maker, *order, qty};
}

static void do_take(struct world *w) {
    uint32_t side = (uint32_t)rng_below(&w->r, 2), limit = 0;
    int64_t qty = (int64_t)rng_below(&w->r, 200);
    if (rng_below(&w->r, 3) > 0) limit = px_draw(w);
    w->fill_count = w->want_count = 0;
    bool told = rng_below(&w->r, 8) > 0;
    int64_t want = twin_take(w, side, limit, qty);
    int64_t got =
        match_take(w->book, (enum match_side)side, limit, qty, told ? fill_note : NULL, w);
    REQUIRE(got == want);
    REQUIRE(!told || w->fill_count == w->want_count);
    for (uint32_t i = 0; i < w->fill_count; i++)
        REQUIRE(w->fills[i].maker == w->want[i].maker && w->fills[i].qty == w->want[i].qty &&
                same_order(&w->fills[i].order, &w->want[i].order));
}

static void do_add(struct world *w) {
    struct match_order o = {.px = px_draw(w),
                            .side = (uint32_t)rng_below(&w->r, 2),
                            .qty = 1 + (int64_t)rng_below(&w->r, 100),
                            .tag = w->next_tag++};
    if (rng_below(&w->r, 1000) == 0) o.qty = INT64_C(1) << 40;
    bool can = twin_can_add(&w->twin, &o);
    match_handle h = match_add(w->book, &o);
    REQUIRE((h != 0) == can);
    if (h == 0) return;
    REQUIRE(twin_find(&w->twin, h) < 0);
    for (uint32_t i = 0; i < GONE_MAX; i++) REQUIRE(w->gone[i] != h);
    twin_add(&w->twin, &o, h);
}

static void do_remove_or_fill(struct world *w) {
    if (w->twin.count == 0 || rng_below(&w->r, 8) == 0) {
        match_handle h = w->gone[rng_below(&w->r, GONE_MAX)];
        REQUIRE(!match_remove(w->book, h));
        return;
    }
    uint32_t i = (uint32_t)rng_below(&w->r, w->twin.count);
    match_handle h = w->twin.rows[i].handle;
    int64_t qty = w->twin.rows[i].order.qty;
    if (rng_below(&w->r, 3) > 0) {
        REQUIRE(match_remove(w->book, h));
    } else {
        qty = 1 + (int64_t)rng_below(&w->r, (uint64_t)qty);
        match_fill(w->book, h, qty);
    }
    twin_fill(w, i, qty);
}

/* Somewhere else, and the old place is made useless. */
static void do_move(struct world *w) {
    size_t size = match_size(&w->twin.limits);
    void *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, w->book, size);
    memset(w->book, 0xA5, size);
    free(w->book);
    w->book = copy;
}

/* ---- worlds ---- */

static void world_open(struct world *w, bool wide) {
    static const uint32_t maxima[] = {1,    3,    63,     64,       65,        1000,
                                      4095, 4096, 262144, 45000000, UINT32_MAX};
    struct match_limits limits = {
        .orders_max = 1 + (uint32_t)rng_below(&w->r, rng_below(&w->r, 2) ? 100 : 12),
        .levels_max = 1 + (uint32_t)rng_below(&w->r, rng_below(&w->r, 2) ? 60 : 8),
        .tick_max = maxima[rng_below(&w->r, sizeof maxima / sizeof *maxima)]};
    if (wide) limits = (struct match_limits){ROWS_MAX, ROWS_MAX * 4 / 5, 45000000};
    uint32_t span = 1 + (uint32_t)rng_below(&w->r, wide ? 6000 : 80);
    if (rng_below(&w->r, 4) == 0 || span > limits.tick_max) span = limits.tick_max;
    memset(&w->twin, 0, sizeof w->twin);
    memset(w->gone, 0, sizeof w->gone);
    w->gone_count = 0;
    w->twin.limits = limits;
    w->px_span = span;
    switch (rng_below(&w->r, 3)) { /* at the lower edge, at the upper one, anywhere */
    case 0:
        w->px_from = 1;
        break;
    case 1:
        w->px_from = limits.tick_max - span + 1;
        break;
    default:
        w->px_from = 1 + (uint32_t)rng_below(&w->r, (uint64_t)limits.tick_max - span + 1);
    }
    void *memory = malloc(match_size(&limits));
    assert_non_null(memory);
    memset(memory, 0x5A, match_size(&limits)); /* what lay there before does not matter */
    w->book = match_init(memory, &limits);
}

static void world_run(struct world *w, bool wide, uint32_t operations) {
    world_open(w, wide);
    /* Phases in which the book grows and in which it shrinks. */
    uint64_t add_share = 50;
    for (uint32_t i = 0; i < operations; i++) {
        if (i % 512 == 0) add_share = 20 + rng_below(&w->r, 75);
        uint64_t what = rng_below(&w->r, 100);
        if (what < add_share)
            do_add(w);
        else if (what < add_share + (100 - add_share) * 3 / 4)
            do_remove_or_fill(w);
        else
            do_take(w);
        check_some(w);
        if (rng_below(&w->r, 2000) == 0) do_move(w);
        if (rng_below(&w->r, wide ? 20000 : 500) == 0) check_all(w);
    }
    check_all(w);
    free(w->book);
}

static uint64_t env_u64(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    uint64_t value = text ? strtoull(text, NULL, 10) : otherwise;
    print_message("%s=%" PRIu64 "\n", name, value);
    return value;
}

static void test_twin(void **state) {
    (void)state;
    uint64_t seed = env_u64("TEST_SEED", 1), left = env_u64("TEST_OPS", 1200000);
    struct rng seeds = rng_init(seed);
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    for (uint64_t number = 0; left > 0; number++) {
        bool wide = number % 128 == 64;
        uint32_t operations = (uint32_t)(1 + rng_below(&seeds, wide ? 30000 : 8000));
        if (operations > left) operations = (uint32_t)left;
        w->r = rng_split(&seeds, number);
        world_run(w, wide, operations);
        left -= operations;
    }
    free(w);
}

/* The same operations on a book and on its copy leave the same bytes. */
static void test_same_bytes(void **state) {
    (void)state;
    struct match_limits limits = {500, 200, 45000000};
    size_t size = match_size(&limits);
    unsigned char *a = malloc(size), *b = malloc(size);
    assert_true(a && b);
    struct match *books[2] = {match_init(a, &limits), (struct match *)(void *)b};
    struct rng r = rng_init(env_u64("TEST_SEED", 1));
    match_handle handles[1000] = {0};
    for (int i = 0; i < 200000; i++) {
        if (i % 1000 == 0) memcpy(b, a, size);
        struct match_order o = {1000000 + (uint32_t)rng_below(&r, 300), (uint32_t)rng_below(&r, 2),
                                1 + (int64_t)rng_below(&r, 9), (uint64_t)i};
        uint64_t what = rng_below(&r, 10), victim = rng_below(&r, 1000);
        match_handle got[2] = {0};
        for (int k = 0; k < 2; k++) {
            if (what < 5)
                got[k] = match_add(books[k], &o);
            else if (what < 9)
                match_remove(books[k], handles[victim]);
            else
                match_take(books[k], (enum match_side)o.side, o.px, 20, NULL, NULL);
        }
        assert_true(got[0] == got[1]);
        if (what < 5) handles[i % 1000] = got[0];
        if (i % 1000 == 999) assert_memory_equal(a, b, size);
    }
    free(a);
    free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
