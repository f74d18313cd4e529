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

/* Prints err; returns EXIT_FAILED. */
int forecast_failed(const struct err *err);
/* A finite number above lo and at most hi. */
bool forecast_f64_parse(double *out, const char *text, double lo, double hi);

#endif
