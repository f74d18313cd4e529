/* Ladders of three targets with break-even and trailing, on the simulated exchange: random markets, partial
 * fills, ticks between bars or none; and the same run with its memory copied and exchanged at any moment.
 *
 * After every event: one wallet in both books, one position in both, a confirmed stop for everything held
 * that was protected once. TEST_SEED=n repeats the run. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "kernel/kernel.h"
#include "venue/simex/simex.h"

enum { SYMBOLS = 3, BARS = 1500 };
static const int64_t MINUTE = INT64_C(60000000000);
static const int64_t T0 = INT64_C(1727740800000000000);

struct world {
    struct instrument in[SYMBOLS];
    struct kernel_config kernel_config;
    struct simex_config simex_config;
    struct kernel *kernel;
    struct simex *simex;
    struct kernel_out *out;
    struct rng rng;
    int64_t open_ts, now, px[SYMBOLS];
    uint64_t tick_id, intent_id;
    bool ticks, copies;
    bool was_protected[SYMBOLS];
    uint32_t closed, targets, stops, copied, partial;
    double worst;
};

static void *block(size_t size) {
    void *memory = aligned_alloc(64, size);
    assert_non_null(memory);
    return memory;
}

static void begin(struct world *w, uint64_t seed, bool ticks, bool copies) {
    memset(w, 0, sizeof *w);
    w->rng = rng_init(seed);
    w->ticks = ticks;
    w->copies = copies;
    for (int i = 0; i < SYMBOLS; i++) {
        char name[SYMBOL_SIZE];
        snprintf(name, sizeof name, "C%dUSDT", i);
        instrument_defaults(&w->in[i], name);
        w->in[i].tick_size.e8 = w->in[i].px_min.e8 = FX_ONE / 100;
        w->in[i].step_size.e8 = w->in[i].market_step_size.e8 = FX_ONE / 1000;
        w->in[i].qty_min.e8 = w->in[i].market_qty_min.e8 = FX_ONE / 1000;
        w->px[i] = (100 + 40 * i) * FX_ONE;
    }
    w->kernel_config = (struct kernel_config){.mode = MODE_REPLAY,
                                              .seed = seed,
                                              .interval_ns = MINUTE,
                                              .instrument_count = SYMBOLS,
                                              .instruments = w->in,
                                              .wallet_start = {10000 * FX_ONE},
                                              .half_spread = {10000},
                                              .bot = bot_config_defaults(STRATEGY_RANDOM, MINUTE),
                                              .limits = risk_limits_defaults(),
                                              .exits = exits_config_defaults()};
    w->kernel_config.bot.random_rate = 0; /* it wants nothing of its own accord */
    w->kernel_config.limits.cost_gate = false;
    w->kernel_config.limits.cooldown_ns = 0;
    w->kernel_config.limits.stop_cost_multiple = 1;
    w->kernel = kernel_init(block(kernel_size(&w->kernel_config)), &w->kernel_config);
    w->simex_config = simex_config_defaults();
    w->simex_config.instrument_count = SYMBOLS;
    w->simex_config.instruments = w->in;
    w->simex_config.interval_ns = MINUTE;
    w->simex = simex_init(block(simex_size(&w->simex_config)), &w->simex_config);
    w->out = calloc(1, sizeof *w->out);
    assert_non_null(w->out);
    w->open_ts = w->now = T0;
}

static void end(struct world *w) {
    free(w->kernel);
    free(w->simex);
    free(w->out);
}

/* ---- rules ---- */

static void check_stops(struct world *w) {
    static struct kernel_live_order orders[64];
    uint32_t count = kernel_live_orders(w->kernel, orders, 64);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        if (kernel_position_side(w->kernel, i) == SIDE_NONE) {
            w->was_protected[i] = false;
            continue;
        }
        uint32_t standing = 0;
        for (uint32_t o = 0; o < count; o++)
            standing += orders[o].instrument_index == i &&
                        orders[o].order_type == ORDER_STOP_MARKET &&
                        (orders[o].state == ORDER_NEW || orders[o].state == ORDER_PARTIALLY_FILLED);
        if (w->was_protected[i]) assert_true(standing > 0);
        w->was_protected[i] = w->was_protected[i] || standing > 0;
    }
}

