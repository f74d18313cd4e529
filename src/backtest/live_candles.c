#include "backtest/live_candles.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "store/candles.h"
#include "store/fs.h"

enum {
    FLUSH_AT =
        1 << 16, /* candles that may wait for a training: 4.5 MiB, a day of 45 symbols' minutes */
    WAIT_MAX = 8 * FLUSH_AT /* then the older half is given up: the store has refused them long */
};
#define MARKET      "um"
#define SAVED_MAGIC UINT64_C(0x31444E4143545851) /* "QXTCAND1" */

struct waiting {
    struct bar bar;
    uint64_t instrument;
};

struct saved_header {
    uint64_t magic, count, symbols_hash, interval_ns, body_hash, header_hash;
};

struct live_candles {
    char dir[STORE_PATH_SIZE], saved_path[STORE_PATH_SIZE];
    char (*symbols)[SYMBOL_SIZE]; /* (count) */
    uint32_t *flags;              /* (count) */
    uint32_t count;
    int64_t interval_ns;
    uint64_t symbols_hash;
    struct waiting *waiting; /* in the order they came */
    size_t waiting_count, capacity, flush_at;
    /* A copy of the first of them, for the training that is about to read or is reading. */
    struct waiting *batch;
    size_t batch_count;
    atomic_int batch_state; /* enum batch_state */
};

/* HANDED: the copy is the training's, and what it is a copy of stays where it is. */
enum batch_state { BATCH_NONE = 0, BATCH_HANDED, BATCH_MERGED, BATCH_FAILED };

static enum batch_state batch_state(const struct live_candles *c) {
    return (enum batch_state)atomic_load_explicit(&c->batch_state, memory_order_acquire);
}

static void batch_state_set(struct live_candles *c, enum batch_state state) {
    atomic_store_explicit(&c->batch_state, (int)state, memory_order_release);
}

/* ---- into the store ---- */

static int by_series(const void *a, const void *b) {
    const struct waiting *x = a, *y = b;
    if (x->instrument != y->instrument) return x->instrument < y->instrument ? -1 : 1;
    int64_t p = x->bar.open_ts_ns, q = y->bar.open_ts_ns;
    return p < q ? -1 : p > q;
}

static enum status merge_series(const struct live_candles *c, uint32_t instrument,
                                const struct bar *bars, size_t count, struct err *err) {
    struct candles_merge merged;
    enum status st = candles_merge(&merged, c->dir, MARKET, c->interval_ns, c->symbols[instrument],
                                   c->flags[instrument], bars, count, err);
    if (st == ST_OK && merged.conflicting > 0)
        log_warn("candles", "a candle came twice, and not the same", "symbol=%s count=%zu",
                 c->symbols[instrument], merged.conflicting);
    return st;
}

/* Sorts them in place. All series are tried; the first failure is told. */
static enum status merge_all(const struct live_candles *c, struct waiting *all, size_t count,
                             struct err *err) {
    if (count == 0) return ST_OK;
    struct bar *bars = calloc(count, sizeof *bars);
    if (!bars) return err_set(err, ST_NO_MEMORY, "%zu candles", count);
    qsort(all, count, sizeof *all, by_series);
    enum status first = ST_OK;
    for (size_t i = 0; i < count;) {
        uint64_t instrument = all[i].instrument;
        size_t n = 0;
        for (; i < count && all[i].instrument == instrument; i++)
            if (n == 0 || bars[n - 1].open_ts_ns != all[i].bar.open_ts_ns) bars[n++] = all[i].bar;
        enum status st =
            merge_series(c, (uint32_t)instrument, bars, n, first == ST_OK ? err : NULL);
        if (first == ST_OK) first = st;
    }
    free(bars);
    return first;
}

/* What a training has merged waits no more. */
static void reclaim(struct live_candles *c) {
    if (batch_state(c) != BATCH_MERGED) return;
    ASSERT(c->batch_count <= c->waiting_count);
    c->waiting_count -= c->batch_count;
    if (c->waiting_count > 0)
        memmove(c->waiting, c->waiting + c->batch_count, c->waiting_count * sizeof *c->waiting);
    c->flush_at = c->waiting_count + FLUSH_AT;
    batch_state_set(c, BATCH_NONE);
}

