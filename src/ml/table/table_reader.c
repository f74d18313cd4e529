/* A file as lines, and what kind of text it is. */
#include <stdlib.h>
#include <string.h>

#include "ml/table/table_internal.h"

enum { BUFFER_SIZE = 1 << 20, BUFFER_SMALL = 1 << 14, CHUNK_SIZE = 1 << 18 };

/* Moves what is left to the front and reads behind it; grows when one line fills the buffer. */
static enum status refill(struct table_reader *r, struct err *err) {
    if (r->begin > 0) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->end == r->capacity) {
        if (r->capacity >= TABLE_LINE_MAX)
            return err_set(err, ST_RANGE, "%s: line %llu is longer than %u bytes", r->name,
                           (unsigned long long)r->line + 1, TABLE_LINE_MAX);
        char *grown = realloc(r->buffer, 2 * r->capacity + 1);
        if (!grown)
            return err_set(err, ST_NO_MEMORY, "%s: no memory for a line of %zu bytes", r->name,
                           2 * r->capacity);
        r->buffer = grown;
        r->capacity *= 2;
    }
    size_t room = r->capacity - r->end, got;
    enum status st = unpack_read(r->in, r->buffer + r->end, room, &got, err);
    r->end += got;
    r->ended = got < room;
    r->refills++;
    return st;
}

/* Tabs are empty fields where they separate. */
static bool line_is_blank(const struct table_reader *r, const char *line, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && (line[i] != '\t' || r->separator != ' ')) return false;
    return true;
}

/* The next line, blank or not. */
static enum status any_line(struct table_reader *r, char **line, size_t *size, struct err *err) {
    size_t seen = 0;
    char *newline = NULL;
    for (;;) {
        size_t left = r->end - r->begin;
        if (left > seen) newline = memchr(r->buffer + r->begin + seen, '\n', left - seen);
        if (newline || r->ended) break;
        seen = left;
        enum status st = refill(r, err);
        if (st != ST_OK) return st;
    }
    *line = NULL;
    if (!newline && r->begin == r->end) return ST_OK;
    *line = r->buffer + r->begin;
    *size = newline ? (size_t)(newline - *line) : r->end - r->begin;
    r->begin += *size + (newline ? 1 : 0);
    r->line++;
    if (*size > 0 && (*line)[*size - 1] == '\r') --*size;
    (*line)[*size] = '\n';
    return ST_OK;
}

enum status table_line(struct table_reader *r, char **line, size_t *size, struct err *err) {
    enum status st;
    if (r->pending) {
        *line = r->pending;
        *size = r->pending_size;
        r->pending = NULL;
        return ST_OK;
    }
    do st = any_line(r, line, size, err);
    while (st == ST_OK && *line && line_is_blank(r, *line, *size));
    return st;
}

/* ---- what it is ---- */

static char separator_of(const char *line, size_t size) {
    bool quoted = false, tab = false;
    for (size_t i = 0; i < size; i++) {
        quoted ^= line[i] == '"';
        if (quoted) continue;
        if (line[i] == ',') return ',';
        tab |= line[i] == '\t';
    }
    return tab ? '\t' : ' ';
}

/* Looks at one line: whether its second field is index:value or qid:value. False: it has no second one. */
static bool libsvm_decides(struct table_reader *r, const char *line, const char *end) {
    double value;
    while (line < end && (*line == ' ' || *line == '\t')) line++;
    const char *p = line;
    while (p < end && *p != ' ' && *p != '\t' && *p != '#') p++;
    const char *label_end = table_number(&value, line);
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    if (p == end || *p == '#') return false;
    bool label = label_end && (*label_end == ' ' || *label_end == '\t');
    r->has_query = label && end - p > 4 && memcmp(p, "qid:", 4) == 0;
    const char *digits = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    r->is_libsvm = r->has_query || (label && p > digits && p < end && *p == ':');
    return true;
}

