/* A kernel and the venue spoken by hand, one word at a time; money is kept twice. */
#ifndef KERNEL_TEST_WORD_H
#define KERNEL_TEST_WORD_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "trade/oms/oms.h"

enum { COMMANDS_MAX = 512, WORD_CONTRACTS_MAX = 80 };
static const int64_t MINUTE = INT64_C(60000000000);
static const int64_t S = INT64_C(1000000000);
static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t PX = 100 * FX_ONE;

struct world {
    struct instrument in[WORD_CONTRACTS_MAX];
    struct kernel_config config;
    struct kernel *kernel;
    struct kernel_out out;
    int64_t now, open_ts, wallet, position, fees;
    uint64_t trade_id, intent_id;
    struct venue_command commands[COMMANDS_MAX];
    uint32_t command_count, count[32];
    struct event last[32];
};

static inline struct world *world_of(uint32_t contracts) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    for (uint32_t i = 0; i < contracts; i++) {
        struct instrument *in = &w->in[i];
        char symbol[SYMBOL_SIZE];
        snprintf(symbol, sizeof symbol, "C%02uUSDT", i);
        instrument_defaults(in, symbol);
        in->tick_size.e8 = in->px_min.e8 = FX_ONE / 100;
        in->step_size.e8 = in->market_step_size.e8 = FX_ONE / 1000;
        in->qty_min.e8 = in->market_qty_min.e8 = FX_ONE / 1000;
    }
    w->wallet = 10000 * FX_ONE;
    w->config = (struct kernel_config){.mode = MODE_REPLAY,
                                       .seed = 1,
                                       .interval_ns = MINUTE,
                                       .instrument_count = contracts,
                                       .instruments = w->in,
                                       .wallet_start = {w->wallet},
                                       .half_spread = {10000},
                                       .bot = bot_config_defaults(STRATEGY_RANDOM, MINUTE),
                                       .limits = risk_limits_defaults(),
                                       .exits = exits_config_defaults()};
    w->config.bot.random_rate = 0;
    w->config.limits.cost_gate = false;
    w->config.limits.cooldown_ns = 0;
    return w;
}

static inline struct world *world_new(void) {
    return world_of(1);
}

static inline void take_out(struct world *w) {
    for (uint32_t n = 0; n < w->out.count; n++) {
        const struct event *e = &w->out.events[n];
        struct err err;
        if (event_validate(e, &err) != ST_OK) fail_msg("%s", err.text);
        w->count[e->type]++;
        w->last[e->type] = *e;
        if (e->type != EVENT_ORDER_PLACED) continue;
        /* Nothing that could open a position may rest at the venue: decision 017. */
        const struct venue_command *c = &e->u.venue_command;
        if (c->kind == COMMAND_ORDER_SUBMIT && !c->reduce_only && !c->close_position)
            assert_int_equal(c->order_type, ORDER_MARKET);
        assert_true(w->command_count < COMMANDS_MAX);
        w->commands[w->command_count++] = e->u.venue_command;
    }
    w->out.count = 0;
}

static inline void begin(struct world *w) {
    void *memory = aligned_alloc(64, kernel_size(&w->config));
    assert_non_null(memory);
    w->kernel = kernel_init(memory, &w->config);
    const struct bar b = {
        .open_ts_ns = T0, .open = {PX}, .high = {PX}, .low = {PX}, .close = {PX}, .volume = 1};
    for (uint32_t i = 0; i < w->config.instrument_count; i++)
        (void)kernel_bar(w->kernel, i, &b, NULL);
    w->now = T0 + MINUTE;
    const struct kernel_close_input in = {.close_ts_ns = w->now};
    kernel_close(w->kernel, &w->out, &in);
    take_out(w);
}

static inline struct world *world_begun(void) {
    struct world *w = world_new();
    begin(w);
    return w;
}

static inline void world_free(struct world *w) {
    free(w->kernel);
    free(w);
}

static const struct kernel_totals *totals(const struct world *w) {
    return kernel_totals(w->kernel);
}

/* A wish for 1.5 contracts at 100. */
static inline void wish(struct world *w, enum side side) {
    struct trade_intent t = {.intent_id = ++w->intent_id,
                             .side = (uint32_t)side,
                             .position_size_usd = {150 * FX_ONE},
                             .leverage = 2,
                             .strategy = STRATEGY_RANDOM,
                             .entry_price = {PX},
                             .stop_loss = {side == SIDE_BUY ? PX / 2 : PX * 2},
                             .stop_distance = 0.02,
                             .take_distance = 0.04,
                             .confidence = 0.9,
                             .horizon_bars = 90,
                             .created = w->now,
                             .expires = w->now + MINUTE};
    memcpy(t.symbol, w->in[0].symbol, SYMBOL_SIZE);
    kernel_intent(w->kernel, &w->out, &t, w->now);
    take_out(w);
}

