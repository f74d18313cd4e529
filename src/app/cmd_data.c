/* quantum data: candles, funding and contract rules into the store, and looks at what is there. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "base/json.h"
#include "base/tstamp.h"
#include "store/candles.h"
#include "store/import.h"
#include "store/rules.h"
#include "venue/simex/synth.h"

enum { PATH_SIZE = 4096, PROBLEMS_DEFAULT = 5, ROWS_DEFAULT = 3 };

/* Bars made before they are written, of all symbols together: 256 MiB. */
enum { SYNTH_CHUNK_BARS = 1 << 22, SYNTH_CHUNK_MAX = 1 << 16 };

static const char usage[] =
    "usage: quantum data import|list|check|show|synth [options] …\n"
    "  import FILE|DIR…   candles, mark prices, funding, exchangeInfo, brackets into the store\n"
    "  list               what the store has\n"
    "  check [SYMBOL…]    checksums, order, gaps\n"
    "  show SYMBOL        first and last bars, and the contract\n"
    "  synth              made-up bars from a seed, marked as such for good\n"
    "`quantum data COMMAND --help` tells more.\n";

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

static const char usage_list[] = "usage: quantum data list [--store DIR] [--state DIR] [--json]\n"
                                 "example: quantum data list --json | jq '.series[].symbol'\n";

static const char usage_check[] =
    "usage: quantum data check [options] [SYMBOL…]\n"
    "Verifies every block's checksum, that bars are possible and in order, and counts holes.\n"
    "  --market M, --interval I   only these (default: all)\n"
    "  --store DIR, --state DIR   as for import\n"
    "  --json\n"
    "Exit code 1 if anything is damaged; holes are a fact of the source, not damage.\n"
    "example: quantum data check --interval 1h BTCUSDT\n";

static const char usage_show[] =
    "usage: quantum data show [options] SYMBOL\n"
    "  --market M      um, spot or mark (default: um)\n"
    "  --interval I    default: the smallest the store has of the symbol\n"
    "  --rows N        bars at each end (default: 3)\n"
    "  --from T        N bars from this time instead: 2024-10-28 or 2024-10-28T07:00:00Z\n"
    "  --store DIR, --state DIR   as for import\n"
    "  --json\n"
    "example: quantum data show --interval 1h --rows 5 BTCUSDT\n";

static const char usage_synth[] =
    "usage: quantum data synth [options]\n"
    "Writes made-up bars and their contracts. They are marked synthetic and never mix with real\n"
    "ones. docs/synth.md describes the market and the pattern in it.\n"
    "  --symbols N      default: 12\n"
    "  --bars N         of each symbol (default: 20160)\n"
    "  --seed N         default: 1\n"
    "  --interval I     default: 1m\n"
    "  --start T        default: 2024-01-01\n"
    "  --volatility X   a year's (default: 0.8)\n"
    "  --pattern X      strength of the planted pattern (default: 1; 0 is none)\n"
    "  --store DIR, --state DIR   as for import\n"
    "example: quantum data synth --symbols 8 --bars 50000 --seed 7\n";

struct options {
    size_t chunk; /* bars of one symbol made before they are written */
    char store[PATH_SIZE];
    const char *state, *market;
    int64_t interval_ns, from_ns;
    uint64_t problems, rows, bars;
    struct synth_config synth;
    bool verbose, json, has_from;
    char **names; /* what is left of the command line */
    int name_count;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* ---- options ---- */

enum {
    OPT_STORE = 1,
    OPT_STATE,
    OPT_MARKET,
    OPT_INTERVAL,
    OPT_PROBLEMS,
    OPT_ROWS,
    OPT_BARS,
    OPT_FROM,
    OPT_SYMBOLS,
    OPT_SEED,
    OPT_START,
    OPT_VOLATILITY,
    OPT_PATTERN,
    OPT_VERBOSE,
    OPT_JSON,
    OPT_HELP
};

/* clang-format off */
static const struct option options_import[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"market", required_argument, NULL, OPT_MARKET}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"problems", required_argument, NULL, OPT_PROBLEMS}, {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
static const struct option options_list[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
static const struct option options_check[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"market", required_argument, NULL, OPT_MARKET}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
static const struct option options_show[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"market", required_argument, NULL, OPT_MARKET}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"rows", required_argument, NULL, OPT_ROWS}, {"from", required_argument, NULL, OPT_FROM},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
static const struct option options_synth[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"symbols", required_argument, NULL, OPT_SYMBOLS}, {"bars", required_argument, NULL, OPT_BARS},
    {"seed", required_argument, NULL, OPT_SEED}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"start", required_argument, NULL, OPT_START}, {"volatility", required_argument, NULL, OPT_VOLATILITY},
    {"pattern", required_argument, NULL, OPT_PATTERN}, {"help", no_argument, NULL, OPT_HELP}, {0}};
