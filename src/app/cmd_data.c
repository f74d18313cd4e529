/* quantum data: candles, funding and contract rules into the store, and looks at what is there. */
#include "app/cmd_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "base/tstamp.h"

enum { PROBLEMS_DEFAULT = 5, ROWS_DEFAULT = 3 };

static const char usage[] =
    "usage: quantum data import|list|check|show|synth [options] …\n"
    "  import FILE|DIR…   candles, mark prices, funding, exchangeInfo, brackets into the store\n"
    "  list               what the store has\n"
    "  check [SYMBOL…]    checksums, order, gaps\n"
    "  show SYMBOL        first and last bars, and the contract\n"
    "  synth              made-up bars from a seed, marked as such for good\n"
    "`quantum data COMMAND --help` tells more.\n"
    "example: quantum data import ~/binance/klines/um-1h\n";

volatile sig_atomic_t data_interrupted;
static struct sigaction before;

static void on_interrupt(int number) {
    (void)number;
    data_interrupted = 1;
}

void data_interrupts_begin(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, &before);
}

void data_interrupts_end(void) {
    sigaction(SIGINT, &before, NULL);
}

/* ---- options ---- */

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

static bool option_apply(struct data_options *o, int option) {
    uint64_t n = 0;
    bool ok = true;
    switch (option) {
    case OPT_STORE:
        return *optarg && (size_t)snprintf(o->store, DATA_PATH_SIZE, "%s", optarg) < DATA_PATH_SIZE;
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

int data_usage_error(const char *help, const char *text, const char *what) {
    fprintf(stderr, "data: %s%s\n%s", text, what, help);
    return EXIT_USAGE;
}

int data_options_read(struct data_options *o, int argc, char **argv, const struct option *table,
                      const char *help) {
    *o = (struct data_options){.problems = PROBLEMS_DEFAULT,
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
        if (option == '?') {
            fputs(help, stderr); /* getopt has said what is wrong */
            return EXIT_USAGE;
        }
        if (!option_apply(o, option))
            return data_usage_error(help, "not a value for --", table[index].name);
    }
    o->names = argv + optind;
    o->name_count = argc - optind;
    if (o->store[0]) return -1;
    char state[DATA_PATH_SIZE];
    if (state_dir(state, sizeof state, o->state) != 0) return EXIT_FAILED;
    if (snprintf(o->store, DATA_PATH_SIZE, "%s/store", state) >= DATA_PATH_SIZE) {
        fprintf(stderr, "data: the state directory's path is too long\n");
        return EXIT_FAILED;
    }
    return -1;
}

int data_failed(const struct err *err) {
    fprintf(stderr, "data: %s\n", err->text);
    return EXIT_FAILED;
}

/* ---- JSON of a length not known before: written into a buffer that is doubled until it fits ---- */

int data_print_json(data_write_json *write, const void *subject) {
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

void data_write_time(struct json_writer *w, const char *key, int64_t ts_ns) {
    char text[TSTAMP_TEXT_SIZE];
    json_write_key(w, key);
    json_write_string(w, tstamp_format(text, ts_ns));
}

void data_write_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}

void data_write_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

void data_write_e8(struct json_writer *w, const char *key, int64_t e8) {
    json_write_key(w, key);
    json_write_e8(w, e8);
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
    if (argc < 2) return data_usage_error(usage, "what?", "");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return data_usage_error(usage, "no such command: ", argv[1]);
}
