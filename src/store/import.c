#include "store/import.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/tstamp.h"
#include "store/candles.h"
#include "store/candles_format.h"
#include "store/contracts.h"
#include "store/fs.h"
#include "store/import_csv.h"
#include "store/import_name.h"
#include "store/import_text.h"

enum { PROGRESS_ROWS = 65536, FOLDER_DEPTH_MAX = 16 };

/* One file, or one entry of an archive. */
struct item {
    char *path;
    uint64_t entry;
    char *label; /* "a/b.zip/BTCUSDT-1h.csv" */
    struct import_name name;
    uint64_t rows, problems;
    bool failed;
};

struct row {
    struct bar bar;
    uint32_t item, line;
};

struct funding_row {
    struct funding_rate rate;
    uint32_t item, line;
};

struct run {
    const struct import_options *options;
    struct import_totals *totals;
    struct err *err;
    struct item *items;
    size_t item_count, item_capacity;
    /* Of the series being read. */
    struct row *rows;
    size_t row_count, row_capacity;
    struct funding_row *funding;
    size_t funding_count, funding_capacity;
    int64_t qty_lcd_e8;
    uint64_t rows_seen;
    size_t current; /* item being read */
};

static bool stopped(const struct run *r) {
    return r->options->stop && *r->options->stop;
}

static enum status no_memory(struct run *r) {
    return err_set(r->err, ST_NO_MEMORY, "the files do not fit in memory");
}

/* The growing array with room for one more; NULL if memory is out, and the array stays as it is. */
static void *grow(void *array, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return array;
    size_t larger = *capacity ? 2 * *capacity : 256;
    void *grown = realloc(array, larger * size);
    if (grown) *capacity = larger;
    return grown;
}

/* ---- What is told ---- */

static void tell(struct run *r, size_t item, uint64_t line, const char *text) {
    struct item *it = &r->items[item];
    if (it->problems++ < r->options->problems_max && r->options->hooks.problem)
        r->options->hooks.problem(r->options->hooks.context, it->label, line, text);
}

static void fail_item(struct run *r, size_t item, uint64_t line, const char *text) {
    struct item *it = &r->items[item];
    if (it->failed) return;
    it->failed = true;
    r->totals->files_failed++;
    it->problems++;
    if (r->options->hooks.problem)
        r->options->hooks.problem(r->options->hooks.context, it->label, line, text);
}

static void tell_progress(struct run *r) {
    struct import_progress p = {r->current, r->item_count, r->rows_seen,
                                r->items[r->current].label};
    if (r->options->hooks.progress) r->options->hooks.progress(r->options->hooks.context, &p);
}

/* ---- Which files ---- */

static enum status add_item(struct run *r, const char *path, const char *entry_name,
                            uint64_t entry) {
    struct item *items = grow(r->items, &r->item_capacity, r->item_count, sizeof *items);
    if (!items) return no_memory(r);
    r->items = items;
    struct item *it = &items[r->item_count];
    *it = (struct item){.entry = entry};
    char *absolute = realpath(path, NULL); /* the folders' names count, whatever was typed */
    import_name_parse(&it->name, absolute ? absolute : path, entry_name);
    free(absolute);
    it->path = strdup(path);
    size_t size = strlen(path) + (entry_name ? strlen(entry_name) + 1 : 0) + 1;
    it->label = malloc(size);
    if (!it->path || !it->label) {
        free(it->path);
        free(it->label);
        return no_memory(r);
    }
    snprintf(it->label, size, "%s%s%s", path, entry_name ? "/" : "", entry_name ? entry_name : "");
    if (r->options->market) {
        memset(it->name.market, 0, MARKET_SIZE);
        memcpy(it->name.market, r->options->market, strlen(r->options->market));
    }
    if (!it->name.market[0]) strcpy(it->name.market, "um");
    if (r->options->interval_ns) it->name.interval_ns = r->options->interval_ns;
    r->item_count++;
    return ST_OK;
}

struct zip_scan {
    struct run *run;
    const char *path;
    size_t taken;
};

static enum status add_entry(void *context, const char *name, uint64_t index) {
    struct zip_scan *scan = context;
    size_t n = strlen(name);
    if (n && name[n - 1] == '/') return ST_OK;
    if (!import_name_is_known(name)) {
        scan->run->totals->files_ignored++;
        return ST_OK;
    }
    scan->taken++;
    return add_item(scan->run, scan->path, name, index);
}

