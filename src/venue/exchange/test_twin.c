/* The exchange against its naive twin (test_twin_*.h): the same random inputs, and after each one the same
 * replies, orders, positions, money and books. TEST_SEED repeats a run, TEST_OPS sets its length. */
#include "venue/exchange/test_twin_ops.h"
#include "venue/exchange/test_twin_venue.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EPISODE = 20000, SHRINK_RUNS = 3000, ROWS = 700 };

static uint64_t kinds[TW_KIND_COUNT];
static uint64_t codes[2][6000]; /* replies: [accepted] and refusals by -code */
static bool is_loud;

/* ---- both sides ---- */

struct pair {
    struct exchange_config config;
    struct instrument in[TW_SYMBOLS_MAX];
    struct exchange *ex;
    void *memory[2]; /* the exchange moves between them: what it is, is in its snapshot */
    struct tw *w;
    struct tw_log *log;
    int64_t now;
    int done;
    struct exchange_reply core, twin;
    /* of the last input, as the exchange told it */
    struct exchange_order orders[TW_CHANGED_MAX];
    struct exchange_algo algos[TW_CHANGED_MAX];
    struct tw_trade trades[TW_CHANGED_MAX];
    int order_count, algo_count, trade_count, calls;
    int64_t income[TW_ACCOUNTS_MAX][8];
    bool differs;
};

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20261122;
}

static void *get(size_t size) {
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(memory);
    return memory;
}

static struct pair *pair_open(uint64_t seed) {
    struct pair *p = get(sizeof *p);
    memset(p, 0, sizeof *p);
    for (uint32_t s = 0; s < TW_SYMBOLS_MAX; s++) ops_instrument(&p->in[s], s, 0);
    p->config = exchange_config_defaults();
    p->config.instrument_count = TW_SYMBOLS_MAX;
    p->config.instruments = p->in;
    p->config.accounts_max = OPS_ACCOUNTS + 1;
    p->config.orders_max = 80;
    p->config.algos_max = 60;
    p->config.book_orders_max = 512;
    p->config.book_levels_max = 512;
    p->config.classic_conditional = seed % 2;
    p->config.countdown_cancels_algos = seed % 3 == 0;
    p->config.trigger_protect.e8 = FX_ONE / 100;
    p->config.first_order_id = 1000000;
    p->config.first_algo_id = 1000000000;
    p->config.first_trade_id = 10;
    p->memory[0] = get(exchange_size(&p->config));
    p->memory[1] = get(exchange_size(&p->config));
    p->ex = exchange_init(p->memory[0], &p->config);
    p->w = get(sizeof *p->w);
    p->log = get(sizeof *p->log);
    tw_init(p->w, p->log, &p->config);
    p->now = INT64_C(1700000000) * NS_PER_SECOND;
    return p;
}

static void pair_close(struct pair *p) {
    free(p->memory[0]);
    free(p->memory[1]);
    free(p->w);
    free(p->log);
    free(p);
}

/* ---- comparing ---- */

static void same(struct pair *p, const char *what, int64_t core, int64_t twin) {
    if (core == twin) return;
    p->differs = true;
    if (is_loud) printf("  %s: exchange %lld, twin %lld\n", what, (long long)core, (long long)twin);
}

/* clang-format off */
#define ORDER_FIELDS(X) \
    X(order_id) X(algo_id) X(account) X(instrument) X(side) X(type) X(orig_type) \
    X(time_in_force) X(position_side) X(working_type) X(stp) X(price_match) X(status) X(expiry) \
    X(reduce_only) X(close_position) X(price_protect) X(forced) X(amendments) X(price.e8) \
    X(stop_price.e8) X(orig_qty.e8) X(cum_qty.e8) X(cum_quote.e8) X(good_till_ns) X(time_ns) \
    X(update_ns)
/* clang-format on */

