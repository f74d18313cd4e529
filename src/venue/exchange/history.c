/* Five tables of rows, each threaded by chains: rows that share a key (an account, an account's symbol,
 * an id), in order of rank, oldest first. A key finds its chain by hash, so a question costs the rows it
 * looks at and never the rows of others. */
#include "venue/exchange/history.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"

enum table_kind { ORDERS, ALGOS, TRADES, INCOMES, AMENDMENTS, TABLE_COUNT };
/* BY_ID: an order's or conditional order's own id; for trades and amendments, that of their order. */
enum chain_kind { BY_ACCOUNT, BY_SYMBOL, BY_ID, BY_CLIENT, CHAIN_COUNT };

static const uint32_t chains_of[TABLE_COUNT] = {4, 4, 3, 2, 3};
static const size_t row_size_of[TABLE_COUNT] = {
    sizeof(struct exchange_order), sizeof(struct exchange_algo), sizeof(struct history_trade),
    sizeof(struct history_income), sizeof(struct history_amendment)};

static const int64_t unfilled_kept_ns = INT64_C(3) * NS_PER_DAY, kept_ns = INT64_C(90) * NS_PER_DAY;

/* What is common to rows of all kinds. Row numbers start at 1, 0 is none. */
struct link {
    uint64_t
        rank; /* ascending along every chain: the id of orders, the order of arrival of the rest */
    uint64_t id; /* what from_id is compared with */
    int64_t ts_ns;
    uint64_t keys[CHAIN_COUNT];
    uint32_t next[CHAIN_COUNT], previous[CHAIN_COUNT];
    uint32_t older, newer; /* finished rows in the order they finished; free rows by newer */
    uint32_t is_finished, reserved;
};

/* A chain's ends, in an open-addressed table; first 0: an empty cell. */
struct cell {
    uint64_t key;
    uint32_t first, last;
};

struct table {
    uint32_t rows_max, used; /* used: rows ever handed out; those behind it are untouched */
    uint32_t finished_oldest, finished_newest;
    uint32_t cell_count, reserved;
    uint64_t rank;              /* of the latest row that came without an id of its own */
    uint64_t rows_at, links_at; /* bytes behind the start of struct history */
    uint64_t cells_at[CHAIN_COUNT];
};

struct history {
    struct table tables[TABLE_COUNT];
};

struct history_limits history_limits_defaults(void) {
    return (struct history_limits){.orders_max = 1 << 16,
                                   .algos_max = 1 << 15,
                                   .trades_max = 1 << 16,
                                   .incomes_max = 1 << 16,
                                   .amendments_max = 1 << 13};
}

/* ---- layout ---- */

static uint32_t rows_max_of(const struct history_limits *l, enum table_kind kind) {
    switch (kind) {
    case ORDERS:
        return l->orders_max;
    case ALGOS:
        return l->algos_max;
    case TRADES:
        return l->trades_max;
    case INCOMES:
        return l->incomes_max;
    case AMENDMENTS:
        return l->amendments_max;
    case TABLE_COUNT:
        break;
    }
    ASSERT(false);
    return 0;
}

static uint64_t take(uint64_t *at, uint64_t bytes) {
    uint64_t here = *at;
    *at = (here + bytes + 63) / 64 * 64;
    return here;
}

/* Fills in where everything lies; returns the size of the block. */
static uint64_t lay_out(struct history *h, const struct history_limits *limits) {
    uint64_t at = 0;
    take(&at, sizeof *h);
    for (int kind = 0; kind < TABLE_COUNT; kind++) {
        struct table *t = &h->tables[kind];
        t->rows_max = rows_max_of(limits, (enum table_kind)kind);
        ASSERT(t->rows_max > 0 && t->rows_max <= UINT32_C(1) << 28);
        t->cell_count = 2;
        while (t->cell_count < 2 * t->rows_max) t->cell_count *= 2; /* at most half full */
        t->rows_at = take(&at, t->rows_max * row_size_of[kind]);
        t->links_at = take(&at, t->rows_max * sizeof(struct link));
        for (uint32_t c = 0; c < chains_of[kind]; c++)
            t->cells_at[c] = take(&at, t->cell_count * sizeof(struct cell));
    }
    return at;
}