/* clang-format on */

static bool parse_u64(uint64_t *out, const char *text, uint64_t lo, uint64_t hi) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == 0 && *text >= '0' && *text <= '9' && *out >= lo && *out <= hi;
}

static bool parse_f64(double *out, const char *text, double lo, double hi) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && *out >= lo && *out <= hi;
}

static bool is_market(const char *text) {
    return strcmp(text, "um") == 0 || strcmp(text, "spot") == 0 || strcmp(text, "mark") == 0;
}

static bool option_apply(struct options *o, int option) {
    uint64_t n = 0;
    bool ok = true;
    switch (option) {
    case OPT_STORE:
        return *optarg && (size_t)snprintf(o->store, PATH_SIZE, "%s", optarg) < PATH_SIZE;
    case OPT_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPT_MARKET:
        o->market = optarg;
        return is_market(optarg);
    case OPT_INTERVAL:
        return tstamp_interval_parse(&o->interval_ns, optarg) == ST_OK;
    case OPT_PROBLEMS:
        return parse_u64(&o->problems, optarg, 0, 1000000);
    case OPT_ROWS:
        return parse_u64(&o->rows, optarg, 1, 10000);
    case OPT_BARS:
        return parse_u64(&o->bars, optarg, 1, 10000000);
    case OPT_FROM:
        o->has_from = true;
        return tstamp_parse(&o->from_ns, optarg) == ST_OK;
    case OPT_SYMBOLS:
        ok = parse_u64(&n, optarg, 1, INSTRUMENTS_MAX);
        o->synth.symbol_count = (uint32_t)n;
        return ok;
    case OPT_SEED:
        return parse_u64(&o->synth.seed, optarg, 0, UINT64_MAX);
    case OPT_START:
        return tstamp_parse(&o->synth.start_ts_ns, optarg) == ST_OK;
    case OPT_VOLATILITY:
        return parse_f64(&o->synth.volatility_annual, optarg, 0.001, 10);
    case OPT_PATTERN:
        return parse_f64(&o->synth.pattern, optarg, 0, 10);
    case OPT_VERBOSE:
        o->verbose = true;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

static int usage_error(const char *help, const char *text, const char *what) {
    fprintf(stderr, "data: %s%s\n%s", text, what, help);
    return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv, const struct option *table,
                        const char *help) {
    *o = (struct options){.problems = PROBLEMS_DEFAULT,
                          .rows = ROWS_DEFAULT,
                          .bars = 14 * 1440,
                          .synth = synth_config_defaults()};
    int option, index = 0;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (option == '?') return usage_error(help, "see above", "");
        if (!option_apply(o, option))
            return usage_error(help, "not a value for --", table[index].name);
    }
    o->names = argv + optind;
    o->name_count = argc - optind;
    if (o->store[0]) return -1;
    char state[PATH_SIZE];
    if (state_dir(state, sizeof state, o->state) != 0) return EXIT_FAILED;
    if (snprintf(o->store, PATH_SIZE, "%s/store", state) >= PATH_SIZE) {
        fprintf(stderr, "data: the state directory's path is too long\n");
        return EXIT_FAILED;
    }
    return -1;
}

static int failed(const struct err *err) {
    fprintf(stderr, "data: %s\n", err->text);
    return EXIT_FAILED;
}

/* ---- JSON of a length not known before: written into a buffer that is doubled until it fits ---- */

typedef void write_json(struct json_writer *w, const void *subject);

static int print_json(write_json *write, const void *subject) {
    for (size_t capacity = 1 << 16; capacity <= (size_t)1 << 30; capacity *= 2) {
        char *text = malloc(capacity);
        if (!text) break;
        struct json_writer w;
        json_writer_init(&w, text, capacity);
        write(&w, subject);
        bool fits = json_writer_finish(&w) == ST_OK;
        if (fits) puts(text);
        free(text);
        if (fits) return EXIT_DONE;
    }
    fprintf(stderr, "data: out of memory for the report\n");
    return EXIT_FAILED;
}

static void write_time(struct json_writer *w, const char *key, int64_t ts_ns) {
    char text[TSTAMP_TEXT_SIZE];
    json_write_key(w, key);
    json_write_string(w, tstamp_format(text, ts_ns));
}

static void write_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}

