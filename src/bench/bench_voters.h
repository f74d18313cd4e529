/* Four voters of trading size on a made-up market of hours with a planted pattern, and the session in which they vote. */
#ifndef BENCH_BENCH_VOTERS_H
#define BENCH_BENCH_VOTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "backtest/session.h"
#include "bench/bench_synth.h"
#include "learn/learn.h"

enum { BENCH_VOTERS_TRAIN_SYMBOLS = 30, BENCH_VOTERS_TRAIN_BARS = 3000 };

struct bench_voters {
    char folder[200];
    struct synth_config market; /* symbol_count: as many as are trained on */
    struct bench_synth past;
    struct learn_series series[BENCH_VOTERS_TRAIN_SYMBOLS]; /* of the bars trained on */
    struct served_model *models[MODEL_COUNT];
};

/* Trains them (says on stderr what each knows). To be freed in any case. */
enum status bench_voters_make(struct bench_voters *v, struct err *err);
void bench_voters_free(struct bench_voters *v);
/* A training of that kind as these were made. */
struct learn_config bench_voters_config(const struct bench_voters *v, enum model_kind kind);
/* Options of a session on the first `symbols` contracts of the market from where training ended: all four asked, run_dir
 * (emptied) in the folder, journal and bus on. out->feed is the caller's to close. */
enum status bench_voters_session(struct session_options *out, char run_dir[256],
                                 const struct bench_voters *v, uint32_t symbols, struct err *err);

#endif
