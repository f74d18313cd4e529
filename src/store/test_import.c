/* The importer: every form a file comes in gives the same bars; what is wrong is told by line. */
#include "store/test_store.h"

#include <zip.h>
#include <zlib.h>
#include <zstd.h>

#include "store/candles_format.h"
#include "store/import.h"
#include "store/import_csv.h"
#include "store/import_name.h"

static char root[SCRATCH_SIZE]; /* holds "in" and "store" */
static char in_dir[512], store[512];
static struct err err;
static struct import_totals totals;
static char told[16384];
static uint64_t told_count;

static int setup(void **state) {
    (void)state;
    scratch_make(root);
    snprintf(in_dir, sizeof in_dir, "%s/in", root);
    snprintf(store, sizeof store, "%s/store", root);
    return mkdir(in_dir, 0700);
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(root);
    return 0;
}

static void on_problem(void *context, const char *label, uint64_t line, const char *text) {
    (void)context;
    size_t n = strlen(told);
    const char *name = strstr(label, "/in/");
    snprintf(told + n, sizeof told - n, "%s:%llu: %s\n", name ? name + 4 : label,
             (unsigned long long)line, text);
    told_count++;
}

static enum status import_with(const char *path, const struct import_options *base) {
    struct import_options o = base ? *base : (struct import_options){.problems_max = 100};
    o.store = store;
    o.hooks.problem = on_problem;
    told[0] = '\0';
    told_count = 0;
    return import_paths(&totals, &o, &path, 1, &err);
}

static void import_ok(void) {
    assert_int_equal(import_with(in_dir, NULL), ST_OK);
}

static void assert_told(const char *text) {
    if (!strstr(told, text)) print_error("not told: %s\nbut: %s\n", text, told);
    assert_non_null(strstr(told, text));
}

/* ---- files ---- */

static char *path_of(char out[1024], const char *name) {
    snprintf(out, 1024, "%s/%s", in_dir, name);
    for (char *p = out + strlen(in_dir) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(out, 0700);
    }
    return out;
}

