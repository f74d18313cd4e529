/* Who serves, who is tried, and when the next ones are trained: the four seats in operation.
 *
 * At each close, in this order: what came of the forecasts whose horizon is over goes to the seats; the models that do
 * not serve (challenger, predecessor) are asked beside those that do, and their forecasts kept until it is known what
 * came; finished trainings become candidates and are measured on bars that nobody was fitted to; each seat does what
 * its rule says (registry first, then the swap, then the record); what is due is begun. A model that does not serve
 * never trades.
 *
 * The registry is written before the change is told, the change is told before anybody acts on it. Killed in between,
 * a restart finds the change in the registry and does not make it twice.
 *
 * Record    every change leaves as struct model_changed, to be journaled. When a journal is executed again the
 *           changes on record are handed back in: what came from outside (a training's end, a model put in by hand)
 *           is taken from them, everything else is computed anew and must be the same to the last bit.
 * Threads   one handle, one thread: the kernel's. `threaded`: trainings run in one thread of lower priority, which
 *           calls source.open, reads the series and calls source.close; retrain_close looks whether there is a result
 *           and never waits for one. Else a training runs inside retrain_close and is over when that returns, or when
 *           *stop is set: then it is as if the process had been killed there.
 * Time      is the market's, ns; nothing here reads a clock.
 * Tests     test_seats.c (a month), test_recovery.c (kills), test_threaded.c, test_real.c (forests) */
#ifndef RETRAIN_RETRAIN_H
#define RETRAIN_RETRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "brain/ensemble/ensemble.h"
#include "brain/promotion/schedule.h"
#include "brain/promotion/seat.h"
#include "kernel/events.h"
#include "kernel/view.h"
#include "learn/learn.h"

struct retrain;

/* Candles as they are at a close: of each symbol, in ascending order, the bars that open at or after from_ns and close
 * at or before to_ns. They stay as they are until close(). prepare (NULL: nothing to do) is called by the kernel's thread
 * before a training that will call open; what it fails with is what the training fails with. */
struct retrain_source {
    void *context;
    enum status (*open)(void *context, struct learn_series **out, size_t *count, int64_t from_ns,
                        int64_t to_ns, struct err *err);
    void (*close)(void *context, struct learn_series *series, size_t count);
    enum status (*prepare)(void *context, struct err *err);
};

struct retrain_config {
    const char *registry_dir,
        *work_dir; /* work_dir: trials and files in the making; made if absent */
    int64_t interval_ns;
    struct label_spec labels;
    uint32_t kinds;         /* bits 1 << kind: whose seats are kept; the others stay empty */
    uint32_t symbol_count;  /* indices in struct retrain_close are below it */
    int64_t window_ns;      /* trailing window of bars trained on: 365 days */
    int64_t window_warm_ns; /* of a network that goes on from the one that serves: 100 days */
    double valid_share, test_share; /* of the window: 0.15, 0.15 */
    uint32_t embargo_bars;          /* 24 */
    uint32_t epochs;                /* of a network; 0: its own */
    uint32_t rows_max, threads;     /* as in struct learn_config; rows_max 0: all */
    uint32_t
        trial_rows_max; /* newest held-out rows on which old and new are compared: 60,000; 0: all */
    uint64_t seed;
    bool
        warm_networks; /* networks go on from the one that serves, where that has not seen what they are judged by */
    bool threaded;
    /* Files of models that were tried and rejected: the oldest go when all of them are more than this; those a restart
     * may need, eight of a kind, never. A journal can be executed from where the first file that is gone was trained. */
    uint64_t keep_rejected_bytes;
    const volatile sig_atomic_t
        *stop;    /* not threaded: non-zero ends a training at its next step; NULL never */
    bool at_once; /* the first training is due at the first close, not one period later */
    struct promotion_schedule_config schedule;
    struct promotion_config promotion; /* its horizon must be that of the labels */
    struct retrain_source source;
};
/* All four kinds, the modules' own defaults; horizon and cost follow from interval and labels. */
struct retrain_config retrain_config_defaults(int64_t interval_ns, const struct label_spec *labels);

