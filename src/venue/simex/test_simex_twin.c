/* A naive twin of the path: it walks every nanosecond of a short bar and looks at every order,
 * where the exchange solves for the instant. Both must name the same orders in the same order at
 * the same nanosecond. */
#include "base/rng.h"
#include "venue/simex/test_simex.h"

enum { TWIN_ORDERS = 24, TWIN_BARS = 6, TWIN_INTERVAL = 1801, TWIN_ROUNDS = 150 };

struct twin_order {
    char id[8];
    bool is_limit, is_buy, acts_above, uses_mark, open;
    int64_t level; /* acts when path >= or <= this */
    int64_t px;
};

struct fired {
    int order;
    int64_t ts;
};

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 4711;
}

static int64_t between(struct rng *rng, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(rng, (uint64_t)(high - low + 1));
}

/* Sign of path(offset) - level, from the definition in docs/simex.md. */
static int path_compare(const struct bar *b, int64_t offset, int64_t level) {
    const int64_t T = TWIN_INTERVAL;
    int64_t first = b->close.e8 >= b->open.e8 ? b->low.e8 : b->high.e8;
    int64_t second = b->close.e8 >= b->open.e8 ? b->high.e8 : b->low.e8;
    int64_t t0 = 0, t1 = T / 3, a = b->open.e8, z = first;
    if (offset >= T / 3) t0 = T / 3, t1 = T - T / 3, a = first, z = second;
    if (offset >= T - T / 3) t0 = T - T / 3, t1 = T - 1, a = second, z = b->close.e8;
    int64_t left = a * (t1 - t0) + (z - a) * (offset - t0), right = level * (t1 - t0);
    return left < right ? -1 : left > right;
}

static bool twin_precedes(const struct twin_order *orders, int a, int b) {
    const struct twin_order *x = &orders[a], *y = &orders[b];
    if (x->is_limit && x->is_buy != y->is_buy) return x->is_buy;
    if (x->is_limit && x->px != y->px) return x->is_buy ? x->px > y->px : x->px < y->px;
    return a < b;
}

/* Appends what fires in the bar; orders fire once. */
static int twin_walk(struct twin_order *orders, int count, const struct bar *last,
                     const struct bar *mark, struct fired *out) {
    int n = 0;
    for (int64_t offset = 0; offset < TWIN_INTERVAL; offset++) {
        for (;;) {
            int best = -1;
            for (int i = 0; i < count; i++) {
                if (!orders[i].open) continue;
                int sign = path_compare(orders[i].uses_mark ? mark : last, offset, orders[i].level);
                if (orders[i].acts_above ? sign < 0 : sign > 0) continue;
                if (best < 0 || twin_precedes(orders, i, best)) best = i;
            }
            if (best < 0) break;
            orders[best].open = false;
            out[n++] = (struct fired){best, last->open_ts_ns + offset};
        }
    }
    return n;
}

static struct bar random_bar(struct rng *g, int64_t open_ts, int64_t previous) {
    int64_t open = rng_below(g, 3) ? previous : previous + between(g, -9, 9);
    int64_t close = open + between(g, -12, 12);
    int64_t high = (open > close ? open : close) + between(g, 0, 6);
    int64_t low = (open < close ? open : close) - between(g, 0, 6);
    return (struct bar){.open_ts_ns = open_ts,
                        .open = {open * FX_ONE},
                        .high = {high * FX_ONE},
                        .low = {low * FX_ONE},
                        .close = {close * FX_ONE},
                        .volume = 1e6};
}

static void world_of_twin(struct world *w) {
    world_prepare(w);
    w->in[0].tick_size.e8 = w->in[0].px_min.e8 = FX_ONE;
    w->in[0].multiplier_up.e8 = w->in[0].multiplier_down.e8 = 0;
    w->config.interval_ns = TWIN_INTERVAL;
    w->config.latency_ns = w->config.fill_delay_ns = 0;
    w->config.leverage_default = 1;
    w->config.orders_per_instrument_max = 32;
    world_start(w);
}

