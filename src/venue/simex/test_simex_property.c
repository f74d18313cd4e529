/* Random streams of bars and commands: what must hold after every single event.
 *
 * TEST_SEED=n repeats a run. The fingerprint at the end is of a fixed seed: it must be the same for
 * every compiler and optimisation level, and changes only with the exchange's behaviour. */
#include "base/hash.h"
#include "base/rng.h"
#include "venue/simex/test_simex.h"

enum { SYMBOLS = 3, ORDERS_MAX = 6000, BARS = 240 };

struct tracked {
    char id[16];
    enum order_state state;
    uint8_t side, type, close_position, in_use;
    int64_t limit_px, qty, cum, cost;
    int trades;
};

struct run {
    struct instrument in[SYMBOLS];
    struct simex_config config;
    struct simex *sx;
    void *memory;
    struct rng rng;
    struct bar bar[SYMBOLS];
    struct tracked orders[ORDERS_MAX];
    int order_count;
    int64_t open_ts, last_ts;
    int64_t qty[SYMBOLS], cash[SYMBOLS], realized[SYMBOLS];
    uint64_t trade_id[SYMBOLS], order_id;
    int64_t realized_total, fees, funding, liquidation_fees, insurance;
    uint64_t hash;
    uint64_t kinds[16];
    int chunks; /* in how many pieces an interval is drawn */
    bool talks; /* new commands in answer to events */
};

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20251031;
}

static void run_prepare(struct run *r, uint64_t seed) {
    static const double tick[SYMBOLS] = {0.1, 0.01, 0.0001}, step[SYMBOLS] = {0.001, 0.01, 1};
    static const double px[SYMBOLS] = {50000, 100, 0.5};
    memset(r, 0, sizeof *r);
    for (int s = 0; s < SYMBOLS; s++) {
        struct instrument *in = &r->in[s];
        instrument_defaults(in, "XUSDT");
        in->tick_size.e8 = in->px_min.e8 = E8(tick[s]);
        in->step_size.e8 = in->market_step_size.e8 = E8(step[s]);
        in->qty_min.e8 = in->market_qty_min.e8 = E8(step[s]);
        in->flags = 0;
        world_brackets(in);
        int64_t p = E8(px[s]);
        r->bar[s] = (struct bar){.open = {p}, .high = {p}, .low = {p}, .close = {p}, .volume = 1};
    }
    r->config = simex_config_defaults();
    r->config.instrument_count = SYMBOLS;
    r->config.instruments = r->in;
    r->config.half_spread.e8 = 30000;
    r->config.depth_share.e8 = E8(0.02);
    r->config.seed = seed;
    r->open_ts = INT64_C(1700000000) / 3600 * 3600 * NS_PER_SECOND;
    r->rng = rng_init(seed);
    r->chunks = 1;
    r->talks = true;
    r->memory = aligned_alloc(64, simex_size(&r->config));
    assert_non_null(r->memory);
    r->sx = simex_init(r->memory, &r->config);
}

static int64_t between(struct rng *rng, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(rng, (uint64_t)(high - low + 1));
}

/* px moved by up to `ppm` parts per million, on tick and positive. */
static int64_t moved(struct rng *rng, int64_t px, int64_t ppm, int64_t tick) {
    int64_t to = px + fx_muldiv_floor(px, between(rng, -ppm, ppm), 1000000);
    to = fx_snap_nearest(to, tick);
    return to < tick ? tick : to;
}

static struct bar bar_after(struct run *r, int s) {
    int64_t tick = r->in[s].tick_size.e8, open = r->bar[s].close.e8;
    struct rng *g = &r->rng;
    if (rng_below(g, 8) == 0) open = moved(g, open, 60000, tick);
    int64_t close = moved(g, open, rng_below(g, 10) ? 15000 : 150000, tick);
    int64_t high = open > close ? open : close, low = open > close ? close : open;
    high += fx_snap_down(fx_muldiv_floor(high, between(g, 0, 10000), 1000000), tick);
    low -= fx_snap_down(fx_muldiv_floor(low, between(g, 0, 10000), 1000000), tick);
    return (struct bar){.open_ts_ns = r->open_ts,
                        .open = {open},
                        .high = {high},
                        .low = {low},
                        .close = {close},
                        .volume = (double)between(g, 0, 400000) / 1e3 * 50000 * 1e8 / (double)open};
}

