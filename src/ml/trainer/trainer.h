/* Trains a network on windows: batches in a shuffled order, schedule, validation, early stopping, checkpoints.
 *
 * The same configuration, seed and windows give the same weights, bit for bit: with any number of threads, and if the run was cut
 * off and went on from its checkpoint. */
#ifndef ML_TRAINER_TRAINER_H
#define ML_TRAINER_TRAINER_H

#include "ml/nn/network.h"
#include "ml/nn/optim.h"

/* Numbered windows. batch fills `out` (its arrays are the source's own, valid until the next call) for windows[0..n); n is at most the
 * network's batch_max. The same numbers give the same values, whatever was asked before. */
struct window_source {
    size_t count;
    void (*batch)(void *context, struct nn_batch *out, const uint32_t *windows, size_t n);
    void *context;
};

struct trainer_config {
    uint32_t epochs;      /* most; with steps_max whichever ends first */
    uint64_t steps_max;   /* 0: none */
    uint64_t valid_every; /* steps between looks at the validation windows; 0: behind each epoch */
    uint32_t batch;
    bool
        drop_last; /* an epoch's last batch if it is not full (training only), as the PatchTST scripts do */
    struct nn_adam adam;
    struct nn_schedule schedule; /* total_steps, steps_per_epoch are filled in by trainer_run */
    uint32_t patience; /* looks without a better one before it ends; 0: never ends early */
    struct nn_loss_choice loss;
    struct nn_loss_choice valid_loss; /* what "better" means */
    uint64_t seed;                    /* of the order of windows and of dropout */
    const char *
        checkpoint; /* path; NULL: none. Written behind each look; removed by the caller, not here */
    bool resume;    /* go on from it if it is there; one of another run is ST_MISMATCH */
    uint64_t identity; /* hash of all else that makes the run what it is (data, split, options) */
};
struct trainer_config trainer_config_defaults(void);

struct trainer_look {
    uint32_t epoch; /* 1 the first */
    uint64_t step;
    double train_loss; /* mean over the batches since the last look */
    double valid_loss;
};

struct trainer_state {
    uint32_t epoch, epochs;
    uint64_t step, steps; /* done, and most there can be */
    uint64_t windows;     /* trained on in this process, for rates */
    double train_loss;    /* of the batches since the last look; NaN before the first */
    double valid_loss, best_valid_loss; /* of the last look and the best; NaN before the first */
};
/* After each step and each look; false cancels. */
typedef bool (*trainer_progress_fn)(void *context, const struct trainer_state *state);

enum { TRAINER_LOOKS_MAX = 4096 };
struct trainer_report {
    struct trainer_look *looks; /* (look_count), resumed ones included; trainer_report_free */
    uint32_t look_count, best_look, epochs;
    uint64_t steps;
    double best_valid_loss;
    bool resumed, stopped_early;
};
void trainer_report_free(struct trainer_report *r);

/* Trains net (made for training, batch_max >= config->batch) and leaves the weights of the best look in it. valid NULL: no looks but at
 * the training loss, the last weights stay.
 * head: parameters beside the network's, used by config->loss.own; placed for training; NULL: none (and with one, no
 * checkpoint: ST_UNSUPPORTED).
 * Returns  ST_OK; ST_INTERRUPTED (cancelled: the checkpoint is written, the weights are those of the moment); ST_RANGE (no
 *          windows, a field); ST_RANGE too (a loss or gradient that is no finite number); ST_NO_MEMORY; those of checkpoint.h */
enum status trainer_run(struct trainer_report *out, struct network *net, struct nn_params *head,
                        const struct window_source *train, const struct window_source *valid,
                        const struct trainer_config *config, trainer_progress_fn progress,
                        void *context, struct err *err);

/* Mean loss over all windows, evaluation mode; each window counts the same, whatever the batches. */
enum status trainer_evaluate(double *loss, struct network *net, const struct window_source *source,
                             const struct nn_loss_choice *choice, uint32_t batch, struct err *err);

#endif
