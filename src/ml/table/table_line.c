/* One line of text to a row of numbers. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "ml/table/table_internal.h"

enum { QUOTE_SIZE = 40 }; /* of a field, in an error */

static bool is_blank(const struct table_reader *r, char c) {
    return c == ' ' || (c == '\t' && r->separator != '\t');
}

static const char *skip_blanks(const struct table_reader *r, const char *p) {
    while (is_blank(r, *p)) p++;
    return p;
}

static bool is_end(const struct table_reader *r, char c) {
    return c == '\n' || c == r->separator || (c == '\t' && r->separator == ' ');
}

/* Where the field that begins at p (no blanks before it) ends: a separator or the line's end. */
static const char *field_end(const struct table_reader *r, const char *p) {
    if (*p == '"') {
        p++;
        while (*p != '\n' && !(p[0] == '"' && p[1] != '"')) p += *p == '"' ? 2 : 1;
    }
    while (!is_end(r, *p)) p++;
    return p;
}

/* Walks the fields of a line: each call gives the next one's begin, blanks before it skipped. */
struct walk {
    const char *at;
    bool done;
};

static struct walk walk_begin(const struct table_reader *r, const char *line) {
    struct walk w = {line, false};
    if (r->separator == ' ') {
        w.at = skip_blanks(r, line);
        w.done = *w.at == '\n';
    }
    return w;
}

static void walk_next(const struct table_reader *r, struct walk *w, const char *end) {
    w->at = end;
    if (r->separator == ' ') w->at = skip_blanks(r, w->at);
    w->done = *w->at == '\n';
    if (!w->done && r->separator != ' ') w->at++;
}

uint32_t table_field_count(const struct table_reader *r, const char *line) {
    uint32_t count = 0;
    struct walk w = walk_begin(r, line);
    while (!w.done && count < UINT32_MAX) {
        count++;
        walk_next(r, &w, field_end(r, skip_blanks(r, w.at)));
    }
    return count;
}

/* The number of the field at p, NaN for an empty one; where it ends, NULL if it is no number. */
static const char *field_number(double *out, const struct table_reader *r, const char *p) {
    if (is_end(r, *p)) {
        *out = NAN;
        return p;
    }
    bool quoted = *p == '"';
    if (quoted) {
        p = skip_blanks(r, p + 1);
        *out = NAN;
    }
    if (!quoted || *p != '"') p = table_number(out, p);
    if (!p) return NULL;
    p = skip_blanks(r, p);
    if (quoted) {
        if (*p != '"') return NULL;
        p = skip_blanks(r, p + 1);
    }
    return p;
}

/* Whether a field ended where it must: blanks have been skipped, which between spaces are the separator. */
static bool field_ended(const struct table_reader *r, const char *p) {
    return is_end(r, *p) || (r->separator == ' ' && is_blank(r, p[-1]));
}

/* ---- dates ---- */

static bool is_date_sign(char c) {
    return c == '-' || c == '/' || c == ':';
}

/* Where the date that begins at p (no blanks before it) ends, NULL if none does; seconds: since 1970, or NaN. */
static const char *field_date(double *seconds, const struct table_reader *r, const char *p) {
    enum { DATE_SIZE = 40 };
    char text[DATE_SIZE];
    const char *end = field_end(r, p), *from = p, *to = end;
    while (to > from && is_blank(r, to[-1])) to--;
    if (*from == '"' && to - from >= 2 && to[-1] == '"') from++, to--;
    size_t size = (size_t)(to - from);
    if (size == 0 || size >= DATE_SIZE || !isdigit((unsigned char)*from)) return NULL;
    bool sign = false;
    for (size_t i = 0; i < size; i++) {
        char c = from[i];
        if (!isdigit((unsigned char)c) && !is_date_sign(c) && (c == 0 || !strchr(" .+TZ", c)))
            return NULL;
        sign |= is_date_sign(c);
    }
    if (!sign) return NULL;
    memcpy(text, from, size);
    text[size] = 0;
    int64_t ns;
    *seconds = tstamp_parse(&ns, text) == ST_OK ? (double)ns / (double)NS_PER_SECOND : (double)NAN;
    return end;
}

bool table_line_has_date(const struct table_reader *r, const char *line) {
    double seconds;
    return field_date(&seconds, r, skip_blanks(r, walk_begin(r, line).at)) != NULL;
}

bool table_line_is_header(const struct table_reader *r, const char *line) {
    struct walk w = walk_begin(r, line);
    if (!w.done && r->asks_dates && table_line_has_date(r, line))
        walk_next(r, &w, field_end(r, skip_blanks(r, w.at)));
    while (!w.done) {
        const char *begin = skip_blanks(r, w.at);
        double value;
        const char *end = field_number(&value, r, begin);
        if (!end || !field_ended(r, end)) return true;
        walk_next(r, &w, end);
    }
    return false;
}

/* A piece of the file as it can stand in a message. */
static const char *printable(char out[QUOTE_SIZE], const char *p, const char *end) {
    size_t size = (size_t)(end - p), n = 0;
    for (; n < size && n < QUOTE_SIZE - 4; n++) out[n] = isprint((unsigned char)p[n]) ? p[n] : '?';
    memcpy(out + n, n < size ? "..." : "", n < size ? 4 : 1);
    return out;
}

