/* Candles, tickers and the tape against a reckoning from all trades ever. */
#include <math.h>

#include "venue/market/test_market.h"

__extension__ typedef __int128 i128;

enum { TRADES_MAX = 60000 };

/* Everything that was ever told. */
struct naive {
    struct ticks *ticks;
    struct exchange_event trade[TRADES_MAX];
    int count;
    int64_t begin_ns; /* first minute */
    int64_t now_ns;
    uint64_t taker, agg_of[TRADES_MAX];
};

static struct naive *naive_new(const struct ticks_limits *limits) {
    struct naive *n = test_block(sizeof *n);
    n->ticks = ticks_init(test_block(ticks_size(limits)), limits);
    return n;
}

static void naive_free(struct naive *n) {
    free(n->ticks);
    free(n);
}

static void naive_trade(struct naive *n, int64_t ts, int64_t px, int64_t qty, enum side side,
                        bool same_taker) {
    struct exchange_event e = {.kind = EXE_TRADE,
                               .side = (uint8_t)side,
                               .instrument = 1,
                               .ts_ns = ts,
                               .trade_id = 5000 + (uint64_t)n->count,
                               .px = {px},
                               .qty = {qty}};
    assert_true(n->count < TRADES_MAX);
    if (!same_taker) n->taker++;
    e.sequence = n->taker;
    bool joins = n->count > 0 && same_taker && n->trade[n->count - 1].px.e8 == px &&
                 n->trade[n->count - 1].side == e.side;
    uint64_t last = n->count ? n->agg_of[n->count - 1] : 0;
    n->agg_of[n->count] = joins ? last : last + 1;
    if (n->count == 0) n->begin_ns = ts / NS_PER_MINUTE * NS_PER_MINUTE;
    n->trade[n->count++] = e;
    n->now_ns = ts;
    ticks_event(n->ticks, &e);
}

static int64_t next_open(int interval, int64_t open) {
    int64_t length = venue_interval_ns(interval);
    return length ? open + length : venue_interval_open(interval, open + 32 * NS_PER_DAY);
}

/* A candle from nothing but its trades and the last close before it. */
static void naive_bar(const struct naive *n, int64_t open, int64_t end, struct tick_bar *out) {
    memset(out, 0, sizeof *out);
    out->open_ns = open;
    out->close_ns = end - NS_PER_MS;
    out->first_id = out->last_id = UINT64_MAX;
    for (int k = 0; k < n->count; k++) {
        const struct exchange_event *e = &n->trade[k];
        if (e->ts_ns >= end) break;
        if (e->ts_ns < open) {
            out->open = out->high = out->low = out->close = e->px;
            continue;
        }
        int64_t quote = (int64_t)((i128)e->px.e8 * e->qty.e8 / FX_ONE);
        if (out->count++ == 0) {
            out->open = out->high = out->low = e->px;
            out->first_id = e->trade_id;
        }
        if (e->px.e8 > out->high.e8) out->high = e->px;
        if (e->px.e8 < out->low.e8) out->low = e->px;
        out->close = e->px;
        out->last_id = e->trade_id;
        out->volume.e8 += e->qty.e8;
        out->quote.e8 += quote;
        if (e->side == SIDE_BUY) out->taker_volume.e8 += e->qty.e8;
        if (e->side == SIDE_BUY) out->taker_quote.e8 += quote;
    }
    out->closed = end <= n->now_ns / NS_PER_MINUTE * NS_PER_MINUTE;
}

static void assert_bar(const struct tick_bar *a, const struct tick_bar *b) {
    assert_int_equal(a->open_ns, b->open_ns);
    assert_int_equal(a->close_ns, b->close_ns);
    assert_int_equal(a->open.e8, b->open.e8);
    assert_int_equal(a->high.e8, b->high.e8);
    assert_int_equal(a->low.e8, b->low.e8);
    assert_int_equal(a->close.e8, b->close.e8);
    assert_int_equal(a->volume.e8, b->volume.e8);
    assert_int_equal(a->taker_volume.e8, b->taker_volume.e8);
    assert_int_equal(a->quote.e8, b->quote.e8);
    assert_int_equal(a->taker_quote.e8, b->taker_quote.e8);
    assert_int_equal(a->count, b->count);
    assert_true(a->first_id == b->first_id && a->last_id == b->last_id);
    assert_int_equal(a->closed, b->closed);
}

