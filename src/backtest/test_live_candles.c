/* The candles of a live run: no hole and none twice, whatever is cut off when; a training reads what does not change. */
#include <fcntl.h>

#include "backtest/live_candles.h"
#include "backtest/test_tape.h"
#include "store/candles.h"

int fdatasync(int fd) {
    return fd < 0;
}

int fsync(int fd) {
    return fd < 0;
}

enum { SYMBOLS = 3, BARS = 400 };
static char dir[TAPE_PATH_SIZE + 32], root[TAPE_PATH_SIZE];
static struct instrument instruments[SYMBOLS];
static struct bar bars[SYMBOLS][BARS];
static struct err err;

static int setup(void **state) {
    (void)state;
    struct rng rng = rng_init(7);
    tape_folder(root);
    snprintf(dir, sizeof dir, "%s/store", root);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        char name[SYMBOL_SIZE];
        snprintf(name, sizeof name, "T%uUSDT", s);
        instrument_defaults(&instruments[s], name);
        instruments[s].flags = INSTRUMENT_SYNTHETIC;
        for (uint32_t t = 0; t < BARS; t++) {
            int64_t px = (int64_t)(100 + rng_below(&rng, 100)) * FX_ONE;
            bars[s][t] = (struct bar){.open_ts_ns = TAPE_START_NS + t * NS_PER_MINUTE,
                                      .open = px_e8(px),
                                      .high = px_e8(px + FX_ONE),
                                      .low = px_e8(px - FX_ONE),
                                      .close = px_e8(px),
                                      .volume = 10,
                                      .quote_volume = 1000,
                                      .taker_buy_ratio = 0.5F,
                                      .trade_count = 5};
        }
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tape_remove(root);
    return 0;
}

static struct live_candles *begin(void) {
    struct live_candles *c = NULL;
    tape_ok(live_candles_open(&c, dir, instruments, SYMBOLS, NS_PER_MINUTE, &err), &err);
    return c;
}

static void put(struct live_candles *c, uint32_t first, uint32_t end) {
    for (uint32_t t = first; t < end; t++)
        for (uint32_t s = 0; s < SYMBOLS; s++)
            tape_ok(live_candles_put(c, s, &bars[s][t], &err), &err);
}

static int64_t minute(uint32_t t) {
    return TAPE_START_NS + t * NS_PER_MINUTE;
}

/* The store has bars [first, end) of every symbol, each once, as they were. */
static void holds(uint32_t first, uint32_t end) {
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct candles all;
        tape_ok(candles_open(&all, dir, "um", NS_PER_MINUTE, instruments[s].symbol, &err), &err);
        tape_ok(candles_verify(&all, &err), &err);
        assert_int_equal(all.count, end - first);
        assert_memory_equal(all.bars, bars[s] + first, (end - first) * sizeof **bars);
        candles_close(&all);
    }
}

static void what_was_saved_is_there_again(void **state) {
    (void)state;
    struct live_candles *c = begin();
    put(c, 0, 50);
    tape_ok(live_candles_save(c, &err), &err);
    put(c, 50, 60); /* these die with the process: it will put them again */
    live_candles_close(c);
    c = begin();
    holds(0, 50);
    put(c, 40, 60); /* what a journal has behind an older snapshot */
    tape_ok(live_candles_save(c, &err), &err);
    live_candles_close(c);
    c = begin();
    holds(0, 60);
    tape_ok(live_candles_flush(c, &err), &err);
    tape_ok(live_candles_save(c, &err), &err);
    live_candles_close(c);
    live_candles_close(begin());
    holds(0, 60);
}

/* Killed at any moment between snapshots, and gone on with from the last one: always whole. */
static void cut_off_anywhere(void **state) {
    (void)state;
    struct rng rng = rng_init(tape_seed());
    uint32_t covered = 0;
    while (covered < BARS) {
        struct live_candles *c = begin();
        struct retrain_source source = live_candles_source(c);
        uint32_t t = covered, until = t + (uint32_t)rng_below(&rng, 30);
        for (; t < until && t < BARS; t++) {
            put(c, t, t + 1);
            if (rng_below(&rng, 9) == 0) {
                struct learn_series *series;
                size_t count;
                tape_ok(source.prepare(source.context, &err), &err);
                if (rng_below(&rng, 3) == 0) continue; /* the training has not got to it yet */
                tape_ok(source.open(source.context, &series, &count, 0, minute(t + 1), &err), &err);
                assert_int_equal(count, SYMBOLS);
                assert_int_equal(series[1].count, t + 1);
                source.close(source.context, series, count);
            }
            if (rng_below(&rng, 7) == 0) tape_ok(live_candles_flush(c, &err), &err);
            if (rng_below(&rng, 7) == 0) {
                tape_ok(live_candles_save(c, &err), &err);
                covered = t + 1;
            }
        }
        if (t == BARS) {
            tape_ok(live_candles_flush(c, &err), &err);
            covered = BARS;
        }
        live_candles_close(c);
    }
    holds(0, BARS);
}

