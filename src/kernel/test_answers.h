/* A venue of a few lines: what is held there, and what it has said and the kernel was not told. */
#ifndef KERNEL_TEST_ANSWERS_H
#define KERNEL_TEST_ANSWERS_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/kernel.h"

enum { ANSWERS_MAX = 256, ANSWERS_CONTRACTS_MAX = 8 };

struct answers {
    int64_t position[ANSWERS_CONTRACTS_MAX], entry_px[ANSWERS_CONTRACTS_MAX], wallet;
    bool even; /* no fill realises anything */
    uint64_t trade_id;
    struct venue_event queue[ANSWERS_MAX];
    uint32_t queued, taken;
};

/* What else it says, the caller adds. A leverage is of a contract, not of an order. */
static inline struct venue_event *say(struct answers *a, enum venue_event_kind kind,
                                      const struct venue_command *c) {
    assert_true(a->queued - a->taken < ANSWERS_MAX);
    struct venue_event *e = &a->queue[a->queued++ % ANSWERS_MAX];
    *e = (struct venue_event){.kind = (uint8_t)kind,
                              .side = c->side,
                              .order_type = c->order_type,
                              .instrument_index = c->instrument_index,
                              .leverage = c->leverage,
                              .wallet = {a->wallet}};
    if (kind != VENUE_LEVERAGE_SET)
        memcpy(e->client_order_id, c->client_order_id, CLIENT_ORDER_ID_SIZE);
    return e;
}

static inline void fill(struct answers *a, const struct venue_command *c, int64_t px, int64_t qty) {
    uint32_t i = c->instrument_index;
    int64_t held = a->position[i], pnl = 0;
    int sign = side_sign((enum side)c->side);
    if (held == 0) a->entry_px[i] = px;
    if (held * sign < 0 && !a->even) pnl = -sign * fx_mul_half_even(px - a->entry_px[i], qty);
    a->position[i] += sign * qty;
    a->wallet += pnl;
    struct venue_event *e = say(a, VENUE_ORDER_TRADE, c);
    e->trade_id = ++a->trade_id;
    e->last_px.e8 = px;
    e->last_qty.e8 = qty;
    e->realized_pnl.e8 = pnl;
}

/* The oldest that was not told, as of now. */
static inline bool next_answer(struct venue_event *e, struct answers *a, int64_t now) {
    if (a->taken == a->queued) return false;
    *e = a->queue[a->taken++ % ANSWERS_MAX];
    e->ts_event_ns = now;
    return true;
}

#endif