/* Trades in bursts with pauses of up to `pause`, for a while. */
static void trade_along(struct naive *n, struct rng *rng, int count, int64_t pause) {
    int64_t px = n->count ? n->trade[n->count - 1].px.e8 : 6800000000000;
    int64_t ts = n->count ? n->now_ns : TEST_START + 12345;
    for (int k = 0; k < count; k++) {
        bool burst = rng_below(rng, 3) == 0;
        if (!burst)
            ts += (int64_t)rng_below(rng, (uint64_t)(rng_below(rng, 50) ? pause / 40 : pause));
        if (rng_below(rng, 2)) px += ((int64_t)rng_below(rng, 101) - 50) * 10000000;
        naive_trade(n, ts, px, (1 + (int64_t)rng_below(rng, 5000)) * 100000,
                    rng_below(rng, 2) ? SIDE_BUY : SIDE_SELL, burst && k > 0);
    }
}

/* All rows of all intervals, the newest, and from the middle. */
static uint32_t check_all(const struct naive *n) {
    static struct tick_bar out[3000];
    uint32_t all = 0;
    for (int interval = 0; interval < VENUE_INTERVALS; interval++) {
        uint32_t rows = ticks_bars(n->ticks, TICKS_LAST, 1, interval, 0, INT64_MAX, out, 3000);
        assert_true(rows > 0);
        all += rows;
        int64_t open = out[0].open_ns;
        assert_int_equal(venue_interval_open(interval, open), open);
        for (uint32_t k = 0; k < rows; k++) {
            struct tick_bar want;
            /* Looking at every trade for every row is slow: the fine intervals are sampled. */
            if (rows < 200 || k % 17 == 0 || k + 20 > rows) {
                naive_bar(n, open, next_open(interval, open), &want);
                assert_bar(&out[k], &want);
            }
            open = next_open(interval, open);
        }
        assert_int_equal(out[rows - 1].open_ns, venue_interval_open(interval, n->now_ns));
        struct tick_bar now;
        assert_true(ticks_bar_now(n->ticks, 1, interval, &now));
        assert_bar(&now, &out[rows - 1]);
    }
    return all;
}

static void every_interval_folds_exactly(void **state) {
    (void)state;
    struct ticks_limits limits = {3, 1500, 100, 10};
    struct naive *n = naive_new(&limits);
    struct rng rng = rng_init(test_seed());
    trade_along(n, &rng, 3000, 20 * NS_PER_MINUTE);
    check_all(n);
    /* From its beginning on: nothing is forgotten yet, and the first candles began before the first
     * trade. */
    struct tick_bar out[2];
    for (int interval = 0; interval < VENUE_INTERVALS; interval++) {
        int64_t second = next_open(interval, venue_interval_open(interval, n->begin_ns));
        assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, interval, 1, INT64_MAX, out, 2),
                         n->now_ns >= second ? 2 : 1);
        assert_int_equal(out[0].open_ns, venue_interval_open(interval, n->begin_ns));
    }
    naive_free(n);
}

/* Small rings that have gone round: what is answered is still exact, and reaches back as far as it
 * can. */
static void what_is_forgotten_is_left_out(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 300, 100, 10};
    struct naive *n = naive_new(&limits);
    struct rng rng = rng_init(test_seed());
    uint32_t least = UINT32_MAX;
    for (int round = 0; round < 8; round++) {
        trade_along(n, &rng, 2500, 4 * NS_PER_HOUR);
        uint32_t rows = check_all(n);
        if (rows < least) least = rows;
    }
    print_message("%.0f days of trades, %u rows at least\n",
                  (double)(n->now_ns - n->begin_ns) / (double)NS_PER_DAY, least);
    struct tick_bar out[3000];
    uint32_t minutes = ticks_bars(n->ticks, TICKS_LAST, 1, 0, 0, INT64_MAX, out, 3000);
    assert_int_equal(minutes, 301); /* what is stored, and the one forming */
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 1, 0, INT64_MAX, out, 3000) / 2, 50);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 2, 0, INT64_MAX, out, 3000), 301);
    assert_true(ticks_bars(n->ticks, TICKS_LAST, 1, 3, 0, INT64_MAX, out, 3000) >= 100);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 5, 0, INT64_MAX, out, 3000), 301);
    naive_free(n);
}

