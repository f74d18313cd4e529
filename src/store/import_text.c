#include "store/import_text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zip.h>
#include <zlib.h>
#include <zstd.h>

enum { BUFFER_SIZE = 1 << 18, PACKED_SIZE = 1 << 17 };
static_assert(BUFFER_SIZE > 2 * TEXT_LINE_MAX, "a line always fits behind the unread rest");

enum packing { PACKING_NONE = 0, PACKING_ZSTD, PACKING_GZIP, PACKING_ZIP };

struct text {
    enum packing packing;
    int fd; /* plain and zstd */
    gzFile gz;
    zip_t *zip;
    zip_file_t *zip_file;
    ZSTD_DCtx *zstd;
    ZSTD_inBuffer packed;
    size_t zstd_left; /* 0 at the end of a frame */
    bool source_ended;
    bool started; /* the byte-order mark is behind us */
    size_t begin, end;
    char packed_bytes[PACKED_SIZE];
    char buffer[BUFFER_SIZE];
};

static enum packing packing_of(const unsigned char *b, size_t n) {
    static const unsigned char zstd_magic[] = {0x28, 0xB5, 0x2F, 0xFD};
    if (n >= 4 && memcmp(b, zstd_magic, 4) == 0) return PACKING_ZSTD;
    if (n >= 2 && b[0] == 0x1F && b[1] == 0x8B) return PACKING_GZIP;
    if (n >= 4 && memcmp(b, "PK", 2) == 0 && (b[2] == 3 || b[2] == 5)) return PACKING_ZIP;
    return PACKING_NONE;
}

static enum status open_zip(zip_t **out, const char *path, struct err *err) {
    int code = 0;
    *out = zip_open(path, ZIP_RDONLY, &code);
    if (*out) return ST_OK;
    zip_error_t why;
    zip_error_init_with_code(&why, code);
    enum status st = err_set(err, ST_CORRUPT, "zip: %s", zip_error_strerror(&why));
    zip_error_fini(&why);
    return st;
}

static enum status open_packing(struct text *t, const char *path, uint64_t zip_entry,
                                struct err *err) {
    enum status st;
    switch (t->packing) {
    case PACKING_NONE:
        return ST_OK;
    case PACKING_ZSTD:
        t->zstd = ZSTD_createDCtx();
        t->packed.src = t->packed_bytes;
        return t->zstd ? ST_OK : err_set(err, ST_NO_MEMORY, "zstd");
    case PACKING_GZIP:
        t->gz = gzdopen(t->fd, "rb");
        if (!t->gz) return err_set(err, ST_NO_MEMORY, "gzip");
        t->fd = -1; /* gzclose closes it */
        return ST_OK;
    case PACKING_ZIP:
        st = open_zip(&t->zip, path, err);
        if (st != ST_OK) return st;
        t->zip_file = zip_fopen_index(t->zip, zip_entry, 0);
        if (!t->zip_file) return err_set(err, ST_CORRUPT, "zip: %s", zip_strerror(t->zip));
        return ST_OK;
    }
    return ST_OK;
}

