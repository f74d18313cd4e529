/* The command line's table. Each command is one file, cmd_NAME.c. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

/* Exit codes, stable. */
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

/* X(name, about). argv[0] is the command's name; getopt starts afresh. */
#define COMMAND_TABLE(X)                                                                           \
    X(up, "start everything: paper trading on the embedded exchange, or a replay")                 \
    X(backtest, "replay at full speed, then report")                                               \
    X(walk_forward,                                                                                \
      "train, decide, trade, learn and retrain over years of bars, and say what it was worth")     \
    X(report, "what a run earned, net of everything, with baselines")                              \
    X(status, "each role of a running system, with the age of its last work")                      \
    X(stop, "entries off, exits on: told to a running system")                                     \
    X(panic, "close everything a running system holds, and wait until it is flat")                 \
    X(resume, "entries on again")                                                                  \
    X(drill, "panic, restart or naked, on a running paper system: measured, PASS or FAIL")         \
    X(doctor,                                                                                      \
      "check clock, keys, rules, modes and capabilities of a venue, and say what up would do")     \
    X(exchange, "a futures exchange of your own, with the venue's interface, for any client")      \
    X(sim,                                                                                         \
      "the whole system in one thread under a virtual clock, with everything that can go wrong")   \
    X(train, "train the voters on candles, with a report of what they know")                       \
    X(model, "train, use and look at models of trees: XGBoost's and LightGBM's formats")           \
    X(forecast, "the forecasting networks outside trading: train, measure, forecast, check")       \
    X(data, "import, list, check, show and synthesise candles")                                    \
    X(replay, "re-run a journal and compare state hashes")                                         \
    X(bench, "measure, next to the peer each figure names")                                        \
    X(events, "print the event catalogue (docs/EVENTS.md)")

#define COMMAND_DECLARE(name, about) int cmd_##name(int argc, char **argv);
COMMAND_TABLE(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* The state directory: option, else $QUANTUM_STATE, else XDG data folder + /quantum. Made if missing. */
int state_dir(char *out, unsigned long size, const char *option);

/* ---- options: command_options.c ---- */

/* What a table gives for --help; the other values are the command's own, small and above 0. */
enum { COMMAND_HELP = 0x7000 };

struct command_options {
    const char *command; /* before its messages: "model" */
    const char *help;
    const struct option *table;
    /* Takes one option with its optarg; false: that is no value for it. */
    bool (*apply)(void *options, int option);
};
/* -1: go on, what is no option begins at argv[optind]; else the exit code, and all has been said. */
int command_options_read(void *options, const struct command_options *c, int argc, char **argv);
/* Prints "COMMAND: ...", then the help; returns EXIT_USAGE. */
int command_usage_error(const char *command, const char *help, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Decimal digits alone, of a number in [lo, hi]. */
bool command_u64_parse(uint64_t *out, const char *text, uint64_t lo, uint64_t hi);
bool command_u32_parse(uint32_t *out, const char *text, uint32_t lo, uint32_t hi);

#endif