static void ranges_are_kept_to(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 600, 100, 10};
    struct naive *n = naive_new(&limits);
    struct rng rng = rng_init(test_seed());
    static struct tick_bar all[3000], some[3000];
    trade_along(n, &rng, 4000, 30 * NS_PER_MINUTE);
    for (int k = 0; k < 3000; k++) {
        int interval = (int)rng_below(&rng, VENUE_INTERVALS);
        uint32_t rows = ticks_bars(n->ticks, TICKS_LAST, 1, interval, 0, INT64_MAX, all, 3000);
        int64_t span = n->now_ns - all[0].open_ns + NS_PER_HOUR;
        int64_t from = all[0].open_ns - NS_PER_HOUR + (int64_t)rng_below(&rng, (uint64_t)span);
        int64_t to = from + (int64_t)rng_below(&rng, (uint64_t)span);
        if (rng_below(&rng, 3) == 0) from = all[rng_below(&rng, rows)].open_ns;
        if (rng_below(&rng, 3) == 0) to = all[rng_below(&rng, rows)].open_ns;
        if (rng_below(&rng, 4) == 0) from = 0;
        uint32_t max = 1 + (uint32_t)rng_below(&rng, 60), first = 0, end = rows;
        while (first < rows && all[first].open_ns < from) first++;
        while (end > 0 && all[end - 1].open_ns > to) end--;
        uint32_t count = end > first ? end - first : 0;
        if (count > max && from == 0) first = end - max;
        if (count > max) count = max;
        assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, interval, from, to, some, max), count);
        for (uint32_t j = 0; j < count; j++) assert_bar(&some[j], &all[first + j]);
    }
    naive_free(n);
}

static void a_minute_without_a_trade_repeats_the_close(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 1500, 100, 10};
    struct naive *n = naive_new(&limits);
    struct tick_bar out[8];
    assert_false(ticks_bar_now(n->ticks, 1, 0, out));
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 0, 0, INT64_MAX, out, 8), 0);
    naive_trade(n, TEST_START + 1, 700, 3, SIDE_BUY, false);
    naive_trade(n, TEST_START + 2, 500, 3, SIDE_SELL, false);
    ticks_time(n->ticks, TEST_START + NS_PER_MINUTE - 1);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 0, 0, INT64_MAX, out, 8), 1);
    assert_false(out[0].closed);
    ticks_time(n->ticks, TEST_START + 3 * NS_PER_MINUTE);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 0, 0, INT64_MAX, out, 8), 4);
    assert_true(out[2].closed && !out[3].closed);
    assert_int_equal(out[0].close_ns, TEST_START + 59999 * NS_PER_MS);
    assert_int_equal(out[2].open.e8, 500);
    assert_int_equal(out[2].high.e8, 500);
    assert_int_equal(out[2].volume.e8, 0);
    assert_int_equal(out[2].count, 0);
    assert_true(out[2].first_id == UINT64_MAX && out[2].last_id == UINT64_MAX);
    naive_trade(n, TEST_START + 3 * NS_PER_MINUTE + 5, 400, 3, SIDE_BUY, false);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 0, 0, INT64_MAX, out, 8), 4);
    assert_int_equal(out[3].open.e8, 400); /* not the close before */
    assert_int_equal(out[3].high.e8, 400);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 0, 0, 0, INT64_MAX, out, 8), 0);
    naive_free(n);
}

/* ---- history from before ---- */

