/* The journal of trades in SQLite (WAL), readable by hand: what happened to the money.
 *
 * Writing is idempotent by key, so that a restart that goes over the same ground again changes
 * nothing. Keys: a trade's trade_id; a fill's (symbol, trade_id); a funding payment's (symbol, time);
 * an equity point's time; a meta entry's key. Money columns are INTEGER e8 and end in _e8; the views
 * trades_readable, fills_readable, equity_readable and by_symbol show decimals and dates.
 *
 * A handle belongs to one thread. Readers may have the file open while a writer writes: they see
 * what was committed. Outside tradedb_begin/commit each put is a transaction of its own (slow).
 *
 * Durability: WAL with synchronous=NORMAL. A killed process loses nothing that was committed; a power
 * cut may lose the last commits but never leaves half of one. */
#ifndef STORE_TRADEDB_H
#define STORE_TRADEDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/order.h"
#include "domain/trade.h"

struct tradedb;

/* Opens or creates the file at path (DIR/trades.sqlite by custom). read_only for reports and the API.
 * A file of version 1 is read as it is (its trades have no arm, no targets, drawdown_max NaN) and brought
 * up to date when opened for writing.
 * Returns ST_NOT_FOUND (read_only and no file), ST_CORRUPT (not SQLite, or damaged), ST_VERSION
 * (written by a newer program), ST_MISMATCH (SQLite, but not a trade journal); err names the file. */
enum status tradedb_open(struct tradedb **out, const char *path, bool read_only, struct err *err);
/* Drops an uncommitted transaction. NULL is fine. */
void tradedb_close(struct tradedb *db);
enum status tradedb_begin(struct tradedb *db, struct err *err);
enum status tradedb_commit(struct tradedb *db, struct err *err);
enum status tradedb_rollback(struct tradedb *db, struct err *err);

/* ST_INVALID for a side, reason, strategy or arm outside its table, ST_RANGE for trade_id >= 2^63. */
enum status tradedb_trade_put(struct tradedb *db, const struct trade_closed *trade,
                              struct err *err);
/* A VENUE_ORDER_TRADE or VENUE_LIQUIDATION goes to fills, a VENUE_FUNDING to funding (all three are
 * needed for tradedb_ledger to add up to the wallet); ST_INVALID for other kinds. */
enum status tradedb_fill_put(struct tradedb *db, const struct venue_event *fill, const char *symbol,
                             struct err *err);
enum status tradedb_equity_put(struct tradedb *db, int64_t ts_ns, money_t wallet, money_t equity,
                               money_t exposure, struct err *err);
enum status tradedb_meta_put(struct tradedb *db, const char *key, const char *value,
                             struct err *err);
/* NUL-terminated copy into out; ST_NOT_FOUND; ST_RANGE if it does not fit. */
enum status tradedb_meta_get(struct tradedb *db, const char *key, char *out, size_t out_size,
                             struct err *err);
/* Removes trades with trade_id > last, and fills, funding and equity after ts_ns: what a recovery from
 * an older snapshot is about to produce again. All or nothing. */
enum status tradedb_truncate(struct tradedb *db, uint64_t last_trade_id, int64_t ts_ns,
                             struct err *err);

/* Reads rows in order, calling back for each; stop early by returning false. limit 0: all. newest
 * `limit` rows when limit > 0, still oldest first. */
typedef bool (*tradedb_trade_fn)(void *context, const struct trade_closed *trade);
enum status tradedb_trades(struct tradedb *db, size_t limit, tradedb_trade_fn fn, void *context,
                           struct err *err);
struct equity_point {
    int64_t ts_ns;
    money_t wallet, equity, exposure;
};
typedef bool (*tradedb_equity_fn)(void *context, const struct equity_point *point);
enum status tradedb_equity(struct tradedb *db, size_t limit, tradedb_equity_fn fn, void *context,
                           struct err *err);

/* What the venue booked up to and including up_to_ns, open positions' part included: the wallet must
 * have changed by realized_pnl - commission + funding. ST_RANGE if a sum passes int64. */
struct tradedb_ledger {
    uint64_t fills, fundings;
    money_t realized_pnl, commission, funding;
};
enum status tradedb_ledger(struct tradedb *db, int64_t up_to_ns, struct tradedb_ledger *out,
                           struct err *err);

#endif
