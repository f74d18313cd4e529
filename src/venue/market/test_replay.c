/* Bars and recorded trades replayed, the book that is only its users', and a day of each kind with
 * money counted. */
#include <math.h>

#include "venue/market/test_market.h"

/* ---- candles ---- */

enum { BARS = 40 };

static int64_t ticks_px(const struct instrument *in, int64_t px) {
    return fx_snap_nearest(px, in->tick_size.e8);
}

/* Bars on the grid, moving 0.1 % each, of anything from no lot to thousands. */
static void bars_make(const struct instrument *in, px_t start, int64_t first_ns, struct rng *rng,
                      struct bar *out) {
    double level = px_to_f64(start);
    for (int k = 0; k < BARS; k++) {
        double a = (rng_f64(rng) - 0.5) * 0.002, up = rng_f64(rng) * 0.001,
               down = rng_f64(rng) * 0.001;
        struct bar *b = &out[k];
        *b = (struct bar){.open_ts_ns = first_ns + k * NS_PER_MINUTE, .quote_volume = NAN};
        b->open.e8 = ticks_px(in, fx_from_f64(level));
        b->close.e8 = ticks_px(in, fx_from_f64(level * (1 + a)));
        b->high.e8 = ticks_px(in, (int64_t)((double)(a > 0 ? b->close.e8 : b->open.e8) * (1 + up)));
        b->low.e8 =
            ticks_px(in, (int64_t)((double)(a > 0 ? b->open.e8 : b->close.e8) * (1 - down)));
        int64_t lots = (int64_t)rng_below(rng, k % 4 == 0 ? 6 : 5000);
        b->volume = (double)(lots * in->step_size.e8) / 1e8;
        b->taker_buy_ratio = k % 3 == 0 ? NAN : (float)rng_f64(rng);
        b->trade_count = BAR_COUNT_UNKNOWN;
        level *= 1 + a * 1.1; /* opens are not always where the last close was */
    }
}

static void feed_bars(struct fixture *f, uint32_t i, const struct bar *bars, int *next) {
    while (*next < BARS && market_hungry(f->market, i) > 0)
        assert_int_equal(market_bar(f->market, i, &bars[(*next)++]), ST_OK);
}

static void replayed_bars_come_out_again(void **state) {
    (void)state;
    enum { N = 4 };
    static struct bar bars[N][BARS];
    struct fixture *f = fixture_new(N, test_seed());
    struct rng rng = rng_init(f->config.seed);
    struct ticks_limits limits = {N, 200, 1000, 10};
    int next[N] = {0};
    f->config.source = MARKET_CANDLES;
    f->config.start_px = NULL;
    fixture_open(f, &limits);
    for (uint32_t i = 0; i < N; i++)
        bars_make(&f->instruments[i], f->start_px[i], TEST_START + NS_PER_MINUTE, &rng, bars[i]);
    assert_int_equal(market_hungry(f->market, 0), 4);
    fixture_run(f, TEST_START + 30 * NS_PER_SECOND);
    assert_int_equal(f->inputs, 0); /* nothing is known yet */
    for (int t = 0; t < (BARS + 2) * 6; t++) {
        for (uint32_t i = 0; i < N; i++) feed_bars(f, i, bars[i], &next[i]);
        fixture_run(f, f->now_ns + 10 * NS_PER_SECOND);
    }
    for (uint32_t i = 0; i < N; i++) {
        struct tick_bar out[BARS + 4];
        uint32_t n = ticks_bars(f->ticks, TICKS_LAST, i, 0, 0, INT64_MAX, out, BARS + 4), at = 0;
        for (int k = 0; k < BARS; k++) {
            const struct bar *b = &bars[i][k];
            while (at < n && out[at].open_ns < b->open_ts_ns) at++;
            if (at == n || out[at].open_ns > b->open_ts_ns) {
                assert_true(k == 0 && b->volume == 0.0); /* nothing was printed before it */
                continue;
            }
            int64_t lots =
                (int64_t)nearbyint(b->volume * 1e8 / (double)f->instruments[i].step_size.e8);
            assert_int_equal(out[at].volume.e8, lots * f->instruments[i].step_size.e8);
            assert_true(out[at].count <= 19);
            if (lots < 4) continue;
            assert_int_equal(out[at].open.e8, b->open.e8);
            assert_int_equal(out[at].high.e8, b->high.e8);
            assert_int_equal(out[at].low.e8, b->low.e8);
            assert_int_equal(out[at].close.e8, b->close.e8);
            double share = (double)out[at].taker_volume.e8 / (double)out[at].volume.e8;
            if (lots >= 190 && !isnan(b->taker_buy_ratio))
                assert_true(fabs(share - (double)b->taker_buy_ratio) < 1.05 / 19);
        }
    }
    assert_int_equal(f->refused, 0);
    fixture_free(f);
}

