/* Which format bytes are in, and files: compressed or not, written so that a reader never sees half of
 * one. */
#include "ml/model_io/model_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/hash.h"
#include "ml/model_io/model_io_internal.h"
#include "ml/table/unpack.h"

/* Uncompressed; far above any model in use, and below what offsets of 32 bits can name. */
static const size_t text_size_max = (size_t)2 << 30;

const char *model_format_text(enum model_format format) {
    switch (format) {
    case MODEL_FORMAT_AUTO:
        break;
    case MODEL_XGBOOST_JSON:
        return "xgboost json";
    case MODEL_XGBOOST_UBJ:
        return "xgboost ubj";
    case MODEL_LIGHTGBM_TEXT:
        return "lightgbm text";
    }
    return "auto";
}

/* ---- reading ---- */

/* AUTO: none of them. Behind the brace JSON has a quote, UBJSON the type of a length. */
static enum model_format detect(const char *text, size_t size) {
    if (size >= 4 && memcmp(text, "tree", 4) == 0) return MODEL_LIGHTGBM_TEXT;
    size_t i = 0;
    while (i < size && strchr(" \t\r\n", text[i]) && text[i]) i++;
    if (i == size || text[i] != '{') return MODEL_FORMAT_AUTO;
    if (++i < size && text[i] && strchr("iUIlLN$#", text[i])) return MODEL_XGBOOST_UBJ;
    return MODEL_XGBOOST_JSON;
}

static enum status parse_text(struct tree_model **out, const char *text, size_t size,
                              struct err *err) {
    switch (detect(text, size)) {
    case MODEL_XGBOOST_JSON:
        return model_xgb_read(out, false, text, size, err);
    case MODEL_XGBOOST_UBJ:
        return model_xgb_read(out, true, text, size, err);
    case MODEL_LIGHTGBM_TEXT:
        return model_lgbm_read(out, text, size, err);
    case MODEL_FORMAT_AUTO:
        break;
    }
    if (size >= 4 && memcmp(text, "binf", 4) == 0)
        return err_set(err, ST_UNSUPPORTED, "byte 0: XGBoost's old binary format; save it as JSON");
    return err_set(err, ST_CORRUPT, "byte 0: neither XGBoost JSON or UBJSON nor LightGBM text");
}

static enum status prove(const struct tree_model *m, struct err *err) {
    uint32_t splits = 0, tree;
    for (uint32_t i = 0; i < m->tree_count; i++)
        if (m->trees[i].split_count > splits) splits = m->trees[i].split_count;
    uint8_t *visited = malloc((size_t)splits + 1);
    if (!visited) return err_set(err, ST_NO_MEMORY, "no memory");
    const char *problem = tree_model_problem(m, visited, &tree);
    free(visited);
    return problem ? err_set(err, ST_CORRUPT, "tree %u: %s", tree, problem) : ST_OK;
}

static enum status parse_unpacked(struct tree_model **out, struct unpack *u, const char *name,
                                  struct err *err) {
    char *text = NULL;
    size_t size = 0;
    struct tree_model *m = NULL;
    enum status st = unpack_all(&text, &size, u, text_size_max, err);
    if (st != ST_OK) return st; /* it names the file */
    st = parse_text(&m, text, size, err);
    if (st == ST_OK) {
        m->file_hash = hash64(text, size);
        st = prove(m, err);
        if (st != ST_OK) tree_model_destroy(m);
    }
    free(text);
    if (st != ST_OK) return err_wrap(err, st, "%s", name);
    *out = m;
    return ST_OK;
}

enum status model_read(struct tree_model **out, const char *path, struct err *err) {
    struct unpack *u;
    *out = NULL;
    enum status st = unpack_open(&u, path, err);
    if (st != ST_OK) return st;
    st = parse_unpacked(out, u, path, err);
    unpack_close(u);
    return st;
}

enum status model_parse(struct tree_model **out, const void *bytes, size_t size, const char *name,
                        struct err *err) {
    struct unpack *u;
    *out = NULL;
    enum status st = unpack_memory(&u, bytes, size, name, err);
    if (st != ST_OK) return st;
    st = parse_unpacked(out, u, name, err);
    unpack_close(u);
    return st;
}

/* ---- writing ---- */

static enum status print(struct model_out *o, const struct tree_model *m, enum model_format format,
                         struct err *err) {
    bool is_xgboost = m->dialect == TREES_XGBOOST;
    if (format == MODEL_FORMAT_AUTO) format = is_xgboost ? MODEL_XGBOOST_JSON : MODEL_LIGHTGBM_TEXT;
    if (format != MODEL_LIGHTGBM_TEXT) {
        if (!is_xgboost)
            return err_set(err, ST_UNSUPPORTED,
                           "a LightGBM model as %s: its thresholds and sums are doubles, XGBoost's "
                           "are floats",
                           model_format_text(format));
        return model_xgb_print(o, m, format == MODEL_XGBOOST_UBJ, err);
    }
    if (!is_xgboost) return model_lgbm_print(o, m, err);
    struct tree_model *converted = NULL;
    enum status st = model_to_lgbm(&converted, m, err);
    if (st != ST_OK) return err_wrap(err, st, "an XGBoost model as lightgbm text");
    st = model_lgbm_print(o, converted, err);
    tree_model_destroy(converted);
    return st;
}