static void seeds_lie_before_the_trades(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 300, 100, 10};
    struct naive *n = naive_new(&limits);
    static struct tick_bar out[400];
    for (int k = 0; k < 200; k++) {
        if (k >= 50 && k < 55) continue; /* a hole */
        struct bar bar = {.open_ts_ns = TEST_START + (k - 200) * NS_PER_MINUTE,
                          .open = {1000 + k},
                          .high = {1010 + k},
                          .low = {990 + k},
                          .close = {1001 + k},
                          .volume = 2.5,
                          .quote_volume = k % 2 ? 7.0 : NAN,
                          .taker_buy_ratio = k % 2 ? 0.25f : NAN,
                          .trade_count = k % 2 ? 9 : BAR_COUNT_UNKNOWN};
        ticks_seed(n->ticks, 1, &bar);
    }
    naive_trade(n, TEST_START + 70 * NS_PER_SECOND, 2000, 3, SIDE_BUY, false);
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 0, 0, INT64_MAX, out, 400), 202);
    assert_int_equal(out[0].open_ns, TEST_START - 200 * NS_PER_MINUTE);
    assert_int_equal(out[199].close.e8, 1200);
    assert_int_equal(out[199].volume.e8, 250000000);
    assert_int_equal(out[199].quote.e8, 7 * FX_ONE);
    assert_int_equal(out[199].taker_volume.e8, 62500000);
    assert_int_equal(out[199].count, 9);
    assert_true(out[199].first_id == UINT64_MAX);
    assert_int_equal(out[198].taker_volume.e8, 0);
    for (int k = 50; k < 55; k++) {
        assert_int_equal(out[k].close.e8, 1050);
        assert_int_equal(out[k].volume.e8, 0);
    }
    assert_int_equal(out[200].close.e8, 1200); /* the minute in between */
    assert_int_equal(out[201].open.e8, 2000);
    /* Seeds know no ids: an hour of seeds and trades has those of its trades. */
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 5, 0, INT64_MAX, out, 1), 1);
    assert_true(out[0].first_id == 5000 && out[0].last_id == 5000 && out[0].open.e8 == 1190);
    /* Five minutes at once. */
    assert_int_equal(ticks_bars(n->ticks, TICKS_LAST, 1, 2, 0, INT64_MAX, out, 400), 41);
    assert_int_equal(out[0].open.e8, 1000);
    assert_int_equal(out[0].high.e8, 1014);
    assert_int_equal(out[0].close.e8, 1005);
    assert_int_equal(out[0].volume.e8, 1250000000);
    naive_free(n);
}

/* ---- mark, index, premium ---- */

static void mark_index_and_premium_have_candles(void **state) {
    (void)state;
    struct ticks_limits limits = {1, 300, 100, 10};
    struct ticks *t = ticks_init(test_block(ticks_size(&limits)), &limits);
    struct tick_bar out[200];
    for (int k = 0; k < 3 * 3600; k++) {
        struct exchange_event e = {.kind = EXE_MARK,
                                   .ts_ns = TEST_START + k * NS_PER_SECOND,
                                   .px = {INT64_C(6800000000000) + (k % 60) * 100000},
                                   .px2 = {INT64_C(6800000000000)}};
        ticks_event(t, &e);
    }
    for (int series = TICKS_MARK; series <= TICKS_PREMIUM; series++) {
        uint32_t n = ticks_bars(t, (enum tick_series)series, 0, 0, 0, INT64_MAX, out, 200);
        assert_int_equal(n, 101);
        assert_int_equal(out[5].volume.e8, 0);
        assert_int_equal(out[5].count, 0);
        assert_true(out[5].first_id == UINT64_MAX);
        /* 06:10 to 09:10 touches four hours, the first and the last not whole. */
        assert_int_equal(ticks_bars(t, (enum tick_series)series, 0, 5, 0, INT64_MAX, out, 200), 4);
        assert_int_equal(out[0].open_ns, TEST_START - 10 * NS_PER_MINUTE);
        assert_int_equal(ticks_bars(t, (enum tick_series)series, 0, 3, 0, INT64_MAX, out, 200), 7);
    }
    assert_int_equal(ticks_bars(t, TICKS_MARK, 0, 0, 0, INT64_MAX, out, 1), 1);
    assert_int_equal(out[0].open.e8, INT64_C(6800000000000));
    assert_int_equal(out[0].high.e8, INT64_C(6800000000000) + 5900000);
    assert_int_equal(ticks_bars(t, TICKS_INDEX, 0, 0, 0, INT64_MAX, out, 1), 1);
    assert_int_equal(out[0].high.e8, INT64_C(6800000000000));
    assert_int_equal(ticks_bars(t, TICKS_PREMIUM, 0, 0, 0, INT64_MAX, out, 1), 1);
    assert_int_equal(out[0].low.e8, 0);
    assert_int_equal(out[0].high.e8, 87); /* 0.059 / 68000 */
    free(t);
}

