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

/* ---- a drill, and what all of them need (cmd_drill.c) ---- */

struct drill {
    const char *name, *state_option, *port_option;
    char state[4096];
    uint32_t port, timeout_s;
    bool json, hang;
    int64_t end_ns; /* monotonic */
    struct drill_state before, after;
};

bool drill_is_over(const struct drill *d);
int64_t drill_ms_since(int64_t begin_ns);
/* drill_look until it succeeds, or never will, or time is over. */
enum status drill_look_again(struct drill *d, struct drill_state *out, struct err *err);
/* What a process found that came after one that was killed. */
struct drill_settled {
    struct drill_difference was;   /* before and after */
    int64_t down_ms, protected_ms; /* kill to first answer; that to all protected, -1 not */
};
/* Looks until everything held is protected, and everything is where it belongs: trades are written with some delay. */
enum status drill_settle(struct drill_settled *out, struct drill *d, struct err *err);
const char *drill_settled_fault(const struct drill_settled *r,
                                const struct drill *d); /* NULL: none */
/* Exit codes; fault NULL: none. */
int drill_failed(const struct drill *d, const struct err *err);
int drill_verdict(const struct drill *d, const char *fault);
void drill_json_head(const struct drill *d, const char *fault);

/* drill_failover.c. venue NULL: the run has none of its own. */
struct drill_venue;
int drill_failover(struct drill *d, struct drill_venue *venue);

/* The process, with what is needed to start it again as it was; ST_REFUSED: that process is no `quantum up`. */
struct drill_process;
enum status drill_process_find(struct drill_process **out, pid_t pid, struct err *err);
void drill_process_free(struct drill_process *p);
/* kill -9, and until it is gone. */
enum status drill_process_kill(struct drill_process *p, struct err *err);
/* Halts it where it is: it holds on to all it has, and does nothing. */
enum status drill_process_halt(struct drill_process *p, struct err *err);
bool drill_process_is_there(const struct drill_process *p);
pid_t drill_process_pid(const struct drill_process *p);
/* The same program, words (but for --fresh), folder and environment; what it says is added to log_path. How: as it was,
 * or as a standby, or as none. */
enum drill_start { DRILL_AS_IT_WAS = 0, DRILL_AS_STANDBY, DRILL_AS_OWNER };
enum status drill_process_start(struct drill_process *p, enum drill_start how, const char *log_path,
                                struct err *err);
/* Waits for one that was started here; its exit code, -1 if a signal ended it. ST_TIMEOUT. */
enum status drill_process_wait(int *out_code, struct drill_process *p, int64_t end_ns,
                               struct err *err);

/* A venue over its API, with the run's own keys. ST_REFUSED: the run has none, or not over plain HTTP. Of what is asked:
 * ST_AGAIN it is asked too much, the run's own requests included. */
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
/* Positions that are not 0, long above 0; at most DRILL_POSITIONS_MAX are written, count is all. */
struct drill_holding {
    char symbol[DRILL_TEXT_SIZE];
    int64_t qty_e8;
};
enum status drill_venue_held(struct drill_holding *out, uint32_t *count, struct drill_venue *v,
                             struct err *err);
/* Positions that are not 0. */
enum status drill_venue_positions(uint32_t *out, struct drill_venue *v, struct err *err);

void drill_nap(void); /* 20 ms */

#endif
