/* Which contracts are listed, and how a replay begins, goes on and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/tstamp.h"
#include "venue/server/source.h"

enum { PATH_BYTES = 256 };
static char folder[] = "listing-XXXXXX";

static int folder_make(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state) {
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* NOLINT(bugprone-command-processor): a fixed word and mkdtemp's own */
}

static const char *file(char out[PATH_BYTES], const char *name, const char *text) {
    snprintf(out, PATH_BYTES, "%s/%s", folder, name);
    FILE *f = text ? fopen(out, "w") : NULL;
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    return out;
}

static void listed(struct listing *l, const struct listing_options *o) {
    struct err err;
    if (listing_make(l, o, &err) != ST_OK) fail_msg("%s", err.text);
}

static void refused(const struct listing_options *o, enum status want, const char *part) {
    struct listing l;
    struct err err = {0};
    enum status st = listing_make(&l, o, &err);
    if (st != want || !strstr(err.text, part))
        fail_msg("status %d '%s', wanted %d '%s'", st, err.text, want, part);
}

static void test_table(void **state) {
    (void)state;
    struct listing l;
    struct listing_options o = {.source = MARKET_SYNTHETIC};
    listed(&l, &o);
    assert_int_equal(l.count, 10);
    assert_string_equal(l.instruments[0].symbol, "BTCUSDT");
    listing_free(&l);
    o.symbols = "300";
    listed(&l, &o);
    assert_int_equal(l.count, 300);
    listing_free(&l);
    o.symbols = "SYN011USDT,ETHUSDT";
    listed(&l, &o);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.instruments[0].symbol, "SYN011USDT");
    assert_string_equal(l.instruments[1].symbol, "ETHUSDT");
    assert_true(l.start_px[0].e8 > 0 && l.start_px[1].e8 > 0);
    listing_free(&l);
    static const struct {
        const char *symbols;
        enum status st;
        const char *part;
    } bad[] = {{"0", ST_NOT_FOUND, "'0'"},
               {"401", ST_NOT_FOUND, "'401'"},
               {"BTCUSDT,,ETHUSDT", ST_INVALID, "list of symbols"},
               {"BTCUSDT,", ST_INVALID, "list of symbols"},
               {"", ST_INVALID, "list of symbols"},
               {"btcusdt", ST_NOT_FOUND, "'btcusdt'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.symbols = bad[i].symbols;
        refused(&o, bad[i].st, bad[i].part);
    }
}

#define CONTRACT(symbol, status, tick)                                                             \
    "{\"symbol\":\"" symbol "\",\"contractType\":\"PERPETUAL\",\"status\":\"" status               \
    "\",\"quoteAsset\":\"USDT\",\"marginAsset\":\"USDT\",\"deliveryDate\":4133404800000,"          \
    "\"onboardDate\":1567965300000,\"liquidationFee\":\"0.01\",\"marketTakeBound\":\"0.05\","      \
    "\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"" tick "\",\"maxPrice\":"        \
    "\"100000\",\"tickSize\":\"" tick "\"},{\"filterType\":\"LOT_SIZE\",\"minQty\":\"1\","         \
    "\"maxQty\":\"100000\",\"stepSize\":\"1\"},{\"filterType\":\"MARKET_LOT_SIZE\",\"minQty\":"    \
    "\"1\",\"maxQty\":\"50000\",\"stepSize\":\"1\"},{\"filterType\":\"MIN_NOTIONAL\","             \
    "\"notional\":\"5\"},{\"filterType\":\"PERCENT_PRICE\",\"multiplierUp\":\"1.1\","              \
    "\"multiplierDown\":\"0.9\",\"multiplierDecimal\":\"4\"}]}"