/* A row keeps nine digits of a price; a tick price has no more. */
static void closed_rows_keep_nine_digits(void **state) {
    (void)state;
    struct ticks_limits limits = {1, 300, 100, 10};
    struct ticks *t = ticks_init(test_block(ticks_size(&limits)), &limits);
    struct exchange_event e = {.kind = EXE_MARK,
                               .ts_ns = TEST_START,
                               .px = {INT64_C(6800012345678)},
                               .px2 = {INT64_C(452976400000000)}};
    ticks_event(t, &e);
    ticks_time(t, TEST_START + NS_PER_MINUTE);
    struct tick_bar out[2];
    assert_int_equal(ticks_bars(t, TICKS_MARK, 0, 0, 0, INT64_MAX, out, 2), 2);
    assert_int_equal(out[0].close.e8, INT64_C(6800012350000));
    assert_int_equal(ticks_bars(t, TICKS_INDEX, 0, 0, 0, INT64_MAX, out, 2), 2);
    assert_int_equal(out[0].close.e8, INT64_C(452976400000000));
    free(t);
}

/* ---- 24 h ---- */

static void check_day(const struct naive *n) {
    struct tick_day day;
    struct tick_bar want;
    ticks_day(n->ticks, 1, n->now_ns, &day);
    int64_t from = (n->now_ns / NS_PER_MINUTE + 1) * NS_PER_MINUTE - NS_PER_DAY;
    naive_bar(n, from, INT64_MAX, &want);
    assert_int_equal(day.open_ns, from);
    assert_int_equal(day.close_ns, n->now_ns);
    assert_int_equal(day.open.e8, want.open.e8);
    assert_int_equal(day.high.e8, want.high.e8);
    assert_int_equal(day.low.e8, want.low.e8);
    assert_int_equal(day.last.e8, n->trade[n->count - 1].px.e8);
    assert_int_equal(day.last_qty.e8, n->trade[n->count - 1].qty.e8);
    assert_int_equal(day.volume.e8, want.volume.e8);
    assert_int_equal(day.quote.e8, want.quote.e8);
    assert_int_equal(day.count, want.count);
    assert_true(day.first_id == want.first_id && day.last_id == want.last_id);
    double average = (double)want.quote.e8 / (double)want.volume.e8;
    assert_true(fabs(px_to_f64(day.weighted) - average) < 1e-7);
}

static void the_day_rolls(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 1500, 100, 10};
    struct naive *n = naive_new(&limits);
    struct rng rng = rng_init(test_seed());
    struct tick_day day;
    ticks_day(n->ticks, 0, TEST_START, &day);
    assert_true(day.last.e8 == 0 && day.count == 0 && day.first_id == UINT64_MAX);
    for (int k = 0; k < 400; k++) {
        trade_along(n, &rng, 10, 3 * NS_PER_HOUR);
        check_day(n);
    }
    assert_true(n->now_ns - n->begin_ns > 5 * NS_PER_DAY);
    naive_free(n);
    /* With too few minutes kept it begins later, with a whole longer candle, and is right from
     * there. */
    limits.bars = 200;
    n = naive_new(&limits);
    trade_along(n, &rng, 20000, 10 * NS_PER_MINUTE);
    struct tick_bar want;
    ticks_day(n->ticks, 1, n->now_ns, &day);
    assert_true(day.open_ns % NS_PER_HOUR == 0);
    assert_true(day.open_ns - (n->now_ns - NS_PER_DAY) < NS_PER_HOUR + NS_PER_MINUTE);
    naive_bar(n, day.open_ns, INT64_MAX, &want);
    assert_int_equal(day.volume.e8, want.volume.e8);
    naive_free(n);
}

/* ---- tape ---- */

