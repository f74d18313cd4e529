/* What the market's streams say, held against the exchange they speak of. */
#include "venue/server/test_streams.h"

static const struct streams_options SEEDED = {.seed = 42};
static const char SYMBOL[] = "BTCUSDT";

static struct exchange_prices prices_of(const struct stage *t, uint32_t contract) {
    struct exchange_prices p;
    exchange_prices_get(t->w->exchange, contract, &p);
    return p;
}

/* ---- order books rebuilt from diffs ---- */

enum { BOOK_LEVELS = 4096 };
struct book_level {
    int64_t px, qty;
};
struct book {
    struct book_level levels[2][BOOK_LEVELS]; /* [0] bids, best first; [1] asks */
    uint32_t count[2];
    uint64_t u; /* of the last event applied, 0 none */
    uint64_t snapshot;
    uint64_t applied;
};

static void book_set(struct book *b, int side, int64_t px, int64_t qty) {
    struct book_level *l = b->levels[side];
    uint32_t at = 0;
    while (at < b->count[side] && (side == 0 ? l[at].px > px : l[at].px < px)) at++;
    bool there = at < b->count[side] && l[at].px == px;
    if (qty == 0 && !there) return; /* of a level never seen: normal */
    if (qty == 0) {
        memmove(&l[at], &l[at + 1], (--b->count[side] - at) * sizeof *l);
        return;
    }
    if (!there) {
        assert_true(b->count[side] < BOOK_LEVELS);
        memmove(&l[at + 1], &l[at], (b->count[side]++ - at) * sizeof *l);
    }
    l[at] = (struct book_level){px, qty};
}

static void book_snapshot(struct book *b, const struct stage *t, uint32_t contract) {
    static struct exchange_level levels[1000];
    memset(b, 0, sizeof *b);
    for (int side = 0; side < 2; side++) {
        uint32_t n = exchange_depth(t->w->exchange, contract, side ? SIDE_SELL : SIDE_BUY, levels,
                                    1000, &b->snapshot);
        for (uint32_t i = 0; i < n; i++) book_set(b, side, levels[i].px.e8, levels[i].qty.e8);
    }
}

static void book_side(struct book *b, int side, const json_t *rows) {
    size_t i;
    const json_t *row;
    int64_t last = 0;
    json_array_foreach((json_t *)rows, i, row) {
        assert_int_equal(json_array_size(row), 2);
        int64_t px = e8_of(json_string_value(json_array_get(row, 0)));
        if (i) assert_true(side == 0 ? px < last : px > last); /* best first, each price once */
        last = px;
        book_set(b, side, px, e8_of(json_string_value(json_array_get(row, 1))));
    }
}

/* The venue's own rules for a local book. */
static void book_event(struct book *b, const json_t *m) {
    uint64_t first = (uint64_t)int_at(m, "U"), last = (uint64_t)int_at(m, "u");
    uint64_t previous = (uint64_t)int_at(m, "pu");
    event_is(m, "depthUpdate");
    keys_are(m, "e E T s ps U u pu b a st");
    assert_true(first <= last && previous < last);
    if (last < b->snapshot) return;
    if (b->applied == 0)
        assert_true(first <= b->snapshot && b->snapshot <= last);
    else
        assert_int_equal(previous, b->u);
    book_side(b, 0, json_object_get(m, "b"));
    book_side(b, 1, json_object_get(m, "a"));
    b->u = last;
    b->applied++;
}

static void book_equals(const struct book *b, const struct stage *t, uint32_t contract) {
    static struct exchange_level levels[BOOK_LEVELS];
    uint64_t sequence;
    for (int side = 0; side < 2; side++) {
        uint32_t n = exchange_depth(t->w->exchange, contract, side ? SIDE_SELL : SIDE_BUY, levels,
                                    BOOK_LEVELS, &sequence);
        assert_int_equal(n, b->count[side]);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(levels[i].px.e8, b->levels[side][i].px);
            assert_int_equal(levels[i].qty.e8, b->levels[side][i].qty);
        }
    }
    if (b->applied) assert_true(sequence == b->u || sequence == b->snapshot);
}

