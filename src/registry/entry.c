/* Models: rows and objects. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "registry/registry_internal.h"
#include "store/fs.h"

_Static_assert((int)REGISTRY_PATH_SIZE == (int)STORE_PATH_SIZE, "one size of paths");

const char *registry_hash_text(char out[REGISTRY_HASH_SIZE], uint64_t hash) {
    snprintf(out, REGISTRY_HASH_SIZE, "%016llx", (unsigned long long)hash);
    return out;
}

bool registry_hash_parse(uint64_t *out, const char *text, size_t size) {
    uint64_t hash = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (!digit && !letter) return false;
        hash = hash << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *out = hash;
    return size == REGISTRY_HASH_SIZE - 1;
}

enum status registry_entry_read(struct registry *r, struct registry_entry *out, sqlite3_stmt *s,
                                struct err *err) {
    char hash[REGISTRY_HASH_SIZE], parent[REGISTRY_HASH_SIZE], kind[16], state[16];
    memset(out, 0, sizeof *out);
    enum status st = registry_sql_text(r, hash, sizeof hash, s, 1, err);
    if (st == ST_OK) st = registry_sql_text(r, parent, sizeof parent, s, 3, err);
    if (st == ST_OK) st = registry_sql_text(r, kind, sizeof kind, s, 4, err);
    if (st == ST_OK) st = registry_sql_text(r, state, sizeof state, s, 5, err);
    if (st == ST_OK) st = registry_sql_text(r, out->suffix, sizeof out->suffix, s, 14, err);
    if (st != ST_OK) return st;
    out->id = sqlite3_column_int64(s, 0);
    if (!registry_hash_parse(&out->hash, hash, strlen(hash)) ||
        (*parent && !registry_hash_parse(&out->parent, parent, strlen(parent))) ||
        !model_kind_parse(&out->kind, kind, strlen(kind)) ||
        !promotion_state_parse(&out->state, state))
        return err_set(err, ST_CORRUPT, "%.3900s/registry.sqlite: model #%lld does not hold",
                       r->dir, (long long)out->id);
    out->size = (uint64_t)sqlite3_column_int64(s, 2);
    out->predecessor = sqlite3_column_int64(s, 6);
    out->interval_ns = sqlite3_column_int64(s, 7);
    out->train_from_ns = sqlite3_column_int64(s, 8);
    out->data_end_ns = sqlite3_column_int64(s, 9);
    out->added_ns = sqlite3_column_int64(s, 10);
    out->served_ns = sqlite3_column_int64(s, 11);
    out->removed_ns = sqlite3_column_int64(s, 12);
    out->has_skill = sqlite3_column_int(s, 13) != 0;
    return ST_OK;
}

/* ---- finding ---- */

/* The one row of a prepared query; finalizes it. ST_NOT_FOUND without touching err. */
static enum status one_row(struct registry *r, struct registry_entry *out, sqlite3_stmt *s,
                           struct err *err) {
    enum status st;
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        st = registry_entry_read(r, out, s, err);
    else
        st = code == SQLITE_DONE ? ST_NOT_FOUND : registry_sql_failed(r, "model", err);
    sqlite3_finalize(s);
    return st;
}

enum status registry_get(struct registry *r, struct registry_entry *out, int64_t id,
                         struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(
        r, &s, "SELECT " REGISTRY_ENTRY_COLUMNS " FROM models WHERE id = ?", err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, id);
    st = one_row(r, out, s, err);
    return st == ST_NOT_FOUND ? err_set(err, st, "no model #%lld", (long long)id) : st;
}

enum status registry_get_hash(struct registry *r, struct registry_entry *out, uint64_t hash,
                              struct err *err) {
    char text[REGISTRY_HASH_SIZE];
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(
        r, &s, "SELECT " REGISTRY_ENTRY_COLUMNS " FROM models WHERE hash = ?", err);
    if (st != ST_OK) return st;
    registry_sql_bind_text(s, 1, registry_hash_text(text, hash));
    st = one_row(r, out, s, err);
    return st == ST_NOT_FOUND ? err_set(err, st, "no model with hash %s", text) : st;
}

