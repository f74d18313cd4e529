/* Shared by the files of ml/table only. */
#ifndef ML_TABLE_TABLE_INTERNAL_H
#define ML_TABLE_TABLE_INTERNAL_H

#include "ml/table/table.h"
#include "ml/table/unpack.h"

/* The number or missing value (nan, NA, null, inf, any case, signed) that begins at text, correctly
 * rounded. Returns where it ends, NULL if none begins there; what follows is the caller's to judge.
 * text must end in a byte that belongs to no number, as '\n' or NUL does. */
const char *table_number(double *out, const char *text);

struct table_reader {
    const char *name; /* of the file, in errors; borrowed from path_copy */
    char *path_copy;
    const void *bytes; /* from memory, else NULL */
    size_t bytes_size;
    bool reopenable; /* can be read a second time from its beginning */
    struct unpack *in;
    /* Text not yet read: [begin, end) of the buffer, which has one byte more than its capacity. */
    char *buffer;
    size_t begin, end, capacity;
    bool ended;
    /* A line taken and given back: the next one. */
    char *pending;
    size_t pending_size;
    uint64_t refills;
    uint64_t line;  /* of the last line taken; 1 the first */
    char separator; /* ',' '\t' ' ' */
    bool is_libsvm, has_query;
    bool asks_dates, has_dates; /* column 0 may hold dates; it does */
    uint32_t columns;
    uint32_t features; /* LibSVM: an index at or above is an error */
    char **names;      /* (columns) or NULL */
    /* Found by a first pass over a LibSVM text. */
    bool scanned;
    uint32_t features_seen;
    uint64_t rows_seen;
};

/* Next line that is not blank; it ends in '\n' at line[size]. NULL line: the end. Borrowed until the next. */
enum status table_line(struct table_reader *r, char **line, size_t *size, struct err *err);
/* One line of LibSVM text. out (columns), or NULL: only checked, and features_seen grows. */
enum status table_libsvm_row(struct table_reader *r, double *out, const char *line,
                             struct err *err);
/* One line of separated fields. out (columns) */
enum status table_fields_row(const struct table_reader *r, double *out, const char *line,
                             struct err *err);
/* Fields of a line, quoted ones counted as one. */
uint32_t table_field_count(const struct table_reader *r, const char *line);
/* Whether the first field is a date, as digits and one of "-/:" between them. */
bool table_line_has_date(const struct table_reader *r, const char *line);
/* Whether a field is neither a number nor missing (nor a date, if that may be). */
bool table_line_is_header(const struct table_reader *r, const char *line);
/* Fields of a line as text, (count); table_names_free. ST_NO_MEMORY, ST_INVALID. */
enum status table_header_names(char ***out, const struct table_reader *r, const char *line,
                               uint32_t count, struct err *err);
void table_names_free(char **names, uint32_t count);

#endif
