#include "walk/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"
#include "store/fs.h"

#define LOG_MAGIC UINT64_C(0x314B4C4157545151) /* "QQTWALK1" */

struct header {
    uint64_t magic;
    uint32_t version, record_size;
    uint64_t identity;
    int64_t interval_ns;
    uint32_t symbol_count, reserved;
    uint64_t checksum;
};
_Static_assert(sizeof(struct header) == 48, "no padding");

struct block {
    int64_t close_ns;
    uint32_t count, reserved;
    uint64_t checksum;
};
_Static_assert(sizeof(struct block) == 24, "no padding");

struct walk_log {
    int fd;
    char path[STORE_PATH_SIZE];
    size_t size;          /* of whole blocks */
    size_t cursor;        /* next block to be held against; size: none is left */
    int64_t last_told_ns; /* INT64_MIN: none yet */
    int64_t last_kept_ns;
    uint64_t checked, appended;
    enum status failed;
    struct err err;
    unsigned char buffer[sizeof(struct block) + INSTRUMENTS_MAX * sizeof(struct walk_decision)];
    unsigned char kept[sizeof(struct block) + INSTRUMENTS_MAX * sizeof(struct walk_decision)];
};

static uint64_t header_sum(const struct header *h) {
    return hash64(h, offsetof(struct header, checksum));
}

static uint64_t block_sum(const struct block *b, const void *records) {
    uint64_t sum = hash64(b, offsetof(struct block, checksum));
    return hash_chain(sum, records, b->count * sizeof(struct walk_decision));
}

/* ---- blocks of a map ---- */

/* The block at `at`, or NULL where no whole one is. */
static const struct block *block_at(const unsigned char *map, size_t size, size_t at) {
    struct block head;
    if (size - at < sizeof head) return NULL;
    memcpy(&head, map + at, sizeof head);
    if (head.count > INSTRUMENTS_MAX || head.reserved != 0) return NULL;
    size_t records = head.count * sizeof(struct walk_decision);
    if (size - at - sizeof head < records) return NULL;
    if (head.checksum != block_sum(&head, map + at + sizeof head)) return NULL;
    return (const struct block *)(const void *)(map + at);
}

static size_t block_size(const struct block *b) {
    return sizeof *b + b->count * sizeof(struct walk_decision);
}

/* Whole blocks in order of time: their number, and where they end. Whatever stands behind the last one that is whole
 * must be a piece of one more, or the file was damaged in the middle. */
static enum status scan(size_t *out_count, size_t *out_end, int64_t *out_last_ns,
                        const unsigned char *map, size_t size, uint32_t symbols, const char *path,
                        struct err *err) {
    const struct block *b;
    *out_count = 0;
    *out_end = sizeof(struct header);
    *out_last_ns = INT64_MIN;
    while ((b = block_at(map, size, *out_end))) {
        if (b->close_ns <= *out_last_ns)
            return err_set(err, ST_CORRUPT, "%s: block %zu is not later than the one before", path,
                           *out_count);
        *out_last_ns = b->close_ns;
        *out_end += block_size(b);
        (*out_count)++;
    }
    size_t longest = sizeof *b + symbols * sizeof(struct walk_decision);
    if (size - *out_end >= longest)
        return err_set(err, ST_CORRUPT, "%s: damaged at byte %zu", path, *out_end);
    return ST_OK;
}

static enum status header_check(struct header *out, const void *map, size_t size, const char *path,
                                struct err *err) {
    if (size < sizeof *out) return err_set(err, ST_CORRUPT, "%s is no log of decisions", path);
    memcpy(out, map, sizeof *out);
    if (out->magic != LOG_MAGIC) return err_set(err, ST_CORRUPT, "%s is no log of decisions", path);
    if (out->checksum != header_sum(out))
        return err_set(err, ST_CORRUPT, "%s: its first bytes are damaged", path);
    if (out->version != WALK_LOG_VERSION || out->record_size != sizeof(struct walk_decision))
        return err_set(err, ST_VERSION, "%s has format %u, this program reads %d", path,
                       out->version, WALK_LOG_VERSION);
    return ST_OK;
}

/* ---- opening ---- */

static enum status begin_file(struct walk_log *l, const struct header *h, struct err *err) {
    enum status st = fs_pwrite_all(l->fd, h, sizeof *h, 0, l->path, err);
    if (st == ST_OK && ftruncate(l->fd, (off_t)sizeof *h) != 0)
        st = err_errno(err, ST_IO, "%s", l->path);
    l->size = l->cursor = sizeof *h;
    return st;
}

static enum status go_on(struct walk_log *l, const struct header *want, struct err *err) {
    void *map;
    size_t size, count;
    struct header have;
    enum status st = fs_map(&map, &size, l->path, err);
    if (st != ST_OK) return st;
    st = header_check(&have, map, size, l->path, err);
    if (st == ST_OK && (have.identity != want->identity || have.interval_ns != want->interval_ns ||
                        have.symbol_count != want->symbol_count))
        st = err_set(err, ST_MISMATCH, "%s is the log of another run", l->path);
    if (st == ST_OK)
        st = scan(&count, &l->size, &l->last_kept_ns, map, size, have.symbol_count, l->path, err);
    if (map) munmap(map, size);
    if (st == ST_OK && l->size < size && ftruncate(l->fd, (off_t)l->size) != 0)
        st = err_errno(err, ST_IO, "%s", l->path);
    l->cursor = sizeof have;
    return st;
}