static void write_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void write_e8(struct json_writer *w, const char *key, int64_t e8) {
    json_write_key(w, key);
    json_write_e8(w, e8);
}

/* ---- import ---- */

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
#define TOTALS_WRITE(field, words, always) write_u64(w, #field, t->field);
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

static int data_import(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv, options_import, usage_import);
    if (code >= 0) return code;
    if (o.name_count == 0) return usage_error(usage_import, "import what?", "");
    struct import_view view = {.tty = isatty(STDERR_FILENO), .verbose = o.verbose};
    struct import_options options = {
        .store = o.store,
        .market = o.market,
        .interval_ns = o.interval_ns,
        .problems_max = (uint32_t)o.problems,
        .stop = &interrupted,
        .hooks = {&view, on_problem, on_file, on_progress},
    };
    struct import_totals totals;
    struct err err = {0};
    struct sigaction old, action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, &old);
    enum status st =
        import_paths(&totals, &options, (const char *const *)o.names, (size_t)o.name_count, &err);
    sigaction(SIGINT, &old, NULL);
    clear_line(&view);
    if (o.json)
        print_json(write_totals, &totals);
    else
        print_totals(&totals);
    if (st == ST_INTERRUPTED) {
        fprintf(stderr,
                "data: interrupted; what is counted above is in the store, import again for "
                "the rest\n");
        return EXIT_FAILED;
    }
    if (st != ST_OK) return failed(&err);
    return totals.files_failed ? EXIT_FAILED : EXIT_DONE;
}

/* ---- every series of the store, one after the other ---- */

struct series_visit {
    const struct options *o;
    bool (*visit)(void *context, struct candles *c, enum status st, const struct err *err);
    void *context;
};

static bool is_named(const struct options *o, const char *symbol) {
    for (int i = 0; i < o->name_count; i++)
        if (strcmp(o->names[i], symbol) == 0) return true;
    return o->name_count == 0;
}

static enum status visit_symbols(const struct series_visit *v, const struct candles_series *s,
                                 struct err *err) {
    struct candles_list list;
    enum status st = candles_list(&list, v->o->store, s->market, s->interval_ns, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < list.count; i++) {
        struct candles c;
        struct err why = {0};
        if (!is_named(v->o, list.symbols[i])) continue;
        enum status opened =
            candles_open(&c, v->o->store, s->market, s->interval_ns, list.symbols[i], &why);
        bool go_on = v->visit(v->context, &c, opened, &why);
        candles_close(&c);
        if (!go_on) break;
    }
    candles_list_free(&list);
    return ST_OK;
}

static enum status visit_series(const struct series_visit *v, struct err *err) {
    struct candles_series series[CANDLES_SERIES_MAX];
    size_t count;
    enum status st = candles_series_list(series, &count, v->o->store, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        if (v->o->market && strcmp(v->o->market, series[i].market) != 0) continue;
        if (v->o->interval_ns && v->o->interval_ns != series[i].interval_ns) continue;
        st = visit_symbols(v, &series[i], err);
    }
    return st;
}

/* ---- list and check: one row per series ---- */

struct series_row {
    char market[MARKET_SIZE], symbol[SYMBOL_SIZE], interval[16];
    size_t bars;
    int64_t first_ns, last_ns;
    uint32_t flags;
    uint64_t gaps, bars_missing, zero_volume;
    bool damaged;
    char text[ERR_TEXT_SIZE];
};

struct funding_row {
    char symbol[SYMBOL_SIZE];
    size_t rows;
    int64_t first_ns, last_ns;
    bool damaged;
    char text[ERR_TEXT_SIZE];
};

struct survey {
    const struct options *o;
    struct series_row *series;
    size_t series_count, series_capacity;
    struct funding_row *funding;
    size_t funding_count;
    size_t filters, brackets; /* contracts with them */
    bool verify, no_memory, damaged;
    char rules_text[ERR_TEXT_SIZE]; /* what is wrong with the rules file */
};

static void count_holes(struct series_row *row, const struct candles *c) {
    bool has_volume = strcmp(c->market, "mark") != 0;
    for (size_t i = 0; i < c->count; i++) {
        row->zero_volume += has_volume && c->bars[i].volume == 0;
        if (i == 0) continue;
        int64_t missing = (c->bars[i].open_ts_ns - c->bars[i - 1].open_ts_ns) / c->interval_ns - 1;
        row->gaps += missing > 0;
        row->bars_missing += (uint64_t)missing;
    }
}

