/* Opening, states and seats. */
#include "registry/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/registry_internal.h"
#include "store/fs.h"

static enum status open_dir(struct registry *r, struct err *err) {
    static const char *const folders[] = {"objects", "serving"};
    char path[REGISTRY_PATH_SIZE];
    int lock;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        enum status st = fs_path(path, err, "%s/%s", r->dir, folders[i]);
        if (st == ST_OK) st = fs_make_dirs(path, err);
        if (st != ST_OK) return st;
    }
    enum status st = fs_lock_dir(&lock, r->dir, err);
    if (st != ST_OK) return st;
    st = registry_sql_open(r, err);
    if (st == ST_OK) st = registry_finish(r, err);
    fs_unlock(lock);
    return st;
}

enum status registry_open(struct registry **out, const char *dir, bool read_only, struct err *err) {
    char path[REGISTRY_PATH_SIZE];
    *out = NULL;
    enum status st = fs_path(path, err, "%s/registry.sqlite", dir);
    if (st != ST_OK) return st;
    if (read_only && access(path, F_OK) != 0)
        return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", path);
    struct registry *r = calloc(1, sizeof *r);
    if (!r) return err_set(err, ST_NO_MEMORY, "no memory for a registry");
    memcpy(r->dir, dir, strlen(dir) + 1); /* shorter than path */
    r->read_only = read_only;
    st = read_only ? registry_sql_open(r, err) : open_dir(r, err);
    if (st == ST_OK)
        *out = r;
    else
        registry_close(r);
    return st;
}

void registry_close(struct registry *r) {
    if (!r) return;
    sqlite3_close(r->sql);
    free(r);
}

/* ---- one model's state ---- */

/* Checks the pair, writes state and audit row. Inside a change. */
static enum status move(struct registry *r, struct registry_entry *entry,
                        enum promotion_event event, const struct registry_change *change,
                        struct err *err) {
    enum promotion_state from = entry->state, to;
    char verdict[1024];
    if (!promotion_transition(&to, from, event))
        return err_set(err, ST_REFUSED, "model #%lld is %s: no %s from there", (long long)entry->id,
                       promotion_state_text(from), promotion_event_text(event));
    sqlite3_stmt *s;
    enum status st = ST_OK;
    if (change->verdict) st = registry_verdict_json(verdict, sizeof verdict, change->verdict, err);
    if (st == ST_OK)
        st = registry_sql_prepare(
            r, &s, "UPDATE models SET state = ?2, verdict = coalesce(?3, verdict) WHERE id = ?1",
            err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, entry->id);
    registry_sql_bind_text(s, 2, promotion_state_text(to));
    if (change->verdict) registry_sql_bind_text(s, 3, verdict);
    st = registry_sql_run(r, s, "state", err);
    entry->state = to;
    if (st != ST_OK) return st;
    return registry_audit_put(r, entry, promotion_event_text(event), promotion_state_text(from),
                              promotion_state_text(to), change, err);
}

enum status registry_event(struct registry *r, int64_t id, enum promotion_event event,
                           const struct registry_change *change, struct err *err) {
    struct registry_entry entry;
    int lock;
    if (event != PROMOTION_SHADOW_BEGIN && event != PROMOTION_ACCEPT && event != PROMOTION_REJECT)
        return err_set(err, ST_INVALID, "%s is an event of seats", promotion_event_text(event));
    enum status st = registry_change_begin(r, &lock, change, err);
    if (st != ST_OK) return st;
    st = registry_get(r, &entry, id, err);
    if (st == ST_OK) st = move(r, &entry, event, change, err);
    return registry_change_end(r, lock, st, err);
}

static enum status remove_marked(struct registry *r, int64_t id,
                                 const struct registry_change *change, struct err *err) {
    struct registry_entry entry;
    sqlite3_stmt *s;
    enum status st = registry_get(r, &entry, id, err);
    if (st != ST_OK) return st;
    if (entry.state != PROMOTION_REJECTED || entry.served_ns != 0)
        return err_set(err, ST_REFUSED, "model #%lld is %s: only files of rejected ones go",
                       (long long)id, promotion_state_text(entry.state));
    if (entry.removed_ns != 0)
        return err_set(err, ST_EXISTS, "model #%lld is removed", (long long)id);
    st = registry_sql_prepare(r, &s, "UPDATE models SET removed_ns = ?2 WHERE id = ?1", err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, id);
    sqlite3_bind_int64(s, 2, change->now_ns);
    st = registry_sql_run(r, s, "remove", err);
    const char *state = promotion_state_text(entry.state);
    return st == ST_OK ? registry_audit_put(r, &entry, "remove", state, state, change, err) : st;
}

enum status registry_remove(struct registry *r, int64_t id, const struct registry_change *change,
                            struct err *err) {
    int lock;
    enum status st = registry_change_begin(r, &lock, change, err);
    if (st != ST_OK) return st;
    return registry_change_end(r, lock, remove_marked(r, id, change, err), err);
}

/* ---- seats ---- */

