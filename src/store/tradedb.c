#include "store/tradedb.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    SCHEMA_VERSION = 2,          /* 1 had no arm, targets and drawdown_max */
    APPLICATION_ID = 0x51547264, /* "QTrd": tells our file from any other SQLite file */
    BUSY_TIMEOUT_MS = 5000,
    PATH_SIZE = 400,
};

enum statement {
    PUT_TRADE = 0,
    PUT_FILL,
    PUT_FUNDING,
    PUT_EQUITY,
    PUT_META,
    GET_META,
    STATEMENT_COUNT
};

struct tradedb {
    sqlite3 *sql;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* made on first use, kept */
    char path[PATH_SIZE];                      /* for messages */
    bool is_first;                             /* version 1, read only: not brought up to date */
};

/* Integer e8 to exact decimal text; dividing by 1e8 in floating point would show 15 digits. */
#define DECIMAL(column)                                                                            \
    "printf('%s%d.%08d', CASE WHEN " column " < 0 THEN '-' ELSE '' END, abs(" column               \
    ") / 100000000, abs(" column ") % 100000000)"
#define UTC(column) "strftime('%Y-%m-%dT%H:%M:%SZ', " column " / 1000000000, 'unixepoch')"

static const char SCHEMA[] =
    "CREATE TABLE trades ("
    " trade_id INTEGER PRIMARY KEY, intent_id INTEGER NOT NULL, symbol TEXT NOT NULL,"
    " instrument_index INTEGER NOT NULL, side TEXT NOT NULL, exit_reason TEXT NOT NULL,"
    " strategy TEXT NOT NULL, leverage INTEGER NOT NULL, entry_ts_ns INTEGER NOT NULL,"
    " exit_ts_ns INTEGER NOT NULL, entry_px_e8 INTEGER NOT NULL, exit_px_e8 INTEGER NOT NULL,"
    " qty_e8 INTEGER NOT NULL, realized_pnl_e8 INTEGER NOT NULL, fees_e8 INTEGER NOT NULL,"
    " funding_e8 INTEGER NOT NULL, net_pnl_e8 INTEGER NOT NULL, risk_e8 INTEGER NOT NULL,"
    " time_to_protected_ns INTEGER NOT NULL, confidence REAL, expected_edge REAL,"
    " arm INTEGER NOT NULL, targets INTEGER NOT NULL, drawdown_max REAL);"
    "CREATE TABLE fills ("
    " symbol TEXT NOT NULL, trade_id INTEGER NOT NULL, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL,"
    " side TEXT NOT NULL, order_type TEXT NOT NULL, is_maker INTEGER NOT NULL,"
    " last_px_e8 INTEGER NOT NULL, last_qty_e8 INTEGER NOT NULL, commission_e8 INTEGER NOT NULL,"
    " realized_pnl_e8 INTEGER NOT NULL, wallet_e8 INTEGER NOT NULL,"
    " venue_order_id INTEGER NOT NULL, client_order_id TEXT NOT NULL,"
    " PRIMARY KEY (symbol, trade_id)) WITHOUT ROWID;"
    "CREATE INDEX fills_ts ON fills (ts_ns);"
    "CREATE TABLE funding ("
    " symbol TEXT NOT NULL, ts_ns INTEGER NOT NULL, amount_e8 INTEGER NOT NULL,"
    " rate_e8 INTEGER NOT NULL, mark_px_e8 INTEGER NOT NULL, wallet_e8 INTEGER NOT NULL,"
    " PRIMARY KEY (symbol, ts_ns)) WITHOUT ROWID;"
    "CREATE TABLE equity ("
    " ts_ns INTEGER PRIMARY KEY, wallet_e8 INTEGER NOT NULL, equity_e8 INTEGER NOT NULL,"
    " exposure_e8 INTEGER NOT NULL);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE VIEW trades_readable AS SELECT trade_id, symbol, side, strategy, leverage,"
    " " UTC("entry_ts_ns") " AS entry_utc, " UTC("exit_ts_ns") " AS exit_utc,"
                                                               " " DECIMAL("entry_px_e8") " AS "
                                                                                          "entry_"
                                                                                          "px,"
                                                                                          " " DECIMAL("exit_px_e8") " AS exit_px,"
                                                                                                                    " " DECIMAL("qty_e8") " AS qty, " DECIMAL("realized_pnl_e8") " AS realized_pnl,"
                                                                                                                                                                                 " " DECIMAL("fees_e8") " AS fees, " DECIMAL("funding_e8") " AS funding,"
                                                                                                                                                                                                                                           " " DECIMAL("net_pnl_e8") " AS net_pnl, " DECIMAL("risk_e8") " AS risk, exit_reason,"
                                                                                                                                                                                                                                                                                                        " CASE WHEN time_to_protected_ns < 0 THEN NULL ELSE time_to_protected_ns / 1000000 END"
                                                                                                                                                                                                                                                                                                        " AS time_to_protected_ms, confidence, expected_edge FROM trades ORDER BY trade_id;"
                                                                                                                                                                                                                                                                                                        "CREATE VIEW fills_readable AS SELECT " UTC("ts_ns") " AS utc, symbol, kind, side, order_type,"
                                                                                                                                                                                                                                                                                                                                                             " " DECIMAL("last_px_e8") " AS last_px, " DECIMAL("last_qty_e8") " AS last_qty,"
                                                                                                                                                                                                                                                                                                                                                                                                                              " " DECIMAL("commission_e8") " AS commission, " DECIMAL("realized_pnl_e8") " AS realized_pnl,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         " " DECIMAL("wallet_e8") " AS wallet, is_maker, trade_id, venue_order_id, client_order_id"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  " FROM fills ORDER BY ts_ns, symbol, trade_id;"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "CREATE VIEW equity_readable AS SELECT " UTC(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "ts_ns") " AS utc,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               " " DECIMAL("wallet_e8") " AS wallet, " DECIMAL(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "equity_e8") " AS equity,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                " " DECIMAL("exposure_e8") " AS exposure FROM equity ORDER BY ts_ns;"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "CREATE VIEW by_symbol AS SELECT symbol, trades, wins, " DECIMAL("net_e8") " AS net_pnl,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      " " DECIMAL("fees_e8") " AS fees, " DECIMAL(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "funding_e8") " AS funding FROM"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        " (SELECT symbol, count(*) AS trades, sum(net_pnl_e8 > 0) AS wins, sum(net_pnl_e8) AS net_e8,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        " sum(fees_e8) AS fees_e8, sum(funding_e8) AS funding_e8 FROM trades GROUP BY symbol)"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        " ORDER BY net_e8;";

