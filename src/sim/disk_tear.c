/* What the power leaves of a journal, and bits that turn over. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/journal_internal.h"
#include "sim/disk.h"

enum { SECTOR_BYTES = 512, PATH_BYTES = 4096 };

/* A file in memory, written back by file_put. */
struct file {
    char path[PATH_BYTES];
    uint8_t *data;
    size_t size;
};

static enum status file_get(struct file *f, const char *dir, const char *name, struct err *err) {
    struct stat sb;
    snprintf(f->path, sizeof f->path, "%s/%s", dir, name);
    f->data = NULL;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", f->path);
    enum status st = fstat(fd, &sb) == 0 ? ST_OK : ST_IO;
    f->size = st == ST_OK ? (size_t)sb.st_size : 0;
    f->data = malloc(f->size + 1);
    if (!f->data || (f->size && pread(fd, f->data, f->size, 0) != (ssize_t)f->size)) st = ST_IO;
    close(fd);
    return st == ST_OK ? ST_OK : err_errno(err, st, "%s", f->path);
}

/* Under a new inode: the old one may be linked elsewhere. */
static enum status file_put(const struct file *f, struct err *err) {
    if (unlink(f->path) != 0) return err_errno(err, ST_IO, "%s", f->path);
    int fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return err_errno(err, ST_IO, "%s", f->path);
    int bad = ftruncate(fd, (off_t)f->size);
    for (size_t at = 0; at < f->size && !bad; at += SECTOR_BYTES) {
        size_t n = f->size - at < SECTOR_BYTES ? f->size - at : SECTOR_BYTES;
        bool zero = f->data[at] == 0 && memcmp(f->data + at, f->data + at + 1, n - 1) == 0;
        if (!zero) bad = pwrite(fd, f->data + at, n, (off_t)at) != (ssize_t)n;
    }
    enum status st = bad ? err_errno(err, ST_IO, "%s", f->path) : ST_OK;
    close(fd);
    return st;
}

/* Where the records up to `last` end, and the last one there is (of all, if last is UINT64_MAX). */
static size_t records_end(const struct file *f, uint64_t first_seq, uint64_t last, uint64_t *seen) {
    size_t at = JOURNAL_HEADER_BYTES, frame;
    struct journal_record record;
    const char *why;
    *seen = first_seq - 1;
    while (at < f->size && *seen < last &&
           journal_frame_decode(&record, &frame, &why, f->data + at, f->size - at, *seen + 1) ==
               ST_OK) {
        at += frame;
        *seen = record.seq;
    }
    return at;
}

static size_t used_end(const struct file *f, size_t from) {
    size_t end = f->size;
    while (end > from && f->data[end - 1] == 0) end--;
    return end;
}

/* Any piece of what lies in [from, to) is left; returns how many bytes are others now. */
static uint64_t tear(uint8_t *data, size_t from, size_t to, struct rng *rng) {
    enum { NOTHING, PREFIX, SECTORS, ROTTEN, ALL, WAYS } how = (unsigned)rng_below(rng, WAYS);
    uint64_t torn = 0;
    if (from >= to || how == ALL) return 0;
    size_t kept = how == NOTHING ? from : how == PREFIX ? from + rng_below(rng, to - from) : to;
    bool whole = true;
    for (size_t at = from; at < to; at++) {
        if (how == SECTORS && (at == from || at % SECTOR_BYTES == 0)) whole = rng_below(rng, 2);
        if (at < kept && whole) continue;
        torn += data[at] != 0;
        data[at] = 0;
    }
    if (how == ROTTEN) {
        for (uint64_t bits = 1 + rng_below(rng, 4); bits > 0; bits--)
            data[from + rng_below(rng, to - from)] ^= (uint8_t)(1u << rng_below(rng, 8));
        torn++;
    }
    return torn;
}

/* The buffer is a mapping: each of its pages may have been written back at any time, or never. */
static enum status tear_buffer(struct sim_disk_loss *out, const char *dir, struct rng *rng,
                               struct err *err) {
    struct file f;
    enum status st = file_get(&f, dir, "buffer", err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st == ST_OK) {
        size_t end = used_end(&f, 0), frame;
        out->bytes_torn += tear(f.data, 0, end, rng);
        struct journal_record record;
        struct journal_frame first;
        const char *why;
        memset(&first, 0, sizeof first);
        if (f.size >= sizeof first) memcpy(&first, f.data, sizeof first);
        size_t at = 0;
        for (uint64_t seq = first.seq;
             seq > 0 && seq <= out->last_seq + 1 &&
             journal_frame_decode(&record, &frame, &why, f.data + at, f.size - at, seq) == ST_OK;
             seq++, at += frame)
            if (seq > out->last_seq) out->last_seq = seq;
        st = file_put(&f, err);
    }
    free(f.data);
    return st;
}