/* Who serves first: as the registry says as of now_ns, the market's start of the run (what a retrainer did there later
 * belongs to a record that is about to be executed again); for a kind with a path that file, added and INSTALLED
 * unless the registry knows it as more than a candidate. paths (MODEL_COUNT) or NULL; now_ns > 0. What config points to
 * must outlive r.
 * ST_INVALID: configuration; ST_MISMATCH: a model of another interval or other labels; else as registry, learn. */
enum status retrain_create(struct retrain **out, const struct retrain_config *config,
                           const char *const *paths, int64_t now_ns, struct err *err);
/* Cancels and joins a training under way (at its next step, within a second). NULL is fine. */
void retrain_destroy(struct retrain *r);

/* Who serves now, NULL nobody; borrowed until the next retrain_close or retrain_state_restore. */
struct served_model *retrain_model(struct retrain *r, enum model_kind kind);
/* Its file, "" nobody; borrowed as long. */
const char *retrain_model_path(const struct retrain *r, enum model_kind kind);

struct retrain_close {
    int64_t close_ns;        /* on the grid of the interval, later than the last one */
    const uint32_t *stepped; /* (count) ascending indices of symbols with a bar that closed now */
    uint32_t count;
    uint32_t stride;   /* of rows, >= feature_count() */
    const float *rows; /* (count, stride), cross-section included */
    const struct net_history *const
        *histories;                 /* (count), rows pushed already; NULL: no network anywhere */
    const struct model_vote *votes; /* (count, MODEL_COUNT): of the models that serve, uncensored */
    const double *closes;           /* (count) price */
    bool drift[MODEL_COUNT];        /* the engine wants a new model of that kind */
    bool by_hand; /* somebody asks for a training of all kinds; dropped if one is under way */
    /* Recovery: the changes on record for this close, in order. recovering: the record goes on behind this close, so
     * these are all there were. False with recorded_count > 0: the record ends within this close, go on from there. */
    bool recovering;
    uint32_t recorded_count;
    const struct model_changed *recorded;
};

/* Four trainings begin, end, are tried, promoted …: never more than this at one close. */
enum { RETRAIN_CHANGES_MAX = 64 };
struct retrain_changes {
    uint32_t count, reserved;
    /* In the order they happened; the first recorded_count are those handed in. */
    struct model_changed items[RETRAIN_CHANGES_MAX];
};

/* One close. A training that fails is a change ("failed"), no error. Errors: ST_CORRUPT: record and execution differ
 * (err names both); ST_INTERRUPTED: *stop was set during a training; registry and files as there. After an error r is
 * only to be destroyed. */
enum status retrain_close(struct retrain *r, struct retrain_changes *out,
                          const struct retrain_close *in, struct err *err);

/* The state between two closes: one block without pointers, the same bytes for the same run. */
size_t retrain_state_size(const struct retrain *r);
/* bytes: retrain_state_size(r), aligned to 8. */
void retrain_state_save(const struct retrain *r, void *bytes);
/* Loads the models it names from the registry. ST_VERSION, ST_CORRUPT, ST_MISMATCH (another configuration), or the
 * registry's: r is as before. A training that was under way is reported as failed, "restart", at the first
 * close behind the record. */
enum status retrain_state_restore(struct retrain *r, const void *bytes, size_t size,
                                  struct err *err);

/* What a journal needs to be executed again: the file of every model that is on record as `trained`, but for those that
 * the next change of their kind turns away untried. ST_NOT_FOUND: a model the registry does not know. */
enum status retrain_has_file(bool *out, const struct retrain *r, uint64_t hash, struct err *err);
bool retrain_is_turned_away(const struct model_changed *change);

/* seats, verdicts, schedule as of the last close; runs are rounds of trainings. */
void retrain_view(struct view_retrain *out, const struct retrain *r);

#endif
