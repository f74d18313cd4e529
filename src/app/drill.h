/* What the drills share: the running system as its API shows it, its process, and the venue it trades on. */
#ifndef APP_DRILL_H
#define APP_DRILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { DRILL_TEXT_SIZE = 32, DRILL_POSITIONS_MAX = 256, DRILL_TRADES_MAX = 1000 };

struct drill_position {
    char symbol[DRILL_TEXT_SIZE], side[DRILL_TEXT_SIZE], stop_px[DRILL_TEXT_SIZE];
    bool is_protected;
    int64_t qty_e8, entry_ms;
};

struct drill_trade {
    char symbol[DRILL_TEXT_SIZE];
    uint64_t trade_id, row_hash; /* of the whole row, as it was told */
    int64_t entry_ms;
};

struct drill_state {
    char mode[DRILL_TEXT_SIZE];
    bool running, emergency_stop;
    int64_t started_ms, market_ms, live_orders;
    pid_t pid;
    uint32_t position_count, trade_count;
    struct drill_position positions[DRILL_POSITIONS_MAX]; /* oldest first, as told */
    struct drill_trade trades[DRILL_TRADES_MAX];          /* the newest; oldest first */
};

/* Several requests, one after the other: what happens between them is in the later ones alone. ST_NOT_FOUND nothing
 * listens there, ST_AGAIN it is not ready, ST_FULL more than fits; err says why. */
enum status drill_look(struct drill_state *out, uint16_t port, struct err *err);
/* NULL: not held. */
const struct drill_position *drill_held(const struct drill_state *s, const char *symbol,
                                        int64_t entry_ms);
bool drill_traded(const struct drill_state *s, const char *symbol, int64_t entry_ms);
uint32_t drill_unprotected(const struct drill_state *s);

/* What became of before's positions and trades. closed and opened are no faults. */
struct drill_difference {
    uint32_t lost, doubled, changed, closed, opened;
};
void drill_compare(struct drill_difference *out, const struct drill_state *before,
                   const struct drill_state *after);

/* The process, with what is needed to start it again as it was; ST_REFUSED: that process is no `quantum up`. */
struct drill_process;
enum status drill_process_find(struct drill_process **out, pid_t pid, struct err *err);
void drill_process_free(struct drill_process *p);
/* kill -9, and until it is gone. */
enum status drill_process_kill(struct drill_process *p, struct err *err);
/* The same program, words (but for --fresh), folder and environment; what it says is added to log_path. */
enum status drill_process_start(struct drill_process *p, const char *log_path, struct err *err);

/* A venue over its API, with the run's own keys. ST_REFUSED: the run has none, or not over plain HTTP. */
struct drill_venue;
enum status drill_venue_open(struct drill_venue **out, const char *run_dir, struct err *err);
void drill_venue_close(struct drill_venue *v);
struct drill_stop {
    bool is_algo;
    uint64_t id; /* 0 none */
};
/* The protective stop that stands for the symbol, asked for after `except` (NULL: whenever); id 0: none. */
enum status drill_venue_stop(struct drill_stop *out, struct drill_venue *v, const char *symbol,
                             const struct drill_stop *except, struct err *err);
enum status drill_venue_cancel(struct drill_venue *v, const char *symbol,
                               const struct drill_stop *stop, struct err *err);
/* Positions that are not 0. */
enum status drill_venue_positions(uint32_t *out, struct drill_venue *v, struct err *err);

void drill_nap(void); /* 20 ms */

#endif