enum status live_candles_flush(struct live_candles *c, struct err *err) {
    reclaim(c);
    struct waiting *copy = calloc(c->waiting_count + 1, sizeof *copy);
    if (!copy) return err_set(err, ST_NO_MEMORY, "%zu candles", c->waiting_count);
    if (c->waiting_count > 0) memcpy(copy, c->waiting, c->waiting_count * sizeof *copy);
    enum status st = merge_all(c, copy, c->waiting_count, err);
    free(copy);
    if (st != ST_OK || batch_state(c) == BATCH_HANDED) return st;
    c->waiting_count = 0;
    batch_state_set(c, BATCH_NONE);
    return ST_OK;
}

/* ---- what waits ---- */

static bool has_room(struct live_candles *c) {
    if (c->waiting_count < c->capacity) return true;
    size_t capacity = c->capacity ? 2 * c->capacity : 1024;
    struct waiting *grown = realloc(c->waiting, capacity * sizeof *grown);
    if (!grown) return false;
    c->waiting = grown;
    c->capacity = capacity;
    return true;
}

/* A store that takes nothing must not end a run that trades: its trainings fail, and say why. */
static void flush_many(struct live_candles *c) {
    struct err err = {0};
    char text[ERR_TEXT_SIZE];
    reclaim(c);
    if (c->waiting_count < c->flush_at) return;
    if (live_candles_flush(c, &err) == ST_OK) {
        c->flush_at = c->waiting_count + FLUSH_AT;
        return;
    }
    log_error("candles", "the store takes no candles", "waiting=%zu error=%s", c->waiting_count,
              log_quote(text, sizeof text, err.text));
    c->flush_at += FLUSH_AT;
    if (c->waiting_count < WAIT_MAX || batch_state(c) == BATCH_HANDED) return;
    size_t kept = c->waiting_count / 2;
    log_error("candles", "candles were given up", "count=%zu", c->waiting_count - kept);
    memmove(c->waiting, c->waiting + (c->waiting_count - kept), kept * sizeof *c->waiting);
    c->waiting_count = kept;
    c->flush_at = kept + FLUSH_AT;
}

enum status live_candles_put(struct live_candles *c, uint32_t instrument, const struct bar *bar,
                             struct err *err) {
    ASSERT(instrument < c->count);
    if (!bar_is_possible(bar) || bar->open_ts_ns % c->interval_ns != 0) {
        char at[TSTAMP_TEXT_SIZE];
        log_warn("candles", "no candle", "symbol=%s open=%s", c->symbols[instrument],
                 tstamp_format(at, bar->open_ts_ns));
        return ST_OK;
    }
    if (!has_room(c)) return err_set(err, ST_NO_MEMORY, "%zu candles", c->waiting_count);
    c->waiting[c->waiting_count++] = (struct waiting){.bar = *bar, .instrument = instrument};
    if (c->waiting_count >= c->flush_at) flush_many(c);
    return ST_OK;
}

/* ---- kept over the end of the process ---- */

static uint64_t header_hash(const struct saved_header *h) {
    return hash64(h, offsetof(struct saved_header, header_hash));
}

enum status live_candles_save(struct live_candles *c, struct err *err) {
    reclaim(c);
    size_t size = c->waiting_count * sizeof *c->waiting;
    struct saved_header h = {.magic = SAVED_MAGIC,
                             .count = c->waiting_count,
                             .symbols_hash = c->symbols_hash,
                             .interval_ns = (uint64_t)c->interval_ns,
                             .body_hash = size ? hash64(c->waiting, size) : 0};
    h.header_hash = header_hash(&h);
    const struct fs_part parts[] = {{&h, sizeof h, 0}, {c->waiting, size, sizeof h}};
    return fs_replace(c->saved_path, parts, size ? 2 : 1, err);
}

