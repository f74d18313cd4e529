/* Writing: append where the new bars are behind the old ones, else a whole new file. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/tstamp.h"
#include "store/candles.h"
#include "store/candles_format.h"

/* One merge on its way. */
struct merge {
    const char *dir, *market, *symbol;
    char path[STORE_PATH_SIZE];
    int64_t interval_ns;
    uint32_t flags;
    struct candles old; /* count 0 if there is no file */
    const struct bar *bars;
    size_t count;
    size_t inner; /* added bars that lie before the old end */
    int64_t qty_lcd_e8;
};

static enum status check_bars(const struct merge *m, struct err *err) {
    for (size_t i = 0; i < m->count; i++) {
        const struct bar *b = &m->bars[i];
        char at[TSTAMP_TEXT_SIZE];
        const char *fault = NULL;
        if (!bar_is_possible(b)) fault = "is impossible";
        if (b->open_ts_ns % m->interval_ns != 0) fault = "is off the interval's grid";
        if (i > 0 && b->open_ts_ns <= b[-1].open_ts_ns) fault = "is not behind the one before it";
        if (fault)
            return err_set(err, ST_INVALID, "%s: bar %zu (%s) %s", m->symbol, i,
                           tstamp_format(at, b->open_ts_ns), fault);
    }
    return ST_OK;
}

/* Known in one and unknown in the other is no contradiction. */
static bool agree(double a, double b) {
    return isnan(a) || isnan(b) || a == b;
}

bool candles_bars_equal(const struct bar *a, const struct bar *b) {
    bool counts = a->trade_count == BAR_COUNT_UNKNOWN || b->trade_count == BAR_COUNT_UNKNOWN ||
                  a->trade_count == b->trade_count;
    return a->open.e8 == b->open.e8 && a->high.e8 == b->high.e8 && a->low.e8 == b->low.e8 &&
           a->close.e8 == b->close.e8 && a->volume == b->volume && counts &&
           agree(a->quote_volume, b->quote_volume) &&
           agree((double)a->taker_buy_ratio, (double)b->taker_buy_ratio);
}

/* Walks both sequences; out (may be NULL) gets the union. Returns its length. */
static size_t unite(const struct merge *m, struct bar *out, struct candles_merge *counts,
                    size_t *out_inner) {
    size_t i = 0, k = 0, n = 0, inner = 0;
    *counts = (struct candles_merge){0};
    while (i < m->old.count || k < m->count) {
        const struct bar *old = i < m->old.count ? &m->old.bars[i] : NULL;
        const struct bar *new = k < m->count ? &m->bars[k] : NULL;
        if (old && new && old->open_ts_ns == new->open_ts_ns) {
            bool equal = candles_bars_equal(old, new);
            counts->equal += equal;
            counts->conflicting += !equal;
            k++;
            continue; /* the old one is taken in the next round */
        }
        bool take_new = !old || (new &&new->open_ts_ns < old->open_ts_ns);
        if (take_new) {
            counts->added++;
            inner += old != NULL;
        }
        if (out) out[n] = take_new ? *new : *old;
        n++;
        if (take_new)
            k++;
        else
            i++;
    }
    *out_inner = inner;
    return n;
}

static void narrow_lcds(const struct merge *m, int64_t *price, int64_t *qty) {
    for (size_t i = 0; i < m->count; i++) {
        const struct bar *b = &m->bars[i];
        *price = candles_lcd_narrow(*price, b->open.e8);
        *price = candles_lcd_narrow(*price, b->high.e8);
        *price = candles_lcd_narrow(*price, b->low.e8);
        *price = candles_lcd_narrow(*price, b->close.e8);
        if (!m->qty_lcd_e8) *qty = candles_lcd_narrow_f64(*qty, b->volume);
    }
    if (m->qty_lcd_e8 && m->qty_lcd_e8 < *qty) *qty = m->qty_lcd_e8;
}

/* A slot for the old bars and the new ones; the caller adds the place of the bars and the tail. The
 * finest decimals start at 1.0: that a few bars are all multiples of ten says nothing of the grid. */