/* One speed: its socket opens, a snapshot is taken at some later moment, and from then on the book is the exchange's
 * at every multiple of the speed. */
static void run_speed(const char *stream, int64_t every_ms, uint64_t seed) {
    static struct book book;
    struct stage t;
    struct sock k;
    struct rng r = rng_init(seed);
    char path[64];
    uint32_t contract = 1;
    stage_open(&t, false, SEEDED);
    stage_run(&t, (int64_t)rng_below(&r, 700) * NS_PER_MS);
    snprintf(path, sizeof path, "/public/ws/ethusdt@%s", stream);
    assert_true(sock_open(&k, &t, path, ""));
    stage_run(&t, (int64_t)rng_below(&r, 700) * NS_PER_MS);
    book_snapshot(&book, &t, contract);
    uint32_t compared = 0;
    for (int i = 0; i < 800; i++) {
        int64_t now = (t.now_ns / (10 * NS_PER_MS) + 1) * 10 * NS_PER_MS;
        struct test_op op;
        test_op(&op, &t.setup, seed, (uint64_t)i);
        op.in.until_ns = now + NS_PER_SECOND;
        if (i % 5 == 0 && !op.is_advance)
            world_do(t.w, &op.in, t.now_ns, &(struct exchange_reply){0});
        stage_until(&t, now);
        for (json_t *m; (m = sock_take(&k)) != NULL;) book_event(&book, m);
        if (now % (every_ms * NS_PER_MS) != 0) continue;
        book_equals(&book, &t, contract);
        compared++;
    }
    assert_true(compared >= 8000 / every_ms - 1 && book.applied > 10);
    sock_close(&k);
    stage_close(&t);
}

static void test_depth(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    run_speed("depth@100ms", 100, seed);
    run_speed("depth", 250, seed + 1);
    run_speed("depth@250ms", 250, seed + 2);
    run_speed("depth@500ms", 500, seed + 3);
    run_speed("rpiDepth@500ms", 500, seed + 4);
}

/* Quiet book: the first event behind the snapshot still satisfies U <= lastUpdateId <= u. */
static void test_depth_quiet(void **state) {
    (void)state;
    static struct book book;
    struct stage t;
    struct sock k, late;
    stage_open(&t, true, SEEDED);
    struct exchange_input quote = {
        .kind = EXI_QUOTE, .side = SIDE_BUY, .price = {67000 * FX_ONE}, .qty = {FX_ONE}};
    assert_int_equal(stage_do(&t, quote).code, 0);
    assert_true(sock_open(&k, &t, "/public/ws/btcusdt@depth@100ms", ""));
    stage_run(&t, 300 * NS_PER_MS);
    assert_int_equal(sock_waiting(&k), 0);
    book_snapshot(&book, &t, 0);
    quote.qty.e8 = 2 * FX_ONE;
    stage_do(&t, quote);
    quote.qty.e8 = 3 * FX_ONE;
    stage_do(&t, quote);
    stage_run(&t, 100 * NS_PER_MS);
    assert_int_equal(sock_waiting(&k), 1); /* two changes of a level are one row */
    const json_t *m = sock_take(&k);
    assert_int_equal(json_array_size(json_object_get(m, "b")), 1);
    assert_string_equal(text_at(m, "s"), SYMBOL);
    assert_string_equal(text_at(m, "ps"), SYMBOL);
    book_event(&book, m);
    book_equals(&book, &t, 0);

    /* Who comes later joins the same chain. */
    stage_do(&t,
             (struct exchange_input){
                 .kind = EXI_QUOTE, .side = SIDE_SELL, .price = {69000 * FX_ONE}, .qty = {FX_ONE}});
    assert_true(sock_open(&late, &t, "/public/stream", "streams=btcusdt@depth@100ms"));
    book_snapshot(&book, &t, 0);
    quote.qty.e8 = 0;
    stage_do(&t, quote);
    stage_run(&t, 100 * NS_PER_MS);
    m = sock_take(&late);
    assert_string_equal(text_at(m, "stream"), "btcusdt@depth@100ms");
    m = json_object_get(m, "data");
    assert_true(json_equal(m, sock_take(&k)));
    book_event(&book, m);
    book_equals(&book, &t, 0);
    assert_string_equal(
        json_string_value(json_array_get(json_array_get(json_object_get(m, "b"), 0), 1)), "0");
    sock_close(&k);
    sock_close(&late);
    stage_close(&t);
}