enum status model_print(char **out, size_t *size, const struct tree_model *m,
                        enum model_format format, struct err *err) {
    struct model_out o = {0};
    enum status st = print(&o, m, format, err);
    if (st == ST_OK) {
        model_out_bytes(&o, "", 1);
        if (o.no_memory) st = err_set(err, ST_NO_MEMORY, "no memory");
    }
    if (st != ST_OK) {
        free(o.data);
        return st;
    }
    *out = o.data;
    *size = o.size - 1;
    return ST_OK;
}

static bool ends_with(const char *path, const char *suffix) {
    size_t n = strlen(path), k = strlen(suffix);
    return n >= k && strcmp(path + n - k, suffix) == 0;
}

/* Gzip of text; without a time or a name, so that one model is always one file. */
static enum status pack_gzip(char **out, size_t *out_size, const char *text, size_t size,
                             struct err *err) {
    enum { GZIP = 16, MEMORY_LEVEL = 8, LEVEL = 6 };
    z_stream z = {0};
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return err_set(err, ST_NO_MEMORY, "no memory");
    size_t bound = deflateBound(&z, size);
    char *packed = bound <= UINT32_MAX && size <= UINT32_MAX ? malloc(bound) : NULL;
    int result = Z_MEM_ERROR;
    if (packed) {
        /* zlib reads through a pointer that is not const. */
        z.next_in = (Bytef *)(uintptr_t)text;
        z.avail_in = (uInt)size;
        z.next_out = (Bytef *)packed;
        z.avail_out = (uInt)bound;
        result = deflate(&z, Z_FINISH);
    }
    *out_size = z.total_out;
    deflateEnd(&z);
    if (result == Z_STREAM_END) {
        *out = packed;
        return ST_OK;
    }
    free(packed);
    return err_set(err, ST_NO_MEMORY, "no memory to compress in");
}

static enum status pack_zstd(char **out, size_t *out_size, const char *text, size_t size,
                             struct err *err) {
    enum { LEVEL = 6 };
    size_t bound = ZSTD_compressBound(size);
    char *packed = malloc(bound);
    if (packed) {
        *out_size = ZSTD_compress(packed, bound, text, size, LEVEL);
        if (!ZSTD_isError(*out_size)) {
            *out = packed;
            return ST_OK;
        }
    }
    free(packed);
    return err_set(err, ST_NO_MEMORY, "no memory to compress in");
}

static enum status write_all(int fd, const char *bytes, size_t size, struct err *err) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, ST_IO, "write");
        bytes += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0 ? ST_OK : err_errno(err, ST_IO, "fsync");
}

/* The folder's entry must be on disk, too, or a crash could bring the old file back. */
static enum status sync_folder(const char *path, struct err *err) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder) return err_set(err, ST_NO_MEMORY, "no memory");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    enum status st = ok ? ST_OK : err_errno(err, ST_IO, "folder %s", folder);
    if (fd >= 0) close(fd);
    free(folder);
    return st;
}

static enum status write_file(const char *path, const char *bytes, size_t size, struct err *err) {
    size_t length = strlen(path);
    char *temporary = malloc(length + sizeof ".XXXXXX");
    if (!temporary) return err_set(err, ST_NO_MEMORY, "no memory");
    memcpy(temporary, path, length);
    memcpy(temporary + length, ".XXXXXX", sizeof ".XXXXXX");
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        enum status st = err_errno(err, ST_IO, "temporary file beside it");
        free(temporary);
        return st;
    }
    enum status st =
        fchmod(fd, 0644) == 0 ? write_all(fd, bytes, size, err) : err_errno(err, ST_IO, "fchmod");
    if (close(fd) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "close");
    if (st == ST_OK && rename(temporary, path) != 0) st = err_errno(err, ST_IO, "rename");
    if (st != ST_OK)
        unlink(temporary);
    else
        st = sync_folder(path, err);
    free(temporary);
    return st;
}

enum status model_write(const struct tree_model *m, const char *path, enum model_format format,
                        struct err *err) {
    bool is_gzip = ends_with(path, ".gz"), is_zstd = ends_with(path, ".zst");
    if (format == MODEL_FORMAT_AUTO &&
        (ends_with(path, ".ubj") || ends_with(path, ".ubj.gz") || ends_with(path, ".ubj.zst")))
        format = MODEL_XGBOOST_UBJ;
    char *text = NULL, *packed = NULL;
    size_t size = 0;
    enum status st = model_print(&text, &size, m, format, err);
    if (st == ST_OK && (is_gzip || is_zstd)) {
        size_t packed_size = 0;
        st = is_gzip ? pack_gzip(&packed, &packed_size, text, size, err)
                     : pack_zstd(&packed, &packed_size, text, size, err);
        size = packed_size;
    }
    if (st == ST_OK) st = write_file(path, packed ? packed : text, size, err);
    free(text);
    free(packed);
    return st == ST_OK ? st : err_wrap(err, st, "%s", path);
}