static void same_order(struct pair *p, const char *what, const struct exchange_order *core,
                       const struct exchange_order *twin) {
    if (memcmp(core, twin, sizeof *core) == 0) return;
    p->differs = true;
    if (!is_loud) return;
    printf("  %s of order %llu (%s, twin %llu %s):\n", what, (unsigned long long)core->order_id,
           core->client_order_id, (unsigned long long)twin->order_id, twin->client_order_id);
#define ORDER_FIELD(f) same(p, "    " #f, (int64_t)core->f, (int64_t)twin->f);
    ORDER_FIELDS(ORDER_FIELD)
#undef ORDER_FIELD
}

/* clang-format off */
#define ALGO_FIELDS(X) \
    X(algo_id) X(actual_order_id) X(account) X(instrument) X(side) X(type) X(time_in_force) \
    X(position_side) X(working_type) X(stp) X(price_match) X(status) X(reduce_only) \
    X(close_position) X(price_protect) X(activated) X(reject_code) X(trigger_price.e8) \
    X(price.e8) X(activate_price.e8) X(extreme_price.e8) X(callback_rate.e8) X(qty.e8) \
    X(actual_qty.e8) X(actual_quote.e8) X(create_ns) X(update_ns) X(trigger_ns) X(good_till_ns)
/* clang-format on */

static void same_algo(struct pair *p, const char *what, const struct exchange_algo *core,
                      const struct exchange_algo *twin) {
    if (memcmp(core, twin, sizeof *core) == 0) return;
    p->differs = true;
    if (!is_loud) return;
    printf("  %s of conditional order %llu (%s, twin %llu %s):\n", what,
           (unsigned long long)core->algo_id, core->client_algo_id,
           (unsigned long long)twin->algo_id, twin->client_algo_id);
#define ALGO_FIELD(f) same(p, "    " #f, (int64_t)core->f, (int64_t)twin->f);
    ALGO_FIELDS(ALGO_FIELD)
#undef ALGO_FIELD
}

/* The last copy of each order that changed: how it stands after the input. */
static int last_copies(struct exchange_order *rows, int count) {
    int n = 0;
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < n && rows[k].order_id != rows[i].order_id) k++;
        rows[k] = rows[i];
        if (k == n) n++;
    }
    for (int i = 1; i < n; i++) /* by id */
        for (int k = i; k > 0 && rows[k - 1].order_id > rows[k].order_id; k--) {
            struct exchange_order t = rows[k];
            rows[k] = rows[k - 1];
            rows[k - 1] = t;
        }
    return n;
}

/* By id; the states of one stay in their order. */
static void by_algo(struct exchange_algo *rows, int count) {
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && rows[k - 1].algo_id > rows[k].algo_id; k--) {
            struct exchange_algo t = rows[k];
            rows[k] = rows[k - 1];
            rows[k - 1] = t;
        }
}

static void compare_reply(struct pair *p) {
    const struct exchange_reply *core = &p->core, *twin = &p->twin;
    same(p, "reply code", core->code, twin->code);
    same(p, "reply has_order", core->has_order, twin->has_order);
    same(p, "reply has_algo", core->has_algo, twin->has_algo);
    same(p, "max notional", core->max_notional.e8, twin->max_notional.e8);
    if (core->has_order && twin->has_order) {
        same_order(p, "accepted", &core->accepted, &twin->accepted);
        same_order(p, "reply", &core->order, &twin->order);
    }
    if (core->has_algo && twin->has_algo) same_algo(p, "reply", &core->algo, &twin->algo);
}