/* The newest segment; *gone: it was not even made for good, and is not there any more. */
static enum status tear_newest(struct sim_disk_loss *out, const char *dir,
                               const struct journal_segment *newest, uint64_t durable_seq,
                               bool only, struct rng *rng, bool *gone, struct err *err) {
    char name[JOURNAL_NAME_SIZE];
    struct file f;
    enum status st = file_get(&f, dir, journal_segment_name(name, newest), err);
    *gone = false;
    if (st == ST_OK) {
        uint64_t seen;
        size_t from = records_end(&f, newest->first_seq, durable_seq, &seen);
        if (seen < durable_seq)
            st = err_set(err, ST_CORRUPT, "%s: record %" PRIu64 " was synced and is not there",
                         f.path, seen + 1);
        out->bytes_torn += tear(f.data, from, used_end(&f, from), rng);
        (void)records_end(&f, newest->first_seq, UINT64_MAX, &out->last_seq);
        *gone = !only && out->last_seq + 1 == newest->first_seq && rng_below(rng, 2);
        if (st == ST_OK && *gone)
            st = unlink(f.path) == 0 ? ST_OK : err_errno(err, ST_IO, "%s", f.path);
        else if (st == ST_OK)
            st = file_put(&f, err);
    }
    free(f.data);
    return st;
}

/* A closed segment that has become the newest one will be written to. */
static enum status unlink_from_others(const char *dir, const struct journal_segment *s,
                                      struct err *err) {
    char name[JOURNAL_NAME_SIZE];
    struct file f;
    if (s->compressed) return ST_OK;
    enum status st = file_get(&f, dir, journal_segment_name(name, s), err);
    if (st == ST_OK) st = file_put(&f, err);
    free(f.data);
    return st;
}

static enum status list(struct journal_segments *out, const char *dir, struct err *err) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", dir);
    enum status st = journal_segments_list(out, fd, false, err);
    close(fd);
    return st;
}

enum status sim_disk_tear(struct sim_disk_loss *out, const char *journal_dir, uint64_t durable_seq,
                          struct rng *rng, struct err *err) {
    struct journal_segments all = {0};
    *out = (struct sim_disk_loss){0};
    enum status st = list(&all, journal_dir, err);
    if (st != ST_OK) return st == ST_NOT_FOUND ? ST_OK : st;
    const struct journal_segment *newest = all.count ? &all.items[all.count - 1] : NULL;
    bool gone = false;
    if (newest && !newest->compressed)
        st = tear_newest(out, journal_dir, newest, durable_seq, all.count == 1, rng, &gone, err);
    if (st == ST_OK && gone) st = unlink_from_others(journal_dir, newest - 1, err);
    if (st == ST_OK) st = tear_buffer(out, journal_dir, rng, err);
    free(all.items);
    return st;
}

/* sqlite's index of its log lives in memory alone. */
static void forget_shared(const char *image) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/trades.sqlite-shm", image);
    (void)unlink(path);
}

enum status sim_disk_power_loss(struct sim_disk *d, const char *image, struct sim_disk_loss *out,
                                struct err *err) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/journal", image);
    enum status st = sim_disk_tear(out, path, d->durable, &d->rng, err);
    if (st != ST_OK) return err_wrap(err, st, "power loss of %s", image);
    forget_shared(image);
    d->appended = out->last_seq; /* the next opening syncs what is there */
    return ST_OK;
}

enum status sim_disk_rot(const char *journal_dir, uint64_t seq, struct rng *rng, struct err *err) {
    struct journal_segments all = {0};
    char name[JOURNAL_NAME_SIZE];
    struct file f = {.data = NULL};
    enum status st = list(&all, journal_dir, err);
    size_t at = all.count;
    while (st == ST_OK && at > 0 && all.items[at - 1].first_seq > seq) at--;
    if (st == ST_OK && (at == 0 || all.items[at - 1].compressed))
        st = err_set(err, ST_NOT_FOUND, "%s: no plain record %" PRIu64, journal_dir, seq);
    if (st == ST_OK)
        st = file_get(&f, journal_dir, journal_segment_name(name, &all.items[at - 1]), err);
    if (st == ST_OK) {
        uint64_t first = all.items[at - 1].first_seq, seen;
        size_t from = records_end(&f, first, seq - 1, &seen);
        size_t to = records_end(&f, first, seq, &seen);
        if (seen != seq || from >= to)
            st = err_set(err, ST_NOT_FOUND, "%s: no record %" PRIu64, f.path, seq);
        else
            f.data[from + rng_below(rng, to - from)] ^= (uint8_t)(1u << rng_below(rng, 8));
        if (st == ST_OK) st = file_put(&f, err);
    }
    free(f.data);
    free(all.items);
    return st;
}
