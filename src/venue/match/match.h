/* A limit-order book of one contract: price-time priority on integer ticks.
 *
 * Pure: one block of memory of match_size(limits) bytes, no pointers inside (a snapshot is a memcpy),
 * no allocation after match_init, so no operation ever pays for growth. Cost of every call is bounded
 * by the depth of the level index (one word of 64 ticks a step, at most 6 steps), not by how many
 * orders rest.
 *
 * The book holds resting orders and nothing else: who may trade, with what margin, what a self trade
 * does and what a trade costs is decided by the caller (venue/exchange), which walks the opposite side
 * with match_front and match_fill. match_take is that walk for callers without such questions. */
#ifndef VENUE_MATCH_MATCH_H
#define VENUE_MATCH_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct match;

struct match_limits {
    uint32_t orders_max; /* resting at once, both sides */
    uint32_t levels_max; /* distinct prices at once, both sides */
    uint32_t tick_max;   /* highest price, in ticks */
};

enum match_side { MATCH_BID = 0, MATCH_ASK = 1 };

/* A resting order's handle: slot and generation, so a handle of a gone order is recognised. 0: none. */
typedef uint64_t match_handle;

struct match_order {
    uint32_t px;   /* ticks, 1..tick_max */
    uint32_t side; /* enum match_side */
    int64_t qty;   /* remaining, > 0, in lots of the caller's choice; a level's sum fits int64 */
    uint64_t tag;  /* the caller's; not looked at */
};

/* Bytes of a book with these limits (each at least 1, orders_max and levels_max below 2^31, asserted):
 * 32 an order, 40 to 140 a level. */
size_t match_size(const struct match_limits *limits);
/* memory: match_size bytes aligned to 8 (64 keeps an order in one cache line). */
struct match *match_init(void *memory, const struct match_limits *limits);

/* Rests an order behind all others of its price, crossing or not. 0: no order slot or level is free. */
match_handle match_add(struct match *m, const struct match_order *order);
/* False if the handle is not of a resting order. */
bool match_get(const struct match *m, match_handle h, struct match_order *out);
/* Takes it out. False if it is gone already. */
bool match_remove(struct match *m, match_handle h);
/* Takes qty (1..remaining, asserted; so is that it rests) off it, keeping its place; at 0 it is removed. */
void match_fill(struct match *m, match_handle h, int64_t qty);

/* Best price of a side in ticks, 0 if it is empty; the order first in line there, 0 if none. */
uint32_t match_best(const struct match *m, enum match_side side);
match_handle match_front(const struct match *m, enum match_side side);
/* The order first in line at a price, 0 if nothing rests there: for walks that only look (FOK). */
match_handle match_front_at(const struct match *m, enum match_side side, uint32_t px);
/* The order behind h in its level, 0 at the end or if h is gone. */
match_handle match_after(const struct match *m, match_handle h);
/* The next worse price of the side behind px that has orders, 0 if none. px need not have any, and may
 * be any number: of bids UINT32_MAX gives the best, of asks 0. */
uint32_t match_worse(const struct match *m, enum match_side side, uint32_t px);
/* Sum of the remaining quantities at a price; 0 if nothing rests there. */
int64_t match_level_qty(const struct match *m, enum match_side side, uint32_t px);
uint32_t match_order_count(const struct match *m);
uint32_t match_level_count(const struct match *m, enum match_side side);

/* Takes up to qty (>= 0) from the side opposite to `side`, at prices not worse than limit (0: any), in
 * priority; returns what was taken. on_fill (may be NULL) is told each fill, before it is done: order
 * as it rests, qty of this fill. It may look at the book and not change it. */
typedef void match_on_fill(void *context, match_handle maker, const struct match_order *order,
                           int64_t qty);
int64_t match_take(struct match *m, enum match_side side, uint32_t limit, int64_t qty,
                   match_on_fill *on_fill, void *context);

#endif
