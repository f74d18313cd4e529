/* The closed candles of a run on a venue, kept for its trainings: a candle store in the run's folder, merged into in
 * batches.
 *
 * A candle is in memory when it is put, on disk with the next live_candles_save (one small file beside the store, for all
 * symbols) and in the store when a training opens its source, when live_candles_flush is called, or when too many wait.
 * A run saves before each of its snapshots and puts again what its journal has behind them, so a kill leaves no hole;
 * the store keeps one candle for each symbol and time, so it leaves none twice.
 *
 * Threads   all but the source's open and close belong to the kernel's thread. prepare copies what waits; open merges that
 *           copy and reads; what it reads does not change until close, whatever is merged meanwhile.
 * Tests     test_live_candles.c, test_session_live_retrain.c */
#ifndef BACKTEST_LIVE_CANDLES_H
#define BACKTEST_LIVE_CANDLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/bar.h"
#include "domain/instrument.h"
#include "retrain/retrain.h"

struct live_candles;

/* dir: the store, made if need be; instruments (count) are copied, in the run's order. What an earlier process saved is
 * merged; a store that does not take it is told in the log, and by every training that would read it.
 * ST_MISMATCH: dir was kept for other instruments. */
enum status live_candles_open(struct live_candles **out, const char *dir,
                              const struct instrument *instruments, uint32_t count,
                              int64_t interval_ns, struct err *err);
/* Saves nothing. No training may be under way. NULL is fine. */
void live_candles_close(struct live_candles *c);

/* A bar that is none (impossible, off the grid) is logged and left out. */
enum status live_candles_put(struct live_candles *c, uint32_t instrument, const struct bar *bar,
                             struct err *err);
/* What waits survives the end of the process and of the machine. */
enum status live_candles_save(struct live_candles *c, struct err *err);
/* What waits is in the store. */
enum status live_candles_flush(struct live_candles *c, struct err *err);

/* The first stretch in [from_ns, to_ns) of which the store has no bar; from_ns == to_ns: none. What waits is not looked
 * at: flush first. */
struct live_gap {
    int64_t from_ns, to_ns;
};
enum status live_candles_gap(struct live_gap *out, const struct live_candles *c,
                             uint32_t instrument, int64_t from_ns, int64_t to_ns, struct err *err);
/* Older bars, in ascending order, straight into the store. */
enum status live_candles_add(struct live_candles *c, uint32_t instrument, const struct bar *bars,
                             size_t count, struct err *err);

/* Series of the symbols that have bars, by the order of instruments. ST_NOT_FOUND: none has. */
struct retrain_source live_candles_source(struct live_candles *c);

#endif
