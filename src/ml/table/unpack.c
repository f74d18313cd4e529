#include "ml/table/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

enum { INPUT_SIZE = 128 * 1024, MAGIC_SIZE = 4 };

enum packing { PACKING_NONE = 0, PACKING_GZIP, PACKING_ZSTD };

struct unpack {
    int fd; /* -1: from memory */
    bool own_fd;
    char *name;
    uint64_t size; /* of the file; 0 not known */
    uint64_t read; /* bytes taken from the file */
    bool source_ended;
    enum packing packing;
    /* Bytes read and not yet used: buffer, or all of the borrowed memory. */
    const unsigned char *at;
    size_t left;
    unsigned char *buffer; /* INPUT_SIZE; NULL: from memory */
    z_stream gzip;
    bool gzip_inited;
    ZSTD_DStream *zstd;
    bool in_frame; /* within a gzip member or zstd frame: an end here is a cut */
    enum status failed;
};

/* Reads more of the file behind what is left, which moves to the buffer's front. */
static enum status refill(struct unpack *u, struct err *err) {
    if (u->fd < 0) {
        u->source_ended = true;
        return ST_OK;
    }
    if (u->left > 0) memmove(u->buffer, u->at, u->left);
    u->at = u->buffer;
    ssize_t n;
    do n = read(u->fd, u->buffer + u->left, INPUT_SIZE - u->left);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_errno(err, ST_IO, "%s", u->name);
    if (n == 0) u->source_ended = true;
    u->left += (size_t)n;
    u->read += (size_t)n;
    return ST_OK;
}

static bool is_zstd(const unsigned char *p) {
    static const unsigned char frame[] = {0x28, 0xB5, 0x2F, 0xFD}, skippable[] = {0x2A, 0x4D, 0x18};
    return memcmp(p, frame, sizeof frame) == 0 ||
           ((p[0] & 0xF0) == 0x50 && memcmp(p + 1, skippable, sizeof skippable) == 0);
}

/* Looks at the first bytes and makes what their packing needs. */
static enum status recognise(struct unpack *u, struct err *err) {
    while (u->left < MAGIC_SIZE && !u->source_ended) {
        enum status st = refill(u, err);
        if (st != ST_OK) return st;
    }
    if (u->left >= 2 && u->at[0] == 0x1F && u->at[1] == 0x8B) {
        u->packing = PACKING_GZIP;
        if (inflateInit2(&u->gzip, 16 + MAX_WBITS) != Z_OK)
            return err_set(err, ST_NO_MEMORY, "%s: no memory to decompress", u->name);
        u->gzip_inited = true;
    } else if (u->left >= MAGIC_SIZE && is_zstd(u->at)) {
        u->packing = PACKING_ZSTD;
        u->zstd = ZSTD_createDStream();
        if (!u->zstd) return err_set(err, ST_NO_MEMORY, "%s: no memory to decompress", u->name);
    }
    return ST_OK;
}

static struct unpack *create(const char *name) {
    struct unpack *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    u->fd = -1;
    u->name = strdup(name);
    if (u->name) return u;
    free(u);
    return NULL;
}

static enum status opened(struct unpack **out, struct unpack *u, struct err *err) {
    enum status st = recognise(u, err);
    if (st != ST_OK) {
        unpack_close(u);
        return st;
    }
    *out = u;
    return ST_OK;
}

enum status unpack_open(struct unpack **out, const char *path, struct err *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    struct unpack *u = create(is_stdin ? "standard input" : path);
    if (u) u->buffer = malloc(INPUT_SIZE);
    if (!u || !u->buffer) {
        unpack_close(u);
        return err_set(err, ST_NO_MEMORY, "%s: no memory", path);
    }
    u->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    u->own_fd = !is_stdin;
    struct stat info;
    if (u->fd < 0 || fstat(u->fd, &info) != 0) {
        enum status st =
            err_errno(err, errno == ENOENT || errno == ENOTDIR ? ST_NOT_FOUND : ST_IO, "%s", path);
        unpack_close(u);
        return st;
    }
    if (S_ISREG(info.st_mode) && info.st_size > 0) u->size = (uint64_t)info.st_size;
    return opened(out, u, err);
}

enum status unpack_memory(struct unpack **out, const void *bytes, size_t size, const char *name,
                          struct err *err) {
    struct unpack *u = create(name);
    if (!u) return err_set(err, ST_NO_MEMORY, "%s: no memory", name);
    u->at = bytes;
    u->left = size;
    u->read = u->size = size;
    u->source_ended = true;
    return opened(out, u, err);
}

static enum status damaged(const struct unpack *u, const char *what, struct err *err) {
    return err_set(err, ST_CORRUPT, "%s: damaged %s near byte %llu: %s", u->name,
                   u->packing == PACKING_GZIP ? "gzip" : "zstd",
                   (unsigned long long)(u->read - u->left), what);
}