enum status registry_serving(struct registry *r, struct registry_entry *out, enum model_kind kind,
                             struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(r, &s,
                                          "SELECT " REGISTRY_ENTRY_COLUMNS " FROM models WHERE id ="
                                          " (SELECT model FROM serving WHERE kind = ?)",
                                          err);
    if (st != ST_OK) return st;
    registry_sql_bind_text(s, 1, model_kind_text(kind));
    st = one_row(r, out, s, err);
    return st == ST_NOT_FOUND ? err_set(err, st, "no %s serves", model_kind_text(kind)) : st;
}

static enum status find_prefix(struct registry *r, struct registry_entry *out, const char *text,
                               size_t size, struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(r, &s,
                                          "SELECT " REGISTRY_ENTRY_COLUMNS " FROM models"
                                          " WHERE substr(hash, 1, ?2) = ?1 ORDER BY id LIMIT 2",
                                          err);
    if (st != ST_OK) return st;
    registry_sql_bind_text(s, 1, text);
    sqlite3_bind_int64(s, 2, (int64_t)size);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        st = registry_entry_read(r, out, s, err);
        code = sqlite3_step(s);
        if (st == ST_OK && code == SQLITE_ROW)
            st = err_set(err, ST_MISMATCH, "several models begin with %s: give more digits", text);
        else if (st == ST_OK && code != SQLITE_DONE)
            st = registry_sql_failed(r, "find", err);
    } else {
        st = code == SQLITE_DONE ? err_set(err, ST_NOT_FOUND, "no model #%s or hash %s", text, text)
                                 : registry_sql_failed(r, "find", err);
    }
    sqlite3_finalize(s);
    return st;
}

enum status registry_find(struct registry *r, struct registry_entry *out, const char *text,
                          struct err *err) {
    enum { ID_DIGITS_MAX = 15, PREFIX_MIN = 4 };
    bool marked = *text == '#';
    const char *digits = text + marked;
    size_t size = strlen(digits), decimal = strspn(digits, "0123456789");
    if (size > 0 && decimal == size && size <= ID_DIGITS_MAX) {
        int64_t id = 0;
        for (size_t i = 0; i < size; i++) id = id * 10 + (digits[i] - '0');
        enum status st = registry_get(r, out, id, err);
        if (st != ST_NOT_FOUND || marked || size < PREFIX_MIN) return st;
    }
    bool hex = strspn(digits, "0123456789abcdef") == size;
    if (marked || !hex || size < PREFIX_MIN || size >= REGISTRY_HASH_SIZE)
        return err_set(err, ST_NOT_FOUND,
                       "'%.80s' is no model: an id (7 or #7), or 4 to 16 digits of a hash", text);
    return find_prefix(r, out, digits, size, err);
}

enum status registry_list(struct registry *r, registry_entry_fn fn, void *context,
                          struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(
        r, &s, "SELECT " REGISTRY_ENTRY_COLUMNS " FROM models ORDER BY id", err);
    if (st != ST_OK) return st;
    int code = SQLITE_DONE;
    bool more = true;
    while (more && st == ST_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct registry_entry entry;
        st = registry_entry_read(r, &entry, s, err);
        if (st == ST_OK) more = fn(context, &entry);
    }
    if (more && st == ST_OK && code != SQLITE_DONE) st = registry_sql_failed(r, "list", err);
    sqlite3_finalize(s);
    return st;
}

/* ---- objects ---- */

enum status registry_path(const struct registry *r, char out[REGISTRY_PATH_SIZE],
                          const struct registry_entry *entry, struct err *err) {
    char hash[REGISTRY_HASH_SIZE];
    return fs_path(out, err, "%s/objects/%s%s", r->dir, registry_hash_text(hash, entry->hash),
                   entry->suffix);
}

enum status registry_verify(const struct registry *r, const struct registry_entry *entry,
                            struct err *err) {
    char path[REGISTRY_PATH_SIZE];
    void *bytes;
    size_t size;
    enum status st = registry_path(r, path, entry, err);
    if (st == ST_OK) st = fs_map(&bytes, &size, path, err);
    if (st != ST_OK) return err_wrap(err, st, "model #%lld", (long long)entry->id);
    if (size != entry->size || hash64(bytes, size) != entry->hash)
        st = err_set(err, ST_CORRUPT, "model #%lld: %.400s is not what its name says",
                     (long long)entry->id, path);
    if (bytes) munmap(bytes, size);
    return st;
}