static void write_bytes(const char *name, const void *data, size_t size) {
    char path[1024];
    FILE *f = fopen(path_of(path, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static size_t pack_zstd(void *out, size_t capacity, const char *text) {
    size_t n = ZSTD_compress(out, capacity, text, strlen(text), 3);
    assert_false(ZSTD_isError(n));
    return n;
}

static void write_gzip(const char *name, const char *text) {
    char path[1024];
    gzFile f = gzopen(path_of(path, name), "wb");
    assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), strlen(text));
    assert_int_equal(gzclose(f), Z_OK);
}

static void write_zip(const char *name, const char *entry, const char *text) {
    char path[1024];
    zip_t *z = zip_open(path_of(path, name), ZIP_CREATE, NULL);
    assert_non_null(z);
    zip_source_t *s = zip_source_buffer(z, text, strlen(text), 0);
    assert_true(zip_file_add(z, entry, s, 0) >= 0);
    assert_int_equal(zip_close(z), 0);
}

/* ---- the same three bars in every form ---- */

#define HEADER_12                                                                                  \
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"         \
    "taker_buy_quote_volume,ignore\n"
#define ROWS_12                                                                                    \
    "1730073600000,67992.70,68094.60,67804.70,67835.20,5179.117,1730077199999,351923638.03910,"    \
    "85022,2415.052,164090858.68940,0\n"                                                           \
    "1730077200000,67835.20,67886.40,67711.00,67720.00,4148.330,1730080799999,281264567.1,"        \
    "77000,1037.0825,1.5,0\n"                                                                      \
    "1730080800000,67720,67800,67700.1,67750,0,1730084399999,0,0,0,0,0\n"

static void assert_three(const char *market, const char *symbol, bool full) {
    struct candles c;
    enum status st = candles_open(&c, store, market, NS_PER_HOUR, symbol, &err);
    if (st != ST_OK) print_error("%s\n%s", err.text, told);
    assert_int_equal(st, ST_OK);
    assert_int_equal(c.count, 3);
    const struct bar *b = c.bars;
    assert_int_equal(b[0].open_ts_ns, INT64_C(1730073600) * NS_PER_SECOND);
    assert_int_equal(b[0].open.e8, INT64_C(6799270000000));
    assert_int_equal(b[0].high.e8, INT64_C(6809460000000));
    assert_int_equal(b[0].low.e8, INT64_C(6780470000000));
    assert_int_equal(b[0].close.e8, INT64_C(6783520000000));
    assert_int_equal(b[2].low.e8, INT64_C(6770010000000));
    assert_true(b[0].volume == 5179.117 && b[2].volume == 0);
    assert_int_equal(c.price_lcd_e8, 10000000);
    assert_int_equal(c.qty_lcd_e8, 100000);
    if (full) {
        assert_true(b[0].quote_volume == 351923638.03910);
        assert_int_equal(b[0].trade_count, 85022);
        assert_true(b[1].taker_buy_ratio == (float)(1037.0825 / 4148.330));
        assert_true(isnan(b[2].taker_buy_ratio));
        assert_int_equal(b[2].trade_count, 0);
    } else {
        assert_true(isnan(b[0].quote_volume) && isnan(b[0].taker_buy_ratio));
        assert_int_equal(b[0].trade_count, BAR_COUNT_UNKNOWN);
    }
    assert_int_equal(candles_verify(&c, &err), ST_OK);
    candles_close(&c);
}

static void every_form_gives_the_same_bars(void **state) {
    (void)state;
    char packed[4096];
    write_text("um-1h/AAAUSDT.csv", HEADER_12 ROWS_12);
    write_text("um-1h/BBBUSDT.csv", ROWS_12); /* no header */
    size_t n = pack_zstd(packed, sizeof packed, HEADER_12 ROWS_12);
    write_bytes("um-1h/CCCUSDT.csv.zst", packed, n);
    write_gzip("um-1h/DDDUSDT.csv.gz", HEADER_12 ROWS_12);
    write_zip("EEEUSDT-1h-2024-10.zip", "EEEUSDT-1h-2024-10.csv", ROWS_12);
    write_zip("futures-um-klines-FFFUSDT-1h-2024-10-28.zip", "data.csv", HEADER_12 ROWS_12);
    write_text("GGGUSDT.csv", "\xEF\xBB\xBF" HEADER_12 ROWS_12); /* nothing told but by its rows */
    write_text("um-1h/HHHUSDT.csv", /* microseconds, as spot files of 2025 */
               "1730073600000000,67992.70,68094.60,67804.70,67835.20,5179.117,1730077199999999,"
               "351923638.03910,85022,2415.052,1,0\r\n"
               "1730077200000000,67835.20,67886.40,67711.00,67720.00,4148.330,1730080799999999,"
               "281264567.1,77000,1037.0825,1.5,0\r\n"
               "1730080800000000,67720,67800,67700.1,67750,0,1730084399999999,0,0,0,0,0");
    import_ok();
    assert_int_equal(totals.files, 8);
    assert_int_equal(totals.files_failed, 0);
    assert_int_equal(totals.bars_added, 24);
    assert_int_equal(told_count, 0);
    static const char *const symbols[] = {"AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT",
                                          "EEEUSDT", "FFFUSDT", "GGGUSDT", "HHHUSDT"};
    for (int i = 0; i < 8; i++) assert_three("um", symbols[i], true);
    /* Once more: nothing new. */
    import_ok();
    assert_int_equal(totals.bars_added, 0);
    assert_int_equal(totals.bars_equal, 24);
    assert_int_equal(totals.bars_conflicting, 0);
}

static void fewer_columns_are_read_by_name(void **state) {
    (void)state;
    write_text("spot-1h/AAAUSDT.csv", "close,open_time,open,high,low,volume\n"
                                      "67835.20,1730073600000,67992.70,68094.60,67804.70,5179.117\n"
                                      "67720.00,1730077200000,67835.20,67886.40,67711.00,4148.330\n"
                                      "67750,1730080800000,67720,67800,67700.1,0\n");
    import_ok();
    assert_three("spot", "AAAUSDT", false);
}

static void mark_prices_are_cut_at_eight_decimals(void **state) {
    (void)state;
    struct candles c;
    write_text("mark/um-1h/BTCUSDT.csv",
               "open_time,open,high,low,close\n"
               "1577098800000,7559.44418192,7560.055029119,7554.1,7554.2\n");
    import_ok();
    assert_int_equal(candles_open(&c, store, "mark", NS_PER_HOUR, "BTCUSDT", &err), ST_OK);
    assert_int_equal(c.bars[0].open.e8, INT64_C(755944418192));
    assert_int_equal(c.bars[0].high.e8, INT64_C(756005502911));
    assert_true(c.bars[0].volume == 0 && isnan(c.bars[0].quote_volume));
    candles_close(&c);
    /* The same precision in traded prices is a bad row, and a file without volume is no kline. */
    write_text(
        "um-1h/AAAUSDT.csv",
        "open_time,open,high,low,close,volume\n1577098800000,7559.444181921,7560,7554,7554,1\n"
        "1577102400000,7559,7560,7554,7554,1\n");
    write_text("um-1h/BBBUSDT.csv", "open_time,open,high,low,close\n1577098800000,1,1,1,1\n");
    import_ok();
    assert_told("AAAUSDT.csv:2: open is not a price");
    assert_told("BBBUSDT.csv:1: no volume column");
    assert_int_equal(totals.files_failed, 1);
}

static void every_problem_has_its_line(void **state) {
    (void)state;
    write_text("um-1h/AAAUSDT.csv", "open_time,open,high,low,close,volume\n"
                                    "1730073600000,10,11,9,10,1\n"
                                    "1730073600000,10,11,9,10,1\n" /* 3: duplicate, equal */
                                    "1730077200000,10,11,9,10,1\n"
                                    "1730077200000,10,11,9,10.5,1\n" /* 5: duplicate, other */
                                    "1730080800000,10,9,11,10,1\n"   /* 6: impossible */
                                    "1730080800001,10,11,9,10,1\n"   /* 7: off the grid */
                                    "x,10,11,9,10,1\n"               /* 8 */
                                    "1730080800000,10,11,9,10\n"     /* 9 */
                                    "1730080800000,,11,9,10,1\n"     /* 10 */
                                    "1730080800000,10,11,9,10,-1\n"  /* 11 */
                                    "1730080800000,10,11,9,10,nan\n" /* 12 */
                                    "\n"
                                    "17300808000,10,11,9,10,1\n"    /* 14: seconds */
                                    "1730091600000,10,11,9,10,1\n"  /* 15: two bars missing */
                                    "1730088000000,10,11,9,10,1\n"  /* 16: late */
                                    "1730095200000,0,11,0,10,1\n"); /* 17: impossible */
    import_ok();
    assert_told("AAAUSDT.csv:3: same time as this file's line 2, and the same bar");
    assert_told("AAAUSDT.csv:5: same time as this file's line 4, but another bar");
    assert_told("AAAUSDT.csv:6: impossible bar");
    assert_told("AAAUSDT.csv:7: open time is off");
    assert_told("AAAUSDT.csv:8: time is not a number");
    assert_told("AAAUSDT.csv:9: another number of columns");
    assert_told("AAAUSDT.csv:10: open is not a price");
    assert_told("AAAUSDT.csv:11: volume is not a number");
    assert_told("AAAUSDT.csv:12: volume is not a number");
    assert_told("AAAUSDT.csv:14: time is neither");
    assert_told("AAAUSDT.csv:16: earlier than the row before it");
    assert_told("AAAUSDT.csv:16: gap of 2 bars before 2024-10-28T04:00");
    assert_told("AAAUSDT.csv:17: impossible bar");
    assert_int_equal(totals.bars_added, 4);
    assert_int_equal(totals.duplicates, 2);
    assert_int_equal(totals.bars_conflicting, 1);
    assert_int_equal(totals.rows_impossible, 2);
    assert_int_equal(totals.rows_off_grid, 1);
    assert_int_equal(totals.rows_bad, 6);
    assert_int_equal(totals.rows_unordered, 1);
    assert_int_equal(totals.gaps, 1);
    assert_int_equal(totals.bars_missing, 2);
    assert_int_equal(totals.files_failed, 0);
    /* Only so many are told, all are counted. */
    struct import_options few = {.problems_max = 2};
    assert_int_equal(import_with(in_dir, &few), ST_OK);
    assert_int_equal(told_count, 2);
    assert_int_equal(totals.rows_bad, 6);
}

static void files_of_one_series_are_one(void **state) {
    (void)state;
    struct candles c;
    write_zip("AAAUSDT-1h-2024-10.zip", "AAAUSDT-1h-2024-10.csv", ROWS_12);
    write_text("AAAUSDT-1h-2024-10-28.csv", /* overlaps by two, one of them different */
               "1730077200000,67835.20,67886.40,67711.00,67720.00,4148.330,1730080799999,"
               "281264567.1,77000,1037.0825,1.5,0\n"
               "1730080800000,67720,67800,67700.1,67760,0,1730084399999,0,0,0,0,0\n"
               "1730088000000,67720,67800,67700.1,67750,0,1730084399999,0,0,0,0,0\n");
    import_ok();
    assert_int_equal(totals.files, 2);
    assert_int_equal(totals.series, 1);
    assert_int_equal(totals.overlaps, 2);
    assert_int_equal(totals.bars_conflicting, 1);
    assert_int_equal(totals.bars_added, 4);
    assert_int_equal(totals.gaps, 1);
    assert_told("AAAUSDT-1h-2024-10.zip/AAAUSDT-1h-2024-10.csv:3: same time as an earlier file's "
                "line 2, but another bar");
    assert_int_equal(candles_open(&c, store, "um", NS_PER_HOUR, "AAAUSDT", &err), ST_OK);
    assert_int_equal(c.count, 4);
    candles_close(&c);
    /* The store's own bar wins over a later file's, which is told. */
    write_text("b/AAAUSDT-1h.csv",
               "1730073600000,67992.70,68094.60,67804.70,67835.20,1,1730077199999,1,1,1,1,0\n");
    char path[1024];
    assert_int_equal(import_with(path_of(path, "b"), NULL), ST_OK);
    assert_int_equal(totals.bars_conflicting, 1);
    assert_told("b/AAAUSDT-1h.csv:1: the store has another bar");
}

static void what_cannot_be_read_fails_alone(void **state) {
    (void)state;
    char packed[4096], rows[2000] = HEADER_12;
    size_t n = pack_zstd(packed, sizeof packed, HEADER_12 ROWS_12);
    write_bytes("a/CUTUSDT-1h.csv.zst", packed, n - 9);
    memset(packed + n / 2, 0x55, 8);
    write_bytes("a/BADUSDT-1h.csv.zst", packed, n);
    write_gzip("a/GZIPUSDT-1h.csv.gz", HEADER_12 ROWS_12);
    char path[1024];
    struct stat info;
    path_of(path, "a/GZIPUSDT-1h.csv.gz");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(truncate(path, info.st_size - 12), 0);
    write_bytes("a/ZIPUSDT-1h.zip", "PK\3\4 no archive", 15);
    write_zip("a/NONEUSDT-1h.zip", "readme.txt", "hello");
    write_text("a/EMPTYUSDT-1h.csv", "");
    write_text("a/WORDSUSDT-1h.csv", "what,is,this\n1,2,3\n");
    write_text("a/TICKSUSDT-1h.csv",
               "60953854,0.00000908,3591711.00,1,2,1729987202368,False,True\n");
    write_text("a/nosymbol.csv", HEADER_12 ROWS_12);
    write_text("a/BROKEN.json", "{\"symbols\":[}");
    write_bytes("a/ZEROUSDT-1h.csv", HEADER_12 "1730073600000,\0\n", sizeof HEADER_12 + 16);
    memset(rows + strlen(rows), 'x', 10);
    write_text("a/NOROWUSDT-1h.csv", rows);
    write_text("a/WEEKUSDT-1w.csv", HEADER_12 ROWS_12);
    write_text("a/notes.txt", "not looked at");
    write_text("a/GOODUSDT-1h.csv", HEADER_12 ROWS_12);
    import_ok();
    assert_told("CUTUSDT-1h.csv.zst:");
    assert_told("zstd: the file is cut off");
    assert_told("BADUSDT-1h.csv.zst:");
    assert_told("GZIPUSDT-1h.csv.gz:");
    assert_told("ZIPUSDT-1h.zip:0: zip:");
    assert_told("NONEUSDT-1h.zip:0: no .csv or .json");
    assert_told("EMPTYUSDT-1h.csv:1: the file is empty");
    assert_told("WORDSUSDT-1h.csv:1: neither the header");
    assert_told("TICKSUSDT-1h.csv:1: no header, and not the 12 columns");
    assert_told("nosymbol.csv:1: no symbol");
    assert_told("BROKEN.json:0: line 1:");
    assert_told("ZEROUSDT-1h.csv:2: a zero byte");
    assert_told("NOROWUSDT-1h.csv:1: not one usable row");
    assert_told("WEEKUSDT-1w.csv:1: bars longer than a day");
    assert_int_equal(totals.files, 14);
    assert_int_equal(totals.files_failed, 13);
    assert_int_equal(totals.files_ignored, 2);
    assert_int_equal(totals.series, 1);
    assert_three("um", "GOODUSDT", true);
    assert_int_equal(import_with("/nowhere/at/all", NULL), ST_NOT_FOUND);
}

static void lines_are_found_across_buffers(void **state) {
    (void)state;
    enum { ROWS = 20000 };
    char *text = malloc((size_t)ROWS * 64 + 100), *p = text;
    p += sprintf(p, "open_time,open,high,low,close,volume\n");
    for (int i = 0; i < ROWS; i++) /* lines of ever-changing length */
        p += sprintf(p, "%lld,%d,%d.%0*d,%d,%d,%d\n", 1700000040000LL + i * 60000LL, 100 + i % 7,
                     200, 1 + i % 8, 0, 50, 100, i);
    write_text("AAAUSDT-1m.csv", text);
    write_gzip("BBBUSDT-1m.csv.gz", text);
    write_zip("CCCUSDT-1m.zip", "CCCUSDT-1m.csv", text);
    size_t n = ZSTD_compressBound(strlen(text));
    char *packed = malloc(n);
    n = pack_zstd(packed, n, text);
    write_bytes("DDDUSDT-1m.csv.zst", packed, n);
    import_ok();
    assert_int_equal(told_count, 0);
    assert_int_equal(totals.bars_added, 4 * ROWS);
    memset(text, 'a', 70000);
    write_text("LONGUSDT-1m.csv", text);
    import_ok();
    assert_told("LONGUSDT-1m.csv:1: a line of more than");
    free(text);
    free(packed);
}

static void funding_in_both_forms(void **state) {
    (void)state;
    struct funding f;
    write_text("funding/um/AAAUSDT.csv", "funding_time,funding_rate\n"
                                         "1568102400000,0.0001\n"
                                         "1568131200000,-0.00123456\n"
                                         "1568160000000,1e-05\n");
    write_text("AAAUSDT-fundingRate-2019-09.csv",
               "calc_time,funding_interval_hours,last_funding_rate\n"
               "1568131200007,8,-0.00123456\n"
               "1568188800999,8,0.0002\n"
               "1568203199998,4,0.0003\n"
               "1568203200000,4,0.0004\n"
               "1568232000000,4,2.5\n");
    write_text("BBBUSDT-fundingRate-2019-10.csv", "1568102400003,8,0.00010000\n");
    import_ok();
    assert_told("AAAUSDT-fundingRate-2019-09.csv:6: funding rate is beyond");
    assert_int_equal(totals.overlaps, 1);
    assert_int_equal(totals.duplicates, 1);
    assert_int_equal(totals.funding_conflicting, 1);
    assert_int_equal(funding_open(&f, store, "AAAUSDT", &err), ST_OK);
    static const struct {
        int64_t s, e8;
    } expected[] = {{1568102400, 10000},
                    {1568131200, -123456},
                    {1568160000, 1000},
                    {1568188800, 20000},
                    {1568203200, 30000}};
    assert_int_equal(f.count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(f.rows[i].ts_ns, expected[i].s * NS_PER_SECOND);
        assert_int_equal(f.rows[i].rate.e8, expected[i].e8);
    }
    funding_close(&f);
    assert_int_equal(funding_open(&f, store, "BBBUSDT", &err), ST_OK);
    assert_int_equal(f.rows[0].ts_ns, INT64_C(1568102400) * NS_PER_SECOND);
    funding_close(&f);
}

static void brackets_as_csv(void **state) {
    (void)state;
    struct instrument in;
    write_text(
        "brackets.csv",
        "symbol,bracket,notional_floor,notional_cap,initial_leverage,maint_margin_ratio,cum\n"
        "0GUSDT,1,0,20000,75,0.01,0.0\n"
        "0GUSDT,2,20000,200000,50,0.015,100.0\n"
        "HOLEUSDT,1,0,20000,75,0.01,0.0\n"
        "HOLEUSDT,2,30000,200000,50,0.015,100.0\n"
        "0GUSDT X,1,0,20000,75,0.01,0.0\n"
        "FLATUSDT,1,0,500000,4,0.125,0\n" /* no width, as the venue had for BEAMXUSDT */
        "FLATUSDT,2,500000,500000,3,0.1667,20850\n"
        "FLATUSDT,3,500000,7500000,2,0.25,62500\n"
        "BIGUSDT,1,0,9223372036854775807,1,0.5,386950.0\n");
    import_ok();
    assert_told("HOLEUSDT left out");
    assert_told("brackets.csv:6: symbol is not made");
    assert_int_equal(totals.contracts, 3);
    assert_int_equal(instrument_load(&in, store, "0GUSDT", NULL, &err), ST_OK);
    assert_int_equal(in.bracket_count, 2);
    assert_int_equal(in.brackets[1].maint_amount.e8, 100 * FX_ONE);
    assert_int_equal(instrument_load(&in, store, "FLATUSDT", NULL, &err), ST_OK);
    assert_int_equal(instrument_leverage_max(&in, money_e8(500000 * FX_ONE)), 2);
    assert_int_equal(instrument_load(&in, store, "BIGUSDT", NULL, &err), ST_OK);
    assert_int_equal(in.brackets[0].leverage_max, 1);
}

static volatile sig_atomic_t stop_now;

static void stop_at_first_file(void *context, const struct import_file_result *result) {
    (void)context, (void)result;
    stop_now = 1;
}

/* A symbol is merged whole or not at all. */
static void an_interrupt_ends_between_symbols(void **state) {
    (void)state;
    struct candles c;
    struct import_options o = {.problems_max = 5, .stop = &stop_now};
    o.hooks.file = stop_at_first_file;
    write_text("AAAUSDT-1h.csv", ROWS_12);
    write_text("BBBUSDT-1h.csv", ROWS_12);
    stop_now = 0;
    assert_int_equal(import_with(in_dir, &o), ST_INTERRUPTED);
    assert_three("um", "AAAUSDT", true);
    assert_int_equal(candles_open(&c, store, "um", NS_PER_HOUR, "BBBUSDT", &err), ST_NOT_FOUND);
    import_ok();
    assert_three("um", "BBBUSDT", true);
}

static void a_damaged_series_keeps_no_other_out(void **state) {
    (void)state;
    char path[1024];
    write_text("AAAUSDT-1h.csv", ROWS_12);
    import_ok();
    snprintf(path, sizeof path, "%s/candles/um/1h/AAAUSDT.qcb", store);
    assert_int_equal(truncate(path, 9000), 0);
    write_text("BBBUSDT-1h.csv", ROWS_12);
    import_ok();
    assert_int_equal(totals.files_failed, 1);
    assert_told("AAAUSDT.qcb: file is shorter");
    assert_three("um", "BBBUSDT", true);
}

static void names_tell_the_series(void **state) {
    (void)state;
    static const struct {
        const char *path, *entry, *symbol, *market;
        int64_t interval_ns;
    } rows[] = {
        {"data/klines/um-1h/BTCUSDT.csv.zst", NULL, "BTCUSDT", "um", NS_PER_HOUR},
        {"x/BTCUSDT-1h-2024-10.zip", NULL, "BTCUSDT", "", NS_PER_HOUR},
        {"futures-um-klines-BTCUSDT-1h-2024-10-28.zip", "BTCUSDT-1h-2024-10-28.csv", "BTCUSDT",
         "um", NS_PER_HOUR},
        {"spot-klines-BTCUSDT-1h-2024-10-28.zip", NULL, "BTCUSDT", "spot", NS_PER_HOUR},
        {"um-1m/ALGOUSDT-2025-02.csv.zst", NULL, "ALGOUSDT", "um", NS_PER_MINUTE},
        {"mark/um-1h/BTCUSDT.csv.zst", NULL, "BTCUSDT", "mark", NS_PER_HOUR},
        {"futures/um/daily/markPriceKlines/ETHUSDT/15m/ETHUSDT-15m-2024-01-01.zip", NULL, "ETHUSDT",
         "mark", 15 * NS_PER_MINUTE},
        {"1000000BOBUSDT-4h.csv", NULL, "1000000BOBUSDT", "", 4 * NS_PER_HOUR},
        {"BTCUSDT_251226-1d.csv", NULL, "BTCUSDT_251226", "", NS_PER_DAY},
        {"um-exchangeInfo.json", NULL, "", "um", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct import_name n;
        import_name_parse(&n, rows[i].path, rows[i].entry);
        assert_string_equal(n.symbol, rows[i].symbol);
        assert_string_equal(n.market, rows[i].market);
        assert_int_equal(n.interval_ns, rows[i].interval_ns);
        assert_null(n.unsupported);
    }
    struct import_name n;
    import_name_parse(&n, "um/monthly/premiumIndexKlines/BTCUSDT-1h-2024-01.zip", NULL);
    assert_non_null(n.unsupported);
    import_name_parse(&n, "BTCUSDT-1M-2024.zip", NULL);
    assert_non_null(n.unsupported);
}

/* The short way for numbers against the long one (strtod and fx_parse). */
static void numbers_are_read_exactly(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    struct csv_layout l;
    const char *header = "open_time,open,high,low,close,volume";
    assert_null(csv_layout_detect(&l, header, strlen(header), false, false));
    for (int i = 0; i < 20000; i++) {
        char px[40], volume[40], line[200];
        uint64_t whole = rng_u64(&r) >> (8 + rng_below(&r, 56)), part = rng_u64(&r) % 1000000000;
        snprintf(px, sizeof px, "%llu.%0*llu", (unsigned long long)(whole % 90000000000),
                 (int)(1 + rng_below(&r, 9)), (unsigned long long)part % 100);
        snprintf(volume, sizeof volume, "%llu.%0*llu", (unsigned long long)whole,
                 (int)(1 + rng_below(&r, 12)), (unsigned long long)part);
        int n = snprintf(line, sizeof line, "1730073600000,%s,%s,%s,%s,%s", px, px, px, px, volume);
        struct bar b;
        int64_t lcd = FX_ONE, e8;
        const char *fault = csv_kline(&b, &lcd, &l, line, (size_t)n);
        if (fx_parse(&e8, px, strlen(px)) != ST_OK) {
            assert_non_null(fault);
            continue;
        }
        assert_null(fault);
        assert_int_equal(b.open.e8, e8);
        assert_true(b.volume == strtod(volume, NULL));
        const char *end = volume + strlen(volume), *dot = strchr(volume, '.');
        while (end[-1] == '0') end--;
        long decimals = end - dot - 1;
        int64_t expected = FX_ONE;
        for (; decimals > 0 && expected > 1; decimals--) expected /= 10;
        assert_int_equal(lcd, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_form_gives_the_same_bars, setup, teardown),
        cmocka_unit_test_setup_teardown(fewer_columns_are_read_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(mark_prices_are_cut_at_eight_decimals, setup, teardown),
        cmocka_unit_test_setup_teardown(every_problem_has_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_one_series_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_fails_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_are_found_across_buffers, setup, teardown),
        cmocka_unit_test_setup_teardown(funding_in_both_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(brackets_as_csv, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupt_ends_between_symbols, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_series_keeps_no_other_out, setup, teardown),
        cmocka_unit_test(names_tell_the_series),
        cmocka_unit_test(numbers_are_read_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
