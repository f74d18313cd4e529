/* Bars of the generator of made-up markets, all at once. */
#ifndef BENCH_BENCH_SYNTH_H
#define BENCH_BENCH_SYNTH_H

#include <stddef.h>

#include "base/err.h"
#include "domain/bar.h"
#include "domain/instrument.h"
#include "venue/simex/synth.h"

struct bench_synth {
    size_t count;                   /* bars of each symbol */
    struct bar *bars;               /* (symbol_count, count) */
    struct instrument *instruments; /* (symbol_count) */
};

/* The first `count` bars. To be freed in any case. */
enum status bench_synth_make(struct bench_synth *out, const struct synth_config *config,
                             size_t count, struct err *err);
void bench_synth_free(struct bench_synth *s);

#endif
