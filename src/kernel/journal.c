/* The journal's writer. */
#include "kernel/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/assert.h"
#include "kernel/journal_internal.h"

enum {
    /* Zeros written ahead of commits: an fdatasync over blocks already written need not wait for the
     * file system to turn preallocated extents into written ones (docs/journal.md has the figures). */
    ZERO_AHEAD_BYTES = 1 << 20,
    ZERO_CHUNK_BYTES = 1 << 16,
};

struct journal {
    uint8_t *buffer; /* shared mapping of DIR/buffer; heap while recovering */
    size_t buffered;
    size_t buffer_bytes;
    uint64_t last_seq, written_seq;
    uint64_t segment_at; /* where the buffer's first byte belongs in the segment */
    struct err failure;  /* first I/O error; final until opened anew */
    _Atomic uint64_t durable_seq;
    uint64_t zeroed_to;
    int dir_fd, lock_fd, buffer_fd, fd;
    struct journal_options options;
    struct journal_segments segments; /* the last is the open one */
    char dir[JOURNAL_DIR_SIZE];
};

static const uint8_t ZEROS[ZERO_CHUNK_BYTES];

struct journal_options journal_options_defaults(void) {
    return (struct journal_options){
        .segment_bytes = (size_t)64 << 20, .compress_level = 0, .buffer_bytes = (size_t)256 << 10};
}

static enum status failed(struct journal *j, const char *what) {
    char name[JOURNAL_NAME_SIZE] = "";
    if (j->segments.count) journal_segment_name(name, &j->segments.items[j->segments.count - 1]);
    return err_errno(&j->failure, ST_IO, "journal %s/%s: %s", j->dir, name, what);
}

static enum status failure_get(const struct journal *j, struct err *err) {
    if (err && j->failure.st != ST_OK) *err = j->failure;
    return j->failure.st;
}

/* ---- the disk ---- */

/* What the probe says to a call: 0, or -1 with errno. */
static int asked(const struct journal *j, enum journal_io what, size_t *size) {
    const struct journal_probe *probe = j->options.probe;
    if (!probe || !probe->io) return 0;
    int fault = probe->io(probe->context, what, size);
    if (fault) errno = fault;
    return fault ? -1 : 0;
}

static ssize_t io_write(const struct journal *j, int fd, const uint8_t *data, size_t size,
                        uint64_t offset) {
    size_t least = size;
    int fault = asked(j, JOURNAL_WRITE, &least);
    if (fault == 0) return pwrite(fd, data, least, (off_t)offset);
    int why = errno;
    if (least < size && pwrite(fd, data, least, (off_t)offset) < 0) return -1;
    errno = why;
    return -1;
}

static int io_sync(const struct journal *j, int fd) {
    size_t none = 0;
    return asked(j, JOURNAL_SYNC, &none) ? -1 : fdatasync(fd);
}

static int io_sync_dir(const struct journal *j) {
    size_t none = 0;
    return asked(j, JOURNAL_SYNC, &none) ? -1 : fsync(j->dir_fd);
}

static int io_allocate(const struct journal *j, int fd, uint64_t bytes) {
    size_t size = bytes;
    if (asked(j, JOURNAL_ALLOCATE, &size)) return -1;
    if (fallocate(fd, 0, 0, (off_t)bytes) == 0) return 0;
    /* Not every file system can; the file is then sparse, which is slower and no less safe. */
    return errno == EOPNOTSUPP ? ftruncate(fd, (off_t)bytes) : -1;
}

static int io_truncate(const struct journal *j, int fd, uint64_t bytes) {
    size_t size = bytes;
    return asked(j, JOURNAL_TRUNCATE, &size) ? -1 : ftruncate(fd, (off_t)bytes);
}

static int io_rename(const struct journal *j, const char *from, const char *to) {
    size_t none = 0;
    return asked(j, JOURNAL_RENAME, &none) ? -1 : renameat(j->dir_fd, from, j->dir_fd, to);
}

