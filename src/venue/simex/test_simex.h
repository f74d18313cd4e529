/* A small world for the tests of the simulated exchange: one or two BTC-like contracts, bars given
 * in plain numbers, events collected. */
#ifndef VENUE_SIMEX_TEST_SIMEX_H
#define VENUE_SIMEX_TEST_SIMEX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fx.h"
#include "base/tstamp.h"
#include "venue/simex/simex.h"

enum { WORLD_EVENTS = 512 };

struct world {
    struct instrument in[2];
    struct simex_config config;
    void *memory;
    struct simex *sx;
    int64_t open_ts; /* of the current bar */
    struct venue_event ev[WORLD_EVENTS];
    int n;
};

#define E8(x) (fx_from_f64(x))

/* The 2021 bracket table that many public tests of the venue's formulas use. */
static inline void world_brackets(struct instrument *in) {
    static const double rows[5][5] = {{0, 50e3, .004, 0, 125},
                                      {50e3, 250e3, .005, 50, 100},
                                      {250e3, 1e6, .01, 1300, 50},
                                      {1e6, 10e6, .025, 16300, 20},
                                      {10e6, 20e6, .05, 266300, 10}};
    in->bracket_count = 5;
    for (int i = 0; i < 5; i++)
        in->brackets[i] = (struct bracket){.notional_floor = {E8(rows[i][0])},
                                           .notional_cap = {E8(rows[i][1])},
                                           .maint_margin_rate = {E8(rows[i][2])},
                                           .maint_amount = {E8(rows[i][3])},
                                           .leverage_max = (uint32_t)rows[i][4]};
}

static inline void world_start(struct world *w) {
    w->memory = aligned_alloc(64, simex_size(&w->config));
    assert_non_null(w->memory);
    w->sx = simex_init(w->memory, &w->config);
}

/* Everything set but not started, so a test can change what it needs. No spread: the ask is the
 * path plus half a tick, rounded up. */
static inline void world_prepare(struct world *w) {
    memset(w, 0, sizeof *w);
    for (int i = 0; i < 2; i++) {
        instrument_defaults(&w->in[i], i ? "ETHUSDT" : "BTCUSDT");
        w->in[i].tick_size.e8 = w->in[i].px_min.e8 = E8(0.1);
        w->in[i].px_max.e8 = E8(4529764);
        w->in[i].step_size.e8 = w->in[i].qty_min.e8 = E8(0.001);
        w->in[i].market_step_size.e8 = w->in[i].market_qty_min.e8 = E8(0.001);
        w->in[i].qty_max.e8 = E8(1000);
        w->in[i].market_qty_max.e8 = E8(120);
        w->in[i].flags = 0;
        world_brackets(&w->in[i]);
    }
    w->config = simex_config_defaults();
    w->config.instrument_count = 2;
    w->config.instruments = w->in;
    w->config.wallet_start.e8 = E8(100000);
    w->config.half_spread.e8 = 0;
    w->config.depth_share.e8 = E8(0.1);
    w->open_ts = INT64_C(1700000000) / 3600 * 3600 * NS_PER_SECOND;
}

static inline void world_init(struct world *w) {
    world_prepare(w);
    world_start(w);
}

static inline void world_deinit(struct world *w) {
    free(w->memory);
}

static inline struct bar world_bar_make(const struct world *w, double open, double high, double low,
                                        double close, double volume) {
    return (struct bar){.open_ts_ns = w->open_ts,
                        .open = {E8(open)},
                        .high = {E8(high)},
                        .low = {E8(low)},
                        .close = {E8(close)},
                        .volume = volume};
}

/* Gives symbol 0 a bar with 100 units of volume at the current open_ts. */
static inline void world_bar(struct world *w, double open, double high, double low, double close) {
    struct bar b = world_bar_make(w, open, high, low, close, 100);
    simex_bar_begin(w->sx, 0, &b, NULL);
}

/* Draws events up to a time after the bar's open; they replace the last ones. */
static inline int world_run(struct world *w, int64_t after_open_ns) {
    w->n = 0;
    while (w->n < WORLD_EVENTS && simex_next(w->sx, w->open_ts + after_open_ns, &w->ev[w->n]))
        w->n++;
    assert_true(w->n < WORLD_EVENTS);
    return w->n;
}

/* To the end of the bar, and on to the next. */
static inline int world_finish(struct world *w) {
    int n = world_run(w, w->config.interval_ns - 1);
    w->open_ts += w->config.interval_ns;
    return n;
}

/* A command leaving us so that it arrives `at_ns` after the bar's open. */
static inline struct venue_command world_order(const struct world *w, int64_t at_ns, enum side side,
                                               enum order_type type, double qty, const char *id) {
    struct venue_command c = {.kind = COMMAND_ORDER_SUBMIT,
                              .side = (uint8_t)side,
                              .order_type = (uint8_t)type,
                              .ts_ns = w->open_ts + at_ns - w->config.latency_ns,
                              .order_qty = {E8(qty)}};
    memcpy(c.client_order_id, id, strnlen(id, sizeof c.client_order_id - 1));
    return c;
}

static inline void world_send(struct world *w, const struct venue_command *c) {
    assert_int_equal(simex_submit(w->sx, c), ST_OK);
}

static inline void world_limit(struct world *w, int64_t at_ns, enum side side, double qty,
                               double px, enum time_in_force tif, const char *id) {
    struct venue_command c = world_order(w, at_ns, side, ORDER_LIMIT, qty, id);
    c.limit_px.e8 = E8(px);
    c.time_in_force = (uint8_t)tif;
    world_send(w, &c);
}

static inline void world_market(struct world *w, int64_t at_ns, enum side side, double qty,
                                const char *id) {
    struct venue_command c = world_order(w, at_ns, side, ORDER_MARKET, qty, id);
    world_send(w, &c);
}

/* closePosition STOP_MARKET or TAKE_PROFIT_MARKET. */
static inline void world_exit(struct world *w, int64_t at_ns, enum side side, enum order_type type,
                              double stop, const char *id) {
    struct venue_command c = world_order(w, at_ns, side, type, 0, id);
    c.close_position = 1;
    c.stop_px.e8 = E8(stop);
    world_send(w, &c);
}

/* The index-th event of a kind for an order, NULL when there is none. */
static inline const struct venue_event *
world_event(const struct world *w, enum venue_event_kind kind, const char *id, int index) {
    for (int i = 0; i < w->n; i++)
        if (w->ev[i].kind == kind && strcmp(w->ev[i].client_order_id, id) == 0 && index-- == 0)
            return &w->ev[i];
    return NULL;
}

static inline int64_t world_qty(const struct world *w) {
    struct simex_position p;
    simex_position_get(w->sx, 0, &p);
    return p.qty.e8;
}

/* Sends one command to a world standing at a bar's open and returns the code of its answer. */
static inline int world_code(struct world *w, struct venue_command c) {
    world_send(w, &c);
    struct venue_event ev;
    assert_true(simex_next(w->sx, INT64_MAX - 1, &ev));
    assert_string_equal(ev.client_order_id, c.client_order_id);
    assert_int_equal(ev.kind == VENUE_ORDER_REJECTED, ev.code != 0);
    return ev.code;
}

#endif
