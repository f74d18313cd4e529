/* What a network adds to the golden check: how to make it from a case's "config" object. */
#ifndef FORECAST_GOLDEN_INTERNAL_H
#define FORECAST_GOLDEN_INTERNAL_H

#include "forecast/golden.h"

/* Inputs and targets are found by their names in the files (golden_batch.c), the same for every network. */
struct golden_class {
    const char *model; /* as config.json's "model" has it */
    /* A training network for batches of at most batch_max windows; config: the object's text. */
    enum status (*create)(struct network **out, const struct json_text *config, size_t batch_max,
                          struct workers *workers, struct err *err);
};
enum status golden_patchtst_create(struct network **out, const struct json_text *config,
                                   size_t batch_max, struct workers *workers, struct err *err);

enum status golden_nhits_create(struct network **out, const struct json_text *config,
                                size_t batch_max, struct workers *workers, struct err *err);

/* ---- golden_batch.c: windows of a case ---- */

/* Arrays that a batch borrows. */
enum { GOLDEN_ARRAYS = 8 };
struct golden_arrays {
    nn_real *at[GOLDEN_ARRAYS];
    uint32_t count;
};
/* Windows of io.safetensors ("" or "masked." before the names). */
enum status golden_batch_io(struct nn_batch *batch, struct golden_arrays *arrays,
                            const struct safetensors *io, const char *prefix, struct err *err);
/* Batch `index` of curve.safetensors. */
enum status golden_batch_curve(struct nn_batch *batch, struct golden_arrays *arrays,
                               const struct safetensors *curve, size_t index, struct err *err);
void golden_arrays_free(struct golden_arrays *arrays);

#endif
