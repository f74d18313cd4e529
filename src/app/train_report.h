/* What `quantum train` tells of the voters it trained: measured on the test part, by the votes service would have given there, and
 * shown on one page.
 *
 *     struct train_report r = {.config = &config, .series = series, .series_count = n};
 *     r.models[kind] = ..., for each trained kind: served model, its report's path and curve
 *     train_report_measure(&r, progress, context, &err);
 *     train_report_json(&text, &size, &r, &err); train_report_page(&html, &size, &r, text, &err); train_report_free(&r);
 *
 * Nothing here reads a clock: the same bars, files and seed give the same page.
 * docs/train.md says what each figure means. Tests: test_train_report.c, test/e2e/train.sh. */
#ifndef APP_TRAIN_REPORT_H
#define APP_TRAIN_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backtest/stat.h"
#include "base/err.h"
#include "brain/ensemble/reliability.h"
#include "learn/learn.h"

/* ---- who is measured ---- */

/* The four voters by kind, then what is made of them. */
enum {
    TRAIN_POOL_SERVED = MODEL_COUNT, /* those with skill: what the ensemble would have said */
    TRAIN_POOL_ALL,                  /* every trained voter, if one of them has no skill */
    TRAIN_MOMENTUM,                  /* the 24 h rule; trades, gives no probabilities */
    TRAIN_HOLD,                      /* every symbol bought at the start */
    TRAIN_ENTRIES
};
const char *train_entry_name(uint32_t entry); /* "xgboost" … "pool_served" "buy_and_hold" */

/* ---- the test part ---- */

/* A bar of a symbol, decided at its close. */
struct train_row {
    int64_t decision_ns;
    uint32_t symbol, bar; /* symbols by name; the bar's place in its series */
    int8_t label;         /* enum label; -1 unknown */
    int8_t momentum;      /* side of the 24 h rule: -1, 0, 1 */
    bool is_usable;       /* as training asks: behind the warm-up, ATR known */
    double next;          /* return to the symbol's next close; NaN: there is none */
};
struct train_rows {
    struct train_row *rows;   /* (count) by time, within one by symbol */
    struct model_vote *votes; /* (count, MODEL_COUNT) */
    size_t count, capacity;
    size_t *first; /* (times + 1) row each decision time begins at */
    size_t times, times_capacity;
    uint32_t symbols;
};

/* ---- figures ---- */

enum { TRAIN_BINS = 20, TRAIN_POINTS_MAX = 240, TRAIN_SHIFTS_MAX = 400, TRAIN_SAMPLE = 512 };

/* Losses by round of a forest, by look at the validation rows of a network (its steps). */
struct train_curve {
    double *at, *train, *valid; /* (count) */
    size_t count, capacity;
    bool failed; /* no memory */
};
void train_curve_add(struct train_curve *c, bool is_network, double at, double train, double valid);

/* Of probabilities, over the rows with a known label. */
struct train_scores {
    uint64_t rows;
    double logloss, brier, accuracy;
    struct reliability best, label[LABEL_COUNT]; /* of the best label's p; of each label's */
    /* The best label's p. */
    uint64_t histogram[TRAIN_BINS]; /* over [1/3, 1] */
    uint64_t distinct;              /* different values */
    double p_min, p_max, p_mean, p_deviation;
};

/* Of the costed rule, over the bars all voters were tested on. */
struct train_trading {
    bool is_traded;
    double total; /* equity at the end - 1 */
    struct sharpe sharpe;
    double drawdown, longs, shorts; /* shares of symbol-bars */
    uint64_t trades;
    double costs;    /* sum, in shares of the equity of their time */
    double *equity;  /* (points) */
    uint32_t shifts; /* random entries: so many */
    double *low, *middle,
        *high;           /* (points) 5 %, 50 %, 95 % of their equity; NULL: none asked for */
    double random_total; /* the middle one's */
    double p_random;     /* share of them, this one included, that ended at least as high */
};

struct train_importance {
    bool by_gain;   /* else by permutation */
    uint32_t rows;  /* permuted */
    uint32_t count; /* columns of a value */
    uint32_t columns[128];
    double values[128]; /* descending; share of the gain, or rise of the log-loss */
};

struct train_model {
    struct served_model *model; /* NULL: not trained */
    const char *path;
    struct train_curve curve;
    struct train_scores scores; /* over its own test part: its report's figures again */
    struct train_importance importance;
};

struct train_report {
    /* given */
    const struct learn_config *config; /* kind aside, of all */
    const struct learn_series *series;
    size_t series_count;
    struct train_model models[MODEL_COUNT];
    /* measured */
    bool is_measured;
    uint32_t trained;       /* how many */
    uint32_t voters;        /* of them with skill */
    int64_t from_ns, to_ns; /* decision times in the test parts of all */
    uint32_t bars;          /* of them */
    double cost_side;
    uint32_t horizon_bars;
    struct train_scores common[TRAIN_ENTRIES]; /* rows 0: gives no probabilities, or none here */
    struct train_trading trading[TRAIN_ENTRIES];
    size_t points;
    double *seconds; /* (points) of the equities, since 1970 */
    struct train_rows rows;
};

/* ---- measuring ---- */

/* ST_CORRUPT: a served model does not repeat the loss its own report tells; ST_INTERRUPTED when progress says so (stage "measure").
 * Bars are those training read: possible, ascending on the grid, cut at config->to_ns. */
enum status train_report_measure(struct train_report *r, learn_progress_fn progress, void *context,
                                 struct err *err);
void train_report_free(struct train_report *r); /* models are destroyed, paths are the caller's */

/* The parts of it, for tests. */
enum status train_rows_build(struct train_rows *out, const struct train_report *r, int64_t from_ns,
                             int64_t to_ns, learn_progress_fn progress, void *context,
                             struct err *err);
void train_rows_free(struct train_rows *rows);
/* What an entry said of a row: probabilities and expected return. False: nothing. */
struct train_answer {
    double p[LABEL_COUNT], expected;
    bool has_p;
};
bool train_answer(struct train_answer *out, const struct train_report *r,
                  const struct train_rows *rows, uint32_t entry, size_t row);
enum status train_scores_measure(struct train_scores *out, const struct train_report *r,
                                 uint32_t entry, int64_t from_ns, int64_t to_ns, struct err *err);
/* Sides (bars, symbols) of the costed rule; 0 where nothing is held. bars, window and rule are set in r. */
enum status train_sides(int8_t *sides, const struct train_report *r, uint32_t entry,
                        struct err *err);
enum status train_trading_measure(struct train_report *r, uint32_t entry, struct err *err);
enum status train_importance_measure(struct train_report *r, learn_progress_fn progress,
                                     void *context, struct err *err);

/* ---- telling ---- */

/* One JSON object, NUL ended; free(*out). */
enum status train_report_json(char **out, size_t *size, const struct train_report *r,
                              struct err *err);
/* A whole HTML document, well-formed as XML, too; json: the report's own, kept in it. */
enum status train_report_page(char **out, size_t *size, const struct train_report *r,
                              const char *json, struct err *err);
void train_report_text(const struct train_report *r);

#endif