static void test_rules(void **state) {
    (void)state;
    char info[PATH_BYTES], brackets[PATH_BYTES], both[2 * PATH_BYTES + 1];
    struct listing l;
    file(info, "info.json",
         "{\"symbols\":[" CONTRACT("AAAUSDT", "TRADING", "0.01") "," CONTRACT(
             "GONEUSDT", "SETTLING", "0.01") "," CONTRACT("CCCUSDT", "TRADING", "0.0001") "]}");
    file(brackets, "brackets.json",
         "[{\"symbol\":\"CCCUSDT\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":75,"
         "\"notionalCap\":5000,\"notionalFloor\":0,\"maintMarginRatio\":0.01,\"cum\":0.0},"
         "{\"bracket\":2,\"initialLeverage\":50,\"notionalCap\":50000,\"notionalFloor\":5000,"
         "\"maintMarginRatio\":0.02,\"cum\":50.0}]}]");
    snprintf(both, sizeof both, "%s,%s", info, brackets);
    struct listing_options o = {.source = MARKET_SYNTHETIC, .rules = both};
    listed(&l, &o);
    assert_int_equal(l.count, 2); /* what is being delisted is not listed */
    assert_string_equal(l.instruments[0].symbol, "AAAUSDT");
    assert_int_equal(l.instruments[0].tick_size.e8, FX_ONE / 100);
    assert_int_equal(l.instruments[1].bracket_count, 2);
    assert_int_equal(l.instruments[1].brackets[0].leverage_max, 75);
    for (int i = 0; i < 2; i++)
        assert_int_equal(instrument_check_px(&l.instruments[i], l.start_px[i]), FILTER_OK);
    listing_free(&l);
    o.symbols = "CCCUSDT";
    listed(&l, &o);
    assert_int_equal(l.count, 1);
    listing_free(&l);
    o.symbols = "GONEUSDT";
    refused(&o, ST_NOT_FOUND, "are in it and trading");
    o.symbols = NULL;
    o.rules = "no-such-file.json";
    refused(&o, ST_NOT_FOUND, "no-such-file.json");
    o.rules = file(info, "damaged.json", "{\"symbols\":[");
    refused(&o, ST_INVALID, "damaged.json");
}

