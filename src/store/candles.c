/* Reading: open, verify, list. */
#include "store/candles.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/tstamp.h"
#include "store/candles_format.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file's bytes are the memory's");

static const char SUFFIX[] = ".qcb";

uint64_t candles_slot_sum(const struct candles_slot *slot) {
    return hash64(slot, offsetof(struct candles_slot, slot_sum));
}

static enum status series_path(char out[STORE_PATH_SIZE], const char *dir, const char *market,
                               int64_t interval_ns, struct err *err) {
    char interval[16];
    if (interval_ns <= 0) return err_set(err, ST_INVALID, "interval must be positive");
    if (!fs_is_plain_name(market) || strlen(market) >= MARKET_SIZE)
        return err_set(err, ST_INVALID, "'%.40s' is not the name of a market", market);
    return fs_path(out, err, "%s/candles/%s/%s", dir, market,
                   tstamp_interval_format(interval, interval_ns));
}

enum status candles_file_path(char out[STORE_PATH_SIZE], const char *dir, const char *market,
                              int64_t interval_ns, const char *symbol, struct err *err) {
    char folder[STORE_PATH_SIZE];
    if (!fs_is_plain_name(symbol) || strlen(symbol) >= SYMBOL_SIZE)
        return err_set(err, ST_INVALID, "'%.40s' is not the name of a symbol", symbol);
    enum status st = series_path(folder, dir, market, interval_ns, err);
    return st == ST_OK ? fs_path(out, err, "%s/%s%s", folder, symbol, SUFFIX) : st;
}

int64_t candles_lcd_narrow(int64_t lcd_e8, int64_t value_e8) {
    while (value_e8 % lcd_e8 != 0) lcd_e8 /= 10;
    return lcd_e8;
}

int64_t candles_lcd_narrow_f64(int64_t lcd_e8, double value) {
    for (; lcd_e8 > 1; lcd_e8 /= 10) {
        double units = value * (1e8 / (double)lcd_e8);
        if (fabs(units - nearbyint(units)) <= units * 0x1p-50) break;
    }
    return lcd_e8;
}

static bool slot_is_valid(const struct candles_slot *s) {
    return memcmp(s->magic, CANDLES_MAGIC, sizeof s->magic) == 0 && s->version == CANDLES_VERSION &&
           s->slot_sum == candles_slot_sum(s);
}

const struct candles_slot *candles_slot_current(const void *map, size_t map_size, const char *path,
                                                enum status *out_st, struct err *err) {
    const struct candles_slot *best = NULL;
    if (map_size < CANDLES_TABLE_OFFSET) {
        *out_st =
            err_set(err, ST_CORRUPT, "%s: %zu bytes are less than its header", path, map_size);
        return NULL;
    }
    uint32_t other_version = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct candles_slot *s =
            (const struct candles_slot *)((const char *)map + i * CANDLES_SLOT_STRIDE);
        if (slot_is_valid(s)) {
            if (!best || s->sequence > best->sequence) best = s;
        } else if (memcmp(s->magic, CANDLES_MAGIC, sizeof s->magic) == 0 &&
                   s->version != CANDLES_VERSION) {
            other_version = s->version;
        }
    }
    *out_st = ST_OK;
    if (best) return best;
    if (other_version)
        *out_st = err_set(err, ST_VERSION, "%s: format version %u, this program reads %d", path,
                          other_version, CANDLES_VERSION);
    else
        *out_st = err_set(err, ST_CORRUPT, "%s: neither header slot is valid", path);
    return NULL;
}

/* What the slot says must hold together and fit in the file. */
static const char *slot_fault(const struct candles_slot *s, size_t map_size) {
    if (s->block_bars != CANDLES_BLOCK_BARS) return "block size is not 1024 bars";
    if (s->table_blocks > SIZE_MAX / 64 / CANDLES_BLOCK_BARS) return "table is too large";
    if (s->data_offset % 64 != 0 || s->data_offset < CANDLES_TABLE_OFFSET + s->table_blocks * 8)
        return "bars overlap the table";
    if (s->count / s->block_bars > s->table_blocks) return "more blocks than the table holds";
    if (s->data_offset > map_size || s->count > (map_size - s->data_offset) / sizeof(struct bar))
        return "file is shorter than its header says";
    if (s->interval_ns <= 0 || s->price_lcd_e8 < 1 || s->qty_lcd_e8 < 1)
        return "interval or decimals make no sense";
    return NULL;
}

