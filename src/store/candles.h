/* The candle store: per market, interval and symbol one file of fixed 64-byte records, read through
 * a memory map. Append-safe: a crash in the middle of an append leaves the old end, never half a bar. */
#ifndef STORE_CANDLES_H
#define STORE_CANDLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/bar.h"
#include "domain/instrument.h"

/* A symbol's bars, borrowed from a read-only map until candles_close. */
struct candles {
    const struct bar *bars; /* (count), open_ts_ns strictly ascending on the interval's grid */
    size_t count;
    int64_t interval_ns;
    char symbol[SYMBOL_SIZE];
    char market[16];  /* "um", "spot", "mark" */
    uint32_t flags;   /* enum instrument_flag: SYNTHETIC */
    void *map;        /* private to candles_open/close */
    size_t map_size;
};

/* dir is the store's root. ST_NOT_FOUND, ST_CORRUPT (with file and block), ST_VERSION. Structure is
 * checked on open; the checksum of every block with candles_verify. */
enum status candles_open(struct candles *out, const char *dir, const char *market, int64_t interval_ns,
                         const char *symbol, struct err *err);
void candles_close(struct candles *c);
enum status candles_verify(const struct candles *c, struct err *err);

/* Merges bars (ascending, deduplicated) into the symbol's file; existing bars win over equal new
 * ones, conflicting ones are counted and the existing kept. Counts go to the out parameters. */
struct candles_merge { size_t added, equal, conflicting; };
enum status candles_merge(struct candles_merge *out, const char *dir, const char *market, int64_t interval_ns,
                          const char *symbol, uint32_t flags, const struct bar *bars, size_t count, struct err *err);

/* Symbols present for (market, interval), sorted by name. */
struct candles_list { char (*symbols)[SYMBOL_SIZE]; size_t count; };
enum status candles_list(struct candles_list *out, const char *dir, const char *market, int64_t interval_ns, struct err *err);
void candles_list_free(struct candles_list *list);

/* Funding history of a symbol: times and rates as settled, ascending; ST_NOT_FOUND if none. */
struct funding_rate { int64_t ts_ns; rate_t rate; };
struct funding { const struct funding_rate *rows; size_t count; void *map; size_t map_size; };
enum status funding_open(struct funding *out, const char *dir, const char *symbol, struct err *err);
void funding_close(struct funding *f);

/* The contract: filters from imported exchangeInfo and brackets where the store has them, else
 * inferred from the symbol's own bars (bars may be NULL when there are none). */
enum status instrument_load(struct instrument *out, const char *dir, const char *symbol, const struct candles *bars, struct err *err);

#endif
