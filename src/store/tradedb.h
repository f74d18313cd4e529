/* The journal of trades in SQLite (WAL), readable by hand: what happened to the money.
 *
 * Writing is idempotent by key (trade_id, fill's trade id …), so that a restart that goes over the
 * same ground again changes nothing. Money columns are INTEGER e8. */
#ifndef STORE_TRADEDB_H
#define STORE_TRADEDB_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/order.h"
#include "domain/trade.h"

struct tradedb;

/* Opens or creates DIR/trades.sqlite. read_only for reports and the API. */
enum status tradedb_open(struct tradedb **out, const char *path, bool read_only, struct err *err);
void tradedb_close(struct tradedb *db);
enum status tradedb_begin(struct tradedb *db, struct err *err);
enum status tradedb_commit(struct tradedb *db, struct err *err);

enum status tradedb_trade_put(struct tradedb *db, const struct trade_closed *trade, struct err *err);
enum status tradedb_fill_put(struct tradedb *db, const struct venue_event *fill, const char *symbol, struct err *err);
enum status tradedb_equity_put(struct tradedb *db, int64_t ts_ns, money_t wallet, money_t equity, money_t exposure, struct err *err);
enum status tradedb_meta_put(struct tradedb *db, const char *key, const char *value, struct err *err);
/* NUL-terminated copy into out; ST_NOT_FOUND. */
enum status tradedb_meta_get(struct tradedb *db, const char *key, char *out, size_t out_size, struct err *err);
/* Removes trades with trade_id > last, and fills and equity after ts_ns: what a recovery from an older
 * snapshot is about to produce again. */
enum status tradedb_truncate(struct tradedb *db, uint64_t last_trade_id, int64_t ts_ns, struct err *err);

/* Reads rows in order, calling back for each; stop early by returning false. limit 0: all. newest
 * `limit` rows when limit > 0, still oldest first. */
typedef bool (*tradedb_trade_fn)(void *context, const struct trade_closed *trade);
enum status tradedb_trades(struct tradedb *db, size_t limit, tradedb_trade_fn fn, void *context, struct err *err);
struct equity_point { int64_t ts_ns; money_t wallet, equity, exposure; };
typedef bool (*tradedb_equity_fn)(void *context, const struct equity_point *point);
enum status tradedb_equity(struct tradedb *db, size_t limit, tradedb_equity_fn fn, void *context, struct err *err);

#endif
