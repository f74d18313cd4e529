/* The journal's reader: plain and compressed segments as one sequence, also behind a live writer. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "kernel/journal_internal.h"

enum { READ_BYTES = 256 << 10 };

struct journal_reader {
    char dir[JOURNAL_DIR_SIZE];
    int dir_fd, fd;
    struct journal_segment segment; /* open now; first_seq 0: none yet */
    bool header_seen;
    uint64_t next_seq; /* the record expected next */
    uint64_t from_seq; /* those before it are passed over */
    uint8_t *buffer;   /* buffer[at..have) are the bytes from `offset` of the segment on */
    size_t capacity, at, have;
    uint64_t offset;
    ZSTD_DCtx *zstd;
    uint8_t *packed; /* compressed bytes not yet used */
    size_t packed_at, packed_have;
    uint64_t packed_offset;
    bool packed_end, packed_done; /* end of the file; end of the compressed frame */
};

static enum status segment_open(struct journal_reader *r, struct journal_segment item,
                                struct err *err) {
    char name[JOURNAL_NAME_SIZE];
    int fd = openat(r->dir_fd, journal_segment_name(name, &item), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s/%s", r->dir, name);
    if (item.compressed) {
        if (!r->zstd) r->zstd = ZSTD_createDCtx();
        if (!r->packed) r->packed = malloc(READ_BYTES);
        if (!r->zstd || !r->packed) {
            close(fd);
            return err_set(err, ST_NO_MEMORY, "%s/%s", r->dir, name);
        }
        ZSTD_DCtx_reset(r->zstd, ZSTD_reset_session_only);
        r->packed_at = r->packed_have = 0;
        r->packed_offset = 0;
        r->packed_end = r->packed_done = false;
    }
    if (r->fd >= 0) close(r->fd);
    r->fd = fd;
    r->segment = item;
    r->header_seen = false;
    r->at = r->have = 0;
    r->offset = 0;
    r->next_seq = item.first_seq;
    return ST_OK;
}

/* Where the reader stands, for messages. */
static enum status corrupt(const struct journal_reader *r, struct err *err, const char *why) {
    char name[JOURNAL_NAME_SIZE];
    return err_set(err, ST_CORRUPT, "%s/%s: offset %" PRIu64 ", record %" PRIu64 ": %s", r->dir,
                   journal_segment_name(name, &r->segment), r->offset, r->next_seq, why);
}

static enum status read_at(const struct journal_reader *r, uint8_t *out, size_t size,
                           uint64_t offset, size_t *got, struct err *err) {
    ssize_t n;
    do n = pread(r->fd, out, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_errno(err, ST_IO, "%s: read", r->dir);
    *got = (size_t)n;
    return ST_OK;
}

static enum status fill_compressed(struct journal_reader *r, struct err *err) {
    while (r->have < r->capacity && !r->packed_done) {
        if (r->packed_at == r->packed_have && !r->packed_end) {
            enum status st =
                read_at(r, r->packed, READ_BYTES, r->packed_offset, &r->packed_have, err);
            if (st != ST_OK) return st;
            r->packed_at = 0;
            r->packed_offset += r->packed_have;
            r->packed_end = r->packed_have == 0;
        }
        ZSTD_inBuffer in = {r->packed, r->packed_have, r->packed_at};
        ZSTD_outBuffer out = {r->buffer, r->capacity, r->have};
        size_t left = ZSTD_decompressStream(r->zstd, &out, &in);
        if (ZSTD_isError(left)) return corrupt(r, err, ZSTD_getErrorName(left));
        bool moved = out.pos > r->have || in.pos > r->packed_at;
        r->have = out.pos;
        r->packed_at = in.pos;
        r->packed_done = left == 0;
        if (!moved && r->packed_end) return corrupt(r, err, "compressed segment is cut short");
    }
    return ST_OK;
}

/* More bytes behind what is there, making room for `need` in all. */
static enum status fill(struct journal_reader *r, size_t need, struct err *err) {
    memmove(r->buffer, r->buffer + r->at, r->have - r->at);
    r->have -= r->at;
    r->at = 0;
    if (need > r->capacity) {
        uint8_t *bigger = realloc(r->buffer, need);
        if (!bigger) return err_set(err, ST_NO_MEMORY, "%s: record of %zu bytes", r->dir, need);
        r->buffer = bigger;
        r->capacity = need;
    }
    if (r->segment.compressed) return fill_compressed(r, err);
    size_t got = 0;
    enum status st =
        read_at(r, r->buffer + r->have, r->capacity - r->have, r->offset + r->have, &got, err);
    r->have += got;
    return st;
}

static enum status header_read(struct journal_reader *r, struct err *err) {
    if (r->have - r->at < JOURNAL_HEADER_BYTES) {
        enum status st = fill(r, JOURNAL_HEADER_BYTES, err);
        if (st != ST_OK) return st;
    }
    const uint8_t *p = r->buffer + r->at;
    size_t size = r->have - r->at;
    uint64_t first_seq;
    enum status st = journal_header_decode(&first_seq, p, size);
    if (st == ST_VERSION) return err_set(err, st, "%s: another format version", r->dir);
    if (st == ST_CORRUPT) {
        /* A writer that is just making the file. */
        for (size_t i = 0; i < size && i < JOURNAL_HEADER_BYTES; i++)
            if (p[i]) return corrupt(r, err, "header does not check out");
        return ST_END;
    }
    if (first_seq != r->segment.first_seq) return corrupt(r, err, "file name and header differ");
    r->at += JOURNAL_HEADER_BYTES;
    r->offset += JOURNAL_HEADER_BYTES;
    r->header_seen = true;
    return ST_OK;
}

/* One record of the open segment. ST_END: none that checks out here; *why is NULL if zeros or the
 * end of the file follow, else what is wrong with the bytes that do. */
static enum status frame_read(struct journal_reader *r, struct journal_record *out,
                              const char **why, struct err *err) {
    *why = NULL;
    if (!r->header_seen) {
        enum status st = header_read(r, err);
        if (st != ST_OK) return st;
    }
    for (bool filled = false;;) {
        size_t frame, size = r->have - r->at;
        const char *reason = "record is cut short";
        enum status st =
            journal_frame_decode(out, &frame, &reason, r->buffer + r->at, size, r->next_seq);
        if (st == ST_OK) {
            r->at += frame;
            r->offset += frame;
            r->next_seq++;
            return ST_OK;
        }
        /* The bytes may be older than the record a writer has put there since: look once more. */
        if (filled && st != ST_AGAIN) {
            if (st == ST_CORRUPT) *why = reason;
            return ST_END;
        }
        if (!r->segment.compressed && st != ST_AGAIN) r->have = r->at;
        size_t before = r->have - r->at;
        enum status fill_st = fill(r, frame, err);
        if (fill_st != ST_OK) return fill_st;
        if (st == ST_AGAIN && r->have - r->at == before) {
            if (before) *why = reason;
            return ST_END;
        }
        filled = st != ST_AGAIN;
    }
}

/* The segment to go on with after the open one, if it is there: ST_OK; ST_END if the open one is
 * the newest; ST_MISMATCH if newer ones exist and none of them begins with next_seq. out->first_seq
 * is 0 if there is no newer one, also where the journal could not be listed. */
static enum status next_segment(struct journal_reader *r, struct journal_segment *out,
                                struct err *err) {
    struct journal_segments list;
    *out = (struct journal_segment){0};
    enum status st = journal_segments_list(&list, r->dir_fd, false, err);
    if (st != ST_OK) return st;
    st = ST_END;
    bool open_exists = false;
    for (size_t i = 0; i < list.count && st == ST_END; i++) {
        if (list.items[i].first_seq == r->segment.first_seq) open_exists = true;
        if (list.items[i].first_seq <= r->segment.first_seq) continue;
        *out = list.items[i];
        st = ST_OK;
        if (out->first_seq == r->next_seq) break;
        if (open_exists || r->segment.first_seq == 0)
            st = ST_MISMATCH;
        else
            st = err_set(err, ST_NOT_FOUND,
                         "%s: record %" PRIu64 " was retained away, first is %" PRIu64, r->dir,
                         r->next_seq, out->first_seq);
    }
    free(list.items);
    return st;
}

static enum status step(struct journal_reader *r, struct journal_record *out, struct err *err) {
    for (;;) {
        const char *why = NULL;
        enum status st = r->segment.first_seq ? frame_read(r, out, &why, err) : ST_END;
        if (st != ST_END) return st;
        struct journal_segment next;
        uint64_t next_seq = r->next_seq;
        st = next_segment(r, &next, err);
        if (next.first_seq == 0) return st;
        /* A newer segment exists, so this one is complete now; it may not have been a moment ago. */
        if (r->segment.first_seq) {
            enum status again = frame_read(r, out, &why, NULL);
            if (again != ST_END) return again;
            if (st == ST_NOT_FOUND) return st;
            if (st == ST_MISMATCH || why)
                return corrupt(r, err, why ? why : "records are missing before the next segment");
        } else {
            if (r->from_seq && next.first_seq > r->from_seq)
                return err_set(err, ST_NOT_FOUND, "%s: first record is %" PRIu64, r->dir,
                               next.first_seq);
            next_seq = next.first_seq;
        }
        st = segment_open(r, next, err);
        if (st == ST_NOT_FOUND) continue; /* compressed or retained since it was listed */
        if (st != ST_OK) return st;
        r->next_seq = next_seq;
    }
}

enum status journal_next(struct journal_reader *r, struct journal_record *out, struct err *err) {
    enum status st;
    do st = step(r, out, err);
    while (st == ST_OK && out->seq < r->from_seq);
    return st;
}

/* Opens the segment that holds from_seq, or the last one before it. */
static enum status find_start(struct journal_reader *r, uint64_t from_seq, struct err *err) {
    struct journal_segments list;
    enum status st = journal_segments_list(&list, r->dir_fd, false, err);
    if (st != ST_OK || list.count == 0) {
        if (st == ST_OK) r->next_seq = 1;
        return st;
    }
    size_t at = 0;
    while (at + 1 < list.count && list.items[at + 1].first_seq <= from_seq) at++;
    if (from_seq != 0 && list.items[at].first_seq > from_seq)
        st = err_set(err, ST_NOT_FOUND,
                     "%s: record %" PRIu64 " was retained away, first is %" PRIu64, r->dir,
                     from_seq, list.items[at].first_seq);
    else
        st = segment_open(r, list.items[at], err);
    free(list.items);
    return st;
}

enum status journal_reader_open(struct journal_reader **out, const char *dir, uint64_t from_seq,
                                struct err *err) {
    *out = NULL;
    size_t n = strlen(dir);
    if (n == 0 || n >= JOURNAL_DIR_SIZE) return err_set(err, ST_RANGE, "journal directory name");
    struct journal_reader *r = calloc(1, sizeof *r);
    if (!r || !(r->buffer = malloc(READ_BYTES))) {
        free(r);
        return err_set(err, ST_NO_MEMORY, "journal reader");
    }
    r->capacity = READ_BYTES;
    r->from_seq = from_seq;
    r->fd = -1;
    memcpy(r->dir, dir, n + 1);
    r->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = ST_OK;
    if (r->dir_fd < 0)
        st = err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "journal %s", dir);
    if (st == ST_OK) st = find_start(r, from_seq, err);
    if (st != ST_OK) {
        journal_reader_close(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

void journal_reader_close(struct journal_reader *r) {
    if (r->fd >= 0) close(r->fd);
    if (r->dir_fd >= 0) close(r->dir_fd);
    ZSTD_freeDCtx(r->zstd);
    free(r->packed);
    free(r->buffer);
    free(r);
}
