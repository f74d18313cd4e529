/* What the files of `quantum forecast` share. One file per subcommand or two. */
#ifndef APP_CMD_FORECAST_H
#define APP_CMD_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "forecast/protocol.h"

/* Each reads its own options; argv[0] is its name. Returns the exit code. */
int forecast_train_command(int argc, char **argv);
int forecast_eval_command(int argc, char **argv);
int forecast_predict_command(int argc, char **argv);

/* Prints "forecast: ...", then the help; returns EXIT_USAGE. */
int forecast_usage_error(const char *help, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints err; returns EXIT_FAILED. */
int forecast_failed(const struct err *err);
bool forecast_u32_parse(uint32_t *out, const char *text, uint32_t lo, uint32_t hi);
bool forecast_u64_parse(uint64_t *out, const char *text, uint64_t lo, uint64_t hi);
/* A finite number above lo and at most hi. */
bool forecast_f64_parse(double *out, const char *text, double lo, double hi);

#endif