static enum status add_file(struct run *r, const char *path) {
    size_t n = strlen(path);
    if (n < 4 || strcmp(path + n - 4, ".zip") != 0) return add_item(r, path, NULL, 0);
    struct zip_scan scan = {r, path, 0};
    struct err why = {0};
    enum status st = text_zip_entries(path, add_entry, &scan, &why);
    if (st == ST_NO_MEMORY) return st;
    if (st == ST_OK && scan.taken) return ST_OK;
    /* An archive nobody can read is a file that failed: it takes part, and fails when opened. */
    enum status added = add_item(r, path, NULL, 0);
    if (added != ST_OK) return added;
    r->current = r->item_count - 1;
    fail_item(r, r->current, 0, st == ST_OK ? "no .csv or .json in the archive" : why.text);
    return ST_OK;
}

static enum status walk(struct run *r, const char *path, int depth);

static enum status walk_folder(struct run *r, const char *path, int depth) {
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) return err_errno(r->err, ST_IO, "cannot list %s", path);
    enum status st = ST_OK;
    for (int i = 0; i < n; i++) {
        char sub[STORE_PATH_SIZE];
        const char *name = entries[i]->d_name;
        if (st == ST_OK && name[0] != '.') {
            st = fs_path(sub, r->err, "%s/%s", path, name);
            if (st == ST_OK) st = walk(r, sub, depth + 1);
        }
        free(entries[i]);
    }
    free(entries);
    return st;
}

static enum status walk(struct run *r, const char *path, int depth) {
    struct stat info;
    if (stopped(r)) return err_set(r->err, ST_INTERRUPTED, "interrupted");
    if (stat(path, &info) != 0)
        return err_errno(r->err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", path);
    if (S_ISDIR(info.st_mode)) {
        if (depth > FOLDER_DEPTH_MAX)
            return err_set(r->err, ST_RANGE, "%s: folders nested too deeply", path);
        return walk_folder(r, path, depth);
    }
    if (depth > 0 && !import_name_is_known(path)) {
        r->totals->files_ignored++;
        return ST_OK;
    }
    return add_file(r, path);
}

static int compare_series(const struct import_name *a, const struct import_name *b) {
    int c = strcmp(a->market, b->market);
    if (!c) c = strcmp(a->symbol, b->symbol);
    if (!c) c = (a->interval_ns > b->interval_ns) - (a->interval_ns < b->interval_ns);
    return c;
}

static int compare_items(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    int c = compare_series(&x->name, &y->name);
    return c ? c : strcmp(x->label, y->label);
}

/* ---- One file ---- */

static enum status read_kline(struct run *r, const struct csv_layout *layout, const char *line,
                              size_t size, uint32_t number) {
    struct row *rows = grow(r->rows, &r->row_capacity, r->row_count, sizeof *rows);
    if (!rows) return no_memory(r);
    r->rows = rows;
    struct row *row = &r->rows[r->row_count];
    const char *fault = csv_kline(&row->bar, &r->qty_lcd_e8, layout, line, size);
    if (fault) {
        r->totals->rows_bad++;
        tell(r, r->current, number, fault);
    } else if (!bar_is_possible(&row->bar)) {
        r->totals->rows_impossible++;
        tell(r, r->current, number,
             "impossible bar: not 0 < low <= open, close <= high with a volume >= 0");
    } else {
        row->item = (uint32_t)r->current;
        row->line = number;
        r->row_count++;
        r->items[r->current].rows++;
    }
    return ST_OK;
}

static enum status read_funding(struct run *r, const struct csv_layout *layout, const char *line,
                                size_t size, uint32_t number) {
    struct funding_row *funding =
        grow(r->funding, &r->funding_capacity, r->funding_count, sizeof *funding);
    if (!funding) return no_memory(r);
    r->funding = funding;
    struct funding_row *row = &r->funding[r->funding_count];
    const char *fault = csv_funding(&row->rate, layout, line, size);
    if (fault) {
        r->totals->rows_bad++;
        tell(r, r->current, number, fault);
        return ST_OK;
    }
    row->item = (uint32_t)r->current;
    row->line = number;
    r->funding_count++;
    r->items[r->current].rows++;
    return ST_OK;
}

/* Rows of one symbol follow each other, largest bracket last. */
static enum status read_bracket(struct run *r, struct rules_list *list,
                                const struct csv_layout *layout, const char *line, size_t size,
                                uint32_t number) {
    char symbol[SYMBOL_SIZE];
    struct bracket b;
    const char *fault = csv_bracket(symbol, &b, layout, line, size);
    struct rules *last = list->count ? &list->rows[list->count - 1] : NULL;
    if (!fault && (!last || strcmp(last->instrument.symbol, symbol) != 0)) {
        last = rules_list_add(list, symbol);
        if (!last) return no_memory(r);
        last->sources = RULES_BRACKETS;
        last->instrument.bracket_count = 0;
    }
    if (!fault && last->instrument.bracket_count == BRACKETS_MAX)
        fault = "more brackets than this program holds (16)";
    if (fault) {
        r->totals->rows_bad++;
        tell(r, r->current, number, fault);
        return ST_OK;
    }
    last->instrument.brackets[last->instrument.bracket_count++] = b;
    r->items[r->current].rows++;
    return ST_OK;
}

static enum status write_rules(struct run *r, struct rules_list *list) {
    enum status st = rules_merge(r->options->store, list->rows, list->count, r->err);
    if (st == ST_OK) r->totals->contracts += list->count;
    return st;
}

static enum status finish_brackets(struct run *r, struct rules_list *list) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *fault = contracts_brackets_fault(&list->rows[i].instrument);
        if (fault) {
            char text[160];
            snprintf(text, sizeof text, "%s left out: %s", list->rows[i].instrument.symbol, fault);
            tell(r, r->current, 0, text);
        } else {
            list->rows[kept++] = list->rows[i];
        }
    }
    list->count = kept;
    return write_rules(r, list);
}

