/* From candles to a served model: labels, time-ordered split, training, calibration, honest verdict. */
#ifndef LEARN_LEARN_H
#define LEARN_LEARN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "brain/ensemble/conformal.h"
#include "brain/ensemble/ensemble.h"
#include "brain/ensemble/reliability.h"
#include "brain/supervisor/supervisor.h"
#include "domain/bar.h"

/* What a trade would have done: barriers at +-barrier_atr * ATR-fraction (never nearer than
 * barrier_cost_multiple * round-trip cost) around the close of bar t, looked at from bar t+1's open on,
 * for horizon_bars bars. The same numbers set the exits in service (trade/exits), so a label is the
 * outcome of the trade it proposes.
 * BUY if the upper barrier is hit first, SELL if the lower, HOLD if neither (or both within one bar). */
struct label_spec {
    uint32_t horizon_bars; /* 12 */
    uint32_t reserved;
    double barrier_atr;           /* 2.0 */
    double barrier_cost_multiple; /* 3.0 */
    double cost_round_trip;       /* fraction: 2 taker fees + spread + slippage, 0.0014 */
};
struct label_spec label_spec_defaults(void);
bool label_spec_equal(const struct label_spec *a, const struct label_spec *b);

/* One symbol's labels. bars (n), atr (n) ATR fraction per bar; out_label (n) -1 where unknown: ATR not
 * known, horizon past the end, or a hole in the grid within it (even when a barrier is hit before:
 * else only the quick ones would be known). out_move (n) the barrier distance used, NaN where unknown;
 * out_end (n) index of the bar that decided it, t where unknown. A bar that opens beyond a barrier hit
 * that one. Bar t's label reads bar t's close and time, and bars t+1 .. t+horizon only.
 * Source  Lopez de Prado, Advances in Financial Machine Learning (2018), ch. 3, triple barrier. */
void label_make(int8_t *out_label, float *out_move, uint32_t *out_end, const struct bar *bars,
                const float *atr, size_t n, int64_t interval_ns, const struct label_spec *spec);

/* The barrier distance (fraction of price) for an ATR fraction: shared by labels and exits. */
double label_barrier(const struct label_spec *spec, double atr_fraction);
/* What the price did from bar t's close until the label was decided at bar `end`, fraction: to the barrier that was hit, or the
 * open beyond it; else to the close of bar `end`. distance: label_barrier's. The realised_return of
 * brain/governance's forecasts, to the last bit. */
double label_return(const struct bar *bars, size_t t, uint32_t end, enum label label,
                    double distance);

struct learn_series {
    const char *symbol;
    const struct bar *bars;
    size_t count;
};

struct learn_config {
    enum model_kind kind;
    int64_t interval_ns;
    int64_t from_ns,
        to_ns; /* decision times used, [from, to); no bar that closes after `to` is read */
    struct label_spec labels;
    double valid_share,
        test_share;        /* the last parts in time: 0.15, 0.15; purged by horizon, embargoed */
    uint32_t embargo_bars; /* 24 */
    uint32_t rows_max;     /* thinned evenly beyond it: 400000 */
    uint64_t seed;
    bool shuffle_labels; /* the leakage test: the model must end at chance */
    uint32_t
        threads; /* of a network's training; 0: one a processor. The file is the same for any number */
    uint32_t epochs; /* of a network: at most so many; 0: the voter's own */
    /* A network goes on from this file's weights: one of the same kind, interval and labels, whose weights saw nothing behind the
     * start of the new validation part. NULL: from random ones. */
    const char *warm_start;
};
struct learn_config learn_config_defaults(void);
/* Of the parameters a voter is trained with, which are this program's; 0: that kind is not trained here. */
uint64_t learn_voter_hash(enum model_kind kind);
/* How the name of a model file of that kind ends: ".json", ".txt". */
const char *learn_file_suffix(enum model_kind kind);

enum { LEARN_PARAMS_SIZE = 320 };

/* How raw probabilities were made calibrated ones: by whichever lowered the log-loss of the later half of the validation rows
 * most, fitted on the earlier half; then fitted on both. */
enum learn_calibration { LEARN_IDENTITY = 0, LEARN_ISOTONIC, LEARN_BETA, LEARN_CALIBRATION_COUNT };
const char *
learn_calibration_text(enum learn_calibration calibration); /* "identity" "isotonic" "beta" */

struct learn_report {
    int64_t train_from_ns, train_to_ns, valid_from_ns, valid_to_ns, test_from_ns, test_to_ns;
    size_t rows_train, rows_valid, rows_test, symbols;
    double share[LABEL_COUNT];          /* of labels in train */
    double logloss_test, logloss_prior; /* prior = class shares of train on the same rows */
    /* t statistic of the log-loss gain per decision time, Newey-West with the horizon as lag, over the
     * best constant forecast there is in hindsight (the test rows' own shares): merely having fresher
     * shares is not skill. */
    double skill_t;
    /* The same for direction alone: BUY against SELL on the rows that hit a barrier. A model that knows
     * when prices move but not which way (any model does, of volatility) must not take sides. */
    double side_t;
    double accuracy, balanced_accuracy, ece;
    double predicted_share[LABEL_COUNT]; /* of argmax on test */
    uint32_t rounds;                     /* trees, or epochs, up to the best ones */
    uint32_t calibration;                /* enum learn_calibration */
    /* Of a network's path, on the test rows: mean square of (log return over the whole horizon - forecast) / (sigma sqrt(horizon)),
     * sigma the window's volatility a bar; the same of "it stays where it is" and of DLinear, a linear map of the same windows'
     * returns fitted to the same rows. NaN for forests. */
    double mse_path, mse_persistence, mse_dlinear;
    char params[LEARN_PARAMS_SIZE]; /* of the voter, as it was asked for */
    /* skill_t > 3, side_t > 3, logloss_test < logloss_prior and at least two labels are each the best
     * one on 1 % of the test rows: else it may not vote. */
    bool has_skill;
    bool shuffled;     /* trained on shuffled labels: never votes */
    char verdict[224]; /* one sentence for the log */
};

