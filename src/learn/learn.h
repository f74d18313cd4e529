/* From candles to a served model: labels, time-ordered split, training, calibration, honest verdict. */
#ifndef LEARN_LEARN_H
#define LEARN_LEARN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "brain/ensemble/ensemble.h"
#include "domain/bar.h"

/* What a trade would have done: barriers at +-barrier_atr * ATR-fraction (never nearer than
 * barrier_cost_multiple * round-trip cost) around the close of bar t, looked at from bar t+1's open on,
 * for horizon_bars bars. The same numbers set the exits in service (trade/exits), so a label is the
 * outcome of the trade it proposes.
 * BUY if the upper barrier is hit first, SELL if the lower, HOLD if neither (or both within one bar). */
struct label_spec {
    uint32_t horizon_bars;        /* 12 */
    uint32_t reserved;
    double barrier_atr;           /* 2.0 */
    double barrier_cost_multiple; /* 3.0 */
    double cost_round_trip;       /* fraction: 2 taker fees + spread + slippage, 0.0014 */
};
struct label_spec label_spec_defaults(void);

/* One symbol's labels. bars (n), atr (n) ATR fraction per bar; out_label (n) -1 where unknown (warm-up,
 * or horizon past the end), out_move (n) the barrier distance used, out_end (n) index of the bar that
 * decided it. Bar t's label reads bars t+1 .. t+horizon only. */
void label_make(int8_t *out_label, float *out_move, uint32_t *out_end, const struct bar *bars, const float *atr,
                size_t n, int64_t interval_ns, const struct label_spec *spec);

/* The barrier distance (fraction of price) for an ATR fraction: shared by labels and exits. */
double label_barrier(const struct label_spec *spec, double atr_fraction);

struct learn_series { const char *symbol; const struct bar *bars; size_t count; };

struct learn_config {
    int64_t interval_ns;
    int64_t from_ns, to_ns;     /* decision times used, [from, to) */
    struct label_spec labels;
    double valid_share, test_share; /* the last parts in time: 0.15, 0.15; purged by horizon, embargoed */
    uint32_t embargo_bars;      /* 24 */
    uint32_t rows_max;          /* thinned evenly beyond it: 400000 */
    uint64_t seed;
    bool shuffle_labels;        /* the leakage test: the model must end at chance */
};
struct learn_config learn_config_defaults(void);

struct learn_report {
    int64_t train_from_ns, train_to_ns, valid_from_ns, valid_to_ns, test_from_ns, test_to_ns;
    size_t rows_train, rows_valid, rows_test, symbols;
    double share[LABEL_COUNT];           /* of labels in train */
    double logloss_test, logloss_prior;  /* prior = class shares of train on the same rows */
    double skill_t;                      /* t statistic of per-row log-loss gain, clustered by decision time */
    double accuracy, balanced_accuracy, ece;
    double predicted_share[LABEL_COUNT]; /* of argmax on test */
    uint32_t rounds;
    bool has_skill;                      /* skill_t > 3 and logloss_test < logloss_prior: else it may not vote */
    char verdict[160];                   /* one sentence for the log */
};

/* A trained, calibrated model with everything service needs; opaque. */
struct served_model;

typedef bool (*learn_progress_fn)(void *context, const char *stage, uint32_t done, uint32_t total, double train_loss, double valid_loss);

/* Trains on series, writes the model file. A model without skill is written too, marked so: the
 * ensemble then shows it as VOTE_NO_SKILL and it does not vote. */
enum status learn_train(struct learn_report *out, const char *model_path, const struct learn_series *series, size_t series_count,
                        const struct learn_config *config, learn_progress_fn progress, void *context, struct err *err);

/* ST_MISMATCH if the file's feature hash is not feature_list_hash(). */
enum status served_model_load(struct served_model **out, const char *path, struct err *err);
void served_model_destroy(struct served_model *m);
/* Votes for `rows` feature rows. out (rows): state PRESENT (or NO_SKILL; WARMING where the row's
 * warm-up is not over), calibrated p, move from the row's ATR. */
enum status served_model_vote(struct model_vote *out, struct served_model *m, const float *features, size_t rows, uint32_t stride, struct err *err);
const struct learn_report *served_model_report(const struct served_model *m);
const struct label_spec *served_model_labels(const struct served_model *m);
uint64_t served_model_hash(const struct served_model *m); /* of the file's bytes */
int64_t served_model_data_end_ns(const struct served_model *m); /* no bar at or after it was seen in training or calibration */
int64_t served_model_interval_ns(const struct served_model *m);

#endif
