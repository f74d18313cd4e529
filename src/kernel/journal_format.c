/* The journal on disk: frames, segment headers, names (journal_internal.h says how they look). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "kernel/journal_internal.h"

static const char MAGIC[8] = {'Q', 'T', 'J', 'R', 'N', 'L', '\r', '\n'};

void journal_frame_encode(void *out, const struct journal_record *record) {
    uint8_t *p = out;
    size_t total = journal_frame_size(record->size);
    struct journal_frame f = {.size = record->size,
                              .type = record->type,
                              .version = record->version,
                              .seq = record->seq,
                              .ts_ns = record->ts_ns};
    /* The last word first: the payload then covers all of it but the padding. */
    memset(p + total - 8, 0, 8);
    memcpy(p, &f, sizeof f);
    if (record->size) memcpy(p + sizeof f, record->payload, record->size);
    f.checksum = hash64(p + 8, total - 8);
    memcpy(p, &f.checksum, sizeof f.checksum);
}

enum status journal_frame_decode(struct journal_record *out, size_t *frame_size, const char **why,
                                 const void *data, size_t size, uint64_t seq) {
    struct journal_frame f;
    *frame_size = sizeof f;
    if (size < sizeof f) return ST_AGAIN;
    memcpy(&f, data, sizeof f);
    if (f.seq == 0 && f.checksum == 0 && f.size == 0) return ST_END;
    if (f.seq != seq) {
        *why = "sequence out of order";
        return ST_CORRUPT;
    }
    if (f.size > JOURNAL_RECORD_MAX) {
        *why = "record longer than any can be";
        return ST_CORRUPT;
    }
    *frame_size = journal_frame_size(f.size);
    if (size < *frame_size) return ST_AGAIN;
    if (hash64((const uint8_t *)data + 8, *frame_size - 8) != f.checksum) {
        *why = "checksum does not match";
        return ST_CORRUPT;
    }
    *out = (struct journal_record){.seq = f.seq,
                                   .ts_ns = f.ts_ns,
                                   .type = f.type,
                                   .version = f.version,
                                   .size = f.size,
                                   .payload = (const uint8_t *)data + sizeof f};
    return ST_OK;
}

void journal_header_encode(void *out, uint64_t first_seq) {
    struct journal_header h = {
        .format = JOURNAL_FORMAT, .header_bytes = JOURNAL_HEADER_BYTES, .first_seq = first_seq};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    h.checksum = hash64(&h, offsetof(struct journal_header, checksum));
    memcpy(out, &h, sizeof h);
}

enum status journal_header_decode(uint64_t *first_seq, const void *data, size_t size) {
    struct journal_header h;
    if (size < sizeof h) return ST_CORRUPT;
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof MAGIC) != 0 ||
        h.checksum != hash64(&h, offsetof(struct journal_header, checksum)))
        return ST_CORRUPT;
    if (h.format != JOURNAL_FORMAT || h.header_bytes != JOURNAL_HEADER_BYTES) return ST_VERSION;
    *first_seq = h.first_seq;
    return ST_OK;
}

const char *journal_segment_name(char out[JOURNAL_NAME_SIZE], const struct journal_segment *s) {
    snprintf(out, JOURNAL_NAME_SIZE, "%020" PRIu64 ".seg%s", s->first_seq,
             s->compressed ? ".zst" : "");
    return out;
}

static bool name_parse(struct journal_segment *out, const char *name) {
    uint64_t seq = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9') return false;
        seq = seq * 10 + (uint64_t)(name[i] - '0');
    }
    bool compressed = strcmp(name + 20, ".seg.zst") == 0;
    if (!compressed && strcmp(name + 20, ".seg") != 0) return false;
    *out = (struct journal_segment){seq, compressed};
    return seq > 0;
}

static int by_seq_then_plain(const void *a, const void *b) {
    const struct journal_segment *x = a, *y = b;
    if (x->first_seq != y->first_seq) return x->first_seq < y->first_seq ? -1 : 1;
    return (int)x->compressed - (int)y->compressed;
}

enum status journal_segments_add(struct journal_segments *s, struct journal_segment item,
                                 struct err *err) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        struct journal_segment *items = realloc(s->items, capacity * sizeof *items);
        if (!items) return err_set(err, ST_NO_MEMORY, "list of journal segments");
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->count++] = item;
    return ST_OK;
}

/* Both files of one segment exist if the process died between naming the compressed one (complete
 * and synced by then) and unlinking the plain one. */
static enum status hide_doubles(struct journal_segments *s, int dir_fd, bool tidy,
                                struct err *err) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (kept > 0 && s->items[kept - 1].first_seq == s->items[i].first_seq) {
            char name[JOURNAL_NAME_SIZE];
            if (tidy) {
                journal_segment_name(name, &s->items[kept - 1]);
                if (unlinkat(dir_fd, name, 0)) return err_errno(err, ST_IO, "unlink %s", name);
                s->items[kept - 1] = s->items[i];
            }
            continue;
        }
        s->items[kept++] = s->items[i];
    }
    s->count = kept;
    return ST_OK;
}

enum status journal_segments_list(struct journal_segments *out, int dir_fd, bool tidy,
                                  struct err *err) {
    *out = (struct journal_segments){0};
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "list journal directory");
    }
    enum status st = ST_OK;
    for (struct dirent *e; st == ST_OK && (errno = 0, e = readdir(dir)) != NULL;) {
        struct journal_segment item;
        if (strlen(e->d_name) < 24 || strlen(e->d_name) > 32) continue;
        if (tidy && strcmp(e->d_name + 20, ".zst.tmp") == 0) {
            if (unlinkat(dir_fd, e->d_name, 0)) st = err_errno(err, ST_IO, "unlink %s", e->d_name);
        } else if (name_parse(&item, e->d_name)) {
            st = journal_segments_add(out, item, err);
        }
    }
    if (st == ST_OK && errno) st = err_errno(err, ST_IO, "read journal directory");
    closedir(dir);
    if (st == ST_OK && out->count) {
        qsort(out->items, out->count, sizeof *out->items, by_seq_then_plain);
        st = hide_doubles(out, dir_fd, tidy, err);
    }
    if (st != ST_OK) {
        free(out->items);
        *out = (struct journal_segments){0};
    }
    return st;
}
