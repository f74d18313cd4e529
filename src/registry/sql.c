/* The database: schema, and what every file here needs of SQLite. */
#include <string.h>

#include "registry/registry_internal.h"

enum {
    SCHEMA_VERSION = 1,
    APPLICATION_ID = 0x5154726d, /* "QTrm" */
    BUSY_TIMEOUT_MS = 5000
};

/* Append-only and keep-what-served are the database's own rules, whoever writes to it. */
static const char SCHEMA[] =
    "CREATE TABLE models (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE,"
    " size INTEGER NOT NULL, parent TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,"
    " predecessor INTEGER REFERENCES models (id), interval_ns INTEGER NOT NULL,"
    " train_from_ns INTEGER NOT NULL, data_end_ns INTEGER NOT NULL, added_ns INTEGER NOT NULL,"
    " served_ns INTEGER, removed_ns INTEGER, has_skill INTEGER NOT NULL, suffix TEXT NOT NULL,"
    " card TEXT NOT NULL, verdict TEXT);"
    "CREATE TABLE serving (kind TEXT PRIMARY KEY,"
    " model INTEGER NOT NULL UNIQUE REFERENCES models (id), since_ns INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL,"
    " model INTEGER NOT NULL REFERENCES models (id), event TEXT NOT NULL,"
    " state_from TEXT NOT NULL, state_to TEXT NOT NULL, actor TEXT NOT NULL,"
    " reason TEXT NOT NULL, figures TEXT NOT NULL);"
    "CREATE INDEX audit_model ON audit (model);"
    "CREATE TRIGGER audit_stays BEFORE DELETE ON audit"
    " BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;"
    "CREATE TRIGGER audit_is_true BEFORE UPDATE ON audit"
    " BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;"
    "CREATE TRIGGER models_stay BEFORE DELETE ON models"
    " BEGIN SELECT raise(ABORT, 'models are never forgotten'); END;"
    "CREATE TRIGGER served_files_stay BEFORE UPDATE OF removed_ns, served_ns ON models"
    " WHEN (new.served_ns IS NOT NULL AND new.removed_ns IS NOT NULL)"
    " OR (old.served_ns IS NOT NULL AND new.served_ns IS NOT old.served_ns)"
    " BEGIN SELECT raise(ABORT, 'a file that was served is kept'); END;"
    "CREATE VIEW audit_readable AS SELECT audit.id,"
    " strftime('%Y-%m-%dT%H:%M:%SZ', ts_ns / 1000000000, 'unixepoch') AS utc, model, kind, hash,"
    " event, state_from, state_to, actor, reason, figures"
    " FROM audit JOIN models ON models.id = audit.model ORDER BY audit.id;";

static enum status status_of(int code) {
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ST_AGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ST_CORRUPT;
    case SQLITE_NOMEM:
        return ST_NO_MEMORY;
    case SQLITE_READONLY:
    case SQLITE_CONSTRAINT:
        return ST_REFUSED;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
        return ST_IO;
    default:
        return ST_EXTERNAL;
    }
}

enum status registry_sql_failed(struct registry *r, const char *what, struct err *err) {
    return err_set(err, status_of(sqlite3_extended_errcode(r->sql)),
                   "%.3900s/registry.sqlite: %s: %s", r->dir, what, sqlite3_errmsg(r->sql));
}

enum status registry_sql_exec(struct registry *r, const char *text, struct err *err) {
    if (sqlite3_exec(r->sql, text, NULL, NULL, NULL) == SQLITE_OK) return ST_OK;
    return registry_sql_failed(r, "exec", err);
}

enum status registry_sql_prepare(struct registry *r, sqlite3_stmt **out, const char *text,
                                 struct err *err) {
    if (sqlite3_prepare_v2(r->sql, text, -1, out, NULL) == SQLITE_OK) return ST_OK;
    return registry_sql_failed(r, "prepare", err);
}

enum status registry_sql_run(struct registry *r, sqlite3_stmt *s, const char *what,
                             struct err *err) {
    enum status st = sqlite3_step(s) == SQLITE_DONE ? ST_OK : registry_sql_failed(r, what, err);
    sqlite3_finalize(s);
    return st;
}