static inline struct venue_event word(const struct world *w, enum venue_event_kind kind,
                                      const char *id) {
    struct venue_event e = {
        .kind = (uint8_t)kind, .ts_event_ns = w->now, .wallet = {w->wallet}, .venue_order_id = 7};
    if (id) memcpy(e.client_order_id, id, strlen(id));
    return e;
}

static inline void tell(struct world *w, const struct venue_event *e) {
    kernel_venue(w->kernel, &w->out, e, w->now);
    take_out(w);
}

static inline void say(struct world *w, enum venue_event_kind kind, const char *id, int32_t code) {
    struct venue_event e = word(w, kind, id);
    e.code = code;
    tell(w, &e);
}

static inline struct venue_event fill_of(struct world *w, const char *id, enum side side,
                                         int64_t qty, int64_t leaves) {
    int64_t fee = fx_mul_ceil(fx_mul_half_even(PX, qty), 50000);
    w->position += side_sign(side) * qty;
    w->wallet -= fee;
    w->fees += fee;
    struct venue_event e = word(w, VENUE_ORDER_TRADE, id);
    e.side = (uint8_t)side;
    e.trade_id = ++w->trade_id;
    e.last_px.e8 = PX; /* all at one price: nothing is realised */
    e.last_qty.e8 = qty;
    e.leaves_qty.e8 = leaves;
    e.commission.e8 = fee;
    e.wallet.e8 = w->wallet;
    return e;
}

static inline void fill(struct world *w, const char *id, enum side side, int64_t qty,
                        int64_t leaves) {
    struct venue_event e = fill_of(w, id, side, qty, leaves);
    tell(w, &e);
}

static inline void leverage(struct world *w) {
    struct venue_event e = word(w, VENUE_LEVERAGE_SET, NULL);
    e.leverage = w->commands[w->command_count - 1].leverage;
    tell(w, &e);
}

/* Time goes by; nobody answers. */
static inline void pass(struct world *w, int64_t ns) {
    int64_t until = w->now + ns;
    for (int64_t d; (d = kernel_deadline(w->kernel)) <= until;) {
        w->now = d > w->now ? d : w->now;
        kernel_time(w->kernel, &w->out, w->now);
        take_out(w);
    }
    w->now = until;
}

static const struct venue_command *newest(const struct world *w) {
    assert_true(w->command_count > 0);
    return &w->commands[w->command_count - 1];
}

/* The newest order asked for on a leg. */
static const struct venue_command *asked(const struct world *w, char leg) {
    for (uint32_t i = w->command_count; i-- > 0;)
        if (w->commands[i].kind == COMMAND_ORDER_SUBMIT &&
            w->commands[i].client_order_id[15] == leg)
            return &w->commands[i];
    fail_msg("no order of leg %c", leg);
    return NULL;
}

static inline uint32_t asked_count(const struct world *w, char leg) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->command_count; i++)
        n += w->commands[i].kind == COMMAND_ORDER_SUBMIT &&
             w->commands[i].client_order_id[15] == leg;
    return n;
}

static inline void check_books(const struct world *w) {
    const struct kernel_totals *t = totals(w);
    assert_int_equal(t->wallet.e8, w->wallet);
    assert_int_equal(t->fees.e8, w->fees);
    assert_int_equal(t->wallet.e8,
                     t->wallet_start.e8 + t->realized_pnl.e8 - t->fees.e8 + t->funding.e8);
    assert_int_equal(kernel_position_qty(w->kernel, 0).e8, w->position);
}

/* Everything the kernel still wants of the venue is answered properly, until it is flat. */
static inline void answer_until_flat(struct world *w, uint32_t from) {
    for (uint32_t i = from; i < w->command_count; i++) {
        struct venue_command c = w->commands[i];
        if (c.kind == COMMAND_ORDER_CANCEL)
            say(w, VENUE_ORDER_CANCELED, c.client_order_id, 0);
        else if (c.order_type == ORDER_MARKET)
            fill(w, c.client_order_id, (enum side)c.side, c.order_qty.e8, 0);
        else
            say(w, VENUE_ORDER_ACCEPTED, c.client_order_id, 0);
    }
    assert_int_equal(w->position, 0);
    assert_int_equal(kernel_open_count(w->kernel), 0);
    struct kernel_live_order live[4];
    assert_int_equal(kernel_live_orders(w->kernel, live, 4), 0);
    check_books(w);
}

static inline struct world *world_entering(void) {
    struct world *w = world_begun();
    wish(w, SIDE_BUY);
    leverage(w);
    assert_int_equal(asked(w, 'e')->order_qty.e8, 15 * FX_ONE / 10);
    return w;
}

static inline struct world *world_protected(void) {
    struct world *w = world_entering();
    fill(w, asked(w, 'e')->client_order_id, SIDE_BUY, 15 * FX_ONE / 10, 0);
    say(w, VENUE_ORDER_ACCEPTED, asked(w, 's')->client_order_id, 0);
    assert_int_equal(w->count[EVENT_POSITION_PROTECTED], 1);
    check_books(w);
    return w;
}

#endif
