/* The synthetic source on the real exchange core. */
#include <math.h>

#include "venue/market/test_market.h"

/* ---- determinism ---- */

static void run_in_pieces(struct fixture *f, int64_t until_ns, struct rng *rng) {
    while (f->now_ns < until_ns) {
        int64_t most = rng_below(rng, 4) == 0 ? 50 * NS_PER_SECOND : 20 * NS_PER_MS;
        int64_t next = f->now_ns + (int64_t)rng_below(rng, (uint64_t)most);
        fixture_advance(f, next < until_ns ? next : until_ns);
    }
}

static void how_time_is_cut_does_not_matter(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    struct rng rng = rng_init(seed);
    struct fixture *one = fixture_new(20, seed), *many = fixture_new(20, seed);
    fixture_open(one, NULL);
    fixture_open(many, NULL);
    int64_t end = TEST_START + 3 * NS_PER_MINUTE + 7;
    for (int64_t t = TEST_START; t < end; t += NS_PER_MINUTE) fixture_advance(one, t);
    fixture_advance(one, end);
    run_in_pieces(many, end, &rng);
    assert_true(one->inputs > 20 * 40 + 20 * 180);
    assert_int_equal(one->inputs, many->inputs);
    assert_true(one->hash == many->hash);
    assert_true(exchange_hash(one->ex) == exchange_hash(many->ex));
    fixture_free(one);
    fixture_free(many);
}

/* Taken from this program itself (gcc -O2): it holds compilers and levels of optimisation to the
 * same inputs. */
static void inputs_are_golden(void **state) {
    (void)state;
    struct fixture *f = fixture_new(12, 7);
    fixture_open(f, NULL);
    fixture_run(f, TEST_START + 2 * NS_PER_MINUTE);
    print_message("inputs %llu hash %016llx\n", (unsigned long long)f->inputs,
                  (unsigned long long)f->hash);
    assert_true(f->hash == UINT64_C(0x8e9b5a6bce9dcff0));
    fixture_free(f);
}

static void a_copy_goes_on_the_same(void **state) {
    (void)state;
    struct fixture *a = fixture_new(10, test_seed()), *b = test_block(sizeof *b);
    struct ticks_limits limits = {10, 200, 100, 10};
    fixture_open(a, &limits);
    uint32_t account = account_open(a, 100000);
    fixture_run(a, TEST_START + 100 * NS_PER_SECOND);
    order_place(a, account, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTX, prices_of(a, 0).bid.e8, 10000000);
    memcpy(b, a, sizeof *b);
    b->ex = test_block(exchange_size(&a->core));
    b->market = test_block(market_size(&a->config));
    b->ticks = test_block(ticks_size(&limits));
    memcpy(b->ex, a->ex, exchange_size(&a->core));
    memcpy(b->market, a->market, market_size(&a->config));
    memcpy(b->ticks, a->ticks, ticks_size(&limits));
    fixture_run(a, TEST_START + 400 * NS_PER_SECOND);
    fixture_run(b, TEST_START + 400 * NS_PER_SECOND);
    assert_true(a->hash == b->hash && a->inputs == b->inputs);
    assert_true(exchange_hash(a->ex) == exchange_hash(b->ex));
    assert_memory_equal(a->market, b->market, market_size(&a->config));
    assert_memory_equal(a->ticks, b->ticks, ticks_size(&limits));
    fixture_free(a);
    fixture_free(b);
}

/* ---- what is quoted and printed ---- */

struct quote_check {
    uint64_t moves; /* marks of quote times: one a contract and period */
    int64_t quote_ns;
    uint32_t quote_instrument;
};

