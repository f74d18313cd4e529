/* A feed gives the same steps whichever way one comes to them, and tells what it assumes. */
#include "backtest/feed.h"

#include <math.h>

#include "backtest/test_tape.h"

static char root[TAPE_PATH_SIZE];
static uint32_t stores_made;

static int setup_group(void **state) {
    (void)state;
    tape_folder(root);
    return 0;
}

static int teardown_group(void **state) {
    (void)state;
    tape_remove(root);
    return 0;
}

static const char *new_store(char out[TAPE_PATH_SIZE + 32]) {
    snprintf(out, TAPE_PATH_SIZE + 32, "%s/store-%u", root, stores_made++);
    return out;
}

static struct feed *open_feed(const struct feed_tape_options *o) {
    struct feed *feed = NULL;
    struct err err = {0};
    tape_ok(feed_open_tape(&feed, o, &err), &err);
    return feed;
}

static uint64_t hash_of(const struct feed_tape_options *o) {
    struct feed *feed = open_feed(o);
    uint64_t hash = feed_hash(feed);
    feed_close(feed);
    return hash;
}

/* Four series of different lives: from..to in bars, one with a hole. */
static const struct life {
    const char *symbol;
    size_t first, end, hole_first, hole_end;
} LIVES[] = {
    {"BBBUSDT", 0, 300, 100, 110},
    {"AAAUSDT", 50, 200, 0, 0},
    {"DDDUSDT", 120, 240, 0, 0},
    {"CCCUSDT", 0, 300, 0, 0},
};
enum { LIVES_COUNT = sizeof LIVES / sizeof *LIVES, LIVES_BARS = 300 };

static void write_lives(const char *dir) {
    struct instrument instruments[TAPE_SYMBOLS];
    struct bar *bars = tape_bars(3, instruments);
    for (size_t i = 0; i < LIVES_COUNT; i++) {
        const struct life *l = &LIVES[i];
        const struct bar *own = bars + i * TAPE_BARS;
        tape_put(dir, l->symbol, own, l->first, l->hole_end ? l->hole_first : l->end);
        if (l->hole_end) tape_put(dir, l->symbol, own, l->hole_end, l->end);
    }
    free(bars);
}

static const struct life *life_of(const char *symbol) {
    for (size_t i = 0; i < LIVES_COUNT; i++)
        if (strcmp(LIVES[i].symbol, symbol) == 0) return &LIVES[i];
    fail_msg("unknown symbol %s", symbol);
    return NULL;
}

static bool lives_at(const struct life *l, size_t t) {
    return t >= l->first && t < l->end && !(t >= l->hole_first && t < l->hole_end);
}

/* ---- steps ---- */

static void symbols_are_in_order(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    write_lives(new_store(dir));
    struct feed_tape_options o = tape_options(dir);
    struct feed *feed = open_feed(&o);
    const struct instrument *in = feed_instruments(feed);
    struct feed_step step;
    assert_int_equal(feed_symbol_count(feed), LIVES_COUNT);
    for (uint32_t i = 1; i < LIVES_COUNT; i++)
        assert_true(strcmp(in[i - 1].symbol, in[i].symbol) < 0);
    assert_int_equal(feed_step_count(feed), LIVES_BARS);
    assert_int_equal(feed_from_ns(feed), TAPE_START_NS);
    assert_int_equal(feed_to_ns(feed), TAPE_START_NS + LIVES_BARS * NS_PER_MINUTE);
    for (size_t t = 0; t < LIVES_BARS; t++) {
        assert_int_equal(feed_next(feed, &step), ST_OK);
        assert_int_equal(step.index, t);
        assert_int_equal(step.open_ts_ns, TAPE_START_NS + (int64_t)t * NS_PER_MINUTE);
        uint32_t at = 0;
        for (uint32_t i = 0; i < LIVES_COUNT; i++) {
            if (!lives_at(life_of(in[i].symbol), t)) continue;
            assert_true(at < step.count);
            assert_int_equal(step.symbols[at], i);
            assert_int_equal(step.bars[at]->open_ts_ns, step.open_ts_ns);
            at++;
        }
        assert_int_equal(at, step.count);
    }
    assert_int_equal(feed_next(feed, &step), ST_END);
    assert_int_equal(feed_next(feed, &step), ST_END);
    feed_close(feed);
}