/* 7: ARM_NONE. */
static const char UPGRADE[] = "ALTER TABLE trades ADD COLUMN arm INTEGER NOT NULL DEFAULT 7;"
                              "ALTER TABLE trades ADD COLUMN targets INTEGER NOT NULL DEFAULT 0;"
                              "ALTER TABLE trades ADD COLUMN drawdown_max REAL;"
                              "PRAGMA user_version = 2";
static_assert(ARM_NONE == 7, "default of the column");

#define TRADE_COLUMNS_1                                                                            \
    "trade_id, intent_id, symbol, instrument_index, side, exit_reason, strategy, leverage,"        \
    " entry_ts_ns, exit_ts_ns, entry_px_e8, exit_px_e8, qty_e8, realized_pnl_e8, fees_e8,"         \
    " funding_e8, net_pnl_e8, risk_e8, time_to_protected_ns, confidence, expected_edge"
#define TRADE_COLUMNS TRADE_COLUMNS_1 ", arm, targets, drawdown_max"

static const char *const STATEMENT_TEXT[STATEMENT_COUNT] = {
    [PUT_TRADE] = "INSERT OR REPLACE INTO trades (" TRADE_COLUMNS
                  ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [PUT_FILL] = "INSERT OR REPLACE INTO fills (symbol, trade_id, ts_ns, kind, side, order_type,"
                 " is_maker, last_px_e8, last_qty_e8, commission_e8, realized_pnl_e8, wallet_e8,"
                 " venue_order_id, client_order_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [PUT_FUNDING] = "INSERT OR REPLACE INTO funding (symbol, ts_ns, amount_e8, rate_e8,"
                    " mark_px_e8, wallet_e8) VALUES (?,?,?,?,?,?)",
    [PUT_EQUITY] = "INSERT OR REPLACE INTO equity (ts_ns, wallet_e8, equity_e8, exposure_e8)"
                   " VALUES (?,?,?,?)",
    [PUT_META] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)",
    [GET_META] = "SELECT value FROM meta WHERE key = ?",
};

