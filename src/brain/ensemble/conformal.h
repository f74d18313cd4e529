/* An interval around the expected return that holds what comes true with a stated share, whatever the
 * distribution of errors.
 *
 * A residual here is |return that came - return expected| / scale, with the scale the caller's measure of how
 * far the price may go (the signal's move): so one table serves calm and wild symbols.
 *
 * Two parts. The table is split conformal: quantiles of the residuals of a model's out-of-time rows, kept
 * with the model; it covers as long as service looks like those rows. The state adapts: the newest
 * residuals replace the table's, and the level itself is moved by each miss, so that coverage holds over time
 * under drift, too. */
#ifndef BRAIN_ENSEMBLE_CONFORMAL_H
#define BRAIN_ENSEMBLE_CONFORMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFORMAL_LEVELS = 199, CONFORMAL_WINDOW = 1024 };

/* quantile[i]: at least (i + 1) / (CONFORMAL_LEVELS + 1) of new residuals are within it: steps of half
 * a per cent. 1,600 bytes. */
struct conformal_table {
    uint64_t rows; /* residuals it was made of; 0: no table */
    double quantile[CONFORMAL_LEVELS];
};

/* residuals (rows) ascending, finite, >= 0. False, and an empty table, if rows is 0 or they are not.
 * quantile[i] is the residual of rank ceil((rows + 1) (i + 1) / (CONFORMAL_LEVELS + 1)), or the largest where that is
 * beyond the last.
 * Source  Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World (2005); Lei et al., "Distribution-free
 *         predictive inference for regression", J. Am. Stat. Assoc. 113 (2018), split conformal. */
bool conformal_table_fit(struct conformal_table *out, const double *residuals, size_t rows);
/* The residual that a share 1 - alpha of new ones stays within; between two levels the wider one. An
 * alpha below the last level gives the largest; INFINITY if the table is empty. 0 < alpha < 1. */
double conformal_table_width(const struct conformal_table *table, double alpha);

/* 16,448 bytes, no pointers. */
struct conformal {
    double alpha; /* share of misses aimed at */
    double
        alpha_now; /* the level used, at most 1; below 0 the width grows beyond any residual seen */
    double step;   /* how far one round of misses moves it */
    uint64_t rounds, outcomes, misses;
    double miss_share_sum; /* over rounds */
    uint32_t count, head;  /* of the ring */
    double ring[CONFORMAL_WINDOW];
    double sorted[CONFORMAL_WINDOW];
};
_Static_assert(sizeof(struct conformal) == 64 + 2 * 8 * CONFORMAL_WINDOW, "documented size");

/* 0 < alpha < 1, 0 < step < 1 (asserted). table may be NULL or empty: then no interval is given until
 * 1/alpha outcomes have come. Its quantiles count as CONFORMAL_LEVELS residuals seen. */
void conformal_init(struct conformal *c, double alpha, double step,
                    const struct conformal_table *table);
/* alpha 0.10, step 0.02. */
void conformal_init_default(struct conformal *c, const struct conformal_table *table);

struct conformal_interval {
    double low, high; /* of the return, fraction */
    double width;     /* in scales; handed back with the outcome */
};
/* center and scale finite, scale > 0. False while too little is known: then there is no interval to
 * show and *out is zero. What is given is finite. */
bool conformal_interval(struct conformal_interval *out, const struct conformal *c, double center,
                        double scale);

/* A round: the outcomes (n) of one decision time together, with the width each was given when it was
 * said (as logged, not as it would be now). One round moves the level once, by step * (alpha - share of
 * misses): outcomes of one moment are not independent. Pairs that are not finite and >= 0 are left out.
 *
 * Over any T rounds |mean share of misses - alpha| <= (spread of alpha_now over them + step) / (step T), whatever
 * comes, since each round adds its error to alpha_now. Where the level goes below what the residuals seen
 * can answer, the original's interval is the whole line; here it is the largest residual, stretched by how far
 * below: finite, and still the wider the more was missed.
 * Time O(n + CONFORMAL_WINDOW) moves per outcome.
 * Source  Gibbs, Candes, "Adaptive conformal inference under distribution shift", NeurIPS 2021, eq. 2 and prop. 4.1. */
void conformal_round(struct conformal *c, const double *residuals, const double *widths, size_t n);
/* 1 - misses / outcomes; 0 without outcomes. */
double conformal_coverage(const struct conformal *c);

#endif
