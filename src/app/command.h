/* The command line's table. Each command is one file, cmd_NAME.c. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

/* Exit codes, stable. */
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

/* X(name, about). argv[0] is the command's name; getopt starts afresh. */
#define COMMAND_TABLE(X)                                                                           \
    X(up, "start everything: paper trading on the embedded exchange, or a replay")                 \
    X(backtest, "replay at full speed, then report")                                               \
    X(report, "what a run earned, net of everything, with baselines")                              \
    X(status, "each role of a running system, with the age of its last work")                      \
    X(doctor,                                                                                      \
      "check clock, keys, rules, modes and capabilities of a venue, and say what up would do")     \
    X(exchange, "a futures exchange of your own, with the venue's interface, for any client")      \
    X(train, "train the XGBoost voter on candles")                                                 \
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

#endif
