/* The bytes of a candle file. Used by this module and its tests only.
 *
 *   0       slot 0 ┐ each a struct candles_slot; the valid one with the higher sequence rules,
 *   4096    slot 1 ┘ the other is where the next append writes
 *   8192    checksums of the full blocks, table_blocks * 8 bytes, only ever added to
 *   data_offset      bars, 64 bytes each, block_bars to a block
 *
 * An append writes bars behind the end, then the checksums of blocks that became full, syncs, then
 * writes the other slot and syncs. The checksum of the last, partial block is in the slot itself,
 * so no byte that the old slot vouches for is ever written again. All numbers little-endian. */
#ifndef STORE_CANDLES_FORMAT_H
#define STORE_CANDLES_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "store/candles.h"
#include "store/fs.h"

enum {
    CANDLES_VERSION = 1,
    CANDLES_SLOT_STRIDE = 4096, /* a sector each: a torn write of one leaves the other */
    CANDLES_TABLE_OFFSET = 2 * CANDLES_SLOT_STRIDE,
    CANDLES_BLOCK_BARS = 1024,  /* 64 KiB */
    CANDLES_TABLE_BLOCKS = 512, /* smallest table: one page, half a million bars */
};

#define CANDLES_MAGIC "QCANDLES"

struct candles_slot {
    char magic[8];
    uint32_t version, block_bars;
    uint64_t sequence; /* + 1 with every change */
    uint64_t count;    /* bars */
    int64_t interval_ns;
    int64_t first_ts_ns, last_ts_ns; /* 0 if count is 0 */
    uint64_t data_offset, table_blocks;
    int64_t price_lcd_e8, qty_lcd_e8;
    char symbol[SYMBOL_SIZE];
    char market[MARKET_SIZE];
    uint32_t flags, reserved;
    uint64_t tail_sum; /* hash64 of the bars behind the last full block; 0 if there are none */
    uint64_t slot_sum; /* hash64 of all the fields above */
};
static_assert(sizeof(struct candles_slot) == 152 && offsetof(struct candles_slot, slot_sum) == 144,
              "no padding, and the layout is the file's");

uint64_t candles_slot_sum(const struct candles_slot *slot);
enum status candles_file_path(char out[STORE_PATH_SIZE], const char *dir, const char *market,
                              int64_t interval_ns, const char *symbol, struct err *err);
/* The slot that rules, in the map; NULL and a reason (ST_CORRUPT, ST_VERSION) if none does. */
const struct candles_slot *candles_slot_current(const void *map, size_t map_size, const char *path,
                                                enum status *out_st, struct err *err);
/* candles_verify of the last, partial block alone. */
enum status candles_verify_tail(const struct candles *c, struct err *err);
/* The equality of candles_merge. */
bool candles_bars_equal(const struct bar *a, const struct bar *b);
/* Greatest power of ten <= lcd that divides value; the step by which both LCDs are narrowed. */
int64_t candles_lcd_narrow(int64_t lcd_e8, int64_t value_e8);
/* The same for a volume that is a double: decimals are recovered to within its own precision. */
int64_t candles_lcd_narrow_f64(int64_t lcd_e8, double value);

#endif