static void check_filters(struct fixture *f, const struct exchange_input *in, int64_t ts_ns) {
    const struct instrument *rules = exchange_instrument(f->ex, in->instrument);
    struct exchange_prices p = prices_of(f, in->instrument);
    struct quote_check *check = f->context;
    if (in->kind == EXI_MARK) {
        assert_true(in->price.e8 > 0 && in->price2.e8 > 0);
        assert_true(llabs(in->price.e8 - in->price2.e8) < in->price2.e8 / 100);
    }
    if (in->kind != EXI_QUOTE && in->kind != EXI_PRINT) return;
    if (ts_ns != check->quote_ns || in->instrument != check->quote_instrument)
        check->moves += in->kind == EXI_QUOTE;
    check->quote_ns = ts_ns;
    check->quote_instrument = in->instrument;
    assert_int_equal(instrument_check_px(rules, in->price), FILTER_OK);
    if (in->kind == EXI_QUOTE && in->qty.e8 == 0) return;
    assert_int_equal(instrument_check_qty(rules, in->qty, false), FILTER_OK);
    if (in->kind == EXI_QUOTE)
        assert_int_equal(instrument_check_notional(rules, in->price, in->qty), FILTER_OK);
    if (in->kind == EXI_PRINT) {
        assert_true(p.bid.e8 == 0 || in->price.e8 >= p.bid.e8);
        assert_true(p.ask.e8 == 0 || in->price.e8 <= p.ask.e8);
    }
}

static void quotes_keep_to_the_filters_and_are_few(void **state) {
    (void)state;
    enum { N = MARKET_SYMBOLS_MAX };
    struct quote_check check = {0};
    struct fixture *f = fixture_new(N, test_seed());
    f->look = check_filters;
    f->context = &check;
    fixture_open(f, NULL);
    fixture_run(f, TEST_START + NS_PER_SECOND);
    uint64_t inputs = f->kinds[EXI_QUOTE], moves = check.moves;
    fixture_run(f, TEST_START + 61 * NS_PER_SECOND);
    assert_int_equal(f->refused, 0);
    double a_move = (double)(f->kinds[EXI_QUOTE] - inputs) / (240.0 * N);
    print_message("%.2f quotes a move; %.2f of moves change something\n", a_move,
                  (double)(check.moves - moves) / (240.0 * N));
    assert_true(a_move > 1 && a_move < 6);
    for (uint32_t i = 0; i < N; i++) {
        struct exchange_prices p = prices_of(f, i);
        struct exchange_level bids[32], asks[32];
        uint64_t sequence;
        assert_int_equal(exchange_depth(f->ex, i, SIDE_BUY, bids, 32, &sequence), 20);
        assert_int_equal(exchange_depth(f->ex, i, SIDE_SELL, asks, 32, &sequence), 20);
        assert_true(p.bid.e8 < p.ask.e8);
        double spread = (double)(p.ask.e8 - p.bid.e8) / (double)p.bid.e8;
        assert_true(spread < 0.00016 || p.ask.e8 - p.bid.e8 == f->instruments[i].tick_size.e8);
        for (int k = 0; k < 20; k++) {
            double notional = (double)bids[k].px.e8 * (double)bids[k].qty.e8 / 1e16;
            assert_true(notional > 17000 && notional < 201000);
        }
        /* The index was between bid and ask when the quotes moved last, and moves one step each. */
        assert_true(llabs(p.index.e8 - p.bid.e8) < p.bid.e8 / 500);
    }
    /* Poisson: 400 contracts, 61 s, one a second; five standard errors. */
    double prints = (double)f->kinds[EXI_PRINT];
    assert_true(fabs(prints - N * 61) < 5 * sqrt(N * 61.0));
    assert_int_equal(f->kinds[EXI_MARK], N * 61 + (uint64_t)N - 1 + 1);
    fixture_free(f);
}

static void trades_come_from_both_sides(void **state) {
    (void)state;
    struct fixture *f = fixture_new(4, test_seed());
    struct ticks_limits limits = {4, 200, 100, 10};
    f->config.trades_per_s = 20;
    fixture_open(f, &limits);
    fixture_run(f, TEST_START + 10 * NS_PER_MINUTE);
    for (uint32_t i = 0; i < 4; i++) {
        struct tick_bar bar[20];
        uint32_t n = ticks_bars(f->ticks, TICKS_LAST, i, 0, 0, INT64_MAX, bar, 20);
        assert_int_equal(n, 11);
        for (uint32_t k = 0; k < 10; k++) {
            double share = (double)bar[k].taker_quote.e8 / (double)bar[k].quote.e8;
            assert_true(share > 0.1 && share < 0.9 && bar[k].count > 900);
            double mean = (double)bar[k].quote.e8 / 1e8 / bar[k].count;
            assert_true(mean > 700 && mean < 2500);
        }
    }
    fixture_free(f);
}

/* ---- the path ---- */