static enum status saved_check(const struct live_candles *c, const void *bytes, size_t size,
                               struct saved_header *h, struct err *err) {
    if (size < sizeof *h) return err_set(err, ST_CORRUPT, "%s: cut short", c->saved_path);
    memcpy(h, bytes, sizeof *h);
    const struct waiting *all =
        (const struct waiting *)(const void *)((const char *)bytes + sizeof *h);
    size_t body = size - sizeof *h;
    if (h->magic != SAVED_MAGIC || h->header_hash != header_hash(h) ||
        h->count > body / sizeof *all || body != h->count * sizeof *all ||
        h->body_hash != (body ? hash64(all, body) : 0))
        return err_set(err, ST_CORRUPT, "%s: its checksum does not hold", c->saved_path);
    if (h->symbols_hash != c->symbols_hash || h->interval_ns != (uint64_t)c->interval_ns)
        return err_set(err, ST_MISMATCH, "%s: kept for other contracts", c->saved_path);
    for (size_t i = 0; i < h->count; i++)
        if (all[i].instrument >= c->count)
            return err_set(err, ST_CORRUPT, "%s: candle %zu is of nobody", c->saved_path, i);
    return ST_OK;
}

static enum status saved_read(struct live_candles *c, struct err *err) {
    void *bytes = NULL;
    size_t size;
    struct saved_header h;
    char text[ERR_TEXT_SIZE];
    enum status st = fs_map(&bytes, &size, c->saved_path, err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st != ST_OK) return st;
    st = saved_check(c, bytes, size, &h, err);
    if (st ==
        ST_CORRUPT) { /* a run must be able to start: the venue is asked for what is missing */
        log_error("candles", "saved candles are lost", "error=%s",
                  log_quote(text, sizeof text, err ? err->text : ""));
        if (bytes) munmap(bytes, size);
        return ST_OK;
    }
    for (size_t i = 0; st == ST_OK && i < h.count; i++) {
        struct waiting w;
        memcpy(&w, (const char *)bytes + sizeof h + i * sizeof w, sizeof w);
        if (!has_room(c)) st = err_set(err, ST_NO_MEMORY, "%zu candles", i);
        if (st == ST_OK) c->waiting[c->waiting_count++] = w;
    }
    if (bytes) munmap(bytes, size);
    return st;
}

/* ---- life ---- */

static void flush_or_say(struct live_candles *c) {
    struct err why = {0};
    char text[ERR_TEXT_SIZE];
    if (live_candles_flush(c, &why) != ST_OK)
        log_error("candles", "the store takes no candles", "error=%s",
                  log_quote(text, sizeof text, why.text));
}

static enum status symbols_copy(struct live_candles *c, const struct instrument *instruments,
                                struct err *err) {
    c->symbols = calloc(c->count, sizeof *c->symbols);
    c->flags = calloc(c->count, sizeof *c->flags);
    if (!c->symbols || !c->flags)
        return err_set(err, ST_NO_MEMORY, "candles of %u symbols", c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        memcpy(c->symbols[i], instruments[i].symbol, SYMBOL_SIZE);
        c->flags[i] = instruments[i].flags & INSTRUMENT_SYNTHETIC;
    }
    c->symbols_hash = hash64(c->symbols, c->count * sizeof *c->symbols);
    return ST_OK;
}

enum status live_candles_open(struct live_candles **out, const char *dir,
                              const struct instrument *instruments, uint32_t count,
                              int64_t interval_ns, struct err *err) {
    *out = NULL;
    struct live_candles *c = calloc(1, sizeof *c);
    if (!c) return err_set(err, ST_NO_MEMORY, "candles");
    c->count = count;
    c->interval_ns = interval_ns;
    c->flush_at = FLUSH_AT;
    atomic_init(&c->batch_state, BATCH_NONE);
    enum status st = fs_path(c->dir, err, "%s", dir);
    if (st == ST_OK) st = fs_path(c->saved_path, err, "%s/waiting.bin", dir);
    if (st == ST_OK) st = symbols_copy(c, instruments, err);
    if (st == ST_OK) st = fs_make_dirs(dir, err);
    if (st == ST_OK) st = saved_read(c, err);
    if (st == ST_OK) flush_or_say(c);
    if (st == ST_OK)
        *out = c;
    else
        live_candles_close(c);
    return st;
}

void live_candles_close(struct live_candles *c) {
    if (!c) return;
    free(c->symbols);
    free(c->flags);
    free(c->waiting);
    free(c->batch);
    free(c);
}

/* ---- older ones ---- */