static void an_ended_symbol_is_told_once(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    write_lives(new_store(dir));
    struct feed_tape_options o = tape_options(dir);
    struct feed *feed = open_feed(&o);
    struct feed_step step;
    uint32_t told = 0;
    while (feed_next(feed, &step) == ST_OK) {
        for (uint32_t j = 0; j < step.ended_count; j++) {
            const struct life *l = life_of(feed_instruments(feed)[step.ended[j]].symbol);
            assert_int_equal(step.index, l->end); /* in the step behind its last bar */
            told++;
        }
    }
    assert_int_equal(told, 2); /* AAA and DDD; the others live as long as the tape */
    feed_close(feed);
}

static void assert_same_step(const struct feed_step *a, const struct feed_step *b) {
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->open_ts_ns, b->open_ts_ns);
    assert_int_equal(a->count, b->count);
    for (uint32_t j = 0; j < a->count; j++) {
        assert_int_equal(a->symbols[j], b->symbols[j]);
        assert_memory_equal(a->bars[j], b->bars[j], sizeof **a->bars);
        assert_int_equal(a->marks[j] != NULL, b->marks[j] != NULL);
        if (a->marks[j]) assert_memory_equal(a->marks[j], b->marks[j], sizeof **a->marks);
    }
    assert_int_equal(a->funding_count, b->funding_count);
    for (uint32_t j = 0; j < a->funding_count; j++) {
        assert_int_equal(a->fundings[j].symbol, b->fundings[j].symbol);
        assert_int_equal(a->fundings[j].ts_ns, b->fundings[j].ts_ns);
        assert_int_equal(a->fundings[j].rate.e8, b->fundings[j].rate.e8);
    }
    assert_int_equal(a->ended_count, b->ended_count);
    for (uint32_t j = 0; j < a->ended_count; j++) assert_int_equal(a->ended[j], b->ended[j]);
}

/* From any place to any other, against a feed that goes one by one. */
static void check_seeks(struct feed *sought, struct feed *plain, uint64_t steps) {
    struct rng rng = rng_init(tape_seed());
    struct feed_step a, b;
    for (int round = 0; round < 60; round++) {
        uint64_t to = round < 4 ? (uint64_t)round : rng_below(&rng, steps);
        feed_seek(sought, to);
        feed_seek(plain, 0);
        for (uint64_t k = 0; k < to; k++) assert_int_equal(feed_next(plain, &b), ST_OK);
        for (uint64_t k = to; k < to + 5 && k < steps; k++) {
            assert_int_equal(feed_next(sought, &a), ST_OK);
            assert_int_equal(feed_next(plain, &b), ST_OK);
            assert_same_step(&a, &b);
        }
    }
}

static void put_funding(const char *dir, const char *symbol, int64_t first_ns, int64_t every_ns,
                        size_t count) {
    struct funding_rate rows[64];
    struct candles_merge merged;
    struct err err = {0};
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++)
        rows[i] =
            (struct funding_rate){first_ns + (int64_t)i * every_ns, rate_e8(1000 + (int64_t)i)};
    tape_ok(funding_merge(&merged, dir, symbol, rows, count, &err), &err);
}

static void put_marks(const char *dir, const char *symbol, size_t first, size_t end) {
    struct instrument instruments[TAPE_SYMBOLS];
    struct candles_merge merged;
    struct err err = {0};
    struct bar *bars = tape_bars(4, instruments);
    tape_ok(candles_merge(&merged, dir, "mark", NS_PER_MINUTE, symbol, INSTRUMENT_SYNTHETIC,
                          bars + first, end - first, &err),
            &err);
    free(bars);
}

static void seeking_is_going_there(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    write_lives(new_store(dir));
    put_marks(dir, "AAAUSDT", 60, 160);
    put_funding(dir, "CCCUSDT", TAPE_START_NS + NS_PER_HOUR, NS_PER_HOUR, 3);
    struct feed_tape_options o = tape_options(dir);
    struct feed *sought = open_feed(&o), *plain = open_feed(&o);
    check_seeks(sought, plain, LIVES_BARS);
    feed_close(sought);
    feed_close(plain);
}