static void json_problem(void *context, uint64_t line, const char *text) {
    struct run *r = context;
    tell(r, r->current, line, text);
}

/* first: the line already taken from t, with which the text begins. */
static enum status read_json(struct run *r, struct text *t, const char *first, size_t first_size) {
    struct rules_list list = {0};
    struct err why = {0};
    char *head = malloc(first_size + 1), *rest = NULL, *all = NULL;
    size_t rest_size = 0;
    if (!head) return no_memory(r);
    memcpy(head, first, first_size);
    head[first_size] = '\n';
    enum status st = text_rest(t, &rest, &rest_size, &why);
    if (st == ST_OK) {
        all = malloc(first_size + 1 + rest_size);
        if (!all) st = ST_NO_MEMORY;
    }
    if (st == ST_OK) {
        memcpy(all, head, first_size + 1);
        memcpy(all + first_size + 1, rest, rest_size);
        st = contracts_parse(&list, all, first_size + 1 + rest_size, json_problem, r, &why);
    }
    free(head);
    free(rest);
    free(all);
    if (st == ST_NO_MEMORY) {
        rules_list_free(&list);
        return no_memory(r);
    }
    if (st != ST_OK) fail_item(r, r->current, 0, why.text);
    r->items[r->current].rows = list.count;
    st = write_rules(r, &list);
    rules_list_free(&list);
    return st;
}

static enum status read_row(struct run *r, struct rules_list *rules,
                            const struct csv_layout *layout, const char *line, size_t size,
                            uint32_t number) {
    r->rows_seen++;
    switch (layout->kind) {
    case CSV_KLINES:
        return read_kline(r, layout, line, size, number);
    case CSV_FUNDING:
        return read_funding(r, layout, line, size, number);
    case CSV_BRACKETS:
        return read_bracket(r, rules, layout, line, size, number);
    }
    return ST_OK;
}

/* The rows behind the first line. Problems of the text itself fail the file. */
static enum status read_rows(struct run *r, struct text *t, struct rules_list *rules,
                             const struct csv_layout *layout, uint64_t *number) {
    const char *line;
    size_t size;
    for (;;) {
        struct err why = {0};
        enum status st = text_line(t, &line, &size, &why);
        if (st == ST_END) return ST_OK;
        ++*number;
        if (st != ST_OK) {
            fail_item(r, r->current, *number, why.text);
            return ST_OK;
        }
        if (*number > UINT32_MAX) {
            fail_item(r, r->current, *number, "too many lines");
            return ST_OK;
        }
        if (size == 0 || (size == 1 && line[0] == '\r')) continue;
        st = read_row(r, rules, layout, line, size, (uint32_t)*number);
        if (st != ST_OK) return st;
        if (*number % PROGRESS_ROWS == 0) {
            tell_progress(r);
            if (stopped(r)) return err_set(r->err, ST_INTERRUPTED, "interrupted");
        }
    }
}