static void check(struct world *w) {
    struct simex_account a;
    simex_account_get(w->simex, &a);
    const struct kernel_totals *t = kernel_totals(w->kernel);
    assert_int_equal(t->wallet.e8, a.wallet.e8);
    assert_int_equal(t->wallet.e8, a.wallet_start.e8 + t->realized_pnl.e8 - t->fees.e8);
    assert_int_equal(t->realized_pnl.e8, a.realized_pnl.e8);
    assert_int_equal(t->fees.e8, a.fees.e8);
    assert_int_equal(t->illegal_events + t->unknown_orders + t->duplicate_fills, 0);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        struct simex_position p;
        simex_position_get(w->simex, i, &p);
        assert_int_equal(p.qty.e8, kernel_position_qty(w->kernel, i).e8);
    }
    check_stops(w);
}

static void check_closed(struct world *w, const struct trade_closed *t) {
    assert_true(t->drawdown_max >= 0 && t->drawdown_max <= 1);
    assert_true(t->qty.e8 > 0 && t->targets <= 3 && t->arm == 4);
    assert_int_equal(t->net_pnl.e8, t->realized_pnl.e8 - t->fees.e8);
    /* It was never worse than this, and if it ended in a loss it was at least that bad. */
    double loss = px_to_f64(t->exit_px) / px_to_f64(t->entry_px) - 1;
    if (t->side == SIDE_BUY) loss = -loss;
    if (t->targets == 0) assert_true(t->drawdown_max >= loss - 1e-9);
    if (t->drawdown_max > w->worst) w->worst = t->drawdown_max;
    w->targets += t->targets;
    w->closed++;
}

/* ---- running ---- */

/* The same run in other memory: what a restart from a snapshot is. */
static void exchange_memory(struct world *w) {
    if (!w->copies || rng_below(&w->rng, 12) != 0) return;
    size_t size = kernel_size(&w->kernel_config);
    void *kernel = block(size), *simex = block(simex_state_size(w->simex));
    memcpy(kernel, w->kernel, size);
    memcpy(simex, w->simex, simex_state_size(w->simex));
    free(w->kernel);
    free(w->simex);
    w->kernel = kernel;
    w->simex = simex;
    w->copied++;
}

static void take_out(struct world *w) {
    for (uint32_t n = 0; n < w->out->count; n++) {
        const struct event *e = &w->out->events[n];
        struct err err;
        if (event_validate(e, &err) != ST_OK) fail_msg("%s", err.text);
        if (e->type == EVENT_ORDER_PLACED) {
            const struct venue_command *c = &e->u.venue_command;
            w->stops += c->order_type == ORDER_STOP_MARKET && c->kind == COMMAND_ORDER_SUBMIT;
            assert_int_equal(simex_submit(w->simex, c), ST_OK);
        }
        if (e->type == EVENT_TRADE_CLOSED) check_closed(w, &e->u.trade_closed);
    }
    w->out->count = 0;
}

static void pump(struct world *w, int64_t until) {
    for (;;) {
        int64_t deadline = kernel_open_count(w->kernel) ? kernel_deadline(w->kernel) : INT64_MAX;
        struct venue_event e;
        if (simex_next(w->simex, deadline < until ? deadline : until, &e)) {
            w->now = e.ts_event_ns;
            w->partial += e.kind == VENUE_ORDER_TRADE && e.leaves_qty.e8 > 0;
            if (e.kind == VENUE_ORDER_REJECTED) assert_int_equal(e.code, -2021);
            kernel_venue(w->kernel, w->out, &e, e.ts_event_ns);
        } else if (deadline <= until) {
            w->now = deadline;
            kernel_time(w->kernel, w->out, deadline);
        } else {
            return;
        }
        take_out(w);
        check(w);
        exchange_memory(w);
    }
}

static void tick(struct world *w, int64_t ts) {
    pump(w, ts);
    w->now = ts;
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        struct simex_position p;
        simex_position_get(w->simex, i, &p);
        const struct tick t = {.ts = ts, .trade_id = ++w->tick_id, .price = p.last_px};
        if (!kernel_tick(w->kernel, i, &t)) continue;
        kernel_extreme(w->kernel, w->out, i, t.price, t.price, ts, ts);
        take_out(w);
    }
}

