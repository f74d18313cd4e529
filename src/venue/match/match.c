/* Layout of the one block: header, orders, levels, words, generations, level table.
 *
 *   orders   pool of 32 bytes each, doubly linked by index in time order within their level
 *   generations  one of each order slot, odd while an order rests there. Apart from the orders, because
 *            most cancels come too late: what tells so must be found in a megabyte, not in eight
 *   levels   pool of 32 bytes each, doubly linked by index in price order within their side: best
 *            first, so that walking a side needs no search
 *   table    hash of (price, side) to level: open addressing, linear probing, half full at most
 *   words    which prices have a level, as a 64-ary trie of bitmaps: the word of depth d and key k says
 *            which of the prices k << 6(d+1) … have one. Only words that are not empty exist, hashed by
 *            (side, depth, key); the top of each side lies in the header. Asked only for the place of a
 *            new level behind the best, and by match_worse for prices without a level.
 *
 * Index 0 of both pools is none. Deletions from the two hash tables close the gap (no tombstones), so
 * nothing ages. */
#include "venue/match/match.h"

#include <string.h>

#include "base/assert.h"

enum { DEPTH_MAX = 6, SIDES = 2, ALIGNMENT = 64 };

struct order {
    int64_t qty;
    uint64_t tag;
    uint32_t prev, next; /* in its level; next also links free slots */
    uint32_t level, reserved;
};

struct level {
    uint32_t px, side;
    uint32_t head, tail;    /* orders */
    uint32_t better, worse; /* levels of the side; worse also links free slots */
    int64_t qty;
};

_Static_assert(sizeof(struct order) == 32 && sizeof(struct level) == 32, "two to a cache line");

struct match {
    uint32_t orders_max, levels_max, tick_max;
    uint32_t depths; /* digits of 6 bits in tick_max */
    uint32_t order_count, order_free, order_fresh;
    uint32_t level_free, level_fresh;
    uint32_t level_count[SIDES], best[SIDES];
    uint32_t table_bits, word_bits; /* capacities are powers of two */
    uint64_t top[SIDES];            /* words of the highest depth */
    size_t levels_at, words_at, keys_at, generations_at, table_at;
};

