/* What the files of the training report share. */
#ifndef APP_TRAIN_REPORT_INTERNAL_H
#define APP_TRAIN_REPORT_INTERNAL_H

#include "app/train_report.h"
#include "feature/feature.h"

/* Every bar of every symbol once, by time, as service sees it: rows whole, histories pushed. */
struct train_walk {
    int64_t decision_ns;                  /* of this time: the bars' close */
    uint32_t count;                       /* symbols with a bar at it, in order of their names */
    uint32_t *symbol;                     /* (count) */
    uint32_t *bar;                        /* (count) */
    bool *is_usable;                      /* (count) as training asks of a row */
    float *rows;                          /* (count, columns) */
    const struct net_history **histories; /* (count); NULL: nobody reads them */
    uint32_t columns;
    struct train_walk_series *series; /* private (symbols) */
    uint32_t symbols;
    int64_t interval_ns;
    size_t done, total; /* bars */
};
enum status train_walk_init(struct train_walk *w, const struct train_report *r, struct err *err);
/* False behind the last time. */
bool train_walk_next(struct train_walk *w);
void train_walk_free(struct train_walk *w);
/* The series in the walk's order, cut at config->to_ns. */
const struct learn_series *train_walk_series(const struct train_walk *w, uint32_t symbol);
/* ATR fractions (bars) seen so far. */
const float *train_walk_atr(const struct train_walk *w, uint32_t symbol);

/* Tells progress of stage "measure"; ST_INTERRUPTED if it says so. NULL: ST_OK. */
enum status train_report_progress(learn_progress_fn progress, void *context, size_t done,
                                  size_t total, struct err *err);

/* True for a voter that was trained, or a pool of several. */
bool train_entry_answers(const struct train_report *r, uint32_t entry);
/* "XGBoost", "pool of all" */
const char *train_entry_title(uint32_t entry);

/* ---- pictures: SVG text appended to t ---- */

struct text;
enum status train_picture_reliability(struct text *t, const struct train_scores *s,
                                      const char *title, struct err *err);
enum status train_picture_confidences(struct text *t, const struct train_scores *s,
                                      const char *title, struct err *err);
enum status train_picture_curve(struct text *t, const struct train_report *r, uint32_t kind,
                                struct err *err);
enum status train_picture_importance(struct text *t, const struct train_report *r, uint32_t kind,
                                     struct err *err);
/* One entry beside the baselines, with its random twin; TRAIN_ENTRIES: all of them together. */
enum status train_picture_equity(struct text *t, const struct train_report *r, uint32_t entry,
                                 struct err *err);

#endif