size_t history_size(const struct history_limits *limits) {
    struct history h = {0};
    return (size_t)lay_out(&h, limits);
}

struct history *history_init(void *memory, const struct history_limits *limits) {
    memset(memory, 0, history_size(limits));
    struct history *h = memory;
    lay_out(h, limits);
    return h;
}

static void *row_of(struct history *h, enum table_kind kind, uint32_t n) {
    return (char *)h + h->tables[kind].rows_at + (n - 1) * row_size_of[kind];
}
static const void *row_get(const struct history *h, enum table_kind kind, uint32_t n) {
    return (const char *)h + h->tables[kind].rows_at + (n - 1) * row_size_of[kind];
}
static struct link *link_of(struct history *h, enum table_kind kind, uint32_t n) {
    return (struct link *)(void *)((char *)h + h->tables[kind].links_at) + (n - 1);
}
static const struct link *link_get(const struct history *h, enum table_kind kind, uint32_t n) {
    return (const struct link *)(const void *)((const char *)h + h->tables[kind].links_at) +
           (n - 1);
}
static struct cell *cells_of(struct history *h, enum table_kind kind, uint32_t chain) {
    return (struct cell *)(void *)((char *)h + h->tables[kind].cells_at[chain]);
}

/* ---- chains ---- */

static uint32_t home_of(const struct table *t, uint64_t key) {
    return (uint32_t)hash64(&key, sizeof key) & (t->cell_count - 1);
}

/* The key's cell, or the empty one where it belongs. */
static uint32_t cell_find(const struct table *t, const struct cell *cells, uint64_t key) {
    uint32_t i = home_of(t, key);
    while (cells[i].first && cells[i].key != key) i = (i + 1) & (t->cell_count - 1);
    return i;
}

/* Empties a cell; those behind it that were pushed past it move up, so that a search never stops early. */
static void cell_clear(const struct table *t, struct cell *cells, uint32_t i) {
    uint32_t mask = t->cell_count - 1;
    for (uint32_t j = (i + 1) & mask; cells[j].first; j = (j + 1) & mask) {
        uint32_t home = home_of(t, cells[j].key);
        if (((j - home) & mask) < ((j - i) & mask)) continue;
        cells[i] = cells[j];
        i = j;
    }
    cells[i] = (struct cell){0};
}

/* Puts a row where its rank belongs, which is the end but for ids given out of order. */
static void chain_add(struct history *h, enum table_kind kind, uint32_t chain, uint32_t n) {
    struct table *t = &h->tables[kind];
    struct link *row = link_of(h, kind, n);
    struct cell *cells = cells_of(h, kind, chain);
    struct cell *c = &cells[cell_find(t, cells, row->keys[chain])];
    uint32_t before = c->first ? c->last : 0;
    while (before && link_of(h, kind, before)->rank > row->rank)
        before = link_of(h, kind, before)->previous[chain];
    uint32_t after = before ? link_of(h, kind, before)->next[chain] : c->first;
    c->key = row->keys[chain];
    row->previous[chain] = before;
    row->next[chain] = after;
    if (before)
        link_of(h, kind, before)->next[chain] = n;
    else
        c->first = n;
    if (after)
        link_of(h, kind, after)->previous[chain] = n;
    else
        c->last = n;
}

static void chain_remove(struct history *h, enum table_kind kind, uint32_t chain, uint32_t n) {
    struct table *t = &h->tables[kind];
    const struct link *row = link_of(h, kind, n);
    struct cell *cells = cells_of(h, kind, chain);
    uint32_t i = cell_find(t, cells, row->keys[chain]);
    ASSERT(cells[i].first);
    uint32_t before = row->previous[chain], after = row->next[chain];
    if (before)
        link_of(h, kind, before)->next[chain] = after;
    else
        cells[i].first = after;
    if (after)
        link_of(h, kind, after)->previous[chain] = before;
    else
        cells[i].last = before;
    if (!cells[i].first) cell_clear(t, cells, i);
}