enum { PATHS = 30, MINUTES = 240 };

static void the_path_has_the_volatility_asked_for(void **state) {
    (void)state;
    static double px[PATHS][MINUTES + 1];
    struct fixture *f = fixture_new(PATHS, test_seed());
    f->config.volatility_day = 0.06;
    f->config.levels = 1;
    f->config.trades_per_s = 0;
    fixture_open(f, NULL);
    fixture_advance(f, TEST_START);
    for (int t = 0; t <= MINUTES; t++) {
        fixture_run(f, TEST_START + t * NS_PER_MINUTE);
        for (uint32_t i = 0; i < PATHS; i++) px[i][t] = px_to_f64(prices_of(f, i).index);
    }
    double square = 0, common = 0, sum = 0, lag = 0, each = 0.06 * sqrt(1.0 / 1440);
    double before[PATHS] = {0};
    for (int t = 1; t <= MINUTES; t++) {
        double all = 0, own = 0;
        for (int i = 0; i < PATHS; i++) {
            double r = log(px[i][t] / px[i][t - 1]) / each;
            all += r;
            own += r * r;
            lag += r * before[i];
            before[i] = r;
        }
        sum += all;
        square += own;
        common += (all * all - own) / (PATHS * (PATHS - 1.0));
    }
    double n = PATHS * (double)MINUTES;
    print_message("variance %.3f, correlation %.3f, lag %.3f\n", square / n, common / MINUTES,
                  lag / n);
    /* With a correlation of 0.3, n returns say as much of a variance as n / (1 + 29 * 0.09)
     * independent ones. */
    assert_true(fabs(square / n - 1) < 5 * sqrt(2 * 3.6 / n));
    assert_true(fabs(common / MINUTES - 0.3) < 5 * 0.5 * sqrt(2.0 / MINUTES));
    assert_true(fabs(sum / n) < 5 * sqrt(9.7 / n));
    assert_true(fabs(lag / n) < 5 * sqrt(3.6 / n));
    fixture_free(f);
}

/* With lead 1 a contract goes half a minute's deviation a minute the way its phase says; without, no way. */
static double drift_of(double lead, uint64_t seed) {
    struct fixture *f = fixture_new(PATHS, seed);
    double sum = 0, weight = 0, each = 0.06 * sqrt(1.0 / 1440), before[PATHS] = {0};
    f->config.volatility_day = 0.06;
    f->config.levels = 1;
    f->config.trades_per_s = 0;
    f->config.lead = lead;
    fixture_open(f, NULL);
    fixture_advance(f, TEST_START);
    for (int t = 0; t <= MINUTES; t++) {
        int64_t ts = TEST_START + t * NS_PER_MINUTE;
        fixture_run(f, ts);
        for (uint32_t i = 0; i < PATHS; i++) {
            int phase = market_phase(f->config.seed, i, ts - NS_PER_SECOND);
            double now = log(px_to_f64(prices_of(f, i).index));
            if (t > 0) {
                sum += phase * (now - before[i]) / each;
                weight += phase * phase;
            }
            before[i] = now;
        }
    }
    fixture_free(f);
    return sum / weight;
}

static void takers_lead_as_far_as_asked(void **state) {
    (void)state;
    double with = drift_of(1, test_seed()), without = drift_of(0, test_seed());
    print_message("drift along the phase: %.3f with lead 1, %.3f without\n", with, without);
    assert_true(fabs(with - 0.5) < 0.15);
    assert_true(fabs(without) < 0.15);
}

static void a_shock_moves_the_price_at_once(void **state) {
    (void)state;
    struct fixture *f = fixture_new(3, test_seed());
    fixture_open(f, NULL);
    fixture_run(f, TEST_START + 10 * NS_PER_SECOND);
    struct exchange_prices before = prices_of(f, 1), other = prices_of(f, 2);
    market_shock(f->market, f->ex, 1, -100000);
    fixture_run(f, TEST_START + 12 * NS_PER_SECOND);
    struct exchange_prices after = prices_of(f, 1);
    double fell = px_to_f64(after.index) / px_to_f64(before.index) - 1;
    assert_true(fabs(fell + 0.1) < 0.01);
    assert_true(after.bid.e8 < before.bid.e8 * 92 / 100 && after.ask.e8 > after.bid.e8);
    double stood = px_to_f64(prices_of(f, 2).index) / px_to_f64(other.index) - 1;
    assert_true(fabs(stood) < 0.01);
    fixture_free(f);
}