static bool survey_series(void *context, struct candles *c, enum status st, const struct err *err) {
    struct survey *s = context;
    if (s->series_count == s->series_capacity) {
        size_t larger = s->series_capacity ? 2 * s->series_capacity : 128;
        struct series_row *grown = realloc(s->series, larger * sizeof *grown);
        if (!grown) {
            s->no_memory = true;
            return false;
        }
        s->series = grown;
        s->series_capacity = larger;
    }
    struct series_row *row = &s->series[s->series_count++];
    struct err why = *err;
    *row = (struct series_row){.bars = c->count, .flags = c->flags};
    if (st == ST_OK && s->verify) st = candles_verify(c, &why);
    if (st == ST_OK) {
        snprintf(row->market, sizeof row->market, "%s", c->market);
        snprintf(row->symbol, sizeof row->symbol, "%s", c->symbol);
        tstamp_interval_format(row->interval, c->interval_ns);
        if (c->count) {
            row->first_ns = c->bars[0].open_ts_ns;
            row->last_ns = c->bars[c->count - 1].open_ts_ns;
        }
        if (s->verify) count_holes(row, c);
    } else {
        row->damaged = s->damaged = true;
        snprintf(row->text, sizeof row->text, "%s", why.text);
    }
    return true;
}

static enum status survey_funding(struct survey *s, struct err *err) {
    struct candles_list list;
    enum status st = funding_list(&list, s->o->store, err);
    if (st != ST_OK) return st;
    s->funding = calloc(list.count ? list.count : 1, sizeof *s->funding);
    if (!s->funding) s->no_memory = true;
    for (size_t i = 0; i < list.count && s->funding; i++) {
        struct funding f;
        struct err why = {0};
        if (!is_named(s->o, list.symbols[i])) continue;
        struct funding_row *row = &s->funding[s->funding_count++];
        memcpy(row->symbol, list.symbols[i], SYMBOL_SIZE);
        if (funding_open(&f, s->o->store, row->symbol, &why) != ST_OK) {
            row->damaged = s->damaged = true;
            memcpy(row->text, why.text, sizeof row->text);
        } else if (f.count) {
            row->rows = f.count;
            row->first_ns = f.rows[0].ts_ns;
            row->last_ns = f.rows[f.count - 1].ts_ns;
        }
        funding_close(&f);
    }
    candles_list_free(&list);
    return ST_OK;
}

static void survey_rules(struct survey *s) {
    struct rules_map map;
    struct err why = {0};
    if (rules_open(&map, s->o->store, &why) != ST_OK) {
        s->damaged = true;
        memcpy(s->rules_text, why.text, sizeof s->rules_text);
        return;
    }
    for (size_t i = 0; i < map.count; i++) {
        s->filters += (map.rows[i].sources & RULES_FILTERS) != 0;
        s->brackets += (map.rows[i].sources & RULES_BRACKETS) != 0;
    }
    rules_close(&map);
}

