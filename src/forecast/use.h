/* A trained network on a file: how far off it is, or what it says comes next.
 * Tests    test_protocol.c; test/e2e/forecast.sh */
#ifndef FORECAST_USE_H
#define FORECAST_USE_H

#include "forecast/config.h"
#include "forecast/cuts.h"

struct forecast_evaluation {
    enum forecast_kind kind;
    const char *csv; /* borrowed */
    struct forecast_split split;
    enum forecast_part part;
    uint32_t input, horizon, channels;
    bool same_data; /* as it was trained on */
    struct forecast_score network, repeat;
};
/* Standardised by what the model was trained on. split NULL: that of the training. go_on NULL: never interrupted.
 * ST_OK, ST_INTERRUPTED; else as forecast_model_load, forecast_dataset_read, forecast_split_apply. */
enum status forecast_evaluate(struct forecast_evaluation *out, const char *model, const char *csv,
                              const struct forecast_split *split, enum forecast_part part,
                              uint32_t threads, bool (*go_on)(void *context), void *context,
                              struct err *err);

/* The steps behind a file's last row, in the data's own units. */
struct forecast_outlook {
    uint32_t horizon, channels;
    char **names;   /* (channels) */
    double *values; /* (horizon, channels), finite */
    double *dates;  /* (horizon) seconds since 1970, in equal steps; NULL: rows are not dated so */
};
/* ST_INVALID "no forecast: ..." with line, row and column: a value of the input window is missing or infinite;
 * ST_RANGE: too few rows, or a forecast that is no finite number; else as forecast_evaluate. */
enum status forecast_predict(struct forecast_outlook *out, const char *model, const char *csv,
                             struct err *err);
void forecast_outlook_free(struct forecast_outlook *f);

#endif