/* Places random orders around a market standing at 1000. */
static void place_orders(struct world *w, struct rng *g, struct twin_order *orders, bool limits) {
    for (int i = 0; i < TWIN_ORDERS; i++) {
        struct twin_order *o = &orders[i];
        int64_t px = 1000 + (rng_below(g, 2) ? 1 : -1) * between(g, 1, 25);
        *o = (struct twin_order){.is_limit = limits, .open = true, .px = px * FX_ONE};
        snprintf(o->id, sizeof o->id, "o%d", i);
        struct venue_command c = world_order(w, 1, SIDE_BUY, ORDER_LIMIT, 0.01, o->id);
        if (limits) {
            o->is_buy = px < 1000;
            o->acts_above = !o->is_buy;
            o->level = o->px + (o->is_buy ? -1 : 1); /* strictly through */
            c.limit_px.e8 = o->px;
        } else {
            o->acts_above = px > 1000;
            o->is_buy = rng_below(g, 2);
            o->uses_mark = rng_below(g, 2);
            o->level = o->px;
            c.order_type =
                o->acts_above == o->is_buy ? ORDER_STOP_MARKET : ORDER_TAKE_PROFIT_MARKET;
            c.working_type = o->uses_mark;
            c.stop_px.e8 = o->px;
        }
        c.side = o->is_buy ? SIDE_BUY : SIDE_SELL;
        assert_int_equal(world_code(w, c), 0);
    }
}

static int compare_round(uint64_t seed, bool limits) {
    struct rng g = rng_init(seed);
    struct world w;
    struct twin_order orders[TWIN_ORDERS];
    world_of_twin(&w);
    world_bar(&w, 1000, 1000, 1000, 1000);
    place_orders(&w, &g, orders, limits);
    assert_int_equal(world_finish(&w), 0);
    int64_t last_px = 1000, mark_px = 1000;
    int total = 0;
    for (int k = 0; k < TWIN_BARS; k++) {
        struct bar last = random_bar(&g, w.open_ts, last_px);
        struct bar mark = random_bar(&g, w.open_ts, mark_px);
        last_px = last.close.e8 / FX_ONE;
        mark_px = mark.close.e8 / FX_ONE;
        bool has_mark = rng_below(&g, 4) > 0;
        simex_bar_begin(w.sx, 0, &last, has_mark ? &mark : NULL);
        struct fired fired[TWIN_ORDERS];
        int expected = twin_walk(orders, TWIN_ORDERS, &last, has_mark ? &mark : &last, fired),
            n = 0;
        world_finish(&w);
        for (int i = 0; i < w.n; i++) {
            if (w.ev[i].kind != (limits ? VENUE_ORDER_TRADE : VENUE_ORDER_TRIGGERED)) continue;
            assert_true(n < expected);
            assert_string_equal(w.ev[i].client_order_id, orders[fired[n].order].id);
            assert_int_equal(w.ev[i].ts_event_ns, fired[n].ts);
            n++;
        }
        assert_int_equal(n, expected);
        total += n;
    }
    world_deinit(&w);
    return total;
}

static void test_triggers_agree_with_the_walk(void **state) {
    (void)state;
    int total = 0;
    printf("seed %llu\n", (unsigned long long)test_seed());
    for (uint64_t i = 0; i < TWIN_ROUNDS; i++) total += compare_round(test_seed() + i, false);
    assert_true(total > TWIN_ROUNDS * TWIN_ORDERS / 4);
}

static void test_limits_agree_with_the_walk(void **state) {
    (void)state;
    int total = 0;
    for (uint64_t i = 0; i < TWIN_ROUNDS; i++) total += compare_round(test_seed() + i, true);
    assert_true(total > TWIN_ROUNDS * TWIN_ORDERS / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triggers_agree_with_the_walk),
        cmocka_unit_test(test_limits_agree_with_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
