/* Seeded market generator: many symbols with a common factor, regimes, volatility clustering, jumps,
 * and a volume that goes with them. Streaming and O(1) per bar; its state is plain memory without
 * pointers. Same seed and configuration, same bars, on every compiler.
 *
 * `pattern` > 0 plants a learnable dependence (documented in docs/synth.md): what the demonstration
 * of `make run` trades. With pattern = 0 nothing in the past says anything about the next return's
 * sign. Everything made here is marked INSTRUMENT_SYNTHETIC. */
#ifndef VENUE_SIMEX_SYNTH_H
#define VENUE_SIMEX_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "domain/bar.h"
#include "domain/instrument.h"

struct synth;

struct synth_config {
    uint64_t seed;
    uint32_t symbol_count; /* 1..INSTRUMENTS_MAX */
    int64_t interval_ns;
    int64_t start_ts_ns;      /* open time of the first bar, on the interval's grid */
    double volatility_annual; /* of one symbol, 0.8 is usual */
    double pattern; /* strength of the planted pattern, 0 = none, 1 = the demonstration's */
};
struct synth_config synth_config_defaults(void);

size_t synth_size(const struct synth_config *config);
struct synth *synth_init(void *memory, const struct synth_config *config);

/* The contracts it trades: real-looking filters, names of the form "SYN01USDT". out (symbol_count). */
void synth_instruments(const struct synth_config *config, struct instrument *out);

/* One bar for every symbol, out (symbol_count), prices on tick, bar_is_possible. */
void synth_next(struct synth *s, struct bar *out);

#endif