enum status text_open(struct text **out, const char *path, uint64_t zip_entry, struct err *err) {
    unsigned char magic[4];
    *out = NULL;
    struct text *t = calloc(1, sizeof *t);
    if (!t) return err_set(err, ST_NO_MEMORY, "opening %s", path);
    enum status st;
    t->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0) {
        st = err_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", strerror(errno));
    } else {
        ssize_t n = pread(t->fd, magic, sizeof magic, 0);
        t->packing = packing_of(magic, n > 0 ? (size_t)n : 0);
        st = n < 0 ? err_set(err, ST_IO, "%s", strerror(errno))
                   : open_packing(t, path, zip_entry, err);
    }
    if (st != ST_OK) {
        text_close(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void text_close(struct text *t) {
    if (!t) return;
    if (t->zip_file) zip_fclose(t->zip_file);
    if (t->zip) zip_discard(t->zip);
    if (t->gz) gzclose(t->gz);
    ZSTD_freeDCtx(t->zstd);
    if (t->fd >= 0) close(t->fd);
    free(t);
}

static enum status read_fd(struct text *t, void *out, size_t size, size_t *got, struct err *err) {
    ssize_t n;
    do n = read(t->fd, out, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_set(err, ST_IO, "%s", strerror(errno));
    *got = (size_t)n;
    return ST_OK;
}

static enum status read_zstd(struct text *t, char *out, size_t size, size_t *got, struct err *err) {
    ZSTD_outBuffer unpacked = {out, size, 0};
    while (unpacked.pos == 0) {
        if (t->packed.pos == t->packed.size) {
            size_t n = 0;
            enum status st = read_fd(t, t->packed_bytes, sizeof t->packed_bytes, &n, err);
            if (st != ST_OK) return st;
            if (n == 0) {
                *got = 0;
                return t->zstd_left ? err_set(err, ST_CORRUPT, "zstd: the file is cut off") : ST_OK;
            }
            t->packed.size = n;
            t->packed.pos = 0;
        }
        t->zstd_left = ZSTD_decompressStream(t->zstd, &unpacked, &t->packed);
        if (ZSTD_isError(t->zstd_left))
            return err_set(err, ST_CORRUPT, "zstd: %s", ZSTD_getErrorName(t->zstd_left));
    }
    *got = unpacked.pos;
    return ST_OK;
}

static enum status read_gzip(struct text *t, char *out, size_t size, size_t *got, struct err *err) {
    int n = gzread(t->gz, out, (unsigned)size), code = Z_OK;
    const char *why = gzerror(t->gz, &code);
    /* A file that is cut off gives its rest and Z_BUF_ERROR. */
    if (n < 0 || code == Z_BUF_ERROR) return err_set(err, ST_CORRUPT, "gzip: %s", why);
    *got = (size_t)n;
    return ST_OK;
}

static enum status read_zip(struct text *t, char *out, size_t size, size_t *got, struct err *err) {
    zip_int64_t n = zip_fread(t->zip_file, out, size);
    if (n < 0)
        return err_set(err, ST_CORRUPT, "zip: %s",
                       zip_error_strerror(zip_file_get_error(t->zip_file)));
    *got = (size_t)n;
    return ST_OK;
}

static enum status read_some(struct text *t, char *out, size_t size, size_t *got, struct err *err) {
    switch (t->packing) {
    case PACKING_NONE:
        return read_fd(t, out, size, got, err);
    case PACKING_ZSTD:
        return read_zstd(t, out, size, got, err);
    case PACKING_GZIP:
        return read_gzip(t, out, size, got, err);
    case PACKING_ZIP:
        return read_zip(t, out, size, got, err);
    }
    *got = 0;
    return ST_OK;
}

/* More bytes behind what is unread; ST_END when the source has none. */
static enum status fill(struct text *t, struct err *err) {
    if (t->source_ended) return ST_END;
    memmove(t->buffer, t->buffer + t->begin, t->end - t->begin);
    t->end -= t->begin;
    t->begin = 0;
    size_t got = 0;
    enum status st = read_some(t, t->buffer + t->end, BUFFER_SIZE - t->end, &got, err);
    if (st != ST_OK) return st;
    t->end += got;
    t->source_ended = got == 0;
    if (!t->started && (t->end >= 3 || t->source_ended)) {
        t->started = true;
        if (t->end >= 3 && memcmp(t->buffer, "\xEF\xBB\xBF", 3) == 0) t->begin = 3;
    }
    return got ? ST_OK : ST_END;
}

enum status text_line(struct text *t, const char **out_line, size_t *out_size, struct err *err) {
    size_t looked = 0;
    for (;;) {
        size_t unread = t->end - t->begin;
        const char *from = t->buffer + t->begin;
        const char *newline = t->started ? memchr(from + looked, '\n', unread - looked) : NULL;
        size_t size = newline ? (size_t)(newline - from) : unread;
        if (size > TEXT_LINE_MAX)
            return err_set(err, ST_INVALID, "a line of more than %d bytes: not a CSV file",
                           TEXT_LINE_MAX);
        if (!newline) {
            looked = t->started ? unread : 0;
            enum status st = fill(t, err);
            if (st == ST_OK) continue;
            if (st != ST_END) return st;
            size = t->end - t->begin; /* the last line may lack its end */
            from = t->buffer + t->begin;
            if (size == 0) return ST_END;
        }
        if (memchr(from, '\0', size))
            return err_set(err, ST_INVALID, "a zero byte: not a text file");
        *out_line = from;
        *out_size = size;
        t->begin += size + (newline != NULL);
        return ST_OK;
    }
}

enum status text_rest(struct text *t, char **out, size_t *out_size, struct err *err) {
    char *all = NULL;
    size_t size = 0, capacity = 0;
    enum status st = ST_OK;
    *out = NULL;
    while (st == ST_OK) {
        size_t unread = t->end - t->begin;
        if (!all || size + unread + 1 > capacity) {
            capacity = 2 * (size + unread + 1);
            char *grown = realloc(all, capacity);
            if (!grown) {
                free(all);
                return err_set(err, ST_NO_MEMORY, "%zu bytes of text", capacity);
            }
            all = grown;
        }
        memcpy(all + size, t->buffer + t->begin, unread);
        size += unread;
        t->begin = t->end = 0;
        if (size > TEXT_WHOLE_MAX)
            st = err_set(err, ST_RANGE, "more than 256 MiB of JSON");
        else
            st = fill(t, err);
    }
    if (st != ST_END) {
        free(all);
        return st;
    }
    all[size] = '\0';
    *out = all;
    *out_size = size;
    return ST_OK;
}

enum status text_zip_entries(const char *path,
                             enum status (*entry)(void *context, const char *name, uint64_t index),
                             void *context, struct err *err) {
    zip_t *zip;
    enum status st = open_zip(&zip, path, err);
    if (st != ST_OK) return st;
    zip_int64_t n = zip_get_num_entries(zip, 0);
    for (zip_int64_t i = 0; i < n && st == ST_OK; i++) {
        const char *name = zip_get_name(zip, (zip_uint64_t)i, 0);
        if (name) st = entry(context, name, (uint64_t)i);
    }
    zip_discard(zip);
    return st;
}