static struct candles_slot make_slot(const struct merge *m, uint64_t sequence, size_t count,
                                     int64_t first_ts_ns, int64_t last_ts_ns) {
    struct candles_slot s = {
        .magic = CANDLES_MAGIC,
        .version = CANDLES_VERSION,
        .block_bars = CANDLES_BLOCK_BARS,
        .sequence = sequence,
        .count = count,
        .interval_ns = m->interval_ns,
        .first_ts_ns = first_ts_ns,
        .last_ts_ns = last_ts_ns,
        .price_lcd_e8 = m->old.count ? m->old.price_lcd_e8 : FX_ONE,
        .qty_lcd_e8 = m->old.count ? m->old.qty_lcd_e8 : FX_ONE,
        .flags = m->flags,
    };
    memcpy(s.symbol, m->symbol, strlen(m->symbol));
    memcpy(s.market, m->market, strlen(m->market));
    narrow_lcds(m, &s.price_lcd_e8, &s.qty_lcd_e8);
    return s;
}

static uint64_t block_sum(const struct bar *bars, size_t count) {
    return count ? hash64(bars, count * sizeof *bars) : 0;
}

/* The whole file anew: first write, bars before the old end, or the table is full. */
static enum status rewrite(const struct merge *m, struct err *err) {
    struct candles_merge counts;
    size_t inner, capacity = m->old.count + m->count;
    struct bar *bars = aligned_alloc(64, (capacity ? capacity : 1) * sizeof *bars);
    if (!bars) return err_set(err, ST_NO_MEMORY, "%s: %zu bars", m->path, capacity);
    size_t count = unite(m, bars, &counts, &inner);
    size_t full = count / CANDLES_BLOCK_BARS, table_blocks = CANDLES_TABLE_BLOCKS;
    while (table_blocks < full + full / 2) table_blocks *= 2;
    uint64_t *table = calloc(table_blocks, sizeof *table);
    if (!table) {
        free(bars);
        return err_set(err, ST_NO_MEMORY, "%s: table of %zu blocks", m->path, table_blocks);
    }
    for (size_t i = 0; i < full; i++)
        table[i] = block_sum(bars + i * CANDLES_BLOCK_BARS, CANDLES_BLOCK_BARS);
    struct candles_slot slot =
        make_slot(m, 1, count, bars[0].open_ts_ns, bars[count - 1].open_ts_ns);
    slot.table_blocks = table_blocks;
    slot.data_offset = CANDLES_TABLE_OFFSET + table_blocks * sizeof *table;
    slot.tail_sum = block_sum(bars + full * CANDLES_BLOCK_BARS, count % CANDLES_BLOCK_BARS);
    slot.slot_sum = candles_slot_sum(&slot);
    struct fs_part parts[] = {
        {&slot, sizeof slot, 0},
        {table, table_blocks * sizeof *table, CANDLES_TABLE_OFFSET},
        {bars, count * sizeof *bars, slot.data_offset},
    };
    enum status st = fs_replace(m->path, parts, sizeof parts / sizeof *parts, err);
    free(table);
    free(bars);
    return st;
}

/* The last, partial block and the new bars behind it, in one piece, so that it can be hashed. */
static struct bar *join_tail(const struct merge *m, const struct bar *new_bars, size_t added) {
    size_t tail = m->old.count % CANDLES_BLOCK_BARS;
    struct bar *joined = aligned_alloc(64, (tail + added) * sizeof *joined);
    if (!joined) return NULL;
    memcpy(joined, m->old.bars + (m->old.count - tail), tail * sizeof *joined);
    memcpy(joined + tail, new_bars, added * sizeof *joined);
    return joined;
}

static enum status write_append(const struct merge *m, int fd, const struct candles_slot *slot,
                                const struct bar *joined, size_t added, struct err *err) {
    size_t old_full = m->old.count / CANDLES_BLOCK_BARS, full = slot->count / CANDLES_BLOCK_BARS;
    size_t tail = m->old.count % CANDLES_BLOCK_BARS;
    enum status st = fs_pwrite_all(fd, joined + tail, added * sizeof *joined,
                                   slot->data_offset + m->old.count * sizeof *joined, m->path, err);
    for (size_t i = old_full; i < full && st == ST_OK; i++) {
        uint64_t sum = block_sum(joined + (i - old_full) * CANDLES_BLOCK_BARS, CANDLES_BLOCK_BARS);
        st = fs_pwrite_all(fd, &sum, sizeof sum, CANDLES_TABLE_OFFSET + i * sizeof sum, m->path,
                           err);
    }
    if (st != ST_OK) return st;
    /* Only when these are on the disk may a slot speak of them. */
    if (fdatasync(fd) != 0) return err_errno(err, ST_IO, "cannot sync %s", m->path);
    st = fs_pwrite_all(fd, slot, sizeof *slot, slot->sequence % 2 ? 0 : CANDLES_SLOT_STRIDE,
                       m->path, err);
    if (st == ST_OK && fdatasync(fd) != 0) st = err_errno(err, ST_IO, "cannot sync %s", m->path);
    return st;
}