static enum status status_of(int code) {
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ST_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ST_AGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ST_CORRUPT;
    case SQLITE_NOMEM:
        return ST_NO_MEMORY;
    case SQLITE_READONLY:
        return ST_REFUSED;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
        return ST_IO;
    default:
        return ST_EXTERNAL;
    }
}

static enum status fail(struct tradedb *db, const char *what, struct err *err) {
    return err_set(err, status_of(sqlite3_extended_errcode(db->sql)), "%s: %s: %s", db->path, what,
                   sqlite3_errmsg(db->sql));
}

static enum status exec(struct tradedb *db, const char *text, const char *what, struct err *err) {
    if (sqlite3_exec(db->sql, text, NULL, NULL, NULL) == SQLITE_OK) return ST_OK;
    return fail(db, what, err);
}

static enum status prepare(struct tradedb *db, const char *text, unsigned flags, sqlite3_stmt **out,
                           struct err *err) {
    if (sqlite3_prepare_v3(db->sql, text, -1, flags, out, NULL) == SQLITE_OK) return ST_OK;
    return fail(db, "prepare", err);
}

static enum status kept(struct tradedb *db, enum statement which, sqlite3_stmt **out,
                        struct err *err) {
    enum status st = ST_OK;
    if (!db->statements[which])
        st = prepare(db, STATEMENT_TEXT[which], SQLITE_PREPARE_PERSISTENT, &db->statements[which],
                     err);
    *out = db->statements[which];
    return st;
}

/* One integer from a query that gives one row. */
static enum status query_int(struct tradedb *db, const char *text, int64_t *out, struct err *err) {
    sqlite3_stmt *s;
    enum status st = prepare(db, text, 0, &s, err);
    if (st != ST_OK) return st;
    if (sqlite3_step(s) == SQLITE_ROW)
        *out = sqlite3_column_int64(s, 0);
    else
        st = fail(db, text, err);
    sqlite3_finalize(s);
    return st;
}

/* Creates the schema in an empty file. Two writers opening at once: the second waits at BEGIN and
 * then finds the version set. */
static enum status schema_create(struct tradedb *db, struct err *err) {
    enum status st = exec(db, "BEGIN IMMEDIATE", "creating the schema", err);
    if (st != ST_OK) return st;
    int64_t version = 0, objects = 0;
    st = query_int(db, "PRAGMA user_version", &version, err);
    if (st == ST_OK) st = query_int(db, "SELECT count(*) FROM sqlite_schema", &objects, err);
    if (st == ST_OK && version == 0 && objects != 0)
        st = err_set(err, ST_MISMATCH, "%s: an SQLite file, but not a trade journal", db->path);
    if (st == ST_OK && version == 0) {
        st = exec(db, SCHEMA, "creating the schema", err);
        char pragmas[96];
        sqlite3_snprintf(sizeof pragmas, pragmas,
                         "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
                         SCHEMA_VERSION);
        if (st == ST_OK) st = exec(db, pragmas, "creating the schema", err);
    }
    if (st == ST_OK) return exec(db, "COMMIT", "creating the schema", err);
    sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL); /* the error to tell is st's */
    return st;
}

/* A file of version 1 gets the columns it lacks. Two writers at once: the second finds it done. */
static enum status schema_upgrade(struct tradedb *db, struct err *err) {
    enum status st = exec(db, "BEGIN IMMEDIATE", "bringing the schema up to date", err);
    if (st != ST_OK) return st;
    int64_t version = 0;
    st = query_int(db, "PRAGMA user_version", &version, err);
    if (st == ST_OK && version == 1) st = exec(db, UPGRADE, "bringing the schema up to date", err);
    if (st == ST_OK) return exec(db, "COMMIT", "bringing the schema up to date", err);
    sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL); /* the error to tell is st's */
    return st;
}

