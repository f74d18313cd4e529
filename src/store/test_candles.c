/* The candle store: what goes in comes out, merges add nothing twice, damage is named. */
#include "store/test_store.h"

#include <fcntl.h>

#include "store/candles_format.h"

static char dir[SCRATCH_SIZE];
static struct err err;

static int setup(void **state) {
    (void)state;
    scratch_make(dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(dir);
    return 0;
}

static struct candles_merge merge(uint64_t first, size_t count) {
    struct candles_merge out;
    struct bar *bars = malloc(count * sizeof *bars);
    test_bars(bars, first, count);
    enum status st =
        candles_merge(&out, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, count, &err);
    if (st != ST_OK) print_error("%s\n", err.text);
    assert_int_equal(st, ST_OK);
    free(bars);
    return out;
}

static struct candles open_series(void) {
    struct candles c;
    enum status st = candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err);
    if (st != ST_OK) print_error("%s\n", err.text);
    assert_int_equal(st, ST_OK);
    return c;
}

static void file_path(char out[512]) {
    snprintf(out, 512, "%s/candles/um/1m/TESTUSDT.qcb", dir);
}

static void flip(size_t offset) {
    char path[512];
    uint8_t byte;
    file_path(path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static ino_t inode(void) {
    struct stat info;
    char path[512];
    file_path(path);
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

static void what_goes_in_comes_out(void **state) {
    (void)state;
    struct candles c;
    assert_int_equal(candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err), ST_NOT_FOUND);
    assert_int_equal(merge(0, 3000).added, 3000);
    c = open_series();
    assert_bars(&c, 0, 3000);
    assert_int_equal((uintptr_t)c.bars % 64, 0);
    assert_string_equal(c.symbol, "TESTUSDT");
    assert_string_equal(c.market, "um");
    assert_int_equal(c.flags, 0);
    assert_int_equal(c.price_lcd_e8, 1000000); /* prices in cents, */
    assert_int_equal(c.qty_lcd_e8, 100000);    /* volumes in thousandths */
    assert_int_equal(candles_verify(&c, &err), ST_OK);
    candles_close(&c);
    candles_close(&c); /* twice is once */
}

/* 1023, 1024, 1025 … : every way a tail can meet the end of a block. */
static void appends_at_every_block_edge(void **state) {
    (void)state;
    static const size_t steps[] = {1, 1022, 1, 1, 1023, 1024, 2048, 5, 1019, 1, 3000};
    size_t total = 0;
    ino_t first_inode = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct candles_merge m = merge(total, steps[i]);
        assert_int_equal(m.added, steps[i]);
        total += steps[i];
        struct candles c = open_series();
        assert_bars(&c, 0, total);
        assert_int_equal(candles_verify(&c, &err), ST_OK);
        candles_close(&c);
        if (i == 0) first_inode = inode();
        assert_int_equal(inode(), first_inode); /* appended to, not rewritten */
    }
}

/* A reader keeps what it opened, whatever is appended meanwhile. */
static void an_open_series_stays_as_it_was(void **state) {
    (void)state;
    merge(0, 1500);
    struct candles c = open_series();
    merge(1500, 1500);
    merge(3000, 40);
    assert_bars(&c, 0, 1500);
    assert_int_equal(candles_verify(&c, &err), ST_OK);
    candles_close(&c);
}

static void existing_bars_win(void **state) {
    (void)state;
    merge(100, 50);
    struct candles_merge m = merge(90, 70); /* ten before, fifty known, ten behind */
    assert_int_equal(m.added, 20);
    assert_int_equal(m.equal, 50);
    assert_int_equal(m.conflicting, 0);
    struct bar other[3];
    test_bars(other, 158, 3);
    other[0].volume += 1;
    other[1].close.e8 += 1000000;
    other[1].high.e8 += 1000000;
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, other, 3, &err),
                     ST_OK);
    assert_int_equal(m.added, 1);
    assert_int_equal(m.conflicting, 2);
    /* Unknown against known is no conflict. */
    test_bars(other, 100, 3);
    for (int i = 0; i < 3; i++) {
        other[i].quote_volume = (double)NAN;
        other[i].taker_buy_ratio = NAN;
        other[i].trade_count = BAR_COUNT_UNKNOWN;
    }
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, other, 3, &err),
                     ST_OK);
    assert_int_equal(m.equal, 3);
    struct candles c = open_series();
    assert_bars(&c, 90, 71);
    candles_close(&c);
}