static void wish(struct world *w, struct rng *market, uint32_t i) {
    double unit = 0.001 + rng_f64(market) * 0.004;
    bool buy = rng_below(market, 2);
    struct trade_intent t = {.intent_id = ++w->intent_id,
                             .instrument_index = i,
                             .side = buy ? SIDE_BUY : SIDE_SELL,
                             .position_size_usd = {(int64_t)(20 + rng_below(market, 980)) * FX_ONE},
                             .leverage = 2,
                             .strategy = STRATEGY_RANDOM,
                             .entry_price = {w->px[i]},
                             .stop_loss = {buy ? w->px[i] / 2 : w->px[i] * 2},
                             .stop_distance = 0.002 + unit * 2,
                             .take_distance = unit * 2,
                             .take_distance_2 = unit * 3.5,
                             .take_distance_3 = unit * 5.5,
                             .take_part_1 = 0.5,
                             .take_part_2 = 0.3,
                             .break_even_distance = unit * 1.2,
                             .trail_from_distance = unit * 3,
                             .trail_distance = unit,
                             .confidence = 0.9,
                             .horizon_bars = 90,
                             .arm = 4,
                             .created = w->now,
                             .expires = w->now + MINUTE};
    memcpy(t.symbol, w->in[i].symbol, SYMBOL_SIZE);
    kernel_intent(w->kernel, w->out, &t, w->now);
    take_out(w);
}

static struct bar next_bar(struct world *w, struct rng *market, uint32_t i) {
    struct bar b = {.open_ts_ns = w->open_ts, .open = {w->px[i]}};
    int64_t close = w->px[i] + ((int64_t)rng_below(market, 201) - 100) * (w->px[i] / 40000);
    b.close.e8 = close / (FX_ONE / 100) * (FX_ONE / 100);
    int64_t up = b.close.e8 > b.open.e8 ? b.close.e8 : b.open.e8;
    int64_t down = b.close.e8 > b.open.e8 ? b.open.e8 : b.close.e8;
    b.high.e8 = up + (int64_t)rng_below(market, 20) * (FX_ONE / 100);
    b.low.e8 = down - (int64_t)rng_below(market, 20) * (FX_ONE / 100);
    b.volume = rng_below(market, 3) ? 1e6 : 1500; /* thin bars fill in parts */
    w->px[i] = b.close.e8;
    return b;
}

static void run(struct world *w, uint64_t seed) {
    struct rng market = rng_init(seed ^ 0xB4A5);
    struct bar bars[SYMBOLS];
    for (int n = 0; n < BARS; n++) {
        for (uint32_t i = 0; i < SYMBOLS; i++) {
            bars[i] = next_bar(w, &market, i);
            simex_bar_begin(w->simex, i, &bars[i], NULL);
        }
        for (int64_t part = 1; w->ticks && part < 6; part++)
            tick(w, w->open_ts + MINUTE * part / 6);
        w->open_ts += MINUTE;
        pump(w, w->open_ts - 1);
        w->now = w->open_ts;
        for (uint32_t i = 0; i < SYMBOLS; i++) (void)kernel_bar(w->kernel, i, &bars[i], NULL);
        const struct kernel_close_input in = {.close_ts_ns = w->now};
        kernel_close(w->kernel, w->out, &in);
        take_out(w);
        for (uint32_t i = 0; i < SYMBOLS; i++)
            if (rng_below(&market, 10) == 0) wish(w, &market, i);
    }
    kernel_flatten(w->kernel, w->out, EXIT_OPERATOR, w->now);
    take_out(w);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        bars[i] = next_bar(w, &market, i);
        simex_bar_begin(w->simex, i, &bars[i], NULL);
    }
    pump(w, w->open_ts + MINUTE - 1);
    assert_int_equal(kernel_open_count(w->kernel), 0);
    for (uint32_t i = 0; i < SYMBOLS; i++) assert_false(simex_is_active(w->simex, i));
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

static void ladders_keep_the_books(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    uint32_t closed = 0, targets = 0, moved = 0, partial = 0;
    for (uint64_t n = 0; n < 6; n++) {
        struct world w;
        begin(&w, seed + n, n % 2, false);
        run(&w, seed + n);
        closed += w.closed;
        targets += w.targets;
        moved += w.stops - w.closed; /* every trade has one of the first kind */
        partial += w.partial;
        assert_int_equal(kernel_totals(w.kernel)->unprotected_ever, 0);
        end(&w);
    }
    print_message("%u trades, %u targets, %u stops replaced, %u partial fills\n", closed, targets,
                  moved, partial);
    assert_true(closed > 300 && targets > 100 && moved > 100 && partial > 20);
}

static void a_copy_of_the_memory_goes_on_as_the_original(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    for (uint64_t n = 0; n < 2; n++) {
        struct world whole, pieces;
        begin(&whole, seed + n, n % 2, false);
        begin(&pieces, seed + n, n % 2, true);
        run(&whole, seed + n);
        run(&pieces, seed + n);
        assert_true(pieces.copied > 50);
        assert_int_equal(kernel_hash(whole.kernel), kernel_hash(pieces.kernel));
        end(&whole);
        end(&pieces);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ladders_keep_the_books),
        cmocka_unit_test(a_copy_of_the_memory_goes_on_as_the_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