/* The seat to a model, or to nobody (NULL). Inside a change. */
static enum status seat_give(struct registry *r, enum model_kind kind,
                             const struct registry_entry *entry, int64_t now_ns, struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(
        r, &s,
        entry ? "INSERT INTO serving (kind, model, since_ns) VALUES (?1, ?2, ?3) ON CONFLICT (kind)"
                " DO UPDATE SET model = excluded.model, since_ns = excluded.since_ns"
              : "DELETE FROM serving WHERE kind = ?1",
        err);
    if (st != ST_OK) return st;
    registry_sql_bind_text(s, 1, model_kind_text(kind));
    if (entry) {
        sqlite3_bind_int64(s, 2, entry->id);
        sqlite3_bind_int64(s, 3, now_ns);
    }
    st = registry_sql_run(r, s, "seat", err);
    if (st != ST_OK || !entry) return st;
    st = registry_sql_prepare(r, &s,
                              "UPDATE models SET served_ns = ?2 WHERE id = ?1 AND served_ns"
                              " IS NULL",
                              err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, entry->id);
    sqlite3_bind_int64(s, 2, now_ns);
    return registry_sql_run(r, s, "served", err);
}

static enum status predecessor_set(struct registry *r, int64_t id, int64_t predecessor,
                                   struct err *err) {
    sqlite3_stmt *s;
    enum status st =
        registry_sql_prepare(r, &s, "UPDATE models SET predecessor = ?2 WHERE id = ?1", err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, id);
    if (predecessor != 0) sqlite3_bind_int64(s, 2, predecessor);
    return registry_sql_run(r, s, "predecessor", err);
}

static enum status promote(struct registry *r, int64_t id, enum promotion_event event,
                           const struct registry_change *change, struct err *err) {
    struct registry_entry entry, old;
    enum status st = registry_get(r, &entry, id, err);
    if (st != ST_OK) return st;
    if (entry.state == PROMOTION_SERVING)
        return err_set(err, ST_EXISTS, "model #%lld serves already", (long long)id);
    enum status there = registry_serving(r, &old, entry.kind, err);
    if (there != ST_OK && there != ST_NOT_FOUND) return there;
    /* The table first: its words are the better ones for a rejected model whose file is gone. */
    st = move(r, &entry, event, change, err);
    if (st == ST_OK) st = registry_verify(r, &entry, err);
    struct registry_change retire = {change->actor, change->reason, NULL, change->now_ns};
    if (st == ST_OK && there == ST_OK) st = move(r, &old, PROMOTION_RETIRE, &retire, err);
    if (st == ST_OK) st = predecessor_set(r, id, there == ST_OK ? old.id : 0, err);
    if (st == ST_OK) st = seat_give(r, entry.kind, &entry, change->now_ns, err);
    return st;
}

enum status registry_promote(struct registry *r, int64_t id, enum promotion_event event,
                             const struct registry_change *change, struct err *err) {
    int lock;
    if (event != PROMOTION_PROMOTE && event != PROMOTION_INSTALL && event != PROMOTION_RESTORE)
        return err_set(err, ST_INVALID, "%s does not lead to a seat", promotion_event_text(event));
    enum status st = registry_change_begin(r, &lock, change, err);
    if (st != ST_OK) return st;
    return registry_change_end(r, lock, promote(r, id, event, change, err), err);
}

/* Who can take over: ST_NOT_FOUND, ST_CORRUPT. */
static enum status successor(struct registry *r, struct registry_entry *out,
                             const struct registry_entry *served, struct err *err) {
    if (served->predecessor == 0)
        return err_set(err, ST_NOT_FOUND, "%s #%lld has no predecessor",
                       model_kind_text(served->kind), (long long)served->id);
    enum status st = registry_get(r, out, served->predecessor, err);
    return st == ST_OK ? registry_verify(r, out, err) : st;
}

static enum status retreat(struct registry *r, struct registry_entry *out, enum model_kind kind,
                           enum promotion_event event, const struct registry_change *change,
                           struct err *err) {
    struct registry_entry served, next;
    char reason[REGISTRY_REASON_SIZE];
    struct registry_change leave = *change,
                           restore = {change->actor, change->reason, NULL, change->now_ns};
    enum status st = registry_serving(r, &served, kind, err);
    if (st != ST_OK) return st;
    enum status found = successor(r, &next, &served, err);
    if (found != ST_OK && event == PROMOTION_ROLL_BACK) return found;
    if (found != ST_OK && found != ST_NOT_FOUND && found != ST_CORRUPT) return found;
    if (found != ST_OK && served.predecessor != 0) { /* a demotion does not wait for a repair */
        snprintf(reason, sizeof reason, "%.200s; #%lld is damaged", change->reason,
                 (long long)served.predecessor);
        leave.reason = reason;
    }
    st = move(r, &served, event, &leave, err);
    if (st == ST_OK && found == ST_OK) st = move(r, &next, PROMOTION_RESTORE, &restore, err);
    if (st == ST_OK) st = seat_give(r, kind, found == ST_OK ? &next : NULL, change->now_ns, err);
    if (st == ST_OK && found == ST_OK) *out = next;
    return st;
}

enum status registry_retreat(struct registry *r, struct registry_entry *out, enum model_kind kind,
                             enum promotion_event event, const struct registry_change *change,
                             struct err *err) {
    int lock;
    memset(out, 0, sizeof *out);
    if (event != PROMOTION_DEMOTE && event != PROMOTION_ROLL_BACK)
        return err_set(err, ST_INVALID, "%s does not take a seat away",
                       promotion_event_text(event));
    enum status st = registry_change_begin(r, &lock, change, err);
    if (st != ST_OK) return st;
    return registry_change_end(r, lock, retreat(r, out, kind, event, change, err), err);
}
