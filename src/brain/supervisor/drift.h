/* Drift of inputs: each feature of the rows a model is asked about against a summary of the rows it was trained on.
 *
 * Three looks at one feature. PSI and KS compare the newest DRIFT_WINDOW rows with the training rows, bin by bin; the
 * sequential test asks after every row whether the feature has moved up or down, with a stated rate of false
 * alarms. Values are seen through the training rows' own ten quantile bins, so units and tails do not matter.
 *
 * Rows that follow each other are alike (calm weeks, wild weeks), and a plain test would call every week a
 * drift. So each feature carries how many times its window means vary more than independent rows' would, and
 * counts for that many fewer rows. State is plain memory. */
#ifndef BRAIN_SUPERVISOR_DRIFT_H
#define BRAIN_SUPERVISOR_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DRIFT_BINS = 10,
    DRIFT_CELLS = DRIFT_BINS + 1, /* cell 0: missing (NaN) */
    DRIFT_WINDOW = 256,
    DRIFT_FEATURES_MAX = 128
};

/* Of one feature's training rows; 272 bytes. */
struct drift_reference {
    uint64_t rows; /* 0: none, the feature is not watched */
    uint32_t edge_count, reserved;
    double edge[DRIFT_BINS - 1]; /* ascending; bin = edges <= value */
    double share[DRIFT_CELLS];
    double score
        [DRIFT_CELLS]; /* normal score of the cell; mean 0 and variance 1 over the rows not missing */
    double inflation; /* >= 1, at most DRIFT_WINDOW: a row counts for 1 / inflation rows */
};
_Static_assert(sizeof(struct drift_reference) == 272, "documented size");

/* sorted (finite) ascending: the finite values; series (rows) the same rows in the order of time, NaN where missing.
 * False, and an empty reference, if finite is 0, greater than rows or sorted is not ascending. inflation needs
 * 8 windows of rows; with fewer it is 1. */
bool drift_reference_fit(struct drift_reference *out, const double *sorted, size_t finite,
                         const float *series, size_t rows);

enum drift_level { DRIFT_NONE = 0, DRIFT_WATCH, DRIFT_WARN, DRIFT_SEVERE, DRIFT_LEVEL_COUNT };
const char *drift_level_text(enum drift_level level); /* "none" "watch" "warn" "severe" */

struct drift_feature {
    struct drift_reference reference;
    double up_step[DRIFT_CELLS], down_step[DRIFT_CELLS]; /* factor of evidence by cell */
    double up, down;                                     /* evidence of a shift */
    int64_t alarm_row;                                   /* of the last alarm, -1: none */
    uint32_t alarm_side, reserved;    /* its direction: 1 up, 2 down, 3 both at once */
    uint16_t counts[DRIFT_CELLS + 1]; /* of the window; the last one is padding */
    uint8_t cells[DRIFT_WINDOW];
};
_Static_assert(sizeof(struct drift_feature) == 760, "documented size");

struct drift_config {
    double psi_watch, psi_warn, psi_severe; /* 0.10, 0.15, 0.25 */
    /* 0.0002, divided by the features watched: 0.01 over the fifty windows between two trainings, since it is
     * looked at again and again. A PSI whose KS is more likely than that is chance, and no level. */
    double ks_p;
    double rows_per_alarm; /* 20,000: of the sequential tests of all features together */
};
struct drift_config drift_config_defaults(void);

/* 97,352 bytes: room for 128 features. */
struct drift {
    struct drift_config config;
    uint32_t features, watched;
    uint64_t rows, alarms;
    double threshold; /* of one direction of one feature */
    struct drift_feature f[DRIFT_FEATURES_MAX];
};
_Static_assert(sizeof(struct drift) == 97352, "documented size");

/* references (features), features <= DRIFT_FEATURES_MAX (asserted). */
void drift_init(struct drift *d, const struct drift_config *config,
                const struct drift_reference *references, uint32_t features);
/* One row as the model saw it. Returns how many features alarmed at it: expectation at most 1 in rows_per_alarm rows
 * while rows come as in training, whatever the features have to do with each other. Exact for independent rows; for
 * dependent ones the evidence is tempered by the inflation, which is right for long runs of small shifts.
 * Infinities are missing values. O(features). */
uint32_t drift_row(struct drift *d, const float *row);

struct drift_figures {
    double psi;       /* sum (q - p) ln(q / p); half a row is added to each cell */
    double ks;        /* largest gap of the distribution functions at the cells' borders */
    double ks_p;      /* of that gap, two samples, at their effective sizes */
    uint32_t level;   /* enum drift_level; none before the window is full */
    uint32_t alarmed; /* alarm_side of a sequential alarm within the window, else 0 */
};
void drift_figures(struct drift_figures *out, const struct drift *d, uint32_t feature);

struct drift_summary {
    uint32_t watched, at_level[DRIFT_LEVEL_COUNT]; /* features */
    uint32_t alarmed,
        worst; /* worst: index of the highest PSI at the highest level; DRIFT_FEATURES_MAX: none */
    double severe_share; /* importance of the severe ones, of all watched; 0..1 */
    double psi_worst, ks_p_worst;
};
/* importance (features) >= 0, or NULL: all alike. O(features * bins). */
void drift_summarise(struct drift_summary *out, const struct drift *d, const double *importance);
/* Source  Siddiqi, Credit Risk Scorecards (2006), PSI and its 0.10 and 0.25; Stephens, J. R. Stat. Soc. B 32
 *         (1970), and Press et al., Numerical Recipes, ch. 14, for the KS probability; the sequential test as in detect.h
 *         with likelihood ratios of an exponentially tilted training distribution. */
double drift_ks_probability(double gap, double rows_a, double rows_b);

#endif
