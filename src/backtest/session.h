/* A run: the kernel, the simulated exchange, a feed, a bus and a journal, joined into one loop. Replay,
 * paper, the baselines of a report and the benchmarks are all this one function.
 *
 * What must survive lies in run_dir: journal/ (every input and decision), snapshots/, bus/ (embedded
 * bus), trades.sqlite. A restart loads the newest snapshot and goes over the journal behind it: the
 * same steps are executed again and every record they produce is held against the recorded one, so
 * the run goes on from exactly where it was, or says where it differs. */
#ifndef BACKTEST_SESSION_H
#define BACKTEST_SESSION_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backtest/feed.h"
#include "backtest/report.h"
#include "base/err.h"
#include "kernel/bus.h"
#include "kernel/inbox.h"
#include "kernel/journal.h"
#include "kernel/kernel.h"
#include "kernel/lease.h"
#include "kernel/venue_port.h"
#include "kernel/view.h"
#include "learn/learn.h"
#include "retrain/retrain.h"
#include "venue/simex/simex.h"

struct live_candles;

struct session_progress {
    uint64_t step, step_count, bars, trades;
    int64_t market_ts_ns;
    bool recovering;
};

/* Any of them may be NULL. */
struct session_observer {
    /* Told of each close at which the engine was asked. decisions (count), votes (count, MODEL_COUNT): borrowed for the
     * call. */
    void (*decided)(void *context, int64_t close_ns, const struct engine_decision *decisions,
                    const struct model_vote *votes, uint32_t count);
    void *context;
    /* Every new event that the kernel led to, once it is on record, before it has effects. */
    void (*happened)(void *context, const struct event *event);
    /* A run with a port, between two looks at it: nothing is being executed. waiting: intents on their way. */
    void (*quiet)(void *context, const struct kernel *kernel, uint32_t waiting);
};

/* Whoever writes reports beside a run, told and asked on the run's thread; neither may wait. */
struct session_reports {
    void *context;
    /* So many closed trades are in the journal of trades, committed. */
    void (*committed)(void *context, uint64_t trades);
    /* True: out is of a report that was not told yet; it goes to the bus. */
    bool (*written)(void *context, struct report_written *out);
};

/* What a user may choose of the AI engine; the other figures are its defaults. Part of a run's identity. */
struct session_engine {
    uint32_t rule;                 /* enum ensemble_rule: ENSEMBLE_POOL */
    uint32_t strategy_confidence;  /* 1: a strategy's least confidence bars it; 0 */
    uint32_t exit_brain, reserved; /* 1: trades are ended by it, too (trade/exitbrain); 1 */
    double weights[MODEL_COUNT];   /* priors by kind, relative, > 0: equal */
};

struct session_options {
    struct feed *feed;             /* positioned by the session */
    const struct venue_port *port; /* NULL: the embedded exchange; else the feed is a live one */
    uint32_t warmup_bars;          /* port: candles from before the start, for the features */
    /* Port: where closed candles are kept for trainings; NULL: nowhere. history_bars: as many bars of each symbol as
     * the store shall have behind it at a start; what it lacks is asked for. Not looked at by a verification. */
    struct live_candles *candles;
    uint32_t history_bars;
    struct served_model *models[MODEL_COUNT]; /* by kind; NULL: that seat is empty */
    /* Ensemble: it says who serves instead (models is not looked at). NULL: the models stay. Made for this run
     * and its symbols; a run that goes on is given one on the same registry. */
    struct retrain *retrain;
    enum exits_stray stray; /* what becomes of positions that no order of ours explains */
    uint64_t
        retrain_hash; /* what the run is known by in place of its models: configuration, first models */
    _Atomic uint32_t
        *retrain_request; /* set to 1 by whoever wants a training now; NULL: nobody may */
    struct inbox *inbox; /* commands from outside, looked at between and inside steps; NULL: none */
    struct lease *lease; /* taken; renewed as the loop goes round. NULL: nobody stands by */
    enum run_mode mode;  /* with a port: anything but MODE_REPLAY */
    enum strategy_kind strategy;
    struct session_engine engine;
    uint64_t seed;
    money_t wallet_start;
    const struct label_spec *labels; /* barriers of the exits; NULL: label_spec_defaults() */
    bool
        barrier_exits; /* exits at the barrier whatever the strategy (baselines of an ensemble run) */
    double speed;      /* market seconds per wall second; 0: as fast as possible */
    const char *run_dir; /* NULL: nothing is kept and there is no bus */
    const struct journal_options
        *journal_options;      /* of run_dir's journal; NULL: journal_options_defaults() */
    const char *bus_url;       /* NULL: embedded, in run_dir */
    struct view_box *view_box; /* NULL: nobody looks */
    const struct view_model *view_models;    /* (MODEL_COUNT) how the models are shown; NULL: not */
    const struct session_observer *observer; /* NULL: nobody */
    const struct session_reports *reports;   /* NULL: nobody writes any */
    const volatile sig_atomic_t *stop;       /* set to non-zero to end cleanly; NULL never */
    int64_t trades_commit_ns; /* how often the journal of trades is committed; 0: 1 s */
    /* run_dir's journal is only read: replay it and compare. From its first record, or, where that or the file of a
     * model that was tried since is gone, from the oldest snapshot behind both. */
    bool verify;
    bool durable;        /* fdatasync before a command leaves: paper and live. A replay's venue dies
                                     with it, so there the journal only has to survive the process */
    uint64_t step_limit; /* 0: none; else end (as by `stop`) after so many steps */
    uint64_t step_end; /* 0: none; else end before this step of the feed, however often restarted */
    void (*progress)(void *context, const struct session_progress *progress);
    void *progress_context;
};
struct session_options session_options_defaults(void);

struct session_result {
    bool complete; /* the feed ended and everything is flat */
    bool resumed;
    uint64_t steps, records_checked, snapshot_step, journal_last_seq;
    /* verify: the first record compared; the oldest there is; the last one whose model's file is gone, 0 none. */
    uint64_t verified_from, journal_first_seq, model_gone_seq;
    uint64_t state_hash, trade_hash, fingerprint;
    int64_t last_ts_ns;
    struct kernel_totals totals;
    struct simex_account account;
    struct bus_stats bus;
    uint64_t bus_duplicates; /* intents handed out again after they had been taken: dropped */
    uint64_t bus_refused;    /* entries in the stream that are no intent of this run */
    int64_t predict_ns_p50[MODEL_COUNT], predict_ns_p99[MODEL_COUNT]; /* a row */
    uint64_t predict_rows;                                            /* of all models */
    /* Bars of a step to everything its close led to, journal included; steps with answers of models. */
    int64_t decision_ns_p50, decision_ns_p99, decision_ns_max;
    uint64_t decision_steps;
    struct view_retrain retrain; /* at the end */
};

/* ST_OK also when stopped (complete = false), inside a training, too: the next start begins that one anew. ST_CORRUPT: the journal and the execution differ (err
 * says at which record); ST_MISMATCH: run_dir belongs to another configuration. */
enum status session_run(struct session_result *out, const struct session_options *options,
                        struct err *err);

/* Of the models of a run, by kind; 0: none. With a retrainer what it is known by. */
uint64_t session_models_hash(const struct session_options *options);
/* What is shown of a model: its report, its file. */
void session_view_model(struct view_model *out, const struct served_model *m, const char *path);

/* Identity of a run: everything that decides its outcome. Names its directory. */
uint64_t session_identity(const struct session_options *options);

#endif