static enum status inflate_some(struct unpack *u, unsigned char *out, size_t size, size_t *got,
                                struct err *err) {
    if (!u->in_frame) {
        /* A member has ended and bytes are left: another one, or nothing we know. */
        if (inflateReset(&u->gzip) != Z_OK) return damaged(u, "cannot start", err);
        u->in_frame = true;
    }
    enum { STEP = 1 << 30 }; /* zlib counts in unsigned */
    uInt give = u->left < STEP ? (uInt)u->left : STEP, room = size < STEP ? (uInt)size : STEP;
    u->gzip.next_in = u->at;
    u->gzip.avail_in = give;
    u->gzip.next_out = out;
    u->gzip.avail_out = room;
    int code = inflate(&u->gzip, Z_NO_FLUSH);
    u->at += give - u->gzip.avail_in;
    u->left -= give - u->gzip.avail_in;
    *got = room - u->gzip.avail_out;
    if (code == Z_STREAM_END) u->in_frame = false;
    if (code == Z_MEM_ERROR)
        return err_set(err, ST_NO_MEMORY, "%s: no memory to decompress", u->name);
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return ST_OK;
    return damaged(u, u->gzip.msg ? u->gzip.msg : "not gzip", err);
}

static enum status zstd_some(struct unpack *u, unsigned char *out, size_t size, size_t *got,
                             struct err *err) {
    ZSTD_inBuffer from = {u->at, u->left, 0};
    ZSTD_outBuffer to = {out, size, 0};
    size_t code = ZSTD_decompressStream(u->zstd, &to, &from);
    u->at += from.pos;
    u->left -= from.pos;
    *got = to.pos;
    if (ZSTD_isError(code)) return damaged(u, ZSTD_getErrorName(code), err);
    u->in_frame = code != 0;
    return ST_OK;
}

static enum status copy_some(struct unpack *u, unsigned char *out, size_t size, size_t *got) {
    *got = size < u->left ? size : u->left;
    if (*got > 0) memcpy(out, u->at, *got);
    u->at += *got;
    u->left -= *got;
    return ST_OK;
}

/* One step; *ended when there is nothing more. */
static enum status step(struct unpack *u, unsigned char *out, size_t size, size_t *got, bool *ended,
                        struct err *err) {
    *got = 0;
    if (u->left == 0 && !u->source_ended) {
        enum status st = refill(u, err);
        if (st != ST_OK) return st;
    }
    size_t left = u->left;
    /* Within a frame the decoder may still hold output although the input is used up. */
    *ended = left == 0 && u->source_ended && !u->in_frame;
    if (*ended) return ST_OK;
    enum status st = u->packing == PACKING_GZIP   ? inflate_some(u, out, size, got, err)
                     : u->packing == PACKING_ZSTD ? zstd_some(u, out, size, got, err)
                                                  : copy_some(u, out, size, got);
    if (st == ST_OK && *got == 0 && left == u->left && u->in_frame) {
        if (u->source_ended) return damaged(u, "the file ends too early", err);
        return refill(u, err);
    }
    return st;
}

enum status unpack_read(struct unpack *u, void *out, size_t size, size_t *got, struct err *err) {
    *got = 0;
    if (u->failed != ST_OK) return err_set(err, u->failed, "%s: cannot be read", u->name);
    bool ended = false;
    while (*got < size && !ended) {
        size_t n;
        enum status st = step(u, (unsigned char *)out + *got, size - *got, &n, &ended, err);
        if (st != ST_OK) {
            u->failed = st;
            *got = 0;
            return st;
        }
        *got += n;
    }
    return ST_OK;
}

uint64_t unpack_position(const struct unpack *u, uint64_t *size) {
    if (size) *size = u->size;
    return u->read - u->left;
}

bool unpack_is_packed(const struct unpack *u) {
    return u->packing != PACKING_NONE;
}

void unpack_close(struct unpack *u) {
    if (!u) return;
    if (u->own_fd && u->fd >= 0) close(u->fd);
    if (u->gzip_inited) inflateEnd(&u->gzip);
    ZSTD_freeDStream(u->zstd);
    free(u->buffer);
    free(u->name);
    free(u);
}

static enum status too_large(const struct unpack *u, size_t limit, struct err *err) {
    return err_set(err, ST_RANGE, "%s: larger than %zu bytes", u->name, limit);
}

enum status unpack_all(char **out, size_t *size, struct unpack *u, size_t limit, struct err *err) {
    if (limit > SIZE_MAX / 2) limit = SIZE_MAX / 2;
    if (u->packing == PACKING_NONE && u->size > limit) return too_large(u, limit, err);
    /* One byte above what is expected, to see the end in the first turn; one more for the NUL. */
    size_t capacity = u->packing == PACKING_NONE && u->size > 0 ? (size_t)u->size + 1 : INPUT_SIZE;
    size_t used = 0;
    char *text = NULL;
    for (;;) {
        if (capacity > limit + 1) capacity = limit + 1;
        char *grown = realloc(text, capacity + 1);
        if (!grown) {
            free(text);
            return err_set(err, ST_NO_MEMORY, "%s: no memory for %zu bytes", u->name, capacity);
        }
        text = grown;
        size_t got;
        enum status st = unpack_read(u, text + used, capacity - used, &got, err);
        used += got;
        if (st == ST_OK && used > limit) st = too_large(u, limit, err);
        if (st != ST_OK) {
            free(text);
            return st;
        }
        if (used < capacity) break;
        capacity *= 2;
    }
    text[used] = 0;
    *out = text;
    *size = used;
    return ST_OK;
}