static void compare_events(struct pair *p) {
    int n = last_copies(p->orders, p->order_count),
        m = last_copies(p->log->changed, p->log->changed_count);
    same(p, "orders that changed", n, m);
    for (int i = 0; i < n && i < m; i++) same_order(p, "event", &p->orders[i], &p->log->changed[i]);
    /* every state each conditional order went through */
    by_algo(p->algos, p->algo_count);
    by_algo(p->log->changed_algo, p->log->changed_algo_count);
    same(p, "states of conditional orders", p->algo_count, p->log->changed_algo_count);
    for (int i = 0; i < p->algo_count && i < p->log->changed_algo_count; i++)
        same_algo(p, "event", &p->algos[i], &p->log->changed_algo[i]);
    same(p, "trades", p->trade_count, p->log->trade_count);
    for (int i = 0; i < p->trade_count && i < p->log->trade_count; i++) {
        const struct tw_trade *a = &p->trades[i], *b = &p->log->trade[i];
        same(p, "trade: contract", a->s, b->s);
        same(p, "trade: side", a->taker_side, b->taker_side);
        same(p, "trade: price", a->px, b->px);
        same(p, "trade: quantity", a->qty, b->qty);
        same(p, "trade: number", (int64_t)a->id, (int64_t)b->id);
    }
    for (int i = 0; i < TW_ACCOUNTS_MAX; i++)
        for (int k = 0; k < 8; k++) same(p, "income", p->income[i][k], p->log->income[i][k]);
    same(p, "margin calls", p->calls, p->log->calls);
}

/* clang-format off */
#define ACCOUNT_MONEY(X) \
    X(wallet) X(cross_wallet) X(unrealized) X(cross_unrealized) X(initial_margin) \
    X(position_margin) X(order_margin) X(maint_margin) X(available) X(max_withdraw) \
    X(realized_pnl) X(fees) X(funding) X(deposits) X(insurance)
/* clang-format on */

static void compare_account(struct pair *p, uint32_t account) {
    struct exchange_account core, twin;
    const struct tw_account *a = &p->w->account[account];
    exchange_account_get(p->ex, account, &core);
    tw_look(p->w, account, &twin);
    if (account == EXCHANGE_HOUSE) { /* has no margin */
        same(p, "house wallet", core.wallet.e8, twin.wallet.e8);
        return;
    }
    bool before = p->differs;
#define MONEY(f) same(p, #f, core.f.e8, twin.f.e8);
    ACCOUNT_MONEY(MONEY)
#undef MONEY
    same(p, "fee_maker", core.fee_maker.e8, tw_fee_rate(p->w, account, 0, true));
    same(p, "fee_taker", core.fee_taker.e8, tw_fee_rate(p->w, account, 0, false));
    same(p, "hedge", core.hedge, twin.hedge);
    same(p, "open_orders", core.open_orders, twin.open_orders);
    same(p, "open_algos", core.open_algos, twin.open_algos);
    same(p, "update_ns", core.update_ns, a->update_ns);
    if (p->differs && !before && is_loud) printf("  … of account %u\n", account);
}

static void compare_position(struct pair *p, uint32_t account, uint32_t s, int leg) {
    const struct tw_account *a = &p->w->account[account];
    const struct tw_position *t = &a->position[s][leg];
    struct exchange_position core;
    bool before = p->differs;
    if (leg == 1 && !a->hedge) {
        same(p, "quantity of no side", t->qty, 0);
        return;
    }
    exchange_position_get(p->ex, account, s,
                          !a->hedge  ? POSITION_BOTH
                          : leg == 0 ? POSITION_LONG
                                     : POSITION_SHORT,
                          &core);
    int64_t size = tw_abs(t->qty), sign = t->qty < 0 ? -1 : 1;
    same(p, "qty", core.qty.e8, t->qty);
    same(p, "entry_cost", core.entry_cost.e8, t->cost);
    same(p, "isolated_wallet", core.isolated_wallet.e8, t->wallet);
    same(p, "realized", core.realized.e8, t->realized);
    same(p, "unrealized", core.unrealized.e8, tw_unrealized(p->w, s, t));
    same(p, "update_ns", core.update_ns, t->update_ns);
    same(p, "entry_px", core.entry_px.e8, size ? tw_even(sign * t->cost, FX_ONE, size) : 0);
    same(p, "break_even_px", core.break_even_px.e8,
         size ? tw_even(sign * (t->cost + t->fees), FX_ONE, size) : 0);
    if (account == EXCHANGE_HOUSE) return;
    int64_t bids = tw_resting(p->w, account, s, leg, SIDE_BUY, true, 0),
            asks = tw_resting(p->w, account, s, leg, SIDE_SELL, true, 0);
    int64_t margin = a->hedge ? tw_up(leg ? asks : bids, 1, tw_leverage(p->w, account, s))
                              : tw_order_margin(p->w, account, s, 0, SIDE_NONE, 0, 0);
    same(p, "initial_margin", core.initial_margin.e8, tw_position_margin(p->w, account, s, t));
    same(p, "maint_margin", core.maint_margin.e8, tw_maintenance(p->w, s, t));
    same(p, "open_order_margin", core.open_order_margin.e8, margin);
    same(p, "bid_notional", core.bid_notional.e8, bids);
    same(p, "ask_notional", core.ask_notional.e8, asks);
    if (p->differs && !before && is_loud)
        printf("  … of account %u, contract %u, side %d\n", account, s, leg);
}