static void a_gap_is_jumped(void **state) {
    (void)state;
    enum { N = 8, JUMPS = 400 };
    struct fixture *f = fixture_new(N, test_seed());
    f->config.levels = 3;
    fixture_open(f, NULL);
    fixture_advance(f, TEST_START);
    double square = 0, px[N];
    for (uint32_t i = 0; i < N; i++) px[i] = px_to_f64(prices_of(f, i).index);
    for (int k = 1; k <= JUMPS; k++) {
        uint64_t marks = f->kinds[EXI_MARK], prints = f->kinds[EXI_PRINT];
        fixture_advance(f, f->now_ns + 2 * NS_PER_HOUR);
        assert_int_equal(f->kinds[EXI_MARK], marks + N);
        assert_int_equal(f->kinds[EXI_PRINT], prints);
        for (uint32_t i = 0; i < N; i++) {
            struct exchange_prices p = prices_of(f, i);
            assert_true(p.bid.e8 <= p.index.e8 + f->instruments[i].tick_size.e8);
            assert_true(p.index.e8 <= p.ask.e8);
            double r = log(px_to_f64(p.index) / px[i]) / (0.04 * sqrt(2.0 / 24));
            square += r * r;
            px[i] = px_to_f64(p.index);
        }
    }
    /* Eight contracts, correlation 0.3: as many as 8 / (1 + 7 * 0.09) = 4.9 a jump. */
    assert_true(fabs(square / (N * JUMPS) - 1) < 5 * sqrt(2 / (4.9 * JUMPS)));
    assert_int_equal(f->refused, 0);
    fixture_free(f);
}

/* ---- funding ---- */

struct funding_log {
    int64_t ts_ns[2000];
    uint32_t instrument[2000];
    rate_t rate[2000];
    int count;
};

static void note_funding(struct fixture *f, const struct exchange_input *in, int64_t ts_ns) {
    struct funding_log *log = f->context;
    if (in->kind != EXI_FUNDING) return;
    assert_true(log->count < 2000);
    log->ts_ns[log->count] = ts_ns;
    log->instrument[log->count] = in->instrument;
    log->rate[log->count++] = in->rate;
}

static void missed_fundings_are_settled_at_their_times(void **state) {
    (void)state;
    static struct funding_log log;
    struct fixture *f = fixture_new(12, test_seed()); /* SYN011USDT settles each 4 h */
    memset(&log, 0, sizeof log);
    f->look = note_funding;
    f->context = &log;
    f->config.funding_count_max = 5;
    fixture_open(f, NULL);
    assert_int_equal(f->instruments[10].funding_interval_ns, 4 * NS_PER_HOUR);
    assert_int_equal(f->instruments[11].funding_interval_ns, 8 * NS_PER_HOUR);
    fixture_advance(f, TEST_START);
    fixture_advance(f,
                    TEST_START + NS_PER_DAY); /* 08 16 00, and 08 12 16 20 00 04 less the oldest */
    assert_int_equal(log.count, 11 * 3 + 5);
    int64_t day = TEST_START / NS_PER_DAY * NS_PER_DAY;
    for (int k = 0; k < log.count; k++) {
        assert_int_equal(log.ts_ns[k] % f->instruments[log.instrument[k]].funding_interval_ns, 0);
        if (k) assert_true(log.ts_ns[k] >= log.ts_ns[k - 1]);
    }
    assert_int_equal(log.ts_ns[0], day + 8 * NS_PER_HOUR);
    assert_int_equal(log.ts_ns[11], day + 12 * NS_PER_HOUR);
    assert_int_equal(log.ts_ns[log.count - 1], day + 28 * NS_PER_HOUR);
    rate_t rate;
    int64_t next;
    market_funding_rate_get(f->market, 10, &rate, &next);
    assert_int_equal(next, day + 32 * NS_PER_HOUR);
    /* Without a sample: interest alone, half of it for half the period. */
    assert_int_equal(log.rate[log.count - 1].e8, 5000);
    fixture_free(f);
}