static void the_tape_holds_trades_and_aggregates(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 200, 300, 10};
    struct naive *n = naive_new(&limits);
    struct rng rng = rng_init(test_seed());
    static struct tick_trade out[1000];
    trade_along(n, &rng, 250, NS_PER_MINUTE);
    assert_int_equal(ticks_trades(n->ticks, 1, false, 0, 0, INT64_MAX, out, 1000), 250);
    trade_along(n, &rng, 2000, NS_PER_MINUTE);
    assert_int_equal(ticks_trades(n->ticks, 1, false, 0, 0, INT64_MAX, out, 1000), 300);
    for (int k = 0; k < 300; k++) {
        const struct exchange_event *e = &n->trade[n->count - 300 + k];
        assert_true(out[k].first_id == e->trade_id && out[k].last_id == e->trade_id);
        assert_int_equal(out[k].px.e8, e->px.e8);
        assert_int_equal(out[k].buyer_is_maker, e->side == SIDE_SELL);
    }
    /* Aggregates: rows of one number together, none whose beginning is gone. */
    uint32_t rows = ticks_trades(n->ticks, 1, true, 0, 0, INT64_MAX, out, 1000);
    int at = n->count - 300;
    while (at > 0 && n->agg_of[at] == n->agg_of[at - 1]) at++;
    uint32_t several = 0;
    for (uint32_t k = 0; k < rows; k++) {
        int64_t qty = 0;
        assert_true(out[k].agg_id == n->agg_of[at] && out[k].first_id == n->trade[at].trade_id);
        assert_int_equal(out[k].ts_ns, n->trade[at].ts_ns);
        for (; at < n->count && n->agg_of[at] == out[k].agg_id; at++) qty += n->trade[at].qty.e8;
        assert_int_equal(out[k].qty.e8, qty);
        assert_true(out[k].last_id == n->trade[at - 1].trade_id);
        several += out[k].last_id > out[k].first_id;
    }
    assert_int_equal(at, n->count);
    assert_true(several > 10);
    /* By number, by time, the newest few. */
    uint64_t id = out[rows / 2].agg_id;
    int64_t ts = out[rows / 2].ts_ns;
    static struct tick_trade some[1000];
    assert_int_equal(ticks_trades(n->ticks, 1, true, id, 0, INT64_MAX, some, 5), 5);
    assert_true(some[0].agg_id == id && some[4].agg_id == id + 4);
    assert_int_equal(ticks_trades(n->ticks, 1, true, 0, 0, INT64_MAX, some, 7), 7);
    assert_true(some[6].agg_id == out[rows - 1].agg_id);
    assert_int_equal(ticks_trades(n->ticks, 1, true, 0, ts, INT64_MAX, some, 3), 3);
    assert_true(some[0].ts_ns == ts && some[0].agg_id <= id);
    uint32_t until = ticks_trades(n->ticks, 1, true, 0, 0, ts, some, 1000);
    assert_true(until > 0 && some[until - 1].ts_ns == ts);
    naive_free(n);
}

static void fundings_are_kept(void **state) {
    (void)state;
    struct ticks_limits limits = {2, 200, 10, 10};
    struct ticks *t = ticks_init(test_block(ticks_size(&limits)), &limits);
    struct tick_funding out[20];
    assert_int_equal(ticks_fundings(t, 1, 0, INT64_MAX, out, 20), 0);
    for (int k = 1; k <= 25; k++) ticks_funding(t, 1, k * 100, rate_e8(k), px_e8(1000 + k));
    assert_int_equal(ticks_fundings(t, 1, 0, INT64_MAX, out, 20), 10);
    assert_int_equal(out[0].ts_ns, 1600);
    assert_int_equal(out[9].rate.e8, 25);
    assert_int_equal(out[9].mark.e8, 1025);
    assert_int_equal(ticks_fundings(t, 1, 0, INT64_MAX, out, 3), 3);
    assert_int_equal(out[0].ts_ns, 2300);
    assert_int_equal(ticks_fundings(t, 1, 1750, INT64_MAX, out, 3), 3);
    assert_int_equal(out[0].ts_ns, 1800);
    assert_int_equal(ticks_fundings(t, 1, 1800, 2000, out, 20), 3);
    assert_int_equal(ticks_fundings(t, 0, 0, INT64_MAX, out, 20), 0);
    free(t);
}

static void memory_is_as_documented(void **state) {
    (void)state;
    struct ticks_limits one = {1, 1500, 1000, 1000}, many = {301, 1500, 1000, 1000};
    size_t each = (ticks_size(&many) - ticks_size(&one)) / 300;
    print_message("%zu bytes a contract\n", each);
    assert_true(each < 460 * 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interval_folds_exactly),
        cmocka_unit_test(what_is_forgotten_is_left_out),
        cmocka_unit_test(ranges_are_kept_to),
        cmocka_unit_test(a_minute_without_a_trade_repeats_the_close),
        cmocka_unit_test(seeds_lie_before_the_trades),
        cmocka_unit_test(mark_index_and_premium_have_candles),
        cmocka_unit_test(closed_rows_keep_nine_digits),
        cmocka_unit_test(the_day_rolls),
        cmocka_unit_test(the_tape_holds_trades_and_aggregates),
        cmocka_unit_test(fundings_are_kept),
        cmocka_unit_test(memory_is_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