static enum status bad_field(const struct table_reader *r, uint32_t column, const char *p,
                             const char *kind, struct err *err) {
    char text[QUOTE_SIZE], where[QUOTE_SIZE];
    printable(text, p, field_end(r, p));
    if (r->names) printable(where, r->names[column], r->names[column] + strlen(r->names[column]));
    return err_set(err, ST_INVALID, "%s: line %llu, column %u%s%s%s: '%s' is not a %s", r->name,
                   (unsigned long long)r->line, column, r->names ? " (" : "", r->names ? where : "",
                   r->names ? ")" : "", text, kind);
}

enum status table_fields_row(const struct table_reader *r, double *out, const char *line,
                             struct err *err) {
    uint32_t column = 0;
    struct walk w = walk_begin(r, line);
    for (; !w.done && column < r->columns; column++) {
        bool date = column == 0 && r->has_dates;
        const char *begin = skip_blanks(r, w.at);
        const char *end =
            date ? field_date(&out[0], r, begin) : field_number(&out[column], r, begin);
        if (!end || !field_ended(r, end))
            return bad_field(r, column, begin, date ? "date" : "number", err);
        walk_next(r, &w, end);
    }
    if (w.done && column == r->columns) return ST_OK;
    return err_set(err, ST_INVALID, "%s: line %llu has %u fields, not %u", r->name,
                   (unsigned long long)r->line, table_field_count(r, line), r->columns);
}

/* ---- header ---- */

void table_names_free(char **names, uint32_t count) {
    if (!names) return;
    for (uint32_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

/* Text of a field: without the blanks around it, without its quotes. NULL: no memory. */
static char *field_text(const struct table_reader *r, const char *p, const char *end) {
    while (end > p && is_blank(r, end[-1])) end--;
    char *text = malloc((size_t)(end - p) + 1), *to = text;
    if (!text) return NULL;
    bool quoted = end - p >= 2 && *p == '"' && end[-1] == '"';
    if (quoted) p++, end--;
    while (p < end) {
        if (quoted && p[0] == '"' && p + 1 < end && p[1] == '"') p++;
        *to++ = *p++;
    }
    *to = 0;
    return text;
}

enum status table_header_names(char ***out, const struct table_reader *r, const char *line,
                               uint32_t count, struct err *err) {
    char **names = calloc(count ? count : 1, sizeof *names);
    bool full = !names;
    struct walk w = walk_begin(r, line);
    for (uint32_t i = 0; i < count && !full; i++) {
        const char *begin = skip_blanks(r, w.at), *end = field_end(r, begin);
        names[i] = field_text(r, begin, end);
        full = !names[i];
        walk_next(r, &w, end);
    }
    if (full) {
        table_names_free(names, names ? count : 0);
        return err_set(err, ST_NO_MEMORY, "%s: no memory for %u names", r->name, count);
    }
    *out = names;
    return ST_OK;
}

/* ---- LibSVM ---- */

static enum status bad_pair(const struct table_reader *r, const char *p, const char *what,
                            struct err *err) {
    const char *end = p;
    while (*end != '\n' && *end != ' ' && *end != '\t') end++;
    char text[QUOTE_SIZE];
    return err_set(err, ST_INVALID, "%s: line %llu: '%s' %s", r->name, (unsigned long long)r->line,
                   printable(text, p, end), what);
}

static bool pair_ended(const char *p) {
    return *p == ' ' || *p == '\t' || *p == '\n' || *p == '#';
}

/* "index:value", the index above before and below r->features. */
static const char *pair_read(uint32_t *index, double *value, const struct table_reader *r,
                             int64_t before, const char *p, struct err *err) {
    const char *begin = p;
    uint64_t number = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (number < UINT32_MAX) number = number * 10 + (uint64_t)(*p - '0');
    if (p == begin || *p != ':' || !(p = table_number(value, p + 1)) || !pair_ended(p)) {
        bad_pair(r, begin, "is not index:value", err);
        return NULL;
    }
    if (number >= r->features) {
        char what[64];
        snprintf(what, sizeof what, "is not one of %u features, 0 the first", r->features);
        bad_pair(r, begin, what, err);
        return NULL;
    }
    if ((int64_t)number <= before) {
        bad_pair(r, begin, "does not stand in ascending order", err);
        return NULL;
    }
    *index = (uint32_t)number;
    return p;
}

static const char *skip_space(const char *p) {
    while (*p == ' ' || *p == '\t') p++;
    return p;
}

enum status table_libsvm_row(struct table_reader *r, double *out, const char *line,
                             struct err *err) {
    uint32_t lead = r->has_query ? 2 : 1;
    if (out)
        for (uint32_t i = lead; i < r->columns; i++) out[i] = 0;
    double value;
    const char *begin = skip_space(line), *p = table_number(&value, begin);
    if (!p || !pair_ended(p)) return bad_pair(r, begin, "is not a label", err);
    if (out) out[0] = value;
    p = skip_space(p);
    if (r->has_query) {
        begin = p;
        p = strncmp(p, "qid:", 4) == 0 ? table_number(&value, p + 4) : NULL;
        if (!p || !pair_ended(p))
            return bad_pair(r, begin, "is not qid:number, as on the first line", err);
        if (out) out[1] = value;
        p = skip_space(p);
    }
    int64_t before = -1;
    while (*p != '\n' && *p != '#') {
        uint32_t index;
        p = pair_read(&index, &value, r, before, p, err);
        if (!p) return ST_INVALID;
        if (out) out[lead + index] = value;
        before = index;
        p = skip_space(p);
    }
    if (before >= (int64_t)r->features_seen) r->features_seen = (uint32_t)(before + 1);
    return ST_OK;
}
