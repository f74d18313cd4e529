/* A change: lock, transaction, and what follows from it outside the database.
 *
 * The log's last line says how far what follows has come: rows behind it are not finished. All steps may be
 * done twice. Pointers are made from the table of seats, not from a row, so the last word counts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "registry/registry_internal.h"
#include "store/fs.h"

enum { LINE_SIZE = 2048, TAIL_SIZE = 4 * LINE_SIZE };

/* ---- pointers ---- */

enum status registry_pointer_path(const struct registry *r, char out[REGISTRY_PATH_SIZE],
                                  enum model_kind kind, struct err *err) {
    return fs_path(out, err, "%s/serving/%s", r->dir, model_kind_text(kind));
}

enum status registry_pointer_text(struct registry *r, char out[REGISTRY_POINTER_SIZE],
                                  enum model_kind kind, struct err *err) {
    struct registry_entry entry;
    char hash[REGISTRY_HASH_SIZE];
    out[0] = '\0';
    enum status st = registry_serving(r, &entry, kind, err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st == ST_OK)
        snprintf(out, REGISTRY_POINTER_SIZE, "%s%s\n", registry_hash_text(hash, entry.hash),
                 entry.suffix);
    return st;
}

/* Writes, or takes away, what is not as it should be. */
static enum status pointer_publish(struct registry *r, enum model_kind kind, struct err *err) {
    char path[REGISTRY_PATH_SIZE], text[REGISTRY_POINTER_SIZE];
    void *old = NULL;
    size_t old_size = 0;
    enum status st = registry_pointer_text(r, text, kind, err);
    if (st == ST_OK) st = registry_pointer_path(r, path, kind, err);
    if (st != ST_OK) return st;
    enum status there = fs_map(&old, &old_size, path, err);
    if (there != ST_OK && there != ST_NOT_FOUND) return there;
    bool same = old_size == strlen(text) && (old_size == 0 || memcmp(old, text, old_size) == 0);
    if (old) munmap(old, old_size);
    if (*text && !same) {
        struct fs_part part = {text, strlen(text), 0};
        return fs_replace(path, &part, 1, err);
    }
    if (!*text && there == ST_OK && unlink(path) != 0)
        return err_errno(err, ST_IO, "cannot remove %s", path);
    return ST_OK;
}

enum status registry_pointer(char out[REGISTRY_PATH_SIZE], uint64_t *out_hash, const char *dir,
                             enum model_kind kind, struct err *err) {
    char path[REGISTRY_PATH_SIZE], name[REGISTRY_POINTER_SIZE] = "";
    void *text;
    size_t size;
    enum status st = fs_path(path, err, "%s/serving/%s", dir, model_kind_text(kind));
    if (st == ST_OK) st = fs_map(&text, &size, path, err);
    if (st != ST_OK) return st;
    bool fits = size > REGISTRY_HASH_SIZE && size < sizeof name;
    if (fits) memcpy(name, text, size - 1);
    bool ok = fits && ((const char *)text)[size - 1] == '\n' &&
              registry_hash_parse(out_hash, name, REGISTRY_HASH_SIZE - 1) && !strchr(name, '/');
    if (text) munmap(text, size);
    if (!ok) return err_set(err, ST_CORRUPT, "%s does not name a model", path);
    return fs_path(out, err, "%s/objects/%s", dir, name);
}

/* ---- the log ---- */

/* Cuts a line a killed process left half; the id in the last whole one, 0 for an empty log. */
static enum status log_last(int fd, const char *path, int64_t *out, struct err *err) {
    char tail[TAIL_SIZE + 1];
    struct stat info;
    *out = 0;
    if (fstat(fd, &info) != 0) return err_errno(err, ST_IO, "cannot read %s", path);
    off_t begin = info.st_size > TAIL_SIZE ? info.st_size - TAIL_SIZE : 0;
    ssize_t size = pread(fd, tail, TAIL_SIZE, begin);
    if (size < 0) return err_errno(err, ST_IO, "cannot read %s", path);
    while (size > 0 && tail[size - 1] != '\n') size--;
    if (begin + size != info.st_size && ftruncate(fd, begin + size) != 0)
        return err_errno(err, ST_IO, "cannot cut %s", path);
    if (size == 0 && begin == 0) return ST_OK;
    tail[size > 0 ? size - 1 : 0] = '\0';
    const char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    const char *mark = strstr(line, " audit=");
    if (mark) *out = strtoll(mark + strlen(" audit="), NULL, 10);
    if (*out > 0) return ST_OK;
    return err_set(err, ST_CORRUPT,
                   "%s: its last line is none of ours; move the file away and it is written anew",
                   path);
}

