/* Funding history: a header and 16-byte rows; small, so every change writes it anew. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/tstamp.h"
#include "store/candles.h"
#include "store/fs.h"

enum { FUNDING_VERSION = 1 };
#define FUNDING_MAGIC "QFUNDING"

struct funding_header {
    char magic[8];
    uint32_t version, reserved;
    uint64_t count;
    char symbol[SYMBOL_SIZE];
    uint64_t rows_sum;   /* hash64 of the rows */
    uint64_t header_sum; /* hash64 of the fields above */
};
static_assert(sizeof(struct funding_header) == 64, "rows stay aligned");
static_assert(sizeof(struct funding_rate) == 16, "the row is the file's");

static enum status file_path(char out[STORE_PATH_SIZE], const char *dir, const char *symbol,
                             struct err *err) {
    if (!fs_is_plain_name(symbol) || strlen(symbol) >= SYMBOL_SIZE)
        return err_set(err, ST_INVALID, "'%.40s' is not the name of a symbol", symbol);
    return fs_path(out, err, "%s/funding/%s.qfr", dir, symbol);
}

static uint64_t header_sum(const struct funding_header *h) {
    return hash64(h, offsetof(struct funding_header, header_sum));
}

static enum status check_file(const struct funding *f, const char *path, const char *symbol,
                              struct err *err) {
    const struct funding_header *h = f->map;
    if (f->map_size < sizeof *h || memcmp(h->magic, FUNDING_MAGIC, sizeof h->magic) != 0)
        return err_set(err, ST_CORRUPT, "%s: not a funding file", path);
    if (h->version != FUNDING_VERSION)
        return err_set(err, ST_VERSION, "%s: format version %u, this program reads %d", path,
                       h->version, FUNDING_VERSION);
    if (h->header_sum != header_sum(h) || strncmp(h->symbol, symbol, SYMBOL_SIZE) != 0)
        return err_set(err, ST_CORRUPT, "%s: header does not hold", path);
    if (h->count != (f->map_size - sizeof *h) / sizeof(struct funding_rate) ||
        h->rows_sum != hash64(h + 1, f->map_size - sizeof *h))
        return err_set(err, ST_CORRUPT, "%s: checksum of the rows does not hold", path);
    return ST_OK;
}

enum status funding_open(struct funding *out, const char *dir, const char *symbol,
                         struct err *err) {
    char path[STORE_PATH_SIZE];
    *out = (struct funding){0};
    enum status st = file_path(path, dir, symbol, err);
    if (st == ST_OK) st = fs_map(&out->map, &out->map_size, path, err);
    if (st == ST_OK) st = check_file(out, path, symbol, err);
    if (st != ST_OK) {
        funding_close(out);
        return st;
    }
    const struct funding_header *h = out->map;
    out->rows = (const struct funding_rate *)(h + 1);
    out->count = h->count;
    return ST_OK;
}

void funding_close(struct funding *f) {
    if (f->map) munmap(f->map, f->map_size);
    *f = (struct funding){0};
}

static size_t unite(struct funding_rate *out, const struct funding *old,
                    const struct funding_rate *rows, size_t count, struct candles_merge *counts) {
    size_t i = 0, k = 0, n = 0;
    while (i < old->count || k < count) {
        if (i < old->count && k < count && old->rows[i].ts_ns == rows[k].ts_ns) {
            bool equal = old->rows[i].rate.e8 == rows[k].rate.e8;
            counts->equal += equal;
            counts->conflicting += !equal;
            k++;
        } else if (i == old->count || (k < count && rows[k].ts_ns < old->rows[i].ts_ns)) {
            counts->added++;
            out[n++] = rows[k++];
        } else {
            out[n++] = old->rows[i++];
        }
    }
    return n;
}

static enum status merge_locked(struct candles_merge *counts, const char *path, const char *dir,
                                const char *symbol, const struct funding_rate *rows, size_t count,
                                struct err *err) {
    struct funding old;
    enum status st = funding_open(&old, dir, symbol, err);
    if (st != ST_OK && st != ST_NOT_FOUND) return st;
    st = ST_OK;
    struct funding_rate *all = malloc((old.count + count) * sizeof *all);
    if (!all) {
        st = err_set(err, ST_NO_MEMORY, "%s: %zu rows", path, old.count + count);
    } else {
        size_t n = unite(all, &old, rows, count, counts);
        struct funding_header h = {.magic = FUNDING_MAGIC, .version = FUNDING_VERSION, .count = n};
        memcpy(h.symbol, symbol, strlen(symbol));
        h.rows_sum = hash64(all, n * sizeof *all);
        h.header_sum = header_sum(&h);
        struct fs_part parts[] = {{&h, sizeof h, 0}, {all, n * sizeof *all, sizeof h}};
        if (counts->added) st = fs_replace(path, parts, 2, err);
    }
    free(all);
    funding_close(&old);
    return st;
}

enum status funding_merge(struct candles_merge *out, const char *dir, const char *symbol,
                          const struct funding_rate *rows, size_t count, struct err *err) {
    char path[STORE_PATH_SIZE], folder[STORE_PATH_SIZE];
    *out = (struct candles_merge){0};
    enum status st = file_path(path, dir, symbol, err);
    if (st == ST_OK) st = fs_path(folder, err, "%s/funding", dir);
    for (size_t i = 1; i < count && st == ST_OK; i++)
        if (rows[i].ts_ns <= rows[i - 1].ts_ns)
            st = err_set(err, ST_INVALID, "%s: funding row %zu is not behind the one before it",
                         symbol, i);
    if (st != ST_OK || count == 0) return st;
    int lock;
    st = fs_make_dirs(folder, err);
    if (st == ST_OK) st = fs_lock_dir(&lock, folder, err);
    if (st != ST_OK) return st;
    st = merge_locked(out, path, dir, symbol, rows, count, err);
    fs_unlock(lock);
    return st;
}