static uint32_t chain_end(const struct history *h, enum table_kind kind, uint32_t chain,
                          uint64_t key, bool newest) {
    const struct table *t = &h->tables[kind];
    const struct cell *cells =
        (const struct cell *)(const void *)((const char *)h + t->cells_at[chain]);
    const struct cell *c = &cells[cell_find(t, cells, key)];
    return newest ? c->last : c->first; /* 0 where the cell is empty */
}

/* ---- rows ---- */

static void finished_remove(struct history *h, enum table_kind kind, uint32_t n) {
    struct table *t = &h->tables[kind];
    struct link *row = link_of(h, kind, n);
    if (row->older)
        link_of(h, kind, row->older)->newer = row->newer;
    else
        t->finished_oldest = row->newer;
    if (row->newer)
        link_of(h, kind, row->newer)->older = row->older;
    else
        t->finished_newest = row->older;
    row->older = row->newer = row->is_finished = 0;
}

static void finished_add(struct history *h, enum table_kind kind, uint32_t n) {
    struct table *t = &h->tables[kind];
    struct link *row = link_of(h, kind, n);
    row->is_finished = 1;
    row->newer = 0;
    row->older = t->finished_newest;
    if (t->finished_newest)
        link_of(h, kind, t->finished_newest)->newer = n;
    else
        t->finished_oldest = n;
    t->finished_newest = n;
}

/* A row to fill: an unused one, else that of the row which finished first. Its link carries rank, id,
 * time and keys; the rest is done here. */
static uint32_t row_add(struct history *h, enum table_kind kind, const struct link *link) {
    struct table *t = &h->tables[kind];
    uint32_t n;
    if (t->used < t->rows_max) {
        n = ++t->used;
    } else {
        n = t->finished_oldest;
        ASSERT(n != 0); /* more open orders than rows: history_limits */
        finished_remove(h, kind, n);
        for (uint32_t c = 0; c < chains_of[kind]; c++) chain_remove(h, kind, c, n);
    }
    *link_of(h, kind, n) = *link;
    for (uint32_t c = 0; c < chains_of[kind]; c++) chain_add(h, kind, c, n);
    if (kind != ORDERS && kind != ALGOS) finished_add(h, kind, n);
    return n;
}

static uint64_t symbol_key(uint32_t account, uint32_t instrument) {
    return (uint64_t)account << 32 | instrument;
}

/* Two texts may share a key: who looks for one compares it. */
static uint64_t client_key(uint32_t account, const char *text) {
    return hash64_seed(text, strnlen(text, CLIENT_ORDER_ID_SIZE), account);
}

/* The row of an order or conditional order, a new one if it has none. */
static void *row_update(struct history *h, enum table_kind kind, const struct link *link,
                        bool is_finished) {
    uint32_t n = chain_end(h, kind, BY_ID, link->id, true);
    if (!n) n = row_add(h, kind, link);
    if (is_finished && !link_of(h, kind, n)->is_finished) finished_add(h, kind, n);
    return row_of(h, kind, n);
}

/* ---- what comes in ---- */

static bool order_is_open(const struct exchange_order *o) {
    return o->status == EXO_NEW || o->status == EXO_PARTIALLY_FILLED;
}

static void add_order(struct history *h, const struct exchange_order *o) {
    struct link link = {.rank = o->order_id,
                        .id = o->order_id,
                        .ts_ns = o->time_ns,
                        .keys = {o->account, symbol_key(o->account, o->instrument), o->order_id,
                                 client_key(o->account, o->client_order_id)}};
    *(struct exchange_order *)row_update(h, ORDERS, &link, !order_is_open(o)) = *o;
}