static void seeking_the_generator_is_going_there(void **state) {
    (void)state;
    struct synth_config c = tape_synth(7);
    struct feed *sought = NULL, *plain = NULL;
    struct err err = {0};
    tape_ok(feed_open_synth(&sought, &c, c.start_ts_ns, &err), &err);
    tape_ok(feed_open_synth(&plain, &c, c.start_ts_ns, &err), &err);
    assert_int_equal(feed_step_count(sought), 0);
    assert_int_equal(feed_to_ns(sought), 0);
    assert_true(feed_is_synthetic(sought));
    assert_int_equal(feed_hash(sought), feed_hash(plain));
    check_seeks(sought, plain, 700);
    feed_close(sought);
    feed_close(plain);
}

/* ---- window ---- */

static void the_window_has_its_warmup_before(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    write_lives(new_store(dir));
    struct feed_tape_options o = tape_options(dir);
    struct feed_step step;
    o.from_ns = TAPE_START_NS + 150 * NS_PER_MINUTE;
    o.to_ns = TAPE_START_NS + 220 * NS_PER_MINUTE;
    o.warmup_bars = 40;
    struct feed *feed = open_feed(&o);
    assert_int_equal(feed_from_ns(feed), o.from_ns);
    assert_int_equal(feed_to_ns(feed), o.to_ns);
    assert_int_equal(feed_step_count(feed), 40 + 70);
    assert_int_equal(feed_next(feed, &step), ST_OK);
    assert_int_equal(step.open_ts_ns, TAPE_START_NS + 110 * NS_PER_MINUTE);
    assert_int_equal(step.count, 3); /* D does not live yet */
    size_t count;
    const struct bar *bars = feed_bars(feed, 0, &count);
    assert_int_equal(count, 200 - 110);
    assert_int_equal(bars[0].open_ts_ns, step.open_ts_ns);
    feed_close(feed);
    /* Nobody who has no bar inside takes part, however many lie before. */
    o.from_ns = TAPE_START_NS + 200 * NS_PER_MINUTE;
    o.to_ns = 0;
    o.warmup_bars = 1000;
    feed = open_feed(&o);
    assert_int_equal(feed_symbol_count(feed), 3);
    assert_string_equal(feed_instruments(feed)[0].symbol, "BBBUSDT");
    assert_int_equal(feed_to_ns(feed), TAPE_START_NS + LIVES_BARS * NS_PER_MINUTE);
    feed_close(feed);
}

static void nothing_in_the_window_is_an_error(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    write_lives(new_store(dir));
    struct feed_tape_options o = tape_options(dir);
    struct feed *feed = NULL;
    struct err err = {0};
    o.from_ns = TAPE_START_NS + NS_PER_DAY;
    assert_int_equal(feed_open_tape(&feed, &o, &err), ST_NOT_FOUND);
    assert_true(err.text[0] != '\0');
    assert_null(feed);
    o = tape_options(new_store(dir));
    assert_int_equal(feed_open_tape(&feed, &o, &err), ST_NOT_FOUND);
    assert_null(feed);
}

static void a_wrong_name_is_an_error(void **state) {
    (void)state;
    static const char *const wrong[] = {"AAAUSDT,BBBUSD",   "AAAUSD",           "aaausdt",
                                        "AAAUSDT,,BBBUSDT", "AAAUSDT, BBBUSDT", "AAAUSDTX"};
    char dir[TAPE_PATH_SIZE + 32];
    write_lives(new_store(dir));
    struct feed_tape_options o = tape_options(dir);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct feed *feed = NULL;
        struct err err = {0};
        o.symbols = wrong[i];
        if (feed_open_tape(&feed, &o, &err) != ST_NOT_FOUND) fail_msg("'%s' was taken", wrong[i]);
        assert_non_null(strstr(err.text, "is not in the store"));
        assert_null(feed);
    }
    o.symbols = "DDDUSDT,AAAUSDT";
    struct feed *feed = open_feed(&o);
    assert_int_equal(feed_symbol_count(feed), 2);
    assert_string_equal(feed_instruments(feed)[0].symbol,
                        "AAAUSDT"); /* the store's order, not the list's */
    feed_close(feed);
}