static void rows_equal(const struct stage *t, const json_t *rows, enum side side, uint32_t count) {
    struct exchange_level levels[20];
    uint64_t sequence;
    uint32_t n = exchange_depth(t->w->exchange, 0, side, levels, count, &sequence);
    assert_int_equal(json_array_size(rows), n);
    for (uint32_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        assert_int_equal(e8_of(json_string_value(json_array_get(row, 0))), levels[i].px.e8);
        assert_int_equal(e8_of(json_string_value(json_array_get(row, 1))), levels[i].qty.e8);
    }
}

static void test_top(void **state) {
    (void)state;
    static const struct {
        const char *stream;
        uint32_t levels;
        int64_t every_ms;
    } cases[] = {{"depth5", 5, 250},         {"depth5@100ms", 5, 100},   {"depth10@250ms", 10, 250},
                 {"depth10@500ms", 10, 500}, {"depth20@100ms", 20, 100}, {"depth20", 20, 250}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct stage t;
        struct sock k;
        char path[64];
        int64_t last_u = 0;
        stage_open(&t, false, SEEDED);
        snprintf(path, sizeof path, "/ws/btcusdt@%s", cases[c].stream);
        assert_true(sock_open(&k, &t, path, ""));
        size_t count = 0;
        for (int i = 0; i < 300; i++) {
            int64_t now = (t.now_ns / (10 * NS_PER_MS) + 1) * 10 * NS_PER_MS;
            stage_until(&t, now);
            const json_t *m = sock_take(&k);
            assert_int_equal(sock_waiting(&k), 0);
            if (!m) continue;
            assert_int_equal(now % (cases[c].every_ms * NS_PER_MS), 0);
            keys_are(m, "e E T s ps U u pu b a st");
            assert_int_equal(int_at(m, "E"), now / NS_PER_MS);
            rows_equal(&t, json_object_get(m, "b"), SIDE_BUY, cases[c].levels);
            rows_equal(&t, json_object_get(m, "a"), SIDE_SELL, cases[c].levels);
            if (count) assert_int_equal(int_at(m, "pu"), last_u);
            last_u = int_at(m, "u");
            count++;
        }
        assert_true(count >= 5);
        sock_close(&k);
        stage_close(&t);
    }
}

static void test_book_ticker(void **state) {
    (void)state;
    struct stage t;
    struct sock one, all;
    stage_open(&t, false, SEEDED);
    assert_true(sock_open(&one, &t, "/public/ws/btcusdt@bookTicker", ""));
    assert_true(sock_open(&all, &t, "/public/ws/!bookTicker", ""));
    int64_t last_u = 0;
    size_t own = 0;
    for (int i = 0; i < 400; i++) {
        stage_run(&t, 10 * NS_PER_MS);
        const json_t *last = NULL, *m;
        while ((m = sock_take(&one)) != NULL) {
            event_is(m, "bookTicker");
            keys_are(m, "e u E T s ps b B a A st");
            assert_true(int_at(m, "u") > last_u);
            last_u = int_at(m, "u");
            last = m;
            own++;
        }
        if (!last) continue;
        struct exchange_prices p = prices_of(&t, 0);
        assert_int_equal(e8_at(last, "b"), p.bid.e8);
        assert_int_equal(e8_at(last, "a"), p.ask.e8);
        assert_int_equal(e8_at(last, "B"), p.bid_qty.e8);
        assert_int_equal(e8_at(last, "A"), p.ask_qty.e8);
    }
    size_t found = 0, others = 0;
    for (const json_t *m; (m = sock_take(&all)) != NULL;)
        if (strcmp(text_at(m, "s"), SYMBOL) == 0)
            found++;
        else
            others++;
    assert_true(own > 10 && found == own && others > 10);
    sock_close(&one);
    sock_close(&all);
    stage_close(&t);
}