/* Against a twin that is an array of "have it": any order of any stretches gives the union. */
static void any_order_gives_the_union(void **state) {
    (void)state;
    enum { SPAN = 5000, ROUNDS = 40 };
    static bool have[SPAN];
    struct rng r = rng_init(test_seed());
    memset(have, 0, sizeof have);
    for (int round = 0; round < ROUNDS; round++) {
        size_t first = (size_t)rng_below(&r, SPAN), count = 1 + (size_t)rng_below(&r, 700),
               fresh = 0;
        if (count > SPAN - first) count = SPAN - first;
        for (size_t i = first; i < first + count; i++) {
            fresh += !have[i];
            have[i] = true;
        }
        struct candles_merge m = merge(first, count);
        assert_int_equal(m.added, fresh);
        assert_int_equal(m.equal, count - fresh);
        struct candles c = open_series();
        size_t k = 0;
        for (size_t i = 0; i < SPAN; i++) {
            if (!have[i]) continue;
            struct bar expected = test_bar(i);
            assert_true(k < c.count);
            assert_memory_equal(&c.bars[k], &expected, sizeof expected);
            k++;
        }
        assert_int_equal(k, c.count);
        assert_int_equal(candles_verify(&c, &err), ST_OK);
        candles_close(&c);
    }
}

static void bad_bars_are_refused(void **state) {
    (void)state;
    struct bar bars[3];
    struct candles_merge m;
    struct candles c;
    test_bars(bars, 0, 3);
    bars[1].high.e8 = bars[1].low.e8 - 1;
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, 3, &err),
                     ST_INVALID);
    test_bars(bars, 0, 3);
    bars[2].open_ts_ns += NS_PER_SECOND;
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, 3, &err),
                     ST_INVALID);
    test_bars(bars, 0, 3);
    bars[2].open_ts_ns = bars[1].open_ts_ns;
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, 3, &err),
                     ST_INVALID);
    test_bars(bars, 0, 3);
    static const char *const names[] = {"", "../x", "a/b", "TOO_LONG_A_NAME_FOR_A_SYMBOL",
                                        ".hidden"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, names[i], 0, bars, 3, &err),
                         ST_INVALID);
    assert_int_equal(candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err), ST_NOT_FOUND);
}

static void made_up_and_real_do_not_mix(void **state) {
    (void)state;
    struct bar bars[4];
    struct candles_merge m;
    test_bars(bars, 0, 4);
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", INSTRUMENT_SYNTHETIC,
                                   bars, 2, &err),
                     ST_OK);
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars + 2, 2, &err),
                     ST_MISMATCH);
    struct candles c = open_series();
    assert_int_equal(c.count, 2);
    assert_int_equal(c.flags, INSTRUMENT_SYNTHETIC);
    candles_close(&c);
}

static void damage_names_file_and_block(void **state) {
    (void)state;
    merge(0, 3000); /* blocks 0 and 1 are full, 2 is the tail */
    struct candles c = open_series();
    size_t data = (size_t)((const char *)c.bars - (const char *)c.map);
    candles_close(&c);
    for (size_t bar = 1; bar < 2999; bar += 97) {
        char block[32];
        size_t at = data + bar * 64 + bar % 64; /* every byte of a record in turn */
        flip(at);
        c = open_series();
        assert_int_equal(candles_verify(&c, &err), ST_CORRUPT);
        candles_close(&c);
        snprintf(block, sizeof block, "block %zu ", bar / 1024);
        assert_non_null(strstr(err.text, "um/1m/TESTUSDT.qcb"));
        assert_non_null(strstr(err.text, block));
        flip(at);
    }
    c = open_series();
    assert_int_equal(candles_verify(&c, &err), ST_OK);
    candles_close(&c);
}

/* What rotted must not be given a fresh checksum by the next merge. */
static void damage_is_not_laundered(void **state) {
    (void)state;
    merge(0, 1100);
    struct candles c = open_series();
    size_t data = (size_t)((const char *)c.bars - (const char *)c.map);
    candles_close(&c);
    struct bar bars[2];
    struct candles_merge m;
    flip(data + 1050 * 64 + 33); /* the tail, which an append hashes again */
    test_bars(bars, 1100, 2);
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, 2, &err),
                     ST_CORRUPT);
    flip(data + 1050 * 64 + 33);
    merge(1200, 10); /* leaves a hole */
    flip(data + 3 * 64 + 33);
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, 2, &err),
                     ST_CORRUPT); /* filling the hole rewrites everything */
    flip(data + 3 * 64 + 33);
    assert_int_equal(candles_merge(&m, dir, "um", NS_PER_MINUTE, "TESTUSDT", 0, bars, 2, &err),
                     ST_OK);
}

static void one_header_slot_is_enough(void **state) {
    (void)state;
    merge(0, 10); /* slot 0 */
    merge(10, 5); /* slot 1 */
    flip(CANDLES_SLOT_STRIDE + 24);
    struct candles c = open_series();
    assert_bars(&c, 0, 10); /* the older end */
    candles_close(&c);
    flip(24);
    assert_int_equal(candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "TESTUSDT.qcb"));
}