static void write_survey(struct json_writer *w, const void *subject) {
    const struct survey *s = subject;
    json_write_object_begin(w);
    write_text(w, "store", s->o->store);
    json_write_key(w, "series");
    json_write_array_begin(w);
    for (size_t i = 0; i < s->series_count; i++) {
        const struct series_row *r = &s->series[i];
        json_write_object_begin(w);
        if (r->damaged) {
            write_text(w, "damage", r->text);
        } else {
            write_text(w, "market", r->market);
            write_text(w, "interval", r->interval);
            write_text(w, "symbol", r->symbol);
            write_u64(w, "bars", r->bars);
            write_time(w, "first", r->first_ns);
            write_time(w, "last", r->last_ns);
            json_write_key(w, "synthetic");
            json_write_bool(w, r->flags & INSTRUMENT_SYNTHETIC);
            if (s->verify) {
                write_u64(w, "gaps", r->gaps);
                write_u64(w, "bars_missing", r->bars_missing);
                write_u64(w, "zero_volume_bars", r->zero_volume);
            }
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_key(w, "funding");
    json_write_array_begin(w);
    for (size_t i = 0; i < s->funding_count; i++) {
        const struct funding_row *r = &s->funding[i];
        json_write_object_begin(w);
        write_text(w, "symbol", r->symbol);
        if (r->damaged) {
            write_text(w, "damage", r->text);
        } else {
            write_u64(w, "rows", r->rows);
            write_time(w, "first", r->first_ns);
            write_time(w, "last", r->last_ns);
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
    write_u64(w, "contracts_with_filters", s->filters);
    write_u64(w, "contracts_with_brackets", s->brackets);
    if (s->rules_text[0]) write_text(w, "contracts_damage", s->rules_text);
    json_write_object_end(w);
}

static void print_survey(const struct survey *s) {
    char first[TSTAMP_TEXT_SIZE], last[TSTAMP_TEXT_SIZE];
    if (s->series_count)
        printf("%-6s %-8s %-16s %10s  %-16s %-16s%s\n", "market", "interval", "symbol", "bars",
               "first", "last", s->verify ? "   gaps missing   zero" : "");
    for (size_t i = 0; i < s->series_count; i++) {
        const struct series_row *r = &s->series[i];
        if (r->damaged) {
            printf("DAMAGED %s\n", r->text);
            continue;
        }
        tstamp_format(first, r->first_ns);
        tstamp_format(last, r->last_ns);
        printf("%-6s %-8s %-16s %10zu  %.16s %.16s", r->market, r->interval, r->symbol, r->bars,
               first, last);
        if (s->verify)
            printf(" %6llu %7llu %6llu", (unsigned long long)r->gaps,
                   (unsigned long long)r->bars_missing, (unsigned long long)r->zero_volume);
        puts(r->flags & INSTRUMENT_SYNTHETIC ? "  synthetic" : "");
    }
    for (size_t i = 0; i < s->funding_count; i++) {
        const struct funding_row *r = &s->funding[i];
        if (r->damaged)
            printf("DAMAGED %s\n", r->text);
        else
            printf("%-15s %-16s %10zu  %.16s %.16s\n", "funding", r->symbol, r->rows,
                   tstamp_format(first, r->first_ns), tstamp_format(last, r->last_ns));
    }
    if (s->rules_text[0]) printf("DAMAGED %s\n", s->rules_text);
    printf(
        "%zu series, %zu funding histories, contracts: %zu with filters, %zu with brackets (%s)\n",
        s->series_count, s->funding_count, s->filters, s->brackets, s->o->store);
}

static int survey_run(const struct options *o, bool verify) {
    struct survey s = {.o = o, .verify = verify};
    struct series_visit v = {o, survey_series, &s};
    struct err err = {0};
    enum status st = visit_series(&v, &err);
    if (st == ST_OK && !o->market && !o->interval_ns) st = survey_funding(&s, &err);
    if (st == ST_OK) survey_rules(&s);
    int code = EXIT_FAILED;
    if (s.no_memory)
        fprintf(stderr, "data: out of memory\n");
    else if (st != ST_OK)
        failed(&err);
    else if (o->json)
        code = print_json(write_survey, &s);
    else {
        print_survey(&s);
        code = EXIT_DONE;
    }
    bool nothing = s.series_count == 0 && s.funding_count == 0 && o->name_count > 0;
    if (code == EXIT_DONE && nothing) {
        fprintf(stderr, "data: the store has nothing of that name\n");
        code = EXIT_FAILED;
    }
    free(s.series);
    free(s.funding);
    return code == EXIT_DONE && s.damaged ? EXIT_FAILED : code;
}

static int data_list(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv, options_list, usage_list);
    if (code >= 0) return code;
    if (o.name_count) return usage_error(usage_list, "unexpected: ", o.names[0]);
    return survey_run(&o, false);
}

static int data_check(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv, options_check, usage_check);
    return code >= 0 ? code : survey_run(&o, true);
}

/* ---- show ---- */

struct show {
    const struct options *o;
    struct candles candles;
    struct instrument instrument;
    size_t begin[2], end[2]; /* two stretches of bars; the second may be empty */
};

static void choose_bars(struct show *s) {
    size_t n = s->candles.count, rows = s->o->rows;
    if (s->o->has_from) {
        size_t i = 0;
        while (i < n && s->candles.bars[i].open_ts_ns < s->o->from_ns) i++;
        s->begin[0] = i;
        s->end[0] = n - i < rows ? n : i + rows;
    } else if (n <= 2 * rows) {
        s->end[0] = n;
    } else {
        s->end[0] = rows;
        s->begin[1] = n - rows;
        s->end[1] = n;
    }
}

static void write_f64_or_null(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value); /* not a number becomes null */
}

static void write_bar(struct json_writer *w, const struct bar *b) {
    json_write_object_begin(w);
    write_time(w, "open_time", b->open_ts_ns);
    write_e8(w, "open", b->open.e8);
    write_e8(w, "high", b->high.e8);
    write_e8(w, "low", b->low.e8);
    write_e8(w, "close", b->close.e8);
    write_f64_or_null(w, "volume", b->volume);
    write_f64_or_null(w, "quote_volume", b->quote_volume);
    write_f64_or_null(w, "taker_buy_ratio", (double)b->taker_buy_ratio);
    json_write_key(w, "count");
    if (b->trade_count == BAR_COUNT_UNKNOWN)
        json_write_null(w);
    else
        json_write_u64(w, b->trade_count);
    json_write_object_end(w);
}

static void write_instrument(struct json_writer *w, const struct instrument *in) {
    json_write_object_begin(w);
    write_e8(w, "tick_size", in->tick_size.e8);
    write_e8(w, "px_min", in->px_min.e8);
    write_e8(w, "px_max", in->px_max.e8);
    write_e8(w, "step_size", in->step_size.e8);
    write_e8(w, "qty_min", in->qty_min.e8);
    write_e8(w, "qty_max", in->qty_max.e8);
    write_e8(w, "market_qty_max", in->market_qty_max.e8);
    write_e8(w, "notional_min", in->notional_min.e8);
    write_u64(w, "funding_interval_hours", (uint64_t)(in->funding_interval_ns / NS_PER_HOUR));
    json_write_key(w, "inferred");
    json_write_bool(w, in->flags & INSTRUMENT_INFERRED);
    json_write_key(w, "funding_assumed");
    json_write_bool(w, in->flags & INSTRUMENT_FUNDING_ASSUMED);
    json_write_key(w, "synthetic");
    json_write_bool(w, in->flags & INSTRUMENT_SYNTHETIC);
    json_write_key(w, "brackets");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        const struct bracket *b = &in->brackets[i];
        json_write_object_begin(w);
        write_e8(w, "notional_cap", b->notional_cap.e8);
        write_e8(w, "maint_margin_rate", b->maint_margin_rate.e8);
        write_e8(w, "maint_amount", b->maint_amount.e8);
        write_u64(w, "leverage_max", b->leverage_max);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_show(struct json_writer *w, const void *subject) {
    const struct show *s = subject;
    char interval[16];
    json_write_object_begin(w);
    write_text(w, "symbol", s->candles.symbol);
    write_text(w, "market", s->candles.market);
    write_text(w, "interval", tstamp_interval_format(interval, s->candles.interval_ns));
    write_u64(w, "bars_total", s->candles.count);
    json_write_key(w, "bars");
    json_write_array_begin(w);
    for (int k = 0; k < 2; k++)
        for (size_t i = s->begin[k]; i < s->end[k]; i++) write_bar(w, &s->candles.bars[i]);
    json_write_array_end(w);
    json_write_key(w, "instrument");
    write_instrument(w, &s->instrument);
    json_write_object_end(w);
}

static void print_bar(const struct bar *b) {
    char at[TSTAMP_TEXT_SIZE], px[4][FX_TEXT_SIZE];
    const int64_t e8[] = {b->open.e8, b->high.e8, b->low.e8, b->close.e8};
    for (int i = 0; i < 4; i++) fx_format(px[i], e8[i]);
    printf("%.16s  %14s %14s %14s %14s  %16.8g", tstamp_format(at, b->open_ts_ns), px[0], px[1],
           px[2], px[3], b->volume);
    if (isnan(b->quote_volume))
        printf(" %16s", "-");
    else
        printf(" %16.8g", b->quote_volume);
    if (b->trade_count == BAR_COUNT_UNKNOWN)
        printf(" %8s", "-");
    else
        printf(" %8u", b->trade_count);
    if (isnan((double)b->taker_buy_ratio))
        printf(" %6s\n", "-");
    else
        printf(" %6.3f\n", (double)b->taker_buy_ratio);
}

static void print_instrument(const struct instrument *in) {
    char a[FX_TEXT_SIZE], b[FX_TEXT_SIZE], c[FX_TEXT_SIZE];
    fx_format(a, in->tick_size.e8);
    fx_format(b, in->step_size.e8);
    fx_format(c, in->notional_min.e8);
    printf("contract: tick %s, step %s, least notional %s, funding every %lld h%s%s%s\n", a, b, c,
           (long long)(in->funding_interval_ns / NS_PER_HOUR),
           in->flags & INSTRUMENT_INFERRED ? ", filters INFERRED from its bars" : "",
           in->flags & INSTRUMENT_FUNDING_ASSUMED ? ", funding ASSUMED" : "",
           in->flags & INSTRUMENT_SYNTHETIC ? ", SYNTHETIC" : "");
    fx_format(a, in->px_min.e8);
    fx_format(b, in->px_max.e8);
    printf("          price %s … %s", a, b);
    fx_format(a, in->qty_min.e8);
    fx_format(b, in->qty_max.e8);
    fx_format(c, in->market_qty_max.e8);
    printf(", quantity %s … %s (market %s)\n", a, b, c);
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        const struct bracket *k = &in->brackets[i];
        fx_format(a, k->notional_cap.e8);
        fx_format(b, k->maint_margin_rate.e8);
        printf("          up to %s: %ux, maintenance %s\n", a, k->leverage_max, b);
    }
}

static int print_show(const struct show *s) {
    char interval[16];
    printf("%s %s %s: %zu bars%s\n", s->candles.market,
           tstamp_interval_format(interval, s->candles.interval_ns), s->candles.symbol,
           s->candles.count, s->candles.flags & INSTRUMENT_SYNTHETIC ? ", synthetic" : "");
    printf("%-16s  %14s %14s %14s %14s  %16s %16s %8s %6s\n", "open time", "open", "high", "low",
           "close", "volume", "quote volume", "trades", "taker");
    for (int k = 0; k < 2; k++) {
        if (k && s->end[1]) puts("…");
        for (size_t i = s->begin[k]; i < s->end[k]; i++) print_bar(&s->candles.bars[i]);
    }
    print_instrument(&s->instrument);
    return EXIT_DONE;
}

/* The smallest interval at which the store has the symbol. */
static enum status find_interval(struct options *o, struct err *err) {
    struct candles_series series[CANDLES_SERIES_MAX];
    size_t count;
    enum status st = candles_series_list(series, &count, o->store, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        struct candles c;
        if (strcmp(series[i].market, o->market) != 0) continue;
        if (candles_open(&c, o->store, o->market, series[i].interval_ns, o->names[0], NULL) ==
            ST_NOT_FOUND)
            continue;
        candles_close(&c);
        o->interval_ns = series[i].interval_ns;
        return ST_OK;
    }
    return st == ST_OK ? err_set(err, ST_NOT_FOUND, "no %s bars of %s in %s", o->market,
                                 o->names[0], o->store)
                       : st;
}

static int data_show(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv, options_show, usage_show);
    if (code >= 0) return code;
    if (o.name_count != 1) return usage_error(usage_show, "show takes one symbol", "");
    if (!o.market) o.market = "um";
    struct show s = {.o = &o};
    struct err err = {0};
    enum status st = o.interval_ns ? ST_OK : find_interval(&o, &err);
    if (st == ST_OK)
        st = candles_open(&s.candles, o.store, o.market, o.interval_ns, o.names[0], &err);
    if (st == ST_OK) st = instrument_load(&s.instrument, o.store, o.names[0], &s.candles, &err);
    if (st == ST_OK) {
        choose_bars(&s);
        code = o.json ? print_json(write_show, &s) : print_show(&s);
    } else {
        code = failed(&err);
    }
    candles_close(&s.candles);
    return code;
}