static enum status append(const struct merge *m, const struct candles_slot *current, size_t added,
                          struct err *err) {
    const struct bar *new_bars = m->bars + (m->count - added);
    struct bar *joined = join_tail(m, new_bars, added);
    if (!joined) return err_set(err, ST_NO_MEMORY, "%s: %zu bars", m->path, added);
    size_t count = m->old.count + added, tail = count % CANDLES_BLOCK_BARS;
    struct candles_slot slot = make_slot(m, current->sequence + 1, count, current->first_ts_ns,
                                         m->bars[m->count - 1].open_ts_ns);
    slot.table_blocks = current->table_blocks;
    slot.data_offset = current->data_offset;
    size_t joined_count = m->old.count % CANDLES_BLOCK_BARS + added;
    slot.tail_sum = block_sum(joined + (joined_count - tail), tail);
    slot.slot_sum = candles_slot_sum(&slot);
    int fd = open(m->path, O_WRONLY | O_CLOEXEC);
    enum status st = fd < 0 ? err_errno(err, ST_IO, "cannot open %s", m->path)
                            : write_append(m, fd, &slot, joined, added, err);
    if (fd >= 0) close(fd);
    free(joined);
    return st;
}

/* Everything but the lock and the closing. */
static enum status merge_locked(struct merge *m, struct candles_merge *out, struct err *err) {
    enum status st = candles_open(&m->old, m->dir, m->market, m->interval_ns, m->symbol, err);
    if (st != ST_OK && st != ST_NOT_FOUND) return st;
    bool exists = st == ST_OK;
    if (exists && ((m->old.flags ^ m->flags) & INSTRUMENT_SYNTHETIC))
        return err_set(err, ST_MISMATCH, "%s: made-up and market bars do not mix", m->path);
    unite(m, NULL, out, &m->inner);
    if (out->added == 0) return ST_OK;
    if (!exists || m->old.count == 0) return rewrite(m, err);
    const struct candles_slot *current =
        candles_slot_current(m->old.map, m->old.map_size, m->path, &st, err);
    if (!current) return st;
    bool fits = (m->old.count + out->added) / CANDLES_BLOCK_BARS <= current->table_blocks;
    bool can_append = m->inner == 0 && fits;
    /* Bars that rotted must not get a fresh checksum: verify what is going to be hashed again. */
    st = can_append ? candles_verify_tail(&m->old, err) : candles_verify(&m->old, err);
    if (st != ST_OK) return st;
    return can_append ? append(m, current, out->added, err) : rewrite(m, err);
}

enum status candles_merge_lcd(struct candles_merge *out, const char *dir, const char *market,
                              int64_t interval_ns, const char *symbol, uint32_t flags,
                              const struct bar *bars, size_t count, int64_t qty_lcd_e8,
                              struct err *err) {
    struct merge m = {
        .dir = dir,
        .market = market,
        .symbol = symbol,
        .interval_ns = interval_ns,
        .flags = flags & INSTRUMENT_SYNTHETIC,
        .bars = bars,
        .count = count,
        .qty_lcd_e8 = qty_lcd_e8,
    };
    char folder[STORE_PATH_SIZE];
    *out = (struct candles_merge){0};
    enum status st = candles_file_path(m.path, dir, market, interval_ns, symbol, err);
    if (st == ST_OK) st = check_bars(&m, err);
    if (st != ST_OK || count == 0) return st;
    memcpy(folder, m.path, sizeof folder);
    *strrchr(folder, '/') = '\0';
    int lock;
    st = fs_make_dirs(folder, err);
    if (st == ST_OK) st = fs_lock_dir(&lock, folder, err);
    if (st != ST_OK) return st;
    st = merge_locked(&m, out, err);
    candles_close(&m.old);
    fs_unlock(lock);
    return st;
}

enum status candles_merge(struct candles_merge *out, const char *dir, const char *market,
                          int64_t interval_ns, const char *symbol, uint32_t flags,
                          const struct bar *bars, size_t count, struct err *err) {
    return candles_merge_lcd(out, dir, market, interval_ns, symbol, flags, bars, count, 0, err);
}