enum status registry_sql_int(struct registry *r, int64_t *out, const char *text, struct err *err) {
    sqlite3_stmt *s;
    enum status st = registry_sql_prepare(r, &s, text, err);
    if (st != ST_OK) return st;
    if (sqlite3_step(s) == SQLITE_ROW)
        *out = sqlite3_column_int64(s, 0);
    else
        st = registry_sql_failed(r, text, err);
    sqlite3_finalize(s);
    return st;
}

void registry_sql_bind_text(sqlite3_stmt *s, int index, const char *text) {
    sqlite3_bind_text(s, index, text, -1, SQLITE_TRANSIENT);
}

enum status registry_sql_text(struct registry *r, char *out, size_t out_size, sqlite3_stmt *s,
                              int column, struct err *err) {
    const char *text = (const char *)sqlite3_column_text(s, column);
    if (!text || strlen(text) >= out_size)
        return err_set(err, ST_CORRUPT, "%.3900s/registry.sqlite: column %s does not hold", r->dir,
                       sqlite3_column_name(s, column));
    memcpy(out, text, strlen(text) + 1);
    return ST_OK;
}

/* Two that open an empty file at once: the second waits at BEGIN and then finds the version set. */
static enum status schema_create(struct registry *r, struct err *err) {
    int64_t version = 0, objects = 0;
    char pragmas[96];
    sqlite3_snprintf(sizeof pragmas, pragmas,
                     "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
                     SCHEMA_VERSION);
    enum status st = registry_sql_exec(r, "BEGIN IMMEDIATE", err);
    if (st != ST_OK) return st;
    st = registry_sql_int(r, &version, "PRAGMA user_version", err);
    if (st == ST_OK) st = registry_sql_int(r, &objects, "SELECT count(*) FROM sqlite_schema", err);
    if (st == ST_OK && version == 0 && objects == 0) {
        st = registry_sql_exec(r, SCHEMA, err);
        if (st == ST_OK) st = registry_sql_exec(r, pragmas, err);
    }
    if (st == ST_OK) st = registry_sql_exec(r, "COMMIT", err);
    if (st != ST_OK) sqlite3_exec(r->sql, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static enum status schema_check(struct registry *r, struct err *err) {
    int64_t version = 0, application = 0;
    enum status st = registry_sql_int(r, &version, "PRAGMA user_version", err);
    if (st == ST_OK) st = registry_sql_int(r, &application, "PRAGMA application_id", err);
    if (st == ST_OK && version == 0 && application == 0 && !r->read_only) {
        st = schema_create(r, err);
        if (st == ST_OK) st = registry_sql_int(r, &version, "PRAGMA user_version", err);
        if (st == ST_OK) st = registry_sql_int(r, &application, "PRAGMA application_id", err);
    }
    if (st != ST_OK) return st;
    if (application != APPLICATION_ID)
        return err_set(err, ST_MISMATCH,
                       "%.3900s/registry.sqlite: an SQLite file, but not a model registry", r->dir);
    if (version > SCHEMA_VERSION)
        return err_set(err, ST_VERSION,
                       "%.3900s/registry.sqlite: format %d is newer than this program's %d", r->dir,
                       (int)version, SCHEMA_VERSION);
    return ST_OK;
}

enum status registry_sql_open(struct registry *r, struct err *err) {
    char path[REGISTRY_PATH_SIZE + 32];
    sqlite3_snprintf(sizeof path, path, "%s/registry.sqlite", r->dir);
    int flags = (r->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &r->sql, flags, NULL) != SQLITE_OK)
        return r->sql ? registry_sql_failed(r, "open", err)
                      : err_set(err, ST_NO_MEMORY, "%s: out of memory", path);
    sqlite3_extended_result_codes(r->sql, 1);
    sqlite3_busy_timeout(r->sql, BUSY_TIMEOUT_MS);
    if (r->read_only) return schema_check(r, err);
    /* FULL: changes are few, and a power cut must not take a promotion back. */
    enum status st = registry_sql_exec(
        r, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON", err);
    return st == ST_OK ? schema_check(r, err) : st;
}