/* At its liquidation price a position is short of margin; 1e-8 nearer to the mark it is not. */
static void check_liquidation_px(struct pair *p, uint32_t account, uint32_t s, int leg) {
    struct tw_account *a = &p->w->account[account];
    const struct tw_position *t = &a->position[s][leg];
    struct exchange_position core;
    if (!t->qty || (a->hedge && !a->isolated[s])) return; /* both sides at once: no single one's */
    exchange_position_get(p->ex, account, s,
                          !a->hedge  ? POSITION_BOTH
                          : leg == 0 ? POSITION_LONG
                                     : POSITION_SHORT,
                          &core);
    int64_t mark = p->w->market[s].mark, px = core.liquidation_px.e8;
    if (!px) return;
    bool short_there[2];
    for (int i = 0; i < 2; i++) {
        p->w->market[s].mark = px + i * (t->qty > 0 ? 1 : -1);
        struct tw_cross c = tw_cross_of(p->w, account);
        short_there[i] = a->isolated[s]
                             ? t->wallet + tw_unrealized(p->w, s, t) <= tw_maintenance(p->w, s, t)
                             : c.equity <= c.maintenance;
    }
    p->w->market[s].mark = mark;
    same(p, "short of margin at its liquidation price", short_there[0], true);
    same(p, "short of margin before its liquidation price", short_there[1], false);
}

static void compare_lists(struct pair *p, uint32_t account) {
    static struct exchange_order core[ROWS], twin[ROWS];
    static struct exchange_algo core_algo[ROWS];
    int n = 0, m = 0;
    uint32_t count = exchange_open_orders(p->ex, account, UINT32_MAX, core, ROWS);
    for (int i = 0; i < p->w->order_count; i++)
        if (p->w->order[i].o.account == account) twin[n++] = p->w->order[i].o;
    for (int i = 0; i < p->w->algo_count; i++)
        if (p->w->algo[i].classic && p->w->algo[i].a.account == account)
            twin[n++] = tw_algo_as_order(&p->w->algo[i].a);
    n = last_copies(twin, n);
    same(p, "open orders", count, n);
    for (int i = 0; i < n && i < (int)count; i++) same_order(p, "list", &core[i], &twin[i]);
    count = exchange_open_algos(p->ex, account, UINT32_MAX, core_algo, ROWS);
    for (int i = 0; i < p->w->algo_count; i++) {
        const struct tw_algo *x = &p->w->algo[i];
        if (x->classic || x->a.account != account) continue;
        if (m < (int)count) same_algo(p, "list", &core_algo[m], &x->a);
        m++;
    }
    same(p, "open conditional orders", count, m);
}