enum status walk_log_open(struct walk_log **out, const char *path, uint64_t identity,
                          int64_t interval_ns, uint32_t symbol_count, struct err *err) {
    struct walk_log *l = calloc(1, sizeof *l);
    if (!l) return err_set(err, ST_NO_MEMORY, "log of decisions: out of memory");
    struct header h = {LOG_MAGIC,
                       WALK_LOG_VERSION,
                       sizeof(struct walk_decision),
                       identity,
                       interval_ns,
                       symbol_count,
                       0,
                       0};
    h.checksum = header_sum(&h);
    l->last_told_ns = l->last_kept_ns = INT64_MIN;
    l->fd = -1;
    enum status st = fs_path(l->path, err, "%s", path);
    struct stat info;
    if (st == ST_OK) {
        l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (l->fd < 0 || fstat(l->fd, &info) != 0) st = err_errno(err, ST_IO, "%s", path);
    }
    /* Killed while the header was written: nothing was told yet. */
    if (st == ST_OK)
        st = (size_t)info.st_size < sizeof h ? begin_file(l, &h, err) : go_on(l, &h, err);
    if (st != ST_OK) {
        if (l->fd >= 0) close(l->fd);
        free(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

/* ---- records ---- */

/* Over the doubles, so that what a float rounds away still counts. */
static uint64_t exact_hash(const struct engine_decision *d, const struct model_vote *votes) {
    double x[96];
    size_t n = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        for (uint32_t l = 0; l < LABEL_COUNT; l++) x[n++] = votes[k].p[l];
        x[n++] = votes[k].move;
        x[n++] = d->signal.weights[k];
        x[n++] = (double)d->states[k];
    }
    for (uint32_t l = 0; l < LABEL_COUNT; l++) x[n++] = d->signal.p[l];
    const double rest[] = {d->signal.confidence,
                           d->signal.edge,
                           d->signal.move,
                           (double)d->signal.consensus,
                           d->spread.distance,
                           d->trust,
                           d->expected_return,
                           d->interval.low,
                           d->interval.high,
                           d->interval.width,
                           d->distance,
                           d->fraction,
                           (double)d->leverage,
                           d->stop_distance,
                           d->take_distance[0],
                           d->take_distance[1],
                           d->take_distance[2],
                           d->cost,
                           d->edge_gross,
                           d->edge_net,
                           d->edge_se,
                           (double)d->was_noted,
                           (double)d->verdict.reason,
                           (double)d->sizing.reason};
    memcpy(x + n, rest, sizeof rest);
    n += sizeof rest / sizeof *rest;
    ASSERT(n <= sizeof x / sizeof *x);
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i])) x[i] = NAN; /* whatever bits it had */
    return hash64(x, n * sizeof *x);
}

static void record_make(struct walk_decision *out, const struct engine_decision *d,
                        const struct model_vote *votes) {
    memset(out, 0, sizeof *out);
    out->symbol = d->symbol;
    out->reason = (uint8_t)d->reason;
    out->action = (uint8_t)d->action;
    out->says = (uint8_t)d->signal.action;
    out->voters = (uint8_t)d->signal.voters;
    out->regime = (uint8_t)d->regime.regime;
    out->arm = (uint8_t)d->strategy.arm;
    out->has_interval = (uint8_t)d->has_interval;
    out->leverage = (uint8_t)d->leverage;
    out->confidence = (float)d->signal.confidence;
    out->move = (float)d->signal.move;
    out->expected = (float)d->expected_return;
    out->low = (float)d->interval.low;
    out->high = (float)d->interval.high;
    out->distance = (float)d->distance;
    out->fraction = (float)d->fraction;
    out->cost = (float)d->cost;
    out->edge_net = (float)d->edge_net;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out->p[l] = (float)d->signal.p[l];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        out->answered[k] = (uint8_t)votes[k].state;
        out->counted[k] = (uint8_t)d->states[k];
        out->weights[k] = (float)d->signal.weights[k];
        out->model_move[k] = (float)votes[k].move;
        for (uint32_t l = 0; l < LABEL_COUNT; l++) out->model_p[k][l] = (float)votes[k].p[l];
    }
    out->exact = exact_hash(d, votes);
}

/* ---- telling ---- */

static enum status hold_against(struct walk_log *l, const struct block *b, size_t size) {
    char at[TSTAMP_TEXT_SIZE];
    ssize_t n;
    do n = pread(l->fd, l->kept, size, (off_t)l->cursor);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_errno(&l->err, ST_IO, "cannot read %s", l->path);
    if ((size_t)n != size || memcmp(l->kept, l->buffer, size) != 0)
        return err_set(&l->err, ST_CORRUPT, "the decisions at %.16s are not those on record in %s",
                       tstamp_format(at, b->close_ns), l->path);
    l->cursor += size;
    l->checked++;
    return ST_OK;
}