/* A buy order at the low of a bar is filled there, the one a tick below is not. */
static void an_order_at_the_low_is_filled(void **state) {
    (void)state;
    struct fixture *f = fixture_new(1, test_seed());
    const struct instrument *in = &f->instruments[0];
    f->config.source = MARKET_CANDLES;
    fixture_open(f, NULL);
    uint32_t account = account_open(f, 1000000);
    int64_t px = f->start_px[0].e8, low = ticks_px(in, px - px / 200);
    struct bar bar = {.open_ts_ns = TEST_START + NS_PER_MINUTE,
                      .open = {px},
                      .high = {ticks_px(in, px + px / 1000)},
                      .low = {low},
                      .close = {px},
                      .volume = 100,
                      .taker_buy_ratio = NAN};
    assert_int_equal(market_bar(f->market, 0, &bar), ST_OK);
    assert_int_equal(market_bar(f->market, 0, &bar), ST_INVALID); /* not ascending */
    bar.low.e8 = bar.high.e8 + 1;
    bar.open_ts_ns += NS_PER_MINUTE;
    assert_int_equal(market_bar(f->market, 0, &bar), ST_INVALID); /* not possible */
    fixture_run(f, TEST_START + 30 * NS_PER_SECOND);
    order_place(f, account, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTX, low, 10000000);
    order_place(f, account, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTX, low - in->tick_size.e8, 10000000);
    fixture_run(f, TEST_START + 2 * NS_PER_MINUTE);
    struct exchange_order left[4];
    assert_int_equal(exchange_open_orders(f->ex, account, 0, left, 4), 1);
    assert_int_equal(left[0].price.e8, low - in->tick_size.e8);
    assert_int_equal(left[0].cum_qty.e8, 0);
    assert_conserved(f);
    fixture_free(f);
}

static void a_queue_that_is_full_says_so(void **state) {
    (void)state;
    struct fixture *f = fixture_new(1, 1);
    f->config.source = MARKET_CANDLES;
    fixture_open(f, NULL);
    struct bar bar = {.open = {FX_ONE}, .high = {FX_ONE}, .low = {FX_ONE}, .close = {FX_ONE}};
    for (int k = 0; k < 4; k++) {
        bar.open_ts_ns = TEST_START + k * NS_PER_MINUTE;
        assert_int_equal(market_bar(f->market, 0, &bar), ST_OK);
    }
    bar.open_ts_ns += NS_PER_MINUTE;
    assert_int_equal(market_bar(f->market, 0, &bar), ST_FULL);
    struct market_trade trade = {.ts_ns = TEST_START, .px = {FX_ONE}, .qty = {FX_ONE}};
    assert_int_equal(market_trade(f->market, 0, &trade), ST_INVALID);
    fixture_free(f);
}

/* ---- recorded trades ---- */

