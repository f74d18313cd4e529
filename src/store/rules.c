#include "store/rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "store/fs.h"

enum { RULES_VERSION = 1 };
#define RULES_MAGIC "QRULES\0"

struct rules_header {
    char magic[8];
    uint32_t version, row_size; /* of struct rules: another size is another version */
    uint64_t count;
    uint64_t rows_sum;   /* hash64 of the rows */
    uint64_t header_sum; /* hash64 of the fields above */
    uint64_t reserved[3];
};
static_assert(sizeof(struct rules_header) == 64, "rows stay aligned");

static uint64_t header_sum(const struct rules_header *h) {
    return hash64(h, offsetof(struct rules_header, header_sum));
}

static enum status check_file(const struct rules_map *m, const char *path, struct err *err) {
    const struct rules_header *h = m->map;
    if (m->map_size < sizeof *h || memcmp(h->magic, RULES_MAGIC, sizeof h->magic) != 0)
        return err_set(err, ST_CORRUPT, "%s: not a file of contract rules", path);
    if (h->header_sum != header_sum(h))
        return err_set(err, ST_CORRUPT, "%s: header does not hold", path);
    if (h->version != RULES_VERSION || h->row_size != sizeof(struct rules))
        return err_set(err, ST_VERSION,
                       "%s: written by another version; remove it and import exchangeInfo and the "
                       "brackets again",
                       path);
    size_t bytes = m->map_size - sizeof *h;
    if (h->count != bytes / sizeof(struct rules) || h->rows_sum != hash64(h + 1, bytes))
        return err_set(err, ST_CORRUPT, "%s: checksum of the rows does not hold", path);
    return ST_OK;
}

enum status rules_open(struct rules_map *out, const char *dir, struct err *err) {
    char path[STORE_PATH_SIZE];
    *out = (struct rules_map){0};
    enum status st = fs_path(path, err, "%s/instruments.qin", dir);
    if (st != ST_OK) return st;
    st = fs_map(&out->map, &out->map_size, path, err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st == ST_OK) st = check_file(out, path, err);
    if (st != ST_OK) {
        rules_close(out);
        return st;
    }
    const struct rules_header *h = out->map;
    out->rows = (const struct rules *)(h + 1);
    out->count = h->count;
    return ST_OK;
}

void rules_close(struct rules_map *map) {
    if (map->map) munmap(map->map, map->map_size);
    *map = (struct rules_map){0};
}

static int compare_key(const void *key, const void *row) {
    return strncmp(key, ((const struct rules *)row)->instrument.symbol, SYMBOL_SIZE);
}

const struct rules *rules_find(const struct rules_map *map, const char *symbol) {
    if (map->count == 0) return NULL;
    return bsearch(symbol, map->rows, map->count, sizeof *map->rows, compare_key);
}

static void take(struct rules *into, const struct rules *from) {
    struct instrument *to = &into->instrument;
    const struct instrument *in = &from->instrument;
    struct instrument kept = *to;
    if (from->sources & RULES_FILTERS) {
        *to = *in;
        to->bracket_count = kept.bracket_count;
        memcpy(to->brackets, kept.brackets, sizeof to->brackets);
        to->funding_interval_ns = kept.funding_interval_ns;
    }
    if (from->sources & RULES_BRACKETS) {
        to->bracket_count = in->bracket_count;
        memcpy(to->brackets, in->brackets, sizeof to->brackets);
    }
    if (from->sources & RULES_FUNDING) to->funding_interval_ns = in->funding_interval_ns;
    into->sources |= from->sources;
}

/* By symbol; rows of one symbol keep the order they came in, so that the last one wins. */
struct keyed {
    const struct rules *row;
    size_t order;
};
static int compare_keyed(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    int c = strncmp(x->row->instrument.symbol, y->row->instrument.symbol, SYMBOL_SIZE);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static size_t unite(struct rules *out, struct keyed *keys, size_t count) {
    size_t n = 0;
    qsort(keys, count, sizeof *keys, compare_keyed);
    for (size_t i = 0; i < count; i++) {
        const struct rules *row = keys[i].row;
        if (n == 0 ||
            strncmp(out[n - 1].instrument.symbol, row->instrument.symbol, SYMBOL_SIZE) != 0) {
            /* Field by field through take: padding must be zero, as the bytes are hashed. */
            memset(&out[n], 0, sizeof out[n]);
            memcpy(out[n].instrument.symbol, row->instrument.symbol, SYMBOL_SIZE);
            n++;
        }
        take(&out[n - 1], row);
    }
    return n;
}

static enum status merge_locked(const char *dir, const struct rules *rows, size_t count,
                                struct err *err) {
    char path[STORE_PATH_SIZE];
    struct rules_map old;
    enum status st = fs_path(path, err, "%s/instruments.qin", dir);
    if (st == ST_OK) st = rules_open(&old, dir, err);
    if (st != ST_OK) return st;
    size_t total = old.count + count;
    struct rules *all = calloc(total, sizeof *all);
    struct keyed *keys = calloc(total, sizeof *keys);
    if (!all || !keys) {
        st = err_set(err, ST_NO_MEMORY, "%s: %zu rows", path, total);
    } else {
        for (size_t i = 0; i < total; i++)
            keys[i] = (struct keyed){i < old.count ? &old.rows[i] : &rows[i - old.count], i};
        size_t n = unite(all, keys, total);
        struct rules_header h = {.magic = RULES_MAGIC,
                                 .version = RULES_VERSION,
                                 .row_size = sizeof(struct rules),
                                 .count = n,
                                 .rows_sum = hash64(all, n * sizeof *all)};
        h.header_sum = header_sum(&h);
        struct fs_part parts[] = {{&h, sizeof h, 0}, {all, n * sizeof *all, sizeof h}};
        st = fs_replace(path, parts, 2, err);
    }
    free(keys);
    free(all);
    rules_close(&old);
    return st;
}

enum status rules_merge(const char *dir, const struct rules *rows, size_t count, struct err *err) {
    if (count == 0) return ST_OK;
    int lock;
    enum status st = fs_make_dirs(dir, err);
    if (st == ST_OK) st = fs_lock_dir(&lock, dir, err);
    if (st != ST_OK) return st;
    st = merge_locked(dir, rows, count, err);
    fs_unlock(lock);
    return st;
}
