/* One line of a CSV file at a time: what its columns are, and what a row says. Used by the importer
 * and its fuzz target only. No quoting, as the exchange's files have none. */
#ifndef STORE_IMPORT_CSV_H
#define STORE_IMPORT_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/bar.h"
#include "domain/instrument.h"
#include "store/candles.h"

enum { CSV_COLUMNS_MAX = 32 };

struct csv_text {
    const char *data;
    size_t size;
};

/* Splits at commas; a trailing '\r' is dropped. Returns how many there are, also if that is more
 * than CSV_COLUMNS_MAX (only so many are stored). */
size_t csv_split(struct csv_text out[CSV_COLUMNS_MAX], const char *line, size_t size);

enum csv_kind { CSV_KLINES = 1, CSV_FUNDING, CSV_BRACKETS };

enum csv_field {
    CSV_OPEN_TIME = 0,
    CSV_OPEN,
    CSV_HIGH,
    CSV_LOW,
    CSV_CLOSE,
    CSV_VOLUME,
    CSV_QUOTE_VOLUME,
    CSV_COUNT,
    CSV_TAKER_BUY_VOLUME,
    CSV_FUNDING_TIME,
    CSV_FUNDING_RATE,
    CSV_SYMBOL,
    CSV_NOTIONAL_FLOOR,
    CSV_NOTIONAL_CAP,
    CSV_LEVERAGE,
    CSV_MAINT_RATE,
    CSV_MAINT_AMOUNT,
    CSV_FIELD_COUNT
};

struct csv_layout {
    enum csv_kind kind;
    bool has_header; /* the line given was one, and is no row */
    bool mark;       /* prices alone; digits behind the eighth are cut */
    size_t columns;
    int8_t at[CSV_FIELD_COUNT]; /* column of each field, -1: the file has none */
};

/* What the first line says the file is. mark: the file holds mark prices, which have no volume.
 * funding: the name says funding, so that three columns without header can be taken as such.
 * Returns NULL, or why it is none of the known forms. */
const char *csv_layout_detect(struct csv_layout *out, const char *line, size_t size, bool mark,
                              bool funding);

/* One row of each kind. NULL, or what is wrong with it (static text). Stamps in ms and in us are told
 * apart by magnitude. A bar is not checked with bar_is_possible here.
 * inout_qty_lcd_e8 is narrowed to the volume's decimals. */
const char *csv_kline(struct bar *out, int64_t *inout_qty_lcd_e8, const struct csv_layout *layout,
                      const char *line, size_t size);
/* Settlements are some milliseconds late in the archive: within a second of a full minute they are
 * put on it. */
const char *csv_funding(struct funding_rate *out, const struct csv_layout *layout, const char *line,
                        size_t size);
const char *csv_bracket(char out_symbol[SYMBOL_SIZE], struct bracket *out,
                        const struct csv_layout *layout, const char *line, size_t size);

#endif