/* ---- synth ---- */

/* Made-up bars continue a series only if they are the same where both have some: another seed's
 * would be spliced onto it. Checked before anything is written. */
static enum status check_chunk(const struct options *o, const char *symbol, const struct bar *bars,
                               size_t count, struct err *err) {
    struct candles c;
    enum status st = candles_open(&c, o->store, "um", o->synth.interval_ns, symbol, err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st != ST_OK) return st;
    size_t lo = 0, hi = c.count;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (c.bars[middle].open_ts_ns < bars[0].open_ts_ns)
            lo = middle + 1;
        else
            hi = middle;
    }
    for (size_t i = 0; i < count && lo + i < c.count && st == ST_OK; i++)
        if (memcmp(&c.bars[lo + i], &bars[i], sizeof *bars) != 0)
            st = err_set(err, ST_MISMATCH,
                         "%s has other bars at these times (another seed?): use another --store, "
                         "--start or --interval",
                         symbol);
    candles_close(&c);
    return st;
}

/* chunk[symbol * o->chunk + bar] is written for every symbol, then filled again. */
static enum status write_chunk(const struct options *o, const struct instrument *in,
                               const struct bar *chunk, size_t bars, uint64_t *added,
                               struct err *err) {
    enum status st = ST_OK;
    for (uint32_t i = 0; i < o->synth.symbol_count && st == ST_OK; i++)
        st = check_chunk(o, in[i].symbol, chunk + (size_t)i * o->chunk, bars, err);
    for (uint32_t i = 0; i < o->synth.symbol_count && st == ST_OK; i++) {
        struct candles_merge counts;
        st = candles_merge_lcd(&counts, o->store, "um", o->synth.interval_ns, in[i].symbol,
                               INSTRUMENT_SYNTHETIC, chunk + (size_t)i * o->chunk, bars,
                               in[i].step_size.e8, err);
        *added += counts.added;
    }
    return st;
}