static void test_trade_lines(void **state) {
    (void)state;
    struct market_trade t;
    assert_true(listing_trade_parse(&t, "7,0.7097,19.0,1,2,1729209603958,false\r\n"));
    assert_int_equal(t.px.e8, 70970000);
    assert_int_equal(t.qty.e8, 19 * FX_ONE);
    assert_int_equal(t.ts_ns, INT64_C(1729209603958) * NS_PER_MS);
    assert_false(t.buyer_is_maker);
    assert_true(listing_trade_parse(&t, "7,1,2,1,2,1735689600000123,True")); /* microseconds */
    assert_int_equal(t.ts_ns, INT64_C(1735689600000123) * 1000);
    assert_true(t.buyer_is_maker);
    static const char *const bad[] = {"",
                                      "agg_trade_id,price,quantity,first,last,transact_time,maker",
                                      "7,1,2,1,2,1735689600000",
                                      "7,,2,1,2,1735689600000,true",
                                      "7,0,2,1,2,1735689600000,true",
                                      "7,1,-2,1,2,1735689600000,true",
                                      "7,1,2,1,2,soon,true",
                                      "7,1,2,1,2,-5,true",
                                      "7,1,2,1,2,99999999999999999999,true"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (listing_trade_parse(&t, bad[i])) fail_msg("taken: %s", bad[i]);
}

/* ---- replays in a world ---- */

#define NOW_NS (INT64_C(1790000000) * NS_PER_SECOND + 17 * NS_PER_SECOND)
#define OLD_NS (INT64_C(1600000020) * NS_PER_SECOND) /* a full minute */

struct replay {
    struct listing listing;
    struct source *source;
    struct world *world;
    struct err prepared;
};

static void prepare(void *context, struct world *w) {
    struct replay *r = context;
    source_prepare(r->source, w, &r->prepared);
}

static void feed(void *context, struct world *w, int64_t until_ns) {
    struct replay *r = context;
    source_feed(r->source, w, until_ns);
}

static void replay_open(struct replay *r, enum market_source source, const char *dir,
                        uint32_t history_days) {
    struct err err;
    struct market_config m = market_config_defaults();
    m.source = source;
    m.instrument_count = r->listing.count;
    m.instruments = r->listing.instruments;
    m.start_px = r->listing.start_px;
    m.start_ns = NOW_NS;
    m.interval_ns = r->listing.interval_ns;
    struct world_options o = {.exchange = exchange_config_defaults(),
                              .market = m,
                              .history = history_limits_defaults(),
                              .ticks = {r->listing.count, 3000, 100, 100},
                              .state_dir = dir,
                              .start_ns = NOW_NS,
                              .prepare = prepare,
                              .feed = feed,
                              .context = r};
    o.exchange.instrument_count = r->listing.count;
    o.exchange.instruments = r->listing.instruments;
    o.exchange.accounts_max = 4;
    o.exchange.orders_max = 64;
    o.exchange.algos_max = 16;
    o.history.orders_max = o.history.algos_max = o.history.trades_max = 256;
    o.history.incomes_max = o.history.amendments_max = 256;
    if (source_open(&r->source, &r->listing, &m, history_days, dir, &err) != ST_OK ||
        world_open(&r->world, &o, &err) != ST_OK)
        fail_msg("%s", err.text);
    assert_int_equal(r->prepared.st, ST_OK);
}

static void replay_close(struct replay *r) {
    struct err err;
    assert_int_equal(world_close(r->world, &err), ST_OK);
    source_close(r->source);
}

static void store_make(const char *dir, int minutes) {
    struct candles_merge merged;
    struct err err;
    struct bar *bars = calloc((size_t)minutes, sizeof *bars);
    assert_non_null(bars);
    for (int i = 0; i < minutes; i++) {
        int64_t px = 100 * FX_ONE + i * FX_ONE / 100;
        bars[i] = (struct bar){.open_ts_ns = OLD_NS + i * NS_PER_MINUTE,
                               .open = {px},
                               .high = {px + FX_ONE / 10},
                               .low = {px - FX_ONE / 10},
                               .close = {px + FX_ONE / 100},
                               .volume = 50,
                               .quote_volume = NAN,
                               .taker_buy_ratio = NAN,
                               .trade_count = BAR_COUNT_UNKNOWN};
    }
    if (candles_merge(&merged, dir, "um", NS_PER_MINUTE, "OLDUSDT", 0, bars, (size_t)minutes,
                      &err) != ST_OK)
        fail_msg("%s", err.text);
    free(bars);
}

static px_t last_px(const struct replay *r) {
    struct exchange_prices p;
    exchange_prices_get(r->world->exchange, 0, &p);
    return p.index;
}

/* A day of the store is the past; from there on its minutes are ours. */
static void test_candles_replay(void **state) {
    (void)state;
    enum { DAY = 1440, MINUTES = DAY + 30 };
    char store[PATH_BYTES], dir[PATH_BYTES];
    struct replay r = {0};
    struct tick_bar bars[2000];
    file(store, "store", NULL);
    file(dir, "candles-state", NULL);
    store_make(store, MINUTES);
    struct listing_options o = {.source = MARKET_CANDLES, .path = store, .history_days = 1};
    listed(&r.listing, &o);
    assert_int_equal(r.listing.replay_from_ns, OLD_NS + DAY * NS_PER_MINUTE);
    assert_int_equal(r.listing.start_px[0].e8, 100 * FX_ONE + DAY * FX_ONE / 100);
    replay_open(&r, MARKET_CANDLES, dir, 1);
    int64_t open_ns = fx_snap_down(NOW_NS, NS_PER_MINUTE);
    int minute = venue_interval_find("1m");
    uint32_t count = ticks_bars(r.world->ticks, TICKS_LAST, 0, minute, 0, NOW_NS, bars, 2000);
    assert_in_range(count, DAY, DAY + 1);
    assert_int_equal(bars[0].open_ns, open_ns - DAY * NS_PER_MINUTE);
    assert_int_equal(bars[0].open.e8, 100 * FX_ONE);
    assert_int_equal(bars[DAY - 1].close.e8, r.listing.start_px[0].e8);
    for (int s = 0; s <= 180; s += 10) world_advance(r.world, NOW_NS + s * NS_PER_SECOND);
    /* Three minutes later we are inside the store's minute DAY + 3. */
    int64_t want = 100 * FX_ONE + (DAY + 3) * FX_ONE / 100;
    assert_in_range(last_px(&r).e8, want - FX_ONE / 10, want + FX_ONE / 10);
    replay_close(&r);
    /* Another life goes on in the same minute, and passes over what it missed. */
    replay_open(&r, MARKET_CANDLES, dir, 1);
    int64_t fed = world_fed_ns(r.world, 0);
    assert_in_range(fed, open_ns + 3 * NS_PER_MINUTE, open_ns + 8 * NS_PER_MINUTE);
    for (int s = 1200; s <= 1230; s += 10) world_advance(r.world, NOW_NS + s * NS_PER_SECOND);
    want = 100 * FX_ONE + (DAY + 20) * FX_ONE / 100;
    assert_in_range(last_px(&r).e8, want - FX_ONE / 10, want + FX_ONE / 10);
    assert_true(world_fed_ns(r.world, 0) >= open_ns + 20 * NS_PER_MINUTE);
    /* The end of the data: it stands at the last close. */
    for (int s = 1230; s <= 4000; s += 10) world_advance(r.world, NOW_NS + s * NS_PER_SECOND);
    assert_int_equal(last_px(&r).e8, 100 * FX_ONE + MINUTES * FX_ONE / 100);
    replay_close(&r);
    listing_free(&r.listing);
    o.path = "no-such-store";
    refused(&o, ST_NOT_FOUND, "no-such-store");
}

static void test_trades_replay(void **state) {
    (void)state;
    char path[PATH_BYTES], dir[PATH_BYTES], text[4096] = "agg_trade_id,price,quantity,f,l,t,m\n";
    struct replay r = {0};
    size_t at = strlen(text);
    for (int i = 0; i < 40; i++)
        at +=
            (size_t)snprintf(text + at, sizeof text - at, "%d,2.%03d,10.5,%d,%d,%lld,%s\n", i + 1,
                             500 + i, i, i, 1700000000000LL + i * 1000LL, i % 2 ? "true" : "false");
    file(path, "XYZUSDT-aggTrades-2023.csv", text);
    file(dir, "trades-state", NULL);
    struct listing_options o = {.source = MARKET_TRADES, .path = path};
    listed(&r.listing, &o);
    assert_string_equal(r.listing.instruments[0].symbol, "XYZUSDT");
    assert_int_equal(r.listing.instruments[0].tick_size.e8, FX_ONE / 1000);
    assert_int_equal(r.listing.instruments[0].step_size.e8, FX_ONE / 10);
    assert_int_equal(r.listing.start_px[0].e8, 250000000);
    replay_open(&r, MARKET_TRADES, dir, 0);
    for (int s = 1; s <= 10; s++) world_advance(r.world, NOW_NS + s * NS_PER_SECOND);
    struct tick_trade trades[64];
    uint32_t count = ticks_trades(r.world->ticks, 0, false, 0, 0, INT64_MAX, trades, 64);
    assert_int_equal(count, 11); /* the first came at once */
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(trades[i].px.e8, 250000000 + i * (FX_ONE / 1000));
        assert_int_equal(trades[i].ts_ns, NOW_NS + i * NS_PER_SECOND);
        assert_int_equal(trades[i].buyer_is_maker, i % 2);
    }
    replay_close(&r);
    replay_open(&r, MARKET_TRADES, dir, 0);
    for (int s = 11; s <= 60; s++) world_advance(r.world, NOW_NS + s * NS_PER_SECOND);
    count = ticks_trades(r.world->ticks, 0, false, 0, 0, INT64_MAX, trades, 64);
    assert_int_equal(count, 40); /* each once, over both lives */
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(trades[i].px.e8, 250000000 + i * (FX_ONE / 1000));
    replay_close(&r);
    listing_free(&r.listing);
    o.path = file(path, "XYZUSDT-empty.csv", "agg_trade_id,price\n");
    refused(&o, ST_INVALID, "no aggregate trades");
}

