/* The candle store: per market, interval and symbol one file of fixed 64-byte records, read through
 * a memory map. Append-safe: a crash in the middle of an append leaves the old end, never half a
 * bar. Layout, write order and recovery are described in docs/store.md. */
#ifndef STORE_CANDLES_H
#define STORE_CANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/bar.h"
#include "domain/instrument.h"

enum { MARKET_SIZE = 16 };

/* A symbol's bars, borrowed from a read-only map until candles_close. */
struct candles {
    const struct bar
        *bars; /* (count), 64-byte aligned; open_ts_ns strictly ascending, on the grid */
    size_t count;
    int64_t interval_ns;
    char symbol[SYMBOL_SIZE];
    char market[MARKET_SIZE]; /* "um", "spot", "mark" */
    uint32_t flags;           /* enum instrument_flag: SYNTHETIC */
    /* Greatest power of ten, at most 1.0, that divides every price / every volume as the source
     * printed it; e8. 0 in a struct a test filled by hand: then it is worked out from the bars. */
    int64_t price_lcd_e8, qty_lcd_e8;
    void *map; /* these three private to candles_open/close/verify */
    size_t map_size;
    uint64_t tail_sum;
};

/* dir is the store's root. ST_NOT_FOUND, ST_CORRUPT (with the file), ST_VERSION. Structure is
 * checked on open; the checksum of every block with candles_verify. */
enum status candles_open(struct candles *out, const char *dir, const char *market,
                         int64_t interval_ns, const char *symbol, struct err *err);
void candles_close(struct candles *c);
/* ST_CORRUPT names the file, the block and its bars. */
enum status candles_verify(const struct candles *c, struct err *err);

/* Merges bars (ascending, deduplicated) into the symbol's file; existing bars win over equal new
 * ones, conflicting ones are counted and the existing kept. Two bars are equal if prices and volume
 * are, and quote volume, trades and taker share are wherever both know them. Counts go to *out.
 *
 * Returns  ST_INVALID if bars are not ascending, on the grid and possible; ST_MISMATCH if made-up
 *          bars would be mixed with real ones; ST_CORRUPT if the existing file does not verify (it
 *          is then left alone); ST_IO. On any failure the file is as it was.
 * One writer per (market, interval) at a time: a lock on the folder is held meanwhile. */
struct candles_merge {
    size_t added, equal, conflicting;
};
enum status candles_merge(struct candles_merge *out, const char *dir, const char *market,
                          int64_t interval_ns, const char *symbol, uint32_t flags,
                          const struct bar *bars, size_t count, struct err *err);
/* The same; qty_lcd_e8 as in struct candles, known from the source's text. 0: from the doubles. */
enum status candles_merge_lcd(struct candles_merge *out, const char *dir, const char *market,
                              int64_t interval_ns, const char *symbol, uint32_t flags,
                              const struct bar *bars, size_t count, int64_t qty_lcd_e8,
                              struct err *err);

/* Symbols present for (market, interval), sorted by name; an empty list if there are none. */
struct candles_list {
    char (*symbols)[SYMBOL_SIZE];
    size_t count;
};
enum status candles_list(struct candles_list *out, const char *dir, const char *market,
                         int64_t interval_ns, struct err *err);
void candles_list_free(struct candles_list *list);

/* Every (market, interval) the store has, by market, then interval. */
struct candles_series {
    char market[MARKET_SIZE];
    int64_t interval_ns;
};
enum { CANDLES_SERIES_MAX = 64 };
enum status candles_series_list(struct candles_series out[CANDLES_SERIES_MAX], size_t *out_count,
                                const char *dir, struct err *err);

/* Funding history of a symbol: times and rates as settled, ascending; ST_NOT_FOUND if none. */
struct funding_rate {
    int64_t ts_ns;
    rate_t rate;
};
struct funding {
    const struct funding_rate *rows;
    size_t count;
    void *map;
    size_t map_size;
};
enum status funding_open(struct funding *out, const char *dir, const char *symbol, struct err *err);
void funding_close(struct funding *f);
/* Symbols with a funding history, as candles_list; free with candles_list_free. */
enum status funding_list(struct candles_list *out, const char *dir, struct err *err);
/* As candles_merge, for rows in ascending order. */
enum status funding_merge(struct candles_merge *out, const char *dir, const char *symbol,
                          const struct funding_rate *rows, size_t count, struct err *err);

/* The contract: filters from imported exchangeInfo and brackets where the store has them, else
 * inferred from the symbol's own bars (bars may be NULL when there are none).
 *
 * The rules in the store are a snapshot and bars may be years older: the tick is the finer of the
 * two (it divides both), the price range is widened to hold the bars, and a contract that was
 * trading during the bars is TRADING whatever became of it later.
 * ST_CORRUPT, ST_VERSION if the rules file cannot be read; never ST_NOT_FOUND. */
enum status instrument_load(struct instrument *out, const char *dir, const char *symbol,
                            const struct candles *bars, struct err *err);

#endif
