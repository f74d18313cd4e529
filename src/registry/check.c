/* Everything against everything. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "registry/registry_internal.h"
#include "store/fs.h"

struct check {
    struct registry *r;
    size_t problems;
    registry_problem_fn fn;
    void *context;
};

__attribute__((format(printf, 2, 3))) static void problem(struct check *c, const char *format,
                                                          ...) {
    char text[ERR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->problems++;
    if (c->fn) c->fn(c->context, text);
}

/* The first column of each row is a problem's text. */
static enum status check_query(struct check *c, const char *query, const char *fine,
                               struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(c->r, &s, query, err);
    if (st != ST_OK) return st;
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(s, 0);
        if (text && strcmp(text, fine) != 0) problem(c, "registry.sqlite: %s", text);
    }
    if (code != SQLITE_DONE) st = registry_sql_failed(c->r, "check", err);
    sqlite3_finalize(s);
    return st;
}

static bool check_object(void *context, const struct registry_entry *entry) {
    struct check *c = context;
    struct err err;
    if (entry->removed_ns == 0 && registry_verify(c->r, entry, &err) != ST_OK)
        problem(c, "%s", err.text);
    return true;
}

static enum status check_pointer(struct check *c, enum model_kind kind, struct err *err) {
    char path[REGISTRY_PATH_SIZE], expected[REGISTRY_POINTER_SIZE];
    void *text = NULL;
    size_t size = 0;
    enum status st = registry_pointer_text(c->r, expected, kind, err);
    if (st == ST_OK) st = registry_pointer_path(c->r, path, kind, err);
    if (st != ST_OK) return st;
    enum status there = fs_map(&text, &size, path, NULL);
    bool same = size == strlen(expected) && (size == 0 || memcmp(text, expected, size) == 0);
    if (text) munmap(text, size);
    if (there != ST_OK && there != ST_NOT_FOUND)
        problem(c, "%.400s cannot be read", path);
    else if (!same)
        problem(c, "%.400s does not name who serves", path);
    return ST_OK;
}

/* Objects without a row: of a process that died before it could write one, or put there by somebody. */
static enum status check_strangers(struct check *c, struct err *err) {
    char path[REGISTRY_PATH_SIZE];
    enum status st = fs_path(path, err, "%s/objects", c->r->dir);
    if (st != ST_OK) return st;
    DIR *dir = opendir(path);
    if (!dir) return err_errno(err, ST_IO, "%s", path);
    const struct dirent *item;
    while (st == ST_OK && (item = readdir(dir))) {
        uint64_t hash;
        struct registry_entry entry;
        if (item->d_name[0] == '.') continue;
        bool named = strlen(item->d_name) >= REGISTRY_HASH_SIZE - 1 &&
                     registry_hash_parse(&hash, item->d_name, REGISTRY_HASH_SIZE - 1);
        enum status found = named ? registry_get_hash(c->r, &entry, hash, err) : ST_NOT_FOUND;
        bool known = found == ST_OK && entry.removed_ns == 0 &&
                     strcmp(item->d_name + REGISTRY_HASH_SIZE - 1, entry.suffix) == 0;
        if (found != ST_OK && found != ST_NOT_FOUND)
            st = found;
        else if (!known)
            problem(c, "objects/%.255s: no model has this file", item->d_name);
    }
    closedir(dir);
    return st;
}

enum status registry_check(struct registry *r, size_t *out_problems, registry_problem_fn fn,
                           void *context, struct err *err) {
    static const char *const queries[] = {
        "PRAGMA integrity_check",
        ("SELECT 'model #' || id || ' is ' || state || ', its last audit row says ' ||"
         " coalesce((SELECT state_to FROM audit WHERE model = models.id ORDER BY audit.id DESC"
         " LIMIT 1), 'nothing') AS text FROM models WHERE state IS NOT"
         " (SELECT state_to FROM audit WHERE model = models.id ORDER BY audit.id DESC LIMIT 1)"),
        ("SELECT 'model #' || models.id || ' is serving without a seat' FROM models"
         " LEFT JOIN serving ON serving.model = models.id AND serving.kind = models.kind"
         " WHERE models.state = 'serving' AND serving.model IS NULL"),
        ("SELECT 'the seat of ' || serving.kind || ' is held by #' || models.id || ', which is ' ||"
         " state FROM serving JOIN models ON models.id = serving.model"
         " WHERE models.state <> 'serving' OR models.served_ns IS NULL"),
        ("SELECT 'the audit has ' || count(*) || ' rows, the last is ' || max(id) FROM audit"
         " HAVING count(*) <> coalesce(max(id), 0)")};
    struct check c = {r, 0, fn, context};
    enum status st = ST_OK;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0] && st == ST_OK; i++)
        st = check_query(&c, queries[i], "ok", err);
    if (st == ST_OK) st = registry_list(r, check_object, &c, err);
    for (int k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        st = check_pointer(&c, (enum model_kind)k, err);
    if (st == ST_OK) st = check_strangers(&c, err);
    *out_problems = c.problems;
    return st;
}
