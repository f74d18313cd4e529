/* Any bytes as a table: read to the end or refused with a reason; numbers as strtod reads them; a
 * second reading of what was read gives the same values. The first byte chooses the options. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/table/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MAX = 4096, NUMBER_MAX = 512 };

static void check_number(const uint8_t *data, size_t size) {
    char text[NUMBER_MAX + 1];
    if (size > NUMBER_MAX) size = NUMBER_MAX;
    memcpy(text, data, size);
    text[size] = 0;
    double value = 0;
    const char *end = table_number(&value, text);
    if (!end || isnan(value)) return;
    text[end - text] = 0;
    double expected = strtod(text, NULL);
    ASSERT(memcmp(&value, &expected, sizeof value) == 0);
}

static size_t read_all(double *row, struct table_reader *r, double *sum, struct err *err) {
    size_t rows = 0;
    enum status st;
    uint32_t columns = table_reader_columns(r);
    uint64_t line = 0;
    while ((st = table_next(r, row, err)) == ST_OK) {
        for (uint32_t i = 0; i < columns; i++)
            if (isfinite(row[i])) *sum += ldexp(row[i], -40);
        ASSERT(table_reader_line(r) > line);
        line = table_reader_line(r);
        rows++;
    }
    ASSERT(st == ST_END || err->text[0] != 0);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    check_number(data + 1, size - 1);
    struct table_options options = {.header = (enum table_header)(data[0] % 3),
                                    .libsvm_features = data[0] / 3U % 16,
                                    .dates = data[0] / 48U % 2 == 1};
    size_t rows[2] = {0, 0};
    double sums[2] = {0, 0};
    for (int turn = 0; turn < 2; turn++) {
        struct err err = {0};
        struct table_reader *r;
        if (table_open_memory(&r, data + 1, size - 1, "fuzz", &options, &err) != ST_OK) {
            ASSERT(err.text[0] != 0 && turn == 0);
            return 0;
        }
        uint32_t columns = table_reader_columns(r);
        ASSERT(columns > 0);
        if (columns <= COLUMNS_MAX) {
            double *row = malloc(columns * sizeof *row);
            ASSERT(row);
            rows[turn] = read_all(row, r, &sums[turn], &err);
            free(row);
        }
        table_close(r);
    }
    ASSERT(rows[0] == rows[1] && memcmp(&sums[0], &sums[1], sizeof sums[0]) == 0);
    return 0;
}