/* Written anew unless the very bytes are there: a damaged object is healed by the true one. */
static enum status object_put(struct registry *r, const struct registry_entry *entry,
                              const void *bytes, struct err *err) {
    char path[REGISTRY_PATH_SIZE];
    if (registry_verify(r, entry, NULL) == ST_OK) return ST_OK;
    enum status st = registry_path(r, path, entry, err);
    struct fs_part part = {bytes, (size_t)entry->size, 0};
    return st == ST_OK ? fs_replace(path, &part, 1, err) : st;
}

static enum status row_insert(struct registry *r, struct registry_entry *entry, const char *card,
                              struct err *err) {
    char hash[REGISTRY_HASH_SIZE], parent[REGISTRY_HASH_SIZE];
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(
        r, &s,
        "INSERT INTO models (hash, size, parent, kind, state, interval_ns, train_from_ns,"
        " data_end_ns, added_ns, has_skill, suffix, card) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        err);
    if (st != ST_OK) return st;
    registry_sql_bind_text(s, 1, registry_hash_text(hash, entry->hash));
    sqlite3_bind_int64(s, 2, (int64_t)entry->size);
    registry_sql_bind_text(s, 3, entry->parent ? registry_hash_text(parent, entry->parent) : "");
    registry_sql_bind_text(s, 4, model_kind_text(entry->kind));
    registry_sql_bind_text(s, 5, promotion_state_text(entry->state));
    sqlite3_bind_int64(s, 6, entry->interval_ns);
    sqlite3_bind_int64(s, 7, entry->train_from_ns);
    sqlite3_bind_int64(s, 8, entry->data_end_ns);
    sqlite3_bind_int64(s, 9, entry->added_ns);
    sqlite3_bind_int(s, 10, entry->has_skill);
    registry_sql_bind_text(s, 11, entry->suffix);
    registry_sql_bind_text(s, 12, card);
    st = registry_sql_run(r, s, "new model", err);
    entry->id = sqlite3_last_insert_rowid(r->sql);
    return st;
}

static enum status add_bytes(struct registry *r, struct registry_entry *out, const void *bytes,
                             size_t size, const struct registry_card *card,
                             const struct registry_change *change, struct err *err) {
    char text[REGISTRY_CARD_SIZE];
    uint64_t hash = hash64(bytes, size);
    enum status st = registry_get_hash(r, out, hash, err);
    if (st == ST_OK && out->removed_ns == 0) st = object_put(r, out, bytes, err);
    if (st == ST_OK) return err_set(err, ST_EXISTS, "is model #%lld already", (long long)out->id);
    if (st != ST_NOT_FOUND) return st;
    const char *suffix = learn_file_suffix(card->kind);
    if (strlen(suffix) >= sizeof out->suffix)
        return err_set(err, ST_RANGE, "suffix %s is too long", suffix);
    *out = (struct registry_entry){.hash = hash,
                                   .size = size,
                                   .parent = card->parent,
                                   .kind = card->kind,
                                   .state = PROMOTION_CANDIDATE,
                                   .interval_ns = card->interval_ns,
                                   .train_from_ns = card->report->train_from_ns,
                                   .data_end_ns = card->data_end_ns,
                                   .added_ns = change->now_ns,
                                   .has_skill = card->report->has_skill};
    memcpy(out->suffix, suffix, strlen(suffix) + 1);
    st = registry_card_json(text, hash, card, err);
    if (st == ST_OK) st = object_put(r, out, bytes, err);
    if (st == ST_OK) st = row_insert(r, out, text, err);
    if (st == ST_OK)
        st = registry_audit_put(r, out, "add", "", promotion_state_text(out->state), change, err);
    return st;
}

enum status registry_add(struct registry *r, struct registry_entry *out, const char *path,
                         const struct registry_card *card, const struct registry_change *change,
                         struct err *err) {
    void *bytes;
    size_t size;
    int lock;
    memset(out, 0, sizeof *out);
    enum status st = fs_map(&bytes, &size, path, err);
    if (st != ST_OK) return st;
    if (size == 0) return err_set(err, ST_INVALID, "%s is empty", path);
    st = registry_change_begin(r, &lock, change, err);
    if (st == ST_OK) {
        st = add_bytes(r, out, bytes, size, card, change, err);
        if (st != ST_OK) err_wrap(err, st, "%.300s", path);
        st = registry_change_end(r, lock, st, err);
    }
    munmap(bytes, size);
    return st;
}
