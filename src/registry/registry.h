/* Every model that was ever offered, and above all every one that was ever served: found by id or hash, proved by
 * hash, served again.
 *
 *     DIR/registry.sqlite      the truth: models, cards, states, who serves, the audit (append-only)
 *     DIR/objects/HASH.ext     the files, named by XXH3-64 of their bytes, never changed
 *     DIR/serving/KIND         one line, "HASH.ext": who serves that kind now; absent: nobody
 *     DIR/audit.log            one line for each row of the audit
 *
 * DIR is STATE/models by custom. A change is one transaction; what must follow it outside (pointer, log line, an object
 * to be removed) follows from the audit, so a process killed anywhere in between is finished by the next one that
 * opens the registry for writing. A pointer changes by rename: readers see the old model or the new one.
 * Writers exclude each other by a lock on DIR; readers take none. A file that was ever served is never removed.
 *
 * A handle belongs to one thread. Model files are opaque here: whether one can be served is the caller's to try
 * before it promotes. The hash tells damage, not malice: who can write DIR can also write the database.
 *
 * A change that was committed, but could not be followed up (a full disk), returns that error, and says so: it holds.
 *
 * Statuses  ST_NOT_FOUND, ST_EXISTS, ST_REFUSED (the transition table says no, or a file ever served), ST_CORRUPT (a
 *           file is not what its name says; not SQLite), ST_VERSION, ST_MISMATCH, ST_RANGE (a text or time out of
 *           bounds), ST_IO, ST_AGAIN; err says which model and file.
 * Tests     test_registry.c, test_registry_crash.c, test/e2e/registry.sh */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "brain/ensemble/ensemble.h"
#include "brain/promotion/lifecycle.h"
#include "brain/promotion/validator.h"
#include "learn/learn.h"

struct registry;

enum {
    REGISTRY_PATH_SIZE = 4096,
    REGISTRY_CARD_SIZE = 8192,
    REGISTRY_ACTOR_SIZE = 32,
    REGISTRY_REASON_SIZE = 256,
    REGISTRY_FIGURES_SIZE = 256,
    REGISTRY_SUFFIX_SIZE = 16
};

/* Opens or creates DIR; for writing also finishes what a killed process left. read_only and nothing there:
 * ST_NOT_FOUND. */
enum status registry_open(struct registry **out, const char *dir, bool read_only, struct err *err);
void registry_close(struct registry *r); /* NULL is fine */

struct registry_entry {
    int64_t id;                  /* 1, 2, … in order of arrival */
    uint64_t hash, size, parent; /* parent: hash of the model it was warm-started from, 0 none */
    enum model_kind kind;
    enum promotion_state state;
    int64_t predecessor; /* id of who held the seat before it, 0 nobody */
    int64_t interval_ns, train_from_ns, data_end_ns;
    int64_t added_ns, served_ns, removed_ns; /* served: first time; 0: never */
    bool has_skill;
    char suffix[REGISTRY_SUFFIX_SIZE];
};

/* Who wants it and why: one row of the audit each. */
struct registry_change {
    const char *actor;  /* "cli", "retrainer", "supervisor"; shorter than REGISTRY_ACTOR_SIZE */
    const char *reason; /* words; shorter than REGISTRY_REASON_SIZE */
    const struct promotion_verdict *verdict; /* figures for audit and card; NULL: none */
    int64_t now_ns;                          /* > 0 */
};

/* What a card says beside the hash; pointers are borrowed for the call. */
struct registry_card {
    enum model_kind kind;
    int64_t interval_ns, data_end_ns;
    const struct learn_report *report;
    const struct label_spec *labels;
    uint64_t parent;
    const char *trigger; /* "period" "drift" "hand" … */
};

/* Copies the file in as a CANDIDATE. The same bytes again: ST_EXISTS, and *out is the one that has them. */
enum status registry_add(struct registry *r, struct registry_entry *out, const char *path,
                         const struct registry_card *card, const struct registry_change *change,
                         struct err *err);