static enum status read_csv(struct run *r, struct text *t, const char *line, size_t size) {
    struct item *it = &r->items[r->current];
    struct csv_layout layout;
    struct rules_list rules = {0};
    bool mark = strcmp(it->name.market, "mark") == 0;
    const char *fault = csv_layout_detect(&layout, line, size, mark, it->name.funding);
    if (!fault && layout.kind != CSV_BRACKETS && !it->name.symbol[0])
        fault = "no symbol in the file's name";
    if (!fault && layout.kind == CSV_KLINES) fault = it->name.unsupported;
    if (fault) {
        fail_item(r, r->current, 1, fault);
        return ST_OK;
    }
    uint64_t number = 1;
    enum status st = ST_OK;
    if (!layout.has_header) st = read_row(r, &rules, &layout, line, size, 1);
    if (st == ST_OK) st = read_rows(r, t, &rules, &layout, &number);
    if (st == ST_OK && !it->failed) {
        if (it->rows == 0 && it->problems)
            fail_item(r, r->current, 1, "not one usable row");
        else if (layout.kind == CSV_BRACKETS)
            st = finish_brackets(r, &rules);
    }
    rules_list_free(&rules);
    return st;
}

static enum status read_item(struct run *r) {
    struct item *it = &r->items[r->current];
    struct text *t;
    struct err why = {0};
    const char *line;
    size_t size, rows = r->row_count, funding = r->funding_count;
    int64_t qty_lcd_e8 = r->qty_lcd_e8;
    r->totals->files++;
    if (it->failed) return ST_OK;
    tell_progress(r);
    enum status st = text_open(&t, it->path, it->entry, &why);
    if (st != ST_OK) {
        fail_item(r, r->current, 0, why.text);
        return ST_OK;
    }
    st = text_line(t, &line, &size, &why);
    if (st == ST_OK) {
        size_t skip = 0;
        while (skip < size && (line[skip] == ' ' || line[skip] == '\t' || line[skip] == '\r'))
            skip++;
        bool json = skip < size && (line[skip] == '{' || line[skip] == '[');
        st = json ? read_json(r, t, line, size) : read_csv(r, t, line, size);
    } else {
        fail_item(r, r->current, 1, st == ST_END ? "the file is empty" : why.text);
        st = ST_OK;
    }
    text_close(t);
    if (it->failed) { /* nothing of a broken file is taken */
        r->row_count = rows;
        r->funding_count = funding;
        r->qty_lcd_e8 = qty_lcd_e8;
        it->rows = 0;
    }
    return st;
}

/* ---- One series ---- */