static enum status write_all(struct journal *j, int fd, const uint8_t *data, size_t size,
                             uint64_t offset) {
    while (size > 0) {
        ssize_t n = io_write(j, fd, data, size, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(j, "write");
        if (n == 0) {
            errno = ENOSPC;
            return failed(j, "write of nothing");
        }
        data += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return ST_OK;
}

static enum status sync_dir(struct journal *j) {
    return io_sync_dir(j) ? failed(j, "sync of the directory") : ST_OK;
}

static enum status segment_create(struct journal *j, uint64_t first_seq) {
    struct journal_segment item = {first_seq, false};
    if (journal_segments_add(&j->segments, item, &j->failure) != ST_OK) return j->failure.st;
    char name[JOURNAL_NAME_SIZE];
    j->fd = openat(j->dir_fd, journal_segment_name(name, &item),
                   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (j->fd < 0) return failed(j, "create");
    uint8_t header[JOURNAL_HEADER_BYTES];
    journal_header_encode(header, first_seq);
    if (io_allocate(j, j->fd, j->options.segment_bytes)) return failed(j, "allocate");
    enum status st = write_all(j, j->fd, header, sizeof header, 0);
    if (st != ST_OK) return st;
    if (io_sync(j, j->fd)) return failed(j, "sync of the header");
    j->segment_at = j->zeroed_to = JOURNAL_HEADER_BYTES;
    return sync_dir(j);
}

static enum status flush(struct journal *j) {
    if (j->failure.st != ST_OK) return j->failure.st;
    if (j->buffered == 0) return ST_OK;
    enum status st = write_all(j, j->fd, j->buffer, j->buffered, j->segment_at);
    if (st != ST_OK) return st;
    j->segment_at += j->buffered;
    j->buffered = 0;
    j->written_seq = j->last_seq;
    return ST_OK;
}

static enum status zero_ahead(struct journal *j) {
    uint64_t end = j->options.segment_bytes;
    if (j->zeroed_to < j->segment_at) j->zeroed_to = j->segment_at;
    if (j->zeroed_to >= end || j->zeroed_to - j->segment_at >= ZERO_CHUNK_BYTES) return ST_OK;
    for (size_t done = 0; done < ZERO_AHEAD_BYTES && j->zeroed_to < end; done += ZERO_CHUNK_BYTES) {
        uint64_t left = end - j->zeroed_to;
        size_t n = left < ZERO_CHUNK_BYTES ? (size_t)left : (size_t)ZERO_CHUNK_BYTES;
        enum status st = write_all(j, j->fd, ZEROS, n, j->zeroed_to);
        if (st != ST_OK) return st;
        j->zeroed_to += n;
    }
    return ST_OK;
}

/* Everything flushed becomes durable. */
static enum status sync_written(struct journal *j) {
    uint64_t durable = atomic_load_explicit(&j->durable_seq, memory_order_relaxed);
    if (durable == j->written_seq) return ST_OK;
    if (io_sync(j, j->fd)) return failed(j, "fdatasync");
    atomic_store_explicit(&j->durable_seq, j->written_seq, memory_order_release);
    return ST_OK;
}

static enum status compress_to(struct journal *j, int fd, const uint8_t *data, size_t size) {
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    size_t chunk_bytes = ZSTD_CStreamOutSize();
    uint8_t *chunk = malloc(chunk_bytes);
    enum status st = ST_OK;
    if (!ctx || !chunk) st = err_set(&j->failure, ST_NO_MEMORY, "journal %s: compression", j->dir);
    if (st == ST_OK) {
        ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, j->options.compress_level);
        ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
        ZSTD_CCtx_setPledgedSrcSize(ctx, size);
    }
    ZSTD_inBuffer in = {data, size, 0};
    uint64_t at = 0;
    for (size_t left = 1; st == ST_OK && left > 0;) {
        ZSTD_outBuffer out = {chunk, chunk_bytes, 0};
        left = ZSTD_compressStream2(ctx, &out, &in, ZSTD_e_end);
        if (ZSTD_isError(left))
            st = err_set(&j->failure, ST_EXTERNAL, "journal %s: zstd: %s", j->dir,
                         ZSTD_getErrorName(left));
        else
            st = write_all(j, fd, chunk, out.pos, at);
        at += out.pos;
    }
    if (st == ST_OK && io_sync(j, fd)) st = failed(j, "sync of a compressed segment");
    free(chunk);
    ZSTD_freeCCtx(ctx);
    return st;
}

/* The plain file goes only after the compressed one is durable under its name. */
static enum status segment_compress(struct journal *j, struct journal_segment *item, int plain_fd,
                                    size_t size) {
    char plain[JOURNAL_NAME_SIZE], packed[JOURNAL_NAME_SIZE], tmp[JOURNAL_NAME_SIZE];
    journal_segment_name(plain, item);
    journal_segment_name(packed, &(struct journal_segment){item->first_seq, true});
    snprintf(tmp, sizeof tmp, "%020" PRIu64 ".zst.tmp", item->first_seq);
    void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, plain_fd, 0);
    if (data == MAP_FAILED) return failed(j, "map of a closed segment");
    int fd = openat(j->dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum status st =
        fd < 0 ? failed(j, "create of a compressed segment") : compress_to(j, fd, data, size);
    if (fd >= 0) close(fd);
    munmap(data, size);
    if (st != ST_OK) return st;
    if (io_rename(j, tmp, packed)) return failed(j, "rename");
    if ((st = sync_dir(j)) != ST_OK) return st;
    if (unlinkat(j->dir_fd, plain, 0)) return failed(j, "unlink of a compressed segment");
    item->compressed = true;
    return sync_dir(j);
}

/* Closes the full segment for good and opens the next, whose first record will be first_seq. */
static enum status roll(struct journal *j, uint64_t first_seq) {
    enum status st = flush(j);
    if (st == ST_OK) st = sync_written(j);
    if (st != ST_OK) return st;
    size_t size = j->segment_at;
    if (io_truncate(j, j->fd, size)) return failed(j, "truncate");
    if (io_sync(j, j->fd)) return failed(j, "sync of a closed segment");
    int closed_fd = j->fd;
    j->fd = -1;
    st = segment_create(j, first_seq);
    if (st == ST_OK && j->options.compress_level)
        st = segment_compress(j, &j->segments.items[j->segments.count - 2], closed_fd, size);
    close(closed_fd);
    return st;
}

/* A record that is longer than the whole buffer goes straight to the segment. */
static void append_large(struct journal *j, const struct journal_record *record, size_t frame) {
    uint8_t *p = malloc(frame);
    if (!p) {
        err_set(&j->failure, ST_NO_MEMORY, "journal %s: record of %zu bytes", j->dir, frame);
        return;
    }
    journal_frame_encode(p, record);
    if (write_all(j, j->fd, p, frame, j->segment_at) == ST_OK) {
        j->segment_at += frame;
        j->written_seq = record->seq;
    }
    free(p);
}

/* Makes room for a frame; ST_OK or the journal's failure. */
static enum status make_room(struct journal *j, uint64_t seq, size_t frame) {
    enum status st = j->failure.st;
    if (st != ST_OK) return st;
    j->last_seq = seq - 1; /* what the buffer ends with, for flush */
    if (j->segment_at + j->buffered + frame > j->options.segment_bytes)
        st = roll(j, seq);
    else
        st = flush(j);
    j->last_seq = seq;
    return st;
}

/* The record has its number already. */
static void put(struct journal *j, const struct journal_record *record) {
    size_t frame = journal_frame_size(record->size);
    if (j->buffered + frame > j->buffer_bytes ||
        j->segment_at + j->buffered + frame > j->options.segment_bytes || j->failure.st != ST_OK) {
        if (make_room(j, record->seq, frame) != ST_OK) return;
        if (frame > j->buffer_bytes) {
            append_large(j, record, frame);
            return;
        }
    }
    journal_frame_encode(j->buffer + j->buffered, record);
    j->buffered += frame;
}

uint64_t journal_append(struct journal *j, uint16_t type, uint16_t version, int64_t ts_ns,
                        const void *payload, uint32_t size) {
    ASSERT(size <= j->options.segment_bytes / 4);
    const struct journal_probe *probe = j->options.probe;
    struct journal_record record = {.seq = j->last_seq + 1,
                                    .ts_ns = ts_ns,
                                    .type = type,
                                    .version = version,
                                    .size = size,
                                    .payload = payload};
    if (probe && probe->append) probe->append(probe->context, false, type, record.seq);
    j->last_seq = record.seq;
    put(j, &record);
    if (probe && probe->append) probe->append(probe->context, true, type, record.seq);
    return record.seq;
}

enum status journal_flush(struct journal *j, struct err *err) {
    flush(j);
    return failure_get(j, err);
}

enum status journal_failed(const struct journal *j, struct err *err) {
    return failure_get(j, err);
}

enum status journal_commit(struct journal *j, struct err *err) {
    if (flush(j) == ST_OK && journal_durable_seq(j) != j->written_seq && zero_ahead(j) == ST_OK)
        sync_written(j);
    return failure_get(j, err);
}

uint64_t journal_last_seq(const struct journal *j) {
    return j->last_seq;
}

uint64_t journal_durable_seq(const struct journal *j) {
    return atomic_load_explicit(&j->durable_seq, memory_order_acquire);
}

enum status journal_retain(struct journal *j, uint64_t keep_from, struct err *err) {
    struct journal_segments *s = &j->segments;
    size_t drop = 0;
    while (drop + 1 < s->count && s->items[drop + 1].first_seq <= keep_from) {
        char name[JOURNAL_NAME_SIZE];
        if (unlinkat(j->dir_fd, journal_segment_name(name, &s->items[drop]), 0) && errno != ENOENT)
            return err_errno(err, ST_IO, "journal %s: unlink %s", j->dir, name);
        drop++;
    }
    if (drop == 0) return ST_OK;
    memmove(s->items, s->items + drop, (s->count - drop) * sizeof *s->items);
    s->count -= drop;
    return io_sync_dir(j) ? err_errno(err, ST_IO, "journal %s: sync", j->dir) : ST_OK;
}

/* --- opening ----------------------------------------------------------------------------------- */

/* A preallocated segment is mostly zeros: by blocks first. */
static size_t nonzero_end(const uint8_t *data, size_t size) {
    static const uint8_t zeros[512];
    while (size >= sizeof zeros && memcmp(data + size - sizeof zeros, zeros, sizeof zeros) == 0)
        size -= sizeof zeros;
    while (size > 0 && data[size - 1] == 0) size--;
    return size;
}

/* Follows the records of a mapped segment; returns where the good ones end. */
static size_t scan_frames(const uint8_t *data, size_t size, uint64_t *last_seq) {
    size_t at = JOURNAL_HEADER_BYTES, frame;
    struct journal_record record;
    const char *why;
    while (journal_frame_decode(&record, &frame, &why, data + at, size - at, *last_seq + 1) ==
           ST_OK) {
        at += frame;
        *last_seq = record.seq;
    }
    return at;
}

/* Repairs and takes over the mapped last segment. ST_END: it is the remains of a creation cut short
 * (no header, nothing behind it) and was removed. */
static enum status tail_take(struct journal *j, struct journal_repair *repair, const uint8_t *data,
                             size_t size, const char *name, struct err *err) {
    uint64_t named = j->segments.items[j->segments.count - 1].first_seq, first_seq = 0;
    enum status st = journal_header_decode(&first_seq, data, size);
    if (st == ST_VERSION) return err_set(err, st, "%s: written by another format version", name);
    if (st != ST_OK || first_seq != named) {
        /* The header is durable before any record is written, so this is not a torn tail. */
        if (nonzero_end(data, size) > JOURNAL_HEADER_BYTES || st == ST_OK)
            return err_set(err, ST_CORRUPT, "%s: header does not check out", name);
        repair->bytes_dropped += nonzero_end(data, size);
        if (unlinkat(j->dir_fd, name, 0)) return err_errno(err, ST_IO, "unlink %s", name);
        return ST_END;
    }
    j->last_seq = first_seq - 1;
    size_t end = scan_frames(data, size, &j->last_seq);
    size_t used = nonzero_end(data, size);
    if (used > end) repair->bytes_dropped += used - end;
    j->segment_at = j->zeroed_to = end;
    return ST_OK;
}

static enum status tail_open(struct journal *j, struct journal_repair *repair, struct err *err) {
    char name[JOURNAL_NAME_SIZE];
    journal_segment_name(name, &j->segments.items[j->segments.count - 1]);
    int fd = openat(j->dir_fd, name, O_RDWR | O_CLOEXEC);
    struct stat sb;
    if (fd < 0 || fstat(fd, &sb)) {
        if (fd >= 0) close(fd);
        return err_errno(err, ST_IO, "open %s", name);
    }
    size_t size = (size_t)sb.st_size;
    void *data = size ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    enum status st = data == MAP_FAILED ? err_errno(err, ST_IO, "map %s", name)
                                        : tail_take(j, repair, data, size, name, err);
    if (size && data != MAP_FAILED) munmap(data, size);
    /* Cutting and allocating anew leaves zeros behind the last good record. */
    if (st == ST_OK) {
        if (io_truncate(j, fd, j->segment_at) ||
            (j->segment_at < j->options.segment_bytes &&
             io_allocate(j, fd, j->options.segment_bytes)) ||
            io_sync(j, fd))
            st = err_errno(err, ST_IO, "repair %s", name);
    }
    if (st == ST_OK)
        j->fd = fd;
    else
        close(fd);
    return st;
}

/* The newest segment is a compressed one: only reading it tells its last record. */
static enum status compressed_tail_read(struct journal *j, struct err *err) {
    struct journal_reader *r;
    uint64_t first_seq = j->segments.items[j->segments.count - 1].first_seq;
    enum status st = journal_reader_open(&r, j->dir, first_seq, err);
    if (st != ST_OK) return st;
    struct journal_record record;
    j->last_seq = first_seq - 1;
    while ((st = journal_next(r, &record, err)) == ST_OK) j->last_seq = record.seq;
    journal_reader_close(r);
    return st == ST_END ? ST_OK : st;
}

/* Where the good records of a segment end, as tail_take finds it. */
struct segment_end {
    size_t size, end,
        used; /* of the file; behind the last good record; behind the last byte that is not zero */
    uint64_t last_seq;
};

static enum status segment_look(struct segment_end *out, struct journal *j,
                                const struct journal_segment *item, struct err *err) {
    char name[JOURNAL_NAME_SIZE];
    struct stat sb;
    uint64_t first_seq;
    *out = (struct segment_end){.last_seq = item->first_seq - 1};
    int fd = openat(j->dir_fd, journal_segment_name(name, item), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &sb)) {
        if (fd >= 0) close(fd);
        return err_errno(err, ST_IO, "open %s", name);
    }
    size_t size = (size_t)sb.st_size;
    void *data = size ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    close(fd);
    if (data == MAP_FAILED) return err_errno(err, ST_IO, "map %s", name);
    out->size = size;
    out->used = data ? nonzero_end(data, size) : 0;
    if (data && journal_header_decode(&first_seq, data, size) == ST_OK &&
        first_seq == item->first_seq)
        out->end = scan_frames(data, size, &out->last_seq);
    if (data) munmap(data, size);
    return ST_OK;
}

/* The journal's tail, in which damage ends it, is its last bytes, wherever a border between segments lies: where the newest
 * has only begun, the end of the one before belongs to it. Damaged there, the newest is dropped, and the one before it is
 * the newest. Damage farther back is the reader's to tell: what would be dropped is no tail. */
static enum status border_open(struct journal *j, struct journal_repair *repair, struct err *err) {
    enum { TAIL_PARTS = 16 };
    struct journal_segments *s = &j->segments;
    struct segment_end newest, before;
    char name[JOURNAL_NAME_SIZE];
    size_t tail = j->options.segment_bytes / TAIL_PARTS;
    if (s->count < 2 || s->items[s->count - 1].compressed || s->items[s->count - 2].compressed)
        return ST_OK;
    const struct journal_segment *last = &s->items[s->count - 1];
    enum status st = segment_look(&newest, j, last, err);
    if (st != ST_OK || newest.end == 0 || newest.used > tail) return st;
    st = segment_look(&before, j, last - 1, err);
    if (st != ST_OK || before.end == 0 || before.last_seq + 1 >= last->first_seq ||
        before.size - before.end + newest.used > tail)
        return st;
    if (unlinkat(j->dir_fd, journal_segment_name(name, last), 0) || io_sync_dir(j))
        return err_errno(err, ST_IO, "unlink %s", name);
    repair->bytes_dropped += newest.used;
    s->count--;
    return ST_OK;
}

static enum status segments_open(struct journal *j, struct journal_repair *repair,
                                 struct err *err) {
    enum status st = journal_segments_list(&j->segments, j->dir_fd, true, err);
    if (st != ST_OK) return st;
    st = border_open(j, repair, err);
    if (st != ST_OK) return st;
    uint64_t expected = 0; /* first sequence of a segment whose creation was cut short */
    while (j->segments.count && !j->segments.items[j->segments.count - 1].compressed) {
        st = tail_open(j, repair, err);
        if (st != ST_END) break;
        expected = j->segments.items[--j->segments.count].first_seq;
        st = ST_OK;
    }
    if (st != ST_OK) return st;
    if (j->segments.count == 0)
        j->last_seq = expected ? expected - 1 : 0;
    else if (j->fd < 0)
        st = compressed_tail_read(j, err);
    if (st != ST_OK) return st;
    if (expected && j->last_seq + 1 != expected)
        return err_set(err, ST_CORRUPT,
                       "segment before %" PRIu64 " ends at %" PRIu64 ": a record in it is broken",
                       expected, j->last_seq);
    if (j->fd < 0 && segment_create(j, j->last_seq + 1) != ST_OK) return failure_get(j, err);
    return ST_OK;
}

/* Appends what a killed process had only buffered: the frames that go on where the segment ends. */
static enum status buffer_recover(struct journal *j, const uint8_t *data, size_t size,
                                  struct journal_repair *repair, struct err *err) {
    struct journal_frame first;
    struct journal_record record;
    const char *why;
    size_t frame;
    if (size < sizeof first) return ST_OK;
    memcpy(&first, data, sizeof first);
    uint64_t seq = first.seq;
    while (journal_frame_decode(&record, &frame, &why, data, size, seq) == ST_OK &&
           record.seq <= j->last_seq + 1) {
        if (record.seq == j->last_seq + 1) {
            if (record.size > j->options.segment_bytes / 4)
                return err_set(err, ST_MISMATCH, "segment size too small for record %" PRIu64, seq);
            journal_append(j, record.type, record.version, record.ts_ns, record.payload,
                           record.size);
            repair->records_recovered++;
        }
        data += frame;
        size -= frame;
        seq++;
    }
    return journal_commit(j, err);
}

/* Recovers, then wipes: frames of an earlier life must never follow records of this one. */
static enum status buffer_open(struct journal *j, struct journal_repair *repair, struct err *err) {
    struct stat sb;
    j->buffer_fd = openat(j->dir_fd, "buffer", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (j->buffer_fd < 0 || fstat(j->buffer_fd, &sb)) return err_errno(err, ST_IO, "open buffer");
    if (sb.st_size > 0) {
        void *old = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_SHARED, j->buffer_fd, 0);
        if (old == MAP_FAILED) return err_errno(err, ST_IO, "map buffer");
        uint8_t *heap = malloc(j->buffer_bytes);
        enum status st = ST_NO_MEMORY;
        if (heap) {
            j->buffer = heap;
            st = buffer_recover(j, old, (size_t)sb.st_size, repair, err);
            j->buffer = NULL;
        }
        free(heap);
        munmap(old, (size_t)sb.st_size);
        if (st == ST_NO_MEMORY) return err_set(err, st, "journal buffer");
        if (st != ST_OK) return st;
    }
    if (io_truncate(j, j->buffer_fd, 0) || io_allocate(j, j->buffer_fd, j->buffer_bytes) ||
        io_sync(j, j->buffer_fd) || io_sync_dir(j))
        return err_errno(err, ST_IO, "prepare buffer");
    void *map = mmap(NULL, j->buffer_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                     j->buffer_fd, 0);
    if (map == MAP_FAILED) return err_errno(err, ST_IO, "map buffer");
    j->buffer = map;
    return ST_OK;
}

/* mkdir -p, each new name made durable in its parent. */
static enum status make_dirs(const char *dir, struct err *err) {
    char path[JOURNAL_DIR_SIZE];
    size_t n = strlen(dir);
    if (n == 0 || n >= sizeof path) return err_set(err, ST_RANGE, "directory name of %zu bytes", n);
    memcpy(path, dir, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        char kept = path[i];
        path[i] = '\0';
        bool made = mkdir(path, 0755) == 0;
        if (!made && errno != EEXIST) return err_errno(err, ST_IO, "mkdir");
        path[i] = kept;
        if (!made) continue;
        char parent[JOURNAL_DIR_SIZE + 1];
        size_t cut = i;
        while (cut > 0 && path[cut - 1] != '/') cut--;
        snprintf(parent, sizeof parent, "%.*s.", (int)cut, path);
        int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int bad = fd < 0 || fsync(fd);
        if (fd >= 0) close(fd);
        if (bad) return err_errno(err, ST_IO, "sync %s", parent);
    }
    return ST_OK;
}

static enum status lock_take(struct journal *j, struct err *err) {
    j->dir_fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (j->dir_fd < 0) return err_errno(err, ST_IO, "open directory");
    j->lock_fd = openat(j->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (j->lock_fd < 0) return err_errno(err, ST_IO, "open lock");
    if (flock(j->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK) return err_set(err, ST_EXISTS, "another writer has it open");
        return err_errno(err, ST_IO, "lock");
    }
    return ST_OK;
}

static void release(struct journal *j) {
    if (j->buffer) munmap(j->buffer, j->buffer_bytes);
    if (j->fd >= 0) close(j->fd);
    if (j->buffer_fd >= 0) close(j->buffer_fd);
    if (j->lock_fd >= 0) close(j->lock_fd);
    if (j->dir_fd >= 0) close(j->dir_fd);
    free(j->segments.items);
    free(j);
}

enum status journal_open(struct journal **out, struct journal_repair *repair, const char *dir,
                         const struct journal_options *options, struct err *err) {
    ASSERT(options->segment_bytes >= JOURNAL_SEGMENT_MIN &&
           options->segment_bytes / 4 <= JOURNAL_RECORD_MAX);
    struct journal_repair found = {0};
    *out = NULL;
    enum status st = make_dirs(dir, err);
    if (st != ST_OK) return err_wrap(err, st, "journal %s", dir);
    struct journal *j = calloc(1, sizeof *j);
    if (!j) return err_set(err, ST_NO_MEMORY, "journal %s", dir);
    j->dir_fd = j->lock_fd = j->buffer_fd = j->fd = -1;
    j->options = *options;
    size_t least = JOURNAL_FRAME_BYTES, page = 4096;
    j->buffer_bytes = options->buffer_bytes < least ? least : options->buffer_bytes;
    j->buffer_bytes = (j->buffer_bytes + page - 1) / page * page;
    snprintf(j->dir, sizeof j->dir, "%s", dir);
    st = lock_take(j, err);
    if (st == ST_OK) st = segments_open(j, &found, err);
    if (st == ST_OK) {
        j->written_seq = j->last_seq;
        atomic_store(&j->durable_seq, j->last_seq);
        st = buffer_open(j, &found, err);
    }
    if (st != ST_OK) {
        release(j);
        return err_wrap(err, st, "journal %s", dir);
    }
    found.last_seq = j->last_seq;
    if (repair) *repair = found;
    *out = j;
    return ST_OK;
}

enum status journal_close(struct journal *j, struct err *err) {
    if (flush(j) == ST_OK && sync_written(j) == ST_OK) {
        if (io_truncate(j, j->fd, j->segment_at) || io_sync(j, j->fd)) failed(j, "close");
        /* After a failure the buffer stays: it may hold the only copy of what could not be written. */
        else if (io_truncate(j, j->buffer_fd, 0))
            failed(j, "close of the buffer");
    }
    enum status st = failure_get(j, err);
    release(j);
    return st;
}
