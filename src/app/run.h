/* What `up`, `backtest`, `report`, `replay` and the benchmarks share: from options to a session. */
#ifndef APP_RUN_H
#define APP_RUN_H

#include <signal.h>
#include <stdbool.h>

#include "backtest/session.h"
#include "venue/link/link.h"

#define RUN_URL_TESTNET "https://demo-fapi.binance.com"
#define RUN_URL_LIVE    "https://fapi.binance.com"
enum { RUN_PATH_SIZE = 4096, RUN_LIST_SIZE = 16384 };

/* Everything a user can ask of a run; kept in the run's folder so that `report` and `replay` know it. */
struct run_options {
    enum run_mode mode;
    enum strategy_kind strategy;
    enum exits_stray stray; /* the rule for positions that are not ours */
    struct session_engine engine;
    char state[RUN_PATH_SIZE];
    char data
        [RUN_PATH_SIZE]; /* candle store, or a folder of files to import first; "" = STATE/store */
    char symbols[RUN_LIST_SIZE]; /* "" = all */
    /* Files, one a seat, in any order; none given: fitting ones, trained where there are none. */
    char models[MODEL_COUNT][RUN_PATH_SIZE];
    uint32_t model_count;
    uint32_t voters;         /* bit 1 << kind: that seat may be taken; the others stay empty */
    char bus[RUN_PATH_SIZE]; /* "" = embedded */
    int64_t interval_ns;     /* 0 = the one the store has */
    int64_t from_ns, to_ns;  /* 0 = chosen */
    int64_t retrain_ns;      /* market time between trainings; 0 none; -1: as the mode has it */
    /* Bars a replay's models are trained on: its first ones, before it begins; the later ones. 0: 730 days, 365. */
    int64_t first_window_ns, window_ns;
    uint64_t seed, step_limit;
    double speed; /* 0 = max */
    bool speed_given, fresh, quiet, no_api, no_baselines;
    uint32_t synth_symbols;
    double synth_pattern;
    uint16_t port;
    /* Waits for a run that another process owns, and takes it over; while it waits, standby_port says so (0: none). */
    bool standby;
    uint16_t standby_port;
    int64_t lease_ns; /* an owner silent for so long is ended */
    /* A venue that is somewhere else; "" = the embedded exchange. */
    char venue_url[RUN_PATH_SIZE];
    char stream_url[RUN_PATH_SIZE]; /* "" = as fits venue_url */
    char keys[RUN_PATH_SIZE];       /* file */
    char ca_file[RUN_PATH_SIZE], tape[RUN_PATH_SIZE];
    uint32_t symbols_max;
    money_t wallet_start; /* as the venue had it when the run began */
    uint64_t market_hash; /* of what names the market: venue, key, symbols */
};

struct run {
    struct run_options options;
    struct lease *lease;          /* of run_dir; NULL: not taken yet */
    struct venue_link *link;      /* NULL: embedded exchange */
    bool has_begun;               /* on a venue, by an earlier start: something may be held there */
    enum status failed;           /* what a preparation, or a session, ended with */
    struct live_candles *candles; /* of a run on a venue that retrains; NULL: none are kept */
    struct session_options session;
    char run_dir[RUN_PATH_SIZE];
    char model_paths[MODEL_COUNT][RUN_PATH_SIZE]; /* of the seats taken, by kind; "" empty */
    struct view_model view_models[MODEL_COUNT];
    struct label_spec labels;
    /* run_retrain.c; the session holds the retrainer itself */
    struct retrain_config retrain_config;
    char registry_dir[RUN_PATH_SIZE], retrain_work_dir[RUN_PATH_SIZE], candles_dir[RUN_PATH_SIZE];
    _Atomic uint32_t retrain_request;
};

struct run_options run_options_defaults(void);

/* Feed, model (trained first if need be, before the user's eyes), run folder and its lease. Returns an exit code;
 * what went wrong is on standard error. EXIT_REFUSED: a model that has seen the window, or a run that another process
 * owns. RUN_ENDED: a standby was told to end. */
enum { RUN_ENDED = -1 };
int run_prepare(struct run *run, const struct run_options *options,
                const volatile sig_atomic_t *stop);
void run_release(struct run *run);

/* Of every command that takes run_rule_option, run_weights_option, run_confidence_option and run_exit_brain_option. */
#define RUN_ENGINE_HELP                                                                            \
    "  --ensemble-rule R  pool (default): the answers' probabilities by weight; classic: the "     \
    "original's count of votes\n"                                                                  \
    "  --ensemble-weights W  what the voters' weights begin at: equal (default), report (.3333 "   \
    ".25 "                                                                                         \
    ".5 1.0), or four\n"                                                                           \
    "                     numbers above 0 for xgboost,lightgbm,nhits,patchtst; normalised, then "  \
    "learned\n"                                                                                    \
    "  --strategy-confidence on|off  a strategy's least confidence bars it (off: the figures are " \
    "not of calibrated\n"                                                                          \
    "                     probabilities)\n"                                                        \
    "  --exit-brain on|off  positions are looked at with the models' answers after each close, "   \
    "and "                                                                                         \
    "ended by the profile\n"                                                                       \
    "                     that is shown to earn more than the strategy's plan (on); off: by the "  \
    "plan alone\n"