static void begin_bars(struct run *r) {
    for (int s = 0; s < SYMBOLS; s++) {
        if (rng_below(&r->rng, 20) == 0 && r->bar[s].open_ts_ns) continue; /* a hole in the data */
        r->bar[s] = bar_after(r, s);
        struct bar mark = r->bar[s];
        mark.high.e8 -=
            (mark.high.e8 - (mark.open.e8 > mark.close.e8 ? mark.open.e8 : mark.close.e8)) / 2;
        bool has_mark = rng_below(&r->rng, 2);
        simex_bar_begin(r->sx, (uint32_t)s, &r->bar[s], has_mark ? &mark : NULL);
        if (rng_below(&r->rng, 6) != 0) continue;
        int64_t ts = r->open_ts + between(&r->rng, 0, 1) * NS_PER_MINUTE;
        simex_funding(r->sx, (uint32_t)s, ts, rate_e8(between(&r->rng, -300000, 300000)));
    }
}

static void submit_new(struct run *r, struct venue_command *c) {
    struct rng *g = &r->rng;
    uint32_t s = c->instrument_index;
    int64_t px = r->bar[s].close.e8, tick = r->in[s].tick_size.e8;
    assert_true(r->order_count < ORDERS_MAX);
    struct tracked *t = &r->orders[r->order_count];
    snprintf(t->id, sizeof t->id, "o%d", r->order_count++);
    c->kind = COMMAND_ORDER_SUBMIT;
    c->side = (uint8_t)between(g, SIDE_BUY, SIDE_SELL);
    c->order_type = (uint8_t)between(g, ORDER_MARKET, ORDER_TAKE_PROFIT);
    c->working_type = (uint8_t)between(g, 0, 1);
    c->reduce_only = rng_below(g, 4) == 0;
    c->stop_px.e8 = moved(g, px, 20000, tick);
    c->limit_px.e8 = moved(g, c->order_type == ORDER_LIMIT ? px : c->stop_px.e8, 8000, tick);
    if (c->order_type == ORDER_LIMIT || c->order_type >= ORDER_STOP)
        c->time_in_force = (uint8_t)between(g, TIF_GTC, TIF_GTX);
    int64_t step = r->in[s].step_size.e8, dollars = between(g, 5, 12000);
    c->order_qty.e8 = fx_snap_up(fx_muldiv_floor(dollars * FX_ONE, FX_ONE, px), step);
    bool is_exit = c->order_type == ORDER_STOP_MARKET || c->order_type == ORDER_TAKE_PROFIT_MARKET;
    if (is_exit && rng_below(g, 2)) {
        c->close_position = 1;
        c->reduce_only = 0;
        c->order_qty.e8 = 0;
    }
    memcpy(c->client_order_id, t->id, sizeof t->id);
    t->state = ORDER_PENDING_NEW;
    t->side = c->side;
    t->type = c->order_type;
    t->close_position = c->close_position;
    bool limited = c->order_type == ORDER_LIMIT || c->order_type >= ORDER_STOP;
    t->limit_px = limited ? c->limit_px.e8 : 0;
    t->qty = c->order_qty.e8;
    t->in_use = 1;
}

static void submit_one(struct run *r, int64_t ts) {
    struct rng *g = &r->rng;
    struct venue_command c = {.ts_ns = ts, .instrument_index = (uint32_t)rng_below(g, SYMBOLS)};
    uint64_t what = rng_below(g, 10);
    if (what == 0) {
        c.kind = COMMAND_LEVERAGE_SET;
        c.leverage = (uint32_t)between(g, 1, 130);
    } else if (what == 1 && r->order_count > 0) {
        int64_t back = between(g, 1, r->order_count < 20 ? r->order_count : 20);
        struct tracked *t = &r->orders[r->order_count - back];
        c.kind = COMMAND_ORDER_CANCEL;
        memcpy(c.client_order_id, t->id, sizeof t->id);
    } else {
        submit_new(r, &c);
    }
    /* An order walking a thin book makes many events, and may fill the queue with our answers. */
    if (simex_submit(r->sx, &c) == ST_FULL && c.kind == COMMAND_ORDER_SUBMIT)
        r->orders[--r->order_count].in_use = 0;
}

static struct tracked *tracked_of(struct run *r, const char *id) {
    if (id[0] != 'o') return NULL;
    return &r->orders[atoi(id + 1)];
}