/* A trained, calibrated model with everything service needs; opaque. */
struct served_model;

/* stage: "features" (decision times), "train" (rounds; a network's steps), "baseline" (DLinear's steps), "validate". Return false
 * to cancel. Losses are NaN outside "train", and a network's valid_loss before its first epoch is over. */
typedef bool (*learn_progress_fn)(void *context, const char *stage, uint32_t done, uint32_t total,
                                  double train_loss, double valid_loss);

/* Trains the voter of config->kind on series, writes the model file; nothing is written on failure. The same series (in any
 * order), configuration and library give the same bytes. ST_RANGE: too little to learn from (which
 * part lacks rows, or only one label occurs); ST_INVALID: bars out of order or impossible;
 * ST_INTERRUPTED; with warm_start ST_MISMATCH (another kind, labels, interval or network), ST_REFUSED (it has seen what it would
 * be judged by), ST_UNSUPPORTED (a forest), or as served_model_load. A model without skill is written too, marked so: the
 * ensemble then shows it as VOTE_NO_SKILL and it does not vote. */
enum status learn_train(struct learn_report *out, const char *model_path,
                        const struct learn_series *series, size_t series_count,
                        const struct learn_config *config, learn_progress_fn progress,
                        void *context, struct err *err);

/* ST_MISMATCH if the file's feature hash is not feature_list_hash(); ST_VERSION if it was written without what service needs
 * today (train it again); ST_CORRUPT names a missing or broken attribute; else as model_load. */
enum status served_model_load(struct served_model **out, const char *path, struct err *err);
void served_model_destroy(struct served_model *m);
/* The last bars of one symbol as the networks read them. Fixed size, no pointers inside; a hole in the grid begins it anew. */
struct net_history;
size_t net_history_size(void); /* a multiple of 64 */
/* Bars in a row, each with its columns known, before a network can answer. */
uint32_t net_history_bars(void);
void net_history_init(struct net_history *h, int64_t interval_ns);
/* row (feature_count()) of the bar that closed at close_ns, cross-section columns included; times ascend. */
void net_history_push(struct net_history *h, int64_t close_ns, const float *row);
/* Whether this model reads histories: the networks do, the forests read rows. */
bool served_model_reads_history(const struct served_model *m);
/* Votes for `rows` feature rows; histories (rows): their symbols', the row pushed already; NULL if the model
 * does not read them (for a network ST_INVALID; a NULL or unfilled one among them is WARMING). A network votes WARMING, too, if its
 * forecast is not finite throughout. Allocates nothing. out (rows): state PRESENT (or NO_SKILL; WARMING where ATR or an
 * own-series column that training never saw missing is NaN: p and move are then 0), calibrated p,
 * move from the row's ATR. features (rows, stride), stride >= feature_count(). */
enum status served_model_vote(struct model_vote *out, struct served_model *m, const float *features,
                              const struct net_history *const *histories, size_t rows,
                              uint32_t stride, struct err *err);
/* A network's forecast of the log return from the last close to 1 .. horizon bars later: quantiles 0.1, 0.5, 0.9.
 * out (served_model_labels()->horizon_bars, 3). ST_UNSUPPORTED: a forest; ST_AGAIN: the history is not full, or no finite
 * forecast came of it; out is then NaN. */
enum status served_model_path(double *out, struct served_model *m,
                              const struct net_history *history);
const struct learn_report *served_model_report(const struct served_model *m);

/* What the model brings with it for the engine that watches it (brain/engine): its answers on the test rows, which neither its
 * weights nor its calibration have seen, and the training rows as the engine will look at rows. */
struct served_evidence {
    /* Mean log-loss (forecast_log_loss; of the decision times' means, as the supervisor is told it) and shares of best
     * labels, calibrated. */
    struct supervisor_reference test;
    /* (features) by column of the registry; rows 0, not watched: a column no split reads, that is none of a network's
     * channels nor the ATR, or that no training row knew. One symbol a decision time, in turn, at most 6,144
     * rows in windows spread over the training part; inflation is the upper end of what so few windows tell. */
    const struct drift_reference *inputs;
    /* (features) share of a forest's summed gain, sum 1, or all 0 if it has no split; a network: NULL */
    const double *importance;
    uint32_t features, reserved; /* feature_count() */
    /* |return until the label was decided - expected| / move, expected = move (p of BUY - p of SELL) */
    struct conformal_table residuals;
    struct reliability reliability; /* of the best label */
};
/* Borrowed until the model is destroyed. */
const struct served_evidence *served_model_evidence(const struct served_model *m);
const struct label_spec *served_model_labels(const struct served_model *m);
uint64_t served_model_hash(const struct served_model *m); /* of the file's bytes */
int64_t served_model_data_end_ns(
    const struct served_model *m); /* no bar at or after it was seen in training or calibration */
int64_t served_model_interval_ns(const struct served_model *m);
enum model_kind served_model_kind(const struct served_model *m); /* as the file says */
uint64_t served_model_weights(const struct served_model *m);     /* trained numbers; 0: a forest */

#endif