/* By hand from binance-usdm §9.7. */
static void the_rate_follows_the_formula(void **state) {
    (void)state;
    const struct {
        int64_t premium, hours, cap, rate;
    } rows[] = {
        {0, 8, 300000, 10000},          /* 0 + 0.01 % */
        {30000, 8, 300000, 10000},      /* 0.03 % - 0.02 % */
        {60000, 8, 300000, 10000},      /* 0.06 % - 0.05 %: the damper's end */
        {61000, 8, 300000, 11000},      /* beyond it */
        {-40000, 8, 300000, 10000},     /* -0.04 % + 0.05 % */
        {-41000, 8, 300000, 9000},      /* -0.041 % + 0.05 % */
        {200000, 8, 300000, 150000},    /* 0.2 % - 0.05 % */
        {200000, 4, 300000, 75000},     /* half the period, half the rate */
        {200000, 1, 300000, 18750},     /* an eighth */
        {-200000, 8, 300000, -150000},  /* -0.2 % + 0.05 % */
        {1000000, 8, 300000, 300000},   /* 0.95 %, capped */
        {-1000000, 8, 300000, -300000}, /* floored */
        {-1000000, 2, 375000, -237500}, /* 0.95 % / 4 */
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        assert_int_equal(market_funding_rate(rate_e8(rows[k].premium), rows[k].hours * NS_PER_HOUR,
                                             rate_e8(rows[k].cap))
                             .e8,
                         rows[k].rate);
    struct instrument in[1];
    px_t px[1];
    market_symbols_default(in, px, 1);
    assert_int_equal(market_funding_cap(&in[0]).e8, 300000); /* BTCUSDT: 0.3 % */
}

/* ---- users ---- */

static void look_out_for_users(struct fixture *f, const struct exchange_input *in, int64_t ts_ns) {
    (void)ts_ns;
    if (in->kind != EXI_PRINT) return;
    struct exchange_order order[16];
    uint32_t n = exchange_open_orders(f->ex, 1, in->instrument, order, 16);
    for (uint32_t k = 0; k < n; k++) {
        bool buys = order[k].side == SIDE_BUY;
        if (buys ? in->price.e8 < order[k].price.e8 : in->price.e8 > order[k].price.e8)
            fail_msg("printed through a user's order");
        /* Alone at the touch: a taker would have met nobody else. */
        struct exchange_prices p = prices_of(f, in->instrument);
        bool alone = buys ? p.bid.e8 == order[k].price.e8 &&
                                p.bid_qty.e8 == order[k].orig_qty.e8 - order[k].cum_qty.e8
                          : p.ask.e8 == order[k].price.e8 &&
                                p.ask_qty.e8 == order[k].orig_qty.e8 - order[k].cum_qty.e8;
        if (alone && in->price.e8 == order[k].price.e8 && in->side != order[k].side)
            fail_msg("printed past a user's order that stood alone");
    }
}

static void post_only_at_the_touch_fills(void **state) {
    (void)state;
    enum { N = 20 };
    struct fixture *f = fixture_new(N, test_seed());
    fixture_open(f, NULL);
    uint32_t account = account_open(f, 1000000);
    assert_int_equal(account, 1);
    f->look = look_out_for_users;
    f->config.trades_per_s = 1;
    fixture_run(f, TEST_START + 5 * NS_PER_SECOND);
    uint32_t filled = 0, orders = 0;
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < N; i++) {
            struct exchange_prices p = prices_of(f, i);
            enum side side = (round + (int)i) % 2 ? SIDE_BUY : SIDE_SELL;
            int64_t px = side == SIDE_BUY ? p.bid.e8 : p.ask.e8;
            order_place(f, account, i, side, ORDER_LIMIT, TIF_GTX, px, lots_of(f, i, px, 500));
            orders++;
        }
        fixture_run(f, f->now_ns + 30 * NS_PER_SECOND);
        for (uint32_t i = 0; i < N; i++) {
            struct exchange_order order[4];
            filled += exchange_open_orders(f->ex, account, i, order, 4) == 0;
            order_cancel_all(f, account, i);
        }
        assert_conserved(f);
    }
    print_message("%u of %u filled within half a minute\n", filled, orders);
    /* A walk at the touch leaves it behind about as often as it comes through; the flow takes some
     * on the way. */
    assert_true(filled > orders * 6 / 10 && filled < orders);
    fixture_free(f);
}

