/* Numbers in rows and columns, from CSV, TSV or LibSVM text, plain, gzip or zstd.
 *
 * A field is a number (inf allowed), or empty, "nan", "NA", "null" in any case: NaN. Anything else is an
 * error with line and column. Reading streams: memory is that of the result, and what it will be is known
 * before it is taken. */
#ifndef ML_TABLE_TABLE_H
#define ML_TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct table {
    double *values; /* (rows, columns) row-major */
    size_t rows;
    uint32_t columns;
    char **names; /* (columns); NULL: no header */
};

enum table_header { TABLE_HEADER_AUTO = 0, TABLE_HEADER_YES, TABLE_HEADER_NO };

struct table_options {
    enum table_header
        header; /* AUTO: the first line is one if a field of it is neither a number nor missing */
    size_t memory_max; /* bytes; 0: what the system has available */
};

/* Called now and then with bytes of the file read and its size (0: not known); false cancels. */
typedef bool (*table_progress_fn)(void *context, uint64_t read, uint64_t size);

/* Whole file. "-" is standard input. ST_RANGE: would not fit memory_max, with the figure, before anything is taken
 * (a compressed file or a pipe: as soon as it is known). */
enum status table_read(struct table *out, const char *path, const struct table_options *options,
                       table_progress_fn progress, void *context, struct err *err);
void table_free(struct table *t);
/* Column by name, or by number ("0" is the first) where there is no such name; ST_NOT_FOUND lists what there is. */
enum status table_column(uint32_t *out, const struct table *t, const char *name, struct err *err);

/* Row by row, for files larger than memory. */
struct table_reader;
enum status table_open(struct table_reader **out, const char *path,
                       const struct table_options *options, struct err *err);
uint32_t table_reader_columns(const struct table_reader *r);
const char *const *table_reader_names(const struct table_reader *r); /* NULL: no header */
/* The next row into out (columns); ST_END at the end. */
enum status table_next(struct table_reader *r, double *out, struct err *err);
uint64_t table_reader_bytes(const struct table_reader *r, uint64_t *size);
void table_close(struct table_reader *r);

#endif