static void add_algo(struct history *h, const struct exchange_algo *a) {
    struct link link = {.rank = a->algo_id,
                        .id = a->algo_id,
                        .ts_ns = a->create_ns,
                        .keys = {a->account, symbol_key(a->account, a->instrument), a->algo_id,
                                 client_key(a->account, a->client_algo_id)}};
    bool is_open =
        a->status == EXA_NEW || a->status == EXA_TRIGGERING || a->status == EXA_TRIGGERED;
    *(struct exchange_algo *)row_update(h, ALGOS, &link, !is_open) = *a;
}

static void add_trade(struct history *h, const struct exchange_event *e) {
    const struct exchange_order *o = &e->u.order;
    struct link link = {.rank = ++h->tables[TRADES].rank,
                        .id = e->trade_id,
                        .ts_ns = e->ts_ns,
                        .keys = {o->account, symbol_key(o->account, o->instrument), o->order_id}};
    struct history_trade *row = row_of(h, TRADES, row_add(h, TRADES, &link));
    *row = (struct history_trade){.trade_id = e->trade_id,
                                  .order_id = o->order_id,
                                  .account = o->account,
                                  .instrument = o->instrument,
                                  .side = o->side,
                                  .position_side = o->position_side,
                                  .is_maker = e->is_maker,
                                  .px = e->px,
                                  .qty = e->qty,
                                  .quote_qty = money_mul_half_even(e->px, e->qty),
                                  .commission = e->commission,
                                  .realized = e->realized,
                                  .ts_ns = e->ts_ns};
}

static void add_income(struct history *h, const struct exchange_event *e) {
    uint32_t instrument = e->income == INCOME_TRANSFER ? UINT32_MAX : e->instrument;
    struct link link = {.rank = ++h->tables[INCOMES].rank,
                        .id = e->sequence,
                        .ts_ns = e->ts_ns,
                        .keys = {e->account, symbol_key(e->account, instrument)}};
    struct history_income *row = row_of(h, INCOMES, row_add(h, INCOMES, &link));
    *row = (struct history_income){.tran_id = e->sequence,
                                   .trade_id = e->trade_id,
                                   .account = e->account,
                                   .instrument = instrument,
                                   .type = e->income,
                                   .amount = e->amount,
                                   .ts_ns = e->ts_ns};
}

static void add_amendment(struct history *h, const struct exchange_event *e) {
    const struct exchange_order *o = &e->u.order;
    struct link link = {.rank = ++h->tables[AMENDMENTS].rank,
                        .id = e->sequence,
                        .ts_ns = e->ts_ns,
                        .keys = {o->account, symbol_key(o->account, o->instrument), o->order_id}};
    struct history_amendment *row = row_of(h, AMENDMENTS, row_add(h, AMENDMENTS, &link));
    *row = (struct history_amendment){.amendment_id = e->sequence,
                                      .order_id = o->order_id,
                                      .account = o->account,
                                      .instrument = o->instrument,
                                      .count = o->amendments,
                                      .price_before = e->px2,
                                      .price_after = o->price,
                                      .qty_before = e->qty2,
                                      .qty_after = o->orig_qty,
                                      .ts_ns = e->ts_ns};
    memcpy(row->client_order_id, o->client_order_id, sizeof row->client_order_id);
}

void history_event(struct history *h, const struct exchange_event *event) {
    switch ((enum exchange_event_kind)event->kind) {
    case EXE_ORDER:
        add_order(h, &event->u.order);
        /* A report of an expiry repeats the last fill: only these two are one. */
        if ((event->exec == EXEC_TRADE || event->exec == EXEC_CALCULATED) && event->qty.e8 > 0)
            add_trade(h, event);
        break;
    case EXE_ALGO:
        add_algo(h, &event->u.algo);
        break;
    case EXE_INCOME:
        add_income(h, event);
        break;
    case EXE_AMENDED:
        add_amendment(h, event);
        break;
    case EXE_ACCOUNT:
    case EXE_MARGIN_CALL:
    case EXE_LEVERAGE:
    case EXE_TRADE:
    case EXE_LEVEL:
    case EXE_FORCED:
    case EXE_MARK:
    case EXE_STATUS:
    case EXE_FILTERS:
        break;
    }
}

