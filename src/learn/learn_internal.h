#ifndef LEARN_LEARN_INTERNAL_H
#define LEARN_LEARN_INTERNAL_H

#include "feature/feature.h"
#include "learn/learn.h"
#include "ml/model/model.h"

/* The kinds that read windows instead of rows. */
static inline bool learn_is_network(enum model_kind kind) {
    return kind == MODEL_NHITS || kind == MODEL_PATCHTST;
}

/* ---- split.c ---- */

enum learn_part { PART_NONE = 0, PART_TRAIN, PART_VALID, PART_TEST, PART_COUNT };

/* Parts in time. A row is decided at its bar's close and its label looks horizon_ns further. It is in
 * a part if it is decided at or after `from` of the part and its whole label lies before `to`; what
 * falls between two parts (purge before the border, embargo behind it) is in none. */
struct learn_split {
    int64_t from_ns[PART_COUNT], to_ns[PART_COUNT];
    int64_t horizon_ns;
};

/* first, last: decision times of the first and the last row. */
enum status learn_split_init(struct learn_split *out, int64_t first_ns, int64_t last_ns,
                             const struct learn_config *config, struct err *err);
enum learn_part learn_split_part(const struct learn_split *split, int64_t decision_ns);

/* Sample weights by average uniqueness, mean 1: within a symbol, a label that shares its bars with
 * n - 1 others counts 1/n on each. series, begin, end (count): label i of its series covers bars
 * begin+1 .. end. bar_counts (series_count).
 * Source  Lopez de Prado (2018), ch. 4. */
enum status learn_uniqueness(float *weights, const uint32_t *series, const uint32_t *begin,
                             const uint32_t *end, size_t count, const size_t *bar_counts,
                             size_t series_count, struct err *err);

/* ---- dataset.c ---- */

/* Rows in time order, within a time in the order of the sorted symbols. */
struct learn_rows {
    float *features;      /* (count, columns); NULL for a network, which has `atr` and `values` */
    float *labels;        /* (count) 0..2 */
    double *returns;      /* (count) label_return of the true label, shuffled or not */
    int64_t *decision_ns; /* (count) close of the row's bar */
    uint32_t *series, *bar,
        *end; /* (count) sorted series' index, bar of the decision, bar that decided */
    size_t count, capacity;
    uint32_t columns;
    uint32_t stride; /* one decision time in `stride` was kept */
    /* Own-series columns that were never missing in a usable row. */
    bool required[FEATURE_COUNT_MAX];
    size_t *bar_counts; /* (series_count) bars read of each */
    size_t series_count;
    /* What networks read; NULL for a forest. */
    float *atr; /* (count) ATR fraction */
    float *
        inputs; /* (count, NET_INPUTS) the columns behind a window's last bar, as they stand in a row */
    float *values; /* (bars of all series, NET_CHANNELS) as net_channels gives them */
    size_t *first; /* (series_count) a series' first bar in values */
};

/* One part's rows: parts are ordered in time, so are the rows. */
struct learn_range {
    size_t begin, count;
};

/* Steps every bar of every series, keeps the usable rows of the chosen decision times and labels them. Of a network's
 * (config->kind) every row has a full history behind it. */
enum status learn_rows_build(struct learn_rows *out, const struct learn_series *series,
                             size_t series_count, const struct learn_config *config,
                             learn_progress_fn progress, void *context, struct err *err);
void learn_rows_free(struct learn_rows *rows);

/* ---- calibrate.c ---- */

/* Isotonic fit of one class: x (n) predicted, hit (n) whether the class came true. */
enum status learn_isotonic(struct calibration *out, const double *x, const bool *hit, size_t n,
                           struct err *err);
/* p (n, LABEL_COUNT), labels (n) in time order. *method: which it is. Stays identity if no fit on the first half
 * lowers the log-loss of the second. */
enum status learn_calibrate(struct calibration out[LABEL_COUNT], enum learn_calibration *method,
                            const double *p, const float *labels, size_t n, struct err *err);

/* ---- metrics.c ---- */

/* Above 2, since a project tries many models; each of the two t must pass it. */
#define LEARN_T_MIN 3.0

double learn_logloss(const double *p, const float *labels, size_t n);
/* t statistic of a series' mean; lag >= 0 (Bartlett kernel). 0 if it cannot be known (n < 30, no
 * variance). Source: Newey, West, Econometrica 55 (1987). */
