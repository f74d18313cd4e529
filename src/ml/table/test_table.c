#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/rng.h"
#include "ml/table/table.h"

static uint64_t seed;

enum { VALUES_MAX = 64 };

/* Reads a text row by row. */
static enum status read_text(double *out, size_t *rows, uint32_t *columns, const char *text,
                             size_t size, const struct table_options *options, struct err *err) {
    struct table_reader *r;
    enum status st = table_open_memory(&r, text, size, "t", options, err);
    if (st != ST_OK) return st;
    *columns = table_reader_columns(r);
    *rows = 0;
    assert_true(*columns <= VALUES_MAX);
    while ((*rows + 1) * *columns <= VALUES_MAX &&
           (st = table_next(r, out + *rows * *columns, err)) == ST_OK)
        ++*rows;
    table_close(r);
    return st == ST_END ? ST_OK : st;
}

static void check_values(const char *text, const struct table_options *options, size_t rows,
                         uint32_t columns, const double *expected) {
    double got[VALUES_MAX];
    size_t got_rows;
    uint32_t got_columns;
    struct err err = {0};
    enum status st = read_text(got, &got_rows, &got_columns, text, strlen(text), options, &err);
    if (st != ST_OK) fail_msg("'%s': %s", text, err.text);
    assert_int_equal(got_rows, rows);
    assert_int_equal(got_columns, columns);
    for (size_t i = 0; i < rows * columns; i++) {
        if (isnan(expected[i]))
            assert_true(isnan(got[i]));
        else
            assert_memory_equal(&got[i], &expected[i], sizeof got[i]);
    }
}

#define CHECK(text, options, rows, columns, ...)                                                   \
    check_values(text, options, rows, columns, (const double[]){__VA_ARGS__})

static void test_forms(void **state) {
    (void)state;
    CHECK("1,2\n3,4\n", NULL, 2, 2, 1, 2, 3, 4);
    CHECK("1,2\r\n3,4", NULL, 2, 2, 1, 2, 3, 4);
    CHECK("\xEF\xBB\xBF"
          "1,2\n",
          NULL, 1, 2, 1, 2);
    CHECK("\n  \n1,2\n\r\n3,4\n\n", NULL, 2, 2, 1, 2, 3, 4);
    CHECK("1\t2\n3\t\n", NULL, 2, 2, 1, 2, 3, NAN);
    CHECK("\t\n\t2\n \n", NULL, 2, 2, NAN, NAN, NAN, 2);
    CHECK("1 2\n \t \n  3   4  \n", NULL, 2, 2, 1, 2, 3, 4);
    CHECK("1\n2\n", NULL, 2, 1, 1, 2);
    CHECK("1,,3\n,,\n", NULL, 2, 3, 1, NAN, 3, NAN, NAN, NAN);
    CHECK("nan,NA, null \n-inf,1e3,+2.5\n", NULL, 2, 3, NAN, NAN, NAN, -INFINITY, 1000, 2.5);
    CHECK("\"1\",\"\"\n\" 2 \" , \"nan\"\n", NULL, 2, 2, 1, NAN, 2, NAN);
    CHECK("\"\"\n\"1\"\n", NULL, 2, 1, NAN, 1);
    CHECK("1,2", NULL, 1, 2, 1, 2);
}

static void test_header(void **state) {
    (void)state;
    static const struct table_options yes = {.header = TABLE_HEADER_YES},
                                      no = {.header = TABLE_HEADER_NO};
    CHECK("a,b\n1,2\n", NULL, 1, 2, 1, 2);
    CHECK("1,b\n1,2\n", NULL, 1, 2, 1, 2);
    CHECK("1,2\n3,4\n", &yes, 1, 2, 3, 4);
    CHECK("nan,2\n3,4\n", NULL, 2, 2, NAN, 2, 3, 4);
    CHECK("a b\n3 4\n", NULL, 1, 2, 3, 4);
    CHECK("a:b c\n3 4\n", NULL, 1, 2, 3, 4);
    struct err err = {0};
    double values[VALUES_MAX];
    size_t rows;
    uint32_t columns;
    assert_int_equal(read_text(values, &rows, &columns, "a,b\n1,2\n", 8, &no, &err), ST_INVALID);
    assert_string_equal(err.text, "t: line 1, column 0: 'a' is not a number");

    const char *text = "\"close, last\", volume ,\"say \"\"x\"\"\",\n1,2,3,4\n";
    struct table_reader *r;
    assert_int_equal(table_open_memory(&r, text, strlen(text), "t", NULL, &err), ST_OK);
    const char *const *names = table_reader_names(r);
    assert_string_equal(names[0], "close, last");
    assert_string_equal(names[1], "volume");
    assert_string_equal(names[2], "say \"x\"");
    assert_string_equal(names[3], "");
    table_close(r);
}

