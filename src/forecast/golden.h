/* Golden cases: a network with stored weights and inputs against what its authors' code computed from them.
 *
 * A case is a folder: config.json (model, config, parameters whose true gradient is zero), weights.safetensors, io.safetensors,
 * train.safetensors, and curve.safetensors if there is one. A name with "64" is the same code run in float64 and is what
 * is compared with where it is stored. */
#ifndef FORECAST_GOLDEN_H
#define FORECAST_GOLDEN_H

#include "base/json.h"
#include "ml/nn/network.h"

enum golden_part {
    GOLDEN_OUTPUT = 0,    /* forecasts in evaluation mode, and in training mode where stored */
    GOLDEN_MASKED_OUTPUT, /* forecasts of the left-padded, masked windows */
    GOLDEN_GRADIENT,      /* of every trainable parameter, from one training pass */
    GOLDEN_RUNNING_STATS, /* BatchNorm's buffers after that pass */
    GOLDEN_ADAM_LOSSES,   /* before each of ten steps on one batch */
    GOLDEN_CURVE,         /* losses of a training run on explicit batches */
    GOLDEN_PARTS
};

/* A figure is the worst over tensors of max|ours - reference| / max|reference|; parameters whose true gradient is zero are
 * measured against the largest gradient of all. GOLDEN_NOT_A_NUMBER if something of ours is none. */
struct golden_figure {
    bool present;
    double value;
    char tensor[NN_NAME_SIZE + 24]; /* the worst */
};
#define GOLDEN_NOT_A_NUMBER 1e300

struct golden_report {
    char name[64];
    struct golden_figure parts[GOLDEN_PARTS];
};

/* ST_OK whatever the figures are; else what could not be read or built (file, tensor, field). */
enum status golden_check(struct golden_report *out, const char *case_dir, struct workers *workers,
                         struct err *err);
/* Every figure that is present within its bound (outputs and running statistics 1e-5, gradients, losses, curve 1e-4). */
bool golden_within(const struct golden_report *report);
double golden_bound(enum golden_part part);
const char *golden_part_name(enum golden_part part); /* its key in JSON */
/* {"case", "output", "masked_output", "gradient", "running_stats", "adam_losses", "curve"}, absent parts null */
void golden_report_json(struct json_writer *w, const struct golden_report *report);

#endif
