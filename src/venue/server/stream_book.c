/* Streams of the book: bookTicker, diff depth, partial depth.
 *
 * Diffs: every change of a level is kept until each subscribed speed has told it; what an interval changed is told
 * once, with its quantity now. Each stream has its own chain: pu is the u it sent before. U repeats that number too
 * instead of being one higher: quantities are absolute, and so the rule U <= lastUpdateId <= u also finds its event
 * when the book stood still between subscribing and the snapshot. */
#include <stdlib.h>
#include <string.h>

#include "venue/server/stream_internal.h"
#include "venue/server/stream_text.h"

enum {
    LEVEL_BYTES = 64, /* ["-92233720368.54775807","-92233720368.54775807"], */
    HEAD_BYTES = 512,
    TOP_LEVELS_MAX = 20,
};

static int64_t to_ms(int64_t ns) {
    return ns / NS_PER_MS;
}

void stream_book_begin(struct streams *s, uint32_t contract, int slot) {
    struct stream_contract *c = &s->contracts[contract];
    struct exchange_prices prices;
    exchange_prices_get(s->world->exchange, contract, &prices);
    if (slot >= SLOT_TOP) {
        c->top_u[slot - SLOT_TOP] = prices.book_sequence;
    } else if (slot >= SLOT_DEPTH) {
        if (!(c->active & DEPTH_BITS)) c->change_count = 0;
        c->depth[slot - SLOT_DEPTH] =
            (struct depth_chain){.last_u = prices.book_sequence, .from = c->change_count};
    }
    if (!(c->active & (DEPTH_BITS | TOP_BITS))) {
        c->level_sequence = prices.book_sequence;
        c->level_ns = s->world->now_ns;
    }
}

/* Times and names, which stand in one order in every event of the book. */
static char *put_book_head(struct streams *s, uint32_t contract, char *p) {
    const char *symbol = exchange_instrument(s->world->exchange, contract)->symbol;
    p = PUT(p, ",\"E\":");
    p = put_i64(p, to_ms(s->now_ns));
    p = PUT(p, ",\"T\":");
    p = put_i64(p, to_ms(s->contracts[contract].level_ns));
    p = PUT(p, ",\"s\":");
    p = put_quoted(p, symbol);
    p = PUT(p, ",\"ps\":");
    return put_quoted(p, symbol);
}

static void book_ticker(struct streams *s, uint32_t contract, const struct exchange_prices *now) {
    struct stream_contract *c = &s->contracts[contract];
    char *p = stream_payload(s, HEAD_BYTES);
    p = PUT(p, "{\"e\":\"bookTicker\",\"u\":");
    p = put_u64(p, now->book_sequence);
    p = put_book_head(s, contract, p);
    p = PUT(p, ",\"b\":");
    p = put_decimal(p, now->bid.e8, c->px_decimals);
    p = PUT(p, ",\"B\":");
    p = put_decimal(p, now->bid_qty.e8, c->qty_decimals);
    p = PUT(p, ",\"a\":");
    p = put_decimal(p, now->ask.e8, c->px_decimals);
    p = PUT(p, ",\"A\":");
    p = put_decimal(p, now->ask_qty.e8, c->qty_decimals);
    p = PUT(p, ",\"st\":1}");
    if (c->active & SLOT_BIT(SLOT_BOOK)) stream_publish(s, stream_number(contract, SLOT_BOOK), p);
    if (stream_global_active(s, GLOBAL_BOOK))
        stream_publish(s, stream_global_number(s, GLOBAL_BOOK), p);
}

/* The exchange has done its whole step when its events are drawn: the first change of a step already finds the best
 * prices as they stay, the others find nothing new. */
static void book_ticker_look(struct streams *s, uint32_t contract) {
    struct stream_contract *c = &s->contracts[contract];
    struct exchange_prices now;
    exchange_prices_get(s->world->exchange, contract, &now);
    c->book_seen = now.book_sequence;
    if (now.bid.e8 == c->bid.e8 && now.ask.e8 == c->ask.e8 && now.bid_qty.e8 == c->bid_qty.e8 &&
        now.ask_qty.e8 == c->ask_qty.e8)
        return;
    c->bid = now.bid;
    c->ask = now.ask;
    c->bid_qty = now.bid_qty;
    c->ask_qty = now.ask_qty;
    book_ticker(s, contract, &now);
}

void stream_book_event(struct streams *s, const struct exchange_event *e) {
    struct stream_contract *c = &s->contracts[e->instrument];
    c->level_ns = e->ts_ns;
    c->level_sequence = e->sequence;
    if (c->active & DEPTH_BITS) {
        c->changes =
            stream_grow(c->changes, &c->change_capacity, c->change_count + 1, sizeof *c->changes);
        c->changes[c->change_count] =
            (struct level_change){e->sequence, e->px, e->qty, e->side, c->change_count};
        c->change_count++;
    }
    bool asked = (c->active & SLOT_BIT(SLOT_BOOK)) || stream_global_active(s, GLOBAL_BOOK);
    if (asked && e->sequence > c->book_seen) book_ticker_look(s, e->instrument);
}

/* ---- depth ---- */

static char *put_depth_head(struct streams *s, uint32_t contract, char *p, uint64_t previous) {
    const struct stream_contract *c = &s->contracts[contract];
    p = PUT(p, "{\"e\":\"depthUpdate\"");
    p = put_book_head(s, contract, p);
    p = PUT(p, ",\"U\":");
    p = put_u64(p, previous);
    p = PUT(p, ",\"u\":");
    p = put_u64(p, c->level_sequence);
    p = PUT(p, ",\"pu\":");
    return put_u64(p, previous);
}