static enum status schema_check(struct tradedb *db, bool read_only, struct err *err) {
    int64_t version = 0, application = 0;
    enum status st = query_int(db, "PRAGMA user_version", &version, err);
    if (st == ST_OK) st = query_int(db, "PRAGMA application_id", &application, err);
    if (st == ST_OK && version == 0 && application == 0 && !read_only) {
        st = schema_create(db, err);
        if (st == ST_OK) st = query_int(db, "PRAGMA user_version", &version, err);
        if (st == ST_OK) st = query_int(db, "PRAGMA application_id", &application, err);
    }
    if (st != ST_OK) return st;
    if (application != APPLICATION_ID)
        return err_set(err, ST_MISMATCH, "%s: an SQLite file, but not a trade journal", db->path);
    if (version > SCHEMA_VERSION)
        return err_set(err, ST_VERSION,
                       "%s: journal format %d is newer than this program's %d; use a newer program",
                       db->path, (int)version, SCHEMA_VERSION);
    if (version < 1)
        return err_set(err, ST_CORRUPT, "%s: journal format %d does not exist", db->path,
                       (int)version);
    if (version == 1 && !read_only) return schema_upgrade(db, err);
    db->is_first = version == 1;
    return ST_OK;
}

static enum status connect_and_check(struct tradedb *db, bool read_only, struct err *err) {
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(db->path, &db->sql, flags, NULL) != SQLITE_OK) {
        if (!db->sql) return err_set(err, ST_NO_MEMORY, "%s: out of memory", db->path);
        return fail(db, "open", err);
    }
    sqlite3_extended_result_codes(db->sql, 1);
    sqlite3_busy_timeout(db->sql, BUSY_TIMEOUT_MS);
    if (read_only) return schema_check(db, true, err);
    enum status st = exec(db, "PRAGMA journal_mode = WAL", "switching to write-ahead log", err);
    /* A committed trade survives the machine: a run's snapshot, made after it, says that it need not be
     * made again. Commits are a second apart or more. */
    if (st == ST_OK) st = exec(db, "PRAGMA synchronous = FULL", "synchronous", err);
    return st == ST_OK ? schema_check(db, false, err) : st;
}

enum status tradedb_open(struct tradedb **out, const char *path, bool read_only, struct err *err) {
    *out = NULL;
    if (strlen(path) >= PATH_SIZE)
        return err_set(err, ST_RANGE, "%s: path longer than %d bytes", path, PATH_SIZE - 1);
    if (read_only && access(path, F_OK) != 0)
        return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", path);
    struct tradedb *db = calloc(1, sizeof *db);
    if (!db) return err_set(err, ST_NO_MEMORY, "%s: out of memory", path);
    memcpy(db->path, path, strlen(path) + 1);
    enum status st = connect_and_check(db, read_only, err);
    if (st != ST_OK) {
        tradedb_close(db);
        return st;
    }
    *out = db;
    return ST_OK;
}

void tradedb_close(struct tradedb *db) {
    if (!db) return;
    for (int i = 0; i < STATEMENT_COUNT; i++) sqlite3_finalize(db->statements[i]);
    int code = sqlite3_close(db->sql);
    ASSERT(code == SQLITE_OK); /* only an unfinished statement of ours could keep it open */
    free(db);
}

enum status tradedb_begin(struct tradedb *db, struct err *err) {
    return exec(db, "BEGIN IMMEDIATE", "begin", err);
}

enum status tradedb_commit(struct tradedb *db, struct err *err) {
    return exec(db, "COMMIT", "commit", err);
}

enum status tradedb_rollback(struct tradedb *db, struct err *err) {
    return exec(db, "ROLLBACK", "rollback", err);
}

/* Binding a number cannot fail for an index that exists; a failed text is NULL, which NOT NULL
 * refuses. So only the step is checked. */
static enum status finish_put(struct tradedb *db, sqlite3_stmt *s, const char *what,
                              struct err *err) {
    enum status st = sqlite3_step(s) == SQLITE_DONE ? ST_OK : fail(db, what, err);
    sqlite3_reset(s);
    return st;
}