/* ---- dates ---- */

static void refused_dates(const char *text, const char *expected) {
    static const struct table_options dates = {.dates = true};
    double got[VALUES_MAX];
    size_t rows;
    uint32_t columns;
    struct err err = {0};
    assert_int_not_equal(read_text(got, &rows, &columns, text, strlen(text), &dates, &err), ST_OK);
    assert_string_equal(err.text, expected);
}

static void test_dates(void **state) {
    (void)state;
    static const struct table_options dates = {.dates = true};
    CHECK("date,a\n2016-07-01 00:00:00,5\n2016-07-01 01:00:00,\n", &dates, 2, 2, 1467331200, 5,
          1467334800, NAN);
    /* Without a header, quoted, and in ways that are seen but not read. */
    CHECK("2016-07-01,5\n\"2016-07-02\" ,6\n", &dates, 2, 2, 1467331200, 5, 1467417600, 6);
    CHECK("t\ta\n1/7/16 0:00\t5\n12:30\t6\n", &dates, 2, 2, NAN, 5, NAN, 6);
    /* What is no date stays a number, what is no number an error. */
    CHECK("a,b\n1,2\n", &dates, 1, 2, 1, 2);
    CHECK("-1.5e-3,2\n", &dates, 1, 2, -1.5e-3, 2);
    CHECK("date,a\n", &dates, 0, 2, 0);
    refused_dates("a,b\n2016-07-01,2\n7,3\n", "t: line 3, column 0 (a): '7' is not a date");
    refused_dates("a,b\n7,3\n2016-07-01,2\n",
                  "t: line 3, column 0 (a): '2016-07-01' is not a number");
    refused_dates("2016-07-01,2016-07-02\n2016-07-01,3\n2016-07-01,x\n",
                  "t: line 3, column 1 (2016-07-02): 'x' is not a number");
    refused_dates("a,b\n2016-07-01x,2\n", "t: line 2, column 0 (a): '2016-07-01x' is not a number");
}

static void test_libsvm(void **state) {
    (void)state;
    static const struct table_options four = {.libsvm_features = 4};
    CHECK("1 0:5 2:7\n-1 1:0.5\n", NULL, 2, 4, 1, 5, 0, 7, -1, 0, 0.5, 0);
    CHECK("1\n0 1:2 # note 9:9\n", NULL, 2, 3, 1, 0, 0, 0, 0, 2);
    CHECK("1\r\n0\t1:nan\r\n", NULL, 2, 3, 1, 0, 0, 0, 0, NAN);
    CHECK("2 qid:7 0:1\n1 qid:8\n", NULL, 2, 3, 2, 7, 1, 1, 8, 0);
    CHECK("1 0:5\n", &four, 1, 5, 1, 5, 0, 0, 0);
    CHECK("1\n0 1:2", NULL, 2, 3, 1, 0, 0, 0, 0, 2);
}

static void check_error(const char *text, const struct table_options *options, enum status st,
                        const char *expected) {
    double values[VALUES_MAX];
    size_t rows;
    uint32_t columns;
    struct err err = {0};
    assert_int_equal(read_text(values, &rows, &columns, text, strlen(text), options, &err), st);
    assert_string_equal(err.text, expected);
}

static void test_errors(void **state) {
    (void)state;
    static const struct table_options yes = {.header = TABLE_HEADER_YES},
                                      four = {.libsvm_features = 4};
    check_error("", NULL, ST_INVALID, "t: is empty");
    check_error("\n \n", NULL, ST_INVALID, "t: is empty");
    check_error("1,2\n3\n", NULL, ST_INVALID, "t: line 2 has 1 fields, not 2");
    check_error("1,2\n\n3,4,5,\n", NULL, ST_INVALID, "t: line 3 has 4 fields, not 2");
    check_error("1,2\r\n\r\n3,4,\"5,6\"\r\n", NULL, ST_INVALID, "t: line 3 has 3 fields, not 2");
    check_error("1 2\n3\n", NULL, ST_INVALID, "t: line 2 has 1 fields, not 2");
    check_error("1,2\n3,4x\n", NULL, ST_INVALID, "t: line 2, column 1: '4x' is not a number");
    check_error("a,\"b c\"\n3,one\n", NULL, ST_INVALID,
                "t: line 2, column 1 (b c): 'one' is not a number");
    check_error("1,2\n3,\"4\n", NULL, ST_INVALID, "t: line 2, column 1: '\"4' is not a number");
    check_error("1,2\n3,\x01\x80"
                "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddee\n",
                NULL, ST_INVALID,
                "t: line 2, column 1: '\?\?aaaaaaaaaabbbbbbbbbbccccccccccdddd...' is not a number");
    check_error("1 0:1\n0 2:1 1:1\n", NULL, ST_INVALID,
                "t: line 2: '1:1' does not stand in ascending order");
    check_error("1 0:1\n0 1:1 1:1\n", NULL, ST_INVALID,
                "t: line 2: '1:1' does not stand in ascending order");
    check_error("1 0:1\n0 1=1\n", NULL, ST_INVALID, "t: line 2: '1=1' is not index:value");
    check_error("1 0:1\n0 1:x\n", NULL, ST_INVALID, "t: line 2: '1:x' is not index:value");
    check_error("1 0:1\nx 1:1\n", NULL, ST_INVALID, "t: line 2: 'x' is not a label");
    check_error("1 qid:1 0:1\n2 1:1\n", NULL, ST_INVALID,
                "t: line 2: '1:1' is not qid:number, as on the first line");
    check_error("1 0:1\n2 4:1\n", &four, ST_INVALID,
                "t: line 2: '4:1' is not one of 4 features, 0 the first");
    check_error("1 99999999999:1\n", NULL, ST_INVALID,
                "t: line 1: '99999999999:1' is not one of 16777214 features, 0 the first");
    check_error("1 0:1\n", &yes, ST_INVALID, "t: LibSVM text has no header");
}