static enum status write_contracts(const struct options *o, const struct instrument *in,
                                   struct err *err) {
    struct rules *rules = calloc(o->synth.symbol_count, sizeof *rules);
    if (!rules) return err_set(err, ST_NO_MEMORY, "contracts");
    for (uint32_t i = 0; i < o->synth.symbol_count; i++)
        rules[i] = (struct rules){RULES_FILTERS | RULES_BRACKETS, 0, in[i]};
    enum status st = rules_merge(o->store, rules, o->synth.symbol_count, err);
    free(rules);
    return st;
}

static enum status write_bars(const struct options *o, const struct instrument *in,
                              struct synth *synth, struct bar *chunk, uint64_t *added,
                              struct err *err) {
    struct bar now[INSTRUMENTS_MAX];
    bool tty = isatty(STDERR_FILENO);
    enum status st = ST_OK;
    for (uint64_t done = 0; done < o->bars && st == ST_OK;) {
        size_t n = o->bars - done < o->chunk ? (size_t)(o->bars - done) : o->chunk;
        for (size_t t = 0; t < n; t++) {
            synth_next(synth, now);
            for (uint32_t i = 0; i < o->synth.symbol_count; i++)
                chunk[(size_t)i * o->chunk + t] = now[i];
        }
        st = write_chunk(o, in, chunk, n, added, err);
        done += n;
        if (tty)
            fprintf(stderr, "\r\x1b[K%llu of %llu bars", (unsigned long long)done,
                    (unsigned long long)o->bars);
        if (interrupted && st == ST_OK) st = err_set(err, ST_INTERRUPTED, "interrupted");
    }
    if (tty) fputs("\r\x1b[K", stderr);
    return st;
}

