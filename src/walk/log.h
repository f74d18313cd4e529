/* Every decision of a run with the votes behind it, on disk as it is made.
 *
 * A record is 160 bytes: 700,000 decisions (40 symbols, two years of hours) are 112 MB. One close is one block,
 * written at once, with a checksum: what a killed process had told is there, half a block at the end is dropped. While
 * the run goes on nothing of it is held in memory.
 *
 * A run that is executed again from a snapshot tells its closes again: those on record are held against the record, and
 * a difference is an error (sticks, ST_CORRUPT); what is new is appended.
 *
 * Floats are the doubles' nearest; `exact` is a hash over the doubles themselves, so that two logs with equal bytes
 * are of equal decisions.
 *
 *     header   magic 8, version 4, record size 4, identity 8, interval 8, symbols 4, 0 4, checksum of these 8
 *     block    close 8, count 4, 0 4, checksum of close, count and records 8; records (count)
 *
 * Tests   test_log.c */
#ifndef WALK_LOG_H
#define WALK_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "brain/engine/engine.h"

enum { WALK_LOG_VERSION = 1 };

struct walk_decision {
    uint32_t symbol; /* index of the instrument */
    uint8_t reason;  /* enum engine_reason */
    uint8_t action;  /* enum label: what was to be done */
    uint8_t says;    /* enum label: what the voters said */
    uint8_t voters;
    uint8_t answered[MODEL_COUNT]; /* enum vote_state, as the model gave it */
    uint8_t counted[MODEL_COUNT];  /* …, the supervisor's word included */
    uint8_t regime, arm;           /* enum regime, enum strategy_id */
    uint8_t has_interval, leverage;
    float p[LABEL_COUNT], confidence, move; /* of the ensemble; 0 without a voter */
    float weights[MODEL_COUNT];
    float expected, low, high; /* return over the horizon, and its interval */
    float distance;            /* of the label's barriers; NaN not known */
    float fraction, cost, edge_net;
    float model_p[MODEL_COUNT][LABEL_COUNT], model_move[MODEL_COUNT];
    uint32_t reserved;
    uint64_t exact;
};
_Static_assert(sizeof(struct walk_decision) == 160, "documented size");

/* ---- writing ---- */

struct walk_log;
/* Makes the file, or goes on with it. identity: of the run (session_identity). ST_MISMATCH: another run's, interval or
 * symbols; ST_CORRUPT, ST_VERSION, ST_IO. */
enum status walk_log_open(struct walk_log **out, const char *path, uint64_t identity,
                          int64_t interval_ns, uint32_t symbol_count, struct err *err);
/* decided() of struct session_observer, context the log. votes (count, MODEL_COUNT). Closes ascend, symbols of a close too,
 * else ST_INVALID sticks; a log that is opened again may be told from any close on. After a failure nothing more is
 * written. */
void walk_log_decided(void *log, int64_t close_ns, const struct engine_decision *decisions,
                      const struct model_vote *votes, uint32_t count);
/* ST_OK, or the first failure. */
enum status walk_log_status(const struct walk_log *log, struct err *err);
/* Closes held against the record so far, closes appended. */
void walk_log_counts(const struct walk_log *log, uint64_t *out_checked, uint64_t *out_appended);
/* Syncs and closes; the first failure of all. NULL is fine. */
enum status walk_log_close(struct walk_log *log, struct err *err);

/* ---- reading ---- */

struct walk_close {
    int64_t close_ns;
    const struct walk_decision *decisions; /* (count) ascending symbols; borrowed from the map */
    uint32_t count, reserved;
    size_t first; /* decisions of the closes before */
};
struct walk_decisions {
    uint64_t identity;
    int64_t interval_ns;
    uint32_t symbol_count, reserved;
    struct walk_close *closes; /* (close_count) ascending */
    size_t close_count, count;
    void *map; /* private */
    size_t map_size;
};
/* Every block's checksum is looked at; half a block at the end is left out. Free with walk_decisions_free. */
enum status walk_decisions_read(struct walk_decisions *out, const char *path, struct err *err);
void walk_decisions_free(struct walk_decisions *d);
/* The one about that symbol; NULL: it was not asked about. */
const struct walk_decision *walk_close_find(const struct walk_close *c, uint32_t symbol);

#endif