/* ---- identity ---- */

static void every_bar_counts_in_the_hash(void **state) {
    (void)state;
    char a[TAPE_PATH_SIZE + 32], b[TAPE_PATH_SIZE + 32];
    struct instrument instruments[TAPE_SYMBOLS];
    struct bar *bars = tape_bars(3, instruments);
    new_store(a);
    tape_put(a, "AAAUSDT", bars, 0, 100);
    struct feed_tape_options o = tape_options(a), other;
    uint64_t hash = hash_of(&o);
    assert_int_equal(hash, hash_of(&o));
    /* Another folder, the same bars. */
    other = tape_options(new_store(b));
    tape_put(b, "AAAUSDT", bars, 0, 100);
    assert_int_equal(hash, hash_of(&other));
    /* One bar, its last digit. */
    other = tape_options(new_store(b));
    bars[57].close.e8 += bars[57].close.e8 < bars[57].high.e8 ? 1 : -1;
    tape_put(b, "AAAUSDT", bars, 0, 100);
    assert_true(hash != hash_of(&other));
    bars[57].close.e8 = bars[58].open.e8;
    free(bars);
    bars = tape_bars(3, instruments);
    /* One bar less; another name; a settlement; a mark price; another window. */
    other = tape_options(new_store(b));
    tape_put(b, "AAAUSDT", bars, 0, 99);
    assert_true(hash != hash_of(&other));
    other = tape_options(new_store(b));
    tape_put(b, "AAABUSDT", bars, 0, 100);
    assert_true(hash != hash_of(&other));
    put_funding(a, "AAAUSDT", TAPE_START_NS + NS_PER_HOUR, NS_PER_HOUR, 1);
    uint64_t funded = hash_of(&o);
    assert_true(hash != funded);
    put_marks(a, "AAAUSDT", 10, 20);
    assert_true(funded != hash_of(&o));
    other = tape_options(a);
    other.to_ns = TAPE_START_NS + 50 * NS_PER_MINUTE;
    assert_true(hash_of(&o) != hash_of(&other));
    free(bars);
}

static void every_figure_counts_in_the_generators_hash(void **state) {
    (void)state;
    struct synth_config base = tape_synth(1), c[6];
    for (size_t i = 0; i < 6; i++) c[i] = base;
    c[1].seed++;
    c[2].symbol_count--;
    c[3].interval_ns *= 5;
    c[4].pattern += 0.5;
    c[5].volatility_annual += 0.1;
    uint64_t hashes[6];
    for (size_t i = 0; i < 6; i++) {
        struct feed *feed = NULL;
        struct err err = {0};
        tape_ok(feed_open_synth(&feed, &c[i], c[i].start_ts_ns, &err), &err);
        hashes[i] = feed_hash(feed);
        feed_close(feed);
        for (size_t j = 0; j < i; j++) assert_true(hashes[i] != hashes[j]);
    }
}

/* ---- funding ---- */

struct settlement {
    uint32_t symbol;
    int64_t ts_ns, rate_e8;
};

static size_t all_settlements(struct settlement *out, size_t max, struct feed *feed) {
    struct feed_step step;
    size_t n = 0;
    while (feed_next(feed, &step) == ST_OK)
        for (uint32_t j = 0; j < step.funding_count; j++) {
            int64_t ts = step.fundings[j].ts_ns;
            assert_true(n < max);
            assert_true(ts > step.open_ts_ns && ts <= step.open_ts_ns + feed_interval_ns(feed));
            out[n++] = (struct settlement){step.fundings[j].symbol, ts, step.fundings[j].rate.e8};
        }
    return n;
}