static enum status check_slot(const struct candles *c, const struct candles_slot *s,
                              const char *path, struct err *err) {
    const char *fault = slot_fault(s, c->map_size);
    if (fault) return err_set(err, ST_CORRUPT, "%s: %s", path, fault);
    if (s->interval_ns != c->interval_ns || strncmp(s->symbol, c->symbol, SYMBOL_SIZE) != 0 ||
        strncmp(s->market, c->market, MARKET_SIZE) != 0)
        return err_set(err, ST_CORRUPT, "%s: its header names another series (%.15s %.23s)", path,
                       s->market, s->symbol);
    if (s->count == 0) return ST_OK;
    const struct bar *bars = (const struct bar *)((const char *)c->map + s->data_offset);
    if (bars[0].open_ts_ns != s->first_ts_ns || bars[s->count - 1].open_ts_ns != s->last_ts_ns)
        return err_set(err, ST_CORRUPT, "%s: first or last bar is not the header's", path);
    return ST_OK;
}

enum status candles_open(struct candles *out, const char *dir, const char *market,
                         int64_t interval_ns, const char *symbol, struct err *err) {
    char path[STORE_PATH_SIZE];
    *out = (struct candles){.interval_ns = interval_ns};
    enum status st = candles_file_path(path, dir, market, interval_ns, symbol, err);
    if (st != ST_OK) return st;
    memcpy(out->symbol, symbol, strlen(symbol));
    memcpy(out->market, market, strlen(market));
    st = fs_map(&out->map, &out->map_size, path, err);
    if (st != ST_OK) return st;
    const struct candles_slot *s = candles_slot_current(out->map, out->map_size, path, &st, err);
    if (s) st = check_slot(out, s, path, err);
    if (st != ST_OK) {
        candles_close(out);
        return st;
    }
    out->bars = (const struct bar *)((const char *)out->map + s->data_offset);
    out->count = s->count;
    out->flags = s->flags;
    out->tail_sum = s->tail_sum;
    out->price_lcd_e8 = s->price_lcd_e8;
    out->qty_lcd_e8 = s->qty_lcd_e8;
    return ST_OK;
}

void candles_close(struct candles *c) {
    if (c->map) munmap(c->map, c->map_size);
    *c = (struct candles){0};
}

/* A checksum says the bytes are those once written; the order is what every reader relies on. */
static enum status verify_block(const struct candles *c, size_t first, size_t count, uint64_t sum,
                                struct err *err) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE], interval[16];
    const char *fault = NULL;
    if (hash64(c->bars + first, count * sizeof *c->bars) != sum) fault = "checksum does not hold";
    for (size_t i = first; i < first + count && !fault; i++) {
        const struct bar *b = &c->bars[i];
        if (!bar_is_possible(b)) fault = "an impossible bar";
        if (b->open_ts_ns % c->interval_ns != 0) fault = "a bar off the grid";
        if (i > 0 && b->open_ts_ns <= c->bars[i - 1].open_ts_ns) fault = "bars out of order";
    }
    if (!fault) return ST_OK;
    return err_set(err, ST_CORRUPT, "%s/%s/%s%s: block %zu (bars %zu to %zu, %s to %s): %s",
                   c->market, tstamp_interval_format(interval, c->interval_ns), c->symbol, SUFFIX,
                   first / CANDLES_BLOCK_BARS, first, first + count - 1,
                   tstamp_format(from, c->bars[first].open_ts_ns),
                   tstamp_format(to, c->bars[first + count - 1].open_ts_ns), fault);
}

enum status candles_verify_tail(const struct candles *c, struct err *err) {
    size_t tail = c->count % CANDLES_BLOCK_BARS;
    return tail ? verify_block(c, c->count - tail, tail, c->tail_sum, err) : ST_OK;
}