/* First bar that opens at or after ts. */
static size_t bar_at(const struct candles *c, int64_t ts) {
    size_t lo = 0, hi = c->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->bars[mid].open_ts_ns < ts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

enum status live_candles_gap(struct live_gap *out, const struct live_candles *c,
                             uint32_t instrument, int64_t from_ns, int64_t to_ns, struct err *err) {
    struct candles all;
    *out = (struct live_gap){to_ns, to_ns};
    if (from_ns >= to_ns) return ST_OK;
    enum status st =
        candles_open(&all, c->dir, MARKET, c->interval_ns, c->symbols[instrument], err);
    if (st == ST_NOT_FOUND) {
        *out = (struct live_gap){from_ns, to_ns};
        return ST_OK;
    }
    if (st != ST_OK) return st;
    size_t i = bar_at(&all, from_ns);
    int64_t next = from_ns;
    while (next < to_ns && i < all.count && all.bars[i].open_ts_ns == next) {
        next += c->interval_ns;
        i++;
    }
    if (next < to_ns) {
        out->from_ns = next;
        if (i < all.count && all.bars[i].open_ts_ns < to_ns) out->to_ns = all.bars[i].open_ts_ns;
    }
    candles_close(&all);
    return ST_OK;
}

enum status live_candles_add(struct live_candles *c, uint32_t instrument, const struct bar *bars,
                             size_t count, struct err *err) {
    return count ? merge_series(c, instrument, bars, count, err) : ST_OK;
}

/* ---- what a training reads ---- */

static enum status source_prepare(void *context, struct err *err) {
    struct live_candles *c = context;
    reclaim(c);
    free(c->batch);
    c->batch_count = c->waiting_count;
    c->batch = calloc(c->batch_count + 1, sizeof *c->batch);
    batch_state_set(c, BATCH_NONE);
    if (!c->batch) return err_set(err, ST_NO_MEMORY, "%zu candles", c->batch_count);
    if (c->batch_count > 0) memcpy(c->batch, c->waiting, c->batch_count * sizeof *c->batch);
    batch_state_set(c, BATCH_HANDED);
    return ST_OK;
}

static void source_close(void *context, struct learn_series *series, size_t count) {
    const struct live_candles *c = context;
    struct candles *open = (struct candles *)(void *)(series + c->count);
    for (size_t i = 0; i < count; i++) candles_close(&open[i]);
    free(series);
}

/* The block that begins with the series holds the mapped files behind them. */
static enum status source_open(void *context, struct learn_series **out, size_t *count,
                               int64_t from_ns, int64_t to_ns, struct err *err) {
    struct live_candles *c = context;
    *count = 0;
    if (batch_state(c) == BATCH_HANDED) {
        enum status st = merge_all(c, c->batch, c->batch_count, err);
        batch_state_set(c, st == ST_OK ? BATCH_MERGED : BATCH_FAILED);
        if (st != ST_OK) return st;
    }
    char *block = calloc(c->count, sizeof(struct learn_series) + sizeof(struct candles));
    if (!block) return err_set(err, ST_NO_MEMORY, "candles of %u symbols", c->count);
    struct learn_series *series = (struct learn_series *)(void *)block;
    struct candles *open = (struct candles *)(void *)(series + c->count);
    enum status st = ST_OK;
    size_t got = 0;
    for (uint32_t i = 0; i < c->count && st == ST_OK; i++) {
        struct candles *a = &open[got];
        st = candles_open(a, c->dir, MARKET, c->interval_ns, c->symbols[i], err);
        if (st == ST_NOT_FOUND) {
            st = ST_OK;
            continue;
        }
        if (st != ST_OK) break;
        size_t first = bar_at(a, from_ns), end = bar_at(a, to_ns - c->interval_ns + 1);
        series[got++] = (struct learn_series){
            .symbol = c->symbols[i], .bars = a->bars + first, .count = end - first};
    }
    if (st == ST_OK && got == 0) st = err_set(err, ST_NOT_FOUND, "%s has no candles yet", c->dir);
    if (st != ST_OK) {
        source_close(context, series, got);
        return st;
    }
    *out = series;
    *count = got;
    return ST_OK;
}

struct retrain_source live_candles_source(struct live_candles *c) {
    return (struct retrain_source){
        .context = c, .open = source_open, .close = source_close, .prepare = source_prepare};
}