static void funding_is_given_or_assumed(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct instrument instruments[TAPE_SYMBOLS];
    struct bar *bars = tape_bars(3, instruments);
    struct settlement got[64];
    new_store(dir);
    tape_put(dir, "AAAUSDT", bars, 0, 2000); /* 33 h 20 min */
    tape_put(dir, "BBBUSDT", bars, 0, 2000);
    /* Known from 8 h to 16 h, every four hours, the first and last a few ms late, as the venue's are. */
    put_funding(dir, "BBBUSDT", TAPE_START_NS + 8 * NS_PER_HOUR + NS_PER_MS, 4 * NS_PER_HOUR, 2);
    put_funding(dir, "BBBUSDT", TAPE_START_NS + 16 * NS_PER_HOUR + 7 * NS_PER_MS, NS_PER_HOUR, 1);
    struct feed_tape_options o = tape_options(dir);
    struct feed *feed = open_feed(&o);
    assert_int_equal(feed_funding_assumed(feed), 1);
    size_t n = all_settlements(got, 64, feed), at[2] = {0, 0};
    /* Nothing is known: the venue's usual 0.01 % at 0, 8 and 16 o'clock. */
    static const int64_t assumed[] = {8, 16, 24, 32};
    /* Known: what is on record, and the usual again behind its end. */
    const struct settlement known[] = {{1, TAPE_START_NS + 8 * NS_PER_HOUR + NS_PER_MS, 1000},
                                       {1, TAPE_START_NS + 12 * NS_PER_HOUR + NS_PER_MS, 1001},
                                       {1, TAPE_START_NS + 16 * NS_PER_HOUR + 7 * NS_PER_MS, 1000},
                                       {1, TAPE_START_NS + 24 * NS_PER_HOUR, 10000},
                                       {1, TAPE_START_NS + 32 * NS_PER_HOUR, 10000}};
    for (size_t i = 0; i < n; i++) {
        size_t k = at[got[i].symbol]++;
        if (got[i].symbol == 0) {
            assert_true(k < 4);
            assert_int_equal(got[i].ts_ns, TAPE_START_NS + assumed[k] * NS_PER_HOUR);
            assert_int_equal(got[i].rate_e8, 10000);
        } else {
            assert_true(k < 5);
            assert_int_equal(got[i].ts_ns, known[k].ts_ns);
            assert_int_equal(got[i].rate_e8, known[k].rate_e8);
        }
    }
    assert_int_equal(at[0], 4);
    assert_int_equal(at[1], 5);
    feed_close(feed);
    free(bars);
}

/* Longer bars hold several settlements each: none is lost. */
static void every_settlement_of_a_long_bar(void **state) {
    (void)state;
    enum { DAYS = 2 };
    char dir[TAPE_PATH_SIZE + 32];
    struct bar days[DAYS];
    struct candles_merge merged;
    struct settlement got[64];
    struct err err = {0};
    new_store(dir);
    for (int i = 0; i < DAYS; i++)
        days[i] = (struct bar){.open_ts_ns = TAPE_START_NS + i * NS_PER_DAY,
                               .open = px_e8(100 * FX_ONE),
                               .high = px_e8(101 * FX_ONE),
                               .low = px_e8(99 * FX_ONE),
                               .close = px_e8(100 * FX_ONE),
                               .volume = 1000,
                               .quote_volume = (double)NAN,
                               .taker_buy_ratio = NAN,
                               .trade_count = BAR_COUNT_UNKNOWN};
    tape_ok(candles_merge(&merged, dir, "um", NS_PER_DAY, "AAAUSDT", 0, days, DAYS, &err), &err);
    put_funding(dir, "AAAUSDT", TAPE_START_NS + NS_PER_HOUR, NS_PER_HOUR, 48);
    struct feed_tape_options o = tape_options(dir);
    o.interval_ns = NS_PER_DAY;
    struct feed *feed = open_feed(&o);
    assert_int_equal(all_settlements(got, 64, feed), 48);
    feed_close(feed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_are_in_order),
        cmocka_unit_test(an_ended_symbol_is_told_once),
        cmocka_unit_test(seeking_is_going_there),
        cmocka_unit_test(seeking_the_generator_is_going_there),
        cmocka_unit_test(the_window_has_its_warmup_before),
        cmocka_unit_test(nothing_in_the_window_is_an_error),
        cmocka_unit_test(a_wrong_name_is_an_error),
        cmocka_unit_test(every_bar_counts_in_the_hash),
        cmocka_unit_test(every_figure_counts_in_the_generators_hash),
        cmocka_unit_test(funding_is_given_or_assumed),
        cmocka_unit_test(every_settlement_of_a_long_bar),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