/* ---- questions ---- */

/* Whether the venue still tells of a row made at ts. */
static bool is_kept(const struct history *h, enum table_kind kind, uint32_t n, int64_t now_ns) {
    if (now_ns == 0) return true;
    int64_t age = now_ns - link_get(h, kind, n)->ts_ns;
    if (kind == ORDERS) {
        const struct exchange_order *o = row_get(h, kind, n);
        if (order_is_open(o)) return true;
        bool gone = o->status == EXO_CANCELED || o->status == EXO_EXPIRED ||
                    o->status == EXO_EXPIRED_IN_MATCH;
        if (gone && o->cum_qty.e8 == 0) return age <= unfilled_kept_ns;
    } else if (kind == ALGOS) {
        const struct exchange_algo *a = row_get(h, kind, n);
        if (!link_get(h, kind, n)->is_finished) return true;
        bool gone = a->status == EXA_CANCELED || a->status == EXA_EXPIRED;
        if (gone && a->actual_qty.e8 == 0) return age <= unfilled_kept_ns;
    }
    return age <= kept_ns;
}

const struct exchange_order *history_order(const struct history *h, uint32_t account,
                                           uint32_t instrument, uint64_t order_id,
                                           const char *client_order_id, int64_t now_ns) {
    uint32_t chain = order_id ? BY_ID : BY_CLIENT;
    uint32_t n = chain_end(h, ORDERS, chain,
                           order_id ? order_id : client_key(account, client_order_id), true);
    for (; n; n = link_get(h, ORDERS, n)->previous[chain]) {
        const struct exchange_order *o = row_get(h, ORDERS, n);
        if (o->account != account || o->instrument != instrument) continue;
        if (!order_id && strncmp(o->client_order_id, client_order_id, CLIENT_ORDER_ID_SIZE) != 0)
            continue;
        if (is_kept(h, ORDERS, n, now_ns)) return o;
    }
    return NULL;
}

const struct exchange_algo *history_algo(const struct history *h, uint32_t account,
                                         uint64_t algo_id, const char *client_algo_id,
                                         int64_t now_ns) {
    uint32_t chain = algo_id ? BY_ID : BY_CLIENT;
    uint32_t n =
        chain_end(h, ALGOS, chain, algo_id ? algo_id : client_key(account, client_algo_id), true);
    for (; n; n = link_get(h, ALGOS, n)->previous[chain]) {
        const struct exchange_algo *a = row_get(h, ALGOS, n);
        if (a->account != account) continue;
        if (!algo_id && strncmp(a->client_algo_id, client_algo_id, CLIENT_ORDER_ID_SIZE) != 0)
            continue;
        if (is_kept(h, ALGOS, n, now_ns)) return a;
    }
    return NULL;
}

static bool matches(const struct history *h, enum table_kind kind, uint32_t n,
                    const struct history_query *q) {
    const struct link *link = link_get(h, kind, n);
    if (link->id < q->from_id) return false;
    if (link->ts_ns < q->from_ns || (q->to_ns && link->ts_ns > q->to_ns)) return false;
    if (link->keys[BY_ACCOUNT] != q->account) return false; /* a chain of one order's rows */
    if (q->instrument != UINT32_MAX &&
        link->keys[BY_SYMBOL] != symbol_key(q->account, q->instrument))
        return false;
    if (kind == INCOMES && q->type) {
        const struct history_income *row = row_get(h, kind, n);
        if (row->type != q->type) return false;
    }
    return is_kept(h, kind, n, q->now_ns);
}

/* The first row of a chain that may match: both ends walk toward it, so both the oldest and the newest
 * rows are near. `by_id`: ids ascend along this chain, as times always do. */