/* ---- trades ---- */

static void test_trades(void **state) {
    (void)state;
    struct stage t;
    struct sock trades, aggs;
    struct tick_trade rows[500];
    stage_open(&t, false, SEEDED);
    stage_run(&t, 3 * NS_PER_SECOND);
    assert_true(sock_open(&trades, &t, "/public/ws/btcusdt@trade", ""));
    assert_true(sock_open(&aggs, &t, "/market/ws/btcusdt@aggTrade", ""));
    uint32_t seen = ticks_trades(t.w->ticks, 0, false, 0, 0, INT64_MAX, rows, 500);
    uint32_t seen_aggs = ticks_trades(t.w->ticks, 0, true, 0, 0, INT64_MAX, rows, 500);
    for (int i = 0; i < 300; i++) {
        /* Two makers at the best price and a taker that wants more than they have: several trades, fewer aggregates. */
        struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                    .account = 2,
                                    .side = SIDE_SELL,
                                    .type = ORDER_LIMIT,
                                    .price = prices_of(&t, 0).ask,
                                    .qty = {FX_ONE / 10}};
        if (i % 10 == 0) {
            stage_do(&t, in);
            in.account = 1;
            in.side = SIDE_BUY;
            in.type = ORDER_MARKET;
            in.qty.e8 = 4 * FX_ONE;
            in.price.e8 = 0;
            stage_do(&t, in);
        }
        stage_run(&t, 20 * NS_PER_MS);
    }
    stage_run(&t, 100 * NS_PER_MS);
    uint32_t n = ticks_trades(t.w->ticks, 0, false, 0, 0, INT64_MAX, rows, 500);
    assert_true(n > seen + 30 && n < 500);
    for (uint32_t i = seen; i < n; i++) {
        const json_t *m = sock_take(&trades);
        event_is(m, "trade");
        keys_are(m, "e E T s t p q X m");
        assert_int_equal(int_at(m, "t"), (int64_t)rows[i].first_id);
        assert_int_equal(e8_at(m, "p"), rows[i].px.e8);
        assert_int_equal(e8_at(m, "q"), rows[i].qty.e8);
        assert_int_equal(int_at(m, "T"), rows[i].ts_ns / NS_PER_MS);
        assert_int_equal(bool_at(m, "m"), rows[i].buyer_is_maker);
        assert_string_equal(text_at(m, "X"), "MARKET");
    }
    assert_int_equal(sock_waiting(&trades), 0);
    n = ticks_trades(t.w->ticks, 0, true, 0, 0, INT64_MAX, rows, 500);
    bool joined = false;
    for (uint32_t i = seen_aggs; i < n; i++) {
        const json_t *m = sock_take(&aggs);
        event_is(m, "aggTrade");
        keys_are(m, "e E s a p q nq f l T m st");
        assert_int_equal(int_at(m, "a"), (int64_t)rows[i].agg_id);
        assert_int_equal(int_at(m, "f"), (int64_t)rows[i].first_id);
        assert_int_equal(int_at(m, "l"), (int64_t)rows[i].last_id);
        assert_int_equal(e8_at(m, "p"), rows[i].px.e8);
        assert_int_equal(e8_at(m, "q"), rows[i].qty.e8);
        assert_int_equal(bool_at(m, "m"), rows[i].buyer_is_maker);
        assert_true(int_at(m, "E") % 100 < 10); /* the step of the test */
        joined = joined || rows[i].last_id > rows[i].first_id;
    }
    assert_int_equal(sock_waiting(&aggs), 0);
    assert_true(joined);
    sock_close(&trades);
    sock_close(&aggs);
    stage_close(&t);
}

/* ---- candles ---- */