/* While the path stands, whoever is inside the spread meets the next seller. */
static void inside_the_spread_fills(void **state) {
    (void)state;
    struct fixture *f = fixture_new(1, test_seed());
    f->config.volatility_day = 0.0001;
    fixture_open(f, NULL);
    uint32_t account = account_open(f, 1000000);
    f->look = look_out_for_users;
    int filled = 0;
    for (int k = 0; k < 30; k++) {
        fixture_run(f, f->now_ns + NS_PER_SECOND);
        struct exchange_prices p = prices_of(f, 0);
        int64_t tick = f->instruments[0].tick_size.e8;
        assert_true(p.ask.e8 - p.bid.e8 > 2 * tick);
        order_place(f, account, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTX, p.ask.e8 - tick,
                    lots_of(f, 0, p.ask.e8, 500));
        struct exchange_order order[2];
        fixture_run(f, f->now_ns + 30 * NS_PER_SECOND);
        /* Or the house has come to bid more. */
        if (exchange_open_orders(f->ex, account, 0, order, 2) == 0)
            filled++;
        else
            assert_true(prices_of(f, 0).bid.e8 > order[0].price.e8);
        order_cancel_all(f, account, 0);
    }
    assert_true(filled >= 24);
    assert_int_equal(f->refused, 0);
    fixture_free(f);
}

static void look_behind_the_path(struct fixture *f, const struct exchange_input *in,
                                 int64_t ts_ns) {
    (void)ts_ns;
    if (in->kind != EXI_MARK) return;
    struct exchange_order order[64];
    uint32_t n = exchange_open_orders(f->ex, 1, in->instrument, order, 64);
    /* Mark is taken up to a quote period after the quotes; the path then stands where they left it. */
    for (uint32_t k = 0; k < n; k++)
        if (order[k].side == SIDE_BUY ? order[k].price.e8 > in->price2.e8 + 100
                                      : order[k].price.e8 < in->price2.e8 - 100)
            fail_msg("an order behind the path was left standing");
}

static void orders_the_path_goes_through_are_filled(void **state) {
    (void)state;
    enum { N = 10, STEPS = 12 };
    struct fixture *f = fixture_new(N, test_seed());
    f->config.volatility_day = 0.5;
    fixture_open(f, NULL);
    uint32_t account = account_open(f, 10000000);
    f->look = look_behind_the_path;
    fixture_run(f, TEST_START + NS_PER_SECOND);
    uint32_t orders = 0, left = 0;
    for (uint32_t i = 0; i < N; i++)
        for (int64_t k = 1; k <= STEPS; k++) {
            struct exchange_prices p = prices_of(f, i);
            int64_t tick = f->instruments[i].tick_size.e8;
            int64_t low = fx_snap_down(p.bid.e8 - p.bid.e8 / 800 * k, tick);
            int64_t high = fx_snap_up(p.ask.e8 + p.ask.e8 / 800 * k, tick);
            order_place(f, account, i, SIDE_BUY, ORDER_LIMIT, TIF_GTC, low,
                        lots_of(f, i, low, 3000));
            order_place(f, account, i, SIDE_SELL, ORDER_LIMIT, TIF_GTC, high,
                        lots_of(f, i, high, 3000));
            orders += 2;
        }
    fixture_run(f, TEST_START + 10 * NS_PER_MINUTE);
    for (uint32_t i = 0; i < N; i++) {
        struct exchange_order order[64];
        left += exchange_open_orders(f->ex, account, i, order, 64);
    }
    assert_true(left < orders - 50);
    assert_conserved(f);
    fixture_free(f);
}

/* What users take comes back with the next move. */
static void the_ladder_heals(void **state) {
    (void)state;
    struct fixture *f = fixture_new(1, test_seed());
    f->config.volatility_day = 0.0001; /* the path hardly moves */
    fixture_open(f, NULL);
    uint32_t account = account_open(f, 100000000);
    fixture_run(f, TEST_START + NS_PER_SECOND);
    struct exchange_level before[20], after[20];
    uint64_t sequence;
    exchange_depth(f->ex, 0, SIDE_SELL, before, 20, &sequence);
    order_place(f, account, 0, SIDE_BUY, ORDER_LIMIT, TIF_IOC, before[3].px.e8,
                before[0].qty.e8 + before[1].qty.e8 + before[2].qty.e8 + 100000);
    assert_int_equal(prices_of(f, 0).ask.e8, before[3].px.e8);
    fixture_run(f, TEST_START + 2 * NS_PER_SECOND);
    assert_int_equal(exchange_depth(f->ex, 0, SIDE_SELL, after, 20, &sequence), 20);
    assert_int_equal(after[0].px.e8, before[0].px.e8);
    assert_int_equal(after[19].px.e8, before[19].px.e8);
    assert_conserved(f);
    fixture_free(f);
}

