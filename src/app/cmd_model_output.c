/* Output of `quantum model`: a file that appears when it is whole, compressed by its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "app/cmd_model.h"

enum { BUFFER_SIZE = 1 << 16, ZSTD_LEVEL = 3 };

struct model_output {
    int fd;
    char *path;
    char *beside; /* what it is called until it is whole; NULL: written in place */
    z_stream gzip;
    ZSTD_CCtx *zstd;
    bool is_gzip;
    size_t used;
    unsigned char buffer[BUFFER_SIZE], packed[BUFFER_SIZE];
};

static bool ends_with(const char *text, const char *tail) {
    size_t size = strlen(text), tail_size = strlen(tail);
    return size > tail_size && strcmp(text + size - tail_size, tail) == 0;
}

void model_output_abandon(struct model_output *o) {
    if (!o) return;
    if (o->fd >= 0 && o->fd != STDOUT_FILENO) close(o->fd);
    if (o->beside) unlink(o->beside);
    if (o->is_gzip) deflateEnd(&o->gzip);
    ZSTD_freeCCtx(o->zstd);
    free(o->beside);
    free(o->path);
    free(o);
}

static enum status file_open(struct model_output *o, struct err *err) {
    struct stat info;
    if (strcmp(o->path, "-") == 0) {
        o->fd = STDOUT_FILENO;
        return ST_OK;
    }
    /* A name that is a link, as /dev/stdout, must stay one. */
    if (lstat(o->path, &info) == 0 && !S_ISREG(info.st_mode)) {
        o->fd = open(o->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    } else {
        if (asprintf(&o->beside, "%s.%ld.part", o->path, (long)getpid()) < 0) {
            o->beside = NULL;
            return err_set(err, ST_NO_MEMORY, "no memory");
        }
        o->fd = open(o->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (o->fd < 0) {
            free(o->beside); /* not ours to remove */
            o->beside = NULL;
        }
    }
    return o->fd < 0 ? err_errno(err, ST_IO, "%s", o->path) : ST_OK;
}

enum status model_output_open(struct model_output **out, const char *path, struct err *err) {
    struct model_output *o = calloc(1, sizeof *o);
    if (o) o->path = strdup(path);
    if (!o || !o->path) {
        free(o);
        return err_set(err, ST_NO_MEMORY, "%s: no memory", path);
    }
    o->fd = -1;
    enum status st = file_open(o, err);
    if (st == ST_OK && ends_with(path, ".gz")) {
        o->is_gzip = deflateInit2(&o->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8,
                                  Z_DEFAULT_STRATEGY) == Z_OK;
        if (!o->is_gzip) st = err_set(err, ST_NO_MEMORY, "%s: no memory to compress", path);
    } else if (st == ST_OK && ends_with(path, ".zst")) {
        o->zstd = ZSTD_createCCtx();
        if (!o->zstd) st = err_set(err, ST_NO_MEMORY, "%s: no memory to compress", path);
        if (o->zstd) ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    }
    if (st == ST_OK)
        *out = o;
    else
        model_output_abandon(o);
    return st;
}

static enum status write_bytes(struct model_output *o, const void *bytes, size_t size,
                               struct err *err) {
    const char *p = bytes;
    while (size > 0) {
        ssize_t n = write(o->fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, ST_IO, "%s", o->path);
        p += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

static enum status flush_gzip(struct model_output *o, bool last, struct err *err) {
    o->gzip.next_in = o->buffer;
    o->gzip.avail_in = (uInt)o->used;
    do {
        o->gzip.next_out = o->packed;
        o->gzip.avail_out = BUFFER_SIZE;
        deflate(&o->gzip, last ? Z_FINISH : Z_NO_FLUSH); /* cannot fail on a stream that is kept */
        enum status st = write_bytes(o, o->packed, BUFFER_SIZE - o->gzip.avail_out, err);
        if (st != ST_OK) return st;
    } while (o->gzip.avail_out == 0);
    return ST_OK;
}

static enum status flush_zstd(struct model_output *o, bool last, struct err *err) {
    ZSTD_inBuffer in = {o->buffer, o->used, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {o->packed, BUFFER_SIZE, 0};
        left = ZSTD_compressStream2(o->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return err_set(err, ST_EXTERNAL, "%s: zstd: %s", o->path, ZSTD_getErrorName(left));
        enum status st = write_bytes(o, o->packed, out.pos, err);
        if (st != ST_OK) return st;
    } while (last ? left > 0 : in.pos < in.size);
    return ST_OK;
}

static enum status flush(struct model_output *o, bool last, struct err *err) {
    enum status st = o->is_gzip ? flush_gzip(o, last, err)
                     : o->zstd  ? flush_zstd(o, last, err)
                                : write_bytes(o, o->buffer, o->used, err);
    o->used = 0;
    return st;
}

enum status model_output_write(struct model_output *o, const char *text, size_t size,
                               struct err *err) {
    while (size > 0) {
        size_t room = BUFFER_SIZE - o->used, part = size < room ? size : room;
        memcpy(o->buffer + o->used, text, part);
        o->used += part;
        text += part;
        size -= part;
        enum status st = o->used == BUFFER_SIZE ? flush(o, false, err) : ST_OK;
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

enum status model_output_commit(struct model_output *o, struct err *err) {
    enum status st = flush(o, true, err);
    if (st == ST_OK && o->beside && fsync(o->fd) != 0) st = err_errno(err, ST_IO, "%s", o->path);
    if (o->fd != STDOUT_FILENO) {
        if (close(o->fd) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "%s", o->path);
        o->fd = -1;
    }
    if (st == ST_OK && o->beside) {
        if (rename(o->beside, o->path) != 0) {
            st = err_errno(err, ST_IO, "%s", o->path);
        } else {
            free(o->beside);
            o->beside = NULL;
        }
    }
    model_output_abandon(o);
    return st;
}