static int data_synth(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv, options_synth, usage_synth);
    if (code >= 0) return code;
    if (o.name_count) return usage_error(usage_synth, "unexpected: ", o.names[0]);
    if (o.interval_ns) o.synth.interval_ns = o.interval_ns;
    if (o.synth.start_ts_ns % o.synth.interval_ns != 0)
        return usage_error(usage_synth, "--start is not on the interval's grid", "");
    struct err err = {0};
    uint64_t added = 0;
    size_t symbols = o.synth.symbol_count;
    o.chunk = SYNTH_CHUNK_BARS / symbols;
    if (o.chunk > SYNTH_CHUNK_MAX) o.chunk = SYNTH_CHUNK_MAX;
    struct instrument *in = calloc(symbols, sizeof *in);
    struct bar *chunk = aligned_alloc(64, symbols * o.chunk * sizeof *chunk);
    void *memory = aligned_alloc(64, (synth_size(&o.synth) + 63) / 64 * 64);
    struct sigaction old, action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, &old);
    enum status st = in && chunk && memory ? ST_OK : err_set(&err, ST_NO_MEMORY, "out of memory");
    if (st == ST_OK) {
        synth_instruments(&o.synth, in);
        st = write_bars(&o, in, synth_init(memory, &o.synth), chunk, &added, &err);
    }
    if (st == ST_OK) st = write_contracts(&o, in, &err);
    sigaction(SIGINT, &old, NULL);
    free(memory);
    free(chunk);
    free(in);
    if (st != ST_OK) return failed(&err);
    printf("%llu synthetic bars added to %s\n", (unsigned long long)added, o.store);
    return EXIT_DONE;
}

int cmd_data(int argc, char **argv) {
    static const struct {
        char name[8];
        int (*run)(int, char **);
    } commands[] = {{"import", data_import},
                    {"list", data_list},
                    {"check", data_check},
                    {"show", data_show},
                    {"synth", data_synth}};
    if (argc < 2) return usage_error(usage, "what?", "");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return usage_error(usage, "no such command: ", argv[1]);
}
