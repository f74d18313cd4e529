/* The exchange: its block of memory, dispatch of inputs, events, and work that is due. */
#include "venue/exchange/exchange.h"

#include <string.h>

#include "base/hash.h"
#include "venue/exchange/exchange_internal.h"

struct exchange_config exchange_config_defaults(void) {
    return (struct exchange_config){
        .accounts_max = 64,
        .orders_max = 16384,
        .algos_max = 8192,
        .book_orders_max = 4096,
        .book_levels_max = 1024,
        .events_max = 1 << 16,
        .leverage_default = 20,
        .trigger_protect = {FX_ONE / 20},
        .first_order_id = 1,
        .first_algo_id = 1,
        .first_trade_id = 1,
    };
}

/* ---- layout ---- */

static uint32_t power_of_two(uint64_t at_least) {
    uint64_t p = 16;
    while (p < at_least) p *= 2;
    ASSERT(p <= UINT32_MAX);
    return (uint32_t)p;
}

static size_t part(size_t *at, size_t size) {
    size_t here = *at;
    *at = (here + size + 63) & ~(size_t)63;
    return here;
}

static struct match_limits book_limits(const struct exchange_config *config) {
    return (struct match_limits){.orders_max = config->book_orders_max,
                                 .levels_max = config->book_levels_max,
                                 .tick_max = UINT32_MAX};
}

/* Events that one piece of work can lead to at most: a taker that meets every order of a book, 15 events
 * each (trade, level; account, execution and two incomes a side; the maker's end; of a liquidation two
 * more); all orders of an account expiring; all conditional orders firing; a funding. */
static uint32_t events_of_one(const struct exchange_config *config) {
    uint64_t most = 16 * (uint64_t)config->book_orders_max + 2 * (uint64_t)config->orders_max +
                    2 * (uint64_t)config->algos_max + 16 * (uint64_t)config->accounts_max + 1024;
    ASSERT(most < UINT32_MAX / 4);
    return (uint32_t)most;
}

static void lay_out(struct exchange *x, const struct exchange_config *config) {
    size_t n = config->instrument_count, accounts = config->accounts_max;
    ASSERT(n > 0 && n <= INSTRUMENTS_MAX && accounts > 0 && config->leverage_default > 0);
    ASSERT(accounts * n < UINT32_MAX && config->orders_max > 0 && config->algos_max > 0);
    memset(x, 0, sizeof *x);
    x->config = *config;
    x->order_slots.capacity = config->orders_max;
    x->algo_slots.capacity = config->algos_max + config->orders_max; /* those with a child too */
    x->quote_slots.capacity = (uint32_t)n * config->book_levels_max;
    x->order_mask = power_of_two(config->orders_max) - 1;
    x->algo_mask = power_of_two(config->algos_max) - 1;
    x->quote_mask = power_of_two(n * (config->book_levels_max < 256 ? 64 : 128)) - 1;
    x->events_one = events_of_one(config);
    x->events_capacity =
        config->events_max > 3 * x->events_one ? config->events_max : 3 * x->events_one;
    size_t at = 0, nodes = x->order_slots.capacity + 2 * (size_t)x->algo_slots.capacity;
    struct match_limits limits = book_limits(config);
    part(&at, sizeof *x);
    x->instruments_at = part(&at, n * sizeof(struct instrument));
    x->symbols_at = part(&at, n * sizeof(struct ex_symbol));
    x->accounts_at = part(&at, accounts * sizeof(struct ex_account));
    x->order_ids_at = part(&at, sizeof(uint32_t) * ((size_t)x->order_mask + 1));
    x->order_clients_at = part(&at, sizeof(uint32_t) * ((size_t)x->order_mask + 1));
    x->algo_ids_at = part(&at, sizeof(uint32_t) * ((size_t)x->algo_mask + 1));
    x->algo_clients_at = part(&at, sizeof(uint32_t) * ((size_t)x->algo_mask + 1));
    x->quote_heads_at = part(&at, sizeof(uint32_t) * ((size_t)x->quote_mask + 1));
    x->nodes_at = part(&at, nodes * sizeof(struct ex_node));
    x->orders_at = part(&at, x->order_slots.capacity * sizeof(struct ex_order));
    x->algos_at = part(&at, x->algo_slots.capacity * sizeof(struct ex_algo));
    x->quotes_at = part(&at, x->quote_slots.capacity * sizeof(struct ex_quote));
    x->cells_at = part(&at, accounts * n * sizeof(struct ex_cell));
    x->books_at = part(&at, n * match_size(&limits));
    x->state_size = at;
    x->events_at = part(&at, x->events_capacity * sizeof(struct exchange_event));
    x->size = at;
}