/* "7", "#7" or at least four of the first digits of a hash. Digits alone are an id if there is one. ST_MISMATCH if
 * several hashes begin so. */
enum status registry_find(struct registry *r, struct registry_entry *out, const char *text,
                          struct err *err);
enum status registry_get(struct registry *r, struct registry_entry *out, int64_t id,
                         struct err *err);
enum status registry_get_hash(struct registry *r, struct registry_entry *out, uint64_t hash,
                              struct err *err);
/* Who serves; ST_NOT_FOUND: nobody. */
enum status registry_serving(struct registry *r, struct registry_entry *out, enum model_kind kind,
                             struct err *err);
/* In order of id; fn returns false to stop. fn must not use r. */
typedef bool (*registry_entry_fn)(void *context, const struct registry_entry *entry);
enum status registry_list(struct registry *r, registry_entry_fn fn, void *context, struct err *err);

/* The object's path. */
enum status registry_path(const struct registry *r, char out[REGISTRY_PATH_SIZE],
                          const struct registry_entry *entry, struct err *err);
/* Reads the object: ST_NOT_FOUND, ST_CORRUPT. */
enum status registry_verify(const struct registry *r, const struct registry_entry *entry,
                            struct err *err);
/* The card, one JSON object: model, training, test, labels, validator (null before a verdict). */
enum status registry_card_read(struct registry *r, char out[REGISTRY_CARD_SIZE], int64_t id,
                               struct err *err);

/* SHADOW_BEGIN, ACCEPT, REJECT. */
enum status registry_event(struct registry *r, int64_t id, enum promotion_event event,
                           const struct registry_change *change, struct err *err);
/* PROMOTE, INSTALL, RESTORE: verifies the file, retires who serves, swaps. ST_EXISTS: it serves already. */
enum status registry_promote(struct registry *r, int64_t id, enum promotion_event event,
                             const struct registry_change *change, struct err *err);
/* DEMOTE, ROLL_BACK: the predecessor serves again, *out (id 0: nobody). Without a predecessor whose file verifies
 * ROLL_BACK is refused (ST_NOT_FOUND, ST_CORRUPT) and DEMOTE leaves the seat empty. */
enum status registry_retreat(struct registry *r, struct registry_entry *out, enum model_kind kind,
                             enum promotion_event event, const struct registry_change *change,
                             struct err *err);
/* Removes a rejected model's file; row, card and audit stay. ST_REFUSED if it was ever served or is not rejected. */
enum status registry_remove(struct registry *r, int64_t id, const struct registry_change *change,
                            struct err *err);

struct registry_audit_row {
    int64_t id, ts_ns, model;
    uint64_t hash;
    enum model_kind kind;
    char event[16], from[16], to[16]; /* event: promotion_event_text, "add", "remove" */
    char actor[REGISTRY_ACTOR_SIZE], reason[REGISTRY_REASON_SIZE], figures[REGISTRY_FIGURES_SIZE];
};
typedef bool (*registry_audit_fn)(void *context, const struct registry_audit_row *row);
/* Oldest first; model 0: of all. after: rows behind that id. */
enum status registry_audit(struct registry *r, int64_t model, int64_t after, registry_audit_fn fn,
                           void *context, struct err *err);
/* Id of the last row, 0 without one: changes whenever anything does, so a reader may poll it. */
enum status registry_generation(struct registry *r, int64_t *out, struct err *err);

/* Everything against everything: SQLite's own check, each object's hash, states against the audit, seats against states
 * and pointers, files nobody knows. fn for each problem (err is not set by those). */
typedef void (*registry_problem_fn)(void *context, const char *text);
enum status registry_check(struct registry *r, size_t *out_problems, registry_problem_fn fn,
                           void *context, struct err *err);

/* The pointer of a kind, without a database: path of the served file, and its hash. ST_NOT_FOUND: nobody serves. */
enum status registry_pointer(char out[REGISTRY_PATH_SIZE], uint64_t *out_hash, const char *dir,
                             enum model_kind kind, struct err *err);

#endif