static int compare_rows(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    if (x->bar.open_ts_ns != y->bar.open_ts_ns)
        return x->bar.open_ts_ns < y->bar.open_ts_ns ? -1 : 1;
    if (x->item != y->item) return x->item < y->item ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static int compare_funding(const void *a, const void *b) {
    const struct funding_row *x = a, *y = b;
    if (x->rate.ts_ns != y->rate.ts_ns) return x->rate.ts_ns < y->rate.ts_ns ? -1 : 1;
    if (x->item != y->item) return x->item < y->item ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

/* Rows in the order of time; in-file disorder is counted, the order of files is not one. */
static void sort_rows(struct run *r) {
    bool sorted = true;
    for (size_t i = 1; i < r->row_count; i++) {
        const struct row *row = &r->rows[i];
        if (row->bar.open_ts_ns >= row[-1].bar.open_ts_ns) continue;
        sorted = false;
        if (row->item != row[-1].item) continue;
        r->totals->rows_unordered++;
        tell(r, row->item, row->line, "earlier than the row before it (taken, in its place)");
    }
    if (!sorted) qsort(r->rows, r->row_count, sizeof *r->rows, compare_rows);
}

/* The smallest step between two rows; the grid of everything else. */
static int64_t smallest_step(const struct run *r) {
    int64_t step = 0;
    for (size_t i = 1; i < r->row_count; i++) {
        int64_t d = r->rows[i].bar.open_ts_ns - r->rows[i - 1].bar.open_ts_ns;
        if (d > 0 && (step == 0 || d < step)) step = d;
    }
    return step;
}

static void drop_off_grid(struct run *r, int64_t interval_ns) {
    size_t kept = 0;
    for (size_t i = 0; i < r->row_count; i++) {
        const struct row *row = &r->rows[i];
        if (row->bar.open_ts_ns % interval_ns == 0) {
            r->rows[kept++] = *row;
            continue;
        }
        r->totals->rows_off_grid++;
        tell(r, row->item, row->line, "open time is off the interval's grid");
    }
    r->row_count = kept;
}

/* The first of several rows of one time is kept; the order is that of files, then lines. */
static void drop_repeated(struct run *r) {
    size_t kept = 0;
    for (size_t i = 0; i < r->row_count; i++) {
        const struct row *row = &r->rows[i];
        struct row *last = kept ? &r->rows[kept - 1] : NULL;
        if (!last || last->bar.open_ts_ns != row->bar.open_ts_ns) {
            r->rows[kept++] = *row;
            continue;
        }
        bool same_file = last->item == row->item, equal = candles_bars_equal(&last->bar, &row->bar);
        if (same_file)
            r->totals->duplicates++;
        else
            r->totals->overlaps++;
        if (!equal) r->totals->bars_conflicting++;
        if (same_file || !equal) {
            char text[200];
            snprintf(text, sizeof text, "same time as %s line %u, %s (the first is kept)",
                     same_file ? "this file's" : "an earlier file's", last->line,
                     equal ? "and the same bar" : "but another bar");
            tell(r, row->item, row->line, text);
        }
    }
    r->row_count = kept;
}

static void count_gaps(struct run *r, int64_t interval_ns) {
    for (size_t i = 1; i < r->row_count; i++) {
        const struct row *row = &r->rows[i];
        int64_t missing = (row->bar.open_ts_ns - row[-1].bar.open_ts_ns) / interval_ns - 1;
        if (missing == 0) continue;
        char text[160], at[TSTAMP_TEXT_SIZE];
        r->totals->gaps++;
        r->totals->bars_missing += (uint64_t)missing;
        snprintf(text, sizeof text, "gap of %lld bars before %s", (long long)missing,
                 tstamp_format(at, row->bar.open_ts_ns));
        tell(r, row->item, row->line, text);
    }
}

/* Which of the new bars the store holds in another form. */
static void tell_conflicts(struct run *r, const struct import_name *name, int64_t interval_ns) {
    struct candles c;
    if (candles_open(&c, r->options->store, name->market, interval_ns, name->symbol, NULL) != ST_OK)
        return;
    for (size_t i = 0, k = 0; i < r->row_count && k < c.count;) {
        int64_t ts = r->rows[i].bar.open_ts_ns;
        if (c.bars[k].open_ts_ns < ts) {
            k++;
            continue;
        }
        if (c.bars[k].open_ts_ns == ts && !candles_bars_equal(&c.bars[k], &r->rows[i].bar))
            tell(r, r->rows[i].item, r->rows[i].line, "the store has another bar (it is kept)");
        i++;
    }
    candles_close(&c);
}

static enum status merge_rows(struct run *r, const struct import_name *name, int64_t interval_ns) {
    struct candles_merge counts;
    struct bar *bars = aligned_alloc(64, r->row_count * sizeof *bars);
    if (!bars) return no_memory(r);
    for (size_t i = 0; i < r->row_count; i++) bars[i] = r->rows[i].bar;
    enum status st = candles_merge_lcd(&counts, r->options->store, name->market, interval_ns,
                                       name->symbol, 0, bars, r->row_count, r->qty_lcd_e8, r->err);
    free(bars);
    if (st != ST_OK) return st;
    r->totals->series++;
    r->totals->bars_added += counts.added;
    r->totals->bars_equal += counts.equal;
    r->totals->bars_conflicting += counts.conflicting;
    if (counts.conflicting) tell_conflicts(r, name, interval_ns);
    return ST_OK;
}

static enum status finish_klines(struct run *r, size_t first, size_t count) {
    const struct import_name *name = &r->items[first].name;
    if (r->row_count == 0) return ST_OK;
    sort_rows(r);
    int64_t interval_ns = name->interval_ns ? name->interval_ns : smallest_step(r);
    if (!import_interval_is_known(interval_ns)) {
        for (size_t i = first; i < first + count; i++)
            fail_item(r, i, 1, "cannot tell the interval of its bars (--interval)");
        return ST_OK;
    }
    drop_off_grid(r, interval_ns);
    drop_repeated(r);
    count_gaps(r, interval_ns);
    return r->row_count ? merge_rows(r, name, interval_ns) : ST_OK;
}

static enum status finish_funding(struct run *r, const struct import_name *name) {
    struct candles_merge counts;
    if (r->funding_count == 0) return ST_OK;
    qsort(r->funding, r->funding_count, sizeof *r->funding, compare_funding);
    struct funding_rate *rows = malloc(r->funding_count * sizeof *rows);
    if (!rows) return no_memory(r);
    size_t n = 0;
    for (size_t i = 0; i < r->funding_count; i++) {
        const struct funding_row *row = &r->funding[i];
        if (n && rows[n - 1].ts_ns == row->rate.ts_ns) {
            if (row[-1].item == row->item)
                r->totals->duplicates++;
            else
                r->totals->overlaps++;
            if (rows[n - 1].rate.e8 != row->rate.rate.e8) {
                r->totals->funding_conflicting++;
                tell(r, row->item, row->line, "same time, another rate (the first is kept)");
            }
            continue;
        }
        rows[n++] = row->rate;
    }
    enum status st = funding_merge(&counts, r->options->store, name->symbol, rows, n, r->err);
    free(rows);
    if (st != ST_OK) return st;
    r->totals->series++;
    r->totals->funding_added += counts.added;
    r->totals->funding_equal += counts.equal;
    r->totals->funding_conflicting += counts.conflicting;
    return ST_OK;
}

/* Items first … first + count - 1 are of one series. */
static enum status import_series(struct run *r, size_t first, size_t count) {
    enum status st = ST_OK;
    r->row_count = r->funding_count = 0;
    r->qty_lcd_e8 = FX_ONE;
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        r->current = first + i;
        st = read_item(r);
        if (st == ST_OK && stopped(r)) st = err_set(r->err, ST_INTERRUPTED, "interrupted");
    }
    if (st == ST_OK) st = finish_klines(r, first, count);
    if (st == ST_OK) st = finish_funding(r, &r->items[first].name);
    /* What is wrong with one series in the store need not keep the others out. */
    if (st == ST_CORRUPT || st == ST_VERSION || st == ST_MISMATCH) {
        for (size_t i = first; i < first + count; i++) fail_item(r, i, 0, r->err->text);
        st = ST_OK;
    }
    for (size_t i = first; i < first + count && st == ST_OK; i++) {
        struct import_file_result result = {r->items[i].label, r->items[i].rows,
                                            r->items[i].problems, r->items[i].failed};
        if (r->options->hooks.file) r->options->hooks.file(r->options->hooks.context, &result);
    }
    return st;
}

enum status import_paths(struct import_totals *out, const struct import_options *options,
                         const char *const *paths, size_t count, struct err *err) {
    struct err why = {0}; /* also where the caller wants no text, a problem has one */
    struct run r = {.options = options, .totals = out, .err = err ? err : &why};
    enum status st = ST_OK;
    *out = (struct import_totals){0};
    if (options->market &&
        (!fs_is_plain_name(options->market) || strlen(options->market) >= MARKET_SIZE))
        return err_set(err, ST_INVALID, "'%.40s' is not the name of a market", options->market);
    for (size_t i = 0; i < count && st == ST_OK; i++) st = walk(&r, paths[i], 0);
    if (st == ST_OK && r.item_count) qsort(r.items, r.item_count, sizeof *r.items, compare_items);
    for (size_t i = 0; i < r.item_count && st == ST_OK;) {
        size_t n = 1;
        while (i + n < r.item_count && compare_series(&r.items[i].name, &r.items[i + n].name) == 0)
            n++;
        st = import_series(&r, i, n);
        i += n;
    }
    for (size_t i = 0; i < r.item_count; i++) {
        free(r.items[i].path);
        free(r.items[i].label);
    }
    free(r.items);
    free(r.rows);
    free(r.funding);
    return st;
}