static void a_training_reads_what_does_not_change(void **state) {
    (void)state;
    struct live_candles *c = begin();
    struct retrain_source source = live_candles_source(c);
    struct learn_series *series;
    size_t count;
    put(c, 100, 200);
    tape_ok(source.prepare(source.context, &err), &err);
    put(c, 200, 210); /* the kernel goes on */
    tape_ok(source.open(source.context, &series, &count, minute(120), minute(190), &err), &err);
    assert_int_equal(count, SYMBOLS);
    tape_ok(live_candles_flush(c, &err), &err);
    tape_ok(live_candles_add(c, 1, bars[1], 100, &err), &err); /* another file, by now */
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        assert_string_equal(series[s].symbol, instruments[s].symbol);
        assert_int_equal(series[s].count, 70); /* the last closes at 190 */
        assert_memory_equal(series[s].bars, bars[s] + 120, 70 * sizeof **bars);
    }
    source.close(source.context, series, count);
    tape_ok(live_candles_flush(c, &err), &err);
    tape_ok(live_candles_add(c, 0, bars[0], 100, &err), &err);
    tape_ok(live_candles_add(c, 2, bars[2], 100, &err), &err);
    live_candles_close(c);
    holds(0, 210);
}

static void gaps_are_found_one_after_the_other(void **state) {
    (void)state;
    struct live_candles *c = begin();
    struct live_gap gap;
    tape_ok(live_candles_gap(&gap, c, 0, minute(0), minute(300), &err), &err);
    assert_int_equal(gap.from_ns, minute(0)); /* nothing there yet */
    assert_int_equal(gap.to_ns, minute(300));
    put(c, 100, 150);
    put(c, 160, 200);
    tape_ok(live_candles_flush(c, &err), &err);
    const int64_t want[][2] = {{0, 100}, {150, 160}, {200, 300}};
    int64_t at = minute(0);
    for (size_t i = 0; i < 3; i++) {
        tape_ok(live_candles_gap(&gap, c, 0, at, minute(300), &err), &err);
        assert_int_equal(gap.from_ns, minute((uint32_t)want[i][0]));
        assert_int_equal(gap.to_ns, minute((uint32_t)want[i][1]));
        at = gap.to_ns;
    }
    tape_ok(live_candles_gap(&gap, c, 0, minute(100), minute(150), &err), &err);
    assert_int_equal(gap.from_ns, gap.to_ns);
    live_candles_close(c);
}

/* A run trades on; its trainings say what is wrong; nothing of what waits is lost. */
static void a_store_that_takes_nothing(void **state) {
    (void)state;
    char path[TAPE_PATH_SIZE + 64];
    struct live_candles *c = begin();
    struct retrain_source source = live_candles_source(c);
    struct learn_series *series;
    size_t count;
    put(c, 0, 10);
    tape_ok(live_candles_flush(c, &err), &err);
    snprintf(path, sizeof path, "%s/candles/um/1m/%s.qcb", dir, instruments[1].symbol);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char whole[4096], rot[4096] = {0};
    assert_int_equal(pread(fd, whole, sizeof whole, 0), sizeof whole);
    assert_int_equal(pwrite(fd, rot, sizeof rot, 0), sizeof rot);
    put(c, 10, 20);
    tape_ok(source.prepare(source.context, &err), &err);
    assert_int_equal(source.open(source.context, &series, &count, 0, minute(20), &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, instruments[1].symbol));
    put(c, 20, 30);
    tape_ok(live_candles_save(c, &err), &err);
    live_candles_close(c);
    c = begin(); /* said in the log */
    assert_int_equal(live_candles_flush(c, &err), ST_CORRUPT);
    assert_int_equal(pwrite(fd, whole, sizeof whole, 0), sizeof whole);
    close(fd);
    tape_ok(live_candles_flush(c, &err), &err);
    live_candles_close(c);
    holds(0, 30);
}

static void what_is_no_candle_is_left_out(void **state) {
    (void)state;
    struct live_candles *c = begin();
    struct bar none = bars[0][3];
    put(c, 0, 3);
    none.low.e8 = none.high.e8 + 1;
    tape_ok(live_candles_put(c, 0, &none, &err), &err);
    none = bars[0][3];
    none.open_ts_ns += 1;
    tape_ok(live_candles_put(c, 0, &none, &err), &err);
    tape_ok(live_candles_flush(c, &err), &err);
    live_candles_close(c);
    holds(0, 3);
}

static void another_runs_folder_is_refused(void **state) {
    (void)state;
    struct live_candles *c = begin();
    put(c, 0, 3);
    tape_ok(live_candles_save(c, &err), &err);
    live_candles_close(c);
    assert_int_equal(live_candles_open(&c, dir, instruments + 1, SYMBOLS - 1, NS_PER_MINUTE, &err),
                     ST_MISMATCH);
    assert_null(c);
    char path[TAPE_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/waiting.bin", dir);
    assert_int_equal(truncate(path, 100), 0);
    c = begin(); /* said in the log; the venue is asked for what is missing */
    struct live_gap gap;
    tape_ok(live_candles_gap(&gap, c, 0, minute(0), minute(3), &err), &err);
    assert_int_equal(gap.from_ns, minute(0));
    live_candles_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_saved_is_there_again, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_off_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_training_reads_what_does_not_change, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_are_found_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_candle_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(another_runs_folder_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
