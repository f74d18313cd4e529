/* Shared by the parts of a session: loop, recorder, snapshots, intents. */
#ifndef BACKTEST_SESSION_INTERNAL_H
#define BACKTEST_SESSION_INTERNAL_H

#include "backtest/session.h"
#include "kernel/journal.h"
#include "store/tradedb.h"

enum {
    SESSION_DELIVERED_MAX = 256,
    SESSION_PENDING_MAX = 64,
    SESSION_COMMANDS_MAX =
        256, /* ids remembered: more than wait anywhere, and a day of them by hand */
    SESSION_ROLES = 6,
    SESSION_SNAPSHOTS_MAX = 64,     /* looked at in a folder */
    SESSION_SNAPSHOT_BARS = 1 << 20 /* a fraction of a second of replay, hours of paper trading */
};

/* What a snapshot holds besides kernel and exchange. No pointers. */
struct session_state {
    uint64_t next_step;   /* first step not executed yet */
    uint64_t marked_step; /* last step told to the journal */
    uint64_t trade_hash;
    uint64_t answer_hash; /* of every answer of the models; 0 none */
    /* Decisions that two or more models answered, those whose best labels differ, sum of the distances. */
    uint64_t compared, differing;
    double distance_sum;
    int64_t last_ts_ns;
    int64_t retrained_ns; /* close the retrainer saw last */
    uint32_t drift_told,
        seated; /* bits 1 << kind: the engine's wish has been handed on; the first models have their seats */
    uint64_t bars_since_snapshot, snapshots;
    uint64_t delivered[SESSION_DELIVERED_MAX]; /* intents taken, ring */
    uint32_t delivered_next, flattened;
    uint64_t commands[SESSION_COMMANDS_MAX]; /* ids of those obeyed, ring */
    uint32_t commands_next, reserved;
    uint64_t bus_duplicates;
};

struct session_pending {
    struct trade_intent intent;
    bool arrived; /* the bus has handed it out, under this id */
    char entry_id[BUS_ID_SIZE];
};

/* The command of the bus that is being obeyed: acknowledged once it is on record. */
struct session_policy {
    int64_t look_ns; /* monotonic: not before */
    bool holds;
    struct bus_entry entry;
};

struct session_live;

/* A step as the retrainer is shown it. */
struct session_sorted {
    uint32_t order[INSTRUMENTS_MAX][2]; /* instrument, place in the step */
    uint32_t stepped[INSTRUMENTS_MAX], count, reserved;
    double closes[INSTRUMENTS_MAX];
    const struct net_history *histories[INSTRUMENTS_MAX];
    float *rows;              /* (symbols, feature_count) */
    struct model_vote *votes; /* (symbols, MODEL_COUNT) */
    struct model_changed recorded[RETRAIN_CHANGES_MAX];
    struct retrain_changes changes;
};

struct session {
    struct session_options o;
    struct session_state *state;
    struct kernel *kernel;
    struct simex *simex;
    struct simex_config simex_config;
    struct kernel_config kernel_config;
    struct kernel_scratch *scratch; /* NULL: no ensemble */
    size_t kernel_size, simex_size;
    struct journal *journal;
    struct journal_reader *reader; /* not NULL: recovering or verifying */
    struct journal_record peeked;
    bool has_peeked, at_end; /* at_end: verify has read the last record */
    bool republish;    /* some pending intent may not have reached the bus before the restart */
    bool record_lost;  /* the journal's end was damaged: what came behind it is forgotten */
    bool recorded_new; /* the last record was appended, not found on record */
    struct session_live *live;
    uint64_t records_checked;
    uint64_t commands_taken; /* of the inbox, and on record */
    struct session_policy policy;
    uint64_t bus_refused; /* bus entries that are no intent of this run */
    struct bus *bus;
    struct tradedb *db;
    uint64_t db_puts;
    int64_t db_commit_ns;
    enum status failed; /* first failure inside a callback-free path; sticks */
    struct err *err;
    struct kernel_out out, out2;
    struct session_pending
        pending[SESSION_PENDING_MAX]; /* published, not taken; in the order of publishing */
    uint32_t pending_count;
    uint64_t intents_dropped; /* of them, since the last was delivered */
    int64_t waiting_since_ns; /* monotonic; when the oldest of them was published */
    /* Of the stepped symbols, in their order; session_rows.c. */
    float *rows;                      /* (symbols, feature_count) */
    float *atr;                       /* (symbols) */
    int64_t *closes_ns;               /* (symbols) */
    double *close_px;                 /* (symbols) */
    const struct net_history **asked; /* (symbols) */
    struct model_vote *votes;         /* (symbols, MODEL_COUNT) */
    struct model_vote *answers;       /* (symbols), of the model being asked */
    /* (symbols) by instrument; part of a snapshot. NULL, 0: no voter of this run reads them. */
    unsigned char *histories;
    size_t histories_size;
    struct session_sorted *sorted; /* NULL: no retrainer */
    void *retrain_block;           /* its state as a snapshot holds it; NULL, 0: none */
    size_t retrain_size;
    uint32_t reseated; /* bits 1 << kind: another model has the seat since this close */
    struct view_model view_models[MODEL_COUNT];
    struct view_counts counts; /* of what was decided since this process began */
    struct hist predict_ns[MODEL_COUNT];
    int64_t decide_began_ns; /* the step's first bar was folded then; 0 not known */
    struct hist decision_ns; /* bars of a step to what its close led to, done */
    uint64_t predict_rows[MODEL_COUNT], exchange_work;
    uint64_t role_work[SESSION_ROLES];
    int64_t role_wall_ns[SESSION_ROLES];
    int64_t started_wall_ns, published_ns, progress_ns;
    int64_t pace_wall_ns, pace_market_ns;
    char snapshot_dir[4096];
    uint32_t recovery; /* enum view_recovery */
    uint64_t covered;  /* last journal record that the loaded snapshot holds; 0: none was loaded */
};