static void candle_equals(const json_t *k, const struct tick_bar *b) {
    assert_int_equal(int_at(k, "T"), b->close_ns / NS_PER_MS);
    assert_int_equal(e8_at(k, "o"), b->open.e8);
    assert_int_equal(e8_at(k, "h"), b->high.e8);
    assert_int_equal(e8_at(k, "l"), b->low.e8);
    assert_int_equal(e8_at(k, "c"), b->close.e8);
    assert_int_equal(e8_at(k, "v"), b->volume.e8);
    assert_int_equal(e8_at(k, "q"), b->quote.e8);
    assert_int_equal(e8_at(k, "V"), b->taker_volume.e8);
    assert_int_equal(e8_at(k, "Q"), b->taker_quote.e8);
    assert_int_equal(int_at(k, "n"), b->count);
    assert_int_equal(int_at(k, "f"), (int64_t)b->first_id); /* -1 without a trade */
    assert_int_equal(int_at(k, "L"), (int64_t)b->last_id);
}

/* trade_until: afterwards nobody trades, and candles close all the same. */
static void run_candles(const char *path, int interval, int64_t trade_until_s, bool continuous) {
    struct stage t;
    struct sock k;
    stage_open(&t, true, SEEDED);
    assert_true(sock_open(&k, &t, path, ""));
    struct exchange_input print = {.kind = EXI_PRINT, .side = SIDE_BUY, .qty = {FX_ONE / 10}};
    struct rng r = rng_init(9);
    int64_t start = t.now_ns, length = venue_interval_ns(interval);
    int64_t open_ms = 0, closed = 0, updates = 0, last_e = 0;
    bool was_closed = true;
    while (t.now_ns < start + 4 * length) {
        if (t.now_ns < start + trade_until_s * NS_PER_SECOND && rng_below(&r, 5) == 0) {
            print.price.e8 = (68000 + (int64_t)rng_below(&r, 100)) * FX_ONE;
            print.side = rng_below(&r, 2) ? SIDE_BUY : SIDE_SELL;
            stage_do(&t, print);
        }
        stage_run(&t, 50 * NS_PER_MS);
        for (const json_t *m; (m = sock_take(&k)) != NULL;) {
            event_is(m, continuous ? "continuous_kline" : "kline");
            keys_are(m, continuous ? "e E ps ct k st" : "e E s k st");
            const json_t *c = json_object_get(m, "k");
            keys_are(c, continuous ? "t T i f L o c h l v n x q V Q B"
                                   : "t T s i f L o c h l v n x q V Q B");
            assert_string_equal(text_at(c, "i"), venue_interval_text(interval));
            assert_true(int_at(m, "E") % 250 < 10);
            assert_true(int_at(m, "E") >= last_e);
            last_e = int_at(m, "E");
            /* A candle's events, then its last with x, then the next candle's. */
            if (was_closed)
                assert_true(open_ms == 0 || int_at(c, "t") == open_ms + length / NS_PER_MS);
            else
                assert_int_equal(int_at(c, "t"), open_ms);
            open_ms = int_at(c, "t");
            was_closed = bool_at(c, "x");
            if (!was_closed) {
                updates++;
                continue;
            }
            struct tick_bar bar;
            closed++;
            assert_int_equal(ticks_bars(t.w->ticks, TICKS_LAST, 0, interval, open_ms * NS_PER_MS,
                                        open_ms * NS_PER_MS, &bar, 1),
                             1);
            assert_true(bar.closed);
            candle_equals(c, &bar);
            assert_true(int_at(m, "E") - int_at(c, "T") <= 10);
        }
    }
    assert_true(closed >= 3 && closed <= 4);
    assert_true(updates > closed + 5);
    sock_close(&k);
    stage_close(&t);
}

static void test_candles(void **state) {
    (void)state;
    run_candles("/market/ws/btcusdt@kline_1m", 0, 1000, false);
    run_candles("/market/ws/btcusdt@kline_1m", 0, 50, false);
    run_candles("/market/ws/btcusdt@kline_3m", 1, 1000, false);
    run_candles("/market/ws/btcusdt_perpetual@continuousKline_1m", 0, 90, true);
}

/* ---- tickers, marks ---- */