static void compare_book(struct pair *p, uint32_t s) {
    struct exchange_level level[ROWS];
    for (int k = SIDE_BUY; k <= SIDE_SELL; k++) {
        uint8_t side = (uint8_t)k;
        uint32_t n = exchange_depth(p->ex, s, (enum side)side, level, ROWS, NULL), i = 0;
        for (int64_t px = 0; (px = tw_worse(p->w, s, side, px)) != 0; i++) {
            if (i >= n) break;
            same(p, "level: price", level[i].px.e8, px);
            same(p, "level: quantity", level[i].qty.e8, tw_level(p->w, s, side, px));
        }
        same(p, "levels", n, i);
        if (n == i && n > 0)
            same(p, "one more level", tw_worse(p->w, s, side, level[n - 1].px.e8), 0);
    }
    const struct tw_market *m = &p->w->market[s];
    struct exchange_prices core;
    int64_t open = 0;
    exchange_prices_get(p->ex, s, &core);
    same(p, "last", core.last.e8, m->last);
    same(p, "mark", core.mark.e8, m->mark);
    same(p, "index", core.index.e8, m->index);
    same(p, "bid", core.bid.e8, tw_best(p->w, s, SIDE_BUY));
    same(p, "ask", core.ask.e8, tw_best(p->w, s, SIDE_SELL));
    same(p, "last trade", (int64_t)core.last_trade_id, (int64_t)m->trade_id);
    same(p, "last funding", core.funding_last.e8, m->funding_last);
    for (uint32_t a = 0; a < p->w->accounts; a++)
        for (int leg = 0; leg < 2; leg++) open += tw_max(0, p->w->account[a].position[s][leg].qty);
    same(p, "open interest", exchange_open_interest(p->ex, s).e8, open);
}

static void compare_totals(struct pair *p) {
    struct exchange_totals core;
    int64_t wallets = 0, cost = 0;
    exchange_totals_get(p->ex, &core);
    for (uint32_t a = 0; a < p->w->accounts; a++) {
        const struct tw_account *t = &p->w->account[a];
        wallets += t->wallet;
        for (uint32_t s = 0; s < p->w->symbols; s++)
            cost += t->position[s][0].cost + t->position[s][1].cost;
        same(p, "what an account's wallet is made of", t->wallet,
             t->deposits + t->realized - t->fees + t->funding + t->insurance);
    }
    same(p, "money missing", core.error.e8, 0);
    same(p, "money missing in the twin", p->w->deposits,
         wallets - cost + p->w->fees + p->w->insurance + p->w->funding_pool);
    same(p, "total deposits", core.deposits.e8, p->w->deposits);
    same(p, "total wallets", core.wallets.e8, wallets);
    same(p, "total entry cost", core.entry_cost.e8, cost);
    same(p, "total fees", core.fees.e8, p->w->fees);
    same(p, "insurance fund", core.insurance.e8, p->w->insurance);
    same(p, "funding pool", core.funding_pool.e8, p->w->funding_pool);
    same(p, "deadline", exchange_deadline(p->ex), tw_deadline(p->w));
}

static void compare(struct pair *p) {
    compare_reply(p);
    compare_events(p);
    same(p, "accounts", exchange_account_count(p->ex), p->w->accounts);
    for (uint32_t a = 0; a < p->w->accounts && !p->differs; a++) {
        compare_account(p, a);
        for (uint32_t s = 0; s < p->w->symbols; s++)
            for (int leg = 0; leg < 2; leg++) {
                compare_position(p, a, s, leg);
                if (a && p->done % 32 == 0 && !p->differs) check_liquidation_px(p, a, s, leg);
            }
        if (a) compare_lists(p, a);
    }
    for (uint32_t s = 0; s < p->w->symbols; s++) compare_book(p, s);
    compare_totals(p);
}

/* ---- doing ---- */

static void draw_events(struct pair *p) {
    p->order_count = p->algo_count = p->trade_count = p->calls = 0;
    memset(p->income, 0, sizeof p->income);
    for (const struct exchange_event *e; (e = exchange_event_next(p->ex)) != NULL;) {
        if (p->order_count == TW_CHANGED_MAX || p->algo_count == TW_CHANGED_MAX ||
            p->trade_count == TW_CHANGED_MAX) {
            same(p, "events of one input", TW_CHANGED_MAX + 1, TW_CHANGED_MAX);
            while (exchange_event_next(p->ex)) {}
            return;
        }
        if (e->kind == EXE_ORDER) p->orders[p->order_count++] = e->u.order;
        if (e->kind == EXE_ALGO) p->algos[p->algo_count++] = e->u.algo;
        if (e->kind == EXE_TRADE)
            p->trades[p->trade_count++] =
                (struct tw_trade){e->instrument, e->side, e->px.e8, e->qty.e8, e->trade_id};
        if (e->kind == EXE_INCOME) p->income[e->account][e->income] += e->amount.e8;
        if (e->kind == EXE_MARGIN_CALL) p->calls++;
    }
}