/* Looks at nothing an append by another process could change: the slot's part was taken on open. */
enum status candles_verify(const struct candles *c, struct err *err) {
    const uint64_t *table = (const uint64_t *)((const char *)c->map + CANDLES_TABLE_OFFSET);
    for (size_t i = 0; i < c->count / CANDLES_BLOCK_BARS; i++) {
        enum status st = verify_block(c, i * CANDLES_BLOCK_BARS, CANDLES_BLOCK_BARS, table[i], err);
        if (st != ST_OK) return st;
    }
    return candles_verify_tail(c, err);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

/* "NAME.qcb" to NAME; false for anything else, such as what a crashed rewrite left. */
static bool name_of(char out[SYMBOL_SIZE], const char *file, const char *suffix) {
    size_t n = strlen(file), k = strlen(suffix);
    if (n <= k || n - k >= SYMBOL_SIZE || strcmp(file + n - k, suffix) != 0) return false;
    memset(out, 0, SYMBOL_SIZE);
    memcpy(out, file, n - k);
    return fs_is_plain_name(out);
}

static enum status list_names(struct candles_list *out, const char *path, const char *suffix,
                              struct err *err) {
    DIR *d = opendir(path);
    if (!d) return errno == ENOENT ? ST_OK : err_errno(err, ST_IO, "cannot list %s", path);
    enum status st = ST_OK;
    size_t capacity = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char symbol[SYMBOL_SIZE];
        if (!name_of(symbol, e->d_name, suffix)) continue;
        if (out->count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            void *grown = realloc(out->symbols, capacity * SYMBOL_SIZE);
            if (!grown) {
                st = err_set(err, ST_NO_MEMORY, "listing %s", path);
                break;
            }
            out->symbols = grown;
        }
        memcpy(out->symbols[out->count++], symbol, SYMBOL_SIZE);
    }
    closedir(d);
    if (st != ST_OK) candles_list_free(out);
    if (out->count) qsort(out->symbols, out->count, SYMBOL_SIZE, compare_names);
    return st;
}

enum status candles_list(struct candles_list *out, const char *dir, const char *market,
                         int64_t interval_ns, struct err *err) {
    char path[STORE_PATH_SIZE];
    *out = (struct candles_list){0};
    enum status st = series_path(path, dir, market, interval_ns, err);
    return st == ST_OK ? list_names(out, path, SUFFIX, err) : st;
}

enum status funding_list(struct candles_list *out, const char *dir, struct err *err) {
    char path[STORE_PATH_SIZE];
    *out = (struct candles_list){0};
    enum status st = fs_path(path, err, "%s/funding", dir);
    return st == ST_OK ? list_names(out, path, ".qfr", err) : st;
}

void candles_list_free(struct candles_list *list) {
    free(list->symbols);
    *list = (struct candles_list){0};
}

static int compare_series(const void *a, const void *b) {
    const struct candles_series *x = a, *y = b;
    int c = strcmp(x->market, y->market);
    return c ? c : (x->interval_ns > y->interval_ns) - (x->interval_ns < y->interval_ns);
}

static void series_of_market(struct candles_series out[CANDLES_SERIES_MAX], size_t *count,
                             const char *path, const char *market) {
    DIR *d = opendir(path);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d)) && *count < CANDLES_SERIES_MAX;) {
        struct candles_series s = {0};
        if (tstamp_interval_parse(&s.interval_ns, e->d_name) != ST_OK) continue;
        memcpy(s.market, market, strlen(market));
        out[(*count)++] = s;
    }
    closedir(d);
}

enum status candles_series_list(struct candles_series out[CANDLES_SERIES_MAX], size_t *out_count,
                                const char *dir, struct err *err) {
    char path[STORE_PATH_SIZE], sub[STORE_PATH_SIZE];
    *out_count = 0;
    enum status st = fs_path(path, err, "%s/candles", dir);
    if (st != ST_OK) return st;
    DIR *d = opendir(path);
    if (!d) return errno == ENOENT ? ST_OK : err_errno(err, ST_IO, "cannot list %s", path);
    for (struct dirent *e; (e = readdir(d));) {
        if (!fs_is_plain_name(e->d_name) || strlen(e->d_name) >= MARKET_SIZE) continue;
        if (fs_path(sub, NULL, "%s/%s", path, e->d_name) == ST_OK)
            series_of_market(out, out_count, sub, e->d_name);
    }
    closedir(d);
    qsort(out, *out_count, sizeof *out, compare_series);
    return ST_OK;
}
