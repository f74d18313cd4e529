/* A trained network with all that a forecast needs beside the data: one safetensors file, its __metadata__ entry "forecast" an object of
 * JSON. Any reader of safetensors finds the weights under their official names.
 * Tests    test_protocol.c */
#ifndef FORECAST_MODEL_FILE_H
#define FORECAST_MODEL_FILE_H

#include "forecast/config.h"
#include "forecast/dataset.h"

struct forecast_model {
    struct forecast_config config; /* shaped */
    uint32_t input, horizon, channels;
    char **names;             /* (channels), as the dataset has them */
    double *mean, *deviation; /* (channels) of the training part */
    struct forecast_split split;
    uint64_t seed, data_hash;
    uint64_t identity; /* of data and options together: what the same run would have */
};

/* Names, mean and deviation of d. ST_NO_MEMORY. */
enum status forecast_model_init(struct forecast_model *m, const struct forecast_dataset *d,
                                struct err *err);
void forecast_model_free(struct forecast_model *m);
/* Whole or not at all. ST_IO, ST_RANGE, ST_NO_MEMORY. */
enum status forecast_model_save(const struct forecast_model *m, const struct network *net,
                                const char *path, struct err *err);
/* net: for inference, batches up to batch_max; NULL: only the description.
 * ST_NOT_FOUND, ST_CORRUPT (no file of this kind, or a field), ST_MISMATCH (weights), ST_IO, ST_RANGE, ST_NO_MEMORY. */
enum status forecast_model_load(struct forecast_model *m, struct network **net, size_t batch_max,
                                struct workers *workers, const char *path, struct err *err);

#endif