/* A made-up past ends where the exchange begins, without a hole, on the contract's grid. */
static void test_made_history(void **state) {
    (void)state;
    struct replay r = {0};
    static struct tick_bar bars[3000];
    struct listing_options o = {.source = MARKET_SYNTHETIC, .symbols = "2"};
    listed(&r.listing, &o);
    replay_open(&r, MARKET_SYNTHETIC, NULL, 2);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t count = ticks_bars(r.world->ticks, TICKS_LAST, i, venue_interval_find("1m"), 0,
                                    NOW_NS, bars, 3000);
        assert_in_range(count, 2880, 2881);
        assert_int_equal(bars[2879].close.e8, r.listing.start_px[i].e8);
        for (uint32_t k = 0; k < 2880; k++) {
            assert_int_equal(instrument_check_px(&r.listing.instruments[i], bars[k].open), 0);
            assert_true(bars[k].low.e8 <= bars[k].open.e8 && bars[k].high.e8 >= bars[k].close.e8);
            if (k) assert_int_equal(bars[k].open_ns, bars[k - 1].open_ns + NS_PER_MINUTE);
            if (k) assert_int_equal(bars[k].open.e8, bars[k - 1].close.e8);
        }
        struct tick_funding fundings[64];
        assert_in_range(ticks_fundings(r.world->ticks, i, 0, INT64_MAX, fundings, 64), 5, 13);
    }
    replay_close(&r);
    listing_free(&r.listing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_rules),
        cmocka_unit_test(test_trade_lines),   cmocka_unit_test(test_candles_replay),
        cmocka_unit_test(test_trades_replay), cmocka_unit_test(test_made_history),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