/* Moves to the block of that close, or to the first later one. */
static enum status seek_close(struct walk_log *l, int64_t close_ns) {
    struct block b;
    for (l->cursor = sizeof(struct header); l->cursor < l->size; l->cursor += block_size(&b)) {
        if (pread(l->fd, &b, sizeof b, (off_t)l->cursor) != (ssize_t)sizeof b)
            return err_errno(&l->err, ST_IO, "cannot read %s", l->path);
        if (b.close_ns >= close_ns) break;
    }
    return ST_OK;
}

static enum status tell(struct walk_log *l, const struct block *b, size_t size) {
    if (l->last_told_ns == INT64_MIN && l->last_kept_ns != INT64_MIN) {
        enum status st = seek_close(l, b->close_ns);
        if (st != ST_OK) return st;
    }
    if (b->close_ns <= l->last_told_ns)
        return err_set(&l->err, ST_INVALID, "a close is not later than the one before");
    if (b->close_ns <= l->last_kept_ns) return hold_against(l, b, size);
    enum status st = fs_pwrite_all(l->fd, l->buffer, size, l->size, l->path, &l->err);
    if (st != ST_OK) return st;
    l->size += size;
    l->cursor = l->size;
    l->appended++;
    return ST_OK;
}

void walk_log_decided(void *log, int64_t close_ns, const struct engine_decision *decisions,
                      const struct model_vote *votes, uint32_t count) {
    struct walk_log *l = log;
    ASSERT(count <= INSTRUMENTS_MAX);
    if (l->failed != ST_OK) return;
    struct block b = {close_ns, count, 0, 0};
    for (uint32_t i = 0; i < count; i++) {
        struct walk_decision record;
        if (i && decisions[i].symbol <= decisions[i - 1].symbol) {
            l->failed = err_set(&l->err, ST_INVALID, "the symbols of a close do not ascend");
            return;
        }
        record_make(&record, &decisions[i], votes + (size_t)i * MODEL_COUNT);
        memcpy(l->buffer + sizeof b + i * sizeof record, &record, sizeof record);
    }
    b.checksum = block_sum(&b, l->buffer + sizeof b);
    memcpy(l->buffer, &b, sizeof b);
    l->failed = tell(l, &b, block_size(&b));
    l->last_told_ns = close_ns;
}

enum status walk_log_status(const struct walk_log *log, struct err *err) {
    if (log->failed != ST_OK && err) *err = log->err;
    return log->failed;
}

void walk_log_counts(const struct walk_log *log, uint64_t *out_checked, uint64_t *out_appended) {
    *out_checked = log->checked;
    *out_appended = log->appended;
}

enum status walk_log_close(struct walk_log *log, struct err *err) {
    if (!log) return ST_OK;
    enum status st = walk_log_status(log, err);
    if (fdatasync(log->fd) != 0 && st == ST_OK)
        st = err_errno(err, ST_IO, "cannot sync %s", log->path);
    if (close(log->fd) != 0 && st == ST_OK)
        st = err_errno(err, ST_IO, "cannot close %s", log->path);
    free(log);
    return st;
}

/* ---- reading ---- */

enum status walk_decisions_read(struct walk_decisions *out, const char *path, struct err *err) {
    struct header h;
    size_t end;
    int64_t last;
    memset(out, 0, sizeof *out);
    enum status st = fs_map(&out->map, &out->map_size, path, err);
    if (st != ST_OK) return st;
    st = header_check(&h, out->map, out->map_size, path, err);
    if (st == ST_OK)
        st = scan(&out->close_count, &end, &last, out->map, out->map_size, h.symbol_count, path,
                  err);
    if (st == ST_OK) {
        out->closes = calloc(out->close_count ? out->close_count : 1, sizeof *out->closes);
        if (!out->closes) st = err_set(err, ST_NO_MEMORY, "%s: out of memory", path);
    }
    if (st != ST_OK) {
        walk_decisions_free(out);
        return st;
    }
    out->identity = h.identity;
    out->interval_ns = h.interval_ns;
    out->symbol_count = h.symbol_count;
    const unsigned char *at = (const unsigned char *)out->map + sizeof h;
    for (size_t i = 0; i < out->close_count; i++) {
        const struct block *b = (const struct block *)(const void *)at;
        out->closes[i] =
            (struct walk_close){b->close_ns, (const struct walk_decision *)(const void *)(b + 1),
                                b->count, 0, out->count};
        out->count += b->count;
        at += block_size(b);
    }
    return ST_OK;
}

const struct walk_decision *walk_close_find(const struct walk_close *c, uint32_t symbol) {
    uint32_t lo = 0, hi = c->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (c->decisions[mid].symbol < symbol)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->count && c->decisions[lo].symbol == symbol ? &c->decisions[lo] : NULL;
}

void walk_decisions_free(struct walk_decisions *d) {
    if (d->map) munmap(d->map, d->map_size);
    free(d->closes);
    memset(d, 0, sizeof *d);
}
