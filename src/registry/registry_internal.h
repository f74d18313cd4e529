/* What the files of the registry share. */
#ifndef REGISTRY_REGISTRY_INTERNAL_H
#define REGISTRY_REGISTRY_INTERNAL_H

#include <sqlite3.h>

#include "registry/registry.h"

struct registry {
    sqlite3 *sql;
    bool read_only;
    char dir[REGISTRY_PATH_SIZE];
};

/* ---- sql.c ---- */

enum status registry_sql_open(struct registry *r, struct err *err);
/* Sets err from the connection's last error. */
enum status registry_sql_failed(struct registry *r, const char *what, struct err *err);
enum status registry_sql_exec(struct registry *r, const char *text, struct err *err);
/* The caller finalizes *out. */
enum status registry_sql_prepare(struct registry *r, sqlite3_stmt **out, const char *text,
                                 struct err *err);
/* Runs a statement that gives no rows, finalizes it. */
enum status registry_sql_run(struct registry *r, sqlite3_stmt *s, const char *what,
                             struct err *err);
/* One integer of a query with one row. */
enum status registry_sql_int(struct registry *r, int64_t *out, const char *text, struct err *err);
void registry_sql_bind_text(sqlite3_stmt *s, int index, const char *text);
/* ST_CORRUPT if it is NULL or does not fit. */
enum status registry_sql_text(struct registry *r, char *out, size_t out_size, sqlite3_stmt *s,
                              int column, struct err *err);

/* ---- change.c ---- */

/* Between them everything is one change: lock and transaction; then commit and what follows from it, or nothing. */
enum status registry_change_begin(struct registry *r, int *lock,
                                  const struct registry_change *change, struct err *err);
/* st: of what was done in between; returns it, or why the commit failed. */
enum status registry_change_end(struct registry *r, int lock, enum status st, struct err *err);
/* One row. from, to: states' texts. */
enum status registry_audit_put(struct registry *r, const struct registry_entry *entry,
                               const char *event, const char *from, const char *to,
                               const struct registry_change *change, struct err *err);
/* Pointers, removals and log lines of audit rows the log does not have yet. Under the lock. */
enum status registry_finish(struct registry *r, struct err *err);
/* As the pointer of a kind should read now; empty: nobody serves. */
enum { REGISTRY_POINTER_SIZE = 48 };
enum status registry_pointer_text(struct registry *r, char out[REGISTRY_POINTER_SIZE],
                                  enum model_kind kind, struct err *err);
enum status registry_pointer_path(const struct registry *r, char out[REGISTRY_PATH_SIZE],
                                  enum model_kind kind, struct err *err);

/* ---- card.c ---- */

/* The part of a card that never changes. */
enum status registry_card_json(char out[REGISTRY_CARD_SIZE], uint64_t hash,
                               const struct registry_card *card, struct err *err);
enum status registry_verdict_json(char *out, size_t size, const struct promotion_verdict *v,
                                  struct err *err);
/* "outcome=accept mape_old=…", as the log shows it; v NULL: empty. */
enum status registry_verdict_figures(char out[REGISTRY_FIGURES_SIZE],
                                     const struct promotion_verdict *v, struct err *err);

/* ---- entry.c ---- */

#define REGISTRY_ENTRY_COLUMNS                                                                     \
    "id, hash, size, parent, kind, state, coalesce(predecessor, 0), interval_ns, train_from_ns,"   \
    " data_end_ns, added_ns, coalesce(served_ns, 0), coalesce(removed_ns, 0), has_skill, suffix"
enum status registry_entry_read(struct registry *r, struct registry_entry *out, sqlite3_stmt *s,
                                struct err *err);
enum { REGISTRY_HASH_SIZE = 17 };
const char *registry_hash_text(char out[REGISTRY_HASH_SIZE], uint64_t hash);
bool registry_hash_parse(uint64_t *out, const char *text, size_t size);

#endif