static void a_stale_contract_stands_still(void **state) {
    (void)state;
    struct fixture *f = fixture_new(2, test_seed());
    fixture_open(f, NULL);
    fixture_run(f, TEST_START + 3 * NS_PER_SECOND);
    uint64_t stood = prices_of(f, 0).book_sequence, moved = prices_of(f, 1).book_sequence;
    uint64_t trade = prices_of(f, 0).last_trade_id;
    int64_t index = prices_of(f, 0).index.e8;
    market_stale_set(f->market, 0, true);
    fixture_run(f, TEST_START + 63 * NS_PER_SECOND);
    assert_int_equal(prices_of(f, 0).book_sequence, stood);
    assert_int_equal(prices_of(f, 0).last_trade_id, trade);
    assert_true(prices_of(f, 1).book_sequence > moved + 100);
    assert_true(prices_of(f, 0).index.e8 != index);
    market_stale_set(f->market, 0, false);
    fixture_run(f, TEST_START + 65 * NS_PER_SECOND);
    struct exchange_prices p = prices_of(f, 0);
    assert_true(p.book_sequence > stood && p.bid.e8 < p.ask.e8);
    assert_int_equal(f->refused, 0);
    fixture_free(f);
}

/* The operator changes tick and step: the old quotes go, the new ones keep to the new rules. */
static void new_filters_are_kept_to(void **state) {
    (void)state;
    struct quote_check check = {0};
    struct fixture *f = fixture_new(1, test_seed());
    fixture_open(f, NULL);
    fixture_run(f, TEST_START + 10 * NS_PER_SECOND);
    struct instrument rules = f->instruments[0];
    rules.tick_size.e8 = rules.px_min.e8 = 50 * FX_ONE / 10;
    rules.step_size.e8 = rules.qty_min.e8 = FX_ONE / 100;
    exchange_set_instrument(f->ex, 0, &rules);
    struct exchange_input in = {.kind = EXI_FILTERS};
    fixture_step(f, &in, f->now_ns);
    fixture_run(f, TEST_START + 11 * NS_PER_SECOND);
    f->look = check_filters;
    f->context = &check;
    fixture_run(f, TEST_START + 40 * NS_PER_SECOND);
    struct exchange_level level[64];
    uint64_t sequence;
    for (int side = SIDE_BUY; side <= SIDE_SELL; side++) {
        uint32_t n = exchange_depth(f->ex, 0, (enum side)side, level, 64, &sequence);
        assert_int_equal(n, 20);
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(instrument_check_px(&rules, level[k].px), FILTER_OK);
    }
    assert_int_equal(f->refused, 0);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_time_is_cut_does_not_matter),
        cmocka_unit_test(inputs_are_golden),
        cmocka_unit_test(a_copy_goes_on_the_same),
        cmocka_unit_test(quotes_keep_to_the_filters_and_are_few),
        cmocka_unit_test(trades_come_from_both_sides),
        cmocka_unit_test(the_path_has_the_volatility_asked_for),
        cmocka_unit_test(takers_lead_as_far_as_asked),
        cmocka_unit_test(a_shock_moves_the_price_at_once),
        cmocka_unit_test(a_gap_is_jumped),
        cmocka_unit_test(missed_fundings_are_settled_at_their_times),
        cmocka_unit_test(the_rate_follows_the_formula),
        cmocka_unit_test(post_only_at_the_touch_fills),
        cmocka_unit_test(inside_the_spread_fills),
        cmocka_unit_test(orders_the_path_goes_through_are_filled),
        cmocka_unit_test(the_ladder_heals),
        cmocka_unit_test(a_stale_contract_stands_still),
        cmocka_unit_test(new_filters_are_kept_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