/* session_record.c: one event into the journal (or held against it). Sets s->failed. */
void session_record(struct session *s, const struct event *event);
/* The next journal record while recovering, not consumed; NULL at its end (recovery is then over). */
const struct journal_record *session_peek(struct session *s);
void session_take(struct session *s);
/* The mark of the step under way, if it is what comes next: then more of this step is on record behind it. */
void session_mark_take(struct session *s, int64_t close);

/* session_snapshot.c */
enum status session_snapshot_save(struct session *s, struct err *err);
/* Newest usable snapshot into the state block; ST_NOT_FOUND if there is none. *seq: last record it covers. */
enum status session_snapshot_load(struct session *s, uint64_t *seq, struct err *err);
/* Those there are, newest first; how many. */
size_t session_snapshot_list(uint64_t *seqs, size_t max, const struct session *s);
enum status session_snapshot_load_at(struct session *s, uint64_t seq, struct err *err);

/* session_verify.c: the state a verification can begin from; opens the reader behind it. */
enum status session_verify_start(struct session *s, struct session_result *out,
                                 const char *journal_dir, struct err *err);

/* session_intents.c: publish what came out, deliver what the bus gives. */
void session_publish(struct session *s, const struct event *event);
void session_deliver(struct session *s);

/* session_commands.c */
/* Where a step may be when a command is obeyed; 1 and 2 are the parts of run_inside. */
enum { COMMAND_AT_START = 0, COMMAND_BEFORE_CLOSE = 3, COMMAND_BUS_AWAY = 4 };
/* The commands on record for this place; behind the journal's end those that wait. */
void session_commands(struct session *s, uint64_t part);
/* A run with a port: the next one that waits, its place filled in. Then, once it is on record, what it asks for. */
bool session_command_next(struct session *s, struct operator_command *out, uint64_t part);
void session_obey(struct session *s, const struct operator_command *command, bool is_new);

bool session_was_obeyed(const struct session *s, uint64_t command_id);

/* session_policy.c: commands of the bus, stream policy.command. Nothing of it without a bus of its own (bus_url). */
enum status session_policy_open(struct session *s, struct err *err);
/* The next that is of our shape and new; others are acknowledged, or dead letters, by then. */
bool session_policy_next(struct session *s, struct operator_command *out);
void session_policy_done(struct session *s);

/* session_rows.c */
void *session_block(size_t size); /* zeroed, 64-aligned; NULL: no memory */
/* Nothing where no features are computed. */
enum status session_rows_create(struct session *s, struct err *err);
void session_rows_destroy(struct session *s);
/* Histories as they are before the first bar. */
void session_rows_start(struct session *s);
/* One closed bar into the kernel, its row (if there are rows) behind those of the step so far. */
enum kernel_ingest session_bar(struct session *s, uint32_t instrument, const struct bar *bar);
/* The step is whole: cross-section, ATR, and into the histories. */
void session_rows_complete(struct session *s, const uint32_t *stepped, uint32_t count);

/* session_votes.c: fills s->votes of the stepped symbols, from the journal or by asking. */
void session_ask(struct session *s, const uint32_t *stepped, uint32_t count, int64_t close);
uint64_t session_answers(const struct session *s); /* rows the models were asked about */
double session_distance(const struct session *s);  /* mean; NaN: nothing compared */

/* session_retrain.c */
struct served_model *session_model(const struct session *s,
                                   enum model_kind kind); /* NULL: the seat is empty */
/* The first models into the engine; what is shown of all of them. */
void session_seats_start(struct session *s, int64_t close);
void session_seats_show(struct session *s);
/* The step as the retrainer will see it, kept while it is there; its close, behind everything the decisions led to: who
 * serves in shadow is nobody's to wait for; then the new models' seats. */
void session_retrain_show(struct session *s, const uint32_t *stepped, uint32_t count,
                          int64_t close);
void session_retrain(struct session *s, int64_t close);
void session_reseat(struct session *s, int64_t close);

/* session_report.c: all but what the journal of trades knows. */
void session_report(const struct session *s, struct report *r);

/* session_live.c: the loop of a run with a port; s->failed says how it ended. */
void session_live(struct session *s);
/* Intents of a close, at once: before anything that takes its time. On record where they were delivered then. */
void session_live_deliver(struct session *s);
/* A command that is new: to the venue, or kept until it is connected. */
void session_live_submit(struct session *s, const struct venue_command *command);

/* session.c */
/* The venue's word, as it came in at recv. */
void session_venue(struct session *s, const struct venue_event *ev, int64_t recv_ns);
void session_decide(struct session *s, int64_t close);
void session_put_equity(struct session *s, int64_t close);
void session_look_around(struct session *s, uint64_t step);
void session_save_point(struct session *s, bool go_on);
void session_record_state_hash(struct session *s);
/* Publishes the view if the last one is old enough: also called while waiting for the bus. */
void session_show(struct session *s);
void session_show_now(struct session *s);
void session_handle(struct session *s, struct kernel_out *out);
bool session_stopped(const struct session *s);
/* The loop has gone round, or a step of its start has: tells the lease. */
void session_renew(struct session *s);

#endif