static void bind_text(sqlite3_stmt *s, int index, const char *text) {
    sqlite3_bind_text(s, index, text, -1, SQLITE_STATIC);
}

enum status tradedb_trade_put(struct tradedb *db, const struct trade_closed *t, struct err *err) {
    if (t->trade_id > INT64_MAX)
        return err_set(err, ST_RANGE, "%s: trade id %llu does not fit", db->path,
                       (unsigned long long)t->trade_id);
    if (t->side > SIDE_SELL || t->exit_reason >= EXIT_REASON_COUNT ||
        t->strategy >= STRATEGY_COUNT || t->arm > ARM_NONE)
        return err_set(err, ST_INVALID,
                       "%s: trade %llu: side %d, exit reason %d, strategy %d or arm %u", db->path,
                       (unsigned long long)t->trade_id, t->side, t->exit_reason, t->strategy,
                       t->arm);
    sqlite3_stmt *s;
    enum status st = kept(db, PUT_TRADE, &s, err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, (int64_t)t->trade_id);
    sqlite3_bind_int64(s, 2, (int64_t)t->intent_id);
    bind_text(s, 3, t->symbol);
    sqlite3_bind_int64(s, 4, t->instrument_index);
    bind_text(s, 5, side_text((enum side)t->side));
    bind_text(s, 6, exit_reason_text((enum exit_reason)t->exit_reason));
    bind_text(s, 7, strategy_text((enum strategy_kind)t->strategy));
    sqlite3_bind_int(s, 8, t->leverage);
    sqlite3_bind_int64(s, 9, t->entry_ts_ns);
    sqlite3_bind_int64(s, 10, t->exit_ts_ns);
    sqlite3_bind_int64(s, 11, t->entry_px.e8);
    sqlite3_bind_int64(s, 12, t->exit_px.e8);
    sqlite3_bind_int64(s, 13, t->qty.e8);
    sqlite3_bind_int64(s, 14, t->realized_pnl.e8);
    sqlite3_bind_int64(s, 15, t->fees.e8);
    sqlite3_bind_int64(s, 16, t->funding.e8);
    sqlite3_bind_int64(s, 17, t->net_pnl.e8);
    sqlite3_bind_int64(s, 18, t->risk.e8);
    sqlite3_bind_int64(s, 19, t->time_to_protected_ns);
    sqlite3_bind_double(s, 20, t->confidence); /* NaN is stored as NULL and read as NaN */
    sqlite3_bind_double(s, 21, t->expected_edge);
    sqlite3_bind_int64(s, 22, t->arm);
    sqlite3_bind_int64(s, 23, t->targets);
    sqlite3_bind_double(s, 24, t->drawdown_max);
    return finish_put(db, s, "trade", err);
}

static enum status funding_put(struct tradedb *db, const struct venue_event *e, const char *symbol,
                               struct err *err) {
    sqlite3_stmt *s;
    enum status st = kept(db, PUT_FUNDING, &s, err);
    if (st != ST_OK) return st;
    bind_text(s, 1, symbol);
    sqlite3_bind_int64(s, 2, e->ts_event_ns);
    sqlite3_bind_int64(s, 3, e->funding.e8);
    sqlite3_bind_int64(s, 4, e->funding_rate.e8);
    sqlite3_bind_int64(s, 5, e->mark_px.e8);
    sqlite3_bind_int64(s, 6, e->wallet.e8);
    return finish_put(db, s, "funding", err);
}