static void do_op(struct pair *p, const struct op *op) {
    p->now += op->dt;
    if (op->op == OP_CLASSIC) {
        exchange_set_classic(p->ex, op->value);
        p->w->config.classic_conditional = op->value;
        return;
    }
    if (op->op == OP_FILTERS) {
        struct instrument in;
        ops_instrument(&in, op->in.instrument, op->value);
        exchange_set_instrument(p->ex, op->in.instrument, &in);
        in.status = p->w->in[op->in.instrument].status;
        p->w->in[op->in.instrument] = in;
        uint32_t account;
        for (account = 1; account < p->w->accounts; account++)
            if (p->w->account[account].held[op->in.instrument])
                tw_doubt(p->w, account, op->in.instrument);
    }
    exchange_step(p->ex, &op->in, p->now, &p->core);
    draw_events(p);
    p->log->changed_count = p->log->changed_algo_count = p->log->trade_count = p->log->calls = 0;
    memset(p->log->income, 0, sizeof p->log->income);
    tw_step(p->w, &op->in, p->now, &p->twin);
    compare(p);
    if (++p->done % 256 == 0) { /* on with a copy, as after a restart */
        void *other = p->memory[p->ex == p->memory[0]];
        memset(other, 0xA5, exchange_size(&p->config));
        memcpy(other, p->ex, exchange_state_size(p->ex));
        p->ex = other;
    }
}

static void print_op(int i, const struct op *op) {
    const struct exchange_input *x = &op->in;
    printf("%6d: +%lld op %u/%u kind %u account %u contract %u side %u type %u tif %u ps %u wt %u "
           "stp %u pm %u ro %u cp %u pp %u flag %u lev %u st %u id %llu \"%s\" px %lld px2 %lld "
           "rate %lld qty %lld amount %lld until %lld\n",
           i, (long long)op->dt, op->op, op->value, x->kind, x->account, x->instrument, x->side,
           x->type, x->time_in_force, x->position_side, x->working_type, x->stp, x->price_match,
           x->reduce_only, x->close_position, x->price_protect, x->flag, x->leverage, x->status,
           (unsigned long long)x->order_id, x->client_id, (long long)x->price.e8,
           (long long)x->price2.e8, (long long)x->rate.e8, (long long)x->qty.e8,
           (long long)x->amount.e8, (long long)x->until_ns);
}

/* Repeats recorded inputs; the index of the first that shows a difference, -1: none. */
static int repeat(uint64_t seed, const struct op *ops, int count) {
    struct pair *p = pair_open(seed);
    int at = -1;
    for (int i = 0; i < count && at < 0; i++) {
        do_op(p, &ops[i]);
        if (p->differs) at = i;
    }
    pair_close(p);
    return at;
}

/* The same in a child, which an assertion of the exchange may end: true if anything is wrong. */
static bool is_wrong(uint64_t seed, const struct op *ops, int count) {
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) _exit(2);
        _exit(repeat(seed, ops, count) >= 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) == 1;
}

/* Leaves out all that is not needed to go wrong. */
static int shrink(uint64_t seed, struct op *ops, int count) {
    struct op *fewer = get((size_t)count * sizeof *ops);
    int runs = 0;
    for (int chunk = count / 2; chunk > 0; chunk /= 2)
        for (int at = 0; at < count && runs < SHRINK_RUNS;) {
            int cut = at + chunk < count ? chunk : count - at;
            memcpy(fewer, ops, (size_t)at * sizeof *ops);
            memcpy(fewer + at, ops + at + cut, (size_t)(count - at - cut) * sizeof *ops);
            runs++;
            if (count - cut > 0 && is_wrong(seed, fewer, count - cut)) {
                count -= cut;
                memcpy(ops, fewer, (size_t)count * sizeof *ops);
            } else {
                at += cut;
            }
        }
    free(fewer);
    return count;
}

