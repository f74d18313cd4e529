/* A whole file in memory, with the bound known before it is taken. */
#include "ml/table/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ml/table/table_internal.h"

enum { ROWS_FIRST = 256 };

/* ---- memory there is ---- */

/* The number behind a key at a line's begin, or the first one of the file if key is empty. */
static bool file_number(uint64_t *out, const char *path, const char *key) {
    FILE *f = fopen(path, "re");
    if (!f) return false;
    char line[256];
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) != 0) continue;
        char *end, *begin = line + strlen(key);
        *out = strtoull(begin, &end, 10);
        found = end != begin; /* "max" is no number */
    }
    fclose(f);
    return found;
}

uint64_t table_memory_available(void) {
    uint64_t available, most, used;
    if (file_number(&available, "/proc/meminfo", "MemAvailable:"))
        available *= 1024;
    else
        available = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    static const char *const groups[][2] = {
        {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes",
         "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (!file_number(&most, groups[i][0], "") || !file_number(&used, groups[i][1], ""))
            continue;
        uint64_t left = most > used ? most - used : 0;
        if (left < available) available = left;
    }
    return available;
}

/* ---- reading ---- */

struct growth {
    size_t row_bytes, rows_max; /* of the memory allowed */
    size_t capacity;            /* rows */
};

static enum status refuse(const struct table_reader *r, uint64_t rows, uint64_t row_bytes,
                          uint64_t allowed, const char *at_least, struct err *err) {
    return err_set(err, ST_RANGE,
                   "%s: %s%llu rows of %u columns need %llu MiB of memory; %llu MiB may be taken",
                   r->name, at_least, (unsigned long long)rows, r->columns,
                   (unsigned long long)((rows * row_bytes) >> 20) + 1,
                   (unsigned long long)(allowed >> 20));
}

static enum status plan(struct growth *g, const struct table_reader *r, uint64_t allowed,
                        struct err *err) {
    uint64_t rows;
    enum status st = table_reader_rows(&rows, r, err);
    if (st != ST_OK) return st;
    g->row_bytes = r->columns * sizeof(double);
    g->rows_max = allowed / g->row_bytes;
    if (rows > g->rows_max) return refuse(r, rows, g->row_bytes, allowed, "", err);
    g->capacity = rows > 0 ? (size_t)rows : ROWS_FIRST;
    if (g->capacity > g->rows_max) g->capacity = g->rows_max;
    if (g->capacity == 0) return refuse(r, 1, g->row_bytes, allowed, "", err);
    return ST_OK;
}

static enum status grow(struct table *t, struct growth *g, const struct table_reader *r,
                        struct err *err) {
    size_t capacity = t->values ? g->capacity + g->capacity / 2 + 1 : g->capacity;
    if (capacity > g->rows_max) capacity = g->rows_max;
    if (t->values && capacity == g->capacity)
        return refuse(r, t->rows + 1, g->row_bytes, g->rows_max * g->row_bytes, "at least ", err);
    double *grown = realloc(t->values, capacity * g->row_bytes);
    if (!grown)
        return err_set(err, ST_NO_MEMORY, "%s: no memory for %zu rows of %u columns", r->name,
                       capacity, r->columns);
    t->values = grown;
    g->capacity = capacity;
    return ST_OK;
}

static enum status read_rows(struct table *t, struct table_reader *r, struct growth *g,
                             table_progress_fn progress, void *context, struct err *err) {
    uint64_t refills = 0;
    for (;;) {
        if (progress && r->refills != refills) {
            uint64_t size, at = unpack_position(r->in, &size);
            refills = r->refills;
            if (!progress(context, at, size))
                return err_set(err, ST_INTERRUPTED, "%s: interrupted", r->name);
        }
        enum status st = ST_OK;
        if (!t->values || t->rows == g->capacity) {
            /* A row more than there is room for only matters if there is one. */
            char *line;
            size_t size;
            if (!r->pending && (st = table_line(r, &line, &size, err)) == ST_OK) {
                if (!line) return ST_OK;
                r->pending = line;
                r->pending_size = size;
            }
            if (st == ST_OK) st = grow(t, g, r, err);
        }
        if (st == ST_OK) st = table_next(r, t->values + t->rows * t->columns, err);
        if (st == ST_END) return ST_OK;
        if (st != ST_OK) return st;
        t->rows++;
    }
}

enum status table_read(struct table *out, const char *path, const struct table_options *options,
                       table_progress_fn progress, void *context, struct err *err) {
    struct table t = {0};
    struct growth g = {0};
    struct table_reader *r;
    uint64_t allowed = options ? options->memory_max : 0;
    if (allowed == 0) allowed = table_memory_available();
    enum status st = table_open(&r, path, options, err);
    if (st != ST_OK) return st;
    st = plan(&g, r, allowed, err);
    t.columns = r->columns;
    t.is_libsvm = r->is_libsvm;
    t.has_query = r->has_query;
    t.has_dates = r->has_dates;
    if (st == ST_OK) st = read_rows(&t, r, &g, progress, context, err);
    if (st == ST_OK) {
        t.names = r->names;
        r->names = NULL;
        double *fitted = t.rows > 0 ? realloc(t.values, t.rows * g.row_bytes) : NULL;
        if (fitted) t.values = fitted;
        *out = t;
    } else {
        free(t.values);
    }
    table_close(r);
    return st;
}

void table_free(struct table *t) {
    free(t->values);
    table_names_free(t->names, t->columns);
    *t = (struct table){0};
}

/* ---- columns ---- */

static enum status no_column(const char *const *names, uint32_t columns, const char *name,
                             struct err *err) {
    if (!names)
        return err_set(err, ST_NOT_FOUND, "no column '%s': there is no header, columns are 0 to %u",
                       name, columns - 1);
    char list[256];
    size_t used = 0;
    list[0] = 0;
    for (uint32_t i = 0; i < columns; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        if (n < 0 || (size_t)n + 6 > sizeof list - used) {
            snprintf(list + used, sizeof list - used, ", ...");
            break;
        }
        used += (size_t)n;
    }
    return err_set(err, ST_NOT_FOUND, "no column '%s': there are %s", name, list);
}

enum status table_column(uint32_t *out, const char *const *names, uint32_t columns,
                         const char *name, struct err *err) {
    uint32_t found = columns;
    for (uint32_t i = 0; names && i < columns; i++) {
        if (strcmp(names[i], name) != 0) continue;
        if (found < columns)
            return err_set(err, ST_INVALID, "column '%s' occurs twice: give its number, %u or %u",
                           name, found, i);
        found = i;
    }
    if (found == columns) {
        uint64_t number = 0;
        const char *p = name;
        for (; *p >= '0' && *p <= '9'; p++)
            if (number < UINT32_MAX) number = number * 10 + (uint64_t)(*p - '0');
        if (p == name || *p || number >= columns) return no_column(names, columns, name, err);
        found = (uint32_t)number;
    }
    *out = found;
    return ST_OK;
}