enum status tradedb_fill_put(struct tradedb *db, const struct venue_event *e, const char *symbol,
                             struct err *err) {
    if (e->kind == VENUE_FUNDING) return funding_put(db, e, symbol, err);
    if (e->kind != VENUE_ORDER_TRADE && e->kind != VENUE_LIQUIDATION)
        return err_set(err, ST_INVALID, "%s: %s: venue event of kind %d is not a fill", db->path,
                       symbol, e->kind);
    sqlite3_stmt *s;
    enum status st = kept(db, PUT_FILL, &s, err);
    if (st != ST_OK) return st;
    bind_text(s, 1, symbol);
    sqlite3_bind_int64(s, 2, (int64_t)e->trade_id);
    sqlite3_bind_int64(s, 3, e->ts_event_ns);
    bind_text(s, 4, e->kind == VENUE_LIQUIDATION ? "liquidation" : "trade");
    bind_text(s, 5, side_text((enum side)e->side));
    bind_text(s, 6, order_type_text((enum order_type)e->order_type));
    sqlite3_bind_int(s, 7, e->is_maker);
    sqlite3_bind_int64(s, 8, e->last_px.e8);
    sqlite3_bind_int64(s, 9, e->last_qty.e8);
    sqlite3_bind_int64(s, 10, e->commission.e8);
    sqlite3_bind_int64(s, 11, e->realized_pnl.e8);
    sqlite3_bind_int64(s, 12, e->wallet.e8);
    sqlite3_bind_int64(s, 13, (int64_t)e->venue_order_id);
    bind_text(s, 14, e->client_order_id);
    return finish_put(db, s, "fill", err);
}

enum status tradedb_equity_put(struct tradedb *db, int64_t ts_ns, money_t wallet, money_t equity,
                               money_t exposure, struct err *err) {
    sqlite3_stmt *s;
    enum status st = kept(db, PUT_EQUITY, &s, err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, ts_ns);
    sqlite3_bind_int64(s, 2, wallet.e8);
    sqlite3_bind_int64(s, 3, equity.e8);
    sqlite3_bind_int64(s, 4, exposure.e8);
    return finish_put(db, s, "equity", err);
}

enum status tradedb_meta_put(struct tradedb *db, const char *key, const char *value,
                             struct err *err) {
    sqlite3_stmt *s;
    enum status st = kept(db, PUT_META, &s, err);
    if (st != ST_OK) return st;
    bind_text(s, 1, key);
    bind_text(s, 2, value);
    return finish_put(db, s, "meta", err);
}

enum status tradedb_meta_get(struct tradedb *db, const char *key, char *out, size_t out_size,
                             struct err *err) {
    sqlite3_stmt *s;
    enum status st = kept(db, GET_META, &s, err);
    if (st != ST_OK) return st;
    bind_text(s, 1, key);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(s, 0);
        size_t size = (size_t)sqlite3_column_bytes(s, 0) + 1;
        if (!text)
            st = err_set(err, ST_NO_MEMORY, "%s: meta %s: out of memory", db->path, key);
        else if (size > out_size)
            st = err_set(err, ST_RANGE, "%s: meta %s: %zu bytes do not fit in %zu", db->path, key,
                         size, out_size);
        else
            memcpy(out, text, size);
    } else if (code == SQLITE_DONE) {
        st = err_set(err, ST_NOT_FOUND, "%s: no meta entry %s", db->path, key);
    } else {
        st = fail(db, key, err);
    }
    sqlite3_reset(s);
    return st;
}

static enum status delete_where(struct tradedb *db, const char *text, int64_t value,
                                struct err *err) {
    sqlite3_stmt *s;
    enum status st = prepare(db, text, 0, &s, err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, value);
    st = sqlite3_step(s) == SQLITE_DONE ? ST_OK : fail(db, "truncate", err);
    sqlite3_finalize(s);
    return st;
}

enum status tradedb_truncate(struct tradedb *db, uint64_t last_trade_id, int64_t ts_ns,
                             struct err *err) {
    int64_t last = last_trade_id > INT64_MAX ? INT64_MAX : (int64_t)last_trade_id;
    /* A savepoint is all or nothing both alone and inside the caller's transaction. */
    enum status st = exec(db, "SAVEPOINT truncation", "truncate", err);
    if (st != ST_OK) return st;
    st = delete_where(db, "DELETE FROM trades WHERE trade_id > ?", last, err);
    if (st == ST_OK) st = delete_where(db, "DELETE FROM fills WHERE ts_ns > ?", ts_ns, err);
    if (st == ST_OK) st = delete_where(db, "DELETE FROM funding WHERE ts_ns > ?", ts_ns, err);
    if (st == ST_OK) st = delete_where(db, "DELETE FROM equity WHERE ts_ns > ?", ts_ns, err);
    if (st == ST_OK) return exec(db, "RELEASE truncation", "truncate", err);
    sqlite3_exec(db->sql, "ROLLBACK TO truncation; RELEASE truncation", NULL, NULL, NULL);
    return st;
}

