/* A series of numbers from a text file, cut into a part to train on, one to choose by and one to measure on.
 *
 * Files are those of ml/table: CSV, TSV, plain, gzip or zstd, with or without a header. A first column of dates, or one named date,
 * time, datetime or timestamp, is no channel.
 *
 * Source   borders and scaling: the loaders that Informer's, PatchTST's and DLinear's authors share
 *          (github.com/yuqinie98/PatchTST at 204c21e, data_provider/data_loader.py)
 * Tests    test_dataset.c */
#ifndef FORECAST_DATASET_H
#define FORECAST_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ml/nn/nn.h"

enum { FORECAST_CHANNELS_MAX = 4096 };

struct forecast_dataset {
    char *path;
    uint32_t channels;
    size_t rows;
    double *values;  /* (rows, channels) as they stand; NaN: missing */
    uint64_t *lines; /* (rows) of the file */
    char *
        *names; /* (channels): the header's, or the column's number where it has none of its own */
    double *dates;       /* (rows) seconds since 1970, NaN where not to be read; NULL: no dates */
    double step_seconds; /* between the first two rows; 0: no dates that could be read */
    uint64_t hash;       /* of values and shape */
};

/* Which channels: wanted (count), by name or column number, in that order; count 0: all there are.
 * ST_NOT_FOUND (file, column), ST_INVALID (line, column: no number; nothing but dates), ST_RANGE, ST_IO, ST_CORRUPT, ST_NO_MEMORY. */
enum status forecast_dataset_read(struct forecast_dataset *out, const char *path,
                                  const char *const *wanted, uint32_t count, struct err *err);
void forecast_dataset_free(struct forecast_dataset *d);
/* ST_INVALID with line and column of the first value in [begin, end) that is missing or infinite. */
enum status forecast_dataset_whole(const struct forecast_dataset *d, size_t begin, size_t end,
                                   struct err *err);

/* ---- parts ---- */

enum forecast_split_kind {
    FORECAST_SPLIT_RATIOS = 0,
    FORECAST_SPLIT_ETT,  /* ETTH or ETTM by the dates, an hour or a quarter apart */
    FORECAST_SPLIT_ETTH, /* 12, 4, 4 months of 30 days, 24 rows a day; what is left is not used */
    FORECAST_SPLIT_ETTM  /* 96 rows a day */
};
struct forecast_split {
    enum forecast_split_kind kind;
    double train, valid, test; /* RATIOS: train and test are cut off, the rest is for validation */
};
/* "ett" "etth" "ettm", or three ratios "0.7,0.1,0.2" that sum to 1. */
bool forecast_split_parse(struct forecast_split *out, const char *text);
enum { FORECAST_SPLIT_TEXT_SIZE = 112 };
const char *forecast_split_text(char out[FORECAST_SPLIT_TEXT_SIZE], const struct forecast_split *s);

enum forecast_part { FORECAST_TRAIN = 0, FORECAST_VALID, FORECAST_TEST, FORECAST_PARTS };
extern const char *const forecast_part_names[FORECAST_PARTS]; /* "train" "valid" "test" */

/* Rows [begin, end); windows: of input + horizon rows, one at each row. Validation and test begin `input` rows early: their first
 * target is the part's first row. */
struct forecast_span {
    size_t begin, end, windows;
};
/* ST_RANGE: not enough rows; ST_INVALID: ETT without dates an hour or a quarter apart. */
enum status forecast_split_apply(struct forecast_span out[FORECAST_PARTS],
                                 const struct forecast_split *split,
                                 const struct forecast_dataset *d, size_t input, size_t horizon,
                                 struct err *err);

/* ---- scale ---- */

/* Mean and population standard deviation of each channel over rows [begin, end), whole; a deviation of 0 counts as 1.
 * mean, deviation (channels) */
void forecast_scale_measure(double *mean, double *deviation, const struct forecast_dataset *d,
                            size_t begin, size_t end);
/* out (end - begin, channels) = (value - mean) / deviation */
void forecast_scale_apply(nn_real *out, const struct forecast_dataset *d, size_t begin, size_t end,
                          const double *mean, const double *deviation);

#endif