static void recorded_trades_come_out_again(void **state) {
    (void)state;
    enum { TRADES = 900 };
    static struct market_trade trades[TRADES];
    static struct tick_trade out[TRADES + 10];
    struct fixture *f = fixture_new(2, test_seed());
    struct rng rng = rng_init(f->config.seed);
    struct ticks_limits limits = {2, 200, 1000, 10};
    f->config.source = MARKET_TRADES;
    f->config.start_px = NULL;
    fixture_open(f, &limits);
    int64_t px = f->start_px[0].e8, ts = TEST_START + NS_PER_SECOND;
    for (int k = 0; k < TRADES; k++) {
        px += ((int64_t)rng_below(&rng, 41) - 20) * f->instruments[0].tick_size.e8;
        ts += (int64_t)rng_below(&rng, (uint64_t)(k % 10 ? NS_PER_MS : 2 * NS_PER_SECOND));
        trades[k] = (struct market_trade){.ts_ns = ts,
                                          .px = {px},
                                          .qty = {(1 + (int64_t)rng_below(&rng, 900)) * 100000},
                                          .buyer_is_maker = rng_below(&rng, 2) == 0};
    }
    for (int k = 0; k < TRADES;) {
        while (k < TRADES && market_hungry(f->market, 0) > 0)
            assert_int_equal(market_trade(f->market, 0, &trades[k++]), ST_OK);
        int64_t until = k < TRADES ? trades[k - 1].ts_ns - 1 : ts + NS_PER_SECOND;
        fixture_run(f, until > f->now_ns ? until : f->now_ns + 1);
    }
    assert_int_equal(ticks_trades(f->ticks, 0, false, 0, 0, INT64_MAX, out, TRADES + 10), TRADES);
    for (int k = 0; k < TRADES; k++) {
        assert_int_equal(out[k].ts_ns, trades[k].ts_ns);
        assert_int_equal(out[k].px.e8, trades[k].px.e8);
        assert_int_equal(out[k].qty.e8, trades[k].qty.e8);
        assert_int_equal(out[k].buyer_is_maker, trades[k].buyer_is_maker);
    }
    assert_int_equal(f->refused, 0);
    fixture_free(f);
}

/* ---- pure ---- */

/* §9.7 again, in floating point and from the book as anybody sees it. */
struct premium_twin {
    double sum, weight;
    int marks;
};

static double impact(const struct fixture *f, enum side side, double notional) {
    struct exchange_level level[100];
    uint64_t sequence;
    uint32_t n = exchange_depth(f->ex, 0, side, level, 100, &sequence);
    double spent = 0, base = 0;
    for (uint32_t k = 0; k < n && spent < notional; k++) {
        double px = px_to_f64(level[k].px), qty = qty_to_f64(level[k].qty);
        if (px * qty > notional - spent) qty = (notional - spent) / px;
        spent += px * qty;
        base += qty;
    }
    return base > 0 ? spent / base : 0;
}

static void twin_premium(struct fixture *f, const struct exchange_input *in, int64_t ts_ns) {
    (void)ts_ns;
    struct premium_twin *twin = f->context;
    if (in->kind != EXI_MARK || twin->marks++ % 5 != 0) return;
    double index = px_to_f64(in->price2), bid = impact(f, SIDE_BUY, 200.0 * 150);
    double ask = impact(f, SIDE_SELL, 200.0 * 150);
    double over = fmax(0, bid - index) - (ask > 0 ? fmax(0, index - ask) : 0);
    double n = twin->weight + 1;
    twin->weight = n;
    twin->sum += n * over / index;
}

static void without_a_source_the_book_leads(void **state) {
    (void)state;
    struct premium_twin twin = {0};
    struct fixture *f = fixture_new(1, 1);
    f->config.source = MARKET_PURE;
    f->look = twin_premium;
    f->context = &twin;
    fixture_open(f, NULL);
    uint32_t one = account_open(f, 10000000), two = account_open(f, 10000000);
    fixture_run(f, TEST_START + 5 * NS_PER_SECOND);
    int64_t start = f->start_px[0].e8;
    assert_int_equal(prices_of(f, 0).mark.e8, start); /* nothing else to go by */
    order_place(f, one, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTC, start + 200 * FX_ONE, 20000000);
    fixture_run(f, f->now_ns + 2 * NS_PER_SECOND);
    assert_int_equal(prices_of(f, 0).mark.e8, start); /* one side makes no price */
    order_place(f, one, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTC, start + 150 * FX_ONE, 20000000);
    order_place(f, one, 0, SIDE_BUY, ORDER_LIMIT, TIF_GTC, start + 50 * FX_ONE, 20000000);
    order_place(f, two, 0, SIDE_SELL, ORDER_LIMIT, TIF_GTC, start + 300 * FX_ONE, 20000000);
    fixture_run(f, f->now_ns + 60 * NS_PER_SECOND);
    struct exchange_prices p = prices_of(f, 0);
    assert_int_equal(p.mark.e8, start + 250 * FX_ONE);
    /* 60 steps of a 600th of what is left: 250 (1 - (599/600)^60) = 23.8. */
    assert_true(fabs(px_to_f64(px_e8(p.index.e8 - start)) - 23.8) < 0.5);
    order_place(f, two, 0, SIDE_SELL, ORDER_LIMIT, TIF_IOC, start + 200 * FX_ONE, 5000000);
    order_cancel_all(f, one, 0);
    order_cancel_all(f, two, 0);
    fixture_run(f, f->now_ns + 2 * NS_PER_SECOND);
    assert_int_equal(prices_of(f, 0).mark.e8, start + 200 * FX_ONE); /* last */
    assert_int_equal(f->kinds[EXI_QUOTE] + f->kinds[EXI_PRINT], 0);
    rate_t rate;
    int64_t next;
    market_funding_rate_get(f->market, 0, &rate, &next);
    double premium = twin.sum / (twin.weight * (twin.weight + 1) / 2);
    double expect = premium + fmin(fmax(0.0001 - premium, -0.0005), 0.0005);
    assert_true(premium > 0.0015);
    assert_true(fabs(expect - (double)rate.e8 / 1e8) < 3e-8);
    assert_int_equal(next, TEST_START / (8 * NS_PER_HOUR) * 8 * NS_PER_HOUR + 8 * NS_PER_HOUR);
    fixture_free(f);
}