static bool copy_text(char *out, size_t out_size, sqlite3_stmt *s, int column) {
    const unsigned char *text = sqlite3_column_text(s, column);
    if (!text || strlen((const char *)text) >= out_size) return false;
    memcpy(out, text, strlen((const char *)text) + 1);
    return true;
}

/* Index of the column's text in a table of count names, or -1. */
#define ENUM_OF(out, s, column, count, type, name_of)                                              \
    do {                                                                                           \
        const char *text_ = (const char *)sqlite3_column_text(s, column);                          \
        (out) = -1;                                                                                \
        for (int i_ = 0; text_ && i_ < (int)(count); i_++)                                         \
            if (strcmp(text_, name_of((enum type)i_)) == 0) (out) = i_;                            \
    } while (0)

static double real_or_nan(sqlite3_stmt *s, int column) {
    if (sqlite3_column_type(s, column) == SQLITE_NULL) return NAN;
    return sqlite3_column_double(s, column);
}

static bool trade_from_row(struct trade_closed *t, sqlite3_stmt *s) {
    memset(t, 0, sizeof *t);
    int side, reason, strategy;
    ENUM_OF(side, s, 4, SIDE_SELL + 1, side, side_text);
    ENUM_OF(reason, s, 5, EXIT_REASON_COUNT, exit_reason, exit_reason_text);
    ENUM_OF(strategy, s, 6, STRATEGY_COUNT, strategy_kind, strategy_text);
    int64_t leverage = sqlite3_column_int64(s, 7);
    if (side < 0 || reason < 0 || strategy < 0 || leverage < 0 || leverage > UINT8_MAX ||
        !copy_text(t->symbol, sizeof t->symbol, s, 2))
        return false;
    t->trade_id = (uint64_t)sqlite3_column_int64(s, 0);
    t->intent_id = (uint64_t)sqlite3_column_int64(s, 1);
    t->instrument_index = (uint32_t)sqlite3_column_int64(s, 3);
    t->side = (uint8_t)side;
    t->exit_reason = (uint8_t)reason;
    t->strategy = (uint8_t)strategy;
    t->leverage = (uint8_t)leverage;
    t->entry_ts_ns = sqlite3_column_int64(s, 8);
    t->exit_ts_ns = sqlite3_column_int64(s, 9);
    t->entry_px.e8 = sqlite3_column_int64(s, 10);
    t->exit_px.e8 = sqlite3_column_int64(s, 11);
    t->qty.e8 = sqlite3_column_int64(s, 12);
    t->realized_pnl.e8 = sqlite3_column_int64(s, 13);
    t->fees.e8 = sqlite3_column_int64(s, 14);
    t->funding.e8 = sqlite3_column_int64(s, 15);
    t->net_pnl.e8 = sqlite3_column_int64(s, 16);
    t->risk.e8 = sqlite3_column_int64(s, 17);
    t->time_to_protected_ns = sqlite3_column_int64(s, 18);
    t->confidence = real_or_nan(s, 19);
    t->expected_edge = real_or_nan(s, 20);
    int64_t arm = sqlite3_column_int64(s, 21), targets = sqlite3_column_int64(s, 22);
    if (arm < 0 || arm > ARM_NONE || targets < 0 || targets > UINT32_MAX) return false;
    t->arm = (uint32_t)arm;
    t->targets = (uint32_t)targets;
    t->drawdown_max = real_or_nan(s, 23);
    return true;
}