size_t exchange_size(const struct exchange_config *config) {
    struct exchange x;
    lay_out(&x, config);
    return x.size;
}

size_t exchange_state_size(const struct exchange *ex) {
    return ex->state_size;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Grid of prices from PRICE_FILTER: (px - px_min) mod tick = 0; the least price of it is tick 1. */
static void grid_of(const struct instrument *in, int64_t *tick, int64_t *base) {
    *tick = in->tick_size.e8 > 0 ? in->tick_size.e8 : 1;
    int64_t offset = in->px_min.e8 % *tick;
    *base = offset == 0 ? 0 : offset - *tick;
}

struct exchange *exchange_init(void *memory, const struct exchange_config *config) {
    struct exchange *ex = memory;
    struct match_limits limits = book_limits(config);
    ASSERT(memory && ((uintptr_t)memory & 15) == 0 && config->instruments);
    lay_out(ex, config);
    memset(ex_at(ex, sizeof *ex), 0, ex->books_at - sizeof *ex);
    memcpy(ex_at(ex, ex->instruments_at), config->instruments,
           config->instrument_count * sizeof(struct instrument));
    ex->config.instruments = NULL;
    for (uint32_t s = 0; s < config->instrument_count; s++) {
        struct ex_symbol *y = ex_symbol(ex, s);
        y->book_at = ex->books_at + s * match_size(&limits);
        y->trade_id = config->first_trade_id - 1;
        grid_of(ex_instrument(ex, s), &y->tick, &y->base);
        match_init(ex_at(ex, y->book_at), &limits);
    }
    ex->account_count = 1; /* the house */
    ex->order_id_next = config->first_order_id;
    ex->algo_id_next = config->first_algo_id;
    ex->tran_id_next = 1;
    ex->countdown_min = EX_NEVER;
    return ex;
}

/* ---- events ---- */

struct exchange_event *ex_event(struct exchange *ex, enum exchange_event_kind kind,
                                uint32_t account, uint32_t s) {
    ASSERT(ex->event_count < ex->events_capacity);
    struct exchange_event *e =
        (struct exchange_event *)ex_at(ex, ex->events_at) + ex->event_count++;
    memset(e, 0, sizeof *e);
    e->kind = (uint8_t)kind;
    e->account = account;
    e->instrument = s;
    e->ts_ns = ex->clock_ns;
    return e;
}

struct exchange_event *ex_last_event(struct exchange *ex) {
    ASSERT(ex->event_count > 0);
    return (struct exchange_event *)ex_at(ex, ex->events_at) + ex->event_count - 1;
}

void ex_event_order(struct exchange *ex, enum exchange_exec exec, const struct exchange_order *o) {
    struct exchange_event *e = ex_event(ex, EXE_ORDER, o->account, o->instrument);
    const struct ex_leg *leg =
        &ex_cell(ex, o->account, o->instrument)->leg[ex_leg_of(o->position_side)];
    e->exec = (uint8_t)exec;
    e->side = o->side;
    e->position_side = o->position_side;
    e->bid_notional = money_e8(leg->bid_notional);
    e->ask_notional = money_e8(leg->ask_notional);
    e->u.order = *o;
}

void ex_event_level(struct exchange *ex, uint32_t s, enum match_side side, uint32_t tick) {
    struct ex_symbol *y = ex_symbol(ex, s);
    struct exchange_event *e = ex_event(ex, EXE_LEVEL, 0, s);
    e->side = side == MATCH_BID ? SIDE_BUY : SIDE_SELL;
    e->sequence = ++y->sequence;
    e->px = px_e8(ex_px_of(y, tick));
    e->qty = qty_e8(match_level_qty(ex_book(ex, s), side, tick));
}

void ex_event_account(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg,
                      enum exchange_reason reason, int64_t change) {
    const struct ex_account *a = ex_account(ex, account);
    struct exchange_event *e = ex_event(ex, EXE_ACCOUNT, account, s);
    e->reason = (uint8_t)reason;
    e->amount = money_e8(change);
    e->wallet = money_e8(a->wallet);
    e->cross_wallet = money_e8(ex_cross_wallet(a));
    if (s == UINT32_MAX) return;
    e->has_position = true;
    e->isolated = ex_cell(ex, account, s)->isolated;
    e->position_side = (uint8_t)(!a->hedge ? POSITION_BOTH : leg ? POSITION_SHORT : POSITION_LONG);
    ex_position_fill(ex, account, s, leg, false, &e->position);
}

void ex_event_income(struct exchange *ex, uint32_t account, uint32_t s, enum exchange_income type,
                     int64_t amount, uint64_t trade_id) {
    struct exchange_event *e = ex_event(ex, EXE_INCOME, account, s);
    e->income = (uint8_t)type;
    e->amount = money_e8(amount);
    e->trade_id = trade_id;
    e->sequence = ex->tran_id_next++;
}

const struct exchange_event *exchange_event_next(struct exchange *ex) {
    if (ex->event_drawn == ex->event_count) return NULL;
    return (struct exchange_event *)ex_at(ex, ex->events_at) + ex->event_drawn++;
}

bool ex_is_busy(const struct exchange *ex) {
    /* One piece that is under way, and the input itself, must still find room. */
    return ex->event_count > ex->events_capacity - 2 * ex->events_one;
}

bool ex_account_is_valid(const struct exchange *ex, uint32_t account) {
    return account != EXCHANGE_HOUSE && account < ex->account_count;
}

/* ---- work that is due ---- */

/* Liquidations and fired orders, each of which may lead to more. Ends because every one of them ends something:
 * a position, or a conditional order. */
static void run_pending(struct exchange *ex) {
    while (!ex_is_busy(ex)) {
        if (ex->dirty_first1) {
            uint32_t cell1 = ex->dirty_first1;
            struct ex_cell *c = &ex_cells(ex)[cell1 - 1];
            ex->dirty_first1 = c->dirty_next1;
            if (!ex->dirty_first1) ex->dirty_last1 = 0;
            c->dirty = 0;
            c->dirty_next1 = 0;
            ex_check_cell(ex, cell1);
        } else if (ex->fired.first1) {
            ex_algo_execute(ex);
        } else {
            return;
        }
    }
}

static void run_countdowns(struct exchange *ex) {
    struct ex_cell *cells = ex_cells(ex);
    uint32_t at1 = ex->countdowns.first1;
    while (at1 && !ex_is_busy(ex)) {
        struct ex_cell *c = &cells[at1 - 1];
        uint32_t index1 = at1;
        at1 = c->of_countdown.next1;
        if (c->countdown_ns > ex->clock_ns) continue;
        ex_list_remove(&ex->countdowns, EX_LINKS(cells, of_countdown), index1);
        c->counting = 0;
        c->countdown_ns = 0;
        uint32_t account = (index1 - 1) / ex->config.instrument_count;
        uint32_t s = (index1 - 1) % ex->config.instrument_count;
        ex_cancel_all(ex, account, s);
        if (ex->config.countdown_cancels_algos) ex_algo_cancel_all(ex, account, s, false);
    }
    ex_countdown_min(ex);
}

static void run_timers(struct exchange *ex) {
    const struct ex_node *nodes = ex_nodes(ex);
    while (ex->order_till1 && nodes[ex->order_till1 - 1].key <= ex->clock_ns && !ex_is_busy(ex))
        ex_order_end(ex, &ex_orders(ex)[ex->order_till1 - 1], EXO_EXPIRED, EXPIRY_NONE,
                     EXEC_EXPIRED);
    uint32_t first = ex->order_slots.capacity + ex->algo_slots.capacity;
    while (ex->algo_till1 && nodes[ex->algo_till1 - 1].key <= ex->clock_ns && !ex_is_busy(ex))
        ex_algo_end(ex, &ex_algos(ex)[ex->algo_till1 - first - 1], EXA_EXPIRED, 0, EXPIRY_NONE);
    if (ex->countdown_min <= ex->clock_ns) run_countdowns(ex);
}

int64_t exchange_deadline(const struct exchange *ex) {
    if (ex->dirty_first1 || ex->fired.first1) return ex->clock_ns;
    int64_t first = ex->countdown_min;
    const struct ex_node *nodes = ex_nodes(ex);
    if (ex->order_till1) first = ex_min(first, nodes[ex->order_till1 - 1].key);
    if (ex->algo_till1) first = ex_min(first, nodes[ex->algo_till1 - 1].key);
    return first;
}

/* ---- inputs ---- */

static void do_cancel_all(struct exchange *ex, const struct exchange_input *in,
                          struct exchange_reply *reply) {
    if ((reply->code = ex_admit_symbol(ex, in->account, in->instrument)) != 0) return;
    if (in->kind == EXI_CANCEL_ALL)
        ex_cancel_all(ex, in->account, in->instrument);
    else
        ex_algo_cancel_all(ex, in->account, in->instrument, false);
}

static int32_t filters_told(struct exchange *ex, const struct exchange_input *in) {
    if (in->instrument >= ex->config.instrument_count) return CODE_SYMBOL;
    ex_event(ex, EXE_FILTERS, 0, in->instrument);
    return 0;
}

/* Orders: those whose reply is more than a code. */
static bool dispatch_order(struct exchange *ex, const struct exchange_input *in,
                           struct exchange_reply *reply) {
    switch (in->kind) {
    case EXI_ORDER_PLACE:
    case EXI_ORDER_TEST:
        ex_order_place(ex, in, reply);
        return true;
    case EXI_ORDER_CANCEL:
        ex_order_cancel(ex, in, reply);
        return true;
    case EXI_ORDER_AMEND:
        ex_order_amend(ex, in, reply);
        return true;
    case EXI_CANCEL_ALL:
    case EXI_ALGO_CANCEL_ALL:
        do_cancel_all(ex, in, reply);
        return true;
    case EXI_ALGO_PLACE:
        ex_algo_place(ex, in, false, reply);
        return true;
    case EXI_ALGO_CANCEL:
        ex_algo_cancel(ex, in, reply);
        return true;
    default:
        return false;
    }
}

static int32_t dispatch(struct exchange *ex, const struct exchange_input *in,
                        struct exchange_reply *reply) {
    switch (in->kind) {
    case EXI_COUNTDOWN:
        return ex_set_countdown(ex, in);
    case EXI_LEVERAGE:
        return ex_set_leverage(ex, in, reply);
    case EXI_MARGIN_TYPE:
        return ex_set_margin_type(ex, in);
    case EXI_POSITION_MODE:
        return ex_set_position_mode(ex, in);
    case EXI_POSITION_MARGIN:
        return ex_set_position_margin(ex, in);
    case EXI_MULTI_ASSETS:
        return ex_set_multi_assets(ex, in);
    case EXI_ACCOUNT_OPEN:
        return ex_account_open(ex, in, reply);
    case EXI_DEPOSIT:
        return ex_deposit(ex, in);
    case EXI_FEES:
        return ex_set_fees(ex, in);
    case EXI_QUOTE:
        return ex_house_quote(ex, in->instrument, in->side, in->price.e8, in->qty.e8);
    case EXI_PRINT:
        return ex_market_print(ex, in);
    case EXI_MARK:
        return ex_set_mark(ex, in);
    case EXI_FUNDING:
        return ex_funding(ex, in);
    case EXI_STATUS:
        return ex_set_status(ex, in);
    case EXI_FILTERS:
        return filters_told(ex, in);
    case EXI_TIME: /* what is due ran already */
        return 0;
    }
    ASSERT(0 && "an input of no kind");
    return 0;
}

void exchange_step(struct exchange *ex, const struct exchange_input *in, int64_t now_ns,
                   struct exchange_reply *reply) {
    ASSERT(now_ns >= ex->clock_ns);
    ASSERT(ex->event_drawn == ex->event_count);
    ex->event_drawn = ex->event_count = 0;
    ex->clock_ns = now_ns;
    memset(reply, 0, sizeof *reply);
    reply->account = in->account;
    run_pending(ex); /* left over from an input that led to too much */
    run_timers(ex);
    if (!dispatch_order(ex, in, reply)) reply->code = dispatch(ex, in, reply);
    run_pending(ex);
}

/* ---- rules that change while it runs ---- */

/* One user order or house quote of the old grid on the new one. */
static void regrid_order(struct exchange *ex, uint32_t s, struct match *book,
                         const struct match_order *m, int64_t px) {
    struct match_order moved = *m;
    uint64_t ticks = (uint64_t)((px - ex_symbol(ex, s)->base) / ex_symbol(ex, s)->tick);
    ASSERT(ticks >= 1 && ticks <= UINT32_MAX);
    moved.px = (uint32_t)ticks;
    match_handle h = match_add(book, &moved);
    ASSERT(h);
    if (m->tag & EX_TAG_HOUSE) {
        struct ex_quote *q = ex_quote_add(ex, s, (enum match_side)m->side, moved.px);
        ASSERT(q);
        q->handle = h;
    } else {
        ex_orders(ex)[m->tag - 1].handle = h;
    }
}

/* Would every price that rests fit a grid in 32 bits? */
static bool grid_fits(const struct exchange *ex, uint32_t s, int64_t tick, int64_t base) {
    int64_t worst = ex_best(ex, s, MATCH_ASK);
    const struct match *book = ex_book(ex, s);
    for (uint32_t t = match_best(book, MATCH_ASK); t; t = match_worse(book, MATCH_ASK, t))
        worst = ex_px_of(ex_symbol(ex, s), t);
    worst = ex_max(worst, ex_best(ex, s, MATCH_BID));
    return (worst - base) / tick <= UINT32_MAX;
}

/* The book moves to a grid that holds the old prices and the new ones, each side best first and oldest first,
 * so that everybody keeps the place in line. */
static void regrid(struct exchange *ex, uint32_t s) {
    struct ex_symbol *y = ex_symbol(ex, s);
    int64_t tick, base;
    grid_of(ex_instrument(ex, s), &tick, &base);
    struct match *book = ex_book(ex, s);
    if (match_order_count(book) > 0) {
        int64_t both = gcd(tick, y->tick);
        int64_t apart = (base - y->base) % both;
        if (apart != 0) both = gcd(both, apart < 0 ? -apart : apart);
        base = ex_min(base, y->base);
        tick = both;
    }
    if (tick == y->tick && base == y->base) return;
    if (!grid_fits(ex, s, tick, base)) return; /* the old grid stays: finer prices are not taken */
    struct ex_symbol old = *y;
    /* A side at a time through the slots of orders and quotes: tag and price are known there. */
    uint32_t count = match_order_count(book);
    struct ex_regrid *rows = (struct ex_regrid *)ex_at(ex, ex->events_at);
    ASSERT(count * sizeof *rows <= ex->events_capacity * sizeof(struct exchange_event));
    uint32_t n = 0;
    for (int side = MATCH_BID; side <= MATCH_ASK; side++) {
        match_handle h;
        while ((h = match_front(book, (enum match_side)side)) != 0) {
            bool is_there = match_get(book, h, &rows[n].order);
            ASSERT(is_there);
            rows[n].px = ex_px_of(&old, rows[n].order.px);
            if (rows[n].order.tag & EX_TAG_HOUSE)
                ex_quote_remove(ex, &ex_quotes(ex)[(rows[n].order.tag & ~EX_TAG_HOUSE) - 1]);
            (void)match_remove(book, h);
            n++;
        }
    }
    y->tick = tick;
    y->base = base;
    for (uint32_t i = 0; i < n; i++) regrid_order(ex, s, book, &rows[i].order, rows[i].px);
}

void exchange_set_instrument(struct exchange *ex, uint32_t instrument,
                             const struct instrument *in) {
    ASSERT(instrument < ex->config.instrument_count && ex->event_drawn == ex->event_count);
    struct instrument *rules = ex_instrument(ex, instrument);
    ASSERT(memcmp(rules->symbol, in->symbol, SYMBOL_SIZE) == 0);
    uint32_t status = rules->status;
    *rules = *in;
    rules->status = status;
    regrid(ex, instrument);
    for (uint32_t a = 1; a < ex->account_count; a++) {
        ex_cell_refresh(ex, a, instrument); /* brackets */
        if (ex_cell(ex, a, instrument)->held) ex_cell_dirty(ex, a, instrument);
    }
}

void exchange_set_classic(struct exchange *ex, bool classic_conditional) {
    ex->config.classic_conditional = classic_conditional;
}

/* ---- fingerprint ---- */

static uint64_t hash_book(const struct exchange *ex, uint32_t s, uint64_t h) {
    const struct match *book = ex_book(ex, s);
    for (int side = MATCH_BID; side <= MATCH_ASK; side++)
        for (uint32_t t = match_best(book, (enum match_side)side); t;
             t = match_worse(book, (enum match_side)side, t))
            for (match_handle o = match_front_at(book, (enum match_side)side, t); o;
                 o = match_after(book, o)) {
                struct match_order m;
                if (match_get(book, o, &m)) h = hash_chain(h, &m, sizeof m);
            }
    return h;
}

uint64_t exchange_hash(const struct exchange *ex) {
    uint64_t h = hash64(&ex->account_count, sizeof *ex - offsetof(struct exchange, account_count));
    uint32_t n = ex->config.instrument_count;
    h = hash_chain(h, ex_instrument(ex, 0), n * sizeof(struct instrument));
    h = hash_chain(h, ex_symbol(ex, 0), n * sizeof(struct ex_symbol));
    h = hash_chain(h, ex_account(ex, 0), ex->account_count * sizeof(struct ex_account));
    h = hash_chain(h, ex_cells(ex), (size_t)ex->account_count * n * sizeof(struct ex_cell));
    h = hash_chain(h, ex_orders(ex), ex->order_slots.fresh * sizeof(struct ex_order));
    h = hash_chain(h, ex_algos(ex), ex->algo_slots.fresh * sizeof(struct ex_algo));
    h = hash_chain(h, ex_quotes(ex), ex->quote_slots.fresh * sizeof(struct ex_quote));
    for (uint32_t s = 0; s < n; s++) h = hash_book(ex, s, h);
    return hash_chain(h, &ex->config.classic_conditional, sizeof ex->config.classic_conditional);
}
