/* Import of the reference data: what its manifest counted is what we count. Skipped without it. */
#include "store/test_store.h"

#include "store/import.h"

static char dir[SCRATCH_SIZE];
static const char *reference;
static struct err err;

struct manifest_row {
    unsigned long long rows, missing, gaps;
};

/* path,market,interval,symbol,columns,rows,start,end,missing_bars,gaps,… */
static struct manifest_row manifest(const char *wanted) {
    char path[4096], line[4096];
    struct manifest_row out = {0};
    snprintf(path, sizeof path, "%s/data/MANIFEST.csv", reference);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        size_t n = strlen(wanted);
        if (strncmp(line, wanted, n) != 0 || line[n] != ',') continue;
        const char *field[10];
        const char *p = line;
        for (int i = 0; i < 10; i++) {
            field[i] = p;
            p = strchr(p, ',') + 1;
        }
        out.rows = strtoull(field[5], NULL, 10);
        out.missing = strtoull(field[8], NULL, 10);
        out.gaps = strtoull(field[9], NULL, 10);
        found = true;
    }
    fclose(f);
    assert_true(found);
    return out;
}

static struct import_totals import(const char *name) {
    char path[4096];
    const char *paths[] = {path};
    struct import_totals totals;
    struct import_options o = {.store = dir, .problems_max = 5};
    snprintf(path, sizeof path, "%s/data/%s", reference, name);
    enum status st = import_paths(&totals, &o, paths, 1, &err);
    if (st != ST_OK) print_error("%s\n", err.text);
    assert_int_equal(st, ST_OK);
    return totals;
}

static void bars_and_gaps_are_the_manifests(void **state) {
    (void)state;
    static const struct {
        const char *path, *market, *symbol;
        int64_t interval_ns;
    } series[] = {
        {"klines/um-1h/BTCUSDT.csv.zst", "um", "BTCUSDT", NS_PER_HOUR},
        {"klines/spot-1h/BTCUSDT.csv.zst", "spot", "BTCUSDT", NS_PER_HOUR},
        {"klines/um-15m/LTCUSDT.csv.zst", "um", "LTCUSDT", 15 * NS_PER_MINUTE},
        {"klines/um-1m/ALGOUSDT-2025-02.csv.zst", "um", "ALGOUSDT", NS_PER_MINUTE},
        {"klines/um-4h/", NULL, NULL, 0},
        {"mark/um-1h/BTCUSDT.csv.zst", "mark", "BTCUSDT", NS_PER_HOUR},
    };
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        struct import_totals t = import(series[i].path);
        if (!series[i].symbol) { /* the whole folder: its README's count */
            assert_int_equal(t.bars_added, 613543);
            assert_int_equal(t.files, 104);
            continue;
        }
        struct manifest_row m = manifest(series[i].path);
        struct candles c;
        assert_int_equal(t.bars_added, m.rows);
        assert_int_equal(t.bars_missing, m.missing);
        assert_int_equal(t.gaps, m.gaps);
        assert_int_equal(t.duplicates + t.rows_bad + t.rows_impossible + t.rows_off_grid, 0);
        assert_int_equal(
            candles_open(&c, dir, series[i].market, series[i].interval_ns, series[i].symbol, &err),
            ST_OK);
        assert_int_equal(c.count, m.rows);
        assert_int_equal(candles_verify(&c, &err), ST_OK);
        candles_close(&c);
    }
}

static void archives_as_downloaded(void **state) {
    (void)state;
    struct candles c;
    struct import_totals t = import("formats");
    assert_int_equal(t.files, 2);
    assert_int_equal(t.files_failed, 0);
    /* BTC is there already from the hourly files: 24 bars of each market, known in full only here. */
    assert_int_equal(t.bars_added + t.bars_equal + t.bars_conflicting, 48);
    char other[SCRATCH_SIZE], kept[SCRATCH_SIZE];
    memcpy(kept, dir, sizeof kept);
    scratch_make(other);
    memcpy(dir, other, sizeof dir);
    t = import("formats");
    assert_int_equal(t.bars_added, 48);
    static const char *const markets[] = {"um", "spot"};
    static const int64_t first_open[] = {INT64_C(6799270000000), INT64_C(6802169000000)};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(candles_open(&c, dir, markets[i], NS_PER_HOUR, "BTCUSDT", &err), ST_OK);
        assert_int_equal(c.count, 24);
        assert_int_equal(c.bars[0].open.e8, first_open[i]);
        assert_true(c.bars[0].taker_buy_ratio > 0 && c.bars[0].trade_count > 1000);
        candles_close(&c);
    }
    scratch_remove(other);
    memcpy(dir, kept, sizeof dir);
}

static void contracts_and_funding(void **state) {
    (void)state;
    struct instrument in;
    struct candles c;
    struct funding f;
    assert_int_equal(import("reference").files_failed, 0);
    assert_int_equal(import("funding/um/BTCUSDT.csv.zst").funding_added,
                     manifest("funding/um/BTCUSDT.csv.zst").rows);
    assert_int_equal(candles_open(&c, dir, "um", NS_PER_HOUR, "BTCUSDT", &err), ST_OK);
    assert_int_equal(instrument_load(&in, dir, "BTCUSDT", &c, &err), ST_OK);
    assert_int_equal(in.flags, 0);
    assert_int_equal(in.tick_size.e8, 1000000); /* 0.01 in 2019, 0.10 in the snapshot */
    assert_int_equal(in.notional_min.e8, 100 * FX_ONE);
    assert_int_equal(in.bracket_count, 12);
    for (size_t i = 0; i < c.count; i++) {
        assert_int_equal(instrument_check_px(&in, c.bars[i].high), FILTER_OK);
        assert_int_equal(instrument_check_px(&in, c.bars[i].low), FILTER_OK);
    }
    candles_close(&c);
    assert_int_equal(funding_open(&f, dir, "BTCUSDT", &err), ST_OK);
    assert_int_equal(f.rows[0].ts_ns, INT64_C(1568102400) * NS_PER_SECOND);
    assert_int_equal(f.rows[0].rate.e8, 10000);
    funding_close(&f);
}

int main(void) {
    reference = getenv("QUANTUM_REFERENCE");
    if (!reference) {
        puts("skipped: QUANTUM_REFERENCE does not name the folder of the reference data");
        return 77;
    }
    scratch_make(dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bars_and_gaps_are_the_manifests),
        cmocka_unit_test(archives_as_downloaded),
        cmocka_unit_test(contracts_and_funding),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(dir);
    return failed;
}
