/* What came after each decision: the label training would give it, its trade's return, the return over the horizon. From
 * the bars, afterwards; nothing here was known when it was decided. */
#ifndef WALK_OUTCOME_H
#define WALK_OUTCOME_H

#include "learn/learn.h"
#include "walk/log.h"
#include "walk/measure.h"

struct walk_outcome {
    int32_t label; /* enum label; -1: not known (end of the bars, a hole, no distance) */
    float came;    /* close to close over the horizon, fraction; NaN where label is -1 */
    /* At the barrier that was hit first (or the open beyond it), else at the horizon's close: what the expected return is
     * the expectation of, and what its interval is meant to hold. */
    float settled;
};

/* out (d->count), in the order of the decisions. series (d->symbol_count) by index of the instrument. The label is
 * label_make's with the decision's own distance.
 * ST_INVALID: a decision about a symbol that has no bar closing then. */
enum status walk_outcomes(struct walk_outcome *out, const struct walk_decisions *d,
                          const struct learn_series *series, const struct label_spec *spec,
                          struct err *err);

/* Whose answers are measured. */
enum walk_subject {
    WALK_XGBOOST = MODEL_XGBOOST, /* each answer of that model, whether or not it voted */
    WALK_LIGHTGBM = MODEL_LIGHTGBM,
    WALK_NHITS = MODEL_NHITS,
    WALK_PATCHTST = MODEL_PATCHTST,
    WALK_POOL_ALL, /* log-opinion pool, equal weights, of all answers, with skill or without */
    /* What was said: pool of the voters with their learned weights, calibrated; where nobody might vote the opinion of all
     * who answered, by the same way. */
    WALK_ENSEMBLE,
    WALK_SUBJECT_COUNT
};
const char *walk_subject_text(enum walk_subject subject); /* "xgboost" … "pool_all" "ensemble" */

/* The subject's answer at a decision. False: it gave none. voted_only: answers that counted. */
bool walk_answer(float out_p[LABEL_COUNT], float *out_expected, const struct walk_decision *d,
                 enum walk_subject subject, bool voted_only);

/* Its answers whose outcome is known, in order of time. out (d->count). Returns their number. */
size_t walk_samples(struct walk_sample *out, const struct walk_decisions *d,
                    const struct walk_outcome *outcomes, enum walk_subject subject,
                    bool voted_only);

/* How often the interval held what came. */
struct walk_coverage {
    uint64_t given, inside;  /* inside: `settled` */
    uint64_t inside_horizon; /* `came` */
    double width;            /* mean, fraction; NaN without any */
};
struct walk_coverage walk_coverage_of(const struct walk_decisions *d,
                                      const struct walk_outcome *outcomes, size_t close_first,
                                      size_t close_count);

#endif
