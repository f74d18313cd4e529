#include "forecast/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/json.h"
#include "ml/table/table.h"

enum { ROWS_FIRST = 4096, NAME_SIZE = 256 };

/* ---- names ---- */

/* As JSON can hold it: bytes that are not UTF-8 become U+FFFD, so that a name in a model's file is found again. */
static char *name_clean(const char *name) {
    char text[6 * NAME_SIZE], out[4 * NAME_SIZE];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    json_write_string(&w, name);
    if (json_writer_finish(&w) != ST_OK) return NULL;
    struct json_reader r;
    json_reader_init(&r, text, strlen(text));
    struct json_text decoded = json_string(&r);
    if (json_text_copy(out, sizeof out, NULL, &decoded) != ST_OK) return NULL;
    return strdup(out);
}

/* Names of all columns of the file: the header's, or the number where a name is missing, too long or there twice. */
static enum status names_make(char ***out, const struct table_reader *r, uint32_t columns,
                              struct err *err) {
    const char *const *given = table_reader_names(r);
    char **names = calloc(columns, sizeof *names);
    if (!names) return err_set(err, ST_NO_MEMORY, "no memory for %u names", columns);
    *out = names;
    for (uint32_t i = 0; i < columns; i++) {
        bool unique = given && *given[i] && strlen(given[i]) < NAME_SIZE;
        for (uint32_t k = 0; unique && k < columns; k++)
            unique = k == i || strcmp(given[k], given[i]) != 0;
        char number[16];
        snprintf(number, sizeof number, "%u", i);
        names[i] = unique ? name_clean(given[i]) : strdup(number);
        if (!names[i]) return err_set(err, ST_NO_MEMORY, "no memory for a name");
    }
    return ST_OK;
}

static void names_free(char **names, uint32_t count) {
    for (uint32_t i = 0; names && i < count; i++) free(names[i]);
    free(names);
}

