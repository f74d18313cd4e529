/* Where bars come from: a tape of the candle store, or the seeded generator. One step is one bar
 * interval; every symbol has at most one bar in it.
 *
 * A feed can be named by a hash (of its bars, or of the generator's configuration) and positioned at
 * a step, which is what lets a journal keep bars by reference. */
#ifndef BACKTEST_FEED_H
#define BACKTEST_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/bar.h"
#include "domain/instrument.h"
#include "store/candles.h"
#include "venue/simex/synth.h"

struct feed;

struct feed_tape_options {
    const char *store;  /* root of the candle store */
    const char *market; /* "um" */
    int64_t interval_ns;
    const char *symbols;    /* "BTCUSDT,ETHUSDT", NULL: every symbol with bars in [from, to) */
    int64_t from_ns, to_ns; /* trading window; to_ns exclusive, 0: to the end of the data */
    uint32_t warmup_bars;   /* bars before from_ns that are fed too, where the store has them */
};

struct feed_step {
    uint64_t index; /* 0, 1, 2 … */
    int64_t open_ts_ns;
    uint32_t count; /* symbols with a bar; may be 0 */
    const uint32_t
        *symbols; /* (count) ascending instrument indices; borrowed until the next call */
    const struct bar *const *bars;  /* (count) */
    const struct bar *const *marks; /* (count) mark-price bars, NULL where none is known */
    uint32_t funding_count;
    const struct feed_funding {
        uint32_t symbol;
        int64_t ts_ns;
        rate_t rate;
    } * fundings; /* in (open, close] */
    uint32_t ended_count;
    const uint32_t
        *ended; /* symbols whose last bar was in the step before, while the feed goes on */
};

/* ST_NOT_FOUND if no symbol has bars in the window (err says what the store has). */
enum status feed_open_tape(struct feed **out, const struct feed_tape_options *options,
                           struct err *err);
/* The generator's bars from step 0; without an end. */
enum status feed_open_synth(struct feed **out, const struct synth_config *config,
                            int64_t trade_from_ns, struct err *err);
/* A market that is told as it happens: contracts, interval and identity, no bars of its own (feed_next: ST_END).
 * hash: of whatever says which market it is. */
enum status feed_open_live(struct feed **out, const struct instrument *instruments, uint32_t count,
                           int64_t interval_ns, int64_t from_ns, uint64_t hash, struct err *err);
void feed_close(struct feed *f);

uint32_t feed_symbol_count(const struct feed *f);
const struct instrument *feed_instruments(const struct feed *f);
int64_t feed_interval_ns(const struct feed *f);
int64_t feed_from_ns(const struct feed *f); /* trading starts */
int64_t feed_to_ns(const struct feed *f);   /* 0: open end */
bool feed_is_synthetic(const struct feed *f);
uint64_t feed_hash(const struct feed *f);
uint64_t feed_step_count(const struct feed *f); /* 0: open end */
uint32_t feed_funding_assumed(const struct feed *f);
uint32_t feed_inferred(const struct feed *f);
/* All bars of a symbol in the tape's window incl. warm-up (NULL for the generator). */
const struct bar *feed_bars(const struct feed *f, uint32_t symbol, size_t *count);

/* ST_END after the last step. */
enum status feed_next(struct feed *f, struct feed_step *out);
/* Positions before `step`: the next feed_next gives that step. */
void feed_seek(struct feed *f, uint64_t step);

#endif