static void other_versions_and_cut_files_are_refused(void **state) {
    (void)state;
    char path[512];
    struct candles c;
    merge(0, 100);
    flip(8); /* the version's low byte: 1 becomes 17 */
    assert_int_equal(candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err), ST_VERSION);
    flip(8);
    file_path(path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (off_t size = info.st_size - 1; size >= 0; size -= size > 9000 ? 513 : 701) {
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(candles_open(&c, dir, "um", NS_PER_MINUTE, "TESTUSDT", &err), ST_CORRUPT);
    }
}

static void a_file_under_another_name_is_refused(void **state) {
    (void)state;
    char from[512], to[512];
    struct candles c;
    merge(0, 100);
    file_path(from);
    snprintf(to, sizeof to, "%s/candles/um/1m/OTHERUSDT.qcb", dir);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(candles_open(&c, dir, "um", NS_PER_MINUTE, "OTHERUSDT", &err), ST_CORRUPT);
}

static void lists_are_sorted(void **state) {
    (void)state;
    static const char *const symbols[] = {"ZECUSDT", "AAVEUSDT", "BTCUSDT"};
    struct candles_list list;
    struct candles_merge m;
    struct bar b = test_bar(60);
    b.open_ts_ns = 480000 * NS_PER_HOUR;
    assert_int_equal(candles_list(&list, dir, "um", NS_PER_HOUR, &err), ST_OK);
    assert_int_equal(list.count, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(candles_merge(&m, dir, "um", NS_PER_HOUR, symbols[i], 0, &b, 1, &err),
                         ST_OK);
    assert_int_equal(candles_merge(&m, dir, "mark", NS_PER_MINUTE, "BTCUSDT", 0, &b, 1, &err),
                     ST_OK);
    char stray[512];
    snprintf(stray, sizeof stray, "%s/candles/um/1h/BTCUSDT.qcb.tmp", dir);
    fclose(fopen(stray, "w"));
    assert_int_equal(candles_list(&list, dir, "um", NS_PER_HOUR, &err), ST_OK);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.symbols[0], "AAVEUSDT");
    assert_string_equal(list.symbols[1], "BTCUSDT");
    assert_string_equal(list.symbols[2], "ZECUSDT");
    candles_list_free(&list);
    struct candles_series series[CANDLES_SERIES_MAX];
    size_t count;
    assert_int_equal(candles_series_list(series, &count, dir, &err), ST_OK);
    assert_int_equal(count, 2);
    assert_string_equal(series[0].market, "mark");
    assert_int_equal(series[1].interval_ns, NS_PER_HOUR);
}

static void funding_round_trip(void **state) {
    (void)state;
    struct funding_rate rows[6], more[3];
    struct funding f;
    struct candles_merge m;
    for (int i = 0; i < 6; i++)
        rows[i] = (struct funding_rate){(i + 1) * 8 * NS_PER_HOUR, {(i - 2) * 1000}};
    assert_int_equal(funding_open(&f, dir, "TESTUSDT", &err), ST_NOT_FOUND);
    assert_int_equal(funding_merge(&m, dir, "TESTUSDT", rows + 2, 4, &err), ST_OK);
    assert_int_equal(m.added, 4);
    more[0] = rows[0];
    more[1] = rows[2];
    more[2] = (struct funding_rate){rows[3].ts_ns, {77}};
    assert_int_equal(funding_merge(&m, dir, "TESTUSDT", more, 3, &err), ST_OK);
    assert_int_equal(m.added, 1);
    assert_int_equal(m.equal, 1);
    assert_int_equal(m.conflicting, 1);
    assert_int_equal(funding_open(&f, dir, "TESTUSDT", &err), ST_OK);
    assert_int_equal(f.count, 5);
    assert_memory_equal(&f.rows[0], &rows[0], sizeof *rows);
    assert_memory_equal(&f.rows[1], &rows[2], 4 * sizeof *rows);
    funding_close(&f);
    more[1] = more[0];
    assert_int_equal(funding_merge(&m, dir, "TESTUSDT", more, 2, &err), ST_INVALID);

    char path[512];
    snprintf(path, sizeof path, "%s/funding/TESTUSDT.qfr", dir);
    for (off_t at = 0; at < 64 + 5 * 16; at++) {
        uint8_t byte, changed;
        int fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 0x20;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        enum status st = funding_open(&f, dir, "TESTUSDT", &err);
        assert_true(st == ST_CORRUPT || st == ST_VERSION);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_goes_in_comes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(appends_at_every_block_edge, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_series_stays_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(existing_bars_win, setup, teardown),
        cmocka_unit_test_setup_teardown(any_order_gives_the_union, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_bars_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(made_up_and_real_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_names_file_and_block, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_not_laundered, setup, teardown),
        cmocka_unit_test_setup_teardown(one_header_slot_is_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(other_versions_and_cut_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_under_another_name_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_sorted, setup, teardown),
        cmocka_unit_test_setup_teardown(funding_round_trip, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
