/* Numbers in rows and columns, from CSV, TSV or LibSVM text, plain, gzip or zstd.
 *
 * Told by content: CSV if the first line has a comma, else TSV if it has a tab, else separated by
 * spaces; LibSVM ("label index:value …", optionally "qid:N" behind the label) if a field behind the
 * first has that form. Fields may be quoted as in RFC 4180, but not over lines; blanks around a field
 * and blank lines do not count; lines end in LF or CRLF.
 *
 * A field is a number (inf allowed), correctly rounded, or empty, "nan", "NA", "null" in any case: NaN.
 * Anything else is an error with line and column. LibSVM: the label is column 0, the query id column 1
 * if there is one, then the features by index, 0 the first; what a line leaves out reads 0.
 *
 * Reading streams: memory is that of the result, and what it will be is known before it is taken. */
#ifndef ML_TABLE_TABLE_H
#define ML_TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { TABLE_COLUMNS_MAX = 1 << 24, TABLE_LINE_MAX = 64 << 20 };

struct table {
    double *values; /* (rows, columns) row-major */
    size_t rows;
    uint32_t columns;
    char **names; /* (columns); NULL: no header */
    bool is_libsvm, has_query;
    bool has_dates; /* column 0, if asked for */
};

enum table_header { TABLE_HEADER_AUTO = 0, TABLE_HEADER_YES, TABLE_HEADER_NO };

struct table_options {
    enum table_header
        header; /* AUTO: the first line is one if a field of it is neither a number nor missing */
    uint64_t memory_max; /* bytes; 0: what the system has available */
    /* Features of a LibSVM text; more is an error. 0: as many as it has, found by reading it once more,
     * which a pipe does not allow (ST_UNSUPPORTED). */
    uint32_t libsvm_features;
    /* Separated fields: the first column may hold dates ("2016-07-01 00:00:00", "1/7/16", "12:30"), told by the
     * first row. They read as seconds since 1970, NaN where they are written otherwise than tstamp_parse
     * reads. */
    bool dates;
};

/* Called now and then with bytes of the file read and its size (0: not known); false cancels. */
typedef bool (*table_progress_fn)(void *context, uint64_t read, uint64_t size);

/* Whole file. "-" is standard input. ST_RANGE: would not fit memory_max, with the figure, before
 * anything is taken (a compressed file or a pipe: as soon as it is known); ST_INVALID: not such a
 * text; ST_INTERRUPTED; and those of unpack.h. */
enum status table_read(struct table *out, const char *path, const struct table_options *options,
                       table_progress_fn progress, void *context, struct err *err);
void table_free(struct table *t);
/* Column by name, or by number ("0" is the first) where there is no such name; ST_NOT_FOUND lists what
 * there is; ST_INVALID: the name occurs twice. names NULL: no header. */
enum status table_column(uint32_t *out, const char *const *names, uint32_t columns,
                         const char *name, struct err *err);
/* Bytes this process may still take, by the system's and its control group's account. */
uint64_t table_memory_available(void);

/* Row by row, for files larger than memory. */
struct table_reader;
enum status table_open(struct table_reader **out, const char *path,
                       const struct table_options *options, struct err *err);
/* From memory, borrowed, perhaps compressed. name stands in errors. */
enum status table_open_memory(struct table_reader **out, const void *bytes, size_t size,
                              const char *name, const struct table_options *options,
                              struct err *err);
uint32_t table_reader_columns(const struct table_reader *r);
const char *const *table_reader_names(const struct table_reader *r); /* NULL: no header */
bool table_reader_is_libsvm(const struct table_reader *r);
bool table_reader_has_query(const struct table_reader *r);
bool table_reader_has_dates(const struct table_reader *r);
/* Rows the whole text has at most, by counting lines; 0: only reading would tell (compressed, a pipe). */
enum status table_reader_rows(uint64_t *rows, const struct table_reader *r, struct err *err);
/* The next row into out (columns); ST_END at the end. */
enum status table_next(struct table_reader *r, double *out, struct err *err);
/* Line the last row stood in, 1 the first. */
uint64_t table_reader_line(const struct table_reader *r);
uint64_t table_reader_bytes(const struct table_reader *r, uint64_t *size);
void table_close(struct table_reader *r);

#endif