static void ticker_equals(const struct stage *t, const json_t *m, bool full) {
    struct tick_day d;
    int contract = world_find(t->w, text_at(m, "s"), strlen(text_at(m, "s")));
    assert_true(contract >= 0);
    ticks_day(t->w->ticks, (uint32_t)contract, t->now_ns, &d);
    event_is(m, full ? "24hrTicker" : "24hrMiniTicker");
    keys_are(m, full ? "e E s p P w c Q o h l v q O C F L n ps st" : "e E s c o h l v q ps st");
    assert_int_equal(e8_at(m, "c"), d.last.e8);
    assert_int_equal(e8_at(m, "o"), d.open.e8);
    assert_int_equal(e8_at(m, "h"), d.high.e8);
    assert_int_equal(e8_at(m, "l"), d.low.e8);
    assert_int_equal(e8_at(m, "v"), d.volume.e8);
    assert_int_equal(e8_at(m, "q"), d.quote.e8);
    if (!full) return;
    assert_int_equal(e8_at(m, "p"), d.last.e8 - d.open.e8);
    double percent = 100.0 * (double)(d.last.e8 - d.open.e8) / (double)d.open.e8;
    assert_true(fx_to_f64(e8_at(m, "P")) - percent < 0.0006 &&
                fx_to_f64(e8_at(m, "P")) - percent > -0.0006);
    assert_int_equal(e8_at(m, "w"), d.weighted.e8);
    assert_int_equal(e8_at(m, "Q"), d.last_qty.e8);
    assert_int_equal(int_at(m, "n"), (int64_t)d.count);
    assert_int_equal(int_at(m, "F"), (int64_t)d.first_id);
    assert_int_equal(int_at(m, "L"), (int64_t)d.last_id);
}

static void mark_equals(const struct stage *t, const json_t *m) {
    rate_t rate;
    int64_t next_ns;
    int contract = world_find(t->w, text_at(m, "s"), strlen(text_at(m, "s")));
    assert_true(contract >= 0);
    event_is(m, "markPriceUpdate");
    keys_are(m, "e E s p ap i P r T st");
    struct exchange_prices p = prices_of(t, (uint32_t)contract);
    market_funding_rate_get(t->w->market, (uint32_t)contract, &rate, &next_ns);
    assert_int_equal(e8_at(m, "p"), p.mark.e8);
    assert_int_equal(e8_at(m, "i"), p.index.e8);
    assert_int_equal(e8_at(m, "r"), rate.e8);
    assert_int_equal(int_at(m, "T"), next_ns / NS_PER_MS);
    assert_true(strchr(text_at(m, "p"), '.') && strlen(strchr(text_at(m, "p"), '.')) == 9);
}

static void test_timed(void **state) {
    (void)state;
    struct stage t;
    struct sock mini, ticker, minis, tickers, mark1, mark3, marks;
    stage_open(&t, false, SEEDED);
    assert_true(sock_open(&mini, &t, "/market/ws/btcusdt@miniTicker", ""));
    assert_true(sock_open(&ticker, &t, "/market/ws/btcusdt@ticker", ""));
    assert_true(sock_open(&minis, &t, "/market/ws/!miniTicker@arr", ""));
    assert_true(sock_open(&tickers, &t, "/market/ws/!ticker@arr", ""));
    assert_true(sock_open(&mark1, &t, "/market/ws/btcusdt@markPrice@1s", ""));
    assert_true(sock_open(&mark3, &t, "/market/ws/btcusdt@markPrice", ""));
    assert_true(sock_open(&marks, &t, "/market/ws/!markPrice@arr@1s", ""));
    size_t counts[7] = {0};
    int64_t second = (t.now_ns / NS_PER_SECOND + 1) * NS_PER_SECOND;
    for (int i = 0; i < 12; i++, second += NS_PER_SECOND) {
        while (t.now_ns < second) {
            int64_t now = t.now_ns + 10 * NS_PER_MS;
            stage_until(&t, now < second ? now : second);
        }
        const json_t *m;
        for (; (m = sock_take(&mini)) != NULL; counts[0]++) ticker_equals(&t, m, false);
        for (; (m = sock_take(&ticker)) != NULL; counts[1]++) ticker_equals(&t, m, true);
        for (; (m = sock_take(&minis)) != NULL; counts[2]++)
            for (size_t j = 0; j < json_array_size(m); j++)
                ticker_equals(&t, json_array_get(m, j), false);
        for (; (m = sock_take(&tickers)) != NULL; counts[3]++)
            for (size_t j = 0; j < json_array_size(m); j++)
                ticker_equals(&t, json_array_get(m, j), true);
        for (; (m = sock_take(&mark1)) != NULL; counts[4]++) mark_equals(&t, m);
        for (; (m = sock_take(&mark3)) != NULL; counts[5]++) mark_equals(&t, m);
        for (; (m = sock_take(&marks)) != NULL; counts[6]++) {
            assert_int_equal(json_array_size(m), TEST_CONTRACTS);
            for (size_t j = 0; j < TEST_CONTRACTS; j++) mark_equals(&t, json_array_get(m, j));
        }
    }
    assert_int_equal(counts[0], 6);
    assert_int_equal(counts[1], 6);
    assert_int_equal(counts[2], 12);
    assert_int_equal(counts[3], 12);
    assert_int_equal(counts[4], 12);
    assert_int_equal(counts[5], 4);
    assert_int_equal(counts[6], 12);
    struct sock *all[] = {&mini, &ticker, &minis, &tickers, &mark1, &mark3, &marks};
    for (size_t i = 0; i < 7; i++) sock_close(all[i]);
    stage_close(&t);
}