static void test_column(void **state) {
    (void)state;
    static const char *const names[] = {"open", "close", "7", "close"};
    struct err err = {0};
    uint32_t column;
    assert_int_equal(table_column(&column, names, 4, "open", &err), ST_OK);
    assert_int_equal(column, 0);
    assert_int_equal(table_column(&column, names, 4, "7", &err), ST_OK);
    assert_int_equal(column, 2);
    assert_int_equal(table_column(&column, names, 4, "1", &err), ST_OK);
    assert_int_equal(column, 1);
    assert_int_equal(table_column(&column, names, 4, "close", &err), ST_INVALID);
    assert_string_equal(err.text, "column 'close' occurs twice: give its number, 1 or 3");
    assert_int_equal(table_column(&column, names, 4, "high", &err), ST_NOT_FOUND);
    assert_string_equal(err.text, "no column 'high': there are open, close, 7, close");
    assert_int_equal(table_column(&column, NULL, 4, "3", &err), ST_OK);
    assert_int_equal(column, 3);
    assert_int_equal(table_column(&column, NULL, 4, "4", &err), ST_NOT_FOUND);
    assert_string_equal(err.text, "no column '4': there is no header, columns are 0 to 3");
}

/* ---- files ---- */

static char path[64];

static void file_begin(void) {
    strcpy(path, "/tmp/test_table-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static void file_write(const char *text, size_t size, bool packed) {
    if (packed) {
        gzFile f = gzopen(path, "wb1");
        assert_non_null(f);
        assert_int_equal(gzwrite(f, text, (unsigned)size), size);
        assert_int_equal(gzclose(f), Z_OK);
        return;
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

struct text {
    char *data;
    size_t size, capacity;
};

static void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void text_add(struct text *t, const char *format, ...) {
    if (t->capacity - t->size < 128) {
        t->capacity = 2 * t->capacity + 4096;
        t->data = realloc(t->data, t->capacity);
        assert_non_null(t->data);
    }
    va_list args;
    va_start(args, format);
    t->size += (size_t)vsnprintf(t->data + t->size, t->capacity - t->size, format, args);
    va_end(args);
}

/* A random table as random text: separators, quotes, blanks, digits, line ends. */
static void make_text(struct text *t, double *values, size_t rows, uint32_t columns, bool libsvm,
                      struct rng *rng) {
    static const char *const separators[] = {",", "\t", " "};
    const char *separator = separators[rng_below(rng, 3)];
    const char *line_end = rng_below(rng, 2) ? "\r\n" : "\n";
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t c = 0; c < columns; c++) {
            double x = rng_normal(rng) * exp(4 * rng_normal(rng));
            char number[40];
            if (rng_below(rng, 3) == 0) x = round(x);
            snprintf(number, sizeof number, "%.*g", rng_below(rng, 2) ? 17 : 6, x);
            x = strtod(number, NULL);
            if (libsvm) {
                if (c > 0 && rng_below(rng, 2) && !(row == 0 && c == columns - 1)) {
                    values[row * columns + c] = 0;
                    continue;
                }
                if (c > 0) text_add(t, " %u:", c - 1);
                text_add(t, "%s", number);
            } else {
                if (rng_below(rng, 9) == 0) {
                    x = NAN;
                    strcpy(number, *separator == ' ' ? "NaN" : "");
                }
                if (c > 0) text_add(t, "%s", separator);
                text_add(t, rng_below(rng, 5) == 0 ? "\"%s\"" : "%s", number);
            }
            values[row * columns + c] = x;
        }
        text_add(t, "%s", row + 1 < rows ? line_end : "");
        if (rng_below(rng, 50) == 0) text_add(t, "%s", line_end);
    }
}

static void check_table(const double *values, size_t rows, uint32_t columns) {
    struct table t;
    struct err err = {0};
    if (table_read(&t, path, NULL, NULL, NULL, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(t.rows, rows);
    assert_int_equal(t.columns, columns);
    for (size_t i = 0; i < rows * columns; i++) {
        if (isnan(values[i]) && isnan(t.values[i])) continue;
        assert_memory_equal(&t.values[i], &values[i], sizeof *values);
    }
    table_free(&t);
}

static void test_round_trip(void **state) {
    (void)state;
    struct rng rng = rng_init(seed);
    file_begin();
    for (int round = 0; round < 60; round++) {
        /* Now and then larger than the reader's buffer. */
        size_t rows = 1 + rng_below(&rng, round % 10 == 0 ? 60000 : 300);
        uint32_t columns = 2 + (uint32_t)rng_below(&rng, 12);
        double *values = malloc(rows * columns * sizeof *values);
        assert_non_null(values);
        struct text t = {0};
        make_text(&t, values, rows, columns, round % 3 == 2, &rng);
        for (int packed = 0; packed < 2; packed++) {
            file_write(t.data, t.size, packed);
            check_table(values, rows, columns);
        }
        free(t.data);
        free(values);
    }
    unlink(path);
}

/* One row longer than the buffer, over and over. */
static void test_long_lines(void **state) {
    (void)state;
    enum { COLUMNS = 300000, ROWS = 4 };
    struct text t = {0};
    for (int row = 0; row < ROWS; row++) {
        for (int c = 0; c < COLUMNS; c++) text_add(&t, c ? ",%d" : "%d", (row * 7 + c) % 100000);
        text_add(&t, "\n");
    }
    assert_true(t.size / ROWS > 1 << 20);
    file_begin();
    file_write(t.data, t.size, false);
    double *values = malloc(sizeof(double) * ROWS * COLUMNS);
    assert_non_null(values);
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++)
        values[i] = (double)((i / COLUMNS * 7 + i % COLUMNS) % 100000);
    check_table(values, ROWS, COLUMNS);
    unlink(path);
    free(values);
    free(t.data);
}

static bool count_calls(void *context, uint64_t read, uint64_t size) {
    assert_true(read <= size);
    return --*(int *)context > 0;
}

static void test_memory_bound(void **state) {
    (void)state;
    struct text t = {0};
    for (int i = 0; i < 300000; i++) text_add(&t, "%d,2,3,4\n", i);
    file_begin();
    struct table table;
    struct err err = {0};
    /* 300001 rows may be there by the count of lines, of 32 bytes each. */
    for (int packed = 0; packed < 2; packed++) {
        file_write(t.data, t.size, packed);
        struct table_options options = {.memory_max = 5 << 20};
        assert_int_equal(table_read(&table, path, &options, NULL, NULL, &err), ST_RANGE);
        const char *what = packed
                               ? ": at least 163841 rows of 4 columns need 6 MiB of memory; 5 "
                                 "MiB may be taken"
                               : ": 300001 rows of 4 columns need 10 MiB of memory; 5 MiB may be "
                                 "taken";
        assert_string_equal(err.text + strlen(path), what);
        options.memory_max = 300001 * 32;
        assert_int_equal(table_read(&table, path, &options, NULL, NULL, &err), ST_OK);
        assert_int_equal(table.rows, 300000);
        table_free(&table);
        int calls = 1000;
        assert_int_equal(table_read(&table, path, &options, count_calls, &calls, &err), ST_OK);
        assert_true(calls < 998);
        table_free(&table);
        calls = 2;
        assert_int_equal(table_read(&table, path, &options, count_calls, &calls, &err),
                         ST_INTERRUPTED);
    }
    /* A compressed file that just fits: the last row is not one too many. */
    struct table_options exact = {.memory_max = 300000 * 32};
    assert_int_equal(table_read(&table, path, &exact, NULL, NULL, &err), ST_OK);
    assert_int_equal(table.rows, 300000);
    table_free(&table);
    unlink(path);
    assert_int_equal(table_read(&table, path, NULL, NULL, NULL, &err), ST_NOT_FOUND);
    assert_true(table_memory_available() > 0);
    free(t.data);
}

int main(void) {
    const char *text_seed = getenv("TEST_SEED");
    seed = text_seed ? strtoull(text_seed, NULL, 10) : 20261122;
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_header),
        cmocka_unit_test(test_libsvm),     cmocka_unit_test(test_errors),
        cmocka_unit_test(test_column),     cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_memory_bound),
        cmocka_unit_test(test_dates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