/* How far from the bar a fill may be: spread, and the levels its order has walked before. */
static void check_px(const struct run *r, const struct tracked *t, const struct venue_event *ev) {
    const struct bar *b = &r->bar[ev->instrument_index];
    int64_t tick = r->in[ev->instrument_index].tick_size.e8, px = ev->last_px.e8;
    assert_int_equal(px % tick, 0);
    if (t->limit_px) assert_true(t->side == SIDE_BUY ? px <= t->limit_px : px >= t->limit_px);
    if (ev->is_maker) {
        bool in_bar = px >= b->low.e8 - tick && px <= b->high.e8 + tick;
        assert_true(in_bar || px == t->limit_px);
        bool gapped = px == b->open.e8; /* the open itself may be the extreme */
        assert_true(gapped || (t->side == SIDE_BUY ? b->low.e8 < px : b->high.e8 > px));
        return;
    }
    int64_t spread = fx_mul_ceil(b->high.e8, 30000) + 2 * tick;
    int64_t room = spread + t->trades * (fx_mul_ceil(b->high.e8 + b->high.e8 / 10, 30000) + tick);
    assert_in_range(px, b->low.e8 - room > 0 ? b->low.e8 - room : 0, b->high.e8 + room);
}

static void apply_state(struct run *r, struct tracked *t, const struct venue_event *ev) {
    enum order_event oe = OE_SUBMIT;
    switch ((enum venue_event_kind)ev->kind) {
    case VENUE_ORDER_ACCEPTED:
        oe = OE_ACCEPTED;
        assert_int_equal(ev->avg_cost.e8 | ev->cum_qty.e8 | ev->last_px.e8, 0);
        assert_int_equal(ev->venue_order_id, r->order_id ? r->order_id + 1 : ev->venue_order_id);
        r->order_id = ev->venue_order_id;
        break;
    case VENUE_ORDER_REJECTED:
        oe = OE_REJECTED;
        assert_true(ev->code < 0);
        break;
    case VENUE_ORDER_TRADE:
        oe = ev->leaves_qty.e8 ? OE_FILL_PARTIAL : OE_FILL_LAST;
        break;
    case VENUE_ORDER_CANCELED:
        oe = OE_CANCELED;
        break;
    case VENUE_ORDER_EXPIRED:
        oe = OE_EXPIRED;
        break;
    case VENUE_ORDER_TRIGGERED:
        if (t->close_position) t->qty = ev->leaves_qty.e8;
        return;
    case VENUE_CANCEL_REJECTED:
        return;
    case VENUE_LEVERAGE_SET:
    case VENUE_FUNDING:
    case VENUE_LIQUIDATION:
    case VENUE_POSITION:
    case VENUE_BALANCE:
    case VENUE_ORDER_FOUND:
        fail();
    }
    int next = order_state_next(t->state, oe);
    assert_true(next >= 0);
    t->state = (enum order_state)next;
}

static void book_fill(struct run *r, const struct venue_event *ev, int64_t cost) {
    uint32_t s = ev->instrument_index;
    int sign = side_sign((enum side)ev->side);
    assert_true(ev->last_qty.e8 > 0 && ev->last_px.e8 > 0 && ev->commission.e8 >= 0);
    assert_int_equal(cost, money_mul_half_even(ev->last_px, ev->last_qty).e8);
    assert_int_equal(ev->trade_id, r->trade_id[s] ? r->trade_id[s] + 1 : ev->trade_id);
    r->trade_id[s] = ev->trade_id;
    r->qty[s] += sign * ev->last_qty.e8;
    r->cash[s] += sign * cost;
    r->realized[s] += ev->realized_pnl.e8;
    r->realized_total += ev->realized_pnl.e8;
    if (ev->kind == VENUE_LIQUIDATION)
        r->liquidation_fees += ev->commission.e8;
    else
        r->fees += ev->commission.e8;
}

static void check_order_event(struct run *r, const struct venue_event *ev) {
    struct tracked *t = tracked_of(r, ev->client_order_id);
    if (ev->kind == VENUE_LIQUIDATION) {
        book_fill(r, ev, ev->avg_cost.e8);
        if (ev->leaves_qty.e8 == 0) r->order_id = ev->venue_order_id;
        return;
    }
    if (!t) return;
    assert_true(t->in_use);
    apply_state(r, t, ev);
    if (ev->kind == VENUE_ORDER_REJECTED || ev->kind == VENUE_CANCEL_REJECTED) return;
    assert_int_equal(ev->side, t->side);
    assert_true(ev->leaves_qty.e8 >= 0);
    assert_int_equal(ev->cum_qty.e8 + ev->leaves_qty.e8, t->qty);
    if (ev->kind == VENUE_ORDER_TRADE) {
        assert_int_equal(ev->cum_qty.e8, t->cum + ev->last_qty.e8);
        check_px(r, t, ev);
        book_fill(r, ev, ev->avg_cost.e8 - t->cost);
        t->trades++;
    } else {
        assert_int_equal(ev->cum_qty.e8, t->cum);
        assert_int_equal(ev->avg_cost.e8, t->cost);
    }
    t->cum = ev->cum_qty.e8;
    t->cost = ev->avg_cost.e8;
}

