/* quantum data import. */
#include "app/cmd_data.h"

#include <stdio.h>
#include <unistd.h>

#include "app/command.h"
#include "store/import.h"

static const char usage_import[] =
    "usage: quantum data import [options] FILE|DIR…\n"
    "Reads .csv, .csv.zst, .csv.gz, .zip and .json files as Binance publishes them, folders with\n"
    "all below. Rows that cannot be right are skipped and told by file and line.\n"
    "  --market M      um, spot or mark (default: from the path, else um)\n"
    "  --interval I    1m 5m 15m 1h 4h 1d … (default: from the path, else from the rows)\n"
    "  --problems N    problems told per file (default: 5; all are counted)\n"
    "  --verbose       a line per file\n"
    "  --store DIR     default: STATE/store\n"
    "  --state DIR     default: $QUANTUM_STATE, else the XDG data folder\n"
    "  --json          the totals as JSON\n"
    "example: quantum data import ~/binance/klines/um-1h ~/binance/funding exchangeInfo.json\n";

/* clang-format off */
static const struct option options_import[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"market", required_argument, NULL, OPT_MARKET}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"problems", required_argument, NULL, OPT_PROBLEMS}, {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
/* clang-format on */

struct import_view {
    bool tty, verbose, line_open;
};

static void clear_line(struct import_view *v) {
    if (v->line_open) fputs("\r\x1b[K", stderr);
    v->line_open = false;
}

static void on_problem(void *context, const char *label, uint64_t line, const char *text) {
    clear_line(context);
    if (line)
        fprintf(stderr, "%s:%llu: %s\n", label, (unsigned long long)line, text);
    else
        fprintf(stderr, "%s: %s\n", label, text);
}

static void on_file(void *context, const struct import_file_result *r) {
    struct import_view *v = context;
    if (!v->verbose) return;
    clear_line(v);
    fprintf(stderr, "%s: %llu rows, %llu problems%s\n", r->label, (unsigned long long)r->rows,
            (unsigned long long)r->problems, r->failed ? ", NOT taken" : "");
}

static void on_progress(void *context, const struct import_progress *p) {
    struct import_view *v = context;
    if (!v->tty) return;
    fprintf(stderr, "\r\x1b[K%zu/%zu files, %llu rows, %.50s", p->files_done, p->files_total,
            (unsigned long long)p->rows, p->label);
    v->line_open = true;
}

/* X(field, words, told also when zero) */
#define TOTALS_TABLE(X)                                                                            \
    X(files, "files", true)                                                                        \
    X(files_failed, "files not readable", true)                                                    \
    X(files_ignored, "other files in folders", false)                                              \
    X(series, "series", true)                                                                      \
    X(bars_added, "bars added", true)                                                              \
    X(bars_equal, "bars already there", true)                                                      \
    X(bars_conflicting, "bars in conflict (first kept)", true)                                     \
    X(funding_added, "funding rows added", false)                                                  \
    X(funding_equal, "funding rows already there", false)                                          \
    X(funding_conflicting, "funding rows in conflict (first kept)", false)                         \
    X(contracts, "contract rules", false)                                                          \
    X(gaps, "gaps", true)                                                                          \
    X(bars_missing, "bars missing in gaps", true)                                                  \
    X(duplicates, "duplicates in a file", true)                                                    \
    X(overlaps, "overlaps between files", true)                                                    \
    X(rows_bad, "rows not readable", true)                                                         \
    X(rows_impossible, "impossible bars", true)                                                    \
    X(rows_off_grid, "rows off the grid", true)                                                    \
    X(rows_unordered, "rows out of order", false)

static void write_totals(struct json_writer *w, const void *subject) {
    const struct import_totals *t = subject;
    json_write_object_begin(w);
#define TOTALS_WRITE(field, words, always) data_write_u64(w, #field, t->field);
    TOTALS_TABLE(TOTALS_WRITE)
#undef TOTALS_WRITE
    json_write_object_end(w);
}

static void print_totals(const struct import_totals *t) {
#define TOTALS_PRINT(field, words, always)                                                         \
    if (always || t->field) printf("%12llu %s\n", (unsigned long long)t->field, words);
    TOTALS_TABLE(TOTALS_PRINT)
#undef TOTALS_PRINT
}

int data_import(int argc, char **argv) {
    struct data_options o;
    int code = data_options_read(&o, argc, argv, options_import, usage_import);
    if (code >= 0) return code;
    if (o.name_count == 0) return data_usage_error(usage_import, "import what?", "");
    struct import_view view = {.tty = isatty(STDERR_FILENO), .verbose = o.verbose};
    struct import_options options = {
        .store = o.store,
        .market = o.market,
        .interval_ns = o.interval_ns,
        .problems_max = (uint32_t)o.problems,
        .stop = &data_interrupted,
        .hooks = {&view, on_problem, on_file, on_progress},
    };
    struct import_totals totals;
    struct err err = {0};
    data_interrupts_begin();
    enum status st =
        import_paths(&totals, &options, (const char *const *)o.names, (size_t)o.name_count, &err);
    data_interrupts_end();
    clear_line(&view);
    if (o.json)
        data_print_json(write_totals, &totals);
    else
        print_totals(&totals);
    if (st == ST_INTERRUPTED) {
        fprintf(stderr,
                "data: interrupted; what is counted above is in the store, import again for "
                "the rest\n");
        return EXIT_FAILED;
    }
    if (st != ST_OK) return data_failed(&err);
    return totals.files_failed ? EXIT_FAILED : EXIT_DONE;
}
