/* What a trainer learns from: borrowed arrays. */
#ifndef ML_TABLE_TRAIN_SET_H
#define ML_TABLE_TRAIN_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct train_set {
    /* (rows, columns), stride values from row to row; one of the two. NaN = missing. */
    const double *x64;
    const float *x32;
    size_t stride; /* 0: columns */
    size_t rows;
    uint32_t columns;
    const double *labels;       /* (rows): target, class 0..n-1, or grade of relevance */
    const double *weights;      /* (rows), > 0; NULL: all 1 */
    const double *init_margin;  /* (rows, outputs) starting margins; NULL: none */
    const uint32_t *group_rows; /* (groups) rows of each query, in order; ranking only */
    size_t groups;
    const char *const *names; /* (columns) or NULL */
};

/* After every round. Metrics are those of the objective's first metric, NaN where there is no such set. False
 * cancels: ST_INTERRUPTED. */
typedef bool (*train_progress_fn)(void *context, uint32_t round, uint32_t rounds_max,
                                  double train_metric, double valid_metric);

#endif