static void check_event(struct run *r, const struct venue_event *ev) {
    assert_true(ev->ts_event_ns >= r->last_ts);
    r->last_ts = ev->ts_event_ns;
    r->kinds[ev->kind]++;
    r->hash = hash_chain(r->hash, ev, sizeof *ev);
    check_order_event(r, ev);
    r->funding += ev->funding.e8;
    struct simex_account a;
    simex_account_get(r->sx, &a);
    assert_int_equal(a.realized_pnl.e8, r->realized_total);
    assert_int_equal(a.fees.e8, r->fees);
    assert_int_equal(a.funding.e8, r->funding);
    assert_int_equal(a.liquidation_fees.e8, r->liquidation_fees);
    assert_true(a.insurance.e8 >= r->insurance);
    r->insurance = a.insurance.e8;
    assert_int_equal(a.wallet.e8, ev->wallet.e8);
    assert_int_equal(a.wallet.e8, a.wallet_start.e8 + a.realized_pnl.e8 - a.fees.e8 + a.funding.e8 -
                                      a.liquidation_fees.e8 + a.insurance.e8);
    assert_true(a.margin_used.e8 >= 0 && a.wallet.e8 >= a.margin_used.e8 && a.available.e8 >= 0);
    int64_t isolated = 0;
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct simex_position p;
        simex_position_get(r->sx, s, &p);
        assert_int_equal(p.qty.e8, r->qty[s]);
        assert_int_equal(p.entry_cost.e8,
                         r->cash[s] + r->realized[s]); /* cash + position = fills */
        assert_true(p.isolated_wallet.e8 >= 0);
        if (p.qty.e8 == 0)
            assert_int_equal(p.entry_cost.e8 | p.isolated_wallet.e8, 0);
        else
            assert_true((p.qty.e8 > 0) == (p.entry_cost.e8 > 0) && simex_is_active(r->sx, s));
        isolated += p.isolated_wallet.e8;
    }
    assert_int_equal(isolated, a.margin_used.e8);
}

static void drive(struct run *r, int bars) {
    struct venue_event ev;
    for (int k = 0; k < bars; k++, r->open_ts += r->config.interval_ns) {
        begin_bars(r);
        int64_t n = between(&r->rng, 0, 8);
        for (int64_t i = 0; i < n; i++)
            submit_one(r, r->open_ts + between(&r->rng, 0, r->config.interval_ns - NS_PER_MINUTE));
        for (int piece = 1; piece <= r->chunks; piece++) {
            int64_t until = r->open_ts + r->config.interval_ns * piece / r->chunks - 1;
            while (simex_next(r->sx, until, &ev)) {
                assert_true(ev.ts_event_ns <= until);
                check_event(r, &ev);
                if (r->talks && rng_below(&r->rng, 8) == 0) submit_one(r, ev.ts_event_ns);
            }
        }
    }
}

static void test_invariants_hold_after_every_event(void **state) {
    (void)state;
    uint64_t seed = test_seed(), kinds[16] = {0};
    printf("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 12; i++) {
        struct run *r = malloc(sizeof *r);
        assert_non_null(r);
        run_prepare(r, seed + i);
        drive(r, BARS);
        for (int k = 0; k < 16; k++) kinds[k] += r->kinds[k];
        free(r->memory);
        free(r);
    }
    /* the streams must have been everywhere, or they prove nothing */
    for (int k = VENUE_ORDER_ACCEPTED; k <= VENUE_LIQUIDATION; k++) {
        printf("event %d: %llu\n", k, (unsigned long long)kinds[k]);
        assert_true(kinds[k] > 20);
    }
}

static void test_snapshot_is_a_memcpy(void **state) {
    (void)state;
    struct run *r = malloc(sizeof *r), *copy = malloc(sizeof *copy);
    assert_true(r && copy);
    run_prepare(r, test_seed() + 100);
    drive(r, 50);
    size_t size = simex_state_size(r->sx);
    *copy = *r;
    copy->memory = aligned_alloc(64, size);
    assert_non_null(copy->memory);
    memcpy(copy->memory, r->memory, size);
    copy->sx = copy->memory;
    drive(r, 50);
    memset(r->memory, 0xA5, size); /* the copy must not lean on the original */
    drive(copy, 50);
    assert_int_equal(copy->hash, r->hash);
    assert_int_equal(copy->order_count, r->order_count);
    free(r->memory);
    free(copy->memory);
    free(r);
    free(copy);
}