static enum status log_append(int fd, const char *path, const struct registry_audit_row *row,
                              struct err *err) {
    char line[LINE_SIZE], time[TSTAMP_TEXT_SIZE], hash[REGISTRY_HASH_SIZE];
    char actor[2 * REGISTRY_ACTOR_SIZE], reason[2 * REGISTRY_REASON_SIZE];
    int size = snprintf(
        line, sizeof line,
        "%s audit=%lld model=%lld kind=%s hash=%s event=%s from=%s to=%s actor=%s reason=%s%s%s\n",
        tstamp_format(time, row->ts_ns), (long long)row->id, (long long)row->model,
        model_kind_text(row->kind), registry_hash_text(hash, row->hash), row->event,
        *row->from ? row->from : "-", row->to, log_quote(actor, sizeof actor, row->actor),
        log_quote(reason, sizeof reason, row->reason), *row->figures ? " " : "", row->figures);
    if (size < 0 || size >= (int)sizeof line)
        return err_set(err, ST_RANGE, "%s: row %lld is too long", path, (long long)row->id);
    for (int done = 0; done < size;) {
        ssize_t n = write(fd, line + done, (size_t)(size - done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_errno(err, ST_IO, "cannot write %s", path);
        done += (int)n;
    }
    return ST_OK;
}

/* ---- what follows a change ---- */

struct unfinished {
    struct registry *r;
    int fd;
    const char *path;
    enum status st;
    struct err *err;
    bool published;
};

static enum status object_remove(struct registry *r, int64_t model, struct err *err) {
    struct registry_entry entry;
    char path[REGISTRY_PATH_SIZE];
    enum status st = registry_get(r, &entry, model, err);
    if (st == ST_OK) st = registry_path(r, path, &entry, err);
    if (st != ST_OK || entry.removed_ns == 0) return st;
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, ST_IO, "cannot remove %s", path);
    return ST_OK;
}

static bool finish_row(void *context, const struct registry_audit_row *row) {
    struct unfinished *u = context;
    for (int k = 0; k < MODEL_COUNT && !u->published && u->st == ST_OK; k++)
        u->st = pointer_publish(u->r, (enum model_kind)k, u->err);
    u->published = true;
    if (u->st == ST_OK && strcmp(row->event, "remove") == 0)
        u->st = object_remove(u->r, row->model, u->err);
    if (u->st == ST_OK) u->st = log_append(u->fd, u->path, row, u->err);
    return u->st == ST_OK;
}

enum status registry_finish(struct registry *r, struct err *err) {
    char path[REGISTRY_PATH_SIZE];
    int64_t last;
    enum status st = fs_path(path, err, "%s/audit.log", r->dir);
    if (st != ST_OK) return st;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return err_errno(err, ST_IO, "cannot open %s", path);
    struct unfinished u = {r, fd, path, ST_OK, err, false};
    st = log_last(fd, path, &last, err);
    if (st == ST_OK) st = registry_audit(r, 0, last, finish_row, &u, err);
    if (st == ST_OK) st = u.st;
    if (st == ST_OK && u.published && fdatasync(fd) != 0)
        st = err_errno(err, ST_IO, "cannot sync %s", path);
    close(fd);
    return st;
}

/* ---- audit ---- */

enum status registry_audit_put(struct registry *r, const struct registry_entry *entry,
                               const char *event, const char *from, const char *to,
                               const struct registry_change *change, struct err *err) {
    char figures[REGISTRY_FIGURES_SIZE];
    sqlite3_stmt *s;
    enum status st = registry_verdict_figures(figures, change->verdict, err);
    if (st == ST_OK)
        st = registry_sql_prepare(r, &s,
                                  "INSERT INTO audit (ts_ns, model, event, state_from, state_to,"
                                  " actor, reason, figures) VALUES (?,?,?,?,?,?,?,?)",
                                  err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, change->now_ns);
    sqlite3_bind_int64(s, 2, entry->id);
    registry_sql_bind_text(s, 3, event);
    registry_sql_bind_text(s, 4, from);
    registry_sql_bind_text(s, 5, to);
    registry_sql_bind_text(s, 6, change->actor);
    registry_sql_bind_text(s, 7, change->reason);
    registry_sql_bind_text(s, 8, figures);
    return registry_sql_run(r, s, "audit", err);
}

static enum status audit_read(struct registry *r, struct registry_audit_row *out, sqlite3_stmt *s,
                              struct err *err) {
    char hash[REGISTRY_HASH_SIZE], kind[16];
    memset(out, 0, sizeof *out);
    struct {
        char *out;
        size_t size;
    } texts[] = {{hash, sizeof hash},
                 {kind, sizeof kind},
                 {out->event, sizeof out->event},
                 {out->from, sizeof out->from},
                 {out->to, sizeof out->to},
                 {out->actor, sizeof out->actor},
                 {out->reason, sizeof out->reason},
                 {out->figures, sizeof out->figures}};
    for (int i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++) {
        enum status st = registry_sql_text(r, texts[i].out, texts[i].size, s, 3 + i, err);
        if (st != ST_OK) return st;
    }
    out->id = sqlite3_column_int64(s, 0);
    out->ts_ns = sqlite3_column_int64(s, 1);
    out->model = sqlite3_column_int64(s, 2);
    if (registry_hash_parse(&out->hash, hash, strlen(hash)) &&
        model_kind_parse(&out->kind, kind, strlen(kind)))
        return ST_OK;
    return err_set(err, ST_CORRUPT, "%.3900s/registry.sqlite: audit row %lld does not hold", r->dir,
                   (long long)out->id);
}

enum status registry_audit(struct registry *r, int64_t model, int64_t after, registry_audit_fn fn,
                           void *context, struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(
        r, &s,
        "SELECT audit.id, ts_ns, model, hash, kind, event, state_from, state_to, actor, reason,"
        " figures FROM audit JOIN models ON models.id = audit.model"
        " WHERE audit.id > ?2 AND (?1 = 0 OR model = ?1) ORDER BY audit.id",
        err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, model);
    sqlite3_bind_int64(s, 2, after);
    int code = SQLITE_DONE;
    bool more = true;
    while (more && st == ST_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct registry_audit_row row;
        st = audit_read(r, &row, s, err);
        if (st == ST_OK) more = fn(context, &row);
    }
    if (more && st == ST_OK && code != SQLITE_DONE) st = registry_sql_failed(r, "audit", err);
    sqlite3_finalize(s);
    return st;
}

enum status registry_generation(struct registry *r, int64_t *out, struct err *err) {
    return registry_sql_int(r, out, "SELECT coalesce(max(id), 0) FROM audit", err);
}

/* ---- lock and transaction ---- */

static enum status change_check(const struct registry_change *change, struct err *err) {
    if (!*change->actor || strlen(change->actor) >= REGISTRY_ACTOR_SIZE)
        return err_set(err, ST_RANGE, "actor '%.80s': 1 to %d bytes", change->actor,
                       REGISTRY_ACTOR_SIZE - 1);
    if (strlen(change->reason) >= REGISTRY_REASON_SIZE)
        return err_set(err, ST_RANGE, "reason '%.80s…': at most %d bytes", change->reason,
                       REGISTRY_REASON_SIZE - 1);
    if (change->now_ns <= 0) return err_set(err, ST_RANGE, "a change must know its time");
    return ST_OK;
}

enum status registry_change_begin(struct registry *r, int *lock,
                                  const struct registry_change *change, struct err *err) {
    enum status st = change_check(change, err);
    if (st == ST_OK) st = fs_lock_dir(lock, r->dir, err);
    if (st != ST_OK) return st;
    st = registry_sql_exec(r, "BEGIN IMMEDIATE", err);
    if (st != ST_OK) fs_unlock(*lock);
    return st;
}

enum status registry_change_end(struct registry *r, int lock, enum status st, struct err *err) {
    if (st == ST_OK) {
        st = registry_sql_exec(r, "COMMIT", err);
        if (st == ST_OK && (st = registry_finish(r, err)) != ST_OK)
            err_wrap(err, st,
                     "the change holds, but is not finished (the next one, or opening "
                     "the registry, tries again)");
    }
    /* An error rolls back what it left open; the error to tell is st's. */
    if (!sqlite3_get_autocommit(r->sql)) sqlite3_exec(r->sql, "ROLLBACK", NULL, NULL, NULL);
    fs_unlock(lock);
    return st;
}