static void show(uint64_t seed, struct op *ops, int count) {
    printf("seed %llu: wrong at input %d of its episode\n", (unsigned long long)seed, count);
    count = shrink(seed, ops, count);
    printf("shrunk to %d inputs:\n", count);
    for (int i = 0; i < count; i++) print_op(i, &ops[i]);
    is_loud = true;
    (void)repeat(seed, ops, count);
    fail_msg("exchange and twin differ");
}

/* The episode under way, for an assertion of the exchange. */
static struct {
    uint64_t seed;
    struct op *ops;
    int count;
} under_way;

/* abort() raises it in the middle of our own call: what a signal from outside must not do is fine. */
static void on_abort(int signal_number) {
    signal(signal_number, SIG_DFL);
    show(under_way.seed, under_way.ops, under_way.count);
}

/* A liquidation price of somebody, for the prices drawn next. */
static void find_edge(struct pair *p, struct ops *random) {
    uint32_t account = 1 + (uint32_t)ops_below(random, OPS_ACCOUNTS);
    uint32_t s = (uint32_t)ops_below(random, TW_SYMBOLS_MAX);
    struct exchange_position held;
    bool hedge = p->w->account[account].hedge;
    exchange_position_get(p->ex, account, s, hedge ? POSITION_LONG : POSITION_BOTH, &held);
    random->edge[s] = held.liquidation_px.e8;
}

/* One world from its opening on; returns how many operations were done. */
static int episode(uint64_t seed, int count) {
    struct pair *p = pair_open(seed);
    struct ops random = {.g = rng_init(seed), .names = 1000};
    for (uint32_t s = 0; s < TW_SYMBOLS_MAX; s++) random.mid[s] = ops_mid_start(s);
    struct op *ops = get((size_t)(count + 64) * sizeof *ops);
    int n = 0, first = ops_first(&random, ops);
    for (; n < count; n++) {
        if (n >= first && n % 4 == 0) find_edge(p, &random);
        if (n >= first) ops_draw(&random, p->w, &ops[n]);
        under_way.seed = seed;
        under_way.ops = ops;
        under_way.count = n + 1;
        sigaction(SIGABRT, &(struct sigaction){.sa_handler = on_abort}, NULL);
        do_op(p, &ops[n]);
        if (p->differs) show(seed, ops, n + 1);
        if (p->core.code > -6000) codes[p->core.code < 0][p->core.code < 0 ? -p->core.code : 0]++;
    }
    for (int k = 0; k < TW_KIND_COUNT; k++) kinds[k] += p->log->kinds[k];
    free(ops);
    pair_close(p);
    return n;
}

static void the_twin_agrees(void **state) {
    (void)state;
    const char *text = getenv("TEST_OPS");
    int64_t left = text ? strtoll(text, NULL, 10) : 150000, total = 0;
    uint64_t seed = test_seed();
    printf("seed %llu, %lld operations\n", (unsigned long long)seed, (long long)left);
    for (; left > 0; seed++) {
        int n = episode(seed, left < EPISODE ? (int)left : EPISODE);
        left -= n;
        total += n;
    }
    for (int k = 0; k < TW_KIND_COUNT; k++)
        printf("  %-26s %llu\n", tw_kind_text[k], (unsigned long long)kinds[k]);
    printf("  accepted %llu; refused", (unsigned long long)codes[0][0]);
    for (int i = 0; i < 6000; i++)
        if (codes[1][i]) printf(" -%d:%llu", i, (unsigned long long)codes[1][i]);
    puts("");
    for (int k = 0; k < TW_KIND_COUNT; k++)
        if (!kinds[k] && total >= (k < TW_INSURED ? 100000 : 500000))
            fail_msg("never seen: %s", tw_kind_text[k]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_twin_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