static bool is_time_name(const char *name) {
    static const char *const names[] = {"date", "time", "datetime", "timestamp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

/* ---- reading ---- */

struct reading {
    struct table_reader *r;
    uint32_t columns;
    char **names;     /* (columns) */
    uint32_t *source; /* (channels) columns of the file */
    double *row;      /* (columns) */
    size_t capacity;  /* rows */
    bool dated;       /* column 0 is no channel */
};

static enum status choose(struct forecast_dataset *d, struct reading *g, const char *const *wanted,
                          uint32_t count, struct err *err) {
    uint32_t first = g->dated ? 1 : 0, there = g->columns - first;
    d->channels = count ? count : there;
    if (d->channels == 0)
        return err_set(err, ST_INVALID, "there is no column but the one of dates");
    if (d->channels > FORECAST_CHANNELS_MAX)
        return err_set(err, ST_RANGE, "%u columns; at most %d are read", d->channels,
                       FORECAST_CHANNELS_MAX);
    g->source = calloc(d->channels, sizeof *g->source);
    d->names = calloc(d->channels, sizeof *d->names);
    if (!g->source || !d->names) return err_set(err, ST_NO_MEMORY, "no memory");
    for (uint32_t i = 0; i < d->channels; i++) {
        g->source[i] = first + i;
        if (count) {
            enum status st = table_column(&g->source[i], (const char *const *)g->names, g->columns,
                                          wanted[i], err);
            if (st != ST_OK) return st;
            if (g->dated && g->source[i] == 0)
                return err_set(err, ST_INVALID, "column '%s' holds dates", wanted[i]);
        }
        d->names[i] = strdup(g->names[g->source[i]]);
        if (!d->names[i]) return err_set(err, ST_NO_MEMORY, "no memory");
    }
    return ST_OK;
}

static enum status grow(struct forecast_dataset *d, struct reading *g, struct err *err) {
    size_t capacity = g->capacity ? 2 * g->capacity : ROWS_FIRST;
    double *values = realloc(d->values, (capacity * d->channels + 1) * sizeof *values);
    if (values) d->values = values;
    uint64_t *lines = realloc(d->lines, capacity * sizeof *lines);
    if (lines) d->lines = lines;
    bool dates = table_reader_has_dates(g->r);
    double *grown = dates ? realloc(d->dates, capacity * sizeof *grown) : NULL;
    if (grown) d->dates = grown;
    if (!values || !lines || (dates && !grown))
        return err_set(err, ST_NO_MEMORY, "no memory for %zu rows", capacity);
    g->capacity = capacity;
    return ST_OK;
}

static enum status read_rows(struct forecast_dataset *d, struct reading *g, struct err *err) {
    d->rows = g->capacity = 0;
    for (;;) {
        enum status st = d->rows == g->capacity ? grow(d, g, err) : ST_OK;
        if (st == ST_OK) st = table_next(g->r, g->row, err);
        if (st == ST_END) return ST_OK;
        if (st != ST_OK) return st;
        for (uint32_t i = 0; i < d->channels; i++)
            d->values[d->rows * d->channels + i] = g->row[g->source[i]];
        d->lines[d->rows] = table_reader_line(g->r);
        if (d->dates) d->dates[d->rows] = g->row[0];
        d->rows++;
    }
}

static enum status read_table(struct forecast_dataset *d, struct reading *g,
                              const char *const *wanted, uint32_t count, struct err *err) {
    if (table_reader_is_libsvm(g->r))
        return err_set(err, ST_INVALID, "is LibSVM text, not rows of columns");
    g->columns = table_reader_columns(g->r);
    g->row = calloc(g->columns, sizeof *g->row);
    if (!g->row) return err_set(err, ST_NO_MEMORY, "no memory");
    enum status st = names_make(&g->names, g->r, g->columns, err);
    if (st != ST_OK) return st;
    g->dated = table_reader_has_dates(g->r) || is_time_name(g->names[0]);
    st = choose(d, g, wanted, count, err);
    return st == ST_OK ? read_rows(d, g, err) : st;
}

static uint64_t hash_of(const struct forecast_dataset *d) {
    const uint64_t shape[] = {d->rows, d->channels};
    return hash_chain(hash64(shape, sizeof shape), d->values,
                      d->rows * d->channels * sizeof *d->values);
}

enum status forecast_dataset_read(struct forecast_dataset *out, const char *path,
                                  const char *const *wanted, uint32_t count, struct err *err) {
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    struct forecast_dataset d = {.path = strdup(name)};
    struct reading g = {0};
    const struct table_options options = {.dates = true};
    if (!d.path) return err_set(err, ST_NO_MEMORY, "%s: no memory", path);
    enum status st = table_open(&g.r, path, &options, err);
    if (st == ST_OK) {
        st = read_table(&d, &g, wanted, count, err);
        /* What the table itself says begins with the file's name. */
        if (st != ST_OK && err && strncmp(err->text, name, strlen(name)) != 0)
            err_wrap(err, st, "%s", name);
    }
    names_free(g.names, g.columns);
    free(g.source);
    free(g.row);
    if (g.r) table_close(g.r);
    if (st == ST_OK) {
        d.hash = hash_of(&d);
        if (d.dates && d.rows > 1 && isfinite(d.dates[1] - d.dates[0]))
            d.step_seconds = d.dates[1] - d.dates[0];
        *out = d;
    } else {
        forecast_dataset_free(&d);
    }
    return st;
}

void forecast_dataset_free(struct forecast_dataset *d) {
    names_free(d->names, d->channels);
    free(d->path);
    free(d->values);
    free(d->lines);
    free(d->dates);
    *d = (struct forecast_dataset){0};
}

enum status forecast_dataset_whole(const struct forecast_dataset *d, size_t begin, size_t end,
                                   struct err *err) {
    for (size_t i = begin; i < end; i++)
        for (uint32_t c = 0; c < d->channels; c++) {
            double value = d->values[i * d->channels + c];
            if (isfinite(value)) continue;
            return err_set(err, ST_INVALID, "%s: line %llu (row %zu), column '%s': %s", d->path,
                           (unsigned long long)d->lines[i], i, d->names[c],
                           isnan(value) ? "no value" : "an infinite value");
        }
    return ST_OK;
}

/* ---- parts ---- */

const char *const forecast_part_names[FORECAST_PARTS] = {"train", "valid", "test"};
static const char *const split_names[] = {"", "ett", "etth", "ettm"};

bool forecast_split_parse(struct forecast_split *out, const char *text) {
    for (int i = FORECAST_SPLIT_ETT; i <= FORECAST_SPLIT_ETTM; i++)
        if (strcmp(text, split_names[i]) == 0) {
            *out = (struct forecast_split){.kind = (enum forecast_split_kind)i};
            return true;
        }
    double ratio[FORECAST_PARTS];
    char *end;
    for (int i = 0; i < FORECAST_PARTS; i++, text = end + 1) {
        if (*text < '0' || *text > '9') return false;
        ratio[i] = strtod(text, &end);
        if (*end != (i + 1 < FORECAST_PARTS ? ',' : 0) || !(ratio[i] > 0 && ratio[i] < 1))
            return false;
    }
    if (!(fabs(ratio[0] + ratio[1] + ratio[2] - 1) < 1e-9)) return false;
    *out = (struct forecast_split){FORECAST_SPLIT_RATIOS, ratio[0], ratio[1], ratio[2]};
    return true;
}

const char *forecast_split_text(char out[FORECAST_SPLIT_TEXT_SIZE],
                                const struct forecast_split *s) {
    if (s->kind != FORECAST_SPLIT_RATIOS)
        snprintf(out, FORECAST_SPLIT_TEXT_SIZE, "%s", split_names[s->kind]);
    else
        snprintf(out, FORECAST_SPLIT_TEXT_SIZE, "%.15g,%.15g,%.15g", s->train, s->valid, s->test);
    return out;
}

/* First row of validation and of test, and where test ends. */
static enum status borders_of(size_t out[3], const struct forecast_split *split,
                              const struct forecast_dataset *d, struct err *err) {
    if (split->kind == FORECAST_SPLIT_RATIOS) {
        size_t test = (size_t)((double)d->rows * split->test);
        out[0] = (size_t)((double)d->rows * split->train);
        out[1] = d->rows - test;
        out[2] = d->rows;
        return ST_OK;
    }
    bool hours = split->kind == FORECAST_SPLIT_ETTH, quarters = split->kind == FORECAST_SPLIT_ETTM;
    if (split->kind == FORECAST_SPLIT_ETT) {
        hours = d->step_seconds == 3600;
        quarters = d->step_seconds == 900;
    }
    if (!hours && !quarters)
        return err_set(
            err, ST_INVALID,
            "%s: rows are not dated an hour or a quarter of an hour apart: name the split "
            "'etth' or 'ettm', or give ratios",
            d->path);
    size_t month = 30 * 24 * (size_t)(quarters ? 4 : 1);
    out[0] = 12 * month;
    out[1] = 16 * month;
    out[2] = 20 * month;
    if (d->rows >= out[2]) return ST_OK;
    return err_set(err, ST_RANGE, "%s: %zu rows; this split needs %zu", d->path, d->rows, out[2]);
}

enum status forecast_split_apply(struct forecast_span out[FORECAST_PARTS],
                                 const struct forecast_split *split,
                                 const struct forecast_dataset *d, size_t input, size_t horizon,
                                 struct err *err) {
    size_t borders[3];
    enum status st = borders_of(borders, split, d, err);
    if (st != ST_OK) return st;
    for (int i = 0; i < FORECAST_PARTS; i++) {
        size_t first = i ? borders[i - 1] : 0, end = borders[i];
        size_t needed = i ? horizon : input + horizon;
        if (i && first < input)
            return err_set(err, ST_RANGE, "%s: %zu rows to train on, less than the input of %zu",
                           d->path, first, input);
        if (end - first < needed)
            return err_set(err, ST_RANGE,
                           "%s: %zu rows (of %zu) are the part '%s'; input %zu and horizon %zu "
                           "need %zu there",
                           d->path, end - first, d->rows, forecast_part_names[i], input, horizon,
                           needed);
        out[i] = (struct forecast_span){i ? first - input : 0, end, end - first - needed + 1};
    }
    return ST_OK;
}

/* ---- scale ---- */

void forecast_scale_measure(double *mean, double *deviation, const struct forecast_dataset *d,
                            size_t begin, size_t end) {
    double rows = (double)(end - begin);
    for (uint32_t c = 0; c < d->channels; c++) {
        double sum = 0, squares = 0;
        for (size_t i = begin; i < end; i++) sum += d->values[i * d->channels + c];
        mean[c] = sum / rows;
        for (size_t i = begin; i < end; i++) {
            double x = d->values[i * d->channels + c] - mean[c];
            squares += x * x;
        }
        deviation[c] = sqrt(squares / rows);
        if (!(deviation[c] > 0)) deviation[c] = 1;
    }
}

void forecast_scale_apply(nn_real *out, const struct forecast_dataset *d, size_t begin, size_t end,
                          const double *mean, const double *deviation) {
    const double *from = d->values + begin * d->channels;
    for (size_t i = 0; i < end - begin; i++)
        for (uint32_t c = 0; c < d->channels; c++, from++)
            *out++ = (nn_real)((*from - mean[c]) / deviation[c]);
}
