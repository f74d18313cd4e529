/* What the files of `quantum data` share: options and output. One file per subcommand. */
#ifndef APP_CMD_DATA_H
#define APP_CMD_DATA_H

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "venue/simex/synth.h"

enum { DATA_PATH_SIZE = 4096 };

struct data_options {
    char store[DATA_PATH_SIZE];
    const char *state, *market;
    int64_t interval_ns, from_ns;
    uint64_t problems, rows, bars;
    struct synth_config synth;
    bool verbose, json, has_from;
    char **names; /* what is left of the command line */
    int name_count;
};

/* The value getopt_long gives for each; a subcommand's table names those it takes. */
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

/* Each reads its own options; argv[0] is its name. Returns the exit code. */
int data_import(int argc, char **argv);
int data_list(int argc, char **argv);
int data_check(int argc, char **argv);
int data_show(int argc, char **argv);
int data_synth(int argc, char **argv);

/* -1: go on; else the exit code. */
int data_options_read(struct data_options *o, int argc, char **argv, const struct option *table,
                      const char *help);
int data_usage_error(const char *help, const char *text, const char *what);
/* Prints err; returns EXIT_FAILED. */
int data_failed(const struct err *err);

/* While between begin and end, an interrupt only sets data_interrupted. */
extern volatile sig_atomic_t data_interrupted;
void data_interrupts_begin(void);
void data_interrupts_end(void);

/* Prints what write writes, whatever its length. Returns the exit code. */
typedef void data_write_json(struct json_writer *w, const void *subject);
int data_print_json(data_write_json *write, const void *subject);
void data_write_time(struct json_writer *w, const char *key, int64_t ts_ns);
void data_write_text(struct json_writer *w, const char *key, const char *text);
void data_write_u64(struct json_writer *w, const char *key, uint64_t value);
void data_write_e8(struct json_writer *w, const char *key, int64_t e8);

#endif
