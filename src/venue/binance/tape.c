#include "venue/binance/tape.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static_assert(sizeof(struct tape_header) == 32, "as it lies in the file");

static const char magic[] = "QTAPE 1\n";
enum { MAGIC_SIZE = 8, SECRETS_MAX = 8, SECRET_SIZE_MIN = 8, RECORD_MAX = 128 << 20 };

struct binance_tape {
    FILE *file;
    char *path;
    char *secrets[SECRETS_MAX];
    uint32_t secret_count, secret_next;
    char *scratch;
    size_t scratch_size;
    int error; /* errno of the first write that failed */
};

enum status binance_tape_create(struct binance_tape **out, const char *path, struct err *err) {
    struct binance_tape *t = calloc(1, sizeof *t);
    if (t) t->path = strdup(path);
    if (!t || !t->path) {
        free(t);
        return err_set(err, ST_NO_MEMORY, "tape %s", path);
    }
    t->file = fopen(path, "wxe"); /* a tape is never written over */
    if (!t->file || fwrite(magic, 1, MAGIC_SIZE, t->file) != MAGIC_SIZE) {
        enum status st = err_errno(err, errno == EEXIST ? ST_EXISTS : ST_IO, "tape %s", path);
        if (t->file) (void)fclose(t->file);
        free(t->path);
        free(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

enum status binance_tape_close(struct binance_tape *t, struct err *err) {
    enum status st = ST_OK;
    if (fclose(t->file) != 0 && !t->error) t->error = errno;
    if (t->error) st = err_set(err, ST_IO, "tape %s: %s", t->path, strerror(t->error));
    for (uint32_t i = 0; i < t->secret_count; i++) {
        explicit_bzero(t->secrets[i], strlen(t->secrets[i]));
        free(t->secrets[i]);
    }
    free(t->scratch);
    free(t->path);
    free(t);
    return st;
}

/* The first two stay (key and secret); listen keys that come later take turns in the rest. */
void binance_tape_secret(struct binance_tape *t, const char *secret) {
    if (strlen(secret) < SECRET_SIZE_MIN) return;
    char *copy = strdup(secret);
    if (!copy) {
        if (!t->error) t->error = ENOMEM; /* better no tape than one with a secret */
        return;
    }
    if (t->secret_count < SECRETS_MAX) {
        t->secrets[t->secret_count++] = copy;
        return;
    }
    uint32_t at = 2 + t->secret_next++ % (SECRETS_MAX - 2);
    free(t->secrets[at]);
    t->secrets[at] = copy;
}

static void hide(const struct binance_tape *t, char *bytes, size_t size) {
    for (uint32_t i = 0; i < t->secret_count; i++) {
        size_t n = strlen(t->secrets[i]);
        char *at = bytes;
        while ((at = memmem(at, size - (size_t)(at - bytes), t->secrets[i], n)) != NULL) {
            memset(at, '*', n);
            at += n;
        }
    }
    /* Whatever is called listenKey is one, known or not. */
    static const char name[] = "\"listenKey\":\"";
    char *at = bytes;
    while ((at = memmem(at, size - (size_t)(at - bytes), name, sizeof name - 1)) != NULL) {
        for (at += sizeof name - 1; at < bytes + size && *at != '"'; at++) *at = '*';
    }
}

void binance_tape_write(struct binance_tape *t, enum tape_kind kind, int64_t ts_ns, int status,
                        const char *name, const char *bytes, size_t size) {
    size_t name_size = strlen(name);
    if (t->error || size > RECORD_MAX || name_size > UINT16_MAX) return;
    if (name_size + size > t->scratch_size) {
        char *grown = realloc(t->scratch, 2 * (name_size + size));
        if (!grown) {
            t->error = ENOMEM;
            return;
        }
        t->scratch = grown;
        t->scratch_size = 2 * (name_size + size);
    }
    memcpy(t->scratch, name, name_size);
    if (size) memcpy(t->scratch + name_size, bytes, size);
    hide(t, t->scratch, name_size + size);
    const struct tape_header h = {.size = (uint32_t)size,
                                  .name_size = (uint16_t)name_size,
                                  .kind = (uint8_t)kind,
                                  .status = status,
                                  .ts_ns = ts_ns,
                                  .sum = hash64(t->scratch, name_size + size)};
    if (fwrite(&h, sizeof h, 1, t->file) != 1 ||
        fwrite(t->scratch, 1, name_size + size, t->file) != name_size + size)
        t->error = errno ? errno : EIO;
}

/* ---- replay ---- */

static void replay_record(const struct tape_header *h, char *record,
                          const struct binance_tape_handlers *handlers,
                          struct binance_tape_totals *totals) {
    char name[UINT16_MAX + 1];
    memcpy(name, record, h->name_size);
    name[h->name_size] = '\0';
    const char *bytes = record + h->name_size;
    if (h->kind == TAPE_FRAME) {
        struct stream_event event;
        enum status st = binance_stream_decode(&event, bytes, h->size);
        totals->frames++;
        totals->frames_refused += st != ST_OK;
        if (handlers->on_frame)
            handlers->on_frame(handlers->context, h->ts_ns, name, st, &event, bytes, h->size);
        return;
    }
    struct rest_error e = {0};
    bool whole = h->status > 0 && binance_rest_is_whole(bytes, h->size);
    totals->replies++;
    totals->replies_refused += h->status > 0 && !whole;
    if (whole && h->status >= 400 && binance_rest_error(&e, bytes, h->size) != ST_OK) e.code = 0;
    if (handlers->on_reply)
        handlers->on_reply(handlers->context, h->ts_ns, name, h->status, whole ? ST_OK : ST_INVALID,
                           e.code, bytes, h->size);
}

static enum status replay_open(FILE *file, const char *path,
                               const struct binance_tape_handlers *handlers,
                               struct binance_tape_totals *totals, struct err *err) {
    char start[MAGIC_SIZE], *record = NULL;
    size_t capacity = 0;
    if (fread(start, 1, MAGIC_SIZE, file) != MAGIC_SIZE || memcmp(start, magic, MAGIC_SIZE) != 0)
        return err_set(err, ST_CORRUPT, "%s: not a tape", path);
    enum status st = ST_OK;
    for (struct tape_header h; st == ST_OK && fread(&h, sizeof h, 1, file) == 1;) {
        size_t size = (size_t)h.name_size + h.size;
        if (h.size > RECORD_MAX || (h.kind != TAPE_FRAME && h.kind != TAPE_REPLY)) {
            st = err_set(err, ST_CORRUPT, "%s: record %llu has no sense", path,
                         (unsigned long long)(totals->frames + totals->replies + 1));
            break;
        }
        if (size > capacity) {
            char *grown = realloc(record, 2 * size);
            if (!grown) {
                st = err_set(err, ST_NO_MEMORY, "%s", path);
                break;
            }
            record = grown;
            capacity = 2 * size;
        }
        if (size && fread(record, 1, size, file) != size) break; /* cut short by a crash: the end */
        if (!record || h.sum != hash64(record, size))
            st = err_set(err, ST_CORRUPT, "%s: checksum of record %llu does not hold", path,
                         (unsigned long long)(totals->frames + totals->replies + 1));
        else
            replay_record(&h, record, handlers, totals);
    }
    free(record);
    return st;
}

enum status binance_tape_replay(const char *path, const struct binance_tape_handlers *handlers,
                                struct binance_tape_totals *totals, struct err *err) {
    memset(totals, 0, sizeof *totals);
    FILE *file = fopen(path, "re");
    if (!file) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "tape %s", path);
    enum status st = replay_open(file, path, handlers, totals, err);
    (void)fclose(file);
    return st;
}