static char *put_level(char *p, const struct stream_contract *c, px_t px, qty_t qty) {
    *p++ = '[';
    p = put_decimal(p, px.e8, c->px_decimals);
    *p++ = ',';
    if (qty.e8)
        p = put_decimal(p, qty.e8, c->qty_decimals);
    else
        p = PUT(p, "\"0\"");
    *p++ = ']';
    return p;
}

/* Bids first, best first; then asks, best first; changes of one level in their order. */
static int by_level(const void *a, const void *b) {
    const struct level_change *x = a, *y = b;
    if (x->side != y->side) return x->side < y->side ? -1 : 1;
    if (x->px.e8 != y->px.e8) return (x->px.e8 < y->px.e8) == (x->side == SIDE_BUY) ? 1 : -1;
    return x->order < y->order ? -1 : 1;
}

/* Leaves the last change of each level; returns how many. */
static uint32_t sort_changes(struct streams *s, const struct level_change *from, uint32_t count) {
    s->sorted = stream_grow(s->sorted, &s->sorted_capacity, count, sizeof *s->sorted);
    memcpy(s->sorted, from, count * sizeof *from);
    qsort(s->sorted, count, sizeof *s->sorted, by_level);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct level_change *x = &s->sorted[i];
        bool last = i + 1 == count || x[1].side != x->side || x[1].px.e8 != x->px.e8;
        if (last) s->sorted[kept++] = *x;
    }
    return kept;
}

static void diff(struct streams *s, uint32_t contract, int speed) {
    struct stream_contract *c = &s->contracts[contract];
    struct depth_chain *chain = &c->depth[speed];
    if (chain->from == c->change_count) return;
    uint32_t count = sort_changes(s, c->changes + chain->from, c->change_count - chain->from);
    char *p = stream_payload(s, HEAD_BYTES + (size_t)count * LEVEL_BYTES);
    p = put_depth_head(s, contract, p, chain->last_u);
    p = PUT(p, ",\"b\":[");
    uint32_t i = 0;
    for (; i < count && s->sorted[i].side == SIDE_BUY; i++) {
        if (i) *p++ = ',';
        p = put_level(p, c, s->sorted[i].px, s->sorted[i].qty);
    }
    p = PUT(p, "],\"a\":[");
    for (uint32_t first = i; i < count; i++) {
        if (i > first) *p++ = ',';
        p = put_level(p, c, s->sorted[i].px, s->sorted[i].qty);
    }
    p = PUT(p, "],\"st\":1}");
    chain->last_u = c->level_sequence;
    chain->from = c->change_count;
    stream_publish(s, stream_number(contract, SLOT_DEPTH + speed), p);
}

/* Forgets the changes that every speed has told. */
static void changes_drop(struct stream_contract *c) {
    uint32_t told = c->change_count;
    for (int i = 0; i < DEPTH_COUNT; i++)
        if ((c->active & SLOT_BIT(SLOT_DEPTH + i)) && c->depth[i].from < told)
            told = c->depth[i].from;
    if (told == 0) return;
    memmove(c->changes, c->changes + told, (c->change_count - told) * sizeof *c->changes);
    c->change_count -= told;
    for (uint32_t i = 0; i < c->change_count; i++) c->changes[i].order = i;
    for (int i = 0; i < DEPTH_COUNT; i++)
        c->depth[i].from = c->depth[i].from > told ? c->depth[i].from - told : 0;
}

static char *put_side(struct streams *s, uint32_t contract, enum side side, uint32_t count,
                      char *p) {
    struct exchange_level levels[TOP_LEVELS_MAX];
    uint64_t sequence;
    uint32_t n = exchange_depth(s->world->exchange, contract, side, levels, count, &sequence);
    for (uint32_t i = 0; i < n; i++) {
        if (i) *p++ = ',';
        p = put_level(p, &s->contracts[contract], levels[i].px, levels[i].qty);
    }
    return p;
}

static void top(struct streams *s, uint32_t contract, int which) {
    static const uint32_t sizes[] = {5, 10, TOP_LEVELS_MAX};
    struct stream_contract *c = &s->contracts[contract];
    uint32_t levels = sizes[which / DEPTH_SPEEDS];
    if (c->top_u[which] == c->level_sequence) return;
    char *p = stream_payload(s, HEAD_BYTES + (size_t)2 * TOP_LEVELS_MAX * LEVEL_BYTES);
    p = put_depth_head(s, contract, p, c->top_u[which]);
    p = PUT(p, ",\"b\":[");
    p = put_side(s, contract, SIDE_BUY, levels, p);
    p = PUT(p, "],\"a\":[");
    p = put_side(s, contract, SIDE_SELL, levels, p);
    p = PUT(p, "],\"st\":1}");
    c->top_u[which] = c->level_sequence;
    stream_publish(s, stream_number(contract, SLOT_TOP + which), p);
}

void stream_book_tick(struct streams *s, uint32_t contract, uint64_t slots) {
    struct stream_contract *c = &s->contracts[contract];
    for (int i = 0; i < DEPTH_COUNT; i++)
        if (slots & SLOT_BIT(SLOT_DEPTH + i)) diff(s, contract, i);
    for (int i = 0; i < TOP_COUNT; i++)
        if (slots & SLOT_BIT(SLOT_TOP + i)) top(s, contract, i);
    if (slots & DEPTH_BITS) changes_drop(c);
}