/* ---- contracts, liquidations ---- */

static void test_contract_info(void **state) {
    (void)state;
    struct stage t;
    struct sock k;
    struct exchange_reply reply;
    stage_open(&t, true, SEEDED);
    assert_true(sock_open(&k, &t, "/market/stream", "streams=!contractInfo"));
    struct instrument rules = *exchange_instrument(t.w->exchange, 0);
    rules.tick_size.e8 /= 10; /* finer: prices get another digit */
    world_filters(t.w, 0, &rules, t.now_ns, &reply);
    assert_int_equal(reply.code, 0);
    stage_do(&t, (struct exchange_input){.kind = EXI_STATUS, .status = INSTRUMENT_SETTLING});
    const json_t *m = json_object_get(sock_take(&k), "data");
    event_is(m, "contractInfo");
    keys_are(m, "e E s ps ct dt ot cs bks");
    assert_string_equal(text_at(m, "cs"), "TRADING");
    const json_t *bks = json_object_get(m, "bks"), *b = json_array_get(bks, 0);
    assert_int_equal(json_array_size(bks), rules.bracket_count);
    keys_are(b, "bs bnf bnc mmr cf mi ma");
    assert_int_equal(int_at(b, "bs"), 1);
    assert_int_equal(int_at(b, "ma"), rules.brackets[0].leverage_max);
    assert_int_equal(int_at(b, "mi"), rules.brackets[1].leverage_max + 1);
    assert_int_equal(int_at(b, "bnc"), rules.brackets[0].notional_cap.e8 / FX_ONE);
    assert_true(json_is_real(json_object_get(b, "mmr")));
    m = json_object_get(sock_take(&k), "data");
    assert_string_equal(text_at(m, "cs"), "SETTLING");
    struct sock trades;
    assert_true(sock_open(&trades, &t, "/ws/btcusdt@trade", ""));
    stage_do(&t, (struct exchange_input){
                     .kind = EXI_PRINT, .side = SIDE_BUY, .price = {5}, .qty = {FX_ONE}});
    m = sock_take(&trades);
    assert_string_equal(text_at(m, "p"), "0.00000005"); /* no digit is lost, whatever the tick */
    assert_string_equal(text_at(m, "q"), "1.000");
    sock_close(&trades);
    sock_close(&k);
    stage_close(&t);
}

static void set_mark(struct stage *t, int64_t px) {
    stage_do(t, (struct exchange_input){
                    .kind = EXI_MARK, .price = {px * FX_ONE}, .price2 = {px * FX_ONE}});
}