/* run_venue.c: a run on a venue somewhere else; the run folder is made here, for what the venue said at the first start
 * (contracts, wallet, moment) is kept in it and holds for every later one. Returns an exit code. */
int run_prepare_venue(struct run *run, struct err *err);
/* Refuses keys, URLs and confirmations that do not fit the mode. EXIT_DONE, EXIT_REFUSED or EXIT_FAILED. */
struct venue_keys {
    char api_key[160], api_secret[4096];
    char mode[16]; /* "" if the file does not say */
};
int run_venue_keys(struct venue_keys *out, const struct run_options *o, struct err *err);
/* Options of the client for a run; texts are borrowed. symbols "": all. */
struct binance_options run_client_options(const struct run_options *o,
                                          const struct venue_keys *keys, const char *symbols,
                                          const char *interval);
/* run_models.c: options.models into their seats, no training. ST_REFUSED: one has seen bars at or after from_ns (with
 * INT64_MAX nobody asks), or is of a kind that options.voters leaves out; ST_MISMATCH: another interval, or other
 * barriers than the model beside it; ST_EXISTS: two of one kind. */
enum status run_load_models(struct run *run, int64_t from_ns, struct err *err);
/* A model of each of options.voters that fits the series, trained before the user's eyes where there is none. data_hash:
 * of the series. */
enum status run_fit_models(struct run *run, const struct learn_series *series, size_t count,
                           uint64_t data_hash, int64_t from_ns, int64_t to_ns,
                           const volatile sig_atomic_t *stop, struct err *err);
enum status run_model_option(struct run_options *o, const char *path, struct err *err);
/* "protect", "flatten" or "leave"; ST_INVALID. */
enum status run_stray_option(struct run_options *o, const char *name);
/* "xgboost,nhits": these seats alone. ST_INVALID: a name that is no voter's, one twice, or none. */
enum status run_voters_option(struct run_options *o, const char *names, struct err *err);
/* run_options.c. "pool" or "classic"; "equal", "report" (0.3333, 0.25, 0.5, 1.0) or four numbers above 0 in the order
 * xgboost, lightgbm, nhits, patchtst; "on" or "off" (twice). ST_INVALID: something else, o unchanged. */
enum status run_rule_option(struct run_options *o, const char *text);
enum status run_weights_option(struct run_options *o, const char *text);
enum status run_confidence_option(struct run_options *o, const char *text);
enum status run_exit_brain_option(struct run_options *o, const char *text);
/* The retrainer's figures and the run's identity with it; then, in the run's folder, the retrainer: the run's models
 * are who serves first. */
void run_retrain_configure(struct run *run);
enum status run_retrain_open(struct run *run, struct err *err);
/* The made-up market of a paper run: minutes, this many of which lie before it begins. */
enum { RUN_SYNTH_HISTORY_BARS = 5000 };
struct synth_config run_synth_config(const struct run_options *o);
/* The run's folder (made, or with --fresh made anew) and its lease: from then on nobody else writes there, and before it
 * this process has not. Then its options into it, and it is the current one. Exit codes; RUN_ENDED. */
int run_make_dir(struct run *run);
/* run_own.c: the lease of run_dir, waiting for it with --standby; run_make_dir's part. */
int run_own(struct run *run);
int run_keep(const struct run *run);
/* Whether the run retrains, as asked for or as its mode has it: settles options.retrain_ns. */
bool run_retrains(struct run *run);

/* The market a run's options name; the model is not looked at. from_ns and interval_ns are known. */
enum status run_open_replay_feed(struct feed **out, const struct run_options *o, struct err *err);
enum status run_open_paper_feed(struct feed **out, const struct run_options *o, struct err *err);
/* The contracts a venue run began with, as its folder keeps them; no venue is asked. */
enum status run_open_venue_feed(struct feed **out, const struct run_options *o, const char *run_dir,
                                struct err *err);

/* Options of a run kept in its folder. */
enum status run_options_save(const struct run_options *o, const char *run_dir, struct err *err);
enum status run_options_load(struct run_options *o, const char *run_dir, struct err *err);

/* The folder of the newest run under a state directory; ST_NOT_FOUND. */
enum status run_current(char *out, size_t size, const char *state, struct err *err);

/* Buy-and-hold and random entries over the bars of the first `steps` steps; into the report's baselines. */
enum status run_baselines(struct report *report, const struct run *run, uint64_t steps,
                          struct err *err);

/* Prints the report of a run folder. Returns an exit code. */
int run_report(const char *run_dir, bool json);

#endif