/* By the first buffer of text: a line of LibSVM may be a label alone, so the first one does not always say. */
static void recognise(struct table_reader *r, const char *line, size_t size) {
    r->separator = separator_of(line, size);
    if (r->separator == ',' || libsvm_decides(r, line, line + size)) return;
    const char *p = r->buffer + r->begin, *end = r->buffer + r->end;
    if (r->ended) r->buffer[r->end] = '\n';
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p) + (r->ended ? 1 : 0));
        if (!newline || libsvm_decides(r, p, newline)) return;
        p = newline + 1;
    }
}

static enum status source_open(struct table_reader *r, struct err *err) {
    r->begin = r->end = 0;
    r->line = 0;
    r->ended = false;
    r->pending = NULL;
    enum status st = r->bytes ? unpack_memory(&r->in, r->bytes, r->bytes_size, r->name, err)
                              : unpack_open(&r->in, r->path_copy, err);
    if (st != ST_OK) return st;
    uint64_t size;
    unpack_position(r->in, &size);
    r->reopenable = r->bytes || (size > 0 && strcmp(r->path_copy, "-") != 0);
    st = refill(r, err);
    if (st == ST_OK && r->end >= 3 && memcmp(r->buffer, "\xEF\xBB\xBF", 3) == 0) r->begin = 3;
    return st;
}

/* LibSVM: reads all of it for its width, then starts again. */
static enum status scan(struct table_reader *r, struct err *err) {
    if (!r->reopenable)
        return err_set(err, ST_UNSUPPORTED,
                       "%s: LibSVM text from a pipe does not tell its width: give a file", r->name);
    char *line;
    size_t size;
    enum status st = ST_OK;
    while (st == ST_OK && (st = table_line(r, &line, &size, err)) == ST_OK && line) {
        st = table_libsvm_row(r, NULL, line, err);
        r->rows_seen++;
    }
    if (st != ST_OK) return st;
    r->scanned = true;
    unpack_close(r->in);
    r->in = NULL;
    r->features = r->features_seen;
    return source_open(r, err);
}

/* The line first taken is given back: it is data. */
static void unread(struct table_reader *r, char *line, size_t size) {
    r->pending = line;
    r->pending_size = size;
}

static enum status begin_libsvm(struct table_reader *r, const struct table_options *o, char *line,
                                size_t size, struct err *err) {
    if (o->header == TABLE_HEADER_YES)
        return err_set(err, ST_INVALID, "%s: LibSVM text has no header", r->name);
    r->features = o->libsvm_features;
    enum status st = ST_OK;
    unread(r, line, size);
    if (r->features == 0) {
        r->features = TABLE_COLUMNS_MAX - 2;
        st = scan(r, err);
    }
    r->columns = r->features + (r->has_query ? 2 : 1);
    return st;
}

static enum status begin_fields(struct table_reader *r, const struct table_options *o, char *line,
                                size_t size, struct err *err) {
    uint32_t count = table_field_count(r, line);
    if (count > TABLE_COLUMNS_MAX)
        return err_set(err, ST_RANGE, "%s: %u columns; at most %u are read", r->name, count,
                       TABLE_COLUMNS_MAX);
    r->columns = count;
    r->asks_dates = o->dates;
    bool header = o->header == TABLE_HEADER_YES ||
                  (o->header == TABLE_HEADER_AUTO && table_line_is_header(r, line));
    enum status st = ST_OK;
    if (header) st = table_header_names(&r->names, r, line, count, err);
    if (header && st == ST_OK && o->dates) st = table_line(r, &line, &size, err);
    if (st != ST_OK || (header && !o->dates) || !line) return st;
    r->has_dates = o->dates && table_line_has_date(r, line);
    unread(r, line, size);
    return ST_OK;
}