/* ---- a day, with money counted ---- */

/* Users who come and go at random; margin runs out for some. */
static void act_as_user(struct fixture *f, uint32_t account, struct rng *rng) {
    uint32_t i = (uint32_t)rng_below(rng, f->config.instrument_count);
    struct exchange_prices p = prices_of(f, i);
    bool buys = rng_below(rng, 2) == 0, market = rng_below(rng, 3) == 0;
    int64_t tick = f->instruments[i].tick_size.e8, away = (int64_t)rng_below(rng, 200) - 20;
    int64_t px = fx_snap_nearest(p.bid.e8 + p.bid.e8 / 20000 * (buys ? -away : away), tick);
    struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                .account = account,
                                .instrument = i,
                                .side = buys ? SIDE_BUY : SIDE_SELL,
                                .type = market ? ORDER_MARKET : ORDER_LIMIT,
                                .time_in_force = TIF_GTC,
                                .price = {market ? 0 : px},
                                .qty = {lots_of(f, i, px, 100 + (int64_t)rng_below(rng, 9000))}};
    fixture_step(f, &in, f->now_ns);
    if (rng_below(rng, 20) == 0) order_cancel_all(f, account, i);
}

static void a_day_loses_no_money(void **state) {
    (void)state;
    enum { N = 4 };
    struct fixture *f = fixture_new(N, test_seed());
    struct rng rng = rng_init(f->config.seed + 1);
    struct ticks_limits limits = {N, 200, 100, 10};
    f->config.quote_every_ns = 2 * NS_PER_SECOND;
    f->config.trades_per_s = 0.2;
    f->config.volatility_day = 0.1;
    fixture_open(f, &limits);
    uint32_t account[3];
    for (int k = 0; k < 3; k++) account[k] = account_open(f, 3000);
    fixture_run(f, TEST_START + NS_PER_SECOND);
    for (int minute = 0; minute < 1440; minute++) {
        fixture_run(f, f->now_ns + NS_PER_MINUTE);
        act_as_user(f, account[rng_below(&rng, 3)], &rng);
        assert_conserved(f);
    }
    assert_int_equal(f->kinds[EXI_FUNDING], 3 * N);
    assert_int_equal(f->refused, 0);
    struct exchange_totals totals;
    exchange_totals_get(f->ex, &totals);
    assert_int_equal(totals.deposits.e8, 9000 * FX_ONE);
    assert_true(totals.fees.e8 > 0 && f->trades > f->kinds[EXI_PRINT] + 100);
    struct tick_bar bar[1500];
    assert_int_equal(ticks_bars(f->ticks, TICKS_MARK, 0, 5, 0, INT64_MAX, bar, 1500), 25);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_bars_come_out_again),
        cmocka_unit_test(an_order_at_the_low_is_filled),
        cmocka_unit_test(a_queue_that_is_full_says_so),
        cmocka_unit_test(recorded_trades_come_out_again),
        cmocka_unit_test(without_a_source_the_book_leads),
        cmocka_unit_test(a_day_loses_no_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
