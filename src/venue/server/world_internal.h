/* Private to world*.c. */
#ifndef VENUE_SERVER_WORLD_INTERNAL_H
#define VENUE_SERVER_WORLD_INTERNAL_H

#include <sys/types.h>

#include "kernel/journal.h"
#include "venue/server/world.h"

enum {
    WORLD_FORMAT = 1, /* of the records and snapshots; a change of meaning raises it */
    WORLD_DIR_SIZE = 512,
    WORLD_SNAPSHOTS_KEPT = 2,
};

/* Permanent numbers. */
enum world_record {
    RECORD_INPUT = 1, /* struct exchange_input */
    RECORD_ADVANCE,   /* nothing but its time */
    RECORD_BAR,       /* struct record_bar */
    RECORD_TRADE,     /* struct record_trade */
    RECORD_FILTERS,   /* struct record_filters */
    RECORD_SWITCH,    /* struct record_switch */
    RECORD_HASH,      /* uint64_t: exchange_hash before this record */
    RECORD_FILLER,    /* nothing: takes a number that a snapshot has already used */
};
struct record_bar {
    uint32_t instrument, reserved;
    struct bar bar;
};
struct record_trade {
    uint32_t instrument, reserved;
    struct market_trade trade;
};
struct record_filters {
    uint32_t instrument, reserved;
    struct instrument rules;
};
enum record_switch_what { SWITCH_CLASSIC = 1, SWITCH_STALE, SWITCH_SHOCK };
struct record_switch {
    uint32_t what, instrument, on;
    int32_t move_ppm; /* SWITCH_SHOCK */
};

enum { BLOCK_EXCHANGE = 0, BLOCK_HISTORY, BLOCK_MARKET, BLOCK_TICKS, BLOCK_OWN, BLOCK_COUNT };
struct world_block {
    void *memory;       /* mapped: pages nobody touched cost nothing */
    size_t size, saved; /* saved: what of it makes a snapshot, from its start */
};
/* What of the world itself belongs into a snapshot. */
struct world_own {
    int64_t now_ns;
    int64_t fed_ns[]; /* (instrument_count) */
};

struct world_private {
    struct world_options
        options; /* its pointers are good during world_open only, but for the callbacks */
    struct world_block blocks[BLOCK_COUNT];
    struct world_own *own;
    struct exchange_reply reply; /* of inputs nobody asks about */
    struct journal *journal;     /* NULL: nothing is kept */
    char dir[WORLD_DIR_SIZE];
    int dir_fd;
    char *identity;
    uint64_t identity_hash;
    struct err failure;
    uint32_t instrument_count, symbol_mask;
    uint16_t *symbols;      /* open addressing: contract + 1 */
    uint64_t hash_due;      /* journal sequence at which the state's hash is written again */
    uint64_t snapshot_due;  /* and at which a snapshot is */
    pid_t snapshot_pid;     /* 0: none is being written */
    uint64_t writing_seq;   /* of that one */
    uint64_t kept_seq;      /* of the newest finished one, UINT64_MAX none */
    int64_t snapshot_at_ns; /* monotonic, of the newest or its start */
    struct world_stats stats;
};

/* world_identity.c: text of everything that two lives of one state must have in common, one `name value`
 * a line. Allocated; NULL: out of memory. */
char *world_identity_text(const struct world_options *options);
/* ST_MISMATCH with the first line that differs. */
enum status world_identity_compare(const char *was, const char *is, struct err *err);

/* world_snapshot.c. Files: DIR/snapshot-SEQ: the state after journal record SEQ. */
/* Loads the newest that checks out into the blocks. ST_NOT_FOUND: there is none. *seq: its record. */
enum status snapshot_load(struct world_private *p, uint64_t *seq, struct err *err);
/* Writes one now and waits; of all that are then there, the newest `keep` stay. */
enum status snapshot_save(struct world_private *p, uint32_t keep, struct err *err);
/* Forks a child that writes one. */
void snapshot_start(struct world_private *p);
/* Collects a child that ended; wait: until it does. */
void snapshot_reap(struct world_private *p, bool wait);

#endif