double learn_newey_west_t(const double *x, size_t n, size_t lag);
/* Shares of the labels, `smooth` rows of each added. share (LABEL_COUNT) */
void learn_class_shares(double *share, const float *labels, size_t n, double smooth);
/* Fills everything about the test rows. prior (LABEL_COUNT): class shares of train. */
enum status learn_measure(struct learn_report *out, const double *p, const float *labels,
                          const int64_t *decision_ns, size_t n, const double *prior, size_t lag,
                          struct err *err);

/* ---- evidence.c ---- */

/* struct served_evidence, as it stands in a file. */
struct model_evidence {
    struct supervisor_reference test;
    struct conformal_table residuals;
    struct reliability reliability;
    struct drift_reference inputs[FEATURE_COUNT_MAX];
};

/* test, residuals, reliability. p (test.count, LABEL_COUNT) calibrated answers to the test rows. ST_RANGE: one of them
 * is no probability. */
enum status learn_evidence_test(struct model_evidence *out, const struct learn_rows *rows,
                                struct learn_range test, const double *p,
                                const struct label_spec *labels, struct err *err);
/* inputs, of the training rows. reads (columns): a forest's; a network's are its channels' and the ATR. */
enum status learn_evidence_inputs(struct model_evidence *out, const struct learn_rows *rows,
                                  struct learn_range train, const bool *reads, struct err *err);

/* ---- model_file.c ---- */

struct model_meta {
    struct learn_report report;
    struct label_spec labels;
    struct calibration calibration[LABEL_COUNT];
    uint8_t
        label_column[LABEL_COUNT]; /* where each label's probability stands in the model's output */
    bool required[FEATURE_COUNT_MAX];
    int64_t interval_ns, data_end_ns;
    uint64_t seed;
    int64_t
        weights_to_ns; /* of a network: no row at or behind it moved its weights, those of a warm start included */
    struct model_evidence evidence;
};

enum status model_meta_write(struct tree_model *m, const struct model_meta *meta, struct err *err);
enum status model_meta_read(struct model_meta *out, const struct tree_model *m, struct err *err);

/* Where such texts are kept: a tree model's attributes, a safetensors file's metadata. */
struct attributes {
    enum model_kind kind;
    void *context;
    enum status (*set)(void *context, const char *key, const char *value, struct err *err);
    const char *(*get)(const void *context, const char *key); /* NULL: none */
};
enum status model_attributes_write(const struct attributes *a, const struct model_meta *meta,
                                   struct err *err);
enum status model_attributes_read(struct model_meta *out, const struct attributes *a,
                                  struct err *err);
/* Numbers of attributes: the whole text; a finite number at *at, behind which *at is put. */
bool model_u64_parse(uint64_t *out, const char *text, int base, uint64_t max);
bool model_f64_parse(double *out, const char **at);
/* ST_CORRUPT: there is none; it is not valid. */
enum status model_attribute_need(const char **out, const struct attributes *a, const char *key,
                                 struct err *err);
enum status model_attribute_bad(struct err *err, const char *key, const char *text);

/* ---- evidence_file.c ---- */

enum status model_evidence_write(const struct attributes *a, const struct model_evidence *evidence,
                                 struct err *err);
/* rows_test: of the report, which the evidence must agree with. */
enum status model_evidence_read(struct model_evidence *out, const struct attributes *a,
                                size_t rows_test, struct err *err);

/* ---- served.c ---- */

/* The trees behind a served forest, NULL for a network; *label_column (LABEL_COUNT): which of their outputs is each
 * label's. */
const struct model *served_model_forest(const struct served_model *m, const uint8_t **label_column);

/* ---- voter.c ---- */

/* The booster and the parameters of a voter. ST_UNSUPPORTED: this kind is not trained by boosting. */
enum status learn_voter(enum booster *booster, char params[LEARN_PARAMS_SIZE], enum model_kind kind,
                        uint64_t seed, struct err *err);

/* How a network is trained. */
struct learn_schedule {
    uint32_t epochs, patience, batch;
    double lr, weight_decay, clip_norm;
    double label_weight;   /* of the labels' cross-entropy beside the path's pinball loss */
    double half_life_days; /* of a row's weight */
};
struct learn_schedule learn_schedule_of(enum model_kind kind);
/* All that makes the network and its training what they are. */
void learn_schedule_text(char params[LEARN_PARAMS_SIZE], enum model_kind kind, size_t horizon,
                         const struct learn_schedule *s, uint64_t seed);

#endif