enum { HEADER_SIZE = (sizeof(struct match) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT };

static inline struct order *order_at(const struct match *m, uint32_t index) {
    return (struct order *)(void *)((unsigned char *)m + HEADER_SIZE) + index;
}
static inline struct level *level_at(const struct match *m, uint32_t index) {
    return (struct level *)(void *)((unsigned char *)m + m->levels_at) + index;
}
static inline uint32_t *table_of(const struct match *m) {
    return (uint32_t *)(void *)((unsigned char *)m + m->table_at);
}
static inline uint32_t *keys_of(const struct match *m) {
    return (uint32_t *)(void *)((unsigned char *)m + m->keys_at);
}
static inline uint32_t *generation_at(const struct match *m, uint32_t index) {
    return (uint32_t *)(void *)((unsigned char *)m + m->generations_at) + index;
}
static inline uint64_t *words_of(const struct match *m) {
    return (uint64_t *)(void *)((unsigned char *)m + m->words_at);
}

/* ---- sizes ---- */

static uint32_t bits_for(uint64_t capacity) {
    uint32_t bits = 1;
    while ((UINT64_C(1) << bits) < capacity) bits++;
    return bits;
}

static uint32_t depths_for(uint32_t tick_max) {
    uint32_t depths = 1;
    while (depths < DEPTH_MAX && tick_max >> (6 * depths) != 0) depths++;
    return depths;
}

/* Most words that can exist below the top: a level needs one in every depth, and both sides together
 * cannot have more than twice the keys that there are. */
static uint64_t words_max(const struct match_limits *limits) {
    uint64_t sum = 0;
    for (uint32_t depth = 0; depth + 1 < depths_for(limits->tick_max); depth++) {
        uint64_t keys = SIDES * ((uint64_t)(limits->tick_max >> (6 * (depth + 1))) + 1);
        sum += keys < limits->levels_max ? keys : limits->levels_max;
    }
    return sum;
}

static size_t lay_out(struct match *m, const struct match_limits *limits) {
    ASSERT(limits->orders_max > 0 && limits->levels_max > 0 && limits->tick_max > 0);
    ASSERT(limits->orders_max < UINT32_C(1) << 31 && limits->levels_max < UINT32_C(1) << 31);
    uint64_t words = words_max(limits);
    memset(m, 0, sizeof *m);
    m->orders_max = limits->orders_max;
    m->levels_max = limits->levels_max;
    m->tick_max = limits->tick_max;
    m->depths = depths_for(limits->tick_max);
    m->table_bits = bits_for(2 * (uint64_t)limits->levels_max);
    m->word_bits = bits_for(words + words / 4 + 1);
    m->levels_at = HEADER_SIZE + sizeof(struct order) * ((size_t)limits->orders_max + 1);
    m->words_at = m->levels_at + sizeof(struct level) * ((size_t)limits->levels_max + 1);
    m->keys_at = m->words_at + (sizeof(uint64_t) << m->word_bits);
    m->generations_at = m->keys_at + (sizeof(uint32_t) << m->word_bits);
    m->table_at = m->generations_at + sizeof(uint32_t) * ((size_t)limits->orders_max + 1);
    size_t size = m->table_at + (sizeof(uint32_t) << m->table_bits);
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t match_size(const struct match_limits *limits) {
    struct match m;
    return lay_out(&m, limits);
}

struct match *match_init(void *memory, const struct match_limits *limits) {
    struct match header;
    size_t size = lay_out(&header, limits);
    ASSERT(memory && ((uintptr_t)memory & 7) == 0);
    memset(memory, 0, size);
    struct match *m = memory;
    *m = header;
    return m;
}

/* ---- level table ---- */

static inline uint32_t level_home(const struct match *m, uint32_t px, uint32_t side) {
    return (uint32_t)(((uint64_t)px * 2 + side) * UINT64_C(0x9E3779B97F4A7C15) >>
                      (64 - m->table_bits));
}

/* Where (px, side) is, or the free place where it belongs. */
static inline uint32_t level_slot(const struct match *m, uint32_t px, uint32_t side) {
    const uint32_t *table = table_of(m), mask = (UINT32_C(1) << m->table_bits) - 1;
    uint32_t slot = level_home(m, px, side);
    while (table[slot] != 0) {
        const struct level *l = level_at(m, table[slot]);
        if (l->px == px && l->side == side) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static inline uint32_t level_find(const struct match *m, uint32_t px, uint32_t side) {
    return table_of(m)[level_slot(m, px, side)];
}

/* Entries behind the gap move into it as long as that brings them no nearer than their home. */
static void level_slot_clear(struct match *m, uint32_t gap) {
    uint32_t *table = table_of(m), mask = (UINT32_C(1) << m->table_bits) - 1;
    for (uint32_t slot = (gap + 1) & mask; table[slot] != 0; slot = (slot + 1) & mask) {
        const struct level *l = level_at(m, table[slot]);
        uint32_t home = level_home(m, l->px, l->side);
        if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
        table[gap] = table[slot];
        gap = slot;
    }
    table[gap] = 0;
}

/* ---- words ---- */

/* Nonzero, and different for each: a key has at most 26 bits. */
static inline uint32_t word_name(uint32_t side, uint32_t depth, uint32_t key) {
    return key << 4 | depth << 1 | side | UINT32_C(1) << 31;
}

static inline uint32_t word_home(const struct match *m, uint32_t name) {
    return (uint32_t)((uint64_t)name * UINT64_C(0x9E3779B97F4A7C15) >> (64 - m->word_bits));
}

static inline uint32_t word_slot(const struct match *m, uint32_t name) {
    const uint32_t *keys = keys_of(m), mask = (UINT32_C(1) << m->word_bits) - 1;
    uint32_t slot = word_home(m, name);
    while (keys[slot] != 0 && keys[slot] != name) slot = (slot + 1) & mask;
    return slot;
}

static uint64_t word_get(const struct match *m, uint32_t side, uint32_t depth, uint32_t key) {
    if (depth + 1 == m->depths) return m->top[side];
    uint32_t name = word_name(side, depth, key), slot = word_slot(m, name);
    return keys_of(m)[slot] == name ? words_of(m)[slot] : 0;
}

static void word_slot_clear(struct match *m, uint32_t gap) {
    uint32_t *keys = keys_of(m), mask = (UINT32_C(1) << m->word_bits) - 1;
    for (uint32_t slot = (gap + 1) & mask; keys[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t home = word_home(m, keys[slot]);
        if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
        keys[gap] = keys[slot];
        words_of(m)[gap] = words_of(m)[slot];
        gap = slot;
    }
    keys[gap] = 0;
    words_of(m)[gap] = 0;
}

static void px_mark(struct match *m, uint32_t side, uint32_t px) {
    for (uint32_t depth = 0; depth < m->depths; depth++) {
        uint64_t bit = UINT64_C(1) << (px >> (6 * depth) & 63);
        if (depth + 1 == m->depths) {
            m->top[side] |= bit;
            return;
        }
        uint32_t name = word_name(side, depth, px >> (6 * (depth + 1)));
        uint32_t slot = word_slot(m, name);
        bool existed = keys_of(m)[slot] == name;
        keys_of(m)[slot] = name;
        words_of(m)[slot] |= bit;
        if (existed) return;
    }
}

static void px_clear(struct match *m, uint32_t side, uint32_t px) {
    for (uint32_t depth = 0; depth < m->depths; depth++) {
        uint64_t bit = UINT64_C(1) << (px >> (6 * depth) & 63);
        if (depth + 1 == m->depths) {
            m->top[side] &= ~bit;
            return;
        }
        uint32_t slot = word_slot(m, word_name(side, depth, px >> (6 * (depth + 1))));
        words_of(m)[slot] &= ~bit;
        if (words_of(m)[slot] != 0) return;
        word_slot_clear(m, slot);
    }
}

static inline uint32_t lowest(uint64_t bits) {
    return (uint32_t)__builtin_ctzll(bits);
}
static inline uint32_t highest(uint64_t bits) {
    return 63 - (uint32_t)__builtin_clzll(bits);
}

/* The nearest price above (or below) px that has a level, 0 if none. */
static uint32_t px_neighbour(const struct match *m, uint32_t side, uint32_t px, bool above) {
    for (uint32_t depth = 0; depth < m->depths; depth++) {
        uint32_t digit = px >> (6 * depth) & 63;
        uint64_t beyond = above ? ~UINT64_C(1) << digit : (UINT64_C(1) << digit) - 1;
        uint32_t key = depth + 1 < m->depths ? px >> (6 * (depth + 1)) : 0;
        uint64_t bits = word_get(m, side, depth, key) & beyond;
        if (bits == 0) continue;
        uint32_t found = key << 6 | (above ? lowest(bits) : highest(bits));
        while (depth-- > 0) {
            bits = word_get(m, side, depth, found);
            found = found << 6 | (above ? lowest(bits) : highest(bits));
        }
        return found;
    }
    return 0;
}

/* ---- levels ---- */

static inline bool is_better(uint32_t side, uint32_t a, uint32_t b) {
    return side == MATCH_BID ? a > b : a < b;
}

/* Puts a level between its neighbours; the best of its side has none before it. */
static void level_link(struct match *m, uint32_t index, struct level *l) {
    uint32_t best = m->best[l->side];
    if (best == 0 || is_better(l->side, l->px, level_at(m, best)->px)) {
        l->better = 0;
        l->worse = best;
        m->best[l->side] = index;
    } else {
        uint32_t px = px_neighbour(m, l->side, l->px, l->side == MATCH_BID);
        l->better = level_find(m, px, l->side);
        l->worse = level_at(m, l->better)->worse;
        level_at(m, l->better)->worse = index;
    }
    if (l->worse != 0) level_at(m, l->worse)->better = index;
}

/* 0 if no level is free. */
static uint32_t level_create(struct match *m, uint32_t slot, uint32_t px, uint32_t side) {
    uint32_t index = m->level_free;
    if (index != 0)
        m->level_free = level_at(m, index)->worse;
    else if (m->level_fresh < m->levels_max)
        index = ++m->level_fresh;
    else
        return 0;
    struct level *l = level_at(m, index);
    *l = (struct level){.px = px, .side = side};
    level_link(m, index, l);
    px_mark(m, side, px);
    table_of(m)[slot] = index;
    m->level_count[side]++;
    return index;
}

static void level_destroy(struct match *m, uint32_t index) {
    struct level *l = level_at(m, index);
    level_slot_clear(m, level_slot(m, l->px, l->side));
    px_clear(m, l->side, l->px);
    if (l->better != 0)
        level_at(m, l->better)->worse = l->worse;
    else
        m->best[l->side] = l->worse;
    if (l->worse != 0) level_at(m, l->worse)->better = l->better;
    m->level_count[l->side]--;
    *l = (struct level){.worse = m->level_free};
    m->level_free = index;
}

/* ---- orders ---- */

static inline match_handle handle_of(const struct match *m, uint32_t index) {
    return index == 0 ? 0 : (uint64_t)*generation_at(m, index) << 32 | index;
}

/* NULL if it does not rest (any more). */
static inline struct order *order_find(const struct match *m, match_handle h) {
    uint32_t index = (uint32_t)h, generation = (uint32_t)(h >> 32);
    if (index > m->orders_max || generation % 2 == 0) return NULL;
    return *generation_at(m, index) == generation ? order_at(m, index) : NULL;
}

static inline uint32_t order_acquire(struct match *m) {
    uint32_t index = m->order_free;
    if (index != 0)
        m->order_free = order_at(m, index)->next;
    else
        index = ++m->order_fresh;
    ++*generation_at(m, index);
    m->order_count++;
    return index;
}

static inline void order_release(struct match *m, struct order *o, uint32_t index) {
    ++*generation_at(m, index);
    o->next = m->order_free;
    m->order_free = index;
    m->order_count--;
}

match_handle match_add(struct match *m, const struct match_order *order) {
    ASSERT(order->px >= 1 && order->px <= m->tick_max && order->side < SIDES && order->qty > 0);
    uint32_t slot = level_slot(m, order->px, order->side);
    uint32_t level = table_of(m)[slot];
    if (m->order_count == m->orders_max) return 0;
    if (level == 0) level = level_create(m, slot, order->px, order->side);
    if (level == 0) return 0;
    uint32_t index = order_acquire(m);
    struct order *o = order_at(m, index);
    struct level *l = level_at(m, level);
    bool overflow = __builtin_add_overflow(l->qty, order->qty, &l->qty);
    ASSERT(!overflow);
    o->qty = order->qty;
    o->tag = order->tag;
    o->prev = l->tail;
    o->next = 0;
    o->level = level;
    *(l->tail != 0 ? &order_at(m, l->tail)->next : &l->head) = index;
    l->tail = index;
    return handle_of(m, index);
}

bool match_get(const struct match *m, match_handle h, struct match_order *out) {
    const struct order *o = order_find(m, h);
    if (!o) return false;
    const struct level *l = level_at(m, o->level);
    *out = (struct match_order){l->px, l->side, o->qty, o->tag};
    return true;
}

static inline void order_unlink(struct match *m, struct order *o, uint32_t index) {
    struct level *l = level_at(m, o->level);
    /* Which of the two it is nobody can foretell: an address chosen without a branch. */
    *(o->prev != 0 ? &order_at(m, o->prev)->next : &l->head) = o->next;
    *(o->next != 0 ? &order_at(m, o->next)->prev : &l->tail) = o->prev;
    l->qty -= o->qty;
    if (l->head == 0) level_destroy(m, o->level);
    order_release(m, o, index);
}

bool match_remove(struct match *m, match_handle h) {
    struct order *o = order_find(m, h);
    if (!o) return false;
    order_unlink(m, o, (uint32_t)h);
    return true;
}

static inline void order_fill(struct match *m, struct order *o, uint32_t index, int64_t qty) {
    if (qty == o->qty) {
        order_unlink(m, o, index);
    } else {
        o->qty -= qty;
        level_at(m, o->level)->qty -= qty;
    }
}

void match_fill(struct match *m, match_handle h, int64_t qty) {
    struct order *o = order_find(m, h);
    ASSERT(o && qty >= 1 && qty <= o->qty);
    order_fill(m, o, (uint32_t)h, qty);
}

/* ---- looking ---- */

uint32_t match_best(const struct match *m, enum match_side side) {
    uint32_t best = m->best[side];
    return best == 0 ? 0 : level_at(m, best)->px;
}

match_handle match_front(const struct match *m, enum match_side side) {
    uint32_t best = m->best[side];
    return best == 0 ? 0 : handle_of(m, level_at(m, best)->head);
}

match_handle match_front_at(const struct match *m, enum match_side side, uint32_t px) {
    uint32_t level = level_find(m, px, side);
    return level == 0 ? 0 : handle_of(m, level_at(m, level)->head);
}

match_handle match_after(const struct match *m, match_handle h) {
    const struct order *o = order_find(m, h);
    return o ? handle_of(m, o->next) : 0;
}

uint32_t match_worse(const struct match *m, enum match_side side, uint32_t px) {
    uint32_t best = m->best[side];
    if (best == 0) return 0;
    if (is_better(side, px, level_at(m, best)->px)) return level_at(m, best)->px;
    uint32_t level = level_find(m, px, side);
    if (level == 0) return px > m->tick_max ? 0 : px_neighbour(m, side, px, side == MATCH_ASK);
    uint32_t worse = level_at(m, level)->worse;
    return worse == 0 ? 0 : level_at(m, worse)->px;
}

int64_t match_level_qty(const struct match *m, enum match_side side, uint32_t px) {
    uint32_t level = level_find(m, px, side);
    return level == 0 ? 0 : level_at(m, level)->qty;
}

uint32_t match_order_count(const struct match *m) {
    return m->order_count;
}

uint32_t match_level_count(const struct match *m, enum match_side side) {
    return m->level_count[side];
}

int64_t match_take(struct match *m, enum match_side side, uint32_t limit, int64_t qty,
                   match_on_fill *on_fill, void *context) {
    const uint32_t maker_side = side == MATCH_BID ? MATCH_ASK : MATCH_BID;
    int64_t left = qty;
    while (left > 0 && m->best[maker_side] != 0) {
        const struct level *l = level_at(m, m->best[maker_side]);
        if (limit != 0 && is_better(maker_side, limit, l->px)) break;
        uint32_t index = l->head;
        struct order *o = order_at(m, index);
        /* Who comes next may have been waiting for long, outside of the caches. */
        __builtin_prefetch(order_at(m, o->next != 0 ? o->next : level_at(m, l->worse)->head));
        int64_t fill = left < o->qty ? left : o->qty;
        if (on_fill) {
            struct match_order order = {l->px, l->side, o->qty, o->tag};
            on_fill(context, handle_of(m, index), &order, fill);
        }
        order_fill(m, o, index, fill);
        left -= fill;
    }
    return qty - left;
}