static void quote(struct stage *t, enum side side, int64_t px, int64_t qty) {
    stage_do(t, (struct exchange_input){.kind = EXI_QUOTE,
                                        .side = (uint8_t)side,
                                        .price = {px * FX_ONE},
                                        .qty = {qty * FX_ONE}});
}

static void test_liquidation(void **state) {
    (void)state;
    struct stage t;
    struct sock forced, all, user;
    char key[LISTEN_KEY_SIZE], path[120];
    stage_open(&t, true, SEEDED);
    set_mark(&t, 68000);
    quote(&t, SIDE_SELL, 68000, 50);
    uint32_t poor = exchange_account_count(t.w->exchange);
    test_account_open(t.w, money_e8(1000 * FX_ONE));
    streams_key_start(t.s, poor, t.now_ns, key);
    snprintf(path, sizeof path, "/private/ws/%s", key);
    assert_true(sock_open(&user, &t, path, ""));
    assert_true(sock_open(&forced, &t, "/market/ws/btcusdt@forceOrder", ""));
    assert_true(sock_open(&all, &t, "/market/ws/!forceOrder@arr", ""));
    stage_do(&t, (struct exchange_input){.kind = EXI_LEVERAGE, .account = poor, .leverage = 50});
    struct exchange_input buy = {.kind = EXI_ORDER_PLACE,
                                 .account = poor,
                                 .side = SIDE_BUY,
                                 .type = ORDER_MARKET,
                                 .qty = {FX_ONE / 2}};
    assert_int_equal(stage_do(&t, buy).code, 0);
    quote(&t, SIDE_SELL, 68000, 0);
    for (int64_t px = 67900; px > 65500; px -= 100) {
        quote(&t, SIDE_BUY, px + 99, 0);
        quote(&t, SIDE_BUY, px - 1, 50);
        set_mark(&t, px);
        stage_run(&t, 50 * NS_PER_MS);
    }
    stage_run(&t, 1500 * NS_PER_MS);
    bool called = false, calculated = false;
    for (const json_t *m; (m = sock_take(&user)) != NULL;) {
        if (strcmp(text_at(m, "e"), "MARGIN_CALL") == 0) {
            keys_are(m, "e E cw p");
            const json_t *p = json_array_get(json_object_get(m, "p"), 0);
            keys_are(p, "s ps pa mt iw mp up mm");
            assert_int_equal(e8_at(p, "pa"), FX_ONE / 2);
            assert_true(e8_at(p, "mm") > 0 && e8_at(p, "up") < 0);
            assert_false(calculated);
            called = true;
        }
        if (strcmp(text_at(m, "e"), "ORDER_TRADE_UPDATE") == 0) {
            const json_t *o = json_object_get(m, "o");
            if (strcmp(text_at(o, "x"), "CALCULATED") != 0) continue;
            assert_memory_equal(text_at(o, "c"), "autoclose-", 10);
            assert_string_equal(text_at(o, "f"), "IOC");
            assert_true(bool_at(o, "R"));
            calculated = true;
        }
    }
    assert_true(called && calculated);
    assert_true(sock_waiting(&forced) >= 1);
    assert_int_equal(sock_waiting(&forced), sock_waiting(&all));
    const json_t *m = sock_take(&forced);
    event_is(m, "forceOrder");
    keys_are(m, "e E o st");
    assert_true(int_at(m, "E") % 1000 < 10);
    const json_t *o = json_object_get(m, "o");
    keys_are(o, "s S o f q p ap X l z T");
    assert_string_equal(text_at(o, "S"), "SELL");
    assert_string_equal(text_at(o, "o"), "LIMIT");
    assert_string_equal(text_at(o, "f"), "IOC");
    assert_true(e8_at(o, "z") > 0);
    sock_close(&user);
    sock_close(&forced);
    sock_close(&all);
    stage_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),       cmocka_unit_test(test_depth_quiet),
        cmocka_unit_test(test_top),         cmocka_unit_test(test_book_ticker),
        cmocka_unit_test(test_trades),      cmocka_unit_test(test_candles),
        cmocka_unit_test(test_timed),       cmocka_unit_test(test_contract_info),
        cmocka_unit_test(test_liquidation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