static void test_how_events_are_drawn_does_not_matter(void **state) {
    (void)state;
    uint64_t hash[2];
    for (int i = 0; i < 2; i++) {
        struct run *r = malloc(sizeof *r);
        assert_non_null(r);
        run_prepare(r, test_seed() + 200);
        r->talks = false;
        r->chunks = i ? 37 : 1;
        drive(r, BARS);
        hash[i] = r->hash;
        free(r->memory);
        free(r);
    }
    assert_int_equal(hash[0], hash[1]);
}

/* Golden: made by this program; the same for gcc and clang, -O0 and -O2. */
static void test_fingerprint(void **state) {
    (void)state;
    struct run *r = malloc(sizeof *r);
    assert_non_null(r);
    run_prepare(r, 7);
    drive(r, BARS);
    printf("fingerprint %016llx\n", (unsigned long long)r->hash);
    assert_int_equal(r->hash, UINT64_C(0x91b7841a3be54f49));
    free(r->memory);
    free(r);
}

/* ---- filters against a check on decimal text ---- */

static int decimals_of(int64_t e8) {
    char text[FX_TEXT_SIZE];
    fx_format(text, e8);
    const char *point = strchr(text, '.');
    return point ? (int)strlen(point + 1) : 0;
}

static int naive_code(const struct instrument *in, int64_t px, int64_t qty, bool buy, double mark) {
    double p = (double)px / 1e8, q = (double)qty / 1e8;
    if (p <= 0) return -4001;
    if (p > 4529764) return -4002;
    if (p < (double)in->px_min.e8 / 1e8) return -4013;
    if (decimals_of(px) > decimals_of(in->tick_size.e8)) return -4014;
    if (q <= 0) return -4003;
    if (q < (double)in->qty_min.e8 / 1e8) return -4004;
    if (q > 1000) return -4005;
    if (decimals_of(qty) > decimals_of(in->step_size.e8)) return -4023;
    if (buy && p > mark * 1.05 + 1e-9) return -4016;
    if (!buy && p < mark * 0.95 - 1e-9) return -4024;
    if (p * q < 5 - 1e-9) return -4164;
    return 0;
}

static void test_filters_agree_with_decimal_text(void **state) {
    (void)state;
    struct rng g = rng_init(test_seed());
    static const double ticks[] = {0.1, 0.01, 1, 0.001}, steps[] = {0.001, 1, 0.01, 0.1};
    int accepted = 0, refused = 0;
    for (int round = 0; round < 40; round++) {
        struct world w;
        world_prepare(&w);
        w.config.wallet_start.e8 = E8(1e9);
        w.config.leverage_default = 1;
        w.in[0].tick_size.e8 = w.in[0].px_min.e8 = E8(ticks[round % 4]);
        w.in[0].step_size.e8 = w.in[0].qty_min.e8 = E8(steps[round / 4 % 4]);
        w.in[0].market_step_size = w.in[0].step_size;
        world_start(&w);
        world_bar(&w, 1000, 1000, 1000, 1000);
        for (int i = 0; i < 200; i++) {
            static const int64_t grid[] = {1, 100000, 1000000, 10000000, 100000000};
            int64_t pg = grid[rng_below(&g, 5)], qg = grid[rng_below(&g, 5)];
            int64_t px = fx_snap_down(between(&g, E8(900), E8(1100)), pg);
            int64_t qty = fx_snap_down(between(&g, 0, E8(rng_below(&g, 2) ? 3 : 0.01)), qg);
            uint64_t odd = rng_below(&g, 12);
            if (odd == 0) px = between(&g, -5, 5);
            if (odd == 1) px = between(&g, E8(4529760), E8(4529770));
            if (odd == 2) qty = between(&g, E8(999), E8(1001));
            bool buy = rng_below(&g, 2);
            struct venue_command c =
                world_order(&w, 1, buy ? SIDE_BUY : SIDE_SELL, ORDER_LIMIT, 1, "f");
            c.limit_px.e8 = px;
            c.order_qty.e8 = qty;
            c.time_in_force = TIF_IOC; /* nothing stays */
            int code = world_code(&w, c);
            int naive = naive_code(&w.in[0], px, qty, buy, 1000);
            if (code == -2027 && naive == 0) naive = code; /* a position the test did not mean */
            assert_int_equal(code, naive);
            accepted += code == 0;
            refused += code != 0;
            struct venue_event ev;
            while (simex_next(w.sx, w.open_ts + 1, &ev)) {}
        }
        world_deinit(&w);
    }
    assert_true(accepted > 250 && refused > 250);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invariants_hold_after_every_event),
        cmocka_unit_test(test_snapshot_is_a_memcpy),
        cmocka_unit_test(test_how_events_are_drawn_does_not_matter),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_filters_agree_with_decimal_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