static uint32_t seek(const struct history *h, enum table_kind kind, uint32_t chain, uint64_t key,
                     const struct history_query *q, bool by_id) {
    uint32_t a = chain_end(h, kind, chain, key, false), z = chain_end(h, kind, chain, key, true);
    while (a) {
        const struct link *first = link_get(h, kind, a), *last = link_get(h, kind, z);
        if (first->ts_ns >= q->from_ns && (!by_id || first->id >= q->from_id)) return a;
        if (last->ts_ns < q->from_ns || (by_id && last->id < q->from_id)) return last->next[chain];
        a = first->next[chain];
        z = last->previous[chain];
    }
    return 0;
}

/* The last row of a chain that is not younger than to_ns (0: any), in the same way. */
static uint32_t seek_newest(const struct history *h, enum table_kind kind, uint32_t chain,
                            uint64_t key, int64_t to_ns) {
    uint32_t a = chain_end(h, kind, chain, key, false), z = chain_end(h, kind, chain, key, true);
    while (z) {
        const struct link *first = link_get(h, kind, a), *last = link_get(h, kind, z);
        if (to_ns == 0 || last->ts_ns <= to_ns) return z;
        if (first->ts_ns > to_ns) return first->previous[chain];
        a = first->next[chain];
        z = last->previous[chain];
    }
    return 0;
}

/* Rows from from_id upward, or the newest of a window. */
static uint32_t query(const struct history *h, enum table_kind kind, const struct history_query *q,
                      void *out, uint32_t max) {
    uint32_t chain = BY_ACCOUNT, count = 0;
    uint64_t key = q->account;
    if (q->order_id && (kind == TRADES || kind == AMENDMENTS))
        chain = BY_ID, key = q->order_id;
    else if (q->instrument != UINT32_MAX)
        chain = BY_SYMBOL, key = symbol_key(q->account, q->instrument);
    size_t size = row_size_of[kind];
    char *rows = out;
    if (q->limit && q->limit < max) max = q->limit;
    if (q->from_id) {
        /* Trade ids ascend a contract, not over all of an account's. */
        bool by_id = kind != TRADES || chain != BY_ACCOUNT;
        for (uint32_t n = seek(h, kind, chain, key, q, by_id); n && count < max;
             n = link_get(h, kind, n)->next[chain]) {
            if (q->to_ns && link_get(h, kind, n)->ts_ns > q->to_ns) break;
            if (matches(h, kind, n, q)) memcpy(rows + size * count++, row_get(h, kind, n), size);
        }
        return count;
    }
    uint64_t skip = q->page > 1 ? (uint64_t)(q->page - 1) * max : 0;
    for (uint32_t n = seek_newest(h, kind, chain, key, q->to_ns); n && count < max;
         n = link_get(h, kind, n)->previous[chain]) {
        if (link_get(h, kind, n)->ts_ns < q->from_ns) break;
        if (!matches(h, kind, n, q)) continue;
        if (skip > 0)
            skip--;
        else
            memcpy(rows + size * (max - ++count), row_get(h, kind, n), size);
    }
    memmove(rows, rows + size * (max - count), size * count);
    return count;
}

uint32_t history_orders(const struct history *h, const struct history_query *q,
                        struct exchange_order *out, uint32_t max) {
    return query(h, ORDERS, q, out, max);
}
uint32_t history_algos(const struct history *h, const struct history_query *q,
                       struct exchange_algo *out, uint32_t max) {
    return query(h, ALGOS, q, out, max);
}
uint32_t history_trades(const struct history *h, const struct history_query *q,
                        struct history_trade *out, uint32_t max) {
    return query(h, TRADES, q, out, max);
}
uint32_t history_incomes(const struct history *h, const struct history_query *q,
                         struct history_income *out, uint32_t max) {
    return query(h, INCOMES, q, out, max);
}
uint32_t history_amendments(const struct history *h, const struct history_query *q,
                            struct history_amendment *out, uint32_t max) {
    return query(h, AMENDMENTS, q, out, max);
}