static int64_t sql_limit(size_t limit) {
    return limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

enum status tradedb_trades(struct tradedb *db, size_t limit, tradedb_trade_fn fn, void *context,
                           struct err *err) {
#define SELECT_ALL(columns) "SELECT " columns " FROM trades ORDER BY trade_id"
#define SELECT_NEWEST(columns)                                                                     \
    "SELECT " columns " FROM (SELECT * FROM trades ORDER BY trade_id DESC LIMIT ?1)"               \
    " ORDER BY trade_id"
#define TRADE_COLUMNS_OF_1 TRADE_COLUMNS_1 ", 7, 0, NULL" /* as the upgrade would fill them */
    static const char *const texts[2][2] = {
        {SELECT_ALL(TRADE_COLUMNS), SELECT_NEWEST(TRADE_COLUMNS)},
        {SELECT_ALL(TRADE_COLUMNS_OF_1), SELECT_NEWEST(TRADE_COLUMNS_OF_1)}};
    sqlite3_stmt *s;
    enum status st = prepare(db, texts[db->is_first][limit != 0], 0, &s, err);
    if (st != ST_OK) return st;
    if (limit != 0) sqlite3_bind_int64(s, 1, sql_limit(limit));
    int code;
    bool more = true;
    while (more && st == ST_OK && (code = sqlite3_step(s)) != SQLITE_DONE) {
        struct trade_closed trade;
        if (code != SQLITE_ROW)
            st = fail(db, "trades", err);
        else if (!trade_from_row(&trade, s))
            st = err_set(err, ST_CORRUPT, "%s: trades: row with trade_id %lld does not hold",
                         db->path, (long long)sqlite3_column_int64(s, 0));
        else
            more = fn(context, &trade);
    }
    sqlite3_finalize(s);
    return st;
}

enum status tradedb_equity(struct tradedb *db, size_t limit, tradedb_equity_fn fn, void *context,
                           struct err *err) {
    static const char all[] = "SELECT ts_ns, wallet_e8, equity_e8, exposure_e8 FROM equity"
                              " ORDER BY ts_ns";
    static const char newest[] =
        "SELECT ts_ns, wallet_e8, equity_e8, exposure_e8 FROM"
        " (SELECT * FROM equity ORDER BY ts_ns DESC LIMIT ?1) ORDER BY ts_ns";
    sqlite3_stmt *s;
    enum status st = prepare(db, limit == 0 ? all : newest, 0, &s, err);
    if (st != ST_OK) return st;
    if (limit != 0) sqlite3_bind_int64(s, 1, sql_limit(limit));
    int code;
    bool more = true;
    while (more && st == ST_OK && (code = sqlite3_step(s)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            st = fail(db, "equity", err);
            break;
        }
        struct equity_point point = {
            sqlite3_column_int64(s, 0), money_e8(sqlite3_column_int64(s, 1)),
            money_e8(sqlite3_column_int64(s, 2)), money_e8(sqlite3_column_int64(s, 3))};
        more = fn(context, &point);
    }
    sqlite3_finalize(s);
    return st;
}

enum status tradedb_ledger(struct tradedb *db, int64_t up_to_ns, struct tradedb_ledger *out,
                           struct err *err) {
    static const char text[] =
        "SELECT (SELECT count(*) FROM fills WHERE ts_ns <= ?1),"
        " (SELECT count(*) FROM funding WHERE ts_ns <= ?1),"
        " (SELECT coalesce(sum(realized_pnl_e8), 0) FROM fills WHERE ts_ns <= ?1),"
        " (SELECT coalesce(sum(commission_e8), 0) FROM fills WHERE ts_ns <= ?1),"
        " (SELECT coalesce(sum(amount_e8), 0) FROM funding WHERE ts_ns <= ?1)";
    sqlite3_stmt *s;
    enum status st = prepare(db, text, 0, &s, err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, up_to_ns);
    if (sqlite3_step(s) == SQLITE_ROW) {
        out->fills = (uint64_t)sqlite3_column_int64(s, 0);
        out->fundings = (uint64_t)sqlite3_column_int64(s, 1);
        out->realized_pnl = money_e8(sqlite3_column_int64(s, 2));
        out->commission = money_e8(sqlite3_column_int64(s, 3));
        out->funding = money_e8(sqlite3_column_int64(s, 4));
    } else {
        /* sum() of integers refuses to overflow rather than to become a float. */
        bool overflow = strstr(sqlite3_errmsg(db->sql), "overflow") != NULL;
        st = fail(db, "ledger", err);
        if (overflow) st = err_set(err, ST_RANGE, "%s: ledger: a sum passes int64", db->path);
    }
    sqlite3_finalize(s);
    return st;
}