static enum status reader_begin(struct table_reader *r, const struct table_options *options,
                                struct err *err) {
    struct table_options o = options ? *options : (struct table_options){0};
    if (o.libsvm_features > TABLE_COLUMNS_MAX - 2)
        return err_set(err, ST_RANGE, "%s: %u features; at most %u are read", r->name,
                       o.libsvm_features, TABLE_COLUMNS_MAX - 2);
    /* A small text needs no large buffer: many of them are read by tests. */
    r->capacity = r->bytes && r->bytes_size < BUFFER_SMALL ? BUFFER_SMALL : BUFFER_SIZE;
    r->buffer = malloc(r->capacity + 1);
    if (!r->buffer) return err_set(err, ST_NO_MEMORY, "%s: no memory", r->name);
    enum status st = source_open(r, err);
    if (st != ST_OK) return st;
    char *line;
    size_t size;
    st = table_line(r, &line, &size, err);
    if (st != ST_OK) return st;
    if (!line) return err_set(err, ST_INVALID, "%s: is empty", r->name);
    recognise(r, line, size);
    return r->is_libsvm ? begin_libsvm(r, &o, line, size, err)
                        : begin_fields(r, &o, line, size, err);
}

static enum status reader_open(struct table_reader **out, const char *path, const void *bytes,
                               size_t size, const struct table_options *options, struct err *err) {
    struct table_reader *r = calloc(1, sizeof *r);
    if (r) r->path_copy = strdup(path);
    if (!r || !r->path_copy) {
        free(r);
        return err_set(err, ST_NO_MEMORY, "%s: no memory", path);
    }
    r->name = !bytes && strcmp(path, "-") == 0 ? "standard input" : r->path_copy;
    r->bytes = bytes;
    r->bytes_size = size;
    enum status st = reader_begin(r, options, err);
    if (st == ST_OK)
        *out = r;
    else
        table_close(r);
    return st;
}

enum status table_open(struct table_reader **out, const char *path,
                       const struct table_options *options, struct err *err) {
    return reader_open(out, path, NULL, 0, options, err);
}

enum status table_open_memory(struct table_reader **out, const void *bytes, size_t size,
                              const char *name, const struct table_options *options,
                              struct err *err) {
    return reader_open(out, name, bytes ? bytes : "", bytes ? size : 0, options, err);
}

uint32_t table_reader_columns(const struct table_reader *r) {
    return r->columns;
}

const char *const *table_reader_names(const struct table_reader *r) {
    return (const char *const *)r->names;
}

bool table_reader_is_libsvm(const struct table_reader *r) {
    return r->is_libsvm;
}

bool table_reader_has_query(const struct table_reader *r) {
    return r->has_query;
}

bool table_reader_has_dates(const struct table_reader *r) {
    return r->has_dates;
}

enum status table_reader_rows(uint64_t *rows, const struct table_reader *r, struct err *err) {
    *rows = r->scanned ? r->rows_seen : 0;
    if (r->scanned || !r->reopenable || r->bytes || unpack_is_packed(r->in)) return ST_OK;
    struct unpack *u = NULL;
    char *chunk = malloc(CHUNK_SIZE);
    if (!chunk) return err_set(err, ST_NO_MEMORY, "%s: no memory", r->name);
    enum status st = unpack_open(&u, r->path_copy, err);
    size_t got = CHUNK_SIZE;
    uint64_t count = 1;
    while (st == ST_OK && got == CHUNK_SIZE) {
        st = unpack_read(u, chunk, CHUNK_SIZE, &got, err);
        for (size_t i = 0; i < got; i++) count += chunk[i] == '\n';
    }
    free(chunk);
    if (st == ST_OK) *rows = count;
    unpack_close(u);
    return st;
}

enum status table_next(struct table_reader *r, double *out, struct err *err) {
    char *line;
    size_t size;
    enum status st = table_line(r, &line, &size, err);
    if (st != ST_OK) return st;
    if (!line) return ST_END;
    return r->is_libsvm ? table_libsvm_row(r, out, line, err) : table_fields_row(r, out, line, err);
}

uint64_t table_reader_line(const struct table_reader *r) {
    return r->line;
}

uint64_t table_reader_bytes(const struct table_reader *r, uint64_t *size) {
    return unpack_position(r->in, size);
}

void table_close(struct table_reader *r) {
    if (!r) return;
    unpack_close(r->in);
    table_names_free(r->names, r->columns);
    free(r->buffer);
    free(r->path_copy);
    free(r);
}
